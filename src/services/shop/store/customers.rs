//! Who bought: the only place with personal data. And letters that have not left yet.

use rusqlite::{Connection, OptionalExtension, params};

use crate::core::time::UnixMillis;
use crate::services::shop::customer::Customer;
use crate::services::shop::ids::OrderId;
use crate::storage::{StoreError, Tx};

pub(in crate::services::shop) fn insert(
    tx: &Tx<'_>,
    order: OrderId,
    customer: &Customer,
) -> Result<(), StoreError> {
    let address = serde_json::to_string(&customer.address).unwrap_or_default();
    tx.execute(
        "INSERT INTO shop_customers (order_id, email, address) VALUES (?1, ?2, ?3)",
        params![order, customer.email, address],
    )?;
    Ok(())
}

/// Who bought, unless it was forgotten.
pub(in crate::services::shop) fn of(
    connection: &Connection,
    order: OrderId,
) -> Result<Option<Customer>, StoreError> {
    let found: Option<(crate::outbound::mail::Address, String)> = connection
        .prepare_cached("SELECT email, address FROM shop_customers WHERE order_id = ?1")?
        .query_row([order], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(found.and_then(|(email, address)| {
        serde_json::from_str(&address).ok().map(|address| Customer { email, address })
    }))
}

/// Removes who bought; whether there was anybody.
pub(in crate::services::shop) fn forget(tx: &Tx<'_>, order: OrderId) -> Result<bool, StoreError> {
    tx.execute("DELETE FROM shop_letters WHERE order_id = ?1", [order])?;
    Ok(tx.execute("DELETE FROM shop_customers WHERE order_id = ?1", [order])? > 0)
}

/// What a letter is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::services::shop) enum LetterKind {
    Claimed,
    Shipped,
}

impl LetterKind {
    const fn name(self) -> &'static str {
        match self {
            Self::Claimed => "claimed",
            Self::Shipped => "shipped",
        }
    }
}

/// A letter to send.
#[derive(Clone, Copy, Debug)]
pub(in crate::services::shop) struct DueLetter {
    pub(in crate::services::shop) id: i64,
    pub(in crate::services::shop) order: OrderId,
    pub(in crate::services::shop) kind: LetterKind,
    pub(in crate::services::shop) give_up_at: UnixMillis,
}

pub(in crate::services::shop) fn queue_letter(
    tx: &Tx<'_>,
    order: OrderId,
    kind: LetterKind,
    now: UnixMillis,
    give_up_at: UnixMillis,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO shop_letters (order_id, kind, next_try_at, give_up_at) VALUES (?1, ?2, ?3, ?4)",
        params![order, kind.name(), now, give_up_at],
    )?;
    Ok(())
}

pub(in crate::services::shop) fn due_letters(
    connection: &Connection,
    now: UnixMillis,
    limit: i64,
) -> Result<Vec<DueLetter>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, order_id, kind, give_up_at FROM shop_letters WHERE next_try_at <= ?1 ORDER BY next_try_at LIMIT ?2",
    )?;
    let found = statement.query_map(params![now, limit], |row| {
        let kind: String = row.get(2)?;
        let kind = if kind == LetterKind::Shipped.name() { LetterKind::Shipped } else { LetterKind::Claimed };
        Ok(DueLetter { id: row.get(0)?, order: row.get(1)?, kind, give_up_at: row.get(3)? })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// A letter has left, or never will.
pub(in crate::services::shop) fn drop_letter(tx: &Tx<'_>, id: i64) -> Result<(), StoreError> {
    tx.execute("DELETE FROM shop_letters WHERE id = ?1", [id])?;
    Ok(())
}

pub(in crate::services::shop) fn put_off_letter(
    tx: &Tx<'_>,
    id: i64,
    next_try_at: UnixMillis,
) -> Result<(), StoreError> {
    tx.execute("UPDATE shop_letters SET next_try_at = ?2 WHERE id = ?1", params![id, next_try_at])?;
    Ok(())
}
