//! The document's samples, and whether an answer is like one: its members, and the kinds of their values.

use serde_json::{Value, json};

/// The body of every refusal, 402 too. It may have more members.
pub(in crate::services) fn problem() -> Value {
    json!({ "type": "string", "title": "string", "status": 0, "detail": "string", "instance": "string" })
}

/// Of `POST /api/l402/challenges`.
pub(super) fn challenge() -> Value {
    json!({
        "invoice": "string", "macaroon": "string", "paymentHash": "string", "expiresAt": "2019-08-24T14:15:22Z",
        "resource": "string", "priceSats": 0, "mppChallenge": "string",
    })
}

/// Of `POST /api/l402/challenges/verify`.
pub(super) fn verdict() -> Value {
    json!({
        "valid": true, "resource": "string", "merchantId": 0, "amountSats": 0, "paymentHash": "string",
        "error": "string",
    })
}

/// Of `GET /api/manifests/registry`.
pub(in crate::services) fn registry() -> Value {
    json!({ "items": [], "total": 0, "page": 0, "pageSize": 0 })
}

/// Of `POST /api/manifests/validate`.
pub(in crate::services) fn validation() -> Value {
    json!({ "valid": true, "errors": [] })
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

/// It has the sample's members and each is of the same kind, or `null` if it is named.
#[track_caller]
pub(in crate::services) fn has(answer: &Value, sample: &Value, or_null: &[&str]) {
    for (name, value) in sample.as_object().unwrap() {
        let found = answer.get(name).map(kind);
        let null = found == Some("null") && or_null.contains(&name.as_str());
        assert!(null || found == Some(kind(value)), "{name} is {found:?}: {answer}");
    }
}

/// The same, and it has no others.
#[track_caller]
pub(in crate::services) fn is(answer: &Value, sample: &Value, or_null: &[&str]) {
    has(answer, sample, or_null);
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(answer), names(sample));
}

/// It is a refusal of this path.
#[track_caller]
pub(in crate::services) fn is_problem(answer: &Value, status: u16, path: &str) {
    has(answer, &problem(), &[]);
    assert_eq!((&answer["status"], &answer["instance"]), (&json!(status), &json!(path)), "{answer}");
}

/// An OpenAPI document has exactly these operations below these paths, with these parameters.
#[track_caller]
pub(in crate::services) fn describes(document: &Value, operations: &[(&str, &str, &[&str])]) {
    for (method, path, parameters) in operations {
        let operation = &document["paths"][path][method];
        assert!(operation["responses"].is_object(), "{method} {path}");
        let told = operation["parameters"].as_array().cloned().unwrap_or_default();
        let told: Vec<_> = told
            .iter()
            .filter(|parameter| parameter["in"] != "header")
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();
        assert_eq!(told, *parameters, "{method} {path}");
    }
}
