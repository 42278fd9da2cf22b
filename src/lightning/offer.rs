//! BOLT12 offers: what the rest of the house knows of one.

use std::time::Duration;

use crate::ids::OfferId;
use crate::money::Msat;

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
