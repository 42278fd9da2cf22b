//! How often each resource was asked for, and what it brought in, since the start: for metrics and for whoever runs
//! the house. Resources are named by strangers, so only so many are told apart.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use metrics::{Counter, counter};

use crate::ids::AccountId;
use crate::telemetry::metrics::{L402_REQUESTS, L402_REVENUE};

/// Resources told apart; what comes later counts as one.
const MOST: usize = 200;

/// The label of all others.
const OTHERS: &str = "other";

type Meters = HashMap<(Option<AccountId>, String), Arc<Meter>>;

/// The family's counters.
#[derive(Default)]
pub(super) struct Counters {
    meters: RwLock<Meters>,
    all: Sums,
}

#[derive(Default)]
struct Sums {
    paid: AtomicU64,
    unpaid: AtomicU64,
}

struct Meter {
    sums: Sums,
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

impl Meter {
    fn new(resource: &str) -> Self {
        let request = |outcome: &'static str| counter!(L402_REQUESTS, "resource" => resource.to_owned(), "outcome" => outcome);
        Self {
            sums: Sums::default(),
            paid: request("paid"),
            unpaid: request("unpaid"),
            revenue: counter!(L402_REVENUE, "resource" => resource.to_owned()),
        }
    }
}

impl Sums {
    fn read(&self) -> Requests {
        Requests { paid: self.paid.load(Ordering::Relaxed), unpaid: self.unpaid.load(Ordering::Relaxed) }
    }
}

impl Counters {
    /// Somebody was let in.
    pub(super) fn let_in(&self, account: Option<AccountId>, resource: &str) {
        let meter = self.meter(account, resource);
        meter.paid.increment(1);
        meter.sums.paid.fetch_add(1, Ordering::Relaxed);
        self.all.paid.fetch_add(1, Ordering::Relaxed);
    }

    /// Somebody was asked to pay.
    pub(super) fn asked(&self, account: Option<AccountId>, resource: &str) {
        let meter = self.meter(account, resource);
        meter.unpaid.increment(1);
        meter.sums.unpaid.fetch_add(1, Ordering::Relaxed);
        self.all.unpaid.fetch_add(1, Ordering::Relaxed);
    }

    /// Money came in, in sat.
    pub(super) fn earned(&self, account: Option<AccountId>, resource: &str, sat: u64) {
        self.meter(account, resource).revenue.increment(sat);
    }

    /// Requests for an account's resources, as far as they are told apart; `None` for all there were.
    pub(super) fn requests(&self, account: Option<AccountId>) -> Requests {
        if account.is_none() {
            return self.all.read();
        }
        let meters = self.meters.read().unwrap_or_else(PoisonError::into_inner);
        let own = meters.iter().filter(|((owner, _), _)| *owner == account);
        own.fold(Requests::default(), |sum, (_, meter)| {
            let one = meter.sums.read();
            Requests {
                paid: sum.paid.saturating_add(one.paid),
                unpaid: sum.unpaid.saturating_add(one.unpaid),
            }
        })
    }

    fn meter(&self, account: Option<AccountId>, resource: &str) -> Arc<Meter> {
        let key = (account, resource.to_owned());
        {
            let meters = self.meters.read().unwrap_or_else(PoisonError::into_inner);
            let others = || meters.get(&(None, OTHERS.to_owned())).filter(|_| meters.len() > MOST);
            if let Some(known) = meters.get(&key).or_else(others) {
                return Arc::clone(known);
            }
        }
        self.new_meter(key)
    }

    fn new_meter(&self, key: (Option<AccountId>, String)) -> Arc<Meter> {
        let mut meters = self.meters.write().unwrap_or_else(PoisonError::into_inner);
        let key = if meters.len() < MOST { key } else { (None, OTHERS.to_owned()) };
        let meter = meters.entry(key).or_insert_with_key(|(_, resource)| Arc::new(Meter::new(resource)));
        Arc::clone(meter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_resource_has_its_numbers() {
        let _ = crate::telemetry::metrics::install();
        let counters = Counters::default();
        counters.asked(None, "/counted");
        counters.asked(None, "/counted");
        counters.let_in(None, "/counted");
        counters.earned(None, "/counted", 7);
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
    fn strangers_can_t_make_more_names_than_there_is_room_for() {
        let counters = Counters::default();
        for number in 0..MOST * 3 {
            counters.asked(None, &format!("/{number}"));
        }
        counters.let_in(Some(AccountId(1)), "/late");
        assert_eq!(counters.meters.read().unwrap().len(), MOST + 1);
        assert_eq!(counters.requests(None), Requests { paid: 1, unpaid: 600 });
        assert_eq!(counters.requests(Some(AccountId(1))), Requests::default());
    }
}
