//! Tips as a table for bookkeepers: what was paid, what the fee was, what became of it. Neither links nor magic words:
//! whoever reads the table can't claim a tip.

use rusqlite::Row;

use crate::core::csv::Line;
use crate::core::ids::PaymentHash;
use crate::core::money::Msat;
use crate::core::time::UnixMillis;
use crate::core::time::iso::IsoSeconds;
use crate::services::tips::request::note_of;
use crate::storage::export::{ReadLine, Section, Table, sats};

/// Every tip, by when it was paid for, or else made.
pub const TIPS: Table = Table {
    head: "number,group,state,createdAt,paidAt,endedAt,amountSats,feeSats,routingFeeSats,paymentHash,payoutHash,tippeeName,\
           note\r\n",
    sections: &[Section {
        rows: ("tips", "id"),
        sql: "SELECT t.id, t.group_id, v.state, v.created_at, c.settled_at, coalesce(p.finished_at, o.finished_at),
              v.amount_msat, t.fee_msat, coalesce(p.fee_msat, o.fee_msat), c.payment_hash,
              coalesce(p.payment_hash, o.payment_hash), t.tippee_name, t.note
              FROM tips t JOIN vouchers v ON v.id = t.id JOIN charges c ON c.id = v.charge_id
              LEFT JOIN payouts p ON p.id = v.payout_id AND p.status = 'paid'
              LEFT JOIN offer_payouts o ON o.id = v.offer_payout_id AND o.status = 'paid'
              WHERE t.id > ?1 AND t.id <= ?2 ORDER BY t.id",
        read: tip,
    }],
};

fn tip(row: &Row<'_>) -> rusqlite::Result<ReadLine> {
    let (created_at, paid_at): (UnixMillis, Option<UnixMillis>) = (row.get(3)?, row.get(4)?);
    let line = Line::default()
        .own(row.get::<_, i64>(0)?)
        .maybe(row.get::<_, Option<i64>>(1)?)
        .own(row.get::<_, String>(2)?)
        .own(IsoSeconds(created_at))
        .maybe(paid_at.map(IsoSeconds))
        .maybe(row.get::<_, Option<UnixMillis>>(5)?.map(IsoSeconds))
        .own(sats(row.get(6)?))
        .own(sats(row.get(7)?))
        .maybe(row.get::<_, Option<Msat>>(8)?.map(sats))
        .own(row.get::<_, PaymentHash>(9)?)
        .maybe(row.get::<_, Option<PaymentHash>>(10)?)
        .text(row.get(11)?)
        .text(row.get::<_, Option<String>>(12)?.map(|note| note_of(&note)));
    Ok(ReadLine { row: row.get(0)?, at: paid_at.unwrap_or(created_at), text: line.end() })
}
