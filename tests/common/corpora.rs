//! Packets others collected to break DNS parsers, sent to a server of ours. They are no part of this project: where
//! the folder beside it is absent, the tests that want them say so and pass.
#![allow(dead_code, unreachable_pub)]

#[path = "skip.rs"]
mod skip;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The collection of which NSD, Knot and BIND answer about 3,990 packets.
pub const CZNIC: &str = "cznic_dns_fuzzing.bin";
/// All collections.
pub const FILES: [&str; 3] = [CZNIC, "bind_message_parse.bin", "tcpdump_dns_pcaps.bin"];
/// How many of [`CZNIC`]'s packets must be answered over UDP at least.
pub const CZNIC_ANSWERED: usize = 3_900;

/// The largest datagram IPv4 carries.
const DATAGRAM_MAX: usize = 65_507;
/// Packets between two control queries.
const STRIDE: usize = 50;
/// The control query has this long to be answered, and a connection to end.
const PATIENCE: Duration = Duration::from_secs(5);
/// Silence after which no more answers are expected.
const QUIET: Duration = Duration::from_millis(500);

/// The packets of one collection; none, with a printed line, where it is absent.
pub fn packets(file: &str) -> Option<Vec<Vec<u8>>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpora");
    let folder: PathBuf = std::env::var_os("LFDNS_CORPORA").map_or(folder, PathBuf::from);
    let Ok(all) = std::fs::read(folder.join(file)) else {
        skip::skip(&format!("no {file} in {}", folder.display()));
        return None;
    };
    let mut packets = Vec::new();
    let mut rest = &all[..];
    while let [high, low, after @ ..] = rest {
        let (packet, after) = after.split_at(usize::from(u16::from_be_bytes([*high, *low])));
        packets.push(packet.to_vec());
        rest = after;
    }
    assert!(!packets.is_empty(), "{file} holds packets");
    Some(packets)
}

/// Sends every packet over UDP, `control` after every few of them, and says how many answers came. Panics where a
/// control query is not answered.
pub fn over_udp(server: SocketAddr, packets: &[Vec<u8>], control: &[u8]) -> usize {
    let socket = UdpSocket::bind(any(server)).unwrap();
    socket.connect(server).unwrap();
    let mut answered = 0;
    for (round, packets) in packets.chunks(STRIDE).enumerate() {
        for packet in packets.iter().filter(|packet| packet.len() <= DATAGRAM_MAX) {
            socket.send(packet).unwrap();
        }
        assert!(ask(server, control), "the server is silent after {} packets over UDP", (round + 1) * STRIDE);
        socket.set_nonblocking(true).unwrap();
        answered += drain(&socket);
        socket.set_nonblocking(false).unwrap();
    }
    socket.set_read_timeout(Some(QUIET)).unwrap();
    answered + drain(&socket)
}

/// Sends every packet over a TCP connection of its own, with control queries as over UDP, and says how many
/// were answered. Panics where a connection does not end after the client has closed its side.
pub fn over_tcp(server: SocketAddr, packets: &[Vec<u8>], control: &[u8]) -> usize {
    let mut answered = 0;
    for (index, packet) in packets.iter().enumerate() {
        let mut stream = TcpStream::connect(server).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut frame = (packet.len() as u16).to_be_bytes().to_vec();
        frame.extend_from_slice(packet);
        stream.write_all(&frame).unwrap();
        // The server may have closed it already.
        let _ = stream.shutdown(Shutdown::Write);
        let mut answer = Vec::new();
        let ended = stream.read_to_end(&mut answer);
        let timed_out = ended.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
        assert!(!timed_out, "packet {index} leaves its TCP connection hanging");
        answered += usize::from(answer.len() >= 14);
        if index % STRIDE == STRIDE - 1 {
            assert!(ask(server, control), "the server is silent after {} packets over TCP", index + 1);
        }
    }
    answered
}

fn drain(socket: &UdpSocket) -> usize {
    let mut room = vec![0; 65_535];
    let mut answers = 0;
    while let Ok(len) = socket.recv(&mut room) {
        assert!(len >= 12 && room[2] & 0x80 != 0, "an answer has a header that says so");
        answers += 1;
    }
    answers
}

fn ask(server: SocketAddr, control: &[u8]) -> bool {
    let socket = UdpSocket::bind(any(server)).unwrap();
    socket.connect(server).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.send(control).unwrap();
    let mut answer = vec![0; 65_535];
    socket.recv(&mut answer).is_ok_and(|len| len >= 12 && answer[..2] == control[..2] && answer[3] << 4 == 0)
}

fn any(server: SocketAddr) -> SocketAddr {
    if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }.parse().unwrap()
}
