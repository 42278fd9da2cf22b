//! A real L402 service on a simulated node, and a customer who pays, for the tests of services that sell.

use ::l402::b64;
use ::l402::mpp::Challenge;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use bitcoin::Network;
use lightning_invoice::Bolt11Invoice;
use serde_json::json;

use crate::core::ids::to_hex;
use crate::core::money::Msat;
use crate::core::time::Clock;
use crate::http::client::Proxies;
use crate::http::events::EventLog;
use crate::http::limits::{Budget, LimitSettings, Limits};
use crate::http::live::{Hub, HubSettings};
use crate::ledger::{Family, Ledger, Listener, Listeners, Notify, Settings, charges, events};
use crate::lightning::sim::{FakeNode, Sim};
use crate::lightning::{Lightning, Node};
use crate::services::l402::{L402, Notifier, Parts, Rules, token_keys};
use crate::storage::Store;

pub(in crate::services) struct TestSeller {
    pub(in crate::services) l402: L402,
    pub(in crate::services) ledger: Ledger,
    pub(in crate::services) node: Arc<FakeNode>,
}

impl TestSeller {
    /// One that sells, or sells nothing any more.
    pub(in crate::services) fn open(store: &Store, clock: Clock, enabled: bool) -> Self {
        let node = Arc::new(FakeNode::new(Arc::new(Sim::new(clock.clone()))));
        let log = EventLog::new(store.clone(), Hub::new(HubSettings::default()));
        let notifier = Notifier::new(log, clock.clone());
        let ledger = Ledger {
            store: store.clone(),
            lightning: Arc::clone(&node) as Arc<dyn Lightning>,
            clock,
            wake: Arc::new(Notify::default()),
            listeners: Listeners::new([(Family::L402, Arc::new(notifier.clone()) as Arc<dyn Listener>)]),
            settings: Settings::default(),
        };
        let window = Duration::from_secs(60);
        let off = LimitSettings { enabled: false, window, write: 0, read: 0, key_write: 0, key_read: 0 };
        let l402 = L402::new(Parts {
            ledger: ledger.clone(),
            node: Node::new(Arc::clone(&node), tokio::runtime::Handle::current()),
            rules: Rules {
                enabled,
                network: Network::Regtest,
                public_url: "https://pay.example".into(),
                realm: "pay.example".into(),
                lifetime: Duration::from_secs(3_600),
                invoice_expiry: Duration::from_secs(600),
                default_price_sat: 10,
                premium_price_sat: 100,
                max_price_sat: 1_000_000,
                per_credential_per_minute: 0,
                fee: crate::core::fees::FeeRule::FREE,
            },
            token_keys: tokio::task::block_in_place(|| token_keys(store).unwrap()),
            notifier,
            proxies: Arc::new(Proxies::default()),
            per_client: Arc::new(Limits::new(off)),
            budget: Arc::new(Budget::per_minute(0)),
        });
        Self { l402, ledger, node }
    }

    /// Pays what a 402 asks for; token and preimage. What there is to know is in its headers: `HEAD` has no body.
    fn pay(&self, headers: &HeaderMap) -> (String, String) {
        let line = headers["www-authenticate"].to_str().unwrap();
        let part = |name: &str| line.split(&format!("{name}=\"")).nth(1).unwrap().split('"').next().unwrap();
        let invoice: Bolt11Invoice = part("invoice").parse().unwrap();
        self.node.sim.receive(&invoice, Msat::new(invoice.amount_milli_satoshis().unwrap()).unwrap());
        tokio::task::block_in_place(|| while events::step(&self.ledger, Duration::ZERO).unwrap() {});
        let preimage = to_hex(&self.node.preimages.lock().unwrap()[&charges::hash_of(&invoice)].0);
        (part("macaroon").to_owned(), preimage)
    }

    /// Pays what a 402 asks for; a token to show, as often as one likes.
    pub(in crate::services) fn token(&self, headers: &HeaderMap) -> String {
        let (macaroon, preimage) = self.pay(headers);
        format!("L402 {macaroon}:{preimage}")
    }

    /// Pays what a 402 asks for; a payment to show once, by the `Payment` scheme.
    pub(in crate::services) fn once(&self, headers: &HeaderMap) -> String {
        let (_, preimage) = self.pay(headers);
        let lines = headers.get_all("www-authenticate").iter().map(|line| line.to_str().unwrap());
        let challenge = Challenge::read_all(&lines.collect::<Vec<_>>().join(", ")).remove(0);
        let credential = json!({ "challenge": challenge, "payload": { "preimage": preimage } });
        format!("Payment {}", b64::url(credential.to_string().as_bytes()))
    }
}
