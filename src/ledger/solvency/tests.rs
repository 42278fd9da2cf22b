//! The edge of solvency, to the sat.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::gate::judge;
use super::*;
use crate::core::time::Clock;
use crate::ledger::payouts::{Order, Queued};
use crate::ledger::{Family, Listeners, Notify, Settings, charges, payouts};
use crate::lightning::sim::{FakeNode, Sim};
use crate::lightning::{ChannelRoom, Limit};
use crate::storage::Store;

fn sat(sat: u64) -> Msat {
    Msat::from_sat(sat).unwrap()
}

struct World {
    ledger: Ledger,
    node: Arc<FakeNode>,
    _folder: tempfile::TempDir,
}

impl World {
    /// A node that can send so much.
    fn new(spendable_sat: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::manual(1_800_000_000_000);
        let node = Arc::new(FakeNode::new(Arc::new(Sim::new(clock.clone()))));
        node.outbound_msat.store(spendable_sat * 1_000, Ordering::SeqCst);
        let ledger = Ledger {
            store: Store::open_without_sync(&folder.path().join("satchel.db")).unwrap(),
            lightning: Arc::clone(&node) as Arc<dyn Lightning>,
            clock,
            wake: Arc::new(Notify::default()),
            listeners: Listeners::default(),
            settings: Settings::default(),
        };
        Self { ledger, node, _folder: folder }
    }

    /// Somebody pays for something of this family.
    fn owe(&self, family: Family, amount: Msat) {
        let (invoice, _) = self.node.sim.invoice(amount, Duration::from_secs(600));
        let now = self.ledger.clock.now();
        let listeners = self.ledger.listeners.clone();
        self.ledger
            .store
            .write_blocking(move |tx| {
                charges::open(tx, family, &invoice, Some(amount), now)?;
                charges::receive(tx, &listeners, charges::hash_of(&invoice), None, amount, now)
            })
            .unwrap();
    }

    /// What the operator is told who wants to spend.
    fn spend(&self, amount: Msat, max_fee: Msat) -> Result<(), NotFree> {
        let standing = Standing::take(&self.ledger).unwrap();
        let (invoice, _) = self.node.sim.invoice(amount, Duration::from_secs(600));
        let ledger = self.ledger.clone();
        let done = self.ledger.store.write_blocking(move |tx| -> Result<_, LedgerError> {
            if let Err(refused) = standing.covers(tx, amount.checked_add(max_fee).unwrap())? {
                return Ok(Err(refused));
            }
            let order = Order { family: Family::Operator, invoice: &invoice, amount, max_fee };
            assert!(matches!(payouts::queue(tx, &ledger, &order, |_| Ok(()))?, Queued::New(_)));
            Ok(Ok(()))
        });
        done.unwrap()
    }

    fn report(&self) -> Report {
        report(&self.ledger).unwrap()
    }
}

#[test]
fn operator_spends_what_is_free_and_not_one_sat_more() {
    let world = World::new(500_000);
    world.owe(Family::Gifts, sat(300_000));
    world.owe(Family::Payments, sat(100_000));
    let refused = world.spend(sat(99_991), sat(10)).unwrap_err();
    assert_eq!((refused.free, refused.owed, refused.spendable), (sat(100_000), sat(400_000), sat(500_000)));
    assert!(refused.to_string().contains("only 100000 sat are free to spend"), "{refused}");
    assert_eq!(world.report().free_msat, 100_000_000);
    world.spend(sat(99_990), sat(10)).unwrap();
    // It is on its way: its fee limit counts as long as it might cost it.
    assert_eq!(world.report().free_msat, 0);
    assert!(world.spend(sat(1), Msat::ZERO).is_err());
}

#[test]
fn two_at_once_cannot_both_spend_what_is_free() {
    let world = World::new(1_000);
    let standings = [Standing::take(&world.ledger).unwrap(), Standing::take(&world.ledger).unwrap()];
    let spent = standings.map(|standing| {
        let (invoice, _) = world.node.sim.invoice(sat(600), Duration::from_secs(600));
        let ledger = world.ledger.clone();
        world
            .ledger
            .store
            .write_blocking(move |tx| -> Result<bool, LedgerError> {
                if standing.covers(tx, sat(600))?.is_err() {
                    return Ok(false);
                }
                let order = Order {
                    family: Family::Operator,
                    invoice: &invoice,
                    amount: sat(600),
                    max_fee: Msat::ZERO,
                };
                payouts::queue(tx, &ledger, &order, |_| Ok(()))?;
                Ok(true)
            })
            .unwrap()
    });
    assert_eq!(spent, [true, false]);
}

#[test]
fn what_belongs_to_nobody_is_not_the_operators_to_spend() {
    let world = World::new(1_000);
    let (invoice, _) = world.node.sim.invoice(sat(400), Duration::from_secs(60));
    let (listeners, now) = (world.ledger.listeners.clone(), world.ledger.clock.now());
    world
        .ledger
        .store
        .write_blocking(move |tx| {
            charges::receive(tx, &listeners, charges::hash_of(&invoice), None, sat(400), now)
        })
        .unwrap();
    assert!(world.spend(sat(601), Msat::ZERO).is_err());
    world.spend(sat(600), Msat::ZERO).unwrap();
}

/// A channel of a million, half of it ours, of which a tenth may be in flight.
fn tenth() -> ChannelRoom {
    ChannelRoom {
        usable: true,
        reserve_msat: 10_000_000,
        outbound_msat: 490_000_000,
        in_flight_max_msat: 100_000_000,
        now_max_msat: 100_000_000,
        inbound_msat: 490_000_000,
        inbound_in_flight_max_msat: 490_000_000,
        ..ChannelRoom::default()
    }
}

fn gift(sat_each: u64, count: u64) -> Sale {
    let total = sat(sat_each * count);
    Sale::Vouchers { comes: total, owed: total, largest: sat(sat_each) }
}

#[test]
fn gift_that_could_never_go_out_in_one_payment_is_not_sold() {
    let model = Model::of(&[tenth()]);
    let owed = Owed::default();
    assert_eq!(judge(&model, &owed, gift(100_000, 1)), Ok(()));
    let Err(NoCapacity::Outbound(shortfall)) = judge(&model, &owed, gift(100_001, 1)) else { panic!() };
    assert_eq!((shortfall.limit, shortfall.bound), (Limit::InFlight, sat(100_000)));
    // Many small ones together can be more than that.
    assert_eq!(judge(&model, &owed, gift(1_000, 400)), Ok(()));
    // With a second channel it goes in parts.
    assert_eq!(judge(&Model::of(&[tenth(), tenth()]), &owed, gift(200_000, 1)), Ok(()));
    // A shop's income can be taken out in parts.
    assert_eq!(judge(&model, &owed, Sale::Merchant { comes: sat(300_000) }), Ok(()));
}

#[test]
fn nothing_is_sold_while_what_is_owed_is_not_covered() {
    let model = Model::of(&[ChannelRoom { outbound_msat: 742_000, ..tenth() }]);
    let owed = |holders: u64| Owed { holders: holders * 1_000, ..Owed::default() };
    assert_eq!(judge(&model, &owed(742), gift(1_000, 1)), Ok(()));
    assert_eq!(judge(&model, &owed(743), gift(1_000, 1)), Err(NoCapacity::Short(sat(1))));
    assert_eq!(judge(&model, &owed(400_000), gift(1_000, 1)), Err(NoCapacity::Short(sat(399_258))));
    // What is only in the reserve covers a merchant, not a gift.
    let merchant = Sale::Merchant { comes: sat(1_000) };
    assert_eq!(judge(&model, &owed(743), merchant), Ok(()));
    assert!(judge(&model, &owed(400_000), merchant).is_err());
    assert_eq!(judge(&model, &owed(400_000), Sale::Own { comes: sat(1_000) }), Ok(()));
}

#[test]
fn fresh_channel_sells_what_it_can_send_again() {
    // Nothing is ours yet, and the peer asks for no reserve: what comes in can go out.
    let fresh = ChannelRoom { outbound_msat: 0, now_max_msat: 0, ..tenth() };
    let model = Model::of(std::slice::from_ref(&fresh));
    assert_eq!(judge(&model, &Owed::default(), gift(50_000, 1)), Ok(()));
    // With a reserve of 10,000 that is to be filled first, the first gift could not.
    let reserved = ChannelRoom { missing_reserve_msat: 10_000_000, ..fresh };
    let refused = judge(&Model::of(&[reserved]), &Owed::default(), gift(50_000, 1));
    assert!(matches!(refused, Err(NoCapacity::Outbound(_) | NoCapacity::Short(_))), "{refused:?}");
}

#[test]
fn payout_on_its_way_does_not_stop_sales() {
    // 1,000 owed, all of it in an HTLC, with a fee limit of 10 that nobody has.
    let model = Model::of(&[ChannelRoom { outbound_msat: 0, pending_msat: 1_000_000, ..tenth() }]);
    let owed = Owed { in_flight: 1_010_000, fee_reserve: 10_000, ..Owed::default() };
    assert_eq!(judge(&model, &owed, gift(1_000, 1)), Ok(()));
    assert_eq!(free_to_spend(&model, &owed), 0);
}

#[test]
fn report_counts_what_cannot_be_redeemed() {
    let world = World::new(10_000);
    let now = world.ledger.clock.now();
    world
        .ledger
        .store
        .write_blocking(move |tx| -> Result<(), LedgerError> {
            let (invoice, _) = Sim::new(Clock::manual(now)).invoice(sat(1), Duration::from_secs(60));
            let charge = charges::open(tx, Family::Gifts, &invoice, None, now)?;
            for amount in [100, 200, 3_000, 4_000, 6_000] {
                let new = crate::vouchers::NewVoucher {
                    family: Family::Gifts,
                    charge,
                    amount: sat(amount),
                    expires_at: None,
                    return_to: None,
                };
                crate::vouchers::issue(tx, &new, now)?;
            }
            tx.execute("UPDATE vouchers SET state = 'open'", [])?;
            tx.execute("INSERT INTO balances (account, msat) VALUES ('holders', -13300000)", [])?;
            Ok(())
        })
        .unwrap();
    let found = world.report();
    assert_eq!((found.vouchers, found.short_msat, found.free_msat), (5, 3_300_000, 0));
    assert_eq!((found.unredeemable_vouchers, found.unredeemable_msat), (1, 6_000_000));
    // Enough in all, but no more than 3,500 in one payment.
    world.node.outbound_msat.store(20_000_000, Ordering::SeqCst);
    world.node.in_flight_msat.store(3_500_000, Ordering::SeqCst);
    let found = world.report();
    assert_eq!((found.short_msat, found.unredeemable_vouchers), (0, 2));
    assert_eq!(found.redeemable_msat, 3_300_000);
    assert_eq!(found.free_msat, 6_700_000);
}
