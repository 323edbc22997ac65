//! What a record is: bytes in, values out; no I/O, no clock, no randomness of its own.
//!
//! A record is the signed unit of a network. It is found under its selectors, belongs to an owner, links to
//! earlier records, and carries one value that only those who know its masking key can read. The layout of
//! every byte is in `docs/FORMAT.md`; [`codec`] is its code. What a record may be is decided in three steps,
//! cheapest first: [`Record::decode`] (structure), [`Record::check_rules`] (the network's rules) and
//! [`Record::verify`] (hashes and signatures). None of them looks at other records or at a clock.

pub mod base62;
mod codec;
mod hash;
mod ids;
mod mint;
mod ordinal;
mod owner;
mod pem;
mod pulse;
mod rules;
mod selector;
mod sign;
mod value;
mod verify;
pub mod z32;

pub use codec::{DecodeError, Header, Kind, Record, Selector, Work};
pub use hash::hash;
pub use ids::{IdError, Masked, Millis, NetworkId, OwnerKey, PathKey, RecordId, SelectorPublic, rest_of};
pub use mint::{Draft, Link, MintError};
pub use ordinal::OrdinalCipher;
pub use owner::{Owner, OwnerError};
pub use pulse::Pulse;
pub use rules::{Authority, Limits, Rules, RulesError, WorkRule, ZoneRule, found, network_of};
pub use selector::Name;
pub use sign::{SIGNATURE_LEN, verify_signature};
pub use value::{Compression, Masking, ValueError};
pub use verify::Invalid;

/// The most bytes a record may have, value included.
pub const RECORD_MAX: usize = 65_536;
/// The most selectors of a record; docs/FORMAT.md "Limits".
pub const SELECTORS_MAX: usize = 15;
/// The most links of a record.
pub const LINKS_MAX: usize = 15;
/// The most bytes of a selector's name.
pub const NAME_MAX: usize = 1024;
/// The latest time a record can carry: 48 bits of unix milliseconds.
pub const TIME_MAX: Millis = Millis((1 << 48) - 1);
/// The format version this crate reads and writes.
pub const FORMAT_VERSION: u8 = 1;
