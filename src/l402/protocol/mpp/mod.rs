//! The `Payment` scheme (draft-httpauth-payment-00) with the method `lightning` (draft-lightning-charge-00): its
//! challenge, credential and receipt, for a payment made at once (intent `charge`).

pub mod challenge;
pub mod credential;
pub mod jcs;
pub mod receipt;

pub use challenge::{Challenge, Charge, IdKey};
pub use credential::Credential;
pub use receipt::Receipt;

/// How is paid.
pub const METHOD: &str = "lightning";

/// What for: one payment, one answer.
pub const INTENT: &str = "charge";
