//! A channel of ldk-node as [`ChannelRoom`].

use std::collections::HashMap;

use ldk_node::{ChannelDetails, LightningBalance};
use lightning::ln::types::ChannelId;

use crate::lightning::ChannelRoom;
use crate::lightning::capacity::COMMITMENT_WEIGHT;

/// What is in HTLCs of ours, by channel, to the msat. Known from the channel monitors, which hear of an HTLC a moment
/// after the channel.
pub(super) fn pending(balances: &[LightningBalance]) -> HashMap<ChannelId, u64> {
    let mut found = HashMap::<ChannelId, u64>::new();
    let mut add = |channel: ChannelId, msat: u64| {
        let sum = found.entry(channel).or_default();
        *sum = sum.saturating_add(msat);
    };
    for balance in balances {
        match balance {
            LightningBalance::MaybeTimeoutClaimableHTLC { channel_id, amount_satoshis, .. } => {
                add(*channel_id, amount_satoshis.saturating_mul(1_000));
            }
            // What was cut off of those, and those that are dust.
            LightningBalance::ClaimableOnChannelClose {
                channel_id,
                outbound_payment_htlc_rounded_msat,
                outbound_forwarded_htlc_rounded_msat,
                ..
            } => add(
                *channel_id,
                outbound_payment_htlc_rounded_msat.saturating_add(*outbound_forwarded_htlc_rounded_msat),
            ),
            _ => {}
        }
    }
    found
}

/// What a channel can carry.
pub(super) fn room(channel: &ChannelDetails, pending: &HashMap<ChannelId, u64>) -> ChannelRoom {
    let size_msat = channel.channel_value_sats.saturating_mul(1_000);
    let reserve_msat = channel.unspendable_punishment_reserve.unwrap_or(0).saturating_mul(1_000);
    let theirs_msat = channel
        .inbound_capacity_msat
        .saturating_add(channel.counterparty_unspendable_punishment_reserve.saturating_mul(1_000));
    let pending_msat = pending.get(&channel.channel_id).copied().unwrap_or(0);
    let outbound_msat = channel.outbound_capacity_msat;
    // What isn't theirs is ours, or in flight to us: with nothing above the reserve, how much of it is missing.
    let ours_at_most = size_msat.saturating_sub(theirs_msat);
    let missing_reserve_msat = if outbound_msat > 0 { 0 } else { reserve_msat.saturating_sub(ours_at_most) };
    let in_flight_max_msat = channel.counterparty_outbound_htlc_maximum_msat.unwrap_or(outbound_msat);
    ChannelRoom {
        channel_id: channel.channel_id.to_string(),
        usable: channel.is_usable,
        reserve_msat,
        missing_reserve_msat,
        outbound_msat,
        pending_msat,
        commitment_fee_msat: commitment_fee(channel, pending_msat, in_flight_max_msat),
        in_flight_max_msat,
        htlc_min_msat: channel.counterparty_outbound_htlc_minimum_msat.unwrap_or(0),
        now_min_msat: channel.next_outbound_htlc_minimum_msat,
        now_max_msat: if channel.is_usable { channel.next_outbound_htlc_limit_msat } else { 0 },
        inbound_msat: channel.inbound_capacity_msat,
        inbound_in_flight_max_msat: channel.inbound_htlc_maximum_msat.unwrap_or(u64::MAX),
    }
}

/// What is kept for the commitment transaction. ldk-node doesn't say what kind of channel it is, so the dearer kind is
/// reckoned with, except where LDK's own limit shows that it keeps less.
fn commitment_fee(channel: &ChannelDetails, pending_msat: u64, in_flight_max_msat: u64) -> u64 {
    if !channel.is_outbound {
        return 0;
    }
    let rate = u64::from(channel.feerate_sat_per_1000_weight);
    // At a thousand weight the rate is sat, so the product is msat.
    let most = rate.saturating_mul(COMMITMENT_WEIGHT);
    let limit = channel.next_outbound_htlc_limit_msat;
    if pending_msat == 0 && limit > 0 && limit < in_flight_max_msat {
        most.min(channel.outbound_capacity_msat.saturating_sub(limit))
    } else {
        most
    }
}
