//! Logging in with a Lightning wallet: lnurl-auth (LUD-04).
//!
//! A page asks for a challenge and shows it; the wallet signs it and calls; the page, which has been asking how
//! far it is, finishes. Only the browser that began a login can finish it, see [`super::challenges`].

use axum::http::{HeaderMap, HeaderValue};

use super::challenges::{K1, NotTaken, Progress, Purpose};
use super::sessions::{self, Token};
use super::{Users, cookies, own_page, store};
use crate::core::ids::{from_hex, random_bytes, to_hex};
use crate::services::tips::error::TipError;
use crate::services::tips::ids::Cuid;

/// Where wallets call.
pub(super) const CALLBACK: &str = "/api/auth/lnurl/do-login";

/// Longest signature in DER.
const DER_LEN: usize = 72;

const TAKEN: TipError = TipError::Conflict {
    code: "WALLET_TAKEN",
    message: "This wallet is already connected to another account",
};
const HAS_ANOTHER: TipError = TipError::Conflict {
    code: "HAS_ANOTHER_WALLET",
    message: "This account is already connected to another wallet",
};
const NOT_SIGNED: TipError =
    TipError::Conflict { code: "LOGIN_NOT_VERIFIED", message: "The wallet has not confirmed yet" };

/// Why a wallet was refused, in words for the person who holds it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Never given out, over, or used.
    #[error("Unknown or expired k1")]
    Unknown,
    /// Not this key's signature of this `k1`.
    #[error("Invalid signature")]
    Signature,
    /// Another wallet has signed this `k1`.
    #[error("Another wallet has already signed this k1")]
    SignedByAnother,
    /// It can't be connected to this account.
    #[error("{0}")]
    Account(TipError),
}

/// A login that begins.
pub struct Begun {
    /// For the wallet, in upper case.
    pub lnurl: String,
    /// What it will sign, in hex.
    pub k1: String,
    /// Lets this browser finish it.
    pub cookie: HeaderValue,
}

/// A login that is done.
pub struct Finished {
    /// Who is logged in.
    pub id: Cuid,
    /// For the browser.
    pub cookies: Vec<HeaderValue>,
}

impl Users {
    /// Begins a login, or with `link` the connection of a wallet with whoever asks.
    ///
    /// # Errors
    /// [`TipError::Unauthorized`] for a link of nobody's; as [`Users::asker`] then; [`TipError::Internal`].
    pub async fn begin_login(&self, headers: &HeaderMap, link: bool) -> Result<Begun, TipError> {
        let purpose = if link {
            let session = self.known(headers).await?;
            // What a key opens must end with the key.
            if session.by_key {
                return Err(TipError::Forbidden);
            }
            Purpose::Link(session.user.id)
        } else {
            Purpose::Login
        };
        let (k1, browser) = (random_bytes::<32>()?, Token::random()?);
        let cookie = cookies::login(&browser, self.secure())?;
        let hex = to_hex(&k1);
        let action = if link { "link" } else { "login" };
        let url = format!("{}{CALLBACK}?tag=login&k1={hex}&action={action}", self.0.public_url);
        let lnurl = crate::outbound::lnurl::encode(&url).map_err(|error| {
            tracing::error!(%error, "the public URL fits no LNURL");
            TipError::Internal
        })?;
        self.0.challenges.begin(k1, browser.hash(), purpose, self.now());
        Ok(Begun { lnurl: lnurl.to_uppercase(), k1: hex, cookie })
    }

    /// Takes a wallet's signature. All three in hex, as the wallet sent them.
    ///
    /// # Errors
    /// Says why, in words for the wallet.
    pub async fn sign_login(&self, k1: &str, signature: &str, key: &str) -> Result<(), Refused> {
        let k1 = from_hex::<32>(k1).ok_or(Refused::Unknown)?;
        let challenges = &self.0.challenges;
        let purpose = challenges.purpose(&k1, self.now()).ok_or(Refused::Unknown)?;
        let signature = hex_up_to(signature, DER_LEN).ok_or(Refused::Signature)?;
        let key = from_hex::<33>(key).ok_or(Refused::Signature)?;
        let key = challenges.verify(&k1, &signature, &key).ok_or(Refused::Signature)?;
        if let Purpose::Link(user) = purpose {
            // Told here, where the person is looking; decided in the transaction that links.
            let linkable = self.store().read(move |connection| linkable(connection, user, key));
            linkable.await.map_err(Refused::Account)?;
        }
        challenges.sign(&k1, key, self.now()).map_err(|error| match error {
            NotTaken::Unknown => Refused::Unknown,
            NotTaken::SignedByAnother => Refused::SignedByAnother,
        })
    }

    /// Whether the wallet has signed, and whether the login is gone: used, expired, or never this browser's.
    pub fn login_status(&self, headers: &HeaderMap, k1: &str) -> (bool, bool) {
        let progress = self.progress(headers, k1).map(|(_, _, progress)| progress);
        (progress.is_some_and(|progress| progress.signed_by.is_some()), progress.is_none())
    }

    fn progress(&self, headers: &HeaderMap, k1: &str) -> Option<(K1, [u8; 32], Progress)> {
        let k1 = from_hex::<32>(k1)?;
        let browser = cookies::shown(headers, cookies::LOGIN, self.secure())?.hash();
        let progress = self.0.challenges.progress(&k1, &browser, self.now())?;
        Some((k1, browser, progress))
    }

    /// Finishes a login that a wallet has signed, and uses it up. The owner of the wallet, made if they are new, is
    /// logged in and this browser's earlier session ends; or the wallet is linked to whoever asks.
    ///
    /// # Errors
    /// [`TipError::NoLogin`] if it isn't this browser's or is over, [`TipError::Conflict`] if it isn't signed or the
    /// wallet can't be linked, [`TipError::Unauthorized`] if who began to link isn't who asks, as [`own_page`].
    pub async fn finish_login(&self, headers: &HeaderMap, k1: &str) -> Result<Finished, TipError> {
        own_page(headers)?;
        let (k1, browser, progress) = self.progress(headers, k1).ok_or(TipError::NoLogin)?;
        let Some(key) = progress.signed_by else { return Err(NOT_SIGNED) };
        let done = cookies::no_login(self.secure())?;
        let now = self.now();
        if let Purpose::Link(user) = progress.purpose {
            let asker = self.known(headers).await?.user;
            if asker.id != user {
                return Err(TipError::Unauthorized);
            }
            self.0.challenges.take(&k1, &browser, now).ok_or(TipError::NoLogin)?;
            let linked = self.store().write(move |tx| {
                linkable(tx, user, key)?;
                Ok::<_, TipError>(store::link(tx, user, key)?)
            });
            linked.await?;
            return Ok(Finished { id: asker.public_id, cookies: vec![done] });
        }
        let known = self.store().read(move |connection| store::by_auth_key(connection, key)).await?;
        if known.is_none() {
            self.admit()?;
        }
        self.0.challenges.take(&k1, &browser, now).ok_or(TipError::NoLogin)?;
        let (new_id, token) = (Cuid::random()?, Token::random()?);
        let (hash, cookie) = (token.hash(), self.cookie(&token)?);
        let earlier = cookies::shown(headers, cookies::SESSION, self.secure()).map(|token| token.hash());
        let logged_in = self.store().write(move |tx| -> Result<Cuid, TipError> {
            let (user, id) = match store::by_auth_key(tx, key)? {
                Some(known) => (known.id, known.public_id),
                None => (store::insert(tx, new_id, Some(key), now)?, new_id),
            };
            sessions::insert(tx, hash, user, now)?;
            if let Some(earlier) = earlier {
                sessions::end(tx, earlier)?;
            }
            Ok(id)
        });
        Ok(Finished { id: logged_in.await?, cookies: vec![cookie, done] })
    }
}

/// Whether a wallet may become this user's: it is nobody else's, and they have no other.
fn linkable(
    connection: &rusqlite::Connection,
    user: crate::core::ids::UserId,
    key: super::challenges::AuthKey,
) -> Result<(), TipError> {
    if store::by_auth_key(connection, key)?.is_some_and(|owner| owner.id != user) {
        return Err(TAKEN);
    }
    match store::auth_key(connection, user)? {
        Some(other) if other != key => Err(HAS_ANOTHER),
        _ => Ok(()),
    }
}

/// Bytes from hex of any length up to a limit.
fn hex_up_to(text: &str, longest: usize) -> Option<Vec<u8>> {
    if text.len() > longest * 2 || !text.len().is_multiple_of(2) {
        return None;
    }
    let pairs = text.as_bytes().chunks_exact(2);
    pairs.map(|pair| from_hex::<1>(std::str::from_utf8(pair).ok()?).map(|[byte]| byte)).collect()
}
