//! The rows of challenges that agents sign.

use rusqlite::params;

use crate::core::ids::AccountId;
use crate::core::time::UnixMillis;
use crate::services::agents::ids::{Challenge, Pubkey};
use crate::storage::Tx;

/// Removes those that have ended, a few at a time, and all of an account but its newest.
pub(in super::super) fn tidy(
    tx: &Tx<'_>,
    account: AccountId,
    keep: u32,
    now: UnixMillis,
) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "DELETE FROM agent_challenges WHERE challenge IN
             (SELECT challenge FROM agent_challenges WHERE expires_at <= ?1 ORDER BY expires_at LIMIT 100)",
    )?
    .execute([now])?;
    tx.prepare_cached(
        "DELETE FROM agent_challenges WHERE challenge IN (SELECT challenge FROM agent_challenges
             WHERE account_id = ?1 ORDER BY expires_at DESC LIMIT -1 OFFSET ?2)",
    )?
    .execute(params![account, keep])?;
    Ok(())
}

pub(in super::super) fn insert(
    tx: &Tx<'_>,
    challenge: Challenge,
    pubkey: Pubkey,
    account: AccountId,
    expires_at: UnixMillis,
) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO agent_challenges (challenge, pubkey, account_id, expires_at) VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute(params![challenge, pubkey, account, expires_at])?;
    Ok(())
}

/// Takes a challenge away; `false` if there was none for this key and account, or it has ended.
pub(in super::super) fn take(
    tx: &Tx<'_>,
    challenge: Challenge,
    pubkey: Pubkey,
    account: AccountId,
    now: UnixMillis,
) -> rusqlite::Result<bool> {
    let taken = tx
        .prepare_cached(
            "DELETE FROM agent_challenges
             WHERE challenge = ?1 AND pubkey = ?2 AND account_id = ?3 AND expires_at > ?4",
        )?
        .execute(params![challenge, pubkey, account, now])?;
    Ok(taken == 1)
}
