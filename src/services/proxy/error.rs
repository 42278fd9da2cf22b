//! Every error of the service, its HTTP status, its code and what it tells people.
//!
//! The body is the family's ([`L402Error`]). No text names an upstream's address.

use axum::http::header::{ALLOW, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::glob::BadGlob;
use super::path::BadPath;
use super::price::Methods;
use crate::http::common_error::{CommonError, IntoCommonError};
use crate::http::keys::Scope;
use crate::outbound::guard::BadUrl;
use crate::services::l402::L402Error;

/// Why a request was not done, or not passed on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.message())]
pub enum ProxyError {
    /// 400: a rule is broken; which one, in words for whoever sent it.
    Invalid {
        /// What programs compare.
        code: &'static str,
        /// Which rule.
        message: String,
    },
    /// 401: no API key was shown.
    MissingKey,
    /// 401: the API key is unknown or revoked.
    InvalidKey,
    /// 403: the API key is good for other things.
    Forbidden(Scope),
    /// 403: the owner doesn't sell this path.
    PathForbidden,
    /// 404: there is no such proxy, or it belongs to another account, or is not in service.
    ProxyNotFound,
    /// 404: the proxy has no such endpoint.
    EndpointNotFound,
    /// 404: there is no such document.
    ContentNotFound,
    /// 404: no route has this path.
    NotFound,
    /// 405: not with this method; with which, if it is the owner who says so.
    MethodNotAllowed(Option<Methods>),
    /// 408: the client stopped sending.
    Stalled,
    /// 413: the body is larger than allowed.
    BodyTooLarge,
    /// 429: too many requests; seconds until the next may come.
    TooMany(u64),
    /// 431: too many headers, or too large ones.
    HeadersTooLarge,
    /// 500: a bug, or the machine is broken; the log has it.
    Internal,
    /// 502: the upstream can't be reached, breaks off or doesn't keep to HTTP; which.
    BadGateway(&'static str),
    /// 503: as many requests of this proxy as may be are on their way.
    Busy,
    /// 503: the operator has turned this off.
    NotEnabled,
    /// 503: the database or the challenger can't take this now.
    Unavailable,
    /// 504: the upstream takes too long.
    GatewayTimeout,
    /// 508: the proxy leads to itself.
    Loop,
}

impl ProxyError {
    /// 400 with a code.
    pub fn invalid(code: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid { code, message: message.into() }
    }

    /// What no handler answered (a time-out, a panic, a wrong method), as an error of this service.
    pub fn of_status(status: StatusCode) -> Self {
        match status.as_u16() {
            404 => Self::NotFound,
            405 => Self::MethodNotAllowed(None),
            413 => Self::BodyTooLarge,
            408 | 503 | 504 => Self::Unavailable,
            _ => Self::Internal,
        }
    }

    /// HTTP status, code, message.
    fn row(&self) -> (u16, &'static str, &str) {
        match self {
            Self::Invalid { code, message } => (400, code, message),
            Self::MissingKey => (401, "missing_api_key", "API key is required. Include X-API-Key header."),
            Self::InvalidKey => (401, "invalid_api_key", "Invalid API key"),
            Self::Forbidden(_) => (403, "forbidden", "The API key lacks the scope l402"),
            Self::PathForbidden => (403, "path_not_allowed", "This path is not offered"),
            Self::ProxyNotFound => (404, "proxy_not_found", "Proxy not found"),
            Self::EndpointNotFound => (404, "endpoint_not_found", "This proxy has no such endpoint"),
            Self::ContentNotFound => (404, "content_not_found", "There is no such content"),
            Self::NotFound => (404, "not_found", "There is no such route"),
            Self::MethodNotAllowed(_) => (405, "method_not_allowed", "Not with this method"),
            Self::Stalled => (408, "request_timeout", "The request's body took too long"),
            Self::BodyTooLarge => (413, "body_too_large", "The body is too large"),
            Self::TooMany(_) => (429, "rate_limit_exceeded", "Rate limit exceeded"),
            Self::HeadersTooLarge => {
                (431, "headers_too_large", "The request has too many or too large headers")
            }
            Self::Internal => (500, "internal_error", "An error occurred processing your request."),
            Self::BadGateway(why) => (502, "upstream_error", why),
            Self::Busy => {
                (503, "proxy_busy", "The service behind this proxy has enough to do; try again soon")
            }
            Self::NotEnabled => (503, "proxies_not_enabled", "Services are not sold on this server"),
            Self::Unavailable => {
                (503, "service_unavailable", "This can't be done at the moment; try again soon")
            }
            Self::Loop => (508, "loop_detected", "This proxy leads to itself"),
            Self::GatewayTimeout => (504, "upstream_timeout", "The service behind this proxy took too long"),
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

    /// As the family says it.
    fn family(&self) -> L402Error {
        match self {
            Self::MissingKey => L402Error::MissingKey,
            Self::InvalidKey => L402Error::InvalidKey,
            Self::Forbidden(_) => L402Error::Forbidden,
            Self::TooMany(retry_after) => L402Error::TooMany { quota: None, retry_after: *retry_after },
            Self::Unavailable => L402Error::NodeUnavailable,
            _ => {
                let (status, slug, message) = self.row();
                L402Error::Other { status, slug, message: message.to_owned() }
            }
        }
    }

    /// The answer to whoever asked for this path.
    pub fn answer(&self, path: &str) -> Response {
        self.family().answer(path)
    }
}

impl IntoResponse for ProxyError {
    fn into_response(self) -> Response {
        let mut response = self.family().into_response();
        if self == Self::Busy {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
        }
        if let Self::MethodNotAllowed(Some(methods)) = self
            && let Ok(list) = HeaderValue::try_from(methods.to_string())
        {
            response.headers_mut().insert(ALLOW, list);
        }
        response
    }
}

impl<E: IntoCommonError> From<E> for ProxyError {
    fn from(cause: E) -> Self {
        match cause.trouble("proxies") {
            CommonError::BodyTooLarge => Self::BodyTooLarge,
            CommonError::BadBody(why) => Self::invalid("invalid_json", why),
            CommonError::BadIdempotencyKey(why) => Self::invalid("invalid_idempotency_key", why),
            CommonError::MissingKey => Self::MissingKey,
            CommonError::InvalidKey => Self::InvalidKey,
            CommonError::Lacks(scope) => Self::Forbidden(scope),
            CommonError::Unavailable | CommonError::NoCapacity(_) => Self::Unavailable,
            // No request to this service is done only once.
            CommonError::IdempotencyKeyReused | CommonError::Internal => Self::Internal,
        }
    }
}

impl From<BadPath> for ProxyError {
    fn from(error: BadPath) -> Self {
        Self::invalid("invalid_path", error.to_string())
    }
}

impl From<BadGlob> for ProxyError {
    fn from(error: BadGlob) -> Self {
        Self::invalid("invalid_pattern", error.to_string())
    }
}

impl From<BadUrl> for ProxyError {
    fn from(error: BadUrl) -> Self {
        Self::invalid("invalid_target", format!("targetBaseUrl: {error}"))
    }
}
