//! Payments to others' offers, of the node in memory: first the node asks the offer's maker for an invoice, then it
//! pays that one, whose hash nobody knew before.

use bitcoin::hashes::{Hash, sha256};

use super::{CRASH, Sim, State, Trap};
use crate::core::ids::{PaymentHash, Preimage};
use crate::core::money::Msat;
use crate::lightning::{NodeEvent, OfferDispatch, OfferKey, OfferOrder, OfferRecord, RecordStatus};

/// A payment to an offer that the node was asked for.
#[derive(Clone, Debug)]
pub(super) struct ToOffer {
    record: OfferRecord,
    amount: Msat,
    max_fee: Msat,
    /// The hash of the invoice that comes, or will.
    hash: PaymentHash,
    /// The invoice came, and was paid.
    invoiced: bool,
    /// The node wrote it down.
    recorded: bool,
    /// The node has nothing to do with it any more.
    over: bool,
}

impl ToOffer {
    fn is_meant(&self, key: OfferKey<'_>) -> bool {
        match key {
            OfferKey::Note(note) => self.record.note.as_deref() == Some(note),
            OfferKey::Payment(id) => self.record.payment_id == id,
        }
    }
}

impl State {
    /// The node's id of a payment that ended; its record says so if it is of an offer.
    pub(super) fn end_offer(&mut self, hash: PaymentHash, arrives: bool, fee: Msat) -> [u8; 32] {
        let Some(sent) = self.to_offers.iter_mut().find(|sent| sent.invoiced && sent.hash == hash) else {
            return hash.0;
        };
        sent.over = true;
        sent.record.hash = Some(hash);
        sent.record.fee = arrives.then_some(fee);
        sent.record.status = if arrives { RecordStatus::Succeeded } else { RecordStatus::Failed };
        sent.record.payment_id
    }

    /// The payment hash of an id, if it is of an offer.
    pub(super) fn hash_of_offer(&self, id: [u8; 32]) -> PaymentHash {
        let found = self.to_offers.iter().find(|sent| sent.record.payment_id == id);
        found.map_or(PaymentHash(id), |sent| sent.hash)
    }

    pub(super) fn forget_offer(&mut self, id: [u8; 32]) {
        for sent in self.to_offers.iter_mut().filter(|sent| sent.record.payment_id == id) {
            sent.recorded = false;
        }
    }

    /// The process died: what was being paid and not on a channel yet waits for its invoice again.
    pub(super) fn ask_offers_again(&mut self) {
        let live: Vec<_> = self.htlcs.iter().map(|htlc| htlc.hash).collect();
        let (committed, on_chain) = (&self.committed, &self.on_chain);
        for sent in self.to_offers.iter_mut().filter(|sent| sent.invoiced && !sent.over) {
            let hash = sent.hash;
            let there = live.contains(&hash) || on_chain.iter().any(|htlc| htlc.is_of(hash));
            sent.invoiced = there || committed.contains(&hash);
        }
    }
}

impl Sim {
    /// What has really arrived by offers, by note, in order.
    pub fn arrived_by_offer(&self) -> Vec<(String, Msat)> {
        let state = self.state();
        let arrived = state.to_offers.iter().filter(|sent| state.delivered.contains_key(&sent.hash));
        arrived.map(|sent| (sent.record.note.clone().unwrap(), sent.amount)).collect()
    }

    /// How many payments to offers are under way.
    pub fn under_way_to_offers(&self) -> usize {
        self.state().to_offers.iter().filter(|sent| !sent.over).count()
    }

    /// Notes of payments to offers that wait for their invoice.
    pub fn asked_offers(&self) -> Vec<String> {
        let state = self.state();
        let asked = state.to_offers.iter().filter(|sent| !sent.over && !sent.invoiced);
        asked.map(|sent| sent.record.note.clone().unwrap()).collect()
    }

    /// The invoice for the payment with this note comes, and is paid.
    pub fn invoice_comes(&self, note: &str) {
        let mut state = self.state();
        let waiting =
            |sent: &&mut ToOffer| !sent.over && !sent.invoiced && sent.record.note.as_deref() == Some(note);
        let Some(sent) = state.to_offers.iter_mut().find(waiting) else { return };
        sent.invoiced = true;
        let (hash, amount, max_fee) = (sent.hash, sent.amount, sent.max_fee);
        state
            .preimages
            .insert(hash, Preimage(sha256::Hash::hash(&[&hash.0[..], b"?"].concat()).to_byte_array()));
        state.limits.push(max_fee);
        // As with invoices: the last channel takes no less.
        let pays = amount.max(state.minimum);
        let more = pays.saturating_sub(amount);
        if max_fee < more {
            let payment_id = state.end_offer(hash, false, Msat::ZERO);
            let reason = "no route".to_owned();
            state.events.push_back(NodeEvent::Failed { hash: Some(hash), payment_id, reason });
            return;
        }
        self.add_htlc(&mut state, hash, pays, max_fee.saturating_sub(more));
    }

    /// The maker of the offer does not answer the payment with this note.
    pub fn no_invoice_comes(&self, note: &str) {
        let mut state = self.state();
        let waiting =
            |sent: &&mut ToOffer| !sent.over && !sent.invoiced && sent.record.note.as_deref() == Some(note);
        let Some(sent) = state.to_offers.iter_mut().find(waiting) else { return };
        (sent.over, sent.record.status) = (true, RecordStatus::Failed);
        let payment_id = sent.record.payment_id;
        let reason = "no invoice came".to_owned();
        state.events.push_back(NodeEvent::Failed { hash: None, payment_id, reason });
    }

    /// Ends the oldest payment to an offer that is under way. One that fails never got an invoice.
    pub fn resolve_offer(&self, arrives: bool, fee: Msat) {
        let oldest = {
            let state = self.state();
            let live = state.to_offers.iter().find(|sent| !sent.over);
            live.map(|sent| (sent.record.note.clone().unwrap(), sent.hash))
        };
        let Some((note, hash)) = oldest else { return };
        if !arrives {
            return self.no_invoice_comes(&note);
        }
        self.invoice_comes(&note);
        self.commit_all();
        self.resolve(hash, true, fee);
    }

    /// The node loses its records of payments to offers; the payments go on.
    pub fn forget_offers(&self) {
        self.state().to_offers.iter_mut().for_each(|sent| sent.recorded = false);
    }

    /// The node has not written down some of those that wait for their invoice, before it dies.
    pub fn lose_asked_offers(&self, which: impl Fn(usize) -> bool) {
        let mut state = self.state();
        let asked = state.to_offers.iter_mut().filter(|sent| !sent.over && !sent.invoiced);
        for (_, sent) in asked.enumerate().filter(|(number, _)| which(*number)) {
            sent.over = true;
        }
    }

    /// The records of calls that sent nothing.
    pub fn unsent_offers(&self) -> usize {
        self.state().unsent_offers.len()
    }

    pub(super) fn send_to_offer(&self, order: &OfferOrder) -> OfferDispatch {
        self.run_hook();
        let mut state = self.state();
        let trap = std::mem::take(&mut state.trap);
        assert!(trap != Trap::DieBefore, "{CRASH}");
        if state.no_route {
            state.unsent_offers.push(order.note.clone());
            return OfferDispatch::NotSent { why: "no way to ask".into(), retry: true };
        }
        let name =
            |what: &[u8]| sha256::Hash::hash(&[what, &state.to_offers.len().to_be_bytes()[..]].concat());
        let (payment_id, hash) = (name(b"offer").to_byte_array(), PaymentHash(name(b"paid").to_byte_array()));
        let record = OfferRecord {
            payment_id,
            note: Some(order.note.clone()),
            hash: None,
            status: RecordStatus::Pending,
            fee: None,
            preimage: None,
        };
        let recorded = trap != Trap::SayPersistenceFailed;
        state.to_offers.push(ToOffer {
            record,
            amount: order.amount,
            max_fee: order.max_fee,
            hash,
            invoiced: false,
            recorded,
            over: false,
        });
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
        let by_note = matches!(key, OfferKey::Note(_));
        let usable = |sent: &&ToOffer| {
            sent.recorded && sent.is_meant(key) && !(by_note && sent.record.status == RecordStatus::Failed)
        };
        self.state().to_offers.iter().find(usable).map(|sent| sent.record.clone())
    }

    /// The manager has what has not ended, and a monitor what was ever on a channel.
    pub(super) fn traced(&self, key: OfferKey<'_>) -> bool {
        let state = self.state();
        let traced = |sent: &ToOffer| !sent.over || state.committed.contains(&sent.hash);
        state.to_offers.iter().any(|sent| sent.is_meant(key) && traced(sent))
    }
}
