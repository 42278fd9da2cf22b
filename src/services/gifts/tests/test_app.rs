//! An app around the service: the real store, ledger, dispatcher and routes on a simulated node.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use bitcoin::Network;
use lightning_invoice::Bolt11Invoice;
use serde_json::Value;
use tower::ServiceExt;
use utoipa::openapi::OpenApi;

use crate::core::fees::FeeRule;
use crate::core::money::Msat;
use crate::core::time::Clock;
use crate::http::client::Proxies;
use crate::http::events::EventLog;
use crate::http::limits::{Budget, LimitSettings, Limits};
use crate::http::live::{Hub, HubSettings};
use crate::ledger::charges::hash_of;
use crate::ledger::dispatcher::Dispatcher;
use crate::ledger::{Family, Ledger, Listener, Listeners, Notify, Settings, audit, events, offer_payouts};
use crate::lightning::sim::{FakeNode, Sim};
use crate::lightning::{Lightning, Node};
use crate::outbound::guard::{Guard, GuardSettings};
use crate::outbound::lnurl::dns::Dns;
use crate::outbound::lnurl::fake::FakeAddresses;
use crate::outbound::lnurl::payee::Payees;
use crate::outbound::webhooks::store::Outbox;
use crate::services::gifts::{Funding, Gifts, Notifier, Parts, Rules, api, keyring};
use crate::storage::Store;
use crate::vouchers::{VoucherListener, Vouchers};
use crate::web::WebSettings;

pub(super) const NOON: i64 = 1_800_000_000_000;
pub(super) const PUBLIC_URL: &str = "https://gifts.example";

/// An answer.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {}", self.text))
    }

    /// The answer is this error, in the family's shape and letter by letter.
    #[track_caller]
    pub(super) fn is_error(&self, status: u16, code: &str) {
        // Why, where there is more to say than the code, comes behind it.
        let expected = format!(r#"{{"statusCode":{status},"message":"{code}""#);
        let rest = self.text.strip_prefix(&expected).unwrap_or("?");
        let is_it = rest == "}" || rest.starts_with(r#","reason":""#);
        assert!(self.status == status && is_it, "{status} {code}: {} {}", self.status, self.text);
        assert_eq!(self.headers["access-control-allow-origin"], "*");
    }

    /// The answer is this error, with the most that would do.
    #[track_caller]
    pub(super) fn is_limit(&self, code: &str, max_sat: u64) {
        let expected = format!(r#"{{"statusCode":503,"message":"{code}","maxSat":{max_sat}}}"#);
        assert_eq!((self.status, self.text.as_str()), (503, expected.as_str()));
    }

    #[track_caller]
    pub(super) fn is_lnurl_error(&self, code: &str) {
        let expected = format!(r#"{{"status":"ERROR","reason":"{code}"}}"#);
        assert_eq!((self.status, self.text.as_str()), (200, expected.as_str()));
    }

    #[track_caller]
    pub(super) fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        self.json()
    }
}

pub(super) struct TestApp {
    pub(super) gifts: Gifts,
    pub(super) ledger: Ledger,
    pub(super) vouchers: Vouchers,
    pub(super) sim: Arc<Sim>,
    pub(super) node: Arc<FakeNode>,
    pub(super) clock: Clock,
    pub(super) router: Router,
    pub(super) document: OpenApi,
    pub(super) folder: Arc<tempfile::TempDir>,
    pub(super) addresses: Arc<FakeAddresses>,
    dispatcher: Mutex<Dispatcher>,
}

const UNLIMITED: LimitSettings = LimitSettings {
    enabled: false,
    window: Duration::from_secs(900),
    write: 50,
    read: 200,
    key_write: 0,
    key_read: 0,
};

impl TestApp {
    pub(super) fn new() -> Self {
        Self::with(UNLIMITED, Budget::per_minute(0))
    }

    pub(super) fn with(limits: LimitSettings, budget: Budget) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let clock = Clock::manual(NOON);
        let sim = Arc::new(Sim::new(clock.clone()));
        Self::open(folder, clock, sim, limits, budget, (FeeRule::FREE, false), None)
    }

    /// That asks this name server.
    pub(super) fn with_names(server: &str) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let clock = Clock::manual(NOON);
        let sim = Arc::new(Sim::new(clock.clone()));
        Self::open(folder, clock, sim, UNLIMITED, Budget::per_minute(0), (FeeRule::FREE, false), Some(server))
    }

    /// Gifts that cost a fee, which comes back with a gift that nobody redeemed in its time, or doesn't.
    pub(super) fn with_fee(rule: FeeRule, returned: bool) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let clock = Clock::manual(NOON);
        let sim = Arc::new(Sim::new(clock.clone()));
        Self::open(folder, clock, sim, UNLIMITED, Budget::per_minute(0), (rule, returned), None)
    }

    fn open(
        folder: Arc<tempfile::TempDir>,
        clock: Clock,
        sim: Arc<Sim>,
        limits: LimitSettings,
        budget: Budget,
        (fee, returned): (FeeRule, bool),
        dns: Option<&str>,
    ) -> Self {
        let servers: Vec<_> = dns.map(str::to_owned).into_iter().collect();
        let dns = Dns::new(&servers, true, clock.clone()).unwrap();
        let store = Store::open_in_test(&folder.path().join("satchel.db")).unwrap();
        let node = Arc::new(FakeNode::new(Arc::clone(&sim)));
        let keyring = keyring(&store).unwrap();
        let addresses = Arc::new(FakeAddresses::new(Arc::clone(&sim)));
        let hub = Hub::new(HubSettings::default());
        let log = EventLog::new(store.clone(), Arc::clone(&hub));
        let notifier = Notifier::new(hub, Outbox::default(), log);
        let notifier = if returned { notifier.returning_fees(clock.clone()) } else { notifier };
        let vouchers =
            Vouchers::new([(Family::Gifts, Arc::new(notifier.clone()) as Arc<dyn VoucherListener>)]);
        let ledger = Ledger {
            store,
            lightning: Arc::clone(&node) as Arc<dyn Lightning>,
            clock: clock.clone(),
            wake: Arc::new(Notify::default()),
            listeners: Listeners::new([(
                Family::Gifts,
                Arc::new(Funding(vouchers.clone())) as Arc<dyn Listener>,
            )]),
            settings: Settings::default(),
        };
        let gifts = Gifts::new(Parts {
            ledger: ledger.clone(),
            node: Node::new(Arc::clone(&node), tokio::runtime::Handle::current()),
            rules: Rules { fee, ..Rules::new(Network::Regtest, PUBLIC_URL) },
            keyring,
            guard: Guard::offline(GuardSettings::default()),
            payees: Payees::new(
                Guard::offline(GuardSettings::default()),
                Arc::clone(&addresses) as Arc<_>,
                dns,
                Network::Regtest,
                clock.clone(),
            ),
            notifier,
            budget: Arc::new(budget),
        });
        let limits = Arc::new(Limits::new(limits));
        let (router, document) = api::router(gifts.clone(), &limits, &Arc::new(Proxies::default()));
        let router = crate::app::routes::open(router, Arc::new(pages()));
        let dispatcher = Mutex::new(Dispatcher::default());
        Self { gifts, ledger, vouchers, sim, node, clock, router, document, folder, addresses, dispatcher }
    }

    /// The process ends and starts again on the same file and node.
    pub(super) fn restarted(self) -> Self {
        let Self { gifts, ledger, vouchers, sim, node, clock, router, folder, .. } = self;
        drop((gifts, ledger, vouchers, node, router));
        Self::open(folder, clock, sim, UNLIMITED, Budget::per_minute(0), (FeeRule::FREE, false), None)
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        Answer { status, headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Answer {
        let request = Request::post(path).header("content-type", "application/json");
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    pub(super) async fn options(&self, path: &str) -> Answer {
        self.send(Request::builder().method(Method::OPTIONS).uri(path).body(Body::empty()).unwrap()).await
    }

    /// A gift that isn't paid yet.
    pub(super) async fn create(&self, body: Value) -> Value {
        self.post("/create", &body).await.ok()
    }

    /// A gift that is paid; its order id.
    pub(super) async fn funded(&self, body: Value) -> String {
        let created = self.create(body).await;
        self.fund(&created);
        created["orderId"].as_str().unwrap().to_owned()
    }

    pub(super) fn fund(&self, created: &Value) {
        let invoice: Bolt11Invoice = created["lightningInvoice"]["payreq"].as_str().unwrap().parse().unwrap();
        let amount = Msat::new(invoice.amount_milli_satoshis().unwrap()).unwrap();
        self.sim.receive(&invoice, amount);
        self.drain();
    }

    pub(super) fn drain(&self) {
        tokio::task::block_in_place(|| while events::step(&self.ledger, Duration::ZERO).unwrap() {});
    }

    /// An invoice of a recipient's wallet.
    pub(super) fn invoice(&self, sat: u64) -> String {
        self.sim.invoice(Msat::from_sat(sat).unwrap(), Duration::from_secs(3_600)).0.to_string()
    }

    pub(super) fn dispatch(&self) {
        tokio::task::block_in_place(|| self.dispatcher.lock().unwrap().round(&self.ledger).unwrap());
    }

    /// A step of who pays offers.
    pub(super) fn pay_offers(&self) {
        tokio::task::block_in_place(|| offer_payouts::Worker::default().step(&self.ledger).unwrap());
    }

    /// Sends what is queued to offers, and lets the oldest arrive, or not.
    pub(super) fn finish_offer(&self, arrives: bool) {
        self.pay_offers();
        self.sim.resolve_offer(arrives, Msat::ZERO);
        self.drain();
    }

    /// Sends what is queued and lets it arrive, or not.
    pub(super) fn finish(&self, arrives: bool) {
        self.dispatch();
        self.sim.commit_all();
        for hash in self.sim.under_way() {
            self.sim.resolve(hash, arrives, Msat::ZERO);
        }
        self.drain();
    }

    pub(super) fn reached(&self, invoice: &str) -> bool {
        let invoice: Bolt11Invoice = invoice.parse().unwrap();
        self.sim.delivered().contains_key(&hash_of(&invoice))
    }

    /// What is in the outbox: URL, secret, payload.
    pub(super) fn outbox(&self) -> Vec<(String, String, Value)> {
        let parse = |text: String| serde_json::from_str(&text).unwrap();
        self.sent().into_iter().map(|(url, secret, text)| (url, secret, parse(text))).collect()
    }

    /// The same, with payloads as they stand.
    pub(super) fn sent(&self) -> Vec<(String, String, String)> {
        let read = self.ledger.store.read_blocking(|connection| -> Result<_, crate::storage::StoreError> {
            let mut statement = connection.prepare(
                "SELECT e.url, unseal(e.secret), unseal(m.payload) FROM webhook_messages m
                 JOIN webhook_endpoints e ON e.id = m.endpoint_id ORDER BY m.id",
            )?;
            let rows =
                statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, String>(2)?)))?;
            Ok(rows.collect::<Result<Vec<_>, _>>()?)
        });
        read.unwrap()
    }

    /// The books are in order.
    pub(super) fn audit(&self) {
        let audit = tokio::task::block_in_place(|| audit::audit(&self.ledger).unwrap());
        assert!(audit.problems.iter().all(|problem| !problem.contains("journal")), "{:?}", audit.problems);
    }
}

/// The site that lost browsers are told of.
fn pages() -> WebSettings {
    WebSettings {
        public_url: PUBLIC_URL.into(),
        site_name: "Gifts".into(),
        min_sat: 100,
        max_sat: 500_000,
        max_quantity: 500,
        gift_fee: crate::core::fees::FeeRule::FREE,
        email: false,
    }
}

/// The keys of an object as they stand in the text.
pub(super) fn keys(text: &str) -> Vec<String> {
    let mut keys = Vec::new();
    let (mut depth, mut in_text, mut escaped, mut start) = (0_i32, false, false, 0);
    let bytes = text.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' if in_text => {
                in_text = false;
                if depth == 1 && bytes.get(at + 1) == Some(&b':') {
                    keys.push(text[start..at].to_owned());
                }
            }
            b'"' => (in_text, start) = (true, at + 1),
            b'{' | b'[' if !in_text => depth += 1,
            b'}' | b']' if !in_text => depth -= 1,
            _ => {}
        }
    }
    keys
}

pub(super) const OK: u16 = StatusCode::OK.as_u16();
