//! What came back goes on to the tipper's lightning address.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;

use super::test_app::{TIPS, TestApp, id, members};
use crate::http::keys::Scope;

/// The tipper's id, once they have told their address.
async fn with_address(app: &TestApp) -> String {
    let user = app.get(&app.tipper, "/api/auth/session").await.ok()["id"].as_str().unwrap().to_owned();
    let body = json!({"lightningAddress": "tipper@wallet.example"});
    app.put(&app.tipper, &format!("/api/users/{user}"), &body).await.done();
    user
}

async fn round(app: &TestApp) -> usize {
    app.tips.refund_due().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_tip_goes_to_the_address_by_itself() {
    let app = TestApp::new().await;
    with_address(&app).await;
    let group = app.funded(&json!({"quantity": 3, "amount": 100})).await;
    let kept = app.tip(&json!({"expiry": "2027-06-01T00:00:00Z"})).await;
    assert_eq!(round(&app).await, 0);
    assert_eq!(app.addresses.asked_for(), Vec::<u64>::new());
    app.clock.advance(super::test_app::DAY);
    app.upkeep().await;
    assert_eq!(round(&app).await, 1);
    assert_eq!(app.addresses.asked_for(), [300]);
    // While the payout runs, and after it, there is nothing to ask for.
    assert_eq!(round(&app).await, 0);
    app.finish(true);
    assert_eq!(round(&app).await, 0);
    assert_eq!(app.addresses.asked_for(), Vec::<u64>::new());
    for tip in members(&group) {
        assert_eq!(app.status(&tip).await, "REFUNDED");
    }
    assert_eq!((app.status(&kept).await, app.sat("holders")), ("UNSEEN".into(), 21));
    app.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_told_an_address_late_is_paid_then() {
    let app = TestApp::new().await;
    let tip = app.tip(&json!({})).await;
    app.reclaim(&tip, false).await.done();
    assert_eq!(round(&app).await, 0);
    with_address(&app).await;
    assert_eq!(round(&app).await, 1);
    app.finish(true);
    assert_eq!(app.status(&tip).await, "REFUNDED");
    app.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_refuses_is_asked_again_ever_more_seldom() {
    let app = TestApp::new().await;
    with_address(&app).await;
    let tip = app.tip(&json!({})).await;
    app.reclaim(&tip, false).await.done();
    app.addresses.refuse.store(true, Ordering::SeqCst);
    for minutes in [1, 2, 4, 8] {
        assert_eq!(round(&app).await, 0);
        assert_eq!(app.addresses.asked_for(), [21], "{minutes}");
        app.clock.advance(Duration::from_secs(60 * minutes - 1));
        round(&app).await;
        assert_eq!(app.addresses.asked_for(), Vec::<u64>::new(), "{minutes}");
        app.clock.advance(Duration::from_secs(1));
    }
    app.addresses.refuse.store(false, Ordering::SeqCst);
    assert_eq!(round(&app).await, 1);
    app.finish(true);
    assert_eq!(app.status(&tip).await, "REFUNDED");
    app.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_that_fails_counts_once_however_many_tips_it_had() {
    let app = TestApp::new().await;
    with_address(&app).await;
    let group = app.funded(&json!({"quantity": 20})).await;
    app.post(&app.tipper, &format!("/api/tipGroups/{}/reclaim", id(&group)), &json!({})).await.done();
    assert_eq!(round(&app).await, 1);
    app.finish(false);
    assert_eq!(app.status(&members(&group)[7]).await, "RECLAIMED");
    assert_eq!(round(&app).await, 0);
    app.clock.advance(Duration::from_secs(300));
    assert_eq!(round(&app).await, 1);
    app.finish(true);
    assert_eq!(app.status(&members(&group)[7]).await, "REFUNDED");
    assert_eq!(app.addresses.asked_for(), [420, 420]);
    app.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tippee_s_failures_do_not_put_off_the_tipper_s_refund() {
    let app = TestApp::new().await;
    with_address(&app).await;
    let (other, tip) = (app.claimed(&json!({})).await, app.tip(&json!({})).await);
    for _ in 0..5 {
        let body = json!({"flow": "tippee", "tipId": other, "invoice": app.invoice(21)});
        app.withdraw(&app.friend, &body, false).await.is_error(409, "WITHDRAWAL_FAILED");
    }
    app.reclaim(&tip, false).await.done();
    assert_eq!(round(&app).await, 1);
    app.finish(true);
    assert_eq!(app.status(&tip).await, "REFUNDED");
    app.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_and_one_tips_go_back_in_two_payouts() {
    let app = TestApp::new().await;
    with_address(&app).await;
    let group = app.funded(&json!({"quantity": 500})).await;
    let single = app.tip(&json!({"amount": 1})).await;
    app.post(&app.tipper, &format!("/api/tipGroups/{}/reclaim", id(&group)), &json!({})).await.done();
    app.reclaim(&single, false).await.done();
    assert_eq!((round(&app).await, round(&app).await, round(&app).await), (1, 1, 0));
    assert_eq!(app.addresses.asked_for(), [10_500, 1]);
    app.finish(true);
    assert_eq!((app.sat("holders"), app.sat("in_flight")), (0, 0));
    assert_eq!(
        (app.status(&single).await, app.status(&members(&group)[499]).await),
        ("REFUNDED".into(), "REFUNDED".into())
    );
    app.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_or_the_tipper_may_ask_for_it_now() {
    let app = TestApp::new().await;
    let scheduler = app.key(&[Scope::Scheduler], "cron").await;
    let tip = app.tip(&json!({})).await;
    app.reclaim(&tip, false).await.done();
    let list = format!("/api/users?refundable=true&apiKey={scheduler}");
    let user = id(&app.get("", &list).await.ok()[0]);
    let path = format!("/api/users/{user}/refundToLightningAddress");
    let ask = async |key: &str, query: &str| app.post(key, &format!("{path}{query}"), &json!({})).await;
    let by_scheduler = format!("?apiKey={scheduler}");
    ask("", "").await.is_error(401, "UNAUTHORIZED");
    ask(&app.friend, "").await.is_error(403, "FORBIDDEN");
    // There is no address yet.
    ask("", &by_scheduler).await.is_error(404, "NOT_FOUND");
    assert_eq!(app.get("", &format!("{list}&hasLightningAddress=true")).await.text, "[]");
    assert_eq!(with_address(&app).await, user);
    let listed = app.get("", &format!("{list}&hasLightningAddress=true")).await.ok();
    assert!(listed[0]["lightningAddress"].as_str().unwrap().ends_with("wallet.example"), "{listed}");
    app.addresses.refuse.store(true, Ordering::SeqCst);
    let refused = ask("", &by_scheduler).await;
    refused.is_error(422, "ADDRESS_REFUSES");
    assert!(refused.text.contains("out of range"), "the host's reason: {}", refused.text);
    app.addresses.refuse.store(false, Ordering::SeqCst);
    ask(&app.tipper, "").await.done();
    ask("", &by_scheduler).await.is_error(409, "NOTHING_TO_WITHDRAW");
    app.finish(true);
    assert_eq!(app.status(&tip).await, "REFUNDED");
    assert_eq!(app.get("", &list).await.text, "[]");
    app.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_takes_back_what_is_over_and_nothing_else() {
    let app = TestApp::new().await;
    let scheduler = app.key(&[Scope::Scheduler], "cron").await;
    let (tip, late) =
        (app.claimed(&json!({})).await, app.tip(&json!({"expiry": "2027-06-01T00:00:00Z"})).await);
    let take = async |tip: &str| {
        app.post("", &format!("/api/tipper/tips/{tip}/reclaim?apiKey={scheduler}"), &json!({"force": true}))
            .await
    };
    take(&tip).await.is_error(409, "TIP_NOT_EXPIRED");
    app.clock.advance(super::test_app::DAY);
    let list = format!("/api/tipper/tips?reclaimable=true&expired=true&apiKey={scheduler}");
    let due = app.get("", &list).await.ok();
    let handles: Vec<_> = due.as_array().unwrap().iter().map(id).collect();
    assert!(handles.len() == 1 && handles[0] != tip, "{handles:?}");
    take(&handles[0]).await.done();
    take(&late).await.is_error(409, "TIP_NOT_EXPIRED");
    assert_eq!(app.status(&tip).await, "RECLAIMED");
    assert_eq!(app.get("", &list).await.text, "[]");
}

/// With a scheduler's key alone nobody learns what opens a tip, or who it is for.
#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_s_lists_open_nothing() {
    let app = TestApp::new().await;
    let scheduler = app.key(&[Scope::Scheduler], "cron").await;
    let single = json!({
        "onboardingFlow": "SKIP", "tippeeName": "Ada", "note": "for your talk", "generatePassphrase": true,
        "passphraseLength": 3, "withdrawWebhookUrl": "https://hooks.example/secret",
    });
    let skip = app.tip(&single).await;
    let group = app.post(&app.tipper, TIPS, &app.body(&json!({"quantity": 3}))).await.ok();
    app.fund(&group);
    let mine = app.get(&app.tipper, &format!("{TIPS}?withGroups=true")).await;
    let words =
        mine.ok().as_array().unwrap().iter().find_map(|tip| tip["passphrase"].as_str().map(str::to_owned));
    let mut secrets =
        vec![skip, id(&group), words.unwrap(), "Ada".into(), "for your talk".into(), "hooks.example".into()];
    secrets.extend(group["tips"].as_array().unwrap().iter().map(id));
    for query in ["", "&withGroups=true", "&limit=2", "&reclaimable=true&expired=true"] {
        let answer = app.get("", &format!("{TIPS}?apiKey={scheduler}{query}")).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        for secret in &secrets {
            assert!(!answer.text.contains(secret.as_str()), "{query}: {secret} in {}", answer.text);
        }
    }
    let first = app.get("", &format!("{TIPS}?apiKey={scheduler}")).await.ok()[0].clone();
    let handle = id(&first);
    for path in [format!("/api/tippee/tips/{handle}"), format!("/api/tipper/tips/{handle}")] {
        assert_ne!(app.get("", &path).await.status, 200, "{path}");
    }
    app.post("", &format!("{TIPS}/{handle}/reclaim?apiKey={scheduler}"), &json!({}))
        .await
        .is_error(409, "TIP_NOT_EXPIRED");
}

/// In a header a key that opens `tips` too is a tipper's, for its own tips alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_tipper_who_may_do_more_is_a_tipper() {
    let app = TestApp::new().await;
    let others = app.tip(&json!({})).await;
    for scopes in [&[Scope::Tips, Scope::Scheduler][..], &[Scope::Admin][..]] {
        let key = app.key(scopes, "both").await;
        let own = app.post(&key, TIPS, &app.body(&json!({}))).await.ok();
        app.fund(&own);
        let listed = app.get(&key, TIPS).await.ok();
        assert!(listed.as_array().unwrap().iter().all(|tip| tip["tipperId"] == own["tipperId"]));
        app.post(&key, &format!("{TIPS}/{}/reclaim", id(&own)), &json!({})).await.done();
        app.post(&key, &format!("{TIPS}/{others}/reclaim"), &json!({})).await.is_error(403, "FORBIDDEN");
    }
}
