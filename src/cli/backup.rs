//! `lfdns backup`: the whole store as one file, while a node uses it.

use std::path::PathBuf;

use anyhow::bail;
use serde_json::json;

use super::Cx;
use super::fail::Done;

/// Copy the store to a file, while a node uses it or not.
///
/// The copy is a store.db: in an empty home it is that network again. Owners' keys are not in it; copy
/// HOME/owners too.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The new file.
    file: PathBuf,
    /// Replace a file that exists.
    #[arg(long)]
    force: bool,
}

pub(crate) fn run(args: &Args, cx: &Cx) -> anyhow::Result<Done> {
    if args.file.exists() && !args.force {
        bail!("{} exists; --force replaces it", args.file.display());
    }
    let store = cx.read_store()?;
    store.backup(&args.file)?;
    let bytes = std::fs::metadata(&args.file)?.len();
    cx.out.result(
        || json!({"file": args.file.display().to_string(), "bytes": bytes}),
        || format!("wrote {bytes} bytes to {}", args.file.display()),
    )?;
    Ok(Done::Well)
}
