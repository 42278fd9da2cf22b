//! Lets a request in that shows a good credential, and asks every other for payment.

use std::time::Duration;

use ::l402::mpp::{self, Receipt};
use ::l402::{
    Admitted, Credential, Preimage, Presented, VerificationParams, VerifyError, resource_name, verify,
};
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};

use super::store::Challenge;
use super::{L402, L402Error, NewChallenge, PaymentLease};
use crate::core::ids::AccountId;
use crate::http::client::Client;

/// What a request costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    /// What is sold: usually the request's path. A token opens the very resource that it was bought for.
    pub resource: String,
    /// The public id of the proxy that is sold, if one is.
    pub product: Option<String>,
    /// In sat.
    pub sats: u64,
    /// For the payer.
    pub description: String,
    /// Who sells it; `None` is the operator.
    pub account: Option<AccountId>,
    /// How long a token is good; `None` as configured.
    pub lifetime: Option<Duration>,
    /// Another resource of the same seller whose token opens this one too, whatever it cost: a bundle.
    pub bundle: Option<String>,
}

impl Price {
    /// The operator's own resource.
    pub fn new(resource: impl Into<String>, sats: u64) -> Self {
        Self {
            resource: resource.into(),
            product: None,
            sats,
            description: String::new(),
            account: None,
            lifetime: None,
            bundle: None,
        }
    }

    /// With words for the payer.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }
}

/// What becomes of a request.
#[derive(Debug)]
pub enum Admission {
    /// It has been paid for.
    Paid(PaymentLease),
    /// It has not: what to answer.
    Refused(Response),
}

impl L402 {
    /// Lets a request in, or says what to answer it with: 402 and a challenge, whatever was wrong with its credential.
    ///
    /// What was paid is good for so many requests in a minute; beyond it is 429. With a token nothing is read from the
    /// database. A payment shown without one is taken here, for the [`PaymentLease`].
    pub async fn admit(&self, client: Client, headers: &HeaderMap, price: &Price) -> Admission {
        let resource = resource_name(&price.resource);
        let mut refused = None;
        for presented in Presented::read(headers) {
            match self.look(&presented, price, &resource).await {
                Ok(Ok(lease)) => {
                    let hash = lease.admitted().payment_hash;
                    if let Err(retry_after) =
                        self.0.per_credential.take(crate::core::ids::PaymentHash::from(hash))
                    {
                        // The seller and everybody else who paid would wait for this one. Nothing is lost: a payment
                        // that was taken goes back.
                        lease.release().await;
                        let quota = Some((self.rules().per_credential_per_minute, 60));
                        return Admission::Refused(L402Error::TooMany { quota, retry_after }.into_response());
                    }
                    self.0.recent.insert(hash);
                    self.counters().let_in(price.account, &resource);
                    return Admission::Paid(lease);
                }
                // It may be good in a moment: a new invoice now would have it paid twice.
                Err(error) => return Admission::Refused(error.into_response()),
                // What was wrong with the first is told.
                Ok(Err(error)) => refused = refused.or(Some(error)),
            }
        }
        let why = refused.unwrap_or(VerifyError::Missing);
        self.counters().asked(price.account, &resource);
        let new = NewChallenge {
            client,
            counted: false,
            account: price.account,
            resource: resource.into_owned(),
            product: price.product.clone(),
            price_sat: price.sats,
            description: Some(price.description.clone()).filter(|text| !text.is_empty()),
            lifetime: price.lifetime,
            idempotency_key: None,
        };
        Admission::Refused(match self.challenge(new).await {
            Ok(created) => created.issued.response(why).map(Body::from),
            Err(error) => error.into_response(),
        })
    }

    async fn look(
        &self,
        presented: &Presented,
        price: &Price,
        resource: &str,
    ) -> Result<Result<PaymentLease, VerifyError>, L402Error> {
        let credential = match presented {
            Presented::Missing => return Ok(Err(VerifyError::Missing)),
            Presented::Malformed => return Ok(Err(VerifyError::Malformed)),
            Presented::Credential(credential) => credential,
        };
        match credential {
            Credential::Token { macaroons, preimage } => {
                let params = VerificationParams {
                    resource: Some(resource),
                    bundle: price.bundle.as_deref(),
                    merchant: Some(price.account.map_or(0, |account| account.0)),
                    price_sat: Some(price.sats),
                    now: self.now() / 1_000,
                };
                let late = match verify(self.mint(), macaroons, preimage, &params) {
                    Err(VerifyError::Expired) => self.paid_late(macaroons, preimage).await?,
                    verified => {
                        return Ok(verified.map(|token| {
                            let (payment_hash, amount_sat) = (token.payment_hash, token.amount_sat);
                            PaymentLease::reusable(Admitted { payment_hash, amount_sat, receipt: None })
                        }));
                    }
                };
                let late = late.map(|challenge| PaymentLease::reusable(challenge.admitted()));
                Ok(late.ok_or(VerifyError::Expired))
            }
            Credential::Payment(shown) => match self.proof(shown) {
                Ok(preimage) => self.take_for_request(preimage, price, resource, &shown.challenge.id).await,
                Err(error) => Ok(Err(error)),
            },
            Credential::Preimage(_) => Ok(Err(VerifyError::BarePreimage)),
        }
    }

    /// What proves the payment of a challenge of ours.
    pub(super) fn proof(&self, shown: &mpp::Credential) -> Result<Preimage, VerifyError> {
        shown.verify(self.mint().challenge_ids(), &self.rules().realm)
    }

    /// Takes a payment for one answer.
    async fn take_for_request(
        &self,
        preimage: Preimage,
        price: &Price,
        resource: &str,
        challenge_id: &str,
    ) -> Result<Result<PaymentLease, VerifyError>, L402Error> {
        let hash = preimage.payment_hash();
        let Some(challenge) = self.settled(hash.into()).await? else {
            return Ok(Err(VerifyError::UnknownPayment));
        };
        if let Some(error) = mismatch(&challenge, price, resource) {
            return Ok(Err(error));
        }
        let receipt = self.receipt(hash, challenge_id);
        match self.take(&challenge, Admitted { receipt, ..challenge.admitted() }).await? {
            // It was paid, or nobody could show it: asking for another payment now would be asking twice.
            Err(VerifyError::NotSettled) => Err(L402Error::Settling),
            taken => Ok(taken),
        }
    }

    /// `Payment-Receipt` for a payment that is accepted now.
    pub(super) fn receipt(&self, payment: ::l402::PaymentHash, challenge_id: &str) -> Option<HeaderValue> {
        Receipt::new(payment, Some(challenge_id.to_owned()), self.now().div_euclid(1_000)).to_header()
    }
}

/// Why a payment was not for this, if it was not.
fn mismatch(challenge: &Challenge, price: &Price, resource: &str) -> Option<VerifyError> {
    if challenge.account != price.account {
        return Some(VerifyError::WrongMerchant);
    }
    if price.bundle.as_ref().is_some_and(|bundle| *bundle == challenge.resource) {
        return None;
    }
    if challenge.resource != resource {
        return Some(VerifyError::WrongResource);
    }
    (challenge.price_sat < price.sats).then_some(VerifyError::AmountTooLow)
}
