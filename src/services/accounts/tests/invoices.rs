//! Withdrawals to BOLT11 invoices.

use futures_util::future::join_all;
use serde_json::json;

use super::house::{House, RESERVE, WITHDRAWALS, rules, sat, to};
use crate::core::money::Msat;
use crate::ledger::charges;
use crate::ledger::payouts::{self, Arrival};

#[tokio::test(flavor = "multi_thread")]
async fn invoice_is_paid_and_the_unused_reserve_returns() {
    let house = House::new().await;
    house.earn(sat(1_000));
    let invoice = house.invoice(sat(400));
    let made = house.withdraw(&to(&invoice)).await;
    assert_eq!(made.status, 201);
    let made = made.ok();
    assert_eq!(
        (&made["status"], &made["amountSat"], &made["type"]),
        (&json!("pending"), &json!(400), &json!("lightning"))
    );
    assert!(made.get("feeSat").is_none(), "{made}");
    assert_eq!(house.has(), ((600 - RESERVE) * 1_000, (400 + RESERVE) * 1_000));
    house.arrives(&invoice, Msat::new(2_500).unwrap());
    let shown = house.shown(&made).await;
    assert_eq!(
        (&shown["status"], &shown["feeSat"], &shown["feeMsat"]),
        (&json!("completed"), &json!(3), &json!(2_500))
    );
    assert_eq!(house.has(), (600_000 - 2_500, 0));
    assert_eq!(
        (house.booked("withheld"), house.booked("fees_charged"), house.booked("routing_paid")),
        (0, -2_500, 2_500)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_at_once_take_no_more_than_there_is() {
    let house = House::new().await;
    house.earn(sat(1_000));
    let invoices: Vec<_> = (0..50).map(|_| house.invoice(sat(150))).collect();
    let asked = invoices.iter().enumerate().map(|(number, invoice)| {
        let body = to(invoice);
        let house = &house;
        async move { house.once(&body, &format!("k{number}")).await }
    });
    let answers = join_all(asked).await;
    // Each takes 150 and a reserve of 10.
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(made, 6);
    for refused in answers.iter().filter(|answer| answer.status != 201) {
        refused.refused(409, "INSUFFICIENT_BALANCE");
    }
    house.dispatch();
    assert_eq!(house.sim.under_way().len(), 6);
    assert_eq!(house.has(), (40_000, 960_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn same_key_or_same_invoice_withdraws_once() {
    let house = House::new().await;
    house.earn(sat(1_000));
    let invoice = house.invoice(sat(100));
    let body = to(&invoice);
    let answers = join_all((0..50).map(|_| house.once(&body, "same"))).await;
    assert!(answers.iter().all(|answer| answer.status == 201 && answer.text == answers[0].text));
    house
        .once(&json!({ "target": invoice.to_string(), "amountSat": 100 }), "same")
        .await
        .refused(409, "IDEMPOTENCY_KEY_REUSE");
    // Without a key the invoice itself is one.
    let again = house.withdraw(&body).await;
    assert_eq!((again.status, &again.body()["withdrawalId"]), (200, &answers[0].body()["withdrawalId"]));
    assert_eq!(house.has(), ((900 - RESERVE) * 1_000, (100 + RESERVE) * 1_000));
    house.arrives(&invoice, Msat::ZERO);
    assert_eq!(house.withdraw(&body).await.status, 200);
    assert_eq!(house.has(), (900_000, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn amountless_invoice_takes_what_is_asked_or_all() {
    let house = House::new().await;
    house.earn(Msat::new(1_000_777).unwrap());
    let some = house.open_invoice(1);
    house.withdraw(&json!({ "target": some.to_string(), "amountSat": 300 })).await.ok();
    house.arrives(&some, Msat::ZERO);
    assert_eq!(house.sim.delivered()[&charges::hash_of(&some)], sat(300));
    let all = house.open_invoice(2);
    let made = house.withdraw(&to(&all)).await.ok();
    assert_eq!(made["amountSat"], 690, "{made}");
    house.arrives(&all, Msat::ZERO);
    assert_eq!(house.sim.delivered()[&charges::hash_of(&all)], sat(690));
    assert_eq!(house.has(), (10_777, 0), "the reserve came back");
    house.withdraw(&to(house.open_invoice(3))).await.refused(409, "INSUFFICIENT_BALANCE");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_t_be_paid_is_refused_and_changes_nothing() {
    let house = House::new().await;
    house.earn(sat(1_000));
    let invoice = house.invoice(sat(400));
    for target in
        ["", "nonsense", "lnbc1", "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq", "LNURL1DP68GURN8GHJ7"]
    {
        house.withdraw(&to(target)).await.refused(400, "INVALID_TARGET");
    }
    house
        .withdraw(&json!({ "target": invoice.to_string(), "amountSat": 399 }))
        .await
        .refused(400, "AMOUNT_MISMATCH");
    for amount in [json!(0), json!(-1), json!("7"), json!(1.5)] {
        house
            .withdraw(&json!({ "target": invoice.to_string(), "amountSat": amount }))
            .await
            .refused(400, "INVALID_AMOUNT");
    }
    // One msat less than the amount and its reserve.
    house
        .withdraw(&to(house.invoice(Msat::new(990_001).unwrap())))
        .await
        .refused(409, "INSUFFICIENT_BALANCE");
    assert_eq!(house.has(), (1_000_000, 0));
    house.withdraw(&to(house.invoice(sat(990)))).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn failure_returns_everything_and_a_late_success_takes_what_is_left() {
    let house = House::new().await;
    house.earn(sat(1_000));
    let invoice = house.invoice(sat(700));
    let made = house.withdraw(&to(&invoice)).await.ok();
    house.dispatch();
    let hash = charges::hash_of(&invoice);
    house.sim.resolve(hash, false, Msat::ZERO);
    house.drain();
    let shown = house.shown(&made).await;
    assert_eq!(shown["status"], "failed");
    assert!(shown["failureReason"].is_string(), "{shown}");
    assert_eq!(house.has(), (1_000_000, 0));
    house.withdraw(&to(&invoice)).await.refused(409, "INVOICE_USED");
    // It arrives all the same, when only a part of it is left.
    let other = house.invoice(sat(600));
    house.withdraw(&to(&other)).await.ok();
    house.arrives(&other, Msat::ZERO);
    let (listeners, now) = (house.ledger.listeners.clone(), house.clock.now());
    let late = house.ledger.store.write_blocking(move |tx| {
        let arrival = Arrival { hash, preimage: None, fee: Msat::ZERO, left: None };
        payouts::mark_paid(tx, &listeners, &arrival, now)
    });
    late.unwrap();
    assert_eq!(house.has(), (0, 0));
    assert_eq!(house.booked("loss"), 300_000);
    assert_eq!(house.shown(&made).await["status"], "completed");
}

#[tokio::test(flavor = "multi_thread")]
async fn key_has_a_budget_for_a_day() {
    let house = House::with(crate::services::accounts::Rules { key_day: sat(500), ..rules() }, None).await;
    house.earn(sat(10_000));
    let first = house.invoice(sat(400));
    house.withdraw(&to(&first)).await.ok();
    house.withdraw(&to(house.invoice(sat(101)))).await.refused(409, "WITHDRAWAL_LIMIT");
    // What fails is given back.
    house.dispatch();
    house.sim.resolve(charges::hash_of(&first), false, Msat::ZERO);
    house.drain();
    house.withdraw(&to(house.invoice(sat(500)))).await.ok();
    house.withdraw(&to(house.invoice(sat(1)))).await.refused(409, "WITHDRAWAL_LIMIT");
    // Another key, another day, another limit.
    let other = house.key(&[crate::http::keys::Scope::Withdraw], "shop").await;
    house.ask("POST", &other, WITHDRAWALS, &to(house.invoice(sat(500))).to_string(), "").await.ok();
    house.clock.advance(std::time::Duration::from_secs(86_400));
    house.withdraw(&to(house.invoice(sat(500)))).await.ok();
    let raised =
        house.ledger.store.write_blocking(|tx| crate::services::accounts::store::set_key_day(tx, 1, Some(0)));
    assert!(raised.unwrap());
    house.withdraw(&to(house.invoice(sat(5_000)))).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn clock_that_is_set_gives_no_second_day_and_takes_none() {
    const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);
    let house = House::with(crate::services::accounts::Rules { key_day: sat(500), ..rules() }, None).await;
    house.earn(sat(10_000));
    house.withdraw(&to(house.invoice(sat(400)))).await.ok();
    house.clock.jump(DAY * 3);
    house.withdraw(&to(house.invoice(sat(101)))).await.refused(409, "WITHDRAWAL_LIMIT");
    house.withdraw(&to(house.invoice(sat(100)))).await.ok();
    house.clock.jump_back(DAY * 3);
    house.withdraw(&to(house.invoice(sat(1)))).await.refused(409, "WITHDRAWAL_LIMIT");
    // A year ahead and back takes no day of then, nor of now.
    house.clock.advance(DAY);
    house.clock.jump(DAY * 365);
    house.withdraw(&to(house.invoice(sat(500)))).await.ok();
    house.clock.jump_back(DAY * 365);
    house.clock.advance(DAY);
    house.withdraw(&to(house.invoice(sat(500)))).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn invoice_of_this_server_is_settled_inside() {
    let house = House::new().await;
    house.earn(sat(1_000));
    let invoice = house.invoice(sat(300));
    let (ours, now) = (invoice.clone(), house.clock.now());
    let opened = house.ledger.store.write_blocking(move |tx| {
        charges::open(tx, crate::ledger::Family::Operator, &ours, Some(sat(300)), now)
    });
    opened.unwrap();
    let made = house.withdraw(&to(&invoice)).await.ok();
    assert_eq!((&made["status"], &made["feeSat"]), (&json!("completed"), &json!(0)));
    assert_eq!(house.has(), (700_000, 0));
    assert!(house.sim.under_way().is_empty());
}
