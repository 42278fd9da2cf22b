//! Making proxies: the target is checked first, which may take a while; the row is written in one's own transaction, or
//! in that of whoever sells something by it.

use super::PaidProxies;
use super::cache::Cache;
use super::error::ProxyError;
use super::manage::{Who, free_id, json, owned};
use super::request::{Change, DEFAULT_SATS, DEFAULT_TIMEOUT};
use super::store::{self, ManifestSettings, Proxy};
use super::view::ProxyView;
use crate::core::ids::AccountId;
use crate::core::time::UnixMillis;
use crate::services::l402::hooks::ProxyState;
use crate::storage::Tx;

use std::sync::Arc;

/// A proxy whose target has been checked and that is not there yet.
pub struct Prepared {
    proxy: Proxy,
    most: u64,
}

impl Prepared {
    /// With categories, in the registry of what is sold.
    #[must_use]
    pub fn listed(mut self, categories: Vec<String>) -> Self {
        self.proxy.manifest.listed = true;
        self.proxy.manifest.categories = categories;
        self
    }

    /// Makes it; answers its public id.
    ///
    /// # Errors
    /// [`ProxyError::Invalid`] if the account has as many as it may; the store's.
    pub fn insert(self, tx: &Tx<'_>) -> Result<String, ProxyError> {
        Ok(self.insert_whole(tx)?.public_id)
    }

    fn insert_whole(mut self, tx: &Tx<'_>) -> Result<Proxy, ProxyError> {
        if let Some(account) = self.proxy.account
            && store::count_live(tx, account)? >= self.most
        {
            let message = format!("an account has at most {} proxies; retire one", self.most);
            return Err(ProxyError::invalid("too_many_proxies", message));
        }
        self.proxy.public_id = free_id(tx, &self.proxy.name)?;
        self.proxy.id = store::insert(tx, &self.proxy)?;
        Ok(self.proxy)
    }
}

impl PaidProxies {
    /// Checks a new proxy for an account, or for the operator.
    ///
    /// # Errors
    /// [`ProxyError::Invalid`].
    pub async fn prepare_new(
        &self,
        owner: Option<AccountId>,
        change: Change,
    ) -> Result<Prepared, ProxyError> {
        let now = self.now();
        let mut proxy = Proxy {
            id: 0,
            public_id: String::new(),
            account: owner,
            name: String::new(),
            description: None,
            target_url: String::new(),
            default_price_sat: DEFAULT_SATS,
            is_active: true,
            retired_at: None,
            retired_reason: None,
            auth: None,
            timeout_secs: DEFAULT_TIMEOUT.min(self.rules().max_timeout.as_secs()),
            allowed_methods: Vec::new(),
            allowed_paths: Vec::new(),
            blocked_paths: Vec::new(),
            token_validity_secs: None,
            manifest: ManifestSettings { enabled: true, ..ManifestSettings::default() },
            created_at: now,
            updated_at: now,
        };
        change.apply(&mut proxy)?;
        Ok(Prepared { proxy, most: self.rules().max_proxies })
    }

    /// Makes a proxy for an account, or for the operator; answers it as JSON.
    ///
    /// # Errors
    /// [`ProxyError::Invalid`], also if the account has as many as it may; the store's.
    pub async fn create(&self, owner: Option<AccountId>, change: Change) -> Result<Vec<u8>, ProxyError> {
        let prepared = self.prepare_new(owner, change).await?;
        let written = self.store().write(move |tx| prepared.insert_whole(tx)).await?;
        json(&ProxyView::new(&written, self.rules().base_path()))
    }

    /// Whether an account has a proxy of this public id that is in service.
    ///
    /// # Errors
    /// The store's.
    pub fn serves(
        &self,
        connection: &rusqlite::Connection,
        account: AccountId,
        id: &str,
    ) -> Result<bool, ProxyError> {
        let found = store::by_public_id(connection, id)?;
        Ok(found.is_some_and(|proxy| proxy.account == Some(account) && proxy.in_service()))
    }

    /// Takes an account's proxy out of service for good, in somebody's transaction. One that is gone is fine.
    ///
    /// # Errors
    /// The store's.
    pub fn retire_in(&self, tx: &Tx<'_>, account: AccountId, id: &str) -> Result<(), ProxyError> {
        let now = self.now();
        match self.write_in(tx, Who::Account(account), id, now, |_, proxy, now| {
            proxy.retired_at = proxy.retired_at.or(Some(now));
            Ok(())
        }) {
            Ok(_) | Err(ProxyError::ProxyNotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Changes a proxy in a transaction, and tells of it. Memory forgets it after the commit.
    pub(super) fn write_in<T>(
        &self,
        tx: &Tx<'_>,
        who: Who,
        id: &str,
        now: UnixMillis,
        change: impl FnOnce(&Tx<'_>, &mut Proxy, UnixMillis) -> Result<T, ProxyError>,
    ) -> Result<(Proxy, T), ProxyError> {
        let mut proxy = owned(tx, who, id)?;
        let old = proxy.clone();
        let done = change(tx, &mut proxy, now)?;
        if proxy != old {
            proxy.updated_at = now;
            store::update(tx, &proxy)?;
            self.tell(tx, &ProxyState::of(&proxy))?;
        }
        let (cache, id): (Arc<Cache>, _) = (Arc::clone(&self.0.cache), id.to_owned());
        tx.after_commit(move || cache.forget(&id));
        Ok((proxy, done))
    }

    pub(super) fn tell(&self, tx: &Tx<'_>, state: &ProxyState<'_>) -> Result<(), ProxyError> {
        match &self.0.listener {
            Some(listener) => Ok(listener.changed(tx, state)?),
            None => Ok(()),
        }
    }
}
