//! What is said around writing: links to mint with, the owner's newest times, and what became of records
//! that were posted.

use serde::{Deserialize, Serialize};

use super::{Blob, ErrorBody, HashText, OwnerText, RecordJson};
use crate::record::{Link, Millis};

/// A record to link to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct LinkJson {
    /// Its id.
    pub hash: HashText,
    /// Its time in unix milliseconds; what links to it must be later.
    pub timestamp_millis: u64,
}

impl From<Link> for LinkJson {
    fn from(link: Link) -> LinkJson {
        LinkJson { hash: HashText(link.id), timestamp_millis: link.time.0 }
    }
}

impl From<LinkJson> for Link {
    fn from(link: LinkJson) -> Link {
        Link { id: link.hash.0, time: Millis(link.timestamp_millis) }
    }
}

/// `/newest`: when did this owner last write in these slots?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct NewestRequest {
    /// The owner.
    pub owner: OwnerText,
    /// Path keys, 16 bytes each.
    pub slots: Vec<Blob>,
}

/// Unix milliseconds of the owner's newest record in each slot asked for, in that order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct NewestTimes {
    /// `null` where the owner has written nothing.
    pub times_millis: Vec<Option<u64>>,
}

/// The answer to one record posted: LF's (the record), and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Posted {
    /// Its id.
    pub hash: HashText,
    /// It is in the store now, on the disk, and was not before.
    pub accepted: bool,
    /// It was here already.
    pub known: bool,
    /// It waits, and for what; it is not on the disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<String>,
    /// The record.
    #[serde(flatten)]
    pub record: RecordJson,
}

/// A record of a batch that was not let in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RefusedRecord {
    /// Which of the batch, from 0.
    pub index: u64,
    /// Its id, if it is a record at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<HashText>,
    /// Why, for a person.
    pub reason: String,
}

/// What became of a batch. Each record counts once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PostReport {
    /// Records that are in the store and on the disk now, and were not before.
    pub accepted: u64,
    /// Records that were here already.
    pub known: u64,
    /// Records that wait for one they link to; not on the disk.
    pub orphans: u64,
    /// Records that wait for their time; not on the disk.
    pub deferred: u64,
    /// Records refused.
    pub refused_count: u64,
    /// The first of them.
    pub refused: Vec<RefusedRecord>,
    /// Why the batch was not read to its end, if it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broken_off: Option<String>,
}

/// A report that says why it is not whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct BrokenReport {
    #[serde(flatten)]
    pub(crate) error: ErrorBody,
    #[serde(flatten)]
    pub(crate) report: PostReport,
}

/// Refused records that a report lists; the rest are counted.
const REFUSED_LISTED_MAX: usize = 1_000;

impl PostReport {
    /// Counts a refusal, and lists it while there is room.
    pub(crate) fn refuse(&mut self, record: RefusedRecord) {
        self.refused_count += 1;
        if self.refused.len() < REFUSED_LISTED_MAX {
            self.refused.push(record);
        }
    }

    /// Adds the report of a later part, whose records come `offset` after this one's first.
    pub(crate) fn add(&mut self, part: PostReport, offset: u64) {
        self.accepted += part.accepted;
        self.known += part.known;
        self.orphans += part.orphans;
        self.deferred += part.deferred;
        self.refused_count += part.refused_count;
        let room = REFUSED_LISTED_MAX.saturating_sub(self.refused.len());
        let shifted = part.refused.into_iter().map(|r| RefusedRecord { index: r.index + offset, ..r });
        self.refused.extend(shifted.take(room));
        self.broken_off = self.broken_off.take().or(part.broken_off);
    }

    /// Records spoken of.
    pub fn total(&self) -> u64 {
        self.accepted + self.known + self.orphans + self.deferred + self.refused_count
    }
}
