//! Letters to buyers: that the seller has their address, and that the parcel is on its way.
//!
//! Queued in the transaction that makes it true, written from the order when they are sent, and tried for a day.

use super::store::customers::{self, DueLetter, LetterKind};
use super::store::orders;
use super::store::stores;
use super::{Shop, ShopError};
use crate::outbound::mail::{Letter, NotSent};

/// How long a letter is tried.
pub(super) const GOOD_FOR_MS: i64 = 24 * 3_600_000;

/// The pause after an attempt that failed.
const PAUSE_MS: i64 = 300_000;

/// Letters of one round.
const AT_ONCE: i64 = 50;

impl Shop {
    /// Sends what is due.
    ///
    /// # Errors
    /// The store's; the rest waits.
    pub async fn send_letters(&self) -> Result<(), ShopError> {
        let Some(mailer) = &self.0.parts.mail else { return Ok(()) };
        let now = self.now();
        let due =
            self.store().read(move |connection| customers::due_letters(connection, now, AT_ONCE)).await?;
        for letter in due {
            let sent = match self.write(letter).await? {
                Some(text) => mailer.deliver(&text).await,
                // Who bought was forgotten meanwhile.
                None => Ok(()),
            };
            let (now, late) = (self.now(), self.now() >= letter.give_up_at);
            self.store()
                .write(move |tx| match sent {
                    Err(NotSent::NotNow) if !late => {
                        customers::put_off_letter(tx, letter.id, now.saturating_add(PAUSE_MS))
                    }
                    Ok(()) | Err(_) => customers::drop_letter(tx, letter.id),
                })
                .await?;
        }
        Ok(())
    }

    async fn write(&self, due: DueLetter) -> Result<Option<Letter>, ShopError> {
        let shop = self.clone();
        let read = self.store().read(move |connection| -> Result<_, ShopError> {
            let order = orders::by_id(connection, due.order)?;
            let Some(customer) = customers::of(connection, order.id)? else { return Ok(None) };
            let store = stores::by_id(connection, order.store)?;
            let number = order.shown_number().unwrap_or_default();
            let (subject, first) = match due.kind {
                LetterKind::Claimed => {
                    (format!("Your order {number}"), "Thank you for your order. The seller has your address.")
                }
                LetterKind::Shipped => {
                    (format!("Your order {number} is on its way"), "Your order is on its way.")
                }
            };
            let tracking = &order.tracking;
            let parts = [
                tracking.carrier.as_ref().map(|carrier| format!("Carrier: {carrier}")),
                tracking.number.as_ref().map(|number| format!("Tracking number: {number}")),
                tracking.url.clone(),
            ];
            // A letter is plain ASCII: neither titles nor addresses are, and the page has them.
            let parts: Vec<_> = parts.into_iter().flatten().filter(|part| part.is_ascii()).collect();
            let page = shop.page_url(&store.slug, &order, true);
            let text =
                format!("{first}\n\n{}\n\nWhat you ordered, and where it is:\n{page}\n", parts.join("\n"));
            // It may hold letters of the store's own.
            let subject = if subject.is_ascii() { subject } else { "Your order".into() };
            Ok(Some(Letter { to: customer.email, subject, text }))
        });
        read.await
    }
}
