//! Where "not yet" waits: orphans for the records they link to, deferred records for their time. Both pools
//! are bounded by count and bytes and live in memory only: what is dropped from them was never judged, and
//! whoever has it may bring it again. Pure; the writer decides when to look.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::record::{Millis, RecordId};

/// How much a pool may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) count: usize,
    pub(crate) bytes: usize,
}

/// Records of which some links are not here, found by what they wait for. The oldest make room for new ones.
pub(crate) struct Orphans<T> {
    bounds: Bounds,
    bytes: usize,
    next: u64,
    waiting: HashMap<RecordId, Orphan<T>>,
    by_missing: HashMap<RecordId, Vec<RecordId>>,
    by_age: VecDeque<(u64, RecordId)>,
}

struct Orphan<T> {
    item: T,
    size: usize,
    missing: Vec<RecordId>,
    age: u64,
}

impl<T: Clone> Orphans<T> {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Orphans {
            bounds,
            bytes: 0,
            next: 0,
            waiting: HashMap::new(),
            by_missing: HashMap::new(),
            by_age: VecDeque::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Lets a record wait for `missing`. One that waits already waits for these instead.
    pub(crate) fn insert(&mut self, id: RecordId, size: usize, missing: &[RecordId], item: T) {
        self.remove(&id);
        if size > self.bounds.bytes || missing.is_empty() {
            return;
        }
        while self.waiting.len() >= self.bounds.count || self.bytes + size > self.bounds.bytes {
            if !self.drop_oldest() {
                return;
            }
        }
        for parent in missing {
            self.by_missing.entry(*parent).or_default().push(id);
        }
        self.by_age.push_back((self.next, id));
        self.waiting.insert(id, Orphan { item, size, missing: missing.to_vec(), age: self.next });
        self.next += 1;
        self.bytes += size;
    }

    /// Those that wait for this record, perhaps for others too. They stay until they are removed.
    pub(crate) fn waiting_for(&self, parent: &RecordId) -> Vec<T> {
        let ids = self.by_missing.get(parent).map_or(&[][..], Vec::as_slice);
        ids.iter().filter_map(|id| self.waiting.get(id)).map(|orphan| orphan.item.clone()).collect()
    }

    pub(crate) fn remove(&mut self, id: &RecordId) {
        let Some(orphan) = self.waiting.remove(id) else { return };
        self.bytes -= orphan.size;
        for parent in &orphan.missing {
            if let Some(children) = self.by_missing.get_mut(parent) {
                children.retain(|child| child != id);
                if children.is_empty() {
                    self.by_missing.remove(parent);
                }
            }
        }
        // Entries of `by_age` go lazily; not for ever, or a pool that is never full would leak.
        if self.by_age.len() > 2 * self.waiting.len() + 64 {
            let waiting = &self.waiting;
            self.by_age.retain(|(age, id)| waiting.get(id).is_some_and(|o| o.age == *age));
        }
    }

    fn drop_oldest(&mut self) -> bool {
        while let Some((age, id)) = self.by_age.pop_front() {
            if self.waiting.get(&id).is_some_and(|o| o.age == age) {
                self.remove(&id);
                return true;
            }
        }
        false
    }
}

/// Records whose time has not come, by time. The furthest ahead make room for nearer ones.
pub(crate) struct Deferred<T> {
    bounds: Bounds,
    bytes: usize,
    by_time: BTreeMap<(Millis, RecordId), (usize, T)>,
}

impl<T> Deferred<T> {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Deferred { bounds, bytes: 0, by_time: BTreeMap::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.by_time.len()
    }

    pub(crate) fn insert(&mut self, until: Millis, id: RecordId, size: usize, item: T) {
        if size > self.bounds.bytes || self.by_time.contains_key(&(until, id)) {
            return;
        }
        while self.by_time.len() >= self.bounds.count || self.bytes + size > self.bounds.bytes {
            let furthest = self.by_time.last_key_value().map(|(key, _)| *key);
            match furthest {
                Some(key) if key > (until, id) => self.remove(&key),
                _ => return,
            }
        }
        self.bytes += size;
        self.by_time.insert((until, id), (size, item));
    }

    /// Takes out whatever may be let in by now.
    pub(crate) fn due(&mut self, now: Millis) -> Vec<T> {
        let mut due = Vec::new();
        while let Some(entry) = self.by_time.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let (size, item) = entry.remove();
            self.bytes -= size;
            due.push(item);
        }
        due
    }

    fn remove(&mut self, key: &(Millis, RecordId)) {
        if let Some((size, _)) = self.by_time.remove(key) {
            self.bytes -= size;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> RecordId {
        RecordId([n; 32])
    }

    const SMALL: Bounds = Bounds { count: 3, bytes: 100 };

    #[test]
    fn an_orphan_is_found_by_each_record_it_waits_for() {
        let mut pool = Orphans::new(SMALL);
        pool.insert(id(1), 10, &[id(8), id(9)], "one");
        assert_eq!(pool.waiting_for(&id(8)), ["one"]);
        assert_eq!(pool.waiting_for(&id(9)), ["one"]);
        pool.remove(&id(1));
        assert!(pool.waiting_for(&id(8)).is_empty() && pool.by_missing.is_empty());
        assert_eq!((pool.len(), pool.bytes()), (0, 0));
    }

    #[test]
    fn the_oldest_orphans_make_room_by_count_and_by_bytes() {
        let mut pool = Orphans::new(SMALL);
        for n in 1..=4 {
            pool.insert(id(n), 10, &[id(9)], n);
        }
        assert_eq!(pool.waiting_for(&id(9)), [2, 3, 4]);
        pool.insert(id(5), 85, &[id(9)], 5);
        assert_eq!(pool.waiting_for(&id(9)), [4, 5]);
        pool.insert(id(6), 101, &[id(9)], 6);
        assert!(!pool.waiting.contains_key(&id(6)), "one larger than the pool empties nothing");
        assert_eq!(pool.len(), 2);
    }

    #[test]
    fn an_orphan_that_comes_again_waits_for_what_is_missing_now() {
        let mut pool = Orphans::new(SMALL);
        pool.insert(id(1), 10, &[id(8), id(9)], "one");
        pool.insert(id(1), 10, &[id(9)], "one");
        assert!(pool.waiting_for(&id(8)).is_empty());
        assert_eq!(pool.waiting_for(&id(9)), ["one"]);
        assert_eq!(pool.bytes(), 10);
    }

    #[test]
    fn coming_and_going_leaves_no_trace_of_ages() {
        let mut pool = Orphans::new(SMALL);
        for _ in 0..1_000 {
            pool.insert(id(1), 10, &[id(9)], ());
            pool.remove(&id(1));
        }
        assert!(pool.by_age.len() < 100, "{}", pool.by_age.len());
    }

    #[test]
    fn deferred_records_come_out_in_time_order_when_due() {
        let mut pool = Deferred::new(SMALL);
        for n in [3, 1, 2] {
            pool.insert(Millis(u64::from(n)), id(n), 10, n);
        }
        assert!(pool.due(Millis(0)).is_empty());
        assert_eq!(pool.due(Millis(2)), [1, 2]);
        assert_eq!((pool.len(), pool.bytes), (1, 10));
    }

    #[test]
    fn the_furthest_ahead_makes_room_for_the_nearer() {
        let mut pool = Deferred::new(SMALL);
        for n in [5, 6, 7, 4, 8] {
            pool.insert(Millis(u64::from(n)), id(n), 10, n);
        }
        assert_eq!(pool.due(Millis(9)), [4, 5, 6]);
    }
}
