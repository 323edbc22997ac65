//! Listing a zone: the RRsets an owner has there, found without knowing their names. Values say their paths
//! inside their masks, so whoever knows a first selector's name can read all that lies below it. A zone at the
//! top of the network (`at` empty) has no first name: there the names this node was told in the clear are
//! tried. Unlisted RRsets and raw values do not say where they lie and are not listed.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::name::DnsName;
use super::path::{Path, Step, to_name};
use super::resolver::{Resolver, rewrite};
use super::rrset::{BUNDLE_ORDINAL, Bundle, RrsetValue, Slotted, rrset_ordinal};
use super::zone::Zone;
use crate::record::{Millis, Name, OwnerKey, PathKey, RecordId, rest_of};
use crate::store::{Snapshot, StoreError};

/// One RRset of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedRrset {
    /// Owner name.
    pub name: DnsName,
    /// Type.
    pub rtype: u16,
    /// Seconds.
    pub ttl: u32,
    /// Data in canonical form.
    pub rdatas: Vec<Vec<u8>>,
    /// Who published it.
    pub owner: OwnerKey,
    /// In which record.
    pub id: RecordId,
    /// When.
    pub time: Millis,
    /// Whether it came in a bundle.
    pub bundled: bool,
}

/// A bundle on the way through a listing: what it hides depends on its time.
struct Hiding {
    time: Millis,
    id: RecordId,
}

impl Resolver {
    /// Lists what `owner` has in a zone, in the order of arrival below each first name. RRsets that a newer
    /// bundle of their name hides are left out, and so are names that a deeper zone answers. Ends early when the
    /// sink has had enough (`false`).
    pub fn list(
        &self,
        zone: &Zone,
        owner: &OwnerKey,
        mut sink: impl FnMut(ListedRrset) -> bool,
    ) -> Result<(), StoreError> {
        let snapshot = self.store().snapshot()?;
        let firsts = match zone.at.first() {
            Some(first) => vec![first.clone()],
            None => snapshot.names()?,
        };
        for first in firsts {
            let first = self.book().name(&first);
            if !self.list_under(&snapshot, zone, &first, owner, &mut sink)? {
                break;
            }
        }
        Ok(())
    }

    fn list_under(
        &self,
        snapshot: &Snapshot,
        zone: &Zone,
        first: &Name,
        owner: &OwnerKey,
        sink: &mut impl FnMut(ListedRrset) -> bool,
    ) -> Result<bool, StoreError> {
        let zones = self.zones();
        let mut hiding: HashMap<PathKey, Option<Hiding>> = HashMap::new();
        for listed in snapshot.records_under(first.public(), owner)? {
            let listed = listed?;
            let limit = self.store().rules().limits.value_max;
            let Ok(value) = listed.record.open(&snapshot.network(), first.bytes(), limit) else { continue };
            for mut found in self.read_value(zone, &listed.record, &value) {
                // What lies under a longer suffix is that zone's: publishing this one must not delete it.
                if zones.find(&found.name).is_none_or(|other| other.suffix != zone.suffix) {
                    continue;
                }
                found.id = listed.id;
                let slot =
                    *listed.record.paths(&snapshot.network()).last().expect("a listed record has a slot");
                // What is listed lies at the ordinals 0, and so does what hides it.
                let key = (&slot, listed.record.rest());
                let bundle = match hiding.entry(slot) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(new) => new.insert(self.bundle_of(snapshot, key, owner, &found)?),
                };
                let hidden = bundle.as_ref().is_some_and(|b| (found.time, found.id) < (b.time, b.id));
                let replaced = found.bundled && self.is_replaced(snapshot, key, owner, &found)?;
                if !hidden && !replaced && !sink(found) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// The RRsets a record's value states, if it lies in this zone and really where it says it lies.
    fn read_value(&self, zone: &Zone, record: &crate::record::Record, value: &[u8]) -> Vec<ListedRrset> {
        let (path, sets, bundled) = if let Some(rrset) = RrsetValue::decode(value) {
            (rrset.path, vec![(None, rrset.ttl, rrset.rdatas)], false)
        } else if let Some(bundle) = Bundle::decode(value) {
            let sets = bundle.sets.into_iter().map(|(rtype, ttl, rdatas)| (Some(rtype), ttl, rdatas));
            (bundle.path, sets.collect(), true)
        } else {
            return vec![];
        };
        let Some((name, ordinal)) = self.place(zone, record, &path) else { return vec![] };
        let own_type = match Slotted::of(ordinal) {
            Slotted::Rrset(rtype) if !bundled => Some(rtype),
            Slotted::Bundle if bundled => None,
            _ => return vec![],
        };
        let listed = |(rtype, ttl, rdatas): (Option<u16>, u32, Vec<Vec<u8>>)| {
            let rtype = rtype.or(own_type)?;
            let rdatas = rdatas.iter().map(|rdata| rewrite(zone, rtype, rdata)).collect();
            let header = &record.header;
            // The id is the caller's to fill in: it knows it without hashing.
            let id = RecordId([0; 32]);
            Some(ListedRrset {
                name: name.clone(),
                rtype,
                ttl,
                rdatas,
                owner: header.owner,
                id,
                time: header.time,
                bundled,
            })
        };
        sets.into_iter().filter_map(listed).collect()
    }

    /// The DNS name of a stated path and the last ordinal, if the record's selectors are really of that path.
    fn place(&self, zone: &Zone, record: &crate::record::Record, path: &[Vec<u8>]) -> Option<(DnsName, u64)> {
        if path.len() != record.selectors.len() || !path.starts_with(&zone.at) {
            return None;
        }
        let names: Vec<_> = path.iter().map(|name| self.book().name(name)).collect();
        let matches = names.iter().zip(&record.selectors).all(|(name, s)| name.public() == s.key);
        let (last, before) = names.split_last()?;
        let zeros: Vec<_> = before.iter().map(|name| name.mask(0)).collect();
        if !matches || rest_of(&zeros) != record.rest() {
            return None;
        }
        let ordinal = last.unmask(record.selectors.last()?.ordinal)?;
        let apex = zone.at.is_empty() && path == [Vec::<u8>::new()];
        let below = if apex { &[] } else { &path[zone.at.len()..] };
        let steps: Vec<Step> = below.iter().map(|name| Step { name: name.clone(), ordinal: 0 }).collect();
        let name = to_name(&Path::spell(&steps, zone.at.len()), &zone.suffix).ok()?;
        Some((name, ordinal))
    }

    /// The newest bundle (or its deletion) at a slot.
    fn bundle_of(
        &self,
        snapshot: &Snapshot,
        (slot, rest): (&PathKey, u64),
        owner: &OwnerKey,
        found: &ListedRrset,
    ) -> Result<Option<Hiding>, StoreError> {
        let Some(last) = self.last_name(found) else { return Ok(None) };
        let masked = last.mask(BUNDLE_ORDINAL);
        let head = snapshot.head(slot, owner, masked, rest)?;
        Ok(head.map(|head| Hiding { time: head.time, id: head.id }))
    }

    /// Whether an RRset of a bundle has a newer record of its own.
    fn is_replaced(
        &self,
        snapshot: &Snapshot,
        (slot, rest): (&PathKey, u64),
        owner: &OwnerKey,
        found: &ListedRrset,
    ) -> Result<bool, StoreError> {
        let Some(last) = self.last_name(found) else { return Ok(false) };
        let masked = last.mask(rrset_ordinal(found.rtype));
        let own = snapshot.head(slot, owner, masked, rest)?;
        Ok(own.is_some_and(|own| (own.time, own.id) > (found.time, found.id)))
    }

    /// The last selector's name of a listed RRset's path.
    fn last_name(&self, found: &ListedRrset) -> Option<std::sync::Arc<Name>> {
        let zone = self.zones().find(&found.name)?.clone();
        let labels = found.name.strip_suffix(&zone.suffix)?;
        let path = Path::read(labels, zone.at.len()).ok()?;
        Some(match path.steps.last() {
            Some(step) => self.book().name(&step.name),
            None => zone.apex.names.last()?.clone(),
        })
    }
}
