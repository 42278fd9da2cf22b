//! Whether what is owed can be paid out: before anything is sold, before the operator spends, and all the time.
//!
//! Owed is what the books say belongs to others: holders of vouchers, merchants, payouts under way, suspense. It can be
//! paid out as far as the [`Model`] of the channels says: in sum, and each voucher in one payment. What is sold brings
//! its own sats with it, so a sale changes only what the channels' limits make of them: a reserve that isn't full yet,
//! an amount that peers never let be in flight.
//!
//! Two answers to "is it covered?", because books and channels are read one after the other:
//!
//! * [`free_to_spend`] is the strict one, for the operator's own payments: what is under way counts as owed with its
//!   fee limit until its end is booked.
//! * A sale is refused only where the channels fall short even if all that is under way has left them.
//!
//! Nothing here moves money or writes anything.

pub mod alerts;
mod gate;
mod report;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::books::Account;
use super::{Ledger, LedgerError};
use crate::core::money::Msat;
use crate::lightning::{Lightning, Model};
use crate::storage::Tx;

#[cfg(test)]
pub(crate) use gate::Ages;
pub use gate::{Gate, NoCapacity, Sale};
pub use report::{Report, report};

/// How long the operator's payment waits for events of the node that still say what has come in.
const DRAIN: Duration = Duration::from_secs(3);

/// What becomes of a sale that the promise can't be kept for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenShort {
    /// It is refused.
    #[default]
    Refuse,
    /// It is made, and the log says so.
    Warn,
}

/// What belongs to others, in msat, by the running sums of the books.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owed {
    /// To holders of vouchers.
    pub holders: u64,
    /// To merchants.
    pub merchants: u64,
    /// To payouts under way, with what routing may cost them.
    pub in_flight: u64,
    /// The part of it that is for routing.
    pub fee_reserve: u64,
    /// To nobody we know.
    pub suspense: u64,
    /// Withheld from accounts for fees, and theirs again as far as it is not needed. For what goes out by Lightning
    /// `in_flight` has the same, so this errs on the safe side.
    pub withheld: u64,
}

impl Owed {
    /// Reads it: five rows, whatever the age of the books.
    ///
    /// # Errors
    /// The store's.
    pub fn read(connection: &Connection) -> Result<Self, LedgerError> {
        let mut owed = Self::default();
        let mut statement = connection.prepare_cached("SELECT account, msat FROM balances")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let account = row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?;
            let msat: i64 = row.get(1)?;
            let credit = u64::try_from(msat.saturating_neg()).unwrap_or(0);
            match account {
                name if name == Account::Holders.name() => owed.holders = credit,
                name if name == Account::Merchants.name() => owed.merchants = credit,
                name if name == Account::InFlight.name() => owed.in_flight = credit,
                name if name == Account::Suspense.name() => owed.suspense = credit,
                name if name == Account::Withheld.name() => owed.withheld = credit,
                name if name == Account::FeeReserve.name() => {
                    owed.fee_reserve = u64::try_from(msat).unwrap_or(0);
                }
                _ => {}
            }
        }
        Ok(owed)
    }

    /// All of it.
    pub fn total(&self) -> u64 {
        self.resting().saturating_add(self.in_flight).saturating_add(self.withheld)
    }

    /// What is not on its way out.
    pub fn resting(&self) -> u64 {
        self.holders.saturating_add(self.merchants).saturating_add(self.suspense)
    }
}

/// What the operator may take out of the channels so that all that is owed can still be paid, in msat.
pub fn free_to_spend(model: &Model, owed: &Owed) -> u64 {
    model.spendable_msat.saturating_sub(owed.total())
}

/// What the operator's payment is judged by: taken before the transaction that books it, since the node must not be
/// asked inside one.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    model: Model,
    owed_before: Owed,
}

/// The operator can't spend so much without touching what is owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("only {} sat are free to spend: the channels can send {} sat, and {} sat are owed", .free.sat_floor(), .spendable.sat_floor(), .owed.sat_floor())]
pub struct NotFree {
    /// What is free.
    pub free: Msat,
    /// What the channels can send.
    pub spendable: Msat,
    /// What is owed.
    pub owed: Msat,
}

impl Standing {
    /// Asks node and books, in an order that errs on the safe side: what leaves the channels in between is counted as
    /// owed still, and what comes in is waited for until it is booked. Blocks; never call it inside a transaction.
    ///
    /// # Errors
    /// The store's.
    pub fn take(ledger: &Ledger) -> Result<Self, LedgerError> {
        let owed_before = ledger.store.read_blocking(Owed::read)?;
        let model = Model::of(&ledger.lightning.channel_rooms());
        let until = Instant::now() + DRAIN;
        while ledger.lightning.next_event(Duration::ZERO).is_some() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Self { model, owed_before })
    }

    /// What is free, by the books of this transaction or connection.
    ///
    /// # Errors
    /// The store's.
    pub fn free(&self, connection: &Connection) -> Result<NotFree, LedgerError> {
        let now = Owed::read(connection)?;
        let owed = now.total().max(self.owed_before.total());
        let spendable = self.model.spendable_msat;
        let msat = |value| Msat::new(value).unwrap_or(Msat::MAX);
        Ok(NotFree {
            free: msat(spendable.saturating_sub(owed)),
            spendable: msat(spendable),
            owed: msat(owed),
        })
    }

    /// Whether the operator may spend `whole`, routing included. To be called in the transaction that books it, before
    /// anything is booked.
    ///
    /// # Errors
    /// The store's. The inner result says what is free.
    pub fn covers(&self, tx: &Tx<'_>, whole: Msat) -> Result<Result<(), NotFree>, LedgerError> {
        let found = self.free(tx)?;
        Ok(if whole <= found.free { Ok(()) } else { Err(found) })
    }
}

/// The model of a node's channels.
pub fn model_of(lightning: &dyn Lightning) -> Model {
    Model::of(&lightning.channel_rooms())
}
