//! Coins of the node in memory.

use bitcoin::Txid;
use bitcoin::hashes::Hash;

use super::{CRASH, Sim, Trap};
use crate::core::money::Msat;
use crate::lightning::{CoinDispatch, CoinFate, CoinOrder, CoinRecord};

/// A transaction that left the wallet.
#[derive(Clone, Debug)]
pub(super) struct Spend {
    address: String,
    amount_sat: u64,
    txid: Txid,
    /// The wallet has heard of it.
    seen: bool,
    buried: bool,
    /// Another transaction in the chain spends the same coins.
    replaced: Option<(Txid, bool)>,
    fee: Msat,
}

impl Sim {
    /// What was really sent to each address, in sat, in order.
    pub fn coins_sent(&self) -> Vec<(String, u64)> {
        self.state().spends.iter().map(|spend| (spend.address.clone(), spend.amount_sat)).collect()
    }

    /// Addresses that were paid by a transaction that stays, in order.
    pub fn coins_confirmed(&self) -> Vec<String> {
        let state = self.state();
        state.spends.iter().filter(|spend| spend.buried).map(|spend| spend.address.clone()).collect()
    }

    /// The wallet looks at the chain.
    pub fn see_coins(&self) {
        self.state().spends.iter_mut().for_each(|spend| spend.seen = true);
    }

    /// Six blocks are found.
    pub fn bury_coins(&self) {
        for spend in self.state().spends.iter_mut().filter(|spend| spend.replaced.is_none()) {
            (spend.seen, spend.buried) = (true, true);
        }
    }

    /// A block has a transaction that spends the same coins as one that was sent, so deep that it stays or not.
    pub fn replace_coins(&self, which: usize, is_final: bool) {
        let mut state = self.state();
        let Some(spend) = state.spends.get_mut(which).filter(|spend| !spend.buried) else { return };
        spend.seen = true;
        spend.replaced =
            Some((Txid::hash(&[spend.txid.as_raw_hash().as_byte_array(), &b"!"[..]].concat()), is_final));
    }

    /// The coins that the wallet has from now on, in sat.
    pub fn set_coins(&self, coins: &[u64]) {
        self.state().coins = coins.to_vec();
    }

    pub(super) fn fate(&self, order: &CoinOrder, txid: Option<Txid>) -> CoinFate {
        let Some(record) = self.spent(order, txid) else { return CoinFate::Unseen };
        let state = self.state();
        let found = state.spends.iter().find(|spend| Some(spend.txid) == record.txid);
        match found.and_then(|spend| spend.replaced) {
            Some((by, is_final)) => CoinFate::Replaced { by, is_final },
            None => CoinFate::CanConfirm,
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
        self.run_hook();
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
            replaced: None,
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
