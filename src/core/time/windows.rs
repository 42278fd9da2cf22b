//! Windows in which limits hold, the day and the last hour, by the time that has really passed.
//!
//! A limit that were counted by the clock alone would begin anew with every clock that is set ahead, and a clock that
//! was years ahead for a minute would leave rows behind that count for years. So the windows end by the steady clock,
//! and a window is told as those stretches of the clock's time that it covers: one, unless the clock was set in it.
//! What was written with a time in one of them counts.
//!
//! ```text
//! clock    Mon 10:00 ────────▶ 12:00   Thu 12:00 ─▶ 12:05   Mon 12:05 ──▶ now
//! today    [Mon 00:00 ─────── 12:02]  [Thu 11:58 ─ 12:07]  [Mon 12:03 ── now]
//! ```
//!
//! A day begins at midnight (UTC) by the clock, if at least 23 hours of the last one have passed, and after 25 hours in
//! any case. What is counted by the day is written down under its number, [`Clock::day`], which stays the same while the
//! day lasts, whatever the clock shows meanwhile: so a clock that is set back over midnight brings nothing of the day
//! before back. [`Clock::resume`] goes on where the last run stopped.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use super::{Clock, UnixMillis, millis};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// A day is no shorter, whatever the clock says.
const SHORTEST_DAY_MS: i64 = 23 * HOUR_MS;

/// And no longer: also what is needed of the past.
const LONGEST_DAY_MS: i64 = 25 * HOUR_MS;

/// A clock that differs by less from what has passed since the last look was corrected, not set.
const SET_MS: i64 = 2_000;

/// Around the time at which a clock was set, as nobody looked just then.
const BLUR_MS: i64 = 120_000;

/// Kept at least so often: what was written since then counts too.
const UNSEEN_MS: i64 = 360_000;

/// Stretches that are told apart; of more the oldest two become one.
const MOST_STRETCHES: usize = 16;

/// From a time to another, both of them in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first time.
    pub from: UnixMillis,
    /// The last.
    pub to: UnixMillis,
}

/// A stretch of time in which nobody set the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stretch {
    /// By the clock.
    wall: Span,
    /// By what has passed.
    passed: Span,
    /// Whether it begins just there.
    exact: bool,
}

/// What limits count in: spans of the clock's time, none of which overlap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window(Vec<Span>);

impl Window {
    /// Its spans.
    pub fn spans(&self) -> &[Span] {
        &self.0
    }

    /// The hours (since 1970) that it touches, first and last of each run of them.
    pub fn hours(&self) -> Vec<Span> {
        self.in_units(HOUR_MS)
    }

    fn in_units(&self, unit: i64) -> Vec<Span> {
        let of = |span: &Span| Span { from: span.from.div_euclid(unit), to: span.to.div_euclid(unit) };
        merged(self.0.iter().map(of).collect())
    }
}

fn merged(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_unstable_by_key(|span| span.from);
    let mut all: Vec<Span> = Vec::with_capacity(spans.len());
    for span in spans {
        match all.last_mut() {
            Some(last) if span.from <= last.to => last.to = last.to.max(span.to),
            _ => all.push(span),
        }
    }
    all
}

/// What is kept over a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// What had passed, in milliseconds since some beginning.
    pub passed: i64,
    /// The clock at that time.
    pub wall: UnixMillis,
    /// When the day began, by what had passed.
    pub day_began: i64,
    /// Which day that is, by the clock.
    pub day: i64,
    /// Today's spans of the clock's time.
    pub spans: Vec<Span>,
}

/// How the clock went in the last day.
#[derive(Debug)]
pub(super) struct Windows {
    passed: i64,
    steady: i64,
    day_began: i64,
    day: i64,
    /// The last is the one of now; never empty.
    stretches: VecDeque<Stretch>,
    now: Stretch,
}

impl Windows {
    /// A clock that nobody has looked at before: it is believed.
    pub(super) fn new(wall: UnixMillis, steady: i64) -> Self {
        let since_midnight = wall.rem_euclid(DAY_MS);
        let before = Stretch {
            wall: Span { from: wall.saturating_sub(LONGEST_DAY_MS), to: wall.saturating_sub(since_midnight) },
            passed: Span { from: -LONGEST_DAY_MS, to: -since_midnight },
            exact: true,
        };
        let now = Stretch {
            wall: Span { from: wall.saturating_sub(since_midnight), to: wall },
            passed: Span { from: -since_midnight, to: 0 },
            exact: true,
        };
        Self {
            passed: 0,
            steady,
            day_began: -since_midnight,
            day: wall.div_euclid(DAY_MS),
            stretches: VecDeque::from([before]),
            now,
        }
    }

    /// Goes on from what another run kept. What passed between is told by [`Windows::was_away`].
    fn resumed(kept: &Kept, wall: UnixMillis, steady: i64) -> Self {
        let at = Span { from: kept.passed, to: kept.passed };
        let of = |span: &Span| {
            let wall = Span { from: span.from, to: span.to.saturating_add(UNSEEN_MS) };
            // The one in which it was kept lasted as long as it says; when the others were is not known any more.
            let of_last = Span {
                from: kept.passed.saturating_sub(kept.wall.saturating_sub(wall.from)),
                to: kept.passed.saturating_add(wall.to.saturating_sub(kept.wall)),
            };
            let is_last = (span.from..=span.to).contains(&kept.wall);
            Stretch { wall, passed: if is_last { of_last } else { at }, exact: true }
        };
        Self {
            passed: kept.passed,
            steady,
            day_began: kept.day_began,
            day: kept.day,
            stretches: kept.spans.iter().map(of).collect(),
            now: Stretch { wall: Span { from: wall, to: wall }, passed: at, exact: true },
        }
    }

    /// So much passed before this run looked for the first time.
    fn was_away(&mut self, ms: i64) {
        self.passed = self.passed.saturating_add(ms.max(0));
        self.now.passed.to = self.passed;
    }

    fn look(&mut self, wall: UnixMillis, steady: i64) {
        let passed = steady.saturating_sub(self.steady).max(0);
        self.steady = self.steady.max(steady);
        self.passed = self.passed.saturating_add(passed);
        let off = wall.saturating_sub(self.now.wall.to.saturating_add(passed));
        if off.saturating_abs() > SET_MS {
            self.begin(wall, false);
        }
        self.now.wall.to = wall;
        self.now.passed.to = self.passed;
        let (day, lasted) = (wall.div_euclid(DAY_MS), self.passed.saturating_sub(self.day_began));
        if (day != self.day && lasted >= SHORTEST_DAY_MS) || lasted >= LONGEST_DAY_MS {
            // A day that the clock still shows after 25 hours has had its limit.
            self.day = if day == self.day { day.saturating_add(1) } else { day };
            self.day_began = self.passed;
            self.begin(wall, true);
        }
    }

    /// Another stretch.
    fn begin(&mut self, wall: UnixMillis, exact: bool) {
        let at = Span { from: self.passed, to: self.passed };
        let began = Stretch { wall: Span { from: wall, to: wall }, passed: at, exact };
        self.stretches.push_back(std::mem::replace(&mut self.now, began));
        let since = self.passed.saturating_sub(LONGEST_DAY_MS);
        self.stretches.retain(|stretch| stretch.passed.to >= since);
        if self.stretches.len() > MOST_STRETCHES
            && let (Some(first), Some(second)) = (self.stretches.pop_front(), self.stretches.pop_front())
        {
            // All between them counts, for as long as the second would.
            let (from, to) = (first.wall.from.min(second.wall.from), first.wall.to.max(second.wall.to));
            let ended = Span { from: second.passed.to, to: second.passed.to };
            self.stretches.push_front(Stretch { wall: Span { from, to }, passed: ended, exact: false });
        }
    }

    /// All since then, by what has passed.
    fn since(&self, then: i64) -> Window {
        let all = self.stretches.iter().chain([&self.now]);
        let spans =
            all.filter(|stretch| stretch.passed.to > then || stretch.passed.from >= then).map(|stretch| {
                let from = if stretch.passed.from < then {
                    // From its end, of which the clock has not drifted yet.
                    stretch.wall.to.saturating_sub(stretch.passed.to.saturating_sub(then))
                } else if stretch.exact {
                    stretch.wall.from
                } else {
                    stretch.wall.from.saturating_sub(BLUR_MS)
                };
                Span { from, to: stretch.wall.to.saturating_add(BLUR_MS) }
            });
        Window(merged(spans.collect()))
    }

    fn kept(&self) -> Kept {
        let spans = self.since(self.day_began).0;
        Kept { passed: self.passed, wall: self.now.wall.to, day_began: self.day_began, day: self.day, spans }
    }
}

/// Of the system's clock.
fn of_system() -> &'static Mutex<Windows> {
    static WINDOWS: OnceLock<Mutex<Windows>> = OnceLock::new();
    WINDOWS.get_or_init(|| {
        let clock = Clock::system();
        Mutex::new(Windows::new(clock.now(), millis(clock.steady())))
    })
}

impl Clock {
    /// The number of the day whose limit holds, in days since 1970 by the clock at its beginning.
    pub fn day(&self) -> i64 {
        self.looked().day
    }

    /// What lies in the day, now.
    #[cfg(test)]
    pub(crate) fn today(&self) -> Window {
        let windows = self.looked();
        windows.since(windows.day_began)
    }

    /// What counts for a limit of an hour, now.
    pub fn last_hour(&self) -> Window {
        let windows = self.looked();
        windows.since(windows.passed.saturating_sub(HOUR_MS))
    }

    /// What another run has to be given to go on.
    pub fn kept(&self) -> Kept {
        self.looked().kept()
    }

    /// Goes on where another run stopped: until [`Clock::was_away`] is told, as if no time had passed since.
    pub fn resume(&self, kept: &Kept) {
        let (wall, steady) = (self.now(), millis(self.steady()));
        *self.windows() = Windows::resumed(kept, wall, steady);
    }

    /// So much time has passed between two runs.
    pub fn was_away(&self, away: Duration) {
        self.looked().was_away(millis(away));
    }

    fn looked(&self) -> MutexGuard<'_, Windows> {
        let (wall, steady) = (self.now(), millis(self.steady()));
        let mut windows = self.windows();
        windows.look(wall, steady);
        windows
    }

    fn windows(&self) -> MutexGuard<'_, Windows> {
        let windows = match &self.hand {
            Some(hand) => &hand.windows,
            None => of_system(),
        };
        windows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
