//! The one owner of [`Lightning::pay_to_offer`](crate::lightning::Lightning::pay_to_offer): sends what is queued, one at
//! a time, and looks for proof about what is in doubt.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::super::payouts::{PayoutStatus, set_aside};
use super::super::routing::{Bearer, Budget};
use super::super::rows::offer_payouts as rows;
use super::super::{Family, Ledger, LedgerError};
use super::outcome::{Ended, arrived, conclude, give_up, standing_of};
use super::{OfferPayout, by_id};
use crate::core::ids::{OfferPayoutId, PaymentHash};
use crate::core::money::Msat;
use crate::core::time::{UnixMillis, millis};
use crate::crash_point;
use crate::lightning::{OfferDispatch, OfferKey, OfferOrder, RecordStatus};

/// How often it is looked whether something is due.
const TICK: Duration = Duration::from_millis(500);

/// Payouts to offers under way at once: of gifts and tips together, and of all others together.
pub(super) const MOST_UNDER_WAY: usize = 10;

/// Of these, one account's or client's while others wait.
pub(super) const MOST_OF_ONE: usize = 3;

/// Of these, one account's or client's while nobody else waits.
pub(super) const MOST_ALONE: usize = 7;

/// First wait after the node could not send; doubles each time.
const RETRY: Duration = Duration::from_secs(2);

/// How often proof is looked for.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How long after its end the node keeps its record.
const FORGET_AFTER: Duration = Duration::from_secs(3 * 3_600);

/// Records forgotten at once.
const FORGET_BATCH: usize = 100;

/// Sends and watches until told to stop. For a thread of its own.
pub fn run(ledger: &Ledger, stop: impl Fn() -> bool, beat: impl Fn()) {
    let mut worker = Worker::default();
    while !stop() {
        beat();
        if let Err(error) = worker.step(ledger) {
            tracing::error!(%error, "payouts to offers can't go on now; trying again");
        }
        std::thread::sleep(TICK);
    }
}

/// The memory between steps.
#[derive(Debug, Default)]
pub struct Worker {
    /// The node answered, but the answer is not written down: the store took no writes.
    unnoted: VecDeque<(OfferPayout, OfferDispatch)>,
    /// Since when no event has been waiting.
    quiet_since: Option<Instant>,
    /// When proof is looked for next.
    next_look: HashMap<OfferPayoutId, UnixMillis>,
}

impl Worker {
    /// One look at everything that has not ended. Sends at most one. A row that the books refuse is left as it is, and
    /// holds up no other.
    ///
    /// # Errors
    /// The store's; what was sent by then is sent, and the next step goes on where this one stopped.
    pub fn step(&mut self, ledger: &Ledger) -> Result<(), LedgerError> {
        self.write_answers(ledger)?;
        let open = ledger.store.read_blocking(rows::open)?;
        self.next_look.retain(|id, _| open.iter().any(|payout| payout.id == *id));
        if !ledger.lightning.is_running() {
            self.quiet_since = None;
            return Ok(());
        }
        let quiet = self.is_quiet(ledger);
        let mut nameless = false;
        for payout in open.iter().filter(|payout| payout.status != PayoutStatus::Queued) {
            nameless |= match self.watch(ledger, payout, quiet) {
                Ok(named) => !named,
                Err(error) => {
                    set_aside::<()>(Err(error))?;
                    payout.payment_id.is_none()
                }
            };
        }
        let now = ledger.clock.now();
        for late in
            open.iter().filter(|payout| payout.status == PayoutStatus::Queued && payout.deadline <= now)
        {
            set_aside(give_up_late(ledger, late, nameless, now))?;
        }
        if !nameless {
            self.send_next(ledger, &open, now)?;
        }
        forget_old(ledger, now)
    }

    /// What a store without room left undone.
    fn write_answers(&mut self, ledger: &Ledger) -> Result<(), LedgerError> {
        while let Some((payout, answer)) = self.unnoted.pop_front() {
            if let Err(error) = set_aside(note(ledger, &payout, &answer)) {
                self.unnoted.push_front((payout, answer));
                return Err(error);
            }
        }
        Ok(())
    }

    /// Whether no event has been waiting for a while, so that what happened before the start has been told.
    fn is_quiet(&mut self, ledger: &Ledger) -> bool {
        if ledger.lightning.next_event(Duration::ZERO).is_some() {
            self.quiet_since = None;
            return false;
        }
        self.quiet_since.get_or_insert_with(Instant::now).elapsed() >= ledger.settings.settle_time
    }

    /// Looks at the node's record of one that may have been sent. Answers whether it can't be the payment of an event
    /// with an unknown id: its own is known, or it has ended.
    fn watch(&mut self, ledger: &Ledger, payout: &OfferPayout, quiet: bool) -> Result<bool, LedgerError> {
        let key = payout.payment_id.map_or(OfferKey::Note(&payout.public_id), OfferKey::Payment);
        let Some(record) = ledger.lightning.offer_record(key) else {
            return Ok(self.look_for_proof(ledger, payout, None, quiet)? || payout.payment_id.is_some());
        };
        let mut known = payout.clone();
        if payout.payment_id.is_none() {
            let (id, payment_id) = (payout.id, record.payment_id);
            ledger.store.write_blocking(move |tx| rows::note_payment_id(tx, id, payment_id))?;
            tracing::info!(payout = %payout.public_id, "a payout to an offer was found in the node's records");
            known.payment_id = Some(payment_id);
        }
        if record.status == RecordStatus::Succeeded {
            arrived(ledger, Ended::of(&record))?;
            return Ok(true);
        }
        self.look_for_proof(ledger, &known, record.hash, quiet)?;
        Ok(true)
    }

    /// Perhaps the chain has decided since, or the node's state shows that nothing was sent. Answers whether it has
    /// ended for the second reason.
    fn look_for_proof(
        &mut self,
        ledger: &Ledger,
        payout: &OfferPayout,
        recorded: Option<PaymentHash>,
        quiet: bool,
    ) -> Result<bool, LedgerError> {
        let now = ledger.clock.now();
        let next = self.next_look.get(&payout.id).copied().unwrap_or(payout.next_try_at);
        if payout.status != PayoutStatus::Unknown || next > now {
            return Ok(false);
        }
        self.next_look.insert(payout.id, now.saturating_add(millis(LOOK_EVERY)));
        let hash = payout.payment_hash.or(recorded);
        if let (Some(reason), Some(hash)) = (&payout.failure_reported, hash) {
            conclude(ledger, payout, Some(hash), standing_of(ledger, payout, hash), reason)?;
            return Ok(false);
        }
        if !payout.doubtful || !quiet {
            return Ok(false);
        }
        let key = payout.payment_id.map_or(OfferKey::Note(&payout.public_id), OfferKey::Payment);
        match ledger.lightning.has_trace_of(key) {
            Ok(false) => {}
            Ok(true) => return Ok(false),
            Err(why) => {
                tracing::debug!(payout = %payout.public_id, why, "can't tell whether a payout to an offer was sent");
                return Ok(false);
            }
        }
        // What has come meanwhile says more.
        if ledger.lightning.next_event(Duration::ZERO).is_some() {
            return Ok(false);
        }
        let reason = payout.failure_reported.clone().unwrap_or_else(|| {
            "it was never sent: the process stopped before, and the node's state has nothing of it".into()
        });
        tracing::info!(payout = %payout.public_id, "a payout to an offer was never sent, or nothing is left of it");
        let (listeners, id) = (ledger.listeners.clone(), payout.id);
        ledger.store.write_blocking(move |tx| give_up(tx, &listeners, id, &reason, now))?;
        Ok(true)
    }

    /// Sends the first whose turn it is.
    fn send_next(
        &mut self,
        ledger: &Ledger,
        open: &[OfferPayout],
        now: UnixMillis,
    ) -> Result<(), LedgerError> {
        for next in whose_turn(open, now) {
            let started = start(ledger, next, now);
            if let Err(error) = started {
                set_aside::<()>(Err(error))?;
                continue;
            }
            if let Some(granted) = started? {
                return self.dispatch(ledger, next, granted);
            }
        }
        Ok(())
    }

    fn dispatch(&mut self, ledger: &Ledger, next: &OfferPayout, granted: Msat) -> Result<(), LedgerError> {
        crash_point!("offer_payout.before_send");
        let answer = ledger.lightning.pay_to_offer(&OfferOrder {
            offer: next.offer.clone(),
            amount: next.amount,
            max_fee: granted,
            note: next.public_id.clone(),
        });
        crash_point!("offer_payout.after_send");
        self.unnoted.push_back((next.clone(), answer));
        self.write_answers(ledger)?;
        crash_point!("offer_payout.after_sent_commit");
        Ok(())
    }
}

/// Those that may be sent now, in their order: as far as there are places, and shares of them.
fn whose_turn(open: &[OfferPayout], now: UnixMillis) -> Vec<&OfferPayout> {
    let (vouchers, others): (Vec<_>, Vec<_>) = open.iter().partition(|payout| is_of_voucher(payout));
    let mut turns = turns_of(&vouchers, now);
    turns.extend(turns_of(&others, now));
    turns.sort_by_key(|payout| (payout.next_try_at, payout.id));
    turns
}

/// Whether it pays gifts or tips.
const fn is_of_voucher(payout: &OfferPayout) -> bool {
    matches!(payout.family, Family::Gifts | Family::Tips)
}

/// The same of those that share their places.
fn turns_of<'a>(open: &[&'a OfferPayout], now: UnixMillis) -> Vec<&'a OfferPayout> {
    let under_way = || open.iter().filter(|payout| payout.status != PayoutStatus::Queued);
    if under_way().count() >= MOST_UNDER_WAY {
        return Vec::new();
    }
    let is_due = |payout: &&OfferPayout| {
        payout.status == PayoutStatus::Queued && payout.next_try_at <= now && payout.deadline > now
    };
    let mut due: Vec<_> = open.iter().copied().filter(is_due).collect();
    due.sort_by_key(|payout| (payout.next_try_at, payout.id));
    let mut has: HashMap<&Option<String>, usize> = HashMap::new();
    for payout in under_way() {
        let count = has.entry(&payout.source).or_default();
        *count = count.saturating_add(1);
    }
    let first = due.first().map(|payout| &payout.source);
    let several = due.iter().any(|payout| Some(&payout.source) != first);
    let most = if several { MOST_OF_ONE } else { MOST_ALONE };
    let has_share = |payout: &&OfferPayout| {
        // Of a voucher without a source nobody knows who asked: all of these are one.
        (payout.source.is_none() && !is_of_voucher(payout))
            || has.get(&payout.source).copied().unwrap_or(0) < most
    };
    due.into_iter().filter(has_share).collect()
}

/// Marks one as being sent, and says what routing may cost. `None`: it has to wait until the hourly limits of routing
/// fees have more left, for half of its time at most; or it has ended.
fn start(ledger: &Ledger, next: &OfferPayout, now: UnixMillis) -> Result<Option<Msat>, LedgerError> {
    let (id, max_fee, bearer) = (next.id, next.max_fee, Bearer::of_offer(next));
    let (settings, hour) = (ledger.settings, ledger.clock.last_hour());
    let can_wait = next.deadline.saturating_sub(now) > millis(settings.send_window) / 2;
    ledger.store.write_blocking(move |tx| {
        let granted = Budget::read(tx, &settings, hour)?.grant(tx, max_fee, bearer)?;
        if granted < max_fee && can_wait {
            return Ok(None);
        }
        Ok(rows::start(tx, id, granted, now)?.then_some(granted))
    })
}

/// Writes down what may be concluded from the node's answer.
fn note(ledger: &Ledger, payout: &OfferPayout, answer: &OfferDispatch) -> Result<(), LedgerError> {
    let (id, now, listeners) = (payout.id, ledger.clock.now(), ledger.listeners.clone());
    match answer {
        OfferDispatch::Sent(payment_id) => {
            let payment_id = *payment_id;
            return ledger.store.write_blocking(move |tx| rows::sent(tx, id, payment_id));
        }
        OfferDispatch::Ambiguous(why) => {
            tracing::error!(payout = %payout.public_id, %why, "can't tell whether a payout to an offer was sent");
            let why = why.clone();
            return ledger.store.write_blocking(move |tx| rows::note_unknown(tx, id, &why));
        }
        OfferDispatch::NotSent { why, retry } if *retry && now < payout.deadline => {
            let wait = RETRY.saturating_mul(1 << payout.attempts.min(6));
            let (at, why) = (now.saturating_add(millis(wait)), why.clone());
            ledger.store.write_blocking(move |tx| rows::put_back(tx, id, at, &why))?;
        }
        OfferDispatch::NotSent { why, .. } => {
            let why = why.clone();
            ledger.store.write_blocking(move |tx| {
                if by_id(tx, id)?.status.is_final() {
                    return Ok(());
                }
                give_up(tx, &listeners, id, &why, now)
            })?;
        }
    }
    // The node writes down each call that sent nothing, under an id that nobody learns.
    forget_unsent(ledger, &payout.public_id);
    Ok(())
}

fn give_up_late(
    ledger: &Ledger,
    late: &OfferPayout,
    nameless: bool,
    now: UnixMillis,
) -> Result<(), LedgerError> {
    let why = match &late.error {
        Some(error) => error.clone(),
        None if nameless => "it is not known whether an earlier payment to an offer was sent".into(),
        None => "it could not be sent in time".into(),
    };
    let (id, listeners) = (late.id, ledger.listeners.clone());
    ledger.store.write_blocking(move |tx| give_up(tx, &listeners, id, &why, now))
}

fn forget_unsent(ledger: &Ledger, note: &str) {
    if let Err(error) = ledger.lightning.forget_unsent_offers(note) {
        tracing::debug!(%error, "the node could not forget a payment to an offer that it did not send");
    }
}

fn forget_old(ledger: &Ledger, now: UnixMillis) -> Result<(), LedgerError> {
    let before = now.saturating_sub(millis(FORGET_AFTER));
    let old =
        ledger.store.read_blocking(move |connection| rows::to_forget(connection, before, FORGET_BATCH))?;
    for ended in old {
        // The node's records have the payment id for their key, which for other payments is the hash.
        if let Some(payment_id) = ended.payment_id
            && let Err(error) = ledger.lightning.forget(PaymentHash(payment_id))
        {
            tracing::debug!(%error, "the node could not forget a payment to an offer");
            continue;
        }
        // Those of calls that sent nothing, before a crash.
        forget_unsent(ledger, &ended.public_id);
        let id = ended.id;
        set_aside(ledger.store.write_blocking(move |tx| rows::note_forgotten(tx, id)))?;
    }
    Ok(())
}
