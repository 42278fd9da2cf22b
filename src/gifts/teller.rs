//! Tells the world what happened to a gift: open pages at once, the sender's webhook through the outbox.
//!
//! The vouchers call it inside the transaction that makes the news true.

use std::sync::Arc;

use super::ids::Keyring;
use super::store;
use crate::http::live::Hub;
use crate::ids::Secret;
use crate::ledger::{Family, LedgerError, Payout};
use crate::store::Tx;
use crate::vouchers::{Change, Voucher, VoucherListener, VoucherState};
use crate::webhooks::store::{Outbox, OutboxError, Target};

/// What the webhook tells, in the operator's list.
const REDEEMED: &str = "gift.redeemed";

/// The family's ear on its vouchers.
#[derive(Clone)]
pub struct Teller {
    hub: Arc<Hub>,
    outbox: Outbox,
    keyring: Keyring,
}

impl Teller {
    /// With whom it tells.
    pub fn new(hub: Arc<Hub>, outbox: Outbox, keyring: Keyring) -> Self {
        Self { hub, outbox, keyring }
    }

    /// Where pages listen.
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// The contract's `notify`: queued with the payout's success, so it is sent at least once and never
    /// for anything else.
    fn notify(
        &self,
        tx: &Tx<'_>,
        voucher: &Voucher,
        payout: &Payout,
        telling: &store::Telling,
    ) -> Result<(), LedgerError> {
        let Some(url) = &telling.notify else { return Ok(()) };
        if store::is_return(tx, payout.id)? {
            return Ok(());
        }
        let id = telling.order_id.to_string();
        let payload = serde_json::json!({
            "id": id, "orderId": id, "amount": voucher.amount.sat_floor(), "spent": true,
        });
        let server_secret = Secret::new(self.keyring.notify_secret());
        let secret = telling.notify_secret.as_ref().unwrap_or(&server_secret);
        let target = Target { family: Family::Gifts.name(), url, secret: Some(secret) };
        match self.outbox.enqueue(tx, target, REDEEMED, &payload.to_string()) {
            Ok(_) => Ok(()),
            Err(OutboxError::Store(error)) => Err(error.into()),
            Err(error) => Err(LedgerError::Broken(format!("a webhook could not be queued: {error}"))),
        }
    }
}

impl VoucherListener for Teller {
    fn changed(&self, tx: &Tx<'_>, voucher: &Voucher, change: &Change) -> Result<(), LedgerError> {
        let Some(telling) = store::telling(tx, voucher.id)? else {
            return Err(LedgerError::Broken(format!("voucher {} has no gift", voucher.id)));
        };
        match change {
            Change::Claiming(payout) => {
                // An invoice of this node is paid by now.
                if matches!(voucher.state, VoucherState::Returning | VoucherState::Returned) {
                    store::note_return(tx, payout.id)?;
                }
            }
            Change::Redeemed(payout) => self.notify(tx, voucher, payout, &telling)?,
            Change::Funded | Change::PayoutFailed(_) | Change::Expired | Change::Returned(_) => {}
        }
        let (hub, topic) = (Arc::clone(&self.hub), telling.order_id.topic());
        tx.after_commit(move || hub.tell(&topic));
        Ok(())
    }
}
