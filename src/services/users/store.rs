//! The SQL of users.

use rusqlite::{Connection, ErrorCode, OptionalExtension, Params, Row, params};

use super::User;
use super::challenges::AuthKey;
use super::profile::Change;
use crate::core::ids::{AccountId, UserId};
use crate::core::time::UnixMillis;
use crate::outbound::mail::Address;
use crate::services::tips::ids::Cuid;
use crate::storage::{StoreError, Tx};

const BY_ID: &str = "SELECT id, public_id, account_id, auth_key IS NOT NULL, email, name, lightning_address,
        claimed, created_at FROM tip_users WHERE id = ?1";
const BY_PUBLIC_ID: &str = "SELECT id, public_id, account_id, auth_key IS NOT NULL, email, name,
        lightning_address, claimed, created_at FROM tip_users WHERE public_id = ?1";
const BY_ACCOUNT: &str = "SELECT id, public_id, account_id, auth_key IS NOT NULL, email, name,
        lightning_address, claimed, created_at FROM tip_users WHERE account_id = ?1";
const BY_AUTH_KEY: &str = "SELECT id, public_id, account_id, auth_key IS NOT NULL, email, name,
        lightning_address, claimed, created_at FROM tip_users WHERE auth_key = ?1";
const BY_EMAIL: &str = "SELECT id, public_id, account_id, auth_key IS NOT NULL, email, name,
        lightning_address, claimed, created_at FROM tip_users WHERE email = ?1";

fn read(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        id: row.get(0)?,
        public_id: row.get(1)?,
        account: row.get(2)?,
        has_wallet: row.get(3)?,
        email: row.get(4)?,
        name: row.get(5)?,
        lightning_address: row.get(6)?,
        claimed: row.get(7)?,
        created_at: row.get(8)?,
    })
}

fn one(connection: &Connection, sql: &str, given: impl Params) -> Result<Option<User>, StoreError> {
    Ok(connection.prepare_cached(sql)?.query_row(given, read).optional()?)
}

/// The user of a row.
///
/// # Errors
/// The query's.
pub fn by_id(connection: &Connection, id: UserId) -> Result<Option<User>, StoreError> {
    one(connection, BY_ID, [id])
}

/// The user of a public id.
///
/// # Errors
/// The query's.
pub fn by_public_id(connection: &Connection, id: Cuid) -> Result<Option<User>, StoreError> {
    one(connection, BY_PUBLIC_ID, [id])
}

pub(super) fn by_account(connection: &Connection, account: AccountId) -> Result<Option<User>, StoreError> {
    one(connection, BY_ACCOUNT, [account])
}

pub(super) fn by_auth_key(connection: &Connection, key: AuthKey) -> Result<Option<User>, StoreError> {
    one(connection, BY_AUTH_KEY, [key])
}

pub(super) fn by_email(connection: &Connection, email: &Address) -> Result<Option<User>, StoreError> {
    one(connection, BY_EMAIL, [email])
}

/// The wallet that logs in as this user.
pub(super) fn auth_key(connection: &Connection, id: UserId) -> Result<Option<AuthKey>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT auth_key FROM tip_users WHERE id = ?1")?;
    Ok(statement.query_row([id], |row| row.get(0)).optional()?.flatten())
}

/// A new user: the owner of a wallet, or a guest.
pub(super) fn insert(
    tx: &Tx<'_>,
    public_id: Cuid,
    key: Option<AuthKey>,
    now: UnixMillis,
) -> Result<UserId, StoreError> {
    tx.prepare_cached("INSERT INTO tip_users (public_id, auth_key, created_at) VALUES (?1, ?2, ?3)")?
        .execute(params![public_id, key, now])?;
    Ok(UserId(tx.last_insert_rowid()))
}

/// A new user: the owner of an e-mail address.
pub(super) fn insert_email(
    tx: &Tx<'_>,
    public_id: Cuid,
    email: &Address,
    now: UnixMillis,
) -> Result<UserId, StoreError> {
    tx.prepare_cached("INSERT INTO tip_users (public_id, email, created_at) VALUES (?1, ?2, ?3)")?
        .execute(params![public_id, email, now])?;
    Ok(UserId(tx.last_insert_rowid()))
}

/// The user of an account, made if there is none.
pub(super) fn ensure_account(
    tx: &Tx<'_>,
    account: AccountId,
    public_id: Cuid,
    now: UnixMillis,
) -> Result<Option<User>, StoreError> {
    tx.prepare_cached(
        "INSERT INTO tip_users (public_id, account_id, created_at) VALUES (?1, ?2, ?3)
         ON CONFLICT (account_id) DO NOTHING",
    )?
    .execute(params![public_id, account, now])?;
    by_account(tx, account)
}

/// Gives a user a wallet to log in with. The caller has made sure that neither has another.
pub(super) fn link(tx: &Tx<'_>, id: UserId, key: AuthKey) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE tip_users SET auth_key = ?2 WHERE id = ?1")?.execute(params![id, key])?;
    Ok(())
}

/// Gives a user an address to log in with. The caller has made sure that neither has another.
pub(super) fn link_email(tx: &Tx<'_>, id: UserId, email: &Address) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE tip_users SET email = ?2 WHERE id = ?1")?.execute(params![id, email])?;
    Ok(())
}

/// Changes what a user says about themselves. A new address starts its tries of refunds afresh.
pub(super) fn change(tx: &Tx<'_>, id: UserId, change: &Change) -> Result<(), StoreError> {
    if let Some(name) = &change.name {
        tx.prepare_cached("UPDATE tip_users SET name = ?2 WHERE id = ?1")?.execute(params![id, name])?;
    }
    if let Some(address) = &change.lightning_address {
        tx.prepare_cached(
            "UPDATE tip_users SET lightning_address = ?2, refund_try_at = (?2 IS NOT NULL), refund_tries = 0
             WHERE id = ?1",
        )?
        .execute(params![id, address])?;
    }
    Ok(())
}

/// Notes, in the transaction of a claim, that this user has claimed a tip: from then on they are kept.
///
/// # Errors
/// The store's.
pub fn note_claim(tx: &Tx<'_>, id: UserId) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE tip_users SET claimed = 1 WHERE id = ?1 AND claimed = 0")?.execute([id])?;
    Ok(())
}

/// Removes a guest whom nobody can log in as any more, unless they have claimed a tip or another row speaks of
/// them. Does nothing to anybody else.
pub(super) fn forget_guest(tx: &Tx<'_>, id: UserId) -> Result<(), StoreError> {
    forget(
        tx,
        "DELETE FROM tip_users WHERE id = ?1 AND account_id IS NULL AND auth_key IS NULL AND email IS NULL
         AND claimed = 0 AND NOT EXISTS (SELECT 1 FROM tip_sessions WHERE user_id = ?1)",
        id,
    )
}

/// The same of anybody who has not come back for as long as a session lasts, with or without a wallet: should they
/// come, they are somebody new, who has lost nothing but a name.
pub(super) fn forget_idle(tx: &Tx<'_>, id: UserId) -> Result<(), StoreError> {
    forget(
        tx,
        "DELETE FROM tip_users WHERE id = ?1 AND account_id IS NULL
         AND claimed = 0 AND NOT EXISTS (SELECT 1 FROM tip_sessions WHERE user_id = ?1)",
        id,
    )
}

fn forget(tx: &Tx<'_>, sql: &str, id: UserId) -> Result<(), StoreError> {
    match tx.prepare_cached(sql)?.execute([id]) {
        Ok(_) => Ok(()),
        // A row of another service refers to them. SQLite has undone this one statement and no more.
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
