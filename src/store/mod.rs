//! Where records live; the only SQL.
//!
//! One SQLite file in the home, one writing thread with group commit, a pool of read-only connections. There
//! is one door, [`Store::ingest`]: everything passes the same checks, cheapest first ([`verify`]), and is
//! acknowledged when it is on the disk ([`writer`]). Reading goes through a [`Snapshot`]. Whether a record is
//! admitted depends on its bytes and its ancestors' bytes only; what is "not yet" waits in bounded
//! [`pools`]. Weight, trust and reputation are not here yet; the schema keeps what they need (`flags`: seen
//! live).

mod apply;
mod backup;
mod bare;
mod check;
mod config;
mod door;
mod error;
mod feed;
mod gate;
mod lock;
mod mint;
mod open;
mod pools;
mod query;
mod ranges;
mod rowform;
mod schema;
mod sending;
mod snapshot;
mod stream;
#[cfg(test)]
mod tests;
mod tree;
mod verify;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use smallvec::SmallVec;

pub use check::{CheckOptions, CheckReport};
pub use config::{BOOK_MAX, Clock, Config, Durability, FINDINGS_MAX, PRESENCE_MAX, Probe, QUERY_ROWS_MAX};
pub use error::{QueueFull, Refusal, StoreError};
pub use feed::{Changed, Classifier, Commit, Subscriber};
pub use query::{Contender, Group, Listed, Listing, Query, Range};
pub use ranges::{Part, RangeReader, Ranges, divide_points};
pub use sending::Encoded;
pub use snapshot::{Head, Presence, Row, Snapshot};
pub use stream::{EXPORT_HEAD_BYTES, ExportReader, Progress};
pub use tree::{FIRST, Point, Tally};

use crate::record::{Link, Millis, NetworkId, OwnerKey, PathKey, RecordId, Rules};
use door::Door;
use feed::Feed;
use lock::HomeLock;
use snapshot::Readers;
use writer::{Gauges, Shared};

/// Where records come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A program, through the API.
    Api,
    /// This node itself.
    Local,
    /// An export: nothing in it counts as seen live.
    Import,
    /// Another node, as it was made or not long after.
    Peer,
    /// Another node, catching up: nothing in it counts as seen live. For records just read from canonical bytes.
    Sync,
}

/// What became of a record (or a pulse).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is stored, and on the disk.
    Accepted(RecordId),
    /// It was here before.
    Known(RecordId),
    /// Not yet: records it links to are not here. It waits for them, if there is room.
    Orphan {
        /// Its id.
        id: RecordId,
        /// What is missing.
        missing: Vec<RecordId>,
    },
    /// Not yet: it is ahead of our clock. It waits, if there is room.
    Deferred {
        /// Its id.
        id: RecordId,
        /// When its time will have come.
        until: Millis,
    },
    /// It was not let in.
    Refused(Refusal),
}

impl Verdict {
    /// The id of a record that is here now.
    pub fn stored(&self) -> Option<RecordId> {
        match self {
            Verdict::Accepted(id) | Verdict::Known(id) => Some(*id),
            _ => None,
        }
    }
}

/// Sizes of things, for status and metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Records stored.
    pub records: u64,
    /// Owners with any record.
    pub owners: u64,
    /// Records nothing links to yet.
    pub tips: u64,
    /// Live values.
    pub live: u64,
    /// Records that wait for one they link to.
    pub orphans: usize,
    /// Bytes of those.
    pub orphan_bytes: usize,
    /// Records that wait for their time.
    pub deferred: usize,
    /// Records handed in and not yet committed.
    pub queued: usize,
    /// Bytes of the database, its log included.
    pub bytes: u64,
    /// Bytes free on its disk.
    pub free: Option<u64>,
    /// Commits since the store was opened.
    pub seq: u64,
}

/// A network's records on this machine. Cheap to clone; the home is released when the last clone goes.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    network: NetworkId,
    founder: OwnerKey,
    shared: Shared,
    readers: Arc<Readers>,
    ranges: Mutex<Option<Ranges>>,
    // Dropped in this order: first the writer ends, then the home is free.
    door: Option<Door>,
    lock: Option<HomeLock>,
}

impl Store {
    /// The network.
    pub fn network(&self) -> NetworkId {
        self.inner.network
    }

    /// Who founded it and may amend its rules.
    pub fn founder(&self) -> OwnerKey {
        self.inner.founder
    }

    /// The home it lives in.
    pub fn home(&self) -> &Path {
        &self.inner.shared.home
    }

    /// Now, by the clock the store was opened with.
    pub fn now(&self) -> Millis {
        (self.inner.shared.clock)()
    }

    /// The rules in force: those of the newest genesis record.
    pub fn rules(&self) -> Arc<Rules> {
        self.inner.shared.rules.load_full()
    }

    /// The genesis record whose rules are in force; an amendment links to it.
    pub fn newest_genesis(&self) -> Link {
        *self.inner.shared.newest_genesis.lock()
    }

    /// A view of the last commit.
    pub fn snapshot(&self) -> Result<Snapshot, StoreError> {
        self.inner.readers.snapshot()
    }

    /// Hears of every commit from now on; see [`Subscriber`].
    pub fn subscribe(&self, subscriber: Subscriber) {
        self.inner.shared.feed.subscribe(subscriber);
    }

    /// Says from now on which zone cuts a change touches; see [`Classifier`].
    pub fn classify(&self, classifier: Classifier) {
        self.inner.shared.feed.classify(classifier);
    }

    /// Some records nothing links to yet, none ahead of our clock, oldest first.
    pub fn tips(&self, limit: usize) -> Result<Vec<Link>, StoreError> {
        self.snapshot()?.tips(limit, (self.inner.shared.clock)())
    }

    /// Links for `count` new records made now: distinct tips for distinct records, at least the network's
    /// minimum each, more while tips pile up.
    pub fn links_for(&self, count: usize, now: Millis) -> Result<Vec<Vec<Link>>, StoreError> {
        let min = usize::from(self.rules().links_min);
        mint::links_for(&self.snapshot()?, count, min, now)
    }

    /// The time of an owner's newest record in a slot: its next one there must be later.
    pub fn newest_in_slot(&self, slot: &PathKey, owner: &OwnerKey) -> Result<Option<Millis>, StoreError> {
        self.snapshot()?.newest_in_slot(slot, owner)
    }

    /// Copies the whole store to a file while it is in use.
    pub fn backup(&self, to: &Path) -> Result<(), StoreError> {
        backup::copy(self.snapshot()?.conn(), to)
    }

    /// Recounts everything from the records; see [`CheckReport`].
    pub fn check(&self, options: CheckOptions) -> Result<CheckReport, StoreError> {
        check::check(self, options)
    }

    /// Sizes of things.
    pub fn stats(&self) -> Result<Stats, StoreError> {
        let snapshot = self.snapshot()?;
        let count = |sql| snapshot.conn().query_row(sql, [], |row| row.get::<_, i64>(0));
        let root = PathKey::root(&self.inner.network);
        let live = snapshot.conn().query_row(
            "SELECT coalesce(sum(below), 0) FROM presence WHERE path = ?1",
            [root.0],
            |row| row.get::<_, i64>(0),
        )?;
        let shared = &self.inner.shared;
        let path = schema::file(&shared.home);
        let bytes_of = |path: PathBuf| std::fs::metadata(path).map_or(0, |m| m.len());
        Ok(Stats {
            records: snapshot.last_row()?.0.cast_unsigned(),
            owners: count("SELECT coalesce(max(oid), 0) FROM owner")?.cast_unsigned(),
            tips: count("SELECT count(*) FROM tip")?.cast_unsigned(),
            live: live.cast_unsigned(),
            orphans: shared.gauges.orphans.load(Ordering::Relaxed),
            orphan_bytes: shared.gauges.orphan_bytes.load(Ordering::Relaxed),
            deferred: shared.gauges.deferred.load(Ordering::Relaxed),
            queued: self.inner.door.as_ref().map_or(0, Door::queued),
            bytes: bytes_of(path.clone()) + bytes_of(path.with_extension("db-wal")),
            free: shared.config.probe.free(&shared.home).ok(),
            seq: shared.gauges.seq.load(Ordering::Acquire),
        })
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({})", self.inner.shared.home.display())
    }
}
