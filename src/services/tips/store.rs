//! SQL of tips, groups and their invoices. Amounts, states and invoices are read from the voucher, charge and
//! payout beside a tip; they are written by their own modules alone.

mod edits;
mod letters;
mod links;
mod refunds;
mod reminders;
mod rows;

use rusqlite::{Connection, OptionalExtension, params};

use super::ids::Cuid;
use super::passphrase::Sealer;
use super::request::TipWords;
use super::status::OnboardingFlow;
use crate::core::ids::{
    ChargeId, OfferPayoutId, PayoutId, Secret, TipGroupId, UserId, VoucherId, random_bytes,
};
use crate::core::money::Msat;
use crate::core::time::UnixMillis;
use crate::ledger::{LedgerError, PayoutKey};
use crate::storage::{StoreError, Tx};
use crate::vouchers::Redeemer;

pub(super) use edits::*;
pub(super) use letters::*;
pub(super) use links::*;
pub(super) use refunds::*;
pub(super) use reminders::*;
use rows::{GROUP, TIP, read_group, read_tip};
pub use rows::{Group, Tip};

/// What is written of a new tip besides its voucher.
pub(super) struct NewTip<'a> {
    pub(super) id: VoucherId,
    pub(super) public_id: Cuid,
    pub(super) user: UserId,
    /// Its group and its place there.
    pub(super) group: Option<(TipGroupId, u32)>,
    pub(super) fee: Msat,
    pub(super) expires_at: UnixMillis,
    pub(super) onboarding_flow: OnboardingFlow,
    pub(super) anonymous: bool,
    pub(super) words: &'a TipWords,
    pub(super) details: Shared<'a>,
    /// Look-up hash and sealed words.
    pub(super) passphrase: Option<([u8; 32], Vec<u8>)>,
}

/// What all tips of one order have in common.
#[derive(Clone, Copy, Default)]
pub(super) struct Shared<'a> {
    pub(super) tippee_locale: Option<&'a str>,
    pub(super) currency: Option<&'a str>,
    pub(super) wallet: Option<&'a str>,
    pub(super) ad_url: Option<&'a str>,
    pub(super) ad_image_url: Option<&'a str>,
    pub(super) claim_webhook: Option<&'a Secret>,
    pub(super) withdraw_webhook: Option<&'a Secret>,
}

pub(super) fn insert(tx: &Tx<'_>, new: &NewTip<'_>, now: UnixMillis) -> Result<(), LedgerError> {
    let (hash, sealed) = new.passphrase.as_ref().map(|(hash, sealed)| (hash, sealed)).unzip();
    let (group, index) = new.group.unzip();
    tx.prepare_cached(
        "INSERT INTO tips (id, public_id, user_id, group_id, group_index, fee_msat, expires_at,
             onboarding_flow, anonymous, tippee_name, tippee_locale, currency, note, wallet, ad_url, ad_image_url,
             passphrase_hash, passphrase_sealed, claim_webhook, withdraw_webhook, updated_at)
         VALUES (?1, seal(?2), ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21)",
    )?
    .execute(params![
        new.id,
        new.public_id,
        new.user,
        group,
        index,
        new.fee,
        new.expires_at,
        new.onboarding_flow.name(),
        new.anonymous,
        new.words.tippee_name,
        new.details.tippee_locale,
        new.details.currency,
        new.words.stored_note(),
        new.details.wallet,
        new.details.ad_url,
        new.details.ad_image_url,
        hash,
        sealed,
        new.details.claim_webhook.map(Secret::expose),
        new.details.withdraw_webhook.map(Secret::expose),
        now,
    ])?;
    Ok(())
}

pub(super) fn insert_group(
    tx: &Tx<'_>,
    public_id: Cuid,
    user: UserId,
    quantity: u32,
    charge: ChargeId,
    static_link: bool,
    now: UnixMillis,
) -> Result<TipGroupId, LedgerError> {
    tx.prepare_cached(
        "INSERT INTO tip_groups (public_id, user_id, quantity, charge_id, static_link, created_at, updated_at)
         VALUES (seal(?1), ?2, ?3, ?4, ?5, ?6, ?6)",
    )?
    .execute(params![public_id, user, quantity, charge, static_link, now])?;
    Ok(TipGroupId(tx.last_insert_rowid()))
}

/// What an invoice is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Funds {
    Tip(VoucherId),
    Group(TipGroupId),
}

pub(super) fn note_charge(tx: &Tx<'_>, charge: ChargeId, funds: Funds) -> Result<(), LedgerError> {
    let (tip, group) = match funds {
        Funds::Tip(id) => (Some(id), None),
        Funds::Group(id) => (None, Some(id)),
    };
    tx.prepare_cached("INSERT INTO tip_charges (charge_id, tip_id, group_id) VALUES (?1, ?2, ?3)")?
        .execute(params![charge, tip, group])?;
    Ok(())
}

pub(super) fn funded_by(connection: &Connection, charge: ChargeId) -> Result<Option<Funds>, LedgerError> {
    let found = connection
        .prepare_cached("SELECT tip_id, group_id FROM tip_charges WHERE charge_id = ?1")?
        .query_row([charge], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(match found {
        Some((Some(tip), _)) => Some(Funds::Tip(tip)),
        Some((None, Some(group))) => Some(Funds::Group(group)),
        _ => None,
    })
}

/// Forgets an old invoice that nobody paid, unless it is the one that is shown.
pub(super) fn forget_charge(tx: &Tx<'_>, charge: ChargeId) -> Result<bool, LedgerError> {
    let changed = tx
        .prepare_cached(
            "DELETE FROM tip_charges WHERE charge_id = ?1
             AND NOT EXISTS (SELECT 1 FROM vouchers WHERE charge_id = ?1)
             AND NOT EXISTS (SELECT 1 FROM tip_groups WHERE charge_id = ?1)",
        )?
        .execute([charge])?;
    Ok(changed == 1)
}

pub(super) fn show_charge(tx: &Tx<'_>, group: TipGroupId, charge: ChargeId) -> Result<(), LedgerError> {
    tx.prepare_cached("UPDATE tip_groups SET charge_id = ?2 WHERE id = ?1")?
        .execute(params![group, charge])?;
    Ok(())
}

pub(super) fn tip(connection: &Connection, id: VoucherId) -> Result<Option<Tip>, LedgerError> {
    let sql = format!("{TIP} WHERE t.id = ?1");
    Ok(connection.prepare_cached(&sql)?.query_row([id], read_tip).optional()?)
}

pub(super) fn by_public_id(connection: &Connection, id: Cuid) -> Result<Option<Tip>, LedgerError> {
    let sql = format!("{TIP} WHERE t.public_id = seal(?1)");
    Ok(connection.prepare_cached(&sql)?.query_row([id], read_tip).optional()?)
}

pub(super) fn by_passphrase(connection: &Connection, hash: [u8; 32]) -> Result<Option<Tip>, LedgerError> {
    let sql = format!("{TIP} WHERE t.passphrase_hash = ?1");
    Ok(connection.prepare_cached(&sql)?.query_row([hash], read_tip).optional()?)
}

/// The tips of a group in their order.
pub(super) fn of_group(connection: &Connection, group: TipGroupId) -> Result<Vec<Tip>, LedgerError> {
    let sql = format!("{TIP} WHERE t.group_id = ?1 ORDER BY t.group_index");
    let mut statement = connection.prepare_cached(&sql)?;
    let found = statement.query_map([group], read_tip)?;
    Ok(found.collect::<Result<_, _>>()?)
}

pub(super) fn group(connection: &Connection, id: TipGroupId) -> Result<Option<Group>, LedgerError> {
    let sql = format!("{GROUP} WHERE g.id = ?1");
    Ok(connection.prepare_cached(&sql)?.query_row([id], read_group).optional()?)
}

pub(super) fn group_by_public_id(connection: &Connection, id: Cuid) -> Result<Option<Group>, LedgerError> {
    let sql = format!("{GROUP} WHERE g.public_id = seal(?1)");
    Ok(connection.prepare_cached(&sql)?.query_row([id], read_group).optional()?)
}

/// Which part of a tipper's list is wanted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Listing {
    /// Of each group only its first tip.
    pub(super) groups_as_one: bool,
    /// Only what is over and can be taken back.
    pub(super) reclaimable: bool,
    /// After this tip.
    pub(super) after: Option<VoucherId>,
    /// At most so many.
    pub(super) limit: Option<usize>,
}

/// Tips that somebody gives, newest first; of everybody if nobody is named.
pub(super) fn given_by(
    connection: &Connection,
    user: Option<UserId>,
    listing: Listing,
    now: UnixMillis,
) -> Result<Vec<Tip>, LedgerError> {
    // Two texts, so that a tipper's own index is used.
    let whose = if user.is_some() { "t.user_id = ?1" } else { "?1 IS NULL" };
    let sql = format!(
        "{TIP} WHERE {whose} AND t.id < ?2
           AND (NOT ?3 OR t.group_index IS NULL OR t.group_index = 1)
           AND (NOT ?4 OR (v.state = 'open' AND t.expires_at <= ?5))
         ORDER BY t.id DESC LIMIT ?6"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let after = listing.after.map_or(i64::MAX, |id| id.0);
    let limit = listing.limit.map_or(-1, |limit| i64::try_from(limit).unwrap_or(-1));
    let found = statement
        .query_map(params![user, after, listing.groups_as_one, listing.reclaimable, now, limit], read_tip)?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Tips that somebody claimed, newest first.
pub(super) fn claimed_by(
    connection: &Connection,
    user: UserId,
    after: Option<VoucherId>,
    limit: usize,
) -> Result<Vec<Tip>, LedgerError> {
    let sql =
        format!("{TIP} WHERE t.tippee_id = ?1 AND (?2 IS NULL OR t.id < ?2) ORDER BY t.id DESC LIMIT ?3");
    let mut statement = connection.prepare_cached(&sql)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let found = statement.query_map(params![user, after, limit], read_tip)?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Whether somebody has a tip of a group already.
pub(super) fn has_one_of(
    connection: &Connection,
    group: TipGroupId,
    user: UserId,
) -> Result<Option<Cuid>, LedgerError> {
    Ok(connection
        .prepare_cached(
            "SELECT unseal(public_id) FROM tips WHERE group_id = ?1 AND tippee_id = ?2 ORDER BY id LIMIT 1",
        )?
        .query_row(params![group, user], |row| row.get(0))
        .optional()?)
}

/// The language of a group's pages.
pub(super) fn of_group_locale(
    connection: &Connection,
    group: TipGroupId,
) -> Result<Option<String>, LedgerError> {
    Ok(connection
        .prepare_cached("SELECT tippee_locale FROM tips WHERE group_id = ?1 ORDER BY group_index LIMIT 1")?
        .query_row([group], |row| row.get(0))
        .optional()?
        .flatten())
}

/// A tip of a group for the next one who follows its link.
pub(super) fn free_one_of(
    connection: &Connection,
    group: TipGroupId,
    now: UnixMillis,
) -> Result<Option<Cuid>, LedgerError> {
    Ok(connection
        .prepare_cached(
            "SELECT unseal(public_id) FROM tips WHERE id = (SELECT t.id FROM tips t JOIN vouchers v ON v.id = t.id
             WHERE t.group_id = ?1 AND v.state = 'open' AND t.tippee_id IS NULL AND t.expires_at > ?2
             ORDER BY t.seen_at IS NOT NULL, t.group_index LIMIT 1)",
        )?
        .query_row(params![group, now], |row| row.get(0))
        .optional()?)
}

/// What can be withdrawn of what somebody claimed: largest first.
pub(super) fn withdrawable(
    connection: &Connection,
    user: UserId,
    now: UnixMillis,
    only: Option<VoucherId>,
    limit: usize,
) -> Result<Vec<(VoucherId, Msat)>, LedgerError> {
    let mut statement = connection.prepare_cached(
        "SELECT v.id, v.amount_msat FROM tips t JOIN vouchers v ON v.id = t.id
         WHERE t.tippee_id = ?1 AND v.state = 'open' AND t.expires_at > ?2 AND (?4 IS NULL OR t.id = ?4)
         ORDER BY v.amount_msat DESC, v.id LIMIT ?3",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let found = statement.query_map(params![user, now, limit, only], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// What somebody can take back of what they gave: largest first, or smallest.
pub(super) fn reclaimed(
    connection: &Connection,
    user: UserId,
    only: Option<VoucherId>,
    limit: usize,
    smallest_first: bool,
) -> Result<Vec<(VoucherId, Msat)>, LedgerError> {
    let mut statement = connection.prepare_cached(
        "SELECT v.id, v.amount_msat FROM tips t JOIN vouchers v ON v.id = t.id
         WHERE t.user_id = ?1 AND v.state = 'expired' AND (?3 IS NULL OR t.id = ?3)
         ORDER BY CASE WHEN ?4 THEN v.amount_msat ELSE -v.amount_msat END, v.id LIMIT ?2",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let found = statement
        .query_map(params![user, limit, only, smallest_first], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// The tips that a payout redeems.
pub(super) fn tips_of_payout(connection: &Connection, payout: PayoutId) -> Result<Vec<Tip>, LedgerError> {
    let sql = format!(
        "{TIP} WHERE t.id IN (SELECT voucher_id FROM voucher_payouts WHERE payout_id = ?1) ORDER BY t.id"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let found = statement.query_map([payout], read_tip)?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// The first of them.
pub(super) fn first_of_payout(
    connection: &Connection,
    payout: PayoutKey,
) -> Result<Option<Cuid>, LedgerError> {
    let (sql, row) = match payout {
        PayoutKey::Invoice(id) => (
            "SELECT unseal(t.public_id) FROM voucher_payouts l JOIN tips t ON t.id = l.voucher_id
             WHERE l.payout_id = ?1 ORDER BY t.id LIMIT 1",
            id.0,
        ),
        PayoutKey::Offer(id) => (
            "SELECT unseal(t.public_id) FROM voucher_offer_payouts l JOIN tips t ON t.id = l.voucher_id
             WHERE l.offer_payout_id = ?1 ORDER BY t.id LIMIT 1",
            id.0,
        ),
    };
    Ok(connection.prepare_cached(sql)?.query_row([row], |row| row.get(0)).optional()?)
}

/// A payout to this offer that is under way, of what a user has claimed or got back.
pub(super) fn under_way_to_offer(
    connection: &Connection,
    user: UserId,
    taker: Redeemer,
    offer: &str,
) -> Result<Option<OfferPayoutId>, LedgerError> {
    let whose = match taker {
        Redeemer::Recipient => "t.tippee_id = ?1 AND v.state = 'claiming'",
        Redeemer::Sender => "t.user_id = ?1 AND v.state = 'returning'",
    };
    let sql = format!(
        "SELECT o.id FROM tips t JOIN vouchers v ON v.id = t.id JOIN offer_payouts o ON o.id = v.offer_payout_id
         WHERE {whose} AND o.offer = ?2 ORDER BY o.id DESC LIMIT 1"
    );
    Ok(connection.prepare_cached(&sql)?.query_row(params![user, offer], |row| row.get(0)).optional()?)
}

/// What a tip cost.
pub(super) fn set_fee(tx: &Tx<'_>, id: VoucherId, fee: Msat) -> Result<(), LedgerError> {
    tx.prepare_cached("UPDATE tips SET fee_msat = ?2 WHERE id = ?1")?.execute(params![id, fee])?;
    Ok(())
}

/// The family's secret, made at the first start.
pub(super) fn secret(tx: &Tx<'_>) -> Result<[u8; 32], StoreError> {
    let fresh = random_bytes::<32>().map_err(|error| StoreError::Unavailable(error.to_string()))?;
    tx.execute("INSERT OR IGNORE INTO tip_secret (id, secret) VALUES (1, seal(?1))", params![fresh])?;
    Ok(tx.query_row("SELECT unseal(secret) FROM tip_secret WHERE id = 1", [], |row| row.get(0))?)
}

/// The magic words of a tip, for its tipper.
pub(super) fn words_of(tip: &Tip, sealer: &Sealer) -> Option<String> {
    tip.passphrase_sealed.as_deref().and_then(|sealed| sealer.open(sealed)).map(|words| words.expose())
}
