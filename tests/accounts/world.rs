//! A shop that earns, the targets it withdraws to, and their own records of what arrived. On loopback: the host of a
//! lightning address, and a DNS server whose answers nobody signed.

use std::ops::Deref;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use axum::extract::{Query, State};
use axum::routing::get;
use axum::{Json, Router};
use regtest::{InvoiceRequest, Network};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::common::api::KeyApi;
use super::common::names;
use super::common::{RECOVERY, SOON, Scene, until};

pub const WITHDRAWALS: &str = "/v1/account/withdrawals";

/// What a payment and a sold request earn, in sat.
pub const ORDER: u64 = 20_000;
pub const SOLD: u64 = 500;

/// Requests at once.
pub const AT_ONCE: usize = 50;

/// Where a withdrawal goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Invoice,
    Offer,
    LightningAddress,
    Name,
    OnChain,
}

pub const KINDS: [Kind; 5] = [Kind::Invoice, Kind::Offer, Kind::LightningAddress, Kind::Name, Kind::OnChain];

/// The host of a lightning address, which asks the wallet, and the DNS server of one name.
#[derive(Default)]
pub struct Host {
    pub port: OnceLock<u16>,
    wallet: OnceLock<String>,
    /// Payment hashes of invoices that were given out.
    given: Mutex<Vec<String>>,
    /// What the name `bob` stands for.
    bob: Mutex<String>,
}

impl Host {
    pub async fn start() -> Arc<Self> {
        let host = Arc::new(Self::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        host.port.set(listener.local_addr().unwrap().port()).unwrap();
        let router = Router::new()
            .route("/.well-known/lnurlp/shop", get(offered))
            .route("/callback", get(invoice))
            .route("/dns-query", get(name))
            .with_state(Arc::clone(&host));
        tokio::spawn(async move { axum::serve(listener, router).await });
        host
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port.get().unwrap())
    }
}

async fn offered(State(host): State<Arc<Host>>) -> Json<Value> {
    Json(json!({ "tag": "payRequest", "callback": format!("{}/callback", host.url()), "minSendable": 1_000,
        "maxSendable": 1_000_000_000, "metadata": "[[\"text/plain\",\"shop\"]]" }))
}

async fn invoice(State(host): State<Arc<Host>>, Query(query): Query<Value>) -> Json<Value> {
    let msat: u64 = query["amount"].as_str().unwrap().parse().unwrap();
    let asked = Client::new().post(format!("{}/v1/invoice", host.wallet.get().unwrap()));
    let made: Value = asked.json(&json!({ "amount_msat": msat })).send().await.unwrap().json().await.unwrap();
    host.given.lock().unwrap().push(made["payment_hash"].as_str().unwrap().to_owned());
    Json(json!({ "pr": made["invoice"], "routes": [] }))
}

/// Answers a question of DNS over HTTPS: one text for bob, none for others.
async fn name(State(host): State<Arc<Host>>, Query(query): Query<Value>) -> Vec<u8> {
    names::answer(query["dns"].as_str().unwrap(), "bob", &host.bob.lock().unwrap())
}

/// A shop's back end, with one key for all that it does.
#[derive(Clone)]
pub struct Shop(KeyApi);

impl Deref for Shop {
    type Target = KeyApi;

    fn deref(&self) -> &KeyApi {
        &self.0
    }
}

impl Shop {
    async fn open(scene: &Scene) -> Self {
        let scopes = "payments,l402,withdraw";
        let arguments = ["create", "till", "--scope", scopes, "--account", "shop"];
        let made = scene.network.satchel.command_json("key", &arguments).await.unwrap();
        Self(KeyApi::new(&scene.api.url, &made["key"]))
    }

    /// What it has, and what is under way, in msat.
    pub async fn has(&self) -> (u64, u64) {
        let shown = self.get("/v1/account").await;
        assert_eq!(shown["account"], "shop");
        (shown["balanceMsat"].as_u64().unwrap(), shown["pendingMsat"].as_u64().unwrap())
    }

    /// An order is paid, and a request is sold.
    pub async fn earns(&self, scene: &Scene, order: &str) {
        let before = self.has().await.0;
        let body = json!({ "orderId": order, "amount": ORDER, "currency": "sats" });
        let made = self.post("/api/payments", &body, "").await;
        assert_eq!(made.status, 201, "{}", made.body);
        let body = json!({ "resource": format!("/r/{order}"), "priceSats": SOLD });
        let sold = self.post("/api/l402/challenges", &body, "").await;
        assert!(matches!(sold.status, 200 | 201), "{}", sold.body);
        for invoice in [&made.body["lightningInvoice"], &sold.body["invoice"]] {
            let invoice = invoice.as_str().unwrap();
            scene.note_funding(0, invoice);
            scene.wallet(0).pay(invoice).await.unwrap();
        }
        let earned = before + (ORDER + SOLD) * 1_000;
        until("it is earned", SOON, || async { (self.has().await.0 == earned).then_some(()) }).await;
    }

    pub async fn withdrawal(&self, id: &str) -> Value {
        self.get(&format!("{WITHDRAWALS}/{id}")).await
    }
}

pub struct World {
    pub scene: Scene,
    pub host: Arc<Host>,
    pub shop: Shop,
}

impl World {
    pub async fn start() -> Self {
        let host = Host::start().await;
        let config = format!(
            "[withdrawals]\nmin_onchain_sat = 1_000\ndns_unsigned = true\ndns_over_https = [\"{}/dns-query\"]\n",
            host.url()
        );
        let scene = Scene::of(Network::builder().wallets(1).extra_config(config.parse().unwrap())).await;
        host.wallet.set(scene.wallet(0).url()).unwrap();
        let shop = Shop::open(&scene).await;
        Self { scene, host, shop }
    }

    /// A fresh target of a kind.
    pub async fn target(&self, kind: Kind) -> Target {
        let wallet = self.scene.wallet(0);
        match kind {
            Kind::Invoice => {
                let invoice = wallet.invoice(InvoiceRequest::open()).await.unwrap();
                self.scene.note_asked(0, &invoice.payment_hash, &invoice.payment_hash);
                Target { kind, text: invoice.invoice, behind: invoice.payment_hash }
            }
            Kind::Offer => {
                let offer = wallet.offer().await.unwrap();
                Target { kind, text: offer.clone(), behind: offer }
            }
            Kind::LightningAddress => {
                self.host.given.lock().unwrap().clear();
                let text = format!("shop@127.0.0.1:{}", self.host.port.get().unwrap());
                Target { kind, text, behind: String::new() }
            }
            Kind::Name => {
                let offer = wallet.offer().await.unwrap();
                *self.host.bob.lock().unwrap() = format!("bitcoin:?lno={offer}");
                Target { kind, text: "bob@example.com".into(), behind: offer }
            }
            Kind::OnChain => {
                let address = wallet.address().await.unwrap();
                Target { kind, text: address.clone(), behind: address }
            }
        }
    }

    /// What has arrived at a target, each payment in msat.
    pub async fn arrived(&self, target: &Target) -> Vec<u64> {
        let wallet = self.scene.wallet(0);
        match target.kind {
            Kind::Invoice => self.received(std::slice::from_ref(&target.behind)).await,
            Kind::LightningAddress => {
                let given = self.host.given.lock().unwrap().clone();
                self.received(&given).await
            }
            Kind::Offer | Kind::Name => {
                let came = wallet.received_by(&target.behind).await.unwrap();
                came.into_iter().map(|(_, msat)| msat).collect()
            }
            Kind::OnChain => {
                let coins = self.scene.coins_at(&target.behind).await;
                coins.into_iter().map(|sat| sat * 1_000).collect()
            }
        }
    }

    async fn received(&self, hashes: &[String]) -> Vec<u64> {
        let mut all = Vec::new();
        for hash in hashes {
            if let Ok(payment) = self.scene.wallet(0).payment(hash).await
                && payment.status == regtest::wallet::PaymentStatus::Succeeded
            {
                all.push(payment.amount_msat.unwrap());
            }
        }
        all
    }

    /// Writes into the test's own book what arrived by hashes that nobody knew before.
    pub async fn note(&self, target: &Target) {
        let hashes = match target.kind {
            Kind::Offer | Kind::Name => {
                let came = self.scene.wallet(0).received_by(&target.behind).await.unwrap();
                came.into_iter().map(|(hash, _)| hash).collect()
            }
            Kind::LightningAddress => self.host.given.lock().unwrap().clone(),
            Kind::Invoice | Kind::OnChain => Vec::new(),
        };
        for hash in hashes {
            self.scene.note_asked(0, &hash, &hash);
        }
    }

    /// Waits for the end of a withdrawal; blocks are found while it goes to an address.
    pub async fn ends(&self, target: &Target, id: &str, on_chain: bool) -> Value {
        let end = std::time::Instant::now() + RECOVERY;
        loop {
            let shown = self.shop.withdrawal(id).await;
            if shown["status"] != "pending" {
                return shown;
            }
            assert!(std::time::Instant::now() < end, "stuck: {shown}");
            if target.kind == Kind::OnChain || on_chain {
                self.scene.network.mine(if on_chain { 6 } else { 1 }).await.unwrap();
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }
}

#[derive(Debug)]
pub struct Target {
    pub kind: Kind,
    pub text: String,
    /// Hash, offer or address that shows what arrived.
    pub behind: String,
}
