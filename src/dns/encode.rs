//! Writing answers with hickory: records of raw data, names compressed against the question, and what to leave out
//! where an answer is larger than its way allows.

use std::sync::{Arc, Mutex, PoisonError};

use hickory_server::net::NetError;
use hickory_server::net::xfer::Protocol;
use hickory_server::proto::ProtoError;
use hickory_server::proto::op::{Edns, Metadata, ResponseCode};
use hickory_server::proto::rr::rdata::NULL;
use hickory_server::proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use hickory_server::proto::rr::{Name, RData, Record, RecordType};
use hickory_server::proto::serialize::binary::{BinDecodable, BinDecoder, BinEncoder};
use hickory_server::server::{Request, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::{MessageResponse, MessageResponseBuilder, Queries};

use super::reply::{Reply, Rr};
use super::wire;

/// Fixed octets of a record: type, class, TTL, length.
const RECORD_FIXED: usize = 10;
/// Octets of an OPT record without options.
const OPT_FIXED: usize = 11;

/// An answer before it is a message.
#[derive(Debug)]
pub(crate) struct Draft {
    metadata: Metadata,
    edns: Option<Edns>,
    pub(crate) answers: Vec<Record>,
    authority: Vec<Record>,
    additional: Vec<Record>,
    /// The octets it takes at most, names uncompressed.
    bound: usize,
}

type Records<'a> = std::slice::Iter<'a, Record>;

impl Draft {
    /// An answer without records.
    pub(crate) fn of_code(metadata: Metadata, edns: Option<Edns>) -> Draft {
        let (answers, authority, additional) = (vec![], vec![], vec![]);
        Draft { metadata, edns, answers, authority, additional, bound: 0 }
    }

    /// An answer with the records of a reply.
    pub(crate) fn of_reply(metadata: Metadata, edns: Option<Edns>, reply: &Reply) -> Draft {
        let mut draft = Draft::of_code(metadata, edns);
        for (section, rrs) in [
            (&mut draft.answers, &reply.answers),
            (&mut draft.authority, &reply.authority),
            (&mut draft.additional, &reply.additional),
        ] {
            section.extend(rrs.iter().filter_map(record));
            draft.bound +=
                rrs.iter().map(|rr| rr.name.as_wire().len() + RECORD_FIXED + rr.rdata.len()).sum::<usize>();
        }
        draft
    }

    /// The message.
    pub(crate) fn message<'q>(
        &'q self,
        queries: &'q Queries,
    ) -> MessageResponse<'q, 'q, Records<'q>, Records<'q>, Records<'q>, Records<'q>> {
        MessageResponseBuilder::new(queries, self.edns.as_ref()).build(
            self.metadata,
            self.answers.iter(),
            self.authority.iter(),
            [].iter(),
            self.additional.iter(),
        )
    }

    /// Leaves out what does not fit, least needed first: the text of the extended error (RFC 8914 §3), additional
    /// records beside an answer (RFC 2181 §9; glue of a referral is needed, RFC 9471 §3.1), then all of it and TC.
    /// An answer that is cut has no records at all, so nobody takes a part for the whole.
    pub(crate) fn fit(&mut self, request: &Request) {
        let limit = limit(request);
        let fits = |draft: &Draft| {
            let options = draft.edns.as_ref().map_or(0, |edns| {
                OPT_FIXED
                    + edns.options().as_ref().iter().map(|(_, o)| 4 + usize::from(o.len())).sum::<usize>()
            });
            let bound = wire::HEADER + request.queries.as_bytes().len() + draft.bound + options;
            bound <= usize::from(limit)
                || encode(draft.message(&request.queries), limit, request.queries.as_bytes())
                    .is_ok_and(|(sent, _)| !sent.truncation)
        };
        if fits(self) {
            return;
        }
        self.shorten_error();
        if fits(self) {
            return;
        }
        if !self.answers.is_empty() {
            self.additional.clear();
            if fits(self) {
                return;
            }
        }
        self.answers.clear();
        self.authority.clear();
        self.additional.clear();
        self.bound = 0;
        if request.protocol() == Protocol::Udp {
            self.metadata.truncation = true;
        } else {
            // There is no larger way to send it.
            self.metadata.authoritative = false;
            self.metadata.response_code = ResponseCode::ServFail;
            self.explain("the answer is larger than a DNS message can be");
        }
    }

    /// Keeps an extended error's code only.
    fn shorten_error(&mut self) {
        let Some(edns) = &mut self.edns else { return };
        let code = EdnsCode::Unknown(wire::OPTION_EDE);
        if let Some(EdnsOption::Unknown(_, data)) = edns.option(code) {
            let short = data[..data.len().min(2)].to_vec();
            edns.options_mut().remove(code);
            edns.options_mut().insert(EdnsOption::Unknown(wire::OPTION_EDE, short));
        }
    }

    /// Adds the extended error "Other" with a text (RFC 8914 §4.1).
    fn explain(&mut self, text: &str) {
        let Some(edns) = &mut self.edns else { return };
        edns.options_mut().remove(EdnsCode::Unknown(wire::OPTION_EDE));
        let data = [&[0, 0], text.as_bytes()].concat();
        edns.options_mut().insert(EdnsOption::Unknown(wire::OPTION_EDE, data));
    }
}

/// Takes the answer hickory's handler sends, as bytes.
#[derive(Clone)]
pub(crate) struct Sink {
    question: Arc<[u8]>,
    limit: u16,
    taken: Arc<Mutex<Option<Vec<u8>>>>,
}

impl Sink {
    /// A sink for the answer to this request.
    pub(crate) fn for_request(request: &Request) -> Sink {
        Sink { question: request.queries.as_bytes().into(), limit: limit(request), taken: Arc::default() }
    }

    /// What was sent last.
    pub(crate) fn into_bytes(self) -> Option<Vec<u8>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[async_trait::async_trait]
impl ResponseHandler for Sink {
    async fn send_response<'a>(
        &mut self,
        response: MessageResponse<
            '_,
            'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
        >,
    ) -> Result<ResponseInfo, NetError> {
        let (info, bytes) = encode(response, self.limit, &self.question)?;
        *self.taken.lock().unwrap_or_else(PoisonError::into_inner) = Some(bytes);
        Ok(info)
    }
}

/// A record of ours as one of hickory's, its data untouched; none for a name hickory does not take.
pub(crate) fn record(rr: &Rr) -> Option<Record> {
    let name = Name::read(&mut BinDecoder::new(rr.name.as_wire())).ok()?;
    let mut rdata = NULL::new();
    rdata.anything.clone_from(&rr.rdata);
    let data = RData::Unknown { code: RecordType::from(rr.rtype), rdata };
    Some(Record::from_rdata(name, rr.ttl, data))
}

/// The octets the answer to this request may have.
fn limit(request: &Request) -> u16 {
    match request.protocol() {
        Protocol::Udp => {
            request.edns.as_ref().map_or(wire::UDP_MIN, |edns| wire::udp_limit(edns.max_payload()))
        }
        _ => u16::MAX,
    }
}

/// Encodes a message of at most `limit` octets; records that do not fit are left out and TC is set.
fn encode<'a, A, N, S, D>(
    response: MessageResponse<'_, 'a, A, N, S, D>,
    limit: u16,
    question: &[u8],
) -> Result<(ResponseInfo, Vec<u8>), ProtoError>
where
    A: Iterator<Item = &'a Record> + Send + 'a,
    N: Iterator<Item = &'a Record> + Send + 'a,
    S: Iterator<Item = &'a Record> + Send + 'a,
    D: Iterator<Item = &'a Record> + Send + 'a,
{
    let mut bytes = Vec::with_capacity(usize::from(wire::UDP_MIN));
    let mut encoder = BinEncoder::new(&mut bytes);
    encoder.set_max_size(limit);
    point_at_question(&mut encoder, question)?;
    let info = response.destructive_emit(&mut encoder)?;
    Ok((info, bytes))
}

/// Lets the encoder compress names against the question. Of itself hickory remembers the question together with its
/// type and class, which no name ever equals. So the question is written where it will stand, its names are noted,
/// and writing starts over.
fn point_at_question(encoder: &mut BinEncoder<'_>, question: &[u8]) -> Result<(), ProtoError> {
    let Some(name_len) = wire::name_len(question) else { return Ok(()) };
    encoder.emit_vec(&[0; wire::HEADER])?;
    encoder.emit_vec(&question[..name_len])?;
    let mut at = 0;
    while question[at] != 0 {
        encoder.store_label_pointer(wire::HEADER + at, wire::HEADER + name_len - 1);
        at += usize::from(question[at]) + 1;
    }
    encoder.set_offset(0);
    Ok(())
}
