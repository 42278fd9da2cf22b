//! What the operator sees of a Shopify shop, and reading it on command.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use serde_json::{Value, json};

use super::ShopifyShop;
use super::error::ShopifyError;
use super::store::{catalogue, orders as sending, shops};
use super::sync::Synced;
use crate::core::time::iso::IsoSeconds;
use crate::services::shop::store::orders;
use crate::services::shop::store::stores::ShopStore;
use crate::services::shop::{Shop, ShopError};

/// How long a command waits for a reading; a long one goes on by itself.
const PATIENCE: Duration = Duration::from_secs(20);

impl Shop {
    /// How it stands between a store and the shop behind it; nothing if there is none.
    pub(in crate::services::shop) fn shopify_value(
        &self,
        connection: &Connection,
        store: &ShopStore,
    ) -> Result<Value, ShopError> {
        let Some(shop) = self.0.parts.shopify.behind(&store.slug) else { return Ok(Value::Null) };
        let state = shops::state(connection, store.id)?;
        let counts = sending::counts(connection, store.id)?;
        let before = catalogue::before(connection, store.id)?;
        let mut failing = Vec::new();
        for (id, error) in counts.failing {
            let order = orders::by_id(connection, id)?;
            failing.push(json!({ "orderId": order.key, "number": order.shown_number(), "error": error }));
        }
        Ok(json!({
            "domain": shop.domain,
            "tried_at": state.tried_at.map(IsoSeconds),
            "synced_at": state.synced_at.map(IsoSeconds),
            "error": state.error,
            "problems": serde_json::from_str::<Value>(&state.problems).unwrap_or_else(|_| json!([])),
            "problem_count": state.problem_count,
            "orders_written": counts.written,
            "orders_waiting": counts.waiting,
            "failing_orders": failing,
            "subtracted": {
                "orders": before.orders,
                "pieces": before.pieces,
                "unclaimed_orders": before.unclaimed_orders,
                "unclaimed_pieces": before.unclaimed_pieces,
            },
        }))
    }

    /// Reads a shop now, and asks what became of its orders.
    pub(in crate::services::shop) async fn sync_now(
        &self,
        shop: &Arc<ShopifyShop>,
    ) -> Result<Value, ShopifyError> {
        let (here, shop) = (self.clone(), Arc::clone(shop));
        // A task, so that a reading goes on when whoever asked has gone.
        let reading = tokio::spawn(async move {
            let synced = here.sync_shopify(&shop).await?;
            let sent = here.follow_shopify(&shop).await?;
            shop.due.notify_one();
            Ok::<(Synced, usize), ShopifyError>((synced, sent))
        });
        match tokio::time::timeout(PATIENCE, reading).await {
            Err(_) => Ok(json!({ "running": true })),
            Ok(Err(error)) => {
                tracing::error!(%error, "a reading ended before its time");
                Err(ShopError::Internal.into())
            }
            Ok(Ok(done)) => {
                let (synced, sent) = done?;
                Ok(json!({
                    "running": false,
                    "products": synced.products,
                    "variants": synced.variants,
                    "changed": synced.changed,
                    "removed": synced.removed,
                    "shipped": sent,
                    "problems": synced.problems,
                    "problem_count": synced.problem_count,
                }))
            }
        }
    }
}
