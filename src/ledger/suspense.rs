//! Money that came in and belongs to nobody we know, and what the operator makes of it.
//!
//! It comes by four ways: for a hash that we made no invoice for, for an invoice that was settled inside the ledger,
//! more than was asked, less than was asked. Each is one journal that credits [`Account::Suspense`]; that journal's
//! number is the item's. An item is settled once, as a whole:
//!
//! ```text
//! open ──to the operator──▶ done
//!   │ ▲ ──to an account───▶ done
//!   │ └────payout failed────┐
//!   └──paid back──▶ paying ─┴─payout arrived──▶ done
//! ```
//!
//! | the process dies, or the node says | what is there | what follows |
//! |---|---|---|
//! | before the settlement is committed | the item is open | it is settled when it is asked again |
//! | after it, paid back | settlement `paying`, its payout `queued` | as every payout: it ends `done`, or `failed` and the item is open again |
//! | the payout arrives after it had failed, the item is still open | `failed` | taken after all: `done` |
//! | the same, and the item was settled otherwise | `failed` | `lost`: the operator's loss, until the other settlement fails |
//!
//! What is paid back is whole sats: less than a sat of an item stays with the operator, who bears routing too.

use rusqlite::Connection;
use serde::Serialize;

use super::accounts::{self, Change, LineKind};
use super::books::{Account, Journal, Kind};
use super::payouts::{self, Order, Queued};
use super::rows::suspense as rows;
use super::{Charge, End, Family, Lapsed, Ledger, LedgerError, Listener, Payout};
use crate::core::ids::{AccountId, ChargeId, PaymentHash};
use crate::core::money::Msat;
use crate::core::time::UnixMillis;
use crate::crash_point;
use crate::storage::Tx;

/// Money in suspense.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Item {
    /// The number of the journal that brought it.
    pub id: i64,
    /// When, unix milliseconds.
    pub at: UnixMillis,
    /// How: `unclaimed`, `charge_paid_twice` (also less than was asked), `charge_settled` or `charge_paid_more` (more
    /// than was asked).
    pub kind: String,
    /// How much.
    #[serde(rename = "amount_msat")]
    pub amount: Msat,
    /// Of its payment.
    pub payment_hash: Option<PaymentHash>,
    /// Whose invoice it was paid to, if it was ours.
    pub family: Option<String>,
    /// The payout that pays it back, while that is under way.
    pub payout: Option<String>,
}

/// Why an item was not settled. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSettled {
    /// There is none of this number, or it was settled.
    #[error("there is no such money in suspense, or it was settled; see `satchel suspense list`")]
    NoSuchItem,
    /// It is being paid back.
    #[error("it is being paid back already")]
    UnderWay,
    /// The invoice asks for something else.
    #[error("the invoice must be for exactly {0} sat")]
    WrongAmount(u64),
    /// There is less than a sat.
    #[error("less than a sat can't be paid back; give it to the operator")]
    TooLittle,
    /// The invoice was used before, or is ours and can't be paid.
    #[error("this invoice was paid or tried before, or can't be paid; ask for a fresh one")]
    InvoiceUsed,
}

/// What is in suspense, oldest first: what is open, and what is being paid back.
///
/// # Errors
/// The store's.
pub fn list(connection: &Connection, after: i64, limit: u32) -> Result<Vec<Item>, LedgerError> {
    rows::list(connection, after, limit)
}

/// The sum of what is open: what the books must say.
///
/// # Errors
/// The store's.
pub fn open_msat(connection: &Connection) -> Result<i64, LedgerError> {
    rows::open_msat(connection)
}

/// The item that is open under this number.
fn open_item(tx: &Tx<'_>, id: i64) -> Result<Result<Item, NotSettled>, LedgerError> {
    Ok(match rows::item(tx, id)? {
        None => Err(NotSettled::NoSuchItem),
        Some(item) if item.payout.is_some() => Err(NotSettled::UnderWay),
        Some(item) => Ok(item),
    })
}

/// Makes an item the operator's own.
///
/// # Errors
/// The store's.
pub fn to_operator(tx: &Tx<'_>, id: i64, now: UnixMillis) -> Result<Result<Item, NotSettled>, LedgerError> {
    let item = match open_item(tx, id)? {
        Ok(item) => item,
        Err(why) => return Ok(Err(why)),
    };
    let settlement = rows::insert(tx, &item, rows::Way::Operator, now)?;
    settled(settlement, item.amount, Account::Operator).post(tx, now)?;
    crash_point!("suspense.before_commit");
    Ok(Ok(item))
}

/// Makes an item part of what an account has.
///
/// # Errors
/// The store's.
pub fn to_account(
    tx: &Tx<'_>,
    id: i64,
    account: AccountId,
    now: UnixMillis,
) -> Result<Result<Item, NotSettled>, LedgerError> {
    let item = match open_item(tx, id)? {
        Ok(item) => item,
        Err(why) => return Ok(Err(why)),
    };
    let settlement = rows::insert(tx, &item, rows::Way::Account(account), now)?;
    settled(settlement, item.amount, Account::Merchants).post(tx, now)?;
    let reference = format!("suspense {id}");
    let change = Change { account, kind: LineKind::Suspense, reference: &reference, amount: item.amount };
    accounts::credit(tx, &change, now)?;
    crash_point!("suspense.before_commit");
    Ok(Ok(item))
}

/// Pays an item back to an invoice over all of its whole sats. The same invoice for the same item again is the same
/// payout.
///
/// # Errors
/// The store's.
pub fn pay_back(
    tx: &Tx<'_>,
    ledger: &Ledger,
    id: i64,
    order: &Order<'_>,
) -> Result<Result<Payout, NotSettled>, LedgerError> {
    let now = ledger.clock.now();
    let hash = super::charges::hash_of(order.invoice);
    if let Some(payout) = payouts::by_hash(tx, hash)? {
        let same = rows::by_payout(tx, payout.id)?.is_some_and(|settlement| settlement.journal == id);
        return Ok(if same { Ok(payout) } else { Err(NotSettled::InvoiceUsed) });
    }
    let item = match open_item(tx, id)? {
        Ok(item) => item,
        Err(why) => return Ok(Err(why)),
    };
    let sats = item.amount.sat_floor();
    if sats == 0 {
        return Ok(Err(NotSettled::TooLittle));
    }
    if order.family != Family::Operator || Msat::from_sat(sats) != Some(order.amount) {
        return Ok(Err(NotSettled::WrongAmount(sats)));
    }
    // The payout takes it from the operator, so it is the operator's first.
    let queued = payouts::queue(tx, ledger, order, |payout| {
        let settlement = rows::insert(tx, &item, rows::Way::Payout(payout), now)?;
        settled(settlement, item.amount, Account::Operator).post(tx, now)
    })?;
    crash_point!("suspense.before_commit");
    Ok(match queued {
        Queued::New(payout) => Ok(payout),
        Queued::Existing(_) | Queued::Unpayable => Err(NotSettled::InvoiceUsed),
    })
}

fn settled(settlement: i64, amount: Msat, to: Account) -> Journal {
    Journal::new(Kind::SuspenseSettled, settlement).debit(Account::Suspense, amount).credit(to, amount)
}

/// The ledger's listener for the operator's own payouts: of those that pay something back it follows the end.
pub struct PaidBack;

impl Listener for PaidBack {
    fn charge_settled(&self, _: &Tx<'_>, _: &Charge) -> Result<(), LedgerError> {
        Ok(())
    }

    fn payout_ended(&self, tx: &Tx<'_>, payout: &Payout, end: End) -> Result<Msat, LedgerError> {
        let Some(settlement) = rows::by_payout(tx, payout.id)? else { return Ok(payout.amount) };
        let now = payout.finished_at.unwrap_or(payout.created_at);
        match end {
            End::Paid => {
                rows::set_status(tx, settlement.id, rows::Status::Done)?;
                Ok(payout.amount)
            }
            End::Failed => {
                rows::set_status(tx, settlement.id, rows::Status::Failed)?;
                Journal::new(Kind::SuspenseReturned, settlement.id)
                    .debit(Account::Operator, settlement.amount)
                    .credit(Account::Suspense, settlement.amount)
                    .post(tx, now)?;
                recover(tx, settlement.journal, now)?;
                Ok(payout.amount)
            }
            End::PaidAfterFailure if rows::is_settled(tx, settlement.journal)? => {
                rows::set_status(tx, settlement.id, rows::Status::Lost)?;
                Ok(Msat::ZERO)
            }
            End::PaidAfterFailure => {
                rows::set_status(tx, settlement.id, rows::Status::Done)?;
                Journal::new(Kind::SuspenseSettledLate, settlement.id)
                    .debit(Account::Suspense, settlement.amount)
                    .credit(Account::Operator, settlement.amount)
                    .post(tx, now)?;
                Ok(payout.amount)
            }
        }
    }

    fn charge_lapsed(&self, _: &Tx<'_>, _: ChargeId) -> Result<Lapsed, LedgerError> {
        Ok(Lapsed::Forget)
    }
}

/// An item is open again: if a payout of it had arrived late, at the operator's loss, it is settled by that.
fn recover(tx: &Tx<'_>, journal: i64, now: UnixMillis) -> Result<(), LedgerError> {
    let Some(lost) = rows::lost(tx, journal)? else { return Ok(()) };
    let Some(payout) = lost.payout else { return Ok(()) };
    let arrived = payouts::by_id(tx, payout)?.amount;
    rows::set_status(tx, lost.id, rows::Status::Done)?;
    Journal::new(Kind::SuspenseSettledLate, lost.id)
        .debit(Account::Suspense, lost.amount)
        .credit(Account::Loss, arrived)
        .credit(Account::Operator, lost.amount.saturating_sub(arrived))
        .post(tx, now)
}
