//! The response that asks for payment: status 402, both challenges, and a problem document (RFC 9457).

use http::header::{ACCESS_CONTROL_EXPOSE_HEADERS, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use serde::Serialize;

use crate::time::rfc3339;
use crate::{IssuedChallenge, PaymentHash, VerifyError};

/// The receipt's header.
pub const PAYMENT_RECEIPT: HeaderName = HeaderName::from_static("payment-receipt");

/// The media type of a problem document.
pub const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// What the type of a payment's problem begins with, by the `Payment` scheme.
const PROBLEM_TYPES: &str = "https://paymentauth.org/problems/";

/// The headers that pages of other sites may read.
const EXPOSED: HeaderValue = HeaderValue::from_static("WWW-Authenticate, Payment-Receipt, Retry-After");

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// Lets pages of other sites read the headers that they need in order to pay, or to ask again.
pub fn expose_headers(headers: &mut HeaderMap) {
    if headers.get_all(ACCESS_CONTROL_EXPOSE_HEADERS).iter().all(|names| *names != EXPOSED) {
        headers.append(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
}

/// No cache may give the response to somebody who has not paid.
pub(crate) fn forbid_caching(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, NO_STORE);
}

/// The body of a 402.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct PaymentRequired<'a> {
    #[serde(rename = "type")]
    #[cfg_attr(feature = "utoipa", schema(example = "https://paymentauth.org/problems/payment-required"))]
    kind: String,
    #[cfg_attr(feature = "utoipa", schema(example = "Payment Required"))]
    title: &'a str,
    #[cfg_attr(feature = "utoipa", schema(example = 402))]
    status: u16,
    /// Why what was shown doesn't do.
    detail: String,
    /// What is sold.
    instance: &'a str,
    #[cfg_attr(feature = "utoipa", schema(example = "Payment Required"))]
    error: &'a str,
    #[cfg_attr(feature = "utoipa", schema(example = "Pay the Lightning invoice to access this resource"))]
    message: String,
    l402: Terms<'a>,
}

/// What to pay, and for what.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
struct Terms<'a> {
    /// Base64.
    macaroon: &'a str,
    /// BOLT11.
    invoice: &'a str,
    amount_sats: u64,
    #[cfg_attr(feature = "utoipa", schema(value_type = String))]
    payment_hash: PaymentHash,
    #[cfg_attr(feature = "utoipa", schema(value_type = String, format = DateTime))]
    expires_at: String,
    resource: &'a str,
}

impl IssuedChallenge {
    /// The body of the 402. `error` says why the request's credential was not accepted.
    pub fn body(&self, error: VerifyError) -> PaymentRequired<'_> {
        let title = "Payment Required";
        PaymentRequired {
            kind: format!("{PROBLEM_TYPES}{}", error.problem()),
            title,
            status: StatusCode::PAYMENT_REQUIRED.as_u16(),
            detail: error.to_string(),
            instance: &self.resource,
            error: title,
            message: VerifyError::Missing.to_string(),
            l402: Terms {
                macaroon: &self.macaroon,
                invoice: &self.invoice,
                amount_sats: self.amount_sat,
                payment_hash: self.payment_hash,
                expires_at: rfc3339(self.expires_at),
                resource: &self.resource,
            },
        }
    }

    /// The whole 402.
    pub fn response(&self, error: VerifyError) -> Response<Vec<u8>> {
        let mut response = problem(StatusCode::PAYMENT_REQUIRED, &self.body(error));
        let headers = response.headers_mut();
        for value in self.header_values() {
            headers.append(WWW_AUTHENTICATE, value);
        }
        expose_headers(headers);
        response
    }
}

/// A problem document that no cache keeps.
pub(crate) fn problem(status: StatusCode, body: &impl Serialize) -> Response<Vec<u8>> {
    // Nothing that is written here can fail to be JSON.
    let mut response = Response::new(serde_json::to_vec(body).unwrap_or_default());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, PROBLEM_JSON);
    forbid_caching(response.headers_mut());
    response
}
