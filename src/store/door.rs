//! The one door: records are handed in, verified on all cores while earlier ones are being written, and
//! acknowledged from the writer's thread.

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use parking_lot::Mutex;
use rusqlite::Connection;

use super::config::{PIECE_RECORDS, QUEUE_BYTES_MAX, QUEUE_RECORDS_MAX};
use super::gate::{Gate, Pass};
use super::verify::{Vet, Vetting};
use super::writer::{Done, Message, Piece, Shared, Writer};
use super::{QueueFull, Refusal, Source, Store, StoreError, Verdict};
use crate::record::{Millis, Pulse, Record};

/// Bytes of a record's fixed parts, for the queue's bound.
const RECORD_FIXED: usize = 256;
const SELECTOR: usize = 112;

pub(crate) struct Door {
    sender: Option<Sender<Message>>,
    gate: Arc<Gate>,
    vet: Arc<Vet>,
    pool: rayon::ThreadPool,
    thread: Option<JoinHandle<()>>,
}

impl Door {
    pub(crate) fn open(conn: Connection, shared: Shared, vet: Vet) -> Result<Door, StoreError> {
        let (sender, inbox) = channel();
        let home = shared.home.clone();
        let io = |source: std::io::Error| StoreError::Io { path: home, source };
        let pool = rayon::ThreadPoolBuilder::new()
            .thread_name(|n| format!("lfdns-verify-{n}"))
            .build()
            .map_err(|e| StoreError::Io { path: shared.home.clone(), source: std::io::Error::other(e) })?;
        let writer = Writer::new(conn, shared, inbox);
        let thread =
            std::thread::Builder::new().name("lfdns-writer".into()).spawn(|| writer.run()).map_err(io)?;
        Ok(Door {
            sender: Some(sender),
            gate: Arc::new(Gate::new(QUEUE_RECORDS_MAX, QUEUE_BYTES_MAX)),
            vet: Arc::new(vet),
            pool,
            thread: Some(thread),
        })
    }

    pub(crate) fn queued(&self) -> usize {
        self.gate.records()
    }

    pub(crate) fn send(&self, message: Message) {
        // A writer that has died drops the message, and with it whatever would answer it.
        let _ = self.sender.as_ref().map(|sender| sender.send(message));
    }

    /// Starts verifying a piece and gives it its place in the writer's queue, in this order of calls.
    fn put(&self, records: Vec<Record>, source: Source, pass: Arc<Pass>, done: Done) {
        let (finished, vetted) = channel::<Vec<Vetting>>();
        let bulk = matches!(source, Source::Import | Source::Sync) || records.len() >= PIECE_RECORDS;
        self.send(Message::Piece(Piece { vetted, done, pass, bulk }));
        let vet = Arc::clone(&self.vet);
        self.pool.spawn(move || {
            // The writer may have gone meanwhile.
            let _ = finished.send(vet.piece(records, source));
        });
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.gate.close();
        // The last connection to close puts the log back into the file. One that only reads cannot do that, so
        // they go before the writer hears that it may end.
        self.vet.readers.close_idle();
        self.sender = None;
        let Some(thread) = self.thread.take() else { return };
        // The last handle may go on the writer's own thread, inside an acknowledgement.
        if thread.thread().id() != std::thread::current().id() && thread.join().is_err() {
            tracing::error!("the store's writer ended in a panic");
        }
    }
}

impl Store {
    /// Hands records in and waits until each is judged and, if accepted, on the disk. Verdicts in the order
    /// of the records. Not to be called from a subscriber, nor from an async worker.
    pub fn ingest(&self, records: Vec<Record>, source: Source) -> Vec<Verdict> {
        let Some(door) = &self.inner.door else {
            return vec![Verdict::Refused(Refusal::ReadOnly); records.len()];
        };
        let mut waiting = Vec::with_capacity(records.len() / PIECE_RECORDS + 1);
        for piece in pieces(records) {
            let (count, bytes) = (piece.len(), bytes_of(&piece));
            let (answer, answered) = channel();
            if let Some(pass) = door.gate.enter(count, bytes) {
                let done: Done = Box::new(move |verdicts| drop(answer.send(verdicts)));
                door.put(piece, source, Arc::new(pass), done);
            }
            waiting.push((count, answered));
        }
        let closed = |count| vec![Verdict::Refused(Refusal::Closed); count];
        waiting.into_iter().flat_map(|(count, rx)| rx.recv().unwrap_or_else(|_| closed(count))).collect()
    }

    /// Hands records in without waiting; `done` is called once, on the writer's thread, with all verdicts.
    /// Gives the records back, without calling `done`, when the bounded queue has no room.
    pub fn submit(
        &self,
        records: Vec<Record>,
        source: Source,
        done: Box<dyn FnOnce(Vec<Verdict>) + Send>,
    ) -> Result<(), QueueFull> {
        let Some(door) = &self.inner.door else {
            done(vec![Verdict::Refused(Refusal::ReadOnly); records.len()]);
            return Ok(());
        };
        let Some(pass) = door.gate.try_enter(records.len(), bytes_of(&records)) else {
            return Err(QueueFull(records));
        };
        let pass = Arc::new(pass);
        let pieces = pieces(records);
        if pieces.is_empty() {
            done(Vec::new());
            return Ok(());
        }
        let together =
            Arc::new(Mutex::new(Together { left: pieces.len(), verdicts: Vec::new(), done: Some(done) }));
        for piece in pieces {
            let together = Arc::clone(&together);
            let done: Done = Box::new(move |verdicts| Together::add(&together, verdicts));
            door.put(piece, source, Arc::clone(&pass), done);
        }
        Ok(())
    }

    /// Hands pulses in and waits. Only the highest minute of a record counts; lower ones are `Known`.
    pub fn ingest_pulses(&self, pulses: Vec<Pulse>) -> Vec<Verdict> {
        let Some(door) = &self.inner.door else {
            return vec![Verdict::Refused(Refusal::ReadOnly); pulses.len()];
        };
        let mut verdicts = Vec::with_capacity(pulses.len());
        let mut valid = Vec::new();
        for pulse in pulses {
            match self.vet_pulse(&pulse) {
                Ok((row, slot)) => {
                    valid.push((pulse, row, slot));
                    verdicts.push(None);
                }
                Err(refusal) => verdicts.push(Some(Verdict::Refused(refusal))),
            }
        }
        let (answer, answered) = channel();
        door.send(Message::Pulses(valid, Box::new(move |verdicts| drop(answer.send(verdicts)))));
        let mut judged = answered.recv().unwrap_or_default().into_iter();
        let mut next = || judged.next().unwrap_or(Verdict::Refused(Refusal::Closed));
        verdicts.into_iter().map(|verdict| verdict.unwrap_or_else(&mut next)).collect()
    }

    fn vet_pulse(&self, pulse: &Pulse) -> Result<(i64, Option<crate::record::PathKey>), Refusal> {
        let storage = |error: StoreError| Refusal::Storage(error.to_string());
        let found = self.snapshot().and_then(|s| s.by_id(&pulse.record)).map_err(storage)?;
        let (row, record) = found.ok_or(Refusal::UnknownRecord)?;
        let key = record.header.pulse_key.ok_or(Refusal::BadPulse)?;
        let now: Millis = (self.inner.shared.clock)();
        if Pulse::instant(record.header.time, pulse.minute) > now.plus(self.rules().drift_ms) {
            return Err(Refusal::EarlyPulse);
        }
        if !pulse.verify(&self.inner.network, &key) {
            return Err(Refusal::BadPulse);
        }
        Ok((row.0, record.paths(&self.inner.network).last().copied()))
    }

    /// Notes selector names this node was told in the clear, so that they need not be derived or guessed
    /// again. Local, bounded by [`super::BOOK_MAX`], written soon.
    pub fn learn_names(&self, names: &[&[u8]]) {
        if let Some(door) = &self.inner.door {
            let fitting = names.iter().filter(|name| name.len() <= crate::record::NAME_MAX);
            door.send(Message::Names(fitting.map(|name| name.to_vec()).collect()));
        }
    }

    /// Lets in deferred records whose time has come. To be called about once a second.
    pub fn tick(&self) {
        if let Some(door) = &self.inner.door {
            door.send(Message::Tick);
        }
    }

    /// Waits until everything handed in before is done.
    pub fn flush(&self) {
        if let Some(door) = &self.inner.door {
            let (reached, wait) = channel();
            door.send(Message::Barrier(reached));
            let _ = wait.recv();
        }
    }
}

/// The verdicts of one call whose records went through in several pieces.
struct Together {
    left: usize,
    verdicts: Vec<Verdict>,
    done: Option<Done>,
}

impl Together {
    /// Pieces are acknowledged in the order they were put.
    fn add(together: &Mutex<Together>, verdicts: Vec<Verdict>) {
        let mut guard = together.lock();
        guard.verdicts.extend(verdicts);
        guard.left -= 1;
        if guard.left == 0
            && let Some(done) = guard.done.take()
        {
            let verdicts = std::mem::take(&mut guard.verdicts);
            drop(guard);
            done(verdicts);
        }
    }
}

fn pieces(records: Vec<Record>) -> Vec<Vec<Record>> {
    let mut pieces = Vec::with_capacity(records.len().div_ceil(PIECE_RECORDS));
    let mut records = records.into_iter().peekable();
    while records.peek().is_some() {
        pieces.push(records.by_ref().take(PIECE_RECORDS).collect());
    }
    pieces
}

fn bytes_of(records: &[Record]) -> usize {
    let size = |record: &Record| {
        let value = record.value.as_ref().map_or(0, Vec::len);
        RECORD_FIXED + SELECTOR * record.selectors.len() + value
    };
    records.iter().map(size).sum()
}
