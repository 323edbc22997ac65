//! The world of a simulation: virtual time, nodes, and what happens to them. Connections are in `wires`.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::net::SocketAddr;

use lfdns::record::{Millis, RecordId};
use lfdns::store::{Point, Row, Tally, Verdict};
use lfdns::sync::dice::Dice;
use lfdns::sync::engine::{Action, Engine, Input, Via, View};
use lfdns::sync::table::{Saved, Table};
use lfdns::sync::wire::Message;
use lfdns::sync::{NodeKey, PeerAddress};

use crate::plan::Plan;
use crate::report::Report;
use crate::shelf::{Book, Record, Shelf};
use crate::wires::{Arrival, Ask, Conn, Session};

/// When virtual time begins, unix milliseconds.
const EPOCH: u64 = 1_700_000_000_000;
/// How long a transaction takes, microseconds.
const COMMIT_US: u64 = 5_000;
/// What is written in the beginning and everybody has.
const GENESIS: u64 = 2;

/// What a node is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Honest,
    /// Its line is thin.
    Slow,
    /// It lets everybody in and never says a word.
    Silent,
}

/// A node.
pub struct Node {
    pub key: NodeKey,
    pub at: SocketAddr,
    pub mood: Mood,
    /// None while it is stopped, and for silent ones.
    pub engine: Option<Engine>,
    pub running: bool,
    pub shelf: &'static Shelf,
    pub life: u32,
    pub since: u64,
    /// Where it is: distances are delays.
    pub place: (u64, u64),
    pub west: bool,
    pub conns: Vec<usize>,
    /// By record: hops from where it was written.
    pub hops: Vec<u8>,
    /// By record: whether it ever arrived.
    pub seen: Vec<bool>,
    skew: i64,
    saved: Saved,
    synchronised: bool,
    wake: u64,
    free: u64,
}

/// What is to happen.
pub enum Event {
    Wake(usize),
    Fact(usize, u32, Box<Input>),
    Arrive(usize, usize, Box<Arrival>),
    /// A dial that works: the connection's end is up.
    Up(usize, usize),
    Call {
        from: usize,
        life: u32,
        address: PeerAddress,
    },
    Stored {
        node: usize,
        life: u32,
        link: Option<u64>,
        via: Via,
        numbers: Vec<u32>,
    },
    Timeout(u64),
    Start(usize),
    Stop {
        node: usize,
        politely: bool,
    },
    Write {
        burst: u32,
    },
    Split,
    Heal,
    Look,
}

/// Everything.
pub struct World {
    pub plan: Plan,
    pub dice: Dice,
    pub now: u64,
    pub nodes: Vec<Node>,
    pub conns: Vec<Conn>,
    pub asks: BTreeMap<u64, Ask>,
    pub sessions: BTreeMap<u64, Session>,
    pub next_ask: u64,
    pub book: Book,
    pub split: bool,
    pub report: Report,
    pub by_address: HashMap<SocketAddr, usize>,
    /// When, in which order, and where in `events`.
    queue: BinaryHeap<Reverse<(u64, u64, usize)>>,
    events: Vec<Option<Event>>,
    spare: Vec<usize>,
    sequence: u64,
    healed_at: Option<(u64, usize, Vec<usize>)>,
}

/// A node's store, as its engine may look at it.
struct Eyes<'a> {
    shelf: &'a Shelf,
    book: &'a Book,
    clock: Millis,
}

impl View for Eyes<'_> {
    fn clock(&self) -> Millis {
        self.clock
    }

    fn knows(&self, id: &RecordId) -> bool {
        self.book.number(id).is_some_and(|number| self.shelf.has(number))
    }

    fn tally(&self, until: Millis) -> Option<Tally> {
        Some(self.shelf.until(until))
    }

    fn newest(&self) -> Option<Point> {
        self.shelf.newest(1).pop()
    }

    fn without_value(&self, _: Option<Row>, _: usize) -> Vec<(Row, RecordId)> {
        vec![]
    }

    fn count_without_value(&self) -> u64 {
        0
    }
}

pub fn millis(us: u64) -> Millis {
    Millis(EPOCH + us / 1_000)
}

impl World {
    pub fn new(plan: Plan) -> World {
        let mut world = World {
            dice: Dice::new(plan.seed),
            now: 0,
            nodes: vec![],
            conns: vec![],
            asks: BTreeMap::new(),
            sessions: BTreeMap::new(),
            next_ask: 0,
            book: Book::default(),
            split: false,
            report: Report { seed: plan.seed, nodes: plan.nodes, records: plan.records, ..Report::default() },
            by_address: HashMap::new(),
            queue: BinaryHeap::new(),
            events: vec![],
            spare: vec![],
            sequence: 0,
            healed_at: None,
            plan,
        };
        for number in 0..GENESIS {
            let links = (0..number as u32).collect();
            let point = (Millis(EPOCH - 1_000_000 + number), world.draw_id());
            world.book.add(Record { point, links, size: 500, born: 0 });
        }
        (0..world.plan.nodes).for_each(|number| world.settle(number));
        let events = world.plan.clone().events(&mut world.dice);
        for (at, event) in events {
            world.at(at, event);
        }
        world.at(0, Event::Look);
        world
    }

    /// A node that does not run yet.
    fn settle(&mut self, number: usize) {
        let [_, _, high, low] = (number as u32).to_be_bytes();
        // Three networks, so that the bounds of one are met.
        let at = SocketAddr::from(([60 + low % 3, 1, high, low], 9908));
        let mut key = [0; 32];
        key.chunks_exact_mut(8).for_each(|word| word.copy_from_slice(&self.dice.roll().to_be_bytes()));
        let shelf: &'static Shelf = Box::leak(Box::default());
        (0..GENESIS as u32).for_each(|number| shelf.put(&self.book, number));
        self.by_address.insert(at, number);
        self.nodes.push(Node {
            key: NodeKey(key),
            at,
            mood: self.plan.mood(number),
            engine: None,
            running: false,
            shelf,
            life: 0,
            since: 0,
            place: (self.dice.below(60_000), self.dice.below(40_000)),
            west: self.dice.below(100) < 40,
            conns: vec![],
            hops: vec![],
            seen: vec![],
            skew: self.dice.below(201).cast_signed() - 100,
            saved: Saved::default(),
            // Whoever was there when the network was made need not wait for anybody.
            synchronised: number < self.plan.seeds,
            wake: u64::MAX,
            free: 0,
        });
    }

    pub fn draw_id(&mut self) -> RecordId {
        let mut id = [0; 32];
        id.chunks_exact_mut(8).for_each(|word| word.copy_from_slice(&self.dice.roll().to_be_bytes()));
        RecordId(id)
    }

    pub fn at(&mut self, us: u64, event: Event) {
        self.sequence += 1;
        let slot = self.spare.pop().unwrap_or_else(|| {
            self.events.push(None);
            self.events.len() - 1
        });
        self.events[slot] = Some(event);
        self.queue.push(Reverse((us.max(self.now), self.sequence, slot)));
    }

    /// Runs until everybody has everything, or there is no more time.
    pub fn run(mut self) -> Report {
        while let Some(Reverse((at, _, slot))) = self.queue.pop() {
            if at > Plan::deadline() || self.report.converged.is_some() {
                break;
            }
            self.now = at;
            self.report.events += 1;
            self.spare.push(slot);
            if let Some(event) = self.events[slot].take() {
                self.happen(event);
            }
        }
        if self.report.converged.is_none() {
            self.report.lacking = self.blame();
        }
        // A write that found nobody to write it would leave less to agree on than was planned.
        assert_eq!(self.book.records.len(), GENESIS as usize + self.plan.records, "records were not written");
        self.report
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Wake(node) => self.woken(node),
            Event::Fact(node, life, input) => {
                if self.nodes[node].life == life {
                    self.tell(node, *input);
                }
            }
            Event::Arrive(conn, side, arrival) => self.arrive(conn, side, *arrival),
            Event::Up(conn, side) => self.is_up(conn, side),
            Event::Call { from, life, address } => self.call(from, life, address),
            Event::Stored { node, life, link, via, numbers } => {
                if self.nodes[node].life == life {
                    self.stored(node, link, via, &numbers);
                }
            }
            Event::Timeout(ask) => self.timed_out(ask),
            Event::Start(node) => self.start(node),
            Event::Stop { node, politely } => self.stop(node, politely),
            Event::Write { burst } => self.write(burst),
            Event::Split => {
                self.split = true;
                self.cut();
            }
            Event::Heal => {
                self.split = false;
                let there = (0..self.nodes.len()).filter(|n| self.nodes[*n].engine.is_some()).collect();
                self.healed_at = Some((self.now, self.book.records.len(), there));
            }
            Event::Look => self.look(),
        }
    }

    pub fn clock(&self, node: usize) -> Millis {
        Millis(millis(self.now).0.saturating_add_signed(self.nodes[node].skew))
    }

    /// Lets a node's engine hear a fact.
    pub fn tell(&mut self, node: usize, input: Input) {
        let (now, clock) = (millis(self.now), self.clock(node));
        let this = &mut self.nodes[node];
        let eyes = Eyes { shelf: this.shelf, book: &self.book, clock };
        let Some(engine) = this.engine.as_mut() else { return };
        engine.handle(now, input, &eyes);
        self.act(node);
    }

    fn woken(&mut self, node: usize) {
        let (now, clock) = (millis(self.now), self.clock(node));
        let this = &mut self.nodes[node];
        if this.wake != self.now {
            return;
        }
        this.wake = u64::MAX;
        let eyes = Eyes { shelf: this.shelf, book: &self.book, clock };
        let Some(engine) = this.engine.as_mut() else { return };
        engine.tick(now, &eyes);
        self.act(node);
    }

    /// Does what the engine says and sets its alarm.
    fn act(&mut self, node: usize) {
        while let Some(action) = self.nodes[node].engine.as_mut().and_then(Engine::poll) {
            self.perform(node, action);
        }
        let Some(due) = self.nodes[node].engine.as_ref().and_then(Engine::deadline) else { return };
        let due = (due.0.saturating_sub(EPOCH) * 1_000).max(self.now);
        if due < self.nodes[node].wake {
            self.nodes[node].wake = due;
            self.at(due, Event::Wake(node));
        }
    }

    fn perform(&mut self, node: usize, action: Action) {
        match action {
            Action::Dial(address) => {
                let life = self.nodes[node].life;
                self.report.dials += 1;
                self.at(self.now, Event::Call { from: node, life, address });
            }
            Action::Close(link, _) => self.close(link),
            Action::Say(link, message) => self.say(link, message),
            Action::Push(links, id) => {
                let Some(number) = self.book.number(&id) else { return };
                links.iter().for_each(|link| self.push(*link, number));
            }
            Action::Fetch(link, ids) => self.fetch(link, ids),
            Action::Compare(link, until) => self.compare(link, until, None),
            Action::Audit(link, until, pick) => self.compare(link, until, Some(pick)),
            Action::CatchUp(link, from) => self.catch_up(link, from),
            Action::StopCatchUp(link) => self.stop_catch_up(link),
            Action::Synchronised => self.nodes[node].synchronised = true,
            Action::Save => {
                if let Some(engine) = &mut self.nodes[node].engine {
                    self.nodes[node].saved = engine.table().save();
                }
            }
        }
    }

    fn start(&mut self, number: usize) {
        let seeds: Vec<PeerAddress> = self.nodes[..self.plan.seeds]
            .iter()
            .map(|seed| PeerAddress::of(seed.at, Some(seed.key)))
            .collect();
        let (seed, now, at) = (self.dice.roll(), millis(self.now), self.now);
        let node = &mut self.nodes[number];
        if node.running {
            return;
        }
        (node.running, node.since, node.wake) = (true, at, u64::MAX);
        if node.mood == Mood::Silent {
            return;
        }
        let mut table = Table::new(node.key, seed);
        table.set_rules(&seeds, now);
        table.restore(node.saved.clone(), now);
        node.engine = Some(Engine::new(node.key, table, seed, node.synchronised, now));
        self.act(number);
    }

    fn stop(&mut self, number: usize, politely: bool) {
        let node = &mut self.nodes[number];
        if !node.running {
            return;
        }
        node.shelf.forget();
        node.life += 1;
        (node.running, node.engine) = (false, None);
        self.report.restarts += 1;
        for conn in std::mem::take(&mut self.nodes[number].conns) {
            self.end_gone(conn, number, politely);
        }
    }

    /// Records are written at some node, each linking to two of its newest.
    fn write(&mut self, burst: u32) {
        let honest = |n: &usize| self.nodes[*n].engine.is_some() && self.nodes[*n].mood == Mood::Honest;
        let able: Vec<usize> = (0..self.nodes.len()).filter(honest).collect();
        let Some(node) = able.get(self.dice.below(able.len() as u64) as usize).copied() else { return };
        let mut tips = self.nodes[node].shelf.newest(6);
        self.dice.shuffle(&mut tips);
        tips.truncate(2);
        let links: Vec<u32> = tips.iter().filter_map(|(_, id)| self.book.number(id)).collect();
        let after = tips.iter().map(|(time, _)| time.0 + 1).max().unwrap_or(0);
        let mut numbers = vec![];
        for n in 0..u64::from(burst) {
            let time = Millis(self.clock(node).0.max(after) + n);
            let (id, size) = (self.draw_id(), 250 + self.dice.below(500) as usize);
            numbers.push(self.book.add(Record {
                point: (time, id),
                links: links.clone(),
                size,
                born: self.now,
            }));
        }
        for number in &numbers {
            self.nodes[node].note(*number, 0);
        }
        self.store(node, None, Via::Gossip, numbers);
    }

    /// Hands records to a node's store.
    pub fn store(&mut self, node: usize, link: Option<u64>, via: Via, numbers: Vec<u32>) {
        let this = &mut self.nodes[node];
        this.free = this.free.max(self.now) + COMMIT_US / 5;
        let (done, life) = (this.free + COMMIT_US, this.life);
        self.at(done, Event::Stored { node, life, link, via, numbers });
    }

    fn stored(&mut self, node: usize, link: Option<u64>, via: Via, numbers: &[u32]) {
        let clock = self.clock(node);
        let (mut new, mut verdicts) = (vec![], vec![]);
        for number in numbers {
            let shelf = self.nodes[node].shelf;
            let verdict = shelf.judge(&self.book, *number, clock, &mut new);
            if let Verdict::Deferred { until, .. } = &verdict
                && shelf.defer(*number)
            {
                let wait = (until.0 - clock.0) * 1_000;
                let (life, numbers) = (self.nodes[node].life, vec![*number]);
                self.at(self.now + wait, Event::Stored { node, life, link: None, via, numbers });
            }
            verdicts.push(verdict);
        }
        let mut points: Vec<Point> = new.iter().map(|number| self.book.get(*number).point).collect();
        points.sort_unstable();
        for number in new {
            self.measure(node, number);
        }
        if !points.is_empty() {
            self.tell(node, Input::Committed(points));
        }
        if let Some(link) = link {
            self.tell(node, Input::Judged(link, via, verdicts));
        }
    }

    fn measure(&mut self, node: usize, number: u32) {
        let (born, this) = (self.book.get(number).born, &self.nodes[node]);
        let hops = this.hops.get(number as usize).copied().unwrap_or(0);
        if hops > 0 && this.since + 5_000_000 < born && Plan::calm(born) {
            self.report.hops.push(hops);
            self.report.latencies.push((self.now - born) as u32);
        }
    }

    /// Whether everybody has everything yet.
    fn look(&mut self) {
        let all = self.book.records.len();
        let up = |node: &Node| node.mood != Mood::Silent && node.running;
        let done = self.now >= Plan::quiet_from()
            && self.nodes.iter().filter(|node| up(node)).all(|node| node.shelf.len() == all);
        if done {
            self.report.converged = Some(self.now / 1_000);
            self.report.settled = (self.now - Plan::quiet_from()) / 1_000;
        }
        if let Some((since, count, there)) = &self.healed_at
            && self.report.healed.is_none()
        {
            let has = |n: &usize| !self.nodes[*n].running || self.nodes[*n].shelf.has_first(*count);
            if there.iter().all(has) {
                self.report.healed = Some((self.now - since) / 1_000);
            }
        }
        self.at(self.now + 100_000, Event::Look);
    }

    /// Who lacks something, and whom they are connected to: for when it does not converge.
    fn blame(&self) -> Vec<String> {
        let all = self.book.records.len();
        let lacks = |node: &&Node| node.running && node.mood != Mood::Silent && node.shelf.len() < all;
        let mut lines: Vec<String> =
            self.nodes.iter().filter(lacks).map(|node| self.portrait(node)).collect();
        lines.truncate(20);
        lines
    }

    fn portrait(&self, node: &Node) -> String {
        let peers: Vec<Mood> = node
            .conns
            .iter()
            .map(|conn| self.conns[*conn].ends)
            .map(|[a, b]| self.nodes[if self.nodes[a].key == node.key { b } else { a }].mood)
            .collect();
        let now = millis(self.now);
        let progress = node.engine.as_ref().map(|engine| engine.progress(now));
        let (count, since) = (node.shelf.len(), node.since / 1_000);
        format!("{:?} {count} records, up since {since} ms, peers {peers:?}, {progress:?}", node.at)
    }

    pub fn said(&mut self, node: usize, link: u64, message: Message) {
        self.tell(node, Input::Said(link, message));
    }
}

impl Node {
    /// A record has arrived, so many hops from where it was written; false: not for the first time.
    pub fn note(&mut self, number: u32, hops: u8) -> bool {
        let at = number as usize;
        if self.seen.len() <= at {
            self.seen.resize(at + 1, false);
            self.hops.resize(at + 1, 0);
        }
        let fresh = !self.seen[at] && !self.shelf.has(number);
        if fresh {
            self.hops[at] = hops;
        }
        self.seen[at] = true;
        fresh
    }
}
