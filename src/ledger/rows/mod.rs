//! The ledger's SQL, and nothing else's.

pub(super) mod charges;
pub(super) mod coins;
pub(super) mod held;
pub(super) mod offers;
pub(super) mod payouts;
