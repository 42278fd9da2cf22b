//! Whether a token opens a door. Arithmetic alone: no clock of its own, no store.

use super::mint::Mint;
use super::protocol::caveat::Broken;
use super::protocol::{Macaroon, Terms};
use crate::ids::{PaymentHash, Preimage};

/// What a door asks of a token. What is `None` is not asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Door<'a> {
    /// Which resource.
    pub resource: Option<&'a str>,
    /// Another, of the same owner, whose token opens this one too, whatever it cost.
    pub or: Option<&'a str>,
    /// Whose; 0 is the operator.
    pub merchant: Option<i64>,
    /// What it costs now, in sat.
    pub price_sat: Option<u64>,
    /// Unix seconds.
    pub now: i64,
}

/// A token that opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Which payment.
    pub payment_hash: PaymentHash,
    /// What was paid, in sat.
    pub amount_sat: u64,
    /// When it ends, in unix seconds.
    pub valid_until: i64,
}

/// Why a credential doesn't open a door. The texts are safe to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Closed {
    /// Nothing was shown.
    #[error("Pay the Lightning invoice to access this resource")]
    Nothing,
    /// It can't be read.
    #[error("the credential can't be read")]
    Garbled,
    /// The preimage alone: each node that forwarded the payment has seen it.
    #[error(
        "a preimage alone proves nothing, since nodes on the payment's way see it: send \
         Authorization: L402 <macaroon>:<preimage>, or Payment with the challenge"
    )]
    BarePreimage,
    /// Not made here, or changed since.
    #[error("the token was not made here")]
    Foreign,
    /// Not the proof of this token's payment.
    #[error("the preimage doesn't belong to the token")]
    WrongPreimage,
    /// A caveat can't be obeyed.
    #[error(transparent)]
    Caveat(#[from] Broken),
    /// It is for another account's resources.
    #[error("the token is for somebody else's resources")]
    OtherMerchant,
    /// It is for another resource.
    #[error("the token is for another resource")]
    OtherResource,
    /// It was bought for less than this costs.
    #[error("less was paid than this costs")]
    TooCheap,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// The challenge that it answers is not ours, or was changed.
    #[error("the challenge is not one of this server")]
    UnknownChallenge,
    /// No invoice of this node has this hash.
    #[error("no invoice of this server has this payment hash")]
    UnknownPayment,
    /// The invoice hasn't been paid, as far as this node knows.
    #[error("the payment has not settled here")]
    NotSettled,
    /// It was taken for an answer before.
    #[error("this payment has been used before")]
    Used,
}

impl Closed {
    /// What the `Payment` scheme calls it, or its method `lightning` where that has a word of its own: a challenge
    /// that was used is as unknown as one of another server.
    pub(super) const fn problem(self) -> &'static str {
        match self {
            Self::Nothing => "payment-required",
            Self::Garbled | Self::BarePreimage => "lightning/malformed-credential",
            Self::UnknownChallenge | Self::UnknownPayment | Self::Used => "lightning/unknown-challenge",
            Self::WrongPreimage => "lightning/invalid-preimage",
            Self::Expired => "lightning/expired-invoice",
            Self::OtherMerchant | Self::OtherResource | Self::TooCheap => "invalid-challenge",
            Self::Foreign | Self::Caveat(_) | Self::NotSettled => "verification-failed",
        }
    }
}

/// Whether one of these tokens opens the door.
///
/// # Errors
/// Why the one that came nearest doesn't.
pub fn open(mint: &Mint, tokens: &[Macaroon], preimage: &Preimage, door: &Door<'_>) -> Result<Key, Closed> {
    let mut why = Closed::Foreign;
    for token in tokens {
        match one(mint, token, preimage, door) {
            Ok(key) => return Ok(key),
            Err(closed) if why == Closed::Foreign => why = closed,
            Err(_) => {}
        }
    }
    Err(why)
}

fn one(mint: &Mint, token: &Macaroon, preimage: &Preimage, door: &Door<'_>) -> Result<Key, Closed> {
    let identifier = mint.open(token).ok_or(Closed::Foreign)?;
    if preimage.payment_hash() != identifier.payment_hash {
        return Err(Closed::WrongPreimage);
    }
    let terms = Terms::read(token.caveats())?;
    if door.merchant.is_some_and(|merchant| merchant != terms.merchant) {
        return Err(Closed::OtherMerchant);
    }
    let bundled = door.or.is_some_and(|other| other == terms.path);
    if !bundled {
        if door.resource.is_some_and(|resource| resource != terms.path) {
            return Err(Closed::OtherResource);
        }
        if door.price_sat.is_some_and(|price| terms.amount_sat < price) {
            return Err(Closed::TooCheap);
        }
    }
    if door.now >= terms.valid_until {
        return Err(Closed::Expired);
    }
    Ok(Key {
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
    fn problems_are_the_scheme_s_or_its_method_s() {
        for (closed, problem) in [
            (Closed::Nothing, "payment-required"),
            (Closed::Garbled, "lightning/malformed-credential"),
            (Closed::UnknownChallenge, "lightning/unknown-challenge"),
            (Closed::UnknownPayment, "lightning/unknown-challenge"),
            (Closed::Used, "lightning/unknown-challenge"),
            (Closed::WrongPreimage, "lightning/invalid-preimage"),
            (Closed::Expired, "lightning/expired-invoice"),
            (Closed::OtherResource, "invalid-challenge"),
            (Closed::OtherMerchant, "invalid-challenge"),
            (Closed::TooCheap, "invalid-challenge"),
            (Closed::Foreign, "verification-failed"),
            (Closed::NotSettled, "verification-failed"),
        ] {
            assert_eq!(closed.problem(), problem);
        }
    }
}
