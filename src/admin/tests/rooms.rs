//! A node in memory that does what it is told, the services behind the traits, and a router around them.

use std::sync::Mutex;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use bitcoin::hashes::{Hash, sha256};
use bitcoin::secp256k1::{PublicKey, Secp256k1, SecretKey};
use bitcoin::{Network, Txid};
use lightning_invoice::{Bolt11Invoice, Currency, InvoiceBuilder, PaymentSecret};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::super::*;
use crate::core::ids::{AccountId, PaymentHash, Preimage};
use crate::core::money::Msat;
use crate::core::time::Clock;
use crate::http::audit_log::Act;
use crate::http::idempotency::IdempotencyKey;
use crate::http::keys::{Caller, KeyId, Scope};
use crate::ledger::by_hand::Found;
use crate::ledger::{PayoutStatus, payout_list};
use crate::lightning::{
    Balances, Channel, ChannelOrder, ChannelRoom, CoinDispatch, CoinFate, CoinOrder, CoinRecord, Dispatch,
    Holdings, InvoiceError, InvoiceRequest, Lightning, NodeEvent, NodeStatus, Offer, OfferDispatch, OfferKey,
    OfferOrder, OfferRecord, OfferRequest, Operator, OperatorError, Outbound, PaymentRecord, Peer,
    SendingRoom, Spent, Standing, Waiting,
};
use crate::rates::RatesSettings;
use crate::storage::export::{Place, Span};

#[derive(Default)]
pub(super) struct FakeNode {
    pub(super) running: bool,
    pub(super) opened: Mutex<Vec<ChannelOrder>>,
}

pub(super) fn node_id() -> PublicKey {
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
    fn create_offer(&self, _: &OfferRequest) -> Result<Offer, InvoiceError> {
        Err(InvoiceError::NotRunning)
    }
    fn claim(&self, _: PaymentHash, _: Msat, _: Preimage) -> Result<(), String> {
        Ok(())
    }
    fn refuse(&self, _: PaymentHash) -> Result<(), String> {
        Ok(())
    }
    fn waiting(&self) -> Vec<Waiting> {
        Vec::new()
    }
    fn pay(&self, _: &Bolt11Invoice, _: Msat, _: Msat) -> Dispatch {
        Dispatch::Sent
    }
    fn pay_to_offer(&self, _: &OfferOrder) -> OfferDispatch {
        OfferDispatch::Sent([0; 32])
    }
    fn offer_record(&self, _: OfferKey<'_>) -> Option<OfferRecord> {
        None
    }
    fn forget_unsent_offers(&self, _: &str) -> Result<(), String> {
        Ok(())
    }
    fn has_trace_of(&self, _: OfferKey<'_>) -> Result<bool, &'static str> {
        Ok(false)
    }
    fn forget(&self, _: PaymentHash) -> Result<(), String> {
        Ok(())
    }
    fn standings(&self, payments: &[Outbound]) -> Vec<Standing> {
        vec![Standing::Unclear("there is no node"); payments.len()]
    }
    fn left(&self, _: PaymentHash, _: Msat) -> Option<Msat> {
        None
    }
    fn record(&self, _: PaymentHash) -> Option<PaymentRecord> {
        None
    }
    fn succeeded_since(&self, _: u64) -> Vec<PaymentRecord> {
        Vec::new()
    }
    fn sending_room(&self) -> Vec<SendingRoom> {
        Vec::new()
    }
    fn channel_rooms(&self) -> Vec<ChannelRoom> {
        Vec::new()
    }
    fn channels_settled(&self) -> bool {
        true
    }
    fn next_event(&self, _: Duration) -> Option<NodeEvent> {
        None
    }
    fn event_handled(&self) {}
    fn send_coins(&self, _: &CoinOrder) -> CoinDispatch {
        CoinDispatch::NotSent("no coins".into())
    }
    fn coin_fee_rate(&self) -> Result<u64, String> {
        Ok(250)
    }
    fn wallet_coins(&self) -> Result<Vec<u64>, String> {
        Ok(Vec::new())
    }
    fn coin_fate(&self, _: &CoinOrder, _: Option<Txid>) -> Result<CoinFate, String> {
        Ok(CoinFate::Unseen)
    }
    fn coin_record(&self, _: &CoinOrder, _: Option<Txid>) -> Result<Option<CoinRecord>, String> {
        Ok(None)
    }
    fn block_height(&self) -> u32 {
        101
    }
    fn balances(&self) -> Balances {
        Balances { outbound_msat: 5_000_000, ..Balances::default() }
    }
    fn holdings(&self) -> Result<Holdings, String> {
        Err("there is no node".into())
    }

    fn spent_by(&self, _txid: Txid) -> Result<Option<Vec<Spent>>, String> {
        Ok(None)
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

/// The services behind the traits.
struct Rooms;

fn view(id: &str, status: &str) -> PayoutView {
    PayoutView {
        id: id.into(),
        status: status.into(),
        payment_hash: Some(PaymentHash([1; 32])),
        amount_msat: 1_000,
        max_fee_msat: 10_000,
        fee_msat: None,
        left_msat: None,
        preimage: None,
        error: None,
    }
}

impl Money for Rooms {
    fn pay(&self, order: PayOrder, _: Act) -> BoxFuture<'_, Result<PayoutView, AdminError>> {
        let mut answer = view("p1", "queued");
        let asked = match &order.to {
            PayTo::Invoice(invoice) => invoice.amount_milli_satoshis(),
            PayTo::Target(_) => None,
        };
        answer.amount_msat = asked.or(order.amount.map(Msat::get)).unwrap_or_default();
        answer.max_fee_msat = order.max_fee.unwrap_or_default().get();
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

impl PayoutAdmin for Rooms {
    fn list(&self, page: PayoutPage) -> BoxFuture<'_, Result<Value, AdminError>> {
        let (status, before) =
            (page.status.map(PayoutStatus::name), page.before.map(payout_list::Place::to_text));
        Box::pin(async move {
            let asked =
                json!({ "limit": page.limit, "status": status, "held": page.held_secs, "since": page.since });
            Ok(json!({ "payouts": [asked], "next": before }))
        })
    }
    fn show(&self, id: String) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move { Ok(json!({ "id": id, "history": [] })) })
    }
    fn settle(
        &self,
        id: String,
        found: Found,
        has_proof: bool,
        _: Act,
    ) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move {
            match found {
                Found::Paid { fee, .. } => Ok(json!({ "id": id, "status": "paid", "fee": fee.get() })),
                Found::Failed if has_proof => Ok(json!({ "id": id, "status": "failed" })),
                Found::Failed => Err(AdminError::Refused("still under way".into())),
            }
        })
    }
}

impl SuspenseAdmin for Rooms {
    fn list(&self, after: i64, limit: u32) -> BoxFuture<'_, Result<Vec<Value>, AdminError>> {
        Box::pin(async move { Ok(vec![json!({ "after": after, "limit": limit })]) })
    }
    fn settle(&self, id: i64, to: Recipient, _: Act) -> BoxFuture<'_, Result<Value, AdminError>> {
        let to = match to {
            Recipient::Operator => "operator".to_owned(),
            Recipient::Account(name) => name,
            Recipient::Invoice(_) => "invoice".to_owned(),
        };
        Box::pin(async move { Ok(json!({ "id": id, "to": to })) })
    }
}

impl ExportAdmin for Rooms {
    fn part(
        &self,
        kind: TableKind,
        span: Span,
        place: Option<Place>,
    ) -> BoxFuture<'_, Result<Value, AdminError>> {
        let next = place.map(Place::to_text);
        Box::pin(async move { Ok(json!({ "kind": format!("{kind:?}"), "from": span.from, "next": next })) })
    }
}

impl KeyAdmin for Rooms {
    fn create(&self, key: NewKey, _: Act) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move {
            Ok(json!({ "key": "satchel_x", "id": "1", "name": key.name, "scopes": key.scopes }))
        })
    }
    fn list(&self, _: i64, _: u32) -> BoxFuture<'_, Result<Vec<Value>, AdminError>> {
        Box::pin(async { Ok(vec![json!({ "id": "1" })]) })
    }
    fn rotate(
        &self,
        id: String,
        overlap_secs: u64,
        _: Act,
    ) -> BoxFuture<'_, Result<Option<Value>, AdminError>> {
        Box::pin(async move { Ok((id == "1").then(|| json!({ "id": "1", "overlap": overlap_secs }))) })
    }
    fn revoke(&self, id: String, _: Act) -> BoxFuture<'_, Result<bool, AdminError>> {
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

impl WebhookAdmin for Rooms {
    fn list(&self, page: PageRequest, parked: bool) -> BoxFuture<'_, Result<Vec<Value>, AdminError>> {
        Box::pin(
            async move { Ok(vec![json!({ "limit": page.limit, "before": page.before, "parked": parked })]) },
        )
    }
    fn replay(&self, id: String) -> BoxFuture<'_, Result<(), AdminError>> {
        let known = (id == "msg_1").then_some(());
        Box::pin(async move { known.ok_or_else(|| AdminError::NotFound("no webhook".into())) })
    }
}

impl TipAdmin for Rooms {
    fn list(&self, page: PageRequest) -> BoxFuture<'_, Result<Vec<Value>, AdminError>> {
        Box::pin(async move { Ok(vec![json!({ "limit": page.limit, "before": page.before })]) })
    }
    fn show(&self, id: String) -> BoxFuture<'_, Result<Option<Value>, AdminError>> {
        Box::pin(async move { Ok((id == "t").then(|| json!({ "id": "t" }))) })
    }
    fn create(&self, order: TipOrder) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move { Ok(json!({ "amount_sat": order.amount_sat, "names": order.tippee_names })) })
    }
    fn reclaim(&self, id: String, force: bool, _: Act) -> BoxFuture<'_, Result<Option<usize>, AdminError>> {
        Box::pin(async move {
            match id.as_str() {
                "t" if force => Ok(Some(1)),
                "t" => Err(AdminError::Refused("somebody has claimed it".into())),
                _ => Ok(None),
            }
        })
    }
}

impl ProxyAdmin for Rooms {
    fn create(&self, asked: serde_json::Map<String, Value>) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move { Ok(json!({ "asked": asked })) })
    }
    fn list(&self, asked: ProxyPage) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move { Ok(json!({ "page": asked.page, "size": asked.page_size })) })
    }
    fn price(&self, id: String, asked: ProxyPrice) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move { Ok(json!({ "id": id, "asked": asked })) })
    }
    fn retire(&self, id: String, reason: Option<String>) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move { Ok(json!({ "id": id, "reason": reason })) })
    }
}

impl PaymentAdmin for Rooms {
    fn export(&self, asked: ExportRequest) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move { Ok(json!({ "csv": "", "lines": 0, "next": asked.after })) })
    }
}

impl CoinAdmin for Rooms {
    fn send(&self, order: SendOrder, _: Act) -> BoxFuture<'_, Result<Value, AdminError>> {
        let amount = order.amount.map(Msat::sat_floor);
        Box::pin(async move { Ok(json!({ "id": 1, "amount": amount, "rate": order.sat_per_vb })) })
    }
    fn show(&self, id: i64) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move { Ok(json!({ "id": id, "status": "sent" })) })
    }
    fn list(&self, _: i64, _: u32) -> BoxFuture<'_, Result<Vec<Value>, AdminError>> {
        Box::pin(async move { Ok(vec![json!({ "id": 1 })]) })
    }
    fn settle(
        &self,
        id: i64,
        paid_by: Option<Txid>,
        _: bool,
        _: Act,
    ) -> BoxFuture<'_, Result<String, AdminError>> {
        Box::pin(async move {
            match id {
                1 => Ok(if paid_by.is_some() { "paid" } else { "failed" }.into()),
                _ => Err(AdminError::NotFound("no coins with this id".into())),
            }
        })
    }
}

impl AccountAdmin for Rooms {
    fn list(&self, after: String) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move { Ok(json!({ "accounts": [{ "account": "shop" }], "after": after })) })
    }
    fn show(&self, name: String) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move {
            let known = (name == "my shop").then(|| json!({ "account": name }));
            known.ok_or_else(|| AdminError::NotFound("no account".into()))
        })
    }
    fn statement(&self, _: String, asked: StatementRequest) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move { Ok(json!({ "lines": [], "from": asked.from })) })
    }
    fn table(&self, _: String, asked: TableRequest) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move { Ok(json!({ "csv": "", "next": asked.after })) })
    }
    fn withdraw(
        &self,
        _: String,
        asked: WithdrawRequest,
        once: Option<IdempotencyKey>,
    ) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move {
            Ok(json!({ "target": asked.target, "amount": asked.amount_sat, "once": once.is_some() }))
        })
    }
    fn withdrawal(&self, id: String) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move { Ok(json!({ "withdrawalId": id })) })
    }
    fn settle(&self, id: String, paid: bool) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move { Ok(json!({ "withdrawalId": id, "paid": paid })) })
    }
    fn sweep(&self, _: String, asked: SweepRequest) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move { Ok(json!({ "target": asked.target, "min_sat": asked.min_sat })) })
    }
    fn limit_key(&self, key: i64, _: Option<u64>) -> BoxFuture<'_, Result<bool, AdminError>> {
        Box::pin(async move { Ok(key == 1) })
    }
}

impl PurseAdmin for Rooms {
    fn create(&self, new: NewPurse, _: Act) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move { Ok(json!({ "key": "satchel_k", "name": new.name, "hosts": new.hosts })) })
    }
    fn list(&self, before: Option<i64>) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move { Ok(json!({ "purses": [], "before": before })) })
    }
    fn show(&self, name: String) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move { Ok(json!({ "purse": { "name": name } })) })
    }
    fn top_up(&self, name: String, sat: u64, _: Act) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move { Ok(json!({ "name": name, "leftSat": sat })) })
    }
    fn revoke(&self, name: String, _: Act) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move { Ok(json!({ "revoked": name })) })
    }
}

impl StoreAdmin for Rooms {
    fn create(&self, slug: String, asked: StoreRequest) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move { Ok(json!({ "slug": slug, "currency": asked.currency })) })
    }
    fn change(&self, slug: String, asked: StoreRequest) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move { Ok(json!({ "slug": slug, "active": asked.active })) })
    }
    fn list(&self, after: String) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move { Ok(json!({ "stores": [], "after": after })) })
    }
    fn show(&self, slug: String) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move { Ok(json!({ "slug": slug })) })
    }
    fn sync(&self, slug: String) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move { Ok(json!({ "slug": slug, "running": false })) })
    }
    fn put(&self, slug: String, products: Vec<ProductRequest>) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move { Ok(json!({ "slug": slug, "products": products.len() })) })
    }
    fn products(&self, slug: String, after: i64) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move { Ok(json!({ "slug": slug, "after": after })) })
    }
    fn variant(&self, _: String, id: i64, asked: VariantChange) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move { Ok(json!({ "id": id, "stock": asked.stock })) })
    }
    fn orders(&self, slug: String, asked: OrdersRequest) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move { Ok(json!({ "slug": slug, "status": asked.status })) })
    }
    fn order(&self, id: String) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move { Ok(json!({ "orderId": id })) })
    }
    fn ship(&self, id: String, asked: ShipRequest) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move { Ok(json!({ "orderId": id, "number": asked.number })) })
    }
    fn cancel(&self, id: String) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move { Ok(json!({ "orderId": id })) })
    }
    fn forget(&self, id: String) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move { Ok(json!({ "orderId": id })) })
    }
}

impl SignupAdmin for Rooms {
    fn forget_email(&self, account: String, _: Act) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move { Ok(json!({ "account": account, "forgotten": true })) })
    }
}

impl L402Admin for Rooms {
    fn sold(&self, asked: SoldRequest) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move { Ok(json!({ "payments": 0, "account": asked.account })) })
    }
}

pub(super) struct Fixture {
    router: Router,
    pub(super) node: Arc<FakeNode>,
    pub(super) health: Health,
    _folder: tempfile::TempDir,
}

pub(super) fn fixture(running: bool) -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let node = Arc::new(FakeNode { running, ..FakeNode::default() });
    let health = Health::new();
    let rooms = Arc::new(Rooms);
    let store = Store::open_in_test(&folder.path().join("satchel.db")).unwrap();
    let state = AdminState {
        acts: Acts::new(store.clone(), Clock::system()),
        node: Node::new(Arc::clone(&node), tokio::runtime::Handle::current()),
        store,
        config: Arc::new(Config { network: Network::Regtest, ..Config::default() }),
        health: health.clone(),
        clients: Arc::default(),
        rates: Rates::fixed(&[], RatesSettings::default(), Clock::system()),
        audit: Arc::new(|| Box::pin(async { Ok(json!({ "clean": true })) })),
        solvency: Arc::new(|| Box::pin(async { Ok(json!({ "free_msat": 7_000 })) })),
        relays: Arc::new(|| Box::pin(async { Ok(json!([{ "url": "wss://a.example", "waiting": 2 }])) })),
        money: Arc::<Rooms>::clone(&rooms),
        payouts: Arc::<Rooms>::clone(&rooms),
        exports: Arc::<Rooms>::clone(&rooms),
        suspense: Arc::<Rooms>::clone(&rooms),
        keys: Arc::<Rooms>::clone(&rooms),
        gifts: Arc::<Rooms>::clone(&rooms),
        tips: Arc::<Rooms>::clone(&rooms),
        payments: Arc::<Rooms>::clone(&rooms),
        l402: Arc::<Rooms>::clone(&rooms),
        proxies: Arc::<Rooms>::clone(&rooms),
        webhooks: Arc::<Rooms>::clone(&rooms),
        coins: Arc::<Rooms>::clone(&rooms),
        accounts: Arc::<Rooms>::clone(&rooms),
        signups: Arc::<Rooms>::clone(&rooms),
        purses: Arc::<Rooms>::clone(&rooms),
        stores: rooms,
    };
    let caller = Caller { key: KeyId(1), account: AccountId(1), scopes: Arc::new([Scope::Admin]) };
    let router = router(state).layer(axum::Extension(caller));
    Fixture { router, node, health, _folder: folder }
}

impl Fixture {
    pub(super) async fn ask(&self, method: &str, path: &str, body: Value) -> (StatusCode, Value) {
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let request = Request::builder().method(method).uri(format!("/admin/v1/{path}")).body(body).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap())
    }

    pub(super) async fn refused(
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

pub(super) fn invoice(currency: Currency, msat: Option<u64>) -> String {
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
