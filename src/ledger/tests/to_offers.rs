//! Payouts to offers: a store without room, rows that the books refuse, shares, crashes.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;
use crate::core::ids::OfferPayoutId;
use crate::ledger::offer_payouts::{Wanted, Worker, mark_unknown};
use crate::ledger::solvency;

impl TestLedger {
    pub(super) fn to_offer(&self, note: &'static str, source: Option<&'static str>) -> OfferPayoutId {
        let family = if source.is_some() { Family::Accounts } else { Family::Operator };
        self.of_family(family, note, source)
    }

    fn of_family(&self, family: Family, note: &'static str, source: Option<&'static str>) -> OfferPayoutId {
        self.write(move |tx, ledger| {
            let wanted = Wanted {
                family,
                offer: "lno1",
                amount: sat(100),
                max_fee: sat(10),
                public_id: note,
                source,
                routing_account: None,
            };
            offer_payouts::queue(tx, ledger, &wanted)
        })
        .unwrap()
    }

    fn offer(&self, id: OfferPayoutId) -> OfferPayout {
        self.ledger.store.read_blocking(move |connection| offer_payouts::by_id(connection, id)).unwrap()
    }

    fn offer_status(&self, id: OfferPayoutId) -> PayoutStatus {
        self.offer(id).status
    }

    /// From the moment the node is asked next, somebody else holds the database, until what is returned is dropped.
    pub(super) fn lock_when_asked(&self) -> impl Drop + use<> {
        type Held = Arc<std::sync::Mutex<Option<rusqlite::Connection>>>;
        struct Lock(Held);
        impl Drop for Lock {
            fn drop(&mut self) {
                self.0.lock().unwrap().take();
            }
        }
        self.write(|tx, _| Ok(tx.busy_timeout(Duration::from_millis(1))?)).unwrap();
        let (held, path) = (Held::default(), self.ledger.store.path().to_owned());
        let holder = Arc::clone(&held);
        self.sim.set_hook(move || {
            let other = rusqlite::Connection::open(path).unwrap();
            other.execute_batch("BEGIN IMMEDIATE").unwrap();
            *holder.lock().unwrap() = Some(other);
        });
        Lock(held)
    }

    pub(super) fn refuse(&self, trigger: &'static str) {
        self.write(move |tx, _| Ok(tx.execute_batch(trigger)?)).unwrap();
    }

    fn restart_offers(&self) {
        self.sim.restart(0, 0);
        mark_unknown(&self.ledger).unwrap();
    }

    fn die_when_asked(&self, trap: Trap) {
        self.sim.set_trap(trap);
        let died = catch_unwind(AssertUnwindSafe(|| Worker::default().step(&self.ledger)));
        assert!(died.is_err());
        self.restart_offers();
    }
}

#[test]
fn answer_that_could_not_be_written_is_written_later() {
    let test_ledger = TestLedger::new();
    let first = test_ledger.to_offer("a", None);
    let mut worker = Worker::default();
    test_ledger.sim.set_no_route(true);
    let lock = test_ledger.lock_when_asked();
    worker.step(&test_ledger.ledger).unwrap_err();
    assert_eq!(test_ledger.offer_status(first), PayoutStatus::Dispatching);
    worker.step(&test_ledger.ledger).unwrap_err();
    drop(lock);
    test_ledger.sim.set_no_route(false);
    worker.step(&test_ledger.ledger).unwrap();
    assert_eq!(test_ledger.offer_status(first), PayoutStatus::Queued, "the node sent nothing");
    test_ledger.ledger.clock.advance(Duration::from_secs(10));
    worker.step(&test_ledger.ledger).unwrap();
    assert_eq!(
        (test_ledger.offer_status(first), test_ledger.sim.under_way_to_offers()),
        (PayoutStatus::InFlight, 1)
    );
}

#[test]
fn row_that_the_books_refuse_holds_up_no_other() {
    let test_ledger = TestLedger::new();
    let rows =
        [test_ledger.to_offer("a", None), test_ledger.to_offer("b", None), test_ledger.to_offer("c", None)];
    let mut worker = Worker::default();
    worker.step(&test_ledger.ledger).unwrap();
    worker.step(&test_ledger.ledger).unwrap();
    test_ledger.sim.resolve_offer(true, Msat::ZERO);
    test_ledger.sim.resolve_offer(true, Msat::ZERO);
    test_ledger.refuse(
        "CREATE TEMP TRIGGER refused BEFORE UPDATE ON main.offer_payouts WHEN OLD.public_id = 'a'
         BEGIN SELECT RAISE(ABORT, 'no'); END",
    );
    worker.step(&test_ledger.ledger).unwrap();
    assert_eq!(
        rows.map(|id| test_ledger.offer_status(id)),
        [PayoutStatus::InFlight, PayoutStatus::Paid, PayoutStatus::InFlight]
    );
}

#[test]
fn row_that_can_not_be_started_leaves_the_turn_to_the_next() {
    let test_ledger = TestLedger::new();
    let rows = [test_ledger.to_offer("a", None), test_ledger.to_offer("b", None)];
    test_ledger.refuse(
        "CREATE TEMP TRIGGER refused BEFORE UPDATE ON main.offer_payouts WHEN OLD.public_id = 'a'
         BEGIN SELECT RAISE(ABORT, 'no'); END",
    );
    Worker::default().step(&test_ledger.ledger).unwrap();
    assert_eq!(rows.map(|id| test_ledger.offer_status(id)), [PayoutStatus::Queued, PayoutStatus::InFlight]);
}

#[test]
fn one_account_leaves_places_to_others() {
    let test_ledger = TestLedger::new();
    let one = ["a", "b", "c", "d", "e", "f", "g", "h", "i"]
        .map(|note| test_ledger.to_offer(note, Some("account 1")));
    let other = ["x", "y"].map(|note| test_ledger.to_offer(note, Some("account 2")));
    let mut worker = Worker::default();
    let under_way = |rows: &[OfferPayoutId]| {
        rows.iter().filter(|id| test_ledger.offer_status(**id) == PayoutStatus::InFlight).count()
    };
    for _ in 0..5 {
        worker.step(&test_ledger.ledger).unwrap();
    }
    assert_eq!((under_way(&one), under_way(&other)), (3, 2));
    // Nobody else waits any more: more of them, but never all places.
    for _ in 0..10 {
        worker.step(&test_ledger.ledger).unwrap();
    }
    assert_eq!((under_way(&one), under_way(&other)), (7, 2));
    let late = test_ledger.to_offer("z", Some("account 3"));
    worker.step(&test_ledger.ledger).unwrap();
    assert_eq!(test_ledger.offer_status(late), PayoutStatus::InFlight);
}

#[test]
fn gifts_and_tips_have_places_of_their_own() {
    let test_ledger = TestLedger::new();
    let to_gift = |note, source| test_ledger.of_family(Family::Gifts, note, source);
    // Of whom it is not known who asked: they are one.
    let unknown = ["a", "b", "c", "d", "e", "f", "g", "h"].map(|note| to_gift(note, None));
    let clients = ["192.0.2.0", "198.51.100.0", "203.0.113.0"];
    let strangers = clients.map(|client| to_gift(client, Some(client)));
    let mut worker = Worker::default();
    let under_way = |rows: &[OfferPayoutId]| {
        rows.iter().filter(|id| test_ledger.offer_status(**id) == PayoutStatus::InFlight).count()
    };
    for _ in 0..20 {
        worker.step(&test_ledger.ledger).unwrap();
    }
    assert_eq!((under_way(&unknown), under_way(&strangers)), (7, 3));
    let full = to_gift("z", Some("233.252.0.0"));
    // Whoever holds all of those delays no account.
    let account = test_ledger.to_offer("y", Some("account 1"));
    for _ in 0..3 {
        worker.step(&test_ledger.ledger).unwrap();
    }
    assert_eq!(
        (test_ledger.offer_status(full), test_ledger.offer_status(account)),
        (PayoutStatus::Queued, PayoutStatus::InFlight)
    );
}

#[test]
fn offers_under_way_are_in_the_figures_of_what_is_held() {
    let test_ledger = TestLedger::new();
    test_ledger.to_offer("a", Some("account 1"));
    Worker::default().step(&test_ledger.ledger).unwrap();
    test_ledger.ledger.clock.advance(Duration::from_secs(60));
    let report = solvency::report(&test_ledger.ledger).unwrap();
    assert_eq!((report.held_payouts, report.held_msat, report.held_longest_secs), (1, 100_000, 60));
    let numbers = test_ledger.ledger.store.read_blocking(audit::numbers).unwrap();
    let in_flight = numbers.open_payouts.iter().find(|row| row.name == "in_flight").unwrap();
    assert_eq!(in_flight.count, 1);
    // The dispatcher counts it for its account: a quarter of the slots are its window.
    let mut dispatcher = Dispatcher::default();
    for _ in 0..20 {
        let hash = charges::hash_of(&test_ledger.pay_for(Family::Accounts, sat(5_000), Msat::ZERO));
        test_ledger
            .write(move |tx, _| {
                let id = payouts::by_hash(tx, hash)?.unwrap().id;
                payouts::note_source(tx, id, Some("account 1"))
            })
            .unwrap();
    }
    dispatcher.round(&test_ledger.ledger).unwrap();
    assert_eq!(test_ledger.sim.under_way().len(), 10);
}

#[test]
fn payout_that_was_never_sent_ends_by_itself() {
    let mut test_ledger = TestLedger::new();
    test_ledger.ledger.settings.settle_time = Duration::ZERO;
    let (first, next) = (test_ledger.to_offer("a", None), test_ledger.to_offer("b", None));
    test_ledger.die_when_asked(Trap::DieBefore);
    assert_eq!(test_ledger.offer_status(first), PayoutStatus::Unknown);
    let mut worker = Worker::default();
    worker.step(&test_ledger.ledger).unwrap();
    assert_eq!(test_ledger.offer_status(first), PayoutStatus::Failed);
    worker.step(&test_ledger.ledger).unwrap();
    assert_eq!(test_ledger.offer_status(next), PayoutStatus::InFlight, "others go on");
    // The node lost what it had asked for, before it died: its id is known.
    test_ledger.sim.lose_asked_offers(|_| true);
    test_ledger.restart_offers();
    test_ledger.ledger.clock.advance(Duration::from_secs(5));
    worker.step(&test_ledger.ledger).unwrap();
    assert_eq!(test_ledger.offer_status(next), PayoutStatus::Failed);
    assert_eq!((test_ledger.balance(Account::InFlight), test_ledger.balance(Account::Operator)), (0, 0));
}

#[test]
fn payout_of_which_the_node_has_a_trace_stays_in_doubt() {
    let mut test_ledger = TestLedger::new();
    test_ledger.ledger.settings.settle_time = Duration::ZERO;
    let id = test_ledger.to_offer("a", None);
    test_ledger.die_when_asked(Trap::DieAfter);
    test_ledger.sim.forget_offers();
    let mut worker = Worker::default();
    for _ in 0..3 {
        worker.step(&test_ledger.ledger).unwrap();
        test_ledger.ledger.clock.advance(Duration::from_secs(3_600));
    }
    assert_eq!(test_ledger.offer_status(id), PayoutStatus::Unknown);
    let row = test_ledger.offer(id);
    assert!(
        offer_payouts::may_be_under_way(&test_ledger.ledger, &row).is_some(),
        "nor may a person say that it was not sent"
    );
    // An event that waits says more than a look.
    test_ledger.sim.resolve_offer(true, sat(1));
    worker.step(&test_ledger.ledger).unwrap();
    assert_eq!(test_ledger.offer_status(id), PayoutStatus::Unknown);
    while events::step(&test_ledger.ledger, Duration::ZERO).unwrap() {}
    assert_eq!(test_ledger.offer_status(id), PayoutStatus::Paid);
}

#[test]
fn payout_in_doubt_waits_until_the_node_has_told_what_it_knew() {
    let test_ledger = TestLedger::new();
    let id = test_ledger.to_offer("a", None);
    test_ledger.die_when_asked(Trap::DieBefore);
    let mut worker = Worker::default();
    worker.step(&test_ledger.ledger).unwrap();
    assert_eq!(test_ledger.offer_status(id), PayoutStatus::Unknown, "the node runs since a moment only");
}

#[test]
fn record_of_a_call_that_sent_nothing_is_forgotten() {
    let test_ledger = TestLedger::new();
    test_ledger.to_offer("a", None);
    test_ledger.sim.set_no_route(true);
    let mut worker = Worker::default();
    for _ in 0..3 {
        worker.step(&test_ledger.ledger).unwrap();
        test_ledger.ledger.clock.advance(Duration::from_secs(60));
    }
    assert_eq!(test_ledger.sim.unsent_offers(), 0);
}
