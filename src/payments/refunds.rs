//! What goes back to customers.

use super::teller::Teller;
use crate::ledger::{End, LedgerError, Payout};
use crate::money::Msat;
use crate::store::Tx;

/// A refund's payout reached its end.
pub(super) fn ended(_: &Teller, _: &Tx<'_>, payout: &Payout, _: End) -> Result<Msat, LedgerError> {
    Err(LedgerError::Broken(format!("payout {} is no refund", payout.id)))
}
