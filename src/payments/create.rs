//! Ordering: the price in sats, an invoice whose payment we claim ourselves, then charge and payment in one
//! transaction.

use axum::http::StatusCode;

use super::ids::InvoiceId;
use super::request::NewPayment;
use super::store::{self, Draft, Payment};
use super::view::PaymentView;
use super::{Done, PaymentError, Payments, json, remember, seen};
use crate::clock::millis;
use crate::http::idempotency::Ask;
use crate::ids::{AccountId, Preimage, random_bytes};
use crate::ledger::{Family, charges};
use crate::lightning::{InvoiceDescription, InvoiceRequest};
use crate::money::Msat;
use crate::rates::Quote;

/// Bytes that the description of a BOLT11 invoice holds.
const DESCRIPTION_BYTES: usize = 639;

impl Payments {
    /// Makes what was ordered. The same order again, as long as it can be paid and costs the same, is the same
    /// payment.
    ///
    /// # Errors
    /// [`PaymentError::Invalid`], [`PaymentError::RateUnavailable`], [`PaymentError::NodeUnavailable`],
    /// [`PaymentError::NoInboundCapacity`], [`PaymentError::TooMany`]; of the idempotency key; the store's. Nothing
    /// is left behind by any.
    pub async fn create(
        &self,
        account: AccountId,
        new: NewPayment,
        ask: Option<Ask>,
    ) -> Result<Done, PaymentError> {
        let (payments, first, now) = (self.clone(), new.clone(), self.now());
        let asked = ask.clone();
        let before = self.store().read(move |connection| -> Result<_, PaymentError> {
            if let Some(recorded) = seen(connection, asked.as_ref())? {
                return Ok(Some(Done::Before(recorded)));
            }
            // With a key the transaction decides, since it has to remember.
            match store::payable(connection, account, &first.order_id, now)? {
                Some(same) if asked.is_none() && is_same(&same, &first) => {
                    Ok(Some(Done::Now(StatusCode::OK, payments.json(&same)?)))
                }
                _ => Ok(None),
            }
        });
        if let Some(done) = before.await? {
            return Ok(done);
        }
        if !self.rules().enabled {
            return Err(PaymentError::NodeUnavailable);
        }
        let quote = new.unit.currency().map(|currency| self.rates().quote(currency)).transpose()?;
        let sats = self.price(&new, quote.as_ref())?;
        self.0.capacity.check(sats).await?;
        let budget = self.0.parts.budget.take();
        budget.map_err(|retry_after| PaymentError::TooMany { quota: None, retry_after })?;
        let preimage = Preimage(random_bytes()?);
        let request = InvoiceRequest {
            amount: Some(sats),
            description: InvoiceDescription::Text(description(&new)),
            expiry: self.rules().expiry,
            hold: Some(preimage.payment_hash()),
        };
        let invoice = self.0.parts.node.create_invoice(request).await?;
        let public_id = InvoiceId::random()?;
        let (payments, now) = (self.clone(), self.now());
        let written = self.store().write(move |tx| -> Result<Done, PaymentError> {
            if let Some(recorded) = seen(tx, ask.as_ref())? {
                return Ok(Done::Before(recorded));
            }
            let same = store::payable(tx, account, &new.order_id, now)?;
            let (status, payment) = match same.filter(|same| is_same(same, &new)) {
                // Our fresh invoice is nobody's: whoever paid it would get their sats back.
                Some(same) => (StatusCode::OK, same),
                None => {
                    let charge =
                        charges::open_held(tx, Family::Payments, &invoice, Some(sats), preimage, now)?;
                    let draft = Draft {
                        public_id,
                        account,
                        charge,
                        new: &new,
                        sats,
                        quote: quote.as_ref(),
                        expires_at: invoice.expires_at().map_or(now, millis),
                    };
                    let id = store::insert(tx, &draft, now)?;
                    let payment = store::by_id(tx, id)?;
                    payments.teller().record(tx, "payment.created", &payment)?;
                    (StatusCode::CREATED, payment)
                }
            };
            let body = payments.json(&payment)?;
            remember(tx, ask.as_ref(), status, &body, now)?;
            Ok(Done::Now(status, body))
        });
        written.await
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

/// Whether an order is the one that waits to be paid already.
fn is_same(payment: &Payment, new: &NewPayment) -> bool {
    payment.amount == new.amount && payment.unit == new.unit
}

/// What the payer reads.
fn description(new: &NewPayment) -> String {
    let text = new.description.clone().unwrap_or_else(|| format!("Order {}", new.order_id));
    let mut end = text.len().min(DESCRIPTION_BYTES);
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    text.get(..end).unwrap_or_default().to_owned()
}
