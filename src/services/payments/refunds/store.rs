//! The rows of refunds.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::core::decimal::Decimal;
use crate::core::ids::{AccountId, CoinSendId, PaymentId, PayoutId};
use crate::core::money::Msat;
use crate::core::time::UnixMillis;
use crate::ledger::LedgerError;
use crate::rates::Unit;
use crate::services::payments::ids::{InvoiceId, RefundId};
use crate::services::payments::status::RefundStatus;
use crate::services::payments::store::Payment;
use crate::storage::Tx;

/// A refund.
#[derive(Clone, Debug)]
pub struct Refund {
    /// Row id.
    pub id: i64,
    /// What callers know it by.
    pub public_id: RefundId,
    /// Of which payment.
    pub payment: PaymentId,
    /// The same as callers know it.
    pub invoice_id: InvoiceId,
    /// Whose it is.
    pub account: AccountId,
    /// As asked for.
    pub amount: Decimal,
    /// Of what.
    pub unit: Unit,
    /// What the customer gets.
    pub sats: Msat,
    /// On-chain: the address it goes to.
    pub address: Option<String>,
    /// On-chain: the transaction, once known.
    pub txid: Option<String>,
    /// For the shop.
    pub reason: Option<String>,
    /// Where it stands.
    pub status: RefundStatus,
    /// When it was asked for.
    pub created_at: UnixMillis,
    /// When it arrived.
    pub completed_at: Option<UnixMillis>,
    /// When what carries it ended.
    pub ended_at: Option<UnixMillis>,
    /// What carries it said when it failed.
    pub error: Option<String>,
    /// Of one that arrived after it had failed: what had been refunded otherwise meanwhile.
    pub uncovered: Msat,
    /// The operator's fee that went back to the account with it.
    pub fee_back: Msat,
}

const REFUND: &str =
    "SELECT r.id, r.public_id, r.payment_id, p.public_id, r.account_id, r.amount, p.currency,
     r.amount_msat, r.reason, r.status, r.created_at, r.completed_at, r.uncovered_msat, r.address, c.txid,
     coalesce(o.finished_at, c.finished_at), coalesce(o.error, c.error), r.fee_back_msat
     FROM payment_refunds r JOIN payments p ON p.id = r.payment_id
     LEFT JOIN payouts o ON o.id = r.payout_id
     LEFT JOIN coin_sends c ON c.id = r.coin_send_id";

fn read(row: &Row<'_>) -> rusqlite::Result<Refund> {
    Ok(Refund {
        id: row.get(0)?,
        public_id: row.get(1)?,
        payment: row.get(2)?,
        invoice_id: row.get(3)?,
        account: row.get(4)?,
        amount: row.get(5)?,
        unit: row.get(6)?,
        sats: row.get(7)?,
        reason: row.get(8)?,
        status: row.get(9)?,
        created_at: row.get(10)?,
        completed_at: row.get(11)?,
        uncovered: row.get(12)?,
        address: row.get(13)?,
        txid: row.get(14)?,
        ended_at: row.get(15)?,
        fee_back: row.get(17)?,
        error: row.get(16)?,
    })
}

/// What carries a refund.
pub(super) enum Carrier<'a> {
    Payout(PayoutId),
    Coins(CoinSendId, &'a str),
}

/// A refund to write down.
pub(super) struct Draft<'a> {
    pub(super) public_id: RefundId,
    pub(super) payment: &'a Payment,
    pub(super) carrier: Carrier<'a>,
    pub(super) amount: Decimal,
    pub(super) sats: Msat,
    pub(super) reason: &'a Option<String>,
}

pub(super) fn insert(tx: &Tx<'_>, draft: &Draft<'_>, now: UnixMillis) -> Result<i64, LedgerError> {
    let (payout, coins, address) = match draft.carrier {
        Carrier::Payout(payout) => (Some(payout), None, None),
        Carrier::Coins(coins, address) => (None, Some(coins), Some(address)),
    };
    tx.prepare_cached(
        "INSERT INTO payment_refunds (public_id, payment_id, account_id, payout_id, amount, amount_msat, reason, status,
             created_at, coin_send_id, address)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'pending', ?8, ?9, ?10)",
    )?
    .execute(params![
        draft.public_id,
        draft.payment.id,
        draft.payment.account,
        payout,
        draft.amount,
        draft.sats,
        draft.reason,
        now,
        coins,
        address,
    ])?;
    Ok(tx.last_insert_rowid())
}

pub(super) fn by_id(connection: &Connection, id: i64) -> Result<Refund, LedgerError> {
    let found =
        connection.prepare_cached(&format!("{REFUND} WHERE r.id = ?1"))?.query_row([id], read).optional()?;
    found.ok_or_else(|| LedgerError::Broken(format!("refund {id} is missing")))
}

pub(super) fn by_public_id(connection: &Connection, id: RefundId) -> Result<Option<Refund>, LedgerError> {
    Ok(connection
        .prepare_cached(&format!("{REFUND} WHERE r.public_id = ?1"))?
        .query_row([id], read)
        .optional()?)
}

pub(super) fn by_payout(connection: &Connection, payout: PayoutId) -> Result<Option<Refund>, LedgerError> {
    Ok(connection
        .prepare_cached(&format!("{REFUND} WHERE r.payout_id = ?1"))?
        .query_row([payout], read)
        .optional()?)
}

pub(super) fn by_coins(connection: &Connection, coins: CoinSendId) -> Result<Option<Refund>, LedgerError> {
    Ok(connection
        .prepare_cached(&format!("{REFUND} WHERE r.coin_send_id = ?1"))?
        .query_row([coins], read)
        .optional()?)
}

/// What has been refunded, or is being, in the payment's unit. Read from an index of its own, however many have
/// failed; of those that have not, each took a sat, a payout and a place in its account's quota, so there are few.
pub(super) fn live_amounts(connection: &Connection, payment: PaymentId) -> Result<Vec<Decimal>, LedgerError> {
    let mut statement = connection
        .prepare_cached("SELECT amount FROM payment_refunds WHERE payment_id = ?1 AND status <> 'failed'")?;
    let found = statement.query_map([payment], |row| row.get(0))?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Those that arrived after they had failed and took what was not there any more, oldest first.
pub(super) fn uncovered(connection: &Connection, payment: PaymentId) -> Result<Vec<Refund>, LedgerError> {
    let mut statement = connection.prepare_cached(&format!(
        "{REFUND} WHERE r.payment_id = ?1 AND r.uncovered_msat > 0 ORDER BY r.id"
    ))?;
    let found = statement.query_map([payment], read)?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// A page of an account's refunds, newest first.
pub(super) fn list(
    connection: &Connection,
    account: AccountId,
    payment: Option<PaymentId>,
    before: Option<i64>,
    limit: usize,
) -> Result<Vec<Refund>, LedgerError> {
    // Two texts, so that each has its index.
    let of = if payment.is_some() { "r.payment_id = ?2" } else { "?2 IS NULL" };
    let mut statement = connection.prepare_cached(&format!(
        "{REFUND} WHERE r.account_id = ?1 AND {of} AND r.id < ?3 ORDER BY r.id DESC LIMIT ?4"
    ))?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let found = statement.query_map(params![account, payment, before.unwrap_or(i64::MAX), limit], read)?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// The operator's fee went back with it, or did not after all.
pub(super) fn set_fee_back(tx: &Tx<'_>, id: i64, fee: Msat) -> Result<(), LedgerError> {
    tx.prepare_cached("UPDATE payment_refunds SET fee_back_msat = ?2 WHERE id = ?1")?
        .execute(params![id, fee])?;
    Ok(())
}

/// It arrived; `uncovered` of it had been refunded otherwise.
pub(super) fn complete(tx: &Tx<'_>, id: i64, uncovered: Msat, now: UnixMillis) -> Result<(), LedgerError> {
    tx.prepare_cached(
        "UPDATE payment_refunds SET status = 'completed', completed_at = ?3, uncovered_msat = ?2 WHERE id = ?1",
    )?
    .execute(params![id, uncovered, now])?;
    Ok(())
}

pub(super) fn fail(tx: &Tx<'_>, id: i64) -> Result<(), LedgerError> {
    tx.prepare_cached("UPDATE payment_refunds SET status = 'failed' WHERE id = ?1 AND status = 'pending'")?
        .execute([id])?;
    Ok(())
}

pub(super) fn cover(tx: &Tx<'_>, id: i64, amount: Msat) -> Result<(), LedgerError> {
    tx.prepare_cached("UPDATE payment_refunds SET uncovered_msat = uncovered_msat - ?2 WHERE id = ?1")?
        .execute(params![id, amount])?;
    Ok(())
}
