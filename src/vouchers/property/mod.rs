//! Whole histories of vouchers on a node that misbehaves, with crashes between any two steps.
//!
//! After each history the node is made honest, everything is driven to its end, and then: nobody was paid
//! twice, nothing was lost, nothing is stuck, the books are at zero. The node's own truth
//! ([`Sim::delivered`]) is the judge, not our rows.
//!
//! The histories of accounts (`services::accounts`) have these in their world, beside their own.

mod world;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use crate::ledger::LedgerError;
#[cfg(doc)]
use crate::lightning::sim::Sim;
use crate::storage::Store;

pub(crate) use world::World;

/// Histories in each of the two halves; together more than ten thousand. `SATCHEL_HISTORIES` asks for others.
const HISTORIES: u32 = 5_500;

/// Histories that share a database file, which is slow to make.
const PER_FILE: usize = 50;

/// What can happen.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Create {
        vouchers: u8,
        sat: u16,
        lives_for: Option<u16>,
    },
    Pay {
        charge: u8,
        extra_msat: u16,
    },
    Redeem {
        voucher: u8,
        taker_is_sender: bool,
    },
    /// One payout for some that stand side by side.
    RedeemSeveral {
        first: u8,
        count: u8,
        taker_is_sender: bool,
    },
    Recall {
        voucher: u8,
    },
    RedeemAgain {
        invoice: u8,
        voucher: u8,
    },
    RedeemInside {
        voucher: u8,
        charge: u8,
    },
    /// One payout to an offer for some that stand side by side.
    RedeemToOffer {
        voucher: u8,
        count: u8,
        offer: u8,
        taker_is_sender: bool,
    },
    /// A step of who pays offers.
    Offers,
    OffersThenDie {
        after: bool,
    },
    OffersUnwritable,
    /// The maker of an offer sends an invoice, or says no.
    InvoiceComes {
        which: u8,
    },
    NoInvoice {
        which: u8,
    },
    /// The node loses its records of payments to offers.
    ForgetOffers,
    /// The process dies, and the node forgets some of the offers that wait for their invoice.
    DieForgetting {
        which: u8,
    },
    Dispatch,
    DispatchAndDie {
        after: bool,
    },
    DispatchUnwritable,
    Commit,
    Resolve {
        which: u8,
        arrives: bool,
        fee: u8,
    },
    FailUntold {
        which: u8,
    },
    Tell,
    Event,
    EventThenDie,
    Look,
    /// The process dies, and its node finds a channel further than its own state.
    DieStale {
        records_lost: u8,
        forgets: u8,
    },
    /// The closing transactions of channels are in a block.
    Confirm,
    /// The chain decides what becomes of an HTLC.
    Decide {
        which: u8,
        arrives: bool,
    },
    Mine {
        blocks: u8,
    },
    /// The process is away for weeks.
    Away {
        arrives: u8,
    },
    /// Channels take no less than this.
    Minimum {
        sat: u16,
    },
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
    /// What must never be done: only in the test that shows that it would be noticed.
    GiveUpOldest,
    /// The same of a payout to an offer.
    GiveUpOffer,
}

/// Any step but the one that breaks the rules.
pub(crate) fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1..4_u8, 100..2_000_u16, proptest::option::weighted(0.2, 10..400_u16))
            .prop_map(|(vouchers, sat, lives_for)| Step::Create { vouchers, sat, lives_for }),
        4 => (any::<u8>(), prop_oneof![4 => Just(0_u16), 1 => any::<u16>()])
            .prop_map(|(charge, extra_msat)| Step::Pay { charge, extra_msat }),
        6 => (any::<u8>(), proptest::bool::weighted(0.1))
            .prop_map(|(voucher, taker_is_sender)| Step::Redeem { voucher, taker_is_sender }),
        3 => (any::<u8>(), 2..5_u8, proptest::bool::weighted(0.2)).prop_map(
            |(first, count, taker_is_sender)| Step::RedeemSeveral { first, count, taker_is_sender }
        ),
        1 => any::<u8>().prop_map(|voucher| Step::Recall { voucher }),
        2 => (any::<u8>(), any::<u8>()).prop_map(|(invoice, voucher)| Step::RedeemAgain { invoice, voucher }),
        1 => (any::<u8>(), any::<u8>()).prop_map(|(voucher, charge)| Step::RedeemInside { voucher, charge }),
        6 => (any::<u8>(), prop_oneof![4 => Just(1_u8), 1 => 2..4_u8], any::<u8>(), proptest::bool::weighted(0.2))
            .prop_map(|(voucher, count, offer, taker_is_sender)| {
                Step::RedeemToOffer { voucher, count, offer, taker_is_sender }
            }),
        6 => Just(Step::Offers),
        2 => any::<bool>().prop_map(|after| Step::OffersThenDie { after }),
        1 => Just(Step::OffersUnwritable),
        4 => any::<u8>().prop_map(|which| Step::InvoiceComes { which }),
        1 => any::<u8>().prop_map(|which| Step::NoInvoice { which }),
        1 => Just(Step::ForgetOffers),
        1 => any::<u8>().prop_map(|which| Step::DieForgetting { which }),
        6 => Just(Step::Dispatch),
        2 => any::<bool>().prop_map(|after| Step::DispatchAndDie { after }),
        1 => Just(Step::DispatchUnwritable),
        2 => Just(Step::Commit),
        5 => (any::<u8>(), any::<bool>(), any::<u8>())
            .prop_map(|(which, arrives, fee)| Step::Resolve { which, arrives, fee }),
        1 => any::<u8>().prop_map(|which| Step::FailUntold { which }),
        1 => Just(Step::Tell),
        6 => Just(Step::Event),
        2 => Just(Step::EventThenDie),
        2 => Just(Step::Look),
        2 => (0..4_u8, any::<u8>())
            .prop_map(|(records_lost, forgets)| Step::DieStale { records_lost, forgets }),
        2 => Just(Step::Confirm),
        3 => (any::<u8>(), any::<bool>()).prop_map(|(which, arrives)| Step::Decide { which, arrives }),
        3 => (1..9_u8).prop_map(|blocks| Step::Mine { blocks }),
        1 => any::<u8>().prop_map(|arrives| Step::Away { arrives }),
        1 => prop_oneof![Just(0_u16), 90..1_000_u16].prop_map(|sat| Step::Minimum { sat }),
        2 => (0..4_u8, 0..4_u8)
            .prop_map(|(records_lost, events_again)| Step::Die { records_lost, events_again }),
        1 => Just(Step::Sweep),
        2 => any::<bool>().prop_map(|exists| Step::Route { exists }),
        2 => any::<bool>().prop_map(|at_once| Step::Turns { at_once }),
        2 => (1..900_u16).prop_map(|seconds| Step::Wait { seconds }),
        1 => Just(Step::Expire),
    ]
}

/// Runs histories, each in a world of its own, many worlds to a file.
fn run(histories: u32, steps: impl Strategy<Value = Vec<Step>>) -> Result<(), String> {
    run_with(histories, steps, clear, |store, history| {
        let mut world = World::new(store);
        for step in history {
            world.take(step);
        }
        world.settle();
        world.judge()
    })
}

/// Runs histories of any kind, many to a file; `clear` empties it in between.
pub(crate) fn run_with<S: std::fmt::Debug>(
    histories: u32,
    steps: impl Strategy<Value = Vec<S>>,
    clear: impl Fn(&Store),
    live: impl Fn(Store, &[S]) -> Result<(), TestCaseError>,
) -> Result<(), String> {
    silence_expected_panics();
    let folder = tempfile::tempdir().unwrap();
    let shared = std::cell::RefCell::new((0_usize, None::<Store>));
    let config =
        Config { cases: histories, max_shrink_iters: 2_000, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let outcome = runner.run(&steps, |history| {
        let store = {
            let mut shared = shared.borrow_mut();
            if shared.0.is_multiple_of(PER_FILE) {
                let path = folder.path().join(format!("{}.db", shared.0));
                shared.1 = Some(Store::open_without_sync(&path).unwrap());
            }
            shared.0 += 1;
            shared.1.clone().unwrap()
        };
        clear(&store);
        live(store, &history)
    });
    outcome.map_err(|error| error.to_string())
}

/// An empty file again: cheaper than a new one.
pub(crate) fn clear(store: &Store) {
    store
        .write_blocking(|tx| {
            tx.execute_batch(
                "UPDATE vouchers SET payout_id = NULL, offer_payout_id = NULL; DELETE FROM voucher_payouts;
                 DELETE FROM voucher_offer_payouts; DELETE FROM offer_payouts; DELETE FROM payouts; DELETE FROM vouchers; DELETE FROM charges; DELETE FROM entries;
                 DELETE FROM journals; DELETE FROM balances; DELETE FROM unclaimed; DELETE FROM counters;",
            )
            .map_err(LedgerError::from)
        })
        .unwrap();
}

/// How many are asked for; as many as `usual` if none are.
pub(crate) fn asked_for(usual: u32) -> u32 {
    std::env::var("SATCHEL_HISTORIES").map_or(usual, |text| text.parse().unwrap())
}

fn silence_expected_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let text = info.payload_as_str().unwrap_or_default();
        if !text.contains(crate::lightning::sim::CRASH) {
            usual(info);
        }
    }));
}

#[test]
fn short_histories_end_with_everybody_paid_once_and_the_books_at_zero() {
    run(asked_for(HISTORIES), proptest::collection::vec(step(), 1..40)).unwrap();
}

#[test]
fn long_histories_end_with_everybody_paid_once_and_the_books_at_zero() {
    run(asked_for(HISTORIES), proptest::collection::vec(step(), 40..120)).unwrap();
}

#[test]
fn releasing_a_voucher_because_time_has_passed_would_be_noticed() {
    let broken = prop_oneof![10 => step(), 2 => Just(Step::GiveUpOldest)];
    let outcome = run(2_000, proptest::collection::vec(broken, 20..80));
    assert!(outcome.is_err(), "the rule was broken and nobody noticed");
}

#[test]
fn releasing_a_voucher_whose_offer_may_be_paid_would_be_noticed() {
    let broken = prop_oneof![10 => step(), 3 => Just(Step::GiveUpOffer)];
    let outcome = run(2_000, proptest::collection::vec(broken, 20..100));
    assert!(outcome.is_err(), "the rule was broken and nobody noticed");
}
