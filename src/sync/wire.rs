//! What nodes say to each other: frames of a length, a type and a body. docs/SYNC.md "Messages".
//!
//! The control stream carries [`Message::Proof`] first, then [`Message::Hello`], then the small talk. The gossip
//! streams carry records and announcements. A stream of its own begins with [`Message::Compare`],
//! [`Message::Want`] or [`Message::Since`] and carries what answers it.

use std::net::{IpAddr, SocketAddr};

use super::NodeKey;
use super::bytes::{Reader, WireError, put_bound, put_varint};
use super::reconcile::TURN_READ_MAX;
use crate::record::{Millis, RECORD_MAX, RecordId};
use crate::store::{FIRST, Point};

/// The protocol's version, in [`Message::Hello`].
pub const VERSION: u8 = 1;
/// Bytes before the body: its length with the type, and the type.
pub const HEAD: usize = 5;
/// Bytes of a frame at most, head not counted, where turns of a comparison are not expected.
pub const FRAME_MAX: usize = RECORD_MAX + 16;
/// Bytes of a frame that holds a turn.
pub const TURN_FRAME_MAX: usize = TURN_READ_MAX + 16;
/// Ids in one announcement or request at most.
pub const IDS_MAX: usize = 1_024;
/// Addresses in one message at most.
pub const ADDRESSES_MAX: usize = 32;

/// How a node presents itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Drawn at its start: tells a restarted node from one that dialled twice.
    pub instance: u64,
    /// Its clock.
    pub clock: Millis,
    /// Where it listens, on the address it came from; 0: it cannot be called back.
    pub port: u16,
    /// Whether it was once in agreement with its network.
    pub synchronised: bool,
}

/// What a node says of its set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Root {
    /// Of the records before this time.
    pub until: Millis,
    /// How many.
    pub count: u64,
    /// Their fingerprint.
    pub fingerprint: [u8; 16],
    /// Whether the node was once in agreement with its network.
    pub synchronised: bool,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// That the sender knows the network; over this connection and in this direction only.
    Proof([u8; 32]),
    /// Who the sender is; after the proofs.
    Hello(Hello),
    /// Is your set this?
    Root(Root),
    /// Mine is this.
    RootIs(Root),
    /// Nodes the sender has reached.
    Peers(Vec<(SocketAddr, NodeKey)>),
    /// A record, with or without its value.
    Record {
        /// Whether the value is there.
        whole: bool,
        /// Its canonical bytes.
        bytes: Vec<u8>,
    },
    /// The sender has these.
    Announce(Vec<RecordId>),
    /// Let us compare; [`Message::Turn`] follows.
    Compare {
        /// For shortened ids.
        salt: [u8; 16],
        /// Only records before this time.
        until: Millis,
    },
    /// A turn of a comparison; an empty one ends it.
    Turn(Vec<u8>),
    /// Send these.
    Want(Vec<RecordId>),
    /// Send everything from here on, in order.
    Since(Point),
    /// That was all that was asked for.
    Done,
}

const PROOF: u8 = 1;
const HELLO: u8 = 2;
const ROOT: u8 = 3;
const ROOT_IS: u8 = 4;
const PEERS: u8 = 5;
const RECORD: u8 = 16;
const ANNOUNCE: u8 = 17;
const COMPARE: u8 = 32;
const TURN: u8 = 33;
const WANT: u8 = 34;
const SINCE: u8 = 35;
const DONE: u8 = 36;

impl Message {
    /// Appends the frame.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let begin = out.len();
        out.extend_from_slice(&[0; 4]);
        out.push(self.kind());
        self.body(out);
        seal(out, begin);
    }

    /// Reads a frame's type and body, head already taken off.
    pub fn decode(kind: u8, body: &[u8]) -> Result<Message, WireError> {
        let mut reader = Reader::new(body);
        let message = match kind {
            PROOF => Message::Proof(reader.array()?),
            HELLO => Message::Hello(read_hello(&mut reader)?),
            ROOT => Message::Root(read_root(&mut reader)?),
            ROOT_IS => Message::RootIs(read_root(&mut reader)?),
            PEERS => {
                let count = reader.count("addresses", ADDRESSES_MAX)?;
                Message::Peers((0..count).map(|_| read_peer(&mut reader)).collect::<Result<_, _>>()?)
            }
            RECORD => {
                let whole = read_flag(&mut reader, "record flag")?;
                return Ok(Message::Record { whole, bytes: body[1..].to_vec() });
            }
            ANNOUNCE => {
                let ids = read_ids(&mut reader)?;
                // It would cost nothing and be heard all the same.
                if ids.is_empty() {
                    return Err(WireError::Field("announcement"));
                }
                Message::Announce(ids)
            }
            COMPARE => Message::Compare { salt: reader.array()?, until: reader.millis()? },
            TURN => return Ok(Message::Turn(body.to_vec())),
            WANT => Message::Want(read_ids(&mut reader)?),
            SINCE => Message::Since(reader.bound(&FIRST)?),
            DONE => Message::Done,
            other => return Err(WireError::Unknown(other)),
        };
        reader.end()?;
        Ok(message)
    }

    fn kind(&self) -> u8 {
        match self {
            Message::Proof(_) => PROOF,
            Message::Hello(_) => HELLO,
            Message::Root(_) => ROOT,
            Message::RootIs(_) => ROOT_IS,
            Message::Peers(_) => PEERS,
            Message::Record { .. } => RECORD,
            Message::Announce(_) => ANNOUNCE,
            Message::Compare { .. } => COMPARE,
            Message::Turn(_) => TURN,
            Message::Want(_) => WANT,
            Message::Since(_) => SINCE,
            Message::Done => DONE,
        }
    }

    fn body(&self, out: &mut Vec<u8>) {
        match self {
            Message::Proof(mac) => out.extend_from_slice(mac),
            Message::Hello(hello) => {
                out.push(VERSION);
                out.extend_from_slice(&hello.instance.to_be_bytes());
                put_varint(out, hello.clock.0);
                out.extend_from_slice(&hello.port.to_be_bytes());
                out.push(u8::from(hello.synchronised));
            }
            Message::Root(root) | Message::RootIs(root) => {
                put_varint(out, root.until.0);
                put_varint(out, root.count);
                out.extend_from_slice(&root.fingerprint);
                out.push(u8::from(root.synchronised));
            }
            Message::Peers(peers) => {
                put_varint(out, peers.len() as u64);
                for (address, key) in peers {
                    put_peer(out, address, key);
                }
            }
            Message::Record { whole, bytes } => {
                out.push(u8::from(*whole));
                out.extend_from_slice(bytes);
            }
            Message::Announce(ids) | Message::Want(ids) => {
                put_varint(out, ids.len() as u64);
                out.extend(ids.iter().flat_map(|id| id.0));
            }
            Message::Compare { salt, until } => {
                out.extend_from_slice(salt);
                put_varint(out, until.0);
            }
            Message::Turn(turn) => out.extend_from_slice(turn),
            Message::Since(from) => put_bound(out, &FIRST, from),
            Message::Done => {}
        }
    }
}

/// Appends the frame of a record whose canonical bytes are at hand.
pub fn put_record(out: &mut Vec<u8>, whole: bool, bytes: &[u8]) {
    let begin = out.len();
    out.extend_from_slice(&[0, 0, 0, 0, RECORD, u8::from(whole)]);
    out.extend_from_slice(bytes);
    seal(out, begin);
}

/// Splits a head: the type, and the bytes of the body, which are at most `max`.
pub fn head(head: [u8; HEAD], max: usize) -> Result<(u8, usize), WireError> {
    let len = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
    if len == 0 {
        return Err(WireError::Length);
    }
    if len > max {
        return Err(WireError::TooMany("bytes in a frame", max));
    }
    Ok((head[4], len - 1))
}

fn seal(out: &mut [u8], begin: usize) {
    let len = (out.len() - begin - 4) as u32;
    out[begin..begin + 4].copy_from_slice(&len.to_be_bytes());
}

fn read_flag(reader: &mut Reader<'_>, what: &'static str) -> Result<bool, WireError> {
    match reader.byte()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(WireError::Field(what)),
    }
}

fn read_hello(reader: &mut Reader<'_>) -> Result<Hello, WireError> {
    let version = reader.byte()?;
    if version != VERSION {
        return Err(WireError::Version(version));
    }
    Ok(Hello {
        instance: u64::from_be_bytes(reader.array()?),
        clock: reader.millis()?,
        port: u16::from_be_bytes(reader.array()?),
        synchronised: read_flag(reader, "flag")?,
    })
}

fn read_root(reader: &mut Reader<'_>) -> Result<Root, WireError> {
    Ok(Root {
        until: reader.millis()?,
        count: reader.varint()?,
        fingerprint: reader.array()?,
        synchronised: read_flag(reader, "flag")?,
    })
}

fn read_ids(reader: &mut Reader<'_>) -> Result<Vec<RecordId>, WireError> {
    let count = reader.count("ids", IDS_MAX)?;
    (0..count).map(|_| reader.id()).collect()
}

fn put_peer(out: &mut Vec<u8>, address: &SocketAddr, key: &NodeKey) {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => {
            out.push(4);
            out.extend_from_slice(&ip.octets());
        }
        IpAddr::V6(ip) => {
            out.push(6);
            out.extend_from_slice(&ip.octets());
        }
    }
    out.extend_from_slice(&address.port().to_be_bytes());
    out.extend_from_slice(&key.0);
}

fn read_peer(reader: &mut Reader<'_>) -> Result<(SocketAddr, NodeKey), WireError> {
    let ip = match reader.byte()? {
        4 => IpAddr::from(reader.array::<4>()?),
        6 => IpAddr::from(reader.array::<16>()?),
        _ => return Err(WireError::Field("address family")),
    };
    let port = u16::from_be_bytes(reader.array()?);
    Ok((SocketAddr::new(ip, port), NodeKey(reader.array()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn samples() -> Vec<Message> {
        let root = Root { until: Millis(1 << 40), count: 300, fingerprint: [7; 16], synchronised: true };
        let id = |n| RecordId([n; 32]);
        vec![
            Message::Proof([1; 32]),
            Message::Hello(Hello { instance: 5, clock: Millis(99), port: 9908, synchronised: false }),
            Message::Root(root),
            Message::RootIs(root),
            Message::Peers(vec![
                ("192.0.2.1:1".parse().unwrap(), NodeKey([1; 32])),
                ("[2001:db8::1]:9908".parse().unwrap(), NodeKey([2; 32])),
            ]),
            Message::Record { whole: true, bytes: vec![1, 2, 3] },
            Message::Announce(vec![id(1), id(2)]),
            Message::Compare { salt: [9; 16], until: Millis(7) },
            Message::Turn(vec![4; 100]),
            Message::Turn(vec![]),
            Message::Want(vec![]),
            Message::Since((Millis(4), id(3))),
            Message::Done,
        ]
    }

    fn read(frame: &[u8]) -> Result<Message, WireError> {
        let (kind, len) = head(frame[..HEAD].try_into().unwrap(), TURN_FRAME_MAX)?;
        assert_eq!(frame.len(), HEAD + len);
        Message::decode(kind, &frame[HEAD..])
    }

    #[test]
    fn every_message_reads_back() {
        for message in samples() {
            let mut frame = Vec::new();
            message.encode(&mut frame);
            assert_eq!(read(&frame).unwrap(), message);
        }
    }

    #[test]
    fn a_message_that_is_cut_or_goes_on_is_refused() {
        for message in samples() {
            if matches!(message, Message::Turn(_) | Message::Record { .. }) {
                continue;
            }
            let mut frame = Vec::new();
            message.encode(&mut frame);
            let body = &frame[HEAD..];
            assert!(Message::decode(frame[4], &[body, &[0]].concat()).is_err(), "{message:?}");
            if !body.is_empty() {
                assert!(Message::decode(frame[4], &body[..body.len() - 1]).is_err(), "{message:?}");
            }
        }
    }

    #[test]
    fn a_hello_of_another_version_is_told_apart_from_nonsense() {
        assert_eq!(Message::decode(HELLO, &[VERSION + 1, 9, 9]), Err(WireError::Version(VERSION + 1)));
        assert_eq!(Message::decode(HELLO, &[VERSION, 9, 9]), Err(WireError::Length));
    }

    #[test]
    fn an_announcement_of_nothing_is_refused() {
        assert_eq!(Message::decode(ANNOUNCE, &[0]), Err(WireError::Field("announcement")));
    }

    #[test]
    fn a_frame_longer_than_its_limit_is_refused_before_it_is_read() {
        let long = (FRAME_MAX as u32 + 1).to_be_bytes();
        let refused = head([long[0], long[1], long[2], long[3], RECORD], FRAME_MAX);
        assert_eq!(refused, Err(WireError::TooMany("bytes in a frame", FRAME_MAX)));
        assert_eq!(head([0, 0, 0, 0, DONE], FRAME_MAX), Err(WireError::Length));
    }

    proptest! {
        #[test]
        fn no_bytes_make_reading_panic(kind: u8, body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Message::decode(kind, &body);
        }
    }
}
