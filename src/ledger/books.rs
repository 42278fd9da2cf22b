//! Double entry: journals of signed millisatoshis that sum to zero.
//!
//! Debits are positive, credits negative. What we own or have spent is a debit balance, what we owe or
//! have earned a credit balance.

use std::fmt;

use rusqlite::params;

use super::LedgerError;
use crate::core::money::Msat;
use crate::core::time::UnixMillis;
use crate::storage::Tx;

/// Where money can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Account {
    /// Ours on the Lightning Network, by our own services' payments alone (debit).
    Lightning,
    /// Ours in open channels beside that: what came with them, what forwarding left, less what went with those that
    /// were closed (debit). With `Lightning` it is what the node has in its channels.
    Channels,
    /// Of closed channels, on its way to the wallet (debit).
    Closing,
    /// The wallet's coins, confirmed (debit).
    Onchain,
    /// Owed to whoever holds an open voucher (credit).
    Holders,
    /// Owed to merchants who took payments (credit).
    Merchants,
    /// Withheld from accounts for the fees of what they send, until those are known (credit).
    Withheld,
    /// Promised to payouts under way, routing fee limits included (credit).
    InFlight,
    /// The part of `InFlight` that is only there for routing fees (debit).
    FeeReserve,
    /// Between a payout and a charge of this same node; always zero between transactions.
    Clearing,
    /// Spent on routing (debit).
    RoutingPaid,
    /// Spent on miners' fees, anchors and what is too small for an output (debit).
    ChainFees,
    /// Came in and belongs to nobody we know: over- and double-paid, unknown hashes (credit).
    Suspense,
    /// The operator's own invoices and payments (credit).
    Operator,
    /// Earned by the services' own fees (credit).
    FeesEarned,
    /// Earned by forwarding payments of others (credit).
    ForwardingIncome,
    /// Charged to accounts for routing and miners' fees (credit).
    FeesCharged,
    /// What the operator put into the node, less what they took out or gave to peers with a new channel (credit).
    Capital,
    /// Paid to somebody although what it was taken from had been given to somebody else (debit).
    Loss,
}

impl Account {
    /// Every account, in the order of reports.
    pub const ALL: [Self; 19] = [
        Self::Lightning,
        Self::Channels,
        Self::Closing,
        Self::Onchain,
        Self::Holders,
        Self::Merchants,
        Self::Withheld,
        Self::InFlight,
        Self::FeeReserve,
        Self::Clearing,
        Self::RoutingPaid,
        Self::ChainFees,
        Self::Suspense,
        Self::Operator,
        Self::FeesEarned,
        Self::ForwardingIncome,
        Self::FeesCharged,
        Self::Capital,
        Self::Loss,
    ];

    /// Its name in the database and in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lightning => "lightning",
            Self::Channels => "channels",
            Self::Closing => "closing",
            Self::Onchain => "onchain",
            Self::Holders => "holders",
            Self::Merchants => "merchants",
            Self::Withheld => "withheld",
            Self::InFlight => "in_flight",
            Self::FeeReserve => "fee_reserve",
            Self::Clearing => "clearing",
            Self::RoutingPaid => "routing_paid",
            Self::ChainFees => "chain_fees",
            Self::Suspense => "suspense",
            Self::Operator => "operator",
            Self::FeesEarned => "fees_earned",
            Self::ForwardingIncome => "forwarding_income",
            Self::FeesCharged => "fees_charged",
            Self::Capital => "capital",
            Self::Loss => "loss",
        }
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What happened, once per subject: the database refuses a second journal of the same kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A charge was paid.
    ChargeSettled,
    /// A charge that had been settled inside the ledger was paid over Lightning too.
    ChargePaidTwice,
    /// Of a charge that has an offer, a payment that did not settle it: by its receipt.
    ChargePaidMore,
    /// A payout took its money.
    PayoutQueued,
    /// A payout arrived.
    PayoutPaid,
    /// A payout was given up.
    PayoutFailed,
    /// A payout arrived after it had been given up.
    PayoutLate,
    /// A payout's loss turned out to be none: the payout after it failed.
    LossRecovered,
    /// The same for a refund, by the payout that failed after it.
    RefundLossRecovered,
    /// Fees of what a charge paid for.
    FeeEarned,
    /// A fee that went back with its voucher.
    FeeReturned,
    /// A fee that had gone back with its voucher, before a payout of it arrived after all.
    FeeEarnedAgain,
    /// The most that fees may be was withheld from an account.
    FeeWithheld,
    /// What fees came to was charged to it.
    FeeCharged,
    /// A payout to an offer took its money.
    OfferPayoutQueued,
    /// A payout to an offer arrived.
    OfferPayoutPaid,
    /// A payout to an offer was given up.
    OfferPayoutFailed,
    /// A payout to an offer arrived after it had been given up.
    OfferPayoutLate,
    /// Money came for a hash we never made an invoice for.
    Unclaimed,
    /// A fee of a payment that went back with its refund.
    RefundFeeReturned,
    /// A fee that had gone back with a refund, before that failed.
    RefundFeeEarnedAgain,
    /// A fee of an order that the seller gave up: by its charge.
    OrderFeeReturned,
    /// Money in suspense was given to somebody, by its settlement.
    SuspenseSettled,
    /// It came back: the payout that was to pay it back failed.
    SuspenseReturned,
    /// It was paid back after all, by a payout that had failed before.
    SuspenseSettledLate,
    /// Coins to send took their money.
    CoinsQueued,
    /// The amount of a send of all coins became known: the difference to the estimate.
    CoinsCounted,
    /// Coins arrived: the operator's, who has the sats of the channels for them.
    CoinsPaid,
    /// Coins were not sent.
    CoinsFailed,
    /// A refund's loss turned out to be none, by coins that were not sent after it.
    CoinsLossRecovered,
    /// What the node had when it was first compared with the books: by the look.
    NodeOpening,
    /// A channel of a peer's became ours to use, with what it gave us: by the channel.
    ChannelOpened,
    /// Channels were closed: by the look that found it.
    ChannelsClosed,
    /// What a closed channel gave in the end is a little less or more than was booked: by the look.
    ClosingSettled,
    /// A transaction of the wallet: by its row.
    WalletTransaction,
    /// Payments of others went through us: by the last of their rows.
    Forwarded,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::ChargeSettled => "charge_settled",
            Self::ChargePaidTwice => "charge_paid_twice",
            Self::ChargePaidMore => "charge_paid_more",
            Self::PayoutQueued => "payout_queued",
            Self::PayoutPaid => "payout_paid",
            Self::PayoutFailed => "payout_failed",
            Self::PayoutLate => "payout_late",
            Self::LossRecovered => "loss_recovered",
            Self::RefundLossRecovered => "refund_loss_recovered",
            Self::FeeEarned => "fee_earned",
            Self::FeeReturned => "fee_returned",
            Self::FeeEarnedAgain => "fee_earned_again",
            Self::FeeWithheld => "fee_withheld",
            Self::FeeCharged => "fee_charged",
            Self::OfferPayoutQueued => "offer_payout_queued",
            Self::OfferPayoutPaid => "offer_payout_paid",
            Self::OfferPayoutFailed => "offer_payout_failed",
            Self::OfferPayoutLate => "offer_payout_late",
            Self::Unclaimed => "unclaimed",
            Self::RefundFeeReturned => "refund_fee_returned",
            Self::RefundFeeEarnedAgain => "refund_fee_earned_again",
            Self::OrderFeeReturned => "order_fee_returned",
            Self::SuspenseSettled => "suspense_settled",
            Self::SuspenseReturned => "suspense_returned",
            Self::SuspenseSettledLate => "suspense_settled_late",
            Self::CoinsQueued => "coins_queued",
            Self::CoinsCounted => "coins_counted",
            Self::CoinsPaid => "coins_paid",
            Self::CoinsFailed => "coins_failed",
            Self::CoinsLossRecovered => "coins_loss_recovered",
            Self::NodeOpening => "node_opening",
            Self::ChannelOpened => "channel_opened",
            Self::ChannelsClosed => "channels_closed",
            Self::ClosingSettled => "closing_settled",
            Self::WalletTransaction => "wallet_transaction",
            Self::Forwarded => "forwarded",
        }
    }
}

/// A journal being written. Entries of the same account add up.
#[derive(Debug)]
#[must_use = "a journal does nothing until it is posted"]
pub struct Journal {
    kind: Kind,
    subject: i64,
    entries: Vec<(Account, i64)>,
}

impl Journal {
    /// Begins a journal about one row.
    pub fn new(kind: Kind, subject: i64) -> Self {
        Self { kind, subject, entries: Vec::with_capacity(5) }
    }

    /// Adds to what an account owns, or takes from what it owes.
    pub fn debit(self, account: Account, amount: Msat) -> Self {
        self.add(account, amount.signed())
    }

    /// Takes from what an account owns, or adds to what it owes.
    pub fn credit(self, account: Account, amount: Msat) -> Self {
        self.add(account, -amount.signed())
    }

    /// Adds a signed amount: debit positive.
    pub fn signed(self, account: Account, msat: i64) -> Self {
        self.add(account, msat)
    }

    fn add(mut self, account: Account, msat: i64) -> Self {
        match self.entries.iter_mut().find(|entry| entry.0 == account) {
            // Both are at most the supply of bitcoin, far from overflow.
            Some(entry) => entry.1 = entry.1.saturating_add(msat),
            None => self.entries.push((account, msat)),
        }
        self
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`LedgerError::Broken`] if it doesn't sum to zero; the store's error if this kind of journal was
    /// written for this subject before.
    pub fn post(self, tx: &Tx<'_>, now: UnixMillis) -> Result<(), LedgerError> {
        let sum = self.entries.iter().try_fold(0_i64, |sum, entry| sum.checked_add(entry.1));
        if sum != Some(0) {
            return Err(LedgerError::Broken(format!(
                "{} for {} is off by {sum:?} msat",
                self.kind.name(),
                self.subject
            )));
        }
        tx.prepare_cached("INSERT INTO journals (at, kind, subject) VALUES (?1, ?2, ?3)")?
            .execute(params![now, self.kind.name(), self.subject])?;
        let journal = tx.last_insert_rowid();
        for (account, msat) in self.entries.into_iter().filter(|entry| entry.1 != 0) {
            tx.prepare_cached("INSERT INTO entries (journal, account, msat) VALUES (?1, ?2, ?3)")?
                .execute(params![journal, account.name(), msat])?;
            tx.prepare_cached(
                "INSERT INTO balances (account, msat) VALUES (?1, ?2)
                 ON CONFLICT (account) DO UPDATE SET msat = msat + excluded.msat",
            )?
            .execute(params![account.name(), msat])?;
        }
        Ok(())
    }
}
