//! What time does to charges and vouchers: unpaid invoices lapse, vouchers expire, expired ones go back.
//!
//! Called every second or so by `app`. A round costs nothing while nothing is due, and at most a bounded
//! amount of work when much is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Vouchers;
use super::returns::Returns;
use crate::core::time::millis;
use crate::ledger::sure_time::sure_now;
use crate::ledger::{Ledger, LedgerError, charges};

/// Charges marked in one transaction.
const CHARGES_AT_ONCE: usize = 500;

/// Vouchers marked in one transaction.
const VOUCHERS_AT_ONCE: usize = 200;

/// Marks what is over, and removes what was never paid and is long over.
///
/// # Errors
/// The store's or a listener's; the next round does it again.
pub async fn expire_due(ledger: &Ledger, vouchers: &Vouchers) -> Result<(), LedgerError> {
    let (now, vouchers, listeners) = (ledger.clock.now(), vouchers.clone(), ledger.listeners.clone());
    let listening = listeners.clone();
    // A clock that is ahead must not have what can still be paid removed.
    let asked = ledger.clone();
    let sure = tokio::task::spawn_blocking(move || sure_now(&asked)).await;
    let sure = sure.unwrap_or_else(|error| Err(LedgerError::Broken(error.to_string())))?;
    let before = sure.saturating_sub(millis(ledger.settings.keep_unpaid));
    // Each by itself: what one can't do must not keep the others from being done.
    let lapsed = ledger.store.write(move |tx| charges::expire(tx, now, CHARGES_AT_ONCE)).await;
    let expired = ledger.store.write(move |tx| vouchers.expire(tx, now, VOUCHERS_AT_ONCE)).await;
    let unpayable =
        ledger.store.write(move |tx| charges::forget_unpayable(tx, &listening, CHARGES_AT_ONCE)).await;
    let forgotten =
        ledger.store.write(move |tx| charges::forget_unpaid(tx, &listeners, before, CHARGES_AT_ONCE));
    let (lapsed, expired, unpayable, forgotten) = (lapsed?, expired?, unpayable?, forgotten.await?);
    if lapsed > 0 || expired > 0 || unpayable > 0 || forgotten > 0 {
        tracing::debug!(
            lapsed,
            expired,
            unpayable,
            forgotten,
            "invoices lapsed, vouchers expired, old orders looked at"
        );
    }
    Ok(())
}

/// The task that `app` repeats.
pub struct Upkeep {
    returns: Returns,
    returning: Arc<AtomicBool>,
}

impl Upkeep {
    /// With what gives vouchers back.
    pub fn new(returns: Returns) -> Self {
        Self { returns, returning: Arc::default() }
    }

    /// One round. Addresses are asked in a task of their own, one round of that at a time, because a slow
    /// one must not keep vouchers from expiring.
    pub async fn round(&self) {
        if let Err(error) = expire_due(&self.returns.ledger, &self.returns.vouchers).await {
            tracing::warn!(%error, "what is over could not be marked; trying again");
        }
        if self.returning.swap(true, Ordering::AcqRel) {
            return;
        }
        let (returns, returning) = (self.returns.clone(), Arc::clone(&self.returning));
        tokio::spawn(async move {
            if let Err(error) = returns.round().await {
                tracing::warn!(%error, "expired vouchers could not be given back; trying again");
            }
            returning.store(false, Ordering::Release);
        });
    }
}
