//! The rows of endpoints.

use rusqlite::{Connection, params};

use super::Endpoint;
use crate::core::time::UnixMillis;
use crate::services::proxy::error::ProxyError;
use crate::storage::Tx;

/// A proxy's endpoints in the order in which they were made.
pub(in crate::services::proxy) fn endpoints(
    connection: &Connection,
    proxy: i64,
) -> Result<Vec<Endpoint>, ProxyError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, endpoint_id, path, method, price_sat, summary, description, is_active
         FROM l402_endpoints WHERE proxy_id = ?1 ORDER BY id",
    )?;
    let rows = statement.query_map([proxy], |row| {
        Ok(Endpoint {
            id: row.get(0)?,
            endpoint_id: row.get(1)?,
            path: row.get(2)?,
            method: row.get(3)?,
            price_sat: row.get(4)?,
            summary: row.get(5)?,
            description: row.get(6)?,
            is_active: row.get(7)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Writes a new endpoint down; answers its row id.
pub(in crate::services::proxy) fn insert_endpoint(
    tx: &Tx<'_>,
    proxy: i64,
    endpoint: &Endpoint,
    now: UnixMillis,
) -> Result<i64, ProxyError> {
    tx.prepare_cached(
        "INSERT INTO l402_endpoints
         (proxy_id, endpoint_id, path, method, price_sat, summary, description, is_active, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        proxy,
        endpoint.endpoint_id,
        endpoint.path,
        endpoint.method,
        endpoint.price_sat,
        endpoint.summary,
        endpoint.description,
        endpoint.is_active,
        now
    ])?;
    Ok(tx.last_insert_rowid())
}

/// Writes all of an endpoint again but its name.
pub(in crate::services::proxy) fn update_endpoint(
    tx: &Tx<'_>,
    endpoint: &Endpoint,
) -> Result<(), ProxyError> {
    tx.prepare_cached(
        "UPDATE l402_endpoints SET path = ?2, method = ?3, price_sat = ?4, summary = ?5, description = ?6,
         is_active = ?7 WHERE id = ?1",
    )?
    .execute(params![
        endpoint.id,
        endpoint.path,
        endpoint.method,
        endpoint.price_sat,
        endpoint.summary,
        endpoint.description,
        endpoint.is_active,
    ])?;
    Ok(())
}

/// Takes an endpoint away.
pub(in crate::services::proxy) fn delete_endpoint(tx: &Tx<'_>, id: i64) -> Result<(), ProxyError> {
    tx.prepare_cached("DELETE FROM l402_endpoints WHERE id = ?1")?.execute([id])?;
    Ok(())
}
