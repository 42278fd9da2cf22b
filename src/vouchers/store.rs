//! SQL of `vouchers`. Every change of state names the states it may come from.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{NewVoucher, Taker, Voucher, VoucherState};
use crate::clock::UnixMillis;
use crate::ids::{ChargeId, PayoutId, VoucherId};
use crate::ledger::LedgerError;
use crate::store::Tx;

const COLUMNS: &str =
    "id, family, charge_id, amount_msat, state, payout_id, created_at, expires_at, return_to";

fn read(row: &Row<'_>) -> rusqlite::Result<Voucher> {
    let state: String = row.get(4)?;
    Ok(Voucher {
        id: row.get(0)?,
        family: row.get(1)?,
        charge: row.get(2)?,
        amount: row.get(3)?,
        state: state.parse().map_err(|_| rusqlite::Error::InvalidQuery)?,
        payout: row.get(5)?,
        created_at: row.get(6)?,
        expires_at: row.get(7)?,
        return_to: row.get(8)?,
    })
}

pub(super) fn insert(tx: &Tx<'_>, new: &NewVoucher, now: UnixMillis) -> Result<VoucherId, LedgerError> {
    tx.prepare_cached(
        "INSERT INTO vouchers (family, charge_id, amount_msat, state, created_at, expires_at, return_to, return_try_at)
         VALUES (?1, ?2, ?3, 'unfunded', ?4, ?5, ?6, ?5)",
    )?
    .execute(params![new.family, new.charge, new.amount, now, new.expires_at, new.return_to])?;
    Ok(VoucherId(tx.last_insert_rowid()))
}

pub(super) fn by_id(connection: &Connection, id: VoucherId) -> Result<Option<Voucher>, LedgerError> {
    let sql = format!("SELECT {COLUMNS} FROM vouchers WHERE id = ?1");
    Ok(connection.prepare_cached(&sql)?.query_row([id], read).optional()?)
}

/// The vouchers that a charge funds.
pub(super) fn of_charge(connection: &Connection, charge: ChargeId) -> Result<Vec<VoucherId>, LedgerError> {
    let mut statement = connection.prepare_cached("SELECT id FROM vouchers WHERE charge_id = ?1")?;
    let found = statement.query_map([charge], |row| row.get(0))?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Removes one that was never paid for.
pub(super) fn delete(tx: &Tx<'_>, id: VoucherId) -> Result<(), LedgerError> {
    let changed =
        tx.prepare_cached("DELETE FROM vouchers WHERE id = ?1 AND state = 'unfunded'")?.execute([id])?;
    exactly_one(changed, id, "forgotten")
}

pub(super) fn to_return(
    connection: &Connection,
    now: UnixMillis,
    limit: usize,
) -> Result<Vec<Voucher>, LedgerError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM vouchers
         WHERE state = 'expired' AND return_to IS NOT NULL AND return_try_at <= ?1 ORDER BY return_try_at LIMIT ?2"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let found = statement.query_map(params![now, sql_limit(limit)], read)?;
    Ok(found.collect::<Result<_, _>>()?)
}

pub(super) fn put_off_return(tx: &Tx<'_>, id: VoucherId, next_try_at: UnixMillis) -> Result<(), LedgerError> {
    tx.prepare_cached("UPDATE vouchers SET return_try_at = ?2 WHERE id = ?1")?
        .execute(params![id, next_try_at])?;
    Ok(())
}

/// Opens everything that a charge funds.
pub(super) fn fund(tx: &Tx<'_>, charge: ChargeId) -> Result<Vec<VoucherId>, LedgerError> {
    let mut statement = tx.prepare_cached(
        "UPDATE vouchers SET state = 'open' WHERE charge_id = ?1 AND state = 'unfunded' RETURNING id",
    )?;
    let funded = statement.query_map([charge], |row| row.get(0))?;
    Ok(funded.collect::<Result<_, _>>()?)
}

pub(super) fn start(
    tx: &Tx<'_>,
    voucher: &Voucher,
    taker: Taker,
    payout: PayoutId,
) -> Result<(), LedgerError> {
    let next = match taker {
        Taker::Recipient => VoucherState::Claiming,
        Taker::Sender => VoucherState::Returning,
    };
    let changed = tx
        .prepare_cached(
            "UPDATE vouchers SET state = ?3, payout_id = ?2
             WHERE id = ?1 AND (state = 'open' OR (state = 'expired' AND ?3 = 'returning'))",
        )?
        .execute(params![voucher.id, payout, next.name()])?;
    exactly_one(changed, voucher.id, next.name())
}

/// The payout under way arrived.
pub(super) fn finish(tx: &Tx<'_>, voucher: &Voucher, payout: PayoutId) -> Result<(), LedgerError> {
    let changed = tx
        .prepare_cached(
            "UPDATE vouchers SET state = CASE state WHEN 'returning' THEN 'returned' ELSE 'redeemed' END
             WHERE id = ?1 AND payout_id = ?2 AND state IN ('claiming', 'returning')",
        )?
        .execute(params![voucher.id, payout])?;
    exactly_one(changed, voucher.id, "redeemed")
}

/// The payout under way failed.
pub(super) fn reopen(tx: &Tx<'_>, id: VoucherId, payout: PayoutId, over: bool) -> Result<(), LedgerError> {
    let next = if over { VoucherState::Expired } else { VoucherState::Open };
    let changed = tx
        .prepare_cached(
            "UPDATE vouchers SET state = ?3 WHERE id = ?1 AND payout_id = ?2 AND state IN ('claiming', 'returning')",
        )?
        .execute(params![id, payout, next.name()])?;
    exactly_one(changed, id, next.name())
}

/// A payout given up before arrived after all: takes the voucher if nobody else has it.
pub(super) fn take_late(tx: &Tx<'_>, id: VoucherId, payout: PayoutId) -> Result<bool, LedgerError> {
    let changed = tx
        .prepare_cached(
            "UPDATE vouchers SET state = 'redeemed', payout_id = ?2 WHERE id = ?1 AND state IN ('open', 'expired')",
        )?
        .execute(params![id, payout])?;
    Ok(changed == 1)
}

/// Marks open ones whose time is over.
pub(super) fn expire(tx: &Tx<'_>, now: UnixMillis, limit: usize) -> Result<Vec<VoucherId>, LedgerError> {
    let mut statement = tx.prepare_cached(
        "UPDATE vouchers SET state = 'expired', return_try_at = ?1 WHERE id IN
         (SELECT id FROM vouchers WHERE state = 'open' AND expires_at IS NOT NULL AND expires_at <= ?1
          ORDER BY expires_at LIMIT ?2) RETURNING id",
    )?;
    let expired = statement.query_map(params![now, sql_limit(limit)], |row| row.get(0))?;
    Ok(expired.collect::<Result<_, _>>()?)
}

fn exactly_one(changed: usize, id: VoucherId, next: &str) -> Result<(), LedgerError> {
    if changed == 1 {
        Ok(())
    } else {
        Err(LedgerError::Broken(format!("voucher {id} can't become {next} now")))
    }
}

fn sql_limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
