//! From a message to an answer: hickory reads and writes, [`Answer`] decides, and the rules about messages as such
//! (opcodes, classes, EDNS, sizes, truncation) are obeyed here. One [`Responder`] stands behind UDP and TCP; a
//! [`Handler`] is its view of one request, and hickory-server's `RequestHandler`.
//!
//! The question is lower-cased before hickory sees it and put back afterwards, so an answer can be kept for every
//! spelling of the question, and owner names compress against it.

use std::net::{IpAddr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};

use hickory_server::net::runtime::{Time, TokioTime};
use hickory_server::net::xfer::Protocol;
use hickory_server::proto::op::{Edns, MessageType, Metadata, OpCode, ResponseCode};
use hickory_server::proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use tracing::{error, warn};

use super::config::Config;
use super::counters::Deps;
use super::encode::{Draft, Sink, record};
use super::name::DnsName;
use super::reply::{Answer, CLASS_IN, Ede, Question, Rcode, Reply, Rr};
use super::wire::{self, Via};
use crate::metrics::Metrics;
use crate::record::Millis;

/// The clock the server is given.
pub type Clock = Arc<dyn Fn() -> Millis + Send + Sync>;

/// Class CHAOS, where servers speak of themselves (RFC 4892).
const CLASS_CH: u16 = 3;
const TYPE_TXT: u16 = 16;
/// Extended DNS error "Not Supported" (RFC 8914 §4.22).
const EDE_NOT_SUPPORTED: u16 = 21;

/// What a server says of itself.
#[derive(Debug)]
struct Identity {
    nsid: String,
    version: String,
    name: String,
    /// RFC 7828 §3.1: in units of 100 ms.
    keepalive: u16,
}

/// An answer, and what it takes to keep it.
#[derive(Debug)]
pub(crate) struct Response {
    /// The message.
    pub(crate) bytes: Vec<u8>,
    /// Set where others who ask the same may get it too.
    pub(crate) keep: Option<Keep>,
}

/// Until when an answer is good, and what for.
#[derive(Clone, Debug)]
pub(crate) struct Keep {
    /// What it was read from.
    pub(crate) deps: Deps,
    /// When it stops being true by itself.
    pub(crate) until: Option<Millis>,
}

/// Answers messages, whatever brought them.
pub(crate) struct Responder<A> {
    answer: Arc<A>,
    identity: Identity,
    clock: Clock,
    metrics: Arc<Metrics>,
}

/// A [`Responder`] at work on one request: what hickory calls a handler.
pub(crate) struct Handler<A> {
    responder: Arc<Responder<A>>,
    local: Option<IpAddr>,
    keep: OnceLock<Keep>,
}

impl<A: Answer> Responder<A> {
    pub(crate) fn new(answer: Arc<A>, config: &Config, clock: Clock, metrics: Arc<Metrics>) -> Responder<A> {
        let identity = Identity {
            nsid: config.nsid.clone(),
            version: config.version.clone(),
            name: config.identity.clone(),
            keepalive: u16::try_from(config.tcp.idle_seconds.saturating_mul(10)).unwrap_or(u16::MAX),
        };
        Responder { answer, identity, clock, metrics }
    }

    /// The time, by the clock this server was given.
    pub(crate) fn now(&self) -> Millis {
        (self.clock)()
    }

    /// What kept answers are compared with.
    pub(crate) fn answerer(&self) -> &A {
        &self.answer
    }

    /// The counts.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Answers one message; none if it gets no answer. Never panics.
    pub(crate) fn respond(
        self: &Arc<Self>,
        packet: &[u8],
        from: SocketAddr,
        via: Via,
        local: Option<IpAddr>,
    ) -> Option<Response> {
        if !wire::is_query(packet) {
            self.metrics.dns.ignored.raise();
            return None;
        }
        let response = catch_unwind(AssertUnwindSafe(|| self.try_respond(packet, from, via, local)))
            .unwrap_or_else(|_| {
                self.metrics.dns.panics.raise();
                error!("answering a question from {from} panicked");
                None
            });
        let response = response
            .or_else(|| wire::refusal(packet, Rcode::ServFail).map(|bytes| Response { bytes, keep: None }))?;
        self.metrics.dns.add_rcode(wire::header_rcode(&response.bytes), 1);
        if wire::is_truncated(&response.bytes) {
            self.metrics.dns.truncated.raise();
        }
        Some(response)
    }

    fn try_respond(
        self: &Arc<Self>,
        packet: &[u8],
        from: SocketAddr,
        via: Via,
        local: Option<IpAddr>,
    ) -> Option<Response> {
        let refuse = |rcode| wire::refusal(packet, rcode).map(|bytes| Response { bytes, keep: None });
        let malformed = if wire::is_plain_opcode(packet) { Rcode::FormErr } else { Rcode::NotImp };
        let end = wire::question_end(packet);
        if end.is_none() && packet[4..6] == [0, 1] {
            return refuse(malformed);
        }
        let mut lower = packet.to_vec();
        if let Some(end) = end {
            wire::lowercase_question(&mut lower, end);
        }
        let protocol = match via {
            Via::Udp => Protocol::Udp,
            Via::Tcp => Protocol::Tcp,
        };
        let Ok(request) = Request::from_bytes(lower, from, protocol) else {
            return refuse(malformed);
        };
        let handler = Handler { responder: Arc::clone(self), local, keep: OnceLock::new() };
        let sink = Sink::for_request(&request);
        let mut future = handler.handle_request::<_, TokioTime>(&request, sink.clone());
        // The handler reads the local store and never waits, so one poll is the whole of it.
        let Poll::Ready(_) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
            error!("the handler waited for something");
            return None;
        };
        drop(future);
        let mut bytes = sink.into_bytes()?;
        if let Some(end) = end.filter(|end| *end <= bytes.len()) {
            wire::patch(packet, end, &mut bytes);
        }
        Some(Response { bytes, keep: handler.keep.into_inner() })
    }
}

#[async_trait::async_trait]
impl<A: Answer> RequestHandler for Handler<A> {
    async fn handle_request<R: ResponseHandler, T: Time>(
        &self,
        request: &Request,
        mut response_handle: R,
    ) -> ResponseInfo {
        let mut draft = self.draft(request);
        draft.fit(request);
        match response_handle.send_response(draft.message(&request.queries)).await {
            Ok(sent) => sent,
            Err(failure) => {
                warn!("an answer could not be written: {failure}");
                let mut metadata = metadata(request);
                metadata.response_code = ResponseCode::ServFail;
                let failed = Draft::of_code(metadata, None);
                response_handle
                    .send_response(failed.message(&request.queries))
                    .await
                    .expect("a header and the question just read fit into any answer")
            }
        }
    }
}

impl<A: Answer> Handler<A> {
    /// The whole answer, of whatever size.
    fn draft(&self, request: &Request) -> Draft {
        let asked = request.edns.as_ref();
        let mut edns = asked.map(|asked| self.edns(asked, request.protocol()));
        let mut metadata = metadata(request);
        let code = |mut metadata: Metadata, code, edns| {
            metadata.response_code = code;
            Draft::of_code(metadata, edns)
        };
        if asked.is_some_and(|asked| asked.version() > 0) {
            // RFC 6891 §6.1.3: whatever else the message says.
            return code(metadata, ResponseCode::BADVERS, edns);
        }
        if request.metadata.op_code != OpCode::Query {
            return code(metadata, ResponseCode::NotImp, edns);
        }
        // RFC 9619 §4: exactly one question.
        let Some(question) = self.question(request) else {
            return code(metadata, ResponseCode::FormErr, edns);
        };
        let reply = match self.meta(&question) {
            Some(Meta::Code(rcode, text)) => {
                let reply = Reply::code(rcode, Deps::default());
                if text.is_empty() { reply } else { reply.with_ede(EDE_NOT_SUPPORTED, text) }
            }
            Some(Meta::Chaos(text)) => return chaos(metadata, edns, &question, text),
            None => self.ask(&question),
        };
        metadata.authoritative = reply.aa;
        metadata.response_code = ResponseCode::from(0, reply.rcode as u8);
        if let (Some(edns), Some(ede)) = (edns.as_mut(), &reply.ede) {
            edns.options_mut().insert(EdnsOption::Unknown(wire::OPTION_EDE, ede_data(ede)));
        }
        Draft::of_reply(metadata, edns, &reply)
    }

    fn question(&self, request: &Request) -> Option<Question> {
        let [_one] = request.queries.queries() else { return None };
        let raw = request.as_slice();
        let end = wire::question_end(raw)?;
        let (name, _) = DnsName::from_wire(&raw[wire::HEADER..]).ok()?;
        let (qtype, qclass) = (wire::u16_at(raw, end - 4)?, wire::u16_at(raw, end - 2)?);
        Some(Question { name, qtype, qclass, local: self.local })
    }

    /// Asks, and remembers how long the answer is good.
    fn ask(&self, question: &Question) -> Reply {
        let responder = &self.responder;
        let now = responder.now();
        let mut reply = responder.answer.answer(question, now);
        if let Some(until) = reply.until {
            let left = u32::try_from(until.0.saturating_sub(now.0) / 1000).unwrap_or(u32::MAX);
            let sections = [&mut reply.answers, &mut reply.authority, &mut reply.additional];
            for rr in sections.into_iter().flatten() {
                rr.ttl = rr.ttl.min(left);
            }
        }
        if !reply.uses_local && !reply.deps.is_empty() && reply.rcode != Rcode::ServFail {
            let keep = Keep { deps: reply.deps.clone(), until: reply.until };
            self.keep.set(keep).expect("a request is handled once");
        }
        reply
    }

    /// Questions that are not for the resolver.
    fn meta(&self, question: &Question) -> Option<Meta<'_>> {
        let refused = |text| Some(Meta::Code(Rcode::Refused, text));
        match (question.qclass, question.qtype) {
            (CLASS_CH, _) => Some(self.chaos_text(question)),
            (class, _) if class != CLASS_IN => refused("only class IN is served"),
            (_, 251 | 252) => refused("zone transfers are not served"),
            // OPT and TSIG are no types to ask for; TKEY, MAILB and MAILA are, but not here.
            (_, wire::TYPE_OPT | 250) => Some(Meta::Code(Rcode::FormErr, "")),
            (_, 249 | 253 | 254) => Some(Meta::Code(Rcode::NotImp, "")),
            _ => None,
        }
    }

    fn chaos_text(&self, question: &Question) -> Meta<'_> {
        let identity = &self.responder.identity;
        let text = match question.name.as_wire() {
            b"\x07version\x04bind\x00" | b"\x07version\x06server\x00" => &identity.version,
            b"\x02id\x06server\x00" | b"\x08hostname\x04bind\x00" => &identity.name,
            _ => "",
        };
        if text.is_empty() || !matches!(question.qtype, TYPE_TXT | 255) {
            return Meta::Code(Rcode::Refused, "");
        }
        Meta::Chaos(text)
    }

    /// Our OPT for a query with one (RFC 6891 §6.1.1), without anything the client did not ask for.
    fn edns(&self, asked: &Edns, protocol: Protocol) -> Edns {
        let identity = &self.responder.identity;
        let mut edns = Edns::new();
        // RFC 3225 §3: DO is copied.
        edns.set_max_payload(wire::UDP_MAX).set_dnssec_ok(asked.flags().dnssec_ok);
        if asked.option(EdnsCode::NSID).is_some() && !identity.nsid.is_empty() {
            let nsid = identity.nsid.as_bytes().to_vec();
            edns.options_mut().insert(EdnsOption::Unknown(wire::OPTION_NSID, nsid));
        }
        // RFC 7828 §3.2.1: never over UDP.
        if asked.option(EdnsCode::Keepalive).is_some() && protocol == Protocol::Tcp {
            let timeout = identity.keepalive.to_be_bytes().to_vec();
            edns.options_mut().insert(EdnsOption::Unknown(wire::OPTION_KEEPALIVE, timeout));
        }
        edns
    }
}

/// How a question that is not for the resolver is answered.
enum Meta<'a> {
    /// With a code, and a text why.
    Code(Rcode, &'static str),
    /// With a text about this server.
    Chaos(&'a str),
}

fn metadata(request: &Request) -> Metadata {
    let asked = &request.metadata;
    let mut metadata = Metadata::new(asked.id, MessageType::Response, asked.op_code);
    metadata.recursion_desired = asked.recursion_desired;
    metadata.checking_disabled = asked.checking_disabled;
    metadata
}

fn chaos(mut metadata: Metadata, edns: Option<Edns>, question: &Question, text: &str) -> Draft {
    metadata.authoritative = true;
    let text = &text.as_bytes()[..text.len().min(255)];
    let mut rdata = vec![text.len() as u8];
    rdata.extend_from_slice(text);
    let rr = Rr { name: question.name.clone(), rtype: TYPE_TXT, ttl: 0, rdata };
    let mut draft = Draft::of_code(metadata, edns);
    draft.answers.extend(record(&rr).map(|mut record| {
        record.dns_class = CLASS_CH.into();
        record
    }));
    draft
}

fn ede_data(ede: &Ede) -> Vec<u8> {
    let mut data = ede.code.to_be_bytes().to_vec();
    data.extend_from_slice(ede.text.as_bytes());
    data
}
