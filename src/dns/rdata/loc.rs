//! LOC: where something is on Earth (RFC 1876).
//!
//! Wire form: version 0, size, two precisions (each a decimal digit and a power of ten, in centimetres), then
//! latitude and longitude in thousandths of an arc second around 2^31, and altitude in centimetres above −100 km.

use std::fmt::Write as _;

use super::RdataError;
use super::parse::{TextError, TextFault};
use super::token::Token;

/// All of version 0.
pub(super) const LEN: usize = 16;

const EQUATOR: u32 = 1 << 31;
const SEA_LEVEL: u32 = 10_000_000;
/// Thousandths of an arc second in a degree.
const DEGREE: u32 = 3_600_000;
/// What is meant where the text leaves out size and precisions (§3): 1 m, 10 km, 10 m.
const DEFAULT_SIZES: [u8; 3] = [0x12, 0x16, 0x13];

pub(super) fn check(rest: &[u8]) -> Result<(), RdataError> {
    let Some((first, _)) = rest.split_first_chunk::<LEN>() else { return Err(RdataError::Short("location")) };
    let rule = |rule: &'static str| Err(RdataError::Rule("location", rule));
    if first[0] != 0 {
        return rule("is of a version other than 0");
    }
    if first[1..4].iter().any(|size| size >> 4 > 9 || size & 15 > 9) {
        return rule("has a size that is no decimal digit and power of ten");
    }
    let [latitude, longitude, _] = numbers(first);
    if latitude.abs_diff(EQUATOR) > 90 * DEGREE || longitude.abs_diff(EQUATOR) > 180 * DEGREE {
        return rule("lies beyond 90 degrees of latitude or 180 of longitude");
    }
    Ok(())
}

fn numbers(octets: &[u8; LEN]) -> [u32; 3] {
    [4, 8, 12].map(|at| octets[at..at + 4].iter().fold(0, |number, &octet| number << 8 | u32::from(octet)))
}

/// Writes a checked location; none where a size is a zero with a power of ten, which no text stands for.
pub(super) fn print(out: &mut String, octets: &[u8]) -> Option<()> {
    let octets: &[u8; LEN] = octets.try_into().ok()?;
    let [latitude, longitude, altitude] = numbers(octets);
    angle(out, latitude, ["N", "S"]);
    angle(out, longitude, ["E", "W"]);
    let sign = if altitude < SEA_LEVEL { "-" } else { "" };
    let altitude = altitude.abs_diff(SEA_LEVEL);
    _ = write!(out, "{sign}{}.{:02}m", altitude / 100, altitude % 100);
    for size in &octets[1..4] {
        let (digit, power) = (u64::from(size >> 4), u32::from(size & 15));
        if digit == 0 && power > 0 {
            return None;
        }
        let centimetres = digit * 10_u64.pow(power);
        _ = match power {
            0 | 1 => write!(out, " 0.{centimetres:02}m"),
            _ => write!(out, " {}m", centimetres / 100),
        };
    }
    Some(())
}

fn angle(out: &mut String, value: u32, [positive, negative]: [&str; 2]) {
    let side = if value < EQUATOR { negative } else { positive };
    let value = value.abs_diff(EQUATOR);
    let (degrees, minutes) = (value / DEGREE, value % DEGREE / 60_000);
    let (seconds, thousandths) = (value % 60_000 / 1_000, value % 1_000);
    _ = write!(out, "{degrees} {minutes} {seconds}.{thousandths:03} {side} ");
}

/// Reads `52 22 23.000 N 4 53 32.000 E -2.00m 1m 10000m 10m`; minutes, seconds, sizes may be left out.
pub(super) fn parse(tokens: &[Token<'_>]) -> Result<[u8; LEN], TextError> {
    let mut rest = tokens;
    let latitude = read_angle(&mut rest, "latitude", ["N", "S"], 90)?;
    let longitude = read_angle(&mut rest, "longitude", ["E", "W"], 180)?;
    let altitude = read_altitude(&mut rest)?;
    let mut sizes = DEFAULT_SIZES;
    for (size, field) in sizes.iter_mut().zip(["size", "horizontal precision", "vertical precision"]) {
        let Some(token) = take(&mut rest) else { break };
        let expected = "metres up to 90000000.00, like 10m";
        let metres = token.word().and_then(metres).and_then(size_octet);
        *size = metres.ok_or_else(|| TextFault::not(field, token, expected))?;
    }
    if let Some(token) = take(&mut rest) {
        return Err(TextFault::Surplus(String::from_utf8_lossy(token.raw).into_owned()).at(token));
    }
    let mut octets = [0; LEN];
    octets[1..4].copy_from_slice(&sizes);
    octets[4..8].copy_from_slice(&latitude.to_be_bytes());
    octets[8..12].copy_from_slice(&longitude.to_be_bytes());
    octets[12..].copy_from_slice(&altitude.to_be_bytes());
    Ok(octets)
}

fn take<'t, 'a>(rest: &mut &'t [Token<'a>]) -> Option<&'t Token<'a>> {
    let (first, tail) = rest.split_first()?;
    *rest = tail;
    Some(first)
}

/// Degrees, minutes, seconds up to the letter of a side.
fn read_angle(
    rest: &mut &[Token<'_>],
    field: &'static str,
    [positive, negative]: [&str; 2],
    most: u32,
) -> Result<u32, TextError> {
    let expected =
        "degrees [minutes [seconds]] and N or S, then the same with E or W, like 52 22 23.5 N 4 53 32 E";
    let mut value = 0;
    for (index, (unit, limit)) in [(DEGREE, most), (60_000, 59), (1, 59_999), (0, 0)].into_iter().enumerate()
    {
        let token = take(rest).ok_or(TextFault::Missing(field).at_end())?;
        if index > 0 && (token.is(positive) || token.is(negative)) {
            let value = if token.is(positive) { EQUATOR + value } else { EQUATOR - value };
            let in_range = value.abs_diff(EQUATOR) <= most * DEGREE;
            return if in_range { Ok(value) } else { Err(TextFault::not(field, token, expected)) };
        }
        let decimals = if index == 2 { 3 } else { 0 };
        let number = token.word().and_then(|text| fixed(text, decimals));
        let number = number.filter(|&number| index < 3 && number <= u64::from(limit));
        value += number.ok_or_else(|| TextFault::not(field, token, expected))? as u32 * unit;
    }
    Err(TextFault::Missing(field).at_end())
}

fn read_altitude(rest: &mut &[Token<'_>]) -> Result<u32, TextError> {
    let field = "altitude";
    let token = take(rest).ok_or(TextFault::Missing(field).at_end())?;
    let read = |text: &str| match text.strip_prefix('-') {
        Some(text) => SEA_LEVEL.checked_sub(u32::try_from(metres(text)?).ok()?),
        None => SEA_LEVEL.checked_add(u32::try_from(metres(text)?).ok()?),
    };
    let expected = "metres from -100000.00 to 42849672.95, like -2.5m";
    token.word().and_then(read).ok_or_else(|| TextFault::not(field, token, expected))
}

/// Centimetres of `12.34` or `12.34m`.
fn metres(text: &str) -> Option<u64> {
    fixed(text.strip_suffix(['m', 'M']).unwrap_or(text), 2)
}

/// The number without its point: `1.5` with two decimals is 150.
fn fixed(text: &str, decimals: usize) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|octet| octet.is_ascii_digit());
    if whole.is_empty()
        || whole.len() > 12
        || fraction.len() > decimals
        || !digits(whole)
        || !digits(fraction)
    {
        return None;
    }
    format!("{whole}{fraction:0<decimals$}").parse().ok()
}

/// The digit and power of ten nearest below; none above 9·10⁹ cm.
fn size_octet(centimetres: u64) -> Option<u8> {
    let (mut digit, mut power) = (centimetres, 0);
    while digit > 9 {
        digit /= 10;
        power += 1;
    }
    (power <= 9).then_some((digit as u8) << 4 | power)
}
