//! The document's shapes: members, their order, the kinds of values, status codes.

use serde_json::{Value, json};

use super::shape;
use super::test_app::{CHALLENGES, DEMO, PING, TestApp, VERIFY, hash};

/// The members of the outermost object as they stand in the text.
fn names(text: &str) -> Vec<String> {
    let value: serde_json::Map<String, Value> = serde_json::from_str(text).unwrap();
    let mut names: Vec<_> = value.keys().cloned().collect();
    names.sort_by_key(|name| text.rfind(&format!("\"{name}\":")).unwrap());
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn a_challenge_has_the_document_s_members() {
    let app = TestApp::new().await;
    let body = json!({ "resource": "/weather", "priceSats": 7, "description": "Für heute" });
    let answer = app.post(&app.shop, CHALLENGES, &body).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["content-type"], "application/json; charset=utf-8");
    assert_eq!(answer.headers["cache-control"], "no-store");
    let expected =
        ["invoice", "macaroon", "paymentHash", "expiresAt", "resource", "priceSats", "mppChallenge"];
    assert_eq!(names(&answer.text), expected);
    let made = answer.ok();
    assert_eq!((&made["resource"], &made["priceSats"]), (&json!("/weather"), &json!(7)));
    assert_eq!(made["expiresAt"], "2027-01-15T08:10:00Z");
    let invoice: lightning_invoice::Bolt11Invoice = made["invoice"].as_str().unwrap().parse().unwrap();
    assert_eq!(invoice.amount_milli_satoshis(), Some(7_000));
    assert_eq!(made["paymentHash"], invoice.payment_hash().to_string());
    assert_eq!(*app.node.words.lock().unwrap(), ["Für heute"]);
    let asked = app.node.asked.lock().unwrap();
    assert!(asked.iter().all(|request| request.hold.is_none()), "the node claims by itself");
    let line = made["mppChallenge"].as_str().unwrap();
    assert!(line.starts_with("Payment id=\"") && line.is_ascii(), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_description_is_put_on_one_line_and_cut_and_never_refused() {
    let app = TestApp::new().await;
    let asked = async |resource: &str, description: &str| {
        let body = json!({ "resource": resource, "priceSats": 7, "description": description });
        app.post(&app.shop, CHALLENGES, &body).await.ok();
        app.node.words.lock().unwrap().last().unwrap().clone()
    };
    assert_eq!(asked("/a", " Two\r\nlines,\tand\u{0} more ").await, "Two lines, and more");
    assert_eq!(asked("/b", &"é".repeat(5_000)).await, "é".repeat(50), "what the invoice holds");
    assert_eq!(asked("/c", "\n\n").await, "/c");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verdict_and_a_list_have_theirs() {
    let app = TestApp::new().await;
    let made = app.challenge("/weather", 7).await;
    let preimage = app.pay(made["invoice"].as_str().unwrap());
    let body = json!({ "macaroon": made["macaroon"], "preimage": preimage });
    let answer = app.post(&app.shop, VERIFY, &body).await;
    assert_eq!(
        names(&answer.text),
        ["valid", "resource", "merchantId", "amountSats", "paymentHash", "error"]
    );
    let answer = app.get(&app.shop, CHALLENGES).await;
    assert_eq!(names(&answer.text), ["challenges", "total", "limit", "offset", "status"]);
    let list = answer.ok();
    assert_eq!((&list["limit"], &list["offset"], &list["status"]), (&json!(20), &json!(0), &Value::Null));
    let row = &list["challenges"][0];
    assert_eq!(
        *row,
        json!({
            "paymentHash": hash(&preimage), "resource": "/weather", "amountSats": 7, "status": "paid",
            "createdAt": "2027-01-15T08:00:00Z", "paidAt": "2027-01-15T08:00:00Z",
            "expiresAt": "2027-01-15T08:10:00Z", "idempotencyKey": null,
        })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn prices_and_status_are_for_everybody() {
    let app = TestApp::new().await;
    let answer = app.get("", "/api/l402/pricing").await;
    let expected = ["defaultPriceSats", "serviceName", "endpoints", "tokenValiditySeconds"];
    assert_eq!(names(&answer.text), expected);
    let prices = answer.ok();
    assert_eq!((&prices["defaultPriceSats"], &prices["tokenValiditySeconds"]), (&json!(10), &json!(3_600)));
    let prices: Vec<_> = prices["endpoints"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["pathPattern"].as_str().unwrap().to_owned(), row["priceSats"].clone()))
        .collect();
    for (path, price) in [
        (PING, json!(1)),
        (DEMO, json!(10)),
        ("/api/l402/premium-data", json!(100)),
        ("/l402/proxy/*", json!("varies")),
    ] {
        assert!(prices.contains(&(path.to_owned(), price)), "{path}: {prices:?}");
    }

    let status = "/api/l402/status";
    let no = json!({ "authenticated": false, "message": "L402 credential required" });
    assert_eq!(app.get("", status).await.ok(), no);
    assert_eq!(app.show(status, "L402 nonsense").await.ok(), no);
    let bought = app.buy(DEMO).await;
    assert_eq!(
        app.show(status, &bought.header()).await.ok(),
        json!({
            "authenticated": true, "paymentHash": hash(&bought.preimage),
            "expiresAt": "2027-01-15T09:00:00Z", "remainingRequests": null,
        })
    );
    app.clock.advance(super::test_app::HOUR);
    assert_eq!(app.show(status, &bought.header()).await.ok(), no);
}

#[tokio::test(flavor = "multi_thread")]
async fn asking_for_payment_looks_as_clients_expect() {
    let app = TestApp::new().await;
    let answer = app.get("", "/api/l402/premium-data").await;
    assert_eq!(
        names(&answer.text),
        ["type", "title", "status", "detail", "instance", "error", "message", "l402"]
    );
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    assert_eq!(answer.headers["access-control-allow-origin"], "*");
    let body = answer.json();
    assert_eq!(body["type"], "https://paymentauth.org/problems/payment-required");
    assert_eq!((&body["error"], &body["status"]), (&json!("Payment Required"), &json!(402)));
    assert_eq!(body["message"], "Pay the Lightning invoice to access this resource");
    let offer = answer.offer();
    let members: Vec<_> = offer.as_object().unwrap().keys().map(String::as_str).collect();
    let mut expected = ["macaroon", "invoice", "amount_sats", "payment_hash", "expires_at", "resource"];
    expected.sort_unstable();
    assert_eq!(members, expected);
    assert_eq!((&offer["amount_sats"], &offer["expires_at"]), (&json!(100), &json!("2027-01-15T08:10:00Z")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sold_is_there() {
    let app = TestApp::new().await;
    for (path, sats) in [(PING, 1), (DEMO, 10), ("/api/l402/premium-data", 100)] {
        let bought = app.buy(path).await;
        let body = app.show(path, &bought.header()).await.ok();
        assert_eq!((&body["success"], &body["amountSats"]), (&json!(true), &json!(sats)), "{path}");
        assert_eq!(body["data"].is_object(), sats == 100);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_operation_answers_as_the_document_s_sample_does() {
    let app = TestApp::new().await;
    // What the document calls required, and what may be null or absent.
    for body in [
        json!({ "resource": "/a", "priceSats": 1 }),
        json!({ "resource": "/b", "priceSats": 1, "description": null }),
        json!({ "resource": "/c", "priceSats": 1, "description": "string", "unknown": true }),
    ] {
        let answer = app.post(&app.shop, CHALLENGES, &body).await;
        assert_eq!(answer.status, 200);
        shape::is(&answer.json(), &shape::challenge(), &[]);
    }
    let made = app.challenge("/weather", 7).await;
    let preimage = app.pay(made["invoice"].as_str().unwrap());
    let token = json!({ "macaroon": made["macaroon"], "preimage": preimage });
    shape::is(&app.verdict(&token).await, &shape::verdict(), &["error"]);
    shape::is(&app.verdict(&json!({ "preimage": preimage })).await, &shape::verdict(), &["error"]);
    let again = app.verdict(&json!({ "macaroon": null, "preimage": preimage })).await;
    shape::is(&again, &shape::verdict(), &[]);
    // Of a payment that nobody knows there is nothing to tell.
    let unknown = app.verdict(&json!({ "macaroon": "string", "preimage": "string" })).await;
    shape::is(&unknown, &shape::verdict(), &["resource", "paymentHash"]);
    assert_eq!(unknown["valid"], false);
    for path in [DEMO, "/api/l402/premium-data", PING] {
        let asked = app.get("", path).await;
        assert_eq!(asked.headers["content-type"], "application/problem+json");
        shape::is_problem(&asked.json(), 402, path);
        // The document's clients send their key everywhere; here it buys nothing, even a wrong one.
        for key in [app.shop.as_str(), "nobody's"] {
            shape::is_problem(&app.get(key, path).await.json(), 402, path);
        }
    }
    for path in ["/api/l402/pricing", "/api/l402/status"] {
        for key in ["", app.shop.as_str(), "nobody's"] {
            assert_eq!(app.get(key, path).await.status, 200, "{path}");
        }
    }
    for (answer, status, path) in [
        (app.post(&app.shop, CHALLENGES, &json!({})).await, 400, CHALLENGES),
        (
            app.post(&app.shop, CHALLENGES, &json!({ "resource": "/a", "priceSats": 0 })).await,
            400,
            CHALLENGES,
        ),
        (app.post(&app.shop, VERIFY, &json!({})).await, 400, VERIFY),
        (app.post("", VERIFY, &json!({})).await, 401, VERIFY),
        (app.post(&app.shop, DEMO, &json!({})).await, 405, DEMO),
        (app.get(&app.shop, VERIFY).await, 405, VERIFY),
    ] {
        assert_eq!(answer.status, status, "{path}");
        shape::is_problem(&answer.json(), status, path);
    }
}

#[test]
fn the_description_names_every_operation() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let document = runtime.block_on(async {
        let app = TestApp::new().await;
        let limits = crate::http::limits::Limits::new(super::test_app::quota(0));
        let (_, document) = crate::services::l402::api::router(
            app.l402.clone(),
            app.keys.clone(),
            &std::sync::Arc::new(limits),
        );
        serde_json::to_value(crate::http::openapi::keyed(document)).unwrap()
    });
    shape::describes(
        &document,
        &[
            ("post", CHALLENGES, &[]),
            ("get", CHALLENGES, &["status", "limit", "offset"]),
            ("post", VERIFY, &[]),
            ("get", "/api/l402/pricing", &[]),
            ("get", "/api/l402/status", &[]),
            ("get", "/api/stats/l402", &[]),
            ("get", PING, &[]),
            ("get", DEMO, &[]),
            ("get", "/api/l402/premium-data", &[]),
        ],
    );
    for (path, method) in [
        (CHALLENGES, "post"),
        (CHALLENGES, "get"),
        (VERIFY, "post"),
        ("/api/l402/pricing", "get"),
        ("/api/l402/status", "get"),
        ("/api/stats/l402", "get"),
        (PING, "get"),
    ] {
        let keyed = path.starts_with(CHALLENGES);
        assert_eq!(document["paths"][path][method]["security"] != json!([]), keyed, "{method} {path}");
    }
}
