//! Reads a whole catalogue, and checks every product of it as one of an import is checked.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use super::ShopifyShop;
use super::error::{ShopifyError, clean};
use super::graphql::{PRODUCTS, Page, ProductNode, Query, SHOP, ShopData, VARIANTS, VariantNode, id_of};
use crate::admin::{ProductRequest, VariantRequest};
use crate::http::body::web_address;
use crate::rates::Unit;
use crate::services::shop::admin::read::Checked;
use crate::services::shop::csv;
use crate::services::shop::customer::is_unfit;
use crate::services::shop::store::catalogue::Product;

/// Products and variants of a page: a page of either costs a few hundred points of the thousand that a request may.
const PRODUCTS_A_PAGE: u32 = 25;
const VARIANTS_A_PAGE: u32 = 100;

/// Things of one kind that a store may have.
const MOST: usize = 100_000;

/// Bytes of a whole list, about: far more than any real one has, and far less than there is memory.
const LARGEST: usize = 256 * 1_024 * 1_024;

/// Problems that are kept; the others are counted.
const MOST_PROBLEMS: usize = 20;

/// Characters that we keep of titles and of descriptions.
const TITLE_LEN: usize = 255;
const DESCRIPTION_LEN: usize = 20_000;

/// What Shopify says of all products.
#[derive(Default)]
pub(super) struct Reading {
    /// Those that make sense.
    pub(super) products: Vec<RemoteProduct>,
    /// All of them.
    pub(super) seen: HashSet<i64>,
    /// All of their variants.
    pub(super) seen_variants: HashSet<i64>,
    /// What is left as it was, and why.
    pub(super) problems: Vec<String>,
    /// How many problems there are.
    pub(super) problem_count: u32,
}

/// A product as it should be here; its variants are those of [`RemoteProduct::variants`], one by one.
pub(super) struct RemoteProduct {
    pub(super) id: i64,
    pub(super) product: Product,
    pub(super) variants: Vec<i64>,
}

impl Reading {
    fn problem(&mut self, what: String) {
        self.problem_count = self.problem_count.saturating_add(1);
        if self.problems.len() < MOST_PROBLEMS {
            self.problems.push(what);
        }
    }
}

impl ShopifyShop {
    /// Reads all of it.
    ///
    /// # Errors
    /// Every [`ShopifyError`]: then nothing of it counts.
    pub(super) async fn read(&self, unit: Unit) -> Result<Reading, ShopifyError> {
        let shop: ShopData = self.client.ask(SHOP, &json!({})).await?;
        let currency = clean(&shop.shop.currency_code);
        if currency != unit.code() {
            return Err(ShopifyError::Currency { shop: currency, store: unit.code().into() });
        }
        let products = self.pages(PRODUCTS, "products", PRODUCTS_A_PAGE).await?;
        let variants = self.pages(VARIANTS, "productVariants", VARIANTS_A_PAGE).await?;
        Ok(together(products, variants, unit))
    }

    /// All nodes of a list. A list that goes round in circles is refused.
    async fn pages(&self, query: Query, list: &str, first: u32) -> Result<Vec<Value>, ShopifyError> {
        let (mut all, mut after, mut cursors) = (Vec::new(), None::<String>, HashSet::new());
        let mut bytes = 0_usize;
        loop {
            let mut answer: Value =
                self.client.ask(query, &json!({ "first": first, "after": after })).await?;
            let page = answer.get_mut(list).map(Value::take).unwrap_or_default();
            let page: Page = serde_json::from_value(page)
                .map_err(|_| ShopifyError::Nonsense(format!("the list of {list} is none")))?;
            bytes = page.nodes.iter().map(weight).fold(bytes, usize::saturating_add);
            all.extend(page.nodes);
            if all.len() > MOST || bytes > LARGEST {
                return Err(ShopifyError::Nonsense(format!("there are too many {list}")));
            }
            if !page.page_info.has_next_page {
                return Ok(all);
            }
            let Some(cursor) = page.page_info.end_cursor.filter(|cursor| !cursor.is_empty()) else {
                return Err(ShopifyError::Nonsense(format!("the list of {list} goes on nowhere")));
            };
            if !cursors.insert(cursor.clone()) {
                return Err(ShopifyError::Nonsense(format!("the list of {list} goes round in circles")));
            }
            after = Some(cursor);
        }
    }
}

/// About how many bytes a value takes.
fn weight(value: &Value) -> usize {
    let inner = match value {
        Value::String(text) => text.len(),
        Value::Array(all) => all.iter().map(weight).sum(),
        Value::Object(members) => members.iter().map(|(name, value)| name.len() + weight(value)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    };
    inner.saturating_add(32)
}

/// Puts variants to their products.
fn together(products: Vec<Value>, variants: Vec<Value>, unit: Unit) -> Reading {
    let mut reading = Reading::default();
    let mut of_product: HashMap<i64, Vec<(i64, Value)>> = HashMap::new();
    for node in variants {
        let id = node.get("legacyResourceId").and_then(id_of);
        let product = node.pointer("/product/legacyResourceId").and_then(id_of);
        match id.zip(product) {
            // The first of two counts.
            Some((id, product)) if reading.seen_variants.insert(id) => {
                of_product.entry(product).or_default().push((id, node));
            }
            Some(_) => {}
            None => reading.problem("a variant without an id".into()),
        }
    }
    for node in products {
        let Some(id) = node.get("legacyResourceId").and_then(id_of) else {
            reading.problem("a product without an id".into());
            continue;
        };
        if !reading.seen.insert(id) {
            continue;
        }
        let variants = of_product.remove(&id).unwrap_or_default();
        match product(&node, &variants, unit) {
            Ok(product) => {
                let variants = variants.into_iter().map(|(id, _)| id).collect();
                reading.products.push(RemoteProduct { id, product, variants });
            }
            Err(why) => reading.problem(format!("product {id} is left as it was: {}", clean(&why))),
        }
    }
    // Of products that came or went while it was read.
    for (id, _) in of_product.into_values().flatten() {
        reading.seen_variants.remove(&id);
    }
    reading
}

fn product(node: &Value, variants: &[(i64, Value)], unit: Unit) -> Result<Product, String> {
    let media = node.pointer("/media/nodes").and_then(Value::as_array).into_iter().flatten();
    let images = media
        .filter_map(|media| media.pointer("/preview/image/url").and_then(Value::as_str))
        .filter(|url| web_address(url).is_some_and(|url| url.scheme() == "https") && url.len() <= 2_048);
    let images: Vec<_> = images.map(ToOwned::to_owned).collect();
    let node = ProductNode::deserialize_from(node)?;
    let asked = ProductRequest {
        handle: line(&node.handle),
        title: line(&node.title),
        description: text(&csv::plain(node.description_html.as_deref().unwrap_or_default())),
        images,
        active: node.status == "ACTIVE" && node.published_at.is_some(),
        variants: variants.iter().map(|(id, node)| variant(*id, node)).collect::<Result<_, _>>()?,
    };
    Checked::new(&asked, unit).map(|checked| checked.product).map_err(|error| error.message().to_owned())
}

fn variant(id: i64, node: &Value) -> Result<VariantRequest, String> {
    let node = serde_json::from_value::<VariantNode>(node.clone())
        .map_err(|error| format!("variant {id}: {error}"))?;
    let stock = match (node.inventory_item.tracked, node.inventory_quantity) {
        (false, _) => None,
        (true, Some(quantity)) => Some(quantity),
        (true, None) => return Err(format!("variant {id}: nobody says how many there are")),
    };
    Ok(VariantRequest {
        title: line(&node.title),
        sku: line(node.sku.as_deref().unwrap_or_default()),
        price: node.price.parse().map_err(|_| format!("variant {id}: {:?} is not a price", node.price))?,
        stock,
        oversell: node.inventory_policy == "CONTINUE",
        ships: node.inventory_item.requires_shipping,
        taxable: node.taxable,
    })
}

impl ProductNode {
    fn deserialize_from(node: &Value) -> Result<Self, String> {
        serde_json::from_value(node.clone()).map_err(|error| error.to_string())
    }
}

/// A text on one line, as long as we keep it. Markup is text: whoever shows it escapes it.
fn line(given: &str) -> String {
    let letters = given.chars().map(|letter| if is_unfit(letter) { ' ' } else { letter });
    let line: String = letters.collect();
    line.trim().chars().take(TITLE_LEN).collect()
}

fn text(given: &str) -> String {
    let letters = given.chars().filter(|letter| *letter == '\n' || !is_unfit(*letter));
    letters.take(DESCRIPTION_LEN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::currency::Currency;

    fn product_node(id: &str) -> Value {
        json!({ "legacyResourceId": id, "handle": "mug", "title": "Mug\u{202e}\n<b>", "status": "ACTIVE",
            "descriptionHtml": "<p>A mug</p><script>x</script>", "publishedAt": "2026-01-01T00:00:00Z",
            "media": { "nodes": [
                { "preview": { "image": { "url": "https://cdn.example/a.jpg" } } },
                { "preview": { "image": { "url": "javascript:alert(1)" } } },
                { "preview": null },
            ] } })
    }

    fn variant_node(id: &str, change: &Value) -> Value {
        let mut node = json!({ "legacyResourceId": id, "title": "Blue", "sku": null, "price": "20.00",
            "taxable": true, "inventoryPolicy": "DENY", "inventoryQuantity": 5,
            "product": { "legacyResourceId": "700" },
            "inventoryItem": { "tracked": true, "requiresShipping": true } });
        for (name, value) in change.as_object().unwrap() {
            node[name] = value.clone();
        }
        node
    }

    fn read(variants: Vec<Value>) -> Reading {
        together(vec![product_node("700")], variants, Unit::Fiat(Currency::Usd))
    }

    #[test]
    fn products_and_variants_are_put_together_and_cleaned() {
        let reading = read(vec![
            variant_node("71", &json!({})),
            variant_node("72", &json!({ "title": "Red", "inventoryPolicy": "CONTINUE" })),
            variant_node(
                "73",
                &json!({ "title": "Not Counted", "inventoryItem": { "tracked": false, "requiresShipping": false } }),
            ),
        ]);
        assert_eq!(reading.problems, Vec::<String>::new());
        let [mug] = reading.products.as_slice() else { panic!("one product") };
        assert_eq!((mug.id, mug.variants.as_slice()), (700, [71, 72, 73].as_slice()));
        assert_eq!((mug.product.title.as_str(), mug.product.active), ("Mug  <b>", true));
        assert_eq!(mug.product.description, "A mug\nx");
        assert_eq!(mug.product.images, ["https://cdn.example/a.jpg"]);
        let of = |at: usize| {
            let variant = &mug.product.variants[at];
            (variant.price, variant.stock, variant.oversell, variant.ships)
        };
        assert_eq!(of(0), (2_000, Some(5), false, true));
        assert_eq!(of(1), (2_000, Some(5), true, true));
        assert_eq!(of(2), (2_000, None, false, false));
    }

    #[test]
    fn nonsense_leaves_its_product_alone() {
        for change in [
            json!({ "price": "-1.00" }),
            json!({ "price": "1.999" }),
            json!({ "price": "99999999999999" }),
            json!({ "price": "NaN" }),
            json!({ "price": 20 }),
            json!({ "inventoryQuantity": 9_000_000_000_i64 }),
            json!({ "inventoryQuantity": null }),
            json!({ "inventoryQuantity": 1.5 }),
            json!({ "inventoryItem": null }),
            json!({ "taxable": "yes" }),
        ] {
            let reading = read(vec![variant_node("71", &change)]);
            assert_eq!((reading.products.len(), reading.problem_count), (0, 1), "{change}");
            assert!(reading.seen.contains(&700), "{change}");
            assert!(reading.problems[0].starts_with("product 700 is left"), "{:?}", reading.problems);
        }
        // Two of one title, and none at all.
        assert_eq!(
            read(vec![variant_node("71", &json!({})), variant_node("72", &json!({}))]).products.len(),
            0
        );
        assert_eq!(read(Vec::new()).products.len(), 0);
        // Ids that are none, and one twice.
        for id in ["0", "-5", "x", "99999999999999999999"] {
            let reading = read(vec![variant_node(id, &json!({})), variant_node("71", &json!({}))]);
            assert_eq!((reading.products.len(), reading.problem_count), (1, 1), "{id}");
        }
        let reading =
            read(vec![variant_node("71", &json!({})), variant_node("71", &json!({ "price": "1" }))]);
        assert_eq!(reading.products[0].product.variants[0].price, 2_000);
    }

    #[test]
    fn what_is_not_published_is_not_sold() {
        for change in
            [json!({ "status": "DRAFT" }), json!({ "status": "ARCHIVED" }), json!({ "publishedAt": null })]
        {
            let mut node = product_node("700");
            for (name, value) in change.as_object().unwrap() {
                node[name] = value.clone();
            }
            let variants = vec![variant_node("71", &json!({}))];
            let reading = together(vec![node], variants, Unit::Fiat(Currency::Usd));
            assert!(!reading.products[0].product.active, "{change}");
        }
    }
}
