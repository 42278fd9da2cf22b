//! What the miners may get for coins that go to an address: limits that are kept before anything is signed.
//!
//! The wallet picks its coins itself, so what a transaction costs is known only once it is signed and on its way.
//! Before, its weight is reckoned with as many coins as the wallet can have, at most `MOST_INPUTS`, and at a rate
//! that the transaction is then made with. That is the most it may cost ([`Quote::max`]); what it did cost is read from
//! the wallet's own record, and is what counts from then on.
//!
//! Who bears it is the caller's: an account, from which the most is withheld
//! ([`accounts::withhold`]), or the operator. What the operator bears is limited for each
//! account and for all together in an hour.

use rusqlite::Connection;

use super::rows::coins as rows;
use super::{CoinSend, End, LedgerError, accounts};
use crate::clock::UnixMillis;
use crate::ids::AccountId;
use crate::lightning::Lightning;
use crate::money::Msat;
use crate::store::Tx;

/// An hour.
const HOUR_MS: i64 = 3_600_000;

/// A wallet with more coins than this is reckoned with as if it had so many.
const MOST_INPUTS: u64 = 10;

/// Weight of a transaction without its inputs: version, counts, lock time and witness flag, an output to the longest
/// kind of address, and one of our own for the change.
const BASE_WEIGHT: u64 = 46 + 4 * 43 + 4 * 31;

/// Weight of an input of the wallet's (P2WPKH).
const INPUT_WEIGHT: u64 = 273;

/// A change below this many sat is not worth an output; the miners get it.
const LOST_CHANGE: u64 = 294;

/// Limits of miners' fees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeeRules {
    /// The most that one transaction may cost, whoever bears it.
    pub max: Msat,
    /// The most that one account may cost the operator in an hour.
    pub max_account_hour: Msat,
    /// The most that all accounts together may.
    pub max_hour: Msat,
    /// A fixed rate, in sat for 1,000 weight units; the chain source is asked without one.
    pub rate: Option<u64>,
}

/// What a transaction will cost at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote {
    /// In sat for 1,000 weight units.
    pub rate: u64,
    /// At most.
    pub max: Msat,
}

/// Why a fee is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FeeRefused {
    /// The transaction would cost more than one may.
    #[error("the miners' fee would be up to {needed}, more than the limit of {limit}")]
    TooHigh {
        /// What it would cost.
        needed: Msat,
        /// What it may.
        limit: Msat,
    },
    /// This account has cost the operator enough in this hour.
    #[error("this account has used up what the operator pays for miners' fees in an hour")]
    AccountHour,
    /// All accounts together have.
    #[error("what the operator pays for miners' fees in an hour is used up")]
    Hour,
}

/// Asks the node what a transaction would cost. Blocks.
///
/// # Errors
/// A text for the log: nobody knows.
pub fn quote(lightning: &dyn Lightning, rules: &FeeRules) -> Result<Quote, String> {
    let rate = match rules.rate {
        Some(rate) => rate,
        None => lightning.coin_fee_rate()?,
    };
    let inputs = u64::try_from(lightning.coin_transactions()).unwrap_or(u64::MAX).clamp(1, MOST_INPUTS);
    let weight = BASE_WEIGHT.saturating_add(inputs.saturating_mul(INPUT_WEIGHT));
    let sat = weight.saturating_mul(rate).div_ceil(1_000).saturating_add(LOST_CHANGE);
    let max = Msat::from_sat(sat).ok_or("a fee rate beyond all reason")?;
    Ok(Quote { rate, max })
}

/// Whether a transaction may cost so much: of an `account`, if the operator bears it.
///
/// # Errors
/// The store's.
pub fn check(
    connection: &Connection,
    rules: &FeeRules,
    quote: &Quote,
    operator_bears: Option<AccountId>,
    now: UnixMillis,
) -> Result<Result<(), FeeRefused>, LedgerError> {
    if quote.max > rules.max {
        return Ok(Err(FeeRefused::TooHigh { needed: quote.max, limit: rules.max }));
    }
    let Some(account) = operator_bears else { return Ok(Ok(())) };
    let (of_account, of_all) = rows::borne_since(connection, account, now.saturating_sub(HOUR_MS))?;
    let fits = |used: Msat, limit: Msat| used.checked_add(quote.max).is_some_and(|sum| sum <= limit);
    Ok(match (fits(of_account, rules.max_account_hour), fits(of_all, rules.max_hour)) {
        (false, _) => Err(FeeRefused::AccountHour),
        (true, false) => Err(FeeRefused::Hour),
        (true, true) => Ok(()),
    })
}

/// Charges the account that bears it, if one does, when coins have ended. Answers what it was charged.
///
/// # Errors
/// The store's.
pub fn settle(
    tx: &Tx<'_>,
    send: &CoinSend,
    end: End,
    reference: &str,
    now: UnixMillis,
) -> Result<Option<Msat>, LedgerError> {
    let Some(reserve) = send.fee_reserve else { return Ok(None) };
    let fee = match end {
        // What a person settled, and the wallet never listed, may have cost all that was withheld.
        End::Paid | End::PaidAfterFailure => send.fee.unwrap_or(send.max_fee),
        End::Failed => Msat::ZERO,
    };
    accounts::settle_fee(tx, reserve, fee, reference, now).map(Some)
}
