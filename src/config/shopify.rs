//! `[[shop.shopify]]`: Shopify shops that stand behind stores.

use std::collections::BTreeSet;

use bitcoin::Network;
use serde::{Deserialize, Serialize};
use url::Url;

use super::check::{Found, with_remedy};
use super::{fields, is_this_machine};
use crate::core::ids::Secret;

const KEY: &str = "shop.shopify";

/// What every shop's own domain ends with.
const DOMAIN_END: &str = ".myshopify.com";

/// A secret is a line; a file that is longer is another file.
const LARGEST_FILE: u64 = 4_096;

/// The fewest and the most seconds between two readings of a catalogue.
const SYNC_SECS: std::ops::RangeInclusive<u64> = 5..=86_400;

/// One `[[shop.shopify]]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Shopify {
    /// The slug of the store that it stands behind.
    pub store: String,
    /// The shop's own domain, `example.myshopify.com`.
    pub domain: String,
    /// Of the app that is installed in the shop.
    pub client_id: String,
    /// Likewise. Empty: it is read from the file.
    #[serde(with = "fields::secret")]
    pub client_secret: Secret,
    /// A file with nothing but the secret.
    pub client_secret_file: String,
    /// Another address than `https://{domain}`: a test server on this machine. For regtest alone.
    pub endpoint: String,
    /// The pause between two readings of the catalogue, in seconds.
    pub sync_secs: u64,
}

impl Default for Shopify {
    fn default() -> Self {
        Self {
            store: String::new(),
            domain: String::new(),
            client_id: String::new(),
            client_secret: Secret::default(),
            client_secret_file: String::new(),
            endpoint: String::new(),
            sync_secs: 300,
        }
    }
}

/// Reads the files of secrets, and lists settings that must not be as they are.
pub(super) fn check(all: &mut [Shopify], network: Network, found: &mut Vec<Found>) {
    let (mut stores, mut domains) = (BTreeSet::new(), BTreeSet::new());
    for shop in all.iter_mut() {
        shop.domain = shop.domain.trim().to_ascii_lowercase();
        if !is_slug(&shop.store) {
            let what = format!("store = {:?} is not the slug of a store", shop.store);
            found.push(with_remedy(KEY, what, "give the SLUG that `satchel store create SLUG` was given"));
        } else if !stores.insert(shop.store.clone()) {
            let what = format!("the store {} is named twice", shop.store);
            found.push(with_remedy(KEY, what, "one Shopify shop stands behind a store: remove one of them"));
        }
        if !is_domain(&shop.domain) {
            let what = format!("domain = {:?} is not the domain of a Shopify shop", shop.domain);
            let remedy = "give the one that ends with .myshopify.com, like \"example.myshopify.com\" (Shopify admin: Settings, Domains)";
            found.push(with_remedy(KEY, what, remedy));
        } else if !domains.insert(shop.domain.clone()) {
            let what = format!("the shop {} is named twice", shop.domain);
            found.push(with_remedy(KEY, what, "two stores would sell the same pieces: remove one of them"));
        }
        if shop.client_id.trim().is_empty() {
            let remedy = "give the Client ID of your app (Shopify's Dev Dashboard: your app, Settings)";
            found.push(with_remedy(KEY, "client_id is missing", remedy));
        }
        secret(shop, found);
        if !shop.endpoint.is_empty() && (network != Network::Regtest || !is_on_this_machine(&shop.endpoint)) {
            let what = "endpoint is for a test server on this machine, on regtest alone: elsewhere the client secret would go there";
            found.push(with_remedy(KEY, what, "remove endpoint"));
        }
        if !SYNC_SECS.contains(&shop.sync_secs) {
            let what = format!("sync_secs = {} is out of range", shop.sync_secs);
            found.push(with_remedy(KEY, what, "give a number of seconds without quotes, from 5 to 86400"));
        }
    }
}

/// Reads the file, if one is named.
fn secret(shop: &mut Shopify, found: &mut Vec<Found>) {
    let (given, file) = (!shop.client_secret.expose().is_empty(), !shop.client_secret_file.is_empty());
    match (given, file) {
        (true, false) => {}
        (false, false) => {
            let remedy =
                "give client_secret, or client_secret_file with the path of a file that only you can read";
            found.push(with_remedy(KEY, "client_secret is missing", remedy));
        }
        (true, true) => {
            let what = "client_secret and client_secret_file are both given";
            found.push(with_remedy(KEY, what, "remove one of them"));
        }
        (false, true) => match read(&shop.client_secret_file) {
            Ok(text) => shop.client_secret = Secret::new(text),
            Err(why) => {
                let what = format!("client_secret_file {:?} {why}", shop.client_secret_file);
                found.push(with_remedy(
                    KEY,
                    what,
                    "write the client secret, and nothing else, into that file",
                ));
            }
        },
    }
}

fn read(path: &str) -> Result<String, String> {
    let unreadable = |error: std::io::Error| format!("can't be read: {error}");
    if std::fs::metadata(path).map_err(unreadable)?.len() > LARGEST_FILE {
        return Err("is too large for a secret".into());
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    let text = text.trim();
    let whole = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    if whole { Ok(text.to_owned()) } else { Err("does not hold one secret".into()) }
}

fn is_slug(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.bytes().all(fits)
}

fn is_domain(text: &str) -> bool {
    let name = text.strip_suffix(DOMAIN_END).unwrap_or_default();
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=100).contains(&name.len()) && !name.starts_with('-') && name.bytes().all(fits)
}

fn is_on_this_machine(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    url.host_str().is_some_and(is_this_machine) && matches!(url.scheme(), "http" | "https")
}
