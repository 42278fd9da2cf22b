//! What is proof of how an outbound payment ended.
//!
//! Nothing that LDK or ldk-node says is taken for more than it proves. LDK fails payments at a start whose HTLCs the
//! peer has (rust-lightning 4286: the stale manager's dropped HTLCs), forgets payments, and tells of the recipient's
//! claim only while it remembers the payment. What it can't lose are the channels' monitors: they are written before
//! a commitment transaction is signed, and hold every HTLC and every preimage that was learned. So an outcome is
//! proved by an event, or by these and the chain:
//!
//! | what is seen | what it proves |
//! |---|---|
//! | the preimage: in an event, in the node's record, in a monitor | the recipient has the money, or can take it |
//! | a failure, and no HTLC of the payment in a channel that has closed | every HTLC is gone from open channels: it failed |
//! | a failure, and an HTLC in a channel that has closed | nothing, until the next two lines |
//! | the closing transaction six deep, and no output of this HTLC undecided for six blocks, no preimage | this HTLC failed; one too small for an output went to the miners |
//! | an HTLC in the commitment transaction of an open channel | it is under way |
//! | an HTLC that stood in an open channel and is gone, no preimage, nothing waiting to be told | it failed |
//! | no monitor has ever had an HTLC of it, nor does the manager know its hash | nothing was sent |
//! | a height, a clock, an error of `send`, a record that says failed | nothing |
//!
//! # An HTLC that nobody claims on the chain
//!
//! An output of an HTLC can stay unspent for ever: where claiming it would cost more than it is worth, LDK stops, and
//! the peer may not find it worth its while either. Then the chain never decides, the answer stays
//! [`Standing::Closing`], and no number of blocks makes it more: as long as the output is unspent, whoever has the
//! preimage can take it, and the recipient may have been paid by the peer off the chain, and have the preimage. Without
//! an output (LDK left it out as dust, and does not name it) the line of the table with "six deep" holds: it failed.
//! So such a payment stays under way, and what it was taken from stays taken. A person can end it with the recipient's
//! preimage (`satchel payout settle ID --paid PREIMAGE`); nothing proves that it failed but a transaction that spends
//! the output, as when fees fall and LDK's own claim gets into a block.
//!
//! What follows for the ledger is told in [`reconciliation`](crate::ledger::reconciliation).

use crate::core::ids::{PaymentHash, Preimage};
use crate::core::money::Msat;

/// An outbound payment that is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outbound {
    /// Which.
    pub hash: PaymentHash,
    /// `hash` is the node's id of a payment to an offer whose hash is not known: any HTLC of its channel that the chain
    /// has not decided may be of it.
    pub is_id: bool,
    /// What the recipient was to get, in msat.
    pub amount: Msat,
    /// Whether the node reported that it failed. Such a report is proof where its channels are open.
    pub reported_failed: bool,
}

/// What the node's durable state and the chain prove about an outbound payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// The preimage is known: final.
    Arrived {
        /// The receipt.
        preimage: Preimage,
        /// What left the channels for it, if that can be told.
        left: Option<Msat>,
    },
    /// An HTLC of it is in an open channel.
    UnderWay,
    /// An HTLC of it is, or may be, in a channel that has closed, and the chain has not decided.
    Closing,
    /// Nothing of it is under way, and nobody has the preimage: final.
    Gone,
    /// No channel ever had an HTLC of it: it can be sent as if it were new.
    NeverSent,
    /// Can't be told now; why, for the log.
    Unclear(&'static str),
}
