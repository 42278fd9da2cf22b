//! Who tips and who is tipped, and how they say who they are.
//!
//! A user is the holder of an account's API keys, or somebody in a browser: a guest, whom only the browser's
//! cookie knows, or the owner of a Lightning wallet (lnurl-auth, LUD-04) or of an e-mail address. Handlers ask [`Users::asker`] or, for
//! whatever changes something, [`Users::writer`]. Nothing here touches money.
//!
//! **Other sites' pages** may call every route (CORS says `*`), but not in a visitor's name. CORS never allows
//! credentials, so what a foreign page's script sends with the cookie it can't read, and what needs a preflight
//! it can't send with the cookie at all. The cookie is `SameSite=Lax`: it comes along from a foreign page only when
//! somebody follows a link, and no GET changes anything. What writes in a cookie's name, and what sets one, is
//! taken from our own pages only: its body must be JSON (a foreign form can't send that, and a foreign script
//! needs a preflight for it), and where the browser says which site the page is of (`Sec-Fetch-Site`), it must be
//! this one. See [`own_page`].
//!
//! **Crash behaviour**: users and sessions are durable before their cookie leaves. Logins with a wallet that are
//! under way are in memory; a restart ends them, and whoever was logging in starts again.

pub mod api;
mod challenges;
pub(crate) mod cookies;
mod extract;
pub mod mail;
mod profile;
pub mod sessions;
pub mod store;
#[cfg(test)]
mod tests;
pub mod views;
mod wallet;

use std::fmt;
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue};

use crate::core::ids::{AccountId, UserId};
use crate::core::time::{Clock, UnixMillis};
use crate::http::keys::Keys;
use crate::http::limits::Budget;
use crate::outbound::guard::Guard;
use crate::outbound::mail::Mailer;
use crate::services::tips::error::TipError;
use crate::services::tips::ids::Cuid;
use crate::storage::{Store, StoreError, Tx};

use challenges::Challenges;
pub use extract::{Session, own_page};
use sessions::Token;

/// What it is built from.
pub struct Parts {
    /// Where users are kept.
    pub store: Store,
    /// The time.
    pub clock: Clock,
    /// API keys.
    pub keys: Keys,
    /// What links begin with.
    pub public_url: String,
    /// Sends letters with links to log in; `None` if none are sent.
    pub mail: Option<Mailer>,
    /// Where lightning addresses may be.
    pub guard: Guard,
    /// New people of all clients together: each costs durable rows.
    pub newcomers: Budget,
}

/// Users and their sessions. Cheap to clone.
#[derive(Clone)]
pub struct Users(Arc<Inner>);

struct Inner {
    store: Store,
    clock: Clock,
    keys: Keys,
    public_url: String,
    mail: Option<Mailer>,
    guard: Guard,
    newcomers: Budget,
    challenges: Challenges,
}

/// Somebody who tips or is tipped.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// Row id.
    pub id: UserId,
    /// What others know them by.
    pub public_id: Cuid,
    /// The account whose API keys open this user.
    pub account: Option<AccountId>,
    /// Whether a wallet can log in as them.
    pub has_wallet: bool,
    /// Theirs alone to see.
    pub email: Option<String>,
    /// What they call themselves.
    pub name: Option<String>,
    /// Where their refunds go: a lightning address. Theirs alone to see.
    pub lightning_address: Option<String>,
    /// Whether they have ever claimed a tip.
    pub claimed: bool,
    /// When they first came.
    pub created_at: UnixMillis,
}

impl User {
    /// Whether only a browser's cookie knows them.
    pub fn is_guest(&self) -> bool {
        self.account.is_none() && !self.has_wallet && self.email.is_none()
    }
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "User({})", self.id)
    }
}

impl Users {
    /// Builds it.
    pub fn new(parts: Parts) -> Self {
        let Parts { store, clock, keys, public_url, mail, guard, newcomers } = parts;
        let public_url = public_url.trim_end_matches('/').to_owned();
        Self(Arc::new(Inner {
            store,
            clock,
            keys,
            public_url,
            mail,
            guard,
            newcomers,
            challenges: Challenges::new(),
        }))
    }

    /// Where lightning addresses may be.
    pub fn guard(&self) -> &Guard {
        &self.0.guard
    }

    fn store(&self) -> &Store {
        &self.0.store
    }

    fn now(&self) -> UnixMillis {
        self.0.clock.now()
    }

    fn secure(&self) -> bool {
        self.0.public_url.starts_with("https://")
    }

    /// The header that puts a session's cookie into the browser.
    ///
    /// # Errors
    /// [`TipError::Internal`], never in practice.
    pub fn cookie(&self, token: &Token) -> Result<HeaderValue, TipError> {
        cookies::session(token, self.secure())
    }

    /// How somebody may log in here.
    pub fn methods(&self) -> &'static [&'static str] {
        if self.0.mail.is_some() { &["guest", "lightning", "email"] } else { &["guest", "lightning"] }
    }

    /// Takes one newcomer out of the budget.
    fn admit(&self) -> Result<(), TipError> {
        self.0.newcomers.take().map_err(|retry_after| TipError::TooMany { retry_after })
    }

    /// Whoever asks, or else a new guest with the cookie of theirs.
    ///
    /// # Errors
    /// As [`Users::asker`], [`TipError::ForeignPage`], the store's.
    pub async fn guest(&self, headers: &HeaderMap) -> Result<(Cuid, Option<HeaderValue>), TipError> {
        if let Some(session) = self.asker(headers).await? {
            return Ok((session.user.public_id, None));
        }
        own_page(headers)?;
        self.admit()?;
        let (public_id, token, now) = (Cuid::random()?, Token::random()?, self.now());
        let cookie = self.cookie(&token)?;
        let hash = token.hash();
        let made = self.store().write(move |tx| -> Result<(), StoreError> {
            let user = store::insert(tx, public_id, None, now)?;
            sessions::insert(tx, hash, user, now)
        });
        made.await?;
        Ok((public_id, Some(cookie)))
    }

    /// Ends the browser's session, and answers with the header that takes its cookie away.
    ///
    /// # Errors
    /// [`TipError::ForeignPage`], the store's.
    pub async fn log_out(&self, headers: &HeaderMap) -> Result<HeaderValue, TipError> {
        own_page(headers)?;
        if let Some(token) = cookies::shown(headers, cookies::SESSION, self.secure()) {
            let hash = token.hash();
            self.store().write(move |tx| sessions::end(tx, hash)).await?;
        }
        cookies::no_session(self.secure())
    }
}

/// Removes some sessions that are over, and with them guests who never claimed anything; `true` if there may
/// be more.
///
/// # Errors
/// The store's.
pub fn prune(tx: &Tx<'_>, now: UnixMillis) -> Result<bool, StoreError> {
    let logins = mail::prune(tx, now)?;
    Ok(sessions::prune(tx, now)? || logins)
}
