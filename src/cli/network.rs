//! `lfdns network …`: found a network, show its rules, amend those that may change.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde_json::{Map, Value, json};

use super::fail::{Done, usage};
use super::{Cx, invite, join, link};
use crate::api::json::Invitation;
use crate::node::{first, zones};
use crate::record::{Limits, Owner, OwnerKey, Rules};
use crate::store::Store;
use crate::sync::PeerAddress;

/// The network: its rules, and who may change them.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Found a network in an empty home.
    New(New),
    Join(join::Args),
    /// Show the network and its rules, and an invitation for whoever shall join.
    Show,
    /// Change the rules that may change, if you founded the network.
    Amend(Amend),
}

/// Found a network in an empty home.
///
/// Its founder is the home's default owner, made if there is none. The rules are those of a private network
/// without work unless said otherwise here; limits can never be changed later.
#[derive(Debug, clap::Args)]
pub(crate) struct New {
    /// What people call it.
    #[arg(default_value = "private")]
    name: String,
    /// Whom to ask about it.
    #[arg(long, default_value = "", hide_default_value = true)]
    contact: String,
    /// Anything else.
    #[arg(long, default_value = "", hide_default_value = true)]
    comment: String,
    /// The suffix its names end in.
    #[arg(long, default_value = "lf.")]
    suffix: String,
    /// Most bytes of a value, for ever [default: as large as the format allows].
    #[arg(long, value_name = "BYTES")]
    value_max: Option<u32>,
    /// Fewest links of a record, for ever.
    #[arg(long, default_value_t = 2, value_name = "COUNT")]
    links_min: u8,
    /// A directory of zone files NAME.toml to write into the rules; without it only the suffix is a zone.
    #[arg(long, value_name = "DIR")]
    zones: Option<PathBuf>,
}

/// Change the rules that may change, if you founded the network.
///
/// FILE is JSON: the whole rules as `lfdns --json network show` prints them, or only the keys to change, such as
/// {"contact": "me@example.org"}. The difference is shown, then posted.
#[derive(Debug, clap::Args)]
pub(crate) struct Amend {
    /// The file; - is stdin.
    file: PathBuf,
    /// Only show the difference; ends with code 2 if there is one.
    #[arg(long)]
    dry_run: bool,
}

pub(crate) fn run(command: Command, cx: &Cx) -> anyhow::Result<Done> {
    match command {
        Command::New(args) => new(&args, cx),
        Command::Join(args) => join::run(&args, cx),
        Command::Show => show(cx),
        Command::Amend(args) => amend(&args, cx),
    }
}

fn new(args: &New, cx: &Cx) -> anyhow::Result<Done> {
    if Store::exists(&cx.home)? {
        bail!("{} holds a network already; choose another --home", cx.home.display());
    }
    let mut rules = first::private_rules(&args.name)?;
    rules.contact.clone_from(&args.contact);
    rules.comment.clone_from(&args.comment);
    rules.suffix = if args.suffix.ends_with('.') { args.suffix.clone() } else { format!("{}.", args.suffix) };
    rules.links_min = args.links_min;
    if let Some(value_max) = args.value_max {
        rules.limits = Limits { value_max };
    }
    let config = cx.config()?;
    if let Some(dir) = args.zones.as_deref().filter(|dir| !dir.is_dir()) {
        bail!("{} is no directory", dir.display());
    }
    let dir = args.zones.as_deref().and_then(|dir| zones::directory(dir, &cx.home));
    let genesis = first::found_network(&cx.home, rules, dir.as_deref(), link::now())?;
    let store = Store::create(&cx.home, &genesis, &config.store, link::clock())?;
    print(&store, None, cx)?;
    Ok(Done::Well)
}

fn show(cx: &Cx) -> anyhow::Result<Done> {
    let store = cx.read_store()?;
    let invitation = invite::invitation(&store, cx)?;
    print(&store, Some(&invitation), cx)?;
    Ok(Done::Well)
}

fn print(store: &Store, invitation: Option<&Invitation>, cx: &Cx) -> anyhow::Result<()> {
    let (rules, network, founder) = (store.rules(), store.network(), store.founder());
    let name = cx.owners().name_of(&founder)?;
    let json = || {
        let mut shown =
            json!({"network": network.reveal(), "founder": founder.to_string(), "rules": value_of(&rules)});
        if let Some(invitation) = invitation {
            shown["invitation"] = json!(invitation);
        }
        shown
    };
    let text = || {
        let mut rows = vec![
            vec![
                cx.out.bold("network"),
                network.reveal(),
                cx.out.dim("(keep it to members: it is how they get in)"),
            ],
            vec!["founder".into(), who(&founder, name.as_deref())],
        ];
        if let Value::Object(map) = value_of(&rules) {
            for (key, value) in map.into_iter().filter(|(key, _)| key != "zones") {
                rows.push(vec![key, brief(&value)]);
            }
        }
        for zone in &rules.zones {
            rows.push(vec![
                format!("zone {}", zone.suffix),
                brief(&serde_json::to_value(&zone.authority).unwrap_or_default()),
            ]);
        }
        let table = super::out::table(&rows);
        match invitation {
            Some(invitation) => format!("{table}\n{}", invite::text(invitation, cx)),
            None => table,
        }
    };
    cx.out.result(json, text)?;
    Ok(())
}

fn who(key: &OwnerKey, name: Option<&str>) -> String {
    name.map_or_else(|| key.to_string(), |name| format!("{key} ({name})"))
}

fn brief(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(brief).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

fn value_of(rules: &Rules) -> Value {
    serde_json::from_slice(&rules.to_canonical()).expect("canonical rules are JSON")
}

fn amend(args: &Amend, cx: &Cx) -> anyhow::Result<Done> {
    let store = cx.read_store()?;
    let before = store.rules();
    let wanted = read(&args.file)?;
    let after = merged(&before, wanted).with_context(|| args.file.display().to_string())?;
    before.check_amendment(&after)?;
    for peer in after.seed_peers.iter().filter(|peer| !before.seed_peers.contains(peer)) {
        peer.parse::<PeerAddress>().context("seed_peers")?;
    }
    let changes = difference(&value_of(&before), &value_of(&after));
    if changes.is_empty() {
        cx.out.result(|| json!({"changes": {}, "posted": false}), || "the rules are so already".into())?;
        return Ok(Done::Well);
    }
    let text = || render(&changes, cx);
    if args.dry_run {
        cx.out.result(|| json!({"changes": changes, "posted": false}), text)?;
        return Ok(Done::Differs);
    }
    let owner = founder(&store, cx)?;
    let newest = store.newest_genesis();
    let time = link::now().max(newest.time.plus(1));
    let network = store.network();
    let record = after.genesis(&network, &owner, time, vec![newest.id])?;
    drop(store);
    let id = record.id(&network);
    link::post(link::node_or_store(cx)?.as_ref(), record, id)?;
    cx.out.result(|| json!({"changes": changes, "posted": true, "id": id.to_string()}), text)?;
    Ok(Done::Well)
}

fn founder(store: &Store, cx: &Cx) -> anyhow::Result<Owner> {
    let key = store.founder();
    let Some(name) = cx.owners().name_of(&key)? else {
        bail!("only the founder {key} may amend the rules, and its secret key is not in this home");
    };
    Ok(cx.owners().load(&name)?)
}

fn read(file: &Path) -> anyhow::Result<Map<String, Value>> {
    let text = super::read_input(file)?;
    let value: Value = serde_json::from_slice(&text).with_context(|| file.display().to_string())?;
    // `network show` wraps the rules.
    let rules = value.get("rules").cloned().unwrap_or(value);
    match rules {
        Value::Object(map) => Ok(map),
        _ => Err(usage(format!("{}: expected a JSON object of rules", file.display()))),
    }
}

/// The rules with the keys of `wanted` in place of their own.
fn merged(before: &Rules, wanted: Map<String, Value>) -> anyhow::Result<Rules> {
    let Value::Object(mut map) = value_of(before) else { unreachable!("rules are an object") };
    for (key, value) in wanted {
        if !map.contains_key(&key) {
            let known: Vec<&str> = map.keys().map(String::as_str).collect();
            bail!("'{key}' is not a rule; there are: {}", known.join(", "));
        }
        map.insert(key, value);
    }
    let rules: Rules = serde_json::from_value(Value::Object(map))?;
    Ok(rules)
}

/// What differs, key by key.
fn difference(before: &Value, after: &Value) -> Map<String, Value> {
    let (Value::Object(before), Value::Object(after)) = (before, after) else { return Map::new() };
    after
        .iter()
        .filter(|(key, value)| before.get(*key) != Some(value))
        .map(|(key, value)| (key.clone(), json!({"from": before.get(key), "to": value})))
        .collect()
}

fn render(changes: &Map<String, Value>, cx: &Cx) -> String {
    let side = |sign: &str, key: &str, value: &Value| {
        let line = format!("{sign} {key}: {value}");
        if sign == "-" { cx.out.red(&line) } else { cx.out.green(&line) }
    };
    let both =
        |(key, change): (&String, &Value)| [side("-", key, &change["from"]), side("+", key, &change["to"])];
    changes.iter().flat_map(both).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amendment_may_name_only_what_it_changes() {
        let before = Rules::private(&[1; 32], "a");
        let wanted = json!({"contact": "me@example.org"});
        let Value::Object(wanted) = wanted else { unreachable!() };
        let after = merged(&before, wanted).unwrap();
        let changes = difference(&value_of(&before), &value_of(&after));
        assert_eq!(changes.len(), 1);
        assert_eq!(changes["contact"]["to"], "me@example.org");
        assert!(before.check_amendment(&after).is_ok());
    }

    #[test]
    fn a_rule_nobody_knows_is_refused() {
        let before = Rules::private(&[1; 32], "a");
        let Value::Object(wanted) = json!({"contct": "x"}) else { unreachable!() };
        assert!(merged(&before, wanted).unwrap_err().to_string().contains("contct"));
    }
}
