//! Gifts as a table for bookkeepers: what was paid, what the fee was, what became of it. Neither links nor codes: whoever
//! reads the table can't take a gift.

use rusqlite::Row;

use crate::core::csv::Line;
use crate::core::ids::PaymentHash;
use crate::core::money::Msat;
use crate::core::time::UnixMillis;
use crate::core::time::iso::IsoSeconds;
use crate::storage::export::{ReadLine, Section, Table, sats};

/// Every gift, by when it was paid for, or else made.
pub const GIFTS: Table = Table {
    head: "number,state,createdAt,paidAt,endedAt,amountSats,feeSats,routingFeeSats,paymentHash,payoutHash,senderName,\
           senderMessage\r\n",
    sections: &[Section {
        rows: ("gifts", "id"),
        sql: "SELECT g.id, v.state, v.created_at, c.settled_at, coalesce(p.finished_at, o.finished_at), v.amount_msat,
              g.fee_msat, coalesce(p.fee_msat, o.fee_msat), c.payment_hash,
              coalesce(p.payment_hash, o.payment_hash), g.sender_name, g.sender_message
              FROM gifts g JOIN vouchers v ON v.id = g.id JOIN charges c ON c.id = v.charge_id
              LEFT JOIN payouts p ON p.id = v.payout_id AND p.status = 'paid'
              LEFT JOIN offer_payouts o ON o.id = v.offer_payout_id AND o.status = 'paid'
              WHERE g.id > ?1 AND g.id <= ?2 ORDER BY g.id",
        read: gift,
    }],
};

fn gift(row: &Row<'_>) -> rusqlite::Result<ReadLine> {
    let (created_at, paid_at): (UnixMillis, Option<UnixMillis>) = (row.get(2)?, row.get(3)?);
    let line = Line::default()
        .own(row.get::<_, i64>(0)?)
        .own(row.get::<_, String>(1)?)
        .own(IsoSeconds(created_at))
        .maybe(paid_at.map(IsoSeconds))
        .maybe(row.get::<_, Option<UnixMillis>>(4)?.map(IsoSeconds))
        .own(sats(row.get(5)?))
        .own(sats(row.get(6)?))
        .maybe(row.get::<_, Option<Msat>>(7)?.map(sats))
        .own(row.get::<_, PaymentHash>(8)?)
        .maybe(row.get::<_, Option<PaymentHash>>(9)?)
        .text(row.get(10)?)
        .text(row.get(11)?);
    Ok(ReadLine { row: row.get(0)?, at: paid_at.unwrap_or(created_at), text: line.end() })
}
