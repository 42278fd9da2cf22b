//! Proxies: somebody's HTTP service, sold by the request.
//!
//! An owner names a service, prices and patterns (`manage`); whoever asks below `/l402/proxy/{proxyId}/` pays and is
//! passed on (`serve`). The order of a request, and what each step may cost whoever asks:
//!
//! 1. the proxy, its methods, the path's one reading ([`path`]), and, after so many a minute for whoever shows no
//!    good credential, its patterns ([`glob`]): refused for free;
//! 2. the price ([`price`]) and the challenger: 402 with an invoice, made before the upstream hears of anything;
//! 3. a place among those on their way (`flights`): 503 if there is none, and what was paid is good for another try;
//! 4. the upstream (`forward`): headers filtered (`headers`), bodies streamed and bounded both ways (`body`),
//!    redirects within the service handed back (`links`), addresses guarded at every connection;
//! 5. if it gives no answer, 502 or 504, and what was paid is good for another try.
//!
//! Whoever sells and whoever buys are strangers to the operator: an upstream's answer never speaks for this server,
//! and the owner's secret header is in no answer, log or debug line.
//!
//! **Browsers.** A page of any site may ask and read everything: a preflight is answered here, free and whatever the
//! proxy, with the headers that were asked for; every other answer, ours or the upstream's, says `*` and exposes
//! `WWW-Authenticate`, `Payment-Receipt` and `Retry-After`. What the upstream says of origins, credentials, methods
//! and headers is dropped, since it is not the origin that the browser asked; what it exposes of its own headers is
//! kept. An `OPTIONS` that is no preflight is a request like any other: allowed or not, priced, passed on.

mod admin;
pub mod api;
mod body;
mod bought;
mod cache;
mod concurrency;
pub(in crate::services) mod endpoints;
pub mod error;
mod forward;
pub mod glob;
mod headers;
mod ids;
mod links;
mod make;
pub(in crate::services) mod manage;
pub mod path;
pub mod price;
mod registry;
pub mod request;
mod rules;
mod serve;
pub(in crate::services) mod store;
pub mod target;
#[cfg(test)]
mod tests;
pub(in crate::services) mod view;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use crate::core::time::{Clock, UnixMillis};
use crate::http::limits::{Limits, Rate};
use crate::outbound::fetch::{GuardedClient, NoClient, StreamSettings};
use crate::services::l402::{L402, ProxyListener};
use crate::storage::Store;

pub use error::ProxyError;
pub use make::Prepared;
pub use registry::{SoldService, StoreListings};
pub use rules::Rules;
pub use target::Targets;

/// Connections kept open to one upstream.
const IDLE_CONNECTIONS: usize = 32;

/// What the service is built from.
pub struct Parts {
    /// The rows.
    pub store: Store,
    /// The time.
    pub clock: Clock,
    /// The challenger.
    pub challenger: L402,
    /// Limits.
    pub rules: Rules,
    /// How often one client may ask for what is free. What is paid for is not counted.
    pub quotas: Arc<Limits>,
    /// Where upstreams may be.
    pub targets: Targets,
}

/// The service. Cheap to clone.
#[derive(Clone)]
pub struct PaidProxies(Arc<Inner>);

struct Inner {
    store: Store,
    clock: Clock,
    challenger: L402,
    rules: Rules,
    quotas: Arc<Limits>,
    unpaid: Rate,
    targets: Targets,
    client: GuardedClient,
    cache: Arc<cache::Cache>,
    concurrency: Arc<concurrency::ConcurrencyLimits>,
    closing: Arc<AtomicBool>,
    listener: Option<Arc<dyn ProxyListener>>,
    stores: OnceLock<Arc<dyn StoreListings>>,
}

impl PaidProxies {
    /// Builds the service.
    ///
    /// # Errors
    /// [`NoClient`].
    pub fn new(parts: Parts) -> Result<Self, NoClient> {
        Self::build(parts, None)
    }

    /// Builds the service, with who else is told of what becomes of proxies.
    ///
    /// # Errors
    /// [`NoClient`].
    pub fn telling(parts: Parts, listener: Arc<dyn ProxyListener>) -> Result<Self, NoClient> {
        Self::build(parts, Some(listener))
    }

    fn build(parts: Parts, listener: Option<Arc<dyn ProxyListener>>) -> Result<Self, NoClient> {
        let client = parts.targets.guard().streaming_client(StreamSettings {
            connect_timeout: parts.rules.connect_timeout,
            idle_connections: IDLE_CONNECTIONS,
        })?;
        let unpaid = Rate::per_minute(parts.rules.unpaid_per_minute);
        let concurrency = concurrency::ConcurrencyLimits::new(parts.rules.max_in_flight);
        Ok(Self(Arc::new(Inner {
            store: parts.store,
            clock: parts.clock,
            challenger: parts.challenger,
            rules: parts.rules,
            quotas: parts.quotas,
            unpaid,
            targets: parts.targets,
            client,
            cache: Arc::default(),
            concurrency,
            closing: Arc::default(),
            listener,
            stores: OnceLock::new(),
        })))
    }

    /// Limits.
    pub fn rules(&self) -> &Rules {
        &self.0.rules
    }

    /// This server ends: answers that are cut off from now on are not their readers' doing.
    pub fn close(&self) {
        self.0.closing.store(true, Ordering::Relaxed);
    }

    fn store(&self) -> &Store {
        &self.0.store
    }

    fn now(&self) -> UnixMillis {
        self.0.clock.now()
    }
}
