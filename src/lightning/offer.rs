//! BOLT12 offers, ours and others': what the rest knows of one.

use std::time::Duration;

use super::RecordStatus;
use crate::core::ids::{OfferId, PaymentHash, Preimage};
use crate::core::money::Msat;

/// An offer to create.
#[derive(Clone, Debug)]
pub struct OfferRequest {
    /// What each payer pays at least.
    pub amount: Msat,
    /// What they read.
    pub description: String,
    /// How long invoices are made for it; each can be paid for some hours more.
    pub expiry: Duration,
}

/// An offer of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// What names it in the node's records.
    pub id: OfferId,
    /// The BOLT12 text, beginning with `lno1`.
    pub text: String,
}

/// A payment to somebody's offer.
#[derive(Clone, Debug)]
pub struct OfferOrder {
    /// The BOLT12 text.
    pub offer: String,
    /// What the recipient gets.
    pub amount: Msat,
    /// The most that routing may cost.
    pub max_fee: Msat,
    /// Names the payment in the node's records; the recipient reads it too.
    pub note: String,
}

/// How a call of [`Lightning::pay_offer`](super::Lightning::pay_to_offer) ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OfferDispatch {
    /// The node took it, under this id: a [`NodeEvent`](super::NodeEvent) for it will come.
    Sent([u8; 32]),
    /// The node refused before anything left it; why, for the log. `retry` says whether a later try may do better.
    NotSent {
        /// In words.
        why: String,
        /// Whether a later try may do better.
        retry: bool,
    },
    /// Nobody can tell: the node failed while writing, and its id is lost.
    Ambiguous(String),
}

/// By what a payment to an offer is found in the node's records.
#[derive(Debug, Clone, Copy)]
pub enum OfferKey<'a> {
    /// The note it was sent with.
    Note(&'a str),
    /// The node's id.
    Payment([u8; 32]),
}

/// What the node remembers of a payment to an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferRecord {
    /// The node's id.
    pub payment_id: [u8; 32],
    /// The note it was sent with.
    pub note: Option<String>,
    /// The payment hash of the invoice that came, once one did.
    pub hash: Option<PaymentHash>,
    /// How far it is, by the node.
    pub status: RecordStatus,
    /// What routing cost, once it arrived.
    pub fee: Option<Msat>,
    /// The receipt, once it arrived.
    pub preimage: Option<Preimage>,
}
