//! What the rest of the house needs from a Lightning node, and nothing of how one is built.
//!
//! [`Lightning`] is what moves money; the ledger is its only caller on that side. [`Operator`] is what
//! the person who runs the node does by hand. [`ldk`] implements both on ldk-node and is the only room
//! that names it; `sim` is a node in memory for property tests, with every misbehaviour a real one has.
//!
//! Both traits are synchronous, because every call into ldk-node blocks. Async callers go through
//! [`Node`], which moves each call to a thread that may wait.

mod capacity;
mod coins;
pub mod invoice;
pub mod ldk;
mod node;
mod offer;
#[cfg(test)]
pub mod sim;

use std::time::Duration;

use bitcoin::secp256k1::PublicKey;
use bitcoin::{Network, Txid};
use lightning_invoice::Bolt11Invoice;
use serde::Serialize;

use crate::ids::{OfferId, PaymentHash, Preimage};
use crate::money::Msat;

#[cfg(test)]
pub(crate) use capacity::Ages;
pub use capacity::{Capacity, NoCapacity};
pub use coins::{CoinDispatch, CoinOrder, CoinRecord};
pub use node::{Draft, Node};
pub use offer::{Offer, OfferRequest};

/// An invoice to create.
#[derive(Clone, Debug)]
pub struct InvoiceRequest {
    /// What the payer pays; `None` leaves it to them.
    pub amount: Option<Msat>,
    /// What the payer reads, or the hash of what they read elsewhere (LNURL-pay metadata).
    pub description: InvoiceDescription,
    /// How long it can be paid.
    pub expiry: Duration,
    /// Asks for payments of this hash, whose preimage the caller knows and the node doesn't: each is held and
    /// told of by [`NodeEvent::Claimable`]. `None` for a hash of the node's own, claimed by itself.
    pub hold: Option<PaymentHash>,
}

/// The description field of a BOLT11 invoice.
#[derive(Clone, Debug)]
pub enum InvoiceDescription {
    /// In clear, at most 639 bytes.
    Text(String),
    /// SHA-256 of a text known to the payer.
    Hash([u8; 32]),
}

/// Why no invoice was created.
#[derive(Debug, Clone, thiserror::Error)]
pub enum InvoiceError {
    /// The node isn't running yet, or not any more. Try again.
    #[error("the node is not running")]
    NotRunning,
    /// The node refused: description too long, or it could not write.
    #[error("the node could not create an invoice: {0}")]
    Refused(String),
}

/// How a call of [`Lightning::pay`] ended, by what the caller may conclude. The names are what the
/// ledger decides by, so the implementation must put every error of its node into the right one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dispatch {
    /// The node took it: a [`NodeEvent`] for this hash will come.
    Sent,
    /// The node refused before anything left it: this call sent nothing. Whether an earlier call for the
    /// same hash did is another matter, which the caller must know.
    NotSent(Refusal),
    /// The node says that it knows this hash already: this call sent nothing. Whether an earlier one did, and
    /// is under way or over, only an event or a later look decides.
    Known,
    /// Nobody can tell from this answer whether an HTLC is under way: the node failed while writing. Only an
    /// event, or a later look, decides.
    Ambiguous(String),
}

/// Why the node refused to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// No route now: also when all slots are taken or dust is rationed. Wait and try again.
    NoRoute,
    /// The invoice can't be paid: expired, without amount, or of another network.
    BadInvoice(String),
    /// The node isn't running. Try again.
    NotRunning,
}

/// What the node itself remembers of a payment. Never the authority: a hint for recovery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentRecord {
    /// Its hash.
    pub hash: PaymentHash,
    /// The BOLT12 offer it answers, if it does.
    pub offer: Option<OfferId>,
    /// Ours out, or somebody's in.
    pub direction: Direction,
    /// How far it is, by the node.
    pub status: RecordStatus,
    /// Amount, if known.
    pub amount: Option<Msat>,
    /// Routing fee paid, for outbound ones that succeeded.
    pub fee: Option<Msat>,
    /// Known once it succeeded.
    pub preimage: Option<Preimage>,
    /// Unix seconds of the last change.
    pub updated_at: u64,
}

/// Which way a payment goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// To us.
    Inbound,
    /// From us.
    Outbound,
}

/// The node's own idea of a payment's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordStatus {
    /// Not over.
    Pending,
    /// Settled.
    Succeeded,
    /// Over, without success.
    Failed,
}

/// Something that happened on the node. The same event may come more than once, until
/// [`Lightning::event_handled`] has returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeEvent {
    /// An outbound payment arrived: final.
    Sent {
        /// Which.
        hash: PaymentHash,
        /// The receipt.
        preimage: Option<Preimage>,
        /// Routing fee paid.
        fee: Msat,
    },
    /// An outbound payment is over without having arrived: every HTLC of it is gone. Final.
    Failed {
        /// Which; BOLT12 payments can fail before they have a hash.
        hash: Option<PaymentHash>,
        /// The node's id of the payment: the hash for BOLT11, random for BOLT12.
        payment_id: [u8; 32],
        /// The node's words for why.
        reason: String,
    },
    /// Money came in.
    Received {
        /// For which invoice; of a BOLT12 offer, one that nobody knew before.
        hash: PaymentHash,
        /// For which offer, as long as the node has a record of the payment.
        offer: Option<OfferId>,
        /// What really came, which may be more than was asked.
        amount: Msat,
    },
    /// A payment for an invoice with [`InvoiceRequest::hold`] is held until it is claimed or refused, or until
    /// the node gives it back, which it does without a word.
    Claimable {
        /// For which invoice.
        hash: PaymentHash,
        /// What would come, which may be more than was asked.
        amount: Msat,
        /// The block height at which the node gives it back, if it knows.
        deadline: Option<u32>,
    },
    /// A channel changed: opened, ready, closed. For the log, the counters and the dispatcher.
    Channel(ChannelNews),
    /// Nothing the ledger cares about.
    Other(String),
}

/// What happened to a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChannelNews {
    /// Funding transaction made, waiting for confirmations.
    Pending {
        /// Its id, hex.
        channel: String,
    },
    /// Usable.
    Ready {
        /// Its id, hex.
        channel: String,
    },
    /// Gone, with the node's words for why.
    Closed {
        /// Its id, hex.
        channel: String,
        /// Why.
        reason: String,
    },
}

/// A payment to us that lies in the channels, neither claimed nor given back. Whether more of it is to come, only
/// time tells: the node gives back what isn't complete within minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// For which invoice; not every one is ours.
    pub hash: PaymentHash,
    /// What is there of it, to about a sat for each part.
    pub amount: Msat,
    /// The block height at which the node gives it back.
    pub deadline: u32,
}

/// What one channel can send right now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendingRoom {
    /// Smallest HTLC it takes now (rises while dust is rationed).
    pub min: Msat,
    /// Largest HTLC it takes now (nothing while all slots are taken).
    pub max: Msat,
}

/// Sums over all channels and the wallet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Balances {
    /// All we own in channels, in msat, counting what can't be sent now.
    pub lightning_msat: u64,
    /// What all usable channels together could send, in msat.
    pub outbound_msat: u64,
    /// What all usable channels together could receive, in msat.
    pub inbound_msat: u64,
    /// The largest single payment that could come in, in msat.
    pub inbound_max_msat: u64,
    /// Confirmed and unconfirmed coins in the wallet, in sat.
    pub onchain_sat: u64,
    /// Coins that may be spent, in sat: without the reserve for closing channels.
    pub onchain_spendable_sat: u64,
    /// Coins kept back for closing channels, in sat.
    pub onchain_reserve_sat: u64,
}

/// How far the node is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeStatus {
    /// Running and able to take calls.
    pub running: bool,
    /// Why not, when it isn't: what the last attempt to start said.
    pub problem: Option<String>,
    /// Known once built.
    pub node_id: Option<PublicKey>,
    /// Which chain.
    pub network: Network,
    /// Best block the node knows.
    pub block_height: u32,
    /// Unix seconds of the last complete look at the chain.
    pub synced_at: Option<u64>,
    /// Unix seconds of the last fee estimate.
    pub fees_at: Option<u64>,
}

/// The part of a node that moves money. Implementations must be safe to call from many threads; every
/// call may block.
pub trait Lightning: Send + Sync + 'static {
    /// Which chain the node is on; fixed.
    fn network(&self) -> Network;

    /// The node's public key, once known.
    fn node_id(&self) -> Option<PublicKey>;

    /// Whether calls can succeed now.
    fn is_running(&self) -> bool;

    /// A new invoice. Unless it asks for [`InvoiceRequest::hold`], a payment to it is claimed without further
    /// asking, even after a crash, and even if the node has lost its own record of it: the caller must have
    /// written its hash down durably before showing it to anybody. If it asks for that, and the record is lost,
    /// a payment goes back.
    ///
    /// # Errors
    /// [`InvoiceError`].
    fn create_invoice(&self, request: &InvoiceRequest) -> Result<Bolt11Invoice, InvoiceError>;

    /// A new BOLT12 offer. The node doesn't write it down and makes an invoice for whoever asks for one until it
    /// expires, each with a hash of its own, of which nobody hears before it is paid. Such a payment is claimed
    /// without further asking: the caller must have written the offer down durably before showing it to anybody. A
    /// node that makes no offers refuses.
    ///
    /// # Errors
    /// [`InvoiceError`]; also refused while nobody could reach the node to ask for an invoice.
    fn create_offer(&self, _request: &OfferRequest) -> Result<Offer, InvoiceError> {
        Err(InvoiceError::Refused("this node makes no offers".into()))
    }

    /// Takes a held payment. Once this has returned well, it is ours durably if the node still had it, and
    /// [`NodeEvent::Received`] follows; if not, nothing happens, and nothing tells. Doing it again is harmless.
    ///
    /// Crash behaviour: claimed or still held. The caller must have durably noted that it would be.
    ///
    /// # Errors
    /// A text for the log: nothing was claimed, and a later try may do it.
    fn claim(&self, hash: PaymentHash, amount: Msat, preimage: Preimage) -> Result<(), String>;

    /// Gives a held payment back to its payer. Of one that is claimed or gone nothing changes.
    ///
    /// # Errors
    /// A text for the log: the node gives it back by itself at its deadline.
    fn refuse(&self, hash: PaymentHash) -> Result<(), String>;

    /// Payments that lie in the channels, without those that are too small for an output of their own. A node that
    /// can't tell says nothing.
    fn waiting(&self) -> Vec<Waiting> {
        Vec::new()
    }

    /// Starts to pay.
    ///
    /// Crash behaviour: may or may not have been sent. The caller must have durably noted that it would.
    fn pay(&self, invoice: &Bolt11Invoice, max_fee: Msat) -> Dispatch;

    /// Makes the node forget its record of an outbound payment, so that [`Lightning::pay`] asks its
    /// channels instead of its record. HTLCs under way are not touched.
    ///
    /// # Errors
    /// A text for the log, if the node could not write.
    fn forget(&self, hash: PaymentHash) -> Result<(), String>;

    /// What the node remembers of a hash.
    fn record(&self, hash: PaymentHash) -> Option<PaymentRecord>;

    /// What came or went to its end well and was changed since (unix seconds), for the sweep.
    fn succeeded_since(&self, since: u64) -> Vec<PaymentRecord>;

    /// The usable channels' room to send, for the dispatcher's gate.
    fn sending_room(&self) -> Vec<SendingRoom>;

    /// Whether every channel that is open is also usable: peers back, nothing held up. Until then a look
    /// whether an old payment is still under way can't be trusted to find a route.
    fn channels_settled(&self) -> bool;

    /// The best block the node knows.
    fn block_height(&self) -> u32;

    /// The head of the event queue, waiting at most so long. The same one again until it is handled.
    fn next_event(&self, wait: Duration) -> Option<NodeEvent>;

    /// Removes the head of the event queue, durably.
    fn event_handled(&self);

    /// Sends coins of the wallet to an address, the reserve for closing channels left alone. A node without a
    /// wallet sends none.
    ///
    /// Crash behaviour: may or may not have been sent. The caller must have durably noted that it would be, and
    /// must not send anything else before [`Lightning::coin_record`] has found the last: until the wallet has
    /// seen it, it spends the same coins again.
    fn send_coins(&self, _order: &CoinOrder) -> CoinDispatch {
        CoinDispatch::NotSent("this node has no wallet".into())
    }

    /// What the wallet knows of a transaction that pays an order, by its name or by what it pays. `None`: it has
    /// seen none, which doesn't say that there is none.
    ///
    /// # Errors
    /// A text for the log: the wallet could not be read.
    fn coin_record(&self, _order: &CoinOrder, _txid: Option<Txid>) -> Result<Option<CoinRecord>, String> {
        Ok(None)
    }

    /// Sums.
    fn balances(&self) -> Balances;
}

/// What an operator asks of the node by hand.
pub trait Operator: Send + Sync + 'static {
    /// How far it is.
    fn status(&self) -> NodeStatus;

    /// A fresh on-chain address.
    ///
    /// # Errors
    /// [`OperatorError`].
    fn new_address(&self) -> Result<String, OperatorError>;

    /// Connects to `node_id@address` and keeps connected.
    ///
    /// # Errors
    /// [`OperatorError`].
    fn connect(&self, node_id: PublicKey, address: &str) -> Result<(), OperatorError>;

    /// Peers known.
    fn peers(&self) -> Vec<Peer>;

    /// Opens a channel; returns our own id of it.
    ///
    /// # Errors
    /// [`OperatorError`].
    fn open_channel(&self, order: &ChannelOrder) -> Result<String, OperatorError>;

    /// Closes a channel by either of its ids.
    ///
    /// # Errors
    /// [`OperatorError`].
    fn close_channel(&self, id: &str, force: bool) -> Result<(), OperatorError>;

    /// Channels open or opening.
    fn channels(&self) -> Vec<Channel>;

    /// Looks at the chain now, and returns when done.
    ///
    /// # Errors
    /// [`OperatorError`].
    fn sync(&self) -> Result<(), OperatorError>;
}

/// Why an operator's call failed, with what to do.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OperatorError {
    /// The node isn't running.
    #[error("the node is not running yet; see `satchel doctor`")]
    NotRunning,
    /// The input was wrong.
    #[error("{0}")]
    BadInput(String),
    /// No such channel.
    #[error("no channel with the id {0}; see `satchel channel list`")]
    UnknownChannel(String),
    /// The node refused.
    #[error("{0}")]
    Refused(String),
}

/// A channel to open.
#[derive(Debug, Clone)]
pub struct ChannelOrder {
    /// With whom.
    pub node_id: PublicKey,
    /// Where they listen, `host:port`.
    pub address: String,
    /// How large, in sat.
    pub amount_sat: u64,
    /// How much of it to give them at once, in sat.
    pub push_sat: u64,
    /// Whether the network may route through it.
    pub announced: bool,
}

/// A peer of ours.
#[derive(Debug, Clone, Serialize)]
pub struct Peer {
    /// Its key.
    pub node_id: PublicKey,
    /// Where it listens.
    pub address: String,
    /// Connected now.
    pub connected: bool,
    /// Kept across restarts.
    pub persisted: bool,
}

/// A channel of ours.
#[derive(Debug, Clone, Serialize)]
pub struct Channel {
    /// Its id, hex.
    pub channel_id: String,
    /// Our own number for it, known from the start.
    pub user_channel_id: String,
    /// With whom.
    pub node_id: PublicKey,
    /// Confirmed deep enough.
    pub ready: bool,
    /// Ready and the peer is connected.
    pub usable: bool,
    /// Announced to the network.
    pub announced: bool,
    /// Opened by us.
    pub outbound: bool,
    /// Size, in sat.
    pub capacity_sat: u64,
    /// What we could send, in sat.
    pub outbound_sat: u64,
    /// What we could receive, in sat.
    pub inbound_sat: u64,
    /// Smallest payment we could send through it now, in msat.
    pub min_send_msat: u64,
    /// Largest payment we could send through it now, in msat.
    pub max_send_msat: u64,
    /// Confirmations it has.
    pub confirmations: u32,
    /// Confirmations it needs.
    pub confirmations_required: u32,
    /// `txid:index` of its funding.
    pub funding: Option<String>,
}
