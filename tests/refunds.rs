//! Refunds on a real network: the process dies at each named point of a refund's way, and starts again: the customer
//! gets the sats once, by Lightning or by a transaction. And the bookkeeper's table, by the command line.

#![cfg(feature = "failpoints")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers fail it"
)]

mod common;

use std::time::{Duration, Instant};

use common::api::{Answer, KeyApi};
use common::doomed::Doomed;
use common::scene::account;
use common::{RECOVERY, SOON, Scene, case, until};
use regtest::InvoiceRequest;
use reqwest::Method;
use serde_json::{Value, json};

/// Where a refund can be cut off, and how many times the point is passed before.
const REFUNDING: &[(&str, &[u32])] = &[
    ("payout.before_queue_commit", &[0]),
    ("payment.after_refund", &[0]),
    ("payout.after_dispatching", &[0]),
    ("payout.after_send", &[0]),
    ("event.before_handled", &[0]),
    ("event.after_handled", &[0]),
    ("store.before_commit", &[0, 1, 3, 6]),
    ("store.after_commit", &[0, 1, 4]),
];

/// Where a refund to an address can be cut off.
const COINS: &[&str] = &[
    "payment.after_refund",
    "coins.before_send",
    "coins.after_send",
    "coins.after_sent_commit",
    "coins.before_paid",
];

/// What an order costs and what goes back of it at first, in sat.
const PRICE: u64 = 3_000;
const PART: u64 = 1_000;

/// A shop's back end.
struct TestLedger(KeyApi);

impl TestLedger {
    async fn open(scene: &Scene) -> Self {
        let arguments = ["create", "shop", "--scope", "payments"];
        let made = scene.network.satchel.command_json("key", &arguments).await.unwrap();
        Self(KeyApi::new(&scene.api.url, &made["key"]))
    }

    /// Asks for a refund, which may meet a satchel that dies over it.
    async fn try_refund(&self, body: &Value) -> Result<Answer, reqwest::Error> {
        self.0.try_ask(Method::POST, "/api/refunds", Some(body), "").await
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        self.0.post(path, body, "").await
    }

    async fn get(&self, path: &str) -> Value {
        self.0.get(path).await
    }

    async fn status(&self, id: &str) -> String {
        self.get(&format!("/api/payments/{id}")).await["status"].as_str().unwrap().to_owned()
    }

    /// A payment that wallet 0 has paid.
    async fn paid(&self, scene: &Scene, order: &str) -> String {
        let body = json!({ "orderId": order, "amount": PRICE, "currency": "sats" });
        let made = self.post("/api/payments", &body).await;
        assert_eq!(made.status, 201, "{}", made.body);
        let invoice = made.body["lightningInvoice"].as_str().unwrap();
        scene.note_funding(0, invoice);
        scene.wallet(0).pay(invoice).await.unwrap();
        let id = made.body["invoiceId"].as_str().unwrap().to_owned();
        until("a payment is paid", SOON, || async { (self.status(&id).await == "paid").then_some(()) }).await;
        id
    }
}

/// A refund to a fresh invoice of wallet 1.
async fn body(scene: &Scene, payment: &str, name: &str, sat: u64) -> Value {
    let invoice = scene.wallet(1).invoice(InvoiceRequest::sat(sat)).await.unwrap();
    scene.note_asked(1, name, &invoice.payment_hash);
    json!({ "invoiceId": payment, "amount": sat, "currency": "sats", "lightningInvoice": invoice.invoice })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_at_any_point_of_a_refund_sends_it_once() {
    let scene = Scene::start("[payments]\nmin_onchain_refund_sat = 1_000\n").await;
    let test_ledger = TestLedger::open(&scene).await;
    for (point, skips) in REFUNDING {
        for skip in *skips {
            case(&format!("refunding, {point} after {skip}"), refunding(&scene, &test_ledger, point, *skip))
                .await;
        }
    }
    for point in COINS {
        case(&format!("to an address, {point}"), to_address(&scene, &test_ledger, point)).await;
    }
    case("the table", table(&scene, &test_ledger)).await;
    eprintln!("channels closed: {}", scene.channels_closed().await);
    scene.comes_to_rest().await;
    scene.close().await;
}

/// A part of a payment while satchel dies, then the rest.
async fn refunding(scene: &Scene, test_ledger: &TestLedger, point: &str, skip: u32) {
    let payment = test_ledger.paid(scene, &format!("{point} {skip}")).await;
    let (part, rest) = (format!("{payment} part"), format!("{payment} rest"));
    let first = body(scene, &payment, &part, PART).await;
    let doomed = Doomed::start(scene, point, skip).await;
    doomed.arm();
    let (_answered_or_not, ()) = tokio::join!(test_ledger.try_refund(&first), doomed.dies_and_rises(),);
    arrives_once(scene, test_ledger, &payment, &part, first, PART).await;
    assert_eq!(test_ledger.status(&payment).await, "paid");
    let last = body(scene, &payment, &rest, PRICE - PART).await;
    arrives_once(scene, test_ledger, &payment, &rest, last, PRICE - PART).await;
    assert_eq!(test_ledger.status(&payment).await, "refunded");
    let audit = scene.books_agree().await;
    assert_eq!((account(&audit, "merchants"), account(&audit, "loss")), (0, 0));
}

/// Waits until a refund has arrived; begins it again if it wasn't begun, or failed.
async fn arrives_once(
    scene: &Scene,
    test_ledger: &TestLedger,
    payment: &str,
    name: &str,
    mut asked: Value,
    sat: u64,
) {
    let end = Instant::now() + RECOVERY;
    let on_chain = scene.replace_lost_channels().await > 0;
    loop {
        let list = test_ledger.get(&format!("/api/refunds/invoice/{payment}")).await;
        let of_this = |refund: &&Value| refund["amountSats"] == sat && refund["status"] != "failed";
        match list["refunds"].as_array().unwrap().iter().find(of_this) {
            Some(refund) if refund["status"] == "completed" => break,
            Some(_) if on_chain => drop(scene.network.mine(6).await.unwrap()),
            Some(_) => {}
            None => {
                assert_eq!(scene.times_received(name).await, 0, "arrived and can be asked for again: {list}");
                let answer = test_ledger.post("/api/refunds", &asked).await;
                match (answer.status, answer.body["code"].as_str().unwrap_or_default()) {
                    (200 | 201 | 503, _) => {}
                    (409, "INVOICE_USED") => asked = body(scene, payment, name, sat).await,
                    other => panic!("a refund that may be asked for answers {other:?} {}", answer.body),
                }
            }
        }
        assert!(Instant::now() < end, "stuck: {list}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    scene.received_once(name).await;
}

/// A payment goes back to an address while satchel dies.
async fn to_address(scene: &Scene, test_ledger: &TestLedger, point: &str) {
    let payment = test_ledger.paid(scene, point).await;
    let address = scene.wallet(1).address().await.unwrap();
    let asked =
        json!({ "invoiceId": payment, "amount": PRICE, "currency": "sats", "bitcoinAddress": address });
    let doomed = Doomed::start(scene, point, 0).await;
    doomed.arm();
    let going = async {
        let _answered_or_not = test_ledger.try_refund(&asked).await;
        // One crash waits for the blocks.
        while point == "coins.before_paid" && scene.coins_at(&address).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(300)).await;
            scene.network.bitcoind.mine(1).await.unwrap();
        }
        if point == "coins.before_paid" {
            scene.network.bitcoind.mine(6).await.unwrap();
        }
    };
    tokio::join!(going, doomed.dies_and_rises());
    scene.network.wait_usable().await.unwrap();
    let again = test_ledger.post("/api/refunds", &asked).await;
    assert!(matches!(again.status, 200 | 201), "{again:?}");
    // What was signed and not broadcast before the crash, nobody can tell from what was never signed.
    let lost = ["coins.before_send", "coins.after_send"].contains(&point)
        && scene.network.bitcoind.mempool_count().await.unwrap() == 0;
    assert!(lost || point != "coins.before_send", "it was sent after all");
    if lost {
        given_up_by_hand(scene, test_ledger, &asked).await;
    }
    let end = Instant::now() + RECOVERY;
    while test_ledger.status(&payment).await != "refunded" {
        assert!(Instant::now() < end, "stuck: {}", test_ledger.get("/api/refunds").await);
        scene.network.mine(1).await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert_eq!(scene.coins_at(&address).await, [PRICE], "{point}");
    let list = test_ledger.get(&format!("/api/refunds/invoice/{payment}")).await;
    assert_eq!(
        (&list["refunds"][0]["type"], &list["refunds"][0]["status"]),
        (&json!("onchain"), &json!("completed"))
    );
    assert_eq!(list["refunds"][0]["txid"].as_str().unwrap().len(), 64);
    let audit = scene.books_agree().await;
    assert_eq!((account(&audit, "merchants"), account(&audit, "in_flight")), (0, 0));
}

/// Nobody can tell whether the wallet was asked, so nothing happens until a person says.
async fn given_up_by_hand(scene: &Scene, test_ledger: &TestLedger, asked: &Value) {
    let satchel = &scene.network.satchel;
    scene.network.mine(2).await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let list = satchel.command_json("coins", &["list"]).await.unwrap();
    let (first, status) = (list["coins"][0]["id"].to_string(), &list["coins"][0]["status"]);
    assert_eq!((list["coins"].as_array().unwrap().len(), status), (1, &json!("sending")), "{list}");
    let settled = satchel.command_json("coins", &["settle", &first, "--not-sent"]).await.unwrap();
    assert_eq!(settled["status"], "failed");
    assert!(satchel.command_json("coins", &["settle", &first, "--not-sent"]).await.is_err());
    assert_eq!(test_ledger.post("/api/refunds", asked).await.status, 201);
}

/// The command writes what the shop can fetch, and never over a file.
async fn table(scene: &Scene, test_ledger: &TestLedger) {
    let satchel = &scene.network.satchel;
    let file = satchel.data_dir().join("payments.csv");
    let name = file.display().to_string();
    let arguments = ["export", "--output", &name];
    let report = satchel.command_json("payments", &arguments).await.unwrap();
    let written = std::fs::read_to_string(&file).unwrap();
    let lines = u64::try_from(written.lines().count()).unwrap();
    assert_eq!((&report["file"], report["lines"].as_u64().unwrap() + 1), (&json!(name), lines));
    assert_eq!(test_ledger.get("/api/payments.csv").await, json!(written));
    let cases: usize = REFUNDING.iter().map(|(_, skips)| skips.len()).sum();
    assert_eq!(written.matches("\r\npayment,").count(), cases + COINS.len());
    assert!(written.matches("\r\nrefund,").count() >= 2 * cases + COINS.len());
    assert!(satchel.command_json("payments", &arguments).await.is_err(), "it was written over");
    assert!(satchel.command_json("payments", &["export"]).await.is_err(), "a table is no JSON");
}
