//! The family's limits and windows, as the configuration sets them.

use std::time::Duration;

use bitcoin::Network;

use super::lock::LockRules;
use crate::config::Config;
use crate::core::fees::FeeRule;
use crate::core::money::Msat;

/// Limits and windows.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Whether gifts can be made.
    pub enabled: bool,
    /// Whose invoices we pay.
    pub network: Network,
    /// What links begin with, without a slash at the end.
    pub public_url: String,
    /// Smallest gift, in sat.
    pub min_sat: u64,
    /// Largest gift, in sat.
    pub max_sat: u64,
    /// Most gifts of one order.
    pub max_quantity: u32,
    /// What a gift costs besides its amount.
    pub fee: FeeRule,
    /// How long the funding invoice can be paid.
    pub invoice_expiry: Duration,
    /// Verify codes.
    pub lock: LockRules,
    /// A payout may always cost this much in routing fees.
    pub max_fee_base: Msat,
    /// Or this share of it, in parts per million, whichever is more.
    pub max_fee_ppm: u32,
    /// An invoice must be payable for at least so long.
    pub min_invoice_expiry: Duration,
}

impl Rules {
    /// The defaults of the configuration.
    pub fn new(network: Network, public_url: impl Into<String>) -> Self {
        Self {
            enabled: true,
            network,
            public_url: public_url.into().trim_end_matches('/').to_owned(),
            min_sat: 100,
            max_sat: 500_000,
            max_quantity: 500,
            fee: FeeRule::FREE,
            invoice_expiry: Duration::from_secs(3_600),
            lock: LockRules { tries: 10, lock: Duration::from_secs(900) },
            max_fee_base: Msat::from_sat(10).unwrap_or(Msat::ZERO),
            max_fee_ppm: 5_000,
            min_invoice_expiry: Duration::from_secs(30),
        }
    }

    /// As the operator configured them.
    pub fn from_config(config: &Config) -> Self {
        let (gifts, payouts) = (&config.gifts, &config.payouts);
        Self {
            enabled: gifts.enabled,
            min_sat: gifts.min_sat,
            max_sat: gifts.max_sat,
            max_quantity: gifts.max_quantity,
            fee: FeeRule { min_sat: gifts.min_fee_sat, percent: gifts.fee_percent },
            invoice_expiry: Duration::from_secs(gifts.invoice_expiry_secs),
            lock: LockRules {
                tries: gifts.verify_code_tries,
                lock: Duration::from_secs(gifts.verify_code_lock_secs),
            },
            max_fee_base: Msat::from_sat(payouts.max_fee_base_sat).unwrap_or(Msat::ZERO),
            max_fee_ppm: payouts.max_fee_ppm,
            min_invoice_expiry: Duration::from_secs(payouts.min_invoice_expiry_secs),
            ..Self::new(config.network, config.http.public_url.as_str())
        }
    }

    /// The most that routing a payout of this amount may cost.
    pub fn max_fee(&self, amount: Msat) -> Msat {
        amount.ppm_ceil(self.max_fee_ppm).unwrap_or(amount).max(self.max_fee_base)
    }
}
