//! Unix seconds, now and as text.

use std::time::{SystemTime, UNIX_EPOCH};

use chrono::{DateTime, SecondsFormat};

/// The system's time in unix seconds.
pub fn unix_now() -> i64 {
    let passed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(passed.as_secs()).unwrap_or(i64::MAX)
}

/// Unix seconds as RFC 3339 in UTC: `2026-03-10T21:00:00Z`. A time beyond the calendar of `chrono` (262,000 years) is
/// written as its last second.
pub fn rfc3339(unix_seconds: i64) -> String {
    let time = DateTime::from_timestamp(unix_seconds, 0).unwrap_or(DateTime::<chrono::Utc>::MAX_UTC);
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}
