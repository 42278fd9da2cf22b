//! The family's limits and windows, as the configuration sets them.

use std::time::Duration;

use bitcoin::Network;

use crate::config::{Bearer, Config};
use crate::core::fees::FeeRule;
use crate::core::fees::MinerFeeLimits;
use crate::core::money::Msat;

/// Limits and windows.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Whether payments can be made.
    pub enabled: bool,
    /// Whose invoices and addresses we pay.
    pub network: Network,
    /// What links begin with, without a slash at the end.
    pub public_url: String,
    /// How long an order can be paid.
    pub expiry: Duration,
    /// The most that one order may come to.
    pub max_amount: Msat,
    /// The least that goes back to an address; nothing for none at all.
    pub min_onchain: Msat,
    /// Whether payments have a BOLT12 offer beside their invoice.
    pub offers: bool,
    /// What the operator takes of a payment.
    pub fee: FeeRule,
    /// Whether that goes back once all of a payment is refunded.
    pub return_fee: bool,
    /// A refund may always cost this much in routing fees.
    pub max_fee_base: Msat,
    /// Or this share of it, in parts per million, whichever is more.
    pub max_fee_ppm: u32,
    /// A refund's invoice must be payable for at least so long.
    pub min_invoice_expiry: Duration,
    /// Limits of what the miners may get for a refund to an address.
    pub onchain_fees: MinerFeeLimits,
    /// Whether the account bears that; else the operator does.
    pub account_pays_miners: bool,
}

impl Rules {
    /// As the operator configured them.
    pub fn from_config(config: &Config) -> Self {
        let (payments, payouts) = (&config.payments, &config.payouts);
        Self {
            enabled: payments.enabled,
            network: config.network,
            public_url: config.http.public_url.trim_end_matches('/').to_owned(),
            expiry: Duration::from_secs(payments.expiry_secs),
            max_amount: Msat::from_sat(payments.max_amount_sat).unwrap_or(Msat::ZERO),
            min_onchain: Msat::from_sat(payments.min_onchain_refund_sat).unwrap_or(Msat::ZERO),
            offers: payments.offers,
            fee: FeeRule { min_sat: payments.min_fee_sat, percent: payments.fee_percent },
            return_fee: payments.return_fee,
            max_fee_base: Msat::from_sat(payouts.max_fee_base_sat).unwrap_or(Msat::ZERO),
            max_fee_ppm: payouts.max_fee_ppm,
            min_invoice_expiry: Duration::from_secs(payouts.min_invoice_expiry_secs),
            onchain_fees: payouts.fee_rules(),
            account_pays_miners: payouts.onchain_refund_fee_paid_by == Bearer::Account,
        }
    }

    /// The most that routing a refund of some amount may cost.
    pub fn max_fee(&self, amount: Msat) -> Msat {
        amount.ppm_ceil(self.max_fee_ppm).unwrap_or(amount).max(self.max_fee_base)
    }
}
