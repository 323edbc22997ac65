//! What UDP and TCP share: the cache in front, the queue and the workers behind it. Without sockets it is also how
//! tests and benchmarks ask as a client would: [`Front::in_process`].

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::cache::Cache;
use super::config::Config;
use super::handler::{Clock, Responder, Response};
use super::pool::{Job, Queue, Send};
use super::reply::{Answer, Rcode};
pub use super::wire::Via;
use super::wire::{self, Plain};
use crate::metrics::Metrics;
use crate::record::Millis;

/// A message as a socket hands it in.
pub(crate) struct Arrival<'a> {
    /// The message.
    pub(crate) packet: &'a [u8],
    /// Who sent it.
    pub(crate) from: SocketAddr,
    /// How.
    pub(crate) via: Via,
    /// To which of our addresses.
    pub(crate) local: Option<IpAddr>,
}

/// Answers from the cache, or has the workers answer.
pub struct Front<A> {
    responder: Arc<Responder<A>>,
    cache: Cache,
    queue: Arc<Queue>,
}

impl<A: Answer> Front<A> {
    /// One that no socket feeds and no worker serves.
    pub fn in_process(answer: Arc<A>, config: &Config, clock: Clock, metrics: Arc<Metrics>) -> Arc<Front<A>> {
        let responder = Arc::new(Responder::new(answer, config, clock, metrics));
        Front::new(responder, config, Arc::default())
    }

    /// Answers a message as a socket's client would be answered, on this thread: from the cache, else by the
    /// resolver. None where it gets no answer.
    pub fn answer(&self, packet: &[u8], via: Via, from: SocketAddr) -> Option<Vec<u8>> {
        let (mut key, mut out) = (Vec::new(), Vec::new());
        if self.hit(packet, via, self.now(), &mut key, &mut out) {
            self.metrics().dns.cache_hits.raise();
            return Some(out);
        }
        self.metrics().dns.cache_misses.raise();
        let response = self.responder.respond(packet, from, via, None)?;
        self.keep(packet, via, &response, &mut key);
        Some(response.bytes)
    }

    /// Answers a message as if nothing had ever been kept, and keeps nothing.
    pub fn answer_afresh(&self, packet: &[u8], via: Via, from: SocketAddr) -> Option<Vec<u8>> {
        Some(self.responder.respond(packet, from, via, None)?.bytes)
    }

    pub(crate) fn new(responder: Arc<Responder<A>>, config: &Config, queue: Arc<Queue>) -> Arc<Front<A>> {
        Arc::new(Front { responder, cache: Cache::new(config.cache_bytes), queue })
    }

    /// The time.
    pub(crate) fn now(&self) -> Millis {
        self.responder.now()
    }

    /// The counts.
    pub(crate) fn metrics(&self) -> &Metrics {
        self.responder.metrics()
    }

    /// Appends the answer to `out` if the cache has it. `key` is room to work in. Counts nothing: callers count by
    /// the batch.
    pub(crate) fn hit(
        &self,
        packet: &[u8],
        via: Via,
        now: Millis,
        key: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> bool {
        let Some(plain) = Plain::read(packet) else { return false };
        if !plain.key(packet, via, key) {
            return false;
        }
        let start = out.len();
        let counters = self.responder.answerer().counters();
        if !self.cache.get(key, now, counters, |answer| plain.serves(answer, via), out) {
            return false;
        }
        plain.patch(packet, &mut out[start..]);
        true
    }

    /// Has a worker answer. Where too many wait already, says SERVFAIL at once: a client that hears nothing asks
    /// again, which is what an overloaded server needs least.
    pub(crate) fn miss(self: &Arc<Self>, arrival: &Arrival<'_>, send: Send) {
        let job = Job {
            packet: arrival.packet.to_vec(),
            from: arrival.from,
            via: arrival.via,
            local: arrival.local,
            send,
        };
        if let Err(job) = self.queue.submit(job) {
            let dns = &self.metrics().dns;
            dns.overloaded.raise();
            if let Some(answer) = wire::refusal(&job.packet, Rcode::ServFail) {
                dns.add_rcode(Rcode::ServFail as u8, 1);
                (job.send)(answer);
            }
        }
    }

    /// Answers what [`Front::miss`] queued, until the queue is closed. A worker's whole life.
    pub(crate) fn work(&self) {
        let mut key = Vec::new();
        while let Some(job) = self.queue.next() {
            let Some(response) = self.responder.respond(&job.packet, job.from, job.via, job.local) else {
                continue;
            };
            self.keep(&job.packet, job.via, &response, &mut key);
            (job.send)(response.bytes);
        }
    }

    /// Keeps an answer for the next who asks, with nothing in it that is only this client's.
    fn keep(&self, packet: &[u8], via: Via, response: &Response, key: &mut Vec<u8>) {
        let Some(keep) = &response.keep else { return };
        let Some(plain) = Plain::read(packet) else { return };
        if !plain.may_fill(&response.bytes, via) || !plain.key(packet, via, key) {
            return;
        }
        let counters = self.responder.answerer().counters();
        self.cache.put(key, &response.bytes, keep.clone(), self.now(), counters);
    }
}
