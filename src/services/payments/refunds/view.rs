//! What callers read of refunds.

use serde::Serialize;
use utoipa::ToSchema;

use super::store::Refund;
use crate::core::decimal::Decimal;
use crate::core::time::iso::IsoSeconds;
use crate::services::payments::ids::{InvoiceId, RefundId};
use crate::services::payments::status::RefundStatus;

/// A refund.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RefundView<'a> {
    #[schema(value_type = String, example = "ref_0123456789abcdef01234567")]
    refund_id: RefundId,
    #[schema(value_type = String, example = "inv_0123456789abcdef01234567")]
    invoice_id: InvoiceId,
    status: RefundStatus,
    /// As it was asked for.
    #[schema(value_type = f64, example = 49.99)]
    amount: Decimal,
    #[schema(example = "USD")]
    currency: &'static str,
    /// What the customer gets.
    amount_sats: u64,
    #[serde(rename = "type")]
    #[schema(example = "lightning")]
    kind: &'static str,
    reason: Option<&'a str>,
    #[schema(value_type = String, format = DateTime)]
    created_at: IsoSeconds,
    /// Once it has arrived.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    completed_at: Option<IsoSeconds>,
    /// Once it is known that it won't arrive.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    failed_at: Option<IsoSeconds>,
    /// Why it failed, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_reason: Option<&'a str>,
    /// On-chain, once it is sent: the transaction.
    #[serde(skip_serializing_if = "Option::is_none")]
    txid: Option<&'a str>,
}

impl<'a> RefundView<'a> {
    /// A refund as it stands in the database.
    pub(super) fn new(refund: &'a Refund) -> Self {
        Self {
            refund_id: refund.public_id,
            invoice_id: refund.invoice_id,
            status: refund.status,
            amount: refund.amount,
            currency: refund.unit.code(),
            amount_sats: refund.sats.sat_floor(),
            kind: if refund.address.is_some() { "onchain" } else { "lightning" },
            reason: refund.reason.as_deref(),
            created_at: IsoSeconds(refund.created_at),
            completed_at: refund.completed_at.map(IsoSeconds),
            failed_at: refund.ended_at.filter(|_| refund.status == RefundStatus::Failed).map(IsoSeconds),
            failure_reason: refund.error.as_deref().filter(|_| refund.status == RefundStatus::Failed),
            txid: refund.txid.as_deref(),
        }
    }
}

/// A page of refunds.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RefundsView<'a> {
    pub(super) refunds: Vec<RefundView<'a>>,
    /// `cursor` of the next page; `null` on the last.
    #[schema(value_type = Option<String>)]
    pub(super) next_cursor: Option<RefundId>,
}

/// What a webhook says of a refund.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::services::payments) struct RefundNews {
    refund_id: RefundId,
    invoice_id: InvoiceId,
    status: RefundStatus,
    amount: Decimal,
    currency: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    completed_at: Option<IsoSeconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failed_at: Option<IsoSeconds>,
}

impl RefundNews {
    /// A refund that has just ended.
    pub(in crate::services::payments) fn new(refund: &Refund, now: crate::core::time::UnixMillis) -> Self {
        Self {
            refund_id: refund.public_id,
            invoice_id: refund.invoice_id,
            status: refund.status,
            amount: refund.amount,
            currency: refund.unit.code(),
            completed_at: refund.completed_at.map(IsoSeconds),
            failed_at: (refund.status == RefundStatus::Failed).then_some(IsoSeconds(now)),
        }
    }
}
