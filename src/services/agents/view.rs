//! The service's answers as JSON, their members in the document's order.

use serde::Serialize;
use utoipa::ToSchema;

use super::ids::{Challenge, EventId, Pubkey};
use super::store::agents::Agent;
use super::store::agreements::Agreement;
use super::store::attestations::Attestation;
use super::store::capabilities::Capability;
use crate::core::time::UnixMillis;
use crate::core::time::iso::IsoTime;

/// An agent.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AgentView<'a> {
    id: i64,
    /// 64 hex digits: the key by BIP-340.
    #[schema(value_type = String)]
    pubkey: Pubkey,
    name: Option<&'a str>,
    description: Option<&'a str>,
    is_active: bool,
    /// Whether it has proven that it holds its key.
    is_verified: bool,
    #[schema(value_type = Option<String>)]
    verified_at: Option<IsoTime>,
    #[schema(value_type = String)]
    created_at: IsoTime,
    #[schema(value_type = String)]
    updated_at: IsoTime,
    /// Payments for what it offers.
    total_requests: u64,
    /// What they brought, before this server's fee.
    total_revenue_sats: u64,
    /// Agreements that wait for their payment.
    active_agreements: u64,
}

/// Agents, the oldest first.
#[derive(Serialize, ToSchema)]
pub(super) struct AgentsView<'a> {
    pub(super) agents: Vec<AgentView<'a>>,
    pub(super) total: u64,
}

/// What to sign.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ChallengeView {
    /// 64 hex digits: sign the 32 bytes they stand for.
    #[schema(value_type = String)]
    pub(super) challenge: Challenge,
    #[schema(value_type = String)]
    pub(super) pubkey: Pubkey,
    pub(super) expires_in_seconds: i64,
}

/// An agent has proven that it holds its key.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct VerifiedView {
    #[schema(value_type = String)]
    pubkey: Pubkey,
    is_verified: bool,
    #[schema(value_type = String)]
    verified_at: IsoTime,
    message: &'static str,
}

/// What an agent has sold.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct StatsView<'a> {
    #[schema(value_type = String)]
    pubkey: Pubkey,
    name: Option<&'a str>,
    total_requests: u64,
    total_revenue_sats: u64,
    active_agreements: u64,
    /// In sats; 0 if nothing was sold.
    average_revenue_per_request: f64,
    is_active: bool,
    #[schema(value_type = String)]
    registered_at: IsoTime,
    #[schema(value_type = String)]
    last_updated: IsoTime,
}

/// What an agent offers.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct CapabilityView<'a> {
    #[schema(value_type = String)]
    event_id: EventId,
    service_id: &'a str,
    /// The agent's key, or this server's if the agent has not proven one.
    #[schema(value_type = String)]
    pubkey: Pubkey,
    content: &'a str,
    categories: &'a [String],
    hashtags: &'a [String],
    price_sats: u64,
    l402_endpoint: Option<&'a str>,
    /// Unix seconds.
    created_at: i64,
}

/// Capabilities, newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct CapabilitiesView<'a> {
    items: Vec<CapabilityView<'a>>,
    /// How many fit; more than 1,000 aren't counted.
    total: u64,
}

/// A listing.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct PublishedView<'a> {
    #[schema(value_type = String)]
    event_id: EventId,
    /// Where it is sold. For a `targetUrl` its last segment is the proxy's id.
    l402_endpoint: Option<&'a str>,
    service_id: &'a str,
    /// Whether it is found.
    listed: bool,
}

/// What was asked for.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct RequestedView<'a> {
    #[schema(value_type = String)]
    request_event_id: EventId,
    /// Where to pay.
    l402_endpoint: Option<&'a str>,
    #[schema(value_type = String)]
    agreement_event_id: EventId,
    /// `active` if the budget covers the price of something that is sold by itself, else `offered`.
    #[schema(example = "active")]
    status: &'static str,
}

/// A request and its agreement.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AgreementView<'a> {
    #[schema(value_type = String)]
    request_event_id: EventId,
    #[schema(value_type = String)]
    agreement_event_id: EventId,
    #[schema(value_type = String)]
    capability_event_id: EventId,
    #[schema(value_type = Option<String>)]
    provider_pubkey: Option<Pubkey>,
    #[schema(value_type = Option<String>)]
    requester_pubkey: Option<Pubkey>,
    budget_sats: u64,
    price_sats: u64,
    parameters: Option<&'a str>,
    /// `offered`, `active`, `completed`, `expired`.
    status: &'static str,
    payment_hash: Option<String>,
    l402_endpoint: Option<&'a str>,
    #[schema(value_type = String)]
    created_at: IsoTime,
    #[schema(value_type = String)]
    expires_at: IsoTime,
    #[schema(value_type = Option<String>)]
    completed_at: Option<IsoTime>,
}

/// Requests, newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct AgreementsView<'a> {
    items: Vec<AgreementView<'a>>,
    total: u64,
}

/// What was said.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AttestedView<'a> {
    #[schema(value_type = String)]
    event_id: EventId,
    attestation_id: &'a str,
    /// Whether the reviewer bought from the subject here.
    verified: bool,
}

/// What one says of another.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AttestationView<'a> {
    #[schema(value_type = String)]
    event_id: EventId,
    /// The reviewer's key, or this server's if the reviewer has not proven one.
    #[schema(value_type = String)]
    pubkey: Pubkey,
    rating: u8,
    content: &'a str,
    agreement_id: &'a str,
    proof: Option<&'a str>,
    /// Unix seconds.
    created_at: i64,
    /// Whether the reviewer bought from the subject here.
    verified: bool,
}

/// What is said of an agent, newest first.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AttestationsView<'a> {
    items: Vec<AttestationView<'a>>,
    total: u64,
    /// Of all of them; `null` if there are none.
    average_rating: Option<f64>,
}

impl<'a> AgentView<'a> {
    pub(super) fn new(agent: &'a Agent) -> Self {
        Self {
            id: agent.id,
            pubkey: agent.pubkey,
            name: agent.name.as_deref(),
            description: agent.description.as_deref(),
            is_active: agent.is_active,
            is_verified: agent.verified_at.is_some(),
            verified_at: agent.verified_at.map(IsoTime),
            created_at: IsoTime(agent.created_at),
            updated_at: IsoTime(agent.updated_at),
            total_requests: agent.sold,
            total_revenue_sats: agent.revenue.sat_floor(),
            active_agreements: agent.active_agreements,
        }
    }
}

impl VerifiedView {
    pub(super) fn new(pubkey: Pubkey, at: UnixMillis) -> Self {
        Self { pubkey, is_verified: true, verified_at: IsoTime(at), message: "The agent holds this key" }
    }
}

impl<'a> StatsView<'a> {
    pub(super) fn new(agent: &'a Agent) -> Self {
        Self {
            pubkey: agent.pubkey,
            name: agent.name.as_deref(),
            total_requests: agent.sold,
            total_revenue_sats: agent.revenue.sat_floor(),
            active_agreements: agent.active_agreements,
            average_revenue_per_request: average(agent.revenue.get(), agent.sold).unwrap_or(0.0) / 1_000.0,
            is_active: agent.is_active,
            registered_at: IsoTime(agent.created_at),
            last_updated: IsoTime(agent.updated_at),
        }
    }
}

impl<'a> CapabilitiesView<'a> {
    pub(super) fn new(found: &'a [Capability], total: u64, server: Pubkey) -> Self {
        let item = |capability: &'a Capability| CapabilityView {
            event_id: capability.event_id,
            service_id: &capability.service_id,
            pubkey: capability.provider.unwrap_or(server),
            content: &capability.content,
            categories: &capability.categories,
            hashtags: &capability.hashtags,
            price_sats: capability.price_sat,
            l402_endpoint: capability.endpoint.as_deref(),
            created_at: capability.created_at.div_euclid(1_000),
        };
        Self { items: found.iter().map(item).collect(), total }
    }
}

impl<'a> PublishedView<'a> {
    pub(super) fn new(capability: &'a Capability) -> Self {
        Self {
            event_id: capability.event_id,
            l402_endpoint: capability.endpoint.as_deref(),
            service_id: &capability.service_id,
            listed: capability.listed,
        }
    }
}

impl<'a> RequestedView<'a> {
    pub(super) fn new(agreement: &'a Agreement) -> Self {
        Self {
            request_event_id: agreement.request_event_id,
            l402_endpoint: agreement.endpoint.as_deref(),
            agreement_event_id: agreement.agreement_event_id,
            status: agreement.status.name(),
        }
    }
}

impl<'a> AgreementsView<'a> {
    pub(super) fn new(found: &'a [Agreement], total: u64, now: UnixMillis) -> Self {
        let item = |agreement: &'a Agreement| AgreementView {
            request_event_id: agreement.request_event_id,
            agreement_event_id: agreement.agreement_event_id,
            capability_event_id: agreement.capability_event_id,
            provider_pubkey: agreement.provider,
            requester_pubkey: agreement.requester,
            budget_sats: agreement.budget_sat,
            price_sats: agreement.price_sat,
            parameters: agreement.parameters.as_deref(),
            status: agreement.status_at(now).name(),
            payment_hash: agreement.payment_hash.map(|hash| hash.to_string()),
            l402_endpoint: agreement.endpoint.as_deref(),
            created_at: IsoTime(agreement.created_at),
            expires_at: IsoTime(agreement.expires_at),
            completed_at: agreement.completed_at.map(IsoTime),
        };
        Self { items: found.iter().map(item).collect(), total }
    }
}

impl<'a> AttestedView<'a> {
    pub(super) fn new(attestation: &'a Attestation) -> Self {
        Self {
            event_id: attestation.event_id,
            attestation_id: &attestation.attestation_id,
            verified: attestation.verified,
        }
    }
}

impl<'a> AttestationsView<'a> {
    pub(super) fn new(found: &'a [Attestation], total: u64, sum: u64) -> Self {
        let item = |attestation: &'a Attestation| AttestationView {
            event_id: attestation.event_id,
            pubkey: attestation.reviewer,
            rating: attestation.rating,
            content: &attestation.content,
            agreement_id: &attestation.agreement,
            proof: attestation.proof.as_deref(),
            created_at: attestation.created_at.div_euclid(1_000),
            verified: attestation.verified,
        };
        Self { items: found.iter().map(item).collect(), total, average_rating: average(sum, total) }
    }
}

/// For people to read, so a float does.
#[expect(clippy::cast_precision_loss, reason = "an average has no exact value anyway")]
fn average(sum: u64, count: u64) -> Option<f64> {
    (count > 0).then(|| sum as f64 / count as f64)
}
