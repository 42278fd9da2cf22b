//! One charge with an offer at a time.

use std::time::Duration;

use lightning_invoice::Bolt11Invoice;

use super::*;
use crate::core::ids::Preimage;
use crate::ledger::charges::hash_of;
use crate::ledger::held::tests::Desk;
use crate::ledger::payouts::Queued;
use crate::ledger::{Family, events, held, recovery};
use crate::lightning::{Lightning, OfferRequest};
use crate::storage::Store;

fn desk() -> (Desk, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open_without_sync(&folder.path().join("satchel.db")).unwrap();
    (Desk::on(store), folder)
}

fn sat(sat: u64) -> Msat {
    Msat::from_sat(sat).unwrap()
}

pub(super) fn request(amount: Msat) -> OfferRequest {
    OfferRequest { amount, description: String::new(), expiry: Duration::from_secs(600) }
}

/// A charge that we claim ourselves, with an offer.
pub(super) fn ask(desk: &Desk, amount: Msat, preimage: Preimage) -> (ChargeId, Bolt11Invoice, OfferId) {
    let (charge, invoice) = desk.ask(amount, preimage);
    let offer = desk.sim.create_offer(&request(amount)).unwrap();
    let id = offer.id;
    desk.ledger.store.write_blocking(move |tx| add(tx, charge, &offer)).unwrap();
    (charge, invoice, id)
}

/// The same of a family that doesn't keep more than was asked.
fn ask_for_operator(desk: &Desk, amount: Msat) -> (ChargeId, Bolt11Invoice, OfferId) {
    let (invoice, _) = desk.sim.invoice(amount, Duration::from_secs(600));
    let offer = desk.sim.create_offer(&request(amount)).unwrap();
    let (ours, id, now) = (invoice.clone(), offer.id, desk.ledger.clock.now());
    let charge = desk.ledger.store.write_blocking(move |tx| {
        let charge = charges::open(tx, Family::Operator, &ours, Some(amount), now)?;
        add(tx, charge, &offer)?;
        Ok::<_, LedgerError>(charge)
    });
    (charge.unwrap(), invoice, id)
}

fn sweep(desk: &Desk) {
    recovery::sweep(&desk.ledger, 0).unwrap();
}

/// What is owed to merchants, and what to nobody, in sat.
fn owed(desk: &Desk) -> (i64, i64) {
    (-desk.balance(Account::Merchants) / 1_000, -desk.balance(Account::Suspense) / 1_000)
}

const SECRET: Preimage = Preimage([0xAB; 32]);

#[test]
fn every_payment_to_an_offer_is_credited_once() {
    let (desk, _folder) = desk();
    let (charge, _, offer) = ask(&desk, sat(100), SECRET);
    desk.sim.pay_offer(offer, sat(130));
    desk.drain();
    assert_eq!((desk.charge(charge).received, owed(&desk)), (Some(sat(130)), (130, 0)));
    let settled_at = desk.charge(charge).settled_at;
    desk.ledger.clock.advance(Duration::from_secs(5));
    desk.sim.pay_offer(offer, sat(100));
    desk.drain();
    desk.sim.restart(0, 9);
    desk.drain();
    sweep(&desk);
    let paid = desk.charge(charge);
    assert_eq!((paid.received, paid.settled_at), (Some(sat(230)), settled_at));
    assert_eq!((owed(&desk), desk.told.of(charge)), ((230, 0), vec!["settled", "more"]));
}

#[test]
fn what_is_late_is_credited() {
    let (desk, _folder) = desk();
    let (charge, _, offer) = ask(&desk, sat(100), SECRET);
    desk.ledger.clock.advance(Duration::from_secs(601));
    let now = desk.ledger.clock.now();
    desk.ledger.store.write_blocking(move |tx| charges::expire(tx, now, 10)).unwrap();
    assert_eq!(desk.charge(charge).status, ChargeStatus::Expired);
    desk.sim.pay_offer(offer, sat(100));
    desk.drain();
    assert_eq!((desk.charge(charge).status, owed(&desk)), (ChargeStatus::Paid, (100, 0)));
}

#[test]
fn what_its_event_does_not_tell_is_found_by_the_node_s_records() {
    let (desk, _folder) = desk();
    let (charge, _, offer) = ask(&desk, sat(100), SECRET);
    desk.sim.pay_offer(offer, sat(100));
    desk.sim.restart_losing_received(1);
    desk.drain();
    assert_eq!(owed(&desk), (0, 0));
    sweep(&desk);
    // Of one that is paid too.
    desk.sim.pay_offer(offer, sat(100));
    desk.sim.restart_losing_received(1);
    sweep(&desk);
    sweep(&desk);
    assert_eq!((owed(&desk), desk.told.of(charge)), ((200, 0), vec!["settled", "more"]));
}

#[test]
fn the_invoice_and_the_offer_are_both_credited() {
    for (first_by_offer, event_lost) in [(false, false), (true, false), (true, true)] {
        let (desk, _folder) = desk();
        let (charge, invoice, offer) = ask(&desk, sat(100), SECRET);
        assert!(desk.sim.hold(&invoice, sat(100)));
        desk.sim.set_whispers(first_by_offer);
        // The invoice's payment is claimed, and of that the node tells at once or later.
        events::step(&desk.ledger, Duration::ZERO).unwrap();
        desk.sim.set_whispers(false);
        desk.sim.pay_offer(offer, sat(100));
        desk.drain();
        if event_lost {
            desk.sim.restart_losing_received(1);
        }
        desk.sim.tell_all();
        desk.drain();
        sweep(&desk);
        desk.sim.restart(0, 9);
        desk.drain();
        assert_eq!((desk.charge(charge).received, owed(&desk)), (Some(sat(200)), (200, 0)));
        assert_eq!(desk.told.of(charge), ["held", "settled", "more"]);
    }
}

#[test]
fn once_the_offer_is_paid_the_invoice_is_refused() {
    let (desk, _folder) = desk();
    let (charge, invoice, offer) = ask(&desk, sat(100), SECRET);
    desk.sim.set_claims_fail(true);
    assert!(desk.sim.hold(&invoice, sat(100)));
    desk.drain();
    assert!(desk.charge(charge).is_held());
    desk.sim.pay_offer(offer, sat(100));
    desk.drain();
    assert!(!desk.charge(charge).is_held());
    // Nobody claims the one that is held any more; it goes back.
    desk.sim.set_claims_fail(false);
    desk.ledger.clock.advance(Duration::from_secs(60));
    held::look_again(&desk.ledger, true).unwrap();
    desk.sim.mine(6);
    held::look_again(&desk.ledger, true).unwrap();
    assert!(desk.sim.claimed().is_empty() && desk.sim.held().is_empty());
    assert!(desk.sim.hold(&invoice, sat(100)));
    desk.drain();
    assert!(desk.sim.held().is_empty());
    assert_eq!((desk.charge(charge).received, owed(&desk)), (Some(sat(100)), (100, 0)));
    assert_eq!(desk.told.of(charge), ["held", "settled"]);
    assert!(!matches!(desk.pay_inside(&invoice), Queued::New(_)), "paid inside as well");
}

#[test]
fn what_was_paid_inside_can_be_paid_by_its_offer() {
    let (desk, _folder) = desk();
    let (charge, invoice, offer) = ask(&desk, sat(100), SECRET);
    assert!(matches!(desk.pay_inside(&invoice), Queued::New(_)));
    desk.sim.pay_offer(offer, sat(100));
    desk.drain();
    assert_eq!((desk.charge(charge).received, owed(&desk)), (Some(sat(200)), (200, 0)));
}

#[test]
fn a_receipt_counts_once_although_the_node_has_forgotten_which_offer_it_was() {
    let (desk, _folder) = desk();
    let (_, _, offer) = ask(&desk, sat(100), SECRET);
    let hash = desk.sim.pay_offer(offer, sat(100));
    desk.drain();
    // As long as the payer can pay the same again, the node must know that it was paid.
    for hours in [8, 2] {
        assert!(desk.sim.record(hash).is_some());
        desk.ledger.clock.advance(Duration::from_secs(hours * 3_600));
        recovery::forget_old(&desk.ledger).unwrap();
    }
    assert!(desk.sim.record(hash).is_none());
    desk.sim.restart(0, 1);
    desk.drain();
    assert_eq!(owed(&desk), (100, 0));
}

#[test]
fn what_came_without_a_record_is_in_suspense_and_stays_there() {
    let (desk, _folder) = desk();
    let (charge, _, offer) = ask(&desk, sat(100), SECRET);
    let hash = desk.sim.pay_offer(offer, sat(100));
    let record = desk.sim.record(hash).unwrap();
    desk.sim.forget(hash).unwrap();
    desk.drain();
    assert_eq!((desk.charge(charge).status, owed(&desk)), (ChargeStatus::Unpaid, (0, 100)));
    let (listeners, now) = (desk.ledger.listeners.clone(), desk.ledger.clock.now());
    let again = desk.ledger.store.write_blocking(move |tx| {
        charges::receive(tx, &listeners, hash, record.offer, record.amount.unwrap(), now)
    });
    assert_eq!((again.unwrap(), owed(&desk)), (Receipt::Repeated, (0, 100)));
}

#[test]
fn offers_that_are_nobody_s_fill_the_suspense_once() {
    let (desk, _folder) = desk();
    let offer = desk.sim.create_offer(&request(sat(100))).unwrap();
    desk.sim.pay_offer(offer.id, sat(70));
    desk.drain();
    desk.sim.restart(0, 1);
    desk.drain();
    sweep(&desk);
    assert_eq!(owed(&desk), (0, 70));
}

#[test]
fn too_little_settles_nothing_and_is_not_forgotten() {
    let (desk, _folder) = desk();
    let (little, _, offer) = ask(&desk, sat(100), SECRET);
    let (unpaid, invoice, other) = ask(&desk, sat(100), Preimage([0xCD; 32]));
    desk.sim.pay_offer(offer, sat(99));
    desk.drain();
    desk.sim.restart(0, 1);
    desk.drain();
    sweep(&desk);
    assert_eq!((desk.charge(little).status, owed(&desk)), (ChargeStatus::Unpaid, (0, 99)));

    let (listeners, now) = (desk.ledger.listeners.clone(), desk.ledger.clock.now() + 3_600_000);
    let forgotten = desk.ledger.store.write_blocking(move |tx| {
        charges::expire(tx, now, 10)?;
        charges::forget_unpaid(tx, &listeners, now, 10)
    });
    assert_eq!(forgotten.unwrap(), 2);
    let found = desk.ledger.store.read_blocking(move |connection| -> Result<_, LedgerError> {
        let charge = charges::by_hash(connection, hash_of(&invoice))?;
        Ok((charge.is_some(), of(connection, unpaid)?.is_some(), of(connection, little)?.is_some()))
    });
    assert_eq!(found.unwrap(), (false, false, true));
    // What comes for the one that is gone is nobody's; for the other it is credited.
    desk.sim.pay_offer(other, sat(100));
    desk.sim.pay_offer(offer, sat(100));
    desk.drain();
    assert_eq!((desk.charge(little).received, owed(&desk)), (Some(sat(100)), (100, 199)));
}

#[test]
fn what_a_family_does_not_keep_is_in_suspense() {
    let (desk, _folder) = desk();
    let (charge, invoice, offer) = ask_for_operator(&desk, sat(100));
    desk.sim.pay_offer(offer, sat(101));
    desk.sim.receive(&invoice, sat(100));
    desk.drain();
    desk.sim.restart(0, 9);
    desk.drain();
    sweep(&desk);
    assert_eq!((desk.charge(charge).received, owed(&desk)), (Some(sat(101)), (0, 101)));
    assert_eq!(desk.balance(Account::Operator), -100_000);
    assert_eq!(desk.balance(Account::Lightning), 201_000);
}
