//! SQL of `vouchers`. Every change of state names the states it may come from.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{NewVoucher, Redeemer, Voucher, VoucherState};
use crate::core::ids::{ChargeId, OfferPayoutId, PayoutId, VoucherId};
use crate::core::money::Msat;
use crate::core::time::UnixMillis;
use crate::ledger::{LedgerError, PayoutKey};
use crate::storage::Tx;

const COLUMNS: &str =
    "id, family, charge_id, amount_msat, state, payout_id, created_at, expires_at, return_to,
     offer_payout_id";

/// The table that links vouchers to the payouts of this kind, and its column with their row.
const fn links(payout: PayoutKey) -> (&'static str, &'static str, i64) {
    match payout {
        PayoutKey::Invoice(PayoutId(row)) => ("voucher_payouts", "payout_id", row),
        PayoutKey::Offer(OfferPayoutId(row)) => ("voucher_offer_payouts", "offer_payout_id", row),
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Voucher> {
    let state: String = row.get(4)?;
    Ok(Voucher {
        id: row.get(0)?,
        family: row.get(1)?,
        charge: row.get(2)?,
        amount: row.get(3)?,
        state: state.parse().map_err(|_| rusqlite::Error::InvalidQuery)?,
        payout: PayoutKey::of_columns(row.get(5)?, row.get(9)?),
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
    id: VoucherId,
    taker: Redeemer,
    payout: PayoutKey,
) -> Result<(), LedgerError> {
    let next = match taker {
        Redeemer::Recipient => VoucherState::Claiming,
        Redeemer::Sender => VoucherState::Returning,
    };
    let changed = tx
        .prepare_cached(
            "UPDATE vouchers SET state = ?3, payout_id = ?2, offer_payout_id = ?4
             WHERE id = ?1 AND (state = 'open' OR (state = 'expired' AND ?3 = 'returning'))",
        )?
        .execute(params![id, payout.invoice(), next.name(), payout.offer()])?;
    exactly_one(changed, id, next.name())?;
    let (table, column, row) = links(payout);
    tx.prepare_cached(&format!(
        "INSERT INTO {table} (voucher_id, {column}, taker, amount_msat)
         SELECT id, ?2, ?3, amount_msat FROM vouchers WHERE id = ?1"
    ))?
    .execute(params![id, row, taker.name()])?;
    Ok(())
}

/// A voucher's part in a payout.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    pub(super) voucher: VoucherId,
    pub(super) taker: Redeemer,
    pub(super) amount: Msat,
}

/// What a payout redeems, and for whom.
pub(super) fn of_payout(connection: &Connection, payout: PayoutKey) -> Result<Vec<Share>, LedgerError> {
    let (table, column, row) = links(payout);
    let mut statement = connection.prepare_cached(&format!(
        "SELECT voucher_id, taker, amount_msat FROM {table} WHERE {column} = ?1 ORDER BY voucher_id"
    ))?;
    let found = statement.query_map([row], |row| Ok((row.get(0)?, row.get::<_, String>(1)?, row.get(2)?)))?;
    found
        .map(|row| {
            let (voucher, taker, amount) = row?;
            Ok(Share { voucher, taker: taker.parse()?, amount })
        })
        .collect()
}

/// For whom a payout is: for one redeemer, whatever it redeems.
pub(super) fn taker_of(connection: &Connection, payout: PayoutKey) -> Result<Option<Redeemer>, LedgerError> {
    let (table, column, row) = links(payout);
    let found: Option<String> = connection
        .prepare_cached(&format!("SELECT taker FROM {table} WHERE {column} = ?1 LIMIT 1"))?
        .query_row([row], |row| row.get(0))
        .optional()?;
    found.map(|taker| taker.parse()).transpose()
}

/// The payout of a voucher that arrived, if one did: the first.
pub(super) fn arrived_for(
    connection: &Connection,
    id: VoucherId,
) -> Result<Option<(PayoutKey, Share)>, LedgerError> {
    let found = connection
        .prepare_cached(
            "SELECT p.id, NULL, l.taker, l.amount_msat, p.finished_at AS at FROM voucher_payouts l
             JOIN payouts p ON p.id = l.payout_id WHERE l.voucher_id = ?1 AND p.status = 'paid'
             UNION ALL
             SELECT NULL, p.id, l.taker, l.amount_msat, p.finished_at FROM voucher_offer_payouts l
             JOIN offer_payouts p ON p.id = l.offer_payout_id WHERE l.voucher_id = ?1 AND p.status = 'paid'
             ORDER BY at LIMIT 1",
        )?
        .query_row([id], |row| {
            Ok((PayoutKey::of_columns(row.get(0)?, row.get(1)?), row.get::<_, String>(2)?, row.get(3)?))
        })
        .optional()?;
    let Some((Some(payout), taker, amount)) = found else { return Ok(None) };
    Ok(Some((payout, Share { voucher: id, taker: taker.parse()?, amount })))
}

/// Every payout that a voucher ever had, those of each kind in their order, and for whom.
pub(super) fn payouts_of(
    connection: &Connection,
    id: VoucherId,
) -> Result<Vec<(PayoutKey, Redeemer)>, LedgerError> {
    let mut all = Vec::new();
    for key in [|row| PayoutKey::Invoice(PayoutId(row)), |row| PayoutKey::Offer(OfferPayoutId(row))] {
        let (table, column, _) = links(key(0));
        let mut statement = connection.prepare_cached(&format!(
            "SELECT {column}, taker FROM {table} WHERE voucher_id = ?1 ORDER BY {column}"
        ))?;
        let found = statement.query_map([id], |row| Ok((key(row.get(0)?), row.get::<_, String>(1)?)))?;
        for row in found {
            let (payout, taker) = row?;
            all.push((payout, taker.parse()?));
        }
    }
    Ok(all)
}

/// The payout under way arrived.
pub(super) fn finish(tx: &Tx<'_>, id: VoucherId, payout: PayoutKey) -> Result<(), LedgerError> {
    let changed = tx
        .prepare_cached(
            "UPDATE vouchers SET state = CASE state WHEN 'returning' THEN 'returned' ELSE 'redeemed' END
             WHERE id = ?1 AND payout_id IS ?2 AND offer_payout_id IS ?3 AND state IN ('claiming', 'returning')",
        )?
        .execute(params![id, payout.invoice(), payout.offer()])?;
    exactly_one(changed, id, "redeemed")
}

/// The payout under way failed.
pub(super) fn reopen(tx: &Tx<'_>, id: VoucherId, payout: PayoutKey, over: bool) -> Result<(), LedgerError> {
    let next = if over { VoucherState::Expired } else { VoucherState::Open };
    let changed = tx
        .prepare_cached(
            "UPDATE vouchers SET state = ?3
             WHERE id = ?1 AND payout_id IS ?2 AND offer_payout_id IS ?4 AND state IN ('claiming', 'returning')",
        )?
        .execute(params![id, payout.invoice(), next.name(), payout.offer()])?;
    exactly_one(changed, id, next.name())
}

/// A payout given up before arrived after all: takes the voucher if nobody else has it, with what it was worth
/// to that payout. Answers what had been added to it since.
pub(super) fn take_late(tx: &Tx<'_>, share: &Share, payout: PayoutKey) -> Result<Option<Msat>, LedgerError> {
    let last = match share.taker {
        Redeemer::Recipient => VoucherState::Redeemed,
        Redeemer::Sender => VoucherState::Returned,
    };
    let held: Option<Msat> = tx
        .prepare_cached("SELECT amount_msat FROM vouchers WHERE id = ?1 AND state IN ('open', 'expired')")?
        .query_row([share.voucher], |row| row.get(0))
        .optional()?;
    let Some(held) = held else { return Ok(None) };
    tx.prepare_cached(
        "UPDATE vouchers SET state = ?3, payout_id = ?2, offer_payout_id = ?5, amount_msat = ?4 WHERE id = ?1",
    )?
    .execute(params![share.voucher, payout.invoice(), last.name(), share.amount, payout.offer()])?;
    Ok(Some(held.saturating_sub(share.amount)))
}

/// Ends an open one now.
pub(super) fn recall(tx: &Tx<'_>, id: VoucherId, now: UnixMillis) -> Result<(), LedgerError> {
    let changed = tx
        .prepare_cached(
            "UPDATE vouchers SET state = 'expired', expires_at = ?2, return_try_at = ?2
             WHERE id = ?1 AND state = 'open'",
        )?
        .execute(params![id, now])?;
    exactly_one(changed, id, "expired")
}

/// Changes what funds one.
pub(super) fn fund_by(
    tx: &Tx<'_>,
    id: VoucherId,
    charge: ChargeId,
    amount: Option<Msat>,
) -> Result<(), LedgerError> {
    let changed = tx
        .prepare_cached(
            "UPDATE vouchers SET charge_id = ?2, amount_msat = coalesce(?3, amount_msat)
             WHERE id = ?1 AND state = 'unfunded'",
        )?
        .execute(params![id, charge, amount])?;
    exactly_one(changed, id, "funded by another charge")
}

/// Moves the end of one.
pub(super) fn reschedule(tx: &Tx<'_>, id: VoucherId, expires_at: UnixMillis) -> Result<(), LedgerError> {
    let changed = tx
        .prepare_cached(
            "UPDATE vouchers SET expires_at = ?2, return_try_at = ?2
             WHERE id = ?1 AND state IN ('unfunded', 'open')",
        )?
        .execute(params![id, expires_at])?;
    exactly_one(changed, id, "given another end")
}

/// Raises what an expired one holds.
pub(super) fn add_to_return(tx: &Tx<'_>, id: VoucherId, amount: Msat) -> Result<(), LedgerError> {
    let changed = tx
        .prepare_cached(
            "UPDATE vouchers SET amount_msat = amount_msat + ?2 WHERE id = ?1 AND state = 'expired'",
        )?
        .execute(params![id, amount])?;
    exactly_one(changed, id, "worth more")
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
