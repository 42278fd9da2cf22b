//! The door: lets a request in that shows a good credential, and asks every other for payment.

use std::time::Duration;

use axum::http::header::{ACCESS_CONTROL_EXPOSE_HEADERS, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::challenge::resource_name;
use super::check::{self, Closed, Door};
use super::protocol::mpp::{self, Charge, INTENT, METHOD, Receipt};
use super::protocol::{Credential, Presented};
use super::store::Challenge;
use super::{L402, L402Error, NewChallenge, Offer, Pass};
use crate::clock::iso::IsoSeconds;
use crate::http::client::Client;
use crate::http::problem::PROBLEM;
use crate::http::respond;
use crate::ids::{AccountId, PaymentHash, Preimage};

/// What a problem of a payment begins with, by the `Payment` scheme.
const PROBLEMS: &str = "https://paymentauth.org/problems/";

/// The receipt's header.
pub const PAYMENT_RECEIPT: HeaderName = HeaderName::from_static("payment-receipt");

/// What pages of other sites may read of an answer.
const EXPOSED: HeaderValue = HeaderValue::from_static("WWW-Authenticate, Payment-Receipt, Retry-After");

/// Lets pages of other sites read what they need to pay for an answer, or to ask again.
pub(super) fn expose(response: &mut Response) {
    let headers = response.headers_mut();
    if headers.get_all(ACCESS_CONTROL_EXPOSE_HEADERS).iter().all(|names| *names != EXPOSED) {
        headers.append(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
}

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
    Paid(Pass),
    /// It has not: what to answer.
    Refused(Response),
}

/// A request that has been paid for. A handler finds it among the request's extensions.
#[derive(Clone, Debug)]
pub struct Admitted {
    /// Which payment.
    pub payment_hash: PaymentHash,
    /// What was paid, in sat.
    pub amount_sat: u64,
    /// `Payment-Receipt` for the answer, if a receipt is owed: the payment is good for this one answer.
    pub receipt: Option<HeaderValue>,
}

impl Admitted {
    /// Puts on a good answer what belongs there: the receipt, and that no cache may sell it again.
    pub fn dress(&self, response: &mut Response) {
        let headers = response.headers_mut();
        if let Some(receipt) = &self.receipt {
            headers.insert(PAYMENT_RECEIPT, receipt.clone());
        }
        headers.insert(axum::http::header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        expose(response);
    }
}

/// The body of a 402.
#[derive(Serialize, ToSchema)]
pub struct PaymentRequired<'a> {
    #[serde(rename = "type")]
    #[schema(example = "https://paymentauth.org/problems/payment-required")]
    kind: String,
    #[schema(example = "Payment Required")]
    title: &'a str,
    #[schema(example = 402)]
    status: u16,
    /// Why what was shown doesn't do.
    detail: String,
    /// What is sold.
    instance: &'a str,
    #[schema(example = "Payment Required")]
    error: &'a str,
    #[schema(example = "Pay the Lightning invoice to access this resource")]
    message: String,
    l402: Terms<'a>,
}

/// What to pay, and for what.
#[derive(Serialize, ToSchema)]
struct Terms<'a> {
    /// Base64.
    macaroon: &'a str,
    /// BOLT11.
    invoice: &'a str,
    amount_sats: u64,
    #[schema(value_type = String)]
    payment_hash: PaymentHash,
    #[schema(value_type = String, format = DateTime)]
    expires_at: IsoSeconds,
    resource: &'a str,
}

impl L402 {
    /// Lets a request in, or says what to answer it with: 402 and a challenge, whatever was wrong with its credential.
    ///
    /// What was paid is good for so many requests in a minute; beyond it is 429. With a token nothing is read from the
    /// database. A payment shown without one is taken here, for the [`Pass`].
    pub async fn admit(&self, client: Client, headers: &HeaderMap, price: &Price) -> Admission {
        let resource = resource_name(&price.resource);
        let mut refused = None;
        for presented in Presented::read(headers) {
            match self.look(&presented, price, &resource).await {
                Ok(Ok(pass)) => {
                    let hash = pass.admitted.payment_hash;
                    if let Err(retry_after) = self.0.per_credential.take(hash) {
                        // The seller and everybody else who paid would wait for this one. Nothing is lost: a payment
                        // that was taken goes back.
                        pass.give_back().await;
                        let quota = Some((self.rules().per_credential_per_minute, 60));
                        return Admission::Refused(L402Error::TooMany { quota, retry_after }.into_response());
                    }
                    self.0.shown.note(hash);
                    self.counters().let_in(price.account, &resource);
                    return Admission::Paid(pass);
                }
                // It may be good in a moment: a new invoice now would have it paid twice.
                Err(error) => return Admission::Refused(error.into_response()),
                // What was wrong with the first is told.
                Ok(Err(closed)) => refused = refused.or(Some(closed)),
            }
        }
        let closed = refused.unwrap_or(Closed::Nothing);
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
            Ok(offer) => payment_required(&offer, closed),
            Err(error) => error.into_response(),
        })
    }

    async fn look(
        &self,
        presented: &Presented,
        price: &Price,
        resource: &str,
    ) -> Result<Result<Pass, Closed>, L402Error> {
        let credential = match presented {
            Presented::Nothing => return Ok(Err(Closed::Nothing)),
            Presented::Garbled => return Ok(Err(Closed::Garbled)),
            Presented::This(credential) => credential,
        };
        match credential {
            Credential::Token { macaroons, preimage } => {
                let door = Door {
                    resource: Some(resource),
                    or: price.bundle.as_deref(),
                    merchant: Some(price.account.map_or(0, |account| account.0)),
                    price_sat: Some(price.sats),
                    now: self.now() / 1_000,
                };
                let by_token = |payment_hash, amount_sat| Pass {
                    admitted: Admitted { payment_hash, amount_sat, receipt: None },
                    taken: None,
                };
                let late = match check::open(self.mint(), macaroons, preimage, &door) {
                    Err(Closed::Expired) => self.paid_late(macaroons, preimage).await?,
                    opened => return Ok(opened.map(|key| by_token(key.payment_hash, key.amount_sat))),
                };
                Ok(late.map(|late| by_token(late.payment_hash, late.price_sat)).ok_or(Closed::Expired))
            }
            Credential::Payment(shown) => match self.proof(shown) {
                Ok(preimage) => self.take_at_door(preimage, price, resource, &shown.challenge.id).await,
                Err(closed) => Ok(Err(closed)),
            },
            Credential::Preimage(_) => Ok(Err(Closed::BarePreimage)),
        }
    }

    /// What proves the payment of a challenge of ours.
    pub(super) fn proof(&self, shown: &mpp::Credential) -> Result<Preimage, Closed> {
        let challenge = &shown.challenge;
        let ours =
            challenge.realm == self.rules().realm && challenge.method == METHOD && challenge.intent == INTENT;
        if !ours || !self.mint().ids().knows(challenge) {
            return Err(Closed::UnknownChallenge);
        }
        let asked = Charge::read(&challenge.request).and_then(|charge| charge.details.payment_hash);
        let preimage = shown.preimage().ok_or(Closed::Garbled)?;
        if asked == Some(preimage.payment_hash()) { Ok(preimage) } else { Err(Closed::WrongPreimage) }
    }

    /// Takes a payment for one answer.
    async fn take_at_door(
        &self,
        preimage: Preimage,
        price: &Price,
        resource: &str,
        challenge_id: &str,
    ) -> Result<Result<Pass, Closed>, L402Error> {
        let hash = preimage.payment_hash();
        let Some(challenge) = self.settled(hash).await? else { return Ok(Err(Closed::UnknownPayment)) };
        if let Some(closed) = fits(&challenge, price, resource) {
            return Ok(Err(closed));
        }
        let taken = match self.take(&challenge).await? {
            Ok(taken) => taken,
            // It was paid, or nobody could show it: asking for another payment now would be asking twice.
            Err(Closed::NotSettled) => return Err(L402Error::Settling),
            Err(closed) => return Ok(Err(closed)),
        };
        let receipt = Receipt::new(hash, Some(challenge_id.to_owned()), self.now());
        let receipt = receipt.to_header().and_then(|text| HeaderValue::from_str(&text).ok());
        let admitted = Admitted { payment_hash: hash, amount_sat: challenge.price_sat, receipt };
        Ok(Ok(Pass { admitted, taken: Some(taken) }))
    }
}

/// Whether a payment was for this; why not, if not.
fn fits(challenge: &Challenge, price: &Price, resource: &str) -> Option<Closed> {
    if challenge.account != price.account {
        return Some(Closed::OtherMerchant);
    }
    if price.bundle.as_ref().is_some_and(|bundle| *bundle == challenge.resource) {
        return None;
    }
    if challenge.resource != resource {
        return Some(Closed::OtherResource);
    }
    (challenge.price_sat < price.sats).then_some(Closed::TooCheap)
}

/// 402: both challenges, for the same invoice, and why what was shown doesn't do.
fn payment_required(offer: &Offer, closed: Closed) -> Response {
    let challenge = &offer.challenge;
    let title = "Payment Required";
    let body = PaymentRequired {
        kind: format!("{PROBLEMS}{}", closed.problem()),
        title,
        status: StatusCode::PAYMENT_REQUIRED.as_u16(),
        detail: closed.to_string(),
        instance: &challenge.resource,
        error: title,
        message: Closed::Nothing.to_string(),
        l402: Terms {
            macaroon: &offer.macaroon,
            invoice: &challenge.invoice,
            amount_sats: challenge.price_sat,
            payment_hash: challenge.payment_hash,
            expires_at: IsoSeconds(challenge.expires_at),
            resource: &challenge.resource,
        },
    };
    let mut response = respond::no_store(respond::json(StatusCode::PAYMENT_REQUIRED, &body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, PROBLEM);
    // The order counts: clients that look for one line take the first.
    for line in [Some(offer.line()), offer.payment.clone()].into_iter().flatten() {
        if let Ok(value) = HeaderValue::from_str(&line) {
            headers.append(WWW_AUTHENTICATE, value);
        }
    }
    expose(&mut response);
    response
}
