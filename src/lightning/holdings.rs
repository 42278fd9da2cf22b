//! What the node itself says it owns: in channels, in channels that were closed, in the wallet. For the comparison
//! with the books.

use bitcoin::{OutPoint, Txid};

/// One reading of everything. Its parts are read one after the other: while something moves they may not fit together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    /// The best block the node knows.
    pub height: u32,
    /// It has not looked at the chain since it was started: blocks may be missing.
    pub is_old: bool,
    /// Channels that are not closed and have a funding transaction.
    pub channels: Vec<ChannelHolding>,
    /// What channels that were closed may still give, by the monitors.
    pub claims: Vec<Claim>,
    /// Outputs of closed channels that are ours and are being moved to the wallet.
    pub sweeps: Vec<Sweep>,
    /// The wallet's coins, confirmed or not, in sat.
    pub wallet_sat: u64,
    /// Confirmed transactions that changed the wallet.
    pub transactions: Vec<WalletTransaction>,
}

/// A channel that is not closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelHolding {
    /// Its id, hex.
    pub channel: String,
    /// The output that holds its money.
    pub funding: OutPoint,
    /// We opened it and pay for its transactions.
    pub outbound: bool,
    /// Its size, in sat.
    pub capacity_sat: u64,
    /// Payments can go through it.
    pub ready: bool,
    /// Ours, in msat, without what is on its way out of it. Exact while nothing is under way.
    pub ours_msat: u64,
    /// In HTLCs of both directions, in msat: nothing of it is counted in `ours_msat`.
    pub in_flight_msat: u64,
    /// The most that closing it now takes from our part, in sat: the transaction's fee, the anchors, what is too
    /// small for an output.
    pub close_cost_sat: u64,
}

/// Something of a closed channel that has not reached the wallet or the sweeper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Of which channel, hex.
    pub channel: String,
    /// How much, in sat, before the fee of moving it.
    pub amount_sat: u64,
    /// How certain it is.
    pub kind: ClaimKind,
}

/// How certain a claim is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimKind {
    /// The closing transaction is not in a block yet. Closing takes at most `cost_sat` from our part.
    Unconfirmed {
        /// In sat.
        cost_sat: u64,
    },
    /// The transaction of a cooperative close is in a block; it pays the wallet directly, and the amount is a guess.
    Cooperative,
    /// Ours, and waits for blocks only.
    Certain,
    /// An HTLC or a revoked output. A transaction in the chain decides who gets it.
    Contested,
}

/// An output of a closed channel, on its way to the wallet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sweep {
    /// Of which channel, hex, if known.
    pub channel: Option<String>,
    /// The output's amount, in sat, before the fee.
    pub amount_sat: u64,
    /// The transaction that moves it, once there is one.
    pub txid: Option<Txid>,
}

/// A confirmed transaction that changed the wallet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalletTransaction {
    /// Its name.
    pub txid: Txid,
    /// What the wallet gained by it, in sat; negative if it lost.
    pub net_sat: i64,
    /// All that the wallet lost is the fee: it paid itself.
    pub fee_alone: bool,
    /// The block that has it.
    pub height: u32,
}

/// What a transaction of the wallet spends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spent {
    /// Which output.
    pub output: OutPoint,
    /// It was locked by a script of a channel's commitment transaction (BOLT 3).
    pub of_commitment: bool,
}
