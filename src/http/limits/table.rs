//! The quotas of one class, by whoever has one, in bounded memory.
//!
//! A quota is one time: when it would be whole again (the generic cell rate algorithm). Of those that are not whole a
//! table keeps so many. When it is full, a region (a /16 of IPv4, a /32 of IPv6) with more of them than its fair share
//! gets no more: what comes anew out of it shares quotas by network, [`LOTS`] in all. Anybody else still gets one of
//! their own, in place of one of the regions with the most. So a crowd out of one region costs the others nothing, and
//! is limited all the same.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::iter;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Parts of a table, each with a lock of its own.
const SHARDS: u64 = 16;

/// Quotas that newcomers of a crowded region share.
const LOTS: u64 = 1_024;

/// Quotas that are looked at for one to be forgotten: the one of the largest region, of those the one that is whole
/// again first.
const LOOKED_AT: usize = 16;

/// Whose quota: numbers that nobody can aim at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name {
    pub(super) own: u64,
    pub(super) network: u64,
    pub(super) region: u64,
}

impl Name {
    /// Of somebody who has no network around them.
    pub(super) fn of(own: u64) -> Self {
        Self { own, network: own, region: own }
    }
}

/// What a check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Left {
    /// How many more may follow at once.
    pub(super) remaining: u32,
}

pub(super) struct Table {
    shards: Vec<Mutex<Shard>>,
    limit: u32,
    step: Duration,
    window: Duration,
    began: Instant,
}

#[derive(Default)]
struct Shard {
    places: HashMap<u64, usize>,
    entries: Vec<Entry>,
    regions: HashMap<u64, usize>,
    most: usize,
    /// Where the next look for one to be forgotten begins.
    hand: usize,
}

struct Entry {
    key: u64,
    region: u64,
    /// When the quota is whole again, from the table's beginning on.
    whole_at: Duration,
}

impl Table {
    /// `limit` in a `window`, of `remembered` at most.
    pub(super) fn new(limit: u32, window: Duration, remembered: usize) -> Self {
        let most = remembered.div_ceil(usize::try_from(SHARDS).unwrap_or(1)).max(1);
        let shard = || Mutex::new(Shard { most, ..Shard::default() });
        let shards = iter::repeat_with(shard).take(usize::try_from(SHARDS).unwrap_or(1)).collect();
        Self { shards, limit, step: window / limit.max(1), window, began: Instant::now() }
    }

    /// Takes so many.
    ///
    /// # Errors
    /// How long to wait if there are not that many left; then nothing was taken.
    pub(super) fn take(&self, name: Name, count: u32) -> Result<Left, Duration> {
        let now = self.began.elapsed();
        let Some(mut shard) = self.shard(name.network) else { return Ok(Left { remaining: self.limit }) };
        let entry = shard.entry(name, now);
        let Some(entry) = entry else { return Ok(Left { remaining: self.limit }) };
        let used = entry.whole_at.saturating_sub(now).saturating_add(self.step.saturating_mul(count));
        if used > self.window {
            return Err(used.saturating_sub(self.window));
        }
        entry.whole_at = now.saturating_add(used);
        let left = self.window.saturating_sub(used).as_nanos() / self.step.as_nanos().max(1);
        Ok(Left { remaining: u32::try_from(left).unwrap_or(self.limit).min(self.limit) })
    }

    /// Forgets the quotas that are whole.
    pub(super) fn sweep(&self) {
        for shard in &self.shards {
            let now = self.began.elapsed();
            shard.lock().unwrap_or_else(PoisonError::into_inner).sweep(now);
        }
    }

    /// How many are remembered.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let shards = self.shards.iter();
        shards.map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).entries.len()).sum()
    }

    fn shard(&self, network: u64) -> Option<MutexGuard<'_, Shard>> {
        let shard = self.shards.get(usize::try_from(network % SHARDS).unwrap_or(0))?;
        Some(shard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Shard {
    /// The quota that somebody has, or shares.
    fn entry(&mut self, name: Name, now: Duration) -> Option<&mut Entry> {
        let place = match self.places.get(&name.own) {
            Some(place) => *place,
            None if self.is_crowded(name.region) => {
                // Of numbers that nobody can aim at.
                let lot = (name.region, name.network / SHARDS % (LOTS / SHARDS));
                let lot = BuildHasherDefault::<DefaultHasher>::default().hash_one(lot);
                match self.places.get(&lot) {
                    Some(place) => *place,
                    None => self.insert(lot, name.region, now),
                }
            }
            None => self.insert(name.own, name.region, now),
        };
        self.entries.get_mut(place)
    }

    /// Whether there is no room, and this region has more than its fair share.
    fn is_crowded(&self, region: u64) -> bool {
        let share = self.most / self.regions.len().saturating_add(1);
        self.entries.len() >= self.most && self.of(region) > share
    }

    fn of(&self, region: u64) -> usize {
        self.regions.get(&region).copied().unwrap_or_default()
    }

    fn insert(&mut self, key: u64, region: u64, now: Duration) -> usize {
        while self.entries.len() >= self.most {
            self.forget_one();
        }
        let count = self.regions.entry(region).or_default();
        *count = count.saturating_add(1);
        let place = self.entries.len();
        self.entries.push(Entry { key, region, whole_at: now });
        self.places.insert(key, place);
        place
    }

    fn forget_one(&mut self) {
        let length = self.entries.len().max(1);
        // Strides through all of them, so that each comes up in time.
        let places = (0..LOOKED_AT).map(|step| self.hand.wrapping_add(step.wrapping_mul(7_919)) % length);
        let rank = |place: &usize| {
            let entry = self.entries.get(*place);
            entry.map(|entry| (self.of(entry.region), std::cmp::Reverse(entry.whole_at)))
        };
        let place = places.max_by_key(rank).unwrap_or_default();
        self.hand = self.hand.wrapping_add(1) % length;
        self.remove(place);
    }

    fn remove(&mut self, place: usize) {
        if place >= self.entries.len() {
            return;
        }
        let gone = self.entries.swap_remove(place);
        self.places.remove(&gone.key);
        if let Some(moved) = self.entries.get(place) {
            self.places.insert(moved.key, place);
        }
        match self.regions.get_mut(&gone.region) {
            Some(count) if *count > 1 => *count = count.saturating_sub(1),
            _ => drop(self.regions.remove(&gone.region)),
        }
    }

    fn sweep(&mut self, now: Duration) {
        self.entries.retain(|entry| entry.whole_at > now);
        self.places.clear();
        self.regions.clear();
        for (place, entry) in self.entries.iter().enumerate() {
            self.places.insert(entry.key, place);
            let count = self.regions.entry(entry.region).or_default();
            *count = count.saturating_add(1);
        }
        self.entries.shrink_to(self.entries.len().saturating_mul(2));
        self.places.shrink_to(self.entries.len().saturating_mul(2));
        self.regions.shrink_to_fit();
    }
}
