//! SQL of charges that we claim ourselves.

use rusqlite::{Connection, OptionalExtension, params};

use crate::core::ids::{ChargeId, PaymentHash, Preimage};
use crate::core::money::Msat;
use crate::core::time::UnixMillis;
use crate::ledger::LedgerError;
use crate::storage::Tx;

/// A charge whose payment waits to be claimed.
pub(crate) struct Held {
    pub(crate) id: ChargeId,
    pub(crate) payment_hash: PaymentHash,
    pub(crate) preimage: Preimage,
    pub(crate) at: UnixMillis,
    pub(crate) amount: Msat,
    pub(crate) until: Option<u32>,
}

/// What claims the charge's payment; `None` if the node does that by itself.
pub(crate) fn preimage(connection: &Connection, id: ChargeId) -> Result<Option<Preimage>, LedgerError> {
    let found = connection
        .prepare_cached("SELECT unseal(preimage) FROM charges WHERE id = ?1")?
        .query_row([id], |row| row.get(0))
        .optional()?;
    Ok(found.flatten())
}

/// Notes what came. When is kept from the first time, and of two deadlines the later: an older event can come again.
pub(crate) fn hold(
    tx: &Tx<'_>,
    id: ChargeId,
    amount: Msat,
    until: Option<u32>,
    now: UnixMillis,
) -> Result<(), LedgerError> {
    tx.prepare_cached(
        "UPDATE charges SET held_at = coalesce(held_at, ?2), held_msat = ?3,
             held_until = CASE WHEN held_until > ?4 THEN held_until ELSE ?4 END
         WHERE id = ?1 AND status <> 'paid' AND preimage IS NOT NULL",
    )?
    .execute(params![id, now, amount, until])?;
    Ok(())
}

/// The charge is as before; `false` if it isn't held any more.
pub(crate) fn release(tx: &Tx<'_>, id: ChargeId, now: UnixMillis) -> Result<bool, LedgerError> {
    let changed = tx
        .prepare_cached(
            "UPDATE charges SET held_at = NULL, held_msat = NULL, held_until = NULL,
                 status = CASE WHEN expires_at <= ?2 THEN 'expired' ELSE status END
             WHERE id = ?1 AND status <> 'paid' AND held_at IS NOT NULL",
        )?
        .execute(params![id, now])?;
    Ok(changed > 0)
}

/// All that are held: as many as the channels have slots, at most.
pub(crate) fn all(connection: &Connection) -> Result<Vec<Held>, LedgerError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, payment_hash, unseal(preimage), held_at, held_msat, held_until FROM charges
         WHERE held_at IS NOT NULL AND status <> 'paid' ORDER BY id",
    )?;
    let rows = statement.query_map([], |row| {
        Ok(Held {
            id: row.get(0)?,
            payment_hash: row.get(1)?,
            preimage: row.get(2)?,
            at: row.get(3)?,
            amount: row.get(4)?,
            until: row.get(5)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
