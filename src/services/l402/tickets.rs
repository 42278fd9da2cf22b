//! Credentials for what another service sells under charges of its own: the same macaroons and challenge lines, and
//! the same proof of payment. What a payment is for, and whether it has settled, that service looks up itself.

use ::l402::{Credential, IssuedChallenge, Presented, Terms, VerificationParams, VerifyError, verify};
use axum::http::HeaderMap;

use super::L402;
use super::challenge::Sold;
use crate::core::ids::PaymentHash;
use crate::core::time::UnixMillis;

/// What a credential is issued for.
#[derive(Clone, Copy, Debug)]
pub struct Ticket<'a> {
    /// Of the charge's invoice.
    pub payment_hash: PaymentHash,
    /// Random; keeps tokens of one payment apart.
    pub token: [u8; 32],
    /// The account that sells; 0 is the operator.
    pub merchant: i64,
    /// What it is good for.
    pub resource: &'a str,
    /// The price.
    pub amount_sat: u64,
    /// BOLT11.
    pub invoice: &'a str,
    /// For the payer.
    pub description: &'a str,
    /// Of the invoice.
    pub expires_at: UnixMillis,
    /// Of the token, in unix seconds.
    pub valid_until: i64,
}

/// What a request shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Nothing that is meant for us.
    Nothing,
    /// What doesn't do, and why.
    Refused(VerifyError),
    /// Whoever asks knows the preimage of this hash. Says nothing of what the payment was for.
    Paid(PaymentHash),
}

impl L402 {
    /// The credential of a charge. The same every time.
    pub fn issue_ticket(&self, ticket: &Ticket<'_>) -> IssuedChallenge {
        self.issue(&Sold {
            payment_hash: ticket.payment_hash,
            token: ticket.token,
            terms: Terms {
                path: ticket.resource,
                merchant: ticket.merchant,
                amount_sat: ticket.amount_sat,
                valid_until: ticket.valid_until,
            },
            description: Some(ticket.description).filter(|text| !text.is_empty()),
            invoice: ticket.invoice,
            expires_at: ticket.expires_at,
        })
    }

    /// Reads what a request shows for a resource of this account. A token does not expire here: whoever has paid for
    /// an order has paid for it for ever.
    pub fn proof_of(&self, headers: &HeaderMap, resource: &str, merchant: i64) -> Proof {
        let mut refused = Proof::Nothing;
        for presented in Presented::read(headers) {
            match self.proof_by(&presented, resource, merchant) {
                paid @ Proof::Paid(_) => return paid,
                other if matches!(refused, Proof::Nothing) => refused = other,
                _ => {}
            }
        }
        refused
    }

    fn proof_by(&self, presented: &Presented, resource: &str, merchant: i64) -> Proof {
        let credential = match presented {
            Presented::Missing => return Proof::Nothing,
            Presented::Malformed => return Proof::Refused(VerifyError::Malformed),
            Presented::Credential(credential) => credential,
        };
        let shown = match credential {
            Credential::Token { macaroons, preimage } => {
                let params = VerificationParams {
                    resource: Some(resource),
                    bundle: None,
                    merchant: Some(merchant),
                    price_sat: None,
                    now: i64::MIN,
                };
                verify(self.mint(), macaroons, preimage, &params).map(|token| token.payment_hash)
            }
            Credential::Payment(shown) => self.proof(shown).map(|preimage| preimage.payment_hash()),
            // Every node on the payment's way knows it.
            Credential::Preimage(_) => return Proof::Refused(VerifyError::Malformed),
        };
        shown.map_or_else(Proof::Refused, |hash| Proof::Paid(hash.into()))
    }
}
