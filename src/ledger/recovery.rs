//! What happens after a start, and again and again: what was under way is settled by proof
//! ([`reconciliation`]), a sweep catches what an event should have told, and the node forgets what is over.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::held::lost::Lost;
use super::payouts;
use super::rows::{charges as charge_rows, held as held_rows, offers as offer_rows, payouts as rows};
use super::sure_time::sure_now;
use super::{Ledger, LedgerError, charges, held, offers, reconciliation};
use crate::core::ids::{ChargeId, PayoutId};
use crate::core::money::Msat;
use crate::core::time::{UnixMillis, millis};
use crate::lightning::Direction;

/// How long absent peers hold up the claim of payments that nobody told of.
const ABSENT_AT_MOST: Duration = Duration::from_secs(600);

/// How often old payouts are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How often the node's records are swept for what an event should have told.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// How far back a sweep looks beyond the last one.
const SWEEP_OVERLAP_SECS: u64 = 300;

/// How long after an invoice's end, or a payout's, the node keeps its record.
/// LDK accepts payments until two hours after an invoice's end.
const FORGET_AFTER: Duration = Duration::from_secs(3 * 3_600);

/// How far the node has forgotten what charges were about.
pub(super) const CHARGES_MARK: &str = "forget_charges";

/// How long after a payment to a charge that has an offer the node keeps its record. LDK makes invoices for offers
/// that can be paid for two hours, and accepts payments until two hours after that, by the time of the newest block:
/// which may be two hours ahead, and stands still while no block comes.
const FORGET_RECEIPTS_AFTER: Duration = Duration::from_secs(9 * 3_600);

/// Records forgotten in one go.
const FORGET_BATCH: usize = 500;

/// Before anything else: whatever was under way is not known any more.
///
/// # Errors
/// The store's.
pub fn mark_unknown(ledger: &Ledger) -> Result<usize, LedgerError> {
    let unknown = ledger.store.write_blocking(rows::mark_all_unknown)?;
    if unknown > 0 {
        tracing::info!(
            unknown,
            "payouts were under way when the process stopped; looking for proof of what became of them"
        );
    }
    Ok(unknown)
}

/// The recovery task's memory between rounds.
#[derive(Debug)]
pub struct Recovery {
    started: Instant,
    quiet_since: Option<Instant>,
    looked: Option<Instant>,
    swept: Option<Instant>,
    swept_until: u64,
    /// Whether all that the node had to tell from before its start has been heard.
    drained: bool,
    lost: Lost,
}

impl Default for Recovery {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            quiet_since: None,
            looked: None,
            swept: None,
            swept_until: 0,
            drained: false,
            lost: Lost::default(),
        }
    }
}

impl Recovery {
    /// Does what is due: looks at unknown payouts and held charges, sweeps, lets the node forget.
    ///
    /// # Errors
    /// The store's; what was done stays done.
    pub fn round(&mut self, ledger: &Ledger) -> Result<(), LedgerError> {
        if !ledger.lightning.is_running() {
            *self = Self { swept_until: self.swept_until, ..Self::default() };
            return Ok(());
        }
        let may_ask = self.may_ask(ledger);
        self.lost.round(ledger, self.started.elapsed(), may_ask)?;
        if self.looked.is_none_or(|at| at.elapsed() >= LOOK_EVERY) {
            reconciliation::look_again(ledger, may_ask)?;
            held::look_again(ledger, may_ask)?;
            self.looked = Some(Instant::now());
        }
        if self.swept.is_none_or(|at| at.elapsed() >= SWEEP_EVERY) {
            let now = u64::try_from(ledger.clock.now() / 1_000).unwrap_or(0);
            // A clock that was ahead for a while must not make it miss what comes now.
            sweep(ledger, self.swept_until.min(now).saturating_sub(SWEEP_OVERLAP_SECS))?;
            self.swept_until = now;
            // What an event that still waits is about can be claimed only as long as the node knows it.
            if self.drained && !self.lost.is_watching() {
                forget_old(ledger)?;
            }
            self.swept = Some(Instant::now());
        }
        Ok(())
    }

    /// Whether everything has been quiet for long enough: no event waiting, no peer missing. A peer that
    /// stays away doesn't hold up the others for ever: without it there is only no route.
    fn may_ask(&mut self, ledger: &Ledger) -> bool {
        let complete = ledger.lightning.channels_settled() || self.started.elapsed() >= ABSENT_AT_MOST;
        let nothing_waits = ledger.lightning.next_event(Duration::ZERO).is_none();
        // LDK tells the last of it in the first moments; where events never cease, the queue is empty between two.
        self.drained |= nothing_waits && self.started.elapsed() >= ledger.settings.settle_time;
        if !complete || !nothing_waits {
            self.quiet_since = None;
            return false;
        }
        let since = *self.quiet_since.get_or_insert_with(Instant::now);
        since.elapsed() >= ledger.settings.settle_time
    }
}

/// Credits what the node says succeeded and we have not heard of. A failure in the node's record proves
/// nothing, so it is left to the event.
///
/// # Errors
/// The store's.
pub fn sweep(ledger: &Ledger, since_secs: u64) -> Result<(), LedgerError> {
    let now = ledger.clock.now();
    for record in ledger.lightning.succeeded_since(since_secs) {
        let known = ledger.store.read_blocking(move |connection| -> Result<_, LedgerError> {
            Ok(match record.direction {
                Direction::Inbound => offers::is_known(connection, record.hash, record.offer)?,
                Direction::Outbound => payouts::by_hash(connection, record.hash)?
                    .is_none_or(|payout| payout.status == payouts::PayoutStatus::Paid),
            })
        })?;
        if known {
            continue;
        }
        let settled = match (record.direction, record.amount) {
            (Direction::Inbound, Some(amount)) => {
                let (hash, offer, listeners) = (record.hash, record.offer, ledger.listeners.clone());
                let received = ledger
                    .store
                    .write_blocking(move |tx| charges::receive(tx, &listeners, hash, offer, amount, now));
                received.map(drop)
            }
            (Direction::Inbound, None) => Ok(()),
            (Direction::Outbound, _) => {
                let fee = record.fee.unwrap_or(Msat::ZERO);
                reconciliation::arrived(ledger, record.hash, record.preimage, fee).map(drop)
            }
        };
        match settled {
            Err(error) if error.is_refusal() => {
                tracing::error!(hash = %record.hash, %error, "what the node says can't be booked");
            }
            other => other?,
        }
    }
    Ok(())
}

/// Lets the node forget invoices and payments that are over: it keeps them all in memory. Goes on where
/// it stopped, so that its cost depends on what is new, not on what there is.
///
/// # Errors
/// The store's.
pub fn forget_old(ledger: &Ledger) -> Result<(), LedgerError> {
    while forget_some(ledger)? == FORGET_BATCH {}
    Ok(())
}

/// One batch; answers how many there were of the kind that had more.
fn forget_some(ledger: &Ledger) -> Result<usize, LedgerError> {
    let now = sure_now(ledger)?;
    let before = now.saturating_sub(millis(FORGET_AFTER));
    take_back_marks(ledger, before)?;
    let receipts_before = now.saturating_sub(millis(FORGET_RECEIPTS_AFTER));
    let (from_charge, from_payout, from_unclaimed, from_receipt) =
        ledger.store.read_blocking(|connection| -> Result<_, LedgerError> {
            Ok((
                charge_rows::mark(connection, CHARGES_MARK)?,
                charge_rows::mark(connection, "forget_payouts")?,
                charge_rows::mark(connection, "forget_unclaimed")?,
                charge_rows::mark(connection, "forget_receipts")?,
            ))
        })?;
    let (charges, payouts, unclaimed, receipts) =
        ledger.store.read_blocking(move |connection| -> Result<_, LedgerError> {
            Ok((
                charge_rows::prunable(
                    connection,
                    (from_charge.0, ChargeId(from_charge.1)),
                    before,
                    FORGET_BATCH,
                )?,
                rows::prunable(connection, (from_payout.0, PayoutId(from_payout.1)), before, FORGET_BATCH)?,
                rows::prunable_unclaimed(connection, from_unclaimed.1, before, FORGET_BATCH)?,
                offer_rows::prunable(connection, from_receipt.1, receipts_before, FORGET_BATCH)?,
            ))
        })?;
    let charge_end = charges.last().map(|last| (last.0, last.1.0));
    let payout_end = payouts.last().map(|last| (last.0, last.1.0));
    let unclaimed_end = unclaimed.last().map(|last| (last.0, last.1));
    let receipt_end = receipts.last().map(|last| (last.0, last.1));
    let came = unclaimed.iter().chain(&receipts).map(|row| row.2);
    let ended = payouts.iter().map(|row| row.2).chain(came);
    // What is held can be claimed only as long as the node knows it.
    let held: HashSet<_> =
        ledger.store.read_blocking(held_rows::all)?.into_iter().map(|held| held.payment_hash).collect();
    let hashes = charges.iter().map(|row| row.2).chain(ended).filter(|hash| !held.contains(hash));
    for hash in hashes {
        if let Err(error) = ledger.lightning.forget(hash) {
            tracing::debug!(%hash, %error, "the node could not forget a record");
        }
    }
    let most = charges.len().max(payouts.len()).max(unclaimed.len()).max(receipts.len());
    save_mark(ledger, CHARGES_MARK, charge_end)?;
    save_mark(ledger, "forget_payouts", payout_end)?;
    save_mark(ledger, "forget_unclaimed", unclaimed_end)?;
    save_mark(ledger, "forget_receipts", receipt_end)?;
    Ok(most)
}

/// What a clock that was ahead has left behind.
fn take_back_marks(ledger: &Ledger, latest: UnixMillis) -> Result<(), LedgerError> {
    let names = [CHARGES_MARK, "forget_payouts"];
    let ahead = ledger.store.read_blocking(move |connection| -> Result<bool, LedgerError> {
        let marks = names.iter().map(|name| charge_rows::mark(connection, name));
        Ok(marks.collect::<Result<Vec<_>, _>>()?.iter().any(|(at, _)| *at > latest))
    })?;
    if !ahead {
        return Ok(());
    }
    ledger.store.write_blocking(move |tx| {
        names.iter().try_for_each(|name| charge_rows::take_back_mark(tx, name, latest))
    })
}

fn save_mark(ledger: &Ledger, name: &'static str, end: Option<(UnixMillis, i64)>) -> Result<(), LedgerError> {
    let Some((at, id)) = end else { return Ok(()) };
    ledger.store.write_blocking(move |tx| charge_rows::set_mark(tx, name, at, id))
}
