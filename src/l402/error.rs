//! Every error of the family, its HTTP status, its slug and what it tells people.
//!
//! All have one body, `application/problem+json` (RFC 9457), with the members that the family's older clients read
//! beside it: `error` and `code` are the slug, in lower and upper case, and `message` is the detail.

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::body::BodyError;
use crate::http::keys::KeyError;
use crate::http::respond;
use crate::ids::NoRandomness;
use crate::ledger::LedgerError;
use crate::lightning::{InvoiceError, NoCapacity};
use crate::store::StoreError;

/// What a problem's type begins with: programs written for the original service know it.
const TYPES: &str = "https://lightningenable.com/problems/";

/// The media type of every error.
pub const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");

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
    /// 503: no channel can receive that much.
    NoInboundCapacity,
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

/// The body of every error.
#[derive(Debug, Serialize, ToSchema)]
pub struct L402ErrorView<'a> {
    #[serde(rename = "type")]
    #[schema(example = "https://lightningenable.com/problems/invalid_status_filter")]
    kind: String,
    #[schema(example = "Bad Request")]
    title: &'a str,
    #[schema(example = 400)]
    status: u16,
    /// For people.
    detail: &'a str,
    /// The path that was asked.
    instance: &'a str,
    /// For programs.
    #[schema(example = "invalid_status_filter")]
    error: &'a str,
    /// The same as `detail`.
    message: &'a str,
    /// The same as `error`, in capitals.
    #[schema(example = "INVALID_STATUS_FILTER")]
    code: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    current_plan: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action_required: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<TooManyView>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TooManyView {
    /// Requests in a window.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "60 seconds")]
    window: Option<String>,
    /// Seconds.
    retry_after: u64,
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
            Self::NoInboundCapacity => {
                (503, "no_inbound_capacity", "This server can't receive that much now")
            }
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

    /// The answer to whoever asked for this path.
    pub fn answer(&self, path: &str) -> Response {
        let (status, slug, message) = self.row();
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let action_required = self.action_required();
        let details = match self {
            Self::TooMany { quota, retry_after } => Some(TooManyView {
                limit: quota.map(|(limit, _)| limit),
                window: quota.map(|(_, secs)| format!("{secs} seconds")),
                retry_after: *retry_after,
            }),
            _ => None,
        };
        let view = L402ErrorView {
            kind: format!("{TYPES}{slug}"),
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: message,
            instance: path,
            error: slug,
            message,
            code: slug.to_ascii_uppercase(),
            current_plan: action_required.map(|_| "none"),
            action_required,
            details,
        };
        let mut response = respond::no_store(respond::json(status, &view));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, PROBLEM);
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("ApiKey"));
        }
        match self {
            Self::TooMany { retry_after, .. } => {
                headers.insert(RETRY_AFTER, HeaderValue::from(*retry_after));
            }
            Self::Settling => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            Self::NodeUnavailable | Self::NoInboundCapacity => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
            }
            _ => {}
        }
        response
    }
}

impl IntoResponse for L402Error {
    fn into_response(self) -> Response {
        // Whoever knows the path puts it in; see `api`.
        let mut response = self.answer("");
        response.extensions_mut().insert(self);
        response
    }
}

impl From<BodyError> for L402Error {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge => Self::BodyTooLarge,
            BodyError::Malformed { .. } | BodyError::NotAnObject | BodyError::Cut => {
                Self::invalid("invalid_json", error.to_string())
            }
        }
    }
}

impl From<KeyError> for L402Error {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Invalid | KeyError::BadText => Self::InvalidKey,
            KeyError::Missing => Self::MissingKey,
            KeyError::Lacks(_) => Self::Forbidden,
            KeyError::Store(error) => error.into(),
            KeyError::Randomness(error) => error.into(),
            KeyError::NoSuchKey | KeyError::BadKey => {
                tracing::error!(%error, "a request to l402 failed at its API key");
                Self::Internal
            }
        }
    }
}

impl From<StoreError> for L402Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(why) => {
                tracing::warn!(%why, "a request to l402 found the database not available");
                Self::NodeUnavailable
            }
            StoreError::Closed => Self::NodeUnavailable,
            other => {
                tracing::error!(error = %other, "a request to l402 failed in the database");
                Self::Internal
            }
        }
    }
}

impl From<LedgerError> for L402Error {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Store(error) => error.into(),
            LedgerError::Broken(what) => {
                tracing::error!(%what, "a request to l402 failed in the ledger");
                Self::Internal
            }
        }
    }
}

impl From<NoCapacity> for L402Error {
    fn from(error: NoCapacity) -> Self {
        match error {
            NoCapacity::NotRunning => Self::NodeUnavailable,
            NoCapacity::TooLittle => Self::NoInboundCapacity,
        }
    }
}

impl From<InvoiceError> for L402Error {
    fn from(error: InvoiceError) -> Self {
        match error {
            InvoiceError::NotRunning => Self::NodeUnavailable,
            InvoiceError::Refused(why) => {
                tracing::error!(%why, "the node makes no invoice for l402");
                Self::Internal
            }
        }
    }
}

impl From<NoRandomness> for L402Error {
    fn from(error: NoRandomness) -> Self {
        tracing::error!(%error, "no token can be made");
        Self::Internal
    }
}
