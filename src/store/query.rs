//! LF's general query: a range of masked ordinals on each of several selectors, an owner, a time range; and
//! the listing of everything one owner has under a name. Driven by whichever index meets the fewest rows,
//! never by a scan of the table.
//!
//! Closed, the ranges are the record's selectors, one for one. Open, they are some of them, in the same
//! order. Answered is, for each key and owner, the newest revision within the time range, unless it deletes.

use std::collections::{BTreeMap, HashMap};

use rusqlite::params;
use smallvec::SmallVec;

use super::apply::selector_prefix;
use super::config::QUERY_ROWS_MAX;
use super::snapshot::{Head, Row, Snapshot, bound};
use super::{Store, StoreError};
use crate::record::{Masked, Millis, OwnerKey, PathKey, Record, RecordId, SELECTORS_MAX, SelectorPublic};

/// Rows of one index are counted up to these bounds, one after the other, until one index stays below.
const ESTIMATES: [usize; 3] = [64, 4_096, QUERY_ROWS_MAX];
/// Index rows a listing fetches at a time.
const PAGE: usize = 256;

/// Masked ordinals of one selector, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The selector.
    pub key: SelectorPublic,
    /// From here.
    pub lo: Masked,
    /// To here.
    pub hi: Masked,
}

/// What to look for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// At least one; in the order of the record's selectors.
    pub ranges: Vec<Range>,
    /// Only revisions of this time or later.
    pub since: Option<Millis>,
    /// Only revisions of this time or earlier: the store as it was then.
    pub until: Option<Millis>,
    /// Only this owner's.
    pub owner: Option<OwnerKey>,
    /// Whether records may have further selectors.
    pub open: bool,
    /// Keys to return at most; `None`: all.
    pub limit: Option<usize>,
}

/// One key, and who has a value there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The slot.
    pub slot: PathKey,
    /// The masked ordinals of all selectors.
    pub ordinals: SmallVec<[Masked; 4]>,
    /// Each owner's newest revision, in the order of their keys.
    pub values: Vec<Contender>,
}

/// One owner's value of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contender {
    /// Whose.
    pub owner: OwnerKey,
    /// Where the record is.
    pub row: Row,
    /// Which it is.
    pub id: RecordId,
    /// Its time.
    pub time: Millis,
}

/// One record of a listing.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Where it is.
    pub row: Row,
    /// Which it is.
    pub id: RecordId,
    /// The record.
    pub record: Record,
}

type GroupKey = (PathKey, SmallVec<[Masked; 4]>);

/// An index that can drive a query: the positions at which range `range` may stand.
#[derive(Clone, Copy)]
enum Driver {
    Heads,
    Selector { range: usize },
}

impl Snapshot {
    /// Answers a general query, keys in the order of slot and ordinals.
    pub fn query(&self, query: &Query) -> Result<Vec<Group>, StoreError> {
        if query.ranges.is_empty() {
            return Err(StoreError::NoRange);
        }
        let owner = match query.owner.map(|owner| self.oid(&owner)).transpose()? {
            Some(None) => return Ok(Vec::new()),
            other => other.flatten(),
        };
        let absurd = query.ranges.len() > SELECTORS_MAX || query.ranges.iter().any(|r| r.lo > r.hi);
        if absurd {
            return Ok(Vec::new());
        }
        let search = Search { snapshot: self, query, owner };
        let mut found: HashMap<(GroupKey, OwnerKey), Best> = HashMap::new();
        search.run(&mut |key, owner, best| {
            let known = found.entry((key, owner)).or_insert(best);
            if (known.time, known.id) < (best.time, best.id) {
                *known = best;
            }
        })?;
        let mut groups: BTreeMap<GroupKey, Vec<Contender>> = BTreeMap::new();
        for ((key, owner), best) in found.into_iter().filter(|(_, best)| best.live) {
            let contender = Contender { owner, row: Row(best.row), id: best.id, time: best.time };
            groups.entry(key).or_default().push(contender);
        }
        let groups = groups.into_iter().take(query.limit.unwrap_or(usize::MAX));
        Ok(groups
            .map(|((slot, ordinals), mut values)| {
                values.sort_unstable_by_key(|v| v.owner);
                Group { slot, ordinals, values }
            })
            .collect())
    }

    /// Everything live that one owner has under a first selector, in the order of that selector's ordinals
    /// and, among equals, of arrival. What strangers have there costs nothing.
    pub fn records_under(&self, first: SelectorPublic, owner: &OwnerKey) -> Result<Listing<'_>, StoreError> {
        let oid = self.oid(owner)?;
        let by = By::Selector { key: first, last: (Masked::MIN, 0) };
        Ok(Listing { snapshot: self, by, oid, page: Vec::new().into_iter() })
    }

    /// Everything live that one owner has, in the order of arrival. Passes over all records.
    pub fn records_of(&self, owner: &OwnerKey) -> Result<Listing<'_>, StoreError> {
        let oid = self.oid(owner)?;
        Ok(Listing { snapshot: self, by: By::Row { last: 0 }, oid, page: Vec::new().into_iter() })
    }

    /// Whether a record is the newest revision of its key.
    fn is_head(&self, row: i64, oid: i64, record: &Record) -> Result<Option<Head>, StoreError> {
        let network = self.network();
        let paths = record.paths(&network);
        let (Some(slot), Some(last)) = (paths.last(), record.selectors.last()) else { return Ok(None) };
        let head = self.head_of(slot, oid, last.ordinal, record.rest())?;
        Ok(head.filter(|head| head.row == Row(row)))
    }
}

impl Store {
    /// [`Snapshot::query`] on the last commit.
    pub fn query(&self, query: &Query) -> Result<Vec<Group>, StoreError> {
        self.snapshot()?.query(query)
    }
}

#[derive(Clone, Copy)]
struct Best {
    row: i64,
    id: RecordId,
    time: Millis,
    live: bool,
}

struct Search<'a> {
    snapshot: &'a Snapshot,
    query: &'a Query,
    owner: Option<i64>,
}

impl Search<'_> {
    fn run(&self, found: &mut dyn FnMut(GroupKey, OwnerKey, Best)) -> Result<(), StoreError> {
        match self.cheapest()? {
            Driver::Heads => self.walk_heads(&mut |head, oid| {
                self.consider(head.row.0, oid, found)?;
                let newer_than_asked = self.query.until.is_some_and(|until| head.time > until);
                if newer_than_asked { self.consider_older(head.row.0, oid, found) } else { Ok(true) }
            }),
            Driver::Selector { range } => {
                self.walk_selector(range, &mut |row, oid| self.consider(row, oid, found))
            }
        }
    }

    /// The driver that meets the fewest rows, as far as that can be told without counting everything.
    fn cheapest(&self) -> Result<Driver, StoreError> {
        let selectors = (0..self.query.ranges.len()).map(|range| Driver::Selector { range });
        let drivers: Vec<Driver> = if self.query.open {
            selectors.collect()
        } else {
            [Driver::Heads].into_iter().chain(selectors).collect()
        };
        for bound in ESTIMATES {
            let mut least: Option<(usize, Driver)> = None;
            for driver in &drivers {
                let rows = self.count(*driver, bound)?;
                if rows < bound && least.is_none_or(|(fewest, _)| rows < fewest) {
                    least = Some((rows, *driver));
                }
            }
            if let Some((_, driver)) = least {
                return Ok(driver);
            }
        }
        Err(StoreError::TooBroad(QUERY_ROWS_MAX))
    }

    fn count(&self, driver: Driver, bound: usize) -> Result<usize, StoreError> {
        let mut rows = 0;
        let mut tally = || {
            rows += 1;
            Ok(rows < bound)
        };
        match driver {
            Driver::Heads => self.walk_heads(&mut |_, _| tally())?,
            Driver::Selector { range } => self.walk_selector(range, &mut |_, _| tally())?,
        }
        Ok(rows)
    }

    /// Newest revisions in the slot that closed ranges name, by their last ordinal. Stops when told `false`.
    fn walk_heads(
        &self,
        each: &mut dyn FnMut(Head, i64) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let root = PathKey::root(&self.snapshot.network());
        let slot = self.query.ranges.iter().fold(root, |path, range| path.child(&range.key));
        let last = self.query.ranges.last().expect("a query has at least one range");
        let next = "SELECT owner FROM head WHERE path = ?1 AND owner > ?2 ORDER BY owner LIMIT 1";
        self.each_owner(next, &[&slot.0], &mut |oid| {
            for head in self.snapshot.heads_of(&slot, oid, last.lo, last.hi)? {
                if !each(head, oid)? {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }

    /// Rows whose selector at a position where it may stand lies in the range. Stops when told `false`.
    fn walk_selector(
        &self,
        index: usize,
        each: &mut dyn FnMut(i64, i64) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let range = &self.query.ranges[index];
        let key = selector_prefix(&range.key.0);
        let behind = self.query.ranges.len() - index - 1;
        let positions = if self.query.open { index..SELECTORS_MAX - behind } else { index..index + 1 };
        let mut go_on = true;
        for position in positions {
            let position = bound(position);
            let next = "SELECT owner FROM selector WHERE key = ?1 AND position = ?2 AND owner > ?3 ORDER BY owner LIMIT 1";
            self.each_owner(next, &[&key, &position], &mut |oid| {
                let mut statement = self.snapshot.cached(
                    "SELECT row FROM selector WHERE key = ?1 AND position = ?2 AND owner = ?3 AND ordinal BETWEEN ?4 AND ?5",
                )?;
                let mut rows = statement.query(params![key, position, oid, range.lo.0, range.hi.0])?;
                while let Some(row) = rows.next()? {
                    go_on = each(row.get(0)?, oid)?;
                    if !go_on {
                        return Ok(false);
                    }
                }
                Ok(true)
            })?;
            if !go_on {
                break;
            }
        }
        Ok(())
    }

    /// The owners an index has under its leading columns, one probe each; or only the one asked for.
    fn each_owner(
        &self,
        next: &'static str,
        leading: &[&dyn rusqlite::ToSql],
        each: &mut dyn FnMut(i64) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        if let Some(owner) = self.owner {
            return each(owner).map(drop);
        }
        let mut last = -1_i64;
        loop {
            let mut parameters = leading.to_vec();
            parameters.push(&last);
            let mut statement = self.snapshot.cached(next)?;
            let mut rows = statement.query(&parameters[..])?;
            let Some(row) = rows.next()? else { return Ok(()) };
            let owner: i64 = row.get(0)?;
            drop(rows);
            last = owner;
            if !each(owner)? {
                return Ok(());
            }
        }
    }

    /// Judges one row by the record itself: index prefixes are only eight bytes.
    fn consider(
        &self,
        row: i64,
        oid: i64,
        found: &mut dyn FnMut(GroupKey, OwnerKey, Best),
    ) -> Result<bool, StoreError> {
        let (id, _, record) = self.snapshot.load(row)?;
        let time = record.header.time;
        let in_time = self.query.since.is_none_or(|since| time >= since)
            && self.query.until.is_none_or(|until| time <= until);
        if !in_time || !self.matches(&record) {
            return Ok(true);
        }
        // Without an end of time only the newest revision counts, and it will come by itself.
        if self.query.until.is_none() && self.snapshot.is_head(row, oid, &record)?.is_none() {
            return Ok(true);
        }
        let paths = record.paths(&self.snapshot.network());
        let Some(slot) = paths.last() else { return Ok(true) };
        let ordinals = record.selectors.iter().map(|s| s.ordinal).collect();
        let best = Best { row, id, time, live: !record.is_deletion() };
        found((*slot, ordinals), record.header.owner, best);
        Ok(true)
    }

    /// All revisions of the key of this row, for a time range that ends before its newest.
    fn consider_older(
        &self,
        row: i64,
        oid: i64,
        found: &mut dyn FnMut(GroupKey, OwnerKey, Best),
    ) -> Result<bool, StoreError> {
        let (_, _, record) = self.snapshot.load(row)?;
        let Some(last) = record.selectors.last() else { return Ok(true) };
        let (key, position) = (selector_prefix(&last.key.0), bound(record.selectors.len()) - 1);
        let mut statement = self.snapshot.cached(
            "SELECT row FROM selector WHERE key = ?1 AND position = ?2 AND owner = ?3 AND ordinal = ?4",
        )?;
        let mut rows = statement.query(params![key, position, oid, last.ordinal.0])?;
        while let Some(older) = rows.next()? {
            self.consider(older.get(0)?, oid, found)?;
        }
        Ok(true)
    }

    fn matches(&self, record: &Record) -> bool {
        let (ranges, selectors) = (&self.query.ranges, &record.selectors);
        let within = |(range, selector): (&Range, &crate::record::Selector)| {
            range.key == selector.key && (range.lo..=range.hi).contains(&selector.ordinal)
        };
        if !self.query.open {
            return ranges.len() == selectors.len() && ranges.iter().zip(selectors).all(within);
        }
        // A subsequence: taking the first selector that fits each range never loses a match.
        let mut selectors = selectors.iter();
        ranges.iter().all(|range| selectors.any(|selector| within((range, selector))))
    }
}

enum By {
    Selector { key: SelectorPublic, last: (Masked, i64) },
    Row { last: i64 },
}

/// An owner's live records, fetched page by page: see [`Snapshot::records_under`].
pub struct Listing<'s> {
    snapshot: &'s Snapshot,
    by: By,
    oid: Option<i64>,
    page: std::vec::IntoIter<i64>,
}

impl Iterator for Listing<'_> {
    type Item = Result<Listed, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let oid = self.oid?;
        loop {
            let Some(row) = self.page.next() else {
                match self.turn_page(oid) {
                    Ok(true) => continue,
                    Ok(false) => return None,
                    Err(error) => {
                        self.oid = None;
                        return Some(Err(error));
                    }
                }
            };
            match self.listed(row, oid) {
                Ok(None) => {}
                Ok(Some(listed)) => return Some(Ok(listed)),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl Listing<'_> {
    fn turn_page(&mut self, oid: i64) -> Result<bool, StoreError> {
        let mut page: Vec<i64> = Vec::with_capacity(PAGE);
        match &mut self.by {
            By::Selector { key, last } => {
                let mut statement = self.snapshot.cached(
                    "SELECT ordinal, row FROM selector WHERE key = ?1 AND position = 0 AND owner = ?2
                     AND (ordinal, row) > (?3, ?4) ORDER BY ordinal, row LIMIT ?5",
                )?;
                let prefix = selector_prefix(&key.0);
                let mut rows = statement.query(params![prefix, oid, last.0.0, last.1, bound(PAGE)])?;
                while let Some(row) = rows.next()? {
                    *last = (Masked(row.get(0)?), row.get(1)?);
                    page.push(last.1);
                }
            }
            By::Row { last } => {
                let mut statement = self
                    .snapshot
                    .cached("SELECT row FROM record WHERE row > ?1 AND owner = ?2 ORDER BY row LIMIT ?3")?;
                let mut rows = statement.query(params![*last, oid, bound(PAGE)])?;
                while let Some(row) = rows.next()? {
                    *last = row.get(0)?;
                    page.push(*last);
                }
            }
        }
        let any = !page.is_empty();
        self.page = page.into_iter();
        Ok(any)
    }

    fn listed(&self, row: i64, oid: i64) -> Result<Option<Listed>, StoreError> {
        let (id, _, record) = self.snapshot.load(row)?;
        if let By::Selector { key, .. } = &self.by
            && record.selectors.first().is_none_or(|s| s.key != *key)
        {
            return Ok(None);
        }
        let head = self.snapshot.is_head(row, oid, &record)?;
        Ok(head.filter(|head| head.live).map(|_| Listed { row: Row(row), id, record }))
    }
}
