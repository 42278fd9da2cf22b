//! What must be true at the end of a history. The node's and the wallet's own truth is the judge, not our rows.

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::ACCOUNTS;
use super::world::{Way, World, account_of};
use crate::ledger::{PayoutStatus, accounts, audit, offer_payouts, payouts};

impl World<'_> {
    pub(super) fn judge(&self) -> Result<(), TestCaseError> {
        // The audit, with accounts and statements; vouchers; and what is here against what came and went.
        self.world.judge()?;
        // Nothing was given back that then arrived all the same, and had been spent meanwhile.
        let audit = audit::audit(&self.world.ledger).unwrap();
        let loss = audit.accounts.iter().find(|row| row.account == "loss").map(|row| row.msat);
        prop_assert_eq!(loss, Some(0));
        let delivered = self.world.sim.delivered();
        let by_offer = self.world.sim.arrived_by_offer();
        let coins = self.world.sim.coins_confirmed();
        for (id, way) in &self.made {
            let shown = self.shown(id);
            let times = match way {
                Way::Invoice(hash) => usize::from(delivered.contains_key(hash)),
                Way::Offer => by_offer.iter().filter(|(note, _)| note == id).count(),
                Way::Address(address) => coins.iter().filter(|sent| *sent == address).count(),
            };
            let wanted = if times == 1 { "completed" } else { "failed" };
            prop_assert!(times <= 1, "{} arrived {} times by {:?}", id, times, way);
            prop_assert_eq!(shown["status"].as_str(), Some(wanted), "{} by {:?}: {}", id, way, shown);
        }
        for hash in &self.paid {
            let hash = *hash;
            let found =
                self.world.ledger.store.read_blocking(move |read| payouts::by_hash(read, hash)).unwrap();
            let status = found.unwrap().status;
            let wanted =
                if delivered.contains_key(&hash) { PayoutStatus::Paid } else { PayoutStatus::Failed };
            prop_assert_eq!(status, wanted);
        }
        for note in &self.offers_paid {
            let asked = note.clone();
            let found = self
                .world
                .ledger
                .store
                .read_blocking(move |read| offer_payouts::by_public_id(read, &asked))
                .unwrap();
            let times = by_offer.iter().filter(|(by, _)| by == note).count();
            let wanted = if times == 1 { PayoutStatus::Paid } else { PayoutStatus::Failed };
            prop_assert!(times <= 1, "{} arrived {} times", note, times);
            prop_assert_eq!(found.unwrap().status, wanted);
        }
        for number in 0..ACCOUNTS {
            let account = account_of(number);
            let found =
                self.world.ledger.store.read_blocking(move |read| accounts::balance(read, account)).unwrap();
            prop_assert_eq!(found.pending.get(), 0, "something of {} is under way", account);
        }
        Ok(())
    }
}
