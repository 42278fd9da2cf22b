//! What the operator takes of a payment.

use serde_json::json;

use super::paying_app::{PayingApp, REFUNDS};
use super::test_app::{Setup, TestApp, id, invoice};
use crate::core::fees::FeeRule;
use crate::core::money::Msat;
use crate::ledger::audit;

/// Owed to the shop and earned, in sat; the books must be right.
fn books(app: &TestApp) -> (i64, i64) {
    let audit = tokio::task::block_in_place(|| audit::audit(&app.ledger).unwrap());
    assert!(audit.clean, "{:?}", audit.problems);
    let of = |name: &str| -> i64 {
        audit.accounts.iter().filter(|row| row.account == name).map(|row| -row.msat / 1_000).sum()
    };
    (of("merchants"), of("fees_earned"))
}

async fn app(rule: FeeRule) -> TestApp {
    let mut setup = Setup::default();
    setup.rules.fee = rule;
    TestApp::with(setup).await
}

#[tokio::test(flavor = "multi_thread")]
async fn fee_is_shown_before_it_is_paid_and_taken_out_of_what_is_owed() {
    let app = app(FeeRule { min_sat: 10, percent: 1 }).await;
    let made = app.order(&json!({})).await.created();
    assert_eq!((&made["amountSats"], &made["feeSats"]), (&json!(125_000), &json!(1_250)));
    let asked = invoice(&made).amount_milli_satoshis();
    assert_eq!(asked, Some(125_000_000), "the customer pays the price");
    app.pay(&made);
    assert_eq!(books(&app), (123_750, 1_250));
    assert!(!app.pay_msat(&invoice(&made), 125_000_000));
    assert_eq!(books(&app), (123_750, 1_250));
    assert_eq!(app.shown(&id(&made)).await["feeSats"], 1_250);
}

#[tokio::test(flavor = "multi_thread")]
async fn fee_is_never_more_than_what_came() {
    let app = app(FeeRule { min_sat: 1_000_000, percent: 0 }).await;
    let made = app.order(&json!({})).await.created();
    app.pay(&made);
    assert_eq!(books(&app), (0, 125_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_fee_nothing_is_told_of_one() {
    let app = app(FeeRule::FREE).await;
    let made = app.order(&json!({})).await.created();
    assert_eq!(made.get("feeSats"), None);
    app.pay(&made);
    assert_eq!(app.shown(&id(&made)).await.get("feeSats"), None);
    assert_eq!(books(&app), (125_000, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn fee_goes_back_with_a_whole_refund_and_is_earned_again_if_that_fails() {
    let mut setup = Setup::default();
    setup.rules.fee = FeeRule { min_sat: 10, percent: 1 };
    setup.rules.return_fee = true;
    let paying = PayingApp::with(setup).await;
    let made = paying.paid(&json!({})).await;
    assert_eq!(books(&paying), (123_750, 1_250));
    paying.refund_of(&made, 125_000, &json!({})).await.created();
    assert_eq!(books(&paying), (0, 0));
    paying.finish(false, Msat::ZERO);
    assert_eq!(books(&paying), (123_750, 1_250));
    paying.refund_of(&made, 125_000, &json!({})).await.created();
    paying.finish(true, Msat::ZERO);
    assert_eq!(books(&paying), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn fee_that_is_kept_must_be_covered_by_other_sats_of_the_shop() {
    let mut setup = Setup::default();
    setup.rules.fee = FeeRule { min_sat: 10, percent: 1 };
    let paying = PayingApp::with(setup).await;
    let made = paying.paid(&json!({})).await;
    paying.refund_of(&made, 125_000, &json!({})).await.is_error(409, "INSUFFICIENT_BALANCE", REFUNDS);
    paying.paid(&json!({ "orderId": "ANOTHER" })).await;
    paying.refund_of(&made, 125_000, &json!({})).await.created();
    paying.finish(true, Msat::ZERO);
    assert_eq!(books(&paying), (122_500, 2_500));
}
