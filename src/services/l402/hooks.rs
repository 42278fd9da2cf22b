//! Who else is told of sales and of proxies, in the transaction that makes it true. `app` registers them.

use crate::core::ids::{AccountId, PaymentHash};
use crate::core::money::Msat;
use crate::services::proxy::store::Proxy;
use crate::storage::{StoreError, Tx};

/// A price that is asked of somebody.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Who sells.
    pub account: AccountId,
    /// What.
    pub resource: &'a str,
    /// For how much, in sat.
    pub price_sat: u64,
}

/// A payment.
#[derive(Clone, Copy, Debug)]
pub struct Sale<'a> {
    /// Who sold.
    pub account: AccountId,
    /// The public id of the proxy that was paid for, if one was.
    pub proxy: Option<&'a str>,
    /// What.
    pub resource: &'a str,
    /// Names the payment.
    pub payment_hash: PaymentHash,
    /// What came in.
    pub received: Msat,
}

/// Hears what accounts sell. The operator's own sales are not told.
pub trait SaleListener: Send + Sync {
    /// A new challenge. Many are never paid.
    ///
    /// # Errors
    /// The store's: then there is no challenge.
    fn asked(&self, tx: &Tx<'_>, asked: &Asked<'_>) -> Result<(), StoreError>;

    /// A payment, once.
    ///
    /// # Errors
    /// The store's: then the payment is told again.
    fn sold(&self, tx: &Tx<'_>, sale: &Sale<'_>) -> Result<(), StoreError>;
}

/// What has become of a proxy.
#[derive(Clone, Copy, Debug)]
pub struct ProxyState<'a> {
    /// Its public id.
    pub id: &'a str,
    /// Whether it passes requests on.
    pub serves: bool,
    /// Whether it never will again.
    pub is_gone: bool,
    /// What costs nothing else, in sat.
    pub price_sat: u64,
}

impl<'a> ProxyState<'a> {
    pub(in crate::services) fn of(proxy: &'a Proxy) -> Self {
        Self {
            id: &proxy.public_id,
            serves: proxy.in_service(),
            is_gone: proxy.retired_at.is_some(),
            price_sat: proxy.default_price_sat,
        }
    }

    pub(in crate::services) fn gone(proxy: &'a Proxy) -> Self {
        Self { serves: false, is_gone: true, ..Self::of(proxy) }
    }
}

/// Hears what becomes of proxies.
pub trait ProxyListener: Send + Sync {
    /// A proxy was changed, retired or deleted.
    ///
    /// # Errors
    /// The store's: then nothing was changed.
    fn changed(&self, tx: &Tx<'_>, state: &ProxyState<'_>) -> Result<(), StoreError>;
}
