//! Sending what was claimed, and forgetting who bought it.

use super::ids::OrderKey;
use super::status::OrderStatus;
use super::store::customers::{self, LetterKind};
use super::store::orders::{self, Order, Tracking};
use super::{Shop, ShopError, letters};
use crate::storage::Tx;

impl Shop {
    /// Notes that an order was sent. Once more with another number corrects it.
    ///
    /// # Errors
    /// [`ShopError::OrderNotFound`]; [`ShopError::Conflict`] for one that is not claimed, or refunded; the store's.
    pub(super) fn mark_shipped(
        &self,
        tx: &Tx<'_>,
        key: OrderKey,
        tracking: &Tracking,
    ) -> Result<Order, ShopError> {
        let order = orders::by_key(tx, key)?.ok_or(ShopError::OrderNotFound)?;
        if !matches!(order.status, OrderStatus::Processing | OrderStatus::Shipped) {
            let message = format!("The order is {}: only one that was claimed can be sent", order.status);
            return Err(ShopError::conflict("NOT_SHIPPABLE", message));
        }
        let now = self.now();
        orders::shipped(tx, order.id, tracking, now)?;
        if self.0.parts.mail.is_some() && customers::of(tx, order.id)?.is_some() {
            let give_up_at = now.saturating_add(letters::GOOD_FOR_MS);
            customers::queue_letter(tx, order.id, LetterKind::Shipped, now, give_up_at)?;
        }
        let order = orders::by_id(tx, order.id)?;
        self.notifier().tell(tx, &order, "order.shipped", now)?;
        Ok(order)
    }

    /// Removes who bought an order and where it went.
    ///
    /// # Errors
    /// [`ShopError::OrderNotFound`]; the store's.
    pub(super) fn forget_buyer(&self, tx: &Tx<'_>, key: OrderKey) -> Result<bool, ShopError> {
        let order = orders::by_key(tx, key)?.ok_or(ShopError::OrderNotFound)?;
        Ok(customers::forget(tx, order.id)?)
    }
}
