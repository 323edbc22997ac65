//! The answer cache against no cache: two servers over one resolver and one virtual clock, one of them keeping
//! nothing. After every random commit and every step of time each question gets the same message from both.

#![allow(clippy::unwrap_used)]

#[path = "common/bed.rs"]
mod bed;

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use bed::{Bed, name};
use lfdns::dns::config::Config;
use lfdns::dns::rdata::rtype_from_text;
use lfdns::dns::rrset::{BUNDLE_ORDINAL, Bundle, RrsetValue, rrset_ordinal};
use lfdns::dns::server::DnsServer;
use lfdns::metrics::Metrics;
use lfdns::record::{Owner, Pulse, Record};
use proptest::prelude::*;

/// How long a server may take for one answer before the test gives up.
const DEADLINE: Duration = Duration::from_secs(10);

#[derive(Clone, Debug)]
enum Step {
    /// Publishes (or deletes, with no address) an RRset of a type at a name.
    Rrset { who: bool, name: usize, kind: usize, value: Option<u8>, silent: bool },
    /// Publishes or deletes a bundle.
    Bundle { name: usize, value: Option<u8> },
    /// Sets a raw value.
    Raw { who: bool, name: usize, ordinal: u64, value: Option<u8> },
    /// Time passes, seconds.
    Pass(u64),
    /// The record last made that has a pulse key shows that it is alive.
    Pulse,
}

const NAMES: [&[&str]; 8] =
    [&["a"], &["b"], &["a", "x"], &["a", "x", "y"], &["*"], &["a", "*"], &["ns"], &["b", "x"]];
const KINDS: [&str; 6] = ["A", "TXT", "CNAME", "NS", "DNAME", "MX"];
const QUESTIONS: [&str; 14] = [
    "demo.lf.",
    "a.demo.lf.",
    "b.demo.lf.",
    "x.a.demo.lf.",
    "y.x.a.demo.lf.",
    "q.demo.lf.",
    "q.a.demo.lf.",
    "x.b.demo.lf.",
    "q.x.a.demo.lf.",
    "ns.demo.lf.",
    "_list.a.demo.lf.",
    "_o1.a.demo.lf.",
    "lf.",
    "Q.q.DEMO.lf.",
];
const TYPES: [&str; 7] = ["A", "TXT", "CNAME", "NS", "SOA", "MX", "ANY"];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let some = || prop_oneof![3 => (1_u8..4).prop_map(Some), 1 => Just(None)];
    let step = prop_oneof![
        6 => (prop::bool::weighted(0.8), 0..NAMES.len(), 0..KINDS.len(), some(), prop::bool::weighted(0.2))
            .prop_map(|(who, name, kind, value, silent)| Step::Rrset { who, name, kind, value, silent }),
        1 => (0..NAMES.len(), some()).prop_map(|(name, value)| Step::Bundle { name, value }),
        2 => (any::<bool>(), 0..NAMES.len(), 0_u64..3, some())
            .prop_map(|(who, name, ordinal, value)| Step::Raw { who, name, ordinal, value }),
        2 => (1_u64..100).prop_map(Step::Pass),
        1 => Just(Step::Pulse),
    ];
    proptest::collection::vec(step, 1..14)
}

struct Pair {
    bed: Bed,
    cached: (DnsServer, UdpSocket),
    bare: (DnsServer, UdpSocket),
    metrics: Arc<Metrics>,
    beating: Option<Record>,
    _runtime: tokio::runtime::Runtime,
}

impl Pair {
    fn start() -> Pair {
        let bed = Bed::new();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let metrics = Arc::new(Metrics::default());
        let serve = |cache_bytes, metrics| {
            let listen = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
            let config = Config { listen, udp_threads: 1, workers: 1, cache_bytes, ..Config::default() };
            let server =
                DnsServer::bind(&config, bed.resolver.clone(), bed.clock(), metrics, runtime.handle())
                    .unwrap();
            let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
            socket.connect(server.local_addrs()[0]).unwrap();
            socket.set_read_timeout(Some(DEADLINE)).unwrap();
            (server, socket)
        };
        let (cached, bare) = (serve(1 << 20, metrics.clone()), serve(0, Arc::default()));
        Pair { bed, cached, bare, metrics, beating: None, _runtime: runtime }
    }

    fn apply(&mut self, step: &Step) {
        match step {
            Step::Rrset { who, name, kind, value, silent } => {
                let rtype = rtype_from_text(KINDS[*kind]).unwrap();
                let value = value.map(|v| Pair::rrset(*name, KINDS[*kind], v, *silent).encode());
                let pulse_key = silent.then(|| Owner::from_seed(&[9; 32]).key().0);
                let record = self.put(*who, *name, rrset_ordinal(rtype), value, pulse_key);
                if *silent && !record.is_deletion() {
                    self.beating = Some(record);
                }
            }
            Step::Bundle { name, value } => {
                let value = value.map(|v| {
                    let sets = vec![(1, 60, vec![vec![198, 51, 100, v]]), (16, 60, vec![vec![1, b'a' + v]])];
                    Bundle { max_silence: 0, path: path(*name), sets }.encode()
                });
                self.put(true, *name, BUNDLE_ORDINAL, value, None);
            }
            Step::Raw { who, name, ordinal, value } => {
                self.put(*who, *name, *ordinal, value.map(|v| vec![b'0' + v]), None);
            }
            Step::Pass(seconds) => self.bed.pass(seconds * 1000),
            Step::Pulse => {
                if let Some(record) = &self.beating {
                    let minute = ((self.bed.now().0 - record.header.time.0) / 60_000) as u32;
                    let pulse =
                        Pulse::mint(&self.bed.network, record.id(&self.bed.network), minute, &[9; 32]);
                    self.bed.store.ingest_pulses(vec![pulse]);
                }
            }
        }
    }

    fn put(
        &self,
        who: bool,
        name: usize,
        ordinal: u64,
        value: Option<Vec<u8>>,
        pulse: Option<[u8; 32]>,
    ) -> Record {
        let names = path(name);
        let last = names.len() - 1;
        let key: Vec<(&[u8], u64)> = names
            .iter()
            .enumerate()
            .map(|(i, n)| (n.as_slice(), if i == last { ordinal } else { 0 }))
            .collect();
        let owner = if who { &self.bed.owner } else { &self.bed.stranger };
        self.bed.put_with(owner, &key, &value.unwrap_or_default(), pulse)
    }

    fn rrset(at: usize, kind: &str, value: u8, silent: bool) -> RrsetValue {
        let target = |labels: &str| name(labels).as_wire().to_vec();
        let targets = ["a.demo.lf.", "b.demo.lf.", "x.a.demo.lf.", "out.example."];
        let chosen = targets[usize::from(value)];
        let rdata = match kind {
            "A" => vec![192, 0, 2, value],
            "TXT" => vec![1, b'a' + value],
            "MX" => [&[0, value][..], &target(chosen)].concat(),
            _ => target(chosen),
        };
        RrsetValue { ttl: 100, max_silence: u16::from(silent), path: path(at), rdatas: vec![rdata] }
    }

    /// Asks both servers everything, the caching one twice, so that its second answer comes from the cache.
    fn compare(&self) -> Result<(), TestCaseError> {
        for qname in QUESTIONS {
            for qtype in TYPES {
                let query = query(qname, qtype);
                let want = ask(&self.bare.1, &query);
                for round in ["first", "second"] {
                    let got = ask(&self.cached.1, &query);
                    prop_assert_eq!(
                        without_serial(&got),
                        without_serial(&want),
                        "{} {} at the {} time of asking",
                        qname,
                        qtype,
                        round
                    );
                }
            }
        }
        Ok(())
    }
}

fn path(index: usize) -> Vec<Vec<u8>> {
    std::iter::once(&"demo").chain(NAMES[index]).map(|n| n.as_bytes().to_vec()).collect()
}

fn query(qname: &str, qtype: &str) -> Vec<u8> {
    let mut query = vec![0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    query.extend_from_slice(name(qname).as_wire());
    query.extend_from_slice(&rtype_from_text(qtype).unwrap().to_be_bytes());
    query.extend_from_slice(&[0, 1]);
    // OPT: no options, 1232 octets.
    query.extend_from_slice(&[0, 0, 41, 0x04, 0xD0, 0, 0, 0, 0, 0, 0]);
    query
}

fn ask(socket: &UdpSocket, query: &[u8]) -> Vec<u8> {
    socket.send(query).unwrap();
    let mut answer = [0; 4096];
    let len = socket.recv(&mut answer).expect("an answer within the deadline");
    answer[..len].to_vec()
}

/// A kept negative answer may carry an older serial; everything else must be the same to the octet.
fn without_serial(message: &[u8]) -> Vec<u8> {
    let mut message = message.to_vec();
    if message[9] == 1
        && let Some(end) = soa_end(&message)
    {
        // Serial, refresh, retry, expire, minimum: five numbers at the end of the data.
        message[end - 20..end - 16].fill(0);
    }
    message
}

/// Where the SOA of the authority section ends, found by walking the records.
fn soa_end(message: &[u8]) -> Option<usize> {
    let skip_name = |mut at: usize| -> usize {
        loop {
            match message[at] {
                0 => return at + 1,
                len if len >= 0xC0 => return at + 2,
                len => at += 1 + usize::from(len),
            }
        }
    };
    let mut at = skip_name(12) + 4;
    let records = usize::from(message[7]);
    for index in 0..=records {
        at = skip_name(at);
        let rtype = u16::from_be_bytes([message[at], message[at + 1]]);
        let len = usize::from(u16::from_be_bytes([message[at + 8], message[at + 9]]));
        at += 10 + len;
        if index == records {
            return (rtype == 6).then_some(at);
        }
    }
    None
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn after_every_commit_a_kept_answer_is_the_answer(steps in steps()) {
        let mut pair = Pair::start();
        pair.compare()?;
        for step in &steps {
            pair.apply(step);
            pair.compare()?;
        }
        let hits = pair.metrics.dns.cache_hits.count();
        prop_assert!(hits > 0, "the cache was never used, so nothing was compared");
    }
}
