//! The newtypes that name things: networks, records, owners, paths, masked ordinals, times.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use smallvec::SmallVec;

use super::hash::hash_prefix;
use super::{base62, z32};

/// Unix time in milliseconds; records carry 48 bits of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub u64);

impl Millis {
    /// This instant `ms` milliseconds later.
    pub fn plus(self, ms: u64) -> Millis {
        Millis(self.0.saturating_add(ms))
    }

    /// Whole unix seconds.
    pub fn seconds(self) -> u64 {
        self.0 / 1000
    }
}

/// A network, named by the hash of its first genesis record with its value. On a private network this id
/// is the gate: it is never logged, and its `Debug` form is a short prefix.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NetworkId(pub [u8; 32]);

impl fmt::Debug for NetworkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NetworkId({:02x}{:02x}…)", self.0[0], self.0[1])
    }
}

/// A record's name: H("lfdns record v1", network, everything before the signature). Written `=` + base 62.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId(pub [u8; 32]);

/// An owner's Ed25519 public key. Written `@` + 52 characters of z-base-32.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OwnerKey(pub [u8; 32]);

/// The public key a selector's name yields.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SelectorPublic(pub [u8; 32]);

/// A masked ordinal: 128 bits, big-endian, ordered as the ordinals of that name are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Masked(pub [u8; 16]);

impl Masked {
    /// Below every masked ordinal.
    pub const MIN: Masked = Masked([0; 16]);
    /// Above every masked ordinal.
    pub const MAX: Masked = Masked([0xFF; 16]);
}

/// A path: the hash chain over the public keys of a name's selectors, ordinals left out. The path of all of
/// a record's selectors is its slot; the shorter prefixes are the names above it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathKey(pub [u8; 16]);

impl PathKey {
    /// The path of no selectors: everything in the network lies below it.
    pub fn root(network: &NetworkId) -> PathKey {
        PathKey(hash_prefix("lfdns path root v1", network, &[]))
    }

    /// The path one selector further down. Needs no network: the root already carries it.
    pub fn child(&self, selector: &SelectorPublic) -> PathKey {
        PathKey(hash_prefix("lfdns path v1", &NetworkId([0; 32]), &[&self.0, &selector.0]))
    }
}

/// What tells apart the keys of one slot beside the last ordinal: a hash of all masked ordinals before it.
pub fn rest_of(ordinals: &[Masked]) -> u64 {
    // Most records have one selector, and so nothing before the last.
    static OF_NONE: OnceLock<u64> = OnceLock::new();
    if ordinals.is_empty() { *OF_NONE.get_or_init(|| hash_ordinals(&[])) } else { hash_ordinals(ordinals) }
}

fn hash_ordinals(ordinals: &[Masked]) -> u64 {
    let parts: SmallVec<[&[u8]; 15]> = ordinals.iter().map(|m| m.0.as_slice()).collect();
    let hashed: [u8; 8] = hash_prefix("lfdns rest v1", &NetworkId([0; 32]), &parts);
    // 63 bits: SQLite's integers are signed.
    u64::from_be_bytes(hashed) >> 1
}

/// A text that is no id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not an owner.
    #[error(
        "'{0}' is not an owner: expected '@' and 52 characters of z-base-32, such as `lfdns owner list` prints"
    )]
    Owner(String),
    /// Not a record id.
    #[error("'{0}' is not a record id: expected '=' and up to 43 characters of base 62")]
    Record(String),
    /// Not a network id.
    #[error("not a network id: expected 64 hexadecimal digits")]
    Network,
}

impl fmt::Display for OwnerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "@{}", z32::encode(&self.0))
    }
}

impl fmt::Debug for OwnerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl OwnerKey {
    /// The 52 characters without the `@`: the key as a DNS label.
    pub fn label(&self) -> String {
        z32::encode(&self.0)
    }

    /// The owner a DNS label spells, if it is the canonical spelling of 32 bytes.
    pub fn from_label(label: &[u8]) -> Option<OwnerKey> {
        let bytes = (label.len() == 52).then(|| z32::decode(label)).flatten()?;
        Some(OwnerKey(bytes.try_into().ok()?))
    }
}

impl FromStr for OwnerKey {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let label = text.strip_prefix('@').unwrap_or(text);
        OwnerKey::from_label(label.as_bytes()).ok_or_else(|| IdError::Owner(text.to_owned()))
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "={}", base62::encode(&self.0))
    }
}

impl fmt::Debug for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for RecordId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let wrong = || IdError::Record(text.to_owned());
        let digits = text.strip_prefix('=').ok_or_else(wrong)?;
        let bytes = (digits.len() <= 64).then(|| base62::decode(digits.as_bytes())).flatten();
        Ok(RecordId(bytes.and_then(|b| b.try_into().ok()).ok_or_else(wrong)?))
    }
}

impl NetworkId {
    /// All 64 hexadecimal digits: what is handed to a friend, never logged.
    pub fn reveal(&self) -> String {
        hex32(&self.0)
    }

    /// Reads what [`NetworkId::reveal`] writes.
    pub fn from_hex(text: &str) -> Result<NetworkId, IdError> {
        Ok(NetworkId(unhex32(text).ok_or(IdError::Network)?))
    }
}

/// 64 lower-case hexadecimal digits.
pub(crate) fn hex32(bytes: &[u8; 32]) -> String {
    let digit = |nibble| char::from_digit(u32::from(nibble), 16).expect("a nibble is one digit");
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Exactly 64 lower- or upper-case hexadecimal digits.
pub(crate) fn unhex32(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let mut out = [0; 32];
    for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = (high * 16 + low) as u8;
    }
    Some(out)
}

macro_rules! short_debug {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "("))?;
                self.0.iter().take(8).try_for_each(|b| write!(f, "{b:02x}"))?;
                f.write_str("…)")
            }
        }
    )*};
}
short_debug!(SelectorPublic, Masked, PathKey);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_back_what_they_print() {
        let owner = OwnerKey([7; 32]);
        assert_eq!(owner.to_string().parse(), Ok(owner));
        assert_eq!(owner.label().parse(), Ok(owner));
        let id = RecordId([0; 32]);
        assert_eq!(id.to_string().parse(), Ok(id));
        let net = NetworkId([0xA5; 32]);
        assert_eq!(NetworkId::from_hex(&net.reveal()), Ok(net));
    }

    #[test]
    fn a_network_id_does_not_leak_through_debug() {
        let shown = format!("{:?}", NetworkId([0xA5; 32]));
        assert!(shown.len() < 24, "{shown}");
    }

    #[test]
    fn wrong_texts_are_refused_in_words() {
        let error = "@nonsense".parse::<OwnerKey>().unwrap_err();
        assert!(error.to_string().contains("52 characters"), "{error}");
        assert!("abc".parse::<RecordId>().is_err());
        assert!(format!("={}", "z".repeat(44)).parse::<RecordId>().is_err());
    }
}
