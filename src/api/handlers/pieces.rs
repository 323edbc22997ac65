//! Long answers: written by a thread that may block, sent piece by piece as the reader takes them.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};

use super::{Shared, finished, turn};
use crate::api::Refused;

/// Bytes gathered before a piece is sent.
pub(super) const PIECE_BYTES: usize = 32 << 10;
/// Pieces on their way to a slow reader.
const PIECES_AHEAD: usize = 4;
/// A reader who takes nothing for so long is let go: what is read for it holds the store's log back.
const READER_DEADLINE: Duration = Duration::from_secs(30);

enum Piece {
    Bytes(Vec<u8>),
    Refused(Refused),
}

/// Where the pieces go in.
#[derive(Clone)]
pub(super) struct Pieces {
    sender: mpsc::Sender<Piece>,
    runtime: Handle,
}

/// Where they come out.
struct Pouring(mpsc::Receiver<Piece>);

/// Answers with what `work` writes, from a thread that may block, once there is a place for it among `places`. What
/// it refuses before the first piece is the answer; the length is not known before.
pub(super) async fn pour(
    shared: Arc<Shared>,
    places: fn(&Shared) -> &Semaphore,
    media: &'static str,
    work: impl FnOnce(&Shared, Pieces) + Send + 'static,
) -> Result<Response, Refused> {
    let (pieces, pouring) = pieces();
    tokio::spawn(async move {
        let _place = match turn(places(&shared)).await {
            Ok(place) => place,
            Err(busy) => return pieces.fail(busy).await,
        };
        let working = Arc::clone(&shared);
        let _ = finished(tokio::task::spawn_blocking(move || work(&working, pieces)).await);
    });
    let body = pouring.body().await?;
    Ok(([(header::CONTENT_TYPE, media)], body).into_response())
}

/// A way from a blocking thread to a response's body. To be called on a worker of the runtime.
fn pieces() -> (Pieces, Pouring) {
    let (sender, receiver) = mpsc::channel(PIECES_AHEAD);
    (Pieces { sender, runtime: Handle::current() }, Pouring(receiver))
}

impl Pieces {
    /// Sends a piece; whether the reader is still there. Blocks.
    pub(super) fn send(&self, bytes: Vec<u8>) -> bool {
        let sending = tokio::time::timeout(READER_DEADLINE, self.sender.send(Piece::Bytes(bytes)));
        matches!(self.runtime.block_on(sending), Ok(Ok(())))
    }

    /// Ends the answer with a failure: a refusal if nothing was sent yet, else it breaks off.
    async fn fail(&self, refused: Refused) {
        // Who is not there does not hear why.
        let _ = tokio::time::timeout(READER_DEADLINE, self.sender.send(Piece::Refused(refused))).await;
    }

    /// The same from a thread that may block.
    pub(super) fn fail_blocking(&self, refused: Refused) {
        self.runtime.block_on(self.fail(refused));
    }
}

impl Pouring {
    /// The body, once its first piece is there; a failure before that is a refusal of its own.
    async fn body(mut self) -> Result<Body, Refused> {
        match self.0.recv().await {
            None => Err(Refused::new(500, "the answer ended before it began")),
            Some(Piece::Refused(refused)) => Err(refused),
            Some(Piece::Bytes(first)) => Ok(Body::new(Rest { first: Some(first), rest: self.0 })),
        }
    }
}

struct Rest {
    first: Option<Vec<u8>>,
    rest: mpsc::Receiver<Piece>,
}

impl HttpBody for Rest {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first.into()))));
        }
        self.rest.poll_recv(cx).map(|piece| match piece? {
            Piece::Bytes(bytes) => Some(Ok(Frame::data(bytes.into()))),
            Piece::Refused(refused) => Some(Err(io::Error::other(refused))),
        })
    }
}
