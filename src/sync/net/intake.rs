//! Records from a peer on their way into the store: ids for the engine, a bound on how many are under way for one
//! peer, so that nobody keeps the others from the store's queue, and the store's judgement for the engine.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::framed::StreamError;
use crate::record::{Record, RecordId};
use crate::store::{QueueFull, Source, Store, Verdict};
use crate::sync::bytes::WireError;
use crate::sync::engine::{FRESH_MS, Input, Via};
use crate::sync::limits::{INTAKE_KIB, INTAKE_RECORDS, STREAM_KIB, STREAM_RECORDS};
use crate::sync::wants::LinkId;

/// How long to wait when the store's queue is full.
const QUEUE_PAUSE: Duration = Duration::from_millis(2);

/// Room for records, which they take up until the engine has heard what became of them.
pub(super) type Place = (OwnedSemaphorePermit, OwnedSemaphorePermit);

/// What the engine is to hear of records, in the order in which it came about: they came, they were judged, they
/// were committed. What is judged keeps
/// its place until the engine has heard it, which bounds how much waits.
pub(super) struct News {
    pub(super) input: Input,
    /// Given up once the engine has heard it.
    pub(super) place: Option<Place>,
}

impl From<Input> for News {
    fn from(input: Input) -> News {
        News { input, place: None }
    }
}

/// Where one peer's records go.
#[derive(Clone)]
pub(super) struct Intake {
    link: LinkId,
    store: Store,
    /// Records and KiB of them.
    under_way: (Arc<Semaphore>, Arc<Semaphore>),
    streamed: (Arc<Semaphore>, Arc<Semaphore>),
    /// Bounded by what is under way.
    news: UnboundedSender<News>,
}

impl Intake {
    pub(super) fn new(link: LinkId, store: Store, news: UnboundedSender<News>) -> Intake {
        Intake {
            link,
            store,
            under_way: room(INTAKE_RECORDS, INTAKE_KIB),
            streamed: room(STREAM_RECORDS, STREAM_KIB),
            news,
        }
    }

    /// Hands records to the store, in this order, when there is room.
    pub(super) async fn take(&self, records: Vec<Record>, via: Via) -> Result<(), StreamError> {
        if records.is_empty() {
            return Ok(());
        }
        let (by_count, by_size) = if via == Via::Stream { &self.streamed } else { &self.under_way };
        let count = Arc::clone(by_count).acquire_many_owned(records.len() as u32).await;
        let size = Arc::clone(by_size).acquire_many_owned(kib_of(&records)).await;
        let place = count.ok().zip(size.ok()).ok_or(StreamError::Ended)?;
        let place = Arc::new(parking_lot::Mutex::new(Some(place)));
        let told = self.told(&records, via);
        let came: Vec<(RecordId, bool)> = told.iter().copied().flatten().collect();
        if !came.is_empty() {
            let heard = self.news.send(Input::Came(self.link, came).into());
            heard.map_err(|_| StreamError::Ended)?;
        }
        let source = if via == Via::Stream { Source::Sync } else { Source::Peer };
        let mut records = records;
        loop {
            let (link, news, place, told) = (self.link, self.news.clone(), Arc::clone(&place), told.clone());
            let done = move |judged: Vec<Verdict>| {
                let spurned = told.iter().zip(&judged).filter(|(_, v)| matches!(v, Verdict::Refused(_)));
                let spurned: Vec<RecordId> = spurned.filter_map(|(told, _)| Some(told.as_ref()?.0)).collect();
                // The engine may have gone.
                if !spurned.is_empty() {
                    let _ = news.send(Input::Spurned(link, spurned).into());
                }
                let _ =
                    news.send(News { input: Input::Judged(link, via, judged), place: place.lock().take() });
            };
            match self.store.submit(records, source, Box::new(done)) {
                Ok(()) => return Ok(()),
                Err(QueueFull(back)) => records = back,
            }
            tokio::time::sleep(QUEUE_PAUSE).await;
        }
    }

    /// What the engine is to know of before it is committed: who sent it need not be told of it. Of a stream that is
    /// only what is fresh; the rest is no news.
    fn told(&self, records: &[Record], via: Via) -> Vec<Option<(RecordId, bool)>> {
        let network = self.store.network();
        let fresh = self.store.now().0.saturating_sub(FRESH_MS);
        let is_told = |record: &&Record| via != Via::Stream || record.header.time.0 >= fresh;
        let told = |record| Some(record).filter(is_told).map(|r| (r.id(&network), r.value.is_some()));
        records.iter().map(told).collect()
    }

    /// Waits until the engine has heard the verdicts on everything a stream brought.
    pub(super) async fn settle(&self) {
        // Closed only with the connection.
        let _ = self.streamed.0.acquire_many(STREAM_RECORDS as u32).await;
    }
}

fn room(records: usize, kib: usize) -> (Arc<Semaphore>, Arc<Semaphore>) {
    (Arc::new(Semaphore::new(records)), Arc::new(Semaphore::new(kib)))
}

/// What records take, in KiB; a batch has at most some two MiB.
fn kib_of(records: &[Record]) -> u32 {
    let bytes: usize = records.iter().map(|record| record.value.as_ref().map_or(0, Vec::len) + 512).sum();
    u32::try_from(bytes / 1024 + 1).unwrap_or(u32::MAX).min(INTAKE_KIB as u32)
}

/// Reads a record's bytes.
pub(super) fn decode(whole: bool, bytes: &[u8]) -> Result<Record, WireError> {
    let record = if whole { Record::decode(bytes) } else { Record::decode_body(bytes) };
    record.map_err(|_| WireError::Field("record"))
}
