//! All that goes out, in one list: payouts to invoices and to offers, and coins to addresses.

use std::collections::VecDeque;

use rusqlite::Connection;

use super::rows::payout_list as rows;
use super::{Family, LedgerError, PayoutStatus};
use crate::core::ids::{PaymentHash, Preimage};
use crate::core::money::Msat;
use crate::core::time::UnixMillis;

/// To what a payout goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// A BOLT11 invoice.
    Invoice,
    /// A BOLT12 offer.
    Offer,
    /// An address.
    Coins,
}

impl Way {
    pub(super) const ALL: [Self; 3] = [Self::Invoice, Self::Offer, Self::Coins];

    /// Its name in lists and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Invoice => "invoice",
            Self::Offer => "offer",
            Self::Coins => "coins",
        }
    }
}

/// One of the list.
#[derive(Clone, Debug)]
pub struct Listed {
    /// To what it goes.
    pub way: Way,
    /// Its row among those of its way.
    pub row: i64,
    /// Its public id.
    pub id: String,
    /// Whose it is.
    pub family: Family,
    /// How far it is. Coins are `in_flight` until their transaction is six blocks deep.
    pub status: PayoutStatus,
    /// What the recipient gets.
    pub amount: Msat,
    /// The most that routing, or the miners, may cost.
    pub max_fee: Msat,
    /// What they did cost, once known.
    pub fee: Option<Msat>,
    /// Times the node was asked.
    pub attempts: u32,
    /// When it was decided.
    pub created_at: UnixMillis,
    /// When it was given to the node.
    pub dispatched_at: Option<UnixMillis>,
    /// When it ended.
    pub finished_at: Option<UnixMillis>,
    /// Why it failed, or is in doubt.
    pub error: Option<String>,
    /// The node said that it failed, which proves nothing.
    pub failure_reported: Option<String>,
    /// Of an offer known only late, of coins never.
    pub payment_hash: Option<PaymentHash>,
    /// The receipt.
    pub preimage: Option<Preimage>,
    /// Of coins, once known.
    pub txid: Option<String>,
    /// The invoice, offer or address.
    pub to: String,
}

/// Which payouts. What is left out sets no limit.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted {
    /// Only in this status.
    pub status: Option<PayoutStatus>,
    /// Only of this family.
    pub family: Option<Family>,
    /// Not made before, unix milliseconds.
    pub since: Option<UnixMillis>,
    /// Only those that the node has had since then or longer, and that have not ended.
    pub held_since: Option<UnixMillis>,
    /// Where the list goes on.
    pub before: Option<Place>,
    /// At most so many.
    pub limit: u32,
}

/// Where a list goes on: behind which row of each way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place([i64; 3]);

impl Place {
    pub(super) const START: Self = Self([i64::MAX; 3]);

    pub(super) const fn row(self, way: Way) -> i64 {
        let Self([invoice, offer, coins]) = self;
        match way {
            Way::Invoice => invoice,
            Way::Offer => offer,
            Way::Coins => coins,
        }
    }

    const fn behind(self, way: Way, row: i64) -> Self {
        let Self([invoice, offer, coins]) = self;
        match way {
            Way::Invoice => Self([row, offer, coins]),
            Way::Offer => Self([invoice, row, coins]),
            Way::Coins => Self([invoice, offer, row]),
        }
    }

    /// As text, for whoever asks page by page.
    pub fn to_text(self) -> String {
        self.0.map(|row| if row == i64::MAX { "-".to_owned() } else { row.to_string() }).join("_")
    }

    /// The way back from [`Place::to_text`].
    pub fn read(text: &str) -> Option<Self> {
        let mut rows = text.split('_').map(|row| if row == "-" { Some(i64::MAX) } else { row.parse().ok() });
        let place = Self([rows.next()??, rows.next()??, rows.next()??]);
        rows.next().is_none().then_some(place)
    }
}

/// Newest first, and where the list goes on if there is more.
///
/// # Errors
/// The store's.
pub fn list(connection: &Connection, wanted: &Wanted) -> Result<(Vec<Listed>, Option<Place>), LedgerError> {
    let one_more = Wanted { limit: wanted.limit.saturating_add(1), ..*wanted };
    let mut ways = Vec::with_capacity(Way::ALL.len());
    for way in Way::ALL {
        ways.push(VecDeque::from(rows::of_way(connection, way, &one_more)?));
    }
    let limit = usize::try_from(wanted.limit).unwrap_or(usize::MAX);
    let (mut page, mut place) = (Vec::new(), wanted.before.unwrap_or(Place::START));
    loop {
        // Each way is in the order of its rows, whatever the clock did.
        let newest = ways.iter_mut().max_by_key(|way| way.front().map(|listed| listed.created_at));
        let Some(next) = newest.and_then(VecDeque::pop_front) else { return Ok((page, None)) };
        if page.len() >= limit {
            return Ok((page, Some(place)));
        }
        place = place.behind(next.way, next.row);
        page.push(next);
    }
}

/// One by its public id.
///
/// # Errors
/// The store's.
pub fn find(connection: &Connection, public_id: &str) -> Result<Option<Listed>, LedgerError> {
    rows::find(connection, public_id)
}

/// Something that the books say of a payout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When, unix milliseconds.
    pub at: UnixMillis,
    /// The journal's kind.
    pub kind: String,
}

/// What the books say happened with one, oldest first.
///
/// # Errors
/// The store's.
pub fn history(connection: &Connection, listed: &Listed) -> Result<Vec<Event>, LedgerError> {
    rows::journals(connection, listed.way, listed.row)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn place_goes_there_and_back() {
        for place in [Place::START, Place::START.behind(Way::Offer, 7).behind(Way::Coins, 1)] {
            assert_eq!(Place::read(&place.to_text()), Some(place));
        }
        for bad in ["", "1", "1_2", "1_2_3_4", "x_1_2", "po_0123"] {
            assert_eq!(Place::read(bad), None, "{bad}");
        }
    }
}
