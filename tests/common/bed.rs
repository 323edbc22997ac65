//! A store in a temporary home with a resolver over it, for tests that ask names: real SQLite, a clock that
//! the test sets.
#![allow(dead_code, unreachable_pub)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lfdns::dns::explain::Notes;
use lfdns::dns::master;
use lfdns::dns::name::DnsName;
use lfdns::dns::publish::{self, ZoneRrset};
use lfdns::dns::rdata;
use lfdns::dns::reply::{CLASS_IN, Question, Reply, Rr};
use lfdns::dns::resolver::{Resolver, Settings};
use lfdns::record::{
    Authority, Compression, Draft, Masking, Millis, Name, NetworkId, Owner, OwnerKey, Record, Rules,
    ZoneRule, found,
};
use lfdns::store::{Config, Source, Store, Verdict};

/// When a bed's clock begins.
pub const START: Millis = Millis(1_700_000_000_000);

pub struct Bed {
    pub store: Store,
    pub resolver: Arc<Resolver>,
    pub network: NetworkId,
    pub owner: Owner,
    pub stranger: Owner,
    clock: Arc<AtomicU64>,
    _home: tempfile::TempDir,
}

impl Bed {
    /// Zones `lf.` (all of the network) and `demo.lf.`, both of one owner, and an alias `mesh.` of `lf.`.
    pub fn new() -> Bed {
        let owner = Owner::from_seed(&[1; 32]);
        let owners = || Authority::Owners(vec![owner.key()]);
        Bed::with_zones(vec![
            ZoneRule::new("lf.", &[], owners()),
            ZoneRule::new("demo.lf.", &["demo"], owners()),
            ZoneRule::new("mesh.", &[], owners()),
        ])
    }

    pub fn with_zones(zones: Vec<ZoneRule>) -> Bed {
        Bed::with_settings(zones, Settings::default())
    }

    pub fn with_settings(zones: Vec<ZoneRule>, settings: Settings) -> Bed {
        let owner = Owner::from_seed(&[1; 32]);
        let home = tempfile::tempdir().expect("a temporary home");
        let rules = Rules { zones, ..Rules::private(&[7; 32], "bed") };
        let (network, genesis) = found(&owner, &rules, START).expect("sound rules");
        let clock = Arc::new(AtomicU64::new(START.0 + 1_000));
        let read = clock.clone();
        let clock_fn = Arc::new(move || Millis(read.load(Ordering::SeqCst)));
        let config = Config { min_free: 0, ..Config::default() };
        let store = Store::create(home.path(), &genesis, &config, clock_fn).expect("a new store");
        let resolver = Resolver::new(store.clone(), vec![], settings, START);
        let stranger = Owner::from_seed(&[2; 32]);
        Bed { store, resolver, network, owner, stranger, clock, _home: home }
    }

    pub fn now(&self) -> Millis {
        Millis(self.clock.load(Ordering::SeqCst))
    }

    pub fn clock(&self) -> Arc<dyn Fn() -> Millis + Send + Sync> {
        let read = self.clock.clone();
        Arc::new(move || Millis(read.load(Ordering::SeqCst)))
    }

    pub fn pass(&self, ms: u64) {
        self.clock.fetch_add(ms, Ordering::SeqCst);
    }

    /// Mints one record and lets it in.
    pub fn put(&self, owner: &Owner, selectors: &[(&[u8], u64)], value: &[u8]) -> Record {
        self.put_with(owner, selectors, value, None)
    }

    pub fn put_with(
        &self,
        owner: &Owner,
        selectors: &[(&[u8], u64)],
        value: &[u8],
        pulse_key: Option<[u8; 32]>,
    ) -> Record {
        let record = self.mint(owner, selectors, value, pulse_key);
        self.put_all(vec![record.clone()]);
        record
    }

    /// Lets records in, at once.
    pub fn put_all(&self, records: Vec<Record>) {
        let verdicts = self.store.ingest(records, Source::Local);
        assert!(verdicts.iter().all(|v| matches!(v, Verdict::Accepted(_))), "{verdicts:?}");
    }

    /// Mints one record.
    pub fn mint(
        &self,
        owner: &Owner,
        selectors: &[(&[u8], u64)],
        value: &[u8],
        pulse_key: Option<[u8; 32]>,
    ) -> Record {
        self.pass(2);
        let named: Vec<(Name, u64)> =
            selectors.iter().map(|(n, o)| (Name::derive(&self.network, n), *o)).collect();
        let slot =
            named.iter().fold(lfdns::record::PathKey::root(&self.network), |p, (n, _)| p.child(&n.public()));
        let links = self.store.links_for(1, self.now()).expect("links").remove(0);
        let draft = Draft {
            selectors: &named,
            value,
            masking: Masking::Default,
            compression: Compression::Auto,
            links: &links,
            pulse_key,
            now: self.now(),
            after: self.store.newest_in_slot(&slot, &owner.key()).expect("a readable store"),
        };
        draft.mint(&self.network, &self.store.rules(), owner).expect("a sound draft")
    }

    /// Publishes a master file's records as `owner`; returns how many changes it took.
    pub fn publish_as(&self, owner: &Owner, suffix: &str, text: &str) -> usize {
        let zones = self.resolver.zones();
        let zone = zones.exactly(&name(suffix)).expect("a zone of this suffix");
        let parsed =
            master::parse(text.as_bytes(), "test.zone", &zone.suffix, Some(300)).expect("a sound file");
        let wanted: Vec<ZoneRrset> = parsed
            .rrsets
            .into_iter()
            .map(|r| ZoneRrset { name: r.name, rtype: r.rtype, ttl: r.ttl, rdatas: r.rdatas })
            .collect();
        let existing = self.list(suffix, &owner.key());
        let plan = publish::plan(zone, &wanted, &existing).expect("a sound plan");
        for change in &plan.changes {
            let last = change.selectors.len() - 1;
            let selectors: Vec<(&[u8], u64)> = change
                .selectors
                .iter()
                .enumerate()
                .map(|(i, n)| (n.as_slice(), if i == last { change.ordinal } else { 0 }))
                .collect();
            self.put(owner, &selectors, &change.value);
        }
        plan.changes.len()
    }

    pub fn publish(&self, suffix: &str, text: &str) -> usize {
        self.publish_as(&self.owner, suffix, text)
    }

    pub fn list(&self, suffix: &str, owner: &OwnerKey) -> Vec<ZoneRrset> {
        let zones = self.resolver.zones();
        let zone = zones.exactly(&name(suffix)).expect("a zone of this suffix");
        let mut out = vec![];
        self.resolver
            .list(zone, owner, |l| {
                out.push(ZoneRrset { name: l.name, rtype: l.rtype, ttl: l.ttl, rdatas: l.rdatas });
                true
            })
            .expect("a readable store");
        out
    }

    pub fn question(qname: &str, qtype: &str) -> Question {
        Question {
            name: name(qname),
            qtype: rdata::rtype_from_text(qtype).expect("a type"),
            qclass: CLASS_IN,
            local: Some([127, 0, 0, 1].into()),
        }
    }

    pub fn reply(&self, qname: &str, qtype: &str) -> Reply {
        self.resolver.resolve(&Bed::question(qname, qtype), self.now(), false).0
    }

    pub fn explain(&self, qname: &str, qtype: &str) -> (Reply, Notes) {
        let (reply, notes) = self.resolver.resolve(&Bed::question(qname, qtype), self.now(), true);
        (reply, notes.expect("notes were asked for"))
    }

    /// The reply in one line: code and AA, then the sections' records, `|` between sections.
    pub fn ask(&self, qname: &str, qtype: &str) -> String {
        show(&self.reply(qname, qtype))
    }
}

pub fn name(text: &str) -> DnsName {
    DnsName::parse(text, None).expect("an absolute name")
}

pub fn show(reply: &Reply) -> String {
    let section = |rrs: &[Rr]| rrs.iter().map(show_rr).collect::<Vec<_>>().join("; ");
    let aa = if reply.aa { " aa" } else { "" };
    let sections = [section(&reply.answers), section(&reply.authority), section(&reply.additional)];
    format!("{:?}{aa} | {}", reply.rcode, sections.join(" | ")).trim_end_matches([' ', '|']).to_owned()
}

fn show_rr(rr: &Rr) -> String {
    // A serial is whatever the clock said; tests that are about serials look at them themselves.
    if rr.rtype == rdata::rtype::SOA {
        let soa = rdata::Soa::parse(&rr.rdata).expect("a SOA");
        return format!("{} {} SOA {} minimum {}", rr.name, rr.ttl, soa.mname, soa.minimum);
    }
    format!("{} {} {} {}", rr.name, rr.ttl, rdata::rtype_to_text(rr.rtype), rdata::print(rr.rtype, &rr.rdata))
}
