//! `/zone`: the RRsets of a zone, one line of JSON each.

use serde::{Deserialize, Serialize};

use super::{Blob, ErrorBody, HashText, OwnerText};

/// An RRset that one owner has published in a zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ZoneEntry {
    /// The owner name, absolute, in presentation form.
    pub name: String,
    /// The type's mnemonic, or `TYPE` and its number.
    #[serde(rename = "Type")]
    pub rtype: String,
    /// Seconds.
    #[serde(rename = "TTL")]
    pub ttl: u32,
    /// Each record's data in canonical wire form.
    pub rdata: Vec<Blob>,
    /// Each record's data in presentation form.
    #[serde(default)]
    pub text: Vec<String>,
    /// Whose it is.
    pub owner: OwnerText,
    /// The record it stands in.
    pub hash: HashText,
    /// That record's time.
    pub timestamp_millis: u64,
}

/// A line of the listing. A failure on the way is the last line; without one the listing is whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ZoneLine {
    /// An RRset.
    Entry(ZoneEntry),
    /// The listing broke off.
    Failed(ErrorBody),
}
