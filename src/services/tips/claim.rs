//! Seeing a tip and claiming it.

use super::ids::Cuid;
use super::notify::Event;
use super::status::TipStatus;
use super::store::{self, Tip};
use super::{TipError, Tips};
use crate::core::time::UnixMillis;
use crate::crash_point;
use crate::http::idempotency::IdempotencyKey;
use crate::services::users::{self, User};
use crate::storage::Tx;

impl Tips {
    /// Somebody looks at the page of a tip; its own tipper doesn't count. A tip that isn't there is not spoken of.
    ///
    /// # Errors
    /// The store's.
    pub async fn mark_seen(&self, id: Cuid, viewer: Option<&User>) -> Result<(), TipError> {
        let viewer = viewer.map(|user| user.id);
        let found = self.store().read(move |connection| store::by_public_id(connection, id)).await?;
        let news = |tip: &Tip| tip.status() == TipStatus::Unseen && Some(tip.tipper) != viewer;
        let Some(tip) = found.filter(news) else { return Ok(()) };
        let (tips, now) = (self.clone(), self.now());
        let written = self.store().write(move |tx| -> Result<(), TipError> {
            if store::note_seen(tx, tip.id, now)? {
                tips.notifier().record(tx, "tip.seen", &tip)?;
                tips.notifier().refresh(tx, &tip);
            }
            Ok(())
        });
        written.await
    }

    /// Makes a tip somebody's own.
    ///
    /// # Errors
    /// [`TipError::NotFound`], [`TipError::Conflict`] for every state that forbids it, the store's.
    pub async fn claim(
        &self,
        user: &User,
        id: Cuid,
        printed: bool,
        ask: Option<IdempotencyKey>,
    ) -> Result<(), TipError> {
        let (tips, user, now) = (self.clone(), user.clone(), self.now());
        self.once(ask, move |tx| tips.claim_in(tx, &user, id, printed, now)).await?;
        crash_point!("tip.after_claim");
        Ok(())
    }

    fn claim_in(
        &self,
        tx: &Tx<'_>,
        user: &User,
        id: Cuid,
        printed: bool,
        now: UnixMillis,
    ) -> Result<(), TipError> {
        let tip = store::by_public_id(tx, id)?.ok_or(TipError::NotFound)?;
        claimable(&tip, user, now)?;
        if let Some((group, _)) = tip.group
            && store::group(tx, group)?.is_some_and(|group| group.static_link)
            && store::has_one_of(tx, group, user.id)?.is_some()
        {
            return Err(conflict("ONE_EACH", "You have a tip of this group already"));
        }
        if !store::claim(tx, tip.id, user.id, printed, now)? {
            return Err(TipError::Internal);
        }
        users::store::note_claim(tx, user.id)?;
        let tip = store::tip(tx, tip.id)?.ok_or(TipError::Internal)?;
        self.notifier().record(tx, "tip.claimed", &tip)?;
        self.notifier().count(tx, "claimed", tip.amount);
        self.notifier().notify(tx, &tip, Event::Claimed)?;
        self.notifier().refresh(tx, &tip);
        crash_point!("tip.before_claim_commit");
        Ok(())
    }
}

/// Whether somebody may claim a tip now. Of several reasons the first in this order is told.
fn claimable(tip: &Tip, user: &User, now: UnixMillis) -> Result<(), TipError> {
    match tip.status() {
        TipStatus::Unfunded => return Err(conflict("TIP_UNFUNDED", "The tip is not paid for yet")),
        TipStatus::Deleted => {
            return Err(conflict("TIP_DELETED", "The tip was given up before it was paid for"));
        }
        TipStatus::Withdrawn => return Err(conflict("TIP_WITHDRAWN", "The tip has been withdrawn")),
        TipStatus::Reclaimed | TipStatus::Refunded => {
            return Err(conflict("TIP_EXPIRED", "The tip has expired or was reclaimed"));
        }
        TipStatus::Claimed => return Err(conflict("TIP_CLAIMED", "Somebody has claimed the tip")),
        TipStatus::Unseen | TipStatus::Seen => {}
    }
    if tip.tipper == user.id {
        return Err(conflict("OWN_TIP", "You can't claim a tip that you give"));
    }
    if tip.expires_at <= now {
        return Err(conflict("TIP_EXPIRED", "The tip has expired or was reclaimed"));
    }
    if tip.withdrawal_pending() {
        return Err(conflict("WITHDRAWAL_PENDING", "The tip is being withdrawn"));
    }
    if tip.status() == TipStatus::Unseen {
        return Err(conflict("TIP_UNSEEN", "The tip's page must be seen before it is claimed"));
    }
    Ok(())
}

fn conflict(code: &'static str, message: &'static str) -> TipError {
    TipError::Conflict { code, message }
}
