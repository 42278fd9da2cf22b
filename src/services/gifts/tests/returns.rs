//! Expired gifts that go back by themselves.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use lightning_invoice::Bolt11Invoice;
use serde_json::json;

use super::test_app::{NOON, TestApp};
use crate::core::money::Msat;
use crate::lightning::sim::Sim;
use crate::vouchers::returns::{Resolve, Returns};
use crate::vouchers::upkeep::expire_due;

/// An address that gives a fresh invoice at each asking, or none.
struct Address {
    sim: Arc<Sim>,
    asked: AtomicUsize,
    answers: std::sync::atomic::AtomicBool,
    /// Its invoices ask for four days of holding.
    holds: std::sync::atomic::AtomicBool,
    given: Mutex<Vec<String>>,
}

impl Resolve for Address {
    fn invoice<'a>(&'a self, address: &'a str, amount: Msat) -> BoxFuture<'a, Result<Bolt11Invoice, String>> {
        assert_eq!(address, "me@wallet.example");
        self.asked.fetch_add(1, Ordering::SeqCst);
        if !self.answers.load(Ordering::SeqCst) {
            return std::future::ready(Err("away".to_owned())).boxed();
        }
        let (mut invoice, _) = self.sim.invoice(amount, Duration::from_secs(3_600));
        if self.holds.load(Ordering::SeqCst) {
            invoice = held_for(&invoice, 576);
        }
        self.given.lock().unwrap().push(invoice.to_string());
        std::future::ready(Ok(invoice)).boxed()
    }
}

/// The same invoice, but it may be held for so many blocks.
fn held_for(invoice: &Bolt11Invoice, blocks: u64) -> Bolt11Invoice {
    use bitcoin::secp256k1::{Secp256k1, SecretKey};
    let key = SecretKey::from_slice(&[0x42; 32]).unwrap();
    lightning_invoice::InvoiceBuilder::new(invoice.currency())
        .description("sim".into())
        .payment_hash(*invoice.payment_hash())
        .payment_secret(*invoice.payment_secret())
        .amount_milli_satoshis(invoice.amount_milli_satoshis().unwrap())
        .duration_since_epoch(invoice.duration_since_epoch())
        .min_final_cltv_expiry_delta(blocks)
        .expiry_time(invoice.expiry_time())
        .build_signed(|hash| Secp256k1::new().sign_ecdsa_recoverable(hash, &key))
        .unwrap()
}

/// An address is a recipient like any other: it can't have an invoice paid that may be held for days.
#[tokio::test(flavor = "multi_thread")]
async fn invoice_that_may_be_held_for_days_is_not_returned_to() {
    let post = post().await;
    post.address.holds.store(true, Ordering::SeqCst);
    assert_eq!(post.after(61).await, 0);
    assert_eq!(post.address.asked.load(Ordering::SeqCst), 1);
    post.address.holds.store(false, Ordering::SeqCst);
    assert_eq!(post.after(3_600).await, 1);
}

struct Post {
    app: TestApp,
    address: Arc<Address>,
    returns: Returns,
    created: serde_json::Value,
}

async fn post() -> Post {
    let app = TestApp::new();
    let address = Arc::new(Address {
        sim: Arc::clone(&app.sim),
        asked: AtomicUsize::new(0),
        answers: true.into(),
        holds: false.into(),
        given: Mutex::default(),
    });
    let returns = Returns {
        ledger: app.ledger.clone(),
        vouchers: app.vouchers.clone(),
        resolve: Arc::<Address>::clone(&address),
        max_fee: Arc::new(|_| Msat::from_sat(10).unwrap()),
    };
    let body = json!({
        "amount": 1000, "expiresAt": NOON / 1_000 + 60, "refundAddress": "me@wallet.example",
        "notify": "https://a.example/x",
    });
    let created = app.create(body).await;
    app.fund(&created);
    Post { app, address, returns, created }
}

impl Post {
    async fn after(&self, seconds: u64) -> usize {
        self.app.clock.advance(Duration::from_secs(seconds));
        expire_due(&self.app.ledger, &self.app.vouchers).await.unwrap();
        self.returns.round().await.unwrap()
    }

    async fn state(&self) -> String {
        let id = self.created["orderId"].as_str().unwrap();
        self.app.get(&format!("/gift/{id}")).await.ok()["state"].as_str().unwrap().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_redeemed_goes_back_once() {
    let post = post().await;
    assert_eq!(post.after(59).await, 0);
    assert_eq!(post.state().await, "open");
    assert_eq!(post.after(1).await, 1);
    assert_eq!(post.state().await, "returning");
    // While the payout lives nobody is asked again, however long it takes.
    for _ in 0..5 {
        assert_eq!(post.after(100_000).await, 0);
    }
    assert_eq!(post.address.asked.load(Ordering::SeqCst), 1);
    // It waited too long to be sent: so the dispatcher gives it up, and the next try begins.
    post.app.finish(true);
    assert_eq!(post.after(1).await, 1);
    post.app.finish(true);
    assert_eq!(post.state().await, "returned");
    let reached: Vec<_> =
        post.address.given.lock().unwrap().iter().map(|invoice| post.app.reached(invoice)).collect();
    assert_eq!(reached, [false, true]);
    assert_eq!(post.after(100_000).await, 0);
    let id = post.created["orderId"].as_str().unwrap();
    let key = post.created["manageKey"].as_str().unwrap();
    let shown = post.app.get(&format!("/gift/{id}/manage?key={key}")).await.ok();
    let events: Vec<_> =
        shown["history"].as_array().unwrap().iter().map(|entry| entry["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["created", "paid", "expired", "returning", "return_failed", "returning", "returned"]);
    assert!(post.app.outbox().is_empty());
    post.app.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_away_is_asked_less_and_less_often() {
    let post = post().await;
    post.address.answers.store(false, Ordering::SeqCst);
    post.after(60).await;
    let mut pauses = Vec::new();
    for _ in 0..9 {
        let before = post.address.asked.load(Ordering::SeqCst);
        let mut seconds = 0;
        while post.address.asked.load(Ordering::SeqCst) == before {
            post.after(30).await;
            seconds += 30;
        }
        pauses.push(seconds);
    }
    assert_eq!(pauses, [60, 60, 120, 240, 480, 960, 1_920, 3_840, 7_680]);
    assert_eq!(post.state().await, "expired");
    post.address.answers.store(true, Ordering::SeqCst);
    assert_eq!(post.after(24 * 3_600).await, 1);
    post.app.finish(true);
    assert_eq!(post.state().await, "returned");
    post.app.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_node_is_not_promised_what_it_can_t_do_yet() {
    let post = post().await;
    post.app.node.running.store(false, Ordering::SeqCst);
    assert_eq!(post.after(60).await, 0);
    assert_eq!(post.address.asked.load(Ordering::SeqCst), 0);
    post.app.node.running.store(true, Ordering::SeqCst);
    assert_eq!(post.after(1).await, 1);
}

/// A refund address that nothing can ever be paid to is refused when it is given, and the sender is told why.
#[tokio::test(flavor = "multi_thread")]
async fn refund_address_is_refused_with_the_true_reason_when_it_is_given() {
    let app = TestApp::new();
    for (address, reason) in [
        ("me@router.local", "local network"),
        ("me@abc.onion", "onion"),
        ("me@10.0.0.1", "not a public one"),
        ("me@wallet.example:25", "port"),
        ("lno1qcp4256ypq", "BOLT12 offer"),
        ("bitcoin:bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080?label=a@b.example", "bitcoin address"),
    ] {
        let answer = app.post("/create", &json!({"amount": 1000, "refundAddress": address})).await;
        let told = answer.json();
        assert_eq!((answer.status, &told["message"]), (400, &json!("REFUND_ADDRESS_BAD")), "{told}");
        assert!(told["reason"].as_str().is_some_and(|told| told.contains(reason)), "{address}: {told}");
    }
    let notify = app.post("/create", &json!({"amount": 1000, "notify": "https://a.example:25/x"})).await;
    assert_eq!((notify.status, &notify.json()["message"]), (400, &json!("NOTIFY_BAD_URL")));
    assert!(notify.json()["reason"].as_str().is_some_and(|told| told.contains("port")), "{}", notify.text);
    for address in
        [" lightning:Me@Wallet.example\r\n", "\u{201c}me@wallet.example\u{201d}", "me@wal\u{200b}let.example"]
    {
        let made = app.create(json!({"amount": 1000, "refundAddress": address})).await;
        let path = format!(
            "/gift/{}/manage?key={}",
            made["orderId"].as_str().unwrap(),
            made["manageKey"].as_str().unwrap()
        );
        assert_eq!(app.get(&path).await.ok()["refundAddress"], "me@wallet.example", "{address:?}");
    }
}
