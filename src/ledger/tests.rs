//! Books, charges and payouts on their own; whole histories are in `vouchers::property`.

mod again;
mod by_hand;
mod export;
mod jamming;
mod payout_list;
mod proof;
mod sends;
mod suspense;
mod to_offers;

use std::sync::Arc;
use std::time::Duration;

use super::books::{Journal, Kind};
use super::charges::Receipt;
use super::dispatcher::Dispatcher;
use super::payouts::{Order, Queued, Reported};
use super::*;
use crate::core::money::Msat;
use crate::lightning::sim::{Sim, Trap};

struct TestLedger {
    ledger: Ledger,
    sim: Arc<Sim>,
    _folder: tempfile::TempDir,
}

fn sat(sat: u64) -> Msat {
    Msat::from_sat(sat).unwrap()
}

impl TestLedger {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::manual(1_800_000_000_000);
        let sim = Arc::new(Sim::new(clock.clone()));
        sim.set_commit_at_once(true);
        let ledger = Ledger {
            store: Store::open_without_sync(&folder.path().join("satchel.db")).unwrap(),
            lightning: Arc::clone(&sim) as Arc<dyn Lightning>,
            clock,
            wake: Arc::new(Notify::default()),
            listeners: Listeners::default(),
            settings: Settings::default(),
        };
        Self { ledger, sim, _folder: folder }
    }

    fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Tx<'_>, &Ledger) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let ledger = self.ledger.clone();
        self.ledger.store.write_blocking(move |tx| job(tx, &ledger))
    }

    fn balance(&self, account: Account) -> i64 {
        let audit = audit::audit(&self.ledger).unwrap();
        assert!(audit.clean, "{:?}", audit.problems);
        audit.accounts.iter().find(|row| row.account == account.name()).unwrap().msat
    }

    fn charge(&self, amount: Msat) -> lightning_invoice::Bolt11Invoice {
        let (invoice, _) = self.sim.invoice(amount, Duration::from_secs(600));
        let ours = invoice.clone();
        self.write(move |tx, ledger| {
            charges::open(tx, Family::Operator, &ours, Some(amount), ledger.clock.now())
        })
        .unwrap();
        invoice
    }

    fn receive(&self, invoice: &lightning_invoice::Bolt11Invoice, amount: Msat) -> Receipt {
        let hash = charges::hash_of(invoice);
        self.write(move |tx, ledger| {
            charges::receive(tx, &ledger.listeners, hash, None, amount, ledger.clock.now())
        })
        .unwrap()
    }

    fn queue(&self, invoice: &lightning_invoice::Bolt11Invoice) -> Queued {
        self.queue_for(Family::Operator, invoice, sat(10))
    }

    fn queue_for(&self, family: Family, invoice: &lightning_invoice::Bolt11Invoice, max_fee: Msat) -> Queued {
        let invoice = invoice.clone();
        self.write(move |tx, ledger| {
            let amount = Msat::new(invoice.amount_milli_satoshis().unwrap()).unwrap();
            let order = Order { family, invoice: &invoice, amount, max_fee };
            payouts::queue(tx, ledger, &order, |_| Ok(()))
        })
        .unwrap()
    }

    fn pay(&self, amount: Msat) -> lightning_invoice::Bolt11Invoice {
        let (invoice, _) = self.sim.invoice(amount, Duration::from_secs(600));
        assert!(matches!(self.queue(&invoice), Queued::New(_)));
        invoice
    }

    fn pay_for(&self, family: Family, amount: Msat, max_fee: Msat) -> lightning_invoice::Bolt11Invoice {
        let (invoice, _) = self.sim.invoice(amount, Duration::from_secs(600));
        assert!(matches!(self.queue_for(family, &invoice, max_fee), Queued::New(_)));
        invoice
    }

    fn status(&self, invoice: &lightning_invoice::Bolt11Invoice) -> PayoutStatus {
        let hash = charges::hash_of(invoice);
        let found = self.ledger.store.read_blocking(move |connection| payouts::by_hash(connection, hash));
        found.unwrap().unwrap().status
    }

    fn settle_queue(&self) {
        // A queued write is in the file once a later one has been answered.
        self.write(|_, _| Ok(())).unwrap();
    }
}

#[test]
fn a_journal_that_does_not_balance_is_refused() {
    let test_ledger = TestLedger::new();
    let refused = test_ledger
        .write(|tx, _| Journal::new(Kind::Unclaimed, 1).debit(Account::Lightning, sat(1)).post(tx, 0));
    assert!(matches!(refused, Err(LedgerError::Broken(_))));
    assert_eq!(test_ledger.balance(Account::Lightning), 0);
}

#[test]
fn the_same_thing_cannot_be_booked_twice() {
    let test_ledger = TestLedger::new();
    let book = |tx: &Tx<'_>, _: &Ledger| {
        Journal::new(Kind::Unclaimed, 7)
            .debit(Account::Lightning, sat(1))
            .credit(Account::Suspense, sat(1))
            .post(tx, 0)
    };
    test_ledger.write(book).unwrap();
    assert!(test_ledger.write(book).is_err());
    assert_eq!(test_ledger.balance(Account::Suspense), -1_000);
}

#[test]
fn a_payment_is_credited_once_and_what_was_too_much_is_kept_apart() {
    let test_ledger = TestLedger::new();
    let invoice = test_ledger.charge(sat(100));
    assert_eq!(test_ledger.receive(&invoice, sat(130)), Receipt::Settled);
    assert_eq!(test_ledger.receive(&invoice, sat(130)), Receipt::Repeated);
    assert_eq!(test_ledger.balance(Account::Lightning), 130_000);
    assert_eq!(test_ledger.balance(Account::Operator), -100_000);
    assert_eq!(test_ledger.balance(Account::Suspense), -30_000);
}

#[test]
fn less_than_was_asked_settles_nothing_and_is_kept_apart_once() {
    let test_ledger = TestLedger::new();
    let invoice = test_ledger.charge(sat(100));
    test_ledger.receive(&invoice, sat(90));
    test_ledger.receive(&invoice, sat(90));
    assert_eq!(test_ledger.balance(Account::Suspense), -90_000);
    assert_eq!(test_ledger.balance(Account::Operator), 0);
}

#[test]
fn money_for_an_unknown_hash_goes_into_suspense_once() {
    let test_ledger = TestLedger::new();
    let (invoice, _) = test_ledger.sim.invoice(sat(5), Duration::from_secs(60));
    assert_eq!(test_ledger.receive(&invoice, sat(5)), Receipt::Suspense);
    assert_eq!(test_ledger.receive(&invoice, sat(5)), Receipt::Repeated);
    assert_eq!(test_ledger.balance(Account::Suspense), -5_000);
}

#[test]
fn an_invoice_settled_inside_and_then_paid_is_counted_both_times() {
    let test_ledger = TestLedger::new();
    let invoice = test_ledger.charge(sat(100));
    let Queued::New(payout) = test_ledger.queue(&invoice) else { panic!("not queued") };
    assert_eq!(payout.status, PayoutStatus::Paid);
    assert_eq!(payout.fee, Some(Msat::ZERO));
    assert!(test_ledger.sim.under_way().is_empty(), "nothing left the house");
    assert_eq!(test_ledger.receive(&invoice, sat(100)), Receipt::Suspense);
    assert_eq!(test_ledger.receive(&invoice, sat(100)), Receipt::Repeated);
    assert_eq!(test_ledger.balance(Account::Suspense), -100_000);
    assert_eq!(test_ledger.balance(Account::Clearing), 0);
}

#[test]
fn an_expired_charge_that_is_paid_all_the_same_is_credited() {
    let test_ledger = TestLedger::new();
    let invoice = test_ledger.charge(sat(100));
    test_ledger.ledger.clock.advance(Duration::from_secs(700));
    let expired = test_ledger.write(|tx, ledger| charges::expire(tx, ledger.clock.now(), 10)).unwrap();
    assert_eq!(expired, 1);
    assert_eq!(test_ledger.receive(&invoice, sat(100)), Receipt::Settled);
}

#[test]
fn a_payout_costs_its_amount_and_its_fee_and_gives_the_rest_of_the_reserve_back() {
    let test_ledger = TestLedger::new();
    let invoice = test_ledger.pay(sat(500));
    assert_eq!(test_ledger.balance(Account::InFlight), -510_000);
    Dispatcher::default().round(&test_ledger.ledger).unwrap();
    test_ledger.sim.resolve(charges::hash_of(&invoice), true, sat(3));
    assert!(events::step(&test_ledger.ledger, Duration::ZERO).unwrap());
    assert_eq!(test_ledger.status(&invoice), PayoutStatus::Paid);
    assert_eq!(test_ledger.balance(Account::InFlight), 0);
    assert_eq!(test_ledger.balance(Account::RoutingPaid), 3_000);
    assert_eq!(test_ledger.balance(Account::Lightning), -503_000);
}

#[test]
fn the_same_invoice_again_is_the_same_payout_even_after_it_failed() {
    let test_ledger = TestLedger::new();
    let invoice = test_ledger.pay(sat(500));
    assert!(matches!(test_ledger.queue(&invoice), Queued::Existing(_)));
    Dispatcher::default().round(&test_ledger.ledger).unwrap();
    test_ledger.sim.resolve(charges::hash_of(&invoice), false, Msat::ZERO);
    events::step(&test_ledger.ledger, Duration::ZERO).unwrap();
    assert_eq!(test_ledger.status(&invoice), PayoutStatus::Failed);
    assert!(matches!(test_ledger.queue(&invoice), Queued::Existing(_)));
    assert_eq!(test_ledger.balance(Account::InFlight), 0);
}

#[test]
fn a_success_after_a_failure_wins() {
    let test_ledger = TestLedger::new();
    let invoice = test_ledger.pay(sat(500));
    Dispatcher::default().round(&test_ledger.ledger).unwrap();
    let hash = charges::hash_of(&invoice);
    test_ledger
        .write(move |tx, ledger| payouts::mark_failed(tx, &ledger.listeners, hash, "it failed", 1))
        .unwrap();
    let late = test_ledger
        .write(move |tx, ledger| {
            let arrival = payouts::Arrival { hash, preimage: None, fee: sat(1), left: None };
            payouts::mark_paid(tx, &ledger.listeners, &arrival, 2)
        })
        .unwrap();
    assert_eq!(late, Reported::Ended);
    let again = test_ledger
        .write(move |tx, ledger| payouts::mark_failed(tx, &ledger.listeners, hash, "again", 3))
        .unwrap();
    assert_eq!(again, Reported::Repeated);
    assert_eq!(test_ledger.status(&invoice), PayoutStatus::Paid);
    assert_eq!(test_ledger.balance(Account::Lightning), -501_000);
}

#[test]
fn without_a_route_a_payout_is_tried_some_times_and_then_given_up() {
    let test_ledger = TestLedger::new();
    test_ledger.sim.set_no_route(true);
    let invoice = test_ledger.pay(sat(500));
    let mut dispatcher = Dispatcher::default();
    let mut asked = 0;
    for _ in 0..20 {
        asked += dispatcher.round(&test_ledger.ledger).unwrap().asked;
        test_ledger.ledger.clock.advance(Duration::from_secs(5));
    }
    assert_eq!(asked, 4);
    assert_eq!(test_ledger.status(&invoice), PayoutStatus::Failed);
}

#[test]
fn without_a_route_while_others_are_under_way_a_payout_waits() {
    let test_ledger = TestLedger::new();
    let first = test_ledger.pay(sat(500));
    let mut dispatcher = Dispatcher::default();
    dispatcher.round(&test_ledger.ledger).unwrap();
    test_ledger.settle_queue();
    test_ledger.sim.set_no_route(true);
    let second = test_ledger.pay(sat(50));
    for _ in 0..20 {
        dispatcher.round(&test_ledger.ledger).unwrap();
        test_ledger.ledger.clock.advance(Duration::from_secs(5));
    }
    assert_eq!(test_ledger.status(&second), PayoutStatus::Queued);
    test_ledger.sim.set_no_route(false);
    test_ledger.ledger.clock.advance(Duration::from_secs(31));
    test_ledger.sim.resolve(charges::hash_of(&first), true, Msat::ZERO);
    events::step(&test_ledger.ledger, Duration::ZERO).unwrap();
    dispatcher.round(&test_ledger.ledger).unwrap();
    test_ledger.settle_queue();
    assert_eq!(test_ledger.status(&second), PayoutStatus::InFlight);
}

/// Recipients who hold their payments, each of which may cost the most there is, never use up the hour's routing.
#[test]
fn what_routing_may_cost_in_an_hour_is_shared() {
    let mut test_ledger = TestLedger::new();
    test_ledger.ledger.settings.max_routing_per_hour = sat(100);
    // Slots for all of them, although nobody knows their recipients yet.
    test_ledger.ledger.settings.in_flight_per_channel = 200;
    let mut dispatcher = Dispatcher::default();
    let mut round = |test_ledger: &TestLedger| {
        dispatcher.round(&test_ledger.ledger).unwrap();
        test_ledger.settle_queue();
    };
    let limits = || test_ledger.sim.limits();
    // Half of the hour is for small limits; of the rest one payout may have as much as it wants, the others a part
    // of what is left.
    let held: Vec<_> = (0..30).map(|_| test_ledger.pay_for(Family::Gifts, sat(50), sat(30))).collect();
    round(&test_ledger);
    assert!(held.iter().all(|invoice| test_ledger.status(invoice) == PayoutStatus::InFlight));
    let given = limits();
    assert_eq!(given[0], sat(30));
    assert!(given[1..].iter().all(|limit| *limit <= sat(1)), "{given:?}");
    let sum: u64 = given.iter().map(|limit| limit.get()).sum();
    assert!(sum <= 50_000, "{sum}");
    // One with a small limit has all of it, and the operator whatever they say.
    let small = test_ledger.pay_for(Family::Gifts, sat(50), Msat::new(200).unwrap());
    let own = test_ledger.pay_for(Family::Operator, sat(50), sat(90));
    round(&test_ledger);
    assert_eq!(limits()[30..], [Msat::new(200).unwrap(), sat(90)]);
    let _ = (small, own);
    // A dear route is waited for, not given up, while the limit is cut short.
    test_ledger.sim.set_route_costs(sat(5));
    let dear = test_ledger.pay_for(Family::Gifts, sat(50), sat(30));
    for _ in 0..10 {
        round(&test_ledger);
        test_ledger.ledger.clock.advance(Duration::from_secs(10));
    }
    assert_eq!(test_ledger.status(&dear), PayoutStatus::Queued);
    // The first has arrived for nothing: somebody else may have as much.
    test_ledger.sim.resolve(charges::hash_of(&held[0]), true, Msat::ZERO);
    events::step(&test_ledger.ledger, Duration::ZERO).unwrap();
    test_ledger.ledger.clock.advance(Duration::from_secs(31));
    round(&test_ledger);
    assert_eq!(test_ledger.status(&dear), PayoutStatus::InFlight);
}

/// However little of the limit is granted: what no channel could carry waits for nothing.
#[test]
fn what_is_larger_than_all_channels_is_given_up_soon() {
    let mut test_ledger = TestLedger::new();
    test_ledger.ledger.settings.max_routing_per_hour = sat(100);
    test_ledger.sim.set_room(sat(1_000));
    test_ledger.sim.set_no_route(true);
    let payout = test_ledger.pay_for(Family::Gifts, sat(5_000), sat(500));
    let mut dispatcher = Dispatcher::default();
    for _ in 0..6 {
        dispatcher.round(&test_ledger.ledger).unwrap();
        test_ledger.ledger.clock.advance(Duration::from_secs(5));
    }
    assert_eq!(test_ledger.status(&payout), PayoutStatus::Failed);
}

/// What no channel takes now doesn't keep from their turn those behind it.
#[test]
fn large_payouts_that_wait_hold_up_no_small_ones() {
    let test_ledger = TestLedger::new();
    let first = test_ledger.pay(sat(500));
    let mut dispatcher = Dispatcher::default();
    dispatcher.round(&test_ledger.ledger).unwrap();
    test_ledger.sim.set_room(sat(1_000));
    let large: Vec<_> = (0..40).map(|_| test_ledger.pay(sat(5_000))).collect();
    let small = test_ledger.pay(sat(100));
    dispatcher.round(&test_ledger.ledger).unwrap();
    test_ledger.settle_queue();
    assert_eq!(test_ledger.status(&first), PayoutStatus::InFlight);
    assert_eq!(test_ledger.status(&small), PayoutStatus::InFlight);
    assert!(large.iter().all(|invoice| test_ledger.status(invoice) == PayoutStatus::Queued));
    // But not for ever.
    test_ledger.ledger.clock.advance(Duration::from_secs(3_000));
    dispatcher.round(&test_ledger.ledger).unwrap();
    dispatcher.round(&test_ledger.ledger).unwrap();
    assert!(large.iter().all(|invoice| test_ledger.status(invoice) == PayoutStatus::Failed));
}

#[test]
fn a_payout_that_can_not_be_sent_in_time_is_given_up() {
    let test_ledger = TestLedger::new();
    let (invoice, _) = test_ledger.sim.invoice(sat(500), Duration::from_secs(86_400));
    test_ledger.queue(&invoice);
    test_ledger.ledger.clock.advance(Duration::from_secs(601));
    let round = Dispatcher::default().round(&test_ledger.ledger).unwrap();
    assert_eq!((round.asked, round.given_up), (0, 1));
    assert_eq!(test_ledger.status(&invoice), PayoutStatus::Failed);
}

#[test]
fn what_the_node_could_not_write_is_in_doubt_until_its_event_comes() {
    let test_ledger = TestLedger::new();
    let invoice = test_ledger.pay(sat(500));
    test_ledger.sim.set_trap(Trap::SayPersistenceFailed);
    Dispatcher::default().round(&test_ledger.ledger).unwrap();
    assert_eq!(test_ledger.status(&invoice), PayoutStatus::Unknown);
    test_ledger.sim.resolve(charges::hash_of(&invoice), true, Msat::ZERO);
    events::step(&test_ledger.ledger, Duration::ZERO).unwrap();
    assert_eq!(test_ledger.status(&invoice), PayoutStatus::Paid);
}

#[test]
fn the_sweep_credits_what_no_event_told() {
    let test_ledger = TestLedger::new();
    let invoice = test_ledger.charge(sat(100));
    test_ledger.sim.receive(&invoice, sat(100));
    recovery::sweep(&test_ledger.ledger, 0).unwrap();
    assert_eq!(test_ledger.balance(Account::Operator), -100_000);
    events::step(&test_ledger.ledger, Duration::ZERO).unwrap();
    assert_eq!(test_ledger.balance(Account::Operator), -100_000);
}

#[test]
fn an_event_that_the_books_refuse_is_kept_apart_and_holds_up_nobody() {
    struct Refuses;
    impl Listener for Refuses {
        fn charge_settled(&self, _: &Tx<'_>, _: &Charge) -> Result<(), LedgerError> {
            Err(LedgerError::Broken("never".into()))
        }
        fn payout_ended(&self, _: &Tx<'_>, payout: &Payout, _: End) -> Result<Msat, LedgerError> {
            Ok(payout.amount)
        }
        fn charge_lapsed(&self, _: &Tx<'_>, _: ChargeId) -> Result<Lapsed, LedgerError> {
            Ok(Lapsed::Keep)
        }
    }
    let mut test_ledger = TestLedger::new();
    let bad = test_ledger.charge(sat(100));
    test_ledger.ledger.listeners =
        Listeners::new([(Family::Operator, Arc::new(Refuses) as Arc<dyn Listener>)]);
    test_ledger.sim.receive(&bad, sat(100));
    let refused = events::step(&test_ledger.ledger, Duration::ZERO).unwrap_err();
    events::quarantine(&test_ledger.ledger, &refused).unwrap();
    assert!(!events::step(&test_ledger.ledger, Duration::ZERO).unwrap(), "the queue is free");
    let audit = audit::audit(&test_ledger.ledger).unwrap();
    assert!(!audit.clean);
    assert!(audit.problems.iter().any(|problem| problem.contains("quarantine")), "{:?}", audit.problems);
}
