//! An app around the service: the real store, ledger, routes and webhook worker on a simulated node.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request};
use axum::middleware::from_fn_with_state;
use bitcoin::Network;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use lightning_invoice::Bolt11Invoice;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::answer::Answer;
use crate::core::money::Msat;
use crate::core::time::Clock;
use crate::http::client::Proxies;
use crate::http::events::EventLog;
use crate::http::keys::{Keys, Scope, recognise};
use crate::http::limits::{Budget, LimitSettings, Limits};
use crate::http::live::{Hub, HubSettings};
use crate::ledger::coin_fees::FeeRules;
use crate::ledger::{Family, Ledger, Listener, Listeners, Notify, Settings, audit, events, held};
use crate::lightning::sim::{FakeNode, Sim};
use crate::lightning::{Lightning, Node};
use crate::outbound::guard::{Guard, GuardSettings};
use crate::outbound::webhooks::store::Outbox;
use crate::rates::{Currency, Prices, RateSource, Rates, RatesSettings, SourceError, When};
use crate::services::payments::{Notifier, Parts, Payments, Rules, api};
use crate::storage::{Store, StoreError};
use crate::web::WebSettings;

pub(super) const NOON: i64 = 1_800_000_000_000;
pub(super) const PUBLIC_URL: &str = "https://pay.example";
pub(super) const PAYMENTS: &str = "/api/payments";
pub(super) const HOUR: Duration = Duration::from_secs(3_600);

/// What differs between apps.
pub(super) struct Setup {
    pub(super) limits: LimitSettings,
    pub(super) budget: u32,
    pub(super) rules: Rules,
    pub(super) guard: Guard,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            limits: LimitSettings {
                enabled: false,
                window: Duration::from_secs(60),
                write: 0,
                read: 0,
                key_write: 0,
                key_read: 0,
            },
            budget: 0,
            rules: Rules {
                enabled: true,
                network: Network::Regtest,
                public_url: PUBLIC_URL.into(),
                expiry: HOUR,
                max_amount: Msat::from_sat(10_000_000).unwrap(),
                min_onchain: Msat::from_sat(500).unwrap(),
                offers: false,
                fee: crate::core::fees::FeeRule::FREE,
                return_fee: false,
                max_fee_base: Msat::from_sat(10).unwrap(),
                max_fee_ppm: 10_000,
                min_invoice_expiry: Duration::from_secs(60),
                onchain_fees: FeeRules {
                    max: Msat::from_sat(5_000).unwrap(),
                    max_account_hour: Msat::from_sat(1_000_000).unwrap(),
                    max_hour: Msat::from_sat(1_000_000).unwrap(),
                    rate: None,
                },
                account_pays_miners: false,
            },
            guard: Guard::offline(GuardSettings::default()),
        }
    }
}

/// A source of rates that can fall silent: the document's dollar, 10 % more of it for a euro, no pound.
#[derive(Default)]
pub(super) struct Market(pub(super) AtomicBool);

impl RateSource for Market {
    fn name(&self) -> &'static str {
        "market"
    }

    fn fetch(&self) -> BoxFuture<'_, Result<Prices, SourceError>> {
        let prices = || Prices {
            rates: vec![
                (Currency::Usd, "39992".parse().unwrap()),
                (Currency::Eur, "35992.8".parse().unwrap()),
            ],
            when: When::Now,
        };
        let open = !self.0.load(Ordering::SeqCst);
        ready(open.then(prices).ok_or(SourceError::Unreachable)).boxed()
    }
}

pub(super) struct TestApp {
    pub(super) payments: Payments,
    pub(super) ledger: Ledger,
    pub(super) sim: Arc<Sim>,
    pub(super) node: Arc<FakeNode>,
    pub(super) market: Arc<Market>,
    pub(super) clock: Clock,
    pub(super) keys: Keys,
    pub(super) outbox: Outbox,
    pub(super) guard: Guard,
    pub(super) router: Router,
    /// The key of a shop.
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
        let sim = Arc::new(Sim::new(clock.clone()));
        let node = Arc::new(FakeNode::new(Arc::clone(&sim)));
        let hub = Hub::new(HubSettings::default());
        let log = EventLog::new(store.clone(), Arc::clone(&hub));
        let outbox = Outbox::default();
        let notifier = Notifier::new(hub, outbox.clone(), log, clock.clone()).taking(setup.rules.fee);
        let ledger = Ledger {
            store: store.clone(),
            lightning: Arc::clone(&node) as Arc<dyn Lightning>,
            clock: clock.clone(),
            wake: Arc::new(Notify::default()),
            listeners: Listeners::new([(Family::Payments, Arc::new(notifier.clone()) as Arc<dyn Listener>)]),
            settings: Settings::default(),
        };
        let keys = Keys::new(store);
        let market = Arc::new(Market::default());
        let source = Arc::clone(&market) as Arc<dyn RateSource>;
        let rates = Rates::new(vec![source], RatesSettings::default(), clock.clone());
        rates.refresh().await;
        let payments = Payments::new(Parts {
            ledger: ledger.clone(),
            node: Node::new(Arc::clone(&node), tokio::runtime::Handle::current()),
            rules: setup.rules,
            guard: setup.guard.clone(),
            notifier,
            rates,
            budget: Arc::new(Budget::per_minute(setup.budget)),
        });
        let limits = Arc::new(Limits::new(setup.limits));
        let (router, _) = api::router(payments.clone(), keys.clone(), &limits, &Arc::new(Proxies::default()));
        let router = router.layer(from_fn_with_state(keys.clone(), recognise));
        let router = crate::app::routes::open(router, Arc::new(pages()));
        let key = async |account: &str| {
            keys.create("test", &[Scope::Payments], Some(account)).await.unwrap().1.expose().to_owned()
        };
        let (shop, rival) = (key("shop").await, key("rival").await);
        let guard = setup.guard;
        Self {
            payments,
            ledger,
            sim,
            node,
            market,
            clock,
            keys,
            outbox,
            guard,
            router,
            shop,
            rival,
            _folder: folder,
        }
    }

    pub(super) async fn key(&self, scopes: &[Scope], account: &str) -> String {
        self.keys.create("test", scopes, Some(account)).await.unwrap().1.expose().to_owned()
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        Answer { status, headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
    }

    /// Asks with a key, or with none if that is empty.
    pub(super) async fn ask(&self, method: Method, key: &str, path: &str, body: Option<&Value>) -> Answer {
        let body = body.map(ToString::to_string);
        self.ask_with(method, key, path, body.as_deref(), &[]).await
    }

    /// The same with headers, and any text as a body.
    pub(super) async fn ask_with(
        &self,
        method: Method,
        key: &str,
        path: &str,
        body: Option<&str>,
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
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_owned()));
        self.send(request.body(body).unwrap()).await
    }

    pub(super) async fn get(&self, key: &str, path: &str) -> Answer {
        self.ask(Method::GET, key, path, None).await
    }

    pub(super) async fn put(&self, key: &str, path: &str, body: &Value) -> Answer {
        self.ask(Method::PUT, key, path, Some(body)).await
    }

    pub(super) async fn post(&self, key: &str, path: &str, body: &Value) -> Answer {
        self.ask(Method::POST, key, path, Some(body)).await
    }

    /// The document's own order by the shop, unless `more` says otherwise.
    pub(super) async fn order(&self, more: &Value) -> Answer {
        self.post(&self.shop, PAYMENTS, &order(more)).await
    }

    /// A payment as the shop sees it.
    pub(super) async fn shown(&self, id: &str) -> Value {
        self.get(&self.shop, &format!("{PAYMENTS}/{id}")).await.ok()
    }

    pub(super) async fn status(&self, id: &str) -> String {
        self.shown(id).await["status"].as_str().unwrap().to_owned()
    }

    /// A customer pays what is asked, and all of it is done.
    pub(super) fn pay(&self, made: &Value) {
        let invoice = invoice(made);
        self.pay_msat(&invoice, invoice.amount_milli_satoshis().unwrap());
    }

    /// A customer pays this much.
    pub(super) fn pay_msat(&self, invoice: &Bolt11Invoice, msat: u64) -> bool {
        let came = self.sim.hold(invoice, Msat::new(msat).unwrap());
        self.drain();
        came
    }

    pub(super) fn drain(&self) {
        tokio::task::block_in_place(|| while events::step(&self.ledger, Duration::ZERO).unwrap() {});
    }

    /// Recovery's look at what is held.
    pub(super) fn look_again(&self) {
        tokio::task::block_in_place(|| held::look_again(&self.ledger, true).unwrap());
        self.drain();
    }

    /// The shop wants webhooks at this address; their secret.
    pub(super) async fn listen(&self, url: &str) -> String {
        let settings =
            self.put(&self.shop, "/api/merchant/webhook-url", &json!({ "webhookUrl": url })).await.ok();
        settings["webhookSecret"].as_str().unwrap().to_owned()
    }

    /// What the books owe to merchants, in sat, after an audit that finds nothing.
    #[track_caller]
    pub(super) fn owed(&self) -> i64 {
        let audit = tokio::task::block_in_place(|| audit::audit(&self.ledger).unwrap());
        assert_eq!(audit.problems, Vec::<String>::new());
        let of = |name: &str| audit.accounts.iter().find(|row| row.account == name).unwrap().msat;
        assert_eq!((of("suspense"), of("loss")), (0, 0));
        -of("merchants") / 1_000
    }

    /// What is in the outbox: kind, payload.
    pub(super) fn sent(&self) -> Vec<(String, Value)> {
        let read = self.ledger.store.read_blocking(|connection| -> Result<_, StoreError> {
            let mut statement =
                connection.prepare("SELECT kind, unseal(payload) FROM webhook_messages ORDER BY id")?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
            Ok(rows.collect::<Result<Vec<(String, String)>, _>>()?)
        });
        let parse = |(kind, text): (String, String)| (kind, serde_json::from_str(&text).unwrap());
        read.unwrap().into_iter().map(parse).collect()
    }
}

/// The document's order, with changes.
pub(super) fn order(more: &Value) -> Value {
    let mut body = json!({
        "orderId": "ORDER-12345",
        "amount": 49.99,
        "currency": "USD",
        "description": "Premium Subscription",
        "customerEmail": "customer@example.com",
        "metadata": { "productId": "prod_123", "userId": "user_456" }
    });
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

pub(super) fn invoice(made: &Value) -> Bolt11Invoice {
    made["lightningInvoice"].as_str().unwrap().parse().unwrap()
}

pub(super) fn id(made: &Value) -> String {
    made["invoiceId"].as_str().unwrap().to_owned()
}

pub(super) fn path(made: &Value) -> String {
    format!("{PAYMENTS}/{}", id(made))
}

/// The site that lost browsers are told of.
fn pages() -> WebSettings {
    WebSettings {
        public_url: PUBLIC_URL.into(),
        site_name: "Payments".into(),
        min_sat: 100,
        max_sat: 500_000,
        max_quantity: 500,
        gift_fee: crate::core::fees::FeeRule::FREE,
        email: false,
    }
}
