//! The rows of withdrawals, of what keys took out in a day, and of sweeps.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::ids::WithdrawalKey;
use crate::core::ids::{
    AccountId, CoinSendId, FeeReserveId, OfferPayoutId, PaymentHash, PayoutId, Preimage, WithdrawalId,
};
use crate::core::money::Msat;
use crate::core::time::UnixMillis;
use crate::http::keys::KeyId;
use crate::ledger::LedgerError;
use crate::storage::Tx;

const DAY_MS: i64 = 86_400_000;

/// How far a withdrawal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum WithdrawalStatus {
    /// On its way.
    Pending,
    /// Arrived.
    Completed,
    /// Not sent; the money is back in the balance.
    Failed,
}

impl WithdrawalStatus {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }
}

/// What carries a withdrawal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// A payout to an invoice.
    Payout(PayoutId),
    /// A payout to an offer.
    Offer(OfferPayoutId),
    /// Coins to an address.
    Coins(CoinSendId),
}

/// A withdrawal.
#[derive(Clone, Debug)]
pub struct Withdrawal {
    /// Row id.
    pub id: WithdrawalId,
    /// What callers know it by.
    pub public_id: WithdrawalKey,
    /// Whose it is.
    pub account: AccountId,
    /// Which key asked for it.
    pub key: Option<KeyId>,
    /// As it was asked for.
    pub target: String,
    /// What the recipient gets.
    pub amount: Msat,
    /// What was withheld for fees.
    pub reserve: Msat,
    /// Where.
    pub fee_reserve: Option<FeeReserveId>,
    /// What the account was charged for fees, once known.
    pub fee: Option<Msat>,
    /// How far it is.
    pub status: WithdrawalStatus,
    /// What carries it.
    pub carrier: Carrier,
    /// When it was asked for.
    pub created_at: UnixMillis,
    /// When it ended.
    pub finished_at: Option<UnixMillis>,
    /// Why it failed.
    pub error: Option<String>,
    /// The transaction, once known.
    pub txid: Option<String>,
    /// The payment hash, once known.
    pub payment_hash: Option<PaymentHash>,
    /// The receipt, once it arrived by Lightning.
    pub preimage: Option<Preimage>,
    /// Nobody can tell whether it was sent.
    pub in_doubt: bool,
}

const WITHDRAWAL: &str = "SELECT w.id, w.public_id, w.account_id, w.key_id, w.target, w.amount_msat, w.reserve_msat,
     w.fee_reserve_id, w.fee_msat, w.status, w.payout_id, w.offer_payout_id, w.coin_send_id, w.created_at,
     w.finished_at, w.error, c.txid, coalesce(p.payment_hash, o.payment_hash), coalesce(p.preimage, o.preimage),
     w.status = 'pending' AND coalesce(p.status, o.status) = 'unknown'
     FROM withdrawals w LEFT JOIN payouts p ON p.id = w.payout_id
     LEFT JOIN offer_payouts o ON o.id = w.offer_payout_id LEFT JOIN coin_sends c ON c.id = w.coin_send_id";

fn read(row: &Row<'_>) -> rusqlite::Result<Withdrawal> {
    let status = match row.get::<_, String>(9)?.as_str() {
        "pending" => WithdrawalStatus::Pending,
        "completed" => WithdrawalStatus::Completed,
        _ => WithdrawalStatus::Failed,
    };
    let carrier = match (row.get(10)?, row.get(11)?, row.get(12)?) {
        (Some(payout), _, _) => Carrier::Payout(PayoutId(payout)),
        (_, Some(offer), _) => Carrier::Offer(OfferPayoutId(offer)),
        (_, _, Some(coins)) => Carrier::Coins(CoinSendId(coins)),
        _ => return Err(rusqlite::Error::InvalidQuery),
    };
    Ok(Withdrawal {
        id: row.get(0)?,
        public_id: row.get(1)?,
        account: row.get(2)?,
        key: row.get::<_, Option<i64>>(3)?.map(KeyId),
        target: row.get(4)?,
        amount: row.get(5)?,
        reserve: row.get(6)?,
        fee_reserve: row.get(7)?,
        fee: row.get(8)?,
        status,
        carrier,
        created_at: row.get(13)?,
        finished_at: row.get(14)?,
        error: row.get(15)?,
        txid: row.get(16)?,
        payment_hash: row.get(17)?,
        preimage: row.get(18)?,
        in_doubt: row.get::<_, Option<bool>>(19)?.unwrap_or(false),
    })
}

/// A withdrawal to write down.
pub(super) struct Draft<'a> {
    pub(super) public_id: WithdrawalKey,
    pub(super) account: AccountId,
    pub(super) key: Option<KeyId>,
    pub(super) target: &'a str,
    pub(super) amount: Msat,
    pub(super) reserve: Msat,
    pub(super) fee_reserve: Option<FeeReserveId>,
    pub(super) carrier: Carrier,
}

pub(super) fn insert(tx: &Tx<'_>, draft: &Draft<'_>, now: UnixMillis) -> Result<WithdrawalId, LedgerError> {
    let (payout, offer, coins) = match draft.carrier {
        Carrier::Payout(id) => (Some(id), None, None),
        Carrier::Offer(id) => (None, Some(id), None),
        Carrier::Coins(id) => (None, None, Some(id)),
    };
    tx.prepare_cached(
        "INSERT INTO withdrawals (public_id, account_id, key_id, target, amount_msat, reserve_msat, fee_reserve_id, status,
             payout_id, offer_payout_id, coin_send_id, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'pending', ?8, ?9, ?10, ?11)",
    )?
    .execute(params![
        draft.public_id,
        draft.account,
        draft.key.map(|key| key.0),
        draft.target,
        draft.amount,
        draft.reserve,
        draft.fee_reserve,
        payout,
        offer,
        coins,
        now,
    ])?;
    Ok(WithdrawalId(tx.last_insert_rowid()))
}

fn one(
    connection: &Connection,
    which: &str,
    values: impl rusqlite::Params,
) -> Result<Option<Withdrawal>, LedgerError> {
    let sql = format!("{WITHDRAWAL} WHERE {which}");
    Ok(connection.prepare_cached(&sql)?.query_row(values, read).optional()?)
}

pub(super) fn by_public_id(
    connection: &Connection,
    id: WithdrawalKey,
) -> Result<Option<Withdrawal>, LedgerError> {
    one(connection, "w.public_id = ?1", [id])
}

pub(super) fn by_carrier(
    connection: &Connection,
    carrier: Carrier,
) -> Result<Option<Withdrawal>, LedgerError> {
    match carrier {
        Carrier::Payout(id) => one(connection, "w.payout_id = ?1", [id]),
        Carrier::Offer(id) => one(connection, "w.offer_payout_id = ?1", [id]),
        Carrier::Coins(id) => one(connection, "w.coin_send_id = ?1", [id]),
    }
}

/// The newest of an account, for the operator's list.
pub(super) fn newest(
    connection: &Connection,
    account: AccountId,
    limit: usize,
) -> Result<Vec<Withdrawal>, LedgerError> {
    let mut statement = connection
        .prepare_cached(&format!("{WITHDRAWAL} WHERE w.account_id = ?1 ORDER BY w.id DESC LIMIT ?2"))?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let found = statement.query_map(params![account, limit], read)?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// It ended.
pub(super) fn finish(
    tx: &Tx<'_>,
    id: WithdrawalId,
    status: WithdrawalStatus,
    (fee, uncovered): (Option<Msat>, Msat),
    error: Option<&str>,
    now: UnixMillis,
) -> Result<(), LedgerError> {
    tx.prepare_cached(
        "UPDATE withdrawals SET status = ?2, fee_msat = ?3, uncovered_msat = ?4, error = ?5, finished_at = ?6
         WHERE id = ?1",
    )?
    .execute(params![id, status.name(), fee, uncovered, error, now])?;
    Ok(())
}

/// The day of a time, where no clock was set since.
pub(super) fn day_of(at: UnixMillis) -> i64 {
    at.div_euclid(DAY_MS)
}

/// What a key may take out in a day, if something was said for it, and what it has today.
pub(super) fn key_day(
    connection: &Connection,
    key: KeyId,
    today: i64,
) -> Result<(Option<Msat>, Msat), LedgerError> {
    let limit: Option<u64> = connection
        .prepare_cached("SELECT withdraw_day_sat FROM api_keys WHERE id = ?1")?
        .query_row([key.0], |row| row.get(0))
        .optional()?
        .flatten();
    let used: Msat = connection
        .prepare_cached("SELECT coalesce(sum(msat), 0) FROM withdrawal_days WHERE key_id = ?1 AND day = ?2")?
        .query_row([key.0, today], |row| row.get(0))?;
    Ok((limit.map(|sat| Msat::from_sat(sat).unwrap_or(Msat::MAX)), used))
}

/// Adds to what a key has taken out in a day, or takes from it.
pub(super) fn add_key_day(tx: &Tx<'_>, key: KeyId, day: i64, msat: i64) -> Result<(), LedgerError> {
    tx.prepare_cached(
        "INSERT INTO withdrawal_days (key_id, day, msat) VALUES (?1, ?2, max(?3, 0))
         ON CONFLICT (key_id, day) DO UPDATE SET msat = max(msat + ?3, 0)",
    )?
    .execute([key.0, day, msat])?;
    Ok(())
}

/// Sets what a key may take out in a day; `false` if there is no such key.
pub(super) fn set_key_day(tx: &Tx<'_>, key: i64, sat: Option<u64>) -> Result<bool, LedgerError> {
    let changed = tx
        .prepare_cached("UPDATE api_keys SET withdraw_day_sat = ?2 WHERE id = ?1")?
        .execute(params![key, sat])?;
    Ok(changed == 1)
}

/// An account whose earnings go somewhere by themselves.
#[derive(Clone, Debug)]
pub(super) struct Sweep {
    pub(super) account: AccountId,
    pub(super) target: String,
    pub(super) failures: u32,
}

pub(super) fn set_sweep(
    tx: &Tx<'_>,
    account: AccountId,
    target: &str,
    least: Msat,
    now: UnixMillis,
) -> Result<(), LedgerError> {
    tx.prepare_cached(
        "INSERT INTO account_sweeps (account_id, target, min_msat, next_try_at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (account_id) DO UPDATE
             SET target = excluded.target, min_msat = excluded.min_msat, next_try_at = excluded.next_try_at,
                 failures = 0, error = NULL",
    )?
    .execute(params![account, target, least, now])?;
    Ok(())
}

pub(super) fn remove_sweep(tx: &Tx<'_>, account: AccountId) -> Result<(), LedgerError> {
    tx.prepare_cached("DELETE FROM account_sweeps WHERE account_id = ?1")?.execute([account])?;
    Ok(())
}

/// Those whose time has come, with enough in their balance.
pub(super) fn due_sweeps(
    connection: &Connection,
    now: UnixMillis,
    limit: usize,
) -> Result<Vec<Sweep>, LedgerError> {
    let mut statement = connection.prepare_cached(
        "SELECT s.account_id, s.target, s.failures FROM account_sweeps s
         JOIN account_balances b ON b.account_id = s.account_id
         WHERE s.next_try_at <= ?1 AND b.msat >= s.min_msat ORDER BY s.next_try_at LIMIT ?2",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let found = statement.query_map(params![now, limit], |row| {
        Ok(Sweep { account: row.get(0)?, target: row.get(1)?, failures: row.get(2)? })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// How the last withdrawal of an account to this target stands.
pub(super) fn last_to(
    connection: &Connection,
    account: AccountId,
    target: &str,
) -> Result<Option<String>, LedgerError> {
    Ok(connection
        .prepare_cached(
            "SELECT status FROM (SELECT id, target, status FROM withdrawals WHERE account_id = ?1 ORDER BY id DESC LIMIT 100)
             WHERE target = ?2 ORDER BY id DESC LIMIT 1",
        )?
        .query_row(params![account, target], |row| row.get(0))
        .optional()?)
}

pub(super) fn put_off_sweep(
    tx: &Tx<'_>,
    account: AccountId,
    next_try_at: UnixMillis,
    failures: u32,
    error: Option<&str>,
) -> Result<(), LedgerError> {
    tx.prepare_cached(
        "UPDATE account_sweeps SET next_try_at = ?2, failures = ?3, error = ?4 WHERE account_id = ?1",
    )?
    .execute(params![account, next_try_at, failures, error])?;
    Ok(())
}
