//! SQL of the family's tables. Amounts, states and invoices are read from the voucher, charge and payout
//! beside a gift; they are written by their own modules alone.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::codes::VerifyCode;
use super::ids::{ManageKey, OrderId};
use super::lock::CodeState;
use crate::core::ids::{ChargeId, Secret, VoucherId, random_bytes};
use crate::core::money::Msat;
use crate::core::time::UnixMillis;
use crate::ledger::{ChargeStatus, LedgerError, PayoutKey, PayoutStatus};
use crate::storage::{StoreError, Tx};
use crate::vouchers::VoucherState;

/// A gift and everything that its answers are made of.
#[derive(Clone, Debug)]
pub struct Gift {
    /// Row id, which is its voucher's.
    pub id: VoucherId,
    /// Its public id.
    pub order_id: OrderId,
    /// Who it is from.
    pub sender_name: Option<String>,
    /// What they say.
    pub sender_message: Option<String>,
    /// Its code and lock.
    pub code: CodeState,
    /// Whom to tell. The sender's alone.
    pub notify: Option<String>,
    /// What it holds.
    pub amount: Msat,
    /// Where it is in its life.
    pub state: VoucherState,
    /// When it was ordered.
    pub created_at: UnixMillis,
    /// After it it goes back.
    pub expires_at: Option<UnixMillis>,
    /// To where. The sender's alone.
    pub refund_address: Option<String>,
    /// Its invoice's row.
    pub charge: ChargeId,
    /// Whether that is paid.
    pub charge_status: ChargeStatus,
    /// The text of that.
    pub invoice: String,
    /// When it stops being payable.
    pub invoice_expires_at: UnixMillis,
    /// When it was paid.
    pub paid_at: Option<UnixMillis>,
    /// The payout it saw last.
    pub payout: Option<LastPayout>,
}

/// What a gift's answers tell of a payout.
#[derive(Clone, Debug)]
pub struct LastPayout {
    /// What names it.
    pub key: PayoutKey,
    /// The id callers know.
    pub public_id: String,
    /// What it pays: an invoice or an offer.
    pub invoice: String,
    /// When it was decided.
    pub created_at: UnixMillis,
    /// How far it is.
    pub status: PayoutStatus,
    /// What was said last about why it isn't paid.
    pub error: Option<String>,
    /// Whether it goes to the sender.
    pub is_return: bool,
}

const GIFT: &str =
    "SELECT g.id, unseal(g.order_id), g.sender_name, g.sender_message, unseal(g.sealed_code, g.id), 0,
        g.code_locked_until, g.notify, v.amount_msat, v.state, v.created_at, v.expires_at, v.return_to,
        v.charge_id, c.status, c.invoice, c.expires_at, c.settled_at,
        p.id, coalesce(p.public_id, o.public_id), coalesce(unseal(p.invoice), o.offer),
        coalesce(p.created_at, o.created_at), coalesce(p.status, o.status), coalesce(p.error, o.error),
        coalesce(l.taker, k.taker, '') = 'sender', o.id
     FROM gifts g
     JOIN vouchers v ON v.id = g.id
     JOIN charges c ON c.id = v.charge_id
     LEFT JOIN payouts p ON p.id = v.payout_id
     LEFT JOIN voucher_payouts l ON l.voucher_id = v.id AND l.payout_id = p.id
     LEFT JOIN offer_payouts o ON o.id = v.offer_payout_id
     LEFT JOIN voucher_offer_payouts k ON k.voucher_id = v.id AND k.offer_payout_id = o.id
     WHERE g.order_id = seal(?1)";

/// A name of a state as its enum.
fn parsed<T: std::str::FromStr>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    row.get_ref(column)?.as_str()?.parse().map_err(|_| rusqlite::Error::InvalidQuery)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Gift> {
    let payout = match PayoutKey::of_columns(row.get(18)?, row.get(25)?) {
        None => None,
        Some(key) => Some(LastPayout {
            key,
            public_id: row.get(19)?,
            invoice: row.get(20)?,
            created_at: row.get(21)?,
            status: parsed(row, 22)?,
            error: row.get(23)?,
            is_return: row.get(24)?,
        }),
    };
    Ok(Gift {
        id: row.get(0)?,
        order_id: row.get(1)?,
        sender_name: row.get(2)?,
        sender_message: row.get(3)?,
        code: CodeState { code: row.get(4)?, locked_until: row.get(6)? },
        notify: row.get(7)?,
        amount: row.get(8)?,
        state: parsed(row, 9)?,
        created_at: row.get(10)?,
        expires_at: row.get(11)?,
        refund_address: row.get(12)?,
        charge: row.get(13)?,
        charge_status: parsed(row, 14)?,
        invoice: row.get(15)?,
        invoice_expires_at: row.get(16)?,
        paid_at: row.get(17)?,
        payout,
    })
}

/// The gift of a public id.
///
/// # Errors
/// The query's.
pub fn by_order_id(connection: &Connection, order_id: OrderId) -> Result<Option<Gift>, LedgerError> {
    Ok(connection.prepare_cached(GIFT)?.query_row([order_id], read).optional()?)
}

/// A gift to write down.
#[derive(Debug)]
pub struct NewGift<'a> {
    /// Its voucher's row id.
    pub id: VoucherId,
    /// Its public id.
    pub order_id: OrderId,
    /// Who it is from.
    pub sender_name: Option<&'a str>,
    /// What they say.
    pub sender_message: Option<&'a str>,
    /// What the recipient must know.
    pub code: Option<VerifyCode>,
    /// Whom to tell.
    pub notify: Option<&'a str>,
    /// What to sign that with.
    pub notify_secret: Option<&'a Secret>,
    /// What opens the sender's page.
    pub manage_key: Option<&'a ManageKey>,
    /// What it costs besides its amount.
    pub fee: Msat,
}

/// Writes a gift down, in the transaction that writes its voucher.
///
/// # Errors
/// The store's.
pub fn insert(tx: &Tx<'_>, new: &NewGift<'_>) -> Result<(), LedgerError> {
    tx.prepare_cached(
        "INSERT INTO gifts (id, order_id, sender_name, sender_message, sealed_code, notify, notify_secret, manage_hash,
             fee_msat)
         VALUES (?1, seal(?2), ?3, ?4, seal(?5, ?1), ?6, seal(?7, ?1), ?8, ?9)",
    )?
    .execute(params![
        new.id,
        new.order_id,
        new.sender_name,
        new.sender_message,
        new.code,
        new.notify,
        new.notify_secret.map(Secret::expose),
        new.manage_key.map(ManageKey::hash),
        new.fee,
    ])?;
    Ok(())
}

/// The hash of the manage key of a gift, and the gift's row.
pub(super) fn manage_hash(
    connection: &Connection,
    order_id: OrderId,
) -> Result<Option<[u8; 32]>, LedgerError> {
    let found = connection
        .prepare_cached("SELECT manage_hash FROM gifts WHERE order_id = seal(?1)")?
        .query_row([order_id], |row| row.get::<_, Option<[u8; 32]>>(0))
        .optional()?;
    Ok(found.flatten())
}

/// What the listener needs to tell the world about a voucher's change.
#[derive(Debug)]
pub(super) struct Telling {
    pub(super) order_id: OrderId,
    pub(super) notify: Option<String>,
    pub(super) notify_secret: Option<Secret>,
}

pub(super) fn telling(connection: &Connection, id: VoucherId) -> Result<Option<Telling>, LedgerError> {
    Ok(connection
        .prepare_cached(
            "SELECT unseal(order_id), notify, unseal(notify_secret, id) FROM gifts WHERE id = ?1",
        )?
        .query_row([id], |row| {
            let secret: Option<String> = row.get(2)?;
            Ok(Telling { order_id: row.get(0)?, notify: row.get(1)?, notify_secret: secret.map(Secret::new) })
        })
        .optional()?)
}

/// A gift that costs a fee.
#[derive(Debug)]
pub(super) struct WithFee {
    pub(super) id: VoucherId,
    pub(super) amount: Msat,
    pub(super) fee: Msat,
    pub(super) expires_at: Option<UnixMillis>,
}

/// Gifts of a charge that cost a fee and are not funded yet.
pub(super) fn with_fee(connection: &Connection, charge: ChargeId) -> Result<Vec<WithFee>, LedgerError> {
    let mut statement = connection.prepare_cached(
        "SELECT g.id, v.amount_msat, g.fee_msat, v.expires_at FROM vouchers v JOIN gifts g ON g.id = v.id
         WHERE v.charge_id = ?1 AND v.state = 'unfunded' AND g.fee_msat > 0",
    )?;
    let rows = statement.query_map([charge], |row| {
        Ok(WithFee { id: row.get(0)?, amount: row.get(1)?, fee: row.get(2)?, expires_at: row.get(3)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// What was earned of a gift.
pub(super) fn fee(connection: &Connection, id: VoucherId) -> Result<Msat, LedgerError> {
    let mut statement = connection.prepare_cached("SELECT fee_msat FROM gifts WHERE id = ?1")?;
    Ok(statement.query_row([id], |row| row.get(0))?)
}

/// What was earned of a gift changes.
pub(super) fn set_fee(tx: &Tx<'_>, id: VoucherId, fee: Msat) -> Result<(), LedgerError> {
    tx.prepare_cached("UPDATE gifts SET fee_msat = ?2 WHERE id = ?1")?.execute(params![id, fee])?;
    Ok(())
}

/// Removes a gift that nobody paid for.
pub(super) fn delete(tx: &Tx<'_>, id: VoucherId) -> Result<(), LedgerError> {
    tx.prepare_cached("DELETE FROM gifts WHERE id = ?1")?.execute([id])?;
    Ok(())
}

/// The status of a charge of this family.
pub(super) fn charge_status(
    connection: &Connection,
    id: ChargeId,
) -> Result<Option<(ChargeStatus, UnixMillis)>, LedgerError> {
    Ok(connection
        .prepare_cached("SELECT status, expires_at FROM charges WHERE id = ?1 AND family = 'gifts'")?
        .query_row([id], |row| Ok((parsed(row, 0)?, row.get(1)?)))
        .optional()?)
}

/// The status of the charge behind a gift.
pub(super) fn charge_status_of(
    connection: &Connection,
    order_id: OrderId,
) -> Result<Option<(ChargeStatus, UnixMillis)>, LedgerError> {
    Ok(connection
        .prepare_cached(
            "SELECT c.status, c.expires_at FROM gifts g
             JOIN vouchers v ON v.id = g.id JOIN charges c ON c.id = v.charge_id WHERE g.order_id = seal(?1)",
        )?
        .query_row([order_id], |row| Ok((parsed(row, 0)?, row.get(1)?)))
        .optional()?)
}

/// A gift in the operator's list.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Row id: where the next page begins.
    pub id: VoucherId,
    /// Public id.
    pub order_id: OrderId,
    /// What it holds.
    pub amount: Msat,
    /// Where it is in its life.
    pub state: VoucherState,
    /// Whether its invoice is paid.
    pub charge_status: ChargeStatus,
    /// When it was ordered.
    pub created_at: UnixMillis,
    /// After it it goes back.
    pub expires_at: Option<UnixMillis>,
    /// When its invoice stops being payable.
    pub invoice_expires_at: UnixMillis,
}

/// Gifts with a row id below `before`, newest first.
pub(super) fn list(
    connection: &Connection,
    before: VoucherId,
    limit: u32,
) -> Result<Vec<Listed>, LedgerError> {
    let mut statement = connection.prepare_cached(
        "SELECT g.id, unseal(g.order_id), v.amount_msat, v.state, c.status, v.created_at, v.expires_at, c.expires_at FROM gifts g
         JOIN vouchers v ON v.id = g.id JOIN charges c ON c.id = v.charge_id
         WHERE g.id < ?1 ORDER BY g.id DESC LIMIT ?2",
    )?;
    let rows = statement.query_map(params![before, limit], |row| {
        Ok(Listed {
            id: row.get(0)?,
            order_id: row.get(1)?,
            amount: row.get(2)?,
            state: parsed(row, 3)?,
            charge_status: parsed(row, 4)?,
            created_at: row.get(5)?,
            expires_at: row.get(6)?,
            invoice_expires_at: row.get(7)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The family's secret, made the first time.
pub(super) fn secret(tx: &Tx<'_>) -> Result<[u8; 32], StoreError> {
    let fresh = random_bytes::<32>().map_err(|error| StoreError::Unavailable(error.to_string()))?;
    tx.execute("INSERT OR IGNORE INTO gift_secret (id, secret) VALUES (1, seal(?1))", params![fresh])?;
    Ok(tx.query_row("SELECT unseal(secret) FROM gift_secret WHERE id = 1", [], |row| row.get(0))?)
}
