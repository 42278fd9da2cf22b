//! Withdrawals to BOLT11 invoices.

use futures_util::future::join_all;
use serde_json::json;

use super::test_app::{RESERVE, TestApp, WITHDRAWALS, rules, sat, to};
use crate::core::money::Msat;
use crate::ledger::charges;
use crate::ledger::payouts::{self, Arrival};

#[tokio::test(flavor = "multi_thread")]
async fn invoice_is_paid_and_the_unused_reserve_returns() {
    let app = TestApp::new().await;
    app.earn(sat(1_000));
    let invoice = app.invoice(sat(400));
    let made = app.withdraw(&to(&invoice)).await;
    assert_eq!(made.status, 201);
    let made = made.ok();
    assert_eq!(
        (&made["status"], &made["amountSat"], &made["type"]),
        (&json!("pending"), &json!(400), &json!("lightning"))
    );
    assert!(made.get("feeSat").is_none(), "{made}");
    assert_eq!(app.has(), ((600 - RESERVE) * 1_000, (400 + RESERVE) * 1_000));
    app.arrives(&invoice, Msat::new(2_500).unwrap());
    let shown = app.shown(&made).await;
    assert_eq!(
        (&shown["status"], &shown["feeSat"], &shown["feeMsat"]),
        (&json!("completed"), &json!(3), &json!(2_500))
    );
    assert_eq!(app.has(), (600_000 - 2_500, 0));
    assert_eq!(
        (app.booked("withheld"), app.booked("fees_charged"), app.booked("routing_paid")),
        (0, -2_500, 2_500)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_at_once_take_no_more_than_there_is() {
    let app = TestApp::new().await;
    app.earn(sat(1_000));
    let invoices: Vec<_> = (0..50).map(|_| app.invoice(sat(150))).collect();
    let asked = invoices.iter().enumerate().map(|(number, invoice)| {
        let body = to(invoice);
        let app = &app;
        async move { app.once(&body, &format!("k{number}")).await }
    });
    let answers = join_all(asked).await;
    // Each takes 150 and a reserve of 10.
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(made, 6);
    for refused in answers.iter().filter(|answer| answer.status != 201) {
        refused.refused(409, "INSUFFICIENT_BALANCE");
    }
    app.dispatch();
    assert_eq!(app.sim.under_way().len(), 6);
    assert_eq!(app.has(), (40_000, 960_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn same_key_or_same_invoice_withdraws_once() {
    let app = TestApp::new().await;
    app.earn(sat(1_000));
    let invoice = app.invoice(sat(100));
    let body = to(&invoice);
    let answers = join_all((0..50).map(|_| app.once(&body, "same"))).await;
    assert!(answers.iter().all(|answer| answer.status == 201 && answer.text == answers[0].text));
    app.once(&json!({ "target": invoice.to_string(), "amountSat": 100 }), "same")
        .await
        .refused(409, "IDEMPOTENCY_KEY_REUSE");
    // Without a key the invoice itself is one.
    let again = app.withdraw(&body).await;
    assert_eq!((again.status, &again.body()["withdrawalId"]), (200, &answers[0].body()["withdrawalId"]));
    assert_eq!(app.has(), ((900 - RESERVE) * 1_000, (100 + RESERVE) * 1_000));
    app.arrives(&invoice, Msat::ZERO);
    assert_eq!(app.withdraw(&body).await.status, 200);
    assert_eq!(app.has(), (900_000, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn amountless_invoice_takes_what_is_asked_or_all() {
    let app = TestApp::new().await;
    app.earn(Msat::new(1_000_777).unwrap());
    let some = app.open_invoice(1);
    app.withdraw(&json!({ "target": some.to_string(), "amountSat": 300 })).await.ok();
    app.arrives(&some, Msat::ZERO);
    assert_eq!(app.sim.delivered()[&charges::hash_of(&some)], sat(300));
    let all = app.open_invoice(2);
    let made = app.withdraw(&to(&all)).await.ok();
    assert_eq!(made["amountSat"], 690, "{made}");
    app.arrives(&all, Msat::ZERO);
    assert_eq!(app.sim.delivered()[&charges::hash_of(&all)], sat(690));
    assert_eq!(app.has(), (10_777, 0), "the reserve came back");
    app.withdraw(&to(app.open_invoice(3))).await.refused(409, "INSUFFICIENT_BALANCE");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_t_be_paid_is_refused_and_changes_nothing() {
    let app = TestApp::new().await;
    app.earn(sat(1_000));
    let invoice = app.invoice(sat(400));
    for target in
        ["", "nonsense", "lnbc1", "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq", "LNURL1DP68GURN8GHJ7"]
    {
        app.withdraw(&to(target)).await.refused(400, "INVALID_TARGET");
    }
    app.withdraw(&json!({ "target": invoice.to_string(), "amountSat": 399 }))
        .await
        .refused(400, "AMOUNT_MISMATCH");
    for amount in [json!(0), json!(-1), json!("7"), json!(1.5)] {
        app.withdraw(&json!({ "target": invoice.to_string(), "amountSat": amount }))
            .await
            .refused(400, "INVALID_AMOUNT");
    }
    // One msat less than the amount and its reserve.
    app.withdraw(&to(app.invoice(Msat::new(990_001).unwrap()))).await.refused(409, "INSUFFICIENT_BALANCE");
    assert_eq!(app.has(), (1_000_000, 0));
    app.withdraw(&to(app.invoice(sat(990)))).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn failure_returns_everything_and_a_late_success_takes_what_is_left() {
    let app = TestApp::new().await;
    app.earn(sat(1_000));
    let invoice = app.invoice(sat(700));
    let made = app.withdraw(&to(&invoice)).await.ok();
    app.dispatch();
    let hash = charges::hash_of(&invoice);
    app.sim.resolve(hash, false, Msat::ZERO);
    app.drain();
    let shown = app.shown(&made).await;
    assert_eq!(shown["status"], "failed");
    assert!(shown["failureReason"].is_string(), "{shown}");
    assert_eq!(app.has(), (1_000_000, 0));
    app.withdraw(&to(&invoice)).await.refused(409, "INVOICE_USED");
    // It arrives all the same, when only a part of it is left.
    let other = app.invoice(sat(600));
    app.withdraw(&to(&other)).await.ok();
    app.arrives(&other, Msat::ZERO);
    let (listeners, now) = (app.ledger.listeners.clone(), app.clock.now());
    let late = app.ledger.store.write_blocking(move |tx| {
        let arrival = Arrival { hash, preimage: None, fee: Msat::ZERO, left: None };
        payouts::mark_paid(tx, &listeners, &arrival, now)
    });
    late.unwrap();
    assert_eq!(app.has(), (0, 0));
    assert_eq!(app.booked("loss"), 300_000);
    assert_eq!(app.shown(&made).await["status"], "completed");
}

#[tokio::test(flavor = "multi_thread")]
async fn key_has_a_budget_for_a_day() {
    let app = TestApp::with(crate::services::accounts::Rules { key_day: sat(500), ..rules() }, None).await;
    app.earn(sat(10_000));
    let first = app.invoice(sat(400));
    app.withdraw(&to(&first)).await.ok();
    app.withdraw(&to(app.invoice(sat(101)))).await.refused(409, "WITHDRAWAL_LIMIT");
    // What fails is given back.
    app.dispatch();
    app.sim.resolve(charges::hash_of(&first), false, Msat::ZERO);
    app.drain();
    app.withdraw(&to(app.invoice(sat(500)))).await.ok();
    app.withdraw(&to(app.invoice(sat(1)))).await.refused(409, "WITHDRAWAL_LIMIT");
    // Another key, another day, another limit.
    let other = app.key(&[crate::http::keys::Scope::Withdraw], "shop").await;
    app.ask("POST", &other, WITHDRAWALS, &to(app.invoice(sat(500))).to_string(), "").await.ok();
    app.clock.advance(std::time::Duration::from_secs(86_400));
    app.withdraw(&to(app.invoice(sat(500)))).await.ok();
    let raised =
        app.ledger.store.write_blocking(|tx| crate::services::accounts::store::set_key_day(tx, 1, Some(0)));
    assert!(raised.unwrap());
    app.withdraw(&to(app.invoice(sat(5_000)))).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn clock_that_is_set_gives_no_second_day_and_takes_none() {
    const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);
    let app = TestApp::with(crate::services::accounts::Rules { key_day: sat(500), ..rules() }, None).await;
    app.earn(sat(10_000));
    app.withdraw(&to(app.invoice(sat(400)))).await.ok();
    app.clock.jump(DAY * 3);
    app.withdraw(&to(app.invoice(sat(101)))).await.refused(409, "WITHDRAWAL_LIMIT");
    app.withdraw(&to(app.invoice(sat(100)))).await.ok();
    app.clock.jump_back(DAY * 3);
    app.withdraw(&to(app.invoice(sat(1)))).await.refused(409, "WITHDRAWAL_LIMIT");
    // A year ahead and back takes no day of then, nor of now.
    app.clock.advance(DAY);
    app.clock.jump(DAY * 365);
    app.withdraw(&to(app.invoice(sat(500)))).await.ok();
    app.clock.jump_back(DAY * 365);
    app.clock.advance(DAY);
    app.withdraw(&to(app.invoice(sat(500)))).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn invoice_of_this_server_is_settled_inside() {
    let app = TestApp::new().await;
    app.earn(sat(1_000));
    let invoice = app.invoice(sat(300));
    let (ours, now) = (invoice.clone(), app.clock.now());
    let opened = app.ledger.store.write_blocking(move |tx| {
        charges::open(tx, crate::ledger::Family::Operator, &ours, Some(sat(300)), now)
    });
    opened.unwrap();
    let made = app.withdraw(&to(&invoice)).await.ok();
    assert_eq!((&made["status"], &made["feeSat"]), (&json!("completed"), &json!(0)));
    assert_eq!(app.has(), (700_000, 0));
    assert!(app.sim.under_way().is_empty());
}
