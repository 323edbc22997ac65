//! What a node does about its peers: whom it is connected to, what it tells them, what it asks of them, when it
//! compares. Pure: facts go in with [`Engine::handle`], actions come out of [`Engine::poll`], and
//! [`Engine::deadline`] says when to call again. `net` acts; a simulation can too. docs/SYNC.md.
//!
//! * [`gossip`](self): fresh records are pushed whole to [`PUSHES`] peers, passed on to [`RELAYS`], announced to the rest; what is
//!   announced, and what an orphan links to, is fetched by way of the [`Wants`].
//! * comparison: every [`ROOT_EVERY_MS`], and soon after anything was dropped, roots are compared; where they
//!   differ a session finds the differences, or, far behind, everything is streamed from a cursor.
//! * peers: the [`Table`] says whom to dial; one connection a pair.

mod came;
mod claims;
mod compare;
mod gossip;
mod links;
mod meter;
mod stream;
#[cfg(test)]
mod tests;
mod values;

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};

use smallvec::SmallVec;

use super::dice::Dice;
use super::face::{Peer, PeersError, Progress, Traffic};
use super::reconcile::Found;
use super::table::{Offence, Table};
use super::wants::{LinkId, Wants};
use super::wire::{Hello, Message};
use super::{NodeKey, PeerAddress};
use crate::record::{Millis, RecordId};
use crate::store::{Point, Row, Tally, Verdict};
use came::Arrivals;
use links::Linked;
use meter::Meter;
use stream::Catching;
use values::Values;

/// Connections at a time at most, guests not counted.
pub const LINKS_MAX: usize = 64;
/// Of them, those that others dialled: strangers do not keep a node from calling whom it wants.
pub const CALLERS_MAX: usize = LINKS_MAX - LINKS_WANTED;
/// Callers beyond that who are let in for a moment, to be told of other nodes: a full seed must not be a dead end.
pub const GUESTS_MAX: usize = 16;
/// How long a guest may stay, ms.
pub const GUEST_MS: u64 = 2_000;
/// Connections a node seeks to have.
pub const LINKS_WANTED: usize = 8;
/// Connections it seeks to have dialled itself, whoever else called: strangers do not decide alone whom it knows.
pub const DIALLED_WANTED: usize = 4;
/// Peers a record that was written here is pushed to whole.
pub const PUSHES: usize = 3;
/// Peers a record that came from another is pushed to whole. With three, everybody got everything three times over; with
/// one, each second or third record twice, and the last of 300 nodes has it a third later (tests/sync_sim.rs).
pub const RELAYS: usize = 1;
/// How often roots are compared with each peer, give or take a quarter, ms.
pub const ROOT_EVERY_MS: u64 = 5_000;
/// How soon they are after something was dropped, ms.
pub const ROOT_SOON_MS: u64 = 250;
/// Only records older than this are compared: younger ones are still on their way, ms.
pub const SETTLE_MS: u64 = 2_000;
/// A peer that has so many records more is streamed from instead of compared with.
pub const FAR_BEHIND: u64 = 4_096;
/// How long after a comparison the next with the same peer is led, ms; doubles to [`COMPARE_PAUSE_MAX_MS`] while they find
/// something and it does not help.
pub const COMPARE_PAUSE_MS: u64 = 1_500;
/// See [`COMPARE_PAUSE_MS`].
pub const COMPARE_PAUSE_MAX_MS: u64 = 20_000;
/// How long after a stream that brought little the next is asked of the same peer, ms.
pub const STREAM_PAUSE_MS: u64 = 60_000;
/// How many records of a stream are new at least, of those judged in [`STREAM_JUDGED_MS`]: else it is given up, and
/// another peer may give one. At the least rate of a stream, 16 KiB a second, that is records of 5 KiB.
pub const STREAM_NEW_MIN: u64 = 64;
/// See [`STREAM_NEW_MIN`], ms.
pub const STREAM_JUDGED_MS: u64 = 20_000;
/// A stream that would take more than so many minutes longer gives way to another peer's, unless that was slower,
pub const STREAM_LONG_MINUTES: u64 = 10;
/// after so long, ms.
pub const STREAM_TRIED_MS: u64 = 60_000;
/// Records of a stream that are taken beyond those the peer said it has: it may be given more meanwhile.
pub const STREAM_SLACK: u64 = 65_536;
/// Agreement counts only about a time as near as this to our own clock, ms: about the distant past everybody agrees.
pub const AGREE_WITHIN_MS: u64 = 60_000;
/// Comparisons this node leads at a time at most, those left out that last longer than [`COMPARISON_MS`].
pub const COMPARISONS_MAX: usize = 3;
/// Audits under way at a time at most, likewise.
pub const AUDITS_MAX: usize = 2;
/// A comparison that has lasted so long keeps no other from being led, ms; what it finds counts all the same.
pub const COMPARISON_MS: u64 = 5_000;
/// Fetches under way with one peer at most.
pub const FETCHES_MAX: usize = 2;
/// With every so many-th root asked of a peer, if they agree, a range is audited with keyed sums.
pub const AUDIT_EVERY: u64 = 16;
/// Ids wanted from one peer at most.
pub const WANTS_PER_LINK_MAX: usize = 16_384;
/// How long an announced record is awaited from elsewhere before it is fetched, ms.
pub const ANNOUNCE_WAIT_MS: u64 = 40;
/// How long the value of a record that came without it is awaited before others are asked, ms.
pub const VALUE_WAIT_MS: u64 = 1_000;
/// How often it is looked whether values are missing, ms.
pub const VALUES_LOOK_MS: u64 = 5_000;
/// Missing values asked of one peer at a time, and how often more are, ms.
pub const VALUES_AT_ONCE: usize = 1_024;
/// See [`VALUES_AT_ONCE`].
pub const VALUES_EVERY_MS: u64 = 250;
/// After so many in a row that it did not have a peer is asked for no more for a while.
pub const VALUES_IN_VAIN_MAX: usize = 4_096;
/// How long then, and when it was asked for all of them, ms; doubles to [`VALUES_PAUSE_MAX_MS`] until one comes from it.
pub const VALUES_PAUSE_MS: u64 = 10_000;
/// See [`VALUES_PAUSE_MS`].
pub const VALUES_PAUSE_MAX_MS: u64 = 3_600_000;
/// Missing values counted at most.
pub const VALUES_COUNTED: usize = 65_536;
/// Missing values keep a node from saying for the first time that it agrees with its network no longer than this, ms.
pub const VALUES_PATIENCE_MS: u64 = 600_000;
/// How long ids are gathered before they are announced, ms.
pub const ANNOUNCE_GATHER_MS: u64 = 10;
/// Missing links that are fetched one by one before a comparison takes over.
pub const MISSING_MAX: usize = 64;
/// Rounds of fetching what orphans miss before a comparison takes over.
pub const MISSING_ROUNDS_MAX: u32 = 2;
/// Records on their way in of which it is remembered who sent them. Orphans stay for [`CAME_MS`], so a peer can fill it; in a
/// table that is always full, entries come to take four times their room.
pub const CAME_MAX: usize = 24_576;
/// How long a record that came may be on its way into the store before it counts as lost, ms.
pub const CAME_MS: u64 = 20_000;
/// A record as old as this is no news while a node catches up, ms.
pub const FRESH_MS: u64 = 60_000;
/// How long an answer about a root is awaited, ms.
const ROOT_WAIT_MS: u64 = 10_000;
/// How often an address of a peer that called is tried, ms: who is never reached is told to nobody.
const PROBE_EVERY_MS: u64 = 250;
/// How often a node that has all the connections it seeks makes another and gives one up for it, ms: else two halves
/// of a network that was cut for long, each content with itself, would never find each other again.
pub const EXPLORE_EVERY_MS: u64 = 30_000;
/// How often addresses are told, ms.
const PEERS_EVERY_MS: u64 = 30_000;
/// Addresses told at a time.
const PEERS_TOLD: usize = 16;
/// Actions waiting to be polled at most; they are polled after every input.
const ACTIONS_KEPT: usize = 1 << 16;
/// A peer that says it has more brings so many new records in [`CLAIM_MS`], or it is not believed.
pub const CLAIM_NEW_MIN: u64 = 64;
/// See [`CLAIM_NEW_MIN`], ms.
pub const CLAIM_MS: u64 = 60_000;
/// Such peers keep a node from saying for the first time that it agrees with its network no longer than this, ms.
pub const CLAIMS_PATIENCE_MS: u64 = 600_000;
/// A node whose peers never were in agreement with anybody takes their agreement after so long, ms.
const UNSURE_MS: u64 = 30_000;

/// What the engine may ask about the store.
pub trait View {
    /// The clock by which records are dated.
    fn clock(&self) -> Millis;
    /// Whether a record is here, with its value.
    fn knows(&self, id: &RecordId) -> bool;
    /// Of the records before a time; `None` if the store cannot say.
    fn tally(&self, until: Millis) -> Option<Tally>;
    /// The newest record.
    fn newest(&self) -> Option<Point>;
    /// The next records behind a row that are here without their value.
    fn without_value(&self, after: Option<Row>, limit: usize) -> Vec<(Row, RecordId)>;
    /// How many there are, up to [`VALUES_COUNTED`].
    fn count_without_value(&self) -> u64;
}

/// How records came that were judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// Pushed by the peer.
    Gossip,
    /// Asked for by id.
    Fetch,
    /// Streamed from a cursor.
    Stream,
}

/// A fact.
#[derive(Debug)]
pub enum Input {
    /// A connection stands, and both sides have proved themselves.
    Up {
        /// Its number, never used before.
        link: LinkId,
        /// Who is there.
        key: NodeKey,
        /// Where.
        remote: SocketAddr,
        /// The address dialled, if this node dialled.
        dialled: Option<PeerAddress>,
        /// How the peer presents itself.
        hello: Hello,
    },
    /// A connection has ended; the peer may be to blame.
    Down(LinkId, Option<Offence>),
    /// A dial led nowhere.
    NotReached(PeerAddress),
    /// A peer did wrong.
    Wronged(LinkId, Offence),
    /// Somebody who was never let in did wrong.
    Turned(Option<NodeKey>, IpAddr, Offence),
    /// A peer said something.
    Said(LinkId, Message),
    /// Records came and go into the store now; with their value or not.
    Came(LinkId, Vec<(RecordId, bool)>),
    /// What a peer sent under these ids is not let in; the judgement itself follows.
    Spurned(LinkId, Vec<RecordId>),
    /// The store's judgement of what a peer sent.
    Judged(LinkId, Via, Vec<Verdict>),
    /// Records were committed.
    Committed(Vec<Point>),
    /// The values of records that were here came.
    Filled(Vec<Point>),
    /// Commits went unheard: whoever is connected may lack something.
    Unheard,
    /// A fetch has ended; these had been asked for.
    Fetched(LinkId, Vec<RecordId>),
    /// A comparison has ended; `true`: this node led it. `None`: it failed.
    Compared(LinkId, bool, Option<Found>),
    /// The stream from a cursor has ended after so many records, all of them judged. Not after a
    /// [`Action::StopCatchUp`].
    Caught(LinkId, u64),
    /// So many records went to a peer that asked for them.
    Gave(LinkId, u64),
    /// Something for a peer had to be dropped.
    Dropped(LinkId),
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// Call this peer.
    Dial(PeerAddress),
    /// End this connection, with words for the peer.
    Close(LinkId, &'static str),
    /// Say this, on the control stream, or on the gossip stream where it belongs there.
    Say(LinkId, Message),
    /// Push a record whole to these peers.
    Push(SmallVec<[LinkId; PUSHES]>, RecordId),
    /// Fetch these.
    Fetch(LinkId, Vec<RecordId>),
    /// Lead a comparison of what is before a time.
    Compare(LinkId, Millis),
    /// Lead one of a range that this number picks, with keyed sums.
    Audit(LinkId, Millis, u64),
    /// Stream everything from a cursor.
    CatchUp(LinkId, Point),
    /// Stop that.
    StopCatchUp(LinkId),
    /// Remember that this node was once in agreement with its network.
    Synchronised,
    /// Write the table of peers down.
    Save,
}

/// What a node does about its peers.
pub struct Engine {
    own: NodeKey,
    instance: u64,
    dice: Dice,
    table: Table,
    links: BTreeMap<LinkId, Linked>,
    dialling: usize,
    /// When the table next has somebody to dial, to try, and at which version it said so: asking it costs a pass.
    table_due: (u64, Option<Millis>, Option<Millis>),
    probe_next: Millis,
    explore_next: Millis,
    wants: Wants,
    values: Values,
    /// What is on its way into the store.
    came: Arrivals,
    actions: VecDeque<Action>,
    catching_up: Option<Catching>,
    /// Connections closed for another with the same peer, and that one, the latest last.
    replaced: VecDeque<(LinkId, LinkId)>,
    synchronised: bool,
    started: Millis,
    /// Since when agreement with one peer did not count for what others say.
    contradicted_since: Option<Millis>,
    agreed: Option<Millis>,
    records_in: Meter,
    records_out: Meter,
}

impl Engine {
    /// The engine of the node whose key is `own`; `synchronised`: it was once in agreement, or need not be.
    pub fn new(own: NodeKey, table: Table, seed: u64, synchronised: bool, now: Millis) -> Engine {
        let mut dice = Dice::new(seed);
        Engine {
            own,
            instance: dice.roll(),
            table_due: (u64::MAX, None, None),
            probe_next: now,
            explore_next: now.plus(dice.about(EXPLORE_EVERY_MS)),
            dice,
            table,
            links: BTreeMap::new(),
            dialling: 0,
            wants: Wants::default(),
            values: Values::new(now),
            came: Arrivals::default(),
            actions: VecDeque::new(),
            catching_up: None,
            replaced: VecDeque::new(),
            synchronised,
            started: now,
            contradicted_since: None,
            agreed: None,
            records_in: Meter::default(),
            records_out: Meter::default(),
        }
    }

    /// How this node presents itself; `port`: where it listens.
    pub fn hello(&self, clock: Millis, port: u16) -> Hello {
        Hello { instance: self.instance, clock, port, synchronised: self.synchronised }
    }

    /// Takes a fact. `now` is a clock that only goes forward.
    pub fn handle(&mut self, now: Millis, input: Input, view: &dyn View) {
        match input {
            Input::Up { link, key, remote, dialled, hello } => {
                self.up(now, link, key, remote, dialled, hello);
            }
            Input::Down(link, fault) => self.down(now, link, fault),
            Input::NotReached(address) => {
                self.dialling = self.dialling.saturating_sub(1);
                self.table.failed(&address, now);
            }
            Input::Wronged(link, offence) => self.blame(now, link, offence, "that is not allowed"),
            Input::Turned(key, ip, offence) => self.table.blame(key, ip, offence, now),
            Input::Said(link, message) => self.said(now, link, message, view),
            Input::Came(link, ids) => self.note_came(now, link, &ids),
            Input::Spurned(link, ids) => self.spurned(now, link, &ids),
            Input::Judged(link, via, verdicts) => self.judged(now, link, via, verdicts, view),
            Input::Committed(points) => self.committed(now, &points, view),
            Input::Filled(points) => self.filled(now, &points, view),
            Input::Unheard => self.unheard(now),
            Input::Fetched(link, ids) => self.fetched(now, link, &ids),
            Input::Compared(link, led, found) => self.compared(now, link, led, found, view),
            Input::Caught(link, count) => self.caught(now, link, count),
            Input::Gave(link, count) => {
                self.count(link, |traffic| traffic.records_out += count);
                self.records_out.add(now, count);
            }
            Input::Dropped(link) => {
                self.count(link, |traffic| traffic.dropped += 1);
                self.dirty(now, link);
            }
        }
        self.table_due = self.ask_table();
    }

    /// Does whatever is due.
    pub fn tick(&mut self, now: Millis, view: &dyn View) {
        self.table_due = self.ask_table();
        self.dial(now);
        self.table_due = self.ask_table();
        self.look_for_values(now, view);
        // Nobody is always the first to be asked.
        let mut links: Vec<LinkId> = self.links.keys().copied().collect();
        self.dice.shuffle(&mut links);
        for link in links {
            self.see_off(now, link);
            self.flush_announcements(now, link);
            self.ask_values(now, link, view);
            self.fetch(now, link);
            self.ask_root(now, link, view);
            self.tell_peers(now, link);
        }
    }

    /// The next thing to do, if any.
    pub fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`Engine::tick`] next has something to do.
    pub fn deadline(&self) -> Option<Millis> {
        let dial = self.next_dial();
        let links = self.links.iter().filter_map(|(link, linked)| {
            let fetch = if linked.fetching < FETCHES_MAX { self.wants.due(*link) } else { None };
            [Some(linked.root_due()), Some(linked.peers_due), linked.guest_until, linked.announce_due, fetch]
                .into_iter()
                .flatten()
                .min()
        });
        dial.into_iter().chain(links).chain(self.values_due()).min()
    }

    /// How far replication is.
    pub fn progress(&self, now: Millis) -> Progress {
        Progress {
            key: Some(self.own),
            synchronised: self.synchronised,
            connected: self.links.len() as u32,
            missing: (self.wants.len() - self.wants.values()) as u64
                + self.values.missing.max(self.wants.values() as u64),
            lag_ms: self.agreed.map(|agreed| now.0.saturating_sub(agreed.0)),
            catching_up: self.catching_up.map(|catching| (catching.done, catching.total.max(catching.done))),
            tenth_records_in: self.records_in.tenths(now),
            tenth_records_out: self.records_out.tenths(now),
        }
    }

    /// Everybody known, connected ones first; what `costs` knows of a connection is added.
    pub fn peers(&self, costs: &dyn Fn(LinkId, &mut Traffic)) -> Vec<Peer> {
        let mut known = self.table.known();
        for (link, linked) in &self.links {
            let mut traffic = linked.traffic.clone();
            costs(*link, &mut traffic);
            // A peer may be known at several addresses: it is connected at one.
            let its = |peer: &Peer| peer.key == Some(linked.key) && peer.traffic.is_none();
            let here = |peer: &Peer| {
                its(peer) && peer.address.as_ref().and_then(PeerAddress::socket) == linked.callable
            };
            let found = known.iter().position(here).or_else(|| known.iter().position(its));
            match found {
                Some(index) => known[index].traffic = Some(traffic),
                None => known.push(linked.as_peer(traffic)),
            }
        }
        known.sort_by_key(|peer| (peer.traffic.is_none(), peer.origin));
        known
    }

    /// The table of peers, to be added to.
    pub fn table(&mut self) -> &mut Table {
        &mut self.table
    }

    /// Whether somebody who calls is not worth an answer.
    pub fn turns_away(&self, key: Option<NodeKey>, ip: IpAddr, now: Millis) -> bool {
        self.table.shunned(key, ip, now)
    }

    /// Forgets a peer and disconnects it.
    pub fn remove(&mut self, who: &str) -> Result<(), PeersError> {
        if let Some(key) = self.table.remove(who)? {
            let links = self.links.iter().filter(|(_, linked)| linked.key == key);
            let links: Vec<LinkId> = links.map(|(link, _)| *link).collect();
            for link in links {
                self.act(Action::Close(link, "removed by the operator"));
            }
        }
        self.act(Action::Save);
        Ok(())
    }

    /// Whether this node was once in agreement with its network.
    pub fn synchronised(&self) -> bool {
        self.synchronised
    }

    fn act(&mut self, action: Action) {
        if self.actions.len() < ACTIONS_KEPT {
            self.actions.push_back(action);
        }
    }

    fn said(&mut self, now: Millis, link: LinkId, message: Message, view: &dyn View) {
        match message {
            Message::Root(root) => self.root_asked(now, link, root, view),
            Message::RootIs(root) => self.root_told(now, link, root, view),
            Message::Announce(ids) => self.announced(now, link, &ids, view),
            Message::Peers(peers) => self.peers_told(now, link, &peers),
            // Anything else there is no occasion for.
            _ => self.blame(now, link, Offence::Lied, "a message out of place"),
        }
    }

    /// Commits passed this engine by: any peer may lack something.
    fn unheard(&mut self, now: Millis) {
        let links: Vec<LinkId> = self.links.keys().copied().collect();
        for link in links {
            self.dirty(now, link);
        }
    }

    /// Once for a connection, however much of what it sent is still being judged.
    fn blame(&mut self, now: Millis, link: LinkId, offence: Offence, why: &'static str) {
        let Some(linked) = self.links.get(&link) else { return };
        let (key, ip) = (linked.key, linked.traffic.remote.ip());
        self.table.blame(Some(key), ip, offence, now);
        self.act(Action::Close(link, why));
        self.leave(now, link, key);
    }
}
