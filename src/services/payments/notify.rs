//! What the ledger tells the family, and what the family tells the world: the shop's webhooks, open checkout pages,
//! the operator's event log.
//!
//! All of it is written in the transaction that makes it true.

use std::sync::Arc;

use serde::Serialize;

use super::ids::InvoiceId;
use super::merchant;
use super::refunds::{self, Refund, RefundNews};
use super::status::{PaymentStatus, RefundStatus};
use super::store::{self, Payment};
use crate::core::decimal::Decimal;
use crate::core::fees::FeeRule;
use crate::core::ids::{AccountId, ChargeId};
use crate::core::money::Msat;
use crate::core::time::iso::IsoSeconds;
use crate::core::time::{Clock, UnixMillis};
use crate::http::events::EventLog;
use crate::http::live::Hub;
use crate::ledger::accounts::{self, Change, LineKind};
use crate::ledger::service_fees;
use crate::ledger::{Charge, End, Lapsed, LedgerError, Listener, OnchainPayout, Payout};
use crate::outbound::webhooks::store::{Outbox, OutboxError};
use crate::storage::Tx;
use crate::telemetry::metrics::PAYMENTS;

/// The family's ear and mouth.
#[derive(Clone)]
pub struct Notifier {
    hub: Arc<Hub>,
    outbox: Outbox,
    log: EventLog,
    clock: Clock,
    fee: FeeRule,
}

/// What a webhook carries.
#[derive(Serialize)]
struct News<'a, T> {
    event: &'a str,
    timestamp: IsoSeconds,
    data: T,
}

/// What a webhook says of a payment.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PaymentNews<'a> {
    invoice_id: InvoiceId,
    order_id: &'a str,
    status: PaymentStatus,
    amount: Decimal,
    currency: &'static str,
    amount_sats: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    paid_at: Option<IsoSeconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expired_at: Option<IsoSeconds>,
    /// Not the document's, so the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    amount_received_sats: Option<u64>,
}

impl Notifier {
    /// With whom it tells.
    pub fn new(hub: Arc<Hub>, outbox: Outbox, log: EventLog, clock: Clock) -> Self {
        Self { hub, outbox, log, clock, fee: FeeRule::FREE }
    }

    /// With what the operator takes of a payment.
    #[must_use]
    pub fn taking(self, fee: FeeRule) -> Self {
        Self { fee, ..self }
    }

    /// Where pages listen.
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Where webhooks go.
    pub(super) fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// A line in the operator's event log.
    pub(super) fn record(&self, tx: &Tx<'_>, kind: &str, payment: &Payment) -> Result<(), LedgerError> {
        let data = serde_json::json!({ "amount_sat": payment.sats.sat_floor() });
        Ok(self.log.record(tx, kind, &payment.public_id.to_string(), &data)?)
    }

    /// A payment stands somewhere else; `payment` is read after the change.
    pub(super) fn changed(
        &self,
        tx: &Tx<'_>,
        payment: &Payment,
        status: PaymentStatus,
        now: UnixMillis,
    ) -> Result<(), LedgerError> {
        let (hub, topic) = (Arc::clone(&self.hub), payment.public_id.topic());
        tx.after_commit(move || {
            metrics::counter!(PAYMENTS, "event" => status.name()).increment(1);
            hub.tell(&topic);
        });
        self.record(tx, &format!("payment.{status}"), payment)?;
        let event = match status {
            PaymentStatus::Paid => "payment.completed",
            PaymentStatus::Expired => "payment.expired",
            PaymentStatus::Unpaid | PaymentStatus::Processing | PaymentStatus::Refunded => return Ok(()),
        };
        let news = PaymentNews {
            invoice_id: payment.public_id,
            order_id: &payment.order_id,
            status,
            amount: payment.amount,
            currency: payment.unit.code(),
            amount_sats: payment.sats.sat_floor(),
            paid_at: payment.paid_at.map(IsoSeconds),
            expired_at: (status == PaymentStatus::Expired).then_some(IsoSeconds(payment.expires_at)),
            amount_received_sats: payment.paid_at.map(|_| payment.received.sat_floor()),
        };
        self.notify(tx, payment.account, event, &news, now)
    }

    /// A refund stands somewhere else; `refund` is read after the change.
    pub(super) fn refund_changed(
        &self,
        tx: &Tx<'_>,
        refund: &Refund,
        kind: &'static str,
        now: UnixMillis,
    ) -> Result<(), LedgerError> {
        let (hub, topic) = (Arc::clone(&self.hub), refund.invoice_id.topic());
        tx.after_commit(move || {
            metrics::counter!(PAYMENTS, "event" => kind).increment(1);
            hub.tell(&topic);
        });
        let data = serde_json::json!({ "amount_sat": refund.sats.sat_floor() });
        self.log.record(tx, kind, &refund.public_id.to_string(), &data)?;
        let event = match refund.status {
            RefundStatus::Pending => return Ok(()),
            RefundStatus::Completed => "refund.completed",
            RefundStatus::Failed => "refund.failed",
        };
        self.notify(tx, refund.account, event, &RefundNews::new(refund, now), now)
    }

    /// Queues a webhook to every address that the account has given.
    ///
    /// # Errors
    /// The store's.
    pub fn notify(
        &self,
        tx: &Tx<'_>,
        account: AccountId,
        event: &str,
        data: &impl Serialize,
        now: UnixMillis,
    ) -> Result<(), LedgerError> {
        let Some(merchant) = merchant::of(tx, account)? else { return Ok(()) };
        let news = News { event, timestamp: IsoSeconds(now), data };
        let payload = match serde_json::to_string(&news) {
            Ok(payload) => payload,
            Err(error) => {
                tracing::error!(%account, %error, "a webhook could not be written as JSON");
                return Ok(());
            }
        };
        for (listener, target) in merchant.listeners(account) {
            let Some(target) = target else { continue };
            match self.outbox.enqueue_for(tx, &listener, target, event, &payload) {
                Ok(_) => {}
                Err(OutboxError::Store(error)) => return Err(error.into()),
                // The address was good when it was given; whatever it is now must not undo what happened.
                Err(error) => tracing::error!(%account, %error, "a webhook could not be queued"),
            }
        }
        Ok(())
    }

    fn move_to(&self, tx: &Tx<'_>, charge: ChargeId, status: PaymentStatus) -> Result<(), LedgerError> {
        let Some(payment) = store::by_charge(tx, charge)? else {
            tracing::error!(%charge, "a charge has no payment");
            return Ok(());
        };
        store::set_status(tx, payment.id, status)?;
        self.changed(tx, &store::by_id(tx, payment.id)?, status, self.clock.now())
    }
}

/// What came belongs to the account that ordered it.
fn credit(
    tx: &Tx<'_>,
    payment: &Payment,
    kind: LineKind,
    amount: Msat,
    now: UnixMillis,
) -> Result<(), LedgerError> {
    let reference = payment.public_id.to_string();
    accounts::credit(tx, &Change { account: payment.account, kind, reference: &reference, amount }, now)
}

impl Listener for Notifier {
    fn charge_settled(&self, tx: &Tx<'_>, charge: &Charge) -> Result<(), LedgerError> {
        let Some(payment) = store::by_charge(tx, charge.id)? else {
            tracing::error!(charge = %charge.id, "a charge has no payment");
            return Ok(());
        };
        let now = charge.settled_at.unwrap_or_else(|| self.clock.now());
        let received = charge.received.unwrap_or(payment.sats);
        store::paid(tx, payment.id, received, now)?;
        credit(tx, &payment, LineKind::Payment, received, now)?;
        // As it was shown when it was ordered, unless something else came than was asked.
        let fee = if received == payment.sats { payment.fee } else { self.fee.taken_from(received) };
        let reference = payment.public_id.to_string();
        service_fees::earn(tx, charge.id, payment.account, &reference, fee, now)?;
        store::set_fee(tx, payment.id, fee)?;
        self.changed(tx, &store::by_id(tx, payment.id)?, PaymentStatus::Paid, now)
    }

    /// The shop is not told a second time: it sees what has come in the payment, and can give it back.
    fn charge_paid_more(&self, tx: &Tx<'_>, charge: &Charge, more: Msat) -> Result<(), LedgerError> {
        let Some(payment) = store::by_charge(tx, charge.id)? else {
            tracing::error!(charge = %charge.id, "a charge has no payment");
            return Ok(());
        };
        let now = self.clock.now();
        store::paid(tx, payment.id, more, now)?;
        credit(tx, &payment, LineKind::PaymentMore, more, now)?;
        let (hub, topic) = (Arc::clone(&self.hub), payment.public_id.topic());
        tx.after_commit(move || hub.tell(&topic));
        let data = serde_json::json!({ "amount_sat": more.sat_floor() });
        Ok(self.log.record(tx, "payment.paid_more", &payment.public_id.to_string(), &data)?)
    }

    fn charge_held(&self, tx: &Tx<'_>, charge: &Charge) -> Result<(), LedgerError> {
        self.move_to(tx, charge.id, PaymentStatus::Processing)
    }

    fn charge_released(&self, tx: &Tx<'_>, charge: &Charge) -> Result<(), LedgerError> {
        // Whether it is over by now is the next round's to say, and to tell.
        self.move_to(tx, charge.id, PaymentStatus::Unpaid)
    }

    fn payout_ended(&self, tx: &Tx<'_>, payout: &Payout, end: End) -> Result<Msat, LedgerError> {
        refunds::ended(self, tx, payout, end)
    }

    fn coins_ended(&self, tx: &Tx<'_>, send: &OnchainPayout, end: End) -> Result<(), LedgerError> {
        refunds::coins_ended(self, tx, send, end)
    }

    /// Payments are kept, also those that nobody paid: they belong to somebody who has a key.
    fn charge_lapsed(&self, _: &Tx<'_>, _: ChargeId) -> Result<Lapsed, LedgerError> {
        Ok(Lapsed::Keep)
    }
}
