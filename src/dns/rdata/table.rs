//! The record types known here: number, mnemonic, and of what parts their RDATA is made.
//!
//! Everything else in this module is driven by this table, so a new type is one entry. Types with a name but no
//! parts are opaque: RFC 3597's `\# length hex` is their text.

use std::borrow::Cow;

use super::parse::decimal;

/// What one part of an RDATA is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    U8,
    U16,
    U32,
    /// Seconds; their text may use units (`1h30m`).
    Seconds,
    Ipv4,
    Ipv6,
    /// An uncompressed name.
    Name(NameUse),
    /// One character-string.
    Text,
    /// Character-strings to the end, at least one.
    Texts,
    /// A character-string of letters and digits (RFC 8659 §4.1).
    Tag,
    /// All that is left, as one string without a length; may be empty.
    Tail,
    /// The same, at least one octet.
    FullTail,
    /// All that is left, at least one octet, in hexadecimal.
    Hex,
    /// All that is left, at least one octet, in base64.
    Base64,
    /// A certificate type of RFC 4398 §2.1.
    CertType,
    /// A DNSSEC algorithm; `true` where dig shows the mnemonic.
    Algorithm(AlgorithmText),
    /// So many octets, in hexadecimal, a dash between each.
    Eui(usize),
    /// All of a LOC record (RFC 1876).
    Loc,
    /// SVCB parameters to the end (RFC 9460 §2.2).
    SvcParams,
}

/// How an algorithm number is shown; both are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AlgorithmText {
    Number,
    Mnemonic,
}

/// What an embedded name is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NameUse {
    /// Lower-cased in canonical form (RFC 4034 §6.2).
    Plain,
    /// The same, and its addresses belong into the additional section.
    Host,
    /// Like `Host`, but its case is kept in canonical form: a type newer than RFC 3597 (§7 there).
    CasedHost,
}

/// One part of an RDATA and what people call it.
pub(crate) type Part = (&'static str, Form);

/// A record type.
#[derive(Debug)]
pub(crate) struct Layout {
    pub code: u16,
    pub text: &'static str,
    /// Empty: opaque.
    pub parts: &'static [Part],
}

const PLAIN: Form = Form::Name(NameUse::Plain);
const HOST: Form = Form::Name(NameUse::Host);
const NUMBERED: Form = Form::Algorithm(AlgorithmText::Number);

const DS: &[Part] =
    &[("key tag", Form::U16), ("algorithm", NUMBERED), ("digest type", Form::U8), ("digest", Form::Hex)];
const DNSKEY: &[Part] =
    &[("flags", Form::U16), ("protocol", Form::U8), ("algorithm", NUMBERED), ("public key", Form::Base64)];
const SVCB: &[Part] =
    &[("priority", Form::U16), ("target", Form::Name(NameUse::CasedHost)), ("parameters", Form::SvcParams)];
const TLSA: &[Part] = &[
    ("usage", Form::U8),
    ("selector", Form::U8),
    ("matching type", Form::U8),
    ("certificate association", Form::Hex),
];
const SOA: &[Part] = &[
    ("primary server", PLAIN),
    ("mailbox", PLAIN),
    ("serial", Form::U32),
    ("refresh", Form::Seconds),
    ("retry", Form::Seconds),
    ("expire", Form::Seconds),
    ("minimum", Form::Seconds),
];
const SRV: &[Part] = &[("priority", Form::U16), ("weight", Form::U16), ("port", Form::U16), ("target", HOST)];
const NAPTR: &[Part] = &[
    ("order", Form::U16),
    ("preference", Form::U16),
    ("flags", Form::Text),
    ("service", Form::Text),
    ("regular expression", Form::Text),
    ("replacement", HOST),
];
const CERT: &[Part] = &[
    ("certificate type", Form::CertType),
    ("key tag", Form::U16),
    ("algorithm", Form::Algorithm(AlgorithmText::Mnemonic)),
    ("certificate", Form::Base64),
];

const fn known(code: u16, text: &'static str, parts: &'static [Part]) -> Layout {
    Layout { code, text, parts }
}

const fn opaque(code: u16, text: &'static str) -> Layout {
    Layout { code, text, parts: &[] }
}

/// Sorted by number (a test sees to it).
const TABLE: &[Layout] = &[
    known(1, "A", &[("address", Form::Ipv4)]),
    known(2, "NS", &[("name server", HOST)]),
    known(5, "CNAME", &[("target", PLAIN)]),
    known(6, "SOA", SOA),
    opaque(10, "NULL"),
    known(12, "PTR", &[("target", PLAIN)]),
    known(13, "HINFO", &[("CPU", Form::Text), ("operating system", Form::Text)]),
    known(15, "MX", &[("preference", Form::U16), ("mail server", HOST)]),
    known(16, "TXT", &[("text", Form::Texts)]),
    known(17, "RP", &[("mailbox", PLAIN), ("text name", PLAIN)]),
    known(18, "AFSDB", &[("subtype", Form::U16), ("server", HOST)]),
    opaque(24, "SIG"),
    opaque(25, "KEY"),
    known(28, "AAAA", &[("address", Form::Ipv6)]),
    known(29, "LOC", &[("location", Form::Loc)]),
    known(33, "SRV", SRV),
    known(35, "NAPTR", NAPTR),
    known(36, "KX", &[("preference", Form::U16), ("exchanger", HOST)]),
    known(37, "CERT", CERT),
    known(39, "DNAME", &[("target", PLAIN)]),
    opaque(41, "OPT"),
    opaque(42, "APL"),
    known(43, "DS", DS),
    known(
        44,
        "SSHFP",
        &[("algorithm", Form::U8), ("fingerprint type", Form::U8), ("fingerprint", Form::Hex)],
    ),
    opaque(45, "IPSECKEY"),
    opaque(46, "RRSIG"),
    opaque(47, "NSEC"),
    known(48, "DNSKEY", DNSKEY),
    opaque(49, "DHCID"),
    opaque(50, "NSEC3"),
    opaque(51, "NSEC3PARAM"),
    known(52, "TLSA", TLSA),
    known(53, "SMIMEA", TLSA),
    opaque(55, "HIP"),
    known(59, "CDS", DS),
    known(60, "CDNSKEY", DNSKEY),
    known(61, "OPENPGPKEY", &[("public key", Form::Base64)]),
    opaque(62, "CSYNC"),
    opaque(63, "ZONEMD"),
    known(64, "SVCB", SVCB),
    known(65, "HTTPS", SVCB),
    known(99, "SPF", &[("text", Form::Texts)]),
    known(108, "EUI48", &[("address", Form::Eui(6))]),
    known(109, "EUI64", &[("address", Form::Eui(8))]),
    opaque(249, "TKEY"),
    opaque(250, "TSIG"),
    opaque(251, "IXFR"),
    opaque(252, "AXFR"),
    opaque(255, "ANY"),
    known(256, "URI", &[("priority", Form::U16), ("weight", Form::U16), ("target", Form::FullTail)]),
    known(257, "CAA", &[("flags", Form::U8), ("tag", Form::Tag), ("value", Form::Tail)]),
];

/// The parts of a type's RDATA; none where it is opaque.
pub(crate) fn parts(rtype: u16) -> Option<&'static [Part]> {
    let layout = &TABLE[TABLE.binary_search_by_key(&rtype, |layout| layout.code).ok()?];
    (!layout.parts.is_empty()).then_some(layout.parts)
}

/// Whether the text of a type ends in base64 or hexadecimal, which may be broken anywhere.
pub(crate) fn ends_in_digits(rtype: u16) -> bool {
    let last = parts(rtype).and_then(<[Part]>::last);
    matches!(last, Some((_, Form::Hex | Form::Base64)))
}

/// The number of a type written `A`, `aaaa` or `TYPE65400`.
pub fn rtype_from_text(text: &str) -> Option<u16> {
    if let Some(layout) = TABLE.iter().find(|layout| layout.text.eq_ignore_ascii_case(text)) {
        return Some(layout.code);
    }
    let (word, digits) = text.split_at_checked(4)?;
    (word.eq_ignore_ascii_case("TYPE") && digits.bytes().all(|octet| octet.is_ascii_digit()))
        .then(|| digits.parse().ok())?
}

/// The mnemonic of a type, or `TYPEn` (RFC 3597 §5).
pub fn rtype_to_text(rtype: u16) -> Cow<'static, str> {
    match TABLE.binary_search_by_key(&rtype, |layout| layout.code) {
        Ok(index) => Cow::Borrowed(TABLE[index].text),
        Err(_) => Cow::Owned(format!("TYPE{rtype}")),
    }
}

/// Whether no zone can hold this type: 0, OPT, and what is only asked for (RFC 6895 §3.1).
pub fn is_meta(rtype: u16) -> bool {
    matches!(rtype, 0 | rtype::OPT | 128..=255)
}

/// Certificate types (RFC 4398 §2.1).
const CERT_TYPES: &[(u16, &str)] = &[
    (1, "PKIX"),
    (2, "SPKI"),
    (3, "PGP"),
    (4, "IPKIX"),
    (5, "ISPKI"),
    (6, "IPGP"),
    (7, "ACPKIX"),
    (8, "IACPKIX"),
    (253, "URI"),
    (254, "OID"),
];

/// DNSSEC algorithms, by the mnemonics of the IANA registry.
const ALGORITHMS: &[(u16, &str)] = &[
    (1, "RSAMD5"),
    (2, "DH"),
    (3, "DSA"),
    (5, "RSASHA1"),
    (6, "NSEC3DSA"),
    (7, "NSEC3RSASHA1"),
    (8, "RSASHA256"),
    (10, "RSASHA512"),
    (12, "ECCGOST"),
    (13, "ECDSAP256SHA256"),
    (14, "ECDSAP384SHA384"),
    (15, "ED25519"),
    (16, "ED448"),
    (252, "INDIRECT"),
    (253, "PRIVATEDNS"),
    (254, "PRIVATEOID"),
];

fn number(table: &[(u16, &str)], text: &str) -> Option<u16> {
    table.iter().find(|(_, word)| word.eq_ignore_ascii_case(text)).map(|(code, _)| *code)
}

fn word(table: &[(u16, &'static str)], code: u16) -> Cow<'static, str> {
    match table.iter().find(|(known, _)| *known == code) {
        Some((_, word)) => Cow::Borrowed(word),
        None => Cow::Owned(code.to_string()),
    }
}

pub(super) fn cert_type_from_text(text: &str) -> Option<u16> {
    number(CERT_TYPES, text).or_else(|| decimal(text)?.try_into().ok())
}

pub(super) fn cert_type_to_text(code: u16) -> Cow<'static, str> {
    word(CERT_TYPES, code)
}

pub(super) fn algorithm_from_text(text: &str) -> Option<u8> {
    number(ALGORITHMS, text).map(|code| code as u8).or_else(|| decimal(text)?.try_into().ok())
}

pub(super) fn algorithm_to_text(code: u8) -> Cow<'static, str> {
    word(ALGORITHMS, code.into())
}

/// Types that code elsewhere speaks of by name.
#[allow(missing_docs)]
pub mod rtype {
    pub const A: u16 = 1;
    pub const NS: u16 = 2;
    pub const CNAME: u16 = 5;
    pub const SOA: u16 = 6;
    pub const PTR: u16 = 12;
    pub const HINFO: u16 = 13;
    pub const MX: u16 = 15;
    pub const TXT: u16 = 16;
    pub const AAAA: u16 = 28;
    pub const SRV: u16 = 33;
    pub const CERT: u16 = 37;
    pub const DNAME: u16 = 39;
    pub const OPT: u16 = 41;
    pub const DS: u16 = 43;
    pub const SSHFP: u16 = 44;
    pub const RRSIG: u16 = 46;
    pub const NSEC: u16 = 47;
    pub const DNSKEY: u16 = 48;
    pub const CDS: u16 = 59;
    pub const SVCB: u16 = 64;
    pub const HTTPS: u16 = 65;
    pub const IXFR: u16 = 251;
    pub const AXFR: u16 = 252;
    pub const ANY: u16 = 255;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_names_each_type_once() {
        assert!(TABLE.is_sorted_by(|a, b| a.code < b.code));
        for layout in TABLE {
            assert_eq!(rtype_from_text(layout.text), Some(layout.code));
            assert_eq!(rtype_to_text(layout.code), layout.text);
        }
    }

    #[test]
    fn types_without_a_name_are_written_by_number() {
        assert_eq!(rtype_from_text("TYPE65400"), Some(65_400));
        assert_eq!(rtype_from_text("type1"), Some(1));
        assert_eq!(rtype_to_text(65_400), "TYPE65400");
        for wrong in ["TYPE", "TYPE65536", "TYPE-1", "TYPE+1", "TYP", "", "ÄÄÄ", "TYPEx"] {
            assert_eq!(rtype_from_text(wrong), None, "{wrong}");
        }
    }
}
