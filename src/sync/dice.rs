//! Chance for decisions that need some and no secrecy: jitter, whom to push to. Seeded, so that a simulation
//! repeats itself.

/// A generator (splitmix64, Steele, Lea & Flood 2014).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Begins where `seed` says.
    pub fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    /// Any number.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end`; 0 if that is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        if end == 0 { 0 } else { self.roll() % end }
    }

    /// `ms`, a quarter more or less.
    pub fn about(&mut self, ms: u64) -> u64 {
        ms - ms / 4 + self.below(ms / 2 + 1)
    }

    /// Puts items in some order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_about_a_time_is_within_a_quarter_of_it() {
        let mut dice = Dice::new(1);
        let rolled: Vec<u64> = (0..1_000).map(|_| dice.about(1_000)).collect();
        assert!(rolled.iter().all(|ms| (750..=1_250).contains(ms)));
        assert!(rolled.iter().any(|ms| *ms < 800) && rolled.iter().any(|ms| *ms > 1_200));
    }
}
