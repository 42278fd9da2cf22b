//! What a proxy says of itself: the manifest (version 1), an OpenAPI document, the registry's entry; and whether
//! somebody else's manifest keeps to the rules. Nothing here reads or writes a row.

pub mod openapi;
pub mod registry;
pub mod stores;
#[cfg(test)]
mod tests;
pub mod validate;

use serde_json::{Value, json};

use crate::core::time::UnixMillis;
use crate::core::time::iso::IsoTime;
use crate::services::proxy::glob::Glob;
use crate::services::proxy::store::{Endpoint, Proxy};

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
    let entry = |(endpoint, method, id): (&Endpoint, &str, String)| entry(endpoint, method, &id);
    let entries: Vec<_> = listed(endpoints).into_iter().map(entry).collect();
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

/// Those that count, each with a method and an id. One for all methods stands there once for each that readers know,
/// unless another names that method for the same path.
pub(super) fn listed(endpoints: &[Endpoint]) -> Vec<(&Endpoint, &str, String)> {
    let active: Vec<_> = endpoints.iter().filter(|endpoint| endpoint.is_active).collect();
    let named = |path: &str, method: &str| {
        active.iter().any(|known| known.method == method && same_path(&known.path, path))
    };
    let mut listed = Vec::new();
    for endpoint in &active {
        if endpoint.method != "*" {
            listed.push((*endpoint, endpoint.method.as_str(), endpoint.endpoint_id.clone()));
            continue;
        }
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            if !named(&endpoint.path, method) {
                let id = format!("{}-{}", endpoint.endpoint_id, method.to_ascii_lowercase());
                listed.push((*endpoint, method, id));
            }
        }
    }
    listed
}

fn same_path(one: &str, other: &str) -> bool {
    one == other
        || matches!((Glob::new(one), Glob::new(other)), (Ok(one), Ok(other)) if one.normal() == other.normal())
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
