//! Verifies tokens. Nothing is looked up: no clock, no store.

use crate::caveat::CaveatError;
use crate::{Macaroon, Mint, PaymentHash, Preimage, Terms};

/// What a request needs a token for. What is `None` is not checked.
#[derive(Clone, Copy, Debug, Default)]
pub struct VerificationParams<'a> {
    /// Which resource.
    pub resource: Option<&'a str>,
    /// A bundle: another resource of the same merchant whose tokens are accepted too, whatever was paid for them.
    pub bundle: Option<&'a str>,
    /// Who sells the resource.
    pub merchant: Option<i64>,
    /// What it costs now, in sat.
    pub price_sat: Option<u64>,
    /// Unix seconds.
    pub now: i64,
}

/// A token that is good for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifiedToken {
    /// Which payment.
    pub payment_hash: PaymentHash,
    /// What was paid, in sat.
    pub amount_sat: u64,
    /// When it ends, in unix seconds.
    pub valid_until: i64,
}

/// Why a credential is not accepted. The texts are safe to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The request has no credential.
    #[error("Pay the Lightning invoice to access this resource")]
    Missing,
    /// The credential can't be read.
    #[error("the credential can't be read")]
    Malformed,
    /// The preimage alone: each node that forwarded the payment has seen it.
    #[error(
        "a preimage alone proves nothing, since nodes on the payment's way see it: send \
         Authorization: L402 <macaroon>:<preimage>, or Payment with the challenge"
    )]
    BarePreimage,
    /// The token was made elsewhere, or changed.
    #[error("the token was not made here")]
    InvalidSignature,
    /// The preimage is of another payment.
    #[error("the preimage doesn't belong to the token")]
    WrongPreimage,
    /// A caveat can't be obeyed.
    #[error(transparent)]
    Caveat(#[from] CaveatError),
    /// The token is for another merchant's resources.
    #[error("the token is for somebody else's resources")]
    WrongMerchant,
    /// The token is for another resource.
    #[error("the token is for another resource")]
    WrongResource,
    /// Less was paid than the resource costs now.
    #[error("less was paid than this costs")]
    AmountTooLow,
    /// The token's time is over.
    #[error("the token has expired")]
    Expired,
    /// The challenge was made elsewhere, or changed.
    #[error("the challenge is not one of this server")]
    UnknownChallenge,
    /// No invoice of this server has this payment hash.
    #[error("no invoice of this server has this payment hash")]
    UnknownPayment,
    /// The invoice hasn't been paid, as far as the server knows.
    #[error("the payment has not settled here")]
    NotSettled,
    /// The payment was good for one response, and was used.
    #[error("this payment has been used before")]
    AlreadyUsed,
}

impl VerifyError {
    /// The problem's name in the `Payment` scheme, or in its method `lightning` where that has a name of its own: to
    /// it, a challenge that was used is as unknown as one of another server.
    pub const fn problem(self) -> &'static str {
        match self {
            Self::Missing => "payment-required",
            Self::Malformed | Self::BarePreimage => "lightning/malformed-credential",
            Self::UnknownChallenge | Self::UnknownPayment | Self::AlreadyUsed => {
                "lightning/unknown-challenge"
            }
            Self::WrongPreimage => "lightning/invalid-preimage",
            Self::Expired => "lightning/expired-invoice",
            Self::WrongMerchant | Self::WrongResource | Self::AmountTooLow => "invalid-challenge",
            Self::InvalidSignature | Self::Caveat(_) | Self::NotSettled => "verification-failed",
        }
    }
}

impl VerificationParams<'_> {
    /// Whether these terms are enough.
    ///
    /// # Errors
    /// [`VerifyError::WrongMerchant`], [`VerifyError::WrongResource`], [`VerifyError::AmountTooLow`],
    /// [`VerifyError::Expired`]; the first that applies.
    pub fn check(&self, terms: &Terms<'_>) -> Result<(), VerifyError> {
        if self.merchant.is_some_and(|merchant| merchant != terms.merchant) {
            return Err(VerifyError::WrongMerchant);
        }
        let bundled = self.bundle.is_some_and(|bundle| bundle == terms.path);
        if !bundled {
            if self.resource.is_some_and(|resource| resource != terms.path) {
                return Err(VerifyError::WrongResource);
            }
            if self.price_sat.is_some_and(|price| terms.amount_sat < price) {
                return Err(VerifyError::AmountTooLow);
            }
        }
        if self.now >= terms.valid_until { Err(VerifyError::Expired) } else { Ok(()) }
    }
}

/// Verifies tokens that were sent together; the first that is good counts.
///
/// # Errors
/// Of the first token that this server made, why it is not accepted; [`VerifyError::InvalidSignature`] if it made none.
pub fn verify(
    mint: &Mint,
    tokens: &[Macaroon],
    preimage: &Preimage,
    params: &VerificationParams<'_>,
) -> Result<VerifiedToken, VerifyError> {
    let mut why = VerifyError::InvalidSignature;
    for token in tokens {
        match verify_one(mint, token, preimage, params) {
            Ok(verified) => return Ok(verified),
            Err(error) if why == VerifyError::InvalidSignature => why = error,
            Err(_) => {}
        }
    }
    Err(why)
}

fn verify_one(
    mint: &Mint,
    token: &Macaroon,
    preimage: &Preimage,
    params: &VerificationParams<'_>,
) -> Result<VerifiedToken, VerifyError> {
    let identifier = mint.identify(token).ok_or(VerifyError::InvalidSignature)?;
    if preimage.payment_hash() != identifier.payment_hash {
        return Err(VerifyError::WrongPreimage);
    }
    let terms = Terms::read(token.caveats())?;
    params.check(&terms)?;
    Ok(VerifiedToken {
        payment_hash: identifier.payment_hash,
        amount_sat: terms.amount_sat,
        valid_until: terms.valid_until,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// draft-lightning-charge-00 names four problems of its own; the rest are the scheme's.
    #[test]
    fn problem_names_are_the_schemes_or_its_methods() {
        for (error, problem) in [
            (VerifyError::Missing, "payment-required"),
            (VerifyError::Malformed, "lightning/malformed-credential"),
            (VerifyError::UnknownChallenge, "lightning/unknown-challenge"),
            (VerifyError::UnknownPayment, "lightning/unknown-challenge"),
            (VerifyError::AlreadyUsed, "lightning/unknown-challenge"),
            (VerifyError::WrongPreimage, "lightning/invalid-preimage"),
            (VerifyError::Expired, "lightning/expired-invoice"),
            (VerifyError::WrongResource, "invalid-challenge"),
            (VerifyError::WrongMerchant, "invalid-challenge"),
            (VerifyError::AmountTooLow, "invalid-challenge"),
            (VerifyError::InvalidSignature, "verification-failed"),
            (VerifyError::NotSettled, "verification-failed"),
        ] {
            assert_eq!(error.problem(), problem);
        }
    }
}
