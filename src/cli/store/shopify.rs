//! The Shopify shop behind a store.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::cli::channel::segment;
use crate::cli::client::Client;
use crate::cli::error::CliError;
use crate::cli::report::Report;
use crate::cli::show::{cell, items, number, text};

pub(super) async fn sync(client: &Client, slug: &str) -> Result<Report, CliError> {
    let answer = client.post(&format!("stores/{}/sync", segment(slug)?), json!({})).await?;
    if answer.get("running") == Some(&json!(true)) {
        let said = format!("the shop is being read; `satchel store show {slug}` says how it went");
        return Ok(Report::new(answer, said));
    }
    let mut said = format!(
        "{} products with {} variants were read: {} are different, {} are not sold any more; {} orders were sent",
        number(&answer, "products"),
        number(&answer, "variants"),
        number(&answer, "changed"),
        number(&answer, "removed"),
        number(&answer, "shipped"),
    );
    said.push_str(&problems(&answer));
    Ok(Report::new(answer, said))
}

/// In a word, for a list.
pub(super) fn in_short(store: &Value) -> String {
    let Some(shop) = store.get("shopify").filter(|shop| !shop.is_null()) else { return "-".into() };
    let failing = items(shop, "failing_orders").next().is_some();
    let word = match (text(shop, "error").is_empty(), failing, number(shop, "problem_count")) {
        (false, ..) => "can't be read",
        (true, true, _) => "orders can't be written",
        (true, false, 1..) => "problems",
        (true, false, 0) if text(shop, "synced_at").is_empty() => "not read yet",
        (true, false, 0) => "ok",
    };
    word.into()
}

/// All that is known of it, below the store.
pub(super) fn shown(store: &Value) -> String {
    let Some(shop) = store.get("shopify").filter(|shop| !shop.is_null()) else { return String::new() };
    let mut said = format!(
        "\nshopify   {}, read {}; {} orders written, {} to write or cancel",
        text(shop, "domain"),
        cell(shop, "synced_at"),
        number(shop, "orders_written"),
        number(shop, "orders_waiting"),
    );
    if !text(shop, "error").is_empty() {
        // Writing to a String can't fail.
        let _ = write!(said, "\n          the last attempt failed: {}", text(shop, "error"));
    }
    said.push_str(&subtracted(shop));
    said.push_str(&problems(shop));
    for order in items(shop, "failing_orders") {
        let _ = write!(said, "\n          order {}: {}", text(order, "orderId"), text(order, "error"));
    }
    said
}

/// What readings take from the stock that Shopify tells, and until when.
fn subtracted(shop: &Value) -> String {
    let of = shop.get("subtracted").unwrap_or(&Value::Null);
    let mut said = String::new();
    if number(of, "orders") > 0 {
        let _ = write!(
            said,
            "\n          stock: {} pieces of {} orders that were claimed before the shop was connected are subtracted \
             until you enter them at Shopify and run `satchel store ship`",
            number(of, "pieces"),
            number(of, "orders"),
        );
    }
    if number(of, "unclaimed_orders") > 0 {
        let _ = write!(
            said,
            "\n          stock: {} pieces of {} paid orders are subtracted until their buyers claim them, and they are \
             written",
            number(of, "unclaimed_pieces"),
            number(of, "unclaimed_orders"),
        );
    }
    said
}

fn problems(of: &Value) -> String {
    let (mut said, count) = (String::new(), number(of, "problem_count"));
    let mut told = 0_u64;
    for problem in items(of, "problems").filter_map(Value::as_str) {
        told += 1;
        let _ = write!(said, "\n          {problem}");
    }
    if count > told {
        let _ = write!(said, "\n          and {} more", count - told);
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_tells_how_it_stands_with_its_shop() {
        let of = |shop: Value| in_short(&json!({ "shopify": shop }));
        assert_eq!(of(Value::Null), "-");
        let at = "2026-01-01T00:00:00Z";
        assert_eq!(of(json!({ "synced_at": at })), "ok");
        assert_eq!(of(json!({ "synced_at": null })), "not read yet");
        assert_eq!(of(json!({ "synced_at": at, "problem_count": 2 })), "problems");
        assert_eq!(of(json!({ "synced_at": at, "error": "down" })), "can't be read");
        let order = json!({ "orderId": "shpfy_1", "error": "refused" });
        let failing = json!({ "synced_at": at, "domain": "x.myshopify.com", "failing_orders": [order],
            "problems": ["a"], "problem_count": 3,
            "subtracted": { "orders": 2, "pieces": 5, "unclaimed_orders": 1, "unclaimed_pieces": 3 } });
        assert_eq!(of(failing.clone()), "orders can't be written");
        let said = shown(&json!({ "shopify": failing }));
        for part in [
            "x.myshopify.com",
            "order shpfy_1: refused",
            "5 pieces of 2 orders",
            "3 pieces of 1 paid",
            "\n          a",
            "and 2 more",
        ] {
            assert!(said.contains(part), "{said}");
        }
    }
}
