//! Vouchers that are paid to offers: one payout at a time, whatever it pays, and open again by proof alone.

use super::*;
use crate::ledger::offer_payouts::{self, OfferPayout, Worker, mark_unknown};
use crate::ledger::{PayoutKey, offers};
use crate::lightning::Offer;
use crate::lightning::bolt12::tests::offer as text;
use crate::lightning::bolt12::{self, PayableOffer};
use crate::lightning::sim::Trap;

fn offer(number: u8, asks: Option<u64>) -> PayableOffer {
    bolt12::read(&text(number, asks), bitcoin::Network::Regtest, 1_800_000_000_000).unwrap()
}

impl Shop {
    fn to_offer(&self, ids: &[VoucherId], taker: Redeemer, offer: &PayableOffer) -> Result<Claim, Refused> {
        let (ledger, ids, offer) = (self.ledger.clone(), ids.to_vec(), offer.clone());
        self.ledger
            .store
            .write_blocking(move |tx| {
                let to = ToOffer { offer: &offer, taker, max_fee: &|_| sat(10) };
                redeem_to_offer(tx, &ledger, &ids, to)
            })
            .unwrap()
    }

    fn pay_offers(&self) {
        Worker::default().step(&self.ledger).unwrap();
    }

    fn end_offer(&self, arrives: bool) {
        self.pay_offers();
        self.sim.resolve_offer(arrives, Msat::ZERO);
        while events::step(&self.ledger, Duration::ZERO).unwrap() {}
    }

    fn last(&self, id: VoucherId) -> OfferPayout {
        let read = move |connection: &rusqlite::Connection| -> Result<_, LedgerError> {
            let Some(PayoutKey::Offer(payout)) = by_id(connection, id)?.payout else { panic!("no offer") };
            offer_payouts::by_id(connection, payout)
        };
        self.ledger.store.read_blocking(read).unwrap()
    }

    #[track_caller]
    fn balanced(&self) {
        let audit = audit::audit(&self.ledger).unwrap();
        assert_eq!(audit.problems, Vec::<String>::new());
    }
}

#[test]
fn redeemed_to_an_offer_once() {
    let shop = Shop::new();
    let (id, open) = (shop.open(None), offer(1, None));
    let Ok(Claim::Started(first)) = shop.to_offer(&[id], Redeemer::Recipient, &open) else {
        panic!("refused")
    };
    shop.balanced();
    // The same offer is the same redemption; nobody and nothing else gets the voucher meanwhile.
    for _ in 0..2 {
        let Ok(Claim::Same(same)) = shop.to_offer(&[id], Redeemer::Recipient, &open) else {
            panic!("another")
        };
        assert_eq!(same.public_id(), first.public_id());
        shop.pay_offers();
    }
    assert_eq!(shop.to_offer(&[id], Redeemer::Sender, &open).unwrap_err(), Refused::Pending);
    assert_eq!(shop.to_offer(&[id], Redeemer::Recipient, &offer(2, None)).unwrap_err(), Refused::Pending);
    assert_eq!(shop.redeem(id, Redeemer::Recipient, &shop.fresh()).unwrap_err(), Refused::Pending);
    assert_eq!(shop.sim.under_way_to_offers(), 1);
    shop.end_offer(true);
    assert_eq!(shop.state(id), VoucherState::Redeemed);
    assert!(matches!(shop.to_offer(&[id], Redeemer::Recipient, &open), Ok(Claim::Same(_))));
    assert_eq!(shop.to_offer(&[id], Redeemer::Recipient, &offer(2, None)).unwrap_err(), Refused::Spent);
    assert_eq!(shop.redeem(id, Redeemer::Sender, &shop.fresh()).unwrap_err(), Refused::Spent);
    assert_eq!(shop.sim.arrived_by_offer(), [(first.public_id().to_owned(), sat(1_000))]);
    // Another voucher is paid to the same offer.
    let other = shop.open(None);
    assert!(matches!(shop.to_offer(&[other], Redeemer::Recipient, &open), Ok(Claim::Started(_))));
    shop.end_offer(true);
    assert_eq!((shop.state(other), shop.sim.arrived_by_offer().len()), (VoucherState::Redeemed, 2));
    shop.balanced();
}

#[test]
fn failure_opens_it_for_whatever_comes_next() {
    let shop = Shop::new();
    let (id, open) = (shop.open(None), offer(1, None));
    for _ in 0..2 {
        assert!(matches!(shop.to_offer(&[id], Redeemer::Recipient, &open), Ok(Claim::Started(_))));
        shop.end_offer(false);
        assert_eq!(shop.state(id), VoucherState::Open);
        shop.balanced();
    }
    let invoice = shop.claim(id, Redeemer::Recipient);
    shop.end(&invoice, false);
    assert!(matches!(shop.to_offer(&[id], Redeemer::Recipient, &open), Ok(Claim::Started(_))));
    shop.end_offer(true);
    let past = shop.ledger.store.read_blocking(move |connection| payouts_of(connection, id)).unwrap();
    let past: Vec<_> = past.iter().map(|(_, payout)| payout.status()).collect();
    assert_eq!(past.iter().filter(|status| **status == PayoutStatus::Paid).count(), 1);
    assert_eq!((past.len(), shop.sim.arrived_by_offer().len()), (4, 1));
    shop.balanced();
}

#[test]
fn several_go_together_and_come_back_together() {
    let shop = Shop::new();
    let ids = [shop.open(None), shop.open(None)];
    assert_eq!(
        shop.to_offer(&ids, Redeemer::Recipient, &offer(1, Some(1_000_000))).unwrap_err(),
        Refused::WrongAmount
    );
    let both = offer(1, Some(2_000_000));
    assert!(matches!(shop.to_offer(&ids, Redeemer::Recipient, &both), Ok(Claim::Started(_))));
    // The same offer with other vouchers is not the same.
    assert_eq!(shop.to_offer(&ids[..1], Redeemer::Recipient, &both).unwrap_err(), Refused::Pending);
    shop.end_offer(false);
    assert_eq!(ids.map(|id| shop.state(id)), [VoucherState::Open; 2]);
    assert!(matches!(shop.to_offer(&ids, Redeemer::Sender, &both), Ok(Claim::Started(_))));
    shop.end_offer(true);
    assert_eq!(ids.map(|id| shop.state(id)), [VoucherState::Returned; 2]);
    assert_eq!(shop.sim.arrived_by_offer().len(), 1);
    shop.balanced();
}

#[test]
fn time_is_over_for_its_recipient_alone() {
    let shop = Shop::new();
    let (id, open) = (shop.open(Some(Duration::from_secs(60))), offer(1, None));
    assert!(matches!(shop.to_offer(&[id], Redeemer::Recipient, &open), Ok(Claim::Started(_))));
    shop.ledger.clock.advance(Duration::from_secs(61));
    assert_eq!(shop.expire(), 0, "one that is under way does not expire");
    shop.end_offer(false);
    assert_eq!(shop.state(id), VoucherState::Expired);
    assert_eq!(shop.to_offer(&[id], Redeemer::Recipient, &open).unwrap_err(), Refused::Expired);
    assert!(matches!(shop.to_offer(&[id], Redeemer::Sender, &open), Ok(Claim::Started(_))));
    shop.end_offer(true);
    assert_eq!(shop.state(id), VoucherState::Returned);
    shop.balanced();
}

#[test]
fn in_doubt_it_stays_locked_until_there_is_proof() {
    for trap in [Trap::DieBefore, Trap::DieAfter] {
        let mut shop = Shop::new();
        shop.ledger.settings.settle_time = Duration::ZERO;
        let (id, open) = (shop.open(None), offer(1, None));
        let Ok(Claim::Started(_)) = shop.to_offer(&[id], Redeemer::Recipient, &open) else {
            panic!("refused")
        };
        shop.sim.set_trap(trap);
        let died = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| shop.pay_offers()));
        assert!(died.is_err());
        shop.sim.set_trap(Trap::None);
        shop.sim.restart(0, 0);
        mark_unknown(&shop.ledger).unwrap();
        assert_eq!(shop.last(id).status, PayoutStatus::Unknown);
        shop.ledger.clock.advance(Duration::from_secs(86_400));
        shop.refuses(id, Refused::Pending, Refused::Pending);
        assert!(matches!(shop.to_offer(&[id], Redeemer::Recipient, &open), Ok(Claim::Same(_))));
        shop.pay_offers();
        if trap == Trap::DieBefore {
            // The node's state has no trace of it: that is proof.
            assert_eq!(shop.state(id), VoucherState::Open);
            continue;
        }
        assert_eq!(shop.state(id), VoucherState::Claiming);
        shop.refuses(id, Refused::Pending, Refused::Pending);
        shop.sim.resolve_offer(true, Msat::ZERO);
        while events::step(&shop.ledger, Duration::ZERO).unwrap() {}
        shop.pay_offers();
        assert_eq!(shop.state(id), VoucherState::Redeemed);
        assert_eq!(shop.sim.arrived_by_offer().len(), 1);
        shop.balanced();
    }
}

#[test]
fn late_arrival_takes_the_voucher_or_is_a_loss() {
    for taken in [false, true] {
        let shop = Shop::new();
        let (id, open) = (shop.open(None), offer(1, None));
        assert!(matches!(shop.to_offer(&[id], Redeemer::Recipient, &open), Ok(Claim::Started(_))));
        shop.pay_offers();
        // An operator errs.
        let (payout, listeners) = (shop.last(id).id, shop.ledger.listeners.clone());
        mark_unknown(&shop.ledger).unwrap();
        let settled = shop.ledger.store.write_blocking(move |tx| {
            offer_payouts::settle(tx, &listeners, payout, offer_payouts::Found::NotSent, 1_800_000_000_000)
        });
        assert!(settled.unwrap());
        assert_eq!(shop.state(id), VoucherState::Open);
        if taken {
            let invoice = shop.claim(id, Redeemer::Recipient);
            shop.end(&invoice, true);
        }
        shop.sim.resolve_offer(true, Msat::ZERO);
        while events::step(&shop.ledger, Duration::ZERO).unwrap() {}
        assert_eq!(shop.state(id), VoucherState::Redeemed);
        let audit = audit::audit(&shop.ledger).unwrap();
        let loss = audit.accounts.iter().find(|row| row.account == "loss").unwrap().msat;
        assert_eq!(loss, if taken { 1_000_000 } else { 0 });
        let twice = audit.problems.iter().any(|problem| problem.contains("more than once"));
        assert_eq!(twice, taken, "{:?}", audit.problems);
    }
}

#[test]
fn own_offer_is_refused() {
    let shop = Shop::new();
    let (id, own) = (shop.open(None), offer(7, None));
    let ours = Offer { id: own.id, text: own.text.clone() };
    let charge = shop.ledger.store.read_blocking(move |connection| by_id(connection, id)).unwrap().charge;
    shop.ledger.store.write_blocking(move |tx| offers::add(tx, charge, &ours)).unwrap();
    assert_eq!(shop.to_offer(&[id], Redeemer::Recipient, &own).unwrap_err(), Refused::OwnOffer);
    assert_eq!(shop.state(id), VoucherState::Open);
}

#[test]
fn audit_sees_two_payouts_under_way() {
    let shop = Shop::new();
    let (id, open) = (shop.open(None), offer(1, None));
    assert!(matches!(shop.to_offer(&[id], Redeemer::Recipient, &open), Ok(Claim::Started(_))));
    let invoice = shop.fresh();
    let ledger = shop.ledger.clone();
    shop.ledger
        .store
        .write_blocking(move |tx| -> Result<(), LedgerError> {
            let order = payouts::Order {
                family: Family::Gifts,
                invoice: &invoice,
                amount: sat(1_000),
                max_fee: sat(10),
            };
            payouts::queue(tx, &ledger, &order, |payout| {
                tx.execute(
                    "INSERT INTO voucher_payouts (voucher_id, payout_id, taker, amount_msat)
                     VALUES (?1, ?2, 'recipient', 1000000)",
                    rusqlite::params![id, payout],
                )?;
                Ok(())
            })?;
            Ok(())
        })
        .unwrap();
    let problems = audit::audit(&shop.ledger).unwrap().problems;
    assert!(
        problems.iter().any(|problem| problem.contains("more than one payout under way")),
        "{problems:?}"
    );
}
