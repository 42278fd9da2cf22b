//! Coins that the operator sends from the wallet.

use super::*;
use crate::ledger::coin_fees::Quote;
use crate::ledger::coins::{self, CoinStatus, OnchainPayout};
use crate::ledger::operator_sends::{NotSent, Send, queue};

const ADDRESS: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";
const OTHER: &str = "bcrt1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qzf4jry";

/// What the simulated wallet has.
const COINS: u64 = 100_000_000;

fn order(address: &str, amount: Option<u64>) -> Send {
    let address = coins::read_address(address, bitcoin::Network::Regtest).unwrap();
    Send { address, amount: amount.map(sat), sat_per_vb: None, limited: None, spendable_sat: COINS }
}

fn send(test_ledger: &TestLedger, order: &Send) -> Result<(OnchainPayout, bool), NotSent> {
    let order = order.clone();
    test_ledger.write(move |tx, ledger| queue(tx, ledger, &order)).unwrap()
}

fn now(test_ledger: &TestLedger, coins: &OnchainPayout) -> OnchainPayout {
    let id = coins.id;
    test_ledger.ledger.store.read_blocking(move |connection| coins::by_id(connection, id)).unwrap()
}

fn books(test_ledger: &TestLedger) -> (i64, i64) {
    (test_ledger.balance(Account::Operator), test_ledger.balance(Account::InFlight))
}

#[test]
fn coins_are_sent_once_however_often_they_are_asked_for() {
    let test_ledger = TestLedger::new();
    let (coins, new) = send(&test_ledger, &order(ADDRESS, Some(50_000))).unwrap();
    assert!(new);
    let (again, new) = send(&test_ledger, &order(ADDRESS, Some(50_000))).unwrap();
    assert_eq!((again.id, new), (coins.id, false));
    assert_eq!(send(&test_ledger, &order(ADDRESS, Some(50_001))).unwrap_err(), NotSent::AddressUsed);
    assert_eq!(send(&test_ledger, &order(ADDRESS, None)).unwrap_err(), NotSent::AddressUsed);
    assert_eq!(books(&test_ledger), (50_000_000, -50_000_000));
    coins::Worker::default().step(&test_ledger.ledger).unwrap();
    test_ledger.sim.bury_coins();
    coins::Worker::default().step(&test_ledger.ledger).unwrap();
    assert_eq!(now(&test_ledger, &coins).status, CoinStatus::Paid);
    assert_eq!(test_ledger.sim.coins_sent(), [(ADDRESS.to_owned(), 50_000)]);
    assert_eq!(books(&test_ledger), (0, 0), "coins of the wallet were never in these accounts");
}

#[test]
fn everything_is_counted_once_its_transaction_is_seen() {
    let test_ledger = TestLedger::new();
    let (coins, _) = send(&test_ledger, &order(ADDRESS, None)).unwrap();
    assert_eq!((coins.amount, coins.everything), (sat(COINS), true));
    coins::Worker::default().step(&test_ledger.ledger).unwrap();
    assert_eq!(now(&test_ledger, &coins).amount, sat(COINS), "an estimate");
    test_ledger.sim.see_coins();
    coins::Worker::default().step(&test_ledger.ledger).unwrap();
    assert_eq!(now(&test_ledger, &coins).amount, sat(COINS - 1_000));
    assert_eq!(books(&test_ledger), (99_999_000_000, -99_999_000_000));
    coins::Worker::default().step(&test_ledger.ledger).unwrap();
    test_ledger.sim.bury_coins();
    coins::Worker::default().step(&test_ledger.ledger).unwrap();
    assert_eq!((now(&test_ledger, &coins).status, books(&test_ledger)), (CoinStatus::Paid, (0, 0)));
}

#[test]
fn everything_sent_before_a_crash_is_found_and_not_sent_again() {
    let test_ledger = TestLedger::new();
    let (coins, _) = send(&test_ledger, &order(ADDRESS, None)).unwrap();
    test_ledger.sim.set_trap(Trap::DieAfter);
    let died = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        coins::Worker::default().step(&test_ledger.ledger)
    }));
    assert!(died.is_err());
    assert_eq!(now(&test_ledger, &coins).status, CoinStatus::Sending);
    coins::Worker::default().step(&test_ledger.ledger).unwrap();
    assert_eq!(now(&test_ledger, &coins).status, CoinStatus::Sending, "not seen yet");
    test_ledger.sim.bury_coins();
    coins::Worker::default().step(&test_ledger.ledger).unwrap();
    coins::Worker::default().step(&test_ledger.ledger).unwrap();
    let coins = now(&test_ledger, &coins);
    assert_eq!((coins.status, coins.amount), (CoinStatus::Paid, sat(COINS - 1_000)));
    assert_eq!(test_ledger.sim.coins_sent(), [(ADDRESS.to_owned(), COINS - 1_000)]);
    assert_eq!(books(&test_ledger), (0, 0));
}

#[test]
fn what_can_not_be_sent_is_refused_with_the_reason() {
    let test_ledger = TestLedger::new();
    assert_eq!(send(&test_ledger, &order(ADDRESS, Some(293))).unwrap_err(), NotSent::TooLittle(294));
    let rate = |sat_per_vb| Send { sat_per_vb: Some(sat_per_vb), ..order(ADDRESS, Some(5_000)) };
    assert_eq!(send(&test_ledger, &rate(501)).unwrap_err(), NotSent::FeeRate);
    assert_eq!(send(&test_ledger, &rate(0)).unwrap_err(), NotSent::FeeRate);
    let (first, _) = send(&test_ledger, &rate(2)).unwrap();
    assert_eq!(first.fee_rate, Some(500));
    let beyond = NotSent::NotEnough { spendable: COINS - 5_000, promised: 5_000 };
    assert_eq!(send(&test_ledger, &order(OTHER, Some(COINS - 4_999))).unwrap_err(), beyond);
    let poor = Send { spendable_sat: 5_100, ..order(OTHER, None) };
    assert_eq!(
        send(&test_ledger, &poor).unwrap_err(),
        NotSent::NotEnough { spendable: 100, promised: 5_000 }
    );
}

#[test]
fn limit_of_the_miners_fee_is_kept_and_its_rate_is_used() {
    let test_ledger = TestLedger::new();
    let quote = Quote { rate: 500, max: sat(700), coins: 1 };
    let limited = |limit| Send { limited: Some((quote, sat(limit))), ..order(ADDRESS, Some(50_000)) };
    let refused = send(&test_ledger, &limited(699)).unwrap_err();
    assert_eq!(refused, NotSent::TooDear { needed: sat(700), limit: sat(699) });
    assert_eq!(books(&test_ledger), (0, 0));
    let (coins, _) = send(&test_ledger, &limited(700)).unwrap();
    assert_eq!(now(&test_ledger, &coins).fee_rate, Some(500));
    // They are on their way: what the miners want now changes nothing.
    assert_eq!(send(&test_ledger, &limited(1)).unwrap().0.id, coins.id);
}

#[test]
fn answer_of_the_wallet_that_could_not_be_written_is_written_later() {
    let test_ledger = TestLedger::new();
    let (coins, _) = send(&test_ledger, &order(ADDRESS, Some(50_000))).unwrap();
    test_ledger.sim.set_no_coins(true);
    let mut worker = coins::Worker::default();
    let lock = test_ledger.lock_when_asked();
    worker.step(&test_ledger.ledger).unwrap_err();
    assert_eq!(now(&test_ledger, &coins).status, CoinStatus::Sending);
    drop(lock);
    test_ledger.sim.set_no_coins(false);
    worker.step(&test_ledger.ledger).unwrap();
    worker.step(&test_ledger.ledger).unwrap();
    assert_eq!(now(&test_ledger, &coins).status, CoinStatus::Sent, "nothing was sent the first time");
    assert_eq!(test_ledger.sim.coins_sent().len(), 1);
}

#[test]
fn coins_that_the_books_refuse_hold_up_no_others() {
    let test_ledger = TestLedger::new();
    let (first, _) = send(&test_ledger, &order(ADDRESS, Some(50_000))).unwrap();
    let (second, _) = send(&test_ledger, &order(OTHER, Some(60_000))).unwrap();
    let mut worker = coins::Worker::default();
    worker.step(&test_ledger.ledger).unwrap();
    test_ledger.sim.bury_coins();
    test_ledger.refuse(
        "CREATE TEMP TRIGGER refused BEFORE UPDATE ON main.coin_sends WHEN OLD.amount_msat = 50000000
         BEGIN SELECT RAISE(ABORT, 'no'); END",
    );
    worker.step(&test_ledger.ledger).unwrap();
    assert_eq!(now(&test_ledger, &first).status, CoinStatus::Sent);
    test_ledger.sim.bury_coins();
    worker.step(&test_ledger.ledger).unwrap();
    assert_eq!(now(&test_ledger, &second).status, CoinStatus::Paid);
}

/// Their inputs were spent elsewhere, as by another wallet with the same seed.
#[test]
fn coins_that_can_not_confirm_any_more_are_settled_by_hand() {
    let test_ledger = TestLedger::new();
    let (coins, _) = send(&test_ledger, &order(ADDRESS, Some(50_000))).unwrap();
    coins::Worker::default().step(&test_ledger.ledger).unwrap();
    let judged = |has_proof| {
        coins::may_settle(&test_ledger.ledger, &now(&test_ledger, &coins), &coins::Found::NotSent, has_proof)
            .unwrap()
    };
    test_ledger.sim.see_coins();
    assert!(judged(false).unwrap().contains("it can confirm"));
    assert_eq!(
        judged(true),
        None,
        "an input may be a coin that its payer has replaced, which the wallet can't know"
    );
    test_ledger.sim.replace_coins(0, false);
    assert!(judged(true).unwrap().contains("not six blocks deep yet"));
    test_ledger.sim.replace_coins(0, true);
    assert_eq!(judged(false), None);
    let id = coins.id;
    let settled = test_ledger.write(move |tx, ledger| {
        coins::settle(tx, &ledger.listeners, id, &coins::Found::NotSent, ledger.clock.now())
    });
    settled.unwrap().unwrap();
    assert_eq!((now(&test_ledger, &coins).status, books(&test_ledger)), (CoinStatus::Failed, (0, 0)));
}
