//! One list of all that goes out.

use std::time::Duration;

use super::by_hand::{id_of, in_flight, settle_now};
use super::*;
use crate::ledger::by_hand::Found;
use crate::ledger::coins::{self, CoinsWanted};
use crate::ledger::offer_payouts;
use crate::ledger::payout_list::{Place, Wanted, find, history, list};

/// A payout to an offer, and coins to an address.
fn offer_and_coins(test_ledger: &TestLedger) {
    test_ledger
        .write(|tx, ledger| {
            let wanted = offer_payouts::Wanted {
                family: Family::Accounts,
                offer: "lno1",
                amount: sat(3),
                max_fee: sat(1),
                public_id: "wd_1",
                source: None,
                routing_account: None,
            };
            offer_payouts::queue(tx, ledger, &wanted)?;
            let address = coins::read_address(
                "bcrt1qs758ursh4q9z627kt3pp5yysm78ddny6txaqgw",
                bitcoin::Network::Regtest,
            );
            let address = address.unwrap();
            let wanted =
                CoinsWanted { family: Family::Operator, address: &address, amount: sat(9_000), fee: None };
            coins::queue(tx, ledger, &wanted).map(drop)
        })
        .unwrap();
}

fn page(test_ledger: &TestLedger, wanted: Wanted) -> (Vec<String>, Option<Place>) {
    let found = test_ledger.ledger.store.read_blocking(move |connection| list(connection, &wanted)).unwrap();
    (found.0.into_iter().map(|listed| listed.id).collect(), found.1)
}

fn ids(test_ledger: &TestLedger, wanted: Wanted) -> Vec<String> {
    page(test_ledger, Wanted { limit: 10, ..wanted }).0
}

fn public_id(test_ledger: &TestLedger, invoice: &lightning_invoice::Bolt11Invoice) -> String {
    let id = id_of(test_ledger, invoice);
    test_ledger
        .ledger
        .store
        .read_blocking(move |connection| payouts::by_id(connection, id))
        .unwrap()
        .public_id
}

#[test]
fn all_three_ways_are_listed_by_time_status_family_and_how_long_they_are_held() {
    let test_ledger = TestLedger::new();
    let first = public_id(&test_ledger, &in_flight(&test_ledger).0);
    test_ledger.ledger.clock.advance(Duration::from_secs(7_200));
    offer_and_coins(&test_ledger);
    test_ledger.ledger.clock.advance(Duration::from_secs(1));
    let (invoice, _, id) = in_flight(&test_ledger);
    let second = public_id(&test_ledger, &invoice);
    test_ledger.ledger.clock.advance(Duration::from_secs(1));
    let queued = public_id(&test_ledger, &test_ledger.pay(sat(7)));
    settle_now(&test_ledger, id, Found::Failed).unwrap();
    let hour_ago = test_ledger.ledger.clock.now() - 3_600_000;
    let (coins, offer) = ("coins-1".to_owned(), "wd_1".to_owned());
    let all = [&queued, &second, &coins, &offer, &first].map(Clone::clone);
    assert_eq!(ids(&test_ledger, Wanted::default()), all);
    let of = |status| Wanted { status: Some(status), ..Wanted::default() };
    assert_eq!(ids(&test_ledger, of(PayoutStatus::Failed)), [second.as_str()]);
    assert_eq!(ids(&test_ledger, of(PayoutStatus::Queued)), [&queued, &coins, &offer].map(Clone::clone));
    assert_eq!(ids(&test_ledger, of(PayoutStatus::Unknown)), [""; 0]);
    assert_eq!(
        ids(&test_ledger, Wanted { held_since: Some(hour_ago), ..Wanted::default() }),
        [first.as_str()]
    );
    assert_eq!(ids(&test_ledger, Wanted { since: Some(hour_ago), ..Wanted::default() }), all[..4]);
    assert_eq!(
        ids(&test_ledger, Wanted { family: Some(Family::Accounts), ..Wanted::default() }),
        [offer.as_str()]
    );
    // Page by page it is the same list.
    for limit in 1..=5 {
        let (mut listed, mut before) = (Vec::new(), None);
        loop {
            let (part, next) = page(&test_ledger, Wanted { before, limit, ..Wanted::default() });
            listed.extend(part);
            before = next;
            if before.is_none() {
                break;
            }
        }
        assert_eq!(listed, all, "{limit} at once");
    }
}

#[test]
fn each_way_is_found_by_its_id_with_its_history() {
    let test_ledger = TestLedger::new();
    let invoice = in_flight(&test_ledger).0;
    settle_now(&test_ledger, id_of(&test_ledger, &invoice), Found::Failed).unwrap();
    offer_and_coins(&test_ledger);
    for (id, kinds) in [
        (public_id(&test_ledger, &invoice), vec!["payout_queued", "payout_failed"]),
        ("wd_1".into(), vec!["offer_payout_queued"]),
        ("coins-1".into(), vec!["coins_queued"]),
    ] {
        let told = test_ledger.ledger.store.read_blocking(move |connection| {
            let listed = find(connection, &id)?.unwrap();
            history(connection, &listed)
        });
        assert_eq!(told.unwrap().into_iter().map(|event| event.kind).collect::<Vec<_>>(), kinds);
    }
    for none in ["coins-2", "coins-x", "1", ""] {
        assert!(test_ledger.ledger.store.read_blocking(move |c| find(c, none)).unwrap().is_none(), "{none}");
    }
}
