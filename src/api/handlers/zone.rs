//! `/explain` and `/zone`: what the part that answers DNS says of its answers and zones.

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::pieces::{PIECE_BYTES, Pieces, pour};
use super::{App, Params, Shared, json, off_worker};
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
    let work = move |shared: &Shared, pieces| {
        Lister { pieces, piece: Vec::new() }.list(shared, &which.suffix, owner.as_ref());
    };
    // Slow readers keep listings waiting, so these have places of their own.
    pour(shared, |shared| &shared.listings, "application/x-ndjson", work).await
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
