//! Calling and being called: names are resolved, handshakes bounded in number and time, and callers from addresses
//! that did wrong are not answered.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use quinn::{Endpoint, Incoming};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::hub::Ask;
use super::line::{self, HandshakeError, Met, gone};
use super::tls::{self, SERVER_NAME};
use crate::record::NetworkId;
use crate::store::Clock;
use crate::sync::PeerAddress;
use crate::sync::address::place;
use crate::sync::engine::Input;
use crate::sync::limits::{
    ADDRESSES_TRIED, HANDSHAKE, PENDING_FREE, PENDING_MAX, PENDING_PER_ADDRESS, PER_ADDRESS_MAX, RESOLVE,
    SILENCE_MAX, UNANSWERED,
};
use crate::sync::table::Offence;
use crate::sync::wire::Hello;

/// Dials and answers.
pub(super) struct Dialler {
    pub(super) endpoint: Endpoint,
    pub(super) client: quinn::ClientConfig,
    pub(super) network: NetworkId,
}

impl Dialler {
    /// Calls a peer at any of its addresses.
    pub(super) async fn dial(&self, address: &PeerAddress, hello: Hello) -> Result<Met, HandshakeError> {
        let found = timeout(RESOLVE, tokio::net::lookup_host((address.host.as_str(), address.port))).await;
        let found = found.map_err(|_| HandshakeError::Slow)?.map_err(gone)?;
        let mut last = HandshakeError::Connection("the name has no address".into());
        for remote in found.take(ADDRESSES_TRIED) {
            match self.call(remote, address, hello).await {
                Ok(met) => return Ok(met),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn call(
        &self,
        remote: SocketAddr,
        address: &PeerAddress,
        hello: Hello,
    ) -> Result<Met, HandshakeError> {
        let remote = self.reachable(remote)?;
        let connecting =
            self.endpoint.connect_with(self.client.clone(), remote, SERVER_NAME).map_err(gone)?;
        let connection =
            timeout(HANDSHAKE, connecting).await.map_err(|_| HandshakeError::Slow)?.map_err(gone)?;
        line::meet(connection, &self.network, hello, address.key).await
    }

    /// An address in the family of our socket.
    fn reachable(&self, remote: SocketAddr) -> Result<SocketAddr, HandshakeError> {
        let local = self.endpoint.local_addr().map_err(gone)?;
        match (local.ip(), remote.ip()) {
            (IpAddr::V6(any), IpAddr::V4(ip)) if any == Ipv6Addr::UNSPECIFIED => {
                Ok(SocketAddr::new(ip.to_ipv6_mapped().into(), remote.port()))
            }
            (IpAddr::V4(_), IpAddr::V4(_)) | (IpAddr::V6(_), IpAddr::V6(_)) => Ok(remote),
            _ => Err(HandshakeError::Connection(format!("this node listens on {local} only"))),
        }
    }
}

/// Addresses that are not answered for a while: what came from there did not know the network, several times.
#[derive(Default)]
pub(super) struct Silence(Mutex<HashMap<IpAddr, Instant>>);

impl Silence {
    /// Does not answer this one for [`UNANSWERED`].
    pub(super) fn keep(&self, ip: IpAddr, now: Instant) {
        let mut kept = self.0.lock();
        kept.retain(|_, until| *until > now);
        if kept.len() < SILENCE_MAX {
            kept.insert(place(ip), now + UNANSWERED);
        }
    }

    fn is_kept(&self, place: IpAddr, now: Instant) -> bool {
        self.0.lock().get(&place).is_some_and(|until| *until > now)
    }
}

/// Who calls, and how many of them: under way, and in all, for each place.
#[derive(Default)]
struct Callers {
    pending: usize,
    of: HashMap<IpAddr, (usize, usize)>,
}

/// A caller's place, given back when dropped.
struct Place {
    callers: Arc<Mutex<Callers>>,
    ip: IpAddr,
    pending: bool,
}

impl Place {
    /// The handshake is over; the connection goes on counting for its address.
    fn settle(&mut self) {
        if std::mem::take(&mut self.pending) {
            let mut callers = self.callers.lock();
            callers.pending -= 1;
            if let Some((pending, _)) = callers.of.get_mut(&self.ip) {
                *pending -= 1;
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.settle();
        let mut callers = self.callers.lock();
        if let Some((_, all)) = callers.of.get_mut(&self.ip) {
            *all -= 1;
            if *all == 0 {
                callers.of.remove(&self.ip);
            }
        }
    }
}

/// What the door needs to know.
pub(super) struct Answering {
    pub(super) dialler: Arc<Dialler>,
    pub(super) hello: watch::Receiver<Hello>,
    pub(super) clock: Clock,
    pub(super) port: u16,
    pub(super) asks: mpsc::Sender<Ask>,
    pub(super) facts: mpsc::Sender<Input>,
    pub(super) silence: Arc<Silence>,
}

/// Answers callers until the endpoint is closed.
pub(super) async fn answer_all(answering: Arc<Answering>) {
    let callers = Arc::new(Mutex::new(Callers::default()));
    while let Some(incoming) = answering.dialler.endpoint.accept().await {
        let Some((incoming, place)) = admit(&callers, &answering.silence, incoming) else { continue };
        tokio::spawn(answer(Arc::clone(&answering), incoming, place));
    }
}

/// Bounded in all and for each address; when many call at once, each must first show that it is where it says.
fn admit(callers: &Arc<Mutex<Callers>>, silence: &Silence, incoming: Incoming) -> Option<(Incoming, Place)> {
    let ip = place(incoming.remote_address().ip());
    let mut inside = callers.lock();
    let (pending, all) = inside.of.get(&ip).copied().unwrap_or_default();
    let full = inside.pending >= PENDING_MAX || pending >= PENDING_PER_ADDRESS || all >= PER_ADDRESS_MAX;
    if full || silence.is_kept(ip, Instant::now()) {
        drop(inside);
        incoming.ignore();
        return None;
    }
    if inside.pending >= PENDING_FREE && !incoming.remote_address_validated() && incoming.may_retry() {
        drop(inside);
        // It failed only if it may not retry, which was asked.
        let _ = incoming.retry();
        return None;
    }
    inside.pending += 1;
    let of = inside.of.entry(ip).or_default();
    (of.0, of.1) = (of.0 + 1, of.1 + 1);
    drop(inside);
    Some((incoming, Place { callers: Arc::clone(callers), ip, pending: true }))
}

async fn answer(answering: Arc<Answering>, incoming: Incoming, mut place: Place) {
    let ip = incoming.remote_address().ip().to_canonical();
    let Ok(connecting) = incoming.accept() else { return };
    let Ok(Ok(connection)) = timeout(HANDSHAKE, connecting).await else { return };
    let hello = Hello { clock: (answering.clock)(), port: answering.port, ..*answering.hello.borrow() };
    match line::answer(connection.clone(), &answering.dialler.network, hello).await {
        Ok(met) => {
            // The driver may have gone.
            drop(answering.asks.send(Ask::Met(met, None)).await);
            place.settle();
            connection.closed().await;
        }
        Err(HandshakeError::Stranger(key)) => {
            let key = key.or_else(|| tls::peer_key(&connection));
            drop(answering.facts.send(Input::Turned(key, ip, Offence::Stranger)).await);
        }
        Err(HandshakeError::Nonsense(key)) => {
            drop(answering.facts.send(Input::Turned(Some(key), ip, Offence::Lied)).await);
        }
        Err(error) => tracing::debug!(%ip, %error, "a caller was not let in"),
    }
}
