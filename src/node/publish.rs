//! Publishing: a master file is compared with what an owner has in a zone, and only the difference becomes
//! records; a text file becomes the numbered raw values of a name. Used by `lfdns zone` through a node, and by
//! the first start within it. What to change is planned in `dns/publish.rs`; here files are read and records
//! made.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::explain::Explainer;
use super::owners::{Owners, OwnersError};
use super::zones::{self, LocalZone, ZonesError};
use crate::api::json::{OwnerText, PostReport, Query, QueryRange};
use crate::api::{Entry, Lf, LfError, Local, Progress};
use crate::dns::master::{self, Included, MasterError};
use crate::dns::name::{DnsName, NameError};
use crate::dns::publish::{Change, Plan, PlanError, ZoneRrset, path_of, plan};
use crate::dns::rdata;
use crate::dns::resolver::Resolver;
use crate::dns::zone::Zone;
use crate::record::{Authority, Owner, OwnerKey};
use crate::store::Store;

/// The last ordinal of a numbered line: larger ones mean RRsets (docs/DNS.md "Data").
const LINE_MAX: u64 = u32::MAX as u64;

/// Something that cannot be published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// A file.
    #[error("{}: {source}", .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The master file.
    #[error(transparent)]
    Master(#[from] MasterError),
    /// A name that cannot be published.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A name in a zone's file.
    #[error("{}: name '{name}': {error}", .path.display())]
    Name {
        /// Which file.
        path: PathBuf,
        /// As written.
        name: String,
        /// Why not.
        error: NameError,
    },
    /// What a node listed is no RRset.
    #[error("the listing of {0} is not understood: {1}")]
    Listing(DnsName, String),
    /// A record that cannot be made: whose it would be.
    #[error("{name}: {error}")]
    Make {
        /// The RRset it was for.
        name: String,
        /// Why not.
        error: LfError,
    },
    /// Records that were refused.
    #[error("{count} of {all} records were refused, the first because: {reason}")]
    Refused {
        /// How many.
        count: u64,
        /// Of how many.
        all: u64,
        /// Why.
        reason: String,
    },
    /// The node or store.
    #[error(transparent)]
    Lf(#[from] LfError),
    /// The owners of this home.
    #[error(transparent)]
    Owners(#[from] OwnersError),
    /// The zone files.
    #[error(transparent)]
    Zones(#[from] ZonesError),
}

/// Reads a master file, and what it includes, for a zone.
pub fn read_master(path: &Path, zone: &Zone) -> Result<Vec<ZoneRrset>, PublishError> {
    let text = fs::read(path).map_err(|source| PublishError::Io { path: path.to_owned(), source })?;
    let file = path.display().to_string();
    let mut include = |name: &str, from: &str| {
        let path = Path::new(from).parent().unwrap_or(Path::new("")).join(name);
        let text = fs::read(&path).map_err(|error| error.to_string())?;
        Ok(Included { file: path.display().to_string(), text })
    };
    let read = master::parse_with(&text, &file, &zone.suffix, Some(zone.ttl), &mut include)?;
    for warning in &read.warnings {
        tracing::warn!("{warning}");
    }
    let rrset =
        |set: master::Rrset| ZoneRrset { name: set.name, rtype: set.rtype, ttl: set.ttl, rdatas: set.rdatas };
    Ok(read.rrsets.into_iter().map(rrset).collect())
}

/// What an owner has in a zone.
pub fn existing(lf: &dyn Lf, zone: &Zone, owner: &OwnerKey) -> Result<Vec<ZoneRrset>, PublishError> {
    let mut sets = Vec::new();
    let mut wrong = None;
    lf.list_zone(&zone.suffix.to_string(), Some(owner), &mut |entry| {
        let name = DnsName::parse(&entry.name, Some(&DnsName::root()));
        let (Ok(name), Some(rtype)) = (name, rdata::rtype_from_text(&entry.rtype)) else {
            wrong = Some(format!("{} {}", entry.name, entry.rtype));
            return false;
        };
        let mut rdatas: Vec<Vec<u8>> = entry.rdata.into_iter().map(|blob| blob.0).collect();
        rdatas.sort();
        sets.push(ZoneRrset { name: name.to_lowercase(), rtype, ttl: entry.ttl, rdatas });
        true
    })?;
    match wrong {
        Some(what) => Err(PublishError::Listing(zone.suffix.clone(), what)),
        None => Ok(sets),
    }
}

/// What must change so that the owner's RRsets in the zone are these.
pub fn compare(
    lf: &dyn Lf,
    zone: &Zone,
    wanted: &[ZoneRrset],
    owner: &OwnerKey,
) -> Result<Plan, PublishError> {
    if zone.at.is_empty() {
        // Nothing says what lies directly below the network's top: the node can list what it was told of.
        let firsts: BTreeSet<Vec<u8>> =
            wanted.iter().filter_map(|set| path_of(zone, &set.name).ok()?.0.into_iter().next()).collect();
        lf.teach(&firsts.into_iter().collect::<Vec<_>>())?;
    }
    Ok(plan(zone, wanted, &existing(lf, zone, owner)?)?)
}

/// Makes the records of a plan. An RRset that cannot be made is named.
pub fn carry_out(
    lf: &dyn Lf,
    owner: &Owner,
    changes: &[Change],
    progress: &mut dyn FnMut(&Progress),
) -> Result<PostReport, PublishError> {
    let mut entries = changes.iter().map(entry);
    let report = lf.make_all(owner, &mut entries, progress).map_err(|error| match error {
        LfError::MintAt { index, error } => {
            let change = usize::try_from(index).ok().and_then(|index| changes.get(index));
            let name = change.map_or_else(String::new, describe);
            PublishError::Make { name, error: error.into() }
        }
        error => error.into(),
    })?;
    all_stored(report)
}

fn describe(change: &Change) -> String {
    use crate::dns::publish::Action;
    let (Action::Add(set) | Action::Replace { after: set, .. } | Action::Delete(set)) = &change.action;
    format!("{} {}", set.name, rdata::rtype_to_text(set.rtype))
}

fn all_stored(report: PostReport) -> Result<PostReport, PublishError> {
    let all = report.total();
    let left = all - report.accepted - report.known;
    if left == 0 {
        return Ok(report);
    }
    let reason = report.refused.into_iter().next().map_or("not yet: the clocks differ".into(), |r| r.reason);
    Err(PublishError::Refused { count: left, all, reason })
}

fn entry(change: &Change) -> Entry {
    let last = change.selectors.len().saturating_sub(1);
    let ordinal = |at| if at == last { change.ordinal } else { 0 };
    let selectors = change.selectors.iter().enumerate().map(|(at, name)| (name.clone(), ordinal(at)));
    Entry { selectors: selectors.collect(), value: change.value.clone(), ..Entry::default() }
}

/// Makes the lines of a text the raw values 1, 2, 3 … of a name; returns how many had to be written.
pub fn publish_lines(
    lf: &dyn Lf,
    zone: &Zone,
    name: &DnsName,
    text: &str,
    owner: &Owner,
) -> Result<u64, PublishError> {
    let (path, _) = path_of(zone, name)?;
    let mut now = numbered(lf, &path, &owner.key())?;
    let key = |number: u64| -> Vec<(Vec<u8>, u64)> {
        let last = path.len() - 1;
        path.iter()
            .enumerate()
            .map(|(at, name)| (name.clone(), if at == last { number } else { 0 }))
            .collect()
    };
    let mut entries = Vec::new();
    for (number, line) in (1..=LINE_MAX).zip(text.lines()) {
        if now.remove(&number).as_deref() != Some(line.as_bytes()) {
            let value = line.as_bytes().to_vec();
            entries.push(Entry { selectors: key(number), value, ..Entry::default() });
        }
    }
    // Lines that the text no longer has.
    entries.extend(now.into_keys().map(|number| Entry { selectors: key(number), ..Entry::default() }));
    let report = lf.make_all(owner, &mut entries.into_iter(), &mut |_| {})?;
    Ok(all_stored(report)?.accepted)
}

/// The numbered raw values an owner has at a path.
fn numbered(lf: &dyn Lf, path: &[Vec<u8>], owner: &OwnerKey) -> Result<BTreeMap<u64, Vec<u8>>, PublishError> {
    let last = path.len() - 1;
    let range = |(at, name): (usize, &Vec<u8>)| {
        if at == last { QueryRange::span(name, 1, LINE_MAX) } else { QueryRange::one(name, 0) }
    };
    let ranges = path.iter().enumerate().map(range).collect();
    let query = Query { ranges, owners: vec![OwnerText(*owner)], ..Query::default() };
    let found = lf.query(&query)?.into_iter().flatten();
    Ok(found.filter_map(|result| Some((result.ordinals.last().copied()??, result.value?.0))).collect())
}

/// Publishes what the zone files of a first start name, in this process. One that cannot be published keeps no other
/// back; the first such is the error.
pub(super) fn first_zones(
    home: &Path,
    dir: &Path,
    store: &Store,
    resolver: &Arc<Resolver>,
) -> Result<(), PublishError> {
    let owners = Owners::of(home);
    let lf = Local::new(store.clone(), super::clock());
    let lf = lf.explained_by(Arc::new(Explainer::new(Arc::clone(resolver))));
    let mut first = Ok(());
    for file in zones::load(dir, &zones::canonical(&store.rules()), &owners)? {
        let zones = resolver.zones();
        let suffix = DnsName::parse(&file.rule.suffix, None).ok();
        let Some(zone) = suffix.and_then(|suffix| zones.exactly(&suffix).cloned()) else { continue };
        let done = speaker(&file, &owners).and_then(|owner| publish_file(&lf, &file, &zone, &owner));
        if let (Err(error), Err(_)) = (&done, &first) {
            tracing::warn!("{error}");
        }
        first = first.and(done);
    }
    first
}

/// The first owner of the zone whose key is here; where none is, the default owner.
fn speaker(file: &LocalZone, owners: &Owners) -> Result<Owner, PublishError> {
    if let Authority::Owners(keys) = &file.rule.authority {
        for key in keys {
            if let Some(name) = owners.name_of(key)? {
                return Ok(owners.load(&name)?);
            }
        }
    }
    Ok(owners.signer(None)?)
}

fn publish_file(lf: &Local, file: &LocalZone, zone: &Zone, owner: &Owner) -> Result<(), PublishError> {
    if let Some(master) = &file.file.file {
        let path = file.beside(master);
        let wanted = read_master(&path, zone)?;
        let plan = compare(lf, zone, &wanted, &owner.key())?;
        carry_out(lf, owner, &plan.changes, &mut |_| {})?;
        tracing::info!("published {} RRsets of {} in {}", plan.changes.len(), path.display(), zone.suffix);
    }
    for lines in &file.file.lines {
        let path = file.beside(&lines.file);
        let text =
            fs::read_to_string(&path).map_err(|source| PublishError::Io { path: path.clone(), source })?;
        let name = DnsName::parse(&lines.name, Some(&zone.suffix)).map_err(|error| PublishError::Name {
            path: file.path.clone(),
            name: lines.name.clone(),
            error,
        })?;
        let count = publish_lines(lf, zone, &name.to_lowercase(), &text, owner)?;
        tracing::info!("published {count} lines of {} at {name}", path.display());
    }
    Ok(())
}
