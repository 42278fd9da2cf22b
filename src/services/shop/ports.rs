//! What this service needs of others. `app` registers it: services never import each other.

use axum::http::HeaderMap;
use futures_util::future::BoxFuture;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::ShopError;
use crate::core::decimal::Decimal;
use crate::core::ids::{AccountId, PaymentHash};
use crate::core::time::UnixMillis;
use crate::ledger::LedgerError;
use crate::storage::Tx;

/// What a credential is issued for.
#[derive(Clone, Copy, Debug)]
pub struct Sold<'a> {
    /// Of the order's invoice.
    pub payment_hash: PaymentHash,
    /// Random, of this order.
    pub token: [u8; 32],
    /// Who sells.
    pub account: AccountId,
    /// The path of the request that it answers.
    pub resource: &'a str,
    /// The price.
    pub amount_sat: u64,
    /// BOLT11.
    pub invoice: &'a str,
    /// For the payer.
    pub description: &'a str,
    /// Of the invoice.
    pub expires_at: UnixMillis,
}

/// A credential as it is handed out.
#[derive(Clone, Debug)]
pub struct Challenge {
    /// Base64; worth nothing without the preimage.
    pub macaroon: String,
    /// `WWW-Authenticate` values, in the order in which they are sent.
    pub lines: Vec<String>,
}

/// What a request shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Nothing that is meant for us.
    Nothing,
    /// What doesn't do, and why, in words for whoever sent it.
    Wrong(String),
    /// The preimage of this hash.
    Paid(PaymentHash),
}

/// Issues L402 credentials, and reads them. Arithmetic alone.
pub trait Credentials: Send + Sync + 'static {
    /// The credential of an order. The same every time.
    fn issue(&self, sold: &Sold<'_>) -> Challenge;

    /// What a request shows for this path of this account.
    fn read(&self, headers: &HeaderMap, resource: &str, account: AccountId) -> Shown;
}

/// Queues webhooks.
pub trait Webhooks: Send + Sync + 'static {
    /// Tells an account, in the transaction that makes it true. An account that wants no webhooks is told nothing.
    ///
    /// # Errors
    /// The store's.
    fn tell(
        &self,
        tx: &Tx<'_>,
        account: AccountId,
        event: &'static str,
        data: &RawValue,
        now: UnixMillis,
    ) -> Result<(), LedgerError>;
}

/// Something that this node sells.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Offered {
    /// The same for as long as it is sold.
    pub id: String,
    /// `item`, `document` or `service`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// What it is called.
    pub name: String,
    /// For people.
    pub description: String,
    /// In the currency.
    #[schema(value_type = f64)]
    pub price: Decimal,
    /// Of the price.
    pub currency: &'static str,
    /// In sat, if it is priced in sats or there is a rate.
    pub price_sats: Option<u64>,
    /// In dollars, likewise.
    #[schema(value_type = Option<f64>)]
    pub price_usd: Option<Decimal>,
    /// A picture of it.
    pub image_url: Option<String>,
    /// Whether it can be bought now.
    pub available: bool,
    /// Where it is.
    pub url: String,
}

/// A payment that was opened for something.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// Of the payment.
    pub session_id: String,
    /// What is bought.
    pub product_id: String,
    /// The page on which it is paid.
    pub checkout_url: String,
    /// The same.
    pub url: String,
    /// BOLT11.
    pub invoice: String,
    /// In sat.
    pub amount_sats: u64,
    /// Opens what was bought, with the preimage: `Authorization: L402 macaroon:preimage`.
    pub macaroon: String,
    /// What that opens.
    pub resource_url: String,
    /// When the invoice ends.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: crate::core::time::iso::IsoSeconds,
}

/// What is sold besides items of stores.
pub trait Elsewhere: Send + Sync + 'static {
    /// Everything.
    fn all(&self) -> BoxFuture<'_, Result<Vec<Offered>, ShopError>>;

    /// One thing, if it is sold here.
    fn one<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Offered>, ShopError>>;

    /// Opens a payment for one.
    fn open<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Session, ShopError>>;
}
