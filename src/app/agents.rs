//! Agents and those who sell requests know nothing of each other: what one needs of the other is translated here.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::AppError;
use crate::config::Config;
use crate::core::ids::{AccountId, Secret};
use crate::core::time::Clock;
use crate::http::events::EventLog;
use crate::services::agents::{
    AgentError, Listings, NewProxy, PreparedProxy, Preparing, ProxyBackend, ProxyChange, Publisher,
    ServerKey, Sold,
};
use crate::services::l402::{Asked, ProxyListener, ProxyState, Sale, SaleListener};
use crate::services::proxy::{PaidProxies, Prepared, ProxyError};
use crate::storage::{Store, StoreError, Tx};

/// What hears of sales and proxies for agents. Blocks.
pub(super) fn listings(
    config: &Config,
    store: &Store,
    seed: &Secret,
    log: EventLog,
    clock: Clock,
) -> Result<Listings, AppError> {
    let key = ServerKey::derive(seed).map_err(|error| AppError::System(error.to_string()))?;
    let publisher = Publisher::new(store, key, &config.nostr.relays)?;
    tracing::info!(pubkey = %publisher.pubkey(), relays = config.nostr.relays.len(), "agents' events are signed by this key");
    Ok(Listings::new(publisher, log, clock))
}

/// Tells agents of sales and proxies.
pub(crate) struct ListingListener(pub(crate) Listings);

impl SaleListener for ListingListener {
    fn asked(&self, tx: &Tx<'_>, asked: &Asked<'_>) -> Result<(), StoreError> {
        self.0.challenged(tx, asked.account, asked.resource, asked.price_sat)
    }

    fn sold(&self, tx: &Tx<'_>, sale: &Sale<'_>) -> Result<(), StoreError> {
        let Sale { account, proxy, resource, payment_hash, received } = *sale;
        self.0.sold(tx, &Sold { account, proxy, resource, payment_hash, received })
    }
}

impl ProxyListener for ListingListener {
    fn changed(&self, tx: &Tx<'_>, state: &ProxyState<'_>) -> Result<(), StoreError> {
        let ProxyState { id, serves, is_gone, price_sat } = *state;
        self.0.proxy_changed(tx, &ProxyChange { id, serves, is_gone, price_sat })
    }
}

/// Makes proxies for agents.
pub(crate) struct Backend(pub(crate) PaidProxies);

impl ProxyBackend for Backend {
    fn prepare(&self, owner: AccountId, new: NewProxy) -> Preparing<'_> {
        Box::pin(async move {
            let body = Map::from_iter([
                ("name".to_owned(), Value::from(new.name)),
                ("description".to_owned(), Value::from(new.description)),
                ("targetBaseUrl".to_owned(), Value::from(new.target)),
                ("defaultPriceSats".to_owned(), Value::from(new.price_sat)),
            ]);
            let change = self.0.read_new(&body).map_err(told)?;
            let prepared = self.0.prepare_new(Some(owner), change).await.map_err(told)?;
            Ok(Box::new(Ready(prepared.listed(new.categories))) as Box<dyn PreparedProxy>)
        })
    }

    fn serves(
        &self,
        connection: &rusqlite::Connection,
        owner: AccountId,
        id: &str,
    ) -> Result<bool, AgentError> {
        self.0.serves(connection, owner, id).map_err(told)
    }

    fn retire(&self, tx: &Tx<'_>, owner: AccountId, id: &str) -> Result<(), AgentError> {
        self.0.retire_in(tx, owner, id).map_err(told)
    }
}

struct Ready(Prepared);

impl PreparedProxy for Ready {
    fn insert(self: Box<Self>, tx: &Tx<'_>) -> Result<String, AgentError> {
        self.0.insert(tx).map_err(told)
    }
}

/// An error in the words of whoever asked: they named a target and a price, and no proxy.
fn told(error: ProxyError) -> AgentError {
    match error.status() {
        500 => AgentError::Internal,
        503 => AgentError::Unavailable,
        status => {
            let message = error.message();
            let message =
                message.replace("targetBaseUrl", "targetUrl").replace("defaultPriceSats", "priceSats");
            AgentError::Proxy { status, slug: error.slug(), message }
        }
    }
}

/// Both sides of a proxy's life, for whoever builds them.
pub(crate) fn listing_listener(listings: &Listings) -> Arc<ListingListener> {
    Arc::new(ListingListener(listings.clone()))
}
