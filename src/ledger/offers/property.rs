//! Whole histories of charges that can be paid by an invoice and by an offer, on a node that misbehaves, with deaths
//! between any two steps.
//!
//! Afterwards everything is driven to its end, and all that the node took is credited to its charge, once.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use lightning_invoice::Bolt11Invoice;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use super::tests::ask;
use super::*;
use crate::core::ids::Preimage;
use crate::ledger::charges::hash_of;
use crate::ledger::held::tests::TestLedger;
use crate::ledger::payouts::Queued;
use crate::ledger::{audit, events, held, recovery};
use crate::lightning::Lightning;
use crate::lightning::sim::{CRASH, Trap};
use crate::storage::Store;

/// Histories in each of the two halves.
const HISTORIES: u32 = 1_500;

/// Histories that share a database file, which is slow to make.
const PER_FILE: usize = 50;

#[derive(Clone, Debug)]
enum Step {
    Ask {
        sat: u16,
    },
    PayInvoice {
        charge: u8,
        sat_more: u8,
    },
    PayOffer {
        charge: u8,
        sat_more: u8,
    },
    PayInside {
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
    Sync {
        charge: u8,
    },
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
    /// Half a day in which the node tells everything, and then forgets it.
    Forget,
    Die {
        records_lost: u8,
        events_again: u8,
    },
    /// And the queue comes back without the newest of what came.
    DieAndLose {
        count: u8,
    },
    /// What must never be done: only in the test that shows that it would be noticed.
    CreditUnseen {
        charge: u8,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let more = || prop_oneof![4 => Just(0_u8), 1 => 1..3_u8];
    prop_oneof![
        3 => (100..2_000_u16).prop_map(|sat| Step::Ask { sat }),
        5 => (any::<u8>(), more()).prop_map(|(charge, sat_more)| Step::PayInvoice { charge, sat_more }),
        6 => (any::<u8>(), more()).prop_map(|(charge, sat_more)| Step::PayOffer { charge, sat_more }),
        1 => any::<u8>().prop_map(|charge| Step::PayInside { charge }),
        7 => Just(Step::Event),
        3 => Just(Step::EventThenDie),
        2 => Just(Step::NoteThenDie),
        2 => any::<bool>().prop_map(|after| Step::ClaimAndDie { after }),
        2 => any::<bool>().prop_map(|quiet| Step::Look { quiet }),
        2 => Just(Step::Sweep),
        2 => any::<u8>().prop_map(|charge| Step::Sync { charge }),
        1 => any::<bool>().prop_map(|fail| Step::ClaimsFail { fail }),
        2 => any::<bool>().prop_map(|on| Step::Whisper { on }),
        1 => Just(Step::Tell),
        1 => any::<u8>().prop_map(|which| Step::Lose { which }),
        2 => (1..8_u8).prop_map(|blocks| Step::Mine { blocks }),
        2 => (1..400_u16).prop_map(|seconds| Step::Wait { seconds }),
        1 => Just(Step::Expire),
        1 => Just(Step::Forget),
        2 => (0..2_u8, 0..6_u8)
            .prop_map(|(records_lost, events_again)| Step::Die { records_lost, events_again }),
        2 => (1..3_u8).prop_map(|count| Step::DieAndLose { count }),
    ]
}

struct Asked {
    id: ChargeId,
    invoice: Bolt11Invoice,
    offer: OfferId,
    amount: Msat,
    /// What was paid to the offer.
    by_offer: Vec<Msat>,
    inside: bool,
}

struct World {
    test_ledger: TestLedger,
    charges: Vec<Asked>,
}

impl World {
    fn take(&mut self, step: &Step) {
        let (ledger, sim) = (self.test_ledger.ledger.clone(), self.test_ledger.sim.clone());
        match *step {
            Step::Ask { sat } => {
                let number = u8::try_from(self.charges.len()).unwrap();
                let amount = Msat::from_sat(sat.into()).unwrap();
                let (id, invoice, offer) = ask(&self.test_ledger, amount, Preimage([number; 32]));
                let by_offer = Vec::new();
                self.charges.push(Asked { id, invoice, offer, amount, by_offer, inside: false });
            }
            Step::PayInvoice { charge, sat_more } => {
                let Some(asked) = pick(&mut self.charges, charge) else { return };
                sim.hold(&asked.invoice, more(asked.amount, sat_more));
            }
            Step::PayOffer { charge, sat_more } => {
                let Some(asked) = pick(&mut self.charges, charge) else { return };
                let amount = more(asked.amount, sat_more);
                sim.pay_offer(asked.offer, amount);
                asked.by_offer.push(amount);
            }
            Step::PayInside { charge } => {
                let Some(asked) = pick(&mut self.charges, charge) else { return };
                asked.inside |= matches!(self.test_ledger.pay_inside(&asked.invoice), Queued::New(_));
            }
            Step::Event => drop(events::step(&ledger, Duration::ZERO).unwrap()),
            Step::EventThenDie => {
                if let Some(event) = sim.next_event(Duration::ZERO) {
                    events::apply(&ledger, event).unwrap();
                    sim.restart(0, 0);
                }
            }
            Step::NoteThenDie => {
                if self.test_ledger.note_only().is_some() {
                    sim.restart(0, 0);
                }
            }
            Step::ClaimAndDie { after } => {
                sim.set_trap(if after { Trap::DieAfterClaim } else { Trap::DieBeforeClaim });
                let survived = catch_unwind(AssertUnwindSafe(|| {
                    events::step(&ledger, Duration::ZERO).unwrap();
                    held::look_again(&ledger, true).unwrap();
                }));
                sim.set_trap(Trap::None);
                if survived.is_err() {
                    sim.restart(0, 0);
                }
            }
            Step::Look { quiet } => held::look_again(&ledger, quiet).unwrap(),
            Step::Sweep => recovery::sweep(&ledger, 0).unwrap(),
            Step::Sync { charge } => {
                // As a shop asks: by what the node remembers of the invoice and of the offer.
                let Some(asked) = pick(&mut self.charges, charge) else { return };
                let (hash, offer) = (hash_of(&asked.invoice), Some(asked.offer));
                let of_it = sim.succeeded_since(0).into_iter();
                for record in of_it.filter(|record| record.hash == hash || record.offer == offer) {
                    self.credit(record.hash, record.offer, record.amount.unwrap());
                }
            }
            Step::ClaimsFail { fail } => sim.set_claims_fail(fail),
            Step::Whisper { on } => sim.set_whispers(on),
            Step::Tell => sim.tell_all(),
            Step::Lose { which } => {
                let held = sim.held();
                if !held.is_empty() {
                    sim.lose(held[usize::from(which) % held.len()]);
                }
            }
            Step::Mine { blocks } => sim.mine(blocks.into()),
            Step::Wait { seconds } => ledger.clock.advance(Duration::from_secs(seconds.into())),
            Step::Expire => {
                let now = ledger.clock.now();
                ledger.store.write_blocking(move |tx| charges::expire(tx, now, 100)).unwrap();
            }
            Step::Forget => {
                sim.tell_all();
                self.test_ledger.drain();
                recovery::sweep(&ledger, 0).unwrap();
                ledger.clock.advance(Duration::from_secs(12 * 3_600));
                recovery::forget_old(&ledger).unwrap();
            }
            Step::Die { records_lost, events_again } => sim.restart(records_lost.into(), events_again.into()),
            Step::DieAndLose { count } => sim.restart_losing_received(count.into()),
            Step::CreditUnseen { charge } => {
                let Some(asked) = pick(&mut self.charges, charge) else { return };
                let (amount, offer) = (asked.amount, Some(asked.offer));
                self.credit(PaymentHash([0xEE; 32]), offer, amount);
            }
        }
    }

    fn credit(&self, hash: PaymentHash, offer: Option<OfferId>, amount: Msat) {
        let (listeners, now) =
            (self.test_ledger.ledger.listeners.clone(), self.test_ledger.ledger.clock.now());
        let received = self
            .test_ledger
            .ledger
            .store
            .write_blocking(move |tx| charges::receive(tx, &listeners, hash, offer, amount, now));
        received.unwrap();
    }

    /// The node becomes honest and everything is driven to its end.
    fn settle(&mut self) {
        let (ledger, sim) = (self.test_ledger.ledger.clone(), self.test_ledger.sim.clone());
        sim.set_claims_fail(false);
        sim.set_whispers(false);
        for _ in 0..12 {
            sim.tell_all();
            self.test_ledger.drain();
            held::look_again(&ledger, true).unwrap();
            recovery::sweep(&ledger, 0).unwrap();
            ledger.clock.advance(Duration::from_secs(60));
            sim.mine(1);
        }
    }

    fn judge(&self) -> Result<(), TestCaseError> {
        let test_ledger = &self.test_ledger;
        let audit = audit::audit(&test_ledger.ledger).unwrap();
        prop_assert!(audit.clean, "{:?}", audit.problems);
        prop_assert!(test_ledger.sim.held().is_empty(), "somebody still waits");
        let claimed = test_ledger.sim.claimed();
        let (mut taken, mut inside) = (0_i64, 0_i64);
        for asked in &self.charges {
            let charge = test_ledger.charge(asked.id);
            let by_invoice = claimed.get(&hash_of(&asked.invoice)).cloned().unwrap_or_default();
            prop_assert!(by_invoice.len() + usize::from(asked.inside) <= 1, "the invoice was paid twice");
            let all: Vec<_> = by_invoice.iter().chain(&asked.by_offer).collect();
            let came = all.iter().map(|amount| amount.signed()).sum::<i64>();
            let ours = if asked.inside { asked.amount.signed() } else { 0 };
            taken += came;
            inside += ours;
            let paid = came + ours > 0;
            prop_assert_eq!(charge.status == ChargeStatus::Paid, paid, "{:?} {:?}", charge, all);
            prop_assert_eq!(charge.received.map_or(0, Msat::signed), came + ours, "{:?} {:?}", charge, all);
            prop_assert!(!charge.is_held(), "stuck: {:?}", charge);
            let told = test_ledger.told.of(asked.id);
            let times = |what: &str| told.iter().filter(|told| **told == what).count();
            prop_assert_eq!(times("settled"), usize::from(paid), "{:?}", told);
            let receipts = all.len() + usize::from(asked.inside);
            prop_assert_eq!(times("settled") + times("more"), receipts, "{:?}", told);
            // Nothing of the way of a payment is shown once it is over.
            let end = told.iter().position(|told| *told == "settled").unwrap_or(told.len());
            prop_assert!(told.iter().skip(end + 1).all(|told| *told == "more"), "{:?}", told);
        }
        prop_assert_eq!(test_ledger.balance(Account::Lightning), taken);
        prop_assert_eq!(test_ledger.balance(Account::Merchants), -taken - inside);
        prop_assert_eq!(test_ledger.balance(Account::Suspense), 0);
        Ok(())
    }
}

fn more(amount: Msat, sat_more: u8) -> Msat {
    Msat::from_sat(amount.sat_floor() + u64::from(sat_more)).unwrap()
}

fn pick(from: &mut [Asked], which: u8) -> Option<&mut Asked> {
    if from.is_empty() { None } else { from.get_mut(usize::from(which) % from.len()) }
}

/// Answers how many receipts came after the first of their charge.
fn run(histories: u32, steps: impl Strategy<Value = Vec<Step>>) -> Result<usize, String> {
    silence_expected_panics();
    let folder = tempfile::tempdir().unwrap();
    let shared = std::cell::RefCell::new((0_usize, None::<Store>));
    let added = std::cell::Cell::new(0_usize);
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
        let mut world = World { test_ledger: TestLedger::on(store), charges: Vec::new() };
        for step in &history {
            world.take(step);
        }
        world.settle();
        let told = world.test_ledger.told.0.lock().unwrap().iter().filter(|told| told.1 == "more").count();
        added.set(added.get() + told);
        world.judge()
    });
    outcome.map(|()| added.get()).map_err(|error| error.to_string())
}

fn clear(store: &Store) {
    store
        .write_blocking(|tx| {
            tx.execute_batch(
                "DELETE FROM payouts; DELETE FROM charge_receipts; DELETE FROM charge_offers; DELETE FROM charges;
                 DELETE FROM entries; DELETE FROM journals; DELETE FROM balances; DELETE FROM unclaimed;
                 DELETE FROM marks;",
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
fn short_histories_end_with_every_receipt_credited_once() {
    run(HISTORIES, proptest::collection::vec(step(), 1..30)).unwrap();
}

#[test]
fn long_histories_end_with_every_receipt_credited_once() {
    let added = run(HISTORIES, proptest::collection::vec(step(), 30..100)).unwrap();
    // A test of histories in which nothing is paid twice would prove nothing.
    assert!(added > 1_000, "{added}");
}

#[test]
fn crediting_what_never_came_would_be_noticed() {
    let broken = prop_oneof![10 => step(), 1 => any::<u8>().prop_map(|charge| Step::CreditUnseen { charge })];
    let outcome = run(500, proptest::collection::vec(broken, 20..80));
    assert!(outcome.is_err(), "the rule was broken and nobody noticed");
}
