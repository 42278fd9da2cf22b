//! The SQL of keys and accounts.

use std::sync::Arc;

use ipnet::IpNet;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Caller, KeyBounds, KeyError, KeyId, KeyInfo, SHOWN, Scope, hash_of};
use crate::core::ids::{AccountId, Secret};
use crate::core::time::UnixMillis;
use crate::http::now_ms;
use crate::storage::Tx;

/// Characters of a key's or an account's name.
const LONGEST_NAME: usize = 64;

const INSERT_ACCOUNT: &str =
    "INSERT INTO accounts (name, created_at) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING";
const ACCOUNT: &str = "SELECT id FROM accounts WHERE name = ?1";
const INSERT: &str = "INSERT INTO api_keys
        (account_id, hash, prefix, name, scopes, from_file, created_at, expires_at, networks)
     SELECT id, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9 FROM accounts WHERE name = ?1";
const LIST: &str =
    "SELECT k.id, a.name, k.name, k.prefix, k.scopes, k.created_at, k.revoked_at, k.last_used_at,
        k.expires_at, k.networks, k.old_expires_at
     FROM api_keys k JOIN accounts a ON a.id = k.account_id WHERE k.id > ?1 ORDER BY k.id LIMIT ?2";
const INFO: &str =
    "SELECT k.id, a.name, k.name, k.prefix, k.scopes, k.created_at, k.revoked_at, k.last_used_at,
        k.expires_at, k.networks, k.old_expires_at
     FROM api_keys k JOIN accounts a ON a.id = k.account_id WHERE k.id = ?1";
const REVOKE: &str = "UPDATE api_keys SET revoked_at = ?1 WHERE id = ?2 AND revoked_at IS NULL";
const REVOKE_OTHER_FILES: &str = "UPDATE api_keys SET revoked_at = ?1
     WHERE from_file = 1 AND name = ?2 AND hash <> ?3 AND revoked_at IS NULL";
const ID_OF: &str = "SELECT id FROM api_keys WHERE hash = ?1";
const FIND: &str = "SELECT id, account_id, scopes, last_used_at, networks, expires_at, NULL FROM api_keys
     WHERE hash = ?1 AND revoked_at IS NULL
     UNION ALL
     SELECT id, account_id, scopes, last_used_at, networks, expires_at, old_expires_at FROM api_keys
     WHERE old_hash = ?1 AND revoked_at IS NULL";
const ROTATE: &str = "UPDATE api_keys SET old_hash = hash, old_expires_at = ?2, hash = ?3, prefix = ?4
     WHERE id = ?1 AND revoked_at IS NULL AND from_file = 0
         AND (?2 <= ?5 OR old_expires_at IS NULL OR old_expires_at <= ?5)";
const USED: &str = "UPDATE api_keys SET last_used_at = ?1 WHERE id = ?2";

/// A key that has been checked and may be inserted. Holds no key text.
pub(super) struct NewRow {
    pub(super) hash: [u8; 32],
    prefix: String,
    name: String,
    scopes: String,
    /// `None`: an account of its own, called as the key is.
    account: Option<String>,
    from_file: bool,
    expires_at: Option<UnixMillis>,
    networks: String,
}

impl NewRow {
    pub(super) fn of(
        text: &Secret,
        name: &str,
        scopes: &[Scope],
        account: Option<&str>,
    ) -> Result<Self, KeyError> {
        let hash = hash_of(text.expose()).ok_or(KeyError::BadText)?;
        let name_fits = |name: &str| !name.trim().is_empty() && name.chars().count() <= LONGEST_NAME;
        if scopes.is_empty() || !name_fits(name) || !account.is_none_or(name_fits) {
            return Err(KeyError::BadKey);
        }
        let scopes: Vec<_> =
            Scope::ALL.into_iter().filter(|scope| scopes.contains(scope)).map(Scope::name).collect();
        Ok(Self {
            hash,
            prefix: text.expose().chars().take(SHOWN).collect(),
            name: name.to_owned(),
            scopes: scopes.join(" "),
            account: account.map(str::to_owned),
            from_file: false,
            expires_at: None,
            networks: String::new(),
        })
    }

    /// The same key with these bounds.
    pub(super) fn bounded(self, bounds: &KeyBounds) -> Self {
        let networks: Vec<_> = bounds.networks.iter().map(ToString::to_string).collect();
        Self { expires_at: bounds.expires_at, networks: networks.join(" "), ..self }
    }

    pub(super) fn of_the_file(self) -> Self {
        Self { from_file: true, ..self }
    }
}

pub(super) fn insert(tx: &Tx<'_>, new: &NewRow) -> Result<KeyInfo, KeyError> {
    let now = now_ms();
    let account = match &new.account {
        Some(account) => account.clone(),
        None => unused_account(tx, &new.name)?,
    };
    account_or_new(tx, &account, now)?;
    tx.prepare_cached(INSERT)?.execute(params![
        account,
        new.hash,
        new.prefix,
        new.name,
        new.scopes,
        new.from_file,
        now,
        new.expires_at,
        new.networks,
    ])?;
    info(tx, KeyId(tx.last_insert_rowid()))?.ok_or(KeyError::NoSuchKey)
}

/// A name that no account has: this one, or it with a number behind it.
fn unused_account(connection: &Connection, name: &str) -> rusqlite::Result<String> {
    let mut candidate = name.to_owned();
    let mut number = 1_u64;
    while account(connection, &candidate)?.is_some() {
        number = number.saturating_add(1);
        let ending = format!("-{number}");
        let kept = LONGEST_NAME.saturating_sub(ending.len());
        candidate = name.chars().take(kept).chain(ending.chars()).collect();
    }
    Ok(candidate)
}

/// Gives a key another text; the old one works until `old_expires_at`. `false` if there is no such valid key, or while
/// the text before the last rotation still works: that would end now, though it was promised.
pub(super) fn rotate(
    tx: &Tx<'_>,
    id: KeyId,
    text: &Secret,
    old_expires_at: UnixMillis,
) -> Result<bool, KeyError> {
    let hash = hash_of(text.expose()).ok_or(KeyError::BadText)?;
    let prefix: String = text.expose().chars().take(SHOWN).collect();
    let changed =
        tx.prepare_cached(ROTATE)?.execute(params![id.0, old_expires_at, hash, prefix, now_ms()])?;
    Ok(changed == 1)
}

/// The account of a name, made if there is none.
pub fn account_or_new(tx: &Tx<'_>, name: &str, now: UnixMillis) -> rusqlite::Result<AccountId> {
    tx.prepare_cached(INSERT_ACCOUNT)?.execute(params![name, now])?;
    tx.prepare_cached(ACCOUNT)?.query_row([name], |row| row.get(0))
}

pub(super) fn account(connection: &Connection, name: &str) -> rusqlite::Result<Option<AccountId>> {
    connection.prepare_cached(ACCOUNT)?.query_row([name], |row| row.get(0)).optional()
}

pub(super) fn page(connection: &Connection, after: KeyId, limit: u32) -> Result<Vec<KeyInfo>, KeyError> {
    let mut statement = connection.prepare_cached(LIST)?;
    let keys = statement.query_map(params![after.0, limit], info_of)?;
    keys.collect::<Result<_, _>>().map_err(KeyError::from)
}

pub(super) fn info(connection: &Connection, id: KeyId) -> rusqlite::Result<Option<KeyInfo>> {
    connection.prepare_cached(INFO)?.query_row([id.0], info_of).optional()
}

pub(super) fn revoke(tx: &Tx<'_>, id: KeyId, now: i64) -> rusqlite::Result<usize> {
    tx.prepare_cached(REVOKE)?.execute(params![now, id.0])
}

/// Ends what the key file of this name brought in earlier; how many that were.
pub(super) fn revoke_other_files(tx: &Tx<'_>, new: &NewRow, now: i64) -> rusqlite::Result<usize> {
    tx.prepare_cached(REVOKE_OTHER_FILES)?.execute(params![now, new.name, new.hash])
}

/// The key of this hash, revoked or not.
pub(super) fn id_of(connection: &Connection, hash: [u8; 32]) -> rusqlite::Result<Option<KeyId>> {
    connection.prepare_cached(ID_OF)?.query_row([hash], |row| row.get(0).map(KeyId)).optional()
}

/// The key whose text, or whose text before the last rotation, has this hash, unless it was revoked.
pub(super) fn find(connection: &Connection, hash: [u8; 32]) -> Result<Option<Found>, KeyError> {
    let found = |row: &Row<'_>| {
        let scopes: Arc<[Scope]> = scopes_of(&row.get::<_, String>(2)?).into();
        let ends: [Option<UnixMillis>; 2] = [row.get(5)?, row.get(6)?];
        Ok(Found {
            caller: Caller { key: KeyId(row.get(0)?), account: row.get(1)?, scopes },
            last_used_at: row.get(3)?,
            networks: networks_of(&row.get::<_, String>(4)?),
            expires_at: ends.into_iter().flatten().min(),
        })
    };
    Ok(connection.prepare_cached(FIND)?.query_row([hash], found).optional()?)
}

/// A key as it is checked.
pub(super) struct Found {
    pub(super) caller: Caller,
    pub(super) last_used_at: Option<UnixMillis>,
    /// Who may use it; `None`: anybody. What can't be read is nobody.
    pub(super) networks: Option<Vec<IpNet>>,
    pub(super) expires_at: Option<UnixMillis>,
}

fn networks_of(text: &str) -> Option<Vec<IpNet>> {
    (!text.is_empty()).then(|| text.split(' ').filter_map(|network| network.parse().ok()).collect())
}

pub(super) fn used(tx: &Tx<'_>, id: KeyId, now: i64) -> rusqlite::Result<()> {
    tx.prepare_cached(USED)?.execute(params![now, id.0]).map(drop)
}

fn info_of(row: &Row<'_>) -> rusqlite::Result<KeyInfo> {
    Ok(KeyInfo {
        id: KeyId(row.get(0)?),
        account: row.get(1)?,
        name: row.get(2)?,
        prefix: row.get(3)?,
        scopes: scopes_of(&row.get::<_, String>(4)?),
        created_at: row.get(5)?,
        revoked_at: row.get(6)?,
        last_used_at: row.get(7)?,
        expires_at: row.get(8)?,
        networks: row
            .get::<_, String>(9)?
            .split(' ')
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
            .collect(),
        old_expires_at: row.get(10)?,
    })
}

/// A name this binary doesn't know opens nothing.
fn scopes_of(text: &str) -> Vec<Scope> {
    text.split(' ').filter_map(|name| name.parse().ok()).collect()
}
