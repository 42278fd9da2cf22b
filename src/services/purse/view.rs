//! What callers read.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use utoipa::ToSchema;

use super::limits::Left;
use super::store::Purse;
use super::store::payments::{Payment, PaymentStatus};
use super::upstream::Answer;
use crate::core::ids::{PaymentHash, Preimage};
use crate::core::money::Msat;
use crate::core::time::iso::IsoSeconds;

/// A payment of a purse: a receipt.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PaidView {
    /// For `GET /v1/purse/payments/{paymentId}`.
    #[schema(example = "pay_0123456789abcdef01234567")]
    payment_id: String,
    status: PaymentStatus,
    /// What the recipient gets, rounded up.
    #[schema(example = 10)]
    amount_sat: u64,
    /// The same, exact.
    amount_msat: u64,
    /// Once it has arrived: what routing cost, rounded up.
    #[serde(skip_serializing_if = "Option::is_none")]
    fee_sat: Option<u64>,
    /// The same, exact.
    #[serde(skip_serializing_if = "Option::is_none")]
    fee_msat: Option<u64>,
    /// What was bought, without its query; not there if an invoice was paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[schema(value_type = String)]
    payment_hash: PaymentHash,
    /// The receipt, once it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    preimage: Option<Preimage>,
    #[schema(value_type = String, format = DateTime)]
    created_at: IsoSeconds,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<IsoSeconds>,
    /// Why it failed, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_reason: Option<String>,
}

impl From<&Payment> for PaidView {
    fn from(payment: &Payment) -> Self {
        Self {
            payment_id: payment.public_id.clone(),
            status: payment.status,
            amount_sat: payment.amount.get().div_ceil(1_000),
            amount_msat: payment.amount.get(),
            fee_sat: payment.fee.map(|fee| fee.get().div_ceil(1_000)),
            fee_msat: payment.fee.map(Msat::get),
            url: payment.resource.as_ref().map(|(origin, path)| format!("{origin}{path}")),
            payment_hash: payment.payment_hash,
            preimage: payment.preimage,
            created_at: IsoSeconds(payment.created_at),
            finished_at: payment.finished_at.map(IsoSeconds),
            failure_reason: payment.error.clone(),
        }
    }
}

/// What a service answered, and what was paid for it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FetchView {
    /// The service's status. 402 with `paid`: it asks again although it was paid; nothing more was paid.
    #[schema(example = 200)]
    status: u16,
    /// The service's headers; of one that came several times the values have commas between them.
    headers: BTreeMap<String, String>,
    /// The service's body.
    body: String,
    /// `utf8`, or `base64` for what is no text.
    #[schema(example = "utf8")]
    body_encoding: &'static str,
    /// What this request paid; `null` if nothing.
    paid: Option<PaidView>,
    /// Whether what an earlier request paid was shown.
    credential_reused: bool,
    /// What a program should know of this answer, in words; not there if nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) note: Option<&'static str>,
}

impl FetchView {
    pub(super) fn new(answer: Answer, paid: Option<&Payment>, credential_reused: bool) -> Self {
        let mut headers = BTreeMap::<String, String>::new();
        for (name, value) in &answer.headers {
            let text = String::from_utf8_lossy(value.as_bytes());
            headers
                .entry(name.as_str().to_owned())
                .and_modify(|known| {
                    known.push_str(", ");
                    known.push_str(&text);
                })
                .or_insert_with(|| text.into_owned());
        }
        let (body, body_encoding) = match String::from_utf8(answer.body) {
            Ok(text) => (text, "utf8"),
            Err(error) => (STANDARD.encode(error.as_bytes()), "base64"),
        };
        Self {
            status: answer.status,
            headers,
            body,
            body_encoding,
            paid: paid.map(PaidView::from),
            credential_reused,
            note: None,
        }
    }
}

/// What a purse has, may and did.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PurseView {
    #[schema(example = "researcher")]
    pub(super) name: String,
    /// What the account has, rounded down.
    pub(super) balance_sat: u64,
    /// What the purse may spend in all.
    pub(super) budget_sat: u64,
    /// What it has spent, with what is reserved for payments under way, rounded up.
    pub(super) spent_sat: u64,
    /// What is left of the budget, rounded down.
    pub(super) left_sat: u64,
    /// The limit for a day (UTC); `null` for none of its own. If this server's clock was set, or after a time away, the
    /// day may end later, never earlier.
    pub(super) per_day_sat: Option<u64>,
    /// Spent today, with what is reserved, rounded up.
    pub(super) spent_today_sat: u64,
    /// What is left for today; `null` without a limit.
    pub(super) left_today_sat: Option<u64>,
    /// The limit for the price of one request; `null` for none of its own.
    pub(super) per_request_sat: Option<u64>,
    /// Which hosts it may ask; `*` for any public one.
    pub(super) hosts: Vec<String>,
    /// Whether it may pay invoices that it is given.
    pub(super) may_pay_invoices: bool,
    /// Whether it may ask public hosts over plain http, where everybody on the way reads its credentials.
    pub(super) allows_http: bool,
    /// Whether it can spend nothing any more.
    pub(super) revoked: bool,
    #[schema(value_type = String, format = DateTime)]
    pub(super) created_at: IsoSeconds,
}

impl PurseView {
    pub(super) fn new(purse: &Purse, left: &Left) -> Self {
        let up = |amount: Msat| amount.get().div_ceil(1_000);
        Self {
            name: purse.name.clone(),
            balance_sat: left.balance.sat_floor(),
            budget_sat: purse.budget.sat_floor(),
            spent_sat: up(purse.spent),
            left_sat: left.budget.sat_floor(),
            per_day_sat: purse.per_day.map(Msat::sat_floor),
            spent_today_sat: up(left.spent_today),
            left_today_sat: left.today.map(Msat::sat_floor),
            per_request_sat: purse.per_request.map(Msat::sat_floor),
            hosts: purse.hosts.clone(),
            may_pay_invoices: purse.invoices,
            allows_http: purse.allow_http,
            revoked: purse.revoked_at.is_some(),
            created_at: IsoSeconds(purse.created_at),
        }
    }
}

/// A purse with a page of its receipts, newest first.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PursePage {
    #[serde(flatten)]
    pub(super) purse: PurseView,
    pub(super) receipts: Vec<PaidView>,
    /// `cursor` of the next page; `null` on the last.
    pub(super) next_cursor: Option<String>,
}

/// An invoice that was paid.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PayView {
    pub(super) paid: PaidView,
}
