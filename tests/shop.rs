//! A store on a real network: a script buys and claims, satchel is killed at each step of a purchase, and a buyer of
//! what is sold out gets the money back.

#![cfg(feature = "failpoints")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers fail it"
)]

mod common;

use common::doomed::Doomed;
use common::scene::account;
use common::{RECOVERY, SOON, Scene, case, until};
use regtest::InvoiceRequest;
use reqwest::Client;
use serde_json::{Value, json};
use tokio::process::Command;

/// Where the payment of an order can be cut off, and how many times the point is passed before.
const PAYMENT: &[(&str, u32)] = &[
    ("event.before_handled", 0),
    ("event.after_handled", 0),
    ("event.before_handled", 1),
    ("event.after_handled", 1),
    ("store.before_commit", 0),
    ("store.before_commit", 2),
    ("store.before_commit", 4),
    ("store.after_commit", 1),
    ("store.after_commit", 3),
];

#[tokio::test(flavor = "multi_thread")]
async fn purchases_survive_every_kill_and_a_script_buys() {
    let scene = Scene::start("").await;
    let store = Store::open(&scene).await;
    case("a script from catalogue to claimed order", script(&scene, &store)).await;
    case("checkout, killed before its answer", checkout_killed(&scene, &store)).await;
    for (point, skip) in PAYMENT {
        case(&format!("payment, {point} after {skip}"), payment_killed(&scene, &store, point, *skip)).await;
    }
    case("claim, killed before its answer", claim_killed(&scene, &store)).await;
    case("refund, killed before its answer", refund_killed(&scene, &store)).await;
    let audit = scene.comes_to_rest().await;
    assert_eq!(account(&audit, "withheld"), 0);
    scene.close().await;
}

struct Store<'a> {
    scene: &'a Scene,
    client: Client,
    url: String,
    mug: i64,
    last: i64,
}

impl<'a> Store<'a> {
    async fn open(scene: &'a Scene) -> Self {
        let satchel = &scene.network.satchel;
        let create = [
            "create",
            "mugs",
            "--name",
            "Mugs",
            "--shipping",
            "US=1.00",
            "--tax",
            "US-CA=7.25",
            "--state",
            "CA",
        ];
        satchel.command_json("store", &create).await.unwrap();
        let add = ["add", "mugs", "Mug", "--price", "2.00", "--stock", "100"];
        satchel.command_json("store", &add).await.unwrap();
        let add = ["add", "mugs", "Last One", "--price", "1.00", "--stock", "1"];
        satchel.command_json("store", &add).await.unwrap();
        let listed = satchel.command_json("store", &["product", "mugs"]).await.unwrap();
        let id = |at: usize| listed["products"][at]["variants"][0]["id"].as_i64().unwrap();
        let client = Client::builder().timeout(SOON).pool_max_idle_per_host(0).build().unwrap();
        let url = format!("{}/api/shopify/mugs", scene.api.url);
        Self { scene, client, url, mug: id(0), last: id(1) }
    }

    async fn try_checkout(&self, variant: i64, headers: &[(&str, String)]) -> reqwest::Result<(u16, Value)> {
        let body = json!({ "items": [{ "variantId": variant, "quantity": 1 }] });
        let mut request = self.client.post(format!("{}/checkout", self.url)).json(&body);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let answer = request.send().await?;
        Ok((answer.status().as_u16(), answer.json().await?))
    }

    async fn ask(&self, variant: i64) -> Value {
        let (status, body) = self.try_checkout(variant, &[]).await.unwrap();
        assert_eq!(status, 402, "{body}");
        body
    }

    async fn pay(&self, asked: &Value) -> String {
        let invoice = asked["invoice"].as_str().unwrap();
        self.scene.note_funding(0, invoice);
        self.scene.wallet(0).pay(invoice).await.unwrap().preimage
    }

    /// What the paid request answers, once it does.
    async fn bought(&self, variant: i64, asked: &Value, preimage: &str) -> Value {
        let credential = format!("L402 {}:{preimage}", asked["macaroonBase64"].as_str().unwrap());
        let headers = [("authorization", credential)];
        until("the paid request is answered", RECOVERY, || async {
            let (status, body) = self.try_checkout(variant, &headers).await.ok()?;
            // Never another 402: that would be asking for the money twice.
            assert_ne!(status, 402, "{body}");
            (status == 200).then_some(body)
        })
        .await
    }

    async fn stock(&self, variant: i64) -> i64 {
        let listed = self.scene.network.satchel.command_json("store", &["product", "mugs"]).await.unwrap();
        let products = listed["products"].as_array().unwrap();
        let found = products.iter().flat_map(|product| product["variants"].as_array().unwrap());
        let found = found.clone().find(|found| found["id"] == variant).unwrap();
        found["stock"].as_i64().unwrap()
    }

    async fn order(&self, bought: &Value) -> Value {
        let (id, token) = (bought["orderId"].as_str().unwrap(), bought["claimToken"].as_str().unwrap());
        let url = format!("{}/orders/{id}?claimToken={token}", self.url);
        self.client.get(url).send().await.unwrap().json().await.unwrap()
    }
}

fn claim(bought: &Value) -> Value {
    json!({
        "claimToken": bought["claimToken"], "email": "ada@example.com",
        "shippingAddress": {
            "firstName": "Ada", "lastName": "Lovelace", "address1": "1 Main St", "city": "San Francisco",
            "province": "CA", "zip": "94107", "country": "US"
        }
    })
}

async fn script(scene: &Scene, store: &Store<'_>) {
    let before = store.stock(store.mug).await;
    let output = Command::new(common::python())
        .arg("tests/shop.py")
        .args([&store.url, &scene.wallet(0).url()])
        .output()
        .await
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    let told: Value = serde_json::from_str(out.trim()).unwrap();
    assert_eq!(told["number"], "#1001");
    scene.note_paid(0, told["paymentHash"].as_str().unwrap());
    assert_eq!(store.stock(store.mug).await, before - 2);
    let orders = scene.network.satchel.command_json("store", &["orders", "mugs"]).await.unwrap();
    assert_eq!(orders["orders"].as_array().unwrap().len(), 1);
}

async fn checkout_killed(scene: &Scene, store: &Store<'_>) {
    let doomed = Doomed::start(scene, "shop.after_checkout", 0).await;
    doomed.arm();
    let headers = [("x-idempotency-key", "k1-0123456789abcdef0123".to_owned())];
    assert!(store.try_checkout(store.mug, &headers).await.is_err());
    doomed.dies_and_rises().await;
    scene.network.wait_usable().await.unwrap();
    let (status, first) = store.try_checkout(store.mug, &headers).await.unwrap();
    assert_eq!(status, 402);
    let (_, second) = store.try_checkout(store.mug, &headers).await.unwrap();
    assert_eq!(first, second);
    let preimage = store.pay(&first).await;
    store.bought(store.mug, &first, &preimage).await;
}

/// The payer pays once; stock is taken once; the same request gives the same claim token before and after.
async fn payment_killed(scene: &Scene, store: &Store<'_>, point: &str, skip: u32) {
    let before = store.stock(store.mug).await;
    let doomed = Doomed::start(scene, point, skip).await;
    let asked = store.ask(store.mug).await;
    let invoice = asked["invoice"].as_str().unwrap();
    scene.note_funding(0, invoice);
    doomed.arm();
    let dying = async {
        doomed.dies_and_rises().await;
        scene.replace_lost_channels().await > 0
    };
    let (paid, _) = scene.pay_through(scene.wallet(0).pay(invoice), dying).await;
    scene.network.wait_usable().await.unwrap();
    let preimage = match paid {
        Ok(paid) => paid.preimage,
        // It came back to the payer: nothing was bought, and the same invoice can be paid.
        Err(_) => scene.wallet(0).pay(invoice).await.unwrap().preimage,
    };
    let bought = store.bought(store.mug, &asked, &preimage).await;
    assert_eq!((&bought["orderId"], &bought["status"]), (&asked["orderId"], &json!("AwaitingDetails")));
    assert_eq!(store.bought(store.mug, &asked, &preimage).await, bought);
    assert_eq!(store.stock(store.mug).await, before - 1);
    scene.books_agree().await;
}

async fn claim_killed(scene: &Scene, store: &Store<'_>) {
    let asked = store.ask(store.mug).await;
    let preimage = store.pay(&asked).await;
    let bought = store.bought(store.mug, &asked, &preimage).await;
    let doomed = Doomed::start(scene, "shop.after_claim", 0).await;
    doomed.arm();
    let send = || store.client.post(format!("{}/claim", store.url)).json(&claim(&bought)).send();
    assert!(send().await.is_err());
    doomed.dies_and_rises().await;
    assert_eq!(send().await.unwrap().status(), 409);
    assert_eq!(store.order(&bought).await["status"], "Processing");
}

/// Two buyers pay for the last one; the second gets the money back, once, though satchel dies in between.
async fn refund_killed(scene: &Scene, store: &Store<'_>) {
    let (first, second) = (store.ask(store.last).await, store.ask(store.last).await);
    let preimages = [store.pay(&first).await, store.pay(&second).await];
    assert_eq!(store.bought(store.last, &first, &preimages[0]).await["status"], "AwaitingDetails");
    let bought = store.bought(store.last, &second, &preimages[1]).await;
    assert_eq!(bought["status"], "RefundDue");
    let sat = bought["paidSats"].as_u64().unwrap();
    let invoice = scene.wallet(1).invoice(InvoiceRequest::sat(sat)).await.unwrap();
    scene.note_asked(1, bought["orderId"].as_str().unwrap(), &invoice.payment_hash);
    let doomed = Doomed::start(scene, "shop.after_refund", 0).await;
    doomed.arm();
    let body = json!({ "claimToken": bought["claimToken"], "invoice": invoice.invoice });
    let url = format!("{}/orders/{}/refund", store.url, bought["orderId"].as_str().unwrap());
    assert!(store.client.post(&url).json(&body).send().await.is_err());
    doomed.dies_and_rises().await;
    let again = store.client.post(&url).json(&body).send().await.unwrap();
    assert_eq!(again.status(), 200);
    until("the refund has arrived", RECOVERY, || async {
        (store.order(&bought).await["status"] == "Refunded").then_some(())
    })
    .await;
    assert_eq!(scene.times_received(bought["orderId"].as_str().unwrap()).await, 1);
}
