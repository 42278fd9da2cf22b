//! Payments to us that are held: they come, are claimed, are refused, or go back without a word.

use std::collections::HashMap;

use lightning_invoice::Bolt11Invoice;

use super::{CRASH, Sim, State, Trap};
use crate::ids::{PaymentHash, Preimage};
use crate::ledger::charges::hash_of;
use crate::lightning::{Direction, NodeEvent, RecordStatus};
use crate::money::Msat;

/// Blocks for which a payment to us is held.
const HELD_FOR_BLOCKS: u32 = 6;

/// Somebody's payment that is held here.
#[derive(Clone, Debug)]
pub(super) struct Incoming {
    hash: PaymentHash,
    amount: Msat,
    deadline: u32,
}

impl State {
    /// Gives back what has waited until its deadline.
    pub(super) fn give_back_late(&mut self) {
        let height = self.height;
        self.incoming.retain(|payment| height < payment.deadline);
    }
}

impl Sim {
    /// Somebody pays an invoice with a hash of ours: the node holds the payment. `false` if it was refused at once,
    /// as ldk-node does with what it has no record of, or was paid before.
    pub fn hold(&self, invoice: &Bolt11Invoice, amount: Msat) -> bool {
        let hash = hash_of(invoice);
        let mut state = self.state();
        let payable = state.records.get(&hash).is_some_and(|record| {
            record.direction == Direction::Inbound && record.status != RecordStatus::Succeeded
        });
        if !payable || state.incoming.iter().any(|payment| payment.hash == hash) {
            return false;
        }
        let deadline = state.height + HELD_FOR_BLOCKS;
        state.incoming.push(Incoming { hash, amount, deadline });
        state.events.push_back(NodeEvent::Claimable { hash, amount, deadline: Some(deadline) });
        true
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
            state.claimed.entry(hash).or_default().push(payment.amount);
            let record = self.new_record(hash, Direction::Inbound, RecordStatus::Succeeded, payment.amount);
            state.records.insert(hash, record);
            let told = NodeEvent::Received { hash, amount: payment.amount };
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
