//! Ranges of records in (time, id) order, for whoever compares this store with another: tallies from the
//! fingerprint tree, ids from the index by time. The tree is made when first asked for and kept by the
//! writer from then on.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use rusqlite::{OptionalExtension, params};

use super::door::Door;
use super::snapshot::Snapshot;
use super::tree::{Overfull, Point, Tally, Tree, between};
use super::writer::Message;
use super::{Commit, Encoded, Readers, Row, Store, StoreError};
use crate::record::{Millis, RecordId};

/// Ranges with at most this many records are listed and cut exactly, larger ones where buckets begin: that costs no
/// listing, which is most of a comparison's time where differences are scattered.
const EXACT_MAX: u64 = 128;

/// The set of records here, as another node may be told of it. Cheap to clone.
#[derive(Clone)]
pub struct Ranges {
    tree: Arc<RwLock<Tree>>,
    /// Buckets that grew too large and are still to be split, each with where it ends; the writer's.
    overfull: Arc<Mutex<BTreeMap<Point, Option<Point>>>>,
    readers: Arc<Readers>,
}

/// A part of a range: where it ends, and its tally.
pub type Part = (Point, Tally);

impl Store {
    /// The tallies of ranges; builds the tree at the first call (a third of a second for a million records),
    /// on the writer's thread, so that nothing is committed meanwhile.
    pub fn ranges(&self) -> Result<Ranges, StoreError> {
        let inner = &self.inner;
        let mut kept = inner.ranges.lock();
        if let Some(ranges) = kept.as_ref() {
            return Ok(ranges.clone());
        }
        let Some(door) = &inner.door else {
            return Ranges::build(&inner.readers);
        };
        let ranges = attach(door, &inner.readers, &inner.shared.feed)?;
        *kept = Some(ranges.clone());
        Ok(ranges)
    }
}

/// Builds the tree between two transactions and lets it follow from there.
fn attach(door: &Door, readers: &Arc<Readers>, feed: &Arc<super::Feed>) -> Result<Ranges, StoreError> {
    let (built, wait) = std::sync::mpsc::channel();
    let (readers, feed) = (Arc::clone(readers), Arc::clone(feed));
    door.send(Message::Between(Box::new(move || {
        let ranges = Ranges::build(&readers);
        if let Ok(ranges) = &ranges {
            let ranges = ranges.clone();
            feed.subscribe(Arc::new(move |commit| ranges.follow(commit)));
        }
        // Whoever asked may have stopped waiting.
        let _ = built.send(ranges);
    })));
    wait.recv().unwrap_or(Err(StoreError::Closed))
}

impl Ranges {
    fn build(readers: &Arc<Readers>) -> Result<Ranges, StoreError> {
        let snapshot = readers.snapshot()?;
        let mut statement = snapshot.cached("SELECT time, id FROM record ORDER BY time, id")?;
        let points = statement.query_map([], read_point)?;
        let tree = Tree::build(points.map(|point| point.map_err(StoreError::from)))?;
        Ok(Ranges {
            tree: Arc::new(RwLock::new(tree)),
            overfull: Arc::default(),
            readers: Arc::clone(readers),
        })
    }

    /// On the writer's thread: no other commit can come between this one and what is listed here.
    fn follow(&self, commit: &Commit) {
        let mut overfull = self.overfull.lock();
        {
            let mut tree = self.tree.write();
            let full = commit.added.iter().filter_map(|point| tree.insert(point));
            overfull.extend(full.map(|Overfull { low, high }| (low, high)));
        }
        if overfull.is_empty() {
            return;
        }
        if let Err(error) = self.split(&mut overfull) {
            tracing::warn!(%error, "the fingerprint tree could not be tended");
        }
    }

    /// Splits what is too large. What cannot be listed now, because the connections are all out or the disk fails,
    /// stays too large, and right, until a later commit: nothing may keep the writer waiting.
    fn split(&self, overfull: &mut BTreeMap<Point, Option<Point>>) -> Result<(), StoreError> {
        let Some(snapshot) = self.readers.snapshot_at_once()? else { return Ok(()) };
        let mut tree = self.tree.write();
        while let Some(full) = overfull.first_entry() {
            tree.split(full.key(), &snapshot.points(full.key(), full.get().as_ref(), usize::MAX)?);
            full.remove();
        }
        Ok(())
    }

    /// Records in the largest bucket.
    #[cfg(test)]
    pub(crate) fn largest_bucket(&self) -> u64 {
        self.tree.read().buckets().iter().map(|(_, tally)| tally.count).max().unwrap_or(0)
    }

    /// All records.
    pub fn total(&self) -> Tally {
        self.tree.read().total()
    }

    /// For many questions in a row: one snapshot serves them all. Not to be kept for long.
    pub fn reader(&self) -> Result<RangeReader, StoreError> {
        Ok(RangeReader { snapshot: self.readers.snapshot()?, tree: Arc::clone(&self.tree) })
    }

    /// Those from `low` and below `high`.
    pub fn tally(&self, low: &Point, high: &Point) -> Result<Tally, StoreError> {
        self.reader()?.tally(low, high)
    }

    /// See [`RangeReader::divide`].
    pub fn divide(&self, low: &Point, high: &Point, parts: usize) -> Result<Vec<Part>, StoreError> {
        self.reader()?.divide(low, high, parts)
    }

    /// At most `limit` records from `low` and below `high`, in order.
    pub fn list(&self, low: &Point, high: &Point, limit: usize) -> Result<Vec<Point>, StoreError> {
        self.reader()?.list(low, high, limit)
    }

    /// Compares the tree with the records: what is wrong, in words. Right only while nothing is written.
    pub fn check(&self) -> Result<Option<String>, StoreError> {
        let fresh = Ranges::build(&self.readers)?.total();
        let kept = self.total();
        Ok((fresh != kept).then(|| {
            format!("fingerprint tree: it counts {} records, the store holds {}", kept.count, fresh.count)
        }))
    }
}

/// Answers about ranges, from one snapshot. What is committed meanwhile may be counted already and not be listed yet: two
/// nodes then compare once more.
pub struct RangeReader {
    snapshot: Snapshot,
    tree: Arc<RwLock<Tree>>,
}

impl RangeReader {
    /// Those from `low` and below `high`.
    pub fn tally(&self, low: &Point, high: &Point) -> Result<Tally, StoreError> {
        if low >= high {
            return Ok(Tally::default());
        }
        let tree = self.tree.read();
        Ok(below(&tree, &self.snapshot, high)?.minus(&below(&tree, &self.snapshot, low)?))
    }

    /// Cuts a range into some `parts` of about equal size, each with where it ends and its tally; the last ends
    /// at `high`. Small ranges are cut exactly, large ones where that costs no listing.
    pub fn divide(&self, low: &Point, high: &Point, parts: usize) -> Result<Vec<Part>, StoreError> {
        let tree = self.tree.read();
        let begin = below(&tree, &self.snapshot, low)?;
        let all = below(&tree, &self.snapshot, high)?.minus(&begin);
        if all.count <= EXACT_MAX {
            return Ok(divide_points(&self.snapshot.points(low, Some(high), usize::MAX)?, high, parts));
        }
        let (mut ends, mut last) = (Vec::with_capacity(parts), begin);
        for part in 1..parts as u64 {
            let (end, _) =
                tree.at_rank(begin.count + (u128::from(all.count) * u128::from(part) / parts as u128) as u64);
            if end > *low && end < *high && ends.last().is_none_or(|(before, _)| *before < end) {
                let (tally, _) = tree.before(&end);
                ends.push((end, tally.minus(&last)));
                last = tally;
            }
        }
        ends.push((*high, begin.plus(&all).minus(&last)));
        Ok(ends)
    }

    /// At most `limit` records from `low` and below `high`, in order.
    pub fn list(&self, low: &Point, high: &Point, limit: usize) -> Result<Vec<Point>, StoreError> {
        self.snapshot.points(low, Some(high), limit)
    }
}

impl Snapshot {
    /// Whether a record is here, with its value.
    pub fn holds(&self, id: &RecordId) -> Result<bool, StoreError> {
        Ok(self.find(id)?.is_some_and(|place| place.has_value))
    }

    /// The newest record: the greatest (time, id).
    pub fn newest(&self) -> Result<Option<Point>, StoreError> {
        let mut statement = self.cached("SELECT time, id FROM record ORDER BY time DESC, id DESC LIMIT 1")?;
        Ok(statement.query_row([], read_point).optional()?)
    }

    /// A record to be sent, if it is here.
    pub fn sent(&self, id: &RecordId) -> Result<Option<Encoded>, StoreError> {
        let Some(place) = self.find(id)? else { return Ok(None) };
        self.encoded(Row(place.row)).map(Some)
    }

    /// Records from `low`, in order, until they take `bytes_max` bytes or `high` is reached; at least one, if
    /// there is one.
    pub fn sent_from(&self, low: &Point, high: &Point, bytes_max: usize) -> Result<Vec<Encoded>, StoreError> {
        let mut statement = self.cached(
            "SELECT row FROM record WHERE (time, id) >= (?1, ?2) AND (time, id) < (?3, ?4) ORDER BY time, id",
        )?;
        let mut rows = statement.query(params![time(low.0), low.1.0, time(high.0), high.1.0])?;
        let (mut out, mut bytes) = (Vec::new(), 0);
        while bytes < bytes_max
            && let Some(row) = rows.next()?
        {
            let sent = self.encoded(Row(row.get(0)?))?;
            bytes += sent.bytes.len();
            out.push(sent);
        }
        Ok(out)
    }
}

/// Everything before `end`.
fn below(tree: &Tree, snapshot: &Snapshot, end: &Point) -> Result<Tally, StoreError> {
    let (tally, low) = tree.before(end);
    if low == *end {
        return Ok(tally);
    }
    Ok(tally.plus(&Tally::of(&snapshot.points(&low, Some(end), usize::MAX)?)))
}

/// [`Ranges::divide`] of a range whose records are at hand.
pub fn divide_points(points: &[Point], high: &Point, parts: usize) -> Vec<Part> {
    let size = points.len().div_ceil(parts.max(1)).max(1);
    let mut out: Vec<Part> = points
        .chunks(size)
        .enumerate()
        .map(|(n, chunk)| (points.get((n + 1) * size).copied().unwrap_or(*high), Tally::of(chunk)))
        .collect();
    if out.is_empty() {
        out.push((*high, Tally::default()));
    }
    // Short bounds are cheap to tell.
    for n in 1..out.len() {
        let at = n * size;
        out[n - 1].0 = between(&points[at - 1], &points[at]);
    }
    out
}

impl Snapshot {
    /// At most `limit` records from `low`, below `high` if there is one, in (time, id) order.
    pub(crate) fn points(
        &self,
        low: &Point,
        high: Option<&Point>,
        limit: usize,
    ) -> Result<Vec<Point>, StoreError> {
        let end = high.map_or((i64::MAX, [0xFF; 32]), |high| (time(high.0), high.1.0));
        let mut statement = self.cached(
            "SELECT time, id FROM record WHERE (time, id) >= (?1, ?2) AND (time, id) < (?3, ?4)
             ORDER BY time, id LIMIT ?5",
        )?;
        let found = statement.query_map(
            params![time(low.0), low.1.0, end.0, end.1, super::snapshot::bound(limit)],
            read_point,
        )?;
        Ok(found.collect::<Result<_, _>>()?)
    }
}

fn time(time: Millis) -> i64 {
    i64::try_from(time.0).unwrap_or(i64::MAX)
}

fn read_point(row: &rusqlite::Row<'_>) -> rusqlite::Result<Point> {
    Ok((Millis(row.get::<_, i64>(0)?.cast_unsigned()), RecordId(row.get(1)?)))
}

impl std::fmt::Debug for Ranges {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ranges({} records)", self.total().count)
    }
}
