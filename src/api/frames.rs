//! The bulk form of `/post`: each record as a 32-bit big-endian length and its bytes. Cut from a stream piece
//! by piece; never holds more than one record and the piece that came last.

use bytes::{Buf, Bytes, BytesMut};

use crate::record::RECORD_MAX;

/// The media type of this form.
pub(crate) const RECORDS_TYPE: &str = "application/vnd.lfdns.records";
const LENGTH: usize = 4;

/// A stream that is no sequence of records.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("record {index} has a length of {length} bytes; a record has 1 to {RECORD_MAX}")]
    Length { index: u64, length: u32 },
    #[error("the stream ends within record {index}")]
    CutShort { index: u64 },
}

/// Cuts frames out of a stream.
#[derive(Default)]
pub(crate) struct Frames {
    rest: BytesMut,
    index: u64,
}

impl Frames {
    /// Takes the next piece of the stream.
    pub(crate) fn push(&mut self, piece: &[u8]) {
        self.rest.extend_from_slice(piece);
    }

    /// The next whole record, if it is here.
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>, FrameError> {
        let Some(head) = self.rest.first_chunk::<LENGTH>() else { return Ok(None) };
        let length = u32::from_be_bytes(*head);
        if length == 0 || length as usize > RECORD_MAX {
            return Err(FrameError::Length { index: self.index, length });
        }
        if self.rest.len() < LENGTH + length as usize {
            return Ok(None);
        }
        self.rest.advance(LENGTH);
        self.index += 1;
        Ok(Some(self.rest.split_to(length as usize).freeze()))
    }

    /// Whether the stream may end here.
    pub(crate) fn finish(&self) -> Result<(), FrameError> {
        if self.rest.is_empty() { Ok(()) } else { Err(FrameError::CutShort { index: self.index }) }
    }
}

/// Appends one record to a stream.
pub(crate) fn write(record: &[u8], out: &mut Vec<u8>) {
    let length = u32::try_from(record.len()).expect("a record is far shorter than 4 GiB");
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(record);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn records_come_out_as_they_went_in_however_the_stream_is_cut(
            records in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..50), 0..20),
            cut in 1_usize..40,
        ) {
            let mut stream = Vec::new();
            for record in &records {
                write(record, &mut stream);
            }
            let mut frames = Frames::default();
            let mut out: Vec<Vec<u8>> = Vec::new();
            for piece in stream.chunks(cut) {
                frames.push(piece);
                while let Some(record) = frames.next().unwrap() {
                    out.push(record.to_vec());
                }
            }
            prop_assert_eq!(frames.finish(), Ok(()));
            prop_assert_eq!(out, records);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut frames = Frames::default();
            frames.push(&bytes);
            while let Ok(Some(_)) = frames.next() {}
            let _ = frames.finish();
        }
    }

    #[test]
    fn a_length_no_record_has_is_refused_with_its_place() {
        let mut frames = Frames::default();
        let mut stream = Vec::new();
        write(b"fine", &mut stream);
        stream.extend_from_slice(&0x0001_0001_u32.to_be_bytes());
        frames.push(&stream);
        assert!(frames.next().unwrap().is_some());
        assert_eq!(frames.next(), Err(FrameError::Length { index: 1, length: 65_537 }));
    }

    #[test]
    fn a_stream_that_ends_early_says_so() {
        let mut frames = Frames::default();
        frames.push(&[0, 0, 0, 9, 1]);
        assert_eq!(frames.next(), Ok(None));
        assert_eq!(frames.finish(), Err(FrameError::CutShort { index: 0 }));
    }
}
