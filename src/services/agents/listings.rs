//! What the challenger and the proxies tell this service, in the transaction that makes it true.
//!
//! This is built before the challenger, so that it can be told of what that does.

use std::sync::Arc;

use super::event::{AGREEMENT, Draft};
use super::ids::{EventId, Pubkey};
use super::relays::Publisher;
use super::store::agreements::{self, Agreement, Status};
use super::store::{agents, capabilities, search};
use crate::core::ids::{AccountId, PaymentHash};
use crate::core::money::Msat;
use crate::core::time::{Clock, UnixMillis};
use crate::http::events::EventLog;
use crate::storage::{Store, StoreError, Tx};

/// What challenges for an agreement are named by: `asa:{event id}:{requester's key, its beginning}`.
const ASA: &str = "asa:";

/// Agreements that are told to be over in one transaction, and rows that are removed in one.
const DUE_AT_ONCE: u32 = 100;

/// How long what came to nothing is kept: requests that were never paid, and listings that were taken back.
const KEPT_MS: i64 = 30 * 24 * 3_600 * 1_000;

/// A payment for something sold by the request.
#[derive(Clone, Copy, Debug)]
pub struct Sold<'a> {
    /// Who sold it.
    pub account: AccountId,
    /// The proxy that sold it, if one did.
    pub proxy: Option<&'a str>,
    /// What it was called.
    pub resource: &'a str,
    /// Names the payment.
    pub payment_hash: PaymentHash,
    /// What came in.
    pub received: Msat,
}

/// What has become of a proxy.
#[derive(Clone, Copy, Debug)]
pub struct ProxyChange<'a> {
    /// Its public id.
    pub id: &'a str,
    /// Whether it passes requests on.
    pub serves: bool,
    /// Whether it never will again.
    pub is_gone: bool,
    /// What a request costs, in sat.
    pub price_sat: u64,
}

/// Listens to sales and proxies. Cheap to clone.
#[derive(Clone)]
pub struct Listings(Arc<Inner>);

struct Inner {
    publisher: Publisher,
    log: EventLog,
    clock: Clock,
}

impl Listings {
    /// Tells relays and the operator's log.
    pub fn new(publisher: Publisher, log: EventLog, clock: Clock) -> Self {
        Self(Arc::new(Inner { publisher, log, clock }))
    }

    /// Signs and queues events.
    pub fn publisher(&self) -> &Publisher {
        &self.0.publisher
    }

    /// A line in the operator's log.
    pub(super) fn record(&self, tx: &Tx<'_>, kind: &str, subject: EventId) -> Result<(), StoreError> {
        self.0.log.record(tx, kind, &subject.to_string(), &serde_json::json!({}))
    }

    /// A provider asks somebody for money: what is offered under that name is agreed on, at this price.
    ///
    /// # Errors
    /// The store's.
    pub fn challenged(
        &self,
        tx: &Tx<'_>,
        account: AccountId,
        resource: &str,
        price_sat: u64,
    ) -> Result<(), StoreError> {
        let Some(event) = asa(resource) else { return Ok(()) };
        let now = self.0.clock.now();
        let found = agreements::by_event(tx, event)?;
        let offered = found.filter(|agreement| {
            agreement.provider_account == account && agreement.status_at(now) == Status::Offered
        });
        let Some(mut agreement) = offered else { return Ok(()) };
        agreement.price_sat = price_sat;
        self.advance(tx, &mut agreement, Status::Active, now)
    }

    /// Something was paid for.
    ///
    /// # Errors
    /// The store's.
    pub fn sold(&self, tx: &Tx<'_>, sold: &Sold<'_>) -> Result<(), StoreError> {
        if let Some(proxy) = sold.proxy {
            let found = capabilities::by_proxy(tx, proxy)?;
            let Some(capability) = found.filter(|capability| capability.account == sold.account) else {
                return Ok(());
            };
            return self.earned(tx, &capability, None, sold);
        }
        let Some(event) = asa(sold.resource) else { return Ok(()) };
        let found = agreements::by_event(tx, event)?;
        if let Some(agreement) = found.filter(|agreement| agreement.provider_account == sold.account) {
            let capability = capabilities::by_id(tx, agreement.capability)?;
            return match capability {
                Some(capability) => self.earned(tx, &capability, Some(agreement), sold),
                None => Ok(()),
            };
        }
        let found = capabilities::by_event(tx, event)?;
        if let Some(capability) = found.filter(|capability| capability.account == sold.account) {
            return self.earned(tx, &capability, None, sold);
        }
        // An agreement that was made on relays alone.
        let now = self.0.clock.now();
        match agents::of_account(tx, sold.account, now)? {
            Some(agent) => Ok(agents::earned(tx, agent.id, sold.received, now)?),
            None => Ok(()),
        }
    }

    /// A capability was paid for: by this agreement, or by the oldest that waits for it.
    fn earned(
        &self,
        tx: &Tx<'_>,
        capability: &capabilities::Capability,
        agreement: Option<Agreement>,
        sold: &Sold<'_>,
    ) -> Result<(), StoreError> {
        let now = self.0.clock.now();
        capabilities::earned(tx, capability.id, sold.received)?;
        if let Some(agent) = capability.agent {
            agents::earned(tx, agent, sold.received, now)?;
        }
        let agreement = match agreement {
            Some(agreement) => Some(agreement).filter(|agreement| agreement.status != Status::Completed),
            None => agreements::oldest(tx, capability.id, Status::Active, now)?,
        };
        let Some(mut agreement) = agreement else { return Ok(()) };
        agreement.payment_hash = Some(sold.payment_hash);
        agreement.completed_at = Some(now);
        self.advance(tx, &mut agreement, Status::Completed, now)?;
        self.record(tx, "agent.agreement_completed", agreement.agreement_event_id)
    }

    /// A proxy was changed, or is gone.
    ///
    /// # Errors
    /// The store's.
    pub fn proxy_changed(&self, tx: &Tx<'_>, change: &ProxyChange<'_>) -> Result<(), StoreError> {
        let found = capabilities::by_proxy(tx, change.id)?;
        let Some(mut capability) = found.filter(|capability| capability.removed_at.is_none()) else {
            return Ok(());
        };
        let now = self.0.clock.now();
        if change.is_gone {
            return self.remove(tx, &mut capability, now);
        }
        if capability.listed == change.serves && capability.price_sat == change.price_sat {
            return Ok(());
        }
        if capability.listed != change.serves {
            if change.serves {
                search::insert(tx, &capability)?;
            } else {
                search::remove(tx, capability.id)?;
            }
        }
        (capability.listed, capability.price_sat) = (change.serves, change.price_sat);
        self.republish(tx, &mut capability, now)
    }

    /// Tells of agreements whose time is over, and that were not paid.
    ///
    /// # Errors
    /// The store's.
    pub async fn expire_due(&self, store: &Store) -> Result<(), StoreError> {
        loop {
            let now = self.0.clock.now();
            let due = store.read(move |connection| Ok::<_, StoreError>(agreements::due(connection, now, 1)?));
            if due.await?.is_empty() {
                return Ok(());
            }
            let this = self.clone();
            store
                .write(move |tx| -> Result<(), StoreError> {
                    for mut agreement in agreements::due(tx, now, DUE_AT_ONCE)? {
                        this.advance(tx, &mut agreement, Status::Expired, now)?;
                    }
                    Ok(())
                })
                .await?;
        }
    }

    /// Removes some of what came to nothing a month ago; `true` if there may be more.
    ///
    /// # Errors
    /// The store's.
    pub fn prune(&self, tx: &Tx<'_>, now: UnixMillis) -> Result<bool, StoreError> {
        let before = now.saturating_sub(KEPT_MS);
        let old = agreements::unpaid_before(tx, before, DUE_AT_ONCE)?;
        for agreement in &old {
            self.publisher().forget(tx, agreement.request_event_id)?;
            self.publisher().forget(tx, agreement.latest_event_id)?;
            agreements::delete(tx, agreement.id)?;
        }
        let removed = capabilities::delete_removed(tx, before, DUE_AT_ONCE)?;
        let most = usize::try_from(DUE_AT_ONCE).unwrap_or(usize::MAX);
        Ok(old.len() >= most || removed >= most)
    }

    /// Publishes how far an agreement has come, and writes it down.
    fn advance(
        &self,
        tx: &Tx<'_>,
        agreement: &mut Agreement,
        status: Status,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        agreement.status = status;
        let draft = draft(agreement, self.publisher().pubkey());
        let event = self.publisher().sign(draft, now, Some(agreement.event_at));
        self.publisher().publish(tx, &event, Some(agreement.latest_event_id), now)?;
        (agreement.latest_event_id, agreement.event_at) = (event.id, event.created_at);
        agreements::update(tx, agreement)?;
        Ok(())
    }
}

/// The event that a challenge is about.
fn asa(resource: &str) -> Option<EventId> {
    resource.strip_prefix(ASA)?.split(':').next()?.parse().ok()
}

/// What relays are told of an agreement. Whoever has not proven a key of their own is this server.
pub(super) fn draft(agreement: &Agreement, server: Pubkey) -> Draft {
    let provider = agreement.provider.unwrap_or(server).to_string();
    let requester = agreement.requester.unwrap_or(server).to_string();
    let draft = Draft::new(AGREEMENT, "")
        .tag(["d", &agreement.d_tag])
        .tag(["e", &agreement.request_event_id.to_string(), "", "request"])
        .tag(["e", &agreement.capability_event_id.to_string(), "", "capability"])
        .tag(["p", &provider, "", "provider"])
        .tag(["p", &requester, "", "requester"])
        .tag(["price", &agreement.price_sat.to_string()]);
    let draft = match &agreement.endpoint {
        Some(endpoint) => draft.tag(["l402", endpoint]),
        None => draft,
    };
    let draft = match agreement.status {
        // Relays drop an event at its expiration (NIP-40); the end of an agreement stays.
        Status::Offered | Status::Active => {
            draft.tag(["expiration", &agreement.expires_at.div_euclid(1_000).to_string()])
        }
        Status::Completed | Status::Expired => draft,
    };
    let draft = draft.tag(["status", agreement.status.in_events()]);
    match agreement.payment_hash {
        Some(hash) if agreement.status == Status::Completed => draft.tag(["payment_hash", &hash.to_string()]),
        _ => draft,
    }
}
