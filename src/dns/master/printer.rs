//! Zones as text: `$ORIGIN` and `$TTL` above, relative names, columns, an owner once, the SOA's numbers with words.

use std::fmt::{self, Write};

use super::{Rrset, Zone, check::order_key};
use crate::dns::name::DnsName;
use crate::dns::rdata::{Soa, ends_in_digits, print as print_rdata, print_relative, rtype, rtype_to_text};

/// Where the second column begins, if the owner leaves room.
const OWNER_WIDTH: usize = 24;
const TTL_WIDTH: usize = 8;
const TYPE_WIDTH: usize = 8;
/// Data longer than this is broken into lines where its form allows.
const DATA_WIDTH: usize = 100;
/// Digits a line of broken base64 or hexadecimal.
const DIGITS_WIDTH: usize = 64;

/// The zone as a master file. Read back with the same origin it has equal records.
pub fn print(zone: &Zone) -> String {
    let mut out = String::new();
    _ = write(zone, &mut out); // A String never fails to take text.
    out
}

/// [`print()`] into any writer.
pub fn write(zone: &Zone, out: &mut impl Write) -> fmt::Result {
    let mut sets: Vec<&Rrset> = zone.rrsets.iter().collect();
    sets.sort_by_cached_key(|rrset| (order_key(&rrset.name.to_lowercase()), rank(rrset.rtype)));
    let ttl = commonest_ttl(&zone.rrsets);
    writeln!(out, "$ORIGIN {}", zone.origin)?;
    if let Some(ttl) = ttl {
        writeln!(out, "$TTL {ttl}")?;
    }
    let aside = zone.rrsets.iter().any(|rrset| Some(rrset.ttl) != ttl);
    let mut last: Option<&DnsName> = None;
    for rrset in sets {
        for rdata in &rrset.rdatas {
            let mut head = String::new();
            if last != Some(&rrset.name) {
                _ = write!(head, "{}", rrset.name.relative_to(&zone.origin));
                last = Some(&rrset.name);
            }
            pad(&mut head, OWNER_WIDTH);
            if aside {
                if Some(rrset.ttl) != ttl {
                    _ = write!(head, "{}", rrset.ttl);
                }
                pad(&mut head, OWNER_WIDTH + TTL_WIDTH);
            }
            head.push_str(&rtype_to_text(rrset.rtype));
            let left = OWNER_WIDTH + TYPE_WIDTH + if aside { TTL_WIDTH } else { 0 };
            pad(&mut head, left);
            out.write_str(&head)?;
            data(out, rrset.rtype, rdata, &zone.origin, left)?;
            out.write_char('\n')?;
        }
    }
    Ok(())
}

/// Blanks up to a column, one at least.
fn pad(line: &mut String, column: usize) {
    let missing = column.saturating_sub(line.chars().count()).max(1);
    line.extend(std::iter::repeat_n(' ', missing));
}

/// SOA and NS come first at a name, as people write them.
fn rank(rtype: u16) -> (u8, u16) {
    let class = match rtype {
        rtype::SOA => 0,
        rtype::NS => 1,
        _ => 2,
    };
    (class, rtype)
}

/// The lifetime most RRsets have; the smallest of several such.
fn commonest_ttl(rrsets: &[Rrset]) -> Option<u32> {
    let mut ttls: Vec<u32> = rrsets.iter().map(|rrset| rrset.ttl).collect();
    ttls.sort_unstable();
    let runs = ttls.chunk_by(|a, b| a == b);
    runs.rev().max_by_key(|run| run.len()).map(|run| run[0])
}

fn data(out: &mut impl Write, rtype: u16, rdata: &[u8], origin: &DnsName, left: usize) -> fmt::Result {
    if let Some(soa) = Soa::parse(rdata).ok().filter(|_| rtype == rtype::SOA) {
        return write_soa(out, &soa, origin, left);
    }
    let text = print_relative(rtype, rdata, origin);
    if text.len() <= DATA_WIDTH {
        return out.write_str(&text);
    }
    match text.rsplit_once(' ') {
        Some((front, digits)) if ends_in_digits(rtype) || text.starts_with("\\#") => {
            write!(out, "{front} (")?;
            for line in digits.as_bytes().chunks(DIGITS_WIDTH) {
                let line = str::from_utf8(line).unwrap_or_default();
                write!(out, "\n{:left$}{line}", "")?;
            }
            out.write_str(" )")
        }
        _ if rtype == rtype::TXT => write_txt(out, rdata, left),
        _ => out.write_str(&text),
    }
}

/// A string a line.
fn write_txt(out: &mut impl Write, rdata: &[u8], left: usize) -> fmt::Result {
    let mut rest = rdata;
    while let Some((&len, _)) = rest.split_first() {
        let (text, tail) = rest.split_at((usize::from(len) + 1).min(rest.len()));
        match (rest.len() == rdata.len(), tail.is_empty()) {
            (true, true) => return out.write_str(&print_rdata(rtype::TXT, text)),
            (true, false) => out.write_str("( ")?,
            (false, _) => write!(out, "\n{:left$}", "")?,
        }
        out.write_str(&print_rdata(rtype::TXT, text))?;
        rest = tail;
    }
    out.write_str(" )")
}

fn write_soa(out: &mut impl Write, soa: &Soa, origin: &DnsName, left: usize) -> fmt::Result {
    write!(out, "{} {} (", soa.mname.relative_to(origin), soa.rname.relative_to(origin))?;
    let numbers = [
        (soa.serial, "serial"),
        (soa.refresh, "refresh"),
        (soa.retry, "retry"),
        (soa.expire, "expire"),
        (soa.minimum, "minimum"),
    ];
    for (number, word) in numbers {
        write!(out, "\n{:left$}{number:<10} ; {word}", "")?;
    }
    write!(out, "\n{:left$})", "")
}
