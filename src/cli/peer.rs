//! `lfdns peer …`: whom the node replicates with.

use serde_json::json;

use super::fail::Done;
use super::{Cx, link, out, status};
use crate::api::json::{PeerJson, PeersChange};
use crate::sync::PeerAddress;

/// Characters of a key that tell peers apart for a person.
const SHORT: usize = 8;

/// Peers: the nodes this one replicates with.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List the peers the node knows, with what each costs and gives while it is connected.
    List,
    /// Add a peer for good, and dial it.
    Add {
        /// HOST:PORT#KEY, as `lfdns network show` prints it on the other node; without KEY the first key seen
        /// there is pinned.
        address: PeerAddress,
    },
    /// Forget a peer that was added, and disconnect it.
    Remove {
        /// Its address or key.
        peer: String,
    },
}

pub(crate) fn run(command: Command, cx: &Cx) -> anyhow::Result<Done> {
    let node = link::connect(cx)?;
    let peers = match command {
        Command::List => node.peers()?,
        Command::Add { address } => node.change_peers(&PeersChange::Add(address.to_string()))?,
        Command::Remove { peer } => node.change_peers(&PeersChange::Remove(peer))?,
    };
    cx.out.result(|| json!(peers), || text(&peers, link::now().0, cx))?;
    Ok(Done::Well)
}

const HEADS: [&str; 13] = [
    "peer",
    "address",
    "origin",
    "state",
    "since",
    "rtt",
    "in",
    "out",
    "dup",
    "refused",
    "dropped",
    "agreed",
    "received/sent",
];

fn text(peers: &[PeerJson], now: u64, cx: &Cx) -> String {
    if peers.is_empty() {
        return "no peers; `lfdns peer add HOST:PORT#KEY` adds one".into();
    }
    let mut rows = vec![HEADS.map(|head| cx.out.bold(head)).to_vec()];
    rows.extend(peers.iter().map(|peer| row(peer, now, cx)));
    out::table(&rows)
}

fn row(peer: &PeerJson, now: u64, cx: &Cx) -> Vec<String> {
    let none = || "-".to_owned();
    let key = peer.key.as_deref().map_or_else(none, |key| key.chars().take(SHORT).collect());
    let place = peer.address.as_deref().map(|address| address.split('#').next().unwrap_or_default());
    let ago = |time: Option<u64>| time.map_or_else(none, |time| age(now.saturating_sub(time)));
    let Some(up) = &peer.connection else {
        let state = match peer.shunned_until_millis.filter(|until| *until > now) {
            Some(until) => cx.out.red(&format!("shunned for {}", age(until - now))),
            None if peer.failures > 0 => cx.out.red(&format!("down, {} tries", peer.failures)),
            None => cx.out.dim("down"),
        };
        let place = place.map_or_else(none, str::to_owned);
        return vec![key, place, peer.origin.clone(), state, ago(peer.reached_millis)];
    };
    let way = if up.outgoing { "up" } else { "up, called" };
    vec![
        key,
        place.unwrap_or(&up.remote).to_owned(),
        peer.origin.clone(),
        cx.out.green(way),
        ago(Some(up.since_millis)),
        format!("{:.1} ms", up.rtt_micros as f64 / 1000.0),
        up.records_in.to_string(),
        up.records_out.to_string(),
        up.duplicates.to_string(),
        up.refused.to_string(),
        up.dropped.to_string(),
        ago(up.agreed_millis),
        format!("{} / {}", status::bytes(up.bytes_in), status::bytes(up.bytes_out)),
    ]
}

/// A span for people: the largest unit that is not too coarse.
pub(crate) fn age(ms: u64) -> String {
    match ms / 1000 {
        0 => format!("{ms} ms"),
        s @ 1..120 => format!("{s} s"),
        s @ 120..7200 => format!("{} min", s / 60),
        s @ 7200..172_800 => format!("{} h", s / 3600),
        s => format!("{} d", s / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_told_in_one_unit() {
        let spans =
            [(7, "7 ms"), (90_000, "90 s"), (300_000, "5 min"), (7_200_000, "2 h"), (4 * 86_400_000, "4 d")];
        for (ms, text) in spans {
            assert_eq!(age(ms), text);
        }
    }
}
