//! The bounded queue of questions the cache cannot answer, and the threads that do. UDP and TCP share both: reading
//! the store happens here and nowhere else, so neither a socket loop nor the runtime ever waits for a disk.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::{Condvar, Mutex};

use super::wire::Via;

/// Questions that may wait for a worker, UDP and TCP together. At 10,000 answers a second that is 0.4 s of waiting;
/// who would wait longer is told SERVFAIL.
pub(crate) const QUEUE_MAX: usize = 4096;

/// Takes an answer as it goes out.
pub(crate) type Send = Box<dyn FnOnce(Vec<u8>) + std::marker::Send>;

/// A question that waits.
pub(crate) struct Job {
    /// The message.
    pub(crate) packet: Vec<u8>,
    /// Who sent it.
    pub(crate) from: SocketAddr,
    /// How.
    pub(crate) via: Via,
    /// To which of our addresses.
    pub(crate) local: Option<IpAddr>,
    /// Takes the answer; dropped where there is none.
    pub(crate) send: Send,
}

/// Questions waiting.
#[derive(Default)]
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    more: Condvar,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    closed: bool,
}

impl Queue {
    /// Hands in a question; gives it back where too many wait already.
    pub(crate) fn submit(&self, job: Job) -> Result<(), Job> {
        let mut waiting = self.waiting.lock();
        if waiting.closed || waiting.jobs.len() >= QUEUE_MAX {
            return Err(job);
        }
        waiting.jobs.push_back(job);
        drop(waiting);
        self.more.notify_one();
        Ok(())
    }

    /// Waits for the next question; none once the queue is closed and empty.
    pub(crate) fn next(&self) -> Option<Job> {
        let mut waiting = self.waiting.lock();
        loop {
            if let Some(job) = waiting.jobs.pop_front() {
                return Some(job);
            }
            if waiting.closed {
                return None;
            }
            self.more.wait(&mut waiting);
        }
    }

    fn close(&self) {
        self.waiting.lock().closed = true;
        self.more.notify_all();
    }
}

/// Threads that empty a [`Queue`]. Dropped, it lets them finish what waits and joins them.
pub(crate) struct Pool {
    queue: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
}

impl Pool {
    /// Starts `threads` threads that run `work` until the queue is closed.
    pub(crate) fn start(
        threads: usize,
        queue: &Arc<Queue>,
        work: impl Fn() + Clone + std::marker::Send + 'static,
    ) -> std::io::Result<Pool> {
        let mut pool = Pool { queue: Arc::clone(queue), threads: Vec::with_capacity(threads) };
        for index in 0..threads {
            let builder = std::thread::Builder::new().name(format!("dns-answer-{index}"));
            pool.threads.push(builder.spawn(work.clone())?);
        }
        Ok(pool)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.queue.close();
        for thread in self.threads.drain(..) {
            // What answers catches its own panics; nothing is left to learn here.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job() -> Job {
        let from = (std::net::Ipv4Addr::LOCALHOST, 1).into();
        Job { packet: vec![], from, via: Via::Udp, local: None, send: Box::new(|_| ()) }
    }

    #[test]
    fn a_full_queue_gives_the_question_back() {
        let queue = Queue::default();
        for _ in 0..QUEUE_MAX {
            assert!(queue.submit(job()).is_ok());
        }
        assert!(queue.submit(job()).is_err());
        assert!(queue.next().is_some());
        assert!(queue.submit(job()).is_ok());
    }

    #[test]
    fn what_waits_when_the_queue_closes_is_still_handed_out() {
        let queue = Queue::default();
        assert!(queue.submit(job()).is_ok());
        queue.close();
        assert!(queue.submit(job()).is_err());
        assert!(queue.next().is_some() && queue.next().is_none());
    }
}
