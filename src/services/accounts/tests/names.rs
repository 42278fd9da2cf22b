//! Lightning addresses, names of BIP 353, and sweeps, on loopback.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::{Query, State};
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::test_app::{TestApp, rules, sat, to};
use crate::admin::{AccountAdmin, SweepRequest};
use crate::core::money::Msat;
use crate::lightning::sim::Sim;
use crate::outbound::lnurl::fake::dns_answer;

/// A host with a wallet behind a lightning address, and a DNS server that knows one name.
struct World {
    port: u16,
    asked: Arc<AtomicUsize>,
}

type Wallet = (Arc<Sim>, u16, Arc<AtomicUsize>);

async fn world(sim: Arc<Sim>, instructions: String) -> World {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::new(AtomicUsize::new(0));
    let pay = |State((_, port, _)): State<Wallet>| async move {
        let callback = format!("http://127.0.0.1:{port}/callback");
        let offer = json!({ "tag": "payRequest", "callback": callback, "minSendable": 1_000, "maxSendable": 900_000_000,
            "metadata": "[]" });
        offer.to_string()
    };
    let callback = |State((sim, _, asked)): State<Wallet>, Query(query): Query<Value>| async move {
        asked.fetch_add(1, Ordering::SeqCst);
        let msat = query["amount"].as_str().unwrap().parse().unwrap();
        let (invoice, _) = sim.invoice(Msat::new(msat).unwrap(), std::time::Duration::from_secs(600));
        json!({ "pr": invoice.to_string(), "routes": [] }).to_string()
    };
    let dns = move |Query(query): Query<Value>| {
        let question = URL_SAFE_NO_PAD.decode(query["dns"].as_str().unwrap()).unwrap();
        std::future::ready(dns_answer(&question, &[("bob", &instructions)]))
    };
    let router = Router::new()
        .route("/.well-known/lnurlp/alice", get(pay))
        .route("/callback", get(callback))
        .route("/dns-query", get(dns))
        .with_state((sim, port, Arc::clone(&asked)));
    tokio::spawn(async move {
        crate::http::server::serve(listener, router, Default::default(), std::future::pending()).await;
    });
    World { port, asked }
}

#[tokio::test(flavor = "multi_thread")]
async fn lightning_address_gets_all_of_it_once() {
    let app = TestApp::new().await;
    app.earn(sat(1_000));
    let world = world(Arc::clone(&app.sim), String::new()).await;
    let body = to(format!("alice@127.0.0.1:{}", world.port));
    let answers =
        futures_util::future::join_all((0..50).map(|number| {
            let (app, body) = (&app, &body);
            // Half of them are the same request.
            async move {
                app.once(body, &if number % 2 == 0 { "same".into() } else { format!("k{number}") }).await
            }
        }));
    let answers = answers.await;
    let made = answers.iter().filter(|answer| answer.status == 201).map(|answer| answer.text.clone());
    let mut made: Vec<_> = made.collect();
    made.dedup();
    assert_eq!(made.len(), 1, "{made:?}");
    assert!(made[0].contains("\"amountSat\":990"), "{made:?}");
    app.dispatch();
    assert_eq!(app.sim.under_way().len(), 1);
    let hash = app.sim.under_way()[0];
    app.sim.resolve(hash, true, Msat::ZERO);
    app.drain();
    assert_eq!(app.has(), (10_000, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn name_leads_to_its_instructions_and_else_to_a_lightning_address() {
    let first = TestApp::new().await;
    let instructions = format!("bitcoin:?lightning={}", first.open_invoice(7));
    let dns = world(Arc::clone(&first.sim), instructions).await;
    let app = TestApp::with(rules(), Some(&format!("http://127.0.0.1:{}/dns-query", dns.port))).await;
    app.earn(sat(1_000));
    let made = app.withdraw(&json!({ "target": "bob@example.com", "amountSat": 100 })).await.ok();
    assert_eq!((&made["type"], &made["target"]), (&json!("lightning"), &json!("bob@example.com")));
    app.arrives(&first.open_invoice(7), Msat::ZERO);
    // The name has the same invoice still, so this is the same withdrawal.
    let again = app.withdraw(&json!({ "target": "₿bob@example.com", "amountSat": 100 })).await;
    assert_eq!((again.status, &again.body()["withdrawalId"]), (200, &made["withdrawalId"]));
    assert_eq!(app.sim.delivered().values().copied().collect::<Vec<_>>(), [sat(100)]);
    // Nobody of that name: a lightning address, at a host that isn't there.
    app.withdraw(&to("carol@nowhere.invalid")).await.refused(409, "TARGET_UNREACHABLE");
    app.withdraw(&to("₿carol@nowhere.invalid")).await.refused(400, "INVALID_TARGET");
}

#[tokio::test(flavor = "multi_thread")]
async fn account_is_swept_when_there_is_enough() {
    let app = TestApp::new().await;
    let world = world(Arc::clone(&app.sim), String::new()).await;
    let target = format!("alice@127.0.0.1:{}", world.port);
    let wanted = SweepRequest { target: Some(target), min_sat: Some(500) };
    AccountAdmin::sweep(&app.accounts, "shop".into(), wanted).await.unwrap();
    app.earn(sat(499));
    assert_eq!(app.accounts.sweep_due().await.unwrap(), 0);
    app.earn(sat(501));
    assert_eq!(app.accounts.sweep_due().await.unwrap(), 1);
    assert_eq!(app.accounts.sweep_due().await.unwrap(), 0);
    app.dispatch();
    let hash = app.sim.under_way()[0];
    app.sim.resolve(hash, false, Msat::ZERO);
    app.drain();
    assert_eq!(app.has(), (1_000_000, 0));
    // One that failed is tried again, later.
    app.clock.advance(std::time::Duration::from_secs(61));
    assert_eq!(app.accounts.sweep_due().await.unwrap(), 1);
    assert_eq!(world.asked.load(Ordering::SeqCst), 2);
    let once = SweepRequest { target: Some(app.invoice(sat(1)).to_string()), min_sat: None };
    assert!(AccountAdmin::sweep(&app.accounts, "shop".into(), once).await.is_err());
    AccountAdmin::sweep(&app.accounts, "shop".into(), SweepRequest::default()).await.unwrap();
    let none = app.accounts.sweep_due().await.unwrap();
    assert_eq!(none, 0);
}
