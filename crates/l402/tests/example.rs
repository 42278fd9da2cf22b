//! The example is what it says: a route with a price.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail it")]

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, Response, StatusCode};
use l402::mpp::Challenge;
use l402::{b64, params};
use serde_json::{Value, json};
use tower::ServiceExt;

#[path = "../examples/priced_route.rs"]
#[expect(dead_code, reason = "only its routes are used here")]
mod priced_route;

async fn get(app: &Router, credential: Option<&str>) -> Response<Body> {
    let mut request = Request::get("/weather");
    if let Some(credential) = credential {
        request = request.header("authorization", credential);
    }
    app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

async fn text(response: Response<Body>) -> String {
    let bytes = to_bytes(response.into_body(), 10_000).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn challenges(headers: &HeaderMap) -> String {
    let lines = headers.get_all("www-authenticate").iter().map(|value| value.to_str().unwrap());
    lines.collect::<Vec<_>>().join(", ")
}

#[tokio::test]
async fn paid_token_opens_the_route_more_than_once() {
    let app = priced_route::app();
    let asked = get(&app, None).await;
    assert_eq!(asked.status(), StatusCode::PAYMENT_REQUIRED);
    assert_eq!(asked.headers()["content-type"], "application/problem+json");
    let schemes = params::challenges(&challenges(asked.headers()));
    let (macaroon, invoice) = (schemes[0].get("macaroon").unwrap(), schemes[0].get("invoice").unwrap());
    let preimage = invoice.strip_prefix("fake").unwrap();
    let body: Value = serde_json::from_str(&text(asked).await).unwrap();
    assert_eq!((&body["l402"]["amount_sats"], &body["l402"]["resource"]), (&json!(10), &json!("/weather")));
    assert_eq!((&body["l402"]["macaroon"], &body["l402"]["invoice"]), (&json!(macaroon), &json!(invoice)));

    let credential = format!("L402 {macaroon}:{preimage}");
    for _ in 0..2 {
        let paid = get(&app, Some(&credential)).await;
        assert_eq!(
            (paid.status(), &paid.headers()["cache-control"]),
            (StatusCode::OK, &"no-store".parse().unwrap())
        );
        assert_eq!(text(paid).await, "sunny, for 10 sat");
    }
    let unpaid = format!("L402 {macaroon}:{}", "00".repeat(32));
    assert_eq!(get(&app, Some(&unpaid)).await.status(), StatusCode::PAYMENT_REQUIRED);
}

#[tokio::test]
async fn payment_credential_is_good_for_one_response() {
    let app = priced_route::app();
    let challenge = Challenge::read_all(&challenges(get(&app, None).await.headers())).remove(0);
    let request: Value = serde_json::from_slice(&b64::read_url(&challenge.request).unwrap()).unwrap();
    let preimage = request["methodDetails"]["invoice"].as_str().unwrap().strip_prefix("fake").unwrap();
    let credential = json!({ "challenge": challenge, "payload": { "preimage": preimage } });
    let credential = format!("Payment {}", b64::url(credential.to_string().as_bytes()));
    let paid = get(&app, Some(&credential)).await;
    assert_eq!(paid.status(), StatusCode::OK);
    let receipt = b64::read_url(paid.headers()["payment-receipt"].to_str().unwrap()).unwrap();
    let receipt: Value = serde_json::from_slice(&receipt).unwrap();
    assert_eq!((&receipt["status"], &receipt["challengeId"]), (&json!("success"), &json!(challenge.id)));
    assert_eq!(receipt["reference"], request["methodDetails"]["paymentHash"]);
    assert_eq!(get(&app, Some(&credential)).await.status(), StatusCode::PAYMENT_REQUIRED);
}
