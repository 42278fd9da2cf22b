//! No rate, no capacity, no node: refused at once with nothing left behind, and well again without a restart.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::json;

use super::test_app::{PAYMENTS, Setup, TestApp};
use crate::core::money::Msat;
use crate::ledger::solvency::{Ages, Gate, NoCapacity, Sale};
use crate::lightning::Node;

#[tokio::test(flavor = "multi_thread")]
async fn without_a_fresh_rate_no_fiat_is_taken() {
    let app = TestApp::new().await;
    // Nobody has ever told this one.
    app.order(&json!({"currency": "GBP"})).await.is_error(503, "RATE_UNAVAILABLE", PAYMENTS);
    app.get("", "/api/rates/GBP").await.is_error(503, "RATE_UNAVAILABLE", "/api/rates/GBP");
    app.market.0.store(true, Ordering::SeqCst);
    app.clock.advance(Duration::from_secs(300));
    app.payments.rates().refresh().await;
    app.order(&json!({"orderId": "1"})).await.created();
    app.clock.advance(Duration::from_secs(1));
    let began = Instant::now();
    let refused = app.order(&json!({"orderId": "2"})).await;
    assert!(began.elapsed() < Duration::from_millis(200), "{:?}", began.elapsed());
    refused.is_error(503, "RATE_UNAVAILABLE", PAYMENTS);
    app.get("", "/api/rates").await.is_error(503, "RATE_UNAVAILABLE", "/api/rates");
    // What is ordered in bitcoin needs none, nor does what was ordered before.
    app.order(&json!({"orderId": "3", "amount": 21, "currency": "sats"})).await.created();
    assert_eq!(app.order(&json!({"orderId": "1"})).await.status, 200);
    app.market.0.store(false, Ordering::SeqCst);
    app.payments.rates().refresh().await;
    app.order(&json!({"orderId": "2"})).await.created();
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_node_is_away_nothing_can_be_ordered() {
    let app = TestApp::new().await;
    app.node.running.store(false, Ordering::SeqCst);
    let began = Instant::now();
    app.order(&json!({})).await.is_error(503, "NODE_UNAVAILABLE", PAYMENTS);
    assert!(began.elapsed() < Duration::from_millis(200), "{:?}", began.elapsed());
    assert_eq!(app.get(&app.shop, PAYMENTS).await.text, r#"{"payments":[],"nextCursor":null}"#);
    app.node.running.store(true, Ordering::SeqCst);
    app.order(&json!({})).await.created();

    let mut setup = Setup::default();
    setup.rules.enabled = false;
    TestApp::with(setup).await.order(&json!({})).await.is_error(503, "NODE_UNAVAILABLE", PAYMENTS);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_channel_can_receive_is_not_asked_for() {
    let app = TestApp::new().await;
    app.node.inbound_msat.store(124_999_999, Ordering::SeqCst);
    app.order(&json!({})).await.is_error(503, "NO_INBOUND_CAPACITY", PAYMENTS);
    app.order(&json!({"amount": 10})).await.created();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_goes_while_it_is_asked_is_away_and_not_broken() {
    let app = TestApp::new().await;
    app.order(&json!({"orderId": "1"})).await.created();
    app.node.goes.store(true, Ordering::SeqCst);
    app.order(&json!({"orderId": "2"})).await.is_error(503, "NODE_UNAVAILABLE", PAYMENTS);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_yes_is_asked_again() {
    let app = TestApp::new().await;
    let ages = Ages {
        fresh: Duration::from_millis(20),
        stale: Duration::from_millis(100),
        patience: Duration::from_millis(300),
    };
    let node = Node::new(Arc::clone(&app.node), tokio::runtime::Handle::current());
    let gate = Gate::with(node, &app.ledger, ages);
    let check = async |after: u64| {
        tokio::time::sleep(Duration::from_millis(after)).await;
        gate.check(Sale::Own { comes: Msat::from_sat(1_000).unwrap() }).await
    };
    let can_receive = |sat: u64| app.node.inbound_msat.store(sat * 1_000, Ordering::SeqCst);
    assert_eq!(check(0).await, Ok(()));
    can_receive(999);
    assert!(matches!(check(150).await, Err(NoCapacity::Inbound(_))));
    can_receive(1_000);
    assert_eq!(check(150).await, Ok(()));
    app.node.running.store(false, Ordering::SeqCst);
    assert_eq!(check(150).await, Err(NoCapacity::NotRunning));
    app.node.running.store(true, Ordering::SeqCst);
    assert_eq!(check(0).await, Ok(()));
    // It doesn't answer at all.
    app.node.slow.store(true, Ordering::SeqCst);
    let began = Instant::now();
    assert_eq!(check(150).await, Err(NoCapacity::NotRunning));
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn rates_are_as_they_are_told() {
    let app = TestApp::new().await;
    let all = app.get("", "/api/rates").await;
    let shape = r#"{"BTC":{"USD":39992,"EUR":35992.8},"timestamp":"2027-01-15T08:00:00Z","source":"market"}"#;
    assert_eq!((all.status, all.text.as_str()), (200, shape));
    for code in ["USD", "usd"] {
        let one = app.get("", &format!("/api/rates/{code}")).await;
        let shape =
            r#"{"currency":"USD","rate":39992,"inverse":0.000025005001,"timestamp":"2027-01-15T08:00:00Z"}"#;
        assert_eq!((one.status, one.text.as_str()), (200, shape));
    }
}
