//! What the house's family talks to: a node whose pulse can be taken away.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bitcoin::secp256k1::PublicKey;
use bitcoin::{Network, Txid};
use lightning_invoice::Bolt11Invoice;

use crate::ids::{PaymentHash, Preimage};
use crate::lightning::sim::Sim;
use crate::lightning::{
    Balances, Channel, ChannelOrder, CoinDispatch, CoinOrder, CoinRecord, Dispatch, InvoiceDescription,
    InvoiceError, InvoiceRequest, Lightning, NodeEvent, NodeStatus, Offer, OfferRequest, Operator,
    OperatorError, PaymentRecord, Peer, SendingRoom, Waiting,
};
use crate::money::Msat;

/// The simulated node, with what the family asks besides money: whether it runs, what it can receive.
pub(super) struct FakeNode {
    pub(super) sim: Arc<Sim>,
    pub(super) running: AtomicBool,
    pub(super) inbound_msat: AtomicU64,
    /// It stops while it makes an invoice.
    pub(super) goes: AtomicBool,
    /// Nobody could ask it for the invoice of an offer.
    pub(super) hidden: AtomicBool,
    /// How long its offers are at least.
    pub(super) offer_chars: AtomicUsize,
    /// It takes a second to tell its balances.
    pub(super) slow: AtomicBool,
    /// The words of the invoices that were made, which those of the simulation lack.
    pub(super) words: Mutex<Vec<String>>,
}

impl FakeNode {
    pub(super) fn new(sim: Arc<Sim>) -> Self {
        let inbound_msat = AtomicU64::new(100_000_000_000);
        Self {
            sim,
            running: AtomicBool::new(true),
            inbound_msat,
            goes: AtomicBool::default(),
            hidden: AtomicBool::default(),
            offer_chars: AtomicUsize::default(),
            slow: AtomicBool::default(),
            words: Mutex::default(),
        }
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
        if self.goes.load(Ordering::SeqCst) {
            self.running.store(false, Ordering::SeqCst);
            return Err(InvoiceError::Refused("it is stopping".into()));
        }
        if let InvoiceDescription::Text(text) = &request.description {
            self.words.lock().unwrap().push(text.clone());
        }
        self.sim.create_invoice(request)
    }
    fn create_offer(&self, request: &OfferRequest) -> Result<Offer, InvoiceError> {
        if self.hidden.load(Ordering::SeqCst) {
            return Err(InvoiceError::Refused("nobody could reach us".into()));
        }
        self.words.lock().unwrap().push(request.description.clone());
        let mut offer = self.sim.create_offer(request)?;
        let missing = self.offer_chars.load(Ordering::SeqCst).saturating_sub(offer.text.len());
        offer.text.push_str(&"q".repeat(missing));
        Ok(offer)
    }
    fn claim(&self, hash: PaymentHash, amount: Msat, preimage: Preimage) -> Result<(), String> {
        self.sim.claim(hash, amount, preimage)
    }
    fn refuse(&self, hash: PaymentHash) -> Result<(), String> {
        self.sim.refuse(hash)
    }
    fn waiting(&self) -> Vec<Waiting> {
        self.sim.waiting()
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
    fn send_coins(&self, order: &CoinOrder) -> CoinDispatch {
        self.sim.send_coins(order)
    }
    fn coin_record(&self, order: &CoinOrder, txid: Option<Txid>) -> Result<Option<CoinRecord>, String> {
        self.sim.coin_record(order, txid)
    }
    fn balances(&self) -> Balances {
        if self.slow.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_secs(1));
        }
        Balances { inbound_max_msat: self.inbound_msat.load(Ordering::SeqCst), ..self.sim.balances() }
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
