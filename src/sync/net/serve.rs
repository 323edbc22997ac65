//! Streams with a question: comparing, fetching by id, streaming from a cursor; how they are asked and how they are
//! answered. Each that reads the store has a blocking thread of its own, of a bounded number.

use std::sync::Arc;
use std::time::{Duration, Instant};

use quinn::Connection;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::framed::{Reading, StreamError, Writing};
use super::intake::{Intake, decode};
use crate::record::{Millis, Record, RecordId};
use crate::store::{Clock, Encoded, Point, Ranges, Store};
use crate::sync::engine::{Input, Via};
use crate::sync::limits::{
    ANSWER, ANSWERS_MAX, COMPARE_RATE, COMPARE_WINDOW, INTAKE_BATCH, INTAKE_BATCH_BYTES, READ_PATIENCE,
    STREAM_GRACE, STREAM_RATE_MIN, STREAMS_MAX, WRITE_BYTES,
};
use crate::sync::reconcile::{Found, ReconcileError, Scope, Side};
use crate::sync::table::Offence;
use crate::sync::wants::LinkId;
use crate::sync::wire::{FRAME_MAX, Message, TURN_FRAME_MAX};

/// What questions are answered from.
pub(super) struct Answers {
    pub(super) store: Store,
    pub(super) ranges: Ranges,
    pub(super) clock: Clock,
    room: Arc<Semaphore>,
    streams: Arc<Semaphore>,
}

impl Answers {
    pub(super) fn new(store: Store, ranges: Ranges, clock: Clock) -> Answers {
        Answers {
            store,
            ranges,
            clock,
            room: Arc::new(Semaphore::new(ANSWERS_MAX)),
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
        }
    }
}

/// Comparisons a peer has asked for lately.
pub(super) struct Rate {
    count: u32,
    since: Instant,
}

impl Rate {
    pub(super) fn new(now: Instant) -> Rate {
        Rate { count: 0, since: now }
    }

    /// Counts one more; how long it has to wait.
    fn pass(&mut self, now: Instant) -> Duration {
        if now.saturating_duration_since(self.since) > COMPARE_WINDOW {
            *self = Rate::new(now);
        }
        self.count += 1;
        if self.count <= COMPARE_RATE {
            return Duration::ZERO;
        }
        COMPARE_WINDOW.saturating_sub(now.saturating_duration_since(self.since))
    }
}

/// A stream that a peer opened.
pub(super) struct Request {
    pub(super) link: LinkId,
    pub(super) writing: Writing,
    pub(super) reading: Reading,
    pub(super) answers: Arc<Answers>,
    pub(super) facts: mpsc::Sender<Input>,
    pub(super) compares: Arc<parking_lot::Mutex<Rate>>,
    pub(super) stream: Arc<Semaphore>,
}

impl Request {
    /// Hears what is asked and answers it. An error is the peer's fault.
    pub(super) async fn answer(mut self, patience: Duration) -> Result<(), Offence> {
        let question = match self.reading.next(Some(patience)).await {
            Ok(question) => question,
            Err(error) => return fault(&error),
        };
        self.writing.low_priority();
        let Some(place) = self.place(&question).await else { return Ok(()) };
        let handle = Handle::current();
        let answered = tokio::task::spawn_blocking(move || {
            let _place = place;
            match question {
                Message::Compare { salt, until } => self.compare(&handle, salt, until),
                Message::Want(ids) => {
                    self.give(&handle, &ids);
                    Ok(())
                }
                Message::Since(from) => {
                    self.stream(&handle, from);
                    Ok(())
                }
                _ => Err(Offence::Lied),
            }
        });
        // A panic has been reported by itself; the peer is not to blame for it.
        answered.await.unwrap_or(Ok(()))
    }

    /// Room to answer. A stream may last, so it takes none from questions that do not; a comparison beyond the rate
    /// waits for the next window, which holds up nobody but its asker.
    async fn place(
        &self,
        question: &Message,
    ) -> Option<(OwnedSemaphorePermit, Option<OwnedSemaphorePermit>)> {
        if let Message::Since(_) = question {
            let own = Arc::clone(&self.stream).acquire_owned().await.ok()?;
            return Some((Arc::clone(&self.answers.streams).acquire_owned().await.ok()?, Some(own)));
        }
        if let Message::Compare { .. } = question {
            let wait = self.compares.lock().pass(Instant::now());
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
            }
        }
        Some((Arc::clone(&self.answers.room).acquire_owned().await.ok()?, None))
    }

    fn compare(mut self, handle: &Handle, salt: [u8; 16], until: Millis) -> Result<(), Offence> {
        self.reading.allow(TURN_FRAME_MAX);
        let ranges = self.answers.ranges.clone();
        let mut side = Side::new(&ranges, Scope { salt, until: (until, RecordId([0; 32])) });
        let ended = handle.block_on(in_time(turns(&mut side, &mut self.writing, &mut self.reading)));
        self.writing.finish();
        let found = match ended {
            Ok(()) => side.finish(),
            Err(error) => return error.fault(),
        };
        // The engine may have gone.
        let _ = handle.block_on(self.facts.send(Input::Compared(self.link, false, Some(found))));
        Ok(())
    }

    fn give(mut self, handle: &Handle, ids: &[RecordId]) {
        let (mut given, begun) = (0, Instant::now());
        for some in ids.chunks(64) {
            if begun.elapsed() > ANSWER {
                return;
            }
            let Ok(snapshot) = self.answers.store.snapshot() else { break };
            let records: Vec<Encoded> =
                some.iter().filter_map(|id| snapshot.sent(id).ok().flatten()).collect();
            drop(snapshot);
            for sent in &records {
                if handle.block_on(self.writing.put_record(sent.whole, &sent.bytes)).is_err() {
                    return;
                }
                given += 1;
            }
        }
        self.done(handle, given);
    }

    /// In (time, id) order: nothing in it is an orphan to whoever has everything before the cursor.
    fn stream(mut self, handle: &Handle, from: Point) {
        let until = ((self.answers.clock)().plus(1), RecordId([0; 32]));
        let (mut from, mut given) = (from, 0);
        let (mut bytes, begun) = (0, Instant::now());
        loop {
            let elapsed = begun.elapsed();
            if elapsed > STREAM_GRACE && bytes < elapsed.as_secs() * STREAM_RATE_MIN {
                return;
            }
            // A fresh view for each piece: an old one would keep the log from being cut.
            let read = self.answers.store.snapshot();
            let Ok(some) = read.and_then(|snapshot| snapshot.sent_from(&from, &until, WRITE_BYTES)) else {
                break;
            };
            let Some(last) = some.last() else { break };
            from = after((last.time, last.id));
            for sent in &some {
                bytes += sent.bytes.len() as u64;
                if handle.block_on(self.writing.put_record(sent.whole, &sent.bytes)).is_err() {
                    return;
                }
            }
            given += some.len() as u64;
        }
        self.done(handle, given);
    }

    fn done(mut self, handle: &Handle, given: u64) {
        // Whoever has stopped listening has stopped caring.
        let _ = handle.block_on(self.writing.say(&Message::Done));
        self.writing.finish();
        let _ = handle.block_on(self.facts.send(Input::Gave(self.link, given)));
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

fn fault(error: &StreamError) -> Result<(), Offence> {
    match error {
        StreamError::Wire(_) => Err(Offence::Lied),
        StreamError::Ended | StreamError::Slow => Ok(()),
    }
}

/// A comparison that ended badly.
#[derive(Debug, thiserror::Error)]
enum CompareError {
    #[error(transparent)]
    Stream(#[from] StreamError),
    #[error(transparent)]
    Reconcile(#[from] ReconcileError),
}

impl CompareError {
    fn fault(&self) -> Result<(), Offence> {
        match self {
            CompareError::Stream(error) => fault(error),
            CompareError::Reconcile(ReconcileError::Store(error)) => {
                tracing::warn!(%error, "a comparison could not be answered");
                Ok(())
            }
            CompareError::Reconcile(_) => Err(Offence::Lied),
        }
    }
}

/// Takes turns until nothing is left to say.
async fn turns(
    side: &mut Side<'_, Ranges>,
    writing: &mut Writing,
    reading: &mut Reading,
) -> Result<(), CompareError> {
    loop {
        let Message::Turn(turn) = reading.next(Some(READ_PATIENCE)).await? else {
            return Err(StreamError::Wire(crate::sync::bytes::WireError::Field("turn")).into());
        };
        match side.answer(&turn)? {
            Some(reply) => {
                let last = reply.is_empty();
                writing.say(&Message::Turn(reply)).await?;
                if last {
                    return Ok(());
                }
            }
            None => return Ok(()),
        }
    }
}

/// A comparison that does not come to an end makes room for others.
async fn in_time(ran: impl Future<Output = Result<(), CompareError>>) -> Result<(), CompareError> {
    tokio::time::timeout(ANSWER, ran).await.unwrap_or(Err(StreamError::Slow.into()))
}

/// Leads a comparison and tells the engine what it found.
pub(super) fn lead(
    handle: &Handle,
    connection: &Connection,
    link: LinkId,
    answers: &Answers,
    (salt, until, audit): ([u8; 16], Millis, Option<u64>),
) -> (Input, Option<Offence>) {
    let ranges = answers.ranges.clone();
    let mut side = Side::new(&ranges, Scope { salt, until: (until, RecordId([0; 32])) });
    let ran: Result<(), CompareError> = handle.block_on(in_time(async {
        let (send, receive) = connection.open_bi().await.map_err(|_| StreamError::Ended)?;
        let (mut writing, mut reading) = (Writing::new(send), Reading::new(receive, TURN_FRAME_MAX));
        let first = match audit {
            Some(pick) => side.audit(pick)?,
            None => side.open()?,
        };
        writing.say(&Message::Compare { salt, until }).await?;
        writing.say(&Message::Turn(first)).await?;
        turns(&mut side, &mut writing, &mut reading).await?;
        writing.finish();
        Ok(())
    }));
    match ran {
        Ok(()) => (Input::Compared(link, true, Some(side.finish())), None),
        Err(error) => {
            tracing::debug!(link, %error, "a comparison failed");
            (Input::Compared(link, true, None::<Found>), error.fault().err())
        }
    }
}

/// How fast an answer comes: not time spent on our side, but what was waited for the peer.
#[derive(Default)]
struct Pace {
    waited: Duration,
    bytes: u64,
}

impl Pace {
    fn moved(&mut self, waited: Duration, bytes: usize) -> Result<(), StreamError> {
        self.waited += waited;
        self.bytes += bytes as u64;
        let slow = self.waited > STREAM_GRACE && self.bytes < self.waited.as_secs() * STREAM_RATE_MIN;
        if slow { Err(StreamError::Slow) } else { Ok(()) }
    }
}

/// Fetches records by id.
pub(super) async fn fetch(
    connection: Connection,
    intake: Intake,
    ids: &[RecordId],
) -> Result<(), StreamError> {
    receive(connection, intake, Message::Want(ids.to_vec()), Via::Fetch, ids.len() as u64).await.map(drop)
}

/// Streams everything from a cursor; returns how many records came.
pub(super) async fn catch_up(
    connection: Connection,
    intake: Intake,
    from: Point,
) -> Result<u64, StreamError> {
    receive(connection, intake, Message::Since(from), Via::Stream, u64::MAX).await
}

async fn receive(
    connection: Connection,
    intake: Intake,
    question: Message,
    via: Via,
    count_max: u64,
) -> Result<u64, StreamError> {
    let (send, receive) = connection.open_bi().await.map_err(|_| StreamError::Ended)?;
    let (mut writing, mut reading) = (Writing::new(send), Reading::new(receive, FRAME_MAX));
    writing.say(&question).await?;
    writing.finish();
    let mut pace = Pace::default();
    let (mut records, mut size, mut count, mut done) = (Vec::<Record>::new(), 0, 0, false);
    while !done {
        match reading.ready()? {
            Some(Message::Record { whole, bytes }) => {
                count += 1;
                size += bytes.len();
                records.push(decode(whole, &bytes)?);
            }
            Some(Message::Done) => done = true,
            Some(_) => return Err(crate::sync::bytes::WireError::Field("answer").into()),
            None => {
                // What is here is handed in before more is awaited, unless a full batch is near.
                if records.len() >= INTAKE_BATCH / 2 || via == Via::Fetch {
                    intake.take(std::mem::take(&mut records), via).await?;
                }
                let asked = Instant::now();
                let more = reading.more(Some(READ_PATIENCE)).await?;
                pace.moved(asked.elapsed(), more)?;
            }
        }
        if count > count_max {
            return Err(crate::sync::bytes::WireError::TooMany("records", usize::MAX).into());
        }
        if records.len() >= INTAKE_BATCH || size >= INTAKE_BATCH_BYTES {
            size = 0;
            intake.take(std::mem::take(&mut records), via).await?;
        }
    }
    intake.take(records, via).await?;
    if via == Via::Stream {
        intake.settle().await;
    }
    Ok(count)
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
