//! What routing may cost: each payout its own limit, each account so much an hour, all of them together so much an hour.
//!
//! A recipient can hold a payment, so that what it might cost counts for as long as they like, or have it routed
//! over a dear channel of their own. So no payout gets more than a part of what is left of the hour: there is always
//! something for the next one. One at a time may have its whole limit if half of the hour is left for the others,
//! because a large payout can need it; and the last half is for those whose limit is small.
//!
//! Only what the operator bears is limited so. Their own payments say themselves what they may cost; and where an
//! account bears what its withdrawal or its purse's payment costs, that was withheld. Where the operator bears what an
//! account's payout costs (a refund, and a withdrawal if the settings say so), it counts for the hour of that account
//! too.
//!
//! An hour ends by the time that has really passed, whatever the clock was set to in it: [`crate::core::time::Window`].
//!
//! **The limits are hard**: what is granted is reckoned and written in one transaction, before the node is asked, and
//! counts until the payout ends and what it did cost takes its place. LDK pays no more than it was granted.

use std::collections::HashMap;

use rusqlite::Connection;

use super::rows::{payouts as payout_rows, under_way as rows};
use super::{Family, LedgerError, OfferPayout, Payout, Settings};
use crate::core::ids::{AccountId, PayoutId};
use crate::core::money::Msat;
use crate::core::time::Window;
use crate::storage::Tx;

/// The part of what is left that one payout may use without further ado.
const PART: u64 = 20;

/// A limit of at most this part of the hour's is small.
const SMALL: u64 = 500;

/// Who bears what routing costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bearer {
    /// Whoever's money is sent: the operator said what it may cost, or it was withheld from an account.
    Payer,
    /// The operator, perhaps for an account.
    Operator(Option<AccountId>),
}

impl Bearer {
    /// Of a payout to an invoice.
    pub(super) const fn of(payout: &Payout) -> Self {
        Self::new(payout.family, payout.routing_account)
    }

    /// Of a payout to an offer.
    pub(super) const fn of_offer(payout: &OfferPayout) -> Self {
        Self::new(payout.family, payout.routing_account)
    }

    const fn new(family: Family, account: Option<AccountId>) -> Self {
        match (family, account) {
            (Family::Operator | Family::Accounts | Family::Purse, None) => Self::Payer,
            (_, account) => Self::Operator(account),
        }
    }

    /// Whether it counts for the hour.
    pub(super) const fn is_operator(self) -> bool {
        matches!(self, Self::Operator(_))
    }
}

/// Notes that the operator bears what routing a payout of an account costs, in the transaction that queues it.
///
/// # Errors
/// The store's.
pub fn note_account(tx: &Tx<'_>, id: PayoutId, account: AccountId) -> Result<(), LedgerError> {
    payout_rows::note_routing_account(tx, id, account)
}

/// What is left of the hour, those payouts counted that are under way.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    most: Msat,
    left: Msat,
    large_under_way: bool,
    most_of_account: Msat,
    /// What is left of those accounts that were asked about.
    accounts: HashMap<AccountId, Msat>,
    hour: Window,
}

impl Budget {
    /// As the books are now. To be read in the transaction that writes what is granted.
    pub(super) fn read(
        connection: &Connection,
        settings: &Settings,
        hour: Window,
    ) -> Result<Self, LedgerError> {
        let (used, largest) = rows::recent_routing(connection, &hour)?;
        let most = settings.max_routing_per_hour;
        Ok(Self {
            most,
            left: most.saturating_sub(used),
            large_under_way: largest > part(most, PART),
            most_of_account: settings.max_routing_per_account_hour,
            accounts: HashMap::new(),
            hour,
        })
    }

    /// What a payout may cost now that wants to be allowed `wanted`. Taken from the budget.
    pub(super) fn grant(
        &mut self,
        connection: &Connection,
        wanted: Msat,
        bearer: Bearer,
    ) -> Result<Msat, LedgerError> {
        let Bearer::Operator(account) = bearer else { return Ok(wanted) };
        let left_of_account = match account {
            Some(account) => self.left_of(connection, account)?,
            None => Msat::MAX,
        };
        let granted = self.share(wanted).min(left_of_account);
        self.large_under_way |= granted > part(self.most, PART);
        self.left = self.left.saturating_sub(granted);
        if let Some(account) = account {
            self.accounts.insert(account, left_of_account.saturating_sub(granted));
        }
        Ok(granted)
    }

    fn left_of(&self, connection: &Connection, account: AccountId) -> Result<Msat, LedgerError> {
        if let Some(left) = self.accounts.get(&account) {
            return Ok(*left);
        }
        Ok(self.most_of_account.saturating_sub(rows::routing_of(connection, account, &self.hour)?))
    }

    /// What all together leave for one payout.
    fn share(&self, wanted: Msat) -> Msat {
        let pool = if wanted <= part(self.most, SMALL) {
            self.left
        } else {
            self.left.saturating_sub(part(self.most, 2))
        };
        let share = part(pool, PART);
        let whole = wanted <= share || (wanted <= pool && !self.large_under_way);
        if whole { wanted } else { share }
    }
}

fn part(of: Msat, parts: u64) -> Msat {
    Msat::new(of.get() / parts).unwrap_or(Msat::ZERO)
}
