//! How far replication is, for whoever looks: the driver writes it down now and then, so that nobody waits for the driver.

use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

use crate::sync::face::Progress;

/// How often it is written down at most.
pub(super) const PUBLISH_EVERY: Duration = Duration::from_millis(100);

/// What was written down last, and when.
pub(super) struct Published(ArcSwap<(Progress, Instant)>);

impl Published {
    pub(super) fn new(progress: Progress) -> Published {
        Published(ArcSwap::from_pointee((progress, Instant::now())))
    }

    /// When it may be written down again.
    pub(super) fn due(&self) -> Instant {
        self.0.load().1 + PUBLISH_EVERY
    }

    pub(super) fn publish(&self, progress: Progress, at: Instant) {
        self.0.store((progress, at).into());
    }

    /// As it was, and so much later.
    pub(super) fn now(&self) -> Progress {
        let published = self.0.load();
        let (progress, at) = &**published;
        let since = u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX);
        let lag_ms = progress.lag_ms.map(|lag| lag.saturating_add(since));
        Progress { lag_ms, ..progress.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_that_says_nothing_leaves_what_it_said_and_the_lag_grows() {
        let said = Progress { synchronised: true, connected: 3, lag_ms: Some(10), ..Progress::default() };
        let published = Published::new(said.clone());
        let Some(before) = Instant::now().checked_sub(Duration::from_secs(5)) else { return };
        published.publish(said, before);
        let now = published.now();
        assert_eq!((now.synchronised, now.connected), (true, 3));
        assert!(now.lag_ms.unwrap() >= 5_010);
    }
}
