//! Whole histories of accounts, beside those of vouchers: withdrawals to invoices, offers and addresses, the operator's
//! own payments, on a node and a wallet that misbehave, with crashes between any two steps.
//!
//! Afterwards everything is driven to its end. Then each withdrawal and payment arrived once and is completed, or not at
//! all and is failed; balances, statements and books agree; and nothing is stuck.

mod judge;
mod world;

use proptest::prelude::*;

use super::test_app::sat;
use crate::ledger::LedgerError;
use crate::storage::Store;
use crate::vouchers::property::{self, asked_for, run_with};
use world::World;

/// Histories in each of the two halves. `SATCHEL_HISTORIES` asks for others.
const HISTORIES: u32 = 1_000;

/// Accounts that earn and withdraw.
const ACCOUNTS: u8 = 2;

#[derive(Clone, Debug)]
enum Step {
    /// Of vouchers, and what happens to the node.
    Voucher(property::Step),
    /// An account sells a request.
    Earn {
        account: u8,
        sat: u16,
    },
    ToInvoice {
        account: u8,
        sat: u16,
    },
    ToOffer {
        account: u8,
        sat: u16,
    },
    ToAddress {
        account: u8,
        sat: u16,
    },
    /// The operator pays.
    Pay {
        sat: u16,
    },
    PayOffer {
        sat: u16,
    },
    /// A step of those who send coins.
    Coins,
    CoinsThenDie {
        after: bool,
    },
    SeeCoins,
    BuryCoins,
    /// Another transaction in the chain spends the same coins.
    ReplaceCoins {
        which: u8,
    },
    Wallet {
        empty: bool,
    },
    /// What must never be done: only in the test that shows that it would be noticed.
    GiveUpOffer,
}

fn step() -> impl Strategy<Value = Step> {
    let amount = || (any::<u8>(), 50..3_000_u16);
    prop_oneof![
        50 => property::step().prop_map(Step::Voucher),
        4 => (any::<u8>(), 500..20_000_u16).prop_map(|(account, sat)| Step::Earn { account, sat }),
        3 => amount().prop_map(|(account, sat)| Step::ToInvoice { account, sat }),
        4 => amount().prop_map(|(account, sat)| Step::ToOffer { account, sat }),
        2 => (any::<u8>(), 1_000..5_000_u16).prop_map(|(account, sat)| Step::ToAddress { account, sat }),
        1 => (50..3_000_u16).prop_map(|sat| Step::Pay { sat }),
        1 => (50..3_000_u16).prop_map(|sat| Step::PayOffer { sat }),
        3 => Just(Step::Coins),
        1 => any::<bool>().prop_map(|after| Step::CoinsThenDie { after }),
        2 => Just(Step::SeeCoins),
        2 => Just(Step::BuryCoins),
        1 => any::<u8>().prop_map(|which| Step::ReplaceCoins { which }),
        1 => any::<bool>().prop_map(|empty| Step::Wallet { empty }),
    ]
}

/// An empty file again, but for the accounts.
fn clear(store: &Store) {
    store
        .write_blocking(|tx| {
            tx.execute_batch(
                "DELETE FROM withdrawals; DELETE FROM withdrawal_days; DELETE FROM operator_sends;
                 DELETE FROM coin_sends; DELETE FROM fee_reserves; DELETE FROM account_lines; DELETE FROM account_balances;
                 DELETE FROM l402_challenges; DELETE FROM l402_earnings; DELETE FROM routing_hours;
                 INSERT OR IGNORE INTO accounts (id, name, created_at) VALUES (1, 'one', 0), (2, 'two', 0);",
            )
            .map_err(LedgerError::from)
        })
        .unwrap();
    property::clear(store);
}

fn run(
    histories: u32,
    account_pays_routing: bool,
    steps: impl Strategy<Value = Vec<Step>>,
) -> Result<(), String> {
    let shared = world::Shared::new();
    run_with(histories, steps, clear, |store, history| {
        let mut world = World::new(&shared, store, account_pays_routing);
        for step in history {
            world.take(step);
        }
        world.settle();
        world.judge()
    })
}

#[test]
fn short_histories_end_with_everybody_paid_once_and_the_books_at_zero() {
    run(asked_for(HISTORIES), true, proptest::collection::vec(step(), 1..40)).unwrap();
}

#[test]
fn long_histories_end_with_everybody_paid_once_and_the_books_at_zero() {
    run(asked_for(HISTORIES), false, proptest::collection::vec(step(), 40..120)).unwrap();
}

#[test]
fn giving_up_an_offer_without_proof_would_be_noticed() {
    let broken = prop_oneof![10 => step(), 3 => Just(Step::GiveUpOffer)];
    let outcome = run(2_000, true, proptest::collection::vec(broken, 20..100));
    assert!(outcome.is_err(), "the rule was broken and nobody noticed");
}
