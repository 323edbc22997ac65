//! Parameters of SVCB and HTTPS records (RFC 9460 §2 and §7, RFC 9461 `dohpath`, RFC 9540 `ohttp`).
//!
//! In wire form: key u16, length u16, value; keys strictly ascending. In text: `key=value` in any order, lists with
//! commas, and a comma inside a list's item escaped before the string's own escapes (Appendix A there).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::RdataError;
use super::parse::{TextError, TextFault, decimal};
use super::print::quoted;
use super::token::{LexFault, Quotes, Token, octets};

const MANDATORY: u16 = 0;
const ALPN: u16 = 1;
const NO_DEFAULT_ALPN: u16 = 2;
const PORT: u16 = 3;
const IPV4HINT: u16 = 4;
const ECH: u16 = 5;
const IPV6HINT: u16 = 6;
const DOHPATH: u16 = 7;
const OHTTP: u16 = 8;
/// Reserved, never to be used (RFC 9460 §14.3.2).
const INVALID: u16 = 65_535;

const KEYS: &[(u16, &str)] = &[
    (MANDATORY, "mandatory"),
    (ALPN, "alpn"),
    (NO_DEFAULT_ALPN, "no-default-alpn"),
    (PORT, "port"),
    (IPV4HINT, "ipv4hint"),
    (ECH, "ech"),
    (IPV6HINT, "ipv6hint"),
    (DOHPATH, "dohpath"),
    (OHTTP, "ohttp"),
];

fn key_to_text(key: u16) -> Cow<'static, str> {
    match KEYS.iter().find(|(known, _)| *known == key) {
        Some((_, text)) => Cow::Borrowed(text),
        None => Cow::Owned(format!("key{key}")),
    }
}

/// A key by name or as `keyNNNNN`, without leading zeros; `true` where its value is octets as they are.
fn key_from_text(text: &[u8]) -> Option<(u16, bool)> {
    let text = std::str::from_utf8(text).ok()?;
    if let Some((key, _)) = KEYS.iter().find(|(_, word)| word.eq_ignore_ascii_case(text)) {
        return Some((*key, false));
    }
    let (word, digits) = text.split_at_checked(3)?;
    let plain =
        digits.bytes().all(|octet| octet.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    if !word.eq_ignore_ascii_case("key") || !plain {
        return None;
    }
    Some((digits.parse().ok()?, true))
}

/// Cuts the parameter `rest` starts with off.
fn take(rest: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let [k1, k0, l1, l0, tail @ ..] = rest else { return None };
    let len = usize::from(u16::from_be_bytes([*l1, *l0]));
    let (value, tail) = tail.split_at_checked(len)?;
    Some((u16::from_be_bytes([*k1, *k0]), value, tail))
}

/// Whether `params`, which is whole, holds all of `keys`. Both ascend, so one pass does.
fn holds(params: &[u8], keys: &[[u8; 2]]) -> bool {
    let mut missing = keys.iter().map(|key| u16::from_be_bytes(*key)).peekable();
    let mut rest = params;
    while let Some((found, _, tail)) = take(rest) {
        missing.next_if_eq(&found);
        rest = tail;
    }
    missing.peek().is_none()
}

/// Checks parameters in wire form.
pub(super) fn check(params: &[u8]) -> Result<(), RdataError> {
    let rule = |rule: &'static str| RdataError::Rule("parameters", rule);
    let mut rest = params;
    let mut last = None;
    while !rest.is_empty() {
        let (key, value, tail) = take(rest).ok_or(RdataError::Short("parameters"))?;
        if last.is_some_and(|last| key <= last) {
            return Err(rule("are not in ascending order, each key once"));
        }
        check_value(key, value).map_err(rule)?;
        if key == MANDATORY && !holds(params, value.as_chunks().0) {
            return Err(rule("lack a key that `mandatory` lists"));
        }
        if key == NO_DEFAULT_ALPN && !holds(params, &[ALPN.to_be_bytes()]) {
            return Err(rule("with `no-default-alpn` need `alpn` too"));
        }
        (last, rest) = (Some(key), tail);
    }
    Ok(())
}

/// Checks one value; says what it must be.
fn check_value(key: u16, value: &[u8]) -> Result<(), &'static str> {
    let keep = |good: bool, rule: &'static str| if good { Ok(()) } else { Err(rule) };
    match key {
        MANDATORY => {
            let (keys, left) = value.as_chunks::<2>();
            let ascending = keys.is_sorted_by(|a, b| a < b) && keys.first() != Some(&[0, 0]);
            keep(
                !keys.is_empty() && left.is_empty() && ascending,
                "must list at least one key, each once and not itself",
            )
        }
        ALPN => {
            let mut rest = value;
            while let [len @ 1..=255, tail @ ..] = rest {
                let Some(next) = tail.get(usize::from(*len)..) else { break };
                rest = next;
            }
            keep(rest.is_empty() && !value.is_empty(), "must list at least one protocol of 1 to 255 octets")
        }
        NO_DEFAULT_ALPN | OHTTP => keep(value.is_empty(), "must have no value"),
        PORT => keep(value.len() == 2, "must be a number from 0 to 65535"),
        IPV4HINT => {
            keep(!value.is_empty() && value.len().is_multiple_of(4), "must list at least one IPv4 address")
        }
        IPV6HINT => {
            keep(!value.is_empty() && value.len().is_multiple_of(16), "must list at least one IPv6 address")
        }
        ECH => keep(!value.is_empty(), "must be base64 of at least one octet"),
        DOHPATH => keep(
            value.starts_with(b"/") && std::str::from_utf8(value).is_ok(),
            "must be a path in UTF-8 that begins with `/`, like /dns-query{?dns}",
        ),
        INVALID => Err("must not be used"),
        _ => Ok(()),
    }
}

/// Reads parameters, and appends their wire form.
pub(super) fn parse(tokens: &[Token<'_>], out: &mut Vec<u8>) -> Result<(), TextError> {
    let mut params: BTreeMap<u16, Vec<u8>> = BTreeMap::new();
    for token in tokens {
        let equals = token.raw.iter().position(|&octet| octet == b'=').unwrap_or(token.raw.len());
        let word = String::from_utf8_lossy(&token.raw[..equals]).escape_debug().to_string();
        let fault = |rule: &'static str| TextFault::Param(word.clone(), rule).at(token);
        let (key, opaque) = key_from_text(&token.raw[..equals])
            .filter(|_| token.quotes != Quotes::Whole)
            .ok_or_else(|| fault("no such key: write alpn=, port=, ipv4hint= … or keyNNNNN="))?;
        let raw = token.raw.get(equals + 1..).unwrap_or_default();
        let raw = match token.quotes {
            Quotes::Value => raw.strip_prefix(b"\"").and_then(|raw| raw.strip_suffix(b"\"")),
            Quotes::None | Quotes::Whole => Some(raw),
        };
        let raw = raw.ok_or_else(|| TextFault::from(LexFault::StrayQuote).at(token))?;
        let text = octets(raw).ok_or_else(|| TextFault::Escape.at(token))?;
        let value = if opaque { Ok(text) } else { value_from_text(key, &text) };
        let value = value.and_then(|value| check_value(key, &value).map(|()| value)).map_err(fault)?;
        if value.len() > usize::from(u16::MAX) {
            return Err(fault("is longer than 65535 octets"));
        }
        if params.insert(key, value).is_some() {
            return Err(fault("stands twice"));
        }
    }
    for (key, value) in params {
        out.extend_from_slice(&key.to_be_bytes());
        out.extend_from_slice(&(value.len() as u16).to_be_bytes());
        out.extend_from_slice(&value);
    }
    Ok(())
}

/// The octets of a known key's value; what [`check_value`] refuses anyway may pass.
fn value_from_text(key: u16, text: &[u8]) -> Result<Vec<u8>, &'static str> {
    let word = || std::str::from_utf8(text).map_err(|_| "is not readable");
    Ok(match key {
        MANDATORY => {
            let keys = text.split(|&octet| octet == b',').map(key_from_text).collect::<Option<Vec<_>>>();
            let mut keys = keys.ok_or("lists something that is no key")?;
            keys.sort_unstable();
            keys.iter().flat_map(|(key, _)| key.to_be_bytes()).collect()
        }
        ALPN => {
            let mut value = Vec::new();
            for item in list(text)? {
                value.push(u8::try_from(item.len()).map_err(|_| "lists a protocol of more than 255 octets")?);
                value.extend_from_slice(&item);
            }
            value
        }
        PORT => {
            let port = decimal(word()?).and_then(|port| u16::try_from(port).ok());
            port.ok_or("must be a number from 0 to 65535")?.to_be_bytes().to_vec()
        }
        IPV4HINT => {
            let addresses =
                word()?.split(',').map(|text| text.parse().map(|address: Ipv4Addr| address.octets()));
            let addresses: Result<Vec<_>, _> = addresses.collect();
            addresses.map_err(|_| "lists something that is no IPv4 address")?.concat()
        }
        IPV6HINT => {
            let addresses =
                word()?.split(',').map(|text| text.parse().map(|address: Ipv6Addr| address.octets()));
            let addresses: Result<Vec<_>, _> = addresses.collect();
            addresses.map_err(|_| "lists something that is no IPv6 address")?.concat()
        }
        ECH => STANDARD.decode(text).map_err(|_| "must be base64, with its padding")?,
        _ => text.to_vec(),
    })
}

/// A list with commas, `\,` and `\\` inside its items (RFC 9460 Appendix A.1).
fn list(text: &[u8]) -> Result<Vec<Vec<u8>>, &'static str> {
    let mut items = vec![Vec::new()];
    let mut octets = text.iter();
    while let Some(&octet) = octets.next() {
        let item = items.last_mut().expect("the list starts with an item");
        match octet {
            b',' => items.push(Vec::new()),
            b'\\' => match octets.next() {
                Some(octet @ (b',' | b'\\')) => item.push(*octet),
                _ => return Err("has a broken escape: inside a list write `\\\\,` and `\\\\\\\\`"),
            },
            _ => item.push(octet),
        }
    }
    Ok(items)
}

/// Writes checked parameters, as dig does.
pub(super) fn print(out: &mut String, params: &[u8]) {
    let mut rest = params;
    while let Some((key, value, tail)) = take(rest) {
        if rest.len() < params.len() {
            out.push(' ');
        }
        out.push_str(&key_to_text(key));
        if !value.is_empty() {
            out.push('=');
            print_value(out, key, value);
        }
        rest = tail;
    }
}

fn print_value(out: &mut String, key: u16, value: &[u8]) {
    let comma = |index: usize| if index == 0 { "" } else { "," };
    match key {
        MANDATORY => {
            for (index, key) in value.as_chunks().0.iter().enumerate() {
                _ = write!(out, "{}{}", comma(index), key_to_text(u16::from_be_bytes(*key)));
            }
        }
        ALPN => {
            let mut list = Vec::new();
            let mut rest = value;
            while let [len, tail @ ..] = rest {
                let (item, tail) = tail.split_at(usize::from(*len));
                if rest.len() < value.len() {
                    list.push(b',');
                }
                for &octet in item {
                    if matches!(octet, b',' | b'\\') {
                        list.push(b'\\');
                    }
                    list.push(octet);
                }
                rest = tail;
            }
            quoted(out, &list);
        }
        PORT => _ = write!(out, "{}", u16::from_be_bytes([value[0], value[1]])),
        IPV4HINT => {
            for (index, address) in value.as_chunks::<4>().0.iter().enumerate() {
                _ = write!(out, "{}{}", comma(index), Ipv4Addr::from(*address));
            }
        }
        IPV6HINT => {
            for (index, address) in value.as_chunks::<16>().0.iter().enumerate() {
                _ = write!(out, "{}{}", comma(index), Ipv6Addr::from(*address));
            }
        }
        ECH => STANDARD.encode_string(value, out),
        _ => quoted(out, value),
    }
}
