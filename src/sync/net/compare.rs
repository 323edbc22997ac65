//! Comparing with a peer: turns are heard and said here, and made on blocking threads, each from one snapshot and in
//! bounded time. Between turns nothing of the store is held.

use std::sync::Arc;
use std::time::{Duration, Instant};

use quinn::Connection;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::dues::Dues;
use super::framed::{Reading, StreamError, Writing};
use super::serve::Answers;
use crate::record::{Millis, RecordId};
use crate::store::{Part, Point, RangeReader, StoreError, Tally};
use crate::sync::bytes::WireError;
use crate::sync::engine::Input;
use crate::sync::limits::{ANSWER, READ_PATIENCE, TURN_TIME};
use crate::sync::reconcile::{Found, ReconcileError, Scope, Set, Side};
use crate::sync::table::Offence;
use crate::sync::wants::LinkId;
use crate::sync::wire::{Message, TURN_FRAME_MAX};

/// A comparison that ended badly.
#[derive(Debug, thiserror::Error)]
enum CompareError {
    #[error(transparent)]
    Stream(#[from] StreamError),
    #[error(transparent)]
    Reconcile(#[from] ReconcileError),
}

impl CompareError {
    fn fault(&self) -> Option<Offence> {
        match self {
            CompareError::Stream(error) => error.fault(),
            CompareError::Reconcile(ReconcileError::Store(error)) => {
                tracing::warn!(%error, "a comparison could not be answered");
                None
            }
            CompareError::Reconcile(_) => Some(Offence::Lied),
        }
    }
}

/// The records, for one turn.
struct Timed {
    reader: RangeReader,
    until: Instant,
}

impl Set for Timed {
    fn tally(&self, low: &Point, high: &Point) -> Result<Tally, StoreError> {
        self.reader.tally(low, high)
    }

    fn divide(&self, low: &Point, high: &Point, parts: usize) -> Result<Vec<Part>, StoreError> {
        self.reader.divide(low, high, parts)
    }

    fn list(&self, low: &Point, high: &Point, limit: usize) -> Result<Vec<Point>, StoreError> {
        self.reader.list(low, high, limit)
    }

    fn late(&self) -> bool {
        Instant::now() >= self.until
    }
}

/// What making turns for a peer is counted against.
pub(super) struct Share {
    /// Turns made at a time for all peers.
    pub(super) room: Arc<Semaphore>,
    /// What this peer has cost.
    pub(super) dues: Arc<Dues>,
}

struct Session {
    answers: Arc<Answers>,
    /// Away while a turn is being made.
    side: Option<Side>,
    share: Share,
    /// When it ends, [`ANSWER`] after it began.
    until: Instant,
}

impl Session {
    fn new(answers: Arc<Answers>, share: Share, salt: [u8; 16], until: Millis) -> Session {
        let side = Side::new(Scope { salt, until: (until, RecordId([0; 32])) });
        Session { answers, side: Some(side), share, until: Instant::now() + ANSWER }
    }

    /// How long to wait for something: whoever waits longer waits for nobody.
    fn patience(&self) -> Result<Duration, StreamError> {
        let left = self.until.saturating_duration_since(Instant::now()).min(READ_PATIENCE);
        if left.is_zero() { Err(StreamError::Slow) } else { Ok(left) }
    }

    /// Makes a turn. It is waited for even if time is up: it is short, and has what was found.
    async fn make<T: Send + 'static>(
        &mut self,
        turn: impl FnOnce(&mut Side, &Timed) -> Result<T, ReconcileError> + Send + 'static,
    ) -> Result<T, CompareError> {
        let (dues, room) = (Arc::clone(&self.share.dues), Arc::clone(&self.share.room));
        let wait = dues.compares.lock().turn(Instant::now());
        pause(wait, self.patience()?).await?;
        let place = timeout(self.patience()?, room.acquire_owned()).await.map_err(|_| StreamError::Slow)?;
        let place = place.map_err(|_| StreamError::Ended)?;
        let ranges = self.answers.ranges.clone();
        let mut side = self.side.take().ok_or(StreamError::Ended)?;
        let made = tokio::task::spawn_blocking(move || {
            let made = ranges.reader().map_err(ReconcileError::from).and_then(|reader| {
                let begun = Instant::now();
                let made = turn(&mut side, &Timed { reader, until: begun + TURN_TIME });
                dues.compares.lock().spend(begun.elapsed());
                made
            });
            drop(place);
            (side, made)
        });
        // A panic has been reported by itself.
        let (side, made) = made.await.map_err(|_| StreamError::Ended)?;
        self.side = Some(side);
        Ok(made?)
    }

    /// Takes turns until nothing is left to say.
    async fn turns(&mut self, writing: &mut Writing, reading: &mut Reading) -> Result<(), CompareError> {
        loop {
            let Message::Turn(turn) = reading.next(Some(self.patience()?)).await? else {
                return Err(StreamError::Wire(WireError::Field("turn")).into());
            };
            let Some(reply) = self.make(move |side, set| side.answer(set, &turn)).await? else {
                return Ok(());
            };
            let last = reply.is_empty();
            writing.say(&Message::Turn(reply)).await?;
            if last {
                return Ok(());
            }
        }
    }

    /// What came of it: what was found before the peer fell silent counts.
    fn finish(self, ran: Result<(), CompareError>, link: LinkId) -> (Option<Found>, Option<Offence>) {
        let Err(error) = ran else { return (self.side.map(Side::finish), None) };
        tracing::debug!(link, %error, "a comparison failed");
        match error {
            CompareError::Stream(StreamError::Slow | StreamError::Ended) => {
                (self.side.map(Side::finish), None)
            }
            error => (None, error.fault()),
        }
    }
}

/// Waits so long, unless that is longer than anybody waits at the other end.
async fn pause(wait: Duration, patience: Duration) -> Result<(), StreamError> {
    if wait > patience {
        return Err(StreamError::Slow);
    }
    tokio::time::sleep(wait).await;
    Ok(())
}

/// Answers a comparison that a peer leads; one beyond the rate waits for the next window, which holds up nobody but its
/// asker, or is not answered if that is far.
pub(super) async fn follow(
    answers: &Arc<Answers>,
    share: Share,
    (link, salt, until): (LinkId, [u8; 16], Millis),
    (mut writing, mut reading): (Writing, Reading),
) -> (Option<Found>, Option<Offence>) {
    let wait = share.dues.compares.lock().begin(Instant::now());
    if pause(wait, READ_PATIENCE).await.is_err() {
        return (None, None);
    }
    reading.allow(TURN_FRAME_MAX);
    let mut session = Session::new(Arc::clone(answers), share, salt, until);
    let ran = session.turns(&mut writing, &mut reading).await;
    writing.finish();
    session.finish(ran, link)
}

/// Leads a comparison; what it found, and what the peer did wrong.
pub(super) async fn lead(
    connection: &Connection,
    link: LinkId,
    answers: Arc<Answers>,
    dues: Arc<Dues>,
    (salt, until, audit): ([u8; 16], Millis, Option<u64>),
) -> (Input, Option<Offence>) {
    let share = Share { room: Arc::clone(&answers.leads), dues };
    let mut session = Session::new(answers, share, salt, until);
    let ran: Result<(), CompareError> = async {
        let opened = timeout(session.patience()?, connection.open_bi()).await;
        let (send, receive) = opened.map_err(|_| StreamError::Slow)?.map_err(|_| StreamError::Ended)?;
        let (mut writing, mut reading) = (Writing::new(send), Reading::new(receive, TURN_FRAME_MAX));
        let first = session.make(move |side, set| match audit {
            Some(pick) => side.audit(set, pick),
            None => side.open(set),
        });
        let first = first.await?;
        writing.say(&Message::Compare { salt, until }).await?;
        writing.say(&Message::Turn(first)).await?;
        session.turns(&mut writing, &mut reading).await?;
        writing.finish();
        Ok(())
    }
    .await;
    let (found, fault) = session.finish(ran, link);
    (Input::Compared(link, true, found), fault)
}
