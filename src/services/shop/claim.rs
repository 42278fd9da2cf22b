//! Saying where an order goes. Once.

use axum::http::StatusCode;

use super::customer::Customer;
use super::location::Location;
use super::status::OrderStatus;
use super::store::customers::{self, LetterKind};
use super::store::orders::{self, Order};
use super::store::stores::{self, ShopStore, Table};
use super::view::ClaimedView;
use super::{Shop, ShopError, json, letters};
use crate::crash_point;
use crate::http::idempotency::{Ask, Reply, remember, seen};
use crate::store::{StoreError, Tx};

/// Characters of a claim token.
const TOKEN_LEN: std::ops::RangeInclusive<usize> = 1..=20;

/// A claim.
#[derive(Debug)]
pub struct Claim {
    /// From the paid checkout.
    pub token: crate::ids::Secret,
    /// Who claims.
    pub customer: Customer,
}

/// Reads `claimToken` of a body.
///
/// # Errors
/// [`ShopError::Invalid`].
pub fn token(fields: &serde_json::Map<String, serde_json::Value>) -> Result<crate::ids::Secret, ShopError> {
    let text = fields.get("claimToken").and_then(serde_json::Value::as_str);
    let text = text.filter(|text| TOKEN_LEN.contains(&text.chars().count()));
    text.map(crate::ids::Secret::new)
        .ok_or_else(|| ShopError::invalid("INVALID_CLAIM_TOKEN", "claimToken must have 1 to 20 characters"))
}

impl Shop {
    /// Takes who bought an order and where it goes.
    ///
    /// # Errors
    /// [`ShopError::StoreNotFound`]; [`ShopError::ClaimNotFound`]; [`ShopError::Conflict`] if it was claimed before
    /// or is refunded; [`ShopError::Invalid`] for a place where shipping or tax is not what was paid: the order can
    /// still be claimed with another; of the idempotency key; the store's.
    pub async fn claim(&self, slug: &str, claim: Claim, ask: Option<Ask>) -> Result<Reply, ShopError> {
        let (shop, slug, now) = (self.clone(), slug.to_owned(), self.now());
        let written = self.store().write(move |tx| -> Result<Reply, ShopError> {
            if let Some(recorded) = seen(tx, ask.as_ref())? {
                return Ok(Reply::Replayed(recorded));
            }
            let store = stores::by_slug(tx, &slug)?.ok_or(ShopError::StoreNotFound)?;
            let found = orders::by_claim(tx, store.id, claim.token.expose())?;
            let order = found.ok_or(ShopError::ClaimNotFound)?;
            match order.status {
                OrderStatus::AwaitingDetails => {}
                OrderStatus::Processing | OrderStatus::Shipped => {
                    let message = format!("The order {} was claimed before", order.key);
                    return Err(ShopError::conflict("ALREADY_CLAIMED", message));
                }
                _ => return Err(ShopError::conflict("NOT_CLAIMABLE", order.message())),
            }
            check_place(tx, &store, &order, &claim.customer.address.location())?;
            customers::insert(tx, order.id, &claim.customer)?;
            orders::claimed(tx, order.id, now)?;
            if shop.0.parts.mail.is_some() {
                let give_up_at = now.saturating_add(letters::GOOD_FOR_MS);
                customers::queue_letter(tx, order.id, LetterKind::Claimed, now, give_up_at)?;
            }
            shop.write_to_shopify(tx, &store, order.id, now)?;
            let order = orders::by_id(tx, order.id)?;
            shop.notifier().tell(tx, &order, "order.claimed", now)?;
            let body = json(&ClaimedView {
                order_id: order.key,
                status: order.status,
                shopify_order_number: order.shown_number(),
                claim_page_url: shop.page_url(&store.slug, &order, true),
                message: order.message(),
            })?;
            remember(tx, ask.as_ref(), StatusCode::OK, &body, now)?;
            Ok(Reply::New(StatusCode::OK, body))
        });
        let done = written.await?;
        crash_point!("shop.after_claim");
        Ok(done)
    }
}

/// Shipping and tax were paid for one place; an address in another must cost no more.
fn check_place(tx: &Tx<'_>, store: &ShopStore, order: &Order, to: &Location) -> Result<(), ShopError> {
    if *to == order.at || !order.ships {
        return Ok(());
    }
    let there = shipping_and_tax(tx, store, order, to)?;
    let paid = shipping_and_tax(tx, store, order, &order.at)?;
    if let (Some(there), Some(paid)) = (there, paid)
        && there.0 <= paid.0
        && there.1 <= paid.1
    {
        return Ok(());
    }
    let (to, at) = (to.shown(), order.at.shown());
    let message = format!(
        "The address is in {to}, and this order was priced for {at}: shipping or tax are higher, or nothing is sent there. It stays paid: claim it with an address in {at}, or ask the seller to cancel it, which gives the sats back"
    );
    Err(ShopError::invalid("ADDRESS_MISMATCH", message))
}

/// What an order costs in a place besides its pieces: shipping, and tax in parts per million; `None` if it is not sent
/// there.
fn shipping_and_tax(
    tx: &Tx<'_>,
    store: &ShopStore,
    order: &Order,
    at: &Location,
) -> Result<Option<(u64, u64)>, StoreError> {
    let free =
        at.country == store.home.country && store.free_from.is_some_and(|from| order.bill.subtotal >= from);
    let shipping = if order.ships { stores::value(tx, Table::Shipping, store.id, at)? } else { Some(0) };
    let priced = stores::value(tx, Table::Taxes, store.id, &order.at)?.unwrap_or(0);
    // Nothing of it is taxed anywhere.
    let untaxed = order.bill.tax == 0 && priced > 0;
    let tax = if untaxed { 0 } else { stores::value(tx, Table::Taxes, store.id, at)?.unwrap_or(0) };
    Ok(shipping.map(|shipping| (if free { 0 } else { shipping }, tax)))
}
