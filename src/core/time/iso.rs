//! Points in time as text: ISO 8601, as JavaScript writes it and JSON APIs pass it on.

use std::fmt;

use serde::{Serialize, Serializer};

use super::UnixMillis;

const DAY_MS: i64 = 86_400_000;

/// Days of 400 years; after them the calendar repeats itself.
const CYCLE_DAYS: i64 = 146_097;

/// Days from 1 March of the year 0 to 1 January 1970.
const MARCH_0_TO_1970: i64 = 719_468;

/// Shows a point in time as `2023-04-11T14:19:01.487Z`: UTC, always with milliseconds. Years that don't fit
/// into four digits get six and a sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IsoTime(pub UnixMillis);

impl fmt::Display for IsoTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date_of(self.0.div_euclid(DAY_MS));
        let ms = self.0.rem_euclid(DAY_MS);
        match year {
            0..=9_999 => write!(f, "{year:04}")?,
            _ => write!(f, "{year:+07}")?,
        }
        let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
        write!(f, "-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", ms % 1_000)
    }
}

impl Serialize for IsoTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The same to the second: `2024-12-29T12:00:00Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IsoSeconds(pub UnixMillis);

impl fmt::Display for IsoSeconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = IsoTime(self.0).to_string();
        write!(f, "{}Z", whole.get(..whole.len().saturating_sub(".000Z".len())).unwrap_or_default())
    }
}

impl Serialize for IsoSeconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Reads a date and a time with its zone: `2024-01-21T08:28:48.518Z`, `2024-01-21T15:28:48+07:00`,
/// `2024-01-21T08:28Z`. What is finer than a millisecond is cut off. `None` for anything else: without a
/// zone nobody knows when it is.
pub fn parse(text: &str) -> Option<UnixMillis> {
    let mut rest = Rest(text.as_bytes());
    let year = rest.number(4)?;
    rest.one_of(b"-")?;
    let month = rest.number(2)?;
    rest.one_of(b"-")?;
    let day = rest.number(2)?;
    rest.one_of(b"Tt")?;
    let hour = rest.number(2).filter(|hour| *hour < 24)?;
    rest.one_of(b":")?;
    let minute = rest.number(2).filter(|minute| *minute < 60)?;
    let mut ms = 0;
    if rest.one_of(b":").is_some() {
        ms = rest.number(2).filter(|second| *second < 60)? * 1_000;
        if rest.one_of(b".").is_some() {
            ms += rest.fraction()?;
        }
    }
    let offset_minutes = rest.zone()?;
    if !rest.0.is_empty() || !(1..=12).contains(&month) {
        return None;
    }
    let days = days_until(year, month, day);
    // 30 February would be some day in March.
    (date_of(days) == (year, month, day))
        .then(|| days * DAY_MS + hour * 3_600_000 + (minute - offset_minutes) * 60_000 + ms)
}

/// What has not been read yet.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn one_of(&mut self, wanted: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first().filter(|(first, _)| wanted.contains(first))?;
        self.0 = rest;
        Some(*first)
    }

    fn digit(&mut self) -> Option<i64> {
        self.one_of(b"0123456789").map(|digit| i64::from(digit - b'0'))
    }

    fn number(&mut self, digits: u32) -> Option<i64> {
        (0..digits).try_fold(0, |number, _| Some(number * 10 + self.digit()?))
    }

    /// Milliseconds from the digits behind the point, of which there is at least one.
    fn fraction(&mut self) -> Option<i64> {
        let mut ms = self.digit()? * 100;
        for weight in [10, 1] {
            ms += self.digit().unwrap_or(0) * weight;
        }
        while self.digit().is_some() {}
        Some(ms)
    }

    /// How many minutes the zone is ahead of UTC: `Z`, `+07:00`, `+0700` or `+07`.
    fn zone(&mut self) -> Option<i64> {
        let sign = match self.one_of(b"Zz+-")? {
            b'+' => 1,
            b'-' => -1,
            _ => return Some(0),
        };
        let hours = self.number(2).filter(|hours| *hours < 24)?;
        let colon = self.one_of(b":").is_some();
        let minutes = if colon || !self.0.is_empty() { self.number(2)? } else { 0 };
        (minutes < 60).then_some(sign * (hours * 60 + minutes))
    }
}

/// Days from 1970 to a date. The year is taken to begin in March: then the leap day is its last, and the months
/// before it have 31, 30, 31, 30, 31 days, over and over, which is 153 in five.
fn days_until(year: i64, month: i64, day: i64) -> i64 {
    let year = if month < 3 { year - 1 } else { year };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let of_year = days_before((month + 9) % 12) + day - 1;
    year * 365 + leap_days + of_year - MARCH_0_TO_1970
}

/// The date so many days after 1 January 1970.
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + MARCH_0_TO_1970;
    let of_cycle = days.rem_euclid(CYCLE_DAYS);
    // Without the leap days that lie behind it every year has 365.
    let year = (of_cycle - of_cycle / 1_460 + of_cycle / 36_524 - of_cycle / (CYCLE_DAYS - 1)) / 365;
    let of_year = of_cycle - (year * 365 + year / 4 - year / 100);
    let from_march = (of_year * 5 + 2) / 153;
    let day = of_year - days_before(from_march) + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = days.div_euclid(CYCLE_DAYS) * 400 + year;
    (if month < 3 { year + 1 } else { year }, month, day)
}

/// Days of a year that begins in March before its month of this number, March being 0.
fn days_before(from_march: i64) -> i64 {
    (from_march * 153 + 2) / 5
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_points_in_time_go_there_and_back() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_078_012_800_000, "2004-02-29T00:00:00.000Z"),
            (1_681_222_741_487, "2023-04-11T14:19:01.487Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
            (-62_167_219_200_000, "0000-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(IsoTime(ms).to_string(), text);
            assert_eq!(parse(text), Some(ms), "{text}");
        }
        // As JavaScript has it; nobody may send it.
        assert_eq!(IsoTime(253_402_300_800_000).to_string(), "+010000-01-01T00:00:00.000Z");
        assert_eq!(IsoTime(-62_167_219_200_001).to_string(), "-000001-12-31T23:59:59.999Z");
        for end in [i64::MIN, i64::MAX] {
            assert!(IsoTime(end).to_string().ends_with('Z'));
        }
    }

    #[test]
    fn every_day_of_four_centuries_follows_the_one_before() {
        let lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let mut days = days_until(1_800, 1, 1);
        for year in 1_800..2_201 {
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            for (month, length) in (1..).zip(lengths) {
                for day in 1..=if leap && month == 2 { 29 } else { length } {
                    assert_eq!(date_of(days), (year, month, day));
                    assert_eq!(days_until(year, month, day), days);
                    days += 1;
                }
            }
        }
    }

    #[test]
    fn other_spellings_of_the_same_time() {
        let at = parse("2024-01-21T08:28:48.518Z").unwrap();
        for text in [
            "2024-01-21T08:28:48.518z",
            "2024-01-21t08:28:48.518Z",
            "2024-01-21T08:28:48.518000+00:00",
            "2024-01-21T08:28:48.518999999-00:00",
            "2024-01-21T15:28:48.518+07:00",
            "2024-01-21T15:28:48.518+0700",
            "2024-01-21T15:28:48.518+07",
            "2024-01-20T22:58:48.518-09:30",
        ] {
            assert_eq!(parse(text), Some(at), "{text}");
        }
        assert_eq!(parse("2024-01-21T08:28:48.5Z"), Some(at - 18));
        assert_eq!(parse("2024-01-21T08:28:48Z"), Some(at - 518));
        assert_eq!(parse("2024-01-21T08:28Z"), Some(at - 48_518));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "tomorrow",
            "1700000000000",
            "2024-01-21",
            "2024-01-21T08:28:48.518",
            "2024-01-21 08:28:48.518Z",
            "2024-01-21T08:28:48.Z",
            "2024-01-21T08:28:48,518Z",
            "2024-01-21T08Z",
            "2024-01-21T08:28:48.518Zulu",
            "2024-01-21T08:28:48.518+7:00",
            "2024-01-21T08:28:48.518+07:",
            "2024-01-21T08:28:48.518+24:00",
            "2024-01-21T08:28:48.518+07:60",
            "2024-01-21T08:28:48.518+07:00 ",
            "2024-01-21T24:00:00Z",
            "2024-01-21T08:60:00Z",
            "2024-01-21T08:28:60Z",
            "2024-00-21T08:28:48Z",
            "2024-13-21T08:28:48Z",
            "2024-01-00T08:28:48Z",
            "2024-01-32T08:28:48Z",
            "2024-04-31T08:28:48Z",
            "2023-02-29T08:28:48Z",
            "2100-02-29T08:28:48Z",
            "24-01-21T08:28:48Z",
            "-024-01-21T08:28:48Z",
            "+02024-01-21T08:28:48Z",
            "2024-1-21T08:28:48Z",
            "２０２４-01-21T08:28:48Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_again(ms in -62_167_219_200_000_i64..253_402_300_800_000) {
            prop_assert_eq!(parse(&IsoTime(ms).to_string()), Some(ms));
        }

        #[test]
        fn nothing_makes_it_fall_over(text in "[0-9TZ:.+-]{0,40}") {
            let _ = parse(&text);
        }
    }
}
