//! Master files (RFC 1035 §5): zones as text, read and written.
//!
//! [`parse`] reads a whole file into RRsets in canonical form and order, or says in which line and column it is
//! wrong and what to do. It understands `$ORIGIN`, `$TTL` and, with a loader, `$INCLUDE`; only class IN; all types
//! of [`super::rdata`], any other as RFC 3597 has it. [`print()`] writes what a person likes to read and [`parse`]
//! reads back. No I/O here: files come as octets, included ones through a function.
//!
//! The scanner is our own rather than the `domain` crate's: it keeps line and column of each word, so that a fault
//! found later (a CNAME beside other data) still points at the line that made it, and it needs no second table of
//! types.

mod check;
mod parser;
mod printer;
mod scanner;

use std::sync::Arc;

use super::name::{DnsName, NameError};
use super::rdata::{LexFault, Place, Soa, TextFault};

pub use check::normalize;
pub use parser::{parse, parse_with};
pub use printer::{print, write};

/// The most octets of text, included files counted too.
pub const TEXT_MAX: usize = 256 << 20;
/// The most records of one zone.
pub const RECORDS_MAX: usize = 2_000_000;
/// The most records of one RRset: their number is 16 bits in a DNS message.
pub const RRSET_MAX: usize = 65_535;
/// The most words of one record.
pub const WORDS_MAX: usize = 100_000;
/// How deep files may include each other.
pub const INCLUDE_DEPTH_MAX: usize = 8;
/// The longest lifetime in seconds (RFC 2181 §8).
pub const TTL_MAX: u32 = 0x7fff_ffff;
/// The most warnings kept.
pub const WARNINGS_MAX: usize = 1_000;

/// All records of one name and type, with one lifetime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rrset {
    /// The owner name, in lower case.
    pub name: DnsName,
    /// The type's number.
    pub rtype: u16,
    /// The lifetime in seconds.
    pub ttl: u32,
    /// The records' data: canonical, ascending, each once.
    pub rdatas: Vec<Vec<u8>>,
}

/// The records of a zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    /// The apex, in lower case.
    pub origin: DnsName,
    /// The data of the SOA record, which stands among the RRsets too.
    pub soa: Option<Soa>,
    /// The RRsets, by name in canonical order (RFC 4034 §6.1), then by type.
    pub rrsets: Vec<Rrset>,
    /// What is odd, and was read all the same.
    pub warnings: Vec<Warning>,
}

impl Zone {
    /// A zone of RRsets in whatever order and form; brings them into the form and order of this type.
    pub fn new(origin: &DnsName, rrsets: Vec<Rrset>) -> Zone {
        let (rrsets, soa) = normalize(origin, rrsets);
        Zone { origin: origin.to_lowercase(), soa, rrsets, warnings: Vec::new() }
    }

    /// How many records there are.
    pub fn record_count(&self) -> usize {
        self.rrsets.iter().map(|rrset| rrset.rdatas.len()).sum()
    }
}

/// Something odd in a master file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{place}: {what}")]
pub struct Warning {
    /// The file.
    pub file: Arc<str>,
    /// The line and column.
    pub place: Place,
    /// What is odd.
    pub what: Oddity,
}

/// What is odd about a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Oddity {
    /// Records of one RRset had different lifetimes.
    #[error(
        "a TTL of {this} where the records of the same name and type have {other}; the smaller one is used"
    )]
    Ttl {
        /// The lifetime on this line.
        this: u32,
        /// The one before.
        other: u32,
    },
    /// No lifetime anywhere; the SOA record's last number stands in.
    #[error("no TTL yet; the SOA record's minimum, {0}, is used: put `$TTL {0}` on the first line")]
    NoTtl(u32),
    /// A relative name that ends like an absolute one.
    #[error("the zone's name stands twice in `{0}`; if that is not meant, end the name with a dot")]
    Twice(String),
    /// A name below a DNAME is never answered (RFC 6672 §2.4).
    #[error("`{0}` lies below a DNAME record, so it is never answered")]
    BelowDname(String),
}

/// A master file that is none, with the place of the fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{place}: {what}")]
pub struct MasterError {
    /// The file, as its reader called it.
    pub file: Arc<str>,
    /// The line and column.
    pub place: Place,
    /// What is wrong, and what to do.
    pub what: MasterFault,
}

/// What is wrong with a master file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MasterFault {
    /// No words can be made of the text.
    #[error(transparent)]
    Lex(#[from] LexFault),
    /// A record's data is wrong.
    #[error("{0}: {1}")]
    Rdata(String, TextFault),
    /// An owner or origin is no name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A parenthesis that is never closed.
    #[error("the parenthesis is never closed; put `)` behind the record's last field")]
    Unclosed,
    /// A closing parenthesis too many.
    #[error("a closing parenthesis without an opening one; remove it")]
    Unopened,
    /// A first line that begins with a blank.
    #[error(
        "the line begins with a blank, and no owner stands above it; write the name first, `@` for the zone itself"
    )]
    NoOwner,
    /// A line that ends before the type.
    #[error("the record has no type; write NAME [TTL] [IN] TYPE DATA")]
    NoType,
    /// A type nobody knows.
    #[error("`{0}` is not a record type; write its mnemonic, or TYPE and its number (RFC 3597)")]
    UnknownType(String),
    /// A type no zone holds.
    #[error("{0} is a type of questions, not of records; remove the line")]
    MetaType(String),
    /// Another class than IN.
    #[error("class {0}; only IN is served: remove the line")]
    Class(String),
    /// A lifetime, or a class, twice.
    #[error("a second {0} in one record; remove one")]
    Twice(&'static str),
    /// A lifetime that is none.
    #[error("`{0}` is not a TTL; write seconds up to {TTL_MAX}, or a time like 1h30m")]
    Ttl(String),
    /// No lifetime anywhere.
    #[error("the record has no TTL, and there is no default; put `$TTL 300` on the first line")]
    NoTtl,
    /// A name that does not lie in the zone.
    #[error(
        "`{name}` is outside the zone `{origin}`; remove the record, or check the name's last dot and $ORIGIN"
    )]
    OutOfZone {
        /// The name.
        name: String,
        /// The zone.
        origin: String,
    },
    /// A directive that is not supported.
    #[error("$GENERATE is not supported; write its lines out (`named-compilezone` does)")]
    Generate,
    /// A directive nobody knows.
    #[error(
        "`{0}` is no directive; there are $ORIGIN, $TTL and $INCLUDE (a name that begins with $ is written \\$)"
    )]
    Directive(String),
    /// A directive with too few or too many words.
    #[error("write {0}")]
    Usage(&'static str),
    /// A file that could not be included.
    #[error("cannot include `{0}`: {1}")]
    Include(String, String),
    /// Files that include each other without end.
    #[error("files include each other more than {INCLUDE_DEPTH_MAX} deep; look for a circle")]
    IncludeDepth,
    /// CNAME, DNAME or SOA twice at one name.
    #[error("a second {0} record at `{1}`; a name has at most one: remove one")]
    Second(String, String),
    /// A CNAME with something beside it.
    #[error(
        "`{0}` has a CNAME record and other data; a CNAME stands alone (RFC 1034 §3.6.2): remove one of them"
    )]
    CnameBeside(String),
    /// A CNAME at the apex.
    #[error(
        "a CNAME record at the zone's apex, which has SOA and NS; write the address records themselves, or HTTPS"
    )]
    CnameAtApex,
    /// A SOA below the apex.
    #[error("a SOA record at `{0}`; it belongs to the zone's apex alone: remove it")]
    SoaBelow(String),
    /// More text than [`TEXT_MAX`].
    #[error("the zone's text is larger than {TEXT_MAX} octets; split the zone")]
    TextTooLong,
    /// More than [`RECORDS_MAX`] records.
    #[error("the zone has more than {RECORDS_MAX} records; split it")]
    TooManyRecords,
    /// More than [`RRSET_MAX`] records in an RRset.
    #[error("`{0}` has more than {RRSET_MAX} records of one type; no DNS message holds them")]
    RrsetTooLarge(String),
    /// More than [`WORDS_MAX`] words in one record.
    #[error("the record has more than {WORDS_MAX} words; is a parenthesis not closed?")]
    TooManyWords,
}

/// A file asked for by `$INCLUDE`.
#[derive(Debug, Clone)]
pub struct Included {
    /// What to call it in messages.
    pub file: String,
    /// Its text.
    pub text: Vec<u8>,
}

/// Fetches an included file: its name as written, and the file that asks for it; or says why it cannot.
pub type Loader<'l> = dyn FnMut(&str, &str) -> Result<Included, String> + 'l;

#[cfg(test)]
mod tests;
