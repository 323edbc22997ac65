//! What `dig` and `kdig` make of our answers. Skipped, with a printed line, where the program is missing.
#![allow(clippy::unwrap_used)]

#[path = "common/edge.rs"]
mod edge;
#[path = "common/skip.rs"]
mod skip;

use std::process::Command;

use edge::{Edge, config};

/// Runs a program against the server; none, with a printed line, where it is missing.
fn run(edge: &Edge, program: &str, args: &str) -> Option<String> {
    if !skip::has(program) {
        return None;
    }
    let address = edge.address();
    let output = Command::new(program)
        .arg(format!("@{}", address.ip()))
        .args(["-p", &address.port().to_string()])
        .args(args.split(' '))
        .output()
        .expect("the program runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{program} {args}: {text}");
    assert!(!text.contains("WARNING") && !text.contains("malformed"), "{program} {args}: {text}");
    Some(text)
}

#[test]
fn dig_reads_answers_negatives_and_errors() {
    let edge = Edge::start(&config());
    for (args, wanted) in [
        (
            "+norec WWW.edge.test A",
            &["status: NOERROR", "flags: qr aa; QUERY: 1, ANSWER: 2", "192.0.2.2"][..],
        ),
        ("+norec WWW.edge.test A", &["udp: 1232", "WWW.edge.test.\t\t300\tIN\tA\t192.0.2.1"]),
        ("+norec +noedns www.edge.test A", &["ANSWER: 2, AUTHORITY: 0, ADDITIONAL: 0"]),
        ("+norec absent.edge.test A", &["status: NXDOMAIN", "SOA\tns.edge.test. admin.edge.test. 1 3600"]),
        ("+norec www.edge.test AAAA", &["status: NOERROR", "ANSWER: 0, AUTHORITY: 1", "SOA"]),
        ("+norec alias.edge.test A", &["CNAME\twww.edge.test.", "www.edge.test.\t\t300\tIN\tA"]),
        ("+norec unknown.edge.test TYPE65400", &["TYPE65400 \\# 3 010203"]),
        ("+norec example.com A", &["status: REFUSED", "EDE: 20 (Not Authoritative)", "not one of our zones"]),
        ("+norec +edns=1 +noednsnegotiation www.edge.test A", &["status: BADVERS"]),
        ("+norec +opcode=status www.edge.test", &["status: NOTIMP"]),
        ("+norec CH version.bind TXT", &["CH\tTXT\t\"lfdns "]),
        ("+norec edge.test AXFR", &["; Transfer failed."]),
    ] {
        let Some(text) = run(&edge, "dig", args) else { return };
        for wanted in wanted {
            assert!(text.contains(wanted), "dig {args} lacks {wanted:?}:\n{text}");
        }
    }
}

#[test]
fn dig_goes_on_over_tcp_where_udp_is_too_small() {
    let edge = Edge::start(&config());
    let Some(cut) = run(&edge, "dig", "+norec +ignore txt3000.edge.test TXT") else { return };
    assert!(cut.contains("flags: qr aa tc;") && cut.contains("ANSWER: 0"), "{cut}");
    let Some(whole) = run(&edge, "dig", "+norec txt3000.edge.test TXT") else { return };
    assert!(whole.contains("ANSWER: 1") && whole.contains("(TCP)"), "{whole}");
}

#[test]
fn dig_gets_the_name_we_call_ourselves() {
    let mut named = config();
    named.nsid = "edge-1".into();
    let edge = Edge::start(&named);
    let Some(text) = run(&edge, "dig", "+norec +nsid www.edge.test A") else { return };
    assert!(text.contains("NSID: 65 64 67 65 2d 31 (\"edge-1\")"), "{text}");
}

#[test]
fn kdig_keeps_a_connection_open_for_several_questions() {
    let edge = Edge::start(&config());
    let args = "+tcp +keepopen +norec www.edge.test A txt3000.edge.test TXT absent.edge.test A";
    let Some(text) = run(&edge, "kdig", args) else { return };
    for wanted in ["192.0.2.2", "status: NXDOMAIN", "ANSWER: 1;"] {
        assert!(text.contains(wanted), "kdig lacks {wanted:?}:\n{text}");
    }
    assert_eq!(edge.metrics.dns.tcp_accepted.count(), 1);
}
