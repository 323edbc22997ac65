//! What an operator may set about the store, its defaults, and the limits nobody sets: every one has a name.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::record::Millis;

/// The store's clock: unix milliseconds, asked whenever a time is judged. Tests hand in their own.
pub type Clock = Arc<dyn Fn() -> Millis + Send + Sync>;

/// Records of one transaction at most.
pub(crate) const BATCH_RECORDS_MAX: usize = 32_768;
/// Bytes of records in one transaction at most, unless a single record is larger.
pub(crate) const BATCH_BYTES_MAX: usize = 48 << 20;
/// While records come in bulk, how long a transaction waits for more of them, in milliseconds.
pub(crate) const LINGER_MS: u64 = 2_000;
/// How long no records come in bulk before the log is cut back to its usual length, in milliseconds.
pub(crate) const BULK_PAUSE_MS: u64 = 3_000;
/// Records verified as one piece; pieces of one call overlap with the writing of earlier pieces.
pub(crate) const PIECE_RECORDS: usize = 512;
/// Records handed in and not yet committed at most.
pub(crate) const QUEUE_RECORDS_MAX: usize = 65_536;
/// Bytes handed in and not yet committed at most.
pub(crate) const QUEUE_BYTES_MAX: usize = 64 << 20;
/// Records waiting for a record they link to at most.
pub(crate) const ORPHANS_MAX: usize = 10_000;
/// Bytes of records waiting for a record they link to at most.
pub(crate) const ORPHAN_BYTES_MAX: usize = 16 << 20;
/// Records waiting for their time to come at most.
pub(crate) const DEFERRED_MAX: usize = 10_000;
/// Bytes of records waiting for their time to come at most.
pub(crate) const DEFERRED_BYTES_MAX: usize = 8 << 20;
/// A record further ahead than this is not kept waiting: whoever has it may bring it again.
pub(crate) const DEFERRED_HORIZON_MS: u64 = 60 * 60 * 1000;
/// Beyond the network's drift, how far from its own timestamp a record may arrive and count as seen live.
pub(crate) const LIVE_GRACE_MS: u64 = 10 * 60 * 1000;
/// Selector names remembered in the book at most.
pub const BOOK_MAX: usize = 1 << 20;
/// Owners listed at one path at most.
pub const PRESENCE_MAX: usize = 4_096;
/// Records one general query looks at, at most.
pub const QUERY_ROWS_MAX: usize = 1 << 17;
/// Findings of one check that are listed; the rest are counted.
pub const FINDINGS_MAX: usize = 100;

/// The store's part of the configuration.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Bytes that must stay free on the disk; below it writes are refused, reads go on.
    pub min_free: u64,
    /// Read-only connections at most; whoever wants one more waits.
    pub readers: usize,
    /// Bytes of page cache of each read-only connection.
    pub reader_cache: usize,
    /// Bytes of the file that each read-only connection maps into memory, so that the system's page cache is
    /// read in place: saves some 10 % of an answer whose pages the connection does not have; 0 reads by calls.
    /// The memory is the system's own and given back when it is needed, but every connection's mapping counts
    /// as resident (`RssFile`): two that have read all of a file count it twice.
    pub reader_map: usize,
    /// When an acknowledged write is on the disk. For tests.
    #[serde(skip)]
    #[doc(hidden)]
    pub durability: Durability,
    /// How free disk space is found out. For tests.
    #[serde(skip)]
    #[doc(hidden)]
    pub probe: Probe,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            min_free: 64 << 20,
            readers: 32,
            reader_cache: 4 << 20,
            reader_map: 0,
            durability: Durability::Full,
            probe: Probe::default(),
        }
    }
}

/// When an acknowledged write is on the disk. Only the power-cut harness ever chooses `Normal`, to show that
/// it can tell the two apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// `synchronous=FULL`: before the acknowledgement.
    #[default]
    Full,
    /// `synchronous=NORMAL`: at some later checkpoint; a power cut loses acknowledged writes.
    Normal,
}

/// Answers how many bytes are free on the file system of a path.
#[derive(Clone)]
pub struct Probe(Arc<Measure>);

type Measure = dyn Fn(&Path) -> io::Result<u64> + Send + Sync;

impl Probe {
    /// A probe of one's own.
    pub fn new(probe: impl Fn(&Path) -> io::Result<u64> + Send + Sync + 'static) -> Probe {
        Probe(Arc::new(probe))
    }

    /// Bytes free to this process on the file system that holds `path`.
    pub(crate) fn free(&self, path: &Path) -> io::Result<u64> {
        (self.0)(path)
    }
}

impl Default for Probe {
    fn default() -> Self {
        Probe::new(|path| {
            let fs = nix::sys::statvfs::statvfs(path)?;
            Ok(fs.blocks_available().saturating_mul(fs.fragment_size()))
        })
    }
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Probe")
    }
}
