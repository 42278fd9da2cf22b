//! The service's limits.

use crate::config::Config;

/// Limits. Accounts come from the operator, but their keys may be in anybody's hands.
#[derive(Clone, Debug)]
pub struct Rules {
    /// What links begin with, without a slash at the end.
    pub public_url: String,
    /// What a request may cost, in sat.
    pub max_price_sat: u64,
    /// Keys that one account registers.
    pub max_agents: u64,
    /// Capabilities of one account.
    pub max_capabilities: u64,
    /// Requests of one account that are not completed and not over.
    pub max_open_requests: u64,
    /// Requests that one account makes in an hour, whatever becomes of them.
    pub max_requests_per_hour: u32,
    /// What one account says of others.
    pub max_attestations: u64,
}

impl Rules {
    /// As the operator configured them.
    pub fn from_config(config: &Config) -> Self {
        Self {
            public_url: config.http.public_url.trim_end_matches('/').to_owned(),
            max_price_sat: config.l402.max_price_sat,
            max_agents: 100,
            max_capabilities: 1_000,
            max_open_requests: 1_000,
            max_requests_per_hour: 1_000,
            max_attestations: 10_000,
        }
    }
}
