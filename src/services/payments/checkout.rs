//! What a customer sees of a payment: enough to pay it and to go back, nothing of what is the shop's alone.

use std::borrow::Cow;

use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::ids::InvoiceId;
use super::status::PaymentStatus;
use super::store::{self, Payment};
use super::{PaymentError, Payments, Session, json};
use crate::core::decimal::Decimal;
use crate::core::time::UnixMillis;
use crate::core::time::iso::IsoSeconds;
use crate::http::client::Client;
use crate::http::live;
use crate::ledger::offers;
use crate::lightning::Offer;
use crate::rates::Unit;

/// A payment as its customer sees it: no order, e-mail address, name or metadata.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckoutView<'a> {
    #[schema(example = "inv_0123456789abcdef01234567")]
    invoice_id: Cow<'a, str>,
    status: PaymentStatus,
    description: Option<&'a str>,
    /// As it was ordered.
    #[schema(value_type = f64, example = 49.99)]
    amount: Decimal,
    #[schema(example = "USD")]
    currency: &'static str,
    amount_sats: u64,
    /// The same, under the name that the original service's page reads.
    sats_amount: u64,
    /// Always `false`.
    is_demo: bool,
    /// What really came, once it is paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    amount_received_sats: Option<u64>,
    /// BOLT11, also when it can't be paid any more: `status` says whether it can.
    lightning_invoice: &'a str,
    /// The same for a QR code, as long as it can be paid; BIP21 with a BOLT12 offer too, where payments have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "LIGHTNING:LNBC1…")]
    payment_uri: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    expires_at: IsoSeconds,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    paid_at: Option<IsoSeconds>,
    /// Where to go once it is paid; not before.
    #[serde(skip_serializing_if = "Option::is_none")]
    success_url: Option<&'a str>,
    /// Where to go as long as it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    cancel_url: Option<&'a str>,
}

impl<'a> CheckoutView<'a> {
    fn new(payment: &'a Payment, offer: Option<&Offer>, now: UnixMillis) -> Self {
        let status = payment.status_at(now);
        let (open, paid) = (status == PaymentStatus::Unpaid, payment.paid_at.is_some());
        Self {
            invoice_id: payment.public_id.to_string().into(),
            status,
            description: payment.description.as_deref(),
            amount: payment.amount,
            currency: payment.unit.code(),
            amount_sats: payment.sats.sat_floor(),
            sats_amount: payment.sats.sat_floor(),
            is_demo: false,
            amount_received_sats: paid.then(|| payment.received.sat_floor()),
            lightning_invoice: &payment.invoice,
            payment_uri: open.then(|| uri(&payment.invoice, offer)),
            expires_at: IsoSeconds(payment.expires_at),
            paid_at: payment.paid_at.map(IsoSeconds),
            success_url: payment.success_url.as_deref().filter(|_| paid),
            cancel_url: payment.cancel_url.as_deref().filter(|_| !paid),
        }
    }

    /// What another family has opened: with the same members, and no way back to a shop.
    fn of_session(session: &'a Session, now: UnixMillis) -> Self {
        let status = match session.paid_at {
            Some(_) => PaymentStatus::Paid,
            None if session.expires_at <= now => PaymentStatus::Expired,
            None => PaymentStatus::Unpaid,
        };
        let open = status == PaymentStatus::Unpaid;
        Self {
            invoice_id: session.id.as_str().into(),
            status,
            description: session.description.as_deref(),
            amount: Decimal::from(session.amount.sat_floor()),
            currency: Unit::Sats.code(),
            amount_sats: session.amount.sat_floor(),
            sats_amount: session.amount.sat_floor(),
            is_demo: false,
            amount_received_sats: session.paid_at.map(|_| session.received.sat_floor()),
            lightning_invoice: &session.invoice,
            payment_uri: open.then(|| uri(&session.invoice, None)),
            expires_at: IsoSeconds(session.expires_at),
            paid_at: session.paid_at.map(IsoSeconds),
            success_url: None,
            cancel_url: None,
        }
    }
}

/// The longest text that the page's picture of a code holds.
pub(super) const MAX_URI: usize = 1_500;

/// All ways to pay in one code. Upper case makes it smaller, and wallets read both. A BIP21 without an address, which
/// some wallets can't read, only where there is an offer besides.
pub(super) fn uri(invoice: &str, offer: Option<&Offer>) -> String {
    let invoice = invoice.to_ascii_uppercase();
    match offer {
        None => format!("LIGHTNING:{invoice}"),
        Some(offer) => format!("bitcoin:?lightning={invoice}&lno={}", offer.text.to_ascii_uppercase()),
    }
}

impl Payments {
    /// A payment for whoever has its id.
    ///
    /// # Errors
    /// [`PaymentError::PaymentNotFound`], the store's.
    pub async fn checkout_json(&self, id: &str) -> Result<Vec<u8>, PaymentError> {
        let Ok(id) = id.parse::<InvoiceId>() else {
            return json(&CheckoutView::of_session(&self.session(id).await?, self.now()));
        };
        let found = self.store().read(move |connection| -> Result<_, PaymentError> {
            let payment = store::by_public_id(connection, id)?.ok_or(PaymentError::PaymentNotFound)?;
            let offer = offers::of(connection, payment.charge)?;
            Ok((payment, offer))
        });
        let (payment, offer) = found.await?;
        json(&CheckoutView::new(&payment, offer.as_ref(), self.now()))
    }

    /// The same, and every change of it, as server-sent events.
    ///
    /// # Errors
    /// As [`Payments::checkout_json`], and [`PaymentError::TooMany`].
    pub async fn watch(&self, id: &str, client: Client) -> Result<Response, PaymentError> {
        self.checkout_json(id).await?;
        let topic = match id.parse::<InvoiceId>() {
            Ok(id) => id.topic(),
            Err(_) => self.session(id).await?.topic,
        };
        let (payments, id) = (self.clone(), id.to_owned());
        let read = move || {
            let (payments, id) = (payments.clone(), id.clone());
            async move { payments.checkout_json(&id).await.ok().and_then(|body| String::from_utf8(body).ok()) }
        };
        let stream = live::sse_stream(self.notifier().hub(), client, &topic, read);
        stream.map_err(|_| PaymentError::TooMany { quota: None, retry_after: STREAMS_PAUSE_SECS })
    }

    async fn session(&self, id: &str) -> Result<Session, PaymentError> {
        let sessions = self.0.sessions.as_ref().ok_or(PaymentError::PaymentNotFound)?;
        sessions.find(id).await?.ok_or(PaymentError::PaymentNotFound)
    }
}

/// When to ask for a stream again that there was no place for.
const STREAMS_PAUSE_SECS: u64 = 5;
