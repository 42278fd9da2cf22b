//! A tip and a group as their queries give them.

use rusqlite::Row;

use crate::core::ids::{TipGroupId, UserId, VoucherId};
use crate::core::money::Msat;
use crate::core::time::UnixMillis;
use crate::ledger::{ChargeStatus, PayoutKey, PayoutStatus};
use crate::services::tips::ids::Cuid;
use crate::services::tips::request::{note_of, note_without_name};
use crate::services::tips::status::{GroupStatus, OnboardingFlow, TipStatus};
use crate::vouchers::VoucherState;

/// A tip and everything its answers are made of.
#[derive(Clone)]
pub struct Tip {
    /// Row id, which is its voucher's.
    pub id: VoucherId,
    /// What its link has in it: whoever knows it may open it.
    pub public_id: Cuid,
    /// Who gives it.
    pub tipper: UserId,
    /// What others know them by.
    pub tipper_id: Cuid,
    /// What they call themselves.
    pub tipper_name: Option<String>,
    /// Its group.
    pub group: Option<(TipGroupId, Cuid)>,
    /// Its place there.
    pub group_index: Option<u32>,
    /// What it holds.
    pub amount: Msat,
    /// What it cost besides.
    pub fee: Msat,
    /// Where its sats are.
    pub state: VoucherState,
    /// Until when it can be claimed and withdrawn.
    pub expires_at: UnixMillis,
    /// How it is handed over.
    pub onboarding_flow: OnboardingFlow,
    /// Whether tippees may not know who gives it.
    pub anonymous: bool,
    /// Who is meant to get it.
    pub tippee_name: Option<String>,
    /// Language of their pages.
    pub tippee_locale: Option<String>,
    /// What they reckon in.
    pub currency: Option<String>,
    /// What they are told.
    pub note: Option<String>,
    /// The same for whoever follows a group's link: without the name, if it tells one.
    pub note_without_name: Option<String>,
    /// The wallet at the top of the list.
    pub wallet: Option<String>,
    /// Where the picture leads to.
    pub ad_url: Option<String>,
    /// A picture for the tippee.
    pub ad_image_url: Option<String>,
    /// Magic words, sealed. The tipper's alone.
    pub passphrase_sealed: Option<Vec<u8>>,
    /// Whom to tell of the claim. The tipper's alone.
    pub claim_webhook: Option<String>,
    /// Whom to tell of the withdrawal. The tipper's alone.
    pub withdraw_webhook: Option<String>,
    /// Who claimed it.
    pub tippee: Option<(UserId, Cuid)>,
    /// What they call themselves.
    pub claimer_name: Option<String>,
    /// When somebody saw its page first.
    pub seen_at: Option<UnixMillis>,
    /// When it was claimed.
    pub claimed_at: Option<UnixMillis>,
    /// From paper.
    pub claimed_printed: bool,
    /// When its tipper copied the link.
    pub copied_at: Option<UnixMillis>,
    /// When somebody last tried to withdraw it.
    pub withdrawal_at: Option<UnixMillis>,
    /// When it was made.
    pub created_at: UnixMillis,
    /// When it last changed.
    pub updated_at: UnixMillis,
    /// When it was given up unpaid.
    pub deleted_at: Option<UnixMillis>,
    /// The text of its invoice. The tipper's alone.
    pub invoice: String,
    /// Its payment hash as hex.
    pub invoice_id: String,
    /// When it stops being payable.
    pub invoice_expires_at: UnixMillis,
    /// The payout it saw last.
    pub withdrawal: Option<Withdrawal>,
}

/// A tip's last payout.
#[derive(Clone)]
pub struct Withdrawal {
    /// What names it.
    pub key: PayoutKey,
    /// The id that callers know.
    pub public_id: String,
    /// How far it is.
    pub status: PayoutStatus,
}

impl Tip {
    /// Where it stands, in the dialect's words.
    pub fn status(&self) -> TipStatus {
        match self.state {
            VoucherState::Unfunded if self.deleted_at.is_some() => TipStatus::Deleted,
            VoucherState::Unfunded => TipStatus::Unfunded,
            VoucherState::Open | VoucherState::Claiming => match (&self.tippee, self.seen_at) {
                (Some(_), _) => TipStatus::Claimed,
                (None, Some(_)) => TipStatus::Seen,
                (None, None) => TipStatus::Unseen,
            },
            VoucherState::Redeemed => TipStatus::Withdrawn,
            VoucherState::Expired | VoucherState::Returning => TipStatus::Reclaimed,
            VoucherState::Returned => TipStatus::Refunded,
        }
    }

    /// Whether a payout of it runs.
    pub fn withdrawal_pending(&self) -> bool {
        matches!(self.state, VoucherState::Claiming | VoucherState::Returning)
    }
}

/// Every column of a tip.
pub(super) const TIP: &str = "SELECT t.id, unseal(t.public_id), t.user_id, u.public_id, u.name,
        t.group_id, unseal(g.public_id), t.group_index, v.amount_msat, t.fee_msat, v.state, t.expires_at,
        t.onboarding_flow, t.anonymous, t.tippee_name, t.tippee_locale, t.currency, t.note, t.wallet, t.ad_url,
        t.ad_image_url, t.passphrase_sealed, t.claim_webhook, t.withdraw_webhook, t.tippee_id, w.public_id, w.name,
        t.seen_at, t.claimed_at, t.claimed_printed, t.copied_at, t.withdrawal_at, v.created_at, t.updated_at,
        t.deleted_at, c.invoice, lower(hex(c.payment_hash)), c.expires_at, p.id,
        coalesce(p.public_id, o.public_id), coalesce(p.status, o.status), o.id
     FROM tips t
     JOIN vouchers v ON v.id = t.id
     JOIN charges c ON c.id = v.charge_id
     JOIN tip_users u ON u.id = t.user_id
     LEFT JOIN tip_groups g ON g.id = t.group_id
     LEFT JOIN tip_users w ON w.id = t.tippee_id
     LEFT JOIN payouts p ON p.id = v.payout_id
     LEFT JOIN offer_payouts o ON o.id = v.offer_payout_id";

pub(super) fn read_tip(row: &Row<'_>) -> rusqlite::Result<Tip> {
    let group: Option<TipGroupId> = row.get(5)?;
    let tippee: Option<UserId> = row.get(24)?;
    let payout = PayoutKey::of_columns(row.get(38)?, row.get(41)?);
    let (name, note): (Option<String>, Option<String>) = (row.get(14)?, row.get(17)?);
    let without = note.as_deref().filter(|_| group.is_some());
    Ok(Tip {
        note_without_name: without.and_then(|note| note_without_name(note, name.as_deref())),
        note: note.as_deref().map(note_of),
        id: row.get(0)?,
        public_id: row.get(1)?,
        tipper: row.get(2)?,
        tipper_id: row.get(3)?,
        tipper_name: row.get(4)?,
        group: match group {
            Some(id) => Some((id, row.get(6)?)),
            None => None,
        },
        group_index: row.get(7)?,
        amount: row.get(8)?,
        fee: row.get(9)?,
        state: parsed(row, 10)?,
        expires_at: row.get(11)?,
        onboarding_flow: parsed(row, 12)?,
        anonymous: row.get(13)?,
        tippee_name: name,
        tippee_locale: row.get(15)?,
        currency: row.get(16)?,
        wallet: row.get(18)?,
        ad_url: row.get(19)?,
        ad_image_url: row.get(20)?,
        passphrase_sealed: row.get(21)?,
        claim_webhook: row.get(22)?,
        withdraw_webhook: row.get(23)?,
        tippee: match tippee {
            Some(id) => Some((id, row.get(25)?)),
            None => None,
        },
        claimer_name: row.get(26)?,
        seen_at: row.get(27)?,
        claimed_at: row.get(28)?,
        claimed_printed: row.get(29)?,
        copied_at: row.get(30)?,
        withdrawal_at: row.get(31)?,
        created_at: row.get(32)?,
        updated_at: row.get(33)?,
        deleted_at: row.get(34)?,
        invoice: row.get(35)?,
        invoice_id: row.get(36)?,
        invoice_expires_at: row.get(37)?,
        withdrawal: match payout {
            Some(key) => Some(Withdrawal { key, public_id: row.get(39)?, status: parsed(row, 40)? }),
            None => None,
        },
    })
}

/// A group of tips.
#[derive(Clone)]
pub struct Group {
    /// Row id.
    pub id: TipGroupId,
    /// What its tipper and its static link know it by.
    pub public_id: Cuid,
    /// Who gives it.
    pub tipper: UserId,
    /// What others know them by.
    pub tipper_id: Cuid,
    /// How many tips.
    pub quantity: u32,
    /// Whether one link leads everybody to a tip.
    pub static_link: bool,
    /// When it was made.
    pub created_at: UnixMillis,
    /// When it last changed.
    pub updated_at: UnixMillis,
    /// When it was given up unpaid.
    pub deleted_at: Option<UnixMillis>,
    /// Whether its invoice is paid.
    pub charge_status: ChargeStatus,
    /// The text of that.
    pub invoice: String,
    /// Its payment hash as hex.
    pub invoice_id: String,
    /// When it stops being payable.
    pub invoice_expires_at: UnixMillis,
}

impl Group {
    /// Where it stands.
    pub fn status(&self) -> GroupStatus {
        match (self.charge_status, self.deleted_at) {
            (ChargeStatus::Paid, _) => GroupStatus::Funded,
            (_, Some(_)) => GroupStatus::Deleted,
            _ => GroupStatus::Unfunded,
        }
    }
}

/// Every column of a group.
pub(super) const GROUP: &str = "SELECT g.id, unseal(g.public_id), g.user_id, u.public_id, g.quantity,
        g.static_link, g.created_at, g.updated_at, g.deleted_at, c.status, c.invoice,
        lower(hex(c.payment_hash)), c.expires_at
     FROM tip_groups g
     JOIN charges c ON c.id = g.charge_id
     JOIN tip_users u ON u.id = g.user_id";

pub(super) fn read_group(row: &Row<'_>) -> rusqlite::Result<Group> {
    Ok(Group {
        id: row.get(0)?,
        public_id: row.get(1)?,
        tipper: row.get(2)?,
        tipper_id: row.get(3)?,
        quantity: row.get(4)?,
        static_link: row.get(5)?,
        created_at: row.get(6)?,
        updated_at: row.get(7)?,
        deleted_at: row.get(8)?,
        charge_status: parsed(row, 9)?,
        invoice: row.get(10)?,
        invoice_id: row.get(11)?,
        invoice_expires_at: row.get(12)?,
    })
}

fn parsed<T: std::str::FromStr>(row: &Row<'_>, at: usize) -> rusqlite::Result<T> {
    let text: String = row.get(at)?;
    text.parse().map_err(|_| rusqlite::Error::InvalidQuery)
}
