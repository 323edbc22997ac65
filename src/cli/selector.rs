//! Selectors as people write them: `name`, `name#7`, `name#2#10`, `name#`.
//!
//! A name is taken as it is; `\#` and `\\` are a `#` and a `\` in it, and a name that is not text is `\b` and
//! base 62, as in the HTTP interface. Without `#` the ordinal is 0.

use std::fmt::Write;

use super::fail::usage;
use crate::record::base62;

/// A name and the ordinals of it that are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Selector {
    /// The name.
    pub(crate) name: Vec<u8>,
    /// What was written of ordinals.
    pub(crate) ordinals: Ordinals,
}

/// The ordinals a selector means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ordinals {
    /// `name`: none was written, so 0.
    Unsaid,
    /// `name#7`.
    One(u64),
    /// `name#2#10`, `name#2#`, `name#`: both ends included.
    Range(u64, u64),
}

impl Ordinals {
    /// First and last.
    pub(crate) fn bounds(self) -> (u64, u64) {
        match self {
            Ordinals::Unsaid => (0, 0),
            Ordinals::One(ordinal) => (ordinal, ordinal),
            Ordinals::Range(first, last) => (first, last),
        }
    }
}

impl Selector {
    /// Reads one.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Selector> {
        let (name, rest) = split_name(text)?;
        let ordinals = match rest {
            None => Ordinals::Unsaid,
            Some("") => Ordinals::Range(0, u64::MAX),
            Some(rest) => match rest.split_once('#') {
                None => Ordinals::One(number(text, rest)?),
                Some((first, last)) => {
                    let first = if first.is_empty() { 0 } else { number(text, first)? };
                    let last = if last.is_empty() { u64::MAX } else { number(text, last)? };
                    if last < first {
                        return Err(usage(format!("'{text}': the range ends before it begins")));
                    }
                    Ordinals::Range(first, last)
                }
            },
        };
        Ok(Selector { name, ordinals })
    }

    /// The one ordinal meant; a range is refused.
    pub(crate) fn one(&self, text: &str) -> anyhow::Result<u64> {
        match self.ordinals {
            Ordinals::Unsaid => Ok(0),
            Ordinals::One(ordinal) => Ok(ordinal),
            Ordinals::Range(..) => {
                Err(usage(format!("'{text}': a value is set under one ordinal, not under a range of them")))
            }
        }
    }
}

fn number(text: &str, digits: &str) -> anyhow::Result<u64> {
    digits.parse().map_err(|_| {
        usage(format!(
            "'{text}': '{digits}' is not an ordinal (0 to {}); write \\# for a '#' within a name",
            u64::MAX
        ))
    })
}

/// The name, and what follows its first bare `#`.
fn split_name(text: &str) -> anyhow::Result<(Vec<u8>, Option<&str>)> {
    if let Some(binary) = text.strip_prefix("\\b") {
        let (digits, rest) = match binary.split_once('#') {
            Some((digits, rest)) => (digits, Some(rest)),
            None => (binary, None),
        };
        let name = base62::decode(digits.as_bytes())
            .ok_or_else(|| usage(format!("'{text}': what follows \\b is not base 62")))?;
        return Ok((name, rest));
    }
    let mut name = Vec::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        let literal = match c {
            '#' => return Ok((name, Some(&text[at + 1..]))),
            '\\' => match chars.next() {
                Some((_, escaped @ ('#' | '\\'))) => escaped,
                _ => return Err(usage(format!("'{text}': a \\ is written \\\\, a '#' \\#"))),
            },
            c => c,
        };
        name.extend_from_slice(literal.encode_utf8(&mut [0; 4]).as_bytes());
    }
    Ok((name, None))
}

/// A selector as it would be written; an ordinal of 0 goes unsaid.
pub(crate) fn show(name: &[u8], ordinal: Option<u64>) -> String {
    let mut text = match std::str::from_utf8(name) {
        Ok(name) if !name.chars().any(char::is_control) => name.replace('\\', "\\\\").replace('#', "\\#"),
        _ => format!("\\b{}", base62::encode(name)),
    };
    if let Some(ordinal) = ordinal.filter(|ordinal| *ordinal != 0) {
        let _ = write!(text, "#{ordinal}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(text: &str) -> (Vec<u8>, (u64, u64)) {
        let selector = Selector::parse(text).unwrap();
        (selector.name, selector.ordinals.bounds())
    }

    #[test]
    fn every_form_of_ordinals_is_read() {
        assert_eq!(bounds("horse"), (b"horse".to_vec(), (0, 0)));
        assert_eq!(bounds("horse#2"), (b"horse".to_vec(), (2, 2)));
        assert_eq!(bounds("horse#2#10"), (b"horse".to_vec(), (2, 10)));
        assert_eq!(bounds("horse#"), (b"horse".to_vec(), (0, u64::MAX)));
        assert_eq!(bounds("horse#2#"), (b"horse".to_vec(), (2, u64::MAX)));
        assert_eq!(bounds("horse##9"), (b"horse".to_vec(), (0, 9)));
        assert_eq!(bounds(""), (vec![], (0, 0)));
    }

    #[test]
    fn what_is_shown_reads_back() {
        for name in
            [&b"plain"[..], b"a#b", b"a\\b", &[0xFF, 0, 1], "\u{1F40E} horse".as_bytes(), b"\\bx", b""]
        {
            for ordinal in [0, 7] {
                let selector = Selector::parse(&show(name, Some(ordinal))).unwrap();
                assert_eq!((selector.name.as_slice(), selector.ordinals.bounds().0), (name, ordinal));
            }
        }
    }

    #[test]
    fn nonsense_is_refused_in_words() {
        for text in ["a#x", "a#9#2", "a\\q", "a#1#2#3", "\\b!", "a#-1"] {
            assert!(Selector::parse(text).is_err(), "{text}");
        }
        let range = Selector::parse("a#1#2").unwrap();
        assert!(range.one("a#1#2").unwrap_err().to_string().contains("one ordinal"));
    }
}
