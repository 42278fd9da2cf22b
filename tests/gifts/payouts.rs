//! Payouts: told, held, raced for, settled inside.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::routing::post;
use regtest::InvoiceRequest;
use serde_json::json;

use super::test_server::TestServer;

type Heard = Arc<Mutex<Vec<(HeaderMap, String)>>>;

/// A sender's server.
async fn listener() -> (String, Heard) {
    let heard = Heard::default();
    let ears = Arc::clone(&heard);
    let hear = move |headers: HeaderMap, body: Bytes| {
        ears.lock().unwrap().push((headers, String::from_utf8(body.to_vec()).unwrap()));
        std::future::ready("thanks")
    };
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", socket.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(socket, Router::new().route("/hook", post(hear))).await });
    (url, heard)
}

/// `notify` is told once the payout has arrived, and not before.
pub async fn webhook_is_told_and_signed(server: &TestServer) {
    let (url, heard) = listener().await;
    let id = server.funded(json!({"amount": 1000, "notify": url, "notifySecret": "between us"})).await;
    assert!(!server.get(&format!("/gift/{id}")).await.text.contains(&url), "a recipient never sees it");
    server.redeem(&id, &server.invoice(1000).await).await.ok();
    server.spent(&id).await;
    let began = Instant::now();
    while heard.lock().unwrap().is_empty() {
        assert!(began.elapsed() < Duration::from_secs(20), "nobody was told");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let heard = heard.lock().unwrap();
    let (headers, body) = &heard[0];
    assert_eq!(*body, format!(r#"{{"id":"{id}","orderId":"{id}","amount":1000,"spent":true}}"#));
    for header in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        assert!(headers.contains_key(header), "{header}");
    }
    assert!(headers["webhook-signature"].to_str().unwrap().starts_with("v1,"));
}

/// A hold invoice keeps the gift pending for as long as it is held, through a restart; failed, it opens the
/// gift again; claimed, it ends spent.
pub async fn a_hold_invoice_keeps_it_pending(server: &TestServer) {
    let wallet = &server.network.wallets[1];
    let id = server.funded(json!({"amount": 3000})).await;
    let hold = async || wallet.invoice(InvoiceRequest::sat(3000).hold()).await.unwrap();
    let first = hold().await;
    let begun = server.redeem(&id, &first.invoice).await.ok();
    wallet.wait_held(&first.payment_hash, Duration::from_secs(30)).await.unwrap();
    let path = format!("/gift/{id}");
    assert_eq!(server.get(&path).await.ok()["spent"], "pending");
    server.network.satchel.restart().await.unwrap();
    server.network.wait_usable().await.unwrap();
    assert_eq!(server.get(&path).await.ok()["spent"], "pending");
    assert_eq!(server.redeem(&id, &first.invoice).await.ok(), begun);
    server.redeem(&id, &server.invoice(3000).await).await.is_error(400, "GIFT_REDEEM_PENDING");
    wallet.fail(&first.payment_hash).await.unwrap();
    let open = server.until(&path, |gift| gift["spent"] == false).await;
    assert!(open["withdrawalInfo"]["error"].is_string());
    let status = format!("/redeemStatus/{}", begun["withdrawalId"].as_str().unwrap());
    assert_eq!(server.get(&status).await.ok()["status"], "failed");

    let second = hold().await;
    server.redeem(&id, &second.invoice).await.ok();
    wallet.wait_held(&second.payment_hash, Duration::from_secs(30)).await.unwrap();
    assert_eq!(server.get(&path).await.ok()["spent"], "pending");
    wallet.claim(&second.payment_hash).await.unwrap();
    assert!(server.spent(&id).await["withdrawalInfo"].get("error").is_none());
}

/// 200 at once with different invoices: one payout.
pub async fn one_of_many_wins(server: &TestServer) {
    let id = server.funded(json!({"amount": 1000})).await;
    let mut invoices = Vec::new();
    for _ in 0..200 {
        invoices.push(server.network.wallets[1].invoice(InvoiceRequest::sat(1000)).await.unwrap());
    }
    let tries = invoices.iter().map(|invoice| server.redeem(&id, &invoice.invoice));
    let answers = futures_util::future::join_all(tries).await;
    let won = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(won, 1);
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        let code = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(matches!(code.as_str(), "GIFT_REDEEM_PENDING" | "GIFT_SPENT"), "{code}");
    }
    server.spent(&id).await;
    let mut paid = 0;
    for invoice in &invoices {
        let payment = server.network.wallets[1].payment(&invoice.payment_hash).await.unwrap();
        paid += u32::from(payment.status == regtest::wallet::PaymentStatus::Succeeded);
    }
    assert_eq!(paid, 1);
}

/// A gift redeemed into another gift's invoice of this node settles inside, and both histories are right.
pub async fn a_gift_pays_for_a_gift(server: &TestServer) {
    let id = server.funded(json!({"amount": 1000})).await;
    let other = server.create(json!({"amount": 1000})).await;
    server.redeem(&id, other["lightningInvoice"]["payreq"].as_str().unwrap()).await.ok();
    server.spent(&id).await;
    let (other_id, key) = (other["orderId"].as_str().unwrap(), other["manageKey"].as_str().unwrap());
    let shown = server.get(&format!("/gift/{other_id}/manage?key={key}")).await.ok();
    let events: Vec<_> =
        shown["history"].as_array().unwrap().iter().map(|entry| entry["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["created", "paid"]);
    server.redeem(other_id, &server.invoice(1000).await).await.ok();
    server.spent(other_id).await;
}
