//! `[shop]`: stores.

use serde::{Deserialize, Serialize};

use super::Shopify;

/// `[shop]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Shop {
    /// Whether stores sell. What is paid can be claimed and refunded all the same.
    pub enabled: bool,
    /// How long an order can be paid, in seconds; its price and rate are fixed for so long.
    pub expiry_secs: u64,
    /// The most that one order may come to, in sat.
    pub max_amount_sat: u64,
    /// The least that the operator takes of an order, in sat.
    pub min_fee_sat: u64,
    /// What the operator takes of that, in percent.
    pub fee_percent: u32,
    /// Whether the fee goes back to the seller who cancels an order.
    pub return_fee: bool,
    /// Shopify shops that stand behind stores.
    pub shopify: Vec<Shopify>,
}

impl Default for Shop {
    fn default() -> Self {
        Self {
            enabled: true,
            expiry_secs: 900,
            max_amount_sat: 100_000_000,
            min_fee_sat: 0,
            fee_percent: 0,
            return_fee: false,
            shopify: Vec::new(),
        }
    }
}

impl Shop {
    /// Numbers that must lie in a range; nothing is more than `supply` sat.
    pub(super) fn ranges(&self, supply: u64) -> [(&'static str, u64, u64, u64); 4] {
        [
            ("shop.expiry_secs", self.expiry_secs, 60, 86_400),
            ("shop.max_amount_sat", self.max_amount_sat, 1, supply),
            ("shop.min_fee_sat", self.min_fee_sat, 0, supply),
            ("shop.fee_percent", u64::from(self.fee_percent), 0, 100),
        ]
    }
}
