//! What a cached answer hangs on, without locks: a fixed table of counters.
//!
//! Everything an answer reads (a slot, the existence of a path, a zone's serial, the configuration) has a
//! place in the table, found by its path key. A commit bumps the places of what it changed; an answer carries
//! (place, count) pairs from before it began to read, and is good as long as they compare equal. Two paths
//! that share a place cost a needless miss, never a wrong hit. docs/DNS.md "Answer cache".

use std::sync::atomic::{AtomicU32, Ordering};

use smallvec::SmallVec;

use crate::record::PathKey;

/// Places in the table, a power of two; 4 bytes each.
const PLACES: usize = 1 << 18;
/// The place that every answer depends on: rules, configuration, readiness. Path keys never map to it.
const GLOBAL: u32 = 0;

/// The table. Shared by everyone who answers and the one who commits.
#[derive(Debug)]
pub struct Counters {
    places: Box<[AtomicU32]>,
}

/// What an answer read, as (place, count) pairs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deps {
    seen: SmallVec<[(u32, u32); 8]>,
}

impl Default for Counters {
    fn default() -> Counters {
        Counters { places: (0..PLACES).map(|_| AtomicU32::new(0)).collect() }
    }
}

impl Counters {
    fn place(path: &PathKey) -> u32 {
        let high = u32::from_be_bytes([path.0[0], path.0[1], path.0[2], path.0[3]]);
        (high as usize & (PLACES - 1)).max(1) as u32
    }

    /// A change of what lies at this path.
    pub fn bump(&self, path: &PathKey) {
        self.places[Counters::place(path) as usize].fetch_add(1, Ordering::Release);
    }

    /// A change that may touch any answer.
    pub fn bump_global(&self) {
        self.places[GLOBAL as usize].fetch_add(1, Ordering::Release);
    }

    /// The dependencies every answer begins with. Taken before anything is read.
    pub fn begin(&self) -> Deps {
        let mut deps = Deps::default();
        deps.note_place(self, GLOBAL);
        deps
    }

    /// Whether nothing that was read has changed since.
    pub fn hold(&self, deps: &Deps) -> bool {
        deps.seen.iter().all(|(place, count)| self.places[*place as usize].load(Ordering::Acquire) == *count)
    }
}

impl Deps {
    /// Notes that the answer hangs on this path. Must be called before the path is read.
    pub fn note(&mut self, counters: &Counters, path: &PathKey) {
        self.note_place(counters, Counters::place(path));
    }

    fn note_place(&mut self, counters: &Counters, place: u32) {
        if self.seen.iter().all(|(known, _)| *known != place) {
            self.seen.push((place, counters.places[place as usize].load(Ordering::Acquire)));
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
    fn a_global_bump_ends_every_answer() {
        let counters = Counters::default();
        let deps = counters.begin();
        counters.bump_global();
        assert!(!counters.hold(&deps));
    }
}
