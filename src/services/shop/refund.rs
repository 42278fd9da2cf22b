//! Giving money back: the buyer of an order that won't be delivered gives an invoice for what they paid.

use lightning_invoice::Bolt11Invoice;

use super::ids::OrderKey;
use super::notify::{owe_refund, take_refund};
use super::queries::{self, Token};
use super::status::OrderStatus;
use super::store::orders::{self, Order};
use super::store::{catalogue, refunds, stores};
use super::{Shop, ShopError};
use crate::core::ids::Secret;
use crate::core::money::Msat;
use crate::crash_point;
use crate::ledger::accounts::LineKind;
use crate::ledger::payouts::{self, Queued};
use crate::ledger::{Family, charges, routing, service_fees};
use crate::lightning::invoice;
use crate::storage::Tx;

/// A refund to send.
#[derive(Debug)]
pub struct NewRefund {
    /// Of the order.
    pub claim_token: Secret,
    /// Where the money goes.
    pub invoice: Bolt11Invoice,
}

impl Shop {
    /// Sends a buyer's money back. The same invoice again, while it has not failed, is the same refund.
    ///
    /// # Errors
    /// [`ShopError::StoreNotFound`], [`ShopError::OrderNotFound`]; [`ShopError::Conflict`] if no refund is due, or the
    /// invoice was used before; [`ShopError::Invalid`] for an invoice that can't be paid or is for another amount;
    /// [`ShopError::Unavailable`] if the node isn't running; the store's. Nothing is left behind by any.
    pub async fn refund(&self, slug: &str, key: &str, new: NewRefund) -> Result<Vec<u8>, ShopError> {
        let running = self.0.parts.node.ask(|node| node.is_running()).await.unwrap_or(false);
        let (shop, slug, key) = (self.clone(), slug.to_owned(), key.to_owned());
        let written = self.store().write(move |tx| -> Result<Vec<u8>, ShopError> {
            let store = stores::by_slug(tx, &slug)?.ok_or(ShopError::StoreNotFound)?;
            let order = queries::find(tx, &store, &key, &Token::Claim(new.claim_token))?;
            let order = shop.send_back(tx, &order, &new.invoice, running)?;
            queries::json_of(&shop, tx, &store, &order, None)
        });
        let body = written.await?;
        crash_point!("shop.after_refund");
        Ok(body)
    }

    fn send_back(
        &self,
        tx: &Tx<'_>,
        order: &Order,
        invoice: &Bolt11Invoice,
        running: bool,
    ) -> Result<Order, ShopError> {
        let (now, rules, amount) = (self.now(), self.rules(), order.refundable());
        if let Some(payout) = payouts::by_hash(tx, charges::hash_of(invoice))? {
            let known = refunds::by_payout(tx, payout.id)?;
            let same = known.is_some_and(|refund| refund.order == order.id)
                && payout.status != crate::ledger::PayoutStatus::Failed
                && payout.invoice == invoice.to_string();
            return if same { Ok(orders::by_id(tx, order.id)?) } else { Err(used()) };
        }
        if order.status != OrderStatus::RefundDue {
            let message = format!("No refund is due: the order is {}", order.status);
            return Err(ShopError::conflict("NO_REFUND_DUE", message));
        }
        invoice::check_payable(invoice, rules.network, now, rules.min_invoice_expiry)?;
        if invoice.amount_milli_satoshis() != Some(amount.get()) {
            let message = format!("invoice must be for exactly {} sat", amount.sat_floor());
            return Err(ShopError::invalid("INVALID_INVOICE", message));
        }
        if !running {
            return Err(ShopError::Unavailable);
        }
        let wanted = payouts::Order { family: Family::Shop, invoice, amount, max_fee: rules.max_fee(amount) };
        let queued = payouts::queue(tx, self.ledger(), &wanted, |payout| {
            take_refund(tx, order, LineKind::Refund, now)?;
            refunds::insert(tx, order.id, payout, amount, now)?;
            orders::set_refund(tx, order.id, OrderStatus::Refunding, None, amount, None)
        })?;
        match queued {
            Queued::New(payout) => {
                payouts::note_source(tx, payout.id, Some(&format!("account {}", order.account.0)))?;
                routing::note_account(tx, payout.id, order.account)?;
                Ok(orders::by_id(tx, order.id)?)
            }
            Queued::Existing(_) => Err(used()),
            Queued::Unpayable => Err(invoice::BadInvoice::Used.into()),
        }
    }

    /// The seller gives up an order that has not been sent: its pieces are back in stock, and its buyer is owed what
    /// was paid. With the setting, the operator's fee goes back to the account. Where it was written to a Shopify shop, it
    /// is cancelled there.
    ///
    /// # Errors
    /// [`ShopError::OrderNotFound`]; [`ShopError::Conflict`] if it is too late, or the account has less; the store's.
    pub(super) fn give_up(&self, tx: &Tx<'_>, key: OrderKey) -> Result<Order, ShopError> {
        let order = orders::by_key(tx, key)?.ok_or(ShopError::OrderNotFound)?;
        if !matches!(order.status, OrderStatus::AwaitingDetails | OrderStatus::Processing) {
            let message = format!("The order is {}: it can't be cancelled any more", order.status);
            return Err(ShopError::conflict("NOT_CANCELLABLE", message));
        }
        let now = self.now();
        if self.rules().return_fee && order.fee > Msat::ZERO {
            let (account, reference) = (order.account, order.key.to_string());
            service_fees::give_back_for_charge(tx, order.charge, account, &reference, order.fee, now)?;
            orders::set_fee(tx, order.id, Msat::ZERO)?;
        }
        if !owe_refund(tx, &order, now)? {
            let message = format!(
                "The account has less than the {} sat that the buyer gets back",
                order.refundable().sat_floor()
            );
            return Err(ShopError::conflict("INSUFFICIENT_BALANCE", message));
        }
        catalogue::put_back(tx, order.id)?;
        self.cancel_at_shopify(tx, &stores::by_id(tx, order.store)?, order.id, now)?;
        self.notifier().catalogue_changed(tx, order.store);
        let order = orders::by_id(tx, order.id)?;
        self.notifier().tell(tx, &order, "order.cancelled", now)?;
        Ok(order)
    }
}

/// One payout a payment hash, for ever.
fn used() -> ShopError {
    ShopError::conflict("INVOICE_USED", "This invoice was paid or tried before; make a fresh one")
}
