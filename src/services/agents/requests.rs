//! Asking for a service.

use axum::http::StatusCode;
use serde_json::Value;

use super::error::AgentError;
use super::event::{Draft, REQUEST};
use super::fields::{Fields, Lines};
use super::ids::{EventId, Pubkey};
use super::store::agreements::{self, Agreement, Side, Status};
use super::store::capabilities::{self, Capability};
use super::view::{AgreementsView, RequestedView};
use super::{Agents, listings};
use crate::core::ids::{AccountId, random_hex};
use crate::http::body::JsonObject;
use crate::http::idempotency::{IdempotencyKey, Reply, lookup, save};
use crate::http::respond;
use crate::storage::Tx;

/// How long an agreement waits for its payment.
const OPEN_MS: i64 = 24 * 3_600 * 1_000;

/// In which requests are counted.
const HOUR_SECS: u64 = 3_600;
const HOUR_MS: i64 = 3_600_000;

const PARAMETERS_LEN: usize = 4_096;

/// The most that a budget can be, in sat: all there will ever be.
const MOST_SAT: u64 = 2_100_000_000_000_000;

/// What an agent asks of another.
#[derive(Clone, Debug)]
pub(super) struct NewRequest {
    capability: EventId,
    budget_sat: u64,
    parameters: Option<String>,
}

impl NewRequest {
    pub(super) fn read(body: &JsonObject) -> Result<Self, AgentError> {
        let fields = Fields(body);
        Ok(Self {
            capability: fields.hex("capabilityEventId", "invalid_event_id", 64)?,
            budget_sat: fields
                .number("budgetSats", 0..=MOST_SAT)?
                .ok_or_else(|| super::fields::wrong("budgetSats is required".into()))?,
            parameters: fields.text("parameters", PARAMETERS_LEN, Lines::Several)?,
        })
    }
}

/// Part of a list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page {
    pub(super) limit: u32,
    pub(super) offset: u32,
}

impl Agents {
    /// Asks for a capability; answers where to pay for it as JSON.
    ///
    /// # Errors
    /// [`AgentError::CapabilityNotFound`], [`AgentError::Conflict`] if the account has as many open requests as it may,
    /// [`AgentError::TooMany`] if it has made as many in an hour as it may; the store's.
    pub(super) async fn request(
        &self,
        account: AccountId,
        new: NewRequest,
        ask: Option<IdempotencyKey>,
    ) -> Result<Reply, AgentError> {
        let (this, now) = (self.clone(), self.now());
        let name = random_hex::<16>()?;
        let written = self.store().write(move |tx| -> Result<Reply, AgentError> {
            if let Some(recorded) = lookup(tx, ask.as_ref())? {
                return Ok(Reply::Replayed(recorded));
            }
            let capability = capabilities::by_event(tx, new.capability)?
                .filter(|capability| capability.listed)
                .ok_or(AgentError::CapabilityNotFound)?;
            if agreements::open_requests(tx, account, now)? >= this.rules().max_open_requests {
                let message = "The account has as many open requests as it may; pay some, or wait a day";
                return Err(AgentError::conflict("too_many_requests_open", message));
            }
            this.within_the_hour(tx, account)?;
            let requester = this.agent_of(tx, account, None)?;
            let requester_key =
                requester.as_ref().filter(|agent| agent.verified_at.is_some()).map(|agent| agent.pubkey);
            let publisher = this.publisher();
            let asked = publisher.sign(draft(&new, &capability, &name, publisher.pubkey()), now, None);
            publisher.publish(tx, &asked, None, now)?;
            // A proxy sells to whoever pays its price. Whatever else is offered needs the provider's word.
            let agreed = capability.endpoint.is_some() && new.budget_sat >= capability.price_sat;
            let mut agreement = Agreement {
                id: 0,
                capability: capability.id,
                provider_account: capability.account,
                provider_agent: capability.agent,
                requester_account: account,
                requester_agent: requester.map(|agent| agent.id),
                request_event_id: asked.id,
                agreement_event_id: EventId([0; 32]),
                latest_event_id: EventId([0; 32]),
                d_tag: name,
                event_at: 0,
                budget_sat: new.budget_sat,
                price_sat: capability.price_sat,
                parameters: new.parameters,
                status: if agreed { Status::Active } else { Status::Offered },
                payment_hash: None,
                created_at: now,
                expires_at: now.saturating_add(OPEN_MS),
                completed_at: None,
                provider: capability.provider,
                requester: requester_key,
                capability_event_id: capability.event_id,
                endpoint: capability.endpoint,
            };
            let told = publisher.sign(listings::draft(&agreement, publisher.pubkey()), now, None);
            publisher.publish(tx, &told, None, now)?;
            (agreement.agreement_event_id, agreement.latest_event_id) = (told.id, told.id);
            agreement.event_at = told.created_at;
            agreements::insert(tx, &agreement)?;
            this.listings().record(tx, "agent.requested", agreement.request_event_id)?;
            let body = respond::to_json(&RequestedView::new(&agreement))?;
            save(tx, ask.as_ref(), StatusCode::CREATED, &body, now)?;
            Ok(Reply::New(StatusCode::CREATED, body))
        });
        written.await
    }

    /// Requests that were made count, also those that are over: a capability that is withdrawn ends what was asked of it.
    fn within_the_hour(&self, tx: &Tx<'_>, account: AccountId) -> Result<(), AgentError> {
        let (now, most) = (self.now(), self.rules().max_requests_per_hour);
        let (made, first) = agreements::made_in(tx, account, &self.0.clock.last_hour())?;
        if made < most {
            return Ok(());
        }
        let left = first.unwrap_or(now).saturating_add(HOUR_MS).saturating_sub(now);
        // The clock may have been set since.
        let left = left.clamp(0, HOUR_MS);
        let retry_after = u64::try_from(left.div_euclid(1_000).saturating_add(1)).unwrap_or(1);
        Err(AgentError::TooMany { quota: (most, HOUR_SECS), retry_after })
    }

    /// What an account was asked for, or has asked for, newest first, as JSON.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn requests_json(
        &self,
        account: AccountId,
        side: Side,
        page: Page,
    ) -> Result<Vec<u8>, AgentError> {
        let now = self.now();
        let read = move |connection: &rusqlite::Connection| {
            agreements::list(connection, account, side, (page.limit, page.offset)).map_err(AgentError::from)
        };
        let (found, total) = self.store().read(read).await?;
        Ok(respond::to_json(&AgreementsView::new(&found, total, now))?)
    }
}

/// What relays are told of a request.
fn draft(new: &NewRequest, capability: &Capability, name: &str, server: Pubkey) -> Draft {
    let provider = capability.provider.unwrap_or(server);
    let draft = Draft::new(REQUEST, "")
        .tag(["d", name])
        .tag(["e", &capability.event_id.to_string()])
        .tag(["p", &provider.to_string()])
        .tag(["budget", &new.budget_sat.to_string()]);
    match new.parameters.as_deref() {
        None => draft,
        Some(parameters) => params(draft, parameters),
    }
}

/// Parameters are one text. If it is a JSON object its members are tags of their own, as agents on relays have it.
fn params(draft: Draft, parameters: &str) -> Draft {
    let Ok(Value::Object(members)) = serde_json::from_str(parameters) else {
        return draft.tag(["param", "parameters", parameters]);
    };
    members.iter().fold(draft, |draft, (name, value)| match value {
        Value::String(text) => draft.tag(["param", name, text]),
        other => draft.tag(["param", name, &other.to_string()]),
    })
}
