//! What this node knows it lacks, who has it, and who was asked: missing links, announced records, values.
//! Bounded in all and for each peer; what is dropped is found again by the next comparison. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use smallvec::SmallVec;

use super::wire::IDS_MAX;
use crate::record::{Millis, RecordId};

/// Ids wanted at a time at most.
pub const WANTS_MAX: usize = 65_536;
/// Peers remembered for one id at most.
const SOURCES_MAX: usize = 4;
/// How long something that arrived may be on its way through the store before it is asked for again, ms.
const ARRIVED_MS: u64 = 20_000;
/// How long one peer that was asked keeps the others from being asked, ms: two seconds, and a round trip.
pub const ASKED_MS: u64 = 2_500;
/// Peers asked for one id at the same time at most.
const ASKED_MAX: usize = 2;

/// A connection, as long as it lasts.
pub type LinkId = u64;

struct Want {
    sources: SmallVec<[LinkId; SOURCES_MAX]>,
    /// Those of them that were asked and have not answered, and until when they keep others from being asked.
    asked: SmallVec<[(LinkId, Millis); ASKED_MAX]>,
    /// It came, and is on its way into the store.
    arrived: bool,
    /// Not to be asked for before this.
    due: Millis,
    /// The record is here, and its value is not.
    value: bool,
    seq: u64,
}

impl Want {
    /// When it may be asked of `link`.
    fn askable(&self, link: LinkId) -> Option<Millis> {
        match self.asked[..] {
            [] => Some(self.due),
            [(asked, until)] if asked != link => Some(self.due.max(until)),
            _ => None,
        }
    }
}

/// What one peer has that is wanted.
#[derive(Default)]
struct Offers {
    /// All of it, in the order it came to be wanted.
    all: BTreeMap<u64, RecordId>,
    /// What may be asked of it, the earliest first.
    askable: BTreeSet<(Millis, u64, RecordId)>,
    /// How many are only values.
    values: usize,
}

/// The list.
#[derive(Default)]
pub struct Wants {
    listed: HashMap<RecordId, Want>,
    offers: HashMap<LinkId, Offers>,
    next: u64,
    /// How many are only values.
    values: usize,
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
        self.offers.get(&link).map_or(0, |offers| offers.all.len())
    }

    /// How many are values of records that are here.
    pub fn values(&self) -> usize {
        self.values
    }

    /// Whether only its value is wanted: the record is here.
    pub fn is_value(&self, id: &RecordId) -> bool {
        self.listed.get(id).is_some_and(|want| want.value)
    }

    /// Values that `link` may have and has not been asked for, or has not given yet.
    pub fn values_of(&self, link: LinkId) -> usize {
        self.offers.get(&link).map_or(0, |offers| offers.values)
    }

    /// `link` may have the value of this record, which is here without it. False: it is not to be asked, as there is no
    /// room, or others are to be asked before.
    pub fn want_value(&mut self, id: RecordId, link: LinkId, due: Millis) -> bool {
        self.list(id, link, due, true)
            && self.listed.get(&id).is_some_and(|want| want.sources.contains(&link))
    }

    /// `link` has this, and this node lacks it; to be asked for at `due`. False: there is no room.
    pub fn want(&mut self, id: RecordId, link: LinkId, due: Millis) -> bool {
        self.list(id, link, due, false)
    }

    fn list(&mut self, id: RecordId, link: LinkId, due: Millis, value: bool) -> bool {
        if self.listed.contains_key(&id) {
            self.change(&id, |want| {
                if !want.sources.contains(&link) && want.sources.len() < SOURCES_MAX {
                    want.sources.push(link);
                }
                if !want.arrived {
                    want.due = want.due.min(due);
                }
            });
            return true;
        }
        if self.listed.len() >= WANTS_MAX && !self.make_room(link) {
            return false;
        }
        let seq = self.next;
        self.next += 1;
        let want = Want { sources: SmallVec::new(), asked: SmallVec::new(), arrived: false, due, value, seq };
        self.listed.insert(id, want);
        self.values += usize::from(value);
        self.change(&id, |want| want.sources.push(link));
        true
    }

    /// What to ask `link` for now, the longest due first, at most [`IDS_MAX`].
    pub fn ask(&mut self, link: LinkId, now: Millis) -> Vec<RecordId> {
        let Some(offers) = self.offers.get(&link) else { return Vec::new() };
        let due = offers.askable.iter().take_while(|(due, ..)| *due <= now).take(IDS_MAX);
        let ids: Vec<RecordId> = due.map(|(_, _, id)| *id).collect();
        for id in &ids {
            self.change(id, |want| {
                want.asked.push((link, now.plus(ASKED_MS)));
                want.arrived = false;
            });
        }
        ids
    }

    /// It came, from whomever, and is on its way into the store.
    pub fn arrived(&mut self, id: &RecordId, now: Millis) {
        self.change(id, |want| {
            want.asked.clear();
            want.arrived = true;
            want.due = now.plus(ARRIVED_MS);
        });
    }

    /// It is here, or can never be: it is wanted no more.
    pub fn settle(&mut self, id: &RecordId) {
        self.change(id, |want| want.sources.clear());
    }

    /// `link` was asked for these and has sent all it will: who still lacks one asks another.
    pub fn answered(&mut self, link: LinkId, ids: &[RecordId]) {
        for id in ids {
            if self.listed.get(id).is_some_and(|want| want.asked.iter().any(|(asked, _)| *asked == link)) {
                self.forget_source(id, link);
            }
        }
    }

    /// What `link` sent as this was not it, or not all of it: it is to be asked of others, at once.
    pub fn spurn(&mut self, id: &RecordId, link: LinkId, now: Millis) {
        self.change(id, |want| (want.arrived, want.due) = (false, now));
        self.forget_source(id, link);
    }

    /// A connection ended.
    pub fn drop_link(&mut self, link: LinkId) {
        let Some(offers) = self.offers.remove(&link) else { return };
        for id in offers.all.values() {
            self.forget_source(id, link);
        }
    }

    /// When something is next to be asked of `link`, which is free.
    pub fn due(&self, link: LinkId) -> Option<Millis> {
        self.offers.get(&link)?.askable.first().map(|(due, ..)| *due)
    }

    /// Who has the most wanted of it gives one up, unless it is `link` itself.
    fn make_room(&mut self, link: LinkId) -> bool {
        let most = self.offers.iter().max_by_key(|(_, offers)| offers.all.len());
        let Some((most, id)) = most.and_then(|(most, offers)| Some((*most, *offers.all.last_key_value()?.1)))
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
        self.change(id, |want| {
            want.sources.retain(|source| *source != link);
            want.asked.retain(|(asked, _)| *asked != link);
        });
    }

    /// Changes an entry, and what is kept of it for each peer along with it. One that nobody has goes.
    fn change(&mut self, id: &RecordId, change: impl FnOnce(&mut Want)) {
        let Some(want) = self.listed.get_mut(id) else { return };
        for link in &want.sources {
            if let Some(offers) = self.offers.get_mut(link) {
                offers.all.remove(&want.seq);
                offers.values -= usize::from(want.value);
                want.askable(*link).map(|due| offers.askable.remove(&(due, want.seq, *id)));
            }
        }
        change(want);
        for link in &want.sources {
            let offers = self.offers.entry(*link).or_default();
            offers.all.insert(want.seq, *id);
            offers.values += usize::from(want.value);
            want.askable(*link).map(|due| offers.askable.insert((due, want.seq, *id)));
        }
        if want.sources.is_empty() {
            self.values -= usize::from(want.value);
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
    fn what_is_asked_for_does_not_stand_before_what_is_due() {
        let mut wants = Wants::default();
        for n in 0..20_000 {
            wants.want(id(n), 7, NOW);
        }
        while !wants.ask(7, NOW).is_empty() {}
        assert_eq!((wants.due(7), wants.offers[&7].askable.len()), (None, 0));
        wants.want(id(20_000), 7, NOW.plus(5));
        assert_eq!(wants.due(7), Some(NOW.plus(5)));
    }

    #[test]
    fn who_is_slow_does_not_keep_others_from_being_asked_for_long() {
        let mut wants = Wants::default();
        for link in 7..10 {
            wants.want(id(1), link, NOW);
        }
        assert_eq!(wants.ask(7, NOW), [id(1)]);
        let later = NOW.plus(ASKED_MS);
        assert_eq!(wants.due(8), Some(later));
        assert!(wants.ask(8, Millis(later.0 - 1)).is_empty());
        assert_eq!(wants.ask(8, later), [id(1)]);
        assert!(wants.ask(9, later.plus(ASKED_MS)).is_empty(), "two at a time");
        assert!(wants.ask(7, later.plus(ASKED_MS)).is_empty(), "it has been asked");
        wants.answered(8, &[id(1)]);
        assert_eq!(wants.ask(9, later.plus(ASKED_MS)), [id(1)]);
        wants.arrived(&id(1), later);
        wants.answered(7, &[id(1)]);
        assert_eq!(wants.sources(&id(1))[..], [7, 9], "what came meanwhile says nothing of who has it");
    }

    #[test]
    fn whatever_happens_the_entries_of_each_peer_fit_the_list() {
        let (mut wants, mut dice) = (Wants::default(), crate::sync::dice::Dice::new(1));
        let mut now = NOW;
        for _ in 0..20_000 {
            let (id, link) = (id(dice.below(50)), dice.below(6));
            match dice.below(8) {
                0 => drop(wants.want(id, link, now.plus(dice.below(100)))),
                1 => drop(wants.want_value(id, link, now.plus(dice.below(100)))),
                2 => drop(wants.ask(link, now)),
                3 => wants.arrived(&id, now),
                4 => wants.settle(&id),
                5 => wants.answered(link, &[id]),
                6 => wants.spurn(&id, link, now),
                _ => drop((dice.below(10) == 0).then(|| wants.drop_link(link))),
            }
            now = now.plus(dice.below(200));
            let sources: usize = wants.listed.values().map(|want| want.sources.len()).sum();
            let asked = wants.listed.values().all(|want| {
                want.asked.len() <= ASKED_MAX
                    && want.asked.iter().all(|(link, _)| want.sources.contains(link))
            });
            assert!(asked && wants.listed.values().all(|want| !want.sources.is_empty()));
            assert_eq!(wants.values(), wants.listed.values().filter(|want| want.value).count());
            let values = |want: &Want| if want.value { want.sources.len() } else { 0 };
            let expected: usize = wants.listed.values().map(values).sum();
            assert_eq!((0..6).map(|link| wants.values_of(link)).sum::<usize>(), expected);
            assert_eq!(wants.offers.values().map(|offers| offers.all.len()).sum::<usize>(), sources);
            let askable = |(link, offers): (&LinkId, &Offers)| {
                let is =
                    |(due, _, id): &(Millis, u64, RecordId)| wants.listed[id].askable(*link) == Some(*due);
                assert!(offers.askable.iter().all(is));
                offers.askable.len()
            };
            let expected = wants
                .listed
                .values()
                .map(|want| want.sources.iter().filter(|link| want.askable(**link).is_some()).count());
            assert_eq!(wants.offers.iter().map(askable).sum::<usize>(), expected.sum::<usize>());
        }
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
