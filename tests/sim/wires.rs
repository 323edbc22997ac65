//! Connections of a simulation: delay, jitter, loss as delay (the transport retransmits), streams that overtake each
//! other, thin lines, bounded queues, and what is asked and answered over them.

use lfdns::record::{Millis, RecordId};
use lfdns::store::Point;
use lfdns::sync::PeerAddress;
use lfdns::sync::engine::{Input, Via};
use lfdns::sync::reconcile::{Scope, Side};
use lfdns::sync::wants::LinkId;
use lfdns::sync::wire::{Hello, Message};

use crate::report::Kind;
use crate::shelf::Shelf;
use crate::world::{Event, Mood, World, millis};

/// Of a thousand packets so many are lost.
const LOST_PERMILLE: u64 = 20;
const PACKET: usize = 1_200;
/// A quiet connection ends after this, microseconds (`limits::IDLE`).
const IDLE_US: u64 = 8_000_000;
/// A handshake takes no longer (`limits::HANDSHAKE`).
const HANDSHAKE_US: u64 = 4_000_000;
/// An answer takes no longer (`limits::READ_PATIENCE`).
const PATIENCE_US: u64 = 15_000_000;
/// Frames of gossip that may wait for one peer (`limits::GOSSIP_QUEUE` is more generous).
const QUEUE_MAX: u32 = 64;
/// Bytes a second.
const RATE: u64 = 1_250_000;
const SLOW_RATE: u64 = 12_000;
/// Streams: what is sent on one does not wait for the others.
const LANES: usize = 3;
/// Records of one answer that are handed on together.
const BATCH: usize = 256;

/// A connection.
pub struct Conn {
    pub ends: [usize; 2],
    dialled: PeerAddress,
    hellos: [Hello; 2],
    open: bool,
    up: [bool; 2],
    delay: u64,
    /// For each direction: when the line is free, when the last of each stream arrives, frames under way.
    free: [u64; 2],
    lanes: [[u64; LANES]; 2],
    queued: [u32; 2],
}

#[derive(Clone, Copy)]
enum Lane {
    Control,
    Gossip,
    Request,
}

/// What arrives at an end.
pub enum Arrival {
    Said(Message),
    Announced(Message),
    Record { number: u32, hops: u8 },
    Want { ask: u64, ids: Vec<RecordId> },
    Since { ask: u64, from: Point },
    Answer { ask: u64, records: Vec<(u32, u8)>, last: bool },
    Compare { ask: u64, salt: [u8; 16], until: Millis, turn: Vec<u8> },
    Turn { ask: u64, turn: Vec<u8> },
    Closed,
}

/// A question that is not answered yet.
pub struct Ask {
    link: LinkId,
    what: What,
}

enum What {
    Fetch(Vec<RecordId>),
    Stream(u64),
    Compare,
}

/// A comparison under way.
pub struct Session {
    sides: [Option<Side>; 2],
}

fn split(link: LinkId) -> (usize, usize) {
    ((link / 2) as usize, (link % 2) as usize)
}

fn join(conn: usize, side: usize) -> LinkId {
    (2 * conn + side) as LinkId
}

fn scope(salt: [u8; 16], until: Millis) -> Scope {
    Scope { salt, until: (until, RecordId([0; 32])) }
}

impl World {
    pub fn apart(&self, a: usize, b: usize) -> bool {
        self.split && self.nodes[a].west != self.nodes[b].west
    }

    pub fn call(&mut self, from: usize, life: u32, address: PeerAddress) {
        let to = address.socket().and_then(|at| self.by_address.get(&at).copied());
        let refuse = |world: &mut World, after: u64, address: PeerAddress| {
            let at = world.now + after;
            world.at(at, Event::Fact(from, life, Box::new(Input::NotReached(address))));
        };
        let Some(to) = to.filter(|to| !self.apart(from, *to)) else {
            return refuse(self, HANDSHAKE_US, address);
        };
        let (a, b) = (self.nodes[from].place, self.nodes[to].place);
        let delay = 3_000 + a.0.abs_diff(b.0).max(a.1.abs_diff(b.1));
        let ip = self.nodes[from].at.ip();
        let (key, now) = (self.nodes[from].key, millis(self.now));
        let shunned = self.nodes[to].engine.as_ref().is_some_and(|e| e.turns_away(Some(key), ip, now));
        if !self.nodes[to].running || shunned || self.nodes[from].life != life {
            return refuse(self, 2 * delay, address);
        }
        let hello = |world: &World, node: usize| {
            let clock = world.clock(node);
            let silent = Hello { instance: 1, clock, port: 9908, synchronised: true };
            world.nodes[node].engine.as_ref().map_or(silent, |engine| engine.hello(clock, 9908))
        };
        let conn = self.conns.len();
        self.conns.push(Conn {
            ends: [from, to],
            dialled: address,
            hellos: [hello(self, from), hello(self, to)],
            open: true,
            up: [false; 2],
            delay,
            free: [0; 2],
            lanes: [[0; LANES]; 2],
            queued: [0; 2],
        });
        self.nodes[from].conns.push(conn);
        self.nodes[to].conns.push(conn);
        self.at(self.now + 4 * delay, Event::Up(conn, 0));
        self.at(self.now + 5 * delay, Event::Up(conn, 1));
    }

    pub fn is_up(&mut self, conn: usize, side: usize) {
        let this = &self.conns[conn];
        let (node, peer) = (this.ends[side], this.ends[1 - side]);
        if !this.open {
            if side == 0 {
                let (dialled, life) = (this.dialled.clone(), self.nodes[node].life);
                self.at(self.now, Event::Fact(node, life, Box::new(Input::NotReached(dialled))));
            }
            return;
        }
        let dialled = (side == 0).then(|| this.dialled.clone());
        let hello = this.hellos[1 - side];
        let mut remote = self.nodes[peer].at;
        if side == 1 {
            remote.set_port(40_000);
        }
        self.conns[conn].up[side] = true;
        let key = self.nodes[peer].key;
        self.tell(node, Input::Up { link: join(conn, side), key, remote, dialled, hello });
    }

    /// A node hangs up.
    pub fn close(&mut self, link: LinkId) {
        let (conn, side) = split(link);
        if self.conns[conn].open {
            let node = self.conns[conn].ends[side];
            self.nodes[node].conns.retain(|other| *other != conn);
            self.report.refused += 1;
            self.end_gone(conn, node, true);
            let life = self.nodes[node].life;
            self.at(self.now, Event::Fact(node, life, Box::new(Input::Down(link, None))));
        }
    }

    /// One end of a connection is gone; the other hears of it at once or when it has been quiet for long.
    pub fn end_gone(&mut self, conn: usize, node: usize, politely: bool) {
        let this = &mut self.conns[conn];
        if !std::mem::take(&mut this.open) {
            return;
        }
        let side = usize::from(this.ends[0] == node);
        let after = if politely { this.delay } else { IDLE_US };
        self.at(self.now + after, Event::Arrive(conn, side, Box::new(Arrival::Closed)));
    }

    /// The network falls apart: connections across die of silence.
    pub fn cut(&mut self) {
        for conn in 0..self.conns.len() {
            let [a, b] = self.conns[conn].ends;
            if self.conns[conn].open && self.apart(a, b) {
                self.conns[conn].open = false;
                for side in 0..2 {
                    self.at(self.now + IDLE_US, Event::Arrive(conn, side, Box::new(Arrival::Closed)));
                }
            }
        }
    }

    /// Puts something on the line, if there still is one.
    fn send(&mut self, link: LinkId, lane: Lane, kind: Kind, bytes: usize, arrival: Arrival) {
        let (conn, side) = split(link);
        self.report.spend(kind, bytes);
        let this = &self.conns[conn];
        let (from, to) = (this.ends[side], this.ends[1 - side]);
        if !this.open || self.nodes[to].mood == Mood::Silent {
            return;
        }
        let slow = [from, to].iter().any(|node| self.nodes[*node].mood == Mood::Slow);
        let line = bytes as u64 * 1_000_000 / if slow { SLOW_RATE } else { RATE };
        let delay = this.delay;
        let mut late = self.dice.below(delay / 8 + 1);
        for _ in 0..bytes.div_ceil(PACKET).min(32) {
            if self.dice.below(1_000) < LOST_PERMILLE {
                late += 2 * delay + 25_000;
            }
        }
        let this = &mut self.conns[conn];
        this.free[side] = this.free[side].max(self.now) + line;
        let last = &mut this.lanes[side][lane as usize];
        let at = (this.free[side] + delay + late).max(*last);
        *last = at;
        self.at(at, Event::Arrive(conn, 1 - side, Box::new(arrival)));
    }

    /// Puts gossip on the line, if there is room in the queue.
    fn gossip(&mut self, link: LinkId, kind: Kind, bytes: usize, arrival: Arrival) {
        let (conn, side) = split(link);
        let this = &mut self.conns[conn];
        let node = this.ends[side];
        if this.queued[side] >= QUEUE_MAX {
            self.report.dropped += 1;
            let life = self.nodes[node].life;
            return self.at(self.now, Event::Fact(node, life, Box::new(Input::Dropped(link))));
        }
        this.queued[side] += 1;
        self.send(link, Lane::Gossip, kind, bytes, arrival);
    }

    pub fn say(&mut self, link: LinkId, message: Message) {
        let mut frame = Vec::new();
        message.encode(&mut frame);
        match message {
            Message::Announce(_) => {
                self.gossip(link, Kind::Announcements, frame.len(), Arrival::Announced(message));
            }
            Message::Peers(_) => {
                self.send(link, Lane::Control, Kind::Addresses, frame.len(), Arrival::Said(message));
            }
            _ => self.send(link, Lane::Control, Kind::Roots, frame.len(), Arrival::Said(message)),
        }
    }

    pub fn push(&mut self, link: LinkId, number: u32) {
        let (conn, side) = split(link);
        let hops = self.hops(self.conns[conn].ends[side], number);
        let bytes = self.book.get(number).size + 6;
        self.gossip(link, Kind::Records, bytes, Arrival::Record { number, hops });
    }

    fn hops(&self, node: usize, number: u32) -> u8 {
        self.nodes[node].hops.get(number as usize).map_or(1, |hops| hops.saturating_add(1))
    }

    fn ask(&mut self, link: LinkId, what: What) -> u64 {
        let ask = self.next_ask;
        self.next_ask += 1;
        self.asks.insert(ask, Ask { link, what });
        self.at(self.now + PATIENCE_US, Event::Timeout(ask));
        ask
    }

    pub fn fetch(&mut self, link: LinkId, ids: Vec<RecordId>) {
        let ask = self.ask(link, What::Fetch(ids.clone()));
        self.send(link, Lane::Request, Kind::Requests, 7 + 32 * ids.len(), Arrival::Want { ask, ids });
    }

    pub fn catch_up(&mut self, link: LinkId, from: Point) {
        let ask = self.ask(link, What::Stream(0));
        self.send(link, Lane::Request, Kind::Requests, 45, Arrival::Since { ask, from });
    }

    pub fn stop_catch_up(&mut self, link: LinkId) {
        self.asks.retain(|_, ask| ask.link != link || !matches!(ask.what, What::Stream(_)));
    }

    pub fn compare(&mut self, link: LinkId, until: Millis, audit: Option<u64>) {
        let ask = self.ask(link, What::Compare);
        self.report.comparisons += 1;
        let salt = self.draw_id().0[..16].try_into().expect("sixteen of 32");
        let (conn, side) = split(link);
        let (mut leader, shelf) = (Side::new(scope(salt, until)), self.shelf(conn, side));
        let turn = match audit {
            Some(pick) => leader.audit(shelf, pick),
            None => leader.open(shelf),
        };
        let turn = turn.expect("a sound set");
        let mut session = Session { sides: [None, None] };
        session.sides[side] = Some(leader);
        self.sessions.insert(ask, session);
        let bytes = 28 + 5 + turn.len();
        self.send(link, Lane::Request, Kind::Comparisons, bytes, Arrival::Compare { ask, salt, until, turn });
    }

    fn shelf(&self, conn: usize, side: usize) -> &'static Shelf {
        self.nodes[self.conns[conn].ends[side]].shelf
    }

    /// No answer came in time, or all of it has come: nothing is awaited any more.
    pub fn timed_out(&mut self, ask: u64) {
        self.sessions.remove(&ask);
        let Some(Ask { link, what }) = self.asks.remove(&ask) else { return };
        let (conn, side) = split(link);
        let node = self.conns[conn].ends[side];
        match what {
            What::Fetch(ids) => self.tell(node, Input::Fetched(link, ids)),
            What::Stream(count) => self.tell(node, Input::Caught(link, count)),
            What::Compare => self.tell(node, Input::Compared(link, true, None)),
        }
    }

    pub fn arrive(&mut self, conn: usize, side: usize, arrival: Arrival) {
        let link = join(conn, side);
        let node = self.conns[conn].ends[side];
        if matches!(arrival, Arrival::Announced(_) | Arrival::Record { .. }) {
            self.conns[conn].queued[1 - side] -= 1;
        }
        if let Arrival::Closed = arrival {
            self.nodes[node].conns.retain(|other| *other != conn);
            if self.conns[conn].up[side] {
                self.tell(node, Input::Down(link, None));
            }
            return;
        }
        if !self.conns[conn].open || !self.conns[conn].up[side] {
            return;
        }
        match arrival {
            Arrival::Said(message) | Arrival::Announced(message) => self.said(node, link, message),
            Arrival::Record { number, hops } => self.came(link, Via::Gossip, vec![(number, hops)]),
            Arrival::Want { ask, ids } => {
                let has = |number: &u32| self.nodes[node].shelf.has(*number);
                let numbers: Vec<u32> =
                    ids.iter().filter_map(|id| self.book.number(id)).filter(has).collect();
                self.give(link, ask, &numbers);
            }
            Arrival::Since { ask, from } => {
                let points = self.nodes[node].shelf.from(&from);
                let numbers: Vec<u32> = points.iter().filter_map(|(_, id)| self.book.number(id)).collect();
                self.give(link, ask, &numbers);
            }
            Arrival::Answer { ask, records, last } => self.answered(ask, records, last),
            Arrival::Compare { ask, salt, until, turn } => {
                let follower = Side::new(scope(salt, until));
                if let Some(session) = self.sessions.get_mut(&ask) {
                    session.sides[side] = Some(follower);
                    self.turn(link, ask, &turn);
                }
            }
            Arrival::Turn { ask, turn } => self.turn(link, ask, &turn),
            Arrival::Closed => {}
        }
    }

    fn came(&mut self, link: LinkId, via: Via, records: Vec<(u32, u8)>) {
        let (conn, side) = split(link);
        let node = self.conns[conn].ends[side];
        let mut ids = vec![];
        let mut numbers = vec![];
        for (number, hops) in records {
            self.report.deliveries += 1;
            if !self.nodes[node].note(number, hops) {
                self.report.duplicates += 1;
            }
            ids.push((self.book.get(number).point.1, true));
            numbers.push(number);
        }
        if numbers.is_empty() {
            return;
        }
        if via != Via::Stream {
            self.tell(node, Input::Came(link, ids));
        }
        self.store(node, Some(link), via, numbers);
    }

    fn give(&mut self, link: LinkId, ask: u64, numbers: &[u32]) {
        let (conn, side) = split(link);
        let node = self.conns[conn].ends[side];
        let mut rest = numbers;
        loop {
            let (some, later) = rest.split_at(rest.len().min(BATCH));
            rest = later;
            let bytes: usize = some.iter().map(|number| self.book.get(*number).size + 6).sum();
            let records = some.iter().map(|number| (*number, self.hops(node, *number))).collect();
            let last = rest.is_empty();
            let answer = Arrival::Answer { ask, records, last };
            self.send(link, Lane::Request, Kind::Records, bytes + 5, answer);
            if last {
                return;
            }
        }
    }

    fn answered(&mut self, ask: u64, records: Vec<(u32, u8)>, last: bool) {
        let Some(asked) = self.asks.get_mut(&ask) else { return };
        let link = asked.link;
        let via = match &mut asked.what {
            What::Fetch(_) => Via::Fetch,
            What::Stream(count) => {
                *count += records.len() as u64;
                Via::Stream
            }
            What::Compare => return,
        };
        self.came(link, via, records);
        if last {
            self.timed_out(ask);
        }
    }

    /// A side takes its turn in a comparison.
    fn turn(&mut self, link: LinkId, ask: u64, turn: &[u8]) {
        let (conn, side) = split(link);
        let shelf = self.shelf(conn, side);
        let Some(session) = self.sessions.get_mut(&ask) else { return };
        let Some(this) = &mut session.sides[side] else { return };
        let reply = this.answer(shelf, turn).expect("an honest turn");
        let over = reply.as_ref().is_none_or(Vec::is_empty);
        let found = if over { session.sides[side].take().map(Side::finish) } else { None };
        if let Some(turn) = reply {
            let bytes = 5 + turn.len();
            self.send(link, Lane::Request, Kind::Comparisons, bytes, Arrival::Turn { ask, turn });
        }
        let Some(found) = found else { return };
        let node = self.conns[conn].ends[side];
        let led = self.asks.get(&ask).is_some_and(|asked| asked.link == link);
        if led {
            self.asks.remove(&ask);
        }
        self.tell(node, Input::Compared(link, led, Some(found)));
    }
}
