//! An app around the service: the real store, challenger and routes, a simulated node, services on loopback.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request};
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::upstream::{Liar, Upstream};
use crate::core::time::Clock;
use crate::http::client::Proxies;
use crate::http::keys::{Keys, Scope, recognise};
use crate::http::limits::{LimitSettings, Limits};
use crate::outbound::guard::GuardSettings;
use crate::services::l402::tests::test_seller::TestSeller;
use crate::services::proxy::{PaidProxies, Parts, Rules, Targets, api};
use crate::storage::Store;
use crate::web::WebSettings;

pub(super) const NOON: i64 = 1_800_000_000_000;
pub(super) const PUBLIC_URL: &str = "https://pay.example";

pub(super) struct TestApp {
    pub(super) proxies: PaidProxies,
    pub(super) store: Store,
    pub(super) seller: TestSeller,
    pub(super) router: Router,
    pub(super) upstream: Upstream,
    pub(super) liar: Liar,
    /// The key of an owner.
    pub(super) owner: String,
    /// The key of another.
    pub(super) rival: String,
    keys: Keys,
    _folder: tempfile::TempDir,
}

/// An answer, read to its end.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {} {}", self.status, self.text))
    }

    #[track_caller]
    pub(super) fn ok(&self) -> Value {
        assert!((200..300).contains(&self.status), "{} {}", self.status, self.text);
        self.json()
    }

    /// The code of an error, after a look at its shape.
    #[track_caller]
    pub(super) fn error(&self) -> String {
        let body = self.json();
        assert_eq!(self.headers["content-type"], "application/problem+json", "{}", self.text);
        assert_eq!(body["status"], self.status);
        assert_eq!(body["detail"], body["message"]);
        for name in ["type", "title", "detail", "instance", "error", "message", "code"] {
            assert!(body[name].is_string(), "{name}: {}", self.text);
        }
        assert_eq!(body["code"], body["error"].as_str().unwrap().to_ascii_uppercase());
        body["error"].as_str().unwrap().to_owned()
    }
}

pub(super) fn rules() -> Rules {
    Rules {
        enabled: true,
        public_url: PUBLIC_URL.into(),
        max_proxies: 5,
        max_in_flight: 1_000,
        unpaid_per_minute: 0,
        max_request_bytes: 200 * 1024 * 1024,
        max_answer_bytes: 200 * 1024 * 1024,
        connect_timeout: Duration::from_secs(2),
        idle_timeout: Duration::from_secs(1),
        max_timeout: Duration::from_secs(60),
        request_timeout: Duration::from_secs(10),
    }
}

/// Loopback counts as public, so that services of a test can be reached.
pub(super) fn loopback() -> GuardSettings {
    GuardSettings { allow_networks: vec!["127.0.0.0/8".parse().unwrap()], ..GuardSettings::default() }
}

impl TestApp {
    pub(super) async fn new() -> Self {
        Self::with(rules()).await
    }

    pub(super) async fn with(rules: Rules) -> Self {
        Self::giving(rules, 0).await
    }

    /// An app that lets one client have so much for free in a minute; 0 sets no limit.
    pub(super) async fn giving(rules: Rules, free: u32) -> Self {
        Self::open(rules, free, true).await
    }

    /// An app that sells, or sells nothing any more.
    pub(super) async fn open(rules: Rules, free: u32, seller: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open_without_sync(&folder.path().join("satchel.db")).unwrap();
        let clock = Clock::manual(NOON);
        let seller = TestSeller::open(&store, clock.clone(), seller);
        let parts = Parts {
            store: store.clone(),
            clock,
            seller: seller.l402.clone(),
            rules,
            quotas: quotas(free),
            targets: Targets::offline(loopback()),
        };
        let proxies = PaidProxies::new(parts).unwrap();
        let keys = Keys::new(store.clone());
        let key = async |account: &str| {
            keys.create("test", &[Scope::L402], Some(account)).await.unwrap().1.expose().to_owned()
        };
        let (owner, rival) = (key("owner").await, key("rival").await);
        Self {
            router: routes(&proxies, &keys, &quotas(0)),
            proxies,
            store,
            seller,
            upstream: Upstream::start().await,
            liar: Liar::start().await,
            owner,
            rival,
            keys,
            _folder: folder,
        }
    }

    /// Another app on the same store, which lets nothing but the public internet pass.
    pub(super) fn stricter(&self) -> Router {
        let parts = Parts {
            store: self.store.clone(),
            clock: Clock::manual(NOON),
            seller: self.seller.l402.clone(),
            rules: rules(),
            quotas: quotas(0),
            targets: Targets::offline(GuardSettings::default()),
        };
        routes(&PaidProxies::new(parts).unwrap(), &self.keys, &quotas(0))
    }

    /// The same app, where with limits for who manages proxies.
    pub(super) fn limited(&self, limits: LimitSettings) -> Router {
        routes(&self.proxies, &self.keys, &Arc::new(Limits::new(limits)))
    }

    /// What the service says of its routes.
    pub(super) fn description(&self) -> Value {
        let (keys, proxies) = (self.keys.clone(), Arc::new(Proxies::default()));
        let (_, document) = api::router(self.proxies.clone(), keys, &quotas(0), &proxies);
        serde_json::to_value(document).unwrap()
    }

    pub(super) async fn key(&self, scope: Scope) -> String {
        self.keys.create("test", &[scope], Some("owner")).await.unwrap().1.expose().to_owned()
    }

    pub(super) async fn raw(&self, request: Request<Body>) -> Response {
        self.router.clone().oneshot(request).await.unwrap()
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Answer {
        read(self.raw(request).await).await
    }

    /// Asks the management with a key, or with none if that is empty.
    pub(super) async fn manage(&self, method: Method, key: &str, path: &str, body: Option<&Value>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if !key.is_empty() {
            request = request.header("x-api-key", key);
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        self.send(request.body(body).unwrap()).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.manage(Method::POST, &self.owner, path, Some(body)).await
    }

    pub(super) async fn put(&self, path: &str, body: &Value) -> Answer {
        self.manage(Method::PUT, &self.owner, path, Some(body)).await
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.manage(Method::GET, &self.owner, path, None).await
    }

    /// A proxy of the owner before the honest service, with changes; its id.
    pub(super) async fn sell(&self, more: &Value) -> String {
        let mut body = json!({ "name": "Test Service", "targetBaseUrl": self.target() });
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        self.post("/api/proxy", &body).await.ok()["proxyId"].as_str().unwrap().to_owned()
    }

    pub(super) fn target(&self) -> String {
        format!("http://127.0.0.1:{}", self.upstream.port)
    }

    /// A proxy before the liar; the beginning of its paths.
    pub(super) async fn sell_lies(&self, more: &Value) -> String {
        let mut more = more.clone();
        more["targetBaseUrl"] = json!(format!("http://127.0.0.1:{}", self.liar.port));
        base(&self.sell(&more).await)
    }

    /// Asks without a credential, and pays: what to show then.
    pub(super) async fn pay(&self, method: Method, path: &str) -> String {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let asked = self.send(request).await;
        assert_eq!(asked.status, 402, "{}", asked.text);
        self.settle(&asked)
    }

    /// Pays what a 402 asks; what to show then.
    pub(super) fn settle(&self, asked: &Answer) -> String {
        self.seller.token(&asked.headers)
    }

    /// The same, as a payment that is good for one answer.
    pub(super) fn settle_once(&self, asked: &Answer) -> String {
        self.seller.once(&asked.headers)
    }

    /// Asks a proxy, and pays for it.
    pub(super) async fn buy(&self, method: Method, path: &str) -> Answer {
        let shown = self.pay(method.clone(), path).await;
        self.show(method, path, &shown).await
    }

    /// Asks a proxy with a credential.
    pub(super) async fn show(&self, method: Method, path: &str, shown: &str) -> Answer {
        let request = Request::builder().method(method).uri(path).header("authorization", shown);
        self.send(request.body(Body::empty()).unwrap()).await
    }
}

pub(super) async fn read(response: Response) -> Answer {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let bytes = to_bytes(response.into_body(), usize::MAX).await;
    let text = bytes.map_or_else(|_| "BROKEN OFF".into(), |bytes| String::from_utf8(bytes.to_vec()).unwrap());
    Answer { status, headers, text }
}

/// Where a proxy's paths begin.
pub(super) fn base(id: &str) -> String {
    format!("/l402/proxy/{id}")
}

fn quotas(read: u32) -> Arc<Limits> {
    let window = Duration::from_secs(60);
    let settings = LimitSettings { enabled: read > 0, window, write: 0, read, key_write: 0, key_read: 0 };
    Arc::new(Limits::new(settings))
}

fn routes(proxies: &PaidProxies, keys: &Keys, limits: &Arc<Limits>) -> Router {
    let (router, _) = api::router(proxies.clone(), keys.clone(), limits, &Arc::new(Proxies::default()));
    let router = router.layer(from_fn_with_state(keys.clone(), recognise));
    crate::app::routes::open(router, Arc::new(pages()))
}

/// The site that lost browsers are told of.
fn pages() -> WebSettings {
    WebSettings {
        public_url: PUBLIC_URL.into(),
        site_name: "Proxies".into(),
        min_sat: 100,
        max_sat: 500_000,
        max_quantity: 500,
        gift_fee: crate::core::fees::FeeRule::FREE,
        email: false,
    }
}
