//! Coins that the operator sends from the wallet: an amount, or all above the reserve for closing channels.
//!
//! They go through [`coins`] like all coins, and what a crash leaves behind is told there. The books have the operator's
//! account for them, which loses them when they are queued and has them again once they have arrived: coins of the
//! wallet were never in it. That they left the wallet is booked against the capital where the wallet is.
//!
//! How many all are is known only once the wallet has made the transaction. Until then the row has what could be spent
//! when it was asked for; once the transaction is seen, the row and the books have what the address got
//! (`learn_amount`), in one transaction, once.

use bitcoin::Address;

use super::books::{Account, Journal, Kind};
use super::coin_fees::Quote;
use super::coins::{self, CoinsWanted, OnchainPayout};
use super::rows::operator_sends as rows;
use super::{Family, Ledger, LedgerError};
use crate::core::ids::CoinSendId;
use crate::core::money::Msat;
use crate::core::time::UnixMillis;
use crate::storage::Tx;

/// Higher fee rates, in sat/vB, are refused as typing errors.
pub const MAX_SAT_PER_VB: u64 = 500;

/// Weight units for which a rate is counted, in a virtual byte.
const KWU_PER_VB: u64 = 250;

/// What to send.
#[derive(Clone, Debug)]
pub struct Send {
    /// Where to, on this network.
    pub address: Address,
    /// How many; `None`: all above the reserve.
    pub amount: Option<Msat>,
    /// What the miners get, in sat for a virtual byte; `None`: as the node estimates.
    pub sat_per_vb: Option<u64>,
    /// What the miners will get at most, and what they may, where that is limited: the transaction is made at the
    /// quote's rate.
    pub limited: Option<(Quote, Msat)>,
    /// What the wallet may spend now, in sat: without the reserve.
    pub spendable_sat: u64,
}

/// Why nothing is sent. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSent {
    /// The address has something else of ours.
    #[error("this address was paid already, or is being paid, otherwise; take another one")]
    AddressUsed,
    /// Nodes don't relay so little.
    #[error("at least {0} sat must go to this address: less is not relayed")]
    TooLittle(u64),
    /// There are no so many coins.
    #[error(
        "the wallet can spend {spendable} sat now, without {promised} sat that are promised and the reserve for closing channels"
    )]
    NotEnough {
        /// What it can.
        spendable: u64,
        /// What others are to get.
        promised: u64,
    },
    /// Surely a mistake.
    #[error("the fee rate must be from 1 to {MAX_SAT_PER_VB} sat/vB")]
    FeeRate,
    /// The miners may get more than they are to.
    #[error("the miners may get up to {needed} now, more than the {limit} allowed; nothing was sent")]
    TooDear {
        /// What they may get.
        needed: Msat,
        /// What was allowed.
        limit: Msat,
    },
}

/// Decides to send. The same address and amount again, unless it failed, is the same.
///
/// # Errors
/// The store's.
pub fn queue(
    tx: &Tx<'_>,
    ledger: &Ledger,
    send: &Send,
) -> Result<Result<(OnchainPayout, bool), NotSent>, LedgerError> {
    if let Some(before) = coins::by_address(tx, &send.address)? {
        let amount_fits =
            send.amount.map_or(before.everything, |amount| !before.everything && amount == before.amount);
        let same = before.family == Family::Operator && amount_fits;
        return Ok(if same { Ok((before, false)) } else { Err(NotSent::AddressUsed) });
    }
    if send.sat_per_vb.is_some_and(|rate| !(1..=MAX_SAT_PER_VB).contains(&rate)) {
        return Ok(Err(NotSent::FeeRate));
    }
    if let Some((quote, limit)) = send.limited.filter(|(quote, limit)| quote.max > *limit) {
        return Ok(Err(NotSent::TooDear { needed: quote.max, limit }));
    }
    let promised = coins::promised(tx)?.sat_floor();
    let spendable = send.spendable_sat.saturating_sub(promised);
    let sat = send.amount.map_or(spendable, Msat::sat_floor);
    let least = coins::least(&send.address);
    if spendable < sat || (send.amount.is_none() && spendable <= least) {
        return Ok(Err(NotSent::NotEnough { spendable, promised }));
    }
    if sat < least {
        return Ok(Err(NotSent::TooLittle(least)));
    }
    let amount =
        Msat::from_sat(sat).ok_or_else(|| LedgerError::Broken("more coins than there are".into()))?;
    let wanted = CoinsWanted { family: Family::Operator, address: &send.address, amount, fee: None };
    let id = coins::queue(tx, ledger, &wanted)?;
    let asked = send.sat_per_vb.map(|rate| rate.saturating_mul(KWU_PER_VB));
    let fee_rate = asked.or(send.limited.map(|(quote, _)| quote.rate));
    rows::insert(tx, id, fee_rate, send.amount.is_none())?;
    Ok(Ok((coins::by_id(tx, id)?, true)))
}

/// What the address got is known: the row and the books say so from now on.
///
/// # Errors
/// The store's.
pub(super) fn learn_amount(
    tx: &Tx<'_>,
    id: CoinSendId,
    sat: u64,
    now: UnixMillis,
) -> Result<(), LedgerError> {
    let send = coins::by_id(tx, id)?;
    let amount =
        Msat::from_sat(sat).ok_or_else(|| LedgerError::Broken("more coins than there are".into()))?;
    if !rows::learn_amount(tx, id, amount)? {
        return Ok(());
    }
    // One of the two is nothing.
    let (less, more) = (send.amount.saturating_sub(amount), amount.saturating_sub(send.amount));
    Journal::new(Kind::CoinsCounted, id.0)
        .debit(Account::InFlight, less)
        .credit(Account::Operator, less)
        .debit(Account::Operator, more)
        .credit(Account::InFlight, more)
        .post(tx, now)
}
