//! Challenges that are paid on a page: each has an id that opens the page, and that only whoever opened it knows.
//!
//! It is the challenge's row and a part of its token's id. Nodes on the payment's way know the payment hash, so that
//! can't be it.

use subtle::ConstantTimeEq;

use super::store::{self, Challenge};
use super::{L402, L402Error};
use crate::core::ids::{from_hex, to_hex};

/// What session ids begin with.
pub const SESSION: &str = "ses_";

/// Bytes of the row's number in an id, and of the token's id.
const ROW_LEN: usize = 6;
const TOKEN_LEN: usize = 8;
const LEN: usize = ROW_LEN + TOKEN_LEN;

impl Challenge {
    /// The id of its page.
    pub fn session_id(&self) -> String {
        let row = self.id.to_be_bytes();
        let row = row.last_chunk::<ROW_LEN>().copied().unwrap_or_default();
        let token = self.token.first_chunk::<TOKEN_LEN>().copied().unwrap_or_default();
        format!("{SESSION}{}{}", to_hex(&row), to_hex(&token))
    }

    /// What [`http::live`](crate::http::live) calls its page.
    pub fn topic(&self) -> String {
        format!("session:{}", self.session_id())
    }
}

impl L402 {
    /// The challenge of a session.
    ///
    /// # Errors
    /// The store's.
    pub async fn session(&self, id: &str) -> Result<Option<Challenge>, L402Error> {
        let Some(wanted) = id.strip_prefix(SESSION).and_then(from_hex::<LEN>) else { return Ok(None) };
        let Some((row, token)) = wanted.split_first_chunk::<ROW_LEN>() else { return Ok(None) };
        let row = row.iter().fold(0_i64, |number, byte| (number << 8) | i64::from(*byte));
        let found = self.store().read(move |connection| store::by_row(connection, row)).await?;
        let knows = |challenge: &Challenge| {
            challenge.token.get(..TOKEN_LEN).is_some_and(|own| bool::from(own.ct_eq(token)))
        };
        Ok(found.filter(knows))
    }
}
