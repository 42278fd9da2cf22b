//! What the person who runs the node does by hand.

use bitcoin::Network;
use bitcoin::secp256k1::PublicKey;
use serde::Serialize;

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

    /// Opens a channel; returns our own id of it. One at a time: refused while the wallet has not seen the coins that
    /// another one took.
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
