//! Amounts, times and fields of answers, as people read them.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

/// A number with its thousands apart: `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// An amount in sat with its unit.
pub fn sat(sat: u64) -> String {
    format!("{} sat", grouped(sat))
}

/// An amount in msat, in sat with as many decimals as it has.
pub fn msat(msat: u64) -> String {
    match msat % 1_000 {
        0 => sat(msat / 1_000),
        rest => format!("{}.{rest:03} sat", grouped(msat / 1_000)),
    }
}

/// A signed amount in msat.
pub fn signed_msat(amount: i64) -> String {
    let sign = if amount < 0 { "-" } else { "" };
    format!("{sign}{}", msat(amount.unsigned_abs()))
}

/// Now, in unix seconds.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// How long ago, or in how long.
pub fn relative(then: u64, now: u64) -> String {
    if then <= now { format!("{} ago", duration(now - then)) } else { format!("in {}", duration(then - now)) }
}

/// A span of time in its largest sensible unit.
pub fn duration(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// Unix seconds as a date and time in UTC.
pub fn utc(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(days);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02} UTC", rest / 3_600, rest / 60 % 60, rest % 60)
}

/// The date so many days after 1 January 1970.
fn date(mut days: u64) -> (u64, u64, u64) {
    let is_leap =
        |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    // Whole eras first, so that a nonsensical time stays quick.
    let mut year = 1970 + days / 146_097 * 400;
    days %= 146_097;
    loop {
        let length = if is_leap(year) { 366 } else { 365 };
        if days < length {
            break;
        }
        days -= length;
        year += 1;
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days + 1)
}

/// A text field of an answer, or nothing.
pub fn text<'a>(answer: &'a Value, name: &str) -> &'a str {
    answer.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// A number field of an answer, or zero.
pub fn number(answer: &Value, name: &str) -> u64 {
    answer.get(name).and_then(Value::as_u64).unwrap_or_default()
}

/// A yes-or-no field of an answer.
pub fn yes(answer: &Value, name: &str) -> bool {
    answer.get(name).and_then(Value::as_bool).unwrap_or_default()
}

/// The items of a list field.
pub fn items<'a>(answer: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    answer.get(name).and_then(Value::as_array).into_iter().flatten()
}

/// Any field as a cell of a table: texts bare, lists with commas, nothing as a dash. A time is recognised by
/// its name.
pub fn cell(answer: &Value, name: &str) -> String {
    match answer.get(name) {
        None | Some(Value::Null) => "-".into(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Bool(yes)) => if *yes { "yes" } else { "no" }.into(),
        Some(Value::Array(items)) => {
            let items: Vec<_> =
                items.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), Into::into)).collect();
            items.join(",")
        }
        Some(Value::Number(number)) => {
            number.as_u64().map_or_else(|| number.to_string(), |value| number_cell(name, value))
        }
        Some(object) => object.to_string(),
    }
}

fn number_cell(name: &str, value: u64) -> String {
    // No time before 1973 in milliseconds or after 5138 in seconds occurs here.
    const MILLISECONDS: u64 = 100_000_000_000;
    match name.rsplit('_').next() {
        Some("at") if value > MILLISECONDS => utc(value / 1_000),
        Some("at") => utc(value),
        Some("sat") => sat(value),
        Some("msat") => msat(value),
        _ => value.to_string(),
    }
}

/// All fields of an object, one a line.
pub fn fields(answer: &Value) -> String {
    let names: Vec<&String> = answer.as_object().into_iter().flat_map(|fields| fields.keys()).collect();
    let rows: Vec<_> = names.iter().map(|name| (name.as_str(), cell(answer, name))).collect();
    super::report::facts(&rows)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn amounts_are_grouped_and_have_units() {
        assert_eq!(
            [grouped(0), grouped(999), grouped(1_000), grouped(1_234_567)],
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!([msat(1_000), msat(1_001), msat(5)], ["1 sat", "1.001 sat", "0.005 sat"]);
        assert_eq!(signed_msat(-1_500), "-1.500 sat");
    }

    #[test]
    fn dates_are_right_over_leap_years() {
        assert_eq!(utc(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(utc(951_782_400), "2000-02-29 00:00:00 UTC");
        assert_eq!(utc(1_709_164_799), "2024-02-28 23:59:59 UTC");
        assert_eq!(utc(1_735_689_600), "2025-01-01 00:00:00 UTC");
        assert_eq!(utc(4_107_542_400), "2100-03-01 00:00:00 UTC");
        assert!(!utc(u64::MAX).is_empty());
    }

    #[test]
    fn spans_have_one_unit() {
        assert_eq!(relative(100, 103), "3 s ago");
        assert_eq!(relative(7_300, 100), "in 2 h");
        assert_eq!([duration(180), duration(864_000)], ["3 min", "10 days"]);
    }

    #[test]
    fn cells_know_times_and_amounts_by_their_names() {
        let row = json!({ "a": null, "b": ["x", "y"], "created_at": 1_735_689_600_000_u64, "expires_at": 0,
            "amount_sat": 2_000, "fee_msat": 1, "n": 5, "ok": true });
        let cells: Vec<_> =
            ["a", "b", "created_at", "expires_at", "amount_sat", "fee_msat", "n", "ok", "none"]
                .map(|name| cell(&row, name))
                .into();
        let expected = [
            "-",
            "x,y",
            "2025-01-01 00:00:00 UTC",
            "1970-01-01 00:00:00 UTC",
            "2,000 sat",
            "0.001 sat",
            "5",
            "yes",
            "-",
        ];
        assert_eq!(cells, expected);
    }
}
