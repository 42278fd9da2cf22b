//! Payouts ended by hand.

use std::time::Duration;

use super::*;
use crate::core::ids::{PayoutId, Preimage};
use crate::ledger::by_hand::{Found, NotSettled, settle};
use crate::ledger::rows::payouts as rows;

pub(super) fn id_of(test_ledger: &TestLedger, invoice: &lightning_invoice::Bolt11Invoice) -> PayoutId {
    let hash = charges::hash_of(invoice);
    let found = test_ledger.ledger.store.read_blocking(move |connection| payouts::by_hash(connection, hash));
    found.unwrap().unwrap().id
}

pub(super) fn settle_now(test_ledger: &TestLedger, id: PayoutId, found: Found) -> Result<Payout, NotSettled> {
    test_ledger.write(move |tx, ledger| settle(tx, &ledger.listeners, id, found, ledger.clock.now())).unwrap()
}

/// A payout of the operator's own that the node has.
pub(super) fn in_flight(test_ledger: &TestLedger) -> (lightning_invoice::Bolt11Invoice, Preimage, PayoutId) {
    let (invoice, preimage) = test_ledger.sim.invoice(sat(500), Duration::from_secs(600));
    assert!(matches!(test_ledger.queue(&invoice), Queued::New(_)));
    Dispatcher::default().round(&test_ledger.ledger).unwrap();
    test_ledger.settle_queue();
    assert_eq!(test_ledger.status(&invoice), PayoutStatus::InFlight);
    let id = id_of(test_ledger, &invoice);
    (invoice, preimage, id)
}

#[test]
fn payout_is_paid_by_hand_only_with_its_own_preimage() {
    let test_ledger = TestLedger::new();
    let (invoice, preimage, id) = in_flight(&test_ledger);
    let wrong = Found::Paid { preimage: Preimage([9; 32]), fee: Msat::ZERO };
    assert_eq!(settle_now(&test_ledger, id, wrong).unwrap_err(), NotSettled::WrongPreimage);
    assert_eq!(test_ledger.status(&invoice), PayoutStatus::InFlight);
    let paid = settle_now(&test_ledger, id, Found::Paid { preimage, fee: sat(2) }).unwrap();
    assert_eq!((paid.status, paid.preimage, paid.fee), (PayoutStatus::Paid, Some(preimage), Some(sat(2))));
    assert_eq!(test_ledger.balance(Account::Operator), 500_000);
    assert_eq!(
        (test_ledger.balance(Account::Lightning), test_ledger.balance(Account::InFlight)),
        (-502_000, 0)
    );
    let again = settle_now(&test_ledger, id, Found::Failed).unwrap_err();
    assert_eq!(again, NotSettled::NotUnderWay(PayoutStatus::Paid));
}

#[test]
fn late_success_of_payout_failed_by_hand_is_booked_and_counted() {
    let test_ledger = TestLedger::new();
    let (invoice, _, id) = in_flight(&test_ledger);
    assert_eq!(
        settle_now(&test_ledger, id, Found::Failed).unwrap().error.as_deref(),
        Some("given up by hand")
    );
    assert_eq!(test_ledger.balance(Account::Operator), 0);
    test_ledger.sim.resolve(charges::hash_of(&invoice), true, sat(1));
    assert!(events::step(&test_ledger.ledger, Duration::ZERO).unwrap());
    assert_eq!(test_ledger.status(&invoice), PayoutStatus::Paid);
    assert_eq!(
        (test_ledger.balance(Account::Operator), test_ledger.balance(Account::Lightning)),
        (500_000, -501_000)
    );
    let counters = test_ledger.ledger.store.read_blocking(rows::counters).unwrap();
    assert!(counters.contains(&("payouts_late".into(), 1)), "{counters:?}");
    assert!(counters.contains(&("payouts_settled_by_hand".into(), 1)), "{counters:?}");
}

#[test]
fn payout_that_waits_to_be_sent_can_not_be_settled_by_hand() {
    let test_ledger = TestLedger::new();
    let invoice = test_ledger.pay(sat(5));
    let queued = settle_now(&test_ledger, id_of(&test_ledger, &invoice), Found::Failed).unwrap_err();
    assert_eq!(queued, NotSettled::NotUnderWay(PayoutStatus::Queued));
}
