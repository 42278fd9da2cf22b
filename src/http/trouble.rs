//! What any family's request can fail at before one of the family's own rules is asked: the body, the key, the
//! database, the ledger, the node.
//!
//! Each of those rooms has an error of its own. [`Cause`] says of each what whoever asked may be told, and writes
//! the rest to the log; a family has one `From` for all of them and only chooses the words.

use crate::core::ids::NoRandomness;
use crate::core::money::Msat;
use crate::http::body::BodyError;
use crate::http::idempotency::{BadKey, NotOnce};
use crate::http::keys::{KeyError, Scope};
use crate::http::respond::NotJson;
use crate::ledger::LedgerError;
use crate::ledger::solvency::NoCapacity;
use crate::lightning::InvoiceError;
use crate::storage::StoreError;

/// What may be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
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

/// An error of a room below the families.
pub trait Cause {
    /// What may be told of it. The rest is logged, with `whose` request it was.
    fn trouble(self, whose: &'static str) -> Trouble;
}

impl Cause for BodyError {
    fn trouble(self, _: &'static str) -> Trouble {
        match self {
            Self::TooLarge => Trouble::BodyTooLarge,
            Self::Malformed { .. } | Self::NotAnObject | Self::Cut => Trouble::BadBody(self.to_string()),
        }
    }
}

impl Cause for BadKey {
    fn trouble(self, _: &'static str) -> Trouble {
        Trouble::BadIdempotencyKey(self.to_string())
    }
}

impl Cause for NotOnce {
    fn trouble(self, whose: &'static str) -> Trouble {
        match self {
            Self::KeyReused => Trouble::IdempotencyKeyReused,
            Self::Store(error) => error.trouble(whose),
        }
    }
}

impl Cause for NotJson {
    fn trouble(self, whose: &'static str) -> Trouble {
        tracing::error!(whose, error = %self, "a request was done and can't be answered");
        Trouble::Internal
    }
}

impl Cause for KeyError {
    fn trouble(self, whose: &'static str) -> Trouble {
        match self {
            Self::Invalid | Self::BadText => Trouble::InvalidKey,
            Self::Missing => Trouble::MissingKey,
            Self::Lacks(scope) => Trouble::Lacks(scope),
            Self::Store(error) => error.trouble(whose),
            Self::Randomness(error) => error.trouble(whose),
            Self::NoSuchKey | Self::BadKey => {
                tracing::error!(whose, error = %self, "a request failed at its API key");
                Trouble::Internal
            }
        }
    }
}

impl Cause for StoreError {
    fn trouble(self, whose: &'static str) -> Trouble {
        match self {
            Self::Unavailable(why) => {
                tracing::warn!(whose, %why, "a request found the database not available");
                Trouble::Unavailable
            }
            Self::Closed => Trouble::Unavailable,
            other => {
                tracing::error!(whose, error = %other, "a request failed in the database");
                Trouble::Internal
            }
        }
    }
}

impl Cause for rusqlite::Error {
    fn trouble(self, whose: &'static str) -> Trouble {
        StoreError::from(self).trouble(whose)
    }
}

impl Cause for LedgerError {
    fn trouble(self, whose: &'static str) -> Trouble {
        match self {
            Self::Store(error) => error.trouble(whose),
            Self::Broken(what) => {
                tracing::error!(whose, %what, "a request failed in the ledger");
                Trouble::Internal
            }
        }
    }
}

impl Cause for NoCapacity {
    fn trouble(self, whose: &'static str) -> Trouble {
        let refusal = |inbound, max: Option<Msat>| {
            Trouble::NoCapacity(CapacityRefusal { inbound, max_sat: max.map(Msat::sat_floor) })
        };
        match self {
            Self::NotRunning => Trouble::Unavailable,
            Self::Inbound(shortfall) => refusal(true, Some(shortfall.bound)),
            Self::Outbound(shortfall) => refusal(false, Some(shortfall.bound)),
            Self::Short(by) => {
                tracing::warn!(whose, missing = %by, "nothing is sold: what is owed could not be paid out; see `satchel status`");
                refusal(false, None)
            }
        }
    }
}

impl Cause for InvoiceError {
    fn trouble(self, whose: &'static str) -> Trouble {
        match self {
            Self::NotRunning => Trouble::Unavailable,
            Self::Refused(why) => {
                tracing::error!(whose, %why, "the node makes no invoice for a request");
                Trouble::Internal
            }
        }
    }
}

impl Cause for NoRandomness {
    fn trouble(self, whose: &'static str) -> Trouble {
        tracing::error!(whose, error = %self, "a request got no random numbers");
        Trouble::Internal
    }
}
