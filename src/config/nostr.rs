//! `[nostr]`: where agents' events are published.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use url::Url;

use super::check::{Found, plain};

/// Each is a connection.
const MOST: usize = 20;

/// `[nostr]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Nostr {
    /// Addresses of relays. Empty: nothing is published.
    pub relays: Vec<String>,
}

impl Nostr {
    /// Settings that must not be as they are.
    pub(super) fn check(&self, found: &mut Vec<Found>) {
        let key = "nostr.relays";
        if self.relays.len() > MOST {
            found.push(plain(key, format!("more than {MOST} relays")));
        }
        if self.relays.iter().collect::<BTreeSet<_>>().len() < self.relays.len() {
            found.push(plain(key, "names a relay twice"));
        }
        let good = |text: &str| {
            let url = Url::parse(text);
            url.is_ok_and(|url| matches!(url.scheme(), "ws" | "wss") && url.has_host())
        };
        for text in self.relays.iter().filter(|text| !good(text)) {
            found.push(plain(key, format!("\"{text}\" is not a relay's address")));
        }
    }
}
