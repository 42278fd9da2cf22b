//! When what failed is tried again.
//!
//! - **An endpoint that doesn't answer** (no connection, no answer in time, HTTP 5xx, 408, 425, 429, or an address that
//!   must not be called now) pauses as a whole: 5 s, 30 s, 5 min, 30 min, 2 h, 8 h, 24 h, and 24 h again. While a
//!   message waits that is not older than an hour, no pause is longer than five minutes: so what happens now is told
//!   soon after an outage, however long that was. From its second failure on another message is tried each time, for
//!   it may be the message and not the endpoint.
//! - **A message that is refused** (any other answer) has these pauses for itself alone, and the others pass. So has one
//!   that got no answer while the endpoint has taken another since this one's last try: its receiver breaks over
//!   it. Once refused, it keeps its own schedule to the end.
//! - Either way it is parked at the first failure after [`give_up_after`](super::worker::WorkerSettings) (three days), and
//!   has its last try then.
//!
//! All pauses are a tenth longer or shorter by chance: receivers that went down together must not be asked together.
//! **Order**: oldest first. Overtaken are only messages that were refused, and those that another was tried for.
//! **Clock**: nothing is ever put off for longer than `FAR`, so what is due later than that was planned by a
//! clock that ran ahead, and is due now.

use std::sync::Arc;
use std::time::Duration;

use crate::outbound::fetch::FetchError;

/// Pauses after the first, second, … failure; the last is repeated.
pub(super) const PAUSES: [Duration; 7] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * 60 * 60),
    Duration::from_secs(8 * 60 * 60),
    Duration::from_secs(24 * 60 * 60),
];

/// An endpoint's longest pause while it has young messages: with its chance never more than five minutes.
pub(super) const LONGEST_WHILE_YOUNG: Duration = Duration::from_secs(270);

/// How long a message is young.
pub(super) const YOUNG: Duration = Duration::from_secs(60 * 60);

/// More than the longest pause with its chance.
pub(super) const FAR: Duration = Duration::from_secs(27 * 60 * 60);

/// Failures of an endpoint in a row from which on each try is another message's.
pub(super) const TRY_ANOTHER: i64 = 2;

/// The pauses. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    pauses: Arc<[Duration]>,
    /// How long after it was queued a message that still fails is parked.
    pub(super) give_up_after: Duration,
}

impl Schedule {
    pub(super) fn new(pauses: &[Duration], give_up_after: Duration) -> Self {
        Self { pauses: pauses.into(), give_up_after }
    }

    /// A refused message's pause, after so many refusals before this one.
    pub(super) fn message_pause(&self, refusals_before: i64) -> Duration {
        by_chance(self.pause(refusals_before))
    }

    /// An endpoint's pause after so many failures before this one, and the count for the next: it stands still while
    /// there are young messages, so that the pauses go on growing from there and don't leap.
    pub(super) fn endpoint_pause(&self, failures_before: i64, young: bool) -> (Duration, i64) {
        let pause = self.pause(failures_before);
        if !young || pause <= LONGEST_WHILE_YOUNG {
            return (by_chance(pause), failures_before.saturating_add(1));
        }
        let allowed = self.pauses.iter().take_while(|pause| **pause <= LONGEST_WHILE_YOUNG).count();
        let stands_at = i64::try_from(allowed).unwrap_or(failures_before).max(TRY_ANOTHER);
        (by_chance(LONGEST_WHILE_YOUNG), stands_at)
    }

    fn pause(&self, before: i64) -> Duration {
        let index = usize::try_from(before).unwrap_or(0);
        self.pauses.get(index).or(self.pauses.last()).copied().unwrap_or(LONGEST_WHILE_YOUNG)
    }
}

/// A tenth longer or shorter.
fn by_chance(pause: Duration) -> Duration {
    let chance = crate::core::ids::random_bytes::<1>().map_or(0, |[byte]| u32::from(byte));
    pause.mul_f64(0.9 + 0.2 * f64::from(chance) / 255.0)
}

/// Whether a receiver took note of a message and wants none of it. All other failures may be the endpoint's.
pub(super) fn is_refusal(error: &FetchError) -> bool {
    matches!(error, FetchError::Status(status) if *status < 500 && !matches!(status, 408 | 425 | 429))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;

    fn near(pause: Duration, seconds: u64) -> bool {
        (seconds * 900..=seconds * 1_100).contains(&u64::try_from(pause.as_millis()).unwrap())
    }

    #[test]
    fn pauses_grow_and_differ_a_little() {
        let schedule = Schedule::new(&PAUSES, Duration::ZERO);
        for (before, seconds) in
            [(0, 5), (1, 30), (2, 5 * MINUTE), (3, 30 * MINUTE), (4, 2 * HOUR), (5, 8 * HOUR), (6, 24 * HOUR)]
        {
            assert!(near(schedule.message_pause(before), seconds));
            let (pause, after) = schedule.endpoint_pause(before, false);
            assert!(near(pause, seconds) && after == before + 1, "{before}");
        }
        let pauses: HashSet<_> = (0..50).map(|_| schedule.message_pause(60)).collect();
        assert!(pauses.len() > 5 && pauses.iter().all(|pause| near(*pause, 24 * HOUR)));
        assert!(pauses.iter().all(|pause| *pause < FAR));
    }

    #[test]
    fn young_messages_shorten_the_pause_and_keep_it_from_leaping() {
        let schedule = Schedule::new(&PAUSES, Duration::ZERO);
        assert!(near(schedule.endpoint_pause(0, true).0, 5));
        let mut failures = 0;
        for _ in 0..30 {
            let (pause, after) = schedule.endpoint_pause(failures, true);
            assert!(pause <= Duration::from_secs(5 * MINUTE), "{pause:?}");
            failures = after;
        }
        // Half a day of it, and something young: not from a day's pause on, once that is old.
        for failures in [failures, schedule.endpoint_pause(6, true).1] {
            let (pause, after) = schedule.endpoint_pause(failures, false);
            assert!(near(pause, 5 * MINUTE));
            assert!(near(schedule.endpoint_pause(after, false).0, 30 * MINUTE));
        }
    }

    #[test]
    fn what_a_receiver_says_of_one_message_and_what_of_itself() {
        for status in [301, 400, 401, 404, 409, 410, 413, 422] {
            assert!(is_refusal(&FetchError::Status(status)), "{status}");
        }
        for status in [408, 425, 429, 500, 502, 503, 504, 521] {
            assert!(!is_refusal(&FetchError::Status(status)), "{status}");
        }
        for error in [FetchError::TimedOut, FetchError::Unreachable, FetchError::Refused] {
            assert!(!is_refusal(&error), "{error}");
        }
    }
}
