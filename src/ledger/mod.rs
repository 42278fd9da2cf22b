//! Who is owed what.
//!
//! The ledger is the authority over money; the node is a means of transport. Every sat that comes in
//! is a [charge](charges), every sat that goes out a [payout](payouts), and every change of either is a
//! [journal](books) that sums to zero, written in the same transaction.
//!
//! Families don't call each other and the ledger doesn't know them: where it must tell one something (a
//! charge settled, a payout ended) it calls the [`Listener`] that `app` registered for that family,
//! inside the same transaction.
//!
//! # What a crash leaves behind
//!
//! * A charge is durable before its invoice leaves the process; a payment to it is credited by the
//!   node's event, which the node repeats until our transaction is committed.
//! * A charge that has an offer can be paid under hashes that nobody knew before; [`offers`] tells how each counts
//!   once.
//! * A payout is durable (`queued`) before anybody is told; it is marked `dispatching` durably before the
//!   node is asked. Found in `dispatching` or `in_flight` at start, it becomes `unknown`, and stays so
//!   until there is proof of what became of it ([`reconciliation`]).
//! * A charge whose payment waits for us to claim it says so durably before it is claimed; what then can
//!   happen is told in [`held`].
//! * A payout fails by proof alone: never because time has passed, and never because the node says so of a channel
//!   that has closed.
//! * Coins to an address ([`coins`]) are marked `sending` durably before the wallet is asked; a transaction that pays
//!   the address is the proof that they were sent.

pub mod accounts;
pub mod audit;
pub mod books;
pub mod by_hand;
pub mod charges;
pub mod coin_fees;
pub mod coins;
mod consistency;
pub mod dispatcher;
pub mod events;
pub mod export;
pub mod held;
mod jamming;
pub mod kept_windows;
pub mod node;
pub mod notify;
pub mod offer_payouts;
pub mod offers;
pub mod operator_sends;
pub mod outgoing;
pub mod payout_list;
pub mod payouts;
pub mod reconciliation;
pub mod recovery;
pub mod routing;
mod rows;
pub mod service_fees;
pub mod solvency;
pub mod sure_time;
pub mod suspense;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

use crate::core::ids::ChargeId;
use crate::core::money::Msat;
use crate::core::time::Clock;
use crate::lightning::Lightning;
use crate::storage::{Store, StoreError, Tx};

pub use books::Account;
pub use charges::{Charge, ChargeStatus, SettledBy};
pub use coins::OnchainPayout;
pub use notify::Notify;
pub use offer_payouts::OfferPayout;
pub use outgoing::{Outgoing, PayoutKey};
pub use payouts::{Payout, PayoutStatus};

/// Whose money a charge or payout is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// The Lightning Gifts API.
    Gifts,
    /// The Lightsats API.
    Tips,
    /// The Payments API.
    Payments,
    /// Requests that are paid for.
    L402,
    /// Orders of stores.
    Shop,
    /// Withdrawals of what accounts have earned.
    Accounts,
    /// Payments of purses, from what their accounts have.
    Purse,
    /// The operator's own invoices and payments.
    Operator,
}

impl Family {
    /// Every family, for registration and reports.
    pub const ALL: [Self; 8] = [
        Self::Gifts,
        Self::Tips,
        Self::Payments,
        Self::L402,
        Self::Shop,
        Self::Accounts,
        Self::Purse,
        Self::Operator,
    ];

    /// Its name in the database, metrics and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gifts => "gifts",
            Self::Tips => "tips",
            Self::Payments => "payments",
            Self::L402 => "l402",
            Self::Shop => "shop",
            Self::Accounts => "accounts",
            Self::Purse => "purse",
            Self::Operator => "operator",
        }
    }

    /// Who is owed what comes in for this family. Of L402, what paid for the operator's own resources is moved on to
    /// the fees earned in the same transaction.
    pub const fn account(self) -> Account {
        match self {
            Self::Gifts | Self::Tips => Account::Holders,
            Self::Payments | Self::L402 | Self::Shop | Self::Accounts | Self::Purse => Account::Merchants,
            Self::Operator => Account::Operator,
        }
    }

    /// Whether a payer's whole payment is credited, also what is more than was asked; the others' excess is in
    /// suspense.
    pub const fn keeps_more(self) -> bool {
        matches!(self, Self::Payments | Self::L402 | Self::Shop)
    }

    /// Whether an order that nobody paid is worth keeping once nobody can pay it any more. A request or a cart that
    /// was not paid for isn't: any stranger makes as many as they like, and nobody comes back for one.
    pub const fn keeps_unpaid(self) -> bool {
        !matches!(self, Self::L402 | Self::Shop)
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Family {
    type Err = LedgerError;

    fn from_str(name: &str) -> Result<Self, LedgerError> {
        let found = Self::ALL.into_iter().find(|family| family.name() == name);
        found.ok_or_else(|| LedgerError::Broken(format!("unknown family {name}")))
    }
}

impl ToSql for Family {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.name()))
    }
}

impl FromSql for Family {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str()?.parse().map_err(|_| FromSqlError::InvalidType)
    }
}

/// Why the ledger did not do something.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LedgerError {
    /// The store's reason.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The books would not balance, or a row is missing that must be there. A bug; nothing was changed.
    #[error("the ledger refused an inconsistent change: {0}")]
    Broken(String),
}

impl LedgerError {
    /// Whether the same thing would be refused again however often it is tried: the books or a constraint
    /// say no. Everything else is a matter of time.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Broken(_) | Self::Store(StoreError::Sql(_)))
    }
}

impl From<rusqlite::Error> for LedgerError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

/// What a family wants to know. Called inside the transaction that makes it true; an error undoes it all.
pub trait Listener: Send + Sync + 'static {
    /// Money for one of the family's charges is ours.
    ///
    /// # Errors
    /// Undoes the settlement; the node's event is then delivered again.
    fn charge_settled(&self, tx: &Tx<'_>, charge: &Charge) -> Result<(), LedgerError>;

    /// More has come for a charge that was paid, by its [offer](offers) or by its invoice: `more` is ours, and part
    /// of what `charge` has received.
    ///
    /// # Errors
    /// Undoes it; the node's event is then delivered again.
    fn charge_paid_more(&self, _tx: &Tx<'_>, _charge: &Charge, _more: Msat) -> Result<(), LedgerError> {
        Ok(())
    }

    /// A payment for one of the family's [`held`] charges has come and is about to be claimed. Told once,
    /// before [`Listener::charge_settled`] or [`Listener::charge_released`].
    ///
    /// # Errors
    /// Undoes it; the node's event is then delivered again.
    fn charge_held(&self, _tx: &Tx<'_>, _charge: &Charge) -> Result<(), LedgerError> {
        Ok(())
    }

    /// The payment of a held charge went back to its payer: the charge is as it was before, unpaid or expired.
    ///
    /// # Errors
    /// Leaves it held, for a later round.
    fn charge_released(&self, _tx: &Tx<'_>, _charge: &Charge) -> Result<(), LedgerError> {
        Ok(())
    }

    /// A payout reached an end: paid or failed. Called again if a success comes after a failure; then it
    /// answers how much of the payout's amount was still there to be taken: the rest had been given to
    /// somebody else meanwhile, and the ledger books it as the operator's loss.
    ///
    /// # Errors
    /// Undoes the step; the node's event is then delivered again.
    fn payout_ended(&self, tx: &Tx<'_>, payout: &Payout, end: End) -> Result<Msat, LedgerError>;

    /// As [`Listener::payout_ended`], for a payout to a BOLT12 [offer](offer_payouts).
    ///
    /// # Errors
    /// Undoes the step; the node's event is then delivered again.
    fn offer_payout_ended(&self, _tx: &Tx<'_>, payout: &OfferPayout, _end: End) -> Result<Msat, LedgerError> {
        Ok(payout.amount)
    }

    /// Coins of one of the family's [`coins`] arrived or were not sent. Told once.
    ///
    /// # Errors
    /// Undoes the step; it is tried again.
    fn coins_ended(&self, _tx: &Tx<'_>, _send: &OnchainPayout, _end: End) -> Result<(), LedgerError> {
        Ok(())
    }

    /// One of the family's invoices was never paid and can't be any more. The family removes what it wrote
    /// beside the charge; answers whether the charge may go too.
    ///
    /// # Errors
    /// Leaves all as it was, for a later round.
    fn charge_lapsed(&self, tx: &Tx<'_>, charge: ChargeId) -> Result<Lapsed, LedgerError>;
}

/// What becomes of a charge that was never paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lapsed {
    /// Nothing of the family's stands beside it any more.
    Forget,
    /// The family still shows it.
    Keep,
}

/// How a payout ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The recipient has the money.
    Paid,
    /// Nobody has, nobody will: what it was taken from is free again.
    Failed,
    /// It arrived although it had been given up before.
    PaidAfterFailure,
}

/// What the parts of the ledger share. Cheap to clone.
#[derive(Clone)]
pub struct Ledger {
    /// The file.
    pub store: Store,
    /// The node's money side.
    pub lightning: Arc<dyn Lightning>,
    /// The time.
    pub clock: Clock,
    /// Rings when there is something to dispatch.
    pub wake: Arc<Notify>,
    /// Who listens for which family.
    pub listeners: Listeners,
    /// Limits and windows.
    pub settings: Settings,
}

/// Listeners by family; fixed once `app` has built the app.
#[derive(Clone, Default)]
pub struct Listeners {
    by_family: Arc<HashMap<Family, Arc<dyn Listener>>>,
}

impl Listeners {
    /// Registers everybody at once.
    pub fn new(listeners: impl IntoIterator<Item = (Family, Arc<dyn Listener>)>) -> Self {
        Self { by_family: Arc::new(listeners.into_iter().collect()) }
    }

    /// Who listens for a family; families without rows of their own have nobody.
    pub fn of(&self, family: Family) -> Option<&Arc<dyn Listener>> {
        self.by_family.get(&family)
    }
}

/// Limits and windows of payouts.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// HTLCs of ours on one channel at a time; the protocol's default limit is 50.
    pub in_flight_per_channel: usize,
    /// How long a payout may wait to be sent before it is given up.
    pub send_window: std::time::Duration,
    /// Tries without a route, and with nothing else under way that could be in its way, before a payout is
    /// given up.
    pub route_tries: u32,
    /// What routing may cost in an hour, whatever each payout may; beyond it only free routes are taken.
    pub max_routing_per_hour: Msat,
    /// What routing for one account may cost the operator in an hour.
    pub max_routing_per_account_hour: Msat,
    /// How long after a start the node's channels are asked about old payouts at the earliest: LDK itself
    /// retries for 10 seconds and repeats its events in the first moments.
    pub settle_time: std::time::Duration,
    /// What becomes of a sale that could not be paid out.
    pub when_short: solvency::WhenShort,
    /// How long an order that nobody paid is kept after its invoice's end, in
    /// [families that keep any](Family::keeps_unpaid).
    pub keep_unpaid: std::time::Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            in_flight_per_channel: 45,
            send_window: std::time::Duration::from_secs(600),
            route_tries: 4,
            max_routing_per_hour: Msat::from_sat(10_000).unwrap_or_default(),
            max_routing_per_account_hour: Msat::from_sat(5_000).unwrap_or_default(),
            settle_time: std::time::Duration::from_secs(12),
            when_short: solvency::WhenShort::default(),
            keep_unpaid: std::time::Duration::from_secs(3 * 86_400),
        }
    }
}
