//! What this service asks of others. `app` registers who answers.

use axum::http::HeaderMap;
use axum::response::Response;
use futures_util::future::BoxFuture;

use super::MerchantError;
use crate::core::ids::{AccountId, PaymentHash, Secret};
use crate::http::client::Client;

/// Where an account's webhooks go.
#[derive(Clone, Debug, Default)]
pub struct Webhooks {
    /// Told of everything.
    pub url: Option<String>,
    /// Told the same.
    pub callback_url: Option<String>,
    /// Signs them.
    pub secret: Option<Secret>,
}

/// An account's proxies.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProxyCount {
    /// All.
    pub all: u64,
    /// Those that sell.
    pub active: u64,
}

/// How the node is.
#[derive(Clone, Copy, Debug, Default)]
pub struct NodeState {
    /// It runs and follows the chain.
    pub ready: bool,
    /// The largest payment that can come in now, in sat.
    pub inbound_sat: u64,
}

/// How often requests were paid for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sold {
    /// Documents.
    pub documents: u64,
    /// Everything that is sold by the request.
    pub requests: u64,
}

/// What other services know.
pub trait Sources: Send + Sync {
    /// Where an account's webhooks go.
    ///
    /// # Errors
    /// The store's.
    fn webhooks(&self, account: AccountId) -> BoxFuture<'_, Result<Webhooks, MerchantError>>;

    /// An account's proxies.
    ///
    /// # Errors
    /// The store's.
    fn proxies(&self, account: AccountId) -> BoxFuture<'_, Result<ProxyCount, MerchantError>>;

    /// How often requests were paid for.
    ///
    /// # Errors
    /// The store's.
    fn sold(&self) -> BoxFuture<'_, Result<Sold, MerchantError>>;

    /// How the node is.
    fn node(&self) -> BoxFuture<'_, NodeState>;
}

/// A payment that a request has proven.
#[derive(Debug)]
pub struct Paid {
    /// Which.
    pub payment_hash: PaymentHash,
    /// How much, in sat.
    pub amount_sat: u64,
    /// What belongs on the answer: a receipt, if one is owed.
    pub headers: HeaderMap,
}

/// Takes the payment for an account.
pub trait Challenger: Send + Sync {
    /// The payment for this resource that a request proves, however old: the same credential proves it again and again.
    /// `Err` is the answer to a credential that can't be judged now.
    fn proven<'a>(
        &'a self,
        headers: &'a HeaderMap,
        resource: &'a str,
    ) -> BoxFuture<'a, Result<Option<Paid>, Response>>;

    /// 402 with a challenge for this resource, or why there is none.
    fn ask<'a>(
        &'a self,
        client: Client,
        resource: &'a str,
        sats: u64,
        description: &'a str,
    ) -> BoxFuture<'a, Response>;
}

/// What the shops have sold.
#[derive(Clone, Copy, Debug, Default)]
pub struct ShopStats {
    /// Shops that are open.
    pub stores: u64,
    /// Products that can be bought.
    pub products: u64,
    /// Orders that were ever made.
    pub orders: u64,
    /// Those that were paid.
    pub paid_orders: u64,
    /// What they brought in, in sat.
    pub revenue_sat: u64,
}

/// Knows what the shops have sold.
pub trait ShopNumbers: Send + Sync {
    /// The sums of all shops; of one account's with `Some`.
    ///
    /// # Errors
    /// The store's.
    fn numbers(&self, account: Option<AccountId>) -> BoxFuture<'_, Result<ShopStats, MerchantError>>;
}
