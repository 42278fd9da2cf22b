//! Getting sats out: exact, once, by whoever may.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use super::house::{DAY, House, TIPS, id, members};

fn body(flow: &str, invoice: &str) -> serde_json::Value {
    json!({"flow": flow, "invoice": invoice})
}

#[tokio::test(flavor = "multi_thread")]
async fn all_claimed_tips_go_out_in_one_payout_over_exactly_their_sum() {
    let house = House::new().await;
    let (one, two, three) = (
        house.claimed(&json!({"amount": 100})).await,
        house.claimed(&json!({"amount": 1_000})).await,
        house.claimed(&json!({"amount": 7})).await,
    );
    let before = house.balances();
    for wrong in [1, 100, 1_000, 1_106, 1_108] {
        let asked = house.post(&house.friend, "/api/invoices", &body("tippee", &house.invoice(wrong))).await;
        asked.is_error(409, "AMOUNT_MISMATCH");
    }
    assert_eq!(house.balances(), before);
    let invoice = house.invoice(1_107);
    house.withdraw(&house.friend, &body("tippee", &invoice), true).await.done();
    let mut withdrawals = Vec::new();
    for tip in [&one, &two, &three] {
        let shown = house.shown(tip).await;
        assert_eq!(shown["status"], "WITHDRAWN");
        withdrawals.push(shown["withdrawalId"].clone());
    }
    assert!(withdrawals.iter().all(|id| id.is_string() && *id == withdrawals[0]), "one withdrawal");
    assert_eq!(house.sim.delivered().len(), 1);
    // The same invoice again is the same withdrawal, which is over and well.
    house.post(&house.friend, "/api/invoices", &body("tippee", &invoice)).await.done();
    assert_eq!(house.sim.delivered().len(), 1);
    house.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_tip_by_its_id_and_only_one_s_own() {
    let house = House::new().await;
    let (one, other) = (house.claimed(&json!({})).await, house.claimed(&json!({})).await);
    let ask = json!({"flow": "tippee", "tipId": one, "invoice": house.invoice(21)});
    // Somebody else, and its tipper, have not claimed it.
    house.post(&house.tipper, "/api/invoices", &ask).await.is_error(409, "NOTHING_TO_WITHDRAW");
    house.withdraw(&house.friend, &ask, true).await.done();
    assert_eq!(
        (house.status(&one).await, house.status(&other).await),
        ("WITHDRAWN".into(), "CLAIMED".into())
    );
    house.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_2_a_named_tip_does_not_stand_for_a_login() {
    let house = House::new().await;
    let tip = house.claimed(&json!({})).await;
    let skip = house.tip(&json!({"onboardingFlow": "SKIP"})).await;
    let before = house.balances();
    for flow in ["tippee", "tipper"] {
        for tip in [json!(tip), json!(skip), json!(null), json!("x")] {
            let ask = json!({"flow": flow, "tipId": tip, "invoice": house.invoice(21), "amount": 21});
            house.post("", "/api/invoices", &ask).await.is_error(401, "UNAUTHORIZED");
            house.post("", "/api/withdrawalLinks", &ask).await.is_error(401, "UNAUTHORIZED");
        }
    }
    assert_eq!((house.balances(), house.status(&tip).await), (before, "CLAIMED".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_one_is_pending_another_is_refused_and_the_same_is_told_to_wait() {
    let house = House::with_rules(|rules| rules.patience = Duration::from_millis(50)).await;
    let tip = house.claimed(&json!({})).await;
    let invoice = house.invoice(21);
    let first = house.post(&house.friend, "/api/invoices", &body("tippee", &invoice)).await;
    assert_eq!((first.status, first.json()["status"].as_str()), (202, Some("pending")));
    assert_eq!(house.status(&tip).await, "CLAIMED+");
    assert_eq!(house.get("", &format!("/api/tippee/tips/{tip}")).await.ok()["withdrawalPending"], true);
    let before = house.balances();
    let again = house.post(&house.friend, "/api/invoices", &body("tippee", &invoice)).await;
    assert_eq!((again.status, &again.text), (202, &first.text));
    let other = house.post(&house.friend, "/api/invoices", &body("tippee", &house.invoice(21))).await;
    assert_eq!(other.status, 409);
    assert_eq!(house.balances(), before);
    house.finish(true);
    house.post(&house.friend, "/api/invoices", &body("tippee", &invoice)).await.done();
    let shown = house.get(&house.friend, "/api/tippee/tips").await;
    assert!(!shown.text.contains("withdrawalPending"));
    assert_eq!(house.status(&tip).await, "WITHDRAWN");
    house.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lightning_address_gets_whatever_there_is() {
    let house = House::new().await;
    house.claimed(&json!({"amount": 40})).await;
    house.claimed(&json!({"amount": 2})).await;
    house.withdraw(&house.friend, &body("tippee", "Me@wallet.example"), true).await.done();
    assert_eq!(house.addresses.asked_for(), [42]);
    house
        .post(&house.friend, "/api/invoices", &body("tippee", "me@wallet.example"))
        .await
        .is_error(409, "NOTHING_TO_WITHDRAW");
    house.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_two_legs_of_a_code() {
    let house = House::new().await;
    let tip = house.tip(&json!({"onboardingFlow": "SKIP"})).await;
    let order = json!({"flow": "anonymous", "tipId": tip, "amount": 21});
    house
        .post("", "/api/withdrawalLinks", &json!({"flow": "anonymous", "tipId": tip, "amount": 31}))
        .await
        .is_error(409, "AMOUNT_MISMATCH");
    let link = house.link("", &order).await;
    assert_eq!(house.link("", &order).await, link, "the same code for the same tip");
    let first = house.get("", &link).await;
    let request = first.json();
    assert_eq!(
        (&request["tag"], &request["minWithdrawable"], &request["maxWithdrawable"]),
        (&json!("withdrawRequest"), &json!(21_000), &json!(21_000))
    );
    assert_eq!(request["callback"], format!("https://tips.example{link}/pay"));
    let k1 = request["k1"].as_str().unwrap().to_owned();
    assert_eq!(k1.len(), 64, "not a constant word");
    let before = house.balances();
    let pay = async |query: String| house.get("", &format!("{link}/pay?{query}")).await;
    let invoice = house.invoice(21);
    pay(format!("k1={k1}")).await.is_lnurl_error("pr");
    pay(format!("pr={invoice}")).await.is_lnurl_error("k1");
    pay(format!("k1={}&pr={invoice}", "0".repeat(64))).await.is_lnurl_error("k1");
    pay(format!("k1={k1}&pr={}", house.invoice(20))).await.is_lnurl_error("exactly");
    pay(format!("k1={k1}&pr=lnbc1x")).await.is_lnurl_error("invoice");
    assert_eq!(house.balances(), before);
    // Answered as soon as the intent is durable, not when it has arrived.
    assert_eq!(pay(format!("k1={k1}&pr={invoice}")).await.text, r#"{"status":"OK"}"#);
    assert_eq!((house.status(&tip).await, house.reached(&invoice)), ("UNSEEN+".into(), false));
    assert_eq!(pay(format!("k1={k1}&pr={invoice}")).await.text, r#"{"status":"OK"}"#, "the same once more");
    pay(format!("k1={k1}&pr={}", house.invoice(21))).await.is_lnurl_error("being withdrawn");
    house.get("", &link).await.is_lnurl_error("being withdrawn");
    // It fails: the code is good again, with another k1.
    house.finish(false);
    let second = house.get("", &link).await.ok()["k1"].as_str().unwrap().to_owned();
    assert_ne!(second, k1);
    let invoice = house.invoice(21);
    pay(format!("k1={k1}&pr={invoice}")).await.is_lnurl_error("k1");
    assert_eq!(pay(format!("k1={second}&pr={invoice}")).await.text, r#"{"status":"OK"}"#);
    house.finish(true);
    assert_eq!((house.status(&tip).await, house.reached(&invoice)), ("WITHDRAWN".into(), true));
    house.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_5_a_used_or_unknown_code_says_so_in_a_wallet_s_words() {
    let house = House::new().await;
    let tip = house.tip(&json!({"onboardingFlow": "SKIP"})).await;
    let link = house.link("", &json!({"flow": "anonymous", "tipId": tip})).await;
    let k1 = house.get("", &link).await.ok()["k1"].as_str().unwrap().to_owned();
    house
        .withdraw("", &json!({"flow": "anonymous", "tipId": tip, "invoice": house.invoice(21)}), true)
        .await
        .done();
    house.get("", &link).await.is_lnurl_error("has been withdrawn");
    house
        .get("", &format!("{link}/pay?k1={k1}&pr={}", house.invoice(21)))
        .await
        .is_lnurl_error("has been withdrawn");
    let invoice = house.invoice(21);
    for unknown in ["00000000-0000-4000-8000-000000000000", "x", "%FF"] {
        house.get("", &format!("/api/withdrawalLinks/{unknown}")).await.is_lnurl_error("no such");
        let pay = format!("/api/withdrawalLinks/{unknown}/pay?k1=x&pr={invoice}");
        house.get("", &pay).await.is_lnurl_error("no such");
    }
    house.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_s_code_serves_its_tips_while_they_are_as_they_were() {
    let house = House::new().await;
    let (one, two) = (house.claimed(&json!({})).await, house.claimed(&json!({})).await);
    let order = json!({"flow": "tippee", "amount": 42});
    let link = house.link(&house.friend, &order).await;
    assert_eq!(house.link(&house.friend, &order).await, link);
    house.clock.advance(Duration::from_secs(600) + Duration::from_millis(1));
    assert_ne!(house.link(&house.friend, &order).await, link, "after ten minutes another");
    // A third tip does not change what the code is worth.
    let three = house.claimed(&json!({})).await;
    let request = house.get("", &link).await.ok();
    assert_eq!(request["maxWithdrawable"], 42_000);
    let path = format!("{link}/pay?k1={}&pr={}", request["k1"].as_str().unwrap(), house.invoice(42));
    assert_eq!(house.get("", &path).await.text, r#"{"status":"OK"}"#);
    house.finish(true);
    for (tip, status) in [(one, "WITHDRAWN"), (two, "WITHDRAWN"), (three.clone(), "CLAIMED")] {
        assert_eq!(house.status(&tip).await, status);
    }
    // A code whose tip was taken back is worth nothing.
    let link = house.link(&house.friend, &json!({"flow": "tippee", "tipId": three})).await;
    house.reclaim(&three, true).await.done();
    house.get("", &link).await.is_lnurl_error("reclaimed");
    // What came back goes out with a code of the tipper's, and a day later that is forgotten.
    let link = house.link(&house.tipper, &json!({"flow": "tipper", "amount": 21})).await;
    assert_eq!(house.get("", &link).await.ok()["tag"], "withdrawRequest");
    house.clock.advance(DAY);
    let now = house.clock.now();
    while house.ledger.store.write(move |tx| crate::services::tips::prune(tx, now)).await.unwrap() {}
    house.get("", &link).await.is_lnurl_error("no such");
    house.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_4_an_expired_skip_tip_can_not_be_withdrawn_even_by_its_printed_code() {
    let house = House::new().await;
    let group = house.funded(&json!({"quantity": 2, "onboardingFlow": "SKIP"})).await;
    let tip = members(&group)[0].clone();
    let link = house.link("", &json!({"flow": "anonymous", "tipId": tip})).await;
    house.clock.advance(DAY);
    house.get("", &link).await.is_lnurl_error("expired");
    let ask = json!({"flow": "anonymous", "tipId": tip, "invoice": house.invoice(21)});
    house.post("", "/api/invoices", &ask).await.is_error(409, "TIP_EXPIRED");
    house.post("", "/api/withdrawalLinks", &ask).await.is_error(409, "TIP_EXPIRED");
    assert_eq!(house.sat("holders"), 42);
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_14_of_many_who_claim_or_withdraw_at_once_one_gets_it() {
    let house = House::new().await;
    let tip = house.tip(&json!({"onboardingFlow": "SKIP"})).await;
    house.see(&tip).await;
    let stranger = house.key(&[crate::http::keys::Scope::Tips], "stranger").await;
    let anonymous = json!({"flow": "anonymous", "tipId": tip, "invoice": house.invoice(21)});
    let (one, two, three) = tokio::join!(
        house.claim(&house.friend, &tip),
        house.claim(&stranger, &tip),
        house.withdraw("", &anonymous, true),
    );
    let won = [&one, &two, &three].into_iter().filter(|answer| answer.status == 204).count();
    assert_eq!(won, 1, "{} {} {}", one.status, two.status, three.status);
    house.audit();
    assert_eq!(id(&house.shown(&tip).await), tip);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_smallest_of_more_than_one_payout_carries_can_be_had_by_its_id() {
    let house = House::new().await;
    let small = house.claimed(&json!({})).await;
    for tip in members(&house.funded(&json!({"amount": 22, "quantity": 500})).await) {
        house.see(&tip).await;
        house.claim(&house.friend, &tip).await.done();
    }
    let body = json!({"flow": "tippee", "tipId": small, "invoice": house.invoice(21)});
    house.withdraw(&house.friend, &body, true).await.done();
    assert_eq!(house.status(&small).await, "WITHDRAWN");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_does_each_step_once() {
    let house = House::new().await;
    let tip = house.tip(&json!({"generatePassphrase": true, "passphraseLength": 3})).await;
    house.see(&tip).await;
    let once = async |key: &str, name: &str, path: String, body: &Value| {
        let request = Request::post(path).header("authorization", format!("Bearer {key}"));
        let request = request.header("content-type", "application/json").header("idempotency-key", name);
        house.send(request.body(Body::from(body.to_string())).unwrap()).await
    };
    let words = async || house.shown(&tip).await["passphrase"].clone();
    let new_words = format!("{TIPS}/{tip}/generatePassphrase");
    once(&house.tipper, "words", new_words.clone(), &json!({})).await.done();
    let first = words().await;
    once(&house.tipper, "words", new_words.clone(), &json!({})).await.done();
    assert_eq!(words().await, first);
    once(&house.tipper, "others", new_words, &json!({})).await.done();
    assert_ne!(words().await, first);
    let claim = format!("/api/tippee/tips/{tip}/claim");
    once(&house.friend, "claim", claim.clone(), &json!({})).await.done();
    once(&house.friend, "claim", claim.clone(), &json!({})).await.done();
    once(&house.friend, "again", claim.clone(), &json!({})).await.is_error(409, "TIP_CLAIMED");
    once(&house.friend, "claim", claim, &json!({"isPrinted": true}))
        .await
        .is_error(422, "IDEMPOTENCY_KEY_REUSED");
    // An address gives another invoice each time; the key makes it one withdrawal.
    let paid = json!({"flow": "tippee", "invoice": "friend@wallet.example"});
    let withdraw = || once(&house.friend, "withdraw", "/api/invoices".into(), &paid);
    house.addresses.asked_for();
    let (one, ()) = tokio::join!(withdraw(), async {
        while house.status(&tip).await != "CLAIMED+" {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        house.finish(true);
    });
    one.done();
    withdraw().await.done();
    assert_eq!(house.addresses.asked_for(), [21]);
    let back = house.claimed(&json!({})).await;
    let path = format!("{TIPS}/{back}/reclaim");
    let force = json!({"force": true});
    once(&house.tipper, "back", path.clone(), &force).await.done();
    once(&house.tipper, "back", path.clone(), &force).await.done();
    once(&house.tipper, "twice", path, &force).await.is_error(409, "TIP_EXPIRED");
    house.audit();
}
