//! Every error of the family, its HTTP status, its code and what it tells people.
//!
//! All have one body, a [`Problem`], where `error` is the title and `message` the detail. Programs compare `code`.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::ids::InvoiceId;
use super::request::Invalid;
use crate::http::common_error::{CommonError, IntoCommonError};
use crate::http::keys::Scope;
use crate::http::problem::Problem;
use crate::ledger::coin_fees::FeeRefused;
use crate::lightning::invoice::BadInvoice;
use crate::rates::{ConvertError, RateUnavailable};

/// Seconds after which another try makes sense where something is down.
const SOON_SECS: u64 = 5;

/// The same where fees have to fall.
const LATER_SECS: u64 = 600;

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.message())]
pub enum PaymentError {
    /// 400: a rule is broken; which one, in words for whoever sent it.
    Invalid {
        /// What programs compare.
        code: &'static str,
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
    Forbidden(Scope),
    /// 404: there is no such payment, or it belongs to another account.
    PaymentNotFound,
    /// 404: there is no such refund, or it belongs to another account.
    RefundNotFound,
    /// 404: no route has this path.
    NotFound,
    /// 405: the path exists, but not for this method.
    MethodNotAllowed,
    /// 409: the state of things forbids it.
    Conflict {
        /// What programs compare.
        code: &'static str,
        /// Which state.
        message: &'static str,
    },
    /// 409: the order was paid, by this payment.
    OrderPaid(InvoiceId),
    /// 429: too many requests.
    TooMany {
        /// Requests in a window and its length in seconds; `None` where all clients together were too many.
        quota: Option<(u32, u64)>,
        /// Seconds until the next may come.
        retry_after: u64,
    },
    /// 500: a bug, or the machine is broken; the log has it.
    Internal,
    /// 503: there is no fresh rate for this currency.
    RateUnavailable,
    /// 503: the node or the database can't take this now.
    NodeUnavailable,
    /// 503: the channels can't carry it.
    NoCapacity {
        /// In which direction.
        code: &'static str,
        /// What would do, where we know.
        message: String,
    },
    /// 503: the wallet has too few coins for a refund to an address.
    NoCoins,
    /// 503: a refund to an address would cost the miners' fee more than it may.
    MinersFee(FeeRefused),
}

impl PaymentError {
    /// 400 with a code.
    pub fn invalid(code: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid { code, message: message.into() }
    }

    /// 400: the cursor of a list is none that a page of it gave.
    pub fn bad_cursor() -> Self {
        Self::invalid("INVALID_CURSOR", "cursor must be the nextCursor of a page")
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

    /// HTTP status, code, message.
    fn row(&self) -> (u16, &'static str, &str) {
        match self {
            Self::Invalid { code, message } => (400, code, message),
            Self::OrderPaid(_) => (
                409,
                "ORDER_PAID",
                "This order was paid: invoiceId names the payment; send allowRepeat: true to have it paid once more",
            ),
            Self::BodyTooLarge => (413, "BODY_TOO_LARGE", "The body is too large"),
            Self::IdempotencyKeyReuse => {
                (409, "IDEMPOTENCY_KEY_REUSE", "This idempotency key was used for another request")
            }
            Self::MissingKey => (401, "MISSING_API_KEY", "API key is required. Include X-API-Key header."),
            Self::InvalidKey => (401, "INVALID_API_KEY", "Invalid API key"),
            Self::Forbidden(_) => (403, "FORBIDDEN", "The API key lacks the scope payments"),
            Self::PaymentNotFound => (404, "PAYMENT_NOT_FOUND", "Payment not found"),
            Self::RefundNotFound => (404, "REFUND_NOT_FOUND", "Refund not found"),
            Self::NotFound => (404, "NOT_FOUND", "There is no such route"),
            Self::MethodNotAllowed => (405, "METHOD_NOT_ALLOWED", "Not with this method"),
            Self::Conflict { code, message } => (409, code, message),
            Self::TooMany { .. } => (429, "RATE_LIMIT_EXCEEDED", "Rate limit exceeded"),
            Self::Internal => (500, "INTERNAL_ERROR", "An error occurred processing your request."),
            Self::RateUnavailable => {
                (503, "RATE_UNAVAILABLE", "There is no fresh exchange rate for this currency; try again soon")
            }
            Self::NodeUnavailable => {
                (503, "NODE_UNAVAILABLE", "Payments can't be taken at the moment; try again soon")
            }
            Self::NoCapacity { code, message } => (503, code, message),
            Self::MinersFee(FeeRefused::TooHigh { .. }) => (
                503,
                "ONCHAIN_FEE_TOO_HIGH",
                "Miners' fees are above this server's limit now; ask the customer for a lightningInvoice, or try later",
            ),
            Self::MinersFee(FeeRefused::AccountHour | FeeRefused::Hour) => (
                503,
                "ONCHAIN_FEE_LIMIT",
                "What this server pays for miners' fees in an hour is used up; ask the customer for a lightningInvoice, or try later",
            ),
            Self::NoCoins => (
                503,
                "INSUFFICIENT_ONCHAIN_FUNDS",
                "The server's wallet has too few coins; ask the customer for a lightningInvoice, or its operator for coins",
            ),
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

    /// As whoever asked is told it.
    fn problem(&self) -> Problem {
        let (status, code, message) = self.row();
        let problem = Problem::new(status, code, message);
        match self {
            Self::OrderPaid(paid) => problem.with("invoiceId", paid.to_string()),
            Self::TooMany { quota, retry_after } => {
                problem.too_many(quota.map(|(limit, secs)| (limit, span(secs))), *retry_after)
            }
            Self::MinersFee(_) => problem.retry_after(LATER_SECS),
            Self::RateUnavailable | Self::NodeUnavailable | Self::NoCapacity { .. } | Self::NoCoins => {
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

/// A window as people say it.
fn span(secs: u64) -> String {
    let (count, unit) = if secs.is_multiple_of(60) { (secs / 60, "minute") } else { (secs, "second") };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

impl IntoResponse for PaymentError {
    fn into_response(self) -> Response {
        self.problem().into_response()
    }
}

impl<E: IntoCommonError> From<E> for PaymentError {
    fn from(cause: E) -> Self {
        match cause.trouble("payments") {
            CommonError::BodyTooLarge => Self::BodyTooLarge,
            CommonError::BadBody(why) => Self::invalid("INVALID_JSON", why),
            CommonError::BadIdempotencyKey(why) => Self::invalid("INVALID_IDEMPOTENCY_KEY", why),
            CommonError::IdempotencyKeyReused => Self::IdempotencyKeyReuse,
            CommonError::MissingKey => Self::MissingKey,
            CommonError::InvalidKey => Self::InvalidKey,
            CommonError::Lacks(scope) => Self::Forbidden(scope),
            CommonError::Unavailable => Self::NodeUnavailable,
            CommonError::NoCapacity(refusal) => {
                Self::NoCapacity { code: refusal.code(), message: refusal.message() }
            }
            CommonError::Internal => Self::Internal,
        }
    }
}

impl From<Invalid> for PaymentError {
    fn from(Invalid { code, message }: Invalid) -> Self {
        Self::Invalid { code, message }
    }
}

impl From<BadInvoice> for PaymentError {
    fn from(_: BadInvoice) -> Self {
        Self::invalid(
            "INVALID_INVOICE",
            "lightningInvoice must be an invoice that can be paid: of this network, for the amount, with time left",
        )
    }
}

impl From<RateUnavailable> for PaymentError {
    fn from(_: RateUnavailable) -> Self {
        Self::RateUnavailable
    }
}

impl From<ConvertError> for PaymentError {
    fn from(error: ConvertError) -> Self {
        match error {
            ConvertError::NoRate => Self::RateUnavailable,
            ConvertError::TooLarge => Self::invalid("AMOUNT_TOO_LARGE", "Amount is too large"),
            ConvertError::TooPrecise { places: 0 } => {
                Self::invalid("INVALID_AMOUNT", "Amount must be a whole number in this currency")
            }
            ConvertError::TooPrecise { places } => Self::invalid(
                "INVALID_AMOUNT",
                format!("Amount must have at most {places} digits after the point in this currency"),
            ),
        }
    }
}
