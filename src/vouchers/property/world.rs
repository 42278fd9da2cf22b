//! The world of a history: books, vouchers and a node.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use lightning_invoice::Bolt11Invoice;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::super::*;
use super::Step;
use crate::core::ids::OfferPayoutId;
use crate::core::time::Clock;
use crate::ledger::dispatcher::Dispatcher;
use crate::ledger::{
    Ledger, Listener, Listeners, Notify, PayoutStatus, Settings, audit, charges, events, offer_payouts,
    reconciliation, recovery,
};
use crate::lightning::Lightning;
use crate::lightning::bolt12::tests::offer;
use crate::lightning::bolt12::{self, PayableOffer};
use crate::lightning::sim::{Sim, Trap};
use crate::storage::Store;

/// Offers of strangers.
static OFFERS: LazyLock<Vec<PayableOffer>> = LazyLock::new(|| {
    let read = |number| bolt12::read(&offer(number, None), bitcoin::Network::Regtest, 0).unwrap();
    [1, 2].map(read).to_vec()
});

/// One satchel on one node.
pub(crate) struct World {
    pub(crate) ledger: Ledger,
    vouchers: Vouchers,
    pub(crate) sim: Arc<Sim>,
    pub(crate) clock: Clock,
    dispatcher: Dispatcher,
    offers: offer_payouts::Worker,
    charges: Vec<(ChargeId, Bolt11Invoice, Msat)>,
    ids: Vec<VoucherId>,
    used: Vec<Bolt11Invoice>,
    pub(crate) received: u64,
    gap_hit: bool,
    /// How often the process was started.
    pub(crate) starts: u32,
}

impl World {
    pub(crate) fn new(store: Store) -> Self {
        Self::with(store, |_| Vec::new())
    }

    /// With listeners of other families.
    pub(crate) fn with(
        store: Store,
        others: impl FnOnce(&Clock) -> Vec<(Family, Arc<dyn Listener>)>,
    ) -> Self {
        let clock = Clock::manual(1_800_000_000_000);
        let sim = Arc::new(Sim::new(clock.clone()));
        let vouchers = Vouchers::default();
        let own = (Family::Gifts, Arc::new(vouchers.clone()) as Arc<dyn Listener>);
        let ledger = Ledger {
            store,
            lightning: Arc::clone(&sim) as Arc<dyn Lightning>,
            clock: clock.clone(),
            wake: Arc::new(Notify::default()),
            listeners: Listeners::new(others(&clock).into_iter().chain([own])),
            settings: Settings { settle_time: Duration::ZERO, ..Settings::default() },
        };
        Self {
            ledger,
            vouchers,
            sim,
            clock,
            dispatcher: Dispatcher::default(),
            offers: offer_payouts::Worker::default(),
            charges: Vec::new(),
            ids: Vec::new(),
            used: Vec::new(),
            received: 0,
            gap_hit: false,
            starts: 0,
        }
    }

    pub(crate) fn take(&mut self, step: &Step) {
        match *step {
            Step::Create { vouchers, sat, lives_for } => self.create(vouchers, sat, lives_for),
            Step::Pay { charge, extra_msat } => self.pay(charge, extra_msat),
            Step::Redeem { voucher, taker_is_sender } => {
                let Some(id) = pick(&self.ids, voucher) else {
                    return;
                };
                let amount = self.voucher(id).amount;
                let (invoice, _) = self.sim.invoice(amount, Duration::from_secs(3_600));
                self.used.push(invoice.clone());
                self.redeem(
                    id,
                    &invoice,
                    if taker_is_sender { Redeemer::Sender } else { Redeemer::Recipient },
                );
            }
            Step::RedeemSeveral { first, count, taker_is_sender } => {
                self.redeem_several(
                    first,
                    count,
                    if taker_is_sender { Redeemer::Sender } else { Redeemer::Recipient },
                );
            }
            Step::Recall { voucher } => self.recall(voucher),
            Step::RedeemAgain { invoice, voucher } => {
                let (Some(invoice), Some(id)) = (pick(&self.used, invoice), pick(&self.ids, voucher)) else {
                    return;
                };
                self.redeem(id, &invoice, Redeemer::Recipient);
            }
            Step::RedeemInside { voucher, charge } => {
                let (Some(id), Some(charge)) = (pick(&self.ids, voucher), pick(&self.charges, charge)) else {
                    return;
                };
                self.redeem(id, &charge.1, Redeemer::Recipient);
            }
            Step::RedeemToOffer { voucher, count, offer, taker_is_sender } => {
                let taker = if taker_is_sender { Redeemer::Sender } else { Redeemer::Recipient };
                self.redeem_to_offer(voucher, count, offer, taker);
            }
            Step::Offers => self.pay_offers(),
            Step::OffersThenDie { after } => {
                self.sim.set_trap(if after { Trap::DieAfter } else { Trap::DieBefore });
                self.until_death(Self::pay_offers);
            }
            Step::OffersUnwritable => {
                self.sim.set_trap(Trap::SayPersistenceFailed);
                self.pay_offers();
                self.sim.set_trap(Trap::None);
            }
            Step::InvoiceComes { which } => {
                if let Some(note) = pick(&self.sim.asked_offers(), which) {
                    self.sim.invoice_comes(&note);
                }
            }
            Step::NoInvoice { which } => {
                if let Some(note) = pick(&self.sim.asked_offers(), which) {
                    self.sim.no_invoice_comes(&note);
                }
            }
            Step::ForgetOffers => self.sim.forget_offers(),
            Step::DieForgetting { which } => {
                self.sim.lose_asked_offers(|number| bit(which, number));
                self.die(0, 0);
            }
            Step::Dispatch => self.dispatch(),
            Step::DispatchAndDie { after } => {
                self.sim.set_trap(if after { Trap::DieAfter } else { Trap::DieBefore });
                self.until_death(|world| world.dispatch());
            }
            Step::DispatchUnwritable => {
                self.sim.set_trap(Trap::SayPersistenceFailed);
                self.dispatch();
                self.sim.set_trap(Trap::None);
            }
            Step::Commit => self.sim.commit_all(),
            Step::Resolve { which, arrives, fee } => {
                self.sim.commit_all();
                let Some(hash) = pick(&self.sim.under_way(), which) else {
                    return;
                };
                self.sim.resolve(hash, arrives, Msat::new(u64::from(fee)).unwrap());
            }
            Step::FailUntold { which } => {
                // Twice in one history would need the same tiny gap to be hit twice for one payout.
                if !std::mem::replace(&mut self.gap_hit, true)
                    && let Some(hash) = pick(&self.sim.under_way(), which)
                {
                    self.sim.fail_untold(hash);
                }
            }
            Step::Tell => self.sim.tell_all(),
            Step::Event => {
                events::step(&self.ledger, Duration::ZERO).unwrap();
            }
            Step::EventThenDie => {
                if let Some(event) = self.sim.next_event(Duration::ZERO) {
                    events::apply(&self.ledger, event).unwrap();
                    self.die(0, 0);
                }
            }
            Step::Look => reconciliation::look_again(&self.ledger, true).unwrap(),
            Step::DieStale { records_lost, forgets } => {
                self.sim.restart_stale(records_lost.into(), |number| bit(forgets, number));
                self.start();
            }
            Step::Confirm => self.sim.confirm_closings(),
            Step::Decide { which, arrives } => {
                if let Some(hash) = pick(&self.sim.undecided(), which) {
                    self.sim.decide(hash, arrives);
                }
            }
            Step::Mine { blocks } => self.sim.mine(blocks.into()),
            Step::Away { arrives } => {
                self.sim.away(2_100, |number| bit(arrives, number));
                self.start();
            }
            Step::Minimum { sat } => self.sim.set_minimum(Msat::from_sat(sat.into()).unwrap()),
            Step::Die { records_lost, events_again } => self.die(records_lost.into(), events_again.into()),
            Step::Sweep => recovery::sweep(&self.ledger, 0).unwrap(),
            Step::Route { exists } => self.sim.set_no_route(!exists),
            Step::Turns { at_once } => self.sim.set_commit_at_once(at_once),
            Step::Wait { seconds } => self.clock.advance(Duration::from_secs(seconds.into())),
            Step::Expire => self.expire(),
            Step::GiveUpOldest => self.give_up_oldest(),
            Step::GiveUpOffer => self.give_up_offer(),
        }
    }

    fn create(&mut self, count: u8, sat: u16, lives_for: Option<u16>) {
        let each = Msat::from_sat(sat.into()).unwrap();
        let total = Msat::from_sat(u64::from(sat) * u64::from(count)).unwrap();
        let (invoice, _) = self.sim.invoice(total, Duration::from_secs(3_600));
        let now = self.clock.now();
        let expires_at = lives_for.map(|seconds| now + i64::from(seconds) * 1_000);
        let ours = invoice.clone();
        let (charge, ids) = self
            .ledger
            .store
            .write_blocking(move |tx| -> Result<_, LedgerError> {
                let charge = charges::open(tx, Family::Gifts, &ours, Some(total), now)?;
                let new =
                    NewVoucher { family: Family::Gifts, charge, amount: each, expires_at, return_to: None };
                let ids = (0..count).map(|_| issue(tx, &new, now)).collect::<Result<Vec<_>, _>>()?;
                Ok((charge, ids))
            })
            .unwrap();
        self.charges.push((charge, invoice, total));
        self.ids.extend(ids);
    }

    fn pay(&mut self, which: u8, extra_msat: u16) {
        let Some((_, invoice, total)) = pick(&self.charges, which) else {
            return;
        };
        // ldk-node refuses a second payment of an invoice that it has been paid for.
        if self.sim.record(charges::hash_of(&invoice)).is_some() {
            return;
        }
        let amount = Msat::new(total.get() + u64::from(extra_msat)).unwrap();
        self.received += amount.get();
        self.sim.receive(&invoice, amount);
    }

    fn redeem(&mut self, id: VoucherId, invoice: &Bolt11Invoice, taker: Redeemer) {
        self.redeem_all(vec![id], invoice, taker);
    }

    fn redeem_all(&mut self, ids: Vec<VoucherId>, invoice: &Bolt11Invoice, taker: Redeemer) {
        let (ledger, invoice) = (self.ledger.clone(), invoice.clone());
        let max_fee = Msat::from_sat(10).unwrap();
        let _refused_or_not = self
            .ledger
            .store
            .write_blocking(move |tx| redeem(tx, &ledger, &ids, taker, &invoice, max_fee))
            .unwrap();
    }

    /// Of those that can be redeemed if there are any, else of all: most have been redeemed after a while.
    fn redeem_several(&mut self, first: u8, count: u8, taker: Redeemer) {
        let open = |id: &VoucherId| self.voucher(*id).state == VoucherState::Open;
        let mut ids: Vec<_> = self.ids.iter().copied().filter(open).collect();
        if ids.len() < 2 {
            ids.clone_from(&self.ids);
        }
        let start = usize::from(first) % ids.len().max(1);
        let some: Vec<_> = ids.into_iter().skip(start).take(count.into()).collect();
        let sum = some.iter().map(|id| self.voucher(*id).amount.get()).sum();
        let (invoice, _) = self.sim.invoice(Msat::new(sum).unwrap(), Duration::from_secs(3_600));
        self.used.push(invoice.clone());
        self.redeem_all(some, &invoice, taker);
    }

    /// Some that stand side by side, to one of two offers that anybody may be paid by any number of times.
    fn redeem_to_offer(&mut self, first: u8, count: u8, offer: u8, taker: Redeemer) {
        let start = usize::from(first) % self.ids.len().max(1);
        let ids: Vec<_> = self.ids.iter().copied().skip(start).take(count.into()).collect();
        let (ledger, number) = (self.ledger.clone(), 1 + offer % 2);
        let offer = OFFERS.get(usize::from(number - 1)).unwrap().clone();
        let _refused_or_not = self
            .ledger
            .store
            .write_blocking(move |tx| {
                let max_fee = |_| Msat::from_sat(10).unwrap();
                redeem_to_offer(tx, &ledger, &ids, ToOffer { offer: &offer, taker, max_fee: &max_fee })
            })
            .unwrap();
    }

    pub(crate) fn pay_offers(&mut self) {
        self.offers.step(&self.ledger).unwrap();
    }

    /// Breaks the rule that nothing is given up that may have been sent.
    fn give_up_offer(&self) {
        offer_payouts::mark_unknown(&self.ledger).unwrap();
        let open = self.ledger.store.read_blocking(|connection| -> Result<Vec<OfferPayoutId>, LedgerError> {
            let mut statement =
                connection.prepare("SELECT id FROM offer_payouts WHERE status = 'unknown' ORDER BY id")?;
            let found = statement.query_map([], |row| row.get(0))?;
            Ok(found.collect::<Result<_, _>>()?)
        });
        for id in open.unwrap() {
            let (listeners, now) = (self.ledger.listeners.clone(), self.clock.now());
            let settled = self.ledger.store.write_blocking(move |tx| {
                offer_payouts::settle(tx, &listeners, id, offer_payouts::Found::NotSent, now)
            });
            settled.unwrap();
        }
    }

    fn recall(&mut self, which: u8) {
        let Some(id) = pick(&self.ids, which) else {
            return;
        };
        let (vouchers, now) = (self.vouchers.clone(), self.clock.now());
        let _refused_or_not =
            self.ledger.store.write_blocking(move |tx| vouchers.recall(tx, id, now)).unwrap();
    }

    fn dispatch(&mut self) {
        self.dispatcher.round(&self.ledger).unwrap();
    }

    pub(crate) fn expire(&mut self) {
        let (vouchers, now) = (self.vouchers.clone(), self.clock.now());
        self.ledger
            .store
            .write_blocking(move |tx| {
                charges::expire(tx, now, 100)?;
                vouchers.expire(tx, now, 100)
            })
            .unwrap();
    }

    pub(crate) fn until_death(&mut self, action: impl FnOnce(&mut Self)) {
        let survived = catch_unwind(AssertUnwindSafe(|| action(self))).is_ok();
        self.sim.set_trap(Trap::None);
        if !survived {
            self.die(0, 0);
        }
    }

    pub(crate) fn die(&mut self, records_lost: usize, events_again: usize) {
        self.sim.restart(records_lost, events_again);
        self.start();
    }

    fn start(&mut self) {
        self.starts += 1;
        self.dispatcher = Dispatcher::default();
        self.offers = offer_payouts::Worker::default();
        recovery::mark_unknown(&self.ledger).unwrap();
        offer_payouts::mark_unknown(&self.ledger).unwrap();
    }

    /// Breaks the rule "never release on a timeout".
    fn give_up_oldest(&mut self) {
        let Some(hash) = self.sim.under_way().first().copied() else {
            return;
        };
        let (listeners, now) = (self.ledger.listeners.clone(), self.clock.now());
        self.ledger
            .store
            .write_blocking(move |tx| {
                crate::ledger::payouts::mark_failed(tx, &listeners, hash, "took too long", now)
            })
            .unwrap();
    }

    fn voucher(&self, id: VoucherId) -> Voucher {
        self.ledger.store.read_blocking(move |connection| by_id(connection, id)).unwrap()
    }

    /// The node becomes honest and everything is driven to its end.
    pub(super) fn settle(&mut self) {
        self.become_honest();
        for round in 0..60 {
            self.drive(round);
            self.drive_offers(round);
        }
        self.expire();
    }

    /// The makers of offers answer, one in three with no.
    pub(crate) fn drive_offers(&mut self, round: usize) {
        self.pay_offers();
        for (number, note) in self.sim.asked_offers().into_iter().enumerate() {
            if (number + round).is_multiple_of(3) {
                self.sim.no_invoice_comes(&note);
            } else {
                self.sim.invoice_comes(&note);
            }
        }
    }

    pub(crate) fn become_honest(&mut self) {
        self.sim.set_no_route(false);
        self.sim.set_commit_at_once(true);
        self.sim.set_trap(Trap::None);
        self.sim.set_minimum(Msat::ZERO);
    }

    /// Ends what can end now.
    pub(crate) fn drive(&mut self, round: usize) {
        self.sim.tell_all();
        self.sim.commit_all();
        while events::step(&self.ledger, Duration::ZERO).unwrap() {}
        reconciliation::look_again(&self.ledger, true).unwrap();
        self.dispatch();
        self.sim.commit_all();
        for (number, hash) in self.sim.under_way().into_iter().enumerate() {
            self.sim.resolve(hash, (number + round).is_multiple_of(2), Msat::ZERO);
        }
        self.sim.confirm_closings();
        for (number, hash) in self.sim.undecided().into_iter().enumerate() {
            self.sim.decide(hash, (number + round).is_multiple_of(2));
        }
        self.sim.mine(7);
        self.clock.advance(Duration::from_secs(60));
    }

    /// Everything that must be true once nothing is under way any more.
    pub(crate) fn judge(&self) -> Result<(), TestCaseError> {
        let audit = audit::audit(&self.ledger).unwrap();
        prop_assert!(audit.clean, "{:?}", audit.problems);
        let (delivered, by_offer) = (self.sim.delivered(), self.sim.arrived_by_offer());
        for (number, (note, _)) in by_offer.iter().enumerate() {
            let again = by_offer.iter().skip(number + 1).any(|(other, _)| other == note);
            prop_assert!(!again, "{} arrived twice", note);
        }
        for id in &self.ids {
            let voucher = self.voucher(*id);
            let id = *id;
            let payouts =
                self.ledger.store.read_blocking(move |connection| payouts_of(connection, id)).unwrap();
            let payouts: Vec<_> = payouts.into_iter().map(|(_, payout)| payout).collect();
            // Of a payout for several, each has its own share.
            let outside = |payout: &&Outgoing| match payout {
                Outgoing::Invoice(payout) => delivered.contains_key(&payout.payment_hash),
                Outgoing::Offer(payout) => by_offer.iter().any(|(note, _)| *note == payout.public_id),
            };
            let inside = |payout: &&Outgoing| {
                matches!(payout, Outgoing::Invoice(_))
                    && payout.status() == PayoutStatus::Paid
                    && !outside(payout)
            };
            let times = payouts.iter().filter(|payout| outside(payout) || inside(payout)).count();
            let over = matches!(voucher.state, VoucherState::Redeemed | VoucherState::Returned);
            prop_assert_eq!(times, usize::from(over), "voucher {} is {:?}: {:?}", id, voucher.state, payouts);
            prop_assert!(payouts.iter().all(|payout| payout.status().is_final()), "stuck: {:?}", payouts);
        }
        let on_hand: i64 = self
            .ledger
            .store
            .read_blocking(|connection| {
                connection
                    .query_row(
                        "SELECT coalesce(sum(msat), 0) FROM balances WHERE account = 'lightning'",
                        [],
                        |row| row.get(0),
                    )
                    .map_err(LedgerError::from)
            })
            .unwrap();
        let left = self.sim.left_in_all();
        let expected = i64::try_from(self.received).unwrap() - i64::try_from(left).unwrap();
        prop_assert_eq!(
            on_hand,
            expected,
            "what came in less what went out is not what the books say is here"
        );
        Ok(())
    }
}

/// Whether a choice out of eight is made.
fn bit(choices: u8, number: usize) -> bool {
    choices >> (number % 8) & 1 == 1
}

/// One of several.
fn pick<T: Clone>(from: &[T], which: u8) -> Option<T> {
    if from.is_empty() { None } else { from.get(usize::from(which) % from.len()).cloned() }
}
