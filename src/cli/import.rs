//! `lfdns import`: takes an export in, through the node if one runs; an empty home becomes that network.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::json;

use super::Cx;
use super::fail::Done;
use super::link::{self, Way};
use super::progress::bar;
use crate::node::first::make_home;
use crate::store::{Progress, Store};

/// Read records that `lfdns export` wrote.
///
/// Every record is verified. Goes through the node if one runs, else into the home's store; an empty home
/// becomes the export's network.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The file; - is stdin.
    file: PathBuf,
}

pub(crate) fn run(args: &Args, cx: &Cx) -> anyhow::Result<Done> {
    let input = open(&args.file).with_context(|| args.file.display().to_string())?;
    let bar = bar(0, "importing");
    let mut progress = |progress: Progress| {
        bar.set_length(progress.total);
        bar.set_position(progress.done);
    };
    let remote = !cx.url.is_empty();
    let done = if !remote && !Store::exists(&cx.home)? {
        make_home(&cx.home)?;
        let config = cx.config()?;
        Store::create_from_export(&cx.home, input, &config.store, link::clock(), &mut progress)?.1
    } else {
        match link::way(cx)? {
            Way::Node(node) => link::import(&node, input, &mut progress)?,
            Way::Store(store) => store.import(input, &mut progress)?,
        }
    };
    bar.finish_and_clear();
    let Progress { done, accepted, known, refused, .. } = done;
    cx.out.result(
        || json!({"records": done, "accepted": accepted, "known": known, "refused": refused}),
        || format!("{done} records: {accepted} new, {known} known already, {refused} refused"),
    )?;
    if refused > 0 {
        anyhow::bail!("{refused} records were refused");
    }
    Ok(Done::Well)
}

fn open(file: &Path) -> io::Result<Box<dyn Read>> {
    if file.as_os_str() == "-" {
        return Ok(Box::new(io::stdin().lock()));
    }
    Ok(Box::new(BufReader::new(File::open(file)?)))
}
