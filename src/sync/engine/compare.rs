//! Comparing: roots now and then, sessions where they differ, a stream where this node is far behind.

use super::links::Comparing;
use super::{
    AGREE_WITHIN_MS, AUDIT_EVERY, AUDITS_MAX, Action, COMPARE_PAUSE_MAX_MS, COMPARE_PAUSE_MS, COMPARISON_MS,
    COMPARISONS_MAX, Engine, FAR_BEHIND, ROOT_EVERY_MS, ROOT_SOON_MS, ROOT_WAIT_MS, SETTLE_MS, UNSURE_MS,
    View, WANTS_PER_LINK_MAX,
};
use crate::record::Millis;
use crate::store::{FIRST, Tally};
use crate::sync::reconcile::Found;
use crate::sync::wants::LinkId;
use crate::sync::wire::{Message, Root};

/// Records a fresh network has: with so few there is nothing to compare before a stream.
const FEW: u64 = 64;
/// Ids still wanted of a peer when the next comparison follows one that found more than may be wanted.
pub(super) const WANTS_LEFT: usize = 1_024;

impl Engine {
    /// Something may be missing on either side: compare soon.
    pub(super) fn dirty(&mut self, now: Millis, link: LinkId) {
        let soon = now.plus(self.dice.about(ROOT_SOON_MS));
        if let Some(linked) = self.links.get_mut(&link) {
            linked.root_next = linked.root_next.min(soon);
        }
    }

    pub(super) fn ask_root(&mut self, now: Millis, link: LinkId, view: &dyn View) {
        let Some(linked) = self.links.get_mut(&link) else { return };
        if linked.root_awaited.is_some_and(|(_, until)| until <= now) {
            linked.root_awaited = None;
        }
        if linked.root_awaited.is_some() || linked.root_next > now {
            return;
        }
        linked.root_next = now.plus(self.dice.about(ROOT_EVERY_MS));
        if linked.comparing.is_some() {
            return;
        }
        // The first time there is nothing on its way that this connection has brought or will.
        let settle = if linked.roots == 0 { 0 } else { SETTLE_MS };
        linked.roots += 1;
        let until = Millis(view.clock().0.saturating_sub(settle));
        let Some(tally) = view.tally(until) else { return };
        linked.root_awaited = Some((until, now.plus(ROOT_WAIT_MS)));
        let root = self.root(until, &tally);
        self.act(Action::Say(link, Message::Root(root)));
    }

    fn root(&self, until: Millis, tally: &Tally) -> Root {
        let synchronised = self.synchronised;
        Root { until, count: tally.count, fingerprint: tally.fingerprint(), synchronised }
    }

    /// A peer asks: ours is this, up to the earlier of both clocks.
    pub(super) fn root_asked(&mut self, now: Millis, link: LinkId, theirs: Root, view: &dyn View) {
        let Some(linked) = self.links.get_mut(&link) else { return };
        linked.synchronised = theirs.synchronised;
        let until = theirs.until.min(view.clock());
        let Some(ours) = view.tally(until) else { return };
        let root = self.root(until, &ours);
        self.act(Action::Say(link, Message::RootIs(root)));
        if until == theirs.until && ours.fingerprint() == theirs.fingerprint {
            self.agree(now, link, &ours, until, view);
        }
    }

    pub(super) fn root_told(&mut self, now: Millis, link: LinkId, theirs: Root, view: &dyn View) {
        let Some(linked) = self.links.get_mut(&link) else { return };
        let Some((until, _)) = linked.root_awaited.take() else { return };
        linked.synchronised = theirs.synchronised;
        if theirs.until > until {
            return;
        }
        let Some(ours) = view.tally(theirs.until) else { return };
        if ours.fingerprint() == theirs.fingerprint {
            self.agree(now, link, &ours, theirs.until, view);
            return self.audit(now, link, theirs.until);
        }
        self.differ(now, link, &ours, &theirs, view);
    }

    fn differ(&mut self, now: Millis, link: LinkId, ours: &Tally, theirs: &Root, view: &dyn View) {
        let leading = self.comparing(now, false);
        let Some(linked) = self.links.get_mut(&link) else { return };
        linked.word.differs(now, theirs.count > ours.count, linked.traffic.records_in);
        let far = theirs.count > ours.count.saturating_add(FAR_BEHIND);
        if far && linked.stream_next <= now {
            if self.outpaced(now, link) {
                let from = view.newest().filter(|_| ours.count > FEW).unwrap_or(FIRST);
                self.catch_up(now, link, from, ours.count, theirs.count);
            }
            return;
        }
        // Whoever is far behind streams, or leads. Beside that a comparison would list for nothing what is on its way.
        let ahead = ours.count > theirs.count.saturating_add(FAR_BEHIND);
        if ahead || self.catching_up.is_some_and(|catching| catching.link == link) {
            return;
        }
        // What was found missing before is still on its way.
        let most = if linked.unfinished { WANTS_LEFT } else { WANTS_PER_LINK_MAX / 2 };
        if self.wants.of(link) >= most || leading >= COMPARISONS_MAX {
            return self.dirty(now, link);
        }
        if linked.compare_next > now {
            linked.root_next = linked.compare_next;
            return;
        }
        linked.comparing = Some(Comparing { since: now, audit: false });
        self.act(Action::Compare(link, theirs.until));
    }

    /// Now and then what looks equal is looked at in another way.
    fn audit(&mut self, now: Millis, link: LinkId, until: Millis) {
        let (pick, auditing) = (self.dice.roll(), self.comparing(now, true));
        let Some(linked) = self.links.get_mut(&link) else { return };
        let turn = linked.roots.is_multiple_of(AUDIT_EVERY) && auditing < AUDITS_MAX;
        if turn && linked.comparing.is_none() {
            linked.comparing = Some(Comparing { since: now, audit: true });
            self.act(Action::Audit(link, until, pick));
        }
    }

    /// Comparisons, or audits, that have begun lately: one with a peer that takes its time keeps no other waiting.
    fn comparing(&self, now: Millis, audit: bool) -> usize {
        let lately =
            |comparing: Comparing| comparing.audit == audit && comparing.since.plus(COMPARISON_MS) > now;
        self.links.values().filter(|linked| linked.comparing.is_some_and(lately)).count()
    }

    pub(super) fn compared(
        &mut self,
        now: Millis,
        link: LinkId,
        led: bool,
        found: Option<Found>,
        view: &dyn View,
    ) {
        let Some(linked) = self.links.get_mut(&link) else { return };
        if led {
            let audit = linked.comparing.take().is_some_and(|comparing| comparing.audit);
            // One that failed has found nothing either, and has heard nobody out.
            if !audit && found.as_ref().is_some_and(|found| found.need.is_empty() && !found.have.is_empty()) {
                linked.word.heard_out();
            }
            linked.compare_next = now.plus(linked.compare_pause);
            linked.compare_pause = (2 * linked.compare_pause).min(COMPARE_PAUSE_MAX_MS);
        }
        let Some(found) = found else { return };
        (linked.missing, linked.rounds) = (0, 0);
        let nothing = found.need.is_empty() && found.have.is_empty();
        let mut unfinished = false;
        for id in &found.need {
            unfinished = self.wants.of(link) >= WANTS_PER_LINK_MAX;
            if unfinished {
                break;
            }
            if !self.came.announced(id, link, now) && !view.knows(id) {
                self.wants.want(*id, link, now);
            }
        }
        for id in found.have.into_iter().take(WANTS_PER_LINK_MAX) {
            self.announce(now, link, id);
        }
        if led && let Some(linked) = self.links.get_mut(&link) {
            linked.unfinished = unfinished;
            if unfinished {
                linked.compare_next = now;
            }
        }
        if led && !nothing {
            // To see that it worked, or to go on.
            let later = now.plus(self.dice.about(4 * ROOT_SOON_MS));
            if let Some(linked) = self.links.get_mut(&link) {
                linked.root_next = linked.root_next.min(later);
            }
        }
    }

    /// Both sets are equal.
    fn agree(&mut self, now: Millis, link: LinkId, ours: &Tally, until: Millis, view: &dyn View) {
        // Before the network began, or by a clock that stands still, everybody agrees.
        if ours.count == 0 || until.plus(AGREE_WITHIN_MS) < view.clock() {
            return;
        }
        let unsure = self.links.values().all(|linked| !linked.synchronised)
            && now.0.saturating_sub(self.started.0) >= UNSURE_MS;
        let Some(linked) = self.links.get_mut(&link) else { return };
        linked.traffic.agreed = Some(now);
        linked.word.agrees();
        linked.compare_pause = COMPARE_PAUSE_MS;
        (linked.missing, linked.rounds) = (0, 0);
        self.agreed = Some(now);
        let word = linked.synchronised || unsure;
        if !self.synchronised && word && !self.contradicted(now, link) && self.values_settled(now, view) {
            self.synchronised = true;
            self.act(Action::Synchronised);
        }
    }
}
