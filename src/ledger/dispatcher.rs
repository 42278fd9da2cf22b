//! The one owner of [`Lightning::pay`](crate::lightning::Lightning::pay).
//!
//! Takes queued payouts in order, as many as the channels have room for, marks them `dispatching`
//! durably in one commit, asks the node, and notes the answer. A channel carries some fifty HTLCs at a
//! time and rations dust, so a payout that finds no room waits its turn: it isn't failed, and isn't even
//! tried.

use std::collections::{HashSet, VecDeque};
use std::str::FromStr;
use std::time::Duration;

use lightning_invoice::Bolt11Invoice;

use super::jamming::{DUST_BELOW, Fairness, Verdict};
use super::payouts::{Payout, give_up, set_aside};
use super::routing::{Bearer, Budget};
use super::rows::payouts as rows;
use super::rows::under_way;
use super::{Ledger, LedgerError, PayoutKey};
use crate::core::money::Msat;
use crate::core::time::{UnixMillis, millis};
use crate::crash_point;
use crate::lightning::capacity::sizes;
use crate::lightning::{Direction, Dispatch, Model, Refusal, SendingRoom};

/// Payouts marked in one commit.
const BATCH: usize = 32;

/// Payouts looked at first, the newest ones, while some are held.
const NEWEST: usize = 16;

/// Every amount.
const ANY_SIZE: (Msat, Msat) = (Msat::ZERO, Msat::MAX);

/// How long a payout waits when there is no room or no route while others are under way. Their ends notify
/// the dispatcher anyway.
const BUSY_WAIT: Duration = Duration::from_millis(250);

/// First wait after a try without a route when nothing else was in the way; doubles each time.
const ROUTE_WAIT: Duration = Duration::from_secs(1);

/// Longest wait of a payout without a route while others are under way.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// A payout the node was asked to send longer ago than this is held by its recipient. It takes a slot of
/// its channel, which the node knows of, but none of the others' turn.
const HELD_AFTER: Duration = Duration::from_secs(60);

/// Longest sleep of the dispatcher.
const TICK: Duration = Duration::from_secs(1);

/// What one round did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// Payouts the node was asked to send.
    pub asked: usize,
    /// Payouts given up.
    pub given_up: usize,
    /// Payouts that wait for room.
    pub waiting: usize,
}

/// The dispatcher's memory between rounds: what it could not finish because the store took no writes.
#[derive(Debug, Default)]
pub struct Dispatcher {
    /// Marked `dispatching`, but the node was not asked.
    unasked: VecDeque<Payout>,
    /// The node answered, but the answer is not written down.
    unnoted: VecDeque<(Payout, Dispatch, usize)>,
    /// What all channels together could take of one payment in this round.
    room: Msat,
    /// Who has what under way.
    fairness: Fairness,
}

/// Runs rounds until `stop` says so. For a thread of its own.
pub fn run(ledger: &Ledger, stop: impl Fn() -> bool, beat: impl Fn()) {
    let mut dispatcher = Dispatcher::default();
    while !stop() {
        beat();
        let pause = match dispatcher.round(ledger) {
            Ok(Round { asked, given_up, .. }) if asked + given_up > 0 => continue,
            Ok(Round { waiting, .. }) if waiting > 0 => BUSY_WAIT,
            Ok(_) => TICK,
            Err(error) => {
                tracing::error!(%error, "payouts can't be dispatched now; trying again");
                TICK
            }
        };
        ledger.wake.wait(pause);
    }
}

impl Dispatcher {
    /// One round: everything that can be sent now.
    ///
    /// # Errors
    /// The store's; the next round goes on where this one stopped.
    pub fn round(&mut self, ledger: &Ledger) -> Result<Round, LedgerError> {
        let mut done = Round::default();
        self.finish_last_round(ledger, &mut done)?;
        let now = ledger.clock.now();
        let since = now.saturating_sub(millis(HELD_AFTER));
        let rooms = ledger.lightning.sending_room();
        let room = sizes(&rooms);
        self.room = room.1;
        let sizes = if rooms.is_empty() { ANY_SIZE } else { room };
        let slots = rooms.len().max(1).saturating_mul(ledger.settings.in_flight_per_channel);
        self.look(ledger, slots, now)?;
        let full = serde_json::to_string(&self.fairness.full_clients()).unwrap_or_else(|_| "[]".into());
        let least = if self.fairness.dust_is_full() { DUST_BELOW } else { Msat::ZERO };
        let wary = self.fairness.is_wary();
        let (newest, due, under_way) =
            ledger.store.read_blocking(move |connection| -> Result<_, LedgerError> {
                let under_way = under_way::under_way(connection, since)?;
                // What no channel takes now waits without keeping from their turn those that one would take; but
                // without anything under way the node may say so itself.
                let sizes = if under_way == 0 { ANY_SIZE } else { sizes };
                let due = rows::due(connection, now, (sizes.0.max(least), sizes.1), &full, BATCH)?;
                let newest = if wary { rows::newest_untried(connection, now, NEWEST)? } else { Vec::new() };
                Ok((newest, due, under_way))
            })?;
        let mut live = Vec::with_capacity(due.len());
        // Where some are held, the newest come first: they are the least likely to be held like the others.
        let first: HashSet<_> = newest.iter().map(|payout| payout.id).collect();
        let due = due.into_iter().filter(|payout| !first.contains(&payout.id));
        for payout in newest.into_iter().chain(due) {
            match hopeless(ledger, &payout, now) {
                Some(reason) => {
                    set_aside(fail(ledger, &payout, &reason))?;
                    done.given_up += 1;
                }
                None => live.push(payout),
            }
        }
        if live.is_empty() {
            return Ok(done);
        }
        // Peers come back within a minute after a start; without any channel at all the node says so itself.
        let away = rooms.is_empty() && !ledger.lightning.channels_settled();
        if away || !ledger.lightning.is_running() {
            done.waiting = live.len();
            return Ok(done);
        }
        let mut gate = Gate::new(rooms, under_way, ledger.settings.in_flight_per_channel);
        // Without anything under way, no room means no capacity, and the node may say so itself.
        let idle = under_way == 0;
        let (mut now_ones, mut put_off) = (Vec::with_capacity(live.len()), Vec::new());
        for payout in live {
            if !gate.would_admit(payout.amount, idle) {
                done.waiting += 1;
                continue;
            }
            match self.fairness.admit(&payout, now) {
                Verdict::Send => {
                    gate.take();
                    now_ones.push(payout);
                }
                Verdict::Wait => done.waiting += 1,
                // It is looked at in the next round anyway.
                Verdict::PutOff(_) if first.contains(&payout.id) => done.waiting += 1,
                Verdict::PutOff(until) => put_off.push((payout.id, until)),
            }
        }
        wait_until(ledger, put_off)?;
        self.unasked.extend(mark(ledger, now_ones)?);
        crash_point!("payout.after_dispatching");
        self.ask_all(ledger, under_way, &mut done)
    }

    /// Learns who has what under way.
    fn look(&mut self, ledger: &Ledger, slots: usize, now: UnixMillis) -> Result<(), LedgerError> {
        let unsettled = ledger.store.read_blocking(under_way::unsettled)?;
        let strangers = self.fairness.strangers(&unsettled);
        let strangers = ledger.store.read_blocking(move |connection| -> Result<Vec<_>, LedgerError> {
            let found = strangers.into_iter().map(|id| rows::by_id(connection, id));
            Ok(found.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
        })?;
        self.fairness.look(&unsettled, &strangers, slots, now);
        Ok(())
    }

    /// What a store without room left undone: answers first, then questions.
    fn finish_last_round(&mut self, ledger: &Ledger, done: &mut Round) -> Result<(), LedgerError> {
        while let Some((payout, answer, others)) = self.unnoted.pop_front() {
            if let Err(error) = set_aside(note(ledger, &payout, &answer, others)) {
                self.unnoted.push_front((payout, answer, others));
                return Err(error);
            }
        }
        let unasked = self.unasked.len();
        self.ask_all(ledger, unasked, done).map(drop)
    }

    fn ask_all(&mut self, ledger: &Ledger, under_way: usize, done: &mut Round) -> Result<Round, LedgerError> {
        let mut others = under_way;
        while let Some(payout) = self.unasked.pop_front() {
            done.asked += 1;
            let answer = match Bolt11Invoice::from_str(&payout.invoice) {
                Ok(invoice) => {
                    let max_fee = payout.granted.unwrap_or(payout.max_fee);
                    // Whose limit is cut short waits for its turn if that may be why there is no route.
                    others += usize::from(max_fee < payout.max_fee && payout.amount <= self.room);
                    ask(ledger, &payout, &invoice, max_fee)
                }
                Err(_) => Dispatch::NotSent(Refusal::BadInvoice("the stored invoice can't be read".into())),
            };
            crash_point!("payout.after_send");
            if matches!(answer, Dispatch::NotSent(_)) {
                self.fairness.take_back(PayoutKey::Invoice(payout.id));
            }
            if let Err(error) = set_aside(note(ledger, &payout, &answer, others)) {
                self.unnoted.push_back((payout, answer, others));
                return Err(error);
            }
            others += 1;
        }
        Ok(*done)
    }
}

/// Why a payout that was not sent should not be sent any more.
fn hopeless(ledger: &Ledger, payout: &Payout, now: UnixMillis) -> Option<String> {
    if now >= payout.deadline {
        return Some(format!("it could not be sent in time: {}", true_limit(ledger, payout)));
    }
    let expired = Bolt11Invoice::from_str(&payout.invoice)
        .ok()
        .and_then(|invoice| invoice.expires_at())
        .is_none_or(|at| millis(at) <= now);
    expired.then(|| "the invoice expired before it could be paid".into())
}

/// Why a payout finds no way, as far as we know: our own channels' limits are known, the network's only by trying.
fn true_limit(ledger: &Ledger, payout: &Payout) -> String {
    let model = Model::of(&ledger.lightning.channel_rooms());
    if let Some(ours) = model.no_way_out(payout.amount) {
        return format!("no outbound capacity: {ours}");
    }
    let granted = payout.granted.unwrap_or(payout.max_fee);
    let fee = if granted < payout.max_fee {
        format!("{granted}, which is what the hourly limit of routing fees had left of {}", payout.max_fee)
    } else {
        granted.to_string()
    };
    let busy = match model.no_way_out_now(payout.amount) {
        Some(shortfall) => format!("{shortfall}; "),
        None => String::new(),
    };
    let waited = match payout.error.as_deref() {
        Some(why) if payout.attempts == 0 => format!("{why}; "),
        _ => String::new(),
    };
    format!(
        "{waited}{busy}no route to the recipient for a routing fee of at most {fee} and a lock of at most {} blocks; they may lack inbound capacity",
        crate::lightning::LONGEST_LOCK_BLOCKS
    )
}

/// Puts payouts off whose recipients, or others like them, hold what they were sent.
fn wait_until(
    ledger: &Ledger,
    payouts: Vec<(crate::core::ids::PayoutId, UnixMillis)>,
) -> Result<(), LedgerError> {
    if payouts.is_empty() {
        return Ok(());
    }
    ledger.store.write_blocking(move |tx| {
        let why = "payouts to the same node, or for the same client, are held by their recipients";
        payouts.iter().try_for_each(|(id, until)| rows::put_off(tx, *id, *until, why))
    })
}

/// Durably says "the node is being asked", and what routing may cost. Only what is still queued.
fn mark(ledger: &Ledger, payouts: Vec<Payout>) -> Result<Vec<Payout>, LedgerError> {
    if payouts.is_empty() {
        return Ok(payouts);
    }
    let (now, hour, settings) = (ledger.clock.now(), ledger.clock.last_hour(), ledger.settings);
    ledger.store.write_blocking(move |tx| {
        let mut budget = Budget::read(tx, &settings, hour)?;
        let mut marked = Vec::with_capacity(payouts.len());
        for mut payout in payouts {
            let granted = budget.grant(tx, payout.max_fee, Bearer::of(&payout))?;
            if rows::start_dispatch(tx, payout.id, granted, now)? {
                payout.attempts = payout.attempts.saturating_add(1);
                payout.granted = Some(granted);
                marked.push(payout);
            }
        }
        Ok(marked)
    })
}

/// Asks the node to send.
fn ask(ledger: &Ledger, payout: &Payout, invoice: &Bolt11Invoice, max_fee: Msat) -> Dispatch {
    let answer = ledger.lightning.pay(invoice, payout.amount, max_fee);
    let hash = payout.payment_hash;
    let came_in = |record: crate::lightning::PaymentRecord| record.direction == Direction::Inbound;
    if answer == Dispatch::Known && ledger.lightning.record(hash).is_some_and(came_in) {
        // The node only remembers a payment to us under this hash. Its channels know whether one is going out.
        if let Err(error) = ledger.lightning.forget(hash) {
            tracing::warn!(%error, "the node could not forget a record");
            return answer;
        }
        return ledger.lightning.pay(invoice, payout.amount, max_fee);
    }
    answer
}

/// Writes down what may be concluded from the node's answer.
fn note(ledger: &Ledger, payout: &Payout, answer: &Dispatch, others: usize) -> Result<(), LedgerError> {
    let id = payout.id;
    match answer {
        // Not awaited: after a crash, reconciliation looks for proof of what became of it.
        Dispatch::Sent => ledger
            .store
            .write_queued("payout in flight", move |tx| rows::note_in_flight(tx, id).map_err(into_store))
            .map_err(LedgerError::from),
        Dispatch::Known | Dispatch::Ambiguous(_) => {
            let why = match answer {
                Dispatch::Ambiguous(why) => why.clone(),
                _ => "the node knows this payment already".to_owned(),
            };
            tracing::warn!(payout = %payout.public_id, %why, "can't tell whether a payout was sent; waiting for the node to say");
            ledger.store.write_blocking(move |tx| rows::note_unknown(tx, id, &why))
        }
        Dispatch::NotSent(Refusal::NotRunning) => {
            put_back(ledger, payout, TICK, false, "the node is not running")
        }
        Dispatch::NotSent(Refusal::NoRoute) if others > 0 => {
            let wait =
                BUSY_WAIT.saturating_mul(1 << payout.attempts.saturating_sub(1).min(8)).min(LONGEST_WAIT);
            put_back(ledger, payout, wait, false, "no route while others are under way")
        }
        Dispatch::NotSent(Refusal::NoRoute)
            if payout.routeless.saturating_add(1) < ledger.settings.route_tries =>
        {
            let wait = ROUTE_WAIT.saturating_mul(1 << payout.routeless.min(8));
            put_back(ledger, payout, wait, true, "no route")
        }
        Dispatch::NotSent(Refusal::NoRoute) => fail(ledger, payout, &true_limit(ledger, payout)),
        Dispatch::NotSent(Refusal::BadInvoice(why)) => fail(ledger, payout, why),
    }
}

fn put_back(
    ledger: &Ledger,
    payout: &Payout,
    wait: Duration,
    counts: bool,
    why: &'static str,
) -> Result<(), LedgerError> {
    let (id, next) = (payout.id, ledger.clock.now().saturating_add(millis(wait)));
    ledger.store.write_blocking(move |tx| rows::put_back(tx, id, next, counts, why))
}

/// Ends a payout that was provably never sent.
fn fail(ledger: &Ledger, payout: &Payout, why: &str) -> Result<(), LedgerError> {
    let (id, why, now) = (payout.id, why.to_owned(), ledger.clock.now());
    let listeners = ledger.listeners.clone();
    tracing::info!(payout = %payout.public_id, %why, "a payout was given up");
    ledger.store.write_blocking(move |tx| give_up(tx, &listeners, id, &why, now))
}

pub(super) fn into_store(error: LedgerError) -> crate::storage::StoreError {
    match error {
        LedgerError::Store(error) => error,
        LedgerError::Broken(what) => crate::storage::StoreError::Unavailable(what),
    }
}

/// How much may be sent at once.
struct Gate {
    rooms: Vec<SendingRoom>,
    slots: usize,
}

impl Gate {
    fn new(rooms: Vec<SendingRoom>, under_way: usize, per_channel: usize) -> Self {
        let slots = rooms.len().saturating_mul(per_channel).saturating_sub(under_way);
        Self { rooms, slots }
    }

    /// Whether a payment of this amount has a chance now.
    fn would_admit(&self, amount: Msat, idle: bool) -> bool {
        if self.rooms.is_empty() {
            return idle;
        }
        if self.slots == 0 {
            return false;
        }
        let small_enough = self.rooms.iter().filter(|room| room.min <= amount).copied();
        idle || sizes(&small_enough.collect::<Vec<_>>()).1 >= amount
    }

    /// Takes a slot.
    fn take(&mut self) {
        self.slots = self.slots.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sat(sat: u64) -> Msat {
        Msat::from_sat(sat).unwrap()
    }

    #[test]
    fn dust_waits_while_the_channel_rations_it() {
        let room = SendingRoom { min: sat(2_310), max: sat(10_000_000) };
        let gate = Gate::new(vec![room], 3, 45);
        assert!(!gate.would_admit(sat(50), false));
        assert!(gate.would_admit(sat(5_000), false));
    }

    #[test]
    fn full_slots_admit_nothing() {
        let room = SendingRoom { min: sat(1), max: sat(10_000_000) };
        let mut gate = Gate::new(vec![room], 44, 45);
        assert!(gate.would_admit(sat(50), false));
        gate.take();
        assert!(!gate.would_admit(sat(50), false));
    }

    #[test]
    fn a_payment_may_be_split_over_channels() {
        let room = SendingRoom { min: sat(1), max: sat(600) };
        assert!(Gate::new(vec![room, room], 0, 45).would_admit(sat(1_000), false));
        assert!(!Gate::new(vec![room], 0, 45).would_admit(sat(1_000), false));
    }
}
