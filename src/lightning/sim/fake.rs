//! The simulated node as the families' tests need it: with what they ask besides money, and switches for it.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bitcoin::secp256k1::PublicKey;
use bitcoin::{Network, Txid};
use lightning_invoice::Bolt11Invoice;

use super::Sim;
use crate::core::ids::{PaymentHash, Preimage};
use crate::core::money::Msat;
use crate::lightning::{
    Balances, Channel, ChannelOrder, ChannelRoom, CoinDispatch, CoinFate, CoinOrder, CoinRecord, Dispatch,
    Holdings, InvoiceDescription, InvoiceError, InvoiceRequest, Lightning, NodeEvent, NodeStatus, Offer,
    OfferDispatch, OfferKey, OfferOrder, OfferRecord, OfferRequest, Operator, OperatorError, Outbound,
    PaymentRecord, Peer, SendingRoom, Spent, Standing, Waiting,
};

/// What the channels can receive at first: a whole bitcoin.
const ROOM_MSAT: u64 = 100_000_000_000;

/// The simulated node, and what families ask of it besides money: whether it runs, what it can receive.
pub struct FakeNode {
    /// All that it does with money.
    pub sim: Arc<Sim>,
    /// Whether it runs; the simulation must run too.
    pub running: AtomicBool,
    /// The largest payment that can come in.
    pub inbound_msat: AtomicU64,
    /// What can be sent in all.
    pub outbound_msat: AtomicU64,
    /// The most that may be in flight outwards.
    pub in_flight_msat: AtomicU64,
    /// What must come in before anything can go out.
    pub missing_reserve_msat: AtomicU64,
    /// It stops while it makes an invoice.
    pub goes: AtomicBool,
    /// Nobody could ask it for the invoice of an offer.
    pub hidden: AtomicBool,
    /// How long its offers are at least.
    pub offer_chars: AtomicUsize,
    /// It takes a second to tell its balances.
    pub slow: AtomicBool,
    /// The invoices it was asked for.
    pub asked: Mutex<Vec<InvoiceRequest>>,
    /// Their words in clear, which the invoices of the simulation lack.
    pub words: Mutex<Vec<String>>,
    /// What payers of its invoices learn, where the hash is its own.
    pub preimages: Mutex<HashMap<PaymentHash, Preimage>>,
    /// What it was told to forget.
    pub forgotten: Mutex<HashSet<PaymentHash>>,
}

impl FakeNode {
    /// A node that runs.
    pub fn new(sim: Arc<Sim>) -> Self {
        Self {
            sim,
            running: AtomicBool::new(true),
            inbound_msat: AtomicU64::new(ROOM_MSAT),
            outbound_msat: AtomicU64::new(ROOM_MSAT),
            in_flight_msat: AtomicU64::new(ROOM_MSAT),
            missing_reserve_msat: AtomicU64::new(0),
            goes: AtomicBool::default(),
            hidden: AtomicBool::default(),
            offer_chars: AtomicUsize::default(),
            slow: AtomicBool::default(),
            asked: Mutex::default(),
            words: Mutex::default(),
            preimages: Mutex::default(),
            forgotten: Mutex::default(),
        }
    }

    /// The invoices with hashes of its own that it still knows.
    pub fn known(&self) -> HashSet<PaymentHash> {
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
        self.running.load(Ordering::SeqCst) && self.sim.is_running()
    }

    fn create_invoice(&self, request: &InvoiceRequest) -> Result<Bolt11Invoice, InvoiceError> {
        if !self.is_running() {
            return Err(InvoiceError::NotRunning);
        }
        if self.goes.load(Ordering::SeqCst) {
            self.running.store(false, Ordering::SeqCst);
            return Err(InvoiceError::Refused("it is stopping".into()));
        }
        self.asked.lock().unwrap().push(request.clone());
        if let InvoiceDescription::Text(text) = &request.description {
            self.words.lock().unwrap().push(text.clone());
        }
        if request.hold.is_some() {
            return self.sim.create_invoice(request);
        }
        let (invoice, preimage) = self.sim.invoice(request.amount.unwrap_or(Msat::ZERO), request.expiry);
        self.preimages.lock().unwrap().insert(preimage.payment_hash(), preimage);
        Ok(invoice)
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

    fn pay(&self, invoice: &Bolt11Invoice, amount: Msat, max_fee: Msat) -> Dispatch {
        self.sim.pay(invoice, amount, max_fee)
    }

    fn pay_to_offer(&self, order: &OfferOrder) -> OfferDispatch {
        self.sim.pay_to_offer(order)
    }

    fn offer_record(&self, key: OfferKey<'_>) -> Option<OfferRecord> {
        self.sim.offer_record(key)
    }

    fn forget_unsent_offers(&self, note: &str) -> Result<(), String> {
        self.sim.forget_unsent_offers(note)
    }

    fn has_trace_of(&self, key: OfferKey<'_>) -> Result<bool, &'static str> {
        self.sim.has_trace_of(key)
    }

    fn forget(&self, hash: PaymentHash) -> Result<(), String> {
        self.forgotten.lock().unwrap().insert(hash);
        self.sim.forget(hash)
    }

    fn standings(&self, payments: &[Outbound]) -> Vec<Standing> {
        self.sim.standings(payments)
    }

    fn left(&self, hash: PaymentHash, at_least: Msat) -> Option<Msat> {
        self.sim.left(hash, at_least)
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

    fn channel_rooms(&self) -> Vec<ChannelRoom> {
        if self.slow.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_secs(1));
        }
        let inbound_msat = self.inbound_msat.load(Ordering::SeqCst);
        vec![ChannelRoom {
            usable: true,
            missing_reserve_msat: self.missing_reserve_msat.load(Ordering::SeqCst),
            outbound_msat: self.outbound_msat.load(Ordering::SeqCst),
            in_flight_max_msat: self.in_flight_msat.load(Ordering::SeqCst),
            now_max_msat: self.outbound_msat.load(Ordering::SeqCst),
            inbound_msat,
            inbound_in_flight_max_msat: inbound_msat,
            ..ChannelRoom::default()
        }]
    }

    fn channels_settled(&self) -> bool {
        self.sim.channels_settled()
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

    fn coin_fee_rate(&self) -> Result<u64, String> {
        self.sim.coin_fee_rate()
    }

    fn wallet_coins(&self) -> Result<Vec<u64>, String> {
        self.sim.wallet_coins()
    }

    fn coin_fate(&self, order: &CoinOrder, txid: Option<Txid>) -> Result<CoinFate, String> {
        self.sim.coin_fate(order, txid)
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

    fn holdings(&self) -> Result<Holdings, String> {
        self.sim.holdings()
    }

    fn spent_by(&self, txid: Txid) -> Result<Option<Vec<Spent>>, String> {
        self.sim.spent_by(txid)
    }
}

/// Families ask nothing of an operator's side.
impl Operator for FakeNode {
    fn status(&self) -> NodeStatus {
        NodeStatus {
            running: self.is_running(),
            problem: None,
            node_id: self.node_id(),
            network: self.network(),
            block_height: self.block_height(),
            synced_at: None,
            fees_at: None,
        }
    }

    fn new_address(&self) -> Result<String, OperatorError> {
        Err(OperatorError::NotRunning)
    }

    fn connect(&self, _: PublicKey, _: &str) -> Result<(), OperatorError> {
        Err(OperatorError::NotRunning)
    }

    fn peers(&self) -> Vec<Peer> {
        Vec::new()
    }

    fn open_channel(&self, _: &ChannelOrder) -> Result<String, OperatorError> {
        Err(OperatorError::NotRunning)
    }

    fn close_channel(&self, _: &str, _: bool) -> Result<(), OperatorError> {
        Err(OperatorError::NotRunning)
    }

    fn channels(&self) -> Vec<Channel> {
        Vec::new()
    }

    fn sync(&self) -> Result<(), OperatorError> {
        Err(OperatorError::NotRunning)
    }
}
