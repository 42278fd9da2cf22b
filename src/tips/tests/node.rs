//! What the house's family talks to: a node whose pulse can be taken away, and lightning addresses.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bitcoin::Network;
use bitcoin::secp256k1::PublicKey;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use lightning_invoice::Bolt11Invoice;

use crate::ids::{PaymentHash, Preimage};
use crate::lightning::sim::Sim;
use crate::lightning::{
    Balances, Channel, ChannelOrder, Dispatch, InvoiceError, InvoiceRequest, Lightning, NodeEvent,
    NodeStatus, Operator, OperatorError, PaymentRecord, Peer, SendingRoom,
};
use crate::money::Msat;
use crate::vouchers::returns::Resolve;

/// The simulated node, with what the family asks besides money: whether it runs, what it can receive.
pub(super) struct FakeNode {
    pub(super) sim: Arc<Sim>,
    pub(super) running: AtomicBool,
    pub(super) inbound_msat: AtomicU64,
    pub(super) asked: Mutex<Vec<InvoiceRequest>>,
}

impl FakeNode {
    pub(super) fn new(sim: Arc<Sim>) -> Self {
        let inbound_msat = AtomicU64::new(100_000_000_000);
        Self { sim, running: AtomicBool::new(true), inbound_msat, asked: Mutex::default() }
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
        self.asked.lock().unwrap().push(request.clone());
        self.sim.create_invoice(request)
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

/// Lightning addresses, which give invoices of the simulated network until they are told to refuse.
pub(super) struct FakeAddresses {
    pub(super) sim: Arc<Sim>,
    pub(super) refuse: AtomicBool,
    pub(super) asked: Mutex<Vec<(String, u64)>>,
}

impl FakeAddresses {
    pub(super) fn new(sim: Arc<Sim>) -> Self {
        Self { sim, refuse: AtomicBool::new(false), asked: Mutex::default() }
    }

    /// What amounts, in sat, were asked for since the last look.
    pub(super) fn asked_for(&self) -> Vec<u64> {
        self.asked.lock().unwrap().drain(..).map(|(_, sat)| sat).collect()
    }
}

impl Resolve for FakeAddresses {
    fn invoice<'a>(&'a self, address: &'a str, amount: Msat) -> BoxFuture<'a, Result<Bolt11Invoice, String>> {
        async move {
            self.asked.lock().unwrap().push((address.to_owned(), amount.sat_floor()));
            if self.refuse.load(Ordering::SeqCst) {
                return Err("out of range".into());
            }
            let (invoice, _) = self.sim.invoice(amount, Duration::from_secs(3_600));
            Ok(invoice)
        }
        .boxed()
    }
}
