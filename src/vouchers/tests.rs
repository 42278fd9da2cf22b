//! The state table: every step that is allowed, and every one that is not.

use std::sync::Arc;
use std::time::Duration;

use lightning_invoice::Bolt11Invoice;

use super::*;
use crate::core::time::Clock;
use crate::ledger::dispatcher::Dispatcher;
use crate::ledger::{
    Ledger, Listener, Listeners, Notify, PayoutStatus, Settings, audit, charges, events, payouts,
};
use crate::lightning::Lightning;
use crate::lightning::sim::Sim;
use crate::storage::Store;

struct Shop {
    ledger: Ledger,
    vouchers: Vouchers,
    sim: Arc<Sim>,
    _folder: tempfile::TempDir,
}

fn sat(sat: u64) -> Msat {
    Msat::from_sat(sat).unwrap()
}

impl Shop {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::manual(1_800_000_000_000);
        let sim = Arc::new(Sim::new(clock.clone()));
        sim.set_commit_at_once(true);
        let vouchers = Vouchers::default();
        let ledger = Ledger {
            store: Store::open_without_sync(&folder.path().join("satchel.db")).unwrap(),
            lightning: Arc::clone(&sim) as Arc<dyn Lightning>,
            clock,
            wake: Arc::new(Notify::default()),
            listeners: Listeners::new([(Family::Gifts, Arc::new(vouchers.clone()) as Arc<dyn Listener>)]),
            settings: Settings::default(),
        };
        Self { ledger, vouchers, sim, _folder: folder }
    }

    /// A voucher that is not paid for, with its invoice.
    fn unfunded(&self, lives_for: Option<Duration>) -> (VoucherId, Bolt11Invoice) {
        let (invoice, _) = self.sim.invoice(sat(1_000), Duration::from_secs(3_600));
        let (ours, now) = (invoice.clone(), self.ledger.clock.now());
        let expires_at = lives_for.map(|span| now + crate::core::time::millis(span));
        let id = self
            .ledger
            .store
            .write_blocking(move |tx| -> Result<_, LedgerError> {
                let charge = charges::open(tx, Family::Gifts, &ours, Some(sat(1_000)), now)?;
                let new = NewVoucher {
                    family: Family::Gifts,
                    charge,
                    amount: sat(1_000),
                    expires_at,
                    return_to: None,
                };
                issue(tx, &new, now)
            })
            .unwrap();
        (id, invoice)
    }

    fn open(&self, lives_for: Option<Duration>) -> VoucherId {
        let (id, invoice) = self.unfunded(lives_for);
        self.sim.receive(&invoice, sat(1_000));
        assert!(events::step(&self.ledger, Duration::ZERO).unwrap());
        assert_eq!(self.state(id), VoucherState::Open);
        id
    }

    fn fresh(&self) -> Bolt11Invoice {
        self.sim.invoice(sat(1_000), Duration::from_secs(3_600)).0
    }

    fn redeem(&self, id: VoucherId, taker: Redeemer, invoice: &Bolt11Invoice) -> Result<Claim, Refused> {
        self.redeem_all(&[id], taker, invoice)
    }

    fn redeem_all(
        &self,
        ids: &[VoucherId],
        taker: Redeemer,
        invoice: &Bolt11Invoice,
    ) -> Result<Claim, Refused> {
        let (ledger, ids, invoice) = (self.ledger.clone(), ids.to_vec(), invoice.clone());
        self.ledger
            .store
            .write_blocking(move |tx| redeem(tx, &ledger, &ids, taker, &invoice, sat(10)))
            .unwrap()
    }

    fn claim(&self, id: VoucherId, taker: Redeemer) -> Bolt11Invoice {
        let invoice = self.fresh();
        assert!(matches!(self.redeem(id, taker, &invoice), Ok(Claim::Started(_))));
        Dispatcher::default().round(&self.ledger).unwrap();
        invoice
    }

    fn end(&self, invoice: &Bolt11Invoice, arrives: bool) {
        self.sim.resolve(charges::hash_of(invoice), arrives, Msat::ZERO);
        assert!(events::step(&self.ledger, Duration::ZERO).unwrap());
    }

    fn expire(&self) -> usize {
        let (vouchers, now) = (self.vouchers.clone(), self.ledger.clock.now());
        self.ledger.store.write_blocking(move |tx| vouchers.expire(tx, now, 10)).unwrap()
    }

    fn state(&self, id: VoucherId) -> VoucherState {
        self.ledger.store.read_blocking(move |connection| by_id(connection, id)).unwrap().state
    }

    /// What each redeemer is told in a state, with a fresh invoice; and nothing may have changed by asking.
    fn refuses(&self, id: VoucherId, recipient: Refused, sender: Refused) {
        let before = self.state(id);
        assert_eq!(self.redeem(id, Redeemer::Recipient, &self.fresh()).unwrap_err(), recipient);
        assert_eq!(self.redeem(id, Redeemer::Sender, &self.fresh()).unwrap_err(), sender);
        assert_eq!(self.state(id), before);
        assert!(audit::audit(&self.ledger).unwrap().clean);
    }
}

#[test]
fn unfunded_gives_nothing() {
    let shop = Shop::new();
    let (id, _) = shop.unfunded(None);
    shop.refuses(id, Refused::Unfunded, Refused::Unfunded);
}

#[test]
fn claiming_gives_nothing_to_another_invoice_and_the_same_payout_to_the_same() {
    let shop = Shop::new();
    let id = shop.open(None);
    let invoice = shop.claim(id, Redeemer::Recipient);
    shop.refuses(id, Refused::Pending, Refused::Pending);
    assert!(matches!(shop.redeem(id, Redeemer::Recipient, &invoice), Ok(Claim::Same(_))));
}

#[test]
fn redeemed_gives_nothing_more() {
    let shop = Shop::new();
    let id = shop.open(None);
    let invoice = shop.claim(id, Redeemer::Recipient);
    shop.end(&invoice, true);
    assert_eq!(shop.state(id), VoucherState::Redeemed);
    shop.refuses(id, Refused::Spent, Refused::Spent);
    assert!(matches!(shop.redeem(id, Redeemer::Recipient, &invoice), Ok(Claim::Same(_))));
}

#[test]
fn a_failed_payout_opens_it_again_for_a_fresh_invoice_only() {
    let shop = Shop::new();
    let id = shop.open(None);
    let invoice = shop.claim(id, Redeemer::Recipient);
    shop.end(&invoice, false);
    assert_eq!(shop.state(id), VoucherState::Open);
    assert_eq!(shop.redeem(id, Redeemer::Recipient, &invoice).unwrap_err(), Refused::InvoiceUsed);
    let second = shop.claim(id, Redeemer::Recipient);
    shop.end(&second, true);
    assert_eq!(shop.state(id), VoucherState::Redeemed);
}

#[test]
fn expired_is_the_sender_s_alone() {
    let shop = Shop::new();
    let id = shop.open(Some(Duration::from_secs(60)));
    shop.ledger.clock.advance(Duration::from_secs(61));
    assert_eq!(
        shop.redeem(id, Redeemer::Recipient, &shop.fresh()).unwrap_err(),
        Refused::Expired,
        "also before it is marked"
    );
    assert_eq!(shop.expire(), 1);
    assert_eq!(shop.redeem(id, Redeemer::Recipient, &shop.fresh()).unwrap_err(), Refused::Expired);
    let back = shop.claim(id, Redeemer::Sender);
    shop.refuses(id, Refused::Pending, Refused::Pending);
    shop.end(&back, true);
    assert_eq!(shop.state(id), VoucherState::Returned);
    shop.refuses(id, Refused::Spent, Refused::Spent);
}

#[test]
fn a_return_that_fails_leaves_it_expired() {
    let shop = Shop::new();
    let id = shop.open(Some(Duration::from_secs(60)));
    shop.ledger.clock.advance(Duration::from_secs(61));
    shop.expire();
    let back = shop.claim(id, Redeemer::Sender);
    shop.end(&back, false);
    assert_eq!(shop.state(id), VoucherState::Expired);
}

#[test]
fn a_payout_under_way_when_time_runs_out_is_still_the_recipient_s() {
    let shop = Shop::new();
    let id = shop.open(Some(Duration::from_secs(60)));
    let invoice = shop.claim(id, Redeemer::Recipient);
    shop.ledger.clock.advance(Duration::from_secs(61));
    assert_eq!(shop.expire(), 0);
    shop.end(&invoice, true);
    assert_eq!(shop.state(id), VoucherState::Redeemed);
}

#[test]
fn a_payout_that_fails_after_time_has_run_out_leaves_it_expired() {
    let shop = Shop::new();
    let id = shop.open(Some(Duration::from_secs(60)));
    let invoice = shop.claim(id, Redeemer::Recipient);
    shop.ledger.clock.advance(Duration::from_secs(61));
    shop.end(&invoice, false);
    assert_eq!(shop.state(id), VoucherState::Expired);
}

#[test]
fn a_sender_may_take_an_open_one_back() {
    let shop = Shop::new();
    let id = shop.open(None);
    let back = shop.claim(id, Redeemer::Sender);
    shop.end(&back, true);
    assert_eq!(shop.state(id), VoucherState::Returned);
}

#[test]
fn an_invoice_for_another_amount_changes_nothing() {
    let shop = Shop::new();
    let id = shop.open(None);
    let (other, _) = shop.sim.invoice(Msat::new(1_000_001).unwrap(), Duration::from_secs(60));
    assert_eq!(shop.redeem(id, Redeemer::Recipient, &other).unwrap_err(), Refused::WrongAmount);
    assert_eq!(shop.state(id), VoucherState::Open);
}

#[test]
fn two_vouchers_cannot_share_an_invoice() {
    let shop = Shop::new();
    let (one, other) = (shop.open(None), shop.open(None));
    let invoice = shop.claim(one, Redeemer::Recipient);
    assert_eq!(shop.redeem(other, Redeemer::Recipient, &invoice).unwrap_err(), Refused::InvoiceUsed);
    assert_eq!(shop.state(other), VoucherState::Open);
}

#[test]
fn a_voucher_redeemed_into_another_s_invoice_funds_that_one() {
    let shop = Shop::new();
    let one = shop.open(None);
    let (other, invoice) = shop.unfunded(None);
    let claim = shop.redeem(one, Redeemer::Recipient, &invoice).unwrap();
    assert_eq!(claim.payout().status(), PayoutStatus::Paid);
    assert_eq!((shop.state(one), shop.state(other)), (VoucherState::Redeemed, VoucherState::Open));
    assert!(shop.sim.under_way().is_empty());
    assert_eq!(shop.redeem(other, Redeemer::Recipient, &invoice).unwrap_err(), Refused::InvoiceUsed);
    assert!(audit::audit(&shop.ledger).unwrap().clean);
}

#[test]
fn an_invoice_that_borrows_the_hash_of_ours_settles_nothing() {
    let shop = Shop::new();
    let one = shop.open(None);
    let (other, invoice) = shop.unfunded(None);
    let borrowed = shop.sim.invoice_with_hash_of(&invoice, sat(1_000));
    assert_eq!(shop.redeem(one, Redeemer::Recipient, &borrowed).unwrap_err(), Refused::InvoiceUsed);
    assert_eq!((shop.state(one), shop.state(other)), (VoucherState::Open, VoucherState::Unfunded));
}

impl Shop {
    fn fresh_for(&self, amount: Msat) -> Bolt11Invoice {
        self.sim.invoice(amount, Duration::from_secs(3_600)).0
    }

    fn recall(&self, id: VoucherId) -> Result<(), Refused> {
        let (vouchers, now) = (self.vouchers.clone(), self.ledger.clock.now());
        self.ledger.store.write_blocking(move |tx| vouchers.recall(tx, id, now)).unwrap()
    }
}

#[test]
fn several_are_redeemed_by_one_payout_or_none_is() {
    let shop = Shop::new();
    let ids = [shop.open(None), shop.open(None), shop.open(None)];
    let invoice = shop.fresh_for(sat(3_000));
    assert_eq!(
        shop.redeem_all(&ids, Redeemer::Recipient, &shop.fresh_for(sat(2_000))).unwrap_err(),
        Refused::WrongAmount
    );
    let (gone, _) = shop.unfunded(None);
    assert_eq!(
        shop.redeem_all(&[ids[0], ids[1], gone], Redeemer::Recipient, &invoice).unwrap_err(),
        Refused::Unfunded
    );
    assert!(ids.iter().all(|id| shop.state(*id) == VoucherState::Open));
    assert!(matches!(shop.redeem_all(&ids, Redeemer::Recipient, &invoice), Ok(Claim::Started(_))));
    assert!(matches!(shop.redeem_all(&ids, Redeemer::Recipient, &invoice), Ok(Claim::Same(_))));
    assert_eq!(shop.redeem_all(&ids[..2], Redeemer::Recipient, &invoice).unwrap_err(), Refused::Pending);
    shop.refuses(ids[1], Refused::Pending, Refused::Pending);
    Dispatcher::default().round(&shop.ledger).unwrap();
    shop.end(&invoice, false);
    assert!(ids.iter().all(|id| shop.state(*id) == VoucherState::Open), "all open again");
    let invoice = shop.fresh_for(sat(3_000));
    assert!(matches!(shop.redeem_all(&ids, Redeemer::Recipient, &invoice), Ok(Claim::Started(_))));
    Dispatcher::default().round(&shop.ledger).unwrap();
    shop.end(&invoice, true);
    assert!(ids.iter().all(|id| shop.state(*id) == VoucherState::Redeemed));
    assert!(audit::audit(&shop.ledger).unwrap().clean);
}

#[test]
fn a_late_success_takes_what_is_still_there_and_the_rest_is_a_loss() {
    let shop = Shop::new();
    let ids = [shop.open(None), shop.open(None)];
    let first = shop.fresh_for(sat(2_000));
    assert!(matches!(shop.redeem_all(&ids, Redeemer::Recipient, &first), Ok(Claim::Started(_))));
    Dispatcher::default().round(&shop.ledger).unwrap();
    shop.end(&first, false);
    let second = shop.claim(ids[0], Redeemer::Recipient);
    shop.end(&second, true);
    let (hash, now, listeners) =
        (charges::hash_of(&first), shop.ledger.clock.now(), shop.ledger.listeners.clone());
    shop.ledger
        .store
        .write_blocking(move |tx| payouts::mark_paid(tx, &listeners, &arrival(hash), now))
        .unwrap();
    assert_eq!(shop.state(ids[1]), VoucherState::Redeemed);
    let audit = audit::audit(&shop.ledger).unwrap();
    let loss = audit.accounts.iter().find(|row| row.account == "loss").unwrap().msat;
    assert_eq!(loss, 1_000_000);
}

#[test]
fn a_late_return_is_a_return() {
    let shop = Shop::new();
    let id = shop.open(None);
    let invoice = shop.claim(id, Redeemer::Sender);
    shop.end(&invoice, false);
    let (hash, now, listeners) =
        (charges::hash_of(&invoice), shop.ledger.clock.now(), shop.ledger.listeners.clone());
    shop.ledger
        .store
        .write_blocking(move |tx| payouts::mark_paid(tx, &listeners, &arrival(hash), now))
        .unwrap();
    assert_eq!(shop.state(id), VoucherState::Returned);
}

#[test]
fn what_is_recalled_is_its_sender_s_and_stays_so_when_the_payout_fails() {
    let shop = Shop::new();
    let id = shop.open(None);
    shop.recall(id).unwrap();
    assert_eq!(shop.recall(id).unwrap_err(), Refused::Expired);
    assert_eq!(shop.redeem(id, Redeemer::Recipient, &shop.fresh()).unwrap_err(), Refused::Expired);
    let invoice = shop.claim(id, Redeemer::Sender);
    shop.end(&invoice, false);
    assert_eq!(shop.state(id), VoucherState::Expired);
    let invoice = shop.claim(id, Redeemer::Sender);
    shop.end(&invoice, true);
    assert_eq!(shop.state(id), VoucherState::Returned);
    let busy = shop.open(None);
    shop.claim(busy, Redeemer::Recipient);
    assert_eq!(shop.recall(busy).unwrap_err(), Refused::Pending);
}

#[test]
fn a_late_success_while_another_payout_is_under_way_closes_the_voucher_when_that_one_fails() {
    let shop = Shop::new();
    let id = shop.open(None);
    let first = shop.claim(id, Redeemer::Recipient);
    shop.end(&first, false);
    let second = shop.claim(id, Redeemer::Recipient);
    let (hash, now, listeners) =
        (charges::hash_of(&first), shop.ledger.clock.now(), shop.ledger.listeners.clone());
    shop.ledger
        .store
        .write_blocking(move |tx| payouts::mark_paid(tx, &listeners, &arrival(hash), now))
        .unwrap();
    assert_eq!(shop.state(id), VoucherState::Claiming);
    shop.end(&second, false);
    assert_eq!(shop.state(id), VoucherState::Redeemed);
    let audit = audit::audit(&shop.ledger).unwrap();
    assert!(audit.clean && audit.warnings.is_empty(), "{audit:?}");
}

fn arrival(hash: crate::core::ids::PaymentHash) -> payouts::Arrival {
    payouts::Arrival { hash, preimage: None, fee: Msat::ZERO, left: None }
}

mod offers;
