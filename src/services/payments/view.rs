//! What callers read: the document's names, in its order, and what we add behind them.

use serde::Serialize;
use utoipa::ToSchema;

use super::ids::InvoiceId;
use super::status::PaymentStatus;
use super::store::Payment;
use crate::core::decimal::Decimal;
use crate::core::time::UnixMillis;
use crate::core::time::iso::IsoSeconds;

/// A payment.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PaymentView<'a> {
    #[schema(value_type = String, example = "inv_0123456789abcdef01234567")]
    invoice_id: InvoiceId,
    order_id: &'a str,
    status: PaymentStatus,
    /// As it was ordered.
    #[schema(value_type = f64, example = 49.99)]
    amount: Decimal,
    #[schema(example = "USD")]
    currency: &'static str,
    amount_sats: u64,
    /// BOLT11; not once it is paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    lightning_invoice: Option<&'a str>,
    /// Not once it is paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<IsoSeconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    paid_at: Option<IsoSeconds>,
    #[schema(value_type = String, format = DateTime)]
    created_at: IsoSeconds,
    /// The customer's page.
    checkout_url: String,
    /// What really came, once it is paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    amount_received_sats: Option<u64>,
    /// What of it has gone back, or is on its way.
    #[serde(skip_serializing_if = "Option::is_none")]
    amount_refunded_sats: Option<u64>,
    /// What a bitcoin cost when it was ordered, in the currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>)]
    exchange_rate: Option<Decimal>,
    /// What the operator takes of it; only if there is a fee.
    #[serde(skip_serializing_if = "Option::is_none")]
    fee_sats: Option<u64>,
}

impl<'a> PaymentView<'a> {
    /// A payment as it is now.
    pub(super) fn new(payment: &'a Payment, public_url: &str, now: UnixMillis) -> Self {
        let open = payment.paid_at.is_none();
        let sats = |amount: crate::core::money::Msat| amount.sat_floor();
        Self {
            invoice_id: payment.public_id,
            order_id: &payment.order_id,
            status: payment.status_at(now),
            amount: payment.amount,
            currency: payment.unit.code(),
            amount_sats: sats(payment.sats),
            lightning_invoice: open.then_some(payment.invoice.as_str()),
            expires_at: open.then_some(IsoSeconds(payment.expires_at)),
            paid_at: payment.paid_at.map(IsoSeconds),
            created_at: IsoSeconds(payment.created_at),
            checkout_url: format!("{public_url}/checkout/{}", payment.public_id),
            amount_received_sats: payment.paid_at.map(|_| sats(payment.received)),
            amount_refunded_sats: (payment.refunding.get() > 0).then(|| sats(payment.refunding)),
            exchange_rate: payment.rate,
            fee_sats: (payment.fee.get() > 0).then(|| sats(payment.fee)),
        }
    }
}

/// A page of payments.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PaymentsView<'a> {
    pub(super) payments: Vec<PaymentView<'a>>,
    /// `cursor` of the next page; `null` on the last.
    #[schema(value_type = Option<String>)]
    pub(super) next_cursor: Option<InvoiceId>,
}
