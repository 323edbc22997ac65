//! `lfdns completions SHELL`: from the same source as the command line itself.

use clap::CommandFactory;
use clap_complete::Shell;

use super::fail::Done;
use super::{Cli, Cx};

/// Print the completions of a shell.
///
/// For bash: lfdns completions bash > ~/.local/share/bash-completion/completions/lfdns
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which shell.
    shell: Shell,
}

pub(crate) fn run(args: &Args, cx: &Cx) -> anyhow::Result<Done> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "lfdns", &mut text);
    cx.out.bytes(&text)?;
    Ok(Done::Well)
}
