//! What a route costs.

use std::time::Duration;

/// How long a token is good, if nothing else is said.
const LIFETIME: Duration = Duration::from_secs(3_600);

/// How long an invoice can be paid, at most.
const INVOICE_EXPIRY: Duration = Duration::from_secs(600);

/// What a route costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    pub(crate) amount_sat: u64,
    pub(crate) description: String,
    pub(crate) resource: Option<String>,
    pub(crate) bundle: Option<String>,
    pub(crate) lifetime: Duration,
}

impl Price {
    /// A price of at least 1 sat: an invoice without an amount could be paid with anything. A token is good for one
    /// hour and one path.
    pub fn sat(amount_sat: u64) -> Self {
        Self {
            amount_sat: amount_sat.max(1),
            description: String::new(),
            resource: None,
            bundle: None,
            lifetime: LIFETIME,
        }
    }

    /// A text for the payer. It stands in headers: keep it below 100 bytes.
    #[must_use]
    pub fn description(self, description: impl Into<String>) -> Self {
        Self { description: description.into(), ..self }
    }

    /// The name of what is sold, if not each path by itself. Give it where the layer lies inside `Router::nest`, since
    /// it sees only a part of the path there, and that part may be the same in another nest.
    #[must_use]
    pub fn resource(self, resource: impl Into<String>) -> Self {
        Self { resource: Some(resource.into()), ..self }
    }

    /// Another resource whose tokens are accepted here too, whatever was paid for them: a subscription, a higher tier.
    #[must_use]
    pub fn bundle(self, resource: impl Into<String>) -> Self {
        Self { bundle: Some(resource.into()), ..self }
    }

    /// How long a token is good, from the moment its challenge is made.
    #[must_use]
    pub fn lifetime(self, lifetime: Duration) -> Self {
        Self { lifetime, ..self }
    }

    /// How long its invoice can be paid: a payer must have time left to use the token.
    pub(crate) fn invoice_expiry(&self) -> Duration {
        INVOICE_EXPIRY.min(self.lifetime / 2)
    }
}
