//! What all loads share: times, and how they are told.

use std::fmt;
use std::time::Duration;

/// Times of many requests.
#[derive(Clone, Debug)]
pub(crate) struct Latencies {
    sorted: Vec<Duration>,
}

impl Latencies {
    /// Of these.
    pub(crate) fn new(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self { sorted: times }
    }

    /// The time that so many of a hundred stay within.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let last = self.sorted.len().saturating_sub(1);
        self.sorted.get((self.sorted.len() * percent / 100).min(last)).copied().unwrap_or_default()
    }

    /// The longest.
    pub(crate) fn worst(&self) -> Duration {
        self.sorted.last().copied().unwrap_or_default()
    }
}

impl fmt::Display for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: Duration| format!("{:.2}", time.as_secs_f64() * 1_000.0);
        let (half, most, worst) = (self.percentile(50), self.percentile(99), self.worst());
        write!(f, "p50 {} p99 {} max {} ms", ms(half), ms(most), ms(worst))
    }
}
