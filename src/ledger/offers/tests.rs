//! One charge with an offer at a time.

use std::time::Duration;

use lightning_invoice::Bolt11Invoice;

use super::*;
use crate::core::ids::Preimage;
use crate::ledger::charges::hash_of;
use crate::ledger::held::tests::TestLedger;
use crate::ledger::payouts::Queued;
use crate::ledger::{Family, events, held, recovery};
use crate::lightning::{Lightning, OfferRequest};
use crate::storage::Store;

fn test_ledger() -> (TestLedger, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open_without_sync(&folder.path().join("satchel.db")).unwrap();
    (TestLedger::on(store), folder)
}

fn sat(sat: u64) -> Msat {
    Msat::from_sat(sat).unwrap()
}

pub(super) fn request(amount: Msat) -> OfferRequest {
    OfferRequest { amount, description: String::new(), expiry: Duration::from_secs(600) }
}

/// A charge that we claim ourselves, with an offer.
pub(super) fn ask(
    test_ledger: &TestLedger,
    amount: Msat,
    preimage: Preimage,
) -> (ChargeId, Bolt11Invoice, OfferId) {
    let (charge, invoice) = test_ledger.ask(amount, preimage);
    let offer = test_ledger.sim.create_offer(&request(amount)).unwrap();
    let id = offer.id;
    test_ledger.ledger.store.write_blocking(move |tx| add(tx, charge, &offer)).unwrap();
    (charge, invoice, id)
}

/// The same of a family that doesn't keep more than was asked.
fn ask_for_operator(test_ledger: &TestLedger, amount: Msat) -> (ChargeId, Bolt11Invoice, OfferId) {
    let (invoice, _) = test_ledger.sim.invoice(amount, Duration::from_secs(600));
    let offer = test_ledger.sim.create_offer(&request(amount)).unwrap();
    let (ours, id, now) = (invoice.clone(), offer.id, test_ledger.ledger.clock.now());
    let charge = test_ledger.ledger.store.write_blocking(move |tx| {
        let charge = charges::open(tx, Family::Operator, &ours, Some(amount), now)?;
        add(tx, charge, &offer)?;
        Ok::<_, LedgerError>(charge)
    });
    (charge.unwrap(), invoice, id)
}

fn sweep(test_ledger: &TestLedger) {
    recovery::sweep(&test_ledger.ledger, 0).unwrap();
}

/// What is owed to merchants, and what to nobody, in sat.
fn owed(test_ledger: &TestLedger) -> (i64, i64) {
    (-test_ledger.balance(Account::Merchants) / 1_000, -test_ledger.balance(Account::Suspense) / 1_000)
}

const SECRET: Preimage = Preimage([0xAB; 32]);

#[test]
fn every_payment_to_an_offer_is_credited_once() {
    let (test_ledger, _folder) = test_ledger();
    let (charge, _, offer) = ask(&test_ledger, sat(100), SECRET);
    test_ledger.sim.pay_offer(offer, sat(130));
    test_ledger.drain();
    assert_eq!((test_ledger.charge(charge).received, owed(&test_ledger)), (Some(sat(130)), (130, 0)));
    let settled_at = test_ledger.charge(charge).settled_at;
    test_ledger.ledger.clock.advance(Duration::from_secs(5));
    test_ledger.sim.pay_offer(offer, sat(100));
    test_ledger.drain();
    test_ledger.sim.restart(0, 9);
    test_ledger.drain();
    sweep(&test_ledger);
    let paid = test_ledger.charge(charge);
    assert_eq!((paid.received, paid.settled_at), (Some(sat(230)), settled_at));
    assert_eq!((owed(&test_ledger), test_ledger.told.of(charge)), ((230, 0), vec!["settled", "more"]));
}

#[test]
fn what_is_late_is_credited() {
    let (test_ledger, _folder) = test_ledger();
    let (charge, _, offer) = ask(&test_ledger, sat(100), SECRET);
    test_ledger.ledger.clock.advance(Duration::from_secs(601));
    let now = test_ledger.ledger.clock.now();
    test_ledger.ledger.store.write_blocking(move |tx| charges::expire(tx, now, 10)).unwrap();
    assert_eq!(test_ledger.charge(charge).status, ChargeStatus::Expired);
    test_ledger.sim.pay_offer(offer, sat(100));
    test_ledger.drain();
    assert_eq!((test_ledger.charge(charge).status, owed(&test_ledger)), (ChargeStatus::Paid, (100, 0)));
}

#[test]
fn what_its_event_does_not_tell_is_found_by_the_node_s_records() {
    let (test_ledger, _folder) = test_ledger();
    let (charge, _, offer) = ask(&test_ledger, sat(100), SECRET);
    test_ledger.sim.pay_offer(offer, sat(100));
    test_ledger.sim.restart_losing_received(1);
    test_ledger.drain();
    assert_eq!(owed(&test_ledger), (0, 0));
    sweep(&test_ledger);
    // Of one that is paid too.
    test_ledger.sim.pay_offer(offer, sat(100));
    test_ledger.sim.restart_losing_received(1);
    sweep(&test_ledger);
    sweep(&test_ledger);
    assert_eq!((owed(&test_ledger), test_ledger.told.of(charge)), ((200, 0), vec!["settled", "more"]));
}

#[test]
fn the_invoice_and_the_offer_are_both_credited() {
    for (first_by_offer, event_lost) in [(false, false), (true, false), (true, true)] {
        let (test_ledger, _folder) = test_ledger();
        let (charge, invoice, offer) = ask(&test_ledger, sat(100), SECRET);
        assert!(test_ledger.sim.hold(&invoice, sat(100)));
        test_ledger.sim.set_whispers(first_by_offer);
        // The invoice's payment is claimed, and of that the node tells at once or later.
        events::step(&test_ledger.ledger, Duration::ZERO).unwrap();
        test_ledger.sim.set_whispers(false);
        test_ledger.sim.pay_offer(offer, sat(100));
        test_ledger.drain();
        if event_lost {
            test_ledger.sim.restart_losing_received(1);
        }
        test_ledger.sim.tell_all();
        test_ledger.drain();
        sweep(&test_ledger);
        test_ledger.sim.restart(0, 9);
        test_ledger.drain();
        assert_eq!((test_ledger.charge(charge).received, owed(&test_ledger)), (Some(sat(200)), (200, 0)));
        assert_eq!(test_ledger.told.of(charge), ["held", "settled", "more"]);
    }
}

#[test]
fn once_the_offer_is_paid_the_invoice_is_refused() {
    let (test_ledger, _folder) = test_ledger();
    let (charge, invoice, offer) = ask(&test_ledger, sat(100), SECRET);
    test_ledger.sim.set_claims_fail(true);
    assert!(test_ledger.sim.hold(&invoice, sat(100)));
    test_ledger.drain();
    assert!(test_ledger.charge(charge).is_held());
    test_ledger.sim.pay_offer(offer, sat(100));
    test_ledger.drain();
    assert!(!test_ledger.charge(charge).is_held());
    // Nobody claims the one that is held any more; it goes back.
    test_ledger.sim.set_claims_fail(false);
    test_ledger.ledger.clock.advance(Duration::from_secs(60));
    held::look_again(&test_ledger.ledger, true).unwrap();
    test_ledger.sim.mine(6);
    held::look_again(&test_ledger.ledger, true).unwrap();
    assert!(test_ledger.sim.claimed().is_empty() && test_ledger.sim.held().is_empty());
    assert!(test_ledger.sim.hold(&invoice, sat(100)));
    test_ledger.drain();
    assert!(test_ledger.sim.held().is_empty());
    assert_eq!((test_ledger.charge(charge).received, owed(&test_ledger)), (Some(sat(100)), (100, 0)));
    assert_eq!(test_ledger.told.of(charge), ["held", "settled"]);
    assert!(!matches!(test_ledger.pay_inside(&invoice), Queued::New(_)), "paid inside as well");
}

#[test]
fn what_was_paid_inside_can_be_paid_by_its_offer() {
    let (test_ledger, _folder) = test_ledger();
    let (charge, invoice, offer) = ask(&test_ledger, sat(100), SECRET);
    assert!(matches!(test_ledger.pay_inside(&invoice), Queued::New(_)));
    test_ledger.sim.pay_offer(offer, sat(100));
    test_ledger.drain();
    assert_eq!((test_ledger.charge(charge).received, owed(&test_ledger)), (Some(sat(200)), (200, 0)));
}

#[test]
fn a_receipt_counts_once_although_the_node_has_forgotten_which_offer_it_was() {
    let (test_ledger, _folder) = test_ledger();
    let (_, _, offer) = ask(&test_ledger, sat(100), SECRET);
    let hash = test_ledger.sim.pay_offer(offer, sat(100));
    test_ledger.drain();
    // As long as the payer can pay the same again, the node must know that it was paid.
    for hours in [8, 2] {
        assert!(test_ledger.sim.record(hash).is_some());
        test_ledger.ledger.clock.advance(Duration::from_secs(hours * 3_600));
        recovery::forget_old(&test_ledger.ledger).unwrap();
    }
    assert!(test_ledger.sim.record(hash).is_none());
    test_ledger.sim.restart(0, 1);
    test_ledger.drain();
    assert_eq!(owed(&test_ledger), (100, 0));
}

#[test]
fn what_came_without_a_record_is_in_suspense_and_stays_there() {
    let (test_ledger, _folder) = test_ledger();
    let (charge, _, offer) = ask(&test_ledger, sat(100), SECRET);
    let hash = test_ledger.sim.pay_offer(offer, sat(100));
    let record = test_ledger.sim.record(hash).unwrap();
    test_ledger.sim.forget(hash).unwrap();
    test_ledger.drain();
    assert_eq!((test_ledger.charge(charge).status, owed(&test_ledger)), (ChargeStatus::Unpaid, (0, 100)));
    let (listeners, now) = (test_ledger.ledger.listeners.clone(), test_ledger.ledger.clock.now());
    let again = test_ledger.ledger.store.write_blocking(move |tx| {
        charges::receive(tx, &listeners, hash, record.offer, record.amount.unwrap(), now)
    });
    assert_eq!((again.unwrap(), owed(&test_ledger)), (Receipt::Repeated, (0, 100)));
}

#[test]
fn offers_that_are_nobody_s_fill_the_suspense_once() {
    let (test_ledger, _folder) = test_ledger();
    let offer = test_ledger.sim.create_offer(&request(sat(100))).unwrap();
    test_ledger.sim.pay_offer(offer.id, sat(70));
    test_ledger.drain();
    test_ledger.sim.restart(0, 1);
    test_ledger.drain();
    sweep(&test_ledger);
    assert_eq!(owed(&test_ledger), (0, 70));
}

#[test]
fn too_little_settles_nothing_and_is_not_forgotten() {
    let (test_ledger, _folder) = test_ledger();
    let (little, _, offer) = ask(&test_ledger, sat(100), SECRET);
    let (unpaid, invoice, other) = ask(&test_ledger, sat(100), Preimage([0xCD; 32]));
    test_ledger.sim.pay_offer(offer, sat(99));
    test_ledger.drain();
    test_ledger.sim.restart(0, 1);
    test_ledger.drain();
    sweep(&test_ledger);
    assert_eq!((test_ledger.charge(little).status, owed(&test_ledger)), (ChargeStatus::Unpaid, (0, 99)));

    let (listeners, now) = (test_ledger.ledger.listeners.clone(), test_ledger.ledger.clock.now() + 3_600_000);
    let forgotten = test_ledger.ledger.store.write_blocking(move |tx| {
        charges::expire(tx, now, 10)?;
        charges::forget_unpaid(tx, &listeners, now, 10)
    });
    assert_eq!(forgotten.unwrap(), 2);
    let found = test_ledger.ledger.store.read_blocking(move |connection| -> Result<_, LedgerError> {
        let charge = charges::by_hash(connection, hash_of(&invoice))?;
        Ok((charge.is_some(), of(connection, unpaid)?.is_some(), of(connection, little)?.is_some()))
    });
    assert_eq!(found.unwrap(), (false, false, true));
    // What comes for the one that is gone is nobody's; for the other it is credited.
    test_ledger.sim.pay_offer(other, sat(100));
    test_ledger.sim.pay_offer(offer, sat(100));
    test_ledger.drain();
    assert_eq!((test_ledger.charge(little).received, owed(&test_ledger)), (Some(sat(100)), (100, 199)));
}

#[test]
fn what_a_family_does_not_keep_is_in_suspense() {
    let (test_ledger, _folder) = test_ledger();
    let (charge, invoice, offer) = ask_for_operator(&test_ledger, sat(100));
    test_ledger.sim.pay_offer(offer, sat(101));
    test_ledger.sim.receive(&invoice, sat(100));
    test_ledger.drain();
    test_ledger.sim.restart(0, 9);
    test_ledger.drain();
    sweep(&test_ledger);
    assert_eq!((test_ledger.charge(charge).received, owed(&test_ledger)), (Some(sat(101)), (0, 101)));
    assert_eq!(test_ledger.balance(Account::Operator), -100_000);
    assert_eq!(test_ledger.balance(Account::Lightning), 201_000);
}
