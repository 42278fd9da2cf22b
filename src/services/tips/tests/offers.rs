//! Tips that are paid to BOLT12 offers and to names of the DNS that have one.

use std::time::Duration;

use serde_json::{Value, json};

use super::test_app::{Setup, TIPS, TestApp};
use crate::admin::TipAdmin;
use crate::lightning::bolt12::tests as offers;
use crate::outbound::lnurl::fake::name_server;

fn body(flow: &str, target: &str) -> Value {
    json!({"flow": flow, "invoice": target})
}

fn arrived(app: &TestApp) -> Vec<u64> {
    app.sim.arrived_by_offer().into_iter().map(|(_, amount)| amount.sat_floor()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn offer_gets_whatever_there_is_each_time() {
    let app = TestApp::new().await;
    let first = app.claimed(&json!({"amount": 40})).await;
    app.claimed(&json!({"amount": 2})).await;
    let open = offers::offer(1, None);
    let ask = body("tippee", &open);
    app.withdraw(&app.friend, &ask, true).await.done();
    app.post(&app.friend, "/api/invoices", &ask).await.is_error(409, "NOTHING_TO_WITHDRAW");
    assert_eq!((arrived(&app), app.status(&first).await), (vec![42], "WITHDRAWN".into()));
    // An offer is there to be paid again.
    app.claimed(&json!({"amount": 7})).await;
    app.withdraw(&app.friend, &ask, true).await.done();
    assert_eq!(arrived(&app), [42, 7]);
    let shown = TipAdmin::show(&app.tips, first).await.unwrap().unwrap();
    assert_eq!(
        (&shown["payouts"][0]["status"], &shown["payouts"][0]["amount_msat"]),
        (&json!("paid"), &json!(42_000))
    );
    app.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn while_an_offer_is_under_way_the_same_is_told_to_wait_and_others_are_refused() {
    let app = TestApp::with_rules(|rules| rules.patience = Duration::from_millis(50)).await;
    let tip = app.claimed(&json!({})).await;
    let open = offers::offer(1, None);
    let named = json!({"flow": "tippee", "invoice": open, "tipId": tip});
    let first = app.post(&app.friend, "/api/invoices", &body("tippee", &open)).await;
    assert_eq!((first.status, first.json()["status"].as_str()), (202, Some("pending")));
    assert_eq!(app.status(&tip).await, "CLAIMED+");
    for ask in [body("tippee", &open), named.clone()] {
        let again = app.post(&app.friend, "/api/invoices", &ask).await;
        assert_eq!((again.status, &again.text), (202, &first.text));
        // Somebody else has nothing of it.
        app.post(&app.tipper, "/api/invoices", &ask).await.is_error(409, "NOTHING_TO_WITHDRAW");
    }
    for other in [offers::offer(2, None), app.invoice(21), "me@wallet.example".to_owned()] {
        let refused = app.post(&app.friend, "/api/invoices", &body("tippee", &other)).await;
        assert_eq!(refused.status, 409, "{}", refused.text);
    }
    app.finish_offer(true);
    app.post(&app.friend, "/api/invoices", &named).await.done();
    app.post(&app.friend, "/api/invoices", &body("tippee", &open)).await.is_error(409, "NOTHING_TO_WITHDRAW");
    assert_eq!((arrived(&app), app.status(&tip).await), (vec![21], "WITHDRAWN".into()));
    app.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_offer_leaves_the_tip_and_its_code_changes() {
    let app = TestApp::new().await;
    let tip = app.tip(&json!({"onboardingFlow": "SKIP"})).await;
    let open = offers::offer(1, Some(21_000));
    let ask = json!({"flow": "anonymous", "tipId": tip, "invoice": open});
    let link = app.link("", &json!({"flow": "anonymous", "amount": 21, "tipId": tip})).await;
    let k1 = app.get("", &link).await.ok()["k1"].clone();
    app.withdraw("", &ask, false).await.is_error(409, "WITHDRAWAL_FAILED");
    assert_ne!(app.get("", &link).await.ok()["k1"], k1);
    app.withdraw("", &ask, true).await.done();
    app.post("", "/api/invoices", &ask).await.done();
    assert_eq!((arrived(&app), app.status(&tip).await), (vec![21], "WITHDRAWN".into()));
    app.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn tipper_takes_tips_back_to_an_offer() {
    let app = TestApp::new().await;
    let (one, two) = (app.tip(&json!({"amount": 30})).await, app.tip(&json!({"amount": 5})).await);
    for tip in [&one, &two] {
        app.reclaim(tip, false).await.done();
    }
    let open = offers::offer(1, None);
    app.withdraw(&app.tipper, &body("tipper", &open), true).await.done();
    assert_eq!(arrived(&app), [35]);
    assert_eq!((app.status(&one).await, app.status(&two).await), ("REFUNDED".into(), "REFUNDED".into()));
    let listed = app.get(&app.tipper, TIPS).await.ok();
    assert!(listed.to_string().contains("REFUNDED"));
    app.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn refusal_fits_the_offer() {
    let app = TestApp::new().await;
    app.claimed(&json!({})).await;
    let before = app.balances();
    for (text, status, code, why) in [
        (offers::offer(1, Some(20_000)), 409, "AMOUNT_MISMATCH", "offer"),
        (offers::of_mainnet(), 400, "INVOICE_INVALID", "another network"),
        (offers::expired(), 400, "INVOICE_INVALID", "expired"),
        (offers::with_quantity(), 400, "INVOICE_INVALID", "quantity"),
        (offers::IN_DOLLARS.to_owned(), 400, "INVOICE_INVALID", "currency"),
        ("lno1qq".to_owned(), 400, "INVOICE_INVALID", "not all of one"),
    ] {
        let refused = app.post(&app.friend, "/api/invoices", &body("tippee", &text)).await;
        refused.is_error(status, code);
        let told = refused.json()["errorMessage"].as_str().unwrap().to_owned();
        assert!(told.contains(why), "{text}: {told}");
    }
    assert_eq!(app.balances(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn name_leads_to_its_offer() {
    let open = offers::offer(1, None);
    let server = name_server(vec![("bob", format!("bitcoin:?lno={open}"))]).await;
    let app = TestApp::with(Setup { dns: Some(server), ..Setup::default() }).await;
    app.claimed(&json!({"amount": 30})).await;
    app.post(&app.friend, "/api/invoices", &body("tippee", "₿carol@wallet.example"))
        .await
        .is_error(400, "ADDRESS_INVALID");
    app.withdraw(&app.friend, &body("tippee", "bob@wallet.example"), true).await.done();
    assert_eq!((arrived(&app), app.addresses.asked_for()), (vec![30], vec![]));
    // Not in the DNS: a lightning address.
    app.claimed(&json!({"amount": 12})).await;
    app.withdraw(&app.friend, &body("tippee", "carol@wallet.example"), true).await.done();
    assert_eq!(app.addresses.asked_for(), [12]);
    app.audit();
}
