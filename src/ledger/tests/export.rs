//! The books as a table: a bookkeeper's sums are the balances.

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::core::ids::PaymentHash;
use crate::ledger::export::{LEDGER, PAYOUTS};
use crate::storage::export::{Span, Table};

const ALL: Span = Span { from: i64::MIN, to: i64::MAX };

fn lines(test_ledger: &TestLedger, table: Table, span: Span) -> Vec<Vec<String>> {
    let (mut place, mut text) = (None, String::new());
    loop {
        let page =
            test_ledger.ledger.store.read_blocking(move |connection| table.page(connection, span, place));
        let page = page.unwrap();
        text.push_str(&page.csv);
        let Some(next) = page.next else { break };
        place = Some(next);
    }
    text.lines().map(|line| line.split(',').map(ToOwned::to_owned).collect()).collect()
}

/// Debits less credits, in msat.
fn amount(line: &[String]) -> i64 {
    let msat = |text: &str| {
        let (sats, rest) = text.split_once('.').unwrap_or((text, ""));
        let digits = format!("{sats}{rest:0<3}");
        if text.is_empty() { 0 } else { digits.parse::<i64>().unwrap() }
    };
    msat(&line[5]) - msat(&line[6])
}

fn sums(lines: &[Vec<String>], column: usize) -> BTreeMap<String, i64> {
    let mut sums = BTreeMap::new();
    for line in lines {
        *sums.entry(line[column].clone()).or_insert(0) += amount(line);
    }
    sums
}

/// A few days of business: paid, paid out with a fee, failed, in suspense, inside.
fn busy() -> TestLedger {
    let test_ledger = TestLedger::new();
    for day in 0..4_u8 {
        let charge = test_ledger.charge(sat(1_000));
        test_ledger.receive(&charge, Msat::new(1_000_123).unwrap());
        for arrives in [true, false] {
            let paid = test_ledger.pay_for(Family::Operator, sat(300), sat(5));
            Dispatcher::default().round(&test_ledger.ledger).unwrap();
            test_ledger.sim.resolve(charges::hash_of(&paid), arrives, Msat::new(1_500).unwrap());
            assert!(events::step(&test_ledger.ledger, Duration::ZERO).unwrap());
        }
        let own = test_ledger.charge(sat(50));
        assert!(matches!(test_ledger.queue(&own), Queued::New(_)));
        test_ledger
            .write(move |tx, ledger| {
                let hash = PaymentHash([day; 32]);
                charges::receive(tx, &ledger.listeners, hash, None, sat(7), ledger.clock.now())
            })
            .unwrap();
        test_ledger.ledger.clock.advance(Duration::from_secs(86_400));
    }
    test_ledger
}

#[test]
fn bookkeepers_year_closes_to_zero() {
    let test_ledger = busy();
    let all = lines(&test_ledger, LEDGER, ALL);
    assert!(all.len() > 40);
    for (journal, sum) in sums(&all, 0) {
        assert_eq!(sum, 0, "journal {journal}");
    }
    let accounts = sums(&all, 4);
    for account in Account::ALL {
        let booked = accounts.get(account.name()).copied().unwrap_or(0);
        assert_eq!(booked, test_ledger.balance(account), "{account}");
    }
}

#[test]
fn days_of_the_ledger_are_each_zero_and_together_the_whole() {
    let test_ledger = busy();
    let start = test_ledger.ledger.clock.now() - 4 * 86_400_000;
    let mut together = Vec::new();
    for day in 0..4 {
        let from = start + day * 86_400_000;
        let part = lines(&test_ledger, LEDGER, Span { from, to: from + 86_400_000 });
        assert_eq!(part.iter().map(|line| amount(line)).sum::<i64>(), 0, "day {day}");
        together.extend(part);
    }
    assert_eq!(together, lines(&test_ledger, LEDGER, ALL));
}

#[test]
fn payouts_are_told_with_what_they_cost_and_why_they_failed() {
    let test_ledger = busy();
    let all = lines(&test_ledger, PAYOUTS, ALL);
    let of = |status: &str| all.iter().filter(|line| line[3] == status).collect::<Vec<_>>();
    assert_eq!((of("paid").len(), of("failed").len()), (8, 4));
    assert_eq!((of("paid")[0][6].as_str(), of("paid")[0][7].as_str()), ("300", "1.5"));
    assert!(!of("failed")[0][12].is_empty());
    assert!(all.iter().all(|line| line.len() == PAYOUTS.head.split(',').count()));
}
