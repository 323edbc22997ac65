//! Puts a running DNS server under load over UDP and measures: `lfdns bench dns`.
//!
//! Closed loop, as dnsperf: a number of questions is kept outstanding, each answer makes room for the next. One thread
//! for each socket; several sockets, since a server with sharded sockets spreads by the client's port. Latency is from
//! the moment a batch is handed to the kernel until its answer is taken from it. Nothing here is used by the server.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, MsgFlags, MultiHeaders, recvmmsg, sendmmsg};

use super::histogram::Histogram;
use super::name::{DnsName, NameError};
use super::wire;

/// Datagrams sent or received in one call.
const BATCH: usize = 64;
/// The largest answer to expect over UDP from anyone.
const ANSWER_MAX: usize = 4096;
/// An answer that takes longer is lost; as dnsperf.
const LOST_AFTER: Duration = Duration::from_secs(5);
/// How long to wait for an answer before looking at the clock.
const WAKE: Duration = Duration::from_millis(10);
/// Questions outstanding on one socket at most: ids are 16 bits, and half of them stay free for late answers.
const SOCKET_MAX: usize = 32_768;

/// What to ask whom, and how hard.
#[derive(Clone, Debug)]
pub struct Load {
    /// The server.
    pub server: SocketAddr,
    /// The questions, asked in turn, over and over.
    pub questions: Vec<(DnsName, u16)>,
    /// For how long.
    pub duration: Duration,
    /// Questions waiting for an answer at a time, all sockets together.
    pub outstanding: usize,
    /// Sockets to ask from.
    pub sockets: usize,
    /// Questions a second at most; none: as many as are answered.
    pub rate: Option<u64>,
    /// The UDP size to send in an OPT record; none: no OPT record.
    pub edns: Option<u16>,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Questions sent.
    pub sent: u64,
    /// Questions answered in time.
    pub answered: u64,
    /// Answers by the response code in their header.
    pub rcodes: [u64; 16],
    /// Answers that were cut.
    pub truncated: u64,
    /// Time from the first question to the last answer.
    pub took: Duration,
    /// How long answers took, in microseconds.
    pub latency: Histogram,
}

/// Why a file is no list of questions.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuestionError {
    /// A line without a name and a type.
    #[error("line {line}: write a name and a type, as `www.demo.lf A`")]
    Shape {
        /// Counted from 1.
        line: usize,
    },
    /// A name that is none.
    #[error("line {line}: {source}")]
    Name {
        /// Counted from 1.
        line: usize,
        /// Why.
        source: NameError,
    },
    /// A type nobody knows.
    #[error("line {line}: `{text}` is no type; write a mnemonic or TYPE and a number")]
    Type {
        /// Counted from 1.
        line: usize,
        /// What stands there.
        text: String,
    },
    /// A file of comments.
    #[error("there are no questions in it")]
    Empty,
}

/// Reads a list of questions, one `name type` a line, as dnsperf's: names are absolute, `#` and `;` begin comments.
/// `type_of` knows the types.
pub fn questions(
    text: &str,
    type_of: impl Fn(&str) -> Option<u16>,
) -> Result<Vec<(DnsName, u16)>, QuestionError> {
    let mut questions = Vec::new();
    for (index, content) in text.lines().enumerate() {
        let line = index + 1;
        let mut words = content.split_whitespace();
        let Some(name) = words.next().filter(|word| !word.starts_with(['#', ';'])) else { continue };
        let (Some(kind), None) = (words.next(), words.next()) else {
            return Err(QuestionError::Shape { line });
        };
        let name = DnsName::parse(name, Some(&DnsName::root()))
            .map_err(|source| QuestionError::Name { line, source })?;
        let kind = type_of(kind).ok_or_else(|| QuestionError::Type { line, text: kind.to_owned() })?;
        questions.push((name, kind));
    }
    if questions.is_empty() { Err(QuestionError::Empty) } else { Ok(questions) }
}

/// Asks for as long as the load says, then waits for what is outstanding. Blocks.
pub fn run(load: &Load) -> io::Result<Report> {
    let queries: Vec<Vec<u8>> =
        load.questions.iter().map(|(name, kind)| query(name, *kind, load.edns)).collect();
    if queries.is_empty() {
        return Ok(Report::default());
    }
    let sockets = load.sockets.max(1);
    let next = AtomicUsize::new(0);
    let start = Instant::now();
    let reports = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..sockets)
            .map(|_| scope.spawn(|| Client::connect(load, &queries, &next, start, sockets)?.ask()))
            .collect();
        let reports = threads.into_iter().map(|thread| thread.join().expect("a client does not panic"));
        reports.collect::<io::Result<Vec<Report>>>()
    })?;
    let mut sum = Report::default();
    for report in reports {
        sum.merge(&report);
    }
    Ok(sum)
}

impl Report {
    /// Questions nobody answered.
    pub fn lost(&self) -> u64 {
        self.sent - self.answered
    }

    /// Answers a second.
    pub fn rate(&self) -> f64 {
        if self.took.is_zero() { 0.0 } else { self.answered as f64 / self.took.as_secs_f64() }
    }

    fn merge(&mut self, other: &Report) {
        self.sent += other.sent;
        self.answered += other.answered;
        self.truncated += other.truncated;
        self.took = self.took.max(other.took);
        self.latency.merge(&other.latency);
        for (sum, count) in self.rcodes.iter_mut().zip(other.rcodes) {
            *sum += count;
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = 100.0 * self.lost() as f64 / self.sent.max(1) as f64;
        writeln!(f, "rate       {:.0} answers/s over {:.1} s", self.rate(), self.took.as_secs_f64())?;
        writeln!(
            f,
            "questions  {} sent, {} answered, {} lost ({share:.3} %)",
            self.sent,
            self.answered,
            self.lost()
        )?;
        write!(f, "codes     ")?;
        for (code, count) in self.rcodes.iter().enumerate().filter(|(_, count)| **count > 0) {
            write!(f, " {} {count}", rcode_name(code))?;
        }
        if self.truncated > 0 {
            write!(f, ", {} cut (TC)", self.truncated)?;
        }
        let [p50, p90, p99] = [500, 900, 990].map(|share| self.latency.per_mille(share));
        writeln!(f)?;
        write!(f, "latency    p50 {p50} µs, p90 {p90} µs, p99 {p99} µs, max {} µs", self.latency.max())
    }
}

fn rcode_name(code: usize) -> String {
    let names = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"];
    names.get(code).map_or_else(|| format!("RCODE{code}"), ToString::to_string)
}

/// One socket and what it waits for.
struct Client<'a> {
    load: &'a Load,
    queries: &'a [Vec<u8>],
    /// The place in the list all clients share.
    next: &'a AtomicUsize,
    start: Instant,
    socket: UdpSocket,
    window: usize,
    sockets: u64,
    id: u16,
    /// When the question with this id went out, while it waits.
    waiting: Vec<Option<Instant>>,
    outstanding: usize,
    /// Ids in the order they went out.
    order: VecDeque<u16>,
    octets: Vec<u8>,
    report: Report,
}

impl<'a> Client<'a> {
    fn connect(
        load: &'a Load,
        queries: &'a [Vec<u8>],
        next: &'a AtomicUsize,
        start: Instant,
        sockets: usize,
    ) -> io::Result<Client<'a>> {
        let any: SocketAddr = if load.server.is_ipv4() {
            (Ipv4Addr::UNSPECIFIED, 0).into()
        } else {
            (Ipv6Addr::UNSPECIFIED, 0).into()
        };
        let socket = UdpSocket::bind(any)?;
        socket.connect(load.server)?;
        socket.set_read_timeout(Some(WAKE))?;
        Ok(Client {
            load,
            queries,
            next,
            start,
            socket,
            window: (load.outstanding / sockets).clamp(1, SOCKET_MAX),
            sockets: sockets as u64,
            id: 0,
            waiting: vec![None; 1 << 16],
            outstanding: 0,
            order: VecDeque::new(),
            octets: Vec::new(),
            report: Report::default(),
        })
    }

    fn ask(mut self) -> io::Result<Report> {
        let mut outgoing = MultiHeaders::<()>::preallocate(BATCH, None);
        let mut incoming = MultiHeaders::<()>::preallocate(BATCH, None);
        let mut room = vec![0; BATCH * ANSWER_MAX];
        loop {
            let now = Instant::now();
            let asking = now.duration_since(self.start) < self.load.duration;
            self.give_up(now);
            if asking {
                self.send(&mut outgoing, now)?;
            } else if self.outstanding == 0 {
                return Ok(self.report);
            }
            self.receive(&mut incoming, &mut room)?;
        }
    }

    /// How many questions may go out now.
    fn allowance(&self, now: Instant) -> usize {
        let free = (self.window - self.outstanding).min(BATCH);
        let Some(rate) = self.load.rate else { return free };
        let micros = now.duration_since(self.start).as_micros() as u64;
        let due = rate.saturating_mul(micros) / 1_000_000 / self.sockets;
        free.min(usize::try_from(due.saturating_sub(self.report.sent)).unwrap_or(free))
    }

    fn send(&mut self, heads: &mut MultiHeaders<()>, now: Instant) -> io::Result<()> {
        let count = self.allowance(now);
        if count == 0 {
            return Ok(());
        }
        self.octets.clear();
        let mut ends = [0; BATCH];
        let first = self.next.fetch_add(count, Ordering::Relaxed);
        for (index, end) in ends.iter_mut().take(count).enumerate() {
            let start = self.octets.len();
            self.octets.extend_from_slice(&self.queries[first.wrapping_add(index) % self.queries.len()]);
            let id = self.id.wrapping_add(index as u16);
            self.octets[start..start + 2].copy_from_slice(&id.to_be_bytes());
            *end = self.octets.len();
        }
        let start_of = |index: usize| if index == 0 { 0 } else { ends[index - 1] };
        let slices: Vec<_> =
            (0..count).map(|index| [IoSlice::new(&self.octets[start_of(index)..ends[index]])]).collect();
        let fd = self.socket.as_raw_fd();
        let nobody = [None; BATCH];
        let no_control: [ControlMessage<'_>; 0] = [];
        let sent = match sendmmsg(fd, heads, &slices, &nobody[..count], no_control, MsgFlags::empty()) {
            Ok(sent) => sent.count(),
            Err(Errno::EINTR | Errno::EAGAIN | Errno::ENOBUFS) => 0,
            Err(error) => return Err(error.into()),
        };
        for _ in 0..sent {
            // An id that comes round again while its question still waits: that one is lost.
            if self.waiting[usize::from(self.id)].replace(now).is_some() {
                self.outstanding -= 1;
            }
            self.order.push_back(self.id);
            self.id = self.id.wrapping_add(1);
        }
        self.outstanding += sent;
        self.report.sent += sent as u64;
        Ok(())
    }

    fn receive(&mut self, heads: &mut MultiHeaders<()>, room: &mut [u8]) -> io::Result<()> {
        let mut slices: Vec<_> = room.chunks_mut(ANSWER_MAX).map(|chunk| [IoSliceMut::new(chunk)]).collect();
        let fd = self.socket.as_raw_fd();
        let batch = match recvmmsg(fd, heads, slices.iter_mut(), MsgFlags::MSG_WAITFORONE, None) {
            Ok(batch) => batch,
            // Nobody listens there, or not yet: that is lost questions, not a broken client.
            Err(Errno::EAGAIN | Errno::EINTR | Errno::ECONNREFUSED) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let now = Instant::now();
        for message in batch {
            if let Some(answer) = message.iovs().next() {
                self.take(answer, now);
            }
        }
        Ok(())
    }

    fn take(&mut self, answer: &[u8], now: Instant) {
        let Some(id) = wire::u16_at(answer, 0) else { return };
        if answer.len() < wire::HEADER || wire::is_query(answer) {
            return;
        }
        let Some(sent) = self.waiting[usize::from(id)].take() else { return };
        self.outstanding -= 1;
        self.report.answered += 1;
        self.report.truncated += u64::from(wire::is_truncated(answer));
        self.report.rcodes[usize::from(wire::header_rcode(answer))] += 1;
        self.report.latency.record(now.duration_since(sent).as_micros() as u64);
        self.report.took = now.duration_since(self.start);
    }

    /// Makes room where an answer will not come any more.
    fn give_up(&mut self, now: Instant) {
        while let Some(&id) = self.order.front() {
            match self.waiting[usize::from(id)] {
                Some(sent) if now.duration_since(sent) < LOST_AFTER => return,
                Some(_) => {
                    self.waiting[usize::from(id)] = None;
                    self.outstanding -= 1;
                }
                None => {}
            }
            self.order.pop_front();
        }
    }
}

/// A query with id 0 and RD, as dnsperf's.
fn query(name: &DnsName, kind: u16, edns: Option<u16>) -> Vec<u8> {
    let mut query = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(edns.is_some())];
    query.extend_from_slice(name.as_wire());
    query.extend(kind.to_be_bytes());
    query.extend([0, 1]);
    if let Some(size) = edns {
        query.extend([0, 0, 41]);
        query.extend(size.to_be_bytes());
        query.extend([0; 6]);
    }
    query
}

#[cfg(test)]
mod tests {
    use super::*;

    fn type_of(text: &str) -> Option<u16> {
        (text == "A").then_some(1)
    }

    #[test]
    fn a_list_of_questions_is_names_and_types() {
        let read = questions("# comment\n\nwww.demo.lf A\nabsent.demo.lf.   A\n; x\n", type_of).unwrap();
        assert_eq!(read, [("www.demo.lf.".parse().unwrap(), 1), ("absent.demo.lf.".parse().unwrap(), 1)]);
    }

    #[test]
    fn a_line_that_is_no_question_is_named() {
        assert_eq!(questions("a A\nb\n", type_of), Err(QuestionError::Shape { line: 2 }));
        assert_eq!(questions("a A B", type_of), Err(QuestionError::Shape { line: 1 }));
        let text = "X".to_owned();
        assert_eq!(questions("a X", type_of), Err(QuestionError::Type { line: 1, text }));
        assert!(matches!(questions("a..b A", type_of), Err(QuestionError::Name { line: 1, .. })));
        assert_eq!(questions("# nothing", type_of), Err(QuestionError::Empty));
    }

    /// What a server sends back.
    fn answer(id: u16) -> Vec<u8> {
        let mut answer = query(&"www.demo.lf.".parse().unwrap(), 1, None);
        answer[..2].copy_from_slice(&id.to_be_bytes());
        answer[2] |= 0x80;
        answer
    }

    #[test]
    fn a_lost_question_whose_id_comes_round_again_waits_no_more() {
        let nobody = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let load = Load {
            server: nobody.local_addr().unwrap(),
            questions: vec![],
            duration: Duration::from_secs(1),
            outstanding: 3,
            sockets: 1,
            rate: None,
            edns: None,
        };
        let (queries, next, start) = ([answer(0)], AtomicUsize::new(0), Instant::now());
        let mut client = Client::connect(&load, &queries, &next, start, 1).unwrap();
        let mut heads = MultiHeaders::<()>::preallocate(BATCH, None);
        let waiting = |client: &Client<'_>| client.waiting.iter().flatten().count();
        client.id = u16::MAX;
        client.send(&mut heads, start).unwrap();
        assert_eq!((client.outstanding, client.id), (3, 2), "the ids begin again");
        // The first is never answered; all others were when its id comes again.
        for id in [0, 1] {
            client.take(&answer(id), start);
        }
        client.id = u16::MAX;
        client.send(&mut heads, start).unwrap();
        assert_eq!((client.outstanding, waiting(&client)), (2, 2), "one of the three waited already");
        for id in [u16::MAX, 0] {
            client.take(&answer(id), start);
        }
        assert_eq!((client.outstanding, waiting(&client)), (0, 0), "the load ends");
        assert_eq!((client.report.sent, client.report.answered, client.report.lost()), (5, 4, 1));
    }

    #[test]
    fn a_query_is_one_the_cache_would_answer() {
        let name = "www.demo.lf.".parse().unwrap();
        for edns in [None, Some(1232)] {
            assert!(wire::Plain::read(&query(&name, 1, edns)).is_some());
        }
    }
}
