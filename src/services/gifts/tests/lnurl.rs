//! Gifts in wallets.

use bitcoin::hashes::{Hash, sha256};
use serde_json::json;

use super::test_app::{OK, PUBLIC_URL, TestApp, keys};
use crate::lightning::InvoiceDescription;

#[tokio::test(flavor = "multi_thread")]
async fn the_first_leg_offers_exactly_the_gift() {
    let app = TestApp::new();
    let created = app.create(json!({"amount": 1000, "verifyCode": "0042"})).await;
    app.fund(&created);
    let id = created["orderId"].as_str().unwrap();
    let (hrp, url) = bech32::decode(created["lnurl"].as_str().unwrap()).unwrap();
    let url = String::from_utf8(url).unwrap();
    assert_eq!(
        (hrp.as_str(), url.as_str()),
        ("lnurl", format!("{PUBLIC_URL}/lnurl/{id}?verifyCode=0042").as_str())
    );
    let answer = app.get(url.strip_prefix(PUBLIC_URL).unwrap()).await;
    assert_eq!(
        keys(&answer.text),
        ["status", "callback", "k1", "maxWithdrawable", "minWithdrawable", "defaultDescription", "tag"]
    );
    let again = app.get(url.strip_prefix(PUBLIC_URL).unwrap()).await.text;
    assert_eq!(answer.text, again, "looking changes nothing");
    let json = answer.ok();
    assert_eq!(json["callback"], format!("{PUBLIC_URL}/lnurl/{id}"), "wallets may replace its query");
    assert_eq!((&json["minWithdrawable"], &json["maxWithdrawable"]), (&json!(1_000_000), &json!(1_000_000)));
    assert_eq!(json["defaultDescription"], format!("lightning.gifts redeem {id}"));
    assert_eq!(json["tag"], "withdrawRequest");
    assert_ne!(json["k1"], id);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_leg_takes_the_gift_once() {
    let app = TestApp::new();
    let id = app.funded(json!({"amount": 1000})).await;
    let k1 = app.get(&format!("/lnurl/{id}")).await.ok()["k1"].as_str().unwrap().to_owned();
    let (mine, other) = (app.invoice(1000), app.invoice(1000));
    let call = async |k1: &str, pr: &str| app.get(&format!("/lnurl/{id}?k1={k1}&pr={pr}")).await;
    call("", &mine).await.is_lnurl_error("BAD_K1");
    call(&id, &mine).await.is_lnurl_error("BAD_K1");
    call(&k1, "garbage").await.is_lnurl_error("BAD_INVOICE");
    call(&k1, &app.invoice(999)).await.is_lnurl_error("BAD_INVOICE_AMOUNT");
    assert_eq!(call(&k1, &mine).await.text, r#"{"status":"OK"}"#);
    // Wallets have been seen to call twice.
    assert_eq!(call(&k1, &mine).await.text, r#"{"status":"OK"}"#);
    call(&k1, &other).await.is_lnurl_error("GIFT_REDEEM_PENDING");
    app.get(&format!("/lnurl/{id}")).await.is_lnurl_error("GIFT_REDEEM_PENDING");
    app.finish(true);
    assert!(app.reached(&mine));
    assert_eq!(call(&k1, &mine).await.text, r#"{"status":"OK"}"#);
    call(&k1, &other).await.is_lnurl_error("GIFT_SPENT");
    app.get(&format!("/lnurl/{id}")).await.is_lnurl_error("GIFT_SPENT");
    app.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failure_the_wallet_must_look_again() {
    let app = TestApp::new();
    let id = app.funded(json!({"amount": 1000})).await;
    let k1 = async || app.get(&format!("/lnurl/{id}")).await.ok()["k1"].as_str().unwrap().to_owned();
    let old = k1().await;
    app.get(&format!("/lnurl/{id}?k1={old}&pr={}", app.invoice(1000))).await.ok();
    app.finish(false);
    let invoice = app.invoice(1000);
    app.get(&format!("/lnurl/{id}?k1={old}&pr={invoice}")).await.is_lnurl_error("BAD_K1");
    let new = k1().await;
    assert_ne!(old, new);
    assert_eq!(app.get(&format!("/lnurl/{id}?k1={new}&pr={invoice}")).await.text, r#"{"status":"OK"}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_t_be_taken_is_said_on_the_first_leg() {
    let app = TestApp::new();
    app.get("/lnurl/nonsense").await.is_lnurl_error("GIFT_NOT_FOUND");
    app.get("/lnurl/03a1fb575647d7d79909785c2648e98397ec15e6d6d2562d").await.is_lnurl_error("GIFT_NOT_FOUND");
    let created = app.create(json!({"amount": 1000, "verifyCode": 1234})).await;
    let id = created["orderId"].as_str().unwrap();
    app.get(&format!("/lnurl/{id}")).await.is_lnurl_error("GIFT_INVOICE_UNPAID");
    app.fund(&created);
    app.get(&format!("/lnurl/{id}")).await.is_lnurl_error("BAD_VERIFY_CODE");
    let k1 = app.get(&format!("/lnurl/{id}?verifyCode=1234")).await.ok()["k1"].as_str().unwrap().to_owned();
    let pr = app.invoice(1000);
    app.get(&format!("/lnurl/{id}?verifyCode=1234&k1=&pr={pr}")).await.is_lnurl_error("BAD_K1");
    // The code was shown for the k1, which stands for it: wallets may set the callback's query themselves.
    let taken = app.get(&format!("/lnurl/{id}?k1={k1}&pr={pr}")).await;
    assert_eq!(taken.text, r#"{"status":"OK"}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_makes_a_gift() {
    let app = TestApp::new();
    let query =
        "senderName=A%26B&senderMessage=hi%20there&verifyCode=0042&notify=https%3A%2F%2Fa.example%2Fx";
    let answer = app.get(&format!("/lnurl?{query}")).await;
    assert_eq!(keys(&answer.text), ["minSendable", "maxSendable", "tag", "metadata", "callback"]);
    let offer = answer.ok();
    assert_eq!((&offer["minSendable"], &offer["maxSendable"]), (&json!(100_000), &json!(500_000_000)));
    assert_eq!(offer["tag"], "payRequest");
    let callback = offer["callback"].as_str().unwrap();
    assert!(!callback.contains('?'), "{callback}");
    let answer = app.get(&format!("{}?amount=1000000", callback.strip_prefix(PUBLIC_URL).unwrap())).await;
    assert_eq!(keys(&answer.text), ["pr", "successAction", "disposable", "routes"]);
    let made = answer.ok();
    let metadata = offer["metadata"].as_str().unwrap();
    {
        let asked = app.node.asked.lock().unwrap();
        let InvoiceDescription::Hash(hash) = &asked[0].description else { panic!("in clear") };
        assert_eq!(*hash, sha256::Hash::hash(metadata.as_bytes()).to_byte_array());
    }
    assert_eq!((&made["disposable"], &made["routes"]), (&json!(false), &json!([])));
    let action = &made["successAction"];
    assert_eq!((&action["tag"], &action["description"]), (&json!("url"), &json!("Here's your gift URL")));
    let url = action["url"].as_str().unwrap();
    assert!(url.len() <= 144);
    let id = url.strip_prefix(&format!("{PUBLIC_URL}/view/")).unwrap();
    app.fund(&json!({"lightningInvoice": {"payreq": made["pr"]}}));
    let gift = app.get(&format!("/gift/{id}?verifyCode=0042")).await.ok();
    assert_eq!(gift["amount"], 1000);
    assert_eq!((&gift["senderName"], &gift["senderMessage"]), (&json!("A&B"), &json!("hi there")));
    app.get(&format!("/gift/{id}/manage?key=")).await.is_error(404, "GIFT_NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_wallet_can_t_make() {
    let app = TestApp::new();
    for (query, code) in [
        ("amount=100500", "GIFT_AMOUNT_NOT_WHOLE_NUMBER"),
        ("amount=", "GIFT_AMOUNT_NOT_WHOLE_NUMBER"),
        ("amount=1e6", "GIFT_AMOUNT_NOT_WHOLE_NUMBER"),
        ("amount=99000", "GIFT_AMOUNT_UNDER_100"),
        ("amount=500001000", "GIFT_AMOUNT_OVER_500K"),
        ("amount=18446744073709551000", "GIFT_AMOUNT_OVER_500K"),
        ("amount=x&senderName=1234567890123456", "GIFT_AMOUNT_NOT_WHOLE_NUMBER"),
        ("amount=100000&senderName=1234567890123456", "SENDER_NAME_BAD_LENGTH"),
        ("senderName=1234567890123456", "SENDER_NAME_BAD_LENGTH"),
        ("verifyCode=12", "VERIFY_CODE_BAD_LENGTH"),
        ("notify=http%3A%2F%2F127.0.0.1&amount=100000", "NOTIFY_BAD_URL"),
        ("notify=http%3A%2F%2F127.0.0.1", "NOTIFY_BAD_URL"),
        ("notify=nowhere", "NOTIFY_BAD_URL"),
    ] {
        app.get(&format!("/lnurl?{query}")).await.is_lnurl_error(code);
    }
    for asked in ["!", "_w", "c2VuZGVyTmFtZT0xMjM0NTY3ODkwMTIzNDU2"] {
        let code = if asked.len() > 2 { "SENDER_NAME_BAD_LENGTH" } else { "GIFT_NOT_FOUND" };
        app.get(&format!("/lnurl/pay/{asked}?amount=100000")).await.is_lnurl_error(code);
    }
    assert_eq!(app.get("/lnurl").await.status, OK);
    assert_eq!(app.get("/lnurl").await.json()["metadata"], r#"[["text/plain","Create a Lightning Gift."]]"#);
}
