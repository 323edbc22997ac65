//! The HTTP server: accepts connections, bounds them, and serves each on hyper with a deadline for request
//! heads. What a request means is in [`super::handlers`].

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::access::{Access, Ends};
use super::handlers::{self, Shared};
use super::{Config, Explain, Token};
use crate::store::{Clock, Store};
use crate::sync::face::Peers;

/// Connections at one time; one more waits to be accepted.
const CONNECTIONS_MAX: usize = 256;
/// A connection that has not sent a whole request head by then is closed; idle ones too.
const HEAD_DEADLINE: Duration = Duration::from_secs(30);
/// Bytes of a request head.
const HEAD_MAX: usize = 16 << 10;
/// Requests that may work in the store at one time. DNS reads there too and shall not wait for them.
const STORE_CALLS_MAX: usize = 8;
/// Batches being posted at one time.
const BULK_POSTS_MAX: usize = 4;
/// Zones being listed at one time.
const LISTINGS_MAX: usize = 4;
/// Dumps being sent at one time.
const DUMPS_MAX: usize = 2;
/// How long requests may take to end when the server stops.
const GRACE: Duration = Duration::from_secs(5);
/// Pause after the system refused to accept, such as when file descriptors ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the server stands on. The node assembles it.
#[derive(Clone)]
pub struct Parts {
    /// The records.
    pub store: Store,
    /// The clock for links.
    pub clock: Clock,
    /// Explains answers, lists zones.
    pub explain: Arc<dyn Explain>,
    /// What else the node knows of itself; asked for each `/status` and `/readyz`.
    pub facts: Arc<dyn Fn() -> Facts + Send + Sync>,
    /// Replication.
    pub peers: Arc<dyn Peers>,
    /// Who may write.
    pub token: Token,
}

/// What a node knows of itself beside its records.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Where DNS is answered.
    pub dns: Vec<SocketAddr>,
    /// Where this API is.
    pub http: Vec<SocketAddr>,
    /// Where peers connect.
    pub quic: Vec<SocketAddr>,
    /// What is missing before DNS is answered; nothing: ready.
    pub waiting_for: Vec<String>,
    /// Bytes that must stay free on the disk.
    pub disk_min_free: u64,
}

/// The API cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Its address cannot be had.
    #[error("the API cannot listen on {addr}: {source}{}", hint(.source))]
    Listen {
        /// Which.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "; another node? choose another with --http ADDR (port 0: any free one)",
        io::ErrorKind::PermissionDenied => "; ports below 1024 need a privilege",
        _ => "",
    }
}

/// The API, listening.
pub struct Server {
    listener: TcpListener,
    local: SocketAddr,
    router: Router,
}

impl Server {
    /// Binds the address and assembles the routes; nothing is served before [`Server::run`].
    pub async fn bind(config: &Config, parts: Parts) -> Result<Server, ServeError> {
        let listen = |source| ServeError::Listen { addr: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(listen)?;
        let local = listener.local_addr().map_err(listen)?;
        let shared = Arc::new(Shared {
            access: Access::new(config, parts.token.clone()),
            parts,
            started: Instant::now(),
            store_calls: Arc::new(Semaphore::new(STORE_CALLS_MAX)),
            bulk_posts: Semaphore::new(BULK_POSTS_MAX),
            listings: Semaphore::new(LISTINGS_MAX),
            dumps: Semaphore::new(DUMPS_MAX),
        });
        Ok(Server { listener, local, router: handlers::router(shared) })
    }

    /// The address in use.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Serves until `stop` is done, then lets requests end for a moment.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) {
        let (ending, ended) = watch::channel(false);
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let mut connections = JoinSet::new();
        let mut stop = std::pin::pin!(stop);
        loop {
            let place = Arc::clone(&places).acquire_owned();
            let accept = async {
                let place = place.await.expect("the semaphore is never closed");
                (self.listener.accept().await, place)
            };
            tokio::select! {
                () = &mut stop => break,
                (accepted, place) = accept => match accepted {
                    Ok((stream, peer)) => {
                        let connection = serve(stream, peer, self.router.clone(), ended.clone());
                        connections.spawn(async move {
                            connection.await;
                            drop(place);
                        });
                    }
                    Err(error) => {
                        tracing::debug!("the API could not accept a connection: {error}");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                // Only to forget connections that have ended.
                Some(_) = connections.join_next() => {}
            }
        }
        drop(self.listener);
        ending.send_replace(true);
        let all = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, all).await.is_err() {
            connections.abort_all();
        }
    }
}

/// Serves one connection to its end.
async fn serve(stream: TcpStream, peer: SocketAddr, router: Router, mut ended: watch::Receiver<bool>) {
    let Ok(local) = stream.local_addr() else { return };
    // Answers are small and whole: waiting to fill a segment only delays them.
    let _ = stream.set_nodelay(true);
    let ends = Ends { peer, local };
    let routes = TowerToHyperService::new(router);
    let service = hyper::service::service_fn(move |mut request: hyper::Request<_>| {
        request.extensions_mut().insert(ends);
        routes.call(request)
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_DEADLINE).max_buf_size(HEAD_MAX);
    let mut connection = std::pin::pin!(http.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        result = connection.as_mut() => return log_end(peer, result),
        _ = ended.wait_for(|ended| *ended) => {}
    }
    connection.as_mut().graceful_shutdown();
    log_end(peer, connection.await);
}

/// A client that goes away is no event.
fn log_end(peer: SocketAddr, result: Result<(), hyper::Error>) {
    if let Err(error) = result {
        tracing::debug!("API connection from {peer}: {error}");
    }
}
