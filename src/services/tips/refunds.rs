//! What came back to a tipper goes on to their lightning address, by itself or when somebody asks for it.
//!
//! Each asking of an address gives another invoice, so the next try is put off, durably, before this one begins;
//! and the payout takes the tips out of what can be refunded, so there are never two for one tip.

use futures_util::{StreamExt, stream};

use super::ids::Cuid;
use super::store;
use super::withdraw::{Asked, Flow, MOST_TIPS, NOTHING, nothing, purse};
use super::{TipError, Tips};
use crate::core::ids::UserId;
use crate::crash_point;
use crate::ledger::Outgoing;
use crate::services::users::{self, User};

/// Tippers in one round.
const ROUND: i64 = 64;

/// Addresses asked at once.
const AT_ONCE: usize = 8;

/// After so many failures in a row tips go back one by one.
const MOST_HALVINGS: u32 = 9;

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
        let tries = stream::iter(due).map(|user| self.try_refund(user)).buffer_unordered(AT_ONCE);
        let outcomes: Vec<bool> = tries.collect().await;
        Ok(outcomes.into_iter().filter(|begun| *begun).count())
    }

    async fn try_refund(&self, user: UserId) -> bool {
        match self.refund(user).await {
            Ok(begun) => begun.is_some(),
            Err(error) => {
                tracing::info!(%user, %error, "a tipper's refund must wait");
                false
            }
        }
    }

    /// Begins one payout of what a tipper has got back; of all of it, or after failures of half as many tips each
    /// time, the smallest: an address or a channel may not take so much at once. Nothing if there is nothing.
    async fn refund(&self, user: UserId) -> Result<Option<Outgoing>, TipError> {
        let now = self.now();
        let asked = Asked { flow: Flow::Tipper, user: Some(user), tip: None };
        let planned = self.store().write(move |tx| -> Result<_, TipError> {
            let tries = store::refund_tries(tx, user)?.min(MOST_HALVINGS);
            let Some(address) = store::refund_address(tx, user)? else { return Ok(None) };
            match purse(tx, &asked, now, (MOST_TIPS >> tries).max(1)) {
                Ok(purse) => {
                    let until = store::put_off_refund(tx, user, now)?;
                    Ok(Some((purse, address, until)))
                }
                Err(TipError::Conflict { code: NOTHING, .. }) => {
                    store::refund_begun(tx, user, now)?;
                    Ok(None)
                }
                Err(error) => Err(error),
            }
        });
        let Some((purse, address, until)) = planned.await? else { return Ok(None) };
        crash_point!("tip.refund_put_off");
        let to = self.ask_address(&address, purse.amount).await?;
        crash_point!("tip.refund_asked");
        let tips = self.clone();
        let written = self.store().write(move |tx| -> Result<Outgoing, TipError> {
            let payout = tips.pay_in(tx, &purse.tips, Flow::Tipper.taker(), &to, tips.now())?;
            store::refund_begun(tx, user, until)?;
            // More than fit into one payout are next.
            store::want_refund_of_rest(tx, user, tips.now())?;
            Ok(payout)
        });
        let payout = written.await?;
        crash_point!("tip.refund_begun");
        Ok(Some(payout))
    }

    /// The same now, for one tipper.
    ///
    /// # Errors
    /// [`TipError::NotFound`] for nobody, and for somebody without an address; [`TipError::AddressRefuses`],
    /// [`TipError::Conflict`], the store's.
    pub async fn refund_user(&self, id: Cuid) -> Result<(), TipError> {
        let found = self.store().read(move |connection| users::store::by_public_id(connection, id)).await?;
        let user: User = found.ok_or(TipError::NotFound)?;
        user.lightning_address.as_ref().ok_or(TipError::NotFound)?;
        self.refund(user.id).await?.map(drop).ok_or_else(nothing)
    }
}
