//! The network between the nodes, in user space: the kernel at hand may have no netem. Every datagram from one node to
//! another passes through here, is delayed, now and then lost, and stopped where the network is cut.
//!
//! The relay stands in for each node at one address per family ([`place`]): what a node sends to another's place is
//! handed to that one from the sender's place. So a node is reached at the same address from everywhere, and what nodes
//! tell each other of addresses holds.
#![allow(dead_code, unreachable_pub)]

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::seed::Dice;

/// Nodes of the lab.
pub const NODES: usize = 5;
/// The port of every node: each has a network namespace of its own, so nothing else can have taken it.
pub const PORT: u16 = 9908;
/// The largest datagram a link takes.
const DATAGRAM_MAX: usize = 2048;

/// What the links do to a datagram.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// How long it takes from one node to another at least.
    pub soonest: Duration,
    /// How much longer it may take.
    pub spread: Duration,
    /// How many of a thousand are lost.
    pub lost_per_mille: u64,
}

/// The two families.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    V4,
    V6,
}

/// Where the other nodes reach node `n`.
pub fn place(n: usize, family: Family) -> SocketAddr {
    let host = number(n);
    let ip: IpAddr = match family {
        Family::V4 => Ipv4Addr::new(10, 77, 0, host as u8).into(),
        Family::V6 => Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, host).into(),
    };
    SocketAddr::new(ip, PORT)
}

/// Where node `n` really is, or the other end of its cable.
pub fn inside(n: usize, family: Family, end: u16) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::new(10, 77, number(n) as u8, end as u8).into(),
        Family::V6 => Ipv6Addr::new(0xfd77, 0, 0, number(n), 0, 0, 0, end).into(),
    }
}

/// The node's end of its cable.
pub const NODE_END: u16 = 2;

fn number(n: usize) -> u16 {
    n as u16 + 1
}

/// A datagram on its way.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Flight {
    due: Instant,
    /// Those of one instant leave in the order they came.
    turn: u64,
    from: usize,
    to: usize,
    socket: usize,
    bytes: Vec<u8>,
}

/// What became of the datagrams.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub carried: u64,
    pub bytes: u64,
    pub lost: u64,
    pub stopped: u64,
}

struct Air {
    dice: Dice,
    flying: BinaryHeap<Reverse<Flight>>,
    turn: u64,
    /// Which side of the cut each node is on.
    side: [u8; NODES],
    counts: Counts,
}

struct Foot {
    node: usize,
    family: Family,
    socket: UdpSocket,
}

struct Shared {
    weather: Weather,
    feet: Vec<Foot>,
    air: Mutex<Air>,
    changed: Condvar,
}

/// The network. Its threads end with the process.
pub struct Relay {
    shared: Arc<Shared>,
}

impl Relay {
    /// Stands in for all nodes, at addresses that this machine has.
    pub fn start(weather: Weather, seed: u64, families: &[Family]) -> Relay {
        let mut feet = vec![];
        for family in families {
            for node in 0..NODES {
                let socket = UdpSocket::bind(place(node, *family)).expect("an address of this namespace");
                feet.push(Foot { node, family: *family, socket });
            }
        }
        let air = Air {
            dice: Dice::new(seed),
            flying: BinaryHeap::new(),
            turn: 0,
            side: [0; NODES],
            counts: Counts::default(),
        };
        let shared = Arc::new(Shared { weather, feet, air: Mutex::new(air), changed: Condvar::new() });
        for foot in 0..shared.feet.len() {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.hear(foot));
        }
        let deliverer = Arc::clone(&shared);
        thread::spawn(move || deliverer.deliver());
        Relay { shared }
    }

    /// From now on nothing passes between these nodes and the others.
    pub fn cut(&self, off: &[usize]) {
        let mut air = self.shared.air.lock();
        air.side = std::array::from_fn(|node| u8::from(off.contains(&node)));
    }

    /// Everything passes again.
    pub fn heal(&self) {
        self.cut(&[]);
    }

    /// What it did so far.
    pub fn counts(&self) -> Counts {
        self.shared.air.lock().counts
    }
}

impl Shared {
    /// Takes what is sent to one node's place.
    fn hear(&self, foot: usize) {
        let Foot { node, family, socket } = &self.feet[foot];
        let mut buffer = [0; DATAGRAM_MAX];
        loop {
            // An error tells of an earlier datagram that nobody took: that node is down.
            let Ok((len, sender)) = socket.recv_from(&mut buffer) else { continue };
            let from = (0..NODES).find(|n| SocketAddr::new(inside(*n, *family, NODE_END), PORT) == sender);
            let Some(from) = from.filter(|from| from != node) else { continue };
            self.launch(from, *node, *family, &buffer[..len]);
        }
    }

    fn launch(&self, from: usize, to: usize, family: Family, bytes: &[u8]) {
        let now = Instant::now();
        let Weather { soonest, spread, lost_per_mille } = self.weather;
        let socket = self.feet.iter().position(|foot| foot.node == from && foot.family == family);
        let socket = socket.expect("every node has a place in every family");
        let mut air = self.air.lock();
        if air.dice.below(1000) < lost_per_mille {
            air.counts.lost += 1;
            return;
        }
        let due = now + soonest + air.dice.within(spread);
        air.turn += 1;
        let turn = air.turn;
        air.flying.push(Reverse(Flight { due, turn, from, to, socket, bytes: bytes.to_vec() }));
        self.changed.notify_one();
    }

    /// Hands over what is due.
    fn deliver(&self) {
        let mut air = self.air.lock();
        loop {
            let due = air.flying.peek().map(|Reverse(flight)| flight.due);
            match due {
                None => self.changed.wait(&mut air),
                Some(due) if due > Instant::now() => drop(self.changed.wait_until(&mut air, due)),
                Some(_) => {
                    let Some(Reverse(flight)) = air.flying.pop() else { continue };
                    if air.side[flight.from] != air.side[flight.to] {
                        air.counts.stopped += 1;
                        continue;
                    }
                    air.counts.carried += 1;
                    air.counts.bytes += flight.bytes.len() as u64;
                    let foot = &self.feet[flight.socket];
                    let to = SocketAddr::new(inside(flight.to, foot.family, NODE_END), PORT);
                    // A node that is down takes nothing.
                    let _ = foot.socket.send_to(&flight.bytes, to);
                }
            }
        }
    }
}
