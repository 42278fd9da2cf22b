//! How many requests each proxy has on their way, so that one slow upstream can't take all sockets and memory; and how
//! many of them are of one payment, or of none, so that no payer can shut the others out.
//!
//! A [`ConcurrencyPermit`] is held from before the upstream is asked until the last byte of its answer has passed, and counts
//! for as long as it lives: however a request ends, it is dropped.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::core::ids::PaymentHash;

/// A payment's share of a proxy's places, and that of all that is free: one in so many.
const SHARE: usize = 4;

/// All that are on their way.
#[derive(Debug)]
pub(super) struct ConcurrencyLimits {
    most: usize,
    by_proxy: Mutex<HashMap<i64, UnderWay>>,
}

/// Those of one proxy.
#[derive(Debug, Default)]
struct UnderWay {
    all: usize,
    /// `None`: free.
    by_payment: HashMap<Option<PaymentHash>, usize>,
}

/// A request on its way.
#[derive(Debug)]
pub(super) struct ConcurrencyPermit {
    concurrency: Arc<ConcurrencyLimits>,
    proxy: i64,
    payment: Option<PaymentHash>,
}

impl ConcurrencyLimits {
    /// At most so many of one proxy.
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, by_proxy: Mutex::default() })
    }

    /// One more of a proxy, by its row, for a payment; `None` if that is more than may be.
    pub(super) fn begin(
        self: &Arc<Self>,
        proxy: i64,
        payment: Option<PaymentHash>,
    ) -> Option<ConcurrencyPermit> {
        let mut by_proxy = self.lock();
        let own = by_proxy.get(&proxy).and_then(|under_way| under_way.by_payment.get(&payment)).copied();
        let (all, own) = (by_proxy.get(&proxy).map_or(0, |under_way| under_way.all), own.unwrap_or(0));
        if all >= self.most || own >= (self.most / SHARE).max(2) {
            return None;
        }
        let under_way = by_proxy.entry(proxy).or_default();
        under_way.all = all.saturating_add(1);
        under_way.by_payment.insert(payment, own.saturating_add(1));
        drop(by_proxy);
        Some(ConcurrencyPermit { concurrency: Arc::clone(self), proxy, payment })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<i64, UnderWay>> {
        self.by_proxy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ConcurrencyPermit {
    fn drop(&mut self) {
        let mut by_proxy = self.concurrency.lock();
        let Some(under_way) = by_proxy.get_mut(&self.proxy) else { return };
        under_way.all = under_way.all.saturating_sub(1);
        if let Some(own) = under_way.by_payment.get_mut(&self.payment) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                under_way.by_payment.remove(&self.payment);
            }
        }
        if under_way.all == 0 {
            by_proxy.remove(&self.proxy);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_proxy_has_so_many_and_nothing_is_left_of_those_that_ended() {
        let concurrency = ConcurrencyLimits::new(2);
        let (first, second) = (concurrency.begin(1, None).unwrap(), concurrency.begin(1, None).unwrap());
        assert!(concurrency.begin(1, None).is_none());
        let other = concurrency.begin(2, None).unwrap();
        drop(first);
        let third = concurrency.begin(1, None).unwrap();
        assert!(concurrency.begin(1, None).is_none());
        drop((second, third, other));
        assert!(concurrency.lock().is_empty());
    }

    #[test]
    fn no_payment_has_all_places() {
        let concurrency = ConcurrencyLimits::new(12);
        let payment = |number| Some(PaymentHash([number; 32]));
        let begin = |of: Option<PaymentHash>| std::iter::from_fn(move || Some(of));
        for of in [payment(1), None, payment(2), payment(3)] {
            let held: Vec<_> = begin(of).map_while(|of| concurrency.begin(1, of)).collect();
            assert_eq!(held.len(), 3, "a quarter");
            std::mem::forget(held);
        }
        assert!(concurrency.begin(1, payment(4)).is_none(), "and all together no more than all");
    }
}
