//! Frames on QUIC streams: read with a limit and patience, written in pieces of [`WRITE_BYTES`].

use std::time::Duration;

use quinn::{RecvStream, SendStream};
use tokio::time::timeout;

use crate::sync::bytes::WireError;
use crate::sync::limits::{WRITE_BYTES, WRITE_PATIENCE};
use crate::sync::table::Offence;
use crate::sync::wire::{self, HEAD, Message};

/// A stream that does not go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum StreamError {
    /// It is over, or the connection is.
    #[error("the stream ended")]
    Ended,
    /// Nothing moved for too long.
    #[error("nothing moved for too long")]
    Slow,
    /// What was read is no message, or none that belongs there: the peer's fault.
    #[error("not a message: {0}")]
    Wire(#[from] WireError),
}

impl StreamError {
    /// What the peer did wrong, if it did.
    pub(super) fn fault(&self) -> Option<Offence> {
        match self {
            StreamError::Wire(_) => Some(Offence::Lied),
            StreamError::Ended | StreamError::Slow => None,
        }
    }
}

/// The reading half of a stream, with what was read and not yet used.
pub(super) struct Reading {
    stream: RecvStream,
    buffer: Vec<u8>,
    used: usize,
    taken: u64,
    frame_max: usize,
}

impl Reading {
    /// Reads frames of at most `frame_max` bytes.
    pub(super) fn new(stream: RecvStream, frame_max: usize) -> Reading {
        Reading { stream, buffer: Vec::new(), used: 0, taken: 0, frame_max }
    }

    /// The same stream with another limit.
    pub(super) fn allow(&mut self, frame_max: usize) {
        self.frame_max = frame_max;
    }

    /// Bytes of all frames that were taken from here.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// The next message, if it is complete already.
    pub(super) fn ready(&mut self) -> Result<Option<Message>, StreamError> {
        let unread = &self.buffer[self.used..];
        let Some(head) = unread.first_chunk::<HEAD>() else { return Ok(None) };
        let (kind, len) = wire::head(*head, self.frame_max)?;
        let Some(body) = unread.get(HEAD..HEAD + len) else { return Ok(None) };
        let message = Message::decode(kind, body)?;
        self.used += HEAD + len;
        self.taken += (HEAD + len) as u64;
        Ok(Some(message))
    }

    /// The next message; waits for it, but not for longer than `patience` without anything arriving.
    pub(super) async fn next(&mut self, patience: Option<Duration>) -> Result<Message, StreamError> {
        loop {
            if let Some(message) = self.ready()? {
                return Ok(message);
            }
            self.more(patience).await?;
        }
    }

    /// Reads some more; returns how many bytes.
    pub(super) async fn more(&mut self, patience: Option<Duration>) -> Result<usize, StreamError> {
        self.buffer.drain(..self.used);
        self.used = 0;
        let read = self.stream.read_chunk(WRITE_BYTES, true);
        let read = match patience {
            Some(patience) => timeout(patience, read).await.map_err(|_| StreamError::Slow)?,
            None => read.await,
        };
        match read {
            Ok(Some(chunk)) => {
                self.buffer.extend_from_slice(&chunk.bytes);
                Ok(chunk.bytes.len())
            }
            Ok(None) | Err(_) => Err(StreamError::Ended),
        }
    }
}

/// The writing half of a stream.
pub(super) struct Writing {
    stream: SendStream,
    buffer: Vec<u8>,
}

impl Writing {
    pub(super) fn new(stream: SendStream) -> Writing {
        Writing { stream, buffer: Vec::new() }
    }

    /// Behind everything else: bulk must not delay news.
    pub(super) fn low_priority(&self) {
        // It may have been closed meanwhile.
        let _ = self.stream.set_priority(-1);
    }

    /// Says this now.
    pub(super) async fn say(&mut self, message: &Message) -> Result<(), StreamError> {
        message.encode(&mut self.buffer);
        self.flush().await
    }

    /// Appends a frame, and writes if enough has gathered.
    pub(super) async fn put(&mut self, frame: &[u8]) -> Result<(), StreamError> {
        self.buffer.extend_from_slice(frame);
        if self.buffer.len() >= WRITE_BYTES { self.flush().await } else { Ok(()) }
    }

    /// Writes what has gathered.
    pub(super) async fn flush(&mut self) -> Result<(), StreamError> {
        for piece in self.buffer.chunks(WRITE_BYTES) {
            let written = timeout(WRITE_PATIENCE, self.stream.write_all(piece)).await;
            written.map_err(|_| StreamError::Slow)?.map_err(|_| StreamError::Ended)?;
        }
        self.buffer.clear();
        Ok(())
    }

    /// Nothing more will be written.
    pub(super) fn finish(&mut self) {
        // It may have been closed by the peer.
        let _ = self.stream.finish();
    }
}
