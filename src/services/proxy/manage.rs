//! What owners do with their proxies. An account sees its own only; the operator, through `admin`, all.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};

use super::cache::Live;
use super::error::ProxyError;
use super::request::{Bounds, Change, SettingsChange};
use super::store::{self, Owner, Proxy};
use super::view::{DeletedView, ProxiesView, ProxyDetailView, RetiredView, SettingsView};
use super::{PaidProxies, ids};
use crate::core::ids::AccountId;
use crate::http::respond;
use crate::services::l402::hooks::ProxyState;
use crate::storage::Tx;

/// How often another id is tried for a new proxy.
const ATTEMPTS: u32 = 8;

/// Whose proxies may be seen and changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// All: the operator.
    Operator,
    /// This account's.
    Account(AccountId),
}

impl Who {
    fn may(self, proxy: &Proxy) -> bool {
        match self {
            Self::Operator => true,
            Self::Account(account) => proxy.account == Some(account),
        }
    }
}

/// Part of a list.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// From 1.
    pub number: u64,
    /// Items in it.
    pub size: u64,
}

impl Page {
    /// Items before it.
    pub fn skip(self) -> u64 {
        self.number.saturating_sub(1).saturating_mul(self.size)
    }
}

impl PaidProxies {
    /// Reads a new proxy.
    ///
    /// # Errors
    /// [`ProxyError::Invalid`].
    pub fn read_new(&self, body: &Map<String, Value>) -> Result<Change, ProxyError> {
        Change::read_new(body, &self.0.targets, self.bounds())
    }

    /// Reads a change of a proxy.
    ///
    /// # Errors
    /// [`ProxyError::Invalid`].
    pub fn read_change(&self, body: &Map<String, Value>) -> Result<Change, ProxyError> {
        Change::read(body, &self.0.targets, self.bounds())
    }

    pub(super) fn bounds(&self) -> Bounds {
        Bounds { timeout: self.rules().max_timeout.as_secs(), sats: self.0.challenger.rules().max_price_sat }
    }

    /// A page of proxies, newest first, as JSON.
    ///
    /// # Errors
    /// The store's.
    pub async fn list_json(&self, who: Who, page: Page) -> Result<Vec<u8>, ProxyError> {
        let owner = match who {
            Who::Operator => Owner::Anybody,
            Who::Account(account) => Owner::Account(account),
        };
        let read =
            move |connection: &rusqlite::Connection| store::list(connection, owner, page.skip(), page.size);
        let (found, total) = self.store().read(read).await?;
        let base = self.rules().base_path();
        let items = found.iter().map(|proxy| ProxyDetailView::new(proxy, None, base)).collect();
        json(&ProxiesView { items, total, page: page.number, page_size: page.size })
    }

    /// How many proxies an account has, and how many of them sell.
    ///
    /// # Errors
    /// The store's.
    pub async fn count(&self, account: AccountId) -> Result<(u64, u64), ProxyError> {
        self.store().read(move |connection| store::count(connection, account)).await
    }

    /// A proxy with its endpoints, as JSON.
    ///
    /// # Errors
    /// [`ProxyError::ProxyNotFound`], also for another account's; the store's.
    pub async fn one_json(&self, who: Who, id: String) -> Result<Vec<u8>, ProxyError> {
        let read = move |connection: &rusqlite::Connection| -> Result<_, ProxyError> {
            let proxy = owned(connection, who, &id)?;
            let endpoints = store::endpoints(connection, proxy.id)?;
            Ok((proxy, endpoints))
        };
        let (proxy, endpoints) = self.store().read(read).await?;
        json(&ProxyDetailView::new(&proxy, Some(&endpoints), self.rules().base_path()))
    }

    /// Changes a proxy; answers it as JSON.
    ///
    /// # Errors
    /// [`ProxyError::ProxyNotFound`], [`ProxyError::Invalid`], the store's.
    pub async fn change(&self, who: Who, id: String, change: Change) -> Result<Vec<u8>, ProxyError> {
        let proxy = self.write(who, id, move |_, proxy, _| change.apply(proxy)).await?.0;
        json(&ProxyDetailView::new(&proxy, None, self.rules().base_path()))
    }

    /// Changes what a proxy's manifest says; answers that as JSON.
    ///
    /// # Errors
    /// [`ProxyError::ProxyNotFound`], the store's.
    pub async fn change_settings(
        &self,
        who: Who,
        id: String,
        change: SettingsChange,
    ) -> Result<Vec<u8>, ProxyError> {
        let apply = move |_: &Tx<'_>, proxy: &mut Proxy, _| {
            change.apply(proxy);
            Ok(())
        };
        let proxy = self.write(who, id, apply).await?.0;
        json(&SettingsView::new(&proxy, self.rules().base_path()))
    }

    /// Takes a proxy out of service for good; answers whether it was so before, as JSON.
    ///
    /// # Errors
    /// [`ProxyError::ProxyNotFound`], the store's.
    pub async fn retire(&self, who: Who, id: String, reason: Option<String>) -> Result<Vec<u8>, ProxyError> {
        let retire = move |_: &Tx<'_>, proxy: &mut Proxy, now| {
            let before = proxy.retired_at.is_some();
            if !before {
                proxy.retired_at = Some(now);
                proxy.retired_reason = reason;
            }
            Ok(before)
        };
        let (proxy, already_retired) = self.write(who, id, retire).await?;
        json(&RetiredView { proxy_id: &proxy.public_id, retired: true, already_retired })
    }

    /// Takes a proxy away with its endpoints; answers so as JSON.
    ///
    /// # Errors
    /// [`ProxyError::ProxyNotFound`], the store's.
    pub async fn delete(&self, who: Who, id: String) -> Result<Vec<u8>, ProxyError> {
        let cache = Arc::clone(&self.0.cache);
        let (this, wanted) = (self.clone(), id.clone());
        let deleted = self.store().write(move |tx| -> Result<(), ProxyError> {
            let proxy = owned(tx, who, &wanted)?;
            this.tell(tx, &ProxyState::gone(&proxy))?;
            store::delete(tx, proxy.id)?;
            tx.after_commit(move || cache.forget(&wanted));
            Ok(())
        });
        let deleted = deleted.await;
        self.0.cache.forget(&id);
        deleted?;
        json(&DeletedView { proxy_id: &id, deleted: true })
    }

    /// The proxy of an id, in service or not, from memory if it is there.
    pub(super) async fn live(&self, id: &str) -> Result<Arc<Live>, ProxyError> {
        if let Some(live) = self.0.cache.get(id) {
            return Ok(live);
        }
        let generation = self.0.cache.generation();
        let wanted = id.to_owned();
        let read = move |connection: &rusqlite::Connection| -> Result<_, ProxyError> {
            let proxy = store::by_public_id(connection, &wanted)?.ok_or(ProxyError::ProxyNotFound)?;
            let endpoints = store::endpoints(connection, proxy.id)?;
            Ok((proxy, endpoints))
        };
        let (proxy, endpoints) = self.store().read(read).await?;
        let live = Arc::new(Live::new(proxy, endpoints, self.0.challenger.rules().max_price_sat)?);
        self.0.cache.put(&live, generation);
        Ok(live)
    }

    /// The id of an account by its name.
    pub(super) async fn account(&self, name: String) -> Result<Option<AccountId>, ProxyError> {
        self.store().read(move |connection| store::account(connection, &name)).await
    }

    /// One transaction over a proxy that may be changed.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        who: Who,
        id: String,
        change: impl FnOnce(&Tx<'_>, &mut Proxy, i64) -> Result<T, ProxyError> + Send + 'static,
    ) -> Result<(Proxy, T), ProxyError> {
        let (this, now) = (self.clone(), self.now());
        let wanted = id.clone();
        let written = self
            .store()
            .write(move |tx| -> Result<_, ProxyError> { this.write_in(tx, who, &wanted, now, change) });
        let written = written.await;
        self.0.cache.forget(&id);
        written
    }
}

pub(super) fn owned(connection: &rusqlite::Connection, who: Who, id: &str) -> Result<Proxy, ProxyError> {
    let found = store::by_public_id(connection, id)?;
    found.filter(|proxy| who.may(proxy)).ok_or(ProxyError::ProxyNotFound)
}

pub(super) fn free_id(tx: &Tx<'_>, name: &str) -> Result<String, ProxyError> {
    for attempt in 0..ATTEMPTS {
        let id = ids::new_id(name, attempt)?;
        if store::is_free(tx, &id)? {
            return Ok(id);
        }
    }
    tracing::error!("no free id was found for a proxy");
    Err(ProxyError::Internal)
}

/// An answer as JSON.
pub(super) fn json(value: &impl Serialize) -> Result<Vec<u8>, ProxyError> {
    Ok(respond::to_json(value)?)
}
