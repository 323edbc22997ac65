//! The resolver: the zones, the store, and one question answered from a snapshot of it. `decide.rs` holds the
//! decision for one name; here chains are followed, sections filled and failures turned into replies.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use smallvec::SmallVec;

use super::book::NameBook;
use super::counters::{Counters, Deps};
use super::decide::{Decision, Outcome};
use super::explain::Notes;
use super::lookup::Reading;
use super::name::DnsName;
use super::rdata::rtype;
use super::reply::{Answer, CLASS_IN, Question, Rcode, Reply, Rr};
use super::zone::{Zone, Zones};
use super::{additional, synth};
use crate::record::{Millis, Name, NetworkId, OwnerKey, PathKey, ZoneRule};
use crate::store::{Changed, Commit, Store, StoreError};

/// How many aliases (CNAME and DNAME) are followed inside our zones.
pub const CHAIN_MAX: usize = 8;
/// Owners whose key name's paths are remembered for serials.
const KEY_NAMES_MAX: usize = 4_096;
/// EDE codes (RFC 8914 §4, IANA registry).
pub(crate) const EDE_OTHER: u16 = 0;
/// INFO-CODE "Not Ready" (RFC 8914 §4.15).
const EDE_NOT_READY: u16 = 14;
const NOT_READY: &str = "this node has not completed its first synchronisation";
const EDE_NOT_AUTHORITATIVE: u16 = 20;

/// What the resolver may be told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The name given as primary and name server of zones that publish none; by default `ns.` + the zone.
    pub hostname: Option<DnsName>,
    /// Whether this node has still to get what its network has: then it denies nothing from its first answer on,
    /// until [`Resolver::set_ready`].
    pub joining: bool,
}

/// Answers questions from a store. Cheap to share.
pub struct Resolver {
    store: Store,
    network: NetworkId,
    counters: Arc<Counters>,
    book: Arc<NameBook>,
    zones: ArcSwap<Zones>,
    local_zones: Mutex<Vec<ZoneRule>>,
    pub(crate) settings: Settings,
    /// Whether what is not here does not exist; otherwise it may only be on its way.
    ready: AtomicBool,
    /// A serial for cuts at which nothing was committed since this node keeps serials: when the network began.
    first_serial: u32,
    key_names: Mutex<std::collections::HashMap<(PathKey, OwnerKey), PathKey>>,
}

impl Resolver {
    /// A resolver over a store; subscribes to its changes. `local` are this node's own zones.
    pub fn new(store: Store, local: Vec<ZoneRule>, settings: Settings, founded: Millis) -> Arc<Resolver> {
        let network = store.network();
        let ready = AtomicBool::new(!settings.joining);
        let zones = Zones::assemble(&network, &store.rules(), &local);
        let resolver = Arc::new(Resolver {
            network,
            counters: Arc::default(),
            book: Arc::new(NameBook::new(network)),
            zones: ArcSwap::from_pointee(zones),
            local_zones: Mutex::new(local),
            settings,
            ready,
            first_serial: founded.seconds() as u32,
            key_names: Mutex::default(),
            store,
        });
        let listener = Arc::downgrade(&resolver);
        resolver.store.subscribe(Arc::new(move |commit| {
            if let Some(resolver) = listener.upgrade() {
                resolver.heard(commit);
            }
        }));
        let classifier = Arc::downgrade(&resolver);
        resolver.store.classify(Arc::new(move |changed| {
            classifier.upgrade().map_or_else(SmallVec::new, |resolver| resolver.cuts_of(changed))
        }));
        resolver
    }

    /// The store it answers from.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The zones in force.
    pub fn zones(&self) -> Arc<Zones> {
        self.zones.load_full()
    }

    /// Derived names, shared with whoever else needs them.
    pub fn book(&self) -> &NameBook {
        &self.book
    }

    /// Replaces this node's own zones.
    pub fn set_local_zones(&self, local: Vec<ZoneRule>) {
        *self.local_zones.lock() = local;
        self.reassemble();
    }

    /// Says that this node has what its network has: until then, what is lacking is not denied (DESIGN "Answers
    /// in time").
    pub fn set_ready(&self) {
        self.ready.store(true, Ordering::Release);
        self.counters.bump_global();
    }

    fn reassemble(&self) {
        let local = self.local_zones.lock();
        self.zones.store(Arc::new(Zones::assemble(&self.network, &self.store.rules(), &local)));
        self.counters.bump_global();
    }

    fn heard(&self, commit: &Commit) {
        commit.slots.iter().chain(&commit.flips).for_each(|path| self.counters.bump(path));
        commit.cuts.iter().for_each(|cut| self.counters.bump(&synth::serial_place(cut)));
        if commit.global {
            self.reassemble();
        }
    }

    fn cuts_of(&self, changed: &Changed<'_>) -> SmallVec<[PathKey; 2]> {
        let own = |zone: &Zone| self.key_name(&zone.base.key(), &changed.owner);
        self.zones.load().cuts_of(&changed.owner, changed.paths, own).into_iter().collect()
    }

    /// The path of an owner's key name below a zone's base.
    fn key_name(&self, base: &PathKey, owner: &OwnerKey) -> PathKey {
        let mut known = self.key_names.lock();
        if known.len() >= KEY_NAMES_MAX {
            known.clear();
        }
        *known
            .entry((*base, *owner))
            .or_insert_with(|| base.child(&Name::derive(&self.network, owner.label().as_bytes()).public()))
    }

    pub(crate) fn first_serial(&self) -> u32 {
        self.first_serial
    }

    /// The reply and, if wanted, how it came about.
    pub fn resolve(&self, question: &Question, now: Millis, explain: bool) -> (Reply, Option<Notes>) {
        let before = self.counters.begin();
        let mut notes = explain.then(Notes::default);
        let reply = if question.qclass == CLASS_IN {
            self.read(question, now, &mut notes)
        } else {
            Ok(Reply::code(Rcode::Refused, before.clone()))
        };
        let reply = reply.unwrap_or_else(|error| {
            tracing::warn!(%error, name = %question.name, "cannot read the store");
            Reply::code(Rcode::ServFail, before.clone()).with_ede(EDE_OTHER, format!("store: {error}"))
        });
        if !self.ready.load(Ordering::Acquire) && denies(&reply) {
            let unready = Reply::code(Rcode::ServFail, before);
            return (unready.with_ede(EDE_NOT_READY, NOT_READY), notes);
        }
        (reply, notes)
    }

    fn read(&self, question: &Question, now: Millis, notes: &mut Option<Notes>) -> Result<Reply, StoreError> {
        // The counters come before the snapshot: what changes in between only costs a cache entry.
        let deps = self.counters.begin();
        let snapshot = self.store.snapshot()?;
        let zones = self.zones.load();
        let mut reading = Reading {
            snapshot: &snapshot,
            counters: &self.counters,
            book: &self.book,
            now,
            value_max: self.store.rules().limits.value_max,
            deps,
            until: None,
            notes: notes.take(),
            present: SmallVec::new(),
            last_slot: None,
        };
        let mut chase = Chase {
            resolver: self,
            zones: &zones,
            question,
            reply: Reply::code(Rcode::NoError, Deps::default()),
        };
        chase.run(&mut reading)?;
        let mut reply = chase.reply;
        additional::fill(self, &zones, question, &mut reading, &mut reply)?;
        reply.until = reading.until;
        reply.deps = reading.deps;
        cap_ttls(&mut reply, now);
        *notes = reading.notes;
        Ok(reply)
    }
}

impl Answer for Resolver {
    fn answer(&self, question: &Question, now: Millis) -> Reply {
        self.resolve(question, now, false).0
    }

    fn counters(&self) -> &Counters {
        &self.counters
    }
}

/// Whether the reply says that something does not exist: such a one carries an SOA (RFC 2308 §3).
fn denies(reply: &Reply) -> bool {
    reply.rcode == Rcode::NxDomain || reply.authority.iter().any(|rr| rr.rtype == rtype::SOA)
}

/// No TTL reaches beyond the instant at which the answer stops being true.
fn cap_ttls(reply: &mut Reply, now: Millis) {
    if let Some(until) = reply.until {
        let left = u32::try_from(until.0.saturating_sub(now.0) / 1000).unwrap_or(u32::MAX);
        for section in [&mut reply.answers, &mut reply.authority, &mut reply.additional] {
            for rr in section.iter_mut() {
                rr.ttl = rr.ttl.min(left);
            }
        }
    }
}

/// Following a question through aliases.
struct Chase<'a> {
    resolver: &'a Resolver,
    zones: &'a Zones,
    question: &'a Question,
    reply: Reply,
}

impl Chase<'_> {
    fn run(&mut self, reading: &mut Reading<'_>) -> Result<(), StoreError> {
        let mut name = self.question.name.to_lowercase();
        for hop in 0..=CHAIN_MAX {
            let Some(zone) = self.zones.find(&name) else {
                self.left_our_zones(hop);
                return Ok(());
            };
            let decision = Decision::make(self.resolver, zone, &name, self.question, reading)?;
            match self.take(decision, reading)? {
                Some(target) if hop < CHAIN_MAX => name = target,
                Some(_) => {
                    let text = format!("chain longer than {CHAIN_MAX} aliases");
                    self.reply.ede = Some(super::reply::Ede { code: EDE_OTHER, text });
                }
                None => return Ok(()),
            }
        }
        Ok(())
    }

    /// A foreign name: refused if it was the question, else the chain ends there and the client goes on.
    fn left_our_zones(&mut self, hop: usize) {
        if hop == 0 {
            self.reply.rcode = Rcode::Refused;
            self.reply.ede = Some(super::reply::Ede {
                code: EDE_NOT_AUTHORITATIVE,
                text: "not a name of this node's zones; forwarding is off".into(),
            });
        }
    }

    /// Adds a decision to the reply; the name to go on with, if it was an alias.
    fn take(&mut self, decision: Decision, reading: &mut Reading<'_>) -> Result<Option<DnsName>, StoreError> {
        self.reply.aa |= !matches!(decision.outcome, Outcome::Referral { .. });
        self.reply.uses_local |= decision.uses_local;
        if let Some(reason) = decision.reason {
            self.reply.ede = Some(super::reply::Ede { code: EDE_OTHER, text: reason });
        }
        match decision.outcome {
            Outcome::Answer(rrs) => self.reply.answers.extend(rrs),
            Outcome::Alias { rrs, target } => {
                // A chain that bites its tail adds nothing new.
                let looped = rrs.iter().all(|rr| self.reply.answers.contains(rr));
                self.reply.answers.extend(rrs);
                if looped {
                    let text = "the chain of aliases is a loop".to_owned();
                    self.reply.ede = Some(super::reply::Ede { code: EDE_OTHER, text });
                    return Ok(None);
                }
                return Ok(Some(target));
            }
            Outcome::Referral { ns } => {
                // RFC 1034 §4.3.2 3b: what leads out of our zones goes to the authority section, without AA.
                self.reply.authority.extend(ns);
            }
            Outcome::NoData => self.negative(&decision.cut, reading)?,
            Outcome::NxDomain => {
                // RFC 6604 §3: the code is that of the last name of the chain.
                self.reply.rcode = Rcode::NxDomain;
                self.negative(&decision.cut, reading)?;
            }
            Outcome::TooLong(rrs) => {
                self.reply.answers.extend(rrs);
                self.reply.rcode = Rcode::YxDomain;
            }
        }
        Ok(None)
    }

    /// RFC 2308 §3: the SOA in the authority section, its TTL the smaller of its own and its MINIMUM.
    fn negative(&mut self, cut: &super::decide::Cut, reading: &mut Reading<'_>) -> Result<(), StoreError> {
        let soa = synth::negative_soa(self.resolver, cut, reading)?;
        self.reply.authority.push(soa);
        Ok(())
    }
}

/// A record of class IN under a name, data rewritten for the zone's alias.
pub(crate) fn rrs_of(zone: &Zone, name: &DnsName, served: &super::lookup::Served) -> Vec<Rr> {
    let rdata = |rdata: &Vec<u8>| rewrite(zone, served.rtype, rdata);
    served
        .rdatas
        .iter()
        .map(|data| Rr { name: name.clone(), rtype: served.rtype, ttl: served.ttl, rdata: rdata(data) })
        .collect()
}

/// Record data as this zone shows it: names under the canonical suffix come under the alias.
pub(crate) fn rewrite(zone: &Zone, rtype: u16, rdata: &[u8]) -> Vec<u8> {
    let Some((canonical, alias)) = &zone.alias else { return rdata.to_vec() };
    let map = |name: &DnsName| {
        let labels = name.strip_suffix(canonical)?;
        DnsName::join(labels, alias).ok()
    };
    super::rdata::map_names(rtype, rdata, map).unwrap_or_else(|| rdata.to_vec())
}
