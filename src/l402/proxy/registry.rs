//! What strangers may read of proxies for free: manifests, API documents, and the registry of those that are listed.

use std::sync::Arc;

use serde_json::Value;

use super::PaidProxies;
use super::cache::Live;
use super::error::ProxyError;
use super::manage::{Page, json};
use super::store;
use crate::l402::manifest::{self, registry::Search};

/// Proxies that a search looks through.
const MOST: u64 = 10_000;

impl PaidProxies {
    /// A proxy's manifest.
    ///
    /// # Errors
    /// [`ProxyError::ProxyNotFound`] if it is not in service, [`ProxyError::ManifestNotFound`] if it is not shown.
    pub async fn manifest(&self, id: &str) -> Result<Value, ProxyError> {
        let live = self.shown(id).await?;
        Ok(manifest::document(&live.proxy, &live.endpoints, &self.rules().public_url, self.now()))
    }

    /// A proxy's OpenAPI document, with prices.
    ///
    /// # Errors
    /// As [`PaidProxies::manifest`].
    pub async fn openapi(&self, id: &str) -> Result<Value, ProxyError> {
        let live = self.shown(id).await?;
        Ok(manifest::openapi::document(&live.proxy, &live.endpoints, &self.rules().public_url))
    }

    /// A page of the registry, as JSON.
    ///
    /// # Errors
    /// The store's.
    pub async fn registry_json(&self, search: Search, page: Page) -> Result<Vec<u8>, ProxyError> {
        let mut listed = self.store().read(move |connection| store::listed(connection, MOST)).await?;
        let most = self.0.till.rules().max_price_sat;
        for (proxy, _) in &mut listed {
            proxy.default_price_sat = proxy.default_price_sat.min(most);
        }
        json(&manifest::registry::page(&listed, &search, page, &self.rules().public_url))
    }

    async fn shown(&self, id: &str) -> Result<Arc<Live>, ProxyError> {
        let live = self.live(id).await?;
        if !live.proxy.in_service() {
            return Err(ProxyError::ProxyNotFound);
        }
        if live.proxy.shows_manifest() { Ok(live) } else { Err(ProxyError::ManifestNotFound) }
    }
}
