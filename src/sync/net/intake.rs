//! Records from a peer on their way into the store: ids for the engine, a bound on how many are under way for one
//! peer, so that nobody keeps the others from the store's queue, and the store's judgement for the engine.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::framed::StreamError;
use crate::record::{NetworkId, Record, RecordId};
use crate::store::{QueueFull, Source, Store, Verdict};
use crate::sync::bytes::WireError;
use crate::sync::engine::{FRESH_MS, Input, Via};
use crate::sync::limits::{
    INTAKE_BATCH, INTAKE_BATCH_BYTES, INTAKE_KIB, INTAKE_RECORDS, STREAM_KIB, STREAM_RECORDS,
};
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

    /// The network whose records these are.
    pub(super) fn network(&self) -> NetworkId {
        self.store.network()
    }

    /// Hands records to the store, in this order, when there is room.
    pub(super) async fn take(&self, batch: Batch, via: Via) -> Result<(), StreamError> {
        if batch.len() == 0 {
            return Ok(());
        }
        let (by_count, by_size) = if via == Via::Stream { &self.streamed } else { &self.under_way };
        let count = Arc::clone(by_count).acquire_many_owned(batch.len() as u32).await;
        let size = Arc::clone(by_size).acquire_many_owned(batch.kib()).await;
        let place = count.ok().zip(size.ok()).ok_or(StreamError::Ended)?;
        let place = Arc::new(parking_lot::Mutex::new(Some(place)));
        let told: Arc<[Told]> = self.told(&batch, via).into();
        let promise = self.promise(told.iter().copied().flatten().collect())?;
        let source = if via == Via::Stream { Source::Sync } else { Source::Peer };
        let mut records = batch.records;
        loop {
            let (link, news, place, told) =
                (self.link, self.news.clone(), Arc::clone(&place), Arc::clone(&told));
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
                Ok(()) => {
                    promise.keep();
                    return Ok(());
                }
                Err(QueueFull(back)) => records = back,
            }
            tokio::time::sleep(QUEUE_PAUSE).await;
        }
    }

    /// What the engine is to know of before it is committed: who sent it need not be told of it. Of a stream that is
    /// only what is fresh; the rest is no news.
    fn told(&self, batch: &Batch, via: Via) -> Vec<Told> {
        let network = self.store.network();
        let fresh = self.store.now().0.saturating_sub(FRESH_MS);
        let told = |(n, record): (usize, &Record)| {
            let is_told = via != Via::Stream || record.header.time.0 >= fresh;
            let id = || batch.ids.get(n).copied().unwrap_or_else(|| record.id(&network));
            is_told.then(|| (id(), record.value.is_some()))
        };
        batch.records.iter().enumerate().map(told).collect()
    }

    /// Tells the engine that these came, until the promise is dropped or kept.
    fn promise(&self, came: Vec<(RecordId, bool)>) -> Result<Promise<'_>, StreamError> {
        let ids = came.iter().map(|(id, _)| *id).collect();
        if !came.is_empty() {
            let heard = self.news.send(Input::Came(self.link, came).into());
            heard.map_err(|_| StreamError::Ended)?;
        }
        Ok(Promise { intake: self, ids })
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

/// What the engine is told of a record that came: its id, and whether its value came with it.
type Told = Option<(RecordId, bool)>;

/// That what came goes into the store. If the connection ends before, it does not, and the engine must not wait for it.
struct Promise<'a> {
    intake: &'a Intake,
    ids: Vec<RecordId>,
}

impl Promise<'_> {
    fn keep(mut self) {
        self.ids.clear();
    }
}

impl Drop for Promise<'_> {
    fn drop(&mut self) {
        let ids = std::mem::take(&mut self.ids);
        if !ids.is_empty() {
            // The engine may have gone.
            let _ = self.intake.news.send(Input::Spurned(self.intake.link, ids).into());
        }
    }
}

/// Bytes a record takes beside those it came in.
const RECORD_OVERHEAD: usize = 512;

/// Records in the order in which they came.
#[derive(Default)]
pub(super) struct Batch {
    records: Vec<Record>,
    /// Their ids, of all or of none.
    ids: Vec<RecordId>,
    /// Bytes they came in.
    bytes: usize,
}

impl Batch {
    pub(super) fn push(&mut self, record: Record, bytes: usize) {
        self.records.push(record);
        self.bytes += bytes;
    }

    /// One whose id had to be looked at.
    pub(super) fn push_known(&mut self, id: RecordId, record: Record, bytes: usize) {
        self.ids.push(id);
        self.push(record, bytes);
    }

    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    pub(super) fn last(&self) -> Option<&Record> {
        self.records.last()
    }

    /// Whether it is time to hand it in.
    pub(super) fn is_full(&self) -> bool {
        self.len() >= INTAKE_BATCH || self.bytes >= INTAKE_BATCH_BYTES
    }

    /// What they take; a batch has at most some two MiB.
    fn kib(&self) -> u32 {
        let bytes = self.bytes + self.len() * RECORD_OVERHEAD;
        u32::try_from(bytes / 1024 + 1).unwrap_or(u32::MAX).min(INTAKE_KIB as u32)
    }
}

/// Reads a record's bytes.
pub(super) fn decode(whole: bool, bytes: &[u8]) -> Result<Record, WireError> {
    let record = if whole { Record::decode(bytes) } else { Record::decode_body(bytes) };
    record.map_err(|_| WireError::Field("record"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Millis, Owner, Rules, found};
    use crate::store::Config;

    #[test]
    fn what_never_went_into_the_store_is_taken_back() {
        let home = tempfile::tempdir().unwrap();
        let owner = Owner::from_seed(&[1; 32]);
        let (_, genesis) = found(&owner, &Rules::private(&[1; 32], "test"), Millis(50)).unwrap();
        let config = Config { min_free: 0, ..Config::default() };
        let store = Store::create(home.path(), &genesis, &config, Arc::new(|| Millis(60))).unwrap();
        let (news, mut heard) = tokio::sync::mpsc::unbounded_channel();
        let intake = Intake::new(7, store, news);
        let came = || vec![(RecordId([1; 32]), true), (RecordId([2; 32]), false)];
        let mut next = || heard.try_recv().ok().map(|news| news.input);

        drop(intake.promise(came()).unwrap());
        assert!(matches!(next(), Some(Input::Came(7, ids)) if ids == came()));
        let ids = [RecordId([1; 32]), RecordId([2; 32])];
        assert!(matches!(next(), Some(Input::Spurned(7, back)) if back == ids));

        intake.promise(came()).unwrap().keep();
        assert!(matches!(next(), Some(Input::Came(..))));
        assert!(next().is_none(), "it went in");
    }
}
