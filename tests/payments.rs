//! Payments on a real network: the document's own programs order one, customers pay, the shop is told; and the
//! process dies at each named point of a payment's way, and starts again: what came is credited once.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers fail it"
)]

mod common;

use std::collections::HashSet;
use std::time::Duration;

use common::payments::{Shop, Told};
use common::{RECOVERY, SOON, Scene, case, until};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::process::Command;

/// What the document's programs call, which is all that is changed in them.
const ORIGINAL: &str = "https://api.lightningenable.com";

/// The document's program, whole.
const JAVASCRIPT: &str = r"
async function createPayment(orderId, amount, currency) {
const response = await fetch('https://api.lightningenable.com/api/payments', {
method: 'POST',
headers: {
'X-API-Key': process.env.LIGHTNING_API_KEY,
'Content-Type': 'application/json'
},
body: JSON.stringify({ orderId, amount, currency })
});
if (!response.ok) {
throw new Error(`Payment failed: ${response.statusText}`);
}
return response.json();
}
// Usage
const payment = await createPayment('ORDER-123', 49.99, 'USD');
console.log('Lightning Invoice:', payment.lightningInvoice);
";

/// The document's function, which lost its indentation there and never says what `os` is; and a use of it.
const PYTHON: &str = r"
import os
import requests
def create_payment(order_id, amount, currency):
    response = requests.post(
        'https://api.lightningenable.com/api/payments',
        headers={
            'X-API-Key': os.environ['LIGHTNING_API_KEY'],
            'Content-Type': 'application/json'
        },
        json={
            'orderId': order_id,
            'amount': amount,
            'currency': currency
        }
    )
    response.raise_for_status()
    return response.json()

print('Lightning Invoice:', create_payment('ORDER-124', 49.99, 'USD')['lightningInvoice'])
";

/// What stands in the document's commands for an account's key and for a payment's id.
const KEY: &str = "le_merchant_abc123";
const INVOICE: &str = "inv_abc123def456";
const SYNCED: &str = "inv_abc123";

/// The document's commands: create, get, get by order, sync.
const CURL: [&str; 4] = [
    r#"curl -X POST https://api.lightningenable.com/api/payments \
-H "X-API-Key: le_merchant_abc123" \
-H "Content-Type: application/json" \
-d '{
"orderId": "ORDER-12345",
"amount": 49.99,
"currency": "USD",
"description": "Premium Subscription"
}'"#,
    r#"curl https://api.lightningenable.com/api/payments/inv_abc123def456 \
-H "X-API-Key: le_merchant_abc123""#,
    r#"curl https://api.lightningenable.com/api/payments/order/ORDER-12345 \
-H "X-API-Key: le_merchant_abc123""#,
    r#"curl -X POST https://api.lightningenable.com/api/payments/inv_abc123/sync \
-H "X-API-Key: le_merchant_abc123""#,
];

/// A receiver's check; exit code 0 for a webhook that may be believed.
const CHECK: &str = r"
import hashlib, hmac, sys, time
secret, header, body = sys.argv[1:]
parts = dict(part.split('=', 1) for part in header.split(','))
expected = hmac.new(secret.encode(), (parts['t'] + '.' + body).encode(), hashlib.sha256).hexdigest()
sys.exit(0 if hmac.compare_digest(expected, parts['v1']) and abs(time.time() - int(parts['t'])) <= 300 else 1)";

/// Where a customer's payment can be cut off, and how many times the point is passed before.
#[cfg(feature = "failpoints")]
const PAYING: &[(&str, &[u32])] = &[
    ("charge.before_held_commit", &[0]),
    ("charge.after_held_commit", &[0]),
    ("charge.after_claim", &[0]),
    ("event.before_handled", &[0, 1]),
    ("event.after_handled", &[0, 1]),
    ("store.before_commit", &[0, 2, 4, 6]),
    ("store.after_commit", &[1, 3, 5]),
    ("webhook.after_post", &[0]),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_is_paid_and_told() {
    let scene = Scene::start("").await;
    let shop = Shop::open(&scene).await;
    case("the document's JavaScript", by_program(&scene, &shop, "node", "ORDER-123")).await;
    case("the document's Python", by_program(&scene, &shop, common::python(), "ORDER-124")).await;
    case("the document's commands", by_curl(&scene, &shop)).await;
    case("told again by hand", told_again(&scene, &shop)).await;
    case("20 at once", many(&scene, &shop)).await;
    case("nobody is there at first", starting(&scene, &shop)).await;
    assert_eq!(scene.channels_closed().await, 0);
    scene.close().await;
}

#[cfg(feature = "failpoints")]
#[tokio::test(flavor = "multi_thread")]
async fn a_death_at_any_point_of_a_payment_credits_it_once() {
    let scene = Scene::start("").await;
    let shop = Shop::open(&scene).await;
    for (point, skips) in PAYING {
        for skip in *skips {
            case(&format!("paying, {point} after {skip}"), paying(&scene, &shop, point, *skip)).await;
        }
    }
    eprintln!("channels closed: {}", scene.channels_closed().await);
    scene.close().await;
}

/// Runs one of the document's programs with another base URL, and pays what it prints.
async fn by_program(scene: &Scene, shop: &Shop, program: &str, order: &str) {
    let (arguments, code) = match program {
        "node" => (&["--input-type=module", "-e"][..], JAVASCRIPT),
        _ => (&["-c"][..], PYTHON),
    };
    let code = code.replace(ORIGINAL, &shop.url);
    let ran =
        Command::new(program).args(arguments).arg(code).env("LIGHTNING_API_KEY", &shop.key).output().await;
    let packages = "install the packages nodejs, python3 and python3-requests";
    let ran = ran.unwrap_or_else(|error| panic!("{program}: {error}; {packages}"));
    let complaints = String::from_utf8_lossy(&ran.stderr);
    assert!(!complaints.contains("No module named 'requests'"), "this {program} has no requests; {packages}");
    assert!(ran.status.success(), "{complaints}");
    let said = String::from_utf8(ran.stdout).unwrap();
    let invoice = said.trim().strip_prefix("Lightning Invoice: ").unwrap();
    let made = shop.get(&format!("/api/payments/order/{order}")).await;
    assert_eq!((&made["lightningInvoice"], &made["status"]), (&json!(invoice), &json!("unpaid")));
    assert_eq!((&made["amount"], &made["currency"]), (&json!(49.99), &json!("USD")));
    paid_and_told(scene, shop, &made).await;
}

/// The document's commands for curl, one after the other.
async fn by_curl(scene: &Scene, shop: &Shop) {
    let run = async |command: &str, id: &str| -> Value {
        let own = command.replace(ORIGINAL, &shop.url).replace(KEY, &shop.key);
        let own = own.replace(INVOICE, id).replace(SYNCED, id);
        let ran = Command::new("sh").args(["-c", &own]).output().await.unwrap();
        assert!(ran.status.success(), "curl must be installed: {}", String::from_utf8_lossy(&ran.stderr));
        serde_json::from_slice(&ran.stdout).unwrap()
    };
    let [create, one, by_order, sync] = CURL;
    let made = run(create, "").await;
    let id = text(&made, "invoiceId");
    assert_eq!((&made["orderId"], &made["status"]), (&json!("ORDER-12345"), &json!("unpaid")));
    assert_eq!(run(one, id).await["lightningInvoice"], made["lightningInvoice"]);
    assert_eq!(run(by_order, id).await["invoiceId"], made["invoiceId"]);
    paid_and_told(scene, shop, &made).await;
    assert_eq!(run(sync, id).await["status"], "paid");
}

/// Pays, and checks what the shop sees and hears of it.
async fn paid_and_told(scene: &Scene, shop: &Shop, made: &Value) {
    let (id, invoice) = (text(made, "invoiceId"), text(made, "lightningInvoice"));
    scene.note_funding(0, invoice);
    scene.wallet(0).pay(invoice).await.unwrap();
    let paid = shop.wait(id, "paid", SOON).await;
    assert_eq!(paid["amountReceivedSats"], made["amountSats"]);
    let told = shop.wait_told(id, 1).await.remove(0);
    let news = told.json();
    assert_eq!((&news["event"], &news["data"]["paidAt"]), (&json!("payment.completed"), &paid["paidAt"]));
    believed(shop, &told).await;
}

async fn believed(shop: &Shop, told: &Told) {
    let arguments = ["-c", CHECK, &shop.secret, &told.signature, &told.body];
    let checked = Command::new(common::python()).args(arguments).status().await;
    assert!(checked.expect("this needs Python: install the package python3").success(), "{told:?}");
    let forged = told.body.replace("paid", "free");
    let arguments = ["-c", CHECK, &shop.secret, &told.signature, &forged];
    assert!(!Command::new(common::python()).args(arguments).status().await.unwrap().success());
}

/// The delivery log tells of it and sends it once more, with the same id.
async fn told_again(scene: &Scene, shop: &Shop) {
    let made = shop.order("again", 1_500).await;
    paid_and_told(scene, shop, &made).await;
    let (id, satchel) = (text(&made, "invoiceId"), &scene.network.satchel);
    let message = shop.told(id)[0].id.clone();
    let delivered = until("it is delivered", SOON, || async {
        let log = satchel.command_json("webhook", &["list"]).await.unwrap();
        let rows = log["webhooks"].as_array().unwrap();
        rows.iter().find(|row| row["id"] == message && row["state"] == "delivered").cloned()
    })
    .await;
    assert_eq!(
        (&delivered["family"], &delivered["kind"], &delivered["attempts"], &delivered["last_status"]),
        (&json!("payments"), &json!("payment.completed"), &json!(1), &json!(200))
    );
    let log = satchel.command_json("webhook", &["list"]).await.unwrap().to_string();
    assert!(!log.contains(&shop.secret) && !log.contains("orderId"), "{log}");
    let parked = satchel.command_json("webhook", &["list", "--parked"]).await.unwrap();
    assert_eq!(parked["webhooks"], json!([]));
    satchel.command_json("webhook", &["replay", &message]).await.unwrap();
    let told = shop.wait_told(id, 2).await;
    assert_eq!((&told[1].id, &told[1].body), (&told[0].id, &told[0].body));
    assert!(satchel.command_json("webhook", &["replay", "msg_none"]).await.is_err());
}

async fn many(scene: &Scene, shop: &Shop) {
    let mut made = Vec::new();
    for number in 0..20 {
        made.push(shop.order(&format!("many {number}"), 1_000 + number).await);
    }
    let pay = |made: &Value| {
        let invoice = text(made, "lightningInvoice").to_owned();
        scene.note_funding(0, &invoice);
        async move { scene.wallet(0).pay(&invoice).await.unwrap() }
    };
    futures_util::future::join_all(made.iter().map(pay)).await;
    for made in &made {
        let id = text(made, "invoiceId");
        let paid = shop.wait(id, "paid", SOON).await;
        assert_eq!(paid["amountReceivedSats"], made["amountSats"]);
        shop.wait_told(id, 1).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(made.iter().all(|made| shop.told(text(made, "invoiceId")).len() == 1));
}

/// While the node can't start, orders are refused and not kept waiting for it; then they are taken.
async fn starting(scene: &Scene, shop: &Shop) {
    scene.network.satchel.stop().await.unwrap();
    scene.network.bitcoind.stop().await.unwrap();
    scene.network.satchel.spawn_with(&[]).await.unwrap();
    let body = json!({"orderId": "early", "amount": 1_000, "currency": "sats"});
    let mut refused = 0;
    until("an order is taken", RECOVERY, || async {
        // Nobody listens in the first moments.
        reqwest::get(format!("{}/health/live", shop.url)).await.ok()?;
        Some(())
    })
    .await;
    for _ in 0..5 {
        let answer = shop.ask(Method::POST, "/api/payments", Some(&body)).await;
        assert_eq!(
            (answer.status, &answer.body["code"]),
            (503, &json!("NODE_UNAVAILABLE")),
            "{}",
            answer.body
        );
    }
    scene.network.bitcoind.start().await.unwrap();
    let made = loop {
        let answer = shop.ask(Method::POST, "/api/payments", Some(&body)).await;
        match (answer.status, answer.body["code"].as_str()) {
            (200 | 201, _) => break answer.body,
            (503, Some("NODE_UNAVAILABLE" | "NO_INBOUND_CAPACITY")) => refused += 1,
            _ => panic!("{}: {}", answer.status, answer.body),
        }
        assert!(refused < 600, "never taken");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    scene.network.wait_usable().await.unwrap();
    paid_and_told(scene, shop, &made).await;
}

#[cfg(feature = "failpoints")]
async fn paying(scene: &Scene, shop: &Shop, point: &str, skip: u32) {
    let made = shop.order(&format!("{point} {skip}"), 6_000).await;
    let (id, invoice) = (text(&made, "invoiceId"), text(&made, "lightningInvoice"));
    scene.note_funding(0, invoice);
    let doomed = common::doomed::Doomed::start(scene, point, skip).await;
    doomed.arm();
    let dying = async {
        doomed.dies_and_rises().await;
        scene.replace_lost_channels().await > 0
    };
    let (paid, _) = scene.pay_through(scene.wallet(0).pay(invoice), dying).await;
    scene.network.wait_usable().await.unwrap();
    if paid.is_err() {
        // Not a sat has moved; the customer simply tries again.
        shop.wait(id, "unpaid", RECOVERY).await;
        scene.wallet(0).pay(invoice).await.unwrap();
    }
    let paid = shop.wait(id, "paid", RECOVERY).await;
    assert_eq!((&paid["amountReceivedSats"], &paid["orderId"]), (&json!(6_000), &made["orderId"]));
    shop.wait_told(id, 1).await;
    scene.books_agree().await;
    let ids: HashSet<_> = shop.told(id).into_iter().map(|told| told.id).collect();
    assert_eq!(ids.len(), 1, "told as more than one event");
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}"))
}
