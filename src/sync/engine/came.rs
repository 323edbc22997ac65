//! What is on its way into the store: who sent it, and who only said that it has it. Bounded in number and time: a
//! record may have come to nothing, an orphan that had to make room, say.

use std::collections::{HashMap, VecDeque};

use smallvec::SmallVec;

use super::{CAME_MAX, CAME_MS};
use crate::record::{Millis, RecordId};
use crate::sync::wants::LinkId;

/// A record on its way into the store.
#[derive(Clone, Debug, Default)]
pub(super) struct Came {
    /// Those whose copy is being judged.
    senders: SmallVec<[LinkId; 2]>,
    /// Those of them that sent it without its value.
    pub(super) bare: SmallVec<[LinkId; 1]>,
    /// Those that said meanwhile that they have it: to be asked, should no copy be let in.
    announcers: SmallVec<[LinkId; 2]>,
    until: Millis,
}

impl Came {
    /// Those who sent it with its value.
    pub(super) fn whole(&self) -> SmallVec<[LinkId; 4]> {
        self.senders.iter().filter(|link| !self.bare.contains(link)).copied().collect()
    }

    /// Everybody who has it.
    pub(super) fn havers(&self) -> SmallVec<[LinkId; 4]> {
        self.senders.iter().chain(&self.announcers).copied().collect()
    }
}

/// All of them.
#[derive(Default)]
pub(super) struct Arrivals {
    came: HashMap<RecordId, Came>,
    /// When they count as lost, the earliest first. What came again, or went, is passed over.
    ends: VecDeque<(Millis, RecordId)>,
}

impl Arrivals {
    /// `link` sent it, with its value or not.
    pub(super) fn sent(&mut self, id: RecordId, link: LinkId, whole: bool, now: Millis) {
        self.make_room(now);
        let came = self.came.entry(id).or_default();
        came.until = now.plus(CAME_MS);
        if !came.senders.contains(&link) {
            came.senders.push(link);
        }
        if !whole && !came.bare.contains(&link) {
            came.bare.push(link);
        }
        self.ends.push_back((came.until, id));
        // Entries go lazily; not for ever, or what is let in at once would leave them behind.
        if self.ends.len() > 2 * self.came.len() + 64 {
            let came = &self.came;
            self.ends.retain(|(until, id)| came.get(id).is_some_and(|came| came.until == *until));
        }
    }

    /// `link` says that it has it; false: it is not on its way.
    pub(super) fn announced(&mut self, id: &RecordId, link: LinkId, now: Millis) -> bool {
        let Some(came) = self.came.get_mut(id).filter(|came| came.until > now) else { return false };
        if !came.senders.contains(&link) && !came.announcers.contains(&link) {
            came.announcers.push(link);
        }
        true
    }

    /// It has been judged.
    pub(super) fn take(&mut self, id: &RecordId) -> Came {
        self.came.remove(id).unwrap_or_default()
    }

    /// What `link` sent as this was not let in. If nobody else sent it, it is no longer on its way: these say that
    /// they have it.
    pub(super) fn spurned(&mut self, id: &RecordId, link: LinkId) -> SmallVec<[LinkId; 2]> {
        let Some(came) = self.came.get_mut(id) else { return SmallVec::new() };
        came.senders.retain(|sender| *sender != link);
        came.bare.retain(|sender| *sender != link);
        if came.senders.is_empty() { self.take(id).announcers } else { SmallVec::new() }
    }

    /// Whatever counts as lost goes, and if need be the oldest.
    fn make_room(&mut self, now: Millis) {
        while let Some((until, id)) = self.ends.front().copied() {
            if until > now && self.came.len() < CAME_MAX {
                return;
            }
            self.ends.pop_front();
            if self.came.get(&id).is_some_and(|came| came.until == until) {
                self.came.remove(&id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u32) -> RecordId {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&n.to_be_bytes());
        RecordId(bytes)
    }

    const NOW: Millis = Millis(1_000);

    #[test]
    fn the_oldest_give_way_and_only_they() {
        let mut arrivals = Arrivals::default();
        arrivals.sent(id(0), 7, true, NOW);
        for n in 1..=CAME_MAX as u32 {
            arrivals.sent(id(n), 7, true, NOW);
        }
        assert_eq!(arrivals.came.len(), CAME_MAX);
        assert!(!arrivals.announced(&id(0), 8, NOW) && arrivals.announced(&id(1), 8, NOW));
    }

    #[test]
    fn what_came_again_is_kept_as_long_as_its_last_copy() {
        let mut arrivals = Arrivals::default();
        arrivals.sent(id(1), 7, true, NOW);
        let later = NOW.plus(CAME_MS / 2);
        arrivals.sent(id(1), 8, true, later);
        arrivals.sent(id(2), 8, true, NOW.plus(CAME_MS));
        assert!(arrivals.announced(&id(1), 8, NOW.plus(CAME_MS)));
        arrivals.sent(id(3), 8, true, later.plus(CAME_MS));
        assert!(!arrivals.came.contains_key(&id(1)));
    }

    #[test]
    fn coming_and_going_leaves_no_trace() {
        let mut arrivals = Arrivals::default();
        for n in 0..10_000 {
            arrivals.sent(id(n), 7, true, NOW);
            arrivals.take(&id(n));
        }
        assert!(arrivals.ends.len() < 100, "{}", arrivals.ends.len());
    }
}
