//! Challenges: an invoice, and beside it a token and a challenge of the `Payment` scheme, which are worth nothing
//! until the invoice is paid.

use http::HeaderValue;

use crate::mpp::Charge;
use crate::mpp::challenge::ChargeDetails;
use crate::time::rfc3339;
use crate::{Identifier, Mint, PaymentHash, Terms};

/// What a challenge is made from.
#[derive(Clone, Copy, Debug)]
pub struct ChallengeParams<'a> {
    /// Of the invoice.
    pub payment_hash: PaymentHash,
    /// Random; keeps the tokens of one payment apart.
    pub token: [u8; 32],
    /// What the token is good for. `amount_sat` is what the invoice asks for.
    pub terms: Terms<'a>,
    /// BOLT11.
    pub invoice: &'a str,
    /// When the invoice ends, in unix seconds.
    pub expires_at: i64,
    /// For the payer. It stands in headers: keep it below 100 bytes.
    pub description: Option<&'a str>,
    /// Who asks for payment, usually the server's host name.
    pub realm: &'a str,
    /// The `Payment` scheme's name of the Bitcoin network: `mainnet`, `regtest`, `signet`, `testnet`.
    pub network: Option<&'a str>,
    /// The server's own data in the `Payment` challenge, for example [`Terms::to_opaque`].
    pub opaque: Option<&'a str>,
}

/// A challenge as it is handed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuedChallenge {
    /// Of the invoice.
    pub payment_hash: PaymentHash,
    /// BOLT11.
    pub invoice: String,
    /// What the invoice asks for, in sat.
    pub amount_sat: u64,
    /// What the payment is for.
    pub resource: String,
    /// When the invoice ends, in unix seconds.
    pub expires_at: i64,
    /// The token, as Base64.
    pub macaroon: String,
    /// The `WWW-Authenticate` value of the `Payment` scheme; `None` if a parameter can't stand in a header.
    pub payment: Option<String>,
}

impl Mint {
    /// Makes the challenge for an invoice. The same input gives the same challenge; nothing is stored.
    pub fn issue(&self, params: &ChallengeParams<'_>) -> IssuedChallenge {
        let identifier = Identifier { payment_hash: params.payment_hash, token: params.token };
        IssuedChallenge {
            payment_hash: params.payment_hash,
            invoice: params.invoice.to_owned(),
            amount_sat: params.terms.amount_sat,
            resource: params.terms.path.to_owned(),
            expires_at: params.expires_at,
            macaroon: self.token(&identifier, &params.terms),
            payment: self.payment_value(params),
        }
    }

    fn payment_value(&self, params: &ChallengeParams<'_>) -> Option<String> {
        let charge = Charge {
            amount: params.terms.amount_sat.to_string(),
            currency: "sat".into(),
            description: params.description.map(str::to_owned),
            details: ChargeDetails {
                invoice: params.invoice.to_owned(),
                payment_hash: Some(params.payment_hash),
                network: params.network.map(str::to_owned),
            },
        };
        // Most clients read a header as ASCII; the request holds the description in full.
        let is_ascii = |text: &&str| text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        let description = params.description.filter(is_ascii).map(str::to_owned);
        let expires = rfc3339(params.expires_at);
        let opaque = params.opaque.map(str::to_owned);
        let request = charge.to_request()?;
        self.challenge_ids().charge(params.realm, request, expires, description, opaque).header_value()
    }
}

impl IssuedChallenge {
    /// The `WWW-Authenticate` value of the L402 scheme.
    pub fn l402_value(&self) -> String {
        l402_value(&self.macaroon, &self.invoice)
    }

    /// The `WWW-Authenticate` values, L402 first: clients that look for one value take the first.
    pub fn header_values(&self) -> impl Iterator<Item = HeaderValue> + '_ {
        let texts = [Some(self.l402_value()), self.payment.clone()];
        texts.into_iter().flatten().filter_map(|text| HeaderValue::try_from(text).ok())
    }
}

/// A `WWW-Authenticate` value of the L402 scheme. The order matters: clients look for `macaroon` right behind the
/// scheme and for `invoice` right behind that; newer ones read `version` and `token`.
pub fn l402_value(macaroon: &str, invoice: &str) -> String {
    format!(r#"L402 macaroon="{macaroon}", invoice="{invoice}", version="0", token="{macaroon}""#)
}
