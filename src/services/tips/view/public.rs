//! A tip as anybody with its link sees it.

use serde::Serialize;
use utoipa::ToSchema;

use super::{CUSTODIAL, TipData};
use crate::core::time::iso::IsoTime;
use crate::services::tips::status::{OnboardingFlow, TipStatus};

/// Somebody, as others may know them.
#[derive(Clone, Copy, Default)]
pub struct Person<'a> {
    /// What they call themselves.
    pub name: Option<&'a str>,
}

/// Who gives a tip. All is `null` when the tippee may not know.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TipperView<'a> {
    name: Option<&'a str>,
    /// Always `null`.
    twitter_username: Option<&'a str>,
    /// Always `null`.
    #[serde(rename = "avatarURL")]
    avatar_url: Option<&'a str>,
    /// Always `null`.
    fallback_avatar_id: Option<&'a str>,
}

/// Who has claimed a tip.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TippeeView<'a> {
    /// Always `false`, as there are no steps to follow.
    in_journey: bool,
    /// Always 0.
    journey_step: u32,
    name: Option<&'a str>,
    /// Always `null`.
    twitter_username: Option<&'a str>,
    /// Always `null`.
    #[serde(rename = "avatarURL")]
    avatar_url: Option<&'a str>,
    /// Always `null`.
    fallback_avatar_id: Option<&'a str>,
}

/// A tip, to anybody who has its link. Invoice, passphrase, webhooks and group are its tipper's alone, and so is
/// who that is if they want it so.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PublicTipView<'a> {
    id: &'a str,
    /// Always `CUSTODIAL`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// Satoshis.
    amount: u64,
    /// `null` when the tipper is anonymous.
    tipper_id: Option<&'a str>,
    has_claimed: bool,
    currency: Option<&'a str>,
    note: Option<&'a str>,
    /// The note for whoever came by a group's link: without the name. Only there if the note tells one.
    #[serde(skip_serializing_if = "Option::is_none")]
    note_without_name: Option<&'a str>,
    tippee_id: Option<&'a str>,
    #[schema(inline)]
    tipper: TipperView<'a>,
    /// Only when it was claimed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(inline)]
    tippee: Option<TippeeView<'a>>,
    status: TipStatus,
    #[schema(value_type = String, format = DateTime)]
    created: IsoTime,
    #[schema(value_type = String, format = DateTime)]
    expiry: IsoTime,
    tippee_name: Option<&'a str>,
    tippee_locale: Option<&'a str>,
    onboarding_flow: OnboardingFlow,
    #[schema(value_type = Option<String>, format = DateTime)]
    last_withdrawal: Option<IsoTime>,
    recommended_wallet_id: Option<&'a str>,
    #[schema(value_type = String, format = DateTime)]
    updated: IsoTime,
    advertisement_url: Option<&'a str>,
    advertisement_image_url: Option<&'a str>,
    /// `true` while a payout of it runs; else not there.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    withdrawal_pending: bool,
}

impl<'a> PublicTipView<'a> {
    /// Of this tip. `tippee` is looked at only when the tip names one, `tipper` only when it isn't anonymous.
    pub fn new(tip: &TipData<'a>, tipper: Person<'a>, tippee: Person<'a>) -> Self {
        let known = !tip.anonymous_tipper;
        // A tip that went back is its tipper's again, who shall not be known that way either.
        let tippee_id = tip.tippee_id.filter(|tippee| known || *tippee != tip.tipper_id);
        Self {
            id: tip.id,
            kind: CUSTODIAL,
            amount: tip.amount.sat_floor(),
            tipper_id: known.then_some(tip.tipper_id),
            has_claimed: tip.tippee_id.is_some(),
            currency: tip.currency,
            note: tip.note,
            note_without_name: tip.note_without_name,
            tippee_id,
            tipper: TipperView {
                name: tipper.name.filter(|_| known),
                twitter_username: None,
                avatar_url: None,
                fallback_avatar_id: None,
            },
            tippee: tippee_id.map(|_| TippeeView {
                in_journey: false,
                journey_step: 0,
                name: tippee.name,
                twitter_username: None,
                avatar_url: None,
                fallback_avatar_id: None,
            }),
            status: tip.status,
            created: IsoTime(tip.created),
            expiry: IsoTime(tip.expiry),
            tippee_name: tip.tippee_name,
            tippee_locale: tip.tippee_locale,
            onboarding_flow: tip.onboarding_flow,
            last_withdrawal: tip.last_withdrawal.map(IsoTime),
            recommended_wallet_id: tip.recommended_wallet_id,
            updated: IsoTime(tip.updated),
            advertisement_url: tip.advertisement_url,
            advertisement_image_url: tip.advertisement_image_url,
            withdrawal_pending: tip.withdrawal_pending,
        }
    }
}

/// Where a group's one link leads to.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StaticLinkView<'a> {
    /// Language of the page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tippee_locale: Option<&'a str>,
    /// A tip for who asks; not there when none is left or the group has no such link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tip_id: Option<&'a str>,
}
