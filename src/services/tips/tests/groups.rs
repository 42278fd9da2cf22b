//! Groups: all or none, and one link for many.

use axum::http::Method;
use serde_json::json;

use super::test_app::{TestApp, id, members};
use crate::http::keys::Scope;

#[tokio::test(flavor = "multi_thread")]
async fn a_group_of_five_hundred_is_split_at_once() {
    let app = TestApp::new().await;
    let group = app
        .order(&json!({"quantity": 500, "tippeeNames": ["Guest {{index}}"], "note": "Hi {{name}}"}))
        .await
        .ok();
    app.fund(&group);
    let shown = app.get(&app.tipper, &format!("/api/tipGroups/{}", id(&group))).await.ok();
    let tips = shown["tips"].as_array().unwrap();
    assert!(tips.len() == 500 && tips.iter().all(|tip| tip["status"] == "UNSEEN"));
    assert_eq!((&tips[499]["tippeeName"], &tips[499]["note"]), (&json!("Guest 500"), &json!("Hi Guest 500")));
    assert_eq!((app.sat("holders"), app.sat("fees_earned")), (10_500, 5_000));
    app.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_split_that_can_not_be_done_whole_is_not_done() {
    let app = TestApp::new().await;
    let group = app.order(&json!({"quantity": 3})).await.ok();
    let trap = |sql: &'static str| {
        let done = app.ledger.store.write_blocking(move |tx| -> Result<(), crate::storage::StoreError> {
            Ok(tx.execute_batch(sql)?)
        });
        done.unwrap();
    };
    trap(
        "CREATE TRIGGER trap BEFORE UPDATE ON tips WHEN new.group_index = 2
         BEGIN SELECT RAISE(ABORT, 'no room'); END",
    );
    let before = app.balances();
    let invoice = super::test_app::parse(group["invoice"].as_str().unwrap());
    app.sim.receive(&invoice, crate::core::money::Msat::from_sat(93).unwrap());
    let stepped =
        tokio::task::block_in_place(|| crate::ledger::events::step(&app.ledger, std::time::Duration::ZERO));
    assert!(stepped.is_err() || app.balances() == before, "nothing was split by half");
    for tip in members(&group) {
        assert_eq!(app.status(&tip).await, "UNFUNDED");
    }
    trap("DROP TRIGGER trap");
    app.drain();
    for tip in members(&group) {
        assert_eq!(app.status(&tip).await, "UNSEEN");
    }
    app.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tip_of_a_group_is_deleted_and_paid_with_its_group_alone() {
    let app = TestApp::new().await;
    let group = app.order(&json!({"quantity": 2})).await.ok();
    let tip = members(&group)[0].clone();
    app.delete(&app.tipper, &format!("/api/tipper/tips/{tip}")).await.is_error(409, "TIP_IN_GROUP");
    assert!(app.shown(&tip).await["invoice"].is_null());
    app.fund(&group);
    app.delete(&app.tipper, &format!("/api/tipGroups/{}", id(&group))).await.is_error(409, "NOT_UNFUNDED");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_reclaimed_as_far_as_it_can_be() {
    let app = TestApp::new().await;
    let group = app.funded(&json!({"quantity": 4})).await;
    let tips = members(&group);
    let path = format!("/api/tipGroups/{}/reclaim", id(&group));
    for tip in [&tips[0], &tips[1]] {
        app.see(tip).await;
        app.claim(&app.friend, tip).await.done();
    }
    app.begin(&app.friend, "tippee", &tips[0], 21).await;
    let states = async || {
        let mut states = Vec::new();
        for tip in &tips {
            states.push(app.status(tip).await);
        }
        states
    };
    app.post(&app.tipper, &path, &json!({})).await.done();
    assert_eq!(states().await, ["CLAIMED+", "CLAIMED", "RECLAIMED", "RECLAIMED"]);
    app.post(&app.tipper, &path, &json!({})).await.is_error(409, "TIP_EXPIRED");
    app.post(&app.tipper, &path, &json!({"force": true})).await.done();
    assert_eq!(states().await, ["CLAIMED+", "RECLAIMED", "RECLAIMED", "RECLAIMED"]);
    app.finish(true);
    assert_eq!(states().await[0], "WITHDRAWN");
    app.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_static_link_leads_two_people_to_two_tips_and_nobody_to_two() {
    let app = TestApp::new().await;
    let group = app.funded(&json!({"quantity": 2, "enableStaticLink": true, "tippeeLocale": "th"})).await;
    let path = format!("/api/tipGroups/{}/static", id(&group));
    let stranger = app.key(&[Scope::Tips], "stranger").await;
    let lead = async |key: &str| app.get(key, &path).await.ok();
    let first = lead(&app.friend).await;
    assert_eq!(first["tippeeLocale"], "th");
    let one = first["tipId"].as_str().unwrap().to_owned();
    app.see(&one).await;
    let two = lead(&stranger).await["tipId"].as_str().unwrap().to_owned();
    assert_ne!(one, two);
    app.see(&two).await;
    app.claim(&app.friend, &one).await.done();
    app.claim(&app.friend, &two).await.is_error(409, "ONE_EACH");
    // Who has theirs is led back to it.
    assert_eq!(lead(&app.friend).await["tipId"], one);
    app.claim(&stranger, &two).await.done();
    assert_eq!(lead(&stranger).await["tipId"], two);
    // Nothing is left for a third.
    assert_eq!(lead("").await, json!({"tippeeLocale": "th"}));
    app.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_static_link_that_is_off_over_or_deleted_leads_nowhere() {
    let app = TestApp::new().await;
    let off = app.funded(&json!({"quantity": 2})).await;
    let path = |group: &serde_json::Value| format!("/api/tipGroups/{}/static", id(group));
    assert_eq!(app.get("", &path(&off)).await.text, "{}");
    let unpaid = app.order(&json!({"quantity": 2, "enableStaticLink": true})).await.ok();
    assert_eq!(app.get("", &path(&unpaid)).await.text, "{}");
    app.delete(&app.tipper, &format!("/api/tipGroups/{}", id(&unpaid))).await.ok();
    app.get("", &path(&unpaid)).await.is_error(404, "NOT_FOUND");
    let paid = app.funded(&json!({"quantity": 2, "enableStaticLink": true})).await;
    assert!(app.get("", &path(&paid)).await.ok()["tipId"].is_string());
    app.clock.advance(super::test_app::DAY);
    assert_eq!(app.get("", &path(&paid)).await.text, "{}");
    app.ask(Method::POST, "", &path(&paid), None).await.is_error(405, "METHOD_NOT_ALLOWED");
}

#[tokio::test(flavor = "multi_thread")]
async fn note_of_a_group_s_link_leaves_out_the_name_and_nothing_else() {
    let app = TestApp::new().await;
    let order = json!({"quantity": 2, "tippeeNames": ["an", null], "note": "Thanks for {{name}} banana"});
    let group = app.funded(&order).await;
    let tips = members(&group);
    let public = app.get("", &format!("/api/tippee/tips/{}", tips[0])).await.ok();
    assert_eq!(public["note"], "Thanks for an banana");
    assert_eq!(public["noteWithoutName"], "Thanks for … banana");
    let nameless = app.get("", &format!("/api/tippee/tips/{}", tips[1])).await.ok();
    assert_eq!(
        (&nameless["note"], nameless.get("noteWithoutName")),
        (&json!("Thanks for Anon banana"), None)
    );
    // The tipper's own answers have the note as it was written, and nothing besides.
    let own = app.get(&app.tipper, &format!("/api/tipGroups/{}", id(&group))).await.ok();
    assert_eq!(own["tips"][0]["note"], "Thanks for an banana");
    assert!(!own.to_string().contains('\u{fdd0}') && !own.to_string().contains("noteWithoutName"));
}
