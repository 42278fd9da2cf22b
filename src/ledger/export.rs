//! The books and the payouts as tables for bookkeepers.
//!
//! The ledger's table has a line for each entry: the sum of `debitSats` is that of `creditSats`, for each journal, each
//! day and each year, and of all entries of an account the one less the other is its balance.

use rusqlite::Row;

use super::Family;
use crate::core::csv::Line;
use crate::core::ids::PaymentHash;
use crate::core::money::Msat;
use crate::core::time::UnixMillis;
use crate::core::time::iso::IsoSeconds;
use crate::storage::export::{ReadLine, Section, Table, sats};

/// Every entry of every journal.
pub const LEDGER: Table = Table {
    head: "journal,at,kind,subject,account,debitSats,creditSats\r\n",
    sections: &[Section {
        rows: ("journals", "id"),
        sql: "SELECT j.id, j.at, j.kind, j.subject, e.account, e.msat FROM journals j JOIN entries e ON e.journal = j.id
              WHERE j.id > ?1 AND j.id <= ?2 ORDER BY j.id, e.account",
        read: entry,
    }],
};

fn entry(row: &Row<'_>) -> rusqlite::Result<ReadLine> {
    let (journal, at, msat): (i64, UnixMillis, i64) = (row.get(0)?, row.get(1)?, row.get(5)?);
    let amount = sats(Msat::new(msat.unsigned_abs()).unwrap_or_default());
    let (debit, credit) = if msat >= 0 { (Some(amount), None) } else { (None, Some(amount)) };
    let line = Line::default()
        .own(journal)
        .own(IsoSeconds(at))
        .own(row.get::<_, String>(2)?)
        .own(row.get::<_, i64>(3)?)
        .own(row.get::<_, String>(4)?)
        .maybe(debit)
        .maybe(credit);
    Ok(ReadLine { row: journal, at, text: line.end() })
}

/// Everything that went out, or was to: to invoices, to offers, then coins to addresses. The fee is that of routing, or
/// the miners'.
pub const PAYOUTS: Table = Table {
    head: "type,id,family,status,createdAt,endedAt,amountSats,feeSats,maxFeeSats,paymentHash,address,txid,error\r\n",
    sections: &[
        Section {
            rows: ("payouts", "id"),
            sql: "SELECT id, public_id, family, status, created_at, finished_at, amount_msat, fee_msat, max_fee_msat,
                  payment_hash, error FROM payouts WHERE id > ?1 AND id <= ?2 ORDER BY id",
            read: payout,
        },
        Section {
            rows: ("offer_payouts", "id"),
            sql: "SELECT id, public_id, family, status, created_at, finished_at, amount_msat, fee_msat, max_fee_msat,
                  payment_hash, error FROM offer_payouts WHERE id > ?1 AND id <= ?2 ORDER BY id",
            read: offer_payout,
        },
        Section {
            rows: ("coin_sends", "id"),
            sql: "SELECT id, family, status, created_at, finished_at, amount_msat, address, txid, error,
                  fee_msat, max_fee_msat FROM coin_sends
                  WHERE id > ?1 AND id <= ?2 ORDER BY id",
            read: coins,
        },
    ],
};

fn payout(row: &Row<'_>) -> rusqlite::Result<ReadLine> {
    over_lightning("invoice", row)
}

fn offer_payout(row: &Row<'_>) -> rusqlite::Result<ReadLine> {
    over_lightning("offer", row)
}

fn over_lightning(kind: &str, row: &Row<'_>) -> rusqlite::Result<ReadLine> {
    let (created_at, ended_at): (UnixMillis, Option<UnixMillis>) = (row.get(4)?, row.get(5)?);
    let line = Line::default()
        .own(kind)
        .own(row.get::<_, String>(1)?)
        .own(row.get::<_, Family>(2)?)
        .own(row.get::<_, String>(3)?)
        .own(IsoSeconds(created_at))
        .maybe(ended_at.map(IsoSeconds))
        .own(sats(row.get(6)?))
        .maybe(row.get::<_, Option<Msat>>(7)?.map(sats))
        .own(sats(row.get(8)?))
        .maybe(row.get::<_, Option<PaymentHash>>(9)?)
        .own("")
        .own("")
        .text(row.get(10)?);
    Ok(ReadLine { row: row.get(0)?, at: ended_at.unwrap_or(created_at), text: line.end() })
}

fn coins(row: &Row<'_>) -> rusqlite::Result<ReadLine> {
    let (created_at, ended_at): (UnixMillis, Option<UnixMillis>) = (row.get(3)?, row.get(4)?);
    let line = Line::default()
        .own("coins")
        .own(row.get::<_, i64>(0)?)
        .own(row.get::<_, Family>(1)?)
        .own(row.get::<_, String>(2)?)
        .own(IsoSeconds(created_at))
        .maybe(ended_at.map(IsoSeconds))
        .own(sats(row.get(5)?))
        .maybe(row.get::<_, Option<Msat>>(9)?.map(sats))
        .own(sats(row.get(10)?))
        .own("")
        .own(row.get::<_, String>(6)?)
        .maybe(row.get::<_, Option<String>>(7)?)
        .text(row.get(8)?);
    Ok(ReadLine { row: row.get(0)?, at: ended_at.unwrap_or(created_at), text: line.end() })
}
