//! What happens to vouchers, and who hears of it.

use std::collections::HashMap;
use std::sync::Arc;

use super::store::{self, Share};
use super::{Redeemer, Refused, Voucher, by_id, refusal};
use crate::core::ids::{ChargeId, VoucherId};
use crate::core::money::Msat;
use crate::core::time::UnixMillis;
use crate::ledger::books::{Journal, Kind};
use crate::ledger::{
    Account, Charge, End, Family, Lapsed, LedgerError, Listener, OfferPayout, Outgoing, Payout, outgoing,
};
use crate::storage::Tx;

/// What happened to a voucher.
#[derive(Clone, Debug)]
pub enum Change {
    /// It can be redeemed from now on.
    Funded,
    /// A payout began.
    Claiming(Outgoing),
    /// Its holder has the sats.
    Redeemed(Outgoing),
    /// A payout failed; it can be redeemed again, unless it has expired meanwhile.
    PayoutFailed(Outgoing),
    /// Its time is over.
    Expired,
    /// What [`add_to_return`](super::add_to_return) had added to it is off again: it had reached its holder before that. Who added it
    /// books it.
    TakenOff(Msat),
    /// Its sender has the sats back.
    Returned(Outgoing),
    /// It was never paid for, and is removed: the family removes its own row.
    Forgotten,
}

/// What a family wants to know about its vouchers; called inside the transaction that makes it true.
pub trait VoucherListener: Send + Sync + 'static {
    /// A voucher changed.
    ///
    /// # Errors
    /// Undoes the change.
    fn changed(&self, tx: &Tx<'_>, voucher: &Voucher, change: &Change) -> Result<(), LedgerError>;
}

/// The ledger's listener for every family that has vouchers.
#[derive(Clone, Default)]
pub struct Vouchers {
    families: Arc<HashMap<Family, Arc<dyn VoucherListener>>>,
}

impl Vouchers {
    /// With who listens for which family.
    pub fn new(families: impl IntoIterator<Item = (Family, Arc<dyn VoucherListener>)>) -> Self {
        Self { families: Arc::new(families.into_iter().collect()) }
    }

    pub(super) fn tell(&self, tx: &Tx<'_>, id: VoucherId, change: &Change) -> Result<(), LedgerError> {
        let voucher = by_id(tx, id)?;
        match self.families.get(&voucher.family) {
            Some(listener) => listener.changed(tx, &voucher, change),
            None => Ok(()),
        }
    }

    /// Marks open vouchers whose time is over, at most `limit`; answers how many.
    ///
    /// # Errors
    /// The store's or a listener's.
    pub fn expire(&self, tx: &Tx<'_>, now: UnixMillis, limit: usize) -> Result<usize, LedgerError> {
        let expired = store::expire(tx, now, limit)?;
        for id in &expired {
            self.tell(tx, *id, &Change::Expired)?;
        }
        Ok(expired.len())
    }
}

impl Vouchers {
    /// Ends an open voucher before its time: from now on the sats are its sender's, as after its expiry.
    ///
    /// # Errors
    /// The store's or a listener's. The inner result says why not, with nothing changed.
    pub fn recall(
        &self,
        tx: &Tx<'_>,
        id: VoucherId,
        now: UnixMillis,
    ) -> Result<Result<(), Refused>, LedgerError> {
        if let Some(refused) = refusal(&by_id(tx, id)?) {
            return Ok(Err(refused));
        }
        store::recall(tx, id, now)?;
        self.tell(tx, id, &Change::Expired)?;
        Ok(Ok(()))
    }
}

impl Vouchers {
    /// A payout failed: the voucher is as it was before, unless its time is over by now, or an earlier payout of
    /// it has arrived meanwhile.
    fn failed(&self, tx: &Tx<'_>, share: &Share, payout: &Outgoing) -> Result<(), LedgerError> {
        let id = share.voucher;
        let ends = by_id(tx, id)?.expires_at;
        let over = ends.is_some_and(|at| payout.finished_at().is_some_and(|now| at <= now));
        store::reopen(tx, id, payout.key(), over)?;
        self.tell(tx, id, &Change::PayoutFailed(payout.clone()))?;
        if let Some((earlier, share)) = store::arrived_for(tx, id)? {
            let earlier = outgoing::by_key(tx, earlier)?;
            if self.take_late(tx, &share, &earlier)? {
                // What was booked as a loss when it arrived was none.
                return Journal::new(Kind::LossRecovered, id.0)
                    .debit(payout.family().account(), share.amount)
                    .credit(Account::Loss, share.amount)
                    .post(tx, payout.finished_at().unwrap_or(payout.created_at()));
            }
        }
        // Who gave it back knows that it was over.
        if over && share.taker == Redeemer::Recipient {
            self.tell(tx, id, &Change::Expired)?;
        }
        Ok(())
    }

    /// A payout that had been given up arrived: the voucher is taken by it, if nobody else has it.
    fn take_late(&self, tx: &Tx<'_>, share: &Share, payout: &Outgoing) -> Result<bool, LedgerError> {
        let Some(added) = store::take_late(tx, share, payout.key())? else { return Ok(false) };
        if added > Msat::ZERO {
            self.tell(tx, share.voucher, &Change::TakenOff(added))?;
        }
        self.tell(tx, share.voucher, &arrival(share.taker, payout))?;
        Ok(true)
    }
}

impl Vouchers {
    /// A payout ended. Answers how much of it was still there to be taken.
    fn ended(&self, tx: &Tx<'_>, payout: &Outgoing, end: End) -> Result<Msat, LedgerError> {
        let taken = store::of_payout(tx, payout.key())?;
        if taken.is_empty() {
            return Err(LedgerError::Broken(format!("payout {} redeems nothing", payout.public_id())));
        }
        let mut covered = Msat::ZERO;
        for share in taken {
            match end {
                End::Paid => {
                    store::finish(tx, share.voucher, payout.key())?;
                    self.tell(tx, share.voucher, &arrival(share.taker, payout))?;
                }
                End::Failed => self.failed(tx, &share, payout)?,
                End::PaidAfterFailure => {
                    if !self.take_late(tx, &share, payout)? {
                        continue;
                    }
                }
            }
            covered = covered
                .checked_add(share.amount)
                .ok_or_else(|| LedgerError::Broken("vouchers for more than there is".into()))?;
        }
        Ok(covered)
    }
}

/// What a payout that arrived means to its voucher.
fn arrival(taker: Redeemer, payout: &Outgoing) -> Change {
    match taker {
        Redeemer::Recipient => Change::Redeemed(payout.clone()),
        Redeemer::Sender => Change::Returned(payout.clone()),
    }
}

impl Listener for Vouchers {
    fn charge_settled(&self, tx: &Tx<'_>, charge: &Charge) -> Result<(), LedgerError> {
        let funded = store::fund(tx, charge.id)?;
        if funded.is_empty() {
            // The money is booked; the audit says that no voucher answers for it.
            tracing::error!(charge = %charge.id, "a charge was paid that funds no voucher");
        }
        for id in funded {
            self.tell(tx, id, &Change::Funded)?;
        }
        Ok(())
    }

    fn payout_ended(&self, tx: &Tx<'_>, payout: &Payout, end: End) -> Result<Msat, LedgerError> {
        self.ended(tx, &Outgoing::Invoice(payout.clone()), end)
    }

    fn offer_payout_ended(&self, tx: &Tx<'_>, payout: &OfferPayout, end: End) -> Result<Msat, LedgerError> {
        self.ended(tx, &Outgoing::Offer(payout.clone()), end)
    }

    fn charge_lapsed(&self, tx: &Tx<'_>, charge: ChargeId) -> Result<Lapsed, LedgerError> {
        for id in store::of_charge(tx, charge)? {
            self.tell(tx, id, &Change::Forgotten)?;
            store::delete(tx, id)?;
        }
        Ok(Lapsed::Forget)
    }
}
