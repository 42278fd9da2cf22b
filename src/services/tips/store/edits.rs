//! What happens to a tip besides its money.

use rusqlite::params;

use super::Shared;
use crate::core::ids::{Secret, TipGroupId, UserId, VoucherId};
use crate::core::time::UnixMillis;
use crate::ledger::LedgerError;
use crate::services::tips::request::TipWords;
use crate::services::tips::status::OnboardingFlow;
use crate::storage::Tx;

/// What a tipper may change of a tip; `None` leaves it as it is.
pub(in crate::services::tips) struct TipEdit<'a> {
    pub(in crate::services::tips) words: &'a TipWords,
    pub(in crate::services::tips) details: Shared<'a>,
    pub(in crate::services::tips) expires_at: Option<UnixMillis>,
    pub(in crate::services::tips) onboarding_flow: Option<OnboardingFlow>,
    pub(in crate::services::tips) anonymous: Option<bool>,
}

pub(in crate::services::tips) fn edit(
    tx: &Tx<'_>,
    id: VoucherId,
    edit: &TipEdit<'_>,
    now: UnixMillis,
) -> Result<(), LedgerError> {
    tx.prepare_cached(
        "UPDATE tips SET tippee_name = ?2, note = ?3, tippee_locale = ?4, currency = ?5, wallet = ?6,
             ad_url = ?7, ad_image_url = ?8, claim_webhook = ?9, withdraw_webhook = ?10,
             expires_at = coalesce(?11, expires_at), onboarding_flow = coalesce(?12, onboarding_flow),
             anonymous = coalesce(?13, anonymous), updated_at = ?14
         WHERE id = ?1",
    )?
    .execute(params![
        id,
        edit.words.tippee_name,
        edit.words.stored_note(),
        edit.details.tippee_locale,
        edit.details.currency,
        edit.details.wallet,
        edit.details.ad_url,
        edit.details.ad_image_url,
        edit.details.claim_webhook.map(Secret::expose),
        edit.details.withdraw_webhook.map(Secret::expose),
        edit.expires_at,
        edit.onboarding_flow.map(OnboardingFlow::name),
        edit.anonymous,
        now,
    ])?;
    Ok(())
}

pub(in crate::services::tips) fn edit_group(
    tx: &Tx<'_>,
    id: TipGroupId,
    static_link: Option<bool>,
    now: UnixMillis,
) -> Result<(), LedgerError> {
    tx.prepare_cached(
        "UPDATE tip_groups SET static_link = coalesce(?2, static_link), updated_at = ?3 WHERE id = ?1",
    )?
    .execute(params![id, static_link, now])?;
    Ok(())
}

/// New magic words, or none.
pub(in crate::services::tips) fn set_passphrase(
    tx: &Tx<'_>,
    id: VoucherId,
    passphrase: Option<&([u8; 32], Vec<u8>)>,
    now: UnixMillis,
) -> Result<(), LedgerError> {
    let (hash, sealed) = passphrase.map(|(hash, sealed)| (hash, sealed)).unzip();
    tx.prepare_cached(
        "UPDATE tips SET passphrase_hash = ?2, passphrase_sealed = ?3, updated_at = ?4 WHERE id = ?1",
    )?
    .execute(params![id, hash, sealed, now])?;
    Ok(())
}

pub(in crate::services::tips) fn note_copied(
    tx: &Tx<'_>,
    id: VoucherId,
    now: UnixMillis,
) -> Result<(), LedgerError> {
    tx.prepare_cached("UPDATE tips SET copied_at = ?2, updated_at = ?2 WHERE id = ?1")?
        .execute(params![id, now])?;
    Ok(())
}

/// Somebody saw the page of a tip that was not seen before.
pub(in crate::services::tips) fn note_seen(
    tx: &Tx<'_>,
    id: VoucherId,
    now: UnixMillis,
) -> Result<bool, LedgerError> {
    let changed = tx
        .prepare_cached(
            "UPDATE tips SET seen_at = ?2, updated_at = ?2 WHERE id = ?1 AND seen_at IS NULL AND expires_at > ?2
             AND (SELECT state FROM vouchers WHERE id = ?1) = 'open'",
        )?
        .execute(params![id, now])?;
    Ok(changed == 1)
}

/// It is somebody's from now on, if it is nobody's yet.
pub(in crate::services::tips) fn claim(
    tx: &Tx<'_>,
    id: VoucherId,
    tippee: UserId,
    printed: bool,
    now: UnixMillis,
) -> Result<bool, LedgerError> {
    let changed = tx
        .prepare_cached(
            "UPDATE tips SET tippee_id = ?2, claimed_at = ?4, claimed_printed = ?3, updated_at = ?4
             WHERE id = ?1 AND tippee_id IS NULL",
        )?
        .execute(params![id, tippee, printed, now])?;
    Ok(changed == 1)
}

pub(in crate::services::tips) fn note_withdrawal(
    tx: &Tx<'_>,
    id: VoucherId,
    now: UnixMillis,
) -> Result<(), LedgerError> {
    tx.prepare_cached("UPDATE tips SET withdrawal_at = ?2, updated_at = ?2 WHERE id = ?1")?
        .execute(params![id, now])?;
    Ok(())
}

/// Its magic words lead to it no more; its tipper still sees them.
pub(in crate::services::tips) fn free_passphrase(tx: &Tx<'_>, id: VoucherId) -> Result<(), LedgerError> {
    tx.prepare_cached(
        "UPDATE tips SET passphrase_hash = NULL WHERE id = ?1 AND passphrase_hash IS NOT NULL",
    )?
    .execute([id])?;
    Ok(())
}

/// Its money moved.
pub(in crate::services::tips) fn touch(
    tx: &Tx<'_>,
    id: VoucherId,
    now: UnixMillis,
) -> Result<(), LedgerError> {
    tx.prepare_cached("UPDATE tips SET updated_at = ?2 WHERE id = ?1")?.execute(params![id, now])?;
    tx.prepare_cached(
        "UPDATE tip_groups SET updated_at = ?2 WHERE id = (SELECT group_id FROM tips WHERE id = ?1)",
    )?
    .execute(params![id, now])?;
    Ok(())
}

/// Given up before it was paid. Its magic words are free again.
pub(in crate::services::tips) fn delete(
    tx: &Tx<'_>,
    id: VoucherId,
    now: UnixMillis,
) -> Result<(), LedgerError> {
    tx.prepare_cached(
        "UPDATE tips SET deleted_at = ?2, updated_at = ?2, passphrase_hash = NULL, passphrase_sealed = NULL
         WHERE id = ?1",
    )?
    .execute(params![id, now])?;
    Ok(())
}

pub(in crate::services::tips) fn delete_group(
    tx: &Tx<'_>,
    id: TipGroupId,
    now: UnixMillis,
) -> Result<(), LedgerError> {
    tx.prepare_cached("UPDATE tip_groups SET deleted_at = ?2, updated_at = ?2 WHERE id = ?1")?
        .execute(params![id, now])?;
    Ok(())
}
