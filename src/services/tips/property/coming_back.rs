//! What comes back after a payout that failed, and what turns out to have arrived.

use super::Step;
use super::world::World;
use crate::storage::Store;

/// A paid group of so many tips of 1,000 sat, whose fee is 11.
fn app(return_fee: bool, quantity: u8) -> (World, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open_without_sync(&folder.path().join("satchel.db")).unwrap();
    let mut world = World::new(store, return_fee);
    world.take(&Step::Turns { at_once: true });
    world.take(&Step::Create { quantity, sat: 1_000, lives_for: 600, skip: false });
    world.take(&Step::Pay { invoice: 0, extra_msat: 0 });
    world.take(&Step::Event);
    (world, folder)
}

fn claim_and_withdraw(world: &mut World, tips: u8) {
    for tip in 0..tips {
        world.take(&Step::Claim { tip, second: false });
    }
    world.take(&Step::Withdraw { second: false, only: None });
    world.take(&Step::Dispatch);
}

fn decide(world: &mut World, arrives: bool) {
    world.take(&Step::Resolve { which: 0, arrives, fee: 0 });
    world.take(&Step::Event);
}

#[test]
fn a_failed_refund_of_many_tips_is_one_failure_and_the_next_try_is_a_minute_away() {
    let (mut world, _folder) = app(false, 4);
    for tip in 0..4 {
        world.take(&Step::Reclaim { tip, force: false });
    }
    world.take(&Step::Refund { gives: true });
    world.take(&Step::Dispatch);
    decide(&mut world, false);
    assert_eq!(world.next_refund(), (Some(60_000), 1));
    world.take(&Step::Wait { seconds: 61 });
    world.take(&Step::Refund { gives: true });
    world.take(&Step::Dispatch);
    decide(&mut world, true);
    assert_eq!(world.next_refund(), (None, 0));
    assert_eq!(world.judge().unwrap().refunded, 4);
}

#[test]
fn a_withdrawal_that_fails_says_nothing_about_the_tippers_address() {
    let (mut world, _folder) = app(false, 2);
    claim_and_withdraw(&mut world, 2);
    decide(&mut world, false);
    assert_eq!(world.next_refund(), (None, 0));
}

#[test]
fn a_withdrawal_that_fails_after_the_end_brings_tip_and_fee_back_at_once() {
    let (mut world, _folder) = app(true, 1);
    claim_and_withdraw(&mut world, 1);
    world.take(&Step::Wait { seconds: 700 });
    world.take(&Step::Expire);
    decide(&mut world, false);
    assert_eq!(world.next_refund(), (Some(0), 0));
    assert_eq!(world.owed_msat(), 1_011_000);
    world.take(&Step::Refund { gives: true });
    world.take(&Step::Dispatch);
    decide(&mut world, true);
    assert_eq!(world.judge().unwrap().refunded, 1);
}

/// Should the node ever take a failure back: the tip is withdrawn, and its fee earned.
#[test]
fn a_late_arrival_of_a_tip_that_came_back_with_its_fee_leaves_the_books_right() {
    let (mut world, _folder) = app(true, 2);
    claim_and_withdraw(&mut world, 2);
    world.give_up_oldest();
    world.take(&Step::Wait { seconds: 700 });
    world.take(&Step::Expire);
    assert_eq!(world.owed_msat(), 2_022_000);
    decide(&mut world, true);
    assert_eq!(world.judge().unwrap().withdrawn, 2);
    assert_eq!(world.owed_msat(), 0);
}
