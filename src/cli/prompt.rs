//! Asking for a passphrase: twice and without echo on a terminal, else one line of stdin.

use std::io::{self, BufRead, IsTerminal, Write};

use anyhow::bail;
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

/// A passphrase that nobody but its author has seen.
pub(crate) fn new_passphrase() -> anyhow::Result<Zeroizing<String>> {
    if !io::stdin().is_terminal() {
        return line();
    }
    let first = ask("Passphrase: ")?;
    let second = ask("Once more: ")?;
    if *first != *second {
        bail!("the two passphrases differ");
    }
    Ok(first)
}

/// Whether whoever sits at the terminal says yes. A script has said so by calling.
pub(crate) fn confirmed(question: &str) -> io::Result<bool> {
    if !io::stdin().is_terminal() {
        return Ok(true);
    }
    eprint!("{question} [y/N] ");
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn ask(prompt: &str) -> anyhow::Result<Zeroizing<String>> {
    eprint!("{prompt}");
    io::stderr().flush()?;
    let silent = Silence::begin()?;
    let answer = line();
    drop(silent);
    eprintln!();
    answer
}

fn line() -> anyhow::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    io::stdin().lock().read_line(&mut text)?;
    let end = text.trim_end_matches(['\r', '\n']).len();
    text.truncate(end);
    Ok(text)
}

/// A terminal without echo, until dropped.
struct Silence(Termios);

impl Silence {
    fn begin() -> io::Result<Silence> {
        let before = tcgetattr(io::stdin())?;
        let mut quiet = before.clone();
        quiet.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(io::stdin(), SetArg::TCSANOW, &quiet)?;
        Ok(Silence(before))
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, &self.0);
    }
}
