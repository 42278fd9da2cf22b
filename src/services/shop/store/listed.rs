//! Open stores that have something to sell, for the registry of all that is sold here.

use rusqlite::{Connection, params};

use crate::ledger::LedgerError;
use crate::rates::Unit;

/// A store.
pub(in crate::services::shop) struct Row {
    pub(in crate::services::shop) slug: String,
    pub(in crate::services::shop) name: String,
    pub(in crate::services::shop) description: String,
    pub(in crate::services::shop) unit: Unit,
    /// The lowest price in it, in the smallest unit.
    pub(in crate::services::shop) lowest: u64,
}

const LISTED: &str = "SELECT s.slug, s.name, s.description, s.currency, min(v.price)
     FROM shop_stores s JOIN shop_variants v ON v.store_id = s.id JOIN shop_products p ON p.id = v.product_id
     WHERE s.active AND v.active AND p.active AND (?1 IS NULL OR s.slug = ?1)
     GROUP BY s.id ORDER BY s.id DESC LIMIT ?2";

/// Some of them, the newest first, or the one of this slug.
pub(in crate::services::shop) fn listed(
    connection: &Connection,
    slug: Option<&str>,
    limit: u32,
) -> Result<Vec<Row>, LedgerError> {
    let mut statement = connection.prepare_cached(LISTED)?;
    let found = statement.query_map(params![slug, limit], |row| {
        Ok(Row {
            slug: row.get(0)?,
            name: row.get(1)?,
            description: row.get(2)?,
            unit: row.get(3)?,
            lowest: super::stores::unsigned(row, 4)?,
        })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}
