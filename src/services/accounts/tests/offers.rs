//! Withdrawals to BOLT12 offers, through crashes.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use bitcoin::secp256k1::{PublicKey, Secp256k1, SecretKey};
use lightning::offers::offer::OfferBuilder;
use serde_json::{Value, json};

use super::test_app::{RESERVE, TestApp, sat, to};
use crate::admin::AccountAdmin;
use crate::core::money::Msat;
use crate::ledger::offer_payouts;
use crate::lightning::NodeEvent;
use crate::lightning::sim::Trap;

/// A stranger's offer that leaves the amount to us.
pub(super) fn offer() -> String {
    let key = SecretKey::from_slice(&[0x31; 32]).unwrap();
    let key = PublicKey::from_secret_key(&Secp256k1::new(), &key);
    let builder = OfferBuilder::new(key).chain(bitcoin::Network::Regtest);
    builder.build().unwrap().to_string()
}

async fn begun(app: &TestApp, amount: u64) -> Value {
    app.withdraw(&json!({ "target": offer(), "amountSat": amount })).await.ok()
}

/// The process dies in the middle of a step, and starts again.
fn dies(app: &TestApp, trap: Trap) {
    app.sim.set_trap(trap);
    let died = tokio::task::block_in_place(|| {
        catch_unwind(AssertUnwindSafe(|| offer_payouts::Worker::default().step(&app.ledger)))
    });
    assert!(died.is_err());
    restarts(app);
}

fn restarts(app: &TestApp) {
    app.sim.restart(0, 0);
    tokio::task::block_in_place(|| offer_payouts::mark_unknown(&app.ledger).unwrap());
}

fn steps(app: &TestApp) {
    tokio::task::block_in_place(|| offer_payouts::Worker::default().step(&app.ledger).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn offer_is_paid_once_and_charged_what_it_cost() {
    let app = TestApp::new().await;
    app.earn(sat(1_000));
    let made = begun(&app, 300).await;
    assert_eq!(made["type"], "offer");
    steps(&app);
    steps(&app);
    app.sim.resolve_offer(true, sat(2));
    app.drain();
    steps(&app);
    assert_eq!(app.sim.arrived_by_offer(), [(made["withdrawalId"].as_str().unwrap().to_owned(), sat(300))]);
    assert_eq!(
        (&app.shown(&made).await["status"], &app.shown(&made).await["feeSat"]),
        (&json!("completed"), &json!(2))
    );
    assert_eq!(app.has(), (698_000, 0));
    // All of it, without an amount.
    let all = app.withdraw(&to(offer())).await.ok();
    assert_eq!(all["amountSat"], 688);
}

#[tokio::test(flavor = "multi_thread")]
async fn failure_of_an_offer_returns_it() {
    let app = TestApp::new().await;
    app.earn(sat(1_000));
    let made = begun(&app, 300).await;
    steps(&app);
    assert_eq!(app.has(), ((700 - RESERVE) * 1_000, (300 + RESERVE) * 1_000));
    app.sim.resolve_offer(false, Msat::ZERO);
    app.drain();
    assert_eq!(app.shown(&made).await["status"], "failed");
    assert_eq!(app.has(), (1_000_000, 0));
    // Without a way to ask it waits its time, and then returns.
    app.sim.set_no_route(true);
    let made = begun(&app, 300).await;
    steps(&app);
    assert_eq!(app.shown(&made).await["status"], "pending");
    app.clock.advance(Duration::from_secs(601));
    steps(&app);
    assert_eq!(app.shown(&made).await["status"], "failed");
    assert_eq!(app.has(), (1_000_000, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn crash_after_sending_finds_the_payment_by_its_note() {
    let app = TestApp::new().await;
    app.earn(sat(1_000));
    let made = begun(&app, 300).await;
    dies(&app, Trap::DieAfter);
    steps(&app);
    steps(&app);
    assert_eq!(app.sim.under_way_to_offers(), 1, "sent twice");
    app.sim.resolve_offer(true, Msat::ZERO);
    app.drain();
    assert_eq!(app.shown(&made).await["status"], "completed");
    assert_eq!(app.has(), (700_000, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn event_of_a_payment_without_a_record_is_about_the_one_without_an_id() {
    let app = TestApp::new().await;
    app.earn(sat(1_000));
    let made = begun(&app, 300).await;
    dies(&app, Trap::DieAfter);
    app.sim.forget_offers();
    let next = begun(&app, 100).await;
    steps(&app);
    assert_eq!(app.sim.under_way_to_offers(), 1, "nothing else is sent meanwhile");
    app.sim.resolve_offer(true, sat(1));
    app.drain();
    assert_eq!(app.shown(&made).await["status"], "completed");
    steps(&app);
    assert_eq!(app.sim.under_way_to_offers(), 1, "now the next is");
    assert_eq!(app.shown(&next).await["status"], "pending");
}

#[tokio::test(flavor = "multi_thread")]
async fn crash_before_sending_stays_in_doubt_until_a_person_has_looked() {
    let app = TestApp::new().await;
    app.earn(sat(1_000));
    let made = begun(&app, 300).await;
    dies(&app, Trap::DieBefore);
    app.clock.advance(Duration::from_secs(30 * 86_400));
    for _ in 0..3 {
        restarts(&app);
        steps(&app);
    }
    assert_eq!(app.sim.under_way_to_offers(), 0, "never sent again");
    let shown = app.shown(&made).await;
    assert_eq!((&shown["status"], &shown["inDoubt"]), (&json!("pending"), &json!(true)));
    assert_eq!(app.has().1, (300 + RESERVE) * 1_000);
    let id = made["withdrawalId"].as_str().unwrap().to_owned();
    AccountAdmin::settle(&app.accounts, id.clone(), false).await.unwrap();
    assert_eq!(app.shown(&made).await["status"], "failed");
    assert_eq!(app.has(), (1_000_000, 0));
    assert!(AccountAdmin::settle(&app.accounts, id, true).await.is_err(), "settled twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn failure_told_after_a_restart_is_not_believed() {
    let app = TestApp::new().await;
    app.earn(sat(1_000));
    let made = begun(&app, 300).await;
    steps(&app);
    restarts(&app);
    app.sim.resolve_offer(false, Msat::ZERO);
    app.drain();
    steps(&app);
    let shown = app.shown(&made).await;
    assert_eq!((&shown["status"], &shown["inDoubt"]), (&json!("pending"), &json!(true)));
    AccountAdmin::settle(&app.accounts, made["withdrawalId"].as_str().unwrap().into(), true).await.unwrap();
    assert_eq!(app.shown(&made).await["status"], "completed");
    assert_eq!(app.has(), (700_000, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn ambiguous_answer_is_not_sent_again() {
    let app = TestApp::new().await;
    app.earn(sat(1_000));
    let made = begun(&app, 300).await;
    app.sim.set_trap(Trap::SayPersistenceFailed);
    steps(&app);
    steps(&app);
    assert_eq!((app.sim.under_way_to_offers(), &app.shown(&made).await["inDoubt"]), (1, &json!(true)));
    app.sim.resolve_offer(true, Msat::ZERO);
    app.drain();
    assert_eq!(app.shown(&made).await["status"], "completed");
}

/// The recipient of an offer chooses the payment hash: it may be that of a gift that they redeem at the same time.
#[tokio::test(flavor = "multi_thread")]
async fn event_of_an_offer_is_not_taken_for_an_invoice_of_the_same_hash() {
    let app = TestApp::new().await;
    app.earn(sat(1_000));
    let invoice = app.invoice(sat(200));
    let by_invoice = app.withdraw(&to(&invoice)).await.ok();
    app.dispatch();
    let hash = crate::ledger::charges::hash_of(&invoice);
    let event = NodeEvent::Failed { hash: Some(hash), payment_id: [9; 32], reason: "x".into() };
    tokio::task::block_in_place(|| crate::ledger::events::apply(&app.ledger, event).unwrap());
    assert_eq!(app.shown(&by_invoice).await["status"], "pending");
    let event = NodeEvent::Sent { hash, payment_id: [9; 32], preimage: None, fee: Msat::ZERO };
    tokio::task::block_in_place(|| crate::ledger::events::apply(&app.ledger, event).unwrap());
    assert_eq!(app.shown(&by_invoice).await["status"], "pending");
    app.sim.resolve(hash, true, Msat::ZERO);
    app.drain();
    assert_eq!(app.shown(&by_invoice).await["status"], "completed");
    assert_eq!(app.has(), (800_000, 0));
}
