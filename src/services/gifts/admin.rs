//! Gifts as the admin API lists and shows them: what is needed to help somebody, and no secret. No code,
//! no key, no webhook; the invoice and the payouts are public to the operator's node anyhow.

use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::Gifts;
use super::error::GiftError;
use super::ids::OrderId;
use super::store::{self, Gift, Listed};
use super::view::{charge_status, state_name_of};
use crate::admin::{AdminError, GiftAdmin, PageRequest};
use crate::core::ids::VoucherId;
use crate::ledger::Outgoing;
use crate::vouchers::{self, Redeemer};

impl GiftAdmin for Gifts {
    fn list(&self, page: PageRequest) -> BoxFuture<'_, Result<Vec<Value>, AdminError>> {
        Box::pin(async move {
            let now = self.now();
            let before = match page.before {
                None => VoucherId(i64::MAX),
                Some(text) => self.row_of(&text).await?.ok_or_else(|| no_gift(&text))?,
            };
            let found =
                self.store().read(move |connection| store::list(connection, before, page.limit)).await;
            let found = found.map_err(AdminError::internal)?;
            Ok(found.iter().map(|gift| listed(gift, now)).collect())
        })
    }

    fn show(&self, id: String) -> BoxFuture<'_, Result<Option<Value>, AdminError>> {
        Box::pin(async move {
            let Ok(order_id) = id.parse::<OrderId>() else { return Ok(None) };
            let gift = match self.gift(order_id).await {
                Ok(gift) => gift,
                Err(GiftError::NotFound) => return Ok(None),
                Err(error) => return Err(admin_error(error)),
            };
            let voucher = gift.id;
            let past = self.store().read(move |connection| vouchers::payouts_of(connection, voucher)).await;
            let past = past.map_err(AdminError::internal)?;
            let charge_id = self.charge_uuid(gift.charge).map_err(admin_error)?;
            Ok(Some(shown(&gift, &charge_id, &past, self.now())))
        })
    }
}

impl Gifts {
    async fn row_of(&self, text: &str) -> Result<Option<VoucherId>, AdminError> {
        let order_id = text.parse::<OrderId>().map_err(|_| no_gift(text))?;
        match self.gift(order_id).await {
            Ok(gift) => Ok(Some(gift.id)),
            Err(GiftError::NotFound) => Ok(None),
            Err(error) => Err(admin_error(error)),
        }
    }
}

fn no_gift(text: &str) -> AdminError {
    AdminError::BadRequest(format!("{text:?} is no gift's id; take the last id of the page before"))
}

fn admin_error(error: GiftError) -> AdminError {
    match error {
        GiftError::NodeUnavailable => AdminError::Unavailable("the database takes no calls now".into()),
        other => AdminError::internal(other),
    }
}

fn listed(gift: &Listed, now: i64) -> Value {
    let charge = charge_status(gift.charge_status, gift.invoice_expires_at, now);
    json!({
        "id": gift.order_id.to_string(),
        "status": state_name_of(gift.state, charge, gift.expires_at, now),
        "amount_sat": gift.amount.sat_floor(),
        "created_at": gift.created_at / 1_000,
        "expires_at": gift.expires_at.map(|at| at / 1_000),
    })
}

fn shown(gift: &Gift, charge_id: &str, past: &[(Redeemer, Outgoing)], now: i64) -> Value {
    let charge = charge_status(gift.charge_status, gift.invoice_expires_at, now);
    json!({
        "id": gift.order_id.to_string(),
        "status": state_name_of(gift.state, charge, gift.expires_at, now),
        "amount_sat": gift.amount.sat_floor(),
        "created_at": gift.created_at / 1_000,
        "expires_at": gift.expires_at.map(|at| at / 1_000),
        "charge_id": charge_id,
        "charge_status": charge.name(),
        "invoice": gift.invoice,
        "invoice_expires_at": gift.invoice_expires_at / 1_000,
        "paid_at": gift.paid_at.map(|at| at / 1_000),
        "sender_name": gift.sender_name,
        "sender_message": gift.sender_message,
        "has_verify_code": gift.code.code.is_some(),
        "locked_until": gift.code.locked_until.filter(|until| *until > now).map(|until| until / 1_000),
        "has_notify": gift.notify.is_some(),
        "has_refund_address": gift.refund_address.is_some(),
        "payouts": past.iter().map(payout).collect::<Vec<_>>(),
    })
}

fn payout((taker, payout): &(Redeemer, Outgoing)) -> Value {
    json!({
        "id": payout.public_id(),
        "to": taker.name(),
        "status": payout.status().name(),
        "payment_hash": payout.payment_hash(),
        "attempts": payout.attempts(),
        "created_at": payout.created_at() / 1_000,
        "finished_at": payout.finished_at().map(|at| at / 1_000),
        "fee_msat": payout.fee(),
        "error": payout.error(),
    })
}
