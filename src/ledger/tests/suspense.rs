//! What becomes of money that belongs to nobody we know.

use std::time::Duration;

use super::*;
use crate::core::ids::PaymentHash;
use crate::ledger::suspense::{Item, NotSettled, PaidBack, list, pay_back, to_operator};

fn desk() -> Desk {
    let mut desk = Desk::new();
    desk.ledger.listeners = Listeners::new([(Family::Operator, Arc::new(PaidBack) as Arc<dyn Listener>)]);
    desk
}

/// Money for a hash that nobody knows.
fn stray(desk: &Desk, tag: u8, amount: Msat) -> Item {
    desk.write(move |tx, ledger| {
        let hash = PaymentHash([tag; 32]);
        charges::receive(tx, &ledger.listeners, hash, None, amount, ledger.clock.now())
    })
    .unwrap();
    items(desk).pop().unwrap()
}

fn items(desk: &Desk) -> Vec<Item> {
    desk.ledger.store.read_blocking(|connection| list(connection, 0, 100)).unwrap()
}

fn keep(desk: &Desk, id: i64) -> Result<Item, NotSettled> {
    desk.write(move |tx, ledger| to_operator(tx, id, ledger.clock.now())).unwrap()
}

fn back(desk: &Desk, id: i64, invoice: &lightning_invoice::Bolt11Invoice) -> Result<Payout, NotSettled> {
    let invoice = invoice.clone();
    desk.write(move |tx, ledger| {
        let amount = Msat::new(invoice.amount_milli_satoshis().unwrap()).unwrap();
        let order = Order { family: Family::Operator, invoice: &invoice, amount, max_fee: sat(10) };
        pay_back(tx, ledger, id, &order)
    })
    .unwrap()
}

fn invoice(desk: &Desk, amount: Msat) -> lightning_invoice::Bolt11Invoice {
    desk.sim.invoice(amount, Duration::from_secs(600)).0
}

fn ends(desk: &Desk, invoice: &lightning_invoice::Bolt11Invoice, arrives: bool) {
    Dispatcher::default().round(&desk.ledger).unwrap();
    desk.sim.resolve(charges::hash_of(invoice), arrives, sat(1));
    assert!(events::step(&desk.ledger, Duration::ZERO).unwrap());
}

#[test]
fn every_way_into_suspense_is_listed_with_its_hash() {
    let desk = desk();
    stray(&desk, 1, sat(3));
    let more = desk.charge(sat(10));
    desk.receive(&more, sat(12));
    let less = desk.charge(sat(10));
    desk.receive(&less, sat(9));
    let own = desk.charge(sat(20));
    assert!(matches!(desk.queue(&own), Queued::New(_)));
    desk.receive(&own, sat(20));
    let told: Vec<_> = items(&desk)
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
    let desk = desk();
    let item = stray(&desk, 1, sat(7));
    assert_eq!(keep(&desk, item.id).unwrap().amount, sat(7));
    assert_eq!((desk.balance(Account::Suspense), desk.balance(Account::Operator)), (0, -7_000));
    assert_eq!(keep(&desk, item.id), Err(NotSettled::NoSuchItem));
    assert_eq!(back(&desk, item.id, &invoice(&desk, sat(7))).unwrap_err(), NotSettled::NoSuchItem);
    assert_eq!(items(&desk), []);
}

#[test]
fn money_in_suspense_is_paid_back_once() {
    let desk = desk();
    let item = stray(&desk, 1, Msat::new(7_400).unwrap());
    assert_eq!(back(&desk, item.id, &invoice(&desk, sat(8))).unwrap_err(), NotSettled::WrongAmount(7));
    let fresh = invoice(&desk, sat(7));
    let payout = back(&desk, item.id, &fresh).unwrap();
    assert_eq!(back(&desk, item.id, &fresh).unwrap().id, payout.id, "the same invoice is the same payout");
    assert_eq!(back(&desk, item.id, &invoice(&desk, sat(7))).unwrap_err(), NotSettled::UnderWay);
    assert_eq!(keep(&desk, item.id), Err(NotSettled::UnderWay));
    assert_eq!(items(&desk)[0].payout.as_deref(), Some(payout.public_id.as_str()));
    ends(&desk, &fresh, true);
    assert_eq!(items(&desk), []);
    // What is less than a sat stays with the operator.
    assert_eq!((desk.balance(Account::Suspense), desk.balance(Account::Operator)), (0, -400));
    assert_eq!(desk.balance(Account::Lightning), 7_400 - 8_000);
}

#[test]
fn money_is_in_suspense_again_when_paying_it_back_failed() {
    let desk = desk();
    let item = stray(&desk, 1, sat(7));
    let first = invoice(&desk, sat(7));
    back(&desk, item.id, &first).unwrap();
    ends(&desk, &first, false);
    assert_eq!(items(&desk), std::slice::from_ref(&item));
    assert_eq!((desk.balance(Account::Suspense), desk.balance(Account::Operator)), (-7_000, 0));
    assert_eq!(back(&desk, item.id, &first).unwrap().status, PayoutStatus::Failed, "never sent again");
    let second = invoice(&desk, sat(7));
    back(&desk, item.id, &second).unwrap();
    ends(&desk, &second, true);
    assert_eq!(items(&desk), []);
    assert_eq!((desk.balance(Account::Suspense), desk.balance(Account::Operator)), (0, 0));
}

/// The node tells of a success after a failure.
fn arrives_late(desk: &Desk, invoice: &lightning_invoice::Bolt11Invoice) {
    let hash = charges::hash_of(invoice);
    desk.write(move |tx, ledger| {
        let arrival = payouts::Arrival { hash, preimage: None, fee: sat(1), left: None };
        payouts::mark_paid(tx, &ledger.listeners, &arrival, ledger.clock.now())
    })
    .unwrap();
}

#[test]
fn late_arrival_settles_an_item_that_is_open_again() {
    let desk = desk();
    let item = stray(&desk, 1, sat(7));
    let first = invoice(&desk, sat(7));
    back(&desk, item.id, &first).unwrap();
    ends(&desk, &first, false);
    arrives_late(&desk, &first);
    assert_eq!(items(&desk), []);
    let accounts = [Account::Suspense, Account::Operator, Account::Loss];
    assert_eq!(accounts.map(|account| desk.balance(account)), [0, 0, 0]);
}

#[test]
fn late_arrival_is_a_loss_until_the_other_settlement_fails() {
    let desk = desk();
    let item = stray(&desk, 1, sat(7));
    let (first, second) = (invoice(&desk, sat(7)), invoice(&desk, sat(7)));
    back(&desk, item.id, &first).unwrap();
    ends(&desk, &first, false);
    back(&desk, item.id, &second).unwrap();
    arrives_late(&desk, &first);
    assert_eq!((desk.balance(Account::Suspense), desk.balance(Account::Loss)), (0, 7_000));
    ends(&desk, &second, false);
    assert_eq!(items(&desk), []);
    let accounts = [Account::Suspense, Account::Operator, Account::Loss];
    assert_eq!(accounts.map(|account| desk.balance(account)), [0, 0, 0]);
}

#[test]
fn item_paid_back_to_an_invoice_of_ours_settles_inside() {
    let desk = desk();
    let item = stray(&desk, 1, sat(7));
    let own = desk.charge(sat(7));
    assert_eq!(back(&desk, item.id, &own).unwrap().status, PayoutStatus::Paid);
    assert_eq!(items(&desk), []);
    assert_eq!((desk.balance(Account::Suspense), desk.balance(Account::Operator)), (0, -7_000));
}
