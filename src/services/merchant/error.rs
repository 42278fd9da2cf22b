//! Every error of the service, its HTTP status, its slug and what it tells people, as a [`Problem`].

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::http::common_error::{CommonError, IntoCommonError};
use crate::http::problem::Problem;

/// Seconds after which another try makes sense where something is down.
const SOON_SECS: u64 = 5;

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.message())]
pub enum MerchantError {
    /// 400: a rule is broken; which one, in words for whoever sent it.
    Invalid {
        /// What programs compare.
        slug: &'static str,
        /// Which rule.
        message: String,
    },
    /// 413: the body is larger than allowed.
    BodyTooLarge,
    /// 401: no API key was shown.
    MissingKey,
    /// 401: the API key is unknown or revoked.
    InvalidKey,
    /// 403: the API key is good for other things.
    Forbidden,
    /// 403: the operator sells no accounts.
    SignupDisabled,
    /// 404: no route has this path.
    NotFound,
    /// 405: the path exists, but not for this method.
    MethodNotAllowed,
    /// 409: the payment provider can't be another than this node.
    OtherProvider,
    /// 409: the key that a payment bought has been revoked.
    KeyRevoked,
    /// 410: the original service has it, and here it means nothing; why.
    Retired(&'static str),
    /// 429: too many requests.
    TooMany {
        /// Requests in a window and its length in seconds.
        quota: Option<(u32, u64)>,
        /// Seconds until the next may come.
        retry_after: u64,
    },
    /// 500: a bug, or the machine is broken; the log has it.
    Internal,
    /// 503: the node or the database can't take this now.
    Unavailable,
}

impl MerchantError {
    /// 400 with a slug.
    pub fn invalid(slug: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid { slug, message: message.into() }
    }

    /// What another service's error of this status means here.
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
            Self::BodyTooLarge => (413, "body_too_large", "The body is too large"),
            Self::MissingKey => (401, "missing_api_key", "API key is required. Include X-API-Key header."),
            Self::InvalidKey => (401, "invalid_api_key", "Invalid API key"),
            Self::Forbidden => {
                (403, "forbidden", "The API key needs one of the scopes payments, l402, withdraw")
            }
            Self::SignupDisabled => (
                403,
                "signup_disabled",
                "The operator of this server sells no accounts; ask them for an API key",
            ),
            Self::NotFound => (404, "not_found", "There is no such route"),
            Self::MethodNotAllowed => (405, "method_not_allowed", "Not with this method"),
            Self::OtherProvider => (
                409,
                "provider_not_supported",
                "Payments are taken by this server's own Lightning node: the only provider is \"ldk\"",
            ),
            Self::KeyRevoked => (
                409,
                "key_revoked",
                "The API key that this payment bought has been revoked; ask the operator",
            ),
            Self::Retired(why) => (410, "endpoint_retired", why),
            Self::TooMany { .. } => (429, "rate_limit_exceeded", "Rate limit exceeded"),
            Self::Internal => (500, "internal_error", "An error occurred processing your request."),
            Self::Unavailable => (503, "unavailable", "This can't be done at the moment; try again soon"),
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

    fn problem(&self) -> Problem {
        let (status, slug, message) = self.row();
        let problem = Problem::new(status, slug, message).error(slug);
        match self {
            Self::TooMany { quota, retry_after } => {
                problem.too_many(quota.map(|(limit, secs)| (limit, format!("{secs} seconds"))), *retry_after)
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

impl IntoResponse for MerchantError {
    fn into_response(self) -> Response {
        self.problem().into_response()
    }
}

impl<E: IntoCommonError> From<E> for MerchantError {
    fn from(cause: E) -> Self {
        match cause.trouble("merchant") {
            CommonError::BodyTooLarge => Self::BodyTooLarge,
            CommonError::BadBody(why) => Self::invalid("invalid_json", why),
            CommonError::MissingKey => Self::MissingKey,
            CommonError::InvalidKey => Self::InvalidKey,
            CommonError::Lacks(_) => Self::Forbidden,
            CommonError::Unavailable | CommonError::NoCapacity(_) => Self::Unavailable,
            CommonError::BadIdempotencyKey(_) | CommonError::IdempotencyKeyReused | CommonError::Internal => {
                Self::Internal
            }
        }
    }
}
