//! What a person found out about coins of which nobody could tell whether they were sent.

use bitcoin::Txid;

use super::super::rows::coins as rows;
use super::super::{Ledger, LedgerError, Listeners};
use super::{CoinSend, CoinStatus, by_id, fail, order, pay};
use crate::clock::UnixMillis;
use crate::ids::CoinSendId;
use crate::store::Tx;

/// What a person found out about coins that nobody could tell of.
#[derive(Clone, Debug)]
pub enum Found {
    /// This transaction paid it.
    Paid(Txid),
    /// No transaction did, and none can any more.
    NotSent,
}

/// Why coins were not settled by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSettled {
    /// It has ended, or nothing of it could have been sent yet.
    #[error("only what was given to the wallet and has not ended can be settled")]
    NotUnderWay,
    /// The transaction was given for others.
    #[error("this transaction has paid other coins")]
    Another,
}

/// Ends what a person has looked into. The caller has made sure that the wallet knows no transaction that pays it.
///
/// # Errors
/// The store's or the listener's.
pub fn settle(
    tx: &Tx<'_>,
    listeners: &Listeners,
    id: CoinSendId,
    found: &Found,
    now: UnixMillis,
) -> Result<Result<(), NotSettled>, LedgerError> {
    let send = by_id(tx, id)?;
    if !matches!(send.status, CoinStatus::Sending | CoinStatus::Sent) {
        return Ok(Err(NotSettled::NotUnderWay));
    }
    let settled = match found {
        Found::Paid(txid) => {
            let text = txid.to_string();
            if rows::is_of_another(tx, id, &text)? {
                return Ok(Err(NotSettled::Another));
            }
            rows::advance(tx, id, send.status, CoinStatus::Sent, Some(&text), None, now)?;
            pay(tx, listeners, id, Some(&text), now)?
        }
        Found::NotSent => fail(tx, listeners, id, send.status, "not sent, says the operator", now)?,
    };
    Ok(if settled { Ok(()) } else { Err(NotSettled::NotUnderWay) })
}

/// Whether the wallet knows a transaction that pays it: then there is nothing to find out by hand. Asks the node.
///
/// # Errors
/// A text for the operator.
pub fn is_seen(ledger: &Ledger, send: &CoinSend) -> Result<bool, String> {
    let order = order(ledger, send).ok_or("its address can't be read")?;
    let known = send.txid.as_deref().and_then(|txid| txid.parse::<Txid>().ok());
    Ok(ledger.lightning.coin_record(&order, known)?.is_some())
}
