//! Reminders as letters: to those who claimed a tip, did not withdraw it, and can be written to.
//!
//! Where letters are sent at all, such reminders are given without a scheduler: [`Tips::remind_due`]. Giving
//! one queues its letter in the same transaction; [`Tips::send_letters`] sends what is queued. All that is due for
//! somebody stands in one letter. It holds nothing that would log anybody in: a letter may be read by others, and
//! the page that its link leads to knows the owner by their browser or sends them another.
//!
//! **Crash behaviour**: at-least-once. Between the mail server's answer and our commit a crash leads to a second
//! letter.

use std::collections::HashSet;
use std::fmt::Write;

use super::reminders::{MOST, ReminderKind};
use super::store::{self, LetterLine, Waiting};
use super::{TipError, Tips};
use crate::core::time::iso::IsoTime;
use crate::outbound::mail::{Letter, NotSent};

/// Letters of one round.
const AT_ONCE: usize = 50;

const MINUTE_MS: i64 = 60_000;

/// Pauses after the first, second, … try; after the last it is given up.
const PAUSES_MS: [i64; 6] =
    [5 * MINUTE_MS, 30 * MINUTE_MS, 120 * MINUTE_MS, 480 * MINUTE_MS, 1_440 * MINUTE_MS, 1_440 * MINUTE_MS];

impl Tips {
    /// Gives the reminders that are due to those who can be written to, where letters are sent at all, and to those
    /// whose tipper has given a webhook that can tell them.
    ///
    /// # Errors
    /// The store's.
    pub async fn remind_due(&self) -> Result<(), TipError> {
        let (now, letters) = (self.now(), self.users().mailer().is_ok());
        let read = self.store().read(move |connection| -> Result<_, TipError> {
            let mut due = Vec::new();
            for kind in [ReminderKind::OneDayBeforeExpiry, ReminderKind::OneDayAfterClaim] {
                let room = MOST.saturating_sub(due.len());
                let by_mail = if letters {
                    store::reminders_due_by_mail(connection, kind, now, room)?
                } else {
                    Vec::new()
                };
                let by_webhook = store::reminders_due_by_webhook(connection, kind, now, room)?;
                due.extend(by_mail.into_iter().chain(by_webhook).map(|one| (one.tip, one.kind)));
            }
            Ok(due)
        });
        let due = read.await?;
        if due.is_empty() { Ok(()) } else { self.remind(due).await }
    }

    /// Sends letters that are due, one after the other, until none is left, there have been many, or the mail
    /// server takes none.
    ///
    /// # Errors
    /// The store's.
    pub async fn send_letters(&self) -> Result<(), TipError> {
        let Ok(mailer) = self.users().mailer() else { return Ok(()) };
        for _ in 0..AT_ONCE {
            let now = self.now();
            let next = self.store().read(move |connection| store::next_letter(connection, now)).await?;
            let Some(waiting) = next else { return Ok(()) };
            let outcome = match self.letter(&waiting) {
                Some(letter) => mailer.deliver(&letter).await,
                // All withdrawn since.
                None => Ok(()),
            };
            self.note(waiting, outcome).await?;
            if outcome == Err(NotSent::NotNow) {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn note(&self, waiting: Waiting, outcome: Result<(), NotSent>) -> Result<(), TipError> {
        let now = self.now();
        let written = self.store().write(move |tx| -> Result<(), TipError> {
            for line in &waiting.reminders {
                let pause = usize::try_from(line.tries).ok().and_then(|tries| PAUSES_MS.get(tries));
                match pause.filter(|_| outcome.is_err() && line.waits) {
                    Some(pause) => store::put_off_letter(tx, waiting.user, line, now.saturating_add(*pause))?,
                    None => store::forget_letter(tx, line)?,
                }
            }
            Ok(())
        });
        written.await
    }

    /// The letter; `None` if there is nothing to say any more. No word of the tips' senders: whoever has one
    /// written would have this site vouch for it.
    fn letter(&self, waiting: &Waiting) -> Option<Letter> {
        let mut known = HashSet::new();
        let tips: Vec<&LetterLine> =
            waiting.reminders.iter().filter(|line| line.waits && known.insert(line.public_id)).collect();
        if tips.is_empty() {
            return None;
        }
        let site = &self.rules().public_url;
        let mut text = format!("You have claimed, and not withdrawn yet, at {site}:\n\n");
        for tip in &tips {
            let until = IsoTime(tip.expires_at).to_string();
            let until = until.get(..16).unwrap_or(&until).replace('T', " ");
            // Writing to a String cannot fail.
            let _ = write!(
                text,
                "{} sat, until {until} UTC\n{site}/tips/{}/claim\n\n",
                tip.amount.sat_floor(),
                tip.public_id
            );
        }
        text.push_str(
            "Open a link and take the sats into a Lightning wallet. If the page doesn't know you, log in there \
             with this address. What is not withdrawn in time goes back to its sender.\n",
        );
        let subject = if tips.len() == 1 { "A tip waits for you" } else { "Some tips wait for you" };
        Some(Letter { to: waiting.email.clone(), subject: subject.into(), text })
    }
}
