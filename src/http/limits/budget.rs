//! What all clients together may ask for.

use std::num::NonZeroU32;

use governor::clock::Clock;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use super::whole_secs;

/// A budget over all clients, per minute.
pub struct Budget(Option<DefaultDirectRateLimiter>);

impl Budget {
    /// So many in a minute, and as many at once; 0 means no budget at all: everything passes.
    pub fn per_minute(count: u32) -> Self {
        Self(NonZeroU32::new(count).map(|count| RateLimiter::direct(Quota::per_minute(count))))
    }

    /// Takes one.
    ///
    /// # Errors
    /// Seconds to wait if the budget is used up.
    pub fn take(&self) -> Result<(), u64> {
        let Some(limiter) = &self.0 else {
            return Ok(());
        };
        limiter.check().map_err(|refusal| {
            let wait = refusal.wait_time_from(limiter.clock().now());
            whole_secs(wait).max(1)
        })
    }
}
