//! Which journal is wrong or missing: what each row says must be in the books is looked for there.
//!
//! A row and its journals are written in one transaction, so nothing here is ever found unless the file was changed
//! by hand or by a bug.

use rusqlite::Connection;

use super::LedgerError;

/// How many of a kind are named; more of them say nothing new.
const NAMED: usize = 10;

/// Journals that don't sum to zero: id, kind, subject, by how much.
const UNBALANCED: &str =
    "SELECT 'journal ' || j.id || ' (' || j.kind || ' of ' || j.subject || ') is off by '
        || (SELECT sum(msat) FROM entries WHERE journal = j.id) || ' msat: an entry is missing or wrong'
     FROM journals j WHERE j.id IN (SELECT journal FROM entries GROUP BY journal HAVING sum(msat) <> 0)
     ORDER BY j.id LIMIT ?1";

/// Entries of no journal.
const ORPHANS: &str =
    "SELECT 'entries of journal ' || journal || ', which is missing, sum to ' || sum(msat) || ' msat'
     FROM entries WHERE journal NOT IN (SELECT id FROM journals) GROUP BY journal ORDER BY journal LIMIT ?1";

/// Payouts of a table whose journals don't say what the row does.
fn payouts(table: &str, kinds: &str, name: &str) -> String {
    format!(
        "SELECT '{name} ' || id || ' (' || public_id || ', ' || status || '): by its journals '
            || in_flight || ' msat in flight, ' || reserve || ' reserved, ' || spent || ' spent; by its row '
            || row_in_flight || ', ' || row_reserve || ', ' || row_spent
         FROM (SELECT p.id, p.public_id, p.status,
            CASE WHEN p.status IN ('paid', 'failed') THEN 0 ELSE p.amount_msat + p.max_fee_msat END AS row_in_flight,
            CASE WHEN p.status IN ('paid', 'failed') THEN 0 ELSE p.max_fee_msat END AS row_reserve,
            CASE WHEN p.status = 'paid' THEN p.amount_msat + coalesce(p.fee_msat, 0) ELSE 0 END AS row_spent,
            -coalesce(sum(e.msat) FILTER (WHERE e.account = 'in_flight'), 0) AS in_flight,
            coalesce(sum(e.msat) FILTER (WHERE e.account = 'fee_reserve'), 0) AS reserve,
            -coalesce(sum(e.msat) FILTER (WHERE e.account IN ('lightning', 'clearing')), 0) AS spent,
            count(DISTINCT j.id) AS journals
            FROM {table} p
            LEFT JOIN journals j ON j.subject = p.id
                AND j.kind IN ('{kinds}_queued', '{kinds}_paid', '{kinds}_failed', '{kinds}_late')
            LEFT JOIN entries e ON e.journal = j.id
            GROUP BY p.id)
         WHERE in_flight <> row_in_flight OR reserve <> row_reserve OR spent <> row_spent OR journals = 0
         ORDER BY id LIMIT ?1"
    )
}

/// Paid charges whose journal is missing or says something else.
const CHARGES: &str = "SELECT 'charge ' || id || ' (' || family || ', paid): by its journals ' || came
        || ' msat came in, by its row ' || received
     FROM (SELECT c.id, c.family, c.received_msat AS received,
            coalesce(sum(e.msat) FILTER (WHERE e.account IN ('lightning', 'clearing')), 0) AS came,
            EXISTS (SELECT 1 FROM charge_offers o WHERE o.charge_id = c.id) AS has_offer
        FROM charges c
        LEFT JOIN journals j ON j.subject = c.id AND j.kind = 'charge_settled'
        LEFT JOIN entries e ON e.journal = j.id
        WHERE c.status = 'paid' GROUP BY c.id)
     WHERE came <= 0 AND received > 0 OR (came <> received AND NOT has_offer) OR came > received
     ORDER BY id LIMIT ?1";

/// Money for unknown hashes.
const UNCLAIMED: &str = "SELECT 'unclaimed payment ' || id || ': ' || amount_msat || ' msat came in, and its journal is missing or wrong'
     FROM unclaimed u WHERE amount_msat <> coalesce((SELECT sum(e.msat) FROM journals j JOIN entries e ON e.journal = j.id
         WHERE j.kind = 'unclaimed' AND j.subject = u.id AND e.account = 'lightning'), 0)
     ORDER BY id LIMIT ?1";

/// Coins to addresses.
const COINS: &str = "SELECT 'coins ' || id || ' (' || status || '): by their journals ' || in_flight || ' msat in flight, by the row ' || row_in_flight
     FROM (SELECT s.id, s.status,
            CASE WHEN s.status IN ('paid', 'failed') THEN 0 ELSE s.amount_msat END AS row_in_flight,
            -coalesce(sum(e.msat) FILTER (WHERE e.account = 'in_flight'), 0) AS in_flight,
            count(DISTINCT j.id) AS journals
        FROM coin_sends s
        LEFT JOIN journals j ON j.subject = s.id AND j.kind IN ('coins_queued', 'coins_counted', 'coins_paid', 'coins_failed')
        LEFT JOIN entries e ON e.journal = j.id
        GROUP BY s.id)
     WHERE in_flight <> row_in_flight OR journals = 0
     ORDER BY id LIMIT ?1";

/// Transactions of the wallet.
const WALLET: &str = "SELECT 'transaction ' || txid || ' (' || role || ') changed the wallet by ' || net_sat || ' sat, and its journal is missing or wrong'
     FROM wallet_transactions w WHERE role <> 'before' AND net_sat * 1000 <> coalesce((SELECT sum(e.msat)
         FROM journals j JOIN entries e ON e.journal = j.id
         WHERE j.kind = 'wallet_transaction' AND j.subject = w.id AND e.account = 'onchain'), 0)
     ORDER BY id LIMIT ?1";

/// Channels that came with something of ours.
const CHANNELS: &str = "SELECT 'channel ' || channel || ' gave us ' || start_msat || ' msat, and its journal is missing or wrong'
     FROM node_channels c WHERE state <> 'opening' AND outbound = 0 AND start_msat <> 0
         AND id > coalesce((SELECT at FROM marks WHERE name = 'node_opening'), 0)
         AND start_msat <> coalesce((SELECT sum(e.msat) FROM journals j JOIN entries e ON e.journal = j.id
             WHERE j.kind = 'channel_opened' AND j.subject = c.id AND e.account = 'channels'), 0)
     ORDER BY id LIMIT ?1";

/// Payments of others.
const FORWARDS: &str =
    "SELECT 'payments of others left ' || left_msat || ' msat, their journals say ' || income
     FROM (SELECT coalesce((SELECT sum(fee_msat) FROM forwards WHERE state = 'booked'
               AND id > coalesce((SELECT id FROM marks WHERE name = 'node_opening'), 0)), 0) AS left_msat,
            -coalesce((SELECT sum(msat) FROM entries WHERE account = 'forwarding_income'), 0) AS income)
     WHERE left_msat <> income LIMIT ?1";

/// Names what is wrong, at most some of each kind.
///
/// # Errors
/// The store's.
pub(super) fn look(connection: &Connection) -> Result<Vec<String>, LedgerError> {
    let mut found = Vec::new();
    let invoices = payouts("payouts", "payout", "payout");
    let offers = payouts("offer_payouts", "offer_payout", "payout to an offer");
    for question in
        [UNBALANCED, ORPHANS, &invoices, &offers, CHARGES, UNCLAIMED, COINS, WALLET, CHANNELS, FORWARDS]
    {
        let mut statement = connection.prepare(question)?;
        let limit = i64::try_from(NAMED).unwrap_or(i64::MAX);
        let named = statement.query_map([limit], |row| row.get::<_, String>(0))?;
        found.extend(named.collect::<Result<Vec<_>, _>>()?);
    }
    Ok(found)
}
