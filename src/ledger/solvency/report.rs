//! How far what is owed can be paid out, in figures: for `satchel status`, `satchel doctor`, metrics and alerts.

use rusqlite::{Connection, params};
use serde::Serialize;

use super::{Owed, free_to_spend};
use crate::core::time::{UnixMillis, millis};
use crate::ledger::jamming::HELD_AFTER;
use crate::ledger::rows::under_way::unsettled;
use crate::ledger::{Ledger, LedgerError};
use crate::lightning::Model;

/// Vouchers counted one by one when the channels fall short; beyond it there are at least so many.
const COUNTED: i64 = 10_000;

/// The figures. Amounts in msat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What the channels can carry.
    pub capacity: Model,
    /// Belongs to others.
    pub owed_msat: u64,
    /// Of that, what can be paid out by these channels.
    pub redeemable_msat: u64,
    /// What is missing for all of it.
    pub short_msat: u64,
    /// What the operator may take out.
    pub free_msat: u64,
    /// Vouchers that can be redeemed, or go back to their senders.
    pub vouchers: u64,
    /// Those of them that can't be paid out now: too large for one payment, or not covered.
    pub unredeemable_vouchers: u64,
    /// What these hold.
    pub unredeemable_msat: u64,
    /// Payouts that their recipients have held for a while.
    pub held_payouts: u64,
    /// What is in them.
    pub held_msat: u64,
    /// How long the oldest has been held, in seconds.
    pub held_longest_secs: u64,
}

/// Asks node and books. Blocks; for the operator's commands and once in a while, never for a request.
///
/// # Errors
/// The store's.
pub fn report(ledger: &Ledger) -> Result<Report, LedgerError> {
    let model = Model::of(&ledger.lightning.channel_rooms());
    let now = ledger.clock.now();
    ledger.store.read_blocking(move |connection| read(connection, model, now))
}

pub(super) fn read(connection: &Connection, model: Model, now: UnixMillis) -> Result<Report, LedgerError> {
    let owed = Owed::read(connection)?;
    let largest = i64::try_from(model.largest_out_msat).unwrap_or(i64::MAX);
    let whole = |sql: &str| -> Result<(u64, u64), LedgerError> {
        let mut statement = connection.prepare_cached(sql)?;
        let (count, sum): (i64, i64) =
            statement.query_row(params![largest], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok((u64::try_from(count).unwrap_or(0), u64::try_from(sum).unwrap_or(0)))
    };
    let (vouchers, _) = whole(
        "SELECT count(*), coalesce(sum(amount_msat), 0) FROM vouchers
         WHERE state IN ('open', 'expired') AND amount_msat >= 0 AND ?1 >= 0",
    )?;
    let (too_large, too_large_msat) = whole(
        "SELECT count(*), coalesce(sum(amount_msat), 0) FROM vouchers
         WHERE state IN ('open', 'expired') AND amount_msat > ?1",
    )?;
    let short_msat = owed.total().saturating_sub(model.spendable_msat);
    // Vouchers that are too large for one payment take nothing, so their amount covers others.
    let uncovered = short_msat.saturating_sub(too_large_msat);
    let (more, more_msat) = not_covered(connection, largest, uncovered)?;
    let mut found = Report {
        capacity: model,
        owed_msat: owed.total(),
        short_msat,
        free_msat: free_to_spend(&model, &owed),
        vouchers,
        unredeemable_vouchers: too_large.saturating_add(more),
        unredeemable_msat: too_large_msat.saturating_add(more_msat),
        ..Report::default()
    };
    found.redeemable_msat = owed.total().saturating_sub(short_msat.max(found.unredeemable_msat));
    for payout in unsettled(connection)? {
        let age = now.saturating_sub(payout.since);
        if age >= millis(HELD_AFTER) {
            found.held_payouts = found.held_payouts.saturating_add(1);
            found.held_msat = found.held_msat.saturating_add(payout.amount.get());
            let secs = u64::try_from(age / 1_000).unwrap_or(0);
            found.held_longest_secs = found.held_longest_secs.max(secs);
        }
    }
    Ok(found)
}

/// How many vouchers of those that are small enough, the largest first, hold what is missing together.
fn not_covered(connection: &Connection, largest: i64, missing: u64) -> Result<(u64, u64), LedgerError> {
    let (mut count, mut sum) = (0_u64, 0_u64);
    if missing == 0 {
        return Ok((count, sum));
    }
    let mut statement = connection.prepare_cached(
        "SELECT amount_msat FROM vouchers
         WHERE state IN ('open', 'expired') AND amount_msat <= ?1 ORDER BY amount_msat DESC LIMIT ?2",
    )?;
    let mut rows = statement.query(params![largest, COUNTED])?;
    while sum < missing
        && let Some(row) = rows.next()?
    {
        let amount: i64 = row.get(0)?;
        count = count.saturating_add(1);
        sum = sum.saturating_add(u64::try_from(amount).unwrap_or(0));
    }
    Ok((count, sum))
}
