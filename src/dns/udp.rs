//! DNS over UDP: several sockets on one address (SO_REUSEPORT), a thread for each, datagrams received and sent by the
//! batch. What the cache has is answered in the loop; the rest goes to the workers, who send on the same socket.
//!
//! A socket bound to a wildcard address learns from the kernel to which address each datagram came and answers from
//! there (RFC 2181 §4.1); others need not ask.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrIn, SockaddrIn6, SockaddrLike,
    recvmmsg, sendmmsg, sendmsg, setsockopt, sockopt,
};
use socket2::{Domain, Protocol, Socket, Type};

use super::front::{Arrival, Front};
use super::reply::Answer;
use super::wire::{self, Via};

/// Datagrams received or sent in one call.
const BATCH: usize = 64;
/// The largest query we read whole. We say we take 1232; what is cut here fails to parse and gets FORMERR.
const QUERY_MAX: usize = 4096;
/// How long a silent socket waits before it looks whether it shall stop.
const WAKE: Duration = Duration::from_millis(100);
/// Room in the kernel for bursts, each way.
const SOCKET_BUFFER: usize = 4 << 20;

/// One of the sockets on an address.
#[derive(Debug)]
pub(crate) struct Shard {
    socket: UdpSocket,
    bound: SocketAddr,
}

/// The address of ours a datagram came to, as the kernel wants it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Local {
    V4(libc::in_pktinfo),
    V6(libc::in6_pktinfo),
}

/// A socket address as the kernel has it, of one family.
trait Peer: SockaddrLike + Copy {
    fn address(&self) -> SocketAddr;
    fn from_address(address: SocketAddr) -> Option<Self>;
    fn control_room() -> Vec<u8>;
}

impl Peer for SockaddrIn {
    fn address(&self) -> SocketAddr {
        SocketAddrV4::from(*self).into()
    }

    fn from_address(address: SocketAddr) -> Option<SockaddrIn> {
        if let SocketAddr::V4(address) = address { Some(address.into()) } else { None }
    }

    fn control_room() -> Vec<u8> {
        nix::cmsg_space!(libc::in_pktinfo)
    }
}

impl Peer for SockaddrIn6 {
    fn address(&self) -> SocketAddr {
        SocketAddrV6::from(*self).into()
    }

    fn from_address(address: SocketAddr) -> Option<SockaddrIn6> {
        if let SocketAddr::V6(address) = address { Some(address.into()) } else { None }
    }

    fn control_room() -> Vec<u8> {
        nix::cmsg_space!(libc::in6_pktinfo)
    }
}

impl Shard {
    /// Binds `count` sockets to one address. A first one that shares its port with nobody makes sure it is free: those
    /// that do share are let in beside any others of the same user.
    pub(crate) fn bind(address: SocketAddr, count: usize) -> io::Result<Vec<Shard>> {
        drop(open(address, Sharing::Exclusive)?);
        (0..count).map(|_| Shard::open(address)).collect()
    }

    fn open(address: SocketAddr) -> io::Result<Shard> {
        let socket = open(address, Sharing::Shared)?;
        // The kernel may give less, and that is no error.
        let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
        let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
        socket.set_read_timeout(Some(WAKE))?;
        if address.ip().is_unspecified() {
            if address.is_ipv4() {
                setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
            } else {
                setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
            }
        }
        let socket = UdpSocket::from(socket);
        let bound = socket.local_addr()?;
        Ok(Shard { socket, bound })
    }

    /// Receives and answers until told to stop.
    pub(crate) fn serve<A: Answer>(self: &Arc<Self>, front: &Arc<Front<A>>, stop: &AtomicBool) {
        if self.bound.is_ipv4() {
            self.serve_family::<A, SockaddrIn>(front, stop);
        } else {
            self.serve_family::<A, SockaddrIn6>(front, stop);
        }
    }

    fn wildcard(&self) -> bool {
        self.bound.ip().is_unspecified()
    }

    fn serve_family<A: Answer, S: Peer>(self: &Arc<Self>, front: &Arc<Front<A>>, stop: &AtomicBool) {
        let mut room = vec![0; BATCH * QUERY_MAX];
        let control = self.wildcard().then(S::control_room);
        let mut heads = MultiHeaders::<S>::preallocate(BATCH, control);
        let mut answers = Outgoing::<S>::new(self.wildcard());
        let mut tally = Tally::default();
        let mut key = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let mut slices: Vec<_> =
                room.chunks_mut(QUERY_MAX).map(|chunk| [IoSliceMut::new(chunk)]).collect();
            let (fd, flags) = (self.socket.as_raw_fd(), MsgFlags::MSG_WAITFORONE);
            let batch = match recvmmsg(fd, &mut heads, slices.iter_mut(), flags, None) {
                Ok(batch) => batch,
                Err(Errno::EAGAIN | Errno::EINTR) => continue,
                Err(_) => {
                    // Out of memory, most likely: not to be met with a busy loop.
                    std::thread::park_timeout(WAKE);
                    continue;
                }
            };
            let now = front.now();
            for message in batch {
                let (Some(peer), Some(packet)) = (message.address, message.iovs().next()) else { continue };
                tally.received += 1;
                if !wire::is_query(packet) {
                    tally.ignored += 1;
                    continue;
                }
                let local = if self.wildcard() { message.cmsgs().ok().and_then(local_of) } else { None };
                if front.hit(packet, Via::Udp, now, &mut key, answers.room()) {
                    tally.hits += 1;
                    answers.add(peer, local, &mut tally);
                } else {
                    tally.misses += 1;
                    self.miss(front, packet, peer.address(), local);
                }
            }
            // Counted before they go out, so that whoever has an answer finds it counted. What the kernel refuses is
            // counted with the next batch.
            tally.report(&front.metrics().dns);
            answers.flush(self, &mut tally);
        }
    }

    fn miss<A: Answer>(
        self: &Arc<Self>,
        front: &Arc<Front<A>>,
        packet: &[u8],
        from: SocketAddr,
        local: Option<Local>,
    ) {
        let shard = Arc::clone(self);
        let failures = Arc::clone(front);
        let arrival = Arrival {
            packet,
            from,
            via: Via::Udp,
            local: Some(local.map_or(self.bound.ip(), |local| local.address())),
        };
        front.miss(
            &arrival,
            Box::new(move |answer| {
                if shard.send(&answer, from, local).is_err() {
                    failures.metrics().dns.send_failures.raise();
                }
            }),
        );
    }

    /// Sends one answer from where its question came to.
    fn send(&self, answer: &[u8], to: SocketAddr, local: Option<Local>) -> io::Result<()> {
        match (local, to) {
            (Some(local), SocketAddr::V4(_)) => self.send_from::<SockaddrIn>(answer, to, local),
            (Some(local), SocketAddr::V6(_)) => self.send_from::<SockaddrIn6>(answer, to, local),
            (None, to) => self.socket.send_to(answer, to).map(drop),
        }
    }

    fn send_from<S: Peer>(&self, answer: &[u8], to: SocketAddr, local: Local) -> io::Result<()> {
        let (fd, slices) = (self.socket.as_raw_fd(), [IoSlice::new(answer)]);
        let to = S::from_address(to);
        sendmsg(fd, &slices, &[local.control()], MsgFlags::empty(), to.as_ref())?;
        Ok(())
    }
}

impl Local {
    fn address(&self) -> IpAddr {
        match self {
            // in_addr holds the octets in the network's order.
            Local::V4(info) => IpAddr::from(info.ipi_spec_dst.s_addr.to_ne_bytes()),
            Local::V6(info) => IpAddr::from(info.ipi6_addr.s6_addr),
        }
    }

    fn control(&self) -> ControlMessage<'_> {
        match self {
            Local::V4(info) => ControlMessage::Ipv4PacketInfo(info),
            Local::V6(info) => ControlMessage::Ipv6PacketInfo(info),
        }
    }
}

/// The address a datagram came to. The way back is the routing table's choice, except for link-local addresses, which
/// mean nothing without their interface.
fn local_of(messages: impl Iterator<Item = ControlMessageOwned>) -> Option<Local> {
    messages.into_iter().find_map(|message| match message {
        ControlMessageOwned::Ipv4PacketInfo(info) => {
            Some(Local::V4(libc::in_pktinfo { ipi_ifindex: 0, ..info }))
        }
        ControlMessageOwned::Ipv6PacketInfo(info) => {
            let link_local = info.ipi6_addr.s6_addr[..2] == [0xfe, 0x80];
            let ipi6_ifindex = if link_local { info.ipi6_ifindex } else { 0 };
            Some(Local::V6(libc::in6_pktinfo { ipi6_ifindex, ..info }))
        }
        _ => None,
    })
}

/// Answers of one batch on their way out.
struct Outgoing<S: Peer> {
    octets: Vec<u8>,
    ends: Vec<usize>,
    peers: Vec<Option<S>>,
    locals: Vec<Option<Local>>,
    heads: MultiHeaders<S>,
}

impl<S: Peer> Outgoing<S> {
    fn new(wildcard: bool) -> Outgoing<S> {
        Outgoing {
            octets: Vec::with_capacity(BATCH * usize::from(wire::UDP_MAX)),
            ends: Vec::with_capacity(BATCH),
            peers: Vec::with_capacity(BATCH),
            locals: Vec::with_capacity(BATCH),
            heads: MultiHeaders::preallocate(BATCH, wildcard.then(S::control_room)),
        }
    }

    /// Where the next answer is appended.
    fn room(&mut self) -> &mut Vec<u8> {
        &mut self.octets
    }

    /// Takes what was appended since the last call as an answer to `peer`.
    fn add(&mut self, peer: S, local: Option<Local>, tally: &mut Tally) {
        let start = self.ends.last().copied().unwrap_or(0);
        tally.answered(&self.octets[start..]);
        self.ends.push(self.octets.len());
        self.peers.push(Some(peer));
        self.locals.push(local);
    }

    /// Sends them all, run by run of answers from the same address of ours. What the kernel refuses is skipped.
    fn flush(&mut self, shard: &Shard, tally: &mut Tally) {
        let mut next = 0;
        while next < self.ends.len() {
            let local = self.locals[next];
            if local.is_none() && shard.wildcard() {
                // The kernel did not say; the room for control messages must not go out empty.
                next += 1;
                tally.send_failures += 1;
                continue;
            }
            let run = self.locals[next..].iter().take_while(|other| **other == local).count();
            match self.send_run(shard, next..next + run, local) {
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(sent) => next += sent,
                Err(_) => {
                    tally.send_failures += 1;
                    next += 1;
                }
            }
        }
        self.octets.clear();
        self.ends.clear();
        self.peers.clear();
        self.locals.clear();
    }

    fn send_run(
        &mut self,
        shard: &Shard,
        run: std::ops::Range<usize>,
        local: Option<Local>,
    ) -> Result<usize, Errno> {
        let start_of = |index: usize| if index == 0 { 0 } else { self.ends[index - 1] };
        let slices: Vec<_> = run
            .clone()
            .map(|index| [IoSlice::new(&self.octets[start_of(index)..self.ends[index]])])
            .collect();
        let control: Vec<_> = local.iter().map(Local::control).collect();
        let fd = shard.socket.as_raw_fd();
        let peers = &self.peers[run];
        sendmmsg(fd, &mut self.heads, &slices, peers, control, MsgFlags::empty()).map(Iterator::count)
    }
}

/// Counts of one batch.
#[derive(Default)]
struct Tally {
    received: u64,
    ignored: u64,
    hits: u64,
    misses: u64,
    truncated: u64,
    send_failures: u64,
    rcodes: [u64; 16],
}

impl Tally {
    fn answered(&mut self, answer: &[u8]) {
        self.rcodes[usize::from(wire::header_rcode(answer))] += 1;
        self.truncated += u64::from(wire::is_truncated(answer));
    }

    fn report(&mut self, dns: &crate::metrics::Dns) {
        dns.udp_queries.add(self.received);
        dns.ignored.add(self.ignored);
        dns.cache_hits.add(self.hits);
        dns.cache_misses.add(self.misses);
        dns.truncated.add(self.truncated);
        dns.send_failures.add(self.send_failures);
        for (rcode, count) in self.rcodes.iter().enumerate() {
            dns.add_rcode(rcode as u8, *count);
        }
        *self = Tally::default();
    }
}

/// Whether other sockets may have the same port.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sharing {
    Exclusive,
    Shared,
}

fn open(address: SocketAddr, sharing: Sharing) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    if sharing == Sharing::Shared {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}
