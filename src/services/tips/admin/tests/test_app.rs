//! An app around the service as its operator meets it: the real store, keys, ledger and routes on a simulated
//! node.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use bitcoin::Network;
use lightning_invoice::Bolt11Invoice;
use serde_json::{Value, json};
use tower::ServiceExt;
use utoipa::openapi::OpenApi;

use crate::config::Config;
use crate::core::money::Msat;
use crate::core::time::Clock;
use crate::http::client::Proxies;
use crate::http::events::EventLog;
use crate::http::keys::{DEFAULT_ACCOUNT, Keys, Scope};
use crate::http::limits::{Budget, LimitSettings, Limits};
use crate::http::live::{Hub, HubSettings};
use crate::ledger::dispatcher::Dispatcher;
use crate::ledger::{Family, Ledger, Listeners, Notify, Settings, audit, events};
use crate::lightning::sim::{FakeNode, Sim};
use crate::lightning::{Lightning, Node};
use crate::outbound::guard::{Guard, GuardSettings};
use crate::outbound::lnurl::pay::Addresses;
use crate::outbound::lnurl::payee::Payees;
use crate::outbound::mail::Mailer;
use crate::outbound::webhooks::store::Outbox;
use crate::services::tips::{Notifier, Parts, Rules, Tips, api, keyring, listener};
use crate::services::users::{self, Users};
use crate::storage::{Store, StoreError};
use crate::vouchers::{VoucherListener, Vouchers, upkeep};

pub(super) const NOON: i64 = 1_800_000_000_000;
pub(super) const URL: &str = "https://tips.example";
pub(super) const HOUR: Duration = Duration::from_secs(3_600);
pub(super) const DAY: Duration = Duration::from_secs(86_400);

pub(super) struct TestApp {
    pub(super) tips: Tips,
    pub(super) clock: Clock,
    pub(super) document: OpenApi,
    keys: Keys,
    ledger: Ledger,
    sim: Arc<Sim>,
    vouchers: Vouchers,
    router: Router,
    dispatcher: Mutex<Dispatcher>,
    _folder: tempfile::TempDir,
}

impl TestApp {
    pub(super) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(super) fn with(change: impl FnOnce(&mut Rules)) -> Self {
        Self::build(change, None)
    }

    pub(super) fn with_mail(mailer: Mailer) -> Self {
        Self::build(|_| {}, Some(mailer))
    }

    fn build(change: impl FnOnce(&mut Rules), mail: Option<Mailer>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open_in_test(&folder.path().join("satchel.db")).unwrap();
        let clock = Clock::manual(NOON);
        let sim = Arc::new(Sim::new(clock.clone()));
        let node = Arc::new(FakeNode::new(Arc::clone(&sim)));
        let mut config = Config { network: Network::Regtest, ..Config::default() };
        config.http.public_url = URL.into();
        config.http.rate_limits = false;
        let mut rules = Rules::from_config(&config);
        change(&mut rules);
        let hub = Hub::new(HubSettings::default());
        let log = EventLog::new(store.clone(), Arc::clone(&hub));
        let keyring = keyring(&store).unwrap();
        let notifier =
            Notifier::new(hub, Outbox::default(), log, keyring.clone(), clock.clone(), rules.return_fee);
        let vouchers =
            Vouchers::new([(Family::Tips, Arc::new(notifier.clone()) as Arc<dyn VoucherListener>)]);
        let ledger = Ledger {
            store: store.clone(),
            lightning: Arc::clone(&node) as Arc<dyn Lightning>,
            clock: clock.clone(),
            wake: Arc::new(Notify::default()),
            listeners: Listeners::new([(Family::Tips, listener(vouchers.clone(), notifier.clone()))]),
            settings: Settings::default(),
        };
        let keys = Keys::new(store.clone());
        let guard = Guard::offline(GuardSettings::default());
        let client = guard.client(Duration::from_secs(1)).unwrap();
        let tips = Tips::new(Parts {
            ledger: ledger.clone(),
            node: Node::new(node, tokio::runtime::Handle::current()),
            rules,
            keyring,
            guard: guard.clone(),
            payees: Payees::new(
                guard.clone(),
                Arc::new(Addresses {
                    client,
                    network: Network::Regtest,
                    clock: clock.clone(),
                    comment: String::new(),
                }),
                None,
                Network::Regtest,
                clock.clone(),
            ),
            notifier,
            vouchers: vouchers.clone(),
            users: Users::new(users::Parts {
                store,
                clock: clock.clone(),
                keys: keys.clone(),
                public_url: URL.into(),
                mail,
                guard,
                newcomers: Budget::per_minute(0),
            }),
            budget: Arc::new(Budget::per_minute(0)),
        });
        let limits = LimitSettings {
            enabled: false,
            window: Duration::from_secs(900),
            write: 50,
            read: 200,
            key_write: 0,
            key_read: 0,
        };
        let (router, document) =
            api::router(tips.clone(), &Arc::new(Limits::new(limits)), &Arc::new(Proxies::default()));
        let dispatcher = Mutex::new(Dispatcher::default());
        Self { tips, clock, document, keys, ledger, sim, vouchers, router, dispatcher, _folder: folder }
    }

    /// A key of an account, as text.
    pub(super) async fn key(&self, scope: Scope, account: Option<&str>) -> String {
        let account = account.unwrap_or(DEFAULT_ACCOUNT);
        self.keys.create("a test's", &[scope], Some(account)).await.unwrap().1.expose().to_owned()
    }

    /// A request, with what its headers and body should be; status and text of the answer.
    pub(super) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (u16, String) {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    /// As [`TestApp::send`] with a key.
    pub(super) async fn ask(&self, method: &str, path: &str, key: &str, body: &Value) -> (u16, Value) {
        let headers = [("x-api-key", key), ("content-type", "application/json")];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (status, text) = self.send(method, path, &headers, &body).await;
        (status, if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() })
    }

    /// Pays an invoice of ours.
    pub(super) fn fund(&self, invoice: &Value) {
        let invoice: Bolt11Invoice = invoice.as_str().unwrap().parse().unwrap();
        let amount = Msat::new(invoice.amount_milli_satoshis().unwrap()).unwrap();
        self.sim.receive(&invoice, amount);
        self.drain();
    }

    fn drain(&self) {
        tokio::task::block_in_place(|| while events::step(&self.ledger, Duration::ZERO).unwrap() {});
    }

    /// Somebody of this key opens a tip and claims it.
    pub(super) async fn claim(&self, key: &str, id: &str) {
        let path = format!("/api/tippee/tips/{id}");
        assert_eq!(self.ask("POST", &format!("{path}/markSeen"), key, &json!({})).await.0, 204);
        assert_eq!(self.ask("POST", &format!("{path}/claim"), key, &json!({})).await.0, 204);
    }

    /// Withdraws with an invoice of this amount; it arrives.
    pub(super) async fn withdraw(&self, key: &str, flow: &str, sat: u64) {
        let invoice = self.sim.invoice(Msat::from_sat(sat).unwrap(), HOUR).0.to_string();
        let body = json!({ "invoice": invoice, "flow": flow });
        let paid = async {
            for _ in 0..200 {
                tokio::time::sleep(Duration::from_millis(10)).await;
                tokio::task::block_in_place(|| {
                    self.dispatcher.lock().unwrap().round(&self.ledger).unwrap();
                });
                self.sim.commit_all();
                if let Some(hash) = self.sim.under_way().into_iter().next() {
                    self.sim.resolve(hash, true, Msat::ZERO);
                    return self.drain();
                }
            }
        };
        let ((status, answer), ()) = tokio::join!(self.ask("POST", "/api/invoices", key, &body), paid);
        assert_eq!(status, 204, "{answer}");
    }

    /// What is over goes back.
    pub(super) async fn expire(&self) {
        upkeep::expire_due(&self.ledger, &self.vouchers).await.unwrap();
    }

    /// Webhooks that wait: URL and payload.
    pub(super) fn outbox(&self) -> Vec<(String, Value)> {
        let read = self.ledger.store.read_blocking(|connection| -> Result<_, StoreError> {
            let mut statement = connection.prepare(
                "SELECT e.url, unseal(m.payload) FROM webhook_messages m
                 JOIN webhook_endpoints e ON e.id = m.endpoint_id ORDER BY m.id",
            )?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
            Ok(rows.collect::<Result<Vec<_>, _>>()?)
        });
        let rows: Vec<(String, String)> = read.unwrap();
        rows.into_iter().map(|(url, text)| (url, serde_json::from_str(&text).unwrap())).collect()
    }

    /// The books are in order.
    pub(super) fn audit(&self) {
        let audit = tokio::task::block_in_place(|| audit::audit(&self.ledger).unwrap());
        assert!(audit.clean, "{:?}", audit.problems);
    }
}
