//! Ordering gifts: an invoice of the node, then charge, vouchers and gifts in one transaction.

use axum::http::StatusCode;

use super::error::GiftError;
use super::ids::{ManageKey, OrderId};
use super::request::{Order, Words};
use super::store::{self, NewGift};
use super::view::{CreatedView, InvoiceView};
use super::{Done, Gifts};
use crate::core::ids::{ChargeId, Secret};
use crate::core::time::UnixMillis;
use crate::http::idempotency::{IdempotencyKey, lookup, save};
use crate::ledger::solvency::Sale;
use crate::ledger::{Family, charges};
use crate::lightning::{InvoiceDescription, InvoiceRequest};
use crate::outbound::lnurl::pay::check_target;
use crate::outbound::webhooks::sign;
use crate::vouchers::{self, NewVoucher};

/// A gift's names, made before anything is written.
#[derive(Clone, Debug)]
pub(super) struct Names {
    pub(super) order_id: OrderId,
    pub(super) manage_key: Option<ManageKey>,
}

/// Gifts that are durable.
#[derive(Debug)]
pub(super) struct Created {
    pub(super) order: Order,
    pub(super) names: Vec<Names>,
    pub(super) charge: ChargeId,
    pub(super) payreq: String,
    pub(super) invoice_expires_at: UnixMillis,
}

impl Gifts {
    /// Makes what was ordered, as JSON for the sender.
    ///
    /// # Errors
    /// Of the order's webhook, of the node, of the budget, of the `Idempotency-Key`; the store's.
    pub async fn create(
        &self,
        order: Order,
        ask: Option<IdempotencyKey>,
    ) -> Result<Done<Vec<u8>>, GiftError> {
        if let Some(asked) = ask.clone() {
            let before =
                self.store().read(move |connection| Ok::<_, GiftError>(lookup(connection, Some(&asked))));
            if let Some(recorded) = before.await?? {
                return Ok(Done::Before(recorded));
            }
        }
        let description = InvoiceDescription::Text(order.description());
        let made = self.make(order, description, true, ask).await?;
        Ok(match made {
            Done::Before(recorded) => Done::Before(recorded),
            Done::Now((_, Some(body))) => Done::Now(body),
            Done::Now((created, None)) => Done::Now(self.created_json(&created)?),
        })
    }

    /// Makes what was ordered. With an `ask` the answer for the sender is made and kept in the transaction.
    pub(super) async fn make(
        &self,
        order: Order,
        description: InvoiceDescription,
        managed: bool,
        ask: Option<IdempotencyKey>,
    ) -> Result<Done<(Created, Option<Vec<u8>>)>, GiftError> {
        if !self.0.rules.enabled {
            return Err(GiftError::NodeUnavailable);
        }
        self.check_notify(&order.words)?;
        if let Some(address) = &order.refund_address {
            check_target(&self.0.guard, address).map_err(GiftError::RefundAddressUnpayable)?;
        }
        let order = Order { notify_secret: signing_secret(&order)?, ..order };
        let names = (0..order.quantity).map(|_| new_names(managed)).collect::<Result<Vec<_>, _>>()?;
        self.0
            .gate
            .check(Sale::Vouchers { comes: order.total, owed: order.total, largest: order.amount })
            .await?;
        self.0.budget.take().map_err(|retry_after| GiftError::TooMany { retry_after })?;
        let expiry = self.0.rules.invoice_expiry;
        let request = InvoiceRequest { amount: Some(order.total), description, expiry, hold: None };
        let invoice = self.0.node.draft_invoice(request).await?;
        let gifts = self.clone();
        let now = self.now();
        let written = self.store().write(move |tx| -> Result<_, GiftError> {
            if let Some(recorded) = lookup(tx, ask.as_ref())? {
                return Ok(Done::Before(recorded));
            }
            let payreq = invoice.to_string();
            let charge = charges::open(tx, Family::Gifts, &invoice, Some(order.total), now)?;
            let voucher = NewVoucher {
                family: Family::Gifts,
                charge,
                amount: order.amount,
                expires_at: order.expires_at,
                return_to: order.refund_address.clone(),
            };
            for names in &names {
                let id = vouchers::issue(tx, &voucher, now)?;
                store::insert(
                    tx,
                    &NewGift {
                        id,
                        order_id: names.order_id,
                        sender_name: order.words.sender_name.as_deref(),
                        sender_message: order.words.sender_message.as_deref(),
                        code: order.words.code,
                        notify: order.words.notify.as_deref(),
                        notify_secret: order.notify_secret.as_ref(),
                        manage_key: names.manage_key.as_ref(),
                        fee: order.fee,
                    },
                )?;
            }
            let invoice_expires_at = invoice.expires_at().map_or(now, crate::core::time::millis);
            let created = Created { order, names, charge, payreq, invoice_expires_at };
            let body = match &ask {
                None => None,
                Some(_) => Some(gifts.created_json(&created)?),
            };
            save(tx, ask.as_ref(), StatusCode::OK, body.as_deref().unwrap_or_default(), now)?;
            invoice.keep();
            Ok(Done::Now((created, body)))
        });
        written.await
    }

    /// Whether the webhook may be called at all.
    pub(super) fn check_notify(&self, words: &Words) -> Result<(), GiftError> {
        match &words.notify {
            Some(url) => self.0.guard.check_url(url).map(drop).map_err(GiftError::NotifyRefused),
            None => Ok(()),
        }
    }

    /// The answer to `/create`.
    fn created_json(&self, created: &Created) -> Result<Vec<u8>, GiftError> {
        let charge = self.charge_uuid(created.charge)?;
        let invoice = InvoiceView { expires_at: created.invoice_expires_at / 1_000, payreq: &created.payreq };
        let public_url = &self.0.rules.public_url;
        let view =
            CreatedView::new(created, &charge, invoice, public_url, |id, code| self.lnurl_of(id, code))
                .ok_or(GiftError::Internal)?;
        super::view::json(&view)
    }

    /// What callers know a charge by.
    pub(super) fn charge_uuid(&self, charge: ChargeId) -> Result<String, GiftError> {
        let sealed = self.0.keyring.seal_charge(charge).ok_or(GiftError::Internal)?;
        Ok(sealed.to_string())
    }
}

/// What signs the webhook of these gifts; nothing if there is none. A sender who names no secret gets one, for a
/// signature that nobody can check proves nothing.
fn signing_secret(order: &Order) -> Result<Option<Secret>, GiftError> {
    match (&order.words.notify, &order.notify_secret) {
        (None, _) => Ok(None),
        (Some(_), Some(given)) => Ok(Some(given.clone())),
        (Some(_), None) => Ok(Some(sign::new_secret()?)),
    }
}

fn new_names(managed: bool) -> Result<Names, GiftError> {
    let manage_key = if managed { Some(ManageKey::random()?) } else { None };
    Ok(Names { order_id: OrderId::random()?, manage_key })
}
