//! `/explain` and `/zone`: what the part that answers DNS says of its answers and zones.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use tokio::sync::mpsc;

use super::{App, Params, Shared, finished, json, off_worker, turn};
use crate::api::Refused;
use crate::api::json::{ErrorBody, ExplainParams, ZoneLine, ZoneParams};
use crate::record::{IdError, OwnerKey};

/// Bytes gathered before a piece of a listing is sent.
const PIECE_BYTES: usize = 32 << 10;
/// Pieces on their way to a slow reader.
const PIECES_AHEAD: usize = 4;
/// A reader who takes nothing for so long is let go: its listing holds the store's log back.
const READER_DEADLINE: Duration = Duration::from_secs(30);

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
    let (sender, mut receiver) = mpsc::channel(PIECES_AHEAD);
    let work = Arc::clone(&shared);
    tokio::spawn(async move {
        let lister = Lister { sender, piece: Vec::new(), runtime: tokio::runtime::Handle::current() };
        // Slow readers keep listings waiting, so these have places of their own.
        let _place = match turn(&work.listings).await {
            Ok(place) => place,
            Err(busy) => {
                let _ = lister.sender.send(Piece::Refused(busy)).await;
                return;
            }
        };
        let shared = Arc::clone(&work);
        let listing =
            tokio::task::spawn_blocking(move || lister.list(&shared, &which.suffix, owner.as_ref()));
        let _ = finished(listing.await);
    });
    // A zone that does not exist is an error of its own, not a line in a listing.
    let first = match receiver.recv().await {
        None => return Err(Refused::new(500, "the listing ended before it began")),
        Some(Piece::Refused(refused)) => return Err(refused),
        Some(Piece::Lines(lines)) => lines,
    };
    let body = Body::new(Lines { first: Some(first), rest: receiver });
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response())
}

enum Piece {
    Lines(Vec<u8>),
    Refused(Refused),
}

/// Writes a listing, in pieces, from a thread that may block.
struct Lister {
    sender: mpsc::Sender<Piece>,
    piece: Vec<u8>,
    runtime: tokio::runtime::Handle,
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
            let piece = Piece::Lines(std::mem::take(&mut self.piece));
            self.send(piece)
        });
        match result {
            Err(refused) if !sent && self.piece.is_empty() => {
                self.send(Piece::Refused(refused));
                return;
            }
            Err(refused) => {
                let failed = ErrorBody { code: i32::from(refused.status), message: refused.message };
                self.line(&ZoneLine::Failed(failed));
            }
            Ok(()) => {}
        }
        let rest = Piece::Lines(std::mem::take(&mut self.piece));
        self.send(rest);
    }

    fn line(&mut self, line: &ZoneLine) {
        serde_json::to_writer(&mut self.piece, line).expect("a line has string keys, and memory takes it");
        self.piece.push(b'\n');
    }

    /// Whether the reader is still there.
    fn send(&self, piece: Piece) -> bool {
        let sending = tokio::time::timeout(READER_DEADLINE, self.sender.send(piece));
        matches!(self.runtime.block_on(sending), Ok(Ok(())))
    }
}

/// A listing as a response's body.
struct Lines {
    first: Option<Vec<u8>>,
    rest: mpsc::Receiver<Piece>,
}

impl HttpBody for Lines {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first.into()))));
        }
        self.rest.poll_recv(cx).map(|piece| match piece? {
            Piece::Lines(lines) => Some(Ok(Frame::data(lines.into()))),
            Piece::Refused(refused) => Some(Err(std::io::Error::other(refused))),
        })
    }
}
