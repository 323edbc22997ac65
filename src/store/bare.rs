//! Records that are here without their value: somebody sent them so. An index holds only those.

use rusqlite::params;

use super::snapshot::bound;
use super::{Row, Snapshot, StoreError};
use crate::record::RecordId;

impl Snapshot {
    /// The first `limit` records behind a row that are here without their value, in order of rows.
    pub fn without_value(
        &self,
        after: Option<Row>,
        limit: usize,
    ) -> Result<Vec<(Row, RecordId)>, StoreError> {
        let mut statement = self.cached(
            "SELECT row, id FROM record INDEXED BY without_value WHERE value IS NULL AND row > ?1
             ORDER BY row LIMIT ?2",
        )?;
        let after = after.map_or(0, |row| row.0);
        let read = |row: &rusqlite::Row<'_>| Ok((Row(row.get(0)?), RecordId(row.get(1)?)));
        Ok(statement.query_map(params![after, bound(limit)], read)?.collect::<Result<_, _>>()?)
    }

    /// How many there are; no more than `most` are counted.
    pub fn count_without_value(&self, most: usize) -> Result<u64, StoreError> {
        let mut statement = self.cached(
            "SELECT count(*) FROM (SELECT 1 FROM record INDEXED BY without_value WHERE value IS NULL LIMIT ?1)",
        )?;
        let count: i64 = statement.query_row(params![bound(most)], |row| row.get(0))?;
        Ok(count.unsigned_abs())
    }
}
