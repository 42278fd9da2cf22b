//! The books are compared with the node: with its channels to the msat, with its wallet to the sat.
//!
//! The services' payments are in `lightning`. What else moves the node's money is booked here, from what the node
//! itself says ([`Holdings`](crate::lightning::Holdings)):
//!
//! | what happened | journal |
//! |---|---|
//! | the first comparison | `node_opening`: what is there is the operator's `capital` |
//! | coins came to the wallet | `onchain` from `capital` |
//! | we opened a channel | `onchain` to `channels`, `chain_fees`, and to `capital` what was given to the peer |
//! | a peer opened one and gave us a part | `channels` from `capital` |
//! | coins were sent to an address | `onchain` to `capital` and `chain_fees`: the operator has the sats in the channels for them |
//! | payments of others went through us | `channels` from `forwarding_income` |
//! | channels were closed | `channels` to `closing` and `chain_fees` (commitment fee, anchors, dust, parts of a sat) |
//! | a cooperative close, a sweep, a claim reached the wallet | `closing` to `onchain` and `chain_fees` |
//! | LDK spent coins to hurry a closing transaction | `onchain` to `chain_fees` |
//!
//! Then `lightning` + `channels`, `closing` and `onchain` are what the node has in open channels, in closed ones, and
//! in the wallet. What differs is never booked away: it is drift, and a problem of the audit. Only what a close costs
//! is found by difference, and only up to what the node said before that it may cost.
//!
//! # When the comparison counts
//!
//! A payment under way is in nobody's balance, and an event may lag behind the channel it is about. So the node is *not
//! at rest* while an HTLC is in a channel, a payout is under way, an event waits, a transaction of the wallet is
//! unconfirmed, or a closed channel is undecided; what is in flight then bounds the difference. At rest, a difference
//! counts once two readings some seconds apart say the same.
//!
//! # What a crash leaves behind
//!
//! Everything is posted in one transaction with the row that makes it happen once (`wallet_transactions`, `forwards`,
//! `node_channels`), and only if the books still stand where they were when the node was read. A crash before it
//! leaves a difference that the next comparison finds again; the node remembers all of it. The one thing that it tells
//! only once, an event of a forwarded payment, may be told twice after a crash: then it is one row too many, which the
//! channels' balance tells.

mod compare;
mod explain;
mod verdict;
mod wallet;

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use super::rows::node as rows;
use super::{Ledger, LedgerError};
use crate::core::money::Msat;
use crate::core::time::UnixMillis;
use crate::storage::Tx;

pub use compare::{Comparison, State, compare};

/// Money of the node by where it is, in msat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sums {
    /// In open channels.
    pub channels_msat: i64,
    /// Of closed channels, not yet in the wallet.
    pub closing_msat: i64,
    /// In the wallet.
    pub wallet_msat: i64,
}

impl Sums {
    /// How much more than the other.
    const fn less(self, other: Self) -> Self {
        Self {
            channels_msat: self.channels_msat.saturating_sub(other.channels_msat),
            closing_msat: self.closing_msat.saturating_sub(other.closing_msat),
            wallet_msat: self.wallet_msat.saturating_sub(other.wallet_msat),
        }
    }
}

/// Where a channel is in the books.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChannelState {
    /// Its money is not in the books: the funding transaction is not confirmed.
    Opening,
    /// Its money is in the books.
    Open,
    /// Closed; not all of it has come.
    Closing,
    /// Nothing of it is left.
    Closed,
}

impl ChannelState {
    const ALL: [Self; 4] = [Self::Opening, Self::Open, Self::Closing, Self::Closed];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::Open => "open",
            Self::Closing => "closing",
            Self::Closed => "closed",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// A channel as the books know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ChannelRow {
    pub(super) id: i64,
    pub(super) channel: String,
    /// `txid:output`; empty if it was closed before anybody looked.
    pub(super) funding: String,
    pub(super) outbound: bool,
    pub(super) capacity_sat: u64,
    pub(super) start_msat: i64,
    pub(super) state: ChannelState,
    pub(super) cost_sat: u64,
    pub(super) ours_msat: i64,
    pub(super) reason: Option<String>,
}

/// What a transaction of the wallet was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It was there at the first comparison.
    Before,
    /// Coins came from outside.
    Deposit,
    /// It opened a channel of ours.
    Funding,
    /// It paid an address, by the ledger's order.
    Coins,
    /// A cooperative close.
    Close,
    /// The sweeper moved outputs of closed channels.
    Sweep,
    /// LDK claimed an output of a closed channel straight to the wallet.
    Claim,
    /// It moved coins from the wallet to itself, or hurried a closing transaction: a fee alone.
    Fee,
}

impl Role {
    const ALL: [Self; 8] = [
        Self::Before,
        Self::Deposit,
        Self::Funding,
        Self::Coins,
        Self::Close,
        Self::Sweep,
        Self::Claim,
        Self::Fee,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::Deposit => "deposit",
            Self::Funding => "funding",
            Self::Coins => "coins",
            Self::Close => "close",
            Self::Sweep => "sweep",
            Self::Claim => "claim",
            Self::Fee => "fee",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

/// A transaction of the wallet that is in the books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Booked {
    pub(super) role: Role,
    pub(super) net_sat: i64,
    pub(super) height: u32,
    pub(super) channel: Option<String>,
}

/// A payment of others that is not in the books yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Forward {
    pub(super) id: i64,
    pub(super) fee_msat: i64,
    /// The event before it was the same: perhaps it was this one, told again after a crash.
    pub(super) may_be_repeated: bool,
}

/// All that the books know of the node's money.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// The first comparison is over.
    pub(super) is_open: bool,
    pub(super) sums: Sums,
    pub(super) channels: Vec<ChannelRow>,
    /// By name.
    pub(super) booked: HashMap<String, Booked>,
    pub(super) forwards: Vec<Forward>,
    /// Transactions of coins that the ledger sent.
    pub(super) coins: HashSet<String>,
    pub(super) payouts_under_way: i64,
    pub(super) payouts_under_way_msat: i64,
    pub(super) held: i64,
    pub(super) coins_asked: i64,
}

impl Known {
    fn channel(&self, channel: &str) -> Option<&ChannelRow> {
        self.channels.iter().find(|row| row.channel == channel)
    }
}

/// The last comparison at which all was equal.
#[derive(Clone, Debug)]
pub(super) struct LastLook {
    pub(super) id: i64,
    pub(super) at: UnixMillis,
    pub(super) height: u32,
    pub(super) node: Sums,
    /// JSON: what was ours in each channel, in msat.
    pub(super) channels: String,
}

/// Writes down the channels that are new, with what is ours in them before anything goes through them, and books what
/// came with a peer's channel that can be used now: it may be closed and swept before the next comparison. Called when
/// the node tells of a channel, before that event is handled.
///
/// # Errors
/// The store's. A node that can't say anything now is no error: a later comparison finds the channel.
pub fn note_channels(ledger: &Ledger) -> Result<(), LedgerError> {
    let Ok(holdings) = ledger.lightning.holdings() else { return Ok(()) };
    let known = ledger.store.read_blocking(rows::known)?;
    let is_open = known.is_open;
    compare::note_new_channels(ledger, &known, &holdings)?;
    if is_open {
        let known = ledger.store.read_blocking(rows::known)?;
        wallet::open_usable(ledger, &known, &holdings)?;
    }
    Ok(())
}

/// The node tells that a channel was closed, and why.
///
/// # Errors
/// The store's.
pub fn note_closed(tx: &Tx<'_>, channel: &str, reason: &str, now: UnixMillis) -> Result<(), LedgerError> {
    rows::note_closed(tx, channel, reason, now)
}

/// The node tells that a payment of others went through it. It is booked once the channels' balances show it.
///
/// # Errors
/// The store's.
pub fn note_forward(
    tx: &Tx<'_>,
    from: &str,
    to: &str,
    fee: Msat,
    now: UnixMillis,
) -> Result<(), LedgerError> {
    if fee == Msat::ZERO {
        return Ok(());
    }
    rows::add_forward(tx, from, to, fee.get(), now)
}
