//! No rate, no capacity, no node: refused at once with nothing left behind, and well again without a restart.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::json;

use super::house::{House, PAYMENTS, Setup};
use crate::core::money::Msat;
use crate::ledger::solvency::{Ages, Gate, NoCapacity, Sale};
use crate::lightning::Node;

#[tokio::test(flavor = "multi_thread")]
async fn without_a_fresh_rate_no_fiat_is_taken() {
    let house = House::new().await;
    // Nobody has ever told this one.
    house.order(&json!({"currency": "GBP"})).await.is_error(503, "RATE_UNAVAILABLE", PAYMENTS);
    house.get("", "/api/rates/GBP").await.is_error(503, "RATE_UNAVAILABLE", "/api/rates/GBP");
    house.market.0.store(true, Ordering::SeqCst);
    house.clock.advance(Duration::from_secs(300));
    house.payments.rates().refresh().await;
    house.order(&json!({"orderId": "1"})).await.created();
    house.clock.advance(Duration::from_secs(1));
    let began = Instant::now();
    let refused = house.order(&json!({"orderId": "2"})).await;
    assert!(began.elapsed() < Duration::from_millis(200), "{:?}", began.elapsed());
    refused.is_error(503, "RATE_UNAVAILABLE", PAYMENTS);
    house.get("", "/api/rates").await.is_error(503, "RATE_UNAVAILABLE", "/api/rates");
    // What is ordered in bitcoin needs none, nor does what was ordered before.
    house.order(&json!({"orderId": "3", "amount": 21, "currency": "sats"})).await.created();
    assert_eq!(house.order(&json!({"orderId": "1"})).await.status, 200);
    house.market.0.store(false, Ordering::SeqCst);
    house.payments.rates().refresh().await;
    house.order(&json!({"orderId": "2"})).await.created();
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_node_is_away_nothing_can_be_ordered() {
    let house = House::new().await;
    house.node.running.store(false, Ordering::SeqCst);
    let began = Instant::now();
    house.order(&json!({})).await.is_error(503, "NODE_UNAVAILABLE", PAYMENTS);
    assert!(began.elapsed() < Duration::from_millis(200), "{:?}", began.elapsed());
    assert_eq!(house.get(&house.shop, PAYMENTS).await.text, r#"{"payments":[],"nextCursor":null}"#);
    house.node.running.store(true, Ordering::SeqCst);
    house.order(&json!({})).await.created();

    let mut setup = Setup::default();
    setup.rules.enabled = false;
    House::with(setup).await.order(&json!({})).await.is_error(503, "NODE_UNAVAILABLE", PAYMENTS);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_channel_can_receive_is_not_asked_for() {
    let house = House::new().await;
    house.node.inbound_msat.store(124_999_999, Ordering::SeqCst);
    house.order(&json!({})).await.is_error(503, "NO_INBOUND_CAPACITY", PAYMENTS);
    house.order(&json!({"amount": 10})).await.created();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_goes_while_it_is_asked_is_away_and_not_broken() {
    let house = House::new().await;
    house.order(&json!({"orderId": "1"})).await.created();
    house.node.goes.store(true, Ordering::SeqCst);
    house.order(&json!({"orderId": "2"})).await.is_error(503, "NODE_UNAVAILABLE", PAYMENTS);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_yes_is_asked_again() {
    let house = House::new().await;
    let ages = Ages {
        fresh: Duration::from_millis(20),
        stale: Duration::from_millis(100),
        patience: Duration::from_millis(300),
    };
    let node = Node::new(Arc::clone(&house.node), tokio::runtime::Handle::current());
    let gate = Gate::with(node, &house.ledger, ages);
    let check = async |after: u64| {
        tokio::time::sleep(Duration::from_millis(after)).await;
        gate.check(Sale::Own { comes: Msat::from_sat(1_000).unwrap() }).await
    };
    let can_receive = |sat: u64| house.node.inbound_msat.store(sat * 1_000, Ordering::SeqCst);
    assert_eq!(check(0).await, Ok(()));
    can_receive(999);
    assert!(matches!(check(150).await, Err(NoCapacity::Inbound(_))));
    can_receive(1_000);
    assert_eq!(check(150).await, Ok(()));
    house.node.running.store(false, Ordering::SeqCst);
    assert_eq!(check(150).await, Err(NoCapacity::NotRunning));
    house.node.running.store(true, Ordering::SeqCst);
    assert_eq!(check(0).await, Ok(()));
    // It doesn't answer at all.
    house.node.slow.store(true, Ordering::SeqCst);
    let began = Instant::now();
    assert_eq!(check(150).await, Err(NoCapacity::NotRunning));
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn rates_are_as_they_are_told() {
    let house = House::new().await;
    let all = house.get("", "/api/rates").await;
    let shape = r#"{"BTC":{"USD":39992,"EUR":35992.8},"timestamp":"2027-01-15T08:00:00Z","source":"market"}"#;
    assert_eq!((all.status, all.text.as_str()), (200, shape));
    for code in ["USD", "usd"] {
        let one = house.get("", &format!("/api/rates/{code}")).await;
        let shape =
            r#"{"currency":"USD","rate":39992,"inverse":0.000025005001,"timestamp":"2027-01-15T08:00:00Z"}"#;
        assert_eq!((one.status, one.text.as_str()), (200, shape));
    }
}
