//! To the millisatoshi: what is paid, owed, earned and given back.

use std::time::Duration;

use serde_json::json;

use super::test_app::{DAY, TIPS, TestApp, id, members, parse};

/// The contract's vectors: amount, fee, in sat.
const FEES: [(u64, u64); 14] = [
    (1, 10),
    (21, 10),
    (990, 10),
    (991, 11),
    (1_000, 11),
    (1_089, 11),
    (1_090, 12),
    (2_000, 21),
    (5_000, 51),
    (10_000, 101),
    (21_000, 213),
    (100_000, 1_010),
    (1_000_000, 10_100),
    (2_079_002, 20_998),
];

#[tokio::test(flavor = "multi_thread")]
async fn the_fee_vectors_from_order_to_withdrawal() {
    let app = TestApp::new().await;
    let (mut earned, mut paid) = (0_i64, 0_i64);
    for (amount, fee) in FEES {
        let made = app.order(&json!({"amount": amount, "onboardingFlow": "SKIP"})).await.ok();
        assert_eq!((&made["amount"], &made["fee"]), (&json!(amount), &json!(fee)));
        let asked = parse(made["invoice"].as_str().unwrap()).amount_milli_satoshis();
        assert_eq!(asked, Some((amount + fee) * 1_000));
        app.fund(&made);
        earned += i64::try_from(fee).unwrap();
        assert_eq!(app.sat("fees_earned"), earned);
        assert_eq!(app.sat("holders"), i64::try_from(amount).unwrap());
        let invoice = app.invoice(amount);
        let body = json!({"flow": "anonymous", "tipId": id(&made), "invoice": invoice});
        app.withdraw("", &body, true).await.done();
        paid += i64::try_from(amount).unwrap();
        assert!(app.reached(&invoice));
        assert_eq!((app.sat("holders"), app.sat("in_flight")), (0, 0));
    }
    assert_eq!(app.sat("lightning"), -earned);
    assert_eq!(paid, FEES.iter().map(|(amount, _)| i64::try_from(*amount).unwrap()).sum::<i64>());
    app.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_costs_refunds_and_comes_back_to_the_sat() {
    let app = TestApp::new().await;
    let group = app.order(&json!({"quantity": 100})).await.ok();
    let asked = parse(group["invoice"].as_str().unwrap()).amount_milli_satoshis();
    assert_eq!(asked, Some(3_100_000));
    app.fund(&group);
    assert_eq!((app.sat("holders"), app.sat("fees_earned")), (2_100, 1_000));
    let path = format!("/api/tipGroups/{}/reclaim", id(&group));
    app.post(&app.tipper, &path, &json!({})).await.done();
    assert_eq!((app.sat("holders"), app.sat("fees_earned")), (2_100, 1_000));
    let invoice = app.invoice(2_100);
    app.withdraw(&app.tipper, &json!({"flow": "tipper", "invoice": invoice}), true).await.done();
    assert!(app.reached(&invoice));
    assert_eq!((app.sat("holders"), app.sat("lightning")), (0, -1_000));
    for tip in members(&group) {
        assert_eq!(app.status(&tip).await, "REFUNDED");
    }
    app.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_payout_moves_nothing_and_may_be_tried_again() {
    let app = TestApp::new().await;
    let tip = app.claimed(&json!({})).await;
    let before = app.balances();
    let (first, second) = (app.invoice(21), app.invoice(21));
    let body = |invoice: &str| json!({"flow": "tippee", "invoice": invoice});
    app.withdraw(&app.friend, &body(&first), false).await.is_error(409, "WITHDRAWAL_FAILED");
    assert_eq!((app.balances(), app.status(&tip).await), (before.clone(), "CLAIMED".into()));
    assert!(app.shown(&tip).await["withdrawalId"].is_null());
    // The wallet's invoice is used up.
    app.withdraw(&app.friend, &body(&first), true).await.is_error(409, "INVOICE_USED");
    assert_eq!(app.balances(), before);
    app.withdraw(&app.friend, &body(&second), true).await.done();
    assert_eq!(app.status(&tip).await, "WITHDRAWN");
    assert!(app.shown(&tip).await["withdrawalId"].is_string());
    assert!(!app.reached(&first) && app.reached(&second));
    app.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn late_money_for_a_replaced_invoice_funds_and_for_both_is_a_credit() {
    let app = TestApp::new().await;
    let made = app.order(&json!({"expiry": "2027-02-15T00:00:00.000Z"})).await.ok();
    let tip = id(&made);
    app.clock.advance(DAY);
    app.upkeep().await;
    let renewed = app.shown(&tip).await;
    assert_ne!(renewed["invoice"], made["invoice"]);
    assert_eq!(renewed["status"], "UNFUNDED");
    assert_eq!(app.shown(&tip).await["invoice"], renewed["invoice"], "one renewal a day");
    app.fund(&made);
    assert_eq!(app.status(&tip).await, "UNSEEN");
    assert_eq!((app.sat("holders"), app.sat("fees_earned")), (21, 10));
    // And then for the new one too: all of it is a tip of the tipper's that came back.
    app.fund(&renewed);
    let all = app.get(&app.tipper, TIPS).await.ok();
    let credit = &all[0];
    assert_eq!(all.as_array().unwrap().len(), 2);
    assert_eq!(
        (&credit["status"], &credit["amount"], &credit["fee"]),
        (&json!("RECLAIMED"), &json!(31), &json!(0))
    );
    assert_eq!((app.sat("holders"), app.sat("fees_earned")), (52, 10));
    app.audit();
    let invoice = app.invoice(31);
    app.withdraw(&app.tipper, &json!({"flow": "tipper", "invoice": invoice}), true).await.done();
    assert_eq!((app.status(&id(credit)).await, app.status(&tip).await), ("REFUNDED".into(), "UNSEEN".into()));
    assert_eq!((app.sat("holders"), app.sat("fees_earned")), (21, 10));
    app.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn tip_that_expired_unpaid_gets_no_new_invoice_and_returns_with_its_fee() {
    let app = TestApp::new().await;
    for order in [json!({}), json!({"quantity": 3})] {
        let made = app.order(&order).await.ok();
        let each = if order == json!({}) { 1 } else { 3 };
        let path = match made.get("tips") {
            None => format!("{TIPS}/{}", id(&made)),
            Some(_) => format!("/api/tipGroups/{}", id(&made)),
        };
        let (owed, earned) = (app.sat("holders"), app.sat("fees_earned"));
        app.clock.advance(DAY);
        app.upkeep().await;
        assert_eq!(app.get(&app.tipper, &path).await.ok()["invoice"], made["invoice"]);
        app.fund(&made);
        assert_eq!((app.sat("holders") - owed, app.sat("fees_earned") - earned), (31 * each, 0));
        app.audit();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_s_old_invoice_funds_it_and_both_make_a_credit() {
    let app = TestApp::new().await;
    let made = app.order(&json!({"quantity": 3, "expiry": "2027-02-15T00:00:00.000Z"})).await.ok();
    let path = format!("/api/tipGroups/{}", id(&made));
    app.clock.advance(DAY);
    app.upkeep().await;
    let renewed = app.get(&app.tipper, &path).await.ok();
    assert_ne!(renewed["invoice"], made["invoice"]);
    app.fund(&made);
    let funded = app.get(&app.tipper, &path).await.ok();
    assert_eq!((&funded["status"], &funded["invoice"]), (&json!("FUNDED"), &made["invoice"]));
    assert!(funded["tips"].as_array().unwrap().iter().all(|tip| tip["status"] == "UNSEEN"));
    app.fund(&renewed);
    let credit = app.get(&app.tipper, TIPS).await.ok()[0].clone();
    assert_eq!((&credit["status"], &credit["amount"]), (&json!("RECLAIMED"), &json!(93)));
    assert_eq!((app.sat("holders"), app.sat("fees_earned")), (63 + 93, 30));
    app.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn payment_for_a_deleted_tip_returns_whole() {
    let app = TestApp::new().await;
    let (tip, group) = (app.order(&json!({})).await.ok(), app.order(&json!({"quantity": 2})).await.ok());
    app.delete(&app.tipper, &format!("{TIPS}/{}", id(&tip))).await.ok();
    app.delete(&app.tipper, &format!("/api/tipGroups/{}", id(&group))).await.ok();
    app.fund(&tip);
    app.fund(&group);
    assert_eq!((app.sat("holders"), app.sat("fees_earned")), (93, 0));
    for tip in members(&group).into_iter().chain([id(&tip)]) {
        let shown = app.shown(&tip).await;
        assert_eq!(
            (&shown["status"], &shown["amount"], &shown["fee"]),
            (&json!("RECLAIMED"), &json!(31), &json!(0))
        );
    }
    app.audit();
    app.withdraw(&app.tipper, &json!({"flow": "tipper", "invoice": app.invoice(93)}), true).await.done();
    assert_eq!((app.sat("holders"), app.sat("lightning")), (0, 0));
    app.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wrong_amount_for_a_funding_invoice() {
    let app = TestApp::new().await;
    let (low, high) = (app.order(&json!({})).await.ok(), app.order(&json!({})).await.ok());
    let invoice = |made: &serde_json::Value| parse(made["invoice"].as_str().unwrap());
    app.pay(&invoice(&low), 30_000);
    app.pay(&invoice(&high), 40_000);
    assert_eq!(
        (app.status(&id(&low)).await, app.status(&id(&high)).await),
        ("UNFUNDED".into(), "UNSEEN".into())
    );
    assert_eq!((app.sat("holders"), app.sat("fees_earned")), (21, 10));
    app.audit_with_suspense(39);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_of_a_tip_here_is_settled_inside_the_books() {
    let app = TestApp::new().await;
    let from = app.tip(&json!({"amount": 31, "onboardingFlow": "SKIP"})).await;
    let to = app.order(&json!({"amount": 21})).await.ok();
    let body = json!({"flow": "anonymous", "tipId": from, "invoice": to["invoice"]});
    app.withdraw("", &body, true).await.done();
    assert_eq!((app.status(&from).await, app.status(&id(&to)).await), ("WITHDRAWN".into(), "UNSEEN".into()));
    assert!(app.sim.delivered().is_empty());
    assert_eq!((app.sat("holders"), app.sat("fees_earned"), app.sat("lightning")), (21, 20, -41));
    app.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn with_return_fee_a_tip_brings_its_fee_back() {
    let app = TestApp::with_rules(|rules| rules.return_fee = true).await;
    let (reclaimed, expired, spent) =
        (app.tip(&json!({})).await, app.claimed(&json!({})).await, app.claimed(&json!({})).await);
    let body = json!({"flow": "tippee", "tipId": spent, "invoice": app.invoice(21)});
    app.withdraw(&app.friend, &body, true).await.done();
    app.reclaim(&reclaimed, false).await.done();
    assert_eq!((app.sat("holders"), app.sat("fees_earned")), (52, 20));
    app.clock.advance(DAY);
    app.upkeep().await;
    for tip in [&reclaimed, &expired] {
        let shown = app.shown(tip).await;
        assert_eq!(
            (&shown["status"], &shown["amount"], &shown["fee"]),
            (&json!("RECLAIMED"), &json!(31), &json!(0))
        );
    }
    assert_eq!((app.sat("holders"), app.sat("fees_earned")), (62, 10));
    app.withdraw(&app.tipper, &json!({"flow": "tipper", "invoice": app.invoice(62)}), true).await.done();
    assert_eq!((app.sat("holders"), app.sat("fees_earned"), app.sat("lightning")), (0, 10, -10));
    app.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payout_that_fails_after_the_expiry_is_a_reclaim_like_any_other() {
    let app = TestApp::with_rules(|rules| rules.return_fee = true).await;
    let tip = app.claimed(&json!({"claimWebhookUrl": "https://hook.example/claim"})).await;
    let invoice = app.begin(&app.friend, "tippee", &tip, 21).await;
    app.clock.advance(Duration::from_secs(86_500));
    app.upkeep().await;
    assert_eq!(app.status(&tip).await, "CLAIMED+");
    app.finish(false);
    assert!(!app.reached(&invoice));
    let shown = app.shown(&tip).await;
    assert_eq!(
        (&shown["status"], &shown["amount"], &shown["fee"]),
        (&json!("RECLAIMED"), &json!(31), &json!(0))
    );
    let told: Vec<_> = app.sent().into_iter().map(|(_, payload)| payload.contains("tip.reclaimed")).collect();
    assert_eq!(told, [false, true]);
    app.audit();
}
