//! What the other modules need from a Lightning node, and nothing of how one is built.
//!
//! [`Lightning`] is what moves money; the ledger is its only caller on that side. [`Operator`] is what
//! the person who runs the node does by hand. [`ldk`] implements both on ldk-node and is the only module
//! that names it; `sim` is a node in memory for property tests, with every misbehaviour a real one has.
//!
//! Both traits are synchronous, because every call into ldk-node blocks. Async callers go through
//! [`Node`], which moves each call to a thread that may wait.

pub mod bolt12;
pub mod capacity;
mod coins;
mod events;
mod holdings;
pub mod invoice;
pub mod ldk;
mod node;
mod offer;
mod operator;
#[cfg(test)]
pub mod sim;
pub mod standing;
pub mod target;

use std::time::Duration;

use bitcoin::secp256k1::PublicKey;
use bitcoin::{Network, Txid};
use lightning_invoice::Bolt11Invoice;
use serde::Serialize;

use crate::core::ids::{OfferId, PaymentHash, Preimage};
use crate::core::money::Msat;

pub use capacity::{ChannelRoom, Limit, Model, Shortfall};
pub use coins::{CoinDispatch, CoinFate, CoinOrder, CoinRecord};
pub use events::{ChannelNews, NodeEvent};
pub use holdings::{ChannelHolding, Claim, ClaimKind, Holdings, Spent, Sweep, WalletTransaction};
pub use node::{Draft, Node};
pub use offer::{Offer, OfferDispatch, OfferKey, OfferOrder, OfferRecord, OfferRequest};
pub use operator::{Channel, ChannelOrder, NodeStatus, Operator, OperatorError, Peer};
pub use standing::{Outbound, Standing};

/// Blocks for which a payment may be held on its way, the recipient's own demand included: four days. A
/// recipient who holds it keeps a slot of the channel for as long.
pub const LONGEST_LOCK_BLOCKS: u32 = 576;

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

/// The part of a node that moves money. Implementations must be safe to call from many threads; every
/// call may block. No method has a default: whoever wraps a node must not forget one.
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
    /// without further asking: the caller must have written the offer down durably before showing it to anybody.
    ///
    /// # Errors
    /// [`InvoiceError`]; also refused while nobody could reach the node to ask for an invoice.
    fn create_offer(&self, request: &OfferRequest) -> Result<Offer, InvoiceError>;

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
    fn waiting(&self) -> Vec<Waiting>;

    /// Starts to pay. `amount` is what the recipient gets: the invoice's own, where it has one.
    ///
    /// Crash behaviour: may or may not have been sent. The caller must have durably noted that it would.
    fn pay(&self, invoice: &Bolt11Invoice, amount: Msat, max_fee: Msat) -> Dispatch;

    /// Starts to pay a BOLT12 offer: asks its maker for an invoice and pays it. **Not idempotent**: each call is another
    /// payment, whose id the node makes up.
    ///
    /// Crash behaviour: may or may not have been sent. The caller must have durably noted that it would, and finds the
    /// payment again by its note, if the node wrote it down.
    fn pay_to_offer(&self, order: &OfferOrder) -> OfferDispatch;

    /// What the node remembers of a payment to an offer. None: it may have been sent all the same.
    fn offer_record(&self, key: OfferKey<'_>) -> Option<OfferRecord>;

    /// Makes the node forget its records of calls of [`Lightning::pay_to_offer`] with this note that sent nothing: it
    /// keeps one of each, under an id that it tells nobody.
    ///
    /// # Errors
    /// A text for the log, if the node could not write.
    fn forget_unsent_offers(&self, note: &str) -> Result<(), String>;

    /// Whether the node's stored state has any trace of a payment to an offer that was, or may have been, sent before
    /// the last start: by its id, or by its note. If it has none, nothing of the payment is under way, and nothing will
    /// be. That it has one proves nothing. Reads the channels' state, so it takes time.
    ///
    /// # Errors
    /// Why it can't be told now, for the log.
    fn has_trace_of(&self, key: OfferKey<'_>) -> Result<bool, &'static str>;

    /// Makes the node forget its record of an outbound payment, so that [`Lightning::pay`] asks its
    /// channels instead of its record. HTLCs under way are not touched.
    ///
    /// # Errors
    /// A text for the log, if the node could not write.
    fn forget(&self, hash: PaymentHash) -> Result<(), String>;

    /// What is proved about outbound payments: one answer each. Reads the channels' state, so it takes time.
    fn standings(&self, payments: &[Outbound]) -> Vec<Standing>;

    /// What left the channels, in msat, for a payment of which it is known that it arrived and cost `at_least` so
    /// much, routing fees included: more than that where the recipient had to be paid more than was asked. `None`
    /// where that can't be told, as for what was sent before the last start.
    fn left(&self, hash: PaymentHash, at_least: Msat) -> Option<Msat>;

    /// What the node remembers of a hash.
    fn record(&self, hash: PaymentHash) -> Option<PaymentRecord>;

    /// What came or went to its end well and was changed since (unix seconds), for the sweep.
    fn succeeded_since(&self, since: u64) -> Vec<PaymentRecord>;

    /// The usable channels' room to send, for the dispatcher's gate.
    fn sending_room(&self) -> Vec<SendingRoom>;

    /// What each channel that is ready can carry, for [`Model`]. Dearer than [`Lightning::sending_room`]: it also looks
    /// at what is in flight.
    fn channel_rooms(&self) -> Vec<ChannelRoom>;

    /// Whether every channel that is open is also usable: peers back, nothing held up. Until then a look
    /// whether an old payment is still under way can't be trusted to find a route.
    fn channels_settled(&self) -> bool;

    /// The best block the node knows.
    fn block_height(&self) -> u32;

    /// Whether it has looked at the chain since it was started: before that its best block may be an old one.
    fn knows_the_chain(&self) -> bool {
        self.is_running()
    }

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
    fn send_coins(&self, order: &CoinOrder) -> CoinDispatch;

    /// What the chain source says that a transaction should pay to confirm within some blocks, in sat for 1,000 weight
    /// units.
    ///
    /// # Errors
    /// A text for the log: the chain source gave no estimate.
    fn coin_fee_rate(&self) -> Result<u64, String>;

    /// The wallet's coins, in sat. Never fewer than it may spend; perhaps some that are being spent.
    ///
    /// # Errors
    /// A text for the log: the wallet could not be read.
    fn wallet_coins(&self) -> Result<Vec<u64>, String>;

    /// Whether what pays an order, by its name or by what it pays, can still confirm, by all that the wallet knows.
    ///
    /// # Errors
    /// A text for the log: the wallet could not be read.
    fn coin_fate(&self, order: &CoinOrder, txid: Option<Txid>) -> Result<CoinFate, String>;

    /// What the wallet knows of a transaction that pays an order, by its name or by what it pays. `None`: it has
    /// seen none, which doesn't say that there is none.
    ///
    /// # Errors
    /// A text for the log: the wallet could not be read.
    fn coin_record(&self, order: &CoinOrder, txid: Option<Txid>) -> Result<Option<CoinRecord>, String>;

    /// Sums.
    fn balances(&self) -> Balances;

    /// Everything the node owns, part by part, exact while nothing is under way.
    ///
    /// # Errors
    /// A text for the operator: it can't be read now.
    fn holdings(&self) -> Result<Holdings, String>;

    /// What a transaction of the wallet spends; `None` if the wallet does not have it.
    ///
    /// # Errors
    /// A text for the log: the wallet could not be read.
    fn spent_by(&self, txid: Txid) -> Result<Option<Vec<Spent>>, String>;
}
