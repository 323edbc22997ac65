//! Records as they are sent: canonical bytes put together from a row's columns, without parsing what the store
//! itself wrote. Whoever receives them parses and verifies.

use rusqlite::params;
use smallvec::SmallVec;

use super::rowform::{assemble, unpack};
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
        let mut statement =
            self.cached("SELECT id, owner, time, parents, body, value FROM record WHERE row = ?1")?;
        let mut rows = statement.query(params![row])?;
        let Some(found) = rows.next()? else {
            return Err(StoreError::Damaged(format!("row {row} is missing")));
        };
        let id = RecordId(found.get(0)?);
        let owner = self.owner_key(found.get(1)?)?;
        let time = Millis(found.get::<_, i64>(2)?.cast_unsigned());
        let parents = unpack(row, found.get_ref(3)?.as_blob().unwrap_or(&[0xFF]))
            .ok_or_else(|| StoreError::Damaged(format!("row {row} has unreadable links")))?;
        let links: SmallVec<[RecordId; 4]> =
            parents.iter().map(|parent| self.id_of(*parent)).collect::<Result<_, _>>()?;
        let body = found.get_ref(4)?.as_blob().unwrap_or_default();
        let value = found.get_ref(5)?.as_blob_or_null().unwrap_or_default();
        let bytes = assemble(body, time, &owner, &links, value.unwrap_or_default())?;
        self.keep_id(row, id);
        Ok(Encoded { id, time, bytes, whole: value.is_some() })
    }
}
