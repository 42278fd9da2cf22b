//! Channels that close with HTLCs in them, what the chain decides, and what the node proves about payments.

use super::{Htlc, Place, Sim, State};
use crate::core::ids::{PaymentHash, Preimage};
use crate::core::money::Msat;
use crate::lightning::{Direction, NodeEvent, Outbound, RecordStatus, Standing};

/// Blocks after which what the chain says stays.
const BURIED: u32 = 6;

/// HTLCs of less have no output of their own in a commitment transaction.
const DUST_SAT: u64 = 354;

/// An HTLC in a channel that has closed.
#[derive(Clone, Debug)]
pub(super) struct OnChain {
    htlc: Htlc,
    /// The height at which the closing transaction was in a block.
    closed_at: Option<u32>,
    /// The height at which its output was spent.
    decided_at: Option<u32>,
    arrived: bool,
    /// The node has told of it as failed and remembers it no more.
    forgotten: bool,
}

impl OnChain {
    pub(super) fn is_of(&self, hash: PaymentHash) -> bool {
        self.htlc.hash == hash
    }

    fn is_dust(&self) -> bool {
        self.htlc.amount.sat_floor() < DUST_SAT
    }

    fn is_buried(&self, height: u32) -> bool {
        let deep = |at: Option<u32>| at.is_some_and(|at| height >= at.saturating_add(BURIED));
        deep(self.closed_at) && (self.is_dust() || deep(self.decided_at))
    }
}

impl State {
    /// What is six blocks deep has ended: the node tells of it, if it remembers it.
    pub(super) fn bury(&mut self) {
        let height = self.height;
        let (buried, left): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.on_chain).into_iter().partition(|htlc| htlc.is_buried(height));
        self.on_chain = left;
        for htlc in buried.into_iter().filter(|htlc| !htlc.arrived && !htlc.forgotten) {
            self.fail(htlc.htlc.hash);
        }
    }

    fn fail(&mut self, hash: PaymentHash) {
        if let Some(record) = self.records.get_mut(&hash) {
            record.status = RecordStatus::Failed;
        }
        let reason = "it failed on the way".to_owned();
        let payment_id = self.end_offer(hash, false, Msat::ZERO);
        self.events.push_back(NodeEvent::Failed { hash: Some(hash), payment_id, reason });
    }

    /// Whether the node knows of an HTLC in a channel that has closed.
    pub(super) fn is_remembered_on_chain(&self, hash: PaymentHash) -> bool {
        self.on_chain.iter().any(|htlc| htlc.htlc.hash == hash && !htlc.forgotten)
    }

    fn manager_knows(&self, hash: PaymentHash) -> bool {
        let told = |event: &NodeEvent| match event {
            NodeEvent::Sent { hash: of, .. } => *of == hash,
            NodeEvent::Failed { hash: of, .. } => *of == Some(hash),
            _ => false,
        };
        self.htlcs.iter().any(|htlc| htlc.hash == hash) || self.hidden.iter().chain(&self.events).any(told)
    }
}

impl Sim {
    /// The process died and comes back to a channel that is further than the node's own state. The node closes it, and
    /// reports as failed, and forgets, those of its HTLCs that `forgets` says; the peer has them all the same.
    pub fn restart_stale(&self, records_lost: usize, forgets: impl Fn(usize) -> bool) {
        self.restart(records_lost, 0);
        let mut state = self.state();
        let htlcs = std::mem::take(&mut state.htlcs);
        for (number, htlc) in htlcs.into_iter().enumerate() {
            let forgotten = forgets(number);
            if forgotten {
                state.fail(htlc.hash);
            }
            state.on_chain.push(OnChain {
                htlc,
                closed_at: None,
                decided_at: None,
                arrived: false,
                forgotten,
            });
        }
    }

    /// The closing transactions are in the next block.
    pub fn confirm_closings(&self) {
        let mut state = self.state();
        state.height += 1;
        let height = state.height;
        for htlc in state.on_chain.iter_mut().filter(|htlc| htlc.closed_at.is_none()) {
            htlc.closed_at = Some(height);
        }
        state.bury();
    }

    /// HTLCs that the chain can decide: their channel's closing is in a block, and they have an output of their own.
    pub fn undecided(&self) -> Vec<PaymentHash> {
        let state = self.state();
        let open = |htlc: &&OnChain| htlc.closed_at.is_some() && htlc.decided_at.is_none() && !htlc.is_dust();
        state.on_chain.iter().filter(open).map(|htlc| htlc.htlc.hash).collect()
    }

    /// The next block has what spends such an output: the recipient with the preimage, or we, after the timeout. The
    /// node tells of the recipient's claim only if it remembers the payment.
    pub fn decide(&self, hash: PaymentHash, arrives: bool) {
        let mut state = self.state();
        state.height += 1;
        let height = state.height;
        let Some(found) = state.on_chain.iter_mut().find(|htlc| htlc.htlc.hash == hash) else { return };
        (found.decided_at, found.arrived) = (Some(height), arrives);
        let (htlc, forgotten) = (found.htlc.clone(), found.forgotten);
        if arrives {
            state.deliver(&htlc, Msat::ZERO);
            if !forgotten {
                if let Some(record) = state.records.get_mut(&hash) {
                    (record.status, record.fee) = (RecordStatus::Succeeded, Some(Msat::ZERO));
                }
                let payment_id = state.end_offer(hash, true, Msat::ZERO);
                state.events.push_back(NodeEvent::Sent { hash, payment_id, preimage: None, fee: Msat::ZERO });
            }
        }
        state.bury();
    }

    /// The process is away for so long that every HTLC is decided on the chain: the channel closes, recipients claim
    /// what `arrives` says, the rest comes back. At the next start the node hears of it after a while.
    pub fn away(&self, blocks: u32, arrives: impl Fn(usize) -> bool) {
        self.restart_stale(0, |_| false);
        let before = self.state().events.len();
        self.confirm_closings();
        for (number, hash) in self.undecided().into_iter().enumerate() {
            self.decide(hash, arrives(number));
        }
        let mut state = self.state();
        state.height += blocks;
        state.bury();
        let untold: Vec<_> = state.events.drain(before..).collect();
        state.hidden.extend(untold);
    }

    /// What left the channels, for all payments that arrived, fees included.
    pub fn left_in_all(&self) -> u64 {
        self.state().left.values().map(|left| left.get()).sum()
    }

    pub(super) fn prove(&self, payment: &Outbound) -> Standing {
        let state = self.state();
        let hash = if payment.is_id { state.hash_of_offer(payment.hash.0) } else { payment.hash };
        if state.delivered.contains_key(&hash) {
            let preimage = state.preimages.get(&hash).copied().unwrap_or(Preimage([0; 32]));
            return Standing::Arrived { preimage, left: state.left.get(&hash).copied() };
        }
        if state.on_chain.iter().any(|htlc| htlc.htlc.hash == hash) {
            return Standing::Closing;
        }
        if payment.reported_failed {
            return Standing::Gone;
        }
        let named = |htlc: &Htlc| htlc.hash == hash && htlc.place == Place::Committed;
        if state.htlcs.iter().any(named) {
            return Standing::UnderWay;
        }
        if state.manager_knows(hash) {
            return Standing::Unclear("the node has not finished with it");
        }
        if state.committed.contains(&hash) { Standing::Gone } else { Standing::NeverSent }
    }
}

impl State {
    /// The recipient has it, for this routing fee.
    pub(super) fn deliver(&mut self, htlc: &Htlc, fee: Msat) {
        let sum = self.delivered.get(&htlc.hash).copied().unwrap_or(Msat::ZERO);
        self.delivered.insert(htlc.hash, sum.checked_add(htlc.amount).unwrap());
        let left = self.left.get(&htlc.hash).copied().unwrap_or(Msat::ZERO);
        let all = left.checked_add(htlc.amount).and_then(|left| left.checked_add(fee));
        self.left.insert(htlc.hash, all.unwrap());
        debug_assert!(
            self.records.get(&htlc.hash).is_none_or(|record| record.direction == Direction::Outbound)
        );
    }
}
