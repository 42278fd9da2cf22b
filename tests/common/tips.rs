//! The tips' HTTP interface, as tippers, tippees and their wallets see it.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::extract::{Query, State};
use axum::routing::get;
use axum::{Json, Router};
use regtest::wallet::Invoice;
use regtest::{InvoiceRequest, Wallet};
use reqwest::{Client, Method};
use serde_json::{Value, json};

use super::api::Answer;
use super::{SOON, Scene, until};

/// Longer than satchel lets any request take.
const REQUEST_LIMIT: Duration = Duration::from_secs(40);

/// Somebody with an API key, with a browser, or with nothing.
#[derive(Clone)]
pub struct Person {
    url: String,
    client: Client,
    key: Option<String>,
    cookie: Option<String>,
}

impl Person {
    /// Somebody whom nobody knows.
    pub fn nobody(scene: &Scene) -> Self {
        // A kept connection would be a dead one after each restart of satchel.
        let client = Client::builder().timeout(REQUEST_LIMIT).pool_max_idle_per_host(0).build().unwrap();
        Self { url: scene.api.url.clone(), client, key: None, cookie: None }
    }

    /// A tipper, with a key made on the command line.
    pub async fn tipper(scene: &Scene) -> Self {
        let arguments = ["create", "--scope", "tips"];
        let made = scene.network.satchel.command_json("key", &arguments).await.unwrap();
        Self { key: Some(made["key"].as_str().expect("a key").to_owned()), ..Self::nobody(scene) }
    }

    /// Somebody with a fresh browser.
    pub async fn guest(scene: &Scene) -> Self {
        let nobody = Self::nobody(scene);
        let (answer, cookies) = nobody.ask(Method::POST, "/api/auth/guest", Some(&json!({}))).await.unwrap();
        answer.ok();
        Self { cookie: Some(cookie(&cookies, "satchel_tips=")), ..nobody }
    }

    /// The owner of a wallet, who logs in with it.
    pub async fn owner(scene: &Scene, wallet: usize) -> Self {
        let nobody = Self::nobody(scene);
        let begun = nobody.ask(Method::GET, "/api/auth/lnurl/generate-secret", None).await.unwrap();
        let secret = begun.0.ok();
        let browser = Self { cookie: Some(cookie(&begun.1, "satchel_tips_login=")), ..nobody };
        let status = format!("/api/auth/lnurl/status?k1={}", secret["k1"].as_str().unwrap());
        assert_eq!(browser.get(&status).await.ok()["verified"], false);
        scene.wallet(wallet).lnurl_auth(secret["lnurl_auth"].as_str().unwrap()).await.unwrap();
        assert_eq!(browser.get(&status).await.ok()["verified"], true);
        let body = json!({ "k1": secret["k1"] });
        let (answer, cookies) =
            browser.ask(Method::POST, "/api/auth/lnurl/session", Some(&body)).await.unwrap();
        answer.ok();
        Self { cookie: Some(cookie(&cookies, "satchel_tips=")), ..browser }
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(Answer, Vec<String>), reqwest::Error> {
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        if let Some(body) = body {
            request = request.json(body);
        }
        if let Some(key) = &self.key {
            request = request.bearer_auth(key);
        }
        if let Some(cookie) = &self.cookie {
            request = request.header("cookie", cookie);
        }
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        let cookies = answer.headers().get_all("set-cookie").iter();
        let cookies = cookies.map(|value| value.to_str().unwrap().to_owned()).collect();
        let text = answer.text().await?;
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Ok((Answer { status, body }, cookies))
    }

    /// Sends what may meet a satchel that dies over it.
    pub async fn try_post(&self, path: &str, body: Value) -> Result<Answer, reqwest::Error> {
        Ok(self.ask(Method::POST, path, Some(&body)).await?.0)
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let sent = self.ask(method, path, body).await;
        sent.unwrap_or_else(|error| panic!("{path}: {error:?}")).0
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, Some(&body)).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PUT, path, Some(&body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None).await
    }

    /// A tip or a group, not paid yet.
    pub async fn create(&self, sat: u64, more: Value) -> Value {
        let mut body = json!({ "amount": sat, "quantity": 1, "expiry": in_secs(3_600) });
        for (name, value) in more.as_object().expect("an object") {
            body[name] = value.clone();
        }
        self.post("/api/tipper/tips", body).await.ok()
    }

    /// The same, paid for by the first wallet.
    pub async fn give(&self, scene: &Scene, sat: u64, more: Value) -> Value {
        let made = self.create(sat, more).await;
        fund(scene, &made).await;
        made
    }

    /// Opens the page of a tip and claims it.
    pub async fn claim(&self, id: &str) -> Answer {
        let seen = self.post(&format!("/api/tippee/tips/{id}/markSeen"), json!({})).await;
        assert_eq!(seen.status, 204, "{}", seen.body);
        self.claim_seen(id).await
    }

    pub async fn claim_seen(&self, id: &str) -> Answer {
        self.post(&format!("/api/tippee/tips/{id}/claim"), json!({})).await
    }

    pub async fn reclaim(&self, id: &str, force: bool) -> Answer {
        self.post(&format!("/api/tipper/tips/{id}/reclaim"), json!({ "force": force })).await
    }

    /// Withdraws to an invoice or an address.
    pub async fn withdraw(&self, flow: &str, target: &str, tip: Option<&str>) -> Answer {
        self.post("/api/invoices", withdrawal(flow, target, tip)).await
    }

    /// An LNURL for what can be withdrawn.
    pub async fn link(&self, flow: &str, sat: u64, tip: Option<&str>) -> String {
        let body = json!({ "flow": flow, "amount": sat, "tipId": tip });
        self.post("/api/withdrawalLinks", body).await.ok().as_str().expect("an LNURL").to_owned()
    }

    /// Their id.
    pub async fn id(&self) -> String {
        self.get("/api/auth/session").await.ok()["id"].as_str().expect("an id").to_owned()
    }

    /// Says where refunds go, or that they go nowhere.
    pub async fn set_address(&self, address: Option<&str>) {
        let path = format!("/api/users/{}", self.id().await);
        let answer = self.put(&path, json!({ "lightningAddress": address })).await;
        done(&answer);
    }
}

/// The body of `POST /api/invoices`.
pub fn withdrawal(flow: &str, target: &str, tip: Option<&str>) -> Value {
    json!({ "flow": flow, "invoice": target, "tipId": tip })
}

fn cookie(cookies: &[String], name: &str) -> String {
    let found = cookies.iter().find(|cookie| cookie.starts_with(name)).expect("a cookie");
    found.split(';').next().unwrap().to_owned()
}

/// Status and code of an answer.
pub fn refusal(answer: &Answer) -> (u16, &str) {
    (answer.status, answer.body["code"].as_str().unwrap_or_default())
}

#[track_caller]
pub fn done(answer: &Answer) {
    assert_eq!(answer.status, 204, "{}", answer.body);
}

/// The id of a tip or group.
pub fn id(made: &Value) -> &str {
    made["id"].as_str().expect("an id")
}

/// The ids of a group's tips.
pub fn ids(group: &Value) -> Vec<String> {
    group["tips"].as_array().expect("tips").iter().map(|tip| id(tip).to_owned()).collect()
}

/// Pays for a tip or group and waits until satchel has it. Nobody asks the tipper's own routes meanwhile.
pub async fn fund(scene: &Scene, made: &Value) {
    let invoice = made["invoice"].as_str().expect("an invoice");
    scene.note_funding(0, invoice);
    scene.wallet(0).pay(invoice).await.unwrap();
    let first = made["tips"].as_array().map_or(made, |tips| tips.last().unwrap());
    until("the tip is funded", SOON, || async {
        (status(scene, id(first)).await != "UNFUNDED").then_some(())
    })
    .await;
}

/// A tip as a stranger sees it.
pub async fn shown(scene: &Scene, id: &str) -> Value {
    scene.api.get(&format!("/api/tippee/tips/{id}")).await.ok()
}

pub async fn status(scene: &Scene, id: &str) -> String {
    shown(scene, id).await["status"].as_str().unwrap().to_owned()
}

/// Waits until a tip is there.
pub async fn wait(scene: &Scene, id: &str, wanted: &str, limit: Duration) {
    until(&format!("tip {id} is {wanted}"), limit, || async {
        (status(scene, id).await == wanted).then_some(())
    })
    .await;
}

/// An invoice that this purse may be paid to from now on.
pub async fn invoice(scene: &Scene, purse: &str, wallet: usize, request: InvoiceRequest) -> Invoice {
    let invoice = scene.wallet(wallet).invoice(request).await.unwrap();
    scene.note_asked(wallet, purse, &invoice.payment_hash);
    invoice
}

/// Takes an LNURL with a wallet for this purse.
pub async fn scan(scene: &Scene, purse: &str, wallet: usize, lnurl: &str) {
    let taken = scene.wallet(wallet).lnurl_withdraw(lnurl, None).await.unwrap();
    scene.note_asked(wallet, purse, &taken.payment_hash);
}

/// A time as the API writes it, so many seconds from now.
pub fn in_secs(secs: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(secs);
    let (days, rest) = (now.as_secs() / 86_400, now.as_secs() % 86_400);
    // Years that begin in March, in eras of 400 years.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march + 2) / 5 + 1;
    let month = if march < 10 { march + 3 } else { march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", now.subsec_millis())
}

/// What a lightning address does when it is asked.
const GIVES: u8 = 0;
const HOLDS: u8 = 1;
const REFUSES: u8 = 2;

/// A lightning address of a wallet, and every invoice it gave.
#[derive(Clone)]
pub struct Address {
    /// `name@host:port`.
    pub name: String,
    wallet: usize,
    given: Arc<Mutex<Vec<String>>>,
    mood: Arc<AtomicU8>,
}

type Params = Query<std::collections::HashMap<String, String>>;

impl Address {
    pub async fn of(scene: &Scene, wallet: usize) -> Self {
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = socket.local_addr().unwrap();
        let offer = json!({
            "tag": "payRequest", "callback": format!("http://{host}/pay?x=1"), "minSendable": 1_000,
            "maxSendable": 1_000_000_000, "metadata": "[[\"text/plain\",\"me\"]]",
        });
        let address =
            Self { name: format!("me@{host}"), wallet, given: Arc::default(), mood: Arc::default() };
        let routes = Router::new()
            .route("/.well-known/lnurlp/me", get(move || std::future::ready(Json(offer.clone()))))
            .route("/pay", get(Self::pay))
            .with_state((address.clone(), Arc::clone(&scene.network.wallets[wallet])));
        tokio::spawn(async move { axum::serve(socket, routes).await });
        address
    }

    async fn pay(State((address, wallet)): State<(Self, Arc<Wallet>)>, Query(params): Params) -> Json<Value> {
        let mood = address.mood.load(Ordering::SeqCst);
        if mood == REFUSES {
            return Json(json!({ "status": "ERROR", "reason": "not today" }));
        }
        let request = InvoiceRequest::msat(params["amount"].parse().unwrap());
        let request = if mood == HOLDS { request.hold() } else { request };
        let invoice = wallet.invoice(request).await.unwrap();
        address.given.lock().unwrap().push(invoice.payment_hash);
        Json(json!({ "pr": invoice.invoice, "routes": [] }))
    }

    pub fn gives(&self) {
        self.mood.store(GIVES, Ordering::SeqCst);
    }

    pub fn holds(&self) {
        self.mood.store(HOLDS, Ordering::SeqCst);
    }

    pub fn refuses(&self) {
        self.mood.store(REFUSES, Ordering::SeqCst);
    }

    /// Payment hashes of its invoices, oldest first.
    pub fn given(&self) -> Vec<String> {
        self.given.lock().unwrap().clone()
    }

    /// Writes into the test's book that this purse may have been paid to any of its invoices.
    pub fn note(&self, scene: &Scene, purse: &str) {
        for hash in self.given.lock().unwrap().drain(..) {
            scene.note_asked(self.wallet, purse, &hash);
        }
    }
}
