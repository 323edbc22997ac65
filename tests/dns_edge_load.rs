//! The load generator against a server and against nobody.
#![allow(clippy::unwrap_used)]

#[path = "common/edge.rs"]
mod edge;

use std::time::Duration;

use edge::{Edge, config};
use lfdns::dns::load::{Load, questions, run};

fn load(server: std::net::SocketAddr) -> Load {
    let text = "www.edge.test A\nabsent.edge.test A\ntxt3000.edge.test A\n";
    Load {
        server,
        questions: questions(text, |_| Some(1)).unwrap(),
        duration: Duration::from_millis(300),
        outstanding: 50,
        sockets: 2,
        rate: None,
        edns: None,
    }
}

#[test]
fn a_load_counts_what_was_answered_and_how_fast() {
    let edge = Edge::start(&config());
    let report = run(&load(edge.address())).unwrap();
    assert!(report.sent > 100 && report.lost() == 0, "{report}");
    assert_eq!(report.answered, report.latency.count());
    assert_eq!(report.answered, report.rcodes[0] + report.rcodes[3]);
    assert!(report.rcodes[3] >= report.rcodes[0], "two of three do not exist: {report}");
    assert_eq!(edge.metrics.dns.udp_queries.count(), report.sent);
    assert_eq!(edge.metrics.dns.answers(), report.answered);
    let text = report.to_string();
    assert!(text.contains("NXDOMAIN") && text.contains("p99"), "{text}");
}

#[test]
fn a_rate_is_not_exceeded() {
    let edge = Edge::start(&config());
    let report = run(&Load { rate: Some(1000), ..load(edge.address()) }).unwrap();
    assert!(report.sent > 0 && report.sent <= 300, "{report}");
}

#[test]
fn a_load_ends_although_a_question_is_lost_and_its_id_comes_round_again() {
    let server = std::net::UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    let address = server.local_addr().unwrap();
    server.set_read_timeout(Some(Duration::from_secs(8))).unwrap();
    let answering = std::thread::spawn(move || {
        let mut packet = [0; 512];
        let mut heard = 0_u64;
        // Ends by its timeout once the load has ended.
        while let Ok((len, client)) = server.recv_from(&mut packet) {
            heard += 1;
            packet[2] |= 0x80;
            if heard > 1 && len > 12 {
                let _ = server.send_to(&packet[..len], client);
            }
            if heard > 200_000 {
                break;
            }
        }
        heard
    });
    let report = run(&Load { sockets: 1, duration: Duration::from_secs(2), ..load(address) }).unwrap();
    assert!(report.lost() >= 1, "{report}");
    drop(answering);
}
