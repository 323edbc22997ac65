//! Publishing a zone: what must change so that an owner's RRsets equal a master file. A pure plan; whoever
//! carries it out mints one record for each change. Unchanged RRsets are left alone, so that publishing a
//! file twice writes nothing the second time.

use std::collections::BTreeMap;

use super::name::{DnsName, NameError};
use super::path::{Path, PathError, View};
use super::rdata::{Soa, map_names, rtype};
use super::rrset::{RrsetValue, rrset_ordinal};
use super::zone::Zone;

/// Part of the existing RRsets, in percent, that a plan may delete without being forced.
pub const DELETIONS_PERCENT: usize = 20;

/// An RRset as both sides of the comparison see it, names under the zone's own suffix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneRrset {
    /// Owner name, lower-cased.
    pub name: DnsName,
    /// Type.
    pub rtype: u16,
    /// Seconds.
    pub ttl: u32,
    /// Data in canonical form, sorted.
    pub rdatas: Vec<Vec<u8>>,
}

/// What is done to one RRset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// It is new.
    Add(ZoneRrset),
    /// It replaces another.
    Replace {
        /// What is served now.
        before: ZoneRrset,
        /// What will be.
        after: ZoneRrset,
    },
    /// It goes.
    Delete(ZoneRrset),
}

/// One change: an action and the key and value that carry it out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What people are shown.
    pub action: Action,
    /// The key's selector names, outermost first; the last has the ordinal.
    pub selectors: Vec<Vec<u8>>,
    /// The last selector's ordinal.
    pub ordinal: u64,
    /// The value; empty to delete.
    pub value: Vec<u8>,
}

/// All changes, in the order of the file, deletions last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// What must change.
    pub changes: Vec<Change>,
    /// RRsets that are as they should be.
    pub unchanged: usize,
    /// RRsets that are there now.
    pub existing: usize,
}

/// An RRset that cannot be published.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The name lies elsewhere.
    #[error("{0} is not in the zone {1}")]
    OutOfZone(DnsName, DnsName),
    /// The name means something else here.
    #[error("{name}: {error}; such names have a meaning of their own here (docs/DNS.md \"Paths\")")]
    Path {
        /// Which.
        name: DnsName,
        /// Why.
        error: PathError,
    },
    /// `_list` and the like.
    #[error(
        "{0}: the first label is a view of raw values here and cannot be published (docs/DNS.md \"Paths\")"
    )]
    View(DnsName),
    /// A name inside the data gets too long under the canonical suffix.
    #[error("{name}: {error}")]
    Name {
        /// Which.
        name: DnsName,
        /// Why.
        error: NameError,
    },
}

/// Compares what should be with what is.
pub fn plan(zone: &Zone, wanted: &[ZoneRrset], existing: &[ZoneRrset]) -> Result<Plan, PlanError> {
    let mut left: BTreeMap<(&DnsName, u16), &ZoneRrset> =
        existing.iter().map(|rrset| ((&rrset.name, rrset.rtype), rrset)).collect();
    let mut plan = Plan { existing: left.len(), ..Plan::default() };
    for rrset in wanted {
        match left.remove(&(&rrset.name, rrset.rtype)) {
            Some(before) if same(before, rrset) => plan.unchanged += 1,
            Some(before) => {
                let action = Action::Replace { before: before.clone(), after: rrset.clone() };
                plan.changes.push(put(zone, rrset, action)?);
            }
            None => plan.changes.push(put(zone, rrset, Action::Add(rrset.clone()))?),
        }
    }
    for gone in left.into_values() {
        let (selectors, ordinal) = key(zone, &gone.name, gone.rtype)?;
        let action = Action::Delete(gone.clone());
        plan.changes.push(Change { action, selectors, ordinal, value: vec![] });
    }
    Ok(plan)
}

impl Plan {
    /// How many RRsets go.
    pub fn deletions(&self) -> usize {
        self.changes.iter().filter(|change| matches!(change.action, Action::Delete(_))).count()
    }

    /// Whether more goes than is usual, so that somebody should say that it is meant.
    pub fn deletes_much(&self) -> bool {
        self.deletions() * 100 > self.existing * DELETIONS_PERCENT
    }
}

/// Equal but for the SOA's serial, which is ours when served.
fn same(a: &ZoneRrset, b: &ZoneRrset) -> bool {
    if a.ttl != b.ttl {
        return false;
    }
    if a.rtype != rtype::SOA {
        return a.rdatas == b.rdatas;
    }
    let soa = |rrset: &ZoneRrset| {
        rrset.rdatas.first().and_then(|rdata| Soa::parse(rdata).ok()).map(|soa| Soa { serial: 0, ..soa })
    };
    soa(a) == soa(b)
}

fn put(zone: &Zone, rrset: &ZoneRrset, action: Action) -> Result<Change, PlanError> {
    let (selectors, ordinal) = key(zone, &rrset.name, rrset.rtype)?;
    let rdatas = rrset.rdatas.iter().map(|rdata| to_canonical(zone, &rrset.name, rrset.rtype, rdata));
    let value = RrsetValue {
        ttl: rrset.ttl,
        max_silence: 0,
        path: selectors.clone(),
        rdatas: rdatas.collect::<Result<_, _>>()?,
    };
    Ok(Change { action, selectors, ordinal, value: value.encode() })
}

/// The key of an RRset: its path, the type in the last ordinal.
pub fn key(zone: &Zone, name: &DnsName, rtype: u16) -> Result<(Vec<Vec<u8>>, u64), PlanError> {
    let (path, view) = path_of(zone, name)?;
    if view == View::Plain { Ok((path, rrset_ordinal(rtype))) } else { Err(PlanError::View(name.clone())) }
}

/// The selector names of a name in a zone, outermost first, and what of it is looked at.
pub fn path_of(zone: &Zone, name: &DnsName) -> Result<(Vec<Vec<u8>>, View), PlanError> {
    let outside = || PlanError::OutOfZone(name.clone(), zone.suffix.clone());
    let labels = name.strip_suffix(&zone.suffix).ok_or_else(outside)?;
    let path =
        Path::read(labels, zone.at.len()).map_err(|error| PlanError::Path { name: name.clone(), error })?;
    let below = path.steps.into_iter().map(|step| step.name);
    let mut selectors: Vec<Vec<u8>> = zone.at.iter().cloned().chain(below).collect();
    if selectors.is_empty() {
        selectors.push(Vec::new());
    }
    Ok((selectors, path.view))
}

/// Names inside the data, brought from an alias under the canonical suffix.
fn to_canonical(zone: &Zone, name: &DnsName, rtype: u16, rdata: &[u8]) -> Result<Vec<u8>, PlanError> {
    let Some((canonical, alias)) = &zone.alias else { return Ok(rdata.to_vec()) };
    let mut failed = None;
    let mapped = map_names(rtype, rdata, |inner| {
        let labels = inner.strip_suffix(alias)?;
        DnsName::join(labels, canonical).map_err(|error| failed = Some(error)).ok()
    });
    match failed {
        Some(error) => Err(PlanError::Name { name: name.clone(), error }),
        None => Ok(mapped.unwrap_or_else(|| rdata.to_vec())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::zone::Zones;
    use crate::record::{Authority, NetworkId, Rules, ZoneRule};

    fn zone(suffix: &str, at: &[&str]) -> std::sync::Arc<Zone> {
        let zones =
            vec![ZoneRule::new("lf.", &[], Authority::Key), ZoneRule::new(suffix, at, Authority::Key)];
        let rules = Rules { zones, ..Rules::private(&[0; 32], "t") };
        let zones = Zones::assemble(&NetworkId([0; 32]), &rules, &[]);
        zones.exactly(&name(suffix)).unwrap().clone()
    }

    fn name(text: &str) -> DnsName {
        DnsName::parse(text, None).unwrap()
    }

    fn a(owner: &str, last: u8) -> ZoneRrset {
        ZoneRrset { name: name(owner), rtype: rtype::A, ttl: 60, rdatas: vec![vec![192, 0, 2, last]] }
    }

    #[test]
    fn only_what_differs_changes() {
        let zone = zone("demo.lf.", &["demo"]);
        let existing = [a("same.demo.lf.", 1), a("other.demo.lf.", 2), a("gone.demo.lf.", 3)];
        let wanted = [a("same.demo.lf.", 1), a("other.demo.lf.", 9), a("new.demo.lf.", 4)];
        let plan = plan(&zone, &wanted, &existing).unwrap();
        assert_eq!((plan.unchanged, plan.changes.len(), plan.deletions()), (1, 3, 1));
        assert_eq!(plan.changes[2].selectors, [b"demo".to_vec(), b"gone".to_vec()]);
        assert!(plan.changes[2].value.is_empty());
        assert!(plan.deletes_much(), "one of three is over {DELETIONS_PERCENT} %");
    }

    #[test]
    fn a_soa_that_differs_in_its_serial_only_is_unchanged() {
        let soa = |serial, refresh| {
            let numbers = Soa {
                mname: name("a."),
                rname: name("b."),
                serial,
                refresh,
                retry: 1,
                expire: 1,
                minimum: 1,
            };
            ZoneRrset { name: name("demo.lf."), rtype: rtype::SOA, ttl: 60, rdatas: vec![numbers.to_rdata()] }
        };
        let zone = zone("demo.lf.", &["demo"]);
        assert_eq!(plan(&zone, &[soa(2, 5)], &[soa(1, 5)]).unwrap().changes, []);
        assert_eq!(plan(&zone, &[soa(2, 6)], &[soa(1, 5)]).unwrap().changes.len(), 1);
    }

    #[test]
    fn names_with_a_meaning_of_their_own_are_refused() {
        let zone = zone("demo.lf.", &["demo"]);
        for owner in ["_list.demo.lf.", "_o2.x.demo.lf.", "_o02.x.demo.lf.", "www.example."] {
            assert!(plan(&zone, &[a(owner, 1)], &[]).is_err(), "{owner}");
        }
    }

    #[test]
    fn data_in_an_alias_is_written_under_the_canonical_suffix() {
        let zone = zone("mesh.", &[]);
        let target = name("www.mesh.").as_wire().to_vec();
        let cname = ZoneRrset { name: name("x.mesh."), rtype: rtype::CNAME, ttl: 60, rdatas: vec![target] };
        let plan = plan(&zone, &[cname], &[]).unwrap();
        let value = RrsetValue::decode(&plan.changes[0].value).unwrap();
        assert_eq!(value.rdatas, [name("www.lf.").as_wire()]);
        assert_eq!(value.path, [b"x".to_vec()]);
    }
}
