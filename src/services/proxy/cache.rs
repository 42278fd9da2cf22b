//! The proxies in use, in memory: a paid request reads no row.
//!
//! Whoever changes a proxy calls [`Cache::forget`] once the change is committed, and again when the store has
//! answered; a generation keeps a slow reader from bringing the old one back.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::error::ProxyError;
use super::price::{Methods, Tariff};
use super::store::{Endpoint, Proxy};

/// Proxies remembered at once.
const MOST: usize = 4_096;

/// A proxy with all that a request needs.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) proxy: Proxy,
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) tariff: Tariff,
    pub(super) methods: Methods,
}

impl Live {
    /// Nothing of it costs more than `most` sats, whatever its owner asked for when more was allowed.
    pub(super) fn new(mut proxy: Proxy, mut endpoints: Vec<Endpoint>, most: u64) -> Result<Self, ProxyError> {
        let prices = endpoints.iter_mut().map(|endpoint| &mut endpoint.price_sat);
        let dear = prices.chain([&mut proxy.default_price_sat]).filter(|price| **price > most);
        let cut = dear.map(|price| *price = most).count();
        if cut > 0 {
            let proxy = &proxy.public_id;
            tracing::warn!(
                proxy,
                prices = cut,
                most,
                "a proxy's prices are above l402.max_price_sat, which is taken"
            );
        }
        let tariff = Tariff::new(&proxy, &endpoints).map_err(|error| {
            tracing::error!(%error, proxy = proxy.public_id, "a proxy's patterns in the database can't be read");
            ProxyError::Internal
        })?;
        let methods = Methods(proxy.allowed_methods.clone());
        Ok(Self { proxy, endpoints, tariff, methods })
    }
}

#[derive(Debug, Default)]
pub(super) struct Cache(RwLock<Known>);

#[derive(Debug, Default)]
struct Known {
    proxies: HashMap<String, Arc<Live>>,
    generation: u64,
}

impl Cache {
    pub(super) fn get(&self, id: &str) -> Option<Arc<Live>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).proxies.get(id).cloned()
    }

    /// To be asked before a proxy is read.
    pub(super) fn generation(&self) -> u64 {
        self.0.read().unwrap_or_else(PoisonError::into_inner).generation
    }

    /// Remembers a proxy, unless something was forgotten since it was read.
    pub(super) fn put(&self, live: &Arc<Live>, generation: u64) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.generation != generation {
            return;
        }
        if known.proxies.len() >= MOST {
            known.proxies.clear();
        }
        known.proxies.insert(live.proxy.public_id.clone(), Arc::clone(live));
    }

    /// Forgets a proxy that has changed.
    pub(super) fn forget(&self, id: &str) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.generation = known.generation.wrapping_add(1);
        known.proxies.remove(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::proxy::glob::Letters;
    use crate::services::proxy::store::tests::{endpoint, proxy};

    #[test]
    fn what_became_too_dear_is_sold_for_the_most_that_is_allowed() {
        let rows = [5, 7, 0].map(|sats| endpoint("GET", &format!("/{sats}"), sats)).to_vec();
        let live = Live::new(proxy(), rows, 6).unwrap();
        let sats = |path: &str| live.tariff.quote(&axum::http::Method::GET, &Letters::of(path)).sats;
        assert_eq!((sats("/5"), sats("/7"), sats("/0"), sats("/else")), (5, 6, 0, 6));
        assert_eq!(
            (live.proxy.default_price_sat, live.endpoints[1].price_sat),
            (6, 6),
            "its manifest says so"
        );
    }

    #[test]
    fn a_slow_reader_brings_nothing_old_back() {
        let cache = Cache::default();
        let live = Arc::new(Live::new(proxy(), Vec::new(), 100).unwrap());
        let before = cache.generation();
        cache.forget(&live.proxy.public_id);
        cache.put(&live, before);
        assert!(cache.get(&live.proxy.public_id).is_none());
        cache.put(&live, cache.generation());
        assert!(cache.get(&live.proxy.public_id).is_some());
        cache.forget(&live.proxy.public_id);
        assert!(cache.get(&live.proxy.public_id).is_none());
    }
}
