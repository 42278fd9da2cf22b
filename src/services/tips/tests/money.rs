//! To the millisatoshi: what is paid, owed, earned and given back.

use std::time::Duration;

use serde_json::json;

use super::house::{DAY, House, TIPS, id, members, parse};

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
    let house = House::new().await;
    let (mut earned, mut paid) = (0_i64, 0_i64);
    for (amount, fee) in FEES {
        let made = house.order(&json!({"amount": amount, "onboardingFlow": "SKIP"})).await.ok();
        assert_eq!((&made["amount"], &made["fee"]), (&json!(amount), &json!(fee)));
        let asked = parse(made["invoice"].as_str().unwrap()).amount_milli_satoshis();
        assert_eq!(asked, Some((amount + fee) * 1_000));
        house.fund(&made);
        earned += i64::try_from(fee).unwrap();
        assert_eq!(house.sat("fees_earned"), earned);
        assert_eq!(house.sat("holders"), i64::try_from(amount).unwrap());
        let invoice = house.invoice(amount);
        let body = json!({"flow": "anonymous", "tipId": id(&made), "invoice": invoice});
        house.withdraw("", &body, true).await.done();
        paid += i64::try_from(amount).unwrap();
        assert!(house.reached(&invoice));
        assert_eq!((house.sat("holders"), house.sat("in_flight")), (0, 0));
    }
    assert_eq!(house.sat("lightning"), -earned);
    assert_eq!(paid, FEES.iter().map(|(amount, _)| i64::try_from(*amount).unwrap()).sum::<i64>());
    house.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_costs_refunds_and_comes_back_to_the_sat() {
    let house = House::new().await;
    let group = house.order(&json!({"quantity": 100})).await.ok();
    let asked = parse(group["invoice"].as_str().unwrap()).amount_milli_satoshis();
    assert_eq!(asked, Some(3_100_000));
    house.fund(&group);
    assert_eq!((house.sat("holders"), house.sat("fees_earned")), (2_100, 1_000));
    let path = format!("/api/tipGroups/{}/reclaim", id(&group));
    house.post(&house.tipper, &path, &json!({})).await.done();
    assert_eq!((house.sat("holders"), house.sat("fees_earned")), (2_100, 1_000));
    let invoice = house.invoice(2_100);
    house.withdraw(&house.tipper, &json!({"flow": "tipper", "invoice": invoice}), true).await.done();
    assert!(house.reached(&invoice));
    assert_eq!((house.sat("holders"), house.sat("lightning")), (0, -1_000));
    for tip in members(&group) {
        assert_eq!(house.status(&tip).await, "REFUNDED");
    }
    house.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_payout_moves_nothing_and_may_be_tried_again() {
    let house = House::new().await;
    let tip = house.claimed(&json!({})).await;
    let before = house.balances();
    let (first, second) = (house.invoice(21), house.invoice(21));
    let body = |invoice: &str| json!({"flow": "tippee", "invoice": invoice});
    house.withdraw(&house.friend, &body(&first), false).await.is_error(409, "WITHDRAWAL_FAILED");
    assert_eq!((house.balances(), house.status(&tip).await), (before.clone(), "CLAIMED".into()));
    assert!(house.shown(&tip).await["withdrawalId"].is_null());
    // The wallet's invoice is used up.
    house.withdraw(&house.friend, &body(&first), true).await.is_error(409, "INVOICE_USED");
    assert_eq!(house.balances(), before);
    house.withdraw(&house.friend, &body(&second), true).await.done();
    assert_eq!(house.status(&tip).await, "WITHDRAWN");
    assert!(house.shown(&tip).await["withdrawalId"].is_string());
    assert!(!house.reached(&first) && house.reached(&second));
    house.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn late_money_for_a_replaced_invoice_funds_and_for_both_is_a_credit() {
    let house = House::new().await;
    let made = house.order(&json!({"expiry": "2027-02-15T00:00:00.000Z"})).await.ok();
    let tip = id(&made);
    house.clock.advance(DAY);
    house.upkeep().await;
    let renewed = house.shown(&tip).await;
    assert_ne!(renewed["invoice"], made["invoice"]);
    assert_eq!(renewed["status"], "UNFUNDED");
    assert_eq!(house.shown(&tip).await["invoice"], renewed["invoice"], "one renewal a day");
    house.fund(&made);
    assert_eq!(house.status(&tip).await, "UNSEEN");
    assert_eq!((house.sat("holders"), house.sat("fees_earned")), (21, 10));
    // And then for the new one too: all of it is a tip of the tipper's that came back.
    house.fund(&renewed);
    let all = house.get(&house.tipper, TIPS).await.ok();
    let credit = &all[0];
    assert_eq!(all.as_array().unwrap().len(), 2);
    assert_eq!(
        (&credit["status"], &credit["amount"], &credit["fee"]),
        (&json!("RECLAIMED"), &json!(31), &json!(0))
    );
    assert_eq!((house.sat("holders"), house.sat("fees_earned")), (52, 10));
    house.audit();
    let invoice = house.invoice(31);
    house.withdraw(&house.tipper, &json!({"flow": "tipper", "invoice": invoice}), true).await.done();
    assert_eq!(
        (house.status(&id(credit)).await, house.status(&tip).await),
        ("REFUNDED".into(), "UNSEEN".into())
    );
    assert_eq!((house.sat("holders"), house.sat("fees_earned")), (21, 10));
    house.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_before_it_is_paid_gets_no_new_invoice_and_goes_back_with_its_fee() {
    let house = House::new().await;
    for order in [json!({}), json!({"quantity": 3})] {
        let made = house.order(&order).await.ok();
        let each = if order == json!({}) { 1 } else { 3 };
        let path = match made.get("tips") {
            None => format!("{TIPS}/{}", id(&made)),
            Some(_) => format!("/api/tipGroups/{}", id(&made)),
        };
        let (owed, earned) = (house.sat("holders"), house.sat("fees_earned"));
        house.clock.advance(DAY);
        house.upkeep().await;
        assert_eq!(house.get(&house.tipper, &path).await.ok()["invoice"], made["invoice"]);
        house.fund(&made);
        assert_eq!((house.sat("holders") - owed, house.sat("fees_earned") - earned), (31 * each, 0));
        house.audit();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_s_old_invoice_funds_it_and_both_make_a_credit() {
    let house = House::new().await;
    let made = house.order(&json!({"quantity": 3, "expiry": "2027-02-15T00:00:00.000Z"})).await.ok();
    let path = format!("/api/tipGroups/{}", id(&made));
    house.clock.advance(DAY);
    house.upkeep().await;
    let renewed = house.get(&house.tipper, &path).await.ok();
    assert_ne!(renewed["invoice"], made["invoice"]);
    house.fund(&made);
    let funded = house.get(&house.tipper, &path).await.ok();
    assert_eq!((&funded["status"], &funded["invoice"]), (&json!("FUNDED"), &made["invoice"]));
    assert!(funded["tips"].as_array().unwrap().iter().all(|tip| tip["status"] == "UNSEEN"));
    house.fund(&renewed);
    let credit = house.get(&house.tipper, TIPS).await.ok()[0].clone();
    assert_eq!((&credit["status"], &credit["amount"]), (&json!("RECLAIMED"), &json!(93)));
    assert_eq!((house.sat("holders"), house.sat("fees_earned")), (63 + 93, 30));
    house.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_and_paid_all_the_same_goes_back_whole() {
    let house = House::new().await;
    let (tip, group) = (house.order(&json!({})).await.ok(), house.order(&json!({"quantity": 2})).await.ok());
    house.delete(&house.tipper, &format!("{TIPS}/{}", id(&tip))).await.ok();
    house.delete(&house.tipper, &format!("/api/tipGroups/{}", id(&group))).await.ok();
    house.fund(&tip);
    house.fund(&group);
    assert_eq!((house.sat("holders"), house.sat("fees_earned")), (93, 0));
    for tip in members(&group).into_iter().chain([id(&tip)]) {
        let shown = house.shown(&tip).await;
        assert_eq!(
            (&shown["status"], &shown["amount"], &shown["fee"]),
            (&json!("RECLAIMED"), &json!(31), &json!(0))
        );
    }
    house.audit();
    house
        .withdraw(&house.tipper, &json!({"flow": "tipper", "invoice": house.invoice(93)}), true)
        .await
        .done();
    assert_eq!((house.sat("holders"), house.sat("lightning")), (0, 0));
    house.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wrong_amount_for_a_funding_invoice() {
    let house = House::new().await;
    let (low, high) = (house.order(&json!({})).await.ok(), house.order(&json!({})).await.ok());
    let invoice = |made: &serde_json::Value| parse(made["invoice"].as_str().unwrap());
    house.pay(&invoice(&low), 30_000);
    house.pay(&invoice(&high), 40_000);
    assert_eq!(
        (house.status(&id(&low)).await, house.status(&id(&high)).await),
        ("UNFUNDED".into(), "UNSEEN".into())
    );
    assert_eq!((house.sat("holders"), house.sat("fees_earned")), (21, 10));
    house.audit_with_suspense(39);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_of_a_tip_here_is_settled_inside_the_books() {
    let house = House::new().await;
    let from = house.tip(&json!({"amount": 31, "onboardingFlow": "SKIP"})).await;
    let to = house.order(&json!({"amount": 21})).await.ok();
    let body = json!({"flow": "anonymous", "tipId": from, "invoice": to["invoice"]});
    house.withdraw("", &body, true).await.done();
    assert_eq!(
        (house.status(&from).await, house.status(&id(&to)).await),
        ("WITHDRAWN".into(), "UNSEEN".into())
    );
    assert!(house.sim.delivered().is_empty());
    assert_eq!((house.sat("holders"), house.sat("fees_earned"), house.sat("lightning")), (21, 20, -41));
    house.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn with_return_fee_a_tip_brings_its_fee_back() {
    let house = House::with_rules(|rules| rules.return_fee = true).await;
    let (reclaimed, expired, spent) =
        (house.tip(&json!({})).await, house.claimed(&json!({})).await, house.claimed(&json!({})).await);
    let body = json!({"flow": "tippee", "tipId": spent, "invoice": house.invoice(21)});
    house.withdraw(&house.friend, &body, true).await.done();
    house.reclaim(&reclaimed, false).await.done();
    assert_eq!((house.sat("holders"), house.sat("fees_earned")), (52, 20));
    house.clock.advance(DAY);
    house.upkeep().await;
    for tip in [&reclaimed, &expired] {
        let shown = house.shown(tip).await;
        assert_eq!(
            (&shown["status"], &shown["amount"], &shown["fee"]),
            (&json!("RECLAIMED"), &json!(31), &json!(0))
        );
    }
    assert_eq!((house.sat("holders"), house.sat("fees_earned")), (62, 10));
    house
        .withdraw(&house.tipper, &json!({"flow": "tipper", "invoice": house.invoice(62)}), true)
        .await
        .done();
    assert_eq!((house.sat("holders"), house.sat("fees_earned"), house.sat("lightning")), (0, 10, -10));
    house.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payout_that_fails_after_the_expiry_is_a_reclaim_like_any_other() {
    let house = House::with_rules(|rules| rules.return_fee = true).await;
    let tip = house.claimed(&json!({"claimWebhookUrl": "https://hook.example/claim"})).await;
    let invoice = house.begin(&house.friend, "tippee", &tip, 21).await;
    house.clock.advance(Duration::from_secs(86_500));
    house.upkeep().await;
    assert_eq!(house.status(&tip).await, "CLAIMED+");
    house.finish(false);
    assert!(!house.reached(&invoice));
    let shown = house.shown(&tip).await;
    assert_eq!(
        (&shown["status"], &shown["amount"], &shown["fee"]),
        (&json!("RECLAIMED"), &json!(31), &json!(0))
    );
    let told: Vec<_> =
        house.sent().into_iter().map(|(_, payload)| payload.contains("tip.reclaimed")).collect();
    assert_eq!(told, [false, true]);
    house.audit();
}
