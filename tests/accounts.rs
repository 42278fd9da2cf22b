//! Accounts on a real network: a shop earns by payments and by sold requests, sees its balance and its statement, and
//! takes all of it out by each kind of target: once under fifty requests at once, and once or not at all through a
//! death at each named point of a withdrawal's way.
//!
//! One wallet, which is satchel's only peer: without announced channels nobody else could be asked for the invoice of
//! an offer. On loopback: the host of a lightning address, and a DNS server whose answers nobody signed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers fail it"
)]

mod common;

use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use axum::extract::{Query, State};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::api::Answer;
use common::scene::account;
use common::{RECOVERY, SOON, Scene, case, until};
use regtest::{InvoiceRequest, Network};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

const WITHDRAWALS: &str = "/v1/account/withdrawals";

/// What a payment and a sold request earn, in sat.
const ORDER: u64 = 20_000;
const SOLD: u64 = 500;

/// Requests at once.
const AT_ONCE: usize = 50;

/// Where a withdrawal goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Invoice,
    Offer,
    LightningAddress,
    Name,
    OnChain,
}

/// How long a withdrawal to an offer may be in doubt: LDK gives up waiting for an invoice within a minute, and what was
/// not sent is proved some seconds after the node has seen the chain.
const IN_DOUBT: Duration = Duration::from_secs(120);

const KINDS: [Kind; 5] = [Kind::Invoice, Kind::Offer, Kind::LightningAddress, Kind::Name, Kind::OnChain];

/// The host of a lightning address, which asks the wallet, and the DNS server of one name.
#[derive(Default)]
struct Host {
    port: OnceLock<u16>,
    wallet: OnceLock<String>,
    /// Payment hashes of invoices that were given out.
    given: Mutex<Vec<String>>,
    /// What the name `bob` stands for.
    bob: Mutex<String>,
}

impl Host {
    async fn start() -> Arc<Self> {
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
    let mut message = URL_SAFE_NO_PAD.decode(query["dns"].as_str().unwrap()).unwrap();
    let bob = message.windows(4).any(|bytes| bytes == b"\x03bob");
    let end = 12 + message[12..].iter().position(|byte| *byte == 0).unwrap() + 5;
    message.truncate(end);
    message[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, u8::from(bob), 0, 0, 0, 0]);
    if bob {
        let text = host.bob.lock().unwrap().clone();
        let parts = text.as_bytes().chunks(255);
        let data: Vec<u8> = parts
            .flat_map(|part| [vec![u8::try_from(part.len()).unwrap()], part.to_vec()].concat())
            .collect();
        message.extend_from_slice(&[0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 60]);
        message.extend_from_slice(&u16::try_from(data.len()).unwrap().to_be_bytes());
        message.extend(data);
    }
    message
}

/// A shop's back end, with one key for all that it does.
#[derive(Clone)]
struct Shop {
    url: String,
    key: String,
    client: Client,
}

impl Shop {
    async fn open(scene: &Scene) -> Self {
        let scopes = "payments,l402,withdraw";
        let arguments = ["create", "till", "--scope", scopes, "--account", "shop"];
        let made = scene.network.satchel.command_json("key", &arguments).await.unwrap();
        // A kept connection would be a dead one after each restart of satchel.
        let client =
            Client::builder().timeout(Duration::from_secs(40)).pool_max_idle_per_host(0).build().unwrap();
        Self { url: scene.api.url.clone(), key: made["key"].as_str().unwrap().to_owned(), client }
    }

    /// Asks what may meet a satchel that dies over it.
    async fn try_ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        once: &str,
    ) -> Result<Answer, reqwest::Error> {
        let request = self.client.request(method, format!("{}{path}", self.url));
        let mut request = request.header("x-api-key", &self.key);
        if !once.is_empty() {
            request = request.header("idempotency-key", once);
        }
        let request = if let Some(body) = body { request.json(body) } else { request };
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        let text = answer.text().await?;
        Ok(Answer { status, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) })
    }

    async fn post(&self, path: &str, body: &Value, once: &str) -> Answer {
        self.try_ask(Method::POST, path, Some(body), once).await.unwrap()
    }

    async fn get(&self, path: &str) -> Value {
        self.try_ask(Method::GET, path, None, "").await.unwrap().ok()
    }

    /// What it has, and what is under way, in msat.
    async fn has(&self) -> (u64, u64) {
        let shown = self.get("/v1/account").await;
        assert_eq!(shown["account"], "shop");
        (shown["balanceMsat"].as_u64().unwrap(), shown["pendingMsat"].as_u64().unwrap())
    }

    /// An order is paid, and a request is sold.
    async fn earns(&self, scene: &Scene, order: &str) {
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

    async fn withdrawal(&self, id: &str) -> Value {
        self.get(&format!("{WITHDRAWALS}/{id}")).await
    }
}

struct World {
    scene: Scene,
    host: Arc<Host>,
    shop: Shop,
}

impl World {
    async fn start() -> Self {
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
    async fn target(&self, kind: Kind) -> Target {
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
    async fn arrived(&self, target: &Target) -> Vec<u64> {
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
                let asked = json!(["start", [format!("addr({})", target.behind)]]);
                let found = self.scene.network.bitcoind.call("scantxoutset", asked).await.unwrap();
                let sat = |coin: &Value| -> u64 {
                    format!("{:.8}", coin["amount"].as_f64().unwrap()).replace('.', "").parse().unwrap()
                };
                found["unspents"].as_array().unwrap().iter().map(|coin| sat(coin) * 1_000).collect()
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
    async fn note(&self, target: &Target) {
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
    async fn ends(&self, target: &Target, id: &str, on_chain: bool) -> Value {
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
struct Target {
    kind: Kind,
    text: String,
    /// Hash, offer or address that shows what arrived.
    behind: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_a_balance_is_withdrawn_once_by_each_kind_of_target() {
    let world = World::start().await;
    for kind in KINDS {
        case(&format!("{kind:?}"), all_of_it(&world, kind)).await;
    }
    case("statement", statement(&world)).await;
    case("command line", command_line(&world)).await;
    assert_eq!(world.scene.channels_closed().await, 0);
    world.scene.close().await;
}

/// Fifty requests at once for all that there is: half of them the same request, half others.
async fn all_of_it(world: &World, kind: Kind) {
    let World { scene, shop, .. } = world;
    shop.earns(scene, &format!("{kind:?}")).await;
    let (before, _) = shop.has().await;
    let target = world.target(kind).await;
    let body = json!({ "target": target.text });
    let mut asked = JoinSet::new();
    for number in 0..AT_ONCE {
        let (shop, body) = (shop.clone(), body.clone());
        let key = if number % 2 == 0 { format!("{kind:?}") } else { format!("{kind:?} {number}") };
        asked.spawn(async move { shop.post(WITHDRAWALS, &body, &key).await });
    }
    let answers = asked.join_all().await;
    let mut made: Vec<_> = answers
        .iter()
        .filter(|answer| matches!(answer.status, 200 | 201))
        .map(|answer| answer.body["withdrawalId"].as_str().unwrap().to_owned())
        .collect();
    for refused in answers.iter().filter(|answer| !matches!(answer.status, 200 | 201)) {
        let code = refused.body["code"].as_str().unwrap();
        assert!(matches!(code, "INSUFFICIENT_BALANCE" | "AMOUNT_TOO_SMALL"), "{refused:?}");
    }
    made.sort();
    made.dedup();
    assert_eq!(made.len(), 1, "{answers:?}");
    let done = world.ends(&target, &made[0], false).await;
    assert_eq!(done["status"], "completed", "{done}");
    let (amount, fee) = (done["amountMsat"].as_u64().unwrap(), done["feeMsat"].as_u64().unwrap());
    until("it is with the recipient", SOON, || async {
        (!world.arrived(&target).await.is_empty()).then_some(())
    })
    .await;
    assert_eq!(world.arrived(&target).await, [amount]);
    world.note(&target).await;
    assert_eq!(shop.has().await, (before - amount - fee, 0));
    // What is left is the reserve that was not used, and what is no whole sat.
    assert!(before - amount <= done["reserveMsat"].as_u64().unwrap() + 999, "{done}");
    let audit = scene.books_agree().await;
    assert_eq!((account(&audit, "withheld"), account(&audit, "in_flight")), (0, 0));
}

async fn statement(world: &World) {
    let page = world.shop.get("/v1/account/statement?limit=500").await;
    let lines = page["lines"].as_array().unwrap();
    let sum: i64 = lines.iter().map(|line| line["amountMsat"].as_i64().unwrap()).sum();
    assert_eq!(u64::try_from(sum).unwrap(), world.shop.has().await.0);
    for (kind, count) in [("payment", 5), ("l402", 5), ("withdrawal", 5), ("fee_reserved", 5)] {
        assert_eq!(lines.iter().filter(|line| line["kind"] == kind).count(), count, "{kind}");
    }
    let table = world.shop.get("/v1/account/statement.csv").await;
    assert_eq!(table.as_str().unwrap().lines().count(), lines.len() + 1);
}

/// The operator sees all accounts, and takes out for them.
async fn command_line(world: &World) {
    let satchel = &world.scene.network.satchel;
    let list = satchel.command_json("account", &["list"]).await.unwrap();
    let shop = list["accounts"].as_array().unwrap().iter().find(|account| account["account"] == "shop");
    assert_eq!(shop.unwrap()["balance_msat"], world.shop.has().await.0);
    world.shop.earns(&world.scene, "by hand").await;
    let target = world.target(Kind::Invoice).await;
    let arguments = ["withdraw", "shop", &target.text, "--amount", "1234"];
    let done = satchel.command_json("account", &arguments).await.unwrap();
    assert_eq!((&done["status"], &done["amountSat"]), (&json!("completed"), &json!(1_234)));
    assert_eq!(world.arrived(&target).await, [1_234_000]);
    let shown = satchel.command_json("account", &["show", "shop"]).await.unwrap();
    assert_eq!(shown["withdrawals"][0]["withdrawalId"], done["withdrawalId"]);
    let lines = satchel.command_json("account", &["statement", "shop"]).await.unwrap();
    assert!(lines["lines"].as_array().unwrap().len() > 20);
    // A sweep takes the rest.
    world.target(Kind::LightningAddress).await;
    let address = format!("shop@127.0.0.1:{}", world.host.port.get().unwrap());
    satchel.command_json("account", &["sweep", "shop", &address, "--min-sat", "1000"]).await.unwrap();
    until("it is swept", SOON, || async { (world.shop.has().await.0 < 1_000_000).then_some(()) }).await;
    until("it has arrived", SOON, || async { (world.shop.has().await.1 == 0).then_some(()) }).await;
    let swept = Target { kind: Kind::LightningAddress, text: address, behind: String::new() };
    assert_eq!(world.arrived(&swept).await.len(), 1);
    world.note(&swept).await;
    satchel.command_json("account", &["sweep", "shop", "--off"]).await.unwrap();
    assert!(satchel.command_json("account", &["show", "nobody"]).await.is_err());
}

#[cfg(feature = "failpoints")]
mod deaths {
    use common::doomed::Doomed;

    use super::*;

    /// Points of a withdrawal over Lightning, and how many times each is passed before.
    const LIGHTNING: &[(&str, &[u32])] = &[
        ("payout.before_queue_commit", &[0]),
        ("account.after_withdrawal", &[0]),
        ("payout.after_dispatching", &[0]),
        ("payout.after_send", &[0]),
        ("event.before_handled", &[0]),
        ("event.after_handled", &[0]),
        ("store.before_commit", &[0, 2]),
        ("store.after_commit", &[0, 3]),
    ];

    const OFFER: &[(&str, &[u32])] = &[
        ("offer_payout.before_queue_commit", &[0]),
        ("account.after_withdrawal", &[0]),
        ("offer_payout.before_send", &[0]),
        ("offer_payout.after_send", &[0]),
        ("offer_payout.after_sent_commit", &[0]),
        ("offer_payout.before_paid", &[0]),
        ("event.before_handled", &[0]),
        ("event.after_handled", &[0]),
    ];

    const COINS: &[(&str, &[u32])] = &[
        ("account.after_withdrawal", &[0]),
        ("coins.before_send", &[0]),
        ("coins.after_send", &[0]),
        ("coins.after_sent_commit", &[0]),
        ("coins.before_paid", &[0]),
    ];

    const NAMES: &[(&str, &[u32])] = &[("account.after_withdrawal", &[0]), ("store.before_commit", &[1])];

    #[tokio::test(flavor = "multi_thread")]
    async fn death_at_any_point_leaves_it_paid_once_or_in_the_balance() {
        let world = World::start().await;
        for (kind, points) in [
            (Kind::Invoice, LIGHTNING),
            (Kind::LightningAddress, NAMES),
            (Kind::Offer, OFFER),
            (Kind::Name, NAMES),
            (Kind::OnChain, COINS),
        ] {
            for (point, skips) in points {
                for skip in *skips {
                    let name = format!("{kind:?}, {point} after {skip}");
                    case(&name, dying(&world, kind, point, *skip, &name)).await;
                }
            }
        }
        eprintln!("channels closed: {}", world.scene.channels_closed().await);
        world.scene.close().await;
    }

    async fn dying(world: &World, kind: Kind, point: &str, skip: u32, name: &str) {
        let World { scene, shop, .. } = world;
        shop.earns(scene, name).await;
        let before = shop.has().await.0;
        let target = world.target(kind).await;
        let body = json!({ "target": target.text, "amountSat": 3_000 });
        let doomed = Doomed::start(scene, point, skip).await;
        doomed.arm();
        let going = async {
            let _answered_or_not = shop.try_ask(Method::POST, WITHDRAWALS, Some(&body), name).await;
            // One death waits for the blocks.
            while point == "coins.before_paid" && world.arrived(&target).await.is_empty() {
                tokio::time::sleep(Duration::from_millis(300)).await;
                scene.network.bitcoind.mine(1).await.unwrap();
            }
            if point == "coins.before_paid" {
                scene.network.bitcoind.mine(6).await.unwrap();
            }
        };
        tokio::join!(going, doomed.dies_and_rises());
        let lost = scene.replace_lost_channels().await > 0;
        scene.network.wait_usable().await.unwrap();
        let asked = shop.post(WITHDRAWALS, &body, name).await;
        assert!(matches!(asked.status, 200 | 201), "{asked:?}");
        let id = asked.body["withdrawalId"].as_str().unwrap();
        settle_by_hand(world, kind, point, id).await;
        let done = world.ends(&target, id, lost).await;
        let (now, pending) = shop.has().await;
        assert_eq!(pending, 0);
        if done["status"] == "failed" {
            assert_eq!(now, before, "{done}");
            assert_eq!(world.arrived(&target).await, [0_u64; 0], "arrived and is in the balance: {done}");
        } else {
            assert_eq!(now, before - 3_000_000 - done["feeMsat"].as_u64().unwrap(), "{done}");
            until("it is with the recipient", SOON, || async {
                (!world.arrived(&target).await.is_empty()).then_some(())
            })
            .await;
            assert_eq!(world.arrived(&target).await, [3_000_000], "{done}");
        }
        world.note(&target).await;
        scene.books_agree().await;
    }

    /// What nobody can tell from here waits for a person.
    async fn settle_by_hand(world: &World, kind: Kind, point: &str, id: &str) {
        let satchel = &world.scene.network.satchel;
        match (kind, point) {
            // Nothing was sent, or LDK kept it in memory only while it waited for the offer's maker: the node's state has
            // no trace of it, and it ends by itself. Or there is one, and an event comes.
            (Kind::Offer | Kind::Name, _) => {
                until("nobody is in doubt any more", IN_DOUBT, || async {
                    (world.shop.withdrawal(id).await["inDoubt"] != true).then_some(())
                })
                .await;
            }
            (Kind::OnChain, "coins.before_send" | "coins.after_send")
                if world.scene.network.bitcoind.mempool_count().await.unwrap() == 0 =>
            {
                world.scene.network.mine(2).await.unwrap();
                tokio::time::sleep(Duration::from_secs(5)).await;
                let list = satchel.command_json("coins", &["list"]).await.unwrap();
                if list["coins"][0]["status"] == "sending" {
                    let first = list["coins"][0]["id"].to_string();
                    satchel.command_json("coins", &["settle", &first, "--not-sent"]).await.unwrap();
                }
            }
            _ => {}
        }
    }
}
