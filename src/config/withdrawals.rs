//! `[withdrawals]`, and who bears fees.

use bitcoin::Network;
use serde::{Deserialize, Serialize};

use super::Payouts;
use super::check::{Found, plain};
use crate::core::fees::MinerFeeLimits;
use crate::core::money::Msat;

/// Who bears a fee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bearer {
    /// Whoever's money is sent.
    Account,
    /// Whoever runs the node.
    Operator,
}

/// `[withdrawals]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Withdrawals {
    /// Whether accounts can take out what they have earned. What is under way ends all the same.
    pub enabled: bool,
    /// Who bears what routing costs.
    pub routing_fee_paid_by: Bearer,
    /// What one key may withdraw in a day (UTC), in sat; 0: as much as there is.
    pub key_day_sat: u64,
    /// The least that goes to an address, in sat; 0: nothing does.
    pub min_onchain_sat: u64,
    /// Servers that are asked for names of BIP 353 (DNS over HTTPS), for gifts and tips too.
    pub dns_over_https: Vec<String>,
    /// Whether names are believed that DNSSEC doesn't prove. On regtest only.
    pub dns_unsigned: bool,
}

impl Default for Withdrawals {
    fn default() -> Self {
        Self {
            enabled: true,
            routing_fee_paid_by: Bearer::Account,
            key_day_sat: 10_000_000,
            min_onchain_sat: 5_000,
            dns_over_https: vec![
                "https://dns.google/dns-query".into(),
                "https://cloudflare-dns.com/dns-query".into(),
            ],
            dns_unsigned: false,
        }
    }
}

impl Withdrawals {
    /// On regtest the default DNS servers are removed, so that no public server is contacted.
    pub(super) fn fill_in(&mut self, network: Network) {
        if network == Network::Regtest && self.dns_over_https == Self::default().dns_over_https {
            self.dns_over_https.clear();
        }
    }

    /// Settings that must not be as they are.
    pub(super) fn check(&self, network: Network, found: &mut Vec<Found>) {
        if self.dns_unsigned && network != Network::Regtest {
            let what = "on this network, names that DNSSEC does not prove would let anybody between you and the DNS server take what is withdrawn";
            found.push(plain("withdrawals.dns_unsigned", what));
        }
        for server in &self.dns_over_https {
            let secure = server.starts_with("https://")
                || (network == Network::Regtest && server.starts_with("http://"));
            if !secure || url::Url::parse(server).is_err() {
                found.push(plain(
                    "withdrawals.dns_over_https",
                    format!("\"{server}\" is not an https address"),
                ));
            }
        }
    }
}

impl Payouts {
    /// Limits of what the miners may get.
    pub fn fee_rules(&self) -> MinerFeeLimits {
        let sat = |sat| Msat::from_sat(sat).unwrap_or(Msat::MAX);
        MinerFeeLimits {
            max: sat(self.max_onchain_fee_sat),
            max_account_hour: sat(self.max_onchain_fee_per_account_hour_sat),
            max_hour: sat(self.max_onchain_fee_per_hour_sat),
            // A virtual byte is four weight units.
            rate: Some(self.onchain_fee_rate_sat_vb.saturating_mul(250)).filter(|rate| *rate > 0),
        }
    }
}
