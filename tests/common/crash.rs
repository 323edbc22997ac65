//! A process that publishes under load and says what was acknowledged, and the judge of what it left behind.
//!
//! The process is the test binary itself, started again with [`HOME`] set: it opens the store in that home
//! (or makes it), ingests small batches from several threads as fast as it can, and prints a line for every
//! acknowledged record, until somebody ends it. What was said on its standard output before its end counts.
#![allow(dead_code, unreachable_pub)]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use lfdns::record::{Compression, Draft, Masking, Millis, Name, Owner, Record, RecordId, Rules, found};
use lfdns::store::{CheckOptions, Clock, Config, Durability, Source, Store, Verdict};

use super::seed::Dice;

/// In the environment of the writing process: the home to write to.
const HOME: &str = "LFDNS_CRASH_HOME";
/// Seeds its choices.
const SEED: &str = "LFDNS_CRASH_SEED";
/// How it writes: see [`Manner`].
const MANNER: &str = "LFDNS_CRASH_MANNER";

/// Threads that publish at the same time; one of them does not wait for its batches.
const THREADS: u64 = 4;
/// Records of a batch at most.
const BATCH_MAX: u64 = 32;
/// Different selector names; few, so that keys are revised and deleted again and again.
const NAMES: u64 = 48;
/// Most bytes of an ordinary value, and of the occasional large one.
const VALUE_MAX: u64 = 600;
const LARGE_MAX: u64 = 20_000;
/// The writing process must have acknowledged something within this time, on a busy machine too.
const PATIENCE: Duration = Duration::from_mins(1);

/// How the process writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// As a node does.
    Full,
    /// With `synchronous=NORMAL`: withstands the death of the process, not a power cut.
    Normal,
    /// Acknowledges before it writes: withstands nothing.
    Hasty,
}

/// The store's configuration; the images of the power-cut harness are smaller than the usual floor of free disk.
pub fn config(durability: Durability) -> Config {
    Config { min_free: 0, durability, ..Config::default() }
}

/// The time of day: the writing process and the judge must agree on it.
pub fn clock() -> Clock {
    Arc::new(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
        Millis(since.as_millis() as u64)
    })
}

/// The writing process.
pub struct Writer {
    child: Child,
    said: Receiver<Said>,
    acknowledged: Vec<(RecordId, SystemTime)>,
}

enum Said {
    Acknowledged(RecordId, SystemTime),
    Complaint(String),
}

impl Said {
    fn read(line: &str) -> Option<Said> {
        let (word, rest) = line.split_once(' ')?;
        if word == "complaint" {
            return Some(Said::Complaint(rest.to_owned()));
        }
        let (id, nanos) = rest.split_once(' ').filter(|_| word == "acknowledged")?;
        Some(Said::Acknowledged(id.parse().ok()?, instant(nanos)?))
    }
}

/// Nanoseconds since 1970, in digits.
pub fn instant(nanos: &str) -> Option<SystemTime> {
    Some(UNIX_EPOCH + Duration::from_nanos(nanos.trim().parse().ok()?))
}

impl Writer {
    /// Starts one; `test` is the test whose first line is `publish_if_told`.
    pub fn start(test: &str, home: &Path, manner: Manner, seed: u64) -> Writer {
        let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
        command.args([test, "--exact", "--nocapture"]).stdin(Stdio::null()).stdout(Stdio::piped());
        command.env(HOME, home).env(MANNER, format!("{manner:?}")).env(SEED, seed.to_string());
        let mut child = command.spawn().expect("this program starts again");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let (say, said) = channel();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                // Others are the test runner's own.
                let Some(what) = Said::read(&line) else { continue };
                if say.send(what).is_err() {
                    return;
                }
            }
        });
        Writer { child, said, acknowledged: vec![] }
    }

    /// Waits until something is acknowledged.
    pub fn await_first(&mut self) {
        match self.said.recv_timeout(PATIENCE) {
            Ok(said) => self.note(said),
            Err(error) => panic!("the writing process acknowledged nothing: {error}"),
        }
    }

    /// Lets it write until an instant, listening.
    pub fn run_until(&mut self, instant: Instant) {
        loop {
            match self.said.recv_timeout(instant.saturating_duration_since(Instant::now())) {
                Ok(said) => self.note(said),
                Err(RecvTimeoutError::Timeout) => return,
                Err(RecvTimeoutError::Disconnected) => panic!("the writing process ended by itself"),
            }
        }
    }

    /// `kill -9`; returns all that it had acknowledged.
    pub fn kill(mut self) -> Vec<RecordId> {
        self.end();
        while let Ok(said) = self.said.recv() {
            self.note(said);
        }
        self.acknowledged.iter().map(|(id, _)| *id).collect()
    }

    /// The same after a power cut: what it had acknowledged before that instant. Later it may well complain.
    pub fn bury(mut self, cut: SystemTime) -> Vec<RecordId> {
        self.end();
        let late = self.said.iter().filter_map(|said| match said {
            Said::Acknowledged(id, at) => Some((id, at)),
            Said::Complaint(_) => None,
        });
        let said = self.acknowledged.iter().copied().chain(late);
        said.filter_map(|(id, at)| (at < cut).then_some(id)).collect()
    }

    fn end(&mut self) {
        self.child.kill().expect("a child of ours");
        self.child.wait().expect("it has ended");
    }

    fn note(&mut self, said: Said) {
        match said {
            Said::Acknowledged(id, at) => self.acknowledged.push((id, at)),
            Said::Complaint(words) => panic!("the writing process: {words}"),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // After `kill` both say that there is nobody left.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What is wrong with a store: what `check` finds, and how many acknowledged records are missing.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    pub findings: Vec<String>,
    pub missing: usize,
}

/// Looks over a store that was opened after a crash.
pub fn judge(store: &Store, acknowledged: &[RecordId]) -> Judgement {
    let report = store.check(CheckOptions::default()).expect("a store that can be checked");
    let mut findings = report.findings;
    findings.extend(integrity(store.home()));
    let snapshot = store.snapshot().expect("a readable store");
    let missing = acknowledged.iter().filter(|id| match snapshot.by_id(id) {
        Ok(Some((_, record))) => record.id(&store.network()) != **id,
        _ => true,
    });
    Judgement { findings, missing: missing.count() }
}

/// SQLite's own opinion, so that `check` need not be taken at its word.
fn integrity(home: &Path) -> Vec<String> {
    let conn = rusqlite::Connection::open(home.join("store.db")).expect("a database");
    let mut statement = conn.prepare("PRAGMA integrity_check").expect("a pragma");
    let lines = statement.query_map([], |row| row.get::<_, String>(0)).expect("it answers");
    lines.map(|line| line.expect("a line")).filter(|line| line != "ok").collect()
}

/// In the writing process: publishes until it is ended. Elsewhere: does nothing.
pub fn publish_if_told() {
    let Some(home) = std::env::var_os(HOME).map(PathBuf::from) else { return };
    let manner = match std::env::var(MANNER).as_deref() {
        Ok("Normal") => Manner::Normal,
        Ok("Hasty") => Manner::Hasty,
        _ => Manner::Full,
    };
    let seed = std::env::var(SEED).ok().and_then(|seed| seed.parse().ok()).expect("a seed");
    // The test runner leaves its own line unfinished.
    print("\n");
    publish(&home, manner, seed);
}

fn publish(home: &Path, manner: Manner, seed: u64) {
    let founder = Owner::from_seed(&[0; 32]);
    let rules = Rules::private(&[7; 32], "crash");
    let store = open_or_make(home, manner, &founder, &rules);
    let network = store.network();
    let names: Vec<Name> =
        (0..NAMES).map(|n| Name::derive(&network, format!("name{n}").as_bytes())).collect();
    thread::scope(|scope| {
        for n in 0..THREADS {
            let (store, names) = (&store, &names);
            let author = Author { owner: Owner::from_seed(&[n as u8 + 1; 32]), names, store, manner };
            scope.spawn(move || author.publish(Dice::new(seed ^ n), n == 0));
        }
    });
    // Nobody is left who writes; the parent is to end this process, not the process itself.
    thread::park();
}

fn open_or_make(home: &Path, manner: Manner, founder: &Owner, rules: &Rules) -> Store {
    let durability = if manner == Manner::Normal { Durability::Normal } else { Durability::Full };
    let config = config(durability);
    if Store::exists(home).expect("a store or nothing") {
        return Store::open(home, &config, clock()).expect("the store opens");
    }
    let (network, genesis) = found(founder, rules, Millis(1_700_000_000_000)).expect("sound rules");
    let store = Store::create(home, &genesis, &config, clock()).expect("a new store");
    acknowledge(genesis.iter().map(|record| record.id(&network)));
    store
}

struct Author<'a> {
    owner: Owner,
    names: &'a [Name],
    store: &'a Store,
    manner: Manner,
}

impl Author<'_> {
    fn publish(&self, mut dice: Dice, hurried: bool) {
        loop {
            let batch = self.batch(&mut dice);
            if self.manner == Manner::Hasty {
                acknowledge(batch.iter().map(|record| record.id(&self.store.network())));
            }
            if hurried {
                let done = Box::new(|verdicts: Vec<Verdict>| {
                    report(&verdicts);
                });
                if self.store.submit(batch, Source::Api, done).is_ok() {
                    // As far ahead as the queue lets us would only be one long transaction.
                    self.store.flush();
                }
            } else if !report(&self.store.ingest(batch, Source::Api)) {
                return;
            }
        }
    }

    fn batch(&self, dice: &mut Dice) -> Vec<Record> {
        let count = 1 + dice.below(BATCH_MAX) as usize;
        let now = clock()();
        let Ok(links) = self.store.links_for(count, now) else { return vec![] };
        let (network, rules) = (self.store.network(), self.store.rules());
        let record = |links: &Vec<_>| {
            let depth = 1 + dice.below(3);
            let selectors: Vec<(Name, u64)> =
                (0..depth).map(|_| (dice.pick(self.names).clone(), dice.below(4))).collect();
            let value = value(dice);
            let draft = Draft {
                selectors: &selectors,
                value: &value,
                masking: Masking::Default,
                compression: Compression::Off,
                links,
                pulse_key: None,
                now,
                after: None,
            };
            draft.mint(&network, &rules, &self.owner).expect("a sound draft")
        };
        links.iter().map(record).collect()
    }
}

/// Now and then a deletion, now and then something large.
fn value(dice: &mut Dice) -> Vec<u8> {
    let len = match dice.below(40) {
        0 => dice.below(LARGE_MAX),
        1..=4 => 0,
        _ => dice.below(VALUE_MAX),
    };
    (0..len).map(|_| dice.below(256) as u8).collect()
}

/// Says what became of a batch; false if it was not let in.
fn report(verdicts: &[Verdict]) -> bool {
    acknowledge(verdicts.iter().filter_map(Verdict::stored));
    let refused = verdicts.iter().find(|verdict| verdict.stored().is_none());
    if let Some(verdict) = refused {
        print(&format!("complaint {verdict:?}\n"));
    }
    refused.is_none()
}

fn acknowledge(ids: impl Iterator<Item = RecordId>) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_nanos();
    let lines: Vec<String> = ids.map(|id| format!("acknowledged {id} {now}\n")).collect();
    print(&lines.concat());
}

/// In one piece; and when the parent is gone there is nobody to write for.
fn print(lines: &str) {
    if std::io::stdout().lock().write_all(lines.as_bytes()).is_err() {
        std::process::exit(0);
    }
}

/// Acknowledged over many rounds; no id counts twice.
pub type Acknowledged = BTreeSet<RecordId>;
