//! What becomes of orders at Shopify: one that was sent there is sent here.

use std::sync::Arc;

use serde_json::json;

use super::ShopifyShop;
use super::error::{ShopifyError, clean};
use super::graphql::{FollowedOrder, Fulfillment, Nodes, ORDERS, gid, id_of};
use super::store::orders as sending;
use crate::http::body::web_address;
use crate::services::shop::ids::OrderId;
use crate::services::shop::status::OrderStatus;
use crate::services::shop::store::orders::{self, Tracking};
use crate::services::shop::{Shop, ShopError};
use crate::storage::Tx;

/// Orders of one question.
const AT_ONCE: u32 = 25;

/// Characters of a tracking number, and bytes of an address.
const LONGEST: usize = 200;
const LONGEST_URL: usize = 2_048;

impl Shop {
    /// Asks about all orders that are at a shop and have not been sent; how many have been.
    ///
    /// # Errors
    /// Every [`ShopifyError`]: those that were not asked about wait for the next round.
    pub async fn follow_shopify(&self, shop: &Arc<ShopifyShop>) -> Result<usize, ShopifyError> {
        let store = self.shopify_store(shop).await?;
        let (mut after, mut sent) = (OrderId(0), 0_usize);
        loop {
            let (id, from) = (store.id, after);
            let read =
                move |connection: &rusqlite::Connection| sending::to_follow(connection, id, from, AT_ONCE);
            let asked = self.store().read(read).await?;
            let Some(last) = asked.last() else { return Ok(sent) };
            after = last.0;
            let ids: Vec<_> = asked.iter().map(|(_, remote)| gid("Order", *remote)).collect();
            let answer: Nodes = shop.client.ask(ORDERS, &json!({ "ids": ids })).await?;
            for node in answer.nodes {
                // One that makes no sense is asked about again.
                let Ok(node) = serde_json::from_value::<FollowedOrder>(node) else { continue };
                let remote = id_of(&node.legacy_resource_id);
                let Some((order, _)) = asked.iter().find(|(_, asked)| Some(*asked) == remote) else {
                    continue;
                };
                if self.follow_one(*order, &node).await? {
                    sent = sent.saturating_add(1);
                }
            }
        }
    }

    async fn follow_one(&self, id: OrderId, node: &FollowedOrder) -> Result<bool, ShopError> {
        if node.cancelled_at.is_some() {
            let write = move |tx: &Tx<'_>| {
                sending::note(
                    tx,
                    id,
                    "it was cancelled at Shopify: give the buyer the sats back with `satchel store cancel`",
                )
            };
            if self.store().write(write).await? {
                tracing::warn!(order = %id, "an order was cancelled at Shopify; its buyer has not been given the money back");
            }
            return Ok(false);
        }
        // Some of it may be on its way: it is sent when all of it is.
        if node.display_fulfillment_status != "FULFILLED" {
            return Ok(false);
        }
        let (shop, tracking) = (self.clone(), tracking(&node.fulfillments));
        let write = move |tx: &Tx<'_>| -> Result<bool, ShopError> {
            let order = orders::by_id(tx, id)?;
            if order.status != OrderStatus::Processing {
                return Ok(false);
            }
            shop.mark_shipped(tx, order.key, &tracking)?;
            Ok(true)
        };
        self.store().write(write).await
    }
}

/// Where the newest parcel is that says so.
fn tracking(all: &[Fulfillment]) -> Tracking {
    let line = |text: &Option<String>| {
        let text = clean(text.as_deref().unwrap_or_default());
        Some(text).filter(|text| !text.is_empty() && text.chars().count() <= LONGEST)
    };
    let sent = all.iter().filter(|parcel| parcel.status == "SUCCESS");
    let mut sent: Vec<_> = sent.filter(|parcel| !parcel.tracking_info.is_empty()).collect();
    sent.sort_by(|one, other| one.created_at.cmp(&other.created_at));
    let Some(info) = sent.last().and_then(|parcel| parcel.tracking_info.first()) else {
        return Tracking::default();
    };
    let url = info.url.as_deref().filter(|url| url.len() <= LONGEST_URL).and_then(web_address);
    Tracking { number: line(&info.number), carrier: line(&info.company), url: url.map(|url| url.to_string()) }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(parcels: &Value) -> Tracking {
        tracking(&serde_json::from_value::<Vec<Fulfillment>>(parcels.clone()).unwrap())
    }

    #[test]
    fn the_newest_parcel_that_was_sent_tells_where_it_is() {
        let parcel = |status: &str, at: &str, number: &str| {
            json!({ "status": status, "createdAt": at,
                "trackingInfo": [{ "company": "UPS", "number": number, "url": "https://ups.example/1" }] })
        };
        let found = read(&json!([
            parcel("SUCCESS", "2026-01-02T00:00:00Z", "2"),
            parcel("SUCCESS", "2026-01-01T00:00:00Z", "1"),
            parcel("CANCELLED", "2026-01-03T00:00:00Z", "3"),
            { "status": "SUCCESS", "createdAt": "2026-01-04T00:00:00Z", "trackingInfo": [] },
        ]));
        assert_eq!((found.number.as_deref(), found.carrier.as_deref()), (Some("2"), Some("UPS")));
        assert_eq!(read(&json!([])), Tracking::default());
    }

    #[test]
    fn lies_about_parcels_are_left_out() {
        let found = read(&json!([{ "status": "SUCCESS", "createdAt": "", "trackingInfo": [
            { "company": "a\nb\u{202e}", "number": "\u{0}", "url": "javascript:alert(1)" }
        ] }]));
        let expected = Tracking { number: None, carrier: Some("a b".into()), url: None };
        assert_eq!(found, expected);
    }
}
