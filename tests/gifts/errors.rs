//! The contract's tables of errors, row by row.

use regtest::InvoiceRequest;
use serde_json::{Value, json};

use super::test_server::TestServer;

/// Contract 1.1, and what we check beyond it.
pub async fn creation(server: &TestServer) {
    let rows = [
        (json!({}), "GIFT_AMOUNT_NOT_WHOLE_NUMBER"),
        (json!({"amount": "5000"}), "GIFT_AMOUNT_NOT_WHOLE_NUMBER"),
        (json!({"amount": 1.5}), "GIFT_AMOUNT_NOT_WHOLE_NUMBER"),
        (json!({"amount": true}), "GIFT_AMOUNT_NOT_WHOLE_NUMBER"),
        (json!({"amount": 99}), "GIFT_AMOUNT_UNDER_100"),
        (json!({"amount": 0}), "GIFT_AMOUNT_UNDER_100"),
        (json!({"amount": -1}), "GIFT_AMOUNT_UNDER_100"),
        (json!({"amount": 500_001}), "GIFT_AMOUNT_OVER_500K"),
        (json!({"amount": 100, "senderName": 5}), "SENDER_NAME_NOT_STRING"),
        (json!({"amount": 100, "senderName": "1234567890123456"}), "SENDER_NAME_BAD_LENGTH"),
        (json!({"amount": 100, "senderMessage": 5}), "SENDER_MESSAGE_NOT_STRING"),
        (json!({"amount": 100, "senderMessage": "x".repeat(101)}), "SENDER_MESSAGE_BAD_LENGTH"),
        (json!({"amount": 100, "verifyCode": "abcd"}), "VERIFY_CODE_NOT_NUMBER"),
        (json!({"amount": 100, "verifyCode": 42}), "VERIFY_CODE_BAD_LENGTH"),
        (json!({"amount": 100, "verifyCode": 1.23}), "VERIFY_CODE_BAD_LENGTH"),
        (json!({"amount": 100, "verifyCode": -123}), "VERIFY_CODE_BAD_LENGTH"),
        (json!({"amount": 100, "notify": "your webhook url"}), "NOTIFY_BAD_URL"),
        (json!({"amount": 100, "notify": "http://10.0.0.1/hook"}), "NOTIFY_BAD_URL"),
        (json!({"amount": 100, "notify": "http://169.254.169.254/latest"}), "NOTIFY_BAD_URL"),
        (json!({"amount": 100, "expiresAt": 1}), "EXPIRES_AT_BAD"),
        (json!({"amount": 100, "refundAddress": "nobody"}), "REFUND_ADDRESS_BAD"),
        (json!({"amount": 100, "quantity": 501}), "QUANTITY_BAD"),
        // The first broken rule is told.
        (json!({"amount": 99, "senderName": 5, "verifyCode": "x"}), "GIFT_AMOUNT_UNDER_100"),
        (json!({"amount": 100, "senderMessage": 5, "verifyCode": "x"}), "SENDER_MESSAGE_NOT_STRING"),
    ];
    for (body, code) in rows {
        server.post("/create", &body).await.is_error(400, code);
    }
    for amount in [json!(5000.0), json!(100), json!(500_000)] {
        assert_eq!(server.post("/create", &json!({"amount": amount})).await.status, 200);
    }
    let malformed = server.http.post(server.url("/create")).header("content-type", "application/json").body("{");
    server.send(malformed).await.is_error(400, "BODY_NOT_JSON");
    let plain =
        server.http.post(server.url("/create")).header("content-type", "text/plain").body(r#"{"amount":100}"#);
    assert_eq!(server.send(plain).await.status, 200, "JSON is read under any name");
    let huge = json!({"amount": 100, "senderMessage": "x".repeat(200_000)});
    server.post("/create", &huge).await.is_error(413, "BODY_TOO_LARGE");
    // More than all channels can take.
    let whale = json!({"amount": 500_000, "quantity": 500});
    server.post("/create", &whale).await.is_error(503, "NO_INBOUND_CAPACITY");
}

/// Paths, methods and ids that no route takes are refused in the family's shape all the same.
pub async fn strange_requests(server: &TestServer) {
    server.get("/gift/%ff").await.is_error(404, "GIFT_NOT_FOUND");
    server.get("/redeemStatus/%ff").await.is_error(404, "WITHDRAWAL_FAILED");
    server.get("/lnurl/%ff").await.is_lnurl_error("GIFT_NOT_FOUND");
    server.get("/nowhere").await.is_error(404, "NOT_FOUND");
    server.get("/lnurl/a/b").await.is_lnurl_error("NOT_FOUND");
    server.get("/create").await.is_error(405, "METHOD_NOT_ALLOWED");
    server.post("/lnurl", &json!({})).await.is_lnurl_error("METHOD_NOT_ALLOWED");
    for (path, methods) in [("/create", "POST"), ("/lnurl", "GET,HEAD"), ("/lnurl/x", "GET,HEAD")] {
        let asked = server.send(server.http.request(reqwest::Method::OPTIONS, server.url(path))).await;
        assert_eq!((asked.status, asked.text.as_str()), (200, ""), "{path}");
        assert_eq!(asked.headers["allow"], methods, "{path}");
    }
    // The operator's routes are served elsewhere.
    for path in ["/admin/v1/node", "/metrics", "/events"] {
        assert_eq!(server.get(path).await.status, 404, "{path}");
    }
    let document = server.get("/openapi.json").await.ok();
    for path in ["/create", "/lnurl", "/health/live", "/health/ready", "/metrics", "/", "/redeem/{orderId}"] {
        assert!(document["paths"][path].is_object(), "{path}");
    }
    // One path, two faces: the API's POST and the page's GET.
    let redeem = &document["paths"]["/redeem/{orderId}"];
    assert!(redeem["get"].is_object() && redeem["post"].is_object());
}

/// Contract 1.3, 1.4 and 1.5.
pub async fn redemption(server: &TestServer) {
    let stranger = "03a1fb575647d7d79909785c2648e98397ec15e6d6d2562d";
    server.get(&format!("/gift/{stranger}")).await.is_error(404, "GIFT_NOT_FOUND");
    server.redeem(stranger, "garbage").await.is_error(404, "GIFT_NOT_FOUND");
    server.get(&format!("/status/{stranger}")).await.is_error(404, "NO_CHARGE_ID");
    server.get("/redeemStatus/ba8f8f99-8b03-4b22-9275-4bf2b8e3e7c2").await.is_error(404, "WITHDRAWAL_FAILED");
    server.get(&format!("/lnurl/{stranger}")).await.is_lnurl_error("GIFT_NOT_FOUND");

    let created = server.create(json!({"amount": 1000, "verifyCode": "0042"})).await;
    let id = created["orderId"].as_str().unwrap();
    let redeem = async |invoice: &str, code: Value| {
        server.post(&format!("/redeem/{id}"), &json!({"invoice": invoice, "verifyCode": code})).await
    };
    let good = server.invoice(1000).await;
    redeem(&good, Value::Null).await.is_error(400, "GIFT_INVOICE_UNPAID");
    server.get(&format!("/lnurl/{id}?verifyCode=0042")).await.is_lnurl_error("GIFT_INVOICE_UNPAID");
    server.fund(&created).await;

    let wallet = &server.network.wallets[1];
    let amountless = wallet.invoice(InvoiceRequest::open()).await.unwrap().invoice;
    let soon_over = wallet.invoice(InvoiceRequest::sat(1000).expires_in(5)).await.unwrap().invoice;
    let mainnet = "lnbc2500u1pvjluezpp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdq5xysxxatsyp3k7enxv4jsxqzpu\
                   aztrnwngzn3kdzw5hydlzf03qdgm2hdq27cqv3agm2awhz5se903vruatfhq77w3ls4evs3ch9zw97j25emudupq63nyw24cg27h2rspfj9srp";
    let cut = &good[..good.len() - 1];
    for bad in ["", "garbage", amountless.as_str(), soon_over.as_str(), mainnet, cut] {
        redeem(bad, json!("0042")).await.is_error(400, "BAD_INVOICE");
    }
    for msat in [999_999, 1_000_001, 1_000_500, 999_000, 2_000_000] {
        let other = wallet.invoice(InvoiceRequest::msat(msat)).await.unwrap().invoice;
        redeem(&other, json!("0042")).await.is_error(400, "BAD_INVOICE_AMOUNT");
    }
    // An address is asked for an invoice, for who may take the gift; here nobody answers.
    redeem("user@example.com", Value::Null).await.is_error(400, "BAD_VERIFY_CODE");
    redeem("user@example.com", json!("0042")).await.is_error(422, "ADDRESS_REFUSES");
    redeem(&good, Value::Null).await.is_error(400, "BAD_VERIFY_CODE");
    redeem(&good, json!(4321)).await.is_error(400, "BAD_VERIFY_CODE");
    let upper = format!("LIGHTNING:{}", good.to_uppercase());
    let redeemed = redeem(&upper, json!("0042")).await.ok();
    server.until(&format!("/gift/{id}?verifyCode=42"), |gift| gift["spent"] == true).await;
    let other = server.invoice(1000).await;
    // The amount first, the code last.
    redeem(&other, json!(4321)).await.is_error(400, "GIFT_SPENT");
    redeem(&server.invoice(1001).await, json!("0042")).await.is_error(400, "BAD_INVOICE_AMOUNT");
    assert_eq!(redeem(&good, json!("0042")).await.ok(), redeemed);
    server.get(&format!("/lnurl/{id}?verifyCode=0042")).await.is_lnurl_error("GIFT_SPENT");
}

/// Ten wrong codes lock, and killing the process doesn't unlock.
pub async fn codes_lock_through_a_kill(server: &TestServer) {
    let id = server.funded(json!({"amount": 1000, "verifyCode": 1234})).await;
    for wrong in 0..10 {
        let shown = server.get(&format!("/gift/{id}?verifyCode={}", 5000 + wrong)).await.ok();
        assert_eq!(shown["verifyCodeRequired"], true);
        assert!(shown.get("lnurl").is_none() && shown.get("chargeInfo").is_none());
    }
    // Once LDK has written down what it was at: it closes a channel that is further.
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    server.network.satchel.kill().await.unwrap();
    server.network.satchel.start().await.unwrap();
    server.network.wait_usable().await.unwrap();
    let locked = server.get(&format!("/gift/{id}?verifyCode=1234")).await;
    locked.is_error(429, "VERIFY_CODE_LOCKED");
    assert!(locked.headers.contains_key("retry-after"));
    let body = json!({"invoice": server.invoice(1000).await, "verifyCode": 1234});
    server.post(&format!("/redeem/{id}"), &body).await.is_error(429, "VERIFY_CODE_LOCKED");
    server.get(&format!("/lnurl/{id}?verifyCode=1234")).await.is_lnurl_error("VERIFY_CODE_LOCKED");
    assert_eq!(server.get(&format!("/gift/{id}")).await.ok()["verifyCodeRequired"], true);
}
