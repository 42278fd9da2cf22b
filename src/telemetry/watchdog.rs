//! Ends the process when a vital background task is dead, so that whoever supervises it starts it again.
//! A node that answers but can't pay is worse than one that is down for five seconds.
//!
//! A task that must live registers, and then says so regularly with its [`Heartbeat`].

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

/// How often the tasks are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// When the look itself comes this late, the whole process was paused (a suspended machine, a debugger),
/// and silence proves nothing.
const PAUSED: Duration = Duration::from_secs(5);

type OnDeath = Box<dyn Fn(&str, &str) + Send + Sync>;

/// Watches over the tasks that must live. Cheap to clone.
#[derive(Clone)]
pub struct Watchdog {
    shared: Arc<Shared>,
}

struct Shared {
    tasks: Mutex<HashMap<u64, Task>>,
    next: AtomicU64,
    stopped: AtomicBool,
    since: Instant,
    on_death: OnDeath,
}

struct Task {
    name: &'static str,
    max_silence: Duration,
    pulse: Arc<Pulse>,
}

struct Pulse {
    /// Milliseconds since the watchdog began.
    beat: AtomicU64,
    gone: AtomicBool,
}

/// A task's sign of life. Dropping it without [`Heartbeat::finish`] means that the task has died.
#[must_use = "a heartbeat that is dropped reports a death"]
pub struct Heartbeat {
    shared: Weak<Shared>,
    number: u64,
    since: Instant,
    pulse: Arc<Pulse>,
}

impl Watchdog {
    /// Starts to watch; a panic aborts the process, without destructors: the state on disk is made for that.
    ///
    /// # Errors
    /// If the operating system gives no thread.
    pub fn start() -> std::io::Result<Self> {
        Self::with_action(LOOK, |name, how| {
            tracing::error!(task = name, "{how}: ending the process, so that it can be started afresh");
            std::process::abort();
        })
    }

    fn with_action(
        look: Duration,
        on_death: impl Fn(&str, &str) + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            tasks: Mutex::new(HashMap::new()),
            next: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            since: Instant::now(),
            on_death: Box::new(on_death),
        });
        let watched = Arc::downgrade(&shared);
        thread::Builder::new().name("watchdog".into()).spawn(move || {
            let mut last = Instant::now();
            loop {
                thread::sleep(look);
                let Some(shared) = watched.upgrade() else {
                    return;
                };
                if shared.stopped.load(Ordering::Relaxed) {
                    return;
                }
                let paused = last.elapsed() > look + PAUSED;
                last = Instant::now();
                shared.look(paused);
            }
        })?;
        Ok(Self { shared })
    }

    /// Watches over one more task, which must beat at least once every `max_silence`.
    pub fn register(&self, name: &'static str, max_silence: Duration) -> Heartbeat {
        let pulse =
            Arc::new(Pulse { beat: AtomicU64::new(millis(self.shared.since)), gone: AtomicBool::new(false) });
        let number = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let task = Task { name, max_silence, pulse: Arc::clone(&pulse) };
        self.shared.tasks().insert(number, task);
        Heartbeat { shared: Arc::downgrade(&self.shared), number, since: self.shared.since, pulse }
    }

    /// Stops watching for good: the first step of an orderly end.
    pub fn stop(&self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
    }
}

impl Shared {
    fn tasks(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Task>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self, paused: bool) {
        let now = millis(self.since);
        let mut dead = Vec::new();
        self.tasks().retain(|_, task| {
            if task.pulse.gone.load(Ordering::Relaxed) {
                dead.push((task.name, "has ended"));
                return false;
            }
            if paused {
                task.pulse.beat.store(now, Ordering::Relaxed);
            }
            let silence = now.saturating_sub(task.pulse.beat.load(Ordering::Relaxed));
            let late = u128::from(silence) > task.max_silence.as_millis();
            if late {
                dead.push((task.name, "gives no sign of life"));
            }
            !late
        });
        for (name, how) in dead {
            (self.on_death)(name, how);
        }
    }
}

impl Heartbeat {
    /// Alive.
    pub fn beat(&self) {
        self.pulse.beat.store(millis(self.since), Ordering::Relaxed);
    }

    /// The task has ended as it should.
    pub fn finish(self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.tasks().remove(&self.number);
        }
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.pulse.gone.store(true, Ordering::Relaxed);
    }
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};

    use super::*;

    const SOON: Duration = Duration::from_secs(5);
    const NEVER: Duration = Duration::from_millis(150);

    fn watched() -> (Watchdog, Receiver<String>) {
        let (tell, told) = channel();
        let watchdog = Watchdog::with_action(Duration::from_millis(10), move |name, how| {
            tell.send(format!("{name} {how}")).unwrap();
        });
        (watchdog.unwrap(), told)
    }

    #[test]
    fn a_silent_task_is_dead_once() {
        let (watchdog, told) = watched();
        let heart = watchdog.register("dispatcher", Duration::from_millis(30));
        assert_eq!(told.recv_timeout(SOON).unwrap(), "dispatcher gives no sign of life");
        assert_eq!(told.recv_timeout(NEVER), Err(RecvTimeoutError::Timeout));
        heart.finish();
    }

    #[test]
    fn a_task_that_ended_is_dead_before_its_silence_is_over() {
        let (watchdog, told) = watched();
        drop(watchdog.register("events", Duration::from_secs(600)));
        assert_eq!(told.recv_timeout(SOON).unwrap(), "events has ended");
    }

    #[test]
    fn a_beating_or_finished_task_is_left_alone() {
        let (watchdog, told) = watched();
        let heart = watchdog.register("events", Duration::from_secs(60));
        heart.beat();
        watchdog.register("done", Duration::from_millis(1)).finish();
        assert_eq!(told.recv_timeout(NEVER), Err(RecvTimeoutError::Timeout));
        heart.finish();
    }

    #[test]
    fn a_stopped_watchdog_kills_nobody() {
        let (watchdog, told) = watched();
        watchdog.stop();
        drop(watchdog.register("events", Duration::from_millis(1)));
        assert!(told.recv_timeout(NEVER).is_err());
    }

    #[test]
    fn after_a_pause_of_the_process_everybody_gets_a_new_chance() {
        let (watchdog, told) = watched();
        watchdog.stop();
        let heart = watchdog.register("events", Duration::from_millis(1));
        thread::sleep(Duration::from_millis(20));
        watchdog.shared.look(true);
        assert!(told.recv_timeout(NEVER).is_err());
        thread::sleep(Duration::from_millis(20));
        watchdog.shared.look(false);
        assert_eq!(told.recv_timeout(SOON).unwrap(), "events gives no sign of life");
        heart.finish();
    }
}
