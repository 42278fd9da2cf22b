//! Where a challenge stands.

use std::str::FromStr;

use serde::Serialize;
use utoipa::ToSchema;

/// Where a challenge stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ChallengeStatus {
    /// It can be paid.
    Unpaid,
    /// It was.
    Paid,
    /// It was not, and its invoice has ended.
    Expired,
}

/// The text names no status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("status must be paid, unpaid or expired")]
pub struct BadStatus;

impl FromStr for ChallengeStatus {
    type Err = BadStatus;

    fn from_str(text: &str) -> Result<Self, BadStatus> {
        match text {
            "unpaid" => Ok(Self::Unpaid),
            "paid" => Ok(Self::Paid),
            "expired" => Ok(Self::Expired),
            _ => Err(BadStatus),
        }
    }
}
