//! The family's limits and windows, as the configuration sets them.

use std::time::Duration;

use bitcoin::Network;

use crate::config::Config;
use crate::core::fees::FeeRule;

/// Characters of a resource's name, and of a challenge's description.
pub const LONGEST_RESOURCE: usize = 512;

/// Limits and windows.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Whether new challenges are made. Tokens that exist are good all the same.
    pub enabled: bool,
    /// Whose invoices we make.
    pub network: Network,
    /// What links begin with, without a slash at the end.
    pub public_url: String,
    /// Who asks for payment, by the `Payment` scheme: the host that people reach us at.
    pub realm: String,
    /// How long a token is good, from the moment it is made.
    pub lifetime: Duration,
    /// How long an invoice can be paid; never more than half of its token's life.
    pub invoice_expiry: Duration,
    /// What a request costs where nothing else is said, in sat.
    pub default_price_sat: u64,
    /// What `/api/l402/premium-data` costs, in sat.
    pub premium_price_sat: u64,
    /// The most that one resource may cost, in sat.
    pub max_price_sat: u64,
    /// Requests of one credential in a minute; 0 sets no limit.
    pub per_credential_per_minute: u32,
    /// What the operator takes of what an account sells.
    pub fee: FeeRule,
}

impl Rules {
    /// As the operator configured them.
    pub fn from_config(config: &Config) -> Self {
        let l402 = &config.l402;
        let public_url = config.http.public_url.trim_end_matches('/').to_owned();
        let host = url::Url::parse(&public_url).ok().and_then(|url| url.host_str().map(str::to_owned));
        Self {
            enabled: l402.enabled,
            network: config.network,
            public_url,
            realm: host.unwrap_or_else(|| "satchel".into()),
            lifetime: Duration::from_secs(l402.token_secs),
            invoice_expiry: Duration::from_secs(l402.invoice_expiry_secs),
            default_price_sat: l402.default_price_sat,
            premium_price_sat: l402.premium_price_sat,
            max_price_sat: l402.max_price_sat,
            per_credential_per_minute: match config.http.rate_limits {
                true => l402.credential_requests_per_minute,
                false => 0,
            },
            fee: FeeRule { min_sat: l402.min_fee_sat, percent: l402.fee_percent },
        }
    }

    /// How long the invoice of a token with this life can be paid.
    pub fn expiry_of(&self, lifetime: Duration) -> Duration {
        self.invoice_expiry.min(lifetime / 2).max(Duration::from_secs(30))
    }

    /// The network's name in the `Payment` scheme.
    pub fn network_name(&self) -> &'static str {
        match self.network {
            Network::Bitcoin => "mainnet",
            Network::Signet => "signet",
            Network::Regtest => "regtest",
            Network::Testnet | Network::Testnet4 => "testnet",
        }
    }
}
