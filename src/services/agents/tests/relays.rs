//! A real relay: it gets all, in order, also if it was away, and forgets what is taken back.

use std::net::TcpListener;
use std::time::Duration;

use axum::http::Method;
use futures_util::{SinkExt, StreamExt};
use nostr::{Event, JsonUtil};
use nostr_relay_builder::LocalRelay;
use nostr_relay_builder::builder::RelayBuilder;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;

use super::test_app::{CAPABILITIES, REQUESTS, TestApp};
use crate::core::time::Clock;
use crate::services::agents::relays::run;

/// For all that takes a few tries.
const PATIENCE: Duration = Duration::from_secs(60);

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn url(port: u16) -> String {
    format!("ws://127.0.0.1:{port}")
}

async fn relay(port: u16) -> LocalRelay {
    let relay = LocalRelay::new(RelayBuilder::default().port(port));
    relay.run().await.unwrap();
    relay
}

/// What a relay has of these kinds, oldest first.
async fn has(port: u16, kinds: &[u16]) -> Vec<Event> {
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let (mut socket, _) = client_async(url(port), stream).await.unwrap();
    socket.send(Message::text(json!(["REQ", "all", { "kinds": kinds }]).to_string())).await.unwrap();
    let mut found = Vec::new();
    loop {
        let Message::Text(text) = socket.next().await.unwrap().unwrap() else { continue };
        let said: Value = serde_json::from_str(text.as_str()).unwrap();
        match said[0].as_str().unwrap() {
            "EVENT" => found.push(Event::from_json(said[2].to_string()).unwrap()),
            "EOSE" => break,
            other => panic!("{other}: {said}"),
        }
    }
    found.sort_by_key(|event| event.created_at);
    for event in &found {
        event.verify().unwrap();
    }
    found
}

fn keep_informed(app: &TestApp, url: &str) -> (watch::Sender<bool>, JoinHandle<()>) {
    let (stop, mut stopped) = watch::channel(false);
    let task = tokio::spawn(run(
        app.store.clone(),
        app.clock.clone(),
        app.listings.publisher().clone(),
        url.to_owned(),
        async move {
            let _ = stopped.wait_for(|stop| *stop).await;
        },
    ));
    (stop, task)
}

async fn until<F: Future<Output = bool>>(what: &str, look: impl Fn() -> F) {
    let waited = async {
        while !look().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waited).await.unwrap_or_else(|_| panic!("{what}"));
}

async fn waiting(app: &TestApp) -> u64 {
    app.agents.relays().await.unwrap().iter().map(|relay| relay.waiting).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn events_arrive_and_what_is_taken_back_is_gone() {
    let port = free_port();
    let _relay = relay(port).await;
    let app = TestApp::with(&[url(port)], Clock::system()).await;
    let (stop, task) = keep_informed(&app, &url(port));
    let (kept, gone) = (app.offer(&json!({})).await, app.offer(&json!({})).await);
    let body = json!({ "capabilityEventId": gone["eventId"], "budgetSats": 7, "parameters": null });
    app.post(&app.buyer, REQUESTS, &body).await.made();
    until("all arrive", || async { waiting(&app).await == 0 }).await;
    assert_eq!(has(port, &[38_400]).await.len(), 2);
    assert_eq!((has(port, &[38_401]).await.len(), has(port, &[38_402]).await.len()), (1, 1));
    app.buy(&gone["l402Endpoint"]).await;
    let id = gone["l402Endpoint"].as_str().unwrap().rsplit('/').next().unwrap();
    app.post(&app.seller, &format!("/api/proxy/{id}/unpublish"), &json!({})).await.made();
    until("all arrive", || async { waiting(&app).await == 0 }).await;
    let left = has(port, &[38_400]).await;
    let ids: Vec<_> = left.iter().map(|event| event.id.to_hex()).collect();
    assert_eq!(ids, [kept["eventId"].as_str().unwrap()]);
    let agreements = has(port, &[38_402]).await;
    assert_eq!(agreements.len(), 1, "the completed one replaced the active one");
    assert!(agreements[0].tags.iter().any(|tag| tag.as_slice() == ["status", "completed"]));
    assert_eq!(has(port, &[5]).await.len(), 1);
    stop.send(true).unwrap();
    task.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_was_away_gets_what_is_current_when_it_is_back() {
    let port = free_port();
    let app = TestApp::with(&[url(port)], Clock::system()).await;
    let (stop, task) = keep_informed(&app, &url(port));
    let (first, second) = (app.offer(&json!({})).await, app.offer(&json!({})).await);
    until("it is known to be away", || async {
        app.agents.relays().await.unwrap().iter().any(|relay| relay.failures > 0)
    })
    .await;
    let status = app.agents.relays().await.unwrap().remove(0);
    assert!(status.last_error.is_some() && status.waiting == 2, "{status:?}");
    // What is replaced meanwhile doesn't pile up.
    for price in 8..20 {
        let id = first["l402Endpoint"].as_str().unwrap().rsplit('/').next().unwrap();
        let body = json!({ "defaultPriceSats": price });
        app.ask(Method::PUT, &app.seller, &format!("/api/proxy/{id}"), Some(&body), &[]).await.made();
    }
    let path = format!("{CAPABILITIES}/{}", second["eventId"].as_str().unwrap());
    app.ask(Method::DELETE, &app.seller, &path, None, &[]).await.made();
    assert_eq!(waiting(&app).await, 3, "a listing, and the end of another with its deletion");
    let relay_back = relay(port).await;
    until("all arrive", || async { waiting(&app).await == 0 }).await;
    let has_now = has(port, &[38_400]).await;
    assert_eq!(has_now.len(), 1);
    assert!(has_now[0].tags.iter().any(|tag| tag.as_slice()[..2] == ["price", "19"]));
    assert_eq!(app.agents.relays().await.unwrap()[0].failures, 0);
    // And once more: gone, and back.
    relay_back.shutdown();
    drop(relay_back);
    stop.send(true).unwrap();
    task.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_relay_gets_what_is_current_and_an_old_one_is_forgotten() {
    let (old, new) = (free_port(), free_port());
    let app = TestApp::with(&[url(old)], Clock::system()).await;
    app.offer(&json!({})).await;
    app.offer(&json!({})).await;
    assert_eq!(waiting(&app).await, 2);
    let key =
        crate::services::agents::ServerKey::derive(&crate::core::ids::Secret::new(super::test_app::WORDS))
            .unwrap();
    let relays = [url(new)];
    let store = app.store.clone();
    let again = move || crate::services::agents::Publisher::new(&store, key, &relays).unwrap();
    tokio::task::block_in_place(again);
    let status = app.agents.relays().await.unwrap();
    assert_eq!(
        status.iter().map(|relay| (relay.url.clone(), relay.waiting)).collect::<Vec<_>>(),
        [(url(new), 2)]
    );
    let _relay = relay(new).await;
    let (stop, task) = keep_informed(&app, &url(new));
    until("all arrive", || async { waiting(&app).await == 0 }).await;
    assert_eq!(has(new, &[38_400]).await.len(), 2);
    stop.send(true).unwrap();
    task.await.unwrap();
}
