//! The rows of payments that purses made.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::core::ids::{AccountId, FeeReserveId, PaymentHash, PayoutId, Preimage, PurseId, PursePaymentId};
use crate::core::money::Msat;
use crate::core::time::UnixMillis;
use crate::ledger::LedgerError;
use crate::services::purse::store::Day;
use crate::storage::{StoreError, Tx};

/// How far a payment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PaymentStatus {
    /// On its way, or nobody knows.
    Pending,
    /// Arrived.
    Paid,
    /// Not sent; the money is back in the balance.
    Failed,
}

impl PaymentStatus {
    const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Paid => "paid",
            Self::Failed => "failed",
        }
    }
}

/// A payment.
#[derive(Clone, Debug)]
pub(in crate::services::purse) struct Payment {
    pub(in crate::services::purse) id: PursePaymentId,
    pub(in crate::services::purse) public_id: String,
    pub(in crate::services::purse) purse: PurseId,
    pub(in crate::services::purse) account: AccountId,
    pub(in crate::services::purse) request_hash: Option<[u8; 32]>,
    /// What was bought, without its query; `None` if an invoice was paid.
    pub(in crate::services::purse) resource: Option<(String, String)>,
    /// Sealed.
    pub(in crate::services::purse) proof: Option<Vec<u8>>,
    pub(in crate::services::purse) amount: Msat,
    pub(in crate::services::purse) reserve: Msat,
    pub(in crate::services::purse) fee_reserve: Option<FeeReserveId>,
    pub(in crate::services::purse) fee: Option<Msat>,
    pub(in crate::services::purse) status: PaymentStatus,
    pub(in crate::services::purse) created_at: UnixMillis,
    /// For whose limit it counts.
    pub(in crate::services::purse) day: Day,
    pub(in crate::services::purse) finished_at: Option<UnixMillis>,
    pub(in crate::services::purse) error: Option<String>,
    pub(in crate::services::purse) payment_hash: PaymentHash,
    pub(in crate::services::purse) preimage: Option<Preimage>,
}

const PAYMENT: &str = "SELECT q.id, q.public_id, q.purse_id, q.account_id, q.request_hash, q.origin, q.path, q.proof,
     q.amount_msat, q.reserve_msat, q.fee_reserve_id, q.fee_msat, q.status, q.created_at, q.finished_at, q.error,
     p.payment_hash, p.preimage, q.day
     FROM purse_payments q JOIN payouts p ON p.id = q.payout_id";

fn read(row: &Row<'_>) -> rusqlite::Result<Payment> {
    let status = match row.get::<_, String>(12)?.as_str() {
        "pending" => PaymentStatus::Pending,
        "paid" => PaymentStatus::Paid,
        _ => PaymentStatus::Failed,
    };
    let created_at = row.get(13)?;
    Ok(Payment {
        id: row.get(0)?,
        public_id: row.get(1)?,
        purse: row.get(2)?,
        account: row.get(3)?,
        request_hash: row.get(4)?,
        resource: row.get::<_, Option<String>>(5)?.zip(row.get(6)?),
        proof: row.get(7)?,
        amount: row.get(8)?,
        reserve: row.get(9)?,
        fee_reserve: row.get(10)?,
        fee: row.get(11)?,
        status,
        created_at,
        day: row.get::<_, Option<i64>>(18)?.map_or(Day::of(created_at), Day),
        finished_at: row.get(14)?,
        error: row.get(15)?,
        payment_hash: row.get(16)?,
        preimage: row.get(17)?,
    })
}

/// A payment to write down.
pub(in crate::services::purse) struct Draft<'a> {
    pub(in crate::services::purse) public_id: &'a str,
    pub(in crate::services::purse) purse: PurseId,
    pub(in crate::services::purse) account: AccountId,
    /// `Idempotency-Key` and digest of the request.
    pub(in crate::services::purse) request: Option<(&'a str, [u8; 32])>,
    pub(in crate::services::purse) resource: Option<(&'a str, &'a str)>,
    pub(in crate::services::purse) proof: Option<&'a [u8]>,
    pub(in crate::services::purse) amount: Msat,
    pub(in crate::services::purse) reserve: Msat,
    pub(in crate::services::purse) fee_reserve: Option<FeeReserveId>,
    pub(in crate::services::purse) day: Day,
}

pub(in crate::services::purse) fn insert(
    tx: &Tx<'_>,
    draft: &Draft<'_>,
    payout: PayoutId,
    now: UnixMillis,
) -> Result<(), LedgerError> {
    tx.prepare_cached(
        "INSERT INTO purse_payments (public_id, purse_id, account_id, payout_id, request_key, request_hash, origin, path,
             proof, amount_msat, reserve_msat, fee_reserve_id, status, created_at, day)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, 'pending', ?13, ?14)",
    )?
    .execute(params![
        draft.public_id,
        draft.purse,
        draft.account,
        payout,
        draft.request.map(|(key, _)| key),
        draft.request.map(|(_, hash)| hash),
        draft.resource.map(|(origin, _)| origin),
        draft.resource.map(|(_, path)| path),
        draft.proof,
        draft.amount,
        draft.reserve,
        draft.fee_reserve,
        now,
        draft.day.0,
    ])?;
    Ok(())
}

fn one(
    connection: &Connection,
    which: &str,
    values: impl rusqlite::Params,
) -> Result<Option<Payment>, LedgerError> {
    let sql = format!("{PAYMENT} WHERE {which}");
    Ok(connection.prepare_cached(&sql)?.query_row(values, read).optional()?)
}

pub(in crate::services::purse) fn by_id(
    connection: &Connection,
    id: PursePaymentId,
) -> Result<Option<Payment>, LedgerError> {
    one(connection, "q.id = ?1", [id])
}

pub(in crate::services::purse) fn by_payout(
    connection: &Connection,
    payout: PayoutId,
) -> Result<Option<Payment>, LedgerError> {
    one(connection, "q.payout_id = ?1", [payout])
}

pub(in crate::services::purse) fn by_public_id(
    connection: &Connection,
    purse: PurseId,
    id: &str,
) -> Result<Option<Payment>, LedgerError> {
    one(connection, "q.public_id = ?1 AND q.purse_id = ?2", params![id, purse])
}

/// What the request with this key has paid, unless it failed.
pub(in crate::services::purse) fn by_request(
    connection: &Connection,
    purse: PurseId,
    key: &str,
) -> Result<Option<Payment>, LedgerError> {
    one(
        connection,
        "q.purse_id = ?1 AND q.request_key = ?2 AND q.request_key IS NOT NULL AND q.status <> 'failed'",
        params![purse, key],
    )
}

/// The newest credential that was paid for at this origin and path.
pub(in crate::services::purse) fn usable(
    connection: &Connection,
    purse: PurseId,
    (origin, path): (&str, &str),
) -> Result<Option<Payment>, LedgerError> {
    one(
        connection,
        "q.purse_id = ?1 AND q.origin = ?2 AND q.path = ?3 AND q.usable = 1 ORDER BY q.id DESC LIMIT 1",
        params![purse, origin, path],
    )
}

/// Sets whether later requests show a payment's credential.
pub(in crate::services::purse) fn set_usable(
    tx: &Tx<'_>,
    id: PursePaymentId,
    usable: bool,
) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE purse_payments SET usable = ?2 WHERE id = ?1")?.execute(params![id, usable])?;
    Ok(())
}

/// It ended.
pub(in crate::services::purse) fn finish(
    tx: &Tx<'_>,
    id: PursePaymentId,
    status: PaymentStatus,
    (fee, uncovered): (Option<Msat>, Msat),
    error: Option<&str>,
    now: UnixMillis,
) -> Result<(), LedgerError> {
    tx.prepare_cached(
        "UPDATE purse_payments SET status = ?2, fee_msat = ?3, uncovered_msat = ?4, error = ?5, finished_at = ?6
         WHERE id = ?1",
    )?
    .execute(params![id, status.name(), fee, uncovered, error, now])?;
    Ok(())
}

/// It had failed, and its request may have paid again under the same key: the key names the later payment.
pub(in crate::services::purse) fn forget_request(tx: &Tx<'_>, id: PursePaymentId) -> Result<(), LedgerError> {
    tx.prepare_cached("UPDATE purse_payments SET request_key = NULL WHERE id = ?1")?.execute([id])?;
    Ok(())
}

/// The purse's payments, newest first, from before this one.
pub(in crate::services::purse) fn list(
    connection: &Connection,
    purse: PurseId,
    before: Option<PursePaymentId>,
    limit: usize,
) -> Result<Vec<Payment>, LedgerError> {
    let sql = format!(
        "{PAYMENT} WHERE q.purse_id = ?1 AND q.id < coalesce(?2, 9223372036854775807) ORDER BY q.id DESC LIMIT ?3"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let found = statement.query_map(params![purse, before, limit], read)?;
    Ok(found.collect::<Result<_, _>>()?)
}
