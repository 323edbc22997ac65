//! The DNS server as a whole: binds its addresses for UDP and TCP, starts threads and tasks, and stops them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tracing::warn;

use super::config::Config;
use super::front::Front;
use super::handler::{Clock, Responder};
use super::pool::{Pool, Queue};
use super::reply::Answer;
use super::tcp;
use super::udp;
use crate::metrics::Metrics;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 128;
/// Ports tried where the system may choose: one free for TCP may be taken for UDP.
const FREE_PORT_TRIES: usize = 32;
/// Workers at least, so that one slow answer does not hold up all others.
const WORKERS_MIN: usize = 2;

/// How long stopping waits for the runtime to close the TCP listeners. It is only exceeded where the runtime itself
/// is what waits.
const STOP_PATIENCE: Duration = Duration::from_secs(1);

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The port is in use.
    #[error(
        "{0} is taken by another process (`ss -lnp` shows which); stop it, or choose another address with --dns ADDR"
    )]
    Taken(SocketAddr),
    /// A port below 1024 without the privilege to have it.
    #[error(
        "no permission to listen on {0}: ports below 1024 need root or CAP_NET_BIND_SERVICE; choose another with --dns ADDR"
    )]
    NotPermitted(SocketAddr),
    /// An address this machine does not have.
    #[error("{0} is no address of this machine; choose another with --dns ADDR")]
    NotLocal(SocketAddr),
    /// Nothing to listen on.
    #[error("there is no address to answer DNS on; give one with --dns ADDR")]
    NoAddress,
    /// What else the system says.
    #[error("cannot listen on {address}: {source}")]
    Other {
        /// Where.
        address: SocketAddr,
        /// What it said.
        source: io::Error,
    },
    /// No thread to be had.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
}

/// A running server. Dropped, it stops.
pub struct DnsServer {
    addresses: Vec<SocketAddr>,
    stop_threads: Arc<AtomicBool>,
    stop_tasks: watch::Sender<bool>,
    /// Every listener's task holds one end, so when the last is gone all are closed.
    listening: Option<mpsc::Sender<()>>,
    closed: mpsc::Receiver<()>,
    threads: Vec<JoinHandle<()>>,
    pool: Option<Pool>,
}

/// The sockets of one address.
struct Bound {
    address: SocketAddr,
    listener: std::net::TcpListener,
    shards: Vec<udp::Shard>,
}

impl DnsServer {
    /// Binds every address and begins to answer. TCP runs on `runtime`, UDP on threads of its own.
    pub fn bind<A: Answer>(
        config: &Config,
        answer: Arc<A>,
        clock: Clock,
        metrics: Arc<Metrics>,
        runtime: &Handle,
    ) -> Result<DnsServer, BindError> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let or_cores = |count: usize| if count == 0 { cores } else { count };
        let bound = bind_all(config, or_cores(config.udp_threads))?;

        let responder = Arc::new(Responder::new(answer, config, clock, metrics));
        let queue = Arc::new(Queue::default());
        let front = Front::new(responder, config, Arc::clone(&queue));
        let worker = Arc::clone(&front);
        let workers = or_cores(config.workers).max(WORKERS_MIN);
        let pool = Pool::start(workers, &queue, move || worker.work()).map_err(BindError::Thread)?;
        let (listening, closed) = mpsc::channel();
        let mut server = DnsServer {
            addresses: bound.iter().map(|bound| bound.address).collect(),
            stop_threads: Arc::default(),
            stop_tasks: watch::Sender::new(false),
            listening: Some(listening),
            closed,
            threads: Vec::new(),
            pool: Some(pool),
        };
        for bound in bound {
            server.start(bound, &front, config, runtime)?;
        }
        Ok(server)
    }

    /// The addresses it answers on, over UDP and TCP, with the ports in use.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Stops answering, waits for what is being answered, and closes the sockets. Blocks for at most a moment.
    pub fn shutdown(mut self) {
        self.stop();
    }

    fn start<A: Answer>(
        &mut self,
        bound: Bound,
        front: &Arc<Front<A>>,
        config: &Config,
        runtime: &Handle,
    ) -> Result<(), BindError> {
        let failed = |source| BindError::Other { address: bound.address, source };
        let listener = {
            let _inside = runtime.enter();
            tokio::net::TcpListener::from_std(bound.listener).map_err(failed)?
        };
        let stop = self.stop_tasks.subscribe();
        let (front_of_task, limits, listening) =
            (Arc::clone(front), config.tcp.clone(), self.listening.clone());
        runtime.spawn(async move {
            tcp::serve(listener, front_of_task, limits, stop).await;
            drop(listening);
        });
        for shard in bound.shards {
            let (shard, front, stop) = (Arc::new(shard), Arc::clone(front), Arc::clone(&self.stop_threads));
            let builder = std::thread::Builder::new().name(format!("dns-udp-{}", self.threads.len()));
            let thread = builder.spawn(move || shard.serve(&front, &stop)).map_err(BindError::Thread)?;
            self.threads.push(thread);
        }
        Ok(())
    }

    fn stop(&mut self) {
        self.stop_threads.store(true, Ordering::Relaxed);
        self.stop_tasks.send_replace(true);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                warn!("a thread of the DNS server had panicked");
            }
        }
        self.listening = None;
        let _ = self.closed.recv_timeout(STOP_PATIENCE);
        self.pool = None;
    }
}

impl Drop for DnsServer {
    fn drop(&mut self) {
        self.stop();
    }
}

fn bind_all(config: &Config, shards: usize) -> Result<Vec<Bound>, BindError> {
    let mut all = Vec::with_capacity(config.listen.len());
    for &address in &config.listen {
        match bind_one(address, shards) {
            Ok(bound) => all.push(bound),
            // Nobody asked for it: a machine without IPv6 is well all the same.
            Err(error @ (BindError::NotLocal(_) | BindError::Other { .. }))
                if address.is_ipv6() && config.listen == Config::default_listen() =>
            {
                warn!("{error}; going on without it");
            }
            Err(error) => return Err(error),
        }
    }
    if all.is_empty() { Err(BindError::NoAddress) } else { Ok(all) }
}

/// Binds UDP and TCP to one port of one address.
fn bind_one(address: SocketAddr, shards: usize) -> Result<Bound, BindError> {
    let mut tries = if address.port() == 0 { FREE_PORT_TRIES } else { 1 };
    loop {
        tries -= 1;
        let bound = bind_tcp(address).and_then(|listener| {
            let address = listener.local_addr()?;
            let shards = udp::Shard::bind(address, shards)?;
            Ok(Bound { address, listener, shards })
        });
        match bound {
            Ok(bound) => return Ok(bound),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries > 0 => {}
            Err(error) => return Err(explain(address, error)),
        }
    }
}

fn bind_tcp(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // So that a restart need not wait for old connections; two listeners it does not allow.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn explain(address: SocketAddr, source: io::Error) -> BindError {
    match source.kind() {
        io::ErrorKind::AddrInUse => BindError::Taken(address),
        io::ErrorKind::PermissionDenied => BindError::NotPermitted(address),
        io::ErrorKind::AddrNotAvailable => BindError::NotLocal(address),
        _ => BindError::Other { address, source },
    }
}
