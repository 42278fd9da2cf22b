//! What the table is made of.

use rusqlite::{Connection, Row, params};

use super::{Page, Place, Span};
use crate::core::csv::Line;
use crate::core::decimal::Decimal;
use crate::core::ids::{AccountId, PaymentHash};
use crate::core::money::Msat;
use crate::core::time::UnixMillis;
use crate::core::time::iso::IsoSeconds;
use crate::ledger::LedgerError;
use crate::rates::Unit;
use crate::services::payments::ids::{InvoiceId, RefundId};
use crate::services::payments::status::{PaymentStatus, RefundStatus};

/// What one page may cost.
#[derive(Clone, Copy, Debug)]
pub(in crate::services::payments) struct Bounds {
    /// Lines at most.
    pub(in crate::services::payments) lines: usize,
    /// Rows looked at for them at most, wanted or not.
    pub(in crate::services::payments) rows: usize,
}

/// The next lines, none perhaps: what is looked at for one page is bounded too.
pub(in crate::services::payments) fn page(
    connection: &Connection,
    account: Option<AccountId>,
    span: Span,
    place: Place,
    bounds: Bounds,
    now: UnixMillis,
) -> Result<Page, LedgerError> {
    let (sql, table, after) = match place {
        Place::Payments(after) => (PAYMENTS, "payments", after),
        Place::Refunds(after) => (REFUNDS, "payment_refunds", after),
    };
    let mut page = Page { csv: String::new(), lines: 0, next: None };
    let behind = match place {
        Place::Payments(_) => Some(Place::Refunds(0)),
        Place::Refunds(_) => None,
    };
    let Some((until, all)) = reach(connection, table, account, after, bounds.rows)? else {
        page.next = behind;
        return Ok(page);
    };
    // Two texts, so that each has its index.
    let whose = if account.is_some() { "x.account_id = ?1" } else { "?1 IS NULL" };
    let mut statement = connection.prepare_cached(&format!(
        "{sql} WHERE {whose} AND x.id > ?2 AND x.id <= ?6 AND {} >= ?3 AND {} < ?4 ORDER BY x.id LIMIT ?5",
        when(place),
        when(place),
    ))?;
    let most = i64::try_from(bounds.lines).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![account, after, span.from, span.to, most, until])?;
    let mut last = after;
    while let Some(row) = rows.next()? {
        last = row.get(0)?;
        page.csv.push_str(&match place {
            Place::Payments(_) => payment(row, now)?,
            Place::Refunds(_) => refund(row)?,
        });
        page.lines = page.lines.saturating_add(1);
    }
    let at = |id: i64| match place {
        Place::Payments(_) => Place::Payments(id),
        Place::Refunds(_) => Place::Refunds(id),
    };
    page.next = match () {
        () if page.lines == bounds.lines => Some(at(last)),
        () if all => behind,
        () => Some(at(until)),
    };
    Ok(page)
}

/// The last of the next `rows` rows, and whether it is the last of all; `None` if there are no more.
fn reach(
    connection: &Connection,
    table: &str,
    account: Option<AccountId>,
    after: i64,
    rows: usize,
) -> Result<Option<(i64, bool)>, LedgerError> {
    let whose = if account.is_some() { "account_id = ?1" } else { "?1 IS NULL" };
    let (until, count): (Option<i64>, i64) = connection
        .prepare_cached(&format!(
            "SELECT max(id), count(*) FROM
                 (SELECT id FROM {table} WHERE {whose} AND id > ?2 ORDER BY id LIMIT ?3)"
        ))?
        .query_row(params![account, after, i64::try_from(rows).unwrap_or(i64::MAX)], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    Ok(until.map(|until| (until, usize::try_from(count).is_ok_and(|count| count < rows))))
}

const fn when(place: Place) -> &'static str {
    match place {
        Place::Payments(_) => "coalesce(x.paid_at, x.created_at)",
        Place::Refunds(_) => "coalesce(x.completed_at, x.created_at)",
    }
}

const PAYMENTS: &str =
    "SELECT x.id, x.public_id, x.order_id, x.status, x.created_at, x.expires_at, x.paid_at,
     x.currency, x.amount, x.amount_msat, x.received_msat, x.rate, x.rate_source, x.rate_at, c.payment_hash,
     x.description, x.customer_email, x.customer_name, a.name
     FROM payments x JOIN charges c ON c.id = x.charge_id JOIN accounts a ON a.id = x.account_id";

fn payment(row: &Row<'_>, now: UnixMillis) -> rusqlite::Result<String> {
    let id: InvoiceId = row.get(1)?;
    let status = match row.get(3)? {
        PaymentStatus::Unpaid if row.get::<_, UnixMillis>(5)? <= now => PaymentStatus::Expired,
        status => status,
    };
    let paid_at: Option<UnixMillis> = row.get(6)?;
    let received: Option<Msat> = paid_at.map(|_| row.get(10)).transpose()?;
    Ok(Line::default()
        .own("payment")
        .own(id)
        .own(id)
        .text(row.get(2)?)
        .own(status)
        .own(IsoSeconds(row.get(4)?))
        .maybe(paid_at.map(IsoSeconds))
        .own(row.get::<_, Unit>(7)?)
        .own(row.get::<_, Decimal>(8)?)
        .own(sats(row.get(9)?))
        .maybe(received.map(sats))
        .own("")
        .own("")
        .own("")
        .maybe(row.get::<_, Option<Decimal>>(11)?)
        .text(row.get(12)?)
        .maybe(row.get::<_, Option<UnixMillis>>(13)?.map(IsoSeconds))
        .own(row.get::<_, PaymentHash>(14)?)
        .own("")
        .text(row.get(15)?)
        .text(row.get(16)?)
        .text(row.get(17)?)
        .text(row.get(18)?)
        .end())
}

const REFUNDS: &str =
    "SELECT x.id, x.public_id, p.public_id, p.order_id, x.status, x.created_at, x.completed_at,
     p.currency, x.amount, x.amount_msat, o.fee_msat, p.rate, p.rate_source, p.rate_at, o.payment_hash,
     x.reason, p.customer_email, p.customer_name, a.name, x.uncovered_msat, s.txid
     FROM payment_refunds x JOIN payments p ON p.id = x.payment_id JOIN accounts a ON a.id = x.account_id
     LEFT JOIN payouts o ON o.id = x.payout_id LEFT JOIN coin_sends s ON s.id = x.coin_send_id";

fn refund(row: &Row<'_>) -> rusqlite::Result<String> {
    let status: RefundStatus = row.get(4)?;
    let amount: Msat = row.get(9)?;
    let completed = status == RefundStatus::Completed;
    let fee: Option<Msat> = row.get(10)?;
    let loss: Msat = row.get(19)?;
    Ok(Line::default()
        .own("refund")
        .own(row.get::<_, RefundId>(1)?)
        .own(row.get::<_, InvoiceId>(2)?)
        .text(row.get(3)?)
        .own(status)
        .own(IsoSeconds(row.get(5)?))
        .maybe(row.get::<_, Option<UnixMillis>>(6)?.map(IsoSeconds))
        .own(row.get::<_, Unit>(7)?)
        .own(row.get::<_, Decimal>(8)?)
        .own(sats(amount))
        .own("")
        .maybe(completed.then(|| sats(amount)))
        .maybe((loss > Msat::ZERO).then(|| sats(loss)))
        .maybe(fee.filter(|_| completed).map(sats))
        .maybe(row.get::<_, Option<Decimal>>(11)?)
        .text(row.get(12)?)
        .maybe(row.get::<_, Option<UnixMillis>>(13)?.map(IsoSeconds))
        .maybe(row.get::<_, Option<PaymentHash>>(14)?)
        .maybe(row.get::<_, Option<String>>(20)?)
        .text(row.get(15)?)
        .text(row.get(16)?)
        .text(row.get(17)?)
        .text(row.get(18)?)
        .end())
}

/// Exact: three digits behind the point are enough.
fn sats(amount: Msat) -> Decimal {
    Decimal::new(u128::from(amount.get()), 3).unwrap_or_default()
}
