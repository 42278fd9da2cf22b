//! Buying: every form of challenge, kept credentials, one payment for one request.

use futures_util::future::join_all;
use serde_json::json;

use super::seller::{FORMS, PRICE};
use super::test_app::{RESERVE, TestApp, rules, sat, wide};
use crate::core::ids::PaymentHash;
use crate::core::money::Msat;
use crate::ledger::charges;
use crate::services::purse::Rules;

#[tokio::test(flavor = "multi_thread")]
async fn every_form_is_paid_once_and_tokens_are_shown_again() {
    let app = TestApp::new().await;
    app.earn(sat(10_000));
    let key = app.purse(wide(5_000)).await;
    let mut spent = 0;
    for (form, reusable) in FORMS {
        let first = app.fetch(&key, form).await.ok();
        assert_eq!(
            (&first["status"], &first["body"]),
            (&json!(200), &json!(format!("sold {form}"))),
            "{form}"
        );
        assert_eq!((&first["bodyEncoding"], &first["credentialReused"]), (&json!("utf8"), &json!(false)));
        let paid = &first["paid"];
        assert_eq!((&paid["amountSat"], &paid["feeSat"]), (&json!(PRICE), &json!(1)), "{form}: {paid}");
        let preimage: crate::core::ids::Preimage = paid["preimage"].as_str().unwrap().parse().unwrap();
        let hash: PaymentHash = paid["paymentHash"].as_str().unwrap().parse().unwrap();
        assert_eq!(preimage.payment_hash(), hash);
        let again = app.fetch(&key, form).await.ok();
        assert_eq!((&again["status"], &again["credentialReused"]), (&json!(200), &json!(reusable)), "{form}");
        assert_eq!(again["paid"].is_null(), reusable, "{form}");
        spent += (PRICE + 1) * if reusable { 1 } else { 2 };
    }
    assert_eq!(app.has(), ((10_000 - spent) * 1_000, 0));
    let shown = app.shown(&key).await;
    assert_eq!((&shown["spentSat"], &shown["leftSat"]), (&json!(spent), &json!(5_000 - spent)));
    assert_eq!(app.seller.sold().len(), FORMS.len() * 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn request_is_sent_as_it_was_given_and_binary_answers_are_base64() {
    let app = TestApp::new().await;
    let key = app.purse(wide(10)).await;
    let body = json!({ "url": app.seller.url("echo?a=b#c"), "method": "post", "headers": { "X-Mine": "1" }, "body": { "k": [1] } });
    let echoed = app.fetch_once(&key, &body, "").await.ok();
    let seen: serde_json::Value = serde_json::from_str(echoed["body"].as_str().unwrap()).unwrap();
    assert_eq!(seen["method"], "POST");
    assert_eq!((&seen["query"], &seen["body"]), (&json!("a=b"), &json!(r#"{"k":[1]}"#)));
    assert_eq!((&seen["type"], &seen["x"]), (&json!("application/json"), &json!("1")));
    assert!(seen["agent"].as_str().unwrap().starts_with("satchel/"));
    assert!(echoed["paid"].is_null());
    let bytes = app.fetch(&key, "bytes").await.ok();
    assert_eq!((&bytes["body"], &bytes["bodyEncoding"]), (&json!("AJ+Slg=="), &json!("base64")));
    for (body, code) in [
        (json!({}), "INVALID_URL"),
        (json!({ "url": "ftp://a.example" }), "INVALID_URL"),
        (json!({ "url": "http://u:p@a.example" }), "INVALID_URL"),
        (json!({ "url": app.seller.url("free"), "method": "CONNECT" }), "INVALID_METHOD"),
        (json!({ "url": app.seller.url("free"), "headers": { "Host": "a" } }), "INVALID_HEADERS"),
        (json!({ "url": app.seller.url("free"), "headers": { "a b": "a" } }), "INVALID_HEADERS"),
        (json!({ "url": app.seller.url("free"), "headers": { "a": "b\r\nc: d" } }), "INVALID_HEADERS"),
        (json!({ "url": app.seller.url("free"), "body": 1 }), "INVALID_BODY"),
        (json!({ "url": app.seller.url("free"), "body": "!", "bodyEncoding": "base64" }), "INVALID_BODY"),
        (json!({ "url": app.seller.url("free"), "maxSats": 0 }), "INVALID_AMOUNT"),
    ] {
        app.fetch_once(&key, &body, "").await.refused(400, code);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_at_once_for_one_invoice_pay_once() {
    let app = TestApp::new().await;
    app.earn(sat(1_000));
    let key = app.purse(wide(500)).await;
    let answers = join_all((0..50).map(|_| app.fetch(&key, "standing"))).await;
    let answers: Vec<_> = answers.iter().map(super::test_app::Answer::ok).collect();
    assert!(answers.iter().all(|answer| answer["status"] == 200));
    assert_eq!(answers.iter().filter(|answer| !answer["paid"].is_null()).count(), 1);
    assert_eq!(app.sim.delivered().len(), 1);
    assert_eq!(app.has(), ((1_000 - PRICE - 1) * 1_000, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn same_key_pays_once_however_often_it_is_sent() {
    let app = TestApp::new().await;
    app.earn(sat(1_000));
    let key = app.purse(wide(500)).await;
    let body = json!({ "url": app.seller.url("draft") });
    let answers = join_all((0..20).map(|_| app.fetch_once(&key, &body, "once"))).await;
    assert!(answers.iter().all(|answer| answer.ok()["status"] == 200 && answer.text == answers[0].text));
    assert_eq!(app.seller.sold().len(), 1);
    assert_eq!(app.sim.delivered().len(), 1);
    app.fetch_once(&key, &body, "once").await.ok();
    let other = json!({ "url": app.seller.url("l402") });
    app.fetch_once(&key, &other, "once").await.refused(409, "IDEMPOTENCY_KEY_REUSE");
    assert_eq!(app.has(), ((1_000 - PRICE - 1) * 1_000, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn payment_under_way_stays_reserved_and_the_same_request_goes_on() {
    let wait = std::time::Duration::from_millis(100);
    let app = TestApp::with(Rules { payment_wait: wait, ..rules() }).await;
    app.earn(sat(1_000));
    let key = app.purse(wide(30)).await;
    let body = json!({ "url": app.seller.url("l402") });
    let pending = app.fetch_once(&key, &body, "k").await.refused(504, "PAYMENT_PENDING");
    let id = pending["payment"]["paymentId"].as_str().unwrap().to_owned();
    assert_eq!(pending["payment"]["status"], "pending");
    let reserved = PRICE + RESERVE;
    assert_eq!(app.has(), ((1_000 - reserved) * 1_000, reserved * 1_000));
    assert_eq!(app.shown(&key).await["leftSat"], 30 - reserved);
    // Another request doesn't fit while this one is under way.
    let over = app.fetch(&key, "l402").await.refused(409, "BUDGET_LIMIT");
    assert_eq!((&over["neededSat"], &over["leftSat"]), (&json!(reserved), &json!(30 - reserved)));
    app.fetch_once(&key, &body, "k").await.refused(504, "PAYMENT_PENDING");
    app.pump();
    let mut answer = app.fetch_once(&key, &body, "k").await;
    while answer.status == 504 {
        answer = app.fetch_once(&key, &body, "k").await;
    }
    let answer = answer.ok();
    assert_eq!((&answer["status"], &answer["paid"]["paymentId"]), (&json!(200), &json!(id)));
    assert_eq!(app.sim.delivered().len(), 1);
    assert_eq!(app.has(), ((1_000 - PRICE - 1) * 1_000, 0));
    let one = app.ask("GET", &key, &format!("/v1/purse/payments/{id}"), "", "").await.ok();
    assert_eq!((&one["status"], &one["url"]), (&json!("paid"), &json!(app.seller.url("l402"))));
    let other = app.purse(wide(31)).await;
    app.ask("GET", &other, &format!("/v1/purse/payments/{id}"), "", "")
        .await
        .refused(404, "PAYMENT_NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_payment_gives_everything_back() {
    let app = TestApp::with(rules()).await;
    app.earn(sat(1_000));
    let key = app.purse(wide(100)).await;
    let fetched = app.fetch(&key, "l402");
    let failing = async {
        while app.sim.under_way().is_empty() {
            app.dispatch();
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        app.sim.resolve(app.sim.under_way()[0], false, Msat::ZERO);
        app.drain();
    };
    let (answer, ()) = tokio::join!(fetched, failing);
    answer.refused(502, "PAYMENT_FAILED");
    assert_eq!(app.has(), (1_000_000, 0));
    let shown = app.shown(&key).await;
    assert_eq!((&shown["leftSat"], &shown["spentTodaySat"]), (&json!(100), &json!(0)));
    assert_eq!(shown["receipts"][0]["status"], "failed");
    // A late success takes the money after all, and leaves a credential.
    let hash: PaymentHash = shown["receipts"][0]["paymentHash"].as_str().unwrap().parse().unwrap();
    let (listeners, now) = (app.ledger.listeners.clone(), app.clock.now());
    let late = app.ledger.store.write_blocking(move |tx| {
        let arrival = crate::ledger::payouts::Arrival { hash, preimage: None, fee: Msat::ZERO, left: None };
        crate::ledger::payouts::mark_paid(tx, &listeners, &arrival, now)
    });
    late.unwrap();
    assert_eq!(app.has(), ((1_000 - PRICE) * 1_000, 0));
    assert_eq!(app.shown(&key).await["leftSat"], 100 - PRICE);
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_credential_is_forgotten_and_paid_anew_by_the_next_request() {
    let app = TestApp::new().await;
    app.earn(sat(1_000));
    let key = app.purse(wide(500)).await;
    // Its tokens are good for one answer, which nobody can know.
    for payments in 1..4 {
        let answer = app.fetch(&key, "once").await.ok();
        assert_eq!((&answer["status"], &answer["credentialReused"]), (&json!(200), &json!(false)));
        assert_eq!(app.sim.delivered().len(), payments);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn invoice_of_this_server_gives_its_preimage() {
    let app = TestApp::with(rules()).await;
    app.earn(sat(1_000));
    let key = app.purse(wide(PRICE)).await;
    // The seller's invoice is one of this node, which knows its preimage.
    let first = reqwest::get(app.seller.url("standing")).await.unwrap();
    let line = first.headers()["www-authenticate"].to_str().unwrap().to_owned();
    let text = line.split("invoice=\"").nth(1).unwrap().trim_end_matches('"');
    let invoice: lightning_invoice::Bolt11Invoice = text.parse().unwrap();
    app.own_charge(&invoice, sat(PRICE));
    app.sim.knows_preimage_of(&invoice);
    // The budget is the price alone: nothing is reserved for routing.
    let answer = app.fetch(&key, "standing").await.ok();
    assert_eq!((&answer["status"], &answer["paid"]["feeSat"]), (&json!(200), &json!(0)));
    assert!(app.sim.delivered().is_empty(), "nothing left the node");
    assert_eq!(app.seller.sold(), [charges::hash_of(&invoice)]);
    // The same account bought what it sells.
    assert_eq!(app.has(), (1_000_000, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_sealed_in_the_database() {
    let app = TestApp::new().await;
    app.earn(sat(1_000));
    let key = app.purse(wide(500)).await;
    app.fetch(&key, "l402").await.ok();
    let hash = app.seller.sold()[0].to_string();
    let bytes: Vec<u8> = ["satchel.db", "satchel.db-wal"]
        .iter()
        .flat_map(|name| std::fs::read(app.folder.path().join(name)).unwrap_or_default())
        .collect();
    let macaroon = hash.as_bytes();
    let found = bytes.windows(macaroon.len()).filter(|window| *window == macaroon).count();
    // The hash as text stands in the statement of what the seller earned only if it was ours; here it is a stranger's.
    assert_eq!(found, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn answer_too_large_to_keep_is_paid_once_and_says_so() {
    let app = TestApp::with(Rules { max_answer: 2_000_000, ..rules() }).await;
    app.pump();
    app.earn(sat(1_000));
    let key = app.purse(wide(500)).await;
    for (payments, form, again) in [(1, "l402", 200), (2, "draft", 402)] {
        let body = json!({ "url": app.seller.url(&format!("{form}/large")) });
        let first = app.fetch_once(&key, &body, form).await.ok();
        assert_eq!(first["status"], 200);
        let note = first["note"].as_str().unwrap();
        assert!(note.contains("not kept") && note.contains("pays nothing"), "{note}");
        let second = app.fetch_once(&key, &body, form).await.ok();
        assert_eq!(
            (&second["status"], &second["paid"]["paymentId"]),
            (&json!(again), &first["paid"]["paymentId"])
        );
        assert_eq!(app.sim.delivered().len(), payments);
    }
    let small = app.fetch_once(&key, &json!({ "url": app.seller.url("l402") }), "small").await.ok();
    assert_eq!(small.get("note"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn request_that_reuses_no_credential_buys_anew() {
    let app = TestApp::new().await;
    app.earn(sat(1_000));
    let key = app.purse(wide(500)).await;
    let anew = json!({ "url": app.seller.url("l402"), "reuseCredential": false });
    for payments in 1..4 {
        let bought = app.fetch_once(&key, &anew, &payments.to_string()).await.ok();
        assert_eq!((&bought["status"], &bought["credentialReused"]), (&json!(200), &json!(false)));
        assert_eq!(app.sim.delivered().len(), payments);
        // The same request is the same purchase.
        app.fetch_once(&key, &anew, &payments.to_string()).await.ok();
    }
    assert_eq!(app.fetch(&key, "l402").await.ok()["credentialReused"], true);
    assert_eq!(app.sim.delivered().len(), 3);
    let wrong = json!({ "url": app.seller.url("l402"), "reuseCredential": "no" });
    app.fetch_once(&key, &wrong, "").await.refused(400, "INVALID_REUSE_CREDENTIAL");
}
