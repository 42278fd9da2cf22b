//! How many requests each proxy has on their way, so that one slow upstream can't take all sockets and memory.
//!
//! A [`Flight`] is held from before the upstream is asked until the last byte of its answer has passed, and counts
//! for as long as it lives: however a request ends, it is dropped.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// All that are on their way.
#[derive(Debug)]
pub(super) struct Flights {
    most: usize,
    by_proxy: Mutex<HashMap<i64, usize>>,
}

/// A request on its way.
#[derive(Debug)]
pub(super) struct Flight {
    flights: Arc<Flights>,
    proxy: i64,
}

impl Flights {
    /// At most so many of one proxy.
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, by_proxy: Mutex::default() })
    }

    /// One more of a proxy, by its row; `None` if it has enough to do.
    pub(super) fn begin(self: &Arc<Self>, proxy: i64) -> Option<Flight> {
        let mut by_proxy = self.lock();
        let under_way = by_proxy.entry(proxy).or_default();
        if *under_way >= self.most {
            return None;
        }
        *under_way = under_way.saturating_add(1);
        drop(by_proxy);
        Some(Flight { flights: Arc::clone(self), proxy })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<i64, usize>> {
        self.by_proxy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut by_proxy = self.flights.lock();
        let Some(under_way) = by_proxy.get_mut(&self.proxy) else { return };
        *under_way = under_way.saturating_sub(1);
        if *under_way == 0 {
            by_proxy.remove(&self.proxy);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_proxy_has_so_many_and_nothing_is_left_of_those_that_ended() {
        let flights = Flights::new(2);
        let (first, second) = (flights.begin(1).unwrap(), flights.begin(1).unwrap());
        assert!(flights.begin(1).is_none());
        let other = flights.begin(2).unwrap();
        drop(first);
        let third = flights.begin(1).unwrap();
        assert!(flights.begin(1).is_none());
        drop((second, third, other));
        assert!(flights.lock().is_empty());
    }
}
