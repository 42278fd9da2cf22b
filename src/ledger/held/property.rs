//! Whole histories of held charges on a node that misbehaves, with crashes between any two steps.
//!
//! Afterwards everything is driven to its end, and each charge was paid once or not at all, by what the node
//! itself says it took; nobody was refused who is credited; the books are at zero.

use std::panic::{AssertUnwindSafe, catch_unwind};

use lightning_invoice::Bolt11Invoice;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use super::lost::Lost;
use super::tests::TestLedger;
use super::*;
use crate::ledger::charges::hash_of;
use crate::ledger::payouts::Queued;
use crate::ledger::{Account, audit, events, recovery};
use crate::lightning::sim::{CRASH, Trap};
use crate::lightning::{Lightning, NodeEvent};
use crate::storage::Store;

/// Histories in each of the two halves.
const HISTORIES: u32 = 2_500;

/// Histories that share a database file, which is slow to make.
const PER_FILE: usize = 50;

#[derive(Clone, Debug)]
enum Step {
    Ask {
        sat: u16,
    },
    Pay {
        charge: u8,
        sat_more: u8,
    },
    PayInside {
        charge: u8,
    },
    /// The first part of a payment, that may stay the only one.
    PayPart {
        charge: u8,
    },
    Event,
    EventThenDie,
    NoteThenDie,
    ClaimAndDie {
        after: bool,
    },
    Look {
        quiet: bool,
    },
    Sweep,
    ClaimsFail {
        fail: bool,
    },
    Whisper {
        on: bool,
    },
    Tell,
    Lose {
        which: u8,
    },
    Mine {
        blocks: u8,
    },
    Wait {
        seconds: u16,
    },
    Expire,
    Die {
        records_lost: u8,
        events_again: u8,
    },
    /// And the queue comes back without the newest payments that were to be claimed.
    DieAndLose {
        count: u8,
    },
    /// What the node tells nobody of is looked for.
    Watch {
        quiet: bool,
    },
    /// What must never be done: only in the test that shows that it would be noticed.
    ClaimUnasked,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (100..2_000_u16).prop_map(|sat| Step::Ask { sat }),
        6 => (any::<u8>(), prop_oneof![4 => Just(0_u8), 1 => 1..3_u8])
            .prop_map(|(charge, sat_more)| Step::Pay { charge, sat_more }),
        2 => any::<u8>().prop_map(|charge| Step::PayInside { charge }),
        1 => any::<u8>().prop_map(|charge| Step::PayPart { charge }),
        7 => Just(Step::Event),
        2 => Just(Step::EventThenDie),
        2 => Just(Step::NoteThenDie),
        2 => any::<bool>().prop_map(|after| Step::ClaimAndDie { after }),
        3 => any::<bool>().prop_map(|quiet| Step::Look { quiet }),
        1 => Just(Step::Sweep),
        2 => any::<bool>().prop_map(|fail| Step::ClaimsFail { fail }),
        2 => any::<bool>().prop_map(|on| Step::Whisper { on }),
        1 => Just(Step::Tell),
        1 => any::<u8>().prop_map(|which| Step::Lose { which }),
        2 => (1..8_u8).prop_map(|blocks| Step::Mine { blocks }),
        2 => (1..400_u16).prop_map(|seconds| Step::Wait { seconds }),
        1 => Just(Step::Expire),
        2 => (0..2_u8, 0..4_u8)
            .prop_map(|(records_lost, events_again)| Step::Die { records_lost, events_again }),
        2 => (1..3_u8).prop_map(|count| Step::DieAndLose { count }),
        2 => any::<bool>().prop_map(|quiet| Step::Watch { quiet }),
    ]
}

struct World {
    test_ledger: TestLedger,
    charges: Vec<(ChargeId, Bolt11Invoice, Preimage, Msat)>,
    inside: Vec<ChargeId>,
    lost: Lost,
    started: UnixMillis,
    found: usize,
}

impl World {
    fn on(store: Store) -> Self {
        let test_ledger = TestLedger::on(store);
        let started = test_ledger.ledger.clock.now();
        let mut world = Self {
            test_ledger,
            charges: Vec::new(),
            inside: Vec::new(),
            lost: Lost::default(),
            started,
            found: 0,
        };
        world.watch(false);
        world
    }

    fn die(&mut self, records_lost: u8, events_again: u8) {
        self.test_ledger.sim.restart(records_lost.into(), events_again.into());
        self.begin();
    }

    /// The process is there again.
    fn begin(&mut self) {
        (self.lost, self.started) = (Lost::default(), self.test_ledger.ledger.clock.now());
        self.watch(false);
    }

    fn watch(&mut self, quiet: bool) {
        let ledger = &self.test_ledger.ledger;
        let since = u64::try_from(ledger.clock.now() - self.started).unwrap();
        self.found += self.lost.round(ledger, Duration::from_millis(since), quiet).unwrap();
    }

    fn take(&mut self, step: &Step) {
        let (ledger, sim) = (self.test_ledger.ledger.clone(), self.test_ledger.sim.clone());
        match *step {
            Step::Ask { sat } => {
                let number = u8::try_from(self.charges.len()).unwrap();
                let (amount, preimage) = (Msat::from_sat(sat.into()).unwrap(), Preimage([number; 32]));
                let (charge, invoice) = self.test_ledger.ask(amount, preimage);
                self.charges.push((charge, invoice, preimage, amount));
            }
            Step::Pay { charge, sat_more } => {
                let Some((_, invoice, _, amount)) = pick(&self.charges, charge) else { return };
                // Less than the invoice asks never gets so far: LDK refuses it by the payment secret.
                sim.hold(&invoice, Msat::from_sat(amount.sat_floor() + u64::from(sat_more)).unwrap());
            }
            Step::PayPart { charge } => {
                let Some((_, invoice, _, amount)) = pick(&self.charges, charge) else { return };
                sim.hold_part(&invoice, amount);
            }
            Step::PayInside { charge } => {
                let Some((id, invoice, ..)) = pick(&self.charges, charge) else { return };
                if let Queued::New(_) = self.test_ledger.pay_inside(&invoice) {
                    self.inside.push(id);
                }
            }
            Step::Event => drop(events::step(&ledger, Duration::ZERO).unwrap()),
            Step::EventThenDie => {
                if let Some(event) = sim.next_event(Duration::ZERO) {
                    events::apply(&ledger, event).unwrap();
                    self.die(0, 0);
                }
            }
            Step::NoteThenDie => {
                if self.test_ledger.note_only().is_some() {
                    self.die(0, 0);
                }
            }
            Step::ClaimAndDie { after } => {
                sim.set_trap(if after { Trap::DieAfterClaim } else { Trap::DieBeforeClaim });
                let survived = catch_unwind(AssertUnwindSafe(|| {
                    events::step(&ledger, Duration::ZERO).unwrap();
                    look_again(&ledger, true).unwrap();
                }));
                sim.set_trap(Trap::None);
                if survived.is_err() {
                    self.die(0, 0);
                }
            }
            Step::Look { quiet } => look_again(&ledger, quiet).unwrap(),
            Step::Sweep => recovery::sweep(&ledger, 0).unwrap(),
            Step::ClaimsFail { fail } => sim.set_claims_fail(fail),
            Step::Whisper { on } => sim.set_whispers(on),
            Step::Tell => sim.tell_all(),
            Step::Lose { which } => {
                if let Some(hash) = pick(&sim.held(), which) {
                    sim.lose(hash);
                }
            }
            Step::Mine { blocks } => sim.mine(blocks.into()),
            Step::Wait { seconds } => ledger.clock.advance(Duration::from_secs(seconds.into())),
            Step::Expire => {
                let now = ledger.clock.now();
                ledger.store.write_blocking(move |tx| charges::expire(tx, now, 100)).unwrap();
            }
            Step::Die { records_lost, events_again } => self.die(records_lost, events_again),
            Step::DieAndLose { count } => {
                sim.restart_losing(count.into());
                self.begin();
            }
            Step::Watch { quiet } => self.watch(quiet),
            Step::ClaimUnasked => {
                let Some(NodeEvent::Claimable { hash, amount, .. }) = sim.next_event(Duration::ZERO) else {
                    return;
                };
                let found = self.charges.iter().find(|charge| hash_of(&charge.1) == hash).unwrap();
                let _ = sim.claim(hash, amount, found.2);
            }
        }
    }

    /// The node becomes honest and everything is driven to its end.
    fn settle(&mut self) {
        let (ledger, sim) = (self.test_ledger.ledger.clone(), self.test_ledger.sim.clone());
        sim.set_claims_fail(false);
        sim.set_whispers(false);
        for round in 0..20 {
            sim.tell_all();
            self.test_ledger.drain();
            look_again(&ledger, true).unwrap();
            recovery::sweep(&ledger, 0).unwrap();
            self.watch(true);
            ledger.clock.advance(Duration::from_secs(60));
            // What was lost is found before it goes back.
            if round >= 8 {
                sim.mine(1);
            }
        }
    }

    fn judge(&self) -> Result<(), TestCaseError> {
        let test_ledger = &self.test_ledger;
        let audit = audit::audit(&test_ledger.ledger).unwrap();
        prop_assert!(audit.clean, "{:?}", audit.problems);
        prop_assert!(test_ledger.sim.held().is_empty(), "somebody still waits");
        prop_assert!(test_ledger.sim.orphaned().is_empty(), "a part was claimed");
        let claimed = test_ledger.sim.claimed();
        let (mut taken, mut inside) = (0_i64, 0_i64);
        for (id, invoice, _, amount) in &self.charges {
            let charge = test_ledger.charge(*id);
            let by_node = claimed.get(&hash_of(invoice)).cloned().unwrap_or_default();
            let by_us = self.inside.iter().filter(|paid| *paid == id).count();
            taken += by_node.iter().map(|amount| amount.signed()).sum::<i64>();
            inside += if by_us > 0 { amount.signed() } else { 0 };
            let paid = charge.status == ChargeStatus::Paid;
            prop_assert_eq!(by_node.len() + by_us, usize::from(paid), "{:?} taken {:?}", charge, by_node);
            prop_assert!(!charge.is_held(), "stuck: {:?}", charge);
            if let Some(came) = by_node.first() {
                prop_assert_eq!(charge.received, Some(*came));
                prop_assert!(came >= amount);
            }
            // Held and released in turns, settled at most once and last, and by the node never unannounced.
            let told = test_ledger.told.of(*id);
            let before = told.strip_suffix(&["settled"]).unwrap_or(&told);
            let turns = before.iter().zip(["held", "released"].iter().cycle()).all(|(a, b)| a == b);
            prop_assert!(turns, "{:?}", told);
            prop_assert_eq!(told.len() > before.len(), paid);
            prop_assert!(by_node.is_empty() || before.contains(&"held"), "{:?}", told);
            prop_assert!(by_us == 0 || before.last() != Some(&"held"), "{:?}", told);
        }
        prop_assert_eq!(test_ledger.balance(Account::Lightning), taken);
        prop_assert_eq!(test_ledger.balance(Account::Merchants), -taken - inside);
        prop_assert_eq!(test_ledger.balance(Account::Suspense), 0);
        Ok(())
    }
}

fn pick<T: Clone>(from: &[T], which: u8) -> Option<T> {
    if from.is_empty() { None } else { from.get(usize::from(which) % from.len()).cloned() }
}

/// Answers how many payments were found of which nobody had told.
fn run(histories: u32, steps: impl Strategy<Value = Vec<Step>>) -> Result<usize, String> {
    silence_expected_panics();
    let folder = tempfile::tempdir().unwrap();
    let shared = std::cell::RefCell::new((0_usize, None::<Store>));
    let found = std::cell::Cell::new(0_usize);
    let config =
        Config { cases: histories, max_shrink_iters: 2_000, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&steps, |history| {
        let store = {
            let mut shared = shared.borrow_mut();
            if shared.0.is_multiple_of(PER_FILE) {
                let path = folder.path().join(format!("{}.db", shared.0));
                shared.1 = Some(Store::open_without_sync(&path).unwrap());
            }
            shared.0 += 1;
            shared.1.clone().unwrap()
        };
        clear(&store);
        let mut world = World::on(store);
        for step in &history {
            world.take(step);
        }
        world.settle();
        found.set(found.get() + world.found);
        world.judge()
    });
    outcome.map(|()| found.get()).map_err(|error| error.to_string())
}

fn clear(store: &Store) {
    store
        .write_blocking(|tx| {
            tx.execute_batch(
                "DELETE FROM payouts; DELETE FROM charges; DELETE FROM entries; DELETE FROM journals;
                 DELETE FROM balances; DELETE FROM unclaimed; DELETE FROM marks;",
            )
            .map_err(LedgerError::from)
        })
        .unwrap();
}

fn silence_expected_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !info.payload_as_str().unwrap_or_default().contains(CRASH) {
            usual(info);
        }
    }));
}

#[test]
fn short_histories_end_with_each_charge_paid_once_or_not_at_all() {
    run(HISTORIES, proptest::collection::vec(step(), 1..30)).unwrap();
}

#[test]
fn long_histories_end_with_each_charge_paid_once_or_not_at_all() {
    let found = run(HISTORIES, proptest::collection::vec(step(), 30..100)).unwrap();
    // A test of histories in which nothing is lost would prove nothing.
    assert!(found > 100, "{found}");
}

#[test]
fn claiming_what_nobody_is_owed_would_be_noticed() {
    let broken = prop_oneof![10 => step(), 1 => Just(Step::ClaimUnasked)];
    let outcome = run(2_000, proptest::collection::vec(broken, 20..80));
    assert!(outcome.is_err(), "the rule was broken and nobody noticed");
}
