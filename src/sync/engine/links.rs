//! Connections: one a pair of peers, some of them dialled here, and what is told of others.

use std::net::SocketAddr;

use super::claims::Word;
use super::values::Walk;
use super::{
    Action, CALLERS_MAX, COMPARE_PAUSE_MS, DIALLED_WANTED, EXPLORE_EVERY_MS, Engine, GUEST_MS, GUESTS_MAX,
    LINKS_MAX, LINKS_WANTED, PEERS_EVERY_MS, PEERS_TOLD, PROBE_EVERY_MS, ROOT_SOON_MS,
};
use crate::record::{Millis, RecordId};
use crate::sync::address::plain;
use crate::sync::face::{Origin, Peer, Traffic};
use crate::sync::limits::PEERS_HEARD_MS;
use crate::sync::table::Offence;
use crate::sync::wants::LinkId;
use crate::sync::wire::{Hello, Message};
use crate::sync::{NodeKey, PeerAddress};

/// Dials under way at a time.
const DIALLING_MAX: usize = 4;

/// A comparison led with a peer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Comparing {
    pub(super) since: Millis,
    /// Of one range that looked equal.
    pub(super) audit: bool,
}

/// Connections remembered of those that gave way to another with the same peer.
const REPLACED_KEPT: usize = 64;

/// A connected peer.
pub(super) struct Linked {
    pub(super) key: NodeKey,
    pub(super) traffic: Traffic,
    pub(super) callable: Option<SocketAddr>,
    instance: u64,
    /// Whether the peer was once in agreement with the network.
    pub(super) synchronised: bool,
    /// Roots asked for.
    pub(super) roots: u64,
    /// When to compare roots.
    pub(super) root_next: Millis,
    /// Until when an answer to our root is awaited.
    pub(super) root_awaited: Option<(Millis, Millis)>,
    /// What its roots say.
    pub(super) word: Word,
    pub(super) comparing: Option<Comparing>,
    /// No comparison is led before this, and the pause after the next one, ms.
    pub(super) compare_next: Millis,
    pub(super) compare_pause: u64,
    /// The last comparison found more than may be wanted of it: the next one follows when that is nearly done.
    pub(super) unfinished: bool,
    /// Nothing is streamed from a cursor before this: the last time brought little.
    pub(super) stream_next: Millis,
    /// New records a minute by its last stream.
    pub(super) pace: Option<u64>,
    pub(super) fetching: usize,
    /// Missing values it was asked for.
    pub(super) values: Walk,
    /// Missing links fetched since the last comparison, and in how many rounds.
    pub(super) missing: usize,
    pub(super) rounds: u32,
    pub(super) announce: Vec<RecordId>,
    pub(super) announce_due: Option<Millis>,
    pub(super) peers_due: Millis,
    /// There is no room for it: it goes then, unless others have gone before.
    pub(super) guest_until: Option<Millis>,
    peers_heard: Option<Millis>,
    peers_told: Option<Millis>,
}

impl Linked {
    fn new(key: NodeKey, (remote, outgoing): (SocketAddr, bool), hello: Hello, now: Millis) -> Linked {
        let traffic = Traffic {
            remote,
            outgoing,
            since: now,
            rtt_us: 0,
            bytes_in: 0,
            bytes_out: 0,
            records_in: 0,
            records_out: 0,
            duplicates: 0,
            refused: 0,
            dropped: 0,
            agreed: None,
        };
        Linked {
            key,
            traffic,
            callable: None,
            instance: hello.instance,
            synchronised: hello.synchronised,
            roots: 0,
            // Both sides are up at about the same time; one of them need ask.
            root_next: if outgoing { now } else { now.plus(ROOT_SOON_MS) },
            root_awaited: None,
            word: Word::default(),
            comparing: None,
            compare_next: now,
            compare_pause: COMPARE_PAUSE_MS,
            unfinished: false,
            stream_next: now,
            pace: None,
            fetching: 0,
            values: Walk::new(now),
            missing: 0,
            rounds: 0,
            announce: Vec::new(),
            announce_due: None,
            peers_due: now,
            guest_until: None,
            peers_heard: None,
            peers_told: None,
        }
    }

    /// When something about roots is next to be done.
    pub(super) fn root_due(&self) -> Millis {
        self.root_awaited.map_or(self.root_next, |(_, until)| until)
    }

    pub(super) fn as_peer(&self, traffic: Traffic) -> Peer {
        Peer {
            address: self.callable.map(|at| PeerAddress::of(at, Some(self.key))),
            key: Some(self.key),
            origin: Origin::Heard,
            reached: None,
            failures: 0,
            shunned: None,
            traffic: Some(traffic),
        }
    }
}

impl Engine {
    pub(super) fn up(
        &mut self,
        now: Millis,
        link: LinkId,
        key: NodeKey,
        remote: SocketAddr,
        dialled: Option<PeerAddress>,
        hello: Hello,
    ) {
        let outgoing = dialled.is_some();
        if let Some(dialled) = dialled {
            self.dialling = self.dialling.saturating_sub(1);
            self.table.reached(&dialled, remote, key, now);
            self.act(Action::Save);
            self.tell_soon(now);
        }
        if key == self.own {
            return self.act(Action::Close(link, "this is myself"));
        }
        if !outgoing && self.table.shunned(Some(key), remote.ip(), now) {
            return self.turn_down(now, link, key, "not now");
        }
        let callable = callable(remote, outgoing, &hello);
        if let (Some(at), false) = (callable, outgoing) {
            self.table.called(key, at, now);
        }
        if let Some(loser) = self.duplicate(link, key, outgoing, hello.instance) {
            self.act(Action::Close(loser, "one connection is enough"));
            if loser == link {
                return;
            }
            self.forget(loser);
            // What came by the old one came from this peer.
            self.replaced.push_back((loser, link));
            if self.replaced.len() > REPLACED_KEPT {
                self.replaced.pop_front();
            }
        }
        let guest = !outgoing && self.full();
        if guest && self.guests() >= GUESTS_MAX {
            return self.turn_down(now, link, key, "no room");
        }
        let guest_until = guest.then(|| now.plus(GUEST_MS));
        let mut linked = Linked::new(key, (remote, outgoing), hello, now);
        linked.callable = callable;
        linked.guest_until = guest_until;
        linked.peers_due = if guest_until.is_some() { now } else { now.plus(self.dice.about(ROOT_SOON_MS)) };
        self.links.insert(link, linked);
        if outgoing {
            self.make_way(link);
        }
    }

    /// Whether there is no room for one more who calls.
    fn full(&self) -> bool {
        let stays = self.links.values().filter(|linked| linked.guest_until.is_none());
        stays.filter(|linked| !linked.traffic.outgoing).count() >= CALLERS_MAX
    }

    fn guests(&self) -> usize {
        self.links.values().filter(|linked| linked.guest_until.is_some()).count()
    }

    /// A guest has heard of other nodes and goes, unless there is room by now.
    pub(super) fn see_off(&mut self, now: Millis, link: LinkId) {
        let Some(linked) = self.links.get_mut(&link) else { return };
        if linked.guest_until.is_none_or(|until| until > now) {
            return;
        }
        let full = self.full();
        if let Some(linked) = self.links.get_mut(&link) {
            linked.guest_until = None;
        }
        if full {
            self.act(Action::Close(link, "no room"));
        }
    }

    fn turn_down(&mut self, now: Millis, link: LinkId, key: NodeKey, why: &'static str) {
        self.act(Action::Close(link, why));
        if self.links.values().all(|other| other.key != key) {
            self.table.lost(key, now);
        }
    }

    /// Of two connections with one peer, the one to close. Both sides come to the same conclusion: a restarted
    /// peer's old one; else the one that the node with the greater key dialled; else the later one.
    fn duplicate(&self, link: LinkId, key: NodeKey, outgoing: bool, instance: u64) -> Option<LinkId> {
        let (old, linked) = self.links.iter().find(|(_, linked)| linked.key == key)?;
        if linked.instance != instance {
            return Some(*old);
        }
        let smaller = if self.own < key { self.own } else { key };
        let dialler = |outgoing: bool| if outgoing { self.own } else { key };
        Some(match (dialler(linked.traffic.outgoing) == smaller, dialler(outgoing) == smaller) {
            (false, true) => *old,
            _ => link,
        })
    }

    pub(super) fn down(&mut self, now: Millis, link: LinkId, fault: Option<Offence>) {
        let Some(linked) = self.links.get(&link) else { return };
        let (key, ip) = (linked.key, linked.traffic.remote.ip());
        if let Some(offence) = fault {
            self.table.blame(Some(key), ip, offence, now);
        }
        self.leave(now, link, key);
    }

    /// The connection a peer has now in place of one that was closed for it.
    pub(super) fn successor(&self, link: LinkId) -> LinkId {
        self.replaced.iter().fold(link, |link, (old, new)| if link == *old { *new } else { link })
    }

    /// A connection is no more.
    pub(super) fn leave(&mut self, now: Millis, link: LinkId, key: NodeKey) {
        self.forget(link);
        if self.links.values().all(|other| other.key != key) {
            self.table.lost(key, now);
        }
    }

    fn forget(&mut self, link: LinkId) {
        self.links.remove(&link);
        self.wants.drop_link(link);
        if self.catching_up.is_some_and(|catching| catching.link == link) {
            self.catching_up = None;
        }
    }

    /// Connections there is reason to dial.
    pub(super) fn room(&self) -> usize {
        let dialled = self.links.values().filter(|linked| linked.traffic.outgoing).count();
        let few = LINKS_WANTED.saturating_sub(self.links.len() + self.dialling);
        let own = DIALLED_WANTED.saturating_sub(dialled + self.dialling);
        few.max(own).min(DIALLING_MAX.saturating_sub(self.dialling))
    }

    /// Whether there is room for one beyond what is sought: of those a node wants for good none gives way.
    fn explores(&self) -> bool {
        self.links.len() - self.guests() <= LINKS_MAX
    }

    /// When there is next somebody to dial or to try.
    pub(super) fn next_dial(&self) -> Option<Millis> {
        let (_, due, probe) = self.ask_table();
        let dial = match (self.room(), self.dialling) {
            (0, 0) if self.explores() => due.map(|due| due.max(self.explore_next)),
            (0, _) => None,
            _ => due,
        };
        let probe = probe.filter(|_| self.dialling < DIALLING_MAX);
        let probe = probe.map(|due| due.max(self.probe_next));
        dial.into_iter().chain(probe).min()
    }

    /// What the table says of its next dial and probe, asked anew only where it may have changed.
    pub(super) fn ask_table(&self) -> (u64, Option<Millis>, Option<Millis>) {
        let version = self.table.version();
        if self.table_due.0 == version {
            return self.table_due;
        }
        (version, self.table.next_due(), self.table.next_probe())
    }

    pub(super) fn dial(&mut self, now: Millis) {
        if self.next_dial().is_none_or(|due| due > now) {
            return;
        }
        let mut room = self.room();
        if room == 0 && self.dialling == 0 && self.explore_next <= now && self.explores() {
            self.explore_next = now.plus(self.dice.about(EXPLORE_EVERY_MS));
            room = 1;
        }
        let links = &self.links;
        let connected = |key: &NodeKey| links.values().any(|linked| linked.key == *key);
        let mut due = if room > 0 { self.table.due(now, &connected, room) } else { Vec::new() };
        if self.probe_next <= now && self.dialling + due.len() < DIALLING_MAX {
            self.probe_next = now.plus(PROBE_EVERY_MS);
            due.extend(self.table.probes(now, 1));
        }
        for address in due {
            self.dialling += 1;
            self.act(Action::Dial(address));
        }
    }

    /// There is one connection more than this node seeks: of those it dialled another gives way, unless it is wanted
    /// or busy.
    fn make_way(&mut self, newest: LinkId) {
        let dialled = self.links.values().filter(|linked| linked.traffic.outgoing).count();
        if self.links.len() <= LINKS_WANTED || dialled <= DIALLED_WANTED {
            return;
        }
        let spare = |(link, linked): &(&LinkId, &Linked)| {
            let busy = linked.comparing.is_some() || linked.fetching > 0;
            let streams = self.catching_up.is_some_and(|catching| catching.link == **link);
            **link != newest && linked.traffic.outgoing && !busy && !streams && !self.table.wants(linked.key)
        };
        let spare: Vec<LinkId> = self.links.iter().filter(spare).map(|(link, _)| *link).collect();
        let one = self.dice.below(spare.len() as u64) as usize;
        if let Some(link) = spare.get(one) {
            self.act(Action::Close(*link, "another took your place"));
        }
    }

    /// One more can be reached. A node with few peers tells them soon, though not sooner than they listen: those who
    /// came at the same time would else meet only after the next round.
    fn tell_soon(&mut self, now: Millis) {
        if self.links.len() >= LINKS_WANTED {
            return;
        }
        let soon = now.plus(self.dice.about(ROOT_SOON_MS));
        for linked in self.links.values_mut() {
            let listens = linked.peers_told.map_or(soon, |told| soon.max(told.plus(PEERS_HEARD_MS * 6 / 5)));
            linked.peers_due = linked.peers_due.min(listens);
        }
    }

    pub(super) fn tell_peers(&mut self, now: Millis, link: LinkId) {
        let Some(linked) = self.links.get_mut(&link).filter(|linked| linked.peers_due <= now) else { return };
        linked.peers_due = now.plus(self.dice.about(PEERS_EVERY_MS));
        let peers = self.table.share(linked.key, PEERS_TOLD, now);
        if !peers.is_empty() {
            linked.peers_told = Some(now);
            self.act(Action::Say(link, Message::Peers(peers)));
        }
    }

    pub(super) fn peers_told(&mut self, now: Millis, link: LinkId, peers: &[(SocketAddr, NodeKey)]) {
        let Some(linked) = self.links.get_mut(&link) else { return };
        if linked.peers_heard.is_some_and(|heard| heard.plus(PEERS_HEARD_MS) > now) {
            return;
        }
        linked.peers_heard = Some(now);
        let from = linked.key;
        for (address, key) in peers {
            self.table.heard(*address, *key, from, now);
        }
    }
}

/// Where a peer that is connected can be called: where we did, or where it says that it listens.
fn callable(remote: SocketAddr, outgoing: bool, hello: &Hello) -> Option<SocketAddr> {
    match (outgoing, hello.port) {
        (true, _) => Some(plain(remote)),
        (false, 0) => None,
        (false, port) => Some(plain((remote.ip(), port).into())),
    }
}
