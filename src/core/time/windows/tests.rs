//! Days and hours of clocks that are set.

use super::*;

const NOON: UnixMillis = 1_800_000_000_000 - 1_800_000_000_000 % DAY_MS + DAY_MS / 2;
const TODAY: i64 = NOON / DAY_MS;
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

fn days(clock: &Clock) -> Vec<(i64, i64)> {
    clock.today().in_units(DAY_MS).iter().map(|span| (span.from - TODAY, span.to - TODAY)).collect()
}

/// Whether a time counts for the last hour.
fn counts(clock: &Clock, at: UnixMillis) -> bool {
    clock.last_hour().spans().iter().any(|span| (span.from..=span.to).contains(&at))
}

#[test]
fn windows_of_a_clock_that_is_right_are_its_day_and_hour() {
    let clock = Clock::manual(NOON);
    assert_eq!(days(&clock), [(0, 0)]);
    for _ in 0..11 {
        clock.advance(HOUR);
        assert_eq!(days(&clock), [(0, 0)]);
    }
    for day in 1..5 {
        clock.advance(HOUR);
        assert_eq!(days(&clock), [(day, day)]);
        clock.advance(HOUR * 23);
    }
    let now = clock.now();
    assert!(counts(&clock, now) && counts(&clock, now - HOUR_MS) && !counts(&clock, now - HOUR_MS - 1));
}

#[test]
fn clock_that_is_set_around_midnight_neither_keeps_the_last_day_nor_ends_this_one() {
    let second = Duration::from_secs(1);
    for (ahead, back) in [(second * 5, Duration::ZERO), (Duration::ZERO, second * 90), (HOUR, HOUR * 2)] {
        let clock = Clock::manual(NOON);
        assert_eq!(clock.day(), TODAY);
        for _ in 0..12 {
            clock.advance(HOUR);
            clock.day();
        }
        clock.advance(second * 30);
        assert_eq!(clock.day(), TODAY + 1);
        clock.jump(ahead);
        assert_eq!(clock.day(), TODAY + 1);
        clock.jump_back(back);
        // The rest of the day, at most 25 hours.
        let mut lasted = 0;
        while clock.day() == TODAY + 1 {
            clock.advance(Duration::from_secs(600));
            lasted += 600;
        }
        assert_eq!(clock.day(), TODAY + 2);
        assert!((23 * 3_600 - 600..=25 * 3_600 + 600).contains(&lasted), "{lasted} s");
        // And the next ends at midnight again.
        while clock.day() == TODAY + 2 {
            clock.advance(Duration::from_secs(60));
        }
        assert_eq!(clock.day(), TODAY + 3);
        assert!(clock.now() % DAY_MS < 120_000, "{ahead:?} {back:?}: {}", clock.now() % DAY_MS);
    }
}

#[test]
fn clock_that_is_set_ahead_and_back_ends_no_window() {
    let clock = Clock::manual(NOON);
    assert!(counts(&clock, NOON));
    clock.jump(DAY * 3);
    assert_eq!(days(&clock), [(0, 0), (3, 3)]);
    assert!(counts(&clock, NOON) && counts(&clock, clock.now()));
    let ahead = clock.now();
    clock.jump_back(DAY * 4);
    assert_eq!(days(&clock), [(-1, -1), (0, 0), (3, 3)]);
    assert!(counts(&clock, NOON) && counts(&clock, ahead));
    clock.jump(DAY);
    clock.advance(HOUR * 2);
    assert!(!counts(&clock, NOON) && !counts(&clock, ahead) && counts(&clock, clock.now()));
    assert_eq!(days(&clock), [(-1, -1), (0, 0), (3, 3)]);
    // Midnight, by the clock and by what has passed.
    clock.advance(HOUR * 10);
    assert_eq!(days(&clock), [(1, 1)]);
}

#[test]
fn clock_that_was_years_wrong_holds_nothing_up() {
    for years in [-30_i64, 10] {
        let clock = Clock::manual(NOON + years * 365 * DAY_MS);
        let wrong = clock.now();
        assert!(counts(&clock, wrong));
        let by = DAY * u32::try_from(years.unsigned_abs() * 365).unwrap();
        if years > 0 {
            clock.jump_back(by)
        } else {
            clock.jump(by)
        }
        assert_eq!(clock.now(), NOON);
        assert!(counts(&clock, wrong));
        clock.advance(HOUR + Duration::from_secs(180));
        assert!(!counts(&clock, wrong));
        assert_eq!(days(&clock).len(), 2);
        clock.advance(HOUR * 12);
        assert_eq!(days(&clock), [(1, 1)]);
    }
}

#[test]
fn clock_that_is_set_again_and_again_has_days_of_23_hours_at_least() {
    let clock = Clock::manual(NOON);
    let first = clock.today().in_units(DAY_MS);
    for round in 1..=21 {
        clock.advance(Duration::from_secs(1_800));
        if round % 2 == 0 {
            clock.jump_back(DAY * 5)
        } else {
            clock.jump(DAY * 7)
        }
        let all = clock.today().in_units(DAY_MS);
        assert!(all.iter().any(|span| (span.from..=span.to).contains(&first[0].from)), "{round}: {all:?}");
    }
    clock.advance(HOUR * 3);
    assert!(!clock.today().in_units(DAY_MS).iter().any(|span| span.from <= TODAY && TODAY <= span.to));
}

#[test]
fn restart_makes_no_hour_of_the_day() {
    let clock = Clock::manual(NOON - 9 * HOUR_MS);
    let early = clock.now();
    clock.today();
    clock.advance(HOUR * 17);
    let next = Clock::manual(clock.now() + 60_000);
    next.resume(&clock.kept());
    next.was_away(Duration::from_secs(60));
    assert!(!counts(&next, early) && !counts(&next, next.now() - 2 * HOUR_MS), "{:?}", next.last_hour());
    assert!(counts(&next, next.now() - HOUR_MS + 120_000) && counts(&next, next.now()));
    assert!(next.today().spans().iter().any(|span| (span.from..=span.to).contains(&early)));
    next.advance(HOUR);
    assert!(!counts(&next, clock.now() - HOUR_MS / 2), "{:?}", next.last_hour());
}

#[test]
fn restart_goes_on_with_the_same_day() {
    let clock = Clock::manual(NOON);
    clock.jump(DAY * 3);
    clock.today();
    clock.jump_back(DAY * 3);
    let kept = clock.kept();
    // It starts with a clock that is wrong.
    let next = Clock::manual(NOON + 40 * DAY_MS);
    next.resume(&kept);
    assert_eq!(days(&next), [(0, 0), (3, 3), (40, 40)]);
    assert!(counts(&next, NOON));
    next.was_away(HOUR * 2);
    assert!(!counts(&next, NOON));
    assert_eq!(days(&next), [(0, 0), (3, 3), (40, 40)]);
    next.was_away(HOUR * 9);
    assert_eq!(days(&next), [(40, 40)]);
}
