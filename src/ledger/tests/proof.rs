//! The tables of [`standing`](crate::lightning::standing) and [`reconciliation`], line by line.

use lightning_invoice::Bolt11Invoice;

use super::*;

impl Desk {
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
    let desk = Desk::new();
    let invoice = desk.under_way(500);
    desk.restart_stale();
    assert_eq!(desk.status(&invoice), PayoutStatus::Unknown);
    desk.sim.confirm_closings();
    desk.sim.mine(100);
    desk.look();
    assert_eq!(desk.status(&invoice), PayoutStatus::Unknown, "the output of the HTLC is undecided");
    // The recipient claims. The node has forgotten the payment and says nothing.
    desk.sim.decide(charges::hash_of(&invoice), true);
    assert!(desk.sim.next_event(Duration::ZERO).is_none());
    desk.look();
    let paid = desk.row(&invoice);
    assert_eq!(paid.status, PayoutStatus::Paid);
    assert_eq!(paid.preimage.unwrap().payment_hash(), paid.payment_hash);
    assert_eq!(desk.balance(Account::Lightning), -500_000);
}

#[test]
fn failure_after_stale_close_is_believed_once_the_timeout_is_buried() {
    let desk = Desk::new();
    let invoice = desk.under_way(500);
    desk.restart_stale();
    desk.sim.confirm_closings();
    desk.sim.decide(charges::hash_of(&invoice), false);
    desk.sim.mine(5);
    desk.look();
    assert_eq!(desk.status(&invoice), PayoutStatus::Unknown, "five blocks are not six");
    desk.sim.mine(1);
    desk.look();
    assert_eq!(desk.status(&invoice), PayoutStatus::Failed);
    assert_eq!(desk.row(&invoice).error.as_deref(), Some("it failed on the way"), "what the node reported");
    assert_eq!(desk.balance(Account::InFlight), 0);
}

#[test]
fn dust_in_a_closed_channel_stays_taken_until_the_close_is_buried() {
    let desk = Desk::new();
    let invoice = desk.under_way(250);
    desk.restart_stale();
    assert!(desk.sim.undecided().is_empty());
    desk.sim.confirm_closings();
    desk.sim.mine(5);
    desk.look();
    assert_eq!(desk.status(&invoice), PayoutStatus::Unknown);
    desk.sim.mine(1);
    desk.look();
    assert_eq!(desk.status(&invoice), PayoutStatus::Failed);
}

#[test]
fn payout_claimed_while_away_for_weeks_is_paid_whatever_the_height() {
    let desk = Desk::new();
    let invoice = desk.under_way(500);
    desk.sim.away(2_030, |_| true);
    recovery::mark_unknown(&desk.ledger).unwrap();
    // Before any event.
    desk.look();
    assert_eq!(desk.status(&invoice), PayoutStatus::Paid);
    desk.sim.tell_all();
    desk.hear_all();
    assert_eq!(desk.balance(Account::Lightning), -500_000);
}

#[test]
fn neither_height_nor_clock_ends_a_payout_that_is_under_way() {
    let desk = Desk::new();
    let invoice = desk.under_way(500);
    desk.restart();
    desk.ledger.clock.advance(Duration::from_secs(365 * 86_400));
    desk.sim.mine(1_000);
    for _ in 0..50 {
        desk.look();
        desk.sim.mine(1_000);
    }
    assert_eq!(desk.status(&invoice), PayoutStatus::InFlight);
    assert_eq!(desk.row(&invoice).attempts, 1, "looking asks nothing of the node");
    desk.sim.resolve(charges::hash_of(&invoice), true, Msat::ZERO);
    desk.hear_all();
    assert_eq!(desk.status(&invoice), PayoutStatus::Paid);
}

#[test]
fn payout_that_no_channel_ever_had_is_sent_again_once() {
    let desk = Desk::new();
    desk.sim.set_commit_at_once(false);
    let invoice = desk.under_way(500);
    desk.restart();
    assert!(desk.sim.under_way().is_empty(), "the node has lost it");
    desk.look();
    assert_eq!(desk.status(&invoice), PayoutStatus::Queued);
    Dispatcher::default().round(&desk.ledger).unwrap();
    assert_eq!(desk.sim.under_way(), [charges::hash_of(&invoice)]);
    // Its invoice may be over by then.
    let late = desk.pay(sat(600));
    Dispatcher::default().round(&desk.ledger).unwrap();
    desk.settle_queue();
    desk.restart();
    desk.ledger.clock.advance(Duration::from_secs(601));
    desk.look();
    Dispatcher::default().round(&desk.ledger).unwrap();
    assert_eq!(desk.status(&late), PayoutStatus::Failed);
}

#[test]
fn failure_in_an_open_channel_is_believed_at_once() {
    let desk = Desk::new();
    let invoice = desk.under_way(500);
    desk.sim.resolve(charges::hash_of(&invoice), false, Msat::ZERO);
    desk.hear_all();
    assert_eq!(desk.status(&invoice), PayoutStatus::Failed);
}

#[test]
fn failure_that_nobody_told_is_found() {
    let desk = Desk::new();
    let invoice = desk.under_way(500);
    desk.sim.resolve(charges::hash_of(&invoice), false, Msat::ZERO);
    desk.sim.event_handled();
    desk.restart();
    desk.look();
    assert_eq!(desk.status(&invoice), PayoutStatus::Failed);
}

#[test]
fn overpayment_is_booked_as_cost_and_counts_in_the_hour() {
    let desk = Desk::new();
    desk.sim.set_minimum(sat(354));
    let invoice = desk.pay_for(Family::Gifts, sat(350), sat(10));
    Dispatcher::default().round(&desk.ledger).unwrap();
    desk.settle_queue();
    desk.sim.resolve(charges::hash_of(&invoice), true, Msat::new(7).unwrap());
    desk.hear_all();
    assert_eq!(desk.row(&invoice).fee, Msat::new(4_007));
    let window = desk.ledger.clock.last_hour();
    let hour = desk
        .ledger
        .store
        .read_blocking(move |connection| rows::under_way::recent_routing(connection, &window))
        .unwrap();
    assert_eq!(hour.0, Msat::new(4_007).unwrap());
    // An hour ends when it has passed, whatever the clock is set to.
    let spent = |desk: &Desk| {
        let window = desk.ledger.clock.last_hour();
        desk.ledger
            .store
            .read_blocking(move |connection| rows::under_way::recent_routing(connection, &window))
            .unwrap()
            .0
    };
    let year = Duration::from_secs(365 * 86_400);
    desk.ledger.clock.jump(year);
    assert_eq!(spent(&desk), Msat::new(4_007).unwrap());
    desk.ledger.clock.jump_back(year * 2);
    assert_eq!(spent(&desk), Msat::new(4_007).unwrap());
    desk.ledger.clock.jump(year);
    // In the books it is spent.
    let own = desk.under_way(350);
    desk.sim.resolve(charges::hash_of(&own), true, Msat::ZERO);
    desk.hear_all();
    assert_eq!(desk.row(&own).fee, Msat::new(4_000));
}

#[test]
fn lost_event_of_an_unknown_payout_is_replaced_by_the_preimage_at_the_next_start() {
    let desk = Desk::new();
    let invoice = desk.under_way(500);
    desk.restart();
    desk.look();
    desk.sim.resolve(charges::hash_of(&invoice), true, Msat::ZERO);
    desk.sim.event_handled();
    // The record was lost at the restart, so a sweep of records can't know.
    recovery::sweep(&desk.ledger, 0).unwrap();
    assert_eq!(desk.status(&invoice), PayoutStatus::InFlight);
    desk.restart();
    desk.look();
    assert_eq!(desk.status(&invoice), PayoutStatus::Paid);
}
