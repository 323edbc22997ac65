//! Words of the master file format (RFC 1035 §5.1), each with its line and column.
//!
//! The lexer knows quotes, escapes, comments and parentheses, and nothing of what words mean. A column counts
//! characters, as editors do: octets that continue a UTF-8 sequence do not count.

use std::fmt;

use crate::dns::name::unescape;

/// A line and a column, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: u32,
    /// The character in the line.
    pub column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// How a word was quoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quotes {
    /// Not at all.
    None,
    /// `"text"`; [`Token::raw`] is what stands between the quotes.
    Whole,
    /// `key="text"`, the form of SVCB parameters (RFC 9460 §2.1); [`Token::raw`] has key and quotes.
    Value,
}

/// One word, its escapes not yet resolved.
#[derive(Debug, Clone, Copy)]
pub struct Token<'a> {
    /// The octets as they stand in the text.
    pub raw: &'a [u8],
    /// Whether and how it is quoted.
    pub quotes: Quotes,
    /// Where it begins.
    pub place: Place,
}

impl<'a> Token<'a> {
    /// Whether this is the bare word `word`, ASCII case aside.
    pub fn is(&self, word: &str) -> bool {
        self.quotes == Quotes::None && self.raw.eq_ignore_ascii_case(word.as_bytes())
    }

    /// The word as text, where it is unquoted and UTF-8.
    pub fn word(&self) -> Option<&'a str> {
        if self.quotes == Quotes::None { std::str::from_utf8(self.raw).ok() } else { None }
    }

    /// The octets, escapes resolved; none where one is broken.
    pub fn octets(&self) -> Option<Vec<u8>> {
        octets(self.raw)
    }
}

/// `text` with its escapes resolved; none where one is broken.
pub(super) fn octets(text: &[u8]) -> Option<Vec<u8>> {
    if !text.contains(&b'\\') {
        return Some(text.to_vec());
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let (octet, tail) = unescape(rest)?;
        out.push(octet);
        rest = tail;
    }
    Some(out)
}

/// What the lexer found next.
#[derive(Debug, Clone, Copy)]
pub enum Item<'a> {
    /// A word.
    Token(Token<'a>),
    /// The end of a line; lines end in it, inside parentheses too.
    Newline,
    /// `(`.
    Open,
    /// `)`.
    Close,
    /// The end of the text.
    End,
}

/// What no word can be made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LexFault {
    /// A string that does not end on its line.
    #[error("the string has no closing quote on this line; close it, or write the line break as \\010")]
    Unclosed,
    /// A quote in the middle of a word.
    #[error("a quote inside a word; put the whole string in quotes, or write the quote as \\\"")]
    StrayQuote,
    /// Something glued to a closing quote.
    #[error("text directly behind a closing quote; put a space between, or write an inner quote as \\\"")]
    AfterQuote,
    /// A backslash at the end of a line.
    #[error("a backslash at the end of the line escapes nothing; lines are continued with parentheses")]
    DanglingEscape,
}

/// Cuts text into words.
#[derive(Debug, Clone)]
pub struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
    place: Place,
}

impl<'a> Lexer<'a> {
    /// A lexer at the start of `text`; a byte order mark is skipped.
    pub fn new(text: &'a [u8]) -> Lexer<'a> {
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        Lexer { text, at: 0, place: Place { line: 1, column: 1 } }
    }

    /// Where the lexer stands.
    pub fn place(&self) -> Place {
        self.place
    }

    /// Whether a blank stands next: at the start of a line, the sign for "the owner of the line before".
    pub fn at_blank(&self) -> bool {
        matches!(self.peek(), Some(b' ' | b'\t'))
    }

    /// The next item, blanks and comments skipped.
    pub fn next_item(&mut self) -> Result<Item<'a>, (Place, LexFault)> {
        loop {
            let Some(octet) = self.peek() else { return Ok(Item::End) };
            match octet {
                b' ' | b'\t' | b'\r' => self.advance(1),
                b';' => {
                    let comment = &self.text[self.at..];
                    let len = comment.iter().position(|&octet| octet == b'\n').unwrap_or(comment.len());
                    self.advance(len);
                }
                b'\n' => {
                    self.at += 1;
                    self.place = Place { line: self.place.line.saturating_add(1), column: 1 };
                    return Ok(Item::Newline);
                }
                b'(' | b')' => {
                    self.advance(1);
                    return Ok(if octet == b'(' { Item::Open } else { Item::Close });
                }
                b'"' => return self.quoted(),
                _ => return self.bare(),
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// Passes `count` octets, none of them a line break.
    fn advance(&mut self, count: usize) {
        let passed = &self.text[self.at..self.at + count];
        let characters = passed.iter().filter(|&&octet| octet & 0xc0 != 0x80).count();
        self.place.column = self.place.column.saturating_add(characters as u32);
        self.at += count;
    }

    fn quoted(&mut self) -> Result<Item<'a>, (Place, LexFault)> {
        let place = self.place;
        let start = self.at + 1;
        let end = self.string_end(start)?;
        self.advance(end + 1 - self.at);
        self.after_quote()?;
        Ok(Item::Token(Token { raw: &self.text[start..end], quotes: Quotes::Whole, place }))
    }

    fn bare(&mut self) -> Result<Item<'a>, (Place, LexFault)> {
        let (place, start) = (self.place, self.at);
        let mut at = start;
        while let Some(&octet) = self.text.get(at) {
            match octet {
                b' ' | b'\t' | b'\r' | b'\n' | b';' | b'(' | b')' => break,
                b'\\' if matches!(self.text.get(at + 1), None | Some(b'\n' | b'\r')) => {
                    self.advance(at - start);
                    return Err((self.place, LexFault::DanglingEscape));
                }
                b'\\' => at += 2,
                b'"' if at > start && self.text[at - 1] == b'=' => {
                    let end = self.string_end(at + 1)? + 1;
                    self.advance(end - start);
                    self.after_quote()?;
                    let raw = &self.text[start..end];
                    return Ok(Item::Token(Token { raw, quotes: Quotes::Value, place }));
                }
                b'"' => {
                    self.advance(at - start);
                    return Err((self.place, LexFault::StrayQuote));
                }
                _ => at += 1,
            }
        }
        self.advance(at - start);
        Ok(Item::Token(Token { raw: &self.text[start..at], quotes: Quotes::None, place }))
    }

    /// Where the string that begins at `start` has its closing quote.
    fn string_end(&self, start: usize) -> Result<usize, (Place, LexFault)> {
        let mut at = start;
        loop {
            match self.text.get(at) {
                None | Some(b'\n') => return Err((self.place, LexFault::Unclosed)),
                Some(b'"') => return Ok(at),
                Some(b'\\') if self.text.get(at + 1) != Some(&b'\n') => at += 2,
                Some(_) => at += 1,
            }
        }
    }

    fn after_quote(&self) -> Result<(), (Place, LexFault)> {
        match self.peek() {
            None | Some(b' ' | b'\t' | b'\r' | b'\n' | b';' | b'(' | b')') => Ok(()),
            Some(_) => Err((self.place, LexFault::AfterQuote)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<(String, Quotes, u32, u32)> {
        let mut lexer = Lexer::new(text.as_bytes());
        let mut words = Vec::new();
        loop {
            match lexer.next_item().unwrap() {
                Item::Token(token) => {
                    let raw = String::from_utf8_lossy(token.raw).into_owned();
                    words.push((raw, token.quotes, token.place.line, token.place.column));
                }
                Item::End => return words,
                Item::Newline | Item::Open | Item::Close => {}
            }
        }
    }

    fn fault(text: &str) -> (u32, u32, LexFault) {
        let mut lexer = Lexer::new(text.as_bytes());
        loop {
            match lexer.next_item() {
                Err((place, fault)) => return (place.line, place.column, fault),
                Ok(Item::End) => panic!("no fault in {text:?}"),
                Ok(_) => {}
            }
        }
    }

    #[test]
    fn words_carry_line_and_column() {
        let found = words("www A (1.2.3.4 ; comment \"\r\n \"a b;c\" key=\"v w\")\nü x");
        let expected = [
            ("www", Quotes::None, 1, 1),
            ("A", Quotes::None, 1, 5),
            ("1.2.3.4", Quotes::None, 1, 8),
            ("a b;c", Quotes::Whole, 2, 2),
            ("key=\"v w\"", Quotes::Value, 2, 10),
            ("ü", Quotes::None, 3, 1),
            ("x", Quotes::None, 3, 3),
        ];
        assert_eq!(found, expected.map(|(raw, quotes, line, column)| (raw.to_owned(), quotes, line, column)));
    }

    #[test]
    fn escapes_keep_blanks_and_quotes_inside_a_word() {
        let found = words(r#"a\ b\;c "say \"x\"" \\"#);
        assert_eq!(
            found.iter().map(|word| &*word.0).collect::<Vec<_>>(),
            [r"a\ b\;c", r#"say \"x\""#, r"\\"]
        );
    }

    #[test]
    fn what_cannot_be_cut_into_words_is_pointed_at() {
        assert_eq!(fault("a\nb \"open\n"), (2, 3, LexFault::Unclosed));
        assert_eq!(fault("a \"open\\"), (1, 3, LexFault::Unclosed));
        assert_eq!(fault("a x\"y\""), (1, 4, LexFault::StrayQuote));
        assert_eq!(fault("a \"x\"y"), (1, 6, LexFault::AfterQuote));
        assert_eq!(fault("a x\\\n"), (1, 4, LexFault::DanglingEscape));
    }
}
