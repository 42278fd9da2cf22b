//! What the channels can carry: the one model that every question about capacity is answered by.
//!
//! A channel's balance is not what can be sent through it. What stands between the two is here, for each channel:
//!
//! | limit | where it comes from |
//! |---|---|
//! | reserve | the peer asks for it at opening (usually 1 %): it can never be sent |
//! | commitment fee | whoever opened the channel must always be able to pay for its commitment transaction |
//! | in flight | the most that the peer accepts in HTLCs at once: a tenth of the channel where LDK is the peer. LDK's `outbound_htlc_maximum_msat` is that, or the channel less both reserves if that is less |
//! | HTLC minimum | set by the peer at opening; LDK raises it while the dust exposure is rationed |
//! | slots | so many HTLCs at once (50 with LDK, 30 with some); LDK's `next_outbound_htlc_limit_msat` is 0 when they are taken |
//!
//! A payment goes out in at most [`MAX_PARTS`] parts, each at least that share of it (LDK's router), so it can be larger
//! than the largest channel. [`Model`] answers for the sum, now and for when nothing is in flight, and names the limit
//! that stands in the way. It knows our own channels only: the network beyond may carry less.

use serde::Serialize;

use super::SendingRoom;
use crate::core::money::Msat;

/// Parts of one payment; LDK's default, which we don't change. Each part is at least this share of the payment.
pub const MAX_PARTS: u64 = 10;

/// Weight by which LDK reckons the commitment fee that the opener keeps back: the larger of a channel with anchor
/// outputs (1,124 and two HTLCs of 172) and one without (twice 724 and two HTLCs).
pub(super) const COMMITMENT_WEIGHT: u64 = 2_136;

/// What one channel can carry, in msat. Of a channel that is ready; its peer may be away.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ChannelRoom {
    /// Its id, hex.
    pub channel_id: String,
    /// The peer is connected.
    pub usable: bool,
    /// What we can never send.
    pub reserve_msat: u64,
    /// What must still come in before the first sat above the reserve can go out.
    pub missing_reserve_msat: u64,
    /// What is ours above the reserve, without HTLCs.
    pub outbound_msat: u64,
    /// What is in HTLCs of ours.
    pub pending_msat: u64,
    /// What we keep for the commitment transaction.
    pub commitment_fee_msat: u64,
    /// The most that the peer lets be in flight.
    pub in_flight_max_msat: u64,
    /// The smallest HTLC that the peer takes.
    pub htlc_min_msat: u64,
    /// The smallest HTLC that could go out now.
    pub now_min_msat: u64,
    /// The largest HTLC that could go out now.
    pub now_max_msat: u64,
    /// What the peer could send.
    pub inbound_msat: u64,
    /// The most that we let be in flight towards us.
    pub inbound_in_flight_max_msat: u64,
}

impl ChannelRoom {
    /// What can be sent in the long run, one payment after the other: with what is in flight counted as ours still.
    pub fn spendable_msat(&self) -> u64 {
        self.outbound_msat.saturating_add(self.pending_msat).saturating_sub(self.commitment_fee_msat)
    }

    /// The largest part of a payment once nothing is in flight.
    fn idle_part(&self) -> u64 {
        self.spendable_msat().min(self.in_flight_max_msat)
    }

    /// The same after as much as possible has come in through it.
    fn filled_part(&self) -> u64 {
        let more = self.inbound_msat.saturating_sub(self.missing_reserve_msat);
        self.spendable_msat().saturating_add(more).min(self.in_flight_max_msat)
    }
}

/// What stands in the way of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// No channel is ready.
    NoChannel,
    /// The channels don't hold so much above their reserves.
    Balance,
    /// The peers don't let so much be in flight at once.
    InFlight,
    /// Other payments take the channels' slots or what may be in flight.
    Busy,
    /// It is smaller than the smallest HTLC that goes through now.
    TooSmall,
    /// The peers can't send so much.
    Inbound,
}

/// A payment that can't be made, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shortfall {
    /// Which limit.
    pub limit: Limit,
    /// What it allows: the most, or for [`Limit::TooSmall`] the least.
    pub bound: Msat,
}

impl std::fmt::Display for Shortfall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Of a limit from above, what is less than a sat is no help.
        let bound = match self.limit {
            Limit::TooSmall => self.bound,
            _ => Msat::from_sat(self.bound.sat_floor()).unwrap_or(self.bound),
        };
        match self.limit {
            Limit::NoChannel => f.write_str("no channel is ready"),
            Limit::Balance => {
                write!(f, "our channels hold only {bound} above their reserves")
            }
            Limit::InFlight => {
                write!(f, "our channels' peers let at most {bound} of one payment be in flight")
            }
            Limit::Busy => {
                write!(f, "other payments are under way in our channels, which take at most {bound} now")
            }
            Limit::TooSmall => write!(f, "our channels take no payment below {bound} now"),
            Limit::Inbound => write!(f, "at most {bound} can come in at once"),
        }
    }
}

/// All channels together. Small numbers, ready for a hot path.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Model {
    /// Channels that are ready.
    pub channels: usize,
    /// Those whose peer is connected.
    pub usable: usize,
    /// What can be sent in all, one payment after the other, in msat.
    pub spendable_msat: u64,
    /// The same without what is in flight now, which may have left for good.
    pub in_hand_msat: u64,
    /// What can be sent in all through peers that are connected.
    pub spendable_usable_msat: u64,
    /// All that is ours in them: with reserves and commitment fees.
    pub owned_msat: u64,
    /// What is in flight.
    pub pending_msat: u64,
    /// The largest payment once nothing is in flight, in msat.
    pub largest_out_msat: u64,
    /// The same if as much as possible had come in before.
    pub largest_out_filled_msat: u64,
    /// The largest payment now.
    pub largest_out_now_msat: u64,
    /// The smallest payment now.
    pub smallest_out_now_msat: u64,
    /// The largest payment that can come in now.
    pub largest_in_msat: u64,
    /// What must come in before reserves that aren't full let anything out.
    pub missing_reserve_msat: u64,
    /// What can come in through channels whose reserve is full.
    inbound_free_msat: u64,
}

impl Model {
    /// The model of these channels.
    pub fn of(rooms: &[ChannelRoom]) -> Self {
        let sum = |value: &dyn Fn(&ChannelRoom) -> u64| rooms.iter().map(value).fold(0, u64::saturating_add);
        let usable = || rooms.iter().filter(|room| room.usable);
        let full = |room: &ChannelRoom| if room.missing_reserve_msat == 0 { room.inbound_msat } else { 0 };
        Self {
            channels: rooms.len(),
            usable: usable().count(),
            spendable_msat: sum(&ChannelRoom::spendable_msat),
            in_hand_msat: sum(&|room| room.outbound_msat.saturating_sub(room.commitment_fee_msat)),
            spendable_usable_msat: usable().map(ChannelRoom::spendable_msat).fold(0, u64::saturating_add),
            owned_msat: sum(&|room| {
                room.outbound_msat
                    .saturating_add(room.pending_msat)
                    .saturating_add(room.reserve_msat.saturating_sub(room.missing_reserve_msat))
            }),
            pending_msat: sum(&|room| room.pending_msat),
            largest_out_msat: in_parts(rooms.iter().map(ChannelRoom::idle_part)),
            largest_out_filled_msat: in_parts(rooms.iter().map(ChannelRoom::filled_part)),
            largest_out_now_msat: in_parts(usable().map(|room| room.now_max_msat)),
            smallest_out_now_msat: usable().map(|room| room.now_min_msat).min().unwrap_or(0),
            largest_in_msat: in_parts(
                usable().map(|room| room.inbound_msat.min(room.inbound_in_flight_max_msat)),
            ),
            missing_reserve_msat: sum(&|room| room.missing_reserve_msat),
            inbound_free_msat: sum(&full),
        }
    }

    /// Why a payment can't come in now, if it can't.
    pub fn no_way_in(&self, amount: Msat) -> Option<Shortfall> {
        let bound = msat(self.largest_in_msat);
        (amount > bound).then_some(Shortfall { limit: Limit::Inbound, bound })
    }

    /// Why a payment can't go out once nothing is in flight, if it can't.
    pub fn no_way_out(&self, amount: Msat) -> Option<Shortfall> {
        self.refuse(amount, self.largest_out_msat, self.spendable_msat)
    }

    /// Why a payment can't go out now, if it can't.
    pub fn no_way_out_now(&self, amount: Msat) -> Option<Shortfall> {
        if let Some(never) = self.no_way_out(amount) {
            return Some(never);
        }
        if amount.get() > self.largest_out_now_msat {
            return Some(Shortfall { limit: Limit::Busy, bound: msat(self.largest_out_now_msat) });
        }
        let least = self.smallest_out_now_msat;
        (amount.get() < least).then_some(Shortfall { limit: Limit::TooSmall, bound: msat(least) })
    }

    /// Why a payment could not go out after `comes` has come in, if it could not: with what comes in distributed in the
    /// best way, since nobody knows through which channel it will come.
    pub fn no_way_out_after(&self, comes: Msat, amount: Msat) -> Option<Shortfall> {
        self.refuse(amount, self.largest_out_filled_msat, self.spendable_after(comes))
    }

    /// What can be sent in all after `comes` has come in: reserves that aren't full take their share first.
    pub fn spendable_after(&self, comes: Msat) -> u64 {
        self.spendable_msat.saturating_add(self.remains_of(comes))
    }

    /// What of an amount that comes in can go out again.
    pub fn remains_of(&self, comes: Msat) -> u64 {
        let lost = if comes.get() <= self.inbound_free_msat { 0 } else { self.missing_reserve_msat };
        comes.get().saturating_sub(lost)
    }

    fn refuse(&self, amount: Msat, in_flight: u64, balance: u64) -> Option<Shortfall> {
        let (limit, bound) = match (self.channels, balance <= in_flight) {
            (0, _) => (Limit::NoChannel, 0),
            (_, true) => (Limit::Balance, balance),
            (_, false) => (Limit::InFlight, in_flight),
        };
        (amount.get() > bound).then(|| Shortfall { limit, bound: msat(bound) })
    }
}

/// The largest payment that so large parts can make.
pub(crate) fn in_parts(parts: impl Iterator<Item = u64>) -> u64 {
    let mut parts: Vec<u64> = parts.collect();
    parts.sort_unstable_by(|a, b| b.cmp(a));
    let mut sum = 0_u64;
    let mut most = 0;
    for part in parts.into_iter().take(usize::try_from(MAX_PARTS).unwrap_or(1)) {
        sum = sum.saturating_add(part);
        // A part smaller than its share is not used.
        most = most.max(sum.min(part.saturating_mul(MAX_PARTS)));
    }
    most
}

/// The least and the most that channels together could take of one payment now.
pub(crate) fn sizes(rooms: &[SendingRoom]) -> (Msat, Msat) {
    let least = rooms.iter().map(|room| room.min).min().unwrap_or(Msat::ZERO);
    (least, msat(in_parts(rooms.iter().map(|room| room.max.get()))))
}

fn msat(value: u64) -> Msat {
    Msat::new(value).unwrap_or(Msat::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAT: u64 = 1_000;

    fn sat(sat: u64) -> Msat {
        Msat::from_sat(sat).unwrap()
    }

    /// A channel of 1,000,000 sat, half of it pushed, whose peer lets a tenth be in flight.
    fn half() -> ChannelRoom {
        ChannelRoom {
            usable: true,
            reserve_msat: 10_000 * SAT,
            outbound_msat: 490_000 * SAT,
            commitment_fee_msat: 540 * SAT,
            in_flight_max_msat: 100_000 * SAT,
            htlc_min_msat: 1,
            now_min_msat: 1,
            now_max_msat: 100_000 * SAT,
            inbound_msat: 490_000 * SAT,
            inbound_in_flight_max_msat: 980_000 * SAT,
            ..ChannelRoom::default()
        }
    }

    #[test]
    fn payment_above_what_may_be_in_flight_is_refused_whatever_the_balance() {
        let model = Model::of(&[half()]);
        assert_eq!(model.no_way_out(sat(100_000)), None);
        let refused = model.no_way_out(sat(100_001)).unwrap();
        assert_eq!((refused.limit, refused.bound), (Limit::InFlight, sat(100_000)));
        let after = model.no_way_out_after(sat(110_000), sat(110_000)).unwrap();
        assert_eq!((after.limit, after.bound), (Limit::InFlight, sat(100_000)));
        assert!(after.to_string().contains("at most 100000 sat"), "{after}");
    }

    #[test]
    fn payment_may_go_and_come_in_parts() {
        let model = Model::of(&[half(), half()]);
        assert_eq!(model.no_way_out(sat(200_000)), None);
        assert!(model.no_way_out(sat(200_001)).is_some());
        assert_eq!(model.no_way_in(sat(980_000)), None);
        assert_eq!(model.no_way_in(sat(980_001)).unwrap().bound, sat(980_000));
    }

    #[test]
    fn parts_smaller_than_their_share_are_not_used() {
        assert_eq!(in_parts([1_000, 50].into_iter()), 1_000);
        assert_eq!(in_parts([1_000, 200].into_iter()), 1_200);
        assert_eq!(in_parts([100; 20].into_iter()), 1_000);
        assert_eq!(in_parts(std::iter::empty()), 0);
    }

    #[test]
    fn reserve_and_commitment_fee_cannot_be_sent() {
        let room = ChannelRoom { outbound_msat: 50_000 * SAT, now_max_msat: 49_460 * SAT, ..half() };
        let model = Model::of(&[room]);
        assert_eq!(model.no_way_out(sat(49_460)), None);
        let refused = model.no_way_out(sat(49_461)).unwrap();
        assert_eq!((refused.limit, refused.bound), (Limit::Balance, sat(49_460)));
        assert_eq!(model.owned_msat, 60_000 * SAT);
    }

    #[test]
    fn what_comes_in_fills_the_reserve_first() {
        let empty = ChannelRoom {
            outbound_msat: 0,
            missing_reserve_msat: 10_000 * SAT,
            commitment_fee_msat: 0,
            now_max_msat: 0,
            inbound_msat: 980_000 * SAT,
            ..half()
        };
        let model = Model::of(std::slice::from_ref(&empty));
        assert_eq!(model.spendable_after(sat(5_000)), 0);
        assert_eq!(model.spendable_after(sat(15_000)), 5_000 * SAT);
        assert!(model.no_way_out_after(sat(15_000), sat(15_000)).is_some());
        // Another channel can take it all.
        let model = Model::of(&[empty, half()]);
        assert_eq!(model.spendable_after(sat(5_000)), (489_460 + 5_000) * SAT);
    }

    #[test]
    fn busy_channels_are_told_from_small_ones() {
        let full = ChannelRoom { now_max_msat: 0, pending_msat: 5_000 * SAT, ..half() };
        let model = Model::of(&[full]);
        assert_eq!(model.no_way_out(sat(5_000)), None);
        assert_eq!(model.no_way_out_now(sat(5_000)).unwrap().limit, Limit::Busy);
        let rationed = ChannelRoom { now_min_msat: 2_310 * SAT, ..half() };
        let refused = Model::of(&[rationed]).no_way_out_now(sat(100)).unwrap();
        assert_eq!((refused.limit, refused.bound), (Limit::TooSmall, sat(2_310)));
    }

    #[test]
    fn no_channel_is_a_limit_of_its_own() {
        assert_eq!(Model::of(&[]).no_way_out(sat(1)).unwrap().limit, Limit::NoChannel);
    }
}
