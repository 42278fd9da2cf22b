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

struct Desk {
    ledger: Ledger,
    sim: Arc<Sim>,
    _folder: tempfile::TempDir,
}

fn sat(sat: u64) -> Msat {
    Msat::from_sat(sat).unwrap()
}

impl Desk {
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
    let desk = Desk::new();
    let refused =
        desk.write(|tx, _| Journal::new(Kind::Unclaimed, 1).debit(Account::Lightning, sat(1)).post(tx, 0));
    assert!(matches!(refused, Err(LedgerError::Broken(_))));
    assert_eq!(desk.balance(Account::Lightning), 0);
}

#[test]
fn the_same_thing_cannot_be_booked_twice() {
    let desk = Desk::new();
    let book = |tx: &Tx<'_>, _: &Ledger| {
        Journal::new(Kind::Unclaimed, 7)
            .debit(Account::Lightning, sat(1))
            .credit(Account::Suspense, sat(1))
            .post(tx, 0)
    };
    desk.write(book).unwrap();
    assert!(desk.write(book).is_err());
    assert_eq!(desk.balance(Account::Suspense), -1_000);
}

#[test]
fn a_payment_is_credited_once_and_what_was_too_much_is_kept_apart() {
    let desk = Desk::new();
    let invoice = desk.charge(sat(100));
    assert_eq!(desk.receive(&invoice, sat(130)), Receipt::Settled);
    assert_eq!(desk.receive(&invoice, sat(130)), Receipt::Repeated);
    assert_eq!(desk.balance(Account::Lightning), 130_000);
    assert_eq!(desk.balance(Account::Operator), -100_000);
    assert_eq!(desk.balance(Account::Suspense), -30_000);
}

#[test]
fn less_than_was_asked_settles_nothing_and_is_kept_apart_once() {
    let desk = Desk::new();
    let invoice = desk.charge(sat(100));
    desk.receive(&invoice, sat(90));
    desk.receive(&invoice, sat(90));
    assert_eq!(desk.balance(Account::Suspense), -90_000);
    assert_eq!(desk.balance(Account::Operator), 0);
}

#[test]
fn money_for_an_unknown_hash_goes_into_suspense_once() {
    let desk = Desk::new();
    let (invoice, _) = desk.sim.invoice(sat(5), Duration::from_secs(60));
    assert_eq!(desk.receive(&invoice, sat(5)), Receipt::Suspense);
    assert_eq!(desk.receive(&invoice, sat(5)), Receipt::Repeated);
    assert_eq!(desk.balance(Account::Suspense), -5_000);
}

#[test]
fn an_invoice_settled_inside_and_then_paid_is_counted_both_times() {
    let desk = Desk::new();
    let invoice = desk.charge(sat(100));
    let Queued::New(payout) = desk.queue(&invoice) else { panic!("not queued") };
    assert_eq!(payout.status, PayoutStatus::Paid);
    assert_eq!(payout.fee, Some(Msat::ZERO));
    assert!(desk.sim.under_way().is_empty(), "nothing left the house");
    assert_eq!(desk.receive(&invoice, sat(100)), Receipt::Suspense);
    assert_eq!(desk.receive(&invoice, sat(100)), Receipt::Repeated);
    assert_eq!(desk.balance(Account::Suspense), -100_000);
    assert_eq!(desk.balance(Account::Clearing), 0);
}

#[test]
fn an_expired_charge_that_is_paid_all_the_same_is_credited() {
    let desk = Desk::new();
    let invoice = desk.charge(sat(100));
    desk.ledger.clock.advance(Duration::from_secs(700));
    let expired = desk.write(|tx, ledger| charges::expire(tx, ledger.clock.now(), 10)).unwrap();
    assert_eq!(expired, 1);
    assert_eq!(desk.receive(&invoice, sat(100)), Receipt::Settled);
}

#[test]
fn a_payout_costs_its_amount_and_its_fee_and_gives_the_rest_of_the_reserve_back() {
    let desk = Desk::new();
    let invoice = desk.pay(sat(500));
    assert_eq!(desk.balance(Account::InFlight), -510_000);
    Dispatcher::default().round(&desk.ledger).unwrap();
    desk.sim.resolve(charges::hash_of(&invoice), true, sat(3));
    assert!(events::step(&desk.ledger, Duration::ZERO).unwrap());
    assert_eq!(desk.status(&invoice), PayoutStatus::Paid);
    assert_eq!(desk.balance(Account::InFlight), 0);
    assert_eq!(desk.balance(Account::RoutingPaid), 3_000);
    assert_eq!(desk.balance(Account::Lightning), -503_000);
}

#[test]
fn the_same_invoice_again_is_the_same_payout_even_after_it_failed() {
    let desk = Desk::new();
    let invoice = desk.pay(sat(500));
    assert!(matches!(desk.queue(&invoice), Queued::Existing(_)));
    Dispatcher::default().round(&desk.ledger).unwrap();
    desk.sim.resolve(charges::hash_of(&invoice), false, Msat::ZERO);
    events::step(&desk.ledger, Duration::ZERO).unwrap();
    assert_eq!(desk.status(&invoice), PayoutStatus::Failed);
    assert!(matches!(desk.queue(&invoice), Queued::Existing(_)));
    assert_eq!(desk.balance(Account::InFlight), 0);
}

#[test]
fn a_success_after_a_failure_wins() {
    let desk = Desk::new();
    let invoice = desk.pay(sat(500));
    Dispatcher::default().round(&desk.ledger).unwrap();
    let hash = charges::hash_of(&invoice);
    desk.write(move |tx, ledger| payouts::mark_failed(tx, &ledger.listeners, hash, "it failed", 1)).unwrap();
    let late = desk
        .write(move |tx, ledger| {
            let arrival = payouts::Arrival { hash, preimage: None, fee: sat(1), left: None };
            payouts::mark_paid(tx, &ledger.listeners, &arrival, 2)
        })
        .unwrap();
    assert_eq!(late, Reported::Ended);
    let again =
        desk.write(move |tx, ledger| payouts::mark_failed(tx, &ledger.listeners, hash, "again", 3)).unwrap();
    assert_eq!(again, Reported::Repeated);
    assert_eq!(desk.status(&invoice), PayoutStatus::Paid);
    assert_eq!(desk.balance(Account::Lightning), -501_000);
}

#[test]
fn without_a_route_a_payout_is_tried_some_times_and_then_given_up() {
    let desk = Desk::new();
    desk.sim.set_no_route(true);
    let invoice = desk.pay(sat(500));
    let mut dispatcher = Dispatcher::default();
    let mut asked = 0;
    for _ in 0..20 {
        asked += dispatcher.round(&desk.ledger).unwrap().asked;
        desk.ledger.clock.advance(Duration::from_secs(5));
    }
    assert_eq!(asked, 4);
    assert_eq!(desk.status(&invoice), PayoutStatus::Failed);
}

#[test]
fn without_a_route_while_others_are_under_way_a_payout_waits() {
    let desk = Desk::new();
    let first = desk.pay(sat(500));
    let mut dispatcher = Dispatcher::default();
    dispatcher.round(&desk.ledger).unwrap();
    desk.settle_queue();
    desk.sim.set_no_route(true);
    let second = desk.pay(sat(50));
    for _ in 0..20 {
        dispatcher.round(&desk.ledger).unwrap();
        desk.ledger.clock.advance(Duration::from_secs(5));
    }
    assert_eq!(desk.status(&second), PayoutStatus::Queued);
    desk.sim.set_no_route(false);
    desk.ledger.clock.advance(Duration::from_secs(31));
    desk.sim.resolve(charges::hash_of(&first), true, Msat::ZERO);
    events::step(&desk.ledger, Duration::ZERO).unwrap();
    dispatcher.round(&desk.ledger).unwrap();
    desk.settle_queue();
    assert_eq!(desk.status(&second), PayoutStatus::InFlight);
}

/// Recipients who hold their payments, each of which may cost the most there is, never use up the hour's routing.
#[test]
fn what_routing_may_cost_in_an_hour_is_shared() {
    let mut desk = Desk::new();
    desk.ledger.settings.max_routing_per_hour = sat(100);
    // Slots for all of them, although nobody knows their recipients yet.
    desk.ledger.settings.in_flight_per_channel = 200;
    let mut dispatcher = Dispatcher::default();
    let mut round = |desk: &Desk| {
        dispatcher.round(&desk.ledger).unwrap();
        desk.settle_queue();
    };
    let limits = || desk.sim.limits();
    // Half of the hour is for small limits; of the rest one payout may have as much as it wants, the others a part
    // of what is left.
    let held: Vec<_> = (0..30).map(|_| desk.pay_for(Family::Gifts, sat(50), sat(30))).collect();
    round(&desk);
    assert!(held.iter().all(|invoice| desk.status(invoice) == PayoutStatus::InFlight));
    let given = limits();
    assert_eq!(given[0], sat(30));
    assert!(given[1..].iter().all(|limit| *limit <= sat(1)), "{given:?}");
    let sum: u64 = given.iter().map(|limit| limit.get()).sum();
    assert!(sum <= 50_000, "{sum}");
    // One with a small limit has all of it, and the operator whatever they say.
    let small = desk.pay_for(Family::Gifts, sat(50), Msat::new(200).unwrap());
    let own = desk.pay_for(Family::Operator, sat(50), sat(90));
    round(&desk);
    assert_eq!(limits()[30..], [Msat::new(200).unwrap(), sat(90)]);
    let _ = (small, own);
    // A dear route is waited for, not given up, while the limit is cut short.
    desk.sim.set_route_costs(sat(5));
    let dear = desk.pay_for(Family::Gifts, sat(50), sat(30));
    for _ in 0..10 {
        round(&desk);
        desk.ledger.clock.advance(Duration::from_secs(10));
    }
    assert_eq!(desk.status(&dear), PayoutStatus::Queued);
    // The first has arrived for nothing: somebody else may have as much.
    desk.sim.resolve(charges::hash_of(&held[0]), true, Msat::ZERO);
    events::step(&desk.ledger, Duration::ZERO).unwrap();
    desk.ledger.clock.advance(Duration::from_secs(31));
    round(&desk);
    assert_eq!(desk.status(&dear), PayoutStatus::InFlight);
}

/// However little of the limit is granted: what no channel could carry waits for nothing.
#[test]
fn what_is_larger_than_all_channels_is_given_up_soon() {
    let mut desk = Desk::new();
    desk.ledger.settings.max_routing_per_hour = sat(100);
    desk.sim.set_room(sat(1_000));
    desk.sim.set_no_route(true);
    let payout = desk.pay_for(Family::Gifts, sat(5_000), sat(500));
    let mut dispatcher = Dispatcher::default();
    for _ in 0..6 {
        dispatcher.round(&desk.ledger).unwrap();
        desk.ledger.clock.advance(Duration::from_secs(5));
    }
    assert_eq!(desk.status(&payout), PayoutStatus::Failed);
}

/// What no channel takes now doesn't keep from their turn those behind it.
#[test]
fn large_payouts_that_wait_hold_up_no_small_ones() {
    let desk = Desk::new();
    let first = desk.pay(sat(500));
    let mut dispatcher = Dispatcher::default();
    dispatcher.round(&desk.ledger).unwrap();
    desk.sim.set_room(sat(1_000));
    let large: Vec<_> = (0..40).map(|_| desk.pay(sat(5_000))).collect();
    let small = desk.pay(sat(100));
    dispatcher.round(&desk.ledger).unwrap();
    desk.settle_queue();
    assert_eq!(desk.status(&first), PayoutStatus::InFlight);
    assert_eq!(desk.status(&small), PayoutStatus::InFlight);
    assert!(large.iter().all(|invoice| desk.status(invoice) == PayoutStatus::Queued));
    // But not for ever.
    desk.ledger.clock.advance(Duration::from_secs(3_000));
    dispatcher.round(&desk.ledger).unwrap();
    dispatcher.round(&desk.ledger).unwrap();
    assert!(large.iter().all(|invoice| desk.status(invoice) == PayoutStatus::Failed));
}

#[test]
fn a_payout_that_can_not_be_sent_in_time_is_given_up() {
    let desk = Desk::new();
    let (invoice, _) = desk.sim.invoice(sat(500), Duration::from_secs(86_400));
    desk.queue(&invoice);
    desk.ledger.clock.advance(Duration::from_secs(601));
    let round = Dispatcher::default().round(&desk.ledger).unwrap();
    assert_eq!((round.asked, round.given_up), (0, 1));
    assert_eq!(desk.status(&invoice), PayoutStatus::Failed);
}

#[test]
fn what_the_node_could_not_write_is_in_doubt_until_its_event_comes() {
    let desk = Desk::new();
    let invoice = desk.pay(sat(500));
    desk.sim.set_trap(Trap::SayPersistenceFailed);
    Dispatcher::default().round(&desk.ledger).unwrap();
    assert_eq!(desk.status(&invoice), PayoutStatus::Unknown);
    desk.sim.resolve(charges::hash_of(&invoice), true, Msat::ZERO);
    events::step(&desk.ledger, Duration::ZERO).unwrap();
    assert_eq!(desk.status(&invoice), PayoutStatus::Paid);
}

#[test]
fn the_sweep_credits_what_no_event_told() {
    let desk = Desk::new();
    let invoice = desk.charge(sat(100));
    desk.sim.receive(&invoice, sat(100));
    recovery::sweep(&desk.ledger, 0).unwrap();
    assert_eq!(desk.balance(Account::Operator), -100_000);
    events::step(&desk.ledger, Duration::ZERO).unwrap();
    assert_eq!(desk.balance(Account::Operator), -100_000);
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
    let mut desk = Desk::new();
    let bad = desk.charge(sat(100));
    desk.ledger.listeners = Listeners::new([(Family::Operator, Arc::new(Refuses) as Arc<dyn Listener>)]);
    desk.sim.receive(&bad, sat(100));
    let refused = events::step(&desk.ledger, Duration::ZERO).unwrap_err();
    events::quarantine(&desk.ledger, &refused).unwrap();
    assert!(!events::step(&desk.ledger, Duration::ZERO).unwrap(), "the queue is free");
    let audit = audit::audit(&desk.ledger).unwrap();
    assert!(!audit.clean);
    assert!(audit.problems.iter().any(|problem| problem.contains("quarantine")), "{:?}", audit.problems);
}
