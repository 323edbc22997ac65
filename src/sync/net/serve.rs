//! Streams with a question: comparing, fetching by id, streaming from a cursor; how they are answered. What reads the store
//! does so on a blocking thread, of a bounded number, a piece at a time: while a peer is waited for nothing is held but
//! the piece it is given.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

use super::compare::{self, Share};
use super::dues::Dues;
use super::framed::{Reading, StreamError, Writing};
use crate::record::{Millis, RecordId};
use crate::store::{Clock, Encoded, Point, Ranges, Store, StoreError};
use crate::sync::engine::Input;
use crate::sync::limits::{
    ANSWER, ANSWERS_MAX, LEADS_MAX, STREAM_GRACE, STREAM_RATE_MIN, STREAMS_MAX, WRITE_BYTES,
};
use crate::sync::table::Offence;
use crate::sync::wants::LinkId;
use crate::sync::wire::{Message, put_record};

/// What questions are answered from.
pub(super) struct Answers {
    pub(super) store: Store,
    pub(super) ranges: Ranges,
    pub(super) clock: Clock,
    room: Arc<Semaphore>,
    /// Turns of comparisons that this node leads.
    pub(super) leads: Arc<Semaphore>,
    streams: Arc<Semaphore>,
}

impl Answers {
    pub(super) fn new(store: Store, ranges: Ranges, clock: Clock) -> Answers {
        Answers {
            store,
            ranges,
            clock,
            room: Arc::new(Semaphore::new(ANSWERS_MAX)),
            leads: Arc::new(Semaphore::new(LEADS_MAX)),
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
        }
    }

    /// Reads a piece of records when there is room. The room is given back once it is read, whoever waits for it.
    async fn read(
        &self,
        room: &Arc<Semaphore>,
        piece: impl FnOnce(&Store) -> Result<Piece, StoreError> + Send + 'static,
    ) -> Result<Piece, StreamError> {
        let place = Arc::clone(room).acquire_owned().await.map_err(|_| StreamError::Ended)?;
        let store = self.store.clone();
        let read = tokio::task::spawn_blocking(move || {
            let read = piece(&store);
            drop(place);
            read
        });
        match read.await {
            Ok(Ok(piece)) => Ok(piece),
            Ok(Err(error)) => {
                tracing::warn!(%error, "a peer's question could not be answered");
                Err(StreamError::Ended)
            }
            // A panic has been reported by itself.
            Err(_) => Err(StreamError::Ended),
        }
    }
}

/// Records on their way to a peer: some [`WRITE_BYTES`] of frames, or a single record's.
#[derive(Default)]
struct Piece {
    frames: Vec<u8>,
    count: u64,
    /// The last one's place, if there is any.
    last: Option<Point>,
    /// How many ids it answers.
    answered: usize,
}

impl Piece {
    fn add(&mut self, sent: &Encoded) {
        put_record(&mut self.frames, sent.whole, &sent.bytes);
        self.count += 1;
        self.last = Some((sent.time, sent.id));
    }

    /// The first of these ids.
    fn of(store: &Store, ids: &[RecordId]) -> Result<Piece, StoreError> {
        let (snapshot, mut piece) = (store.snapshot()?, Piece::default());
        for id in ids {
            if piece.frames.len() >= WRITE_BYTES {
                break;
            }
            match snapshot.sent(id) {
                Ok(Some(sent)) => piece.add(&sent),
                Ok(None) => {}
                // One that cannot be read keeps nobody from the others.
                Err(error) => tracing::warn!(%error, %id, "a record could not be read"),
            }
            piece.answered += 1;
        }
        Ok(piece)
    }

    /// What follows a point. A fresh view for each piece: an old one would keep the log from being cut.
    fn from(store: &Store, from: &Point, until: &Point) -> Result<Piece, StoreError> {
        let mut piece = Piece::default();
        store.snapshot()?.sent_from(from, until, WRITE_BYTES)?.iter().for_each(|sent| piece.add(sent));
        Ok(piece)
    }
}

/// A stream that a peer opened.
pub(super) struct Request {
    pub(super) link: LinkId,
    pub(super) writing: Writing,
    pub(super) reading: Reading,
    pub(super) answers: Arc<Answers>,
    pub(super) facts: mpsc::Sender<Input>,
    pub(super) turns: Turns,
}

/// Whose turn it is among the questions of one peer.
#[derive(Clone)]
pub(super) struct Turns {
    dues: Arc<Dues>,
    compare: Arc<Semaphore>,
    stream: Arc<Semaphore>,
}

impl Turns {
    /// One comparison and one stream at a time: an honest node asks for no more.
    pub(super) fn new(dues: Arc<Dues>) -> Turns {
        Turns { dues, compare: Arc::new(Semaphore::new(1)), stream: Arc::new(Semaphore::new(1)) }
    }
}

impl Request {
    /// Hears what is asked and answers it. An error is the peer's fault.
    pub(super) async fn answer(mut self, patience: Duration) -> Result<(), Offence> {
        let question = match self.reading.next(Some(patience)).await {
            Ok(question) => question,
            Err(error) => return error.fault().map_or(Ok(()), Err),
        };
        self.writing.low_priority();
        let link = self.link;
        let given = match question {
            Message::Compare { salt, until } => return self.compare(salt, until).await,
            Message::Want(ids) => timeout(ANSWER, self.give(&ids)).await.unwrap_or(Err(StreamError::Slow)),
            Message::Since(from) => self.stream(from).await,
            _ => return Err(Offence::Lied),
        };
        if let Err(error) = given {
            tracing::debug!(link, %error, "a peer was not given all it asked for");
        }
        Ok(())
    }

    async fn compare(self, salt: [u8; 16], until: Millis) -> Result<(), Offence> {
        let Request { link, writing, reading, answers, facts, turns } = self;
        let Ok(_turn) = turns.compare.acquire().await else { return Ok(()) };
        let share = Share { room: Arc::clone(&answers.room), dues: Arc::clone(&turns.dues) };
        let ended = compare::follow(&answers, share, (link, salt, until), (writing, reading));
        let (found, fault) = ended.await;
        if let Some(found) = found {
            // The engine may have gone.
            let _ = facts.send(Input::Compared(link, false, Some(found))).await;
        }
        fault.map_or(Ok(()), Err)
    }

    async fn give(mut self, ids: &[RecordId]) -> Result<(), StreamError> {
        let (mut pace, mut given, mut rest) = (Pace::default(), 0, ids);
        while !rest.is_empty() {
            let asked = rest.to_vec();
            let piece = self.answers.read(&self.answers.room, move |store| Piece::of(store, &asked)).await?;
            rest = &rest[piece.answered..];
            given += piece.count;
            pace.write(&mut self.writing, &piece.frames).await?;
        }
        self.done(given).await
    }

    /// In (time, id) order: nothing in it is an orphan to whoever has everything before the cursor. While a piece is
    /// written the next one is read.
    async fn stream(mut self, from: Point) -> Result<(), StreamError> {
        let stream = Arc::clone(&self.turns.stream);
        let Ok(_turn) = stream.acquire().await else { return Ok(()) };
        let until = ((self.answers.clock)().plus(1), RecordId([0; 32]));
        let answers = Arc::clone(&self.answers);
        let read =
            |from: Point| answers.read(&answers.streams, move |store| Piece::from(store, &from, &until));
        let (mut pace, mut given) = (Pace::default(), 0);
        let mut piece = read(from).await?;
        while let Some(last) = piece.last {
            given += piece.count;
            let written = pace.write(&mut self.writing, &piece.frames);
            let (written, next) = tokio::join!(written, read(after(last)));
            written?;
            piece = next?;
        }
        self.done(given).await
    }

    async fn done(mut self, given: u64) -> Result<(), StreamError> {
        self.writing.say(&Message::Done).await?;
        self.writing.finish();
        // The engine may have gone.
        let _ = self.facts.send(Input::Gave(self.link, given)).await;
        Ok(())
    }
}

/// The point right behind another.
fn after((time, id): Point) -> Point {
    let mut id = id.0;
    for byte in id.iter_mut().rev() {
        let (next, wrapped) = byte.overflowing_add(1);
        *byte = next;
        if !wrapped {
            return (time, RecordId(id));
        }
    }
    (time.plus(1), RecordId(id))
}

/// How fast an answer comes: not time spent on our side, but what was waited for the peer.
#[derive(Default)]
pub(super) struct Pace {
    waited: Duration,
    bytes: u64,
}

impl Pace {
    /// Writes frames, and minds how long the peer took to take them.
    async fn write(&mut self, writing: &mut Writing, frames: &[u8]) -> Result<(), StreamError> {
        let begun = Instant::now();
        writing.put(frames).await?;
        self.moved(begun.elapsed(), frames.len())
    }

    pub(super) fn moved(&mut self, waited: Duration, bytes: usize) -> Result<(), StreamError> {
        self.waited += waited;
        self.bytes += bytes as u64;
        let slow = self.waited > STREAM_GRACE && self.bytes < self.waited.as_secs() * STREAM_RATE_MIN;
        if slow { Err(StreamError::Slow) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_point_behind_the_last_id_of_a_time_is_the_next_time() {
        let (time, id) = after((Millis(4), RecordId([0xFF; 32])));
        assert_eq!((time, id), (Millis(5), RecordId([0; 32])));
        let (time, id) = after((Millis(4), RecordId([0; 32])));
        assert_eq!((time, id.0[31]), (Millis(4), 1));
    }
}
