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
//!
//! A payout pays an invoice ([`payouts`](crate::ledger::payouts)) or a BOLT12 offer
//! ([`offer_payouts`](crate::ledger::offer_payouts)). A voucher has at most one at a time, whatever it pays, and opens
//! again only when that one has failed by the proofs of its kind. An invoice is paid once by itself; an offer can be paid
//! any number of times, so it is the voucher's state alone that keeps it from being paid twice.

mod claim;
mod listener;
pub mod returns;
mod store;
pub mod upkeep;

#[cfg(test)]
pub(crate) mod property;
#[cfg(test)]
mod tests;

use std::str::FromStr;

use rusqlite::Connection;

pub use self::claim::{Claim, ToOffer, redeem, redeem_to_offer, same_invoice, same_offer};
pub use self::listener::{Change, VoucherListener, Vouchers};
use crate::core::ids::{ChargeId, VoucherId};
use crate::core::money::Msat;
use crate::core::time::UnixMillis;
use crate::ledger::{Family, LedgerError, Outgoing, PayoutKey, outgoing};
use crate::storage::Tx;

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
    pub payout: Option<PayoutKey>,
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
pub enum Redeemer {
    /// The one it was given to.
    Recipient,
    /// The one who gave it: not bound by its expiry.
    Sender,
}

impl Redeemer {
    /// Its name in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Recipient => "recipient",
            Self::Sender => "sender",
        }
    }
}

impl FromStr for Redeemer {
    type Err = LedgerError;

    fn from_str(name: &str) -> Result<Self, LedgerError> {
        [Self::Recipient, Self::Sender]
            .into_iter()
            .find(|taker| taker.name() == name)
            .ok_or_else(|| LedgerError::Broken(format!("unknown taker {name}")))
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
    /// The offer is of this same node, which can't ask itself for an invoice.
    #[error("the offer is of this same server")]
    OwnOffer,
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

/// Whether a payout redeems exactly these vouchers.
///
/// # Errors
/// The store's.
pub fn redeems(connection: &Connection, payout: PayoutKey, ids: &[VoucherId]) -> Result<bool, LedgerError> {
    let taken = store::of_payout(connection, payout)?;
    Ok(taken.len() == ids.len() && ids.iter().all(|id| taken.iter().any(|share| share.voucher == *id)))
}

/// Every payout that a voucher ever had, oldest first, and for whom.
///
/// # Errors
/// The store's.
pub fn payouts_of(connection: &Connection, id: VoucherId) -> Result<Vec<(Redeemer, Outgoing)>, LedgerError> {
    let links = store::payouts_of(connection, id)?;
    let read = |(payout, taker)| Ok((taker, outgoing::by_key(connection, payout)?));
    let mut found = links.into_iter().map(read).collect::<Result<Vec<_>, LedgerError>>()?;
    // Stable: of one kind they are in their order already.
    found.sort_by_key(|(_, payout)| payout.created_at());
    Ok(found)
}

/// For whom a payout redeems a voucher, if it does.
///
/// # Errors
/// The store's.
pub fn taker_of(connection: &Connection, payout: PayoutKey) -> Result<Option<Redeemer>, LedgerError> {
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
