//! `lfdns set`: signs a record here and hands it to a node.

use std::path::PathBuf;

use anyhow::Context;
use serde_json::json;

use super::fail::{Done, usage};
use super::selector::{Selector, show};
use super::{Cx, link, time};
use crate::api::{Entry, Lf};
use crate::record::Compression;

/// Set a key to a value
///
///   lfdns set bad horse#2 'The Thoroughbred of Sin'
///   lfdns set bad horse --file horse.jpg
///   lfdns set bad horse ''           delete it; so does --delete
///
/// The last argument is the value, those before it are the selectors in order. The
/// record is signed here, with the default owner's key or that of --owner; no key is
/// ever sent. When this ends well, the value is on the node's disk.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Selectors in order, then the value (none with --file or --delete). NAME is NAME#0; \# is a '#' in a name.
    #[arg(required = true, value_name = "NAME[#ORD]... VALUE", allow_negative_numbers = true)]
    words: Vec<String>,
    /// Take the value from a file; - is stdin.
    #[arg(long, value_name = "FILE", conflicts_with = "delete")]
    file: Option<PathBuf>,
    /// Delete the key.
    #[arg(long)]
    delete: bool,
    /// Mask the value with this key instead of the first selector's name. Who does not have it sees that there
    /// is a value, not which.
    #[arg(long, value_name = "KEY")]
    mask: Option<String>,
    /// Who signs: a local name, or @key of a local owner [default: the default owner].
    #[arg(long, value_name = "OWNER")]
    owner: Option<String>,
    /// Do not try to compress the value.
    #[arg(long)]
    no_compression: bool,
}

pub(crate) fn run(args: &Args, cx: &Cx) -> anyhow::Result<Done> {
    let (names, value) = split(args)?;
    let mut selectors = Vec::with_capacity(names.len());
    for text in names {
        let selector = Selector::parse(text)?;
        let ordinal = selector.one(text)?;
        selectors.push((selector.name, ordinal));
    }
    let written: Vec<String> = selectors.iter().map(|(name, ordinal)| show(name, Some(*ordinal))).collect();
    let owner = cx.owners().signer(args.owner.as_deref())?;
    let entry = Entry {
        selectors,
        value,
        masking_key: args.mask.as_ref().map(|key| key.as_bytes().to_vec()),
        compression: if args.no_compression { Compression::Off } else { Compression::Auto },
        ..Entry::default()
    };
    let made = link::connect(cx)?.make(&owner, entry)?;
    cx.out.result(
        || {
            json!({
                "id": made.id.to_string(),
                "owner": owner.key().to_string(),
                "selectors": written,
                "time": time::show(made.time),
                "time_ms": made.time.0,
            })
        },
        || made.id.to_string(),
    )?;
    Ok(Done::Well)
}

/// The selectors' texts and the value.
fn split(args: &Args) -> anyhow::Result<(&[String], Vec<u8>)> {
    if args.delete {
        return Ok((&args.words, Vec::new()));
    }
    if let Some(file) = &args.file {
        return Ok((&args.words, super::read_input(file).with_context(|| file.display().to_string())?));
    }
    match args.words.split_last() {
        Some((value, names)) if !names.is_empty() => Ok((names, value.as_bytes().to_vec())),
        _ => Err(usage("a value is missing: lfdns set NAME[#ORD]... VALUE, or --file FILE, or --delete")),
    }
}
