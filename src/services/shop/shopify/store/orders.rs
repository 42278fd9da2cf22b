//! Orders that must be at Shopify, or cancelled there.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::core::time::UnixMillis;
use crate::services::shop::ids::{OrderId, StoreId};
use crate::storage::{StoreError, Tx};

/// How far an order is at Shopify.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::services::shop) enum State {
    /// It is certain that it is not there.
    Waiting,
    /// A request that makes it was begun.
    Unknown,
    /// It is there.
    Written,
    /// The seller gave it up: it is or may be there, and must be cancelled.
    Cancel,
    /// It was cancelled there, or never went there.
    Done,
}

impl State {
    const ALL: [Self; 5] = [Self::Waiting, Self::Unknown, Self::Written, Self::Cancel, Self::Done];

    const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Unknown => "unknown",
            Self::Written => "written",
            Self::Cancel => "cancel",
            Self::Done => "done",
        }
    }
}

impl ToSql for State {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.name()))
    }
}

impl FromSql for State {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let name = value.as_str()?;
        Self::ALL.into_iter().find(|state| state.name() == name).ok_or(FromSqlError::InvalidType)
    }
}

/// An order on its way to Shopify.
#[derive(Clone, Debug)]
pub(in crate::services::shop) struct Sending {
    pub(in crate::services::shop) order: OrderId,
    pub(in crate::services::shop) state: State,
    pub(in crate::services::shop) plain: bool,
    pub(in crate::services::shop) attempts: u32,
    pub(in crate::services::shop) remote: Option<i64>,
}

const SENDING: &str = "SELECT order_id, state, plain, attempts, remote_id FROM shopify_orders";

fn read(row: &Row<'_>) -> rusqlite::Result<Sending> {
    Ok(Sending {
        order: row.get(0)?,
        state: row.get(1)?,
        plain: row.get(2)?,
        attempts: row.get(3)?,
        remote: row.get(4)?,
    })
}

/// An order must be written.
pub(in crate::services::shop::shopify) fn intend(
    tx: &Tx<'_>,
    store: StoreId,
    order: OrderId,
    now: UnixMillis,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO shopify_orders (order_id, store_id, state, next_try_at, created_at)
         VALUES (?1, ?2, 'waiting', ?3, ?3) ON CONFLICT (order_id) DO NOTHING",
        params![order, store, now],
    )?;
    Ok(())
}

/// An order must not be there any more; whether there is something to do for it. One that may be made at this very
/// moment is looked for when its time has come.
pub(in crate::services::shop::shopify) fn intend_cancel(
    tx: &Tx<'_>,
    order: OrderId,
    now: UnixMillis,
) -> Result<bool, StoreError> {
    let changed = tx.execute(
        "UPDATE shopify_orders SET
             next_try_at = CASE state WHEN 'written' THEN ?2 ELSE next_try_at END,
             state = CASE state WHEN 'waiting' THEN 'done' ELSE 'cancel' END, attempts = 0, error = NULL
         WHERE order_id = ?1 AND state IN ('waiting', 'unknown', 'written')",
        params![order, now],
    )?;
    Ok(changed > 0)
}

pub(in crate::services::shop::shopify) fn one(
    connection: &Connection,
    order: OrderId,
) -> Result<Option<Sending>, StoreError> {
    let sql = format!("{SENDING} WHERE order_id = ?1");
    Ok(connection.prepare_cached(&sql)?.query_row([order], read).optional()?)
}

/// What is due.
pub(in crate::services::shop::shopify) fn due(
    connection: &Connection,
    store: StoreId,
    now: UnixMillis,
    limit: u32,
) -> Result<Vec<Sending>, StoreError> {
    let mut statement = connection.prepare_cached(&format!(
        "{SENDING} WHERE store_id = ?1 AND state IN ('waiting', 'unknown', 'cancel') AND next_try_at <= ?2
         ORDER BY next_try_at, order_id LIMIT ?3"
    ))?;
    let found = statement.query_map(params![store, now, limit], read)?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// A request that makes it begins; `false` if it is not wanted any more.
pub(in crate::services::shop::shopify) fn begin(
    tx: &Tx<'_>,
    order: OrderId,
    look_at: UnixMillis,
) -> Result<bool, StoreError> {
    let changed = tx.execute(
        "UPDATE shopify_orders SET state = 'unknown', next_try_at = ?2, attempts = attempts + 1
         WHERE order_id = ?1 AND state = 'waiting'",
        params![order, look_at],
    )?;
    Ok(changed > 0)
}

/// It is there. What it is called is noted once, and never changed.
pub(in crate::services::shop::shopify) fn written(
    tx: &Tx<'_>,
    order: OrderId,
    remote: i64,
    name: Option<&str>,
    now: UnixMillis,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE shopify_orders SET remote_id = ?2, name = coalesce(name, ?3), written_at = coalesce(written_at, ?4),
             state = CASE state WHEN 'cancel' THEN 'cancel' ELSE 'written' END,
             next_try_at = ?4, attempts = 0, error = NULL
         WHERE order_id = ?1 AND state <> 'done'",
        params![order, remote, name, now],
    )?;
    Ok(())
}

/// It is not there for certain. The next attempt is made at `next`.
pub(in crate::services::shop::shopify) fn not_there(
    tx: &Tx<'_>,
    order: OrderId,
    next: UnixMillis,
    error: Option<&str>,
    plain: bool,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE shopify_orders SET state = CASE state WHEN 'cancel' THEN 'done' ELSE 'waiting' END, next_try_at = ?2,
             error = coalesce(?3, error), plain = plain OR ?4
         WHERE order_id = ?1 AND state IN ('unknown', 'waiting', 'cancel')",
        params![order, next, error, plain],
    )?;
    Ok(())
}

/// An attempt told nothing; the state stays.
pub(in crate::services::shop::shopify) fn put_off(
    tx: &Tx<'_>,
    order: OrderId,
    next: UnixMillis,
    error: &str,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE shopify_orders SET next_try_at = ?2, error = ?3, attempts = attempts + 1 WHERE order_id = ?1",
        params![order, next, error],
    )?;
    Ok(())
}

/// Nothing more is to be done for it.
pub(in crate::services::shop::shopify) fn done(tx: &Tx<'_>, order: OrderId) -> Result<(), StoreError> {
    tx.execute("UPDATE shopify_orders SET state = 'done', error = NULL WHERE order_id = ?1", [order])?;
    Ok(())
}

/// What the operator should know of an order that is there.
pub(in crate::services::shop::shopify) fn note(
    tx: &Tx<'_>,
    order: OrderId,
    error: &str,
) -> Result<bool, StoreError> {
    let changed = tx.execute(
        "UPDATE shopify_orders SET error = ?2 WHERE order_id = ?1 AND error IS NOT ?2",
        params![order, error],
    )?;
    Ok(changed > 0)
}

/// Orders that are at Shopify and have not been sent as far as we know: ours, Shopify's.
pub(in crate::services::shop::shopify) fn to_follow(
    connection: &Connection,
    store: StoreId,
    after: OrderId,
    limit: u32,
) -> Result<Vec<(OrderId, i64)>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT o.id, r.remote_id FROM shop_orders o JOIN shopify_orders r ON r.order_id = o.id
         WHERE o.store_id = ?1 AND o.status = 'processing' AND o.id > ?2 AND r.state = 'written'
             AND r.remote_id IS NOT NULL
         ORDER BY o.id LIMIT ?3",
    )?;
    let found = statement.query_map(params![store, after, limit], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// How many there are, and what is wrong with the first of those that something is wrong with.
#[derive(Clone, Debug, Default)]
pub(in crate::services::shop::shopify) struct Counts {
    pub(in crate::services::shop::shopify) written: u32,
    pub(in crate::services::shop::shopify) waiting: u32,
    pub(in crate::services::shop::shopify) failing: Vec<(OrderId, String)>,
}

pub(in crate::services::shop::shopify) fn counts(
    connection: &Connection,
    store: StoreId,
) -> Result<Counts, StoreError> {
    let (written, waiting) = connection
        .prepare_cached(
            "SELECT count(*) FILTER (WHERE written_at IS NOT NULL),
                    count(*) FILTER (WHERE state IN ('waiting', 'unknown', 'cancel'))
             FROM shopify_orders WHERE store_id = ?1",
        )?
        .query_row([store], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut statement = connection.prepare_cached(
        "SELECT r.order_id, r.error FROM shopify_orders r JOIN shop_orders o ON o.id = r.order_id
         WHERE r.store_id = ?1 AND r.error IS NOT NULL AND r.state <> 'done'
             AND (r.state <> 'written' OR o.status = 'processing')
         ORDER BY r.order_id LIMIT 20",
    )?;
    let failing = statement.query_map([store], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(Counts { written, waiting, failing: failing.collect::<Result<_, _>>()? })
}

/// When the next of those that wait is due.
pub(in crate::services::shop::shopify) fn next_due(
    connection: &Connection,
    store: StoreId,
) -> Result<Option<UnixMillis>, StoreError> {
    Ok(connection
        .prepare_cached(
            "SELECT min(next_try_at) FROM shopify_orders
             WHERE store_id = ?1 AND state IN ('waiting', 'unknown', 'cancel')",
        )?
        .query_row([store], |row| row.get(0))?)
}
