//! Reading one name: who speaks at a path, whether it exists, and which records of its slot are served.
//!
//! Everything read is noted in the answer's dependencies before it is read, and told to the explanation if
//! one is wanted. Nothing here knows questions or messages.

use std::rc::Rc;
use std::sync::Arc;

use smallvec::SmallVec;

use super::book::NameBook;
use super::counters::{Counters, Deps};
use super::explain::{Fate, Notes};
use super::path::{Derived, Step};
use super::rrset::{BUNDLE_ORDINAL, Bundle, RrsetValue, Slotted, rrset_ordinal};
use crate::record::{Masked, Millis, Name, OwnerKey, PathKey, Pulse, Record, rest_of};
use crate::store::{Head, Presence, Snapshot, StoreError};

/// Most raw values of one name that one answer reads: no message holds more.
pub const RAW_VALUES_MAX: usize = 1_024;
/// Octets of them.
pub const RAW_OCTETS_MAX: usize = 65_535;

/// Heads between a slot's first RRset and its bundle that are read at once; a slot with more (it has raw values
/// at large ordinals) is probed type by type.
const HEADS_AT_ONCE: usize = 32;

/// Who may speak for the names in question, in order of belief.
pub(crate) type Speakers = SmallVec<[OwnerKey; 2]>;

/// One answer's reading: where it reads, what it has read, until when that is true.
pub(crate) struct Reading<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) counters: &'a Counters,
    pub(crate) book: &'a NameBook,
    pub(crate) now: Millis,
    /// The network's value limit, bytes.
    pub(crate) value_max: u32,
    pub(crate) deps: Deps,
    pub(crate) until: Option<Millis>,
    pub(crate) notes: Option<Notes>,
    /// What was read of presence so far: the same few paths are asked again and again.
    pub(crate) present: Present,
    /// The slot read last: a name's is asked for its delegation, then for its alias, then for what is wanted.
    pub(crate) last_slot: Option<ReadSlot>,
}

/// A slot, and what it was read for.
pub(crate) struct ReadSlot {
    path: PathKey,
    ordinals: Vec<u64>,
    speakers: Speakers,
    found: Option<Rc<Slot>>,
}

/// Presence by path and owner, as read.
pub(crate) type Present = SmallVec<[(PathKey, OwnerKey, Option<Presence>); 8]>;

/// One owner's slot at one path: where a name's RRsets and raw values are.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) path: PathKey,
    pub(crate) owner: OwnerKey,
    last: Arc<Name>,
    /// The image of the bundle's ordinal, which every question needs.
    bundle: Masked,
    /// Masked ordinals of the selectors before the last.
    rest: u64,
    /// All heads of RRsets and bundle, if they are few.
    heads: Option<Vec<Head>>,
    masking_key: Vec<u8>,
}

/// Raw values, each with its ordinal.
pub(crate) type Numbered = Vec<(u64, Vec<u8>)>;

/// An RRset as served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Served {
    pub(crate) rtype: u16,
    pub(crate) ttl: u32,
    pub(crate) rdatas: Vec<Vec<u8>>,
}

impl Reading<'_> {
    /// A path some steps below another.
    pub(crate) fn derive(&self, base: &Derived, steps: &[Step]) -> Derived {
        let mut derived = base.clone();
        for step in steps {
            derived.push(self.book.name(&step.name));
        }
        derived
    }

    /// Whether one of the speakers has something live at or below the path.
    pub(crate) fn exists(&mut self, path: &PathKey, speakers: &[OwnerKey]) -> Result<bool, StoreError> {
        self.deps.note(self.counters, path);
        for owner in speakers {
            if self.presence(path, owner)?.is_some_and(|p| p.at + p.below > 0) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The owner who is believed at a path: the first speaker who has something live exactly there.
    pub(crate) fn voice(
        &mut self,
        path: &PathKey,
        speakers: &[OwnerKey],
    ) -> Result<Option<OwnerKey>, StoreError> {
        self.deps.note(self.counters, path);
        for owner in speakers {
            if self.presence(path, owner)?.is_some_and(|p| p.at > 0) {
                return Ok(Some(*owner));
            }
        }
        Ok(None)
    }

    fn presence(&mut self, path: &PathKey, owner: &OwnerKey) -> Result<Option<Presence>, StoreError> {
        if let Some((_, _, known)) = self.present.iter().find(|(p, o, _)| p == path && o == owner) {
            return Ok(*known);
        }
        let found = self.snapshot.presence_of(path, owner)?;
        self.present.push((*path, *owner, found));
        Ok(found)
    }

    /// The slot of `path` as the believed owner fills it. `ordinals` are those of the path's selectors; the
    /// last one's is not looked at.
    pub(crate) fn slot(
        &mut self,
        path: &Derived,
        ordinals: &[u64],
        speakers: &[OwnerKey],
    ) -> Result<Option<Rc<Slot>>, StoreError> {
        let key = path.key();
        if let Some(last) = &self.last_slot
            && (last.path, last.ordinals.as_slice(), last.speakers.as_slice()) == (key, ordinals, speakers)
        {
            return Ok(last.found.clone());
        }
        let found = self.read_slot(path, ordinals, speakers)?.map(Rc::new);
        let (ordinals, speakers) = (ordinals.to_vec(), speakers.into());
        self.last_slot = Some(ReadSlot { path: key, ordinals, speakers, found: found.clone() });
        Ok(found)
    }

    fn read_slot(
        &mut self,
        path: &Derived,
        ordinals: &[u64],
        speakers: &[OwnerKey],
    ) -> Result<Option<Slot>, StoreError> {
        let key = path.key();
        let Some(owner) = self.voice(&key, speakers)? else { return Ok(None) };
        let (last, before) = path.names.split_last().expect("a slot has a selector");
        let masked: SmallVec<[Masked; 8]> = before
            .iter()
            .enumerate()
            .map(|(index, name)| name.mask(ordinals.get(index).copied().unwrap_or(0)))
            .collect();
        let masking_key = path.names[0].bytes().to_vec();
        let rest = rest_of(&masked);
        let bundle = last.mask(BUNDLE_ORDINAL);
        let range = (last.mask(rrset_ordinal(1)), bundle);
        // Bounded whatever the other ordinals are: a slot with more heads is probed key by key.
        let heads = self.snapshot.first_heads(&key, &owner, range, HEADS_AT_ONCE + 1)?;
        let few = heads.len() <= HEADS_AT_ONCE;
        let heads = few.then(|| heads.into_iter().filter(|head| head.rest == rest).collect());
        Ok(Some(Slot { path: key, owner, last: last.clone(), bundle, rest, heads, masking_key }))
    }

    /// The RRset of a type in a slot: its own record, or the bundle's if that is newer.
    pub(crate) fn rrset(&mut self, slot: &Slot, rtype: u16) -> Result<Option<Served>, StoreError> {
        let bundle = self.head(slot, BUNDLE_ORDINAL)?;
        let own = self.head(slot, rrset_ordinal(rtype))?;
        let own_is_newer = match (&own, &bundle) {
            (Some(own), Some(bundle)) => (own.time, own.id) > (bundle.time, bundle.id),
            (Some(_), None) => true,
            (None, _) => false,
        };
        if let (Some(own), false) = (&own, own_is_newer) {
            self.tell(own, slot, Some(rtype), Fate::HiddenByBundle);
        }
        if own_is_newer {
            own.map_or(Ok(None), |own| self.own_rrset(slot, &own, rtype))
        } else {
            bundle.map_or(Ok(None), |bundle| self.bundled(slot, &bundle, rtype))
        }
    }

    fn own_rrset(&mut self, slot: &Slot, head: &Head, rtype: u16) -> Result<Option<Served>, StoreError> {
        let Some((record, bytes)) = self.open(slot, head, Some(rtype))? else { return Ok(None) };
        let Some(value) = RrsetValue::decode(&bytes) else {
            self.tell(head, slot, Some(rtype), Fate::NotDnsData);
            return Ok(None);
        };
        if !self.lives(slot, head, &record, value.max_silence, Some(rtype))? {
            return Ok(None);
        }
        Ok(Some(Served { rtype, ttl: value.ttl, rdatas: value.rdatas }))
    }

    fn bundled(&mut self, slot: &Slot, head: &Head, rtype: u16) -> Result<Option<Served>, StoreError> {
        let Some((record, bytes)) = self.open(slot, head, None)? else { return Ok(None) };
        let Some(bundle) = Bundle::decode(&bytes) else {
            self.tell(head, slot, None, Fate::NotDnsData);
            return Ok(None);
        };
        let Some((_, ttl, rdatas)) = bundle.sets.into_iter().find(|(t, _, _)| *t == rtype) else {
            return Ok(None);
        };
        if !self.lives(slot, head, &record, bundle.max_silence, None)? {
            return Ok(None);
        }
        Ok(Some(Served { rtype, ttl, rdatas }))
    }

    /// The types a slot may hold RRsets of, ascending.
    pub(crate) fn types(&mut self, slot: &Slot) -> Result<Vec<u16>, StoreError> {
        let (lo, hi) = (slot.last.mask(rrset_ordinal(1)), slot.last.mask(rrset_ordinal(u16::MAX)));
        self.deps.note(self.counters, &slot.path);
        let heads = self.snapshot.heads_beside(&slot.path, &slot.owner, slot.rest, (lo, hi), usize::MAX)?;
        let mut types: Vec<u16> = heads
            .iter()
            .filter(|head| head.live)
            .filter_map(|head| match Slotted::of(slot.last.unmask(head.ordinal)?) {
                Slotted::Rrset(rtype) => Some(rtype),
                _ => None,
            })
            .collect();
        if let Some(head) = self.head(slot, BUNDLE_ORDINAL)?
            && let Some((_, bytes)) = self.open(slot, &head, None)?
            && let Some(bundle) = Bundle::decode(&bytes)
        {
            types.extend(bundle.sets.iter().map(|(rtype, _, _)| *rtype));
        }
        types.sort_unstable();
        types.dedup();
        Ok(types)
    }

    /// The raw value of a slot at one ordinal.
    pub(crate) fn raw_at(&mut self, slot: &Slot, ordinal: u64) -> Result<Option<Vec<u8>>, StoreError> {
        self.deps.note(self.counters, &slot.path);
        let head = self.snapshot.head(&slot.path, &slot.owner, slot.last.mask(ordinal), slot.rest)?;
        let Some(head) = head else { return Ok(None) };
        let value = self.raw_value(slot, &head, ordinal)?;
        if value.is_some() {
            self.tell(&head, slot, None, Fate::Served);
        }
        Ok(value)
    }

    /// The raw values of a slot with ordinals from `from` to `to`, each with its ordinal, and where to go on if
    /// these are not all: at most [`RAW_VALUES_MAX`] keys are looked at, and [`RAW_OCTETS_MAX`] octets kept.
    pub(crate) fn raw(
        &mut self,
        slot: &Slot,
        from: u64,
        to: u64,
    ) -> Result<(Numbered, Option<u64>), StoreError> {
        let range = (slot.last.mask(from), slot.last.mask(to));
        self.deps.note(self.counters, &slot.path);
        let limit = RAW_VALUES_MAX + 1;
        let heads = self.snapshot.heads_beside(&slot.path, &slot.owner, slot.rest, range, limit)?;
        let all = heads.len() <= RAW_VALUES_MAX;
        let (mut values, mut octets, mut next) = (vec![], 0, from);
        for head in heads.into_iter().take(RAW_VALUES_MAX) {
            let Some(ordinal) = slot.last.unmask(head.ordinal) else {
                self.tell(&head, slot, None, Fate::NoImage);
                continue;
            };
            if let Some(bytes) = self.raw_value(slot, &head, ordinal)? {
                octets += bytes.len();
                if octets > RAW_OCTETS_MAX && !values.is_empty() {
                    return Ok((values, Some(ordinal)));
                }
                self.tell(&head, slot, None, Fate::Served);
                values.push((ordinal, bytes));
            }
            next = ordinal.saturating_add(1);
        }
        Ok((values, (!all).then_some(next)))
    }

    /// What a head of a slot holds, if that is a raw value and not an RRset, a bundle or what describes the name.
    fn raw_value(&mut self, slot: &Slot, head: &Head, ordinal: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let kind = Slotted::of(ordinal);
        if matches!(kind, Slotted::Bundle | Slotted::Metadata) {
            return Ok(None);
        }
        let bytes = self.open(slot, head, None)?.map(|(_, bytes)| bytes);
        let rrset =
            |bytes: &Vec<u8>| matches!(kind, Slotted::Rrset(_)) && RrsetValue::decode(bytes).is_some();
        Ok(bytes.filter(|bytes| !rrset(bytes)))
    }

    fn head(&mut self, slot: &Slot, ordinal: u64) -> Result<Option<Head>, StoreError> {
        if slot.heads.as_ref().is_some_and(Vec::is_empty) {
            return Ok(None);
        }
        let masked = if ordinal == BUNDLE_ORDINAL { slot.bundle } else { slot.last.mask(ordinal) };
        if let Some(heads) = &slot.heads {
            return Ok(heads.iter().find(|head| head.ordinal == masked).copied());
        }
        self.deps.note(self.counters, &slot.path);
        self.snapshot.head(&slot.path, &slot.owner, masked, slot.rest)
    }

    /// A live head's record and value in the clear.
    fn open(
        &mut self,
        slot: &Slot,
        head: &Head,
        rtype: Option<u16>,
    ) -> Result<Option<(Record, Vec<u8>)>, StoreError> {
        if !head.live {
            self.tell(head, slot, rtype, Fate::Deleted);
            return Ok(None);
        }
        let record = self.snapshot.record(head.row)?;
        match record.open(&self.snapshot.network(), &slot.masking_key, self.value_max) {
            Ok(bytes) => Ok(Some((record, bytes))),
            Err(error) => {
                self.tell(head, slot, rtype, Fate::DoesNotOpen(error.to_string()));
                Ok(None)
            }
        }
    }

    /// Whether the record's pulse is recent enough; bounds how long the answer is true.
    fn lives(
        &mut self,
        slot: &Slot,
        head: &Head,
        record: &Record,
        max_silence: u16,
        rtype: Option<u16>,
    ) -> Result<bool, StoreError> {
        if max_silence > 0 {
            let minute = self.snapshot.pulse(head.row)?.unwrap_or(0);
            let end = Pulse::instant(record.header.time, minute.saturating_add(u32::from(max_silence)));
            if end <= self.now {
                self.tell(head, slot, rtype, Fate::Silent);
                return Ok(false);
            }
            self.until = Some(self.until.map_or(end, |until| until.min(end)));
        }
        self.tell(head, slot, rtype, Fate::Served);
        Ok(true)
    }

    fn tell(&mut self, head: &Head, slot: &Slot, rtype: Option<u16>, fate: Fate) {
        if let Some(notes) = &mut self.notes {
            notes.record(head, &slot.owner, slot.last.unmask(head.ordinal), rtype, fate);
        }
    }
}
