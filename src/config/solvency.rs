//! `[solvency]` and `[alerts]`: what happens when more is owed than can be paid out, and who is told.

use serde::{Deserialize, Serialize};

use super::check::{Found, plain};
use super::fields;
use crate::core::email::Address;
use crate::core::ids::Secret;

/// `[solvency]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Solvency {
    /// What becomes of a sale that could not be paid out.
    pub when_short: WhenShort,
}

/// What becomes of a sale that could not be paid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenShort {
    /// It is refused.
    #[default]
    Refuse,
    /// It is made, and the log says so.
    Warn,
}

/// `[alerts]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Alerts {
    /// Who is called. Empty: nobody.
    pub webhook_url: String,
    /// What signs the calls.
    #[serde(with = "fields::secret")]
    pub webhook_secret: Secret,
    /// Mail address for alerts; needs `[smtp]`. Empty: no mail is sent.
    pub mail_to: String,
    /// How long something must have been wrong before anybody is told, in seconds.
    pub after_secs: u64,
    /// The least time between two messages about the same thing, in seconds.
    pub min_interval_secs: u64,
}

impl Default for Alerts {
    fn default() -> Self {
        Self {
            webhook_url: String::new(),
            webhook_secret: Secret::default(),
            mail_to: String::new(),
            after_secs: 120,
            min_interval_secs: 3_600,
        }
    }
}

impl Alerts {
    /// Whom to write to.
    pub fn recipient(&self) -> Option<Address> {
        self.mail_to.parse().ok()
    }

    /// Settings that must not be as they are.
    pub(super) fn check(&self, found: &mut Vec<Found>) {
        let url = reqwest::Url::parse(&self.webhook_url);
        if !self.webhook_url.is_empty() && !url.is_ok_and(|url| matches!(url.scheme(), "http" | "https")) {
            found.push(plain("alerts.webhook_url", format!("\"{}\" is not a web address", self.webhook_url)));
        }
        if !self.mail_to.is_empty() && self.recipient().is_none() {
            found.push(plain("alerts.mail_to", format!("\"{}\" is not a mail address", self.mail_to)));
        }
    }

    /// Numbers that must lie in a range.
    pub(super) fn ranges(&self) -> [(&'static str, u64, u64, u64); 2] {
        [
            ("alerts.after_secs", self.after_secs, 1, 86_400),
            ("alerts.min_interval_secs", self.min_interval_secs, 10, 30 * 86_400),
        ]
    }
}
