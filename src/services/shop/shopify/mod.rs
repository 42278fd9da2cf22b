//! A Shopify shop behind a store: its catalogue and stock are read into our tables, claimed orders are written to it,
//! and what is sent there is sent here. Buyers are answered from our tables alone, so they don't notice when Shopify is
//! slow or down.
//!
//! ```text
//! Shopify ──products, variants, stock (`sync`)──▶ our tables ─▶ catalogue, checkout, payment, claim
//!    ▲                                                                                      │ same transaction
//!    └──────────── orderCreate, orderCancel (`orders`) ◀──────────── shopify_orders ◀───────┘
//! Shopify ──fulfilments, tracking (`follow`)──▶ our order is shipped
//! ```
//!
//! **Answers are not trusted.** A reading is applied only if all of it could be read; a product in it that makes no
//! sense (a negative price, too many pieces, a title with nothing in it) is left as it was and noted. The shop's
//! currency must be the store's.
//!
//! **Stock**: what Shopify says can be sold (what is committed to its own orders is not), less the pieces of paid orders
//! that were not known to be at Shopify when the reading began: also of those that were claimed before the shop was
//! connected, until they are sent. So an old reading never gives back what was sold since; at worst a piece counts twice until the next reading.
//!
//! **Orders** are made at Shopify once. What must be written there is durable in the claim's transaction; before the
//! request leaves, the row says `unknown`, and while it does, no other request is made before it was looked for the
//! order by its id there.
//!
//! # What a crash leaves behind
//!
//! | the process dies | what is there at the start | what happens |
//! |---|---|---|
//! | while a catalogue is read | the catalogue as it was | it is read again |
//! | while it is applied | the products that were applied, each whole | it is read again |
//! | after the claim | the order `waiting` | it is written |
//! | before or after the request that writes it | the order `unknown` | once no request can be under way any more, it is looked for at Shopify, and written if it is not there |
//! | while an order is cancelled there | the order `cancel` | it is looked at, and cancelled unless it is |

mod client;
mod error;
mod follow;
mod graphql;
mod input;
mod orders;
mod read;
mod run;
mod show;
pub(super) mod store;
mod sync;
mod throttle;
mod token;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Notify};

use self::client::Client;
use super::{Shop, ShopError};
use crate::config;
use crate::core::time::{Clock, UnixMillis};
use crate::outbound::fetch::NoClient;
use crate::outbound::guard::Guard;
use crate::services::shop::ids::OrderId;
use crate::services::shop::store::stores::ShopStore;
use crate::storage::Tx;

pub use error::ShopifyError;

/// The version of the Admin API whose schema the queries are written for.
pub const API_VERSION: &str = "2026-10";

/// How long to wait before trying again.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// After the first failure; each further one doubles it.
    pub first_pause: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
    /// How long a request may still be worked on at Shopify after its answer was lost.
    pub in_doubt: Duration,
    /// How long one request may take, look-up and answer included.
    pub request: Duration,
}

impl Pace {
    /// For Shopify.
    const REAL: Self = Self {
        first_pause: Duration::from_secs(30),
        longest_pause: Duration::from_secs(3_600),
        in_doubt: Duration::from_secs(120),
        request: Duration::from_secs(30),
    };

    /// For a test server on this machine, which works on nothing for long.
    const LOCAL: Self = Self {
        first_pause: Duration::from_secs(1),
        longest_pause: Duration::from_secs(60),
        in_doubt: Duration::from_secs(2),
        request: Duration::from_secs(3),
    };

    /// The pause after so many failures in a row.
    fn pause(&self, failures: u32) -> Duration {
        let doubled =
            self.first_pause.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1).min(20)));
        doubled.min(self.longest_pause)
    }
}

/// One Shopify shop.
pub struct ShopifyShop {
    slug: String,
    domain: String,
    client: Client,
    pace: Pace,
    /// The pause between two readings.
    every: Duration,
    /// One reading at a time: an older one must not be applied after a newer one.
    reading: Mutex<()>,
    /// One round of orders at a time.
    writing: Mutex<()>,
    /// There is an order to write.
    due: Notify,
}

impl fmt::Debug for ShopifyShop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShopifyShop")
            .field("slug", &self.slug)
            .field("domain", &self.domain)
            .finish_non_exhaustive()
    }
}

/// All of them, each behind a store of its own. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct ShopifyShops(Arc<Vec<Arc<ShopifyShop>>>);

impl ShopifyShop {
    /// Has the worker look for orders once this transaction is durable.
    fn wake_after(self: &Arc<Self>, tx: &Tx<'_>) {
        let shop = Arc::clone(self);
        tx.after_commit(move || shop.due.notify_one());
    }
}

impl ShopifyShops {
    /// As the operator configured them. Nothing is asked yet.
    ///
    /// # Errors
    /// [`NoClient`]: at start, or never.
    pub fn from_config(shops: &[config::Shopify], guard: &Guard, clock: &Clock) -> Result<Self, NoClient> {
        let shop = |shop: &config::Shopify| {
            let local = !shop.endpoint.is_empty();
            let pace = if local { Pace::LOCAL } else { Pace::REAL };
            let base = if local {
                shop.endpoint.trim_end_matches('/').to_owned()
            } else {
                format!("https://{}", shop.domain)
            };
            Ok(Arc::new(ShopifyShop {
                slug: shop.store.clone(),
                domain: shop.domain.clone(),
                client: Client::new(guard.client(pace.request)?, &base, shop, clock.clone()),
                pace,
                every: Duration::from_secs(shop.sync_secs),
                reading: Mutex::new(()),
                writing: Mutex::new(()),
                due: Notify::new(),
            }))
        };
        Ok(Self(Arc::new(shops.iter().map(shop).collect::<Result<_, _>>()?)))
    }

    /// The one behind a store.
    pub(super) fn behind(&self, slug: &str) -> Option<&Arc<ShopifyShop>> {
        self.0.iter().find(|shop| shop.slug == slug)
    }
}

impl Shop {
    /// Every Shopify shop; each wants to be [run](Shop::run_shopify).
    pub fn shopify_shops(&self) -> Vec<Arc<ShopifyShop>> {
        self.0.parts.shopify.0.to_vec()
    }

    /// Notes in the claim's transaction that an order must be written to the Shopify shop behind its store, if there
    /// is one.
    pub(super) fn write_to_shopify(
        &self,
        tx: &Tx<'_>,
        of: &ShopStore,
        order: OrderId,
        now: UnixMillis,
    ) -> Result<(), ShopError> {
        let Some(shop) = self.0.parts.shopify.behind(&of.slug) else { return Ok(()) };
        store::orders::intend(tx, of.id, order, now)?;
        shop.wake_after(tx);
        Ok(())
    }

    /// Notes in the transaction that gives an order up that it must be cancelled at Shopify, if it is or may be there.
    pub(super) fn cancel_at_shopify(
        &self,
        tx: &Tx<'_>,
        of: &ShopStore,
        order: OrderId,
        now: UnixMillis,
    ) -> Result<(), ShopError> {
        if store::orders::intend_cancel(tx, order, now)?
            && let Some(shop) = self.0.parts.shopify.behind(&of.slug)
        {
            shop.wake_after(tx);
        }
        Ok(())
    }
}
