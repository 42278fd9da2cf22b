//! Whether a manifest keeps to the rules of version 1, and if not, all that is wrong with it.

use std::collections::HashSet;

use serde_json::{Map, Value};
use url::Url;

/// The most a price may be, in sats: all there will ever be.
const MOST_SATS: u64 = 2_100_000_000_000_000;

/// Mistakes that are told; more help nobody.
const MOST_ERRORS: usize = 100;

/// Endpoints that are looked at.
const MOST_ENDPOINTS: usize = 1_000;

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

type Object = Map<String, Value>;

/// Everything that is wrong, each with its place; none if nothing is.
pub fn errors(manifest: &Value) -> Vec<String> {
    let mut errors = Errors::default();
    match manifest {
        Value::Object(manifest) => whole(manifest, &mut errors),
        _ => errors.add("", "the manifest must be a JSON object"),
    }
    errors.0
}

#[derive(Default)]
struct Errors(Vec<String>);

impl Errors {
    fn add(&mut self, place: &str, what: &str) {
        if self.0.len() < MOST_ERRORS {
            self.0.push(if place.is_empty() { what.to_owned() } else { format!("{place}: {what}") });
        }
    }
}

fn whole(manifest: &Object, errors: &mut Errors) {
    match manifest.get("version") {
        Some(Value::String(version)) if version == super::VERSION => {}
        Some(Value::String(_)) => errors.add("version", "must be \"1.0\""),
        Some(_) => errors.add("version", "must be a text"),
        None => errors.add("version", "is required"),
    }
    text(manifest, "$schema", "$schema", false, errors);
    match manifest.get("service") {
        Some(Value::Object(service)) => check_service(service, errors),
        Some(_) => errors.add("service", "must be an object"),
        None => errors.add("service", "is required"),
    }
    match manifest.get("l402") {
        Some(Value::Object(l402)) => check_l402(l402, errors),
        Some(_) => errors.add("l402", "must be an object"),
        None => errors.add("l402", "is required"),
    }
    match manifest.get("endpoints") {
        Some(Value::Array(endpoints)) => check_endpoints(endpoints, errors),
        Some(_) => errors.add("endpoints", "must be an array"),
        None => errors.add("endpoints", "is required"),
    }
    let is_time = |at: &Value| at.as_str().and_then(crate::core::time::iso::parse).is_some();
    if given(manifest, "generated_at").is_some_and(|at| !is_time(at)) {
        errors.add("generated_at", "must be a date and time with its zone (ISO 8601)");
    }
}

fn check_service(service: &Object, errors: &mut Errors) {
    text(service, "name", "service.name", true, errors);
    text(service, "description", "service.description", false, errors);
    url(service, "base_url", "service.base_url", true, errors);
    for (name, place) in [
        ("logo_url", "service.logo_url"),
        ("documentation_url", "service.documentation_url"),
        ("terms_of_service_url", "service.terms_of_service_url"),
    ] {
        url(service, name, place, false, errors);
    }
    match given(service, "contact_email") {
        Some(Value::String(email))
            if email.split_once('@').is_some_and(|(user, host)| !user.is_empty() && !host.is_empty()) => {}
        Some(_) => errors.add("service.contact_email", "must be an e-mail address"),
        None => {}
    }
    texts(service, "categories", "service.categories", errors);
}

fn check_l402(l402: &Object, errors: &mut Errors) {
    price(l402, "default_price_sats", "l402.default_price_sats", 1, errors);
    match l402.get("payment_flow") {
        Some(Value::String(flow)) if flow == "402_challenge_response" => {}
        Some(Value::Null) | None => {}
        Some(_) => errors.add("l402.payment_flow", "must be \"402_challenge_response\""),
    }
    text(l402, "auth_header_format", "l402.auth_header_format", false, errors);
    match given(l402, "capabilities") {
        None => {}
        Some(Value::Object(capabilities)) => {
            flag(capabilities, "preimage_in_response", "l402.capabilities.preimage_in_response", errors);
            texts(capabilities, "supported_currencies", "l402.capabilities.supported_currencies", errors);
        }
        Some(_) => errors.add("l402.capabilities", "must be an object"),
    }
}

fn check_endpoints(endpoints: &[Value], errors: &mut Errors) {
    if endpoints.len() > MOST_ENDPOINTS {
        errors.add("endpoints", "has more than 1000 entries; the others were not looked at");
    }
    let mut ids = HashSet::new();
    for (index, endpoint) in endpoints.iter().take(MOST_ENDPOINTS).enumerate() {
        let place = format!("endpoints[{index}]");
        let Value::Object(endpoint) = endpoint else {
            errors.add(&place, "must be an object");
            continue;
        };
        check_endpoint(endpoint, &place, errors);
        if let Some(Value::String(id)) = endpoint.get("id")
            && !ids.insert(id)
        {
            errors.add(&format!("{place}.id"), "is used twice");
        }
    }
}

fn check_endpoint(endpoint: &Object, place: &str, errors: &mut Errors) {
    let at = |name: &str| format!("{place}.{name}");
    text(endpoint, "id", &at("id"), true, errors);
    match endpoint.get("path") {
        Some(Value::String(path)) if path.starts_with('/') => {}
        Some(_) => errors.add(&at("path"), "must be a text that begins with a slash"),
        None => errors.add(&at("path"), "is required"),
    }
    match endpoint.get("method") {
        Some(Value::String(method)) if METHODS.contains(&method.to_ascii_uppercase().as_str()) => {}
        Some(_) => errors.add(&at("method"), "must be one of GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
        None => errors.add(&at("method"), "is required"),
    }
    text(endpoint, "summary", &at("summary"), false, errors);
    text(endpoint, "description", &at("description"), false, errors);
    flag(endpoint, "l402_enabled", &at("l402_enabled"), errors);
    flag(endpoint, "deprecated", &at("deprecated"), errors);
    texts(endpoint, "tags", &at("tags"), errors);
    let paid = endpoint.get("l402_enabled").and_then(Value::as_bool).unwrap_or(true);
    match given(endpoint, "pricing") {
        Some(Value::Object(pricing)) => {
            match pricing.get("model") {
                Some(Value::String(model)) if matches!(model.as_str(), "per-request" | "perrequest") => {}
                Some(_) => errors.add(&at("pricing.model"), "must be \"per-request\""),
                None => errors.add(&at("pricing.model"), "is required"),
            }
            price(pricing, "base_price_sats", &at("pricing.base_price_sats"), u64::from(paid), errors);
        }
        Some(_) => errors.add(&at("pricing"), "must be an object"),
        None if paid => errors.add(&at("pricing"), "is required where l402_enabled is not false"),
        None => {}
    }
}

/// A member that is there and not `null`.
fn given<'a>(object: &'a Object, name: &str) -> Option<&'a Value> {
    object.get(name).filter(|value| !value.is_null())
}

fn text(object: &Object, name: &str, place: &str, required: bool, errors: &mut Errors) {
    match given(object, name) {
        Some(Value::String(text)) if !required || !text.trim().is_empty() => {}
        Some(Value::String(_)) => errors.add(place, "must not be empty"),
        Some(_) => errors.add(place, "must be a text"),
        None if required => errors.add(place, "is required"),
        None => {}
    }
}

fn texts(object: &Object, name: &str, place: &str, errors: &mut Errors) {
    match given(object, name) {
        None => {}
        Some(Value::Array(items)) if items.iter().all(Value::is_string) => {}
        Some(_) => errors.add(place, "must be an array of texts"),
    }
}

fn flag(object: &Object, name: &str, place: &str, errors: &mut Errors) {
    if given(object, name).is_some_and(|value| !value.is_boolean()) {
        errors.add(place, "must be true or false");
    }
}

fn url(object: &Object, name: &str, place: &str, required: bool, errors: &mut Errors) {
    match given(object, name) {
        Some(Value::String(text)) => {
            let url = Url::parse(text).ok();
            if !url.is_some_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host()) {
                errors.add(place, "must be a web address");
            }
        }
        Some(_) => errors.add(place, "must be a text"),
        None if required => errors.add(place, "is required"),
        None => {}
    }
}

/// A price is a whole number of sats, as JSON writes numbers: readers ignore texts and truth values.
fn price(object: &Object, name: &str, place: &str, least: u64, errors: &mut Errors) {
    match given(object, name) {
        None => errors.add(place, "is required"),
        Some(Value::Number(number)) => match number.as_u64() {
            Some(sats) if (least..=MOST_SATS).contains(&sats) => {}
            Some(0) => errors.add(place, "must be more than 0"),
            Some(_) => errors.add(place, "is more than there is"),
            None => errors.add(place, "must be a whole number of sats"),
        },
        Some(_) => errors.add(place, "must be a number"),
    }
}
