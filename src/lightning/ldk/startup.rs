//! What LDK found to do while it was built is done before anything else can happen to it.
//!
//! LDK keeps a list of monitor updates that its start found to be missing: the close of a channel whose manager is
//! older than its monitor, updates that were under way. The first call to its channel manager applies them, in the
//! thread of that call, and marks them as applied *before* it applies them. A second thread that handles an event
//! about the same channel in that moment hands a later update to the monitor first. LDK then panics ("Attempted to
//! apply ChannelMonitorUpdates out of order"), and may do so at every further start: with peers that reconnect at
//! once it did at eight starts in a row. So the first call is made here, by a single thread, before the node listens,
//! connects or handles events.

use ldk_node::Node;
use lightning::ln::channelmanager::PaymentId;
use lightning::types::payment::PaymentHash;
use lightning_invoice::{Bolt11InvoiceDescription, Description};

/// The payment hash of the invoice that is made for the call. Nobody knows its preimage, and nobody gets the invoice.
/// Always the same, so that a crash leaves at most one record behind.
const HASH: PaymentHash = PaymentHash([0x5a; 32]);

/// Seconds until that invoice expires.
const EXPIRY: u32 = 60;

/// Makes LDK apply what its start found. Blocks for as long as the store needs. A failure is logged: the node can start
/// all the same.
///
/// ldk-node has no call for it, and most of its calls want a running node. Refusing a payment does not, and is the
/// simplest that reaches the channel manager; it wants a record of an invoice.
pub(super) fn apply_pending_updates(node: &Node) {
    let payments = node.bolt11_payment();
    let description = Bolt11InvoiceDescription::Direct(Description::empty());
    let applied = payments
        .receive_for_hash(1_000, &description, EXPIRY, HASH)
        .and_then(|_invoice| payments.fail_for_hash(HASH))
        .and_then(|()| node.remove_payment(&PaymentId(HASH.0)));
    if let Err(error) = applied {
        tracing::warn!(%error, "LDK's pending channel updates could not be applied before the start");
    }
}
