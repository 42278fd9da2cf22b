//! Saying where an order goes. Once.

use axum::http::StatusCode;

use super::customer::Customer;
use super::location::Location;
use super::place::{self, Goods, Unnamed};
use super::status::OrderStatus;
use super::store::catalogue;
use super::store::customers::{self, LetterKind};
use super::store::orders::{self, Order};
use super::store::stores::{self, ShopStore};
use super::view::ClaimedView;
use super::{Shop, ShopError, json, letters};
use crate::crash_point;
use crate::http::idempotency::{IdempotencyKey, Reply, lookup, save};
use crate::storage::Tx;

/// Characters of a claim token.
const TOKEN_LEN: std::ops::RangeInclusive<usize> = 1..=20;

/// How an address names a state.
const NAME_A_STATE: &str = "shippingAddress.province must be";

/// A claim.
#[derive(Debug)]
pub struct Claim {
    /// From the paid checkout.
    pub token: crate::core::ids::Secret,
    /// Who claims.
    pub customer: Customer,
}

/// Reads `claimToken` of a body.
///
/// # Errors
/// [`ShopError::Invalid`].
pub fn token(
    fields: &serde_json::Map<String, serde_json::Value>,
) -> Result<crate::core::ids::Secret, ShopError> {
    let text = fields.get("claimToken").and_then(serde_json::Value::as_str);
    let text = text.filter(|text| TOKEN_LEN.contains(&text.chars().count()));
    text.map(crate::core::ids::Secret::new)
        .ok_or_else(|| ShopError::invalid("INVALID_CLAIM_TOKEN", "claimToken must have 1 to 20 characters"))
}

impl Shop {
    /// Takes who bought an order and where it goes.
    ///
    /// # Errors
    /// [`ShopError::StoreNotFound`]; [`ShopError::ClaimNotFound`]; [`ShopError::Conflict`] if it was claimed before
    /// or is refunded; [`ShopError::Invalid`] for a place where shipping or tax is not what was paid: the order can
    /// still be claimed with another; of the idempotency key; the store's.
    pub async fn claim(
        &self,
        slug: &str,
        claim: Claim,
        ask: Option<IdempotencyKey>,
    ) -> Result<Reply, ShopError> {
        let (shop, slug, now) = (self.clone(), slug.to_owned(), self.now());
        let written = self.store().write(move |tx| -> Result<Reply, ShopError> {
            if let Some(recorded) = lookup(tx, ask.as_ref())? {
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
            save(tx, ask.as_ref(), StatusCode::OK, &body, now)?;
            Ok(Reply::New(StatusCode::OK, body))
        });
        let done = written.await?;
        crash_point!("shop.after_claim");
        Ok(done)
    }
}

/// Shipping and tax were paid for one place; an address in another must cost no more.
fn check_place(tx: &Tx<'_>, store: &ShopStore, order: &Order, to: &Location) -> Result<(), ShopError> {
    if !order.ships {
        return Ok(());
    }
    let taxed = store.tax_shipping || catalogue::has_taxable(tx, order.id)?;
    let goods = Goods { ships: true, taxed };
    let there = place::costs(tx, store, to, goods, Unnamed::Refused(NAME_A_STATE))?;
    if *to == order.at {
        return Ok(());
    }
    let paid = place::costs(tx, store, &order.at, goods, Unnamed::Highest)?;
    let free = |at: &Location| {
        at.country == store.home.country && store.free_from.is_some_and(|from| order.bill.subtotal >= from)
    };
    let shipping_there = if free(to) { there.shipping.map(|_| 0) } else { there.shipping };
    let shipping_now = if free(&order.at) { 0 } else { paid.shipping.unwrap_or(0) };
    // What was paid counts, and what the same place costs today.
    let shipping_paid = order.bill.shipping.max(shipping_now);
    let tax_paid = if order.bill.tax == 0 { 0 } else { paid.tax_ppm };
    if shipping_there.is_some_and(|there| there <= shipping_paid) && there.tax_ppm <= tax_paid {
        return Ok(());
    }
    let (to, at) = (to.shown(), order.at.shown());
    let message = format!(
        "The address is in {to}, and this order was priced for {at}: shipping or tax are higher, or nothing is sent there. It stays paid: claim it with an address in {at}, or ask the seller to cancel it, which gives the sats back"
    );
    Err(ShopError::invalid("ADDRESS_MISMATCH", message))
}
