//! What callers read.

use serde::Serialize;
use utoipa::ToSchema;

use crate::core::fees::FeeRule;
use crate::core::ids::PaymentHash;
use crate::core::money::Msat;
use crate::core::time::UnixMillis;
use crate::core::time::iso::IsoSeconds;
use crate::services::l402::status::ChallengeStatus;
use crate::services::l402::{Challenge, CreatedChallenge, Verdict};

/// A challenge, to be handed on to whoever is to pay.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct OfferView<'a> {
    /// BOLT11.
    invoice: &'a str,
    /// Base64.
    macaroon: &'a str,
    #[schema(value_type = String)]
    payment_hash: PaymentHash,
    /// When the invoice ends.
    #[schema(value_type = String, format = DateTime)]
    expires_at: IsoSeconds,
    resource: &'a str,
    price_sats: u64,
    /// A whole `WWW-Authenticate` value of the `Payment` scheme.
    mpp_challenge: Option<&'a str>,
    /// What the operator takes of the price; only if there is a fee.
    #[serde(skip_serializing_if = "Option::is_none")]
    fee_sats: Option<u64>,
}

impl<'a> OfferView<'a> {
    pub(super) fn new(created: &'a CreatedChallenge, rule: FeeRule) -> Self {
        let CreatedChallenge { challenge, issued } = created;
        let price = Msat::from_sat(challenge.price_sat).unwrap_or(Msat::ZERO);
        let fee = if challenge.account.is_some() { rule.taken_from(price) } else { Msat::ZERO };
        Self {
            invoice: &challenge.invoice,
            macaroon: &issued.macaroon,
            payment_hash: challenge.payment_hash,
            expires_at: IsoSeconds(challenge.expires_at),
            resource: &challenge.resource,
            price_sats: challenge.price_sat,
            mpp_challenge: issued.payment.as_deref(),
            fee_sats: (fee > Msat::ZERO).then(|| fee.sat_floor()),
        }
    }
}

/// Whether to let somebody in.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct VerdictView<'a> {
    valid: bool,
    /// What was bought.
    resource: Option<&'a str>,
    merchant_id: i64,
    amount_sats: u64,
    #[schema(value_type = Option<String>)]
    payment_hash: Option<PaymentHash>,
    /// Why not.
    error: Option<String>,
}

impl<'a> VerdictView<'a> {
    pub(super) fn new(verdict: &'a Verdict) -> Self {
        let challenge = verdict.challenge.as_ref();
        Self {
            valid: verdict.error.is_none(),
            resource: challenge.map(|challenge| challenge.resource.as_str()),
            merchant_id: challenge.and_then(|challenge| challenge.account).map_or(0, |account| account.0),
            amount_sats: challenge.map_or(0, |challenge| challenge.price_sat),
            payment_hash: challenge.map(|challenge| challenge.payment_hash),
            error: verdict.error.map(|error| error.to_string()),
        }
    }
}

/// A challenge of a list.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ChallengeView<'a> {
    #[schema(value_type = String)]
    payment_hash: PaymentHash,
    resource: &'a str,
    amount_sats: u64,
    status: ChallengeStatus,
    #[schema(value_type = String, format = DateTime)]
    created_at: IsoSeconds,
    #[schema(value_type = Option<String>, format = DateTime)]
    paid_at: Option<IsoSeconds>,
    #[schema(value_type = String, format = DateTime)]
    expires_at: IsoSeconds,
    idempotency_key: Option<&'a str>,
}

/// A part of a list of challenges, newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct ChallengesView<'a> {
    challenges: Vec<ChallengeView<'a>>,
    /// How many there are in all.
    total: u64,
    limit: u32,
    offset: u32,
    /// Which were asked for.
    status: Option<ChallengeStatus>,
}

impl<'a> ChallengesView<'a> {
    pub(super) fn new(
        (challenges, total): (&'a [Challenge], u64),
        page: crate::services::l402::Page,
        now: UnixMillis,
    ) -> Self {
        let view = |challenge: &'a Challenge| ChallengeView {
            payment_hash: challenge.payment_hash,
            resource: &challenge.resource,
            amount_sats: challenge.price_sat,
            status: challenge.status_at(now),
            created_at: IsoSeconds(challenge.created_at),
            paid_at: challenge.paid_at.map(IsoSeconds),
            expires_at: IsoSeconds(challenge.expires_at),
            idempotency_key: challenge.idempotency_key.as_deref(),
        };
        Self {
            challenges: challenges.iter().map(view).collect(),
            total,
            limit: page.limit,
            offset: page.offset,
            status: page.status,
        }
    }
}
