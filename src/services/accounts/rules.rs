//! Limits of withdrawals, as the configuration sets them.

use std::time::Duration;

use bitcoin::Network;

use crate::config::{Bearer, Config};
use crate::core::fees::MinerFeeLimits;
use crate::core::money::Msat;

/// Limits of withdrawals.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Whether anything can be taken out.
    pub enabled: bool,
    /// Whose invoices, offers and addresses we pay.
    pub network: Network,
    /// Whether the account bears what routing costs; else the operator does.
    pub account_pays_routing: bool,
    /// Routing may always cost this much.
    pub max_fee_base: Msat,
    /// Or this share of the amount, in parts per million, whichever is more.
    pub max_fee_ppm: u32,
    /// Whether the account bears the miners' fee; else the operator does.
    pub account_pays_miners: bool,
    /// Limits of that.
    pub onchain_fees: MinerFeeLimits,
    /// The least that goes to an address; nothing for none at all.
    pub min_onchain: Msat,
    /// An invoice must be payable for at least so long.
    pub min_invoice_expiry: Duration,
    /// What one key may take out in a day, if nothing else is said for it; nothing for no limit.
    pub key_day: Msat,
}

impl Rules {
    /// As the operator configured them.
    pub fn from_config(config: &Config) -> Self {
        let (payouts, withdrawals) = (&config.payouts, &config.withdrawals);
        let sat = |sat| Msat::from_sat(sat).unwrap_or(Msat::ZERO);
        Self {
            enabled: withdrawals.enabled,
            network: config.network,
            account_pays_routing: withdrawals.routing_fee_paid_by == Bearer::Account,
            max_fee_base: sat(payouts.max_fee_base_sat),
            max_fee_ppm: payouts.max_fee_ppm,
            account_pays_miners: payouts.onchain_fee_paid_by == Bearer::Account,
            onchain_fees: payouts.fee_rules(),
            min_onchain: sat(withdrawals.min_onchain_sat),
            min_invoice_expiry: Duration::from_secs(payouts.min_invoice_expiry_secs),
            key_day: sat(withdrawals.key_day_sat),
        }
    }

    /// The most that routing a withdrawal of some amount may cost.
    pub fn max_fee(&self, amount: Msat) -> Msat {
        amount.ppm_ceil(self.max_fee_ppm).unwrap_or(amount).max(self.max_fee_base)
    }

    /// What is withheld for routing from the account.
    pub fn routing_reserve(&self, amount: Msat) -> Msat {
        if self.account_pays_routing { self.max_fee(amount) } else { Msat::ZERO }
    }

    /// The most whole sats that can be sent over Lightning out of a balance, what is withheld for routing left there.
    pub fn all_by_lightning(&self, balance: Msat) -> Msat {
        if !self.account_pays_routing {
            return whole_sats(balance);
        }
        let share = u128::from(balance.get()) * 1_000_000 / (1_000_000 + u128::from(self.max_fee_ppm));
        let by_share = u64::try_from(share).ok().and_then(Msat::new).unwrap_or(Msat::ZERO);
        let mut most = whole_sats(by_share.min(balance.saturating_sub(self.max_fee_base)));
        // Rounding can be one sat off.
        while most > Msat::ZERO && most.checked_add(self.max_fee(most)).is_none_or(|sum| sum > balance) {
            most = most.saturating_sub(Msat::from_sat(1).unwrap_or(Msat::ZERO));
        }
        most
    }

    /// The most that can go to an address, where the miners get up to `fee`.
    pub fn all_onchain(&self, balance: Msat, fee: Msat) -> Msat {
        whole_sats(if self.account_pays_miners { balance.saturating_sub(fee) } else { balance })
    }
}

fn whole_sats(amount: Msat) -> Msat {
    Msat::from_sat(amount.sat_floor()).unwrap_or(Msat::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_a_balance_leaves_exactly_the_reserve() {
        let mut rules = Rules::from_config(&Config::default());
        for msat in (0..3_000_000).step_by(997).chain([1_000_000_000, 2_000_001, 999_999_999_999]) {
            let balance = Msat::new(msat).unwrap();
            let all = rules.all_by_lightning(balance);
            let fits = |amount: Msat| amount.checked_add(rules.max_fee(amount)).unwrap() <= balance;
            let more = all.checked_add(Msat::from_sat(1).unwrap()).unwrap();
            assert!(all == Msat::ZERO || fits(all), "{msat}");
            assert!(!fits(more), "{msat}: one sat more fits");
        }
        rules.account_pays_routing = false;
        assert_eq!(rules.all_by_lightning(Msat::new(5_999).unwrap()), Msat::from_sat(5).unwrap());
    }
}
