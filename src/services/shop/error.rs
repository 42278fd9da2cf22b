//! Every error of the service, its HTTP status, its code and what it tells people, as a [`Problem`].

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::http::body::Invalid;
use crate::http::common_error::{CommonError, IntoCommonError};
use crate::http::keys::Scope;
use crate::http::problem::Problem;
use crate::lightning::invoice::BadInvoice;
use crate::rates::{ConvertError, RateUnavailable};

/// Seconds after which another try makes sense where something is down.
const SOON_SECS: u64 = 5;

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.message())]
pub enum ShopError {
    /// 400: a rule is broken; which one, in words for whoever sent it.
    Invalid {
        /// What programs compare.
        code: &'static str,
        /// Which rule.
        message: String,
    },
    /// 400: the rules of some members are broken. Never empty.
    InvalidFields(Vec<WrongField>),
    /// 413: the body is larger than allowed.
    BodyTooLarge,
    /// 409: the key was used for another request.
    IdempotencyKeyReuse,
    /// 401: no API key was shown.
    MissingKey,
    /// 401: the API key is unknown or revoked.
    InvalidKey,
    /// 403: the API key is good for other things.
    Forbidden(Scope),
    /// 404: there is no such store, or it is closed.
    StoreNotFound,
    /// 404: there is no such order, or the token is not its own.
    OrderNotFound,
    /// 404: no paid order has this claim token.
    ClaimNotFound,
    /// 404: nothing of this id is sold.
    ProductNotFound,
    /// 404: no route has this path.
    NotFound,
    /// 405: the path exists, but not for this method.
    MethodNotAllowed,
    /// 409: the state of things forbids it.
    Conflict {
        /// What programs compare.
        code: &'static str,
        /// Which state.
        message: String,
    },
    /// 429: too many requests.
    TooMany {
        /// Requests in a window and its length in seconds.
        quota: Option<(u32, u64)>,
        /// Seconds until the next may come.
        retry_after: u64,
    },
    /// 500: a bug, or the machine is broken; the log has it.
    Internal,
    /// 503: the payment is proved, and this node has not seen it settle yet.
    Settling,
    /// 503: there is no rate for a price in a currency.
    RateUnavailable,
    /// 503: the node or the database can't take this now.
    Unavailable,
    /// 503: the operator has switched the stores off.
    Disabled,
    /// 503: the channels can't carry it.
    NoCapacity {
        /// What programs compare.
        code: &'static str,
        /// Which limit.
        message: String,
    },
}

/// A member of a body that breaks a rule. Quotes nothing of what was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongField {
    /// Its name, without that of the object it is in.
    pub field: &'static str,
    /// What programs compare.
    pub code: &'static str,
    /// Which rule.
    pub message: String,
}

impl ShopError {
    /// 400 with a code.
    pub fn invalid(code: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid { code, message: message.into() }
    }

    /// 409 with a code.
    pub fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::Conflict { code, message: message.into() }
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

    /// HTTP status, code, message.
    fn row(&self) -> (u16, &'static str, &str) {
        match self {
            Self::Invalid { code, message } => (400, code, message),
            Self::InvalidFields(wrong) => match wrong.first() {
                Some(first) => (400, first.code, &first.message),
                None => (400, "INVALID_ADDRESS", "The address can't be used"),
            },
            Self::BodyTooLarge => (413, "BODY_TOO_LARGE", "The body is too large"),
            Self::IdempotencyKeyReuse => {
                (409, "IDEMPOTENCY_KEY_REUSE", "This idempotency key was used for another request")
            }
            Self::MissingKey => {
                (401, "MISSING_API_KEY", "An API key is required: Authorization: Bearer, or X-API-Key")
            }
            Self::InvalidKey => (401, "INVALID_API_KEY", "Invalid API key"),
            Self::Forbidden(_) => (403, "FORBIDDEN", "The API key lacks the scope payments"),
            Self::StoreNotFound => (404, "STORE_NOT_FOUND", "There is no such store"),
            Self::OrderNotFound => {
                (404, "ORDER_NOT_FOUND", "There is no such order, or the token is not its own")
            }
            Self::ClaimNotFound => (404, "CLAIM_NOT_FOUND", "No paid order has this claim token"),
            Self::ProductNotFound => (404, "PRODUCT_NOT_FOUND", "Nothing of this id is sold here"),
            Self::NotFound => (404, "NOT_FOUND", "There is no such route"),
            Self::MethodNotAllowed => (405, "METHOD_NOT_ALLOWED", "Not with this method"),
            Self::Conflict { code, message } => (409, code, message),
            Self::TooMany { .. } => (429, "RATE_LIMIT_EXCEEDED", "Rate limit exceeded"),
            Self::Internal => (500, "INTERNAL_ERROR", "An error occurred processing your request."),
            Self::Settling => (
                503,
                "PAYMENT_SETTLING",
                "The payment is known and settles now; send the same request again in a moment, and do not pay again",
            ),
            Self::RateUnavailable => {
                (503, "RATE_UNAVAILABLE", "There is no fresh exchange rate for this store's currency")
            }
            Self::Unavailable => {
                (503, "NODE_UNAVAILABLE", "Nothing can be sold at the moment; try again soon")
            }
            Self::Disabled => (503, "SHOP_DISABLED", "The operator of this server has closed its stores"),
            Self::NoCapacity { code, message } => (503, code, message),
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

    fn problem(&self) -> Problem {
        let (status, code, message) = self.row();
        let problem = Problem::new(status, code, message);
        match self {
            Self::TooMany { quota, retry_after } => {
                let quota = quota.map(|(limit, secs)| (limit, format!("{secs} seconds")));
                problem.too_many(quota, *retry_after)
            }
            Self::InvalidFields(wrong) => {
                let told = |wrong: &WrongField| json!({ "field": wrong.field, "message": wrong.message });
                problem.with("errors", wrong.iter().map(told).collect::<Vec<_>>())
            }
            Self::Settling => problem.retry_after(1),
            Self::RateUnavailable | Self::Unavailable | Self::NoCapacity { .. } => {
                problem.retry_after(SOON_SECS)
            }
            _ => problem,
        }
    }

    /// The answer to whoever asked for this path.
    pub fn answer(&self, path: &str) -> Response {
        self.problem().answer(path)
    }
}

impl IntoResponse for ShopError {
    fn into_response(self) -> Response {
        self.problem().into_response()
    }
}

impl From<Invalid> for ShopError {
    fn from(Invalid { code, message }: Invalid) -> Self {
        Self::Invalid { code, message }
    }
}

impl From<RateUnavailable> for ShopError {
    fn from(_: RateUnavailable) -> Self {
        Self::RateUnavailable
    }
}

impl From<ConvertError> for ShopError {
    fn from(error: ConvertError) -> Self {
        match error {
            ConvertError::NoRate => Self::RateUnavailable,
            ConvertError::TooLarge | ConvertError::TooPrecise { .. } => {
                Self::invalid("AMOUNT_TOO_LARGE", "The order comes to more than can be paid at once")
            }
        }
    }
}

impl From<BadInvoice> for ShopError {
    fn from(_: BadInvoice) -> Self {
        Self::invalid(
            "INVALID_INVOICE",
            "invoice must be a BOLT11 invoice that can be paid: of this network, for the exact amount, with time left",
        )
    }
}

impl<E: IntoCommonError> From<E> for ShopError {
    fn from(cause: E) -> Self {
        match cause.trouble("shop") {
            CommonError::BodyTooLarge => Self::BodyTooLarge,
            CommonError::BadBody(why) => Self::invalid("INVALID_JSON", why),
            CommonError::BadIdempotencyKey(why) => Self::invalid("INVALID_IDEMPOTENCY_KEY", why),
            CommonError::IdempotencyKeyReused => Self::IdempotencyKeyReuse,
            CommonError::MissingKey => Self::MissingKey,
            CommonError::InvalidKey => Self::InvalidKey,
            CommonError::Lacks(scope) => Self::Forbidden(scope),
            CommonError::Unavailable => Self::Unavailable,
            CommonError::NoCapacity(refusal) => {
                Self::NoCapacity { code: refusal.code(), message: refusal.message() }
            }
            CommonError::Internal => Self::Internal,
        }
    }
}
