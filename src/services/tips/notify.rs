//! Tells the world what happened to a tip: open pages at once, the tipper's webhooks through the outbox, the
//! operator's event log.
//!
//! The vouchers call it inside the transaction that makes the news true.

use std::sync::Arc;

use serde::Serialize;

use super::ids::Keyring;
use super::reminders::ReminderKind;
use super::status::OnboardingFlow;
use super::store::{self, Group, Tip};
use crate::core::ids::VoucherId;
use crate::core::money::Msat;
use crate::core::time::Clock;
use crate::http::events::EventLog;
use crate::http::live::Hub;
use crate::ledger::books::{Journal, Kind};
use crate::ledger::{Account, Family, LedgerError};
use crate::outbound::webhooks::store::{Outbox, OutboxError, Owner, Target};
use crate::services::users::store as users;
use crate::storage::Tx;
use crate::telemetry::metrics::{TIPS, TIPS_SAT};
use crate::vouchers::{self, Change, Redeemer, Voucher, VoucherListener};

/// The family's ear on its vouchers.
#[derive(Clone)]
pub struct Notifier {
    hub: Arc<Hub>,
    outbox: Outbox,
    log: EventLog,
    keyring: Keyring,
    clock: Clock,
    return_fee: bool,
}

/// What a webhook says. `content` is what chat services show.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct News<'a> {
    content: String,
    event: &'static str,
    tip_id: &'a str,
    /// Satoshis.
    amount: u64,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reminder_type: Option<ReminderKind>,
}

/// What a webhook is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// Somebody claimed it.
    Claimed,
    /// Its sats have left.
    Withdrawn,
    /// Its tipper took it back after somebody had claimed it.
    Reclaimed,
    /// Whoever claimed it should withdraw it.
    Reminder(ReminderKind),
}

impl Event {
    const fn name(self) -> &'static str {
        match self {
            Self::Claimed => "tip.claimed",
            Self::Withdrawn => "tip.withdrawn",
            Self::Reclaimed => "tip.reclaimed",
            Self::Reminder(_) => "tip.reminder",
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Claimed => "sats have been claimed!",
            Self::Withdrawn => "sats have been withdrawn!",
            Self::Reclaimed => "sats have been reclaimed!",
            Self::Reminder(ReminderKind::OneDayAfterClaim) => "sats have been claimed and not withdrawn yet!",
            Self::Reminder(ReminderKind::OneDayBeforeExpiry) => {
                "sats have been claimed and will go back within a day!"
            }
        }
    }

    const fn reminder(self) -> Option<ReminderKind> {
        match self {
            Self::Reminder(kind) => Some(kind),
            _ => None,
        }
    }
}

impl Notifier {
    /// With whom it tells. `return_fee` says whether a tip that comes back brings its fee along.
    pub fn new(
        hub: Arc<Hub>,
        outbox: Outbox,
        log: EventLog,
        keyring: Keyring,
        clock: Clock,
        return_fee: bool,
    ) -> Self {
        Self { hub, outbox, log, keyring, clock, return_fee }
    }

    /// Where pages listen.
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Something happened to a whole group: `tip_group.made`, `.funded`, `.changed`, `.deleted`.
    pub(super) fn record_group(&self, tx: &Tx<'_>, kind: &str, group: &Group) -> Result<(), LedgerError> {
        let data = serde_json::json!({ "tips": group.quantity });
        Ok(self.log.record(tx, kind, &group.id.to_string(), &data)?)
    }

    /// The page of a tip shows something else from now on.
    pub(super) fn refresh(&self, tx: &Tx<'_>, tip: &Tip) {
        let (hub, topic) = (Arc::clone(&self.hub), tip.public_id.topic());
        tx.after_commit(move || hub.tell(&topic));
    }

    /// Queues a webhook, if the tipper wants to hear of this.
    pub(super) fn notify(&self, tx: &Tx<'_>, tip: &Tip, event: Event) -> Result<(), LedgerError> {
        let url = match event {
            // A tip that nobody need claim tells of no claim, should somebody all the same.
            Event::Claimed | Event::Reclaimed | Event::Reminder(_)
                if tip.onboarding_flow == OnboardingFlow::Skip =>
            {
                &None
            }
            Event::Claimed | Event::Reclaimed | Event::Reminder(_) => &tip.claim_webhook,
            Event::Withdrawn => &tip.withdraw_webhook,
        };
        let Some(url) = url else { return Ok(()) };
        let (id, sat) = (tip.public_id.to_string(), tip.amount.sat_floor());
        let news = News {
            content: format!("{sat} {}", event.words()),
            event: event.name(),
            tip_id: &id,
            amount: sat,
            status: tip.status().name(),
            reminder_type: event.reminder(),
        };
        let payload = match serde_json::to_string(&news) {
            Ok(payload) => payload,
            Err(error) => {
                tracing::error!(tip = %tip.id, %error, "a webhook could not be written as JSON");
                return Ok(());
            }
        };
        let secret = self.keyring.webhook_secret(tip.tipper);
        let account = users::by_id(tx, tip.tipper)?.and_then(|tipper| tipper.account);
        let owner = account.map_or(Owner::Stranger, Owner::Account);
        let target = Target { family: Family::Tips.name(), url, secret: Some(&secret), owner };
        match self.outbox.enqueue(tx, target, event.name(), &payload) {
            Ok(_) => Ok(()),
            Err(OutboxError::Store(error)) => Err(error.into()),
            Err(error) => {
                // The address was good at creation; whatever it is now must not undo what happened.
                tracing::error!(tip = %tip.id, %error, "a webhook could not be queued");
                Ok(())
            }
        }
    }

    /// Counts what happened to a tip that holds so much, once it is committed.
    pub(super) fn count(&self, tx: &Tx<'_>, event: &'static str, amount: Msat) {
        tx.after_commit(move || {
            metrics::counter!(TIPS, "event" => event).increment(1);
            metrics::counter!(TIPS_SAT, "event" => event).increment(amount.sat_floor());
        });
    }

    /// What is not the voucher's own doing: `tip.made`, `.changed`, `.deleted`, `.seen`, `.claimed`.
    pub(super) fn record(&self, tx: &Tx<'_>, kind: &str, tip: &Tip) -> Result<(), LedgerError> {
        let data = serde_json::json!({ "amount_sat": tip.amount.sat_floor() });
        Ok(self.log.record(tx, kind, &tip.id.to_string(), &data)?)
    }

    /// A tip came back with its fee.
    fn return_fee(&self, tx: &Tx<'_>, tip: &Tip) -> Result<(), LedgerError> {
        if !self.return_fee || tip.fee == Msat::ZERO {
            return Ok(());
        }
        vouchers::add_to_return(tx, tip.id, tip.fee)?;
        store::set_fee(tx, tip.id, Msat::ZERO)?;
        Journal::new(Kind::FeeReturned, tip.id.0)
            .debit(Account::FeesEarned, tip.fee)
            .credit(Family::Tips.account(), tip.fee)
            .post(tx, self.clock.now())
    }

    /// A tip that came back with its fee had been withdrawn before.
    fn earn_again(&self, tx: &Tx<'_>, tip: &Tip, fee: Msat) -> Result<(), LedgerError> {
        store::set_fee(tx, tip.id, fee)?;
        Journal::new(Kind::FeeEarnedAgain, tip.id.0)
            .debit(Family::Tips.account(), fee)
            .credit(Account::FeesEarned, fee)
            .post(tx, self.clock.now())
    }
}

impl VoucherListener for Notifier {
    fn changed(&self, tx: &Tx<'_>, voucher: &Voucher, change: &Change) -> Result<(), LedgerError> {
        let id: VoucherId = voucher.id;
        let now = self.clock.now();
        store::touch(tx, id, now)?;
        let Some(tip) = store::tip(tx, id)? else {
            // Nobody to tell; the money moves all the same.
            tracing::error!(voucher = %id, "a voucher has no tip");
            return Ok(());
        };
        match change {
            Change::Funded if tip.group.is_some() => {}
            _ => self.record(tx, kind(change), &tip)?,
        }
        if let Some(event) = counted(change) {
            self.count(tx, event, tip.amount);
        }
        match change {
            Change::Redeemed(_) => self.notify(tx, &tip, Event::Withdrawn)?,
            Change::Expired => {
                self.return_fee(tx, &tip)?;
                if tip.tippee.is_some() {
                    self.notify(tx, &tip, Event::Reclaimed)?;
                }
                store::want_refund(tx, tip.tipper, now)?;
            }
            // Who claimed it says nothing of where its tipper's sats go.
            Change::PayoutFailed(payout)
                if vouchers::taker_of(tx, payout.key())? == Some(Redeemer::Sender) =>
            {
                store::refund_failed(tx, tip.tipper, now)?;
            }
            Change::TakenOff(fee) => self.earn_again(tx, &tip, *fee)?,
            Change::Returned(_) => store::refunded(tx, tip.tipper)?,
            Change::Funded | Change::Claiming(_) | Change::PayoutFailed(_) | Change::Forgotten => {}
        }
        // Words that lead nowhere any more are nobody's to guess.
        if matches!(change, Change::Redeemed(_) | Change::Expired | Change::Returned(_)) {
            store::free_passphrase(tx, id)?;
        }
        self.refresh(tx, &tip);
        Ok(())
    }
}

/// The word for a change in the numbers.
fn counted(change: &Change) -> Option<&'static str> {
    match change {
        Change::Funded => Some("funded"),
        Change::Redeemed(_) => Some("withdrawn"),
        Change::Expired => Some("reclaimed"),
        Change::Returned(_) => Some("refunded"),
        Change::Claiming(_) | Change::PayoutFailed(_) | Change::TakenOff(_) | Change::Forgotten => None,
    }
}

/// The word for a change in the operator's event log. Its subject is the voucher's number, which redeems
/// nothing.
fn kind(change: &Change) -> &'static str {
    match change {
        Change::Funded => "tip.funded",
        Change::Claiming(_) => "tip.withdrawing",
        Change::Redeemed(_) => "tip.withdrawn",
        Change::PayoutFailed(_) => "tip.payout_failed",
        Change::Expired => "tip.reclaimed",
        Change::Returned(_) => "tip.refunded",
        Change::TakenOff(_) => "tip.arrived_late",
        Change::Forgotten => "tip.forgotten",
    }
}
