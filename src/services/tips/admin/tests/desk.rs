//! Making, listing, showing, taking back, and the numbers of it.

use crate::http::audit_log::{Act, ActKind};
use crate::http::keys::KeyId;
use serde_json::{Value, json};

use super::test_app::{DAY, NOON, TestApp, URL};
use crate::admin::{AdminError, PageRequest, TipAdmin, TipOrder};
use crate::http::keys::Scope;
use crate::telemetry::metrics;

fn order(amount_sat: u64) -> TipOrder {
    TipOrder { amount_sat, ..TipOrder::default() }
}

async fn make(app: &TestApp, order: TipOrder) -> Result<Value, AdminError> {
    TipAdmin::create(&app.tips, order).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tip_comes_with_all_that_is_handed_out() {
    let app = TestApp::new();
    let key = app.key(Scope::Tips, None).await;
    let new = TipOrder {
        tippee_names: vec!["Ada".into()],
        note: Some("Thanks".into()),
        passphrase_words: Some(4),
        onboarding_flow: Some("SKIP".into()),
        ..order(1_000)
    };
    let made = make(&app, new).await.unwrap();
    let id = made["id"].as_str().unwrap();
    assert_eq!(made["tips"][0]["link"], format!("{URL}/tips/{id}/claim"));
    assert_eq!(made["tips"][0]["words"].as_str().unwrap().split(' ').count(), 4);
    assert_eq!(made["words_page"], format!("{URL}/tip"));
    let told = ["group", "quantity", "amount_sat", "fee_sat", "total_sat", "static_link", "expires_at"];
    assert_eq!(
        told.map(|name| made[name].clone()).to_vec(),
        [
            json!(false),
            json!(1),
            json!(1_000),
            json!(11),
            json!(1_011),
            Value::Null,
            json!(NOON / 1_000 + 1_814_400)
        ]
    );
    // It is a tip like any other of that account.
    let (status, tip) = app.ask("GET", &format!("/api/tipper/tips/{id}"), &key, &Value::Null).await;
    assert_eq!((status, &tip["invoice"], &tip["tippeeName"]), (200, &made["invoice"], &json!("Ada")));
    assert_eq!((&tip["note"], &tip["onboardingFlow"]), (&json!("Thanks"), &json!("SKIP")));
    assert_eq!(tip["passphrase"], made["tips"][0]["words"]);
    // What is shown later has no words.
    app.fund(&made["invoice"]);
    let shown = app.tips.show(id.into()).await.unwrap().unwrap();
    assert_eq!((&shown["status"], &shown["has_words"]), (&json!("UNSEEN"), &json!(true)));
    assert!(!shown.to_string().contains(made["tips"][0]["words"].as_str().unwrap()));
    app.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_has_a_tip_for_each_name() {
    let app = TestApp::new();
    let key = app.key(Scope::Tips, Some("team")).await;
    let new = TipOrder {
        account: Some("team".into()),
        tippee_names: vec!["Ada".into(), "Bob".into()],
        note: Some("Hi {{name}}".into()),
        static_link: true,
        ..order(21)
    };
    let made = make(&app, new).await.unwrap();
    let names: Vec<_> = made["tips"].as_array().unwrap().iter().map(|tip| tip["name"].clone()).collect();
    assert_eq!((names, &made["total_sat"]), (vec![json!("Ada"), json!("Bob")], &json!(62)));
    let id = made["id"].as_str().unwrap();
    assert_eq!(made["static_link"], format!("{URL}/tip-groups/{id}/static"));
    app.fund(&made["invoice"]);
    let (_, group) = app.ask("GET", &format!("/api/tipGroups/{id}"), &key, &Value::Null).await;
    assert_eq!((&group["status"], &group["tips"][1]["note"]), (&json!("FUNDED"), &json!("Hi Bob")));
    let shown = app.tips.show(id.into()).await.unwrap().unwrap();
    assert_eq!((&shown["quantity"], &shown["tips"][0]["tippee_name"]), (&json!(2), &json!("Ada")));
    // One name for several is a template.
    let new = TipOrder { tippee_names: vec!["No {{index}}".into()], quantity: Some(2), ..order(21) };
    let made = make(&app, TipOrder { account: Some("team".into()), ..new }).await.unwrap();
    assert_eq!(made["tips"][1]["name"], "No 2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_order_is_refused_in_words() {
    let app = TestApp::new();
    let missing = make(&app, order(21)).await.unwrap_err();
    assert!(
        matches!(&missing, AdminError::NotFound(text) if text.contains("satchel key create")),
        "{missing:?}"
    );
    app.key(Scope::Gifts, None).await;
    let names = vec!["a".to_owned(), "b".to_owned(), "c".to_owned()];
    for (wrong, said) in [
        (order(0), "amount"),
        (TipOrder { quantity: Some(0), ..order(21) }, "quantity"),
        (TipOrder { quantity: Some(501), ..order(21) }, "quantity"),
        (TipOrder { quantity: Some(2), tippee_names: names, ..order(21) }, "3 names for 2"),
        (TipOrder { passphrase_words: Some(2), ..order(21) }, "from 3 to 6"),
        (TipOrder { expiry_secs: Some(0), ..order(21) }, "future"),
        (TipOrder { expiry_secs: Some(u64::MAX), ..order(21) }, "too far"),
        (TipOrder { expiry_secs: Some(6 * 366 * 86_400), ..order(21) }, "five years"),
        (TipOrder { claim_webhook_url: Some("http://127.0.0.1/".into()), ..order(21) }, "claimWebhookUrl"),
        (order(3_000_000), "2100000"),
    ] {
        match make(&app, wrong).await.unwrap_err() {
            AdminError::BadRequest(text) => assert!(text.contains(said), "{said}: {text}"),
            other => panic!("{said}: {other:?}"),
        }
    }
    assert_eq!(app.tips.list(PageRequest { limit: 9, before: None }).await.unwrap(), Vec::<Value>::new());
    let off = TestApp::with(|rules| rules.enabled = false);
    assert!(matches!(make(&off, order(21)).await.unwrap_err(), AdminError::Refused(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn tips_of_everybody_come_in_pages() {
    let app = TestApp::new();
    let key = app.key(Scope::Tips, Some("other")).await;
    app.key(Scope::Tips, None).await;
    let mut ids = Vec::new();
    for amount in [21, 22] {
        ids.push(make(&app, order(amount)).await.unwrap()["id"].as_str().unwrap().to_owned());
    }
    let body = json!({ "amount": 23, "quantity": 1, "expiry": "2030-01-01T00:00:00Z" });
    let (_, tip) = app.ask("POST", "/api/tipper/tips", &key, &body).await;
    ids.push(tip["id"].as_str().unwrap().to_owned());
    let page = async |before: Option<&str>| {
        let page = PageRequest { limit: 2, before: before.map(str::to_owned) };
        let tips = app.tips.list(page).await.unwrap();
        tips.iter().map(|tip| tip["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(page(None).await, [ids[2].as_str(), &ids[1]]);
    assert_eq!(page(Some(&ids[1])).await, [ids[0].as_str()]);
    for before in ["x", "c00000000000000000000000a"] {
        let page = PageRequest { limit: 2, before: Some(before.into()) };
        assert!(matches!(app.tips.list(page).await.unwrap_err(), AdminError::BadRequest(_)));
    }
    assert_eq!(app.tips.show("c00000000000000000000000a".into()).await.unwrap(), None);
    assert_eq!(app.tips.show("../keys".into()).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_back_is_its_tippers() {
    let app = TestApp::new();
    let tipper = app.key(Scope::Tips, None).await;
    let tippee = app.key(Scope::Tips, Some("tippee")).await;
    let made = make(&app, TipOrder { quantity: Some(3), ..order(1_000) }).await.unwrap();
    let group = made["id"].as_str().unwrap();
    let id = |index: usize| made["tips"][index]["id"].as_str().unwrap().to_owned();
    let back = async |id: &str, force: bool| {
        let act = Act::new(KeyId(1), ActKind::TipReclaim).to(id);
        TipAdmin::reclaim(&app.tips, id.into(), force, act).await
    };
    assert!(matches!(back(group, false).await.unwrap_err(), AdminError::Refused(_)), "unfunded");
    app.fund(&made["invoice"]);
    app.claim(&tippee, &id(0)).await;
    let refused = back(&id(0), false).await.unwrap_err();
    assert!(matches!(&refused, AdminError::Refused(text) if text.contains("--force")), "{refused:?}");
    assert_eq!(back(&id(1), false).await.unwrap(), Some(1));
    assert_eq!(back(group, false).await.unwrap(), Some(1), "the one that nobody has claimed");
    assert_eq!(back(group, true).await.unwrap(), Some(1), "the claimed one");
    assert!(back(group, true).await.is_err());
    assert_eq!(back("c00000000000000000000000a", true).await.unwrap(), None);
    app.withdraw(&tipper, "tipper", 3_000).await;
    let shown = app.tips.show(id(2)).await.unwrap().unwrap();
    assert_eq!((&shown["status"], &shown["payouts"][0]["status"]), (&json!("REFUNDED"), &json!("paid")));
    app.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_step_of_a_tip_is_counted() {
    metrics::install().unwrap();
    let app = TestApp::new();
    let tipper = app.key(Scope::Tips, None).await;
    let tippee = app.key(Scope::Tips, Some("tippee")).await;
    let made = make(&app, TipOrder { quantity: Some(3), ..order(1_000) }).await.unwrap();
    app.fund(&made["invoice"]);
    app.claim(&tippee, made["tips"][0]["id"].as_str().unwrap()).await;
    app.withdraw(&tippee, "tippee", 1_000).await;
    app.clock.advance(22 * DAY);
    app.expire().await;
    app.withdraw(&tipper, "tipper", 2_000).await;
    // What is counted after a commit may be so just after its answer.
    let mut page = String::new();
    for _ in 0..100 {
        page = metrics::render();
        if page.contains("satchel_tips_total{event=\"refunded\"} 2") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    for (event, count) in
        [("made", 3), ("funded", 3), ("claimed", 1), ("withdrawn", 1), ("reclaimed", 2), ("refunded", 2)]
    {
        for line in [
            format!("satchel_tips_total{{event=\"{event}\"}} {count}"),
            format!("satchel_tips_sat_total{{event=\"{event}\"}} {}", count * 1_000),
        ] {
            assert!(page.contains(&line), "no `{line}` in\n{page}");
        }
    }
    app.audit();
}
