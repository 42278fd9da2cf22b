//! What a lost event left behind: the node is asked again, what was missed is done now.
//!
//! A payment that waits to be claimed, and of which the node told nobody, can't be told from a part of one by a
//! single look, and to claim a part costs a channel: [`ledger::held::lost`](crate::ledger::held::lost) finds those by
//! watching.

use super::ids::InvoiceId;
use super::status::PaymentStatus;
use super::store;
use super::{PaymentError, Payments};
use crate::ids::AccountId;
use crate::ledger::charges;
use crate::lightning::{Direction, RecordStatus};

/// Payments marked at once, so that no commit becomes long.
const AT_ONCE: i64 = 200;

impl Payments {
    /// Looks at the node's own state of a payment again and applies what was missed; answers the payment.
    ///
    /// # Errors
    /// [`PaymentError::PaymentNotFound`]; [`PaymentError::NodeUnavailable`] while the node can't be asked about what is
    /// not paid; the store's.
    pub async fn sync(&self, account: AccountId, id: InvoiceId) -> Result<Vec<u8>, PaymentError> {
        let payment = self.one(account, id).await?;
        if payment.paid_at.is_none() {
            let charge = payment.charge;
            let charge = self.store().read(move |connection| charges::by_id(connection, charge)).await?;
            let hash = charge.payment_hash;
            let asked = self.0.parts.node.ask(move |node| node.is_running().then(|| node.record(hash))).await;
            let record = asked.ok().flatten().ok_or(PaymentError::NodeUnavailable)?;
            let came = record.filter(|record| {
                record.direction == Direction::Inbound && record.status == RecordStatus::Succeeded
            });
            if let Some(amount) = came.and_then(|record| record.amount) {
                let (listeners, now) = (self.ledger().listeners.clone(), self.now());
                let received =
                    self.store().write(move |tx| charges::receive(tx, &listeners, hash, amount, now)).await?;
                tracing::info!(payment = %payment.id, ?received, "a payment was found by looking again");
            }
        }
        self.one_json(account, id).await
    }

    /// Marks what nobody paid in time and tells of it, all there is; answers how many.
    ///
    /// # Errors
    /// The store's; what was marked stays so.
    pub async fn expire_due(&self) -> Result<usize, PaymentError> {
        let mut all = 0_usize;
        loop {
            let marked = self.expire_some().await?;
            all = all.saturating_add(marked);
            if i64::try_from(marked).is_ok_and(|marked| marked < AT_ONCE) {
                return Ok(all);
            }
            // Others write between two rounds.
            tokio::task::yield_now().await;
        }
    }

    async fn expire_some(&self) -> Result<usize, PaymentError> {
        let (payments, now) = (self.clone(), self.now());
        let written = self.store().write(move |tx| -> Result<usize, PaymentError> {
            let over = store::expire(tx, now, AT_ONCE)?;
            for (id, _) in over.iter().filter(|(_, told)| !told) {
                store::note_expiry_told(tx, *id)?;
                let payment = store::by_id(tx, *id)?;
                payments.teller().changed(tx, &payment, PaymentStatus::Expired, now)?;
            }
            Ok(over.len())
        });
        written.await
    }
}
