//! `[l402.proxy]` and `[l402.content]`: services and documents that are sold by the request.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::check::{Found, plain};
use super::fields;

/// `[l402.proxy]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct L402Proxy {
    /// Whether requests are passed on.
    pub enabled: bool,
    /// Hosts that may be on this machine or network, each with or without a port.
    pub allow_hosts: Vec<String>,
    /// Networks that count as public.
    #[serde(with = "fields::networks")]
    pub allow_networks: Vec<IpNet>,
    /// Proxies of one account.
    pub max_proxies: u64,
    /// Requests of one proxy that are on their way at once.
    pub max_in_flight: usize,
    /// Largest body of a request that is passed on, in bytes.
    pub max_request_bytes: u64,
    /// Largest body of an answer, in bytes.
    pub max_answer_bytes: u64,
    /// How long a connection to a service may take, in seconds.
    pub connect_timeout_secs: u64,
    /// How long the next bytes of a body may take, in seconds.
    pub idle_timeout_secs: u64,
    /// The longest that an owner may let callers wait for an answer to begin, in seconds.
    pub max_timeout_secs: u64,
}

impl Default for L402Proxy {
    fn default() -> Self {
        Self {
            enabled: true,
            allow_hosts: Vec::new(),
            allow_networks: Vec::new(),
            max_proxies: 100,
            max_in_flight: 100,
            max_request_bytes: 104_857_600,
            max_answer_bytes: 1_073_741_824,
            connect_timeout_secs: 10,
            idle_timeout_secs: 30,
            max_timeout_secs: 300,
        }
    }
}

/// `[l402.content]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct L402Content {
    /// The folder of documents; empty: a few that satchel brings along.
    pub folder: String,
    /// What a document costs that says nothing itself, in sat.
    pub price_sat: u64,
    /// What all of them cost together, in sat.
    pub bundle_price_sat: u64,
}

impl Default for L402Content {
    fn default() -> Self {
        Self { folder: String::new(), price_sat: 10, bundle_price_sat: 50 }
    }
}

impl L402Proxy {
    /// Settings that must not be as they are.
    pub(super) fn check(&self, found: &mut Vec<Found>) {
        let host = |entry: &String| {
            let name = entry.trim_start_matches('[');
            !name.is_empty() && !entry.contains(['/', '@', ' ', '*'])
        };
        for entry in self.allow_hosts.iter().filter(|entry| !host(entry)) {
            found.push(plain("l402.proxy.allow_hosts", format!("\"{entry}\" is not a host")));
        }
    }

    /// Numbers that must lie in a range.
    pub(super) fn ranges(&self) -> [(&'static str, u64, u64, u64); 7] {
        const GB_100: u64 = 100 * 1_073_741_824;
        let in_flight = u64::try_from(self.max_in_flight).unwrap_or(u64::MAX);
        [
            ("l402.proxy.max_proxies", self.max_proxies, 1, 10_000),
            ("l402.proxy.max_in_flight", in_flight, 1, 100_000),
            ("l402.proxy.max_request_bytes", self.max_request_bytes, 1_024, GB_100),
            ("l402.proxy.max_answer_bytes", self.max_answer_bytes, 1_024, GB_100),
            ("l402.proxy.connect_timeout_secs", self.connect_timeout_secs, 1, 300),
            ("l402.proxy.idle_timeout_secs", self.idle_timeout_secs, 1, 3_600),
            ("l402.proxy.max_timeout_secs", self.max_timeout_secs, 1, 3_600),
        ]
    }
}

impl L402Content {
    /// Numbers that must lie in a range; nothing may cost more than `most` sat.
    pub(super) fn ranges(&self, most: u64) -> [(&'static str, u64, u64, u64); 2] {
        [
            ("l402.content.price_sat", self.price_sat, 1, most),
            ("l402.content.bundle_price_sat", self.bundle_price_sat, 1, most),
        ]
    }
}
