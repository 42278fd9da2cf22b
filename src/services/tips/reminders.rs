//! Reminders of tips that were claimed and not withdrawn, each given once.
//!
//! A scheduler asks which are due, and says which it wants given. Giving one notes it and, in the same
//! transaction, queues the news for the tip's claim webhook, whose receiver can tell the tippee, and a letter if
//! the tippee can be written to (see the letters beside this file).

use std::str::FromStr;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::ids::Cuid;
use super::notify::Event;
use super::store::{self, DueReminder};
use super::{TipError, Tips, json};

/// A day.
pub(super) const DAY_MS: i64 = 86_400_000;

/// Reminders of one list, and of one order.
pub const MOST: usize = 500;

/// When somebody is reminded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ReminderKind {
    /// A day after they claimed, if the tip is good for more than two days from then.
    OneDayAfterClaim,
    /// In the tip's last day, if they had more than a day from the claim.
    OneDayBeforeExpiry,
}

impl ReminderKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::OneDayAfterClaim, Self::OneDayBeforeExpiry];

    /// Its name in the API and in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OneDayAfterClaim => "ONE_DAY_AFTER_CLAIM",
            Self::OneDayBeforeExpiry => "ONE_DAY_BEFORE_EXPIRY",
        }
    }
}

impl FromStr for ReminderKind {
    type Err = TipError;

    fn from_str(name: &str) -> Result<Self, TipError> {
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| TipError::Invalid {
            code: "REMINDER_TYPE_INVALID",
            message: "reminderType must be ONE_DAY_AFTER_CLAIM or ONE_DAY_BEFORE_EXPIRY".into(),
        })
    }
}

/// A reminder that is due.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReminderView {
    /// Of what.
    tip_id: String,
    /// Which.
    reminder_type: ReminderKind,
    /// To whom.
    user_id: String,
    /// Whether an e-mail address of theirs is known. Where letters are sent, they get one without a scheduler.
    has_email: bool,
}

impl From<DueReminder> for ReminderView {
    fn from(due: DueReminder) -> Self {
        Self {
            tip_id: due.tip.to_string(),
            reminder_type: due.kind,
            user_id: due.tippee.to_string(),
            has_email: due.has_email,
        }
    }
}

/// One reminder to give.
pub type Reminder = (Cuid, ReminderKind);

/// Reads an order: one reminder, or a list of them as `reminders`. What else an entry has is passed over.
///
/// # Errors
/// [`TipError::Invalid`] for a broken one; [`TipError::NotFound`] for an id that can't be one.
pub fn read(body: &Value) -> Result<Vec<Reminder>, TipError> {
    let one = std::slice::from_ref(body);
    let entries = match body.get("reminders") {
        None => one,
        Some(Value::Array(entries)) if entries.len() <= MOST => entries,
        Some(_) => {
            return Err(TipError::bad_request(format!("reminders must be a list of at most {MOST}")));
        }
    };
    entries
        .iter()
        .map(|entry| {
            let text = |name: &str| {
                let value = entry.get(name).and_then(Value::as_str);
                value.ok_or_else(|| TipError::bad_request(format!("{name} must be a text")))
            };
            let kind = text("reminderType")?.parse()?;
            Ok((text("tipId")?.parse().map_err(|_| TipError::NotFound)?, kind))
        })
        .collect()
}

impl Tips {
    /// What is due, as JSON: at most [`MOST`], the most urgent first.
    ///
    /// # Errors
    /// The store's.
    pub async fn reminders_json(&self) -> Result<Vec<u8>, TipError> {
        let now = self.now();
        let read = self.store().read(move |connection| -> Result<_, TipError> {
            let mut due = Vec::new();
            for kind in [ReminderKind::OneDayBeforeExpiry, ReminderKind::OneDayAfterClaim] {
                due.extend(store::reminders_due(connection, kind, now, MOST.saturating_sub(due.len()))?);
            }
            Ok(due)
        });
        json(&read.await?.into_iter().map(ReminderView::from).collect::<Vec<_>>())
    }

    /// Gives reminders, all in one step. What was given before, and what is not due any more, is passed over: the
    /// tippee may have withdrawn since the list was read.
    ///
    /// # Errors
    /// [`TipError::NotFound`] if one names no tip, and then none is given; the store's.
    pub async fn remind(&self, reminders: Vec<Reminder>) -> Result<(), TipError> {
        let (tips, now) = (self.clone(), self.now());
        let written = self.store().write(move |tx| -> Result<(), TipError> {
            for (id, kind) in reminders {
                let tip = store::by_public_id(tx, id)?.ok_or(TipError::NotFound)?;
                if store::is_reminder_due(tx, tip.id, kind, now)? {
                    store::note_reminder(tx, tip.id, kind, now)?;
                    if tips.users().mailer().is_ok() {
                        store::queue_letter(tx, tip.id, kind, now)?;
                    }
                    tips.notifier().record(tx, "tip.reminder", &tip)?;
                    tips.notifier().notify(tx, &tip, Event::Reminder(kind))?;
                }
            }
            Ok(())
        });
        written.await
    }
}
