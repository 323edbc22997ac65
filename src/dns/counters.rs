//! What a cached answer hangs on, without locks: a fixed table of counters.
//!
//! Everything an answer reads (a slot, the existence of a path, a zone's serial, the configuration) has a
//! place in the table, found by its path key. A change takes the next number and writes it to the places of what
//! it changed; an answer carries (place, number) pairs, and is good as long as they compare equal. Two paths
//! that share a place cost a needless miss, never a wrong hit. docs/DNS.md "Answer cache".
//!
//! What an answer reads is found out only while it reads, from a snapshot taken before: a place may have changed in
//! between, and its number would then vouch for something older. So dependencies remember the newest number of the
//! time before the snapshot, and a place with a later one spoils them.

use std::sync::atomic::{AtomicU64, Ordering};

use smallvec::SmallVec;

use crate::record::PathKey;

/// Places in the table, a power of two; 8 bytes each.
const PLACES: usize = 1 << 18;
/// The place that every answer depends on: rules, configuration, readiness. Path keys never map to it.
const GLOBAL: u32 = 0;

/// The table. Shared by everyone who answers and the one who commits.
#[derive(Debug)]
pub struct Counters {
    places: Box<[AtomicU64]>,
    /// The number the latest change took.
    newest: AtomicU64,
}

/// What an answer read, as pairs of a place and the low half of its number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deps {
    seen: SmallVec<[(u32, u32); 8]>,
    /// The newest number when they began.
    begun: u64,
    /// Something changed between then and its reading.
    spoilt: bool,
}

impl Default for Counters {
    fn default() -> Counters {
        Counters { places: (0..PLACES).map(|_| AtomicU64::new(0)).collect(), newest: AtomicU64::new(0) }
    }
}

impl Counters {
    fn place(path: &PathKey) -> u32 {
        let high = u32::from_be_bytes([path.0[0], path.0[1], path.0[2], path.0[3]]);
        (high as usize & (PLACES - 1)).max(1) as u32
    }

    /// A change of what lies at this path.
    pub fn bump(&self, path: &PathKey) {
        self.renew(Counters::place(path));
    }

    /// A change that may touch any answer.
    pub fn bump_global(&self) {
        self.renew(GLOBAL);
    }

    fn renew(&self, place: u32) {
        let number = self.newest.fetch_add(1, Ordering::AcqRel) + 1;
        self.places[place as usize].store(number, Ordering::Release);
    }

    /// The dependencies every answer begins with. Taken before the snapshot that is read.
    pub fn begin(&self) -> Deps {
        let mut deps = Deps { begun: self.newest.load(Ordering::Acquire), ..Deps::default() };
        deps.note_place(self, GLOBAL);
        deps
    }

    /// Whether nothing that was read has changed since.
    pub fn hold(&self, deps: &Deps) -> bool {
        let same = |(place, number): &(u32, u32)| {
            self.places[*place as usize].load(Ordering::Acquire) as u32 == *number
        };
        !deps.spoilt && deps.seen.iter().all(same)
    }
}

impl Deps {
    /// Notes that the answer hangs on this path.
    pub fn note(&mut self, counters: &Counters, path: &PathKey) {
        self.note_place(counters, Counters::place(path));
    }

    fn note_place(&mut self, counters: &Counters, place: u32) {
        if self.seen.iter().all(|(known, _)| *known != place) {
            let number = counters.places[place as usize].load(Ordering::Acquire);
            self.spoilt |= number > self.begun;
            self.seen.push((place, number as u32));
        }
    }

    /// How many places it holds.
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// Whether it hangs on nothing.
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bump_of_a_noted_path_ends_the_answer_and_another_does_not() {
        let counters = Counters::default();
        let (read, other) = (PathKey([1; 16]), PathKey([2; 16]));
        let mut deps = counters.begin();
        deps.note(&counters, &read);
        counters.bump(&other);
        assert!(counters.hold(&deps));
        counters.bump(&read);
        assert!(!counters.hold(&deps));
    }

    #[test]
    fn what_changed_between_the_snapshot_and_the_note_was_read_too_early() {
        let counters = Counters::default();
        let (read, other) = (PathKey([1; 16]), PathKey([2; 16]));
        let mut deps = counters.begin();
        counters.bump(&read);
        deps.note(&counters, &other);
        assert!(counters.hold(&deps));
        deps.note(&counters, &read);
        assert!(!counters.hold(&deps), "the number is current, what was read is not");
    }

    #[test]
    fn a_global_bump_ends_every_answer() {
        let counters = Counters::default();
        let deps = counters.begin();
        counters.bump_global();
        assert!(!counters.hold(&deps));
    }
}
