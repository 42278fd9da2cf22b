//! Logging in with an e-mail address: a letter holds a link and a code, and whoever brings one back owns the
//! mailbox.
//!
//! **Only the browser that asked** can finish a login; it got a cookie of its own for that. So nobody logs a
//! stranger in as themselves by sending on a link of theirs (the stranger's tips would be theirs), and nobody is
//! talked into opening a link for somebody else's browser. Letters are often read on another device, and the
//! browsers inside chat programs open links elsewhere: then the code is typed where the login began. It has eight
//! digits and a login takes five wrong ones, of which one address gets no more than the letters below allow.
//!
//! **Opening the link changes nothing**: mail scanners follow links. What it holds stands behind a `#`, which no
//! server and no log ever sees, and the page's button sends it.
//!
//! **Nobody's mailbox is flooded, and nobody is locked out of theirs**: one network (a /24, a /48, or an account) has
//! five letters an hour and twelve a day to one address, however the address is written, and a tenth of all letters of
//! an hour; fifty a day go to one address whoever asks. When those are used up, fifty more go to whoever asks from a
//! network of whose region (a /16, a /32; all accounts are one) nobody asked that day, one each. A browser that still
//! has the cookie of a letter to the address, and its owner where they are logged in, are not counted in either. Of all
//! letters there are so many an hour, and one costs a client as much as five writes.
//!
//! The compromise: strangers can have a hundred letters a day sent to an address, no more; and to keep its owner from
//! logging in who has never done so in that browser and asks from elsewhere, they need addresses in more than fifty
//! regions, every day anew. With a bound that nobody could use up there would be none to how many letters come. All are
//! counted before it is known whose address it is, and every answer is the same whether it is anybody's.
//!
//! **While the mail server can't be reached** every address gets the same answer, before any is looked at: no letter
//! can be sent. Nothing is counted then.
//!
//! **At rest** there are hashes: of the cookie, of the link, and of the code together with the cookie. Used up
//! and over after fifteen minutes; the rows stay a day to be counted. A letter is lost with the process; its
//! login is then over in time.

mod store;

use axum::http::{HeaderMap, HeaderValue};
use bitcoin::hashes::{Hash, HashEngine, sha256};
use std::time::Duration;
use subtle::ConstantTimeEq;

use super::sessions::Token;
use super::store as users;
use super::{Users, cookies, own_page, sessions};
use crate::core::ids::{NoRandomness, UserId, from_hex, random_bytes, to_hex};
use crate::core::time::UnixMillis;
use crate::http::client::source;
use crate::outbound::mail::{Address, Letter, Mailer};
use crate::services::tips::error::TipError;
use crate::services::tips::ids::Cuid;
use crate::storage::{StoreError, Tx};

/// The page that the link leads to.
pub const PAGE: &str = "/verify";

/// How long a letter is good for.
pub(super) const LASTS_MS: i64 = 15 * 60 * 1_000;

const HOUR_MS: i64 = 60 * 60 * 1_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// Letters to one mailbox in an hour, and in a day, that one network may ask for.
const PER_HOUR: u32 = 5;
const PER_DAY: u32 = 12;

/// Letters to one mailbox in a day, whoever asks.
const PER_DAY_OF_ALL: u32 = 50;

/// And with those to whoever asks from a region of which nobody has.
const PER_DAY_WITH_NEW_REGIONS: u32 = 100;

/// The part of all letters of an hour that one network may ask for: one in so many.
const OF_A_NETWORK: u32 = 10;

/// Wrong codes that a login takes.
const CODE_TRIES: u32 = 5;

/// Eight digits.
const CODES: u64 = 100_000_000;

const EMAIL_TAKEN: TipError = TipError::Conflict {
    code: "EMAIL_TAKEN",
    message: "This address is already connected to another account",
};
const HAS_ANOTHER: TipError = TipError::Conflict {
    code: "HAS_ANOTHER_EMAIL",
    message: "This account is already connected to another address",
};

/// What a letter is asked for with.
pub struct LetterAsk {
    /// Where it goes.
    pub address: Address,
    /// Connect the address with whoever asks, instead of logging its owner in.
    pub link: bool,
    /// The tip whose page asks: the login leads back there.
    pub tip: Option<Cuid>,
}

/// What somebody brings back from a letter.
pub enum Proof {
    /// What stood behind the link's `#`.
    Link(String),
    /// What they typed. Anything but digits in it doesn't matter.
    Code(String),
}

/// A login that is done.
pub struct LoggedIn {
    /// Who is logged in.
    pub id: Cuid,
    /// The tip whose page began it.
    pub tip: Option<Cuid>,
    /// For the browser.
    pub cookies: Vec<HeaderValue>,
}

impl Users {
    /// Whether letters can be sent from here.
    ///
    /// # Errors
    /// [`TipError::NotFound`] if not.
    pub fn mailer(&self) -> Result<&Mailer, TipError> {
        self.0.mail.as_ref().ok_or(TipError::NotFound)
    }

    /// Sends a letter to log in with. Gives the cookie that lets this browser, and no other, finish.
    ///
    /// # Errors
    /// [`TipError::NotFound`] where no letters are sent; [`TipError::Unauthorized`] for a link of nobody's and
    /// [`TipError::Forbidden`] for one of an API key's user; [`TipError::TooMany`];
    /// [`TipError::MailUnavailable`] while the mail server can't be reached; [`TipError::Unavailable`] if
    /// too many letters wait for the mail server; as [`own_page`]; the store's.
    pub async fn send_letter(&self, headers: &HeaderMap, ask: LetterAsk) -> Result<HeaderValue, TipError> {
        let mailer = self.mailer()?;
        own_page(headers)?;
        let user = if ask.link { Some(self.linking(headers).await?) } else { None };
        // Before anything is looked at that depends on the address: the answer is the same for all.
        if !mailer.is_reachable().await {
            return Err(TipError::MailUnavailable);
        }
        let place = mailer.place().map_err(|_| TipError::Unavailable)?;
        // Letters that were asked for one after the other are all good.
        let browser = match cookies::shown(headers, cookies::LETTER, self.secure()) {
            Some(browser) => browser,
            None => Token::random()?,
        };
        let (link, code) = (Token::random()?, new_code()?);
        let cookie = cookies::letter(&browser, self.secure())?;
        let letter = self.letter(ask.address.clone(), &link, &code);
        let new = store::NewLogin {
            link: link.hash(),
            browser: browser.hash(),
            code: code_hash(&browser, &code),
            email: ask.address,
            user,
            tip: ask.tip,
            network: source().unwrap_or_default(),
        };
        let session = self.by_cookie(headers).await?.map(|session| session.user);
        let (now, per_hour) = (self.now(), mailer.max_per_hour());
        let written = self.store().write(move |tx| -> Result<(), TipError> {
            let owns = session.is_some_and(|user| user.email.as_deref() == Some(new.email.as_str()));
            let asker = match owns {
                true => store::Asker::Owner,
                false if store::asked_before(tx, new.browser, &new.email, now)? => store::Asker::Before,
                false => store::Asker::Anybody,
            };
            if let Some(wait) = store::wait(tx, &new, asker, per_hour, now)? {
                return Err(TipError::TooMany { retry_after: seconds(wait) });
            }
            Ok(store::insert(tx, &new, asker, now)?)
        });
        written.await?;
        place.post(letter, Duration::from_millis(u64::try_from(LASTS_MS).unwrap_or(0)));
        Ok(cookie)
    }

    /// Finishes a login, and uses it up. The owner of the address, made if they are new, is logged in and this
    /// browser's earlier session ends; or the address becomes that of whoever asks.
    ///
    /// # Errors
    /// [`TipError::NotFound`] where no letters are sent; [`TipError::NoLogin`] if it isn't this browser's, is used
    /// or over; [`TipError::Invalid`] for a wrong code; [`TipError::Conflict`] if the address can't be connected;
    /// [`TipError::Unauthorized`] if who began to link isn't who asks; as [`own_page`]; the store's.
    pub async fn finish_letter(&self, headers: &HeaderMap, proof: Proof) -> Result<LoggedIn, TipError> {
        self.mailer()?;
        own_page(headers)?;
        let browser = cookies::shown(headers, cookies::LETTER, self.secure()).ok_or(TipError::NoLogin)?;
        let asker = self.by_cookie(headers).await?.map(|session| session.user.id);
        let earlier = cookies::shown(headers, cookies::SESSION, self.secure()).map(|token| token.hash());
        let (new_id, token, now) = (Cuid::random()?, Token::random()?, self.now());
        let (hash, cookie) = (token.hash(), self.cookie(&token)?);
        let finished = self.store().write(move |tx| -> Result<_, TipError> {
            let Some(login) = proven(tx, &browser, &proof, now)? else { return Ok(None) };
            let tip = login.tip;
            store::note_used(tx, login.link)?;
            if let Some(user) = login.user {
                if asker != Some(user) {
                    return Err(TipError::Unauthorized);
                }
                return Ok(Some((link_to(tx, user, &login.email)?, tip, false)));
            }
            let (user, id) = match users::by_email(tx, &login.email)? {
                Some(known) => (known.id, known.public_id),
                None => (users::insert_email(tx, new_id, &login.email, now)?, new_id),
            };
            sessions::insert(tx, hash, user, now)?;
            if let Some(earlier) = earlier {
                sessions::end(tx, earlier)?;
            }
            Ok(Some((id, tip, true)))
        });
        let (id, tip, new_session) = finished.await?.ok_or(TipError::Invalid {
            code: "CODE_WRONG",
            message: "That is not the code of the latest letter".into(),
        })?;
        let done = cookies::no_letter(self.secure())?;
        let cookies = if new_session { vec![cookie, done] } else { vec![done] };
        Ok(LoggedIn { id, tip, cookies })
    }

    /// Whose address it is to become.
    async fn linking(&self, headers: &HeaderMap) -> Result<UserId, TipError> {
        let session = self.known(headers).await?;
        // What a key opens must end with the key.
        if session.by_key { Err(TipError::Forbidden) } else { Ok(session.user.id) }
    }

    /// No word of a stranger's: whoever has one written would have this site vouch for it.
    fn letter(&self, to: Address, link: &Token, code: &str) -> Letter {
        let site = &self.0.public_url;
        let (first, second) = code.split_at(code.len() / 2);
        let minutes = LASTS_MS / 60_000;
        let text = format!(
            "Somebody, most likely you, wants to log in at {site} with this address.\n\n\
             In the browser in which you asked, open this link and press the button:\n\n\
             {site}{PAGE}#{}\n\n\
             Or type this code on the page where you asked:\n\n\
             {first} {second}\n\n\
             Both are good for {minutes} minutes, and once. Give them to nobody. If it wasn't you, do nothing: \
             without this letter nobody gets in.\n",
            to_hex(link.expose()),
        );
        Letter { to, subject: "Log in to Satchel".into(), text }
    }
}

/// The login that the proof belongs to; `None` if it is a wrong code, which has been noted.
fn proven(
    tx: &Tx<'_>,
    browser: &Token,
    proof: &Proof,
    now: UnixMillis,
) -> Result<Option<store::Login>, TipError> {
    match proof {
        Proof::Link(link) => {
            let link = from_hex(link).map(Token::from_bytes).ok_or(TipError::NoLogin)?;
            Ok(Some(store::by_link(tx, link.hash(), browser.hash(), now)?.ok_or(TipError::NoLogin)?))
        }
        Proof::Code(code) => {
            let login = store::newest(tx, browser.hash(), now)?.ok_or(TipError::NoLogin)?;
            let digits: String = code.chars().filter(char::is_ascii_digit).collect();
            if bool::from(code_hash(browser, &digits).ct_eq(&login.code)) {
                return Ok(Some(login));
            }
            store::note_wrong_code(tx, login.link)?;
            Ok(None)
        }
    }
}

/// Gives a user the address, if it is nobody else's and they have no other.
fn link_to(tx: &Tx<'_>, user: UserId, email: &Address) -> Result<Cuid, TipError> {
    if users::by_email(tx, email)?.is_some_and(|owner| owner.id != user) {
        return Err(EMAIL_TAKEN);
    }
    let known = users::by_id(tx, user)?.ok_or(TipError::Unauthorized)?;
    if known.email.is_some_and(|other| other != email.as_str()) {
        return Err(HAS_ANOTHER);
    }
    users::link_email(tx, user, email)?;
    Ok(known.public_id)
}

fn new_code() -> Result<String, NoRandomness> {
    Ok(format!("{:08}", u64::from_be_bytes(random_bytes()?) % CODES))
}

/// A code alone is guessed from its hash in no time; with 32 random bytes that are kept nowhere it is not.
fn code_hash(browser: &Token, code: &str) -> [u8; 32] {
    let mut engine = sha256::Hash::engine();
    engine.input(browser.expose());
    engine.input(code.as_bytes());
    sha256::Hash::from_engine(engine).to_byte_array()
}

fn seconds(wait_ms: i64) -> u64 {
    u64::try_from(wait_ms).unwrap_or(0).div_ceil(1_000).max(1)
}

/// As [`super::prune`].
pub(super) fn prune(tx: &Tx<'_>, now: UnixMillis) -> Result<bool, StoreError> {
    store::prune(tx, now)
}
