//! The ledger's SQL, and nothing else's.

pub(super) mod accounts;
pub(super) mod charges;
pub(super) mod coins;
pub(super) mod held;
pub(super) mod node;
pub(super) mod offer_payouts;
pub(super) mod offers;
pub(super) mod operator_sends;
pub(super) mod payout_list;
pub(super) mod payouts;
pub(super) mod suspense;
pub(super) mod under_way;

use rusqlite::{Connection, params};

use super::LedgerError;
use crate::core::ids::PaymentHash;
use crate::core::time::UnixMillis;

/// Payments that came: when, row id and hash of some after a row id and before a time, oldest first.
fn came(
    connection: &Connection,
    sql: &str,
    after: i64,
    before: UnixMillis,
    limit: usize,
) -> Result<Vec<(UnixMillis, i64, PaymentHash)>, LedgerError> {
    let mut statement = connection.prepare_cached(sql)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = statement
        .query_map(params![after, before, limit], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
