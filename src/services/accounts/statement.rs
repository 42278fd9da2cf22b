//! What an account has, and how it came to that: its statement, newest first, as pages of JSON or as a table.
//!
//! A page starts where a cursor says, and a cursor is the time and row of a line, so pages stay what they were while
//! lines are added. The table is read page by page: however long it is, only a page of it is in memory.

use std::collections::HashSet;
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::Stream;
use futures_util::stream::try_unfold;
use rusqlite::Connection;

use super::view::{AccountView, LineView, StatementView};
use super::{AccountError, Accounts};
use crate::core::csv::begun;
use crate::core::decimal::Decimal;
use crate::core::ids::AccountId;
use crate::core::time::iso::IsoSeconds;
use crate::http::respond;
use crate::ledger::accounts::{self, Line, Place};
pub use crate::storage::export::Span;

/// Lines of the table read at once.
const PAGE: usize = 500;

/// The first line of the table.
pub const HEAD: &str = "id,at,kind,reference,amountSats,balanceSats\r\n";

/// Reads which lines are wanted, by when they were written.
///
/// # Errors
/// [`AccountError::Invalid`].
pub fn span(from: Option<&str>, to: Option<&str>) -> Result<Span, AccountError> {
    Span::read(from, to).map_err(|message| AccountError::invalid("INVALID_TIME", message))
}

/// Reads a cursor.
///
/// # Errors
/// [`AccountError::Invalid`] for one that no page gave.
pub(super) fn read_cursor(text: Option<&str>) -> Result<Option<Place>, AccountError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    let place =
        text.split_once('_').and_then(|(at, id)| Some(Place { at: at.parse().ok()?, id: id.parse().ok()? }));
    let bad = || AccountError::invalid("INVALID_CURSOR", "cursor must be the nextCursor of a page");
    place.map(Some).ok_or_else(bad)
}

pub(super) fn write_cursor(place: Place) -> String {
    format!("{}_{}", place.at, place.id)
}

impl Accounts {
    /// What an account has, as JSON.
    ///
    /// # Errors
    /// The store's.
    pub async fn account_json(&self, account: AccountId) -> Result<Vec<u8>, AccountError> {
        let read = move |connection: &Connection| -> Result<_, AccountError> {
            Ok((accounts::name(connection, account)?, accounts::balance(connection, account)?))
        };
        let (name, balance) = self.store().read(read).await?;
        Ok(respond::to_json(&self.account_view(name, balance))?)
    }

    pub(super) fn account_view(&self, account: String, balance: accounts::Balance) -> AccountView {
        AccountView {
            account,
            balance_msat: balance.available.get(),
            withdrawable_msat: self.rules().all_by_lightning(balance.available).get(),
            pending_msat: balance.pending.get(),
        }
    }

    /// A page of an account's statement.
    ///
    /// # Errors
    /// [`AccountError::Invalid`] for a bad cursor; the store's.
    pub async fn statement(
        &self,
        account: AccountId,
        span: Span,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<StatementView, AccountError> {
        let before = read_cursor(cursor)?;
        let mut lines = self.lines(account, span, before, limit.saturating_add(1)).await?;
        let more = lines.len() > limit;
        lines.truncate(limit);
        let next_cursor = lines.last().filter(|_| more).map(|last| write_cursor(last.place()));
        Ok(StatementView { lines: lines.into_iter().map(LineView::from).collect(), next_cursor })
    }

    async fn lines(
        &self,
        account: AccountId,
        span: Span,
        before: Option<Place>,
        limit: usize,
    ) -> Result<Vec<Line>, AccountError> {
        let read = move |connection: &Connection| {
            accounts::lines(connection, account, (span.from, span.to), before, limit)
        };
        Ok(self.store().read(read).await?)
    }

    /// The whole statement as a table, part by part. One at a time for each account: all of them share the database's
    /// few readers.
    ///
    /// # Errors
    /// [`AccountError::Conflict`] while another one is under way.
    pub fn table(
        &self,
        account: AccountId,
        span: Span,
    ) -> Result<impl Stream<Item = Result<String, AccountError>> + Send + use<>, AccountError> {
        let turn = Turn::take(&self.0.exports, account).ok_or_else(|| {
            let message = "Another statement of this account is being read; wait for its end";
            AccountError::conflict("EXPORT_RUNNING", message)
        })?;
        let begin = (self.clone(), turn, begun(HEAD), None, false);
        Ok(try_unfold(begin, move |(this, turn, mut text, before, done)| async move {
            if done {
                return Ok(None);
            }
            let part = this.table_part(account, span, before).await?;
            text += &part.csv;
            let done = part.next.is_none();
            Ok::<_, AccountError>(Some((text, (this, turn, String::new(), part.next, done))))
        }))
    }

    /// A part of that table, without its head.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn table_part(
        &self,
        account: AccountId,
        span: Span,
        before: Option<Place>,
    ) -> Result<TablePart, AccountError> {
        let lines = self.lines(account, span, before, PAGE).await?;
        let next = lines.last().filter(|_| lines.len() == PAGE).map(Line::place);
        let mut csv = String::new();
        for line in &lines {
            // Writing to a String can't fail.
            let _ = write!(
                csv,
                "{},{},{},{},{},{}\r\n",
                line.id,
                IsoSeconds(line.at),
                line.kind,
                line.reference,
                signed_sats(line.msat),
                sats(line.balance.get()),
            );
        }
        Ok(TablePart { csv, lines: lines.len(), next })
    }
}

/// A part of an account's table.
pub(super) struct TablePart {
    /// Lines, each with its end.
    pub(super) csv: String,
    /// How many.
    pub(super) lines: usize,
    /// Where the next part begins.
    pub(super) next: Option<Place>,
}

/// Exact: three digits behind the point are enough.
fn sats(msat: u64) -> Decimal {
    Decimal::new(u128::from(msat), 3).unwrap_or_default()
}

fn signed_sats(msat: i64) -> String {
    format!("{}{}", if msat < 0 { "-" } else { "" }, sats(msat.unsigned_abs()))
}

/// An account's one reading; over when this is dropped, read to its end or not.
struct Turn {
    running: Arc<Mutex<HashSet<AccountId>>>,
    account: AccountId,
}

impl Turn {
    fn take(running: &Arc<Mutex<HashSet<AccountId>>>, account: AccountId) -> Option<Self> {
        let free = running.lock().unwrap_or_else(PoisonError::into_inner).insert(account);
        free.then(|| Self { running: Arc::clone(running), account })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.account);
    }
}
