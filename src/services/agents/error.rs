//! Every error of the service, its HTTP status, its slug and what it tells people.
//!
//! All have one body, a [`Problem`], shaped as those of L402 are: `error` and `code` are the slug, in small letters
//! and in capitals, and `message` is the detail.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::http::common_error::{CommonError, IntoCommonError};
use crate::http::problem::Problem;

/// Seconds after which another try makes sense where something is down.
const SOON_SECS: u64 = 5;

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.message())]
pub enum AgentError {
    /// 400: a rule is broken; which one, in words for whoever sent it.
    Invalid {
        /// What programs compare.
        slug: &'static str,
        /// Which rule.
        message: String,
    },
    /// 401: no API key was shown.
    MissingKey,
    /// 401: the API key is unknown or revoked.
    InvalidKey,
    /// 403: the API key is good for other things.
    Forbidden,
    /// 404: nobody registered this key.
    AgentNotFound,
    /// 404: there is no such listing, or it was taken back, or it belongs to another account.
    CapabilityNotFound,
    /// 404: no route has this path.
    NotFound,
    /// 405: the path exists, but not for this method.
    MethodNotAllowed,
    /// 409: the state of things forbids it.
    Conflict {
        /// What programs compare.
        slug: &'static str,
        /// Which state.
        message: &'static str,
    },
    /// 413: the body is larger than allowed.
    BodyTooLarge,
    /// 429: too many requests.
    TooMany {
        /// Requests in a window and its length in seconds.
        quota: (u32, u64),
        /// Seconds until the next may come.
        retry_after: u64,
    },
    /// 500: a bug, or the machine is broken; the log has it.
    Internal,
    /// 503: the database can't take this now.
    Unavailable,
    /// What whoever makes proxies has to say.
    Proxy {
        /// The HTTP status.
        status: u16,
        /// What programs compare.
        slug: &'static str,
        /// For people.
        message: String,
    },
}

impl AgentError {
    /// 400 with a slug.
    pub fn invalid(slug: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid { slug, message: message.into() }
    }

    /// 409 with a slug.
    pub(super) const fn conflict(slug: &'static str, message: &'static str) -> Self {
        Self::Conflict { slug, message }
    }

    /// What no handler answered (a time-out, a panic, a wrong method), as an error of this service.
    pub fn of_status(status: StatusCode) -> Self {
        match status.as_u16() {
            404 => Self::NotFound,
            405 => Self::MethodNotAllowed,
            413 => Self::BodyTooLarge,
            408 | 503 | 504 => Self::Unavailable,
            _ => Self::Internal,
        }
    }

    /// HTTP status, slug, message.
    fn row(&self) -> (u16, &'static str, &str) {
        match self {
            Self::Invalid { slug, message } => (400, slug, message),
            Self::MissingKey => (401, "missing_api_key", "API key is required. Include X-API-Key header."),
            Self::InvalidKey => (401, "invalid_api_key", "Invalid API key"),
            Self::Forbidden => (403, "l402_not_enabled", "The API key lacks the scope l402"),
            Self::AgentNotFound => (404, "agent_not_found", "No agent is registered with this key"),
            Self::CapabilityNotFound => (404, "capability_not_found", "There is no such capability"),
            Self::NotFound => (404, "not_found", "There is no such route"),
            Self::MethodNotAllowed => (405, "method_not_allowed", "Not with this method"),
            Self::Conflict { slug, message } => (409, slug, message),
            Self::BodyTooLarge => (413, "body_too_large", "The body is too large"),
            Self::TooMany { .. } => (429, "rate_limit_exceeded", "Rate limit exceeded"),
            Self::Internal => (500, "internal_error", "An error occurred processing your request."),
            Self::Unavailable => {
                (503, "service_unavailable", "This can't be done at the moment; try again soon")
            }
            Self::Proxy { status, slug, message } => (*status, slug, message),
        }
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.row().0
    }

    /// What people read. Safe to show to whoever asked.
    pub fn message(&self) -> &str {
        self.row().2
    }

    fn problem(&self) -> Problem {
        let (status, slug, message) = self.row();
        let problem = Problem::new(status, slug, message).error(slug);
        match self {
            Self::Forbidden => problem.action_required("use an API key of scope l402"),
            Self::TooMany { quota: (limit, secs), retry_after } => {
                problem.too_many(Some((*limit, format!("{secs} seconds"))), *retry_after)
            }
            Self::Unavailable => problem.retry_after(SOON_SECS),
            _ => problem,
        }
    }

    /// The answer to whoever asked for this path.
    pub fn answer(&self, path: &str) -> Response {
        self.problem().answer(path)
    }
}

impl IntoResponse for AgentError {
    fn into_response(self) -> Response {
        self.problem().into_response()
    }
}

impl<E: IntoCommonError> From<E> for AgentError {
    fn from(cause: E) -> Self {
        match cause.trouble("agents") {
            CommonError::BodyTooLarge => Self::BodyTooLarge,
            CommonError::BadBody(why) => Self::invalid("invalid_json", why),
            CommonError::BadIdempotencyKey(why) => Self::invalid("invalid_idempotency_key", why),
            CommonError::IdempotencyKeyReused => {
                Self::conflict("idempotency_key_reuse", "This idempotency key was used for another request")
            }
            CommonError::MissingKey => Self::MissingKey,
            CommonError::InvalidKey => Self::InvalidKey,
            CommonError::Lacks(_) => Self::Forbidden,
            CommonError::Unavailable | CommonError::NoCapacity(_) => Self::Unavailable,
            CommonError::Internal => Self::Internal,
        }
    }
}
