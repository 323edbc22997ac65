//! `lfdns name …`: why a DNS name is answered as it is, and which names there are.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::fail::Done;
use super::{Cx, link, out};
use crate::api::Lf;

/// DNS names.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Show how a DNS question is decided, step by step: zone, path, who may speak, records, answer.
    Show {
        /// The name, such as www.demo.lf.
        name: String,
        /// The type: A, TXT, TYPE65400 …; any if left out.
        #[arg(value_name = "TYPE")]
        rtype: Option<String>,
    },
    /// List the names of a zone, or of all zones, with their types.
    ///
    /// Names are found through the paths inside values; unlisted ones and raw values are not shown.
    List {
        /// The zone's suffix, such as demo.lf.
        zone: Option<String>,
        /// Only this owner's: a local name or @key.
        #[arg(long, value_name = "OWNER")]
        owner: Option<String>,
    },
}

pub(crate) fn run(command: Command, cx: &Cx) -> anyhow::Result<Done> {
    match command {
        Command::Show { name, rtype } => {
            let explained = link::connect(cx)?.explain(&name, rtype.as_deref())?;
            cx.out.result(|| explained.clone(), || text(&explained, cx))?;
            Ok(Done::Well)
        }
        Command::List { zone, owner } => list(zone, owner.as_deref(), cx),
    }
}

fn list(zone: Option<String>, owner: Option<&str>, cx: &Cx) -> anyhow::Result<Done> {
    let owner = owner.map(|who| cx.owners().resolve(who)).transpose()?;
    let node = link::connect(cx)?;
    let zones = match zone {
        Some(zone) => vec![zone],
        None => zones_of(&node.status()?.network_rules),
    };
    // By name, whatever zone listed it: zones may lie within each other.
    let mut names: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for zone in &zones {
        node.list_zone(zone, owner.as_ref(), &mut |entry| {
            let types = names.entry(entry.name).or_default();
            let seen = (entry.rtype, entry.owner.to_string());
            if !types.contains(&seen) {
                types.push(seen);
            }
            true
        })?;
    }
    let json = || {
        let shown = |(name, types): (&String, &Vec<(String, String)>)| {
            let types: Vec<Value> =
                types.iter().map(|(t, owner)| json!({"type": t, "owner": owner})).collect();
            json!({"name": name, "sets": types})
        };
        names.iter().map(shown).collect()
    };
    let text = || {
        let row = |(name, types): (&String, &Vec<(String, String)>)| {
            let types: Vec<&str> = types.iter().map(|(t, _)| t.as_str()).collect();
            vec![name.clone(), types.join(" ")]
        };
        out::table(&names.iter().map(row).collect::<Vec<_>>())
    };
    cx.out.result(json, text)?;
    Ok(Done::Well)
}

fn zones_of(rules: &Value) -> Vec<String> {
    let zones = rules["zones"].as_array().into_iter().flatten();
    zones.filter_map(|zone| zone["suffix"].as_str().map(str::to_owned)).collect()
}

/// The explanation's parts, in the order in which the decision is made.
const ORDER: [&str; 16] = [
    "question",
    "zone",
    "local_zone",
    "authority",
    "path",
    "cut",
    "speakers",
    "steps",
    "records",
    "rcode",
    "reason",
    "answer",
    "authority_section",
    "additional",
    "until_ms",
    "until",
];

/// The explanation as an outline, in the order of the decision; what is empty is left out.
fn text(explained: &Value, cx: &Cx) -> String {
    let Value::Object(map) = explained else { return explained.to_string() };
    let unknown = map.keys().map(String::as_str).filter(|key| !ORDER.contains(key));
    let mut lines = Vec::new();
    for key in ORDER.into_iter().chain(unknown) {
        let title = cx.out.bold(&key.replace('_', " "));
        match map.get(key) {
            None | Some(Value::Null) => {}
            Some(Value::Array(list)) => {
                let title = (!list.is_empty()).then_some(title);
                lines.extend(title);
                lines.extend(list.iter().map(|item| format!("  {}", item_text(item))));
            }
            Some(plain) => lines.push(format!("{title}  {}", item_text(plain))),
        }
    }
    lines.join("\n")
}

/// One line: of an object its parts that are not empty, the most telling first.
fn item_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(map) => {
            let first = ["fate", "why", "type", "id"];
            let rest = map.keys().map(String::as_str).filter(|key| !first.contains(key));
            let parts = first.into_iter().chain(rest).filter_map(|key| match map.get(key)? {
                Value::Null => None,
                value if first.contains(&key) => Some(item_text(value)),
                value => Some(format!("{key} {}", item_text(value))),
            });
            parts.collect::<Vec<_>>().join("  ")
        }
        other => other.to_string(),
    }
}
