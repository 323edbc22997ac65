//! One transaction's work: records into tables. Records are appended as they come; what they change in the
//! indexes is gathered and written at the end in key order, each index page touched once. Everything here
//! happens inside the caller's transaction: an error leaves nothing.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

use super::feed::{Changed, Classifier};
use super::rowform::{pack, prefix, strip};
use super::snapshot::{Place, find};
use super::tree::Point;
use super::verify::Vetted;
use super::{Refusal, StoreError};
use crate::record::{Kind, Millis, OwnerKey, PathKey, RecordId, hash};

/// Bit of `record.flags`: seen live.
pub(crate) const SEEN_LIVE: i64 = 1;
/// Owner numbers the writer remembers; past this it starts over.
const OWNERS_KEPT: usize = 65_536;
/// Records whose rows the writer remembers: more than one transaction holds.
const PLACES_KEPT: usize = 65_536;

/// What the writer remembers from one transaction to the next, so as not to look it up again. Cleared when a
/// transaction fails, since it may have come from there.
pub(crate) struct Memory {
    owners: HashMap<OwnerKey, i64>,
    /// Where records lately added or linked to are, each at the place its id says: links lead to recent records.
    places: Box<[Option<Remembered>]>,
}

#[derive(Clone, Copy)]
struct Remembered {
    id: RecordId,
    row: i64,
    time: Millis,
}

impl Default for Memory {
    fn default() -> Self {
        Memory { owners: HashMap::new(), places: vec![None; PLACES_KEPT].into() }
    }
}

impl Memory {
    pub(crate) fn clear(&mut self) {
        self.owners.clear();
        self.places.fill(None);
    }

    fn place(&mut self, id: &RecordId) -> &mut Option<Remembered> {
        &mut self.places[usize::from(u16::from_be_bytes([id.0[0], id.0[1]])) % PLACES_KEPT]
    }

    fn number(&mut self, conn: &Connection, owner: &OwnerKey) -> Result<i64, StoreError> {
        if let Some(oid) = self.owners.get(owner) {
            return Ok(*oid);
        }
        let mut known = conn.prepare_cached("SELECT oid FROM owner WHERE key = ?1")?;
        let oid = match known.query_row(params![owner.0], |row| row.get(0)).optional()? {
            Some(oid) => oid,
            None => conn
                .prepare_cached("INSERT INTO owner(key) VALUES(?1) RETURNING oid")?
                .query_row(params![owner.0], |row| row.get(0))?,
        };
        if self.owners.len() >= OWNERS_KEPT {
            self.owners.clear();
        }
        self.owners.insert(*owner, oid);
        Ok(oid)
    }
}

/// Where the links of a record lead.
pub(crate) enum Linked {
    /// All are here and earlier: their rows, in the header's order.
    Rows(Vec<i64>),
    /// These are not here.
    Missing(Vec<RecordId>),
    /// One forbids the record.
    Refused(Refusal),
}

/// What a finished transaction changed.
#[derive(Default)]
pub(crate) struct Changes {
    pub(crate) added: Vec<Point>,
    pub(crate) filled: Vec<Point>,
    pub(crate) slots: Vec<PathKey>,
    pub(crate) flips: Vec<PathKey>,
    pub(crate) cuts: Vec<PathKey>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct HeadKey {
    path: PathKey,
    owner: i64,
    ordinal: [u8; 16],
    rest: i64,
}

/// What decides which of two revisions is the newer.
type Age = (Millis, RecordId);

/// The newest revision of a key that this transaction brings.
struct Revision {
    row: i64,
    vetted: Arc<Vetted>,
}

impl Revision {
    fn age(&self) -> Age {
        (self.vetted.time(), self.vetted.id)
    }

    fn is_live(&self) -> bool {
        !self.vetted.record.is_deletion()
    }
}

/// A key whose newest revision this transaction brings, and whether a live one was there before.
type Revised = (HeadKey, Revision, bool);

/// A transaction in the making.
pub(crate) struct Batch<'a> {
    conn: &'a Connection,
    root: PathKey,
    memory: &'a mut Memory,
    classifier: Option<Classifier>,
    next_row: i64,
    added: HashMap<RecordId, Place>,
    /// What was looked up beforehand.
    looked: HashMap<RecordId, Option<Place>>,
    order: Vec<Point>,
    filled: Vec<Point>,
    genesis: HashSet<i64>,
    by_id: Vec<(i64, i64)>,
    selectors: Vec<(i64, i64, i64, [u8; 16], i64)>,
    tips: BTreeSet<i64>,
    linked: BTreeSet<i64>,
    revisions: HashMap<HeadKey, Revision>,
    slots: HashSet<PathKey>,
    cuts: BTreeSet<PathKey>,
}

impl<'a> Batch<'a> {
    pub(crate) fn new(
        conn: &'a Connection,
        root: PathKey,
        memory: &'a mut Memory,
        classifier: Option<Classifier>,
    ) -> Result<Batch<'a>, StoreError> {
        let last: Option<i64> =
            conn.prepare_cached("SELECT max(row) FROM record")?.query_row([], |row| row.get(0))?;
        Ok(Batch {
            conn,
            root,
            memory,
            classifier,
            next_row: last.unwrap_or(0) + 1,
            added: HashMap::new(),
            looked: HashMap::new(),
            order: Vec::new(),
            filled: Vec::new(),
            genesis: HashSet::new(),
            by_id: Vec::new(),
            selectors: Vec::new(),
            tips: BTreeSet::new(),
            linked: BTreeSet::new(),
            revisions: HashMap::new(),
            slots: HashSet::new(),
            cuts: BTreeSet::new(),
        })
    }

    /// Looks many ids up in the order of the index, each of its pages touched once.
    pub(crate) fn look_up(&mut self, mut ids: Vec<RecordId>) -> Result<(), StoreError> {
        ids.sort_unstable_by_key(|id| prefix(&id.0));
        self.looked.reserve(ids.len());
        for id in ids {
            self.looked.insert(id, find(self.conn, &id)?);
        }
        Ok(())
    }

    /// Where a record is, if it is here or was added by this transaction.
    pub(crate) fn find(&self, id: &RecordId) -> Result<Option<Place>, StoreError> {
        if let Some(place) = self.added.get(id) {
            return Ok(Some(*place));
        }
        match self.looked.get(id) {
            Some(looked) => Ok(*looked),
            None => find(self.conn, id),
        }
    }

    /// Follows the links: all there, each strictly earlier, and a genesis record behind a genesis record.
    pub(crate) fn link(&mut self, vetted: &Vetted) -> Result<Linked, StoreError> {
        let header = &vetted.record.header;
        let (mut rows, mut missing) = (Vec::with_capacity(header.links.len()), Vec::new());
        for link in &header.links {
            match self.remember(link)? {
                None => missing.push(*link),
                Some(place) if place.time >= header.time => {
                    return Ok(Linked::Refused(Refusal::NotAfterLink {
                        time: header.time,
                        linked: *link,
                        linked_time: place.time,
                    }));
                }
                Some(place) => rows.push(place.row),
            }
        }
        if !missing.is_empty() {
            return Ok(Linked::Missing(missing));
        }
        if header.kind == Kind::Genesis && !vetted.record.is_founding() {
            let mut behind_genesis = false;
            for row in &rows {
                behind_genesis |= self.is_genesis(*row)?;
            }
            if !behind_genesis {
                return Ok(Linked::Refused(Refusal::UnlinkedGenesis));
            }
        }
        Ok(Linked::Rows(rows))
    }

    /// Where a record linked to is.
    fn remember(&mut self, id: &RecordId) -> Result<Option<Remembered>, StoreError> {
        if let Some(kept) = self.memory.place(id).filter(|kept| kept.id == *id) {
            return Ok(Some(kept));
        }
        let found = self.find(id)?.map(|place| Remembered { id: *id, row: place.row, time: place.time });
        if found.is_some() {
            *self.memory.place(id) = found;
        }
        Ok(found)
    }

    fn is_genesis(&self, row: i64) -> Result<bool, StoreError> {
        let mut statement = self.conn.prepare_cached("SELECT 1 FROM genesis WHERE row = ?1")?;
        Ok(self.genesis.contains(&row) || statement.exists(params![row])?)
    }

    /// Appends a record whose links are `parents`.
    pub(crate) fn add(&mut self, vetted: &Arc<Vetted>, parents: &[i64]) -> Result<(), StoreError> {
        let (record, header) = (&vetted.record, &vetted.record.header);
        let row = self.next_row;
        let oid = self.memory.number(self.conn, &header.owner)?;
        let flags = if vetted.live { SEEN_LIVE } else { 0 };
        // What is empty is here, whoever sent it without.
        let value = record.value.as_deref().or(record.is_deletion().then_some(&[]));
        self.conn
            .prepare_cached(
                "INSERT INTO record(row, id, time, owner, flags, parents, body, value) VALUES(?1,?2,?3,?4,?5,?6,?7,?8)",
            )?
            .execute(params![
                row,
                vetted.id.0,
                header.time.0.cast_signed(),
                oid,
                flags,
                pack(row, parents),
                strip(&vetted.body, header.links.len()),
                value,
            ])?;
        self.next_row += 1;
        let place = Place { row, time: header.time, has_value: value.is_some() };
        self.added.insert(vetted.id, place);
        self.order.push((header.time, vetted.id));
        *self.memory.place(&vetted.id) = Some(Remembered { id: vetted.id, row, time: header.time });
        self.by_id.push((prefix(&vetted.id.0), row));
        self.tips.insert(row);
        for parent in parents {
            if !self.tips.remove(parent) {
                self.linked.insert(*parent);
            }
        }
        for ((position, selector), key) in (0_i64..).zip(&record.selectors).zip(&vetted.lookups) {
            self.selectors.push((*key, position, oid, selector.ordinal.0, row));
        }
        if header.kind == Kind::Genesis {
            self.genesis.insert(row);
            self.conn.prepare_cached("INSERT INTO genesis(row) VALUES(?1)")?.execute(params![row])?;
        }
        self.revise(vetted, row, oid);
        Ok(())
    }

    /// Stores the value of a record that was here without it.
    pub(crate) fn fill(&mut self, vetted: &Vetted, row: i64) -> Result<(), StoreError> {
        self.conn
            .prepare_cached("UPDATE record SET value = ?2 WHERE row = ?1 AND value IS NULL")?
            .execute(params![row, vetted.record.value])?;
        match self.added.get_mut(&vetted.id) {
            Some(place) => place.has_value = true,
            None => self.filled.push((vetted.time(), vetted.id)),
        }
        if let Some(Some(place)) = self.looked.get_mut(&vetted.id) {
            place.has_value = true;
        }
        self.slots.extend(vetted.paths.last());
        Ok(())
    }

    /// Lets a record be the newest revision of its key that this transaction brings, if it is.
    fn revise(&mut self, vetted: &Arc<Vetted>, row: i64, owner: i64) {
        let record = &vetted.record;
        let (Some(slot), Some(last)) = (vetted.paths.last(), record.selectors.last()) else { return };
        let key = HeadKey { path: *slot, owner, ordinal: last.ordinal.0, rest: vetted.rest.cast_signed() };
        let revision = Revision { row, vetted: Arc::clone(vetted) };
        if self.revisions.get(&key).is_none_or(|before| before.age() < revision.age()) {
            self.revisions.insert(key, revision);
        }
    }

    /// Writes the gathered index rows and serials; the transaction is then ready to be committed.
    pub(crate) fn finish(mut self, now: Millis) -> Result<Changes, StoreError> {
        self.write_lookups()?;
        self.write_tips()?;
        let revised = self.write_heads()?;
        let flips = self.write_presence(&revised)?;
        self.bump_serials(now)?;
        Ok(Changes {
            added: self.order,
            filled: self.filled,
            slots: self.slots.into_iter().collect(),
            flips,
            cuts: self.cuts.into_iter().collect(),
        })
    }

    fn write_lookups(&mut self) -> Result<(), StoreError> {
        self.by_id.sort_unstable();
        let mut insert = self.conn.prepare_cached("INSERT INTO by_id(prefix, row) VALUES(?1, ?2)")?;
        for (prefix, row) in &self.by_id {
            insert.execute(params![prefix, row])?;
        }
        self.selectors.sort_unstable();
        // One name twice in a record, with one ordinal, at two positions, is two entries; never the same one.
        let mut insert = self.conn.prepare_cached(
            "INSERT INTO selector(key, position, owner, ordinal, row) VALUES(?1, ?2, ?3, ?4, ?5)",
        )?;
        for (key, position, owner, ordinal, row) in &self.selectors {
            insert.execute(params![key, position, owner, ordinal, row])?;
        }
        Ok(())
    }

    fn write_tips(&self) -> Result<(), StoreError> {
        let mut delete = self.conn.prepare_cached("DELETE FROM tip WHERE row = ?1")?;
        for row in &self.linked {
            delete.execute(params![row])?;
        }
        let mut insert = self.conn.prepare_cached("INSERT INTO tip(row) VALUES(?1)")?;
        for row in &self.tips {
            insert.execute(params![row])?;
        }
        Ok(())
    }

    /// Writes the revisions that are newer than what was there; returns them in key order.
    fn write_heads(&mut self) -> Result<Vec<Revised>, StoreError> {
        let mut revisions: Vec<(HeadKey, Revision)> = self.revisions.drain().collect();
        revisions.sort_unstable_by_key(|(key, _)| *key);
        let mut revised = Vec::with_capacity(revisions.len());
        let mut write = self.conn.prepare_cached(
            "INSERT INTO head(path, owner, ordinal, rest, row, live) VALUES(?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT DO UPDATE SET row = excluded.row, live = excluded.live",
        )?;
        for (key, revision) in revisions {
            let stored = stored_head(self.conn, &key)?;
            if stored.is_some_and(|(age, _)| age >= revision.age()) {
                continue;
            }
            let was_live = stored.is_some_and(|(_, live)| live);
            let live = revision.is_live();
            write.execute(params![key.path.0, key.owner, key.ordinal, key.rest, revision.row, live])?;
            self.slots.insert(key.path);
            if let Some(classifier) = &self.classifier {
                let vetted = &revision.vetted;
                let owner = vetted.record.header.owner;
                let changed = Changed { owner, paths: &vetted.paths, time: vetted.time() };
                self.cuts.extend(classifier(&changed));
            }
            revised.push((key, revision, was_live));
        }
        Ok(revised)
    }

    /// Counts what appeared and vanished, at its path and below every prefix. Returns where existence flipped.
    fn write_presence(&self, revised: &[Revised]) -> Result<Vec<PathKey>, StoreError> {
        let mut deltas: HashMap<(PathKey, i64), (i64, i64)> = HashMap::new();
        for (key, revision, was_live) in revised {
            let delta = i64::from(revision.is_live()) - i64::from(*was_live);
            if delta == 0 {
                continue;
            }
            deltas.entry((key.path, key.owner)).or_default().0 += delta;
            let above = revision.vetted.paths.iter().rev().skip(1).chain([&self.root]);
            for path in above {
                deltas.entry((*path, key.owner)).or_default().1 += delta;
            }
        }
        let mut deltas: Vec<_> = deltas.into_iter().filter(|(_, delta)| *delta != (0, 0)).collect();
        deltas.sort_unstable();
        let mut flips = Vec::new();
        for ((path, owner), (at, below)) in deltas {
            if count(self.conn, path, owner, at, below)? {
                flips.push(path);
            }
        }
        flips.dedup();
        Ok(flips)
    }

    fn bump_serials(&self, now: Millis) -> Result<(), StoreError> {
        let mut bump = self.conn.prepare_cached(
            "INSERT INTO serial(cut, serial) VALUES(?1, ?2) ON CONFLICT DO UPDATE SET serial = max(serial + 1, excluded.serial)",
        )?;
        for cut in &self.cuts {
            // RFC 1982 serials are 32 bits; seconds fit until 2106, and then wrap as serials do.
            bump.execute(params![cut.0, now.seconds() as u32])?;
        }
        Ok(())
    }
}

/// Adds to one owner's counts at one path; true if something is there now and was not, or the reverse.
fn count(conn: &Connection, path: PathKey, owner: i64, at: i64, below: i64) -> Result<bool, StoreError> {
    if at >= 0 && below >= 0 {
        // Mostly the path is new: then this is all there is to do.
        let added = conn
            .prepare_cached("INSERT OR IGNORE INTO presence(path, owner, at, below) VALUES(?1, ?2, ?3, ?4)")?
            .execute(params![path.0, owner, at, below])?;
        if added > 0 {
            return Ok(true);
        }
    }
    let mut find = conn.prepare_cached("SELECT at, below FROM presence WHERE path = ?1 AND owner = ?2")?;
    let old: Option<(i64, i64)> =
        find.query_row(params![path.0, owner], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let (old_at, old_below) = old.unwrap_or((0, 0));
    let new = (old_at + at, old_below + below);
    if new.0 < 0 || new.1 < 0 {
        return Err(StoreError::Damaged("a count of live values would fall below zero".into()));
    }
    let exists = new != (0, 0);
    if exists {
        conn.prepare_cached("UPDATE presence SET at = ?3, below = ?4 WHERE path = ?1 AND owner = ?2")?
            .execute(params![path.0, owner, new.0, new.1])?;
    } else {
        conn.prepare_cached("DELETE FROM presence WHERE path = ?1 AND owner = ?2")?
            .execute(params![path.0, owner])?;
    }
    Ok(exists != old.is_some())
}

/// The age of the newest revision that was there before, and whether it is live.
fn stored_head(conn: &Connection, key: &HeadKey) -> Result<Option<(Age, bool)>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT r.time, r.id, h.live FROM head h CROSS JOIN record r ON r.row = h.row
         WHERE h.path = ?1 AND h.owner = ?2 AND h.ordinal = ?3 AND h.rest = ?4",
    )?;
    let found = statement.query_row(params![key.path.0, key.owner, key.ordinal, key.rest], |row| {
        let age = (Millis(row.get::<_, i64>(0)?.cast_unsigned()), RecordId(row.get(1)?));
        Ok((age, row.get(2)?))
    });
    Ok(found.optional()?)
}

/// What the `selector` table knows a name by; the full key is checked in the record.
pub(crate) fn selector_prefix(public: &[u8; 32]) -> i64 {
    let no_network = crate::record::NetworkId([0; 32]);
    prefix(&hash("lfdns lookup v1", &no_network, &[public]))
}
