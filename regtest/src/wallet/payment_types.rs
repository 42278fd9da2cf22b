//! What a wallet is asked and answers about invoices and payments.

use ldk_node::bitcoin::hashes::{Hash, sha256};
use ldk_node::lightning_invoice::{Bolt11InvoiceDescription, Description, Sha256};
use ldk_node::payment::{PaymentDetails, PaymentDirection, PaymentKind, PaymentStatus as NodeStatus};
use serde::{Deserialize, Serialize};

use super::error::WalletError;
use crate::ports;

/// What an invoice shall be for. Without an amount, the payer chooses it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InvoiceRequest {
    /// In sat; give this or `amount_msat`.
    pub amount_sat: Option<u64>,
    /// In msat; give this or `amount_sat`.
    pub amount_msat: Option<u64>,
    /// Shown to the payer; empty if missing.
    pub description: Option<String>,
    /// Seconds until it expires; an hour if missing.
    pub expiry_secs: Option<u32>,
    /// Whether a payment shall stay locked until `Wallet::claim` or `Wallet::fail`.
    #[serde(default)]
    pub hold: bool,
    /// A hash to commit to instead of a description, for LNURL services in tests; not over HTTP.
    #[serde(skip)]
    pub description_hash: Option<[u8; 32]>,
}

impl InvoiceRequest {
    /// An ordinary invoice over `amount` sat.
    pub fn sat(amount: u64) -> Self {
        Self { amount_sat: Some(amount), ..Self::default() }
    }

    /// An ordinary invoice over `amount` msat.
    pub fn msat(amount: u64) -> Self {
        Self { amount_msat: Some(amount), ..Self::default() }
    }

    /// An invoice without an amount.
    pub fn open() -> Self {
        Self::default()
    }

    /// The same as a hold invoice.
    pub fn hold(self) -> Self {
        Self { hold: true, ..self }
    }

    /// The same with another expiry.
    pub fn expires_in(self, secs: u32) -> Self {
        Self { expiry_secs: Some(secs), ..self }
    }

    /// The same with a description.
    pub fn description(self, text: &str) -> Self {
        Self { description: Some(text.to_owned()), ..self }
    }

    /// The same with a hash to commit to instead of a description.
    pub fn description_hash(self, hash: [u8; 32]) -> Self {
        Self { description_hash: Some(hash), ..self }
    }

    pub(super) fn checked_description(&self) -> Result<Bolt11InvoiceDescription, WalletError> {
        if let Some(hash) = self.description_hash {
            return Ok(Bolt11InvoiceDescription::Hash(Sha256(sha256::Hash::from_byte_array(hash))));
        }
        let text = self.description.clone().unwrap_or_default();
        let description =
            Description::new(text).map_err(|error| WalletError::BadRequest(error.to_string()))?;
        Ok(Bolt11InvoiceDescription::Direct(description))
    }

    pub(super) fn checked_msat(&self) -> Result<Option<u64>, WalletError> {
        let bad = |text: &str| Err(WalletError::BadRequest(text.to_owned()));
        match (self.amount_sat, self.amount_msat) {
            (Some(_), Some(_)) => bad("give amount_sat or amount_msat, not both"),
            (Some(0), None) | (None, Some(0)) => {
                bad("the amount must not be 0; leave it out for an open invoice")
            }
            (Some(sat), None) => match sat.checked_mul(1_000) {
                Some(msat) => Ok(Some(msat)),
                None => bad("the amount is too large"),
            },
            (None, msat) => Ok(msat),
        }
    }
}

/// An invoice of the wallet.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Invoice {
    /// BOLT11.
    pub invoice: String,
    /// In hex.
    pub payment_hash: String,
}

/// What to pay.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PayRequest {
    /// BOLT11.
    pub invoice: String,
    /// In sat; needed for an invoice without an amount.
    pub amount_sat: Option<u64>,
    /// The most that routing may cost, in sat.
    pub max_fee_sat: Option<u64>,
}

/// A payment that succeeded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paid {
    /// In hex.
    pub preimage: String,
    /// In hex.
    pub payment_hash: String,
    /// What routing cost, in msat.
    pub fee_msat: u64,
}

/// How far a payment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PaymentStatus {
    /// Not at its end: unpaid, on its way, or held.
    Pending,
    /// Money has moved.
    Succeeded,
    /// It will never move.
    Failed,
}

/// A wallet's record of a payment, in or out.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Payment {
    /// How far it is.
    pub status: PaymentStatus,
    /// `inbound` or `outbound`.
    pub direction: String,
    /// In msat; unknown for an unpaid invoice without an amount.
    pub amount_msat: Option<u64>,
    /// What routing cost, in msat; outgoing payments only.
    pub fee_msat: Option<u64>,
    /// In hex, once known.
    pub preimage: Option<String>,
}

impl From<&PaymentDetails> for Payment {
    fn from(details: &PaymentDetails) -> Self {
        let preimage = match &details.kind {
            PaymentKind::Bolt11 { preimage, .. } | PaymentKind::Bolt11Jit { preimage, .. } => *preimage,
            _ => None,
        };
        let outbound = details.direction == PaymentDirection::Outbound;
        Self {
            status: match details.status {
                NodeStatus::Pending => PaymentStatus::Pending,
                NodeStatus::Succeeded => PaymentStatus::Succeeded,
                NodeStatus::Failed => PaymentStatus::Failed,
            },
            direction: if outbound { "outbound" } else { "inbound" }.to_owned(),
            amount_msat: details.amount_msat,
            fee_msat: details.fee_paid_msat.filter(|_| outbound),
            preimage: preimage.map(|preimage| ports::hex(&preimage.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_given_once_and_in_range() {
        assert_eq!(InvoiceRequest::sat(5).checked_msat().unwrap(), Some(5_000));
        assert_eq!(InvoiceRequest::msat(5).checked_msat().unwrap(), Some(5));
        assert_eq!(InvoiceRequest::open().checked_msat().unwrap(), None);
        let both = InvoiceRequest { amount_msat: Some(1), ..InvoiceRequest::sat(1) };
        for bad in [InvoiceRequest::sat(0), InvoiceRequest::msat(0), InvoiceRequest::sat(u64::MAX), both] {
            assert!(matches!(bad.checked_msat(), Err(WalletError::BadRequest(_))));
        }
    }
}
