//! What is remembered of those who asked a short while ago, in bounded memory.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};
use std::mem;

/// Entries of one generation. Two are kept, of about 40 bytes an entry.
const GENERATION: usize = 57_344;

/// How long a generation takes entries at most, in milliseconds.
const GENERATION_MS: u64 = 10 * 60 * 1_000;

/// A map of two generations. What is not asked for while the newer one fills up, or for ten minutes, is forgotten with
/// the older one: a crowd too large to be remembered is forgotten in the order in which it came.
pub struct Recent<V> {
    newer: HashMap<u64, V>,
    older: HashMap<u64, V>,
    turned_ms: u64,
    lasts_ms: u64,
    hasher: RandomState,
}

impl<V> Default for Recent<V> {
    fn default() -> Self {
        Self::lasting(GENERATION_MS)
    }
}

impl<V> Recent<V> {
    /// One that remembers for as long, unless there are too many.
    pub fn lasting(lasts_ms: u64) -> Self {
        let (newer, older) = (HashMap::new(), HashMap::new());
        Self { newer, older, turned_ms: 0, lasts_ms, hasher: RandomState::new() }
    }

    /// Under what something is kept: a number that nobody can aim at.
    pub fn key(&self, of: impl Hash) -> u64 {
        self.hasher.hash_one(of)
    }

    /// The entry of a key that was just asked for.
    pub fn known(&mut self, key: u64) -> Option<&mut V> {
        self.newer.get_mut(&key).or_else(|| self.older.get_mut(&key))
    }

    /// How many are remembered.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.newer.len() + self.older.len()
    }
}

impl<V: Default> Recent<V> {
    /// The entry of a key, new if it is not remembered.
    pub fn entry(&mut self, key: u64, now_ms: u64) -> &mut V {
        if self.newer.len() >= GENERATION || now_ms.saturating_sub(self.turned_ms) >= self.lasts_ms {
            self.older = mem::take(&mut self.newer);
            self.turned_ms = now_ms;
        }
        let older = &mut self.older;
        self.newer.entry(key).or_insert_with(|| older.remove(&key).unwrap_or_default())
    }
}
