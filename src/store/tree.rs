//! The fingerprint tree: how many records lie in a range of (time, id), and the sum of their ids, without
//! looking at them. Pure: who needs the ids inside a bucket lists them from the store.
//!
//! Buckets of at most [`BUCKET_MAX`] records, each known by its lower bound, its count and its sum, hang in a
//! B-tree whose nodes keep the totals of what is below them. An insertion touches one node a level; a range
//! costs two walks down, and the listing of at most two buckets. Two bytes of memory a record. DESIGN
//! "Replication", docs/SYNC.md "Reconciliation".

use crate::record::{Millis, NetworkId, RecordId, hash};

/// A place in the order of records: time, then id.
pub type Point = (Millis, RecordId);

/// Before every record.
pub const FIRST: Point = (Millis(0), RecordId([0; 32]));

/// Records of one bucket at most.
const BUCKET_MAX: u64 = 64;
/// Records a bucket is filled to when a tree is built or a bucket is split, all but the last: records mostly come in
/// order, so what is left behind is seldom added to.
const BUCKET_FILL: usize = 48;
/// Children of a node at most.
const FAN: usize = 64;
/// Children of the nodes that a full one is split into, all but the last, for the same reason.
const NODE_FILL: usize = 48;

/// How many records, and the sum of their ids modulo 2^256.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many.
    pub count: u64,
    /// The sum, least significant word first.
    sum: [u64; 4],
}

impl Tally {
    /// Those of `points`.
    pub fn of(points: &[Point]) -> Tally {
        let mut tally = Tally::default();
        for (_, id) in points {
            tally.add(id);
        }
        tally
    }

    /// One record more.
    pub fn add(&mut self, id: &RecordId) {
        let word = |at: usize| {
            let bytes = id.0[at * 8..at * 8 + 8].try_into().expect("eight bytes");
            u64::from_be_bytes(bytes)
        };
        *self = self.plus(&Tally { count: 1, sum: [word(3), word(2), word(1), word(0)] });
    }

    /// Both together.
    pub fn plus(&self, other: &Tally) -> Tally {
        let (mut sum, mut carry) = ([0; 4], false);
        for (out, (a, b)) in sum.iter_mut().zip(self.sum.iter().zip(&other.sum)) {
            let (low, over) = a.overflowing_add(*b);
            let (low, again) = low.overflowing_add(u64::from(carry));
            (*out, carry) = (low, over || again);
        }
        Tally { count: self.count + other.count, sum }
    }

    /// This without `other`, which is part of it.
    pub fn minus(&self, other: &Tally) -> Tally {
        let (mut sum, mut borrow) = ([0; 4], false);
        for (out, (a, b)) in sum.iter_mut().zip(self.sum.iter().zip(&other.sum)) {
            let (low, under) = a.overflowing_sub(*b);
            let (low, again) = low.overflowing_sub(u64::from(borrow));
            (*out, borrow) = (low, under || again);
        }
        Tally { count: self.count.saturating_sub(other.count), sum }
    }

    /// What two nodes compare: 16 bytes of H("lfdns range v1", sum, count); docs/SYNC.md "Fingerprint".
    pub fn fingerprint(&self) -> [u8; 16] {
        let mut sum = [0; 32];
        for (bytes, word) in sum.chunks_exact_mut(8).zip(self.sum.iter().rev()) {
            bytes.copy_from_slice(&word.to_be_bytes());
        }
        let full = hash("lfdns range v1", &NetworkId([0; 32]), &[&sum, &self.count.to_be_bytes()]);
        let mut short = [0; 16];
        short.copy_from_slice(&full[..16]);
        short
    }
}

/// The fingerprint, 32 hexadecimal digits.
impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.fingerprint().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A bucket, or a node with what is below it.
#[derive(Clone, Debug)]
struct Entry {
    low: Point,
    tally: Tally,
    below: Option<Vec<Entry>>,
}

/// The tree.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    entries: Vec<Entry>,
}

/// What has to be listed so that a bucket can be split: everything from `low`, until `high` if there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overfull {
    pub(crate) low: Point,
    pub(crate) high: Option<Point>,
}

impl Tree {
    /// A tree of records in order.
    pub(crate) fn build<E>(points: impl Iterator<Item = Result<Point, E>>) -> Result<Tree, E> {
        let mut buckets: Vec<Entry> = Vec::new();
        let mut last = FIRST;
        let (mut low, mut tally) = (FIRST, Tally::default());
        for point in points {
            let point = point?;
            if tally.count as usize >= BUCKET_FILL {
                buckets.push(Entry { low, tally, below: None });
                (low, tally) = (between(&last, &point), Tally::default());
            }
            tally.add(&point.1);
            last = point;
        }
        buckets.push(Entry { low, tally, below: None });
        while buckets.len() > FAN {
            buckets = raise(buckets);
        }
        Ok(Tree { entries: buckets })
    }

    /// All of it.
    pub(crate) fn total(&self) -> Tally {
        total(&self.entries)
    }

    /// Adds a record. If its bucket is then too full, says what to list for [`Tree::split`].
    pub(crate) fn insert(&mut self, point: &Point) -> Option<Overfull> {
        let (mut entries, mut high) = (&mut self.entries, None);
        loop {
            let at = holder(entries, point);
            high = entries.get(at + 1).map(|next| next.low).or(high);
            let entry = &mut entries[at];
            entry.tally.add(&point.1);
            match &mut entry.below {
                Some(below) => entries = below,
                None => {
                    return (entry.tally.count > BUCKET_MAX).then_some(Overfull { low: entry.low, high });
                }
            }
        }
    }

    /// Splits the bucket that begins at `low` and holds exactly `points`, in order.
    pub(crate) fn split(&mut self, low: &Point, points: &[Point]) {
        if points.len() as u64 <= BUCKET_MAX {
            return;
        }
        let begins = |at: usize| if at == 0 { *low } else { between(&points[at - 1], &points[at]) };
        let part = |(at, points): (usize, &[Point])| Entry {
            low: begins(at * BUCKET_FILL),
            tally: Tally::of(points),
            below: None,
        };
        replace(&mut self.entries, low, points.chunks(BUCKET_FILL).enumerate().map(part).collect());
        while self.entries.len() > FAN {
            self.entries = raise(std::mem::take(&mut self.entries));
        }
    }

    /// The tally of everything in the buckets that end at or before `point`, and where the one begins in which
    /// `point` lies: what lies between that and `point` is to be listed.
    pub(crate) fn before(&self, point: &Point) -> (Tally, Point) {
        let (mut entries, mut tally) = (&self.entries, Tally::default());
        loop {
            let at = holder(entries, point);
            tally = tally.plus(&total(&entries[..at]));
            match &entries[at].below {
                Some(below) => entries = below,
                None => return (tally, entries[at].low),
            }
        }
    }

    /// The lower bound of the bucket in which the record of this rank (from 0) lies, and that bound's own rank.
    pub(crate) fn at_rank(&self, rank: u64) -> (Point, u64) {
        let (mut entries, mut passed) = (&self.entries, 0);
        loop {
            let last = entries.len() - 1;
            let mut at = 0;
            while at < last && passed + entries[at].tally.count <= rank {
                passed += entries[at].tally.count;
                at += 1;
            }
            match &entries[at].below {
                Some(below) => entries = below,
                None => return (entries[at].low, passed),
            }
        }
    }

    /// Children of the largest node.
    #[cfg(test)]
    fn widest(&self) -> usize {
        fn walk(entries: &[Entry]) -> usize {
            let below = entries.iter().filter_map(|entry| entry.below.as_deref()).map(walk);
            below.max().unwrap_or(0).max(entries.len())
        }
        walk(&self.entries)
    }

    /// Buckets there are.
    #[cfg(test)]
    pub(crate) fn buckets(&self) -> Vec<(Point, Tally)> {
        fn walk(entries: &[Entry], out: &mut Vec<(Point, Tally)>) {
            for entry in entries {
                match &entry.below {
                    Some(below) => walk(below, out),
                    None => out.push((entry.low, entry.tally)),
                }
            }
        }
        let mut out = Vec::new();
        walk(&self.entries, &mut out);
        out
    }
}

/// The shortest point above `left` and not above `right`: bounds of few bytes are cheap to tell a peer.
pub(crate) fn between(left: &Point, right: &Point) -> Point {
    if left.0 < right.0 {
        return (right.0, RecordId([0; 32]));
    }
    let shared = left.1.0.iter().zip(&right.1.0).take_while(|(a, b)| a == b).count();
    let mut id = [0; 32];
    let kept = (shared + 1).min(32);
    id[..kept].copy_from_slice(&right.1.0[..kept]);
    (right.0, RecordId(id))
}

fn total(entries: &[Entry]) -> Tally {
    entries.iter().fold(Tally::default(), |sum, entry| sum.plus(&entry.tally))
}

/// The entry a point belongs to; the first begins before everything.
fn holder(entries: &[Entry], point: &Point) -> usize {
    entries.partition_point(|entry| entry.low <= *point).saturating_sub(1)
}

/// Puts a level of nodes above `entries`.
fn raise(entries: Vec<Entry>) -> Vec<Entry> {
    let mut nodes = Vec::with_capacity(entries.len() / (FAN / 2) + 1);
    let mut entries = entries.into_iter().peekable();
    while entries.peek().is_some() {
        nodes.push(node(entries.by_ref().take(FAN / 2).collect()));
    }
    nodes
}

/// The node over some entries.
fn node(below: Vec<Entry>) -> Entry {
    Entry { low: below[0].low, tally: total(&below), below: Some(below) }
}

/// Puts `parts` in place of the bucket that begins at `low`, splitting nodes on the way up as they fill.
fn replace(entries: &mut Vec<Entry>, low: &Point, parts: Vec<Entry>) {
    let at = holder(entries, low);
    let Some(below) = &mut entries[at].below else {
        entries.splice(at..=at, parts);
        return;
    };
    replace(below, low, parts);
    if below.len() > FAN {
        let mut rest = std::mem::take(below).into_iter().peekable();
        let mut nodes = Vec::new();
        while rest.peek().is_some() {
            nodes.push(node(rest.by_ref().take(NODE_FILL).collect()));
        }
        entries.splice(at..=at, nodes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn point(time: u64, id: u64) -> Point {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&id.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes());
        (Millis(time), RecordId(bytes))
    }

    fn add(tree: &mut Tree, all: &mut BTreeSet<Point>, new: Point) {
        if !all.insert(new) {
            return;
        }
        if let Some(Overfull { low, high }) = tree.insert(&new) {
            let inside: Vec<Point> =
                all.range(low..).take_while(|p| high.is_none_or(|h| **p < h)).copied().collect();
            tree.split(&low, &inside);
        }
    }

    fn tally_before(tree: &Tree, all: &BTreeSet<Point>, end: &Point) -> Tally {
        let (tally, low) = tree.before(end);
        let rest: Vec<Point> = all.range(low..*end).copied().collect();
        tally.plus(&Tally::of(&rest))
    }

    proptest! {
        #[test]
        fn a_tree_counts_what_is_there_in_whatever_order_it_came(
            built in 0_u64..400, times in prop::collection::vec((0_u64..500, 0_u64..50), 0..900), probe in 0_u64..500
        ) {
            let mut all: BTreeSet<Point> = (0..built).map(|n| point(n, n)).collect();
            let mut tree = Tree::build(all.iter().copied().map(Ok::<_, ()>)).unwrap();
            for (time, id) in times {
                add(&mut tree, &mut all, point(time, id));
            }
            let expected: Vec<Point> = all.iter().copied().collect();
            prop_assert_eq!(tree.total(), Tally::of(&expected));
            let end = point(probe, 25);
            let below: Vec<Point> = all.range(..end).copied().collect();
            prop_assert_eq!(tally_before(&tree, &all, &end), Tally::of(&below));
            let rank = probe * all.len() as u64 / 500;
            let (low, passed) = tree.at_rank(rank);
            prop_assert!(passed <= rank);
            prop_assert_eq!(all.range(..low).count() as u64, passed);
        }
    }

    #[test]
    fn buckets_stay_small_and_ranges_need_little_listing() {
        let (mut tree, mut all) =
            (Tree::build(std::iter::empty::<Result<Point, ()>>()).unwrap(), BTreeSet::new());
        for n in 0..20_000 {
            add(&mut tree, &mut all, point(n, n));
        }
        let buckets = tree.buckets();
        assert!(buckets.iter().all(|(_, tally)| tally.count <= BUCKET_MAX));
        assert!(buckets.len() < 20_000 / 40, "{} buckets", buckets.len());
        assert!(tree.entries.len() <= FAN);
    }

    #[test]
    fn one_commit_of_many_records_leaves_no_bucket_and_no_node_too_large() {
        for (before, count) in [(0, 65), (0, 87), (0, 128), (0, 1_000), (10_000, 1_000), (10_000, 32_768)] {
            let mut all: BTreeSet<Point> = (0..before).map(|n| point(n, n)).collect();
            let mut tree = Tree::build(all.iter().copied().map(Ok::<_, ()>)).unwrap();
            let mut full = BTreeSet::new();
            for n in 0..count {
                // All in one bucket in the middle, as a lot that comes late is.
                let new = (Millis(before / 2), point(0, before + n).1);
                assert!(all.insert(new));
                full.extend(tree.insert(&new).map(|full| (full.low, full.high)));
            }
            for (low, high) in full {
                let inside = all.range(low..).take_while(|p| high.is_none_or(|h| **p < h));
                tree.split(&low, &inside.copied().collect::<Vec<_>>());
            }
            let largest = tree.buckets().iter().map(|(_, tally)| tally.count).max();
            assert!(largest <= Some(BUCKET_MAX), "{count}: {largest:?} in a bucket");
            assert!(tree.widest() <= FAN, "{count}: {} children", tree.widest());
            assert_eq!(tree.total(), Tally::of(&all.iter().copied().collect::<Vec<_>>()));
            let end = point(before * 2 / 3, 7);
            let below: Vec<Point> = all.range(..end).copied().collect();
            assert_eq!(tally_before(&tree, &all, &end), Tally::of(&below));
        }
    }

    #[test]
    fn a_difference_of_tallies_is_the_tally_of_the_difference() {
        let points: Vec<Point> = (0..100).map(|n| point(n, n)).collect();
        let (all, part) = (Tally::of(&points), Tally::of(&points[..40]));
        assert_eq!(all.minus(&part), Tally::of(&points[40..]));
        assert_ne!(all.fingerprint(), part.fingerprint());
    }

    #[test]
    fn equal_sums_of_different_counts_differ() {
        assert_ne!(Tally { count: 1, sum: [0; 4] }.fingerprint(), Tally::default().fingerprint());
    }
}
