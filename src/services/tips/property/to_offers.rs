//! Steps of histories in which tips go to offers.

use std::panic::{AssertUnwindSafe, catch_unwind};

use proptest::prelude::*;

use super::world::{World, pick};
use crate::ledger::offer_payouts::Worker;
use crate::lightning::bolt12;
use crate::lightning::bolt12::tests::offer;
use crate::lightning::sim::Trap;
use crate::outbound::lnurl::payee::PayTo;
use crate::services::tips::withdraw::Flow;

#[derive(Clone, Debug)]
pub(super) enum Step {
    /// All that somebody has claimed goes to one of two offers, or one of it.
    Withdraw {
        second: bool,
        only: Option<u8>,
        offer: bool,
    },
    TakeBack {
        offer: bool,
    },
    /// A step of who pays offers.
    Pay,
    PayThenDie {
        after: bool,
    },
    /// The maker of an offer sends an invoice, or says no.
    InvoiceComes {
        which: u8,
    },
    NoInvoice {
        which: u8,
    },
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (any::<bool>(), proptest::option::weighted(0.3, any::<u8>()), any::<bool>())
            .prop_map(|(second, only, offer)| Step::Withdraw { second, only, offer }),
        1 => any::<bool>().prop_map(|offer| Step::TakeBack { offer }),
        5 => Just(Step::Pay),
        1 => any::<bool>().prop_map(|after| Step::PayThenDie { after }),
        3 => any::<u8>().prop_map(|which| Step::InvoiceComes { which }),
        1 => any::<u8>().prop_map(|which| Step::NoInvoice { which }),
    ]
}

fn to(other: bool) -> Option<PayTo> {
    let text = offer(if other { 2 } else { 1 }, None);
    let read = bolt12::read(&text, bitcoin::Network::Regtest, 0).unwrap();
    Some(PayTo::Offer(Box::new(read)))
}

impl World {
    pub(super) fn take_to_offer(&mut self, step: &Step) {
        match *step {
            Step::Withdraw { second, only, offer } => {
                let tip = only.and_then(|only| pick(&self.ids, only));
                self.withdraw(Flow::Tippee, Some(usize::from(second)), tip, to(offer));
            }
            Step::TakeBack { offer } => self.withdraw(Flow::Tipper, None, None, to(offer)),
            Step::Pay => self.pay_offers(),
            Step::PayThenDie { after } => {
                self.sim.set_trap(if after { Trap::DieAfter } else { Trap::DieBefore });
                let survived = catch_unwind(AssertUnwindSafe(|| self.pay_offers())).is_ok();
                self.sim.set_trap(Trap::None);
                if !survived {
                    self.die(0, 0);
                }
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
        }
    }

    fn pay_offers(&mut self) {
        Worker::default().step(&self.ledger).unwrap();
    }

    /// The makers of offers answer, one in three with no.
    pub(super) fn drive_offers(&mut self, round: usize) {
        self.pay_offers();
        for (number, note) in self.sim.asked_offers().into_iter().enumerate() {
            if (number + round).is_multiple_of(3) {
                self.sim.no_invoice_comes(&note);
            } else {
                self.sim.invoice_comes(&note);
            }
        }
    }
}
