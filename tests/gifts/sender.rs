//! The sender's side: many at once, taking back, going back, watching.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::routing::get;
use axum::{Json, Router};
use regtest::{InvoiceRequest, Wallet};
use serde_json::{Value, json};

use super::test_server::TestServer;

fn now_secs() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

fn events(shown: &Value) -> Vec<&str> {
    shown["history"].as_array().unwrap().iter().map(|entry| entry["event"].as_str().unwrap()).collect()
}

async fn manage(server: &TestServer, created: &Value) -> Value {
    let (id, key) = (created["orderId"].as_str().unwrap(), created["manageKey"].as_str().unwrap());
    server.get(&format!("/gift/{id}/manage?key={key}")).await.ok()
}

/// One invoice pays for all; each is redeemed by itself.
pub async fn a_batch(server: &TestServer) {
    let created = server.create(json!({"amount": 1000, "quantity": 5})).await;
    let gifts = created["gifts"].as_array().unwrap();
    assert_eq!(gifts.len(), 5);
    server.fund(&created).await;
    for gift in gifts {
        let id = gift["orderId"].as_str().unwrap();
        server.redeem(id, &server.invoice(1000).await).await.ok();
    }
    for gift in gifts {
        server.spent(gift["orderId"].as_str().unwrap()).await;
    }
}

/// A refund by the manage key.
pub async fn takes_it_back(server: &TestServer) {
    let created = server.create(json!({"amount": 1000, "verifyCode": 1234})).await;
    let id = created["orderId"].as_str().unwrap();
    server.fund(&created).await;
    let invoice = server.network.wallets[0].invoice(InvoiceRequest::sat(1000)).await.unwrap().invoice;
    let path = format!("/gift/{id}/refund");
    let wrong = json!({"key": "0".repeat(64), "invoice": invoice});
    server.post(&path, &wrong).await.is_error(404, "GIFT_NOT_FOUND");
    let right = json!({"key": created["manageKey"], "invoice": invoice});
    let begun = server.post(&path, &right).await.ok();
    assert_eq!(begun["withdrawalId"], begun["withdrawal_id"]);
    let seen = server.until(&format!("/gift/{id}?verifyCode=1234"), |gift| gift["spent"] == true).await;
    assert_eq!((&seen["state"], seen.get("withdrawalInfo")), (&json!("returned"), None));
    assert_eq!(events(&manage(server, &created).await), ["created", "paid", "returning", "returned"]);
    server.redeem(id, &server.invoice(1000).await).await.is_error(400, "GIFT_SPENT");
}

type Params = Query<std::collections::HashMap<String, String>>;

/// A lightning address of a wallet; where it is.
async fn address_of(wallet: Arc<Wallet>) -> String {
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = socket.local_addr().unwrap();
    let offer = json!({
        "tag": "payRequest", "callback": format!("http://{host}/pay?x=1"), "minSendable": 1_000,
        "maxSendable": 1_000_000_000, "metadata": "[[\"text/plain\",\"me\"]]",
    });
    let pay = async |State(wallet): State<Arc<Wallet>>, Query(params): Params| {
        let msat = params["amount"].parse().unwrap();
        let invoice = wallet.invoice(InvoiceRequest::msat(msat)).await.unwrap().invoice;
        Json(json!({"pr": invoice, "routes": []}))
    };
    let routes = Router::new()
        .route("/.well-known/lnurlp/me", get(move || std::future::ready(Json(offer.clone()))))
        .route("/pay", get(pay))
        .with_state(wallet);
    tokio::spawn(async move { axum::serve(socket, routes).await });
    format!("me@{host}")
}

/// What nobody redeems in time goes back to the sender's lightning address.
pub async fn it_goes_back_by_itself(server: &TestServer) {
    let address = address_of(Arc::clone(&server.network.wallets[0])).await;
    let body = json!({"amount": 1000, "expiresAt": now_secs() + 4, "refundAddress": address});
    let created = server.create(body).await;
    server.fund(&created).await;
    let id = created["orderId"].as_str().unwrap();
    let seen = server.until(&format!("/gift/{id}"), |gift| gift["state"] == "returned").await;
    assert_eq!(seen["spent"], true);
    let shown = manage(server, &created).await;
    assert_eq!(events(&shown), ["created", "paid", "expired", "returning", "returned"]);
    assert_eq!(shown["refundAddress"], address);
}

/// The live stream tells each change.
pub async fn a_page_follows_it(server: &TestServer) {
    let created = server.create(json!({"amount": 1000})).await;
    let id = created["orderId"].as_str().unwrap();
    let mut stream = server.http.get(server.url(&format!("/live/gift/{id}"))).send().await.unwrap();
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let mut heard = String::new();
    let mut until = async |wanted: &str| {
        while !heard.contains(wanted) {
            let chunk = tokio::time::timeout(Duration::from_secs(30), stream.chunk()).await;
            let chunk = chunk.unwrap_or_else(|_| panic!("{wanted} never came: {heard}"));
            heard.push_str(std::str::from_utf8(&chunk.unwrap().unwrap()).unwrap());
        }
    };
    until(r#""state":"unpaid""#).await;
    server.fund(&created).await;
    until(r#""state":"open""#).await;
    server.redeem(id, &server.invoice(1000).await).await.ok();
    until(r#""state":"redeemed""#).await;
    assert!(heard.contains("event: state"), "{heard}");
}
