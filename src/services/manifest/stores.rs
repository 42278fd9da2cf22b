//! Stores in the registry: each has a manifest that tells programs how to buy from it.

use serde_json::{Value, json};

use super::registry::Listing;
use super::{AUTH_HEADER_FORMAT, SCHEMA, VERSION};
use crate::core::time::UnixMillis;
use crate::core::time::iso::IsoTime;

/// The category of all stores.
const CATEGORY: &str = "store";

/// What a store offers programs: id, method, path, summary, and whether it is paid for.
const ENDPOINTS: [(&str, &str, &str, &str, bool); 4] = [
    ("catalog", "GET", "/catalog", "What is sold", false),
    ("checkout", "POST", "/checkout", "Buys: the price is that of the items", true),
    ("claim", "POST", "/claim", "Says where a paid order goes", false),
    ("order", "GET", "/orders/{orderId}", "How an order is", false),
];

/// A store that sells something.
#[derive(Clone, Debug)]
pub struct StoreListing {
    /// Its name in paths.
    pub slug: String,
    /// For people.
    pub name: String,
    /// For people.
    pub description: String,
    /// The lowest price in it, in sat; `None` if that is not known now.
    pub from_sats: Option<u64>,
}

impl StoreListing {
    fn words(&self) -> Option<&str> {
        Some(self.description.as_str()).filter(|words| !words.is_empty())
    }

    fn price(&self) -> u64 {
        self.from_sats.unwrap_or(0).max(1)
    }

    fn base_url(&self, public_url: &str) -> String {
        format!("{public_url}/api/shopify/{}", self.slug)
    }

    fn page_url(&self, public_url: &str) -> String {
        format!("{public_url}/store/{}", self.slug)
    }

    /// As the registry lists it.
    pub fn listing(&self, public_url: &str) -> Listing {
        Listing {
            name: self.name.clone(),
            description: self.words().map(str::to_owned),
            manifest_url: format!("{public_url}/api/manifests/stores/{}", self.slug),
            proxy_base_url: self.base_url(public_url),
            documentation_url: Some(self.page_url(public_url)),
            parsed_categories: vec![CATEGORY.into()],
            endpoint_count: u64::try_from(ENDPOINTS.len()).unwrap_or(0),
            default_price_sats: self.price(),
        }
    }

    /// Its manifest.
    pub fn document(&self, public_url: &str, now: UnixMillis) -> Value {
        let endpoints = ENDPOINTS.map(|(id, method, path, summary, is_paid)| {
            let price = if is_paid { self.price() } else { 0 };
            json!({
                "id": id, "path": path, "method": method, "summary": summary, "l402_enabled": is_paid,
                "pricing": { "model": "per-request", "base_price_sats": price }, "tags": [], "deprecated": false,
            })
        });
        json!({
            "$schema": SCHEMA,
            "version": VERSION,
            "service": {
                "name": self.name,
                "description": self.words(),
                "base_url": self.base_url(public_url),
                "documentation_url": self.page_url(public_url),
                "categories": [CATEGORY],
            },
            "l402": {
                "default_price_sats": self.price(),
                "payment_flow": "402_challenge_response",
                "auth_header_format": AUTH_HEADER_FORMAT,
                "capabilities": { "preimage_in_response": false, "supported_currencies": ["BTC"] },
            },
            "endpoints": endpoints,
            "generated_at": IsoTime(now),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::manifest::validate;

    #[test]
    fn manifest_of_a_store_keeps_to_the_rules() {
        for from_sats in [None, Some(0), Some(4_000)] {
            let store = StoreListing {
                slug: "mugs".into(),
                name: "Mugs & More".into(),
                description: String::new(),
                from_sats,
            };
            let document = store.document("https://pay.example", 1_800_000_000_000);
            assert_eq!(validate::errors(&document), Vec::<String>::new(), "{document}");
            assert_eq!(document["service"]["base_url"], "https://pay.example/api/shopify/mugs");
        }
    }
}
