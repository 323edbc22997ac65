//! Records on their way: news is pushed and announced, what is announced or missing is fetched. A node that
//! catches up from a stream takes no part until it has.

use smallvec::SmallVec;

use super::compare::WANTS_LEFT;
use super::{
    ANNOUNCE_GATHER_MS, ANNOUNCE_WAIT_MS, Action, COMPARE_PAUSE_MS, Engine, FETCHES_MAX, FRESH_MS,
    MISSING_MAX, MISSING_ROUNDS_MAX, PUSHES, RELAYS, VALUE_WAIT_MS, Via, View, WANTS_PER_LINK_MAX,
};
use crate::record::{Millis, RecordId};
use crate::store::{Point, Refusal, Verdict};
use crate::sync::table::Offence;
use crate::sync::wants::LinkId;
use crate::sync::wire::{IDS_MAX, Message};

impl Engine {
    /// A peer says what it has.
    pub(super) fn announced(&mut self, now: Millis, link: LinkId, ids: &[RecordId], view: &dyn View) {
        if self.catching_up.is_some() || !self.links.contains_key(&link) {
            return;
        }
        for id in ids {
            // It is on its way in: its announcer need not be told of it, and is asked should it not be let in.
            if self.came.announced(id, link, now) {
                continue;
            }
            if !self.wants.contains(id) && view.knows(id) {
                continue;
            }
            let full = self.wants.of(link) >= WANTS_PER_LINK_MAX;
            if full || !self.wants.want(*id, link, now.plus(ANNOUNCE_WAIT_MS)) {
                return self.dirty(now, link);
            }
        }
    }

    /// Records came and are on their way into the store.
    pub(super) fn note_came(&mut self, now: Millis, link: LinkId, ids: &[(RecordId, bool)]) {
        for (id, whole) in ids {
            // Without its value it is not what is awaited, if that is only the value.
            if *whole || !self.wants.is_value(id) {
                self.wants.arrived(id, now);
            }
            self.came.sent(*id, link, *whole, now);
        }
    }

    pub(super) fn judged(
        &mut self,
        now: Millis,
        link: LinkId,
        via: Via,
        verdicts: Vec<Verdict>,
        view: &dyn View,
    ) {
        let orphaned = verdicts.iter().any(|verdict| matches!(verdict, Verdict::Orphan { .. }));
        if via == Via::Fetch
            && let Some(linked) = self.links.get_mut(&link)
        {
            linked.rounds = if orphaned { linked.rounds + 1 } else { 0 };
        }
        if via == Via::Stream {
            self.streamed(now, link, &verdicts);
        }
        let mut lied = false;
        for verdict in verdicts {
            match verdict {
                Verdict::Accepted(_) => {
                    if let Some(linked) = self.links.get_mut(&link) {
                        linked.traffic.records_in += 1;
                        // It helps: the next comparison need not wait.
                        linked.compare_pause = COMPARE_PAUSE_MS;
                    }
                    self.records_in.add(now, 1);
                }
                Verdict::Known(id) => {
                    if view.knows(&id) {
                        self.wants.settle(&id);
                    } else {
                        // Known without its value, and this peer did not bring it.
                        self.wants.spurn(&id, link, now);
                    }
                    self.came.take(&id);
                    self.count(link, |traffic| traffic.duplicates += 1);
                }
                Verdict::Orphan { id, missing } => {
                    self.wants.settle(&id);
                    if via != Via::Stream {
                        self.chase(now, link, &missing, view);
                    }
                }
                // Nobody's fault: the clocks differ.
                Verdict::Deferred { id, .. } => {
                    self.wants.settle(&id);
                    self.came.take(&id);
                }
                Verdict::Refused(refusal) => {
                    self.count(link, |traffic| traffic.refused += 1);
                    if refusal.at_fault() {
                        tracing::info!(link, %refusal, "a peer sent a record that is not valid: disconnected");
                        lied = true;
                    } else {
                        self.refused(now, link, &refusal);
                    }
                }
            }
        }
        if lied {
            self.blame(now, link, Offence::Lied, "an invalid record");
        }
    }

    /// What a peer sent under these ids was not let in: whatever others send under them may be right.
    pub(super) fn spurned(&mut self, now: Millis, link: LinkId, ids: &[RecordId]) {
        for id in ids {
            self.wants.spurn(id, link, now);
            for announcer in self.came.spurned(id, link) {
                if self.links.contains_key(&announcer) && !self.wants.want(*id, announcer, now) {
                    self.dirty(now, announcer);
                }
            }
        }
    }

    /// Not let in, and not the peer's fault: our disk, say. The next comparison finds it again.
    fn refused(&mut self, now: Millis, link: LinkId, refusal: &Refusal) {
        tracing::debug!(link, %refusal, "a peer's record could not be kept");
        self.dirty(now, link);
    }

    /// Fetches what an orphan links to from whoever sent the orphan; if that does not come to an end soon, a
    /// comparison will.
    fn chase(&mut self, now: Millis, link: LinkId, missing: &[RecordId], view: &dyn View) {
        let Some(linked) = self.links.get_mut(&link) else { return };
        if linked.comparing.is_some() || self.catching_up.is_some() {
            return;
        }
        linked.missing += missing.len();
        if linked.missing > MISSING_MAX || linked.rounds >= MISSING_ROUNDS_MAX {
            return self.dirty(now, link);
        }
        for id in missing {
            if !self.came.announced(id, link, now) && !view.knows(id) {
                self.wants.want(*id, link, now);
            }
        }
    }

    /// Records are in the store: nobody need send them any more, and whoever may lack them hears of them.
    pub(super) fn committed(&mut self, now: Millis, points: &[Point], view: &dyn View) {
        let fresh_from = Millis(view.clock().0.saturating_sub(FRESH_MS));
        for (time, id) in points {
            let came = self.came.take(id);
            let mut havers = came.havers();
            havers.iter_mut().for_each(|link| *link = self.successor(*link));
            havers.extend(self.wants.sources(id));
            self.wants.settle(id);
            if !came.bare.is_empty() && !view.knows(id) {
                self.want_value(now, *id, &came.bare);
                self.spread(now, *id, &havers, 0);
            } else if *time >= fresh_from {
                let pushes = if havers.is_empty() { PUSHES } else { RELAYS };
                self.spread(now, *id, &havers, pushes);
            } else if self.catching_up.is_none() {
                // Most of the others have had it for long, or compare roots before they ask.
                self.spread(now, *id, &havers, 0);
            }
        }
    }

    /// Whoever sent it has not its value; perhaps others do.
    fn want_value(&mut self, now: Millis, id: RecordId, bare: &[LinkId]) {
        let others: SmallVec<[LinkId; 16]> =
            self.links.keys().filter(|link| !bare.contains(link)).copied().collect();
        for link in others {
            self.wants.want_value(id, link, now.plus(VALUE_WAIT_MS));
        }
    }

    pub(super) fn spread(&mut self, now: Millis, id: RecordId, havers: &[LinkId], pushes: usize) {
        let lacking = self.links.keys().filter(|link| !havers.contains(link));
        let mut lacking: SmallVec<[LinkId; 16]> = lacking.copied().collect();
        self.dice.shuffle(&mut lacking);
        // For one more there is nothing to save: to announce it and be asked is three packets, each of which may be lost.
        let pushes = if pushes == PUSHES && lacking.len() == PUSHES + 1 { PUSHES + 1 } else { pushes };
        let pushed: SmallVec<[LinkId; PUSHES]> = lacking.iter().take(pushes).copied().collect();
        for link in lacking.iter().skip(pushes) {
            self.announce(now, *link, id);
        }
        if pushed.is_empty() {
            return;
        }
        for link in &pushed {
            self.count(*link, |traffic| traffic.records_out += 1);
        }
        self.records_out.add(now, pushed.len() as u64);
        self.act(Action::Push(pushed, id));
    }

    pub(super) fn announce(&mut self, now: Millis, link: LinkId, id: RecordId) {
        let Some(linked) = self.links.get_mut(&link) else { return };
        linked.announce.push(id);
        linked.announce_due.get_or_insert(now.plus(ANNOUNCE_GATHER_MS));
        if linked.announce.len() >= IDS_MAX {
            self.send_announcements(link);
        }
    }

    pub(super) fn flush_announcements(&mut self, now: Millis, link: LinkId) {
        let due = self.links.get(&link).and_then(|linked| linked.announce_due);
        if due.is_some_and(|due| due <= now) {
            self.send_announcements(link);
        }
    }

    fn send_announcements(&mut self, link: LinkId) {
        let Some(linked) = self.links.get_mut(&link) else { return };
        linked.announce_due = None;
        let ids = std::mem::take(&mut linked.announce);
        self.act(Action::Say(link, Message::Announce(ids)));
    }

    pub(super) fn fetch(&mut self, now: Millis, link: LinkId) {
        let Some(linked) = self.links.get_mut(&link) else { return };
        while linked.fetching < FETCHES_MAX {
            let ids = self.wants.ask(link, now);
            if ids.is_empty() {
                return;
            }
            linked.fetching += 1;
            self.actions.push_back(Action::Fetch(link, ids));
        }
    }

    pub(super) fn fetched(&mut self, now: Millis, link: LinkId, ids: &[RecordId]) {
        self.wants.answered(link, ids);
        if let Some(linked) = self.links.get_mut(&link) {
            linked.fetching = linked.fetching.saturating_sub(1);
            if linked.unfinished && self.wants.of(link) < WANTS_LEFT {
                linked.root_next = now;
            }
        }
        self.fetch(now, link);
    }

    pub(super) fn count(&mut self, link: LinkId, add: impl FnOnce(&mut crate::sync::face::Traffic)) {
        if let Some(linked) = self.links.get_mut(&link) {
            add(&mut linked.traffic);
        }
    }
}
