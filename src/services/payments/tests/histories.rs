//! Whole histories of refunds on a node that misbehaves, with crashes between any two steps.
//!
//! Afterwards everything is driven to its end. Of no payment more went out than came in, unless the node had lied of
//! a failure, and then the books say so; each refund arrived once or not at all; and what is left can be refunded to
//! the last whole sat.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::test_app::{TestApp, id, invoice};
use crate::core::ids::PaymentHash;
use crate::core::money::Msat;
use crate::ledger::charges::hash_of;
use crate::ledger::dispatcher::Dispatcher;
use crate::ledger::{audit, events, payouts, reconciliation, recovery};
use crate::lightning::Lightning;
use crate::lightning::sim::{CRASH, Trap};

const HISTORIES: u32 = 200;

const REFUNDS: &str = "/api/refunds";

#[derive(Clone, Debug)]
enum Step {
    Order {
        units: u16,
        currency: usize,
        more_msat: u16,
    },
    Refund {
        payment: u8,
        percent: u8,
    },
    RefundInside {
        payment: u8,
        to: u8,
    },
    Again {
        refund: u8,
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
    /// The node says of what is under way that it failed.
    Deny {
        which: u8,
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
    Wait {
        seconds: u16,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..3_000_u16, 0..3_usize, prop_oneof![3 => Just(0_u16), 1 => any::<u16>()])
            .prop_map(|(units, currency, more_msat)| Step::Order { units, currency, more_msat }),
        9 => (any::<u8>(), prop_oneof![2 => Just(100_u8), 3 => 1..100_u8])
            .prop_map(|(payment, percent)| Step::Refund { payment, percent }),
        1 => (any::<u8>(), any::<u8>()).prop_map(|(payment, to)| Step::RefundInside { payment, to }),
        1 => any::<u8>().prop_map(|refund| Step::Again { refund }),
        6 => Just(Step::Dispatch),
        1 => any::<bool>().prop_map(|after| Step::DispatchAndDie { after }),
        1 => Just(Step::Commit),
        5 => (any::<u8>(), any::<bool>(), any::<u8>())
            .prop_map(|(which, arrives, fee)| Step::Resolve { which, arrives, fee }),
        2 => any::<u8>().prop_map(|which| Step::Deny { which }),
        1 => Just(Step::Tell),
        9 => Just(Step::Event),
        1 => Just(Step::EventThenDie),
        1 => Just(Step::Ask),
        1 => (0..3_u8, 0..4_u8)
            .prop_map(|(records_lost, events_again)| Step::Die { records_lost, events_again }),
        1 => Just(Step::Sweep),
        1 => any::<bool>().prop_map(|exists| Step::Route { exists }),
        2 => (1..600_u16).prop_map(|seconds| Step::Wait { seconds }),
    ]
}

/// A payment: its id, what is asked in its currency, what came.
#[derive(Clone)]
struct Paid {
    id: String,
    units: u64,
    currency: &'static str,
    came: Msat,
}

struct World {
    app: TestApp,
    dispatcher: Dispatcher,
    paid: Vec<Paid>,
    /// Bodies that began a refund, and of which payment.
    begun: Vec<(usize, Value)>,
    orders: u64,
    inside: u64,
    lied: bool,
}

impl World {
    async fn take(&mut self, step: &Step) {
        let (ledger, sim) = (self.app.ledger.clone(), self.app.sim.clone());
        match *step {
            Step::Order { units, currency, more_msat } => {
                self.order(units.into(), currency, more_msat.into()).await
            }
            Step::Refund { payment, percent } => {
                let Some(at) = place(self.paid.len(), payment) else { return };
                let units = (self.paid[at].units * u64::from(percent)).div_ceil(100);
                self.refund(at, units, None).await;
            }
            Step::RefundInside { payment, to } => {
                let (Some(from), Some(to)) = (place(self.paid.len(), payment), place(self.paid.len(), to))
                else {
                    return;
                };
                let like = self.paid[to].clone();
                let made = self.new_order(like.units, like.currency).await;
                let units = self.paid[from].units;
                let text = made["lightningInvoice"].as_str().unwrap().to_owned();
                if self.refund(from, units, Some(text)).await {
                    let came = Msat::from_sat(made["amountSats"].as_u64().unwrap()).unwrap();
                    self.inside += came.get();
                    self.paid.push(Paid { id: id(&made), came, ..like });
                }
            }
            Step::Again { refund } => {
                let Some(at) = place(self.begun.len(), refund) else { return };
                let again = self.app.post(&self.app.shop, REFUNDS, &self.begun[at].1).await;
                assert!(matches!(again.status, 200 | 409), "{}", again.text);
            }
            Step::Dispatch => self.dispatch(),
            Step::DispatchAndDie { after } => {
                sim.set_trap(if after { Trap::DieAfter } else { Trap::DieBefore });
                let survived = catch_unwind(AssertUnwindSafe(|| self.dispatch())).is_ok();
                sim.set_trap(Trap::None);
                if !survived {
                    self.die(0, 0);
                }
            }
            Step::Commit => sim.commit_all(),
            Step::Resolve { which, arrives, fee } => {
                sim.commit_all();
                let under_way = sim.under_way();
                let Some(at) = place(under_way.len(), which) else { return };
                sim.resolve(under_way[at], arrives, Msat::new(fee.into()).unwrap());
            }
            Step::Deny { which } => {
                sim.commit_all();
                let under_way = sim.under_way();
                let Some(at) = place(under_way.len(), which) else { return };
                let (hash, listeners, now) = (under_way[at], ledger.listeners.clone(), ledger.clock.now());
                let told = ledger
                    .store
                    .write_blocking(move |tx| payouts::mark_failed(tx, &listeners, hash, "it lies", now));
                told.unwrap();
                self.lied = true;
            }
            Step::Tell => sim.tell_all(),
            Step::Event => drop(events::step(&ledger, Duration::ZERO).unwrap()),
            Step::EventThenDie => {
                if let Some(event) = sim.next_event(Duration::ZERO) {
                    events::apply(&ledger, event).unwrap();
                    self.die(0, 0);
                }
            }
            Step::Ask => reconciliation::look_again(&ledger, true).unwrap(),
            Step::Die { records_lost, events_again } => self.die(records_lost.into(), events_again.into()),
            Step::Sweep => recovery::sweep(&ledger, 0).unwrap(),
            Step::Route { exists } => sim.set_no_route(!exists),
            Step::Wait { seconds } => self.app.clock.advance(Duration::from_secs(seconds.into())),
        }
    }

    async fn new_order(&mut self, units: u64, currency: &str) -> Value {
        self.app.payments.rates().refresh().await;
        self.orders += 1;
        let more = json!({ "orderId": self.orders.to_string(), "amount": amount(units, currency),
            "currency": currency });
        self.app.order(&more).await.created()
    }

    async fn order(&mut self, units: u64, currency: usize, more_msat: u64) {
        let currency = ["USD", "sats", "BTC"][currency];
        let made = self.new_order(units, currency).await;
        let invoice = invoice(&made);
        let came = invoice.amount_milli_satoshis().unwrap() + more_msat;
        assert!(self.app.pay_msat(&invoice, came));
        self.paid.push(Paid { id: id(&made), units, currency, came: Msat::new(came).unwrap() });
    }

    /// Asks what it would come to, and then for that; whether it began.
    async fn refund(&mut self, at: usize, units: u64, to: Option<String>) -> bool {
        let paid = &self.paid[at];
        let mut body = json!({ "invoiceId": paid.id, "amount": amount(units, paid.currency), "currency": paid.currency,
            "lightningInvoice": self.invoice(9_999_999) });
        let told = self.app.post(&self.app.shop, REFUNDS, &body).await.json();
        let Some(sats) =
            told["message"].as_str().unwrap().strip_prefix("lightningInvoice must be for exactly ")
        else {
            assert!(
                ["REFUND_EXCEEDS_PAYMENT", "AMOUNT_TOO_SMALL"].contains(&told["code"].as_str().unwrap()),
                "{told}"
            );
            return false;
        };
        let sats = sats.strip_suffix(" sat").unwrap().parse().unwrap();
        body["lightningInvoice"] = to.clone().unwrap_or_else(|| self.invoice(sats)).into();
        let answer = self.app.post(&self.app.shop, REFUNDS, &body).await;
        if to.is_some() && answer.status != 201 {
            return false;
        }
        assert_eq!(answer.status, 201, "{}", answer.text);
        self.begun.push((at, body));
        true
    }

    fn invoice(&self, sat: u64) -> String {
        self.app.sim.invoice(Msat::from_sat(sat).unwrap(), Duration::from_secs(3_600)).0.to_string()
    }

    fn dispatch(&mut self) {
        tokio::task::block_in_place(|| self.dispatcher.round(&self.app.ledger).unwrap());
    }

    fn die(&mut self, records_lost: usize, events_again: usize) {
        self.app.sim.restart(records_lost, events_again);
        self.dispatcher = Dispatcher::default();
        recovery::mark_unknown(&self.app.ledger).unwrap();
    }

    /// The node becomes honest and everything is driven to its end.
    fn settle(&mut self, all_arrive: bool) {
        let sim = self.app.sim.clone();
        sim.set_no_route(false);
        sim.set_commit_at_once(true);
        for round in 0..30_u32 {
            sim.tell_all();
            self.app.drain();
            reconciliation::look_again(&self.app.ledger, true).unwrap();
            self.dispatch();
            sim.commit_all();
            for (number, hash) in sim.under_way().into_iter().enumerate() {
                let arrives = all_arrive || (number + round as usize).is_multiple_of(2);
                sim.resolve(hash, arrives, Msat::ZERO);
            }
            self.app.drain();
            self.app.clock.advance(Duration::from_secs(60));
            if round == 20 {
                sim.mine(2_100);
            }
        }
    }

    /// What has reached customers of each payment, and what the refunds say of it.
    async fn judge(&self) -> Result<Vec<u64>, TestCaseError> {
        let app = &self.app;
        let audit = audit::audit(&app.ledger).unwrap();
        prop_assert!(audit.clean, "{:?}", audit.problems);
        let of = |name: &str| audit.accounts.iter().find(|row| row.account == name).unwrap().msat;
        prop_assert!(self.lied || of("loss") == 0);
        prop_assert_eq!((of("in_flight"), of("suspense")), (0, 0));
        let delivered = app.sim.delivered();
        let mut out = vec![0_u64; self.paid.len()];
        let mut inside = 0;
        for (at, body) in &self.begun {
            let invoice = body["lightningInvoice"].as_str().unwrap().parse().unwrap();
            let hash: PaymentHash = hash_of(&invoice);
            let shown = app.post(&app.shop, REFUNDS, body).await;
            let known = payouts_status(app, hash);
            let msat = match (delivered.get(&hash), known) {
                (Some(msat), (paid, _)) => {
                    prop_assert!(paid, "it arrived and is not known to have: {}", shown.text);
                    prop_assert_eq!(
                        Some(msat.get()),
                        invoice.amount_milli_satoshis(),
                        "it arrived more than once"
                    );
                    msat.get()
                }
                (None, (true, true)) => {
                    inside += invoice.amount_milli_satoshis().unwrap();
                    invoice.amount_milli_satoshis().unwrap()
                }
                (None, (paid, _)) => {
                    prop_assert!(!paid, "it never arrived: {}", shown.text);
                    0
                }
            };
            out[*at] += msat;
        }
        prop_assert_eq!(inside, self.inside);
        let mut short = 0;
        for (paid, out) in self.paid.iter().zip(&out) {
            let loss = out.saturating_sub(paid.came.get());
            prop_assert!(self.lied || loss == 0, "{} msat went out, {} came in", out, paid.came);
            short += loss;
            let shown = app.shown(&paid.id).await;
            let gone = shown["amountRefundedSats"].as_u64().unwrap_or(0);
            prop_assert_eq!(gone, (out - loss) / 1_000);
            prop_assert_eq!(shown["status"] == "refunded", gone == paid.came.sat_floor(), "{}", shown);
        }
        prop_assert_eq!(of("loss"), i64::try_from(short).unwrap());
        let left: u64 =
            self.paid.iter().zip(&out).map(|(paid, out)| paid.came.get().saturating_sub(*out)).sum();
        prop_assert_eq!(-of("merchants"), i64::try_from(left).unwrap());
        Ok(out)
    }

    /// Asks for all that is left of every payment.
    async fn refund_the_rest(&mut self) {
        for at in 0..self.paid.len() {
            let paid = &self.paid[at];
            let too_much = json!({ "invoiceId": paid.id, "amount": 1_000_000_000, "currency": paid.currency,
                "lightningInvoice": self.invoice(9_999_999) });
            let told = self.app.post(&self.app.shop, REFUNDS, &too_much).await.json();
            let left =
                told["message"].as_str().unwrap().strip_prefix("Amount is more than can be refunded: ");
            let left =
                left.unwrap().split(' ').next().unwrap().parse::<crate::core::decimal::Decimal>().unwrap();
            let places = if paid.currency == "USD" {
                2
            } else if paid.currency == "BTC" {
                8
            } else {
                0
            };
            let units = u64::try_from(left.in_units(places).unwrap()).unwrap();
            if units > 0 {
                self.refund(at, units, None).await;
            }
        }
    }
}

/// Whether a payout arrived, and whether at this very node.
fn payouts_status(app: &TestApp, hash: PaymentHash) -> (bool, bool) {
    let found = app.ledger.store.read_blocking(move |connection| {
        let payout = payouts::by_hash(connection, hash)?.unwrap();
        let own = crate::ledger::charges::by_hash(connection, hash)?.is_some();
        Ok::<_, crate::ledger::LedgerError>((payout.status == payouts::PayoutStatus::Paid, own))
    });
    found.unwrap()
}

/// As JSON has it: cents of a dollar, or sats.
fn amount(units: u64, currency: &str) -> Value {
    match currency {
        "USD" => format!("{}.{:02}", units / 100, units % 100).into(),
        "BTC" => format!("0.{units:08}").into(),
        _ => units.into(),
    }
}

fn place(len: usize, which: u8) -> Option<usize> {
    usize::from(which).checked_rem(len)
}

fn silence_expected_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !info.payload_as_str().unwrap_or_default().contains(CRASH) {
            usual(info);
        }
    }));
}

#[test]
fn histories_end_with_no_more_out_than_in_and_all_the_rest_refundable() {
    silence_expected_panics();
    let runtime = Runtime::new().unwrap();
    let seen = std::cell::RefCell::new(HashMap::<&str, u64>::new());
    let config =
        Config { cases: HISTORIES, max_shrink_iters: 500, failure_persistence: None, ..Config::default() };
    let histories = proptest::collection::vec(step(), 20..70);
    let outcome = TestRunner::new(config).run(&histories, |history| {
        runtime.block_on(async {
            let app = TestApp::new().await;
            let (dispatcher, paid, begun) = (Dispatcher::default(), Vec::new(), Vec::new());
            let mut world = World { app, dispatcher, paid, begun, orders: 0, inside: 0, lied: false };
            for step in &history {
                world.take(step).await;
            }
            world.settle(false);
            let out = world.judge().await?;
            world.refund_the_rest().await;
            world.settle(true);
            world.judge().await?;
            if !world.lied {
                // Nothing is left but parts of a sat, and what is too little for a cent.
                for paid in &world.paid {
                    prop_assert_eq!(&world.app.status(&paid.id).await, "refunded");
                }
            }
            let mut seen = seen.borrow_mut();
            *seen.entry("refunds").or_default() += u64::try_from(world.begun.len()).unwrap();
            *seen.entry("arrived").or_default() +=
                u64::try_from(out.iter().filter(|out| **out > 0).count()).unwrap();
            *seen.entry("lies").or_default() += u64::from(world.lied);
            *seen.entry("inside").or_default() += u64::from(world.inside > 0);
            Ok(())
        })
    });
    outcome.unwrap();
    // A test of histories in which nothing happens would prove nothing.
    let seen = seen.into_inner();
    assert!(
        seen["refunds"] > 400 && seen["arrived"] > 100 && seen["lies"] > 10 && seen["inside"] > 3,
        "{seen:?}"
    );
}
