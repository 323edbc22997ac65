//! `lfdns status`: how a node is.

use serde_json::json;

use super::fail::Done;
use super::peer::age;
use super::{Cx, link, out};
use crate::api::Lf;
use crate::api::json::Status;
use crate::record::OwnerKey;

/// Show how a node is: what it holds, where it listens, whether it is ready.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_: &Args, cx: &Cx) -> anyhow::Result<Done> {
    let status = link::connect(cx)?.status()?;
    cx.out.result(|| json!(status), || text(&status, cx))?;
    Ok(Done::Well)
}

fn text(status: &Status, cx: &Cx) -> String {
    let row = |key: &str, value: String| vec![key.to_owned(), value];
    let version: Vec<String> = status.version[..3].iter().map(ToString::to_string).collect();
    let state = if status.ready {
        cx.out.green("ready")
    } else {
        cx.out.red(&format!("waiting for {}", status.waiting_for.join(", ")))
    };
    let mut rows = vec![
        row("state", state),
        row("software", format!("{} {}", status.software, version.join("."))),
        row("network", status.genesis_parameters.name.clone()),
        row("records", format!("{} in {}", status.db_record_count, bytes(status.db_size))),
        row("dns", status.dns.join(" ")),
        row("http", status.http.join(" ")),
        row("quic", status.quic.join(" ")),
        row("uptime", format!("{} s", status.uptime)),
        row(
            "disk",
            format!("{} free, writes stop below {}", bytes(status.disk_free), bytes(status.disk_min_free)),
        ),
    ];
    rows.insert(7, row("peers", peers(status)));
    if let Some(key) = &status.key {
        rows.insert(8, row("key", key.clone()));
    }
    if let Some(catching_up) = &status.catching_up {
        rows.push(row("catching up", format!("{} of {} records", catching_up.done, catching_up.total)));
    }
    if status.orphans + status.deferred > 0 {
        rows.push(row(
            "waiting",
            format!("{} for links, {} for their time", status.orphans, status.deferred),
        ));
    }
    out::table(&rows)
}

/// How replication is.
fn peers(status: &Status) -> String {
    let state = match status.lag_millis {
        _ if !status.synchronised => "never synchronised".to_owned(),
        Some(lag) => format!("in agreement {} ago", age(lag)),
        None => "not compared since the start".to_owned(),
    };
    let mut parts = vec![format!("{} connected", status.peer_count), state];
    if status.missing > 0 {
        parts.push(format!("{} records missing", status.missing));
    }
    if status.peer_count > 0 {
        let (inward, outward) = (status.records_in_per_second, status.records_out_per_second);
        parts.push(format!("{inward:.1} records/s in, {outward:.1} out"));
    }
    parts.join(", ")
}

/// A size for people.
pub(crate) fn bytes(count: u64) -> String {
    let mut size = count as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if size < 1024.0 {
            return if unit == "B" { format!("{count} B") } else { format!("{size:.1} {unit}") };
        }
        size /= 1024.0;
    }
    format!("{size:.1} TiB")
}

/// `lfdns owner status`: an owner, and what the home's network has of it.
pub(crate) fn owner(who: Option<&str>, cx: &Cx) -> anyhow::Result<Done> {
    let owners = cx.owners();
    let key: OwnerKey = match who {
        Some(who) => owners.resolve(who)?,
        None => owners.signer(None)?.key(),
    };
    let name = owners.name_of(&key)?;
    let default = name.is_some() && owners.default_name()? == name;
    // Counted where a store is at hand; an owner is one without a network, too.
    let counts = match cx.read_store() {
        Ok(store) => Some(count(&store, &key)?),
        Err(_) => None,
    };
    let json = || {
        json!({
            "owner": key.to_string(), "name": name, "default": default, "secret": name.is_some(),
            "values": counts.map(|(values, _)| values), "founder": counts.map(|(_, founder)| founder),
        })
    };
    let text = || {
        let mut rows = vec![vec!["owner".to_owned(), key.to_string()]];
        let here = match &name {
            Some(name) if default => format!("{name} (default)"),
            Some(name) => name.clone(),
            None => "not in this home: its records can be read, not written".into(),
        };
        rows.push(vec!["name".into(), here]);
        if let Some((values, founder)) = counts {
            rows.push(vec!["values".into(), values.to_string()]);
            rows.push(vec!["founder".into(), if founder { "yes".into() } else { "no".into() }]);
        }
        out::table(&rows)
    };
    cx.out.result(json, text)?;
    Ok(Done::Well)
}

/// Its live values, and whether it founded the network.
fn count(store: &crate::store::Store, key: &OwnerKey) -> anyhow::Result<(usize, bool)> {
    let snapshot = store.snapshot()?;
    let mut values = 0;
    for listed in snapshot.records_of(key)? {
        listed?;
        values += 1;
    }
    Ok((values, store.founder() == *key))
}
