//! Vouchers turn into a payout.

use lightning_invoice::Bolt11Invoice;

use super::{Refused, Taker, Voucher, by_id, redeems, refusal, store};
use crate::ids::VoucherId;
use crate::ledger::payouts::{self, Order, Queued};
use crate::ledger::{Family, Ledger, LedgerError, Payout, PayoutStatus, charges};
use crate::money::Msat;
use crate::store::Tx;

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
