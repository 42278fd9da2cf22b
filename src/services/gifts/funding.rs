//! What the ledger tells the family: an invoice was paid. Its fees are earned in that transaction.

use super::store;
use crate::core::ids::ChargeId;
use crate::core::money::Msat;
use crate::ledger::books::{Journal, Kind};
use crate::ledger::{Account, Charge, End, Family, Lapsed, LedgerError, Listener, OfferPayout, Payout};
use crate::storage::Tx;
use crate::vouchers::{self, Vouchers};

/// The family's listener, around the vouchers'.
pub struct Funding(pub Vouchers);

impl Listener for Funding {
    /// Earns the fees of all gifts that this invoice pays for. A gift whose time was over before it was paid for goes
    /// back whole: nobody could ever have redeemed it.
    fn charge_settled(&self, tx: &Tx<'_>, charge: &Charge) -> Result<(), LedgerError> {
        let now = charge.settled_at.unwrap_or(charge.created_at);
        let mut earned = Msat::ZERO;
        for gift in store::with_fee(tx, charge.id)? {
            if gift.expires_at.is_some_and(|at| at <= now) {
                let whole = gift.amount.checked_add(gift.fee).ok_or_else(too_much)?;
                vouchers::fund_by(tx, gift.id, charge.id, Some(whole))?;
                store::set_fee(tx, gift.id, Msat::ZERO)?;
            } else {
                earned = earned.checked_add(gift.fee).ok_or_else(too_much)?;
            }
        }
        if earned > Msat::ZERO {
            Journal::new(Kind::FeeEarned, charge.id.0)
                .debit(Family::Gifts.account(), earned)
                .credit(Account::FeesEarned, earned)
                .post(tx, now)?;
        }
        self.0.charge_settled(tx, charge)
    }

    fn payout_ended(&self, tx: &Tx<'_>, payout: &Payout, end: End) -> Result<Msat, LedgerError> {
        self.0.payout_ended(tx, payout, end)
    }

    fn offer_payout_ended(&self, tx: &Tx<'_>, payout: &OfferPayout, end: End) -> Result<Msat, LedgerError> {
        self.0.offer_payout_ended(tx, payout, end)
    }

    fn charge_lapsed(&self, tx: &Tx<'_>, charge: ChargeId) -> Result<Lapsed, LedgerError> {
        self.0.charge_lapsed(tx, charge)
    }
}

fn too_much() -> LedgerError {
    LedgerError::Broken("gifts for more than there is".into())
}
