//! Payments that lie in the channels although nobody told of them.
//!
//! ldk-node writes its queue of events behind LDK's back: an event that LDK has handed over can be missing from the
//! queue that is read at the next start. A `Received` or `Sent` that is lost so is found in the node's records
//! ([`recovery::sweep`](crate::ledger::recovery::sweep)), but of a payment that waits to be claimed there is no record,
//! and it would lie there until its deadline.
//!
//! It can be seen in the channels, though not whether all its parts are there. LDK gives back what isn't complete
//! within three ticks of a minute, counted anew from a start. So what lay there when the node started is watched
//! every second; what stays, unchanged, for [`COMPLETE_AFTER`], while no event waits to be told, is complete. Then it
//! is noted and claimed as if its event had come. Nothing is shown before, and nothing is claimed that comes later:
//! its event can't have been lost without another start.

use std::time::Duration;

use rusqlite::Connection;

use super::rows;
use super::{Arrival, act, note};
use crate::core::money::Msat;
use crate::ledger::{ChargeStatus, Ledger, LedgerError, charges};
use crate::lightning::{Direction, RecordStatus, Waiting};

/// How long after the start a payment that lies there unchanged is complete: twice what LDK gives it.
pub const COMPLETE_AFTER: Duration = Duration::from_secs(360);

/// Payments noted and claimed in one round.
const AT_ONCE: usize = 50;

/// What lay in the channels at the start and still does. Of one start of the node.
#[derive(Debug, Default)]
pub struct Lost {
    /// `None` before the first look.
    watched: Option<Vec<Waiting>>,
}

impl Lost {
    /// Whether there is something that the node must not forget.
    pub fn is_watching(&self) -> bool {
        self.watched.as_ref().is_none_or(|watched| !watched.is_empty())
    }

    /// Looks again, `since_start` after the node's start; claims what can't but be complete. `quiet` says that no
    /// event of the node has been waiting for a while. Answers how many payments were found.
    ///
    /// # Errors
    /// The store's or a listener's; then the next round goes on.
    pub fn round(
        &mut self,
        ledger: &Ledger,
        since_start: Duration,
        quiet: bool,
    ) -> Result<usize, LedgerError> {
        if !self.is_watching() {
            return Ok(0);
        }
        let there = ledger.lightning.waiting();
        let still = match &self.watched {
            None => there,
            Some(watched) => watched.iter().filter(|payment| there.contains(payment)).copied().collect(),
        };
        let watched = self.watched.insert(still);
        if watched.is_empty() {
            return Ok(0);
        }
        let known = watched.clone();
        let wanted = ledger.store.read_blocking(move |connection| -> Result<Vec<bool>, LedgerError> {
            known.iter().map(|payment| is_wanted(connection, payment)).collect()
        })?;
        let mut wanted = wanted.into_iter();
        watched.retain(|_| wanted.next().unwrap_or(false));
        if since_start < COMPLETE_AFTER || !quiet || ledger.lightning.next_event(Duration::ZERO).is_some() {
            return Ok(0);
        }
        let mut found = 0_usize;
        while let Some(payment) = watched.last().copied() {
            if found == AT_ONCE {
                break;
            }
            match take(ledger, &payment) {
                Err(error) if error.is_refusal() => {
                    tracing::error!(hash = %payment.hash, %error, "a payment that nobody told of can't be noted");
                }
                other => other?,
            }
            watched.pop();
            found = found.saturating_add(1);
        }
        Ok(found)
    }
}

/// Whether it is for a charge that we claim ourselves, is enough, and nobody has noted it.
fn is_wanted(connection: &Connection, payment: &Waiting) -> Result<bool, LedgerError> {
    let Some(charge) = charges::by_hash(connection, payment.hash)? else { return Ok(false) };
    Ok(charge.status != ChargeStatus::Paid
        && !charge.is_held()
        && payment.amount >= charge.amount.unwrap_or(Msat::ZERO)
        && rows::preimage(connection, charge.id)?.is_some())
}

/// As its event would have done.
fn take(ledger: &Ledger, payment: &Waiting) -> Result<(), LedgerError> {
    let open = ledger.lightning.record(payment.hash).is_some_and(|record| {
        record.direction == Direction::Inbound && record.status != RecordStatus::Succeeded
    });
    if !open {
        // What succeeded is the sweep's; what the node doesn't know it doesn't claim.
        return Ok(());
    }
    let arrival = Arrival { hash: payment.hash, amount: payment.amount, deadline: Some(payment.deadline) };
    let (listeners, now) = (ledger.listeners.clone(), ledger.clock.now());
    let height = ledger.lightning.block_height();
    let answer = ledger.store.write_blocking(move |tx| note(tx, &listeners, &arrival, height, now))?;
    tracing::warn!(hash = %payment.hash, amount = %payment.amount, "a payment lay in a channel and nobody told of it");
    act(ledger, &arrival, answer);
    Ok(())
}
