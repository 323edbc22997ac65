//! What a value says when it is DNS data: an RRset, or a bundle of all RRsets of a name.
//!
//! ```text
//! RRset   D1 · flags u8 · ttl u32 · max silence u16 · path · rdatas
//! bundle  D2 · flags u8 · max silence u16 · path · count u16 · count × (type u16 · ttl u32 · rdatas)
//! path    count u8 · count × (length u16 · selector name)        (count 0 if the record is unlisted)
//! rdatas  count u16 · count × (length u16 · data in canonical form)
//! ```
//! Integers are big-endian. The path stands inside the masked value, so whoever knows the first name can list
//! what lies below it. docs/FORMAT.md "DNS values".

/// Flag: the record does not say its path, so it is found by name only.
const FLAG_UNLISTED: u8 = 1;
const TAG_RRSET: u8 = 0xD1;
const TAG_BUNDLE: u8 = 0xD2;
/// TTLs above this are read as it (RFC 2181 §8).
pub const TTL_MAX: u32 = 0x7FFF_FFFF;
/// Bits an RRset's type stands at in the ordinal of the last selector.
const TYPE_SHIFT: u32 = 32;
/// Ordinal of a bundle.
pub const BUNDLE_ORDINAL: u64 = 0xFFFE << 48;
/// Ordinal of a name's metadata.
pub const METADATA_ORDINAL: u64 = 0xFFFF << 48;

/// What a key's last ordinal says it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slotted {
    /// The RRset of a type, if the value is one; else a raw value.
    Rrset(u16),
    /// All RRsets of the name.
    Bundle,
    /// The name's metadata.
    Metadata,
    /// A raw value.
    Raw,
}

impl Slotted {
    /// Reads an ordinal.
    pub fn of(ordinal: u64) -> Slotted {
        match ordinal {
            BUNDLE_ORDINAL => Slotted::Bundle,
            METADATA_ORDINAL => Slotted::Metadata,
            _ => match u16::try_from(ordinal >> TYPE_SHIFT) {
                Ok(rtype) if rtype > 0 && ordinal == rrset_ordinal(rtype) => Slotted::Rrset(rtype),
                _ => Slotted::Raw,
            },
        }
    }
}

/// The ordinal of the last selector under which an RRset of this type is kept.
pub fn rrset_ordinal(rtype: u16) -> u64 {
    u64::from(rtype) << TYPE_SHIFT
}

/// Where a DNS value says it lies: selector names, outermost first; empty if unlisted.
pub type ListedPath = Vec<Vec<u8>>;

/// One RRset's data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RrsetValue {
    /// Seconds.
    pub ttl: u32,
    /// Minutes without a pulse after which it is not served; 0: no limit.
    pub max_silence: u16,
    /// Where it lies.
    pub path: ListedPath,
    /// The records' data in canonical form.
    pub rdatas: Vec<Vec<u8>>,
}

/// All RRsets of a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bundle {
    /// Minutes without a pulse after which it is not served; 0: no limit.
    pub max_silence: u16,
    /// Where it lies.
    pub path: ListedPath,
    /// (type, ttl, data), types ascending, each with some data.
    pub sets: Vec<(u16, u32, Vec<Vec<u8>>)>,
}

impl RrsetValue {
    /// The value's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![TAG_RRSET, flags(&self.path)];
        out.extend_from_slice(&self.ttl.to_be_bytes());
        out.extend_from_slice(&self.max_silence.to_be_bytes());
        write_path(&self.path, &mut out);
        write_rdatas(&self.rdatas, &mut out);
        out
    }

    /// Reads a value; `None` if it is none of these.
    pub fn decode(bytes: &[u8]) -> Option<RrsetValue> {
        let mut input = Input(bytes);
        let flags = input.tagged(TAG_RRSET)?;
        let ttl = input.u32()?.min(TTL_MAX);
        let max_silence = input.u16()?;
        let path = input.path(flags)?;
        let rdatas = input.rdatas()?;
        (input.0.is_empty() && !rdatas.is_empty()).then_some(RrsetValue { ttl, max_silence, path, rdatas })
    }
}

impl Bundle {
    /// The value's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![TAG_BUNDLE, flags(&self.path)];
        out.extend_from_slice(&self.max_silence.to_be_bytes());
        write_path(&self.path, &mut out);
        write_u16(self.sets.len(), &mut out);
        for (rtype, ttl, rdatas) in &self.sets {
            out.extend_from_slice(&rtype.to_be_bytes());
            out.extend_from_slice(&ttl.to_be_bytes());
            write_rdatas(rdatas, &mut out);
        }
        out
    }

    /// Reads a value; `None` if it is none of these.
    pub fn decode(bytes: &[u8]) -> Option<Bundle> {
        let mut input = Input(bytes);
        let flags = input.tagged(TAG_BUNDLE)?;
        let max_silence = input.u16()?;
        let path = input.path(flags)?;
        let count = input.u16()?;
        let sets = (0..count)
            .map(|_| Some((input.u16()?, input.u32()?.min(TTL_MAX), input.rdatas()?)))
            .collect::<Option<Vec<_>>>()?;
        // One spelling: types ascending, none without data.
        let sound =
            sets.is_sorted_by(|a, b| a.0 < b.0) && sets.iter().all(|(_, _, rdatas)| !rdatas.is_empty());
        (input.0.is_empty() && sound).then_some(Bundle { max_silence, path, sets })
    }
}

fn flags(path: &ListedPath) -> u8 {
    if path.is_empty() { FLAG_UNLISTED } else { 0 }
}

fn write_u16(len: usize, out: &mut Vec<u8>) {
    let len = u16::try_from(len).expect("counts and lengths inside a record are below 64 KiB");
    out.extend_from_slice(&len.to_be_bytes());
}

fn write_path(path: &ListedPath, out: &mut Vec<u8>) {
    out.push(path.len() as u8);
    for name in path {
        write_u16(name.len(), out);
        out.extend_from_slice(name);
    }
}

fn write_rdatas(rdatas: &[Vec<u8>], out: &mut Vec<u8>) {
    write_u16(rdatas.len(), out);
    for rdata in rdatas {
        write_u16(rdata.len(), out);
        out.extend_from_slice(rdata);
    }
}

struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*bytes)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }

    /// The flags behind the expected tag; unknown flags make it no value of this version.
    fn tagged(&mut self, tag: u8) -> Option<u8> {
        let [found, flags] = self.take()?;
        (found == tag && flags & !FLAG_UNLISTED == 0).then_some(flags)
    }

    fn bytes(&mut self) -> Option<Vec<u8>> {
        let len = usize::from(self.u16()?);
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes.to_vec())
    }

    fn path(&mut self, flags: u8) -> Option<ListedPath> {
        let [count] = self.take()?;
        let path = (0..count).map(|_| self.bytes()).collect::<Option<ListedPath>>()?;
        (path.is_empty() == (flags & FLAG_UNLISTED != 0)).then_some(path)
    }

    fn rdatas(&mut self) -> Option<Vec<Vec<u8>>> {
        let count = self.u16()?;
        (0..count).map(|_| self.bytes()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_bundle_has_each_type_once_in_order_and_with_data() {
        let set = |rtype| (rtype, 60, vec![vec![1]]);
        let reads = |sets| Bundle::decode(&Bundle { sets, ..Bundle::default() }.encode()).is_some();
        assert!(reads(vec![set(1), set(16)]));
        assert!(!reads(vec![set(16), set(1)]));
        assert!(!reads(vec![set(1), set(1)]));
        assert!(!reads(vec![(1, 60, vec![])]));
    }

    #[test]
    fn ordinals_say_what_they_hold() {
        assert_eq!(Slotted::of(rrset_ordinal(1)), Slotted::Rrset(1));
        assert_eq!(Slotted::of(rrset_ordinal(65400)), Slotted::Rrset(65400));
        assert_eq!(Slotted::of(rrset_ordinal(1) + 1), Slotted::Raw);
        assert_eq!(Slotted::of(2), Slotted::Raw);
        assert_eq!(Slotted::of(BUNDLE_ORDINAL), Slotted::Bundle);
        assert_eq!(Slotted::of(METADATA_ORDINAL), Slotted::Metadata);
        assert_eq!(Slotted::of(u64::MAX), Slotted::Raw);
    }

    fn rdatas() -> impl Strategy<Value = Vec<Vec<u8>>> {
        proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 1..4)
    }

    proptest! {
        #[test]
        fn rrsets_and_bundles_read_back(
            ttl in 0..=TTL_MAX, max_silence: u16, path in rdatas(), unlisted: bool, rdatas in rdatas(), rtype: u16,
        ) {
            let path = if unlisted { vec![] } else { path };
            let bundle = Bundle { max_silence, path: path.clone(), sets: vec![(rtype, ttl, rdatas.clone())] };
            prop_assert_eq!(Bundle::decode(&bundle.encode()), Some(bundle));
            let rrset = RrsetValue { ttl, max_silence, path, rdatas };
            prop_assert_eq!(RrsetValue::decode(&rrset.encode()), Some(rrset));
        }

        #[test]
        fn arbitrary_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..60), tag in 0xD1_u8..=0xD2) {
            if let Some(first) = bytes.first_mut() { *first = tag; }
            let _ = (RrsetValue::decode(&bytes), Bundle::decode(&bytes));
        }
    }
}
