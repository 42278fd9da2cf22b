//! Histories of a node, laid beside the books after every step.

use std::sync::Arc;
use std::time::Duration;

use bitcoin::hashes::Hash;
use bitcoin::{OutPoint, Txid};
use proptest::prelude::*;

use super::super::books::{Account, Journal, Kind};
use super::compare::compare_steady;
use super::{Comparison, State, note_channels, note_forward};
use crate::core::money::Msat;
use crate::core::time::Clock;
use crate::ledger::{Ledger, LedgerError, Listeners, Notify, Settings, audit};
use crate::lightning::sim::Sim;
use crate::lightning::{
    ChannelHolding, Claim, ClaimKind, Holdings, Lightning, Spent, Sweep, WalletTransaction,
};
use crate::storage::Store;

/// What closing a channel of ours takes, in sat, and a sweep.
const CLOSE_FEE: u64 = 900;
const SWEEP_FEE: u64 = 150;

/// A node and the books beside it.
struct World {
    ledger: Ledger,
    sim: Arc<Sim>,
    node: Holdings,
    made: u8,
    payments: i64,
    _folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::manual(1_700_000_000_000);
        let sim = Arc::new(Sim::new(clock.clone()));
        let ledger = Ledger {
            store: Store::open_without_sync(&folder.path().join("satchel.db")).unwrap(),
            lightning: Arc::clone(&sim) as Arc<dyn Lightning>,
            clock,
            wake: Arc::new(Notify::default()),
            listeners: Listeners::default(),
            settings: Settings::default(),
        };
        let node = Holdings { height: 100, ..Holdings::default() };
        Self { ledger, sim, node, made: 0, payments: 0, _folder: folder }
    }

    fn name(&mut self) -> (String, Txid) {
        self.made += 1;
        (format!("{:064x}", self.made), Txid::from_byte_array([self.made; 32]))
    }

    fn compare(&self) -> Comparison {
        self.sim.tell_holdings(self.node.clone());
        compare_steady(&self.ledger, Duration::from_secs(5), Duration::ZERO).unwrap()
    }

    fn equal(&self) {
        let found = self.compare();
        assert_eq!(found.state, State::Equal, "{found:?}");
        assert_eq!(found.node, found.booked);
        let audit = audit::audit(&self.ledger).unwrap();
        assert!(audit.clean, "{:?}", audit.problems);
    }

    fn not_at_rest(&self, why: &str) {
        let found = self.compare();
        assert_eq!(found.state, State::NotAtRest, "{found:?}");
        assert!(found.why.iter().any(|told| told.contains(why)), "{:?}", found.why);
    }

    fn drift(&self, why: &str) {
        let found = self.compare();
        assert_eq!(found.state, State::Drift, "{found:?}");
        assert!(found.why.iter().any(|told| told.contains(why)), "{:?}", found.why);
    }

    fn balance(&self, account: Account) -> i64 {
        let audit = audit::audit(&self.ledger).unwrap();
        audit.accounts.iter().find(|row| row.account == account.name()).unwrap().msat
    }

    fn transaction(&mut self, txid: Txid, net_sat: i64, spends: Option<OutPoint>, of_commitment: bool) {
        self.node.height += 1;
        let height = self.node.height;
        self.node.transactions.push(WalletTransaction { txid, net_sat, fee_alone: false, height });
        self.node.wallet_sat = self.node.wallet_sat.checked_add_signed(net_sat).unwrap();
        let output = spends.unwrap_or(OutPoint { txid: Txid::from_byte_array([0xee; 32]), vout: 7 });
        self.sim.tell_inputs(txid, vec![Spent { output, of_commitment }]);
    }

    fn deposit(&mut self, sat: u64) {
        let (_, txid) = self.name();
        self.transaction(txid, i64::try_from(sat).unwrap(), None, false);
    }

    /// A new channel, of which the node tells before it can be used.
    fn open(&mut self, capacity_sat: u64, ours_sat: u64, outbound: bool) {
        let (channel, txid) = self.name();
        let funding = OutPoint { txid, vout: 0 };
        self.node.channels.push(ChannelHolding {
            channel,
            funding,
            outbound,
            capacity_sat,
            ready: false,
            ours_msat: ours_sat * 1_000,
            in_flight_msat: 0,
            close_cost_sat: if outbound { CLOSE_FEE } else { 300 },
        });
        self.sim.tell_holdings(self.node.clone());
        note_channels(&self.ledger).unwrap();
        if outbound {
            self.transaction(txid, -i64::try_from(capacity_sat + 200).unwrap(), None, false);
        }
        self.node.channels.last_mut().unwrap().ready = true;
    }

    /// A payment of the services, which the ledger books by its event.
    fn pay(&mut self, at: usize, msat: i64) {
        let held = &mut self.node.channels[at];
        held.ours_msat = held.ours_msat.checked_add_signed(msat).unwrap();
        self.payments += 1;
        let subject = self.payments;
        self.ledger
            .store
            .write_blocking(move |tx| {
                Journal::new(Kind::ChargePaidTwice, subject)
                    .signed(Account::Lightning, msat)
                    .signed(Account::Operator, -msat)
                    .post(tx, subject)
            })
            .unwrap();
    }

    /// A payment of others; `told` times.
    fn forward(&mut self, at: usize, fee: u64, told: usize) {
        self.node.channels[at].ours_msat += fee;
        self.tell_forward(fee, told);
    }

    fn tell_forward(&self, fee: u64, told: usize) {
        for _ in 0..told {
            let written: Result<(), LedgerError> = self
                .ledger
                .store
                .write_blocking(move |tx| note_forward(tx, "from", "to", Msat::new(fee).unwrap(), 1));
            written.unwrap();
        }
    }

    fn close_together(&mut self, at: usize) {
        let held = self.node.channels.remove(at);
        let ours = held.ours_msat / 1_000;
        let unconfirmed = ClaimKind::Unconfirmed { cost_sat: held.close_cost_sat };
        let claim = |kind| Claim { channel: held.channel.clone(), amount_sat: ours, kind };
        self.node.claims = vec![claim(unconfirmed)];
        self.not_at_rest("is closed");
        let gets = ours - if held.outbound { ours.min(CLOSE_FEE) } else { 0 };
        self.node.claims = vec![claim(ClaimKind::Cooperative)];
        if gets >= 354 {
            let (_, txid) = self.name();
            self.transaction(txid, i64::try_from(gets).unwrap(), Some(held.funding), false);
            self.equal();
        }
        self.node.claims.clear();
        self.equal();
        assert_eq!(self.balance(Account::Closing), 0);
    }

    fn close_by_force(&mut self, at: usize) {
        let held = self.node.channels.remove(at);
        let ours = held.ours_msat / 1_000;
        let cost = if held.outbound { ours.min(CLOSE_FEE) } else { 0 };
        let gets = if ours - cost < 354 { 0 } else { ours - cost };
        let claim = |kind| Claim { channel: held.channel.clone(), amount_sat: gets, kind };
        self.node.claims = vec![claim(ClaimKind::Unconfirmed { cost_sat: held.close_cost_sat })];
        self.not_at_rest("is closed");
        self.node.claims = if gets > 0 { vec![claim(ClaimKind::Certain)] } else { Vec::new() };
        self.equal();
        if gets == 0 {
            return;
        }
        // The wallet pays to hurry it.
        let (_, bump) = self.name();
        self.transaction(bump, -77, None, true);
        self.equal();
        self.node.claims.clear();
        let (_, txid) = self.name();
        let swept = |txid| Sweep { channel: Some(held.channel.clone()), amount_sat: gets, txid };
        for known in [None, Some(txid)] {
            self.node.sweeps = vec![swept(known)];
            self.equal();
        }
        self.transaction(txid, i64::try_from(gets - SWEEP_FEE).unwrap(), None, true);
        self.equal();
        self.node.sweeps.clear();
        self.equal();
        assert_eq!(self.balance(Account::Closing), 0);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Deposit(u64),
    Open { sat: u64, pushed: u64 },
    PeerOpens { sat: u64, given: u64 },
    In(usize, u64),
    Out(usize, u64),
    Forward { at: usize, fee: u64, told: usize },
    CloseTogether(usize),
    CloseByForce(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let at = || 0..4_usize;
    prop_oneof![
        (1_000..5_000_000_u64).prop_map(Step::Deposit),
        (20_000..500_000_u64, 0..15_000_u64).prop_map(|(sat, pushed)| Step::Open { sat, pushed }),
        (20_000..500_000_u64, prop_oneof![Just(0), 1..9_000_u64])
            .prop_map(|(sat, given)| Step::PeerOpens { sat, given }),
        (at(), 1..9_000_000_u64).prop_map(|(at, msat)| Step::In(at, msat)),
        (at(), 1..9_000_000_u64).prop_map(|(at, msat)| Step::Out(at, msat)),
        (at(), 1..5_000_u64, 1..3_usize).prop_map(|(at, fee, told)| Step::Forward { at, fee, told }),
        at().prop_map(Step::CloseTogether),
        at().prop_map(Step::CloseByForce),
    ]
}

fn take(world: &mut World, step: &Step) {
    let count = world.node.channels.len();
    let there = |at: usize| (count > 0).then(|| at % count);
    match *step {
        Step::Deposit(sat) => world.deposit(sat),
        Step::Open { sat, pushed } if world.node.wallet_sat > sat + 1_000 => {
            world.open(sat, sat - pushed, true);
        }
        Step::Open { .. } => {}
        Step::PeerOpens { sat, given } => world.open(sat, given, false),
        Step::In(at, msat) => {
            if let Some(at) = there(at) {
                world.pay(at, i64::try_from(msat).unwrap());
            }
        }
        Step::Out(at, msat) => {
            if let Some(at) = there(at) {
                let msat = msat.min(world.node.channels[at].ours_msat);
                world.pay(at, -i64::try_from(msat).unwrap());
            }
        }
        Step::Forward { at, fee, told } => {
            if let Some(at) = there(at) {
                world.forward(at, fee, told);
            }
        }
        Step::CloseTogether(at) => {
            if let Some(at) = there(at) {
                world.close_together(at);
            }
        }
        Step::CloseByForce(at) => {
            if let Some(at) = there(at) {
                world.close_by_force(at);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn books_equal_the_node_after_every_step(
        before in proptest::collection::vec(step(), 0..4),
        after in proptest::collection::vec(step(), 1..14),
        less in 1..10_000_u64,
    ) {
        let mut world = World::new();
        // What was there before the books knew the node; channels closed by then are over.
        world.deposit(10_000_000);
        for step in before.iter().filter(|step| !matches!(step, Step::CloseTogether(_) | Step::CloseByForce(_))) {
            take(&mut world, step);
        }
        world.equal();
        prop_assert_eq!(world.balance(Account::ForwardingIncome), 0);
        for step in &after {
            take(&mut world, step);
            world.equal();
        }
        world.deposit(1_000_000);
        world.open(50_000, 50_000, true);
        world.equal();
        let lost = world.node.channels.last_mut().unwrap();
        lost.ours_msat -= less;
        let name = lost.channel.clone();
        world.drift(&format!("channel {name} had 50000000 msat"));
    }
}

#[test]
fn transaction_that_nobody_ordered_is_drift_and_named() {
    let mut world = World::new();
    world.deposit(100_000);
    world.equal();
    let own = world.node.transactions[0].txid;
    let (_, txid) = world.name();
    world.transaction(txid, -5_000, Some(OutPoint { txid: own, vout: 0 }), false);
    world.drift(&format!("{txid} (-5000 sat)"));
}

#[test]
fn what_is_under_way_is_not_drift() {
    let mut world = World::new();
    world.deposit(1_000_000);
    world.equal();
    world.open(500_000, 500_000, true);
    world.equal();
    world.node.channels[0].ours_msat -= 7_000;
    world.node.channels[0].in_flight_msat = 7_000;
    world.not_at_rest("7000 msat in flight");
    world.node.channels[0].ours_msat -= 1;
    world.drift("that nothing explains");
    world.node.channels[0].ours_msat += 7_001;
    world.node.channels[0].in_flight_msat = 0;
    world.equal();
    world.node.wallet_sat -= 300;
    world.not_at_rest("not in a block");
    world.node.wallet_sat += 300;
    world.node.is_old = true;
    world.not_at_rest("not seen the chain");
}

#[test]
fn close_that_takes_too_much_is_drift() {
    let mut world = World::new();
    world.deposit(1_000_000);
    world.equal();
    world.open(500_000, 500_000, true);
    world.equal();
    let held = world.node.channels.remove(0);
    let (_, txid) = world.name();
    world.transaction(txid, 480_000, Some(held.funding), false);
    world.drift("is gone");
}

#[test]
fn forward_told_again_after_it_was_booked_is_booked_once() {
    let mut world = World::new();
    world.deposit(1_000_000);
    world.equal();
    world.open(500_000, 400_000, true);
    world.forward(0, 1_000, 1);
    world.equal();
    world.tell_forward(1_000, 1);
    world.equal();
    assert_eq!(world.balance(Account::ForwardingIncome), -1_000);
    // The same payment a second time is another one.
    world.forward(0, 1_000, 1);
    world.equal();
    assert_eq!(world.balance(Account::ForwardingIncome), -2_000);
}

#[test]
fn never_confirmed_channel_holds_up_nothing() {
    let mut world = World::new();
    world.deposit(1_000_000);
    world.equal();
    world.open(100_000, 100_000, false);
    world.node.channels[0].ready = false;
    let held = world.node.channels.remove(0);
    let kind = ClaimKind::Unconfirmed { cost_sat: 900 };
    world.node.claims = vec![Claim { channel: held.channel, amount_sat: 99_000, kind }];
    world.equal();
}

#[test]
fn peer_channel_that_is_closed_and_swept_between_two_comparisons_is_booked() {
    let mut world = World::new();
    world.deposit(1_000_000);
    world.equal();
    world.open(100_000, 60_000, false);
    // The node tells that it can be used.
    world.sim.tell_holdings(world.node.clone());
    note_channels(&world.ledger).unwrap();
    let held = world.node.channels.remove(0);
    let (_, txid) = world.name();
    world.node.sweeps =
        vec![Sweep { channel: Some(held.channel.clone()), amount_sat: 60_000, txid: Some(txid) }];
    let net = i64::try_from(60_000 - SWEEP_FEE).unwrap();
    world.transaction(txid, net, None, true);
    world.equal();
    assert_eq!((world.balance(Account::Closing), world.balance(Account::Channels)), (0, 0));
}
