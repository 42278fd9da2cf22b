//! The document's samples: members, their order, the kinds of their values, in each state of their object.

use axum::http::Method;
use serde_json::{Map, Value, json};

use super::test_app::{
    ATTESTATIONS, Answer, CAPABILITIES, CHALLENGE, Identity, REGISTER, REQUESTS, TestApp, VERIFY,
};

fn agent() -> Value {
    json!({
        "id": 0, "pubkey": "string", "name": "string", "description": "string", "isActive": true,
        "isVerified": true, "verifiedAt": "2019-08-24T14:15:22Z", "createdAt": "2019-08-24T14:15:22Z",
        "updatedAt": "2019-08-24T14:15:22Z", "totalRequests": 0, "totalRevenueSats": 0, "activeAgreements": 0,
    })
}

const AGENT: [&str; 12] = [
    "id",
    "pubkey",
    "name",
    "description",
    "isActive",
    "isVerified",
    "verifiedAt",
    "createdAt",
    "updatedAt",
    "totalRequests",
    "totalRevenueSats",
    "activeAgreements",
];

fn stats() -> Value {
    json!({
        "pubkey": "string", "name": "string", "totalRequests": 0, "totalRevenueSats": 0, "activeAgreements": 0,
        "averageRevenuePerRequest": 0.1, "isActive": true, "registeredAt": "2019-08-24T14:15:22Z",
        "lastUpdated": "2019-08-24T14:15:22Z",
    })
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_i64() || number.is_u64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// It has the sample's members and no others, and each is of the same kind, or `null` if it is named.
#[track_caller]
fn is(answer: &Value, sample: &Value, null: &[&str]) {
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(answer), names(sample));
    for (name, value) in sample.as_object().unwrap() {
        let expected = if null.contains(&name.as_str()) { "null" } else { kind(value) };
        assert_eq!(kind(&answer[name]), expected, "{name}: {answer}");
        if name.ends_with("At") || name == "lastUpdated" {
            let iso = |text: &str| text.ends_with('Z') && text.as_bytes()[10] == b'T';
            assert!(answer[name].as_str().is_none_or(iso), "{name}: {answer}");
        }
    }
}

/// The members of the outermost object as they stand in the text.
#[track_caller]
fn in_order(answer: &Answer, expected: &[&str]) {
    let value: Map<String, Value> = serde_json::from_str(&answer.text).unwrap();
    let mut names: Vec<_> = value.keys().cloned().collect();
    names.sort_by_key(|name| answer.text.rfind(&format!("\"{name}\":")).unwrap());
    assert_eq!(names, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_in_each_state_has_the_sample_s_members() {
    let app = TestApp::new().await;
    let ada = Identity::new(1);
    let nameless = app.post(&app.seller, REGISTER, &json!({ "pubkey": ada.pubkey })).await;
    in_order(&nameless, &AGENT);
    is(&nameless.made(), &agent(), &["name", "description", "verifiedAt"]);
    let body = json!({ "pubkey": ada.pubkey, "name": "string", "description": "string" });
    is(&app.post(&app.seller, REGISTER, &body).await.made(), &agent(), &["verifiedAt"]);
    let challenge = app.get(&app.seller, &format!("{CHALLENGE}?pubkey={}", ada.pubkey)).await;
    in_order(&challenge, &["challenge", "pubkey", "expiresInSeconds"]);
    let challenge = challenge.made();
    is(&challenge, &json!({ "challenge": "string", "pubkey": "string", "expiresInSeconds": 0 }), &[]);
    assert_eq!(
        (challenge["challenge"].as_str().unwrap().len(), &challenge["expiresInSeconds"]),
        (64, &json!(300))
    );
    let verified = app.prove(&app.seller, &ada, challenge["challenge"].as_str().unwrap()).await;
    in_order(&verified, &["pubkey", "isVerified", "verifiedAt", "message"]);
    let sample = json!({
        "pubkey": "string", "isVerified": true, "verifiedAt": "2019-08-24T14:15:22Z", "message": "string",
    });
    is(&verified.made(), &sample, &[]);
    assert_eq!(verified.made()["isVerified"], true);

    // Verified, with an agreement, with a sale: the same members, and numbers that are what happened.
    let path = format!("/api/agents/{}", ada.pubkey);
    let read = async |key: &str| {
        let (one, list) = (app.get(key, &path).await, app.get(key, "/api/agents").await);
        let figures = app.get(key, &format!("{path}/stats")).await;
        in_order(&one, &AGENT);
        is(&one.made(), &agent(), &[]);
        is(&figures.made(), &stats(), &[]);
        is(&list.made(), &json!({ "agents": [], "total": 0 }), &[]);
        assert_eq!(list.made()["agents"][0], one.made());
        let figures = figures.made();
        for name in ["pubkey", "name", "totalRequests", "totalRevenueSats", "activeAgreements", "isActive"] {
            assert_eq!(figures[name], one.made()[name], "{name}");
        }
        (
            figures["totalRequests"].clone(),
            figures["activeAgreements"].clone(),
            figures["averageRevenuePerRequest"].clone(),
        )
    };
    assert_eq!(read("").await, (json!(0), json!(0), json!(0.0)));
    let listing = app.offer(&json!({})).await;
    let request = json!({ "capabilityEventId": listing["eventId"], "budgetSats": 7, "parameters": "string" });
    app.post(&app.buyer, REQUESTS, &request).await.made();
    assert_eq!(read(&app.buyer).await, (json!(0), json!(1), json!(0.0)));
    app.buy(&listing["l402Endpoint"]).await;
    assert_eq!(read(&app.seller).await, (json!(1), json!(0), json!(7.0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn listings_requests_and_attestations_have_what_clients_read() {
    let app = TestApp::new().await;
    let ada = Identity::new(1);
    let empty = app.get("", CAPABILITIES).await;
    in_order(&empty, &["items", "total"]);
    assert_eq!(empty.made(), json!({ "items": [], "total": 0 }));
    app.agent(&app.seller, &ada, "Ada").await;
    for (more, null) in [
        (json!({}), vec![]),
        (json!({ "targetUrl": null, "l402Endpoint": "https://own.example/api", "priceSats": 0 }), vec![]),
        (json!({ "targetUrl": null, "hashtags": null }), vec!["l402Endpoint"]),
    ] {
        let listing = app.offer(&more).await;
        let found = app.get("", &format!("{CAPABILITIES}?limit=1")).await.made();
        let item = &found["items"][0];
        let sample = json!({
            "eventId": "string", "serviceId": "string", "pubkey": "string", "content": "string",
            "categories": [], "hashtags": [], "priceSats": 0, "l402Endpoint": "string", "createdAt": 0,
        });
        is(item, &sample, &null);
        assert_eq!(item["eventId"], listing["eventId"]);
        assert_eq!(item["l402Endpoint"], listing["l402Endpoint"]);
        assert_eq!((&item["pubkey"], &item["createdAt"]), (&json!(ada.pubkey), &json!(1_800_000_000)));
    }
    let listing = app.offer(&json!({})).await;
    let request = json!({ "capabilityEventId": listing["eventId"], "budgetSats": 7, "parameters": null });
    let asked = app.post(&app.buyer, REQUESTS, &request).await.made();
    for name in ["requestEventId", "agreementEventId"] {
        assert_eq!(asked[name].as_str().unwrap().len(), 64, "{name}");
    }
    let said = json!({
        "subjectPubkey": ada.pubkey, "agreementId": asked["requestEventId"], "rating": 5, "content": "string",
        "proof": "string", "attestationId": "att-string-1",
    });
    let event = app.post(&app.buyer, ATTESTATIONS, &said).await.made()["eventId"].clone();
    let item = &app.get("", &format!("{ATTESTATIONS}?pubkey={}", ada.pubkey)).await.made()["items"][0];
    let sample = json!({
        "eventId": "string", "pubkey": "string", "rating": 0, "content": "string", "agreementId": "string",
        "proof": "string", "createdAt": 0, "verified": false,
    });
    is(item, &sample, &[]);
    assert_eq!((&item["eventId"], &item["agreementId"]), (&event, &asked["requestEventId"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn literal_routes_win_over_keys_and_all_else_is_a_problem() {
    let app = TestApp::new().await;
    let key = "ab".repeat(32);
    let unknown = format!("/api/agents/{key}");
    let stats = format!("/api/agents/{key}/stats");
    for (method, key, path, status, slug) in [
        (Method::GET, "", unknown.as_str(), 404, "agent_not_found"),
        (Method::GET, "", &stats, 404, "agent_not_found"),
        (Method::GET, "", "/api/agents/nobody", 404, "agent_not_found"),
        (Method::GET, "", "/api/agents/%ff", 404, "agent_not_found"),
        (Method::GET, "", ATTESTATIONS, 400, "invalid_pubkey"),
        (Method::GET, "", CHALLENGE, 401, "missing_api_key"),
        (Method::GET, "nobody's", CHALLENGE, 401, "invalid_api_key"),
        (Method::GET, &app.seller, CHALLENGE, 400, "invalid_pubkey"),
        (Method::GET, &app.seller, VERIFY, 405, "method_not_allowed"),
        (Method::GET, "", REGISTER, 405, "method_not_allowed"),
        (Method::PUT, "", CAPABILITIES, 405, "method_not_allowed"),
        (Method::GET, "", "/api/agents/x/y/z", 404, "not_found"),
        (Method::GET, "", "/api/agents/", 404, "not_found"),
        (Method::POST, "", "/api/agents/capabilities/x/y", 404, "not_found"),
        (Method::POST, "", REGISTER, 401, "missing_api_key"),
        (Method::POST, "", REQUESTS, 401, "missing_api_key"),
        (Method::GET, "", REQUESTS, 401, "missing_api_key"),
        (Method::POST, "", CAPABILITIES, 401, "missing_api_key"),
        (Method::POST, "nobody's", ATTESTATIONS, 401, "invalid_api_key"),
    ] {
        let answer = app.ask(method, key, path, None, &[]).await;
        if path == REGISTER && slug == "method_not_allowed" {
            // A key may look like any word, so the path of another method is one that names no agent.
            assert!(matches!(answer.status, 404 | 405), "{}", answer.text);
            continue;
        }
        assert_eq!(answer.status, status, "{path}: {}", answer.text);
        answer.is_error(status, slug, path);
    }
    for path in ["/api/agents", CAPABILITIES] {
        for key in ["", app.seller.as_str(), "nobody's"] {
            app.get(key, path).await.made();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_names_every_operation() {
    let app = TestApp::new().await;
    let document = app.description();
    let parameters = |method: &str, path: &str| {
        let operation = &document["paths"][path][method];
        assert!(operation["responses"].is_object(), "{method} {path}");
        let told = operation["parameters"].as_array().cloned().unwrap_or_default();
        let told = told.iter().filter(|parameter| parameter["in"] != "header");
        told.map(|parameter| parameter["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for (method, path, expected) in [
        ("post", REGISTER, vec![]),
        ("get", CHALLENGE, vec!["pubkey"]),
        ("post", VERIFY, vec![]),
        ("get", "/api/agents", vec!["limit", "offset"]),
        ("get", "/api/agents/{pubkey}", vec!["pubkey"]),
        ("get", "/api/agents/{pubkey}/stats", vec!["pubkey"]),
        ("get", CAPABILITIES, vec!["category", "q", "hashtags", "limit"]),
        ("post", CAPABILITIES, vec![]),
        ("delete", "/api/agents/capabilities/{eventId}", vec!["eventId"]),
        ("post", REQUESTS, vec![]),
        ("get", REQUESTS, vec!["role", "limit", "offset"]),
        ("post", ATTESTATIONS, vec![]),
        ("get", ATTESTATIONS, vec!["pubkey", "limit"]),
    ] {
        assert_eq!(parameters(method, path), expected, "{method} {path}");
    }
    let security = |method: &str, path: &str| document["paths"][path][method]["security"].clone();
    assert_ne!(security("post", CAPABILITIES), json!([]));
    assert_eq!(security("get", CAPABILITIES), json!([]), "reading needs no key");
}
