//! The family's limits and windows, as the configuration sets them.

use std::time::Duration;

use bitcoin::Network;

use super::request::Limits;
use crate::config::Config;
use crate::core::money::Msat;
use crate::services::tips::fee::FeeRule;

/// How long an answer waits for a payout's end, the asking of an address included: a wallet's user looks at a
/// spinner for so long, and not longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Limits and windows.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Whether tips can be made.
    pub enabled: bool,
    /// Whose invoices we pay.
    pub network: Network,
    /// What links begin with, without a slash at the end.
    pub public_url: String,
    /// What may be ordered, and what it costs.
    pub limits: Limits,
    /// Whether a tipper gets the fee back with a tip that nobody withdrew.
    pub return_fee: bool,
    /// How long a funding invoice can be paid.
    pub invoice_expiry: Duration,
    /// A payout may always cost this much in routing fees.
    pub max_fee_base: Msat,
    /// Or this share of it, in parts per million, whichever is more.
    pub max_fee_ppm: u32,
    /// An invoice must be payable for at least so long.
    pub min_invoice_expiry: Duration,
    /// How long the answer to a withdrawal waits for its end.
    pub patience: Duration,
    /// Whether clients may look up magic words only so often.
    pub guess_limits: bool,
}

impl Rules {
    /// As the operator configured them.
    pub fn from_config(config: &Config) -> Self {
        let (tips, payouts) = (&config.tips, &config.payouts);
        Self {
            enabled: tips.enabled,
            network: config.network,
            public_url: config.http.public_url.trim_end_matches('/').to_owned(),
            limits: Limits {
                fee: FeeRule { min_sat: tips.min_fee_sat, percent: tips.fee_percent },
                max_total_sat: tips.max_total_sat,
                max_quantity: tips.max_quantity,
            },
            return_fee: tips.return_fee,
            invoice_expiry: Duration::from_secs(tips.invoice_expiry_secs),
            max_fee_base: Msat::from_sat(payouts.max_fee_base_sat).unwrap_or(Msat::ZERO),
            max_fee_ppm: payouts.max_fee_ppm,
            min_invoice_expiry: Duration::from_secs(payouts.min_invoice_expiry_secs),
            patience: PATIENCE,
            guess_limits: config.http.rate_limits,
        }
    }

    /// The most that routing a payout of this amount may cost.
    pub fn max_fee(&self, amount: Msat) -> Msat {
        amount.ppm_ceil(self.max_fee_ppm).unwrap_or(amount).max(self.max_fee_base)
    }
}
