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
