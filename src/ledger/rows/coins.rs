//! SQL of coins sent to addresses.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::core::ids::{AccountId, CoinSendId};
use crate::core::money::Msat;
use crate::core::time::{UnixMillis, Window};
use crate::ledger::LedgerError;
use crate::ledger::coins::{CoinStatus, CoinsWanted, OnchainPayout};
use crate::storage::Tx;

const SEND: &str =
    "SELECT id, family, address, amount_msat, status, txid, created_at, deadline, sent_at, finished_at,
     error, max_fee_msat, fee_reserve_id, fee_rate, fee_msat, coalesce(o.everything, 0),
     coalesce(o.amount_known, 1) FROM coin_sends LEFT JOIN operator_sends o ON o.coin_send_id = id";

fn read(row: &Row<'_>) -> rusqlite::Result<OnchainPayout> {
    Ok(OnchainPayout {
        id: row.get(0)?,
        family: row.get(1)?,
        address: row.get(2)?,
        amount: row.get(3)?,
        status: row.get(4)?,
        txid: row.get(5)?,
        created_at: row.get(6)?,
        deadline: row.get(7)?,
        sent_at: row.get(8)?,
        finished_at: row.get(9)?,
        error: row.get(10)?,
        max_fee: row.get(11)?,
        fee_reserve: row.get(12)?,
        fee_rate: row.get(13)?,
        fee: row.get(14)?,
        everything: row.get(15)?,
        amount_known: row.get(16)?,
    })
}

pub(crate) fn insert(
    tx: &Tx<'_>,
    wanted: &CoinsWanted<'_>,
    now: UnixMillis,
    deadline: UnixMillis,
) -> Result<CoinSendId, LedgerError> {
    tx.prepare_cached(
        "INSERT INTO coin_sends (family, address, amount_msat, status, created_at, deadline, account_id, fee_reserve_id,
             max_fee_msat, fee_rate)
         VALUES (?1, ?2, ?3, 'queued', ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        wanted.family,
        wanted.address.to_string(),
        wanted.amount,
        now,
        deadline,
        wanted.fee.as_ref().map(|fee| fee.account),
        wanted.fee.as_ref().and_then(|fee| fee.reserve),
        wanted.fee.as_ref().map_or(Msat::ZERO, |fee| fee.quote.max),
        wanted.fee.as_ref().map(|fee| fee.quote.rate),
    ])?;
    Ok(CoinSendId(tx.last_insert_rowid()))
}

pub(crate) fn by_id(connection: &Connection, id: CoinSendId) -> Result<Option<OnchainPayout>, LedgerError> {
    let mut statement = connection.prepare_cached(&format!("{SEND} WHERE id = ?1"))?;
    Ok(statement.query_row([id], read).optional()?)
}

/// The one that has not failed: there is at most one.
pub(crate) fn by_address(
    connection: &Connection,
    address: &str,
) -> Result<Option<OnchainPayout>, LedgerError> {
    let mut statement =
        connection.prepare_cached(&format!("{SEND} WHERE address = ?1 AND status <> 'failed'"))?;
    Ok(statement.query_row([address], read).optional()?)
}

/// What has not ended, oldest first.
pub(crate) fn open(connection: &Connection) -> Result<Vec<OnchainPayout>, LedgerError> {
    let mut statement = connection
        .prepare_cached(&format!("{SEND} WHERE status IN ('queued', 'sending', 'sent') ORDER BY id"))?;
    let found = statement.query_map([], read)?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Some of it, those after this one.
pub(crate) fn open_after(
    connection: &Connection,
    after: CoinSendId,
    limit: u32,
) -> Result<Vec<OnchainPayout>, LedgerError> {
    let sql =
        format!("{SEND} WHERE status IN ('queued', 'sending', 'sent') AND id > ?1 ORDER BY id LIMIT ?2");
    let mut statement = connection.prepare_cached(&sql)?;
    let found = statement.query_map(params![after, limit], read)?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Whether a transaction is known to pay other coins.
pub(crate) fn is_of_another(
    connection: &Connection,
    id: CoinSendId,
    txid: &str,
) -> Result<bool, LedgerError> {
    let mut statement =
        connection.prepare_cached("SELECT EXISTS (SELECT 1 FROM coin_sends WHERE txid = ?1 AND id <> ?2)")?;
    Ok(statement.query_row(params![txid, id], |row| row.get(0))?)
}

pub(crate) fn promised(connection: &Connection) -> Result<Msat, LedgerError> {
    let mut statement = connection.prepare_cached(
        "SELECT coalesce(sum(amount_msat + max_fee_msat), 0) FROM coin_sends WHERE status IN ('queued', 'sending')",
    )?;
    Ok(statement.query_row([], |row| row.get(0))?)
}

/// What the miners got, or may get, of transactions begun in a window that the operator bears: of one account, and of all.
pub(crate) fn borne_in(
    connection: &Connection,
    account: AccountId,
    hour: &Window,
) -> Result<(Msat, Msat), LedgerError> {
    let mut statement = connection.prepare_cached(
        "SELECT coalesce(sum(CASE WHEN account_id = ?1 THEN coalesce(fee_msat, max_fee_msat) END), 0),
                coalesce(sum(coalesce(fee_msat, max_fee_msat)), 0)
         FROM coin_sends
         WHERE created_at BETWEEN ?2 AND ?3 AND account_id IS NOT NULL AND fee_reserve_id IS NULL
           AND status <> 'failed'",
    )?;
    let (mut of_account, mut of_all) = (Msat::ZERO, Msat::ZERO);
    for span in hour.spans() {
        let (account, all): (Msat, Msat) = statement
            .query_row(params![account, span.from, span.to], |row| Ok((row.get(0)?, row.get(1)?)))?;
        of_account = of_account.checked_add(account).unwrap_or(Msat::MAX);
        of_all = of_all.checked_add(all).unwrap_or(Msat::MAX);
    }
    Ok((of_account, of_all))
}

pub(crate) fn note_fee(tx: &Tx<'_>, id: CoinSendId, fee: Msat) -> Result<(), LedgerError> {
    tx.prepare_cached("UPDATE coin_sends SET fee_msat = ?2 WHERE id = ?1")?.execute(params![id, fee])?;
    Ok(())
}

/// Moves on, if it still stands where the caller saw it; whether it did.
pub(crate) fn advance(
    tx: &Tx<'_>,
    id: CoinSendId,
    from: CoinStatus,
    to: CoinStatus,
    txid: Option<&str>,
    error: Option<&str>,
    now: UnixMillis,
) -> Result<bool, LedgerError> {
    let changed = tx
        .prepare_cached(
            "UPDATE coin_sends SET status = ?3, txid = coalesce(?4, txid), error = ?5,
                 sent_at = CASE WHEN ?3 = 'sending' THEN ?6 ELSE sent_at END,
                 finished_at = CASE WHEN ?3 IN ('paid', 'failed') THEN ?6 END
             WHERE id = ?1 AND status = ?2",
        )?
        .execute(params![id, from, to, txid, error, now])?;
    Ok(changed > 0)
}
