//! What a peer has taken of what it may in a time. Kept by its key: who connects anew does not begin anew.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::sync::NodeKey;
use crate::sync::limits::{
    COMPARE_RATE, COMPARE_TIME, COMPARE_WINDOW, CONTROL_RATE, CONTROL_WINDOW, DUES_MAX, PEERS_HEARD_MS,
    PUSHED_A_SECOND, PUSHED_BYTES_A_SECOND,
};

/// Of one peer.
pub(super) struct Dues {
    pub(super) compares: Mutex<Rate>,
    pub(super) pushed: Mutex<Throttle>,
    pub(super) control: Mutex<Control>,
}

impl Dues {
    fn new(now: Instant) -> Dues {
        Dues {
            compares: Mutex::new(Rate::new(now)),
            pushed: Mutex::new(Throttle::new(now)),
            control: Mutex::new(Control { heard: 0, since: now, peers: None }),
        }
    }

    /// When something last began that counts: each window is over after the longest one.
    fn used(&self) -> Instant {
        self.compares.lock().since.max(self.pushed.lock().filled).max(self.control.lock().since)
    }
}

/// Of all peers of late.
#[derive(Default)]
pub(super) struct Ledger(Mutex<HashMap<NodeKey, Arc<Dues>>>);

impl Ledger {
    /// Those of a peer, begun if it has not been here of late.
    pub(super) fn of(&self, key: NodeKey, now: Instant) -> Arc<Dues> {
        let mut kept = self.0.lock();
        if let Some(dues) = kept.get(&key) {
            return Arc::clone(dues);
        }
        let absent = |dues: &Arc<Dues>| Arc::strong_count(dues) == 1;
        kept.retain(|_, dues| !absent(dues) || dues.used() + COMPARE_WINDOW > now);
        if kept.len() >= DUES_MAX {
            let spare = kept.iter().filter(|(_, dues)| absent(dues)).min_by_key(|(_, dues)| dues.used());
            let spare = spare.map(|(key, _)| *key);
            spare.and_then(|spare| kept.remove(&spare));
        }
        let dues = Arc::new(Dues::new(now));
        kept.insert(key, Arc::clone(&dues));
        dues
    }
}

/// Control messages.
pub(super) struct Control {
    heard: u32,
    since: Instant,
    peers: Option<Instant>,
}

impl Control {
    /// Counts one more; whether it is one too many.
    pub(super) fn is_flood(&mut self, now: Instant) -> bool {
        if now.saturating_duration_since(self.since) > CONTROL_WINDOW {
            (self.heard, self.since) = (0, now);
        }
        self.heard += 1;
        self.heard > CONTROL_RATE
    }

    /// Whether addresses are heard, or were a moment ago.
    pub(super) fn hears_peers(&mut self, now: Instant) -> bool {
        let pause = Duration::from_millis(PEERS_HEARD_MS);
        let heard = self.peers.is_none_or(|last| now.saturating_duration_since(last) >= pause);
        if heard {
            self.peers = Some(now);
        }
        heard
    }
}

/// What a peer's comparisons cost lately.
pub(super) struct Rate {
    count: u32,
    spent: Duration,
    since: Instant,
}

impl Rate {
    fn new(now: Instant) -> Rate {
        Rate { count: 0, spent: Duration::ZERO, since: now }
    }

    /// Counts one comparison more; how long it has to wait.
    pub(super) fn begin(&mut self, now: Instant) -> Duration {
        self.turn_over(now);
        self.count += 1;
        if self.count <= COMPARE_RATE { Duration::ZERO } else { self.rest(now) }
    }

    /// How long the next turn has to wait.
    pub(super) fn turn(&mut self, now: Instant) -> Duration {
        self.turn_over(now);
        if self.spent < COMPARE_TIME { Duration::ZERO } else { self.rest(now) }
    }

    pub(super) fn spend(&mut self, time: Duration) {
        self.spent += time;
    }

    fn turn_over(&mut self, now: Instant) {
        if now.saturating_duration_since(self.since) > COMPARE_WINDOW {
            *self = Rate::new(now);
        }
    }

    fn rest(&self, now: Instant) -> Duration {
        COMPARE_WINDOW.saturating_sub(now.saturating_duration_since(self.since))
    }
}

/// Lets through so many records and bytes a second; whoever brings more waits. A second's worth may come at once.
pub(super) struct Throttle {
    records: f64,
    bytes: f64,
    filled: Instant,
}

impl Throttle {
    fn new(now: Instant) -> Throttle {
        Throttle { records: PUSHED_A_SECOND, bytes: PUSHED_BYTES_A_SECOND, filled: now }
    }

    /// Takes room for these; returns how long to wait before going on.
    pub(super) fn pass(&mut self, now: Instant, records: usize, bytes: usize) -> Duration {
        let passed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.filled = now;
        let refill = |left: f64, rate: f64, used: usize| (left + passed * rate).min(rate) - used as f64;
        self.records = refill(self.records, PUSHED_A_SECOND, records);
        self.bytes = refill(self.bytes, PUSHED_BYTES_A_SECOND, bytes);
        let wait = (-self.records / PUSHED_A_SECOND).max(-self.bytes / PUSHED_BYTES_A_SECOND);
        Duration::try_from_secs_f64(wait.max(0.0)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_brings_more_than_a_second_s_worth_waits_for_the_excess() {
        let begin = Instant::now();
        let mut throttle = Throttle::new(begin);
        assert_eq!(throttle.pass(begin, 16_000, 0), Duration::ZERO);
        let wait = throttle.pass(begin, 8_000, 0);
        assert_eq!(wait, Duration::from_millis(500));
        assert_eq!(throttle.pass(begin + Duration::from_secs(2), 1, 1), Duration::ZERO);
    }

    #[test]
    fn a_comparison_beyond_the_rate_waits_for_the_next_window() {
        let begin = Instant::now();
        let mut rate = Rate::new(begin);
        for _ in 0..COMPARE_RATE {
            assert_eq!(rate.begin(begin), Duration::ZERO);
        }
        assert_eq!(rate.begin(begin + COMPARE_WINDOW / 4), COMPARE_WINDOW * 3 / 4);
        assert_eq!(rate.begin(begin + COMPARE_WINDOW + Duration::from_millis(1)), Duration::ZERO);
    }

    #[test]
    fn turns_that_took_their_share_wait_for_the_next_window() {
        let begin = Instant::now();
        let mut rate = Rate::new(begin);
        rate.spend(COMPARE_TIME / 2);
        assert_eq!(rate.turn(begin), Duration::ZERO);
        rate.spend(COMPARE_TIME / 2);
        assert_eq!(rate.turn(begin), COMPARE_WINDOW);
        assert_eq!(rate.turn(begin + COMPARE_WINDOW + Duration::from_millis(1)), Duration::ZERO);
    }

    fn key(n: usize) -> NodeKey {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&n.to_be_bytes());
        NodeKey(key)
    }

    #[test]
    fn who_connects_anew_does_not_begin_anew() {
        let (ledger, begin) = (Ledger::default(), Instant::now());
        let dues = ledger.of(key(1), begin);
        let floods = |dues: &Dues, now| dues.control.lock().is_flood(now);
        assert!((0..CONTROL_RATE).all(|_| !floods(&dues, begin)));
        assert!(dues.control.lock().hears_peers(begin));
        drop(dues);
        let again = ledger.of(key(1), begin + Duration::from_secs(1));
        assert!(floods(&again, begin + Duration::from_secs(1)));
        assert!(!again.control.lock().hears_peers(begin + Duration::from_secs(1)));
        drop(again);
        // Somebody else's coming clears away what is over.
        let later = begin + COMPARE_WINDOW + Duration::from_secs(1);
        ledger.of(key(2), later);
        assert_eq!(ledger.0.lock().len(), 1);
    }

    #[test]
    fn no_more_peers_are_remembered_than_may_be() {
        let (ledger, begin) = (Ledger::default(), Instant::now());
        let connected = ledger.of(key(0), begin);
        for n in 1..2 * DUES_MAX {
            ledger.of(key(n), begin + Duration::from_millis(n as u64));
        }
        assert_eq!(ledger.0.lock().len(), DUES_MAX);
        assert!(Arc::ptr_eq(&connected, &ledger.of(key(0), begin)), "who is connected is not forgotten");
    }
}
