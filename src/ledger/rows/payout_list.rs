//! SQL of lists of payouts, and of one's journals.

use rusqlite::{Connection, params};

use super::payouts::{COLUMNS, read};
use crate::clock::UnixMillis;
use crate::ids::PayoutId;
use crate::ledger::{Family, LedgerError, Payout, PayoutStatus};

/// Which payouts. What is left out sets no limit.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted {
    /// Only in this status.
    pub status: Option<PayoutStatus>,
    /// Only of this family.
    pub family: Option<Family>,
    /// Not made before, unix milliseconds.
    pub since: Option<UnixMillis>,
    /// Only those that the node has had since then or longer, and that have not ended.
    pub held_since: Option<UnixMillis>,
    /// Older than this one.
    pub before: Option<PayoutId>,
    /// At most so many.
    pub limit: u32,
}

/// Something that the books say of a payout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When, unix milliseconds.
    pub at: UnixMillis,
    /// The journal's kind.
    pub kind: String,
}

/// Newest first.
pub(crate) fn list(connection: &Connection, wanted: &Wanted) -> Result<Vec<Payout>, LedgerError> {
    // Few have not ended, and there is an index of them.
    let open = match (wanted.held_since, wanted.status) {
        (Some(_), _) => "status NOT IN ('paid', 'failed') AND status <> 'queued'",
        (None, Some(status)) if !status.is_final() => "status NOT IN ('paid', 'failed')",
        (None, _) => "TRUE",
    };
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM payouts
         WHERE {open} AND id < ?1 AND (?2 IS NULL OR status = ?2) AND (?3 IS NULL OR family = ?3)
           AND (?4 IS NULL OR created_at >= ?4) AND (?5 IS NULL OR dispatched_at <= ?5)
         ORDER BY id DESC LIMIT ?6"
    ))?;
    let before = wanted.before.unwrap_or(PayoutId(i64::MAX));
    let status = wanted.status.map(PayoutStatus::name);
    let found = statement.query_map(
        params![before, status, wanted.family, wanted.since, wanted.held_since, wanted.limit],
        read,
    )?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Oldest first.
pub(crate) fn journals(connection: &Connection, id: PayoutId) -> Result<Vec<Event>, LedgerError> {
    let mut statement = connection.prepare_cached(
        "SELECT at, kind FROM journals
         WHERE kind IN ('payout_queued', 'payout_paid', 'payout_failed', 'payout_late', 'refund_loss_recovered')
           AND subject = ?1 ORDER BY id",
    )?;
    let found = statement.query_map([id], |row| Ok(Event { at: row.get(0)?, kind: row.get(1)? }))?;
    Ok(found.collect::<Result<_, _>>()?)
}
