//! Documents by the contract, and the rules from both sides.

use serde_json::{Value, json};

use super::registry::{self, Listing, Search};
use super::{document, openapi, validate};
use crate::services::proxy::manage::Page;
use crate::services::proxy::store::tests::{endpoint, proxy};

const PUBLIC_URL: &str = "https://pay.example";

fn made() -> Value {
    let mut free = endpoint("GET", "/health", 0);
    free.endpoint_id = "health".into();
    document(&proxy(), &[endpoint("GET", "/weather/{city}", 25), free], PUBLIC_URL, 1_800_000_000_000)
}

#[test]
fn a_manifest_has_the_contract_s_members_and_keeps_its_own_rules() {
    let manifest = made();
    assert_eq!(validate::errors(&manifest), Vec::<String>::new());
    assert_eq!(
        manifest,
        json!({
            "$schema": "https://docs.lightningenable.com/schemas/l402-manifest-v1.json",
            "version": "1.0",
            "service": {
                "name": "Premium Weather API",
                "description": "Weather of tomorrow",
                "base_url": "https://pay.example/l402/proxy/premium-weather-api-a1b2",
                "logo_url": null,
                "contact_email": null,
                "documentation_url": null,
                "terms_of_service_url": null,
                "categories": [],
            },
            "l402": {
                "default_price_sats": 10,
                "payment_flow": "402_challenge_response",
                "auth_header_format": "Authorization: L402 <macaroon>:<preimage>",
                "capabilities": { "preimage_in_response": false, "supported_currencies": ["BTC"] },
            },
            "endpoints": [
                {
                    "id": "GET /weather/{city}",
                    "path": "/weather/{city}",
                    "method": "GET",
                    "summary": "An endpoint",
                    "description": null,
                    "l402_enabled": true,
                    "pricing": { "model": "per-request", "base_price_sats": 25 },
                    "tags": [],
                    "deprecated": false,
                },
                {
                    "id": "health",
                    "path": "/health",
                    "method": "GET",
                    "summary": "An endpoint",
                    "description": null,
                    "l402_enabled": false,
                    "pricing": { "model": "per-request", "base_price_sats": 0 },
                    "tags": [],
                    "deprecated": false,
                },
            ],
            "generated_at": "2027-01-15T08:00:00.000Z",
        })
    );
}

#[test]
fn an_endpoint_for_all_methods_is_listed_by_each_that_no_other_names() {
    let rows = [endpoint("*", "/x/**", 5), endpoint("GET", "x/**/", 7)];
    let manifest = document(&proxy(), &rows, PUBLIC_URL, 0);
    let listed: Vec<_> = manifest["endpoints"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (entry["method"].as_str().unwrap(), entry["pricing"]["base_price_sats"].clone()))
        .collect();
    let five = json!(5);
    assert_eq!(
        listed,
        [
            ("POST", five.clone()),
            ("PUT", five.clone()),
            ("PATCH", five.clone()),
            ("DELETE", five),
            ("GET", json!(7))
        ]
    );
    let described = openapi::document(&proxy(), &rows, PUBLIC_URL);
    assert_eq!(described["paths"]["/x/{rest1}"]["post"]["x-payment"]["price_sats"], 5);
}

#[test]
fn neither_document_names_the_upstream_or_its_secret() {
    let described = openapi::document(&proxy(), &[endpoint("GET", "/x", 1)], PUBLIC_URL);
    for text in [made().to_string(), described.to_string()] {
        assert!(!text.contains("weather.example") && !text.contains("hunter2"), "{text}");
    }
}

#[test]
fn the_openapi_document_says_what_each_path_costs() {
    let rows = [
        endpoint("GET", "/weather/{city}", 25),
        endpoint("*", "/files/**", 3),
        endpoint("GET", "/health", 0),
    ];
    let described = openapi::document(&proxy(), &rows, PUBLIC_URL);
    assert_eq!(described["openapi"], "3.1.0");
    assert_eq!(described["servers"][0]["url"], "https://pay.example/l402/proxy/premium-weather-api-a1b2");
    let weather = &described["paths"]["/weather/{city}"]["get"];
    assert_eq!(weather["x-payment"]["price_sats"], 25);
    assert_eq!(weather["parameters"][0]["name"], "city");
    assert!(weather["responses"]["402"].is_object());
    let files = described["paths"]["/files/{rest1}"].as_object().unwrap();
    assert_eq!(files.keys().collect::<Vec<_>>(), ["delete", "get", "patch", "post", "put"]);
    let health = &described["paths"]["/health"]["get"];
    assert_eq!(health["x-payment"]["required"], false);
    assert_eq!(health["security"], Value::Null);
}

/// The manifest with one value changed, or taken away by `null` at the end of its path.
fn with(place: &str, value: Value) -> Value {
    let mut manifest = made();
    *manifest.pointer_mut(place).unwrap() = value;
    manifest
}

#[test]
fn each_rule_that_is_broken_is_told_with_its_place() {
    for (place, value, told) in [
        ("/version", json!("2.0"), "version: must be \"1.0\""),
        ("/version", json!(1.0), "version: must be a text"),
        ("/service", json!([]), "service: must be an object"),
        ("/service/name", json!(" "), "service.name: must not be empty"),
        ("/service/name", Value::Null, "service.name: is required"),
        ("/service/base_url", json!("ftp://x"), "service.base_url: must be a web address"),
        ("/service/logo_url", json!(1), "service.logo_url: must be a text"),
        ("/service/contact_email", json!("nobody"), "service.contact_email: must be an e-mail address"),
        ("/service/categories", json!("a"), "service.categories: must be an array of texts"),
        ("/l402/default_price_sats", json!("10"), "l402.default_price_sats: must be a number"),
        ("/l402/default_price_sats", json!(true), "l402.default_price_sats: must be a number"),
        ("/l402/default_price_sats", json!(0), "l402.default_price_sats: must be more than 0"),
        ("/l402/default_price_sats", json!(1.5), "l402.default_price_sats: must be a whole number of sats"),
        ("/l402/default_price_sats", json!(-1), "l402.default_price_sats: must be a whole number of sats"),
        (
            "/l402/default_price_sats",
            json!(2_100_000_000_000_001_u64),
            "l402.default_price_sats: is more than there is",
        ),
        ("/l402/payment_flow", json!("other"), "l402.payment_flow: must be \"402_challenge_response\""),
        (
            "/l402/capabilities/preimage_in_response",
            json!("no"),
            "l402.capabilities.preimage_in_response: must be true or false",
        ),
        ("/endpoints", json!({}), "endpoints: must be an array"),
        ("/endpoints/0", json!(1), "endpoints[0]: must be an object"),
        ("/endpoints/0/path", json!("weather"), "endpoints[0].path: must be a text that begins with a slash"),
        (
            "/endpoints/0/method",
            json!("BREW"),
            "endpoints[0].method: must be one of GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
        ),
        (
            "/endpoints/0/pricing",
            Value::Null,
            "endpoints[0].pricing: is required where l402_enabled is not false",
        ),
        (
            "/endpoints/0/pricing/model",
            json!("monthly"),
            "endpoints[0].pricing.model: must be \"per-request\"",
        ),
        (
            "/endpoints/0/pricing/base_price_sats",
            json!(0),
            "endpoints[0].pricing.base_price_sats: must be more than 0",
        ),
        ("/endpoints/1/id", json!("GET /weather/{city}"), "endpoints[1].id: is used twice"),
        (
            "/generated_at",
            json!("yesterday"),
            "generated_at: must be a date and time with its zone (ISO 8601)",
        ),
    ] {
        assert_eq!(validate::errors(&with(place, value.clone())), [told], "{place} {value}");
    }
    for (place, value) in [
        ("/endpoints/0/pricing/model", json!("perrequest")),
        ("/endpoints/1/pricing", Value::Null),
        ("/endpoints", json!([])),
        ("/l402/default_price_sats", json!(2_100_000_000_000_000_u64)),
    ] {
        assert_eq!(validate::errors(&with(place, value.clone())), Vec::<String>::new(), "{place} {value}");
    }
    for nothing in [json!(null), json!([]), json!("text"), json!(1)] {
        assert_eq!(validate::errors(&nothing), ["the manifest must be a JSON object"]);
    }
    assert_eq!(validate::errors(&json!({})).len(), 4);
    let many = json!({ "version": "1.0", "endpoints": vec![1; 2_000] });
    assert_eq!(validate::errors(&many).len(), 100, "and not one for each");
}

#[test]
fn the_registry_finds_by_words_and_category_and_pages() {
    let named = |name: &str, categories: &[&str]| -> Listing {
        let mut one = proxy();
        one.name = name.into();
        one.manifest.categories = categories.iter().map(ToString::to_string).collect();
        Listing::of_proxy(&one, 2, PUBLIC_URL)
    };
    let listed =
        [named("Weather", &["data", "climate"]), named("Jokes", &["fun"]), named("More weather", &["Data"])];
    let look = |words: Option<&str>, category: Option<&str>, number, size| {
        let search = Search { words: words.map(str::to_owned), category: category.map(str::to_owned) };
        serde_json::to_value(registry::page(&listed, &search, Page { number, size })).unwrap()
    };
    let names = |found: &Value| {
        let items = found["items"].as_array().unwrap().iter();
        items.map(|item| item["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&look(None, None, 1, 20)), ["Weather", "Jokes", "More weather"]);
    assert_eq!(names(&look(Some("MORE weather"), None, 1, 20)), ["More weather"]);
    assert_eq!(names(&look(None, Some("data"), 1, 20)), ["Weather", "More weather"]);
    assert_eq!(names(&look(Some("climate"), Some("data"), 1, 20)), ["Weather"]);
    let second = look(None, None, 2, 2);
    assert_eq!((names(&second), &second["total"]), (vec!["More weather".into()], &json!(3)));
    assert_eq!(
        second["items"][0],
        json!({
            "name": "More weather",
            "description": "Weather of tomorrow",
            "manifestUrl": "https://pay.example/l402/proxy/premium-weather-api-a1b2/.well-known/l402-manifest.json",
            "proxyBaseUrl": "https://pay.example/l402/proxy/premium-weather-api-a1b2",
            "documentationUrl": null,
            "parsedCategories": ["Data"],
            "endpointCount": 2,
            "defaultPriceSats": 10,
        })
    );
    assert_eq!(names(&look(None, None, u64::MAX, 100)), Vec::<String>::new());
}
