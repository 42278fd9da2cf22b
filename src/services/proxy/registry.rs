//! What strangers may read of proxies for free: manifests, API documents, and the registry of those that are listed.

use std::sync::Arc;

use axum::http::Method;
use futures_util::future::BoxFuture;
use serde_json::Value;

use super::PaidProxies;
use super::cache::Live;
use super::error::ProxyError;
use super::glob::Letters;
use super::manage::{Page, json};
use super::serve::split;
use super::store;
use super::view::path_of;
use crate::core::ids::AccountId;
use crate::http::client::Client;
use crate::http::limits::{Allowance, Class};
use crate::services::manifest::registry::{Listing, Search};
use crate::services::manifest::{self, stores::StoreListing};

/// Proxies that a search looks through.
const MOST: u64 = 10_000;

/// What a service is sold by.
const ROOT: &str = "/";

/// Below a proxy, what tells of it.
const OPENAPI: &str = "/openapi.json";
const FREE: [&str; 2] = ["/.well-known/l402-manifest.json", OPENAPI];

/// A service that is sold and listed.
#[derive(Clone, Debug)]
pub struct SoldService {
    /// Its id.
    pub id: String,
    /// Whose it is; `None` is the operator's own.
    pub account: Option<AccountId>,
    /// The path of its root, and what a token for that is good for.
    pub path: String,
    /// For people.
    pub name: String,
    /// For people.
    pub description: String,
    /// What a request costs.
    pub price_sat: u64,
    /// Seconds for which a token is good, if its owner says so.
    pub token_validity_secs: Option<u64>,
}

impl SoldService {
    /// What is sold of a proxy; `None` if its root can't be bought.
    fn of(live: &Live) -> Option<Self> {
        let opens = live.methods.allows(&Method::GET) && live.tariff.offers(&Letters::of(ROOT));
        opens.then(|| Self {
            id: live.proxy.public_id.clone(),
            account: live.proxy.account,
            path: format!("{}{ROOT}", path_of(&live.proxy.public_id)),
            name: live.proxy.name.clone(),
            description: live.proxy.description.clone().unwrap_or_default(),
            price_sat: live.tariff.quote(&Method::GET, &Letters::of(ROOT)).sats,
            token_validity_secs: live.proxy.token_validity_secs,
        })
    }
}

/// Knows the stores of the registry. `app` registers it.
pub trait StoreListings: Send + Sync + 'static {
    /// All that are open and sell something.
    fn all(&self) -> BoxFuture<'_, Result<Vec<StoreListing>, ProxyError>>;

    /// One of them.
    fn one<'a>(&'a self, slug: &'a str) -> BoxFuture<'a, Result<Option<StoreListing>, ProxyError>>;
}

impl PaidProxies {
    /// Services that their owners list and whose root can be bought with `GET`, newest first, at what that costs.
    ///
    /// # Errors
    /// The store's.
    pub async fn sold(&self) -> Result<Vec<SoldService>, ProxyError> {
        if !self.rules().enabled {
            return Ok(Vec::new());
        }
        let most = self.0.challenger.rules().max_price_sat;
        let read = move |connection: &rusqlite::Connection| -> Result<Vec<Live>, ProxyError> {
            let listed = store::listed(connection, MOST)?;
            let whole = listed.into_iter().map(|(proxy, _)| {
                let endpoints = store::endpoints(connection, proxy.id)?;
                Live::new(proxy, endpoints, most)
            });
            whole.collect()
        };
        let listed = self.store().read(read).await?;
        Ok(listed.iter().filter_map(SoldService::of).collect())
    }

    /// One of them.
    ///
    /// # Errors
    /// The store's.
    pub async fn sold_one(&self, id: &str) -> Result<Option<SoldService>, ProxyError> {
        if !self.rules().enabled {
            return Ok(None);
        }
        match self.live(id).await {
            Ok(live) if live.proxy.shows_manifest() && live.proxy.manifest.listed => {
                Ok(SoldService::of(&live))
            }
            Ok(_) | Err(ProxyError::ProxyNotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What is free below a proxy: a document that tells what it sells, and what of the client's quota is left, if
    /// that is asked for and its owner shows it. Whatever else is asked for there is the upstream's.
    ///
    /// # Errors
    /// [`ProxyError::ProxyNotFound`]; the store's.
    pub(super) async fn free(
        &self,
        client: Client,
        (method, path): (&Method, &str),
    ) -> Result<Option<(Allowance, Option<Value>)>, ProxyError> {
        let Some((id, rest)) = split(path) else { return Ok(None) };
        if !FREE.contains(&rest) || !matches!(*method, Method::GET | Method::HEAD) {
            return Ok(None);
        }
        let live = self.live(id).await?;
        if !live.proxy.shows_manifest() {
            return Ok(None);
        }
        let allowance = self.0.quotas.check(Class::Read, client);
        let url = &self.rules().public_url;
        let document = || match rest {
            OPENAPI => manifest::openapi::document(&live.proxy, &live.endpoints, url),
            _ => manifest::document(&live.proxy, &live.endpoints, url, self.now()),
        };
        Ok(Some((allowance, allowance.retry_after.is_none().then(document))))
    }

    /// A page of the registry, as JSON.
    ///
    /// # Errors
    /// The store's.
    pub async fn registry_json(&self, search: Search, page: Page) -> Result<Vec<u8>, ProxyError> {
        let proxies = self.store().read(move |connection| store::listed(connection, MOST)).await?;
        let (most, url) = (self.0.challenger.rules().max_price_sat, &self.rules().public_url);
        let mut listed: Vec<_> = proxies
            .into_iter()
            .map(|(mut proxy, endpoints)| {
                proxy.default_price_sat = proxy.default_price_sat.min(most);
                Listing::of_proxy(&proxy, endpoints, url)
            })
            .collect();
        if let Some(stores) = self.0.stores.get() {
            listed.extend(stores.all().await?.iter().map(|store| store.listing(url)));
        }
        json(&manifest::registry::page(&listed, &search, page))
    }

    /// The manifest of a store, as JSON.
    ///
    /// # Errors
    /// [`ProxyError::NotFound`]; the store's.
    pub async fn store_manifest_json(&self, slug: &str) -> Result<Vec<u8>, ProxyError> {
        let stores = self.0.stores.get().ok_or(ProxyError::NotFound)?;
        let store = stores.one(slug).await?.ok_or(ProxyError::NotFound)?;
        json(&store.document(&self.rules().public_url, self.now()))
    }

    /// Lists stores too. Once, at start.
    pub fn list_stores(&self, stores: Arc<dyn StoreListings>) {
        let _first = self.0.stores.set(stores);
    }
}
