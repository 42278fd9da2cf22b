//! Getting sats out: exact, once, by whoever may.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use super::test_app::{DAY, TIPS, TestApp, id, members};

fn body(flow: &str, invoice: &str) -> serde_json::Value {
    json!({"flow": flow, "invoice": invoice})
}

#[tokio::test(flavor = "multi_thread")]
async fn all_claimed_tips_go_out_in_one_payout_over_exactly_their_sum() {
    let app = TestApp::new().await;
    let (one, two, three) = (
        app.claimed(&json!({"amount": 100})).await,
        app.claimed(&json!({"amount": 1_000})).await,
        app.claimed(&json!({"amount": 7})).await,
    );
    let before = app.balances();
    for wrong in [1, 100, 1_000, 1_106, 1_108] {
        let asked = app.post(&app.friend, "/api/invoices", &body("tippee", &app.invoice(wrong))).await;
        asked.is_error(409, "AMOUNT_MISMATCH");
    }
    assert_eq!(app.balances(), before);
    let invoice = app.invoice(1_107);
    app.withdraw(&app.friend, &body("tippee", &invoice), true).await.done();
    let mut withdrawals = Vec::new();
    for tip in [&one, &two, &three] {
        let shown = app.shown(tip).await;
        assert_eq!(shown["status"], "WITHDRAWN");
        withdrawals.push(shown["withdrawalId"].clone());
    }
    assert!(withdrawals.iter().all(|id| id.is_string() && *id == withdrawals[0]), "one withdrawal");
    assert_eq!(app.sim.delivered().len(), 1);
    // The same invoice again is the same withdrawal, which is over and well.
    app.post(&app.friend, "/api/invoices", &body("tippee", &invoice)).await.done();
    assert_eq!(app.sim.delivered().len(), 1);
    app.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_tip_by_its_id_and_only_one_s_own() {
    let app = TestApp::new().await;
    let (one, other) = (app.claimed(&json!({})).await, app.claimed(&json!({})).await);
    let ask = json!({"flow": "tippee", "tipId": one, "invoice": app.invoice(21)});
    // Somebody else, and its tipper, have not claimed it.
    app.post(&app.tipper, "/api/invoices", &ask).await.is_error(409, "NOTHING_TO_WITHDRAW");
    app.withdraw(&app.friend, &ask, true).await.done();
    assert_eq!((app.status(&one).await, app.status(&other).await), ("WITHDRAWN".into(), "CLAIMED".into()));
    app.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_2_a_named_tip_does_not_stand_for_a_login() {
    let app = TestApp::new().await;
    let tip = app.claimed(&json!({})).await;
    let skip = app.tip(&json!({"onboardingFlow": "SKIP"})).await;
    let before = app.balances();
    for flow in ["tippee", "tipper"] {
        for tip in [json!(tip), json!(skip), json!(null), json!("x")] {
            let ask = json!({"flow": flow, "tipId": tip, "invoice": app.invoice(21), "amount": 21});
            app.post("", "/api/invoices", &ask).await.is_error(401, "UNAUTHORIZED");
            app.post("", "/api/withdrawalLinks", &ask).await.is_error(401, "UNAUTHORIZED");
        }
    }
    assert_eq!((app.balances(), app.status(&tip).await), (before, "CLAIMED".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_one_is_pending_another_is_refused_and_the_same_is_told_to_wait() {
    let app = TestApp::with_rules(|rules| rules.patience = Duration::from_millis(50)).await;
    let tip = app.claimed(&json!({})).await;
    let invoice = app.invoice(21);
    let first = app.post(&app.friend, "/api/invoices", &body("tippee", &invoice)).await;
    assert_eq!((first.status, first.json()["status"].as_str()), (202, Some("pending")));
    assert_eq!(app.status(&tip).await, "CLAIMED+");
    assert_eq!(app.get("", &format!("/api/tippee/tips/{tip}")).await.ok()["withdrawalPending"], true);
    let before = app.balances();
    let again = app.post(&app.friend, "/api/invoices", &body("tippee", &invoice)).await;
    assert_eq!((again.status, &again.text), (202, &first.text));
    let other = app.post(&app.friend, "/api/invoices", &body("tippee", &app.invoice(21))).await;
    assert_eq!(other.status, 409);
    assert_eq!(app.balances(), before);
    app.finish(true);
    app.post(&app.friend, "/api/invoices", &body("tippee", &invoice)).await.done();
    let shown = app.get(&app.friend, "/api/tippee/tips").await;
    assert!(!shown.text.contains("withdrawalPending"));
    assert_eq!(app.status(&tip).await, "WITHDRAWN");
    app.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lightning_address_gets_whatever_there_is() {
    let app = TestApp::new().await;
    app.claimed(&json!({"amount": 40})).await;
    app.claimed(&json!({"amount": 2})).await;
    app.withdraw(&app.friend, &body("tippee", "Me@wallet.example"), true).await.done();
    assert_eq!(app.addresses.asked_for(), [42]);
    app.post(&app.friend, "/api/invoices", &body("tippee", "me@wallet.example"))
        .await
        .is_error(409, "NOTHING_TO_WITHDRAW");
    app.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_two_legs_of_a_code() {
    let app = TestApp::new().await;
    let tip = app.tip(&json!({"onboardingFlow": "SKIP"})).await;
    let order = json!({"flow": "anonymous", "tipId": tip, "amount": 21});
    app.post("", "/api/withdrawalLinks", &json!({"flow": "anonymous", "tipId": tip, "amount": 31}))
        .await
        .is_error(409, "AMOUNT_MISMATCH");
    let link = app.link("", &order).await;
    assert_eq!(app.link("", &order).await, link, "the same code for the same tip");
    let first = app.get("", &link).await;
    let request = first.json();
    assert_eq!(
        (&request["tag"], &request["minWithdrawable"], &request["maxWithdrawable"]),
        (&json!("withdrawRequest"), &json!(21_000), &json!(21_000))
    );
    assert_eq!(request["callback"], format!("https://tips.example{link}/pay"));
    let k1 = request["k1"].as_str().unwrap().to_owned();
    assert_eq!(k1.len(), 64, "not a constant word");
    let before = app.balances();
    let pay = async |query: String| app.get("", &format!("{link}/pay?{query}")).await;
    let invoice = app.invoice(21);
    pay(format!("k1={k1}")).await.is_lnurl_error("pr");
    pay(format!("pr={invoice}")).await.is_lnurl_error("k1");
    pay(format!("k1={}&pr={invoice}", "0".repeat(64))).await.is_lnurl_error("k1");
    pay(format!("k1={k1}&pr={}", app.invoice(20))).await.is_lnurl_error("exactly");
    pay(format!("k1={k1}&pr=lnbc1x")).await.is_lnurl_error("invoice");
    assert_eq!(app.balances(), before);
    // Answered as soon as the intent is durable, not when it has arrived.
    assert_eq!(pay(format!("k1={k1}&pr={invoice}")).await.text, r#"{"status":"OK"}"#);
    assert_eq!((app.status(&tip).await, app.reached(&invoice)), ("UNSEEN+".into(), false));
    assert_eq!(pay(format!("k1={k1}&pr={invoice}")).await.text, r#"{"status":"OK"}"#, "the same once more");
    pay(format!("k1={k1}&pr={}", app.invoice(21))).await.is_lnurl_error("being withdrawn");
    app.get("", &link).await.is_lnurl_error("being withdrawn");
    // It fails: the code is good again, with another k1.
    app.finish(false);
    let second = app.get("", &link).await.ok()["k1"].as_str().unwrap().to_owned();
    assert_ne!(second, k1);
    let invoice = app.invoice(21);
    pay(format!("k1={k1}&pr={invoice}")).await.is_lnurl_error("k1");
    assert_eq!(pay(format!("k1={second}&pr={invoice}")).await.text, r#"{"status":"OK"}"#);
    app.finish(true);
    assert_eq!((app.status(&tip).await, app.reached(&invoice)), ("WITHDRAWN".into(), true));
    app.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_5_a_used_or_unknown_code_says_so_in_a_wallet_s_words() {
    let app = TestApp::new().await;
    let tip = app.tip(&json!({"onboardingFlow": "SKIP"})).await;
    let link = app.link("", &json!({"flow": "anonymous", "tipId": tip})).await;
    let k1 = app.get("", &link).await.ok()["k1"].as_str().unwrap().to_owned();
    app.withdraw("", &json!({"flow": "anonymous", "tipId": tip, "invoice": app.invoice(21)}), true)
        .await
        .done();
    app.get("", &link).await.is_lnurl_error("has been withdrawn");
    app.get("", &format!("{link}/pay?k1={k1}&pr={}", app.invoice(21)))
        .await
        .is_lnurl_error("has been withdrawn");
    let invoice = app.invoice(21);
    for unknown in ["00000000-0000-4000-8000-000000000000", "x", "%FF"] {
        app.get("", &format!("/api/withdrawalLinks/{unknown}")).await.is_lnurl_error("no such");
        let pay = format!("/api/withdrawalLinks/{unknown}/pay?k1=x&pr={invoice}");
        app.get("", &pay).await.is_lnurl_error("no such");
    }
    app.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_s_code_serves_its_tips_while_they_are_as_they_were() {
    let app = TestApp::new().await;
    let (one, two) = (app.claimed(&json!({})).await, app.claimed(&json!({})).await);
    let order = json!({"flow": "tippee", "amount": 42});
    let link = app.link(&app.friend, &order).await;
    assert_eq!(app.link(&app.friend, &order).await, link);
    app.clock.advance(Duration::from_secs(600) + Duration::from_millis(1));
    assert_ne!(app.link(&app.friend, &order).await, link, "after ten minutes another");
    // A third tip does not change what the code is worth.
    let three = app.claimed(&json!({})).await;
    let request = app.get("", &link).await.ok();
    assert_eq!(request["maxWithdrawable"], 42_000);
    let path = format!("{link}/pay?k1={}&pr={}", request["k1"].as_str().unwrap(), app.invoice(42));
    assert_eq!(app.get("", &path).await.text, r#"{"status":"OK"}"#);
    app.finish(true);
    for (tip, status) in [(one, "WITHDRAWN"), (two, "WITHDRAWN"), (three.clone(), "CLAIMED")] {
        assert_eq!(app.status(&tip).await, status);
    }
    // A code whose tip was taken back is worth nothing.
    let link = app.link(&app.friend, &json!({"flow": "tippee", "tipId": three})).await;
    app.reclaim(&three, true).await.done();
    app.get("", &link).await.is_lnurl_error("reclaimed");
    // What came back goes out with a code of the tipper's, and a day later that is forgotten.
    let link = app.link(&app.tipper, &json!({"flow": "tipper", "amount": 21})).await;
    assert_eq!(app.get("", &link).await.ok()["tag"], "withdrawRequest");
    app.clock.advance(DAY);
    let now = app.clock.now();
    while app.ledger.store.write(move |tx| crate::services::tips::prune(tx, now)).await.unwrap() {}
    app.get("", &link).await.is_lnurl_error("no such");
    app.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_4_an_expired_skip_tip_can_not_be_withdrawn_even_by_its_printed_code() {
    let app = TestApp::new().await;
    let group = app.funded(&json!({"quantity": 2, "onboardingFlow": "SKIP"})).await;
    let tip = members(&group)[0].clone();
    let link = app.link("", &json!({"flow": "anonymous", "tipId": tip})).await;
    app.clock.advance(DAY);
    app.get("", &link).await.is_lnurl_error("expired");
    let ask = json!({"flow": "anonymous", "tipId": tip, "invoice": app.invoice(21)});
    app.post("", "/api/invoices", &ask).await.is_error(409, "TIP_EXPIRED");
    app.post("", "/api/withdrawalLinks", &ask).await.is_error(409, "TIP_EXPIRED");
    assert_eq!(app.sat("holders"), 42);
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_14_of_many_who_claim_or_withdraw_at_once_one_gets_it() {
    let app = TestApp::new().await;
    let tip = app.tip(&json!({"onboardingFlow": "SKIP"})).await;
    app.see(&tip).await;
    let stranger = app.key(&[crate::http::keys::Scope::Tips], "stranger").await;
    let anonymous = json!({"flow": "anonymous", "tipId": tip, "invoice": app.invoice(21)});
    let (one, two, three) = tokio::join!(
        app.claim(&app.friend, &tip),
        app.claim(&stranger, &tip),
        app.withdraw("", &anonymous, true),
    );
    let won = [&one, &two, &three].into_iter().filter(|answer| answer.status == 204).count();
    assert_eq!(won, 1, "{} {} {}", one.status, two.status, three.status);
    app.audit();
    assert_eq!(id(&app.shown(&tip).await), tip);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_smallest_of_more_than_one_payout_carries_can_be_had_by_its_id() {
    let app = TestApp::new().await;
    let small = app.claimed(&json!({})).await;
    for tip in members(&app.funded(&json!({"amount": 22, "quantity": 500})).await) {
        app.see(&tip).await;
        app.claim(&app.friend, &tip).await.done();
    }
    let body = json!({"flow": "tippee", "tipId": small, "invoice": app.invoice(21)});
    app.withdraw(&app.friend, &body, true).await.done();
    assert_eq!(app.status(&small).await, "WITHDRAWN");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_does_each_step_once() {
    let app = TestApp::new().await;
    let tip = app.tip(&json!({"generatePassphrase": true, "passphraseLength": 3})).await;
    app.see(&tip).await;
    let once = async |key: &str, name: &str, path: String, body: &Value| {
        let request = Request::post(path).header("authorization", format!("Bearer {key}"));
        let request = request.header("content-type", "application/json").header("idempotency-key", name);
        app.send(request.body(Body::from(body.to_string())).unwrap()).await
    };
    let words = async || app.shown(&tip).await["passphrase"].clone();
    let new_words = format!("{TIPS}/{tip}/generatePassphrase");
    once(&app.tipper, "words", new_words.clone(), &json!({})).await.done();
    let first = words().await;
    once(&app.tipper, "words", new_words.clone(), &json!({})).await.done();
    assert_eq!(words().await, first);
    once(&app.tipper, "others", new_words, &json!({})).await.done();
    assert_ne!(words().await, first);
    let claim = format!("/api/tippee/tips/{tip}/claim");
    once(&app.friend, "claim", claim.clone(), &json!({})).await.done();
    once(&app.friend, "claim", claim.clone(), &json!({})).await.done();
    once(&app.friend, "again", claim.clone(), &json!({})).await.is_error(409, "TIP_CLAIMED");
    once(&app.friend, "claim", claim, &json!({"isPrinted": true}))
        .await
        .is_error(422, "IDEMPOTENCY_KEY_REUSED");
    // An address gives another invoice each time; the key makes it one withdrawal.
    let paid = json!({"flow": "tippee", "invoice": "friend@wallet.example"});
    let withdraw = || once(&app.friend, "withdraw", "/api/invoices".into(), &paid);
    app.addresses.asked_for();
    let (one, ()) = tokio::join!(withdraw(), async {
        while app.status(&tip).await != "CLAIMED+" {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        app.finish(true);
    });
    one.done();
    withdraw().await.done();
    assert_eq!(app.addresses.asked_for(), [21]);
    let back = app.claimed(&json!({})).await;
    let path = format!("{TIPS}/{back}/reclaim");
    let force = json!({"force": true});
    once(&app.tipper, "back", path.clone(), &force).await.done();
    once(&app.tipper, "back", path.clone(), &force).await.done();
    once(&app.tipper, "twice", path, &force).await.is_error(409, "TIP_EXPIRED");
    app.audit();
}
