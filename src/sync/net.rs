//! Replication at work: the only place that knows QUIC. It moves bytes and keeps time; the engine decides.
//!
//! `tls`: keys and proofs · `dial`: who is called and let in · `line`: one connection · `serve`, `ask`: streams
//! with a question · `compare`: comparisons · `dues`: who took how much of late · `intake`: records into the store · `hub`: the engine's driver. docs/SYNC.md.

mod ask;
mod compare;
mod dial;
mod dues;
mod framed;
mod hub;
mod intake;
mod line;
mod progress;
mod serve;
mod tls;

use std::collections::HashMap;
use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use quinn::{Endpoint, EndpointConfig, TokioRuntime, VarInt};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use self::dial::{Answering, Dialler, Silence};
use self::dues::Ledger;
use self::hub::{Ask, Commits, Ears, Hub};
use self::line::Surroundings;
use self::progress::Published;
use self::serve::Answers;
use self::tls::Identity;
use super::engine::Engine;
use super::face::{Peer, Peers, PeersError, Progress};
use super::limits::FACTS_QUEUE;
use super::table::{Saved, Table};
use super::{NodeKey, PeerAddress};
use crate::store::{Clock, Store, StoreError};

/// Questions waiting for the driver.
const ASKS_QUEUE: usize = 256;
/// How long whoever asks waits for the driver.
const ANSWER_WAIT: Duration = Duration::from_secs(5);
/// How long peers are given to hear that this node stops.
const FAREWELL: Duration = Duration::from_millis(500);

/// Replication could not be started.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// The node's key is not usable.
    #[error("the node's key is not usable: {0}")]
    Key(String),
    /// The port.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A peer in the configuration.
    #[error(transparent)]
    Peer(#[from] PeersError),
}

/// What the driver does not do itself.
pub struct Duties {
    /// Called when this node has come to agree with its network for the first time.
    pub synchronised: Box<dyn Fn() + Send>,
    /// Writes the table of peers down.
    pub save: Box<dyn Fn(Saved) -> Result<(), String> + Send>,
}

/// What replication stands on.
pub struct Setup {
    /// Where peers are awaited.
    pub listen: SocketAddr,
    /// The node's key, PKCS#8 PEM.
    pub key: zeroize::Zeroizing<String>,
    /// The records.
    pub store: Store,
    /// The clock by which records are dated.
    pub clock: Clock,
    /// The operator's peers.
    pub peers: Vec<PeerAddress>,
    /// What an earlier run wrote down.
    pub saved: Saved,
    /// Whether this node was once in agreement with its network, or need not be.
    pub synchronised: bool,
    /// What is done elsewhere.
    pub duties: Duties,
}

/// Replication at work.
pub struct Service {
    endpoint: Endpoint,
    address: SocketAddr,
    key: NodeKey,
    asks: mpsc::Sender<Ask>,
    progress: Arc<Published>,
    stop: watch::Sender<bool>,
    driver: parking_lot::Mutex<Option<JoinHandle<()>>>,
}

impl Service {
    /// Binds the port and begins. Must be called within a tokio runtime of several threads.
    pub fn start(setup: Setup) -> Result<Service, NetError> {
        let Setup { listen, key, store, clock, peers, saved, synchronised, duties } = setup;
        let identity = Identity::new(&key)?;
        let endpoint = bind(listen, &identity)?;
        let address = endpoint.local_addr()?;
        let runtime = Handle::current();
        let now = clock();

        let mut seed = [0; 8];
        getrandom::fill(&mut seed).map_err(io::Error::other)?;
        let seed = u64::from_be_bytes(seed);
        let mut table = Table::new(identity.key, seed);
        table.restore(saved, now);
        table.configure(&peers, now)?;
        table.set_rules(&PeerAddress::list(&store.rules().seed_peers), now);
        let engine = Engine::new(identity.key, table, seed.rotate_left(17), synchronised, now);

        let ranges = store.ranges()?;
        let (asks, asked) = mpsc::channel(ASKS_QUEUE);
        let (facts, heard) = mpsc::channel(FACTS_QUEUE);
        let (news, events) = mpsc::unbounded_channel();
        let (stop, stopped) = watch::channel(false);
        let commits = Arc::new(Commits::default());
        let silence = Arc::new(Silence::default());
        subscribe(&store, &commits, &news);

        let answers = Arc::new(Answers::new(store.clone(), ranges.clone(), Arc::clone(&clock)));
        let around =
            Surroundings { facts: facts.clone(), news, answers, ledger: Arc::new(Ledger::default()) };
        let dialler = Arc::new(Dialler {
            endpoint: endpoint.clone(),
            client: identity.client,
            network: store.network(),
        });
        let port = address.port();
        let (hello, greeting) = watch::channel(engine.hello(now, port));
        let answering = Answering {
            dialler: Arc::clone(&dialler),
            hello: greeting,
            clock,
            port,
            asks: asks.clone(),
            facts,
            silence: Arc::clone(&silence),
        };
        runtime.spawn(dial::answer_all(Arc::new(answering)));
        let progress = Arc::new(Published::new(engine.progress(now)));
        let hub = Hub {
            engine,
            store,
            ranges,
            around,
            asks: asks.clone(),
            dialler,
            commits,
            silence,
            duties,
            runtime,
            port,
            lines: HashMap::new(),
            next_link: 1,
            save_due: None,
            progress: Arc::clone(&progress),
            unpublished: None,
            told: (0, synchronised),
            hello,
            begun: (Instant::now(), now),
        };
        let ears = Ears { asks: asked, facts: heard, news: events, stop: stopped };
        let driver = drive(hub, ears)?;
        let driver = parking_lot::Mutex::new(Some(driver));
        Ok(Service { endpoint, address, key: identity.key, asks, progress, stop, driver })
    }

    /// The address in use.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The node's key.
    pub fn key(&self) -> NodeKey {
        self.key
    }

    /// Says farewell to the peers and ends.
    pub async fn stop(&self) {
        self.stop.send_replace(true);
        let driver = self.driver.lock().take();
        if let Some(driver) = driver {
            // A driver that panicked has been reported by its own panic.
            let _ = tokio::task::spawn_blocking(move || driver.join()).await;
        }
        self.endpoint.close(VarInt::from_u32(1), b"this node stops");
        // Whoever does not hear it finds out by itself.
        let _ = tokio::time::timeout(FAREWELL, self.endpoint.wait_idle()).await;
    }

    fn ask<T>(&self, ask: impl FnOnce(Sender<T>) -> Ask) -> Result<T, PeersError> {
        let (answer, answered) = std::sync::mpsc::channel();
        self.asks.try_send(ask(answer)).map_err(|_| PeersError::Busy)?;
        answered.recv_timeout(ANSWER_WAIT).map_err(|_| PeersError::Busy)
    }
}

impl Peers for Service {
    fn progress(&self) -> Progress {
        self.progress.now()
    }

    fn peers(&self) -> Result<Vec<Peer>, PeersError> {
        self.ask(Ask::Peers)
    }

    fn add(&self, address: PeerAddress) -> Result<(), PeersError> {
        self.ask(|to| Ask::Add(address, to))?
    }

    fn remove(&self, who: &str) -> Result<(), PeersError> {
        self.ask(|to| Ask::Remove(who.to_owned(), to))?
    }
}

/// The engine's thread: it reads the store, so it must not be one of the runtime's workers.
fn drive(hub: Hub, ears: Ears) -> Result<JoinHandle<()>, NetError> {
    let clockwork = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let run = move || clockwork.block_on(hub.run(ears));
    Ok(std::thread::Builder::new().name("lfdns-sync".into()).spawn(run)?)
}

fn subscribe(store: &Store, commits: &Arc<Commits>, news: &mpsc::UnboundedSender<intake::News>) {
    let (commits, news) = (Arc::clone(commits), news.clone());
    store.subscribe(Arc::new(move |commit| commits.hear(commit, &news)));
}

/// Everywhere means both families; a machine without IPv6 has only the other.
fn bind(listen: SocketAddr, identity: &Identity) -> Result<Endpoint, NetError> {
    let socket = match socket(listen) {
        Err(_) if listen.ip() == Ipv6Addr::UNSPECIFIED => {
            socket(SocketAddr::from(([0, 0, 0, 0], listen.port())))?
        }
        other => other?,
    };
    let runtime = Arc::new(TokioRuntime);
    Ok(Endpoint::new(EndpointConfig::default(), Some(identity.server.clone()), socket, runtime)?)
}

fn socket(listen: SocketAddr) -> io::Result<std::net::UdpSocket> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::for_address(listen), Type::DGRAM, Some(Protocol::UDP))?;
    if listen.is_ipv6() {
        socket.set_only_v6(listen.ip() != Ipv6Addr::UNSPECIFIED)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&listen.into())?;
    Ok(socket.into())
}
