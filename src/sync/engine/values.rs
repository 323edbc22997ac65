//! Values that are missing: records that came without theirs, from whomever, are worked off in the background. Every
//! peer is asked for all of them, so many at a time; one that has none of them is left alone for longer each time.

use std::collections::BTreeSet;

use super::{
    Engine, VALUES_AT_ONCE, VALUES_EVERY_MS, VALUES_IN_VAIN_MAX, VALUES_LOOK_MS, VALUES_PATIENCE_MS,
    VALUES_PAUSE_MAX_MS, VALUES_PAUSE_MS, View,
};
use crate::record::Millis;
use crate::store::{Point, Row};
use crate::sync::wants::LinkId;

/// What is missing, and who is asked before this node says for the first time that it agrees with its network.
#[derive(Debug)]
pub(super) struct Values {
    /// How many were missing when it was last looked, less those that came since.
    pub(super) missing: u64,
    look_next: Millis,
    first: Option<First>,
}

/// The first time that everything but some values was here.
#[derive(Debug)]
struct First {
    since: Millis,
    /// Who has not been asked for everything yet.
    waiting: BTreeSet<LinkId>,
}

/// How far one peer was asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walk {
    after: Option<Row>,
    next: Millis,
    pause: u64,
    /// Asked for in a row without a value to show for it.
    in_vain: usize,
    /// Everything was asked for.
    ended: bool,
}

impl Walk {
    pub(super) fn new(now: Millis) -> Walk {
        Walk { after: None, next: now, pause: VALUES_PAUSE_MS, in_vain: 0, ended: false }
    }

    fn rest(&mut self, now: Millis) {
        self.next = now.plus(self.pause);
        self.pause = (2 * self.pause).min(VALUES_PAUSE_MAX_MS);
        self.in_vain = 0;
    }
}

impl Values {
    pub(super) fn new(now: Millis) -> Values {
        Values { missing: 0, look_next: now, first: None }
    }
}

impl Engine {
    /// When to look what is missing, or to ask a peer for it.
    pub(super) fn values_due(&self) -> Option<Millis> {
        let walks = self.links.values().map(|linked| linked.values.next).min();
        let walk = walks.filter(|_| self.values.missing > 0 && self.catching_up.is_none());
        let look = (!self.links.is_empty()).then_some(self.values.look_next);
        look.into_iter().chain(walk).min()
    }

    /// Looks how many are missing.
    pub(super) fn look_for_values(&mut self, now: Millis, view: &dyn View) {
        if self.values.look_next <= now {
            self.values.look_next = now.plus(VALUES_LOOK_MS);
            self.values.missing = view.count_without_value();
        }
    }

    /// Asks a peer for the next ones.
    pub(super) fn ask_values(&mut self, now: Millis, link: LinkId, view: &dyn View) {
        let hurried = !self.synchronised;
        let Some(linked) = self.links.get_mut(&link).filter(|linked| linked.values.next <= now) else {
            return;
        };
        if self.values.missing == 0 || self.catching_up.is_some() {
            return;
        }
        let walk = &mut linked.values;
        walk.next = now.plus(self.dice.about(VALUES_EVERY_MS));
        if self.wants.values_of(link) > 0 {
            // What was asked for before is awaited first.
            return;
        }
        if walk.ended {
            (walk.after, walk.ended) = (None, false);
            if let Some(first) = &mut self.values.first {
                first.waiting.remove(&link);
            }
            return walk.rest(now);
        }
        if walk.in_vain >= VALUES_IN_VAIN_MAX && !hurried {
            return walk.rest(now);
        }
        let some = view.without_value(walk.after, VALUES_AT_ONCE);
        walk.ended = some.len() < VALUES_AT_ONCE;
        for (row, id) in some {
            if !self.wants.want_value(id, link, now) {
                // Others are to be asked for it first.
                walk.ended = false;
                break;
            }
            walk.after = Some(row);
            walk.in_vain += 1;
        }
    }

    /// Values came for records that were here: whoever lacks them may ask for them now.
    pub(super) fn filled(&mut self, now: Millis, points: &[Point], view: &dyn View) {
        let fresh_from = Millis(view.clock().0.saturating_sub(super::FRESH_MS));
        for (time, id) in points {
            let givers = self.came.take(id).whole();
            self.wants.settle(id);
            self.values.missing = self.values.missing.saturating_sub(1);
            for link in &givers {
                if let Some(linked) = self.links.get_mut(link) {
                    (linked.values.in_vain, linked.values.pause) = (0, VALUES_PAUSE_MS);
                }
            }
            if self.catching_up.is_none() || *time >= fresh_from {
                self.spread(now, *id, &givers, 0);
            }
        }
    }

    /// Whether nothing is to be hoped for before this node may say that it agrees with its network: no value is
    /// missing, or everybody who was there was asked for them. Not for ever: somebody may make records faster.
    pub(super) fn values_settled(&mut self, now: Millis, view: &dyn View) -> bool {
        self.values.missing = view.count_without_value();
        if self.values.missing == 0 {
            return true;
        }
        let links = &mut self.links;
        let first = self.values.first.get_or_insert_with(|| {
            for linked in links.values_mut() {
                linked.values = Walk::new(now);
            }
            First { since: now, waiting: links.keys().copied().collect() }
        });
        first.waiting.retain(|link| links.contains_key(link));
        first.waiting.is_empty() || first.since.plus(VALUES_PATIENCE_MS) <= now
    }
}
