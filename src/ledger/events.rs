//! The one consumer of the node's events: our transaction first, then `event_handled`.
//!
//! A payment that waits for us to claim it ([`held`]) is claimed after our transaction and before `event_handled`.
//!
//! An event whose transaction can't be committed is tried again until it can; it is never dropped and
//! never overtaken. Applying one twice changes nothing.
//!
//! One that the books refuse as inconsistent would be refused for ever, and hold up everybody's money. It
//! is written down whole in `quarantine` after some tries, and the audit reports it until a person has
//! looked.

use std::time::Duration;

use super::charges::{self, Receipt};
use super::held::{self, Arrival};
use super::node;
use super::offer_payouts::{self, Ended};
use super::payouts::Reported;
use super::rows::payouts as rows;
use super::{Ledger, LedgerError, reconciliation};
use crate::core::ids::PaymentHash;
use crate::core::money::Msat;
use crate::crash_point;
use crate::lightning::{ChannelNews, NodeEvent, OfferKey};

/// How long to wait for an event before looking whether to stop.
const POLL: Duration = Duration::from_millis(500);

/// How long to wait before an event is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// Tries before an event that the books refuse is put into quarantine.
const TRIES: u32 = 5;

/// Runs until `stop` says so. For a thread of its own.
pub fn run(ledger: &Ledger, stop: impl Fn() -> bool, beat: impl Fn()) {
    let mut refusals = 0_u32;
    while !stop() {
        beat();
        match step(ledger, POLL) {
            Ok(_) => refusals = 0,
            Err(error) => {
                tracing::error!(%error, "an event of the node could not be written down; trying again");
                refusals = if error.is_refusal() { refusals.saturating_add(1) } else { 0 };
                if refusals >= TRIES && quarantine(ledger, &error).is_ok() {
                    refusals = 0;
                }
                std::thread::sleep(RETRY);
            }
        }
    }
}

/// Writes the head of the queue down for a person, and lets the others pass.
///
/// # Errors
/// The store's; then the event stays where it is.
pub fn quarantine(ledger: &Ledger, error: &LedgerError) -> Result<(), LedgerError> {
    let Some(event) = ledger.lightning.next_event(Duration::ZERO) else { return Ok(()) };
    let (text, why, now) = (format!("{event:?}"), error.to_string(), ledger.clock.now());
    tracing::error!(event = %text, %why, "an event of the node is put into quarantine; see `satchel audit`");
    ledger.store.write_blocking(move |tx| rows::quarantine(tx, &text, &why, now))?;
    ledger.lightning.event_handled();
    Ok(())
}

/// Takes one event, if one comes in time; `true` if one came.
///
/// # Errors
/// The store's or a listener's; the event stays at the head of the queue.
pub fn step(ledger: &Ledger, wait: Duration) -> Result<bool, LedgerError> {
    let Some(event) = ledger.lightning.next_event(wait) else {
        return Ok(false);
    };
    // The events of an earlier run are there before the node runs, which alone can claim.
    if matches!(event, NodeEvent::Claimable { .. }) && !ledger.lightning.is_running() {
        std::thread::sleep(wait);
        return Ok(false);
    }
    apply(ledger, event)?;
    crash_point!("event.before_handled");
    ledger.lightning.event_handled();
    crash_point!("event.after_handled");
    Ok(true)
}

/// Writes down what an event means.
///
/// # Errors
/// The store's or a listener's.
pub fn apply(ledger: &Ledger, event: NodeEvent) -> Result<(), LedgerError> {
    let now = ledger.clock.now();
    let listeners = ledger.listeners.clone();
    match event {
        NodeEvent::Received { hash, offer, amount } => {
            let receipt = ledger
                .store
                .write_blocking(move |tx| charges::receive(tx, &listeners, hash, offer, amount, now))?;
            if !matches!(receipt, Receipt::Settled | Receipt::Added) {
                tracing::info!(%hash, %amount, ?receipt, "a payment came in that settled nothing");
            }
        }
        NodeEvent::Claimable { hash, amount, deadline } => {
            let (arrival, height) = (Arrival { hash, amount, deadline }, ledger.lightning.block_height());
            let answer =
                ledger.store.write_blocking(move |tx| held::note(tx, &listeners, &arrival, height, now))?;
            held::act(ledger, &arrival, answer);
        }
        // A payment to an offer has an id of its own, and a hash that its recipient chose, perhaps that of another.
        NodeEvent::Sent { hash, payment_id, preimage, fee } if payment_id != hash.0 => {
            let note = note_of(ledger, payment_id);
            let ended = Ended { payment_id, note, hash: Some(hash), preimage, fee };
            let reported = offer_payouts::arrived(ledger, ended)?;
            note_stranger(reported, hash, "arrived");
        }
        NodeEvent::Failed { hash, payment_id, reason } if hash.is_none_or(|hash| hash.0 != payment_id) => {
            let note = note_of(ledger, payment_id);
            let ended = Ended { payment_id, note, hash, preimage: None, fee: Msat::ZERO };
            tracing::info!(%reason, "a payment to an offer failed");
            let reported = offer_payouts::failure_reported(ledger, ended, &reason)?;
            note_stranger(reported, hash.unwrap_or(PaymentHash(payment_id)), "failed");
        }
        NodeEvent::Sent { hash, preimage, fee, .. } => {
            let reported = reconciliation::arrived(ledger, hash, preimage, fee)?;
            ledger.wake.notify();
            note_stranger(reported, hash, "arrived");
        }
        NodeEvent::Failed { hash: Some(hash), reason, .. } => {
            let reported = reconciliation::failure_reported(ledger, hash, &reason)?;
            ledger.wake.notify();
            note_stranger(reported, hash, "failed");
            tracing::info!(%hash, %reason, ?reported, "a payment failed, says the node");
        }
        NodeEvent::Failed { hash: None, .. } => {}
        NodeEvent::Forwarded { from, to, fee } => {
            tracing::debug!(%from, %to, %fee, "a payment of others went through");
            ledger.store.write_blocking(move |tx| node::note_forward(tx, &from, &to, fee, now))?;
        }
        NodeEvent::Channel(news) => {
            if let ChannelNews::Closed { channel, reason } = &news {
                tracing::warn!(%channel, %reason, "a channel was closed");
                let (channel, reason) = (channel.clone(), reason.clone());
                ledger.store.write_blocking(move |tx| {
                    node::note_closed(tx, &channel, &reason, now)?;
                    rows::count_event(tx, "channels_closed")
                })?;
            } else {
                tracing::info!(?news, "a channel changed");
                node::note_channels(ledger)?;
            }
            ledger.wake.notify();
        }
        NodeEvent::Other(what) => tracing::debug!(what, "an event that moves no money of ours"),
    }
    Ok(())
}

/// The note of a payment to an offer, if the node has a record of it.
fn note_of(ledger: &Ledger, payment_id: [u8; 32]) -> Option<String> {
    ledger.lightning.offer_record(OfferKey::Payment(payment_id))?.note
}

fn note_stranger(reported: Reported, hash: PaymentHash, what: &'static str) {
    if reported == Reported::NotOurs {
        tracing::warn!(%hash, what, "a payment that is not in the ledger ended");
    }
}
