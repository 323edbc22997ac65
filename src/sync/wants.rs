//! What this node knows it lacks, who has it, and who was asked: missing links, announced records, values.
//! Bounded in all and for each peer; what is dropped is found again by the next comparison. Pure.

use std::collections::{BTreeMap, HashMap};

use smallvec::SmallVec;

use super::wire::IDS_MAX;
use crate::record::{Millis, RecordId};

/// Ids wanted at a time at most.
pub const WANTS_MAX: usize = 65_536;
/// Peers remembered for one id at most.
const SOURCES_MAX: usize = 4;
/// How long something that arrived may be on its way through the store before it is asked for again, ms.
const ARRIVED_MS: u64 = 20_000;

/// A connection, as long as it lasts.
pub type LinkId = u64;

struct Want {
    sources: SmallVec<[LinkId; SOURCES_MAX]>,
    asked: Option<LinkId>,
    /// It came, and is on its way into the store.
    arrived: bool,
    /// Not to be asked for before this.
    due: Millis,
    seq: u64,
}

/// The list.
#[derive(Default)]
pub struct Wants {
    listed: HashMap<RecordId, Want>,
    /// For each peer what it has that is wanted, in the order it came to be wanted.
    offers: HashMap<LinkId, BTreeMap<u64, RecordId>>,
    next: u64,
}

impl Wants {
    /// How many ids are wanted.
    pub fn len(&self) -> usize {
        self.listed.len()
    }

    /// Whether nothing is.
    pub fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    /// Whether this is.
    pub fn contains(&self, id: &RecordId) -> bool {
        self.listed.contains_key(id)
    }

    /// Who is known to have it, if it is wanted.
    pub fn sources(&self, id: &RecordId) -> SmallVec<[LinkId; SOURCES_MAX]> {
        self.listed.get(id).map(|want| want.sources.clone()).unwrap_or_default()
    }

    /// How many of them `link` has.
    pub fn of(&self, link: LinkId) -> usize {
        self.offers.get(&link).map_or(0, BTreeMap::len)
    }

    /// `link` has this, and this node lacks it; to be asked for at `due`. False: there is no room.
    pub fn want(&mut self, id: RecordId, link: LinkId, due: Millis) -> bool {
        if let Some(want) = self.listed.get_mut(&id) {
            if !want.sources.contains(&link) && want.sources.len() < SOURCES_MAX {
                want.sources.push(link);
                self.offers.entry(link).or_default().insert(want.seq, id);
            }
            if !want.arrived {
                want.due = want.due.min(due);
            }
            return true;
        }
        if self.listed.len() >= WANTS_MAX && !self.make_room(link) {
            return false;
        }
        let seq = self.next;
        self.next += 1;
        self.listed.insert(
            id,
            Want { sources: SmallVec::from_slice(&[link]), asked: None, arrived: false, due, seq },
        );
        self.offers.entry(link).or_default().insert(seq, id);
        true
    }

    /// What to ask `link` for now, in the order it came to be wanted, at most [`IDS_MAX`].
    pub fn ask(&mut self, link: LinkId, now: Millis) -> Vec<RecordId> {
        let Some(offers) = self.offers.get(&link) else { return Vec::new() };
        let mut ids = Vec::new();
        for id in offers.values() {
            let Some(want) = self.listed.get_mut(id) else { continue };
            if want.asked.is_none() && want.due <= now {
                (want.asked, want.arrived) = (Some(link), false);
                ids.push(*id);
                if ids.len() == IDS_MAX {
                    break;
                }
            }
        }
        ids
    }

    /// It came, from whomever, and is on its way into the store.
    pub fn arrived(&mut self, id: &RecordId, now: Millis) {
        if let Some(want) = self.listed.get_mut(id) {
            (want.asked, want.arrived) = (None, true);
            want.due = now.plus(ARRIVED_MS);
        }
    }

    /// It is here, or can never be: it is wanted no more.
    pub fn settle(&mut self, id: &RecordId) {
        let Some(want) = self.listed.remove(id) else { return };
        for link in want.sources {
            if let Some(offers) = self.offers.get_mut(&link) {
                offers.remove(&want.seq);
            }
        }
    }

    /// `link` was asked for these and has sent all it will: who still lacks one asks another.
    pub fn answered(&mut self, link: LinkId, ids: &[RecordId]) {
        for id in ids {
            if self.listed.get(id).is_some_and(|want| want.asked == Some(link)) {
                self.forget_source(id, link);
            }
        }
    }

    /// `link` has it not, or not in full.
    pub fn refute(&mut self, id: &RecordId, link: LinkId) {
        if let Some(want) = self.listed.get_mut(id) {
            want.arrived = false;
        }
        self.forget_source(id, link);
    }

    /// What `link` sent as this was wrong: it is to be asked of others, at once.
    pub fn spurn(&mut self, id: &RecordId, link: LinkId, now: Millis) {
        if let Some(want) = self.listed.get_mut(id) {
            (want.arrived, want.due) = (false, now);
        }
        self.forget_source(id, link);
    }

    /// A connection ended.
    pub fn drop_link(&mut self, link: LinkId) {
        let Some(offers) = self.offers.remove(&link) else { return };
        for id in offers.values() {
            self.forget_source(id, link);
        }
    }

    /// When something is next to be asked of `link`, which is free. What arrived does not count: seldom is it
    /// asked for again, and there may be so much of it that the rest is not seen behind it.
    pub fn due(&self, link: LinkId) -> Option<Millis> {
        let offers = self.offers.get(&link)?;
        let wants = offers.values().filter_map(|id| self.listed.get(id));
        // Few are looked at: they are in the order they came to be wanted.
        wants.filter(|want| want.asked.is_none() && !want.arrived).take(64).map(|want| want.due).min()
    }

    /// Who has the most wanted of it gives one up, unless it is `link` itself.
    fn make_room(&mut self, link: LinkId) -> bool {
        let most = self.offers.iter().max_by_key(|(_, offers)| offers.len());
        let Some((most, id)) = most.and_then(|(most, offers)| Some((*most, *offers.last_key_value()?.1)))
        else {
            return false;
        };
        if most == link || self.of(most) <= self.of(link) + 1 {
            return false;
        }
        self.settle(&id);
        true
    }

    fn forget_source(&mut self, id: &RecordId, link: LinkId) {
        let Some(want) = self.listed.get_mut(id) else { return };
        want.sources.retain(|source| *source != link);
        if want.asked == Some(link) {
            want.asked = None;
        }
        let (seq, orphaned) = (want.seq, want.sources.is_empty());
        if let Some(offers) = self.offers.get_mut(&link) {
            offers.remove(&seq);
        }
        if orphaned {
            self.listed.remove(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u64) -> RecordId {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&n.to_be_bytes());
        RecordId(bytes)
    }

    const NOW: Millis = Millis(1_000);

    #[test]
    fn one_peer_is_asked_and_then_the_next() {
        let mut wants = Wants::default();
        wants.want(id(1), 7, NOW);
        wants.want(id(1), 8, NOW);
        assert_eq!(wants.ask(7, NOW), [id(1)]);
        assert!(wants.ask(8, NOW).is_empty(), "it is asked for already");
        wants.answered(7, &[id(1)]);
        assert_eq!(wants.ask(8, NOW), [id(1)]);
        wants.answered(8, &[id(1)]);
        assert!(wants.is_empty(), "nobody has it");
        assert_eq!((wants.of(7), wants.of(8)), (0, 0));
    }

    #[test]
    fn what_arrived_is_not_asked_for_while_it_is_being_stored() {
        let mut wants = Wants::default();
        wants.want(id(1), 7, NOW);
        wants.arrived(&id(1), NOW);
        assert!(wants.ask(7, NOW).is_empty());
        wants.settle(&id(1));
        assert!(wants.is_empty() && wants.of(7) == 0);
    }

    #[test]
    fn a_peer_that_goes_takes_its_offers_along() {
        let mut wants = Wants::default();
        wants.want(id(1), 7, NOW);
        wants.want(id(2), 7, NOW);
        wants.want(id(2), 8, NOW);
        wants.ask(7, NOW);
        wants.drop_link(7);
        assert_eq!(wants.len(), 1);
        assert_eq!(wants.ask(8, NOW), [id(2)]);
    }

    #[test]
    fn what_arrived_and_waits_does_not_hide_what_is_due() {
        let mut wants = Wants::default();
        for n in 0..100 {
            wants.want(id(n), 7, NOW);
            wants.arrived(&id(n), NOW);
        }
        wants.want(id(100), 7, NOW);
        assert_eq!(wants.due(7), Some(NOW));
        assert_eq!(wants.ask(7, NOW), [id(100)]);
        assert_eq!(wants.ask(7, NOW.plus(ARRIVED_MS)).len(), 100, "in the end they are asked for again");
    }

    #[test]
    fn the_list_is_bounded() {
        let mut wants = Wants::default();
        let kept = (0..WANTS_MAX as u64 + 10).filter(|n| wants.want(id(*n), 7, NOW)).count();
        assert_eq!((kept, wants.len()), (WANTS_MAX, WANTS_MAX));
    }

    #[test]
    fn what_is_wanted_first_is_asked_for_first() {
        let mut wants = Wants::default();
        for n in (0..2_000).rev() {
            wants.want(id(n), 7, NOW);
        }
        let asked = wants.ask(7, NOW);
        assert_eq!(asked.len(), IDS_MAX);
        assert_eq!(asked[..2], [id(1_999), id(1_998)]);
        assert_eq!(wants.due(7), Some(NOW));
    }
}
