//! Shopify's rate limit: every app has a bucket of points in every shop, each query costs some, and the bucket fills
//! again at a steady rate. We wait before it is empty.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde::Deserialize;

/// What a query is taken to cost until its cost is known. Shopify allows at most 1000.
const FIRST_GUESS: f64 = 300.0;

/// The longest wait that is believed to be needed.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// What Shopify says of its bucket.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ThrottleStatus {
    pub(super) maximum_available: f64,
    pub(super) currently_available: f64,
    pub(super) restore_rate: f64,
}

/// What Shopify says of a query.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Cost {
    pub(super) requested_query_cost: Option<f64>,
    pub(super) throttle_status: Option<ThrottleStatus>,
}

/// The bucket, as far as we know it.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    known: Option<Known>,
    costs: HashMap<&'static str, f64>,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    available: f64,
    maximum: f64,
    rate: f64,
    at: Instant,
}

impl Bucket {
    /// How long to wait until a query can be paid for; it is taken to be sent then.
    pub(super) fn take(&mut self, query: &'static str, now: Instant) -> Duration {
        let cost = self.costs.get(query).copied().unwrap_or(FIRST_GUESS);
        let Some(known) = &mut self.known else { return Duration::ZERO };
        let cost = cost.min(known.maximum);
        let restored = now.saturating_duration_since(known.at).as_secs_f64() * known.rate;
        let available = (known.available + restored).min(known.maximum);
        let wait = if available >= cost { 0.0 } else { (cost - available) / known.rate };
        let wait = Duration::try_from_secs_f64(wait).unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT);
        *known = Known { available: available - cost, at: now, ..*known };
        wait
    }

    /// Takes note of what an answer says; numbers that make no sense are not believed.
    pub(super) fn learn(&mut self, query: &'static str, cost: &Cost, now: Instant) {
        let sane = |number: f64| number.is_finite() && number >= 0.0;
        if let Some(points) = cost.requested_query_cost.filter(|points| sane(*points)) {
            self.costs.insert(query, points.min(1_000.0));
        }
        let Some(status) = cost.throttle_status else { return };
        if !sane(status.maximum_available)
            || !sane(status.restore_rate)
            || !status.currently_available.is_finite()
        {
            return;
        }
        let maximum = status.maximum_available.clamp(1.0, 1_000_000.0);
        self.known = Some(Known {
            available: status.currently_available.clamp(-maximum, maximum),
            maximum,
            rate: status.restore_rate.clamp(1.0, 100_000.0),
            at: now,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(maximum: f64, current: f64, rate: f64) -> Cost {
        let status =
            ThrottleStatus { maximum_available: maximum, currently_available: current, restore_rate: rate };
        Cost { requested_query_cost: Some(100.0), throttle_status: Some(status) }
    }

    #[test]
    fn queries_wait_before_the_bucket_is_empty() {
        let (mut bucket, now) = (Bucket::default(), Instant::now());
        assert_eq!(bucket.take("a", now), Duration::ZERO);
        bucket.learn("a", &status(1_000.0, 150.0, 50.0), now);
        assert_eq!(bucket.take("a", now), Duration::ZERO);
        // 50 are left, 100 are needed, 50 come in a second.
        assert_eq!(bucket.take("a", now), Duration::from_secs(1));
        bucket.learn("a", &status(1_000.0, 0.0, 50.0), now);
        assert_eq!(bucket.take("a", now + Duration::from_secs(2)), Duration::ZERO);
    }

    #[test]
    fn lies_about_the_bucket_stop_nothing_for_long() {
        let now = Instant::now();
        for lie in [
            status(f64::NAN, 0.0, 1.0),
            status(1_000.0, -1e300, 0.0),
            status(0.0, 0.0, 0.0),
            status(1e300, 0.0, f64::INFINITY),
            status(-5.0, -5.0, -5.0),
        ] {
            let mut bucket = Bucket::default();
            bucket.learn("a", &lie, now);
            assert!(bucket.take("a", now) <= LONGEST_WAIT, "{lie:?}");
        }
    }
}
