//! Taking a tip back.

use super::ids::Cuid;
use super::list::TipName;
use super::status::TipStatus;
use super::store::Tip;
use super::{TipError, Tips, queries};
use crate::core::ids::UserId;
use crate::crash_point;
use crate::http::audit_log::Act;
use crate::http::idempotency::IdempotencyKey;
use crate::services::users::User;
use crate::storage::Tx;

impl Tips {
    /// Makes a tip its tipper's again. One that somebody claimed only with `force`. `user` is `None` for the
    /// scheduler, who may take back what is over of anybody. An operator's `act` is recorded with it.
    ///
    /// # Errors
    /// [`TipError::NotFound`], [`TipError::Forbidden`], [`TipError::Conflict`], the store's.
    pub async fn reclaim(
        &self,
        user: Option<&User>,
        name: TipName,
        force: bool,
        ask: Option<IdempotencyKey>,
        act: Option<Act>,
    ) -> Result<(), TipError> {
        let (tips, user, now) = (self.clone(), user.map(|user| user.id), self.now());
        let written = self.once(ask, move |tx| {
            let tip = name.find(tx)?;
            if user.is_some_and(|user| user != tip.tipper) {
                return Err(TipError::Forbidden);
            }
            if user.is_none() && tip.expires_at > now {
                return Err(TipError::Conflict {
                    code: "TIP_NOT_EXPIRED",
                    message: "A scheduler can only take back what has expired",
                });
            }
            tips.reclaim_in(tx, &tip, force || tip.expires_at <= now)?;
            act.map_or(Ok(()), |act| act.done(tx, now)).map_err(TipError::from)
        });
        written.await?;
        crash_point!("tip.after_reclaim");
        Ok(())
    }

    /// Makes every tip of a group its tipper's again that can be, in one step; with `force` also those that
    /// somebody claimed. Answers how many.
    ///
    /// # Errors
    /// [`TipError::NotFound`], [`TipError::Forbidden`], [`TipError::Conflict`] if there is none that can be, the
    /// store's.
    pub async fn reclaim_group(
        &self,
        user: &User,
        id: Cuid,
        force: bool,
        ask: Option<IdempotencyKey>,
        act: Option<Act>,
    ) -> Result<usize, TipError> {
        let (tips, user, now): (_, UserId, _) = (self.clone(), user.id, self.now());
        let written = self.once(ask, move |tx| {
            let (_, members) = queries::given_group_in(tx, user, id)?;
            let mut taken = 0_usize;
            let mut why = None;
            for tip in &members {
                match tips.reclaim_in(tx, tip, force || tip.expires_at <= now) {
                    Ok(()) => taken = taken.saturating_add(1),
                    Err(refused @ TipError::Conflict { .. }) => why = Some(refused),
                    Err(error) => return Err(error),
                }
            }
            match why {
                Some(why) if taken == 0 => Err(why),
                _ => {
                    act.map_or(Ok(()), |act| act.done(tx, now))?;
                    Ok(taken)
                }
            }
        });
        written.await
    }

    fn reclaim_in(&self, tx: &Tx<'_>, tip: &Tip, force: bool) -> Result<(), TipError> {
        if tip.status() == TipStatus::Claimed && !force && !tip.withdrawal_pending() {
            return Err(TipError::Conflict {
                code: "TIP_CLAIMED",
                message: "Somebody has claimed the tip; send {\"force\": true} to take it back all the same",
            });
        }
        self.0.parts.vouchers.recall(tx, tip.id, self.now())??;
        crash_point!("tip.before_reclaim_commit");
        Ok(())
    }
}
