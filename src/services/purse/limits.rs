//! What a purse may still spend.

use rusqlite::Connection;

use super::PurseError;
use super::error::{Limit, OverLimit};
use super::store::{self, Day, Purse};
use crate::core::money::Msat;
use crate::ledger::{LedgerError, accounts};

/// How much a purse may still spend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Left {
    /// In all.
    pub(super) budget: Msat,
    /// Spent in it, with what is reserved.
    pub(super) spent_today: Msat,
    /// Today, if there is a limit for a day.
    pub(super) today: Option<Msat>,
    /// What the account has.
    pub(super) balance: Msat,
}

impl Left {
    pub(super) fn read(connection: &Connection, purse: &Purse, today: Day) -> Result<Self, LedgerError> {
        let spent_today = store::spent_today(connection, purse.id, today)?;
        Ok(Self {
            budget: purse.budget.saturating_sub(purse.spent),
            spent_today,
            today: purse.per_day.map(|limit| limit.saturating_sub(spent_today)),
            balance: accounts::balance(connection, purse.account)?.available,
        })
    }
}

/// A payment that is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    /// What the recipient gets.
    pub(super) amount: Msat,
    /// The most that routing may cost.
    pub(super) reserve: Msat,
    /// What the request itself allows.
    pub(super) max: Option<Msat>,
}

/// Whether every limit allows a payment. `maxSats` and the limit for one request bound the price; the limit for a day,
/// the budget and the balance also bear what routing may cost. Call it in the transaction that pays.
///
/// # Errors
/// [`PurseError::OverLimit`] with the first limit that forbids it; the store's.
pub(super) fn check(
    connection: &Connection,
    purse: &Purse,
    wanted: &Wanted,
    today: Day,
) -> Result<(), PurseError> {
    let left = Left::read(connection, purse, today)?;
    let whole = wanted.amount.checked_add(wanted.reserve).unwrap_or(Msat::MAX);
    let all = [
        (Limit::MaxSats, wanted.amount, wanted.max),
        (Limit::PerRequest, wanted.amount, purse.per_request),
        (Limit::PerDay, whole, left.today),
        (Limit::Budget, whole, Some(left.budget)),
        (Limit::Balance, whole, Some(left.balance)),
    ];
    for (limit, needed, left) in all {
        if let Some(left) = left.filter(|left| needed > *left) {
            return Err(PurseError::OverLimit(OverLimit { limit, needed, left }));
        }
    }
    Ok(())
}
