//! One spend of the wallet's coins at a time: a channel's funding, coins to an address.
//!
//! ldk-node signs a transaction, hands it to its chain source and forgets it; the wallet learns of it from the chain
//! source's mempool or a block, like everybody else. Until then it would spend the same coins again, and of two such
//! transactions only one confirms. So whoever spends takes its turn, and the turn comes only when the wallet has seen
//! all that was spent before:
//!
//! | spent before | known by | seen once |
//! |---|---|---|
//! | a channel that we open, its funding not made yet | `list_channels`: ours, without a funding output | the channel has one, or is gone |
//! | a channel that we open, its funding not confirmed | `list_channels`: ours, no confirmations | the wallet lists that transaction |
//! | coins to an address | kept in memory for [`FORGET_AFTER`] | the wallet lists that transaction |
//!
//! After a crash the channels tell as before; of coins to an address the ledger knows, which sends nothing else before
//! the wallet has seen them.

use std::sync::{MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use bitcoin::Txid;
use bitcoin::hashes::Hash;
use lightning::ln::channelmanager::PaymentId;

use super::LdkNode;
use crate::lightning::{Operator, OperatorError};

/// How long an order waits for its turn. Less than an HTTP request may take, so that the answer still arrives.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);

/// How often it looks.
const LOOK: Duration = Duration::from_millis(500);

/// A transaction that no mempool has shown for so long was rejected or never arrived.
const FORGET_AFTER: Duration = Duration::from_secs(600);

/// The last coins that were sent to an address, and when.
pub(super) type LastSpend = Option<(Txid, Instant)>;

impl LdkNode {
    /// Waits until nobody else spends and the wallet has seen all that was spent before; nobody else's turn comes
    /// before the guard is dropped. The wallet has looked at the chain.
    pub(super) fn coins_turn(&self, patience: Duration) -> Result<MutexGuard<'_, LastSpend>, OperatorError> {
        let end = Instant::now() + patience;
        let mut turn = loop {
            match self.spending.try_lock() {
                Ok(turn) => break turn,
                Err(TryLockError::Poisoned(poisoned)) => break PoisonError::into_inner(poisoned),
                Err(TryLockError::WouldBlock) if Instant::now() < end => std::thread::sleep(LOOK),
                Err(TryLockError::WouldBlock) => {
                    return Err(OperatorError::Refused("other coins are being spent; try again".into()));
                }
            }
        };
        loop {
            self.sync()?;
            let Some(unseen) = self.unseen(&mut turn) else { return Ok(turn) };
            if Instant::now() >= end {
                return Err(OperatorError::Refused(unseen));
            }
            std::thread::sleep(LOOK);
        }
    }

    /// What was spent and is not seen yet, in words.
    fn unseen(&self, last: &mut LastSpend) -> Option<String> {
        if last.is_some_and(|(txid, at)| self.has_seen(txid) || at.elapsed() > FORGET_AFTER) {
            *last = None;
        }
        if let Some((txid, _)) = last {
            return Some(format!(
                "the wallet has not seen the coins that were sent by transaction {txid}; try again in a minute"
            ));
        }
        let channels = self.node.list_channels();
        let opening = channels.iter().find(|channel| {
            let funded = channel.funding_txo.is_some_and(|funding| self.has_seen(funding.txid));
            channel.is_outbound && channel.confirmations.unwrap_or(0) == 0 && !funded
        })?;
        Some(format!(
            "another channel is being opened ({}); its coins are not seen yet: try again in a minute, or see `satchel channel list`",
            opening.user_channel_id.0
        ))
    }

    fn has_seen(&self, txid: Txid) -> bool {
        self.node.payment(&PaymentId(txid.to_byte_array())).is_some()
    }
}
