//! What a command prints: text for people, with colour only on a terminal, or one JSON document. Results go
//! to stdout, errors and progress to stderr. A reader that goes away early is no error.

use std::io::{self, IsTerminal, Write};

use serde_json::{Value, json};

/// How to print.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Out {
    /// One JSON document instead of text.
    pub(crate) json: bool,
    /// Whether stdout shows colours.
    colour: bool,
}

impl Out {
    /// Prints JSON if so told; colours only a terminal, and not under NO_COLOR.
    pub(crate) fn new(json: bool) -> Out {
        let colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Out { json, colour }
    }

    /// Prints a command's result in the form asked for.
    pub(crate) fn result(
        self,
        json: impl FnOnce() -> Value,
        text: impl FnOnce() -> String,
    ) -> io::Result<()> {
        if self.json {
            let value = json();
            self.bytes(format!("{value:#}\n").as_bytes())
        } else {
            let mut text = text();
            if !text.is_empty() && !text.ends_with('\n') {
                text.push('\n');
            }
            self.bytes(text.as_bytes())
        }
    }

    /// Writes to stdout as it is.
    #[allow(clippy::unused_self)] // the one way to stdout, like the others
    pub(crate) fn bytes(self, bytes: &[u8]) -> io::Result<()> {
        let mut out = io::stdout().lock();
        match out.write_all(bytes).and_then(|()| out.flush()) {
            // `lfdns get … | head`: whoever read has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
            other => other,
        }
    }

    /// Bold, on a terminal.
    pub(crate) fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// Green, on a terminal.
    pub(crate) fn green(self, text: &str) -> String {
        self.paint("32", text)
    }

    /// Red, on a terminal.
    pub(crate) fn red(self, text: &str) -> String {
        self.paint("31", text)
    }

    /// Dim, on a terminal.
    pub(crate) fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Says on stderr what went wrong.
    pub(crate) fn error(self, error: &anyhow::Error) {
        let words = words(error);
        if self.json {
            eprintln!("{}", json!({ "error": words }));
        } else if io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
            eprintln!("\x1b[31merror:\x1b[0m {words}");
        } else {
            eprintln!("error: {words}");
        }
    }

    /// A remark on stderr, for people only.
    pub(crate) fn note(self, text: &str) {
        if !self.json {
            eprintln!("{text}");
        }
    }
}

/// An error and its causes, without saying anything twice.
fn words(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// A table whose columns are as wide as they must be; the last is not padded.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|c| shown(c)).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.push_str(&" ".repeat(width - shown(cell) + 2));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Characters of a cell that a terminal shows: colours take no room.
fn shown(cell: &str) -> usize {
    let mut in_colour = false;
    cell.chars()
        .filter(|c| match (in_colour, c) {
            (false, '\x1b') => {
                in_colour = true;
                false
            }
            (true, c) => {
                in_colour = *c != 'm';
                false
            }
            (false, _) => true,
        })
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_do_not_shift_columns() {
        let rows = [["\x1b[1mab\x1b[0m", "x"], ["abc", "y"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(table(&rows), "\x1b[1mab\x1b[0m   x\nabc  y\n");
    }

    #[test]
    fn a_cause_that_the_error_already_tells_is_not_told_again() {
        let error = anyhow::anyhow!("no such file").context("x.zone: no such file").context("publishing");
        assert_eq!(words(&error), "publishing: x.zone: no such file");
    }
}
