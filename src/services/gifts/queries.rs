//! Looking at a gift: once, or for as long as a page is open.

use axum::response::Response;

use super::Gifts;
use super::codes::Guess;
use super::error::GiftError;
use super::ids::OrderId;
use super::lock::Verdict;
use super::store::Gift;
use super::view::{self, GiftView, LockedView};
use crate::http::client::Client;
use crate::http::live;

/// When a page that found no place for its stream may try again, in seconds.
const NO_PLACE_RETRY: u64 = 30;

impl Gifts {
    /// A gift as JSON: whole for who knows its code, or if it has none; else only that it is locked.
    ///
    /// # Errors
    /// [`GiftError::NotFound`]; [`GiftError::CodeLocked`] if a code was given while none is taken.
    pub async fn gift_json(&self, order_id: OrderId, guess: Option<Guess>) -> Result<Vec<u8>, GiftError> {
        let gift = self.gift(order_id).await?;
        let open = self.opens(&gift, guess).await?;
        self.render(&gift, open)
    }

    /// A stream of the same, with an event for every change.
    ///
    /// # Errors
    /// As [`Gifts::gift_json`]; [`GiftError::TooMany`] if there are too many streams.
    pub async fn watch(
        &self,
        order_id: OrderId,
        guess: Option<Guess>,
        client: Client,
    ) -> Result<Response, GiftError> {
        let gift = self.gift(order_id).await?;
        // Once in, a page stays in: each event would otherwise be another guess.
        let open = self.opens(&gift, guess).await?;
        let gifts = self.clone();
        let read_state = move || {
            let gifts = gifts.clone();
            async move {
                let gift = gifts.gift(order_id).await.ok()?;
                String::from_utf8(gifts.render(&gift, open).ok()?).ok()
            }
        };
        live::sse_stream(self.0.notifier.hub(), client, &order_id.topic(), read_state)
            .map_err(|live::TooMany| GiftError::TooMany { retry_after: NO_PLACE_RETRY })
    }

    /// Where a gift is in its life, in one word, and whether it has a code: what anybody with its id may know.
    ///
    /// # Errors
    /// [`GiftError::NotFound`], the store's.
    pub async fn state(&self, order_id: &str) -> Result<(&'static str, bool), GiftError> {
        let gift = self.gift(order_id.parse().map_err(|_| GiftError::NotFound)?).await?;
        Ok((view::state_name(&gift, self.now()), gift.code.code.is_some()))
    }

    async fn opens(&self, gift: &Gift, guess: Option<Guess>) -> Result<bool, GiftError> {
        match self.admit(gift, guess).await? {
            Verdict::Open => Ok(true),
            Verdict::Missing | Verdict::Wrong { .. } => Ok(false),
            locked @ Verdict::Locked { .. } => Err(locked.error(self.now()).unwrap_or(GiftError::BadCode)),
        }
    }

    fn render(&self, gift: &Gift, open: bool) -> Result<Vec<u8>, GiftError> {
        let now = self.now();
        if !open {
            return view::json(&LockedView::new(gift, now));
        }
        let charge_id = self.charge_uuid(gift.charge)?;
        let lnurl = self.lnurl_of(gift.order_id, gift.code.code);
        view::json(&GiftView::for_recipient(gift, &charge_id, &lnurl, now))
    }
}
