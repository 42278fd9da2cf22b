//! What one reading of the node, laid beside the books, says. No I/O.

use std::collections::HashSet;

use super::{ChannelRow, ChannelState, Forward, Known, Role, Sums};
use crate::lightning::{Claim, ClaimKind, Holdings, WalletTransaction};

/// Blocks after which a transaction stays where it is.
const BURIED: u32 = 6;

/// What a close may cost beyond what the node said: its fee may have risen since, and of each HTLC a part of a sat is
/// lost.
const CLOSE_SLACK_SAT: u64 = 1_000;

/// The most repeated forward events whose combinations are tried. With more, the difference is reported as drift.
const MOST_REPEATED: usize = 10;

/// What follows from a reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// All is equal.
    Equal,
    /// Something is under way: what.
    NotAtRest(Vec<String>),
    /// Payments of others explain the difference exactly: the real ones, and those that were told twice.
    Forwarded { real: Vec<Forward>, repeated: Vec<Forward> },
    /// The first comparison: what there is.
    Opening,
    /// Channels were closed, and this is what it took.
    Closed(Closed),
    /// What closed channels gave is a little more or less than was booked, in msat.
    Settled(i64),
    /// Nothing explains it: what the node has more than the books.
    Drift(Sums),
}

/// What closing channels took from the books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Closed {
    /// Their rows.
    pub(super) rows: Vec<i64>,
    /// What was in them by the books, in msat.
    pub(super) from_channels_msat: i64,
    /// What of it is still to come or came to the wallet already, in msat.
    pub(super) to_closing_msat: i64,
    /// The rest: fees, anchors, dust, in msat.
    pub(super) cost_msat: i64,
    /// Payments of others that are booked with it.
    pub(super) forwards: Vec<Forward>,
}

/// A reading and what follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// What the node has.
    pub(super) node: Sums,
    /// What the books have.
    pub(super) booked: Sums,
    /// In HTLCs, in msat.
    pub(super) in_flight_msat: i64,
    pub(super) finding: Finding,
}

/// Compares a reading with the books. `events_wait`: an event of the node has not been handled yet.
pub(super) fn judge(known: &Known, holdings: &Holdings, events_wait: bool) -> Verdict {
    let (closing_sat, undecided) = closing(known, holdings);
    let counted = |channel: &str| known.channel(channel).is_none_or(|row| row.state != ChannelState::Opening);
    let open = || holdings.channels.iter().filter(|held| counted(&held.channel));
    let node = Sums {
        channels_msat: sum(open().map(|held| signed(held.ours_msat))),
        closing_msat: msat(closing_sat),
        wallet_msat: msat(holdings.wallet_sat),
    };
    let in_flight_msat = sum(holdings.channels.iter().map(|held| signed(held.in_flight_msat)));
    let mut busy = obstacles(known, holdings, events_wait);
    let moving = busy.len();
    busy.extend(undecided);
    let finding = if busy.is_empty() {
        at_rest(known, holdings, node)
    } else if moving == busy.len()
        && !events_wait
        && !holdings.is_old
        && is_out_of_bounds(known, node, in_flight_msat, holdings)
    {
        Finding::Drift(node.less(known.sums))
    } else {
        Finding::NotAtRest(busy)
    };
    Verdict { node, booked: known.sums, in_flight_msat, finding }
}

/// What is under way, but for closed channels.
fn obstacles(known: &Known, holdings: &Holdings, events_wait: bool) -> Vec<String> {
    let mut found = Vec::new();
    if events_wait {
        found.push("the node has told something that is not written down yet".into());
    }
    if holdings.is_old {
        found.push("the node has not seen the chain since its start".into());
    }
    if known.payouts_under_way > 0 {
        found.push(format!("{} payouts under way", known.payouts_under_way));
    }
    if known.held > 0 {
        found.push(format!("{} payments held", known.held));
    }
    if known.coins_asked > 0 {
        found.push("coins are being sent".into());
    }
    for held in holdings.channels.iter().filter(|held| held.in_flight_msat > 0) {
        found.push(format!("{} msat in flight in channel {}", held.in_flight_msat, held.channel));
    }
    let confirmed = sum(holdings.transactions.iter().map(|listed| listed.net_sat));
    if confirmed != signed(holdings.wallet_sat) {
        found.push("the wallet has transactions that are not in a block".into());
    }
    found
}

/// What is to come from closed channels, in sat, and why that is not certain.
fn closing(known: &Known, holdings: &Holdings) -> (u64, Vec<String>) {
    let listed: HashSet<_> = holdings.transactions.iter().map(|listed| listed.txid).collect();
    let mut certain = 0_u64;
    let mut undecided = Vec::new();
    for claim in holdings.claims.iter().filter(|claim| counts(known, claim)) {
        let Claim { channel, amount_sat, kind } = claim;
        match kind {
            ClaimKind::Certain => certain = certain.saturating_add(*amount_sat),
            ClaimKind::Cooperative if *amount_sat == 0 => {}
            ClaimKind::Cooperative | ClaimKind::Unconfirmed { .. } => {
                undecided.push(format!("channel {channel} is closed, and its transaction is not buried"));
            }
            ClaimKind::Contested => {
                undecided.push(format!(
                    "the chain decides about {amount_sat} sat of the closed channel {channel}"
                ));
            }
        }
    }
    for sweep in &holdings.sweeps {
        if sweep.txid.is_none_or(|txid| !listed.contains(&txid)) {
            certain = certain.saturating_add(sweep.amount_sat);
        }
    }
    let fresh = known.booked.values().filter(|booked| {
        booked.role == Role::Claim && holdings.height < booked.height.saturating_add(BURIED.saturating_sub(1))
    });
    undecided.extend(fresh.map(|_| "a claim of a closed channel's output is not buried".to_owned()));
    (certain, undecided)
}

/// Whether a claim is about money that is in the books and not in the wallet.
fn counts(known: &Known, claim: &Claim) -> bool {
    let came = known
        .booked
        .values()
        .any(|booked| booked.role == Role::Close && booked.channel.as_deref() == Some(&claim.channel));
    let opening = known.channel(&claim.channel).is_some_and(|row| row.state == ChannelState::Opening);
    !came && !opening
}

fn at_rest(known: &Known, holdings: &Holdings, node: Sums) -> Finding {
    if !known.is_open {
        return Finding::Opening;
    }
    let drift = node.less(known.sums);
    let unbooked = |listed: &WalletTransaction| !known.booked.contains_key(&listed.txid.to_string());
    if drift.wallet_msat != 0 || holdings.transactions.iter().any(unbooked) {
        return Finding::Drift(drift);
    }
    let closed: Vec<_> = known.channels.iter().filter(|row| is_newly_closed(row, holdings)).collect();
    if !closed.is_empty() {
        return closed_now(known, node, &closed);
    }
    if drift.channels_msat != 0 {
        return match explained_by(&known.forwards, drift.channels_msat) {
            Some((real, repeated)) => Finding::Forwarded { real, repeated },
            None => Finding::Drift(drift),
        };
    }
    if let [first, ..] = known.forwards.as_slice()
        && known.forwards.iter().all(|forward| forward.may_be_repeated)
    {
        // Nothing is missing: they were told before.
        return Finding::Forwarded { real: Vec::new(), repeated: vec![*first] };
    }
    if !known.forwards.is_empty() {
        return Finding::Drift(drift);
    }
    if drift.closing_msat == 0 {
        return Finding::Equal;
    }
    let closing = || known.channels.iter().filter(|row| row.state == ChannelState::Closing);
    if drift.closing_msat.abs() <= bound(closing()) {
        Finding::Settled(drift.closing_msat)
    } else {
        Finding::Drift(drift)
    }
}

fn is_newly_closed(row: &ChannelRow, holdings: &Holdings) -> bool {
    row.state == ChannelState::Open && holdings.channels.iter().all(|held| held.channel != row.channel)
}

/// What closing `rows` cost at most, in msat.
fn bound<'a>(rows: impl Iterator<Item = &'a ChannelRow>) -> i64 {
    sum(rows.map(|row| msat(row.cost_sat.saturating_mul(2).saturating_add(CLOSE_SLACK_SAT))))
}

/// What the payments of the services say was in the channels that are gone must be what is to come of them, and what
/// closing them may cost.
fn closed_now(known: &Known, node: Sums, closed: &[&ChannelRow]) -> Finding {
    let (forwards, fees) = {
        let real = known.forwards.iter().filter(|forward| !forward.may_be_repeated);
        let forwards: Vec<_> = real.copied().collect();
        let fees = sum(forwards.iter().map(|forward| forward.fee_msat));
        (forwards, fees)
    };
    let from_channels_msat = known.sums.channels_msat.saturating_add(fees).saturating_sub(node.channels_msat);
    let to_closing_msat = node.closing_msat.saturating_sub(known.sums.closing_msat);
    let cost_msat = from_channels_msat.saturating_sub(to_closing_msat);
    if cost_msat.abs() > bound(closed.iter().copied()) {
        return Finding::Drift(node.less(known.sums));
    }
    let rows = closed.iter().map(|row| row.id).collect();
    Finding::Closed(Closed { rows, from_channels_msat, to_closing_msat, cost_msat, forwards })
}

/// Which payments of others sum to a difference: all of them, or all but some that were told twice.
fn explained_by(forwards: &[Forward], difference: i64) -> Option<(Vec<Forward>, Vec<Forward>)> {
    let repeated: Vec<_> = forwards.iter().filter(|forward| forward.may_be_repeated).copied().collect();
    let tried = repeated.len().min(MOST_REPEATED);
    (0_u32..1 << tried).find_map(|without| {
        let is_left_out = |forward: &Forward| {
            let at = repeated.iter().take(tried).position(|other| other.id == forward.id);
            at.is_some_and(|at| without & (1 << at) != 0)
        };
        let (out, real): (Vec<_>, Vec<_>) = forwards.iter().copied().partition(is_left_out);
        let fees = sum(real.iter().map(|forward| forward.fee_msat));
        (!real.is_empty() && fees == difference).then_some((real, out))
    })
}

/// Whether what is in flight can't explain a difference.
fn is_out_of_bounds(known: &Known, node: Sums, in_flight_msat: i64, holdings: &Holdings) -> bool {
    let settled = holdings.claims.is_empty()
        && known.channels.iter().all(|row| !is_newly_closed(row, holdings))
        && known.held == 0;
    if !known.is_open || !settled {
        return false;
    }
    let difference = node.channels_msat.saturating_sub(known.sums.channels_msat);
    let least = in_flight_msat.saturating_add(known.payouts_under_way_msat).saturating_neg();
    let most = sum(known.forwards.iter().map(|forward| forward.fee_msat));
    difference < least || difference > most
}

fn signed(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}

fn msat(sat: u64) -> i64 {
    signed(sat).saturating_mul(1_000)
}

fn sum(amounts: impl Iterator<Item = i64>) -> i64 {
    amounts.fold(0, i64::saturating_add)
}
