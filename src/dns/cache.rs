//! Answers as they were sent, kept until what they were read from changes. docs/DNS.md "Answer cache".
//!
//! The key is the lower-cased question and what else changes the octets ([`Plain::key`](super::wire::Plain::key)); the
//! value is the message for that key with its dependencies. A hit compares them with the table of counters, so a
//! commit needs to know nothing about the cache. Sharded, bounded in octets, and evicted by the clock algorithm: what
//! was hit since the hand last came by stays for another round.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;

use super::counters::{Counters, Deps};
use super::handler::Keep;
use super::wire;
use crate::record::Millis;

/// Independent parts, so that threads do not wait for each other; a power of two.
const SHARDS: usize = 64;
/// What an entry costs beside its key and message: both tables' places, dependencies, allocations.
const ENTRY_OVERHEAD: usize = 256;
/// The part of a shard one answer may take: few large answers must not push out many small ones.
const LARGEST_SHARE: usize = 8;
/// Seconds an answer without records, such as REFUSED, is kept.
const BARE_LIFE: u64 = 60;

/// Kept answers.
pub(crate) struct Cache {
    shards: Box<[RwLock<Shard>]>,
    hasher: RandomState,
    shard_bytes: usize,
}

#[derive(Default)]
struct Shard {
    entries: HashMap<Arc<[u8]>, Entry>,
    /// Every key once, in the order the clock's hand meets them.
    clock: VecDeque<Arc<[u8]>>,
    bytes: usize,
}

struct Entry {
    answer: Box<[u8]>,
    deps: Deps,
    /// From this instant it is no answer any more.
    ends: Millis,
    /// Where the answer stops being true by itself: no TTL reaches beyond it.
    until: Option<Millis>,
    hit: AtomicBool,
}

impl Cache {
    /// A cache of at most `bytes` octets.
    pub(crate) fn new(bytes: usize) -> Cache {
        let shards = (0..SHARDS).map(|_| RwLock::default()).collect();
        Cache { shards, hasher: RandomState::new(), shard_bytes: bytes / SHARDS }
    }

    /// Appends the answer kept under `key` to `out`, if it is still one and `serves` says so.
    pub(crate) fn get(
        &self,
        key: &[u8],
        now: Millis,
        counters: &Counters,
        serves: impl FnOnce(&[u8]) -> bool,
        out: &mut Vec<u8>,
    ) -> bool {
        let shard = self.shard(key).read();
        let Some(entry) = shard.entries.get(key) else { return false };
        if now >= entry.ends || !counters.hold(&entry.deps) || !serves(&entry.answer) {
            return false;
        }
        // Only the first hit after the hand came by writes: the line stays shared between threads.
        if !entry.hit.load(Ordering::Relaxed) {
            entry.hit.store(true, Ordering::Relaxed);
        }
        let start = out.len();
        out.extend_from_slice(&entry.answer);
        if let Some(until) = entry.until {
            cap_ttls(&mut out[start..], until, now);
        }
        true
    }

    /// Keeps an answer; not where something it was read from has changed since.
    pub(crate) fn put(
        &self,
        key: &[u8],
        answer: &[u8],
        keep: Keep,
        now: Millis,
        counters: &Counters,
    ) -> bool {
        let cost = cost(key, answer);
        if cost > self.shard_bytes / LARGEST_SHARE || !counters.hold(&keep.deps) {
            return false;
        }
        let Some(ends) = ends(answer, &keep, now) else { return false };
        let entry = Entry {
            answer: answer.into(),
            deps: keep.deps,
            ends,
            until: keep.until,
            hit: AtomicBool::new(false),
        };
        self.shard(key).write().insert(key, entry, cost, self.shard_bytes);
        true
    }

    fn shard(&self, key: &[u8]) -> &RwLock<Shard> {
        &self.shards[self.hasher.hash_one(key) as usize & (SHARDS - 1)]
    }
}

impl Shard {
    fn insert(&mut self, key: &[u8], entry: Entry, cost: usize, limit: usize) {
        if let Some(known) = self.entries.get_mut(key) {
            self.bytes = self.bytes + entry.answer.len() - known.answer.len();
            *known = entry;
        } else {
            let key: Arc<[u8]> = key.into();
            self.bytes += cost;
            self.entries.insert(Arc::clone(&key), entry);
            self.clock.push_back(key);
        }
        self.evict(limit);
    }

    /// Turns the clock's hand until the shard is within its limit. Two rounds end it: the first clears every mark.
    fn evict(&mut self, limit: usize) {
        while self.bytes > limit {
            let Some(key) = self.clock.pop_front() else { return };
            let spare = self.entries.get(&key).is_some_and(|entry| entry.hit.swap(false, Ordering::Relaxed));
            if spare {
                self.clock.push_back(key);
            } else if let Some(gone) = self.entries.remove(&key) {
                self.bytes -= cost(&key, &gone.answer);
            }
        }
    }
}

fn cost(key: &[u8], answer: &[u8]) -> usize {
    key.len() + answer.len() + ENTRY_OVERHEAD
}

/// Until when the answer may be given: its smallest TTL, and the instant it stops being true. None if it is over.
fn ends(answer: &[u8], keep: &Keep, now: Millis) -> Option<Millis> {
    let smallest = wire::ttls(answer)?.into_iter().map(|(_, ttl)| u64::from(ttl)).min().unwrap_or(BARE_LIFE);
    let by_ttl = now.plus(smallest * 1000);
    let ends = keep.until.map_or(by_ttl, |until| until.min(by_ttl));
    (ends > now).then_some(ends)
}

/// Lowers TTLs that reach beyond `until`.
fn cap_ttls(answer: &mut [u8], until: Millis, now: Millis) {
    let left = u32::try_from(until.0.saturating_sub(now.0) / 1000).unwrap_or(u32::MAX);
    for (at, ttl) in wire::ttls(answer).unwrap_or_default() {
        if ttl > left {
            answer[at..at + 4].copy_from_slice(&left.to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::PathKey;

    const NOW: Millis = Millis(1_000_000);
    const PATH: PathKey = PathKey([7; 16]);

    /// An answer to `lf. A` with one record of this TTL.
    fn answer(ttl: u32) -> Vec<u8> {
        let mut answer = b"\0\0\x84\0\0\x01\0\x01\0\0\0\0\x02lf\0\0\x01\0\x01\xc0\x0c\0\x01\0\x01".to_vec();
        answer.extend(ttl.to_be_bytes());
        answer.extend(*b"\0\x04\x7f\0\0\x01");
        answer
    }

    fn keep(counters: &Counters, until: Option<u64>) -> Keep {
        let mut deps = counters.begin();
        deps.note(counters, &PATH);
        Keep { deps, until: until.map(Millis) }
    }

    fn get(cache: &Cache, key: &[u8], at: u64, counters: &Counters) -> Option<Vec<u8>> {
        let mut out = vec![];
        cache.get(key, Millis(at), counters, |_| true, &mut out).then_some(out)
    }

    #[test]
    fn an_answer_is_kept_until_what_it_read_changes() {
        let (cache, counters) = (Cache::new(1 << 20), Counters::default());
        assert!(cache.put(b"k", &answer(60), keep(&counters, None), NOW, &counters));
        assert_eq!(get(&cache, b"k", NOW.0, &counters), Some(answer(60)));
        counters.bump(&PATH);
        assert_eq!(get(&cache, b"k", NOW.0, &counters), None);
        assert!(cache.put(b"k", &answer(30), keep(&counters, None), NOW, &counters));
        assert_eq!(get(&cache, b"k", NOW.0, &counters), Some(answer(30)));
    }

    #[test]
    fn an_answer_whose_reading_was_overtaken_is_not_kept() {
        let (cache, counters) = (Cache::new(1 << 20), Counters::default());
        let keep = keep(&counters, None);
        counters.bump(&PATH);
        assert!(!cache.put(b"k", &answer(60), keep, NOW, &counters));
    }

    #[test]
    fn an_answer_ends_with_its_smallest_ttl() {
        let (cache, counters) = (Cache::new(1 << 20), Counters::default());
        cache.put(b"k", &answer(2), keep(&counters, None), NOW, &counters);
        assert!(get(&cache, b"k", NOW.0 + 1999, &counters).is_some());
        assert!(get(&cache, b"k", NOW.0 + 2000, &counters).is_none());
        assert!(!cache.put(b"zero", &answer(0), keep(&counters, None), NOW, &counters));
    }

    #[test]
    fn no_ttl_reaches_beyond_the_instant_the_answer_stops_being_true() {
        let (cache, counters) = (Cache::new(1 << 20), Counters::default());
        cache.put(b"k", &answer(60), keep(&counters, Some(NOW.0 + 10_000)), NOW, &counters);
        assert_eq!(get(&cache, b"k", NOW.0, &counters), Some(answer(10)));
        assert_eq!(get(&cache, b"k", NOW.0 + 7_001, &counters), Some(answer(2)));
        assert_eq!(get(&cache, b"k", NOW.0 + 10_000, &counters), None);
    }

    #[test]
    fn memory_is_bounded_and_what_is_asked_for_stays() {
        let (cache, counters) = (Cache::new(SHARDS * 16_384), Counters::default());
        let popular = b"popular".to_vec();
        cache.put(&popular, &answer(60), keep(&counters, None), NOW, &counters);
        for index in 0..20_000_u32 {
            cache.put(&index.to_be_bytes(), &answer(60), keep(&counters, None), NOW, &counters);
            assert!(get(&cache, &popular, NOW.0, &counters).is_some(), "after {index}");
        }
        for shard in &cache.shards {
            let shard = shard.read();
            let counted: usize = shard.entries.iter().map(|(key, entry)| cost(key, &entry.answer)).sum();
            assert_eq!(shard.bytes, counted);
            assert_eq!(shard.clock.len(), shard.entries.len());
            assert!(shard.bytes <= 16_384);
        }
    }

    #[test]
    fn an_answer_too_large_for_its_share_and_a_cache_of_no_size_keep_nothing() {
        let counters = Counters::default();
        let small = Cache::new(SHARDS * 1024);
        assert!(!small.put(b"k", &answer(60), keep(&counters, None), NOW, &counters));
        let none = Cache::new(0);
        assert!(!none.put(b"k", &answer(60), keep(&counters, None), NOW, &counters));
    }
}
