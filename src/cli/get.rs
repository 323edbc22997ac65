//! `lfdns get`: reads what stands under a key, a range of keys, or a prefix.

use anyhow::bail;
use serde_json::{Value, json};

use super::Cx;
use super::fail::{Done, usage};
use super::selector::{Ordinals, Selector};
use super::{link, time, value};
use crate::api::Lf;
use crate::api::json::{OwnerText, Query, QueryRange, QueryResult, QueryResults};
use crate::record::Millis;

/// Print the value of a key
///
///   lfdns get bad horse#2            the value under horse, ordinal 2, under bad
///   lfdns get bad horse#             all ordinals of horse
///   lfdns get bad horse#2#10         ordinals 2 to 10
///   lfdns get --prefix bad           everything at bad and below it, whatever the ordinals
///
/// Where several owners have a value, the one who has stood there longest is shown; --owner chooses.
/// Ends with code 1 if a single key has no value.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Selectors, in order: a name, or NAME#ORDINAL, NAME#FIRST#LAST, NAME# for all ordinals. \# is a '#' in a name.
    #[arg(required = true, value_name = "NAME[#ORD[#ORD]]")]
    selectors: Vec<String>,
    /// Everything at these selectors and below; a name without '#' means any ordinal.
    #[arg(long)]
    prefix: bool,
    /// Every record that has these selectors among its own, in this order.
    #[arg(long, conflicts_with = "prefix")]
    open: bool,
    /// The masking key that opens the values; without it the first selector's name.
    #[arg(long, value_name = "KEY")]
    mask: Option<String>,
    /// Only this owner's values: a local name or @key. May be given several times.
    #[arg(long, value_name = "OWNER")]
    owner: Vec<String>,
    /// Only values not older than this: 2026-11-22, 2026-11-22T14:30:00Z, unix seconds, or an age such as 90m.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// As it was then: the newest values not later than this.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// The bytes of the values, one after the other, and nothing else.
    #[arg(long)]
    raw: bool,
    /// Values at most.
    #[arg(long, value_name = "COUNT")]
    limit: Option<usize>,
}

pub(crate) fn run(args: &Args, cx: &Cx) -> anyhow::Result<Done> {
    if args.raw && cx.out.json {
        return Err(usage("--raw and --json cannot both be"));
    }
    let selectors: Vec<Selector> =
        args.selectors.iter().map(|text| Selector::parse(text)).collect::<Result<_, _>>()?;
    let query = query(args, &selectors, cx)?;
    let mut found = link::connect(cx)?.query(&query)?;
    if args.prefix {
        found.retain(|key| key.first().is_some_and(|result| begins(result, selectors.len())));
    }
    found.truncate(args.limit.unwrap_or(usize::MAX));
    if found.is_empty() && is_single(args, &selectors) {
        bail!("no value at {}", args.selectors.join(" "));
    }
    print(args, &found, cx)?;
    Ok(Done::Well)
}

fn query(args: &Args, selectors: &[Selector], cx: &Cx) -> anyhow::Result<Query> {
    let ranges = selectors
        .iter()
        .map(|selector| {
            let any = args.prefix && selector.ordinals == Ordinals::Unsaid;
            let (first, last) = if any { (0, u64::MAX) } else { selector.ordinals.bounds() };
            QueryRange::span(&selector.name, first, last)
        })
        .collect();
    let owners = cx.owners();
    let owners =
        args.owner.iter().map(|who| Ok(OwnerText(owners.resolve(who)?))).collect::<anyhow::Result<_>>()?;
    Ok(Query {
        ranges,
        time_range: time_range(args, link::now())?,
        masking_key: args.mask.as_deref().unwrap_or_default().into(),
        owners,
        open: (args.open || args.prefix).then_some(true),
        ..Query::default()
    })
}

/// In seconds, as LF has it.
fn time_range(args: &Args, now: Millis) -> anyhow::Result<Vec<u64>> {
    let seconds = |text: &Option<String>| {
        text.as_deref().map(|text| time::parse(text, now)).transpose().map(|t| t.map(|t| t.0 / 1000))
    };
    match (seconds(&args.since)?, seconds(&args.until)?) {
        (None, None) => Ok(vec![]),
        (Some(since), None) => Ok(vec![since]),
        (since, Some(until)) => {
            let since = since.unwrap_or(0);
            if since > until { Err(usage("--until is before --since")) } else { Ok(vec![since, until]) }
        }
    }
}

/// Whether the first `count` selectors are the ones asked for.
fn begins(result: &QueryResult, count: usize) -> bool {
    result.ordinals.len() >= count && result.ordinals[..count].iter().all(Option::is_some)
}

fn is_single(args: &Args, selectors: &[Selector]) -> bool {
    !args.prefix && !args.open && !selectors.iter().any(|s| matches!(s.ordinals, Ordinals::Range(..)))
}

fn print(args: &Args, found: &QueryResults, cx: &Cx) -> anyhow::Result<()> {
    if cx.out.json {
        cx.out.result(|| found.iter().map(|key| show(args, key)).collect(), String::new)?;
        return Ok(());
    }
    let (mut closed, mut contested) = (0, 0);
    for key in found {
        let Some((best, others)) = key.split_first() else { continue };
        contested += usize::from(!others.is_empty());
        match &best.value {
            Some(value) if args.raw => cx.out.bytes(&value.0)?,
            Some(value) => {
                let text = value::readable(&value.0, best.ordinals.last().copied().flatten());
                cx.out.bytes(format!("{text}\n").as_bytes())?;
            }
            None => closed += 1,
        }
    }
    if contested > 0 && args.owner.is_empty() {
        cx.out.note(&format!(
            "{contested} of these have values of other owners too; --owner chooses, --json shows all"
        ));
    }
    match (closed, &args.mask) {
        (0, _) => Ok(()),
        (_, Some(_)) => bail!(
            "{} opened: the masking key given with --mask is not the one they were set with",
            none_of(closed, found.len())
        ),
        (_, None) => bail!(
            "{} opened: masked with another key than the first selector's name; give it with --mask",
            none_of(closed, found.len())
        ),
    }
}

fn none_of(closed: usize, all: usize) -> String {
    match all {
        1 => "the value could not be".into(),
        _ => format!("{closed} of {all} values could not be"),
    }
}

/// One key as JSON: its best value, and under `others` those of further owners.
fn show(args: &Args, key: &[QueryResult]) -> Value {
    let one = |result: &QueryResult| {
        json!({
            "id": result.hash,
            "owner": result.record.owner,
            "time": time::show(Millis(result.record.timestamp_millis)),
            "time_ms": result.record.timestamp_millis,
            "ordinals": result.ordinals,
            "value": result.value,
            "text": result.value.as_ref().map(|v| value::readable(&v.0, result.ordinals.last().copied().flatten())),
            "opened": result.value.is_some(),
        })
    };
    let Some((best, others)) = key.split_first() else { return Value::Null };
    let mut shown = one(best);
    shown["selectors"] = json!(args.selectors);
    shown["others"] = others.iter().map(one).collect();
    shown
}
