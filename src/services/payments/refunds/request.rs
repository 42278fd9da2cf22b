//! What may be asked to go back. Of several rules that are broken the first in this order is told.

use lightning_invoice::Bolt11Invoice;

use crate::core::decimal::Decimal;
use crate::http::body::JsonObject;
use crate::lightning::invoice;
use crate::rates::Unit;
use crate::services::payments::PaymentError;
use crate::services::payments::ids::InvoiceId;
use crate::services::payments::request::{Fields, Invalid, amount, unit};

const REASON_LEN: usize = 500;

/// Longer than any invoice that is looked at.
const TARGET_LEN: usize = 8_192;

/// A refund to make.
#[derive(Clone, Debug)]
pub struct NewRefund {
    /// Of which payment.
    pub payment: InvoiceId,
    /// More than nothing.
    pub amount: Decimal,
    /// Of what: the payment's own.
    pub unit: Unit,
    /// Where to.
    pub target: Target,
    /// For the shop.
    pub reason: Option<String>,
}

/// Where a refund goes.
#[derive(Clone, Debug)]
pub enum Target {
    /// To an invoice of the customer's.
    Lightning(Box<Bolt11Invoice>),
    /// To an address of the customer's; read, with the network, when the payment is known.
    Onchain(String),
}

impl NewRefund {
    /// Reads one.
    ///
    /// # Errors
    /// [`PaymentError::Invalid`]; [`PaymentError::PaymentNotFound`] for what can't be a payment's id.
    pub fn read(body: &JsonObject) -> Result<Self, PaymentError> {
        let fields = Fields(&body.fields);
        let missing = || PaymentError::invalid("MISSING_INVOICE_ID", "Invoice ID is required");
        let payment = match fields.text("invoiceId", 255) {
            Ok(Some(text)) => text.parse().map_err(|_| PaymentError::PaymentNotFound)?,
            Ok(None) => return Err(missing()),
            Err(_) => return Err(PaymentError::PaymentNotFound),
        };
        let (amount, unit) = (amount(body)?, unit(fields)?);
        let (target, reason) = (target(fields)?, fields.text("reason", REASON_LEN)?);
        Ok(Self { payment, amount, unit, target, reason })
    }
}

fn target(fields: Fields<'_>) -> Result<Target, PaymentError> {
    let invoice = fields.text("lightningInvoice", TARGET_LEN).map_err(|_| invoice::BadInvoice::Unreadable)?;
    let address = fields.text("bitcoinAddress", TARGET_LEN)?;
    match (invoice, address) {
        (Some(text), None) => Ok(Target::Lightning(Box::new(invoice::read(&text)?))),
        (None, Some(text)) => Ok(Target::Onchain(text)),
        _ => {
            Err(Invalid::new("INVALID_DESTINATION", "Give either lightningInvoice or bitcoinAddress").into())
        }
    }
}
