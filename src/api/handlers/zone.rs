//! `/explain` and `/zone`: what the part that answers DNS says of its answers and zones.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::pieces::{PIECE_BYTES, Pieces, pieces};
use super::{App, Params, Shared, finished, json, off_worker, turn};
use crate::api::Refused;
use crate::api::json::{ErrorBody, ExplainParams, ZoneLine, ZoneParams};
use crate::record::{IdError, OwnerKey};

pub(super) async fn explain(
    State(shared): App,
    question: Params<ExplainParams>,
) -> Result<Response, Refused> {
    let Query(question) = question?;
    let explained =
        off_worker(&shared, move |parts| parts.explain.explain(&question.name, question.rtype.as_deref()));
    Ok(json(StatusCode::OK, &explained.await?))
}

/// Answers line by line while the zone is being read, so that its size does not matter.
pub(super) async fn list(State(shared): App, which: Params<ZoneParams>) -> Result<Response, Refused> {
    let Query(which) = which?;
    let owner: Option<OwnerKey> = which
        .owner
        .map(|text| text.parse())
        .transpose()
        .map_err(|e: IdError| Refused::new(400, e.to_string()))?;
    let (pieces, pouring) = pieces();
    let work = Arc::clone(&shared);
    tokio::spawn(async move {
        // Slow readers keep listings waiting, so these have places of their own.
        let _place = match turn(&work.listings).await {
            Ok(place) => place,
            Err(busy) => return pieces.fail(busy).await,
        };
        let lister = Lister { pieces, piece: Vec::new() };
        let shared = Arc::clone(&work);
        let listing =
            tokio::task::spawn_blocking(move || lister.list(&shared, &which.suffix, owner.as_ref()));
        let _ = finished(listing.await);
    });
    // A zone that does not exist is an error of its own, not a line in a listing.
    let body = pouring.body().await?;
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response())
}

/// Writes a listing, in pieces, from a thread that may block.
struct Lister {
    pieces: Pieces,
    piece: Vec<u8>,
}

impl Lister {
    fn list(mut self, shared: &Shared, suffix: &str, owner: Option<&OwnerKey>) {
        let mut sent = false;
        let result = shared.parts.explain.list_zone(suffix, owner, &mut |entry| {
            self.line(&ZoneLine::Entry(entry));
            if self.piece.len() < PIECE_BYTES {
                return true;
            }
            sent = true;
            self.pieces.send(std::mem::take(&mut self.piece))
        });
        match result {
            Err(refused) if !sent && self.piece.is_empty() => {
                self.pieces.fail_blocking(refused);
                return;
            }
            Err(refused) => {
                let failed = ErrorBody { code: i32::from(refused.status), message: refused.message };
                self.line(&ZoneLine::Failed(failed));
            }
            Ok(()) => {}
        }
        self.pieces.send(std::mem::take(&mut self.piece));
    }

    fn line(&mut self, line: &ZoneLine) {
        serde_json::to_writer(&mut self.piece, line).expect("a line has string keys, and memory takes it");
        self.piece.push(b'\n');
    }
}
