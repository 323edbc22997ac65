//! The library's trait: one way to read and write, whether the store is open in this process ([`super::Local`])
//! or a node is asked by URL ([`super::Remote`]). Keys stay with the caller: records are minted here, and only
//! finished ones are handed on. All calls block.

use std::time::{SystemTime, UNIX_EPOCH};

use super::explain::Sink;
use super::json::{PostReport, Query, QueryResults, Status};
use super::make::{self, Entry, Made, Progress};
use super::{LfError, Refused};
use crate::record::{Link, Millis, NetworkId, Owner, OwnerKey, PathKey, Record, RecordId, Rules};

/// What names and records of a network are made with.
#[derive(Clone, Debug)]
pub struct Network {
    /// Its id.
    pub id: NetworkId,
    /// Its rules.
    pub rules: Rules,
}

/// A network's records, wherever they are.
pub trait Lf: Send + Sync {
    /// What the node, or the store, says of itself.
    fn status(&self) -> Result<Status, LfError>;

    /// The network's id and rules. A node tells its id only to whoever has its token.
    fn network(&self) -> Result<Network, LfError>;

    /// LF's general query.
    fn query(&self, query: &Query) -> Result<QueryResults, LfError>;

    /// The record of an id, value included; `None` if it is not there.
    fn record(&self, id: &RecordId) -> Result<Option<Record>, LfError>;

    /// Hands records in. What the report counts as accepted is on the disk.
    fn post(&self, records: &[Record]) -> Result<PostReport, LfError>;

    /// Links for `count` new records.
    fn links(&self, count: usize) -> Result<Vec<Vec<Link>>, LfError>;

    /// When an owner last wrote in each slot.
    fn newest(&self, owner: &OwnerKey, slots: &[PathKey]) -> Result<Vec<Option<Millis>>, LfError>;

    /// Tells selector names to the node's local book.
    fn teach(&self, names: &[Vec<u8>]) -> Result<(), LfError>;

    /// How a DNS question is decided.
    fn explain(&self, name: &str, rtype: Option<&str>) -> Result<serde_json::Value, LfError>;

    /// Every RRset in a zone, of one owner or of all who may speak there.
    fn list_zone(&self, suffix: &str, owner: Option<&OwnerKey>, sink: Sink<'_>) -> Result<(), LfError>;

    /// The clock new records are made by.
    fn now(&self) -> Millis {
        // A clock before 1970 is as good as none; links then set the time.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// Makes a record and hands it in. `Ok`: it is on the disk.
    fn make(&self, owner: &Owner, entry: Entry) -> Result<Made, LfError> {
        make::one(self, owner, entry)
    }

    /// Makes records and hands them in as they are made, in bounded memory; `progress` hears of every batch
    /// that was acknowledged. An entry that cannot be made ends it; earlier batches stay. Refused records are
    /// in the report; a batch of which every record is refused is the last, and `broken_off` says why.
    fn make_all(
        &self,
        owner: &Owner,
        entries: &mut dyn Iterator<Item = Entry>,
        progress: &mut dyn FnMut(&Progress),
    ) -> Result<PostReport, LfError> {
        make::all(self, owner, entries, progress)
    }

    /// Sets one key to a value; an empty value deletes it.
    fn set(&self, owner: &Owner, selectors: &[(&[u8], u64)], value: &[u8]) -> Result<Made, LfError> {
        self.make(owner, Entry::new(selectors, value))
    }

    /// The value of one key: the newest of the owner named, else the best.
    fn get(&self, selectors: &[(&[u8], u64)], owner: Option<&OwnerKey>) -> Result<Option<Vec<u8>>, LfError> {
        let results = self.query(&Query::exactly(selectors, owner))?;
        let Some(best) = results.into_iter().flatten().next() else { return Ok(None) };
        match best.value {
            Some(value) => Ok(Some(value.0)),
            None if best.unmasking_failed == Some(true) => {
                Err(Refused::new(403, "the value does not open with the first selector's name").into())
            }
            None => Err(Refused::new(404, "the value of this record is not stored there").into()),
        }
    }
}
