//! An app around the service: the real store, ledger, dispatcher and routes on a simulated node.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request};
use bitcoin::Network;
use lightning_invoice::Bolt11Invoice;
use serde_json::{Value, json};
use tower::ServiceExt;
use utoipa::openapi::OpenApi;

use super::answer::Answer;
use crate::core::money::Msat;
use crate::core::time::{Clock, iso};
use crate::http::client::Proxies;
use crate::http::events::EventLog;
use crate::http::keys::{Keys, Scope};
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
use crate::services::tips::request::Limits as OrderLimits;
use crate::services::tips::{Notifier, Parts, Rules, Tips, api, keyring, listener};
use crate::services::users::{self, Users};
use crate::storage::{Store, StoreError};
use crate::vouchers::{VoucherListener, Vouchers, upkeep};
use crate::web::WebSettings;

pub(super) const NOON: i64 = 1_800_000_000_000;
pub(super) const PUBLIC_URL: &str = "https://tips.example";
pub(super) const TIPS: &str = "/api/tipper/tips";
pub(super) const DAY: Duration = Duration::from_secs(86_400);

/// What differs between apps.
pub(super) struct Setup {
    pub(super) limits: LimitSettings,
    pub(super) budget: u32,
    pub(super) rules: Rules,
    /// The name server that is asked.
    pub(super) dns: Option<String>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            limits: LimitSettings {
                enabled: false,
                window: Duration::from_secs(900),
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
                limits: OrderLimits::default(),
                return_fee: false,
                invoice_expiry: DAY,
                max_fee_base: Msat::from_sat(10).unwrap(),
                max_fee_ppm: 10_000,
                min_invoice_expiry: Duration::from_secs(60),
                patience: Duration::from_secs(20),
                guess_limits: false,
            },
            dns: None,
        }
    }
}

pub(super) struct TestApp {
    /// What the published description says.
    pub(super) document: OpenApi,
    pub(super) tips: Tips,
    pub(super) ledger: Ledger,
    pub(super) vouchers: Vouchers,
    pub(super) sim: Arc<Sim>,
    pub(super) node: Arc<FakeNode>,
    pub(super) addresses: Arc<FakeAddresses>,
    pub(super) clock: Clock,
    pub(super) keys: Keys,
    pub(super) router: Router,
    /// The key of who gives.
    pub(super) tipper: String,
    /// The key of who gets.
    pub(super) friend: String,
    dispatcher: Mutex<Dispatcher>,
    _folder: tempfile::TempDir,
}

impl TestApp {
    pub(super) async fn new() -> Self {
        Self::with(Setup::default()).await
    }

    pub(super) async fn with_rules(change: impl FnOnce(&mut Rules)) -> Self {
        let mut setup = Setup::default();
        change(&mut setup.rules);
        Self::with(setup).await
    }

    pub(super) async fn with(setup: Setup) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open_without_sync(&folder.path().join("satchel.db")).unwrap();
        let clock = Clock::manual(NOON);
        let sim = Arc::new(Sim::new(clock.clone()));
        let node = Arc::new(FakeNode::new(Arc::clone(&sim)));
        let addresses = Arc::new(FakeAddresses::new(Arc::clone(&sim)));
        let servers: Vec<_> = setup.dns.into_iter().collect();
        let dns = Dns::new(&servers, true, clock.clone()).unwrap();
        let keyring = keyring(&store).unwrap();
        let hub = Hub::new(HubSettings::default());
        let log = EventLog::new(store.clone(), Arc::clone(&hub));
        let notifier = Notifier::new(
            hub,
            Outbox::default(),
            log,
            keyring.clone(),
            clock.clone(),
            setup.rules.return_fee,
        );
        let vouchers =
            Vouchers::new([(Family::Tips, Arc::new(notifier.clone()) as Arc<dyn VoucherListener>)]);
        let ledger = Ledger {
            store: store.clone(),
            lightning: Arc::clone(&node) as Arc<dyn Lightning>,
            clock: clock.clone(),
            wake: Arc::new(Notify::default()),
            listeners: Listeners::new([(
                Family::Tips,
                listener(vouchers.clone(), notifier.clone()) as Arc<dyn Listener>,
            )]),
            settings: Settings::default(),
        };
        let keys = Keys::new(store.clone());
        let users = Users::new(users::Parts {
            store,
            clock: clock.clone(),
            keys: keys.clone(),
            public_url: PUBLIC_URL.into(),
            mail: None,
            guard: Guard::offline(GuardSettings::default()),
            newcomers: Budget::per_minute(0),
        });
        let tips = Tips::new(Parts {
            ledger: ledger.clone(),
            node: Node::new(Arc::clone(&node), tokio::runtime::Handle::current()),
            rules: setup.rules,
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
            vouchers: vouchers.clone(),
            users,
            budget: Arc::new(Budget::per_minute(setup.budget)),
        });
        let limits = Arc::new(Limits::new(setup.limits));
        let (router, document) = api::router(tips.clone(), &limits, &Arc::new(Proxies::default()));
        let router = crate::app::routes::open(router, Arc::new(pages()));
        let key = async |account: &str| {
            keys.create("test", &[Scope::Tips], Some(account)).await.unwrap().1.expose().to_owned()
        };
        let (tipper, friend) = (key("tipper").await, key("friend").await);
        let dispatcher = Mutex::default();
        Self {
            document,
            tips,
            ledger,
            vouchers,
            sim,
            node,
            addresses,
            clock,
            keys,
            router,
            tipper,
            friend,
            dispatcher,
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
        let mut request = Request::builder().method(method).uri(path);
        if !key.is_empty() {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        self.send(request.body(body).unwrap()).await
    }

    pub(super) async fn get(&self, key: &str, path: &str) -> Answer {
        self.ask(Method::GET, key, path, None).await
    }

    pub(super) async fn post(&self, key: &str, path: &str, body: &Value) -> Answer {
        self.ask(Method::POST, key, path, Some(body)).await
    }

    pub(super) async fn put(&self, key: &str, path: &str, body: &Value) -> Answer {
        self.ask(Method::PUT, key, path, Some(body)).await
    }

    pub(super) async fn delete(&self, key: &str, path: &str) -> Answer {
        self.ask(Method::DELETE, key, path, None).await
    }

    /// An order by the tipper: 21 sat for a day, unless `more` says otherwise.
    pub(super) async fn order(&self, more: &Value) -> Answer {
        self.post(&self.tipper, TIPS, &self.body(more)).await
    }

    /// The body of such an order.
    pub(super) fn body(&self, more: &Value) -> Value {
        let expiry = iso::IsoTime(self.clock.now() + 86_400_000).to_string();
        let mut body = json!({"amount": 21, "quantity": 1, "expiry": expiry});
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        body
    }

    /// A paid tip or group.
    pub(super) async fn funded(&self, more: &Value) -> Value {
        let made = self.order(more).await.ok();
        self.fund(&made);
        made
    }

    /// A paid tip's id, seen if it shall be.
    pub(super) async fn tip(&self, more: &Value) -> String {
        id(&self.funded(more).await)
    }

    pub(super) async fn see(&self, tip: &str) {
        self.ask(Method::POST, "", &format!("/api/tippee/tips/{tip}/markSeen"), None).await.done();
    }

    pub(super) async fn claim(&self, key: &str, tip: &str) -> Answer {
        self.ask(Method::POST, key, &format!("/api/tippee/tips/{tip}/claim"), None).await
    }

    /// A tip that the friend has claimed.
    pub(super) async fn claimed(&self, more: &Value) -> String {
        let tip = self.tip(more).await;
        self.see(&tip).await;
        self.claim(&self.friend, &tip).await.done();
        tip
    }

    pub(super) async fn reclaim(&self, tip: &str, force: bool) -> Answer {
        self.post(&self.tipper, &format!("{TIPS}/{tip}/reclaim"), &json!({ "force": force })).await
    }

    /// The tip as its tipper sees it.
    pub(super) async fn shown(&self, tip: &str) -> Value {
        self.get(&self.tipper, &format!("{TIPS}/{tip}")).await.ok()
    }

    /// Where a tip stands: its status, with a `+` while a payout of it runs.
    pub(super) async fn status(&self, tip: &str) -> String {
        let shown = self.shown(tip).await;
        let pending = if shown["withdrawalPending"] == true { "+" } else { "" };
        format!("{}{pending}", shown["status"].as_str().unwrap())
    }

    /// Somebody pays the invoice of a tip or group.
    pub(super) fn fund(&self, made: &Value) {
        let invoice = parse(made["invoice"].as_str().unwrap());
        let amount = invoice.amount_milli_satoshis().unwrap();
        self.pay(&invoice, amount);
    }

    /// Somebody pays this much to an invoice.
    pub(super) fn pay(&self, invoice: &Bolt11Invoice, msat: u64) {
        self.sim.receive(invoice, Msat::new(msat).unwrap());
        self.drain();
    }

    pub(super) fn drain(&self) {
        tokio::task::block_in_place(|| while events::step(&self.ledger, Duration::ZERO).unwrap() {});
    }

    /// An invoice of a recipient's wallet.
    pub(super) fn invoice(&self, sat: u64) -> String {
        self.sim.invoice(Msat::from_sat(sat).unwrap(), Duration::from_secs(3_600)).0.to_string()
    }

    /// Sends what is queued and lets it arrive, or not.
    pub(super) fn finish(&self, arrives: bool) {
        tokio::task::block_in_place(|| self.dispatcher.lock().unwrap().round(&self.ledger).unwrap());
        self.sim.commit_all();
        for hash in self.sim.under_way() {
            self.sim.resolve(hash, arrives, Msat::ZERO);
        }
        self.drain();
    }

    /// Sends what is queued to offers, and lets the oldest arrive, or not.
    pub(super) fn finish_offer(&self, arrives: bool) {
        tokio::task::block_in_place(|| offer_payouts::Worker::default().step(&self.ledger).unwrap());
        self.sim.resolve_offer(arrives, Msat::ZERO);
        self.drain();
    }

    /// `POST /api/invoices`, while the network lets what it begins arrive, or not.
    pub(super) async fn withdraw(&self, key: &str, body: &Value, arrives: bool) -> Answer {
        let mut asked = pin!(self.post(key, "/api/invoices", body));
        loop {
            tokio::select! {
                answer = &mut asked => return answer,
                () = tokio::time::sleep(Duration::from_millis(2)) => {
                    self.finish(arrives);
                    self.finish_offer(arrives);
                }
            }
        }
    }

    /// A withdrawal of one tip that begins and does not end; the invoice.
    pub(super) async fn begin(&self, key: &str, flow: &str, tip: &str, sat: u64) -> String {
        let link = self.link(key, &json!({"flow": flow, "amount": sat, "tipId": tip})).await;
        let invoice = self.invoice(sat);
        let k1 = self.get("", &link).await.ok()["k1"].as_str().unwrap().to_owned();
        let paid = self.get("", &format!("{link}/pay?k1={k1}&pr={invoice}")).await;
        assert_eq!(paid.text, r#"{"status":"OK"}"#);
        invoice
    }

    /// The path that an LNURL of a new code leads to.
    pub(super) async fn link(&self, key: &str, body: &Value) -> String {
        let lnurl = self.post(key, "/api/withdrawalLinks", body).await.ok();
        let url = decode(lnurl.as_str().unwrap());
        url.strip_prefix(PUBLIC_URL).unwrap().to_owned()
    }

    /// What is over is marked so.
    pub(super) async fn upkeep(&self) {
        upkeep::expire_due(&self.ledger, &self.vouchers).await.unwrap();
    }

    pub(super) fn reached(&self, invoice: &str) -> bool {
        self.sim.delivered().contains_key(&hash_of(&parse(invoice)))
    }

    /// Balances of all accounts, debit positive, in msat.
    pub(super) fn balances(&self) -> BTreeMap<&'static str, i64> {
        let audit = tokio::task::block_in_place(|| audit::audit(&self.ledger).unwrap());
        audit.accounts.into_iter().map(|row| (row.account, row.msat)).collect()
    }

    /// One account's balance in sat, as what is owed or earned: credit positive.
    pub(super) fn sat(&self, account: &str) -> i64 {
        let msat = self.balances()[account];
        assert_eq!(msat % 1_000, 0, "{account}");
        -msat / 1_000
    }

    /// The books are in order, and nobody's money is in suspense.
    #[track_caller]
    pub(super) fn audit(&self) {
        self.audit_with_suspense(0);
    }

    #[track_caller]
    pub(super) fn audit_with_suspense(&self, sat: i64) {
        let audit = tokio::task::block_in_place(|| audit::audit(&self.ledger).unwrap());
        assert_eq!(audit.problems, Vec::<String>::new());
        assert_eq!((self.sat("suspense"), self.sat("loss")), (sat, 0));
    }

    /// What is in the outbox: URL, payload.
    pub(super) fn sent(&self) -> Vec<(String, String)> {
        let read = self.ledger.store.read_blocking(|connection| -> Result<_, StoreError> {
            let mut statement = connection.prepare(
                "SELECT e.url, unseal(m.payload) FROM webhook_messages m
                 JOIN webhook_endpoints e ON e.id = m.endpoint_id ORDER BY m.id",
            )?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(rows.collect::<Result<Vec<_>, _>>()?)
        });
        read.unwrap()
    }
}

/// What an LNURL says.
fn decode(lnurl: &str) -> String {
    let (kind, bytes) = bech32::decode(lnurl).unwrap();
    assert_eq!(kind.to_lowercase(), "lnurl");
    String::from_utf8(bytes).unwrap()
}

pub(super) fn parse(invoice: &str) -> Bolt11Invoice {
    invoice.parse().unwrap()
}

pub(super) fn id(made: &Value) -> String {
    made["id"].as_str().unwrap().to_owned()
}

/// The ids of a group's tips.
pub(super) fn members(group: &Value) -> Vec<String> {
    group["tips"].as_array().unwrap().iter().map(id).collect()
}

/// The site that lost browsers are told of.
fn pages() -> WebSettings {
    WebSettings {
        public_url: PUBLIC_URL.into(),
        site_name: "Tips".into(),
        min_sat: 100,
        max_sat: 500_000,
        max_quantity: 500,
        gift_fee: crate::core::fees::FeeRule::FREE,
        email: false,
    }
}
