//! The JSON of users and sessions.

use serde::Serialize;
use utoipa::ToSchema;

use super::User;
use crate::core::time::UnixMillis;

/// A user as anybody may see them.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PublicUserView {
    id: String,
    /// ISO 8601.
    created: String,
    /// `tipper`, or `tippee` for somebody who came by claiming a tip.
    user_type: &'static str,
    name: Option<String>,
}

/// A user as they see themselves.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OwnUserView {
    #[serde(flatten)]
    public: PublicUserView,
    lightning_address: Option<String>,
    email: Option<String>,
    /// Whether only this browser's cookie knows them.
    guest: bool,
    /// Whether they can log in with a Lightning wallet.
    wallet_connected: bool,
}

/// A user, as whoever asks may see them.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum UserView {
    /// Themselves.
    Own(OwnUserView),
    /// Anybody else.
    Public(PublicUserView),
}

/// Who is logged in.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoggedInView {
    id: String,
    name: Option<String>,
    lightning_address: Option<String>,
    guest: bool,
    /// How one may log in here.
    #[schema(value_type = Vec<String>)]
    methods: &'static [&'static str],
}

/// That nobody is.
#[derive(Debug, Serialize, ToSchema)]
pub struct NobodyView {
    /// Always `null`.
    #[schema(value_type = Option<String>)]
    id: Option<()>,
    /// How one may log in here.
    #[schema(value_type = Vec<String>)]
    methods: &'static [&'static str],
}

/// Who is logged in, if anybody.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum SessionView {
    /// Somebody.
    LoggedIn(LoggedInView),
    /// Nobody.
    Nobody(NobodyView),
}

impl From<&User> for PublicUserView {
    fn from(user: &User) -> Self {
        let came_by_a_tip = user.claimed && user.account.is_none();
        Self {
            id: user.public_id.to_string(),
            created: iso(user.created_at),
            user_type: if came_by_a_tip { "tippee" } else { "tipper" },
            name: user.name.clone(),
        }
    }
}

impl From<&User> for OwnUserView {
    fn from(user: &User) -> Self {
        Self {
            public: user.into(),
            lightning_address: user.lightning_address.clone(),
            email: user.email.clone(),
            guest: user.is_guest(),
            wallet_connected: user.has_wallet,
        }
    }
}

impl SessionView {
    /// Of whoever asks.
    pub fn of(user: Option<&User>, methods: &'static [&'static str]) -> Self {
        match user {
            None => Self::Nobody(NobodyView { id: None, methods }),
            Some(user) => Self::LoggedIn(LoggedInView {
                id: user.public_id.to_string(),
                name: user.name.clone(),
                lightning_address: user.lightning_address.clone(),
                guest: user.is_guest(),
                methods,
            }),
        }
    }
}

/// A time as `2023-04-11T14:19:01.487Z`.
fn iso(at: UnixMillis) -> String {
    let (days, in_day) = (at.div_euclid(86_400_000), at.rem_euclid(86_400_000));
    let (mut year, mut day) = (1970, days);
    // Whole cycles of 400 years first, so that no time is too far away.
    year += day.div_euclid(146_097) * 400;
    day = day.rem_euclid(146_097);
    let is_leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let year_len = |year| if is_leap(year) { 366 } else { 365 };
    while day >= year_len(year) {
        day -= year_len(year);
        year += 1;
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let mut month = 1;
    for len in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if day < len {
            break;
        }
        day -= len;
        month += 1;
    }
    let (seconds, millis) = (in_day / 1_000, in_day % 1_000);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z", day + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_iso_8601() {
        for (at, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_681_222_741_487, "2023-04-11T14:19:01.487Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_735_689_599_999, "2024-12-31T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(iso(at), text);
        }
    }
}
