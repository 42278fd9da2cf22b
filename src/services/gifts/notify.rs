//! Tells the world what happened to a gift: open pages at once, the sender's webhook through the outbox.
//!
//! The vouchers call it inside the transaction that makes the news true.

use std::sync::Arc;

use super::store;
use super::view::NotifyView;
use crate::core::ids::VoucherId;
use crate::core::money::Msat;
use crate::core::time::Clock;
use crate::http::events::EventLog;
use crate::http::live::Hub;
use crate::ledger::books::{Journal, Kind};
use crate::ledger::{Account, Family, LedgerError};
use crate::outbound::webhooks::store::{Outbox, OutboxError, Owner, Target};
use crate::storage::Tx;
use crate::vouchers::{self, Change, Voucher, VoucherListener};

/// What the webhook tells, in the operator's list.
const REDEEMED: &str = "gift.redeemed";

/// The family's ear on its vouchers.
#[derive(Clone)]
pub struct Notifier {
    hub: Arc<Hub>,
    outbox: Outbox,
    log: EventLog,
    /// Tells when fees go back, if they do.
    returns_fees: Option<Clock>,
}

impl Notifier {
    /// With whom it tells.
    pub fn new(hub: Arc<Hub>, outbox: Outbox, log: EventLog) -> Self {
        Self { hub, outbox, log, returns_fees: None }
    }

    /// With fees that go back with a gift that nobody redeemed in its time.
    #[must_use]
    pub fn returning_fees(self, clock: Clock) -> Self {
        Self { returns_fees: Some(clock), ..self }
    }

    /// A gift's time is over: its fee goes back with it.
    fn return_fee(&self, tx: &Tx<'_>, id: VoucherId) -> Result<(), LedgerError> {
        let (Some(clock), fee) = (&self.returns_fees, store::fee(tx, id)?) else { return Ok(()) };
        if fee == Msat::ZERO {
            return Ok(());
        }
        vouchers::add_to_return(tx, id, fee)?;
        store::set_fee(tx, id, Msat::ZERO)?;
        Journal::new(Kind::FeeReturned, id.0)
            .debit(Account::FeesEarned, fee)
            .credit(Family::Gifts.account(), fee)
            .post(tx, clock.now())
    }

    /// A gift that came back with its fee had been redeemed before.
    fn earn_again(&self, tx: &Tx<'_>, id: VoucherId, fee: Msat) -> Result<(), LedgerError> {
        store::set_fee(tx, id, fee)?;
        let now = self.returns_fees.as_ref().map_or_else(|| Clock::system().now(), Clock::now);
        Journal::new(Kind::FeeEarnedAgain, id.0)
            .debit(Family::Gifts.account(), fee)
            .credit(Account::FeesEarned, fee)
            .post(tx, now)
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
        let (family, secret) = (Family::Gifts.name(), telling.notify_secret.as_ref());
        let target = Target { family, url, secret, owner: Owner::Stranger };
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

impl VoucherListener for Notifier {
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
        match change {
            Change::Redeemed(_) => self.notify(tx, voucher, &telling)?,
            Change::Expired => self.return_fee(tx, voucher.id)?,
            Change::TakenOff(fee) => self.earn_again(tx, voucher.id, *fee)?,
            _ => {}
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
