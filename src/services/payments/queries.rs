//! Looking at payments, and asking the node again.

use super::ids::InvoiceId;
use super::status::PaymentStatus;
use super::store::{self, Payment};
use super::view::{PaymentView, PaymentsView};
use super::{PaymentError, Payments, json};
use crate::core::ids::AccountId;

/// What part of a list.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Only those that stand so.
    pub status: Option<PaymentStatus>,
    /// The last of the page before.
    pub cursor: Option<InvoiceId>,
    /// At most so many.
    pub limit: usize,
}

impl Payments {
    /// An account's payment.
    ///
    /// # Errors
    /// [`PaymentError::PaymentNotFound`], also for another account's; the store's.
    pub async fn one(&self, account: AccountId, id: InvoiceId) -> Result<Payment, PaymentError> {
        let found = self.store().read(move |connection| store::by_public_id(connection, id)).await?;
        found.filter(|payment| payment.account == account).ok_or(PaymentError::PaymentNotFound)
    }

    /// The same as JSON.
    ///
    /// # Errors
    /// As [`Payments::one`].
    pub async fn one_json(&self, account: AccountId, id: InvoiceId) -> Result<Vec<u8>, PaymentError> {
        self.json(&self.one(account, id).await?)
    }

    /// The paid payment of an order if there is one, else the newest, as JSON.
    ///
    /// # Errors
    /// As [`Payments::one`].
    pub async fn order_json(&self, account: AccountId, order: String) -> Result<Vec<u8>, PaymentError> {
        let found = self.store().read(move |connection| store::by_order(connection, account, &order)).await?;
        self.json(&found.ok_or(PaymentError::PaymentNotFound)?)
    }

    /// A page of an account's payments, newest first.
    ///
    /// # Errors
    /// [`PaymentError::Invalid`] for a cursor that names none of its payments; the store's.
    pub async fn list_json(&self, account: AccountId, wanted: Wanted) -> Result<Vec<u8>, PaymentError> {
        let before = match wanted.cursor {
            None => None,
            Some(id) => match self.one(account, id).await {
                Ok(payment) => Some(payment.id),
                Err(PaymentError::PaymentNotFound) => return Err(PaymentError::bad_cursor()),
                Err(error) => return Err(error),
            },
        };
        let (limit, now) = (wanted.limit, self.now());
        let read = move |connection: &rusqlite::Connection| {
            store::list(connection, account, wanted.status, before, limit.saturating_add(1), now)
        };
        let mut found = self.store().read(read).await?;
        let more = found.len() > limit;
        found.truncate(limit);
        let next_cursor = found.last().filter(|_| more).map(|last| last.public_id);
        let url = &self.rules().public_url;
        let payments = found.iter().map(|payment| PaymentView::new(payment, url, now)).collect();
        json(&PaymentsView { payments, next_cursor })
    }
}
