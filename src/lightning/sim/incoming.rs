//! Payments to us that are held: they come, are claimed, are refused, or go back without a word.

use std::collections::HashMap;
use std::time::Duration;

use lightning_invoice::Bolt11Invoice;

use super::{CRASH, Sim, State, Trap};
use crate::core::ids::{PaymentHash, Preimage};
use crate::core::money::Msat;
use crate::core::time::{UnixMillis, millis};
use crate::lightning::invoice::hash_of;
use crate::lightning::{Direction, NodeEvent, RecordStatus, Waiting};

/// Blocks for which a payment to us is held.
const HELD_FOR_BLOCKS: u32 = 6;

/// How long the first part of a payment waits for the others, counted anew from a start.
const PART_WAITS: Duration = Duration::from_secs(180);

/// Somebody's payment that is held here.
#[derive(Clone, Debug)]
pub(super) struct Incoming {
    hash: PaymentHash,
    amount: Msat,
    deadline: u32,
    /// Of one that is not complete: when its first part came, or the node started.
    part_since: Option<UnixMillis>,
}

impl State {
    /// Gives back what has waited until its deadline.
    pub(super) fn give_back_late(&mut self) {
        let height = self.height;
        self.incoming.retain(|payment| height < payment.deadline);
    }

    /// Gives back what has not become complete.
    pub(super) fn give_back_parts(&mut self, now: UnixMillis) {
        let in_time = |since: UnixMillis| now.saturating_sub(since) < millis(PART_WAITS);
        self.incoming.retain(|payment| payment.part_since.is_none_or(in_time));
    }

    /// The node starts, and gives parts their time anew.
    pub(super) fn wait_for_parts_anew(&mut self, now: UnixMillis) {
        for since in self.incoming.iter_mut().filter_map(|payment| payment.part_since.as_mut()) {
            *since = now;
        }
    }

    /// The newest payments that are to be claimed are told to nobody.
    pub(super) fn lose_claimable(&mut self, count: usize) {
        for _ in 0..count {
            let newest = self.events.iter().rposition(|event| matches!(event, NodeEvent::Claimable { .. }));
            if let Some(at) = newest {
                self.events.remove(at);
            }
        }
    }

    fn tells_of(&self, wanted: PaymentHash) -> bool {
        self.events.iter().any(|event| matches!(event, NodeEvent::Claimable { hash, .. } if *hash == wanted))
    }
}

impl Sim {
    /// Somebody pays an invoice with a hash of ours: the node holds the payment. `false` if it was refused at once,
    /// as ldk-node does with what it has no record of, or was paid before.
    pub fn hold(&self, invoice: &Bolt11Invoice, amount: Msat) -> bool {
        let hash = hash_of(invoice);
        let mut state = self.state();
        if !is_payable(&state, hash) {
            return false;
        }
        // The last part of what has begun to come, or all at once.
        state.incoming.retain(|payment| payment.hash != hash || payment.part_since.is_none());
        if state.incoming.iter().any(|payment| payment.hash == hash) {
            return false;
        }
        let deadline = state.height + HELD_FOR_BLOCKS;
        state.incoming.push(Incoming { hash, amount, deadline, part_since: None });
        state.events.push_back(NodeEvent::Claimable { hash, amount, deadline: Some(deadline) });
        true
    }

    /// The first part of a payment comes, and is all that anybody sees of it; the channel can't tell it from a whole
    /// one. `false` if there is something of that hash, or its end has not been told.
    pub fn hold_part(&self, invoice: &Bolt11Invoice, amount: Msat) -> bool {
        let hash = hash_of(invoice);
        let now = self.clock.now();
        let mut state = self.state();
        let there = state.incoming.iter().any(|payment| payment.hash == hash) || state.tells_of(hash);
        if there || !is_payable(&state, hash) {
            return false;
        }
        // Senders choose it, and no two the same.
        state.parts += 1;
        let deadline = state.height + 1_000 + state.parts;
        state.incoming.push(Incoming { hash, amount, deadline, part_since: Some(now) });
        true
    }

    /// Parts that were claimed before all was there: the node has lost them, and their channels.
    pub fn orphaned(&self) -> Vec<PaymentHash> {
        self.state().orphaned.clone()
    }

    /// The process dies as in [`Sim::restart`], and its queue comes back without the newest payments to be claimed.
    pub fn restart_losing(&self, claimable: usize) {
        self.state().lose_claimable(claimable);
        self.restart(0, 0);
    }

    pub(super) fn lying_there(&self) -> Vec<Waiting> {
        let state = self.state();
        let seen = |payment: &Incoming| Waiting {
            hash: payment.hash,
            amount: payment.amount,
            deadline: payment.deadline,
        };
        state.incoming.iter().map(seen).collect()
    }

    /// What was claimed for each hash, every time.
    pub fn claimed(&self) -> HashMap<PaymentHash, Vec<Msat>> {
        self.state().claimed.clone()
    }

    /// Hashes of payments that are held, in the order they came.
    pub fn held(&self) -> Vec<PaymentHash> {
        self.state().incoming.iter().map(|payment| payment.hash).collect()
    }

    /// A held payment goes back without a word, as when its channel is closed.
    pub fn lose(&self, hash: PaymentHash) {
        self.state().incoming.retain(|payment| payment.hash != hash);
    }

    /// Whether the node refuses to claim.
    pub fn set_claims_fail(&self, fail: bool) {
        self.state().claims_fail = fail;
    }

    /// Whether the node has stopped.
    pub fn set_stopped(&self, stopped: bool) {
        self.state().stopped = stopped;
    }

    /// Whether the node tells of what it claimed only when [`Sim::tell_all`] says so.
    pub fn set_whispers(&self, whispers: bool) {
        self.state().whispers = whispers;
    }

    pub(super) fn claim_held(&self, hash: PaymentHash, preimage: Preimage) -> Result<(), String> {
        assert_eq!(preimage.payment_hash(), hash, "claimed with another's preimage");
        let mut state = self.state();
        let trap = std::mem::take(&mut state.trap);
        assert!(trap != Trap::DieBeforeClaim, "{CRASH}");
        if state.claims_fail || !state.records.contains_key(&hash) {
            return Err("not now".into());
        }
        // Of one that is gone or claimed LDK says nothing, and does nothing.
        if let Some(at) = state.incoming.iter().position(|payment| payment.hash == hash) {
            let payment = state.incoming.remove(at);
            if payment.part_since.is_some() {
                state.orphaned.push(hash);
                return Ok(());
            }
            state.claimed.entry(hash).or_default().push(payment.amount);
            let record = self.new_record(hash, Direction::Inbound, RecordStatus::Succeeded, payment.amount);
            state.records.insert(hash, record);
            let told = NodeEvent::Received { hash, offer: None, amount: payment.amount };
            if state.whispers { state.hidden.push_back(told) } else { state.events.push_back(told) }
        }
        drop(state);
        assert!(trap != Trap::DieAfterClaim, "{CRASH}");
        Ok(())
    }

    pub(super) fn refuse_held(&self, hash: PaymentHash) -> Result<(), String> {
        let mut state = self.state();
        let Some(record) = state.records.get_mut(&hash) else {
            return Err("unknown".into());
        };
        if record.status != RecordStatus::Succeeded {
            record.status = RecordStatus::Failed;
            state.incoming.retain(|payment| payment.hash != hash);
        }
        Ok(())
    }
}

/// Whether the node takes payments of this hash at all.
fn is_payable(state: &State, hash: PaymentHash) -> bool {
    state.records.get(&hash).is_some_and(|record| {
        record.direction == Direction::Inbound && record.status != RecordStatus::Succeeded
    })
}
