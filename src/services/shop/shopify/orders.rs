//! Writes claimed orders to Shopify, once each, and cancels those that the seller gives up.

use std::sync::Arc;

use serde_json::{Value, json};

use super::ShopifyShop;
use super::error::{ShopifyError, clean};
use super::graphql::{
    CANCEL_ORDER, CREATE_ORDER, Cancelled, Created, FIND_ORDER, FollowedOrder, Found, Nodes, ORDERS,
    OrderNode, UserError, gid, id_of,
};
use super::input;
use super::store::catalogue;
use super::store::orders::{self as sending, Sending, State};
use crate::core::time::{UnixMillis, millis};
use crate::crash_point;
use crate::services::shop::customer::Customer;
use crate::services::shop::ids::OrderId;
use crate::services::shop::store::{customers, orders};
use crate::services::shop::{Shop, ShopError};
use crate::storage::Tx;

/// Orders of one round.
const AT_ONCE: u32 = 20;

/// Characters of an order's name.
const LONGEST_NAME: usize = 40;

/// What the shop says of an order that is cancelled.
const STAFF_NOTE: &str = "Given up by the seller with satchel; the buyer gets the sats back over Lightning.";

/// An order at Shopify.
struct There {
    id: i64,
    name: Option<String>,
}

impl Shop {
    /// Writes and cancels what is due at a shop. What fails waits for its next attempt.
    ///
    /// # Errors
    /// Of our own side alone.
    pub async fn send_to_shopify(&self, shop: &Arc<ShopifyShop>) -> Result<(), ShopError> {
        let _one = shop.writing.lock().await;
        let slug = shop.slug.clone();
        let read = move |connection: &rusqlite::Connection| {
            crate::services::shop::store::stores::by_slug(connection, &slug)
        };
        let Some(store) = self.store().read(read).await? else { return Ok(()) };
        loop {
            let (id, now) = (store.id, self.now());
            let due = self.store().read(move |connection| sending::due(connection, id, now, AT_ONCE)).await?;
            if due.is_empty() {
                return Ok(());
            }
            for order in due {
                let done = match order.state {
                    State::Waiting => self.create(shop, order.order).await,
                    State::Unknown => self.look(shop, &order).await,
                    State::Cancel => self.cancel_there(shop, &order).await,
                    State::Written | State::Done => Ok(()),
                };
                match done {
                    Ok(()) => {}
                    Err(ShopifyError::Here(error)) => return Err(error),
                    Err(error) => self.put_off(shop, order.order, &error).await?,
                }
            }
        }
    }

    /// Makes an order at Shopify. That the request begins is durable before it does.
    async fn create(&self, shop: &ShopifyShop, id: OrderId) -> Result<(), ShopifyError> {
        // Waits and repeated attempts of one request included, it is over by then.
        let look_at = self.now().saturating_add(millis(shop.pace.in_doubt.saturating_mul(8)));
        let begin = move |tx: &Tx<'_>| -> Result<Option<(Value, Option<Customer>, bool)>, ShopError> {
            if !sending::begin(tx, id, look_at)? {
                return Ok(None);
            }
            let order = orders::by_id(tx, id)?;
            let customer = customers::of(tx, id)?;
            let mut remotes = std::collections::HashMap::new();
            for item in &order.items {
                if let Some(remote) = catalogue::remote_variant(tx, item.variant)? {
                    remotes.insert(item.variant, remote);
                }
            }
            let plain = sending::one(tx, id)?.is_some_and(|sending| sending.plain);
            let of = |item: &orders::Item| remotes.get(&item.variant).copied();
            Ok(Some((input::variables(&order, customer.as_ref(), &of, plain), customer, plain)))
        };
        let Some((variables, customer, plain)) = self.store().write(begin).await? else { return Ok(()) };
        crash_point!("shopify.before_order");
        let done = self.created(shop, id, &variables, customer.as_ref()).await;
        match done {
            Ok(there) => {
                crash_point!("shopify.after_order");
                self.found(id, there).await
            }
            // What Shopify does not like of an order is left out of the next attempt, which follows at once.
            Err(ShopifyError::Refused(why)) if !plain => {
                tracing::warn!(order = %id, why, "Shopify refuses an order; it is sent without what may be refused");
                let now = self.now();
                let write = move |tx: &Tx<'_>| sending::not_there(tx, id, now, Some(&why), true);
                Ok(self.store().write(write).await?)
            }
            Err(error) if error.is_certain() => {
                let text = error.to_string();
                tracing::warn!(order = %id, error = text, "an order could not be written to Shopify");
                let (here, pace) = (self.clone(), shop.pace);
                let write = move |tx: &Tx<'_>| -> Result<(), ShopError> {
                    let attempts = sending::one(tx, id)?.map_or(1, |sending| sending.attempts);
                    let next = here.now().saturating_add(millis(pace.pause(attempts)));
                    Ok(sending::not_there(tx, id, next, Some(&text), false)?)
                };
                Ok(self.store().write(write).await?)
            }
            Err(error) => {
                // It stays unknown, and is looked for when no request can be under way any more.
                let text = error.to_string();
                tracing::warn!(order = %id, error = text, "it is not known whether an order is at Shopify");
                let next = self.now().saturating_add(millis(shop.pace.in_doubt));
                Ok(self.store().write(move |tx| sending::put_off(tx, id, next, &text)).await?)
            }
        }
    }

    async fn created(
        &self,
        shop: &ShopifyShop,
        id: OrderId,
        variables: &Value,
        customer: Option<&Customer>,
    ) -> Result<There, ShopifyError> {
        let private = |text: &str| customer.is_some_and(|customer| customer.is_in(text));
        let answer = shop.client.tell::<Created>(CREATE_ORDER, variables).await;
        let answer = answer.map_err(|error| without(error, &private))?.order_create;
        // An order that is there is there, whatever is said beside it.
        if let (None, Some(error)) = (&answer.order, answer.user_errors.first()) {
            return Err(ShopifyError::Refused(reason(error, &private)));
        }
        let node = answer.order.ok_or_else(|| ShopifyError::Nonsense("it names no order".into()))?;
        let there = there(&node).ok_or_else(|| ShopifyError::Nonsense("the order has no id".into()))?;
        tracing::info!(order = %id, name = there.name, "an order was written to Shopify");
        Ok(there)
    }

    /// Looks whether an order is at Shopify; if not, it is written.
    async fn look(&self, shop: &ShopifyShop, sending: &Sending) -> Result<(), ShopifyError> {
        let id = sending.order;
        if let Some(there) = self.find(shop, id).await? {
            return self.found(id, there).await;
        }
        let now = self.now();
        self.store().write(move |tx| sending::not_there(tx, id, now, None, false)).await?;
        Ok(())
    }

    /// The order that was made for one of ours. The search knows new orders a few seconds late, so the newest are
    /// looked through besides.
    async fn find(&self, shop: &ShopifyShop, id: OrderId) -> Result<Option<There>, ShopifyError> {
        let order = self.store().read(move |connection| orders::by_id(connection, id)).await?;
        let key = order.key.to_string();
        let query = format!("source_identifier:{key} OR tag:{key}");
        let answer: Found = shop.client.ask(FIND_ORDER, &json!({ "query": query })).await?;
        let is_it = |node: &&OrderNode| {
            node.source_identifier.as_deref() == Some(key.as_str()) || node.tags.contains(&key)
        };
        Ok(answer.found.nodes.iter().chain(&answer.newest.nodes).find(is_it).and_then(there))
    }

    async fn found(&self, id: OrderId, there: There) -> Result<(), ShopifyError> {
        let now = self.now();
        let write = move |tx: &Tx<'_>| sending::written(tx, id, there.id, there.name.as_deref(), now);
        Ok(self.store().write(write).await?)
    }

    /// Cancels an order at Shopify, if it is there.
    async fn cancel_there(&self, shop: &ShopifyShop, sending: &Sending) -> Result<(), ShopifyError> {
        let id = sending.order;
        let Some(remote) = sending.remote else {
            // It may have been made at the moment at which it was given up.
            return match self.find(shop, id).await? {
                Some(there) => self.found(id, there).await,
                None => Ok(self.store().write(move |tx| sending::done(tx, id)).await?),
            };
        };
        if self.is_cancelled(shop, remote).await? {
            return self.cancelled(id).await;
        }
        let variables = json!({ "orderId": gid("Order", remote), "staffNote": STAFF_NOTE });
        let answer = shop.client.tell::<Cancelled>(CANCEL_ORDER, &variables).await;
        let refused = match answer {
            Ok(answer) => {
                answer.order_cancel.order_cancel_user_errors.first().map(|error| reason(error, &|_| false))
            }
            Err(error) => Some(error.to_string()),
        };
        // Shopify only takes the job: it is done once the order says so.
        if self.is_cancelled(shop, remote).await? {
            return self.cancelled(id).await;
        }
        match refused {
            Some(why) => Err(ShopifyError::Refused(format!("it could not be cancelled: {why}"))),
            None => {
                let next = self.now().saturating_add(millis(shop.pace.in_doubt));
                let asked = "the shop was asked to cancel it";
                Ok(self.store().write(move |tx| sending::put_off(tx, id, next, asked)).await?)
            }
        }
    }

    async fn cancelled(&self, id: OrderId) -> Result<(), ShopifyError> {
        tracing::info!(order = %id, "an order was cancelled at Shopify");
        Ok(self.store().write(move |tx| sending::done(tx, id)).await?)
    }

    async fn is_cancelled(&self, shop: &ShopifyShop, remote: i64) -> Result<bool, ShopifyError> {
        let answer: Nodes = shop.client.ask(ORDERS, &json!({ "ids": [gid("Order", remote)] })).await?;
        let order =
            answer.nodes.into_iter().filter_map(|node| serde_json::from_value::<FollowedOrder>(node).ok());
        let mut order = order.filter(|order| id_of(&order.legacy_resource_id) == Some(remote));
        Ok(order.next().is_some_and(|order| order.cancelled_at.is_some()))
    }

    async fn put_off(&self, shop: &ShopifyShop, id: OrderId, error: &ShopifyError) -> Result<(), ShopError> {
        let text = error.to_string();
        tracing::warn!(order = %id, error = text, "Shopify could not be asked about an order");
        let (now, pace): (UnixMillis, _) = (self.now(), shop.pace);
        let write = move |tx: &Tx<'_>| -> Result<(), ShopError> {
            let attempts = sending::one(tx, id)?.map_or(0, |sending| sending.attempts);
            let next = now.saturating_add(millis(pace.pause(attempts.saturating_add(1))));
            Ok(sending::put_off(tx, id, next, &text)?)
        };
        self.store().write(write).await
    }
}

fn there(node: &OrderNode) -> Option<There> {
    let name = node.name.as_deref().map(clean);
    let name = name.filter(|name| (1..=LONGEST_NAME).contains(&name.chars().count()));
    Some(There { id: id_of(&node.legacy_resource_id)?, name })
}

/// Which field is wrong and why, without anything that is private.
fn reason(error: &UserError, private: &dyn Fn(&str) -> bool) -> String {
    let field = error.field.as_ref().map(|path| path.join(".")).unwrap_or_default();
    let text = if field.is_empty() { error.message.clone() } else { format!("{field}: {}", error.message) };
    match (private(&text), private(&field)) {
        (false, _) => clean(&text),
        (true, false) => clean(&field),
        (true, true) => "it says why, with personal data in it".into(),
    }
}

fn without(error: ShopifyError, private: &dyn Fn(&str) -> bool) -> ShopifyError {
    let left_out = || "it says why, with personal data in it".to_owned();
    match error {
        ShopifyError::Refused(why) if private(&why) => ShopifyError::Refused(left_out()),
        ShopifyError::Failed(why) if private(&why) => ShopifyError::Failed(left_out()),
        ShopifyError::Denied(why) if private(&why) => ShopifyError::Denied(left_out()),
        ShopifyError::Nonsense(why) if private(&why) => ShopifyError::Nonsense(left_out()),
        other => other,
    }
}
