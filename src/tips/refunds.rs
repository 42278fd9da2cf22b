//! What came back to a tipper goes on to their lightning address, by itself or when somebody asks for it.
//!
//! Each asking of an address gives another invoice, so the next try is put off, durably, before this one begins;
//! and the payout takes the tips out of what can be refunded, so there are never two for one tip.

use super::ids::Cuid;
use super::people::{self, User};
use super::store;
use super::withdraw::{Asked, Flow, purse};
use super::{TipError, Tips, json};
use crate::crash_point;
use crate::ids::UserId;
use crate::ledger::Payout;

/// Tippers in one round.
const ROUND: i64 = 16;

impl Tips {
    /// Tries everybody whose turn it is; answers how many payouts began.
    ///
    /// # Errors
    /// The store's. What an address does wrong is logged and tried again later.
    pub async fn refund_due(&self) -> Result<usize, TipError> {
        let now = self.now();
        let due = self.store().read(move |connection| store::refunds_due(connection, now, ROUND)).await?;
        if due.is_empty() || !self.0.parts.node.ask(|node| node.is_running()).await.unwrap_or(false) {
            return Ok(0);
        }
        let mut begun = 0_usize;
        for (user, address) in due {
            match self.refund(user, &address).await {
                Ok(_) => begun = begun.saturating_add(1),
                Err(TipError::Conflict { code: "NOTHING_TO_WITHDRAW", .. }) => {
                    self.store().write(move |tx| store::refund_begun(tx, user)).await?;
                }
                Err(error) => tracing::info!(%user, %error, "a tipper's refund must wait"),
            }
        }
        Ok(begun)
    }

    /// Begins one payout of all that a tipper has got back.
    async fn refund(&self, user: UserId, address: &str) -> Result<Payout, TipError> {
        let now = self.now();
        let asked = Asked { flow: Flow::Tipper, user: Some(user), tip: None };
        let wanted = asked.clone();
        let purse = self
            .store()
            .write(move |tx| -> Result<_, TipError> {
                let purse = purse(tx, &wanted, now)?;
                store::put_off_refund(tx, user, now)?;
                Ok(purse)
            })
            .await?;
        crash_point!("tip.refund_put_off");
        let invoice = self.ask_address(address, purse.amount).await?;
        crash_point!("tip.refund_asked");
        let tips = self.clone();
        let written = self.store().write(move |tx| -> Result<Payout, TipError> {
            let payout = tips.pay_in(tx, &purse.tips, Flow::Tipper.taker(), &invoice, tips.now())?;
            store::refund_begun(tx, user)?;
            // More than fit into one payout are next.
            store::want_refund_of_rest(tx, user, tips.now())?;
            Ok(payout)
        });
        let payout = written.await?;
        crash_point!("tip.refund_begun");
        Ok(payout)
    }

    /// The same now, for one tipper.
    ///
    /// # Errors
    /// [`TipError::NotFound`] for nobody, and for somebody without an address; [`TipError::AddressRefuses`],
    /// [`TipError::Conflict`], the store's.
    pub async fn refund_user(&self, id: Cuid) -> Result<(), TipError> {
        let found = self.store().read(move |connection| people::store::by_public_id(connection, id)).await?;
        let user: User = found.ok_or(TipError::NotFound)?;
        let address = user.lightning_address.clone().ok_or(TipError::NotFound)?;
        self.refund(user.id, &address).await.map(drop)
    }

    /// Who has something to get back, as JSON; `has_address` asks for those with or without a lightning address.
    ///
    /// # Errors
    /// The store's.
    pub async fn refundable_json(&self, has_address: Option<bool>) -> Result<Vec<u8>, TipError> {
        let read = self.store().read(move |connection| -> Result<_, TipError> {
            let ids = store::refundable(connection, has_address)?;
            let users = ids.into_iter().map(|id| people::store::by_id(connection, id));
            Ok(users.collect::<Result<Vec<_>, _>>()?)
        });
        let users = read.await?;
        let list: Vec<_> = users
            .into_iter()
            .flatten()
            .map(|user| {
                serde_json::json!({
                    "id": user.public_id.to_string(),
                    "name": user.name,
                    "hasLightningAddress": user.lightning_address.is_some(),
                })
            })
            .collect();
        json(&list)
    }
}
