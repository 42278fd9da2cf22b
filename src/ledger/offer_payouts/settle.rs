//! Payouts to offers that a person ends.

use super::super::payouts::PayoutStatus;
use super::super::{Ledger, LedgerError, Listeners};
use super::outcome::{Ended, give_up, pay};
use super::{OfferPayout, by_id};
use crate::core::ids::{OfferPayoutId, PaymentHash};
use crate::core::money::Msat;
use crate::core::time::UnixMillis;
use crate::lightning::{OfferKey, Outbound, RecordStatus, Standing};
use crate::storage::Tx;

/// What a person found out about one that nobody could tell of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The recipient has it.
    Paid,
    /// Nobody has, nobody will.
    NotSent,
}

/// Why a person can't say that nothing of one was sent: the node's state shows that it was, or may show it. Asks the
/// node for the payment by its hash and by its id, which stands in LDK's state wherever an HTLC of it is; without
/// either, for its note.
pub fn may_be_under_way(ledger: &Ledger, payout: &OfferPayout) -> Option<&'static str> {
    let key = payout.payment_id.map_or(OfferKey::Note(&payout.public_id), OfferKey::Payment);
    let record = ledger.lightning.offer_record(key);
    if record.as_ref().is_some_and(|record| record.status == RecordStatus::Succeeded) {
        return Some("the node's record says that it arrived: it ends as paid by itself");
    }
    let hash = payout.payment_hash.or_else(|| record.as_ref()?.hash);
    let id = payout.payment_id.or_else(|| record.as_ref().map(|record| record.payment_id)).map(PaymentHash);
    if hash.is_none() && id.is_none() {
        return match ledger.lightning.has_trace_of(OfferKey::Note(&payout.public_id)) {
            Ok(false) => None,
            Ok(true) => Some("the node's state has its note: it was sent, and may be under way"),
            Err(why) => Some(why),
        };
    }
    // Whatever the node reported: open channels are looked at, too.
    let asked = |name, is_id| Outbound { hash: name, is_id, amount: payout.amount, reported_failed: false };
    let asked: Vec<_> =
        hash.map(|hash| asked(hash, false)).into_iter().chain(id.map(|id| asked(id, true))).collect();
    ledger.lightning.standings(&asked).into_iter().find_map(|standing| match standing {
        Standing::Gone | Standing::NeverSent => None,
        Standing::Arrived { .. } => Some("the node has its preimage: it arrived"),
        Standing::UnderWay => Some("an HTLC of it is in an open channel"),
        Standing::Closing => {
            Some("an HTLC of it was in a channel that has closed, and the chain has not decided")
        }
        Standing::Unclear(why) => Some(why),
    })
}

/// Ends what a person has looked into; `false` for one whose outcome is not in doubt.
///
/// # Errors
/// The store's or the listener's.
pub fn settle(
    tx: &Tx<'_>,
    listeners: &Listeners,
    id: OfferPayoutId,
    found: Found,
    now: UnixMillis,
) -> Result<bool, LedgerError> {
    let payout = by_id(tx, id)?;
    if payout.status != PayoutStatus::Unknown {
        return Ok(false);
    }
    match found {
        Found::Paid => {
            let ended = Ended {
                payment_id: payout.payment_id.unwrap_or([0; 32]),
                note: None,
                hash: payout.payment_hash,
                preimage: None,
                fee: Msat::ZERO,
            };
            pay(tx, listeners, &payout, &ended, now)?;
        }
        Found::NotSent => give_up(tx, listeners, id, "not sent, says the operator", now)?,
    }
    Ok(true)
}
