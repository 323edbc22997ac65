//! Records as they are sent: canonical bytes put together from a row's columns, without parsing what the store
//! itself wrote. Whoever receives them parses and verifies.

use super::rowform::assemble;
use super::snapshot::Found;
use super::{Row, Snapshot, StoreError};
use crate::record::{Millis, RecordId};

/// A record's bytes and what names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// Its id.
    pub id: RecordId,
    /// Its time.
    pub time: Millis,
    /// What [`crate::record::Record::encode`] gives.
    pub bytes: Vec<u8>,
    /// Whether its value is here, and so at the end of `bytes`.
    pub whole: bool,
}

impl Snapshot {
    /// The record in a row, as it is sent. Costs a quarter of reading and encoding it.
    pub fn encoded(&self, row: Row) -> Result<Encoded, StoreError> {
        let Row(row) = row;
        self.read_row(row, |found| {
            let Found { id, time, owner, links, body, value, .. } = found;
            let bytes = assemble(body, time, &owner, &links, value.unwrap_or_default())?;
            self.keep_id(row, id);
            Ok(Encoded { id, time, bytes, whole: value.is_some() })
        })
    }
}
