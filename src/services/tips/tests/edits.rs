//! What a tipper may still change, and what the world is told.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::answer::keys;
use super::test_app::{TIPS, TestApp, id, members};

#[tokio::test(flavor = "multi_thread")]
async fn what_an_edit_leaves_out_goes_or_stays() {
    let app = TestApp::new().await;
    let tip = id(&app.order(&json!({
        "tippeeName": "Bob", "tippeeLocale": "th", "currency": "USD", "note": "Thanks", "recommendedWalletId": "wos",
        "claimWebhookUrl": "https://hook.example/c", "withdrawWebhookUrl": "https://hook.example/w",
        "advertisementUrl": "https://ad.example", "advertisementImageUrl": "https://ad.example/i.png",
        "onboardingFlow": "LIGHTNING", "anonymousTipper": true,
    })).await.ok());
    let before = app.shown(&tip).await;
    // Amount, quantity and type can't be changed.
    let body = json!({"note": "Other", "amount": 99, "quantity": 5, "type": "x"});
    let after = app.put(&app.tipper, &format!("{TIPS}/{tip}"), &body).await.ok();
    assert_eq!(after["note"], "Other");
    for gone in [
        "tippeeName",
        "tippeeLocale",
        "currency",
        "recommendedWalletId",
        "claimWebhookUrl",
        "withdrawWebhookUrl",
        "advertisementUrl",
        "advertisementImageUrl",
    ] {
        assert!(before[gone].is_string() && after[gone].is_null(), "{gone}");
    }
    for kept in ["expiry", "onboardingFlow", "anonymousTipper", "amount", "fee", "invoice", "status"] {
        assert_eq!(before[kept], after[kept], "{kept}");
    }
    assert_eq!(app.shown(&tip).await, after);
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_8_an_edit_keeps_words_of_the_same_number_and_takes_no_odd_numbers() {
    let app = TestApp::new().await;
    let path =
        format!("{TIPS}/{}", app.tip(&json!({"generatePassphrase": true, "passphraseLength": 3})).await);
    let words = async |body: Value| app.put(&app.tipper, &path, &body).await.ok()["passphrase"].clone();
    let first = app.get(&app.tipper, &path).await.ok()["passphrase"].clone();
    assert_eq!(words(json!({"generatePassphrase": true, "passphraseLength": 3})).await, first);
    let longer = words(json!({"generatePassphrase": true, "passphraseLength": 5})).await;
    assert_eq!(longer.as_str().unwrap().split(' ').count(), 5);
    for wrong in [json!(0), json!(1), json!(7), json!(1_000_000), json!("3"), json!(null)] {
        let body = json!({"generatePassphrase": true, "passphraseLength": wrong});
        app.put(&app.tipper, &path, &body).await.is_error(400, "PASSPHRASE_LENGTH_INVALID");
    }
    assert_eq!(app.get(&app.tipper, &path).await.ok()["passphrase"], longer);
    assert!(words(json!({})).await.is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_6_who_has_claimed_keeps_the_time_that_was_promised() {
    let app = TestApp::new().await;
    let tip = app.claimed(&json!({"expiry": "2027-03-01T00:00:00.000Z"})).await;
    let path = format!("{TIPS}/{tip}");
    let sooner = json!({"expiry": "2027-02-28T00:00:00.000Z"});
    app.put(&app.tipper, &path, &sooner).await.is_error(409, "TIP_CLAIMED");
    let later = json!({"expiry": "2027-04-01T00:00:00.000Z"});
    assert_eq!(app.put(&app.tipper, &path, &later).await.ok()["expiry"], later["expiry"]);
    // The new date is the one that counts.
    app.clock.advance(super::test_app::DAY * 50);
    app.upkeep().await;
    assert_eq!(app.status(&tip).await, "CLAIMED");
    app.clock.advance(super::test_app::DAY * 30);
    app.upkeep().await;
    assert_eq!(app.status(&tip).await, "RECLAIMED");
    // Of what nobody has claimed the end may be moved forward.
    let free = app.tip(&json!({"expiry": "2028-03-01T00:00:00.000Z"})).await;
    let soon = json!({"expiry": "2027-12-01T00:00:00.000Z"});
    assert_eq!(app.put(&app.tipper, &format!("{TIPS}/{free}"), &soon).await.status, 200);
    // Past and nonsense are refused as in an order.
    for wrong in ["2020-01-01T00:00:00Z", "soon"] {
        let body = json!({ "expiry": wrong });
        app.put(&app.tipper, &format!("{TIPS}/{free}"), &body).await.is_error(400, "EXPIRY_INVALID");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_changed_as_a_whole_and_tip_by_tip() {
    let app = TestApp::new().await;
    let group = app.funded(&json!({"quantity": 3, "note": "Old"})).await;
    let tips = members(&group);
    app.reclaim(&tips[1], false).await.done();
    let path = format!("/api/tipGroups/{}/tips", id(&group));
    let body = json!({
        "tippeeNames": ["A", "B"], "note": "Hi {{name}}", "enableStaticLink": true, "onboardingFlow": "SKIP",
        "generatePassphrase": true, "passphraseLength": 3,
    });
    let shown = app.put(&app.tipper, &path, &body).await;
    assert_eq!(keys(&shown.text).last().unwrap(), "enableStaticLink");
    let shown = shown.ok();
    assert_eq!(shown["enableStaticLink"], true);
    let notes: Vec<_> = shown["tips"].as_array().unwrap().iter().map(|tip| tip["note"].clone()).collect();
    assert_eq!(notes, ["Hi A", "Old", "Hi Anon"], "what came back stays as it was");
    let words = |index: usize| shown["tips"][index]["passphrase"].clone();
    assert!(words(0).is_string() && words(0) != words(2) && words(1).is_null());
    let bad = json!({"note": "x".repeat(1_001)});
    app.put(&app.tipper, &path, &bad).await.is_error(400, "NOTE_INVALID");
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_7_webhooks_are_guarded_and_queued_with_what_they_tell() {
    let app = TestApp::new().await;
    for bad in [
        "http://127.0.0.1/x",
        "https://10.0.0.1/",
        "https://[::1]/",
        "https://localhost/",
        "ftp://hook.example/",
    ] {
        let body = json!({ "claimWebhookUrl": bad });
        app.order(&body).await.is_error(400, "CLAIM_WEBHOOK_URL_INVALID");
    }
    let hooks = json!({
        "claimWebhookUrl": "https://hook.example/claim", "withdrawWebhookUrl": "https://hook.example/withdraw",
    });
    let tip = app.claimed(&hooks).await;
    let claimed = format!(
        r#"{{"content":"21 sats have been claimed!","event":"tip.claimed","tipId":"{tip}","amount":21,"status":"CLAIMED"}}"#
    );
    assert_eq!(app.sent(), [("https://hook.example/claim".to_owned(), claimed)]);
    let pay = async |arrives: bool| {
        let body = json!({"flow": "tippee", "invoice": app.invoice(21)});
        app.withdraw(&app.friend, &body, arrives).await
    };
    pay(false).await.is_error(409, "WITHDRAWAL_FAILED");
    assert_eq!(app.sent().len(), 1, "nothing has been withdrawn");
    pay(true).await.done();
    let sent = app.sent();
    assert_eq!((sent.len(), sent[1].0.as_str()), (2, "https://hook.example/withdraw"));
    assert!(sent[1].1.starts_with(r#"{"content":"21 sats have been withdrawn!","event":"tip.withdrawn""#));
    // A withdrawal by link is told too, a refund is not.
    let mut skip = hooks.clone();
    skip["onboardingFlow"] = json!("SKIP");
    let (spent, back) = (app.tip(&skip).await, app.tip(&skip).await);
    let anonymous = json!({"flow": "anonymous", "tipId": spent, "invoice": app.invoice(21)});
    app.withdraw("", &anonymous, true).await.done();
    app.reclaim(&back, false).await.done();
    app.withdraw(&app.tipper, &json!({"flow": "tipper", "invoice": app.invoice(21)}), true).await.done();
    assert_eq!(app.sent().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_1_no_tip_is_open_before_its_sats_are_here() {
    let app = TestApp::new().await;
    app.order(&json!({"type": "NON_CUSTODIAL_NWC"})).await.is_error(400, "TYPE_NOT_SUPPORTED");
    let tip = id(&app.order(&json!({"type": "CUSTODIAL"})).await.ok());
    app.see(&tip).await;
    app.claim(&app.friend, &tip).await.is_error(409, "TIP_UNFUNDED");
    app.reclaim(&tip, true).await.is_error(409, "TIP_UNFUNDED");
    assert!(app.balances().values().all(|msat| *msat == 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_whose_invoice_fails_leaves_nothing_and_a_lost_renewal_is_made_later() {
    let app = TestApp::new().await;
    let made = app.order(&json!({"expiry": "2027-03-01T00:00:00Z"})).await.ok();
    app.clock.advance(super::test_app::DAY);
    app.node.running.store(false, Ordering::SeqCst);
    app.order(&json!({})).await.is_error(503, "UNAVAILABLE");
    // A look at it works all the same; the new invoice comes with the next one.
    assert_eq!(app.shown(&id(&made)).await["invoice"], made["invoice"]);
    app.node.running.store(true, Ordering::SeqCst);
    assert_ne!(app.shown(&id(&made)).await["invoice"], made["invoice"]);
    assert_eq!(app.get(&app.tipper, TIPS).await.ok().as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tip_that_nobody_need_claim_tells_of_no_claim() {
    let app = TestApp::new().await;
    let hooks = json!({"onboardingFlow": "SKIP", "claimWebhookUrl": "https://hook.example/c"});
    let tip = app.claimed(&hooks).await;
    app.reclaim(&tip, true).await.done();
    assert_eq!(app.sent(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_can_not_be_put_off_or_seen_any_more() {
    let app = TestApp::new().await;
    let tip = app.tip(&json!({})).await;
    app.clock.advance(super::test_app::DAY);
    let later = json!({"expiry": "2029-01-01T00:00:00.000Z"});
    app.put(&app.tipper, &format!("{TIPS}/{tip}"), &later).await.is_error(409, "TIP_OVER");
    app.see(&tip).await;
    assert_eq!(app.status(&tip).await, "UNSEEN");
}
