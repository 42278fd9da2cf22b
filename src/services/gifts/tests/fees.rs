//! What a gift costs besides its amount.

use std::time::Duration;

use serde_json::{Value, json};

use super::test_app::{NOON, TestApp};
use crate::core::fees::FeeRule;
use crate::core::money::Msat;
use crate::ledger::{Account, audit};
use crate::vouchers::upkeep::expire_due;

const RULE: FeeRule = FeeRule { min_sat: 10, percent: 1 };

/// Balances of the books, which must be right: owed to holders, earned.
fn books(app: &TestApp) -> (i64, i64) {
    let audit = tokio::task::block_in_place(|| audit::audit(&app.ledger).unwrap());
    assert!(audit.clean, "{:?}", audit.problems);
    let of = |account: Account| -> i64 {
        audit.accounts.iter().filter(|row| row.account == account.name()).map(|row| -row.msat).sum()
    };
    (of(Account::Holders), of(Account::FeesEarned))
}

fn asked(created: &Value) -> u64 {
    let text = created["lightningInvoice"]["payreq"].as_str().unwrap();
    text.parse::<lightning_invoice::Bolt11Invoice>().unwrap().amount_milli_satoshis().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn invoice_asks_for_amount_and_fee_and_the_fee_is_earned_once() {
    let app = TestApp::with_fee(RULE, false);
    let created = app.create(json!({"amount": 1_000})).await;
    assert_eq!(
        (&created["amount"], &created["fee"], asked(&created)),
        (&json!(1_000), &json!(11), 1_011_000)
    );
    app.fund(&created);
    app.fund(&created);
    assert_eq!(books(&app), (1_000_000, 11_000));
    let id = created["orderId"].as_str().unwrap();
    let invoice = app.invoice(1_000);
    app.post(&format!("/redeem/{id}"), &json!({"invoice": invoice})).await.ok();
    app.finish(true);
    assert!(app.reached(&invoice));
    assert_eq!(books(&app), (0, 11_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_gift_of_an_order_costs_the_fee() {
    let app = TestApp::with_fee(RULE, false);
    let created = app.create(json!({"amount": 200, "quantity": 3})).await;
    assert_eq!((&created["fee"], asked(&created)), (&json!(10), 630_000));
    app.fund(&created);
    assert_eq!(books(&app), (600_000, 30_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn fee_comes_back_with_an_expired_gift_only_if_it_is_set_so() {
    for (returned, owed, earned) in [(false, 1_000_000, 11_000), (true, 1_011_000, 0)] {
        let app = TestApp::with_fee(RULE, returned);
        app.funded(json!({"amount": 1_000, "expiresAt": NOON / 1_000 + 60})).await;
        app.clock.advance(Duration::from_secs(61));
        let (ledger, vouchers) = (app.ledger.clone(), app.vouchers.clone());
        expire_due(&ledger, &vouchers).await.unwrap();
        assert_eq!(books(&app), (owed, earned), "{returned}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn gift_paid_for_after_its_end_goes_back_whole() {
    let app = TestApp::with_fee(RULE, false);
    let created = app.create(json!({"amount": 1_000, "expiresAt": NOON / 1_000 + 60})).await;
    app.clock.advance(Duration::from_secs(61));
    app.fund(&created);
    assert_eq!(books(&app), (1_011_000, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn wallet_that_makes_a_gift_is_told_of_the_fee_first() {
    let app = TestApp::with_fee(RULE, false);
    let offer = app.get("/lnurl").await.ok();
    assert_eq!((&offer["minSendable"], &offer["maxSendable"]), (&json!(110_000), &json!(505_050_000)));
    assert!(offer["metadata"].as_str().unwrap().contains("the fee is 1 %, at least 10 sat"), "{offer}");
    app.get("/lnurl?amount=109000").await.is_lnurl_error("GIFT_AMOUNT_UNDER_100");
    let made = app.get("/lnurl?amount=1011000").await.ok();
    let invoice: lightning_invoice::Bolt11Invoice = made["pr"].as_str().unwrap().parse().unwrap();
    assert_eq!(invoice.amount_milli_satoshis(), Some(1_011_000));
    app.sim.receive(&invoice, Msat::new(1_011_000).unwrap());
    app.drain();
    assert_eq!(books(&app), (1_000_000, 11_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn table_of_gifts_has_no_formula_and_nothing_that_takes_a_gift() {
    let app = TestApp::with_fee(RULE, false);
    let words =
        json!({"amount": 1_000, "senderName": "=1+1", "senderMessage": "@a, \"b\"", "verifyCode": 1234});
    let created = app.create(words).await;
    app.fund(&created);
    let everything = crate::storage::export::Span { from: i64::MIN, to: i64::MAX };
    let page = app
        .ledger
        .store
        .read(move |connection| crate::services::gifts::export::GIFTS.page(connection, everything, None));
    let page = page.await.unwrap();
    assert_eq!((page.lines, page.next), (1, None));
    assert!(
        page.csv.starts_with("1,open,2027-01-15T08:00:00Z,2027-01-15T08:00:00Z,,1000,11,,"),
        "{}",
        page.csv
    );
    assert!(page.csv.ends_with(",'=1+1,\"'@a, \"\"b\"\"\"\r\n"), "{}", page.csv);
    let lnurl = created["lnurl"].as_str().unwrap();
    for secret in
        [created["orderId"].as_str().unwrap(), created["manageKey"].as_str().unwrap(), lnurl, "1234"]
    {
        assert!(!page.csv.contains(secret), "{}", page.csv);
    }
}
