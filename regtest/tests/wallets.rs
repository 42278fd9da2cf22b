//! Wallets among themselves on a real chain: invoices, payments, hold invoices, restarts, both faces.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test's helpers fail it")]

use std::sync::Arc;
use std::time::Duration;

use regtest::wallet::PaymentStatus;
use regtest::{InvoiceRequest, Network, PayRequest, Wallet, WalletError, WalletNetwork};
use serde_json::{Value, json};

const CHANNEL_SAT: u64 = 16_000_000;
const SOON: Duration = Duration::from_secs(20);

async fn pair() -> (WalletNetwork, Arc<Wallet>, Arc<Wallet>) {
    let network = Network::builder().start_without_satchel().await.unwrap();
    let (ann, bob) = (Arc::clone(&network.wallets[0]), Arc::clone(&network.wallets[1]));
    network.connect(&ann, &bob, CHANNEL_SAT).await.unwrap();
    (network, ann, bob)
}

/// Waits until a wallet's record of a payment has a status.
async fn reaches(wallet: &Wallet, payment_hash: &str, status: PaymentStatus) {
    for _ in 0..200 {
        if wallet.payment(payment_hash).await.unwrap().status == status {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{} never saw {payment_hash} as {status:?}", wallet.name());
}

async fn post(url: &str, path: &str, body: Value) -> (u16, Value) {
    let answer = reqwest::Client::new().post(format!("{url}{path}")).json(&body).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn get(url: &str, path: &str) -> (u16, Value) {
    let answer = reqwest::get(format!("{url}{path}")).await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test]
async fn pays_both_ways_and_survives_a_restart() {
    let (network, ann, bob) = pair().await;

    let invoice = bob.invoice(InvoiceRequest::sat(5_000).description("coffee")).await.unwrap();
    let paid = ann.pay(&invoice.invoice).await.unwrap();
    assert_eq!((paid.payment_hash.as_str(), paid.fee_msat), (invoice.payment_hash.as_str(), 0));
    reaches(&bob, &invoice.payment_hash, PaymentStatus::Succeeded).await;
    let (sent, received) =
        (ann.payment(&paid.payment_hash).await.unwrap(), bob.payment(&paid.payment_hash).await.unwrap());
    assert_eq!((sent.direction.as_str(), received.direction.as_str()), ("outbound", "inbound"));
    assert_eq!((sent.amount_msat, received.amount_msat), (Some(5_000_000), Some(5_000_000)));
    assert_eq!(sent.preimage, Some(paid.preimage));

    let twice = ann.pay(&invoice.invoice).await.unwrap_err();
    assert!(matches!(twice, WalletError::Failed(_)), "{twice}");

    let open = ann.invoice(InvoiceRequest::open()).await.unwrap();
    let missing = bob.pay(&open.invoice).await.unwrap_err();
    assert!(matches!(missing, WalletError::BadRequest(_)), "{missing}");
    let request = PayRequest { invoice: open.invoice, amount_sat: Some(7), max_fee_sat: Some(1) };
    bob.pay_with(request).await.unwrap();

    let too_much = bob.invoice(InvoiceRequest::sat(CHANNEL_SAT)).await.unwrap();
    assert!(matches!(ann.pay(&too_much.invoice).await, Err(WalletError::Failed(_))));
    assert!(matches!(ann.pay("lnbcrt1nonsense").await, Err(WalletError::BadRequest(_))));

    let (url, node_id) = (bob.url(), bob.node_id().await.unwrap());
    bob.stop().await.unwrap();
    assert!(matches!(bob.balance().await, Err(WalletError::Stopped)));
    assert_eq!(get(&url, "/v1/info").await.0, 503);
    bob.start().await.unwrap();
    assert_eq!((bob.url(), bob.node_id().await.unwrap()), (url, node_id));
    network.wait_usable(&ann, &bob).await.unwrap();
    let invoice = bob.invoice(InvoiceRequest::msat(1_001)).await.unwrap();
    ann.pay(&invoice.invoice).await.unwrap();

    network.shutdown().await.unwrap();
}

#[tokio::test]
async fn hold_invoices_are_claimed_failed_and_kept_over_a_restart() {
    let (network, ann, bob) = pair().await;
    let hold = |sat| InvoiceRequest::sat(sat).hold();

    // Claimed.
    let invoice = bob.invoice(hold(1_000)).await.unwrap();
    let payer = Arc::clone(&ann);
    let bolt11 = invoice.invoice.clone();
    let paying = tokio::spawn(async move { payer.pay(&bolt11).await });
    assert_eq!(bob.wait_held(&invoice.payment_hash, SOON).await.unwrap(), 1_000_000);
    reaches(&ann, &invoice.payment_hash, PaymentStatus::Pending).await;
    assert!(!paying.is_finished());
    bob.claim(&invoice.payment_hash).await.unwrap();
    paying.await.unwrap().unwrap();
    assert!(matches!(bob.claim(&invoice.payment_hash).await, Err(WalletError::Conflict(_))));

    // Failed.
    let invoice = bob.invoice(hold(2_000)).await.unwrap();
    let payer = Arc::clone(&ann);
    let bolt11 = invoice.invoice.clone();
    let paying = tokio::spawn(async move { payer.pay(&bolt11).await });
    bob.fail(&invoice.payment_hash).await.unwrap();
    assert!(matches!(paying.await.unwrap(), Err(WalletError::Failed(_))));
    reaches(&ann, &invoice.payment_hash, PaymentStatus::Failed).await;
    reaches(&bob, &invoice.payment_hash, PaymentStatus::Failed).await;

    // Held while its wallet restarts, then claimed.
    let invoice = bob.invoice(hold(3_000)).await.unwrap();
    let payer = Arc::clone(&ann);
    let bolt11 = invoice.invoice.clone();
    let paying = tokio::spawn(async move { payer.pay(&bolt11).await });
    bob.wait_held(&invoice.payment_hash, SOON).await.unwrap();
    bob.stop().await.unwrap();
    bob.start().await.unwrap();
    network.wait_usable(&ann, &bob).await.unwrap();
    assert!(!paying.is_finished());
    bob.claim(&invoice.payment_hash).await.unwrap();
    paying.await.unwrap().unwrap();

    // The payer's wallet stops while it waits.
    let invoice = bob.invoice(hold(4_000)).await.unwrap();
    let payer = Arc::clone(&ann);
    let bolt11 = invoice.invoice.clone();
    let paying = tokio::spawn(async move { payer.pay(&bolt11).await });
    bob.wait_held(&invoice.payment_hash, SOON).await.unwrap();
    ann.stop().await.unwrap();
    assert!(matches!(paying.await.unwrap(), Err(WalletError::Stopped)));
    ann.start().await.unwrap();
    network.wait_usable(&ann, &bob).await.unwrap();
    bob.claim(&invoice.payment_hash).await.unwrap();
    reaches(&ann, &invoice.payment_hash, PaymentStatus::Succeeded).await;

    network.shutdown().await.unwrap();
}

#[tokio::test]
async fn the_http_face_says_what_the_methods_say() {
    let (_network, ann, bob) = pair().await;
    let (ann_url, bob_url) = (ann.url(), bob.url());

    let (status, info) = get(&ann_url, "/v1/info").await;
    assert_eq!((status, &info["node_id"]), (200, &json!(ann.node_id().await.unwrap().to_string())));
    assert_eq!(info["channels"][0]["usable"], true);
    let (status, balance) = get(&bob_url, "/v1/balance").await;
    assert_eq!(status, 200);
    assert!(balance["outbound_msat"].as_u64().unwrap() > 7_000_000_000);

    let (status, invoice) =
        post(&bob_url, "/v1/invoice", json!({"amount_sat": 42, "description": "x"})).await;
    assert_eq!(status, 200);
    let (status, paid) = post(&ann_url, "/v1/pay", json!({"invoice": invoice["invoice"]})).await;
    assert_eq!((status, &paid["payment_hash"]), (200, &invoice["payment_hash"]));
    assert_eq!(paid["preimage"].as_str().unwrap().len(), 64);
    assert_eq!(paid["fee_msat"], 0);
    let hash = invoice["payment_hash"].as_str().unwrap();
    let (status, payment) = get(&ann_url, &format!("/v1/payments/{hash}")).await;
    let expected = json!({"status": "succeeded", "direction": "outbound", "amount_msat": 42_000, "fee_msat": 0,
        "preimage": paid["preimage"]});
    assert_eq!((status, payment), (200, expected));

    let (_, held) = post(&bob_url, "/v1/invoice", json!({"amount_sat": 1_000, "hold": true})).await;
    let hash = held["payment_hash"].as_str().unwrap();
    let (claim, pay) = (format!("/v1/hold/{hash}/claim"), json!({"invoice": held["invoice"]}));
    let (claimed, paid) = tokio::join!(post(&bob_url, &claim, json!({})), post(&ann_url, "/v1/pay", pay));
    assert_eq!((claimed.0, paid.0), (200, 200));
    let (_, held) = post(&bob_url, "/v1/invoice", json!({"amount_msat": 1_000_001, "hold": true})).await;
    let hash = held["payment_hash"].as_str().unwrap();
    let (fail, pay) = (format!("/v1/hold/{hash}/fail"), json!({"invoice": held["invoice"]}));
    let (failed, paid) = tokio::join!(post(&bob_url, &fail, json!({})), post(&ann_url, "/v1/pay", pay));
    assert_eq!((failed.0, paid.0), (200, 402));
    assert!(paid.1["error"].is_string());

    for (path, body, expected) in [
        ("/v1/invoice", json!({"amount_sat": -1}), 400),
        ("/v1/invoice", json!({"amount": 1}), 400),
        ("/v1/invoice", json!({"amount_sat": 1, "amount_msat": 1}), 400),
        ("/v1/pay", json!({"invoice": "x"}), 400),
        ("/v1/hold/00/claim", json!({}), 400),
        ("/v1/lnurl/withdraw", json!({"lnurl": "x"}), 400),
        ("/v1/lnurl/pay", json!({"lnurl_or_address": "x", "amount_sat": 1}), 400),
        ("/v1/lnurl/auth", json!({"lnurl": "http://127.0.0.1:1/"}), 400),
        ("/v1/lnurl/withdraw", json!({"lnurl": "http://127.0.0.1:1/"}), 402),
        ("/v1/nothing", json!({}), 404),
        ("/v1/info", json!({}), 405),
    ] {
        let (status, answer) = post(&ann_url, path, body).await;
        assert_eq!(status, expected, "{path}: {answer}");
        assert!(answer["error"].is_string());
    }
    let unknown = "00".repeat(32);
    assert_eq!(post(&ann_url, &format!("/v1/hold/{unknown}/claim"), json!({})).await.0, 404);
    assert_eq!(get(&ann_url, &format!("/v1/payments/{unknown}")).await.0, 404);
}

#[tokio::test]
async fn many_small_payments_pass_at_once() {
    let (network, ann, bob) = pair().await;
    let mut paying = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let invoice = bob.invoice(InvoiceRequest::sat(50)).await.unwrap();
        let ann = Arc::clone(&ann);
        paying.spawn(async move { ann.pay(&invoice.invoice).await });
    }
    while let Some(paid) = paying.join_next().await {
        paid.unwrap().unwrap();
    }
    network.shutdown().await.unwrap();
}

#[tokio::test]
async fn the_chain_goes_away_and_comes_back() {
    let network = Network::builder().wallets(1).start_without_satchel().await.unwrap();
    let height = network.bitcoind.height().await.unwrap();
    network.bitcoind.stop().await.unwrap();
    assert!(network.bitcoind.stop().await.is_err());
    assert!(network.bitcoind.height().await.is_err());
    assert!(network.wallets[0].sync().await.is_err());
    network.bitcoind.start().await.unwrap();
    assert!(network.bitcoind.start().await.is_err());
    assert_eq!(network.mine(2).await.unwrap(), height + 2);
    assert_eq!(network.wallets[0].info().await.unwrap().block_height, height + 2);
    network.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_dropped_network_leaves_nothing_behind() {
    let network = Network::builder().wallets(1).start_without_satchel().await.unwrap();
    let (rpc, wallet) = (network.bitcoind.url().to_owned(), network.wallets[0].url());
    assert_eq!(get(&wallet, "/v1/balance").await.0, 200);
    drop(network);
    assert!(reqwest::get(rpc).await.is_err());
    assert!(reqwest::get(wallet).await.is_err());
}
