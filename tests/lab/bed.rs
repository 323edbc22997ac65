//! Five nodes of one network, each in its namespace, with the relay between them; how they are written to, watched and
//! compared. What the test itself asks of a node goes over the cable, not through the relay.
#![allow(dead_code, unreachable_pub)]

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::net::{SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use lfdns::api::json::Status;
use lfdns::api::{Entry, Lf, Made, Remote, Token};
use lfdns::node::owners::Owners;
use lfdns::record::{Owner, RecordId};
use lfdns::store::ExportReader;

use super::edge::{Ask, TXT};
use super::node::{self, Home, Node};
use super::relay::{Family, NODE_END, NODES, PORT, Relay, inside, place};
use super::spaces;

/// What is awaited, on a busy machine too, where no figure is asked for.
const PATIENCE: Duration = Duration::from_mins(1);
/// How often a node is asked again.
const PACE: Duration = Duration::from_millis(2);
/// A question over a cable that is not answered in this time never is.
const ANSWER: Duration = Duration::from_secs(5);
/// In the environment: what the nodes are to log (LFDNS_LOG of each), for whoever looks for a fault.
const LOG: &str = "LFDNS_LAB_LOG";

/// A node of the lab.
pub struct Place {
    pub n: usize,
    pub home: Home,
    pub node: Option<Node>,
}

/// The answers a name can have here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    There,
    Absent,
    Other(u8),
}

/// All of it.
pub struct Lab {
    pub places: Vec<Place>,
    pub relay: Relay,
    pub owner: Owner,
}

impl Lab {
    /// Founds a network on node 0; the others join it, two from an export and two by an invitation. The last one knows
    /// a peer by its IPv6 address only, where there is IPv6.
    pub fn start(relay: Relay, families: &[Family]) -> Lab {
        let homes: Vec<Home> = (0..NODES).map(|_| Home::new()).collect();
        homes[0].run(["network", "new", "lab"]).well();
        let export = homes[0].file("all.export", "").display().to_string();
        homes[0].run(["export", &export, "--force"]).well();
        let invitation = homes[0].json(["network", "show"]).to_string();
        let invitation = homes[0].file("friend.json", invitation).display().to_string();
        let owner = Owners::of(&homes[0].path()).signer(None).expect("a founder");
        for (n, home) in homes.iter().enumerate().skip(1) {
            let file = if n < 3 { &export } else { &invitation };
            let family = if n == NODES - 1 { *families.last().expect("one at least") } else { Family::V4 };
            home.run(["network", "join", file, "--peer", &place(0, family).to_string()]).well();
        }
        let places = homes.into_iter().enumerate().map(|(n, home)| Place { n, home, node: None }).collect();
        let mut lab = Lab { places, relay, owner };
        let v6 = families.contains(&Family::V6);
        for place in &mut lab.places {
            place.start(v6);
        }
        lab
    }

    /// Writes a record on a node; when the node had acknowledged it.
    pub fn write(&self, n: usize, name: &str) -> Made {
        let entry = entry(name);
        self.places[n].remote().make(&self.owner, entry).expect("a node takes a record")
    }

    /// Writes many on a node.
    pub fn write_all(&self, n: usize, names: impl Iterator<Item = String>) -> u64 {
        let mut entries = names.map(|name| entry(&name));
        let report = self.places[n].remote().make_all(&self.owner, &mut entries, &mut |_| {});
        let report = report.expect("a node takes records");
        assert!(report.refused.is_empty(), "{:?}", report.refused);
        report.accepted
    }

    /// Records each node holds.
    pub fn counts(&self) -> Vec<u64> {
        self.places.iter().map(|place| place.status().db_record_count).collect()
    }

    /// The sets of all nodes, which must be equal.
    pub fn equal_sets(&self) -> BTreeSet<RecordId> {
        let mut sets: Vec<BTreeSet<RecordId>> = self.places.iter().map(Place::ids).collect();
        let first = sets.remove(0);
        for (n, set) in sets.iter().enumerate() {
            let differing = first.symmetric_difference(set).count();
            assert_eq!(differing, 0, "node {} and node 0 differ", n + 1);
        }
        first
    }
}

fn entry(name: &str) -> Entry {
    Entry::new(&[(name.as_bytes(), 0)], name.as_bytes())
}

impl Place {
    /// Starts the node, in its namespace, on its port.
    pub fn start(&mut self, v6: bool) {
        let mut command = spaces::command(self.n, &self.home);
        if let Ok(log) = std::env::var(LOG) {
            command.env("LFDNS_LOG", log);
        }
        let any = if v6 { "[::]" } else { "0.0.0.0" };
        let own = SocketAddr::new(inside(self.n, Family::V4, NODE_END), 0).to_string();
        command.args(["node", "--dns", &own, "--http", &own, "--quic", &format!("{any}:{PORT}")]);
        self.node = Some(Node::start(command, &self.home.path()));
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.node.take().expect("a running node").kill();
    }

    pub fn remote(&self) -> Remote {
        let node = self.node.as_ref().expect("a running node");
        let token = Token::load(&node.home).expect("a readable token");
        Remote::new(&[node.url()], token).expect("a URL")
    }

    pub fn status(&self) -> Status {
        self.remote().status().expect("a node that answers")
    }

    fn dns(&self) -> SocketAddr {
        self.node.as_ref().expect("a running node").dns[0]
    }

    /// What the node answers for a name of the network.
    pub fn asks(&self, name: &str) -> Answer {
        let socket = UdpSocket::bind(("0.0.0.0", 0)).expect("a free port");
        socket.connect(self.dns()).expect("a cable");
        socket.set_read_timeout(Some(ANSWER)).expect("a time");
        self.asks_on(&socket, name)
    }

    fn asks_on(&self, socket: &UdpSocket, name: &str) -> Answer {
        socket.send(&Ask::new(&format!("{name}.lf."), TXT).bytes()).expect("a cable");
        let mut answer = [0; 1500];
        let len =
            socket.recv(&mut answer).unwrap_or_else(|e| panic!("node {} does not answer DNS: {e}", self.n));
        assert!(len >= 12, "an answer has a head");
        // RFC 1035 §4.1.1: RCODE, and how many records answer.
        match (answer[3] & 15, u16::from_be_bytes([answer[6], answer[7]])) {
            (0, 1..) => Answer::There,
            (3, _) => Answer::Absent,
            (rcode, _) => Answer::Other(rcode),
        }
    }

    /// Asks until the name is answered; when that was.
    pub fn sees(&self, name: &str) -> Instant {
        let socket = UdpSocket::bind(("0.0.0.0", 0)).expect("a free port");
        socket.connect(self.dns()).expect("a cable");
        socket.set_read_timeout(Some(ANSWER)).expect("a time");
        let begun = Instant::now();
        while self.asks_on(&socket, name) != Answer::There {
            assert!(begun.elapsed() < PATIENCE, "node {} never heard of '{name}'", self.n);
            thread::park_timeout(PACE);
        }
        Instant::now()
    }

    fn ids(&self) -> BTreeSet<RecordId> {
        let dump = self.remote().dump().expect("a dump");
        let mut reader = ExportReader::open(dump).expect("an export");
        let (network, mut ids) = (reader.network(), BTreeSet::new());
        while let Some(record) = reader.next_record().expect("a whole export") {
            ids.insert(record.id(&network));
        }
        ids
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let (true, true, Some(node)) = (thread::panicking(), std::env::var_os(LOG).is_some(), &self.node) {
            node.said().iter().for_each(|line| println!("node {}: {line}", self.n));
        }
    }
}

/// Looks until it is as wanted, or too late; how long that took.
pub fn until<T: Debug>(within: Duration, look: impl Fn() -> T, wanted: impl Fn(&T) -> bool) -> Duration {
    node::until_within(within, look, wanted).1
}

/// Looks until it is as wanted, without asking how long it takes.
pub fn settles<T: Debug>(look: impl Fn() -> T, wanted: impl Fn(&T) -> bool) -> Duration {
    until(PATIENCE, look, wanted)
}
