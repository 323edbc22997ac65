//! What the engine promises, one cause a test. Time is moved by hand; nothing is connected.

mod compare;
mod gossip;
mod links;
mod stream;
mod turns;
mod values;

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::store::{FIRST, Refusal};
use crate::sync::wire::Root;

const OWN: NodeKey = NodeKey([50; 32]);
const START: Millis = Millis(1_000_000_000);

fn id(number: u64) -> RecordId {
    let mut bytes = [9; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    RecordId(bytes)
}

fn ids(numbers: std::ops::Range<u64>) -> Vec<RecordId> {
    numbers.map(id).collect()
}

fn key(number: u8) -> NodeKey {
    NodeKey([number; 32])
}

fn remote(number: u8) -> SocketAddr {
    SocketAddr::from(([20 + number, 1, 2, 3], 9908))
}

fn address(number: u8) -> PeerAddress {
    PeerAddress::of(remote(number), Some(key(number)))
}

fn hello(instance: u64) -> Hello {
    Hello { instance, clock: START, port: 9908, synchronised: true }
}

/// A store that holds what it is told it holds.
struct Fake {
    clock: Millis,
    points: BTreeSet<Point>,
    sick: bool,
    /// Those that are here without their value.
    bare: BTreeSet<RecordId>,
}

impl View for Fake {
    fn clock(&self) -> Millis {
        self.clock
    }

    fn knows(&self, id: &RecordId) -> bool {
        !self.bare.contains(id) && self.points.iter().any(|(_, known)| known == id)
    }

    fn tally(&self, until: Millis) -> Option<Tally> {
        let points: Vec<Point> = self.points.range(..(until, RecordId([0; 32]))).copied().collect();
        (!self.sick).then(|| Tally::of(&points))
    }

    fn newest(&self) -> Option<Point> {
        self.points.last().copied()
    }

    fn without_value(&self, after: Option<Row>, limit: usize) -> Vec<(Row, RecordId)> {
        let row = |id: &RecordId| Row(id.0[..8].iter().fold(0, |row, byte| row << 8 | i64::from(*byte)));
        let rows = self.bare.iter().map(|id| (row(id), *id));
        rows.filter(|(row, _)| after.is_none_or(|after| *row > after)).take(limit).collect()
    }

    fn count_without_value(&self) -> u64 {
        self.bare.len() as u64
    }
}

/// An engine, its store, and a clock.
struct Bed {
    engine: Engine,
    store: Fake,
    now: Millis,
    next: LinkId,
}

impl Bed {
    /// A node that was once in agreement with its network, with nobody connected and nobody known.
    fn new() -> Bed {
        Bed::of(OWN, true)
    }

    fn of(own: NodeKey, synchronised: bool) -> Bed {
        Bed {
            engine: Engine::new(own, Table::new(own, 1), 1, synchronised, START),
            // A network has its genesis record at least.
            store: Fake {
                clock: START,
                points: BTreeSet::from([(Millis(1), id(0))]),
                sick: false,
                bare: BTreeSet::new(),
            },
            now: START,
            next: 1,
        }
    }

    /// So many connected peers, of keys 1, 2, and so on, whose first roots are told and equal.
    fn with_peers(count: u8) -> (Bed, Vec<LinkId>) {
        let mut bed = Bed::new();
        let links = (1..=count).map(|number| bed.up(number)).collect();
        bed.calm();
        (bed, links)
    }

    fn handle(&mut self, input: Input) -> Vec<Action> {
        self.engine.handle(self.now, input, &self.store);
        self.drain()
    }

    fn drain(&mut self) -> Vec<Action> {
        let mut actions = Vec::new();
        while let Some(action) = self.engine.poll() {
            if action != Action::Save {
                actions.push(action);
            }
        }
        actions
    }

    /// Lets time pass, doing what is due when it is due.
    fn wait(&mut self, ms: u64) -> Vec<Action> {
        let end = self.now.plus(ms);
        let mut actions = Vec::new();
        let mut ticks = 0;
        while let Some(due) = self.engine.deadline().filter(|due| *due <= end) {
            self.clock(self.now.max(due));
            self.engine.tick(self.now, &self.store);
            actions.extend(self.drain());
            ticks += 1;
            assert!(ticks < 10_000, "it spins at {:?}", self.now);
        }
        self.clock(end);
        actions
    }

    fn clock(&mut self, now: Millis) {
        self.store.clock = self.store.clock.plus(now.0 - self.now.0);
        self.now = now;
    }

    /// Lets the first seconds of new connections pass: peers answer that their roots are equal.
    fn calm(&mut self) {
        for action in self.wait(2 * ROOT_SOON_MS) {
            if let Action::Say(link, Message::Root(root)) = action {
                self.handle(Input::Said(link, Message::RootIs(root)));
            }
        }
    }

    fn connect(&mut self, number: u8, dialled: bool, hello: Hello) -> (LinkId, Vec<Action>) {
        let link = self.next;
        self.next += 1;
        let dialled = dialled.then(|| address(number));
        let up = Input::Up { link, key: key(number), remote: remote(number), dialled, hello };
        (link, self.handle(up))
    }

    /// A peer has called.
    fn up(&mut self, number: u8) -> LinkId {
        let (link, actions) = self.connect(number, false, hello(u64::from(number)));
        assert_eq!(actions, []);
        link
    }

    /// A record is in the store, and the engine hears of it.
    fn commit(&mut self, number: u64) -> Vec<Action> {
        self.commit_at(number, self.store.clock)
    }

    fn commit_at(&mut self, number: u64, time: Millis) -> Vec<Action> {
        self.store.points.insert((time, id(number)));
        self.handle(Input::Committed(vec![(time, id(number))]))
    }

    /// A peer's record is on its way into the store.
    fn came(&mut self, link: LinkId, number: u64) {
        assert_eq!(self.handle(Input::Came(link, vec![(id(number), true)])), []);
    }

    fn judged(&mut self, link: LinkId, via: Via, verdict: Verdict) -> Vec<Action> {
        self.handle(Input::Judged(link, via, vec![verdict]))
    }

    fn announce(&mut self, link: LinkId, ids: Vec<RecordId>) -> Vec<Action> {
        self.handle(Input::Said(link, Message::Announce(ids)))
    }

    /// What the peer's root is said to be, after this node asked for it.
    fn root_is(
        &mut self,
        link: LinkId,
        count: u64,
        fingerprint: [u8; 16],
        synchronised: bool,
    ) -> Vec<Action> {
        let until = self.asked(link);
        self.handle(Input::Said(link, Message::RootIs(Root { until, count, fingerprint, synchronised })))
    }

    /// Waits until this node asks for a peer's root, and says up to what time.
    fn asked(&mut self, link: LinkId) -> Millis {
        for _ in 0..10_000 {
            for action in self.wait(1) {
                match action {
                    Action::Say(to, Message::Root(root)) if to == link => return root.until,
                    _ => {}
                }
            }
        }
        panic!("it never asks")
    }

    /// The peer says that it has the very same set.
    fn agree(&mut self, link: LinkId, synchronised: bool) -> Vec<Action> {
        let until = self.asked(link);
        let tally = self.store.tally(until).expect("a sound store");
        let fingerprint = tally.fingerprint();
        let root = Root { until, count: tally.count, fingerprint, synchronised };
        self.handle(Input::Said(link, Message::RootIs(root)))
    }
}

fn pushes(actions: &[Action]) -> Vec<LinkId> {
    let pushed = actions.iter().filter_map(|action| match action {
        Action::Push(links, _) => Some(links.to_vec()),
        _ => None,
    });
    pushed.flatten().collect()
}

fn announced(actions: &[Action]) -> BTreeMap<LinkId, Vec<RecordId>> {
    let said = actions.iter().filter_map(|action| match action {
        Action::Say(link, Message::Announce(ids)) => Some((*link, ids.clone())),
        _ => None,
    });
    said.collect()
}

fn fetches(actions: &[Action]) -> Vec<(LinkId, Vec<RecordId>)> {
    let fetched = actions.iter().filter_map(|action| match action {
        Action::Fetch(link, ids) => Some((*link, ids.clone())),
        _ => None,
    });
    fetched.collect()
}

fn roots(actions: &[Action]) -> Vec<LinkId> {
    let asked = actions.iter().filter_map(|action| match action {
        Action::Say(link, Message::Root(_)) => Some(*link),
        _ => None,
    });
    asked.collect()
}

fn closed(actions: &[Action]) -> Vec<LinkId> {
    let closed = actions.iter().filter_map(|action| match action {
        Action::Close(link, _) => Some(*link),
        _ => None,
    });
    closed.collect()
}

fn orphan(number: u64, missing: Vec<RecordId>) -> Verdict {
    Verdict::Orphan { id: id(number), missing }
}

fn full_disk() -> Verdict {
    Verdict::Refused(Refusal::DiskFull { free: 0, floor: 1 })
}
