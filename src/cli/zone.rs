//! `lfdns zone …`: master files in and out. Publishing is a comparison: what is the same is left alone.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::fail::{Done, usage};
use super::progress::bar;
use super::{Cx, link};
use crate::api::{Lf, Remote};
use crate::dns::master;
use crate::dns::name::DnsName;
use crate::dns::publish::{Action, Change, DELETIONS_PERCENT, Plan, ZoneRrset};
use crate::dns::rdata;
use crate::dns::zone::{Zone, Zones};
use crate::node::publish::{carry_out, compare, existing, read_master};
use crate::node::zones;
use crate::record::{Authority, Owner, OwnerKey};

/// Zones: master files in and out.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Make a zone's records equal a master file: add, replace, delete.
    ///
    /// Only what differs is written, so publishing a file twice writes nothing the second time. A file that would
    /// delete more than a fifth of the zone's RRsets is refused without --force.
    Publish(Publish),
    /// Add the records of a master file to a zone; RRsets that are not in the file stay.
    Import(Publish),
    /// Write a zone out as a master file.
    Export(Export),
    /// Show what publishing a master file would change. Ends with code 2 if there is a difference.
    Diff(Diff),
}

/// Which zone, and whose.
#[derive(Debug, clap::Args)]
pub(crate) struct Which {
    /// The zone's suffix, such as demo.lf.
    #[arg(long, value_name = "SUFFIX")]
    zone: String,
    /// Whose records: a local name, or @key [default: the default owner].
    #[arg(long, value_name = "OWNER")]
    owner: Option<String>,
}

/// What `zone publish` and `zone import` take.
#[derive(Debug, clap::Args)]
pub(crate) struct Publish {
    /// The master file (RFC 1035 section 5).
    file: PathBuf,
    #[command(flatten)]
    which: Which,
    /// Only show what would change; ends with code 2 if anything would.
    #[arg(long)]
    dry_run: bool,
    /// Delete however much the file no longer has, and publish also as an owner nobody is served there.
    #[arg(long)]
    force: bool,
}

/// What `zone export` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Export {
    /// The zone's suffix, such as demo.lf.
    #[arg(value_name = "SUFFIX", required_unless_present = "zone")]
    suffix: Option<String>,
    /// The same, as the other commands have it.
    #[arg(long, value_name = "SUFFIX", conflicts_with = "suffix")]
    zone: Option<String>,
    /// Whose records: a local name, or @key [default: the default owner].
    #[arg(long, value_name = "OWNER")]
    owner: Option<String>,
    /// The file [default: stdout].
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// What `zone diff` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Diff {
    /// The master file.
    file: PathBuf,
    #[command(flatten)]
    which: Which,
}

pub(crate) fn run(command: Command, cx: &Cx) -> anyhow::Result<Done> {
    match command {
        Command::Publish(args) => publish(&args, Keep::Nothing, cx),
        Command::Import(args) => publish(&args, Keep::Others, cx),
        Command::Export(args) => export(&args, cx),
        Command::Diff(args) => {
            let owner = reader(args.which.owner.as_deref(), cx)?;
            let (node, zone) = open(&args.which.zone, cx)?;
            let plan = compare(&node, &zone, &read_master(&args.file, &zone)?, &owner)?;
            show(&plan, cx)
        }
    }
}

/// What happens to RRsets that the file does not have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    Nothing,
    Others,
}

fn publish(args: &Publish, keep: Keep, cx: &Cx) -> anyhow::Result<Done> {
    let owner = cx.owners().signer(args.which.owner.as_deref())?;
    let (node, zone) = open(&args.which.zone, cx)?;
    let wanted = read_master(&args.file, &zone)?;
    if !args.force {
        heard(&zone, &owner.key(), &wanted)?;
    }
    let mut plan = compare(&node, &zone, &wanted, &owner.key())?;
    if keep == Keep::Others {
        plan.changes.retain(|change| !matches!(change.action, Action::Delete(_)));
    }
    if args.dry_run {
        return show(&plan, cx);
    }
    if plan.deletes_much() && !args.force {
        bail!(
            "{} would delete {} of the {} RRsets in {}, more than {DELETIONS_PERCENT} %; `lfdns zone diff` shows them, --force deletes them",
            args.file.display(),
            plan.deletions(),
            plan.existing,
            zone.suffix
        );
    }
    let Plan { changes, unchanged, .. } = &plan;
    write(&node, &owner, changes)?;
    let (added, replaced, deleted) = counts(changes);
    cx.out.result(
        || {
            json!({"zone": zone.suffix.to_string(), "owner": owner.key().to_string(), "added": added,
                  "replaced": replaced, "deleted": deleted, "unchanged": unchanged})
        },
        || {
            format!(
                "{}: {added} added, {replaced} replaced, {deleted} deleted, {unchanged} unchanged",
                zone.suffix
            )
        },
    )?;
    Ok(Done::Well)
}

/// Nobody is served what an owner publishes where it may not speak, except below its own key.
fn heard(zone: &Zone, owner: &OwnerKey, wanted: &[ZoneRrset]) -> anyhow::Result<()> {
    if matches!(&zone.authority, Authority::Owners(owners) if owners.contains(owner)) {
        return Ok(());
    }
    let own = zone.suffix.child(owner.label().as_bytes())?;
    if let Some(set) = wanted.iter().find(|set| !set.name.is_subdomain_of(&own)) {
        bail!(
            "{owner} may not speak for {} in {}, so nobody would be served it: choose one of its owners with --owner (`lfdns network show` lists them), publish below {own}, or --force",
            set.name,
            zone.suffix
        );
    }
    Ok(())
}

fn write(node: &Remote, owner: &Owner, changes: &[Change]) -> anyhow::Result<()> {
    let bar = bar(changes.len() as u64, "publishing");
    carry_out(node, owner, changes, &mut |progress| bar.set_position(progress.stored + progress.refused))?;
    bar.finish_and_clear();
    Ok(())
}

fn counts(changes: &[Change]) -> (usize, usize, usize) {
    let count = |is: fn(&Action) -> bool| changes.iter().filter(|change| is(&change.action)).count();
    (
        count(|action| matches!(action, Action::Add(_))),
        count(|action| matches!(action, Action::Replace { .. })),
        count(|action| matches!(action, Action::Delete(_))),
    )
}

fn export(args: &Export, cx: &Cx) -> anyhow::Result<Done> {
    let suffix = args.suffix.as_deref().or(args.zone.as_deref()).unwrap_or_default();
    let owner = reader(args.owner.as_deref(), cx)?;
    let (node, zone) = open(suffix, cx)?;
    let sets = existing(&node, &zone, &owner)?;
    let rrset =
        |set: ZoneRrset| master::Rrset { name: set.name, rtype: set.rtype, ttl: set.ttl, rdatas: set.rdatas };
    let text = master::print(&master::Zone::new(&zone.suffix, sets.into_iter().map(rrset).collect()));
    match &args.output {
        Some(path) => {
            std::fs::write(path, &text).with_context(|| path.display().to_string())?;
            cx.out.result(
                || json!({"file": path.display().to_string()}),
                || format!("wrote {}", path.display()),
            )?;
        }
        None => cx.out.result(|| json!({"zone": zone.suffix.to_string(), "text": text}), || text.clone())?,
    }
    Ok(Done::Well)
}

/// Whose records are looked at: nothing is signed, so any key will do.
fn reader(who: Option<&str>, cx: &Cx) -> anyhow::Result<OwnerKey> {
    Ok(match who {
        Some(who) => cx.owners().resolve(who)?,
        None => cx.owners().signer(None)?.key(),
    })
}

/// The node, and the zone of a suffix as the network and this home's zone files have it.
fn open(suffix: &str, cx: &Cx) -> anyhow::Result<(Remote, Arc<Zone>)> {
    let node = link::connect(cx)?;
    let network = node.network()?;
    let local = match zones::directory(&cx.config()?.zones, &cx.home) {
        Some(dir) => {
            zones::load(&dir, &zones::canonical(&network.rules), &cx.owners()).unwrap_or_else(|error| {
                cx.out.note(&format!("zone files are left out: {error}"));
                vec![]
            })
        }
        None => vec![],
    };
    let local: Vec<_> =
        local.into_iter().map(|zone| zone.rule).filter(|rule| !network.rules.zones.contains(rule)).collect();
    let all = Zones::assemble(&network.id, &network.rules, &local);
    let name =
        DnsName::parse(suffix, Some(&DnsName::root())).map_err(|e| usage(format!("--zone {suffix}: {e}")))?;
    let Some(zone) = all.exactly(&name) else {
        let known: Vec<String> = all.iter().map(|zone| zone.suffix.to_string()).collect();
        bail!(
            "no zone {name} here; there are: {}. `lfdns network amend` adds one for all, zones/NAME.toml for this node",
            known.join(", ")
        );
    };
    Ok((node, Arc::clone(zone)))
}

fn show(plan: &Plan, cx: &Cx) -> anyhow::Result<Done> {
    let (added, replaced, deleted) = counts(&plan.changes);
    let json = || {
        let changes: Vec<Value> = plan.changes.iter().map(|change| as_json(&change.action)).collect();
        json!({"changes": changes, "added": added, "replaced": replaced, "deleted": deleted, "unchanged": plan.unchanged})
    };
    let text = || {
        let mut all: Vec<String> =
            plan.changes.iter().flat_map(|change| as_text(&change.action, cx)).collect();
        let unchanged = plan.unchanged;
        all.push(format!(
            "{added} to add, {replaced} to replace, {deleted} to delete, {unchanged} unchanged"
        ));
        all.join("\n")
    };
    cx.out.result(json, text)?;
    Ok(if plan.changes.is_empty() { Done::Well } else { Done::Differs })
}

fn as_text(action: &Action, cx: &Cx) -> Vec<String> {
    let minus =
        |set: &ZoneRrset| lines(set).into_iter().map(|line| cx.out.red(&format!("- {line}"))).collect();
    let plus =
        |set: &ZoneRrset| lines(set).into_iter().map(|line| cx.out.green(&format!("+ {line}"))).collect();
    match action {
        Action::Add(set) => plus(set),
        Action::Delete(set) => minus(set),
        Action::Replace { before, after } => {
            let both: [Vec<String>; 2] = [minus(before), plus(after)];
            both.concat()
        }
    }
}

fn as_json(action: &Action) -> Value {
    match action {
        Action::Add(set) => json!({"action": "add", "after": lines(set)}),
        Action::Delete(set) => json!({"action": "delete", "before": lines(set)}),
        Action::Replace { before, after } => {
            json!({"action": "replace", "before": lines(before), "after": lines(after)})
        }
    }
}

fn lines(set: &ZoneRrset) -> Vec<String> {
    let rtype = rdata::rtype_to_text(set.rtype);
    let line =
        |data: &Vec<u8>| format!("{} {} IN {rtype} {}", set.name, set.ttl, rdata::print(set.rtype, data));
    set.rdatas.iter().map(line).collect()
}
