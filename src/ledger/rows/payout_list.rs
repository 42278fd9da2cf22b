//! SQL of lists of all that goes out, to invoices, to offers and to addresses, and of the journals of one.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::core::time::UnixMillis;
use crate::ledger::payout_list::{Event, Listed, Place, Wanted, Way};
use crate::ledger::{LedgerError, PayoutStatus};

/// Both kinds of payouts over Lightning have these columns, but for what they pay.
const OVER_LIGHTNING: &str =
    "id, public_id, family, status, amount_msat, max_fee_msat, fee_msat, attempts, created_at,
    dispatched_at, finished_at, error, failure_reported, payment_hash, preimage, NULL";

/// The same of coins, in the words of payouts: they are under way until their transaction is six blocks deep.
const COINS: &str = "id, 'coins-' || id, family,
    CASE status WHEN 'sending' THEN 'dispatching' WHEN 'sent' THEN 'in_flight' ELSE status END, amount_msat,
    max_fee_msat, fee_msat, sent_at IS NOT NULL, created_at, sent_at, finished_at, error, NULL, NULL, NULL, txid";

impl Way {
    /// Its table, its columns, that of what is paid, that of when it was given to the node, and what its index of those
    /// that have not ended says.
    const fn sql(self) -> [&'static str; 5] {
        let open = "status NOT IN ('paid', 'failed')";
        match self {
            Self::Invoice => ["payouts", OVER_LIGHTNING, "unseal(invoice)", "dispatched_at", open],
            Self::Offer => ["offer_payouts", OVER_LIGHTNING, "offer", "dispatched_at", open],
            Self::Coins => {
                ["coin_sends", COINS, "address", "sent_at", "status IN ('queued', 'sending', 'sent')"]
            }
        }
    }

    /// What its rows say for a status; `None`: they are never in it.
    const fn status(self, status: PayoutStatus) -> Option<&'static str> {
        match (self, status) {
            (Self::Coins, PayoutStatus::Dispatching) => Some("sending"),
            (Self::Coins, PayoutStatus::InFlight) => Some("sent"),
            (Self::Coins, PayoutStatus::Unknown) => None,
            (_, status) => Some(status.name()),
        }
    }

    /// The kinds of its journals.
    const fn journals(self) -> &'static str {
        match self {
            Self::Invoice => {
                "'payout_queued', 'payout_paid', 'payout_failed', 'payout_late', 'refund_loss_recovered'"
            }
            Self::Offer => {
                "'offer_payout_queued', 'offer_payout_paid', 'offer_payout_failed', 'offer_payout_late'"
            }
            Self::Coins => {
                "'coins_queued', 'coins_counted', 'coins_paid', 'coins_failed', 'coins_loss_recovered'"
            }
        }
    }
}

fn read(way: Way, row: &Row<'_>) -> rusqlite::Result<Listed> {
    let status: String = row.get(3)?;
    Ok(Listed {
        way,
        row: row.get(0)?,
        id: row.get(1)?,
        family: row.get(2)?,
        status: status.parse().map_err(|_| rusqlite::Error::InvalidQuery)?,
        amount: row.get(4)?,
        max_fee: row.get(5)?,
        fee: row.get(6)?,
        attempts: row.get(7)?,
        created_at: row.get(8)?,
        dispatched_at: row.get(9)?,
        finished_at: row.get(10)?,
        error: row.get(11)?,
        failure_reported: row.get(12)?,
        payment_hash: row.get(13)?,
        preimage: row.get(14)?,
        txid: row.get(15)?,
        to: row.get(16)?,
    })
}

/// Newest first, those of one way.
pub(crate) fn of_way(connection: &Connection, way: Way, wanted: &Wanted) -> Result<Vec<Listed>, LedgerError> {
    let status = match wanted.status.map(|status| way.status(status)) {
        Some(None) => return Ok(Vec::new()),
        Some(Some(name)) => Some(name),
        None => None,
    };
    let [table, columns, to, sent, open] = way.sql();
    // Few have not ended, and there is an index of them.
    let which = match (wanted.held_since, wanted.status) {
        (Some(_), _) => format!("{open} AND status <> 'queued'"),
        (None, Some(status)) if !status.is_final() => open.to_owned(),
        (None, _) => "TRUE".to_owned(),
    };
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {columns}, {to} FROM {table}
         WHERE {which} AND id < ?1 AND (?2 IS NULL OR status = ?2) AND (?3 IS NULL OR family = ?3)
           AND (?4 IS NULL OR created_at >= ?4) AND (?5 IS NULL OR {sent} <= ?5)
         ORDER BY id DESC LIMIT ?6"
    ))?;
    let before = wanted.before.unwrap_or(Place::START).row(way);
    let found = statement.query_map(
        params![before, status, wanted.family, wanted.since, wanted.held_since, wanted.limit],
        |row| read(way, row),
    )?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// One by its public id.
pub(crate) fn find(connection: &Connection, public_id: &str) -> Result<Option<Listed>, LedgerError> {
    for way in Way::ALL {
        let [table, columns, to, ..] = way.sql();
        let (id, value) = match (way, public_id.strip_prefix("coins-")) {
            (Way::Coins, Some(id)) => ("id", id),
            (Way::Coins, None) => continue,
            _ => ("public_id", public_id),
        };
        let sql = format!("SELECT {columns}, {to} FROM {table} WHERE {id} = ?1");
        let found = connection.prepare_cached(&sql)?.query_row([value], |row| read(way, row)).optional()?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// Oldest first.
pub(crate) fn journals(connection: &Connection, way: Way, row: i64) -> Result<Vec<Event>, LedgerError> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT at, kind FROM journals WHERE kind IN ({}) AND subject = ?1 ORDER BY id",
        way.journals()
    ))?;
    let found = statement.query_map([row], |row| {
        let (at, kind): (UnixMillis, String) = (row.get(0)?, row.get(1)?);
        Ok(Event { at, kind })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}
