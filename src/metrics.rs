//! Counters anyone may raise. Imports nobody, so that every floor may count.
//!
//! Plain atomics, relaxed: a reader sees each count a moment late, never a wrong one. Hot loops add up a batch and
//! call [`Counter::add`] once.

use std::sync::atomic::{AtomicU64, Ordering};

/// A count that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn raise(&self) {
        self.add(1);
    }

    /// `by` more.
    pub fn add(&self, by: u64) {
        if by > 0 {
            self.0.fetch_add(by, Ordering::Relaxed);
        }
    }

    /// The count.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// Raises it until the returned guard is dropped.
    pub fn enter(self: &std::sync::Arc<Gauge>) -> Inside {
        self.0.fetch_add(1, Ordering::Relaxed);
        Inside(std::sync::Arc::clone(self))
    }

    /// The number.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counts as one in a [`Gauge`] while it lives.
#[derive(Debug)]
pub struct Inside(std::sync::Arc<Gauge>);

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Header response codes there are.
const RCODES: usize = 16;

/// What the DNS server counts.
#[derive(Debug, Default)]
pub struct Dns {
    /// Messages received over UDP, answered or not.
    pub udp_queries: Counter,
    /// Messages received over TCP, answered or not.
    pub tcp_queries: Counter,
    /// Answers taken from the cache.
    pub cache_hits: Counter,
    /// Cacheable questions the cache had no good answer to.
    pub cache_misses: Counter,
    /// Messages that get no answer: too short for a header, or answers themselves.
    pub ignored: Counter,
    /// Questions answered SERVFAIL because too many were waiting.
    pub overloaded: Counter,
    /// Questions during whose answer the program panicked.
    pub panics: Counter,
    /// Answers over UDP that had to be cut (TC).
    pub truncated: Counter,
    /// Answers the network did not take from us.
    pub send_failures: Counter,
    /// TCP connections accepted.
    pub tcp_accepted: Counter,
    /// TCP connections closed at once because of a limit.
    pub tcp_refused: Counter,
    /// TCP connections open.
    pub tcp_open: std::sync::Arc<Gauge>,
    rcodes: [Counter; RCODES],
}

impl Dns {
    /// Counts `by` answers with the response code in the header's low four bits.
    pub fn add_rcode(&self, rcode: u8, by: u64) {
        self.rcodes[usize::from(rcode) % RCODES].add(by);
    }

    /// How many answers had this header response code.
    pub fn rcode(&self, rcode: u8) -> u64 {
        self.rcodes[usize::from(rcode) % RCODES].count()
    }

    /// How many answers were given.
    pub fn answers(&self) -> u64 {
        self.rcodes.iter().map(Counter::count).sum()
    }
}

/// Everything this program counts.
#[derive(Debug, Default)]
pub struct Metrics {
    /// The DNS server.
    pub dns: Dns,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gauge_falls_when_its_guard_is_dropped() {
        let gauge = std::sync::Arc::new(Gauge::default());
        let inside = gauge.enter();
        assert_eq!(gauge.count(), 1);
        drop(inside);
        assert_eq!(gauge.count(), 0);
    }

    #[test]
    fn answers_are_counted_by_code_and_in_all() {
        let dns = Dns::default();
        dns.add_rcode(3, 2);
        dns.add_rcode(0, 1);
        assert_eq!((dns.rcode(3), dns.rcode(2), dns.answers()), (2, 0, 3));
    }
}
