//! What the operator has set.

use crate::config::Config;
use crate::http::keys::Scope;

/// Prices and switches.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Where the world reaches this server; no slash at its end.
    pub public_url: String,
    /// Whether requests are sold.
    pub l402_enabled: bool,
    /// Whether accounts are sold.
    pub signup_enabled: bool,
    /// What one costs, in sat.
    pub signup_price_sat: u64,
    /// What its key opens.
    pub signup_scopes: Vec<Scope>,
}

impl Rules {
    /// From the settings.
    pub fn from_config(config: &Config) -> Self {
        Self {
            public_url: config.http.public_url.trim_end_matches('/').to_owned(),
            l402_enabled: config.l402.enabled,
            signup_enabled: config.signup.enabled,
            signup_price_sat: config.signup.price_sat,
            signup_scopes: config.signup.scopes(),
        }
    }
}
