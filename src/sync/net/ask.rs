//! Streams with a question, asked: records by id, or everything from a cursor. What comes must be what was asked for, and
//! what came before a peer fell silent or did wrong is used.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use quinn::Connection;
use tokio::time::timeout;

use super::framed::{Reading, StreamError, Writing};
use super::intake::{Batch, Intake, decode};
use super::serve::Pace;
use crate::record::{Millis, NetworkId, Record, RecordId};
use crate::store::Point;
use crate::sync::bytes::WireError;
use crate::sync::engine::Via;
use crate::sync::limits::{ANSWER, INTAKE_BATCH, READ_PATIENCE};
use crate::sync::wire::{FRAME_MAX, Message};

/// Fetches records by id, for [`ANSWER`] at most.
pub(super) async fn fetch(
    connection: Connection,
    intake: Intake,
    ids: &[RecordId],
) -> Result<(), StreamError> {
    let expected = Expected::These(ids.iter().copied().collect());
    let mut taking = Taking::new(intake, expected);
    let (_, ended) = taking.run(&connection, Message::Want(ids.to_vec())).await;
    ended
}

/// Streams everything from a cursor; how many records came, and how it ended.
pub(super) async fn catch_up(
    connection: Connection,
    intake: Intake,
    from: Point,
) -> (u64, Result<(), StreamError>) {
    let mut taking = Taking::new(intake, Expected::After(Ascent::new(from)));
    let came = taking.run(&connection, Message::Since(from)).await;
    taking.intake.settle().await;
    came
}

/// What may come.
enum Expected {
    /// These, each once.
    These(HashSet<RecordId>),
    /// In order.
    After(Ascent),
}

/// Records one after another in (time, id) order. An id costs a hash, so it is looked at only where times are equal.
struct Ascent {
    time: Millis,
    /// Of the last one, if it is known.
    id: Option<RecordId>,
    /// Nothing has come: the point itself may.
    begins: bool,
}

impl Ascent {
    fn new((time, id): Point) -> Ascent {
        Ascent { time, id: Some(id), begins: true }
    }

    /// Whether a record may follow the last one, which is `last` unless its id is known.
    fn step(&mut self, network: &NetworkId, last: Option<&Record>, next: &Record) -> bool {
        let begins = std::mem::take(&mut self.begins);
        let time = next.header.time;
        if time != self.time {
            let later = time > self.time;
            (self.time, self.id) = (time, None);
            return later;
        }
        let before = self.id.or_else(|| Some(last?.id(network)));
        let id = next.id(network);
        self.id = Some(id);
        before.is_some_and(|before| id > before || (begins && id == before))
    }
}

struct Taking {
    intake: Intake,
    network: NetworkId,
    expected: Expected,
    via: Via,
    until: Option<Instant>,
    batch: Batch,
    count: u64,
}

impl Taking {
    fn new(intake: Intake, expected: Expected) -> Taking {
        let (via, until) = match expected {
            Expected::These(_) => (Via::Fetch, Some(Instant::now() + ANSWER)),
            Expected::After(_) => (Via::Stream, None),
        };
        let network = intake.network();
        Taking { intake, network, expected, via, until, batch: Batch::default(), count: 0 }
    }

    /// Whatever came is handed in, however it ends.
    async fn run(&mut self, connection: &Connection, question: Message) -> (u64, Result<(), StreamError>) {
        let ended = self.hear(connection, question).await;
        let handed_in = self.hand_in().await;
        (self.count, ended.and(handed_in))
    }

    async fn hear(&mut self, connection: &Connection, question: Message) -> Result<(), StreamError> {
        let opened = timeout(self.patience()?, connection.open_bi()).await;
        let (send, receive) = opened.map_err(|_| StreamError::Slow)?.map_err(|_| StreamError::Ended)?;
        let (mut writing, mut reading) = (Writing::new(send), Reading::new(receive, FRAME_MAX));
        writing.say(&question).await?;
        writing.finish();
        let mut pace = Pace::default();
        loop {
            match reading.ready()? {
                Some(Message::Record { whole, bytes }) => self.add(whole, &bytes)?,
                Some(Message::Done) => return Ok(()),
                Some(_) => return Err(WireError::Field("answer").into()),
                None => {
                    // What is here is handed in before more is awaited, unless a full batch is near.
                    if self.batch.len() >= INTAKE_BATCH / 2 || self.via == Via::Fetch {
                        self.hand_in().await?;
                    }
                    let asked = Instant::now();
                    let more = reading.more(Some(self.patience()?)).await?;
                    pace.moved(asked.elapsed(), more)?;
                }
            }
            if self.batch.is_full() {
                self.hand_in().await?;
            }
        }
    }

    fn add(&mut self, whole: bool, bytes: &[u8]) -> Result<(), WireError> {
        let record = decode(whole, bytes)?;
        match &mut self.expected {
            Expected::These(ids) => {
                let id = record.id(&self.network);
                if !ids.remove(&id) {
                    return Err(WireError::Field("answer"));
                }
                self.batch.push_known(id, record, bytes.len());
            }
            Expected::After(ascent) => {
                if !ascent.step(&self.network, self.batch.last(), &record) {
                    return Err(WireError::Field("answer"));
                }
                self.batch.push(record, bytes.len());
            }
        }
        self.count += 1;
        Ok(())
    }

    async fn hand_in(&mut self) -> Result<(), StreamError> {
        if let (Expected::After(ascent), Some(last)) = (&mut self.expected, self.batch.last()) {
            ascent.id.get_or_insert_with(|| last.id(&self.network));
        }
        self.intake.take(std::mem::take(&mut self.batch), self.via).await
    }

    /// How long to wait for the next bytes.
    fn patience(&self) -> Result<Duration, StreamError> {
        let left = self.until.map(|until| until.saturating_duration_since(Instant::now()));
        match left {
            Some(left) if left.is_zero() => Err(StreamError::Slow),
            left => Ok(left.map_or(READ_PATIENCE, |left| left.min(READ_PATIENCE))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Owner, Rules, found};

    #[test]
    fn a_stream_goes_up_and_nowhere_else() {
        let owner = Owner::from_seed(&[1; 32]);
        let (network, records) = found(&owner, &Rules::private(&[1; 32], "test"), Millis(50)).unwrap();
        let at = |time| {
            let mut record = records[0].clone();
            record.header.time = Millis(time);
            record
        };
        let mut twins = [records[0].clone(), records[1].clone()];
        twins[1].header.time = twins[0].header.time;
        twins.sort_by_key(|record| record.id(&network));
        let [low, high] = twins;
        let (time, id) = (low.header.time, low.id(&network));
        let mut from = Ascent::new((time, id));
        assert!(from.step(&network, None, &low), "the point itself");
        assert!(!from.step(&network, None, &low), "only once");
        let mut from = Ascent::new((time, id));
        assert!(from.step(&network, None, &high));
        assert!(!from.step(&network, Some(&high), &low));
        let mut from = Ascent::new((Millis(1), id));
        assert!(!from.step(&network, None, &at(0)), "before the cursor");
        let mut from = Ascent::new((Millis(1), id));
        assert!(from.step(&network, None, &at(2)) && !from.step(&network, Some(&at(2)), &at(2)));
        assert!(from.step(&network, None, &at(3)) && !from.step(&network, Some(&at(3)), &at(2)));
    }
}
