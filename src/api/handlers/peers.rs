//! `/peers`: who they are; adding and removing them. `/connect`: LF's way to add one.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::{App, json, off_worker, read_json};
use crate::api::Refused;
use crate::api::json::{Connect, PeerJson, PeersChange};
use crate::sync::address::AddressError;
use crate::sync::face::PeersError;
use crate::sync::{NodeKey, PeerAddress};

/// Bytes of a request to change peers.
const CHANGE_MAX: usize = 4 << 10;

pub(super) async fn list(State(shared): App) -> Result<Response, Refused> {
    let peers = off_worker(&shared, |parts| Ok(parts.peers.peers()?)).await?;
    let peers: Vec<PeerJson> = peers.into_iter().map(PeerJson::from).collect();
    Ok(json(StatusCode::OK, &peers))
}

pub(super) async fn change(State(shared): App, request: Request) -> Result<Response, Refused> {
    let change: PeersChange = read_json(request.into_body(), CHANGE_MAX).await?;
    off_worker(&shared, move |parts| match change {
        PeersChange::Add(text) => Ok(parts.peers.add(text.parse()?)?),
        PeersChange::Remove(who) => Ok(parts.peers.remove(&who)?),
    })
    .await?;
    list(State(shared)).await
}

/// Where it works the answer is an empty body, as LF's is.
pub(super) async fn connect(State(shared): App, request: Request) -> Result<Response, Refused> {
    let asked: Connect = read_json(request.into_body(), CHANGE_MAX).await?;
    let key = match asked.identity.0.len() {
        0 => None,
        _ => Some(NodeKey(
            asked
                .identity
                .0
                .try_into()
                .map_err(|_| Refused::new(400, "the identity is not a node's key of 32 bytes"))?,
        )),
    };
    if asked.port == 0 {
        return Err(Refused::new(400, "a peer has a port"));
    }
    let address = PeerAddress::of((asked.ip, asked.port).into(), key);
    off_worker(&shared, move |parts| Ok(parts.peers.add(address)?)).await?;
    Ok(StatusCode::OK.into_response())
}

impl From<AddressError> for Refused {
    fn from(error: AddressError) -> Refused {
        Refused::new(400, error.to_string())
    }
}

impl From<PeersError> for Refused {
    fn from(error: PeersError) -> Refused {
        let status = match error {
            PeersError::Unknown(_) => 404,
            PeersError::Itself(_) => 400,
            PeersError::Fixed(..) | PeersError::Full(_) => 409,
            PeersError::Alone => 501,
            PeersError::Busy => 503,
            PeersError::Storage(_) => 500,
        };
        Refused::new(status, error.to_string())
    }
}
