//! What happens to money that was under way when the process stopped, and the sweep that catches what an
//! event should have told.
//!
//! # The truth table
//!
//! A payout found `dispatching` or `in_flight` at start may have been sent or not, and LDK may know it
//! from its manager, from a channel monitor alone, or not at all (an HTLC that was still waiting inside
//! the node for its turn is forgotten). So it becomes `unknown`, and then:
//!
//! | what we find | what it proves | what we do |
//! |---|---|---|
//! | the node's event | everything | end it |
//! | the node's record says succeeded | it arrived | end it as paid |
//! | the record forgotten, asked to send again: "I have that" | an HTLC is under way | `in_flight` |
//! | the same, and it sends | it had been lost, and is sent now, once | `in_flight` |
//! | the same, and it refuses (no route, expired) | nothing | ask again later |
//! | nothing for two weeks of blocks after it was sent | every HTLC of it has timed out on chain | give it up |
//!
//! Asking again is safe because LDK refuses a second payment of a hash that any channel monitor still
//! knows, and reads its monitors before it starts. It is done only once the event queue has been empty and
//! every channel back for a while, and only after the row durably says that it is done.
//!
//! One gap is left: LDK forgets a payment that failed a moment before it tells of it. A question in that
//! very moment sends anew, and the failure that is told next is about the first time. So the first failure
//! after a second sending is not believed; the node is asked once more, a minute later.

use std::collections::HashSet;
use std::str::FromStr;
use std::time::{Duration, Instant};

use lightning_invoice::Bolt11Invoice;

use super::held::lost::Lost;
use super::payouts::{self, Payout, give_up};
use super::rows::{charges as charge_rows, held as held_rows, offers as offer_rows, payouts as rows};
use super::{Ledger, LedgerError, charges, held, offers};
use crate::clock::{UnixMillis, millis};
use crate::crash_point;
use crate::ids::{ChargeId, PayoutId};
use crate::lightning::{Direction, Dispatch, PaymentRecord, RecordStatus};
use crate::money::Msat;

/// LDK allows a route at most 1,008 blocks; the rest is for the chain to settle what timed out.
const DEAD_AFTER_BLOCKS: u32 = 2_016;

/// How long absent peers hold up the questions that need a route.
const ABSENT_AT_MOST: Duration = Duration::from_secs(600);

/// How often old payouts are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How long after a failure that was not believed the node is asked again.
const DOUBT_PAUSE: Duration = Duration::from_secs(60);

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
pub fn doubt(ledger: &Ledger) -> Result<usize, LedgerError> {
    let doubted = ledger.store.write_blocking(rows::doubt_all)?;
    if doubted > 0 {
        tracing::info!(
            doubted,
            "payouts were under way when the process stopped; asking the node about them"
        );
    }
    Ok(doubted)
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
            look_again(ledger, may_ask)?;
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

/// Looks at every payout that is `unknown`; asks the node to send it, if that is allowed now.
///
/// # Errors
/// The store's.
pub fn look_again(ledger: &Ledger, may_ask: bool) -> Result<(), LedgerError> {
    let unknown = ledger.store.read_blocking(|connection| rows::with_status(connection, "unknown"))?;
    for payout in unknown {
        match look_at(ledger, &payout, may_ask) {
            Err(error) if error.is_refusal() => {
                tracing::error!(payout = %payout.public_id, %error, "a payout in doubt is left as it is");
            }
            other => other?,
        }
    }
    Ok(())
}

fn look_at(ledger: &Ledger, payout: &Payout, may_ask: bool) -> Result<(), LedgerError> {
    let hash = payout.payment_hash;
    let arrived = |record: &PaymentRecord| {
        record.direction == Direction::Outbound && record.status == RecordStatus::Succeeded
    };
    if let Some(record) = ledger.lightning.record(hash).filter(arrived) {
        return settle_from(ledger, &record);
    }
    let since = payout.dispatched_height.unwrap_or(0);
    if since > 0 && ledger.lightning.block_height() > since.saturating_add(DEAD_AFTER_BLOCKS) {
        let (id, now, listeners) = (payout.id, ledger.clock.now(), ledger.listeners.clone());
        tracing::warn!(payout = %payout.public_id, "every HTLC it could have had has timed out on chain; giving it up");
        return ledger
            .store
            .write_blocking(move |tx| give_up(tx, &listeners, id, "it timed out on chain", now));
    }
    // An event that is waiting says more than we could find out.
    if may_ask && ledger.lightning.next_event(Duration::ZERO).is_none() {
        ask(ledger, payout)
    } else {
        Ok(())
    }
}

/// Asks the node to send what it may have lost. The row says so first: if an event has ended the payout
/// since it was read, nothing is asked.
fn ask(ledger: &Ledger, payout: &Payout) -> Result<(), LedgerError> {
    let Ok(invoice) = Bolt11Invoice::from_str(&payout.invoice) else { return Ok(()) };
    let (id, height) = (payout.id, ledger.lightning.block_height());
    let earliest = ledger.clock.now().saturating_sub(millis(DOUBT_PAUSE));
    let begun = ledger.store.write_blocking(move |tx| rows::start_again(tx, id, height, earliest))?;
    let Some(resent) = begun else { return Ok(()) };
    crash_point!("recovery.before_ask");
    if let Err(error) = ledger.lightning.forget(payout.payment_hash) {
        tracing::warn!(payout = %payout.public_id, %error, "the node could not forget its record");
        return ledger.store.write_blocking(move |tx| {
            rows::note_not_sent_again(tx, id, resent, Some("the node could not forget it"))
        });
    }
    let max_fee = payout.granted.unwrap_or(payout.max_fee);
    let answer = ledger.lightning.pay(&invoice, payout.amount, max_fee);
    crash_point!("recovery.after_ask");
    ledger.store.write_blocking(move |tx| match answer {
        Dispatch::Sent => {
            tracing::info!(payout = %id, "the node had lost a payout; it is sent now");
            rows::note_sent_again(tx, id)
        }
        Dispatch::Known => {
            tracing::info!(payout = %id, "the node still has a payout under way");
            rows::note_not_sent_again(tx, id, resent, None)
        }
        Dispatch::Ambiguous(why) => {
            tracing::warn!(payout = %id, %why, "can't tell whether a payout was sent again");
            rows::note_not_sent_again(tx, id, resent.max(1), Some(&why))
        }
        Dispatch::NotSent(why) => {
            tracing::debug!(payout = %id, ?why, "the node can't tell yet");
            let why = "the node can't tell yet whether it was sent";
            rows::note_not_sent_again(tx, id, resent, Some(why))
        }
    })
}

/// Ends a payout by the node's own record of its success.
fn settle_from(ledger: &Ledger, record: &PaymentRecord) -> Result<(), LedgerError> {
    let (hash, preimage, fee) = (record.hash, record.preimage, record.fee.unwrap_or(Msat::ZERO));
    let (now, listeners) = (ledger.clock.now(), ledger.listeners.clone());
    ledger
        .store
        .write_blocking(move |tx| payouts::arrived(tx, &listeners, hash, preimage, fee, now))
        .map(drop)
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
            (Direction::Outbound, _) => settle_from(ledger, &record),
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
    let before = ledger.clock.now().saturating_sub(millis(FORGET_AFTER));
    take_back_marks(ledger, before)?;
    let receipts_before = ledger.clock.now().saturating_sub(millis(FORGET_RECEIPTS_AFTER));
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
