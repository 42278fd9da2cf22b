//! Vouchers turn into a payout.

use lightning_invoice::Bolt11Invoice;

use rusqlite::Connection;
use uuid::Uuid;

use super::{Redeemer, Refused, Voucher, by_id, redeems, refusal, store, taker_of};
use crate::core::ids::VoucherId;
use crate::core::money::Msat;
use crate::core::time::UnixMillis;
use crate::ledger::offer_payouts::{self, OfferPayout, Wanted};
use crate::ledger::payouts::{self, Order, Queued};
use crate::ledger::{
    Family, Ledger, LedgerError, Outgoing, Payout, PayoutKey, PayoutStatus, charges, offers,
};
use crate::lightning::bolt12::PayableOffer;
use crate::storage::Tx;

/// A redemption that was accepted.
#[derive(Clone, Debug)]
pub enum Claim {
    /// Now.
    Started(Outgoing),
    /// Before, with this same invoice or offer.
    Same(Outgoing),
}

impl Claim {
    /// The payout, either way.
    pub fn payout(&self) -> &Outgoing {
        match self {
            Self::Started(payout) | Self::Same(payout) => payout,
        }
    }
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
    taker: Redeemer,
    invoice: &Bolt11Invoice,
    max_fee: Msat,
) -> Result<Result<Claim, Refused>, LedgerError> {
    let vouchers = ids.iter().map(|id| by_id(tx, *id)).collect::<Result<Vec<_>, _>>()?;
    let in_the_way = || vouchers.iter().find_map(refusal);
    if let Some(existing) = payouts::by_hash(tx, charges::hash_of(invoice))? {
        return Ok(if is_same(tx, ids, &existing)? {
            Ok(Claim::Same(Outgoing::Invoice(existing)))
        } else {
            Err(in_the_way().unwrap_or(Refused::InvoiceUsed))
        });
    }
    let Some((family, amount)) = together(&vouchers)? else { return Ok(Err(Refused::WrongAmount)) };
    if invoice.amount_milli_satoshis() != Some(amount.get()) {
        return Ok(Err(Refused::WrongAmount));
    }
    if let Some(refused) = not_takeable(&vouchers, taker, ledger.clock.now()) {
        return Ok(Err(refused));
    }
    let order = Order { family, invoice, amount, max_fee };
    let start = |payout| start(tx, &vouchers, taker, PayoutKey::Invoice(payout));
    match payouts::queue(tx, ledger, &order, start)? {
        Queued::New(payout) => Ok(Ok(Claim::Started(Outgoing::Invoice(payout)))),
        Queued::Existing(payout) => Ok(Ok(Claim::Same(Outgoing::Invoice(payout)))),
        Queued::Unpayable => Ok(Err(Refused::InvoiceUsed)),
    }
}

/// An offer to redeem to, for whom, and what that may cost.
#[derive(Clone, Copy)]
pub struct ToOffer<'a> {
    /// The offer; its network, expiry and currency have been checked.
    pub offer: &'a PayableOffer,
    /// Who takes the sats.
    pub taker: Redeemer,
    /// The most that routing so much may cost.
    pub max_fee: &'a dyn Fn(Msat) -> Msat,
}

/// As [`redeem`], to a BOLT12 offer. The same offer again is the same redemption while its payout has not failed
/// ([`same_offer`]); after a failure it is paid again. The caller says for whom it is
/// ([`note_source`](crate::ledger::outgoing::note_source)).
///
/// # Errors
/// The store's. The inner result says why not, with nothing changed.
pub fn redeem_to_offer(
    tx: &Tx<'_>,
    ledger: &Ledger,
    ids: &[VoucherId],
    to: ToOffer<'_>,
) -> Result<Result<Claim, Refused>, LedgerError> {
    let ToOffer { offer, taker, max_fee } = to;
    if let Some(same) = same_offer(tx, ids, taker, offer)? {
        return Ok(Ok(Claim::Same(Outgoing::Offer(same))));
    }
    let vouchers = ids.iter().map(|id| by_id(tx, *id)).collect::<Result<Vec<_>, _>>()?;
    if let Some(refused) = not_takeable(&vouchers, taker, ledger.clock.now()) {
        return Ok(Err(refused));
    }
    let Some((family, amount)) = together(&vouchers)? else { return Ok(Err(Refused::WrongAmount)) };
    if offer.check_amount(amount).is_err() {
        return Ok(Err(Refused::WrongAmount));
    }
    if offers::is_ours(tx, offer.id)? {
        return Ok(Err(Refused::OwnOffer));
    }
    let public_id = Uuid::new_v4().to_string();
    let wanted = Wanted {
        family,
        offer: &offer.text,
        amount,
        max_fee: max_fee(amount),
        public_id: &public_id,
        source: None,
        routing_account: None,
    };
    let id = offer_payouts::queue(tx, ledger, &wanted)?;
    start(tx, &vouchers, taker, PayoutKey::Offer(id))?;
    Ok(Ok(Claim::Started(Outgoing::Offer(offer_payouts::by_id(tx, id)?))))
}

/// The payout of this invoice, if it redeems just these vouchers and has not failed: it is under way, or has arrived.
///
/// # Errors
/// The store's.
pub fn same_invoice(
    connection: &Connection,
    ids: &[VoucherId],
    invoice: &Bolt11Invoice,
) -> Result<Option<Payout>, LedgerError> {
    let Some(payout) = payouts::by_hash(connection, charges::hash_of(invoice))? else { return Ok(None) };
    Ok(is_same(connection, ids, &payout)?.then_some(payout))
}

fn is_same(connection: &Connection, ids: &[VoucherId], payout: &Payout) -> Result<bool, LedgerError> {
    Ok(payout.status != PayoutStatus::Failed && redeems(connection, PayoutKey::Invoice(payout.id), ids)?)
}

/// The payout to this same offer that these vouchers had last, for the same redeemer, if it has not failed: it is under
/// way, or has arrived.
///
/// # Errors
/// The store's; [`LedgerError::Broken`] if there is no such voucher.
pub fn same_offer(
    connection: &Connection,
    ids: &[VoucherId],
    taker: Redeemer,
    offer: &PayableOffer,
) -> Result<Option<OfferPayout>, LedgerError> {
    let Some(first) = ids.first() else { return Ok(None) };
    let Some(key @ PayoutKey::Offer(id)) = by_id(connection, *first)?.payout else { return Ok(None) };
    let payout = offer_payouts::by_id(connection, id)?;
    let same = payout.offer == offer.text
        && payout.status != PayoutStatus::Failed
        && taker_of(connection, key)? == Some(taker)
        && redeems(connection, key, ids)?;
    Ok(same.then_some(payout))
}

/// Why somebody can't take these now, if they can't.
fn not_takeable(vouchers: &[Voucher], taker: Redeemer, now: UnixMillis) -> Option<Refused> {
    vouchers.iter().find_map(|voucher| match refusal(voucher) {
        Some(Refused::Expired) if taker == Redeemer::Sender => None,
        Some(refused) => Some(refused),
        None if taker == Redeemer::Recipient && voucher.expires_at.is_some_and(|at| at <= now) => {
            Some(Refused::Expired)
        }
        None => None,
    })
}

fn start(tx: &Tx<'_>, vouchers: &[Voucher], taker: Redeemer, payout: PayoutKey) -> Result<(), LedgerError> {
    vouchers.iter().try_for_each(|voucher| store::start(tx, voucher.id, taker, payout))
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
