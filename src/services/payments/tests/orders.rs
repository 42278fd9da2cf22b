//! The same order again, idempotency keys, lists.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use axum::http::Method;
use serde_json::{Value, json};

use super::answer::Answer;
use super::paying_app::PayingApp;
use super::test_app::{HOUR, PAYMENTS, Setup, TestApp, id, order};
use crate::core::money::Msat;

async fn with_key(app: &TestApp, header: &str, key: &str, body: &Value) -> Answer {
    let body = body.to_string();
    app.ask_with(Method::POST, &app.shop, PAYMENTS, Some(&body), &[(header, key)]).await
}

async fn by_order(app: &TestApp, order: &str) -> String {
    id(&app.get(&app.shop, &format!("{PAYMENTS}/order/{order}")).await.ok())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_waits_at_the_same_price_is_the_same_payment() {
    let app = TestApp::new().await;
    let first = app.order(&json!({})).await.created();
    // However the price is written.
    for amount in [json!(49.99), json!("49.990"), json!("4999e-2")] {
        let again = app.order(&json!({ "amount": amount, "currency": "usd" })).await;
        assert_eq!((again.status, id(&again.json())), (200, id(&first)), "{amount}");
    }
    let dearer = app.order(&json!({"amount": 50})).await.created();
    let other = app.order(&json!({"currency": "EUR"})).await.created();
    assert_eq!(HashSet::from([id(&first), id(&dearer), id(&other)]).len(), 3);
    // The newest counts.
    assert_eq!(by_order(&app, "ORDER-12345").await, id(&other));
    // The paid one before all, and then the order may be made anew.
    app.pay(&first);
    assert_eq!(by_order(&app, "ORDER-12345").await, id(&first));
    let again = app.order(&json!({})).await;
    again.is_error(409, "ORDER_PAID", PAYMENTS);
    assert_eq!(again.json()["invoiceId"], id(&first));
    app.order(&json!({"allowRepeat": "yes"})).await.is_error(400, "INVALID_FIELD", PAYMENTS);
    let next = app.order(&json!({"allowRepeat": true})).await.created();
    assert_ne!(id(&next), id(&first));
    assert_eq!(by_order(&app, "ORDER-12345").await, id(&first));
    // What is over is not handed out again.
    app.clock.advance(HOUR);
    app.payments.rates().refresh().await;
    assert_ne!(id(&app.order(&json!({"allowRepeat": true})).await.created()), id(&next));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_order_asked_many_times_at_once_is_one_payment() {
    let app = TestApp::new().await;
    let more = json!({});
    let ask = || app.order(&more);
    let answers = futures_util::future::join_all((0..20).map(|_| ask())).await;
    let ids: HashSet<_> = answers.iter().map(|answer| id(&answer.json())).collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_replays_the_first_answer() {
    let app = TestApp::new().await;
    let body = order(&json!({}));
    let first = with_key(&app, "X-Idempotency-Key", "k1", &body).await;
    assert_eq!((first.status, first.headers.get("x-idempotency-replayed")), (201, None));
    let made = first.json();
    app.pay(&made);
    // The other spelling of the header is the same key; the answer is the first one's, byte for byte.
    for header in ["X-Idempotency-Key", "Idempotency-Key"] {
        app.clock.advance(Duration::from_secs(11 * 3_600));
        let again = with_key(&app, header, "k1", &body).await;
        assert_eq!((again.status, &again.text), (201, &first.text));
        assert_eq!(again.headers["x-idempotency-replayed"], "true");
    }
    let other = order(&json!({"amount": 50}));
    let reuse = with_key(&app, "X-Idempotency-Key", "k1", &other).await;
    reuse.is_error(409, "IDEMPOTENCY_KEY_REUSE", PAYMENTS);
    // Another account's key is another key.
    let text = other.to_string();
    app.payments.rates().refresh().await;
    let headers = [("x-idempotency-key", "k1")];
    app.ask_with(Method::POST, &app.rival, PAYMENTS, Some(&text), &headers).await.created();
    // A refusal is not remembered.
    let wrong = order(&json!({"amount": 0}));
    with_key(&app, "X-Idempotency-Key", "k2", &wrong).await.is_error(400, "INVALID_AMOUNT", PAYMENTS);
    let other = order(&json!({"amount": 50, "allowRepeat": true}));
    with_key(&app, "X-Idempotency-Key", "k2", &other).await.created();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_many_times_at_once_is_one_payment() {
    let app = TestApp::new().await;
    let body = order(&json!({}));
    let ask = || with_key(&app, "X-Idempotency-Key", "k", &body);
    let answers = futures_util::future::join_all((0..20).map(|_| ask())).await;
    let texts: HashSet<_> = answers.iter().map(|answer| (answer.status, answer.text.clone())).collect();
    assert_eq!(texts.len(), 1);
    let fresh = answers.iter().filter(|answer| !answer.headers.contains_key("x-idempotency-replayed"));
    assert_eq!(fresh.count(), 1);
    let list = app.get(&app.shop, PAYMENTS).await.ok();
    assert_eq!(list["payments"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_order_with_another_key_needs_neither_rate_nor_node_nor_invoice() {
    let app = TestApp::with(Setup { budget: 1, ..Setup::default() }).await;
    let body = order(&json!({}));
    let first = with_key(&app, "X-Idempotency-Key", "k1", &body).await.created();
    app.market.0.store(true, Ordering::SeqCst);
    app.clock.advance(Duration::from_secs(301));
    app.payments.rates().refresh().await;
    app.node.running.store(false, Ordering::SeqCst);
    for key in ["k2", "k2", "k3"] {
        let again = with_key(&app, "X-Idempotency-Key", key, &body).await;
        assert_eq!((again.status, again.json()), (200, first.clone()), "{key}");
    }
    // They are remembered like every first answer.
    app.node.running.store(true, Ordering::SeqCst);
    app.pay(&first);
    let again = with_key(&app, "X-Idempotency-Key", "k3", &body).await;
    assert_eq!((again.status, again.json()), (200, first));
    let other = order(&json!({"amount": 50}));
    let reuse = with_key(&app, "X-Idempotency-Key", "k3", &other).await;
    reuse.is_error(409, "IDEMPOTENCY_KEY_REUSE", PAYMENTS);
    assert_eq!(app.node.words.lock().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_of_before_a_restart_is_found_whether_or_not_there_is_a_node() {
    let app = TestApp::new().await;
    let first = app.order(&json!({})).await.created();
    let again = async || {
        app.payments.0.recent.forget();
        let again = app.order(&json!({})).await;
        assert_eq!((again.status, again.json()), (200, first.clone()));
    };
    // It is found by the transaction, and the invoice made for it is in vain.
    again().await;
    assert_eq!(app.node.words.lock().unwrap().len(), 2);
    // From then on it is known, or not, and found before.
    app.node.running.store(false, Ordering::SeqCst);
    assert_eq!(app.order(&json!({})).await.json(), first);
    again().await;
    app.market.0.store(true, Ordering::SeqCst);
    app.clock.advance(Duration::from_secs(301));
    app.payments.rates().refresh().await;
    again().await;
    app.order(&json!({"orderId": "new"})).await.is_error(503, "RATE_UNAVAILABLE", PAYMENTS);
    assert_eq!(app.node.words.lock().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_that_nobody_needs_is_forgotten() {
    let app = TestApp::new().await;
    let (more, body) = (json!({}), order(&json!({"orderId": "keyed"})));
    let (plain, keyed) = (|| app.order(&more), || with_key(&app, "X-Idempotency-Key", "k", &body));
    futures_util::future::join_all((0..20).map(|_| plain())).await;
    futures_util::future::join_all((0..20).map(|_| keyed())).await;
    let made = app.node.words.lock().unwrap().len();
    let began = Instant::now();
    // Nobody waits for it, so it may take a moment.
    while app.sim.known() > 2 {
        assert!(began.elapsed() < Duration::from_secs(5), "{} of {made} are left", app.sim.known());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let list = app.get(&app.shop, PAYMENTS).await.ok();
    for payment in list["payments"].as_array().unwrap() {
        app.pay(payment);
        assert_eq!(app.status(&id(payment)).await, "paid");
    }
    assert_eq!(app.sim.known(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_went_back_does_not_hide_the_next_one() {
    let paying = PayingApp::new().await;
    let first = paying.paid(&json!({"amount": 100, "currency": "sats"})).await;
    paying.refund_of(&first, 100, &json!({"amount": 100, "currency": "sats"})).await.created();
    paying.finish(true, Msat::ZERO);
    assert_eq!(paying.status(&id(&first)).await, "refunded");
    assert_eq!(by_order(&paying, "ORDER-12345").await, id(&first));
    let next = paying.order(&json!({"amount": 100, "currency": "sats"})).await.created();
    assert_eq!(by_order(&paying, "ORDER-12345").await, id(&next));
    paying.pay(&next);
    paying.order(&json!({"amount": 100, "currency": "sats"})).await.is_error(409, "ORDER_PAID", PAYMENTS);
    paying.order(&json!({"amount": 100, "currency": "sats", "allowRepeat": true})).await.created();
    assert_eq!(by_order(&paying, "ORDER-12345").await, id(&next));
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_go_page_by_page_newest_first_and_by_status() {
    let app = TestApp::new().await;
    let mut made = Vec::new();
    for number in 0..7 {
        made.push(app.order(&json!({"orderId": number})).await.created());
    }
    app.post(&app.rival, PAYMENTS, &order(&json!({}))).await.created();
    app.pay(&made[1]);
    app.pay(&made[4]);
    let page = async |query: &str| {
        let list = app.get(&app.shop, &format!("{PAYMENTS}?{query}")).await.ok();
        let orders: Vec<u64> = list["payments"]
            .as_array()
            .unwrap()
            .iter()
            .map(|payment| payment["orderId"].as_str().unwrap().parse().unwrap())
            .collect();
        (orders, list["nextCursor"].as_str().map(str::to_owned))
    };
    let (mut seen, mut query) = (Vec::new(), "limit=3".to_owned());
    loop {
        let (orders, next) = page(&query).await;
        seen.push(orders);
        let Some(next) = next else { break };
        // What comes in between moves no page.
        app.order(&json!({"orderId": 100 + seen.len()})).await.created();
        query = format!("limit=3&cursor={next}");
    }
    assert_eq!(seen, [vec![6, 5, 4], vec![3, 2, 1], vec![0]]);
    assert_eq!(page("status=paid").await, (vec![4, 1], None));
    let (first, next) = page("status=PAID&limit=1").await;
    assert_eq!((first, page(&format!("status=paid&cursor={}", next.unwrap())).await.0), (vec![4], vec![1]));
    // To the second, though nobody has marked them yet.
    assert_eq!(page("status=unpaid&limit=100").await.0.len(), 7);
    app.clock.advance(HOUR);
    assert_eq!(page("status=unpaid").await, (vec![], None));
    assert!(page("status=expired&limit=100").await.0.is_empty());
    app.payments.expire_due().await.unwrap();
    assert_eq!(page("status=expired&limit=100").await.0, [102, 101, 6, 5, 3, 2, 0]);
    assert_eq!(page("limit=100").await.0.len(), 9);
}

#[tokio::test(flavor = "multi_thread")]
async fn order_ids_are_any_text() {
    let app = TestApp::new().await;
    for (number, name) in ["a/b", "ü 100%", "?x=1&y", "..", "inv_0", "#1"].into_iter().enumerate() {
        let made = app.order(&json!({"orderId": name, "amount": number + 1})).await.created();
        let escaped: String = name.bytes().map(|byte| format!("%{byte:02X}")).collect();
        assert_eq!(by_order(&app, &escaped).await, id(&made), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_description_that_an_invoice_can_not_hold_is_cut_between_letters() {
    let app = TestApp::new().await;
    app.order(&json!({"description": "é".repeat(500)})).await.created();
    assert_eq!(*app.node.words.lock().unwrap(), ["é".repeat(319)]);
}
