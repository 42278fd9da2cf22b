//! Who may have how many payouts under way: one that is held by its recipient keeps a slot of a channel for up to two
//! days, costs its recipient nothing, and can't be taken back.
//!
//! A payout belongs to several parties: its size (dust, or larger), the node that it goes to, the client that asked for
//! it. It is sent if none of them has too many under way:
//!
//! * Each has a **limit**, below what the channels have: dust two thirds of the slots, one node and one client two
//!   thirds (of a single channel a little more). So whoever holds all they can get leaves the rest to others.
//! * Each begins with a **window** of a quarter of the slots, which grows by one with each payout that ends soon, and
//!   is halved with each that is held. So fifty at once of somebody who has never been seen are not fifty slots.
//! * A party of which some are held is **slowed down**: what was asked for before that showed is suspect. Suspects are
//!   tried one at a time, the newest first: the next one at once, and soon some together, if the last was paid; after
//!   5, 10, 20, … 60 seconds if it is held too. What was asked for since is sent, as long as the window allows, and
//!   beyond it a few at a time, up to the limit. So a recipient who means to be paid is paid even if all others of the
//!   same node and client hold.
//!
//! Payouts to [offers](super::offer_payouts) count for the parties that are known of them, and are limited by their own
//! rules. Payouts of the operator's own aren't limited. The memory is the dispatcher's: after a restart windows begin small, and
//! what is held is known from the rows.

use std::collections::HashMap;
use std::str::FromStr;
use std::time::Duration;

use bitcoin::secp256k1::PublicKey;
use lightning_invoice::Bolt11Invoice;

use super::rows::under_way::Unsettled;
use super::{Family, Payout, PayoutKey};
use crate::core::ids::PayoutId;
use crate::core::money::Msat;
use crate::core::time::{UnixMillis, millis};

/// A payout under way for longer is held. An ordinary one over several hops takes less.
pub(super) const HELD_AFTER: Duration = Duration::from_secs(5);

/// Below this an HTLC is dust in every kind of channel at ordinary fee rates: it costs a slot and next to nothing else.
pub(super) const DUST_BELOW: Msat = match Msat::from_sat(1_000) {
    Some(msat) => msat,
    None => Msat::MAX,
};

/// The longest pause between two suspects that are held.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Suspects tried together besides the one, after as many have been paid.
const MOST_CREDIT: usize = 4;

/// How long a payout waits while others like it are tried, or whose node has all it may have.
const NODE_PAUSE: Duration = Duration::from_millis(500);

/// Slots of a single channel that one node or client may have.
const OF_ONE_CHANNEL: usize = 40;

/// The most that a window grows.
const MOST_TRUST: usize = 1_000;

/// Parties remembered; beyond it those without anything under way are forgotten.
const MOST_PARTIES: usize = 10_000;

/// Whom a payout is counted with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Party {
    /// All that are dust.
    Dust,
    /// All that go to a node.
    Node(PublicKey),
    /// All that a client or an account asked for.
    Client(String),
}

/// A payout under way.
#[derive(Debug)]
struct Known {
    parties: Vec<Party>,
    since: UnixMillis,
    suspect: bool,
    held: bool,
    /// Still in the rows at the last look.
    seen: bool,
}

/// What a party has under way.
#[derive(Debug, Default)]
struct Load {
    held: usize,
    active: usize,
    /// When the last of those that are held was sent.
    last_held: UnixMillis,
    /// When the newest held payout became known as held. Payouts created before that are suspect.
    shown_at: UnixMillis,
    /// Suspects that are not held.
    suspects: usize,
    /// Payouts that ended soon, halved with each that was held.
    trust: usize,
    /// Suspects that ended soon, since the last that was held.
    credit: usize,
    /// Suspects held in a row.
    failures: u32,
}

/// What may be done with a payout now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It may be sent.
    Send,
    /// Its turn comes when others have ended.
    Wait,
    /// It is put off until then, because others like it are held.
    PutOff(UnixMillis),
}

/// The dispatcher's memory of who has what under way.
#[derive(Debug, Default)]
pub(super) struct Fairness {
    known: HashMap<PayoutKey, Known>,
    loads: HashMap<Party, Load>,
    slots: usize,
}

impl Fairness {
    /// Ids of payouts to invoices that are under way and not known here: the caller reads them for [`Fairness::look`].
    pub(super) fn strangers(&self, unsettled: &[Unsettled]) -> Vec<PayoutId> {
        let invoices = unsettled.iter().filter_map(|row| match row.key {
            PayoutKey::Invoice(id) if !self.known.contains_key(&row.key) => Some(id),
            PayoutKey::Invoice(_) | PayoutKey::Offer(_) => None,
        });
        invoices.collect()
    }

    /// What is under way now, with so many slots in all. `strangers` are those that were not known.
    pub(super) fn look(
        &mut self,
        unsettled: &[Unsettled],
        strangers: &[Payout],
        slots: usize,
        now: UnixMillis,
    ) {
        self.slots = slots;
        for known in self.known.values_mut() {
            known.seen = false;
        }
        for payout in strangers {
            let since = payout.dispatched_at.unwrap_or(payout.created_at);
            let known = Known { parties: parties_of(payout), since, suspect: false, held: false, seen: true };
            self.known.insert(PayoutKey::Invoice(payout.id), known);
        }
        for row in unsettled {
            // Payouts to offers take places of the same parties. Their recipients' nodes are not known.
            if let PayoutKey::Offer(_) = row.key
                && !self.known.contains_key(&row.key)
            {
                let parties = parties(row.family, row.amount, None, row.source.clone());
                let known = Known { parties, since: row.since, suspect: false, held: false, seen: true };
                self.known.insert(row.key, known);
            }
            if let Some(known) = self.known.get_mut(&row.key) {
                known.seen = true;
            }
        }
        let mut ended = Vec::new();
        for (id, known) in &mut self.known {
            let held = now.saturating_sub(known.since) >= millis(HELD_AFTER);
            if !known.seen {
                ended.push(*id);
            }
            // Whether it has ended or not: the pause it made is the same.
            if held && !known.held {
                known.held = true;
                for party in &known.parties {
                    let load = self.loads.entry(party.clone()).or_default();
                    load.trust /= 2;
                    if known.suspect {
                        load.credit = 0;
                        load.failures = load.failures.saturating_add(1);
                    }
                }
            }
        }
        for id in ended {
            let Some(known) = self.known.remove(&id) else { continue };
            for party in known.parties.into_iter().filter(|_| !known.held) {
                let load = self.loads.entry(party).or_default();
                load.trust = load.trust.saturating_add(1).min(MOST_TRUST);
                if known.suspect {
                    load.credit = load.credit.saturating_add(1).min(MOST_CREDIT);
                    load.failures = 0;
                }
            }
        }
        self.count();
    }

    fn count(&mut self) {
        for load in self.loads.values_mut() {
            (load.held, load.active, load.suspects) = (0, 0, 0);
            (load.last_held, load.shown_at) = (0, 0);
        }
        for known in self.known.values() {
            for party in &known.parties {
                let load = self.loads.entry(party.clone()).or_default();
                if known.held {
                    load.held = load.held.saturating_add(1);
                    load.last_held = load.last_held.max(known.since);
                    if !known.suspect {
                        load.shown_at = load.shown_at.max(known.since.saturating_add(millis(HELD_AFTER)));
                    }
                } else {
                    load.active = load.active.saturating_add(1);
                    load.suspects = load.suspects.saturating_add(usize::from(known.suspect));
                }
            }
        }
        if self.loads.len() > MOST_PARTIES {
            self.loads.retain(|_, load| load.held > 0 || load.active > 0);
        }
    }

    /// Whether a payout may be sent now; if so, it counts from here on.
    pub(super) fn admit(&mut self, payout: &Payout, now: UnixMillis) -> Verdict {
        let parties = parties_of(payout);
        let (mut verdict, mut suspect) = (Verdict::Send, false);
        for party in &parties {
            let empty = Load::default();
            let load = self.loads.get(party).unwrap_or(&empty);
            suspect |= is_suspect(load, self.slots, payout.created_at);
            verdict = match (verdict, judge(party, load, self.slots, payout.created_at, now)) {
                (Verdict::PutOff(one), Verdict::PutOff(other)) => Verdict::PutOff(one.max(other)),
                (Verdict::PutOff(until), _) | (_, Verdict::PutOff(until)) => Verdict::PutOff(until),
                (Verdict::Wait, _) | (_, Verdict::Wait) => Verdict::Wait,
                (Verdict::Send, Verdict::Send) => Verdict::Send,
            };
        }
        if verdict == Verdict::Send {
            for party in &parties {
                let load = self.loads.entry(party.clone()).or_default();
                load.active = load.active.saturating_add(1);
                load.suspects = load.suspects.saturating_add(usize::from(suspect));
            }
            let known = Known { parties, since: now, suspect, held: false, seen: true };
            self.known.insert(PayoutKey::Invoice(payout.id), known);
        }
        verdict
    }

    /// A payout that was admitted was not sent after all.
    pub(super) fn take_back(&mut self, key: PayoutKey) {
        let Some(known) = self.known.remove(&key) else { return };
        for party in &known.parties {
            if let Some(load) = self.loads.get_mut(party) {
                load.active = load.active.saturating_sub(1);
                load.suspects = load.suspects.saturating_sub(usize::from(known.suspect));
            }
        }
    }

    /// Clients that have all they may have now: their payouts need not be looked at.
    pub(super) fn full_clients(&self) -> Vec<&str> {
        let full = self.loads.iter().filter(|(party, load)| !has_room(party, load, self.slots));
        full.filter_map(|(party, _)| match party {
            Party::Client(name) => Some(name.as_str()),
            Party::Dust | Party::Node(_) => None,
        })
        .collect()
    }

    /// Whether some party is slowed down, so that what was asked for last comes first.
    pub(super) fn is_wary(&self) -> bool {
        self.loads.values().any(|load| load.held >= few(self.slots))
    }

    /// Whether no dust may be sent now.
    pub(super) fn dust_is_full(&self) -> bool {
        self.loads.get(&Party::Dust).is_some_and(|load| !has_room(&Party::Dust, load, self.slots))
    }
}

/// The most that a party may have under way.
fn limit(party: &Party, slots: usize) -> usize {
    let two_thirds = slots.saturating_mul(2) / 3;
    match party {
        Party::Dust => two_thirds,
        Party::Node(_) | Party::Client(_) => two_thirds.max(slots.min(OF_ONE_CHANNEL)),
    }
    .max(1)
}

/// The part of a limit that is reserved for payouts that are not suspect.
fn kept(limit: usize) -> usize {
    (limit / 9).max(2)
}

/// How many a party may have under way without further ado.
fn window(load: &Load, limit: usize, slots: usize) -> usize {
    let begin = (slots / 4).max(8);
    begin.saturating_add(load.trust).min(limit.saturating_sub(kept(limit))).max(1)
}

/// Whether a party may have one more under way.
fn has_room(party: &Party, load: &Load, slots: usize) -> bool {
    let limit = limit(party, slots);
    let all = load.held.saturating_add(load.active);
    if all < window(load, limit, slots) {
        return true;
    }
    // Beyond the window, some at a time: those that are not held make room for the next.
    let some = (limit.saturating_sub(load.held) / 4).max(1);
    load.held > 0 && load.active < some && all < limit
}

/// From this many held payouts on, a party is slowed down. Fewer are taken for slow recipients.
fn few(slots: usize) -> usize {
    (slots / 16).max(2)
}

/// Whether what was asked for then could be held like the others.
fn is_suspect(load: &Load, slots: usize, created_at: UnixMillis) -> bool {
    load.held >= few(slots) && created_at <= load.shown_at
}

fn judge(party: &Party, load: &Load, slots: usize, created_at: UnixMillis, now: UnixMillis) -> Verdict {
    if is_suspect(load, slots, created_at) {
        let pause = HELD_AFTER.saturating_mul(1 << load.failures.min(8)).min(LONGEST_PAUSE);
        let resting = load.last_held.saturating_add(millis(pause)).saturating_sub(now);
        let resting = if load.credit > 0 { 0 } else { resting };
        // The last places are for what is not suspect.
        let limit = limit(party, slots);
        let full = load.held.saturating_add(load.active) >= limit.saturating_sub(kept(limit));
        if resting > 0 || full || load.suspects > load.credit {
            // The newest first: it is the least likely to be of the same kind.
            let age = now.saturating_sub(created_at).max(0) / 100;
            let wait = resting.max(millis(NODE_PAUSE)).saturating_add(age);
            return Verdict::PutOff(now.saturating_add(wait));
        }
    }
    if has_room(party, load, slots) {
        return Verdict::Send;
    }
    match party {
        // The dispatcher's query can't leave out payouts by node. Without a pause these would fill its batch and delay
        // the payouts of others.
        Party::Node(_) if load.held >= few(slots) => Verdict::PutOff(now.saturating_add(millis(NODE_PAUSE))),
        _ => Verdict::Wait,
    }
}

fn parties_of(payout: &Payout) -> Vec<Party> {
    let node = Bolt11Invoice::from_str(&payout.invoice).ok().map(|invoice| {
        let named = invoice.payee_pub_key().copied();
        Party::Node(named.unwrap_or_else(|| invoice.recover_payee_pub_key()))
    });
    parties(payout.family, payout.amount, node, payout.source.clone())
}

fn parties(family: Family, amount: Msat, node: Option<Party>, source: Option<String>) -> Vec<Party> {
    if family == Family::Operator {
        return Vec::new();
    }
    let dust = (amount < DUST_BELOW).then_some(Party::Dust);
    [dust, node, source.map(Party::Client)].into_iter().flatten().collect()
}
