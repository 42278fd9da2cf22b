//! Payouts that a person ends, where the node can't [prove](crate::lightning::standing) how they ended: by the receipt of
//! the payment, or by proof that it will never arrive.
//!
//! | a person says | accepted | what follows if it was wrong |
//! |---|---|---|
//! | paid, with a preimage | only if its SHA-256 is the payment hash; of what is `in_flight` or `unknown` | the recipient was paid by somebody else: the sats are still in the channels, and the audit finds more than the books say |
//! | failed | only of what is `in_flight` or `unknown`, unless an HTLC of it is, or may be, in a channel | a success that comes later is booked as the operator's loss as far as the money was given to somebody else meanwhile ([`payouts::mark_paid`]), counted (`payouts_late`) and logged as an error |
//!
//! Each is one transaction with the operator's act. A payment hash is never sent again, whatever was said.

use super::payouts::{self, Arrival, Payout, PayoutStatus};
use super::rows::payouts as rows;
use super::{LedgerError, Listeners};
use crate::core::ids::{PayoutId, Preimage};
use crate::core::money::Msat;
use crate::core::time::UnixMillis;
use crate::storage::Tx;

/// Why a payout that a person ended so has failed.
const GIVEN_UP: &str = "given up by hand";

/// What a person found out about a payout.
#[derive(Clone, Copy, Debug)]
pub enum Found {
    /// It arrived: the receipt, and what routing cost.
    Paid {
        /// Opens the payment hash.
        preimage: Preimage,
        /// What routing cost.
        fee: Msat,
    },
    /// It did not, and never will.
    Failed,
}

/// Why a payout was not ended by hand. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSettled {
    /// It has ended, or was never given to the node.
    #[error("it is {}: only what is in_flight or unknown can be settled by hand", .0.name())]
    NotUnderWay(PayoutStatus),
    /// The receipt is of another payment.
    #[error("this preimage is of another payment: its SHA-256 is not the payment hash")]
    WrongPreimage,
}

/// Ends a payout by what a person found out.
///
/// # Errors
/// The store's or the listener's; then nothing has changed.
pub fn settle(
    tx: &Tx<'_>,
    listeners: &Listeners,
    id: PayoutId,
    found: Found,
    now: UnixMillis,
) -> Result<Result<Payout, NotSettled>, LedgerError> {
    let payout = payouts::by_id(tx, id)?;
    if let Err(why) = may_settle(&payout, found) {
        return Ok(Err(why));
    }
    match found {
        Found::Paid { preimage, fee } => {
            let hash = payout.payment_hash;
            let arrival = Arrival { hash, preimage: Some(preimage), fee, left: None };
            payouts::mark_paid(tx, listeners, &arrival, now)?;
        }
        Found::Failed => payouts::give_up(tx, listeners, id, GIVEN_UP, now)?,
    }
    rows::count_event(tx, "payouts_settled_by_hand")?;
    tracing::warn!(payout = %payout.public_id, ?found, "a payout was settled by hand");
    Ok(Ok(payouts::by_id(tx, id)?))
}

/// Whether a person's word is enough to end this payout.
///
/// # Errors
/// Why not.
pub fn may_settle(payout: &Payout, found: Found) -> Result<(), NotSettled> {
    if !matches!(payout.status, PayoutStatus::InFlight | PayoutStatus::Unknown) {
        return Err(NotSettled::NotUnderWay(payout.status));
    }
    match found {
        Found::Paid { preimage, .. } if preimage.payment_hash() != payout.payment_hash => {
            Err(NotSettled::WrongPreimage)
        }
        Found::Paid { .. } | Found::Failed => Ok(()),
    }
}
