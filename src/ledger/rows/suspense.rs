//! SQL of money in suspense and of its settlements.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::core::ids::{AccountId, PayoutId};
use crate::core::money::Msat;
use crate::core::time::UnixMillis;
use crate::ledger::LedgerError;
use crate::ledger::suspense::Item;
use crate::storage::Tx;

/// To whom an item goes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way {
    Operator,
    Account(AccountId),
    Payout(PayoutId),
}

/// How far a settlement is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Status {
    Done,
    Failed,
    Lost,
}

impl Status {
    const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Lost => "lost",
        }
    }
}

/// A settlement of an item.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settlement {
    pub(crate) id: i64,
    pub(crate) journal: i64,
    pub(crate) amount: Msat,
    pub(crate) payout: Option<PayoutId>,
}

/// Journals that brought money into suspense and are not settled. What a settlement that failed put back is part of
/// the journal that brought it.
const OPEN: &str = "FROM entries e JOIN journals j ON j.id = e.journal
     LEFT JOIN suspense_settlements s ON s.journal = e.journal AND s.status IN ('paying', 'done')
     WHERE e.account = 'suspense' AND e.msat < 0 AND j.kind NOT IN ('suspense_returned')";

const ITEM: &str = "SELECT e.journal, j.at, j.kind, -e.msat,
     CASE j.kind WHEN 'unclaimed' THEN (SELECT payment_hash FROM unclaimed WHERE id = j.subject)
         WHEN 'charge_paid_more' THEN (SELECT payment_hash FROM charge_receipts WHERE id = j.subject)
         WHEN 'charge_settled' THEN (SELECT payment_hash FROM charges WHERE id = j.subject)
         WHEN 'charge_paid_twice' THEN (SELECT payment_hash FROM charges WHERE id = j.subject) END,
     CASE j.kind WHEN 'charge_paid_more' THEN (SELECT c.family FROM charge_receipts r JOIN charges c ON c.id = r.charge_id WHERE r.id = j.subject)
         WHEN 'charge_settled' THEN (SELECT family FROM charges WHERE id = j.subject)
         WHEN 'charge_paid_twice' THEN (SELECT family FROM charges WHERE id = j.subject) END,
     (SELECT public_id FROM payouts WHERE id = s.payout_id)";

fn read(row: &Row<'_>) -> rusqlite::Result<Item> {
    Ok(Item {
        id: row.get(0)?,
        at: row.get(1)?,
        kind: row.get(2)?,
        amount: row.get(3)?,
        payment_hash: row.get(4)?,
        family: row.get(5)?,
        payout: row.get(6)?,
    })
}

pub(crate) fn list(connection: &Connection, after: i64, limit: u32) -> Result<Vec<Item>, LedgerError> {
    let mut statement = connection.prepare_cached(&format!(
        "{ITEM} {OPEN} AND s.status IS NOT 'done' AND e.journal > ?1 ORDER BY e.journal LIMIT ?2"
    ))?;
    let found = statement.query_map(params![after, limit], read)?;
    Ok(found.collect::<Result<_, _>>()?)
}

pub(crate) fn item(connection: &Connection, id: i64) -> Result<Option<Item>, LedgerError> {
    let mut statement =
        connection.prepare_cached(&format!("{ITEM} {OPEN} AND s.status IS NOT 'done' AND e.journal = ?1"))?;
    Ok(statement.query_row([id], read).optional()?)
}

pub(crate) fn open_msat(connection: &Connection) -> Result<i64, LedgerError> {
    let mut statement = connection
        .prepare_cached(&format!("SELECT coalesce(sum(-e.msat), 0) {OPEN} AND s.status IS NULL"))?;
    Ok(statement.query_row([], |row| row.get(0))?)
}

pub(crate) fn insert(tx: &Tx<'_>, item: &Item, way: Way, now: UnixMillis) -> Result<i64, LedgerError> {
    let (name, account, payout) = match way {
        Way::Operator => ("operator", None, None),
        Way::Account(account) => ("account", Some(account), None),
        Way::Payout(payout) => ("payout", None, Some(payout)),
    };
    let status = if payout.is_some() { "paying" } else { "done" };
    tx.prepare_cached(
        "INSERT INTO suspense_settlements (journal, amount_msat, way, account_id, payout_id, status, at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![item.id, item.amount, name, account, payout, status, now])?;
    Ok(tx.last_insert_rowid())
}

fn settlement(row: &Row<'_>) -> rusqlite::Result<Settlement> {
    Ok(Settlement { id: row.get(0)?, journal: row.get(1)?, amount: row.get(2)?, payout: row.get(3)? })
}

const SETTLEMENT: &str = "SELECT id, journal, amount_msat, payout_id FROM suspense_settlements";

pub(crate) fn by_payout(
    connection: &Connection,
    payout: PayoutId,
) -> Result<Option<Settlement>, LedgerError> {
    let mut statement = connection.prepare_cached(&format!("{SETTLEMENT} WHERE payout_id = ?1"))?;
    Ok(statement.query_row([payout], settlement).optional()?)
}

/// The one whose payout arrived when the item had been settled otherwise.
pub(crate) fn lost(connection: &Connection, journal: i64) -> Result<Option<Settlement>, LedgerError> {
    let mut statement = connection.prepare_cached(&format!(
        "{SETTLEMENT} WHERE journal = ?1 AND status = 'lost' ORDER BY id LIMIT 1"
    ))?;
    Ok(statement.query_row([journal], settlement).optional()?)
}

pub(crate) fn is_settled(connection: &Connection, journal: i64) -> Result<bool, LedgerError> {
    let mut statement = connection.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM suspense_settlements WHERE journal = ?1 AND status IN ('paying', 'done'))",
    )?;
    Ok(statement.query_row([journal], |row| row.get(0))?)
}

pub(crate) fn set_status(tx: &Tx<'_>, id: i64, status: Status) -> Result<(), LedgerError> {
    tx.prepare_cached("UPDATE suspense_settlements SET status = ?2 WHERE id = ?1")?
        .execute(params![id, status.name()])?;
    Ok(())
}
