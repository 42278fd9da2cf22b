//! A store with a Shopify shop behind it, on a real network: from the catalogue to an order that was sent, with satchel
//! killed around the request that writes it. The shop is a server on this machine that speaks its API.

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
use common::mailbox::Mailbox;
use common::shopify::{SECRET, ShopifyServer, Trouble};
use common::{RECOVERY, SOON, Scene, case, until};
use reqwest::Client;
use serde_json::{Value, json};

const MUG: i64 = 44_000_000_000_001;

struct Store<'a> {
    scene: &'a Scene,
    server: &'a ShopifyServer,
    client: Client,
    url: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_go_to_shopify_once_and_come_back_sent() {
    let server = ShopifyServer::start().await;
    server.product(7_000_000_000_001, "Mug", &[(MUG, "Blue", "2.00", 100), (MUG + 1, "Red", "2.00", 0)]);
    let mail = Mailbox::open();
    let config = format!("{}sync_secs = 3600\n{}", server.config("mugs"), mail.settings());
    let scene = Scene::start(&config).await;
    let store = Store::open(&scene, &server).await;
    case("from the catalogue to an order that was sent", whole(&store, &mail)).await;
    case("killed after Shopify has taken the order", killed(&store, "shopify.after_order", true)).await;
    case("killed before the request", killed(&store, "shopify.before_order", false)).await;
    case("killed after the claim", killed(&store, "shop.after_claim", false)).await;
    case("Shopify down", down(&store)).await;
    case("cancelled by the seller", cancelled(&store)).await;
    let log = std::fs::read_to_string(scene.network.satchel.log_path()).unwrap();
    for private in [SECRET, "shpat_", "ada@example.com", "Lovelace"] {
        assert!(!log.contains(private), "{private} is in the log");
    }
    scene.comes_to_rest().await;
    scene.close().await;
}

impl<'a> Store<'a> {
    async fn open(scene: &'a Scene, server: &'a ShopifyServer) -> Self {
        let satchel = &scene.network.satchel;
        let create = ["create", "mugs", "--shipping", "US=1.00", "--tax", "US-CA=7.25", "--state", "CA"];
        satchel.command_json("store", &create).await.unwrap();
        let client = Client::builder().timeout(SOON).pool_max_idle_per_host(0).build().unwrap();
        let url = format!("{}/api/shopify/mugs", scene.api.url);
        Self { scene, server, client, url }
    }

    async fn satchel(&self, arguments: &[&str]) -> Value {
        self.scene.network.satchel.command_json("store", arguments).await.unwrap()
    }

    async fn checkout(&self, credential: Option<String>) -> (u16, Value) {
        let body = json!({ "items": [{ "variantId": MUG, "quantity": 1 }] });
        let mut request = self.client.post(format!("{}/checkout", self.url)).json(&body);
        if let Some(credential) = credential {
            request = request.header("authorization", credential);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// An order, paid.
    async fn buy(&self) -> Value {
        let (status, asked) = self.checkout(None).await;
        assert_eq!(status, 402, "{asked}");
        let invoice = asked["invoice"].as_str().unwrap();
        self.scene.note_funding(0, invoice);
        let preimage = self.scene.wallet(0).pay(invoice).await.unwrap().preimage;
        let credential = format!("L402 {}:{preimage}", asked["macaroonBase64"].as_str().unwrap());
        until("the paid request is answered", RECOVERY, || async {
            let (status, body) = self.checkout(Some(credential.clone())).await;
            assert_ne!(status, 402, "{body}");
            (status == 200).then_some(body)
        })
        .await
    }

    async fn claim(&self, bought: &Value) -> reqwest::Result<u16> {
        let body = json!({
            "claimToken": bought["claimToken"], "email": "ada@example.com",
            "shippingAddress": {
                "firstName": "Ada", "lastName": "Lovelace", "address1": "1 Main St", "city": "San Francisco",
                "province": "CA", "zip": "94107", "country": "US"
            }
        });
        let answer = self.client.post(format!("{}/claim", self.url)).json(&body).send().await?;
        Ok(answer.status().as_u16())
    }

    async fn order(&self, bought: &Value) -> Value {
        let (id, token) = (bought["orderId"].as_str().unwrap(), bought["claimToken"].as_str().unwrap());
        let url = format!("{}/orders/{id}?claimToken={token}", self.url);
        self.client.get(url).send().await.unwrap().json().await.unwrap()
    }

    /// What Shopify has of an order.
    fn there(&self, bought: &Value) -> Vec<Value> {
        self.server
            .orders()
            .into_iter()
            .filter(|order| order["sourceIdentifier"] == bought["orderId"])
            .collect()
    }

    /// The name that an order has once it is at Shopify.
    async fn written(&self, bought: &Value) -> String {
        let name = until("the order has Shopify's name", RECOVERY, || async {
            let order = self.order(bought).await;
            let name = order["shopifyOrderNumber"].as_str().unwrap().to_owned();
            name.starts_with("#S").then_some(name)
        })
        .await;
        let there = self.there(bought);
        assert_eq!(there.len(), 1, "{there:?}");
        assert_eq!(there[0]["name"], name.as_str());
        name
    }
}

async fn whole(store: &Store<'_>, mail: &Mailbox) {
    let synced = store.satchel(&["sync", "mugs"]).await;
    assert_eq!(
        (&synced["products"], &synced["variants"], &synced["problem_count"]),
        (&json!(1), &json!(2), &json!(0))
    );
    let catalogue: Value =
        store.client.get(format!("{}/catalog", store.url)).send().await.unwrap().json().await.unwrap();
    let variants = &catalogue["products"][0]["variants"];
    assert_eq!((&variants[0]["variantId"], &variants[0]["available"]), (&json!(MUG), &json!(true)));
    assert_eq!(variants[1]["available"], false);
    let bought = store.buy().await;
    assert_eq!(store.claim(&bought).await.unwrap(), 200);
    let name = store.written(&bought).await;
    assert_eq!(store.server.stock(MUG), 99);
    store.server.fulfil(&name, "1Z999");
    let synced = store.satchel(&["sync", "mugs"]).await;
    assert_eq!(synced["shipped"], 1);
    let order = store.order(&bought).await;
    assert_eq!((&order["status"], &order["trackingNumber"]), (&json!("Shipped"), &json!("1Z999")));
    until("two letters", SOON, || async { (mail.count() == 2).then_some(()) }).await;
    let listed = store.satchel(&["list"]).await;
    assert_eq!(listed["stores"][0]["shopify"]["orders_written"], 1);
}

/// Satchel dies at a point around a claim; one order is at Shopify all the same.
async fn killed(store: &Store<'_>, point: &str, there: bool) {
    let bought = store.buy().await;
    let doomed = Doomed::start(store.scene, point, 0).await;
    doomed.arm();
    // Its answer may be lost with satchel.
    let _ = store.claim(&bought).await;
    doomed.dies().await;
    assert_eq!(store.there(&bought).len(), usize::from(there), "{point}");
    common::rises(&store.scene.network.satchel).await;
    store.written(&bought).await;
    assert_eq!(store.claim(&bought).await.unwrap(), 409);
    assert_eq!(store.order(&bought).await["status"], "Processing");
    store.scene.network.wait_usable().await.unwrap();
}

async fn down(store: &Store<'_>) {
    store.server.trouble(Some(Trouble::Status(503)));
    let satchel = &store.scene.network.satchel;
    let output = satchel.command("store", &["sync", "mugs"]).await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("HTTP status 503"), "{said}");
    // Buyers notice nothing; the order is written when Shopify is back.
    let bought = store.buy().await;
    assert_eq!(store.claim(&bought).await.unwrap(), 200);
    let output = satchel.command("store", &["show", "mugs"]).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("the last attempt failed: the shop answers with HTTP status 503"), "{said}");
    let output = satchel.command("doctor", &[]).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("the shop behind mugs can't be read"), "{said}");
    assert!(store.there(&bought).is_empty());
    store.server.trouble(None);
    store.written(&bought).await;
    store.satchel(&["sync", "mugs"]).await;
    let shown = store.satchel(&["show", "mugs"]).await;
    assert_eq!((&shown["shopify"]["error"], &shown["shopify"]["orders_waiting"]), (&Value::Null, &json!(0)));
}

async fn cancelled(store: &Store<'_>) {
    let bought = store.buy().await;
    assert_eq!(store.claim(&bought).await.unwrap(), 200);
    store.written(&bought).await;
    let before = store.server.stock(MUG);
    store.satchel(&["cancel", bought["orderId"].as_str().unwrap()]).await;
    until("it is cancelled at Shopify", RECOVERY, || async {
        store.there(&bought)[0]["cancelledAt"].is_string().then_some(())
    })
    .await;
    assert_eq!(store.server.stock(MUG), before + 1);
    assert_eq!(store.order(&bought).await["status"], "RefundDue");
}
