//! Gifts that are taken to BOLT12 offers and to names of the DNS that have one.

use serde_json::{Value, json};

use super::test_app::{Answer, NOON, TestApp};
use crate::admin::GiftAdmin;
use crate::ledger::offer_payouts;
use crate::lightning::bolt12::tests as offers;
use crate::lightning::sim::Trap;
use crate::outbound::lnurl::fake::name_server;

async fn redeem(app: &TestApp, id: &str, to: &str) -> Answer {
    app.post(&format!("/redeem/{id}"), &json!({"invoice": to})).await
}

async fn state(app: &TestApp, id: &str) -> Value {
    app.get(&format!("/gift/{id}")).await.ok()["state"].clone()
}

fn arrived(app: &TestApp) -> Vec<u64> {
    app.sim.arrived_by_offer().into_iter().map(|(_, amount)| amount.sat_floor()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn gift_is_paid_to_an_offer_once() {
    let app = TestApp::new();
    let id = app.funded(json!({"amount": 1000})).await;
    let open = offers::offer(1, None);
    let begun = redeem(&app, &id, &open).await.ok();
    assert_eq!(super::test_app::keys(&begun.to_string()).len(), 2, "{begun}");
    let status = format!("/redeemStatus/{}", begun["withdrawalId"].as_str().unwrap());
    assert_eq!(app.get(&status).await.ok(), json!({"reference": open, "status": "initial"}));
    // The same offer, however it is written, is the same redemption; all else has to wait.
    for same in [open.clone(), open.to_uppercase(), format!("bitcoin:?lno={open}")] {
        assert_eq!(redeem(&app, &id, &same).await.ok(), begun);
    }
    let others = [offers::offer(2, None), app.invoice(1000), "me@wallet.example".to_owned()];
    for other in &others {
        redeem(&app, &id, other).await.is_error(400, "GIFT_REDEEM_PENDING");
    }
    assert!(app.addresses.asked_for().is_empty());
    app.pay_offers();
    assert_eq!(redeem(&app, &id, &open).await.ok(), begun);
    app.finish_offer(true);
    assert_eq!(app.get(&status).await.ok()["status"], "confirmed");
    let shown = app.get(&format!("/gift/{id}")).await.ok();
    assert_eq!((&shown["spent"], &shown["state"]), (&json!(true), &json!("redeemed")));
    let info = &shown["withdrawalInfo"];
    assert_eq!((&info["withdrawalInvoice"], &info["withdrawalId"]), (&json!(open), &begun["withdrawalId"]));
    assert_eq!(redeem(&app, &id, &open).await.ok(), begun);
    for other in &others {
        redeem(&app, &id, other).await.is_error(400, "GIFT_SPENT");
    }
    app.finish_offer(true);
    assert_eq!(arrived(&app), [1000]);
    // An offer is there to be paid again, by another gift.
    let other = app.funded(json!({"amount": 500})).await;
    assert_ne!(redeem(&app, &other, &open).await.ok(), begun);
    app.finish_offer(true);
    assert_eq!(arrived(&app), [1000, 500]);
    let told = GiftAdmin::show(&app.gifts, id.clone()).await.unwrap().unwrap();
    assert_eq!(
        (&told["payouts"][0]["id"], &told["payouts"][0]["status"]),
        (&begun["withdrawalId"], &json!("paid"))
    );
    app.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn gift_whose_offer_fails_is_open_again() {
    let app = TestApp::new();
    let id = app.funded(json!({"amount": 1000})).await;
    let k1 = async || app.get(&format!("/lnurl/{id}")).await.ok()["k1"].clone();
    let (open, shown) = (offers::offer(1, None), k1().await);
    let first = redeem(&app, &id, &open).await.ok();
    app.finish_offer(false);
    let status = format!("/redeemStatus/{}", first["withdrawalId"].as_str().unwrap());
    let told = app.get(&status).await.ok();
    assert_eq!((&told["status"], told["error"].is_string()), (&json!("failed"), true), "{told}");
    assert_eq!(state(&app, &id).await, "open");
    assert_ne!(k1().await, shown, "a code for wallets is good for one try");
    let again = redeem(&app, &id, &open).await.ok();
    assert_ne!(again, first);
    app.finish_offer(true);
    assert_eq!((state(&app, &id).await, arrived(&app)), (json!("redeemed"), vec![1000]));
    app.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn sender_takes_a_gift_back_to_an_offer() {
    let app = TestApp::new();
    let created = app.create(json!({"amount": 1000, "expiresAt": NOON / 1_000 + 60})).await;
    app.fund(&created);
    app.clock.advance(std::time::Duration::from_secs(61));
    let id = created["orderId"].as_str().unwrap();
    let open = offers::offer(1, Some(1_000_000));
    redeem(&app, id, &open).await.is_error(400, "GIFT_EXPIRED");
    let path = format!("/gift/{id}/refund");
    let body = json!({"key": created["manageKey"], "invoice": open});
    let begun = app.post(&path, &body).await.ok();
    assert_eq!(app.post(&path, &body).await.ok(), begun);
    // The recipient with the same offer is somebody else.
    redeem(&app, id, &open).await.is_error(400, "GIFT_REDEEM_PENDING");
    app.finish_offer(true);
    assert_eq!((state(&app, id).await, arrived(&app)), (json!("returned"), vec![1000]));
    let key = created["manageKey"].as_str().unwrap();
    let managed = app.get(&format!("/gift/{id}/manage?key={key}")).await.ok();
    let last = managed["history"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["event"], &last["withdrawalId"]), (&json!("returned"), &begun["withdrawalId"]));
    app.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn code_guards_an_offer_too() {
    let app = TestApp::new();
    let id = app.funded(json!({"amount": 1000, "verifyCode": 1234})).await;
    let open = offers::offer(1, None);
    redeem(&app, &id, &open).await.is_error(400, "BAD_VERIFY_CODE");
    let body = json!({"invoice": open, "verifyCode": 1234});
    app.post(&format!("/redeem/{id}"), &body).await.ok();
    app.finish_offer(true);
    assert_eq!(arrived(&app), [1000]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_once_one_offer_is_paid() {
    let app = TestApp::new();
    let id = app.funded(json!({"amount": 1000})).await;
    let path = format!("/redeem/{id}");
    let bodies: Vec<_> = (1..=20).map(|n| json!({"invoice": offers::offer(n, None)})).collect();
    let answers = futures_util::future::join_all(bodies.iter().map(|body| app.post(&path, body))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        answer.is_error(400, "GIFT_REDEEM_PENDING");
    }
    app.finish_offer(true);
    app.finish_offer(true);
    assert_eq!(arrived(&app), [1000]);
    app.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn gift_in_doubt_is_locked_through_a_restart() {
    let app = TestApp::new();
    let id = app.funded(json!({"amount": 1000})).await;
    let open = offers::offer(1, None);
    let begun = redeem(&app, &id, &open).await.ok();
    app.sim.set_trap(Trap::DieAfter);
    let died = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| app.pay_offers()));
    assert!(died.is_err());
    app.sim.set_trap(Trap::None);
    app.sim.restart(0, 0);
    let app = app.restarted();
    tokio::task::block_in_place(|| offer_payouts::mark_unknown(&app.ledger).unwrap());
    app.clock.advance(std::time::Duration::from_secs(86_400));
    assert_eq!(redeem(&app, &id, &open).await.ok(), begun);
    redeem(&app, &id, &app.invoice(1000)).await.is_error(400, "GIFT_REDEEM_PENDING");
    app.pay_offers();
    assert_eq!(app.sim.under_way_to_offers(), 1, "nothing is sent again");
    app.finish_offer(true);
    assert_eq!((state(&app, &id).await, arrived(&app)), (json!("redeemed"), vec![1000]));
    app.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn refusal_fits_the_offer() {
    let app = TestApp::new();
    let id = app.funded(json!({"amount": 1000})).await;
    let open = offers::offer(1, None);
    for (text, code, why) in [
        (open[..open.len() - 1].to_owned(), "BAD_INVOICE", "not all of one"),
        (offers::offer(1, Some(999_000)), "BAD_INVOICE_AMOUNT", "999 sat"),
        (offers::of_mainnet(), "BAD_INVOICE", "another network"),
        (offers::expired(), "BAD_INVOICE", "expired"),
        (offers::with_quantity(), "BAD_INVOICE", "quantity"),
        (offers::IN_DOLLARS.to_owned(), "BAD_INVOICE", "currency"),
        ("₿bob@wallet.example".to_owned(), "BAD_INVOICE", "DNS"),
    ] {
        let answer = redeem(&app, &id, &text).await;
        answer.is_error(400, code);
        let told = answer.json()["reason"].as_str().unwrap_or_default().to_owned();
        assert!(told.contains(why), "{text}: {told}");
    }
    // A wallet's callback takes an invoice alone.
    let offered = app.get(&format!("/lnurl/{id}")).await.ok();
    let k1 = offered["k1"].as_str().unwrap();
    app.get(&format!("/lnurl/{id}?k1={k1}&pr={open}")).await.is_lnurl_error("BAD_INVOICE");
    assert_eq!(state(&app, &id).await, "open");
}

#[tokio::test(flavor = "multi_thread")]
async fn name_leads_to_its_offer_or_else_to_its_lightning_address() {
    let open = offers::offer(1, None);
    let server = name_server(vec![
        ("bob", format!("bitcoin:bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080?lno={open}")),
        ("carol", "bitcoin:bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080".to_owned()),
        ("dave", format!("bitcoin:?lno={}", offers::expired())),
        ("erin", "bitcoin:?lightning=lnurlp://wallet.example/pay/1".to_owned()),
    ])
    .await;
    let app = TestApp::with_names(&server);
    for text in ["bob@example.com", "₿Bob@example.com"] {
        let id = app.funded(json!({"amount": 1000})).await;
        let begun = redeem(&app, &id, text).await.ok();
        let status = format!("/redeemStatus/{}", begun["withdrawalId"].as_str().unwrap());
        assert_eq!(app.get(&status).await.ok()["reference"], json!(open), "{text}");
        redeem(&app, &id, text).await.is_error(400, "GIFT_REDEEM_PENDING");
        app.finish_offer(true);
        assert_eq!(state(&app, &id).await, "redeemed");
    }
    assert_eq!(arrived(&app), [1000, 1000]);
    assert!(app.addresses.asked_for().is_empty(), "the DNS comes first");
    let created = app.create(json!({"amount": 700})).await;
    app.fund(&created);
    let id = created["orderId"].as_str().unwrap();
    for (text, status, code, why) in [
        ("₿frank@wallet.example", 400, "ADDRESS_INVALID", "no such name"),
        ("carol@example.com", 400, "ADDRESS_INVALID", "bitcoin address"),
        ("dave@example.com", 400, "BAD_INVOICE", "expired"),
    ] {
        let answer = redeem(&app, id, text).await;
        answer.is_error(status, code);
        assert!(answer.json()["reason"].as_str().unwrap().contains(why), "{}", answer.text);
    }
    // Not in the DNS: a lightning address. In the DNS with an LNURL: that one is asked.
    let back = json!({"key": created["manageKey"], "invoice": "erin@example.com"});
    app.post(&format!("/gift/{id}/refund"), &back).await.ok();
    app.finish(false);
    redeem(&app, id, "frank@wallet.example").await.ok();
    app.finish(true);
    assert_eq!(app.addresses.asked_for(), [700, 700]);
    assert_eq!(state(&app, id).await, "redeemed");
    app.audit();
}
