//! Every error of the family, its HTTP status, its slug and what it tells people.
//!
//! All have one body, a [`Problem`], where `error` and `code` are the slug, in small letters and in capitals, and
//! `message` is the detail.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::http::common_error::{CommonError, IntoCommonError};
use crate::http::problem::Problem;

/// Seconds after which another try makes sense where something is down.
const SOON_SECS: u64 = 5;

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.message())]
pub enum L402Error {
    /// 400: a rule is broken; which one, in words for whoever sent it.
    Invalid {
        /// What programs compare.
        slug: &'static str,
        /// Which rule.
        message: String,
    },
    /// 413: the body is larger than allowed.
    BodyTooLarge,
    /// 409: the key was used for another request.
    IdempotencyKeyReuse,
    /// 401: no API key was shown.
    MissingKey,
    /// 401: the API key is unknown or revoked.
    InvalidKey,
    /// 403: the API key is good for other things.
    Forbidden,
    /// 403: the operator has turned this off.
    NotEnabled,
    /// 404: no route has this path.
    NotFound,
    /// 405: the path exists, but not for this method.
    MethodNotAllowed,
    /// 429: too many requests.
    TooMany {
        /// Requests in a window and its length in seconds; `None` where all clients together were too many.
        quota: Option<(u32, u64)>,
        /// Seconds until the next may come.
        retry_after: u64,
    },
    /// 500: a bug, or the machine is broken; the log has it.
    Internal,
    /// 503: the node or the database can't take this now.
    NodeUnavailable,
    /// 503: a payment was shown that has not settled here yet.
    Settling,
    /// 503: the channels can't carry it.
    NoCapacity {
        /// In which direction.
        slug: &'static str,
        /// What would do, where we know.
        message: String,
    },
    /// What a neighbour in the family has to say.
    Other {
        /// The HTTP status.
        status: u16,
        /// What programs compare.
        slug: &'static str,
        /// For people.
        message: String,
    },
}

impl L402Error {
    /// 400 with a slug.
    pub fn invalid(slug: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid { slug, message: message.into() }
    }

    /// What no handler answered (a time-out, a panic, a wrong method), as an error of this family.
    pub fn of_status(status: StatusCode) -> Self {
        match status.as_u16() {
            404 => Self::NotFound,
            405 => Self::MethodNotAllowed,
            413 => Self::BodyTooLarge,
            408 | 503 | 504 => Self::NodeUnavailable,
            _ => Self::Internal,
        }
    }

    /// HTTP status, slug, message.
    fn row(&self) -> (u16, &'static str, &str) {
        match self {
            Self::Invalid { slug, message } => (400, slug, message),
            Self::BodyTooLarge => (413, "body_too_large", "The body is too large"),
            Self::IdempotencyKeyReuse => {
                (409, "idempotency_key_reuse", "This idempotency key was used for another request")
            }
            Self::MissingKey => (401, "missing_api_key", "API key is required. Include X-API-Key header."),
            Self::InvalidKey => (401, "invalid_api_key", "Invalid API key"),
            Self::Forbidden => (403, "l402_not_enabled", "The API key lacks the scope l402"),
            Self::NotEnabled => (403, "l402_not_enabled", "L402 is turned off on this server"),
            Self::NotFound => (404, "not_found", "There is no such route"),
            Self::MethodNotAllowed => (405, "method_not_allowed", "Not with this method"),
            Self::TooMany { .. } => (429, "rate_limit_exceeded", "Rate limit exceeded"),
            Self::Internal => (500, "internal_error", "An error occurred processing your request."),
            Self::NodeUnavailable => {
                (503, "node_unavailable", "Payments can't be taken at the moment; try again soon")
            }
            Self::Settling => (
                503,
                "payment_settling",
                "The payment is settling; show it again in a moment, and pay nothing",
            ),
            Self::NoCapacity { slug, message } => (503, slug, message),
            Self::Other { status, slug, message } => (*status, slug, message),
        }
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.row().0
    }

    /// What programs compare.
    pub fn slug(&self) -> &'static str {
        self.row().1
    }

    /// What people read. Safe to show to whoever asked.
    pub fn message(&self) -> &str {
        self.row().2
    }

    /// What has to be done so that it is allowed.
    fn action_required(&self) -> Option<&'static str> {
        match self {
            Self::Forbidden => Some("use an API key of scope l402"),
            Self::NotEnabled => Some("ask the operator to turn L402 on"),
            _ => None,
        }
    }

    /// As whoever asked is told it.
    pub(super) fn problem(&self) -> Problem {
        let (status, slug, message) = self.row();
        let problem = Problem::new(status, slug, message).error(slug);
        let problem = match self.action_required() {
            Some(action) => problem.action_required(action),
            None => problem,
        };
        match self {
            Self::TooMany { quota, retry_after } => {
                problem.too_many(quota.map(|(limit, secs)| (limit, format!("{secs} seconds"))), *retry_after)
            }
            Self::Settling => problem.retry_after(1),
            Self::NodeUnavailable | Self::NoCapacity { .. } => problem.retry_after(SOON_SECS),
            _ => problem,
        }
    }

    /// The answer to whoever asked for this path.
    pub fn answer(&self, path: &str) -> Response {
        self.problem().answer(path)
    }
}

impl IntoResponse for L402Error {
    fn into_response(self) -> Response {
        self.problem().into_response()
    }
}

impl<E: IntoCommonError> From<E> for L402Error {
    fn from(cause: E) -> Self {
        match cause.trouble("l402") {
            CommonError::BodyTooLarge => Self::BodyTooLarge,
            CommonError::BadBody(why) => Self::invalid("invalid_json", why),
            CommonError::BadIdempotencyKey(why) => Self::invalid("invalid_idempotency_key", why),
            CommonError::IdempotencyKeyReused => Self::IdempotencyKeyReuse,
            CommonError::MissingKey => Self::MissingKey,
            CommonError::InvalidKey => Self::InvalidKey,
            CommonError::Lacks(_) => Self::Forbidden,
            CommonError::Unavailable => Self::NodeUnavailable,
            CommonError::NoCapacity(refusal) => Self::NoCapacity {
                slug: if refusal.inbound { "no_inbound_capacity" } else { "no_outbound_capacity" },
                message: refusal.message(),
            },
            CommonError::Internal => Self::Internal,
        }
    }
}
