//! The JSON of the family: the document's keys in its order, later ones behind them.
//!
//! Amounts are in satoshis, dates ISO 8601 with milliseconds and `Z`. Views are made of plain data that
//! whoever reads the database lends them; what a stranger may not see is left out here and nowhere else.

mod public;

use serde::Serialize;
use utoipa::ToSchema;

pub use self::public::{Person, PublicTipView, StaticLinkView};
use super::status::{GroupStatus, OnboardingFlow, TipStatus};
use crate::core::money::Msat;
use crate::core::time::UnixMillis;
use crate::core::time::iso::IsoTime;

/// Tips of every kind there is: this server holds their sats.
const CUSTODIAL: &str = "CUSTODIAL";

/// Always 1: the sats of each tip are kept by themselves.
const VERSION: u32 = 1;

/// What the original allowed once a tip was funded. Nothing here sends text messages.
const SMS_TOKENS: u32 = 3;

/// What is known of a tip.
#[derive(Clone, Copy)]
pub struct TipData<'a> {
    /// Public id.
    pub id: &'a str,
    /// What it holds.
    pub amount: Msat,
    /// What it cost besides.
    pub fee: Msat,
    /// Public id of who gives it.
    pub tipper_id: &'a str,
    /// Public id of who claimed it.
    pub tippee_id: Option<&'a str>,
    /// Who is meant to get it.
    pub tippee_name: Option<&'a str>,
    /// Language of their pages.
    pub tippee_locale: Option<&'a str>,
    /// BOLT11; `None` in a group.
    pub invoice: Option<&'a str>,
    /// Payment hash of the invoice as hex.
    pub invoice_id: Option<&'a str>,
    /// Moved a group's sats into its tips, at the original. Here the books do that: `None`.
    pub preparation_invoice: Option<&'a str>,
    /// The same.
    pub preparation_invoice_id: Option<&'a str>,
    /// Where it stands.
    pub status: TipStatus,
    /// When it was made.
    pub created: UnixMillis,
    /// When it last changed.
    pub updated: UnixMillis,
    /// When it was claimed.
    pub claimed: Option<UnixMillis>,
    /// Until when it can be claimed and withdrawn.
    pub expiry: UnixMillis,
    /// When its tipper copied the link.
    pub copied_claim_url: Option<UnixMillis>,
    /// In which the tippee reckons.
    pub currency: Option<&'a str>,
    /// What they are told.
    pub note: Option<&'a str>,
    /// The same without the name, if a group's template told one.
    pub note_without_name: Option<&'a str>,
    /// Public id of the withdrawal.
    pub withdrawal_id: Option<&'a str>,
    /// How they get at it.
    pub onboarding_flow: OnboardingFlow,
    /// When somebody last tried to withdraw it.
    pub last_withdrawal: Option<UnixMillis>,
    /// Public id of its group.
    pub group_id: Option<&'a str>,
    /// Its place in the group, from 0.
    pub group_tip_index: Option<u32>,
    /// Whether whoever claimed it had it on paper.
    pub claimed_from_printed_card: bool,
    /// The wallet at the top of the list.
    pub recommended_wallet_id: Option<&'a str>,
    /// Whether tippees may not know who tips.
    pub anonymous_tipper: bool,
    /// Magic words.
    pub passphrase: Option<&'a str>,
    /// Whom to tell of the claim.
    pub claim_webhook_url: Option<&'a str>,
    /// Whom to tell of the withdrawal.
    pub withdraw_webhook_url: Option<&'a str>,
    /// A picture for the tippee.
    pub advertisement_image_url: Option<&'a str>,
    /// Where it leads to.
    pub advertisement_url: Option<&'a str>,
    /// Whether a payout of it is running.
    pub withdrawal_pending: bool,
}

/// What is known of a group of tips.
#[derive(Clone, Copy)]
pub struct GroupData<'a> {
    /// Public id.
    pub id: &'a str,
    /// When it was made.
    pub created: UnixMillis,
    /// When it last changed.
    pub updated: UnixMillis,
    /// Where it stands.
    pub status: GroupStatus,
    /// How many tips it was made of.
    pub quantity: u32,
    /// Public id of who gives them.
    pub tipper_id: &'a str,
    /// BOLT11 for all of them.
    pub invoice: Option<&'a str>,
    /// Payment hash of the invoice as hex.
    pub invoice_id: Option<&'a str>,
    /// Whether one link leads to all of them.
    pub enable_static_link: bool,
}

/// A tip, to who gives it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TipView<'a> {
    id: &'a str,
    /// Satoshis.
    amount: u64,
    /// Satoshis.
    fee: u64,
    tipper_id: &'a str,
    tippee_id: Option<&'a str>,
    tippee_name: Option<&'a str>,
    tippee_locale: Option<&'a str>,
    invoice: Option<&'a str>,
    invoice_id: Option<&'a str>,
    preparation_invoice: Option<&'a str>,
    preparation_invoice_id: Option<&'a str>,
    status: TipStatus,
    #[schema(value_type = String, format = DateTime)]
    created: IsoTime,
    #[schema(value_type = String, format = DateTime)]
    updated: IsoTime,
    #[schema(value_type = Option<String>, format = DateTime)]
    claimed: Option<IsoTime>,
    #[schema(value_type = String, format = DateTime)]
    expiry: IsoTime,
    #[schema(value_type = Option<String>, format = DateTime)]
    copied_claim_url: Option<IsoTime>,
    currency: Option<&'a str>,
    note: Option<&'a str>,
    /// Always 1.
    version: u32,
    withdrawal_id: Option<&'a str>,
    /// 3 once it is funded, for those who look; no text messages are sent.
    num_sms_tokens: u32,
    onboarding_flow: OnboardingFlow,
    #[schema(value_type = Option<String>, format = DateTime)]
    last_withdrawal: Option<IsoTime>,
    group_id: Option<&'a str>,
    group_tip_index: Option<u32>,
    claimed_from_printed_card: bool,
    recommended_wallet_id: Option<&'a str>,
    anonymous_tipper: bool,
    passphrase: Option<&'a str>,
    claim_webhook_url: Option<&'a str>,
    withdraw_webhook_url: Option<&'a str>,
    /// Always `CUSTODIAL`.
    #[serde(rename = "type")]
    kind: &'static str,
    advertisement_image_url: Option<&'a str>,
    advertisement_url: Option<&'a str>,
    /// `true` while a payout of it runs; else not there.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    withdrawal_pending: bool,
    /// Only in a list `withGroups`, and then in the first of each group.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(no_recursion)]
    group: Option<Box<GroupView<'a>>>,
}

impl<'a> TipView<'a> {
    /// Of this tip.
    pub fn new(tip: &TipData<'a>) -> Self {
        let funded = !matches!(tip.status, TipStatus::Unfunded | TipStatus::Deleted);
        Self {
            id: tip.id,
            amount: tip.amount.sat_floor(),
            fee: tip.fee.sat_floor(),
            tipper_id: tip.tipper_id,
            tippee_id: tip.tippee_id,
            tippee_name: tip.tippee_name,
            tippee_locale: tip.tippee_locale,
            invoice: tip.invoice,
            invoice_id: tip.invoice_id,
            preparation_invoice: tip.preparation_invoice,
            preparation_invoice_id: tip.preparation_invoice_id,
            status: tip.status,
            created: IsoTime(tip.created),
            updated: IsoTime(tip.updated),
            claimed: tip.claimed.map(IsoTime),
            expiry: IsoTime(tip.expiry),
            copied_claim_url: tip.copied_claim_url.map(IsoTime),
            currency: tip.currency,
            note: tip.note,
            version: VERSION,
            withdrawal_id: tip.withdrawal_id,
            num_sms_tokens: if funded { SMS_TOKENS } else { 0 },
            onboarding_flow: tip.onboarding_flow,
            last_withdrawal: tip.last_withdrawal.map(IsoTime),
            group_id: tip.group_id,
            group_tip_index: tip.group_tip_index,
            claimed_from_printed_card: tip.claimed_from_printed_card,
            recommended_wallet_id: tip.recommended_wallet_id,
            anonymous_tipper: tip.anonymous_tipper,
            passphrase: tip.passphrase,
            claim_webhook_url: tip.claim_webhook_url,
            withdraw_webhook_url: tip.withdraw_webhook_url,
            kind: CUSTODIAL,
            advertisement_image_url: tip.advertisement_image_url,
            advertisement_url: tip.advertisement_url,
            withdrawal_pending: tip.withdrawal_pending,
            group: None,
        }
    }

    /// The same with its whole group inside: stands for the group in a list.
    #[must_use]
    pub fn with_group(self, group: GroupView<'a>) -> Self {
        Self { group: Some(Box::new(group)), ..self }
    }
}

/// A group of tips, to who gives them.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GroupView<'a> {
    id: &'a str,
    #[schema(value_type = String, format = DateTime)]
    created: IsoTime,
    #[schema(value_type = String, format = DateTime)]
    updated: IsoTime,
    status: GroupStatus,
    /// Always `null`: no route gives a group a name.
    name: Option<&'a str>,
    quantity: u32,
    tipper_id: &'a str,
    invoice: Option<&'a str>,
    invoice_id: Option<&'a str>,
    tips: Vec<TipView<'a>>,
    enable_static_link: bool,
}

impl<'a> GroupView<'a> {
    /// Of this group and its tips, which come in their order.
    pub fn new(group: &GroupData<'a>, tips: Vec<TipView<'a>>) -> Self {
        Self {
            id: group.id,
            created: IsoTime(group.created),
            updated: IsoTime(group.updated),
            status: group.status,
            name: None,
            quantity: group.quantity,
            tipper_id: group.tipper_id,
            invoice: group.invoice,
            invoice_id: group.invoice_id,
            tips,
            enable_static_link: group.enable_static_link,
        }
    }
}

/// What was deleted.
#[derive(Serialize, ToSchema)]
pub struct DeletedView<'a> {
    id: &'a str,
    /// Always `:(`.
    deleted: &'static str,
}

impl<'a> DeletedView<'a> {
    /// The tip or group of this id.
    pub const fn new(id: &'a str) -> Self {
        Self { id, deleted: ":(" }
    }
}

#[cfg(test)]
mod tests;
