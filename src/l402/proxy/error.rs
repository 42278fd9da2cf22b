//! Every error of the room, its HTTP status, its code and what it tells people.
//!
//! The body is the family's: `application/problem+json` (RFC 9457) with the older members `error` and `message`
//! beside it. No text names an upstream's address.

use axum::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::path::BadPath;
use super::price::Methods;
use crate::http::body::BodyError;
use crate::http::keys::{KeyError, Scope};
use crate::http::respond;
use crate::ids::NoRandomness;
use crate::store::StoreError;
use crate::webhooks::guard::BadUrl;

/// What a problem's type begins with: programs written for the original service know it.
const TYPES: &str = "https://lightningenable.com/problems/";

const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");

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
    /// 404: the proxy has no public manifest.
    ManifestNotFound,
    /// 404: there is no such document.
    ContentNotFound,
    /// 404: no route has this path.
    NotFound,
    /// 405: not with this method; with which.
    MethodNotAllowed(Methods),
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
    /// 503: the database or the till can't take this now.
    Unavailable,
    /// 504: the upstream takes too long.
    GatewayTimeout,
}

/// The body of every error.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProxyErrorView<'a> {
    #[serde(rename = "type")]
    #[schema(example = "https://lightningenable.com/problems/proxy_not_found")]
    kind: String,
    #[schema(example = "Not Found")]
    title: &'a str,
    #[schema(example = 404)]
    status: u16,
    /// For people.
    detail: &'a str,
    /// The path that was asked.
    instance: &'a str,
    /// The same as `title`.
    error: &'a str,
    /// The same as `detail`.
    message: &'a str,
    /// For programs.
    #[schema(example = "PROXY_NOT_FOUND")]
    code: &'a str,
}

impl ProxyError {
    /// 400 with a code.
    pub fn invalid(code: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid { code, message: message.into() }
    }

    /// What no handler answered (a time-out, a panic, a wrong method), as an error of this room.
    pub fn of_status(status: StatusCode) -> Self {
        match status.as_u16() {
            404 => Self::NotFound,
            405 => Self::MethodNotAllowed(Methods::default()),
            413 => Self::BodyTooLarge,
            408 | 503 | 504 => Self::Unavailable,
            _ => Self::Internal,
        }
    }

    /// HTTP status, code, message.
    fn row(&self) -> (u16, &'static str, &str) {
        match self {
            Self::Invalid { code, message } => (400, code, message),
            Self::MissingKey => (401, "MISSING_API_KEY", "API key is required. Include X-API-Key header."),
            Self::InvalidKey => (401, "INVALID_API_KEY", "Invalid API key"),
            Self::Forbidden(_) => (403, "FORBIDDEN", "The API key lacks the scope l402"),
            Self::PathForbidden => (403, "PATH_NOT_ALLOWED", "This path is not offered"),
            Self::ProxyNotFound => (404, "PROXY_NOT_FOUND", "Proxy not found"),
            Self::ManifestNotFound => (404, "MANIFEST_NOT_FOUND", "This proxy has no public manifest"),
            Self::ContentNotFound => (404, "CONTENT_NOT_FOUND", "There is no such content"),
            Self::NotFound => (404, "NOT_FOUND", "There is no such route"),
            Self::MethodNotAllowed(_) => (405, "METHOD_NOT_ALLOWED", "Not with this method"),
            Self::Stalled => (408, "REQUEST_TIMEOUT", "The request's body took too long"),
            Self::BodyTooLarge => (413, "BODY_TOO_LARGE", "The body is too large"),
            Self::TooMany(_) => (429, "RATE_LIMIT_EXCEEDED", "Rate limit exceeded"),
            Self::HeadersTooLarge => {
                (431, "HEADERS_TOO_LARGE", "The request has too many or too large headers")
            }
            Self::Internal => (500, "INTERNAL_ERROR", "An error occurred processing your request."),
            Self::BadGateway(why) => (502, "UPSTREAM_ERROR", why),
            Self::Unavailable => {
                (503, "SERVICE_UNAVAILABLE", "This can't be done at the moment; try again soon")
            }
            Self::GatewayTimeout => (504, "UPSTREAM_TIMEOUT", "The service behind this proxy took too long"),
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

    /// The answer to whoever asked for this path.
    pub fn answer(&self, path: &str) -> Response {
        let (status, code, message) = self.row();
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let title = status.canonical_reason().unwrap_or("Error");
        let view = ProxyErrorView {
            kind: format!("{TYPES}{}", code.to_ascii_lowercase()),
            title,
            status: status.as_u16(),
            detail: message,
            instance: path,
            error: title,
            message,
            code,
        };
        let mut response = respond::no_store(respond::json(status, &view));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, PROBLEM);
        match self {
            Self::MissingKey | Self::InvalidKey => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("ApiKey"));
            }
            Self::TooMany(retry_after) => {
                headers.insert(RETRY_AFTER, HeaderValue::from(*retry_after));
            }
            Self::Unavailable => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
            }
            Self::MethodNotAllowed(methods) => {
                if let Ok(list) = HeaderValue::try_from(methods.to_string()) {
                    headers.insert(ALLOW, list);
                }
            }
            _ => {}
        }
        response
    }
}

impl IntoResponse for ProxyError {
    fn into_response(self) -> Response {
        // Whoever knows the path puts it in; see `api`.
        let mut response = self.answer("");
        response.extensions_mut().insert(self);
        response
    }
}

impl From<BadPath> for ProxyError {
    fn from(error: BadPath) -> Self {
        Self::invalid("INVALID_PATH", error.to_string())
    }
}

impl From<BadUrl> for ProxyError {
    fn from(error: BadUrl) -> Self {
        Self::invalid("INVALID_TARGET", format!("targetBaseUrl: {error}"))
    }
}

impl From<BodyError> for ProxyError {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge => Self::BodyTooLarge,
            BodyError::Malformed { .. } | BodyError::NotAnObject | BodyError::Cut => {
                Self::invalid("INVALID_JSON", error.to_string())
            }
        }
    }
}

impl From<KeyError> for ProxyError {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Invalid | KeyError::BadText => Self::InvalidKey,
            KeyError::Missing => Self::MissingKey,
            KeyError::Lacks(scope) => Self::Forbidden(scope),
            KeyError::Store(error) => error.into(),
            KeyError::Randomness(error) => error.into(),
            KeyError::NoSuchKey | KeyError::BadKey => {
                tracing::error!(%error, "a proxy's request failed at its API key");
                Self::Internal
            }
        }
    }
}

impl From<StoreError> for ProxyError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(why) => {
                tracing::warn!(%why, "a proxy's request found the database not available");
                Self::Unavailable
            }
            StoreError::Closed => Self::Unavailable,
            other => {
                tracing::error!(error = %other, "a proxy's request failed in the database");
                Self::Internal
            }
        }
    }
}

impl From<rusqlite::Error> for ProxyError {
    fn from(error: rusqlite::Error) -> Self {
        StoreError::from(error).into()
    }
}

impl From<NoRandomness> for ProxyError {
    fn from(error: NoRandomness) -> Self {
        tracing::error!(%error, "nothing can be made for a proxy's request");
        Self::Internal
    }
}
