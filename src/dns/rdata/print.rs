//! RDATA in words, as `dig +nosplit` shows it; what is opaque or malformed as RFC 3597 has it.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::table::{self, AlgorithmText, Form};
use super::{loc, split, svcb, validate};
use crate::dns::name::DnsName;

/// The text of an RDATA, names absolute. Reading it back gives the same octets.
pub fn print(rtype: u16, rdata: &[u8]) -> String {
    print_relative(rtype, rdata, &DnsName::root())
}

/// The text of an RDATA, names relative to `origin` where they lie below it.
pub fn print_relative(rtype: u16, rdata: &[u8], origin: &DnsName) -> String {
    known(rtype, rdata, origin).unwrap_or_else(|| generic(rdata))
}

/// `\# length hex` (RFC 3597 §5).
fn generic(rdata: &[u8]) -> String {
    let mut out = format!("\\# {}", rdata.len());
    if !rdata.is_empty() {
        out.push(' ');
        hex(&mut out, rdata);
    }
    out
}

fn known(rtype: u16, rdata: &[u8], origin: &DnsName) -> Option<String> {
    let parts = table::parts(rtype)?;
    validate(rtype, rdata).ok()?;
    let fields = split(parts, rdata).ok()?;
    let mut out = String::new();
    for (&(_, form), &octets) in parts.iter().zip(&fields) {
        let nothing = form == Form::SvcParams && octets.is_empty();
        if !out.is_empty() && !nothing {
            out.push(' ');
        }
        part(&mut out, form, octets, origin)?;
    }
    Some(out)
}

/// Writes one part; none where the type's own text cannot say these octets.
fn part(out: &mut String, form: Form, octets: &[u8], origin: &DnsName) -> Option<()> {
    let number = octets.iter().take(4).fold(0, |number: u32, &octet| number << 8 | u32::from(octet));
    match form {
        Form::U8 | Form::U16 | Form::U32 | Form::Seconds | Form::Algorithm(AlgorithmText::Number) => {
            _ = write!(out, "{number}");
        }
        Form::Algorithm(AlgorithmText::Mnemonic) => out.push_str(&table::algorithm_to_text(octets[0])),
        Form::CertType => out.push_str(&table::cert_type_to_text(number as u16)),
        Form::Ipv4 => _ = write!(out, "{}", Ipv4Addr::from(number)),
        Form::Ipv6 => _ = write!(out, "{}", Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?)),
        Form::Name(_) => _ = write!(out, "{}", DnsName::from_wire(octets).ok()?.0.relative_to(origin)),
        Form::Text => quoted(out, &octets[1..]),
        Form::Texts => texts(out, octets),
        Form::Tag => out.push_str(std::str::from_utf8(&octets[1..]).ok()?),
        Form::Tail | Form::FullTail => quoted(out, octets),
        Form::Hex => hex(out, octets),
        Form::Base64 => STANDARD.encode_string(octets, out),
        Form::Eui(_) => {
            for (index, octet) in octets.iter().enumerate() {
                _ = write!(out, "{}{octet:02x}", if index == 0 { "" } else { "-" });
            }
        }
        Form::Loc => loc::print(out, octets)?,
        Form::SvcParams => svcb::print(out, octets),
    }
    Some(())
}

fn texts(out: &mut String, octets: &[u8]) {
    let mut rest = octets;
    while let [len, tail @ ..] = rest {
        if rest.len() < octets.len() {
            out.push(' ');
        }
        let (text, tail) = tail.split_at(usize::from(*len));
        quoted(out, text);
        rest = tail;
    }
}

/// A string in quotes; what is not printable is `\DDD`.
pub(super) fn quoted(out: &mut String, text: &[u8]) {
    out.push('"');
    for &octet in text {
        match octet {
            b'"' | b'\\' => {
                out.push('\\');
                out.push(char::from(octet));
            }
            0x20..=0x7e => out.push(char::from(octet)),
            _ => _ = write!(out, "\\{octet:03}"),
        }
    }
    out.push('"');
}

fn hex(out: &mut String, octets: &[u8]) {
    for octet in octets {
        _ = write!(out, "{octet:02X}");
    }
}
