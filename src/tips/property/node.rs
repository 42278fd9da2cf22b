//! The node and the lightning address of a history.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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

/// The simulated node, which has room for whatever comes.
pub(super) struct SimNode(pub(super) Arc<Sim>);

impl Lightning for SimNode {
    fn network(&self) -> Network {
        self.0.network()
    }
    fn node_id(&self) -> Option<PublicKey> {
        self.0.node_id()
    }
    fn is_running(&self) -> bool {
        true
    }
    fn create_invoice(&self, request: &InvoiceRequest) -> Result<Bolt11Invoice, InvoiceError> {
        self.0.create_invoice(request)
    }
    fn claim(&self, hash: PaymentHash, amount: Msat, preimage: Preimage) -> Result<(), String> {
        self.0.claim(hash, amount, preimage)
    }
    fn refuse(&self, hash: PaymentHash) -> Result<(), String> {
        self.0.refuse(hash)
    }
    fn pay(&self, invoice: &Bolt11Invoice, max_fee: Msat) -> Dispatch {
        self.0.pay(invoice, max_fee)
    }
    fn forget(&self, hash: PaymentHash) -> Result<(), String> {
        self.0.forget(hash)
    }
    fn record(&self, hash: PaymentHash) -> Option<PaymentRecord> {
        self.0.record(hash)
    }
    fn succeeded_since(&self, since: u64) -> Vec<PaymentRecord> {
        self.0.succeeded_since(since)
    }
    fn sending_room(&self) -> Vec<SendingRoom> {
        self.0.sending_room()
    }
    fn channels_settled(&self) -> bool {
        true
    }
    fn block_height(&self) -> u32 {
        self.0.block_height()
    }
    fn next_event(&self, wait: Duration) -> Option<NodeEvent> {
        self.0.next_event(wait)
    }
    fn event_handled(&self) {
        self.0.event_handled();
    }
    fn balances(&self) -> Balances {
        Balances { inbound_max_msat: 1_000_000_000_000, ..Balances::default() }
    }
}

/// Nobody asks it anything.
impl Operator for SimNode {
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

/// The tipper's lightning address.
pub(super) struct Address {
    pub(super) sim: Arc<Sim>,
    pub(super) gives: AtomicBool,
}

impl Resolve for Address {
    fn invoice<'a>(&'a self, _: &'a str, amount: Msat) -> BoxFuture<'a, Result<Bolt11Invoice, String>> {
        let given = if self.gives.load(Ordering::SeqCst) {
            Ok(self.sim.invoice(amount, Duration::from_secs(3_600)).0)
        } else {
            Err("not today".into())
        };
        std::future::ready(given).boxed()
    }
}
