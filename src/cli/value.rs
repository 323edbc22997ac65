//! Values for people: text as it is, DNS records as a zone file has them, anything else as base 62.

use crate::dns::rdata;
use crate::dns::rrset::{Bundle, RrsetValue, Slotted};
use crate::record::base62;

/// Longer binary is not shown.
const SHOWN_MAX: usize = 512;

/// A value, found under the last ordinal `ordinal`.
pub(crate) fn readable(value: &[u8], ordinal: Option<u64>) -> String {
    if let Some(records) = ordinal.and_then(|ordinal| dns(value, ordinal)) {
        return records;
    }
    match std::str::from_utf8(value) {
        Ok(text) if text.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\t')) => text.to_owned(),
        _ if value.len() <= SHOWN_MAX => format!("\\b{}", base62::encode(value)),
        _ => format!("({} bytes that are no text; --raw prints them)", value.len()),
    }
}

/// `TTL TYPE DATA` lines, if the value is an RRset or a bundle of them.
fn dns(value: &[u8], ordinal: u64) -> Option<String> {
    match Slotted::of(ordinal) {
        Slotted::Rrset(rtype) => {
            let set = RrsetValue::decode(value)?;
            Some(lines(rtype, set.ttl, &set.rdatas))
        }
        Slotted::Bundle => {
            let sets = Bundle::decode(value)?.sets;
            let sets: Vec<String> =
                sets.iter().map(|(rtype, ttl, rdatas)| lines(*rtype, *ttl, rdatas)).collect();
            Some(sets.join("\n"))
        }
        Slotted::Metadata | Slotted::Raw => None,
    }
}

fn lines(rtype: u16, ttl: u32, rdatas: &[Vec<u8>]) -> String {
    let mnemonic = rdata::rtype_to_text(rtype);
    let lines: Vec<String> =
        rdatas.iter().map(|data| format!("{ttl} {mnemonic} {}", rdata::print(rtype, data))).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::rrset::rrset_ordinal;

    #[test]
    fn text_records_and_bytes_are_all_readable() {
        assert_eq!(readable("Grüße".as_bytes(), Some(0)), "Grüße");
        assert_eq!(readable(&[255, 255], Some(0)), "\\bH31");
        let set = RrsetValue { ttl: 60, rdatas: vec![vec![192, 0, 2, 1]], ..RrsetValue::default() };
        assert_eq!(readable(&set.encode(), Some(rrset_ordinal(1))), "60 A 192.0.2.1");
        assert!(readable(&[0; 600], None).contains("600 bytes"));
    }
}
