//! A DNS server over a small made-up zone, and queries as bytes: what the tests of the edge share.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hickory_proto::op::Message;
use lfdns::dns::config::Config;
use lfdns::dns::counters::{Counters, Deps};
use lfdns::dns::name::DnsName;
use lfdns::dns::reply::{Answer, Question, Rcode, Reply, Rr};
use lfdns::dns::server::DnsServer;
use lfdns::metrics::Metrics;
use lfdns::record::{Millis, PathKey};

/// No answer within this time is no answer.
pub const PATIENCE: Duration = Duration::from_secs(5);

pub const A: u16 = 1;
pub const SOA: u16 = 6;
pub const TXT: u16 = 16;
pub const AAAA: u16 = 28;

/// The path everything in [`Zone`] was read from.
pub const PATH: PathKey = PathKey([9; 16]);

/// Answers for `edge.test.` by rules the tests know: see [`Zone::answer`].
#[derive(Default)]
pub struct Zone {
    pub counters: Counters,
    /// Questions that came through to the zone.
    pub asked: AtomicU64,
    /// The last octet of `version.edge.test. A`.
    pub version: AtomicU64,
}

fn name(text: &str) -> DnsName {
    text.parse().unwrap()
}

impl Zone {
    /// A change: the next answer must show it.
    pub fn commit(&self) {
        self.version.fetch_add(1, Ordering::SeqCst);
        self.counters.bump(&PATH);
    }

    fn soa() -> Rr {
        let mut rdata = name("ns.edge.test.").as_wire().to_vec();
        rdata.extend_from_slice(name("admin.edge.test.").as_wire());
        for number in [1_u32, 3600, 600, 86400, 30] {
            rdata.extend(number.to_be_bytes());
        }
        Rr { name: name("edge.test."), rtype: SOA, ttl: 30, rdata }
    }

    fn reply(deps: Deps) -> Reply {
        let mut reply = Reply::code(Rcode::NoError, deps);
        reply.aa = true;
        reply
    }
}

fn a_record(owner: &DnsName, ttl: u32, last: u8) -> Rr {
    Rr { name: owner.clone(), rtype: A, ttl, rdata: vec![192, 0, 2, last] }
}

fn txt(owner: &DnsName, octets: usize) -> Rr {
    let mut rdata = Vec::new();
    for chunk in vec![b'x'; octets].chunks(255) {
        rdata.push(chunk.len() as u8);
        rdata.extend_from_slice(chunk);
    }
    Rr { name: owner.clone(), rtype: TXT, ttl: 300, rdata }
}

impl Answer for Zone {
    fn answer(&self, question: &Question, now: Millis) -> Reply {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut deps = self.counters.begin();
        deps.note(&self.counters, &PATH);
        let lower = question.name.to_lowercase();
        let text = lower.to_string();
        let mut reply = Zone::reply(deps);
        let (first, in_zone) = match text.strip_suffix("edge.test.") {
            Some(first) => (first.trim_end_matches('.'), true),
            None => ("", false),
        };
        match (first, question.qtype) {
            _ if !in_zone => {
                reply.aa = false;
                reply.rcode = Rcode::Refused;
                reply = reply.with_ede(20, "not one of our zones");
            }
            ("panic", _) => panic!("asked to"),
            ("" | "www", A) => reply.answers = vec![a_record(&lower, 300, 1), a_record(&lower, 300, 2)],
            ("version", A) => {
                reply.answers = vec![a_record(&lower, 300, self.version.load(Ordering::SeqCst) as u8)];
            }
            ("brief", A) => {
                reply.answers = vec![a_record(&lower, 300, 1)];
                reply.until = Some(now.plus(5_500));
            }
            ("local", A) => {
                if let Some(IpAddr::V4(local)) = question.local {
                    reply.answers =
                        vec![Rr { name: lower, rtype: A, ttl: 60, rdata: local.octets().to_vec() }];
                }
                reply.uses_local = true;
            }
            ("alias", A) => {
                let target = name("www.edge.test.");
                let rdata = target.as_wire().to_vec();
                reply.answers =
                    vec![Rr { name: lower, rtype: 5, ttl: 300, rdata }, a_record(&target, 300, 1)];
            }
            ("mx", 15) => {
                let mut rdata = vec![0, 10];
                rdata.extend_from_slice(name("www.edge.test.").as_wire());
                reply.answers = vec![Rr { name: lower, rtype: 15, ttl: 300, rdata }];
                reply.additional =
                    (0..100).map(|last| a_record(&name("www.edge.test."), 300, last)).collect();
            }
            (size, TXT) if size.starts_with("txt") => {
                reply.answers = vec![txt(&lower, size[3..].parse().unwrap_or(1))];
            }
            ("why", _) => reply = reply.with_ede(0, "because".repeat(100)),
            ("unknown", 65400) => {
                reply.answers = vec![Rr { name: lower, rtype: 65400, ttl: 300, rdata: vec![1, 2, 3] }];
            }
            ("www" | "", _) => reply.authority = vec![Zone::soa()],
            _ => {
                reply.rcode = Rcode::NxDomain;
                reply.authority = vec![Zone::soa()];
            }
        }
        reply
    }

    fn counters(&self) -> &Counters {
        &self.counters
    }
}

/// A running server over a [`Zone`], on free ports of loopback.
pub struct Edge {
    pub zone: Arc<Zone>,
    pub metrics: Arc<Metrics>,
    pub server: DnsServer,
    runtime: tokio::runtime::Runtime,
}

pub fn clock() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Millis(since.as_millis() as u64)
}

/// A configuration for tests: one free port on 127.0.0.1.
pub fn config() -> Config {
    Config { listen: vec!["127.0.0.1:0".parse().unwrap()], ..Config::default() }
}

impl Edge {
    pub fn start(config: &Config) -> Edge {
        let zone = Arc::new(Zone::default());
        let metrics = Arc::new(Metrics::default());
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (answer, counts) = (Arc::clone(&zone), Arc::clone(&metrics));
        let server = DnsServer::bind(config, answer, Arc::new(clock), counts, runtime.handle()).unwrap();
        Edge { zone, metrics, server, runtime }
    }

    pub fn address(&self) -> SocketAddr {
        self.server.local_addrs()[0]
    }
}

/// What a query is made of.
pub struct Ask {
    pub id: u16,
    pub flags: [u8; 2],
    pub name: String,
    pub qtype: u16,
    pub qclass: u16,
    /// UDP size, version, DO, options.
    pub opt: Option<(u16, u8, bool, Vec<u8>)>,
}

impl Ask {
    pub fn new(name: &str, qtype: u16) -> Ask {
        Ask { id: 0x1234, flags: [0, 0], name: name.to_owned(), qtype, qclass: 1, opt: None }
    }

    pub fn edns(self, size: u16, options: &[u8]) -> Ask {
        Ask { opt: Some((size, 0, false, options.to_vec())), ..self }
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut raw = self.id.to_be_bytes().to_vec();
        raw.extend(self.flags);
        raw.extend([0, 1, 0, 0, 0, 0, 0, u8::from(self.opt.is_some())]);
        raw.extend_from_slice(name(&self.name).as_wire());
        raw.extend(self.qtype.to_be_bytes());
        raw.extend(self.qclass.to_be_bytes());
        if let Some((size, version, dnssec_ok, options)) = &self.opt {
            raw.extend([0, 0, 41]);
            raw.extend(size.to_be_bytes());
            raw.extend([0, *version, u8::from(*dnssec_ok) << 7, 0]);
            raw.extend((options.len() as u16).to_be_bytes());
            raw.extend_from_slice(options);
        }
        raw
    }
}

/// Sends one datagram and waits for one.
pub fn udp(address: SocketAddr, query: &[u8]) -> Option<Vec<u8>> {
    let any: SocketAddr = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }.parse().unwrap();
    let socket = UdpSocket::bind(any).unwrap();
    socket.connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.send(query).unwrap();
    let mut answer = vec![0; 65_535];
    let len = socket.recv(&mut answer).ok()?;
    answer.truncate(len);
    Some(answer)
}

pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

pub fn write_query(stream: &mut TcpStream, query: &[u8]) {
    let mut frame = (query.len() as u16).to_be_bytes().to_vec();
    frame.extend_from_slice(query);
    stream.write_all(&frame).unwrap();
}

/// One framed answer; none where the connection ended instead.
pub fn read_answer(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut len = [0; 2];
    stream.read_exact(&mut len).ok()?;
    let mut answer = vec![0; usize::from(u16::from_be_bytes(len))];
    stream.read_exact(&mut answer).ok()?;
    Some(answer)
}

pub fn tcp(address: SocketAddr, query: &[u8]) -> Option<Vec<u8>> {
    let mut stream = connect(address);
    write_query(&mut stream, query);
    read_answer(&mut stream)
}

pub fn parse(answer: &[u8]) -> Message {
    Message::from_vec(answer).expect("an answer hickory can read")
}
