//! Recipients who hold what they were sent, and others who want to be paid meanwhile.

use super::*;
use crate::core::ids::PaymentHash;

const STEP: Duration = Duration::from_millis(250);

impl TestLedger {
    fn in_flight(&self) -> usize {
        self.sim.under_way().len()
    }

    /// Rounds for so long, by the clock.
    fn run_for(&self, dispatcher: &mut Dispatcher, secs: u64) {
        for _ in 0..secs * 4 {
            dispatcher.round(&self.ledger).unwrap();
            self.ledger.clock.advance(STEP);
        }
        self.settle_queue();
    }

    /// Pays so many of these at once, all of them to recipients who take what they get; answers after how many rounds all
    /// had theirs.
    fn pay_honest(&self, dispatcher: &mut Dispatcher, amount: Msat, count: usize) -> usize {
        let wanted: Vec<PaymentHash> =
            (0..count).map(|_| charges::hash_of(&self.pay_for(Family::Gifts, amount, Msat::ZERO))).collect();
        for round in 1..=4 * count {
            dispatcher.round(&self.ledger).unwrap();
            for hash in self.sim.under_way().into_iter().filter(|hash| wanted.contains(hash)) {
                self.sim.resolve(hash, true, Msat::ZERO);
            }
            while events::step(&self.ledger, Duration::ZERO).unwrap() {}
            self.ledger.clock.advance(STEP);
            let delivered = self.sim.delivered();
            if wanted.iter().all(|hash| delivered.contains_key(hash)) {
                return round;
            }
        }
        panic!("not all were paid: {} of {count}", self.sim.delivered().len());
    }
}

/// Fifty holds on a channel, all to the same node, of 100 sat: there must be slots left, also for payouts of the same
/// size to the same node.
#[test]
fn jammer_with_fifty_holds_leaves_honest_payouts_flowing() {
    let test_ledger = TestLedger::new();
    let mut dispatcher = Dispatcher::default();
    for _ in 0..50 {
        test_ledger.pay_for(Family::Gifts, sat(100), Msat::ZERO);
    }
    test_ledger.run_for(&mut dispatcher, 60);
    let held = test_ledger.in_flight();
    assert!((5..=20).contains(&held), "{held} of 45 slots are held");
    for amount in [100, 5_000] {
        let rounds = test_ledger.pay_honest(&mut dispatcher, sat(amount), 100);
        assert!(rounds <= 110, "{rounds} rounds for 100 payouts of {amount} sat");
    }
    assert!(test_ledger.in_flight() <= 25, "{} are held", test_ledger.in_flight());
}

/// Somebody who has been honest for long has a wide window: what they then hold still leaves slots.
#[test]
fn trusted_jammer_leaves_slots_to_others() {
    let test_ledger = TestLedger::new();
    let mut dispatcher = Dispatcher::default();
    test_ledger.pay_honest(&mut dispatcher, sat(100), 200);
    for _ in 0..100 {
        test_ledger.pay_for(Family::Gifts, sat(100), Msat::ZERO);
    }
    test_ledger.run_for(&mut dispatcher, 120);
    let held = test_ledger.in_flight();
    assert!(held <= 30, "{held} of 45 slots are held");
    test_ledger.pay_honest(&mut dispatcher, sat(100), 20);
    test_ledger.pay_honest(&mut dispatcher, sat(5_000), 20);
}

#[test]
fn window_of_who_is_paid_soon_grows_to_all_that_one_may_have() {
    let test_ledger = TestLedger::new();
    let mut dispatcher = Dispatcher::default();
    let first: Vec<_> = (0..40).map(|_| test_ledger.pay_for(Family::Gifts, sat(5_000), Msat::ZERO)).collect();
    dispatcher.round(&test_ledger.ledger).unwrap();
    let begin = test_ledger.in_flight();
    assert!((8..=15).contains(&begin), "{begin}");
    while test_ledger.in_flight() > 0 {
        for hash in test_ledger.sim.under_way() {
            test_ledger.sim.resolve(hash, true, Msat::ZERO);
        }
        while events::step(&test_ledger.ledger, Duration::ZERO).unwrap() {}
        test_ledger.ledger.clock.advance(STEP);
        dispatcher.round(&test_ledger.ledger).unwrap();
    }
    assert!(first.iter().all(|invoice| test_ledger.status(invoice) == PayoutStatus::Paid));
    for _ in 0..50 {
        test_ledger.pay_for(Family::Gifts, sat(5_000), Msat::ZERO);
    }
    for _ in 0..3 {
        dispatcher.round(&test_ledger.ledger).unwrap();
    }
    assert!((34..=40).contains(&test_ledger.in_flight()), "{}", test_ledger.in_flight());
}

#[test]
fn client_that_has_all_it_may_have_holds_up_nobody_else() {
    let test_ledger = TestLedger::new();
    let mut dispatcher = Dispatcher::default();
    let of = |source: &'static str, count: usize| {
        for _ in 0..count {
            let hash = charges::hash_of(&test_ledger.pay_for(Family::Gifts, sat(5_000), Msat::ZERO));
            test_ledger
                .write(move |tx, _| {
                    let id = payouts::by_hash(tx, hash)?.unwrap().id;
                    payouts::note_source(tx, id, Some(source))
                })
                .unwrap();
        }
    };
    of("10.0.0.0", 200);
    dispatcher.round(&test_ledger.ledger).unwrap();
    let first = test_ledger.in_flight();
    for _ in 0..8 {
        dispatcher.round(&test_ledger.ledger).unwrap();
        test_ledger.ledger.clock.advance(STEP);
    }
    assert!(test_ledger.in_flight() <= first + 4, "{first}, then {}", test_ledger.in_flight());
}

/// A payout that is held for hours may still cost what it was granted.
#[test]
fn what_a_held_payout_may_cost_counts_until_it_ends() {
    let mut test_ledger = TestLedger::new();
    test_ledger.ledger.settings.max_routing_per_hour = sat(1_000);
    let mut dispatcher = Dispatcher::default();
    let held = test_ledger.pay_for(Family::Gifts, sat(50_000), sat(400));
    dispatcher.round(&test_ledger.ledger).unwrap();
    assert_eq!(test_ledger.sim.limits(), [sat(400)]);
    test_ledger.ledger.clock.advance(Duration::from_secs(3 * 3_600));
    test_ledger.pay_for(Family::Gifts, sat(50_000), sat(400));
    dispatcher.round(&test_ledger.ledger).unwrap();
    let limits = test_ledger.sim.limits();
    assert!(limits[1] <= sat(30), "two could cost {limits:?} in one hour");
    // Its end frees what it might have cost.
    test_ledger.sim.resolve(charges::hash_of(&held), true, Msat::ZERO);
    while events::step(&test_ledger.ledger, Duration::ZERO).unwrap() {}
    test_ledger.pay_for(Family::Gifts, sat(50_000), sat(400));
    dispatcher.round(&test_ledger.ledger).unwrap();
    assert_eq!(test_ledger.sim.limits()[2], sat(400));
}

/// What is told of a payout that found no way names the limit that stood in it.
#[test]
fn payout_that_fails_names_the_limit() {
    let mut test_ledger = TestLedger::new();
    test_ledger.ledger.settings.route_tries = 1;
    let why = |test_ledger: &TestLedger, invoice: &lightning_invoice::Bolt11Invoice| {
        let hash = charges::hash_of(invoice);
        let found =
            test_ledger.ledger.store.read_blocking(move |connection| payouts::by_hash(connection, hash));
        found.unwrap().unwrap().error.unwrap_or_default()
    };
    test_ledger.sim.set_route_costs(sat(20));
    let dear = test_ledger.pay_for(Family::Gifts, sat(5_000), sat(10));
    Dispatcher::default().round(&test_ledger.ledger).unwrap();
    assert!(
        why(&test_ledger, &dear).contains("a routing fee of at most 10 sat"),
        "{}",
        why(&test_ledger, &dear)
    );
    test_ledger.sim.set_room(sat(1_000));
    let large = test_ledger.pay_for(Family::Gifts, sat(5_000), sat(10));
    test_ledger.sim.set_no_route(true);
    Dispatcher::default().round(&test_ledger.ledger).unwrap();
    assert!(
        why(&test_ledger, &large).contains("our channels hold only 1000 sat"),
        "{}",
        why(&test_ledger, &large)
    );
}
