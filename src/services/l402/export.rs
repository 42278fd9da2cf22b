//! What was sold by the request, as a table for bookkeepers. What nobody paid for is forgotten soon, and not in it.

use rusqlite::Row;

use crate::core::csv::Line;
use crate::core::ids::PaymentHash;
use crate::core::time::UnixMillis;
use crate::core::time::iso::IsoSeconds;
use crate::storage::export::{ReadLine, Section, Table, sats};

/// Every challenge that was paid, by when.
pub const SOLD: Table = Table {
    head: "number,paidAt,priceSats,inSats,feeSats,paymentHash,resource,account\r\n",
    sections: &[Section {
        rows: ("l402_challenges", "id"),
        sql: "SELECT x.id, x.paid_at, x.price_sat, x.received_msat, x.fee_msat, x.payment_hash, x.resource, a.name
              FROM l402_challenges x LEFT JOIN accounts a ON a.id = x.account_id
              WHERE x.id > ?1 AND x.id <= ?2 AND x.paid_at IS NOT NULL ORDER BY x.id",
        read: sold,
    }],
};

fn sold(row: &Row<'_>) -> rusqlite::Result<ReadLine> {
    let paid_at: UnixMillis = row.get(1)?;
    let line = Line::default()
        .own(row.get::<_, i64>(0)?)
        .own(IsoSeconds(paid_at))
        .own(row.get::<_, i64>(2)?)
        .own(sats(row.get(3)?))
        .own(sats(row.get(4)?))
        .own(row.get::<_, PaymentHash>(5)?)
        .text(row.get(6)?)
        .text(row.get(7)?);
    Ok(ReadLine { row: row.get(0)?, at: paid_at, text: line.end() })
}
