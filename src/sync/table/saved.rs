//! What of the table outlives the process: `HOME/peers.json`, docs/ARCHITECTURE.md "Peers".

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::super::address::{NodeKey, PeerAddress};
use super::{ANCHORS, Entry, PINS_MAX, Prefix, Table};
use crate::record::Millis;

/// What is written down.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Saved {
    /// Peers added by hand.
    pub peers: Vec<PeerAddress>,
    /// Addresses written without a key, with the one first seen there.
    pub pins: Vec<PeerAddress>,
    /// Peers known for long.
    pub anchors: Vec<Anchor>,
}

/// A peer known for long.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Anchor {
    /// Where it was last reached, and its key.
    pub address: PeerAddress,
    /// When it was reached first, milliseconds since 1970.
    pub since: u64,
}

impl Table {
    /// What to write down.
    pub fn save(&self) -> Saved {
        let pin = |((host, port), key): (&(String, u16), &NodeKey)| PeerAddress {
            host: host.clone(),
            port: *port,
            key: Some(*key),
        };
        let added = self.entries.iter().filter(|entry| entry.by.added);
        Saved {
            peers: added.map(|entry| entry.address.clone()).collect(),
            // That an address is our own may change while we are away.
            pins: self.pins.iter().filter(|(_, key)| **key != self.own).map(pin).collect(),
            anchors: self.anchors(),
        }
    }

    /// Takes up what an earlier run wrote down.
    pub fn restore(&mut self, saved: Saved, now: Millis) {
        self.version += 1;
        for pin in saved.pins.into_iter().take(PINS_MAX) {
            let Some(key) = pin.key else { continue };
            self.pins.entry((pin.host, pin.port)).or_insert(key);
        }
        for peer in saved.peers {
            // Too many, or this node itself: what a person wrote into the file.
            let _ = self.add(peer, now);
        }
        for anchor in saved.anchors {
            if anchor.address.key.is_none() || anchor.address.socket().is_none() {
                continue;
            }
            // Too many, or this node itself, likewise.
            if let Ok(entry) = self.anchor(anchor.address, now) {
                entry.first = Some(Millis(anchor.since).min(now));
            }
        }
    }

    /// Those known longest that still answer; of one prefix a second only if there are not enough.
    fn anchors(&self) -> Vec<Anchor> {
        // One kept from an earlier run that has not failed yet may simply not have had its turn.
        let answers = |entry: &&Entry| {
            !entry.wanted() && entry.failures == 0 && (entry.reached.is_some() || entry.anchor)
        };
        let mut found: Vec<Anchor> = self
            .entries
            .iter()
            .filter(answers)
            .filter_map(|entry| {
                let at = entry.reached.map(|(_, at)| at).or_else(|| entry.address.socket())?;
                let address = PeerAddress::of(at, Some(self.key_of(entry)?));
                Some(Anchor { address, since: entry.first?.0 })
            })
            .collect();
        found.sort_by(|a, b| (a.since, &a.address).cmp(&(b.since, &b.address)));
        found.dedup_by(|a, b| a.address == b.address);
        let mut prefixes = BTreeSet::new();
        let (first, rest): (Vec<_>, Vec<_>) = found.into_iter().partition(|anchor| {
            anchor.address.socket().is_some_and(|at| prefixes.insert(Prefix::of(at.ip())))
        });
        first.into_iter().chain(rest).take(ANCHORS).collect()
    }
}
