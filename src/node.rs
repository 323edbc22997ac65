//! The assembly of a node: the store first (and with it the lock on the home), then the sockets, then what an
//! empty home is given to begin with. Ready is when all of that is done; a clean stop undoes it in reverse.

mod explain;
pub mod first;
pub mod home;
mod localzones;
pub mod owners;
pub mod peers;
pub mod publish;
pub mod zones;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::first::FirstError;
use self::home::Running;
use self::owners::{Owners, OwnersError};
use self::publish::PublishError;
use self::zones::ZonesError;
use crate::api::{self, Facts, Parts, ServeError, Token, TokenError};
use crate::config::{Config, ConfigError};
use crate::dns::resolver::{Resolver, Settings};
use crate::dns::server::{BindError, DnsServer};
use crate::metrics::Metrics;
use crate::record::{Millis, Rules, ZoneRule};
use crate::store::{Clock, Row, Store, StoreError};
use crate::sync::face::{Peers, Progress};
use crate::sync::net::{Duties, NetError, Service, Setup};
use crate::sync::table::Saved;

/// How often records that came too early are looked at again.
const TICK: Duration = Duration::from_secs(1);
/// The name of the network that an empty home is given.
const PRIVATE: &str = "private";
/// What a node waits for that has joined and was never in agreement with its network.
const FIRST_AGREEMENT: &str = "the first synchronisation with a peer";
/// What a node waits for while it publishes its first zones.
const FIRST_ZONES: &str = "the zones of the first start to be published";

/// What a node is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it lives.
    pub home: PathBuf,
    /// What is set.
    pub config: Config,
}

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The first start.
    #[error(transparent)]
    First(#[from] FirstError),
    /// The zone files.
    #[error(transparent)]
    Zones(#[from] ZonesError),
    /// The node's key, or an owner's.
    #[error(transparent)]
    Owners(#[from] OwnersError),
    /// The token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// DNS.
    #[error("DNS: {0}")]
    Dns(#[from] BindError),
    /// HTTP.
    #[error(transparent)]
    Http(#[from] ServeError),
    /// Peers.
    #[error("peers: cannot listen on {address}: {source}{}", hint(.source))]
    Quic {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: NetError,
    },
    /// The zones of the first start.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// A file in the home.
    #[error("{}: {source}", .path.display())]
    Io {
        /// What was touched.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

fn hint(error: &NetError) -> &'static str {
    match error {
        NetError::Io(error) if error.kind() == io::ErrorKind::AddrInUse => {
            "; another node? choose another with --quic ADDR (port 0: any free one)"
        }
        _ => "",
    }
}

/// A running node.
pub struct Node {
    home: PathBuf,
    running: Running,
    resolver: Arc<Resolver>,
    dns: DnsServer,
    peers: Arc<Service>,
    config: Arc<ArcSwap<Config>>,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

/// The system's clock.
pub fn clock() -> Clock {
    Arc::new(now)
}

/// Now, by the system's clock.
pub fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

impl Node {
    /// Starts a node; when this returns it is ready. Blocks while it opens the store, so it is to be driven
    /// by the thread that owns the runtime, not by one of its workers.
    pub async fn start(options: Options) -> Result<Node, NodeError> {
        let Options { home, config } = options;
        let founding = !Store::exists(&home)?;
        let store = open_or_found(&home, &config)?;
        let amended = localzones::amendments(&store);
        let local = local_zones(&home, &config, &store.rules())?;
        let founded = store.snapshot()?.record(Row(1))?.header.time;
        let saved = saved_peers(&home)?;
        let joining = is_joining(&home, &config, &store, &saved);
        // Before a socket is bound: a node that joins denies nothing, from its first answer on.
        let settings = Settings { joining, ..Settings::default() };
        let resolver = Resolver::new(store.clone(), local, settings, founded);
        let metrics = Arc::new(Metrics::default());

        let dns = DnsServer::bind(&config.dns, Arc::clone(&resolver), clock(), metrics, &Handle::current())?;
        let pending = first::pending(&home).map(|_| FIRST_ZONES);
        let waiting_for = pending.into_iter().chain(joining.then_some(FIRST_AGREEMENT));
        let facts = Arc::new(ArcSwap::from_pointee(Facts {
            dns: dns.local_addrs().to_vec(),
            waiting_for: waiting_for.map(str::to_owned).collect(),
            disk_min_free: config.store.min_free,
            ..Facts::default()
        }));
        let duties = duties(&home, &resolver, &facts);
        let peers = Arc::new(replicate(&home, &config, &store, saved, joining, duties)?);
        note(&facts, |facts| facts.quic = vec![peers.address()]);
        let parts = parts(&home, &store, &resolver, &facts, Arc::clone(&peers))?;
        let server = api::Server::bind(&config.api, parts).await?;
        let running = Running {
            dns: dns.local_addrs().to_vec(),
            http: server.local_addr(),
            quic: peers.address(),
            pid: std::process::id(),
        };
        note(&facts, |facts| facts.http = vec![running.http]);

        let stop = watch::Sender::new(false);
        let config = Arc::new(ArcSwap::from_pointee(config));
        let tasks = vec![
            tokio::spawn(localzones::follow(
                amended,
                home.clone(),
                Arc::clone(&config),
                Arc::clone(&resolver),
                stop.subscribe(),
            )),
            tokio::spawn(serve_http(server, stop.subscribe())),
            tokio::spawn(tick(store.clone(), stop.subscribe())),
        ];
        let node = Node { home, running, resolver, dns, peers, config, stop, tasks };
        match node.publish_first_zones(&store).await {
            // Who has just begun is there to mend it; a network that lives is not kept down by a file.
            Err(NodeError::Publish(error)) if !founding => {
                tracing::warn!(
                    "zones of the first start are not published, again at the next start: {error}"
                );
            }
            other => other?,
        }
        note(&facts, |facts| facts.waiting_for.retain(|what| what != FIRST_ZONES));
        let failed = |source| NodeError::Io { path: node.home.clone(), source };
        node.running.write(&node.home).map_err(failed)?;
        Ok(node)
    }

    /// Where it listens.
    pub fn running(&self) -> &Running {
        &self.running
    }

    /// How far replication is.
    pub fn progress(&self) -> Progress {
        self.peers.progress()
    }

    /// Replication, for whoever watches it beside the node.
    pub fn peers(&self) -> Arc<dyn Peers> {
        Arc::clone(&self.peers) as Arc<dyn Peers>
    }

    /// The zones it answers for, longest suffix first.
    pub fn suffixes(&self) -> Vec<String> {
        self.resolver.zones().iter().map(|zone| zone.suffix.to_string()).collect()
    }

    /// Takes a new configuration: zones at once. Returns the keys that only take effect at the next start.
    pub fn reload(&self, config: Config) -> Result<Vec<String>, NodeError> {
        let local = local_zones(&self.home, &config, &self.resolver.store().rules())?;
        self.resolver.set_local_zones(local);
        let before = self.config.load().keys();
        let waiting = config.keys().into_iter().filter(|(key, value)| {
            let same = before.iter().any(|(known, was)| known == key && was == value);
            !same && key != "zones" && !key.starts_with("client.")
        });
        let waiting = waiting.map(|(key, _)| key).collect();
        self.config.store(Arc::new(config));
        Ok(waiting)
    }

    /// Stops: no new questions, then the requests under way, then the store.
    pub async fn stop(self) {
        Running::remove(&self.home);
        self.stop.send_replace(true);
        self.dns.shutdown();
        self.peers.stop().await;
        for task in self.tasks {
            // A task that panicked has been reported by its own panic.
            let _ = task.await;
        }
    }

    async fn publish_first_zones(&self, store: &Store) -> Result<(), NodeError> {
        let Some(dir) = first::pending(&self.home) else { return Ok(()) };
        let (home, store, resolver) = (self.home.clone(), store.clone(), Arc::clone(&self.resolver));
        let publish = move || publish::first_zones(&home, &dir, &store, &resolver);
        tokio::task::spawn_blocking(publish).await.expect("publishing does not panic")?;
        first::published(&self.home).map_err(|source| NodeError::Io { path: self.home.clone(), source })
    }
}

/// Opens the home's store; an empty home gets a network of its own first.
fn open_or_found(home: &Path, config: &Config) -> Result<Store, NodeError> {
    if Store::exists(home)? {
        return Ok(Store::open(home, &config.store, clock())?);
    }
    let dir = zones::directory(&config.zones, home);
    let failed = |source| NodeError::Io { path: home.to_owned(), source };
    let rules = first::private_rules(PRIVATE).map_err(failed)?;
    let genesis = first::found_network(home, rules, dir.as_deref(), now())?;
    let store = Store::create(home, &genesis, &config.store, clock())?;
    tracing::info!("made a private network in {}, its owner is 'default'", home.display());
    Ok(store)
}

/// This node's own zones: those of its files that the network's rules do not already have.
fn local_zones(home: &Path, config: &Config, rules: &Rules) -> Result<Vec<ZoneRule>, NodeError> {
    let Some(dir) = zones::directory(&config.zones, home) else { return Ok(vec![]) };
    let owners = Owners::of(home);
    let mut files = if zones::is_implied(&config.zones, &dir) {
        zones::load_known(&dir, &zones::canonical(rules), &owners)?
    } else {
        zones::load(&dir, &zones::canonical(rules), &owners)?
    };
    if zones::is_implied(&config.zones, &dir) {
        // Whatever lies in the directory the node was started in adds zones; it overrides none of the network's.
        files.retain(|file| !rules.zones.iter().any(|zone| zone.suffix == file.rule.suffix));
    }
    for file in &files {
        if let Some(warning) = file.file.warning() {
            tracing::warn!("{}: {warning}", file.path.display());
        }
    }
    Ok(files.into_iter().map(|file| file.rule).filter(|rule| !rules.zones.contains(rule)).collect())
}

fn saved_peers(home: &Path) -> Result<Saved, NodeError> {
    peers::load(home).map_err(|source| NodeError::Io { path: home.join(peers::PEERS_JSON), source })
}

/// Whether this node was never in agreement with its network, and has somebody to agree with.
fn is_joining(home: &Path, config: &Config, store: &Store, saved: &Saved) -> bool {
    let nobody =
        saved.peers.is_empty() && config.sync.peers.is_empty() && store.rules().seed_peers.is_empty();
    !nobody && peers::is_joining(home)
}

/// Begins to replicate.
fn replicate(
    home: &Path,
    config: &Config,
    store: &Store,
    saved: Saved,
    joining: bool,
    duties: Duties,
) -> Result<Service, NodeError> {
    let address = config.sync.listen;
    let setup = Setup {
        listen: address,
        key: home::node_key(home)?,
        store: store.clone(),
        clock: clock(),
        peers: config.sync.peers.clone(),
        saved,
        synchronised: !joining,
        duties,
    };
    Service::start(setup).map_err(|source| NodeError::Quic { address, source })
}

fn duties(home: &Path, resolver: &Arc<Resolver>, facts: &Arc<ArcSwap<Facts>>) -> Duties {
    let (resolver, facts) = (Arc::clone(resolver), Arc::clone(facts));
    let (joined, saving) = (home.to_owned(), home.to_owned());
    Duties {
        synchronised: Box::new(move || {
            if let Err(error) = peers::set_joining(&joined, false) {
                tracing::warn!(%error, "the first synchronisation could not be noted; it is repeated at the next start");
            }
            resolver.set_ready();
            note(&facts, |facts| facts.waiting_for.retain(|what| what != FIRST_AGREEMENT));
        }),
        save: Box::new(move |saved| peers::save(&saving, &saved).map_err(|error| error.to_string())),
    }
}

fn parts(
    home: &Path,
    store: &Store,
    resolver: &Arc<Resolver>,
    facts: &Arc<ArcSwap<Facts>>,
    peers: Arc<Service>,
) -> Result<Parts, NodeError> {
    let facts = Arc::clone(facts);
    Ok(Parts {
        store: store.clone(),
        clock: clock(),
        explain: Arc::new(explain::Explainer::new(Arc::clone(resolver))),
        facts: Arc::new(move || Facts::clone(&facts.load())),
        peers,
        token: Token::load_or_make(home)?,
    })
}

fn note(facts: &ArcSwap<Facts>, change: impl Fn(&mut Facts)) {
    facts.rcu(|facts| {
        let mut next = Facts::clone(facts);
        change(&mut next);
        next
    });
}

async fn serve_http(server: api::Server, mut stop: watch::Receiver<bool>) {
    let stopped = async move {
        // An error means that the node is gone, which is a stop too.
        let _ = stop.wait_for(|stop| *stop).await;
    };
    server.run(stopped).await;
}

async fn tick(store: Store, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(TICK) => store.tick(),
        }
    }
}
