//! What any family's request can fail at before one of the family's own rules is asked: the body, the key, the
//! database, the ledger, the node.
//!
//! Each of those modules has an error of its own. [`IntoCommonError`] says of each what whoever asked may be told, and writes
//! the rest to the log; a family has one `From` for all of them and only chooses the words.

use crate::core::ids::NoRandomness;
use crate::core::money::Msat;
use crate::http::body::BodyError;
use crate::http::idempotency::{BadKey, IdempotencyError};
use crate::http::keys::{KeyError, Scope};
use crate::http::respond::NotJson;
use crate::ledger::LedgerError;
use crate::ledger::solvency::NoCapacity;
use crate::lightning::InvoiceError;
use crate::storage::StoreError;

/// What may be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommonError {
    /// The body is larger than allowed.
    BodyTooLarge,
    /// The body is not what it should be; why, for whoever sent it.
    BadBody(String),
    /// `Idempotency-Key` can't be used; why, for whoever sent it.
    BadIdempotencyKey(String),
    /// `Idempotency-Key` was used for another request.
    IdempotencyKeyReused,
    /// No API key was shown.
    MissingKey,
    /// The API key is unknown, revoked, or no key at all.
    InvalidKey,
    /// The API key is good for other things than this.
    Lacks(Scope),
    /// The node or the database can't take this now.
    Unavailable,
    /// The channels can't carry it.
    NoCapacity(CapacityRefusal),
    /// A bug, or the machine is broken; the log has it.
    Internal,
}

/// What may be told of a limit of the channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CapacityRefusal {
    /// It is about what comes in; otherwise about what must go out again.
    pub inbound: bool,
    /// The most that would do, in sat, where one amount is the reason.
    pub max_sat: Option<u64>,
}

impl CapacityRefusal {
    /// What programs compare.
    pub const fn code(self) -> &'static str {
        if self.inbound { "NO_INBOUND_CAPACITY" } else { "NO_OUTBOUND_CAPACITY" }
    }

    /// What people read.
    pub fn message(self) -> String {
        match (self.inbound, self.max_sat) {
            (true, Some(sat)) => format!("This server can receive at most {sat} sat at once now"),
            (true, None) => "This server can't receive that much now".into(),
            (false, Some(sat)) => {
                format!("This server could pay out at most {sat} sat in one payment; ask for less at once")
            }
            (false, None) => {
                "This server can't promise now that what it sells can be paid out; try again later".into()
            }
        }
    }
}

/// An error of a module below the services.
pub trait IntoCommonError {
    /// What may be told of it. The rest is logged, with `whose` request it was.
    fn trouble(self, whose: &'static str) -> CommonError;
}

impl IntoCommonError for BodyError {
    fn trouble(self, _: &'static str) -> CommonError {
        match self {
            Self::TooLarge => CommonError::BodyTooLarge,
            Self::Malformed { .. } | Self::NotAnObject | Self::Cut => CommonError::BadBody(self.to_string()),
        }
    }
}

impl IntoCommonError for BadKey {
    fn trouble(self, _: &'static str) -> CommonError {
        CommonError::BadIdempotencyKey(self.to_string())
    }
}

impl IntoCommonError for IdempotencyError {
    fn trouble(self, whose: &'static str) -> CommonError {
        match self {
            Self::KeyReused => CommonError::IdempotencyKeyReused,
            Self::Store(error) => error.trouble(whose),
        }
    }
}

impl IntoCommonError for NotJson {
    fn trouble(self, whose: &'static str) -> CommonError {
        tracing::error!(whose, error = %self, "a request was done and can't be answered");
        CommonError::Internal
    }
}

impl IntoCommonError for KeyError {
    fn trouble(self, whose: &'static str) -> CommonError {
        match self {
            Self::Invalid | Self::BadText => CommonError::InvalidKey,
            Self::Missing => CommonError::MissingKey,
            Self::Lacks(scope) => CommonError::Lacks(scope),
            Self::Store(error) => error.trouble(whose),
            Self::Randomness(error) => error.trouble(whose),
            Self::NoSuchKey | Self::BadKey => {
                tracing::error!(whose, error = %self, "a request failed at its API key");
                CommonError::Internal
            }
        }
    }
}

impl IntoCommonError for StoreError {
    fn trouble(self, whose: &'static str) -> CommonError {
        match self {
            Self::Unavailable(why) => {
                tracing::warn!(whose, %why, "a request found the database not available");
                CommonError::Unavailable
            }
            Self::Closed => CommonError::Unavailable,
            other => {
                tracing::error!(whose, error = %other, "a request failed in the database");
                CommonError::Internal
            }
        }
    }
}

impl IntoCommonError for rusqlite::Error {
    fn trouble(self, whose: &'static str) -> CommonError {
        StoreError::from(self).trouble(whose)
    }
}

impl IntoCommonError for LedgerError {
    fn trouble(self, whose: &'static str) -> CommonError {
        match self {
            Self::Store(error) => error.trouble(whose),
            Self::Broken(what) => {
                tracing::error!(whose, %what, "a request failed in the ledger");
                CommonError::Internal
            }
        }
    }
}

impl IntoCommonError for NoCapacity {
    fn trouble(self, whose: &'static str) -> CommonError {
        let refusal = |inbound, max: Option<Msat>| {
            CommonError::NoCapacity(CapacityRefusal { inbound, max_sat: max.map(Msat::sat_floor) })
        };
        match self {
            Self::NotRunning => CommonError::Unavailable,
            Self::Inbound(shortfall) => refusal(true, Some(shortfall.bound)),
            Self::Outbound(shortfall) => refusal(false, Some(shortfall.bound)),
            Self::Short(by) => {
                tracing::warn!(whose, missing = %by, "nothing is sold: what is owed could not be paid out; see `satchel status`");
                refusal(false, None)
            }
        }
    }
}

impl IntoCommonError for InvoiceError {
    fn trouble(self, whose: &'static str) -> CommonError {
        match self {
            Self::NotRunning => CommonError::Unavailable,
            Self::Refused(why) => {
                tracing::error!(whose, %why, "the node makes no invoice for a request");
                CommonError::Internal
            }
        }
    }
}

impl IntoCommonError for NoRandomness {
    fn trouble(self, whose: &'static str) -> CommonError {
        tracing::error!(whose, error = %self, "a request got no random numbers");
        CommonError::Internal
    }
}
