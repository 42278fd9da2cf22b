//! Checkout sessions for documents and services on a real network: satchel is killed between a session's payment and its
//! booking, and it is paid once, counted once, and opens what was bought.

#![cfg(feature = "failpoints")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers fail it"
)]

mod common;

use axum::Router;
use axum::routing::get;
use common::doomed::Doomed;
use common::{RECOVERY, SOON, Scene, case, until};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// Where the booking of a payment can be cut off, and how many times the point is passed before.
const BOOKING: &[(&str, u32)] = &[
    ("event.before_handled", 0),
    ("store.before_commit", 0),
    ("store.after_commit", 0),
    ("event.after_handled", 0),
];

/// A key of an agent, and what its service costs.
const AGENT: &str = "1b84c5567b126440995d3ed5aaba0565d71e1834604819ff9c17f5e9d5dd078f";
const PRICE: u64 = 9;

#[tokio::test(flavor = "multi_thread")]
async fn session_through_every_death_is_paid_once_counted_once_and_delivered() {
    let service = Router::new().fallback(get(|| async { "done" }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, service).await.unwrap() });
    let scene = Scene::start(&format!("[l402.proxy]\nallow_hosts = [\"{address}\"]\n")).await;
    let shop = Shop::open(&scene, &format!("http://{address}")).await;
    for product in [shop.service.as_str(), "doc_halvings"] {
        for (point, skip) in BOOKING {
            case(&format!("{product}: {point} after {skip}"), shop.sells(product, point, *skip)).await;
        }
    }
    scene.comes_to_rest().await;
    scene.close().await;
}

struct Shop<'a> {
    scene: &'a Scene,
    client: Client,
    service: String,
}

/// What was sold: requests, documents among them, and the agent's sales and sat.
#[derive(Debug, PartialEq)]
struct Sold {
    requests: u64,
    documents: u64,
    agent: (u64, u64),
}

impl<'a> Shop<'a> {
    /// An agent offers a service.
    async fn open(scene: &'a Scene, target: &str) -> Self {
        let arguments = ["create", "seller", "--scope", "l402", "--account", "seller"];
        let made = scene.network.satchel.command_json("key", &arguments).await.unwrap();
        let key = made["key"].as_str().unwrap();
        let client = Client::builder().timeout(SOON).pool_max_idle_per_host(0).build().unwrap();
        let post = async |path: &str, body: Value| {
            let request =
                client.post(format!("{}{path}", scene.api.url)).header("x-api-key", key).json(&body);
            let answer = request.send().await.unwrap();
            assert!(answer.status().is_success(), "{path}: {answer:?}");
            answer.json::<Value>().await.unwrap()
        };
        post("/api/agents/register", json!({ "pubkey": AGENT, "name": "Ada" })).await;
        let offered = json!({ "serviceId": "s", "categories": ["data"], "content": "Done", "priceSats": PRICE, "targetUrl": target });
        let listing = post("/api/agents/capabilities", offered).await;
        let proxy = listing["l402Endpoint"].as_str().unwrap().rsplit('/').next().unwrap();
        Self { scene, client: client.clone(), service: format!("proxy_{proxy}") }
    }

    async fn get(&self, path: &str) -> Value {
        let key = self.scene.network.satchel.admin_key();
        let request = self.client.get(format!("{}{path}", self.scene.api.url)).header("x-api-key", key);
        request.send().await.unwrap().json().await.unwrap()
    }

    async fn sold(&self) -> Sold {
        let (all, documents) = (self.get("/api/stats/l402").await, self.get("/api/stats/downloads").await);
        let agent = self.get(&format!("/api/agents/{AGENT}/stats")).await;
        let number = |of: &Value, name: &str| of[name].as_u64().unwrap_or_else(|| panic!("{name}: {of}"));
        Sold {
            requests: number(&all, "payments"),
            documents: number(&documents, "total"),
            agent: (number(&agent, "totalRequests"), number(&agent, "totalRevenueSats")),
        }
    }

    /// Opens a session, pays it while satchel dies, and uses what it bought.
    async fn sells(&self, product: &str, point: &str, skip: u32) {
        let before = self.sold().await;
        let doomed = Doomed::start(self.scene, point, skip).await;
        let url = format!("{}/api/checkout/sessions", self.scene.api.url);
        let opened = self.client.post(url).json(&json!({ "productId": product })).send().await.unwrap();
        assert_eq!(opened.status(), 201);
        let session: Value = opened.json().await.unwrap();
        let (invoice, id) = (session["invoice"].as_str().unwrap(), session["sessionId"].as_str().unwrap());
        let status = format!("/checkout/{id}/status");
        assert_eq!(self.get(&status).await["status"], "unpaid");
        self.scene.note_funding(0, invoice);
        doomed.arm();
        let dying = async {
            doomed.dies_and_rises().await;
            self.scene.replace_lost_channels().await > 0
        };
        let (paid, _) = self.scene.pay_through(self.scene.wallet(0).pay(invoice), dying).await;
        self.scene.network.wait_usable().await.unwrap();
        let preimage = match paid {
            Ok(paid) => paid.preimage,
            // It came back to the payer: nothing was bought, and the same invoice can be paid.
            Err(_) => self.scene.wallet(0).pay(invoice).await.unwrap().preimage,
        };
        until("the page says that it is paid", RECOVERY, || async {
            (self.get(&status).await["status"] == "paid").then_some(())
        })
        .await;
        let credential = format!("L402 {}:{preimage}", session["macaroon"].as_str().unwrap());
        for _ in 0..2 {
            let request = self.client.get(session["resourceUrl"].as_str().unwrap());
            let got = request.header("authorization", &credential).send().await.unwrap();
            assert_eq!(got.status(), 200, "{session}");
        }
        let (sats, is_service) = (session["amountSats"].as_u64().unwrap(), product.starts_with("proxy_"));
        let (sales, revenue) = before.agent;
        let expected = Sold {
            requests: before.requests + 1,
            documents: before.documents + u64::from(!is_service),
            agent: if is_service { (sales + 1, revenue + sats) } else { before.agent },
        };
        assert_eq!(self.sold().await, expected);
        self.scene.books_agree().await;
    }
}
