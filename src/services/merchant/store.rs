//! The rows of the service.

use rusqlite::{Connection, OptionalExtension, params};

use super::MerchantError;
use crate::core::ids::{AccountId, PaymentHash};
use crate::core::time::UnixMillis;
use crate::storage::Tx;

const PROFILE: &str = "SELECT a.name, a.created_at, nullif(s.email, ''),
         EXISTS (SELECT 1 FROM account_lines l WHERE l.account_id = a.id AND l.msat > 0)
     FROM accounts a LEFT JOIN signups s ON s.account_id = a.id WHERE a.id = ?1";
const FORGET_EMAIL: &str = "UPDATE signups SET email = '' WHERE account_id = ?1 AND email <> ''";
const BOUGHT: &str =
    "SELECT s.account_id FROM signups s JOIN accounts a ON a.id = s.account_id WHERE a.name = ?1";
const SIGNUP: &str = "SELECT account_id, email FROM signups WHERE payment_hash = ?1";
const INSERT_SIGNUP: &str = "INSERT INTO signups (payment_hash, account_id, email, paid_sat, created_at)
     VALUES (?1, ?2, ?3, ?4, ?5)";

/// What is known of an account.
pub(super) struct Profile {
    pub(super) name: String,
    pub(super) created_at: UnixMillis,
    /// Of whoever bought the account.
    pub(super) email: Option<String>,
    /// Something has come in for it.
    pub(super) was_paid: bool,
}

/// What is known of an account.
pub(super) fn profile(connection: &Connection, account: AccountId) -> Result<Profile, MerchantError> {
    Ok(connection.prepare_cached(PROFILE)?.query_row([account], |row| {
        Ok(Profile { name: row.get(0)?, created_at: row.get(1)?, email: row.get(2)?, was_paid: row.get(3)? })
    })?)
}

/// The account that a payment bought, and the address it was bought for.
pub(super) fn signup(
    connection: &Connection,
    hash: PaymentHash,
) -> Result<Option<(AccountId, String)>, MerchantError> {
    let mut statement = connection.prepare_cached(SIGNUP)?;
    Ok(statement.query_row([hash], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

/// The account of this name, if somebody bought it.
pub(super) fn bought(connection: &Connection, name: &str) -> Result<Option<AccountId>, MerchantError> {
    let mut statement = connection.prepare_cached(BOUGHT)?;
    Ok(statement.query_row([name], |row| row.get(0)).optional()?)
}

/// Removes the address an account was bought for; `false` if there is none.
pub(super) fn forget_email(tx: &Tx<'_>, account: AccountId) -> Result<bool, MerchantError> {
    Ok(tx.prepare_cached(FORGET_EMAIL)?.execute([account])? > 0)
}

/// A payment has bought an account.
pub(super) fn insert_signup(
    tx: &Tx<'_>,
    (hash, paid_sat): (PaymentHash, u64),
    account: AccountId,
    email: &str,
    now: UnixMillis,
) -> Result<(), MerchantError> {
    tx.prepare_cached(INSERT_SIGNUP)?.execute(params![hash, account, email, paid_sat, now])?;
    Ok(())
}
