//! `[signup]` and `[legal]`: accounts that strangers buy, and what the site says of itself.

use serde::{Deserialize, Serialize};

use super::check::{Found, plain};
use crate::core::scope::Scope;

/// `[signup]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Signup {
    /// Whether anybody may buy an account.
    pub enabled: bool,
    /// What one costs, in sat.
    pub price_sat: u64,
    /// What its key opens.
    pub scopes: Vec<String>,
}

impl Default for Signup {
    fn default() -> Self {
        let scopes = [Scope::Payments, Scope::L402, Scope::Withdraw];
        Self { enabled: false, price_sat: 100, scopes: scopes.map(|scope| scope.name().to_owned()).to_vec() }
    }
}

impl Signup {
    /// What the key of an account that was bought opens.
    pub fn scopes(&self) -> Vec<Scope> {
        self.scopes.iter().filter_map(|name| name.parse().ok()).collect()
    }

    /// Settings that must not be as they are.
    pub(super) fn check(&self, found: &mut Vec<Found>) {
        let is_for_strangers = |name: &String| {
            name.parse().is_ok_and(|scope| !matches!(scope, Scope::Admin | Scope::Scheduler | Scope::Metrics))
        };
        for name in self.scopes.iter().filter(|name| !is_for_strangers(name)) {
            found.push(plain("signup.scopes", format!("\"{name}\" is not a scope that can be sold")));
        }
        if self.scopes.is_empty() {
            found.push(plain("signup.scopes", "a key must open something"));
        }
    }
}

/// `[legal]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Legal {
    /// Who runs this server.
    pub operator: String,
    /// How to reach them.
    pub contact: String,
    /// The file of the page at `/privacy`. Empty: a text that follows the settings.
    pub privacy_file: String,
    /// The file of the page at `/terms`. Empty: a short text.
    pub terms_file: String,
}
