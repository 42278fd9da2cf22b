//! Wallets as LNURL clients, against a small service that is written here from the LNURL documents.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test's helpers fail it")]

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Query, State};
use axum::routing::get;
use axum::{Json, Router};
use ldk_node::bitcoin::hashes::{Hash, sha256};
use ldk_node::bitcoin::hex::FromHex;
use ldk_node::bitcoin::secp256k1::ecdsa::Signature;
use ldk_node::bitcoin::secp256k1::{Message, PublicKey, Secp256k1};
use regtest::wallet::PaymentStatus;
use regtest::{InvoiceRequest, Network, Wallet, WalletError};
use serde_json::{Value, json};

const K1: &str = "e2af6254a8df433264fa23f67eb8188635d15ce883e8fc020989d5f82ae6f11e";

struct Service {
    wallet: Arc<Wallet>,
    url: String,
    /// What callbacks were asked.
    seen: Mutex<Vec<HashMap<String, String>>>,
}

type Params = Query<HashMap<String, String>>;
type Shared = State<Arc<Service>>;

async fn serve(wallet: Arc<Wallet>) -> Arc<Service> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let service = Arc::new(Service { wallet, url, seen: Mutex::default() });
    let routes = Router::new()
        .route("/w", get(withdraw))
        .route("/w/done", get(withdraw_done))
        .route("/empty", get(|| async { Json(json!({"status": "ERROR", "reason": "nothing left"})) }))
        .route("/.well-known/lnurlp/ann", get(pay))
        .route("/p/done", get(pay_done))
        .route("/login", get(login))
        .with_state(Arc::clone(&service));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    service
}

async fn withdraw(State(service): Shared, Query(params): Params) -> Json<Value> {
    let callback = format!("{}/w/done?to={}", service.url, params.get("to").map_or("ok", String::as_str));
    Json(json!({"tag": "withdrawRequest", "callback": callback, "k1": K1, "defaultDescription": "A gift",
        "minWithdrawable": 1_000, "maxWithdrawable": 5_000_000}))
}

async fn withdraw_done(State(service): Shared, Query(params): Params) -> Json<Value> {
    let refuse = params["to"] != "ok";
    let invoice = params["pr"].clone();
    service.seen.lock().unwrap().push(params);
    if refuse {
        return Json(json!({"status": "ERROR", "reason": "already redeemed"}));
    }
    tokio::spawn(async move { service.wallet.pay(&invoice).await });
    Json(json!({"status": "OK"}))
}

fn metadata() -> String {
    json!([["text/plain", "Tip Ann"], ["text/identifier", "ann@127.0.0.1"]]).to_string()
}

async fn pay(State(service): Shared) -> Json<Value> {
    Json(json!({"tag": "payRequest", "callback": format!("{}/p/done", service.url), "minSendable": 1_000,
        "maxSendable": 9_000_000, "metadata": metadata(), "commentAllowed": 20}))
}

async fn pay_done(State(service): Shared, Query(params): Params) -> Json<Value> {
    let amount = params["amount"].parse().unwrap();
    service.seen.lock().unwrap().push(params);
    if amount == 2_000 {
        return Json(json!({"status": "ERROR", "reason": "not today"}));
    }
    let request = InvoiceRequest::msat(amount);
    // For this amount it breaks the rule that the invoice commits to the metadata.
    let request = match amount {
        3_000 => request.description("in words"),
        _ => request.description_hash(sha256::Hash::hash(metadata().as_bytes()).to_byte_array()),
    };
    let invoice = service.wallet.invoice(request).await.unwrap();
    Json(
        json!({"pr": invoice.invoice, "routes": [], "successAction": {"tag": "message", "message": "Thanks"}}),
    )
}

async fn login(State(service): Shared, Query(params): Params) -> Json<Value> {
    let digest = <[u8; 32]>::from_hex(&params["k1"]).unwrap();
    let signature = Signature::from_str(&params["sig"]).unwrap();
    let key = PublicKey::from_str(&params["key"]).unwrap();
    let valid = Secp256k1::new().verify_ecdsa(&Message::from_digest(digest), &signature, &key).is_ok();
    service.seen.lock().unwrap().push(params);
    match valid {
        true => Json(json!({"status": "OK", "event": "LOGGEDIN"})),
        false => Json(json!({"status": "ERROR", "reason": "bad signature"})),
    }
}

fn reason(error: WalletError) -> String {
    match error {
        WalletError::Failed(reason) => reason,
        other => panic!("not refused by the service: {other:?}"),
    }
}

#[tokio::test]
async fn withdraws_pays_and_logs_in() {
    let network = Network::builder().start_without_satchel().await.unwrap();
    let (ann, bob) = (&network.wallets[0], &network.wallets[1]);
    network.connect(ann, bob, 16_000_000).await.unwrap();
    let service = serve(Arc::clone(ann)).await;
    let url = &service.url;

    // Withdraw: the most by default, an amount on wish, a refusal with its reason.
    let done = bob.lnurl_withdraw(&format!("{url}/w"), None).await.unwrap();
    assert_eq!(done.status, "OK");
    let end = std::time::Instant::now() + Duration::from_secs(20);
    while bob.payment(&done.payment_hash).await.unwrap().status != PaymentStatus::Succeeded {
        assert!(std::time::Instant::now() < end);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(bob.payment(&done.payment_hash).await.unwrap().amount_msat, Some(5_000_000));
    bob.lnurl_withdraw(&format!("{url}/w"), Some(7)).await.unwrap();
    assert_eq!(service.seen.lock().unwrap().last().unwrap()["k1"], K1);
    let refused = bob.lnurl_withdraw(&format!("{url}/w?to=fail"), None).await.unwrap_err();
    assert_eq!(reason(refused), "already redeemed");
    assert_eq!(reason(bob.lnurl_withdraw(&format!("{url}/empty"), None).await.unwrap_err()), "nothing left");
    for (link, amount) in [("/w", Some(5_001)), ("/.well-known/lnurlp/ann", None)] {
        let wrong = bob.lnurl_withdraw(&format!("{url}{link}"), amount).await;
        assert!(matches!(wrong, Err(WalletError::BadRequest(_))), "{wrong:?}");
    }

    // Pay: refusals come through, and an invoice that doesn't commit to the metadata isn't paid.
    let address = format!("ann@{}", url.trim_start_matches("http://"));
    assert_eq!(reason(bob.lnurl_pay(&address, 2, None).await.unwrap_err()), "not today");
    let words = bob.lnurl_pay(&address, 3, Some("a & b")).await.unwrap_err();
    assert!(reason(words).contains("metadata"));
    let asked = service.seen.lock().unwrap().last().unwrap().clone();
    assert_eq!((asked["amount"].as_str(), asked["comment"].as_str()), ("3000", "a & b"));
    let paid = bob.lnurl_pay(&address, 4, None).await.unwrap();
    assert_eq!(paid.success_action, Some(json!({"tag": "message", "message": "Thanks"})));
    assert_eq!(ann.payment(&paid.payment_hash).await.unwrap().amount_msat, Some(4_000));

    // Auth: the same key each time, verified by the service.
    let link = format!("{url}/login?tag=login&k1={K1}");
    let first = bob.lnurl_auth(&link).await.unwrap();
    assert_eq!((first.status.as_str(), first.event.as_deref()), ("OK", Some("LOGGEDIN")));
    assert_eq!(bob.lnurl_auth(&link).await.unwrap().key, first.key);
    assert_ne!(ann.lnurl_auth(&link).await.unwrap().key, first.key);
    network.shutdown().await.unwrap();
}
