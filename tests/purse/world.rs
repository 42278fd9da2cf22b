//! Two satchels: one sells a service and documents, on the other an agent has a purse.

use std::time::Duration;

use axum::routing::get;
use axum::{Json, Router};
use regtest::{ChainSource, Satchel, SatchelOptions};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::common::api::Answer;
use crate::common::{SOON, Scene, until};

/// What a request of the service costs, in sat.
pub const PRICE: u64 = 7;

/// What a mug costs in the store, in sat, and how many there are.
pub const MUG: u64 = 20;
const STOCK: u64 = 90;

/// What a channel between the two has, and how much of it is the seller's at first.
const CHANNEL_SAT: u64 = 2_000_000;

pub struct World {
    /// The buyer's network.
    pub scene: Scene,
    pub seller: Satchel,
    proxy: String,
    service: std::net::SocketAddr,
    shop_key: String,
    _folder: tempfile::TempDir,
}

/// A product of the seller's store.
#[derive(Clone, Copy)]
pub struct Mug {
    variant: i64,
}

impl Mug {
    /// A request that buys one, however often its address has been paid for before.
    pub fn request(self, world: &World) -> Value {
        json!({
            "url": world.at("/api/shopify/mugs/checkout"), "method": "POST", "reuseCredential": false,
            "body": { "items": [{ "variantId": self.variant, "quantity": 1 }] },
        })
    }

    /// A request that says where the mug of this answer goes.
    pub fn claim(world: &World, bought: &Value) -> Value {
        let order: Value = serde_json::from_str(bought["body"].as_str().unwrap()).unwrap();
        let body = json!({
            "claimToken": order["claimToken"], "email": "ada@example.com",
            "shippingAddress": {
                "firstName": "Ada", "lastName": "Lovelace", "address1": "1 Main St", "city": "San Francisco",
                "province": "CA", "zip": "94107", "country": "US"
            }
        });
        json!({ "url": world.at("/api/shopify/mugs/claim"), "method": "POST", "body": body })
    }
}

/// Whoever has a purse's key.
pub struct Agent {
    pub key: String,
    url: String,
    client: Client,
}

impl World {
    pub async fn start() -> Self {
        let weather = || async { Json(json!({ "weather": "sunny" })) };
        let service = Router::new().route("/weather/{city}", get(weather)).route("/dear", get(weather));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, service).await.unwrap() });
        let sells = format!("[l402.proxy]\nallow_hosts = [\"{address}\"]\n");
        let builder = regtest::Network::builder().wallets(1).extra_config(sells.parse().unwrap());
        let scene = Scene::of(builder).await;
        let folder = tempfile::tempdir().unwrap();
        let options = SatchelOptions {
            binary: Some(env!("CARGO_BIN_EXE_satchel").into()),
            config: sells.parse().unwrap(),
            ..SatchelOptions::default()
        };
        let chain = ChainSource::from(&*scene.network.bitcoind);
        let seller = Satchel::init(&folder.path().join("seller"), &chain, options).await.unwrap();
        seller.start().await.unwrap();
        let target = format!("http://{address}");
        let add = ["add", &target, "--price", &PRICE.to_string(), "--name", "weather"];
        let added = seller.command_json("proxy", &add).await.unwrap();
        let proxy = added["proxyId"].as_str().unwrap().to_owned();
        seller.command_json("proxy", &["price", &proxy, "60", "--path", "/dear"]).await.unwrap();
        let arguments = ["create", "till", "--scope", "payments,l402,withdraw", "--account", "agents"];
        let made = scene.network.satchel.command_json("key", &arguments).await.unwrap();
        let shop_key = made["key"].as_str().unwrap().to_owned();
        let world = Self { scene, seller, proxy, service: address, shop_key, _folder: folder };
        world.open_channel().await;
        world
    }

    /// The address of a path of the service that is sold.
    pub fn service(&self, path: &str) -> String {
        self.at(&format!("/l402/proxy/{}/{path}", self.proxy))
    }

    /// An address of the seller's.
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.seller.url())
    }

    /// Opens a channel to the seller and waits until it is usable.
    pub async fn open_channel(&self) {
        let buyer = &self.scene.network.satchel;
        self.scene.network.mine(1).await.unwrap();
        let request = json!({ "node_id": self.seller.node_id().await.unwrap(),
            "address": self.seller.p2p().to_string(), "amount_sat": CHANNEL_SAT, "push_sat": CHANNEL_SAT / 4 });
        until("a channel to the seller is opened", SOON, || async {
            buyer.admin_post("/admin/v1/channels", request.clone()).await.ok()
        })
        .await;
        until("the channel to the seller is usable", Duration::from_secs(90), || async {
            self.scene.network.mine(1).await.unwrap();
            tokio::time::sleep(Duration::from_millis(500)).await;
            self.is_connected().await.then_some(())
        })
        .await;
    }

    /// Whether the buyer can send to the seller.
    pub async fn is_connected(&self) -> bool {
        let node_id = self.seller.node_id().await.unwrap();
        let channels = self.scene.network.satchel.admin_get("/admin/v1/channels").await.unwrap();
        let channels = channels["channels"].as_array().unwrap();
        channels.iter().any(|channel| channel["node_id"] == node_id.as_str() && channel["usable"] == true)
    }

    /// Whether there is a channel to the seller at all.
    #[cfg_attr(not(feature = "failpoints"), expect(dead_code, reason = "deaths alone lose one"))]
    pub async fn has_channel(&self) -> bool {
        let node_id = self.seller.node_id().await.unwrap();
        let channels = self.scene.network.satchel.admin_get("/admin/v1/channels").await.unwrap();
        channels["channels"].as_array().unwrap().iter().any(|channel| channel["node_id"] == node_id.as_str())
    }

    /// The account that agents spend from earns so much.
    pub async fn earns(&self, sat: u64) {
        let client = Client::new();
        let body = json!({ "orderId": "funds", "amount": sat, "currency": "sats" });
        let url = format!("{}/api/payments", self.scene.api.url);
        let made = client.post(url).header("x-api-key", &self.shop_key).json(&body).send().await.unwrap();
        let made: Value = made.json().await.unwrap();
        self.scene.wallet(0).pay(made["lightningInvoice"].as_str().unwrap()).await.unwrap();
        until("it is earned", SOON, || async { (self.balance_msat().await >= sat * 1_000).then_some(()) })
            .await;
    }

    /// What that account has, in msat.
    pub async fn balance_msat(&self) -> u64 {
        let url = format!("{}/v1/account", self.scene.api.url);
        let shown = Client::new().get(url).header("x-api-key", &self.shop_key).send().await.unwrap();
        shown.json::<Value>().await.unwrap()["balanceMsat"].as_u64().unwrap()
    }

    /// An agent with a purse that may ask both satchels.
    pub async fn agent(&self, name: &str, budget: u64, more: &[&str]) -> Agent {
        let budget = budget.to_string();
        let mut arguments =
            vec!["create", name, "--budget", &budget, "--host", "127.0.0.1", "--account", "agents"];
        arguments.extend_from_slice(more);
        let made = self.scene.network.satchel.command_json("purse", &arguments).await.unwrap();
        // A kept connection would be a dead one after each restart of satchel.
        let client = Client::builder().timeout(Duration::from_secs(100)).pool_max_idle_per_host(0).build();
        Agent {
            key: made["key"].as_str().unwrap().to_owned(),
            url: self.scene.api.url.clone(),
            client: client.unwrap(),
        }
    }

    /// How many requests the seller has sold.
    pub async fn sold(&self) -> u64 {
        let request = Client::new().get(self.at("/api/stats/l402"));
        let answer = request.header("x-api-key", self.seller.admin_key()).send().await.unwrap();
        answer.json::<Value>().await.unwrap()["payments"].as_u64().unwrap()
    }

    /// Opens the seller's store with one product; what it costs is [`MUG`].
    pub async fn opens_store(&self) -> Mug {
        let create = [
            "create",
            "mugs",
            "--name",
            "Mugs",
            "--currency",
            "sats",
            "--country",
            "US",
            "--shipping",
            "US=0",
        ];
        self.seller.command_json("store", &create).await.unwrap();
        let add = ["add", "mugs", "Mug", "--price", &MUG.to_string(), "--stock", &STOCK.to_string()];
        self.seller.command_json("store", &add).await.unwrap();
        Mug { variant: self.mugs().await["id"].as_i64().unwrap() }
    }

    /// The only variant of the store.
    async fn mugs(&self) -> Value {
        let listed = self.seller.command_json("store", &["product", "mugs"]).await.unwrap();
        listed["products"][0]["variants"][0].clone()
    }

    /// How many mugs were paid for, by the seller's orders and stock.
    pub async fn mugs_sold(&self) -> u64 {
        let orders = self.seller.command_json("store", &["orders", "mugs"]).await.unwrap();
        let orders = orders["orders"].as_array().unwrap().len();
        let stock = self.mugs().await["stock"].as_u64().unwrap();
        assert_eq!(STOCK - stock, u64::try_from(orders).unwrap(), "stock is taken once for each order");
        STOCK - stock
    }

    /// The buyer's own proxy is bought inside its ledger: no fee, no reserve, and the preimage opens it.
    pub async fn own_proxy(&self) {
        let target = format!("http://{}", self.service);
        let add = ["add", &target, "--price", &PRICE.to_string(), "--name", "own"];
        let added = self.scene.network.satchel.command_json("proxy", &add).await.unwrap();
        let agent = self.agent("own", PRICE, &[]).await;
        let url =
            format!("{}/l402/proxy/{}/weather/x", self.scene.api.url, added["proxyId"].as_str().unwrap());
        let bought = agent.fetch(&url, "").await.ok();
        assert_eq!((&bought["status"], &bought["paid"]["feeSat"]), (&json!(200), &json!(0)), "{bought}");
        assert!(bought["paid"]["preimage"].is_string(), "{bought}");
    }

    /// Waits until a satchel's books are right: what the chain still decides about closed channels takes blocks.
    async fn comes_to_rest(&self, satchel: &Satchel) {
        until("the books are right", Duration::from_secs(120), || async {
            let output = satchel.command("audit", &["--json"]).await.unwrap();
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let audit: Value = serde_json::from_str(text.trim()).unwrap_or_default();
            if audit["problems"] == json!([]) {
                return Some(());
            }
            eprintln!("   not at rest: {}", audit["problems"]);
            self.scene.network.mine(10).await.unwrap();
            tokio::time::sleep(Duration::from_secs(1)).await;
            None
        })
        .await;
    }

    /// Both satchels' books are right, and everything stops in order.
    pub async fn close(self) {
        for satchel in [&*self.scene.network.satchel, &self.seller] {
            self.comes_to_rest(satchel).await;
        }
        self.seller.stop().await.unwrap();
        self.scene.network.shutdown().await.unwrap();
    }
}

impl Agent {
    /// Asks what may meet a satchel that dies over it.
    pub async fn try_post(&self, path: &str, body: &Value, once: &str) -> Result<Answer, reqwest::Error> {
        let mut request =
            self.client.post(format!("{}{path}", self.url)).header("x-api-key", &self.key).json(body);
        if !once.is_empty() {
            request = request.header("idempotency-key", once);
        }
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        Ok(Answer { status, body: answer.json().await.unwrap_or_default() })
    }

    pub async fn post(&self, path: &str, body: &Value, once: &str) -> Answer {
        self.try_post(path, body, once).await.unwrap()
    }

    pub async fn fetch(&self, url: &str, once: &str) -> Answer {
        self.post("/v1/purse/fetch", &json!({ "url": url }), once).await
    }

    pub async fn get(&self, path: &str) -> Value {
        let request = self.client.get(format!("{}{path}", self.url)).header("x-api-key", &self.key);
        request.send().await.unwrap().json().await.unwrap()
    }
}
