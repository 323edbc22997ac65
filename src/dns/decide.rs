//! The decision for one name in one zone: RFC 1034 §4.3.2 over paths instead of a zone's tree.
//!
//! Top down: the cut the name lies in and who may speak there; a referral or a DNAME on the way; the name's
//! own data; else the closest encloser's wildcard (RFC 4592); else whether the name exists at all (RFC 8020).
//! Existence looks only at paths, so a stranger's records, and values that do not open, change nothing.

use std::rc::Rc;
use std::sync::Arc;

use smallvec::{SmallVec, smallvec};

use super::lookup::{Reading, Served, Slot, Speakers};
use super::name::DnsName;
use super::path::{Derived, Path, View};
use super::rdata::rtype;
use super::reply::{Question, Rr};
use super::resolver::{Resolver, rrs_of};
use super::zone::Zone;
use super::{rawvalue, synth};
use crate::record::{Authority, OwnerKey, PathKey};
use crate::store::StoreError;

/// A zone cut as clients see it: a suffix, or an owner's key name with data below a suffix.
#[derive(Clone, Debug)]
pub(crate) struct Cut {
    pub(crate) zone: Arc<Zone>,
    pub(crate) name: DnsName,
    pub(crate) path: Derived,
    pub(crate) speakers: Speakers,
    /// How many of the name's steps lie above the cut: 0 for a suffix, 1 for a key name.
    pub(crate) depth: usize,
}

impl Cut {
    /// The name under which the store keeps the cut's serial.
    pub(crate) fn serial(&self) -> PathKey {
        if self.depth == 0 { self.zone.serial } else { self.path.key() }
    }
}

/// What is said of one name.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    Answer(Vec<Rr>),
    /// CNAME or DNAME (with its synthesised CNAME): go on at the target.
    Alias {
        rrs: Vec<Rr>,
        target: DnsName,
    },
    /// A zone cut to others.
    Referral {
        ns: Vec<Rr>,
    },
    NoData,
    NxDomain,
    /// A DNAME whose target would be too long (RFC 6672 §2.2).
    TooLong(Vec<Rr>),
}

/// The outcome, and what it was decided in.
#[derive(Clone, Debug)]
pub(crate) struct Decision {
    pub(crate) outcome: Outcome,
    pub(crate) cut: Cut,
    pub(crate) uses_local: bool,
    /// Why, if the outcome alone does not say.
    pub(crate) reason: Option<String>,
}

/// A name on its way to a decision.
struct Decider<'a, 'r> {
    resolver: &'a Resolver,
    reading: &'a mut Reading<'r>,
    question: &'a Question,
    name: &'a DnsName,
    path: Path,
    derived: Derived,
    ordinals: Vec<u64>,
    cut: Cut,
    uses_local: bool,
    reason: Option<String>,
}

impl Decision {
    /// Decides a lower-cased name that lies in `zone`.
    pub(crate) fn make(
        resolver: &Resolver,
        zone: &Arc<Zone>,
        name: &DnsName,
        question: &Question,
        reading: &mut Reading<'_>,
    ) -> Result<Decision, StoreError> {
        let labels = name.strip_suffix(&zone.suffix).expect("the zone was found by the name's suffix");
        let suffix_cut = Cut {
            zone: zone.clone(),
            name: zone.suffix.clone(),
            path: zone.apex.clone(),
            speakers: zone_speakers(zone),
            depth: 0,
        };
        let path = match Path::read(labels, zone.at.len()) {
            Ok(path) => path,
            Err(error) => {
                say(reading, || format!("not the name of any key: {error}"));
                let reason = Some(error.to_string());
                return Ok(Decision {
                    outcome: Outcome::NxDomain,
                    cut: suffix_cut,
                    uses_local: false,
                    reason,
                });
            }
        };
        let derived = reading.derive(&zone.base, &path.steps);
        let ordinals =
            vec![0; zone.at.len()].into_iter().chain(path.steps.iter().map(|s| s.ordinal)).collect();
        let key_name = key_cut(&suffix_cut, name, &path, &derived, reading)?;
        let absent_key = matches!(key_name, KeyName::Absent);
        let cut = if let KeyName::Cut(cut) = key_name { cut } else { suffix_cut };
        describe(reading, &cut, &derived);
        if absent_key {
            return Ok(Decision { outcome: Outcome::NxDomain, cut, uses_local: false, reason: None });
        }
        let mut decider = Decider {
            resolver,
            reading,
            question,
            name,
            path,
            derived,
            ordinals,
            cut,
            uses_local: false,
            reason: None,
        };
        let outcome = decider.decide()?;
        let Decider { cut, uses_local, reason, .. } = decider;
        Ok(Decision { outcome, cut, uses_local, reason })
    }
}

fn zone_speakers(zone: &Zone) -> Speakers {
    match &zone.authority {
        Authority::Key => SmallVec::new(),
        Authority::Owners(owners) => owners.iter().copied().collect(),
    }
}

/// Whether a name lies below the key of an owner.
enum KeyName {
    /// Its first label is no key.
    No,
    /// That owner has nothing there; nobody else, and no wildcard, speaks for it.
    Absent,
    /// That owner's cut.
    Cut(Cut),
}

/// The cut of an owner's key name: in every zone the first label may be a key in z-base-32, and below it only
/// that owner speaks. It is a cut only if the owner has something there.
fn key_cut(
    suffix: &Cut,
    name: &DnsName,
    path: &Path,
    derived: &Derived,
    reading: &mut Reading<'_>,
) -> Result<KeyName, StoreError> {
    let Some(owner) = path.steps.first().and_then(|step| OwnerKey::from_label(&step.name)) else {
        return Ok(KeyName::No);
    };
    let speakers: Speakers = smallvec![owner];
    let base = suffix.zone.base.keys.len();
    let key = derived.keys[base];
    if !reading.exists(&key, &speakers)? {
        say(reading, || format!("the first label is the key of {owner}, who has nothing there"));
        return Ok(KeyName::Absent);
    }
    let path_to_key = Derived { names: derived.names[..base].to_vec(), keys: derived.keys[..=base].to_vec() };
    let name = ancestor(name, &suffix.zone, path.spans[0]);
    Ok(KeyName::Cut(Cut { zone: suffix.zone.clone(), name, path: path_to_key, speakers, depth: 1 }))
}

/// The name of the last `labels` labels above the zone's suffix.
fn ancestor(name: &DnsName, zone: &Zone, labels: usize) -> DnsName {
    let above = name.label_count() - zone.suffix.label_count();
    let skip = above.saturating_sub(labels);
    let suffix: Vec<&[u8]> = name.labels().skip(skip).collect();
    DnsName::from_labels(suffix).expect("part of a name is a name")
}

impl Decider<'_, '_> {
    fn decide(&mut self) -> Result<Outcome, StoreError> {
        let steps = self.path.steps.len();
        let mut encloser = self.cut.depth;
        for depth in self.cut.depth..steps {
            if let Some(outcome) = self.on_the_way(depth)? {
                return Ok(outcome);
            }
            let next = self.prefix(depth + 1);
            if !self.reading.exists(&next.key(), &self.cut.speakers.clone())? {
                return self.absent(encloser);
            }
            encloser = depth + 1;
        }
        if steps == self.cut.depth {
            return self.at_cut();
        }
        if self.path.view == View::Plain
            && self.question.qtype != rtype::DS
            && let Some(outcome) = self.referral(steps)?
        {
            return Ok(outcome);
        }
        let path = self.derived.clone();
        self.data(&path, false)
    }

    /// The path of the name's first `depth` steps; the apex for none.
    fn prefix(&self, depth: usize) -> Derived {
        if depth == 0 {
            return self.cut.zone.apex.clone();
        }
        let names = self.cut.zone.at.len() + depth;
        Derived { names: self.derived.names[..names].to_vec(), keys: self.derived.keys[..=names].to_vec() }
    }

    fn slot(&mut self, path: &Derived) -> Result<Option<Rc<Slot>>, StoreError> {
        self.reading.slot(path, &self.ordinals, &self.cut.speakers)
    }

    /// A proper ancestor may be a cut to others or redirect all that lies below it.
    fn on_the_way(&mut self, depth: usize) -> Result<Option<Outcome>, StoreError> {
        if depth > self.cut.depth
            && let Some(outcome) = self.referral(depth)?
        {
            return Ok(Some(outcome));
        }
        let path = self.prefix(depth);
        let Some(slot) = self.slot(&path)? else { return Ok(None) };
        let Some(dname) = self.reading.rrset(&slot, rtype::DNAME)? else { return Ok(None) };
        let owner = if depth == 0 {
            self.cut.zone.suffix.clone()
        } else {
            ancestor(self.name, &self.cut.zone, self.path.spans[depth - 1])
        };
        Ok(Some(self.redirect(&owner, &dname)))
    }

    /// RFC 6672 §2.3: the DNAME, and a CNAME from the name to what it becomes.
    fn redirect(&mut self, owner: &DnsName, dname: &Served) -> Outcome {
        say(self.reading, || format!("{owner} has a DNAME"));
        let mut rrs = rrs_of(&self.cut.zone, owner, dname);
        rrs.truncate(1);
        let target = rrs.first().and_then(|rr| DnsName::from_wire(&rr.rdata).ok());
        let (Some((target, _)), Some(above)) = (target, self.name.strip_suffix(owner)) else {
            return Outcome::NoData;
        };
        match DnsName::join(above, &target) {
            Ok(target) => {
                let rdata = target.as_wire().to_vec();
                rrs.push(Rr { name: self.name.clone(), rtype: rtype::CNAME, ttl: dname.ttl, rdata });
                if self.question.qtype == rtype::CNAME {
                    return Outcome::Answer(rrs);
                }
                Outcome::Alias { rrs, target: target.to_lowercase() }
            }
            Err(_) => Outcome::TooLong(rrs),
        }
    }

    fn referral(&mut self, depth: usize) -> Result<Option<Outcome>, StoreError> {
        let path = self.prefix(depth);
        let Some(slot) = self.slot(&path)? else { return Ok(None) };
        let Some(ns) = self.reading.rrset(&slot, rtype::NS)? else { return Ok(None) };
        let owner = ancestor(self.name, &self.cut.zone, self.path.spans[depth - 1]);
        say(self.reading, || format!("{owner} is delegated"));
        Ok(Some(Outcome::Referral { ns: rrs_of(&self.cut.zone, &owner, &ns) }))
    }

    /// The name of the cut itself: SOA and NS are always there, CNAME is not looked at.
    fn at_cut(&mut self) -> Result<Outcome, StoreError> {
        let (path, qtype) = (self.cut.path.clone(), self.question.qtype);
        if self.path.view != View::Plain {
            return self.data(&path, true);
        }
        match qtype {
            rtype::SOA | rtype::ANY => {
                let soa = synth::soa(self.resolver, &self.cut, self.reading)?;
                Ok(Outcome::Answer(vec![soa]))
            }
            rtype::NS => {
                let slot = self.slot(&path)?;
                let published = slot.map_or(Ok(None), |slot| self.reading.rrset(&slot, rtype::NS))?;
                let own = || vec![synth::ns(self.resolver, &self.cut)];
                let rrs = published.map(|ns| rrs_of(&self.cut.zone, self.name, &ns));
                Ok(Outcome::Answer(rrs.unwrap_or_else(own)))
            }
            _ => self.data(&path, true),
        }
    }

    /// The data of a name that exists (or of the wildcard that stands for it).
    fn data(&mut self, path: &Derived, at_cut: bool) -> Result<Outcome, StoreError> {
        let Some(slot) = self.slot(path)? else {
            say(self.reading, || "nothing lies at the name itself".to_owned());
            return Ok(self.own_server());
        };
        let qtype = self.question.qtype;
        if self.path.view != View::Plain {
            return self.viewed(&slot);
        }
        if qtype == rtype::ANY {
            return self.any(&slot);
        }
        if qtype != rtype::CNAME
            && !at_cut
            && let Some(cname) = self.reading.rrset(&slot, rtype::CNAME)?
            && let Some(target) = cname.rdatas.first()
        {
            let rrs =
                rrs_of(&self.cut.zone, self.name, &Served { rdatas: vec![target.clone()], ..cname.clone() });
            let target = rrs.first().and_then(|rr| DnsName::from_wire(&rr.rdata).ok());
            return Ok(target.map_or(Outcome::NoData, |(target, _)| Outcome::Alias {
                rrs,
                target: target.to_lowercase(),
            }));
        }
        // RFC 1034 §3.6.2: at an apex a CNAME would contradict the SOA.
        let served = if at_cut && qtype == rtype::CNAME { None } else { self.reading.rrset(&slot, qtype)? };
        match served {
            Some(served) => Ok(Outcome::Answer(rrs_of(&self.cut.zone, self.name, &served))),
            None => self.raw_answer(&slot),
        }
    }

    /// RFC 8482 §4: one RRset, whichever there is.
    fn any(&mut self, slot: &Slot) -> Result<Outcome, StoreError> {
        for rtype in self.reading.types(slot)? {
            if let Some(served) = self.reading.rrset(slot, rtype)? {
                return Ok(Outcome::Answer(rrs_of(&self.cut.zone, self.name, &served)));
            }
        }
        let rdata = b"\x07RFC8482\x00".to_vec();
        Ok(Outcome::Answer(vec![Rr {
            name: self.name.clone(),
            rtype: rtype::HINFO,
            ttl: self.cut.zone.ttl,
            rdata,
        }]))
    }

    /// A name without the RRset asked for may have a raw value that answers.
    fn raw_answer(&mut self, slot: &Slot) -> Result<Outcome, StoreError> {
        let qtype = self.question.qtype;
        if qtype == rtype::TXT || qtype == rtype::CERT {
            let raw = self.reading.raw_at(slot, 0)?;
            if let Some(rdata) = raw.and_then(|bytes| rawvalue::rdata(qtype, &bytes)) {
                return Ok(Outcome::Answer(vec![self.raw_rr(rdata)]));
            }
        }
        Ok(self.own_server())
    }

    fn raw_rr(&self, rdata: Vec<u8>) -> Rr {
        Rr { name: self.name.clone(), rtype: self.question.qtype, ttl: self.cut.zone.ttl, rdata }
    }

    /// `_o<n>`, `_o<n>-<m>`, `_list`: raw values by number.
    fn viewed(&mut self, slot: &Slot) -> Result<Outcome, StoreError> {
        let qtype = self.question.qtype;
        let (from, to) = match self.path.view {
            View::Ordinal(n) if qtype == rtype::TXT || qtype == rtype::CERT => {
                let raw = self.reading.raw_at(slot, n)?;
                let rdata = raw.and_then(|bytes| rawvalue::rdata(qtype, &bytes));
                return Ok(rdata.map_or(Outcome::NoData, |rdata| Outcome::Answer(vec![self.raw_rr(rdata)])));
            }
            View::Range(from, to) if qtype == rtype::TXT => (from, to),
            View::List | View::Plain if qtype == rtype::TXT => (0, u64::MAX),
            _ => return Ok(Outcome::NoData),
        };
        let (raw, next) = self.reading.raw(slot, from, to)?;
        // Never silently: who asks is told how to get the rest.
        self.reason =
            next.map(|next| format!("there is more than one answer holds; go on with _o{next}-{to}"));
        let rdatas = raw.iter().filter_map(|(ordinal, bytes)| rawvalue::numbered(*ordinal, bytes));
        let rrs: Vec<Rr> = rdatas.map(|rdata| self.raw_rr(rdata)).collect();
        Ok(if rrs.is_empty() { Outcome::NoData } else { Outcome::Answer(rrs) })
    }

    /// Nothing of the type asked for lies at the name; perhaps it is the name server we synthesise.
    fn own_server(&mut self) -> Outcome {
        if !synth::is_own_server(self.resolver, &self.cut, self.name) {
            return Outcome::NoData;
        }
        self.uses_local = true;
        let address = synth::own_address(&self.cut, self.name, self.question.qtype, self.question);
        address.map_or(Outcome::NoData, |rr| Outcome::Answer(vec![rr]))
    }

    /// The name does not exist; its closest encloser may have a wildcard (RFC 4592 §3.3.1).
    fn absent(&mut self, encloser: usize) -> Result<Outcome, StoreError> {
        if self.path.view == View::Plain && synth::is_own_server(self.resolver, &self.cut, self.name) {
            return Ok(self.own_server());
        }
        if self.path.folded && encloser + 1 == self.path.steps.len() {
            // Names between the fourteenth label and this one leave no trace, so none can be denied.
            say(self.reading, || {
                "absent beyond the fifteenth label: existence is not known there".to_owned()
            });
            return Ok(Outcome::NoData);
        }
        let mut wildcard = if encloser == 0 { self.cut.zone.base.clone() } else { self.prefix(encloser) };
        wildcard.push(self.reading.book.name(b"*"));
        let speakers = self.cut.speakers.clone();
        if self.reading.exists(&wildcard.key(), &speakers)? {
            say(self.reading, || "the closest encloser has a wildcard".to_owned());
            return self.data(&wildcard, false);
        }
        Ok(Outcome::NxDomain)
    }
}

fn say(reading: &mut Reading<'_>, text: impl FnOnce() -> String) {
    if let Some(notes) = &mut reading.notes {
        notes.steps.push(text());
    }
}

fn describe(reading: &mut Reading<'_>, cut: &Cut, derived: &Derived) {
    if let Some(notes) = &mut reading.notes {
        notes.zone = Some((cut.zone.suffix.to_string(), cut.zone.local));
        notes.authority = Some(match (&cut.zone.authority, cut.depth) {
            (Authority::Key, _) | (_, 1) => "key",
            (Authority::Owners(_), _) => "owners",
        });
        notes.path = derived.names.iter().map(|name| name.bytes().escape_ascii().to_string()).collect();
        notes.cut = Some(cut.name.to_string());
        notes.speakers = cut.speakers.to_vec();
    }
}
