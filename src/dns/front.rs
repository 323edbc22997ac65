//! What UDP and TCP share: the cache in front, the queue and the workers behind it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::cache::Cache;
use super::config::Config;
use super::handler::{Responder, Response};
use super::pool::{Job, Queue, Send};
use super::reply::{Answer, Rcode};
use super::wire::{self, Plain, Via};
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
pub(crate) struct Front<A> {
    responder: Arc<Responder<A>>,
    cache: Cache,
    queue: Arc<Queue>,
}

impl<A: Answer> Front<A> {
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
            self.keep(&job, &response, &mut key);
            (job.send)(response.bytes);
        }
    }

    /// Keeps an answer for the next who asks, with nothing in it that is only this client's.
    fn keep(&self, job: &Job, response: &Response, key: &mut Vec<u8>) {
        let Some(keep) = &response.keep else { return };
        let Some(plain) = Plain::read(&job.packet) else { return };
        if !plain.may_fill(&response.bytes, job.via) || !plain.key(&job.packet, job.via, key) {
            return;
        }
        let counters = self.responder.answerer().counters();
        self.cache.put(key, &response.bytes, keep.clone(), self.now(), counters);
    }
}
