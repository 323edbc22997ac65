//! Reading: a pooled read-only connection inside one read transaction. A snapshot sees one commit and nothing
//! of later ones, never blocks the writer, and gives its connection back when dropped. Their number is
//! bounded; whoever wants one more waits a moment.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use rusqlite::{CachedStatement, Connection, OptionalExtension, params};
use smallvec::SmallVec;

use super::config::{Config, PRESENCE_MAX};
use super::rowform::{prefix, restore, unpack};
use super::{StoreError, schema};
use crate::record::{Link, Masked, Millis, NetworkId, OwnerKey, PathKey, Record, RecordId};

/// How long a snapshot waits for a free connection.
const WAIT: Duration = Duration::from_secs(5);
/// Owner numbers remembered by each connection; past this it starts over.
const OWNERS_KEPT: usize = 4_096;
/// Ids of rows remembered by each connection that reads records.
const IDS_KEPT: usize = 4_096;

/// A record's place in the store. Rows grow as records are admitted: row order is topological.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Row(pub(crate) i64);

/// What one owner has at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Presence {
    /// Who.
    pub owner: OwnerKey,
    /// Live values exactly at the path.
    pub at: u32,
    /// Live values strictly below it.
    pub below: u32,
}

/// The newest revision of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its row.
    pub row: Row,
    /// Its id.
    pub id: RecordId,
    /// Its time.
    pub time: Millis,
    /// Its last masked ordinal.
    pub ordinal: Masked,
    /// What tells its key from others of the slot beside the last ordinal; `record::rest_of`.
    pub rest: u64,
    /// Whether it is a value; otherwise it deletes the key.
    pub live: bool,
}

/// Where a record is, and whether with its value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) row: i64,
    pub(crate) time: Millis,
    pub(crate) has_value: bool,
}

/// What stands in a row.
pub(crate) struct Found<'a> {
    pub(crate) id: RecordId,
    pub(crate) flags: i64,
    pub(crate) owner: OwnerKey,
    pub(crate) time: Millis,
    pub(crate) links: SmallVec<[RecordId; 4]>,
    /// Without owner, time and links.
    pub(crate) body: &'a [u8],
    /// Masked; none if it is not here.
    pub(crate) value: Option<&'a [u8]>,
}

/// One consistent view of the store.
pub struct Snapshot {
    reader: Option<Reader>,
    readers: Arc<Readers>,
}

/// A connection and what it remembers. Owner numbers and the ids of rows never change once committed.
struct Reader {
    conn: Connection,
    oids: RefCell<HashMap<OwnerKey, i64>>,
    keys: RefCell<HashMap<i64, OwnerKey>>,
    /// Rows and their ids, each at the place its row says; row 0 is none.
    ids: RefCell<Vec<(i64, RecordId)>>,
}

impl Snapshot {
    /// The network.
    pub fn network(&self) -> NetworkId {
        self.readers.network
    }

    /// Who has something live exactly at or below a path; at most [`PRESENCE_MAX`] owners.
    pub fn presence(&self, path: &PathKey) -> Result<SmallVec<[Presence; 4]>, StoreError> {
        let mut statement = self.cached("SELECT owner, at, below FROM presence WHERE path = ?1 LIMIT ?2")?;
        let mut rows = statement.query(params![path.0, bound(PRESENCE_MAX)])?;
        let mut out = SmallVec::new();
        while let Some(row) = rows.next()? {
            let owner = self.owner_key(row.get(0)?)?;
            out.push(Presence { owner, at: row.get(1)?, below: row.get(2)? });
        }
        Ok(out)
    }

    /// What one owner has live at a path and below it, if anything.
    pub fn presence_of(&self, path: &PathKey, owner: &OwnerKey) -> Result<Option<Presence>, StoreError> {
        let Some(oid) = self.oid(owner)? else { return Ok(None) };
        let mut statement = self.cached("SELECT at, below FROM presence WHERE path = ?1 AND owner = ?2")?;
        let found = statement.query_row(params![path.0, oid], |row| {
            Ok(Presence { owner: *owner, at: row.get(0)?, below: row.get(1)? })
        });
        Ok(found.optional()?)
    }

    /// The newest revisions of an owner's keys in a slot, deletions too, whose last masked ordinal lies
    /// between `lo` and `hi`, in its order and then in that of the other ordinals' `rest`.
    pub fn heads(
        &self,
        slot: &PathKey,
        owner: &OwnerKey,
        lo: Masked,
        hi: Masked,
    ) -> Result<Vec<Head>, StoreError> {
        let Some(oid) = self.oid(owner)? else { return Ok(Vec::new()) };
        self.heads_of(slot, oid, lo, hi)
    }

    /// Those of [`Snapshot::heads`] whose other ordinals are the same; `rest` is `record::rest_of` them. At most
    /// `limit`.
    pub fn heads_beside(
        &self,
        slot: &PathKey,
        owner: &OwnerKey,
        rest: u64,
        range: (Masked, Masked),
        limit: usize,
    ) -> Result<Vec<Head>, StoreError> {
        let Some(oid) = self.oid(owner)? else { return Ok(Vec::new()) };
        let mut statement = self.cached(
            "SELECT h.row, r.id, r.time, h.ordinal, h.rest, h.live FROM head h CROSS JOIN record r ON r.row = h.row
             WHERE h.path = ?1 AND h.owner = ?2 AND h.ordinal BETWEEN ?3 AND ?4 AND h.rest = ?5
             ORDER BY h.ordinal, h.rest LIMIT ?6",
        )?;
        let key = params![slot.0, oid, range.0.0, range.1.0, rest.cast_signed(), bound(limit)];
        Ok(statement.query_map(key, read_head)?.collect::<Result<_, _>>()?)
    }

    /// The newest revision of one key: of a slot, its last masked ordinal, and the `rest`.
    pub fn head(
        &self,
        slot: &PathKey,
        owner: &OwnerKey,
        ordinal: Masked,
        rest: u64,
    ) -> Result<Option<Head>, StoreError> {
        let Some(oid) = self.oid(owner)? else { return Ok(None) };
        self.head_of(slot, oid, ordinal, rest)
    }

    /// The first `limit` of [`Snapshot::heads`].
    pub fn first_heads(
        &self,
        slot: &PathKey,
        owner: &OwnerKey,
        range: (Masked, Masked),
        limit: usize,
    ) -> Result<Vec<Head>, StoreError> {
        let Some(oid) = self.oid(owner)? else { return Ok(Vec::new()) };
        let mut statement = self.cached(
            "SELECT h.row, r.id, r.time, h.ordinal, h.rest, h.live FROM head h CROSS JOIN record r ON r.row = h.row
             WHERE h.path = ?1 AND h.owner = ?2 AND h.ordinal BETWEEN ?3 AND ?4
             ORDER BY h.ordinal, h.rest LIMIT ?5",
        )?;
        let key = params![slot.0, oid, range.0.0, range.1.0, bound(limit)];
        Ok(statement.query_map(key, read_head)?.collect::<Result<_, _>>()?)
    }

    pub(crate) fn heads_of(
        &self,
        slot: &PathKey,
        oid: i64,
        lo: Masked,
        hi: Masked,
    ) -> Result<Vec<Head>, StoreError> {
        let mut statement = self.cached(
            "SELECT h.row, r.id, r.time, h.ordinal, h.rest, h.live FROM head h CROSS JOIN record r ON r.row = h.row
             WHERE h.path = ?1 AND h.owner = ?2 AND h.ordinal BETWEEN ?3 AND ?4 ORDER BY h.ordinal, h.rest",
        )?;
        let heads = statement.query_map(params![slot.0, oid, lo.0, hi.0], read_head)?;
        Ok(heads.collect::<Result<_, _>>()?)
    }

    /// The newest revision of one key.
    pub(crate) fn head_of(
        &self,
        slot: &PathKey,
        oid: i64,
        ordinal: Masked,
        rest: u64,
    ) -> Result<Option<Head>, StoreError> {
        let mut statement = self.cached(
            "SELECT h.row, r.id, r.time, h.ordinal, h.rest, h.live FROM head h CROSS JOIN record r ON r.row = h.row
             WHERE h.path = ?1 AND h.owner = ?2 AND h.ordinal = ?3 AND h.rest = ?4",
        )?;
        let key = params![slot.0, oid, ordinal.0, rest.cast_signed()];
        Ok(statement.query_row(key, read_head).optional()?)
    }

    /// The time of an owner's newest record in a slot, deletions included: a new one must be later.
    pub fn newest_in_slot(&self, slot: &PathKey, owner: &OwnerKey) -> Result<Option<Millis>, StoreError> {
        let Some(oid) = self.oid(owner)? else { return Ok(None) };
        let mut statement = self.cached(
            "SELECT max(r.time) FROM head h CROSS JOIN record r ON r.row = h.row WHERE h.path = ?1 AND h.owner = ?2",
        )?;
        let newest: Option<i64> = statement.query_row(params![slot.0, oid], |row| row.get(0))?;
        Ok(newest.map(|time| Millis(time.cast_unsigned())))
    }

    /// The record in a row.
    pub fn record(&self, row: Row) -> Result<Record, StoreError> {
        Ok(self.load(row.0)?.2)
    }

    /// The record of an id, if it is here.
    pub fn by_id(&self, id: &RecordId) -> Result<Option<(Row, Record)>, StoreError> {
        let Some(place) = self.find(id)? else { return Ok(None) };
        Ok(Some((Row(place.row), self.record(Row(place.row))?)))
    }

    /// The serial of a zone cut, once something there has changed.
    pub fn serial(&self, cut: &PathKey) -> Result<Option<u32>, StoreError> {
        let mut statement = self.cached("SELECT serial FROM serial WHERE cut = ?1")?;
        Ok(statement.query_row(params![cut.0], |row| row.get(0)).optional()?)
    }

    /// The highest minute at which a record's pulse was seen.
    pub fn pulse(&self, row: Row) -> Result<Option<u32>, StoreError> {
        let mut statement = self.cached("SELECT minute FROM pulse WHERE row = ?1")?;
        Ok(statement.query_row(params![row.0], |row| row.get(0)).optional()?)
    }

    /// Selector names this node was told in the clear.
    pub fn names(&self) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut statement = self.cached("SELECT name FROM book")?;
        let names = statement.query_map([], |row| row.get(0))?;
        Ok(names.collect::<Result<_, _>>()?)
    }

    /// Records nothing links to yet, oldest first, none later than `now`.
    pub fn tips(&self, limit: usize, now: Millis) -> Result<Vec<Link>, StoreError> {
        let mut statement = self.cached(
            "SELECT r.id, r.time FROM tip t CROSS JOIN record r ON r.row = t.row WHERE r.time <= ?1
             ORDER BY t.row LIMIT ?2",
        )?;
        links(&mut statement, now, limit)
    }

    /// The records that came last, last first, none later than `now`.
    pub fn recent(&self, limit: usize, now: Millis) -> Result<Vec<Link>, StoreError> {
        let mut statement =
            self.cached("SELECT id, time FROM record WHERE time <= ?1 ORDER BY row DESC LIMIT ?2")?;
        links(&mut statement, now, limit)
    }

    /// The last row in use; 0 in an empty store.
    pub fn last_row(&self) -> Result<Row, StoreError> {
        let last: Option<i64> =
            self.cached("SELECT max(row) FROM record")?.query_row([], |row| row.get(0))?;
        Ok(Row(last.unwrap_or(0)))
    }

    pub(crate) fn find(&self, id: &RecordId) -> Result<Option<Place>, StoreError> {
        find(&self.reader().conn, id)
    }

    /// Id, flags and record of a row.
    pub(crate) fn load(&self, row: i64) -> Result<(RecordId, i64, Record), StoreError> {
        self.read_row(row, |found| {
            let value = found.value.map(<[u8]>::to_vec);
            let record = restore(found.body, found.time, &found.owner, &found.links, value)?;
            Ok((found.id, found.flags, record))
        })
    }

    /// A row, its owner and links looked up, for `make` to make something of.
    pub(crate) fn read_row<T>(
        &self,
        row: i64,
        make: impl FnOnce(Found<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let unreadable = |what| StoreError::Damaged(format!("row {row} has {what}"));
        let mut statement =
            self.cached("SELECT id, flags, owner, time, parents, body, value FROM record WHERE row = ?1")?;
        let mut rows = statement.query(params![row])?;
        let Some(found) = rows.next()? else {
            return Err(StoreError::Damaged(format!("row {row} is missing")));
        };
        let parents = unpack(row, found.get_ref(4)?.as_blob().unwrap_or(&[0xFF]))
            .ok_or_else(|| unreadable("unreadable links"))?;
        make(Found {
            id: RecordId(found.get(0)?),
            flags: found.get(1)?,
            owner: self.owner_key(found.get(2)?)?,
            time: Millis(found.get::<_, i64>(3)?.cast_unsigned()),
            links: parents.iter().map(|parent| self.id_of(*parent)).collect::<Result<_, _>>()?,
            body: found.get_ref(5)?.as_blob().unwrap_or_default(),
            value: found.get_ref(6)?.as_blob_or_null().map_err(|_| unreadable("an unreadable value"))?,
        })
    }

    /// The id of a record linked to.
    pub(crate) fn id_of(&self, row: i64) -> Result<RecordId, StoreError> {
        if let Some(id) = self.reader().kept_id(row) {
            return Ok(id);
        }
        let mut statement = self.cached("SELECT id FROM record WHERE row = ?1")?;
        let id = statement.query_row(params![row], |row| row.get(0)).optional()?;
        let id = id
            .map(RecordId)
            .ok_or_else(|| StoreError::Damaged(format!("row {row} is linked to, but missing")))?;
        self.keep_id(row, id);
        Ok(id)
    }

    /// Remembers the id of a row, for the records that link to it.
    pub(crate) fn keep_id(&self, row: i64, id: RecordId) {
        let mut ids = self.reader().ids.borrow_mut();
        ids.resize(IDS_KEPT, (0, RecordId([0; 32])));
        ids[place_of(row)] = (row, id);
    }

    /// The number of an owner, if it has any record here.
    pub(crate) fn oid(&self, owner: &OwnerKey) -> Result<Option<i64>, StoreError> {
        let reader = self.reader();
        if let Some(oid) = reader.oids.borrow().get(owner) {
            return Ok(Some(*oid));
        }
        let mut statement = self.cached("SELECT oid FROM owner WHERE key = ?1")?;
        let found: Option<i64> = statement.query_row(params![owner.0], |row| row.get(0)).optional()?;
        if let Some(oid) = found {
            reader.remember(oid, *owner);
        }
        Ok(found)
    }

    pub(crate) fn owner_key(&self, oid: i64) -> Result<OwnerKey, StoreError> {
        let reader = self.reader();
        if let Some(key) = reader.keys.borrow().get(&oid) {
            return Ok(*key);
        }
        let mut statement = self.cached("SELECT key FROM owner WHERE oid = ?1")?;
        let key = statement.query_row(params![oid], |row| row.get(0)).optional()?.map(OwnerKey);
        let key = key.ok_or_else(|| StoreError::Damaged(format!("owner {oid} is missing")))?;
        reader.remember(oid, key);
        Ok(key)
    }

    pub(crate) fn cached(&self, sql: &'static str) -> Result<CachedStatement<'_>, StoreError> {
        Ok(self.reader().conn.prepare_cached(sql)?)
    }

    pub(crate) fn conn(&self) -> &Connection {
        &self.reader().conn
    }

    fn reader(&self) -> &Reader {
        self.reader.as_ref().expect("a snapshot has its connection until it is dropped")
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        if let Some(reader) = self.reader.take() {
            self.readers.give_back(reader);
        }
    }
}

impl Reader {
    fn kept_id(&self, row: i64) -> Option<RecordId> {
        self.ids.borrow().get(place_of(row)).filter(|(kept, _)| *kept == row).map(|(_, id)| *id)
    }

    fn remember(&self, oid: i64, key: OwnerKey) {
        let (mut oids, mut keys) = (self.oids.borrow_mut(), self.keys.borrow_mut());
        if oids.len() >= OWNERS_KEPT {
            oids.clear();
            keys.clear();
        }
        oids.insert(key, oid);
        keys.insert(oid, key);
    }
}

/// The pool of read-only connections.
pub(crate) struct Readers {
    path: PathBuf,
    config: Config,
    network: NetworkId,
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Default)]
struct State {
    idle: Vec<Reader>,
    open: usize,
}

impl Readers {
    pub(crate) fn new(path: PathBuf, config: Config, network: NetworkId) -> Readers {
        Readers { path, config, network, state: Mutex::default(), freed: Condvar::new() }
    }

    /// A view of the last commit.
    pub(crate) fn snapshot(self: &Arc<Self>) -> Result<Snapshot, StoreError> {
        self.begin(self.take(WAIT)?)
    }

    /// The same, if a connection is to be had without waiting.
    pub(crate) fn snapshot_at_once(self: &Arc<Self>) -> Result<Option<Snapshot>, StoreError> {
        match self.take(Duration::ZERO) {
            Ok(reader) => self.begin(reader).map(Some),
            Err(StoreError::Busy(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn begin(self: &Arc<Self>, reader: Reader) -> Result<Snapshot, StoreError> {
        let snapshot = Snapshot { reader: Some(reader), readers: Arc::clone(self) };
        snapshot.cached("BEGIN")?.execute([])?;
        // A transaction sees the store as of its first read, not as of BEGIN.
        snapshot.cached("SELECT 1 FROM genesis LIMIT 1")?.exists([])?;
        Ok(snapshot)
    }

    fn take(&self, wait: Duration) -> Result<Reader, StoreError> {
        let mut state = self.state.lock();
        loop {
            // The one used last has the warmest cache.
            if let Some(reader) = state.idle.pop() {
                return Ok(reader);
            }
            let max = self.config.readers.max(1);
            if state.open < max {
                state.open += 1;
                break;
            }
            if self.freed.wait_for(&mut state, wait).timed_out() && state.idle.is_empty() {
                return Err(StoreError::Busy(max));
            }
        }
        drop(state);
        match schema::open_reader(&self.path, &self.config) {
            Ok(conn) => Ok(Reader {
                conn,
                oids: RefCell::default(),
                keys: RefCell::default(),
                ids: RefCell::default(),
            }),
            Err(error) => {
                self.lose();
                Err(error)
            }
        }
    }

    fn give_back(&self, reader: Reader) {
        let ended = reader.conn.is_autocommit()
            || reader.conn.prepare_cached("ROLLBACK").and_then(|mut s| s.execute([])).is_ok();
        if ended {
            self.state.lock().idle.push(reader);
            self.freed.notify_one();
        } else {
            drop(reader);
            self.lose();
        }
    }

    /// Closes the connections nobody uses.
    pub(crate) fn close_idle(&self) {
        let idle = {
            let mut state = self.state.lock();
            state.open -= state.idle.len();
            std::mem::take(&mut state.idle)
        };
        drop(idle);
    }

    fn lose(&self) {
        self.state.lock().open -= 1;
        self.freed.notify_one();
    }
}

/// Looks an id up: by its first 8 bytes, then in full.
pub(crate) fn find(conn: &Connection, id: &RecordId) -> Result<Option<Place>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT r.row, r.time, r.value IS NOT NULL, r.id FROM by_id b CROSS JOIN record r ON r.row = b.row
         WHERE b.prefix = ?1",
    )?;
    let mut rows = statement.query(params![prefix(&id.0)])?;
    while let Some(row) = rows.next()? {
        if row.get_ref(3)?.as_blob().is_ok_and(|full| full == id.0) {
            let time = Millis(row.get::<_, i64>(1)?.cast_unsigned());
            return Ok(Some(Place { row: row.get(0)?, time, has_value: row.get(2)? }));
        }
    }
    Ok(None)
}

/// Where a connection remembers the id of a row.
fn place_of(row: i64) -> usize {
    row.unsigned_abs() as usize % IDS_KEPT
}

/// A count as SQLite takes it.
pub(crate) fn bound(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn time_bound(time: Millis) -> i64 {
    i64::try_from(time.0).unwrap_or(i64::MAX)
}

fn read_head(row: &rusqlite::Row<'_>) -> rusqlite::Result<Head> {
    Ok(Head {
        row: Row(row.get(0)?),
        id: RecordId(row.get(1)?),
        time: Millis(row.get::<_, i64>(2)?.cast_unsigned()),
        ordinal: Masked(row.get(3)?),
        rest: row.get::<_, i64>(4)?.cast_unsigned(),
        live: row.get(5)?,
    })
}

fn links(statement: &mut CachedStatement<'_>, now: Millis, limit: usize) -> Result<Vec<Link>, StoreError> {
    let found = statement.query_map(params![time_bound(now), bound(limit)], |row| {
        Ok(Link { id: RecordId(row.get(0)?), time: Millis(row.get::<_, i64>(1)?.cast_unsigned()) })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}
