//! Reading and writing the few kinds of fields that messages are made of: bytes, big-endian integers, varints
//! (LEB128, minimal), bounds and ids. Reading never trusts a length. docs/SYNC.md "Fields".

use crate::record::{Millis, RecordId};
use crate::store::Point;

/// A message that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// It ends early, or goes on after its end.
    #[error("its length is wrong")]
    Length,
    /// A field has a value it cannot have.
    #[error("its {0} is impossible")]
    Field(&'static str),
    /// More than the limit of that name.
    #[error("it has more than {1} {0}")]
    TooMany(&'static str, usize),
    /// A type this version does not know.
    #[error("its type {0} is unknown; a later version may know it")]
    Unknown(u8),
    /// Another version of the protocol: nobody's fault.
    #[error("its version is {0}, not this program's")]
    Version(u8),
}

/// A message being read.
#[derive(Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads `bytes`.
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    /// The next `len` bytes.
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(WireError::Length)?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let taken = self.take(N)?;
        Ok(taken.try_into().expect("as many as were asked for"))
    }

    /// One byte.
    pub fn byte(&mut self) -> Result<u8, WireError> {
        Ok(self.array::<1>()?[0])
    }

    /// A varint.
    pub fn varint(&mut self) -> Result<u64, WireError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7F);
            if bits << shift >> shift != bits || (byte == 0 && shift > 0) {
                return Err(WireError::Field("varint"));
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(WireError::Field("varint"))
    }

    /// A count of at most `max` things called `what`.
    pub fn count(&mut self, what: &'static str, max: usize) -> Result<usize, WireError> {
        let count = self.varint()?;
        usize::try_from(count).ok().filter(|count| *count <= max).ok_or(WireError::TooMany(what, max))
    }

    /// A time.
    pub fn millis(&mut self) -> Result<Millis, WireError> {
        Ok(Millis(self.varint()?))
    }

    /// An id.
    pub fn id(&mut self) -> Result<RecordId, WireError> {
        Ok(RecordId(self.array()?))
    }

    /// A bound written after the bound `before`, which it must not precede.
    pub fn bound(&mut self, before: &Point) -> Result<Point, WireError> {
        let time = before.0.0.checked_add(self.varint()?).ok_or(WireError::Field("bound"))?;
        let len = usize::from(self.byte()?);
        let mut id = [0; 32];
        id.get_mut(..len).ok_or(WireError::Field("bound"))?.copy_from_slice(self.take(len)?);
        if len > 0 && id[len - 1] == 0 {
            return Err(WireError::Field("bound"));
        }
        let bound = (Millis(time), RecordId(id));
        (bound >= *before).then_some(bound).ok_or(WireError::Field("bound"))
    }

    /// Whether all is read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// All must be read.
    pub fn end(self) -> Result<(), WireError> {
        if self.rest.is_empty() { Ok(()) } else { Err(WireError::Length) }
    }
}

/// Writes a varint.
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Writes a bound that does not precede `before`: its time as the difference, its id without trailing zeros.
pub fn put_bound(out: &mut Vec<u8>, before: &Point, bound: &Point) {
    put_varint(out, bound.0.0 - before.0.0);
    let len = bound.1.0.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    out.push(len as u8);
    out.extend_from_slice(&bound.1.0[..len]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_varint_has_one_form(value: u64) {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            let mut reader = Reader::new(&out);
            prop_assert_eq!(reader.varint(), Ok(value));
            prop_assert!(reader.is_empty());
            let last = out.len() - 1;
            out[last] |= 0x80;
            out.push(0);
            prop_assert!(Reader::new(&out).varint().is_err());
        }

        #[test]
        fn a_bound_reads_back(time in 0_u64..1 << 48, more in 0_u64..1 << 40, id in prop::collection::vec(any::<u8>(), 0..=32)) {
            let mut full = [0; 32];
            full[..id.len()].copy_from_slice(&id);
            let (before, bound) = ((Millis(time), RecordId([0; 32])), (Millis(time + more), RecordId(full)));
            let mut out = Vec::new();
            put_bound(&mut out, &before, &bound);
            prop_assert_eq!(Reader::new(&out).bound(&before), Ok(bound));
        }
    }

    #[test]
    fn a_bound_before_its_predecessor_is_refused() {
        let before = (Millis(5), RecordId([1; 32]));
        assert!(Reader::new(&[0, 0]).bound(&before).is_err());
        assert!(Reader::new(&[0, 1, 0]).bound(&(Millis(5), RecordId([0; 32]))).is_err(), "a trailing zero");
        assert!(Reader::new(&[0, 33]).bound(&before).is_err());
    }
}
