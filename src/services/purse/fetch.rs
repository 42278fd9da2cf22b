//! Asking a service, and paying if it asks for that: at most once for one request.

use axum::http::{HeaderValue, StatusCode};
use bitcoin::Network;
use url::Url;

use super::challenge::{self, Demand};
use super::credential::Proof;
use super::pay::{Begun, Order402, amount_of, begun_by};
use super::store::Purse;
use super::store::payments::{self, Payment};
use super::upstream::Answer;
use super::view::{FetchView, PaidView};
use super::{FetchRequest, PurseError, Purses};
use crate::core::ids::PursePaymentId;
use crate::crash_point;
use crate::http::idempotency::{IdempotencyKey, Reply};
use crate::http::keys::KeyId;
use crate::http::respond;
use crate::ledger::charges;
use crate::outbound::guard;
use crate::storage::StoreError;

/// Times that a service is asked for one request: with a kept credential, without, with what another request has paid,
/// and with what this one has paid.
const ROUNDS: usize = 5;

/// Bytes of an answer that is kept under its idempotency key.
const LARGEST_KEPT: usize = 256 * 1_024;

/// What is said of a larger one.
const NOT_KEPT: &str = "This answer is larger than 256 KiB and is not kept under its Idempotency-Key. What was paid for it is: the same request asks the service again with the credential, and pays nothing";

/// And of one whose credential is used up.
const NOT_KEPT_ONCE: &str = "This answer is larger than 256 KiB and is not kept under its Idempotency-Key, and its credential was good for one answer alone. The same request pays nothing more, but the service may refuse it (402)";

/// And of one that nothing was paid for.
const NOT_KEPT_FREE: &str = "This answer is larger than 256 KiB and is not kept under its Idempotency-Key: the same request asks the service again, and pays if it must";

/// A request that is not authorised.
const UNAUTHORIZED: u16 = 401;
const PAYMENT_REQUIRED: u16 = 402;
const FORBIDDEN: u16 = 403;

/// From here on a service says that it failed itself: it did not take what was shown.
const SERVER_ERROR: u16 = 500;

/// What is shown to a service.
struct Shown {
    authorization: HeaderValue,
    /// The payment that it belongs to, and whether it is good for one answer alone.
    payment: PursePaymentId,
    single_use: bool,
    /// Whether another request paid for it.
    reused: bool,
}

impl Purses {
    /// Asks a service; pays what it asks for, if the limits allow it, and asks again with the credential. A credential
    /// that was paid for before is shown first.
    ///
    /// # Errors
    /// [`PurseError::NotAllowed`] for the host, [`PurseError::OverLimit`] for a limit, [`PurseError::Upstream`] for what
    /// the service sends, [`PurseError::Pending`] for a payment that has not ended, [`PurseError::AfterPayment`] if the
    /// service failed when it was paid; the store's.
    pub async fn fetch(
        &self,
        key: KeyId,
        new: FetchRequest,
        ask: Option<IdempotencyKey>,
    ) -> Result<Reply, PurseError> {
        let purse = self.purse_of(key).await?;
        let _mine = match &ask {
            Some(ask) => Some(self.0.turns.take(key, ask.key()).await),
            None => None,
        };
        if let Some(recorded) = self.seen(ask.clone()).await? {
            return Ok(Reply::Replayed(recorded));
        }
        let host = new.url.host_str().unwrap_or_default();
        if !purse.may_ask(host, new.url.port_or_known_default()) {
            let message = format!("The purse may not ask {host}; it may ask {}", purse.hosts.join(", "));
            return Err(PurseError::NotAllowed { code: "HOST_NOT_ALLOWED", message });
        }
        if new.url.scheme() == "http" && !purse.allow_http && !self.is_inside(&new.url) {
            let message = format!(
                "Over plain http everybody on the way to {host} reads the credentials that the purse pays for: use https. The operator can allow it with `satchel purse create --allow-http`"
            );
            return Err(PurseError::NotAllowed { code: "HTTP_NOT_ALLOWED", message });
        }
        let busy = |_| PurseError::TooMany { quota: None, retry_after: 1 };
        let _turn = self.0.at_once.try_acquire().map_err(busy)?;
        let mut own = None;
        let asked = self.ask_and_pay(key, &purse, &new, ask.as_ref(), &mut own).await;
        let (answer, reused) = asked.map_err(|error| after(error, own.as_ref()))?;
        crash_point!("purse.after_answer");
        // A service that refuses what was paid may take it another time.
        let vain = answer.status == PAYMENT_REQUIRED && own.is_some();
        let mut view = FetchView::new(answer, own.as_ref(), reused);
        let body = respond::to_json(&view)?;
        if ask.is_some() && body.len() > LARGEST_KEPT {
            view.note = Some(self.not_kept(own.as_ref()));
            return Ok(Reply::New(StatusCode::OK, respond::to_json(&view)?));
        }
        self.answered(ask.filter(|_| !vain), body).await
    }

    /// What the same request comes to, of an answer that is not kept.
    fn not_kept(&self, own: Option<&Payment>) -> &'static str {
        let proof = own.and_then(|own| Proof::open(self.sealer(), own.proof.as_deref()?));
        match proof {
            None => NOT_KEPT_FREE,
            Some(proof) if proof.single_use() => NOT_KEPT_ONCE,
            Some(_) => NOT_KEPT,
        }
    }

    /// The service's answer, and whether what another request paid was shown for it. `own` is what this request has
    /// paid, as soon as it has.
    async fn ask_and_pay(
        &self,
        key: KeyId,
        purse: &Purse,
        new: &FetchRequest,
        ask: Option<&IdempotencyKey>,
        own: &mut Option<Payment>,
    ) -> Result<(Answer, bool), PurseError> {
        let mut shown = self.first_credential(purse, new, ask, own).await?;
        for _ in 0..ROUNDS {
            let credential = shown.as_ref().map(|shown| &shown.authorization);
            let answer = self.0.upstream.send(new, credential).await?;
            let refused = match (answer.status, &shown) {
                (PAYMENT_REQUIRED, _) => true,
                (UNAUTHORIZED | FORBIDDEN, Some(shown)) => shown.reused,
                _ => false,
            };
            if let Some(shown) =
                shown.as_ref().filter(|shown| refused || (shown.single_use && answer.status < SERVER_ERROR))
            {
                self.forget_credential(shown.payment)?;
            }
            // What was paid for is not paid for again, whatever the service says.
            if !refused || own.is_some() {
                return Ok((answer, shown.is_some_and(|shown| shown.reused)));
            }
            let Some(demand) = demand(&answer) else {
                if shown.take().is_some() {
                    continue;
                }
                return Ok((answer, false));
            };
            shown = Some(self.pay_demand(key, new, demand, ask, own).await?);
        }
        Err(PurseError::bad_answer("TOO_MANY_CHALLENGES", "the service asks for payment again and again"))
    }

    /// Whether requests to an address don't leave this machine or network, as far as it says itself.
    fn is_inside(&self, url: &Url) -> bool {
        self.rules().network == Network::Regtest || guard::is_inside(url)
    }

    /// What is shown at first: what this very request has paid before, or what another has for this path.
    async fn first_credential(
        &self,
        purse: &Purse,
        new: &FetchRequest,
        ask: Option<&IdempotencyKey>,
        own: &mut Option<Payment>,
    ) -> Result<Option<Shown>, PurseError> {
        let (asked, wanted, resource, reuse) = (ask.cloned(), purse.clone(), new.resource(), new.reuse);
        let read = move |connection: &rusqlite::Connection| -> Result<_, PurseError> {
            let begun = begun_by(connection, &wanted, asked.as_ref())?;
            let kept = match begun {
                Some(_) => None,
                None if !reuse => None,
                None => payments::usable(connection, wanted.id, (&resource.0, &resource.1))?,
            };
            Ok((begun, kept))
        };
        let (begun, kept) = self.store().read(read).await?;
        if let Some(begun) = begun {
            let paid = self.wait(begun).await?;
            return self.own_credential(paid, own).map(Some);
        }
        Ok(kept.and_then(|kept| {
            let proof = Proof::open(self.sealer(), kept.proof.as_deref()?)?;
            shown(&kept, &proof, true)
        }))
    }

    /// Pays, or waits for another request of this purse that pays the same invoice.
    async fn pay_demand(
        &self,
        key: KeyId,
        new: &FetchRequest,
        demand: Demand,
        ask: Option<&IdempotencyKey>,
        own: &mut Option<Payment>,
    ) -> Result<Shown, PurseError> {
        let unusable = |message: &str| PurseError::bad_answer("CHALLENGE_UNUSABLE", message);
        let invoice: lightning_invoice::Bolt11Invoice =
            demand.invoice.parse().map_err(|_| unusable("the service's invoice can't be read"))?;
        let amount =
            amount_of(&invoice).ok_or_else(|| unusable("the service's invoice asks for no amount"))?;
        if let Some(told) =
            demand.told.iter().find(|told| told.get().div_ceil(1_000) != amount.get().div_ceil(1_000))
        {
            let message = format!("the service says that it costs {told}, and its invoice asks for {amount}");
            return Err(PurseError::bad_answer("AMOUNT_MISMATCH", message));
        }
        if demand.is_for_another(charges::hash_of(&invoice)) {
            return Err(unusable("the service's token is for another payment than its invoice"));
        }
        let proof = demand.proof;
        let order = Order402 {
            invoice,
            amount,
            max: new.max,
            resource: Some(new.resource()),
            proof: Some(proof.clone()),
        };
        match self.begin(key, order, ask.cloned()).await? {
            Begun::Own(payment) => {
                let paid = self.wait(payment).await?;
                crash_point!("purse.after_paid");
                self.own_credential(paid, own)
            }
            Begun::Shared(payment) => {
                let paid = self.wait(payment).await?;
                shown(&paid, &proof, true).ok_or_else(no_preimage)
            }
        }
    }

    /// From here on this request has paid.
    fn own_credential(&self, paid: Payment, own: &mut Option<Payment>) -> Result<Shown, PurseError> {
        let paid = own.insert(paid);
        let proof = paid.proof.as_deref().and_then(|sealed| Proof::open(self.sealer(), sealed));
        proof.and_then(|proof| shown(paid, &proof, false)).ok_or_else(no_preimage)
    }

    /// Later requests don't show it.
    fn forget_credential(&self, id: PursePaymentId) -> Result<(), StoreError> {
        self.store()
            .write_queued("a credential that is used up", move |tx| payments::set_usable(tx, id, false))
    }
}

fn shown(payment: &Payment, proof: &Proof, reused: bool) -> Option<Shown> {
    Some(Shown {
        authorization: proof.authorization(payment.preimage.as_ref()?)?,
        payment: payment.id,
        single_use: proof.single_use(),
        reused,
    })
}

fn demand(answer: &Answer) -> Option<Demand> {
    let asks = answer.status == PAYMENT_REQUIRED;
    challenge::read(&answer.headers, &answer.body).filter(|_| asks)
}

fn no_preimage() -> PurseError {
    PurseError::bad_answer("NO_PREIMAGE", "there is no preimage of this payment to show")
}

/// An error of a request that has paid says so.
fn after(error: PurseError, own: Option<&Payment>) -> PurseError {
    match own {
        Some(paid) => {
            PurseError::AfterPayment { cause: Box::new(error), paid: Box::new(PaidView::from(paid)) }
        }
        None => error,
    }
}
