//! Reads Rust source just far enough to say which paths it names: tokens without comments and literals,
//! `#[cfg(test)]` items cut out, `use` trees spread into single paths. It knows no types and follows no
//! macros; what it is for (`tests/layers.rs`) needs neither.

use std::collections::BTreeSet;
use std::iter::Peekable;
use std::str::CharIndices;

/// Words that may stand before a path and do not belong to it, even if it begins with `::`.
const KEYWORDS: [&str; 10] = ["use", "return", "break", "in", "if", "match", "mut", "dyn", "impl", "as"];

/// One word or sign of the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// An identifier, `::`, or a single character.
    pub text: String,
    /// Its line, from 1.
    pub line: usize,
}

/// A path as it is written, `use` groups spread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// Its segments; a glob is `*`.
    pub segments: Vec<String>,
    /// The line of its last segment.
    pub line: usize,
    /// Whether it stands behind `use`.
    pub used: bool,
    /// How many inline modules are around it.
    pub inline: usize,
}

/// What a file holds outside its tests.
#[derive(Debug, Default)]
pub struct Source {
    /// Its tokens.
    pub tokens: Vec<Token>,
    /// Modules in files of their own that exist for tests only.
    pub test_modules: BTreeSet<String>,
}

impl Source {
    /// Reads a file.
    pub fn read(text: &str) -> Source {
        let tokens = Lexer { text, chars: text.char_indices().peekable(), line: 1 }.tokens();
        cut_tests(&tokens)
    }

    /// All paths, also those of one segment.
    pub fn paths(&self) -> Vec<Path> {
        let (mut paths, mut at, mut braces, mut modules) = (vec![], 0, 0_usize, vec![]);
        while at < self.tokens.len() {
            match self.text(at) {
                "{" => {
                    braces += 1;
                    if at >= 2 && self.text(at - 2) == "mod" {
                        modules.push(braces);
                    }
                }
                "}" => {
                    if modules.last() == Some(&braces) {
                        modules.pop();
                    }
                    braces = braces.saturating_sub(1);
                }
                _ if self.starts_path(at) => {
                    let used = at > 0 && matches!(self.before_colons(at), "use" | "crate");
                    let first = paths.len();
                    at = self.spread(at, &mut vec![], &mut paths);
                    for path in &mut paths[first..] {
                        (path.used, path.inline) = (used, modules.len());
                    }
                    continue;
                }
                _ => {}
            }
            at += 1;
        }
        paths
    }

    /// The text of a token, or nothing past the end.
    pub fn text(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| token.text.as_str())
    }

    fn starts_path(&self, at: usize) -> bool {
        if !is_word(self.text(at)) || KEYWORDS.contains(&self.text(at)) {
            return false;
        }
        match at.checked_sub(1).map_or("", |before| self.text(before)) {
            "." => false,
            // `a::b` was taken with `a`, `<T>::b` belongs to a type; `::b` begins at the roots of all crates.
            "::" => !matches!(at.checked_sub(2).map_or("", |b| self.text(b)), ">" | "]" | ")"),
            _ => true,
        }
    }

    fn before_colons(&self, at: usize) -> &str {
        let back = if self.text(at - 1) == "::" { 2 } else { 1 };
        at.checked_sub(back).map_or("", |before| self.text(before))
    }

    /// Takes the path or tree at `at` into `paths`, and returns where it ends.
    fn spread(&self, mut at: usize, prefix: &mut Vec<String>, paths: &mut Vec<Path>) -> usize {
        let depth = prefix.len();
        loop {
            let line = self.tokens[at.min(self.tokens.len() - 1)].line;
            match self.text(at) {
                "{" => {
                    at += 1;
                    while !matches!(self.text(at), "}" | "") {
                        at = if self.text(at) == "," { at + 1 } else { self.spread(at, prefix, paths) };
                    }
                    at += 1;
                    break;
                }
                word => {
                    prefix.push(word.to_owned());
                    at += 1;
                    let goes_on = self.text(at) == "::"
                        && (is_word(self.text(at + 1)) || matches!(self.text(at + 1), "{" | "*"));
                    if !goes_on {
                        let segments = prefix.clone();
                        paths.push(Path { segments, line, used: false, inline: 0 });
                        // The new name behind `as` is no path.
                        if self.text(at) == "as" {
                            at += 2;
                        }
                        break;
                    }
                    at += 1;
                }
            }
        }
        prefix.truncate(depth);
        at
    }
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

struct Lexer<'a> {
    text: &'a str,
    chars: Peekable<CharIndices<'a>>,
    line: usize,
}

impl Lexer<'_> {
    fn tokens(mut self) -> Vec<Token> {
        let mut tokens = vec![];
        while let Some((at, c)) = self.next() {
            let rest = &self.text[at..];
            let line = self.line;
            let mut say = |text: &str| tokens.push(Token { text: text.to_owned(), line });
            if rest.starts_with("//") {
                self.skip(rest.find('\n').unwrap_or(rest.len()) - 1);
            } else if rest.starts_with("/*") {
                self.skip(comment_len(rest) - 1);
            } else if let Some(len) = text_len(rest) {
                self.skip(len - 1);
            } else if c.is_alphanumeric() || c == '_' {
                let word = rest.strip_prefix("r#").unwrap_or(rest);
                let len = word.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(word.len());
                self.skip_bytes(at + rest.len() - word.len() + len);
                if is_word(word) {
                    say(&word[..len]);
                }
            } else if rest.starts_with("::") {
                self.next();
                say("::");
            } else if c == '\'' {
                // A lifetime; character literals are gone already. Its name is no path.
                let len =
                    rest[1..].find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len() - 1);
                self.skip_bytes(at + 1 + len);
            } else if !c.is_whitespace() {
                say(&c.to_string());
            }
        }
        tokens
    }

    fn next(&mut self) -> Option<(usize, char)> {
        let next = self.chars.next();
        self.line += usize::from(next.is_some_and(|(_, c)| c == '\n'));
        next
    }

    /// Passes over `bytes` more bytes.
    fn skip(&mut self, bytes: usize) {
        let from = self.chars.peek().map_or(self.text.len(), |(at, _)| *at);
        self.skip_bytes((from + bytes).min(self.text.len()));
    }

    fn skip_bytes(&mut self, to: usize) {
        while self.chars.peek().is_some_and(|(at, _)| *at < to) {
            self.next();
        }
    }
}

/// The length of the (nested) block comment that `text` begins with.
fn comment_len(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest.starts_with(b"*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                break;
            }
        } else {
            at += 1;
        }
    }
    at
}

/// The length of the string or character literal that `text` begins with, if it begins with one.
fn text_len(text: &str) -> Option<usize> {
    let body = text.trim_start_matches(['b', 'c']);
    let prefix = text.len() - body.len();
    if prefix > 1 {
        return None;
    }
    if let Some(raw) = body.strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        let end = format!("\"{}", "#".repeat(hashes));
        let inside = raw[hashes..].strip_prefix('"')?;
        return Some(prefix + 1 + hashes + 1 + inside.find(&end).map_or(inside.len(), |at| at + end.len()));
    }
    let quote = body.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let mut inside = body.char_indices().skip(1);
    if quote == '\'' {
        // 'x' and '\n' are characters, 'x is a lifetime.
        let (_, first) = inside.next()?;
        let closed = inside.clone().next().is_some_and(|(_, c)| c == '\'');
        if first != '\\' && !closed {
            return None;
        }
        if first == '\\' {
            inside.next();
        }
    }
    let mut escaped = false;
    for (at, c) in inside {
        if c == quote && !escaped {
            return Some(prefix + at + 1);
        }
        escaped = c == '\\' && !escaped;
    }
    Some(text.len())
}

/// Leaves out every item under `#[cfg(test)]`, and notes the modules among them that are files.
fn cut_tests(tokens: &[Token]) -> Source {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let (mut source, mut at) = (Source::default(), 0);
    while at < tokens.len() {
        if text(at) != "#" || text(at + 1) != "[" {
            source.tokens.push(tokens[at].clone());
            at += 1;
            continue;
        }
        let mut end = closing(tokens, at + 1);
        let words: Vec<&str> = tokens[at..end].iter().map(|token| token.text.as_str()).collect();
        let for_tests = words[2] == "cfg" && words.contains(&"test") && !words.contains(&"not");
        if !for_tests {
            source.tokens.extend_from_slice(&tokens[at..end]);
            at = end;
            continue;
        }
        while text(end) == "#" {
            end = closing(tokens, end + 1);
        }
        let item = end;
        while !matches!(text(end), "" | ";" | "{") {
            end = if matches!(text(end), "(" | "[") { closing(tokens, end) } else { end + 1 };
        }
        if text(end) == ";"
            && let Some(name) = (item..end).find(|at| text(*at) == "mod")
        {
            source.test_modules.insert(text(name + 1).to_owned());
        }
        at = if text(end) == "{" { closing(tokens, end) } else { end + 1 };
    }
    source
}

/// Just behind the bracket that closes the one at `at`.
fn closing(tokens: &[Token], mut at: usize) -> usize {
    let mut depth = 0_usize;
    while at < tokens.len() {
        match tokens[at].text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            break;
        }
    }
    at
}
