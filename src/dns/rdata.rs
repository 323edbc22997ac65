//! RDATA: what its octets must be for each record type, its canonical form, the names in it, and its text.
//!
//! A table of layouts (`table.rs`) drives all of it; types not in the table are opaque octets (RFC 3597), which have
//! a text form (`\# length hex`) like all the others. Names inside RDATA are never compressed here.

mod loc;
mod parse;
mod print;
mod svcb;
mod table;
mod token;

use smallvec::SmallVec;

pub use parse::{TextError, TextFault, parse_seconds, parse_str, parse_text};
pub use print::{print, print_relative};
pub(crate) use table::ends_in_digits;
pub use table::{is_meta, rtype, rtype_from_text, rtype_to_text};
pub use token::{Item, LexFault, Lexer, Place, Quotes, Token};

use crate::dns::name::{DnsName, NameError};
use table::{Form, NameUse, Part};

/// The longest RDATA (RFC 1035 §4.1.3: its length is 16 bits).
pub const RDATA_MAX: usize = 65_535;

/// Why octets are not the RDATA of a type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RdataError {
    /// The octets end inside this part.
    #[error("the {0} is missing or cut short")]
    Short(&'static str),
    /// So many octets stand behind the last part.
    #[error("{0} octets stand behind the last field")]
    Trailing(usize),
    /// More than [`RDATA_MAX`] octets.
    #[error("{0} octets; a record's data has at most {RDATA_MAX}")]
    TooLong(usize),
    /// An embedded name is none.
    #[error("the {0}: {1}")]
    Name(&'static str, NameError),
    /// A part breaks a rule of its type.
    #[error("the {0} {1}")]
    Rule(&'static str, &'static str),
}

/// Checks that `rdata` is well-formed for its type; types not known here may be any octets.
pub fn validate(rtype: u16, rdata: &[u8]) -> Result<(), RdataError> {
    if rdata.len() > RDATA_MAX {
        return Err(RdataError::TooLong(rdata.len()));
    }
    let Some(parts) = table::parts(rtype) else { return Ok(()) };
    split(parts, rdata)?;
    check_digest(rtype, rdata)
}

/// Brings RDATA into canonical form (RFC 4034 §6.2, RFC 6840 §5.1): embedded names of the older types in lower case.
/// What is not well-formed stays as it is.
pub fn canonicalize(rtype: u16, rdata: &mut [u8]) {
    for (at, name, part) in names(rtype, rdata) {
        if part == NameUse::CasedHost {
            continue;
        }
        rdata[at..at + name.as_wire().len()].make_ascii_lowercase();
    }
}

/// Rewrites every embedded name for which `map` has another; none if nothing changes, or the result would be too long.
pub fn map_names(
    rtype: u16,
    rdata: &[u8],
    mut map: impl FnMut(&DnsName) -> Option<DnsName>,
) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut copied = 0;
    for (at, name, _) in names(rtype, rdata) {
        if let Some(other) = map(&name) {
            out.extend_from_slice(&rdata[copied..at]);
            out.extend_from_slice(other.as_wire());
            copied = at + name.as_wire().len();
        }
    }
    if copied == 0 {
        return None;
    }
    out.extend_from_slice(&rdata[copied..]);
    (out.len() <= RDATA_MAX).then_some(out)
}

/// The hosts an RDATA points to, whose addresses belong into the additional section: of NS, MX, SRV, SVCB and the like.
pub fn target_names(rtype: u16, rdata: &[u8]) -> SmallVec<[DnsName; 1]> {
    let hosts =
        names(rtype, rdata).into_iter().filter(|(_, name, part)| *part != NameUse::Plain && !name.is_root());
    hosts.map(|(_, name, _)| name).collect()
}

/// The names in an RDATA and where they stand; none of opaque or malformed ones.
pub(crate) fn names(rtype: u16, rdata: &[u8]) -> SmallVec<[(usize, DnsName, NameUse); 2]> {
    let mut names = SmallVec::new();
    let Some(parts) = table::parts(rtype) else { return names };
    if !parts.iter().any(|(_, form)| matches!(form, Form::Name(_))) {
        return names;
    }
    let Ok(fields) = split(parts, rdata) else { return names };
    let mut at = 0;
    for ((_, form), octets) in parts.iter().zip(&fields) {
        if let Form::Name(part) = form
            && let Ok((name, _)) = DnsName::from_wire(octets)
        {
            names.push((at, name, *part));
        }
        at += octets.len();
    }
    names
}

/// Cuts RDATA into its parts, each checked. Parts that take all the rest may be empty slices only where their form allows.
fn split<'r>(parts: &[Part], rdata: &'r [u8]) -> Result<SmallVec<[&'r [u8]; 8]>, RdataError> {
    let mut fields = SmallVec::new();
    let mut rest = rdata;
    for &(field, form) in parts {
        let len = part_len(field, form, rest)?;
        let (octets, tail) = rest.split_at_checked(len).ok_or(RdataError::Short(field))?;
        fields.push(octets);
        rest = tail;
    }
    if rest.is_empty() { Ok(fields) } else { Err(RdataError::Trailing(rest.len())) }
}

/// How many octets of `rest` a part takes; it may be more than there are, where the length is fixed.
fn part_len(field: &'static str, form: Form, rest: &[u8]) -> Result<usize, RdataError> {
    let nonempty = |len: usize| if len == 0 { Err(RdataError::Short(field)) } else { Ok(len) };
    match form {
        Form::U8 | Form::Algorithm(_) => Ok(1),
        Form::U16 | Form::CertType => Ok(2),
        Form::U32 | Form::Seconds | Form::Ipv4 => Ok(4),
        Form::Ipv6 => Ok(16),
        Form::Eui(len) => Ok(len),
        Form::Name(_) => DnsName::from_wire(rest).map(|(_, len)| len).map_err(|error| match error {
            NameError::Truncated => RdataError::Short(field),
            error => RdataError::Name(field, error),
        }),
        Form::Text => text_len(field, rest),
        Form::Texts => {
            let mut at = text_len(field, rest)?;
            while at < rest.len() {
                at += text_len(field, &rest[at..])?;
            }
            Ok(at)
        }
        Form::Tag => {
            let len = text_len(field, rest)?;
            match &rest[1..len] {
                [] => Err(RdataError::Rule(field, "is empty")),
                tag if !tag.iter().all(u8::is_ascii_alphanumeric) => {
                    Err(RdataError::Rule(field, "has only letters and digits"))
                }
                _ => Ok(len),
            }
        }
        Form::Tail => Ok(rest.len()),
        Form::FullTail | Form::Hex | Form::Base64 => nonempty(rest.len()),
        Form::Loc => loc::check(rest).map(|()| loc::LEN),
        Form::SvcParams => svcb::check(rest).map(|()| rest.len()),
    }
}

/// The length of the character-string `rest` starts with, its length octet included.
fn text_len(field: &'static str, rest: &[u8]) -> Result<usize, RdataError> {
    let len = usize::from(*rest.first().ok_or(RdataError::Short(field))?) + 1;
    if rest.len() < len { Err(RdataError::Short(field)) } else { Ok(len) }
}

/// Digests whose type is known have their length: DS and CDS (RFC 4034 §5.1.4, 4509, 6605), SSHFP (RFC 4255, 6594).
fn check_digest(rtype: u16, rdata: &[u8]) -> Result<(), RdataError> {
    let (field, digest, kind, lengths): (_, _, _, &[(u8, usize)]) = match rtype {
        rtype::DS | rtype::CDS => ("digest", &rdata[4..], rdata[3], &[(1, 20), (2, 32), (3, 32), (4, 48)]),
        rtype::SSHFP => ("fingerprint", &rdata[2..], rdata[1], &[(1, 20), (2, 32)]),
        _ => return Ok(()),
    };
    match lengths.iter().find(|(known, _)| *known == kind) {
        Some((_, len)) if *len != digest.len() => Err(RdataError::Rule(
            field,
            "does not have the length of its type: 20 octets for SHA-1, 32 for SHA-256",
        )),
        _ => Ok(()),
    }
}

/// The data of a SOA record (RFC 1035 §3.3.13); times in seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Soa {
    /// The primary name server.
    pub mname: DnsName,
    /// The mailbox of whoever is responsible, its `@` a dot.
    pub rname: DnsName,
    /// The version of the zone.
    pub serial: u32,
    /// How often secondaries look for a new serial.
    pub refresh: u32,
    /// How soon they try again.
    pub retry: u32,
    /// How long they answer without the primary.
    pub expire: u32,
    /// How long a negative answer holds (RFC 2308 §4).
    pub minimum: u32,
}

impl Soa {
    /// Reads RDATA.
    pub fn parse(rdata: &[u8]) -> Result<Soa, RdataError> {
        let parts = table::parts(rtype::SOA).expect("SOA is in the table");
        let fields = split(parts, rdata)?;
        let name = |index: usize| {
            let (field, _) = parts[index];
            DnsName::from_wire(fields[index])
                .map(|(name, _)| name)
                .map_err(|error| RdataError::Name(field, error))
        };
        let number =
            |index: usize| fields[index].iter().fold(0, |number: u32, &octet| number << 8 | u32::from(octet));
        Ok(Soa {
            mname: name(0)?,
            rname: name(1)?,
            serial: number(2),
            refresh: number(3),
            retry: number(4),
            expire: number(5),
            minimum: number(6),
        })
    }

    /// The RDATA.
    pub fn to_rdata(&self) -> Vec<u8> {
        let mut rdata = Vec::with_capacity(2 * 32 + 20);
        rdata.extend_from_slice(self.mname.as_wire());
        rdata.extend_from_slice(self.rname.as_wire());
        for number in [self.serial, self.refresh, self.retry, self.expire, self.minimum] {
            rdata.extend_from_slice(&number.to_be_bytes());
        }
        rdata
    }
}

#[cfg(test)]
pub(crate) mod tests;
