//! What stores need of other services: L402's credentials, the accounts' webhooks, and what else is sold here.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use futures_util::future::BoxFuture;
use serde_json::value::RawValue;

use crate::core::currency::Currency;
use crate::core::decimal::Decimal;
use crate::core::ids::{AccountId, random_hex};
use crate::core::money::Msat;
use crate::core::time::UnixMillis;
use crate::core::time::iso::IsoSeconds;
use crate::http::client::Client;
use crate::ledger::LedgerError;
use crate::rates::{Rates, Unit};
use crate::services::content::{Content, SoldDocument};
use crate::services::l402::{L402, L402Error, NewChallenge, Proof, Ticket};
use crate::services::manifest::stores::StoreListing;
use crate::services::payments::{self, PaymentError, Sessions};
use crate::services::proxy::{PaidProxies, ProxyError, SoldService, StoreListings};
use crate::services::shop::{
    Challenge, Credentials, Elsewhere, ListedStore, Offered, Session, Shop, ShopError, Shown, Sold, Webhooks,
};
use crate::storage::Tx;

/// How long an order's token is good, in seconds: for ever, as far as anybody cares.
const TOKEN_SECS: i64 = 10 * 366 * 86_400;

/// L402's credentials for orders.
pub(crate) struct OrderCredentials(pub(crate) L402);

impl Credentials for OrderCredentials {
    fn issue(&self, sold: &Sold<'_>) -> Challenge {
        let issued = self.0.issue_ticket(&Ticket {
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
        let lines = [Some(issued.l402_value()), issued.payment].into_iter().flatten().collect();
        Challenge { macaroon: issued.macaroon, lines }
    }

    fn read(&self, headers: &HeaderMap, resource: &str, account: AccountId) -> Shown {
        match self.0.proof_of(headers, resource, account.0) {
            Proof::Nothing => Shown::Nothing,
            Proof::Refused(why) => Shown::Wrong(why.to_string()),
            Proof::Paid(hash) => Shown::Paid(hash),
        }
    }
}

/// Tells accounts of orders where they are told of payments.
pub(crate) struct OrderWebhooks(pub(crate) payments::Notifier);

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

/// Documents and services: each is paid as a request for it is, by an L402 challenge whose preimage opens it.
pub(crate) struct Besides {
    pub(crate) content: Content,
    pub(crate) proxies: PaidProxies,
    pub(crate) l402: L402,
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
            let created = self.l402.challenge(thing.challenge()?).await.map_err(told)?;
            let (session_id, challenge) = (created.challenge.session_id(), created.challenge);
            let page = format!("{}/checkout/{session_id}", self.public_url);
            Ok(Session {
                session_id,
                product_id: thing.id,
                checkout_url: page.clone(),
                url: page,
                invoice: challenge.invoice,
                amount_sats: challenge.price_sat,
                macaroon: created.issued.macaroon,
                resource_url: format!("{}{}", self.public_url, thing.path),
                expires_at: IsoSeconds(challenge.expires_at),
            })
        })
    }
}

impl Thing {
    /// A challenge like that of a request for it, so that its payment counts as one, and nothing is left of it if
    /// nobody pays. The route has counted it for the client.
    fn challenge(&self) -> Result<NewChallenge, ShopError> {
        Ok(NewChallenge {
            client: Client::of(Ipv4Addr::UNSPECIFIED.into()),
            counted: true,
            account: self.account,
            resource: ::l402::resource_name(&self.path).into_owned(),
            product: self.id.strip_prefix(SERVICE).map(str::to_owned),
            price_sat: self.price_sat,
            description: Some(self.name.clone()),
            lifetime: self.token_validity_secs.map(Duration::from_secs),
            // Each its own invoice: two buyers behind one address must not share it.
            idempotency_key: Some(random_hex::<16>()?),
        })
    }
}

/// Shows sessions on the checkout page.
pub(crate) struct ChallengeSessions(pub(crate) L402);

impl Sessions for ChallengeSessions {
    fn find<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<payments::Session>, PaymentError>> {
        Box::pin(async move {
            let found = self.0.session(id).await.map_err(|error| match error.status() {
                500 => PaymentError::Internal,
                _ => PaymentError::NodeUnavailable,
            })?;
            Ok(found.map(|challenge| payments::Session {
                id: challenge.session_id(),
                topic: challenge.topic(),
                amount: Msat::from_sat(challenge.price_sat).unwrap_or_default(),
                received: challenge.received.unwrap_or_default(),
                description: challenge.description,
                invoice: challenge.invoice,
                expires_at: challenge.expires_at,
                paid_at: challenge.paid_at,
            }))
        })
    }
}

/// Why no payment was opened.
fn told(error: L402Error) -> ShopError {
    match error {
        L402Error::NoCapacity { slug, message } => {
            let inbound = slug == "no_inbound_capacity";
            let code = if inbound { "NO_INBOUND_CAPACITY" } else { "NO_OUTBOUND_CAPACITY" };
            ShopError::NoCapacity { code, message }
        }
        L402Error::TooMany { quota, retry_after } => ShopError::TooMany { quota, retry_after },
        L402Error::Internal => ShopError::Internal,
        _ => ShopError::Unavailable,
    }
}

/// Stores of the registry.
pub(crate) struct RegistryStores(pub(crate) Shop);

fn of_registry(store: ListedStore) -> StoreListing {
    let ListedStore { slug, name, description, from_sats } = store;
    StoreListing { slug, name, description, from_sats }
}

impl StoreListings for RegistryStores {
    fn all(&self) -> BoxFuture<'_, Result<Vec<StoreListing>, ProxyError>> {
        Box::pin(async move {
            let listed = self.0.listed().await.map_err(|_| ProxyError::Unavailable)?;
            Ok(listed.into_iter().map(of_registry).collect())
        })
    }

    fn one<'a>(&'a self, slug: &'a str) -> BoxFuture<'a, Result<Option<StoreListing>, ProxyError>> {
        Box::pin(async move {
            let listed = self.0.listed_one(slug).await.map_err(|_| ProxyError::Unavailable)?;
            Ok(listed.map(of_registry))
        })
    }
}
