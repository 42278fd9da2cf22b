//! Services that cheat, break, or lead elsewhere.

use std::time::Duration;

use serde_json::json;

use super::seller::PRICE;
use super::test_app::{TestApp, rules, sat, wide};
use crate::outbound::guard::GuardSettings;
use crate::services::purse::Rules;

#[tokio::test(flavor = "multi_thread")]
async fn service_that_asks_again_after_payment_is_not_paid_again() {
    let app = TestApp::new().await;
    app.earn(sat(1_000));
    let key = app.purse(wide(500)).await;
    for (payments, form) in [(1, "again"), (2, "raised")] {
        let body = json!({ "url": app.seller.url(form) });
        let answer = app.fetch_once(&key, &body, form).await.ok();
        assert_eq!((&answer["status"], &answer["paid"]["amountSat"]), (&json!(402), &json!(PRICE)), "{form}");
        assert_eq!(app.sim.delivered().len(), payments);
        // The same request again: still one payment.
        app.fetch_once(&key, &body, form).await.ok();
        assert_eq!(app.sim.delivered().len(), payments);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn invoice_for_another_amount_than_told_is_not_paid() {
    let app = TestApp::new().await;
    app.earn(sat(1_000));
    let key = app.purse(wide(500)).await;
    for form in ["lies", "draft-lies"] {
        app.fetch(&key, form).await.refused(502, "AMOUNT_MISMATCH");
    }
    app.fetch(&key, "nonsense").await.refused(502, "CHALLENGE_UNUSABLE");
    let answer = app.fetch(&key, "no-challenge").await.ok();
    assert_eq!(
        (&answer["status"], &answer["body"], &answer["paid"]),
        (&json!(402), &json!("pay by card"), &json!(null))
    );
    assert!(app.sim.delivered().is_empty());
    assert_eq!(app.has(), (1_000_000, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn large_slow_and_redirecting_answers_are_bounded() {
    let app = TestApp::with(Rules { answer_time: Duration::from_millis(300), ..rules() }).await;
    let key = app.purse(wide(500)).await;
    app.fetch(&key, "endless").await.refused(502, "ANSWER_TOO_LARGE");
    app.fetch(&key, "slow").await.refused(504, "UPSTREAM_TIMEOUT");
    let moved = app.fetch(&key, "redirect").await.ok();
    assert_eq!(moved["status"], 302);
    assert_eq!(moved["headers"]["location"], "http://169.254.169.254/latest/meta-data");
    assert_eq!(app.seller.asked(), 3);
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let body = json!({ "url": format!("http://{closed}/") });
    app.fetch_once(&key, &body, "").await.refused(502, "UPSTREAM_UNREACHABLE");
}

#[tokio::test(flavor = "multi_thread")]
async fn private_addresses_and_foreign_hosts_are_not_asked() {
    let app = TestApp::guarded(rules(), GuardSettings::default()).await;
    let key = app.purse(wide(500)).await;
    for url in [
        app.seller.url("free"),
        "http://[::1]/".into(),
        "http://169.254.169.254/".into(),
        "http://localhost/".into(),
    ] {
        app.fetch_once(&key, &json!({ "url": url }), "").await.refused(400, "INVALID_URL");
    }
    assert_eq!(app.seller.asked(), 0);
    let app = TestApp::with(rules()).await;
    let port = app.seller.port();
    for (number, hosts) in
        [vec!["api.example.com".to_owned()], vec![format!("127.0.0.1:{}", port ^ 1)], vec!["27.0.0.1".into()]]
            .into_iter()
            .enumerate()
    {
        let key = app.purse(crate::admin::NewPurse { name: number.to_string(), hosts, ..wide(1) }).await;
        let refused = app.fetch(&key, "free").await.refused(403, "HOST_NOT_ALLOWED");
        assert!(refused["detail"].as_str().unwrap().contains("127.0.0.1"), "{refused}");
    }
    assert_eq!(app.seller.asked(), 0);
    for (number, host) in ["127.0.0.1".to_owned(), format!("127.0.0.1:{port}")].into_iter().enumerate() {
        let key = app
            .purse(crate::admin::NewPurse { name: format!("ok{number}"), hosts: vec![host], ..wide(1) })
            .await;
        app.fetch(&key, "free").await.ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn service_that_breaks_when_it_is_paid_is_asked_again_and_not_paid_again() {
    let app = TestApp::with(Rules { answer_time: Duration::from_millis(500), ..rules() }).await;
    app.pump();
    app.earn(sat(1_000));
    let key = app.purse(wide(500)).await;
    app.seller.breaks(1);
    let body = json!({ "url": app.seller.url("l402") });
    let broken = app.fetch_once(&key, &body, "k").await.refused(504, "UPSTREAM_TIMEOUT");
    assert_eq!(broken["paid"]["amountSat"], PRICE);
    let answer = app.fetch_once(&key, &body, "k").await.ok();
    assert_eq!(
        (&answer["status"], &answer["paid"]["paymentId"]),
        (&json!(200), &broken["paid"]["paymentId"])
    );
    // Without a key the credential is found by its path.
    app.seller.breaks(1);
    let path = json!({ "url": app.seller.url("l402/other") });
    app.fetch_once(&key, &path, "").await.refused(504, "UPSTREAM_TIMEOUT");
    let answer = app.fetch_once(&key, &path, "").await.ok();
    assert_eq!((&answer["status"], &answer["credentialReused"]), (&json!(200), &json!(true)));
    assert_eq!(app.sim.delivered().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn public_host_is_not_asked_over_plain_http_unless_the_purse_allows_it() {
    let app = TestApp::with(Rules { network: bitcoin::Network::Bitcoin, ..rules() }).await;
    let key = app.purse(wide(500)).await;
    for url in ["http://shop.invalid/", "http://1.1.1.1/", "http://[2606:4700::1111]/"] {
        let refused = app.fetch_once(&key, &json!({ "url": url }), "").await.refused(403, "HTTP_NOT_ALLOWED");
        assert!(refused["detail"].as_str().unwrap().contains("--allow-http"), "{refused}");
    }
    // This machine is no way for others to listen on.
    app.fetch(&key, "free").await.ok();
    let new = crate::admin::NewPurse { name: "plain".into(), allow_http: true, ..wide(1) };
    let plain = app.purse(new).await;
    for (key, url) in [(&plain, "http://shop.invalid/"), (&key, "https://shop.invalid/")] {
        let asked = app.fetch_once(key, &json!({ "url": url }), "").await;
        assert!(matches!(asked.status, 502 | 504), "{asked:?}");
    }
    assert_eq!(app.shown(&plain).await["allowsHttp"], true);
}
