//! The JSON of the family: every answer's keys in the order of the newer document, the older document's
//! spellings after them.

use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use super::codes::VerifyCode;
use super::create::{Created, Names};
use super::error::GiftError;
use super::ids::{ManageKey, OrderId};
use super::store::{Gift, LastPayout};
use crate::core::ids::Secret;
use crate::core::money::Msat;
use crate::core::time::UnixMillis;
use crate::http::respond;
use crate::ledger::{ChargeStatus, PayoutStatus};
use crate::vouchers::VoucherState;

/// A point in time as the original's database printed it.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct Timestamp {
    /// Unix seconds.
    #[serde(rename = "_seconds")]
    pub seconds: i64,
    /// Nanoseconds within the second.
    #[serde(rename = "_nanoseconds")]
    pub nanoseconds: i64,
}

impl From<UnixMillis> for Timestamp {
    fn from(at: UnixMillis) -> Self {
        Self { seconds: at.div_euclid(1_000), nanoseconds: at.rem_euclid(1_000).saturating_mul(1_000_000) }
    }
}

/// Whether somebody has taken the gift.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spent {
    /// `false`
    No,
    /// `"pending"`
    Pending,
    /// `true`
    Yes,
}

impl Serialize for Spent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::No => serializer.serialize_bool(false),
            Self::Pending => serializer.serialize_str("pending"),
            Self::Yes => serializer.serialize_bool(true),
        }
    }
}

impl From<VoucherState> for Spent {
    fn from(state: VoucherState) -> Self {
        match state {
            VoucherState::Unfunded | VoucherState::Open | VoucherState::Expired => Self::No,
            VoucherState::Claiming | VoucherState::Returning => Self::Pending,
            VoucherState::Redeemed | VoucherState::Returned => Self::Yes,
        }
    }
}

/// The funding invoice.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct InvoiceView<'a> {
    /// Unix seconds until which it can be paid.
    pub expires_at: i64,
    /// BOLT11.
    pub payreq: &'a str,
}

/// The answer to `POST /create`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreatedView<'a> {
    order_id: String,
    charge_id: &'a str,
    /// Always `unpaid`.
    status: &'static str,
    lightning_invoice: InvoiceView<'a>,
    /// Satoshis in each gift.
    amount: u64,
    notify: Option<&'a str>,
    lnurl: String,
    sender_name: Option<&'a str>,
    sender_message: Option<&'a str>,
    /// Only if one was given; a text if it begins with a zero.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u16>)]
    verify_code: Option<VerifyCode>,
    /// Unix seconds; only if it was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refund_address: Option<&'a str>,
    /// Opens `/gift/{orderId}/manage` and `/refund`. Shown here and never again.
    manage_key: String,
    /// Signs what `notify` is told: the one that was given, or a new one. Shown here and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    notify_secret: Option<&'a str>,
    /// Satoshis that each gift costs besides its amount, which the invoice asks for too; only if there is a fee.
    #[serde(skip_serializing_if = "Option::is_none")]
    fee: Option<u64>,
    /// Every gift of an order for more than one; the first is the one above.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    gifts: Vec<BatchView>,
    #[serde(rename = "order_id")]
    order_id_alias: String,
    #[serde(rename = "charge_id")]
    charge_id_alias: &'a str,
    #[serde(rename = "lightning_invoice")]
    lightning_invoice_alias: InvoiceView<'a>,
    /// The recipient's page.
    url: String,
    /// The sender's page. It opens with the manage key, which is in it.
    manage_url: String,
}

/// One of many gifts that an invoice pays for.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BatchView {
    order_id: String,
    lnurl: String,
    manage_key: String,
    #[serde(rename = "order_id")]
    order_id_alias: String,
    /// The recipient's page.
    url: String,
    /// The sender's page. It opens with the manage key, which is in it.
    manage_url: String,
}

impl<'a> CreatedView<'a> {
    /// `None` only for an order of nothing.
    pub(super) fn new(
        created: &'a Created,
        charge_id: &'a str,
        invoice: InvoiceView<'a>,
        public_url: &str,
        lnurl: impl Fn(OrderId, Option<VerifyCode>) -> String,
    ) -> Option<Self> {
        let page = |names: &Names| format!("{public_url}/redeem/{}", names.order_id);
        let senders_page = |names: &Names| {
            let key = names.manage_key.as_ref().map(ManageKey::expose).unwrap_or_default();
            format!("{public_url}/manage/{}#{key}", names.order_id)
        };
        let order = &created.order;
        let code = order.words.code;
        let key = |key: &Option<ManageKey>| key.as_ref().map(ManageKey::expose).unwrap_or_default();
        let first = created.names.first()?;
        let order_id = first.order_id.to_string();
        let gifts = if created.names.len() > 1 { created.names.as_slice() } else { &[] };
        let gifts = gifts.iter().map(|names| BatchView {
            order_id: names.order_id.to_string(),
            lnurl: lnurl(names.order_id, code),
            manage_key: key(&names.manage_key),
            order_id_alias: names.order_id.to_string(),
            url: page(names),
            manage_url: senders_page(names),
        });
        Some(Self {
            order_id: order_id.clone(),
            charge_id,
            status: ChargeStatus::Unpaid.name(),
            lightning_invoice: invoice,
            amount: order.amount.sat_floor(),
            notify: order.words.notify.as_deref(),
            lnurl: lnurl(first.order_id, code),
            sender_name: order.words.sender_name.as_deref(),
            sender_message: order.words.sender_message.as_deref(),
            verify_code: code,
            expires_at: order.expires_at.map(|at| at / 1_000),
            refund_address: order.refund_address.as_deref(),
            manage_key: key(&first.manage_key),
            notify_secret: order.notify_secret.as_ref().map(Secret::expose),
            fee: (order.fee > Msat::ZERO).then(|| order.fee.sat_floor()),
            gifts: gifts.collect(),
            order_id_alias: order_id,
            charge_id_alias: charge_id,
            lightning_invoice_alias: invoice,
            url: page(first),
            manage_url: senders_page(first),
        })
    }
}

/// The charge behind a gift.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChargeView<'a> {
    charge_id: &'a str,
    charge_invoice: &'a str,
}

/// The payout of a gift.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WithdrawalView<'a> {
    withdrawal_id: &'a str,
    withdrawal_invoice: &'a str,
    created_at: Timestamp,
    /// What the recipient pays: nothing.
    fee: &'static str,
    /// Why it failed, if it did; the gift can then be redeemed again.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(rename = "withdrawal_id")]
    withdrawal_id_alias: &'a str,
}

impl<'a> From<&'a LastPayout> for WithdrawalView<'a> {
    fn from(payout: &'a LastPayout) -> Self {
        let failed = payout.status == PayoutStatus::Failed;
        Self {
            withdrawal_id: &payout.public_id,
            withdrawal_invoice: &payout.invoice,
            created_at: payout.created_at.into(),
            fee: "0",
            error: failed.then(|| payout.error.as_deref().unwrap_or("the payout failed")),
            withdrawal_id_alias: &payout.public_id,
        }
    }
}

/// A gift, to whoever may open it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GiftView<'a> {
    /// Satoshis.
    amount: u64,
    id: String,
    /// Always `null` for a recipient.
    notify: Option<&'a str>,
    created_at: Timestamp,
    /// `unpaid`, `paid` or `expired`; `processing` is reserved
    charge_status: &'static str,
    charge_info: ChargeView<'a>,
    /// `false`, `"pending"` or `true`
    #[schema(value_type = serde_json::Value)]
    spent: Spent,
    order_id: String,
    lnurl: &'a str,
    sender_name: Option<&'a str>,
    sender_message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    withdrawal_info: Option<WithdrawalView<'a>>,
    /// Only to who gave it; a text if it begins with a zero.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u16>)]
    verify_code: Option<VerifyCode>,
    /// Unix seconds; only if the gift has an end.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<i64>,
    /// `unpaid`, `lapsed`, `open`, `pending`, `redeemed`, `expired`, `returning` or `returned`
    state: &'static str,
    #[serde(rename = "order_id")]
    order_id_alias: String,
    #[serde(rename = "charge_id")]
    charge_id_alias: &'a str,
}

impl<'a> GiftView<'a> {
    /// As its recipient sees it. A payout to the sender is not the recipient's to see.
    pub fn for_recipient(gift: &'a Gift, charge_id: &'a str, lnurl: &'a str, now: UnixMillis) -> Self {
        let payout = gift.payout.as_ref().filter(|payout| !payout.is_return);
        let order_id = gift.order_id.to_string();
        Self {
            amount: gift.amount.sat_floor(),
            id: order_id.clone(),
            notify: None,
            created_at: gift.created_at.into(),
            charge_status: charge_status(gift.charge_status, gift.invoice_expires_at, now).name(),
            charge_info: ChargeView { charge_id, charge_invoice: &gift.invoice },
            spent: gift.state.into(),
            order_id: order_id.clone(),
            lnurl,
            sender_name: gift.sender_name.as_deref(),
            sender_message: gift.sender_message.as_deref(),
            withdrawal_info: payout.map(WithdrawalView::from),
            verify_code: gift.code.code,
            expires_at: gift.expires_at.map(|at| at / 1_000),
            state: state_name(gift, now),
            order_id_alias: order_id,
            charge_id_alias: charge_id,
        }
    }

    /// As its sender sees it.
    pub fn for_sender(gift: &'a Gift, charge_id: &'a str, lnurl: &'a str, now: UnixMillis) -> Self {
        let withdrawal_info = gift.payout.as_ref().map(WithdrawalView::from);
        let view = Self::for_recipient(gift, charge_id, lnurl, now);
        Self { notify: gift.notify.as_deref(), withdrawal_info, ..view }
    }
}

/// A gift, to whoever doesn't know its code.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LockedView {
    /// Satoshis.
    amount: u64,
    charge_status: &'static str,
    /// `false`, `"pending"` or `true`
    #[schema(value_type = serde_json::Value)]
    spent: Spent,
    order_id: String,
    /// Always `true`.
    verify_code_required: bool,
    #[serde(rename = "order_id")]
    order_id_alias: String,
    /// As in the open gift: a page need not ask for the code of a gift that is over.
    state: &'static str,
}

impl LockedView {
    /// Of this gift.
    pub fn new(gift: &Gift, now: UnixMillis) -> Self {
        let order_id = gift.order_id.to_string();
        Self {
            amount: gift.amount.sat_floor(),
            charge_status: charge_status(gift.charge_status, gift.invoice_expires_at, now).name(),
            spent: gift.state.into(),
            order_id: order_id.clone(),
            verify_code_required: true,
            order_id_alias: order_id,
            state: state_name(gift, now),
        }
    }
}

/// The answer to a redemption or a refund.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RedeemedView<'a> {
    withdrawal_id: &'a str,
    #[serde(rename = "withdrawal_id")]
    withdrawal_id_alias: &'a str,
}

impl<'a> RedeemedView<'a> {
    /// With this id.
    pub fn new(withdrawal_id: &'a str) -> Self {
        Self { withdrawal_id, withdrawal_id_alias: withdrawal_id }
    }
}

/// What `notify` is told, in the documented order: small devices read it by hand.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NotifyView<'a> {
    id: &'a str,
    order_id: &'a str,
    /// Satoshis.
    amount: u64,
    /// Always `true`.
    spent: bool,
}

impl<'a> NotifyView<'a> {
    /// Of a gift that was redeemed.
    pub fn redeemed(order_id: &'a str, sat: u64) -> Self {
        Self { id: order_id, order_id, amount: sat, spent: true }
    }
}

/// The answer to `/status`.
#[derive(Debug, Serialize, ToSchema)]
pub struct StatusView {
    /// `unpaid`, `paid` or `expired`; `processing` is reserved
    pub status: &'static str,
}

/// The answer to `/redeemStatus`.
#[derive(Debug, Serialize, ToSchema)]
pub struct WithdrawalStatusView<'a> {
    /// The invoice that was used.
    pub reference: &'a str,
    /// `initial`, `confirmed` or `failed`
    pub status: &'static str,
    /// Why it failed, if it did: programs look for it to stop asking.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'a str>,
}

/// An error.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ErrorView {
    /// The HTTP status again.
    pub status_code: u16,
    /// What programs compare.
    pub message: &'static str,
    /// The most that would have been taken, in sat, where a limit of the channels is the reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_sat: Option<u64>,
    /// Why, in words, where the code leaves it open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl From<GiftError> for ErrorView {
    fn from(error: GiftError) -> Self {
        Self {
            status_code: error.status(),
            message: error.code(),
            max_sat: error.max_sat(),
            reason: error.reason(),
        }
    }
}

/// How far a payout is, in the words of `/redeemStatus`.
pub const fn withdrawal_status(status: PayoutStatus) -> &'static str {
    match status {
        PayoutStatus::Queued | PayoutStatus::Dispatching | PayoutStatus::InFlight | PayoutStatus::Unknown => {
            "initial"
        }
        PayoutStatus::Paid => "confirmed",
        PayoutStatus::Failed => "failed",
    }
}

/// The status of a charge now: the row is marked a moment after its time is over.
pub fn charge_status(kept: ChargeStatus, expires_at: UnixMillis, now: UnixMillis) -> ChargeStatus {
    if kept == ChargeStatus::Unpaid && expires_at <= now { ChargeStatus::Expired } else { kept }
}

/// Where a gift is in its life, in one word.
pub fn state_name(gift: &Gift, now: UnixMillis) -> &'static str {
    let charge = charge_status(gift.charge_status, gift.invoice_expires_at, now);
    state_name_of(gift.state, charge, gift.expires_at, now)
}

/// The same from its parts.
pub fn state_name_of(
    state: VoucherState,
    charge: ChargeStatus,
    expires_at: Option<UnixMillis>,
    now: UnixMillis,
) -> &'static str {
    match state {
        VoucherState::Unfunded if charge == ChargeStatus::Expired => "lapsed",
        VoucherState::Unfunded => "unpaid",
        VoucherState::Open if expires_at.is_some_and(|at| at <= now) => "expired",
        VoucherState::Open => "open",
        VoucherState::Claiming => "pending",
        VoucherState::Redeemed => "redeemed",
        VoucherState::Expired => "expired",
        VoucherState::Returning => "returning",
        VoucherState::Returned => "returned",
    }
}

/// An answer's bytes.
///
/// # Errors
/// [`GiftError::Internal`], logged: a bug.
pub fn json(value: &impl Serialize) -> Result<Vec<u8>, GiftError> {
    Ok(respond::to_json(value)?)
}
