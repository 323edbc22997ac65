//! Chance that can be repeated: `LFDNS_SEED` in the environment, or else the clock, and always printed.
#![allow(dead_code, unreachable_pub)]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// In the environment: the seed of a run that is to be repeated.
const SEED: &str = "LFDNS_SEED";

/// The seed of this run. The test runner shows the line when the test fails.
pub fn seed() -> u64 {
    let given = std::env::var(SEED).ok().map(|seed| seed.parse().expect("LFDNS_SEED is a number"));
    let clock =
        || SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_nanos() as u64;
    let seed = given.unwrap_or_else(clock);
    println!("{SEED}={seed}");
    seed
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, and the same everywhere.
pub struct Dice(u64);

impl Dice {
    /// Dice that fall the same for the same seed.
    pub fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    /// Any number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// One of several.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }

    /// A duration shorter than `bound`.
    pub fn within(&mut self, bound: Duration) -> Duration {
        Duration::from_nanos(self.below(bound.as_nanos() as u64))
    }
}
