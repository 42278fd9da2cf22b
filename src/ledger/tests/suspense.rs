//! What becomes of money that belongs to nobody we know.

use std::time::Duration;

use super::*;
use crate::core::ids::PaymentHash;
use crate::ledger::suspense::{Item, NotSettled, PaidBack, list, pay_back, to_operator};

fn test_ledger() -> TestLedger {
    let mut test_ledger = TestLedger::new();
    test_ledger.ledger.listeners =
        Listeners::new([(Family::Operator, Arc::new(PaidBack) as Arc<dyn Listener>)]);
    test_ledger
}

/// Money for a hash that nobody knows.
fn stray(test_ledger: &TestLedger, tag: u8, amount: Msat) -> Item {
    test_ledger
        .write(move |tx, ledger| {
            let hash = PaymentHash([tag; 32]);
            charges::receive(tx, &ledger.listeners, hash, None, amount, ledger.clock.now())
        })
        .unwrap();
    items(test_ledger).pop().unwrap()
}

fn items(test_ledger: &TestLedger) -> Vec<Item> {
    test_ledger.ledger.store.read_blocking(|connection| list(connection, 0, 100)).unwrap()
}

fn keep(test_ledger: &TestLedger, id: i64) -> Result<Item, NotSettled> {
    test_ledger.write(move |tx, ledger| to_operator(tx, id, ledger.clock.now())).unwrap()
}

fn back(
    test_ledger: &TestLedger,
    id: i64,
    invoice: &lightning_invoice::Bolt11Invoice,
) -> Result<Payout, NotSettled> {
    let invoice = invoice.clone();
    test_ledger
        .write(move |tx, ledger| {
            let amount = Msat::new(invoice.amount_milli_satoshis().unwrap()).unwrap();
            let order = Order { family: Family::Operator, invoice: &invoice, amount, max_fee: sat(10) };
            pay_back(tx, ledger, id, &order)
        })
        .unwrap()
}

fn invoice(test_ledger: &TestLedger, amount: Msat) -> lightning_invoice::Bolt11Invoice {
    test_ledger.sim.invoice(amount, Duration::from_secs(600)).0
}

fn ends(test_ledger: &TestLedger, invoice: &lightning_invoice::Bolt11Invoice, arrives: bool) {
    Dispatcher::default().round(&test_ledger.ledger).unwrap();
    test_ledger.sim.resolve(charges::hash_of(invoice), arrives, sat(1));
    assert!(events::step(&test_ledger.ledger, Duration::ZERO).unwrap());
}

#[test]
fn every_way_into_suspense_is_listed_with_its_hash() {
    let test_ledger = test_ledger();
    stray(&test_ledger, 1, sat(3));
    let more = test_ledger.charge(sat(10));
    test_ledger.receive(&more, sat(12));
    let less = test_ledger.charge(sat(10));
    test_ledger.receive(&less, sat(9));
    let own = test_ledger.charge(sat(20));
    assert!(matches!(test_ledger.queue(&own), Queued::New(_)));
    test_ledger.receive(&own, sat(20));
    let told: Vec<_> = items(&test_ledger)
        .into_iter()
        .map(|item| (item.kind, item.amount.sat_floor(), item.payment_hash.unwrap(), item.family))
        .collect();
    let operator = Some("operator".to_owned());
    let expected = [
        ("unclaimed".to_owned(), 3, PaymentHash([1; 32]), None),
        ("charge_settled".into(), 2, charges::hash_of(&more), operator.clone()),
        ("charge_paid_twice".into(), 9, charges::hash_of(&less), operator.clone()),
        ("charge_paid_twice".into(), 20, charges::hash_of(&own), operator),
    ];
    assert_eq!(told, expected);
}

#[test]
fn money_in_suspense_is_given_to_the_operator_once() {
    let test_ledger = test_ledger();
    let item = stray(&test_ledger, 1, sat(7));
    assert_eq!(keep(&test_ledger, item.id).unwrap().amount, sat(7));
    assert_eq!((test_ledger.balance(Account::Suspense), test_ledger.balance(Account::Operator)), (0, -7_000));
    assert_eq!(keep(&test_ledger, item.id), Err(NotSettled::NoSuchItem));
    assert_eq!(
        back(&test_ledger, item.id, &invoice(&test_ledger, sat(7))).unwrap_err(),
        NotSettled::NoSuchItem
    );
    assert_eq!(items(&test_ledger), []);
}

#[test]
fn money_in_suspense_is_paid_back_once() {
    let test_ledger = test_ledger();
    let item = stray(&test_ledger, 1, Msat::new(7_400).unwrap());
    assert_eq!(
        back(&test_ledger, item.id, &invoice(&test_ledger, sat(8))).unwrap_err(),
        NotSettled::WrongAmount(7)
    );
    let fresh = invoice(&test_ledger, sat(7));
    let payout = back(&test_ledger, item.id, &fresh).unwrap();
    assert_eq!(
        back(&test_ledger, item.id, &fresh).unwrap().id,
        payout.id,
        "the same invoice is the same payout"
    );
    assert_eq!(
        back(&test_ledger, item.id, &invoice(&test_ledger, sat(7))).unwrap_err(),
        NotSettled::UnderWay
    );
    assert_eq!(keep(&test_ledger, item.id), Err(NotSettled::UnderWay));
    assert_eq!(items(&test_ledger)[0].payout.as_deref(), Some(payout.public_id.as_str()));
    ends(&test_ledger, &fresh, true);
    assert_eq!(items(&test_ledger), []);
    // What is less than a sat stays with the operator.
    assert_eq!((test_ledger.balance(Account::Suspense), test_ledger.balance(Account::Operator)), (0, -400));
    assert_eq!(test_ledger.balance(Account::Lightning), 7_400 - 8_000);
}

#[test]
fn money_is_in_suspense_again_when_paying_it_back_failed() {
    let test_ledger = test_ledger();
    let item = stray(&test_ledger, 1, sat(7));
    let first = invoice(&test_ledger, sat(7));
    back(&test_ledger, item.id, &first).unwrap();
    ends(&test_ledger, &first, false);
    assert_eq!(items(&test_ledger), std::slice::from_ref(&item));
    assert_eq!((test_ledger.balance(Account::Suspense), test_ledger.balance(Account::Operator)), (-7_000, 0));
    assert_eq!(back(&test_ledger, item.id, &first).unwrap().status, PayoutStatus::Failed, "never sent again");
    let second = invoice(&test_ledger, sat(7));
    back(&test_ledger, item.id, &second).unwrap();
    ends(&test_ledger, &second, true);
    assert_eq!(items(&test_ledger), []);
    assert_eq!((test_ledger.balance(Account::Suspense), test_ledger.balance(Account::Operator)), (0, 0));
}

/// The node tells of a success after a failure.
fn arrives_late(test_ledger: &TestLedger, invoice: &lightning_invoice::Bolt11Invoice) {
    let hash = charges::hash_of(invoice);
    test_ledger
        .write(move |tx, ledger| {
            let arrival = payouts::Arrival { hash, preimage: None, fee: sat(1), left: None };
            payouts::mark_paid(tx, &ledger.listeners, &arrival, ledger.clock.now())
        })
        .unwrap();
}

#[test]
fn late_arrival_settles_an_item_that_is_open_again() {
    let test_ledger = test_ledger();
    let item = stray(&test_ledger, 1, sat(7));
    let first = invoice(&test_ledger, sat(7));
    back(&test_ledger, item.id, &first).unwrap();
    ends(&test_ledger, &first, false);
    arrives_late(&test_ledger, &first);
    assert_eq!(items(&test_ledger), []);
    let accounts = [Account::Suspense, Account::Operator, Account::Loss];
    assert_eq!(accounts.map(|account| test_ledger.balance(account)), [0, 0, 0]);
}

#[test]
fn late_arrival_is_a_loss_until_the_other_settlement_fails() {
    let test_ledger = test_ledger();
    let item = stray(&test_ledger, 1, sat(7));
    let (first, second) = (invoice(&test_ledger, sat(7)), invoice(&test_ledger, sat(7)));
    back(&test_ledger, item.id, &first).unwrap();
    ends(&test_ledger, &first, false);
    back(&test_ledger, item.id, &second).unwrap();
    arrives_late(&test_ledger, &first);
    assert_eq!((test_ledger.balance(Account::Suspense), test_ledger.balance(Account::Loss)), (0, 7_000));
    ends(&test_ledger, &second, false);
    assert_eq!(items(&test_ledger), []);
    let accounts = [Account::Suspense, Account::Operator, Account::Loss];
    assert_eq!(accounts.map(|account| test_ledger.balance(account)), [0, 0, 0]);
}

#[test]
fn item_paid_back_to_an_invoice_of_ours_settles_inside() {
    let test_ledger = test_ledger();
    let item = stray(&test_ledger, 1, sat(7));
    let own = test_ledger.charge(sat(7));
    assert_eq!(back(&test_ledger, item.id, &own).unwrap().status, PayoutStatus::Paid);
    assert_eq!(items(&test_ledger), []);
    assert_eq!((test_ledger.balance(Account::Suspense), test_ledger.balance(Account::Operator)), (0, -7_000));
}
