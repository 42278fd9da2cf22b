//! A price on any route.

use ::l402::Admitted;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::routing::get;
use axum::{Extension, Router};

use super::test_app::{Answer, TestApp, payment};
use crate::services::l402::Priced;

struct Shop {
    router: Router,
    calls: Arc<AtomicU32>,
    broken: Arc<AtomicBool>,
}

fn shop(app: &TestApp) -> Shop {
    let (calls, broken) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
    let (counted, breaks) = (Arc::clone(&calls), Arc::clone(&broken));
    let weather = get(move |paid: Option<Extension<Admitted>>| {
        counted.fetch_add(1, Ordering::SeqCst);
        let broken = breaks.load(Ordering::SeqCst);
        async move {
            match (broken, paid) {
                (true, _) => Err(StatusCode::BAD_GATEWAY),
                (false, paid) => Ok(format!("{:?}", paid.map(|Extension(paid)| paid.amount_sat))),
            }
        }
    });
    let priced = Priced::new(app.l402.clone(), 5).description("The weather");
    let inner = Router::new().route("/{town}", weather.layer(priced.clone()));
    let all = get(|| async { "all" }).layer(priced.clone().resource("everything"));
    let slow = get(std::future::pending::<&str>).layer(priced.clone());
    let one = get(|| async { "one" }).layer(priced.bundle("everything"));
    let router =
        Router::new().nest("/weather", inner).route("/all", all).route("/one", one).route("/slow", slow);
    Shop { router, calls, broken }
}

impl Shop {
    async fn ask(&self, path: &str, credential: Option<&str>) -> Answer {
        let mut request = Request::get(path);
        if let Some(credential) = credential {
            request = request.header("authorization", credential);
        }
        Answer::of(self.router.clone(), request.body(Body::empty()).unwrap()).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_path_is_sold_by_itself_and_the_handler_knows_what_was_paid() {
    let app = TestApp::new().await;
    let shop = shop(&app);
    let asked = shop.ask("/weather/ulm?day=1", None).await;
    assert_eq!(asked.offer()["resource"], "/weather/ulm");
    assert_eq!(shop.calls.load(Ordering::SeqCst), 0);
    let preimage = app.pay(asked.offer()["invoice"].as_str().unwrap());
    let shown = format!("L402 {}:{preimage}", asked.offer()["macaroon"].as_str().unwrap());
    let paid = shop.ask("/weather/ulm?day=2", Some(&shown)).await;
    assert_eq!((paid.status, paid.text.as_str()), (200, "Some(5)"));
    assert_eq!(shop.ask("/weather/bonn", Some(&shown)).await.status, 402);
    assert_eq!(*app.node.words.lock().unwrap(), ["The weather", "The weather"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_got_a_server_s_error_may_be_shown_again() {
    let app = TestApp::new().await;
    let shop = shop(&app);
    let asked = shop.ask("/weather/ulm", None).await;
    let preimage = app.pay(asked.offer()["invoice"].as_str().unwrap());
    let shown = super::test_app::payment(&asked.payment(), &preimage);
    shop.broken.store(true, Ordering::SeqCst);
    for _ in 0..2 {
        let failed = shop.ask("/weather/ulm", Some(&shown)).await;
        assert_eq!(failed.status, 502);
        assert!(!failed.headers.contains_key("payment-receipt"));
    }
    shop.broken.store(false, Ordering::SeqCst);
    let paid = shop.ask("/weather/ulm", Some(&shown)).await;
    assert_eq!(paid.status, 200);
    assert!(paid.headers.contains_key("payment-receipt"));
    assert_eq!(shop.ask("/weather/ulm", Some(&shown)).await.status, 402);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_opens_its_parts_and_no_part_the_bundle() {
    let app = TestApp::new().await;
    let shop = shop(&app);
    let buy = async |path: &str| {
        let asked = shop.ask(path, None).await;
        let preimage = app.pay(asked.offer()["invoice"].as_str().unwrap());
        let token = format!("L402 {}:{preimage}", asked.offer()["macaroon"].as_str().unwrap());
        (token, super::test_app::payment(&asked.payment(), &preimage))
    };
    let (all, all_once) = buy("/all").await;
    assert_eq!(shop.ask("/one", Some(&all)).await.text, "one");
    assert_eq!(shop.ask("/all", Some(&all)).await.text, "all");
    assert_eq!(shop.ask("/one", Some(&all_once)).await.text, "one");
    let (one, one_once) = buy("/one").await;
    assert_eq!(shop.ask("/one", Some(&one)).await.text, "one");
    assert_eq!(shop.ask("/all", Some(&one)).await.status, 402);
    assert_eq!(shop.ask("/all", Some(&one_once)).await.status, 402);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_path_is_too_long_to_be_sold() {
    let app = TestApp::new().await;
    let shop = shop(&app);
    let path = format!("/weather/{}", "a".repeat(3_000));
    let asked = shop.ask(&path, None).await;
    assert!(asked.offer()["resource"].as_str().unwrap().starts_with("sha256:"));
    let preimage = app.pay(asked.offer()["invoice"].as_str().unwrap());
    let shown = format!("L402 {}:{preimage}", asked.offer()["macaroon"].as_str().unwrap());
    assert_eq!(shop.ask(&path, Some(&shown)).await.status, 200);
    assert_eq!(shop.ask(&format!("{path}b"), Some(&shown)).await.status, 402);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_t_be_sold_now_says_which() {
    let app = TestApp::new().await;
    let shop = shop(&app);
    app.node.running.store(false, Ordering::SeqCst);
    for path in ["/weather/ulm", "/all"] {
        let refused = shop.ask(path, None).await;
        assert_eq!((refused.status, &refused.json()["instance"]), (503, &path.into()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_hangs_up_on_a_slow_handler_has_lost_nothing() {
    let app = TestApp::new().await;
    let shop = shop(&app);
    let asked = shop.ask("/slow", None).await;
    let preimage = app.pay(asked.offer()["invoice"].as_str().unwrap());
    let shown = payment(&asked.payment(), &preimage);
    for _ in 0..3 {
        let asking = tokio::time::timeout(Duration::from_millis(200), shop.ask("/slow", Some(&shown)));
        assert!(asking.await.is_err(), "it was let in, and hung up");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_credential_has_a_budget_of_its_own() {
    let mut setup = super::test_app::Setup::default();
    setup.rules.per_credential_per_minute = 3;
    let app = TestApp::with(setup).await;
    let shop = shop(&app);
    let buy = async |path: &str| {
        let asked = shop.ask(path, None).await;
        let preimage = app.pay(asked.offer()["invoice"].as_str().unwrap());
        let token = format!("L402 {}:{preimage}", asked.offer()["macaroon"].as_str().unwrap());
        (token, payment(&asked.payment(), &preimage))
    };
    let (busy, once) = buy("/weather/ulm").await;
    for _ in 0..3 {
        assert_eq!(shop.ask("/weather/ulm", Some(&busy)).await.status, 200);
    }
    let refused = shop.ask("/weather/ulm", Some(&busy)).await;
    assert_eq!((refused.status, refused.headers.contains_key("retry-after")), (429, true));
    // The same payment, which is not used up by that.
    assert_eq!(shop.ask("/weather/ulm", Some(&once)).await.status, 429);
    assert_eq!(shop.calls.load(Ordering::SeqCst), 3);
    let (another, _) = buy("/weather/ulm").await;
    assert_eq!(shop.ask("/weather/ulm", Some(&another)).await.status, 200);
}
