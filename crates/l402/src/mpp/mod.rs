//! The `Payment` scheme (draft-httpauth-payment-00) with the method `lightning` (draft-lightning-charge-00): its
//! challenge, credential and receipt, for a payment made at once (intent `charge`).

pub mod challenge;
pub mod credential;
pub mod jcs;
pub mod receipt;

pub use challenge::{Challenge, Charge, IdKey};
pub use credential::Credential;
pub use receipt::Receipt;

/// The payment method.
pub const METHOD: &str = "lightning";

/// The kind of payment: one payment, one response.
pub const INTENT: &str = "charge";
