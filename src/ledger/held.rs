//! Charges that we claim ourselves, so that a payment is seen while it is under way.
//!
//! An ordinary invoice's payment is claimed by the node before anybody hears of it. For one made with
//! [`charges::open_held`] the preimage is ours: the node holds the payment and says so ([`NodeEvent::Claimable`]),
//! the charge is marked *held* and its family told, then it is claimed, and the node's `Received` settles it like
//! every other.
//!
//! ```text
//! unpaid, expired ──Claimable──▶ held ──claimed, Received──▶ paid
//!         ▲                       │
//!         └──gone at its deadline─┘
//! ```
//!
//! A payment that nobody is owed is refused and never in suspense: for an unknown hash, for less than was asked,
//! for a charge that is paid. While a charge is held it can't be settled inside the ledger, nor expire, nor be
//! forgotten. A payment that comes late, for a charge that has expired, is held like any other.
//!
//! # What a crash leaves behind
//!
//! | the process dies | what is there at the start | what happens |
//! |---|---|---|
//! | before the mark is committed | the node's event, unhandled | all from the beginning |
//! | after it, before the claim | the same, and the charge held | claimed; the family isn't told again |
//! | after the claim, before the event is handled | the same, and the payment ours | claiming again does nothing; `Received` settles it |
//! | after the event is handled, the claim having failed | the charge held | [`look_again`] claims it |
//! | after a refusal | the event, unhandled | refusing again does nothing |
//! | never, but the books refuse the mark | the event in quarantine | nobody claims; it goes back at its deadline |
//! | for longer than the payment waits (about 40 blocks less than its time lock, for LDK's invoices as few as three) | the charge held | the node has given it back; [`look_again`] releases the charge |
//! | and the node's queue comes back without the event | the payment in the channel, the charge not held | [`lost`] notes and claims it some minutes after the start |
//! | the same, of a payment too small for an output of its own | the same, but nobody can see it | it goes back at its deadline |
//!
//! A claim is made only for a payment that is known to be complete: by its event, or by the time that it has lain
//! there. LDK drops the parts of one that isn't, without giving them back, and the peer closes the channel over
//! them; so nothing is ever claimed on a mere suspicion.
//!
//! The node doesn't tell when it gives a payment back. But it does so exactly at the height it named, and a payment
//! that was claimed is told of within moments. So a charge is held until the node's blocks have reached that
//! height, nothing is waiting to be told, and the node's own record says no success. Should that be wrong, only
//! what is shown was: a `Received` that comes later is credited as ever, and if the charge was settled inside the
//! ledger meanwhile it is in suspense.

pub mod lost;
#[cfg(test)]
mod property;
#[cfg(test)]
pub(super) mod tests;

use std::fmt;
use std::time::Duration;

use super::charges::{self, ChargeStatus};
use super::rows::held as rows;
use super::{Ledger, LedgerError, Listeners};
use crate::core::ids::{ChargeId, PaymentHash, Preimage};
use crate::core::money::Msat;
use crate::core::time::{UnixMillis, millis};
use crate::crash_point;
#[cfg(doc)]
use crate::lightning::NodeEvent;
use crate::lightning::{Direction, RecordStatus, Waiting};
use crate::storage::Tx;

/// How long after its coming a held payment is claimed again: until then the first claim is still at work.
const CLAIM_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// What is to be done about a payment that is held.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Claim it.
    Take(Preimage),
    /// The same, told of before: unless what lies there by now is another, which may not be complete.
    TakeAgain(Preimage),
    /// Give it back; why, for the log.
    Refuse(&'static str),
    /// It is gone; why, for the log. Another one of the same hash may have come meanwhile, which must not suffer.
    Leave(&'static str),
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Take(_) => f.write_str("Take(..)"),
            Self::TakeAgain(_) => f.write_str("TakeAgain(..)"),
            Self::Refuse(why) => write!(f, "Refuse({why:?})"),
            Self::Leave(why) => write!(f, "Leave({why:?})"),
        }
    }
}

/// A payment that the node holds.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// For which invoice.
    pub hash: PaymentHash,
    /// What would come.
    pub amount: Msat,
    /// The block height at which the node gives it back, if it knows.
    pub deadline: Option<u32>,
}

/// Writes down that a payment is held, if somebody is owed it, and decides. [`act`] does it, after the commit.
///
/// # Errors
/// The store's or the listener's; then nothing has changed.
pub fn note(
    tx: &Tx<'_>,
    listeners: &Listeners,
    arrival: &Arrival,
    height: u32,
    now: UnixMillis,
) -> Result<Answer, LedgerError> {
    let Some(mut charge) = charges::by_hash(tx, arrival.hash)? else {
        return Ok(Answer::Refuse("it is for no invoice of ours"));
    };
    let Some(preimage) = rows::preimage(tx, charge.id)? else {
        return Ok(Answer::Refuse("its invoice is not one that is claimed by hand"));
    };
    if charge.status == ChargeStatus::Paid {
        return Ok(Answer::Refuse("its invoice is paid"));
    }
    if arrival.amount < charge.amount.unwrap_or(Msat::ZERO) || arrival.amount == Msat::ZERO {
        return Ok(Answer::Refuse("it is less than was asked"));
    }
    // Told after a long absence: the node has given it back. (Of a charge that is held already, the claim of what is
    // gone does nothing, and `look_again` releases it.)
    if !charge.is_held() && arrival.deadline.is_some_and(|deadline| height >= deadline) {
        return Ok(Answer::Leave("it came too late to be claimed"));
    }
    rows::hold(tx, charge.id, arrival.amount, arrival.deadline, now)?;
    if charge.is_held() {
        return Ok(Answer::TakeAgain(preimage));
    }
    charge.held_at = Some(now);
    if let Some(listener) = listeners.of(charge.family) {
        listener.charge_held(tx, &charge)?;
    }
    crash_point!("charge.before_held_commit");
    Ok(Answer::Take(preimage))
}

/// Does what was decided. What fails is only logged: a claim is tried again by [`look_again`], and what is not
/// refused goes back by itself.
pub fn act(ledger: &Ledger, arrival: &Arrival, answer: Answer) {
    let (hash, amount) = (arrival.hash, arrival.amount);
    match answer {
        Answer::TakeAgain(_) if is_another(&ledger.lightning.waiting(), hash, arrival.deadline) => {
            tracing::info!(%hash, %amount, "a payment has gone, and another one begins to come");
        }
        Answer::Take(preimage) | Answer::TakeAgain(preimage) => {
            crash_point!("charge.after_held_commit");
            if let Err(error) = ledger.lightning.claim(hash, amount, preimage) {
                tracing::warn!(%hash, %amount, %error, "a held payment could not be claimed; trying again");
            }
            crash_point!("charge.after_claim");
        }
        Answer::Refuse(why) => {
            tracing::info!(%hash, %amount, why, "a payment is refused");
            if let Err(error) = ledger.lightning.refuse(hash) {
                tracing::warn!(%hash, %error, "a payment could not be refused; it goes back by itself");
            }
        }
        Answer::Leave(why) => tracing::info!(%hash, %amount, why, "a payment has gone back"),
    }
}

/// Claims again what is still held, and releases charges whose payment is gone. `quiet` says that no event of the
/// node has been waiting for a while.
///
/// # Errors
/// The store's.
pub fn look_again(ledger: &Ledger, quiet: bool) -> Result<(), LedgerError> {
    let all = ledger.store.read_blocking(rows::all)?;
    let waiting = if all.is_empty() { Vec::new() } else { ledger.lightning.waiting() };
    for held in all {
        let record = ledger.lightning.record(held.payment_hash);
        let claimed = record.is_some_and(|record| {
            record.direction == Direction::Inbound && record.status == RecordStatus::Succeeded
        });
        if claimed {
            // Its event is on its way, or the sweep brings it.
            continue;
        }
        let height = ledger.lightning.block_height();
        if held.until.is_some_and(|until| height < until) {
            let old_enough = held.at.saturating_add(millis(CLAIM_AGAIN_AFTER)) <= ledger.clock.now();
            if old_enough && !is_another(&waiting, held.payment_hash, held.until) {
                claim_again(ledger, &held);
            }
        } else if quiet && ledger.lightning.next_event(Duration::ZERO).is_none() {
            match release(ledger, held.id) {
                Err(error) if error.is_refusal() => {
                    tracing::error!(charge = %held.id, %error, "a charge is left held");
                }
                other => other?,
            }
        }
    }
    Ok(())
}

/// Whether what lies there for this hash is not what was told of, which has gone.
fn is_another(waiting: &[Waiting], hash: PaymentHash, deadline: Option<u32>) -> bool {
    waiting.iter().any(|there| there.hash == hash && Some(there.deadline) != deadline)
}

fn claim_again(ledger: &Ledger, held: &rows::Held) {
    match ledger.lightning.claim(held.payment_hash, held.amount, held.preimage) {
        Ok(()) => tracing::debug!(charge = %held.id, "a held payment is claimed again"),
        Err(error) => tracing::warn!(charge = %held.id, %error, "a held payment still can't be claimed"),
    }
}

fn release(ledger: &Ledger, id: ChargeId) -> Result<(), LedgerError> {
    let (listeners, now) = (ledger.listeners.clone(), ledger.clock.now());
    ledger.store.write_blocking(move |tx| {
        if !rows::release(tx, id, now)? {
            return Ok(());
        }
        tracing::warn!(charge = %id, "a held payment went back to its payer before it was claimed");
        let charge = charges::by_id(tx, id)?;
        match listeners.of(charge.family) {
            Some(listener) => listener.charge_released(tx, &charge),
            None => Ok(()),
        }
    })
}
