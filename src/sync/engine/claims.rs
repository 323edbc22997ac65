//! Who says that it has more than this node. Before a node was ever in agreement with its network, one peer's word for it
//! is not enough: it may say back what it is told. While another says that it has more, agreement does not count, until
//! that one was heard out: what it brings is taken, and one that brings nothing counts no more.

use super::{CLAIM_MS, CLAIM_NEW_MIN, CLAIMS_PATIENCE_MS, Engine, ROOT_WAIT_MS};
use crate::record::Millis;
use crate::sync::wants::LinkId;

/// What one peer says of itself, compared with this node.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Word {
    /// It told its root.
    told: bool,
    /// It says that it has more.
    claim: Option<Claim>,
    /// It said so, and there was nothing to it.
    empty: bool,
}

#[derive(Clone, Copy, Debug)]
struct Claim {
    /// Since when it brought fewer than [`CLAIM_NEW_MIN`] records.
    since: Millis,
    /// The records it had brought by then.
    brought: u64,
    /// A comparison or a stream has come to its end since.
    heard: bool,
}

impl Word {
    /// Its root differs; it counts more records, or not.
    pub(super) fn differs(&mut self, now: Millis, more: bool, brought: u64) {
        self.told = true;
        if !more {
            self.claim = None;
            return;
        }
        match &mut self.claim {
            None if self.empty => {}
            None => self.claim = Some(Claim { since: now, brought, heard: false }),
            Some(claim) if claim.heard && brought == claim.brought => (self.claim, self.empty) = (None, true),
            Some(claim) => claim.heard = false,
        }
    }

    pub(super) fn agrees(&mut self) {
        *self = Word { told: true, ..Word::default() };
    }

    /// A comparison or a stream has come to its end.
    pub(super) fn heard_out(&mut self) {
        self.claim.iter_mut().for_each(|claim| claim.heard = true);
    }

    /// Whether there may be something to its claim.
    fn stands(&mut self, now: Millis, brought: u64) -> bool {
        let Some(claim) = &mut self.claim else { return false };
        if brought >= claim.brought + CLAIM_NEW_MIN {
            (claim.since, claim.brought) = (now, brought);
        }
        if claim.since.plus(CLAIM_MS) <= now {
            (self.claim, self.empty) = (None, true);
        }
        self.claim.is_some()
    }
}

impl Engine {
    /// Whether somebody else may know better than `link`, with whom this node agrees. Not for ever: others may come and
    /// go, each with a claim; but for as long as a stream brings something.
    pub(super) fn contradicted(&mut self, now: Millis, link: LinkId) -> bool {
        if self.catching_up.is_some() {
            return true;
        }
        let agreed_since = self.links.get(&link).map_or(now, |linked| linked.traffic.since);
        let mut contradicted = false;
        for (other, linked) in &mut self.links {
            // Who was here before has a moment to say what it has.
            let since = linked.traffic.since;
            let awaited = !linked.word.told && since <= agreed_since && since.plus(ROOT_WAIT_MS) > now;
            let brought = linked.traffic.records_in;
            contradicted |= *other != link && (awaited || linked.word.stands(now, brought));
        }
        contradicted && self.contradicted_since.get_or_insert(now).plus(CLAIMS_PATIENCE_MS) > now
    }
}
