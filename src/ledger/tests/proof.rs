//! The tables of [`standing`](crate::lightning::standing) and [`reconciliation`], line by line.

use lightning_invoice::Bolt11Invoice;

use super::*;

impl TestLedger {
    /// A payout of so many sat whose HTLC is on the channel.
    fn under_way(&self, amount: u64) -> Bolt11Invoice {
        let invoice = self.pay(sat(amount));
        Dispatcher::default().round(&self.ledger).unwrap();
        self.settle_queue();
        assert_eq!(self.status(&invoice), PayoutStatus::InFlight);
        invoice
    }

    fn hear_all(&self) {
        while events::step(&self.ledger, Duration::ZERO).unwrap() {}
    }

    fn look(&self) {
        reconciliation::look_again(&self.ledger, true).unwrap();
    }

    fn restart(&self) {
        self.sim.restart(9, 0);
        recovery::mark_unknown(&self.ledger).unwrap();
    }

    /// Dies, and comes back to a channel that is further than the node's state. The node says that all has failed.
    fn restart_stale(&self) {
        self.sim.restart_stale(9, |_| true);
        recovery::mark_unknown(&self.ledger).unwrap();
        self.hear_all();
    }

    fn row(&self, invoice: &Bolt11Invoice) -> Payout {
        let hash = charges::hash_of(invoice);
        self.ledger
            .store
            .read_blocking(move |connection| payouts::by_hash(connection, hash))
            .unwrap()
            .unwrap()
    }
}

#[test]
fn failure_after_stale_close_proves_nothing_and_claim_on_chain_pays() {
    let test_ledger = TestLedger::new();
    let invoice = test_ledger.under_way(500);
    test_ledger.restart_stale();
    assert_eq!(test_ledger.status(&invoice), PayoutStatus::Unknown);
    test_ledger.sim.confirm_closings();
    test_ledger.sim.mine(100);
    test_ledger.look();
    assert_eq!(test_ledger.status(&invoice), PayoutStatus::Unknown, "the output of the HTLC is undecided");
    // The recipient claims. The node has forgotten the payment and says nothing.
    test_ledger.sim.decide(charges::hash_of(&invoice), true);
    assert!(test_ledger.sim.next_event(Duration::ZERO).is_none());
    test_ledger.look();
    let paid = test_ledger.row(&invoice);
    assert_eq!(paid.status, PayoutStatus::Paid);
    assert_eq!(paid.preimage.unwrap().payment_hash(), paid.payment_hash);
    assert_eq!(test_ledger.balance(Account::Lightning), -500_000);
}

#[test]
fn failure_after_stale_close_is_believed_once_the_timeout_is_buried() {
    let test_ledger = TestLedger::new();
    let invoice = test_ledger.under_way(500);
    test_ledger.restart_stale();
    test_ledger.sim.confirm_closings();
    test_ledger.sim.decide(charges::hash_of(&invoice), false);
    test_ledger.sim.mine(5);
    test_ledger.look();
    assert_eq!(test_ledger.status(&invoice), PayoutStatus::Unknown, "five blocks are not six");
    test_ledger.sim.mine(1);
    test_ledger.look();
    assert_eq!(test_ledger.status(&invoice), PayoutStatus::Failed);
    assert_eq!(
        test_ledger.row(&invoice).error.as_deref(),
        Some("it failed on the way"),
        "what the node reported"
    );
    assert_eq!(test_ledger.balance(Account::InFlight), 0);
}

#[test]
fn dust_in_a_closed_channel_stays_taken_until_the_close_is_buried() {
    let test_ledger = TestLedger::new();
    let invoice = test_ledger.under_way(250);
    test_ledger.restart_stale();
    assert!(test_ledger.sim.undecided().is_empty());
    test_ledger.sim.confirm_closings();
    test_ledger.sim.mine(5);
    test_ledger.look();
    assert_eq!(test_ledger.status(&invoice), PayoutStatus::Unknown);
    test_ledger.sim.mine(1);
    test_ledger.look();
    assert_eq!(test_ledger.status(&invoice), PayoutStatus::Failed);
}

#[test]
fn payout_claimed_while_away_for_weeks_is_paid_whatever_the_height() {
    let test_ledger = TestLedger::new();
    let invoice = test_ledger.under_way(500);
    test_ledger.sim.away(2_030, |_| true);
    recovery::mark_unknown(&test_ledger.ledger).unwrap();
    // Before any event.
    test_ledger.look();
    assert_eq!(test_ledger.status(&invoice), PayoutStatus::Paid);
    test_ledger.sim.tell_all();
    test_ledger.hear_all();
    assert_eq!(test_ledger.balance(Account::Lightning), -500_000);
}

#[test]
fn neither_height_nor_clock_ends_a_payout_that_is_under_way() {
    let test_ledger = TestLedger::new();
    let invoice = test_ledger.under_way(500);
    test_ledger.restart();
    test_ledger.ledger.clock.advance(Duration::from_secs(365 * 86_400));
    test_ledger.sim.mine(1_000);
    for _ in 0..50 {
        test_ledger.look();
        test_ledger.sim.mine(1_000);
    }
    assert_eq!(test_ledger.status(&invoice), PayoutStatus::InFlight);
    assert_eq!(test_ledger.row(&invoice).attempts, 1, "looking asks nothing of the node");
    test_ledger.sim.resolve(charges::hash_of(&invoice), true, Msat::ZERO);
    test_ledger.hear_all();
    assert_eq!(test_ledger.status(&invoice), PayoutStatus::Paid);
}

#[test]
fn payout_that_no_channel_ever_had_is_sent_again_once() {
    let test_ledger = TestLedger::new();
    test_ledger.sim.set_commit_at_once(false);
    let invoice = test_ledger.under_way(500);
    test_ledger.restart();
    assert!(test_ledger.sim.under_way().is_empty(), "the node has lost it");
    test_ledger.look();
    assert_eq!(test_ledger.status(&invoice), PayoutStatus::Queued);
    Dispatcher::default().round(&test_ledger.ledger).unwrap();
    assert_eq!(test_ledger.sim.under_way(), [charges::hash_of(&invoice)]);
    // Its invoice may be over by then.
    let late = test_ledger.pay(sat(600));
    Dispatcher::default().round(&test_ledger.ledger).unwrap();
    test_ledger.settle_queue();
    test_ledger.restart();
    test_ledger.ledger.clock.advance(Duration::from_secs(601));
    test_ledger.look();
    Dispatcher::default().round(&test_ledger.ledger).unwrap();
    assert_eq!(test_ledger.status(&late), PayoutStatus::Failed);
}

#[test]
fn failure_in_an_open_channel_is_believed_at_once() {
    let test_ledger = TestLedger::new();
    let invoice = test_ledger.under_way(500);
    test_ledger.sim.resolve(charges::hash_of(&invoice), false, Msat::ZERO);
    test_ledger.hear_all();
    assert_eq!(test_ledger.status(&invoice), PayoutStatus::Failed);
}

#[test]
fn failure_that_nobody_told_is_found() {
    let test_ledger = TestLedger::new();
    let invoice = test_ledger.under_way(500);
    test_ledger.sim.resolve(charges::hash_of(&invoice), false, Msat::ZERO);
    test_ledger.sim.event_handled();
    test_ledger.restart();
    test_ledger.look();
    assert_eq!(test_ledger.status(&invoice), PayoutStatus::Failed);
}

#[test]
fn overpayment_is_booked_as_cost_and_counts_in_the_hour() {
    let test_ledger = TestLedger::new();
    test_ledger.sim.set_minimum(sat(354));
    let invoice = test_ledger.pay_for(Family::Gifts, sat(350), sat(10));
    Dispatcher::default().round(&test_ledger.ledger).unwrap();
    test_ledger.settle_queue();
    test_ledger.sim.resolve(charges::hash_of(&invoice), true, Msat::new(7).unwrap());
    test_ledger.hear_all();
    assert_eq!(test_ledger.row(&invoice).fee, Msat::new(4_007));
    let window = test_ledger.ledger.clock.last_hour();
    let hour = test_ledger
        .ledger
        .store
        .read_blocking(move |connection| rows::under_way::recent_routing(connection, &window))
        .unwrap();
    assert_eq!(hour.0, Msat::new(4_007).unwrap());
    // An hour ends when it has passed, whatever the clock is set to.
    let spent = |test_ledger: &TestLedger| {
        let window = test_ledger.ledger.clock.last_hour();
        test_ledger
            .ledger
            .store
            .read_blocking(move |connection| rows::under_way::recent_routing(connection, &window))
            .unwrap()
            .0
    };
    let year = Duration::from_secs(365 * 86_400);
    test_ledger.ledger.clock.jump(year);
    assert_eq!(spent(&test_ledger), Msat::new(4_007).unwrap());
    test_ledger.ledger.clock.jump_back(year * 2);
    assert_eq!(spent(&test_ledger), Msat::new(4_007).unwrap());
    test_ledger.ledger.clock.jump(year);
    // In the books it is spent.
    let own = test_ledger.under_way(350);
    test_ledger.sim.resolve(charges::hash_of(&own), true, Msat::ZERO);
    test_ledger.hear_all();
    assert_eq!(test_ledger.row(&own).fee, Msat::new(4_000));
}

#[test]
fn lost_event_of_an_unknown_payout_is_replaced_by_the_preimage_at_the_next_start() {
    let test_ledger = TestLedger::new();
    let invoice = test_ledger.under_way(500);
    test_ledger.restart();
    test_ledger.look();
    test_ledger.sim.resolve(charges::hash_of(&invoice), true, Msat::ZERO);
    test_ledger.sim.event_handled();
    // The record was lost at the restart, so a sweep of records can't know.
    recovery::sweep(&test_ledger.ledger, 0).unwrap();
    assert_eq!(test_ledger.status(&invoice), PayoutStatus::InFlight);
    test_ledger.restart();
    test_ledger.look();
    assert_eq!(test_ledger.status(&invoice), PayoutStatus::Paid);
}
