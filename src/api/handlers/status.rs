//! `/status`.

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::{App, json, off_worker};
use crate::api::access::Caller;
use crate::api::{Refused, reads};

pub(super) async fn status(
    State(shared): App,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Refused> {
    let uptime = shared.started.elapsed().as_secs();
    let mut status = off_worker(&shared, move |parts| {
        reads::status(&parts.store, (parts.clock)(), uptime, &(parts.facts)(), &parts.peers.progress())
    })
    .await?;
    // On a private network the id is the gate.
    if caller == Caller::Bearer {
        status.network = Some(shared.parts.store.network().reveal());
    }
    Ok(json(StatusCode::OK, &status))
}
