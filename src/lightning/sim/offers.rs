//! Offers of the node in memory, and payments to them.

use bitcoin::hashes::{Hash, sha256};

use super::{Sim, State};
use crate::core::ids::{OfferId, PaymentHash};
use crate::core::money::Msat;
use crate::lightning::{Direction, NodeEvent, Offer, RecordStatus};

impl State {
    /// Of what came, the newest that nobody has been told of are never told.
    fn lose_received(&mut self, count: usize) {
        for _ in 0..count {
            let newest = self.events.iter().rposition(|event| matches!(event, NodeEvent::Received { .. }));
            if let Some(at) = newest {
                self.events.remove(at);
            }
        }
    }
}

impl Sim {
    pub(super) fn offer(&self) -> Offer {
        let seed = {
            let mut state = self.state();
            state.next_seed += 1;
            state.next_seed
        };
        let id = OfferId(sha256::Hash::hash(&seed.to_le_bytes()).to_byte_array());
        Offer { id, text: format!("lno1{id}") }
    }

    /// Somebody asks for an invoice for an offer and pays it: the node has it, and then tells.
    pub fn pay_offer(&self, offer: OfferId, amount: Msat) -> PaymentHash {
        let hash = {
            let mut state = self.state();
            state.next_seed += 1;
            PaymentHash(
                sha256::Hash::hash(&[&offer.0[..], &state.next_seed.to_le_bytes()].concat()).to_byte_array(),
            )
        };
        let mut record = self.new_record(hash, Direction::Inbound, RecordStatus::Succeeded, amount);
        record.offer = Some(offer);
        let mut state = self.state();
        state.records.insert(hash, record);
        // As in ldk-node, the event doesn't name the offer: the record does, when the event is read.
        let told = NodeEvent::Received { hash, offer: None, amount };
        if state.whispers {
            state.hidden.push_back(told)
        } else {
            state.events.push_back(told)
        }
        hash
    }

    /// The process dies as in [`Sim::restart`], and its queue comes back without the newest of what came.
    pub fn restart_losing_received(&self, count: usize) {
        self.tell_all();
        self.state().lose_received(count);
        self.restart(0, 0);
    }
}
