//! What stores need of other services: L402's credentials, the accounts' webhooks, and what else is sold here.

use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use crate::clock::iso::{self, IsoSeconds};
use crate::clock::{UnixMillis, millis};
use crate::currency::Currency;
use crate::decimal::Decimal;
use crate::http::idempotency::Reply;
use crate::http::keys::DEFAULT_ACCOUNT;
use crate::ids::{AccountId, PaymentHash, random_bytes, random_hex};
use crate::l402::content::{Content, SoldDocument};
use crate::l402::proxy::{PaidProxies, ProxyError, SoldService};
use crate::l402::{L402, Proof, Ticket};
use crate::ledger::{Ledger, LedgerError, accounts, charges};
use crate::money::Msat;
use crate::payments::request::NewPayment;
use crate::payments::{self, PaymentError, Payments};
use crate::rates::{Rates, Unit};
use crate::services::shop::{
    Challenge, Credentials, Elsewhere, Offered, Session, ShopError, Shown, Sold, Webhooks,
};
use crate::store::Tx;

/// How long an order's token is good, in seconds: for ever, as far as anybody cares.
const TOKEN_SECS: i64 = 10 * 366 * 86_400;

/// L402's credentials for orders.
pub(crate) struct OrderCredentials(pub(crate) L402);

impl Credentials for OrderCredentials {
    fn issue(&self, sold: &Sold<'_>) -> Challenge {
        let issued = self.0.issue(&Ticket {
            payment_hash: sold.payment_hash,
            token: sold.token,
            merchant: sold.account.0,
            resource: sold.resource,
            amount_sat: sold.amount_sat,
            invoice: sold.invoice,
            description: sold.description,
            expires_at: sold.expires_at,
            valid_until: (sold.expires_at / 1_000).saturating_add(TOKEN_SECS),
        });
        Challenge { macaroon: issued.macaroon, lines: issued.challenges }
    }

    fn read(&self, headers: &HeaderMap, resource: &str, account: AccountId) -> Shown {
        match self.0.proof_of(headers, resource, account.0) {
            Proof::Nothing => Shown::Nothing,
            Proof::Closed(why) => Shown::Wrong(why.to_string()),
            Proof::Paid(hash) => Shown::Paid(hash),
        }
    }
}

/// Tells accounts of orders where they are told of payments.
pub(crate) struct OrderWebhooks(pub(crate) payments::Teller);

impl Webhooks for OrderWebhooks {
    fn tell(
        &self,
        tx: &Tx<'_>,
        account: AccountId,
        event: &'static str,
        data: &RawValue,
        now: UnixMillis,
    ) -> Result<(), LedgerError> {
        self.0.notify(tx, account, event, &data, now)
    }
}

/// Documents and services: each is paid by a payment of its owner's, and the preimage of that opens it.
pub(crate) struct Besides {
    pub(crate) content: Content,
    pub(crate) proxies: PaidProxies,
    pub(crate) payments: Payments,
    pub(crate) l402: L402,
    pub(crate) ledger: Ledger,
    pub(crate) rates: Rates,
    pub(crate) public_url: Arc<str>,
}

/// Something of either kind.
struct Thing {
    id: String,
    kind: &'static str,
    name: String,
    description: String,
    price_sat: u64,
    account: Option<AccountId>,
    path: String,
    /// Seconds for which a token is good; `None`: as long as the settings say.
    token_validity_secs: Option<u64>,
}

/// What ids of documents and of services begin with.
const DOCUMENT: &str = "doc_";
const SERVICE: &str = "proxy_";

impl From<SoldDocument> for Thing {
    fn from(document: SoldDocument) -> Self {
        Self {
            id: format!("{DOCUMENT}{}", document.slug),
            kind: "document",
            name: document.title,
            description: document.description,
            price_sat: document.price_sat,
            account: None,
            path: document.path,
            token_validity_secs: None,
        }
    }
}

impl From<SoldService> for Thing {
    fn from(service: SoldService) -> Self {
        Self {
            id: format!("{SERVICE}{}", service.id),
            kind: "service",
            name: service.name,
            description: service.description,
            price_sat: service.price_sat,
            account: service.account,
            path: service.path,
            token_validity_secs: service.token_validity_secs,
        }
    }
}

fn unlisted(error: ProxyError) -> ShopError {
    tracing::warn!(%error, "services could not be listed");
    ShopError::Unavailable
}

/// What is read of a payment that was opened.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Opened {
    invoice_id: String,
    amount_sats: u64,
    lightning_invoice: Option<String>,
    expires_at: Option<String>,
    checkout_url: String,
}

impl Besides {
    async fn things(&self) -> Result<Vec<Thing>, ShopError> {
        let mut things: Vec<_> = self.content.sold().await.into_iter().map(Thing::from).collect();
        let services = self.proxies.sold().await.map_err(unlisted)?;
        things.extend(services.into_iter().map(Thing::from));
        things.retain(|thing| thing.price_sat > 0);
        Ok(things)
    }

    async fn thing(&self, id: &str) -> Result<Option<Thing>, ShopError> {
        let found = match id.strip_prefix(SERVICE) {
            Some(proxy) => self.proxies.sold_one(proxy).await.map_err(unlisted)?.map(Thing::from),
            None => self.content.sold().await.into_iter().map(Thing::from).find(|thing| thing.id == id),
        };
        Ok(found.filter(|thing| thing.price_sat > 0))
    }

    fn offered(&self, thing: &Thing) -> Offered {
        let worth = Msat::from_sat(thing.price_sat);
        let dollar = self.rates.quote(Currency::Usd).ok();
        Offered {
            id: thing.id.clone(),
            kind: thing.kind,
            name: thing.name.clone(),
            description: thing.description.clone(),
            price: Decimal::from(thing.price_sat),
            currency: Unit::Sats.code(),
            price_sats: Some(thing.price_sat),
            price_usd: worth.zip(dollar).and_then(|(worth, dollar)| dollar.fiat_of(worth).ok()),
            image_url: None,
            available: true,
            url: format!("{}{}", self.public_url, thing.path),
        }
    }

    /// Whose payment it is: the owner's, or for the operator's own that of the default account.
    async fn account(&self, owner: Option<AccountId>) -> Result<AccountId, ShopError> {
        let default = || self.ledger.store.read(|connection| accounts::by_name(connection, DEFAULT_ACCOUNT));
        match owner {
            Some(owner) => Ok(owner),
            None => default().await?.ok_or(ShopError::Unavailable),
        }
    }

    async fn payment(&self, thing: &Thing) -> Result<(Opened, PaymentHash), ShopError> {
        let account = self.account(thing.account).await?;
        let resource_url = format!("{}{}", self.public_url, thing.path);
        let new = NewPayment {
            order_id: format!("{} {}", thing.id, random_hex::<8>()?),
            amount: Decimal::from(thing.price_sat),
            unit: Unit::Sats,
            description: Some(thing.name.clone()),
            customer_email: None,
            customer_name: None,
            success_url: None,
            cancel_url: None,
            metadata: Some(json!({ "productId": thing.id, "resourceUrl": resource_url }).to_string()),
            // What a shop orders again it means to.
            allow_repeat: true,
        };
        let done = self.payments.create(account, new, None).await.map_err(told)?;
        let body = match done {
            Reply::New(_, body) => body,
            Reply::Replayed(recorded) => recorded.body,
        };
        let opened: Opened = serde_json::from_slice(&body).map_err(|error| {
            tracing::error!(%error, "a payment can't be read");
            ShopError::Internal
        })?;
        let invoice = opened.lightning_invoice.as_deref().and_then(|text| text.parse().ok());
        let hash = invoice.as_ref().map(charges::hash_of).ok_or(ShopError::Internal)?;
        Ok((opened, hash))
    }
}

impl Elsewhere for Besides {
    fn all(&self) -> BoxFuture<'_, Result<Vec<Offered>, ShopError>> {
        Box::pin(async move {
            let things = self.things().await?;
            Ok(things.iter().map(|thing| self.offered(thing)).collect())
        })
    }

    fn one<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Offered>, ShopError>> {
        Box::pin(async move { Ok(self.thing(id).await?.map(|thing| self.offered(&thing))) })
    }

    fn open<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Session, ShopError>> {
        Box::pin(async move {
            let thing = self.thing(id).await?.ok_or(ShopError::ProductNotFound)?;
            let (opened, payment_hash) = self.payment(&thing).await?;
            let invoice = opened.lightning_invoice.unwrap_or_default();
            let now = self.ledger.clock.now();
            let expires_at = opened.expires_at.as_deref().and_then(iso::parse).unwrap_or(now);
            let own = thing.token_validity_secs.map(Duration::from_secs);
            let lifetime = millis(own.unwrap_or(self.l402.rules().lifetime));
            let issued = self.l402.issue(&Ticket {
                payment_hash,
                token: random_bytes()?,
                merchant: thing.account.map_or(0, |account| account.0),
                resource: &thing.path,
                amount_sat: thing.price_sat,
                invoice: &invoice,
                description: &thing.name,
                expires_at,
                valid_until: expires_at.saturating_add(lifetime) / 1_000,
            });
            Ok(Session {
                session_id: opened.invoice_id,
                product_id: thing.id,
                checkout_url: opened.checkout_url.clone(),
                url: opened.checkout_url,
                invoice,
                amount_sats: opened.amount_sats,
                macaroon: issued.macaroon,
                resource_url: format!("{}{}", self.public_url, thing.path),
                expires_at: IsoSeconds(expires_at),
            })
        })
    }
}

/// Why no payment was opened.
fn told(error: PaymentError) -> ShopError {
    match error {
        PaymentError::NoCapacity { code, message } => ShopError::NoCapacity { code, message },
        PaymentError::TooMany { quota, retry_after } => ShopError::TooMany { quota, retry_after },
        PaymentError::Internal => ShopError::Internal,
        _ => ShopError::Unavailable,
    }
}
