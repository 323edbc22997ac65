//! A store with any number of one-selector records, `host-0.lf.`, `host-1.lf.`, … with an address each, as
//! `benches/store.rs` and `benches/dns.rs` need it. `LFDNS_BENCH_RECORDS` lists the sizes, `1000,100000` if
//! unset; a store of a million takes some minutes to fill.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lfdns::dns::rrset::{RrsetValue, rrset_ordinal};
use lfdns::record::{
    Authority, Compression, Draft, Masking, Millis, Name, NetworkId, Owner, Record, Rules, ZoneRule, found,
};
use lfdns::store::{Clock, Config, Source, Store};
use rayon::prelude::*;

const START: Millis = Millis(1_700_000_000_000);
/// Records made and handed in at a time while filling.
const PIECE: u64 = 8_192;
/// Type A.
const A: u16 = 1;

pub struct Filled {
    pub store: Store,
    pub network: NetworkId,
    pub owner: Owner,
    /// What founds the network.
    pub genesis: Vec<Record>,
    /// How many records were made; the next is `host-{made}`.
    pub made: u64,
    now: Arc<AtomicU64>,
    _home: tempfile::TempDir,
}

/// The sizes to measure at.
pub fn sizes() -> Vec<u64> {
    let list = std::env::var("LFDNS_BENCH_RECORDS").unwrap_or_else(|_| "1000,100000".into());
    list.split(',').map(|size| size.trim().parse().expect("LFDNS_BENCH_RECORDS lists numbers")).collect()
}

pub fn label(n: u64) -> String {
    format!("host-{n}")
}

/// Numbers below `bound` in no order, the same in every run.
pub struct Shuffle(u64);

impl Shuffle {
    pub fn new() -> Shuffle {
        Shuffle(0x9E37_79B9_7F4A_7C15)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

impl Filled {
    pub fn with(records: u64) -> Filled {
        let owner = Owner::from_seed(&[1; 32]);
        let zones = vec![ZoneRule::new("lf.", &[], Authority::Owners(vec![owner.key()]))];
        let rules = Rules { zones, ..Rules::private(&[7; 32], "bench") };
        let (network, genesis) = found(&owner, &rules, START).unwrap();
        let home = tempfile::tempdir().unwrap();
        let now = Arc::new(AtomicU64::new(START.0 + 1_000));
        let config = Config { min_free: 0, ..Config::default() };
        let store = Store::create(home.path(), &genesis, &config, clock_of(&now)).unwrap();
        let mut filled = Filled { store, network, owner, genesis, made: 0, now, _home: home };
        while filled.made < records {
            let batch = filled.mint(PIECE.min(records - filled.made));
            filled.ingest(batch);
        }
        filled
    }

    pub fn clock(&self) -> Clock {
        clock_of(&self.now)
    }

    pub fn now(&self) -> Millis {
        Millis(self.now.load(Ordering::SeqCst))
    }

    /// Makes records on all cores; they link to what is in the store now, not to each other.
    pub fn mint(&mut self, count: u64) -> Vec<Record> {
        let now = Millis(self.now.fetch_add(100, Ordering::SeqCst) + 100);
        let links = self.store.links_for(count as usize, now).unwrap();
        let rules = self.store.rules();
        let first = self.made;
        self.made += count;
        let mint = |(n, links): (usize, &Vec<_>)| {
            let name = label(first + n as u64).into_bytes();
            let value = address_value(&name, first + n as u64);
            let draft = Draft {
                selectors: &[(Name::derive(&self.network, &name), rrset_ordinal(A))],
                value: &value,
                masking: Masking::Default,
                compression: Compression::Auto,
                links,
                pulse_key: None,
                now,
                after: None,
            };
            draft.mint(&self.network, &rules, &self.owner).unwrap()
        };
        links.par_iter().enumerate().map(|(n, links)| mint((n, links))).collect()
    }

    /// Lets time pass.
    pub fn pass(&self, ms: u64) {
        self.now.fetch_add(ms, Ordering::SeqCst);
    }

    pub fn ingest(&self, batch: Vec<Record>) {
        let verdicts = self.store.ingest(batch, Source::Local);
        assert!(verdicts.iter().all(|v| v.stored().is_some()), "{:?}", verdicts.first());
    }
}

fn clock_of(now: &Arc<AtomicU64>) -> Clock {
    let now = Arc::clone(now);
    Arc::new(move || Millis(now.load(Ordering::SeqCst)))
}

fn address_value(name: &[u8], n: u64) -> Vec<u8> {
    let rdatas = vec![vec![10, (n >> 16) as u8, (n >> 8) as u8, n as u8]];
    RrsetValue { ttl: 300, max_silence: 0, path: vec![name.to_vec()], rdatas }.encode()
}
