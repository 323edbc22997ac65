//! What names promise: parsing, printing, order, limits.

use proptest::prelude::*;

use super::*;

fn name(text: &str) -> DnsName {
    text.parse().unwrap()
}

/// Any name: random labels, cut where the name would get too long.
pub(crate) fn any_name() -> impl Strategy<Value = DnsName> {
    let label = prop_oneof![
        8 => "[a-zA-Z0-9_-]{1,12}".prop_map(String::into_bytes),
        1 => proptest::collection::vec(any::<u8>(), 1..=LABEL_MAX),
    ];
    proptest::collection::vec(label, 0..8).prop_map(|labels| {
        let mut name = DnsName::root();
        for label in &labels {
            name = name.child(label).unwrap_or(name);
        }
        name
    })
}

#[test]
fn text_becomes_the_wire_form_of_rfc_1035() {
    assert_eq!(name("www.Example.lf.").as_wire(), b"\x03www\x07Example\x02lf\x00");
    assert_eq!(name(".").as_wire(), b"\0");
    assert_eq!(name(r"a\.b.\065\064.").as_wire(), b"\x03a.b\x02A@\0");
    assert_eq!(name(r"a\.b.\065\064.").to_string(), r"a\.b.A\@.");
}

#[test]
fn a_relative_name_gets_the_origin_behind_it() {
    let origin = name("demo.lf.");
    assert_eq!(DnsName::parse("www", Some(&origin)).unwrap(), name("www.demo.lf."));
    assert_eq!(DnsName::parse("@", Some(&origin)).unwrap(), origin);
    assert_eq!(DnsName::parse(r"\@", Some(&origin)).unwrap(), origin.child(b"@").unwrap());
    assert_eq!(DnsName::parse("www", None), Err(NameError::Relative));
}

#[test]
fn what_is_no_name_is_refused_for_its_reason() {
    assert_eq!(DnsName::parse("", None), Err(NameError::Empty));
    assert_eq!(DnsName::parse("a..b.", None), Err(NameError::EmptyLabel));
    assert_eq!(DnsName::parse(".a.", None), Err(NameError::EmptyLabel));
    assert_eq!(DnsName::parse("..", None), Err(NameError::EmptyLabel));
    for broken in ["a\\", "a\\25.", "a\\256.", "a\\1x."] {
        assert_eq!(DnsName::parse(broken, None), Err(NameError::BadEscape), "{broken}");
    }
    assert_eq!(DnsName::parse(&format!("{}.", "x".repeat(64)), None), Err(NameError::LabelTooLong(64)));
    assert_eq!(DnsName::from_wire(b"\x03ab"), Err(NameError::Truncated));
    assert_eq!(DnsName::from_wire(b"\x01a\xc0\x00"), Err(NameError::Compressed));
}

#[test]
fn a_name_has_255_octets_and_not_one_more() {
    let label = [b'x'; 63];
    let labels = [&label[..], &label, &label, &label[..61]];
    let longest = DnsName::from_labels(labels).unwrap();
    assert_eq!(longest.as_wire().len(), NAME_MAX);
    assert_eq!(DnsName::from_wire(longest.as_wire()), Ok((longest.clone(), NAME_MAX)));
    assert_eq!(DnsName::from_labels([&label[..], &label, &label, &label[..62]]), Err(NameError::NameTooLong));
    assert_eq!(longest.child(b"y"), Err(NameError::NameTooLong));
    assert_eq!(DnsName::from_wire(&[1; 512]), Err(NameError::NameTooLong));
    assert_eq!(DnsName::from_labels(std::iter::repeat(&b"a"[..])), Err(NameError::NameTooLong));
}

#[test]
fn a_suffix_ends_at_a_labels_edge_and_ignores_case() {
    let host = name("WWW.Demo.lf.");
    let above: Vec<_> = host.strip_suffix(&name("demo.LF.")).unwrap().collect();
    assert_eq!(above, [b"WWW"]);
    assert!(host.is_subdomain_of(&host) && host.is_subdomain_of(&DnsName::root()));
    assert!(!host.is_subdomain_of(&name("emo.lf.")));
    // "\x01a" inside a label is not the label "a".
    let inside = DnsName::from_labels([&b"x\x01a"[..]]).unwrap();
    assert!(!inside.is_subdomain_of(&name("a.")));
}

#[test]
fn names_sort_as_in_rfc_4034_section_6_1() {
    let texts = [
        "example.",
        "a.example.",
        "yljkjljk.a.example.",
        "Z.a.example.",
        "zABC.a.EXAMPLE.",
        "z.example.",
        "\\001.z.example.",
        "*.z.example.",
        "\\200.z.example.",
    ];
    let names: Vec<_> = texts.iter().map(|text| name(text)).collect();
    assert!(names.is_sorted_by(|a, b| a.canonical_cmp(b) == Ordering::Less));
}

#[test]
fn a_name_shows_itself_relative_to_an_origin() {
    let origin = name("demo.lf.");
    assert_eq!(name("a.b.demo.LF.").relative_to(&origin).to_string(), "a.b");
    assert_eq!(name("Demo.lf.").relative_to(&origin).to_string(), "@");
    assert_eq!(name("demo.other.").relative_to(&origin).to_string(), "demo.other.");
    assert_eq!(name("a.").relative_to(&DnsName::root()).to_string(), "a.");
}

#[test]
fn wildcards_parents_and_counts() {
    assert!(name("*.lf.").is_wildcard() && !name("**.lf.").is_wildcard() && !name("lf.").is_wildcard());
    assert_eq!(name("a.b.").parent(), Some(name("b.")));
    assert_eq!(DnsName::root().parent(), None);
    assert_eq!(name("a.b.c.").label_count(), 3);
    assert_eq!(name("a.b.c.").labels().rev().collect::<Vec<_>>(), [b"c", b"b", b"a"]);
}

proptest! {
    #[test]
    fn text_and_wire_forms_come_back_as_they_went(name in any_name(), origin in any_name()) {
        prop_assert_eq!(&name.to_string().parse::<DnsName>().unwrap(), &name);
        prop_assert_eq!(DnsName::from_wire(name.as_wire()).unwrap(), (name.clone(), name.as_wire().len()));
        prop_assert_eq!(&DnsName::from_labels(name.labels()).unwrap(), &name);
        prop_assert_eq!(name.labels().count(), name.label_count());
        if let Ok(joined) = DnsName::join(name.labels(), &origin) {
            let above = joined.strip_suffix(&origin).unwrap();
            prop_assert_eq!(&DnsName::from_labels(above).unwrap(), &name);
            let text = joined.relative_to(&origin).to_string();
            prop_assert_eq!(&DnsName::parse(&text, Some(&origin)).unwrap(), &joined);
        }
        prop_assert!(name.to_lowercase().eq_ignore_case(&name));
    }

    #[test]
    fn octets_from_strangers_never_panic(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = DnsName::parse_bytes(&octets, Some(&DnsName::root()));
        if let Ok((name, len)) = DnsName::from_wire(&octets) {
            prop_assert_eq!(name.as_wire(), &octets[..len]);
        }
    }
}
