//! Hostile packets: at a server with a made-up zone, where panics can be counted, and at a real node.
#![allow(clippy::unwrap_used)]

#[path = "common/corpora.rs"]
mod corpora;
#[path = "common/edge.rs"]
mod edge;

#[path = "common/node.rs"]
mod node;

use edge::{A, Ask, Edge, TXT, config};

#[test]
fn hostile_packets_over_udp_are_answered_and_harm_nothing() {
    let edge = Edge::start(&config());
    // Never from the cache, so it waits its turn behind the packets: poured in faster than they are answered, a busy
    // machine's socket loses some.
    let control = Ask { qclass: 3, ..Ask::new("version.bind.", TXT) }.bytes();
    for file in corpora::FILES {
        let Some(packets) = corpora::packets(file) else { continue };
        let answered = corpora::over_udp(edge.address(), &packets, &control);
        println!("{file}: {answered} of {} answered over UDP", packets.len());
        let least = if file == corpora::CZNIC { corpora::CZNIC_ANSWERED } else { 1 };
        assert!(answered >= least, "{file}: only {answered} answered");
    }
    assert_eq!(edge.metrics.dns.panics.count(), 0);
    assert_eq!(edge.metrics.dns.overloaded.count(), 0);
}

#[test]
fn hostile_packets_over_tcp_are_answered_and_harm_nothing() {
    let edge = Edge::start(&config());
    let control = Ask::new("www.edge.test.", A).bytes();
    for file in corpora::FILES {
        let Some(packets) = corpora::packets(file) else { continue };
        let answered = corpora::over_tcp(edge.address(), &packets, &control);
        println!("{file}: {answered} of {} answered over TCP", packets.len());
        assert!(answered > 0, "{file}");
    }
    assert_eq!(edge.metrics.dns.panics.count(), 0);
}

#[test]
fn a_real_node_survives_hostile_packets_over_udp_and_tcp() {
    // Never from the cache, so it waits its turn behind the packets, and they are not poured in faster than answered.
    let control = Ask { qclass: 3, ..Ask::new("version.bind.", TXT) }.bytes();
    let home = node::Home::new();
    let node = home.node();
    for file in corpora::FILES {
        let Some(packets) = corpora::packets(file) else { continue };
        let answered = corpora::over_udp(node.dns[0], &packets, &control);
        let least = if file == corpora::CZNIC { corpora::CZNIC_ANSWERED } else { 1 };
        assert!(answered >= least, "{file}: only {answered} answered");
        assert!(corpora::over_tcp(node.dns[0], &packets, &control) > 0, "{file}");
    }
    let said = node.said().join("\n");
    assert!(!said.contains("panicked"), "{said}");
    assert!(node.stop().success());
}
