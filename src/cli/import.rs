//! `lfdns import`: takes an export in, through the node if one runs; an empty home becomes that network.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde_json::json;

use super::Cx;
use super::fail::Done;
use super::link;
use super::progress::bar;
use crate::api::Lf;
use crate::node::first::{check_unjoined, make_home};
use crate::store::{ExportReader, Progress, Store};

/// Records handed over at a time.
const BATCH: usize = 2_048;

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
    let done = if cx.url.is_empty() && !Store::exists(&cx.home)? {
        check_unjoined(&cx.home)?;
        make_home(&cx.home)?;
        let config = cx.config()?;
        Store::create_from_export(&cx.home, input, &config.store, link::clock(), &mut progress)?.1
    } else {
        through(link::node_or_store(cx)?.as_ref(), input, &mut progress)?
    };
    bar.finish_and_clear();
    let Progress { done, accepted, known, refused, .. } = done;
    cx.out.result(
        || json!({"records": done, "accepted": accepted, "known": known, "refused": refused}),
        || format!("{done} records: {accepted} new, {known} known already, {refused} refused"),
    )?;
    if refused > 0 {
        bail!("{refused} records were refused");
    }
    Ok(Done::Well)
}

/// Hands the records to a node, or to the store opened here.
fn through(lf: &dyn Lf, input: impl Read, progress: &mut dyn FnMut(Progress)) -> anyhow::Result<Progress> {
    let mut export = ExportReader::open(input)?;
    if lf.network()?.id != export.network() {
        bail!("the export holds another network than this node");
    }
    let mut state = Progress { total: export.total(), ..Progress::default() };
    let mut batch = Vec::new();
    loop {
        let next = export.next_record()?;
        let ended = next.is_none();
        // A node takes records with their values; one whose value is not in the export is counted as refused.
        batch.extend(next);
        if batch.len() < BATCH && !ended {
            continue;
        }
        let report = lf.post(&std::mem::take(&mut batch))?;
        state.done += report.total();
        state.accepted += report.accepted;
        state.known += report.known;
        state.refused += report.total() - report.accepted - report.known;
        progress(state);
        if ended {
            return Ok(state);
        }
    }
}

fn open(file: &Path) -> io::Result<Box<dyn Read>> {
    if file.as_os_str() == "-" {
        return Ok(Box::new(io::stdin().lock()));
    }
    Ok(Box::new(BufReader::new(File::open(file)?)))
}
