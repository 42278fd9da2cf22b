//! Ordering: the price in sats, an invoice whose payment we claim ourselves, then charge and payment in one
//! transaction.

use std::time::Duration;

use axum::http::StatusCode;

use super::checkout;
use super::ids::InvoiceId;
use super::request::NewPayment;
use super::store::{self, Draft, Payment};
use super::view::PaymentView;
use super::{PaymentError, Payments, json, lookup, save};
use crate::core::ids::{AccountId, Preimage, random_bytes};
use crate::core::money::Msat;
use crate::core::text::beginning;
use crate::core::time::millis;
use crate::http::idempotency::{IdempotencyKey, Recorded, Reply};
use crate::ledger::solvency::Sale;
use crate::ledger::{Family, charges, offers};
use crate::lightning::{InvoiceDescription, InvoiceRequest, Offer, OfferRequest};
use crate::rates::Quote;

/// Bytes that the description of a BOLT11 invoice holds.
const DESCRIPTION_BYTES: usize = 639;

/// Bytes of it that an offer beside the invoice repeats: both are in one code.
const OFFER_DESCRIPTION_BYTES: usize = 100;

/// What the transaction came to, and its answer if that had to be remembered.
enum Made {
    Before(Recorded),
    Now(StatusCode, Box<Payment>, Option<Vec<u8>>),
}

impl Payments {
    /// Makes what was ordered. The same order again, as long as it can be paid or is being paid, and costs the same,
    /// is the same payment, also while nothing new can be made. One that is paid is not asked to be paid again, unless
    /// whoever orders says that it is.
    ///
    /// # Errors
    /// [`PaymentError::Invalid`], [`PaymentError::RateUnavailable`], [`PaymentError::NodeUnavailable`],
    /// [`PaymentError::NoCapacity`], [`PaymentError::TooMany`], [`PaymentError::OrderPaid`]; of the idempotency key; the store's. Nothing
    /// is left behind by any.
    pub async fn create(
        &self,
        account: AccountId,
        new: NewPayment,
        ask: Option<IdempotencyKey>,
    ) -> Result<Reply, PaymentError> {
        let look = ask.is_some() || self.0.recent.has(account, &new.order_id);
        if look && let Some(done) = self.before(account, &new, ask.as_ref()).await? {
            return Ok(done);
        }
        match self.order(account, &new, ask.as_ref()).await {
            // Nothing new can be made, but it may have been made before.
            Err(error) if !look => self.before(account, &new, None).await?.ok_or(error),
            done => done,
        }
    }

    /// Makes a payment, unless it turns out that it was made before.
    async fn order(
        &self,
        account: AccountId,
        new: &NewPayment,
        ask: Option<&IdempotencyKey>,
    ) -> Result<Reply, PaymentError> {
        if !self.rules().enabled {
            return Err(PaymentError::NodeUnavailable);
        }
        let quote = new.unit.currency().map(|currency| self.rates().quote(currency)).transpose()?;
        let sats = self.price(new, quote.as_ref())?;
        self.0.gate.check(Sale::Merchant { comes: sats }).await?;
        let budget = self.0.parts.budget.take();
        budget.map_err(|retry_after| PaymentError::TooMany { quota: None, retry_after })?;
        let preimage = Preimage(random_bytes()?);
        let request = InvoiceRequest {
            amount: Some(sats),
            description: InvoiceDescription::Text(description(new, DESCRIPTION_BYTES)),
            expiry: self.rules().expiry,
            hold: Some(preimage.payment_hash()),
        };
        let invoice = self.0.parts.node.draft_invoice(request).await?;
        let (public_id, text) = (InvoiceId::random()?, invoice.to_string());
        let offer = if self.rules().offers {
            let words = description(new, OFFER_DESCRIPTION_BYTES);
            let made = self.offer(sats, words, invoice.duration_until_expiry()).await;
            made.filter(|offer| checkout::uri(&text, Some(offer)).len() <= checkout::MAX_URI)
        } else {
            None
        };
        let (payments, now) = (self.clone(), self.now());
        let (new, asked) = (new.clone(), ask.cloned());
        let written = self.store().write(move |tx| -> Result<Made, PaymentError> {
            if let Some(recorded) = lookup(tx, asked.as_ref())? {
                return Ok(Made::Before(recorded));
            }
            let (status, payment) = match store::payable(tx, account, &new, now)? {
                // Our fresh invoice is nobody's, and forgotten.
                Some(same) => (StatusCode::OK, same),
                None => {
                    refuse_paid(tx, account, &new)?;
                    let charge =
                        charges::open_held(tx, Family::Payments, &invoice, Some(sats), preimage, now)?;
                    if let Some(offer) = &offer {
                        offers::add(tx, charge, offer)?;
                    }
                    let draft = Draft {
                        public_id,
                        account,
                        charge,
                        new: &new,
                        sats,
                        fee: payments.rules().fee.taken_from(sats),
                        quote: quote.as_ref(),
                        expires_at: invoice.expires_at().map_or(now, millis),
                    };
                    let payment = store::insert(tx, &draft, text, now)?;
                    invoice.keep();
                    (StatusCode::CREATED, payment)
                }
            };
            payments.0.recent.note(account, &payment.order_id);
            let body = match &asked {
                None => None,
                Some(_) => Some(payments.json(&payment)?),
            };
            save(tx, asked.as_ref(), status, body.as_deref().unwrap_or_default(), now)?;
            Ok(Made::Now(status, Box::new(payment), body))
        });
        Ok(match written.await? {
            Made::Before(recorded) => Reply::Replayed(recorded),
            Made::Now(status, payment, None) => Reply::New(status, self.json(&payment)?),
            Made::Now(status, _, Some(body)) => Reply::New(status, body),
        })
    }

    /// What was answered before, or the payment that waits for the order: neither needs an invoice, a rate or the
    /// node.
    async fn before(
        &self,
        account: AccountId,
        new: &NewPayment,
        ask: Option<&IdempotencyKey>,
    ) -> Result<Option<Reply>, PaymentError> {
        let (payments, now) = (self.clone(), self.now());
        let (first, asked) = (new.clone(), ask.cloned());
        let found = self.store().read(move |connection| -> Result<_, PaymentError> {
            if let Some(recorded) = lookup(connection, asked.as_ref())? {
                return Ok((Some(Reply::Replayed(recorded)), false));
            }
            Ok(match store::payable(connection, account, &first, now)? {
                Some(same) if asked.is_none() => {
                    (Some(Reply::New(StatusCode::OK, payments.json(&same)?)), false)
                }
                None => {
                    refuse_paid(connection, account, &first)?;
                    (None, false)
                }
                Some(_) => (None, true),
            })
        });
        let (done, waits) = found.await?;
        if done.is_some() || !waits {
            return Ok(done);
        }
        // With a key the answer has to be remembered, and what waits may have ended meanwhile.
        let (payments, first, asked) = (self.clone(), new.clone(), ask.cloned());
        let written = self.store().write(move |tx| -> Result<_, PaymentError> {
            if let Some(recorded) = lookup(tx, asked.as_ref())? {
                return Ok(Some(Reply::Replayed(recorded)));
            }
            let Some(same) = store::payable(tx, account, &first, now)? else { return Ok(None) };
            let body = payments.json(&same)?;
            save(tx, asked.as_ref(), StatusCode::OK, &body, now)?;
            Ok(Some(Reply::New(StatusCode::OK, body)))
        });
        written.await
    }

    /// Another way to pay the same, while the invoice can be paid. Without one the invoice is there all the same.
    async fn offer(&self, amount: Msat, description: String, expiry: Duration) -> Option<Offer> {
        let request = OfferRequest { amount, description, expiry };
        let made = self.0.parts.node.ask(move |node| node.create_offer(&request)).await;
        let made = made.map_err(|error| error.to_string());
        let made = made.and_then(|made| made.map_err(|error| error.to_string()));
        made.inspect_err(|error| tracing::warn!(error, "a payment has no offer beside its invoice")).ok()
    }

    fn price(&self, new: &NewPayment, quote: Option<&Quote>) -> Result<Msat, PaymentError> {
        let sats = new.unit.to_sats(new.amount, quote)?;
        if sats == Msat::ZERO {
            return Err(PaymentError::invalid("AMOUNT_TOO_SMALL", "Amount is less than one sat"));
        }
        let most = self.rules().max_amount;
        if sats > most {
            let message =
                format!("Amount is {} sat; at most {} are taken", sats.sat_floor(), most.sat_floor());
            return Err(PaymentError::invalid("AMOUNT_TOO_LARGE", message));
        }
        Ok(sats)
    }

    /// A payment for whoever may see all of it.
    pub(super) fn json(&self, payment: &Payment) -> Result<Vec<u8>, PaymentError> {
        json(&PaymentView::new(payment, &self.rules().public_url, self.now()))
    }
}

/// An order that was paid is most often ordered again by mistake, and the customer would pay twice.
fn refuse_paid(
    connection: &rusqlite::Connection,
    account: AccountId,
    new: &NewPayment,
) -> Result<(), PaymentError> {
    if new.allow_repeat {
        return Ok(());
    }
    store::paid_for(connection, account, &new.order_id)?
        .map_or(Ok(()), |paid| Err(PaymentError::OrderPaid(paid)))
}

/// What the payer reads.
fn description(new: &NewPayment, most: usize) -> String {
    let text = new.description.clone().unwrap_or_else(|| format!("Order {}", new.order_id));
    beginning(&text, most).to_owned()
}
