//! Whom this node knows and whom it dials next: a table without socket, clock or randomness of its own. Time is
//! an argument, jitter and choices come from a seed.
//!
//! An *entry* is an address with what came of dialling it. The operator's and the rules' entries are *wanted*:
//! never forgotten, dialled first. All others are hints from strangers, so they are bounded: in all, per network
//! prefix, per teller and per key; and none is passed on before this node reached it itself. An incoming peer's
//! own address is tried once in a while ([`Table::probes`]), or in a network where everybody calls one seed
//! nobody would ever hear of anybody else. DESIGN "Replication".

mod prefix;
mod saved;
mod shun;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

pub use prefix::{Prefix, Scope};
pub use saved::{Anchor, Saved};
pub use shun::Offence;

use shun::Shuns;

use super::address::{NodeKey, PeerAddress, plain};
use super::dice::Dice;
use super::face::{Origin, Peer, PeersError};
use crate::record::Millis;

/// Addresses that are kept of those nobody here asked for: heard ones and anchors.
pub const TABLE_MAX: usize = 1024;
/// Percentage of [`TABLE_MAX`] that one network prefix may take: an IPv4 /16, an IPv6 /32.
pub const PREFIX_PERCENT: usize = 5;
/// Addresses of one network prefix, so.
pub const PREFIX_MAX: usize = TABLE_MAX * PREFIX_PERCENT / 100;
/// Addresses that one node may tell of, kept at a time.
pub const TELLER_MAX: usize = 128;
/// Addresses kept for one key.
pub const KEY_MAX: usize = 4;
/// Peers that may be added by hand, and as many in the configuration.
pub const OPERATOR_MAX: usize = 256;
/// Peers taken from the network's rules.
pub const RULES_MAX: usize = 64;
/// Keys pinned to addresses that were written without one.
pub const PINS_MAX: usize = 2 * OPERATOR_MAX + RULES_MAX;
/// Long-known peers that are kept across restarts.
pub const ANCHORS: usize = 8;
/// Failed attempts after which a heard address is forgotten, unless it was reached within [`FORGET_AFTER_MS`].
pub const TRIES_MAX: u32 = 8;
/// How long a heard address that once worked is kept although it fails, milliseconds.
pub const FORGET_AFTER_MS: u64 = 7 * 24 * 3_600_000;
/// The first pause after a failure, milliseconds; doubles.
pub const BACKOFF_MIN_MS: u64 = 1_000;
/// The longest pause, milliseconds.
pub const BACKOFF_MAX_MS: u64 = 600_000;
/// The longest pause where the operator or the rules want the peer, milliseconds: names must agree within ten
/// seconds of the end of a partition.
pub const BACKOFF_WANTED_MAX_MS: u64 = 4_000;
/// The longest pause where such a peer answers and hangs up, milliseconds: it is full, and a thousand others call.
pub const BRIEF_WANTED_MAX_MS: u64 = 60_000;
/// The pause after a connection that held, milliseconds, before jitter.
pub const LOST_PAUSE_MS: u64 = 1_000;
/// A connection that ends sooner counts as a failure, milliseconds: else who accepts and hangs up is dialled
/// every second.
pub const HELD_MIN_MS: u64 = 10_000;
/// When the result of a dial is given up on, milliseconds.
pub const DIAL_MAX_MS: u64 = 60_000;
/// An address is passed on only if it worked within this time, milliseconds.
pub const SHARE_FRESH_MS: u64 = 3 * 3_600_000;
/// How often the address of a peer that called is tried, milliseconds.
pub const PROBE_PAUSE_MS: u64 = 600_000;
/// How long entries rest that found no room or were connected already, milliseconds.
const REST_MS: u64 = 5_000;

/// The peers a node knows.
#[derive(Debug)]
pub struct Table {
    own: NodeKey,
    dice: Dice,
    entries: Vec<Entry>,
    pins: BTreeMap<(String, u16), NodeKey>,
    /// Who is connected, from where, and since when.
    up: BTreeMap<NodeKey, Up>,
    shuns: Shuns,
    /// No dial before this: there was no room.
    full_until: Option<Millis>,
    /// Counts what may have changed whom to dial when.
    version: u64,
}

#[derive(Clone, Copy, Debug)]
struct Up {
    at: SocketAddr,
    since: Millis,
}

/// Who here wants a peer.
#[derive(Clone, Copy, Debug, Default)]
struct By {
    added: bool,
    configured: bool,
    ruled: bool,
}

#[derive(Clone, Debug)]
struct Entry {
    address: PeerAddress,
    /// The address, if it is written as one and not as a name.
    at: Option<SocketAddr>,
    by: By,
    /// Kept from an earlier run.
    anchor: bool,
    /// Who told of it; itself where it called.
    teller: Option<NodeKey>,
    /// When it was reached first.
    first: Option<Millis>,
    /// When it last worked, and where that was.
    reached: Option<(Millis, SocketAddr)>,
    /// Whether the present connection was dialled here.
    through: bool,
    failures: u32,
    /// Connections in a row that did not hold.
    brief: u32,
    next: Millis,
}

impl Entry {
    fn new(address: PeerAddress, now: Millis) -> Entry {
        Entry {
            at: address.socket(),
            address,
            by: By::default(),
            anchor: false,
            teller: None,
            first: None,
            reached: None,
            through: false,
            failures: 0,
            brief: 0,
            next: now,
        }
    }

    fn wanted(&self) -> bool {
        self.by.added || self.by.configured || self.by.ruled
    }

    fn origin(&self) -> Origin {
        if self.by.added || self.by.configured {
            Origin::Operator
        } else if self.by.ruled {
            Origin::Rules
        } else if self.anchor {
            Origin::Anchor
        } else {
            Origin::Heard
        }
    }

    fn place(&self) -> (&str, u16) {
        (&self.address.host, self.address.port)
    }
}

impl Table {
    /// A table for the node whose key is `own`. The seed drives jitter and choices.
    pub fn new(own: NodeKey, seed: u64) -> Table {
        Table {
            own,
            dice: Dice::new(seed),
            entries: Vec::new(),
            pins: BTreeMap::new(),
            up: BTreeMap::new(),
            shuns: Shuns::default(),
            full_until: None,
            version: 0,
        }
    }

    /// Another number than before whenever [`Table::next_due`] or [`Table::next_probe`] may say something else.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Adds an address by hand, which is written down; [`Table::configure`] is for what stands in the configuration,
    /// [`Table::set_rules`] for the rules', [`Table::heard`] for what one was told of.
    pub fn add(&mut self, address: PeerAddress, now: Millis) -> Result<(), PeersError> {
        let added = self.entries.iter().filter(|entry| entry.by.added).count();
        self.welcome(address, added, OPERATOR_MAX, now)?.by.added = true;
        Ok(())
    }

    /// Keeps a peer that an earlier run knew for long.
    fn anchor(&mut self, address: PeerAddress, now: Millis) -> Result<&mut Entry, PeersError> {
        let anchors = self.entries.iter().filter(|entry| entry.anchor).count();
        let entry = self.welcome(address, anchors, ANCHORS, now)?;
        entry.anchor = true;
        Ok(entry)
    }

    fn welcome(
        &mut self,
        address: PeerAddress,
        there: usize,
        most: usize,
        now: Millis,
    ) -> Result<&mut Entry, PeersError> {
        if address.key == Some(self.own) {
            return Err(PeersError::Itself(address.to_string()));
        }
        if there >= most {
            return Err(PeersError::Full(most));
        }
        self.version += 1;
        self.full_until = None;
        Ok(self.entry(address, now))
    }

    /// Replaces the peers of the configuration and the command line.
    pub fn configure(&mut self, peers: &[PeerAddress], now: Millis) -> Result<(), PeersError> {
        self.replace(&peers[..peers.len().min(OPERATOR_MAX)], now, |entry| &mut entry.by.configured);
        if peers.len() > OPERATOR_MAX { Err(PeersError::Full(OPERATOR_MAX)) } else { Ok(()) }
    }

    /// Replaces the peers of the network's rules; of more than [`RULES_MAX`] the first count.
    pub fn set_rules(&mut self, peers: &[PeerAddress], now: Millis) {
        self.replace(&peers[..peers.len().min(RULES_MAX)], now, |entry| &mut entry.by.ruled);
    }

    fn replace(&mut self, peers: &[PeerAddress], now: Millis, flag: fn(&mut Entry) -> &mut bool) {
        self.version += 1;
        for entry in &mut self.entries {
            *flag(entry) = false;
        }
        let own = self.own;
        for peer in peers.iter().filter(|peer| peer.key != Some(own)) {
            *flag(self.entry(peer.clone(), now)) = true;
        }
        self.entries.retain(|entry| entry.wanted() || entry.anchor || entry.teller.is_some());
        self.full_until = None;
    }

    /// A node tells of another. Kept if it is not this node, if it is an address that may be believed from
    /// there, and if there is room for it.
    pub fn heard(&mut self, address: SocketAddr, key: NodeKey, from: NodeKey, now: Millis) {
        let address = plain(address);
        let near = self.up.get(&from).map_or(Scope::Global, |up| Scope::of(up.at.ip()));
        let usable = address.port() != 0 && Scope::of(address.ip()) >= near;
        if key == self.own || !usable || self.knows(address, key) || !self.make_room(address, key, from, now)
        {
            return;
        }
        self.version += 1;
        let mut entry = Entry::new(PeerAddress::of(address, Some(key)), now);
        entry.teller = Some(from);
        self.entries.push(entry);
    }

    /// An incoming peer proved itself; `at` is where it says that it can be called. It is told to nobody
    /// before a dial of ours worked there.
    pub fn called(&mut self, key: NodeKey, at: SocketAddr, now: Millis) {
        self.version += 1;
        if key == self.own {
            return;
        }
        self.up.entry(key).or_insert(Up { at, since: now });
        self.heard(at, key, key, now);
    }

    /// Whom to dial now, at most `room`: the operator's and the rules' peers first, then anchors, then heard
    /// ones by chance. Each counts as being dialled until [`Table::reached`] or [`Table::failed`]. A pinned key
    /// is filled in.
    pub fn due(
        &mut self,
        now: Millis,
        connected: &dyn Fn(&NodeKey) -> bool,
        room: usize,
    ) -> Vec<PeerAddress> {
        self.version += 1;
        let mut ripe = Vec::new();
        for index in 0..self.entries.len() {
            let entry = &self.entries[index];
            let key = self.key_of(entry);
            if entry.next > now || key.is_some_and(|key| key == self.own || self.up.contains_key(&key)) {
                continue;
            }
            if key.is_some_and(|key| connected(&key)) {
                self.entries[index].next = now.plus(REST_MS);
            } else if let Some(until) = self.shunned_until(&self.entries[index], now) {
                self.entries[index].next = until;
            } else {
                ripe.push(index);
            }
        }
        self.rank(&mut ripe);
        let mut taken = Vec::new();
        let (mut keys, mut places) = (BTreeSet::new(), BTreeSet::new());
        self.full_until = None;
        for index in ripe {
            let key = self.key_of(&self.entries[index]);
            if taken.len() == room {
                self.full_until = Some(now.plus(REST_MS));
                break;
            }
            // One attempt at a time for a key, and for a place.
            let fresh = key.is_none_or(|key| !keys.contains(&key));
            let entry = &mut self.entries[index];
            if !fresh || !places.insert((entry.address.host.clone(), entry.address.port)) {
                entry.next = now.plus(REST_MS);
                continue;
            }
            keys.extend(key);
            entry.next = now.plus(DIAL_MAX_MS);
            taken.push(PeerAddress { key, ..entry.address.clone() });
        }
        taken
    }

    /// Addresses of peers that called and that this node has not reached lately, at most `max`: to be dialled
    /// beside their connection only to see that it works there, with the outcome told like that of any dial.
    pub fn probes(&mut self, now: Millis, max: usize) -> Vec<PeerAddress> {
        self.version += 1;
        let mut found = Vec::new();
        for entry in &mut self.entries {
            let up = entry.address.key.is_some_and(|key| self.up.contains_key(&key));
            let stale =
                !entry.through && entry.reached.is_none_or(|(at, _)| at.plus(SHARE_FRESH_MS / 2) <= now);
            if found.len() < max && up && stale && entry.teller.is_some() && entry.next <= now {
                entry.next = now.plus(PROBE_PAUSE_MS);
                found.push(entry.address.clone());
            }
        }
        found
    }

    /// A dial worked and both sides proved themselves: `key` is pinned, the back-off forgotten, and the address
    /// may be passed on.
    pub fn reached(&mut self, dialled: &PeerAddress, at: SocketAddr, key: NodeKey, now: Millis) {
        self.version += 1;
        let at = plain(at);
        let was_up = key == self.own || self.up.contains_key(&key);
        let Some(index) = self.find(dialled) else { return };
        if self.entries[index].address.key.is_none() {
            self.pin(index, key);
        }
        let entry = &mut self.entries[index];
        entry.failures = 0;
        if key == self.own {
            return;
        }
        entry.first.get_or_insert(now);
        entry.reached = Some((now, at));
        entry.through = !was_up;
        self.up.entry(key).or_insert(Up { at, since: now });
    }

    /// A dial did not work, or another key answered than the one pinned.
    pub fn failed(&mut self, dialled: &PeerAddress, now: Millis) {
        self.version += 1;
        let Some(index) = self.find(dialled) else { return };
        self.full_until = None;
        self.entries[index].failures = self.entries[index].failures.saturating_add(1);
        self.entries[index].next = now.plus(self.pause(index));
        let entry = &self.entries[index];
        let fresh = entry.reached.is_some_and(|(at, _)| at.plus(FORGET_AFTER_MS) > now);
        if !entry.wanted() && entry.failures >= TRIES_MAX && !fresh {
            self.entries.swap_remove(index);
        }
    }

    /// The last connection to a peer ended without anybody's fault: it is dialled again after a short pause, a
    /// longer one if it did not hold.
    pub fn lost(&mut self, key: NodeKey, now: Millis) {
        self.version += 1;
        self.full_until = None;
        let Some(up) = self.up.remove(&key) else { return };
        let held = now.0.saturating_sub(up.since.0) >= HELD_MIN_MS;
        for index in 0..self.entries.len() {
            if self.key_of(&self.entries[index]) != Some(key) {
                continue;
            }
            let entry = &mut self.entries[index];
            entry.brief = if held { 0 } else { entry.brief.saturating_add(1) };
            if entry.through {
                entry.through = false;
                entry.reached = entry.reached.map(|(_, at)| (now, at));
            }
            let pause = self.pause(index).max(self.dice.about(LOST_PAUSE_MS));
            self.entries[index].next = now.plus(pause);
        }
    }

    /// Shuns who did wrong, for a time that grows; an IP address only after several offences by keys that cost
    /// nothing to make.
    pub fn blame(&mut self, key: Option<NodeKey>, ip: IpAddr, offence: Offence, now: Millis) {
        let wanted = key.is_some_and(|key| self.wants(key));
        self.shuns.blame(key, wanted, ip, offence, now);
    }

    /// Whether there is nothing to talk about. Who was reached before, or is wanted, does not suffer for the
    /// others behind its IP address.
    pub fn shunned(&self, key: Option<NodeKey>, ip: IpAddr, now: Millis) -> bool {
        let known = key.is_some_and(|key| {
            let trusted = |entry: &Entry| entry.wanted() || entry.reached.is_some();
            self.entries.iter().any(|entry| trusted(entry) && self.key_of(entry) == Some(key))
        });
        key.is_some_and(|key| self.shuns.key(key, now).is_some())
            || (!known && self.shuns.ip(ip, now).is_some())
    }

    /// At most `max` addresses to tell `asker` of, by chance: only such as this node itself reached lately and
    /// as mean something where the asker is.
    pub fn share(&mut self, asker: NodeKey, max: usize, now: Millis) -> Vec<(SocketAddr, NodeKey)> {
        let near = self.up.get(&asker).map_or(Scope::Global, |up| Scope::of(up.at.ip()));
        let mut found = Vec::new();
        for index in 0..self.entries.len() {
            let entry = &self.entries[index];
            let (Some(key), Some((when, at))) = (self.key_of(entry), entry.reached) else { continue };
            let fresh = entry.through || when.plus(SHARE_FRESH_MS) > now;
            let welcome = key != asker && self.shuns.key(key, now).is_none();
            if fresh && welcome && Scope::of(at.ip()) >= near {
                found.push((self.dice.roll(), (at, key)));
            }
        }
        found.sort_unstable_by_key(|(drawn, _)| *drawn);
        let mut told = Vec::new();
        for (_, pair) in found {
            if told.len() < max && !told.contains(&pair) {
                told.push(pair);
            }
        }
        told
    }

    /// Forgets a peer that was added, named by its address or key; returns its key, to disconnect it.
    pub fn remove(&mut self, who: &str) -> Result<Option<NodeKey>, PeersError> {
        self.version += 1;
        let unknown = || PeersError::Unknown(who.to_owned());
        let matches: Vec<usize> = if let Ok(key) = who.parse::<NodeKey>() {
            (0..self.entries.len()).filter(|i| self.key_of(&self.entries[*i]) == Some(key)).collect()
        } else {
            let address: PeerAddress = who.parse().map_err(|_| unknown())?;
            let named = |entry: &Entry| {
                entry.place() == (&address.host, address.port)
                    && (address.key.is_none() || self.key_of(entry) == address.key)
            };
            (0..self.entries.len()).filter(|i| named(&self.entries[*i])).collect()
        };
        let first = *matches.first().ok_or_else(unknown)?;
        let fixed = |entry: &Entry| {
            let home = if entry.by.configured { "the configuration" } else { "the network's rules" };
            (entry.by.configured || entry.by.ruled).then_some(home)
        };
        if let Some(home) = matches.iter().find_map(|i| fixed(&self.entries[*i])) {
            return Err(PeersError::Fixed(who.to_owned(), home));
        }
        let key = self.key_of(&self.entries[first]);
        for index in matches.into_iter().rev() {
            let entry = self.entries.swap_remove(index);
            self.pins.remove(&(entry.address.host, entry.address.port));
        }
        Ok(key)
    }

    /// The key that must answer at an address: the one it is written with, else the first that did.
    pub fn pinned(&self, address: &PeerAddress) -> Option<NodeKey> {
        address.key.or_else(|| self.pins.get(&(address.host.clone(), address.port)).copied())
    }

    /// When [`Table::due`] may next have something to say.
    pub fn next_due(&self) -> Option<Millis> {
        let dials = self.entries.iter().filter(|entry| self.may_dial(entry)).map(|entry| entry.next).min();
        dials.map(|next| self.full_until.map_or(next, |full| next.max(full)))
    }

    /// When [`Table::probes`] may next have something to say.
    pub fn next_probe(&self) -> Option<Millis> {
        let probe = |entry: &&Entry| {
            let up = entry.address.key.is_some_and(|key| self.up.contains_key(&key));
            up && entry.teller.is_some() && !entry.through
        };
        let stale = |entry: &Entry| {
            entry.reached.map_or(entry.next, |(at, _)| at.plus(SHARE_FRESH_MS / 2).max(entry.next))
        };
        self.entries.iter().filter(probe).map(stale).min()
    }

    /// Whether the operator or the rules want this peer.
    pub fn wants(&self, key: NodeKey) -> bool {
        self.entries.iter().any(|entry| entry.wanted() && self.key_of(entry) == Some(key))
    }

    /// Everybody in the table, wanted ones first, without what only a connection knows.
    pub fn known(&self) -> Vec<Peer> {
        let peer = |entry: &Entry| {
            let key = self.key_of(entry);
            let ip = entry.at.map(|at| at.ip());
            Peer {
                address: Some(PeerAddress { key, ..entry.address.clone() }),
                key,
                origin: entry.origin(),
                reached: entry.reached.map(|(at, _)| at),
                failures: entry.failures,
                shunned: self.shuns.until(key, ip),
                traffic: None,
            }
        };
        let mut known: Vec<Peer> = self.entries.iter().map(peer).collect();
        known.sort_by(|a, b| (a.origin, &a.address).cmp(&(b.origin, &b.address)));
        known
    }
}

/// Helpers.
impl Table {
    /// Whether an entry is neither this node nor connected.
    fn may_dial(&self, entry: &Entry) -> bool {
        self.key_of(entry).is_none_or(|key| key != self.own && !self.up.contains_key(&key))
    }

    fn key_of(&self, entry: &Entry) -> Option<NodeKey> {
        self.pinned(&entry.address)
    }

    fn shunned_until(&self, entry: &Entry, now: Millis) -> Option<Millis> {
        let key = self.key_of(entry);
        if let Some(until) = key.and_then(|key| self.shuns.key(key, now)) {
            return Some(until);
        }
        let stranger = !entry.wanted() && entry.reached.is_none();
        let ip = entry.at.map(|at| at.ip()).filter(|_| stranger)?;
        self.shuns.ip(ip, now)
    }

    /// The operator's and the rules' peers first, then anchors, then heard ones by chance. Of one peer the address
    /// that failed least comes first: else one that was wanted once, and is left, keeps the good ones from their turn.
    fn rank(&mut self, ripe: &mut [usize]) {
        let mut ranks: BTreeMap<NodeKey, (Origin, u64)> = BTreeMap::new();
        let mut own = BTreeMap::new();
        for index in ripe.iter() {
            let entry = &self.entries[*index];
            // One that answers and hangs up is full: whoever else is known comes first.
            let origin = if entry.brief > 0 { Origin::Heard } else { entry.origin() };
            let rank = (origin, self.dice.roll());
            own.insert(*index, rank);
            if let Some(key) = self.key_of(&self.entries[*index]) {
                ranks.entry(key).and_modify(|best| *best = rank.min(*best)).or_insert(rank);
            }
        }
        ripe.sort_by_key(|index| {
            let entry = &self.entries[*index];
            let peer = self.key_of(entry).and_then(|key| ranks.get(&key).copied());
            (peer.unwrap_or(own[index]), entry.failures.max(entry.brief), own[index])
        });
    }

    /// The entry written so, made if there is none.
    fn entry(&mut self, address: PeerAddress, now: Millis) -> &mut Entry {
        let index = self.entries.iter().position(|entry| entry.address == address).unwrap_or_else(|| {
            self.entries.push(Entry::new(address, now));
            self.entries.len() - 1
        });
        &mut self.entries[index]
    }

    /// The entry that a dial was for.
    fn find(&self, dialled: &PeerAddress) -> Option<usize> {
        let exact = self.entries.iter().position(|entry| entry.address == *dialled);
        exact.or_else(|| {
            let place = (dialled.host.as_str(), dialled.port);
            self.entries
                .iter()
                .position(|entry| entry.place() == place && self.key_of(entry) == self.pinned(dialled))
        })
    }

    fn pin(&mut self, index: usize, key: NodeKey) {
        let place = (self.entries[index].address.host.clone(), self.entries[index].address.port);
        if self.pins.len() >= PINS_MAX && !self.pins.contains_key(&place) {
            let used =
                |place: &(String, u16)| self.entries.iter().any(|entry| entry.place() == (&place.0, place.1));
            let Some(spare) = self.pins.keys().find(|place| !used(place)).cloned() else { return };
            self.pins.remove(&spare);
        }
        self.pins.entry(place).or_insert(key);
    }

    fn knows(&self, at: SocketAddr, key: NodeKey) -> bool {
        self.entries.iter().any(|entry| {
            let here = entry.at == Some(at) || entry.reached.is_some_and(|(_, r)| r == at);
            here && self.key_of(entry) == Some(key)
        })
    }

    /// Whether there is room for a heard address; where a bound is met, one that never worked and failed most
    /// gives way.
    fn make_room(&mut self, at: SocketAddr, key: NodeKey, from: NodeKey, now: Millis) -> bool {
        let prefix = Some(Prefix::of(at.ip()));
        for (bound, most) in [
            (Bound::Key, KEY_MAX),
            (Bound::Teller, TELLER_MAX),
            (Bound::Prefix, PREFIX_MAX),
            (Bound::All, TABLE_MAX),
        ] {
            let counts = |entry: &Entry| match bound {
                _ if entry.wanted() => false,
                Bound::Key => entry.address.key == Some(key),
                Bound::Teller => entry.teller == Some(from),
                Bound::Prefix => entry.at.map(|at| Prefix::of(at.ip())) == prefix,
                Bound::All => true,
            };
            if self.entries.iter().filter(|entry| counts(entry)).count() < most {
                continue;
            }
            let stale = |entry: &Entry| entry.reached.is_none_or(|(at, _)| at.plus(FORGET_AFTER_MS) <= now);
            let useless = |entry: &Entry| entry.failures > 0 && !entry.through && stale(entry);
            let worst = (0..self.entries.len())
                .filter(|index| counts(&self.entries[*index]) && useless(&self.entries[*index]))
                .max_by_key(|index| self.entries[*index].failures);
            let Some(worst) = worst else { return false };
            self.entries.swap_remove(worst);
        }
        true
    }

    /// The pause after what went wrong here so far, doubling and jittered.
    fn pause(&mut self, index: usize) -> u64 {
        let entry = &self.entries[index];
        let wrong = entry.failures.max(entry.brief);
        let most = match (entry.wanted(), entry.failures) {
            (false, _) => BACKOFF_MAX_MS,
            (true, 0) => BRIEF_WANTED_MAX_MS,
            (true, _) => BACKOFF_WANTED_MAX_MS,
        };
        if wrong == 0 {
            return 0;
        }
        let whole = BACKOFF_MIN_MS.saturating_mul(1 << (wrong - 1).min(20)).min(most);
        self.dice.about(whole)
    }
}

/// What is bounded.
#[derive(Clone, Copy)]
enum Bound {
    Key,
    Teller,
    Prefix,
    All,
}
