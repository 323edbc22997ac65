//! A record in JSON: LF's names for what it has, ours beside them.

use serde::{Deserialize, Serialize};

use super::{Blob, HashText, OwnerText, is_zero};
use crate::record::{Record, Work};

/// A selector of a record: masked, since the record does not tell its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SelectorJson {
    /// The name's public key, 32 bytes.
    pub key: Blob,
    /// The masked ordinal, 16 bytes.
    pub ordinal: Blob,
    /// The claim, 64 bytes.
    pub claim: Blob,
}

/// A record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RecordJson {
    /// The masked value; absent if it is empty or not stored here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Blob>,
    /// Bytes of the masked value; 0 deletes the key.
    pub value_length: u32,
    /// Its owner.
    pub owner: OwnerText,
    /// The records it links to.
    #[serde(default)]
    pub links: Vec<HashText>,
    /// Unix seconds, as LF counts.
    pub timestamp: u64,
    /// Unix milliseconds: what the record says.
    pub timestamp_millis: u64,
    /// 0 datum, 1 genesis, 2 commentary, 3 certificate, 4 revocation.
    #[serde(default, rename = "Type", skip_serializing_if = "is_zero")]
    pub kind: u8,
    /// The key of its pulses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pulse_key: Option<Blob>,
    /// Where it is found.
    #[serde(default)]
    pub selectors: Vec<SelectorJson>,
    /// 0: no work.
    pub work_algorithm: u8,
    /// The owner's signature.
    pub signature: Blob,
}

impl From<&Record> for RecordJson {
    fn from(record: &Record) -> RecordJson {
        let header = &record.header;
        let Work::None = record.work;
        RecordJson {
            value: record.value.as_ref().filter(|v| !v.is_empty()).map(Blob::from),
            value_length: header.value_len,
            owner: OwnerText(header.owner),
            links: header.links.iter().copied().map(HashText).collect(),
            timestamp: header.time.seconds(),
            timestamp_millis: header.time.0,
            kind: header.kind as u8,
            pulse_key: header.pulse_key.as_ref().map(Blob::from),
            selectors: record
                .selectors
                .iter()
                .map(|s| SelectorJson {
                    key: Blob::from(&s.key.0),
                    ordinal: Blob::from(&s.ordinal.0),
                    claim: Blob::from(&s.claim),
                })
                .collect(),
            work_algorithm: 0,
            signature: Blob::from(&record.signature),
        }
    }
}
