//! What a bitcoin costs: `[rates]`, and the figures that only regtest may invent.

use bitcoin::Network;
use serde::{Deserialize, Serialize};

use super::fields;
use crate::core::currency::Currency;
use crate::core::decimal::Decimal;

/// `[rates]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rates {
    /// Who says them.
    pub source: RatesFrom,
    /// Currency units for one bitcoin, for [`RatesFrom::Fixed`].
    #[serde(with = "fields::rates")]
    pub fixed: Vec<(Currency, Decimal)>,
    /// The pause between two rounds of asking, in seconds.
    pub refresh_secs: u64,
    /// How old a rate may be, in seconds.
    pub max_age_secs: u64,
    /// Base URL of a mempool server; none is asked if it is empty.
    pub mempool_url: String,
    /// Base URL of Coinbase; it is not asked if it is empty.
    pub coinbase_url: String,
    /// Base URL of Kraken; it is not asked if it is empty.
    pub kraken_url: String,
}

impl Default for Rates {
    fn default() -> Self {
        Self {
            source: RatesFrom::Auto,
            fixed: Vec::new(),
            refresh_secs: 60,
            max_age_secs: 300,
            mempool_url: "https://mempool.space".into(),
            coinbase_url: "https://api.coinbase.com".into(),
            kraken_url: "https://api.kraken.com".into(),
        }
    }
}

/// Who says what a bitcoin costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RatesFrom {
    /// `Fixed` on regtest, `Http` elsewhere. Never so in a loaded configuration.
    Auto,
    /// The operator.
    Fixed,
    /// Public servers.
    Http,
}

impl Rates {
    /// Fills in what follows from the network.
    pub(super) fn fill_in(&mut self, network: Network) {
        let regtest = network == Network::Regtest;
        if self.source == RatesFrom::Auto {
            self.source = if regtest { RatesFrom::Fixed } else { RatesFrom::Http };
        }
        // Only there, where coins are worth nothing, may a rate be invented.
        if regtest && self.fixed.is_empty() {
            self.fixed = regtest_rates();
        }
    }
}

/// Rates on regtest when none are set: easy to calculate with, and not absurd.
fn regtest_rates() -> Vec<(Currency, Decimal)> {
    let rate = |currency| match currency {
        Currency::Usd => 100_000,
        Currency::Eur => 85_000,
        Currency::Gbp => 75_000,
        Currency::Cad => 140_000,
        Currency::Aud => 150_000,
        Currency::Jpy => 15_000_000,
        Currency::Chf => 80_000,
        Currency::Cny => 700_000,
        Currency::Inr => 9_000_000,
        Currency::Brl => 550_000_u64,
    };
    Currency::ALL.into_iter().map(|currency| (currency, Decimal::from(rate(currency)))).collect()
}
