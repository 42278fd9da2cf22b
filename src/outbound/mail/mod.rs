//! Letters: e-mail over SMTP to the one server that the settings name.
//!
//! Called by families, none of which it knows. [`Mailer::deliver`] makes one attempt and says how it went, for who
//! keeps a queue of their own; [`Mailer::place`] is for letters that may be lost, like a link to log in: they are
//! sent behind the request's back and tried again for a while. So many may be under way, and then the next is
//! refused. No request waits for a letter to be taken; [`Mailer::is_reachable`] says, after a few seconds at most, whether
//! there is a server to take it. That is asked without any address, so its answer tells nothing about one.
//!
//! **Crash behaviour**: what was under way behind a request's back is lost, and whoever waits for it asks again.
//!
//! **What is said of it**: log lines have neither an address nor a text.

mod message;
#[cfg(test)]
pub mod post_office;
mod reach;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use lettre::address::Envelope;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::config::{Smtp, SmtpSecurity};
use crate::core::ids::random_hex;
use crate::core::time::Clock;
use crate::telemetry::metrics::MAIL;

pub use crate::core::email::{Address, BadAddress};
use reach::Reach;

/// Letters under way behind requests' backs.
const MOST: usize = 256;

/// Conversations with the mail server at once.
const AT_ONCE: usize = 4;

/// How long the server may be silent.
const SILENCE: Duration = Duration::from_secs(20);

/// How long one attempt may take in all.
const ATTEMPT: Duration = Duration::from_secs(60);

/// Pauses after the first, second, … attempt; the last is repeated.
const PAUSES: [Duration; 4] =
    [Duration::from_secs(2), Duration::from_secs(10), Duration::from_secs(30), Duration::from_secs(120)];

/// What is sent. Its text may hold a secret, so it is never printed.
pub struct Letter {
    /// To whom.
    pub to: Address,
    /// What it is about.
    pub subject: String,
    /// Plain text.
    pub text: String,
}

impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Letter(..)")
    }
}

/// Why a letter has not left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSent {
    /// The server won't have it, now or later.
    #[error("the mail server refuses this letter")]
    Refused,
    /// It may go better another time.
    #[error("the mail server can't take a letter now")]
    NotNow,
}

/// Too many letters are under way already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many letters are under way")]
pub struct Full;

/// The settings make no sender.
#[derive(Debug, thiserror::Error)]
#[error("letters can't be sent: {0}")]
pub struct BadSettings(String);

/// Sends letters. Cheap to clone.
#[derive(Clone)]
pub struct Mailer(Arc<Inner>);

struct Inner {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: lettre::Address,
    from_name: String,
    max_per_hour: u32,
    places: Arc<Semaphore>,
    seats: Semaphore,
    pauses: Vec<Duration>,
    reach: Reach,
}

/// The right to send one letter.
pub struct Place {
    mailer: Mailer,
    permit: OwnedSemaphorePermit,
}

impl Mailer {
    /// By the settings; `None` if they name no server. Opens no connection.
    ///
    /// # Errors
    /// [`BadSettings`], for what [`crate::config`] has not refused already.
    pub fn new(smtp: &Smtp) -> Result<Option<Self>, BadSettings> {
        Self::with_pauses(smtp, PAUSES.to_vec())
    }

    pub(crate) fn with_pauses(smtp: &Smtp, pauses: Vec<Duration>) -> Result<Option<Self>, BadSettings> {
        if smtp.host.is_empty() {
            return Ok(None);
        }
        let failed = |error: &dyn fmt::Display| BadSettings(error.to_string());
        let (name, from) = smtp.sender().ok_or_else(|| failed(&"smtp.from is no address"))?;
        let builder = match smtp.security {
            SmtpSecurity::Starttls => AsyncSmtpTransport::<Tokio1Executor>::starttls_relay(&smtp.host)
                .map_err(|error| failed(&error))?,
            SmtpSecurity::Tls => {
                AsyncSmtpTransport::<Tokio1Executor>::relay(&smtp.host).map_err(|error| failed(&error))?
            }
            SmtpSecurity::None => AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&smtp.host),
        };
        let mut builder = builder
            .port(smtp.port)
            .timeout(Some(SILENCE))
            .hello_name(ClientId::Domain(from.domain().to_owned()));
        if !smtp.user.is_empty() {
            let password = smtp.password.expose().to_owned();
            builder = builder.credentials(Credentials::new(smtp.user.clone(), password));
        }
        Ok(Some(Self(Arc::new(Inner {
            transport: builder.build(),
            from_name: name.to_owned(),
            from,
            max_per_hour: smtp.max_per_hour,
            places: Arc::new(Semaphore::new(MOST)),
            seats: Semaphore::new(AT_ONCE),
            pauses,
            reach: Reach::default(),
        }))))
    }

    /// Letters an hour that strangers may cause. Whoever sends for them counts.
    pub fn max_per_hour(&self) -> u32 {
        self.0.max_per_hour
    }

    /// Makes sure that there is room for one more letter.
    ///
    /// # Errors
    /// [`Full`].
    pub fn place(&self) -> Result<Place, Full> {
        let permit = Arc::clone(&self.0.places).try_acquire_owned().map_err(|_| Full)?;
        Ok(Place { mailer: self.clone(), permit })
    }

    /// One attempt, a minute at most once it is its turn.
    ///
    /// # Errors
    /// [`NotSent`].
    pub async fn deliver(&self, letter: &Letter) -> Result<(), NotSent> {
        let (envelope, message) = self.write(letter)?;
        let _seat = self.0.seats.acquire().await.map_err(|_| NotSent::NotNow)?;
        let sent = match tokio::time::timeout(ATTEMPT, self.0.transport.send_raw(&envelope, &message)).await {
            Err(_) => {
                tracing::warn!("the mail server took too long");
                self.0.reach.doubt();
                Err(NotSent::NotNow)
            }
            Ok(Err(error)) => {
                // With an answer, however unfriendly, there is a server.
                if error.status().is_none() {
                    self.0.reach.doubt();
                }
                Err(judge(&error))
            }
            Ok(Ok(_)) => {
                self.0.reach.note(true);
                Ok(())
            }
        };
        let outcome = match sent {
            Ok(()) => "sent",
            Err(NotSent::Refused) => "refused",
            Err(NotSent::NotNow) => "failed",
        };
        metrics::counter!(MAIL, "outcome" => outcome).increment(1);
        sent
    }

    /// Whether the server can be talked to, by what was seen lately or else by trying it now. Waits a few seconds at
    /// most: a server that is silent for longer counts as none until it has answered.
    pub async fn is_reachable(&self) -> bool {
        if let Some(known) = self.0.reach.known() {
            return known;
        }
        // One conversation, however many ask.
        if let Some(turn) = self.0.reach.turn() {
            let mailer = self.clone();
            tokio::spawn(async move {
                let greeted = mailer.greet().await;
                if let Err(error) = &greeted {
                    tracing::warn!(%error, "the mail server can't be reached");
                }
                mailer.0.reach.note(greeted.is_ok());
                drop(turn);
            });
        }
        self.0.reach.learn().await
    }

    /// Talks to the server as if to send, and sends nothing.
    ///
    /// # Errors
    /// What went wrong, in words for the operator.
    pub async fn greet(&self) -> Result<(), String> {
        let greeting = tokio::time::timeout(ATTEMPT, self.0.transport.test_connection());
        match greeting.await {
            Err(_) => Err("it does not answer in time".into()),
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err("it takes nothing now".into()),
            Ok(Err(error)) => Err(words(&error)),
        }
    }

    fn write(&self, letter: &Letter) -> Result<(Envelope, Vec<u8>), NotSent> {
        let unfit = |error: &dyn fmt::Display| {
            tracing::error!(%error, "a letter could not be written");
            NotSent::Refused
        };
        let from = &self.0.from;
        let to: lettre::Address = letter.to.as_str().parse().map_err(|error| unfit(&error))?;
        let envelope = Envelope::new(Some(from.clone()), vec![to]).map_err(|error| unfit(&error))?;
        let id = random_hex::<16>().map_err(|error| unfit(&error))?;
        let headers = message::Headers {
            from: AsRef::<str>::as_ref(from),
            from_name: &self.0.from_name,
            to: letter.to.as_str(),
            subject: &letter.subject,
            id: &format!("{id}@{}", from.domain()),
            now: Clock::system().now(),
        };
        let message = message::write(&headers, &letter.text).map_err(|error| unfit(&error))?;
        Ok((envelope, message))
    }
}

/// What a failure means. An answer of the server may quote the address, so only its number is told.
fn judge(error: &lettre::transport::smtp::Error) -> NotSent {
    match error.status() {
        Some(code) => tracing::warn!(%code, "the mail server took no letter"),
        None => tracing::warn!(error = words(error), "the mail server can't be talked to"),
    }
    // What concerns this letter alone: its recipient, or what it says. A wrong password is for the operator to mend.
    let about_it = error.status().is_some_and(|code| matches!(u16::from(code), 550..=554));
    if error.is_permanent() && about_it { NotSent::Refused } else { NotSent::NotNow }
}

fn words(error: &lettre::transport::smtp::Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

impl Place {
    /// Sends it behind the caller's back, again and again for so long. Needs a runtime around it.
    pub fn post(self, letter: Letter, good_for: Duration) {
        tokio::spawn(async move {
            let Self { mailer, permit } = self;
            let until = Instant::now() + good_for;
            let mut pauses = mailer.0.pauses.iter().copied();
            let mut pause = Duration::ZERO;
            while mailer.deliver(&letter).await == Err(NotSent::NotNow) {
                pause = pauses.next().unwrap_or(pause);
                if Instant::now() + pause >= until {
                    tracing::warn!("a letter was given up");
                    break;
                }
                tokio::time::sleep(pause).await;
            }
            drop(permit);
        });
    }
}
