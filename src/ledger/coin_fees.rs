//! What the miners may get for coins that go to an address: limits that are kept before anything is signed.
//!
//! The wallet picks its coins itself, at random, so what a transaction costs is known only once it is signed and on its
//! way. Before, its weight is reckoned with as many of the wallet's coins as it could pick for the amount (its smallest,
//! until they are enough), and at a rate that the transaction is then made with. That is the most it may cost
//! ([`Quote::max`]); what it did cost is read from the wallet's own record, and is what counts from then on. A wallet
//! with many small coins may have to be told to merge them, by sending all to an address of its own.
//!
//! Who bears it is the caller's: an account, from which the most is withheld
//! ([`accounts::withhold`]), or the operator. What the operator bears is limited for each
//! account and for all together in an hour.

use rusqlite::Connection;

use super::rows::coins as rows;
use super::{End, LedgerError, OnchainPayout, accounts};
use crate::core::ids::AccountId;
use crate::core::money::Msat;
use crate::core::time::{UnixMillis, Window};
use crate::lightning::Lightning;
use crate::storage::Tx;

/// Weight of a transaction without its inputs: version, counts, lock time and witness flag, an output to the longest
/// kind of address, and one of our own for the change.
const BASE_WEIGHT: u64 = 46 + 4 * 43 + 4 * 31;

/// Weight of an input of the wallet's (P2WPKH).
const INPUT_WEIGHT: u64 = 273;

/// Weight of an output for the change.
const CHANGE_WEIGHT: u64 = 4 * 31;

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
    /// With so many of the wallet's coins.
    pub coins: usize,
}

/// What a transaction is reckoned by: asked of the node, which must not be done inside a transaction of the store.
#[derive(Clone, Debug, Default)]
pub struct Prices {
    /// In sat for 1,000 weight units.
    rate: u64,
    /// The wallet's coins, in sat, the smallest first.
    coins: Vec<u64>,
}

impl Prices {
    /// What a transaction costs at most that pays so much to an address.
    pub fn quote(&self, amount: Msat) -> Quote {
        let weigh = |weight: u64| weight.saturating_mul(self.rate).div_ceil(1_000);
        let input = weigh(INPUT_WEIGHT);
        // The wallet stops once it has enough, or finds coins that are enough without change, or nearly.
        let spare = weigh(INPUT_WEIGHT + CHANGE_WEIGHT).saturating_add(LOST_CHANGE);
        let wanted = amount.sat_floor().saturating_add(weigh(BASE_WEIGHT)).saturating_add(spare);
        let (mut coins, mut lacking) = (0_usize, i128::from(wanted));
        for coin in &self.coins {
            if lacking <= 0 {
                break;
            }
            coins = coins.saturating_add(1);
            // One that is worth less than what spending it costs is picked like others, and makes it worse.
            lacking = lacking.saturating_sub(i128::from(*coin)).saturating_add(i128::from(input));
        }
        let coins = coins.max(1);
        let inputs = u64::try_from(coins).unwrap_or(u64::MAX).saturating_mul(INPUT_WEIGHT);
        let sat = weigh(BASE_WEIGHT.saturating_add(inputs)).saturating_add(LOST_CHANGE);
        Quote { rate: self.rate, max: Msat::from_sat(sat).unwrap_or(Msat::MAX), coins }
    }
}

/// Why a fee is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FeeRefused {
    /// The transaction would cost more than one may.
    #[error(
        "the miners' fee would be up to {needed}, more than the limit of {limit}, with up to {coins} coins of the wallet"
    )]
    TooHigh {
        /// With so many coins of the wallet.
        coins: usize,
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

/// Asks the node what transactions cost. Blocks.
///
/// # Errors
/// A text for the log: nobody knows.
pub fn prices(lightning: &dyn Lightning, rules: &FeeRules) -> Result<Prices, String> {
    let rate = match rules.rate {
        Some(rate) => rate,
        None => lightning.coin_fee_rate()?,
    };
    let mut coins = lightning.wallet_coins()?;
    coins.sort_unstable();
    Ok(Prices { rate, coins })
}

/// Whether a transaction may cost so much: of an `account`, if the operator bears it, with what others have cost in the
/// last `hour`.
///
/// # Errors
/// The store's.
pub fn check(
    connection: &Connection,
    rules: &FeeRules,
    quote: &Quote,
    operator_bears: Option<AccountId>,
    hour: &Window,
) -> Result<Result<(), FeeRefused>, LedgerError> {
    if quote.max > rules.max {
        return Ok(Err(FeeRefused::TooHigh { coins: quote.coins, needed: quote.max, limit: rules.max }));
    }
    let Some(account) = operator_bears else { return Ok(Ok(())) };
    let (of_account, of_all) = rows::borne_in(connection, account, hour)?;
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
    send: &OnchainPayout,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn quote(coins: &[u64], amount: u64) -> Quote {
        let mut coins = coins.to_vec();
        coins.sort_unstable();
        Prices { rate: 1_000, coins }.quote(Msat::from_sat(amount).unwrap())
    }

    #[test]
    fn quote_reckons_with_all_small_coins_that_could_be_picked() {
        // Each of a hundred coins brings 2,000 sat less 273; at random, all of them may come before the large one.
        let many: Vec<u64> = std::iter::repeat_n(2_000, 100).chain([1_000_000]).collect();
        let all = quote(&many, 500_000);
        assert_eq!(all.coins, 101);
        assert!(all.max >= Msat::from_sat(101 * 273).unwrap());
        // For a small amount few of them are enough.
        assert_eq!(quote(&many, 5_000).coins, 4);
        assert_eq!(quote(&[1_000_000], 500_000).coins, 1);
        assert_eq!(quote(&[], 500_000).coins, 1);
    }

    #[test]
    fn coins_that_cost_more_than_they_are_worth_are_reckoned_with() {
        let dust: Vec<u64> = std::iter::repeat_n(200, 50).chain([100_000]).collect();
        assert_eq!(quote(&dust, 10_000).coins, 51);
    }
}
