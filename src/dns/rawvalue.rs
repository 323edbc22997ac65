//! Raw values as DNS data: any value is a TXT; a certificate or an OpenPGP key is a CERT as well (RFC 4398).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::rdata::{RDATA_MAX, rtype};

/// Most bytes of one TXT string (RFC 1035 §3.3).
const STRING_MAX: usize = 255;
/// CERT type of an X.509 certificate (RFC 4398 §2.1).
const PKIX: u16 = 1;
/// CERT type of an OpenPGP packet sequence.
const PGP: u16 = 3;

/// The value as data of a TXT or CERT record; `None` if it is neither that nor fits.
pub(crate) fn rdata(rtype: u16, value: &[u8]) -> Option<Vec<u8>> {
    match rtype {
        rtype::TXT => txt(value),
        rtype::CERT => cert(value),
        _ => None,
    }
}

/// A TXT of the value with its number in front.
pub(crate) fn numbered(ordinal: u64, value: &[u8]) -> Option<Vec<u8>> {
    let mut text = format!("{ordinal} ").into_bytes();
    text.extend_from_slice(value);
    txt(&text)
}

/// Strings of 255 bytes in one record; who reads them concatenates them.
fn txt(value: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(value.len() + value.len() / STRING_MAX + 1);
    if value.is_empty() {
        out.push(0);
    }
    for string in value.chunks(STRING_MAX) {
        out.push(string.len() as u8);
        out.extend_from_slice(string);
    }
    (out.len() <= RDATA_MAX).then_some(out)
}

fn cert(value: &[u8]) -> Option<Vec<u8>> {
    let (kind, body) = if let Some(der) = pem(value, "CERTIFICATE") {
        (PKIX, der)
    } else if let Some(packets) = pem(value, "PGP PUBLIC KEY BLOCK") {
        (PGP, packets)
    } else if is_der_sequence(value) {
        (PKIX, value.to_vec())
    } else if is_openpgp(value) {
        (PGP, value.to_vec())
    } else {
        return None;
    };
    // Key tag and algorithm are 0: they mean nothing for these types.
    let mut out = kind.to_be_bytes().to_vec();
    out.extend_from_slice(&[0, 0, 0]);
    out.extend_from_slice(&body);
    (out.len() <= RDATA_MAX).then_some(out)
}

/// The bytes of a PEM or ASCII-armoured block; headers and the armour's checksum are left out.
fn pem(value: &[u8], label: &str) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(value).ok()?;
    let (_, rest) = text.split_once(&format!("-----BEGIN {label}-----"))?;
    let (body, _) = rest.split_once(&format!("-----END {label}-----"))?;
    let digits: String =
        body.lines().map(str::trim).filter(|line| !line.contains(':') && !line.starts_with('=')).collect();
    STANDARD.decode(digits).ok().filter(|bytes| !bytes.is_empty())
}

/// A DER SEQUENCE that spans exactly the value, itself beginning with a SEQUENCE, as a certificate does.
fn is_der_sequence(value: &[u8]) -> bool {
    match value {
        [0x30, 0x82, high, low, 0x30, ..] => {
            value.len() == 4 + usize::from(u16::from_be_bytes([*high, *low]))
        }
        [0x30, 0x81, len, 0x30, ..] => value.len() == 3 + usize::from(*len),
        _ => false,
    }
}

/// A public-key packet (tag 6) in the old or new format, version 4 or later (RFC 9580 §4.2, §5.5.2).
fn is_openpgp(value: &[u8]) -> bool {
    let ([0x99, _, _, version, ..] | [0xC6, 0..=191, version, ..] | [0xC6, 192..=223, _, version, ..]) =
        value
    else {
        return false;
    };
    (4..=6).contains(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_value_is_several_strings_in_one_record() {
        let rdata = rdata(rtype::TXT, &[b'x'; 300]).unwrap();
        assert_eq!((rdata[0], rdata[256], rdata.len()), (255, 45, 302));
        assert!(super::rdata(rtype::TXT, &vec![b'x'; 65_500]).is_none(), "does not fit a record");
    }

    #[test]
    fn numbers_stand_in_front() {
        assert_eq!(numbered(12, b"line").unwrap(), b"\x0712 line");
    }

    #[test]
    fn certificates_and_keys_are_cert_records_and_other_values_are_not() {
        let der = [&[0x30, 0x82, 0, 4, 0x30, 2, 1, 1][..]].concat();
        let pem =
            format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(&der));
        let want = [&[0, 1, 0, 0, 0][..], &der].concat();
        assert_eq!(rdata(rtype::CERT, pem.as_bytes()), Some(want.clone()));
        assert_eq!(rdata(rtype::CERT, &der), Some(want));
        let armour = "-----BEGIN PGP PUBLIC KEY BLOCK-----\nVersion: x\n\nmQENBA==\n=abcd\n-----END PGP PUBLIC KEY BLOCK-----";
        assert_eq!(rdata(rtype::CERT, armour.as_bytes()), Some(vec![0, 3, 0, 0, 0, 0x99, 1, 13, 4]));
        assert_eq!(rdata(rtype::CERT, b"neigh"), None);
    }
}
