//! Payouts ended by hand.

use std::time::Duration;

use super::*;
use crate::core::ids::{PayoutId, Preimage};
use crate::ledger::by_hand::{Found, NotSettled, settle};
use crate::ledger::rows::payouts as rows;

pub(super) fn id_of(desk: &Desk, invoice: &lightning_invoice::Bolt11Invoice) -> PayoutId {
    let hash = charges::hash_of(invoice);
    let found = desk.ledger.store.read_blocking(move |connection| payouts::by_hash(connection, hash));
    found.unwrap().unwrap().id
}

pub(super) fn settle_now(desk: &Desk, id: PayoutId, found: Found) -> Result<Payout, NotSettled> {
    desk.write(move |tx, ledger| settle(tx, &ledger.listeners, id, found, ledger.clock.now())).unwrap()
}

/// A payout of the operator's own that the node has.
pub(super) fn in_flight(desk: &Desk) -> (lightning_invoice::Bolt11Invoice, Preimage, PayoutId) {
    let (invoice, preimage) = desk.sim.invoice(sat(500), Duration::from_secs(600));
    assert!(matches!(desk.queue(&invoice), Queued::New(_)));
    Dispatcher::default().round(&desk.ledger).unwrap();
    desk.settle_queue();
    assert_eq!(desk.status(&invoice), PayoutStatus::InFlight);
    let id = id_of(desk, &invoice);
    (invoice, preimage, id)
}

#[test]
fn payout_is_paid_by_hand_only_with_its_own_preimage() {
    let desk = Desk::new();
    let (invoice, preimage, id) = in_flight(&desk);
    let wrong = Found::Paid { preimage: Preimage([9; 32]), fee: Msat::ZERO };
    assert_eq!(settle_now(&desk, id, wrong).unwrap_err(), NotSettled::WrongPreimage);
    assert_eq!(desk.status(&invoice), PayoutStatus::InFlight);
    let paid = settle_now(&desk, id, Found::Paid { preimage, fee: sat(2) }).unwrap();
    assert_eq!((paid.status, paid.preimage, paid.fee), (PayoutStatus::Paid, Some(preimage), Some(sat(2))));
    assert_eq!(desk.balance(Account::Operator), 500_000);
    assert_eq!((desk.balance(Account::Lightning), desk.balance(Account::InFlight)), (-502_000, 0));
    let again = settle_now(&desk, id, Found::Failed).unwrap_err();
    assert_eq!(again, NotSettled::NotUnderWay(PayoutStatus::Paid));
}

#[test]
fn late_success_of_payout_failed_by_hand_is_booked_and_counted() {
    let desk = Desk::new();
    let (invoice, _, id) = in_flight(&desk);
    assert_eq!(settle_now(&desk, id, Found::Failed).unwrap().error.as_deref(), Some("given up by hand"));
    assert_eq!(desk.balance(Account::Operator), 0);
    desk.sim.resolve(charges::hash_of(&invoice), true, sat(1));
    assert!(events::step(&desk.ledger, Duration::ZERO).unwrap());
    assert_eq!(desk.status(&invoice), PayoutStatus::Paid);
    assert_eq!((desk.balance(Account::Operator), desk.balance(Account::Lightning)), (500_000, -501_000));
    let counters = desk.ledger.store.read_blocking(rows::counters).unwrap();
    assert!(counters.contains(&("payouts_late".into(), 1)), "{counters:?}");
    assert!(counters.contains(&("payouts_settled_by_hand".into(), 1)), "{counters:?}");
}

#[test]
fn payout_that_waits_to_be_sent_can_not_be_settled_by_hand() {
    let desk = Desk::new();
    let invoice = desk.pay(sat(5));
    let queued = settle_now(&desk, id_of(&desk, &invoice), Found::Failed).unwrap_err();
    assert_eq!(queued, NotSettled::NotUnderWay(PayoutStatus::Queued));
}
