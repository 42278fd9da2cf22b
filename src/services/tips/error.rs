//! Every error of the family, its HTTP status, its code and what it tells people.
//!
//! All have one body: `{"errorMessage": "…", "code": "…"}`. Programs compare the code.

use std::fmt;

use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::common_error::{CommonError, IntoCommonError};
use crate::http::keys::Scope;
use crate::http::respond;
use crate::lightning::bolt12::BadOffer;
use crate::lightning::invoice::BadInvoice;
use crate::outbound::lnurl::payee::Unpayable;
use crate::services::tips::request::Invalid;
use crate::vouchers::Refused;

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.message())]
pub enum TipError {
    /// 400: a rule is broken; which one, in words for whoever sent it.
    Invalid {
        /// What programs compare.
        code: &'static str,
        /// Which rule.
        message: String,
    },
    /// 413: the body is larger than allowed.
    BodyTooLarge,
    /// 422: `Idempotency-Key` was used for another request.
    IdempotencyKeyReused,
    /// 401: nobody is logged in and no key was shown.
    Unauthorized,
    /// 401: the API key is unknown, revoked, or no key at all.
    KeyInvalid,
    /// 403: the API key is good for other things.
    KeyLacks(Scope),
    /// 403: it belongs to somebody else.
    Forbidden,
    /// 403: a browser says that another site's page sent this.
    ForeignPage,
    /// 404: there is no such thing.
    NotFound,
    /// 404: a login that never was, is over, or belongs to another browser.
    NoLogin,
    /// 405: the path exists, but not for this method.
    MethodNotAllowed,
    /// 406: the caller takes no JSON.
    NotAcceptable,
    /// 409: the state of things forbids it.
    Conflict {
        /// What programs compare.
        code: &'static str,
        /// Which state.
        message: &'static str,
    },
    /// 429: too many requests.
    TooMany {
        /// Seconds until the next may come; 0 if the limiter says it in its own headers.
        retry_after: u64,
    },
    /// 500: a bug, or the machine is broken; the log has it.
    Internal,
    /// 422: a lightning address gives no invoice for this; why, in words.
    AddressRefuses(String),
    /// 503: the node or the database can't take this now.
    Unavailable,
    /// 503: the mail server can't be reached, so no letter is sent.
    MailUnavailable,
    /// 503: the channels can't carry it.
    NoCapacity {
        /// In which direction.
        code: &'static str,
        /// What would do, where we know.
        message: String,
    },
}

/// The body of every error.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TipErrorView {
    /// For people.
    pub error_message: String,
    /// For programs.
    #[schema(example = "NOT_FOUND")]
    pub code: &'static str,
}

impl TipError {
    /// 400 with the code that has no other.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::Invalid { code: "BAD_REQUEST", message: message.into() }
    }

    /// What no handler answered (a time-out, a panic, a wrong method), as an error of this family.
    pub fn of_status(status: StatusCode) -> Self {
        match status.as_u16() {
            404 => Self::NotFound,
            405 => Self::MethodNotAllowed,
            406 => Self::NotAcceptable,
            413 => Self::BodyTooLarge,
            408 | 503 | 504 => Self::Unavailable,
            _ => Self::Internal,
        }
    }

    /// HTTP status, code, message.
    fn row(&self) -> (u16, &'static str, &str) {
        match self {
            Self::Invalid { code, message } => (400, code, message),
            Self::BodyTooLarge => (413, "BODY_TOO_LARGE", "The body is too large"),
            Self::IdempotencyKeyReused => {
                (422, "IDEMPOTENCY_KEY_REUSED", "This Idempotency-Key was used for another request")
            }
            Self::Unauthorized => (401, "UNAUTHORIZED", "Log in, or show an API key"),
            Self::KeyInvalid => (401, "API_KEY_INVALID", "The API key is not valid"),
            Self::KeyLacks(_) => (403, "API_KEY_LACKS_SCOPE", "The API key lacks the scope for this"),
            Self::Forbidden => (403, "FORBIDDEN", "This belongs to somebody else"),
            Self::ForeignPage => (403, "FOREIGN_PAGE", "This can only be asked from this site's own pages"),
            Self::NotFound => (404, "NOT_FOUND", "There is no such thing"),
            Self::NoLogin => (404, "LOGIN_NOT_FOUND", "This login is unknown or has expired; start again"),
            Self::MethodNotAllowed => (405, "METHOD_NOT_ALLOWED", "Not with this method"),
            Self::NotAcceptable => (406, "NOT_ACCEPTABLE", "The answer is JSON, which Accept does not admit"),
            Self::Conflict { code, message } => (409, code, message),
            Self::TooMany { .. } => (429, "TOO_MANY_REQUESTS", "Too many requests; wait a little"),
            Self::Internal => (500, "INTERNAL_ERROR", "Something went wrong here"),
            Self::AddressRefuses(message) => (422, "ADDRESS_REFUSES", message),
            Self::NoCapacity { code, message } => (503, code, message),
            Self::MailUnavailable => (
                503,
                "MAIL_UNAVAILABLE",
                "No letter could be sent: this site's mail server can't be reached. Try again in a minute",
            ),
            Self::Unavailable => (503, "UNAVAILABLE", "This can't be done at the moment; try again later"),
        }
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.row().0
    }

    /// What programs compare.
    pub fn code(&self) -> &'static str {
        self.row().1
    }

    /// What people read. Safe to show to whoever asked.
    pub fn message(&self) -> &str {
        self.row().2
    }

    /// Seconds to wait before trying again, where we know.
    pub fn retry_after(&self) -> Option<u64> {
        match self {
            Self::TooMany { retry_after } if *retry_after > 0 => Some(*retry_after),
            _ => None,
        }
    }
}

impl IntoResponse for TipError {
    fn into_response(self) -> Response {
        let (status, code, message) = self.row();
        let view = TipErrorView { error_message: message.to_owned(), code };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = respond::no_store(respond::json(status, &view));
        let headers = response.headers_mut();
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after() {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl<E: IntoCommonError> From<E> for TipError {
    fn from(cause: E) -> Self {
        match cause.trouble("tips") {
            CommonError::BodyTooLarge => Self::BodyTooLarge,
            CommonError::BadBody(message) => Self::Invalid { code: "BODY_NOT_JSON", message },
            CommonError::BadIdempotencyKey(message) => Self::Invalid { code: "IDEMPOTENCY_KEY_BAD", message },
            CommonError::IdempotencyKeyReused => Self::IdempotencyKeyReused,
            CommonError::MissingKey => Self::Unauthorized,
            CommonError::InvalidKey => Self::KeyInvalid,
            CommonError::Lacks(scope) => Self::KeyLacks(scope),
            CommonError::Unavailable => Self::Unavailable,
            CommonError::NoCapacity(refusal) => {
                Self::NoCapacity { code: refusal.code(), message: refusal.message() }
            }
            CommonError::Internal => Self::Internal,
        }
    }
}

impl From<Invalid> for TipError {
    fn from(Invalid { code, message }: Invalid) -> Self {
        Self::Invalid { code, message }
    }
}

impl TipError {
    /// Sats can't go where somebody wants them.
    fn nowhere(code: &'static str, why: impl fmt::Display) -> Self {
        Self::Invalid { code, message: format!("The sats can't go there: {why}") }
    }
}

impl From<BadInvoice> for TipError {
    fn from(why: BadInvoice) -> Self {
        Self::nowhere("INVOICE_INVALID", why)
    }
}

impl From<BadOffer> for TipError {
    fn from(why: BadOffer) -> Self {
        Self::nowhere("INVOICE_INVALID", why)
    }
}

impl From<Unpayable> for TipError {
    fn from(why: Unpayable) -> Self {
        match why {
            Unpayable::Invoice(why) => why.into(),
            Unpayable::Offer(why) => why.into(),
            Unpayable::NotTaken(why) => Self::nowhere("INVOICE_INVALID", why),
            Unpayable::Address(why) => Self::nowhere("ADDRESS_INVALID", why),
            Unpayable::Refuses(why) => {
                Self::AddressRefuses(format!("The lightning address gives no invoice at the moment: {why}"))
            }
        }
    }
}

impl From<Refused> for TipError {
    fn from(refused: Refused) -> Self {
        let (code, message) = match refused {
            Refused::OwnOffer => return BadOffer::Own.into(),
            Refused::Unfunded => ("TIP_UNFUNDED", "The tip is not paid for yet"),
            Refused::Pending => ("WITHDRAWAL_PENDING", "The tip is being withdrawn"),
            Refused::Spent => ("TIP_WITHDRAWN", "The tip has been withdrawn"),
            Refused::Expired => ("TIP_EXPIRED", "The tip has expired or was reclaimed"),
            Refused::WrongAmount => {
                ("AMOUNT_MISMATCH", "The invoice must be for exactly what can be withdrawn")
            }
            Refused::InvoiceUsed => ("INVOICE_USED", "This invoice was used before; take a fresh one"),
        };
        Self::Conflict { code, message }
    }
}
