//! Counts of durations by size, within two in a hundred, in a fixed amount of memory: what percentiles are read from.

/// Each power of two is cut into this many parts, as an exponent: 64, so a part is 1.6 % wide.
const PARTS_BITS: u32 = 6;
const PARTS: u64 = 1 << PARTS_BITS;
/// Values from here on (an hour and more, in microseconds) count as the largest part.
const VALUE_MAX: u64 = 1 << 32;

/// How often each size of value came.
#[derive(Clone, Debug)]
pub struct Histogram {
    parts: Vec<u64>,
    count: u64,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram { parts: vec![0; part_of(VALUE_MAX) + 1], count: 0, max: 0 }
    }
}

impl Histogram {
    /// Counts one value.
    pub fn record(&mut self, value: u64) {
        self.parts[part_of(value.min(VALUE_MAX))] += 1;
        self.count += 1;
        self.max = self.max.max(value);
    }

    /// Adds the counts of another.
    pub fn merge(&mut self, other: &Histogram) {
        for (sum, count) in self.parts.iter_mut().zip(&other.parts) {
            *sum += count;
        }
        self.count += other.count;
        self.max = self.max.max(other.max);
    }

    /// How many values were counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The largest value, exactly.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// The value that so many of a thousand are not above, rounded up to its part's end; 0 where there are none.
    pub fn per_mille(&self, share: u64) -> u64 {
        // At least one value, or the smallest part would be the answer to 0.
        let wanted = (self.count * share.min(1000)).div_ceil(1000).max(1);
        let mut seen = 0;
        for (part, count) in self.parts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return end_of(part).min(self.max);
            }
        }
        self.max
    }
}

/// Values below [`PARTS`] have a part each; above, the exponent and the bits behind the first tell it.
fn part_of(value: u64) -> usize {
    if value < PARTS {
        return value as usize;
    }
    let shift = value.ilog2() - PARTS_BITS;
    ((u64::from(shift) + 1) * PARTS + ((value >> shift) - PARTS)) as usize
}

/// The largest value of a part.
fn end_of(part: usize) -> u64 {
    let part = part as u64;
    if part < PARTS {
        return part;
    }
    let shift = part / PARTS - 1;
    ((PARTS + part % PARTS + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_empty_histogram_knows_nothing() {
        let empty = Histogram::default();
        assert_eq!((empty.count(), empty.max(), empty.per_mille(990)), (0, 0, 0));
    }

    #[test]
    fn a_value_beyond_all_parts_is_counted() {
        let mut histogram = Histogram::default();
        histogram.record(u64::MAX);
        assert_eq!((histogram.count(), histogram.max()), (1, u64::MAX));
    }

    proptest! {
        #[test]
        fn a_part_holds_its_value_and_is_narrow(value in 0..VALUE_MAX) {
            let end = end_of(part_of(value));
            prop_assert!(end >= value && end - value <= value / PARTS);
            prop_assert!(part_of(value) == 0 || end_of(part_of(value) - 1) < value);
        }

        #[test]
        fn percentiles_are_those_of_the_sorted_values(
            mut values in proptest::collection::vec(0_u64..5_000_000, 1..300),
            cut in 0_usize..300,
            share in 0_u64..=1000,
        ) {
            let (mut histogram, mut other) = (Histogram::default(), Histogram::default());
            for (index, value) in values.iter().enumerate() {
                if index < cut { histogram.record(*value) } else { other.record(*value) }
            }
            histogram.merge(&other);
            values.sort_unstable();
            let rank = (values.len() * share as usize).div_ceil(1000).max(1);
            let (exact, found) = (values[rank - 1], histogram.per_mille(share));
            prop_assert!(found >= exact && found - exact <= exact / PARTS, "{found} for {exact}");
        }
    }
}
