//! How a record lies in its row. Its owner, time and links stand there as an owner number, a number and row
//! numbers, so the body is kept without their bytes: 38 bytes and 32 a link less. The id is kept, and `check`
//! recomputes it from what this module puts together again.

use smallvec::SmallVec;

use super::StoreError;
use crate::record::{LINKS_MAX, Millis, OwnerKey, Record, RecordId};

/// Type and flags: what comes before the parts left out (docs/FORMAT.md "Record").
const FRONT: usize = 2;
/// Time 6, owner 32: left out, as are the links behind them.
const TIME_AND_OWNER: usize = 38;
const LINK: usize = 32;

/// A body without time, owner and links.
pub(crate) fn strip(body: &[u8], links: usize) -> Vec<u8> {
    let behind = (FRONT + TIME_AND_OWNER + LINK * links).min(body.len());
    [&body[..FRONT.min(behind)], &body[behind..]].concat()
}

/// The record of a row, put together again.
pub(crate) fn restore(
    kept: &[u8],
    time: Millis,
    owner: &OwnerKey,
    links: &[RecordId],
    value: Option<Vec<u8>>,
) -> Result<Record, StoreError> {
    let body = assemble(kept, time, owner, links, &[])?;
    let mut record = Record::decode_body(&body)
        .map_err(|e| StoreError::Damaged(format!("a stored record cannot be read: {e}")))?;
    if !record.is_deletion() {
        record.value = value;
    }
    Ok(record)
}

/// The canonical bytes of a row, its value at their end.
pub(crate) fn assemble(
    kept: &[u8],
    time: Millis,
    owner: &OwnerKey,
    links: &[RecordId],
    value: &[u8],
) -> Result<Vec<u8>, StoreError> {
    let Some((front, behind)) = kept.split_at_checked(FRONT) else {
        return Err(StoreError::Damaged("a stored record is cut short".into()));
    };
    let mut bytes = Vec::with_capacity(kept.len() + TIME_AND_OWNER + LINK * links.len() + value.len());
    bytes.extend_from_slice(front);
    bytes.extend_from_slice(&time.0.to_be_bytes()[2..]);
    bytes.extend_from_slice(&owner.0);
    for link in links {
        bytes.extend_from_slice(&link.0);
    }
    bytes.extend_from_slice(behind);
    bytes.extend_from_slice(value);
    Ok(bytes)
}

/// Rows linked to, as varint distances back from `row`.
pub(crate) fn pack(row: i64, parents: &[i64]) -> Vec<u8> {
    let mut out = Vec::with_capacity(3 * parents.len());
    for parent in parents {
        let mut distance = row.abs_diff(*parent);
        while distance >= 0x80 {
            out.push(distance as u8 | 0x80);
            distance >>= 7;
        }
        out.push(distance as u8);
    }
    out
}

/// What [`pack`] packed; `None` if it did not pack this.
pub(crate) fn unpack(row: i64, packed: &[u8]) -> Option<SmallVec<[i64; 4]>> {
    let mut parents = SmallVec::new();
    let (mut distance, mut shift) = (0_i64, 0_u32);
    for byte in packed {
        distance |= i64::from(byte & 0x7F).checked_shl(shift)?;
        if byte & 0x80 != 0 {
            shift += 7;
            if shift > 56 {
                return None;
            }
            continue;
        }
        let parent = row.checked_sub(distance).filter(|p| *p >= 1 && *p < row)?;
        parents.push(parent);
        (distance, shift) = (0, 0);
    }
    (shift == 0 && parents.len() <= LINKS_MAX).then_some(parents)
}

/// The first 8 bytes of a hash or key, as SQLite's integer.
pub(crate) fn prefix(bytes: &[u8; 32]) -> i64 {
    i64::from_be_bytes(*bytes.first_chunk().expect("32 bytes begin with 8"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn packed_parents_come_back(row in 1_i64..i64::MAX / 2, seeds in proptest::collection::vec(any::<u64>(), 0..15)) {
            let parents: Vec<i64> = seeds.iter().filter(|_| row > 1).map(|s| (s % (row.unsigned_abs() - 1).max(1)).cast_signed() + 1).collect();
            let packed = pack(row, &parents);
            prop_assert_eq!(unpack(row, &packed).unwrap().to_vec(), parents);
        }

        #[test]
        fn damaged_parents_never_panic(row: i64, bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = unpack(row, &bytes);
        }

        #[test]
        fn a_damaged_row_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), links in 0_usize..16) {
            let _ = restore(&bytes, Millis(0), &OwnerKey([0; 32]), &vec![RecordId([0; 32]); links], None);
            let _ = strip(&bytes, links);
        }
    }
}
