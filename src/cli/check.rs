//! `lfdns check`: is the store whole?

use serde_json::json;

use super::fail::Done;
use super::{Cx, link};
use crate::api::Lf;
use crate::store::{CheckOptions, Store};

/// How often a node that is being written to is asked again.
const TRIES: usize = 5;

/// Check the store: its pages, every record, a recount of every table made from them.
///
/// Works beside the node that runs on this home, whose fingerprint of all records (what it compares with its
/// peers) is then compared with the file's; --url is not looked at. Ends with code 2 if something is wrong.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Verify every signature again, too.
    #[arg(long)]
    signatures: bool,
}

pub(crate) fn run(args: &Args, cx: &Cx) -> anyhow::Result<Done> {
    let store = cx.read_store()?;
    let mut report = store.check(CheckOptions { signatures: args.signatures })?;
    report.findings.extend(compare(&store, cx)?);
    let whole = report.findings.is_empty();
    cx.out.result(
        || json!({"records": report.records, "whole": whole, "findings": report.findings}),
        || {
            let lines: Vec<String> =
                report.findings.iter().map(|f| format!("{} {f}", cx.out.red("damage:"))).collect();
            let verdict = if whole { cx.out.green("whole") } else { cx.out.red("damaged") };
            format!("{}\n{} records: {verdict}", lines.join("\n"), report.records).trim_start().to_owned()
        },
    )?;
    Ok(if whole { Done::Well } else { Done::Differs })
}

/// What the node that runs on this home, and no other, says of its records, against what the file holds. A node
/// that ends meanwhile, or is being written to all the time, cannot be compared, which is no finding.
fn compare(store: &Store, cx: &Cx) -> anyhow::Result<Option<String>> {
    let Some(node) = link::running(&cx.home) else { return Ok(None) };
    for _ in 0..TRIES {
        let Ok(before) = node.status() else { return Ok(None) };
        let counted = store.ranges()?.total();
        let Ok(after) = node.status() else { return Ok(None) };
        if before.fingerprint != after.fingerprint {
            continue;
        }
        let equal = after.fingerprint == counted.to_string();
        return Ok((!equal).then(|| {
            format!(
                "fingerprint tree: the running node counts {} records, the file holds {}; restart the node",
                after.db_record_count, counted.count
            )
        }));
    }
    Ok(None)
}
