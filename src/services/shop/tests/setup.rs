//! The service's surroundings: the real store, ledger, routes and L402 credentials on a simulated node.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use axum::middleware::from_fn_with_state;
use bitcoin::Network;
use lightning_invoice::Bolt11Invoice;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::admin::{ProductRequest, StoreAdmin, StoreRequest};
use crate::app::shop::{Besides, ChallengeSessions, OrderCredentials, OrderWebhooks};
use crate::config::Config;
use crate::core::currency::Currency;
use crate::core::money::Msat;
use crate::core::time::Clock;
use crate::http::client::Proxies;
use crate::http::events::EventLog;
use crate::http::keys::{Keys, Scope, recognise};
use crate::http::limits::{Budget, LimitSettings, Limits};
use crate::http::live::{Hub, HubSettings};
use crate::ledger::dispatcher::Dispatcher;
use crate::ledger::{
    Family, Ledger, Listener, Listeners, Notify, Settings, accounts, audit, charges, events,
};
use crate::lightning::sim::{FakeNode, Sim};
use crate::lightning::{Lightning, Node};
use crate::outbound::guard::{Guard, GuardSettings};
use crate::outbound::mail::Mailer;
use crate::outbound::webhooks::store::Outbox;
use crate::rates::{Rates, RatesSettings};
use crate::services::content::Content;
use crate::services::l402::{self, L402};
use crate::services::payments::{self, Payments};
use crate::services::proxy::{self, PaidProxies};
use crate::services::shop::{Notifier, Parts, Rules, Shop, ShopifyShops, api};
use crate::storage::{Store, StoreError};

pub(super) const NOON: i64 = 1_800_000_000_000;

/// A status, headers and a body.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
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
    pub(super) fn asked(&self) -> Value {
        assert_eq!(self.status, 402, "{self:?}");
        self.body()
    }

    #[track_caller]
    pub(super) fn refused(&self, status: u16, code: &str) {
        let body = self.body();
        assert_eq!((self.status, body["code"].as_str()), (status, Some(code)), "{self:?}");
        // The family's shape.
        for member in ["type", "title", "detail", "instance", "error", "message"] {
            assert!(body[member].is_string() && body["status"] == status, "{member}: {self:?}");
        }
    }
}

pub(super) struct World {
    pub(super) shop: Shop,
    pub(super) ledger: Ledger,
    pub(super) sim: Arc<Sim>,
    node: Arc<FakeNode>,
    pub(super) clock: Clock,
    pub(super) keys: Keys,
    pub(super) payments: Payments,
    pub(super) l402: L402,
    /// Events are read by one at a time, as in the running program.
    turn: Mutex<()>,
    router: Router,
    documents: Router,
    _folder: tempfile::TempDir,
}

/// A guard that lets requests go to test servers on this machine.
fn loopback() -> Guard {
    let allow_networks = vec!["127.0.0.0/8".parse().unwrap()];
    Guard::new(GuardSettings { allow_networks, ..GuardSettings::default() })
}

pub(super) fn config() -> Config {
    Config { network: Network::Regtest, ..Config::default() }
}

impl World {
    /// With a store `mugs` in dollars, which ships within the US and taxes in California; a bitcoin costs 50,000
    /// dollars, so a dollar is 2,000 sat.
    pub(super) async fn new() -> Self {
        let world = Self::with(&config(), None).await;
        world.create("mugs", &mugs()).await;
        world
    }

    pub(super) async fn with(config: &Config, mail: Option<Mailer>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open_without_sync(&folder.path().join("satchel.db")).unwrap();
        let clock = Clock::manual(NOON);
        let sim = Arc::new(Sim::new(clock.clone()));
        sim.set_commit_at_once(true);
        let node = Arc::new(FakeNode::new(Arc::clone(&sim)));
        let hub = Hub::new(HubSettings::default());
        let log = EventLog::new(store.clone(), Arc::clone(&hub));
        let outbox = Outbox::default();
        let payments_teller = payments::Notifier::new(hub, outbox, log.clone(), clock.clone());
        let l402_teller = l402::Notifier::new(log.clone(), clock.clone());
        let rules = Rules { settle_patience: Duration::from_millis(300), ..Rules::from_config(config) };
        let webhooks = Arc::new(OrderWebhooks(payments_teller.clone()));
        let notifier = Notifier::new(log, clock.clone(), webhooks, rules.fee);
        let ledger = Ledger {
            store: store.clone(),
            lightning: Arc::clone(&node) as Arc<dyn Lightning>,
            clock: clock.clone(),
            wake: Arc::new(Notify::default()),
            listeners: Listeners::new([
                (Family::Shop, Arc::new(notifier.clone()) as Arc<dyn Listener>),
                (Family::Payments, Arc::new(payments_teller.clone()) as Arc<dyn Listener>),
                (Family::L402, Arc::new(l402_teller.clone()) as Arc<dyn Listener>),
            ]),
            settings: Settings::default(),
        };
        let asked = Node::new(Arc::clone(&node), tokio::runtime::Handle::current());
        let rates = [(Currency::Usd, "50000".parse().unwrap()), (Currency::Eur, "40000".parse().unwrap())];
        let rates = Rates::fixed(&rates, RatesSettings::default(), clock.clone());
        let guard = Guard::offline(GuardSettings::default());
        let budget = Arc::new(Budget::per_minute(0));
        let quiet = LimitSettings {
            enabled: false,
            window: Duration::from_secs(60),
            write: 0,
            read: 0,
            key_write: 0,
            key_read: 0,
        };
        let limits = Arc::new(Limits::new(quiet));
        let proxies = Arc::new(Proxies::default());
        let l402 = L402::new(l402::Parts {
            ledger: ledger.clone(),
            node: asked.clone(),
            rules: l402::Rules::from_config(config),
            token_keys: l402::TokenKeys::new(&[7; 32]),
            notifier: l402_teller,
            proxies: Arc::clone(&proxies),
            per_client: Arc::clone(&limits),
            budget: Arc::clone(&budget),
        });
        let payments = Payments::with_sessions(
            payments::Parts {
                ledger: ledger.clone(),
                node: asked.clone(),
                rules: payments::Rules::from_config(config),
                guard,
                notifier: payments_teller,
                rates: rates.clone(),
                budget: Arc::clone(&budget),
            },
            Arc::new(ChallengeSessions(l402.clone())),
        );
        let content = Content::from_config(config, l402.clone());
        let (documents, _) = crate::services::content::api::router(content.clone(), &limits, &proxies);
        let paid_proxies = PaidProxies::new(proxy::Parts {
            store: store.clone(),
            clock: clock.clone(),
            challenger: l402.clone(),
            rules: proxy::Rules::from_config(config),
            quotas: Arc::clone(&limits),
            targets: proxy::Targets::new(GuardSettings::default()),
        })
        .unwrap();
        let shop = Shop::new(Parts {
            ledger: ledger.clone(),
            node: asked,
            rules,
            rates: rates.clone(),
            notifier,
            credentials: Arc::new(OrderCredentials(l402.clone())),
            elsewhere: Arc::new(Besides {
                content,
                proxies: paid_proxies,
                l402: l402.clone(),
                rates,
                public_url: config.http.public_url.trim_end_matches('/').into(),
            }),
            budget,
            mail,
            shopify: ShopifyShops::from_config(&config.shop.shopify, &loopback(), &clock).unwrap(),
        });
        let keys = Keys::new(store);
        let (router, _) = api::router(shop.clone(), &limits, &proxies);
        let router = router.layer(from_fn_with_state(keys.clone(), recognise));
        Self {
            shop,
            ledger,
            sim,
            node,
            clock,
            keys,
            payments,
            l402,
            turn: Mutex::default(),
            router,
            documents,
            _folder: folder,
        }
    }

    pub(super) async fn create(&self, slug: &str, asked: &Value) {
        let asked: StoreRequest = serde_json::from_str(&asked.to_string()).unwrap();
        self.shop.create(slug.into(), asked).await.unwrap();
    }

    pub(super) async fn set(&self, slug: &str, asked: &Value) {
        let asked: StoreRequest = serde_json::from_str(&asked.to_string()).unwrap();
        self.shop.change(slug.into(), asked).await.unwrap();
    }

    /// Puts a product with one variant into a store; the variant's id.
    pub(super) async fn product(&self, slug: &str, handle: &str, price: &str, stock: Option<i64>) -> i64 {
        self.put(slug, &json!({
            "handle": handle, "title": handle, "images": ["https://img.example/a.jpg"],
            "variants": [{ "title": "Blue", "sku": format!("{handle}-b"), "price": price, "stock": stock }],
        }))
        .await
        .first()
        .copied()
        .unwrap()
    }

    /// Puts a product into a store; its variants' ids.
    pub(super) async fn put(&self, slug: &str, product: &Value) -> Vec<i64> {
        let asked: ProductRequest = serde_json::from_str(&product.to_string()).unwrap();
        StoreAdmin::put(&self.shop, slug.into(), vec![asked]).await.unwrap();
        let handle = product["handle"].as_str().unwrap().to_owned();
        self.ledger
            .store
            .read(move |connection| -> Result<_, StoreError> {
                let mut statement = connection.prepare(
                    "SELECT v.id FROM shop_variants v JOIN shop_products p ON p.id = v.product_id
                     WHERE p.handle = ?1 ORDER BY v.id",
                )?;
                Ok(statement.query_map([handle], |row| row.get(0))?.collect::<Result<Vec<i64>, _>>()?)
            })
            .await
            .unwrap()
    }

    pub(super) async fn stock(&self, variant: i64) -> Option<i64> {
        let read = self.ledger.store.read(move |connection| -> Result<_, StoreError> {
            Ok(connection
                .query_row("SELECT stock FROM shop_variants WHERE id = ?1", [variant], |row| row.get(0))?)
        });
        read.await.unwrap()
    }

    /// A document that is sold, with a credential.
    pub(super) async fn document(&self, slug: &str, credential: &str) -> Answer {
        let path = format!("/api/l402/content/{slug}");
        call(&self.documents, "GET", &path, "", &[("authorization", credential)]).await
    }

    pub(super) async fn send(
        &self,
        method: &str,
        path: &str,
        body: &str,
        headers: &[(&str, &str)],
    ) -> Answer {
        call(&self.router, method, path, body, headers).await
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, "", &[]).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, &body.to_string(), &[]).await
    }

    pub(super) async fn checkout(&self, slug: &str, items: &Value, headers: &[(&str, &str)]) -> Answer {
        let body = json!({ "items": items }).to_string();
        self.send("POST", &format!("/api/shopify/{slug}/checkout"), &body, headers).await
    }

    /// One piece of a variant, asked for.
    pub(super) async fn ask(&self, slug: &str, variant: i64) -> Value {
        self.checkout(slug, &one(variant), &[]).await.asked()
    }

    /// The same, paid; what the paid request answers.
    pub(super) async fn buy(&self, slug: &str, variant: i64) -> Value {
        let asked = self.ask(slug, variant).await;
        self.pay(&asked);
        self.bought(slug, &one(variant), &asked).await
    }

    /// The paid request again.
    pub(super) async fn bought(&self, slug: &str, items: &Value, asked: &Value) -> Value {
        let credential = self.credential(asked);
        self.checkout(slug, items, &[("authorization", &credential)]).await.ok()
    }

    pub(super) fn credential(&self, asked: &Value) -> String {
        format!("L402 {}:{}", asked["macaroonBase64"].as_str().unwrap(), self.preimage(asked))
    }

    /// What the payer learns by paying.
    pub(super) fn preimage(&self, asked: &Value) -> String {
        let hash = charges::hash_of(&invoice(asked));
        let read = self.ledger.store.read_blocking(move |connection| -> Result<_, StoreError> {
            Ok(connection.query_row(
                "SELECT hex(unseal(preimage)) FROM charges WHERE payment_hash = ?1",
                [hash],
                |row| row.get::<_, String>(0),
            )?)
        });
        read.unwrap().to_lowercase()
    }

    pub(super) fn pay(&self, asked: &Value) {
        let invoice = invoice(asked);
        self.pay_msat(&invoice, invoice.amount_milli_satoshis().unwrap());
    }

    /// Pays a session for a document or a service, whose payment is not held; the credential that it buys.
    pub(super) fn pay_session(&self, session: &Value) -> String {
        let invoice = invoice(session);
        self.sim.receive(&invoice, Msat::new(invoice.amount_milli_satoshis().unwrap()).unwrap());
        self.drain();
        let preimage = self.node.preimages.lock().unwrap()[&charges::hash_of(&invoice)];
        format!("L402 {}:{preimage}", session["macaroon"].as_str().unwrap())
    }

    pub(super) fn pay_msat(&self, invoice: &Bolt11Invoice, msat: u64) {
        assert!(self.sim.hold(invoice, Msat::new(msat).unwrap()));
        self.drain();
    }

    pub(super) fn drain(&self) {
        tokio::task::block_in_place(|| {
            let _turn = self.turn.lock().unwrap();
            while events::step(&self.ledger, Duration::ZERO).unwrap() {}
        });
    }

    /// Everything that is queued is sent, and arrives or not.
    pub(super) fn dispatch(&self, invoice: &Bolt11Invoice, arrives: bool) {
        tokio::task::block_in_place(|| Dispatcher::default().round(&self.ledger).unwrap());
        self.sim.resolve(charges::hash_of(invoice), arrives, Msat::ZERO);
        self.drain();
    }

    /// An account's balance in sat, after an audit that finds nothing.
    #[track_caller]
    pub(super) fn has(&self, account: &str) -> u64 {
        let audit = tokio::task::block_in_place(|| audit::audit(&self.ledger).unwrap());
        assert_eq!(audit.problems, Vec::<String>::new());
        let account = account.to_owned();
        let balance = self.ledger.store.read_blocking(move |connection| {
            let id = accounts::by_name(connection, &account)?.unwrap();
            accounts::balance(connection, id)
        });
        balance.unwrap().available.sat_floor()
    }

    /// A ledger account, debit positive, in sat.
    pub(super) fn booked(&self, account: &str) -> i64 {
        let audit = tokio::task::block_in_place(|| audit::audit(&self.ledger).unwrap());
        audit.accounts.iter().find(|row| row.account == account).unwrap().msat / 1_000
    }

    /// The seller's account wants webhooks; its key.
    pub(super) async fn seller(&self) -> String {
        let made = self.keys.create("test", &[Scope::Payments], Some("mugs")).await.unwrap();
        let account = self.keys.account("mugs").await.unwrap().unwrap();
        let raw = axum::body::Bytes::from_static(br#"{"webhookUrl":"https://1.1.1.1/hook"}"#);
        let mut headers = HeaderMap::new();
        headers.insert("content-type", "application/json".parse().unwrap());
        let body = crate::http::body::JsonObject::parse(&headers, raw).unwrap();
        let change = payments::merchant::Change::read(&body).unwrap();
        self.payments.set_merchant(account, change).await.unwrap();
        made.1.expose().to_owned()
    }

    /// What is in the outbox: kind, payload.
    pub(super) fn told(&self) -> Vec<(String, Value)> {
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

pub(super) fn mugs() -> Value {
    json!({
        "name": "Mugs & More", "description": "Mugs", "country": "US", "state": "CA", "currency": "USD",
        "shipping": [{ "country": "US", "price": "5.00" }, { "country": "US", "state": "HI", "price": "12.50" }],
        "taxes": [{ "country": "US", "state": "CA", "percent": "7.25" }],
        "free_from": "100",
    })
}

pub(super) fn one(variant: i64) -> Value {
    json!([{ "variantId": variant, "quantity": 1 }])
}

pub(super) fn invoice(asked: &Value) -> Bolt11Invoice {
    asked["invoice"].as_str().unwrap().parse().unwrap()
}

pub(super) fn claim(token: &Value) -> Value {
    json!({
        "claimToken": token,
        "email": "ada@example.com",
        "shippingAddress": {
            "firstName": "Ada", "lastName": "Lovelace", "address1": "1 Main St", "address2": null,
            "city": "San Francisco", "province": "CA", "zip": "94107", "country": "US"
        }
    })
}

async fn call(router: &Router, method: &str, path: &str, body: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::from(body.to_owned())).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    Answer { status, headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
}
