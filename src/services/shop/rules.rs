//! The service's limits and windows, as the configuration sets them.

use std::time::Duration;

use bitcoin::Network;

use crate::config::Config;
use crate::core::fees::FeeRule;
use crate::core::money::Msat;

/// Limits and windows.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Whether stores sell. What is paid can be claimed and refunded all the same.
    pub enabled: bool,
    /// Whose invoices refunds are paid to.
    pub network: Network,
    /// What links begin with, without a slash at the end.
    pub public_url: String,
    /// How long an order can be paid.
    pub expiry: Duration,
    /// The most that one order may come to.
    pub max_amount: Msat,
    /// What the operator takes of an order.
    pub fee: FeeRule,
    /// Whether that goes back to the seller who cancels an order.
    pub return_fee: bool,
    /// A refund may always cost this much in routing fees, which the operator bears.
    pub max_fee_base: Msat,
    /// Or this share of it, in parts per million, whichever is more.
    pub max_fee_ppm: u32,
    /// A refund's invoice must be payable for at least so long.
    pub min_invoice_expiry: Duration,
    /// How long a paid request waits for its payment to settle here.
    pub settle_patience: Duration,
}

impl Rules {
    /// As the operator configured them.
    pub fn from_config(config: &Config) -> Self {
        let (shop, payouts) = (&config.shop, &config.payouts);
        Self {
            enabled: shop.enabled,
            network: config.network,
            public_url: config.http.public_url.trim_end_matches('/').to_owned(),
            expiry: Duration::from_secs(shop.expiry_secs),
            max_amount: Msat::from_sat(shop.max_amount_sat).unwrap_or(Msat::ZERO),
            fee: FeeRule { min_sat: shop.min_fee_sat, percent: shop.fee_percent },
            return_fee: shop.return_fee,
            max_fee_base: Msat::from_sat(payouts.max_fee_base_sat).unwrap_or(Msat::ZERO),
            max_fee_ppm: payouts.max_fee_ppm,
            min_invoice_expiry: Duration::from_secs(payouts.min_invoice_expiry_secs),
            settle_patience: Duration::from_secs(5),
        }
    }

    /// The most that routing a refund of some amount may cost.
    pub fn max_fee(&self, amount: Msat) -> Msat {
        amount.ppm_ceil(self.max_fee_ppm).unwrap_or(amount).max(self.max_fee_base)
    }
}
