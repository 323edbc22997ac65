//! RDATA from its text form: the types' own (their RFCs'), and RFC 3597's for every type.

use std::net::{Ipv4Addr, Ipv6Addr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::table::{self, Form, Part, rtype_to_text};
use super::token::{Item, LexFault, Lexer, Place, Quotes, Token};
use super::{RDATA_MAX, RdataError, loc, svcb, validate};
use crate::dns::name::{DnsName, NameError};

/// The longest character-string (RFC 1035 §3.3).
pub(super) const TEXT_MAX: usize = 255;

/// Text that is not the RDATA of a type, and the word at fault; none where words are missing at the end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct TextError {
    /// Where the word at fault begins.
    pub place: Option<Place>,
    /// What is wrong with it.
    pub what: TextFault,
}

/// What is wrong with a word of RDATA.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextFault {
    /// The words end before this part.
    #[error("the {0} is missing")]
    Missing(&'static str),
    /// A word behind the last part.
    #[error("unexpected `{0}` behind the record's last field; a text with blanks needs quotes")]
    Surplus(String),
    /// A word that is not what the part needs.
    #[error("`{found}` is not a valid {field}: write {expected}")]
    Not {
        /// The part.
        field: &'static str,
        /// What was found.
        found: String,
        /// What to write.
        expected: &'static str,
    },
    /// An escape that is none.
    #[error("a broken escape; write `\\\\` for a backslash, `\\DDD` (000 to 255) for any octet")]
    Escape,
    /// A character-string of more than 255 octets.
    #[error("a string of {0} octets; one has at most {TEXT_MAX}: split it into several strings, \"…\" \"…\"")]
    LongText(usize),
    /// A name that is none.
    #[error("the {0}: {1}")]
    Name(&'static str, NameError),
    /// An opaque type not written as RFC 3597 has it.
    #[error("{0} has no text form of its own; write `\\# LENGTH HEX` (RFC 3597)")]
    Opaque(String),
    /// RFC 3597's length and the octets behind it differ.
    #[error("`\\#` announces {announced} octets, but {found} follow")]
    Length {
        /// The length in the text.
        announced: usize,
        /// The octets behind it.
        found: usize,
    },
    /// A SVCB parameter breaks a rule.
    #[error("parameter `{0}`: {1}")]
    Param(String, &'static str),
    /// The octets the text stands for are not well-formed.
    #[error(transparent)]
    Rdata(#[from] RdataError),
    /// No words can be made of the text.
    #[error(transparent)]
    Lex(#[from] LexFault),
}

impl TextFault {
    pub(super) fn at(self, token: &Token<'_>) -> TextError {
        TextError { place: Some(token.place), what: self }
    }

    pub(super) fn at_end(self) -> TextError {
        TextError { place: None, what: self }
    }

    pub(super) fn not(field: &'static str, token: &Token<'_>, expected: &'static str) -> TextError {
        TextFault::Not { field, found: shown(token.raw), expected }.at(token)
    }
}

/// Octets of a person's text, short enough for a message.
fn shown(raw: &[u8]) -> String {
    const SHOWN_MAX: usize = 40;
    let text = String::from_utf8_lossy(raw);
    match text.char_indices().nth(SHOWN_MAX) {
        Some((cut, _)) => format!("{}…", text[..cut].escape_debug()),
        None => text.escape_debug().to_string(),
    }
}

/// Reads RDATA from text outside a master file; line breaks are blanks.
pub fn parse_str(rtype: u16, text: &str, origin: Option<&DnsName>) -> Result<Vec<u8>, TextError> {
    let mut lexer = Lexer::new(text.as_bytes());
    let mut tokens = Vec::new();
    loop {
        match lexer.next_item() {
            Ok(Item::Token(token)) => tokens.push(token),
            Ok(Item::End) => return parse_text(rtype, &tokens, origin),
            Ok(Item::Newline | Item::Open | Item::Close) => {}
            Err((place, fault)) => return Err(TextError { place: Some(place), what: fault.into() }),
        }
    }
}

/// Reads the words of RDATA; relative names get `origin`. The octets are well-formed, and as written: not canonical.
pub fn parse_text(rtype: u16, tokens: &[Token<'_>], origin: Option<&DnsName>) -> Result<Vec<u8>, TextError> {
    let mut rdata = Vec::new();
    let mut words = Words { tokens, next: 0, origin };
    if let Some(marker) = tokens.first().filter(|token| token.is("\\#")) {
        words.next = 1;
        words.generic(&mut rdata)?;
        validate(rtype, &rdata).map_err(|error| TextFault::from(error).at(marker))?;
        return Ok(rdata);
    }
    let Some(parts) = table::parts(rtype) else {
        let what = TextFault::Opaque(rtype_to_text(rtype).into_owned());
        return Err(TextError { place: tokens.first().map(|token| token.place), what });
    };
    for part in parts {
        words.part(*part, &mut rdata)?;
    }
    if let Some(token) = words.tokens.get(words.next) {
        return Err(TextFault::Surplus(shown(token.raw)).at(token));
    }
    validate(rtype, &rdata)
        .map_err(|error| TextError { place: tokens.last().map(|token| token.place), what: error.into() })?;
    Ok(rdata)
}

/// The words of one RDATA, read from the left.
struct Words<'t, 'a> {
    tokens: &'t [Token<'a>],
    next: usize,
    origin: Option<&'t DnsName>,
}

impl<'t, 'a> Words<'t, 'a> {
    fn take(&mut self, field: &'static str) -> Result<&'t Token<'a>, TextError> {
        let token = self.tokens.get(self.next).ok_or(TextFault::Missing(field).at_end())?;
        self.next += 1;
        Ok(token)
    }

    /// All words that are left.
    fn rest(&mut self) -> &'t [Token<'a>] {
        let rest = &self.tokens[self.next.min(self.tokens.len())..];
        self.next = self.tokens.len();
        rest
    }

    fn part(&mut self, (field, form): Part, out: &mut Vec<u8>) -> Result<(), TextError> {
        const OCTET: &str = "a number from 0 to 255";
        const SHORT: &str = "a number from 0 to 65535";
        match form {
            Form::U8 => out.push(self.parsed(field, OCTET, |text| decimal(text)?.try_into().ok())?),
            Form::U16 => {
                let number: u16 = self.parsed(field, SHORT, |text| decimal(text)?.try_into().ok())?;
                out.extend_from_slice(&number.to_be_bytes());
            }
            Form::U32 => {
                let number = self.parsed(field, "a number from 0 to 4294967295", decimal)?;
                out.extend_from_slice(&number.to_be_bytes());
            }
            Form::Seconds => {
                let seconds = self.parsed(field, "seconds, or a time like 1h30m", parse_seconds)?;
                out.extend_from_slice(&seconds.to_be_bytes());
            }
            Form::CertType => {
                let expected =
                    "PKIX, SPKI, PGP, IPKIX, ISPKI, IPGP, ACPKIX, IACPKIX, URI, OID or a number to 65535";
                let number = self.parsed(field, expected, table::cert_type_from_text)?;
                out.extend_from_slice(&number.to_be_bytes());
            }
            Form::Algorithm(_) => {
                let expected = "a mnemonic like ED25519 or a number to 255";
                out.push(self.parsed(field, expected, table::algorithm_from_text)?);
            }
            Form::Ipv4 => {
                let address = self
                    .parsed(field, "an IPv4 address like 192.0.2.1", |text| text.parse::<Ipv4Addr>().ok())?;
                out.extend_from_slice(&address.octets());
            }
            Form::Ipv6 => {
                let address = self.parsed(field, "an IPv6 address like 2001:db8::1", |text| {
                    text.parse::<Ipv6Addr>().ok()
                })?;
                out.extend_from_slice(&address.octets());
            }
            Form::Name(_) => {
                let token = self.take(field)?;
                let name =
                    name(token, self.origin).map_err(|error| TextFault::Name(field, error).at(token))?;
                out.extend_from_slice(name.as_wire());
            }
            Form::Eui(len) => {
                let expected = "pairs of hexadecimal digits with dashes: 00-00-5e-00-53-2a";
                let octets = self.parsed(field, expected, |text| eui(text, len))?;
                out.extend_from_slice(&octets);
            }
            Form::Text | Form::Tag => text(self.take(field)?, out)?,
            Form::Texts => {
                text(self.take(field)?, out)?;
                for token in self.rest() {
                    text(token, out)?;
                }
            }
            Form::Tail | Form::FullTail => out.extend_from_slice(&octets(self.take(field)?)?),
            Form::Hex => self.hex(field, out)?,
            Form::Base64 => self.base64(field, out)?,
            Form::Loc => out.extend_from_slice(&loc::parse(self.rest())?),
            Form::SvcParams => svcb::parse(self.rest(), out)?,
        }
        Ok(())
    }

    /// The next word, by a function that reads it.
    fn parsed<T>(
        &mut self,
        field: &'static str,
        expected: &'static str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, TextError> {
        let token = self.take(field)?;
        token.word().and_then(read).ok_or_else(|| TextFault::not(field, token, expected))
    }

    /// Hexadecimal digits to the end; blanks may stand anywhere, even inside an octet.
    fn hex(&mut self, field: &'static str, out: &mut Vec<u8>) -> Result<(), TextError> {
        let expected = "an even number of hexadecimal digits";
        let first = self.take(field)?;
        self.next -= 1;
        let mut high = None;
        for token in self.rest() {
            for &octet in token.raw {
                let digit = char::from(octet).to_digit(16).filter(|_| token.quotes == Quotes::None);
                let digit = digit.ok_or_else(|| TextFault::not(field, token, expected))? as u8;
                match high.take() {
                    None => high = Some(digit << 4),
                    Some(high) => out.push(high | digit),
                }
            }
        }
        if high.is_some() { Err(TextFault::not(field, first, expected)) } else { Ok(()) }
    }

    /// Base64 to the end; blanks may stand anywhere.
    fn base64(&mut self, field: &'static str, out: &mut Vec<u8>) -> Result<(), TextError> {
        let first = self.take(field)?;
        self.next -= 1;
        let text = self.rest().iter().flat_map(|token| token.raw).copied().collect::<Vec<u8>>();
        let octets = STANDARD.decode(text);
        out.extend(octets.map_err(|_| TextFault::not(field, first, "base64, with its padding"))?);
        Ok(())
    }

    /// RFC 3597 §5, behind its `\#`: a length and that many octets in hexadecimal.
    fn generic(&mut self, out: &mut Vec<u8>) -> Result<(), TextError> {
        let length = self.take("length")?;
        let announced = length.word().and_then(decimal).map(|number| number as usize);
        let announced = announced
            .filter(|&announced| announced <= RDATA_MAX)
            .ok_or_else(|| TextFault::not("length", length, "a number from 0 to 65535"))?;
        if self.next < self.tokens.len() {
            self.hex("data", out)?;
        }
        if out.len() == announced {
            return Ok(());
        }
        Err(TextFault::Length { announced, found: out.len() }.at(length))
    }
}

/// The octets of a word or a whole string.
fn octets(token: &Token<'_>) -> Result<Vec<u8>, TextError> {
    if token.quotes == Quotes::Value {
        return Err(TextFault::from(LexFault::StrayQuote).at(token));
    }
    token.octets().ok_or_else(|| TextFault::Escape.at(token))
}

/// A character-string: its length, then its octets.
fn text(token: &Token<'_>, out: &mut Vec<u8>) -> Result<(), TextError> {
    let octets = octets(token)?;
    let len = u8::try_from(octets.len()).map_err(|_| TextFault::LongText(octets.len()).at(token))?;
    out.push(len);
    out.extend_from_slice(&octets);
    Ok(())
}

/// A name; quotes make no difference, as in BIND, but `"@"` is a label.
fn name(token: &Token<'_>, origin: Option<&DnsName>) -> Result<DnsName, NameError> {
    match token.quotes {
        Quotes::None | Quotes::Whole => DnsName::parse_bytes(token.raw, origin),
        Quotes::Value => Err(NameError::BadEscape),
    }
}

/// A number of digits only: neither sign nor blank.
pub(super) fn decimal(text: &str) -> Option<u32> {
    text.bytes().all(|octet| octet.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Seconds, or numbers with units: `1w2d3h4m5s`, in whatever case.
pub fn parse_seconds(text: &str) -> Option<u32> {
    if let Some(seconds) = decimal(text) {
        return Some(seconds);
    }
    let mut total: u32 = 0;
    let mut number: Option<u32> = None;
    for octet in text.bytes() {
        if octet.is_ascii_digit() {
            number = Some(number.unwrap_or(0).checked_mul(10)?.checked_add(u32::from(octet - b'0'))?);
            continue;
        }
        let unit = match octet.to_ascii_lowercase() {
            b's' => 1,
            b'm' => 60,
            b'h' => 3_600,
            b'd' => 86_400,
            b'w' => 604_800,
            _ => return None,
        };
        total = total.checked_add(number.take()?.checked_mul(unit)?)?;
    }
    (number.is_none() && !text.is_empty()).then_some(total)
}

/// `00-00-5e-00-53-2a` (RFC 7043 §3.2).
fn eui(text: &str, len: usize) -> Option<Vec<u8>> {
    let digits = |pair: &str| pair.len() == 2 && pair.bytes().all(|octet| octet.is_ascii_hexdigit());
    let pair = |pair: &str| if digits(pair) { u8::from_str_radix(pair, 16).ok() } else { None };
    let octets: Vec<u8> = text.split('-').map(pair).collect::<Option<_>>()?;
    (octets.len() == len).then_some(octets)
}
