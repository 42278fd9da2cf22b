//! One held charge at a time.

use std::sync::{Arc, Mutex};

use lightning_invoice::Bolt11Invoice;

use super::lost::{COMPLETE_AFTER, Lost};
use super::*;
use crate::core::time::Clock;
use crate::ledger::charges::hash_of;
use crate::ledger::payouts::{self, Order, Payout, PayoutStatus, Queued};
use crate::ledger::{
    Account, Charge, End, Family, Lapsed, Listener, Notify, Settings, audit, events, recovery,
};
use crate::lightning::sim::Sim;
use crate::lightning::{InvoiceDescription, InvoiceRequest, Lightning, NodeEvent};
use crate::storage::Store;

/// Writes down what it is told.
#[derive(Default)]
pub(in crate::ledger) struct Told(pub(in crate::ledger) Mutex<Vec<(ChargeId, &'static str)>>);

impl Told {
    fn note(&self, charge: ChargeId, what: &'static str) {
        self.0.lock().unwrap().push((charge, what));
    }

    pub(in crate::ledger) fn of(&self, charge: ChargeId) -> Vec<&'static str> {
        self.0.lock().unwrap().iter().filter(|told| told.0 == charge).map(|told| told.1).collect()
    }
}

impl Listener for Told {
    fn charge_settled(&self, _: &Tx<'_>, charge: &Charge) -> Result<(), LedgerError> {
        assert_eq!(charge.status, ChargeStatus::Paid);
        self.note(charge.id, "settled");
        Ok(())
    }
    fn charge_paid_more(&self, _: &Tx<'_>, charge: &Charge, more: Msat) -> Result<(), LedgerError> {
        assert_eq!(charge.status, ChargeStatus::Paid);
        assert!(more > Msat::ZERO && charge.received > Some(more));
        self.note(charge.id, "more");
        Ok(())
    }
    fn charge_held(&self, _: &Tx<'_>, charge: &Charge) -> Result<(), LedgerError> {
        assert!(charge.is_held());
        self.note(charge.id, "held");
        Ok(())
    }
    fn charge_released(&self, _: &Tx<'_>, charge: &Charge) -> Result<(), LedgerError> {
        assert!(!charge.is_held() && charge.status != ChargeStatus::Paid);
        self.note(charge.id, "released");
        Ok(())
    }
    fn payout_ended(&self, _: &Tx<'_>, payout: &Payout, _: End) -> Result<Msat, LedgerError> {
        Ok(payout.amount)
    }
    fn charge_lapsed(&self, _: &Tx<'_>, _: ChargeId) -> Result<Lapsed, LedgerError> {
        Ok(Lapsed::Forget)
    }
}

/// A ledger for the payments family on a simulated node.
pub(in crate::ledger) struct TestLedger {
    pub(in crate::ledger) ledger: Ledger,
    pub(in crate::ledger) sim: Arc<Sim>,
    pub(in crate::ledger) told: Arc<Told>,
}

impl TestLedger {
    pub(in crate::ledger) fn on(store: Store) -> Self {
        let clock = Clock::manual(1_800_000_000_000);
        let sim = Arc::new(Sim::new(clock.clone()));
        let told = Arc::new(Told::default());
        let ledger = Ledger {
            store,
            lightning: Arc::clone(&sim) as Arc<dyn Lightning>,
            clock,
            wake: Arc::new(Notify::default()),
            listeners: Listeners::new([(Family::Payments, Arc::clone(&told) as Arc<dyn Listener>)]),
            settings: Settings::default(),
        };
        Self { ledger, sim, told }
    }

    pub(in crate::ledger) fn ask(&self, amount: Msat, preimage: Preimage) -> (ChargeId, Bolt11Invoice) {
        let request = InvoiceRequest {
            amount: Some(amount),
            description: InvoiceDescription::Text(String::new()),
            expiry: Duration::from_secs(600),
            hold: Some(preimage.payment_hash()),
        };
        let invoice = self.sim.create_invoice(&request).unwrap();
        let (ours, now) = (invoice.clone(), self.ledger.clock.now());
        let charge = self.ledger.store.write_blocking(move |tx| {
            charges::open_held(tx, Family::Payments, &ours, Some(amount), preimage, now)
        });
        (charge.unwrap(), invoice)
    }

    pub(in crate::ledger) fn charge(&self, id: ChargeId) -> Charge {
        self.ledger.store.read_blocking(move |connection| charges::by_id(connection, id)).unwrap()
    }

    /// All that the node has to tell.
    pub(in crate::ledger) fn drain(&self) {
        while events::step(&self.ledger, Duration::ZERO).unwrap() {}
    }

    /// Pays it from this same instance.
    pub(in crate::ledger) fn pay_inside(&self, invoice: &Bolt11Invoice) -> Queued {
        let (ledger, invoice) = (self.ledger.clone(), invoice.clone());
        let queued = self.ledger.store.write_blocking(move |tx| {
            let amount = Msat::new(invoice.amount_milli_satoshis().unwrap()).unwrap();
            let order = Order { family: Family::Operator, invoice: &invoice, amount, max_fee: Msat::ZERO };
            payouts::queue(tx, &ledger, &order, |_| Ok(()))
        });
        queued.unwrap()
    }

    pub(in crate::ledger) fn balance(&self, account: Account) -> i64 {
        let audit = audit::audit(&self.ledger).unwrap();
        assert!(audit.clean, "{:?}", audit.problems);
        audit.accounts.iter().find(|row| row.account == account.name()).unwrap().msat
    }

    /// Notes the arrival at the head of the queue, and goes no further.
    pub(in crate::ledger) fn note_only(&self) -> Option<Answer> {
        let Some(NodeEvent::Claimable { hash, amount, deadline }) = self.sim.next_event(Duration::ZERO)
        else {
            return None;
        };
        let arrival = Arrival { hash, amount, deadline };
        let (listeners, now) = (self.ledger.listeners.clone(), self.ledger.clock.now());
        let height = self.sim.block_height();
        let noted = self.ledger.store.write_blocking(move |tx| note(tx, &listeners, &arrival, height, now));
        Some(noted.unwrap())
    }
}

fn test_ledger() -> (TestLedger, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open_without_sync(&folder.path().join("satchel.db")).unwrap();
    (TestLedger::on(store), folder)
}

fn sat(sat: u64) -> Msat {
    Msat::from_sat(sat).unwrap()
}

const SECRET: Preimage = Preimage([0xAB; 32]);

#[test]
fn a_payment_is_seen_while_it_is_held_and_credited_whole_once() {
    let (test_ledger, _folder) = test_ledger();
    let (charge, invoice) = test_ledger.ask(sat(100), SECRET);
    assert!(test_ledger.sim.hold(&invoice, sat(130)));
    events::step(&test_ledger.ledger, Duration::ZERO).unwrap();
    assert!(test_ledger.charge(charge).is_held());
    assert_eq!(test_ledger.told.of(charge), ["held"]);
    assert_eq!(test_ledger.balance(Account::Merchants), 0, "not ours yet");
    test_ledger.drain();
    test_ledger.sim.restart(0, 9);
    test_ledger.drain();
    assert!(!test_ledger.charge(charge).is_held());
    assert_eq!(test_ledger.charge(charge).received, Some(sat(130)));
    assert_eq!(test_ledger.told.of(charge), ["held", "settled"]);
    assert_eq!(test_ledger.balance(Account::Merchants), -130_000);
    assert_eq!(test_ledger.balance(Account::Suspense), 0);
}

#[test]
fn what_nobody_is_owed_is_refused() {
    let (test_ledger, _folder) = test_ledger();
    let (charge, invoice) = test_ledger.ask(sat(100), SECRET);
    assert!(test_ledger.sim.hold(&invoice, sat(99)));
    test_ledger.drain();
    assert!(test_ledger.sim.held().is_empty() && test_ledger.told.of(charge).is_empty());

    // One that the ledger doesn't know, and one that the node claims by itself.
    let unknown = InvoiceRequest {
        amount: Some(sat(5)),
        description: InvoiceDescription::Text(String::new()),
        expiry: Duration::from_secs(600),
        hold: Some(Preimage([1; 32]).payment_hash()),
    };
    let stranger = test_ledger.sim.create_invoice(&unknown).unwrap();
    assert!(test_ledger.sim.hold(&stranger, sat(5)));
    test_ledger.drain();
    let again = test_ledger.sim.create_invoice(&unknown).unwrap();
    let ours = again.clone();
    test_ledger
        .ledger
        .store
        .write_blocking(move |tx| charges::open(tx, Family::Operator, &ours, Some(sat(5)), 0))
        .unwrap();
    assert!(test_ledger.sim.hold(&again, sat(5)));
    test_ledger.drain();
    assert!(test_ledger.sim.held().is_empty() && test_ledger.sim.claimed().is_empty());
    assert_eq!(test_ledger.balance(Account::Lightning), 0);
}

#[test]
fn who_pays_inside_gets_the_receipt_and_who_pays_then_gets_it_back() {
    let (test_ledger, _folder) = test_ledger();
    let (charge, invoice) = test_ledger.ask(sat(100), SECRET);
    let Queued::New(payout) = test_ledger.pay_inside(&invoice) else { panic!("not queued") };
    assert_eq!((payout.status, payout.preimage), (PayoutStatus::Paid, Some(SECRET)));
    assert!(test_ledger.sim.hold(&invoice, sat(100)));
    test_ledger.drain();
    assert!(test_ledger.sim.held().is_empty() && test_ledger.sim.claimed().is_empty());
    assert_eq!(test_ledger.told.of(charge), ["settled"]);
    assert_eq!(test_ledger.balance(Account::Merchants), -100_000);
}

#[test]
fn a_held_charge_is_neither_paid_inside_nor_over() {
    let (test_ledger, _folder) = test_ledger();
    let (charge, invoice) = test_ledger.ask(sat(100), SECRET);
    assert!(test_ledger.sim.hold(&invoice, sat(100)));
    assert!(matches!(test_ledger.note_only(), Some(Answer::Take(_))));
    assert!(matches!(test_ledger.pay_inside(&invoice), Queued::Unpayable));
    test_ledger.ledger.clock.advance(Duration::from_secs(5 * 86_400));
    let now = test_ledger.ledger.clock.now();
    test_ledger.ledger.store.write_blocking(move |tx| charges::expire(tx, now, 10)).unwrap();
    assert_eq!(test_ledger.charge(charge).status, ChargeStatus::Unpaid);
    recovery::forget_old(&test_ledger.ledger).unwrap();
    test_ledger.drain();
    assert_eq!(test_ledger.charge(charge).status, ChargeStatus::Paid);
}

#[test]
fn what_can_not_be_claimed_is_tried_again_and_released_when_it_is_gone() {
    let (test_ledger, _folder) = test_ledger();
    let (first, invoice) = test_ledger.ask(sat(100), SECRET);
    test_ledger.sim.set_claims_fail(true);
    assert!(test_ledger.sim.hold(&invoice, sat(100)));
    test_ledger.drain();
    test_ledger.sim.set_claims_fail(false);
    look_again(&test_ledger.ledger, true).unwrap();
    assert!(!test_ledger.sim.held().is_empty(), "the first claim is given its time");
    test_ledger.ledger.clock.advance(CLAIM_AGAIN_AFTER);
    look_again(&test_ledger.ledger, true).unwrap();
    test_ledger.drain();
    assert_eq!(test_ledger.told.of(first), ["held", "settled"]);

    let (second, invoice) = test_ledger.ask(sat(100), Preimage([2; 32]));
    test_ledger.sim.set_claims_fail(true);
    assert!(test_ledger.sim.hold(&invoice, sat(100)));
    test_ledger.drain();
    test_ledger.ledger.clock.advance(Duration::from_secs(700));
    test_ledger.sim.mine(6);
    look_again(&test_ledger.ledger, false).unwrap();
    assert!(test_ledger.charge(second).is_held(), "something may be waiting to be told");
    look_again(&test_ledger.ledger, true).unwrap();
    assert_eq!(test_ledger.charge(second).status, ChargeStatus::Expired);
    assert_eq!(test_ledger.told.of(second), ["held", "released"]);
    assert_eq!(test_ledger.balance(Account::Merchants), -100_000);
}

#[test]
fn the_events_of_an_earlier_run_wait_for_the_node() {
    let (test_ledger, _folder) = test_ledger();
    let (charge, invoice) = test_ledger.ask(sat(100), SECRET);
    assert!(test_ledger.sim.hold(&invoice, sat(100)));
    test_ledger.sim.set_stopped(true);
    assert!(!events::step(&test_ledger.ledger, Duration::ZERO).unwrap());
    assert!(!test_ledger.charge(charge).is_held());
    test_ledger.sim.set_stopped(false);
    test_ledger.drain();
    assert_eq!(test_ledger.told.of(charge), ["held", "settled"]);
}

#[test]
fn a_payment_that_nobody_told_of_is_found_after_a_start() {
    let (test_ledger, _folder) = test_ledger();
    let (charge, invoice) = test_ledger.ask(sat(100), SECRET);
    assert!(test_ledger.sim.hold(&invoice, sat(100)));
    test_ledger.sim.restart_losing(1);
    test_ledger.drain();
    assert!(!test_ledger.charge(charge).is_held());
    let mut lost = Lost::default();
    let second = Duration::from_secs(1);
    for (since, quiet) in [(second, true), (COMPLETE_AFTER - second, true), (COMPLETE_AFTER, false)] {
        assert_eq!(lost.round(&test_ledger.ledger, since, quiet).unwrap(), 0);
        assert!(test_ledger.told.of(charge).is_empty(), "nothing is shown before it is known");
    }
    assert_eq!(lost.round(&test_ledger.ledger, COMPLETE_AFTER, true).unwrap(), 1);
    assert!(!lost.is_watching());
    test_ledger.drain();
    assert_eq!(test_ledger.told.of(charge), ["held", "settled"]);
    assert_eq!(
        (test_ledger.charge(charge).received, test_ledger.balance(Account::Merchants)),
        (Some(sat(100)), -100_000)
    );
}

#[test]
fn what_may_not_be_complete_is_never_claimed() {
    let (test_ledger, _folder) = test_ledger();
    let (charge, invoice) = test_ledger.ask(sat(100), SECRET);
    // A part from before the start that goes back, and at once comes again.
    assert!(test_ledger.sim.hold_part(&invoice, sat(100)));
    test_ledger.sim.restart(0, 0);
    let mut lost = Lost::default();
    for minute in 0..20 {
        lost.round(&test_ledger.ledger, Duration::from_secs(60 * minute), true).unwrap();
        test_ledger.ledger.clock.advance(Duration::from_secs(60));
        test_ledger.sim.hold_part(&invoice, sat(100));
    }
    test_ledger.ledger.clock.advance(Duration::from_secs(200));
    // Too little, by the same look.
    let (_, other) = test_ledger.ask(sat(100), Preimage([2; 32]));
    assert!(test_ledger.sim.hold(&other, sat(99)));
    test_ledger.sim.restart_losing(1);
    let mut lost = Lost::default();
    lost.round(&test_ledger.ledger, Duration::ZERO, true).unwrap();
    assert!(!lost.is_watching());
    assert!(test_ledger.told.of(charge).is_empty());
    assert!(test_ledger.sim.orphaned().is_empty() && test_ledger.sim.claimed().is_empty());
}

#[test]
fn a_payment_that_is_told_of_too_late_takes_no_other_with_it() {
    let (test_ledger, _folder) = test_ledger();
    let (charge, invoice) = test_ledger.ask(sat(100), SECRET);
    assert!(test_ledger.sim.hold(&invoice, sat(100)));
    test_ledger.sim.mine(6);
    assert!(test_ledger.sim.held().is_empty(), "it has gone back");
    // Its payer has tried again before anybody heard of the first time.
    assert!(test_ledger.sim.hold(&invoice, sat(100)));
    test_ledger.drain();
    assert_eq!(test_ledger.told.of(charge), ["held", "settled"]);
}

#[test]
fn a_part_of_another_payment_is_not_claimed_with_the_first() {
    let (test_ledger, _folder) = test_ledger();
    let (charge, invoice) = test_ledger.ask(sat(100), SECRET);
    test_ledger.sim.set_claims_fail(true);
    assert!(test_ledger.sim.hold(&invoice, sat(100)));
    test_ledger.drain();
    test_ledger.sim.set_claims_fail(false);
    // Its channel is closed, and its payer begins again.
    test_ledger.sim.lose(hash_of(&invoice));
    assert!(test_ledger.sim.hold_part(&invoice, sat(100)));
    test_ledger.ledger.clock.advance(CLAIM_AGAIN_AFTER);
    look_again(&test_ledger.ledger, true).unwrap();
    // And the node tells of the first one again.
    test_ledger.sim.restart(0, 1);
    test_ledger.drain();
    assert!(test_ledger.sim.orphaned().is_empty());
    assert!(test_ledger.sim.hold(&invoice, sat(100)));
    test_ledger.drain();
    assert_eq!(test_ledger.told.of(charge), ["held", "settled"]);
}

#[test]
fn a_preimage_is_not_printed() {
    let (test_ledger, _folder) = test_ledger();
    let (charge, invoice) = test_ledger.ask(sat(100), SECRET);
    let printed = format!("{:?} {:?}", test_ledger.charge(charge), Answer::Take(SECRET));
    assert!(!printed.contains(&SECRET.to_string()), "{printed}");
    let wrong = test_ledger.ledger.store.write_blocking(move |tx| {
        charges::open_held(tx, Family::Payments, &invoice, None, Preimage([9; 32]), 0)
    });
    assert!(matches!(wrong, Err(LedgerError::Broken(why)) if !why.contains("0909")));
    assert_eq!(hash_of(&test_ledger.ask(sat(1), Preimage([3; 32])).1), Preimage([3; 32]).payment_hash());
}
