//! What the API promises, as sentences: a real server on a free port before a real store in a temporary home,
//! asked with raw HTTP and through [`Remote`].

mod hostile;
mod http;
mod peers;
mod posting;
mod querying;
mod trait_lf;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::json::{HashText, OwnerText, ZoneEntry};
use super::*;
use crate::record::{Millis, NetworkId, Owner, OwnerKey, RecordId, Rules, found};
use crate::store::{self, Clock, Store};

/// Where the bed's clock starts.
const START: u64 = 1_900_000_000_000;
/// Nothing here takes so long, unless it hangs.
const DEADLINE: Duration = Duration::from_secs(20);

/// A node that is asked over HTTP.
struct Bed {
    addr: SocketAddr,
    token: Token,
    store: Store,
    network: NetworkId,
    now: Arc<AtomicU64>,
    neighbours: Arc<peers::Neighbours>,
    waiting_for: Arc<Mutex<Vec<String>>>,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<std::thread::JoinHandle<()>>,
    _home: TempDir,
}

fn owner(n: u8) -> Owner {
    Owner::from_seed(&[n; 32])
}

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// The words of a refusal.
    fn message(&self) -> String {
        let json = self.json();
        assert_eq!(json["Code"], self.status, "{json}");
        json["Message"].as_str().expect("a message").to_owned()
    }
}

impl Bed {
    fn new() -> Bed {
        Bed::with(Config::default(), |_| {})
    }

    fn with(config: Config, amend: impl FnOnce(&mut Rules)) -> Bed {
        Bed::build(config, &store::Config::default(), amend)
    }

    /// A node whose disk is nearly full.
    fn full() -> Bed {
        let probe = store::Probe::new(|_| Ok(0));
        Bed::build(Config::default(), &store::Config { probe, ..store::Config::default() }, |_| {})
    }

    fn build(config: Config, store_config: &store::Config, amend: impl FnOnce(&mut Rules)) -> Bed {
        let mut rules = Rules::private(&[7; 32], "test");
        amend(&mut rules);
        let (network, genesis) = found(&owner(0), &rules, Millis(START - 10_000)).unwrap();
        let (home, now) = (tempfile::tempdir().unwrap(), Arc::new(AtomicU64::new(START)));
        let ticking = Arc::clone(&now);
        let clock: Clock = Arc::new(move || Millis(ticking.load(Ordering::SeqCst)));
        let store = Store::create(home.path(), &genesis, store_config, Arc::clone(&clock)).unwrap();
        let token = Token::load_or_make(home.path()).unwrap();
        let waiting_for: Arc<Mutex<Vec<String>>> = Arc::default();
        let waiting = Arc::clone(&waiting_for);
        let facts = move || Facts { waiting_for: waiting.lock().clone(), ..Facts::default() };
        let neighbours: Arc<peers::Neighbours> = Arc::default();
        let parts = Parts {
            store: store.clone(),
            clock,
            explain: Arc::new(Oracle),
            facts: Arc::new(facts),
            peers: neighbours.clone(),
            token: token.clone(),
        };
        let config = Config { listen: ([127, 0, 0, 1], 0).into(), ..config };
        let (addr, stop, serving) = serve(config, parts);
        let (stop, serving) = (Some(stop), Some(serving));
        Bed { addr, token, store, network, now, neighbours, waiting_for, stop, serving, _home: home }
    }

    fn pass(&self, ms: u64) {
        self.now.fetch_add(ms, Ordering::SeqCst);
    }

    fn local(&self) -> Local {
        let now = Arc::clone(&self.now);
        Local::new(self.store.clone(), Arc::new(move || Millis(now.load(Ordering::SeqCst))))
    }

    fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    fn remote(&self) -> Remote {
        Remote::new(&[self.url()], Some(self.token.clone())).unwrap()
    }

    /// A request as bytes.
    fn send(&self, request: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.addr).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.write_all(request).unwrap();
        read_answer(stream)
    }

    fn request(&self, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Answer {
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n",
            self.addr,
            body.len()
        );
        for header in headers {
            request += header;
            request += "\r\n";
        }
        request += "\r\n";
        self.send(&[request.as_bytes(), body].concat())
    }

    fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[], b"")
    }

    fn bearer(&self) -> String {
        format!("Authorization: Bearer {}", self.token.reveal())
    }

    fn post(&self, path: &str, media: &str, body: &[u8]) -> Answer {
        let headers = [self.bearer(), format!("Content-Type: {media}")];
        self.request("POST", path, &[&headers[0], &headers[1]], body)
    }

    fn query(&self, query: &str) -> Answer {
        self.request("POST", "/query", &["Content-Type: application/json"], query.as_bytes())
    }

    /// Answers still come, and quickly.
    fn assert_alive(&self) {
        assert_eq!(self.get("/healthz").status, 200);
    }
}

fn serve(config: Config, parts: Parts) -> (SocketAddr, oneshot::Sender<()>, std::thread::JoinHandle<()>) {
    let (stop, stopped) = oneshot::channel::<()>();
    let (bound, address) = std::sync::mpsc::channel();
    let serving = std::thread::spawn(move || {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async move {
            let server = Server::bind(&config, parts).await.unwrap();
            bound.send(server.local_addr()).unwrap();
            server.run(async { drop(stopped.await) }).await;
        });
    });
    (address.recv_timeout(DEADLINE).unwrap(), stop, serving)
}

impl Drop for Bed {
    fn drop(&mut self) {
        drop(self.stop.take());
        let served = self.serving.take().expect("taken once").join();
        if !std::thread::panicking() {
            served.expect("the server ended in a panic");
        }
    }
}

fn read_answer(mut stream: TcpStream) -> Answer {
    let mut all = Vec::new();
    // A server that refuses early may reset what it did not read.
    let _ = stream.read_to_end(&mut all);
    let split = all.windows(4).position(|w| w == b"\r\n\r\n").unwrap_or_else(|| {
        panic!("no answer, but {:?}", String::from_utf8_lossy(&all));
    });
    let head = String::from_utf8(all[..split].to_vec()).unwrap().to_ascii_lowercase();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let body = all.split_off(split + 4);
    let body = if head.contains("transfer-encoding: chunked") { unchunk(&body) } else { body };
    Answer { status, head, body }
}

fn unchunk(mut body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let line = body.windows(2).position(|w| w == b"\r\n").expect("a chunk's head");
        let len = usize::from_str_radix(std::str::from_utf8(&body[..line]).unwrap(), 16).unwrap();
        if len == 0 {
            return out;
        }
        out.extend_from_slice(&body[line + 2..line + 2 + len]);
        body = &body[line + 4 + len..];
    }
}

/// Stands for the part that answers DNS.
struct Oracle;

fn zone_entry(n: usize) -> ZoneEntry {
    ZoneEntry {
        name: format!("n{n}.demo.lf."),
        rtype: "A".into(),
        ttl: 60,
        rdata: vec![json::Blob(vec![192, 0, 2, n as u8])],
        text: vec![format!("192.0.2.{}", n as u8)],
        owner: OwnerText(OwnerKey([1; 32])),
        hash: HashText(RecordId([2; 32])),
        timestamp_millis: START,
    }
}

impl Explain for Oracle {
    fn explain(&self, name: &str, rtype: Option<&str>) -> Result<Value, Refused> {
        match name {
            "panic.lf." => panic!("asked to"),
            _ => Ok(serde_json::json!({ "Name": name, "Type": rtype })),
        }
    }

    fn list_zone(&self, suffix: &str, owner: Option<&OwnerKey>, sink: Sink<'_>) -> Result<(), Refused> {
        let count = match suffix {
            "demo.lf." => 3,
            "broken.lf." | "large.lf." => 5_000,
            _ => return Err(Refused::new(404, format!("no zone {suffix}"))),
        };
        let _ =
            (0..count).filter(|_| owner.is_none_or(|o| *o == OwnerKey([1; 32]))).all(|n| sink(zone_entry(n)));
        if suffix == "broken.lf." { Err(Refused::new(500, "the disk is gone")) } else { Ok(()) }
    }
}
