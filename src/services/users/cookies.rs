//! The cookies: who is logged in, and whose login is under way.

use axum::http::header::COOKIE;
use axum::http::{HeaderMap, HeaderValue};

use super::sessions::Token;
use super::{challenges, mail};
use crate::core::ids::{from_hex, to_hex};
use crate::services::tips::error::TipError;

/// Who is logged in.
pub(crate) const SESSION: &str = "satchel_tips";

/// Whose login is under way.
pub(super) const LOGIN: &str = "satchel_tips_login";

/// Who asked for a letter.
pub(super) const LETTER: &str = "satchel_tips_letter";

/// Browsers keep a cookie for 400 days at most. How long a session lasts is told by its row, which moves on
/// with each day of use; so the cookie need not be sent again and again.
const SESSION_SECS: i64 = 400 * 24 * 60 * 60;

/// Browsers take a cookie of such a name only from this very host, over https, for all of it: no page of another host of
/// the same domain can set or replace one.
const HOST_ONLY: &str = "__Host-";

/// What a request shows under a name. What is no token of ours counts as nothing, and so do two cookies of one name: one
/// of them is somebody else's.
pub(crate) fn shown(headers: &HeaderMap, name: &str, secure: bool) -> Option<Token> {
    let prefix = if secure { HOST_ONLY } else { "" };
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut values =
        pairs.filter(|(found, _)| found.strip_prefix(prefix) == Some(name)).map(|(_, value)| value);
    match (values.next(), values.next()) {
        (Some(value), None) => from_hex(value).map(Token::from_bytes),
        _ => None,
    }
}

pub(super) fn session(token: &Token, secure: bool) -> Result<HeaderValue, TipError> {
    header(SESSION, &to_hex(token.expose()), SESSION_SECS, secure)
}

pub(super) fn no_session(secure: bool) -> Result<HeaderValue, TipError> {
    header(SESSION, "", 0, secure)
}

pub(super) fn login(token: &Token, secure: bool) -> Result<HeaderValue, TipError> {
    header(LOGIN, &to_hex(token.expose()), challenges::LASTS_MS / 1_000, secure)
}

pub(super) fn no_login(secure: bool) -> Result<HeaderValue, TipError> {
    header(LOGIN, "", 0, secure)
}

pub(super) fn letter(token: &Token, secure: bool) -> Result<HeaderValue, TipError> {
    header(LETTER, &to_hex(token.expose()), mail::LASTS_MS / 1_000, secure)
}

pub(super) fn no_letter(secure: bool) -> Result<HeaderValue, TipError> {
    header(LETTER, "", 0, secure)
}

/// For the whole site: a proxy may serve it below a path that we do not see.
fn header(name: &str, value: &str, secs: i64, secure: bool) -> Result<HeaderValue, TipError> {
    let (prefix, secure) = if secure { (HOST_ONLY, "; Secure") } else { ("", "") };
    let text = format!("{prefix}{name}={value}; Path=/; Max-Age={secs}; HttpOnly; SameSite=Lax{secure}");
    let mut header = HeaderValue::try_from(text).map_err(|_| TipError::Internal)?;
    header.set_sensitive(true);
    Ok(header)
}
