//! Random choices that can be repeated: the same seed gives the same ones.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A sequence of choices (SplitMix64).
pub struct Choices(u64);

impl Choices {
    /// One of the sequences of a seed.
    pub fn of(seed: u64, who: u64) -> Self {
        Self(seed ^ who.wrapping_mul(0xD134_2543_DE82_EF95))
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from))
    }

    /// One of two wallets.
    pub fn wallet(&mut self) -> usize {
        usize::from(self.below(2) == 1)
    }
}

/// A seed of the environment variable `SATCHEL_SEED`, or a new one.
pub fn seed() -> u64 {
    let clock = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    std::env::var("SATCHEL_SEED")
        .map_or_else(|_| clock(), |text| text.parse().expect("SATCHEL_SEED is a number"))
}
