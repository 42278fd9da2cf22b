//! What the house's family talks to: a node whose payers learn the preimage, and whose pulse can be taken away.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bitcoin::Network;
use bitcoin::secp256k1::PublicKey;
use lightning_invoice::Bolt11Invoice;

use crate::ids::{PaymentHash, Preimage};
use crate::lightning::sim::Sim;
use crate::lightning::{
    Balances, Channel, ChannelOrder, Dispatch, InvoiceDescription, InvoiceError, InvoiceRequest, Lightning,
    NodeEvent, NodeStatus, Operator, OperatorError, PaymentRecord, Peer, SendingRoom,
};
use crate::money::Msat;

/// The simulated node, with what the family asks besides money.
pub(in crate::l402) struct FakeNode {
    pub(in crate::l402) sim: Arc<Sim>,
    pub(in crate::l402) running: AtomicBool,
    pub(super) inbound_msat: AtomicU64,
    /// What payers learn.
    pub(in crate::l402) preimages: Mutex<HashMap<PaymentHash, Preimage>>,
    /// The words of the invoices that were made, which those of the simulation lack.
    pub(super) words: Mutex<Vec<String>>,
    /// What it was told to forget.
    pub(super) forgotten: Mutex<HashSet<PaymentHash>>,
}

impl FakeNode {
    pub(in crate::l402) fn new(sim: Arc<Sim>) -> Self {
        let inbound_msat = AtomicU64::new(100_000_000_000);
        let running = AtomicBool::new(true);
        let (preimages, words, forgotten) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self { sim, running, inbound_msat, preimages, words, forgotten }
    }

    /// The invoices that it made and still knows.
    pub(super) fn known(&self) -> HashSet<PaymentHash> {
        let forgotten = self.forgotten.lock().unwrap();
        self.preimages.lock().unwrap().keys().filter(|hash| !forgotten.contains(hash)).copied().collect()
    }
}

impl Lightning for FakeNode {
    fn network(&self) -> Network {
        self.sim.network()
    }
    fn node_id(&self) -> Option<PublicKey> {
        self.sim.node_id()
    }
    fn is_running(&self) -> bool {
        self.running.load(Ordering::SeqCst)
    }
    fn create_invoice(&self, request: &InvoiceRequest) -> Result<Bolt11Invoice, InvoiceError> {
        if !self.is_running() {
            return Err(InvoiceError::NotRunning);
        }
        assert_eq!(request.hold, None, "the node claims by itself");
        if let InvoiceDescription::Text(text) = &request.description {
            self.words.lock().unwrap().push(text.clone());
        }
        let (invoice, preimage) = self.sim.invoice(request.amount.unwrap(), request.expiry);
        self.preimages.lock().unwrap().insert(preimage.payment_hash(), preimage);
        Ok(invoice)
    }
    fn claim(&self, hash: PaymentHash, amount: Msat, preimage: Preimage) -> Result<(), String> {
        self.sim.claim(hash, amount, preimage)
    }
    fn refuse(&self, hash: PaymentHash) -> Result<(), String> {
        self.sim.refuse(hash)
    }
    fn pay(&self, invoice: &Bolt11Invoice, max_fee: Msat) -> Dispatch {
        self.sim.pay(invoice, max_fee)
    }
    fn forget(&self, hash: PaymentHash) -> Result<(), String> {
        self.forgotten.lock().unwrap().insert(hash);
        self.sim.forget(hash)
    }
    fn record(&self, hash: PaymentHash) -> Option<PaymentRecord> {
        self.sim.record(hash)
    }
    fn succeeded_since(&self, since: u64) -> Vec<PaymentRecord> {
        self.sim.succeeded_since(since)
    }
    fn sending_room(&self) -> Vec<SendingRoom> {
        self.sim.sending_room()
    }
    fn channels_settled(&self) -> bool {
        true
    }
    fn block_height(&self) -> u32 {
        self.sim.block_height()
    }
    fn next_event(&self, wait: Duration) -> Option<NodeEvent> {
        self.sim.next_event(wait)
    }
    fn event_handled(&self) {
        self.sim.event_handled();
    }
    fn balances(&self) -> Balances {
        Balances { inbound_max_msat: self.inbound_msat.load(Ordering::SeqCst), ..Balances::default() }
    }
}

/// The family asks nothing of an operator's side.
impl Operator for FakeNode {
    fn status(&self) -> NodeStatus {
        NodeStatus {
            running: true,
            problem: None,
            node_id: None,
            network: Network::Regtest,
            block_height: 0,
            synced_at: None,
            fees_at: None,
        }
    }
    fn new_address(&self) -> Result<String, OperatorError> {
        Err(OperatorError::NotRunning)
    }
    fn connect(&self, _node_id: PublicKey, _address: &str) -> Result<(), OperatorError> {
        Err(OperatorError::NotRunning)
    }
    fn peers(&self) -> Vec<Peer> {
        Vec::new()
    }
    fn open_channel(&self, _order: &ChannelOrder) -> Result<String, OperatorError> {
        Err(OperatorError::NotRunning)
    }
    fn close_channel(&self, _id: &str, _force: bool) -> Result<(), OperatorError> {
        Err(OperatorError::NotRunning)
    }
    fn channels(&self) -> Vec<Channel> {
        Vec::new()
    }
    fn sync(&self) -> Result<(), OperatorError> {
        Err(OperatorError::NotRunning)
    }
}
