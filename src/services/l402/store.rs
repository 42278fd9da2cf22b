//! The rows of the family.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::status::ChallengeStatus;
use crate::core::ids::{AccountId, ChargeId, PaymentHash, random_bytes};
use crate::core::money::Msat;
use crate::core::time::UnixMillis;
use crate::ledger::LedgerError;
use crate::storage::{StoreError, Tx};

/// A challenge with its invoice.
#[derive(Clone, Debug)]
pub struct Challenge {
    /// Row id.
    pub id: i64,
    /// Names its payment.
    pub payment_hash: PaymentHash,
    /// Whose resource; `None` is the operator's own.
    pub account: Option<AccountId>,
    /// What it opens.
    pub resource: String,
    /// The public id of the proxy that it opens, if it is one.
    pub product: Option<String>,
    /// What it costs, in sat.
    pub price_sat: u64,
    /// For the payer.
    pub description: Option<String>,
    /// The token's own id.
    pub token: [u8; 32],
    /// When the token ends, in unix seconds.
    pub valid_until: i64,
    /// The key that its maker asked once with.
    pub idempotency_key: Option<String>,
    /// The BOLT11 text.
    pub invoice: String,
    /// When it was made.
    pub created_at: UnixMillis,
    /// When its invoice ends.
    pub expires_at: UnixMillis,
    /// When it was paid.
    pub paid_at: Option<UnixMillis>,
    /// What came in.
    pub received: Option<Msat>,
}

impl Challenge {
    /// Where it stands.
    pub fn status_at(&self, now: UnixMillis) -> ChallengeStatus {
        match self.paid_at {
            Some(_) => ChallengeStatus::Paid,
            None if self.expires_at <= now => ChallengeStatus::Expired,
            None => ChallengeStatus::Unpaid,
        }
    }

    /// Whether it is a challenge for the same.
    pub(super) fn is_for(&self, resource: &str, price_sat: u64, description: Option<&str>) -> bool {
        (self.resource.as_str(), self.price_sat, self.description.as_deref())
            == (resource, price_sat, description)
    }
}

const CHALLENGE: &str =
    "SELECT l.id, l.payment_hash, l.account_id, l.resource, l.price_sat, l.description, l.token_id,
     l.valid_until, l.idempotency_key, c.invoice, l.created_at, l.expires_at, l.paid_at,
     l.product, l.received_msat
     FROM l402_challenges l JOIN charges c ON c.id = l.charge_id";

fn read(row: &Row<'_>) -> rusqlite::Result<Challenge> {
    Ok(Challenge {
        id: row.get(0)?,
        payment_hash: row.get(1)?,
        account: row.get(2)?,
        resource: row.get(3)?,
        price_sat: row.get(4)?,
        description: row.get(5)?,
        token: row.get(6)?,
        valid_until: row.get(7)?,
        idempotency_key: row.get(8)?,
        invoice: row.get(9)?,
        created_at: row.get(10)?,
        expires_at: row.get(11)?,
        paid_at: row.get(12)?,
        product: row.get(13)?,
        received: row.get(14)?,
    })
}

/// A challenge to write down.
pub(super) struct Draft<'a> {
    pub(super) charge: ChargeId,
    pub(super) payment_hash: PaymentHash,
    pub(super) account: Option<AccountId>,
    pub(super) resource: &'a str,
    pub(super) product: Option<&'a str>,
    pub(super) price_sat: u64,
    pub(super) description: Option<&'a str>,
    pub(super) token: [u8; 32],
    pub(super) valid_until: i64,
    pub(super) asked_by: [u8; 32],
    pub(super) idempotency_key: Option<&'a str>,
    pub(super) expires_at: UnixMillis,
}

pub(super) fn insert(tx: &Tx<'_>, draft: &Draft<'_>, now: UnixMillis) -> Result<(), LedgerError> {
    tx.prepare_cached(
        "INSERT INTO l402_challenges (charge_id, payment_hash, account_id, resource, price_sat, description,
             token_id, valid_until, asked_by, idempotency_key, created_at, expires_at, product)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    )?
    .execute(params![
        draft.charge,
        draft.payment_hash,
        draft.account,
        draft.resource,
        draft.price_sat,
        draft.description,
        draft.token,
        draft.valid_until,
        draft.asked_by,
        draft.idempotency_key,
        now,
        draft.expires_at,
        draft.product,
    ])?;
    Ok(())
}

pub(super) fn by_hash(connection: &Connection, hash: PaymentHash) -> Result<Option<Challenge>, LedgerError> {
    let sql = format!("{CHALLENGE} WHERE l.payment_hash = ?1");
    Ok(connection.prepare_cached(&sql)?.query_row([hash], read).optional()?)
}

/// The challenge of a row.
pub(super) fn by_row(connection: &Connection, id: i64) -> Result<Option<Challenge>, LedgerError> {
    let sql = format!("{CHALLENGE} WHERE l.id = ?1");
    Ok(connection.prepare_cached(&sql)?.query_row([id], read).optional()?)
}

pub(super) fn by_charge(connection: &Connection, charge: ChargeId) -> Result<Option<Challenge>, LedgerError> {
    let sql = format!("{CHALLENGE} WHERE l.charge_id = ?1");
    Ok(connection.prepare_cached(&sql)?.query_row([charge], read).optional()?)
}

/// The newest challenge that somebody got for asking the same since `since`, if it can still be paid.
pub(super) fn asked_before(
    connection: &Connection,
    asked_by: &[u8; 32],
    since: UnixMillis,
    now: UnixMillis,
) -> Result<Option<Challenge>, LedgerError> {
    let sql = format!(
        "{CHALLENGE} WHERE l.asked_by = ?1 AND l.created_at > ?2 AND l.paid_at IS NULL AND l.expires_at > ?3
         ORDER BY l.created_at DESC LIMIT 1"
    );
    let found = connection.prepare_cached(&sql)?.query_row(params![asked_by, since, now], read);
    Ok(found.optional()?)
}

/// The newest challenge that an account made with a key, if its invoice has not ended.
pub(super) fn by_key(
    connection: &Connection,
    account: AccountId,
    key: &str,
    now: UnixMillis,
) -> Result<Option<Challenge>, LedgerError> {
    let sql = format!(
        "{CHALLENGE} WHERE l.account_id = ?1 AND l.idempotency_key = ?2 AND l.expires_at > ?3
         ORDER BY l.id DESC LIMIT 1"
    );
    let found = connection.prepare_cached(&sql)?.query_row(params![account, key, now], read);
    Ok(found.optional()?)
}

/// Which rows of an account a list shows; `?2` is the time.
const fn only(status: Option<ChallengeStatus>) -> &'static str {
    match status {
        None => "?2 = ?2",
        Some(ChallengeStatus::Paid) => "?2 = ?2 AND l.paid_at IS NOT NULL",
        Some(ChallengeStatus::Unpaid) => "l.paid_at IS NULL AND l.expires_at > ?2",
        Some(ChallengeStatus::Expired) => "l.paid_at IS NULL AND l.expires_at <= ?2",
    }
}

/// A part of an account's challenges, newest first, and how many there are in all.
pub(super) fn list(
    connection: &Connection,
    account: AccountId,
    status: Option<ChallengeStatus>,
    (limit, offset): (u32, u32),
    now: UnixMillis,
) -> Result<(Vec<Challenge>, u64), LedgerError> {
    let only = only(status);
    let total = connection
        .prepare_cached(&format!(
            "SELECT count(*) FROM l402_challenges l WHERE l.account_id = ?1 AND {only}"
        ))?
        .query_row(params![account, now], |row| row.get(0))?;
    let mut statement = connection.prepare_cached(&format!(
        "{CHALLENGE} WHERE l.account_id = ?1 AND {only} ORDER BY l.id DESC LIMIT ?3 OFFSET ?4"
    ))?;
    let rows = statement.query_map(params![account, now, limit, offset], read)?;
    Ok((rows.collect::<Result<_, _>>()?, total))
}

/// Notes a payment. One that comes again changes nothing.
pub(super) fn paid(
    tx: &Tx<'_>,
    challenge: &Challenge,
    received: Msat,
    fee: Msat,
    now: UnixMillis,
) -> Result<(), LedgerError> {
    tx.prepare_cached(
        "UPDATE l402_challenges SET paid_at = ?2, received_msat = ?3, fee_msat = ?4 WHERE id = ?1 AND paid_at IS NULL",
    )?
    .execute(params![challenge.id, now, received, fee])?;
    tx.prepare_cached(
        "INSERT INTO l402_earnings (account_id, resource, payments, received_msat, fee_msat)
         VALUES (?1, ?2, 1, ?3, ?4)
         ON CONFLICT (account_id, resource) DO UPDATE
             SET payments = payments + 1, received_msat = received_msat + excluded.received_msat,
                 fee_msat = fee_msat + excluded.fee_msat",
    )?
    .execute(params![
        challenge.account.map_or(0, |account| account.0),
        challenge.resource,
        received,
        fee
    ])?;
    Ok(())
}

/// Takes a payment for one answer; `false` if it isn't paid, or was taken before.
pub(super) fn take(tx: &Tx<'_>, hash: PaymentHash, now: UnixMillis) -> Result<bool, LedgerError> {
    let taken = tx
        .prepare_cached(
            "UPDATE l402_challenges SET used_at = ?2
             WHERE payment_hash = ?1 AND paid_at IS NOT NULL AND used_at IS NULL",
        )?
        .execute(params![hash, now])?;
    Ok(taken == 1)
}

/// A payment that was taken `at` has had its answer.
pub(super) fn answered(tx: &Tx<'_>, hash: PaymentHash, at: UnixMillis) -> Result<(), StoreError> {
    tx.prepare_cached(
        "UPDATE l402_challenges SET answered_at = ?2 WHERE payment_hash = ?1 AND used_at = ?2",
    )?
    .execute(params![hash, at])?;
    Ok(())
}

/// There was no answer to the payment that was taken `at`: it may be shown again.
pub(super) fn give_back(tx: &Tx<'_>, hash: PaymentHash, at: UnixMillis) -> Result<(), StoreError> {
    tx.prepare_cached(
        "UPDATE l402_challenges SET used_at = NULL, answered_at = NULL WHERE payment_hash = ?1 AND used_at = ?2",
    )?
    .execute(params![hash, at])?;
    Ok(())
}

/// The same for all that was taken and not answered.
pub(in crate::services) fn give_back_unanswered(tx: &Tx<'_>) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE l402_challenges SET used_at = NULL WHERE used_at IS NOT NULL AND answered_at IS NULL",
        [],
    )?;
    Ok(())
}

/// Removes a challenge that was never paid.
pub(super) fn forget(tx: &Tx<'_>, charge: ChargeId) -> Result<(), LedgerError> {
    tx.prepare_cached("DELETE FROM l402_challenges WHERE charge_id = ?1 AND paid_at IS NULL")?
        .execute([charge])?;
    Ok(())
}

/// What a resource has earned.
#[derive(Clone, Debug)]
pub struct Earned {
    /// Whose it is; 0 is the operator.
    pub account: i64,
    /// Which.
    pub resource: String,
    /// How often it was paid for.
    pub payments: u64,
    /// What came in for it.
    pub received: Msat,
}

/// What the operator took of what an account (`None`: all) sold.
pub(super) fn fees(connection: &Connection, account: Option<i64>) -> Result<Msat, LedgerError> {
    let mut statement = connection.prepare_cached(
        "SELECT coalesce(sum(fee_msat), 0) FROM l402_earnings WHERE ?1 IS NULL OR account_id = ?1",
    )?;
    Ok(statement.query_row([account], |row| row.get(0))?)
}

/// What the resources of an account (0: the operator's own; `None`: of all) have earned, most first: at most
/// `limit` of them, and the sums of all: payments, msat.
pub(super) fn earnings(
    connection: &Connection,
    account: Option<i64>,
    limit: u32,
) -> Result<(Vec<Earned>, u64, Msat), LedgerError> {
    let mut statement = connection.prepare_cached(
        "SELECT account_id, resource, payments, received_msat FROM l402_earnings
         WHERE ?1 IS NULL OR account_id = ?1 ORDER BY received_msat DESC, resource LIMIT ?2",
    )?;
    let rows = statement.query_map(params![account, limit], |row| {
        Ok(Earned {
            account: row.get(0)?,
            resource: row.get(1)?,
            payments: row.get(2)?,
            received: row.get(3)?,
        })
    })?;
    let rows = rows.collect::<Result<_, _>>()?;
    let (payments, received) = connection
        .prepare_cached(
            "SELECT coalesce(sum(payments), 0), coalesce(sum(received_msat), 0) FROM l402_earnings
             WHERE ?1 IS NULL OR account_id = ?1",
        )?
        .query_row([account], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok((rows, payments, received))
}

/// Challenges that were made: of all accounts ever, since row ids are never used again; of one account those that are
/// kept.
pub(super) fn made(connection: &Connection, account: Option<i64>) -> Result<u64, LedgerError> {
    let sql = match account {
        Some(_) => "SELECT count(*) FROM l402_challenges WHERE account_id = ?1",
        None => {
            "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'l402_challenges' AND ?1 IS NULL"
        }
    };
    Ok(connection.prepare_cached(sql)?.query_row([account], |row| row.get(0))?)
}

/// Payments for the operator's own resources whose name begins with `path`, and for all resources.
pub(super) fn sold_below(connection: &Connection, path: &str) -> Result<(u64, u64), LedgerError> {
    // Names are compared byte by byte, so the names below a path are those up to its last possible one.
    let last = format!("{path}\u{10ffff}");
    let below = connection
        .prepare_cached(
            "SELECT coalesce(sum(payments), 0) FROM l402_earnings
             WHERE account_id = 0 AND resource >= ?1 AND resource < ?2",
        )?
        .query_row([path, &last], |row| row.get(0))?;
    let all = connection
        .prepare_cached("SELECT coalesce(sum(payments), 0) FROM l402_earnings")?
        .query_row([], |row| row.get(0))?;
    Ok((below, all))
}

/// The account of this name.
pub(super) fn account(connection: &Connection, name: &str) -> Result<Option<AccountId>, LedgerError> {
    Ok(connection
        .prepare_cached("SELECT id FROM accounts WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?)
}

/// The family's secret, made once.
pub(super) fn secret(tx: &Tx<'_>) -> Result<[u8; 32], StoreError> {
    let fresh = random_bytes::<32>().map_err(|error| StoreError::Unavailable(error.to_string()))?;
    tx.execute("INSERT OR IGNORE INTO l402_secret (id, secret) VALUES (1, seal(?1))", params![fresh])?;
    Ok(tx.query_row("SELECT unseal(secret) FROM l402_secret WHERE id = 1", [], |row| row.get(0))?)
}
