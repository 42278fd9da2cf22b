//! An order as Shopify wants it.
//!
//! `sourceIdentifier` and a tag carry our order's id, by which it is found again. What it comes to and what was paid is
//! said; the stock is taken whatever the shop's policy says, because the pieces are sold.

use serde::Serialize;
use serde_json::{Value, json};

use super::graphql::gid;
use crate::core::decimal::Decimal;
use crate::core::time::iso::IsoSeconds;
use crate::services::shop::amounts;
use crate::services::shop::customer::Customer;
use crate::services::shop::store::orders::{Item, Order};

/// `OrderCreateOrderInput`, as far as we use it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OrderInput<'a> {
    currency: &'static str,
    line_items: Vec<Line>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shipping_lines: Option<[Shipping; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tax_lines: Option<[Tax; 1]>,
    taxes_included: bool,
    financial_status: &'static str,
    transactions: [Value; 1],
    custom_attributes: [Value; 3],
    source_identifier: &'a str,
    tags: [&'a str; 2],
    #[serde(skip_serializing_if = "Option::is_none")]
    processed_at: Option<IsoSeconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shipping_address: Option<Value>,
    note: String,
}

/// `OrderCreateLineItemInput`: a variant, or a line that names none.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    quantity: u32,
    price_set: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    variant_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sku: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requires_shipping: Option<bool>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shipping {
    title: &'static str,
    price_set: Value,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Tax {
    title: &'static str,
    rate: String,
    price_set: Value,
}

/// The variables of the mutation. `remote` gives Shopify's id of a line's variant, if it still has one.
///
/// A `plain` order is one that was refused once: its lines name no variants, and who bought it and where it goes is in
/// its note, so that nothing of it can be refused again for what it says.
pub(super) fn variables(
    order: &Order,
    customer: Option<&Customer>,
    remote: &dyn Fn(&Item) -> Option<i64>,
    plain: bool,
) -> Value {
    let money = |units: u64| {
        let amount = amounts::shown(units, order.unit).to_string();
        json!({ "shopMoney": { "amount": amount, "currencyCode": order.unit.code() } })
    };
    let line = |item: &Item| {
        let variant_id = remote(item).filter(|_| !plain).map(|id| gid("ProductVariant", id));
        let named = variant_id.is_none();
        Line {
            quantity: item.quantity,
            price_set: money(item.price),
            variant_id,
            title: named.then(|| item.title()),
            sku: Some(item.sku.clone()).filter(|sku| named && !sku.is_empty()),
            requires_shipping: named.then_some(order.ships),
        }
    };
    let key = order.key.to_string();
    let mut note = format!("Paid over Lightning: {} sat.", order.received.sat_floor());
    if order.backordered {
        note.push_str("\nBack order: it was sold out when it was paid.");
    }
    if let Some(customer) = customer.filter(|_| plain) {
        note.push_str(&format!("\n\n{}\n{}", customer.email.as_str(), customer.address.lines()));
    }
    let bill = &order.bill;
    let taxed = bill.subtotal.saturating_add(bill.shipping);
    let told = customer.filter(|_| !plain);
    let input = OrderInput {
        currency: order.unit.code(),
        line_items: order.items.iter().map(line).collect(),
        shipping_lines: (bill.shipping > 0)
            .then(|| [Shipping { title: "Shipping", price_set: money(bill.shipping) }]),
        tax_lines: (bill.tax > 0)
            .then(|| [Tax { title: "Tax", rate: rate(bill.tax, taxed), price_set: money(bill.tax) }]),
        taxes_included: false,
        financial_status: "PAID",
        transactions: [json!({
            "kind": "SALE", "status": "SUCCESS", "gateway": "Bitcoin Lightning", "amountSet": money(bill.total),
        })],
        custom_attributes: [
            json!({ "key": "satchel_order", "value": key }),
            json!({ "key": "lightning_sat", "value": order.received.sat_floor().to_string() }),
            json!({ "key": "lightning_payment_hash", "value": order.payment_hash.to_string() }),
        ],
        source_identifier: &key,
        tags: ["satchel", &key],
        processed_at: order.paid_at.map(IsoSeconds),
        email: told.map(|customer| customer.email.as_str()),
        shipping_address: told.filter(|_| order.ships).map(|customer| customer.address.for_shopify()),
        note,
    };
    json!({
        "order": input,
        "options": {
            "inventoryBehaviour": "DECREMENT_IGNORING_POLICY", "sendReceipt": false, "sendFulfillmentReceipt": false,
        },
    })
}

/// A share with six digits, as a text.
fn rate(part: u64, whole: u64) -> String {
    let ppm = u128::from(part).saturating_mul(1_000_000).checked_div(u128::from(whole)).unwrap_or(0);
    Decimal::new(ppm, 6).unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_shares() {
        assert_eq!(rate(145, 2_000), "0.0725");
        assert_eq!(rate(1, 0), "0");
    }
}
