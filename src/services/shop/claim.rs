//! Saying where an order goes. Once.

use axum::http::StatusCode;

use super::customer::Customer;
use super::status::OrderStatus;
use super::store::customers::{self, LetterKind};
use super::store::orders;
use super::store::stores;
use super::view::ClaimedView;
use super::{Shop, ShopError, json, letters};
use crate::crash_point;
use crate::http::idempotency::{Ask, Reply, remember, seen};

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
    /// or is refunded; [`ShopError::Invalid`] for a country that the order was not priced for; of the idempotency
    /// key; the store's.
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
            if order.ships && claim.customer.address.code() != order.at.country {
                let message = format!(
                    "This order was priced for {}; it can only go there, or be refunded by the seller",
                    order.at.country
                );
                return Err(ShopError::invalid("ADDRESS_MISMATCH", message));
            }
            customers::insert(tx, order.id, &claim.customer)?;
            orders::claimed(tx, order.id, now)?;
            if shop.0.parts.mail.is_some() {
                let give_up_at = now.saturating_add(letters::GOOD_FOR_MS);
                customers::queue_letter(tx, order.id, LetterKind::Claimed, now, give_up_at)?;
            }
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
