//! Entries of a master file: logical lines, of which parentheses make one out of several.

use super::{MasterFault, WORDS_MAX};
use crate::dns::rdata::{Item, Lexer, Place, Token};

/// One logical line; its words are in the caller's list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    /// Whether it begins with a blank, so that the owner is the one before.
    pub blank: bool,
    /// Where its first word stands.
    pub place: Place,
}

/// Reads entries one by one.
pub(super) struct Scanner<'a> {
    lexer: Lexer<'a>,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a [u8]) -> Scanner<'a> {
        Scanner { lexer: Lexer::new(text) }
    }

    /// The next line that is not empty, its words into `tokens`; none at the end of the text.
    pub(super) fn entry(
        &mut self,
        tokens: &mut Vec<Token<'a>>,
    ) -> Result<Option<Entry>, (Place, MasterFault)> {
        tokens.clear();
        let mut open: Option<Place> = None;
        let mut depth = 0_usize;
        let mut blank = self.lexer.at_blank();
        loop {
            match self.lexer.next_item().map_err(|(place, fault)| (place, fault.into()))? {
                Item::Token(token) if tokens.len() < WORDS_MAX => tokens.push(token),
                Item::Token(token) => {
                    return Err((open.unwrap_or(token.place), MasterFault::TooManyWords));
                }
                Item::Open => {
                    open = open.or(Some(self.behind(1)));
                    depth += 1;
                }
                Item::Close => {
                    depth = depth.checked_sub(1).ok_or((self.behind(1), MasterFault::Unopened))?;
                    if depth == 0 {
                        open = None;
                    }
                }
                Item::Newline if depth > 0 => {}
                Item::Newline if tokens.is_empty() => blank = self.lexer.at_blank(),
                Item::Newline | Item::End => {
                    let end = tokens.first().map(|first| Entry { blank, place: first.place });
                    return open.map_or(Ok(end), |place| Err((place, MasterFault::Unclosed)));
                }
            }
        }
    }

    /// The place of the character just passed.
    fn behind(&self, characters: u32) -> Place {
        let place = self.lexer.place();
        Place { column: place.column - characters, ..place }
    }
}
