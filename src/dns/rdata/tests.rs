//! Text and octets of each type. The wire forms were made by dnspython 2, the printed ones are those of BIND 9.18
//! (`named-compilezone`, long base64 and hexadecimal not split).

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::dns::name::tests::any_name;

/// Type; what a person may write; octets in hexadecimal; what is printed (empty: as written).
const FIXTURES: &[(&str, &str, &str, &str)] = &[
    ("A", "192.0.2.1", "c0000201", ""),
    ("NS", "ns", "026e73076578616d706c6503636f6d00", "ns.example.com."),
    (
        "SOA",
        r"ns host\.master 2026112201 1h 10m 2w 60",
        "026e73076578616d706c6503636f6d000b686f73742e6d6173746572076578616d706c6503636f6d0078c404c900000e10\
         000002580012750 00000003c",
        r"ns.example.com. host\.master.example.com. 2026112201 3600 600 1209600 60",
    ),
    ("CNAME", "www.example.com.", "03777777076578616d706c6503636f6d00", ""),
    ("PTR", "host", "04686f7374076578616d706c6503636f6d00", "host.example.com."),
    (
        "HINFO",
        r#"PC-Intel-700mhz "Redhat \"Linux\"""#,
        "0f50432d496e74656c2d3730306d687a0e52656468617420224c696e757822",
        r#""PC-Intel-700mhz" "Redhat \"Linux\"""#,
    ),
    ("MX", "0 .", "000000", ""),
    ("MX", "10 mail.example.com.", "000a046d61696c076578616d706c6503636f6d00", ""),
    (
        "TXT",
        r#""v=DKIM1; k=rsa; p=a\"b\\c" "" plain \009tab\255"#,
        "17763d444b494d313b206b3d7273613b20703d6122625c630005706c61696e0509746162ff",
        r#""v=DKIM1; k=rsa; p=a\"b\\c" "" "plain" "\009tab\255""#,
    ),
    ("RP", "mbox.example.com. .", "046d626f78076578616d706c6503636f6d0000", ""),
    ("AFSDB", "1 afs.example.com.", "000103616673076578616d706c6503636f6d00", ""),
    ("AAAA", "2001:DB8:0::1", "20010db8000000000000000000000001", "2001:db8::1"),
    ("AAAA", "::ffff:192.0.2.1", "00000000000000000000ffffc0000201", ""),
    (
        "LOC",
        "51 30 12.748 N 0 7 39.612 W 0.00m",
        "001216138b0d2c8c7ff8fca400989680",
        "51 30 12.748 N 0 7 39.612 W 0.00m 1m 10000m 10m",
    ),
    (
        "LOC",
        "52 N 4 53 E -2.5m 30m 0.5m 0.01m",
        "003351108b287200810c3fe000989586",
        "52 0 0.000 N 4 53 0.000 E -2.50m 30m 0.50m 0.01m",
    ),
    (
        "LOC",
        "90 s 180 0 0.000 w 42849672.95m 90000000m 12m 0",
        "009913006cb0270059604e00ffffffff",
        "90 0 0.000 S 180 0 0.000 W 42849672.95m 90000000m 10m 0.00m",
    ),
    ("SRV", "1 2 5060 sip.example.com.", "0001000213c403736970076578616d706c6503636f6d00", ""),
    (
        "NAPTR",
        r#"100 50 s "http+I2L+I2C+I2R" "!^(.*)$!\\1!" _http._tcp.foo.example.com."#,
        "00640032017310687474702b49324c2b4932432b4932520b215e282e2a2924215c3121055f68747470045f74637003666f\
         6f076578616d706c6503636f6d00",
        r#"100 50 "s" "http+I2L+I2C+I2R" "!^(.*)$!\\1!" _http._tcp.foo.example.com."#,
    ),
    ("KX", "10 kx.example.com.", "000a026b78076578616d706c6503636f6d00", ""),
    ("CERT", "pkix 0 0 MIIB", "0001000000308201", "PKIX 0 0 MIIB"),
    ("CERT", "3 1 RSASHA256 Zm9v YmFy", "0003000108666f6f626172", "PGP 1 RSASHA256 Zm9vYmFy"),
    ("CERT", "9 0 200 AAEC", "00090000c8000102", ""),
    ("CERT", "254 65535 15 AAEC", "00feffff0f000102", "OID 65535 ED25519 AAEC"),
    ("CERT", "SPKI 0 0 AA==", "000200000000", ""),
    ("CERT", "IPKIX 0 0 AA==", "000400000000", ""),
    ("CERT", "ISPKI 0 0 AA==", "000500000000", ""),
    ("CERT", "IPGP 0 0 AA==", "000600000000", ""),
    ("CERT", "ACPKIX 0 0 AA==", "000700000000", ""),
    ("CERT", "IACPKIX 0 0 AA==", "000800000000", ""),
    ("CERT", "URI 0 0 AA==", "00fd00000000", ""),
    ("DNAME", "other.test.", "056f74686572047465737400", ""),
    (
        "DS",
        "60485 RSASHA1 1 2bb183af5f22588179a53b0a 98631fad1a292118",
        "ec4505012bb183af5f22588179a53b0a98631fad1a292118",
        "60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118",
    ),
    (
        "SSHFP",
        "4 2 123456789abcdef67890123456789abcdef67890123456789abcdef12345678 9",
        "0402123456789abcdef67890123456789abcdef67890123456789abcdef123456789",
        "4 2 123456789ABCDEF67890123456789ABCDEF67890123456789ABCDEF123456789",
    ),
    (
        "DNSKEY",
        "257 3 ECDSAP256SHA256 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+
         KkxLbxILfDLUT0rAK9iUzy1L53eKGQ==",
        "0101030d99db2cc14cabdc33d6d77da63a2f15f71112584f234e8d1dc428e39e8a4a97e1aa271a555dc90701e17e2a4c4b\
         6f120b7c32d44f4ac02bd894cf2d4be7778a19",
        "257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ==",
    ),
    (
        "TLSA",
        "3 1 1 d2abde240d7cd3ee6b4b28c54df034b97983a1d16e8a410e4561cb106618e971",
        "030101d2abde240d7cd3ee6b4b28c54df034b97983a1d16e8a410e4561cb106618e971",
        "3 1 1 D2ABDE240D7CD3EE6B4B28C54DF034B97983A1D16E8A410E4561CB106618E971",
    ),
    ("SMIMEA", "3 0 0 aabbcc", "030000aabbcc", "3 0 0 AABBCC"),
    ("CDS", "0 0 0 00", "0000000000", ""),
    ("CDNSKEY", "0 3 0 AA==", "0000030000", ""),
    ("OPENPGPKEY", "mDMEXEcE6RYJKwYBBAHaRw8BAQdA", "9833045c4704e916092b06010401da470f01010740", ""),
    (
        "SVCB",
        r#"16 foo alpn="f\\\\oo\\,bar,h2" key667="hello\210qoo" dohpath=/dns-query{?dns}"#,
        "001003666f6f076578616d706c6503636f6d000001000c08665c6f6f2c626172026832000700102f646e732d7175657279\
         7b3f646e737d029b000968656c6c6fd2716f6f",
        r#"16 foo.example.com. alpn="f\\\\oo\\,bar,h2" dohpath="/dns-query{?dns}" key667="hello\210qoo""#,
    ),
    (
        "SVCB",
        "1 foo.example.com. no-default-alpn alpn=h3 key65333=",
        "000103666f6f076578616d706c6503636f6d000001000302683300020000ff350000",
        r#"1 foo.example.com. alpn="h3" no-default-alpn key65333"#,
    ),
    (
        "HTTPS",
        r#"1 . alpn=h2,h3 port=8443 ipv4hint=192.0.2.1,192.0.2.2 ipv6hint="2001:db8::1" ech=AEX+DQ== mandatory=port,alpn"#,
        "0001 00 0000000400010003 00010006026832026833 0003000220fb 00040008c0000201c0000202 000500040045fe0d\
         0006001020010db8000000000000000000000001",
        r#"1 . mandatory=alpn,port alpn="h2,h3" port=8443 ipv4hint=192.0.2.1,192.0.2.2 ech=AEX+DQ== ipv6hint=2001:db8::1"#,
    ),
    ("HTTPS", "0 pool.example.com.", "000004706f6f6c076578616d706c6503636f6d00", ""),
    ("SPF", r#""v=spf1 -all""#, "0b763d73706631202d616c6c", ""),
    ("EUI48", "00-00-5E-00-53-2a", "00005e00532a", "00-00-5e-00-53-2a"),
    ("EUI64", "00-00-5e-ef-10-00-00-2a", "00005eef1000002a", ""),
    (
        "URI",
        r#"10 1 "ftp://ftp1.example.com/pub\"lic""#,
        "000a00016674703a2f2f667470312e6578616d706c652e636f6d2f707562226c6963",
        "",
    ),
    (
        "CAA",
        r#"0 issue "letsencrypt.org; policy=ev""#,
        "000569737375656c657473656e63727970742e6f72673b20706f6c6963793d6576",
        "",
    ),
    (
        "CAA",
        "128 iodef mailto:sec@example.com",
        "8005696f6465666d61696c746f3a736563406578616d706c652e636f6d",
        r#"128 iodef "mailto:sec@example.com""#,
    ),
    ("TYPE65400", r"\# 3 abcd ef", "abcdef", r"\# 3 ABCDEF"),
    ("TYPE65401", r"\# 0", "", ""),
    ("NSEC", r"\# 2 0102", "0102", ""),
    ("A", r"\# 4 C0000201", "c0000201", "192.0.2.1"),
];

fn origin() -> DnsName {
    "example.com.".parse().unwrap()
}

fn rtype_of(text: &str) -> u16 {
    rtype_from_text(text).unwrap()
}

fn octets(hex: &str) -> Vec<u8> {
    let hex: String = hex.split_whitespace().collect();
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn each_type_reads_and_prints_as_dnspython_and_bind_do() {
    for &(rtype, text, wire, printed) in FIXTURES {
        let code = rtype_of(rtype);
        let rdata =
            parse_str(code, text, Some(&origin())).unwrap_or_else(|error| panic!("{rtype} {text}: {error}"));
        assert_eq!(rdata, octets(wire), "{rtype} {text}");
        assert_eq!(validate(code, &rdata), Ok(()), "{rtype} {text}");
        let expected = if printed.is_empty() { text } else { printed };
        assert_eq!(print(code, &rdata), expected, "{rtype}");
        assert_eq!(parse_str(code, expected, None).unwrap(), rdata, "{rtype} {expected}");
        let generic = format!("\\# {} {}", rdata.len(), wire);
        assert_eq!(parse_str(code, &generic, None).unwrap(), rdata, "{rtype} {generic}");
    }
}

#[test]
fn every_known_type_has_a_fixture_and_is_refused_when_cut_short() {
    for code in 1..=300 {
        if table::parts(code).is_none() {
            continue;
        }
        let fixture = FIXTURES.iter().find(|(rtype, ..)| rtype_of(rtype) == code);
        let (rtype, _, wire, _) = fixture.unwrap_or_else(|| panic!("no fixture for {}", rtype_to_text(code)));
        assert!(validate(code, &[]).is_err(), "{rtype}");
        let wire = octets(wire);
        let open_ended =
            matches!(*rtype, "TXT" | "SPF" | "SMIMEA" | "OPENPGPKEY" | "CDNSKEY" | "DNSKEY" | "URI" | "CAA");
        if !open_ended {
            let mut longer = wire.clone();
            longer.extend_from_slice(&[0; 3]);
            let grows = matches!(*rtype, "CERT" | "TLSA" | "CDS");
            assert_eq!(validate(code, &longer).is_ok(), grows, "{rtype} with three octets behind it");
        }
        if !matches!(*rtype, "OPENPGPKEY" | "DNSKEY" | "TLSA" | "SMIMEA" | "CERT" | "URI" | "CAA") {
            assert!(validate(code, &wire[..wire.len() - 1]).is_err(), "{rtype} cut short");
        }
    }
}

#[test]
fn faults_name_the_word_and_what_to_write() {
    let faults = [
        ("A", "1.2.3", 1, "`1.2.3` is not a valid address: write an IPv4 address like 192.0.2.1"),
        (
            "A",
            "192.0.2.1 x",
            11,
            "unexpected `x` behind the record's last field; a text with blanks needs quotes",
        ),
        (
            "MX",
            "mail.example.com.",
            1,
            "`mail.example.com.` is not a valid preference: write a number from 0 to 65535",
        ),
        ("MX", "+1 mail.example.com.", 1, "`+1` is not a valid preference: write a number from 0 to 65535"),
        ("MX", "10 a..b.", 4, "the mail server: an empty label: two dots in a row, or a dot in front"),
        (
            "TXT",
            r"a\999",
            1,
            "a broken escape; write `\\\\` for a backslash, `\\DDD` (000 to 255) for any octet",
        ),
        (
            "TXT",
            "\"open",
            1,
            "the string has no closing quote on this line; close it, or write the line break as \\010",
        ),
        ("RRSIG", "A 8 2", 1, "RRSIG has no text form of its own; write `\\# LENGTH HEX` (RFC 3597)"),
        ("TYPE65400", r"\# 3 abcd", 4, "`\\#` announces 3 octets, but 2 follow"),
        ("A", r"\# 3 abcdef", 1, "the address is missing or cut short"),
        ("HTTPS", "1 . port=x", 5, "parameter `port`: must be a number from 0 to 65535"),
        ("HTTPS", "1 . port=1 port=2", 12, "parameter `port`: stands twice"),
        (
            "HTTPS",
            "1 . prot=1",
            5,
            "parameter `prot`: no such key: write alpn=, port=, ipv4hint= … or keyNNNNN=",
        ),
        ("HTTPS", "1 . mandatory=alpn", 5, "the parameters lack a key that `mandatory` lists"),
        ("HTTPS", "1 . no-default-alpn", 5, "the parameters with `no-default-alpn` need `alpn` too"),
        ("HTTPS", "1 . key9=a=\"x\"", 5, "a quote inside a word"),
        ("HTTPS", "1 . mandatory=alpn,port,key7000 alpn=h2 port=1", 41, "the parameters lack a key"),
        ("HTTPS", "1 . \"port=1\"", 5, "parameter `port`: no such key"),
        ("CAA", "0 is-sue x", 10, "the tag has only letters and digits"),
        ("DS", "1 8 2 1234", 7, "the digest does not have the length of its type"),
        (
            "SSHFP",
            "4 2 123",
            5,
            "`123` is not a valid fingerprint: write an even number of hexadecimal digits",
        ),
        ("CERT", "PKIX 0 0 M", 10, "`M` is not a valid certificate: write base64, with its padding"),
    ];
    for (rtype, text, column, words) in faults {
        let error = parse_str(rtype_of(rtype), text, Some(&origin())).unwrap_err();
        assert!(error.to_string().starts_with(words), "{rtype} {text}: {error}");
        assert_eq!(error.place.unwrap().column, column, "{rtype} {text}: {error}");
    }
    let missing = parse_str(rtype_of("MX"), "10", None).unwrap_err();
    assert_eq!((missing.place, missing.to_string().as_str()), (None, "the mail server is missing"));
    let long = parse_str(rtype_of("TXT"), &"x".repeat(256), None).unwrap_err();
    assert_eq!(long.what, TextFault::LongText(256));
}

#[test]
fn canonical_form_lowers_names_of_old_types_only() {
    for (rtype, text, canonical) in [
        ("MX", "10 Mail.Example.COM.", "10 mail.example.com."),
        ("SOA", "A. B. 1 2 3 4 5", "a. b. 1 2 3 4 5"),
        ("NAPTR", r#"1 2 "U" "S" "R" Repl."#, r#"1 2 "U" "S" "R" repl."#),
        ("SVCB", "1 Foo.", "1 Foo."),
        ("TXT", "\"ABC\"", "\"ABC\""),
    ] {
        let mut rdata = parse_str(rtype_of(rtype), text, None).unwrap();
        canonicalize(rtype_of(rtype), &mut rdata);
        assert_eq!(print(rtype_of(rtype), &rdata), canonical);
    }
}

#[test]
fn embedded_names_can_be_rewritten_and_listed() {
    let (old, new): (DnsName, DnsName) = ("lf.".parse().unwrap(), "corp.test.".parse().unwrap());
    let alias = |name: &DnsName| DnsName::join(name.strip_suffix(&old)?, &new).ok();
    for (rtype, text, rewritten, targets) in [
        ("MX", "10 mail.lf.", Some("10 mail.corp.test."), &["mail.lf."][..]),
        ("SOA", "ns.lf. host.other. 1 2 3 4 5", Some("ns.corp.test. host.other. 1 2 3 4 5"), &[]),
        ("RP", "a.lf. b.lf.", Some("a.corp.test. b.corp.test."), &[]),
        ("SVCB", "1 . port=1", None, &[]),
        ("SVCB", "1 x.LF. port=1", Some("1 x.corp.test. port=1"), &["x.LF."]),
        ("NS", "ns.other.", None, &["ns.other."]),
        ("TXT", "\"ns.lf.\"", None, &[]),
    ] {
        let code = rtype_of(rtype);
        let rdata = parse_str(code, text, None).unwrap();
        let mapped = map_names(code, &rdata, alias).map(|rdata| print(code, &rdata));
        assert_eq!(mapped.as_deref(), rewritten, "{rtype} {text}");
        let hosts: Vec<_> = target_names(code, &rdata).iter().map(ToString::to_string).collect();
        assert_eq!(hosts, targets, "{rtype} {text}");
    }
}

#[test]
fn a_soa_is_read_and_written() {
    let rdata = parse_str(rtype::SOA, "ns. mail. 4294967295 1w 1d1h1m1s 4W 60", None).unwrap();
    let soa = Soa::parse(&rdata).unwrap();
    assert_eq!(
        (soa.serial, soa.refresh, soa.retry, soa.expire, soa.minimum),
        (u32::MAX, 604_800, 90_061, 2_419_200, 60)
    );
    assert_eq!(soa.to_rdata(), rdata);
    assert!(Soa::parse(&rdata[1..rdata.len() - 1]).is_err());
}

#[test]
fn seconds_with_units_do_not_overflow() {
    assert_eq!(parse_seconds("1h30m"), Some(5_400));
    assert_eq!(parse_seconds("0"), Some(0));
    for wrong in ["", "h", "1h30", "1x", "-1", "4294967296", "7102w", "1 h"] {
        assert_eq!(parse_seconds(wrong), None, "{wrong}");
    }
}

/// Well-formed octets of one part.
fn any_part(form: Form) -> BoxedStrategy<Vec<u8>> {
    let some = |most: usize| vec(any::<u8>(), 1..=most);
    let text = || vec(any::<u8>(), 0..=255).prop_map(|text| [&[text.len() as u8], &*text].concat());
    match form {
        Form::U8 | Form::Algorithm(_) => vec(any::<u8>(), 1).boxed(),
        Form::U16 | Form::CertType => vec(any::<u8>(), 2).boxed(),
        Form::U32 | Form::Seconds | Form::Ipv4 => vec(any::<u8>(), 4).boxed(),
        Form::Ipv6 => vec(any::<u8>(), 16).boxed(),
        Form::Eui(len) => vec(any::<u8>(), len).boxed(),
        Form::Name(_) => any_name().prop_map(|name| name.as_wire().to_vec()).boxed(),
        Form::Text => text().boxed(),
        Form::Texts => vec(text(), 1..4).prop_map(|texts| texts.concat()).boxed(),
        Form::Tag => {
            "[a-zA-Z0-9]{1,15}".prop_map(|tag| [&[tag.len() as u8], tag.as_bytes()].concat()).boxed()
        }
        Form::Tail => vec(any::<u8>(), 0..300).boxed(),
        Form::FullTail | Form::Base64 => some(300).boxed(),
        Form::Hex => {
            prop_oneof![some(60), vec(any::<u8>(), 20), vec(any::<u8>(), 32), vec(any::<u8>(), 48)].boxed()
        }
        Form::Loc => {
            let around = |middle: u32, span: u32| middle - span..=middle + span;
            let size = (0..10_u8, 0..10_u8).prop_map(|(digit, power)| digit << 4 | power);
            (vec(size, 3), around(1 << 31, 90 * 3_600_000), around(1 << 31, 180 * 3_600_000), any::<u32>())
                .prop_map(|(sizes, latitude, longitude, altitude)| {
                    let numbers = [latitude, longitude, altitude].map(u32::to_be_bytes).concat();
                    [&[0], &*sizes, &*numbers].concat()
                })
                .boxed()
        }
        Form::SvcParams => any_params().boxed(),
    }
}

fn any_params() -> impl Strategy<Value = Vec<u8>> {
    let octets = |range| vec(any::<u8>(), range);
    let alpn = vec(vec(any::<u8>(), 1..20), 1..4)
        .prop_map(|list| list.iter().flat_map(|id| [&[id.len() as u8], &**id].concat()).collect::<Vec<u8>>());
    let optional = proptest::option::of::<BoxedStrategy<Vec<u8>>>;
    (
        optional(alpn.boxed()),
        optional(octets(2..3).boxed()),
        optional(octets(8..9).boxed()),
        optional(octets(1..40).boxed()),
        optional(octets(32..33).boxed()),
        optional("/[ -~ü]{0,20}".prop_map(String::into_bytes).boxed()),
        proptest::collection::btree_map(9..65_535_u16, octets(0..30), 0..3),
        any::<[bool; 2]>(),
    )
        .prop_map(|(alpn, port, v4, ech, v6, doh, others, [no_default, mandatory])| {
            let mut params: Vec<(u16, Vec<u8>)> =
                [(1, alpn), (3, port), (4, v4), (5, ech), (6, v6), (7, doh)]
                    .into_iter()
                    .filter_map(|(key, value)| Some((key, value?)))
                    .chain(others)
                    .collect();
            if no_default && params.first().is_some_and(|(key, _)| *key == 1) {
                params.insert(1, (2, Vec::new()));
            }
            if mandatory && !params.is_empty() {
                let keys = params.iter().flat_map(|(key, _)| key.to_be_bytes()).collect();
                params.insert(0, (0, keys));
            }
            let wire = |(key, value): &(u16, Vec<u8>)| {
                [&key.to_be_bytes(), &(value.len() as u16).to_be_bytes(), &**value].concat()
            };
            params.iter().flat_map(wire).collect()
        })
}

/// A type and well-formed RDATA of it; where a random digest has the wrong length, opaque octets.
pub(crate) fn any_rdata() -> impl Strategy<Value = (u16, Vec<u8>)> {
    let known: Vec<u16> = (1..=300).filter(|code| table::parts(*code).is_some()).collect();
    let rtype = prop_oneof![9 => proptest::sample::select(known), 1 => Just(65_400)];
    rtype.prop_flat_map(|code| {
        let parts = table::parts(code).unwrap_or(&[("opaque", Form::Tail)]);
        let fields: Vec<_> = parts.iter().map(|(_, form)| any_part(*form)).collect();
        (Just(code), fields.prop_map(|fields| fields.concat()))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn what_is_printed_reads_back_to_the_same_octets((code, rdata) in any_rdata()) {
        if let Err(error) = validate(code, &rdata) {
            let digest = matches!(error, RdataError::Rule("digest" | "fingerprint", _));
            prop_assert!(digest, "{} {:02x?}: {}", rtype_to_text(code), rdata, error);
        }
        let text = print(code, &rdata);
        if validate(code, &rdata).is_ok() {
            prop_assert_eq!(&parse_str(code, &text, None).unwrap(), &rdata, "{}", text);
            let relative = print_relative(code, &rdata, &origin());
            prop_assert_eq!(&parse_str(code, &relative, Some(&origin())).unwrap(), &rdata, "{}", relative);
        }
        let mut once = rdata.clone();
        canonicalize(code, &mut once);
        prop_assert_eq!(validate(code, &once).is_ok(), validate(code, &rdata).is_ok());
        let mut twice = once.clone();
        canonicalize(code, &mut twice);
        prop_assert_eq!(once, twice);
    }

    #[test]
    fn octets_and_text_of_strangers_never_panic(
        code in prop_oneof![1..300_u16, any::<u16>()],
        rdata in vec(any::<u8>(), 0..80),
        text in r#"([0-9a-z.\\" =,#-]|\PC){0,60}"#,
    ) {
        let valid = validate(code, &rdata).is_ok();
        let printed = print(code, &rdata);
        prop_assert_eq!(parse_str(code, &printed, None).is_ok(), valid, "{}", printed);
        let mut canonical = rdata.clone();
        canonicalize(code, &mut canonical);
        _ = map_names(code, &rdata, |_| Some(DnsName::root()));
        _ = target_names(code, &rdata);
        _ = Soa::parse(&rdata);
        if let Ok(rdata) = parse_str(code, &text, Some(&origin())) {
            prop_assert_eq!(validate(code, &rdata), Ok(()));
        }
    }
}
