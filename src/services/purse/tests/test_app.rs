//! The service's surroundings: the real store, ledger and routes on a simulated node, and a service that sells.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use axum::middleware::from_fn_with_state;
use bitcoin::Network;
use lightning_invoice::Bolt11Invoice;
use rusqlite::params;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::seller::Seller;
use crate::admin::{NewPurse, PurseAdmin};
use crate::core::ids::AccountId;
use crate::core::money::Msat;
use crate::core::time::Clock;
use crate::http::audit_log::{Act, ActKind};
use crate::http::client::Proxies;
use crate::http::events::EventLog;
use crate::http::keys::{KeyId, Keys, Scope, recognise};
use crate::http::limits::{LimitSettings, Limits};
use crate::http::live::{Hub, HubSettings};
use crate::ledger::dispatcher::Dispatcher;
use crate::ledger::{
    Family, Ledger, LedgerError, Listener, Listeners, Notify, Settings, accounts, audit, charges, events,
};
use crate::lightning::sim::{FakeNode, Sim};
use crate::lightning::{Lightning, Node};
use crate::outbound::guard::{Guard, GuardSettings};
use crate::services::purse::{Parts, PurseListener, Purses, Rules, api, sealer};
use crate::storage::Store;

pub(super) const NOON: i64 = 1_800_000_000_000;

/// The reserve for routing a small amount, in sat.
pub(super) const RESERVE: u64 = 10;

pub(super) fn sat(sat: u64) -> Msat {
    Msat::from_sat(sat).unwrap()
}

/// A status and a body.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) text: String,
}

impl Answer {
    pub(super) fn body(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    #[track_caller]
    pub(super) fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        self.body()
    }

    #[track_caller]
    pub(super) fn refused(&self, status: u16, code: &str) -> Value {
        let body = self.body();
        assert_eq!((self.status, body["code"].as_str()), (status, Some(code)), "{self:?}");
        body
    }
}

pub(super) struct TestApp {
    pub(super) purses: Purses,
    pub(super) ledger: Ledger,
    pub(super) sim: Arc<Sim>,
    pub(super) node: Arc<FakeNode>,
    pub(super) clock: Clock,
    pub(super) keys: Keys,
    pub(super) seller: Seller,
    router: Router,
    pub(super) shop: AccountId,
    pumping: Arc<AtomicBool>,
    pub(super) folder: tempfile::TempDir,
}

pub(super) fn rules() -> Rules {
    Rules {
        enabled: true,
        network: Network::Regtest,
        max_fee_base: sat(RESERVE),
        max_fee_ppm: 1_000,
        min_invoice_expiry: Duration::from_secs(30),
        answer_time: Duration::from_secs(2),
        payment_wait: Duration::from_secs(10),
        max_answer: 100_000,
    }
}

/// A purse for every host with a budget and no other limit.
pub(super) fn wide(budget_sat: u64) -> NewPurse {
    NewPurse {
        name: format!("agent-{budget_sat}"),
        budget_sat,
        per_day_sat: None,
        per_request_sat: None,
        hosts: vec!["*".into()],
        pay_invoices: true,
        allow_http: false,
        account: Some("shop".into()),
    }
}

impl TestApp {
    /// Payments arrive by themselves, and cost one sat of routing.
    pub(super) async fn new() -> Self {
        let app = Self::with(rules()).await;
        app.pump();
        app
    }

    pub(super) async fn with(rules: Rules) -> Self {
        let loopback = GuardSettings {
            allow_networks: vec!["127.0.0.0/8".parse().unwrap()],
            ..GuardSettings::default()
        };
        Self::guarded(rules, loopback).await
    }

    pub(super) async fn guarded(rules: Rules, guard: GuardSettings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open_without_sync(&folder.path().join("satchel.db")).unwrap();
        let clock = Clock::manual(NOON);
        let sim = Arc::new(Sim::new(clock.clone()));
        sim.set_commit_at_once(true);
        let node = Arc::new(FakeNode::new(Arc::clone(&sim)));
        let log = EventLog::new(store.clone(), Hub::new(HubSettings::default()));
        let listener = PurseListener::new(log.clone());
        let l402 = crate::services::l402::Notifier::new(log, clock.clone());
        let ledger = Ledger {
            store: store.clone(),
            lightning: Arc::clone(&node) as Arc<dyn Lightning>,
            clock: clock.clone(),
            wake: Arc::new(Notify::default()),
            listeners: Listeners::new([
                (Family::Purse, Arc::new(listener.clone()) as Arc<dyn Listener>),
                (Family::L402, Arc::new(l402) as Arc<dyn Listener>),
            ]),
            settings: Settings::default(),
        };
        let keys = Keys::new(store.clone());
        let purses = Purses::new(Parts {
            ledger: ledger.clone(),
            node: Node::new(Arc::clone(&node), tokio::runtime::Handle::current()),
            rules,
            listener,
            sealer: tokio::task::block_in_place(|| sealer(&store)).unwrap(),
            guard: Guard::new(guard),
            keys: keys.clone(),
        })
        .unwrap();
        let limits = LimitSettings {
            enabled: false,
            window: Duration::from_secs(60),
            write: 0,
            read: 0,
            key_write: 0,
            key_read: 0,
        };
        let limits = Arc::new(Limits::new(limits));
        let (router, _) = api::router(purses.clone(), keys.clone(), &limits, &Arc::new(Proxies::default()));
        let router = router.layer(from_fn_with_state(keys.clone(), recognise));
        keys.create("test", &[Scope::Payments], Some("shop")).await.unwrap();
        let shop = keys.account("shop").await.unwrap().unwrap();
        let seller = Seller::start(Arc::clone(&sim)).await;
        Self { purses, ledger, sim, node, clock, keys, seller, router, shop, pumping: Arc::default(), folder }
    }

    /// A purse's key.
    pub(super) async fn purse(&self, new: NewPurse) -> String {
        let act = Act::new(KeyId(1), ActKind::PurseCreate);
        let made = PurseAdmin::create(&self.purses, new, act).await.unwrap();
        made["key"].as_str().unwrap().to_owned()
    }

    pub(super) async fn ask(&self, method: &str, key: &str, path: &str, body: &str, once: &str) -> Answer {
        let mut request = Request::builder().method(method).uri(path).header("x-api-key", key);
        if !once.is_empty() {
            request = request.header("idempotency-key", once);
        }
        let response =
            self.router.clone().oneshot(request.body(Body::from(body.to_owned())).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        Answer { status, text: String::from_utf8(bytes.to_vec()).unwrap() }
    }

    /// Fetches a path of the seller's.
    pub(super) async fn fetch(&self, key: &str, path: &str) -> Answer {
        self.fetch_once(key, &json!({ "url": self.seller.url(path) }), "").await
    }

    pub(super) async fn fetch_once(&self, key: &str, body: &Value, once: &str) -> Answer {
        self.ask("POST", key, "/v1/purse/fetch", &body.to_string(), once).await
    }

    pub(super) async fn pay(&self, key: &str, invoice: &Bolt11Invoice) -> Answer {
        let body = json!({ "invoice": invoice.to_string() });
        self.ask("POST", key, "/v1/purse/pay", &body.to_string(), "").await
    }

    pub(super) async fn shown(&self, key: &str) -> Value {
        self.ask("GET", key, "/v1/purse", "", "").await.ok()
    }

    /// The shop sells a request for so much.
    pub(super) fn earn(&self, amount: Msat) {
        let (invoice, _) = self.sim.invoice(amount, Duration::from_secs(3_600));
        self.own_charge(&invoice, amount);
        self.sim.receive(&invoice, amount);
        self.drain();
    }

    /// An invoice of this node, for a request that the shop sells.
    pub(super) fn own_charge(&self, invoice: &Bolt11Invoice, amount: Msat) {
        let (shop, now, asked) = (self.shop, self.clock.now(), invoice.clone());
        let opened = self.ledger.store.write_blocking(move |tx| -> Result<(), LedgerError> {
            let charge = charges::open(tx, Family::L402, &asked, Some(amount), now)?;
            tx.execute(
                "INSERT INTO l402_challenges (charge_id, payment_hash, account_id, resource, price_sat, token_id, valid_until,
                     asked_by, created_at, expires_at) VALUES (?1, ?2, ?3, 'r', 1, zeroblob(32), 0, zeroblob(32), ?4, ?4)",
                params![charge, charges::hash_of(&asked), shop, now],
            )?;
            Ok(())
        });
        opened.unwrap();
    }

    pub(super) fn drain(&self) {
        tokio::task::block_in_place(|| while events::step(&self.ledger, Duration::ZERO).unwrap() {});
    }

    pub(super) fn dispatch(&self) {
        tokio::task::block_in_place(|| Dispatcher::default().round(&self.ledger).unwrap());
    }

    /// From now on what is queued is sent, and arrives.
    pub(super) fn pump(&self) {
        let (ledger, sim, on) = (self.ledger.clone(), Arc::clone(&self.sim), Arc::clone(&self.pumping));
        on.store(true, Ordering::SeqCst);
        std::thread::spawn(move || {
            let mut dispatcher = Dispatcher::default();
            while on.load(Ordering::SeqCst) {
                if dispatcher.round(&ledger).is_err() {
                    return;
                }
                for hash in sim.under_way() {
                    sim.resolve(hash, true, sat(1));
                }
                while let Ok(true) = events::step(&ledger, Duration::ZERO) {}
                std::thread::sleep(Duration::from_millis(2));
            }
        });
    }

    /// An invoice of a stranger.
    pub(super) fn invoice(&self, amount: Msat) -> Bolt11Invoice {
        self.sim.invoice(amount, Duration::from_secs(3_600)).0
    }

    /// Balance and what is under way, in msat, after an audit that finds nothing.
    #[track_caller]
    pub(super) fn has(&self) -> (u64, u64) {
        let audit = tokio::task::block_in_place(|| audit::audit(&self.ledger).unwrap());
        assert_eq!(audit.problems, Vec::<String>::new());
        let shop = self.shop;
        let balance = self.ledger.store.read_blocking(move |connection| accounts::balance(connection, shop));
        let balance = balance.unwrap();
        (balance.available.get(), balance.pending.get())
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.pumping.store(false, Ordering::SeqCst);
    }
}
