//! Payouts to offers: a store without room, rows that the books refuse, shares, crashes.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;
use crate::core::ids::OfferPayoutId;
use crate::ledger::offer_payouts::{Wanted, Worker, mark_unknown};
use crate::ledger::solvency;

impl Desk {
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
    let desk = Desk::new();
    let first = desk.to_offer("a", None);
    let mut worker = Worker::default();
    desk.sim.set_no_route(true);
    let lock = desk.lock_when_asked();
    worker.step(&desk.ledger).unwrap_err();
    assert_eq!(desk.offer_status(first), PayoutStatus::Dispatching);
    worker.step(&desk.ledger).unwrap_err();
    drop(lock);
    desk.sim.set_no_route(false);
    worker.step(&desk.ledger).unwrap();
    assert_eq!(desk.offer_status(first), PayoutStatus::Queued, "the node sent nothing");
    desk.ledger.clock.advance(Duration::from_secs(10));
    worker.step(&desk.ledger).unwrap();
    assert_eq!((desk.offer_status(first), desk.sim.under_way_to_offers()), (PayoutStatus::InFlight, 1));
}

#[test]
fn row_that_the_books_refuse_holds_up_no_other() {
    let desk = Desk::new();
    let rows = [desk.to_offer("a", None), desk.to_offer("b", None), desk.to_offer("c", None)];
    let mut worker = Worker::default();
    worker.step(&desk.ledger).unwrap();
    worker.step(&desk.ledger).unwrap();
    desk.sim.resolve_offer(true, Msat::ZERO);
    desk.sim.resolve_offer(true, Msat::ZERO);
    desk.refuse(
        "CREATE TEMP TRIGGER refused BEFORE UPDATE ON main.offer_payouts WHEN OLD.public_id = 'a'
         BEGIN SELECT RAISE(ABORT, 'no'); END",
    );
    worker.step(&desk.ledger).unwrap();
    assert_eq!(
        rows.map(|id| desk.offer_status(id)),
        [PayoutStatus::InFlight, PayoutStatus::Paid, PayoutStatus::InFlight]
    );
}

#[test]
fn row_that_can_not_be_started_leaves_the_turn_to_the_next() {
    let desk = Desk::new();
    let rows = [desk.to_offer("a", None), desk.to_offer("b", None)];
    desk.refuse(
        "CREATE TEMP TRIGGER refused BEFORE UPDATE ON main.offer_payouts WHEN OLD.public_id = 'a'
         BEGIN SELECT RAISE(ABORT, 'no'); END",
    );
    Worker::default().step(&desk.ledger).unwrap();
    assert_eq!(rows.map(|id| desk.offer_status(id)), [PayoutStatus::Queued, PayoutStatus::InFlight]);
}

#[test]
fn one_account_leaves_places_to_others() {
    let desk = Desk::new();
    let one =
        ["a", "b", "c", "d", "e", "f", "g", "h", "i"].map(|note| desk.to_offer(note, Some("account 1")));
    let other = ["x", "y"].map(|note| desk.to_offer(note, Some("account 2")));
    let mut worker = Worker::default();
    let under_way = |rows: &[OfferPayoutId]| {
        rows.iter().filter(|id| desk.offer_status(**id) == PayoutStatus::InFlight).count()
    };
    for _ in 0..5 {
        worker.step(&desk.ledger).unwrap();
    }
    assert_eq!((under_way(&one), under_way(&other)), (3, 2));
    // Nobody else waits any more: more of them, but never all places.
    for _ in 0..10 {
        worker.step(&desk.ledger).unwrap();
    }
    assert_eq!((under_way(&one), under_way(&other)), (7, 2));
    let late = desk.to_offer("z", Some("account 3"));
    worker.step(&desk.ledger).unwrap();
    assert_eq!(desk.offer_status(late), PayoutStatus::InFlight);
}

#[test]
fn gifts_and_tips_have_places_of_their_own() {
    let desk = Desk::new();
    let to_gift = |note, source| desk.of_family(Family::Gifts, note, source);
    // Of whom it is not known who asked: they are one.
    let unknown = ["a", "b", "c", "d", "e", "f", "g", "h"].map(|note| to_gift(note, None));
    let clients = ["192.0.2.0", "198.51.100.0", "203.0.113.0"];
    let strangers = clients.map(|client| to_gift(client, Some(client)));
    let mut worker = Worker::default();
    let under_way = |rows: &[OfferPayoutId]| {
        rows.iter().filter(|id| desk.offer_status(**id) == PayoutStatus::InFlight).count()
    };
    for _ in 0..20 {
        worker.step(&desk.ledger).unwrap();
    }
    assert_eq!((under_way(&unknown), under_way(&strangers)), (7, 3));
    let full = to_gift("z", Some("233.252.0.0"));
    // Whoever holds all of those delays no account.
    let account = desk.to_offer("y", Some("account 1"));
    for _ in 0..3 {
        worker.step(&desk.ledger).unwrap();
    }
    assert_eq!(
        (desk.offer_status(full), desk.offer_status(account)),
        (PayoutStatus::Queued, PayoutStatus::InFlight)
    );
}

#[test]
fn offers_under_way_are_in_the_figures_of_what_is_held() {
    let desk = Desk::new();
    desk.to_offer("a", Some("account 1"));
    Worker::default().step(&desk.ledger).unwrap();
    desk.ledger.clock.advance(Duration::from_secs(60));
    let report = solvency::report(&desk.ledger).unwrap();
    assert_eq!((report.held_payouts, report.held_msat, report.held_longest_secs), (1, 100_000, 60));
    let numbers = desk.ledger.store.read_blocking(audit::numbers).unwrap();
    let in_flight = numbers.open_payouts.iter().find(|row| row.name == "in_flight").unwrap();
    assert_eq!(in_flight.count, 1);
    // The dispatcher counts it for its account: a quarter of the slots are its window.
    let mut dispatcher = Dispatcher::default();
    for _ in 0..20 {
        let hash = charges::hash_of(&desk.pay_for(Family::Accounts, sat(5_000), Msat::ZERO));
        desk.write(move |tx, _| {
            let id = payouts::by_hash(tx, hash)?.unwrap().id;
            payouts::note_source(tx, id, Some("account 1"))
        })
        .unwrap();
    }
    dispatcher.round(&desk.ledger).unwrap();
    assert_eq!(desk.sim.under_way().len(), 10);
}

#[test]
fn payout_that_was_never_sent_ends_by_itself() {
    let mut desk = Desk::new();
    desk.ledger.settings.settle_time = Duration::ZERO;
    let (first, next) = (desk.to_offer("a", None), desk.to_offer("b", None));
    desk.die_when_asked(Trap::DieBefore);
    assert_eq!(desk.offer_status(first), PayoutStatus::Unknown);
    let mut worker = Worker::default();
    worker.step(&desk.ledger).unwrap();
    assert_eq!(desk.offer_status(first), PayoutStatus::Failed);
    worker.step(&desk.ledger).unwrap();
    assert_eq!(desk.offer_status(next), PayoutStatus::InFlight, "others go on");
    // The node lost what it had asked for, before it died: its id is known.
    desk.sim.lose_asked_offers(|_| true);
    desk.restart_offers();
    desk.ledger.clock.advance(Duration::from_secs(5));
    worker.step(&desk.ledger).unwrap();
    assert_eq!(desk.offer_status(next), PayoutStatus::Failed);
    assert_eq!((desk.balance(Account::InFlight), desk.balance(Account::Operator)), (0, 0));
}

#[test]
fn payout_of_which_the_node_has_a_trace_stays_in_doubt() {
    let mut desk = Desk::new();
    desk.ledger.settings.settle_time = Duration::ZERO;
    let id = desk.to_offer("a", None);
    desk.die_when_asked(Trap::DieAfter);
    desk.sim.forget_offers();
    let mut worker = Worker::default();
    for _ in 0..3 {
        worker.step(&desk.ledger).unwrap();
        desk.ledger.clock.advance(Duration::from_secs(3_600));
    }
    assert_eq!(desk.offer_status(id), PayoutStatus::Unknown);
    let row = desk.offer(id);
    assert!(
        offer_payouts::may_be_under_way(&desk.ledger, &row).is_some(),
        "nor may a person say that it was not sent"
    );
    // An event that waits says more than a look.
    desk.sim.resolve_offer(true, sat(1));
    worker.step(&desk.ledger).unwrap();
    assert_eq!(desk.offer_status(id), PayoutStatus::Unknown);
    while events::step(&desk.ledger, Duration::ZERO).unwrap() {}
    assert_eq!(desk.offer_status(id), PayoutStatus::Paid);
}

#[test]
fn payout_in_doubt_waits_until_the_node_has_told_what_it_knew() {
    let desk = Desk::new();
    let id = desk.to_offer("a", None);
    desk.die_when_asked(Trap::DieBefore);
    let mut worker = Worker::default();
    worker.step(&desk.ledger).unwrap();
    assert_eq!(desk.offer_status(id), PayoutStatus::Unknown, "the node runs since a moment only");
}

#[test]
fn record_of_a_call_that_sent_nothing_is_forgotten() {
    let desk = Desk::new();
    desk.to_offer("a", None);
    desk.sim.set_no_route(true);
    let mut worker = Worker::default();
    for _ in 0..3 {
        worker.step(&desk.ledger).unwrap();
        desk.ledger.clock.advance(Duration::from_secs(60));
    }
    assert_eq!(desk.sim.unsent_offers(), 0);
}
