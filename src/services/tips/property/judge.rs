//! What must be true at the end of a history.

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::world::World;
use crate::core::ids::PaymentHash;
use crate::ledger::{LedgerError, audit};

/// What many histories saw together.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    pub(super) withdrawn: i64,
    pub(super) refunded: i64,
    pub(super) to_offers: i64,
    /// Money for what had been paid for.
    pub(super) credits: i64,
}

impl Seen {
    pub(super) fn add(&mut self, other: Self) {
        self.withdrawn += other.withdrawn;
        self.refunded += other.refunded;
        self.to_offers += other.to_offers;
        self.credits += other.credits;
    }
}

impl World {
    /// Everything that must be true once nothing is under way any more.
    pub(super) fn judge(&self) -> Result<Seen, TestCaseError> {
        let audit = audit::audit(&self.ledger).unwrap();
        prop_assert!(audit.clean, "{:?}", audit.problems);
        let balance = |name| audit.accounts.iter().find(|row| row.account == name).unwrap().msat;
        let delivered = self.sim.delivered();
        let number = |sql: &'static str| self.number(sql);
        prop_assert_eq!(number("SELECT count(*) FROM payouts WHERE status NOT IN ('paid', 'failed')"), 0);
        let open_offers = "SELECT count(*) FROM offer_payouts WHERE status NOT IN ('paid', 'failed')";
        prop_assert_eq!(number(open_offers), 0);

        // What the node says went out, each payment once.
        let mut out = 0;
        for hash in delivered.keys() {
            out += self.number_of(
                "SELECT sum(amount_msat) FROM (SELECT amount_msat FROM payouts WHERE payment_hash = ?1
                 UNION ALL SELECT amount_msat FROM offer_payouts WHERE payment_hash = ?1)",
                *hash,
            );
        }
        prop_assert_eq!(out, delivered.values().map(|amount| amount.signed()).sum::<i64>());
        prop_assert_eq!(balance("lightning"), self.received - out - self.routing, "in less out is not here");
        prop_assert_eq!(balance("loss"), 0);
        let earned = number(
            "SELECT coalesce(sum(t.fee_msat), 0) FROM tips t JOIN vouchers v ON v.id = t.id
             WHERE v.state <> 'unfunded'",
        );
        prop_assert_eq!(-balance("fees_earned"), earned, "fees of paid tips");
        let owed =
            number("SELECT coalesce(sum(amount_msat), 0) FROM vouchers WHERE state IN ('open', 'expired')");
        let suspense = -balance("suspense");
        prop_assert_eq!(
            self.received - out,
            owed + earned + suspense,
            "a msat is nowhere, or somewhere twice"
        );

        // Each tip's own payouts: one that was paid if the tip is over, else none.
        let wrong = number(
            "SELECT count(*) FROM vouchers v WHERE (v.state IN ('redeemed', 'returned')) <>
               (SELECT count(*) FROM voucher_payouts l JOIN payouts p ON p.id = l.payout_id
                WHERE l.voucher_id = v.id AND p.status = 'paid')
               + (SELECT count(*) FROM voucher_offer_payouts l JOIN offer_payouts p ON p.id = l.offer_payout_id
                WHERE l.voucher_id = v.id AND p.status = 'paid')",
        );
        prop_assert_eq!(wrong, 0, "tips that were paid out twice, or are over without");
        // Of a group all are paid for, or none.
        let torn = number(
            "SELECT count(*) FROM (SELECT 1 FROM tips t JOIN vouchers v ON v.id = t.id
             WHERE t.group_id IS NOT NULL GROUP BY t.group_id HAVING count(DISTINCT v.state = 'unfunded') > 1)",
        );
        prop_assert_eq!(torn, 0, "half groups");
        Ok(Seen {
            to_offers: number("SELECT count(*) FROM offer_payouts WHERE status = 'paid'"),
            withdrawn: number("SELECT count(*) FROM vouchers WHERE state = 'redeemed'"),
            refunded: number("SELECT count(*) FROM vouchers WHERE state = 'returned'"),
            credits: number("SELECT count(*) FROM tips WHERE note IS NOT NULL"),
        })
    }

    pub(super) fn number(&self, sql: &'static str) -> i64 {
        let read = self.ledger.store.read_blocking(move |connection| -> Result<i64, LedgerError> {
            Ok(connection.query_row(sql, [], |row| row.get(0))?)
        });
        read.unwrap()
    }

    fn number_of(&self, sql: &'static str, hash: PaymentHash) -> i64 {
        let read = self.ledger.store.read_blocking(move |connection| -> Result<i64, LedgerError> {
            Ok(connection.query_row(sql, [hash], |row| row.get(0))?)
        });
        read.unwrap()
    }
}
