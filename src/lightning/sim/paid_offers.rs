//! Payments to others' offers, of the node in memory.

use bitcoin::hashes::{Hash, sha256};

use super::{CRASH, Sim, Trap};
use crate::ids::PaymentHash;
use crate::lightning::{NodeEvent, OfferDispatch, OfferKey, OfferOrder, OfferRecord, RecordStatus};
use crate::money::Msat;

/// A payment to an offer that left the node.
#[derive(Clone, Debug)]
pub(super) struct ToOffer {
    record: OfferRecord,
    amount: Msat,
    /// The node wrote it down.
    recorded: bool,
    arrived: bool,
    over: bool,
}

impl Sim {
    /// What has really arrived by offers, by note, in order.
    pub fn arrived_by_offer(&self) -> Vec<(String, Msat)> {
        let state = self.state();
        let arrived = state.to_offers.iter().filter(|sent| sent.arrived);
        arrived.map(|sent| (sent.record.note.clone().unwrap(), sent.amount)).collect()
    }

    /// How many payments to offers are under way.
    pub fn under_way_to_offers(&self) -> usize {
        self.state().to_offers.iter().filter(|sent| !sent.over).count()
    }

    /// Ends the oldest payment to an offer that is under way. One that fails never got an invoice.
    pub fn resolve_offer(&self, arrives: bool, fee: Msat) {
        let mut state = self.state();
        let Some(sent) = state.to_offers.iter_mut().find(|sent| !sent.over) else { return };
        (sent.over, sent.arrived) = (true, arrives);
        let payment_id = sent.record.payment_id;
        let event = if arrives {
            let hash = PaymentHash(sha256::Hash::hash(&payment_id).to_byte_array());
            sent.record.hash = Some(hash);
            (sent.record.status, sent.record.fee) = (RecordStatus::Succeeded, Some(fee));
            NodeEvent::Sent { hash, payment_id, preimage: None, fee }
        } else {
            sent.record.status = RecordStatus::Failed;
            NodeEvent::Failed { hash: None, payment_id, reason: "no invoice came".into() }
        };
        state.events.push_back(event);
    }

    /// The node loses its records of payments to offers; the payments go on.
    pub fn forget_offers(&self) {
        self.state().to_offers.iter_mut().for_each(|sent| sent.recorded = false);
    }

    pub(super) fn send_to_offer(&self, order: &OfferOrder) -> OfferDispatch {
        let mut state = self.state();
        let trap = std::mem::take(&mut state.trap);
        assert!(trap != Trap::DieBefore, "{CRASH}");
        if state.no_route {
            return OfferDispatch::NotSent { why: "no way to ask".into(), retry: true };
        }
        let payment_id = sha256::Hash::hash(&[b"offer", &state.to_offers.len().to_be_bytes()[..]].concat());
        let payment_id = payment_id.to_byte_array();
        let record = OfferRecord {
            payment_id,
            note: Some(order.note.clone()),
            hash: None,
            status: RecordStatus::Pending,
            fee: None,
            preimage: None,
        };
        let recorded = trap != Trap::SayPersistenceFailed;
        state.to_offers.push(ToOffer { record, amount: order.amount, recorded, arrived: false, over: false });
        if trap == Trap::DieAfter {
            drop(state);
            panic!("{CRASH}");
        }
        if recorded {
            OfferDispatch::Sent(payment_id)
        } else {
            OfferDispatch::Ambiguous("could not write".into())
        }
    }

    pub(super) fn sent_to_offer(&self, key: OfferKey<'_>) -> Option<OfferRecord> {
        let state = self.state();
        let mut recorded = state.to_offers.iter().filter(|sent| sent.recorded);
        let found = recorded.find(|sent| match key {
            OfferKey::Note(note) => sent.record.note.as_deref() == Some(note),
            OfferKey::Payment(id) => sent.record.payment_id == id,
        });
        found.map(|sent| sent.record.clone())
    }
}
