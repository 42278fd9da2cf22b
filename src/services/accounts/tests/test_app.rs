//! The service's surroundings: the real store, ledger and routes on a simulated node.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use axum::middleware::from_fn_with_state;
use bitcoin::Network;
use lightning_invoice::{Bolt11Invoice, Currency};
use rusqlite::params;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::core::ids::AccountId;
use crate::core::money::Msat;
use crate::core::time::Clock;
use crate::http::client::Proxies;
use crate::http::events::EventLog;
use crate::http::keys::{Keys, Scope, recognise};
use crate::http::limits::{LimitSettings, Limits};
use crate::http::live::{Hub, HubSettings};
use crate::ledger::coin_fees::FeeRules;
use crate::ledger::dispatcher::Dispatcher;
use crate::ledger::{
    Family, Ledger, LedgerError, Listener, Listeners, Notify, Settings, accounts, audit, charges, coins,
    events, offer_payouts,
};
use crate::lightning::sim::{FakeNode, Sim};
use crate::lightning::{Lightning, Node};
use crate::outbound::guard::{Guard, GuardSettings};
use crate::outbound::lnurl::dns::Dns;
use crate::outbound::lnurl::pay::Addresses;
use crate::services::accounts::{Accounts, Notifier, Parts, Rules, api};
use crate::storage::Store;

pub(super) const NOON: i64 = 1_800_000_000_000;
pub(super) const WITHDRAWALS: &str = "/v1/account/withdrawals";

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
        assert!(matches!(self.status, 200 | 201), "{self:?}");
        self.body()
    }

    #[track_caller]
    pub(super) fn refused(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.body()["code"].as_str()), (status, Some(code)), "{self:?}");
    }
}

pub(super) struct TestApp {
    pub(super) accounts: Accounts,
    pub(super) ledger: Ledger,
    pub(super) sim: Arc<Sim>,
    pub(super) node: Arc<FakeNode>,
    pub(super) clock: Clock,
    pub(super) keys: Keys,
    router: Router,
    /// May withdraw.
    pub(super) key: String,
    pub(super) shop: AccountId,
    notifier: Notifier,
    _folder: tempfile::TempDir,
}

pub(super) fn rules() -> Rules {
    Rules {
        enabled: true,
        network: Network::Regtest,
        account_pays_routing: true,
        max_fee_base: sat(RESERVE),
        max_fee_ppm: 1_000,
        account_pays_miners: true,
        onchain_fees: FeeRules {
            max: sat(5_000),
            max_account_hour: sat(1_000),
            max_hour: sat(1_500),
            rate: None,
        },
        min_onchain: sat(1_000),
        min_invoice_expiry: Duration::from_secs(30),
        key_day: Msat::ZERO,
    }
}

impl TestApp {
    pub(super) async fn new() -> Self {
        Self::with(rules(), None).await
    }

    pub(super) async fn with(rules: Rules, dns: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open_without_sync(&folder.path().join("satchel.db")).unwrap();
        let clock = Clock::manual(NOON);
        let sim = Arc::new(Sim::new(clock.clone()));
        sim.set_commit_at_once(true);
        let node = Arc::new(FakeNode::new(Arc::clone(&sim)));
        let log = EventLog::new(store.clone(), Hub::new(HubSettings::default()));
        let notifier = Notifier::new(log.clone());
        let l402 = crate::services::l402::Notifier::new(log, clock.clone());
        let ledger = Ledger {
            store: store.clone(),
            lightning: Arc::clone(&node) as Arc<dyn Lightning>,
            clock: clock.clone(),
            wake: Arc::new(Notify::default()),
            listeners: Listeners::new([
                (Family::Accounts, Arc::new(notifier.clone()) as Arc<dyn Listener>),
                (Family::L402, Arc::new(l402) as Arc<dyn Listener>),
            ]),
            settings: Settings::default(),
        };
        let keys = Keys::new(store);
        let (accounts, router) = serve(&ledger, &node, &notifier, &keys, rules, dns);
        let made = keys.create("test", &[Scope::Withdraw], Some("shop")).await.unwrap();
        let shop = keys.account("shop").await.unwrap().unwrap();
        let key = made.1.expose().to_owned();
        Self { accounts, ledger, sim, clock, keys, router, key, shop, node, notifier, _folder: folder }
    }

    /// The same data under other rules, as after a restart.
    pub(super) fn restarted_with(self, rules: Rules) -> Self {
        let (accounts, router) = serve(&self.ledger, &self.node, &self.notifier, &self.keys, rules, None);
        Self { accounts, router, ..self }
    }

    pub(super) async fn key(&self, scopes: &[Scope], account: &str) -> String {
        self.keys.create("test", scopes, Some(account)).await.unwrap().1.expose().to_owned()
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

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", &self.key, path, "", "").await
    }

    pub(super) async fn withdraw(&self, body: &Value) -> Answer {
        self.ask("POST", &self.key, WITHDRAWALS, &body.to_string(), "").await
    }

    pub(super) async fn once(&self, body: &Value, key: &str) -> Answer {
        self.ask("POST", &self.key, WITHDRAWALS, &body.to_string(), key).await
    }

    /// A withdrawal as its owner sees it.
    pub(super) async fn shown(&self, made: &Value) -> Value {
        self.get(&format!("{WITHDRAWALS}/{}", made["withdrawalId"].as_str().unwrap())).await.ok()
    }

    /// The shop sells a request for so much.
    pub(super) fn earn(&self, amount: Msat) {
        let (invoice, _) = self.sim.invoice(amount, Duration::from_secs(3_600));
        let (shop, now) = (self.shop, self.clock.now());
        let asked = invoice.clone();
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
        self.sim.receive(&invoice, amount);
        self.drain();
    }

    pub(super) fn drain(&self) {
        tokio::task::block_in_place(|| while events::step(&self.ledger, Duration::ZERO).unwrap() {});
    }

    /// Everything that is queued is sent.
    pub(super) fn dispatch(&self) {
        tokio::task::block_in_place(|| {
            Dispatcher::default().round(&self.ledger).unwrap();
            offer_payouts::Worker::default().step(&self.ledger).unwrap();
            coins::Worker::default().step(&self.ledger).unwrap();
        });
    }

    /// An invoice of a stranger.
    pub(super) fn invoice(&self, amount: Msat) -> Bolt11Invoice {
        self.sim.invoice(amount, Duration::from_secs(3_600)).0
    }

    /// One that leaves the amount to us.
    pub(super) fn open_invoice(&self, nonce: u8) -> Bolt11Invoice {
        let at = u64::try_from(NOON / 1_000).unwrap();
        crate::lightning::invoice::tests::invoice(Currency::Regtest, None, at, 3_600, nonce)
    }

    /// What is sent to this invoice arrives.
    pub(super) fn arrives(&self, invoice: &Bolt11Invoice, fee: Msat) {
        self.dispatch();
        self.sim.resolve(charges::hash_of(invoice), true, fee);
        self.drain();
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

    /// A ledger account, debit positive, in msat.
    pub(super) fn booked(&self, account: &str) -> i64 {
        let audit = tokio::task::block_in_place(|| audit::audit(&self.ledger).unwrap());
        audit.accounts.iter().find(|row| row.account == account).unwrap().msat
    }
}

/// The service and its routes.
fn serve(
    ledger: &Ledger,
    node: &Arc<FakeNode>,
    notifier: &Notifier,
    keys: &Keys,
    rules: Rules,
    dns: Option<&str>,
) -> (Accounts, Router) {
    let clock = ledger.clock.clone();
    let loopback =
        GuardSettings { allow_networks: vec!["127.0.0.0/8".parse().unwrap()], ..GuardSettings::default() };
    let guard = Guard::new(loopback);
    let servers: Vec<String> = dns.map(str::to_owned).into_iter().collect();
    let accounts = Accounts::new(Parts {
        ledger: ledger.clone(),
        node: Node::new(Arc::clone(node), tokio::runtime::Handle::current()),
        rules,
        notifier: notifier.clone(),
        addresses: Addresses {
            client: guard.client(Duration::from_secs(2)).unwrap(),
            network: Network::Regtest,
            clock: clock.clone(),
            comment: String::new(),
        },
        dns: Dns::new(&servers, true, clock).unwrap(),
    });
    let limits = LimitSettings {
        enabled: false,
        window: Duration::from_secs(60),
        write: 0,
        read: 0,
        key_write: 0,
        key_read: 0,
    };
    let limits = Arc::new(Limits::new(limits));
    let (router, _) = api::router(accounts.clone(), keys.clone(), &limits, &Arc::new(Proxies::default()));
    (accounts, router.layer(from_fn_with_state(keys.clone(), recognise)))
}

/// A withdrawal to this target.
pub(super) fn to(target: impl ToString) -> Value {
    json!({ "target": target.to_string() })
}
