//! What came back goes on to the tipper's lightning address.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;

use super::house::{House, TIPS, id, members};
use crate::http::keys::Scope;

/// The tipper's id, once they have told their address.
async fn with_address(house: &House) -> String {
    let user = house.get(&house.tipper, "/api/auth/session").await.ok()["id"].as_str().unwrap().to_owned();
    let body = json!({"lightningAddress": "tipper@wallet.example"});
    house.put(&house.tipper, &format!("/api/users/{user}"), &body).await.done();
    user
}

async fn round(house: &House) -> usize {
    house.tips.refund_due().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_expires_goes_to_the_address_by_itself() {
    let house = House::new().await;
    with_address(&house).await;
    let group = house.funded(&json!({"quantity": 3, "amount": 100})).await;
    let kept = house.tip(&json!({"expiry": "2027-06-01T00:00:00Z"})).await;
    assert_eq!(round(&house).await, 0);
    assert_eq!(house.addresses.asked_for(), Vec::<u64>::new());
    house.clock.advance(super::house::DAY);
    house.upkeep().await;
    assert_eq!(round(&house).await, 1);
    assert_eq!(house.addresses.asked_for(), [300]);
    // While the payout runs, and after it, there is nothing to ask for.
    assert_eq!(round(&house).await, 0);
    house.finish(true);
    assert_eq!(round(&house).await, 0);
    assert_eq!(house.addresses.asked_for(), Vec::<u64>::new());
    for tip in members(&group) {
        assert_eq!(house.status(&tip).await, "REFUNDED");
    }
    assert_eq!((house.status(&kept).await, house.sat("holders")), ("UNSEEN".into(), 21));
    house.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_told_an_address_late_is_paid_then() {
    let house = House::new().await;
    let tip = house.tip(&json!({})).await;
    house.reclaim(&tip, false).await.done();
    assert_eq!(round(&house).await, 0);
    with_address(&house).await;
    assert_eq!(round(&house).await, 1);
    house.finish(true);
    assert_eq!(house.status(&tip).await, "REFUNDED");
    house.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_refuses_is_asked_again_ever_more_seldom() {
    let house = House::new().await;
    with_address(&house).await;
    let tip = house.tip(&json!({})).await;
    house.reclaim(&tip, false).await.done();
    house.addresses.refuse.store(true, Ordering::SeqCst);
    for minutes in [1, 2, 4, 8] {
        assert_eq!(round(&house).await, 0);
        assert_eq!(house.addresses.asked_for(), [21], "{minutes}");
        house.clock.advance(Duration::from_secs(60 * minutes - 1));
        round(&house).await;
        assert_eq!(house.addresses.asked_for(), Vec::<u64>::new(), "{minutes}");
        house.clock.advance(Duration::from_secs(1));
    }
    house.addresses.refuse.store(false, Ordering::SeqCst);
    assert_eq!(round(&house).await, 1);
    house.finish(true);
    assert_eq!(house.status(&tip).await, "REFUNDED");
    house.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_that_fails_counts_once_however_many_tips_it_had() {
    let house = House::new().await;
    with_address(&house).await;
    let group = house.funded(&json!({"quantity": 20})).await;
    house.post(&house.tipper, &format!("/api/tipGroups/{}/reclaim", id(&group)), &json!({})).await.done();
    assert_eq!(round(&house).await, 1);
    house.finish(false);
    assert_eq!(house.status(&members(&group)[7]).await, "RECLAIMED");
    assert_eq!(round(&house).await, 0);
    house.clock.advance(Duration::from_secs(300));
    assert_eq!(round(&house).await, 1);
    house.finish(true);
    assert_eq!(house.status(&members(&group)[7]).await, "REFUNDED");
    assert_eq!(house.addresses.asked_for(), [420, 420]);
    house.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tippee_s_failures_do_not_put_off_the_tipper_s_refund() {
    let house = House::new().await;
    with_address(&house).await;
    let (other, tip) = (house.claimed(&json!({})).await, house.tip(&json!({})).await);
    for _ in 0..5 {
        let body = json!({"flow": "tippee", "tipId": other, "invoice": house.invoice(21)});
        house.withdraw(&house.friend, &body, false).await.is_error(409, "WITHDRAWAL_FAILED");
    }
    house.reclaim(&tip, false).await.done();
    assert_eq!(round(&house).await, 1);
    house.finish(true);
    assert_eq!(house.status(&tip).await, "REFUNDED");
    house.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_and_one_tips_go_back_in_two_payouts() {
    let house = House::new().await;
    with_address(&house).await;
    let group = house.funded(&json!({"quantity": 500})).await;
    let single = house.tip(&json!({"amount": 1})).await;
    house.post(&house.tipper, &format!("/api/tipGroups/{}/reclaim", id(&group)), &json!({})).await.done();
    house.reclaim(&single, false).await.done();
    assert_eq!((round(&house).await, round(&house).await, round(&house).await), (1, 1, 0));
    assert_eq!(house.addresses.asked_for(), [10_500, 1]);
    house.finish(true);
    assert_eq!((house.sat("holders"), house.sat("in_flight")), (0, 0));
    assert_eq!(
        (house.status(&single).await, house.status(&members(&group)[499]).await),
        ("REFUNDED".into(), "REFUNDED".into())
    );
    house.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_or_the_tipper_may_ask_for_it_now() {
    let house = House::new().await;
    let scheduler = house.key(&[Scope::Scheduler], "cron").await;
    let tip = house.tip(&json!({})).await;
    house.reclaim(&tip, false).await.done();
    let list = format!("/api/users?refundable=true&apiKey={scheduler}");
    let user = id(&house.get("", &list).await.ok()[0]);
    let path = format!("/api/users/{user}/refundToLightningAddress");
    let ask = async |key: &str, query: &str| house.post(key, &format!("{path}{query}"), &json!({})).await;
    let by_scheduler = format!("?apiKey={scheduler}");
    ask("", "").await.is_error(401, "UNAUTHORIZED");
    ask(&house.friend, "").await.is_error(403, "FORBIDDEN");
    // There is no address yet.
    ask("", &by_scheduler).await.is_error(404, "NOT_FOUND");
    assert_eq!(house.get("", &format!("{list}&hasLightningAddress=true")).await.text, "[]");
    assert_eq!(with_address(&house).await, user);
    let listed = house.get("", &format!("{list}&hasLightningAddress=true")).await.ok();
    assert!(listed[0]["lightningAddress"].as_str().unwrap().ends_with("wallet.example"), "{listed}");
    house.addresses.refuse.store(true, Ordering::SeqCst);
    let refused = ask("", &by_scheduler).await;
    refused.is_error(422, "ADDRESS_REFUSES");
    assert!(refused.text.contains("out of range"), "the host's reason: {}", refused.text);
    house.addresses.refuse.store(false, Ordering::SeqCst);
    ask(&house.tipper, "").await.done();
    ask("", &by_scheduler).await.is_error(409, "NOTHING_TO_WITHDRAW");
    house.finish(true);
    assert_eq!(house.status(&tip).await, "REFUNDED");
    assert_eq!(house.get("", &list).await.text, "[]");
    house.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_takes_back_what_is_over_and_nothing_else() {
    let house = House::new().await;
    let scheduler = house.key(&[Scope::Scheduler], "cron").await;
    let (tip, late) =
        (house.claimed(&json!({})).await, house.tip(&json!({"expiry": "2027-06-01T00:00:00Z"})).await);
    let take = async |tip: &str| {
        house
            .post("", &format!("/api/tipper/tips/{tip}/reclaim?apiKey={scheduler}"), &json!({"force": true}))
            .await
    };
    take(&tip).await.is_error(409, "TIP_NOT_EXPIRED");
    house.clock.advance(super::house::DAY);
    let list = format!("/api/tipper/tips?reclaimable=true&expired=true&apiKey={scheduler}");
    let due = house.get("", &list).await.ok();
    let handles: Vec<_> = due.as_array().unwrap().iter().map(id).collect();
    assert!(handles.len() == 1 && handles[0] != tip, "{handles:?}");
    take(&handles[0]).await.done();
    take(&late).await.is_error(409, "TIP_NOT_EXPIRED");
    assert_eq!(house.status(&tip).await, "RECLAIMED");
    assert_eq!(house.get("", &list).await.text, "[]");
}

/// With a scheduler's key alone nobody learns what opens a tip, or who it is for.
#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_s_lists_open_nothing() {
    let house = House::new().await;
    let scheduler = house.key(&[Scope::Scheduler], "cron").await;
    let single = json!({
        "onboardingFlow": "SKIP", "tippeeName": "Ada", "note": "for your talk", "generatePassphrase": true,
        "passphraseLength": 3, "withdrawWebhookUrl": "https://hooks.example/secret",
    });
    let skip = house.tip(&single).await;
    let group = house.post(&house.tipper, TIPS, &house.body(&json!({"quantity": 3}))).await.ok();
    house.fund(&group);
    let mine = house.get(&house.tipper, &format!("{TIPS}?withGroups=true")).await;
    let words =
        mine.ok().as_array().unwrap().iter().find_map(|tip| tip["passphrase"].as_str().map(str::to_owned));
    let mut secrets =
        vec![skip, id(&group), words.unwrap(), "Ada".into(), "for your talk".into(), "hooks.example".into()];
    secrets.extend(group["tips"].as_array().unwrap().iter().map(id));
    for query in ["", "&withGroups=true", "&limit=2", "&reclaimable=true&expired=true"] {
        let answer = house.get("", &format!("{TIPS}?apiKey={scheduler}{query}")).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        for secret in &secrets {
            assert!(!answer.text.contains(secret.as_str()), "{query}: {secret} in {}", answer.text);
        }
    }
    let first = house.get("", &format!("{TIPS}?apiKey={scheduler}")).await.ok()[0].clone();
    let handle = id(&first);
    for path in [format!("/api/tippee/tips/{handle}"), format!("/api/tipper/tips/{handle}")] {
        assert_ne!(house.get("", &path).await.status, 200, "{path}");
    }
    house
        .post("", &format!("{TIPS}/{handle}/reclaim?apiKey={scheduler}"), &json!({}))
        .await
        .is_error(409, "TIP_NOT_EXPIRED");
}

/// In a header a key that opens `tips` too is a tipper's, for its own tips alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_tipper_who_may_do_more_is_a_tipper() {
    let house = House::new().await;
    let others = house.tip(&json!({})).await;
    for scopes in [&[Scope::Tips, Scope::Scheduler][..], &[Scope::Admin][..]] {
        let key = house.key(scopes, "both").await;
        let own = house.post(&key, TIPS, &house.body(&json!({}))).await.ok();
        house.fund(&own);
        let listed = house.get(&key, TIPS).await.ok();
        assert!(listed.as_array().unwrap().iter().all(|tip| tip["tipperId"] == own["tipperId"]));
        house.post(&key, &format!("{TIPS}/{}/reclaim", id(&own)), &json!({})).await.done();
        house.post(&key, &format!("{TIPS}/{others}/reclaim"), &json!({})).await.is_error(403, "FORBIDDEN");
    }
}
