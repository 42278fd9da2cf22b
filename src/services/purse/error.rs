//! Every error of the service, its HTTP status, its code and what it tells people, as a [`Problem`].

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::view::PaidView;
use crate::core::money::Msat;
use crate::http::body::Invalid;
use crate::http::common_error::{CommonError, IntoCommonError};
use crate::http::keys::Scope;
use crate::http::problem::Problem;
use crate::lightning::Shortfall;

/// Seconds after which another try makes sense where something is down or under way.
const SOON_SECS: u64 = 5;

/// Which limit holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// What the request itself said: `maxSats`.
    MaxSats,
    /// The purse's limit for one request.
    PerRequest,
    /// The purse's limit for a day.
    PerDay,
    /// What the purse may spend in all.
    Budget,
    /// What the account has.
    Balance,
}

impl Limit {
    const fn code(self) -> &'static str {
        match self {
            Self::MaxSats => "MAX_SATS",
            Self::PerRequest => "PER_REQUEST_LIMIT",
            Self::PerDay => "PER_DAY_LIMIT",
            Self::Budget => "BUDGET_LIMIT",
            Self::Balance => "INSUFFICIENT_BALANCE",
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::MaxSats => "the request's maxSats",
            Self::PerRequest => "the purse's limit for one request",
            Self::PerDay => "the purse's limit for a day (UTC)",
            Self::Budget => "the purse's budget",
            Self::Balance => "the account's balance",
        }
    }
}

/// A payment that a limit forbids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverLimit {
    /// Which.
    pub limit: Limit,
    /// What the payment takes, with its reserve for routing where that counts.
    pub needed: Msat,
    /// How much may still be spent under this limit.
    pub left: Msat,
}

impl OverLimit {
    fn message(&self) -> String {
        format!("It takes {}; {} leaves {}", self.needed, self.limit.words(), self.left)
    }
}

/// Why a request was not done.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", self.message())]
pub enum PurseError {
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
    /// 403: the API key has no purse.
    NoPurse,
    /// 403: the purse may not do that: ask this host, pay invoices.
    NotAllowed {
        /// What programs compare.
        code: &'static str,
        /// What is not allowed.
        message: String,
    },
    /// 409: a limit forbids the payment.
    OverLimit(OverLimit),
    /// 409: the state of things forbids it.
    Conflict {
        /// What programs compare.
        code: &'static str,
        /// Which state.
        message: String,
    },
    /// 404: the purse has made no such payment.
    PaymentNotFound,
    /// 404: no route has this path.
    NotFound,
    /// 405: the path exists, but not for this method.
    MethodNotAllowed,
    /// 429: too many requests.
    TooMany {
        /// Requests in a window and its length in seconds.
        quota: Option<(u32, u64)>,
        /// Seconds until the next may come.
        retry_after: u64,
    },
    /// 502 or 504: the service can't be used; nothing was paid by this request.
    Upstream {
        /// HTTP status of ours.
        status: u16,
        /// What programs compare.
        code: &'static str,
        /// Why.
        message: String,
    },
    /// 502 or 504: this request has paid, and has no answer of the service's.
    AfterPayment {
        /// Why.
        cause: Box<PurseError>,
        /// What was paid.
        paid: Box<PaidView>,
    },
    /// 504: the payment is under way, or nobody knows yet.
    Pending(Box<PaidView>),
    /// 502: the payment did not arrive; nothing was paid.
    PaymentFailed(String),
    /// 500: a bug, or the machine is broken; the log has it.
    Internal,
    /// 503: the node or the database can't take this now.
    Unavailable,
    /// 503: this server's channels can't carry the payment; nothing was paid.
    NoCapacity(Shortfall),
    /// 503: the operator has switched purses off.
    Disabled,
}

impl PurseError {
    /// 400 with a code.
    pub fn invalid(code: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid { code, message: message.into() }
    }

    /// 409 with a code.
    pub fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::Conflict { code, message: message.into() }
    }

    /// 502: what the service sent can't be used.
    pub fn bad_answer(code: &'static str, message: impl Into<String>) -> Self {
        Self::Upstream { status: 502, code, message: message.into() }
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

    /// HTTP status and code.
    fn kind(&self) -> (u16, &'static str) {
        match self {
            Self::Invalid { code, .. } => (400, code),
            Self::BodyTooLarge => (413, "BODY_TOO_LARGE"),
            Self::IdempotencyKeyReuse => (409, "IDEMPOTENCY_KEY_REUSE"),
            Self::MissingKey => (401, "MISSING_API_KEY"),
            Self::InvalidKey => (401, "INVALID_API_KEY"),
            Self::Forbidden(_) => (403, "FORBIDDEN"),
            Self::NoPurse => (403, "NO_PURSE"),
            Self::NotAllowed { code, .. } => (403, code),
            Self::OverLimit(over) => (409, over.limit.code()),
            Self::Conflict { code, .. } => (409, code),
            Self::PaymentNotFound => (404, "PAYMENT_NOT_FOUND"),
            Self::NotFound => (404, "NOT_FOUND"),
            Self::MethodNotAllowed => (405, "METHOD_NOT_ALLOWED"),
            Self::TooMany { .. } => (429, "RATE_LIMIT_EXCEEDED"),
            Self::Upstream { status, code, .. } => (*status, code),
            Self::AfterPayment { cause, .. } => cause.kind(),
            Self::Pending(_) => (504, "PAYMENT_PENDING"),
            Self::PaymentFailed(_) => (502, "PAYMENT_FAILED"),
            Self::Internal => (500, "INTERNAL_ERROR"),
            Self::Unavailable => (503, "UNAVAILABLE"),
            Self::NoCapacity(_) => (503, "NO_OUTBOUND_CAPACITY"),
            Self::Disabled => (503, "PURSES_DISABLED"),
        }
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.kind().0
    }

    /// What programs compare.
    pub fn code(&self) -> &'static str {
        self.kind().1
    }

    /// What people read. Safe to show to whoever asked.
    pub fn message(&self) -> String {
        let fixed = match self {
            Self::Invalid { message, .. }
            | Self::NotAllowed { message, .. }
            | Self::Conflict { message, .. }
            | Self::Upstream { message, .. } => return message.clone(),
            Self::OverLimit(over) => return over.message(),
            Self::AfterPayment { cause, .. } => {
                return format!(
                    "{}. It is paid; send the same request again (with its Idempotency-Key, if it had one), and what was paid is used",
                    cause.message()
                );
            }
            Self::NoCapacity(shortfall) => return format!("Nothing was paid: {shortfall}"),
            Self::PaymentFailed(why) => return format!("Nothing was paid: {why}"),
            Self::BodyTooLarge => "The body is too large",
            Self::IdempotencyKeyReuse => "This idempotency key was used for another request",
            Self::MissingKey => "An API key is required: Authorization: Bearer, or X-API-Key",
            Self::InvalidKey => "Invalid API key",
            Self::Forbidden(_) => "The API key lacks the scope purse",
            Self::NoPurse => "The API key has no purse, or its purse was revoked",
            Self::PaymentNotFound => "Payment not found",
            Self::NotFound => "There is no such route",
            Self::MethodNotAllowed => "Not with this method",
            Self::TooMany { .. } => "Rate limit exceeded",
            Self::Pending(_) => {
                "The payment is under way; what it may take stays reserved. Send the same request with the same \
                 Idempotency-Key again, or ask GET /v1/purse/payments/{paymentId}"
            }
            Self::Internal => "An error occurred processing your request.",
            Self::Unavailable => "Nothing can be paid at the moment; try again soon",
            Self::Disabled => "The operator of this server has switched purses off",
        };
        fixed.to_owned()
    }

    fn problem(&self) -> Problem {
        let (status, code) = self.kind();
        let problem = Problem::new(status, code, &self.message());
        match self {
            Self::TooMany { quota, retry_after } => {
                let quota = quota.map(|(limit, secs)| (limit, format!("{secs} seconds")));
                problem.too_many(quota, *retry_after)
            }
            Self::Unavailable => problem.retry_after(SOON_SECS),
            Self::OverLimit(over) => problem
                .with("limit", over.limit.words())
                .with("neededSat", over.needed.get().div_ceil(1_000))
                .with("leftSat", over.left.sat_floor()),
            Self::NoCapacity(shortfall) => problem
                .with("limit", shortfall.to_string())
                .with("leftSat", shortfall.bound.sat_floor())
                .retry_after(SOON_SECS),
            Self::Pending(paid) => problem.with("payment", json_of(paid)).retry_after(SOON_SECS),
            Self::AfterPayment { paid, .. } => problem.with("paid", json_of(paid)),
            _ => problem,
        }
    }

    /// The answer to whoever asked for this path.
    pub fn answer(&self, path: &str) -> Response {
        self.problem().answer(path)
    }
}

fn json_of(paid: &PaidView) -> Value {
    serde_json::to_value(paid).unwrap_or_default()
}

impl IntoResponse for PurseError {
    fn into_response(self) -> Response {
        self.problem().into_response()
    }
}

impl From<Invalid> for PurseError {
    fn from(Invalid { code, message }: Invalid) -> Self {
        Self::Invalid { code, message }
    }
}

impl<E: IntoCommonError> From<E> for PurseError {
    fn from(cause: E) -> Self {
        match cause.trouble("purse") {
            CommonError::BodyTooLarge => Self::BodyTooLarge,
            CommonError::BadBody(why) => Self::invalid("INVALID_JSON", why),
            CommonError::BadIdempotencyKey(why) => Self::invalid("INVALID_IDEMPOTENCY_KEY", why),
            CommonError::IdempotencyKeyReused => Self::IdempotencyKeyReuse,
            CommonError::MissingKey => Self::MissingKey,
            CommonError::InvalidKey => Self::InvalidKey,
            CommonError::Lacks(scope) => Self::Forbidden(scope),
            CommonError::Unavailable | CommonError::NoCapacity(_) => Self::Unavailable,
            CommonError::Internal => Self::Internal,
        }
    }
}
