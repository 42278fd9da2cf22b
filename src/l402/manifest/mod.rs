//! What a proxy says of itself: the manifest (version 1), an OpenAPI document, the registry's entry; and whether
//! somebody else's manifest keeps to the rules. Nothing here reads or writes a row.

pub mod openapi;
pub mod registry;
#[cfg(test)]
mod tests;
pub mod validate;

use serde_json::{Value, json};

use super::proxy::store::{Endpoint, Proxy};
use crate::clock::UnixMillis;
use crate::clock::iso::IsoTime;

/// What a manifest names as its schema.
pub const SCHEMA: &str = "https://docs.lightningenable.com/schemas/l402-manifest-v1.json";

/// Its version.
pub const VERSION: &str = "1.0";

/// How a payer shows a payment.
pub const AUTH_HEADER_FORMAT: &str = "Authorization: L402 <macaroon>:<preimage>";

/// Where a proxy's callers begin their paths.
pub(super) fn base_url(proxy: &Proxy, public_url: &str) -> String {
    format!("{public_url}/l402/proxy/{}", proxy.public_id)
}

/// What the service does.
pub(super) fn description(proxy: &Proxy) -> Option<&str> {
    proxy.manifest.service_description.as_deref().or(proxy.description.as_deref())
}

/// A proxy's manifest.
pub fn document(proxy: &Proxy, endpoints: &[Endpoint], public_url: &str, now: UnixMillis) -> Value {
    let settings = &proxy.manifest;
    let entries: Vec<_> = endpoints.iter().filter(|endpoint| endpoint.is_active).flat_map(entries).collect();
    json!({
        "$schema": SCHEMA,
        "version": VERSION,
        "service": {
            "name": proxy.name,
            "description": description(proxy),
            "base_url": base_url(proxy, public_url),
            "logo_url": settings.logo_url,
            "contact_email": settings.contact_email,
            "documentation_url": settings.documentation_url,
            "terms_of_service_url": settings.terms_url,
            "categories": settings.categories,
        },
        "l402": {
            "default_price_sats": proxy.default_price_sat,
            "payment_flow": "402_challenge_response",
            "auth_header_format": AUTH_HEADER_FORMAT,
            "capabilities": { "preimage_in_response": false, "supported_currencies": ["BTC"] },
        },
        "endpoints": entries,
        "generated_at": IsoTime(now),
    })
}

/// An endpoint for all methods stands there once for each that readers know.
fn entries(endpoint: &Endpoint) -> Vec<Value> {
    methods(endpoint).into_iter().map(|(method, id)| entry(endpoint, method, &id)).collect()
}

/// The methods of an endpoint, each with an id of its own.
pub(super) fn methods(endpoint: &Endpoint) -> Vec<(&str, String)> {
    if endpoint.method != "*" {
        return vec![(endpoint.method.as_str(), endpoint.endpoint_id.clone())];
    }
    let known = ["GET", "POST", "PUT", "PATCH", "DELETE"];
    known.map(|method| (method, format!("{}-{}", endpoint.endpoint_id, method.to_ascii_lowercase()))).into()
}

fn entry(endpoint: &Endpoint, method: &str, id: &str) -> Value {
    json!({
        "id": id,
        "path": endpoint.path,
        "method": method,
        "summary": endpoint.summary,
        "description": endpoint.description,
        "l402_enabled": endpoint.price_sat > 0,
        "pricing": { "model": "per-request", "base_price_sats": endpoint.price_sat },
        "tags": [],
        "deprecated": false,
    })
}
