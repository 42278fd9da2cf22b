//! The lock that keeps strangers from guessing a gift's code.
//!
//! Every guess is judged and counted in the writing transaction, one after the other, so that a thousand guesses at
//! once are still ten. A lock hits who guesses: wrong codes are counted by the network they come from (a /24, a /48,
//! or an account), and ten of them lock that network out for a quarter of an hour. There the right code and a wrong
//! one are refused alike, and a right one doesn't take back the wrong ones before it.
//!
//! **Many networks** can't walk the 10,000 codes either. A gift takes a hundred wrong ones in a day (ten times
//! `tries`) from all networks together. Then a network that has given a wrong one in the last day is refused, and any
//! other has one try. Four such tries in an hour may be wrong wherever they come from; while those are used up, a
//! network has its try if no other of its region (a /16, a /32; all accounts are one) was wrong in the last day.
//!
//! So whoever holds the right code gets in at any time, from a network of whose region nobody guessed; from another that
//! did not guess itself, for at most the rest of an hour after the fourth late try. And a botnet of R regions has at
//! most 100 + 24 × 4 + R = 196 + R of the 10,000 codes a day, with fresh networks every day:
//!
//! | regions | codes a day | chance in a day | days for even odds |
//! |---|---|---|---|
//! | 1 | 197 | 1 in 51 | 26 |
//! | 10 | 206 | 1 in 49 | 25 |
//! | 100 | 296 | 1 in 34 | 17 |
//! | 1,000 | 1,196 | 1 in 8 | 5 |
//!
//! (Even odds: half of 10,000 over the codes of a day.) About 40,000 /16s are in use on the internet. To hold the last
//! row down too, the right code would have to be refused, which is what guessers who only want to annoy are after. A
//! code adds to the gift's link, which must be known first; the sender sees that somebody was locked out, and can take
//! the gift back. (One network has 10 each quarter of an hour until the hundred are used up.)

use std::time::Duration;

use super::codes::{Guess, VerifyCode};
use super::error::GiftError;
use crate::core::time::{UnixMillis, millis};

const HOUR_MS: i64 = 60 * 60 * 1_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// Wrong codes that a gift takes in a day of all networks, as a multiple of what one network may give in a row.
const OF_ALL: u32 = 10;

/// Wrong codes in an hour after those.
const LATE_PER_HOUR: u32 = 4;

/// How many wrong codes a network may give, and for how long it is locked out then.
#[derive(Clone, Copy, Debug)]
pub struct LockRules {
    /// Wrong codes until it is locked out.
    pub tries: u32,
    /// For how long.
    pub lock: Duration,
}

/// A gift's code and lock, as the sender is shown them.
#[derive(Clone, Copy, Debug)]
pub struct CodeState {
    /// The code, if it has one.
    pub code: Option<VerifyCode>,
    /// Until when somebody is locked out: the last who was.
    pub locked_until: Option<UnixMillis>,
}

/// What the database knows of guesses at a gift.
#[derive(Clone, Copy, Debug, Default)]
pub struct Guesses {
    /// The gift's code, if it has one.
    pub code: Option<VerifyCode>,
    /// Of the network that asks, if it gave wrong ones in the last day.
    pub own: Option<OwnGuesses>,
    /// Wrong ones of this day, from everywhere.
    pub of_day: u32,
    /// Late wrong ones of the last hour.
    pub late: u32,
    /// When the first of them was.
    pub first_late_at: Option<UnixMillis>,
    /// Whether anybody of the region of the network that asks gave a wrong one in the last day.
    pub region_guessed: bool,
}

/// Wrong codes of one network.
#[derive(Clone, Copy, Debug, Default)]
pub struct OwnGuesses {
    /// Since the last lock.
    pub wrong: u32,
    /// Until when it is locked out.
    pub locked_until: Option<UnixMillis>,
    /// When the last was.
    pub last_at: UnixMillis,
}

/// What a guess leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// In.
    Open,
    /// A code is needed and none was given.
    Missing,
    /// The guess was wrong; the state of the network to keep.
    Wrong {
        /// Wrong ones since the last lock, this one included.
        wrong: u32,
        /// The network is locked out from now on until then.
        locked_until: Option<UnixMillis>,
        /// Whether it was a late one.
        late: bool,
    },
    /// The network doesn't get in now.
    Locked {
        /// Until then.
        until: UnixMillis,
    },
}

impl Verdict {
    /// The error, if it is one.
    pub fn error(self, now: UnixMillis) -> Option<GiftError> {
        match self {
            Self::Open => None,
            Self::Missing | Self::Wrong { .. } => Some(GiftError::BadCode),
            Self::Locked { until } => {
                let left = u64::try_from(until.saturating_sub(now)).unwrap_or(0);
                Some(GiftError::CodeLocked { retry_after: left.div_ceil(1_000).max(1) })
            }
        }
    }
}

/// Which day a time is of.
pub fn day_of(now: UnixMillis) -> i64 {
    now.div_euclid(DAY_MS)
}

/// Before then guesses don't count any more.
pub fn forgotten_before(now: UnixMillis) -> UnixMillis {
    now.saturating_sub(DAY_MS)
}

/// Late guesses count from then on.
pub fn late_since(now: UnixMillis) -> UnixMillis {
    now.saturating_sub(HOUR_MS)
}

/// Judges a guess. Changes nothing: the caller keeps what [`Verdict::Wrong`] says, in the transaction in which it read
/// `state`.
pub fn judge(state: &Guesses, guess: Option<Guess>, now: UnixMillis, rules: LockRules) -> Verdict {
    let Some(code) = state.code else { return Verdict::Open };
    let Some(guess) = guess else { return Verdict::Missing };
    let own = state.own.unwrap_or_default();
    if let Some(until) = own.locked_until.filter(|until| *until > now) {
        return Verdict::Locked { until };
    }
    let late = state.of_day >= rules.tries.saturating_mul(OF_ALL);
    if late {
        let tomorrow = day_of(now).saturating_add(1).saturating_mul(DAY_MS);
        let until = match state.own {
            Some(own) => Some(own.last_at.saturating_add(DAY_MS)),
            None if state.late >= LATE_PER_HOUR && state.region_guessed => {
                Some(state.first_late_at.unwrap_or(now).saturating_add(HOUR_MS))
            }
            None => None,
        };
        if let Some(until) = until {
            return Verdict::Locked { until: until.min(tomorrow) };
        }
    }
    if code.matches(guess) {
        return Verdict::Open;
    }
    let wrong = own.wrong.saturating_add(1);
    let locks = wrong >= rules.tries;
    let locked_until = locks.then(|| now.saturating_add(millis(rules.lock)));
    Verdict::Wrong { wrong: if locks { 0 } else { wrong }, locked_until, late }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: LockRules = LockRules { tries: 10, lock: Duration::from_secs(900) };

    fn guesses(code: &str) -> Guesses {
        Guesses { code: Some(VerifyCode::read_text(code).unwrap()), ..Guesses::default() }
    }

    fn guess(text: &str) -> Option<Guess> {
        Guess::from_text(text)
    }

    #[test]
    fn ten_wrong_ones_lock_the_network_out_and_no_other() {
        let mut state = guesses("1234");
        assert_eq!(judge(&state, None, 0, RULES), Verdict::Missing);
        for number in 1..=10 {
            assert_eq!(judge(&state, guess("1234"), 0, RULES), Verdict::Open, "before wrong number {number}");
            let Verdict::Wrong { wrong, locked_until, late } = judge(&state, guess("1"), 0, RULES) else {
                panic!("wrong code let in")
            };
            assert_eq!((locked_until.is_some(), late), (number == 10, false));
            state.own = Some(OwnGuesses { wrong, locked_until, last_at: 0 });
            state.of_day += 1;
        }
        for text in ["1234", "1"] {
            assert_eq!(judge(&state, guess(text), 899_999, RULES), Verdict::Locked { until: 900_000 });
        }
        assert_eq!(judge(&state, guess("1234"), 900_000, RULES), Verdict::Open);
        let locked = Verdict::Locked { until: 900_000 };
        assert_eq!(locked.error(1), Some(GiftError::CodeLocked { retry_after: 900 }));
        let elsewhere = Guesses { own: None, ..state };
        assert_eq!(judge(&elsewhere, guess("1234"), 0, RULES), Verdict::Open);
    }

    #[test]
    fn gift_without_code_is_open_whatever_is_given() {
        assert_eq!(judge(&Guesses::default(), guess("1"), 0, RULES), Verdict::Open);
    }

    #[test]
    fn after_a_hundred_of_all_each_fresh_network_has_one_try_and_four_an_hour_may_be_wrong() {
        let state = Guesses { of_day: 100, ..guesses("1234") };
        assert_eq!(judge(&state, guess("1234"), 0, RULES), Verdict::Open);
        let wrong = judge(&state, guess("1"), 0, RULES);
        assert_eq!(wrong, Verdict::Wrong { wrong: 1, locked_until: None, late: true });
        let guessed = Guesses { own: Some(OwnGuesses { wrong: 1, locked_until: None, last_at: 5 }), ..state };
        assert_eq!(judge(&guessed, guess("1234"), 10, RULES), Verdict::Locked { until: DAY_MS });
        let used_up = Guesses { late: 4, first_late_at: Some(60_000), region_guessed: true, ..state };
        let elsewhere = Guesses { region_guessed: false, ..used_up };
        assert_eq!(judge(&elsewhere, guess("1234"), 70_000, RULES), Verdict::Open);
        assert_eq!(
            judge(&used_up, guess("1234"), 70_000, RULES),
            Verdict::Locked { until: HOUR_MS + 60_000 }
        );
    }
}
