//! What the ledger tells the family: an invoice was paid, a payout ended, an invoice can't be paid any more.

use super::ids::Cuid;
use super::notify::Notifier;
use super::request::TipWords;
use super::status::OnboardingFlow;
use super::store::{self, Funds, Group, NewTip, Shared, Tip};
use crate::core::ids::{ChargeId, TipGroupId, UserId, VoucherId};
use crate::core::money::Msat;
use crate::core::time::UnixMillis;
use crate::ledger::books::{Journal, Kind};
use crate::ledger::{Account, Charge, End, Family, Lapsed, LedgerError, Listener, OfferPayout, Payout};
use crate::storage::Tx;
use crate::vouchers::{self, NewVoucher, VoucherState, Vouchers};

/// What a tipper reads on money that came for nothing.
const PAID_AGAIN: &str = "Paid for an invoice of a tip that was paid already";

/// How long such money can be taken back: it never expires, but a tip has to say something.
const CREDIT_LIFE_MS: i64 = 10 * 366 * 86_400_000;

/// The ledger's ear for this family, around the vouchers'.
pub(super) struct Funding {
    pub(super) vouchers: Vouchers,
    pub(super) notifier: Notifier,
}

impl Listener for Funding {
    fn charge_settled(&self, tx: &Tx<'_>, charge: &Charge) -> Result<(), LedgerError> {
        let now = charge.settled_at.unwrap_or(charge.created_at);
        match store::funded_by(tx, charge.id)? {
            Some(Funds::Tip(id)) => self.tip_paid(tx, charge, id, now),
            Some(Funds::Group(id)) => self.group_paid(tx, charge, id, now),
            // The vouchers say so.
            None => self.vouchers.charge_settled(tx, charge),
        }
    }

    fn payout_ended(&self, tx: &Tx<'_>, payout: &Payout, end: End) -> Result<Msat, LedgerError> {
        self.vouchers.payout_ended(tx, payout, end)
    }

    fn offer_payout_ended(&self, tx: &Tx<'_>, payout: &OfferPayout, end: End) -> Result<Msat, LedgerError> {
        self.vouchers.offer_payout_ended(tx, payout, end)
    }

    /// Tips are kept, also unpaid ones: they belong to somebody who has a key. Only invoices that others have
    /// taken the place of may go.
    fn charge_lapsed(&self, tx: &Tx<'_>, charge: ChargeId) -> Result<Lapsed, LedgerError> {
        Ok(if store::forget_charge(tx, charge)? { Lapsed::Forget } else { Lapsed::Keep })
    }
}

impl Funding {
    fn tip_paid(
        &self,
        tx: &Tx<'_>,
        charge: &Charge,
        id: VoucherId,
        now: UnixMillis,
    ) -> Result<(), LedgerError> {
        let tip = store::tip(tx, id)?.ok_or_else(|| missing("tip", id.0))?;
        if tip.state != VoucherState::Unfunded {
            return self.paid_again(tx, charge, tip.tipper, now);
        }
        self.open_all(tx, charge, &[tip], now)
    }

    fn group_paid(
        &self,
        tx: &Tx<'_>,
        charge: &Charge,
        id: TipGroupId,
        now: UnixMillis,
    ) -> Result<(), LedgerError> {
        let group: Group = store::group(tx, id)?.ok_or_else(|| missing("group", id.0))?;
        let tips = store::of_group(tx, id)?;
        if tips.iter().any(|tip| tip.state != VoucherState::Unfunded) {
            return self.paid_again(tx, charge, group.tipper, now);
        }
        store::show_charge(tx, id, charge.id)?;
        self.open_all(tx, charge, &tips, now)?;
        self.notifier.record_group(tx, "tip_group.funded", &group)
    }

    /// Opens every tip that this invoice pays for, and earns their fees. Tips that were deleted meanwhile, or
    /// whose time is over, go back whole: nobody could ever have claimed them.
    fn open_all(
        &self,
        tx: &Tx<'_>,
        charge: &Charge,
        tips: &[Tip],
        now: UnixMillis,
    ) -> Result<(), LedgerError> {
        let mut earned = Msat::ZERO;
        for tip in tips {
            let whole = tip.amount.checked_add(tip.fee).ok_or_else(too_much)?;
            let (amount, fee) = if is_over(tip, now) { (whole, Msat::ZERO) } else { (tip.amount, tip.fee) };
            vouchers::fund_by(tx, tip.id, charge.id, Some(amount))?;
            if fee != tip.fee {
                store::set_fee(tx, tip.id, fee)?;
            }
            earned = earned.checked_add(fee).ok_or_else(too_much)?;
        }
        if earned > Msat::ZERO {
            Journal::new(Kind::FeeEarned, charge.id.0)
                .debit(Family::Tips.account(), earned)
                .credit(Account::FeesEarned, earned)
                .post(tx, now)?;
        }
        self.vouchers.charge_settled(tx, charge)?;
        for tip in tips.iter().filter(|tip| is_over(tip, now)) {
            self.give_back(tx, tip.id, now)?;
        }
        Ok(())
    }

    /// Money for what has been paid for: it is the tipper's, as a tip that came back.
    fn paid_again(
        &self,
        tx: &Tx<'_>,
        charge: &Charge,
        tipper: UserId,
        now: UnixMillis,
    ) -> Result<(), LedgerError> {
        let amount = charge.amount.or(charge.received).unwrap_or(Msat::ZERO);
        let expires_at = now.saturating_add(CREDIT_LIFE_MS);
        let new = NewVoucher {
            family: Family::Tips,
            charge: charge.id,
            amount,
            expires_at: Some(expires_at),
            return_to: None,
        };
        let id = vouchers::issue(tx, &new, now)?;
        let public_id = Cuid::random().map_err(|error| LedgerError::Broken(error.to_string()))?;
        let tip = NewTip {
            id,
            public_id,
            user: tipper,
            group: None,
            fee: Msat::ZERO,
            expires_at,
            onboarding_flow: OnboardingFlow::Default,
            anonymous: true,
            words: &TipWords { tippee_name: None, note: Some(PAID_AGAIN.into()), marked: None },
            details: Shared::default(),
            passphrase: None,
        };
        store::insert(tx, &tip, now)?;
        self.notifier.count(tx, "made", amount);
        self.vouchers.charge_settled(tx, charge)?;
        self.give_back(tx, id, now)
    }

    fn give_back(&self, tx: &Tx<'_>, id: VoucherId, now: UnixMillis) -> Result<(), LedgerError> {
        self.vouchers
            .recall(tx, id, now)?
            .map_err(|refused| LedgerError::Broken(format!("voucher {id} can't be given back: {refused}")))
    }
}

/// Whether nobody can claim a tip any more, paid or not.
fn is_over(tip: &Tip, now: UnixMillis) -> bool {
    tip.deleted_at.is_some() || tip.expires_at <= now
}

fn missing(what: &str, id: i64) -> LedgerError {
    LedgerError::Broken(format!("{what} {id} is missing"))
}

fn too_much() -> LedgerError {
    LedgerError::Broken("tips for more than there is".into())
}
