//! Coins of the node in memory.

use bitcoin::Txid;
use bitcoin::hashes::Hash;

use super::{CRASH, Sim, Trap};
use crate::lightning::{CoinDispatch, CoinOrder, CoinRecord};
use crate::money::Msat;

/// A transaction that left the wallet.
#[derive(Clone, Debug)]
pub(super) struct Spend {
    address: String,
    amount_sat: u64,
    txid: Txid,
    /// The wallet has heard of it.
    seen: bool,
    buried: bool,
    fee: Msat,
}

impl Sim {
    /// What was really sent to each address, in sat, in order.
    pub fn coins_sent(&self) -> Vec<(String, u64)> {
        self.state().spends.iter().map(|spend| (spend.address.clone(), spend.amount_sat)).collect()
    }

    /// The wallet looks at the chain.
    pub fn see_coins(&self) {
        self.state().spends.iter_mut().for_each(|spend| spend.seen = true);
    }

    /// Six blocks are found.
    pub fn bury_coins(&self) {
        for spend in &mut self.state().spends {
            (spend.seen, spend.buried) = (true, true);
        }
    }

    /// What the miners want from now on, in sat for 1,000 weight units.
    pub fn set_fee_rate(&self, rate: u64) {
        self.state().fee_rate = Some(rate);
    }

    /// Whether the wallet has nothing to send.
    pub fn set_no_coins(&self, none: bool) {
        self.state().no_coins = none;
    }

    pub(super) fn spend(&self, order: &CoinOrder) -> CoinDispatch {
        let mut state = self.state();
        let trap = std::mem::take(&mut state.trap);
        assert!(trap != Trap::DieBefore, "{CRASH}");
        if state.no_coins {
            return CoinDispatch::NotSent("no coins".into());
        }
        // The miners get a thousand.
        let amount_sat = if order.everything { super::COINS_SAT - 1_000 } else { order.amount_sat };
        let txid = Txid::hash(&state.spends.len().to_be_bytes());
        state.spends.push(Spend {
            address: order.address.to_string(),
            amount_sat,
            txid,
            seen: false,
            buried: false,
            fee: Msat::from_sat(order.fee_rate.unwrap_or(250) * 561 / 1_000).unwrap(),
        });
        if trap == Trap::DieAfter {
            drop(state);
            panic!("{CRASH}");
        }
        CoinDispatch::Sent(txid)
    }

    pub(super) fn spent(&self, order: &CoinOrder, txid: Option<Txid>) -> Option<CoinRecord> {
        let state = self.state();
        let found = state.spends.iter().find(|spend| {
            spend.seen
                && (Some(spend.txid) == txid
                    || (spend.address == order.address.to_string()
                        && (order.everything || spend.amount_sat == order.amount_sat)))
        });
        found.map(|spend| CoinRecord {
            txid: Some(spend.txid),
            is_final: spend.buried,
            amount_sat: Some(spend.amount_sat),
            fee: Some(spend.fee),
        })
    }
}
