//! What can go wrong: with the store itself ([`StoreError`]), and with a record somebody brings ([`Refusal`]).
//! A refusal says whether its sender is at fault; "not yet" never is.

use std::io;
use std::path::PathBuf;

use crate::record::{DecodeError, Invalid, Kind, Millis, Record, RecordId, RulesError};

/// The store cannot do what was asked, whoever asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process holds this home.
    #[error("{home} is in use by another node{}; stop it first, or choose another --home", pid_text(*.pid))]
    Locked {
        /// The home.
        home: PathBuf,
        /// The holder, if it has written its number down.
        pid: Option<u32>,
    },
    /// There is no store here.
    #[error("no store at {0}; `lfdns node` or `lfdns network new` makes one")]
    Missing(PathBuf),
    /// There is one already.
    #[error("{0} is a store already")]
    Exists(PathBuf),
    /// The file is something else.
    #[error("{0} is not a store of lfdns")]
    Foreign(PathBuf),
    /// The file was written by a later version.
    #[error(
        "{path} has schema {found}, this lfdns knows up to {known}: a newer lfdns wrote it; use that one (nothing was changed)"
    )]
    NewerSchema {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: u32,
        /// The newest this program knows.
        known: u32,
    },
    /// The file was written by an earlier version and this handle may not change it.
    #[error("{path} has the older schema {found}; start `lfdns node` on it once, which brings it up to date")]
    OlderSchema {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: u32,
    },
    /// The records handed to `create` found no network.
    #[error("these records found no network: {0}")]
    Genesis(String),
    /// The file contradicts itself.
    #[error("the store is damaged: {0}; `lfdns check` says more")]
    Damaged(String),
    /// This handle only reads.
    #[error("the store is open for reading only")]
    ReadOnly,
    /// No connection became free in time.
    #[error("all {0} read connections are busy")]
    Busy(usize),
    /// The writer has ended.
    #[error("the store is closed")]
    Closed,
    /// A query that names no selector.
    #[error("a query needs at least one selector")]
    NoRange,
    /// A query that would look at too much.
    #[error("the query is too broad: it meets more than {0} records; narrow a range or name the owner")]
    TooBroad(usize),
    /// An export that is none, or is cut short.
    #[error("the export cannot be read: {0}")]
    Stream(String),
    /// The disk.
    #[error("{path}: {source}")]
    Io {
        /// What was touched.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The database.
    #[error("database: {0}")]
    Sql(#[from] rusqlite::Error),
}

impl StoreError {
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> StoreError {
        let path = path.into();
        move |source| StoreError::Io { path, source }
    }
}

fn pid_text(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}

/// Why a record was not let in. Typed, in words, and clear about whose fault it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The bytes are no record.
    #[error("not a record: {0}")]
    Malformed(DecodeError),
    /// The record breaks the network's rules, or a hash or signature in it is wrong.
    #[error("{0}")]
    Invalid(Invalid),
    /// Its time is not later than that of a record it links to.
    #[error("its time {time} is not later than the time {linked_time} of {linked}, to which it links", time = .time.0, linked_time = .linked_time.0)]
    NotAfterLink {
        /// Its time.
        time: Millis,
        /// The record linked to.
        linked: RecordId,
        /// That record's time.
        linked_time: Millis,
    },
    /// A genesis record that is not by the network's founder.
    #[error("a genesis record by somebody who did not found this network")]
    ForeignGenesis,
    /// A genesis record that links to no genesis record.
    #[error("a genesis record must link to an earlier genesis record")]
    UnlinkedGenesis,
    /// A genesis record whose value is no set of rules.
    #[error("genesis value: {0}")]
    BadRules(RulesError),
    /// A genesis record that changes what is fixed for ever.
    #[error("a genesis record may not change {0}, which is fixed for ever")]
    FixedRules(&'static str),
    /// A record whose value is part of what is judged came without it.
    #[error("a record of type {0:?} is judged with its value, which is not here")]
    ValueMissing(Kind),
    /// A pulse for a record that takes none, or with a wrong signature.
    #[error("the pulse is not signed by its record's pulse key")]
    BadPulse,
    /// A pulse from the future.
    #[error("the pulse is ahead of our clock")]
    EarlyPulse,
    /// A pulse for a record that is not here.
    #[error("the pulse is for a record that is not here")]
    UnknownRecord,
    /// The disk is nearly full.
    #[error(
        "the disk is nearly full: {free} bytes free, {floor} must stay free (store.min_free); reads go on, writes wait for space"
    )]
    DiskFull {
        /// Bytes free.
        free: u64,
        /// Bytes that must stay free.
        floor: u64,
    },
    /// The transaction failed; nothing of it was kept.
    #[error("could not be stored, and nothing of it was kept: {0}")]
    Storage(String),
    /// This store only reads.
    #[error("the store is open for reading only")]
    ReadOnly,
    /// The store is shutting down.
    #[error("the store is closed")]
    Closed,
}

impl Refusal {
    /// Whether whoever sent this is to blame. Our disk, our clock and what we do not have yet are not theirs.
    pub fn at_fault(&self) -> bool {
        match self {
            Refusal::Malformed(_)
            | Refusal::Invalid(_)
            | Refusal::NotAfterLink { .. }
            | Refusal::ForeignGenesis
            | Refusal::UnlinkedGenesis
            | Refusal::BadRules(_)
            | Refusal::FixedRules(_)
            | Refusal::BadPulse => true,
            Refusal::ValueMissing(_)
            | Refusal::EarlyPulse
            | Refusal::UnknownRecord
            | Refusal::DiskFull { .. }
            | Refusal::Storage(_)
            | Refusal::ReadOnly
            | Refusal::Closed => false,
        }
    }
}

/// The bounded queue before the writer has no room: try again later with these, or use the blocking call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store's queue is full")]
pub struct QueueFull(pub Vec<Record>);
