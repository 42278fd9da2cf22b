//! Tells the world what happened to a gift: open pages at once, the sender's webhook through the outbox.
//!
//! The vouchers call it inside the transaction that makes the news true.

use std::sync::Arc;

use super::store;
use super::view::NotifyView;
use crate::http::events::EventLog;
use crate::http::live::Hub;
use crate::ledger::{Family, LedgerError};
use crate::store::Tx;
use crate::vouchers::{Change, Voucher, VoucherListener};
use crate::webhooks::store::{Outbox, OutboxError, Target};

/// What the webhook tells, in the operator's list.
const REDEEMED: &str = "gift.redeemed";

/// The family's ear on its vouchers.
#[derive(Clone)]
pub struct Teller {
    hub: Arc<Hub>,
    outbox: Outbox,
    log: EventLog,
}

impl Teller {
    /// With whom it tells.
    pub fn new(hub: Arc<Hub>, outbox: Outbox, log: EventLog) -> Self {
        Self { hub, outbox, log }
    }

    /// Where pages listen.
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// The contract's `notify`: queued with the payout's success, so it is sent at least once and never
    /// for anything else.
    fn notify(&self, tx: &Tx<'_>, voucher: &Voucher, telling: &store::Telling) -> Result<(), LedgerError> {
        let Some(url) = &telling.notify else { return Ok(()) };
        let id = telling.order_id.to_string();
        let payload = match serde_json::to_string(&NotifyView::redeemed(&id, voucher.amount.sat_floor())) {
            Ok(payload) => payload,
            Err(error) => {
                tracing::error!(voucher = %voucher.id, %error, "a webhook could not be written as JSON");
                return Ok(());
            }
        };
        let target = Target { family: Family::Gifts.name(), url, secret: telling.notify_secret.as_ref() };
        match self.outbox.enqueue(tx, target, REDEEMED, &payload) {
            Ok(_) => Ok(()),
            Err(OutboxError::Store(error)) => Err(error.into()),
            Err(error) => {
                // The address was good at creation; whatever it is now must not undo a payout.
                tracing::error!(voucher = %voucher.id, %error, "a webhook could not be queued");
                Ok(())
            }
        }
    }
}

impl VoucherListener for Teller {
    fn changed(&self, tx: &Tx<'_>, voucher: &Voucher, change: &Change) -> Result<(), LedgerError> {
        if matches!(change, Change::Forgotten) {
            return store::delete(tx, voucher.id);
        }
        let Some(telling) = store::telling(tx, voucher.id)? else {
            // Nobody to tell; the money moves all the same.
            tracing::error!(voucher = %voucher.id, "a voucher has no gift");
            return Ok(());
        };
        let data = serde_json::json!({ "amount_sat": voucher.amount.sat_floor() });
        self.log.record(tx, kind(change), &voucher.id.to_string(), &data)?;
        if matches!(change, Change::Redeemed(_)) {
            self.notify(tx, voucher, &telling)?;
        }
        let (hub, topic) = (Arc::clone(&self.hub), telling.order_id.topic());
        tx.after_commit(move || hub.tell(&topic));
        Ok(())
    }
}

/// The word for a change in the operator's event log. Its subject is the voucher's number, which redeems
/// nothing.
fn kind(change: &Change) -> &'static str {
    match change {
        Change::Funded => "gift.funded",
        Change::Claiming(_) => "gift.claiming",
        Change::Redeemed(_) => REDEEMED,
        Change::PayoutFailed(_) => "gift.payout_failed",
        Change::Expired => "gift.expired",
        Change::Returned(_) => "gift.returned",
        Change::TakenOff(_) => "gift.arrived_late",
        Change::Forgotten => "gift.forgotten",
    }
}
