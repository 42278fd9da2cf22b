//! SQL of the node's own money: channels, the wallet's transactions, forwarded payments, looks.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::core::time::UnixMillis;
use crate::ledger::LedgerError;
use crate::ledger::books::Account;
use crate::ledger::node::{Booked, ChannelRow, ChannelState, Forward, Known, LastLook, Role, Sums};
use crate::lightning::{ChannelHolding, WalletTransaction};
use crate::storage::Tx;

/// How many looks of an outcome are kept.
const KEPT_LOOKS: i64 = 50;

const CHANNEL: &str =
    "SELECT id, channel, funding, outbound, capacity_sat, start_msat, state, cost_sat, ours_msat, reason
     FROM node_channels";

fn channel(row: &Row<'_>) -> rusqlite::Result<ChannelRow> {
    let state: String = row.get(6)?;
    Ok(ChannelRow {
        id: row.get(0)?,
        channel: row.get(1)?,
        funding: row.get(2)?,
        outbound: row.get::<_, i64>(3)? == 1,
        capacity_sat: row.get(4)?,
        start_msat: row.get(5)?,
        state: ChannelState::named(&state).ok_or(rusqlite::Error::InvalidQuery)?,
        cost_sat: row.get(7)?,
        ours_msat: row.get(8)?,
        reason: row.get(9)?,
    })
}

/// Everything that a comparison needs, in one snapshot.
pub(crate) fn known(connection: &Connection) -> Result<Known, LedgerError> {
    let snapshot = connection.unchecked_transaction()?;
    let connection = &*snapshot;
    let one =
        |sql: &str| -> Result<i64, LedgerError> { Ok(connection.query_row(sql, [], |row| row.get(0))?) };
    let channels = connection
        .prepare_cached(&format!("{CHANNEL} ORDER BY id"))?
        .query_map([], channel)?
        .collect::<Result<_, _>>()?;
    let booked = connection
        .prepare_cached("SELECT txid, role, net_sat, height, channel FROM wallet_transactions")?
        .query_map([], |row| {
            let role: String = row.get(1)?;
            let role = Role::named(&role).ok_or(rusqlite::Error::InvalidQuery)?;
            Ok((
                row.get(0)?,
                Booked { role, net_sat: row.get(2)?, height: row.get(3)?, channel: row.get(4)? },
            ))
        })?
        .collect::<Result<_, _>>()?;
    let mut forwards: Vec<Forward> = connection
        .prepare_cached(
            "SELECT f.id, f.fee_msat, EXISTS (SELECT 1 FROM forwards p WHERE p.id = f.id - 1
                 AND p.from_channel = f.from_channel AND p.to_channel = f.to_channel AND p.fee_msat = f.fee_msat)
             FROM forwards f WHERE f.state = 'new' ORDER BY f.id",
        )?
        .query_map([], |row| {
            Ok(Forward { id: row.get(0)?, fee_msat: row.get(1)?, may_be_repeated: row.get(2)? })
        })?
        .collect::<Result<_, _>>()?;
    forwards.sort_by_key(|forward| forward.id);
    let coins = connection
        .prepare_cached(
            "SELECT txid FROM coin_sends LEFT JOIN operator_sends o ON o.coin_send_id = id
             WHERE txid IS NOT NULL AND coalesce(o.amount_known, 1) = 1",
        )?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let under_way =
        |table: &str| format!("FROM {table} WHERE status NOT IN ('paid', 'failed') AND status <> 'queued'");
    let both = |what: &str| -> Result<i64, LedgerError> {
        let of = |table: &str| one(&format!("SELECT {what} {}", under_way(table)));
        Ok(of("payouts")?.saturating_add(of("offer_payouts")?))
    };
    Ok(Known {
        is_open: one("SELECT EXISTS (SELECT 1 FROM journals WHERE kind = 'node_opening')")? == 1,
        sums: sums(connection)?,
        channels,
        booked,
        forwards,
        coins,
        payouts_under_way: both("count(*)")?,
        payouts_under_way_msat: both("coalesce(sum(amount_msat + max_fee_msat), 0)")?,
        held: one("SELECT count(*) FROM charges WHERE held_at IS NOT NULL AND status <> 'paid'")?,
        coins_asked: one("SELECT count(*) FROM coin_sends LEFT JOIN operator_sends o ON o.coin_send_id = id
             WHERE status = 'sending' OR (status = 'sent' AND coalesce(o.amount_known, 1) = 0)")?,
    })
}

/// What the books have where the node has money.
pub(crate) fn sums(connection: &Connection) -> Result<Sums, LedgerError> {
    let kept = |account: Account| -> Result<i64, LedgerError> {
        let mut statement = connection.prepare_cached("SELECT msat FROM balances WHERE account = ?1")?;
        Ok(statement.query_row([account.name()], |row| row.get(0)).optional()?.unwrap_or(0))
    };
    Ok(Sums {
        channels_msat: kept(Account::Lightning)?.saturating_add(kept(Account::Channels)?),
        closing_msat: kept(Account::Closing)?,
        wallet_msat: kept(Account::Onchain)?,
    })
}

/// Writes a channel down, unless it is known.
pub(crate) fn add_channel(
    tx: &Tx<'_>,
    held: &ChannelHolding,
    state: ChannelState,
    now: UnixMillis,
) -> Result<(), LedgerError> {
    tx.prepare_cached(
        "INSERT INTO node_channels (channel, funding, funding_txid, outbound, capacity_sat, start_msat, state,
             cost_sat, ours_msat, first_seen)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?6, ?9) ON CONFLICT (channel) DO NOTHING",
    )?
    .execute(params![
        held.channel,
        held.funding.to_string(),
        held.funding.txid.to_string(),
        i64::from(held.outbound),
        held.capacity_sat,
        held.ours_msat,
        state.name(),
        held.close_cost_sat,
        now
    ])?;
    Ok(())
}

/// Writes down a channel that was closed before anybody looked, unless it is known.
pub(crate) fn add_closed_channel(
    tx: &Tx<'_>,
    channel: &str,
    amount_sat: u64,
    now: UnixMillis,
) -> Result<(), LedgerError> {
    tx.prepare_cached(
        "INSERT INTO node_channels (channel, funding, funding_txid, outbound, capacity_sat, start_msat, state,
             cost_sat, ours_msat, first_seen, closed_at)
         VALUES (?1, '', '', 0, ?2, ?2 * 1000, 'opening', 0, ?2 * 1000, ?3, ?3) ON CONFLICT (channel) DO NOTHING",
    )?
    .execute(params![channel, amount_sat, now])?;
    Ok(())
}

/// Moves a channel on, if it still stands where the caller saw it; whether it did.
pub(crate) fn advance_channel(
    tx: &Tx<'_>,
    id: i64,
    from: ChannelState,
    to: ChannelState,
) -> Result<bool, LedgerError> {
    let changed = tx
        .prepare_cached("UPDATE node_channels SET state = ?3 WHERE id = ?1 AND state = ?2")?
        .execute(params![id, from.name(), to.name()])?;
    Ok(changed == 1)
}

/// What is ours in a channel now, and what closing it may take.
pub(crate) fn note_channel(tx: &Tx<'_>, held: &ChannelHolding) -> Result<(), LedgerError> {
    tx.prepare_cached(
        "UPDATE node_channels SET ours_msat = ?2, cost_sat = max(cost_sat, ?3)
         WHERE channel = ?1 AND (ours_msat <> ?2 OR cost_sat < ?3)",
    )?
    .execute(params![held.channel, held.ours_msat, held.close_cost_sat])?;
    Ok(())
}

/// Closing it may take more than was thought.
pub(crate) fn raise_cost(tx: &Tx<'_>, channel: &str, cost_sat: u64) -> Result<(), LedgerError> {
    tx.prepare_cached("UPDATE node_channels SET cost_sat = ?2 WHERE channel = ?1 AND cost_sat < ?2")?
        .execute(params![channel, cost_sat])?;
    Ok(())
}

/// The node told that it was closed, and why.
pub(crate) fn note_closed(
    tx: &Tx<'_>,
    channel: &str,
    reason: &str,
    now: UnixMillis,
) -> Result<(), LedgerError> {
    tx.prepare_cached(
        "UPDATE node_channels SET closed_at = coalesce(closed_at, ?3), reason = coalesce(reason, ?2)
         WHERE channel = ?1",
    )?
    .execute(params![channel, reason, now])?;
    Ok(())
}

/// Writes a transaction of the wallet down; nothing if it is known.
pub(crate) fn add_transaction(
    tx: &Tx<'_>,
    listed: &WalletTransaction,
    role: Role,
    channel: Option<&str>,
    now: UnixMillis,
) -> Result<Option<i64>, LedgerError> {
    let changed = tx
        .prepare_cached(
            "INSERT INTO wallet_transactions (txid, role, net_sat, height, channel, booked_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (txid) DO NOTHING",
        )?
        .execute(params![
            listed.txid.to_string(),
            role.name(),
            listed.net_sat,
            listed.height,
            channel,
            now
        ])?;
    Ok((changed == 1).then(|| tx.last_insert_rowid()))
}

/// Writes a forwarded payment down.
pub(crate) fn add_forward(
    tx: &Tx<'_>,
    from: &str,
    to: &str,
    fee_msat: u64,
    now: UnixMillis,
) -> Result<(), LedgerError> {
    tx.prepare_cached(
        "INSERT INTO forwards (at, from_channel, to_channel, fee_msat, state) VALUES (?1, ?2, ?3, ?4, 'new')",
    )?
    .execute(params![now, from, to, fee_msat])?;
    Ok(())
}

/// What became of a forwarded payment; whether it was new.
pub(crate) fn settle_forward(tx: &Tx<'_>, id: i64, is_real: bool) -> Result<bool, LedgerError> {
    let state = if is_real { "booked" } else { "repeated" };
    let changed = tx
        .prepare_cached("UPDATE forwards SET state = ?2 WHERE id = ?1 AND state = 'new'")?
        .execute(params![id, state])?;
    Ok(changed == 1)
}

/// Writes a comparison down.
pub(crate) fn add_look(
    tx: &Tx<'_>,
    outcome: &str,
    height: u32,
    (node, booked): (&Sums, &Sums),
    channels: &str,
    now: UnixMillis,
) -> Result<i64, LedgerError> {
    tx.prepare_cached(
        "INSERT INTO node_looks (at, height, outcome, channels_msat, closing_msat, wallet_msat, channels_booked,
             closing_booked, wallet_booked, channels)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?
    .execute(params![
        now,
        height,
        outcome,
        node.channels_msat,
        node.closing_msat,
        node.wallet_msat,
        booked.channels_msat,
        booked.closing_msat,
        booked.wallet_msat,
        channels
    ])?;
    let id = tx.last_insert_rowid();
    tx.prepare_cached(
        "DELETE FROM node_looks WHERE outcome = ?1 AND id <
             (SELECT id FROM node_looks WHERE outcome = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
    )?
    .execute(params![outcome, KEPT_LOOKS - 1])?;
    Ok(id)
}

/// Sets the time and height of a comparison whose result is unchanged.
pub(crate) fn renew_look(tx: &Tx<'_>, id: i64, height: u32, now: UnixMillis) -> Result<(), LedgerError> {
    tx.prepare_cached("UPDATE node_looks SET at = ?2, height = ?3 WHERE id = ?1")?
        .execute(params![id, now, height])?;
    Ok(())
}

/// The last look at which the books were equal to the node.
pub(crate) fn last_equal(connection: &Connection) -> Result<Option<LastLook>, LedgerError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, at, height, channels_msat, closing_msat, wallet_msat, channels
         FROM node_looks WHERE outcome = 'equal' ORDER BY id DESC LIMIT 1",
    )?;
    let found = statement.query_row([], |row| {
        Ok(LastLook {
            id: row.get(0)?,
            at: row.get(1)?,
            height: row.get(2)?,
            node: Sums { channels_msat: row.get(3)?, closing_msat: row.get(4)?, wallet_msat: row.get(5)? },
            channels: row.get(6)?,
        })
    });
    Ok(found.optional()?)
}

/// What was booked since, for a person: how often each kind, and the newest of them.
pub(crate) fn booked_since(connection: &Connection, at: UnixMillis) -> Result<Vec<String>, LedgerError> {
    let mut statement = connection.prepare_cached(
        "SELECT kind, count(*), max(id), max(subject) FROM journals WHERE at > ?1 AND kind <> 'payout_queued'
         GROUP BY kind ORDER BY max(id) DESC LIMIT 8",
    )?;
    let told = statement.query_map([at], |row| {
        let (kind, count): (String, i64) = (row.get(0)?, row.get(1)?);
        let (journal, subject): (i64, i64) = (row.get(2)?, row.get(3)?);
        Ok(format!("{count} {kind} (last: journal {journal} of {subject})"))
    })?;
    Ok(told.collect::<Result<_, _>>()?)
}

/// What a transaction of the ledger's pays to addresses, in msat.
pub(crate) fn coins_amount(connection: &Connection, txid: &str) -> Result<i64, LedgerError> {
    let mut statement =
        connection.prepare_cached("SELECT coalesce(sum(amount_msat), 0) FROM coin_sends WHERE txid = ?1")?;
    Ok(statement.query_row([txid], |row| row.get(0))?)
}

/// Channels and payments of others before the first comparison are part of what it found.
pub(crate) fn mark_opening(tx: &Tx<'_>) -> Result<(), LedgerError> {
    tx.prepare_cached("UPDATE forwards SET state = 'booked' WHERE state = 'new'")?.execute([])?;
    tx.prepare_cached(
        "INSERT INTO marks (name, at, id)
         SELECT 'node_opening', coalesce((SELECT max(id) FROM node_channels WHERE state <> 'opening'), 0),
             coalesce((SELECT max(id) FROM forwards), 0)
         WHERE true ON CONFLICT (name) DO NOTHING",
    )?
    .execute([])?;
    Ok(())
}
