//! An app around the service: the real store, ledger and routes on a simulated node.

use ::l402::mpp::Challenge;
use ::l402::{Macaroon, b64};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request};
use axum::middleware::from_fn_with_state;
use bitcoin::Network;
use lightning_invoice::Bolt11Invoice;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::core::ids::{PaymentHash, Preimage, to_hex};
use crate::core::money::Msat;
use crate::core::time::Clock;
use crate::http::client::{Peer, Proxies};
use crate::http::events::EventLog;
use crate::http::keys::{Keys, Scope, recognise};
use crate::http::limits::{Budget, LimitSettings, Limits};
use crate::http::live::{Hub, HubSettings};
use crate::ledger::{Family, Ledger, Listener, Listeners, Notify, Settings, audit, charges, events};
use crate::lightning::sim::{FakeNode, Sim};
use crate::lightning::{Lightning, Node};
use crate::services::l402::{L402, Notifier, Parts, Rules, api, token_keys};
use crate::storage::Store;
use crate::web::WebSettings;

pub(super) const NOON: i64 = 1_800_000_000_000;
pub(super) const PUBLIC_URL: &str = "https://pay.example";
pub(super) const PING: &str = "/l402/test/ping";
pub(super) const DEMO: &str = "/api/l402/demo";
pub(super) const CHALLENGES: &str = "/api/l402/challenges";
pub(super) const VERIFY: &str = "/api/l402/challenges/verify";
pub(super) const HOUR: Duration = Duration::from_secs(3_600);

/// What differs between apps.
pub(super) struct Setup {
    pub(super) limits: LimitSettings,
    /// Verifications of one key in a minute.
    pub(super) verify: u32,
    pub(super) per_client: u32,
    pub(super) budget: u32,
    pub(super) rules: Rules,
}

/// So many writes in a minute.
pub(super) fn quota(write: u32) -> LimitSettings {
    LimitSettings {
        enabled: write > 0,
        window: Duration::from_secs(60),
        write,
        read: 0,
        key_write: write,
        key_read: 0,
    }
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            limits: quota(0),
            verify: 0,
            per_client: 0,
            budget: 0,
            rules: Rules {
                enabled: true,
                network: Network::Regtest,
                public_url: PUBLIC_URL.into(),
                realm: "pay.example".into(),
                lifetime: HOUR,
                invoice_expiry: Duration::from_secs(600),
                default_price_sat: 10,
                premium_price_sat: 100,
                max_price_sat: 1_000_000,
                per_credential_per_minute: 0,
                fee: crate::core::fees::FeeRule::FREE,
            },
        }
    }
}

pub(super) struct TestApp {
    pub(super) l402: L402,
    pub(super) ledger: Ledger,
    pub(super) node: Arc<FakeNode>,
    pub(super) clock: Clock,
    pub(super) keys: Keys,
    pub(super) router: Router,
    /// The key of a producer.
    pub(super) shop: String,
    /// The key of another.
    pub(super) rival: String,
    _folder: tempfile::TempDir,
}

impl TestApp {
    pub(super) async fn new() -> Self {
        Self::with(Setup::default()).await
    }

    pub(super) async fn with(setup: Setup) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open_without_sync(&folder.path().join("satchel.db")).unwrap();
        let clock = Clock::manual(NOON);
        let node = Arc::new(FakeNode::new(Arc::new(Sim::new(clock.clone()))));
        let log = EventLog::new(store.clone(), Hub::new(HubSettings::default()));
        let notifier = Notifier::new(log, clock.clone()).taking(setup.rules.fee);
        let ledger = Ledger {
            store: store.clone(),
            lightning: Arc::clone(&node) as Arc<dyn Lightning>,
            clock: clock.clone(),
            wake: Arc::new(Notify::default()),
            listeners: Listeners::new([(Family::L402, Arc::new(notifier.clone()) as Arc<dyn Listener>)]),
            settings: Settings::default(),
        };
        let l402 = L402::new(Parts {
            ledger: ledger.clone(),
            node: Node::new(Arc::clone(&node), tokio::runtime::Handle::current()),
            rules: setup.rules,
            token_keys: tokio::task::block_in_place(|| token_keys(&store).unwrap()),
            notifier,
            proxies: Arc::new(Proxies::default()),
            per_client: Arc::new(Limits::new(quota(setup.per_client))),
            budget: Arc::new(Budget::per_minute(setup.budget)),
        });
        let keys = Keys::new(store);
        let limits = Arc::new(Limits::new(setup.limits).verifying(setup.limits, setup.verify));
        let (router, _) = api::router(l402.clone(), keys.clone(), &limits);
        let router = router.layer(from_fn_with_state(keys.clone(), recognise));
        let router = crate::app::routes::open(router, Arc::new(pages()));
        let key = async |account: &str| {
            keys.create("test", &[Scope::L402], Some(account)).await.unwrap().1.expose().to_owned()
        };
        let (shop, rival) = (key("shop").await, key("rival").await);
        Self { l402, ledger, node, clock, keys, router, shop, rival, _folder: folder }
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Answer {
        Answer::of(self.router.clone(), request).await
    }

    /// Asks with a key, or with none if that is empty.
    pub(super) async fn ask(
        &self,
        method: Method,
        key: &str,
        path: &str,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if !key.is_empty() {
            request = request.header("x-api-key", key);
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        self.send(request.body(body).unwrap()).await
    }

    pub(super) async fn post(&self, key: &str, path: &str, body: &Value) -> Answer {
        self.ask(Method::POST, key, path, Some(body), &[]).await
    }

    pub(super) async fn get(&self, key: &str, path: &str) -> Answer {
        self.ask(Method::GET, key, path, None, &[]).await
    }

    /// A stranger's request with a credential.
    pub(super) async fn show(&self, path: &str, credential: &str) -> Answer {
        self.ask(Method::GET, "", path, None, &[("authorization", credential)]).await
    }

    /// A stranger's request from some address.
    pub(super) async fn from(&self, address: &str, path: &str) -> Answer {
        let peer = Peer(SocketAddr::new(address.parse().unwrap(), 1));
        self.send(Request::get(path).extension(peer).body(Body::empty()).unwrap()).await
    }

    /// A challenge of the shop.
    pub(super) async fn challenge(&self, resource: &str, price: u64) -> Value {
        let body = json!({ "resource": resource, "priceSats": price });
        self.post(&self.shop, CHALLENGES, &body).await.ok()
    }

    /// What the shop hears of a credential.
    pub(super) async fn verdict(&self, body: &Value) -> Value {
        self.post(&self.shop, VERIFY, body).await.ok()
    }

    /// Somebody pays, and all of it is done; what they learn.
    pub(super) fn pay(&self, invoice: &str) -> String {
        let invoice: Bolt11Invoice = invoice.parse().unwrap();
        self.pay_msat(&invoice, invoice.amount_milli_satoshis().unwrap());
        self.preimage(charges::hash_of(&invoice))
    }

    pub(super) fn pay_msat(&self, invoice: &Bolt11Invoice, msat: u64) {
        self.node.sim.receive(invoice, Msat::new(msat).unwrap());
        self.drain();
    }

    pub(super) fn preimage(&self, hash: PaymentHash) -> String {
        to_hex(&self.node.preimages.lock().unwrap()[&hash].0)
    }

    pub(super) fn drain(&self) {
        tokio::task::block_in_place(|| while events::step(&self.ledger, Duration::ZERO).unwrap() {});
    }

    /// Asks, pays and answers what is to be shown.
    pub(super) async fn buy(&self, path: &str) -> Bought {
        let asked = self.get("", path).await;
        let offer = asked.offer();
        let preimage = self.pay(offer["invoice"].as_str().unwrap());
        let macaroon = offer["macaroon"].as_str().unwrap().to_owned();
        Bought { macaroon, preimage, challenge: asked.payment() }
    }

    /// What the books owe to merchants and what they have earned, in sat, after an audit that finds nothing.
    #[track_caller]
    pub(super) fn books(&self) -> (i64, i64) {
        let audit = tokio::task::block_in_place(|| audit::audit(&self.ledger).unwrap());
        assert_eq!(audit.problems, Vec::<String>::new());
        let of = |name: &str| audit.accounts.iter().find(|row| row.account == name).unwrap().msat;
        assert_eq!((of("suspense"), of("loss")), (0, 0));
        (-of("merchants") / 1_000, -of("fees_earned") / 1_000)
    }
}

/// What a payer has.
#[derive(Clone)]
pub(super) struct Bought {
    pub(super) macaroon: String,
    pub(super) preimage: String,
    pub(super) challenge: Challenge,
}

impl Bought {
    pub(super) fn header(&self) -> String {
        format!("L402 {}:{}", self.macaroon, self.preimage)
    }

    /// With caveats more.
    pub(super) fn attenuated(&self, caveats: &[&str]) -> String {
        let read = Macaroon::read(&b64::read_any(&self.macaroon).unwrap()).unwrap();
        let narrowed = caveats.iter().fold(read, |macaroon, caveat| macaroon.attenuate(caveat));
        format!("L402 {}:{}", b64::standard(&narrowed.to_bytes()), self.preimage)
    }

    /// By the `Payment` scheme.
    pub(super) fn payment(&self) -> String {
        payment(&self.challenge, &self.preimage)
    }
}

pub(super) fn payment(challenge: &Challenge, preimage: &str) -> String {
    let credential = json!({ "challenge": challenge, "payload": { "preimage": preimage } });
    format!("Payment {}", b64::url(credential.to_string().as_bytes()))
}

/// An answer.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Answer {
    pub(super) async fn of(router: Router, request: Request<Body>) -> Self {
        let response = router.oneshot(request).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        Self { status, headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
    }

    #[track_caller]
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {}", self.text))
    }

    #[track_caller]
    pub(super) fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        self.json()
    }

    /// It asks for payment: the `l402` member, after looking that the headers say the same.
    #[track_caller]
    pub(super) fn offer(&self) -> Value {
        assert_eq!(self.status, 402, "{}", self.text);
        let offer = self.json()["l402"].clone();
        let lines: Vec<_> = self.headers.get_all("www-authenticate").iter().collect();
        assert_eq!(lines.len(), 2);
        let (macaroon, invoice) = (offer["macaroon"].as_str().unwrap(), offer["invoice"].as_str().unwrap());
        let expected =
            format!(r#"L402 macaroon="{macaroon}", invoice="{invoice}", version="0", token="{macaroon}""#);
        assert_eq!(lines[0].to_str().unwrap(), expected);
        assert!(lines[1].to_str().unwrap().starts_with("Payment id=\""));
        assert_eq!(self.headers["cache-control"], "no-store");
        assert_eq!(
            self.headers["access-control-expose-headers"],
            "WWW-Authenticate, Payment-Receipt, Retry-After"
        );
        offer
    }

    /// The challenge of the `Payment` scheme.
    #[track_caller]
    pub(super) fn payment(&self) -> Challenge {
        let lines = self.headers.get_all("www-authenticate").iter().map(|line| line.to_str().unwrap());
        let joined = lines.collect::<Vec<_>>().join(", ");
        Challenge::read_all(&joined).remove(0)
    }

    /// Why what was shown didn't do.
    #[track_caller]
    pub(super) fn why(&self) -> (String, String) {
        self.offer();
        let body = self.json();
        let kind = body["type"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        (kind, body["detail"].as_str().unwrap().to_owned())
    }

    /// The answer is this error, in the family's one shape.
    #[track_caller]
    pub(super) fn is_error(&self, status: u16, slug: &str, path: &str) {
        let body = self.json();
        assert_eq!((self.status, body["error"].as_str()), (status, Some(slug)), "{}", self.text);
        for (name, expected) in [
            ("status", Value::from(status)),
            ("instance", path.split('?').next().unwrap().into()),
            ("message", body["detail"].clone()),
            ("code", slug.to_ascii_uppercase().into()),
            ("type", format!("https://lightningenable.com/problems/{slug}").into()),
        ] {
            assert_eq!(body[name], expected, "{name}: {}", self.text);
        }
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert_eq!(self.headers["cache-control"], "no-store");
        assert_eq!(self.headers["access-control-allow-origin"], "*");
        assert_eq!(self.headers.get("www-authenticate").is_some(), status == 401);
        assert_eq!(self.headers.contains_key("retry-after"), matches!(status, 429 | 503));
    }
}

pub(super) fn hash(preimage: &str) -> String {
    preimage.parse::<Preimage>().unwrap().payment_hash().to_string()
}

/// The site that lost browsers are told of.
fn pages() -> WebSettings {
    WebSettings {
        public_url: PUBLIC_URL.into(),
        site_name: "Satchel".into(),
        min_sat: 100,
        max_sat: 500_000,
        max_quantity: 500,
        gift_fee: crate::core::fees::FeeRule::FREE,
        email: false,
    }
}
