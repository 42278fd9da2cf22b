//! Accounts whose earnings go to a lightning address, a BIP353 name or an offer by themselves.
//!
//! A sweep is an ordinary withdrawal of all that there is, begun by the operator's setting instead of a key. The next
//! try is put off durably before each; one that fails is tried again after a pause that doubles, up to a day.

use std::time::Duration;

use super::{AccountError, Accounts, By, NewWithdrawal, store};
use crate::core::ids::AccountId;
use crate::core::money::Msat;
use crate::core::time::millis;
use crate::ledger::LedgerError;
use crate::lightning::target::{self, Target as Given};

/// The pause after a sweep.
const PAUSE: Duration = Duration::from_secs(60);

/// The longest pause after failures.
const LONGEST_PAUSE: Duration = Duration::from_secs(86_400);

/// Accounts looked at in one round.
const ROUND: usize = 32;

impl Accounts {
    /// Sweeps what is due; answers how many withdrawals began.
    ///
    /// # Errors
    /// The store's. What a target does wrong is noted and tried again later.
    pub async fn sweep_due(&self) -> Result<usize, LedgerError> {
        if !self.rules().enabled {
            return Ok(0);
        }
        let now = self.now();
        let due = self.store().read(move |connection| store::due_sweeps(connection, now, ROUND)).await?;
        let mut begun = 0_usize;
        for sweep in due {
            let (account, target) = (sweep.account, sweep.target.clone());
            let last =
                self.store().read(move |connection| store::last_to(connection, account, &target)).await?;
            if last.as_deref() == Some("pending") {
                continue;
            }
            let failures =
                if last.as_deref() == Some("failed") { sweep.failures.saturating_add(1) } else { 0 };
            self.put_off(account, failures, None).await?;
            let new = |amount| NewWithdrawal { target: sweep.target.clone(), amount };
            let mut swept = self.withdraw(account, By::Operator, new(None), None).await;
            // What the channels can't carry at once goes in parts.
            if let Err(AccountError::NoCapacity { most, .. }) = &swept
                && let Some(most) = Msat::from_sat(most.sat_floor()).filter(|most| *most > Msat::ZERO)
            {
                swept = self.withdraw(account, By::Operator, new(Some(most)), None).await;
            }
            match swept {
                Ok(_) => begun = begun.saturating_add(1),
                Err(error) => {
                    tracing::info!(%account, %error, "an account could not be swept");
                    self.put_off(account, sweep.failures.saturating_add(1), Some(error.to_string())).await?;
                }
            }
        }
        Ok(begun)
    }

    async fn put_off(
        &self,
        account: AccountId,
        failures: u32,
        error: Option<String>,
    ) -> Result<(), LedgerError> {
        let pause = PAUSE.saturating_mul(1 << failures.min(11)).min(LONGEST_PAUSE);
        let next = self.now().saturating_add(millis(pause));
        let written =
            self.store().write(move |tx| store::put_off_sweep(tx, account, next, failures, error.as_deref()));
        written.await
    }

    /// Sets where an account's earnings go by themselves, from `least` on; `None` ends it.
    ///
    /// # Errors
    /// [`AccountError::Invalid`] for what can be paid only once; the store's.
    pub(super) async fn set_sweep(
        &self,
        account: AccountId,
        wanted: Option<(String, Msat)>,
    ) -> Result<(), AccountError> {
        let now = self.now();
        let Some((target, least)) = wanted else {
            let written = self.store().write(move |tx| store::remove_sweep(tx, account));
            return Ok(written.await?);
        };
        let read = target::read(&target);
        let again =
            matches!(read, Ok(Given::Address(_) | Given::DnsName(_) | Given::Lnurl(_) | Given::Offer(_)));
        let Some(target) = read.ok().filter(|_| again).map(|read| read.canonical()) else {
            let message =
                "Give a lightning address, a BIP353 name or a BOLT12 offer: what can be paid more than once";
            return Err(AccountError::invalid("INVALID_TARGET", message));
        };
        let written = self.store().write(move |tx| store::set_sweep(tx, account, &target, least, now));
        Ok(written.await?)
    }
}
