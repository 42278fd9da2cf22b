//! What callers read.

use serde::Serialize;
use utoipa::ToSchema;

use super::ids::WithdrawalKey;
use super::store::{Carrier, Withdrawal, WithdrawalStatus};
use crate::core::ids::{PaymentHash, Preimage};
use crate::core::time::iso::IsoSeconds;
use crate::ledger::accounts::Line;

/// What an account has.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountView {
    /// Its name.
    #[schema(example = "shop")]
    pub(super) account: String,
    /// What it has earned, less what was refunded, withdrawn and is under way.
    pub(super) balance_msat: u64,
    /// The most that can be withdrawn by Lightning now: whole sats, the reserve for routing left in the balance.
    pub(super) withdrawable_msat: u64,
    /// Withdrawals under way, with their reserves for fees.
    pub(super) pending_msat: u64,
}

/// A withdrawal.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WithdrawalView<'a> {
    #[schema(value_type = String, example = "wd_0123456789abcdef01234567")]
    withdrawal_id: WithdrawalKey,
    status: WithdrawalStatus,
    /// `lightning`, `offer` or `onchain`.
    #[serde(rename = "type")]
    #[schema(example = "lightning")]
    kind: &'static str,
    /// What the recipient gets, rounded down.
    amount_sat: u64,
    /// The same, exact.
    amount_msat: u64,
    /// Once it has arrived: what the account was charged for routing or miners, rounded up.
    #[serde(skip_serializing_if = "Option::is_none")]
    fee_sat: Option<u64>,
    /// The same, exact.
    #[serde(skip_serializing_if = "Option::is_none")]
    fee_msat: Option<u64>,
    /// What is withheld from the balance for fees until then.
    reserve_msat: u64,
    /// As it was given.
    target: &'a str,
    #[schema(value_type = String, format = DateTime)]
    created_at: IsoSeconds,
    /// Once it has arrived.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    completed_at: Option<IsoSeconds>,
    /// Once it is known that it won't arrive; the money is back in the balance.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    failed_at: Option<IsoSeconds>,
    /// Why it failed, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_reason: Option<&'a str>,
    /// Nobody can tell yet whether it was sent; it is not tried again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    in_doubt: bool,
    /// On-chain, once it is sent: the transaction.
    #[serde(skip_serializing_if = "Option::is_none")]
    txid: Option<&'a str>,
    /// By Lightning, once known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    payment_hash: Option<PaymentHash>,
    /// By Lightning, once it has arrived: the receipt.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    preimage: Option<Preimage>,
}

impl<'a> WithdrawalView<'a> {
    /// A withdrawal as it stands in the database.
    pub(super) fn new(withdrawal: &'a Withdrawal) -> Self {
        let ended = |status| withdrawal.finished_at.filter(|_| withdrawal.status == status).map(IsoSeconds);
        Self {
            withdrawal_id: withdrawal.public_id,
            status: withdrawal.status,
            kind: match withdrawal.carrier {
                Carrier::Payout(_) => "lightning",
                Carrier::Offer(_) => "offer",
                Carrier::Coins(_) => "onchain",
            },
            amount_sat: withdrawal.amount.sat_floor(),
            amount_msat: withdrawal.amount.get(),
            fee_sat: withdrawal.fee.map(|fee| fee.get().div_ceil(1_000)),
            fee_msat: withdrawal.fee.map(crate::core::money::Msat::get),
            reserve_msat: withdrawal.reserve.get(),
            target: &withdrawal.target,
            created_at: IsoSeconds(withdrawal.created_at),
            completed_at: ended(WithdrawalStatus::Completed),
            failed_at: ended(WithdrawalStatus::Failed),
            failure_reason: withdrawal.error.as_deref(),
            in_doubt: withdrawal.in_doubt,
            txid: withdrawal.txid.as_deref(),
            payment_hash: withdrawal.payment_hash,
            preimage: withdrawal.preimage,
        }
    }
}

/// A line of a statement.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LineView {
    id: i64,
    #[schema(value_type = String, format = DateTime)]
    at: IsoSeconds,
    /// `payment`, `payment_more`, `l402`, `shop`, `service_fee`, `service_fee_returned`, `suspense`, `refund`,
    /// `refund_failed`, `refund_late`, `refund_reserved`, `refund_released`, `withdrawal`, `withdrawal_failed`,
    /// `withdrawal_late`, `purse`, `purse_failed`, `purse_late`, `fee_reserved`, `fee_returned`, `opening`.
    #[schema(example = "payment")]
    kind: String,
    /// The id of what caused it: of a payment, refund or withdrawal; of a sold request its payment hash.
    #[schema(example = "inv_0123456789abcdef01234567")]
    reference: String,
    /// In: positive, out: negative.
    amount_msat: i64,
    /// Afterwards.
    balance_msat: u64,
}

impl From<Line> for LineView {
    fn from(line: Line) -> Self {
        Self {
            id: line.id,
            at: IsoSeconds(line.at),
            kind: line.kind,
            reference: line.reference,
            amount_msat: line.msat,
            balance_msat: line.balance.get(),
        }
    }
}

/// A page of a statement, newest first.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatementView {
    pub(super) lines: Vec<LineView>,
    /// `cursor` of the next page; `null` on the last.
    pub(super) next_cursor: Option<String>,
}
