//! Events a second over the last ten seconds.

use crate::record::Millis;

const SECONDS: usize = 10;

/// A ring of seconds.
#[derive(Clone, Debug, Default)]
pub(super) struct Meter {
    counts: [u64; SECONDS],
    second: u64,
}

impl Meter {
    pub(super) fn add(&mut self, now: Millis, count: u64) {
        self.turn(now.seconds());
        self.counts[(self.second % SECONDS as u64) as usize] += count;
    }

    /// How many in the last ten seconds: ten times those of a second.
    pub(super) fn tenths(&self, now: Millis) -> u64 {
        let mut turned = self.clone();
        turned.turn(now.seconds());
        turned.counts.iter().sum()
    }

    fn turn(&mut self, second: u64) {
        for passed in (self.second + 1..=second).rev().take(SECONDS) {
            self.counts[(passed % SECONDS as u64) as usize] = 0;
        }
        self.second = self.second.max(second);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ten_seconds_old_no_longer_counts() {
        let mut meter = Meter::default();
        meter.add(Millis(5_000), 3);
        meter.add(Millis(9_000), 4);
        assert_eq!(meter.tenths(Millis(14_999)), 7);
        assert_eq!(meter.tenths(Millis(15_000)), 4);
        assert_eq!(meter.tenths(Millis(1_000_000)), 0);
    }
}
