//! The receipt that a client gets with its response.

use http::HeaderValue;
use serde::{Deserialize, Serialize};

use super::METHOD;
use crate::time::rfc3339;
use crate::{PaymentHash, b64};

/// The JSON of `Payment-Receipt`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// `success`.
    pub status: String,
    /// The payment method.
    pub method: String,
    /// RFC 3339.
    pub timestamp: String,
    /// The payment's hash.
    pub reference: String,
    /// The id of the challenge that was paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub challenge_id: Option<String>,
}

impl Receipt {
    /// For a payment that was accepted, `now` in unix seconds.
    pub fn new(payment_hash: PaymentHash, challenge_id: Option<String>, now: i64) -> Self {
        Self {
            status: "success".into(),
            method: METHOD.into(),
            timestamp: rfc3339(now),
            reference: payment_hash.to_string(),
            challenge_id,
        }
    }

    /// As a header's value.
    pub fn to_header(&self) -> Option<HeaderValue> {
        HeaderValue::try_from(b64::url(&serde_json::to_vec(self).ok()?)).ok()
    }
}
