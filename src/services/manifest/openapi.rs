//! A proxy as an OpenAPI 3.1 document: paths, and in `x-payment` what they cost.

use serde_json::{Map, Value, json};

use super::{AUTH_HEADER_FORMAT, base_url, description, listed};
use crate::services::proxy::store::{Endpoint, Proxy};

/// The document of a proxy with these endpoints.
pub fn document(proxy: &Proxy, endpoints: &[Endpoint], public_url: &str) -> Value {
    let mut paths = Map::new();
    for (endpoint, method, id) in listed(endpoints) {
        let (path, names) = template(&endpoint.path);
        let operation = operation(endpoint, &id, &names);
        let item = paths.entry(path).or_insert_with(|| json!({}));
        if let Value::Object(item) = item {
            // Of two patterns that look the same from outside the first counts.
            item.entry(method.to_ascii_lowercase()).or_insert(operation);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": proxy.name,
            "description": description(proxy).unwrap_or_default(),
            "version": super::VERSION,
        },
        "servers": [{ "url": base_url(proxy, public_url) }],
        "x-payment": payment(proxy.default_price_sat),
        "paths": paths,
        "components": {
            "securitySchemes": {
                "l402": {
                    "type": "http",
                    "scheme": "L402",
                    "description": AUTH_HEADER_FORMAT,
                },
            },
        },
    })
}

fn operation(endpoint: &Endpoint, id: &str, names: &[String]) -> Value {
    let mut responses = json!({
        "200": { "description": "What was paid for" },
        "502": { "description": "The service gave no answer; what was paid is good for another try" },
        "504": { "description": "The service took too long; what was paid is good for another try" },
    });
    let mut operation = json!({
        "operationId": id,
        "summary": endpoint.summary.as_deref().unwrap_or_default(),
        "x-payment": payment(endpoint.price_sat),
    });
    if let Some(description) = &endpoint.description {
        put(&mut operation, "description", json!(description));
    }
    if endpoint.price_sat > 0 {
        put(
            &mut responses,
            "402",
            json!({ "description": "Pay the invoice in `WWW-Authenticate`, and ask again" }),
        );
        put(&mut operation, "security", json!([{ "l402": [] }]));
    }
    if !names.is_empty() {
        let parameter = |name: &String| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } });
        put(&mut operation, "parameters", names.iter().map(parameter).collect());
    }
    put(&mut operation, "responses", responses);
    operation
}

fn payment(sats: u64) -> Value {
    json!({
        "required": sats > 0,
        "protocol": "L402",
        "price_sats": sats,
        "pricing_model": "per-request",
        "currency": "BTC",
    })
}

fn put(object: &mut Value, name: &str, value: Value) {
    if let Value::Object(object) = object {
        object.insert(name.to_owned(), value);
    }
}

/// A pattern as a path template: each wildcard becomes a parameter. Its names.
fn template(pattern: &str) -> (String, Vec<String>) {
    let mut names = Vec::new();
    let segments: Vec<_> = pattern
        .split('/')
        .map(|segment| {
            if segment.len() > 2 && segment.starts_with('{') && segment.ends_with('}') {
                let inner = segment.trim_matches(['{', '}']);
                names.push(inner.to_owned());
                return format!("{{{inner}}}");
            }
            if !segment.contains(['*', '?']) {
                return segment.to_owned();
            }
            let name = if segment == "**" { "rest" } else { "part" };
            let number = names.len() + 1;
            names.push(format!("{name}{number}"));
            format!("{{{name}{number}}}")
        })
        .collect();
    (segments.join("/"), names)
}
