//! Refunds to addresses: once each, whatever dies, by the operator's coins.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use bitcoin::hashes::Hash;
use bitcoin::{Address, Network, PubkeyHash, Txid};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::answer::Answer;
use super::paying_app::{PayingApp, REFUNDS};
use super::test_app::{Setup, TestApp, id};
use crate::core::money::Msat;
use crate::ledger::LedgerError;
use crate::ledger::coin_fees::FeeRules;
use crate::ledger::coins::{self, CoinStatus, Found};
use crate::lightning::sim::{CRASH, Trap};

fn address(number: u64) -> String {
    Address::p2pkh(PubkeyHash::hash(&number.to_be_bytes()), Network::Regtest).to_string()
}

impl PayingApp {
    async fn refund_to(&self, made: &Value, amount: Value, currency: &str, address: &str) -> Answer {
        let body = json!({ "invoiceId": id(made), "amount": amount, "currency": currency, "bitcoinAddress": address });
        self.post(&self.shop, REFUNDS, &body).await
    }

    fn step(&self) {
        tokio::task::block_in_place(|| coins::Worker::default().step(&self.ledger).unwrap());
    }

    async fn refund_status(&self, refund: &Value) -> String {
        let path = format!("{REFUNDS}/{}", refund["refundId"].as_str().unwrap());
        self.get(&self.shop, &path).await.ok()["status"].as_str().unwrap().to_owned()
    }

    fn open_coins(&self) -> Vec<coins::OnchainPayout> {
        self.ledger.store.read_blocking(coins::open).unwrap()
    }

    fn found(&self, found: Found) -> bool {
        let send = self.open_coins().remove(0);
        let judged =
            tokio::task::block_in_place(|| coins::may_settle(&self.ledger, &send, &found, false).unwrap());
        assert_eq!(judged, None);
        let (listeners, now) = (self.ledger.listeners.clone(), self.clock.now());
        let settled = self.ledger.store.write_blocking(move |tx| -> Result<_, LedgerError> {
            coins::settle(tx, &listeners, send.id, &found, now)
        });
        settled.unwrap().is_ok()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn coins_go_to_an_address_and_arrive_six_blocks_deep() {
    let paying = PayingApp::new().await;
    paying.listen("https://shop.example/hook").await;
    let made = paying.paid(&json!({})).await;
    let (first, second) = (address(1), address(2));
    let part = paying.refund_to(&made, json!(19.99), "USD", &first).await.created();
    assert_eq!(
        (&part["type"], &part["status"], &part["amountSats"]),
        (&json!("onchain"), &json!("pending"), &json!(49_984))
    );
    assert!(part["txid"].is_null());
    let again = paying.refund_to(&made, json!(19.99), "USD", &first).await;
    assert_eq!((again.status, again.ok()["refundId"].clone()), (200, part["refundId"].clone()));
    paying.refund_to(&made, json!(1), "USD", &first).await.is_error(409, "ADDRESS_USED", REFUNDS);
    let rest = paying.refund_to(&made, json!(30), "USD", &second).await.created();
    assert_eq!((paying.owed(), paying.balance("in_flight")), (0, -125_000_000));
    // One at a time: the second waits until the wallet has seen the first.
    paying.step();
    paying.step();
    assert_eq!(paying.sim.coins_sent(), [(first.clone(), 49_984)]);
    paying.sim.see_coins();
    paying.step();
    assert_eq!(paying.sim.coins_sent(), [(first.clone(), 49_984), (second.clone(), 75_016)]);
    assert_eq!(paying.refund_status(&part).await, "pending");
    paying.sim.bury_coins();
    paying.step();
    assert_eq!(
        (paying.refund_status(&part).await, paying.refund_status(&rest).await),
        ("completed".into(), "completed".into())
    );
    assert_eq!(paying.status(&id(&made)).await, "refunded");
    // The coins are bought from the operator with what was owed to the merchant.
    assert_eq!((paying.balance("in_flight"), paying.balance("operator")), (0, -125_000_000));
    let list = paying.get(&paying.shop, REFUNDS).await.ok();
    assert_eq!(list["refunds"][0]["txid"].as_str().unwrap().len(), 64);
    let kinds: Vec<_> = paying.sent().into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, ["payment.completed", "refund.completed", "refund.completed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_t_go_to_an_address_is_refused_with_its_reason() {
    let paying = PayingApp::new().await;
    let made = paying.paid(&json!({ "amount": 3_000, "currency": "sats" })).await;
    let mainnet = Address::p2pkh(PubkeyHash::hash(b"x"), Network::Bitcoin).to_string();
    for wrong in ["x", &mainnet, "bcrt1q"] {
        paying.refund_to(&made, json!(1_000), "sats", wrong).await.is_error(400, "INVALID_ADDRESS", REFUNDS);
    }
    paying.refund_to(&made, json!(545), "sats", &address(1)).await.is_error(400, "AMOUNT_TOO_SMALL", REFUNDS);
    paying.refund_to(&made, json!(3_001), "sats", &address(1)).await.is_error(
        400,
        "REFUND_EXCEEDS_PAYMENT",
        REFUNDS,
    );
    paying.refund_to(&made, json!(1), "USD", &address(1)).await.is_error(400, "INVALID_CURRENCY", REFUNDS);
    let mut setup = Setup::default();
    setup.rules.min_onchain = Msat::ZERO;
    let none = TestApp::with(setup).await;
    let made_there = none.order(&json!({ "amount": 3_000, "currency": "sats" })).await.created();
    none.pay(&made_there);
    let body = json!({ "invoiceId": id(&made_there), "amount": 1_000, "currency": "sats", "bitcoinAddress": address(1) });
    none.post(&none.shop, REFUNDS, &body).await.is_error(400, "ONCHAIN_NOT_SUPPORTED", REFUNDS);
    paying.sim.set_no_coins(true);
    let short = paying.refund_to(&made, json!(1_000), "sats", &address(1)).await;
    short.is_error(503, "INSUFFICIENT_ONCHAIN_FUNDS", REFUNDS);
    paying.node.running.store(false, std::sync::atomic::Ordering::SeqCst);
    paying.refund_to(&made, json!(1_000), "sats", &address(1)).await.is_error(
        503,
        "NODE_UNAVAILABLE",
        REFUNDS,
    );
    assert_eq!((paying.owed(), paying.open_coins().len()), (3_000, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn miners_fee_of_a_refund_has_a_limit_for_one_for_an_account_and_for_all_in_an_hour() {
    let sat = |sat| Msat::from_sat(sat).unwrap();
    let mut setup = Setup::default();
    // Reckoned at 449 each at the usual rate.
    setup.rules.onchain_fees =
        FeeRules { max: sat(5_000), max_account_hour: sat(900), max_hour: sat(1_300), rate: None };
    let paying = PayingApp::with(setup).await;
    let made = paying.paid(&json!({ "amount": 10_000, "currency": "sats" })).await;
    paying.sim.set_fee_rate(10_000);
    let dear = paying.refund_to(&made, json!(2_000), "sats", &address(1)).await;
    dear.is_error(503, "ONCHAIN_FEE_TOO_HIGH", REFUNDS);
    assert_eq!((paying.owed(), paying.open_coins().len()), (10_000, 0));
    paying.sim.set_fee_rate(253);
    for number in 1..=2 {
        paying.refund_to(&made, json!(2_000), "sats", &address(number)).await.created();
    }
    let third = paying.refund_to(&made, json!(2_000), "sats", &address(3)).await;
    third.is_error(503, "ONCHAIN_FEE_LIMIT", REFUNDS);
    // Those that wait to be sent are counted as what they may cost; nothing was taken for the one refused.
    assert_eq!((paying.owed(), paying.open_coins().len()), (6_000, 2));
    paying.clock.advance(Duration::from_secs(3_601));
    paying.refund_to(&made, json!(2_000), "sats", &address(3)).await.created();
}

#[tokio::test(flavor = "multi_thread")]
async fn coins_that_can_t_be_sent_are_given_up_and_may_be_asked_for_again() {
    let paying = PayingApp::new().await;
    let made = paying.paid(&json!({ "amount": 3_000, "currency": "sats" })).await;
    let refund = paying.refund_to(&made, json!(3_000), "sats", &address(1)).await.created();
    paying.sim.set_no_coins(true);
    paying.step();
    assert_eq!(paying.refund_status(&refund).await, "pending");
    paying.clock.advance(Duration::from_secs(601));
    paying.step();
    assert_eq!((paying.refund_status(&refund).await, paying.owed()), ("failed".into(), 3_000));
    let path = format!("{REFUNDS}/{}", refund["refundId"].as_str().unwrap());
    assert_eq!(paying.get(&paying.shop, &path).await.ok()["failedAt"], "2027-01-15T08:10:01Z");
    paying.sim.set_no_coins(false);
    let again = paying.refund_to(&made, json!(3_000), "sats", &address(1)).await.created();
    assert_ne!(again["refundId"], refund["refundId"]);
    paying.step();
    paying.sim.bury_coins();
    paying.step();
    assert_eq!(paying.refund_status(&again).await, "completed");
    assert_eq!(paying.sim.coins_sent(), [(address(1), 3_000)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_can_tell_of_waits_for_a_person() {
    let paying = PayingApp::new().await;
    let made = paying.paid(&json!({ "amount": 3_000, "currency": "sats" })).await;
    let refund = paying.refund_to(&made, json!(1_000), "sats", &address(1)).await.created();
    paying.sim.set_trap(Trap::DieBefore);
    assert!(catch_unwind(AssertUnwindSafe(|| paying.step())).is_err());
    let other = paying.refund_to(&made, json!(2_000), "sats", &address(2)).await.created();
    assert!(!audit_warns(&paying));
    paying.clock.advance(Duration::from_secs(3_600));
    for _ in 0..3 {
        paying.step();
    }
    assert_eq!((paying.open_coins()[0].status, paying.sim.coins_sent().len()), (CoinStatus::Sending, 0));
    assert!(audit_warns(&paying));
    // Its turn never came: nothing was sent, and it is free again.
    assert_eq!(paying.refund_status(&other).await, "failed");
    assert!(paying.found(Found::NotSent));
    assert_eq!((paying.refund_status(&refund).await, paying.owed()), ("failed".into(), 3_000));
    let again = paying.refund_to(&made, json!(3_000), "sats", &address(1)).await.created();
    paying.sim.set_trap(Trap::DieAfter);
    assert!(catch_unwind(AssertUnwindSafe(|| paying.step())).is_err());
    assert!(paying.found(Found::Paid(Txid::all_zeros())));
    // A transaction pays one.
    let other = paying.paid(&json!({ "orderId": "2", "amount": 3_000, "currency": "sats" })).await;
    let third = paying.refund_to(&other, json!(3_000), "sats", &address(3)).await.created();
    paying.step();
    assert!(!paying.found(Found::Paid(Txid::all_zeros())));
    paying.sim.bury_coins();
    paying.step();
    assert_eq!(paying.refund_status(&third).await, "completed");
    assert_eq!((paying.refund_status(&again).await, paying.owed()), ("completed".into(), 0));
    assert_eq!(paying.open_coins().len(), 0);
}

fn audit_warns(paying: &PayingApp) -> bool {
    let audit = tokio::task::block_in_place(|| crate::ledger::audit::audit(&paying.ledger).unwrap());
    assert_eq!(audit.problems, Vec::<String>::new());
    audit.warnings.iter().any(|warning| warning.contains("satchel coins settle 1"))
}

#[derive(Clone, Debug)]
enum Step {
    Order { sat: u16 },
    Refund { payment: u8, percent: u8 },
    Again { refund: u8 },
    Look,
    Die { after: bool },
    See,
    Bury,
    Coins { none: bool },
    Wait { seconds: u16 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (2_000..9_000_u16).prop_map(|sat| Step::Order { sat }),
        6 => (any::<u8>(), 1..=100_u8).prop_map(|(payment, percent)| Step::Refund { payment, percent }),
        2 => any::<u8>().prop_map(|refund| Step::Again { refund }),
        8 => Just(Step::Look),
        3 => any::<bool>().prop_map(|after| Step::Die { after }),
        4 => Just(Step::See),
        2 => Just(Step::Bury),
        1 => any::<bool>().prop_map(|none| Step::Coins { none }),
        1 => (1..900_u16).prop_map(|seconds| Step::Wait { seconds }),
    ]
}

struct World {
    paying: PayingApp,
    /// Payments and what came for each, in sat.
    paid: Vec<(Value, u64)>,
    /// Refunds: of which payment, how much, where to, the first answer.
    begun: Vec<(usize, u64, String, Value)>,
}

impl World {
    async fn take(&mut self, step: &Step) {
        let paying = &self.paying;
        match *step {
            Step::Order { sat } => {
                let more =
                    json!({ "orderId": self.paid.len().to_string(), "amount": sat, "currency": "sats" });
                let made = paying.paid(&more).await;
                self.paid.push((made, sat.into()));
            }
            Step::Refund { payment, percent } => {
                let Some(at) = usize::from(payment).checked_rem(self.paid.len()) else { return };
                let (made, came) = &self.paid[at];
                let (sat, to) = (came * u64::from(percent) / 100, address(self.begun.len() as u64));
                let answer = paying.refund_to(made, json!(sat), "sats", &to).await;
                match answer.status {
                    201 => self.begun.push((at, sat, to, answer.created())),
                    400 | 503 => {}
                    other => panic!("{other} {}", answer.text),
                }
            }
            Step::Again { refund } => {
                let Some(at) = usize::from(refund).checked_rem(self.begun.len()) else { return };
                let (of, sat, to, _) = &self.begun[at];
                let failed = paying.refund_status(&self.begun[at].3).await == "failed";
                let answer = paying.refund_to(&self.paid[*of].0, json!(sat), "sats", to).await;
                if failed {
                    // It begins anew, to the same address.
                    if answer.status == 201 {
                        self.begun[at].3 = answer.created();
                    }
                } else {
                    assert_eq!(answer.status, 200, "{}", answer.text);
                }
            }
            Step::Look => paying.step(),
            Step::Die { after } => {
                paying.sim.set_trap(if after { Trap::DieAfter } else { Trap::DieBefore });
                let _dies_or_not = catch_unwind(AssertUnwindSafe(|| paying.step()));
                paying.sim.set_trap(Trap::None);
            }
            Step::See => paying.sim.see_coins(),
            Step::Bury => paying.sim.bury_coins(),
            Step::Coins { none } => paying.sim.set_no_coins(none),
            Step::Wait { seconds } => paying.clock.advance(Duration::from_secs(seconds.into())),
        }
    }

    /// Everything is seen; what was never sent is told by the operator.
    fn settle(&self) {
        self.paying.sim.set_no_coins(false);
        for _ in 0..200 {
            self.paying.sim.bury_coins();
            self.paying.step();
            let open = self.paying.open_coins();
            let Some(first) = open.first() else { return };
            let sent = self.paying.sim.coins_sent().iter().any(|(to, _)| *to == first.address);
            if first.status == CoinStatus::Sending && !sent {
                assert!(self.paying.found(Found::NotSent));
            }
        }
        panic!("coins stick: {:?}", self.paying.open_coins());
    }

    async fn judge(&self) -> Result<u64, TestCaseError> {
        let mut sent = HashMap::<String, Vec<u64>>::new();
        for (to, sat) in self.paying.sim.coins_sent() {
            sent.entry(to).or_default().push(sat);
        }
        let (mut arrived, mut out) = (0, vec![0; self.paid.len()]);
        for (of, sat, to, refund) in &self.begun {
            let status = self.paying.refund_status(refund).await;
            match sent.remove(to).as_deref() {
                Some([one]) => {
                    prop_assert_eq!((status.as_str(), one), ("completed", sat));
                    (arrived, out[*of]) = (arrived + 1, out[*of] + sat);
                }
                None => prop_assert_eq!(status.as_str(), "failed"),
                Some(more) => prop_assert!(false, "{} was paid {:?}", to, more),
            }
        }
        prop_assert!(sent.is_empty(), "{sent:?}");
        let mut owed = 0;
        for ((_, came), out) in self.paid.iter().zip(out) {
            prop_assert!(out <= *came);
            owed += came - out;
        }
        prop_assert_eq!(self.paying.owed(), i64::try_from(owed).unwrap());
        prop_assert_eq!(self.paying.balance("in_flight"), 0);
        Ok(arrived)
    }
}

#[test]
fn histories_of_coins_end_with_each_address_paid_once_or_never() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !info.payload_as_str().unwrap_or_default().contains(CRASH) {
            usual(info);
        }
    }));
    let runtime = Runtime::new().unwrap();
    let arrived = std::cell::Cell::new(0);
    let config = Config { cases: 150, max_shrink_iters: 300, failure_persistence: None, ..Config::default() };
    let histories = proptest::collection::vec(step(), 15..60);
    let outcome = TestRunner::new(config).run(&histories, |history| {
        runtime.block_on(async {
            let mut world = World { paying: PayingApp::new().await, paid: Vec::new(), begun: Vec::new() };
            for step in &history {
                world.take(step).await;
            }
            world.settle();
            arrived.set(arrived.get() + world.judge().await?);
            Ok(())
        })
    });
    outcome.unwrap();
    assert!(arrived.get() > 100, "histories in which nothing happens prove nothing: {}", arrived.get());
}
