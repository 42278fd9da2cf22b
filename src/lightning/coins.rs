//! Coins of the wallet that go to an address.

use bitcoin::{Address, Amount, TxOut, Txid};

use crate::core::money::Msat;

/// Coins to send.
#[derive(Clone, Debug)]
pub struct CoinOrder {
    /// Where to. Paid by nothing else of ours, so that what pays it is known by that.
    pub address: Address,
    /// How many, in sat; the miners' fee comes on top.
    pub amount_sat: u64,
    /// What the miners get, in sat for 1,000 weight units; `None`: as the node estimates.
    pub fee_rate: Option<u64>,
    /// All that the wallet may spend, less the miners' fee, whatever the amount says.
    pub everything: bool,
}

impl CoinOrder {
    /// Whether a transaction with this output does it.
    pub fn is_done_by(&self, output: &TxOut) -> bool {
        let amount_fits = self.everything || output.value == Amount::from_sat(self.amount_sat);
        amount_fits && output.script_pubkey == self.address.script_pubkey()
    }
}

/// How a call of [`Lightning::send_coins`](super::Lightning::send_coins) ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CoinDispatch {
    /// A transaction was signed and given to the chain source, which may have lost it.
    Sent(Txid),
    /// Nothing was signed, or what was signed did not leave the wallet; why, for the log.
    NotSent(String),
}

/// A transaction that the wallet knows of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CoinRecord {
    /// Its name, if it could be read.
    pub txid: Option<Txid>,
    /// Deep enough in the chain to stay there: six blocks.
    pub is_final: bool,
    /// What the address got, in sat, if the transaction could be read.
    pub amount_sat: Option<u64>,
    /// What the miners got, once the wallet has listed it.
    pub fee: Option<Msat>,
}

/// What can become of a transaction that pays an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CoinFate {
    /// The wallet has seen none, which doesn't say that there is none.
    Unseen,
    /// It is in a block, or no transaction in a block spends what it spends.
    CanConfirm,
    /// Another transaction, in a block, spends what it spends: only one of the two can be in the chain.
    Replaced {
        /// The other one.
        by: Txid,
        /// Six blocks deep: it stays, and this one never confirms.
        is_final: bool,
    },
    /// The wallet has seen that something pays the order, but not what that spends.
    Unreadable,
}
