//! The one error of the admin API and its shape on the wire.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::http::keys::KeyError;
use crate::lightning::{InvoiceError, OperatorError};
use crate::storage::StoreError;

/// Why a request of the operator failed, by what they can do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdminError {
    /// 400: the request must be changed. The text says how.
    #[error("{0}")]
    BadRequest(String),
    /// 404: there is no such thing. The text says which, and where to look.
    #[error("{0}")]
    NotFound(String),
    /// 409: it can't be done as things are. The text says what stands in the way.
    #[error("{0}")]
    Refused(String),
    /// 429: this client has shown too many wrong keys.
    #[error("too many wrong keys came from your address; try again later with the right one")]
    TooManyWrongKeys,
    /// 503: not now; the same request may work later.
    #[error("{0}")]
    Unavailable(String),
    /// 500: a fault of ours. The cause is in the log, never in the answer.
    #[error("something went wrong inside satchel; its log says what")]
    Internal,
}

impl AdminError {
    /// Logs what must not be told and gives the error that may be.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        tracing::error!(%cause, "an admin request failed");
        Self::Internal
    }

    fn parts(&self) -> (StatusCode, &'static str) {
        match self {
            Self::BadRequest(_) => (StatusCode::BAD_REQUEST, "bad_request"),
            Self::NotFound(_) => (StatusCode::NOT_FOUND, "not_found"),
            Self::Refused(_) => (StatusCode::CONFLICT, "refused"),
            Self::TooManyWrongKeys => (StatusCode::TOO_MANY_REQUESTS, "too_many_wrong_keys"),
            Self::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        }
    }
}

impl IntoResponse for AdminError {
    fn into_response(self) -> Response {
        let (status, code) = self.parts();
        body(status, code, &self.to_string())
    }
}

/// What a request without the operator's key gets.
pub fn refusal(error: &KeyError) -> Response {
    let (status, code) = match error {
        KeyError::Lacks(_) => (StatusCode::FORBIDDEN, "forbidden"),
        KeyError::Store(_) | KeyError::Randomness(_) => {
            return AdminError::Unavailable("the database does not answer now; see the log".into())
                .into_response();
        }
        _ => (StatusCode::UNAUTHORIZED, "unauthorized"),
    };
    let help = "give the key of node-data/admin.key, or one with the scope admin, as `Authorization: Bearer`";
    body(status, code, &format!("{error}: {help}"))
}

impl From<OperatorError> for AdminError {
    fn from(error: OperatorError) -> Self {
        let text = error.to_string();
        match error {
            OperatorError::NotRunning => Self::Unavailable(text),
            OperatorError::BadInput(_) => Self::BadRequest(text),
            OperatorError::UnknownChannel(_) => Self::NotFound(text),
            OperatorError::Refused(_) => Self::Refused(text),
        }
    }
}

impl From<InvoiceError> for AdminError {
    fn from(error: InvoiceError) -> Self {
        match error {
            InvoiceError::NotRunning => OperatorError::NotRunning.into(),
            InvoiceError::Refused(text) => Self::Refused(text),
        }
    }
}

impl From<StoreError> for AdminError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => {
                Self::Unavailable("the database takes no writes now; `satchel doctor` says why".into())
            }
            StoreError::Closed => Self::Unavailable("satchel is being stopped".into()),
            other => Self::internal(other),
        }
    }
}

/// A path that exists, asked in another way.
pub async fn method_not_allowed() -> Response {
    body(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this path does not take that method")
}

/// A path that doesn't exist.
pub async fn no_such_route() -> AdminError {
    AdminError::NotFound("there is no such path; is this command of the same version as the server?".into())
}

fn body(status: StatusCode, code: &str, message: &str) -> Response {
    (status, Json(json!({ "error": { "code": code, "message": message } }))).into_response()
}
