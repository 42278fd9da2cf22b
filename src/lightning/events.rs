//! What the node tells.

use crate::core::ids::{OfferId, PaymentHash, Preimage};
use crate::core::money::Msat;

/// Something that happened on the node. The same event may come more than once, until
/// [`Lightning::event_handled`](super::Lightning::event_handled) has returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeEvent {
    /// An outbound payment arrived: final.
    Sent {
        /// Which.
        hash: PaymentHash,
        /// The node's id of the payment: the hash for BOLT11, random for BOLT12.
        payment_id: [u8; 32],
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
    /// A payment for an invoice with [`InvoiceRequest::hold`](super::InvoiceRequest::hold) is held until it is claimed or refused, or until
    /// the node gives it back, which it does without a word.
    Claimable {
        /// For which invoice.
        hash: PaymentHash,
        /// What would come, which may be more than was asked.
        amount: Msat,
        /// The block height at which the node gives it back, if it knows.
        deadline: Option<u32>,
    },
    /// A payment of others went through us: final.
    Forwarded {
        /// The channel it came by, hex.
        from: String,
        /// The channel it left by, hex.
        to: String,
        /// What it left with us.
        fee: Msat,
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
