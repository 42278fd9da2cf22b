//! SQL of coins that the operator sends.

use rusqlite::params;

use crate::core::ids::CoinSendId;
use crate::core::money::Msat;
use crate::ledger::LedgerError;
use crate::storage::Tx;

pub(crate) fn insert(
    tx: &Tx<'_>,
    id: CoinSendId,
    fee_rate: Option<u64>,
    everything: bool,
) -> Result<(), LedgerError> {
    tx.prepare_cached(
        "INSERT INTO operator_sends (coin_send_id, everything, amount_known) VALUES (?1, ?2, NOT ?2)",
    )?
    .execute(params![id, everything])?;
    tx.prepare_cached("UPDATE coin_sends SET fee_rate = ?2 WHERE id = ?1")?.execute(params![id, fee_rate])?;
    Ok(())
}

/// Whether it was not known before.
pub(crate) fn learn_amount(tx: &Tx<'_>, id: CoinSendId, amount: Msat) -> Result<bool, LedgerError> {
    let learned = tx
        .prepare_cached(
            "UPDATE operator_sends SET amount_known = 1 WHERE coin_send_id = ?1 AND amount_known = 0
                 AND (SELECT status FROM coin_sends WHERE id = ?1) IN ('sending', 'sent')",
        )?
        .execute([id])?;
    if learned == 1 {
        tx.prepare_cached("UPDATE coin_sends SET amount_msat = ?2 WHERE id = ?1")?
            .execute(params![id, amount])?;
    }
    Ok(learned == 1)
}
