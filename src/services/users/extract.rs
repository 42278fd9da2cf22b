//! Who asks: an API key's user, a browser's user, or nobody.

use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};

use super::{User, Users, cookies, sessions, store};
use crate::core::ids::{AccountId, Secret};
use crate::http::keys::{Caller, Scope, authorizations, is_key};
use crate::services::tips::error::TipError;
use crate::services::tips::ids::Cuid;
use crate::storage::StoreError;

/// Somebody who asks and is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Who it is.
    pub user: User,
    /// Whether an API key said so, and not a cookie.
    pub by_key: bool,
}

impl Users {
    /// Who asks. A key in `Authorization` counts first (whatever word stands before it), then one in `X-API-Key`,
    /// then the cookie. An unknown cookie, and one whose session is over, is nobody.
    ///
    /// # Errors
    /// [`TipError::KeyInvalid`], also for an `Authorization` without a second word; [`TipError::KeyLacks`] for a
    /// key without the scope `tips`; the store's.
    pub async fn asker(&self, headers: &HeaderMap) -> Result<Option<Session>, TipError> {
        match shown_key(headers)? {
            Some(key) => self.by_key(&key).await.map(Some),
            None => self.by_cookie(headers).await,
        }
    }

    /// As [`Users::asker`], for routes that somebody must be known for.
    ///
    /// # Errors
    /// As [`Users::asker`], and [`TipError::Unauthorized`] for nobody.
    pub async fn known(&self, headers: &HeaderMap) -> Result<Session, TipError> {
        self.asker(headers).await?.ok_or(TipError::Unauthorized)
    }

    /// As [`Users::known`], for whatever changes something: what comes with a cookie must come from our own pages.
    ///
    /// # Errors
    /// As [`Users::known`] and [`own_page`].
    pub async fn writer(&self, headers: &HeaderMap) -> Result<Session, TipError> {
        let session = self.known(headers).await?;
        if !session.by_key {
            own_page(headers)?;
        }
        Ok(session)
    }

    /// Whether a scheduler asks: with a key of the scope `scheduler` as `?apiKey=` in this query, or in a header
    /// one of that scope which doesn't open `tips`.
    ///
    /// # Errors
    /// [`TipError::KeyInvalid`] for one that is no key; [`TipError::KeyLacks`] for one in the query that has
    /// another scope (one in a header may be a tipper's, so that is `false`); the store's.
    pub async fn scheduler(&self, headers: &HeaderMap, query: Option<&str>) -> Result<bool, TipError> {
        let pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        let given = pairs.into_iter().find(|(name, _)| name == "apiKey");
        if let Some((_, key)) = given {
            let caller = self.caller(&Secret::new(key)).await?;
            return if caller.may(Scope::Scheduler) {
                Ok(true)
            } else {
                Err(TipError::KeyLacks(Scope::Scheduler))
            };
        }
        match shown_key(headers)? {
            Some(key) => {
                let caller = self.caller(&key).await?;
                // Who is a tipper too asks as one.
                Ok(caller.may(Scope::Scheduler) && !caller.may(Scope::Tips))
            }
            None => Ok(false),
        }
    }

    async fn caller(&self, key: &Secret) -> Result<Caller, TipError> {
        let mut shown = HeaderMap::new();
        let value = HeaderValue::from_str(key.expose()).map_err(|_| TipError::KeyInvalid)?;
        shown.insert("x-api-key", value);
        self.0.keys.authenticate(&shown).await?.ok_or(TipError::KeyInvalid)
    }

    async fn by_key(&self, key: &Secret) -> Result<Session, TipError> {
        let caller = self.caller(key).await?;
        if !caller.may(Scope::Tips) {
            return Err(TipError::KeyLacks(Scope::Tips));
        }
        Ok(Session { user: self.of_account(caller.account).await?, by_key: true })
    }

    /// The user of the account of this name, made if there is none; `None` if there is no such account.
    ///
    /// # Errors
    /// The store's.
    pub async fn by_account_name(&self, name: &str) -> Result<Option<User>, TipError> {
        match self.0.keys.account(name).await? {
            Some(account) => self.of_account(account).await.map(Some),
            None => Ok(None),
        }
    }

    async fn of_account(&self, account: AccountId) -> Result<User, TipError> {
        let found = self.store().read(move |connection| store::by_account(connection, account)).await?;
        if let Some(user) = found {
            return Ok(user);
        }
        let (public_id, now) = (Cuid::random()?, self.now());
        let made = self.store().write(move |tx| store::ensure_account(tx, account, public_id, now)).await?;
        made.ok_or(TipError::Internal)
    }

    pub(super) async fn by_cookie(&self, headers: &HeaderMap) -> Result<Option<Session>, TipError> {
        let Some(token) = cookies::shown(headers, cookies::SESSION, self.secure()) else { return Ok(None) };
        let (hash, now) = (token.hash(), self.now());
        let found = self.store().read(move |connection| sessions::find(connection, hash, now)).await?;
        let Some((user, expires_at)) = found else { return Ok(None) };
        if !sessions::is_fresh(expires_at, now) {
            self.store().write_queued("last use of a session", move |tx| -> Result<(), StoreError> {
                sessions::slide(tx, hash, now)
            })?;
        }
        Ok(Some(Session { user, by_key: false }))
    }
}

/// The key that a request shows, whatever scheme it is said to be of.
fn shown_key(headers: &HeaderMap) -> Result<Option<Secret>, TipError> {
    let text = |value: &HeaderValue| value.to_str().map(str::to_owned).map_err(|_| TipError::KeyInvalid);
    // Of several the one that has the form of a key: another service's token beside it does no harm.
    let named = headers.get_all("x-api-key").iter().filter_map(|value| value.to_str().ok()).map(str::trim);
    let mut all = authorizations(headers).map(|(_, text)| text).chain(named);
    if let Some(key) = all.find(|text| is_key(text)) {
        return Ok(Some(Secret::new(key)));
    }
    if let Some(value) = headers.get(AUTHORIZATION) {
        let text = text(value)?;
        let key = text.split_ascii_whitespace().nth(1).ok_or(TipError::KeyInvalid)?;
        return Ok(Some(Secret::new(key)));
    }
    let key = headers.get("x-api-key").map(text).transpose()?;
    Ok(key.map(|key| Secret::new(key.trim())))
}

/// Makes sure that a request which a cookie authorises, or which is answered with one, does not come from
/// another site's page. The service's description says why this is enough.
///
/// # Errors
/// [`TipError::ForeignPage`]; [`TipError::Invalid`] for a body that isn't said to be JSON.
pub fn own_page(headers: &HeaderMap) -> Result<(), TipError> {
    let is = |value: &HeaderValue, any: &[&str]| any.iter().any(|text| value.as_bytes() == text.as_bytes());
    // `none`: the person themselves. A neighbour on the same domain (`same-site`) is a stranger too.
    if headers.get_all("sec-fetch-site").iter().any(|site| !is(site, &["same-origin", "none"])) {
        return Err(TipError::ForeignPage);
    }
    let is_json = |value: &HeaderValue| {
        let essence = value.to_str().unwrap_or("").split(';').next().unwrap_or("").trim();
        essence.eq_ignore_ascii_case("application/json")
    };
    // A body without any type is read as no body at all.
    if headers.get_all(CONTENT_TYPE).iter().all(is_json) {
        return Ok(());
    }
    let message = "Content-Type must be application/json".into();
    Err(TipError::Invalid { code: "CONTENT_TYPE_NOT_JSON", message })
}
