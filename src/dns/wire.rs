//! Messages as bytes: what the edge reads and patches without building a message of values.
//!
//! [`Plain`] recognises the query nearly all clients send, the only one the cache answers: opcode QUERY, one question
//! of class IN, no record but an OPT of version 0. Everything else goes through hickory. Answers that are kept are
//! encoded for the lower-cased question with id, RD and CD zero; [`Plain::patch`] makes them somebody's. Where hickory
//! cannot read a message at all, [`refusal`] answers it from its header.

use super::reply::{CLASS_IN, Rcode};

/// Octets of a message's header.
pub(crate) const HEADER: usize = 12;
/// What we say we can receive over UDP, and the most we send there, whatever the client says: larger datagrams are
/// lost to fragmentation (RFC 9715 §3.1, RFC 6891 §6.2.5).
pub(crate) const UDP_MAX: u16 = 1232;
/// What a client without EDNS can receive over UDP (RFC 1035 §4.2.1), and the least EDNS can say (RFC 6891 §6.2.3).
pub(crate) const UDP_MIN: u16 = 512;

/// RR type OPT (RFC 6891).
pub(crate) const TYPE_OPT: u16 = 41;
/// EDNS option NSID (RFC 5001).
pub(crate) const OPTION_NSID: u16 = 3;
/// EDNS option edns-tcp-keepalive (RFC 7828).
pub(crate) const OPTION_KEEPALIVE: u16 = 11;
/// EDNS option Extended DNS Error (RFC 8914).
pub(crate) const OPTION_EDE: u16 = 15;

const FLAG_QR: u8 = 0x80;
const OPCODE: u8 = 0x78;
const FLAG_TC: u8 = 0x02;
const FLAG_RD: u8 = 0x01;
const FLAG_CD: u8 = 0x10;

/// How a message came to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// In a datagram.
    Udp,
    /// Over a stream.
    Tcp,
}

/// What an OPT record says, as far as it changes an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Opt {
    udp_size: u16,
    dnssec_ok: bool,
    nsid: bool,
    keepalive: bool,
}

/// A query the cache may answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plain {
    /// Octets of the question: name, type and class.
    question_len: usize,
    opt: Option<Opt>,
}

impl Plain {
    /// Reads a query, if it is a plain one.
    pub(crate) fn read(raw: &[u8]) -> Option<Plain> {
        let header = raw.first_chunk::<HEADER>()?;
        if header[2] & (FLAG_QR | OPCODE) != 0 || header[4..10] != [0, 1, 0, 0, 0, 0] || header[10] != 0 {
            return None;
        }
        let name_len = name_len(&raw[HEADER..])?;
        let question_len = name_len + 4;
        let rest = raw.get(HEADER + question_len..)?;
        if u16_at(raw, HEADER + name_len + 2)? != CLASS_IN {
            return None;
        }
        let opt = match (header[11], rest) {
            (0, []) => None,
            (1, rest) => Some(Opt::read(rest)?),
            _ => return None,
        };
        Some(Plain { question_len, opt })
    }

    /// Writes the key under which the answer is kept; false where the answer is for this client alone. Below 1232
    /// octets an answer of at most 512 is the same for every size, so those sizes share a key and
    /// [`Plain::serves`] decides.
    pub(crate) fn key(&self, raw: &[u8], via: Via, key: &mut Vec<u8>) -> bool {
        key.clear();
        if self.opt.is_some_and(|opt| opt.nsid || (opt.keepalive && via == Via::Tcp)) {
            return false;
        }
        key.extend_from_slice(self.question(raw));
        // The type and class behind the name must keep their case, so to say.
        let name_len = key.len() - 4;
        key[..name_len].make_ascii_lowercase();
        let variant = u8::from(self.opt.is_some())
            | u8::from(self.opt.is_some_and(|opt| opt.dnssec_ok)) << 1
            | u8::from(via == Via::Tcp) << 2
            | u8::from(via == Via::Udp && self.udp_limit() == UDP_MAX) << 3;
        key.push(variant);
        true
    }

    /// Whether an answer kept under [`Plain::key`] is this query's too.
    pub(crate) fn serves(&self, answer: &[u8], via: Via) -> bool {
        via == Via::Tcp || matches!(self.udp_limit(), UDP_MIN | UDP_MAX) || !is_truncated(answer)
    }

    /// Whether an answer made for this query may be kept for others: one of an odd size may have used it.
    pub(crate) fn may_fill(&self, answer: &[u8], via: Via) -> bool {
        via == Via::Tcp
            || matches!(self.udp_limit(), UDP_MIN | UDP_MAX)
            || (!is_truncated(answer) && answer.len() <= usize::from(UDP_MIN))
    }

    /// Makes a kept answer the answer to this query: its id, RD and CD (RFC 1035 §4.1.1), and the question as asked.
    pub(crate) fn patch(&self, raw: &[u8], answer: &mut [u8]) {
        patch(raw, HEADER + self.question_len, answer);
    }

    fn question<'a>(&self, raw: &'a [u8]) -> &'a [u8] {
        &raw[HEADER..HEADER + self.question_len]
    }

    fn udp_limit(&self) -> u16 {
        self.opt.map_or(UDP_MIN, |opt| udp_limit(opt.udp_size))
    }
}

impl Opt {
    /// Reads an OPT record that is all of `rest`; none for anything else or another version.
    fn read(rest: &[u8]) -> Option<Opt> {
        let [0, type_high, type_low, size_high, size_low, 0, 0, flags, _, len_high, len_low, options @ ..] =
            rest
        else {
            return None;
        };
        let options_len = usize::from(u16::from_be_bytes([*len_high, *len_low]));
        if u16::from_be_bytes([*type_high, *type_low]) != TYPE_OPT || options.len() != options_len {
            return None;
        }
        let udp_size = u16::from_be_bytes([*size_high, *size_low]);
        let mut opt = Opt { udp_size, dnssec_ok: flags & 0x80 != 0, nsid: false, keepalive: false };
        let mut rest = options;
        while let [code_high, code_low, len_high, len_low, after @ ..] = rest {
            rest = after.get(usize::from(u16::from_be_bytes([*len_high, *len_low]))..)?;
            match u16::from_be_bytes([*code_high, *code_low]) {
                OPTION_NSID => opt.nsid = true,
                OPTION_KEEPALIVE => opt.keepalive = true,
                // RFC 6891 §6.1.2: unknown options are ignored; ECS is left to hickory's closer look.
                8 => return None,
                _ => {}
            }
        }
        rest.is_empty().then_some(opt)
    }
}

/// How much we send over UDP to a client that says it can receive `claimed`.
pub(crate) fn udp_limit(claimed: u16) -> u16 {
    claimed.clamp(UDP_MIN, UDP_MAX)
}

/// Whether a message gets an answer at all: it has a header, and that is a query's.
pub(crate) fn is_query(raw: &[u8]) -> bool {
    raw.len() >= HEADER && raw[2] & FLAG_QR == 0
}

/// Whether a message's opcode is QUERY.
pub(crate) fn is_plain_opcode(raw: &[u8]) -> bool {
    raw.get(2).is_some_and(|flags| flags & OPCODE == 0)
}

/// The response code in an answer's header, without what OPT adds to it.
pub(crate) fn header_rcode(answer: &[u8]) -> u8 {
    answer.get(3).map_or(0, |flags| flags & 0x0f)
}

/// Whether an answer says there is more (TC).
pub(crate) fn is_truncated(answer: &[u8]) -> bool {
    answer.get(2).is_some_and(|flags| flags & FLAG_TC != 0)
}

/// The length of the uncompressed name `wire` starts with.
pub(crate) fn name_len(wire: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let len = usize::from(*wire.get(at)?);
        at += len + 1;
        if len > super::name::LABEL_MAX || at > super::name::NAME_MAX {
            return None;
        }
        if len == 0 {
            return Some(at);
        }
    }
}

/// Where the only question of a message ends, if it has one that can be read.
pub(crate) fn question_end(raw: &[u8]) -> Option<usize> {
    if u16_at(raw, 4)? != 1 {
        return None;
    }
    let end = HEADER + name_len(&raw[HEADER..])? + 4;
    (end <= raw.len()).then_some(end)
}

/// Lower-cases the name in the question that ends at `end`.
pub(crate) fn lowercase_question(raw: &mut [u8], end: usize) {
    raw[HEADER..end - 4].make_ascii_lowercase();
}

/// Gives an answer the id, RD, CD of the query `raw` and its question, up to `end`, byte for byte.
pub(crate) fn patch(raw: &[u8], end: usize, answer: &mut [u8]) {
    answer[..2].copy_from_slice(&raw[..2]);
    answer[2] = (answer[2] & !FLAG_RD) | (raw[2] & FLAG_RD);
    answer[3] = (answer[3] & !FLAG_CD) | (raw[3] & FLAG_CD);
    answer[HEADER..end].copy_from_slice(&raw[HEADER..end]);
}

/// An answer that is only a code, made of the query's header and, where it can be read, its question. For messages
/// that go no further: there is no OPT, as whether they have one cannot be told (RFC 6891 §7).
pub(crate) fn refusal(raw: &[u8], rcode: Rcode) -> Option<Vec<u8>> {
    if !is_query(raw) {
        return None;
    }
    let end = question_end(raw);
    let mut answer = raw[..end.unwrap_or(HEADER)].to_vec();
    answer[2] = FLAG_QR | (raw[2] & (OPCODE | FLAG_RD));
    answer[3] = (raw[3] & FLAG_CD) | (rcode as u8 & 0x0f);
    answer[4..HEADER].fill(0);
    answer[5] = u8::from(end.is_some());
    Some(answer)
}

/// Where the TTLs of an answer's records stand, and what they are; OPT has none. None for what is no message.
pub(crate) fn ttls(answer: &[u8]) -> Option<Vec<(usize, u32)>> {
    let records =
        usize::from(u16_at(answer, 6)?) + usize::from(u16_at(answer, 8)?) + usize::from(u16_at(answer, 10)?);
    let mut at = if u16_at(answer, 4)? == 1 { question_end(answer)? } else { HEADER };
    let mut found = Vec::with_capacity(records.min(64));
    for _ in 0..records {
        at += compressed_name_len(answer.get(at..)?)?;
        let fixed = answer.get(at..)?.first_chunk::<10>()?;
        if u16::from_be_bytes([fixed[0], fixed[1]]) != TYPE_OPT {
            found.push((at + 4, u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]])));
        }
        at += 10 + usize::from(u16::from_be_bytes([fixed[8], fixed[9]]));
    }
    Some(found)
}

fn compressed_name_len(wire: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match usize::from(*wire.get(at)?) {
            0 => return Some(at + 1),
            0xc0.. => return Some(at + 2),
            len => at += len + 1,
        }
    }
}

pub(crate) fn u16_at(wire: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*wire.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const QUESTION: &[u8] = b"\x03WwW\x02lf\x00\x00\x01\x00\x01";

    fn query(flags: [u8; 2], additional: &[u8]) -> Vec<u8> {
        let mut raw =
            vec![0xab, 0xcd, flags[0], flags[1], 0, 1, 0, 0, 0, 0, 0, u8::from(!additional.is_empty())];
        raw.extend_from_slice(QUESTION);
        raw.extend_from_slice(additional);
        raw
    }

    fn opt(size: u16, flags: u8, options: &[u8]) -> Vec<u8> {
        let mut opt = vec![0, 0, 41];
        opt.extend(size.to_be_bytes());
        opt.extend([0, 0, flags, 0]);
        opt.extend((options.len() as u16).to_be_bytes());
        opt.extend(options);
        opt
    }

    fn key(raw: &[u8], via: Via) -> Option<Vec<u8>> {
        let mut key = vec![];
        Plain::read(raw).unwrap().key(raw, via, &mut key).then_some(key)
    }

    #[test]
    fn questions_in_any_case_share_a_key_and_other_variants_do_not() {
        let plain = query([1, 0], &[]);
        let mut upper = plain.clone();
        upper[12..20].make_ascii_uppercase();
        assert_eq!(key(&plain, Via::Udp), key(&upper, Via::Udp));
        let keys = [
            key(&plain, Via::Udp),
            key(&plain, Via::Tcp),
            key(&query([1, 0], &opt(1232, 0, &[])), Via::Udp),
            key(&query([1, 0], &opt(512, 0, &[])), Via::Udp),
            key(&query([1, 0], &opt(1232, 0x80, &[])), Via::Udp),
        ];
        for (index, key) in keys.iter().enumerate() {
            assert!(key.is_some() && !keys[..index].contains(key), "variant {index}");
        }
        assert_eq!(
            key(&query([1, 0], &opt(4096, 0, &[0, 10, 0, 1, 7])), Via::Udp),
            key(&query([0, 0x10], &opt(1232, 0, &[])), Via::Udp),
            "unknown options, RD, CD and what a client claims above our limit make no difference"
        );
    }

    #[test]
    fn what_only_one_client_may_see_has_no_key() {
        assert_eq!(key(&query([0, 0], &opt(1232, 0, &[0, 3, 0, 0])), Via::Udp), None);
        let keepalive = query([0, 0], &opt(1232, 0, &[0, 11, 0, 0]));
        assert_eq!(key(&keepalive, Via::Tcp), None);
        assert!(key(&keepalive, Via::Udp).is_some());
    }

    #[test]
    fn what_is_not_plain_is_left_to_the_long_way() {
        assert!(Plain::read(&query([0x80, 0], &[])).is_none(), "an answer");
        assert!(Plain::read(&query([0x28, 0], &[])).is_none(), "an update");
        assert!(Plain::read(&query([0, 0], &opt(1232, 0, &[0, 3, 0, 9]))).is_none(), "a broken option");
        assert!(Plain::read(&query([0, 0], &opt(1232, 0, &[0, 3, 0]))).is_none(), "half an option");
        let mut version_1 = opt(1232, 0, &[]);
        version_1[6] = 1;
        assert!(Plain::read(&query([0, 0], &version_1)).is_none());
        let mut trailing = query([0, 0], &[]);
        trailing.push(0);
        assert!(Plain::read(&trailing).is_none());
        let mut chaos = query([0, 0], &[]);
        *chaos.last_mut().unwrap() = 3;
        assert!(Plain::read(&chaos).is_none());
    }

    #[test]
    fn a_truncated_answer_for_512_is_no_answer_for_a_size_between() {
        let between = Plain::read(&query([0, 0], &opt(1000, 0, &[]))).unwrap();
        let truncated = refusal(&query([0, 0], &[]), Rcode::NoError).map(|mut answer| {
            answer[2] |= FLAG_TC;
            answer
        });
        let whole = refusal(&query([0, 0], &[]), Rcode::NoError);
        assert!(!between.serves(&truncated.unwrap(), Via::Udp));
        assert!(between.serves(&whole.unwrap(), Via::Udp));
        assert!(!between.may_fill(&[0; 600], Via::Udp));
    }

    #[test]
    fn a_patched_answer_echoes_id_flags_and_question() {
        let lower = query([0, 0], &[]).to_ascii_lowercase();
        let mut answer = refusal(&lower, Rcode::NxDomain).unwrap();
        let raw = query([1, 0x10], &[]);
        Plain::read(&raw).unwrap().patch(&raw, &mut answer);
        assert_eq!(answer[..4], [0xab, 0xcd, 0x81, 0x13]);
        assert_eq!(&answer[HEADER..], QUESTION);
    }

    #[test]
    fn a_refusal_keeps_the_question_only_where_it_can_be_read() {
        let mut broken = query([0x29, 0], &[]);
        assert_eq!(refusal(&broken, Rcode::NotImp).unwrap()[..6], [0xab, 0xcd, 0xa9, 4, 0, 1]);
        broken.truncate(HEADER + 3);
        assert_eq!(refusal(&broken, Rcode::FormErr).unwrap(), [0xab, 0xcd, 0xa9, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(refusal(&broken[..11], Rcode::FormErr), None);
        assert_eq!(refusal(&query([0x80, 0], &[]), Rcode::FormErr), None);
    }

    #[test]
    fn ttls_are_found_behind_compressed_names() {
        let mut answer = query([0x80, 0], &opt(1232, 0, &[]));
        answer[7] = 1;
        let at = HEADER + QUESTION.len();
        answer.splice(at..at, *b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x01\x2c\x00\x04\x7f\x00\x00\x01");
        assert_eq!(ttls(&answer), Some(vec![(at + 6, 300)]));
        assert_eq!(ttls(&answer[..at + 4]), None);
    }

    proptest! {
        #[test]
        fn octets_from_strangers_never_panic(raw in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = (refusal(&raw, Rcode::FormErr), ttls(&raw));
            if let Some(plain) = Plain::read(&raw) {
                let mut key = vec![];
                plain.key(&raw, Via::Udp, &mut key);
                let mut answer = refusal(&raw, Rcode::NoError).unwrap();
                plain.patch(&raw, &mut answer);
            }
        }

        #[test]
        fn a_cut_or_flipped_query_never_panics(cut in 0_usize..60, at in 0_usize..60, octet in any::<u8>()) {
            let mut raw = query([1, 0], &opt(1232, 0x80, &[0, 3, 0, 0, 0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8]));
            if let Some(flipped) = raw.get_mut(at) {
                *flipped = octet;
            }
            raw.truncate(cut);
            let _ = (Plain::read(&raw), refusal(&raw, Rcode::FormErr), ttls(&raw));
        }
    }
}
