//! Credentials for what another service sells under charges of its own: the same macaroons and challenge lines, and
//! the same proof of payment. What a payment is for, and whether it has settled, that service looks up itself.

use axum::http::HeaderMap;

use super::L402;
use super::challenge::InvoiceTerms;
use super::check::{self, Closed, Door};
use super::protocol::{Credential, Identifier, Presented, Terms, challenge};
use crate::clock::UnixMillis;
use crate::ids::PaymentHash;

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

/// A credential as it is handed out.
#[derive(Clone, Debug)]
pub struct Issued {
    /// Base64; worth nothing without the preimage.
    pub macaroon: String,
    /// `WWW-Authenticate` values, in the order in which they are sent.
    pub challenges: Vec<String>,
}

/// What a request shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Nothing that is meant for us.
    Nothing,
    /// What doesn't do, and why.
    Closed(Closed),
    /// Whoever asks knows the preimage of this hash. Says nothing of what the payment was for.
    Paid(PaymentHash),
}

impl L402 {
    /// The credential of a charge. The same every time.
    pub fn issue(&self, ticket: &Ticket<'_>) -> Issued {
        let identifier = Identifier { payment_hash: ticket.payment_hash, token: ticket.token };
        let terms = Terms {
            path: ticket.resource,
            merchant: ticket.merchant,
            amount_sat: ticket.amount_sat,
            valid_until: ticket.valid_until,
        };
        let macaroon = self.mint().token(&identifier, &terms);
        let payment = self.charge_line(&InvoiceTerms {
            price_sat: ticket.amount_sat,
            description: Some(ticket.description).filter(|text| !text.is_empty()),
            invoice: ticket.invoice,
            payment_hash: ticket.payment_hash,
            expires_at: ticket.expires_at,
        });
        let challenges =
            [Some(challenge::line(&macaroon, ticket.invoice)), payment].into_iter().flatten().collect();
        Issued { macaroon, challenges }
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
            Presented::Nothing => return Proof::Nothing,
            Presented::Garbled => return Proof::Closed(Closed::Garbled),
            Presented::This(credential) => credential,
        };
        let shown = match credential {
            Credential::Token { macaroons, preimage } => {
                let door = Door {
                    resource: Some(resource),
                    or: None,
                    merchant: Some(merchant),
                    price_sat: None,
                    now: i64::MIN,
                };
                check::open(self.mint(), macaroons, preimage, &door).map(|key| key.payment_hash)
            }
            Credential::Payment(shown) => self.proof(shown).map(|preimage| preimage.payment_hash()),
            // Every node on the payment's way knows it.
            Credential::Preimage(_) => return Proof::Closed(Closed::Garbled),
        };
        shown.map_or_else(Proof::Closed, Proof::Paid)
    }
}
