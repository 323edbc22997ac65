//! DNS over TCP (RFC 7766): a query may follow before the one before is answered, answers leave in the order they are
//! ready, silent connections are closed, and every connection, client and listener has limits.
//!
//! A connection is two tasks: one reads queries, one writes answers. Each query holds a permit from the moment its
//! length is read until its answer is written, so a client that does not read stops being read from, and what waits
//! for it is bounded.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::timeout;
use tracing::debug;

use super::config;
use super::front::{Arrival, Front};
use super::reply::Answer;
use super::wire::{self, Via};

/// How long to wait where the system has no more descriptors: the connections open must end first.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Limits of the connections at one listener.
#[derive(Clone, Copy, Debug)]
struct Limits {
    idle: Duration,
    connections: usize,
    per_client: usize,
    outstanding: usize,
}

impl From<&config::Tcp> for Limits {
    fn from(tcp: &config::Tcp) -> Limits {
        Limits {
            idle: Duration::from_secs(tcp.idle_seconds.max(1)),
            connections: tcp.connections,
            per_client: tcp.connections_per_client,
            outstanding: tcp.outstanding.max(1),
        }
    }
}

/// Connections open, by client.
#[derive(Default)]
struct Open {
    all: usize,
    clients: HashMap<IpAddr, usize>,
}

/// A place among the open connections; given back when dropped.
struct Place {
    open: Arc<Mutex<Open>>,
    client: IpAddr,
}

impl Place {
    fn take(open: &Arc<Mutex<Open>>, client: IpAddr, limits: Limits) -> Option<Place> {
        let mut counts = open.lock();
        let mine = counts.clients.get(&client).copied().unwrap_or(0);
        if counts.all >= limits.connections || mine >= limits.per_client {
            return None;
        }
        counts.all += 1;
        counts.clients.insert(client, mine + 1);
        Some(Place { open: Arc::clone(open), client })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.open.lock();
        counts.all -= 1;
        if let Some(mine) = counts.clients.get_mut(&self.client) {
            *mine -= 1;
            if *mine == 0 {
                counts.clients.remove(&self.client);
            }
        }
    }
}

/// Accepts connections until told to stop, which ends those still open too.
pub(crate) async fn serve<A: Answer>(
    listener: TcpListener,
    front: Arc<Front<A>>,
    limits: config::Tcp,
    mut stop: watch::Receiver<bool>,
) {
    let limits = Limits::from(&limits);
    let open = Arc::default();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.changed() => return,
        };
        let (stream, from) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                debug!("no TCP connection accepted: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let dns = &front.metrics().dns;
        dns.tcp_accepted.raise();
        let Some(place) = Place::take(&open, from.ip(), limits) else {
            dns.tcp_refused.raise();
            continue;
        };
        let (front, mut stop) = (Arc::clone(&front), stop.clone());
        tokio::spawn(async move {
            let _place = place;
            let _counted = front.metrics().dns.tcp_open.enter();
            tokio::select! {
                ended = converse(stream, from, &front, limits) => {
                    if let Err(error) = ended {
                        debug!("the TCP connection of {from} ended: {error}");
                    }
                }
                _ = stop.changed() => {}
            }
        });
    }
}

/// An answer on its way to the writer, and the permit its question held.
type Written = (Vec<u8>, OwnedSemaphorePermit);

/// One connection, until the client closes it, is silent for too long or does not read.
async fn converse<A: Answer>(
    stream: TcpStream,
    from: SocketAddr,
    front: &Arc<Front<A>>,
    limits: Limits,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let local = stream.local_addr()?.ip();
    let (mut reader, writer) = stream.into_split();
    // Each answer holds a permit, so there is always room for it here.
    let (answers, queue) = mpsc::channel(limits.outstanding);
    let read = async {
        let outcome = read_queries(&mut reader, front, limits, (from, local), &answers).await;
        // What is still being answered holds clones; when they are gone the writer ends.
        drop(answers);
        outcome
    };
    let (read, written) = tokio::join!(read, write_answers(writer, queue, limits.idle));
    written.and(read)
}

async fn read_queries<A: Answer>(
    reader: &mut OwnedReadHalf,
    front: &Arc<Front<A>>,
    limits: Limits,
    (from, local): (SocketAddr, IpAddr),
    answers: &mpsc::Sender<Written>,
) -> io::Result<()> {
    let permits = Arc::new(Semaphore::new(limits.outstanding));
    let (mut packet, mut key) = (Vec::new(), Vec::new());
    loop {
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return Ok(()) };
        if answers.is_closed() {
            // The writer gave up.
            return Ok(());
        }
        match timeout(limits.idle, read_query(reader, &mut packet)).await {
            Ok(Ok(true)) => {}
            // RFC 7766 §6.2.3: silence ends it, and so does a client that closed its side.
            Ok(Ok(false)) | Err(_) => return Ok(()),
            Ok(Err(error)) => return Err(error),
        }
        let dns = &front.metrics().dns;
        dns.tcp_queries.raise();
        if !wire::is_query(&packet) {
            dns.ignored.raise();
            // Somebody who speaks no DNS, or an answer; there is nothing to say, and no reason to go on listening.
            return Ok(());
        }
        let mut answer = Vec::new();
        if front.hit(&packet, Via::Tcp, front.now(), &mut key, &mut answer) {
            dns.cache_hits.raise();
            dns.add_rcode(wire::header_rcode(&answer), 1);
            let _ = answers.try_send((answer, permit));
            continue;
        }
        dns.cache_misses.raise();
        let answers = answers.clone();
        let arrival = Arrival { packet: &packet, from, via: Via::Tcp, local: Some(local) };
        front.miss(
            &arrival,
            Box::new(move |answer| {
                let _ = answers.try_send((answer, permit));
            }),
        );
    }
}

/// Reads one query; false where the client has closed its side between two.
async fn read_query(reader: &mut OwnedReadHalf, packet: &mut Vec<u8>) -> io::Result<bool> {
    let mut len = [0; 2];
    if reader.read(&mut len[..1]).await? == 0 {
        return Ok(false);
    }
    reader.read_exact(&mut len[1..]).await?;
    packet.clear();
    // Room grows with what comes, not with what the length says.
    let wanted = u64::from(u16::from_be_bytes(len));
    let got = reader.take(wanted).read_to_end(packet).await?;
    if (got as u64) < wanted {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(true)
}

async fn write_answers(
    mut writer: OwnedWriteHalf,
    mut queue: mpsc::Receiver<Written>,
    patience: Duration,
) -> io::Result<()> {
    let mut frame = Vec::new();
    while let Some((answer, _permit)) = queue.recv().await {
        let Ok(len) = u16::try_from(answer.len()) else { continue };
        // RFC 7766 §8: length and message in one write.
        frame.clear();
        frame.extend_from_slice(&len.to_be_bytes());
        frame.extend_from_slice(&answer);
        timeout(patience, writer.write_all(&frame)).await.map_err(|_| io::ErrorKind::TimedOut)??;
    }
    writer.shutdown().await
}
