//! What each account has: the part of [`Account::Merchants`] that belongs to it, kept as a running balance.
//!
//! A payment or a sold request adds to it, a refund or a withdrawal takes from it, each in the transaction of the
//! journal that moves the same amount into or out of [`Account::Merchants`]. So the balances of all accounts together
//! are what the books owe to merchants; [`audit`](super::audit) compares them, and each with the rows that caused it.
//! A balance never goes below zero: what isn't there can't be taken.
//!
//! Where an account bears the fees of what it sends, the most that they may be is withheld at the beginning
//! ([`withhold`]), and what they came to is charged at the end ([`settle_fee`]); the rest goes back.

use rusqlite::Connection;

use super::LedgerError;
use super::books::{Account, Journal, Kind};
use super::rows::accounts as rows;
use crate::core::ids::{AccountId, FeeReserveId};
use crate::core::money::Msat;
use crate::core::time::UnixMillis;
use crate::storage::Tx;

pub use super::rows::accounts::{Line, Place, Summary};

/// Why a balance changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineKind {
    /// An order was paid.
    Payment,
    /// More came for an order that was paid.
    PaymentMore,
    /// A request was sold.
    L402,
    /// An order of a store was paid.
    Shop,
    /// It can't be delivered: what was paid is withheld until the buyer has it back.
    RefundReserved,
    /// That ended: it goes back to the buyer now, or is the account's again.
    RefundReleased,
    /// What the operator takes of either.
    ServiceFee,
    /// It came back with a refund.
    ServiceFeeReturned,
    /// Money that had belonged to nobody was given to the account.
    Suspense,
    /// A refund began.
    Refund,
    /// A refund did not arrive.
    RefundFailed,
    /// A refund arrived after it had failed.
    RefundLate,
    /// A withdrawal began.
    Withdrawal,
    /// A withdrawal did not arrive.
    WithdrawalFailed,
    /// A withdrawal arrived after it had failed.
    WithdrawalLate,
    /// A purse began to pay.
    Purse,
    /// A purse's payment did not arrive.
    PurseFailed,
    /// A purse's payment arrived after it had failed.
    PurseLate,
    /// The most that fees may be was withheld.
    FeeReserved,
    /// What fees did not cost.
    FeeReturned,
}

impl LineKind {
    /// Its name in the database and in statements.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Payment => "payment",
            Self::PaymentMore => "payment_more",
            Self::L402 => "l402",
            Self::Shop => "shop",
            Self::RefundReserved => "refund_reserved",
            Self::RefundReleased => "refund_released",
            Self::ServiceFee => "service_fee",
            Self::ServiceFeeReturned => "service_fee_returned",
            Self::Suspense => "suspense",
            Self::Refund => "refund",
            Self::RefundFailed => "refund_failed",
            Self::RefundLate => "refund_late",
            Self::Withdrawal => "withdrawal",
            Self::WithdrawalFailed => "withdrawal_failed",
            Self::WithdrawalLate => "withdrawal_late",
            Self::Purse => "purse",
            Self::PurseFailed => "purse_failed",
            Self::PurseLate => "purse_late",
            Self::FeeReserved => "fee_reserved",
            Self::FeeReturned => "fee_returned",
        }
    }
}

/// What an account has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// What it may take out or give back.
    pub available: Msat,
    /// Withdrawals under way, with what is withheld for their fees.
    pub pending: Msat,
}

/// A change of an account's balance.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// Whose.
    pub account: AccountId,
    /// Why.
    pub kind: LineKind,
    /// The public id of what caused it.
    pub reference: &'a str,
    /// How much.
    pub amount: Msat,
}

/// Adds to a balance. The caller posts the journal that credits [`Account::Merchants`] in the same transaction.
///
/// # Errors
/// The store's.
pub fn credit(tx: &Tx<'_>, change: &Change<'_>, now: UnixMillis) -> Result<(), LedgerError> {
    if change.amount == Msat::ZERO {
        return Ok(());
    }
    let after = rows::add(tx, change.account, change.amount)?;
    rows::insert_line(tx, change, change.amount.signed(), after, now)
}

/// Takes from a balance; `false`, and nothing is changed, if there is less. The caller posts the journal that debits
/// [`Account::Merchants`] in the same transaction.
///
/// # Errors
/// The store's.
pub fn debit(tx: &Tx<'_>, change: &Change<'_>, now: UnixMillis) -> Result<bool, LedgerError> {
    if change.amount == Msat::ZERO {
        return Ok(true);
    }
    let Some(after) = rows::take(tx, change.account, change.amount)? else { return Ok(false) };
    rows::insert_line(tx, change, -change.amount.signed(), after, now)?;
    Ok(true)
}

/// An account's balance.
///
/// # Errors
/// The store's.
pub fn balance(connection: &Connection, account: AccountId) -> Result<Balance, LedgerError> {
    rows::balance(connection, account)
}

/// A withdrawal of `amount`, fee reserve included, is under way.
///
/// # Errors
/// The store's.
pub fn add_pending(tx: &Tx<'_>, account: AccountId, amount: Msat) -> Result<(), LedgerError> {
    rows::change_pending(tx, account, amount.signed())
}

/// It no longer is.
///
/// # Errors
/// The store's.
pub fn take_pending(tx: &Tx<'_>, account: AccountId, amount: Msat) -> Result<(), LedgerError> {
    rows::change_pending(tx, account, -amount.signed())
}

/// Withholds the most that fees may be; `None`, and nothing is changed, if the account has less.
///
/// # Errors
/// The store's.
pub fn withhold(
    tx: &Tx<'_>,
    account: AccountId,
    reserve: Msat,
    reference: &str,
    now: UnixMillis,
) -> Result<Option<FeeReserveId>, LedgerError> {
    set_apart(tx, &Change { account, kind: LineKind::FeeReserved, reference, amount: reserve }, now)
}

/// Withholds what a buyer is owed back; `None`, and nothing is changed, if the account has less. [`release`] ends it.
///
/// # Errors
/// The store's.
pub fn withhold_refund(
    tx: &Tx<'_>,
    account: AccountId,
    amount: Msat,
    reference: &str,
    now: UnixMillis,
) -> Result<Option<FeeReserveId>, LedgerError> {
    set_apart(tx, &Change { account, kind: LineKind::RefundReserved, reference, amount }, now)
}

/// Gives back to the account what was [withheld for a refund](withhold_refund): mostly the refund takes it in the same
/// transaction.
///
/// # Errors
/// The store's; [`LedgerError::Broken`] if it was settled before.
pub fn release(tx: &Tx<'_>, id: FeeReserveId, reference: &str, now: UnixMillis) -> Result<(), LedgerError> {
    settle(tx, id, Msat::ZERO, LineKind::RefundReleased, reference, now).map(drop)
}

fn set_apart(tx: &Tx<'_>, change: &Change<'_>, now: UnixMillis) -> Result<Option<FeeReserveId>, LedgerError> {
    if !debit(tx, change, now)? {
        return Ok(None);
    }
    let id = rows::insert_reserve(tx, change.account, change.amount)?;
    Journal::new(Kind::FeeWithheld, id.0)
        .debit(Account::Merchants, change.amount)
        .credit(Account::Withheld, change.amount)
        .post(tx, now)?;
    Ok(Some(id))
}

/// Charges what fees came to, at most what was withheld, and gives the rest back. Answers what was charged.
///
/// # Errors
/// The store's; [`LedgerError::Broken`] if it was settled before.
pub fn settle_fee(
    tx: &Tx<'_>,
    id: FeeReserveId,
    fee: Msat,
    reference: &str,
    now: UnixMillis,
) -> Result<Msat, LedgerError> {
    settle(tx, id, fee, LineKind::FeeReturned, reference, now)
}

fn settle(
    tx: &Tx<'_>,
    id: FeeReserveId,
    fee: Msat,
    kind: LineKind,
    reference: &str,
    now: UnixMillis,
) -> Result<Msat, LedgerError> {
    let (account, reserve) = rows::open_reserve(tx, id)?
        .ok_or_else(|| LedgerError::Broken(format!("fee reserve {id} was settled already")))?;
    if fee > reserve {
        tracing::error!(reserve = %id, %fee, withheld = %reserve, "a fee was larger than its reserve; the operator bears the rest");
    }
    let charged = fee.min(reserve);
    let rest = reserve.saturating_sub(charged);
    rows::settle_reserve(tx, id, charged, now)?;
    Journal::new(Kind::FeeCharged, id.0)
        .debit(Account::Withheld, reserve)
        .credit(Account::FeesCharged, charged)
        .credit(Account::Merchants, rest)
        .post(tx, now)?;
    credit(tx, &Change { account, kind, reference, amount: rest }, now)?;
    Ok(charged)
}

/// A part of an account's statement, newest first.
///
/// # Errors
/// The store's.
pub fn lines(
    connection: &Connection,
    account: AccountId,
    span: (UnixMillis, UnixMillis),
    before: Option<Place>,
    limit: usize,
) -> Result<Vec<Line>, LedgerError> {
    rows::lines(connection, account, span, before, limit)
}

/// The accounts, by name, after the one of that name.
///
/// # Errors
/// The store's.
pub fn list(connection: &Connection, after: &str, limit: usize) -> Result<Vec<Summary>, LedgerError> {
    rows::list(connection, after, limit)
}

/// The account of a name.
///
/// # Errors
/// The store's.
pub fn by_name(connection: &Connection, name: &str) -> Result<Option<AccountId>, LedgerError> {
    rows::by_name(connection, name)
}

/// The name of an account.
///
/// # Errors
/// The store's; [`LedgerError::Broken`] if there is none.
pub fn name(connection: &Connection, account: AccountId) -> Result<String, LedgerError> {
    rows::name(connection, account)?
        .ok_or_else(|| LedgerError::Broken(format!("account {account} is missing")))
}
