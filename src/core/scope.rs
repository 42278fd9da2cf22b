//! What keys open.

use std::fmt;
use std::str::FromStr;

/// What a key opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Gifts beyond what is public.
    Gifts,
    /// A tipper's routes.
    Tips,
    /// A merchant's routes.
    Payments,
    /// Challenges, proxies and their prices.
    L402,
    /// Taking out what the account has earned.
    Withdraw,
    /// Spending what the account has, within the limits of the key's purse.
    Purse,
    /// Triggers for what the built-in scheduler does.
    Scheduler,
    /// Reading `/metrics`.
    Metrics,
    /// The operator: `/admin/v1`, and everything else.
    Admin,
}

impl Scope {
    /// All of them, in the order in which help texts list them.
    pub const ALL: [Self; 9] = [
        Self::Gifts,
        Self::Tips,
        Self::Payments,
        Self::L402,
        Self::Withdraw,
        Self::Purse,
        Self::Scheduler,
        Self::Metrics,
        Self::Admin,
    ];

    /// The name in the database, the command line and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gifts => "gifts",
            Self::Tips => "tips",
            Self::Payments => "payments",
            Self::L402 => "l402",
            Self::Withdraw => "withdraw",
            Self::Purse => "purse",
            Self::Scheduler => "scheduler",
            Self::Metrics => "metrics",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The text names no scope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no scope {0:?}; scopes are gifts, tips, payments, l402, withdraw, purse, scheduler, metrics, admin"
)]
pub struct BadScope(String);

impl FromStr for Scope {
    type Err = BadScope;

    fn from_str(text: &str) -> Result<Self, BadScope> {
        Self::ALL.into_iter().find(|scope| scope.name() == text).ok_or_else(|| BadScope(text.to_owned()))
    }
}
