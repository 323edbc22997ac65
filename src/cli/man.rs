//! `lfdns man`: the manual pages, from the same source as the command line itself.

use std::path::PathBuf;

use clap::CommandFactory;

use super::fail::Done;
use super::{Cli, Cx};

/// Print the manual page, or write those of all commands to a directory.
///
/// To read it now: lfdns man | man -l -
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Write lfdns.1, lfdns-set.1 and so on here.
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(crate) fn run(args: &Args, cx: &Cx) -> anyhow::Result<Done> {
    if let Some(dir) = &args.dir {
        clap_mangen::generate_to(Cli::command(), dir)?;
    } else {
        let mut page = Vec::new();
        clap_mangen::Man::new(Cli::command()).render(&mut page)?;
        cx.out.bytes(&page)?;
    }
    Ok(Done::Well)
}
