//! `lfdns export`: every record, as a stream that any node can verify.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde_json::json;

use super::Cx;
use super::fail::{Done, usage};
use super::progress::bar;
use crate::store::{Progress, Store};

/// Write every record of the network to a file.
///
/// `lfdns import` reads it, into the same network or into an empty home. Works beside a running node. Owners'
/// keys are not in it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The new file; - is stdout.
    file: PathBuf,
    /// Replace a file that exists.
    #[arg(long)]
    force: bool,
}

pub(crate) fn run(args: &Args, cx: &Cx) -> anyhow::Result<Done> {
    let store = cx.read_store()?;
    if args.file.as_os_str() == "-" {
        if io::stdout().is_terminal() || cx.out.json {
            return Err(usage("an export is binary: send it to a file or a pipe"));
        }
        write(&store, io::stdout().lock())?;
        return Ok(Done::Well);
    }
    if args.file.exists() && !args.force {
        bail!("{} exists; --force replaces it", args.file.display());
    }
    let records = to_file(&store, &args.file).with_context(|| args.file.display().to_string())?;
    cx.out.result(
        || json!({"file": args.file.display().to_string(), "records": records}),
        || format!("wrote {records} records to {}", args.file.display()),
    )?;
    Ok(Done::Well)
}

/// Beside, then in its place: a file of that name is always a whole export.
fn to_file(store: &Store, path: &Path) -> anyhow::Result<u64> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let written = (|| {
        let file = File::create(&part)?;
        let records = write(store, &file)?;
        file.sync_all()?;
        std::fs::rename(&part, path)?;
        Ok(records)
    })();
    if written.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    written
}

fn write(store: &Store, out: impl Write) -> anyhow::Result<u64> {
    let bar = bar(0, "exporting");
    let records = store.export(BufWriter::new(out), &mut |progress: Progress| {
        bar.set_length(progress.total);
        bar.set_position(progress.done);
    })?;
    bar.finish_and_clear();
    Ok(records)
}
