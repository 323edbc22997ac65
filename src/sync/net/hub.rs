//! The driver of the engine: one thread that hears facts, asks the engine, and acts without ever waiting for a peer.
//! It may read the store, so it is no worker of the async runtime.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use quinn::Connection;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use super::Duties;
use super::ask;
use super::compare;
use super::dial::{Dialler, Silence};
use super::framed::StreamError;
use super::intake::News;
use super::line::{Frame, Line, Met, Surroundings};
use super::progress::Published;
use crate::record::{Millis, RecordId};
use crate::store::{Commit, FIRST, Point, Ranges, Row, Snapshot, Store, StoreError, Tally};
use crate::sync::PeerAddress;
use crate::sync::address::plain;
use crate::sync::engine::{Action, Engine, Input, VALUES_COUNTED, View};
use crate::sync::face::{Peer, PeersError, Traffic};
use crate::sync::limits::COMMITS_QUEUE;
use crate::sync::wants::LinkId;
use crate::sync::wire::{Hello, Message, put_record};

/// The table of peers is written down no more often than this.
const SAVE_PAUSE: Duration = Duration::from_secs(5);
/// Facts taken in one go before the engine's clockwork is looked at again.
const FACTS_AT_ONCE: usize = 256;

/// A question for the driver, with where the answer goes.
pub(super) enum Ask {
    Peers(std::sync::mpsc::Sender<Vec<Peer>>),
    Add(PeerAddress, std::sync::mpsc::Sender<Result<(), PeersError>>),
    Remove(String, std::sync::mpsc::Sender<Result<(), PeersError>>),
    /// A peer has proved itself; if this node dialled, the address it dialled.
    Met(Met, Option<PeerAddress>),
}

/// What the driver hears.
pub(super) struct Ears {
    pub(super) asks: mpsc::Receiver<Ask>,
    pub(super) facts: mpsc::Receiver<Input>,
    pub(super) news: mpsc::UnboundedReceiver<News>,
    pub(super) stop: watch::Receiver<bool>,
}

/// Committed records on their way from the store's writer to the engine.
#[derive(Default)]
pub(super) struct Commits {
    waiting: AtomicUsize,
    unheard: AtomicBool,
    /// The rules may have changed.
    rules: AtomicBool,
}

impl Commits {
    /// What the store's feed calls; never waits.
    pub(super) fn hear(&self, commit: &Commit, to: &mpsc::UnboundedSender<News>) {
        if commit.global {
            self.rules.store(true, Ordering::Relaxed);
        }
        self.tell(&commit.added, Input::Committed, to);
        self.tell(&commit.filled, Input::Filled, to);
    }

    fn tell(&self, points: &[Point], fact: fn(Vec<Point>) -> Input, to: &mpsc::UnboundedSender<News>) {
        let count = points.len();
        if count == 0 {
            return;
        }
        if self.waiting.fetch_add(count, Ordering::Relaxed) >= COMMITS_QUEUE {
            self.waiting.fetch_sub(count, Ordering::Relaxed);
            self.unheard.store(true, Ordering::Relaxed);
        } else {
            // The engine may have gone.
            let _ = to.send(fact(points.to_vec()).into());
        }
    }
}

/// The driver.
pub(super) struct Hub {
    pub(super) engine: Engine,
    pub(super) store: Store,
    pub(super) ranges: Ranges,
    pub(super) around: Surroundings,
    pub(super) asks: mpsc::Sender<Ask>,
    pub(super) dialler: Arc<Dialler>,
    pub(super) commits: Arc<Commits>,
    pub(super) silence: Arc<Silence>,
    pub(super) duties: Duties,
    pub(super) runtime: Handle,
    pub(super) port: u16,
    pub(super) lines: HashMap<LinkId, Line>,
    pub(super) next_link: LinkId,
    pub(super) save_due: Option<Instant>,
    pub(super) progress: Arc<Published>,
    /// There may be progress to be told: when to.
    pub(super) unpublished: Option<Instant>,
    /// Connections, and whether this node was once in agreement, when it was last told.
    pub(super) told: (usize, bool),
    /// How this node presents itself now; handshakes read it.
    pub(super) hello: watch::Sender<Hello>,
    pub(super) begun: (Instant, Millis),
}

impl Hub {
    /// Works until told to stop.
    pub(super) async fn run(mut self, mut ears: Ears) {
        loop {
            self.attend(None);
            self.publish();
            let due = self.next_due();
            tokio::select! {
                biased;
                _ = ears.stop.wait_for(|stop| *stop) => break,
                Some(ask) = ears.asks.recv() => self.asked(ask),
                Some(news) = ears.news.recv() => self.hear_news(news),
                Some(fact) = ears.facts.recv() => self.hear(fact),
                () = tokio::time::sleep_until(due.into()) => {}
            }
            // Whatever else has come is taken before the clockwork turns again.
            for _ in 0..FACTS_AT_ONCE {
                if let Ok(news) = ears.news.try_recv() {
                    self.hear_news(news);
                } else if let Ok(fact) = ears.facts.try_recv() {
                    self.hear(fact);
                } else {
                    break;
                }
            }
        }
        self.lines.values().for_each(|line| line.close("this node stops"));
        self.save_or_warn();
    }

    /// The steady clock in unix milliseconds.
    fn now(&self) -> Millis {
        let (instant, at) = self.begun;
        at.plus(u64::try_from(instant.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    fn next_due(&self) -> Instant {
        let (instant, at) = self.begun;
        let far = Duration::from_secs(1);
        let engine =
            self.engine.deadline().map(|due| instant + Duration::from_millis(due.0.saturating_sub(at.0)));
        let far = Instant::now() + far;
        [engine, self.save_due, self.unpublished].into_iter().flatten().fold(far, Instant::min)
    }

    /// Tells how far replication is: what only counts now and then, who is connected at once, so that it is so for whoever
    /// has just seen the peer listed.
    fn publish(&mut self) {
        let state = (self.lines.len(), self.engine.synchronised());
        let (now, due) = (Instant::now(), self.progress.due());
        let wait = due > now && state == self.told;
        self.unpublished = wait.then_some(due);
        if !wait {
            self.told = state;
            self.progress.publish(self.engine.progress(self.now()), now);
        }
    }

    fn hear_news(&mut self, News { input, place }: News) {
        self.hear(input);
        drop(place);
    }

    fn hear(&mut self, fact: Input) {
        match &fact {
            Input::Committed(points) | Input::Filled(points) => {
                self.commits.waiting.fetch_sub(points.len(), Ordering::Relaxed);
            }
            Input::Down(link, _) => drop(self.lines.remove(link)),
            _ => {}
        }
        let wrong = if let Input::Turned(_, ip, _) = &fact { Some(*ip) } else { None };
        self.attend(Some(fact));
        if let Some(ip) = wrong.filter(|ip| self.engine.turns_away(None, *ip, self.now())) {
            self.silence.keep(ip, Instant::now());
        }
    }

    /// Lets the engine hear a fact, or look at the clock, and does what it says.
    fn attend(&mut self, fact: Option<Input>) {
        let now = self.now();
        let view = StoreView::new(&self.store, &self.ranges);
        if let Some(fact) = fact {
            self.engine.handle(now, fact, &view);
        } else {
            if self.commits.rules.swap(false, Ordering::Relaxed) {
                let peers = PeerAddress::list(&self.store.rules().seed_peers);
                self.engine.table().set_rules(&peers, now);
            }
            if self.commits.unheard.swap(false, Ordering::Relaxed) {
                self.engine.handle(now, Input::Unheard, &view);
            }
            self.engine.tick(now, &view);
        }
        drop(view);
        let mut sending = None;
        while let Some(action) = self.engine.poll() {
            self.act(action, &mut sending);
        }
        if self.save_due.is_some_and(|due| due <= Instant::now()) {
            self.save_due = None;
            self.save_or_warn();
        }
    }

    fn save(&mut self) -> Result<(), PeersError> {
        (self.duties.save)(self.engine.table().save()).map_err(PeersError::Storage)
    }

    fn save_or_warn(&mut self) {
        if let Err(error) = self.save() {
            tracing::warn!("{error}");
        }
    }

    fn asked(&mut self, ask: Ask) {
        // Whoever asked may have stopped waiting.
        match ask {
            Ask::Peers(to) => drop(to.send(self.peers())),
            Ask::Add(address, to) => {
                let now = self.now();
                let added = self.engine.table().add(address, now);
                drop(to.send(added.and_then(|()| self.save())));
            }
            Ask::Remove(who, to) => {
                let removed = self.engine.remove(&who);
                drop(to.send(removed.and_then(|()| self.save())));
            }
            Ask::Met(met, dialled) => self.met(met, dialled),
        }
    }

    fn met(&mut self, met: Met, dialled: Option<PeerAddress>) {
        let link = self.next_link;
        self.next_link += 1;
        let remote = plain(met.connection.remote_address());
        let (key, hello) = (met.key, met.hello);
        tracing::info!(peer = %key, %remote, link, "connected");
        let _inside = self.runtime.enter();
        self.lines.insert(link, Line::start(link, met, &self.around));
        self.hear(Input::Up { link, key, remote, dialled, hello });
    }

    fn peers(&self) -> Vec<Peer> {
        let costs = |link: LinkId, traffic: &mut Traffic| {
            let Some(line) = self.lines.get(&link) else { return };
            let stats = line.connection.stats();
            traffic.rtt_us = u64::try_from(stats.path.rtt.as_micros()).unwrap_or(u64::MAX);
            traffic.bytes_in = stats.udp_rx.bytes;
            traffic.bytes_out = stats.udp_tx.bytes;
            traffic.remote = plain(line.connection.remote_address());
        };
        self.engine.peers(&costs)
    }

    /// `sending`: the snapshot for all that is pushed now.
    fn act(&mut self, action: Action, sending: &mut Option<Snapshot>) {
        match action {
            Action::Dial(address) => self.dial(address),
            Action::Close(link, why) => {
                if let Some(line) = self.lines.get(&link) {
                    tracing::debug!(link, why, "closed");
                    line.close(why);
                }
            }
            Action::Say(link, message) => self.say(link, message),
            Action::Push(links, id) => self.push(&links, &id, sending),
            Action::Fetch(link, ids) => self.fetch(link, ids),
            Action::Compare(link, until) => self.compare(link, until, None),
            Action::Audit(link, until, pick) => self.compare(link, until, Some(pick)),
            Action::CatchUp(link, from) => self.catch_up(link, from),
            Action::StopCatchUp(link) => {
                self.lines.get_mut(&link).and_then(|line| line.stream.take()).inspect(AbortHandle::abort);
            }
            Action::Synchronised => {
                tracing::info!("this node agrees with its network");
                (self.duties.synchronised)();
                self.hello.send_modify(|hello| hello.synchronised = true);
            }
            Action::Save => {
                self.save_due.get_or_insert(Instant::now() + SAVE_PAUSE);
            }
        }
    }

    fn dial(&mut self, address: PeerAddress) {
        let (dialler, asks, facts) =
            (Arc::clone(&self.dialler), self.asks.clone(), self.around.facts.clone());
        let hello = *self.hello.borrow();
        let hello = Hello { clock: (self.around.answers.clock)(), port: self.port, ..hello };
        self.runtime.spawn(async move {
            match dialler.dial(&address, hello).await {
                // The driver may have gone.
                Ok(met) => drop(asks.send(Ask::Met(met, Some(address))).await),
                Err(error) => {
                    tracing::debug!(peer = %address, %error, "not reached");
                    drop(facts.send(Input::NotReached(address)).await);
                }
            }
        });
    }

    fn say(&mut self, link: LinkId, message: Message) {
        let Some(line) = self.lines.get(&link) else { return };
        let said = if matches!(message, Message::Announce(_)) {
            let mut frame = Vec::new();
            message.encode(&mut frame);
            line.gossip(&Frame::from(frame))
        } else {
            line.say(message)
        };
        if !said {
            self.dropped(link);
        }
    }

    /// The queues are asked before the store: what would be dropped is not read.
    fn push(&mut self, links: &[LinkId], id: &RecordId, sending: &mut Option<Snapshot>) {
        let lines = links.iter().filter(|link| self.lines.contains_key(link));
        let (room, full): (Vec<LinkId>, Vec<LinkId>) =
            lines.partition(|link| self.lines.get(link).is_some_and(Line::takes_gossip));
        for link in full {
            self.dropped(link);
        }
        if room.is_empty() {
            return;
        }
        let frame = match read_frame(&self.store, id, sending) {
            Ok(Some(frame)) => frame,
            Ok(None) => return,
            Err(error) => {
                tracing::debug!(%error, "a record could not be pushed");
                return room.into_iter().for_each(|link| self.dropped(link));
            }
        };
        for link in room {
            if self.lines.get(&link).is_some_and(|line| !line.gossip(&frame)) {
                self.dropped(link);
            }
        }
    }

    /// A peer's queue is full: it does without, and a comparison repairs it.
    fn dropped(&mut self, link: LinkId) {
        let now = self.now();
        let view = StoreView::new(&self.store, &self.ranges);
        self.engine.handle(now, Input::Dropped(link), &view);
    }

    fn fetch(&mut self, link: LinkId, ids: Vec<RecordId>) {
        let Some((connection, intake)) = self.line(link) else { return };
        let facts = self.around.facts.clone();
        self.runtime.spawn(async move {
            if let Err(error) = ask::fetch(connection, intake, &ids).await {
                wronged(&facts, link, &error).await;
            }
            drop(facts.send(Input::Fetched(link, ids)).await);
        });
    }

    fn catch_up(&mut self, link: LinkId, from: Point) {
        let Some((connection, intake)) = self.line(link) else { return };
        let facts = self.around.facts.clone();
        let streaming = self.runtime.spawn(async move {
            let (came, ended) = ask::catch_up(connection, intake, from).await;
            if let Err(error) = ended {
                wronged(&facts, link, &error).await;
            }
            drop(facts.send(Input::Caught(link, came)).await);
        });
        if let Some(line) = self.lines.get_mut(&link) {
            line.stream = Some(streaming.abort_handle());
        }
    }

    fn compare(&mut self, link: LinkId, until: Millis, audit: Option<u64>) {
        let Some(line) = self.lines.get(&link) else { return };
        let (connection, dues) = (line.connection.clone(), Arc::clone(&line.dues));
        let (facts, answers) = (self.around.facts.clone(), Arc::clone(&self.around.answers));
        let mut salt = [0; 16];
        if let Err(error) = getrandom::fill(&mut salt) {
            tracing::warn!(%error, "no salt for a comparison");
            return self.hear(Input::Compared(link, true, None));
        }
        self.runtime.spawn(async move {
            let (fact, fault) = compare::lead(&connection, link, answers, dues, (salt, until, audit)).await;
            // The driver may have gone.
            drop(facts.send(fact).await);
            if let Some(offence) = fault {
                drop(facts.send(Input::Wronged(link, offence)).await);
            }
        });
    }

    fn line(&self, link: LinkId) -> Option<(Connection, super::intake::Intake)> {
        self.lines.get(&link).map(|line| (line.connection.clone(), line.intake.clone()))
    }
}

/// A record's frame, if the record is here.
fn read_frame(
    store: &Store,
    id: &RecordId,
    sending: &mut Option<Snapshot>,
) -> Result<Option<Frame>, StoreError> {
    let snapshot = match sending {
        Some(snapshot) => snapshot,
        none => none.insert(store.snapshot()?),
    };
    let sent = snapshot.sent(id)?;
    Ok(sent.map(|sent| {
        let mut frame = Vec::with_capacity(sent.bytes.len() + 8);
        put_record(&mut frame, sent.whole, &sent.bytes);
        Frame::from(frame)
    }))
}

/// A question has ended badly: the engine hears of it if the peer is to blame.
async fn wronged(facts: &mpsc::Sender<Input>, link: LinkId, error: &StreamError) {
    tracing::debug!(link, %error, "a peer did not give all it was asked for");
    if let Some(offence) = error.fault() {
        // The driver may have gone.
        drop(facts.send(Input::Wronged(link, offence)).await);
    }
}

/// The store as the engine sees it; one snapshot for one fact, opened if needed.
struct StoreView<'a> {
    store: &'a Store,
    ranges: &'a Ranges,
    snapshot: OnceCell<Option<Snapshot>>,
    clock: RefCell<Option<Millis>>,
}

impl<'a> StoreView<'a> {
    fn new(store: &'a Store, ranges: &'a Ranges) -> StoreView<'a> {
        StoreView { store, ranges, snapshot: OnceCell::new(), clock: RefCell::default() }
    }

    fn snapshot(&self) -> Option<&Snapshot> {
        self.snapshot.get_or_init(|| self.store.snapshot().ok()).as_ref()
    }
}

impl View for StoreView<'_> {
    fn clock(&self) -> Millis {
        *self.clock.borrow_mut().get_or_insert_with(|| self.store.now())
    }

    fn knows(&self, id: &RecordId) -> bool {
        self.snapshot().is_some_and(|snapshot| snapshot.holds(id).unwrap_or(false))
    }

    fn tally(&self, until: Millis) -> Option<Tally> {
        self.ranges.tally(&FIRST, &(until, RecordId([0; 32]))).ok()
    }

    fn newest(&self) -> Option<Point> {
        self.snapshot()?.newest().ok().flatten()
    }

    fn without_value(&self, after: Option<Row>, limit: usize) -> Vec<(Row, RecordId)> {
        self.snapshot().and_then(|snapshot| snapshot.without_value(after, limit).ok()).unwrap_or_default()
    }

    fn count_without_value(&self) -> u64 {
        self.snapshot().and_then(|snapshot| snapshot.count_without_value(VALUES_COUNTED).ok()).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_rules_are_heard_of_though_the_engine_is_far_behind() {
        let (commits, (to, mut heard)) = (Arc::new(Commits::default()), mpsc::unbounded_channel());
        let point = (Millis(1), RecordId([1; 32]));
        let commit =
            |global, count| Commit { added: vec![point; count], global, seq: 1, ..Commit::default() };
        commits.hear(&commit(false, COMMITS_QUEUE), &to);
        commits.hear(&commit(true, 1), &to);
        assert!(heard.try_recv().is_ok() && heard.try_recv().is_err());
        assert!(commits.unheard.load(Ordering::Relaxed) && commits.rules.load(Ordering::Relaxed));
    }
}
