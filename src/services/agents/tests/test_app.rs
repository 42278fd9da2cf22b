//! A server around the service: the real store, ledger, challenger, proxies and routes on a simulated node, and a service on
//! loopback.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request};
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use bitcoin::Network;
use bitcoin::key::Keypair;
use bitcoin::secp256k1::{Message, Secp256k1, SecretKey};
use lightning_invoice::Bolt11Invoice;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::app::{Backend, ears};
use crate::core::ids::{Secret, from_hex, to_hex};
use crate::core::money::Msat;
use crate::core::time::Clock;
use crate::http::client::Proxies;
use crate::http::events::EventLog;
use crate::http::keys::{Keys, Scope, recognise};
use crate::http::limits::{Budget, LimitSettings, Limits};
use crate::http::live::{Hub, HubSettings};
use crate::ledger::{Family, Ledger, Listener, Listeners, Notify, Settings, audit, charges, events};
use crate::lightning::sim::{FakeNode, Sim};
use crate::lightning::{Lightning, Node};
use crate::outbound::guard::GuardSettings;
use crate::services::agents::{Agents, Listings, Parts, Publisher, Rules, ServerKey, api};
use crate::services::l402::{self, L402, Notifier};
use crate::services::proxy::{self, PaidProxies, Targets};
use crate::storage::Store;
use crate::web::WebSettings;

pub(super) const NOON: i64 = 1_800_000_000_000;
pub(super) const PUBLIC_URL: &str = "https://pay.example";
pub(super) const REGISTER: &str = "/api/agents/register";
pub(super) const CHALLENGE: &str = "/api/agents/challenge";
pub(super) const VERIFY: &str = "/api/agents/verify";
pub(super) const CAPABILITIES: &str = "/api/agents/capabilities";
pub(super) const REQUESTS: &str = "/api/agents/requests";
pub(super) const ATTESTATIONS: &str = "/api/agents/attestations";
pub(super) const DAY: Duration = Duration::from_secs(86_400);

/// The first words of BIP39's own test vectors; NIP-06 has no vector for them, an independent library derives the same.
pub(super) const WORDS: &str =
    "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";

pub(super) struct TestApp {
    pub(super) store: Store,
    pub(super) clock: Clock,
    pub(super) ledger: Ledger,
    pub(super) node: Arc<FakeNode>,
    pub(super) agents: Agents,
    pub(super) listings: Listings,
    pub(super) router: Router,
    pub(super) keys: Keys,
    /// The key of a provider.
    pub(super) seller: String,
    /// The key of a requester.
    pub(super) buyer: String,
    /// Where the service is.
    pub(super) target: String,
    _folder: tempfile::TempDir,
}

pub(super) fn rules() -> Rules {
    Rules {
        public_url: PUBLIC_URL.into(),
        max_price_sat: 1_000_000,
        max_agents: 5,
        max_capabilities: 50,
        max_open_requests: 5,
        max_requests_per_hour: 8,
        max_attestations: 5,
    }
}

fn off() -> LimitSettings {
    let window = Duration::from_secs(60);
    LimitSettings { enabled: false, window, write: 0, read: 0, key_write: 0, key_read: 0 }
}

impl TestApp {
    pub(super) async fn new() -> Self {
        Self::with(&[], Clock::manual(NOON)).await
    }

    pub(super) async fn with(relays: &[String], clock: Clock) -> Self {
        Self::limited(relays, clock, off()).await
    }

    pub(super) async fn limited(relays: &[String], clock: Clock, limits: LimitSettings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open_without_sync(&folder.path().join("satchel.db")).unwrap();
        let node = Arc::new(FakeNode::new(Arc::new(Sim::new(clock.clone()))));
        let log = EventLog::new(store.clone(), Hub::new(HubSettings::default()));
        let key = ServerKey::derive(&Secret::new(WORDS)).unwrap();
        let publisher = tokio::task::block_in_place(|| Publisher::new(&store, key, relays).unwrap());
        let listings = Listings::new(publisher, log.clone(), clock.clone());
        let ears = ears(&listings);
        let notifier = Notifier::new(log, clock.clone()).telling(Arc::<crate::app::Ears>::clone(&ears));
        let ledger = Ledger {
            store: store.clone(),
            lightning: Arc::clone(&node) as Arc<dyn Lightning>,
            clock: clock.clone(),
            wake: Arc::new(Notify::default()),
            listeners: Listeners::new([(Family::L402, Arc::new(notifier.clone()) as Arc<dyn Listener>)]),
            settings: Settings::default(),
        };
        let proxies = Arc::new(Proxies::default());
        let seller = L402::new(l402::Parts {
            ledger: ledger.clone(),
            node: Node::new(Arc::clone(&node), tokio::runtime::Handle::current()),
            rules: l402::Rules {
                enabled: true,
                network: Network::Regtest,
                public_url: PUBLIC_URL.into(),
                realm: "pay.example".into(),
                lifetime: Duration::from_secs(3_600),
                invoice_expiry: Duration::from_secs(600),
                default_price_sat: 10,
                premium_price_sat: 100,
                max_price_sat: 1_000_000,
                per_credential_per_minute: 0,
                fee: crate::core::fees::FeeRule::FREE,
            },
            token_keys: tokio::task::block_in_place(|| l402::token_keys(&store).unwrap()),
            notifier,
            proxies: Arc::clone(&proxies),
            per_client: Arc::new(Limits::new(off())),
            budget: Arc::new(Budget::per_minute(0)),
        });
        let loopback = GuardSettings {
            allow_networks: vec!["127.0.0.0/8".parse().unwrap()],
            ..GuardSettings::default()
        };
        let free = Arc::new(Limits::new(off()));
        let parts = proxy::Parts {
            store: store.clone(),
            clock: clock.clone(),
            seller: seller.clone(),
            rules: proxy::Rules {
                enabled: true,
                public_url: PUBLIC_URL.into(),
                max_proxies: 100,
                max_in_flight: 100,
                unpaid_per_minute: 0,
                max_request_bytes: 1 << 20,
                max_answer_bytes: 1 << 20,
                connect_timeout: Duration::from_secs(2),
                idle_timeout: Duration::from_secs(2),
                max_timeout: Duration::from_secs(60),
                request_timeout: Duration::from_secs(10),
            },
            quotas: Arc::clone(&free),
            targets: Targets::offline(loopback),
        };
        let paid = PaidProxies::telling(parts, ears).unwrap();
        let agents = Agents::new(Parts {
            store: store.clone(),
            clock: clock.clone(),
            rules: rules(),
            listings: listings.clone(),
            backend: Arc::new(Backend(paid.clone())),
        });
        let keys = Keys::new(store.clone());
        let (served, _) = proxy::api::router(paid, keys.clone(), &free, &proxies);
        let (sold, _) = l402::api::router(seller, keys.clone(), &free);
        let limits = Arc::new(Limits::new(limits));
        let (own, _) = api::router(agents.clone(), keys.clone(), &limits, &proxies);
        let router = own.merge(served).merge(sold).layer(from_fn_with_state(keys.clone(), recognise));
        let router = crate::app::routes::open(router, Arc::new(pages()));
        let key = async |account: &str| {
            keys.create("test", &[Scope::L402], Some(account)).await.unwrap().1.expose().to_owned()
        };
        let (seller, buyer) = (key("seller").await, key("buyer").await);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = format!("http://{}", listener.local_addr().unwrap());
        let service = Router::new().fallback(get(|| async { "done" }));
        tokio::spawn(async move { axum::serve(listener, service).await });
        Self {
            store,
            clock,
            ledger,
            node,
            agents,
            listings,
            router,
            keys,
            seller,
            buyer,
            target,
            _folder: folder,
        }
    }

    pub(super) fn description(&self) -> Value {
        let limits = Arc::new(Limits::new(off()));
        let (keys, proxies) = (self.keys.clone(), Arc::new(Proxies::default()));
        let (_, document) = api::router(self.agents.clone(), keys, &limits, &proxies);
        serde_json::to_value(crate::http::openapi::keyed(document)).unwrap()
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
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        self.send(request.body(body).unwrap()).await
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        Answer { status, headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
    }

    pub(super) async fn post(&self, key: &str, path: &str, body: &Value) -> Answer {
        self.ask(Method::POST, key, path, Some(body), &[]).await
    }

    pub(super) async fn get(&self, key: &str, path: &str) -> Answer {
        self.ask(Method::GET, key, path, None, &[]).await
    }

    /// Registers an agent and proves that its key is held.
    pub(super) async fn agent(&self, key: &str, identity: &Identity, name: &str) {
        let body = json!({ "pubkey": identity.pubkey, "name": name });
        self.post(key, REGISTER, &body).await.made();
        let challenge = self.challenge(key, identity).await;
        self.prove(key, identity, &challenge).await.made();
    }

    pub(super) async fn challenge(&self, key: &str, identity: &Identity) -> String {
        let path = format!("{CHALLENGE}?pubkey={}", identity.pubkey);
        self.get(key, &path).await.made()["challenge"].as_str().unwrap().to_owned()
    }

    pub(super) async fn prove(&self, key: &str, identity: &Identity, challenge: &str) -> Answer {
        let signature = identity.sign(from_hex(challenge).unwrap());
        let body = json!({ "pubkey": identity.pubkey, "challenge": challenge, "signature": signature });
        self.post(key, VERIFY, &body).await
    }

    /// Lists a capability of the seller that a proxy sells for 7 sat, with changes.
    pub(super) async fn offer(&self, more: &Value) -> Value {
        let mut body = json!({
            "serviceId": "translate", "categories": ["ai", "translation"], "content": "Translates German",
            "priceSats": 7, "targetUrl": self.target, "hashtags": ["german"],
        });
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        self.post(&self.seller, CAPABILITIES, &body).await.made()
    }

    /// What a search finds, by service id.
    pub(super) async fn found(&self, query: &str) -> Vec<String> {
        let answer = self.get("", &format!("{CAPABILITIES}?{query}")).await.made();
        let names = answer["items"].as_array().unwrap().iter();
        names.map(|item| item["serviceId"].as_str().unwrap().to_owned()).collect()
    }

    /// Asks a listing's endpoint, pays, and asks again: what is answered then.
    pub(super) async fn buy(&self, endpoint: &Value) -> String {
        let path = format!("{}/work", endpoint.as_str().unwrap().strip_prefix(PUBLIC_URL).unwrap());
        let asked = self.get("", &path).await;
        assert_eq!(asked.status, 402, "{}", asked.text);
        let offer = asked.json()["l402"].clone();
        let preimage = self.pay(&offer["invoice"]);
        let credential = format!("L402 {}:{preimage}", offer["macaroon"].as_str().unwrap());
        let answer = self.ask(Method::GET, "", &path, None, &[("authorization", &credential)]).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.text
    }

    /// Somebody pays, and all of it is done; what they learn.
    pub(super) fn pay(&self, invoice: &Value) -> String {
        let invoice: Bolt11Invoice = invoice.as_str().unwrap().parse().unwrap();
        self.node.sim.receive(&invoice, Msat::new(invoice.amount_milli_satoshis().unwrap()).unwrap());
        tokio::task::block_in_place(|| while events::step(&self.ledger, Duration::ZERO).unwrap() {});
        let audit = tokio::task::block_in_place(|| audit::audit(&self.ledger).unwrap());
        assert_eq!(audit.problems, Vec::<String>::new());
        to_hex(&self.node.preimages.lock().unwrap()[&charges::hash_of(&invoice)].0)
    }

    pub(super) async fn expire(&self) {
        self.listings.expire_due(&self.store).await.unwrap();
    }

    /// The events that relays should have, of one kind, oldest first.
    pub(super) async fn events(&self, kind: u16) -> Vec<Value> {
        let read =
            move |connection: &rusqlite::Connection| -> Result<Vec<String>, crate::storage::StoreError> {
                let mut statement =
                    connection.prepare("SELECT body FROM nostr_events WHERE kind = ?1 ORDER BY id")?;
                let rows = statement.query_map([kind], |row| row.get(0))?;
                Ok(rows.collect::<Result<_, _>>()?)
            };
        let bodies = self.store.read(read).await.unwrap();
        bodies.iter().map(|body| serde_json::from_str(body).unwrap()).collect()
    }
}

/// Somebody who holds a key.
pub(super) struct Identity {
    pair: Keypair,
    pub(super) pubkey: String,
}

impl Identity {
    pub(super) fn new(secret: u8) -> Self {
        let curve = Secp256k1::new();
        let pair = SecretKey::from_slice(&[secret; 32]).unwrap().keypair(&curve);
        Self { pair, pubkey: to_hex(&pair.x_only_public_key().0.serialize()) }
    }

    pub(super) fn sign(&self, digest: [u8; 32]) -> String {
        let signature = Secp256k1::new().sign_schnorr_no_aux_rand(&Message::from_digest(digest), &self.pair);
        to_hex(&signature.serialize())
    }
}

/// An answer.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Answer {
    #[track_caller]
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {}", self.text))
    }

    /// It was done.
    #[track_caller]
    pub(super) fn made(&self) -> Value {
        assert!((200..300).contains(&self.status), "{} {}", self.status, self.text);
        assert_eq!(self.headers["content-type"], "application/json; charset=utf-8");
        assert_eq!(self.headers["cache-control"], "no-store");
        self.json()
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
        assert!(body["title"].is_string());
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert_eq!(self.headers["cache-control"], "no-store");
        assert_eq!(self.headers["access-control-allow-origin"], "*");
        assert_eq!(self.headers.contains_key("retry-after"), matches!(status, 429 | 503));
    }
}

/// The site that lost browsers are told of.
fn pages() -> WebSettings {
    WebSettings {
        public_url: PUBLIC_URL.into(),
        site_name: "Agents".into(),
        min_sat: 100,
        max_sat: 500_000,
        max_quantity: 500,
        gift_fee: crate::core::fees::FeeRule::FREE,
        email: false,
    }
}
