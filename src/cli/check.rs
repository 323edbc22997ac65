//! `lfdns check`: is the store whole?

use serde_json::json;

use super::Cx;
use super::fail::Done;
use crate::store::CheckOptions;

/// Check the store: its pages, every record, a recount of every table made from them.
///
/// Works beside a running node. Ends with code 2 if something is wrong.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Verify every signature again, too.
    #[arg(long)]
    signatures: bool,
}

pub(crate) fn run(args: &Args, cx: &Cx) -> anyhow::Result<Done> {
    let report = cx.read_store()?.check(CheckOptions { signatures: args.signatures })?;
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
