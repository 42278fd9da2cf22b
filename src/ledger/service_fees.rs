//! What the operator takes of what pays a shop, or for an account's resource.

use super::LedgerError;
use super::books::{Account, Journal, Kind};
use crate::clock::UnixMillis;
use crate::ids::ChargeId;
use crate::money::Msat;
use crate::store::Tx;

/// Earns a fee of what a charge has brought in for its merchant, in the transaction that settles the charge; nothing is
/// written for no fee. Once a charge: what is paid to it after that is all the merchant's.
///
/// # Errors
/// The store's, also if a fee of this charge was earned before.
pub fn earn(tx: &Tx<'_>, charge: ChargeId, fee: Msat, now: UnixMillis) -> Result<(), LedgerError> {
    if fee == Msat::ZERO {
        return Ok(());
    }
    Journal::new(Kind::FeeEarned, charge.0)
        .debit(Account::Merchants, fee)
        .credit(Account::FeesEarned, fee)
        .post(tx, now)
}
