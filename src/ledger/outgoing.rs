//! A payout over Lightning, whether it pays an invoice or an offer, for who treats both alike.
//!
//! What moves money stays in [`payouts`] and [`offer_payouts`]: their proofs differ. This only reads.

use rusqlite::Connection;

use super::rows::{offer_payouts as offer_rows, payouts as rows};
use super::{Family, LedgerError, OfferPayout, Payout, PayoutStatus, offer_payouts, payouts};
use crate::core::ids::{OfferPayoutId, PaymentHash, PayoutId};
use crate::core::money::Msat;
use crate::core::time::UnixMillis;
use crate::storage::Tx;

/// Names a payout: by the table and its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PayoutKey {
    /// It pays an invoice.
    Invoice(PayoutId),
    /// It pays an offer.
    Offer(OfferPayoutId),
}

impl PayoutKey {
    /// The row of a payout to an invoice.
    pub const fn invoice(self) -> Option<PayoutId> {
        match self {
            Self::Invoice(id) => Some(id),
            Self::Offer(_) => None,
        }
    }

    /// The row of a payout to an offer.
    pub const fn offer(self) -> Option<OfferPayoutId> {
        match self {
            Self::Invoice(_) => None,
            Self::Offer(id) => Some(id),
        }
    }

    /// The key of two columns of which at most one is set.
    pub fn of_columns(invoice: Option<PayoutId>, offer: Option<OfferPayoutId>) -> Option<Self> {
        invoice.map(Self::Invoice).or(offer.map(Self::Offer))
    }

    /// Bytes that no other key has, nor none, to derive secrets from.
    pub fn to_bytes(key: Option<Self>) -> Vec<u8> {
        match key {
            None => vec![0; 8],
            Some(Self::Invoice(id)) => id.0.to_be_bytes().to_vec(),
            Some(Self::Offer(id)) => [&id.0.to_be_bytes()[..], b"offer"].concat(),
        }
    }
}

/// A payout.
#[derive(Clone, Debug)]
pub enum Outgoing {
    /// To an invoice.
    Invoice(Payout),
    /// To an offer.
    Offer(OfferPayout),
}

/// One field that both kinds have.
macro_rules! of_both {
    ($this:expr, $field:ident) => {
        match $this {
            Outgoing::Invoice(payout) => &payout.$field,
            Outgoing::Offer(payout) => &payout.$field,
        }
    };
}

impl Outgoing {
    /// What names it.
    pub const fn key(&self) -> PayoutKey {
        match self {
            Self::Invoice(payout) => PayoutKey::Invoice(payout.id),
            Self::Offer(payout) => PayoutKey::Offer(payout.id),
        }
    }

    /// The id that callers see.
    pub fn public_id(&self) -> &str {
        of_both!(self, public_id)
    }

    /// Whose it is.
    pub fn family(&self) -> Family {
        *of_both!(self, family)
    }

    /// The invoice or offer that is paid.
    pub fn target(&self) -> &str {
        match self {
            Self::Invoice(payout) => &payout.invoice,
            Self::Offer(payout) => &payout.offer,
        }
    }

    /// What the recipient gets.
    pub fn amount(&self) -> Msat {
        *of_both!(self, amount)
    }

    /// How far it is.
    pub fn status(&self) -> PayoutStatus {
        *of_both!(self, status)
    }

    /// Times the node was asked.
    pub fn attempts(&self) -> u32 {
        *of_both!(self, attempts)
    }

    /// The payment hash: of an offer, once its invoice came.
    pub const fn payment_hash(&self) -> Option<PaymentHash> {
        match self {
            Self::Invoice(payout) => Some(payout.payment_hash),
            Self::Offer(payout) => payout.payment_hash,
        }
    }

    /// When it was decided.
    pub fn created_at(&self) -> UnixMillis {
        *of_both!(self, created_at)
    }

    /// When it ended.
    pub fn finished_at(&self) -> Option<UnixMillis> {
        *of_both!(self, finished_at)
    }

    /// What it cost besides its amount.
    pub fn fee(&self) -> Option<Msat> {
        *of_both!(self, fee)
    }

    /// Why it failed.
    pub fn error(&self) -> Option<&str> {
        of_both!(self, error).as_deref()
    }
}

/// The payout of a key.
///
/// # Errors
/// The store's; [`LedgerError::Broken`] if there is none.
pub fn by_key(connection: &Connection, key: PayoutKey) -> Result<Outgoing, LedgerError> {
    match key {
        PayoutKey::Invoice(id) => payouts::by_id(connection, id).map(Outgoing::Invoice),
        PayoutKey::Offer(id) => offer_payouts::by_id(connection, id).map(Outgoing::Offer),
    }
}

/// The payout of a public id.
///
/// # Errors
/// The store's.
pub fn by_public_id(connection: &Connection, public_id: &str) -> Result<Option<Outgoing>, LedgerError> {
    if let Some(payout) = payouts::by_public_id(connection, public_id)? {
        return Ok(Some(Outgoing::Invoice(payout)));
    }
    Ok(offer_payouts::by_public_id(connection, public_id)?.map(Outgoing::Offer))
}

/// Notes for whom a payout is made, in the transaction that queues it: [`crate::http::client::source`].
///
/// # Errors
/// The store's.
pub fn note_source(tx: &Tx<'_>, key: PayoutKey, source: Option<&str>) -> Result<(), LedgerError> {
    let Some(source) = source else { return Ok(()) };
    match key {
        PayoutKey::Invoice(id) => rows::note_source(tx, id, source),
        PayoutKey::Offer(id) => offer_rows::note_source(tx, id, source),
    }
}
