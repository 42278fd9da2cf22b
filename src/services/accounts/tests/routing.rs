//! What routing may cost the operator, and what the channels can carry.

use std::sync::atomic::Ordering;
use std::time::Duration;

use lightning_invoice::Bolt11Invoice;
use serde_json::json;

use super::offers::offer;
use super::test_app::{TestApp, rules, sat, to};
use crate::core::money::Msat;
use crate::ledger::{charges, offer_payouts};
use crate::services::accounts::Rules;

/// The operator bears what routing costs.
async fn generous() -> TestApp {
    let app = TestApp::with(Rules { account_pays_routing: false, ..rules() }, None).await;
    app.earn(sat(100_000));
    app
}

async fn withdraws(app: &TestApp, amount: u64) -> Bolt11Invoice {
    let invoice = app.invoice(sat(amount));
    app.withdraw(&to(&invoice)).await.ok();
    invoice
}

#[tokio::test(flavor = "multi_thread")]
async fn routing_that_the_operator_bears_is_limited_for_an_account_and_hour() {
    let mut app = generous().await;
    app.ledger.settings.max_routing_per_account_hour = sat(15);
    let first = withdraws(&app, 5_000).await;
    let second = withdraws(&app, 5_000).await;
    app.dispatch();
    assert_eq!(app.sim.limits(), [sat(10), sat(5)], "never more than 15 for one account");
    app.sim.resolve(charges::hash_of(&first), true, sat(9));
    app.sim.resolve(charges::hash_of(&second), false, Msat::ZERO);
    app.drain();
    withdraws(&app, 5_000).await;
    app.dispatch();
    assert_eq!(app.sim.limits()[2], sat(6), "what was spent counts, what was not doesn't");
    // Others have an hour of their own.
    let other = app.key(&[crate::http::keys::Scope::Withdraw], "other").await;
    let invoice = app.invoice(sat(100));
    app.ask("POST", &other, super::test_app::WITHDRAWALS, &to(&invoice).to_string(), "")
        .await
        .refused(409, "INSUFFICIENT_BALANCE");
    app.clock.advance(Duration::from_secs(3_601));
    withdraws(&app, 5_000).await;
    app.dispatch();
    assert_eq!(app.sim.limits()[3], sat(9), "what is under way counts until it ends");
}

#[tokio::test(flavor = "multi_thread")]
async fn routing_that_the_operator_bears_counts_in_the_hour_of_all() {
    let mut app = generous().await;
    app.ledger.settings.max_routing_per_hour = sat(100);
    let first = withdraws(&app, 5_000).await;
    withdraws(&app, 5_000).await;
    app.dispatch();
    assert_eq!(app.sim.limits(), [sat(10), sat(2)]);
    app.sim.resolve(charges::hash_of(&first), true, sat(10));
    app.drain();
    let now = app.clock.now();
    let spent = app.ledger.store.read_blocking(move |connection| {
        let hour = now / 3_600_000;
        let sql = "SELECT msat FROM routing_hours WHERE hour = ?1";
        Ok::<Msat, crate::ledger::LedgerError>(connection.query_row(sql, [hour], |row| row.get(0))?)
    });
    assert_eq!(spent.unwrap(), sat(10));
    assert_eq!(app.has().0, 90_000_000, "the account pays nothing for it");
}

#[tokio::test(flavor = "multi_thread")]
async fn routing_of_an_offer_counts_too_and_waits_for_the_hour() {
    let mut app = generous().await;
    app.ledger.settings.max_routing_per_account_hour = sat(15);
    let step = |app: &TestApp| {
        tokio::task::block_in_place(|| offer_payouts::Worker::default().step(&app.ledger).unwrap());
    };
    for _ in 0..2 {
        app.withdraw(&json!({ "target": offer(), "amountSat": 300 })).await.ok();
        step(&app);
    }
    assert_eq!(app.sim.under_way_to_offers(), 1, "the second waits until it can be granted all it may cost");
    withdraws(&app, 5_000).await;
    app.dispatch();
    assert_eq!(app.sim.limits(), [sat(5)], "the offer under way counts");
    app.clock.advance(Duration::from_secs(301));
    step(&app);
    assert_eq!(app.sim.under_way_to_offers(), 2, "half of its time is over");
    for note in app.sim.asked_offers() {
        app.sim.invoice_comes(&note);
    }
    assert_eq!(app.sim.limits(), [sat(5), sat(10), Msat::ZERO]);
}

#[tokio::test(flavor = "multi_thread")]
async fn withdrawal_that_the_channels_can_not_carry_is_refused_with_the_limit() {
    let app = TestApp::new().await;
    app.earn(sat(300_000));
    app.node.in_flight_msat.store(100_000_000, Ordering::SeqCst);
    let refused = app.withdraw(&to(app.invoice(sat(100_001)))).await;
    refused.refused(503, "NO_OUTBOUND_CAPACITY");
    assert!(refused.text.contains("at most 100000 sat of one payment"), "{refused:?}");
    let to_offer = app.withdraw(&json!({ "target": offer(), "amountSat": 100_001 })).await;
    to_offer.refused(503, "NO_OUTBOUND_CAPACITY");
    app.withdraw(&to(app.open_invoice(1))).await.refused(503, "NO_OUTBOUND_CAPACITY");
    assert_eq!(app.has(), (300_000_000, 0), "nothing is left behind");
    app.withdraw(&to(app.invoice(sat(100_000)))).await.ok();
    // An invoice of this server needs no channel.
    let (invoice, now) = (app.invoice(sat(150_000)), app.clock.now());
    let ours = invoice.clone();
    let opened = app.ledger.store.write_blocking(move |tx| {
        charges::open(tx, crate::ledger::Family::Operator, &ours, Some(sat(150_000)), now)
    });
    opened.unwrap();
    app.withdraw(&to(&invoice)).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn sweep_takes_in_parts_what_the_channels_can_not_carry_at_once() {
    let app = TestApp::new().await;
    app.earn(sat(300_000));
    app.node.in_flight_msat.store(100_000_000, Ordering::SeqCst);
    app.accounts.set_sweep(app.shop, Some((offer(), sat(1)))).await.unwrap();
    assert_eq!(app.accounts.sweep_due().await.unwrap(), 1);
    assert_eq!(app.has().1, 100_100_000);
}

/// Of a hundred small coins as many are reckoned with as the wallet could pick.
#[tokio::test(flavor = "multi_thread")]
async fn miners_fee_of_a_wallet_of_small_coins_is_refused_above_the_limit() {
    let app = TestApp::new().await;
    app.earn(sat(300_000));
    app.sim.set_fee_rate(1_000);
    app.sim.set_coins(&[3_000; 100]);
    let target = bitcoin::Address::p2wsh(bitcoin::Script::new(), bitcoin::Network::Regtest);
    let wanted = |amount: u64| json!({ "target": target.to_string(), "amountSat": amount });
    app.withdraw(&wanted(200_000)).await.refused(503, "ONCHAIN_FEE_TOO_HIGH");
    app.withdraw(&wanted(20_000)).await.ok();
}
