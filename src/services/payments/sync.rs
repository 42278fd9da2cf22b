//! What a lost event left behind: the node is asked again, what was missed is done now.
//!
//! A payment that waits to be claimed, and of which the node told nobody, can't be told from a part of one by a
//! single look, and to claim a part costs a channel: [`ledger::held::lost`](crate::ledger::held::lost) finds those by
//! watching.

use super::ids::InvoiceId;
use super::status::PaymentStatus;
use super::store;
use super::{PaymentError, Payments};
use crate::core::ids::AccountId;
use crate::ledger::{LedgerError, charges, offers};
use crate::lightning::{Direction, Lightning, RecordStatus};

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
            let read = self.store().read(move |connection| -> Result<_, LedgerError> {
                Ok((charges::by_id(connection, charge)?, offers::of(connection, charge)?))
            });
            let (charge, offer) = read.await?;
            let records = move |node: &dyn Lightning| {
                let of_invoice = node.record(charge.payment_hash);
                let since = u64::try_from(charge.created_at / 1_000).unwrap_or(0);
                let all = offer.iter().flat_map(|offer| {
                    let all = node.succeeded_since(since).into_iter();
                    all.filter(|record| record.offer == Some(offer.id))
                });
                of_invoice.into_iter().chain(all).collect::<Vec<_>>()
            };
            let asked = self.0.parts.node.ask(move |node| node.is_running().then(|| records(node))).await;
            let found = asked.ok().flatten().ok_or(PaymentError::NodeUnavailable)?;
            let came = found.into_iter().filter(|record| {
                record.direction == Direction::Inbound && record.status == RecordStatus::Succeeded
            });
            for record in came {
                let Some(amount) = record.amount else { continue };
                let (listeners, now) = (self.ledger().listeners.clone(), self.now());
                let received = self.store().write(move |tx| {
                    charges::receive(tx, &listeners, record.hash, record.offer, amount, now)
                });
                let received = received.await?;
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
                payments.notifier().changed(tx, &payment, PaymentStatus::Expired, now)?;
            }
            Ok(over.len())
        });
        written.await
    }
}
