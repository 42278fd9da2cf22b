//! `[purse]`

use serde::{Deserialize, Serialize};

/// `[purse]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Purse {
    /// Whether purses can pay. What is under way ends all the same.
    pub enabled: bool,
    /// How long a service may take for one answer, in seconds.
    pub answer_secs: u64,
    /// How long a request waits for its payment, in seconds.
    pub payment_wait_secs: u64,
    /// Largest body of a service's answer, in bytes.
    pub max_answer_bytes: u64,
}

impl Default for Purse {
    fn default() -> Self {
        Self { enabled: true, answer_secs: 30, payment_wait_secs: 30, max_answer_bytes: 1_048_576 }
    }
}

impl Purse {
    /// Settings with their least and most.
    pub(super) fn ranges(&self) -> [(&'static str, u64, u64, u64); 3] {
        [
            ("purse.answer_secs", self.answer_secs, 1, 300),
            ("purse.payment_wait_secs", self.payment_wait_secs, 1, 300),
            ("purse.max_answer_bytes", self.max_answer_bytes, 1, 16_777_216),
        ]
    }
}
