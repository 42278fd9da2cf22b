//! What shops are told, and at which price: the webhooks and the rates, as the running satchel has them.

use serde_json::Value;

use super::Check;
use crate::cli::client::Client;
use crate::cli::show::{items, number, text};

/// Messages looked at: the newest.
const LOOK_AT: u32 = 500;

pub async fn look(client: &Client) -> Vec<Check> {
    let webhooks = client.get(&format!("webhooks?limit={LOOK_AT}")).await;
    let node = client.get("node").await;
    let stores = client.get("stores").await;
    let mut checks = Vec::new();
    if let Ok(webhooks) = webhooks {
        checks.push(judge_webhooks(&webhooks));
    }
    if let Ok(node) = node {
        checks.push(judge_rates(&node));
    }
    if let Ok(stores) = stores {
        checks.extend(judge_shopify(&stores));
    }
    checks
}

/// The Shopify shops behind stores, if there are any.
fn judge_shopify(stores: &Value) -> Vec<Check> {
    const NAME: &str = "shopify";
    let shop = |store: &Value| {
        let (shop, slug) = (store.get("shopify").filter(|shop| !shop.is_null())?, text(store, "slug"));
        let look = format!("see `satchel store show {slug}`; once it is mended, `satchel store sync {slug}`");
        let (error, failing) = (text(shop, "error"), items(shop, "failing_orders").count());
        Some(if !error.is_empty() {
            Check::warn(NAME, format!("the shop behind {slug} can't be read: {error}"), look)
        } else if failing > 0 {
            Check::warn(NAME, format!("{failing} orders of {slug} could not be written"), look)
        } else if number(shop, "problem_count") > 0 {
            let count = number(shop, "problem_count");
            Check::warn(
                NAME,
                format!("{count} products of {slug} make no sense and are left as they were"),
                look,
            )
        } else {
            Check::ok(NAME, format!("the shop behind {slug} was read"))
        })
    };
    items(stores, "stores").filter_map(shop).collect()
}

fn judge_webhooks(log: &Value) -> Check {
    const NAME: &str = "webhooks";
    let in_state =
        |state: &str| items(log, "webhooks").filter(|message| text(message, "state") == state).count();
    let failing = |message: &&Value| text(message, "state") == "waiting" && number(message, "attempts") > 0;
    let (failing, parked) = (items(log, "webhooks").filter(failing).count(), in_state("parked"));
    if failing + parked == 0 {
        return Check::ok(NAME, "nobody waits for one");
    }
    Check::warn(
        NAME,
        format!("{failing} could not be delivered yet, {parked} were given up"),
        "see `satchel webhook list` for why; `satchel webhook replay ID` sends one again",
    )
}

fn judge_rates(node: &Value) -> Check {
    const NAME: &str = "rates";
    match node.get("rates").and_then(Value::as_u64) {
        Some(0) => Check::warn(
            NAME,
            "there is none, so prices in other money are refused",
            "see [rates] in the configuration: can its servers be reached from here?",
        ),
        Some(count) => Check::ok(NAME, format!("of {count} currencies")),
        None => Check::ok(NAME, "not told"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::doctor::Level;

    #[test]
    fn what_shops_are_not_told_is_told_here() {
        let of = |messages: Value| judge_webhooks(&json!({ "webhooks": messages }));
        assert_eq!(of(json!([{ "state": "delivered", "attempts": 1 }])).level, Level::Ok);
        assert_eq!(of(json!([{ "state": "waiting", "attempts": 0 }])).level, Level::Ok);
        let told = of(json!([{ "state": "waiting", "attempts": 2 }, { "state": "parked", "attempts": 9 }]));
        assert_eq!(
            (told.level, told.says.as_str()),
            (Level::Warn, "1 could not be delivered yet, 1 were given up")
        );
        assert_eq!(judge_rates(&json!({ "rates": 0 })).level, Level::Warn);
        assert_eq!(judge_rates(&json!({ "rates": 10 })).level, Level::Ok);
        let shops = |shop: Value| judge_shopify(&json!({ "stores": [{ "slug": "mugs", "shopify": shop }] }));
        assert!(shops(Value::Null).is_empty());
        assert_eq!(shops(json!({ "error": null, "problem_count": 0 }))[0].level, Level::Ok);
        let told = shops(json!({ "error": "the shop can't be reached" }));
        assert_eq!(told[0].level, Level::Warn);
        assert!(
            told[0].says.contains("behind mugs") && told[0].says.contains("can't be reached"),
            "{told:?}"
        );
    }
}
