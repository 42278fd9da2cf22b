//! Limits that hold for all purses, as the configuration sets them.

use std::time::Duration;

use bitcoin::Network;

use crate::config::Config;
use crate::core::money::Msat;

/// Limits of all purses.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Whether purses can pay.
    pub enabled: bool,
    /// Whose invoices we pay.
    pub network: Network,
    /// Routing may always cost this much.
    pub max_fee_base: Msat,
    /// Or this share of the amount, in parts per million, whichever is more.
    pub max_fee_ppm: u32,
    /// An invoice must be payable for at least so long.
    pub min_invoice_expiry: Duration,
    /// How long a service may take for one answer, to its last byte.
    pub answer_time: Duration,
    /// How long a request waits for its payment before it is told that it is under way.
    pub payment_wait: Duration,
    /// Bytes of an answer.
    pub max_answer: usize,
}

impl Rules {
    /// As the operator configured them.
    pub fn from_config(config: &Config) -> Self {
        let (payouts, purse) = (&config.payouts, &config.purse);
        Self {
            enabled: purse.enabled,
            network: config.network,
            max_fee_base: Msat::from_sat(payouts.max_fee_base_sat).unwrap_or(Msat::ZERO),
            max_fee_ppm: payouts.max_fee_ppm,
            min_invoice_expiry: Duration::from_secs(payouts.min_invoice_expiry_secs),
            answer_time: Duration::from_secs(purse.answer_secs),
            payment_wait: Duration::from_secs(purse.payment_wait_secs),
            max_answer: usize::try_from(purse.max_answer_bytes).unwrap_or(usize::MAX),
        }
    }

    /// The most that routing an amount may cost.
    pub fn max_fee(&self, amount: Msat) -> Msat {
        amount.ppm_ceil(self.max_fee_ppm).unwrap_or(amount).max(self.max_fee_base)
    }
}
