//! How strangers share a budget.
//!
//! An address counts on itself and on each network around it: of IPv6 its /64, /56, /48 and /32, of IPv4 its /24 and
//! /16. The smaller ones have quotas, a part of the whole each. Once four fifths of the budget are used, the larger
//! ones (/48 and /32, /24 and /16) get their fair share alone: four fifths of the budget divided by the networks that
//! have asked in the last minute, and one more. So what all of them take together is less than what comes back, and
//! leaves room for one that asks now for the first time. If there are more networks than a minute's budget has
//! requests, each may have one as often as the division says, and which of them come first is chance: no more is due to
//! any of them.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::iter;
use std::net::IpAddr;

use super::recent::Recent;

pub(super) const MINUTE_MS: f32 = 60_000.0;

/// What must be left of the budget before fair shares are enforced.
const CALM: f32 = 0.2;

/// A small budget gives a single address this much all the same.
const LEAST_QUOTA: f32 = 10.0;

/// Longest wait that is told.
const LONGEST_WAIT_MS: f32 = 3_600_000.0;

/// Networks of one size.
struct Level {
    networks: Recent<Use>,
    /// The part of the budget that one of them may have.
    part: f32,
    /// Whether each gets its fair share alone, when little is left.
    shared: bool,
    minute: u64,
    active: u32,
    active_before: u32,
}

/// What one of them has used.
#[derive(Clone, Copy, Default)]
pub(super) struct Use {
    /// Of its quota. Comes back evenly over a minute.
    of_quota: f32,
    /// Of its fair share. Comes back as fast as the share is large.
    of_share: f32,
    at_ms: u64,
    /// The minute in which it last asked, counted from one.
    minute: u32,
}

impl Use {
    /// Gives back what time has given back.
    pub(super) fn leak(&mut self, now_ms: u64, quota: f32, share: f32) {
        let elapsed = span(now_ms.saturating_sub(self.at_ms)) / MINUTE_MS;
        self.of_quota = (self.of_quota - elapsed * quota).max(0.0);
        // What was taken while there was plenty is not held against it for longer than two minutes.
        self.of_share = (self.of_share.min(2.0 * share.max(1.0)) - elapsed * share).max(0.0);
        self.at_ms = now_ms;
    }

    /// How long until another fits into the quota; `None` if it does.
    pub(super) fn wait_ms(&self, quota: f32) -> Option<u64> {
        wait_ms(self.of_quota + 1.0 - quota, quota)
    }

    fn share_wait_ms(&self, share: f32) -> Option<u64> {
        wait_ms(self.of_share + 1.0 - share.max(1.0), share)
    }

    pub(super) fn count(&mut self) {
        self.of_quota += 1.0;
        self.of_share += 1.0;
    }
}

impl Level {
    fn new(part: f32, shared: bool) -> Self {
        Self { networks: Recent::default(), part, shared, minute: 0, active: 0, active_before: 0 }
    }

    /// Networks that were active in this minute or the one before, whichever were more.
    fn active(&self, now_ms: u64) -> u32 {
        match minute_of(now_ms).saturating_sub(self.minute) {
            0 => self.active.max(self.active_before),
            1 => self.active,
            _ => 0,
        }
    }

    /// The use of a network, brought up to date, with its quota and its share of a budget that it has with all active
    /// networks of its level and `others` besides.
    fn look(&mut self, key: u64, now_ms: u64, budget: f32, others: u32) -> (&mut Use, f32, f32) {
        let minute = minute_of(now_ms);
        if minute != self.minute {
            let follows = minute == self.minute.saturating_add(1);
            self.active_before = if follows { self.active } else { 0 };
            (self.minute, self.active) = (minute, 0);
        }
        let used = self.networks.entry(key, now_ms);
        let this = u32::try_from(minute).unwrap_or(u32::MAX);
        if used.minute != this {
            used.minute = this;
            self.active = self.active.saturating_add(1);
        }
        let active = self.active.max(self.active_before);
        let networks = active.saturating_add(others).saturating_add(1);
        let quota = (budget * self.part).max(LEAST_QUOTA.min(budget));
        let share = budget * (1.0 - CALM) / reckoned(networks);
        used.leak(now_ms, quota, share);
        (used, quota, share)
    }
}

/// The strangers' budget.
pub(super) struct Strangers {
    a_minute: f32,
    left: f32,
    at_ms: u64,
    /// The largest networks first, so that those of both families that are of one rank stand at one place.
    v4: [Level; 3],
    v6: [Level; 4],
    hasher: RandomState,
}

impl Strangers {
    /// With so many a minute.
    pub(super) fn new(a_minute: f32) -> Self {
        Self {
            a_minute,
            left: a_minute,
            at_ms: 0,
            v4: [Level::new(1.0, true), Level::new(0.5, true), Level::new(0.125, false)],
            v6: [
                Level::new(1.0, true),
                Level::new(0.5, true),
                Level::new(0.25, false),
                Level::new(0.125, false),
            ],
            hasher: RandomState::new(),
        }
    }

    /// Takes one for an address; without one, as in calls of the process itself, of the whole alone.
    ///
    /// # Errors
    /// Milliseconds to wait. Then nothing was taken.
    pub(super) fn take(&mut self, address: Option<IpAddr>, now_ms: u64) -> Result<(), u64> {
        let elapsed = span(now_ms.saturating_sub(self.at_ms)) / MINUTE_MS;
        self.left = (self.left + elapsed * self.a_minute).min(self.a_minute);
        self.at_ms = self.at_ms.max(now_ms);
        let scarce = self.left < CALM * self.a_minute;
        let budget = self.a_minute;
        let keys = address.map(|address| self.keys(address)).unwrap_or_default();
        // Both families share one budget, so each level counts the other family's networks of its rank too.
        let (levels, others): (&mut [Level], &[Level]) = match address {
            Some(IpAddr::V4(_)) => (&mut self.v4, &self.v6),
            Some(IpAddr::V6(_)) => (&mut self.v6, &self.v4),
            None => (&mut [], &[]),
        };
        let others = others.iter().map(|level| level.active(now_ms)).chain(iter::repeat(0));
        let mut wait = None;
        for ((level, key), others) in levels.iter_mut().zip(keys).zip(others) {
            let shared = level.shared && scarce;
            let (used, quota, share) = level.look(key, now_ms, budget, others);
            let of_share = if shared { used.share_wait_ms(share) } else { None };
            wait = wait.max(used.wait_ms(quota)).max(of_share);
        }
        match wait.max(wait_ms(1.0 - self.left, budget)) {
            Some(wait) => Err(wait),
            None => {
                self.left -= 1.0;
                for (level, key) in levels.iter_mut().zip(keys) {
                    level.networks.entry(key, now_ms).count();
                }
                Ok(())
            }
        }
    }

    /// What an address counts on, the largest first: as hashes that nobody can aim at.
    fn keys(&self, address: IpAddr) -> [u64; 4] {
        let prefix = |bits: u128, kept: u32, all: u32| {
            let prefix = bits.checked_shr(all.saturating_sub(kept)).unwrap_or(0);
            self.hasher.hash_one((kept, all, prefix))
        };
        match address {
            IpAddr::V4(address) => [16, 24, 32, 0].map(|kept| prefix(address.to_bits().into(), kept, 32)),
            IpAddr::V6(address) => [32, 48, 56, 64].map(|kept| prefix(address.to_bits(), kept, 128)),
        }
    }

    /// The networks that are remembered, of all sizes.
    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.v4.iter().chain(&self.v6).map(|level| level.networks.len()).sum()
    }
}

/// Which minute it is, counted from one.
fn minute_of(now_ms: u64) -> u64 {
    (now_ms / 60_000).saturating_add(1)
}

/// How long until `missing` has come back; `None` if nothing is missing.
fn wait_ms(missing: f32, a_minute: f32) -> Option<u64> {
    // Rounding errors of many small steps don't make anybody wait.
    if missing <= 0.001 {
        return None;
    }
    let wait = (missing / a_minute * MINUTE_MS).clamp(1.0, LONGEST_WAIT_MS);
    std::time::Duration::try_from_secs_f32(wait / 1_000.0)
        .ok()
        .map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1))
}

/// Milliseconds as a number that is reckoned with; a day is as good as more.
fn span(elapsed_ms: u64) -> f32 {
    std::time::Duration::from_millis(elapsed_ms.min(86_400_000)).as_secs_f32() * 1_000.0
}

/// A count as a number that is reckoned with: exact up to 16 million.
pub(super) fn reckoned(count: u32) -> f32 {
    let (high, low) = (u16::try_from(count >> 16).unwrap_or(0), u16::try_from(count & 0xffff).unwrap_or(0));
    f32::from(high) * 65_536.0 + f32::from(low)
}
