//! How often each resource was asked for, and what it brought in, since the start: for metrics and for whoever runs
//! the app.
//!
//! Strangers name resources, by asking for paths of a proxy: one is told apart once somebody has paid for it, and
//! only so many are. All others of an account count as one; an account's sums are exact.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use metrics::{Counter, counter};

use crate::core::ids::AccountId;
use crate::telemetry::metrics::{L402_REQUESTS, L402_REVENUE};

/// Resources told apart; what comes later counts as one.
const MOST: usize = 200;

/// The label of all others.
const OTHERS: &str = "other";

/// The family's counters.
#[derive(Default)]
pub(super) struct Counters {
    accounts: RwLock<HashMap<Option<AccountId>, Meters>>,
    /// Resources that have names, of all accounts.
    named: AtomicUsize,
}

/// Those of one account.
struct Meters {
    sums: Arc<Sums>,
    named: HashMap<String, Arc<Meter>>,
    others: Arc<Meter>,
}

#[derive(Default)]
struct Sums {
    paid: AtomicU64,
    unpaid: AtomicU64,
}

struct Meter {
    sums: Arc<Sums>,
    paid: Counter,
    unpaid: Counter,
    revenue: Counter,
}

/// Requests since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// Let in.
    pub paid: u64,
    /// Asked to pay.
    pub unpaid: u64,
}

impl Meters {
    fn new() -> Self {
        let sums = Arc::new(Sums::default());
        let others = Arc::new(Meter::new(OTHERS, &sums));
        Self { sums, named: HashMap::new(), others }
    }
}

impl Meter {
    fn new(resource: &str, sums: &Arc<Sums>) -> Self {
        let request = |outcome: &'static str| counter!(L402_REQUESTS, "resource" => resource.to_owned(), "outcome" => outcome);
        Self {
            sums: Arc::clone(sums),
            paid: request("paid"),
            unpaid: request("unpaid"),
            revenue: counter!(L402_REVENUE, "resource" => resource.to_owned()),
        }
    }
}

impl Counters {
    /// Somebody was let in.
    pub(super) fn let_in(&self, account: Option<AccountId>, resource: &str) {
        let meter = self.named(account, resource);
        meter.paid.increment(1);
        meter.sums.paid.fetch_add(1, Ordering::Relaxed);
    }

    /// Somebody was asked to pay.
    pub(super) fn asked(&self, account: Option<AccountId>, resource: &str) {
        let meter = self.known(account, resource).unwrap_or_else(|| self.others(account));
        meter.unpaid.increment(1);
        meter.sums.unpaid.fetch_add(1, Ordering::Relaxed);
    }

    /// Money came in, in sat.
    pub(super) fn earned(&self, account: Option<AccountId>, resource: &str, sat: u64) {
        self.named(account, resource).revenue.increment(sat);
    }

    /// Requests for an account's resources; `None` for all there were.
    pub(super) fn requests(&self, account: Option<AccountId>) -> Requests {
        let accounts = self.accounts.read().unwrap_or_else(PoisonError::into_inner);
        let wanted = accounts.iter().filter(|(owner, _)| account.is_none() || **owner == account);
        wanted.fold(Requests::default(), |all, (_, meters)| Requests {
            paid: all.paid.saturating_add(meters.sums.paid.load(Ordering::Relaxed)),
            unpaid: all.unpaid.saturating_add(meters.sums.unpaid.load(Ordering::Relaxed)),
        })
    }

    fn known(&self, account: Option<AccountId>, resource: &str) -> Option<Arc<Meter>> {
        let accounts = self.accounts.read().unwrap_or_else(PoisonError::into_inner);
        accounts.get(&account)?.named.get(resource).map(Arc::clone)
    }

    /// The meter of a resource that was paid for.
    fn named(&self, account: Option<AccountId>, resource: &str) -> Arc<Meter> {
        if let Some(known) = self.known(account, resource) {
            return known;
        }
        if self.named.load(Ordering::Relaxed) >= MOST {
            return self.others(account);
        }
        let mut accounts = self.accounts.write().unwrap_or_else(PoisonError::into_inner);
        let meters = accounts.entry(account).or_insert_with(Meters::new);
        let sums = &meters.sums;
        let meter = meters.named.entry(resource.to_owned()).or_insert_with(|| {
            self.named.fetch_add(1, Ordering::Relaxed);
            Arc::new(Meter::new(resource, sums))
        });
        Arc::clone(meter)
    }

    fn others(&self, account: Option<AccountId>) -> Arc<Meter> {
        let known = {
            let accounts = self.accounts.read().unwrap_or_else(PoisonError::into_inner);
            accounts.get(&account).map(|meters| Arc::clone(&meters.others))
        };
        known.unwrap_or_else(|| {
            let mut accounts = self.accounts.write().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(&accounts.entry(account).or_insert_with(Meters::new).others)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_resource_has_its_numbers() {
        let _ = crate::telemetry::metrics::install();
        let counters = Counters::default();
        counters.earned(None, "/counted", 7);
        counters.asked(None, "/counted");
        counters.asked(None, "/counted");
        counters.let_in(None, "/counted");
        let page = crate::telemetry::metrics::render();
        let line = |name: &str, labels: &[&str]| {
            let found = page
                .lines()
                .find(|line| line.starts_with(name) && labels.iter().all(|label| line.contains(label)));
            found.and_then(|line| line.rsplit(' ').next()).map(str::to_owned)
        };
        let counted = "resource=\"/counted\"";
        assert_eq!(line(L402_REQUESTS, &[counted, "outcome=\"unpaid\""]).as_deref(), Some("2"));
        assert_eq!(line(L402_REQUESTS, &[counted, "outcome=\"paid\""]).as_deref(), Some("1"));
        assert_eq!(line(L402_REVENUE, &[counted]).as_deref(), Some("7"));
    }

    #[test]
    fn a_resource_has_a_name_once_it_was_paid_for_and_no_more_have_than_there_is_room_for() {
        let counters = Counters::default();
        let named =
            || counters.accounts.read().unwrap().values().map(|meters| meters.named.len()).sum::<usize>();
        for number in 0..MOST * 3 {
            counters.asked(None, &format!("/{number}"));
        }
        assert_eq!(named(), 0);
        for number in 0..MOST * 2 {
            counters.let_in(Some(AccountId(1)), &format!("/{number}"));
        }
        counters.earned(Some(AccountId(2)), "/late", 5);
        counters.let_in(Some(AccountId(2)), "/late");
        counters.asked(Some(AccountId(2)), "/late");
        assert_eq!(named(), MOST);
        assert_eq!(counters.requests(None), Requests { paid: 401, unpaid: 601 });
        assert_eq!(counters.requests(Some(AccountId(1))), Requests { paid: 400, unpaid: 0 });
        assert_eq!(counters.requests(Some(AccountId(2))), Requests { paid: 1, unpaid: 1 });
        assert_eq!(counters.requests(Some(AccountId(3))), Requests::default());
    }
}
