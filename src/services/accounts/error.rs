//! Every error of the service, its HTTP status, its code and what it tells people, as a [`Problem`].

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::core::money::Msat;
use crate::http::body::Invalid;
use crate::http::common_error::{CommonError, IntoCommonError};
use crate::http::keys::Scope;
use crate::http::problem::Problem;
use crate::ledger::coin_fees::FeeRefused;
use crate::lightning::Shortfall;

/// Seconds after which another try makes sense where something is down.
const SOON_SECS: u64 = 5;

/// The same where fees have to fall, or an hour to pass.
const LATER_SECS: u64 = 600;

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.message())]
pub enum AccountError {
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
    /// 404: there is no such withdrawal, or it belongs to another account.
    WithdrawalNotFound,
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
    /// 503: the node or the database can't take this now.
    Unavailable,
    /// 503: the operator has switched withdrawals off.
    Disabled,
    /// 503: the channels can't send so much in one payment.
    NoCapacity {
        /// The most that they can.
        most: Msat,
        /// Which limit stands in the way.
        message: String,
    },
    /// 503: the wallet has too few coins for an address.
    NoCoins,
    /// 503: nobody knows what miners want now.
    NoFeeRate,
    /// 503: the miners' fee would be more than it may.
    MinersFee(FeeRefused),
}

impl AccountError {
    /// 400 with a code.
    pub fn invalid(code: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid { code, message: message.into() }
    }

    /// 409 with a code.
    pub fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::Conflict { code, message: message.into() }
    }

    /// 409: the account has less than it takes.
    pub fn no_balance(needed: Msat, available: Msat) -> Self {
        Self::conflict(
            "INSUFFICIENT_BALANCE",
            format!("It takes {needed} with the reserve for fees; the account has {available}"),
        )
    }

    /// 503: the channels can't send so much.
    pub fn no_capacity(shortfall: &Shortfall) -> Self {
        let most = shortfall.bound;
        let less = if most.sat_floor() > 0 { "; withdraw less at once" } else { "" };
        let message =
            format!("This server can't send so much by Lightning in one payment: {shortfall}{less}");
        Self::NoCapacity { most, message }
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
            Self::BodyTooLarge => (413, "BODY_TOO_LARGE", "The body is too large"),
            Self::IdempotencyKeyReuse => {
                (409, "IDEMPOTENCY_KEY_REUSE", "This idempotency key was used for another request")
            }
            Self::MissingKey => {
                (401, "MISSING_API_KEY", "An API key is required: Authorization: Bearer, or X-API-Key")
            }
            Self::InvalidKey => (401, "INVALID_API_KEY", "Invalid API key"),
            Self::Forbidden(Scope::Withdraw) => (403, "FORBIDDEN", "The API key lacks the scope withdraw"),
            Self::Forbidden(_) => {
                (403, "FORBIDDEN", "The API key needs one of the scopes payments, l402, withdraw")
            }
            Self::WithdrawalNotFound => (404, "WITHDRAWAL_NOT_FOUND", "Withdrawal not found"),
            Self::NotFound => (404, "NOT_FOUND", "There is no such route"),
            Self::MethodNotAllowed => (405, "METHOD_NOT_ALLOWED", "Not with this method"),
            Self::Conflict { code, message } => (409, code, message),
            Self::TooMany { .. } => (429, "RATE_LIMIT_EXCEEDED", "Rate limit exceeded"),
            Self::Internal => (500, "INTERNAL_ERROR", "An error occurred processing your request."),
            Self::Unavailable => {
                (503, "NODE_UNAVAILABLE", "Nothing can be withdrawn at the moment; try again soon")
            }
            Self::Disabled => {
                (503, "WITHDRAWALS_DISABLED", "The operator of this server has switched withdrawals off")
            }
            Self::NoCapacity { message, .. } => (503, "NO_OUTBOUND_CAPACITY", message),
            Self::NoCoins => (
                503,
                "INSUFFICIENT_ONCHAIN_FUNDS",
                "The server's wallet has too few coins; withdraw by Lightning, or ask its operator for coins",
            ),
            Self::NoFeeRate => (
                503,
                "ONCHAIN_FEE_UNKNOWN",
                "The server does not know what miners want now; withdraw by Lightning, or try later",
            ),
            Self::MinersFee(FeeRefused::TooHigh { .. }) => (
                503,
                "ONCHAIN_FEE_TOO_HIGH",
                "A transaction could cost more in miners' fees than this server's limit now, by what miners want and how many small coins its wallet has; withdraw by Lightning, or try later",
            ),
            Self::MinersFee(FeeRefused::AccountHour | FeeRefused::Hour) => (
                503,
                "ONCHAIN_FEE_LIMIT",
                "What this server pays for miners' fees in an hour is used up; withdraw by Lightning, or try later",
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

    fn problem(&self) -> Problem {
        let (status, code, message) = self.row();
        let problem = Problem::new(status, code, message);
        match self {
            Self::TooMany { quota, retry_after } => {
                let quota = quota.map(|(limit, secs)| (limit, format!("{secs} seconds")));
                problem.too_many(quota, *retry_after)
            }
            Self::Unavailable | Self::NoCoins => problem.retry_after(SOON_SECS),
            Self::NoFeeRate | Self::MinersFee(_) | Self::NoCapacity { .. } => problem.retry_after(LATER_SECS),
            _ => problem,
        }
    }

    /// The answer to whoever asked for this path.
    pub fn answer(&self, path: &str) -> Response {
        self.problem().answer(path)
    }
}

impl IntoResponse for AccountError {
    fn into_response(self) -> Response {
        self.problem().into_response()
    }
}

impl From<Invalid> for AccountError {
    fn from(Invalid { code, message }: Invalid) -> Self {
        Self::Invalid { code, message }
    }
}

impl<E: IntoCommonError> From<E> for AccountError {
    fn from(cause: E) -> Self {
        match cause.trouble("accounts") {
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
