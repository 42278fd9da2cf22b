//! Through the router, with a node in memory that does what it is told.

use std::sync::Mutex;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use bitcoin::Network;
use bitcoin::hashes::{Hash, sha256};
use bitcoin::secp256k1::{PublicKey, Secp256k1, SecretKey};
use lightning_invoice::{Bolt11Invoice, Currency, InvoiceBuilder, PaymentSecret};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;
use crate::ids::PaymentHash;
use crate::lightning::{
    Balances, Channel, ChannelOrder, Dispatch, InvoiceError, InvoiceRequest, Lightning, NodeEvent,
    NodeStatus, Operator, OperatorError, PaymentRecord, Peer, SendingRoom,
};
use crate::money::Msat;
use crate::telemetry::Phase;

#[derive(Default)]
struct FakeNode {
    running: bool,
    opened: Mutex<Vec<ChannelOrder>>,
}

fn node_id() -> PublicKey {
    SecretKey::from_slice(&[7; 32]).unwrap().public_key(&Secp256k1::new())
}

impl Lightning for FakeNode {
    fn network(&self) -> Network {
        Network::Regtest
    }
    fn node_id(&self) -> Option<PublicKey> {
        Some(node_id())
    }
    fn is_running(&self) -> bool {
        self.running
    }
    fn create_invoice(&self, _: &InvoiceRequest) -> Result<Bolt11Invoice, InvoiceError> {
        Err(InvoiceError::NotRunning)
    }
    fn pay(&self, _: &Bolt11Invoice, _: Msat) -> Dispatch {
        Dispatch::Sent
    }
    fn forget(&self, _: PaymentHash) -> Result<(), String> {
        Ok(())
    }
    fn record(&self, _: PaymentHash) -> Option<PaymentRecord> {
        None
    }
    fn records_since(&self, _: u64) -> Vec<PaymentRecord> {
        Vec::new()
    }
    fn sending_room(&self) -> Vec<SendingRoom> {
        Vec::new()
    }
    fn channels_settled(&self) -> bool {
        true
    }
    fn next_event(&self, _: Duration) -> Option<NodeEvent> {
        None
    }
    fn event_handled(&self) {}
    fn block_height(&self) -> u32 {
        101
    }
    fn balances(&self) -> Balances {
        Balances { outbound_msat: 5_000_000, ..Balances::default() }
    }
}

impl Operator for FakeNode {
    fn status(&self) -> NodeStatus {
        NodeStatus {
            running: self.running,
            problem: (!self.running).then(|| "no chain".into()),
            node_id: Some(node_id()),
            network: Network::Regtest,
            block_height: 101,
            synced_at: Some(1_700_000_000),
            fees_at: None,
        }
    }
    fn new_address(&self) -> Result<String, OperatorError> {
        if self.running { Ok("bcrt1qaddress".into()) } else { Err(OperatorError::NotRunning) }
    }
    fn connect(&self, _: PublicKey, address: &str) -> Result<(), OperatorError> {
        if address.starts_with("dead") { Err(OperatorError::Refused("nobody there".into())) } else { Ok(()) }
    }
    fn peers(&self) -> Vec<Peer> {
        vec![Peer { node_id: node_id(), address: "a.b:9735".into(), connected: true, persisted: true }]
    }
    fn open_channel(&self, order: &ChannelOrder) -> Result<String, OperatorError> {
        self.opened.lock().unwrap().push(order.clone());
        Ok("17".into())
    }
    fn close_channel(&self, id: &str, _: bool) -> Result<(), OperatorError> {
        if id == "17" { Ok(()) } else { Err(OperatorError::UnknownChannel(id.into())) }
    }
    fn channels(&self) -> Vec<Channel> {
        Vec::new()
    }
    fn sync(&self) -> Result<(), OperatorError> {
        Ok(())
    }
}

/// The rooms behind the traits.
struct Rooms;

fn view(id: &str, status: &str) -> PayoutView {
    PayoutView {
        id: id.into(),
        status: status.into(),
        payment_hash: PaymentHash([1; 32]),
        amount_msat: 1_000,
        max_fee_msat: 10_000,
        fee_msat: None,
        preimage: None,
        error: None,
    }
}

impl Money for Rooms {
    fn pay(
        &self,
        invoice: Bolt11Invoice,
        max_fee: Option<Msat>,
    ) -> BoxFuture<'_, Result<PayoutView, AdminError>> {
        let mut answer = view("p1", "queued");
        answer.amount_msat = invoice.amount_milli_satoshis().unwrap();
        answer.max_fee_msat = max_fee.unwrap_or_default().get();
        Box::pin(async { Ok(answer) })
    }
    fn payout(&self, public_id: String) -> BoxFuture<'_, Result<Option<PayoutView>, AdminError>> {
        Box::pin(async move { Ok((public_id == "p1").then(|| view("p1", "paid"))) })
    }
    fn invoice(&self, request: InvoiceRequest) -> BoxFuture<'_, Result<Issued, AdminError>> {
        let issued = Issued {
            invoice: "lnbcrt1".into(),
            payment_hash: PaymentHash([2; 32]),
            amount_msat: request.amount.map(Msat::get),
            expires_at: request.expiry.as_secs(),
        };
        Box::pin(async { Ok(issued) })
    }
}

impl KeyAdmin for Rooms {
    fn create(&self, key: NewKey) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move {
            Ok(json!({ "key": "satchel_x", "id": "1", "name": key.name, "scopes": key.scopes }))
        })
    }
    fn list(&self) -> BoxFuture<'_, Result<Vec<Value>, AdminError>> {
        Box::pin(async { Ok(vec![json!({ "id": "1" })]) })
    }
    fn revoke(&self, id: String) -> BoxFuture<'_, Result<bool, AdminError>> {
        Box::pin(async move { Ok(id == "1") })
    }
}

impl GiftAdmin for Rooms {
    fn list(&self, page: PageRequest) -> BoxFuture<'_, Result<Vec<Value>, AdminError>> {
        Box::pin(async move { Ok(vec![json!({ "limit": page.limit, "before": page.before })]) })
    }
    fn show(&self, id: String) -> BoxFuture<'_, Result<Option<Value>, AdminError>> {
        Box::pin(async move { Ok((id == "g").then(|| json!({ "id": "g" }))) })
    }
}

struct Fixture {
    router: Router,
    node: Arc<FakeNode>,
    health: Health,
    _folder: tempfile::TempDir,
}

fn fixture(running: bool) -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let node = Arc::new(FakeNode { running, ..FakeNode::default() });
    let health = Health::new();
    let rooms = Arc::new(Rooms);
    let state = AdminState {
        node: Node::new(Arc::clone(&node), tokio::runtime::Handle::current()),
        store: Store::open(&folder.path().join("satchel.db")).unwrap(),
        config: Arc::new(Config { network: Network::Regtest, ..Config::default() }),
        health: health.clone(),
        audit: Arc::new(|| Box::pin(async { Ok(json!({ "clean": true })) })),
        money: Arc::<Rooms>::clone(&rooms),
        keys: Arc::<Rooms>::clone(&rooms),
        gifts: rooms,
    };
    Fixture { router: router(state), node, health, _folder: folder }
}

impl Fixture {
    async fn ask(&self, method: &str, path: &str, body: Value) -> (StatusCode, Value) {
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let request = Request::builder().method(method).uri(format!("/admin/v1/{path}")).body(body).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap())
    }

    async fn refused(
        &self,
        method: &str,
        path: &str,
        body: Value,
        status: StatusCode,
        code: &str,
        message: &str,
    ) {
        let (got, answer) = self.ask(method, path, body).await;
        assert_eq!(
            (got, answer["error"]["code"].as_str()),
            (status, Some(code)),
            "{method} {path}: {answer}"
        );
        assert!(answer["error"]["message"].as_str().unwrap().contains(message), "{answer}");
    }
}

fn invoice(currency: Currency, msat: Option<u64>) -> String {
    let hash = sha256::Hash::hash(&[3; 32]);
    let builder = InvoiceBuilder::new(currency)
        .description("x".into())
        .payment_hash(hash)
        .payment_secret(PaymentSecret([4; 32]))
        .current_timestamp()
        .min_final_cltv_expiry_delta(18);
    let key = SecretKey::from_slice(&[5; 32]).unwrap();
    let sign = |message: &bitcoin::secp256k1::Message| Secp256k1::new().sign_ecdsa_recoverable(message, &key);
    let invoice = match msat {
        Some(msat) => builder.amount_milli_satoshis(msat).build_signed(sign),
        None => builder.build_signed(sign),
    };
    invoice.unwrap().to_string()
}

#[tokio::test]
async fn the_node_tells_how_it_is() {
    let fixture = fixture(true);
    fixture.health.set(Phase::Ready);
    let (status, node) = fixture.ask("GET", "node", Value::Null).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(node["node_id"], node_id().to_string());
    assert_eq!(
        (&node["network"], &node["running"], &node["phase"]),
        (&json!("regtest"), &json!(true), &json!("ready"))
    );
    assert_eq!((&node["balances"]["outbound_msat"], &node["channels"]), (&json!(5_000_000), &json!(0)));
    assert_eq!((&node["problem"], &node["block_height"]), (&Value::Null, &json!(101)));
}

#[tokio::test]
async fn a_node_that_does_not_run_answers_what_it_can() {
    let fixture = fixture(false);
    let (status, node) = fixture.ask("GET", "node", Value::Null).await;
    assert_eq!(
        (status, &node["problem"], &node["phase"]),
        (StatusCode::OK, &json!("no chain"), &json!("starting"))
    );
    let unavailable = StatusCode::SERVICE_UNAVAILABLE;
    fixture.refused("POST", "address", Value::Null, unavailable, "unavailable", "satchel doctor").await;
}

#[tokio::test]
async fn channels_are_opened_and_closed() {
    let fixture = fixture(true);
    let mut order = json!({ "node_id": node_id(), "address": "a.b:9735", "amount_sat": 100_000 });
    let (status, answer) = fixture.ask("POST", "channels", order.clone()).await;
    assert_eq!((status, answer), (StatusCode::OK, json!({ "user_channel_id": "17" })));
    {
        let opened = fixture.node.opened.lock().unwrap();
        assert_eq!((opened[0].amount_sat, opened[0].push_sat, opened[0].announced), (100_000, 0, false));
    }
    let bad = StatusCode::BAD_REQUEST;
    for (key, value, message) in [
        ("node_id", json!("02"), "66 hex digits"),
        ("address", json!("a.b"), "host:port"),
        ("address", json!("::1:9735"), "host:port"),
        ("amount_sat", json!(0), "in sat"),
        ("amount_sat", json!(-5), "amount_sat"),
        ("push_sat", json!(100_000), "less than"),
        ("announced", json!(true), "node.listen"),
        ("size", json!(1), "unknown field"),
    ] {
        let before = order[key].take();
        order[key] = value;
        fixture.refused("POST", "channels", order.clone(), bad, "bad_request", message).await;
        if before.is_null() {
            order.as_object_mut().unwrap().remove(key);
        } else {
            order[key] = before;
        }
    }
    assert_eq!(fixture.ask("POST", "channels/17/close", Value::Null).await.0, StatusCode::OK);
    let (_, closed) = fixture.ask("POST", "channels/17/close", json!({ "force": true })).await;
    assert_eq!(closed, json!({ "closing": "17", "force": true }));
    let missing = StatusCode::NOT_FOUND;
    fixture
        .refused("POST", "channels/9/close", Value::Null, missing, "not_found", "satchel channel list")
        .await;
}

#[tokio::test]
async fn peers_are_connected() {
    let fixture = fixture(true);
    let peer = json!({ "node_id": node_id(), "address": "[::1]:9735" });
    assert_eq!(fixture.ask("POST", "peers", peer.clone()).await, (StatusCode::OK, peer));
    let dead = json!({ "node_id": node_id(), "address": "dead.host:1" });
    fixture.refused("POST", "peers", dead, StatusCode::CONFLICT, "refused", "nobody there").await;
    assert_eq!(fixture.ask("GET", "peers", Value::Null).await.1["peers"][0]["connected"], json!(true));
}

#[tokio::test]
async fn only_an_invoice_that_can_be_paid_reaches_the_ledger() {
    let fixture = fixture(true);
    let good = invoice(Currency::Regtest, Some(21_000));
    let (status, payout) = fixture.ask("POST", "pay", json!({ "invoice": good, "max_fee_sat": 3 })).await;
    assert_eq!((status, &payout["amount_msat"]), (StatusCode::OK, &json!(21_000)));
    assert_eq!((&payout["max_fee_msat"], &payout["status"]), (&json!(3_000), &json!("queued")));
    let link = format!("lightning:{}", good);
    assert_eq!(fixture.ask("POST", "pay", json!({ "invoice": link })).await.0, StatusCode::OK);
    let bad = StatusCode::BAD_REQUEST;
    for (text, message) in [
        ("lnbc1".to_owned(), "not a BOLT11 invoice"),
        (invoice(Currency::Bitcoin, Some(1_000)), "this node is on regtest"),
        (invoice(Currency::Regtest, None), "no amount"),
    ] {
        fixture.refused("POST", "pay", json!({ "invoice": text }), bad, "bad_request", message).await;
    }
    assert_eq!(fixture.ask("GET", "payouts/p1", Value::Null).await.1["status"], "paid");
    let missing = StatusCode::NOT_FOUND;
    fixture.refused("GET", "payouts/p2", Value::Null, missing, "not_found", "no payout").await;
}

#[tokio::test]
async fn invoices_have_an_amount_or_leave_it_open() {
    let fixture = fixture(true);
    let (_, issued) = fixture.ask("POST", "invoice", json!({ "amount_sat": 5 })).await;
    assert_eq!((&issued["amount_msat"], &issued["expires_at"]), (&json!(5_000), &json!(3_600)));
    assert_eq!(fixture.ask("POST", "invoice", Value::Null).await.1["amount_msat"], Value::Null);
    let bad = StatusCode::BAD_REQUEST;
    for (body, message) in [
        (json!({ "amount_sat": 0 }), "at least 1"),
        (json!({ "amount_sat": u64::MAX }), "than there is bitcoin"),
        (json!({ "description": "ä".repeat(320) }), "639"),
        (json!({ "expiry_secs": 0 }), "expiry_secs"),
        (json!({ "amount_sat": "5" }), "amount_sat"),
    ] {
        fixture.refused("POST", "invoice", body, bad, "bad_request", message).await;
    }
}

#[tokio::test]
async fn keys_are_made_listed_and_revoked() {
    let fixture = fixture(true);
    let (_, key) =
        fixture.ask("POST", "keys", json!({ "name": " shop ", "scopes": ["tips", "gifts", "gifts"] })).await;
    assert_eq!((&key["name"], &key["scopes"]), (&json!("shop"), &json!(["gifts", "tips"])));
    assert_eq!(fixture.ask("GET", "keys", Value::Null).await.1, json!({ "keys": [{ "id": "1" }] }));
    assert_eq!(fixture.ask("DELETE", "keys/1", Value::Null).await.1, json!({ "revoked": "1" }));
    fixture
        .refused("DELETE", "keys/2", Value::Null, StatusCode::NOT_FOUND, "not_found", "satchel key list")
        .await;
    let bad = StatusCode::BAD_REQUEST;
    fixture.refused("POST", "keys", json!({ "name": "", "scopes": ["a"] }), bad, "bad_request", "name").await;
    fixture.refused("POST", "keys", json!({ "name": "a", "scopes": [] }), bad, "bad_request", "scopes").await;
}

#[tokio::test]
async fn gifts_come_in_pages() {
    let fixture = fixture(true);
    let (_, page) = fixture.ask("GET", "gifts", Value::Null).await;
    assert_eq!(page, json!({ "gifts": [{ "limit": 50, "before": null }] }));
    let (_, page) = fixture.ask("GET", "gifts?limit=2&before=x", Value::Null).await;
    assert_eq!(page, json!({ "gifts": [{ "limit": 2, "before": "x" }] }));
    let bad = StatusCode::BAD_REQUEST;
    for query in ["limit=0", "limit=501", "limit=x", "page=2"] {
        fixture.refused("GET", &format!("gifts?{query}"), Value::Null, bad, "bad_request", "").await;
    }
    assert_eq!(fixture.ask("GET", "gifts/g", Value::Null).await.1, json!({ "id": "g" }));
    fixture.refused("GET", "gifts/h", Value::Null, StatusCode::NOT_FOUND, "not_found", "gift list").await;
}

#[tokio::test]
async fn the_rest_is_told_in_the_same_shape() {
    let fixture = fixture(true);
    assert_eq!(fixture.ask("GET", "audit", Value::Null).await.1, json!({ "clean": true }));
    assert_eq!(fixture.ask("POST", "sync", Value::Null).await.1["block_height"], 101);
    let missing = StatusCode::NOT_FOUND;
    fixture.refused("GET", "nothing", Value::Null, missing, "not_found", "no such path").await;
    let other = StatusCode::METHOD_NOT_ALLOWED;
    fixture.refused("DELETE", "node", Value::Null, other, "method_not_allowed", "method").await;
}

#[tokio::test]
async fn the_numbers_of_the_node_can_be_scraped() {
    crate::telemetry::metrics::install().unwrap();
    let node = Arc::new(FakeNode { running: true, ..FakeNode::default() });
    observe(&Node::new(node, tokio::runtime::Handle::current())).await.unwrap();
    let page = crate::telemetry::metrics::render();
    for line in ["satchel_chain_height 101", "satchel_node_running 1", "satchel_channels{state=\"usable\"} 0"]
    {
        assert!(page.contains(line), "no `{line}` in\n{page}");
    }
}
