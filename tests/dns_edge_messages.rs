//! What one message gets for an answer, over a real socket: codes, flags, EDNS, sizes.
#![allow(clippy::unwrap_used)]

#[path = "common/edge.rs"]
mod edge;

use edge::{A, AAAA, Ask, Edge, TXT, config, parse, tcp, udp};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};

/// The header code and counts of an answer, as numbers.
fn head(answer: &[u8]) -> (u8, [u8; 4]) {
    (answer[3] & 0x0f, [answer[5], answer[7], answer[9], answer[11]])
}

#[test]
fn an_answer_echoes_the_question_in_its_case_with_id_rd_and_cd() {
    let edge = Edge::start(&config());
    for round in ["from the resolver", "from the cache"] {
        let ask = Ask { flags: [1, 0x10], ..Ask::new("wWw.EDGE.tEst.", A) };
        let query = ask.bytes();
        let answer = udp(edge.address(), &query).unwrap();
        assert_eq!(answer[..2], query[..2], "{round}");
        assert_eq!(answer[2], 0x85, "QR, AA, RD, {round}");
        assert_eq!(answer[3], 0x10, "CD and neither RA nor AD, {round}");
        assert_eq!(answer[12..query.len()], query[12..], "{round}");
        assert_eq!(head(&answer), (0, [1, 2, 0, 0]), "{round}");
        assert_eq!(answer[query.len()..query.len() + 2], [0xc0, 12], "owners point at the question, {round}");
        assert_eq!(parse(&answer).answers[1].name.to_string(), "wWw.EDGE.tEst.");
    }
    assert_eq!(edge.metrics.dns.cache_hits.count(), 1);
}

#[test]
fn without_edns_there_is_none_and_with_it_we_say_1232() {
    let edge = Edge::start(&config());
    let bare = udp(edge.address(), &Ask::new("www.edge.test.", A).bytes()).unwrap();
    assert!(parse(&bare).edns.is_none());
    // An option nobody knows is ignored, RFC 6891 §6.1.2.
    let asked = Ask::new("www.edge.test.", A).edns(4096, &[0xff, 0xaa, 0, 1, 7]);
    let answer = parse(&udp(edge.address(), &asked.bytes()).unwrap());
    let edns = answer.edns.unwrap();
    assert_eq!((edns.max_payload(), edns.version()), (1232, 0));
    assert!(edns.options().as_ref().is_empty() && !edns.flags().dnssec_ok);
}

#[test]
fn the_do_bit_is_copied() {
    let edge = Edge::start(&config());
    let mut ask = Ask::new("www.edge.test.", A).edns(1232, &[]);
    ask.opt.as_mut().unwrap().2 = true;
    for _ in 0..2 {
        assert!(parse(&udp(edge.address(), &ask.bytes()).unwrap()).edns.unwrap().flags().dnssec_ok);
    }
}

#[test]
fn a_later_edns_version_gets_badvers() {
    let edge = Edge::start(&config());
    let mut ask = Ask::new("www.edge.test.", A).edns(1232, &[]);
    ask.opt.as_mut().unwrap().1 = 1;
    let answer = parse(&udp(edge.address(), &ask.bytes()).unwrap());
    assert_eq!(u16::from(answer.metadata.response_code), 16);
    assert_eq!(answer.edns.unwrap().version(), 0);
    assert!(answer.answers.is_empty());
}

#[test]
fn other_opcodes_are_not_implemented_and_other_classes_refused() {
    let edge = Edge::start(&config());
    for opcode in [1_u8, 2, 3, 4, 5, 6, 15] {
        let ask = Ask { flags: [opcode << 3, 0], ..Ask::new("www.edge.test.", A) };
        let answer = udp(edge.address(), &ask.bytes()).unwrap();
        assert_eq!((answer[2] & 0x78, answer[3] & 0x0f), (opcode << 3, 4), "opcode {opcode}");
    }
    for class in [2, 4, 254, 255, 1000] {
        let ask = Ask { qclass: class, ..Ask::new("www.edge.test.", A) };
        assert_eq!(head(&udp(edge.address(), &ask.bytes()).unwrap()).0, 5, "class {class}");
    }
}

#[test]
fn other_than_one_question_is_a_format_error() {
    let edge = Edge::start(&config());
    let mut none = Ask::new("www.edge.test.", A).bytes();
    none.truncate(12);
    none[5] = 0;
    assert_eq!(head(&udp(edge.address(), &none).unwrap()), (1, [0, 0, 0, 0]));
    let mut two = Ask::new("www.edge.test.", A).bytes();
    two[5] = 2;
    two.extend_from_within(12..);
    assert_eq!(head(&udp(edge.address(), &two).unwrap()).0, 1);
    let mut cut = Ask::new("www.edge.test.", A).bytes();
    cut.truncate(20);
    assert_eq!(head(&udp(edge.address(), &cut).unwrap()), (1, [0, 0, 0, 0]));
}

#[test]
fn transfers_are_refused_and_meta_types_are_no_questions() {
    let edge = Edge::start(&config());
    for (qtype, rcode) in [(252, 5), (251, 5), (41, 1), (250, 1), (249, 4), (253, 4), (254, 4)] {
        let query = Ask::new("edge.test.", qtype).edns(1232, &[]).bytes();
        assert_eq!(head(&udp(edge.address(), &query).unwrap()).0, rcode, "type {qtype} over UDP");
        assert_eq!(head(&tcp(edge.address(), &query).unwrap()).0, rcode, "type {qtype} over TCP");
    }
}

#[test]
fn negative_answers_carry_the_soa() {
    let edge = Edge::start(&config());
    for _ in 0..2 {
        let absent = parse(&udp(edge.address(), &Ask::new("absent.edge.test.", A).bytes()).unwrap());
        assert_eq!(absent.metadata.response_code, ResponseCode::NXDomain);
        assert_eq!(absent.authorities[0].record_type().to_string(), "SOA");
        let nodata = parse(&udp(edge.address(), &Ask::new("www.edge.test.", AAAA).bytes()).unwrap());
        assert_eq!((nodata.metadata.response_code, nodata.authorities.len()), (ResponseCode::NoError, 1));
    }
}

#[test]
fn what_is_too_large_for_udp_is_cut_whole_and_comes_over_tcp() {
    let edge = Edge::start(&config());
    let whole = |answer: &[u8]| (answer[2] & 2 == 0, parse(answer).answers.len());
    for (name, size, over_udp) in [
        ("txt400.edge.test.", None, true),
        ("txt500.edge.test.", None, false),
        ("txt500.edge.test.", Some(1000), true),
        ("txt500.edge.test.", Some(512), false),
        ("txt1100.edge.test.", Some(1232), true),
        ("txt1100.edge.test.", Some(1100), false),
        ("txt3000.edge.test.", Some(65535), false),
    ] {
        let mut ask = Ask::new(name, TXT);
        if let Some(size) = size {
            ask = ask.edns(size, &[]);
        }
        for round in ["resolver", "cache"] {
            let answer = udp(edge.address(), &ask.bytes()).unwrap();
            let expected = if over_udp { (true, 1) } else { (false, 0) };
            assert_eq!(whole(&answer), expected, "{name} at {size:?} from the {round}");
            assert!(answer.len() <= usize::from(size.unwrap_or(512).min(1232)));
            assert_eq!(parse(&answer).edns.is_some(), size.is_some());
            assert_eq!(whole(&tcp(edge.address(), &ask.bytes()).unwrap()), (true, 1));
        }
    }
}

#[test]
fn tcp_carries_answers_up_to_the_protocols_limit_and_says_so_beyond() {
    let edge = Edge::start(&config());
    let fits = tcp(edge.address(), &Ask::new("txt65000.edge.test.", TXT).bytes()).unwrap();
    assert!(fits.len() > 65_000 && parse(&fits).answers.len() == 1);
    let beyond =
        parse(&tcp(edge.address(), &Ask::new("txt65400.edge.test.", TXT).edns(1232, &[]).bytes()).unwrap());
    assert_eq!(beyond.metadata.response_code, ResponseCode::ServFail);
    assert!(beyond.edns.unwrap().option(EdnsCode::Unknown(15)).is_some());
}

#[test]
fn additional_records_are_left_out_before_an_answer_is_cut() {
    let edge = Edge::start(&config());
    let query = Ask::new("mx.edge.test.", 15).edns(1232, &[]).bytes();
    let answer = parse(&udp(edge.address(), &query).unwrap());
    assert!(!answer.metadata.truncation);
    assert_eq!((answer.answers.len(), answer.additionals.len()), (1, 0));
    assert_eq!(parse(&tcp(edge.address(), &query).unwrap()).additionals.len(), 100);
}

#[test]
fn an_extended_error_is_for_those_with_edns_and_loses_its_text_first() {
    let edge = Edge::start(&config());
    let ede = |answer: &[u8]| match parse(answer).edns.as_ref()?.option(EdnsCode::Unknown(15))? {
        EdnsOption::Unknown(15, data) => Some(data.clone()),
        other => panic!("{other:?}"),
    };
    let foreign = Ask::new("example.com.", A);
    let bare = udp(edge.address(), &foreign.bytes()).unwrap();
    assert_eq!((head(&bare), bare[2] & 4), ((5, [1, 0, 0, 0]), 0));
    let told = udp(edge.address(), &foreign.edns(1232, &[]).bytes()).unwrap();
    assert_eq!(ede(&told).unwrap(), b"\x00\x14not one of our zones");
    let long = |size| udp(edge.address(), &Ask::new("why.edge.test.", A).edns(size, &[]).bytes()).unwrap();
    assert_eq!(ede(&long(1232)).unwrap().len(), 702);
    let short = long(512);
    assert_eq!((ede(&short).unwrap(), short[2] & 2), (vec![0, 0], 0));
}

#[test]
fn the_server_speaks_of_itself_only_where_it_may() {
    let edge = Edge::start(&config());
    let ask = |edge: &Edge, name, nsid: bool| {
        let options: &[u8] = if nsid { &[0, 3, 0, 0] } else { &[] };
        let ask = Ask { qclass: 3, ..Ask::new(name, TXT) }.edns(1232, options);
        udp(edge.address(), &ask.bytes()).unwrap()
    };
    let version = parse(&ask(&edge, "Version.BIND.", true));
    assert!(version.answers[0].data.to_string().starts_with("lfdns "), "{version:?}");
    assert!(version.edns.unwrap().options().as_ref().is_empty(), "no NSID unless configured");
    assert_eq!(head(&ask(&edge, "id.server.", false)).0, 5);
    assert_eq!(head(&ask(&edge, "authors.bind.", false)).0, 5);

    let mut named = config();
    named.version.clear();
    named.identity = "edge-1".into();
    named.nsid = "fra".into();
    let edge = Edge::start(&named);
    assert_eq!(head(&ask(&edge, "version.bind.", false)).0, 5);
    let identity = parse(&ask(&edge, "hostname.bind.", true));
    assert_eq!(identity.answers[0].data.to_string(), "edge-1");
    match identity.edns.unwrap().option(EdnsCode::NSID) {
        Some(EdnsOption::NSID(nsid)) => assert_eq!(nsid.as_ref(), b"fra"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_commit_is_seen_by_the_next_question() {
    let edge = Edge::start(&config());
    let query = Ask::new("version.edge.test.", A).bytes();
    let ask = || *udp(edge.address(), &query).unwrap().last().unwrap();
    for version in 0..20 {
        assert_eq!((ask(), ask()), (version, version));
        edge.zone.commit();
    }
    assert_eq!(edge.metrics.dns.cache_hits.count(), 20);
}

#[test]
fn no_ttl_reaches_beyond_the_end_of_an_answer() {
    let edge = Edge::start(&config());
    let query = Ask::new("brief.edge.test.", A).bytes();
    for _ in 0..3 {
        let answer = parse(&udp(edge.address(), &query).unwrap());
        assert!(answer.answers[0].ttl <= 5, "{}", answer.answers[0].ttl);
    }
}

#[test]
fn a_panic_while_answering_is_servfail_and_the_server_goes_on() {
    let edge = Edge::start(&config());
    for _ in 0..20 {
        assert_eq!(head(&udp(edge.address(), &Ask::new("panic.edge.test.", A).bytes()).unwrap()).0, 2);
        assert_eq!(head(&tcp(edge.address(), &Ask::new("panic.edge.test.", A).bytes()).unwrap()).0, 2);
    }
    assert_eq!(edge.metrics.dns.panics.count(), 40);
    assert_eq!(head(&udp(edge.address(), &Ask::new("www.edge.test.", A).bytes()).unwrap()).0, 0);
}

#[test]
fn records_of_unknown_types_and_aliases_go_out_as_they_are() {
    let edge = Edge::start(&config());
    let answer = udp(edge.address(), &Ask::new("unknown.edge.test.", 65400).bytes()).unwrap();
    assert!(answer.ends_with(&[0, 3, 1, 2, 3]));
    let alias = parse(&udp(edge.address(), &Ask::new("ALIAS.edge.test.", A).bytes()).unwrap());
    assert_eq!(alias.answers[0].data.to_string(), "www.edge.test.");
    assert_eq!(alias.answers[1].name.to_string(), "www.edge.test.");
}
