//! What a person found out about coins of which nobody could tell whether they were sent.

use bitcoin::Txid;

use super::super::rows::coins as rows;
use super::super::{Ledger, LedgerError, Listeners};
use super::{CoinStatus, OnchainPayout, by_id, fail, order, pay};
use crate::core::ids::CoinSendId;
use crate::core::time::UnixMillis;
use crate::lightning::CoinFate;
use crate::storage::Tx;

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

/// Ends what a person has looked into. The caller has asked [`may_settle`].
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

/// Why a person's word is not accepted now, by what the wallet knows; `None` if it is. `has_proof` says that they have
/// seen for themselves that nothing can confirm. Asks the node.
///
/// # Errors
/// A text for the operator: it can't be told.
pub fn may_settle(
    ledger: &Ledger,
    send: &OnchainPayout,
    found: &Found,
    has_proof: bool,
) -> Result<Option<String>, String> {
    let order = order(ledger, send).ok_or("its address can't be read")?;
    let known = send.txid.as_deref().and_then(|txid| txid.parse::<Txid>().ok());
    Ok(match (ledger.lightning.coin_fate(&order, known)?, found) {
        (CoinFate::Unseen | CoinFate::Replaced { is_final: true, .. }, _) => None,
        // Also one that spends an unconfirmed coin of somebody else's, who has replaced it: the wallet never learns that.
        (CoinFate::CanConfirm, Found::NotSent) if has_proof => None,
        (CoinFate::CanConfirm, _) => Some(
            "the wallet has seen the transaction that pays them, and it can confirm: they end by themselves, six blocks deep. \
             Give --i-have-proof with --not-sent only if you have seen in a block explorer that it can't any more"
                .into(),
        ),
        (CoinFate::Replaced { by, is_final: false }, _) => Some(format!(
            "transaction {by} has spent a coin of the one that pays them, and is not six blocks deep yet: try again when it is"
        )),
        (CoinFate::Unreadable, Found::NotSent) if has_proof => None,
        (CoinFate::Unreadable, _) => Some(
            "the wallet has seen a transaction that pays them, but can't tell what it spends: give --i-have-proof with \
             --not-sent only if you have seen in a block explorer that another transaction has spent one of its inputs"
                .into(),
        ),
    })
}
