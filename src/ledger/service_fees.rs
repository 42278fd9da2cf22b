//! What the operator takes of what pays a shop, or for an account's resource.

use super::LedgerError;
use super::accounts::{self, Change, LineKind};
use super::books::{Account, Journal, Kind};
use crate::core::ids::{AccountId, ChargeId};
use crate::core::money::Msat;
use crate::core::time::UnixMillis;
use crate::storage::Tx;

/// Earns a fee of what a charge has brought in for an account, in the transaction that settles the charge and after the
/// account was credited; nothing is written for no fee. Once a charge: what is paid to it after that is all the
/// account's. `reference` is how its statement names it.
///
/// # Errors
/// The store's, also if a fee of this charge was earned before; [`LedgerError::Broken`] if the account has less.
pub fn earn(
    tx: &Tx<'_>,
    charge: ChargeId,
    account: AccountId,
    reference: &str,
    fee: Msat,
    now: UnixMillis,
) -> Result<(), LedgerError> {
    if fee == Msat::ZERO {
        return Ok(());
    }
    let change = Change { account, kind: LineKind::ServiceFee, reference, amount: fee };
    if !accounts::debit(tx, &change, now)? {
        return Err(LedgerError::Broken(format!("a fee of more than charge {charge} has brought in")));
    }
    Journal::new(Kind::FeeEarned, charge.0)
        .debit(Account::Merchants, fee)
        .credit(Account::FeesEarned, fee)
        .post(tx, now)
}

/// Gives a fee back to the account whose refund gives back all of a payment, before the refund takes it.
///
/// # Errors
/// The store's, also if it went back with this refund before.
pub fn give_back(
    tx: &Tx<'_>,
    refund: i64,
    account: AccountId,
    reference: &str,
    fee: Msat,
    now: UnixMillis,
) -> Result<(), LedgerError> {
    let change = Change { account, kind: LineKind::ServiceFeeReturned, reference, amount: fee };
    accounts::credit(tx, &change, now)?;
    Journal::new(Kind::RefundFeeReturned, refund)
        .debit(Account::FeesEarned, fee)
        .credit(Account::Merchants, fee)
        .post(tx, now)
}

/// Gives a charge's fee back to an account that gives back all that the charge brought in. Once a charge.
///
/// # Errors
/// The store's, also if it went back before.
pub fn give_back_for_charge(
    tx: &Tx<'_>,
    charge: ChargeId,
    account: AccountId,
    reference: &str,
    fee: Msat,
    now: UnixMillis,
) -> Result<(), LedgerError> {
    let change = Change { account, kind: LineKind::ServiceFeeReturned, reference, amount: fee };
    accounts::credit(tx, &change, now)?;
    Journal::new(Kind::OrderFeeReturned, charge.0)
        .debit(Account::FeesEarned, fee)
        .credit(Account::Merchants, fee)
        .post(tx, now)
}

/// Earns a fee again that went back with a refund which has failed, if the account still has it; whether it does.
///
/// # Errors
/// The store's.
pub fn earn_again(
    tx: &Tx<'_>,
    refund: i64,
    account: AccountId,
    reference: &str,
    fee: Msat,
    now: UnixMillis,
) -> Result<bool, LedgerError> {
    let change = Change { account, kind: LineKind::ServiceFee, reference, amount: fee };
    if fee == Msat::ZERO || !accounts::debit(tx, &change, now)? {
        return Ok(false);
    }
    Journal::new(Kind::RefundFeeEarnedAgain, refund)
        .debit(Account::Merchants, fee)
        .credit(Account::FeesEarned, fee)
        .post(tx, now)?;
    Ok(true)
}
