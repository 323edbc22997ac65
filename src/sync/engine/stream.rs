//! The one stream from a cursor by which a node far behind catches up. It occupies the node, which meanwhile ignores
//! what others announce: so a peer that brings next to nothing new by it does not keep the part of the giver.

use super::{
    Action, Engine, FAR_BEHIND, STREAM_JUDGED_MS, STREAM_LONG_MINUTES, STREAM_NEW_MIN, STREAM_PAUSE_MS,
    STREAM_SLACK, STREAM_TRIED_MS,
};
use crate::record::Millis;
use crate::store::{Point, Verdict};
use crate::sync::wants::LinkId;

/// A stream from a cursor that is under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Catching {
    pub(super) link: LinkId,
    /// Records that are here, and how many the peer says it has.
    pub(super) done: u64,
    pub(super) total: u64,
    /// Records that came, and how many of them were let in.
    came: u64,
    new: u64,
    /// Since when it is counted what is new, and how much was; begins with something judged.
    counted: Option<(Millis, u64)>,
    began: Millis,
}

impl Catching {
    /// New records a minute so far.
    fn pace(&self, now: Millis) -> u64 {
        self.new.saturating_mul(60_000) / now.0.saturating_sub(self.began.0).max(1)
    }

    /// Whether another should be tried: it has shown its pace, and will take long at it.
    fn drags(&self, now: Millis) -> bool {
        let left = self.total.saturating_sub(self.done);
        self.began.plus(STREAM_TRIED_MS) <= now && left > self.pace(now).saturating_mul(STREAM_LONG_MINUTES)
    }
}

impl Engine {
    /// This peer says that it has so many records; this node has `done`.
    pub(super) fn catch_up(&mut self, now: Millis, link: LinkId, from: Point, done: u64, total: u64) {
        self.catching_up = Some(Catching { link, done, total, came: 0, new: 0, counted: None, began: now });
        self.act(Action::CatchUp(link, from));
    }

    /// Whether this peer may stream now: no other does, or one that drags does and this one was never slower.
    pub(super) fn outpaced(&mut self, now: Millis, link: LinkId) -> bool {
        let Some(catching) = self.catching_up else { return true };
        let pace = catching.pace(now);
        let faster = self.links.get(&link).is_some_and(|linked| linked.pace.is_none_or(|its| its > pace));
        let outpaced = catching.link != link && catching.drags(now) && faster;
        if outpaced {
            tracing::debug!(link = catching.link, pace, "a stream gives way to another");
            self.act(Action::StopCatchUp(catching.link));
            self.end_stream(now, catching.link, false);
        }
        outpaced
    }

    /// Of a stream's records some were judged. It is looked at only then: that nothing is judged may be the disk's
    /// fault, and a peer that sends nothing is given up by `net`.
    pub(super) fn streamed(&mut self, now: Millis, link: LinkId, verdicts: &[Verdict]) {
        let Some(catching) = self.catching_up.as_mut().filter(|catching| catching.link == link) else {
            return;
        };
        let accepted =
            verdicts.iter().filter(|verdict| matches!(verdict, Verdict::Accepted(_))).count() as u64;
        let here = verdicts.iter().filter(|verdict| verdict.stored().is_some()).count() as u64;
        catching.came += verdicts.len() as u64;
        catching.done += here;
        catching.new += accepted;
        let (since, new) = catching.counted.unwrap_or((now, 0));
        catching.counted = Some((since, new + accepted));
        let mut idle = false;
        if since.plus(STREAM_JUDGED_MS) <= now {
            idle = new + accepted < STREAM_NEW_MIN;
            catching.counted = None;
        }
        if idle || catching.came > catching.total.saturating_add(STREAM_SLACK) {
            tracing::debug!(link, came = catching.came, new = catching.new, "a stream is given up");
            self.act(Action::StopCatchUp(link));
            self.end_stream(now, link, idle);
        }
    }

    /// The stream has ended, and all it brought is judged.
    pub(super) fn caught(&mut self, now: Millis, link: LinkId, count: u64) {
        // Of one that was given up nothing more is of interest.
        if let Some(catching) = self.catching_up.filter(|catching| catching.link == link) {
            tracing::debug!(link, count, new = catching.new, "a stream has ended");
            self.end_stream(now, link, false);
        }
    }

    fn end_stream(&mut self, now: Millis, link: LinkId, idle: bool) {
        let ended = self.catching_up.take();
        let new = ended.map_or(0, |catching| catching.new);
        if let Some(linked) = self.links.get_mut(&link) {
            linked.pace = ended.map(|catching| catching.pace(now));
            if idle || new < FAR_BEHIND / 2 {
                linked.stream_next = now.plus(STREAM_PAUSE_MS);
            }
            linked.root_next = now;
            linked.word.heard_out();
        }
    }
}
