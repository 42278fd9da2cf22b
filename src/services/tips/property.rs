//! Whole histories of tips on a node that misbehaves, with crashes between any two steps.
//!
//! As the vouchers' own, with what the family adds to them: fees, groups, invoices that were replaced, paid twice,
//! or paid for what was deleted, and fees that come back. In the end every tip was paid out once or not at all, and
//! every msat that came in went out, is owed, was earned, or is in suspense.

mod address;
mod coming_back;
mod judge;
mod to_offers;
mod world;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::storage::Store;
use judge::Seen;
use world::World;

const HISTORIES: u32 = 2_000;

/// Histories that share a database file, which is slow to make.
const PER_FILE: usize = 50;

/// Amounts of which some, with their fees, are what others hold: 990 costs 1,000, and two of them 2,000.
const AMOUNTS: [u64; 4] = [990, 1_000, 2_000, 5_000];

#[derive(Clone, Debug)]
enum Step {
    Create {
        quantity: u8,
        sat: u64,
        lives_for: u16,
        skip: bool,
    },
    /// The tipper looks: an invoice that is over is replaced.
    Look {
        order: u8,
    },
    Pay {
        invoice: u8,
        extra_msat: u16,
    },
    Delete {
        order: u8,
    },
    Claim {
        tip: u8,
        second: bool,
    },
    /// All that somebody has claimed, or one of it.
    Withdraw {
        second: bool,
        only: Option<u8>,
    },
    Anonymous {
        tip: u8,
    },
    WithdrawAgain {
        invoice: u8,
        second: bool,
    },
    WithdrawInside {
        invoice: u8,
        second: bool,
    },
    Reclaim {
        tip: u8,
        force: bool,
    },
    TakeBack,
    /// What concerns offers.
    ToOffer(to_offers::Step),
    Refund {
        gives: bool,
    },
    Dispatch,
    DispatchAndDie {
        after: bool,
    },
    Commit,
    Resolve {
        which: u8,
        arrives: bool,
        fee: u8,
    },
    Tell,
    Event,
    EventThenDie,
    Ask,
    Die {
        records_lost: u8,
        events_again: u8,
    },
    Sweep,
    Route {
        exists: bool,
    },
    Turns {
        at_once: bool,
    },
    Wait {
        seconds: u16,
    },
    Expire,
}

fn step() -> impl Strategy<Value = Step> {
    let quantity = prop_oneof![2 => Just(1_u8), 1 => 2..5_u8];
    prop_oneof![
        4 => (quantity, proptest::sample::select(&AMOUNTS[..]), 300..20_000_u16, proptest::bool::weighted(0.3))
            .prop_map(|(quantity, sat, lives_for, skip)| Step::Create { quantity, sat, lives_for, skip }),
        2 => any::<u8>().prop_map(|order| Step::Look { order }),
        6 => (any::<u8>(), prop_oneof![6 => Just(0_u16), 1 => any::<u16>()])
            .prop_map(|(invoice, extra_msat)| Step::Pay { invoice, extra_msat }),
        1 => any::<u8>().prop_map(|order| Step::Delete { order }),
        9 => (any::<u8>(), any::<bool>()).prop_map(|(tip, second)| Step::Claim { tip, second }),
        7 => (any::<bool>(), proptest::option::of(any::<u8>()))
            .prop_map(|(second, only)| Step::Withdraw { second, only }),
        3 => any::<u8>().prop_map(|tip| Step::Anonymous { tip }),
        1 => (any::<u8>(), any::<bool>())
            .prop_map(|(invoice, second)| Step::WithdrawAgain { invoice, second }),
        2 => (any::<u8>(), any::<bool>())
            .prop_map(|(invoice, second)| Step::WithdrawInside { invoice, second }),
        2 => (any::<u8>(), any::<bool>()).prop_map(|(tip, force)| Step::Reclaim { tip, force }),
        1 => Just(Step::TakeBack),
        14 => to_offers::step().prop_map(Step::ToOffer),
        2 => any::<bool>().prop_map(|gives| Step::Refund { gives }),
        6 => Just(Step::Dispatch),
        1 => any::<bool>().prop_map(|after| Step::DispatchAndDie { after }),
        1 => Just(Step::Commit),
        5 => (any::<u8>(), any::<bool>(), any::<u8>())
            .prop_map(|(which, arrives, fee)| Step::Resolve { which, arrives, fee }),
        1 => Just(Step::Tell),
        12 => Just(Step::Event),
        2 => Just(Step::EventThenDie),
        1 => Just(Step::Ask),
        1 => (0..4_u8, 0..4_u8)
            .prop_map(|(records_lost, events_again)| Step::Die { records_lost, events_again }),
        1 => Just(Step::Sweep),
        1 => any::<bool>().prop_map(|exists| Step::Route { exists }),
        1 => any::<bool>().prop_map(|at_once| Step::Turns { at_once }),
        3 => (1..900_u16).prop_map(|seconds| Step::Wait { seconds }),
        2 => Just(Step::Expire),
    ]
}

#[test]
fn histories_of_tips_end_with_each_paid_once_and_the_books_at_zero() {
    world::silence_expected_panics();
    let folder = tempfile::tempdir().unwrap();
    let shared = std::cell::RefCell::new((0_usize, None::<Store>, Seen::default()));
    let config =
        Config { cases: HISTORIES, max_shrink_iters: 1_000, failure_persistence: None, ..Config::default() };
    let histories = (any::<bool>(), proptest::collection::vec(step(), 30..110));
    let outcome = TestRunner::new(config).run(&histories, |(return_fee, history)| {
        let store = {
            let mut shared = shared.borrow_mut();
            if shared.0.is_multiple_of(PER_FILE) {
                let path = folder.path().join(format!("{}.db", shared.0));
                shared.1 = Some(Store::open_without_sync(&path).unwrap());
            }
            shared.0 += 1;
            shared.1.clone().unwrap()
        };
        let mut world = World::new(store, return_fee);
        for step in &history {
            world.take(step);
        }
        world.settle();
        let seen = world.judge()?;
        shared.borrow_mut().2.add(seen);
        Ok(())
    });
    outcome.unwrap();
    // A test of histories in which nothing happens would prove nothing.
    let seen = shared.into_inner().2;
    assert!(
        seen.withdrawn > 300 && seen.refunded > 300 && seen.to_offers > 30 && seen.credits > 10,
        "{seen:?}"
    );
}
