//! The bytes of a record, version 1.
//!
//! ```text
//! header     version/type u8 · flags + link count u8 · time 48-bit unix ms · owner 32 · links n×32, strictly ascending
//!            · [pulse key 32] · value length varint · [value hash 32 if length > 0]
//! selectors  count u8 · each: public key 32 · masked ordinal 16 · claim 64
//! work       algorithm u8 (0: none)
//! signature  64
//! value      the masked bytes
//! ```
//! Canonical: decode, then encode, gives the same bytes, or it is no record. What the bytes mean is checked
//! elsewhere; here only their form. docs/FORMAT.md "Record".

use smallvec::SmallVec;

use super::hash::hash;
use super::{
    FORMAT_VERSION, LINKS_MAX, Masked, Millis, NetworkId, OwnerKey, PathKey, RECORD_MAX, RecordId,
    SELECTORS_MAX, SIGNATURE_LEN, SelectorPublic, rest_of,
};

/// Flag bit of the second byte: a pulse key follows the links.
const FLAG_PULSE: u8 = 0x10;

/// What a record is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A key and its value.
    Datum,
    /// The network's rules.
    Genesis,
    /// An oracle's opinion of a record.
    Commentary,
    /// An X.509 certificate of an owner's key.
    Certificate,
    /// A certificate's end.
    Revocation,
}

impl Kind {
    fn from_nibble(nibble: u8) -> Option<Kind> {
        [Kind::Datum, Kind::Genesis, Kind::Commentary, Kind::Certificate, Kind::Revocation]
            .get(usize::from(nibble))
            .copied()
    }

    /// Whether values of this kind are stored as they are, neither compressed nor encrypted.
    pub fn is_plain(self) -> bool {
        self != Kind::Datum
    }
}

/// The part of a record that its claims and its signature cover first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the record is for.
    pub kind: Kind,
    /// When its author says it was made; later than every record it links to.
    pub time: Millis,
    /// Whose signature it carries.
    pub owner: OwnerKey,
    /// Earlier records, strictly ascending.
    pub links: Vec<RecordId>,
    /// The key whose pulses show that the record is still alive.
    pub pulse_key: Option<[u8; 32]>,
    /// Length of the masked value in bytes; 0 deletes the key.
    pub value_len: u32,
    /// H("lfdns value v1", network, masked value); present exactly if `value_len` > 0.
    pub value_hash: Option<[u8; 32]>,
}

/// One name, masked ordinal and claim under which a record is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    /// The name's public key.
    pub key: SelectorPublic,
    /// The masked ordinal.
    pub ordinal: Masked,
    /// Signature by the name's key over [`Record::claim_digest`].
    pub claim: [u8; SIGNATURE_LEN],
}

/// Proof of work. Only networks without work exist so far; the algorithm byte keeps the place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// No work: score 1.
    None,
}

/// A record, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The header.
    pub header: Header,
    /// Where the record is found; at most [`SELECTORS_MAX`].
    pub selectors: Vec<Selector>,
    /// Its proof of work.
    pub work: Work,
    /// The owner's signature over the record id.
    pub signature: [u8; SIGNATURE_LEN],
    /// The masked value; `None` if it is not here, empty if the record deletes its key.
    pub value: Option<Vec<u8>>,
}

/// Bytes that are no record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Over [`RECORD_MAX`].
    #[error("a record has at most {RECORD_MAX} bytes, this has {0}")]
    TooLong(usize),
    /// Cut off.
    #[error("the record ends early, within its {0}")]
    Truncated(&'static str),
    /// More than a record.
    #[error("{0} bytes follow the record")]
    Trailing(usize),
    /// A later format.
    #[error(
        "record format version {0} is not known to this program, which reads version {FORMAT_VERSION}: update it"
    )]
    Version(u8),
    /// A later type.
    #[error("record type {0} is not known to this program: update it")]
    Kind(u8),
    /// Reserved flags are set.
    #[error("record flags {0:#04x} are not known to this program: update it")]
    Flags(u8),
    /// Links out of order.
    #[error("links must be strictly ascending")]
    LinkOrder,
    /// A varint with a shorter spelling, or over 32 bits.
    #[error("the value length is not a minimal varint")]
    Varint,
    /// More than [`SELECTORS_MAX`].
    #[error("a record has at most {SELECTORS_MAX} selectors, this has {0}")]
    Selectors(u8),
    /// A work algorithm of a later version.
    #[error("work algorithm {0} is not known to this program: update it")]
    Work(u8),
}

impl Record {
    /// Reads a whole record: body, then value.
    pub fn decode(bytes: &[u8]) -> Result<Record, DecodeError> {
        let (mut record, rest) = Record::decode_front(bytes)?;
        let len = record.header.value_len as usize;
        match rest.len().checked_sub(len) {
            None => Err(DecodeError::Truncated("value")),
            Some(0) => {
                record.value = Some(rest.to_vec());
                Ok(record)
            }
            Some(more) => Err(DecodeError::Trailing(more)),
        }
    }

    /// Reads a body, which is a record without its value.
    pub fn decode_body(body: &[u8]) -> Result<Record, DecodeError> {
        let (record, rest) = Record::decode_front(body)?;
        if rest.is_empty() { Ok(record) } else { Err(DecodeError::Trailing(rest.len())) }
    }

    fn decode_front(bytes: &[u8]) -> Result<(Record, &[u8]), DecodeError> {
        if bytes.len() > RECORD_MAX {
            return Err(DecodeError::TooLong(bytes.len()));
        }
        let mut input = Reader { rest: bytes };
        let header = Header::read(&mut input)?;
        let selectors = read_selectors(&mut input)?;
        let work = match input.u8("work")? {
            0 => Work::None,
            other => return Err(DecodeError::Work(other)),
        };
        let signature = input.array("signature")?;
        let front = bytes.len() - input.rest.len();
        let total = front + header.value_len as usize;
        if total > RECORD_MAX {
            return Err(DecodeError::TooLong(total));
        }
        let value = (header.value_len == 0).then(Vec::new);
        Ok((Record { header, selectors, work, signature, value }, input.rest))
    }

    /// The canonical bytes: body, then value if it is here.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.encode_body();
        out.extend_from_slice(self.value.as_deref().unwrap_or_default());
        out
    }

    /// The canonical bytes without the value.
    pub fn encode_body(&self) -> Vec<u8> {
        let mut out = self.encode_unsigned();
        out.extend_from_slice(&self.signature);
        out
    }

    fn encode_unsigned(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256 + 112 * self.selectors.len());
        self.header.write(&mut out);
        out.push(self.selectors.len() as u8);
        for selector in &self.selectors {
            out.extend_from_slice(&selector.key.0);
            out.extend_from_slice(&selector.ordinal.0);
            out.extend_from_slice(&selector.claim);
        }
        let Work::None = self.work;
        out.push(0);
        out
    }

    /// The record's name: H("lfdns record v1", network, everything before the signature). So re-signing makes
    /// no new record. In the record that founds a network the network id counts as 32 zero bytes.
    pub fn id(&self, network: &NetworkId) -> RecordId {
        self.id_of(&self.encode_unsigned(), network)
    }

    /// [`Record::id`] for whoever has the record's body already.
    pub(crate) fn id_in(&self, body: &[u8], network: &NetworkId) -> RecordId {
        self.id_of(&body[..body.len().saturating_sub(SIGNATURE_LEN)], network)
    }

    fn id_of(&self, unsigned: &[u8], network: &NetworkId) -> RecordId {
        RecordId(hash("lfdns record v1", &self.scope(network), &[unsigned]))
    }

    /// Whether this is a network's first record, whose hash is the network id.
    pub fn is_founding(&self) -> bool {
        self.header.kind == Kind::Genesis && self.header.links.is_empty()
    }

    /// The network id this record was made under.
    pub(crate) fn scope(&self, network: &NetworkId) -> NetworkId {
        if self.is_founding() { NetworkId([0; 32]) } else { *network }
    }

    /// The bytes this record takes, its value included even if it is not here.
    pub fn len(&self) -> usize {
        self.encode_body().len() + self.header.value_len as usize
    }

    /// Never: a record has a header.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Whether it deletes its key.
    pub fn is_deletion(&self) -> bool {
        self.header.value_len == 0
    }

    /// The paths of every prefix of the selectors, shortest first; the last is the slot.
    pub fn paths(&self, network: &NetworkId) -> SmallVec<[PathKey; 4]> {
        self.paths_below(&PathKey::root(network))
    }

    /// [`Record::paths`] for whoever has the network's root already.
    pub(crate) fn paths_below(&self, root: &PathKey) -> SmallVec<[PathKey; 4]> {
        self.selectors
            .iter()
            .scan(*root, |path, selector| {
                *path = path.child(&selector.key);
                Some(*path)
            })
            .collect()
    }

    /// What tells its key from others of the slot beside the last ordinal; see [`rest_of`].
    pub fn rest(&self) -> u64 {
        let before: SmallVec<[Masked; 4]> =
            self.selectors.iter().rev().skip(1).rev().map(|s| s.ordinal).collect();
        rest_of(&before)
    }

    /// What the selector at `index` signs: the header, all names and ordinals, and which of them it is.
    pub(crate) fn claim_digest(&self, network: &NetworkId, index: u8) -> [u8; 32] {
        let mut header = Vec::with_capacity(160);
        self.header.write(&mut header);
        hash("lfdns claim v1", network, &[&header, &names_and_ordinals(&self.selectors), &[index]])
    }
}

impl Header {
    fn read(input: &mut Reader<'_>) -> Result<Header, DecodeError> {
        let first = input.u8("header")?;
        if first >> 4 != FORMAT_VERSION {
            return Err(DecodeError::Version(first >> 4));
        }
        let kind = Kind::from_nibble(first & 15).ok_or(DecodeError::Kind(first & 15))?;
        let second = input.u8("header")?;
        let flags = second & 0xF0;
        if flags & !FLAG_PULSE != 0 {
            return Err(DecodeError::Flags(flags));
        }
        let mut time = [0; 8];
        time[2..].copy_from_slice(&input.array::<6>("time")?);
        let owner = OwnerKey(input.array("owner")?);
        let links = (0..usize::from(second & 15).min(LINKS_MAX))
            .map(|_| Ok(RecordId(input.array("links")?)))
            .collect::<Result<Vec<_>, DecodeError>>()?;
        if !links.is_sorted_by(|a, b| a < b) {
            return Err(DecodeError::LinkOrder);
        }
        let pulse_key = if flags & FLAG_PULSE != 0 { Some(input.array("pulse key")?) } else { None };
        let value_len = input.varint()?;
        let value_hash = if value_len > 0 { Some(input.array("value hash")?) } else { None };
        let time = Millis(u64::from_be_bytes(time));
        Ok(Header { kind, time, owner, links, pulse_key, value_len, value_hash })
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.write_without_value(out);
        write_varint(self.value_len, out);
        if let Some(hash) = &self.value_hash {
            out.extend_from_slice(hash);
        }
    }

    /// The header up to the value's length: what the value's encryption is bound to.
    pub(crate) fn write_without_value(&self, out: &mut Vec<u8>) {
        out.push(FORMAT_VERSION << 4 | self.kind as u8);
        out.push(self.links.len() as u8 | self.pulse_key.map_or(0, |_| FLAG_PULSE));
        out.extend_from_slice(&self.time.0.to_be_bytes()[2..]);
        out.extend_from_slice(&self.owner.0);
        for link in &self.links {
            out.extend_from_slice(&link.0);
        }
        if let Some(key) = &self.pulse_key {
            out.extend_from_slice(key);
        }
    }
}

/// All selectors' keys and masked ordinals in order, without their claims.
pub(crate) fn names_and_ordinals(selectors: &[Selector]) -> Vec<u8> {
    let mut out = Vec::with_capacity(48 * selectors.len());
    for selector in selectors {
        out.extend_from_slice(&selector.key.0);
        out.extend_from_slice(&selector.ordinal.0);
    }
    out
}

fn read_selectors(input: &mut Reader<'_>) -> Result<Vec<Selector>, DecodeError> {
    let count = input.u8("selectors")?;
    if usize::from(count) > SELECTORS_MAX {
        return Err(DecodeError::Selectors(count));
    }
    (0..count)
        .map(|_| {
            Ok(Selector {
                key: SelectorPublic(input.array("selectors")?),
                ordinal: Masked(input.array("selectors")?),
                claim: input.array("selectors")?,
            })
        })
        .collect()
}

/// Little-endian groups of seven bits, the high bit set on all but the last; minimal.
fn write_varint(mut value: u32, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn u8(&mut self, part: &'static str) -> Result<u8, DecodeError> {
        let (byte, rest) = self.rest.split_first().ok_or(DecodeError::Truncated(part))?;
        self.rest = rest;
        Ok(*byte)
    }

    fn array<const N: usize>(&mut self, part: &'static str) -> Result<[u8; N], DecodeError> {
        let (bytes, rest) = self.rest.split_first_chunk::<N>().ok_or(DecodeError::Truncated(part))?;
        self.rest = rest;
        Ok(*bytes)
    }

    fn varint(&mut self) -> Result<u32, DecodeError> {
        let mut value = 0_u32;
        for shift in [0, 7, 14] {
            let byte = self.u8("value length")?;
            value |= u32::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                // A last byte of zero behind others has a shorter spelling.
                return if byte == 0 && shift > 0 { Err(DecodeError::Varint) } else { Ok(value) };
            }
        }
        // Three groups hold 2^21 − 1, more than a record may have.
        Err(DecodeError::Varint)
    }
}
