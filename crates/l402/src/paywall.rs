//! Decides whether a request has been paid for, and asks for payment if not.

use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, Response, StatusCode};
use serde_json::json;

use crate::caveat::opaque_caveats;
use crate::mpp::{self, Receipt};
use crate::response::problem;
use crate::time::unix_now;
use crate::{
    Admitted, ChallengeParams, Challenger, Credential, InvoiceRequest, LeaseStore, Mint, PaymentLease,
    Presented, Price, PricedLayer, Terms, Unavailable, VerificationParams, VerifyError, resource_name,
    verify,
};

/// What a [`Paywall`] needs to know besides its two services.
#[derive(Clone)]
pub struct PaywallSettings {
    /// 32 random bytes that the server keeps: all tokens end with them.
    pub secret: [u8; 32],
    /// Who asks for payment, usually the server's host name.
    pub realm: String,
    /// The `Payment` scheme's name of the Bitcoin network: `mainnet`, `regtest`, `signet`, `testnet`.
    pub network: String,
}

impl fmt::Debug for PaywallSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (realm, network) = (&self.realm, &self.network);
        f.debug_struct("PaywallSettings")
            .field("realm", realm)
            .field("network", network)
            .finish_non_exhaustive()
    }
}

/// Admits requests that have been paid for. Cheap to clone; clones share everything.
///
/// No challenge is stored: tokens are verified by their signature and preimage, and so are challenges of the `Payment`
/// scheme, whose payments are then taken from the [`LeaseStore`].
pub struct Paywall<C, S>(Arc<Inner<C, S>>);

struct Inner<C, S> {
    mint: Mint,
    realm: String,
    network: String,
    challenger: C,
    leases: S,
    now: fn() -> i64,
}

impl<C, S> Clone for Paywall<C, S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// Why a request is not admitted.
enum Refusal {
    /// It has to pay.
    Verify(VerifyError),
    /// Nobody knows now.
    Unavailable(Unavailable),
}

impl<C: Challenger, S: LeaseStore> Paywall<C, S> {
    /// From what makes invoices, and what remembers used payments.
    pub fn new(settings: PaywallSettings, challenger: C, leases: S) -> Self {
        Self::with_clock(settings, challenger, leases, unix_now)
    }

    /// With another source of unix seconds, for tests.
    pub(crate) fn with_clock(settings: PaywallSettings, challenger: C, leases: S, now: fn() -> i64) -> Self {
        let PaywallSettings { secret, realm, network } = settings;
        let mint = Mint::new(&secret, &realm);
        Self(Arc::new(Inner { mint, realm, network, challenger, leases, now }))
    }

    /// A layer that puts a price on a service.
    pub fn priced(&self, price: Price) -> PricedLayer<C, S> {
        PricedLayer::new(self.clone(), price)
    }

    /// Admits a request for a path with these headers.
    ///
    /// # Errors
    /// The response to give: 402 with a challenge, or 503 if no invoice can be made.
    pub async fn admit(
        &self,
        price: &Price,
        path: &str,
        headers: &HeaderMap,
    ) -> Result<PaymentLease<S>, Response<Vec<u8>>> {
        let resource = resource_name(price.resource.as_deref().unwrap_or(path));
        let mut refused = None;
        for presented in Presented::read(headers) {
            match self.check(&presented, price, &resource).await {
                Ok(lease) => return Ok(lease),
                Err(Refusal::Unavailable(failure)) => return Err(unavailable(failure)),
                // The client is told what was wrong with its first credential.
                Err(Refusal::Verify(error)) => refused = refused.or(Some(error)),
            }
        }
        Err(self.challenge(price, &resource, refused.unwrap_or(VerifyError::Missing)).await)
    }

    async fn check(
        &self,
        presented: &Presented,
        price: &Price,
        resource: &str,
    ) -> Result<PaymentLease<S>, Refusal> {
        let params = VerificationParams {
            resource: Some(resource),
            bundle: price.bundle.as_deref(),
            merchant: Some(0),
            price_sat: Some(price.amount_sat),
            now: (self.0.now)(),
        };
        let credential = match presented {
            Presented::Missing => return Err(Refusal::Verify(VerifyError::Missing)),
            Presented::Malformed => return Err(Refusal::Verify(VerifyError::Malformed)),
            Presented::Credential(credential) => credential,
        };
        match credential {
            Credential::Token { macaroons, preimage } => {
                let token = verify(&self.0.mint, macaroons, preimage, &params).map_err(Refusal::Verify)?;
                let (payment_hash, amount_sat) = (token.payment_hash, token.amount_sat);
                Ok(PaymentLease::reusable(Admitted { payment_hash, amount_sat, receipt: None }))
            }
            Credential::Payment(payment) => self.take(payment, &params).await,
            Credential::Preimage(_) => Err(Refusal::Verify(VerifyError::BarePreimage)),
        }
    }

    /// Takes the payment of a challenge that this server made.
    async fn take(
        &self,
        shown: &mpp::Credential,
        params: &VerificationParams<'_>,
    ) -> Result<PaymentLease<S>, Refusal> {
        let preimage = shown.verify(self.0.mint.challenge_ids(), &self.0.realm).map_err(Refusal::Verify)?;
        let caveats = shown.challenge.opaque.as_deref().and_then(opaque_caveats);
        let caveats = caveats.ok_or(Refusal::Verify(VerifyError::UnknownChallenge))?;
        let terms = Terms::read(caveats.iter().map(String::as_bytes))
            .map_err(|error| Refusal::Verify(VerifyError::Caveat(error)))?;
        params.check(&terms).map_err(Refusal::Verify)?;
        let payment_hash = preimage.payment_hash();
        let receipt = Receipt::new(payment_hash, Some(shown.challenge.id.clone()), params.now);
        let receipt = receipt.to_header();
        let admitted = Admitted { payment_hash, amount_sat: terms.amount_sat, receipt };
        match self.0.leases.take(admitted, terms.valid_until).await {
            Ok(Some(lease)) => Ok(lease),
            Ok(None) => Err(Refusal::Verify(VerifyError::AlreadyUsed)),
            Err(error) => Err(Refusal::Unavailable(Unavailable(Arc::new(error)))),
        }
    }

    async fn challenge(&self, price: &Price, resource: &str, why: VerifyError) -> Response<Vec<u8>> {
        let expiry = price.invoice_expiry();
        let description = if price.description.is_empty() { resource } else { &price.description };
        let request =
            InvoiceRequest { amount_sat: price.amount_sat, description: description.to_owned(), expiry };
        let now = (self.0.now)();
        let mut token = [0; 32];
        if let Err(error) = getrandom::fill(&mut token) {
            return unavailable(Unavailable(Arc::new(error)));
        }
        let invoice = match self.0.challenger.create_invoice(request).await {
            Ok(invoice) => invoice,
            Err(error) => return unavailable(Unavailable(Arc::new(error))),
        };
        let after =
            |span: std::time::Duration| now.saturating_add(i64::try_from(span.as_secs()).unwrap_or(i64::MAX));
        let terms = Terms {
            path: resource,
            merchant: 0,
            amount_sat: price.amount_sat,
            valid_until: after(price.lifetime),
        };
        let opaque = terms.to_opaque();
        let issued = self.0.mint.issue(&ChallengeParams {
            payment_hash: invoice.payment_hash,
            token,
            terms,
            invoice: &invoice.bolt11,
            expires_at: after(expiry),
            description: Some(price.description.as_str()).filter(|text| !text.is_empty()),
            realm: &self.0.realm,
            network: Some(&self.0.network),
            opaque: opaque.as_deref(),
        });
        issued.response(why)
    }
}

/// 503. The reason goes into the response's extensions.
fn unavailable(failure: Unavailable) -> Response<Vec<u8>> {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let body = json!({
        "type": "about:blank",
        "title": "Service Unavailable",
        "status": status.as_u16(),
        "detail": "Payments can't be taken at the moment",
    });
    let mut response = problem(status, &body);
    response.extensions_mut().insert(failure);
    response
}
