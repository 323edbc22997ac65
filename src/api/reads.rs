//! What the store answers to a program's questions. Everything here blocks; the server calls it off the async
//! workers, [`super::Local`] directly.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;

use smallvec::SmallVec;

use super::json::{
    Blob, CatchingUp, Genesis, HashText, Query, QueryRange, QueryResult, QueryResults, RecordJson, Status,
};
use super::{Facts, Refused};
use crate::record::{
    Masked, Millis, NAME_MAX, Name, NetworkId, OwnerKey, PathKey, Record, SELECTORS_MAX, SelectorPublic,
    ValueError,
};
use crate::store::{self, Contender, Snapshot, Store};
use crate::sync::face::Progress;

/// Owners a query may name.
const QUERY_OWNERS_MAX: usize = 64;
/// Records one answer holds at most.
const RESULTS_MAX: usize = 10_000;
/// Bytes of records one answer holds at most.
const RESULT_BYTES_MAX: usize = 32 << 20;
/// Bytes of an entry of `KeyRange`: a selector's public key and a masked ordinal.
const KEY_LEN: usize = 48;

/// A query understood: names derived, ranges masked.
struct Plan {
    ranges: Vec<store::Range>,
    names: Vec<Option<Name>>,
    masking_key: Option<Vec<u8>>,
    owners: Vec<OwnerKey>,
    since: Option<Millis>,
    until: Option<Millis>,
    newest_first: bool,
    each: usize,
    open: bool,
}

type Key = (usize, SmallVec<[Masked; 4]>, PathKey);

/// Answers LF's general query.
pub(crate) fn query(store: &Store, query: &Query) -> Result<QueryResults, Refused> {
    let network = store.network();
    let plan = Plan::new(&network, query)?;
    let snapshot = store.snapshot()?;
    let limit = store.rules().limits.value_max;
    let mut results = QueryResults::new();
    let (mut count, mut bytes) = (0, 0);
    for contenders in plan.find(&snapshot)?.into_values() {
        let mut list = Vec::new();
        for contender in contenders {
            if list.len() == plan.each {
                break;
            }
            let record = snapshot.record(contender.row)?;
            let Some(ordinals) = plan.ordinals(&record) else { continue };
            let result = plan.show(&network, limit, &contender, &record, ordinals);
            count += 1;
            bytes += result.size;
            if count > RESULTS_MAX || bytes > RESULT_BYTES_MAX {
                return Err(Refused::new(
                    400,
                    format!(
                        "the answer has more than {RESULTS_MAX} records or {RESULT_BYTES_MAX} bytes: narrow a range, name an owner or set a limit"
                    ),
                ));
            }
            list.push(result);
        }
        if !list.is_empty() {
            results.push(list);
        }
    }
    Ok(results)
}

impl Plan {
    fn new(network: &NetworkId, query: &Query) -> Result<Plan, Refused> {
        refuse_what_is_not_built(query)?;
        let bad = |message: String| Err(Refused::new(400, message));
        if query.ranges.is_empty() {
            return bad("a query needs at least one selector (Ranges)".into());
        }
        if query.ranges.len() > SELECTORS_MAX {
            return bad(format!("a query has at most {SELECTORS_MAX} ranges, as a record has selectors"));
        }
        if query.owners.len() > QUERY_OWNERS_MAX {
            return bad(format!("a query names at most {QUERY_OWNERS_MAX} owners"));
        }
        let (since, until) = match query.time_range[..] {
            [] => (None, None),
            [since] => (Some(from_second(since)), None),
            [since, until] if since <= until => (Some(from_second(since)), Some(to_second(until))),
            [since, until] => return bad(format!("TimeRange ends ({until}) before it begins ({since})")),
            _ => return bad("TimeRange has one or two numbers".into()),
        };
        let mut ranges = Vec::with_capacity(query.ranges.len());
        let mut names = Vec::with_capacity(query.ranges.len());
        for (index, range) in query.ranges.iter().enumerate() {
            let (range, name) = read_range(network, range)
                .map_err(|wrong| Refused::new(400, format!("range {index}: {wrong}")))?;
            ranges.push(range);
            names.push(name);
        }
        let first_name = || names[0].as_ref().map(|name: &Name| name.bytes().to_vec());
        let masking_key =
            if query.masking_key.is_empty() { first_name() } else { Some(query.masking_key.0.clone()) };
        Ok(Plan {
            masking_key,
            owners: query.owners.iter().map(|o| o.0).collect(),
            since,
            until,
            newest_first: query.sort_order == "timestamp",
            each: query.limit.and_then(|l| usize::try_from(l).ok()).filter(|l| *l > 0).unwrap_or(usize::MAX),
            open: query.open.unwrap_or(false),
            ranges,
            names,
        })
    }

    /// All contenders of each key, best first; keys by number of selectors, then ordinals.
    fn find(&self, snapshot: &Snapshot) -> Result<BTreeMap<Key, Vec<Contender>>, Refused> {
        let mut found: BTreeMap<Key, Vec<Contender>> = BTreeMap::new();
        let whom: Vec<Option<OwnerKey>> = match self.owners.len() {
            0 => vec![None],
            _ => self.owners.iter().copied().map(Some).collect(),
        };
        for owner in whom {
            let groups = snapshot.query(&store::Query {
                ranges: self.ranges.clone(),
                since: self.since,
                until: self.until,
                owner,
                open: self.open,
                limit: None,
            })?;
            for group in groups {
                let list = found.entry((group.ordinals.len(), group.ordinals, group.slot)).or_default();
                list.extend(group.values);
            }
        }
        for list in found.values_mut() {
            self.rank(list);
        }
        Ok(found)
    }

    /// Without trust and weight: as the query lists the owners, else who has stood there longest unchanged.
    fn rank(&self, list: &mut Vec<Contender>) {
        if self.newest_first {
            list.sort_by_key(|c| std::cmp::Reverse((c.time, c.id)));
        } else if self.owners.is_empty() {
            list.sort_by_key(|c| (c.time, c.id));
        }
        // An owner the query names twice is one owner.
        let mut seen = HashSet::new();
        list.retain(|c| seen.insert(c.id));
    }

    /// The ordinals in the clear where the query tells the name; nothing if one is no exact image: whoever
    /// knows the name ignores such a record, or one ordinal would have endless aliases.
    fn ordinals(&self, record: &Record) -> Option<Vec<Option<u64>>> {
        let mut names = self.ranges.iter().zip(&self.names).peekable();
        let mut ordinals = Vec::with_capacity(record.selectors.len());
        for selector in &record.selectors {
            let matched = names.next_if(|(range, _)| {
                range.key == selector.key && (range.lo..=range.hi).contains(&selector.ordinal)
            });
            ordinals.push(match matched {
                Some((_, Some(name))) => Some(name.unmask(selector.ordinal)?),
                _ => None,
            });
        }
        Some(ordinals)
    }

    fn show(
        &self,
        network: &NetworkId,
        limit: u32,
        contender: &Contender,
        record: &Record,
        ordinals: Vec<Option<u64>>,
    ) -> QueryResult {
        let opened = self.masking_key.as_deref().map(|key| record.open(network, key, limit));
        QueryResult {
            hash: HashText(contender.id),
            size: record.len(),
            record: RecordJson::from(record),
            unmasking_failed: match &opened {
                Some(Err(ValueError::Absent) | Ok(_)) | None => None,
                Some(Err(_)) => Some(true),
            },
            value: opened.and_then(Result::ok).map(Blob),
            ordinals,
        }
    }
}

/// What a later version will do is refused, never ignored: an answer must not look more trusted than it is.
fn refuse_what_is_not_built(query: &Query) -> Result<(), Refused> {
    if !query.oracles.is_empty() {
        return Err(Refused::new(400, "Oracles: this version does not compute trust; leave it out"));
    }
    match query.sort_order.as_str() {
        "" | "timestamp" => Ok(()),
        order @ ("trust" | "weight") => Err(Refused::new(
            400,
            format!(
                "SortOrder \"{order}\": this version does not compute it; use \"timestamp\" or leave it out"
            ),
        )),
        other => Err(Refused::new(
            400,
            format!(
                "SortOrder \"{}\" is not known: expected \"timestamp\" or nothing",
                other.escape_default()
            ),
        )),
    }
}

fn read_range(network: &NetworkId, range: &QueryRange) -> Result<(store::Range, Option<Name>), String> {
    if !range.key_range.is_empty() {
        return Ok((read_key_range(&range.key_range)?, None));
    }
    if range.name.0.len() > NAME_MAX {
        return Err(format!("a name has at most {NAME_MAX} bytes, this has {}", range.name.0.len()));
    }
    let (first, last) = match range.range[..] {
        [] => (0, 0),
        [only] => (only, only),
        [first, last] if first <= last => (first, last),
        [first, last] => return Err(format!("Range ends ({last}) before it begins ({first})")),
        _ => return Err("Range has one or two ordinals".into()),
    };
    let name = Name::derive(network, &range.name.0);
    let range = store::Range { key: name.public(), lo: name.mask(first), hi: name.mask(last) };
    Ok((range, Some(name)))
}

fn read_key_range(keys: &[Blob]) -> Result<store::Range, String> {
    let read = |key: &Blob| {
        let (public, ordinal) = key.0.split_first_chunk::<32>()?;
        Some((SelectorPublic(*public), Masked(ordinal.try_into().ok()?)))
    };
    let wrong = || format!("an entry of KeyRange has {KEY_LEN} bytes: a public key and a masked ordinal");
    let (key, lo) = read(&keys[0]).ok_or_else(wrong)?;
    let (last_key, hi) = match keys {
        [_] => (key, lo),
        [_, last] => read(last).ok_or_else(wrong)?,
        _ => return Err("KeyRange has one or two entries".into()),
    };
    if key != last_key || lo > hi {
        return Err("both entries of KeyRange are of one public key, the smaller ordinal first".into());
    }
    Ok(store::Range { key, lo, hi })
}

/// The first millisecond of a unix second.
fn from_second(second: u64) -> Millis {
    Millis(second.saturating_mul(1000))
}

/// The last millisecond of a unix second.
fn to_second(second: u64) -> Millis {
    from_second(second).plus(999)
}

/// Path keys as they come in JSON.
pub(crate) fn slots(blobs: &[Blob]) -> Result<Vec<PathKey>, Refused> {
    let read = |blob: &Blob| blob.0.as_slice().try_into().map(PathKey);
    blobs.iter().map(read).collect::<Result<_, _>>().map_err(|_| Refused::new(400, "a slot has 16 bytes"))
}

/// When the owner last wrote in each slot.
pub(crate) fn newest(
    store: &Store,
    owner: &OwnerKey,
    slots: &[PathKey],
) -> Result<Vec<Option<Millis>>, Refused> {
    let snapshot = store.snapshot()?;
    // A slot with many ordinals costs as much as it has; asked once, it pays once.
    let mut known: HashMap<PathKey, Option<Millis>> = HashMap::new();
    slots
        .iter()
        .map(|slot| match known.entry(*slot) {
            Entry::Occupied(found) => Ok(*found.get()),
            Entry::Vacant(place) => Ok(*place.insert(snapshot.newest_in_slot(slot, owner)?)),
        })
        .collect()
}

/// The node's status, all but its network id.
pub(crate) fn status(
    store: &Store,
    now: Millis,
    uptime: u64,
    facts: &Facts,
    peers: &Progress,
) -> Result<Status, Refused> {
    let stats = store.stats()?;
    let rules = store.rules();
    let addresses = |all: &[SocketAddr]| all.iter().map(ToString::to_string).collect();
    Ok(Status {
        software: env!("CARGO_PKG_NAME").into(),
        version: version(),
        api_version: 1,
        min_api_version: 1,
        max_api_version: 1,
        uptime,
        clock: now.seconds(),
        clock_millis: now.0,
        db_record_count: stats.records,
        db_size: stats.bytes,
        db_fully_synchronized: stats.orphans == 0 && peers.synchronised,
        peer_count: peers.connected,
        genesis_parameters: Genesis {
            name: rules.name.clone(),
            contact: rules.contact.clone(),
            comment: rules.comment.clone(),
            auth_required: rules.auth_required,
            record_min_links: u32::from(rules.links_min),
            record_max_value_size: rules.limits.value_max,
            record_max_time_drift: rules.drift_ms / 1000,
        },
        network_rules: serde_json::to_value(&*rules).expect("rules have string keys"),
        network: None,
        orphans: stats.orphans as u64,
        deferred: stats.deferred as u64,
        fingerprint: store.ranges()?.total().to_string(),
        key: peers.key.map(|key| key.to_string()),
        synchronised: peers.synchronised,
        missing: peers.missing,
        lag_millis: peers.lag_ms,
        catching_up: peers.catching_up.map(|(done, total)| CatchingUp { done, total }),
        records_in_per_second: peers.tenth_records_in as f64 / 10.0,
        records_out_per_second: peers.tenth_records_out as f64 / 10.0,
        disk_free: stats.free.unwrap_or_default(),
        disk_min_free: facts.disk_min_free,
        ready: facts.waiting_for.is_empty(),
        waiting_for: facts.waiting_for.clone(),
        dns: addresses(&facts.dns),
        http: addresses(&facts.http),
        quic: addresses(&facts.quic),
    })
}

fn version() -> [u32; 4] {
    let mut numbers = env!("CARGO_PKG_VERSION").split('.').map(|n| n.parse().unwrap_or(0));
    std::array::from_fn(|_| numbers.next().unwrap_or(0))
}
