//! The same request without a credential and with one: an order to pay, and what was bought by it.

use std::time::Duration;

use axum::http::HeaderMap;

use super::checkout::NewOrder;
use super::ports::{Challenge, Shown, Sold};
use super::store::orders::{self, Order};
use super::store::stores::ShopStore;
use super::view::BoughtView;
use super::{Shop, ShopError, view};
use crate::core::ids::PaymentHash;

/// How often it is looked whether a payment has settled.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What a checkout comes to.
#[derive(Debug)]
pub enum Outcome {
    /// It has to be paid first.
    Asked(Box<Asked>),
    /// It was paid: the answer as JSON.
    Bought(Vec<u8>),
}

/// An order to pay.
#[derive(Debug)]
pub struct Asked {
    /// The order.
    pub(super) order: Order,
    /// Of which store.
    pub(super) store: ShopStore,
    /// Its credential.
    pub(super) challenge: Challenge,
    /// What it is good for.
    pub(super) resource: String,
    /// Why what was shown doesn't do, if something was.
    pub(super) wrong: Option<String>,
}

impl Shop {
    /// Answers a checkout. A credential that is no proof of payment for an order of this store counts as none: it is
    /// answered with a new order to pay.
    ///
    /// # Errors
    /// [`ShopError::StoreNotFound`]; [`ShopError::Conflict`] for a paid order of something else;
    /// [`ShopError::Settling`]; as for a new order.
    pub async fn checkout(
        &self,
        slug: &str,
        headers: &HeaderMap,
        new: NewOrder,
        says_where: bool,
    ) -> Result<Outcome, ShopError> {
        let store = self.open_store_or_paid(slug, headers).await?;
        let resource = resource(slug);
        let wrong = match self.0.parts.credentials.read(headers, &resource, store.account) {
            Shown::Nothing => None,
            Shown::Wrong(why) => Some(why),
            Shown::Paid(hash) => match self.settled(&store, hash).await? {
                Some(order) => {
                    let same =
                        if says_where { new.is_of(&order, &store) } else { new.cart.is_of(&order.items) };
                    if !same {
                        let message = format!(
                            "This payment was for the order {}, which is for something else; send the request that it was made for",
                            order.key
                        );
                        return Err(ShopError::conflict("ORDER_MISMATCH", message));
                    }
                    return Ok(Outcome::Bought(self.bought(&store, &order)?));
                }
                None => Some("the payment was not for an order of this store".into()),
            },
        };
        if !store.active {
            return Err(ShopError::StoreNotFound);
        }
        let order = self.order(&store, new).await?;
        let challenge = self.challenge(&store, &order, &resource);
        Ok(Outcome::Asked(Box::new(Asked { order, store, challenge, resource, wrong })))
    }

    /// A store that is closed still gives out what was paid for.
    async fn open_store_or_paid(&self, slug: &str, headers: &HeaderMap) -> Result<ShopStore, ShopError> {
        let wanted = slug.to_owned();
        let read =
            self.store().read(move |connection| super::store::stores::by_slug(connection, &wanted)).await?;
        let shows = headers.contains_key(axum::http::header::AUTHORIZATION);
        read.filter(|store| store.active || shows).ok_or(ShopError::StoreNotFound)
    }

    /// The credential of an order. The same every time.
    pub(super) fn challenge(&self, store: &ShopStore, order: &Order, resource: &str) -> Challenge {
        self.0.parts.credentials.issue(&Sold {
            payment_hash: order.payment_hash,
            token: order.token,
            account: store.account,
            resource,
            amount_sat: order.price.sat_floor(),
            invoice: &order.invoice,
            description: &store.name,
            expires_at: order.expires_at,
        })
    }

    /// The order of a proved payment, once it has settled here. The payer may know the preimage a moment earlier than
    /// the books.
    async fn settled(&self, store: &ShopStore, hash: PaymentHash) -> Result<Option<Order>, ShopError> {
        let id = store.id;
        let mut waited = Duration::ZERO;
        loop {
            let found = self.store().read(move |connection| orders::by_hash(connection, id, hash)).await?;
            match found {
                Some(order) if order.paid_at.is_none() => {}
                found => return Ok(found),
            }
            if waited >= self.rules().settle_patience {
                return Err(ShopError::Settling);
            }
            tokio::time::sleep(LOOK_EVERY).await;
            waited = waited.saturating_add(LOOK_EVERY);
        }
    }

    fn bought(&self, store: &ShopStore, order: &Order) -> Result<Vec<u8>, ShopError> {
        super::json(&BoughtView {
            order_id: order.key,
            status: order.status,
            claim_token: order.claim_token.expose(),
            claim_page_url: self.page_url(&store.slug, order, true),
            total_usd: order.total_usd,
            total_sats: order.price.sat_floor(),
            paid_sats: order.received.sat_floor(),
            message: order.message(),
            items: view::items(&order.items, order.unit, self.rates()),
        })
    }

    /// The page of an order. Its token stands in the fragment, which browsers keep to themselves.
    pub(super) fn page_url(&self, slug: &str, order: &Order, may_claim: bool) -> String {
        let fragment = if may_claim {
            format!("claim={}", order.claim_token.expose())
        } else {
            format!("status={}", order.status_token.expose())
        };
        format!("{}/store/{slug}/orders/{}#{fragment}", self.rules().public_url, order.key)
    }
}

/// What a store's credentials are good for.
pub(super) fn resource(slug: &str) -> String {
    format!("/api/shopify/{slug}/checkout")
}
