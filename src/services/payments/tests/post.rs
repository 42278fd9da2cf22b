//! Webhooks on their way to a real receiver: signed, again and again until they arrive, and never to an inner host.

use std::collections::HashMap;
use std::net::IpAddr;
use std::pin::Pin;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::test_app::{HOUR, PAYMENTS, Setup, TestApp, id, order};
use crate::outbound::guard::{Guard, GuardSettings, Lookup};
use crate::outbound::webhooks::store::list;
use crate::outbound::webhooks::worker::{self, WorkerSettings};
use crate::services::payments::own_headers;

/// What a shop in another language does: exit code 0 for a webhook that may be believed.
const CHECK: &str = r"
import hashlib, hmac, sys
secret, header, body, now = sys.argv[1:]
parts = dict(part.split('=', 1) for part in header.split(','))
expected = hmac.new(secret.encode(), (parts['t'] + '.' + body).encode(), hashlib.sha256).hexdigest()
sys.exit(0 if hmac.compare_digest(expected, parts['v1']) and abs(int(now) - int(parts['t'])) <= 300 else 1)";

/// A shop's receiver.
#[derive(Clone, Default)]
struct Shop {
    got: Arc<Mutex<Vec<(HeaderMap, String)>>>,
    /// Takes what it gets, and then says that it did not.
    forgetful: Arc<AtomicBool>,
}

impl Shop {
    async fn open(&self, port: u16) -> (u16, JoinHandle<()>) {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let router = Router::new().route("/hook", post(take)).with_state(self.clone());
        let serving =
            crate::http::server::serve(listener, router, Default::default(), std::future::pending());
        (port, tokio::spawn(serving))
    }

    async fn wait_for(&self, enough: impl Fn(&[(HeaderMap, String)]) -> bool) -> Vec<(HeaderMap, String)> {
        let began = Instant::now();
        loop {
            let got = self.got.lock().unwrap().clone();
            if enough(&got) {
                return got;
            }
            assert!(began.elapsed() < Duration::from_secs(20), "only {got:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

async fn take(State(shop): State<Shop>, headers: HeaderMap, body: Bytes) -> StatusCode {
    shop.got.lock().unwrap().push((headers, String::from_utf8(body.to_vec()).unwrap()));
    let forgets = shop.forgetful.load(Ordering::SeqCst) && shop.got.lock().unwrap().len() % 2 == 1;
    if forgets { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK }
}

fn work(app: &TestApp) -> JoinHandle<()> {
    work_with(app, Duration::from_millis(30))
}

fn work_with(app: &TestApp, pause: Duration) -> JoinHandle<()> {
    let settings = WorkerSettings {
        pauses: vec![pause],
        own_headers: vec![("payments", own_headers)],
        ..WorkerSettings::default()
    };
    let client = app.guard.client(Duration::from_secs(2)).unwrap();
    let (store, outbox) = (app.ledger.store.clone(), app.outbox.clone());
    tokio::spawn(worker::run(store, outbox, client, settings, std::future::pending()))
}

/// An app that may call this machine.
async fn near() -> TestApp {
    let networks = vec!["127.0.0.0/8".parse().unwrap()];
    let guard = Guard::new(GuardSettings { allow_networks: networks, ..GuardSettings::default() });
    TestApp::with(Setup { guard, ..Setup::default() }).await
}

/// Whether a program in another language believes it.
#[track_caller]
fn believed(secret: &str, header: &str, body: &str, now: i64) -> bool {
    let checked =
        Command::new("python3").args(["-c", CHECK, secret, header, body, &now.to_string()]).output();
    checked.expect("this test needs Python: install the package python3").status.success()
}

/// The seconds in a header `t=…,v1=…`.
fn signed_at(header: &str) -> i64 {
    header[2..].split(',').next().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn another_language_believes_ours_and_nothing_that_is_tampered_with_or_old() {
    let (app, shop) = (near().await, Shop::default());
    let (port, _serving) = shop.open(0).await;
    let _worker = work(&app);
    let url = format!("http://127.0.0.1:{port}/hook");
    for secret in [None, Some("a secret of the shop's own: für ⚡")] {
        let change = json!({ "webhookUrl": url, "webhookSecret": secret });
        let settings = app.put(&app.shop, "/api/merchant/webhook-url", &change).await.ok();
        let secret = settings["webhookSecret"].as_str().unwrap().to_owned();
        let before = shop.got.lock().unwrap().len();
        let made = app.order(&json!({"orderId": format!("Größe {before}")})).await.created();
        app.pay(&made);
        let (headers, body) = shop.wait_for(|got| got.len() > before).await.pop().unwrap();
        let header = headers["x-lightningenable-signature"].to_str().unwrap();
        assert!(header.contains(&format!("t={},v1=", headers["webhook-timestamp"].to_str().unwrap())));
        assert!(headers["webhook-id"].to_str().unwrap().starts_with("msg_"));
        assert!(headers["webhook-signature"].to_str().unwrap().starts_with("v1,"));
        let sent = signed_at(header);
        assert!(believed(&secret, header, &body, sent + 5), "{header} {body}");
        assert!(!believed(&secret, header, &body.replace("paid", "free"), sent));
        assert!(!believed(&secret, header, &body, sent + 301));
        assert!(!believed("another secret", header, &body, sent));
        let younger = header.replace(&format!("t={sent}"), &format!("t={}", sent + 301));
        assert!(!believed(&secret, &younger, &body, sent + 301));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_try_is_signed_afresh() {
    let (app, shop) = (near().await, Shop::default());
    let (port, _serving) = shop.open(0).await;
    shop.forgetful.store(true, Ordering::SeqCst);
    // Long enough for another second to come.
    let _worker = work_with(&app, Duration::from_millis(1_300));
    let secret = app.listen(&format!("http://127.0.0.1:{port}/hook")).await;
    app.pay(&app.order(&json!({})).await.created());
    let got = shop.wait_for(|got| got.len() == 2).await;
    let text = |index: usize, name: &str| got[index].0[name].to_str().unwrap().to_owned();
    let [first, second] = [0, 1].map(|index| text(index, "x-lightningenable-signature"));
    assert!(signed_at(&second) > signed_at(&first), "{first} {second}");
    // As a receiver would that has the patience for one second: not the first's time, nor its signature.
    assert!(believed(&secret, &second, &got[1].1, signed_at(&second)));
    assert_eq!(text(1, "webhook-timestamp"), signed_at(&second).to_string());
    assert_ne!(text(0, "webhook-signature"), text(1, "webhook-signature"));
    assert_eq!((text(0, "webhook-id"), &got[0].1), (text(1, "webhook-id"), &got[1].1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_goes_to_the_new_address_signed_with_the_new_secret() {
    let (app, shop, rivals) = (near().await, Shop::default(), Shop::default());
    let nowhere = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    // Two accounts at one address, with one secret.
    let change = |port: u16, secret: &str| json!({ "webhookUrl": format!("http://127.0.0.1:{port}/hook"), "webhookSecret": secret });
    let path = "/api/merchant/webhook-url";
    let before = change(nowhere, "a secret of both shops");
    for key in [&app.shop, &app.rival] {
        app.put(key, path, &before).await.ok();
    }
    let _worker = work_with(&app, Duration::from_secs(2));
    let made = app.order(&json!({})).await.created();
    let theirs = app.post(&app.rival, PAYMENTS, &order(&json!({}))).await.created();
    app.pay(&made);
    app.pay(&theirs);
    let (port, _serving) = shop.open(0).await;
    app.put(&app.shop, path, &change(port, "a secret of the new place")).await.ok();
    let (headers, body) = shop.wait_for(|got| got.len() == 1).await.remove(0);
    let header = headers["x-lightningenable-signature"].to_str().unwrap();
    assert!(
        body.contains(&id(&made)) && believed("a secret of the new place", header, &body, signed_at(header))
    );
    // The other account's goes to where that listens, once somebody is there.
    let (_, _theirs) = rivals.open(nowhere).await;
    let (_, body) = rivals.wait_for(|got| got.len() == 1).await.remove(0);
    assert!(body.contains(&id(&theirs)));
    assert_eq!((shop.got.lock().unwrap().len(), rivals.got.lock().unwrap().len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_down_for_a_while_gets_every_event_once_after_its_own_dedupe() {
    let (app, shop) = (near().await, Shop::default());
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    app.listen(&format!("http://127.0.0.1:{port}/hook")).await;
    let _worker = work(&app);
    let mut expected = Vec::new();
    for number in 0..6 {
        let made = app.order(&json!({"orderId": number})).await.created();
        if number % 2 == 0 {
            app.pay(&made);
            expected.push(("payment.completed".to_owned(), id(&made)));
        } else {
            expected.push(("payment.expired".to_owned(), id(&made)));
        }
    }
    app.clock.advance(HOUR);
    app.payments.expire_due().await.unwrap();
    tokio::time::sleep(Duration::from_millis(150)).await;
    shop.forgetful.store(true, Ordering::SeqCst);
    let (_, _serving) = shop.open(port).await;
    let distinct = |got: &[(HeaderMap, String)]| -> HashMap<String, Value> {
        let each = got.iter().map(|(headers, body)| {
            (headers["webhook-id"].to_str().unwrap().to_owned(), serde_json::from_str(body).unwrap())
        });
        each.collect()
    };
    let got = shop.wait_for(|got| got.len() > 6 && distinct(got).len() == 6).await;
    let told = |event: &Value| {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&event["event"]), text(&event["data"]["invoiceId"]))
    };
    let mut told: Vec<_> = distinct(&got).values().map(told).collect();
    told.sort();
    expected.sort();
    assert_eq!(told, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn both_addresses_are_told_and_one_that_is_taken_away_is_not() {
    let app = TestApp::new().await;
    let path = "/api/merchant/webhook-url";
    let both = json!({"webhookUrl": "https://a.example/", "callbackUrl": "https://b.example/"});
    let settings = app.put(&app.shop, path, &both).await.ok();
    let made = app.order(&json!({})).await.created();
    app.pay(&made);
    assert_eq!(app.sent().len(), 2);
    let changed = app.put(&app.shop, path, &json!({"callbackUrl": null})).await.ok();
    assert_eq!(
        (&changed["webhookUrl"], &changed["callbackUrl"], &changed["webhookSecret"]),
        (&json!("https://a.example/"), &Value::Null, &settings["webhookSecret"])
    );
    let mut shown = app.get(&app.shop, path).await.ok();
    (shown["success"], shown["message"]) = (json!(true), changed["message"].clone());
    assert_eq!(shown, changed, "a change says that it was made");
    app.pay(&app.order(&json!({"orderId": "2"})).await.created());
    assert_eq!(app.sent().len(), 3);
    // Who gave no address is told nothing, and is paid all the same.
    app.put(&app.shop, path, &json!({"webhookUrl": null})).await.ok();
    app.pay(&app.order(&json!({"orderId": "3"})).await.created());
    assert_eq!((app.sent().len(), app.owed()), (3, 375_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn inner_addresses_are_refused_when_they_are_given() {
    let app = TestApp::new().await;
    for url in [
        "http://127.0.0.1/hook",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://[::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://localhost/",
        "http://shop.localhost/",
        "http://10.0.0.1/",
        "http://172.16.0.1/",
        "http://192.168.1.1/",
        "http://100.64.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://metadata.google.internal/",
        "https://user:password@shop.example/",
        "https://shop.example:25/",
        "ftp://shop.example/",
        "file:///etc/passwd",
        "shop.example/hook",
    ] {
        for name in ["webhookUrl", "callbackUrl"] {
            let path = "/api/merchant/webhook-url";
            let answer = app.put(&app.shop, path, &json!({ (name): url })).await;
            assert_eq!(answer.status, 400, "{url}");
            answer.is_error(400, "INVALID_URL", path);
        }
    }
    let settings = app.get(&app.shop, "/api/merchant/webhook-url").await.ok();
    assert_eq!((&settings["webhookUrl"], &settings["webhookSecret"]), (&Value::Null, &Value::Null));
}

/// A resolver that changes its mind.
struct Liar {
    asked: AtomicUsize,
    answers: Vec<IpAddr>,
}

impl Lookup for Liar {
    fn lookup(&self, _: String) -> Pin<Box<dyn Future<Output = std::io::Result<Vec<IpAddr>>> + Send>> {
        let turn = self.asked.fetch_add(1, Ordering::SeqCst).min(self.answers.len() - 1);
        let answer = self.answers[turn];
        Box::pin(async move { Ok(vec![answer]) })
    }
}

/// An app whose resolver gives these answers, one after the other, and the last for ever.
async fn lied_to(answers: &[&str]) -> TestApp {
    let answers = answers.iter().map(|answer| answer.parse().unwrap()).collect();
    let liar = Liar { asked: AtomicUsize::new(0), answers };
    let guard = Guard::with_lookup(GuardSettings::default(), Box::new(liar));
    TestApp::with(Setup { guard, ..Setup::default() }).await
}

const INNER: [&str; 5] = ["127.0.0.1", "169.254.169.254", "10.0.0.1", "::1", "::ffff:127.0.0.1"];

#[tokio::test(flavor = "multi_thread")]
async fn name_that_leads_inside_leads_nowhere() {
    let shop = Shop::default();
    let (port, _serving) = shop.open(0).await;
    for inner in INNER {
        let app = lied_to(&[inner]).await;
        app.listen(&format!("http://rebind.example:{port}/hook")).await;
        let worker = work(&app);
        app.pay(&app.order(&json!({})).await.created());
        let began = Instant::now();
        let error = loop {
            let read = app.ledger.store.read(|connection| list(connection, false, None, 1)).await;
            if let Some(error) = read.unwrap().remove(0).last_error {
                break error;
            }
            assert!(began.elapsed() < Duration::from_secs(10));
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        assert_eq!(error, "the host can't be reached", "{inner}");
        worker.abort();
    }
    assert_eq!(shop.got.lock().unwrap().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn webhook_s_name_is_taken_alike_wherever_it_leads() {
    let path = "/api/merchant/webhook-url";
    let mut answers = Vec::new();
    for leads in INNER.into_iter().chain(["8.8.8.8"]) {
        let app = lied_to(&[leads]).await;
        app.listen("http://rebind.example/hook").await;
        answers.push(app.get(&app.shop, path).await.ok()["webhookUrl"].clone());
    }
    answers.dedup();
    assert_eq!(answers, [json!("http://rebind.example/hook")]);
}
