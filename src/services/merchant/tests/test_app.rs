//! The service's surroundings: the real store, ledger, L402 and routes on a simulated node.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request};
use axum::middleware::from_fn_with_state;
use bitcoin::Network;
use futures_util::future::{BoxFuture, FutureExt, ready};
use lightning_invoice::Bolt11Invoice;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::core::fees::FeeRule;
use crate::core::ids::{AccountId, Secret, to_hex};
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
use crate::services::l402::{self, L402};
use crate::services::merchant::sources::ShopStats;
use crate::services::merchant::{
    KeyDerivation, MerchantError, Merchants, NodeState, Parts, ProxyCount, Rules, SIGNUP_PATH, ShopNumbers,
    Sold, Sources, Webhooks, api,
};
use crate::storage::Store;

pub(super) const NOON: i64 = 1_800_000_000_000;
pub(super) const PUBLIC_URL: &str = "https://pay.example";
pub(super) const PRICE: u64 = 100;

/// What the other services would say.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    pub(super) webhooks: Webhooks,
    pub(super) proxies: ProxyCount,
    pub(super) node: NodeState,
    pub(super) sold: Sold,
    pub(super) shop: ShopStats,
}

#[derive(Default)]
pub(super) struct Others(pub(super) Mutex<Known>);

impl Others {
    fn known(&self) -> Known {
        self.0.lock().unwrap().clone()
    }
}

impl Sources for Others {
    fn webhooks(&self, _: AccountId) -> BoxFuture<'_, Result<Webhooks, MerchantError>> {
        ready(Ok(self.known().webhooks)).boxed()
    }

    fn proxies(&self, _: AccountId) -> BoxFuture<'_, Result<ProxyCount, MerchantError>> {
        ready(Ok(self.known().proxies)).boxed()
    }

    fn sold(&self) -> BoxFuture<'_, Result<Sold, MerchantError>> {
        ready(Ok(self.known().sold)).boxed()
    }

    fn node(&self) -> BoxFuture<'_, NodeState> {
        ready(self.known().node).boxed()
    }
}

impl ShopNumbers for Others {
    fn numbers(&self, account: Option<AccountId>) -> BoxFuture<'_, Result<ShopStats, MerchantError>> {
        let all = self.known().shop;
        let own = ShopStats { stores: 1, orders: 1, ..all };
        ready(Ok(if account.is_some() { own } else { all })).boxed()
    }
}

pub(super) struct TestApp {
    pub(super) keys: Keys,
    pub(super) others: Arc<Others>,
    pub(super) clock: Clock,
    pub(super) store: Store,
    ledger: Ledger,
    node: Arc<FakeNode>,
    l402: L402,
    pub(super) merchants: Option<Merchants>,
    pub(super) router: Router,
    /// The key of a shop.
    pub(super) shop: String,
    _folder: tempfile::TempDir,
}

pub(super) fn rules() -> Rules {
    Rules {
        public_url: PUBLIC_URL.into(),
        l402_enabled: true,
        signup_enabled: true,
        signup_price_sat: PRICE,
        signup_scopes: vec![Scope::Payments, Scope::L402],
    }
}

impl TestApp {
    pub(super) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open_without_sync(&folder.path().join("satchel.db")).unwrap();
        let clock = Clock::manual(NOON);
        let node = Arc::new(FakeNode::new(Arc::new(Sim::new(clock.clone()))));
        let log = EventLog::new(store.clone(), Hub::new(HubSettings::default()));
        let notifier = l402::Notifier::new(log, clock.clone());
        let ledger = Ledger {
            store: store.clone(),
            lightning: Arc::clone(&node) as Arc<dyn Lightning>,
            clock: clock.clone(),
            wake: Arc::new(Notify::default()),
            listeners: Listeners::new([(Family::L402, Arc::new(notifier.clone()) as Arc<dyn Listener>)]),
            settings: Settings::default(),
        };
        let l402 = L402::new(l402::Parts {
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
                fee: FeeRule::FREE,
            },
            token_keys: tokio::task::block_in_place(|| l402::token_keys(&store).unwrap()),
            notifier,
            proxies: Arc::new(Proxies::default()),
            per_client: Arc::new(Limits::new(off())),
            budget: Arc::new(Budget::per_minute(0)),
        });
        let keys = Keys::new(store.clone());
        let others = Arc::new(Others::default());
        let made = keys.create("test", &[Scope::Payments], Some("shop")).await.unwrap();
        let mut app = Self {
            keys,
            others,
            clock,
            store,
            ledger,
            node,
            l402,
            merchants: None,
            router: Router::new(),
            shop: made.1.expose().to_owned(),
            _folder: folder,
        };
        app.set_up(rules());
        app
    }

    /// The same database under other rules: a restart of the server.
    pub(super) fn set_up(&mut self, rules: Rules) {
        let merchants = Merchants::new(Parts {
            store: self.store.clone(),
            clock: self.clock.clone(),
            rules,
            derivation: KeyDerivation::new(&Secret::new("abandon ability able")),
            sources: Arc::<Others>::clone(&self.others),
            seller: Arc::new(self.l402.clone()),
            shop: Arc::<Others>::clone(&self.others),
        });
        let limits = Arc::new(Limits::new(off()));
        let (router, _) =
            api::router(merchants.clone(), self.keys.clone(), &limits, &Arc::new(Proxies::default()));
        self.router = router.layer(from_fn_with_state(self.keys.clone(), recognise));
        self.merchants = Some(merchants);
    }

    pub(super) async fn ask(
        &self,
        method: Method,
        key: &str,
        path: &str,
        body: &Value,
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if !key.is_empty() {
            request = request.header("x-api-key", key);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let response = self.router.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        Answer { status, headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
    }

    pub(super) async fn get(&self, key: &str, path: &str) -> Answer {
        self.ask(Method::GET, key, path, &Value::Null, &[]).await
    }

    /// Asks for an account, and shows this if it is not empty.
    pub(super) async fn sign_up(&self, email: &str, credential: &str) -> Answer {
        let shown = [("authorization", credential)];
        let headers = if credential.is_empty() { &shown[..0] } else { &shown[..] };
        self.ask(Method::POST, "", SIGNUP_PATH, &json!({ "email": email }), headers).await
    }

    /// Pays what a 402 asks for; the token and the preimage.
    pub(super) fn pay(&self, asked: &Answer) -> (String, String) {
        assert_eq!(asked.status, 402, "{}", asked.text);
        let terms = &asked.json()["l402"];
        let invoice: Bolt11Invoice = terms["invoice"].as_str().unwrap().parse().unwrap();
        let amount = Msat::new(invoice.amount_milli_satoshis().unwrap()).unwrap();
        self.node.sim.receive(&invoice, amount);
        tokio::task::block_in_place(|| while events::step(&self.ledger, Duration::ZERO).unwrap() {});
        let preimage = to_hex(&self.node.preimages.lock().unwrap()[&charges::hash_of(&invoice)].0);
        (terms["macaroon"].as_str().unwrap().to_owned(), preimage)
    }

    /// Asks for an account and pays; what is to be shown.
    pub(super) async fn buy(&self, email: &str) -> String {
        let asked = self.sign_up(email, "").await;
        let (macaroon, preimage) = self.pay(&asked);
        format!("L402 {macaroon}:{preimage}")
    }

    /// How many accounts and keys there are.
    pub(super) fn counts(&self) -> (u64, u64) {
        let count = |table: &'static str| {
            let sql = format!("SELECT count(*) FROM {table}");
            self.store
                .read_blocking(move |connection| -> Result<u64, crate::storage::StoreError> {
                    Ok(connection.query_row(&sql, [], |row| row.get(0))?)
                })
                .unwrap()
        };
        (count("accounts"), count("api_keys"))
    }

    /// What the operator has earned, in sat, after an audit that finds nothing.
    pub(super) fn earned(&self) -> i64 {
        let audit = tokio::task::block_in_place(|| audit::audit(&self.ledger).unwrap());
        assert_eq!(audit.problems, Vec::<String>::new());
        -audit.accounts.iter().find(|row| row.account == "fees_earned").unwrap().msat / 1_000
    }
}

fn off() -> LimitSettings {
    let window = Duration::from_secs(60);
    LimitSettings { enabled: false, window, write: 0, read: 0, key_write: 0, key_read: 0 }
}

/// An answer.
#[derive(Debug)]
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

    #[track_caller]
    pub(super) fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        self.json()
    }

    /// It is this error, in the one shape.
    #[track_caller]
    pub(super) fn is_error(&self, status: u16, slug: &str, path: &str) {
        let body = self.json();
        assert_eq!((self.status, body["error"].as_str()), (status, Some(slug)), "{}", self.text);
        assert_eq!(self.headers["content-type"], "application/problem+json");
        for (name, expected) in [
            ("status", json!(status)),
            ("instance", json!(path)),
            ("message", body["detail"].clone()),
            ("code", json!(slug.to_ascii_uppercase())),
            ("type", json!(format!("https://lightningenable.com/problems/{slug}"))),
        ] {
            assert_eq!(body[name], expected, "{name}: {}", self.text);
        }
    }
}

/// The members of an object, sorted.
pub(super) fn names(value: &Value) -> Vec<&str> {
    let mut names: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}
