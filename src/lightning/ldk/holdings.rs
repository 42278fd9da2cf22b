//! What ldk-node owns, to the msat.
//!
//! LDK tells no channel's balance to the msat. It follows from what it does tell: each side's capacity is its balance
//! less its reserve, the pending HTLCs that it offered, and, for the side that opened the channel, the two anchor
//! outputs. The two balances and all pending HTLCs sum to the channel's size; so what is missing to it is in flight,
//! and where one side has less than its reserve, the other side's balance gives it.

use std::collections::{HashMap, HashSet};

use bitcoin::consensus::deserialize_partial;
use bitcoin::{Transaction, TxIn, Txid};
use ldk_node::payment::{ConfirmationStatus, PaymentDetails, PaymentDirection, PaymentKind};
use ldk_node::{ChannelDetails, LightningBalance, PendingSweepBalance};
use lightning::chain::channelmonitor::BalanceSource;
use lightning::util::persist::KVStoreSync;

use super::LdkNode;
use super::coins::GRAPH;
use crate::lightning::{
    ChannelHolding, Claim, ClaimKind, Holdings, Lightning, Spent, Sweep, WalletTransaction,
};

/// The two anchor outputs of a channel, in msat: the side that opened the channel pays for them.
const ANCHORS_MSAT: u64 = 660_000;

/// Weight of a commitment transaction without HTLCs and anchors (BOLT 3).
const PLAIN_COMMITMENT_WEIGHT: u64 = 724;

/// The least that is worth an output, in sat: what one side has below it goes to the miners at a close.
const DUST_SAT: u64 = 354;

/// What a monitor says of an open channel.
#[derive(Clone, Copy, Debug, Default)]
struct Monitored {
    amount_sat: u64,
    fee_sat: u64,
    /// Parts of HTLCs that have no output of their own, in msat.
    rounded_msat: u64,
    /// HTLCs with an output of their own, in sat.
    htlcs_sat: u64,
}

impl Monitored {
    /// The most that a close takes from our part, in sat.
    const fn close_cost_sat(self, outbound: bool) -> u64 {
        let opener = if outbound { self.fee_sat.saturating_add(ANCHORS_MSAT / 1_000) } else { 0 };
        opener.saturating_add(self.rounded_msat.div_ceil(1_000)).saturating_add(DUST_SAT).saturating_add(1)
    }
}

impl LdkNode {
    pub(super) fn read_holdings(&self) -> Result<Holdings, String> {
        if !self.is_running() {
            return Err("the node is not running".into());
        }
        let channels = self.node.list_channels();
        let balances = self.node.list_balances();
        let monitored = monitored(&balances.lightning_balances);
        let held = |details: &ChannelDetails| {
            let known = monitored.get(&details.channel_id.to_string()).copied();
            channel(details, known.unwrap_or_default())
        };
        let open: HashSet<_> = channels.iter().map(|details| details.channel_id.to_string()).collect();
        let closed = |claim: &Claim| !open.contains(&claim.channel);
        Ok(Holdings {
            height: self.node.status().current_best_block.height,
            is_old: !self.has_seen_the_chain(),
            channels: channels.iter().filter_map(held).collect(),
            claims: balances.lightning_balances.iter().map(claim).filter(closed).collect(),
            sweeps: balances.pending_balances_from_channel_closures.iter().map(sweep).collect(),
            wallet_sat: balances.total_onchain_balance_sats,
            transactions: self
                .node
                .list_payments_with_filter(|details| matches!(details.kind, PaymentKind::Onchain { .. }))
                .iter()
                .filter_map(transaction)
                .collect(),
        })
    }

    pub(super) fn inputs_of(&self, txid: Txid) -> Result<Option<Vec<Spent>>, String> {
        let (primary, secondary, key) = GRAPH;
        let graph = match KVStoreSync::read(self.kv.as_ref(), primary, secondary, key) {
            Ok(graph) => graph,
            Err(error) if error.kind() == lightning::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        let inputs = |found: Transaction| found.input.iter().map(spent).collect();
        Ok(named(&graph, txid).map(inputs))
    }
}

fn monitored(balances: &[LightningBalance]) -> HashMap<String, Monitored> {
    let mut found = HashMap::<String, Monitored>::new();
    for balance in balances {
        match balance {
            LightningBalance::ClaimableOnChannelClose {
                channel_id,
                amount_satoshis,
                transaction_fee_satoshis,
                outbound_payment_htlc_rounded_msat,
                outbound_forwarded_htlc_rounded_msat,
                inbound_claiming_htlc_rounded_msat,
                inbound_htlc_rounded_msat,
                ..
            } => {
                let known = found.entry(channel_id.to_string()).or_default();
                known.amount_sat = *amount_satoshis;
                known.fee_sat = *transaction_fee_satoshis;
                known.rounded_msat = outbound_payment_htlc_rounded_msat
                    .saturating_add(*outbound_forwarded_htlc_rounded_msat)
                    .saturating_add(*inbound_claiming_htlc_rounded_msat)
                    .saturating_add(*inbound_htlc_rounded_msat);
            }
            LightningBalance::MaybeTimeoutClaimableHTLC { channel_id, amount_satoshis, .. }
            | LightningBalance::MaybePreimageClaimableHTLC { channel_id, amount_satoshis, .. } => {
                let known = found.entry(channel_id.to_string()).or_default();
                known.htlcs_sat = known.htlcs_sat.saturating_add(*amount_satoshis);
            }
            _ => {}
        }
    }
    found
}

/// `None` for a channel that is still being agreed upon.
fn channel(details: &ChannelDetails, known: Monitored) -> Option<ChannelHolding> {
    let funding = details.funding_txo?;
    let (ours_msat, in_flight_msat) = balance(&Sides {
        capacity_msat: details.channel_value_sats.saturating_mul(1_000),
        outbound: details.is_outbound,
        our_capacity: details.outbound_capacity_msat,
        our_reserve: details.unspendable_punishment_reserve?.saturating_mul(1_000),
        their_capacity: details.inbound_capacity_msat,
        their_reserve: details.counterparty_unspendable_punishment_reserve.saturating_mul(1_000),
        feerate_kw: u64::from(details.feerate_sat_per_1000_weight),
        monitored: known,
    });
    Some(ChannelHolding {
        channel: details.channel_id.to_string(),
        funding,
        outbound: details.is_outbound,
        capacity_sat: details.channel_value_sats,
        ready: details.is_channel_ready,
        ours_msat,
        in_flight_msat,
        close_cost_sat: known.close_cost_sat(details.is_outbound),
    })
}

/// What is known of a channel's balances, in msat.
#[derive(Clone, Copy, Debug)]
struct Sides {
    capacity_msat: u64,
    outbound: bool,
    our_capacity: u64,
    our_reserve: u64,
    their_capacity: u64,
    their_reserve: u64,
    feerate_kw: u64,
    monitored: Monitored,
}

/// Our balance, and what is in flight.
fn balance(sides: &Sides) -> (u64, u64) {
    let monitored = sides.monitored;
    let by_monitor = monitored.rounded_msat.saturating_add(monitored.htlcs_sat.saturating_mul(1_000));
    let plain_fee = sides.feerate_kw.saturating_mul(PLAIN_COMMITMENT_WEIGHT) / 1_000;
    let is_plain = sides.outbound && (plain_fee..=plain_fee.saturating_add(1)).contains(&monitored.fee_sat);
    let anchors = if is_plain { 0 } else { ANCHORS_MSAT };
    let ours = sides.our_capacity.saturating_add(sides.our_reserve);
    let theirs = sides.their_capacity.saturating_add(sides.their_reserve);
    match (sides.our_capacity, sides.their_capacity) {
        (0, 0) => (monitored.amount_sat.saturating_mul(1_000), by_monitor.max(1)),
        (0, _) => {
            // Theirs is known; the rest is ours, the anchors if they opened, and what is in flight.
            let rest = sides.capacity_msat.saturating_sub(theirs);
            let without = rest.saturating_sub(ANCHORS_MSAT);
            let is_ours_alone =
                rest < ANCHORS_MSAT || (monitored.amount_sat > 0 && rest / 1_000 == monitored.amount_sat);
            let ours = if sides.outbound || is_ours_alone { rest } else { without };
            (ours.saturating_sub(by_monitor), by_monitor)
        }
        (_, 0) => (ours.saturating_add(if sides.outbound { anchors } else { 0 }), by_monitor),
        (_, _) => {
            let rest = sides.capacity_msat.saturating_sub(ours).saturating_sub(theirs);
            let anchors = if rest < ANCHORS_MSAT { 0 } else { anchors };
            let ours = ours.saturating_add(if sides.outbound { anchors } else { 0 });
            // HTLCs of which the monitor knows already, or still.
            let in_flight = rest.saturating_sub(anchors).max(by_monitor);
            (ours, in_flight)
        }
    }
}

fn claim(balance: &LightningBalance) -> Claim {
    let of = |channel: String, amount_sat: u64, kind: ClaimKind| Claim { channel, amount_sat, kind };
    match balance {
        LightningBalance::ClaimableOnChannelClose { channel_id, amount_satoshis, .. } => {
            let channel = channel_id.to_string();
            let known = monitored(std::slice::from_ref(balance)).remove(&channel).unwrap_or_default();
            // Only who opened the channel has a fee here.
            let cost_sat = known.close_cost_sat(known.fee_sat > 0);
            of(channel, *amount_satoshis, ClaimKind::Unconfirmed { cost_sat })
        }
        LightningBalance::ClaimableAwaitingConfirmations { channel_id, amount_satoshis, source, .. } => {
            let kind = match source {
                BalanceSource::CoopClose => ClaimKind::Cooperative,
                _ => ClaimKind::Certain,
            };
            of(channel_id.to_string(), *amount_satoshis, kind)
        }
        LightningBalance::ContentiousClaimable { channel_id, amount_satoshis, .. }
        | LightningBalance::MaybeTimeoutClaimableHTLC { channel_id, amount_satoshis, .. }
        | LightningBalance::MaybePreimageClaimableHTLC { channel_id, amount_satoshis, .. }
        | LightningBalance::CounterpartyRevokedOutputClaimable { channel_id, amount_satoshis, .. } => {
            of(channel_id.to_string(), *amount_satoshis, ClaimKind::Contested)
        }
    }
}

fn sweep(balance: &PendingSweepBalance) -> Sweep {
    let of = |channel: &Option<lightning::ln::types::ChannelId>, amount_sat: u64, txid: Option<Txid>| Sweep {
        channel: channel.map(|id| id.to_string()),
        amount_sat,
        txid,
    };
    match balance {
        PendingSweepBalance::PendingBroadcast { channel_id, amount_satoshis } => {
            of(channel_id, *amount_satoshis, None)
        }
        PendingSweepBalance::BroadcastAwaitingConfirmation {
            channel_id,
            latest_spending_txid,
            amount_satoshis,
            ..
        }
        | PendingSweepBalance::AwaitingThresholdConfirmations {
            channel_id,
            latest_spending_txid,
            amount_satoshis,
            ..
        } => of(channel_id, *amount_satoshis, Some(*latest_spending_txid)),
    }
}

/// A payment of the wallet's list, if it is in a block.
fn transaction(details: &PaymentDetails) -> Option<WalletTransaction> {
    let PaymentKind::Onchain { txid, status: ConfirmationStatus::Confirmed { height, .. } } = details.kind
    else {
        return None;
    };
    let sat = |msat: Option<u64>| i64::try_from(msat.unwrap_or(0) / 1_000).unwrap_or(i64::MAX);
    let (amount, fee) = (sat(details.amount_msat), sat(details.fee_paid_msat));
    let (net_sat, fee_alone) = match details.direction {
        PaymentDirection::Inbound => (amount, false),
        // ldk-node takes the fee for nothing where it does not know all inputs, and then counts it as amount.
        PaymentDirection::Outbound => (amount.saturating_add(fee).saturating_neg(), amount == 0),
    };
    Some(WalletTransaction { txid, net_sat, fee_alone, height })
}

/// The transaction of this name in ldk-node's graph. Transactions stand in it as they do everywhere.
fn named(graph: &[u8], txid: Txid) -> Option<Transaction> {
    (0..graph.len()).find_map(|start| {
        let rest = graph.get(start..)?;
        let (1..=3, [0, 0, 0]) = (*rest.first()?, rest.get(1..4)?) else { return None };
        let (transaction, _) = deserialize_partial::<Transaction>(rest).ok()?;
        (transaction.compute_txid() == txid).then_some(transaction)
    })
}

fn spent(input: &TxIn) -> Spent {
    let script = input.witness.last().unwrap_or_default();
    Spent { output: input.previous_output, of_commitment: is_of_commitment(script) }
}

/// Whether a witness script is one of a commitment transaction (BOLT 3): an HTLC, the output to its owner with a
/// delay, or the output to the other side with anchors.
fn is_of_commitment(script: &[u8]) -> bool {
    // OP_DUP OP_HASH160 <20 bytes>; OP_IF <33 bytes>; <33 bytes> OP_CHECKSIGVERIFY OP_1 OP_CSV.
    script.starts_with(&[0x76, 0xa9, 0x14])
        || script.starts_with(&[0x63, 0x21])
        || (script.len() == 37 && script.first() == Some(&0x21) && script.ends_with(&[0xad, 0x51, 0xb2]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPACITY: u64 = 1_000_000_000;
    const RESERVE: u64 = 10_000_000;

    /// What LDK tells of a channel in which we have so much, of which so much is on its way out, and the other side
    /// sends so much to us.
    fn sides(ours: u64, going: u64, coming: u64, outbound: bool, anchored: bool) -> Sides {
        let anchors = if anchored { ANCHORS_MSAT } else { 0 };
        let pays = |opens: bool| if opens { anchors } else { 0 };
        let weight = if anchored { 1_124 } else { PLAIN_COMMITMENT_WEIGHT };
        let fee_sat = 253 * weight / 1_000;
        let theirs = CAPACITY - ours;
        let rounded = |msat: u64| if msat < 354_000 { msat } else { msat % 1_000 };
        let whole = |msat: u64| if msat < 354_000 { 0 } else { msat / 1_000 };
        let settled = ours - going;
        let to_us = settled.saturating_sub(if outbound { fee_sat * 1_000 + anchors } else { 0 }) / 1_000;
        Sides {
            capacity_msat: CAPACITY,
            outbound,
            our_capacity: settled.saturating_sub(pays(outbound)).saturating_sub(RESERVE),
            our_reserve: RESERVE,
            their_capacity: (theirs - coming).saturating_sub(pays(!outbound)).saturating_sub(RESERVE),
            their_reserve: RESERVE,
            feerate_kw: 253,
            monitored: Monitored {
                amount_sat: if to_us < 354 { 0 } else { to_us },
                fee_sat: if outbound { fee_sat } else { 0 },
                rounded_msat: rounded(going) + rounded(coming),
                htlcs_sat: whole(going) + whole(coming),
            },
        }
    }

    #[test]
    fn balance_is_exact_to_the_msat_at_rest() {
        for anchored in [true, false] {
            for outbound in [true, false] {
                for ours in [0, 1, 353_999, 354_001, 660_000, 9_999_999, 10_000_001, 10_660_001, 500_000_123]
                {
                    let most = if outbound { CAPACITY } else { CAPACITY - 1_000_000 };
                    for ours in [ours, most - ours] {
                        if outbound && ours < 1_000_000 {
                            // The opener always has enough for the fee and the anchors.
                            continue;
                        }
                        let told = sides(ours, 0, 0, outbound, anchored);
                        assert_eq!(balance(&told), (ours, 0), "{told:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn htlcs_are_in_flight_and_belong_to_nobody() {
        for (going, coming) in [(1_000_250, 0), (0, 250_000), (660_000, 0), (5_000, 700_001)] {
            let told = sides(400_000_000, going, coming, true, true);
            assert_eq!(balance(&told), (400_000_000 - going, going + coming));
        }
        let told = sides(400_000_000, 0, 0, true, true);
        let told = Sides { our_capacity: told.our_capacity - 5_000, ..told };
        assert_eq!(balance(&told).1, 5_000, "an HTLC that the monitor does not know yet");
    }

    #[test]
    fn scripts_of_commitments_are_told_from_others() {
        let htlc = [&[0x76, 0xa9, 0x14][..], &[9; 20], &[0x87]].concat();
        let to_remote = [&[0x21][..], &[2; 33], &[0xad, 0x51, 0xb2]].concat();
        let delayed = [&[0x63, 0x21][..], &[2; 33], &[0x67]].concat();
        for script in [htlc, to_remote, delayed] {
            assert!(is_of_commitment(&script));
        }
        let funding = [&[0x52, 0x21][..], &[2; 33], &[0x21], &[3; 33], &[0x52, 0xae]].concat();
        for script in [funding, vec![2; 33], Vec::new()] {
            assert!(!is_of_commitment(&script));
        }
    }
}
