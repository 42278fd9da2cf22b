//! What a client gets besides its answer.

use serde::{Deserialize, Serialize};

use super::METHOD;
use crate::clock::UnixMillis;
use crate::clock::iso::IsoSeconds;
use crate::ids::PaymentHash;
use crate::l402::protocol::b64;

/// The JSON of `Payment-Receipt`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// `success`.
    pub status: String,
    /// How was paid.
    pub method: String,
    /// RFC 3339.
    pub timestamp: String,
    /// The payment's hash.
    pub reference: String,
    /// Which challenge was answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub challenge_id: Option<String>,
}

impl Receipt {
    /// For a payment that opened the door.
    pub fn new(payment_hash: PaymentHash, challenge_id: Option<String>, now: UnixMillis) -> Self {
        Self {
            status: "success".into(),
            method: METHOD.into(),
            timestamp: IsoSeconds(now).to_string(),
            reference: payment_hash.to_string(),
            challenge_id,
        }
    }

    /// As a header's value.
    pub fn to_header(&self) -> Option<String> {
        serde_json::to_vec(self).ok().map(|json| b64::url(&json))
    }
}
