//! Reminders that are due, and those that were given.

use rusqlite::{Connection, OptionalExtension, params};

use crate::core::ids::VoucherId;
use crate::core::time::UnixMillis;
use crate::ledger::LedgerError;
use crate::services::tips::ids::Cuid;
use crate::services::tips::reminders::{DAY_MS, ReminderKind};
use crate::storage::Tx;

/// A reminder that is due.
#[derive(Clone, Copy, Debug)]
pub(in crate::services::tips) struct DueReminder {
    pub(in crate::services::tips) tip: Cuid,
    pub(in crate::services::tips) tippee: Cuid,
    pub(in crate::services::tips) kind: ReminderKind,
    /// Whether there is an address to write to.
    pub(in crate::services::tips) has_email: bool,
}

/// Claimed, not withdrawn, no withdrawal under way, not over. `?1` is now, `?2` a day.
const WAITING: &str = "FROM vouchers v JOIN tips t ON t.id = v.id JOIN tip_users w ON w.id = t.tippee_id
     WHERE v.state = 'open' AND v.expires_at > ?1 AND t.expires_at > ?1";

/// The same of those who can be written to. They are few among the tips, so the look begins at them.
const WAITING_FOR_LETTER: &str = "FROM tip_users w CROSS JOIN tips t ON t.tippee_id = w.id
     CROSS JOIN vouchers v ON v.id = t.id
     WHERE w.email IS NOT NULL AND v.state = 'open' AND v.expires_at > ?1 AND t.expires_at > ?1";

/// The same of those whose tipper has given a webhook for claims, as long as it is news: what was claimed in the last
/// week, or is over within a day. Each begins at an index, so that the look costs the same however many tips there
/// are.
const fn waiting_for_webhook(kind: ReminderKind) -> &'static str {
    match kind {
        ReminderKind::OneDayAfterClaim => {
            "FROM tips t INDEXED BY tips_to_remind CROSS JOIN vouchers v ON v.id = t.id
             CROSS JOIN tip_users w ON w.id = t.tippee_id
             WHERE t.claim_webhook IS NOT NULL AND t.claimed_at > ?1 - 7 * ?2 AND t.onboarding_flow <> 'SKIP'
               AND v.state = 'open' AND t.expires_at > ?1"
        }
        ReminderKind::OneDayBeforeExpiry => {
            "FROM vouchers v CROSS JOIN tips t ON t.id = v.id CROSS JOIN tip_users w ON w.id = t.tippee_id
             WHERE v.state = 'open' AND v.expires_at > ?1 AND t.expires_at > ?1
               AND t.claim_webhook IS NOT NULL AND t.onboarding_flow <> 'SKIP'"
        }
    }
}

/// When each is due, and that there is time enough for it.
fn rule(kind: ReminderKind) -> &'static str {
    match kind {
        ReminderKind::OneDayAfterClaim => {
            "AND t.claimed_at <= ?1 - ?2 AND t.expires_at > t.claimed_at + 2 * ?2
             AND NOT EXISTS (SELECT 1 FROM tip_reminders r
                             WHERE r.tip_id = t.id AND r.kind = 'ONE_DAY_AFTER_CLAIM')"
        }
        ReminderKind::OneDayBeforeExpiry => {
            "AND v.expires_at <= ?1 + ?2 AND t.expires_at > t.claimed_at + ?2
             AND NOT EXISTS (SELECT 1 FROM tip_reminders r
                             WHERE r.tip_id = t.id AND r.kind = 'ONE_DAY_BEFORE_EXPIRY')"
        }
    }
}

/// Those of one kind that are due, the most urgent first.
pub(in crate::services::tips) fn reminders_due(
    connection: &Connection,
    kind: ReminderKind,
    now: UnixMillis,
    limit: usize,
) -> Result<Vec<DueReminder>, LedgerError> {
    due(connection, WAITING, kind, now, limit)
}

/// Those of them that can be told by a letter.
pub(in crate::services::tips) fn reminders_due_by_mail(
    connection: &Connection,
    kind: ReminderKind,
    now: UnixMillis,
    limit: usize,
) -> Result<Vec<DueReminder>, LedgerError> {
    due(connection, WAITING_FOR_LETTER, kind, now, limit)
}

/// Those of them that can be told to a webhook.
pub(in crate::services::tips) fn reminders_due_by_webhook(
    connection: &Connection,
    kind: ReminderKind,
    now: UnixMillis,
    limit: usize,
) -> Result<Vec<DueReminder>, LedgerError> {
    due(connection, waiting_for_webhook(kind), kind, now, limit)
}

fn due(
    connection: &Connection,
    waiting: &str,
    kind: ReminderKind,
    now: UnixMillis,
    limit: usize,
) -> Result<Vec<DueReminder>, LedgerError> {
    let sql = format!(
        "WITH due (tip, tippee, has_email) AS MATERIALIZED
             (SELECT t.public_id, w.public_id, w.email IS NOT NULL {waiting} {} ORDER BY v.expires_at, t.id LIMIT ?3)
         SELECT unseal(tip), tippee, has_email FROM due",
        rule(kind)
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let found = statement.query_map(params![now, DAY_MS, limit], |row| {
        Ok(DueReminder { tip: row.get(0)?, tippee: row.get(1)?, kind, has_email: row.get(2)? })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Whether one is due.
pub(in crate::services::tips) fn is_reminder_due(
    connection: &Connection,
    id: VoucherId,
    kind: ReminderKind,
    now: UnixMillis,
) -> Result<bool, LedgerError> {
    let sql = format!("SELECT 1 {WAITING} {} AND t.id = ?3", rule(kind));
    let mut statement = connection.prepare_cached(&sql)?;
    Ok(statement.query_row(params![now, DAY_MS, id], |_| Ok(())).optional()?.is_some())
}

pub(in crate::services::tips) fn note_reminder(
    tx: &Tx<'_>,
    id: VoucherId,
    kind: ReminderKind,
    now: UnixMillis,
) -> Result<(), LedgerError> {
    tx.prepare_cached("INSERT OR IGNORE INTO tip_reminders (tip_id, kind, at) VALUES (?1, ?2, ?3)")?
        .execute(params![id, kind.name(), now])?;
    Ok(())
}
