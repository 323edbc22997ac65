//! A question and what we say to it, before either is a message. Decisions make these, the edge encodes them.

use std::net::IpAddr;

use super::counters::Deps;
use super::name::DnsName;
use crate::record::Millis;

/// Class IN, the only one we answer from the store.
pub const CLASS_IN: u16 = 1;

/// A question as it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The name, in the case the client wrote it.
    pub name: DnsName,
    /// The type's number.
    pub qtype: u16,
    /// The class's number.
    pub qclass: u16,
    /// The address of ours that the question came to: what a synthesised name server's name resolves to.
    pub local: Option<IpAddr>,
}

/// Response codes we give (RFC 1035 §4.1.1, RFC 6895).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rcode {
    /// No error.
    NoError = 0,
    /// The query is malformed.
    FormErr = 1,
    /// We failed.
    ServFail = 2,
    /// The name does not exist.
    NxDomain = 3,
    /// An opcode we do not serve.
    NotImp = 4,
    /// Not ours to answer.
    Refused = 5,
    /// A synthesised DNAME target is too long (RFC 6672 §2.2).
    YxDomain = 6,
    /// An EDNS version we do not speak (RFC 6891 §6.1.3).
    BadVers = 16,
}

/// One resource record of class IN, its data in canonical wire form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rr {
    /// Owner name.
    pub name: DnsName,
    /// Type.
    pub rtype: u16,
    /// Seconds it may be cached.
    pub ttl: u32,
    /// Uncompressed data.
    pub rdata: Vec<u8>,
}

/// An extended error (RFC 8914).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ede {
    /// INFO-CODE.
    pub code: u16,
    /// EXTRA-TEXT.
    pub text: String,
}

/// What we say, and until when it is true.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The response code.
    pub rcode: Rcode,
    /// Authoritative.
    pub aa: bool,
    /// Answer section.
    pub answers: Vec<Rr>,
    /// Authority section.
    pub authority: Vec<Rr>,
    /// Additional section, without OPT.
    pub additional: Vec<Rr>,
    /// Why, if there is more to say than the code.
    pub ede: Option<Ede>,
    /// When the answer stops being true by itself; TTLs never reach beyond it.
    pub until: Option<Millis>,
    /// What it was read from.
    pub deps: Deps,
    /// Whether it depends on [`Question::local`], so that it must not be cached for other addresses.
    pub uses_local: bool,
}

impl Reply {
    /// A reply that is only a code.
    pub fn code(rcode: Rcode, deps: Deps) -> Reply {
        Reply {
            rcode,
            aa: false,
            answers: vec![],
            authority: vec![],
            additional: vec![],
            ede: None,
            until: None,
            deps,
            uses_local: false,
        }
    }

    /// The same with an extended error.
    pub fn with_ede(mut self, code: u16, text: impl Into<String>) -> Reply {
        self.ede = Some(Ede { code, text: text.into() });
        self
    }
}

/// Whoever answers questions: the resolver, and in tests of the edge anything else. Must not block for
/// long: it reads the local store.
pub trait Answer: Send + Sync + 'static {
    /// Answers one question of opcode QUERY as of `now`.
    fn answer(&self, question: &Question, now: Millis) -> Reply;

    /// The table the reply's dependencies are compared with.
    fn counters(&self) -> &super::counters::Counters;
}
