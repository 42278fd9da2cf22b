//! The till: stands in for the real one, with its signatures.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;

use crate::http::client::Client;
use crate::http::respond;
use crate::ids::{AccountId, PaymentHash, to_hex};

/// What something costs.
#[derive(Clone, Debug)]
pub struct Price {
    /// The path that is paid for.
    pub resource: String,
    /// Sats.
    pub sats: u64,
    /// For the payer.
    pub description: String,
    /// Who is paid; `None` is the operator.
    pub account: Option<AccountId>,
    /// How long it is good; `None` is as for all.
    pub lifetime: Option<Duration>,
    /// Another resource whose token opens this one too.
    pub bundle: Option<String>,
}

impl Price {
    /// The operator's own resource.
    pub fn new(resource: impl Into<String>, sats: u64) -> Self {
        let resource = resource.into();
        Self { resource, sats, description: String::new(), account: None, lifetime: None, bundle: None }
    }
}

/// Whether a request may pass.
pub enum Admission {
    /// It has paid.
    Paid(Admitted),
    /// It has not: the answer.
    Refused(Response),
}

/// A request that has paid.
#[derive(Clone, Debug)]
pub struct Admitted {
    /// Of the invoice.
    pub payment_hash: PaymentHash,
    /// What was paid.
    pub amount_sat: u64,
    /// For the answer.
    pub receipt: Option<HeaderValue>,
    /// Whether this was the one answer that the payment is good for.
    pub once: bool,
}

impl Admitted {
    /// Puts on a good answer what belongs there.
    pub fn dress(&self, response: &mut Response) {
        if let Some(receipt) = &self.receipt {
            response.headers_mut().insert("payment-receipt", receipt.clone());
        }
    }
}

/// The till.
#[derive(Clone, Default)]
pub struct L402 {
    used: Arc<Mutex<HashMap<String, bool>>>,
}

impl L402 {
    /// Lets a request pass that has paid.
    pub async fn admit(&self, _client: Client, headers: &HeaderMap, price: &Price) -> Admission {
        let text = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or("");
        let wanted = format!("{}|{}", to_hex(price.resource.as_bytes()), price.sats);
        let admitted = Admitted {
            payment_hash: PaymentHash([1; 32]),
            amount_sat: price.sats,
            receipt: None,
            once: false,
        };
        let bundle = price.bundle.as_ref().map(|bundle| format!("L402 {}|", to_hex(bundle.as_bytes())));
        if text == format!("L402 {wanted}:00") || bundle.is_some_and(|bundle| text.starts_with(&bundle)) {
            return Admission::Paid(admitted);
        }
        if text == format!("Payment {wanted}") {
            let mut used = self.used.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if used.insert(to_hex(&[1; 32]), true) != Some(true) {
                return Admission::Paid(Admitted {
                    receipt: Some(HeaderValue::from_static("r")),
                    once: true,
                    ..admitted
                });
            }
        }
        let body = serde_json::json!({ "error": "Payment Required", "l402": { "macaroon": wanted } });
        let mut response = respond::json(StatusCode::PAYMENT_REQUIRED, &body);
        let challenge = format!("L402 macaroon=\"{wanted}\", invoice=\"lnbcrt1\"");
        if let Ok(challenge) = HeaderValue::try_from(challenge) {
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        Admission::Refused(response)
    }

    /// Makes good for another try what got nothing.
    pub async fn give_back(&self, admitted: Admitted) {
        let mut used = self.used.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        used.remove(&to_hex(&admitted.payment_hash.0));
    }
}
