//! What master files mean: directives, defaults, escapes, and errors with their place.

use std::net::Ipv4Addr;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::dns::name::tests::any_name;
use crate::dns::rdata::tests::any_rdata;
use crate::dns::rdata::{is_meta, print as print_rdata, rtype, rtype_from_text, rtype_to_text, validate};

fn demo() -> DnsName {
    "demo.lf.".parse().unwrap()
}

fn read(text: &str) -> Result<Zone, MasterError> {
    parse(text.as_bytes(), "demo.zone", &demo(), Some(300))
}

fn fault(text: &str) -> String {
    read(text).expect_err(text).to_string()
}

/// One line a record: `name ttl type data`.
fn lines(zone: &Zone) -> Vec<String> {
    let mut lines = Vec::new();
    for Rrset { name, rtype, ttl, rdatas } in &zone.rrsets {
        for rdata in rdatas {
            lines.push(format!("{name} {ttl} {} {}", rtype_to_text(*rtype), print_rdata(*rtype, rdata)));
        }
    }
    lines
}

const ZONE: &str = r#"; a comment
$TTL 1h
@   IN SOA ns host\.master ( 2026112201 ; serial
        1h 10m
        2w 60 )          ; the rest
        NS  ns
        300 IN NS NS.Other.
ns  A   192.0.2.1
    IN  60 AAAA 2001:db8::1
*.wild 5 TXT "any; name" here
a\.b.c\032d CNAME ns
$ORIGIN sub
x   MX  10 mail
$ORIGIN demo.lf.
$TTL 1m
y   CLASS1 TYPE65400 \# 2 abcd
@   TXT "apex"
ns  A   192.0.2.0
ns  a   192.0.2.1
"#;

#[test]
fn a_zone_file_becomes_rrsets_in_canonical_order() {
    let zone = read(&ZONE.replace("$ORIGIN sub\n", "$ORIGIN sub.demo.lf.\n")).unwrap();
    let expected = [
        "demo.lf. 300 NS ns.demo.lf.",
        "demo.lf. 300 NS ns.other.",
        "demo.lf. 3600 SOA ns.demo.lf. host\\.master.demo.lf. 2026112201 3600 600 1209600 60",
        "demo.lf. 60 TXT \"apex\"",
        "a\\.b.c\\032d.demo.lf. 3600 CNAME ns.demo.lf.",
        "ns.demo.lf. 60 A 192.0.2.0",
        "ns.demo.lf. 60 A 192.0.2.1",
        "ns.demo.lf. 60 AAAA 2001:db8::1",
        "x.sub.demo.lf. 3600 MX 10 mail.sub.demo.lf.",
        "*.wild.demo.lf. 5 TXT \"any; name\" \"here\"",
        "y.demo.lf. 60 TYPE65400 \\# 2 ABCD",
    ];
    assert_eq!(lines(&zone), expected);
    assert_eq!(zone.soa.unwrap().serial, 2_026_112_201);
    let warnings: Vec<_> = zone.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert_eq!(
        warnings[0],
        "demo.zone:7:9: a TTL of 300 where the records of the same name and type have 3600; the smaller one is used"
    );
}

#[test]
fn an_origin_without_its_last_dot_is_relative() {
    let zone = read("$ORIGIN sub\nx A 192.0.2.1\n$ORIGIN deep\ny A 192.0.2.1\n").unwrap();
    assert_eq!(lines(&zone), ["y.deep.sub.demo.lf. 300 A 192.0.2.1", "x.sub.demo.lf. 300 A 192.0.2.1"]);
}

#[test]
fn faults_point_at_line_and_column_and_say_what_to_do() {
    let faults = [
        ("a A 1.2.3", "1:5: A: `1.2.3` is not a valid address: write an IPv4 address like 192.0.2.1"),
        ("\n\nww A\n", "3:4: A: the address is missing"),
        ("a A 192.0.2.1\n (\n AAAA ::1\n", "2:2: the parenthesis is never closed; put `)` behind"),
        ("a A 192.0.2.1 )", "1:15: a closing parenthesis without"),
        (" A 192.0.2.1", "1:2: the line begins with a blank, and no owner stands above it"),
        ("www 300 IN\n", "1:9: the record has no type"),
        ("www 300 IN AA 192.0.2.1", "1:12: `AA` is not a record type"),
        ("www AXFR", "1:5: AXFR is a type of questions"),
        ("www TYPE0 \\# 0", "1:5: TYPE0 is a type of questions"),
        ("www CH TXT x", "1:5: class CH; only IN is served"),
        ("www CLASS3 TXT x", "1:5: class CLASS3; only IN"),
        ("www IN 5 IN TXT x", "1:10: a second class"),
        ("www 5 IN 5 TXT x", "1:10: a second TTL"),
        ("www 2147483648 TXT x", "1:5: `2147483648` is not a TTL; write seconds up to 2147483647"),
        ("$TTL soon", "1:6: `soon` is not a TTL"),
        ("www.other.lf. A 192.0.2.1", "1:1: `www.other.lf.` is outside the zone `demo.lf.`; remove"),
        ("a..b A 192.0.2.1", "1:1: an empty label"),
        ("\na TXT \"x\" y\"z\"", "2:12: a quote inside a word"),
        ("a TXT ( x ;\n \"open )", "2:2: the string has no closing quote"),
        ("a TXT v=\"x\"", "1:7: TXT: a quote inside a word"),
        ("$GENERATE 1-3 a$ A 192.0.2.$", "1:1: $GENERATE is not supported"),
        ("$ORIGEN x.", "1:1: `$ORIGEN` is no directive"),
        ("$ORIGIN", "1:1: write `$ORIGIN NAME`"),
        ("$TTL 1 2", "1:1: write `$TTL 300`"),
        ("$INCLUDE other.zone", "1:10: cannot include `other.zone`: no other files are read here"),
        ("a CNAME b\nc A 192.0.2.1\na A 192.0.2.1", "3:1: `a.demo.lf.` has a CNAME record and other data"),
        ("a A 192.0.2.1\nc A 192.0.2.1\na CNAME b", "3:1: `a.demo.lf.` has a CNAME record and other data"),
        ("a CNAME b\n  CNAME c", "2:3: a second CNAME record at `a.demo.lf.`"),
        ("a DNAME b\na DNAME c", "2:1: a second DNAME record"),
        ("@ SOA a b 1 2 3 4 5\n@ SOA a b 2 2 3 4 5", "2:1: a second SOA record at `demo.lf.`"),
        ("sub SOA a b 1 2 3 4 5", "1:1: a SOA record at `sub.demo.lf.`"),
        ("@ CNAME b", "1:1: a CNAME record at the zone's apex"),
        ("a HTTPS 1 . alpn=h2 ports=1", "1:21: HTTPS: parameter `ports`: no such key"),
    ];
    for (text, words) in faults {
        let said = fault(text);
        assert!(said.starts_with(&format!("demo.zone:{words}")), "{text:?}: {said}");
    }
    assert!(
        fault(&format!("a TXT {}", "x".repeat(256)))
            .starts_with("demo.zone:1:7: TXT: a string of 256 octets")
    );
}

#[test]
fn equal_records_are_one_and_cnames_in_a_row_too() {
    let zone = read("a CNAME b\nA CNAME B\nt TXT x\nt TXT x\n").unwrap();
    assert_eq!(lines(&zone), ["a.demo.lf. 300 CNAME b.demo.lf.", "t.demo.lf. 300 TXT \"x\""]);
    assert_eq!(zone.record_count(), 2);
}

#[test]
fn a_record_without_lifetime_gets_ttl_default_the_last_one_or_soa_minimum_in_this_order() {
    let ttls = |text: &str, default| {
        let zone = parse(text.as_bytes(), "z", &demo(), default).map_err(|error| error.to_string())?;
        Ok::<_, String>((zone.rrsets.iter().map(|rrset| rrset.ttl).collect::<Vec<_>>(), zone.warnings.len()))
    };
    assert_eq!(
        ttls("a 5 A 192.0.2.1\nb A 192.0.2.1\n$TTL 9\nc A 192.0.2.1", Some(7)),
        Ok((vec![5, 7, 9], 0))
    );
    assert_eq!(ttls("a 5 A 192.0.2.1\nb A 192.0.2.1", None), Ok((vec![5, 5], 0)));
    assert_eq!(ttls("@ SOA a b 1 2 3 4 60\nb A 192.0.2.1", None), Ok((vec![60, 60], 1)));
    let none = "z:1:1: the record has no TTL, and there is no default; put `$TTL 300` on the first line";
    assert_eq!(ttls("a A 192.0.2.1", None), Err(none.to_owned()));
}

#[test]
fn the_smallest_lifetime_of_an_rrset_counts_wherever_it_stands() {
    let zone = read("a 60 A 192.0.2.1\na 300 A 192.0.2.2\nb 300 A 192.0.2.1\nb 60 A 192.0.2.2\n").unwrap();
    assert_eq!(zone.rrsets.iter().map(|rrset| rrset.ttl).collect::<Vec<_>>(), [60, 60]);
    assert_eq!(zone.warnings.iter().map(|warning| warning.place.line).collect::<Vec<_>>(), [2, 4]);
}

#[test]
fn odd_records_are_read_with_a_warning() {
    let said = |text: &str| read(text).unwrap().warnings.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        said("www.demo.lf A 192.0.2.1"),
        [
            "demo.zone:1:1: the zone's name stands twice in `www.demo.lf.demo.lf.`; if that is not meant, end the \
          name with a dot"
        ]
    );
    assert_eq!(said("www MX 10 mail.demo.lf").len(), 1);
    assert!(said("www MX 10 mail.demo.lf.\ndemo.lf.demo A 192.0.2.1").is_empty());
    let below = said("d DNAME x.\nd TXT y\na.d A 192.0.2.1\ne A 192.0.2.1\n");
    assert_eq!(below, ["demo.zone:3:1: `a.d.demo.lf.` lies below a DNAME record, so it is never answered"]);
}

#[test]
fn included_files_keep_their_own_origin_and_places() {
    let mut load = |name: &str, from: &str| match name {
        "sub.zone" => {
            assert_eq!(from, "demo.zone");
            Ok(Included {
                file: "dir/sub.zone".to_owned(),
                text: b"$TTL 7\n$ORIGIN x\nb A 192.0.2.1".to_vec(),
            })
        }
        "bad.zone" => Ok(Included { file: "bad.zone".to_owned(), text: b"\n b A 192.0.2.1".to_vec() }),
        "loop.zone" => Ok(Included { file: "loop.zone".to_owned(), text: b"$INCLUDE loop.zone".to_vec() }),
        _ => Err("no such file".to_owned()),
    };
    let mut read = |text: &str| parse_with(text.as_bytes(), "demo.zone", &demo(), Some(300), &mut load);
    let zone = read("a A 192.0.2.1\n$INCLUDE sub.zone sub\n A 192.0.2.2\nc A 192.0.2.3\n").unwrap();
    let expected = [
        "a.demo.lf. 7 A 192.0.2.1",
        "a.demo.lf. 7 A 192.0.2.2",
        "c.demo.lf. 7 A 192.0.2.3",
        "b.x.sub.demo.lf. 7 A 192.0.2.1",
    ];
    assert_eq!(lines(&zone), expected);
    let mut fault = |text: &str| read(text).unwrap_err().to_string();
    assert!(fault("$INCLUDE bad.zone").starts_with("bad.zone:2:2: the line begins with a blank"));
    assert!(
        fault("$INCLUDE loop.zone").starts_with("loop.zone:1:10: files include each other more than 8 deep")
    );
    assert_eq!(fault("a A 192.0.2.1\n$INCLUDE x"), "demo.zone:2:10: cannot include `x`: no such file");
}

#[test]
fn limits_are_kept() {
    let many = "a A ( 192.0.2.1\n".to_owned() + &"x ".repeat(WORDS_MAX);
    assert!(fault(&many).starts_with("demo.zone:1:5: the record has more than 100000 words"));
    let records: String = (0..=RRSET_MAX)
        .flat_map(|number| ["a TXT ".to_owned(), number.to_string(), "\n".to_owned()])
        .collect();
    let said = fault(&records);
    assert!(said.starts_with("demo.zone:65536:1: `a.demo.lf.` has more than 65535 records"), "{said}");
    let slips = "www.demo.lf A 192.0.2.1\n".repeat(WARNINGS_MAX + 5);
    assert_eq!(read(&slips).unwrap().warnings.len(), WARNINGS_MAX);
}

#[test]
fn names_of_15_and_34_labels_and_long_texts_come_back() {
    let deep = "o.n.m.l.k.j.i.h.g.f.e.d.c.b.a A 192.0.2.1\n";
    assert_eq!(read(deep).unwrap().rrsets[0].name.label_count(), 17);
    let arpa: DnsName = "8.b.d.0.1.0.0.2.ip6.arpa.".parse().unwrap();
    let host = format!("{}PTR host.demo.lf.\n", "1.0.0.0.".repeat(6).trim_end_matches('.').to_owned() + " ");
    let zone = parse(host.as_bytes(), "arpa.zone", &arpa, Some(300)).unwrap();
    assert_eq!(zone.rrsets[0].name.label_count(), 34);
    assert_eq!(parse(print(&zone).as_bytes(), "arpa.zone", &arpa, None).unwrap(), zone);

    let poem = format!("poem TXT {}\n", format!("\"{}\\\" \" ", "x".repeat(253)).repeat(200));
    let zone = read(&poem).unwrap();
    assert_eq!(zone.rrsets[0].rdatas[0].len(), 200 * 256);
    assert_eq!(read(&print(&zone)).unwrap(), zone);
}

#[test]
fn a_zone_is_printed_as_people_write_it() {
    let text = r#"$TTL 300
@ SOA ns host 7 3600 600 1209600 60
@ NS ns
@ TXT "hello world"
ns A 192.0.2.1
ns 60 AAAA 2001:db8::1
\@.\$x CNAME ns.other.
cert CERT PKIX 0 0 MIIBszCCAVmgAwIBAgIUYzE1NzQ2ODkwMTIzNDU2Nzg5MDEyMzQ1Njc4OTAwCgYIKoZIzj0EAwIwFDESMBAGA1UEAwwJbG9jYWxob3N0MB4XDTI2
"#;
    let expected = r#"$ORIGIN demo.lf.
$TTL 300
@                               SOA     ns host (
                                        7          ; serial
                                        3600       ; refresh
                                        600        ; retry
                                        1209600    ; expire
                                        60         ; minimum
                                        )
                                NS      ns
                                TXT     "hello world"
\@.\$x                          CNAME   ns.other.
cert                            CERT    PKIX 0 0 (
                                        MIIBszCCAVmgAwIBAgIUYzE1NzQ2ODkwMTIzNDU2Nzg5MDEyMzQ1Njc4OTAwCgYI
                                        KoZIzj0EAwIwFDESMBAGA1UEAwwJbG9jYWxob3N0MB4XDTI2 )
ns                              A       192.0.2.1
                        60      AAAA    2001:db8::1
"#;
    let zone = read(text).unwrap();
    assert_eq!(print(&zone), expected);
    assert_eq!(read(expected).unwrap(), zone);
}

#[test]
fn a_hundred_thousand_names_are_read() {
    let line = |number: u32| format!("host-{number}.site-{} A {}\n", number % 97, Ipv4Addr::from(number));
    let text = "@ SOA ns host 1 2 3 4 5\n".to_owned() + &(0..100_000).map(line).collect::<Vec<_>>().concat();
    let zone = read(&text).unwrap();
    assert_eq!((zone.rrsets.len(), zone.warnings.len()), (100_001, 0));
    assert!(zone.rrsets.is_sorted_by(|a, b| a.name.canonical_cmp(&b.name).is_le()));
}

/// RRsets that can stand in one zone, at random names.
fn any_zone() -> impl Strategy<Value = Zone> {
    let alone = |code: u16| matches!(code, rtype::CNAME | rtype::DNAME | rtype::SOA);
    let rrset = (any_name(), any_rdata(), proptest::sample::select(vec![60_u32, 300, 300, 86_400]));
    vec(rrset, 0..12).prop_map(move |sets| {
        let rrsets = sets.into_iter().filter_map(|(name, (code, rdata), ttl)| {
            let name = DnsName::join(name.labels(), &demo()).ok()?;
            let fits = !is_meta(code) && !alone(code) && validate(code, &rdata).is_ok();
            fits.then(|| Rrset { name, rtype: code, ttl, rdatas: vec![rdata] })
        });
        Zone::new(&demo(), rrsets.collect())
    })
}

proptest! {
    #[test]
    fn a_printed_zone_reads_back_to_equal_records(zone in any_zone()) {
        let text = print(&zone);
        let mut back = read(&text).map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
        back.warnings.clear();
        prop_assert_eq!(back, zone, "{}", text);
    }

    #[test]
    fn octets_of_strangers_never_panic(octets in vec(any::<u8>(), 0..400)) {
        _ = parse(&octets, "fuzz", &demo(), Some(300));
    }

    #[test]
    fn text_of_strangers_is_read_or_pointed_at(text in r#"((\$(ORIGIN|TTL|INCLUDE) )|[@a-c.]{1,4}|[ \n();"\\=#]| (A|TXT|MX|SOA|CNAME|HTTPS) | 300 | IN |[0-9]{1,3}|\PC){0,60}"#) {
        match parse(text.as_bytes(), "fuzz", &demo(), Some(300)) {
            Ok(zone) => {
                let mut back = parse(print(&zone).as_bytes(), "fuzz", &demo(), Some(300)).unwrap();
                back.warnings.clone_from(&zone.warnings);
                prop_assert_eq!(back, zone);
            }
            Err(error) => {
                let line = text.split('\n').nth(error.place.line as usize - 1);
                let column = error.place.column as usize;
                let within = line.is_some_and(|line| column <= line.chars().count() + 1);
                prop_assert!(within, "{error} in {text:?}");
            }
        }
    }

    #[test]
    fn the_order_of_a_zone_is_that_of_rfc_4034(a in any_name(), b in any_name()) {
        let (a, b) = (a.to_lowercase(), b.to_lowercase());
        prop_assert_eq!(check::order_key(&a).cmp(&check::order_key(&b)), a.canonical_cmp(&b));
    }
}

#[test]
fn every_mnemonic_is_a_type_a_zone_may_hold_or_is_refused_in_words() {
    for code in 0..=300 {
        let text = rtype_to_text(code);
        assert_eq!(rtype_from_text(&text), Some(code));
        assert_eq!(fault(&format!("a {text}")).contains("type of questions"), is_meta(code), "{text}");
    }
}
