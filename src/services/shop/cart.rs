//! What somebody wants to buy.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::ShopError;
use super::ids::VariantId;
use super::store::orders::Item;

/// Lines of a cart, pieces of one line, and pieces of all.
const MOST: u64 = 10;

/// Variants and how many of each; of two lines of one variant the sum counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cart(BTreeMap<VariantId, u32>);

impl Cart {
    /// Reads `items` of a body. A line without a quantity is for one.
    ///
    /// # Errors
    /// [`ShopError::Invalid`].
    pub fn read(fields: &Map<String, Value>) -> Result<Self, ShopError> {
        let bad_items = || {
            let message = "items must be an array of 1 to 10 objects with variantId and a quantity from 1 to 10, 10 pieces in all";
            ShopError::invalid("INVALID_ITEMS", message)
        };
        let Some(Value::Array(lines)) = fields.get("items") else { return Err(bad_items()) };
        if lines.is_empty() || lines.len() > 10 {
            return Err(bad_items());
        }
        let (mut all, mut pieces) = (BTreeMap::new(), 0_u64);
        for line in lines {
            let id = line.get("variantId").and_then(Value::as_i64).ok_or_else(bad_items)?;
            let quantity = match line.get("quantity") {
                None | Some(Value::Null) => 1,
                Some(quantity) => {
                    quantity.as_u64().filter(|count| (1..=MOST).contains(count)).ok_or_else(|| {
                        ShopError::invalid("INVALID_QUANTITY", "quantity must be a whole number from 1 to 10")
                    })?
                }
            };
            pieces = pieces.saturating_add(quantity);
            let count = all.entry(VariantId(id)).or_insert(0_u32);
            *count = count.saturating_add(u32::try_from(quantity).unwrap_or(u32::MAX));
        }
        if pieces > MOST {
            let message = "At most 10 pieces are sold in one order";
            return Err(ShopError::invalid("TOO_MANY_ITEMS", message));
        }
        Ok(Self(all))
    }

    /// One piece of one thing.
    pub fn of(variant: VariantId) -> Self {
        Self(BTreeMap::from([(variant, 1)]))
    }

    /// Its lines, by variant.
    pub fn lines(&self) -> impl Iterator<Item = (VariantId, u32)> + '_ {
        self.0.iter().map(|(id, quantity)| (*id, *quantity))
    }

    /// Whether an order is for just this.
    pub fn is_of(&self, items: &[Item]) -> bool {
        self.lines().eq(items.iter().map(|item| (item.variant, item.quantity)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(items: &Value) -> Result<Vec<(i64, u32)>, &'static str> {
        let body = json!({ "items": items });
        let cart = Cart::read(body.as_object().unwrap());
        cart.map(|cart| cart.lines().map(|(id, count)| (id.0, count)).collect()).map_err(|error| error.code())
    }

    #[test]
    fn lines_of_one_variant_are_one() {
        let items =
            json!([{ "variantId": 7, "quantity": 2 }, { "variantId": 3 }, { "variantId": 7, "quantity": 1 }]);
        assert_eq!(read(&items), Ok(vec![(3, 1), (7, 3)]));
    }

    #[test]
    fn bad_carts_are_refused() {
        let line = |quantity: Value| json!([{ "variantId": 1, "quantity": quantity }]);
        for quantity in
            [json!(0), json!(-1), json!(11), json!(9_007_199_254_740_993_u64), json!(1.5), json!("2")]
        {
            assert_eq!(read(&line(quantity.clone())), Err("INVALID_QUANTITY"), "{quantity}");
        }
        for items in
            [json!([]), json!(null), json!({}), json!([{}]), json!([{ "variantId": "1" }]), json!([1])]
        {
            assert_eq!(read(&items), Err("INVALID_ITEMS"), "{items}");
        }
        let many: Vec<_> = (0..11).map(|id| json!({ "variantId": id })).collect();
        assert_eq!(read(&json!(many)), Err("INVALID_ITEMS"));
        let sum = json!([{ "variantId": 1, "quantity": 6 }, { "variantId": 2, "quantity": 5 }]);
        assert_eq!(read(&sum), Err("TOO_MANY_ITEMS"));
    }
}
