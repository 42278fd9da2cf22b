//! Verifying for others: a producer hands in what its client showed, and hears whether to let them in.

use std::time::Duration;

use ::l402::{Macaroon, Preimage, VerificationParams, VerifyError, b64, credential, verify};

use super::store::{self, Challenge};
use super::{L402, L402Error, PaymentLease};
use crate::core::ids::{AccountId, PaymentHash};
use crate::ledger::LedgerError;

/// A payer has the preimage a moment before we have written down that they paid.
const PATIENCE: [Duration; 6] = [
    Duration::from_millis(20),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_millis(1_000),
];

/// What a producer asks.
#[derive(Clone, Debug)]
pub struct Question {
    /// The token, if its client showed one; or several, with commas between them.
    pub macaroon: Option<String>,
    /// The preimage, as it was shown.
    pub preimage: String,
    /// Which resource it is for, if that is to be checked here.
    pub resource: Option<String>,
    /// What it costs, in sat, if that is to be checked here.
    pub amount_sat: Option<u64>,
}

/// What a producer hears.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The challenge that the credential is about, if it is one of the producer's.
    pub challenge: Option<Challenge>,
    /// Why it opens nothing.
    pub error: Option<VerifyError>,
}

impl L402 {
    /// Whether to let somebody in. A token is good until it ends. A preimage alone, which contract and clients know for
    /// the `Payment` scheme, is taken once; nodes on the payment's way see it, so whoever asks should give the resource
    /// or the macaroon with it.
    ///
    /// # Errors
    /// The store's.
    pub async fn verify(&self, account: AccountId, question: Question) -> Result<Verdict, L402Error> {
        let refused = |error| Ok(Verdict { challenge: None, error: Some(error) });
        let Ok(preimage) = question.preimage.trim().parse::<Preimage>() else {
            return refused(VerifyError::Malformed);
        };
        let (mut why, mut tokens) = (None, Vec::new());
        let hash = match &question.macaroon {
            None => preimage.payment_hash(),
            Some(text) => {
                tokens = credential::macaroons(text);
                if tokens.is_empty() {
                    return refused(VerifyError::Malformed);
                }
                let params = VerificationParams {
                    resource: question.resource.as_deref(),
                    merchant: Some(account.0),
                    price_sat: question.amount_sat,
                    now: self.now() / 1_000,
                    ..VerificationParams::default()
                };
                why = verify(self.mint(), &tokens, &preimage, &params).err();
                if matches!(
                    why,
                    Some(
                        VerifyError::InvalidSignature
                            | VerifyError::WrongPreimage
                            | VerifyError::WrongMerchant
                    )
                ) {
                    return Ok(Verdict { challenge: None, error: why });
                }
                preimage.payment_hash()
            }
        };
        let challenge =
            self.settled(hash.into()).await?.filter(|challenge| challenge.account == Some(account));
        let Some(challenge) = challenge else { return refused(VerifyError::UnknownPayment) };
        let late = matches!(tokens.as_slice(), [token] if self.is_good_late(&challenge, token));
        let why = why.filter(|why| !(late && *why == VerifyError::Expired));
        let why = why.or_else(|| challenge.paid_at.is_none().then_some(VerifyError::NotSettled));
        let why = match (why, &question.macaroon) {
            (None, None) => self.take_for(&challenge, &question).await?,
            (why, _) => why,
        };
        Ok(Verdict { challenge: Some(challenge), error: why })
    }

    /// Takes a payment that was shown without a token; why not, if not.
    async fn take_for(
        &self,
        challenge: &Challenge,
        question: &Question,
    ) -> Result<Option<VerifyError>, L402Error> {
        if question.resource.as_ref().is_some_and(|resource| *resource != challenge.resource) {
            return Ok(Some(VerifyError::WrongResource));
        }
        if question.amount_sat.is_some_and(|amount| challenge.price_sat < amount) {
            return Ok(Some(VerifyError::AmountTooLow));
        }
        // Whether the producer's answer comes about is the producer's to see to.
        Ok(self.take(challenge, challenge.admitted()).await?.map(PaymentLease::mark_used).err())
    }

    /// The challenge of a token that has expired, if it is so only because its payment came late: whoever paid late
    /// has as long as whoever paid at once. Only the very token that was handed out: one that its holder has
    /// narrowed ends when they said.
    pub(super) async fn paid_late(
        &self,
        tokens: &[Macaroon],
        preimage: &Preimage,
    ) -> Result<Option<Challenge>, L402Error> {
        let [token] = tokens else { return Ok(None) };
        let hash = PaymentHash::from(preimage.payment_hash());
        let found = self.store().read(move |connection| store::by_hash(connection, hash)).await?;
        Ok(found.filter(|challenge| self.is_good_late(challenge, token)))
    }

    fn is_good_late(&self, challenge: &Challenge, token: &Macaroon) -> bool {
        challenge.paid_at.is_some()
            && self.now() < challenge.good_until()
            && self.issued(challenge).macaroon == b64::standard(&token.to_bytes())
    }

    /// The challenge of a payment. Waits a moment for it to settle: ask only for the hash of a preimage that was
    /// shown, which nobody has before they have paid.
    pub(super) async fn settled(&self, hash: PaymentHash) -> Result<Option<Challenge>, LedgerError> {
        for pause in PATIENCE {
            match self.store().read(move |connection| store::by_hash(connection, hash)).await? {
                Some(unpaid) if unpaid.paid_at.is_none() => tokio::time::sleep(pause).await,
                found => return Ok(found),
            }
        }
        self.store().read(move |connection| store::by_hash(connection, hash)).await
    }
}
