//! The one writing thread. It gathers what waits (in the order it was handed in, each piece verified on the
//! other cores meanwhile), puts it in topological order, writes it in one transaction with one fsync, tells
//! the feed, then acknowledges. A transaction that fails fails its whole group with a typed refusal and
//! leaves nothing: neither rows nor anything remembered.

use std::collections::BinaryHeap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rusqlite::{Connection, TransactionBehavior, params};

use super::apply::{Batch, Changes, Linked, Memory};
use super::config::{
    BATCH_BYTES_MAX, BATCH_RECORDS_MAX, BOOK_MAX, BULK_PAUSE_MS, Clock, Config, DEFERRED_BYTES_MAX,
    DEFERRED_MAX, LINGER_MS, ORPHAN_BYTES_MAX, ORPHANS_MAX,
};
use super::feed::{Commit, Feed};
use super::gate::Pass;
use super::pools::{Bounds, Deferred, Orphans};
use super::verify::{Vetted, Vetting};
use super::{Refusal, StoreError, Verdict, schema};
use crate::record::{Link, Millis, PathKey, Pulse, RecordId, Rules};

/// Called with a piece's verdicts, on the writer's thread.
pub(crate) type Done = Box<dyn FnOnce(Vec<Verdict>) + Send>;

/// What the writer is asked to do.
pub(crate) enum Message {
    Piece(Piece),
    /// Verified pulses, each with its record's row and slot.
    Pulses(Vec<(Pulse, i64, Option<PathKey>)>, Done),
    Names(Vec<Vec<u8>>),
    /// Look for deferred records whose time has come.
    Tick,
    /// Run this between two transactions.
    Between(Box<dyn FnOnce() + Send>),
    /// Answer when everything before this is done.
    Barrier(Sender<()>),
}

/// Some records on their way through verification.
pub(crate) struct Piece {
    pub(crate) vetted: Receiver<Vec<Vetting>>,
    pub(crate) done: Done,
    pub(crate) pass: Arc<Pass>,
    /// One of many, whose sender does not mind waiting a little for all of them together.
    pub(crate) bulk: bool,
}

/// What others may read while the writer works.
#[derive(Default)]
pub(crate) struct Gauges {
    pub(crate) seq: AtomicU64,
    pub(crate) orphans: AtomicUsize,
    pub(crate) orphan_bytes: AtomicUsize,
    pub(crate) deferred: AtomicUsize,
}

/// What the writer shares with the rest of the store.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) home: PathBuf,
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) root: PathKey,
    pub(crate) rules: Arc<ArcSwap<Rules>>,
    pub(crate) newest_genesis: Arc<Mutex<Link>>,
    pub(crate) feed: Arc<Feed>,
    pub(crate) gauges: Arc<Gauges>,
}

pub(crate) struct Writer {
    conn: Connection,
    shared: Shared,
    inbox: Receiver<Message>,
    held: Option<Message>,
    memory: Memory,
    orphans: Orphans<Arc<Vetted>>,
    deferred: Deferred<Arc<Vetted>>,
    /// When records last came in bulk, if the log may still grow for it.
    bulk: Option<Millis>,
}

/// Where a record in work came from, and so where its verdict goes.
#[derive(Clone, Copy)]
enum Origin {
    Piece { piece: usize, at: usize },
    Deferred,
    Orphan,
}

struct Item {
    vetted: Arc<Vetted>,
    origin: Origin,
}

/// Pieces of one transaction.
#[derive(Default)]
struct Group {
    verdicts: Vec<Vec<Option<Verdict>>>,
    ends: Vec<(Done, Arc<Pass>)>,
    items: Vec<Item>,
    bytes: usize,
    /// Nothing in it came one by one.
    bulk: bool,
}

/// What a transaction found out, to be acted on once it is committed.
#[derive(Default)]
struct Findings {
    verdicts: Vec<(Origin, Verdict)>,
    settled: Vec<RecordId>,
    orphans: Vec<(Arc<Vetted>, Vec<RecordId>)>,
    deferred: Vec<(Arc<Vetted>, Millis)>,
    rules: Option<(Link, Rules)>,
    changed: bool,
}

impl Writer {
    pub(crate) fn new(conn: Connection, shared: Shared, inbox: Receiver<Message>) -> Writer {
        Writer {
            conn,
            shared,
            inbox,
            held: None,
            memory: Memory::default(),
            orphans: Orphans::new(Bounds { count: ORPHANS_MAX, bytes: ORPHAN_BYTES_MAX }),
            deferred: Deferred::new(Bounds { count: DEFERRED_MAX, bytes: DEFERRED_BYTES_MAX }),
            bulk: None,
        }
    }

    /// Works until every sender is gone.
    pub(crate) fn run(mut self) {
        while let Some(message) = self.held.take().or_else(|| self.inbox.recv().ok()) {
            match message {
                Message::Piece(piece) => {
                    let group = self.gather(piece);
                    let bulk = group.bulk;
                    if bulk {
                        self.begin_bulk();
                    }
                    self.write_group(group);
                    // Counted from its end: it may have taken long.
                    if let Some(last) = self.bulk.as_mut().filter(|_| bulk) {
                        *last = (self.shared.clock)();
                    }
                }
                Message::Tick => {
                    self.write_group(Group::default());
                    self.end_bulk();
                }
                Message::Pulses(pulses, done) => self.write_pulses(&pulses, done),
                Message::Names(names) => self.write_names(&names),
                Message::Between(act) => act(),
                // Whoever asked may have stopped waiting.
                Message::Barrier(reached) => drop(reached.send(())),
            }
        }
    }

    /// The piece, and all verified ones that wait behind it, up to the bounds of one transaction. While records
    /// come in bulk it waits for more of them: the more go into one transaction, the fewer index pages are
    /// written for each.
    fn gather(&mut self, first: Piece) -> Group {
        let mut group = Group::default();
        let until = (self.shared.clock)().plus(LINGER_MS);
        let vetted = first.vetted.recv().unwrap_or_default();
        let mut bulk = first.bulk;
        group.push(vetted, first.done, first.pass);
        while group.items.len() < BATCH_RECORDS_MAX && group.bytes < BATCH_BYTES_MAX {
            let Ok(message) = self.inbox.try_recv() else { break };
            let Message::Piece(piece) = message else {
                self.held = Some(message);
                break;
            };
            // The other half of what was handed in is verified while this one is written.
            let more = bulk && 2 * group.len() < piece.pass.inside() && (self.shared.clock)() < until;
            let received =
                if more { piece.vetted.recv().map_err(TryRecvError::from) } else { piece.vetted.try_recv() };
            match received {
                Ok(vetted) => {
                    bulk &= piece.bulk;
                    group.push(vetted, piece.done, piece.pass);
                }
                Err(TryRecvError::Disconnected) => group.push(Vec::new(), piece.done, piece.pass),
                Err(TryRecvError::Empty) => {
                    self.held = Some(Message::Piece(piece));
                    break;
                }
            }
        }
        group.bulk = bulk;
        group
    }

    /// Lets the log grow while records come in bulk, as long as the disk has room for it twice: there and in the file. Else
    /// writing would stop at the floor with a log that can no longer be put into the file.
    fn begin_bulk(&mut self) {
        let room = self.shared.config.min_free.saturating_add(2 * schema::LOG_BYTES_BULK);
        if self.shared.config.probe.free(&self.shared.home).is_ok_and(|free| free < room) {
            return self.cut_log();
        }
        if self.bulk.is_none()
            && let Err(error) = schema::checkpoint_for_bulk(&self.conn, true)
        {
            tracing::warn!(%error, "the log stays short");
        }
        self.bulk = Some((self.shared.clock)());
    }

    /// Cuts the log back once no bulk has come for a while.
    fn end_bulk(&mut self) {
        if self.bulk.is_none_or(|last| last.plus(BULK_PAUSE_MS) > (self.shared.clock)()) {
            return;
        }
        self.cut_log();
    }

    fn cut_log(&mut self) {
        if self.bulk.take().is_none() {
            return;
        }
        let ended = schema::checkpoint_for_bulk(&self.conn, false);
        if let Err(error) = ended.and_then(|()| schema::checkpoint(&self.conn)) {
            tracing::warn!(%error, "the log could not be put into the store's file; a later commit will");
        }
    }

    fn write_group(&mut self, mut group: Group) {
        let now = (self.shared.clock)();
        if let Some(refusal) = self.disk_refusal() {
            self.refuse_new(&mut group, &refusal);
            return group.acknowledge();
        }
        let due = self.deferred.due(now).into_iter();
        group.items.extend(due.map(|vetted| Item { vetted, origin: Origin::Deferred }));
        if group.items.is_empty() {
            return group.acknowledge();
        }
        match self.transact(&group.items, now) {
            Ok((findings, changes)) => self.settle(&mut group, findings, changes),
            Err(error) => {
                self.memory.clear();
                let refusal = self.refusal_of(&error);
                tracing::error!(%error, records = group.items.len(), "a transaction failed; nothing of it was kept");
                self.fail(&mut group, &refusal);
            }
        }
        self.publish_gauges();
        group.acknowledge();
    }

    /// One transaction: every item and whatever waited for it, parents first.
    fn transact(&mut self, items: &[Item], now: Millis) -> Result<(Findings, Option<Changes>), StoreError> {
        let tx = self.conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let classifier = self.shared.feed.classifier();
        let mut batch = Batch::new(&tx, self.shared.root, &mut self.memory, classifier)?;
        let mut findings = Findings::default();
        let drift = self.shared.rules.load().drift_ms;
        let mut heap: BinaryHeap<Queued> =
            items.iter().map(|item| Queued::new(Arc::clone(&item.vetted), item.origin)).collect();
        batch.look_up(items.iter().map(|item| item.vetted.id).collect())?;
        while let Some(Queued { vetted, origin, .. }) = heap.pop() {
            let verdict = place(&mut batch, &vetted, now, drift, &mut findings)?;
            if matches!(verdict, Verdict::Accepted(_)) {
                let woken = self.orphans.waiting_for(&vetted.id).into_iter();
                heap.extend(woken.map(|orphan| Queued::new(orphan, Origin::Orphan)));
            }
            findings.verdicts.push((origin, verdict));
        }
        if !findings.changed {
            return Ok((findings, None));
        }
        let changes = batch.finish(now)?;
        tx.commit()?;
        Ok((findings, Some(changes)))
    }

    /// After the commit: rules, pools, feed; the acknowledgements come last.
    fn settle(&mut self, group: &mut Group, findings: Findings, changes: Option<Changes>) {
        for id in &findings.settled {
            self.orphans.remove(id);
        }
        for (vetted, missing) in findings.orphans {
            self.orphans.insert(vetted.id, vetted.size(), &missing, Arc::clone(&vetted));
        }
        for (vetted, until) in findings.deferred {
            self.deferred.insert(until, vetted.id, vetted.size(), Arc::clone(&vetted));
        }
        for (origin, verdict) in findings.verdicts {
            group.answer(origin, verdict);
        }
        let global = findings.rules.is_some_and(|(link, rules)| self.adopt_rules(link, rules));
        if let Some(changes) = changes {
            self.publish(changes, global);
        }
    }

    fn adopt_rules(&self, link: Link, rules: Rules) -> bool {
        let mut newest = self.shared.newest_genesis.lock();
        let newer = (link.time, link.id) > (newest.time, newest.id);
        if newer {
            *newest = link;
            self.shared.rules.store(Arc::new(rules));
        }
        newer
    }

    fn publish(&self, changes: Changes, global: bool) {
        let seq = self.shared.gauges.seq.fetch_add(1, Ordering::AcqRel) + 1;
        let Changes { added, filled, slots, flips, cuts } = changes;
        self.shared.feed.publish(&Commit { added, filled, slots, flips, cuts, global, seq });
    }

    fn publish_gauges(&self) {
        let gauges = &self.shared.gauges;
        gauges.orphans.store(self.orphans.len(), Ordering::Relaxed);
        gauges.orphan_bytes.store(self.orphans.bytes(), Ordering::Relaxed);
        gauges.deferred.store(self.deferred.len(), Ordering::Relaxed);
    }

    /// A failed transaction: everybody in it hears why, what was deferred goes on waiting.
    fn fail(&mut self, group: &mut Group, refusal: &Refusal) {
        for item in std::mem::take(&mut group.items) {
            match item.origin {
                Origin::Deferred => {
                    let drift = self.shared.rules.load().drift_ms;
                    let until = Millis(item.vetted.time().0.saturating_sub(drift));
                    self.deferred.insert(until, item.vetted.id, item.vetted.size(), item.vetted);
                }
                origin => group.answer(origin, Verdict::Refused(refusal.clone())),
            }
        }
    }

    /// With the disk nearly full nothing new is written; what is here already is still "known".
    fn refuse_new(&self, group: &mut Group, refusal: &Refusal) {
        for item in std::mem::take(&mut group.items) {
            let known = super::snapshot::find(&self.conn, &item.vetted.id).is_ok_and(|p| p.is_some());
            let verdict =
                if known { Verdict::Known(item.vetted.id) } else { Verdict::Refused(refusal.clone()) };
            group.answer(item.origin, verdict);
        }
    }

    fn disk_refusal(&self) -> Option<Refusal> {
        let floor = self.shared.config.min_free;
        match self.shared.config.probe.free(&self.shared.home) {
            Ok(free) => (free < floor).then_some(Refusal::DiskFull { free, floor }),
            Err(error) => {
                tracing::warn!(%error, "cannot find out how much disk is free; writing anyway");
                None
            }
        }
    }

    fn refusal_of(&self, error: &StoreError) -> Refusal {
        let full = matches!(error, StoreError::Sql(rusqlite::Error::SqliteFailure(e, _))
            if e.code == rusqlite::ErrorCode::DiskFull);
        if full {
            let free = self.shared.config.probe.free(&self.shared.home).unwrap_or(0);
            return Refusal::DiskFull { free, floor: self.shared.config.min_free };
        }
        Refusal::Storage(error.to_string())
    }

    fn write_pulses(&mut self, pulses: &[(Pulse, i64, Option<PathKey>)], done: Done) {
        let refused = self.disk_refusal();
        let written = match refused {
            Some(refusal) => Err(refusal),
            None => self.transact_pulses(pulses).map_err(|error| self.refusal_of(&error)),
        };
        let verdicts = match written {
            Err(refusal) => vec![Verdict::Refused(refusal); pulses.len()],
            Ok((verdicts, slots)) => {
                if verdicts.iter().any(|v| matches!(v, Verdict::Accepted(_))) {
                    self.publish(Changes { slots, ..Changes::default() }, false);
                }
                verdicts
            }
        };
        done(verdicts);
    }

    fn transact_pulses(
        &mut self,
        pulses: &[(Pulse, i64, Option<PathKey>)],
    ) -> Result<(Vec<Verdict>, Vec<PathKey>), StoreError> {
        let tx = self.conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let (mut verdicts, mut slots) = (Vec::with_capacity(pulses.len()), Vec::new());
        for (pulse, row, slot) in pulses {
            let newer = tx
                .prepare_cached(
                    "INSERT INTO pulse(row, minute, sig) VALUES(?1, ?2, ?3) ON CONFLICT DO UPDATE
                     SET minute = excluded.minute, sig = excluded.sig WHERE excluded.minute > minute",
                )?
                .execute(params![row, pulse.minute, pulse.signature])?;
            if newer == 0 {
                verdicts.push(Verdict::Known(pulse.record));
                continue;
            }
            verdicts.push(Verdict::Accepted(pulse.record));
            slots.extend(*slot);
        }
        tx.commit()?;
        slots.sort_unstable();
        slots.dedup();
        Ok((verdicts, slots))
    }

    /// The book only makes answers faster: if it cannot be written, nothing is lost.
    fn write_names(&mut self, names: &[Vec<u8>]) {
        if self.disk_refusal().is_some() {
            return;
        }
        if let Err(error) = self.transact_names(names) {
            tracing::warn!(%error, "names could not be noted in the book");
        }
    }

    fn transact_names(&mut self, names: &[Vec<u8>]) -> Result<(), StoreError> {
        let tx = self.conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let noted: i64 = tx.query_row("SELECT count(*) FROM book", [], |row| row.get(0))?;
        let room = BOOK_MAX.saturating_sub(usize::try_from(noted).unwrap_or(BOOK_MAX));
        let mut added = 0;
        for name in names {
            if added >= room {
                break;
            }
            added +=
                tx.prepare_cached("INSERT OR IGNORE INTO book(name) VALUES(?1)")?.execute(params![name])?;
        }
        if added > 0 {
            tx.commit()?;
        }
        Ok(())
    }
}

/// Decides about one record inside the transaction.
fn place(
    batch: &mut Batch<'_>,
    vetted: &Arc<Vetted>,
    now: Millis,
    drift: u64,
    findings: &mut Findings,
) -> Result<Verdict, StoreError> {
    let id = vetted.id;
    if let Some(place) = batch.find(&id)? {
        if !place.has_value && vetted.record.value.is_some() {
            batch.fill(vetted, place.row)?;
            findings.changed = true;
        }
        findings.settled.push(id);
        return Ok(Verdict::Known(id));
    }
    if vetted.time() > now.plus(drift) {
        let until = Millis(vetted.time().0 - drift);
        findings.deferred.push((Arc::clone(vetted), until));
        return Ok(Verdict::Deferred { id, until });
    }
    match batch.link(vetted)? {
        Linked::Missing(missing) => {
            findings.orphans.push((Arc::clone(vetted), missing.clone()));
            Ok(Verdict::Orphan { id, missing })
        }
        Linked::Refused(refusal) => {
            findings.settled.push(id);
            Ok(Verdict::Refused(refusal))
        }
        Linked::Rows(parents) => {
            batch.add(vetted, &parents)?;
            findings.settled.push(id);
            findings.changed = true;
            let link = Link { id, time: vetted.time() };
            let newest = findings.rules.as_ref().is_none_or(|(l, _)| (l.time, l.id) < (link.time, link.id));
            if let Some(rules) = vetted.rules.as_ref().filter(|_| newest) {
                findings.rules = Some((link, rules.clone()));
            }
            Ok(Verdict::Accepted(id))
        }
    }
}

/// A record in the heap: the earliest (time, id) comes out first.
struct Queued {
    /// Time and first bytes of the id: nearly always enough to tell two apart.
    begin: (Millis, [u8; 8]),
    vetted: Arc<Vetted>,
    origin: Origin,
}

impl Queued {
    fn new(vetted: Arc<Vetted>, origin: Origin) -> Queued {
        let begin = (vetted.time(), *vetted.id.0.first_chunk().unwrap_or(&[0; 8]));
        Queued { begin, vetted, origin }
    }
}

impl PartialEq for Queued {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Queued {}

impl PartialOrd for Queued {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Queued {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.begin.cmp(&self.begin).then_with(|| other.vetted.id.cmp(&self.vetted.id))
    }
}

impl Group {
    fn push(&mut self, vetted: Vec<Vetting>, done: Done, pass: Arc<Pass>) {
        let piece = self.verdicts.len();
        let mut verdicts = Vec::with_capacity(vetted.len());
        for (at, vetting) in vetted.into_iter().enumerate() {
            match vetting {
                Vetting::Done(verdict) => verdicts.push(Some(verdict)),
                Vetting::Pass(vetted) => {
                    verdicts.push(None);
                    self.bytes += vetted.size();
                    self.items.push(Item { vetted, origin: Origin::Piece { piece, at } });
                }
            }
        }
        self.verdicts.push(verdicts);
        self.ends.push((done, pass));
    }

    /// Records in it, those that need no writing too.
    fn len(&self) -> usize {
        self.verdicts.iter().map(Vec::len).sum()
    }

    fn answer(&mut self, origin: Origin, verdict: Verdict) {
        if let Origin::Piece { piece, at } = origin {
            self.verdicts[piece][at] = Some(verdict);
        }
    }

    fn acknowledge(self) {
        for (verdicts, (done, pass)) in self.verdicts.into_iter().zip(self.ends) {
            drop(pass);
            done(verdicts.into_iter().map(|v| v.unwrap_or(Verdict::Refused(Refusal::Closed))).collect());
        }
    }
}
