//! What a node that joins asks of one that is there: `/invitation` and `/dumprecords` (LF's path, our format:
//! an export). Both tell the network id, so they are for readers alone.

use std::io::{self, Write};
use std::net::IpAddr;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::pieces::{PIECE_BYTES, Pieces, pour};
use super::{App, Shared, json, off_worker};
use crate::api::Refused;
use crate::api::access::Ends;
use crate::api::invite::{Reader, invited, reachable};
use crate::api::json::{Invitation, PeerJson};
use crate::api::server::Parts;
use crate::store::StoreError;
use crate::sync::PeerAddress;
use crate::sync::face::PeersError;

/// Who joins through this node: this node first, then whom its operator and the rules name.
pub(super) async fn invitation(
    State(shared): App,
    Extension(ends): Extension<Ends>,
) -> Result<Response, Refused> {
    let invitation = off_worker(&shared, move |parts| {
        let rules = parts.store.rules();
        let genesis = parts.store.founding()?;
        Ok(Invitation::new(&rules.name, &genesis, &peers(parts, ends)?))
    });
    Ok(json(StatusCode::OK, &invitation.await?))
}

fn peers(parts: &Parts, ends: Ends) -> Result<Vec<PeerAddress>, PeersError> {
    let key = parts.peers.progress().key;
    let here: IpAddr = ends.local.ip().to_canonical();
    let near = ends.peer.ip().to_canonical().is_loopback();
    let own = reachable(&(parts.facts)().quic, &[here]).into_iter().map(|at| PeerAddress::of(at, key));
    let named = parts.peers.peers()?.into_iter().filter_map(|peer| PeerJson::from(peer).named());
    let seeds = PeerAddress::list(&parts.store.rules().seed_peers);
    let reader = if near { Reader::Here } else { Reader::Elsewhere };
    Ok(invited(own.collect(), named.collect(), seeds, reader))
}

/// All records, in an order in which none comes before one it links to. The length is not known before; the
/// head says how many there are, and the hash at the end whether they are all there.
pub(super) async fn dump(State(shared): App) -> Result<Response, Refused> {
    let work = |shared: &Shared, pieces| write(&shared.parts, pieces);
    pour(shared, |shared| &shared.dumps, "application/octet-stream", work).await
}

fn write(parts: &Parts, pieces: Pieces) {
    let mut dump = Dump { pieces, piece: Vec::with_capacity(PIECE_BYTES), gone: false };
    if let Err(error) = parts.store.export(&mut dump, &mut |_| {})
        && !dump.gone
    {
        tracing::warn!("API: a dump broke off: {error}");
        dump.pieces.fail_blocking(StoreError::into(error));
    }
}

/// Gathers what is written into pieces.
struct Dump {
    pieces: Pieces,
    piece: Vec<u8>,
    gone: bool,
}

impl Write for Dump {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE_BYTES));
        self.gone = !self.pieces.send(piece);
        if self.gone { Err(io::Error::new(io::ErrorKind::BrokenPipe, "the reader has gone")) } else { Ok(()) }
    }
}
