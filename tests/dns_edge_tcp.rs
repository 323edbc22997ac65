//! TCP connections: pipelining, limits, silence, clients that close or do not read; and the server's start and stop.
#![allow(clippy::unwrap_used)]

#[path = "common/edge.rs"]
mod edge;
#[path = "common/skip.rs"]
mod skip;

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::Instant;

use edge::{A, Ask, Edge, PATIENCE, TXT, clock, config, connect, parse, read_answer, tcp, udp, write_query};
use lfdns::dns::config::Config;
use lfdns::dns::server::{BindError, DnsServer};

#[test]
fn queries_follow_each_other_without_waiting_and_every_one_is_answered() {
    let edge = Edge::start(&config());
    let mut stream = connect(edge.address());
    // More than may be outstanding: the rest waits in the socket.
    let ids: BTreeSet<u16> = (0..500).collect();
    let mut frames = Vec::new();
    for &id in &ids {
        let query = Ask { id, ..Ask::new(&format!("txt{}.edge.test.", id % 50), TXT) }.bytes();
        frames.extend((query.len() as u16).to_be_bytes());
        frames.extend(query);
    }
    stream.write_all(&frames).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answered = BTreeSet::new();
    while let Some(answer) = read_answer(&mut stream) {
        assert!(answered.insert(u16::from_be_bytes([answer[0], answer[1]])));
    }
    assert_eq!(answered, ids, "and the half-closed connection ends after the last");
}

#[test]
fn a_query_in_pieces_is_a_query() {
    let edge = Edge::start(&config());
    let mut stream = connect(edge.address());
    let query = Ask::new("www.edge.test.", A).bytes();
    let mut frame = (query.len() as u16).to_be_bytes().to_vec();
    frame.extend_from_slice(&query);
    for octet in frame {
        stream.write_all(&[octet]).unwrap();
    }
    assert_eq!(parse(&read_answer(&mut stream).unwrap()).answers.len(), 2);
}

#[test]
fn a_silent_connection_is_closed_and_one_that_asks_keeps_its_time() {
    let mut quick = config();
    quick.tcp.idle_seconds = 1;
    let edge = Edge::start(&quick);
    let mut stream = connect(edge.address());
    write_query(&mut stream, &Ask::new("www.edge.test.", A).edns(1232, &[0, 11, 0, 0]).bytes());
    let answer = read_answer(&mut stream).unwrap();
    assert!(answer.ends_with(&[0, 11, 0, 2, 0, 10]), "keepalive says 10 tenths of a second, RFC 7828");
    let since = Instant::now();
    // Half a length is silence too.
    stream.write_all(&[0]).unwrap();
    assert_eq!(stream.read(&mut [0; 1]).unwrap_or(0), 0);
    assert!(since.elapsed() < PATIENCE);
}

#[test]
fn keepalive_is_not_for_udp_nor_for_those_who_do_not_ask() {
    let edge = Edge::start(&config());
    let asks = Ask::new("www.edge.test.", A).edns(1232, &[0, 11, 0, 0]).bytes();
    let does_not = Ask::new("www.edge.test.", A).edns(1232, &[]).bytes();
    for _ in 0..2 {
        assert!(parse(&udp(edge.address(), &asks).unwrap()).edns.unwrap().options().as_ref().is_empty());
        assert!(parse(&tcp(edge.address(), &does_not).unwrap()).edns.unwrap().options().as_ref().is_empty());
        assert!(!parse(&tcp(edge.address(), &asks).unwrap()).edns.unwrap().options().as_ref().is_empty());
    }
}

#[test]
fn connections_beyond_the_limits_are_closed_and_places_come_back() {
    let mut few = config();
    few.tcp.connections_per_client = 2;
    let edge = Edge::start(&few);
    let query = Ask::new("www.edge.test.", A).bytes();
    let mut open: Vec<_> = (0..2).map(|_| connect(edge.address())).collect();
    for stream in &mut open {
        write_query(stream, &query);
        assert!(read_answer(stream).is_some());
    }
    let mut third = connect(edge.address());
    assert_eq!(third.read(&mut [0; 1]).unwrap_or(0), 0);
    assert_eq!(edge.metrics.dns.tcp_refused.count(), 1);
    drop(open);
    let since = Instant::now();
    while tcp_if_open(edge.address(), &query).is_none() {
        assert!(since.elapsed() < PATIENCE, "the places do not come back");
    }
}

fn tcp_if_open(address: SocketAddr, query: &[u8]) -> Option<Vec<u8>> {
    let mut stream = connect(address);
    let mut frame = (query.len() as u16).to_be_bytes().to_vec();
    frame.extend_from_slice(query);
    stream.write_all(&frame).ok()?;
    read_answer(&mut stream)
}

#[test]
fn a_client_that_does_not_read_is_not_read_from_and_then_closed() {
    let mut quick = config();
    quick.tcp.idle_seconds = 1;
    let edge = Edge::start(&quick);
    let mut stream = connect(edge.address());
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    let query = Ask::new("txt60000.edge.test.", TXT).bytes();
    let mut frame = (query.len() as u16).to_be_bytes().to_vec();
    frame.extend_from_slice(&query);
    let frames = frame.repeat(1000);
    let since = Instant::now();
    // Sockets hold a few megabytes either way; then the server stops reading and in the end closes.
    let ended = loop {
        if let Err(error) = stream.write_all(&frames) {
            break error.kind();
        }
        assert!(since.elapsed() < PATIENCE * 4, "the server takes without end");
    };
    assert!(matches!(ended, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{ended:?}");
    // A few megabytes of answers at most were ever made, not one for each query sent.
    assert!(edge.metrics.dns.answers() < 2000, "{}", edge.metrics.dns.answers());
    assert!(tcp(edge.address(), &Ask::new("www.edge.test.", A).bytes()).is_some());
}

#[test]
fn an_answer_sent_to_us_ends_the_connection() {
    let edge = Edge::start(&config());
    let answer = Ask { flags: [0x80, 0], ..Ask::new("www.edge.test.", A) }.bytes();
    assert_eq!(tcp(edge.address(), &answer), None);
    assert_eq!(edge.metrics.dns.ignored.count(), 1);
}

#[test]
fn a_taken_port_is_an_error_that_says_what_to_do() {
    let edge = Edge::start(&config());
    let mut same = config();
    same.listen = vec![edge.address()];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let bind = |config: &Config| {
        DnsServer::bind(
            config,
            edge.zone.clone(),
            std::sync::Arc::new(clock),
            edge.metrics.clone(),
            runtime.handle(),
        )
    };
    let error = bind(&same).err().unwrap();
    assert!(matches!(error, BindError::Taken(_)), "{error}");
    let text = error.to_string();
    assert!(text.contains(&edge.address().to_string()) && text.contains("--dns"), "{text}");
    same.listen = vec!["192.0.2.1:0".parse().unwrap()];
    assert!(matches!(bind(&same), Err(BindError::NotLocal(_))));
    same.listen.clear();
    assert!(matches!(bind(&same), Err(BindError::NoAddress)));
}

#[test]
fn a_udp_port_others_share_is_taken_too() {
    let shared = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None).unwrap();
    shared.set_reuse_port(true).unwrap();
    shared.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    let mut same = config();
    same.listen = vec![shared.local_addr().unwrap().as_socket().unwrap()];
    let edge = Edge::start(&config());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let bound = DnsServer::bind(
        &same,
        edge.zone.clone(),
        std::sync::Arc::new(clock),
        edge.metrics.clone(),
        runtime.handle(),
    );
    assert!(matches!(bound, Err(BindError::Taken(_))));
}

#[test]
fn after_shutdown_the_port_is_free_and_connections_are_closed() {
    let edge = Edge::start(&config());
    let mut again = config();
    again.listen = vec![edge.address()];
    let mut stream = connect(edge.address());
    write_query(&mut stream, &Ask::new("www.edge.test.", A).bytes());
    assert!(read_answer(&mut stream).is_some());
    let Edge { server, .. } = edge;
    server.shutdown();
    assert_eq!(stream.read(&mut [0; 1]).unwrap_or(0), 0);
    let edge = Edge::start(&again);
    assert!(udp(edge.address(), &Ask::new("www.edge.test.", A).bytes()).is_some());
}

#[test]
fn a_wildcard_address_answers_from_the_address_that_was_asked() {
    let mut any = config();
    any.listen = vec!["0.0.0.0:0".parse().unwrap()];
    let edge = Edge::start(&any);
    let port = edge.address().port();
    // A connected socket takes answers from nowhere else.
    for last in [1, 2, 77] {
        let address = SocketAddr::from(([127, 0, 0, last], port));
        for _ in 0..2 {
            let www = udp(address, &Ask::new("www.edge.test.", A).bytes()).unwrap();
            assert_eq!(parse(&www).answers.len(), 2);
            let local = Ask::new("local.edge.test.", A).bytes();
            assert!(udp(address, &local).unwrap().ends_with(&[127, 0, 0, last]));
            assert!(tcp(address, &local).unwrap().ends_with(&[127, 0, 0, last]));
        }
    }
    assert!(edge.metrics.dns.cache_hits.count() >= 4);
}

#[test]
fn both_families_are_served_where_there_are_two() {
    let mut both = config();
    both.listen.push("[::1]:0".parse().unwrap());
    if std::net::UdpSocket::bind("[::1]:0").is_err() {
        skip::skip("no IPv6 here");
        return;
    }
    let edge = Edge::start(&both);
    let query = Ask::new("www.edge.test.", A).bytes();
    for &address in edge.server.local_addrs() {
        assert!(udp(address, &query).is_some() && tcp(address, &query).is_some(), "{address}");
    }
    both.listen = vec!["[::]:0".parse().unwrap()];
    let edge = Edge::start(&both);
    let address: SocketAddr = ([0, 0, 0, 0, 0, 0, 0, 1], edge.address().port()).into();
    assert!(udp(address, &query).is_some() && udp(address, &query).is_some());
    assert_eq!(edge.metrics.dns.cache_hits.count(), 1);
}
