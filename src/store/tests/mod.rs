//! What the store promises, as sentences. The bed: a network founded in a temporary home, a clock that the
//! test moves, owners and names made from small numbers.

mod admission;
mod bare;
mod cost;
mod feed;
mod files;
mod ingest;
mod model;
mod ranges;
mod reading;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tempfile::TempDir;

use super::*;
use crate::record::{Compression, Draft, Masked, Masking, Name, Owner, Record, found};

/// Where the bed's clock starts.
pub(super) const START: u64 = 1_900_000_000_000;

pub(super) struct Bed {
    pub(super) home: TempDir,
    pub(super) config: Config,
    pub(super) now: Arc<AtomicU64>,
    pub(super) genesis: Vec<Record>,
    pub(super) network: NetworkId,
    pub(super) rules: Rules,
    names: Mutex<HashMap<String, Name>>,
}

pub(super) fn owner(n: u8) -> Owner {
    Owner::from_seed(&[n; 32])
}

impl Bed {
    pub(super) fn new() -> Bed {
        let rules = Rules::private(&[7; 32], "test");
        let (network, genesis) = found(&owner(0), &rules, Millis(START - 10_000)).unwrap();
        let (home, now) = (tempfile::tempdir().unwrap(), Arc::new(AtomicU64::new(START)));
        let (config, names) = (Config::default(), Mutex::default());
        Bed { home, config, now, genesis, network, rules, names }
    }

    pub(super) fn clock(&self) -> Clock {
        let now = Arc::clone(&self.now);
        Arc::new(move || Millis(now.load(Ordering::SeqCst)))
    }

    pub(super) fn now(&self) -> Millis {
        Millis(self.now.load(Ordering::SeqCst))
    }

    pub(super) fn pass(&self, ms: u64) {
        self.now.fetch_add(ms, Ordering::SeqCst);
    }

    pub(super) fn create(&self) -> Store {
        Store::create(self.home.path(), &self.genesis, &self.config, self.clock()).unwrap()
    }

    pub(super) fn open(&self) -> Store {
        Store::open(self.home.path(), &self.config, self.clock()).unwrap()
    }

    /// Another home for the same network.
    pub(super) fn elsewhere(&self) -> (TempDir, Store) {
        let home = tempfile::tempdir().unwrap();
        let store = Store::create(home.path(), &self.genesis, &self.config, self.clock()).unwrap();
        (home, store)
    }

    pub(super) fn name(&self, name: &str) -> Name {
        let mut names = self.names.lock();
        names.entry(name.into()).or_insert_with(|| Name::derive(&self.network, name.as_bytes())).clone()
    }

    /// `a/b#2`: selectors a and b, the last with ordinal 2.
    pub(super) fn selectors(&self, key: &str) -> Vec<(Name, u64)> {
        key.split('/')
            .map(|part| match part.split_once('#') {
                Some((name, ordinal)) => (self.name(name), ordinal.parse().unwrap()),
                None => (self.name(part), 0),
            })
            .collect()
    }

    /// The path of `a/b`.
    pub(super) fn path(&self, key: &str) -> PathKey {
        let names = key.split('/').filter(|part| !part.is_empty());
        let bare = names.map(|part| part.split('#').next().unwrap());
        bare.fold(PathKey::root(&self.network), |path, name| path.child(&self.name(name).public()))
    }

    pub(super) fn founding_links(&self) -> Vec<Link> {
        self.genesis.iter().map(|r| self.link(r)).collect()
    }

    pub(super) fn link(&self, record: &Record) -> Link {
        Link { id: record.id(&self.network), time: record.header.time }
    }

    /// A record made now that links to the genesis records; an empty value deletes.
    pub(super) fn record(&self, by: u8, key: &str, value: &str) -> Record {
        self.record_on(&self.founding_links(), by, key, value)
    }

    pub(super) fn record_on(&self, links: &[Link], by: u8, key: &str, value: &str) -> Record {
        self.record_at(self.now(), links, by, key, value)
    }

    pub(super) fn record_at(&self, now: Millis, links: &[Link], by: u8, key: &str, value: &str) -> Record {
        let selectors = self.selectors(key);
        let draft = Draft {
            selectors: &selectors,
            value: value.as_bytes(),
            masking: Masking::Default,
            compression: Compression::Auto,
            links,
            pulse_key: None,
            now,
            after: None,
        };
        draft.mint(&self.network, &self.rules, &owner(by)).unwrap()
    }

    /// The value of a key, if it is live.
    pub(super) fn value(&self, store: &Store, by: u8, key: &str) -> Option<String> {
        let snapshot = store.snapshot().unwrap();
        let selectors = self.selectors(key);
        let (last, ordinal) = selectors.last().unwrap();
        let image = last.mask(*ordinal);
        let heads = snapshot.heads(&self.path(key), &owner(by).key(), image, image).unwrap();
        let before: Vec<_> = selectors.iter().rev().skip(1).rev().map(|(n, o)| n.mask(*o)).collect();
        let head = heads.iter().find(|h| h.rest == crate::record::rest_of(&before))?;
        let record = snapshot.record(head.row).unwrap();
        let opened = record.open(&self.network, selectors[0].0.bytes(), 65_536).unwrap();
        head.live.then(|| String::from_utf8(opened).unwrap())
    }
}

/// Ingests from the API and expects everything to be accepted.
pub(super) fn put(store: &Store, records: &[Record]) {
    for verdict in store.ingest(records.to_vec(), Source::Api) {
        assert!(matches!(verdict, Verdict::Accepted(_)), "{verdict:?}");
    }
}

pub(super) fn ingest_one(store: &Store, record: &Record) -> Verdict {
    store.ingest(vec![record.clone()], Source::Api).pop().unwrap()
}

/// Collects what the feed says.
pub(super) fn listen(store: &Store) -> Arc<Mutex<Vec<Commit>>> {
    let heard: Arc<Mutex<Vec<Commit>>> = Arc::default();
    let hearing = Arc::clone(&heard);
    store.subscribe(Arc::new(move |commit| hearing.lock().push(commit.clone())));
    heard
}
