//! SQL about what may be under way in the channels: payouts to invoices and to offers alike.

use rusqlite::{Connection, params};

use crate::core::ids::{AccountId, OfferPayoutId, PayoutId};
use crate::core::money::Msat;
use crate::core::time::{UnixMillis, Window};
use crate::ledger::{Family, LedgerError, PayoutKey};
use crate::storage::Tx;

/// Milliseconds in an hour.
const HOUR_MS: i64 = 3_600_000;

/// A payout that may have HTLCs under way.
#[derive(Clone, Debug)]
pub(crate) struct Unsettled {
    pub(crate) key: PayoutKey,
    pub(crate) family: Family,
    pub(crate) amount: Msat,
    pub(crate) source: Option<String>,
    pub(crate) since: UnixMillis,
}

/// All that may have HTLCs under way: at most as many as the channels have slots.
pub(crate) fn unsettled(connection: &Connection) -> Result<Vec<Unsettled>, LedgerError> {
    let of = |table: &str, key: fn(i64) -> PayoutKey| -> Result<Vec<Unsettled>, LedgerError> {
        let mut statement = connection.prepare_cached(&format!(
            "SELECT id, family, amount_msat, source, coalesce(dispatched_at, created_at) FROM {table}
             WHERE status NOT IN ('paid', 'failed') AND status IN ('dispatching', 'in_flight', 'unknown')"
        ))?;
        let rows = statement.query_map([], |row| {
            Ok(Unsettled {
                key: key(row.get(0)?),
                family: row.get(1)?,
                amount: row.get(2)?,
                source: row.get(3)?,
                since: row.get(4)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    };
    let mut found = of("payouts", |id| PayoutKey::Invoice(PayoutId(id)))?;
    found.extend(of("offer_payouts", |id| PayoutKey::Offer(OfferPayoutId(id)))?);
    Ok(found)
}

/// How many may have HTLCs under way, of those the node was asked to send since.
pub(crate) fn under_way(connection: &Connection, since: UnixMillis) -> Result<usize, LedgerError> {
    let of = |table: &str| -> Result<usize, LedgerError> {
        let mut statement = connection.prepare_cached(&format!(
            "SELECT count(*) FROM {table}
             WHERE status NOT IN ('paid', 'failed') AND status IN ('dispatching', 'in_flight', 'unknown')
               AND dispatched_at >= ?1"
        ))?;
        let count: i64 = statement.query_row([since], |row| row.get(0))?;
        Ok(usize::try_from(count).unwrap_or(usize::MAX))
    };
    Ok(of("payouts")?.saturating_add(of("offer_payouts")?))
}

/// Adds to what routing has cost in this hour.
pub(crate) fn add_routing(tx: &Tx<'_>, fee: Msat, now: UnixMillis) -> Result<(), LedgerError> {
    tx.prepare_cached(
        "INSERT INTO routing_hours (hour, msat) VALUES (?1, ?2) ON CONFLICT (hour) DO UPDATE SET msat = msat + excluded.msat",
    )?
    .execute(params![now / HOUR_MS, fee])?;
    Ok(())
}

/// What routing has cost in the hours of a window, and what those payouts may still cost that were sent and have not
/// ended, however long ago; and the most that one of these may. Without those whose routing others bear.
pub(crate) fn recent_routing(connection: &Connection, hour: &Window) -> Result<(Msat, Msat), LedgerError> {
    let of = |table: &str| -> Result<(Msat, Msat), LedgerError> {
        let mut statement = connection.prepare_cached(&format!(
            "SELECT coalesce(sum(granted_msat), 0), coalesce(max(granted_msat), 0) FROM {table}
             WHERE status NOT IN ('paid', 'failed') AND status <> 'queued'
               AND (family NOT IN ('operator', 'accounts', 'purse') OR routing_account_id IS NOT NULL)"
        ))?;
        Ok(statement.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?)
    };
    let ((invoices, largest), (offers, largest_offer)) = (of("payouts")?, of("offer_payouts")?);
    let mut used = invoices.checked_add(offers).unwrap_or(Msat::MAX);
    let mut statement = connection
        .prepare_cached("SELECT coalesce(sum(msat), 0) FROM routing_hours WHERE hour BETWEEN ?1 AND ?2")?;
    for hours in hour.hours() {
        let spent: Msat = statement.query_row([hours.from, hours.to], |row| row.get(0))?;
        used = used.checked_add(spent).unwrap_or(Msat::MAX);
    }
    Ok((used, largest.max(largest_offer)))
}

/// What routing for an account has cost the operator within a window, and what its payouts may still cost that were
/// sent and have not ended.
pub(crate) fn routing_of(
    connection: &Connection,
    account: AccountId,
    hour: &Window,
) -> Result<Msat, LedgerError> {
    let mut all = Msat::ZERO;
    for table in ["payouts", "offer_payouts"] {
        let mut under_way = connection.prepare_cached(&format!(
            "SELECT coalesce(sum(granted_msat), 0) FROM {table}
             WHERE routing_account_id = ?1 AND finished_at IS NULL AND status <> 'queued'"
        ))?;
        let open: Msat = under_way.query_row([account], |row| row.get(0))?;
        all = all.checked_add(open).unwrap_or(Msat::MAX);
        let mut paid = connection.prepare_cached(&format!(
            "SELECT coalesce(sum(fee_msat), 0) FROM {table}
             WHERE routing_account_id = ?1 AND finished_at BETWEEN ?2 AND ?3 AND status = 'paid'"
        ))?;
        for span in hour.spans() {
            let spent: Msat = paid.query_row(params![account, span.from, span.to], |row| row.get(0))?;
            all = all.checked_add(spent).unwrap_or(Msat::MAX);
        }
    }
    Ok(all)
}
