//! Whole histories of vouchers on a node that misbehaves, with crashes between any two steps.
//!
//! After each history the node is made honest, everything is driven to its end, and then: nobody was paid
//! twice, nothing was lost, nothing is stuck, the books are at zero. The node's own truth
//! ([`Sim::delivered`]) is the judge, not our rows.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use lightning_invoice::Bolt11Invoice;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use super::*;
use crate::clock::Clock;
use crate::ledger::dispatcher::Dispatcher;
use crate::ledger::{
    Ledger, Listener, Listeners, PayoutStatus, Settings, Wake, audit, charges, events, reconciliation,
    recovery,
};
use crate::lightning::Lightning;
use crate::lightning::sim::{Sim, Trap};
use crate::store::Store;

/// Histories in each of the two halves; together more than ten thousand. `SATCHEL_HISTORIES` asks for others.
const HISTORIES: u32 = 5_500;

/// Histories that share a database file, which is slow to make.
const PER_FILE: usize = 50;

#[derive(Clone, Debug)]
enum Step {
    Create {
        vouchers: u8,
        sat: u16,
        lives_for: Option<u16>,
    },
    Pay {
        charge: u8,
        extra_msat: u16,
    },
    Redeem {
        voucher: u8,
        taker_is_sender: bool,
    },
    /// One payout for some that stand side by side.
    RedeemSeveral {
        first: u8,
        count: u8,
        taker_is_sender: bool,
    },
    Recall {
        voucher: u8,
    },
    RedeemAgain {
        invoice: u8,
        voucher: u8,
    },
    RedeemInside {
        voucher: u8,
        charge: u8,
    },
    Dispatch,
    DispatchAndDie {
        after: bool,
    },
    DispatchUnwritable,
    Commit,
    Resolve {
        which: u8,
        arrives: bool,
        fee: u8,
    },
    FailUntold {
        which: u8,
    },
    Tell,
    Event,
    EventThenDie,
    Look,
    /// The process dies, and its node finds a channel further than its own state.
    DieStale {
        records_lost: u8,
        forgets: u8,
    },
    /// The closing transactions of channels are in a block.
    Confirm,
    /// The chain decides what becomes of an HTLC.
    Decide {
        which: u8,
        arrives: bool,
    },
    Mine {
        blocks: u8,
    },
    /// The process is away for weeks.
    Away {
        arrives: u8,
    },
    /// Channels take no less than this.
    Minimum {
        sat: u16,
    },
    Die {
        records_lost: u8,
        events_again: u8,
    },
    Sweep,
    Route {
        exists: bool,
    },
    Turns {
        at_once: bool,
    },
    Wait {
        seconds: u16,
    },
    Expire,
    /// What must never be done: only in the test that shows that it would be noticed.
    GiveUpOldest,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1..4_u8, 100..2_000_u16, proptest::option::weighted(0.2, 10..400_u16))
            .prop_map(|(vouchers, sat, lives_for)| Step::Create { vouchers, sat, lives_for }),
        4 => (any::<u8>(), prop_oneof![4 => Just(0_u16), 1 => any::<u16>()])
            .prop_map(|(charge, extra_msat)| Step::Pay { charge, extra_msat }),
        6 => (any::<u8>(), proptest::bool::weighted(0.1))
            .prop_map(|(voucher, taker_is_sender)| Step::Redeem { voucher, taker_is_sender }),
        3 => (any::<u8>(), 2..5_u8, proptest::bool::weighted(0.2)).prop_map(
            |(first, count, taker_is_sender)| Step::RedeemSeveral { first, count, taker_is_sender }
        ),
        1 => any::<u8>().prop_map(|voucher| Step::Recall { voucher }),
        2 => (any::<u8>(), any::<u8>()).prop_map(|(invoice, voucher)| Step::RedeemAgain { invoice, voucher }),
        1 => (any::<u8>(), any::<u8>()).prop_map(|(voucher, charge)| Step::RedeemInside { voucher, charge }),
        6 => Just(Step::Dispatch),
        2 => any::<bool>().prop_map(|after| Step::DispatchAndDie { after }),
        1 => Just(Step::DispatchUnwritable),
        2 => Just(Step::Commit),
        5 => (any::<u8>(), any::<bool>(), any::<u8>())
            .prop_map(|(which, arrives, fee)| Step::Resolve { which, arrives, fee }),
        1 => any::<u8>().prop_map(|which| Step::FailUntold { which }),
        1 => Just(Step::Tell),
        6 => Just(Step::Event),
        2 => Just(Step::EventThenDie),
        2 => Just(Step::Look),
        2 => (0..4_u8, any::<u8>())
            .prop_map(|(records_lost, forgets)| Step::DieStale { records_lost, forgets }),
        2 => Just(Step::Confirm),
        3 => (any::<u8>(), any::<bool>()).prop_map(|(which, arrives)| Step::Decide { which, arrives }),
        3 => (1..9_u8).prop_map(|blocks| Step::Mine { blocks }),
        1 => any::<u8>().prop_map(|arrives| Step::Away { arrives }),
        1 => prop_oneof![Just(0_u16), 90..1_000_u16].prop_map(|sat| Step::Minimum { sat }),
        2 => (0..4_u8, 0..4_u8)
            .prop_map(|(records_lost, events_again)| Step::Die { records_lost, events_again }),
        1 => Just(Step::Sweep),
        2 => any::<bool>().prop_map(|exists| Step::Route { exists }),
        2 => any::<bool>().prop_map(|at_once| Step::Turns { at_once }),
        2 => (1..900_u16).prop_map(|seconds| Step::Wait { seconds }),
        1 => Just(Step::Expire),
    ]
}

/// One house on one node.
struct World {
    ledger: Ledger,
    vouchers: Vouchers,
    sim: Arc<Sim>,
    clock: Clock,
    dispatcher: Dispatcher,
    charges: Vec<(ChargeId, Bolt11Invoice, Msat)>,
    ids: Vec<VoucherId>,
    used: Vec<Bolt11Invoice>,
    received: u64,
    gap_hit: bool,
}

impl World {
    fn new(store: Store) -> Self {
        let clock = Clock::manual(1_800_000_000_000);
        let sim = Arc::new(Sim::new(clock.clone()));
        let vouchers = Vouchers::default();
        let ledger = Ledger {
            store,
            lightning: Arc::clone(&sim) as Arc<dyn Lightning>,
            clock: clock.clone(),
            wake: Arc::new(Wake::default()),
            listeners: Listeners::new([(Family::Gifts, Arc::new(vouchers.clone()) as Arc<dyn Listener>)]),
            settings: Settings::default(),
        };
        Self {
            ledger,
            vouchers,
            sim,
            clock,
            dispatcher: Dispatcher::default(),
            charges: Vec::new(),
            ids: Vec::new(),
            used: Vec::new(),
            received: 0,
            gap_hit: false,
        }
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Create { vouchers, sat, lives_for } => self.create(vouchers, sat, lives_for),
            Step::Pay { charge, extra_msat } => self.pay(charge, extra_msat),
            Step::Redeem { voucher, taker_is_sender } => {
                let Some(id) = pick(&self.ids, voucher) else {
                    return;
                };
                let amount = self.voucher(id).amount;
                let (invoice, _) = self.sim.invoice(amount, Duration::from_secs(3_600));
                self.used.push(invoice.clone());
                self.redeem(id, &invoice, if taker_is_sender { Taker::Sender } else { Taker::Recipient });
            }
            Step::RedeemSeveral { first, count, taker_is_sender } => {
                self.redeem_several(
                    first,
                    count,
                    if taker_is_sender { Taker::Sender } else { Taker::Recipient },
                );
            }
            Step::Recall { voucher } => self.recall(voucher),
            Step::RedeemAgain { invoice, voucher } => {
                let (Some(invoice), Some(id)) = (pick(&self.used, invoice), pick(&self.ids, voucher)) else {
                    return;
                };
                self.redeem(id, &invoice, Taker::Recipient);
            }
            Step::RedeemInside { voucher, charge } => {
                let (Some(id), Some(charge)) = (pick(&self.ids, voucher), pick(&self.charges, charge)) else {
                    return;
                };
                self.redeem(id, &charge.1, Taker::Recipient);
            }
            Step::Dispatch => self.dispatch(),
            Step::DispatchAndDie { after } => {
                self.sim.set_trap(if after { Trap::DieAfter } else { Trap::DieBefore });
                self.until_death(|world| world.dispatch());
            }
            Step::DispatchUnwritable => {
                self.sim.set_trap(Trap::SayPersistenceFailed);
                self.dispatch();
                self.sim.set_trap(Trap::None);
            }
            Step::Commit => self.sim.commit_all(),
            Step::Resolve { which, arrives, fee } => {
                self.sim.commit_all();
                let Some(hash) = pick(&self.sim.under_way(), which) else {
                    return;
                };
                self.sim.resolve(hash, arrives, Msat::new(u64::from(fee)).unwrap());
            }
            Step::FailUntold { which } => {
                // Twice in one history would need the same tiny gap to be hit twice for one payout.
                if !std::mem::replace(&mut self.gap_hit, true)
                    && let Some(hash) = pick(&self.sim.under_way(), which)
                {
                    self.sim.fail_untold(hash);
                }
            }
            Step::Tell => self.sim.tell_all(),
            Step::Event => {
                events::step(&self.ledger, Duration::ZERO).unwrap();
            }
            Step::EventThenDie => {
                if let Some(event) = self.sim.next_event(Duration::ZERO) {
                    events::apply(&self.ledger, event).unwrap();
                    self.die(0, 0);
                }
            }
            Step::Look => reconciliation::look_again(&self.ledger, true).unwrap(),
            Step::DieStale { records_lost, forgets } => {
                self.sim.restart_stale(records_lost.into(), |number| bit(forgets, number));
                self.start();
            }
            Step::Confirm => self.sim.confirm_closings(),
            Step::Decide { which, arrives } => {
                if let Some(hash) = pick(&self.sim.undecided(), which) {
                    self.sim.decide(hash, arrives);
                }
            }
            Step::Mine { blocks } => self.sim.mine(blocks.into()),
            Step::Away { arrives } => {
                self.sim.away(2_100, |number| bit(arrives, number));
                self.start();
            }
            Step::Minimum { sat } => self.sim.set_minimum(Msat::from_sat(sat.into()).unwrap()),
            Step::Die { records_lost, events_again } => self.die(records_lost.into(), events_again.into()),
            Step::Sweep => recovery::sweep(&self.ledger, 0).unwrap(),
            Step::Route { exists } => self.sim.set_no_route(!exists),
            Step::Turns { at_once } => self.sim.set_commit_at_once(at_once),
            Step::Wait { seconds } => self.clock.advance(Duration::from_secs(seconds.into())),
            Step::Expire => self.expire(),
            Step::GiveUpOldest => self.give_up_oldest(),
        }
    }

    fn create(&mut self, count: u8, sat: u16, lives_for: Option<u16>) {
        let each = Msat::from_sat(sat.into()).unwrap();
        let total = Msat::from_sat(u64::from(sat) * u64::from(count)).unwrap();
        let (invoice, _) = self.sim.invoice(total, Duration::from_secs(3_600));
        let now = self.clock.now();
        let expires_at = lives_for.map(|seconds| now + i64::from(seconds) * 1_000);
        let ours = invoice.clone();
        let (charge, ids) = self
            .ledger
            .store
            .write_blocking(move |tx| -> Result<_, LedgerError> {
                let charge = charges::open(tx, Family::Gifts, &ours, Some(total), now)?;
                let new =
                    NewVoucher { family: Family::Gifts, charge, amount: each, expires_at, return_to: None };
                let ids = (0..count).map(|_| issue(tx, &new, now)).collect::<Result<Vec<_>, _>>()?;
                Ok((charge, ids))
            })
            .unwrap();
        self.charges.push((charge, invoice, total));
        self.ids.extend(ids);
    }

    fn pay(&mut self, which: u8, extra_msat: u16) {
        let Some((_, invoice, total)) = pick(&self.charges, which) else {
            return;
        };
        // ldk-node refuses a second payment of an invoice that it has been paid for.
        if self.sim.record(charges::hash_of(&invoice)).is_some() {
            return;
        }
        let amount = Msat::new(total.get() + u64::from(extra_msat)).unwrap();
        self.received += amount.get();
        self.sim.receive(&invoice, amount);
    }

    fn redeem(&mut self, id: VoucherId, invoice: &Bolt11Invoice, taker: Taker) {
        self.redeem_all(vec![id], invoice, taker);
    }

    fn redeem_all(&mut self, ids: Vec<VoucherId>, invoice: &Bolt11Invoice, taker: Taker) {
        let (ledger, invoice) = (self.ledger.clone(), invoice.clone());
        let max_fee = Msat::from_sat(10).unwrap();
        let _refused_or_not = self
            .ledger
            .store
            .write_blocking(move |tx| redeem(tx, &ledger, &ids, taker, &invoice, max_fee))
            .unwrap();
    }

    /// Of those that can be redeemed if there are any, else of all: most have been redeemed after a while.
    fn redeem_several(&mut self, first: u8, count: u8, taker: Taker) {
        let open = |id: &VoucherId| self.voucher(*id).state == VoucherState::Open;
        let mut ids: Vec<_> = self.ids.iter().copied().filter(open).collect();
        if ids.len() < 2 {
            ids.clone_from(&self.ids);
        }
        let start = usize::from(first) % ids.len().max(1);
        let some: Vec<_> = ids.into_iter().skip(start).take(count.into()).collect();
        let sum = some.iter().map(|id| self.voucher(*id).amount.get()).sum();
        let (invoice, _) = self.sim.invoice(Msat::new(sum).unwrap(), Duration::from_secs(3_600));
        self.used.push(invoice.clone());
        self.redeem_all(some, &invoice, taker);
    }

    fn recall(&mut self, which: u8) {
        let Some(id) = pick(&self.ids, which) else {
            return;
        };
        let (vouchers, now) = (self.vouchers.clone(), self.clock.now());
        let _refused_or_not =
            self.ledger.store.write_blocking(move |tx| vouchers.recall(tx, id, now)).unwrap();
    }

    fn dispatch(&mut self) {
        self.dispatcher.round(&self.ledger).unwrap();
    }

    fn expire(&mut self) {
        let (vouchers, now) = (self.vouchers.clone(), self.clock.now());
        self.ledger
            .store
            .write_blocking(move |tx| {
                charges::expire(tx, now, 100)?;
                vouchers.expire(tx, now, 100)
            })
            .unwrap();
    }

    fn until_death(&mut self, action: impl FnOnce(&mut Self)) {
        let survived = catch_unwind(AssertUnwindSafe(|| action(self))).is_ok();
        self.sim.set_trap(Trap::None);
        if !survived {
            self.die(0, 0);
        }
    }

    fn die(&mut self, records_lost: usize, events_again: usize) {
        self.sim.restart(records_lost, events_again);
        self.start();
    }

    fn start(&mut self) {
        self.dispatcher = Dispatcher::default();
        recovery::mark_unknown(&self.ledger).unwrap();
    }

    /// Breaks the rule "never release on a timeout".
    fn give_up_oldest(&mut self) {
        let Some(hash) = self.sim.under_way().first().copied() else {
            return;
        };
        let (listeners, now) = (self.ledger.listeners.clone(), self.clock.now());
        self.ledger
            .store
            .write_blocking(move |tx| {
                crate::ledger::payouts::mark_failed(tx, &listeners, hash, "took too long", now)
            })
            .unwrap();
    }

    fn voucher(&self, id: VoucherId) -> Voucher {
        self.ledger.store.read_blocking(move |connection| by_id(connection, id)).unwrap()
    }

    /// The node becomes honest and everything is driven to its end.
    fn settle(&mut self) {
        self.sim.set_no_route(false);
        self.sim.set_commit_at_once(true);
        self.sim.set_trap(Trap::None);
        self.sim.set_minimum(Msat::ZERO);
        for round in 0..60_u32 {
            self.sim.tell_all();
            self.sim.commit_all();
            while events::step(&self.ledger, Duration::ZERO).unwrap() {}
            reconciliation::look_again(&self.ledger, true).unwrap();
            self.dispatch();
            self.sim.commit_all();
            for (number, hash) in self.sim.under_way().into_iter().enumerate() {
                let arrives = (number + round as usize).is_multiple_of(2);
                self.sim.resolve(hash, arrives, Msat::ZERO);
            }
            self.sim.confirm_closings();
            for (number, hash) in self.sim.undecided().into_iter().enumerate() {
                self.sim.decide(hash, (number + round as usize).is_multiple_of(2));
            }
            self.sim.mine(7);
            self.clock.advance(Duration::from_secs(60));
        }
        self.expire();
    }

    /// Everything that must be true once nothing is under way any more.
    fn judge(&self) -> Result<(), TestCaseError> {
        let audit = audit::audit(&self.ledger).unwrap();
        prop_assert!(audit.clean, "{:?}", audit.problems);
        let delivered = self.sim.delivered();
        for id in &self.ids {
            let voucher = self.voucher(*id);
            let id = *id;
            let payouts =
                self.ledger.store.read_blocking(move |connection| super::payouts_of(connection, id)).unwrap();
            let payouts: Vec<_> = payouts.into_iter().map(|(_, payout)| payout).collect();
            // Of a payout for several, each has its own share.
            let outside = |payout: &&Payout| delivered.contains_key(&payout.payment_hash);
            let inside = |payout: &&Payout| payout.status == PayoutStatus::Paid && !outside(payout);
            let times = payouts.iter().filter(|payout| outside(payout) || inside(payout)).count();
            let over = matches!(voucher.state, VoucherState::Redeemed | VoucherState::Returned);
            prop_assert_eq!(times, usize::from(over), "voucher {} is {:?}: {:?}", id, voucher.state, payouts);
            prop_assert!(payouts.iter().all(|payout| payout.status.is_final()), "stuck: {:?}", payouts);
        }
        let on_hand: i64 = self
            .ledger
            .store
            .read_blocking(|connection| {
                connection
                    .query_row(
                        "SELECT coalesce(sum(msat), 0) FROM balances WHERE account = 'lightning'",
                        [],
                        |row| row.get(0),
                    )
                    .map_err(LedgerError::from)
            })
            .unwrap();
        let left = self.sim.left_in_all();
        let expected = i64::try_from(self.received).unwrap() - i64::try_from(left).unwrap();
        prop_assert_eq!(
            on_hand,
            expected,
            "what came in less what went out is not what the books say is here"
        );
        Ok(())
    }
}

/// Whether a choice out of eight is made.
fn bit(choices: u8, number: usize) -> bool {
    choices >> (number % 8) & 1 == 1
}

fn pick<T: Clone>(from: &[T], which: u8) -> Option<T> {
    if from.is_empty() { None } else { from.get(usize::from(which) % from.len()).cloned() }
}

/// Runs histories, each in a world of its own, many worlds to a file.
fn run(histories: u32, steps: impl Strategy<Value = Vec<Step>>) -> Result<(), String> {
    silence_expected_panics();
    let folder = tempfile::tempdir().unwrap();
    let shared = std::cell::RefCell::new((0_usize, None::<Store>));
    let config =
        Config { cases: histories, max_shrink_iters: 2_000, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let outcome = runner.run(&steps, |history| {
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
        let mut world = World::new(store);
        for step in &history {
            world.take(step);
        }
        world.settle();
        world.judge()
    });
    outcome.map_err(|error| error.to_string())
}

/// An empty file again: cheaper than a new one.
fn clear(store: &Store) {
    store
        .write_blocking(|tx| {
            tx.execute_batch(
                "UPDATE vouchers SET payout_id = NULL; DELETE FROM voucher_payouts;
                 DELETE FROM payouts; DELETE FROM vouchers; DELETE FROM charges; DELETE FROM entries;
                 DELETE FROM journals; DELETE FROM balances; DELETE FROM unclaimed; DELETE FROM counters;",
            )
            .map_err(LedgerError::from)
        })
        .unwrap();
}

fn histories() -> u32 {
    std::env::var("SATCHEL_HISTORIES").map_or(HISTORIES, |text| text.parse().unwrap())
}

fn silence_expected_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let text = info.payload_as_str().unwrap_or_default();
        if !text.contains(crate::lightning::sim::CRASH) {
            usual(info);
        }
    }));
}

#[test]
fn short_histories_end_with_everybody_paid_once_and_the_books_at_zero() {
    run(histories(), proptest::collection::vec(step(), 1..40)).unwrap();
}

#[test]
fn long_histories_end_with_everybody_paid_once_and_the_books_at_zero() {
    run(histories(), proptest::collection::vec(step(), 40..120)).unwrap();
}

#[test]
fn releasing_a_voucher_because_time_has_passed_would_be_noticed() {
    let broken = prop_oneof![10 => step(), 2 => Just(Step::GiveUpOldest)];
    let outcome = run(2_000, proptest::collection::vec(broken, 20..80));
    assert!(outcome.is_err(), "the rule was broken and nobody noticed");
}
