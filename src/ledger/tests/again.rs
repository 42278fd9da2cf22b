//! What is done again and again, and must begin where it stopped.

use std::sync::atomic::{AtomicBool, Ordering};

use lightning_invoice::Bolt11Invoice;

use super::*;
use crate::core::time::UnixMillis;

/// Fails once.
#[derive(Default)]
struct Flaky(AtomicBool);

impl Listener for Flaky {
    fn charge_settled(&self, _: &Tx<'_>, _: &Charge) -> Result<(), LedgerError> {
        match self.0.swap(true, Ordering::SeqCst) {
            true => Ok(()),
            false => Err(StoreError::Unavailable("not now".into()).into()),
        }
    }
    fn payout_ended(&self, _: &Tx<'_>, payout: &Payout, _: End) -> Result<Msat, LedgerError> {
        Ok(payout.amount)
    }
    fn charge_lapsed(&self, _: &Tx<'_>, _: ChargeId) -> Result<Lapsed, LedgerError> {
        Ok(Lapsed::Forget)
    }
}

#[test]
fn a_sweep_that_failed_is_made_again_from_where_it_began() {
    let mut test_ledger = TestLedger::new();
    test_ledger.ledger.listeners =
        Listeners::new([(Family::Operator, Arc::new(Flaky::default()) as Arc<dyn Listener>)]);
    let invoice = test_ledger.charge(sat(100));
    test_ledger.sim.receive(&invoice, sat(100));
    test_ledger.sim.event_handled();
    test_ledger.ledger.clock.advance(Duration::from_secs(3_600));
    let mut recovery = recovery::Recovery::default();
    assert!(recovery.round(&test_ledger.ledger).is_err());
    recovery.round(&test_ledger.ledger).unwrap();
    assert_eq!(test_ledger.balance(Account::Operator), -100_000);
}

#[test]
fn the_node_forgets_nothing_before_it_has_told_everything() {
    let mut test_ledger = TestLedger::new();
    test_ledger.ledger.settings.settle_time = Duration::ZERO;
    let invoice = test_ledger.charge(sat(100));
    test_ledger.sim.receive(&invoice, sat(100));
    test_ledger.ledger.clock.advance(Duration::from_secs(86_400));
    recovery::Recovery::default().round(&test_ledger.ledger).unwrap();
    let known = || test_ledger.sim.record(charges::hash_of(&invoice)).is_some();
    assert!(known(), "an event about it waits");
    while events::step(&test_ledger.ledger, Duration::ZERO).unwrap() {}
    recovery::Recovery::default().round(&test_ledger.ledger).unwrap();
    assert!(!known());
}

#[test]
fn a_clock_that_was_ahead_leaves_nobody_behind() {
    let test_ledger = TestLedger::new();
    let now = test_ledger.ledger.clock.now();
    let later = |seconds: i64| now + seconds * 1_000;
    let expire = |at: UnixMillis| test_ledger.write(move |tx, _| charges::expire(tx, at, 10)).unwrap();
    let forget = |at: UnixMillis| {
        test_ledger.write(move |tx, ledger| charges::forget_unpaid(tx, &ledger.listeners, at, 10)).unwrap()
    };
    test_ledger.charge(sat(1));
    assert_eq!((expire(later(86_400)), forget(later(86_400))), (1, 1));
    // It is right again, and an invoice is made that ends before the first one would have.
    let (invoice, _) = test_ledger.sim.invoice(sat(2), Duration::from_secs(60));
    let (ours, hash) = (invoice.clone(), charges::hash_of(&invoice));
    test_ledger.write(move |tx, _| charges::open(tx, Family::Operator, &ours, Some(sat(2)), now)).unwrap();
    assert_eq!((expire(now), forget(now)), (0, 0));
    assert_eq!(expire(later(61)), 1);
    let status = || {
        let found =
            test_ledger.ledger.store.read_blocking(move |connection| charges::by_hash(connection, hash));
        found.unwrap().map(|charge| charge.status)
    };
    assert_eq!(status(), Some(ChargeStatus::Expired));
    assert_eq!(forget(later(61)), 1);
    assert_eq!(status(), None);
}

#[test]
fn a_clock_that_was_ahead_leaves_no_record_with_the_node() {
    let test_ledger = TestLedger::new();
    let ahead = test_ledger.ledger.clock.now() + 30 * 86_400_000;
    test_ledger
        .write(move |tx, _| {
            let mark = |name| rows::charges::set_mark(tx, name, ahead, 7);
            mark("forget_charges").and_then(|()| mark("forget_payouts"))
        })
        .unwrap();
    recovery::forget_old(&test_ledger.ledger).unwrap();
    let invoice = test_ledger.charge(sat(100));
    test_ledger.sim.receive(&invoice, sat(100));
    test_ledger.ledger.clock.advance(Duration::from_secs(86_400));
    recovery::forget_old(&test_ledger.ledger).unwrap();
    assert!(test_ledger.sim.record(charges::hash_of(&invoice)).is_none());
}

#[test]
fn a_request_nobody_paid_for_is_kept_until_nobody_can_pay_it_and_no_longer() {
    let test_ledger = TestLedger::new();
    let now = test_ledger.ledger.clock.now();
    let ask = |family: Family, secs: u64| {
        let (invoice, _) = test_ledger.sim.invoice(sat(2), Duration::from_secs(secs));
        let ours = invoice.clone();
        test_ledger.write(move |tx, _| charges::open(tx, family, &ours, Some(sat(2)), now)).unwrap();
        invoice
    };
    // Among others, so that the round has to look for them.
    let asked: Vec<_> =
        (600..604).map(|secs| (ask(Family::L402, secs), ask(Family::Payments, secs))).collect();
    let there = |invoice: &Bolt11Invoice| {
        let hash = charges::hash_of(invoice);
        test_ledger
            .ledger
            .store
            .read_blocking(move |connection| charges::by_hash(connection, hash))
            .unwrap()
            .is_some()
    };
    let left = || asked.iter().filter(|(request, _)| there(request)).count();
    let round = |limit: usize| {
        let at = test_ledger.ledger.clock.now();
        test_ledger
            .write(move |tx, ledger| {
                charges::expire(tx, at, 100)?;
                charges::forget_unpayable(tx, &ledger.listeners, limit)
            })
            .unwrap()
    };
    test_ledger.ledger.clock.advance(Duration::from_secs(600 + 2 * 3_600));
    recovery::forget_old(&test_ledger.ledger).unwrap();
    assert_eq!((round(100), left()), (0, 4), "LDK would still take a payment");
    test_ledger.sim.receive(&asked[3].0, sat(2));
    while events::step(&test_ledger.ledger, Duration::ZERO).unwrap() {}
    test_ledger.ledger.clock.advance(Duration::from_secs(3_610));
    assert_eq!((round(100), left()), (0, 4), "the node has not forgotten them");
    recovery::forget_old(&test_ledger.ledger).unwrap();
    assert_eq!((round(3), left()), (3, 2), "so many at once");
    assert_eq!((round(3), left()), (3, 1));
    assert_eq!((round(3), left()), (2, 1), "what was paid stays");
    assert_eq!((round(3), left()), (0, 1));
    assert!(asked.iter().all(|(_, order)| there(order)), "orders are kept for days");
    assert_eq!(test_ledger.balance(Account::Merchants), -2_000);
}
