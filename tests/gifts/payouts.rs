//! Payouts: told, held, raced for, settled inside.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::routing::post;
use regtest::InvoiceRequest;
use serde_json::{Value, json};

use super::door::Door;

type Heard = Arc<Mutex<Vec<(HeaderMap, Value)>>>;

/// A sender's server.
async fn listener() -> (String, Heard) {
    let heard = Heard::default();
    let ears = Arc::clone(&heard);
    let hear = move |headers: HeaderMap, body: Bytes| {
        ears.lock().unwrap().push((headers, serde_json::from_slice(&body).unwrap()));
        std::future::ready("thanks")
    };
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", socket.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(socket, Router::new().route("/hook", post(hear))).await });
    (url, heard)
}

/// `notify` is told once the payout has arrived, and not before.
pub async fn webhook_is_told_and_signed(door: &Door) {
    let (url, heard) = listener().await;
    let id = door.funded(json!({"amount": 1000, "notify": url, "notifySecret": "between us"})).await;
    assert!(!door.get(&format!("/gift/{id}")).await.text.contains(&url), "a recipient never sees it");
    door.redeem(&id, &door.invoice(1000).await).await.ok();
    door.spent(&id).await;
    let began = Instant::now();
    while heard.lock().unwrap().is_empty() {
        assert!(began.elapsed() < Duration::from_secs(20), "nobody was told");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let heard = heard.lock().unwrap();
    let (headers, body) = &heard[0];
    assert_eq!(*body, json!({"id": id, "orderId": id, "amount": 1000, "spent": true}));
    for header in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        assert!(headers.contains_key(header), "{header}");
    }
    assert!(headers["webhook-signature"].to_str().unwrap().starts_with("v1,"));
}

/// A hold invoice keeps the gift pending for as long as it is held, through a restart; failed, it opens the
/// gift again; claimed, it ends spent.
pub async fn a_hold_invoice_keeps_it_pending(door: &Door) {
    let wallet = &door.network.wallets[1];
    let id = door.funded(json!({"amount": 3000})).await;
    let hold = async || wallet.invoice(InvoiceRequest::sat(3000).hold()).await.unwrap();
    let first = hold().await;
    let begun = door.redeem(&id, &first.invoice).await.ok();
    wallet.wait_held(&first.payment_hash, Duration::from_secs(30)).await.unwrap();
    let path = format!("/gift/{id}");
    assert_eq!(door.get(&path).await.ok()["spent"], "pending");
    door.network.satchel.restart().await.unwrap();
    door.network.wait_usable().await.unwrap();
    assert_eq!(door.get(&path).await.ok()["spent"], "pending");
    assert_eq!(door.redeem(&id, &first.invoice).await.ok(), begun);
    door.redeem(&id, &door.invoice(3000).await).await.is_error(400, "GIFT_REDEEM_PENDING");
    wallet.fail(&first.payment_hash).await.unwrap();
    let open = door.until(&path, |gift| gift["spent"] == false).await;
    assert!(open["withdrawalInfo"]["error"].is_string());
    let status = format!("/redeemStatus/{}", begun["withdrawalId"].as_str().unwrap());
    assert_eq!(door.get(&status).await.ok()["status"], "failed");

    let second = hold().await;
    door.redeem(&id, &second.invoice).await.ok();
    wallet.wait_held(&second.payment_hash, Duration::from_secs(30)).await.unwrap();
    assert_eq!(door.get(&path).await.ok()["spent"], "pending");
    wallet.claim(&second.payment_hash).await.unwrap();
    assert!(door.spent(&id).await["withdrawalInfo"].get("error").is_none());
}

/// 200 at once with different invoices: one payout.
pub async fn one_of_many_wins(door: &Door) {
    let id = door.funded(json!({"amount": 1000})).await;
    let mut invoices = Vec::new();
    for _ in 0..200 {
        invoices.push(door.network.wallets[1].invoice(InvoiceRequest::sat(1000)).await.unwrap());
    }
    let tries = invoices.iter().map(|invoice| door.redeem(&id, &invoice.invoice));
    let answers = futures_util::future::join_all(tries).await;
    let won = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(won, 1);
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        let code = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(matches!(code.as_str(), "GIFT_REDEEM_PENDING" | "GIFT_SPENT"), "{code}");
    }
    door.spent(&id).await;
    let mut paid = 0;
    for invoice in &invoices {
        let payment = door.network.wallets[1].payment(&invoice.payment_hash).await.unwrap();
        paid += u32::from(payment.status == regtest::wallet::PaymentStatus::Succeeded);
    }
    assert_eq!(paid, 1);
}

/// A gift redeemed into another gift's invoice of this node settles inside, and both histories are right.
pub async fn a_gift_pays_for_a_gift(door: &Door) {
    let id = door.funded(json!({"amount": 1000})).await;
    let other = door.create(json!({"amount": 1000})).await;
    door.redeem(&id, other["lightningInvoice"]["payreq"].as_str().unwrap()).await.ok();
    door.spent(&id).await;
    let (other_id, key) = (other["orderId"].as_str().unwrap(), other["manageKey"].as_str().unwrap());
    let shown = door.get(&format!("/gift/{other_id}/manage?key={key}")).await.ok();
    let events: Vec<_> =
        shown["history"].as_array().unwrap().iter().map(|entry| entry["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["created", "paid"]);
    door.redeem(other_id, &door.invoice(1000).await).await.ok();
    door.spent(other_id).await;
}
