//! A table for bookkeepers: every payment and every refund a line, with what came in, what went out, what routing
//! cost, and at which rate.
//!
//! First all payments, then all refunds, each in the order they were made, in pages: however long the table is, only
//! a page of it is in memory. Sats have up to three digits behind the point, so that nothing is lost: `inSats` less
//! the `amountSats` of the refunds that have not failed, but for their `lossSats`, is what the books say is owed to
//! merchants. A loss is the operator's: what arrived late, and had been refunded otherwise meanwhile.

pub(super) mod rows;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::Stream;
use futures_util::stream::try_unfold;
use serde::Serialize;

use self::rows::Bounds;
use super::{PaymentError, Payments};
use crate::core::csv::begun;
use crate::core::ids::AccountId;
pub use crate::storage::export::Span;

/// What is read at once: an index and a few milliseconds of one reader.
const PAGE: Bounds = Bounds { lines: 500, rows: 5_000 };

/// The first line.
pub const HEAD: &str = "type,id,invoiceId,orderId,status,createdAt,completedAt,currency,amount,amountSats,inSats,\
                        outSats,lossSats,routingFeeSats,exchangeRate,rateSource,rateAt,paymentHash,txid,text,customerEmail,\
                        customerName,account\r\n";

/// Reads which lines are wanted: those of what was paid, or arrived, or else was made, in this time.
///
/// # Errors
/// [`PaymentError::Invalid`].
pub fn span(from: Option<&str>, to: Option<&str>) -> Result<Span, PaymentError> {
    Span::read(from, to).map_err(|message| PaymentError::invalid("INVALID_TIME", message))
}

/// Where a table goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Behind this payment.
    Payments(i64),
    /// Behind this refund.
    Refunds(i64),
}

impl Place {
    /// Where it begins.
    pub const START: Self = Self::Payments(0);

    /// As text, for whoever asks page by page.
    pub fn to_text(self) -> String {
        match self {
            Self::Payments(id) => format!("payments-{id}"),
            Self::Refunds(id) => format!("refunds-{id}"),
        }
    }

    /// The way back from [`Place::to_text`].
    pub fn read(text: &str) -> Option<Self> {
        let (kind, id) = text.split_once('-')?;
        match kind {
            "payments" => id.parse().ok().map(Self::Payments),
            "refunds" => id.parse().ok().map(Self::Refunds),
            _ => None,
        }
    }
}

/// A part of the table.
#[derive(Clone, Debug, Serialize)]
pub struct Page {
    /// Lines, each with its end.
    pub csv: String,
    /// How many.
    pub lines: usize,
    /// Where the next begins.
    #[serde(skip)]
    pub next: Option<Place>,
}

impl Payments {
    /// A part of the table, without its head; of one account, or of all.
    ///
    /// # Errors
    /// The store's.
    pub async fn export_page(
        &self,
        account: Option<AccountId>,
        span: Span,
        place: Place,
    ) -> Result<Page, PaymentError> {
        let now = self.now();
        let read =
            move |connection: &rusqlite::Connection| rows::page(connection, account, span, place, PAGE, now);
        Ok(self.store().read(read).await?)
    }

    /// The whole table of an account, part by part. One at a time for each account: all of them share the database's
    /// few readers.
    ///
    /// # Errors
    /// [`PaymentError::Conflict`] while another one is under way.
    pub fn export(
        &self,
        account: AccountId,
        span: Span,
    ) -> Result<impl Stream<Item = Result<String, PaymentError>> + Send + use<>, PaymentError> {
        let turn = Turn::take(&self.0.exports, account).ok_or(PaymentError::Conflict {
            code: "EXPORT_RUNNING",
            message: "Another table of this account is being read; wait for its end",
        })?;
        let payments = self.clone();
        // The first part has the head, and comes at once.
        let begin = (payments, turn, begun(HEAD), Some(Place::START));
        Ok(try_unfold(begin, move |(payments, turn, mut text, mut place)| async move {
            // Parts without a line are nothing to send.
            while let Some(at) = place {
                let page = payments.export_page(Some(account), span, at).await?;
                text += &page.csv;
                place = page.next;
                if !text.is_empty() {
                    return Ok::<_, PaymentError>(Some((text, (payments, turn, String::new(), place))));
                }
            }
            Ok(None)
        }))
    }
}

/// Accounts whose table is being read.
pub(super) type Exports = Arc<Mutex<HashSet<AccountId>>>;

/// An account's one reading; over when this is dropped, read to its end or not.
struct Turn {
    running: Exports,
    account: AccountId,
}

impl Turn {
    fn take(running: &Exports, account: AccountId) -> Option<Self> {
        let free = running.lock().unwrap_or_else(PoisonError::into_inner).insert(account);
        free.then(|| Self { running: Arc::clone(running), account })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.account);
    }
}
