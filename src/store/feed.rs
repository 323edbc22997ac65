//! The change feed: what every commit tells its subscribers, and the question asked inside the transaction
//! (which zone cuts does this record touch?).

use std::sync::Arc;

use parking_lot::RwLock;
use smallvec::SmallVec;

use super::tree::Point;
use crate::record::{Millis, OwnerKey, PathKey};

/// One commit, as its subscribers see it. By the time they do, every new snapshot shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commit {
    /// Records added, parents before children.
    pub added: Vec<Point>,
    /// Records that were here before, whose value came.
    pub filled: Vec<Point>,
    /// Slots in which some key got a new newest revision or a pulse, each once.
    pub slots: Vec<PathKey>,
    /// Paths at which the existence of something live at or below flipped for some owner, each once.
    pub flips: Vec<PathKey>,
    /// Zone cuts whose serial was bumped, each once.
    pub cuts: Vec<PathKey>,
    /// The network's rules changed.
    pub global: bool,
    /// Counts commits since the store was opened, from 1.
    pub seq: u64,
}

/// A record that just became the newest revision of its key.
#[derive(Clone, Copy, Debug)]
pub struct Changed<'a> {
    /// Whose it is.
    pub owner: OwnerKey,
    /// The paths of its selectors, shortest first; the last is its slot.
    pub paths: &'a [PathKey],
    /// Its time.
    pub time: Millis,
}

/// Called on the writer's thread after each commit and before its acknowledgements: be quick, and never call
/// `ingest` from here. One that holds a [`super::Store`] keeps it open for ever.
pub type Subscriber = Arc<dyn Fn(&Commit) + Send + Sync>;

/// Asked inside the write transaction: the apexes of the zone cuts whose answers a change touches.
pub type Classifier = Arc<dyn Fn(&Changed<'_>) -> SmallVec<[PathKey; 2]> + Send + Sync>;

#[derive(Default)]
pub(crate) struct Feed {
    subscribers: RwLock<Vec<Subscriber>>,
    classifier: RwLock<Option<Classifier>>,
}

impl Feed {
    pub(crate) fn subscribe(&self, subscriber: Subscriber) {
        self.subscribers.write().push(subscriber);
    }

    pub(crate) fn classify(&self, classifier: Classifier) {
        *self.classifier.write() = Some(classifier);
    }

    pub(crate) fn classifier(&self) -> Option<Classifier> {
        self.classifier.read().clone()
    }

    pub(crate) fn publish(&self, commit: &Commit) {
        // Cloned out, so that a subscriber may itself subscribe.
        let subscribers = self.subscribers.read().clone();
        for subscriber in subscribers {
            subscriber(commit);
        }
    }
}
