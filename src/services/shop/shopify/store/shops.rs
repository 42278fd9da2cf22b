//! How reading a shop went.

use rusqlite::{Connection, OptionalExtension, params};

use crate::core::time::UnixMillis;
use crate::services::shop::ids::StoreId;
use crate::storage::{StoreError, Tx};

/// What is known of a shop.
#[derive(Clone, Debug, Default)]
pub(in crate::services::shop::shopify) struct State {
    pub(in crate::services::shop::shopify) tried_at: Option<UnixMillis>,
    pub(in crate::services::shop::shopify) synced_at: Option<UnixMillis>,
    pub(in crate::services::shop::shopify) error: Option<String>,
    /// JSON.
    pub(in crate::services::shop::shopify) problems: String,
    pub(in crate::services::shop::shopify) problem_count: u32,
}

pub(in crate::services::shop::shopify) fn state(
    connection: &Connection,
    store: StoreId,
) -> Result<State, StoreError> {
    let found = connection
        .prepare_cached(
            "SELECT tried_at, synced_at, error, problems, problem_count FROM shopify_shops WHERE store_id = ?1",
        )?
        .query_row([store], |row| {
            Ok(State {
                tried_at: row.get(0)?,
                synced_at: row.get(1)?,
                error: row.get(2)?,
                problems: row.get(3)?,
                problem_count: row.get(4)?,
            })
        })
        .optional()?;
    Ok(found.unwrap_or_default())
}

/// A reading begins.
pub(in crate::services::shop::shopify) fn begun(
    tx: &Tx<'_>,
    store: StoreId,
    domain: &str,
    now: UnixMillis,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO shopify_shops (store_id, domain, tried_at) VALUES (?1, ?2, ?3)
         ON CONFLICT (store_id) DO UPDATE SET domain = excluded.domain, tried_at = excluded.tried_at",
        params![store, domain, now],
    )?;
    Ok(())
}

/// It failed.
pub(in crate::services::shop::shopify) fn failed(
    tx: &Tx<'_>,
    store: StoreId,
    error: &str,
) -> Result<(), StoreError> {
    tx.execute("UPDATE shopify_shops SET error = ?2 WHERE store_id = ?1", params![store, error])?;
    Ok(())
}

/// All of it was applied.
pub(in crate::services::shop::shopify) fn done(
    tx: &Tx<'_>,
    store: StoreId,
    began: UnixMillis,
    problems: &[String],
    problem_count: u32,
) -> Result<(), StoreError> {
    let problems = serde_json::to_string(problems).unwrap_or_else(|_| "[]".into());
    tx.execute(
        "UPDATE shopify_shops SET synced_at = ?2, error = NULL, problems = ?3, problem_count = ?4 WHERE store_id = ?1",
        params![store, began, problems, problem_count],
    )?;
    Ok(())
}
