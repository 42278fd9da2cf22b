//! The time, from one place, so that tests can turn it.

pub mod iso;
mod windows;

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use windows::Windows;
pub use windows::{Kept, Span, Window};

/// A point in time: milliseconds since 1970.
pub type UnixMillis = i64;

/// Tells the time. Cheap to clone; clones of a manual clock share its hand.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    hand: Option<Arc<Hand>>,
}

/// What a manual clock shows.
#[derive(Debug)]
struct Hand {
    now: AtomicI64,
    /// Milliseconds that have really passed.
    steady: AtomicI64,
    windows: Mutex<Windows>,
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock that stands still until it is moved: for tests.
    pub fn manual(now: UnixMillis) -> Self {
        let hand = Hand {
            now: AtomicI64::new(now),
            steady: AtomicI64::new(0),
            windows: Mutex::new(Windows::new(now, 0)),
        };
        Self { hand: Some(Arc::new(hand)) }
    }

    /// Moves a manual clock; a system clock doesn't care.
    pub fn advance(&self, by: Duration) {
        if let Some(hand) = &self.hand {
            hand.now.fetch_add(millis(by), Ordering::SeqCst);
            hand.steady.fetch_add(millis(by), Ordering::SeqCst);
        }
    }

    /// Sets a manual clock ahead without any time having passed, as somebody does who sets it wrong.
    #[cfg(test)]
    pub(crate) fn jump(&self, by: Duration) {
        if let Some(hand) = &self.hand {
            hand.now.fetch_add(millis(by), Ordering::SeqCst);
        }
    }

    /// Sets a manual clock back.
    #[cfg(test)]
    pub(crate) fn jump_back(&self, by: Duration) {
        if let Some(hand) = &self.hand {
            hand.now.fetch_sub(millis(by), Ordering::SeqCst);
        }
    }

    /// Time passed since the process began to ask, whatever anybody does to the clock. On Linux the time in which the
    /// machine was suspended counts; elsewhere the system may leave it out.
    pub fn steady(&self) -> Duration {
        static BEGAN: OnceLock<Duration> = OnceLock::new();
        match &self.hand {
            Some(hand) => {
                Duration::from_millis(u64::try_from(hand.steady.load(Ordering::SeqCst)).unwrap_or(0))
            }
            None => {
                let began = *BEGAN.get_or_init(since_boot);
                since_boot().saturating_sub(began)
            }
        }
    }

    /// Now.
    pub fn now(&self) -> UnixMillis {
        match &self.hand {
            Some(hand) => hand.now.load(Ordering::SeqCst),
            None => SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis),
        }
    }
}

/// Since the machine started, with the time in which it was suspended.
#[cfg(target_os = "linux")]
fn since_boot() -> Duration {
    let at = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let (secs, nanos) = (u64::try_from(at.tv_sec), u32::try_from(at.tv_nsec));
    Duration::new(secs.unwrap_or(0), nanos.unwrap_or(0))
}

/// Since the first look.
#[cfg(not(target_os = "linux"))]
fn since_boot() -> Duration {
    static BEGAN: OnceLock<std::time::Instant> = OnceLock::new();
    BEGAN.get_or_init(std::time::Instant::now).elapsed()
}

/// A span in the unit of [`UnixMillis`].
pub fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::process::Command;

    use super::*;

    const INNER: &str = "SATCHEL_TEST_SUSPENDED";

    /// A time namespace in which the clock that counts suspended time is a day ahead of the one that doesn't, as after
    /// a day of sleep.
    #[test]
    fn time_in_which_the_machine_was_suspended_has_passed() {
        if std::env::var_os(INNER).is_some() {
            let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
            let uptime: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
            assert!((since_boot().as_secs_f64() - uptime).abs() < 5.0, "{:?}, not {uptime}", since_boot());
            return;
        }
        let asleep = |program: &std::ffi::OsStr| {
            let mut command = Command::new("unshare");
            command.args(["-UrT", "--boottime", "86400"]).arg(program);
            command
        };
        if !asleep("true".as_ref()).status().is_ok_and(|status| status.success()) {
            eprintln!("no time namespaces here: left out");
            return;
        }
        let name = "core::time::tests::time_in_which_the_machine_was_suspended_has_passed";
        let test = std::env::current_exe().unwrap();
        let status = asleep(test.as_os_str()).args([name, "--exact"]).env(INNER, "1").status().unwrap();
        assert!(status.success());
    }
}
