//! What a simulated node's store holds: records by number, in order, with sums. Judges like the store: known, too
//! early, an orphan, or in; orphans and early ones wait in bounded pools.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};

use lfdns::record::{Millis, RecordId};
use lfdns::store::{Part, Point, StoreError, Tally, Verdict, divide_points};
use lfdns::sync::reconcile::Set;

/// Orphans that wait at most: few, so that they have to make room for each other.
const ORPHANS_MAX: usize = 32;
/// Early records that wait at most.
const EARLY_MAX: usize = 64;
/// How far ahead of a node's clock a record may be, ms.
const DRIFT_MS: u64 = 20;

/// A record, as the simulation knows it.
pub struct Record {
    pub point: Point,
    pub links: Vec<u32>,
    pub size: usize,
    /// When it was written, virtual microseconds.
    pub born: u64,
}

/// All records there are, by number.
#[derive(Default)]
pub struct Book {
    pub records: Vec<Record>,
    numbers: HashMap<RecordId, u32>,
}

impl Book {
    pub fn add(&mut self, record: Record) -> u32 {
        let number = self.records.len() as u32;
        self.numbers.insert(record.point.1, number);
        self.records.push(record);
        number
    }

    pub fn number(&self, id: &RecordId) -> Option<u32> {
        self.numbers.get(id).copied()
    }

    pub fn get(&self, number: u32) -> &Record {
        &self.records[number as usize]
    }
}

/// The records of one node. They survive its restarts.
#[derive(Default)]
pub struct Shelf(RefCell<Inner>);

#[derive(Default)]
struct Inner {
    points: Vec<Point>,
    /// Of the first so many points.
    sums: Vec<Tally>,
    has: Vec<bool>,
    orphans: VecDeque<u32>,
    early: Vec<u32>,
}

impl Shelf {
    pub fn has(&self, number: u32) -> bool {
        self.0.borrow().has.get(number as usize).copied().unwrap_or(false)
    }

    pub fn len(&self) -> usize {
        self.0.borrow().points.len()
    }

    /// Whether the first so many records are all here.
    pub fn has_first(&self, count: usize) -> bool {
        let inner = self.0.borrow();
        inner.has.len() >= count && inner.has[..count].iter().all(|has| *has)
    }

    /// The newest records, oldest first.
    pub fn newest(&self, count: usize) -> Vec<Point> {
        let inner = self.0.borrow();
        inner.points[inner.points.len().saturating_sub(count)..].to_vec()
    }

    pub fn until(&self, until: Millis) -> Tally {
        let inner = self.0.borrow();
        let count = inner.points.partition_point(|point| point.0 < until);
        inner.sum(count)
    }

    pub fn from(&self, from: &Point) -> Vec<Point> {
        let inner = self.0.borrow();
        inner.points[inner.points.partition_point(|point| point < from)..].to_vec()
    }

    pub fn put(&self, book: &Book, number: u32) {
        self.0.borrow_mut().put(book, number);
    }

    /// What waits in memory is lost.
    pub fn forget(&self) {
        let mut inner = self.0.borrow_mut();
        inner.orphans.clear();
        inner.early.clear();
    }

    /// Judges a record; what came in by it is added to `new`.
    pub fn judge(&self, book: &Book, number: u32, clock: Millis, new: &mut Vec<u32>) -> Verdict {
        let record = book.get(number);
        let (time, id) = record.point;
        let mut inner = self.0.borrow_mut();
        if inner.holds(number) {
            return Verdict::Known(id);
        }
        if time.0 > clock.0 + DRIFT_MS {
            return Verdict::Deferred { id, until: Millis(time.0 - DRIFT_MS) };
        }
        let missing: Vec<RecordId> =
            record.links.iter().filter(|n| !inner.holds(**n)).map(|n| book.get(*n).point.1).collect();
        if !missing.is_empty() {
            if !inner.orphans.contains(&number) {
                if inner.orphans.len() >= ORPHANS_MAX {
                    inner.orphans.pop_front();
                }
                inner.orphans.push_back(number);
            }
            return Verdict::Orphan { id, missing };
        }
        inner.put(book, number);
        inner.early.retain(|early| *early != number);
        new.push(number);
        inner.adopt(book, new);
        Verdict::Accepted(id)
    }

    /// Lets an early record wait; false: it does already, or there is no room.
    pub fn defer(&self, number: u32) -> bool {
        let mut inner = self.0.borrow_mut();
        let room = !inner.early.contains(&number) && inner.early.len() < EARLY_MAX;
        if room {
            inner.early.push(number);
        }
        room
    }
}

impl Inner {
    fn holds(&self, number: u32) -> bool {
        self.has.get(number as usize).copied().unwrap_or(false)
    }

    fn sum(&self, count: usize) -> Tally {
        if count == 0 { Tally::default() } else { self.sums[count - 1] }
    }

    fn put(&mut self, book: &Book, number: u32) {
        if self.holds(number) {
            return;
        }
        let at = number as usize;
        if self.has.len() <= at {
            self.has.resize(at + 1, false);
        }
        self.has[at] = true;
        let point = book.get(number).point;
        let at = self.points.partition_point(|other| *other < point);
        self.points.insert(at, point);
        self.sums.truncate(at);
        for n in at..self.points.len() {
            let mut sum = self.sum(n);
            sum.add(&self.points[n].1);
            self.sums.push(sum);
        }
    }

    /// Lets in the orphans whose links are all here now, and theirs.
    fn adopt(&mut self, book: &Book, new: &mut Vec<u32>) {
        loop {
            let ready = |n: &u32| book.get(*n).links.iter().all(|link| self.holds(*link));
            let Some(at) = self.orphans.iter().position(ready) else { return };
            if let Some(number) = self.orphans.remove(at)
                && !self.holds(number)
            {
                self.put(book, number);
                new.push(number);
            }
        }
    }

    fn slice(&self, low: &Point, high: &Point) -> (usize, usize) {
        let begin = self.points.partition_point(|point| point < low);
        (begin, self.points.partition_point(|point| point < high).max(begin))
    }
}

impl Set for Shelf {
    fn tally(&self, low: &Point, high: &Point) -> Result<Tally, StoreError> {
        let inner = self.0.borrow();
        let (begin, end) = inner.slice(low, high);
        Ok(inner.sum(end).minus(&inner.sum(begin)))
    }

    fn divide(&self, low: &Point, high: &Point, parts: usize) -> Result<Vec<Part>, StoreError> {
        let inner = self.0.borrow();
        let (begin, end) = inner.slice(low, high);
        Ok(divide_points(&inner.points[begin..end], high, parts))
    }

    fn list(&self, low: &Point, high: &Point, limit: usize) -> Result<Vec<Point>, StoreError> {
        let inner = self.0.borrow();
        let (begin, end) = inner.slice(low, high);
        Ok(inner.points[begin..end.min(begin.saturating_add(limit))].to_vec())
    }
}
