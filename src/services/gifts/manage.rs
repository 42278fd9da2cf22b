//! The sender's side of a gift: where it stands, what happened to it, taking it back.

use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use super::error::GiftError;
use super::ids::{ManageKey, OrderId};
use super::redeem::Proof;
use super::store::{self, Gift};
use super::view::{self, GiftView};
use super::{Done, Gifts};
use crate::core::time::{UnixMillis, millis};
use crate::http::idempotency::IdempotencyKey;
use crate::ledger::{Outgoing, PayoutStatus};
use crate::vouchers::{self, Redeemer, VoucherState};

/// A gift, to who has its manage key: all that its recipient sees, and the rest.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManagedView<'a> {
    #[serde(flatten)]
    gift: GiftView<'a>,
    refund_address: Option<&'a str>,
    history: Vec<HistoryView>,
}

/// Something that happened to a gift.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryView {
    /// `created`, `paid`, `claiming`, `payout_failed`, `redeemed`, `expired`, `returning`, `return_failed`,
    /// `returned` or `locked`
    event: &'static str,
    at: view::Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    withdrawal_id: Option<String>,
    /// Why a payout failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(skip)]
    at_ms: UnixMillis,
}

impl HistoryView {
    fn new(event: &'static str, at: UnixMillis) -> Self {
        Self { event, at: at.into(), withdrawal_id: None, detail: None, at_ms: at }
    }

    fn of(event: &'static str, at: UnixMillis, payout: &Outgoing) -> Self {
        Self { withdrawal_id: Some(payout.public_id().to_owned()), ..Self::new(event, at) }
    }
}

impl Gifts {
    /// The sender's view of a gift.
    ///
    /// # Errors
    /// [`GiftError::NotFound`] alike for an unknown gift and a wrong key; the store's.
    pub async fn managed_json(&self, order_id: OrderId, key: String) -> Result<Vec<u8>, GiftError> {
        let (gift, past) = self
            .store()
            .read(move |connection| -> Result<_, GiftError> {
                check_key(connection, order_id, &key)?;
                let gift = store::by_order_id(connection, order_id)?.ok_or(GiftError::NotFound)?;
                let past = vouchers::payouts_of(connection, gift.id)?;
                Ok((gift, past))
            })
            .await?;
        let now = self.now();
        let charge_id = self.charge_uuid(gift.charge)?;
        let lnurl = self.lnurl_of(gift.order_id, gift.code.code);
        view::json(&ManagedView {
            gift: GiftView::for_sender(&gift, &charge_id, &lnurl, now),
            refund_address: gift.refund_address.as_deref(),
            history: history(&gift, &past, self.0.rules.lock.lock, now),
        })
    }

    /// Pays a gift that nobody has redeemed back to its sender.
    ///
    /// # Errors
    /// As [`Gifts::managed_json`], and those of [`Gifts::redeem`] except the code's and the expiry's.
    pub async fn refund(
        &self,
        order_id: OrderId,
        key: String,
        invoice: Option<String>,
        ask: Option<IdempotencyKey>,
    ) -> Result<Done<Vec<u8>>, GiftError> {
        self.store().read(move |connection| check_key(connection, order_id, &key)).await?;
        self.redeem(order_id, invoice, Proof::Sender, ask).await
    }
}

fn check_key(connection: &rusqlite::Connection, order_id: OrderId, key: &str) -> Result<(), GiftError> {
    let hash = store::manage_hash(connection, order_id)?;
    // An unknown gift takes as long as a wrong key.
    let right = ManageKey::matches(&hash.unwrap_or_default(), key) & hash.is_some();
    if right { Ok(()) } else { Err(GiftError::NotFound) }
}

/// What happened, oldest first. All of it follows from the rows of charge, voucher and payouts.
fn history(gift: &Gift, past: &[(Redeemer, Outgoing)], lock: Duration, now: UnixMillis) -> Vec<HistoryView> {
    let mut events = vec![HistoryView::new("created", gift.created_at)];
    events.extend(gift.paid_at.map(|at| HistoryView::new("paid", at)));
    let ended = matches!(gift.state, VoucherState::Redeemed)
        || (gift.state == VoucherState::Returned && gift.expires_at.is_some_and(|end| end > now));
    let funded = gift.paid_at.is_some();
    let end = gift.expires_at.filter(|end| *end <= now && funded && !ended);
    events.extend(end.map(|end| HistoryView::new("expired", end)));
    for (taker, payout) in past {
        let name = |redeem, refund| if *taker == Redeemer::Sender { refund } else { redeem };
        events.push(HistoryView::of(name("claiming", "returning"), payout.created_at(), payout));
        let Some(at) = payout.finished_at() else { continue };
        match payout.status() {
            PayoutStatus::Paid => events.push(HistoryView::of(name("redeemed", "returned"), at, payout)),
            PayoutStatus::Failed => events.push(HistoryView {
                detail: payout.error().map(str::to_owned),
                ..HistoryView::of(name("payout_failed", "return_failed"), at, payout)
            }),
            _ => {}
        }
    }
    if let Some(until) = gift.code.locked_until.filter(|until| *until > now) {
        // Only the end is kept. After a restart with another lock time it is an estimate, but never nonsense.
        let since = until.saturating_sub(millis(lock)).clamp(gift.created_at, now.max(gift.created_at));
        events.push(HistoryView::new("locked", since));
    }
    // Stable: what happened in the same millisecond keeps the order of cause and effect.
    events.sort_by_key(|event| event.at_ms);
    events
}
