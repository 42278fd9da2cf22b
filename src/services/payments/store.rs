//! The rows of the family.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::ids::InvoiceId;
use super::request::NewPayment;
use super::status::PaymentStatus;
use crate::core::decimal::Decimal;
use crate::core::ids::{AccountId, ChargeId, PaymentId};
use crate::core::money::Msat;
use crate::core::time::UnixMillis;
use crate::ledger::LedgerError;
use crate::rates::{Quote, Unit};
use crate::storage::Tx;

/// A payment with its invoice.
#[derive(Clone, Debug)]
pub struct Payment {
    /// Row id.
    pub id: PaymentId,
    /// What callers know it by.
    pub public_id: InvoiceId,
    /// Whose it is.
    pub account: AccountId,
    /// The shop's name for it.
    pub order_id: String,
    /// Its invoice.
    pub charge: ChargeId,
    /// The BOLT11 text.
    pub invoice: String,
    /// As it stands in the database; [`Payment::status_at`] knows the time.
    pub status: PaymentStatus,
    /// As ordered.
    pub amount: Decimal,
    /// Of what.
    pub unit: Unit,
    /// What the invoice asks for.
    pub sats: Msat,
    /// Fiat for a bitcoin, if it was ordered in fiat.
    pub rate: Option<Decimal>,
    /// Whose word the rate was.
    pub rate_source: Option<String>,
    /// What came in.
    pub received: Msat,
    /// What the operator takes of it.
    pub fee: Msat,
    /// Refunds that have not failed.
    pub refunding: Msat,
    /// Refunds that have arrived.
    pub refunded: Msat,
    /// For the customer.
    pub description: Option<String>,
    /// Where the customer goes once they have paid.
    pub success_url: Option<String>,
    /// Where they go if they don't.
    pub cancel_url: Option<String>,
    /// When it was ordered.
    pub created_at: UnixMillis,
    /// When it can't be paid any more.
    pub expires_at: UnixMillis,
    /// When it was paid.
    pub paid_at: Option<UnixMillis>,
}

impl Payment {
    /// Where it stands: what nobody has paid is over to the second.
    pub fn status_at(&self, now: UnixMillis) -> PaymentStatus {
        match self.status {
            PaymentStatus::Unpaid if self.expires_at <= now => PaymentStatus::Expired,
            status => status,
        }
    }
}

const PAYMENT: &str =
    "SELECT p.id, p.public_id, p.account_id, p.order_id, p.charge_id, c.invoice, p.status, p.amount,
     p.currency, p.amount_msat, p.rate, p.rate_source, p.received_msat, p.refunding_msat, p.refunded_msat,
     p.description, p.success_url, p.cancel_url, p.created_at, p.expires_at, p.paid_at, p.fee_msat
     FROM payments p JOIN charges c ON c.id = p.charge_id";

fn read(row: &Row<'_>) -> rusqlite::Result<Payment> {
    Ok(Payment {
        id: row.get(0)?,
        public_id: row.get(1)?,
        account: row.get(2)?,
        order_id: row.get(3)?,
        charge: row.get(4)?,
        invoice: row.get(5)?,
        status: row.get(6)?,
        amount: row.get(7)?,
        unit: row.get(8)?,
        sats: row.get(9)?,
        rate: row.get(10)?,
        rate_source: row.get(11)?,
        received: row.get(12)?,
        refunding: row.get(13)?,
        refunded: row.get(14)?,
        description: row.get(15)?,
        success_url: row.get(16)?,
        cancel_url: row.get(17)?,
        created_at: row.get(18)?,
        expires_at: row.get(19)?,
        paid_at: row.get(20)?,
        fee: row.get(21)?,
    })
}

/// A payment to write down.
pub(super) struct Draft<'a> {
    pub(super) public_id: InvoiceId,
    pub(super) account: AccountId,
    pub(super) charge: ChargeId,
    pub(super) new: &'a NewPayment,
    pub(super) sats: Msat,
    pub(super) fee: Msat,
    pub(super) quote: Option<&'a Quote>,
    pub(super) expires_at: UnixMillis,
}

/// Writes one down; answers it as it stands now.
pub(super) fn insert(
    tx: &Tx<'_>,
    draft: &Draft<'_>,
    invoice: String,
    now: UnixMillis,
) -> Result<Payment, LedgerError> {
    let new = draft.new;
    tx.prepare_cached(
        "INSERT INTO payments (public_id, account_id, order_id, charge_id, status, amount, currency, amount_msat, rate,
             rate_source, rate_at, description, customer_email, customer_name, success_url, cancel_url, metadata,
             created_at, expires_at, fee_msat)
         VALUES (?1, ?2, ?3, ?4, 'unpaid', ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)",
    )?
    .execute(params![
        draft.public_id,
        draft.account,
        new.order_id,
        draft.charge,
        new.amount,
        new.unit,
        draft.sats,
        draft.quote.map(|quote| quote.rate),
        draft.quote.map(Quote::source),
        draft.quote.map(|quote| quote.at),
        new.description,
        new.customer_email,
        new.customer_name,
        new.success_url,
        new.cancel_url,
        new.metadata,
        now,
        draft.expires_at,
        draft.fee,
    ])?;
    Ok(Payment {
        id: PaymentId(tx.last_insert_rowid()),
        public_id: draft.public_id,
        account: draft.account,
        order_id: new.order_id.clone(),
        charge: draft.charge,
        invoice,
        status: PaymentStatus::Unpaid,
        amount: new.amount,
        unit: new.unit,
        sats: draft.sats,
        rate: draft.quote.map(|quote| quote.rate),
        rate_source: draft.quote.map(Quote::source),
        received: Msat::ZERO,
        fee: draft.fee,
        refunding: Msat::ZERO,
        refunded: Msat::ZERO,
        description: new.description.clone(),
        success_url: new.success_url.clone(),
        cancel_url: new.cancel_url.clone(),
        created_at: now,
        expires_at: draft.expires_at,
        paid_at: None,
    })
}

pub(super) fn by_id(connection: &Connection, id: PaymentId) -> Result<Payment, LedgerError> {
    let found =
        connection.prepare_cached(&format!("{PAYMENT} WHERE p.id = ?1"))?.query_row([id], read).optional()?;
    found.ok_or_else(|| LedgerError::Broken(format!("payment {id} is missing")))
}

pub(super) fn by_public_id(connection: &Connection, id: InvoiceId) -> Result<Option<Payment>, LedgerError> {
    Ok(connection
        .prepare_cached(&format!("{PAYMENT} WHERE p.public_id = ?1"))?
        .query_row([id], read)
        .optional()?)
}

pub(super) fn by_charge(connection: &Connection, charge: ChargeId) -> Result<Option<Payment>, LedgerError> {
    Ok(connection
        .prepare_cached(&format!("{PAYMENT} WHERE p.charge_id = ?1"))?
        .query_row([charge], read)
        .optional()?)
}

/// The paid one of an order if there is one, else the newest. One that went back whole is not a paid one any more.
pub(super) fn by_order(
    connection: &Connection,
    account: AccountId,
    order: &str,
) -> Result<Option<Payment>, LedgerError> {
    Ok(connection
        .prepare_cached(&format!(
            "{PAYMENT} WHERE p.account_id = ?1 AND p.order_id = ?2
             ORDER BY p.status = 'paid' DESC, p.id DESC LIMIT 1"
        ))?
        .query_row(params![account, order], read)
        .optional()?)
}

/// The newest of the same order at the same price that can still be paid, or is being paid.
pub(super) fn payable(
    connection: &Connection,
    account: AccountId,
    new: &NewPayment,
    now: UnixMillis,
) -> Result<Option<Payment>, LedgerError> {
    // Its cost is that of those that are open, however often the order was made before. Most often there is none.
    let waiting: Option<PaymentId> = connection
        .prepare_cached(
            "SELECT id FROM payments INDEXED BY payments_by_order
             WHERE account_id = ?1 AND order_id = ?2 AND status IN ('unpaid', 'processing')
               AND (status = 'processing' OR expires_at > ?3) AND amount = ?4 AND currency = ?5
             ORDER BY id DESC LIMIT 1",
        )?
        .query_row(params![account, new.order_id, now, new.amount, new.unit], |row| row.get(0))
        .optional()?;
    waiting.map(|id| by_id(connection, id)).transpose()
}

/// What was paid for an order, if it was and has not all gone back.
pub(super) fn paid_for(
    connection: &Connection,
    account: AccountId,
    order: &str,
) -> Result<Option<InvoiceId>, LedgerError> {
    Ok(connection
        .prepare_cached(
            "SELECT public_id FROM payments INDEXED BY payments_by_order
             WHERE account_id = ?1 AND order_id = ?2 AND status = 'paid' ORDER BY id DESC LIMIT 1",
        )?
        .query_row(params![account, order], |row| row.get(0))
        .optional()?)
}

/// A page of an account's payments, newest first. What is over is not among the unpaid, though nobody has marked
/// it yet.
pub(super) fn list(
    connection: &Connection,
    account: AccountId,
    status: Option<PaymentStatus>,
    before: Option<PaymentId>,
    limit: usize,
    now: UnixMillis,
) -> Result<Vec<Payment>, LedgerError> {
    // Two texts, so that each has its index.
    let with = match status {
        Some(_) => "p.status = ?2 AND (p.status <> 'unpaid' OR p.expires_at > ?5)",
        None => "?2 IS NULL AND ?5 IS NOT NULL",
    };
    let mut statement = connection.prepare_cached(&format!(
        "{PAYMENT} WHERE p.account_id = ?1 AND {with} AND p.id < ?3 ORDER BY p.id DESC LIMIT ?4"
    ))?;
    let before = before.map_or(i64::MAX, |id| id.0);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let found = statement.query_map(params![account, status, before, limit, now], read)?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// A payment's way on. Money is never taken away by it.
pub(super) fn set_status(tx: &Tx<'_>, id: PaymentId, status: PaymentStatus) -> Result<(), LedgerError> {
    tx.prepare_cached("UPDATE payments SET status = ?2 WHERE id = ?1")?.execute(params![id, status])?;
    Ok(())
}

pub(super) fn paid(tx: &Tx<'_>, id: PaymentId, received: Msat, now: UnixMillis) -> Result<(), LedgerError> {
    tx.prepare_cached(
        "UPDATE payments SET status = 'paid', received_msat = received_msat + ?2, paid_at = coalesce(paid_at, ?3)
         WHERE id = ?1",
    )?
    .execute(params![id, received, now])?;
    Ok(())
}

/// What the operator took of a payment.
pub(super) fn set_fee(tx: &Tx<'_>, id: PaymentId, fee: Msat) -> Result<(), LedgerError> {
    tx.prepare_cached("UPDATE payments SET fee_msat = ?2 WHERE id = ?1")?.execute(params![id, fee])?;
    Ok(())
}

/// Marks what nobody paid in time; answers it, and whether somebody has been told of it before.
pub(super) fn expire(
    tx: &Tx<'_>,
    now: UnixMillis,
    limit: i64,
) -> Result<Vec<(PaymentId, bool)>, LedgerError> {
    let mut statement = tx.prepare_cached(
        "UPDATE payments SET status = 'expired' WHERE id IN
             (SELECT id FROM payments WHERE status = 'unpaid' AND expires_at <= ?1 ORDER BY expires_at LIMIT ?2)
         RETURNING id, expiry_told",
    )?;
    let over = statement.query_map(params![now, limit], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(over.collect::<Result<_, _>>()?)
}

/// A refund begins, or counts after all.
pub(super) fn add_refunding(tx: &Tx<'_>, id: PaymentId, amount: Msat) -> Result<(), LedgerError> {
    tx.prepare_cached("UPDATE payments SET refunding_msat = refunding_msat + ?2 WHERE id = ?1")?
        .execute(params![id, amount])?;
    Ok(())
}

/// A refund has failed.
pub(super) fn take_refunding(tx: &Tx<'_>, id: PaymentId, amount: Msat) -> Result<(), LedgerError> {
    tx.prepare_cached("UPDATE payments SET refunding_msat = refunding_msat - ?2 WHERE id = ?1")?
        .execute(params![id, amount])?;
    Ok(())
}

/// A refund has arrived.
pub(super) fn add_refunded(tx: &Tx<'_>, id: PaymentId, amount: Msat) -> Result<(), LedgerError> {
    tx.prepare_cached("UPDATE payments SET refunded_msat = refunded_msat + ?2 WHERE id = ?1")?
        .execute(params![id, amount])?;
    Ok(())
}

/// The account of this name.
pub(super) fn account(connection: &Connection, name: &str) -> Result<Option<AccountId>, LedgerError> {
    Ok(connection
        .prepare_cached("SELECT id FROM accounts WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?)
}

/// The world knows that it is over.
pub(super) fn note_expiry_told(tx: &Tx<'_>, id: PaymentId) -> Result<(), LedgerError> {
    tx.prepare_cached("UPDATE payments SET expiry_told = 1 WHERE id = ?1")?.execute([id])?;
    Ok(())
}
