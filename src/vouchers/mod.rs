//! Vouchers: claims on sats that someone may redeem once.
//!
//! ```text
//! unfunded ──charge settled──▶ open ──redeem──▶ claiming ──paid──▶ redeemed
//!                               │ ▲                │
//!                               │ └────failed──────┘
//!                               ├──give back──▶ returning ──paid──▶ returned
//!                               ▼                  │      (failed: back to open or expired)
//!                            expired ──give back───┘
//! ```
//!
//! Gifts (and every family after them that gives sats away) keep their own rows beside the voucher and
//! hear of its changes through [`VoucherListener`], inside the same transaction. Redeeming is one
//! transaction: state, payout, books. Two claims can't both succeed, because the row's state is compared
//! and changed in one statement on the one writing connection.

pub mod returns;
mod store;
pub mod upkeep;

#[cfg(test)]
mod property;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::Arc;

use lightning_invoice::Bolt11Invoice;
use rusqlite::Connection;

use crate::clock::UnixMillis;
use crate::ids::{ChargeId, PayoutId, VoucherId};
use crate::ledger::books::{Journal, Kind};
use crate::ledger::charges;
use crate::ledger::payouts::{self, Order, Queued};
use crate::ledger::{
    Account, Charge, End, Family, Lapsed, Ledger, LedgerError, Listener, Payout, PayoutStatus,
};
use crate::money::Msat;
use crate::store::Tx;
use store::Share;

/// Where a voucher is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VoucherState {
    /// Its invoice isn't paid.
    Unfunded,
    /// Someone may redeem it.
    Open,
    /// A payout for it is under way.
    Claiming,
    /// Paid out. Final.
    Redeemed,
    /// Its time is over; the sats are its sender's again.
    Expired,
    /// A payout back to its sender is under way.
    Returning,
    /// Paid back. Final.
    Returned,
}

impl VoucherState {
    const ALL: [Self; 7] = [
        Self::Unfunded,
        Self::Open,
        Self::Claiming,
        Self::Redeemed,
        Self::Expired,
        Self::Returning,
        Self::Returned,
    ];

    /// Its name in the database and in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unfunded => "unfunded",
            Self::Open => "open",
            Self::Claiming => "claiming",
            Self::Redeemed => "redeemed",
            Self::Expired => "expired",
            Self::Returning => "returning",
            Self::Returned => "returned",
        }
    }
}

impl FromStr for VoucherState {
    type Err = LedgerError;

    fn from_str(name: &str) -> Result<Self, LedgerError> {
        Self::ALL
            .into_iter()
            .find(|state| state.name() == name)
            .ok_or_else(|| LedgerError::Broken(format!("unknown voucher state {name}")))
    }
}

/// A claim on sats.
#[derive(Clone, Debug)]
pub struct Voucher {
    /// Row id.
    pub id: VoucherId,
    /// Whose rows stand beside it.
    pub family: Family,
    /// The invoice that funds it, perhaps among others.
    pub charge: ChargeId,
    /// What its holder gets.
    pub amount: Msat,
    /// Where it is.
    pub state: VoucherState,
    /// The payout under way, or the last one.
    pub payout: Option<PayoutId>,
    /// When it was made.
    pub created_at: UnixMillis,
    /// After it the voucher can't be redeemed.
    pub expires_at: Option<UnixMillis>,
    /// Where the sats go when nobody redeemed it.
    pub return_to: Option<String>,
}

/// A voucher to make.
#[derive(Clone, Debug)]
pub struct NewVoucher {
    /// Whose rows stand beside it.
    pub family: Family,
    /// The invoice that funds it.
    pub charge: ChargeId,
    /// What its holder gets.
    pub amount: Msat,
    /// After it the voucher can't be redeemed.
    pub expires_at: Option<UnixMillis>,
    /// Where the sats go when nobody redeemed it.
    pub return_to: Option<String>,
}

/// Who takes the sats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taker {
    /// The one it was given to.
    Recipient,
    /// The one who gave it: not bound by its expiry.
    Sender,
}

impl Taker {
    /// Its name in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Recipient => "recipient",
            Self::Sender => "sender",
        }
    }
}

impl FromStr for Taker {
    type Err = LedgerError;

    fn from_str(name: &str) -> Result<Self, LedgerError> {
        [Self::Recipient, Self::Sender]
            .into_iter()
            .find(|taker| taker.name() == name)
            .ok_or_else(|| LedgerError::Broken(format!("unknown taker {name}")))
    }
}

/// A redemption that was accepted.
#[derive(Clone, Debug)]
pub enum Claim {
    /// Now.
    Started(Payout),
    /// Before, with this same invoice.
    Same(Payout),
}

impl Claim {
    /// The payout, either way.
    pub fn payout(&self) -> &Payout {
        match self {
            Self::Started(payout) | Self::Same(payout) => payout,
        }
    }
}

/// Why a voucher is not redeemed. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Its invoice isn't paid.
    #[error("not funded yet")]
    Unfunded,
    /// A payout with another invoice is under way.
    #[error("being redeemed")]
    Pending,
    /// It was redeemed or returned.
    #[error("redeemed already")]
    Spent,
    /// Its time is over.
    #[error("expired")]
    Expired,
    /// The invoice is for another amount.
    #[error("the invoice is for another amount")]
    WrongAmount,
    /// The invoice was used before: for something else, or in a payout that failed. A fresh one is needed.
    #[error("the invoice was used before")]
    InvoiceUsed,
}

/// What happened to a voucher.
#[derive(Clone, Debug)]
pub enum Change {
    /// It can be redeemed from now on.
    Funded,
    /// A payout began.
    Claiming(Payout),
    /// Its holder has the sats.
    Redeemed(Payout),
    /// A payout failed; it can be redeemed again, unless it has expired meanwhile.
    PayoutFailed(Payout),
    /// Its time is over.
    Expired,
    /// What [`add_to_return`] had added to it is off again: it had reached its holder before that. Who added it
    /// books it.
    TakenOff(Msat),
    /// Its sender has the sats back.
    Returned(Payout),
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

    fn tell(&self, tx: &Tx<'_>, id: VoucherId, change: &Change) -> Result<(), LedgerError> {
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

/// Lets another charge fund a voucher that isn't funded, for another amount if one is given: a new invoice
/// took the old one's place, or the old one was paid after all.
///
/// # Errors
/// The store's; [`LedgerError::Broken`] if it is funded.
pub fn fund_by(
    tx: &Tx<'_>,
    id: VoucherId,
    charge: ChargeId,
    amount: Option<Msat>,
) -> Result<(), LedgerError> {
    store::fund_by(tx, id, charge, amount)
}

/// Moves the end of a voucher that nobody has redeemed.
///
/// # Errors
/// The store's; [`LedgerError::Broken`] if it is neither unfunded nor open.
pub fn reschedule(tx: &Tx<'_>, id: VoucherId, expires_at: UnixMillis) -> Result<(), LedgerError> {
    store::reschedule(tx, id, expires_at)
}

/// Adds to what an expired voucher gives back. The caller books where it comes from.
///
/// # Errors
/// The store's; [`LedgerError::Broken`] if it has not expired.
pub fn add_to_return(tx: &Tx<'_>, id: VoucherId, amount: Msat) -> Result<(), LedgerError> {
    store::add_to_return(tx, id, amount)
}

/// Writes a voucher down, in the transaction that writes its charge.
///
/// # Errors
/// The store's.
pub fn issue(tx: &Tx<'_>, new: &NewVoucher, now: UnixMillis) -> Result<VoucherId, LedgerError> {
    store::insert(tx, new, now)
}

/// The voucher of a row id.
///
/// # Errors
/// The store's; [`LedgerError::Broken`] if there is none.
pub fn by_id(connection: &Connection, id: VoucherId) -> Result<Voucher, LedgerError> {
    store::by_id(connection, id)?.ok_or_else(|| LedgerError::Broken(format!("voucher {id} is missing")))
}

/// Expired vouchers that have somewhere to go and whose next try is due, oldest first.
///
/// # Errors
/// The store's.
pub fn to_return(
    connection: &Connection,
    now: UnixMillis,
    limit: usize,
) -> Result<Vec<Voucher>, LedgerError> {
    store::to_return(connection, now, limit)
}

/// Puts off the next try to return a voucher.
///
/// # Errors
/// The store's.
pub fn put_off_return(tx: &Tx<'_>, id: VoucherId, next_try_at: UnixMillis) -> Result<(), LedgerError> {
    store::put_off_return(tx, id, next_try_at)
}

/// Redeems vouchers to one invoice, or gives them back: vouchers, payout and books in this transaction, all
/// of them or none. The invoice's signature, network and expiry have been checked by the caller; its amount
/// is checked here: it is exactly what they hold together. They are of one family, and each is named once.
///
/// # Errors
/// The store's. The inner result says why not, with nothing changed.
pub fn redeem(
    tx: &Tx<'_>,
    ledger: &Ledger,
    ids: &[VoucherId],
    taker: Taker,
    invoice: &Bolt11Invoice,
    max_fee: Msat,
) -> Result<Result<Claim, Refused>, LedgerError> {
    let vouchers = ids.iter().map(|id| by_id(tx, *id)).collect::<Result<Vec<_>, _>>()?;
    let in_the_way = || vouchers.iter().find_map(refusal);
    if let Some(existing) = payouts::by_hash(tx, charges::hash_of(invoice))? {
        let same = existing.status != PayoutStatus::Failed && redeems(tx, existing.id, ids)?;
        return Ok(if same {
            Ok(Claim::Same(existing))
        } else {
            Err(in_the_way().unwrap_or(Refused::InvoiceUsed))
        });
    }
    let Some((family, amount)) = together(&vouchers)? else { return Ok(Err(Refused::WrongAmount)) };
    if invoice.amount_milli_satoshis() != Some(amount.get()) {
        return Ok(Err(Refused::WrongAmount));
    }
    let now = ledger.clock.now();
    for voucher in &vouchers {
        match refusal(voucher) {
            Some(Refused::Expired) if taker == Taker::Sender => {}
            Some(refused) => return Ok(Err(refused)),
            None if taker == Taker::Recipient && voucher.expires_at.is_some_and(|at| at <= now) => {
                return Ok(Err(Refused::Expired));
            }
            None => {}
        }
    }
    let order = Order { family, invoice, amount, max_fee };
    let start = |payout| vouchers.iter().try_for_each(|voucher| store::start(tx, voucher.id, taker, payout));
    match payouts::queue(tx, ledger, &order, start)? {
        Queued::New(payout) => Ok(Ok(Claim::Started(payout))),
        Queued::Existing(payout) => Ok(Ok(Claim::Same(payout))),
        Queued::Unpayable => Ok(Err(Refused::InvoiceUsed)),
    }
}

/// Whose they are and what they hold together; nothing if there are none.
fn together(vouchers: &[Voucher]) -> Result<Option<(Family, Msat)>, LedgerError> {
    let Some(first) = vouchers.first() else { return Ok(None) };
    let mut sum = Msat::ZERO;
    for voucher in vouchers {
        if voucher.family != first.family {
            return Err(LedgerError::Broken("one payout for vouchers of two families".into()));
        }
        let added = sum.checked_add(voucher.amount);
        sum = added.ok_or_else(|| LedgerError::Broken("vouchers for more than there is".into()))?;
    }
    Ok(Some((first.family, sum)))
}

/// Whether a payout redeems exactly these vouchers.
///
/// # Errors
/// The store's.
pub fn redeems(connection: &Connection, payout: PayoutId, ids: &[VoucherId]) -> Result<bool, LedgerError> {
    let taken = store::of_payout(connection, payout)?;
    Ok(taken.len() == ids.len() && ids.iter().all(|id| taken.iter().any(|share| share.voucher == *id)))
}

/// Every payout that a voucher ever had, oldest first, and for whom.
///
/// # Errors
/// The store's.
pub fn payouts_of(connection: &Connection, id: VoucherId) -> Result<Vec<(Taker, Payout)>, LedgerError> {
    let links = store::payouts_of(connection, id)?;
    links.into_iter().map(|(payout, taker)| Ok((taker, payouts::by_id(connection, payout)?))).collect()
}

/// For whom a payout redeems a voucher, if it does.
///
/// # Errors
/// The store's.
pub fn taker_of(connection: &Connection, payout: PayoutId) -> Result<Option<Taker>, LedgerError> {
    store::taker_of(connection, payout)
}

/// Why a voucher can't be redeemed, if its state is in the way.
pub fn refusal(voucher: &Voucher) -> Option<Refused> {
    refusal_of(voucher.state)
}

/// Why a voucher in this state can't be redeemed, if it can't.
pub fn refusal_of(state: VoucherState) -> Option<Refused> {
    match state {
        VoucherState::Open => None,
        VoucherState::Unfunded => Some(Refused::Unfunded),
        VoucherState::Claiming | VoucherState::Returning => Some(Refused::Pending),
        VoucherState::Redeemed | VoucherState::Returned => Some(Refused::Spent),
        VoucherState::Expired => Some(Refused::Expired),
    }
}

impl Vouchers {
    /// A payout failed: the voucher is as it was before, unless its time is over by now, or an earlier payout of
    /// it has arrived meanwhile.
    fn failed(&self, tx: &Tx<'_>, share: &Share, payout: &Payout) -> Result<(), LedgerError> {
        let id = share.voucher;
        let ends = by_id(tx, id)?.expires_at;
        let over = ends.is_some_and(|at| payout.finished_at.is_some_and(|now| at <= now));
        store::reopen(tx, id, payout.id, over)?;
        self.tell(tx, id, &Change::PayoutFailed(payout.clone()))?;
        if let Some((earlier, share)) = store::arrived_for(tx, id)? {
            let earlier = payouts::by_id(tx, earlier)?;
            if self.take_late(tx, &share, &earlier)? {
                // What was booked as a loss when it arrived was none.
                return Journal::new(Kind::LossRecovered, id.0)
                    .debit(payout.family.account(), share.amount)
                    .credit(Account::Loss, share.amount)
                    .post(tx, payout.finished_at.unwrap_or(payout.created_at));
            }
        }
        // Who gave it back knows that it was over.
        if over && share.taker == Taker::Recipient {
            self.tell(tx, id, &Change::Expired)?;
        }
        Ok(())
    }

    /// A payout that had been given up arrived: the voucher is taken by it, if nobody else has it.
    fn take_late(&self, tx: &Tx<'_>, share: &Share, payout: &Payout) -> Result<bool, LedgerError> {
        let Some(added) = store::take_late(tx, share, payout.id)? else { return Ok(false) };
        if added > Msat::ZERO {
            self.tell(tx, share.voucher, &Change::TakenOff(added))?;
        }
        self.tell(tx, share.voucher, &arrival(share.taker, payout))?;
        Ok(true)
    }
}

/// What a payout that arrived means to its voucher.
fn arrival(taker: Taker, payout: &Payout) -> Change {
    match taker {
        Taker::Recipient => Change::Redeemed(payout.clone()),
        Taker::Sender => Change::Returned(payout.clone()),
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
        let taken = store::of_payout(tx, payout.id)?;
        if taken.is_empty() {
            return Err(LedgerError::Broken(format!("payout {} redeems nothing", payout.id)));
        }
        let mut covered = Msat::ZERO;
        for share in taken {
            match end {
                End::Paid => {
                    store::finish(tx, share.voucher, payout.id)?;
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

    fn charge_lapsed(&self, tx: &Tx<'_>, charge: ChargeId) -> Result<Lapsed, LedgerError> {
        for id in store::of_charge(tx, charge)? {
            self.tell(tx, id, &Change::Forgotten)?;
            store::delete(tx, id)?;
        }
        Ok(Lapsed::Forget)
    }
}
