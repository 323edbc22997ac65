//! A turn of a comparison, to the byte: ranges in order, and what is said of each. docs/SYNC.md "Reconciliation".

use super::{EXTRAS_MAX, LIST_MAX};
use crate::record::RecordId;
use crate::store::{FIRST, Point};
use crate::sync::bytes::{Reader, WireError, put_bound, put_varint};

const SKIP: u8 = 0;
const FINGERPRINT: u8 = 1;
const LIST: u8 = 2;
const FOUND: u8 = 3;
const KEYED: u8 = 4;

/// What is said of one range.
pub(super) enum Say {
    Skip,
    Fingerprint([u8; 16]),
    Keyed([u8; 16]),
    List(Vec<[u8; 8]>),
    Found { lacking: Vec<u8>, extras: Vec<RecordId> },
}

impl Say {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Say, WireError> {
        Ok(match reader.byte()? {
            SKIP => Say::Skip,
            FINGERPRINT => Say::Fingerprint(reader.array()?),
            KEYED => Say::Keyed(reader.array()?),
            LIST => {
                let count = reader.count("listed ids", LIST_MAX)?;
                Say::List((0..count).map(|_| reader.array()).collect::<Result<_, _>>()?)
            }
            FOUND => {
                let len = reader.count("listed ids", LIST_MAX.div_ceil(8))?;
                let lacking = reader.take(len)?.to_vec();
                let count = reader.count("ids", EXTRAS_MAX)?;
                Say::Found { lacking, extras: (0..count).map(|_| reader.id()).collect::<Result<_, _>>()? }
            }
            other => return Err(WireError::Unknown(other)),
        })
    }

    /// Whether it asks something, so that answering it costs a look at the records.
    pub(super) fn asks(&self) -> bool {
        matches!(self, Say::Fingerprint(_) | Say::Keyed(_) | Say::List(_))
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Say::Skip => out.push(SKIP),
            Say::Keyed(fingerprint) => {
                out.push(KEYED);
                out.extend_from_slice(fingerprint);
            }
            Say::Fingerprint(fingerprint) => {
                out.push(FINGERPRINT);
                out.extend_from_slice(fingerprint);
            }
            Say::List(short) => {
                out.push(LIST);
                put_varint(out, short.len() as u64);
                out.extend(short.iter().flatten());
            }
            Say::Found { lacking, extras } => {
                out.push(FOUND);
                put_varint(out, lacking.len() as u64);
                out.extend_from_slice(lacking);
                put_varint(out, extras.len() as u64);
                out.extend(extras.iter().flat_map(|id| id.0));
            }
        }
    }
}

/// A turn being written. Skipped ranges next to each other become one; at the end they are not written.
pub(super) struct Turn {
    pub(super) bytes: Vec<u8>,
    /// Ranges of which something is asked.
    pub(super) asked: usize,
    written: Point,
    skipped: Option<Point>,
}

impl Turn {
    pub(super) fn new() -> Turn {
        Turn { bytes: Vec::new(), asked: 0, written: FIRST, skipped: None }
    }

    pub(super) fn skip(&mut self, high: Point) {
        self.skipped = Some(high);
    }

    pub(super) fn say(&mut self, high: &Point, say: &Say) {
        if let Some(skipped) = self.skipped.take() {
            put_bound(&mut self.bytes, &self.written, &skipped);
            Say::Skip.write(&mut self.bytes);
            self.written = skipped;
        }
        put_bound(&mut self.bytes, &self.written, high);
        self.written = *high;
        self.asked += usize::from(say.asks());
        say.write(&mut self.bytes);
    }
}
