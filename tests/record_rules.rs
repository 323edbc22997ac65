//! Network rules: one spelling each, every field within its range, what is fixed stays fixed, and a network's own
//! genesis records are valid in it. The spellings are frozen in `tests/vectors/rules.json`.
#![allow(clippy::unwrap_used)]

#[path = "common/frozen.rs"]
mod frozen;

use frozen::freeze;
use lfdns::record::{
    Authority, Invalid, Limits, Millis, Owner, Record, Rules, RulesError, WorkRule, ZoneRule, found,
};
use serde_json::{Value, json};

fn rules() -> Rules {
    let owners = Authority::Owners(vec![Owner::from_seed(&[1; 32]).key()]);
    Rules { zones: vec![ZoneRule::new("lf.", &[], owners)], ..Rules::private(&[2; 32], "rules") }
}

fn canonical() -> String {
    String::from_utf8(rules().to_canonical()).expect("JSON is UTF-8")
}

/// The canonical text with one place changed.
fn with(from: &str, to: &str) -> String {
    let text = canonical();
    assert_eq!(text.matches(from).count(), 1, "{from} stands once in {text}");
    text.replace(from, to)
}

fn parse(text: &str) -> Result<Rules, RulesError> {
    Rules::parse(text.as_bytes())
}

#[test]
fn one_set_of_rules_has_one_spelling() {
    let owner = Owner::from_seed(&[1; 32]).key();
    let cases = [
        ("a blank", with(r#""links_min":2"#, r#""links_min": 2"#)),
        ("a newline behind", canonical() + "\n"),
        (
            "another order of keys",
            with(
                r#"{"auth_required":false,"bytes_per_score":64,"#,
                r#"{"bytes_per_score":64,"auth_required":false,"#,
            ),
        ),
        (
            "another order inside",
            with(r#""authority""#, r#""zzz""#)
                .replace("zzz", "authority")
                .replace(r#""at":[],"#, "")
                .replace(r#","ttl":300"#, r#","ttl":300,"at":[]"#),
        ),
        ("an escaped letter", with(r#""name":"rules""#, r#""name":"\u0072ules""#)),
        ("an escaped slash", with(r#""contact":"""#, r#""contact":"\/""#)),
        ("a control character in upper-case hexadecimal", with(r#""contact":"""#, r#""contact":"\u001F""#)),
    ];
    let frozen: Vec<Value> = cases
        .iter()
        .map(|(why, text)| {
            assert_eq!(parse(text), Err(RulesError::NotCanonical), "{why}: {text}");
            json!({"why": why, "rules": text})
        })
        .collect();
    assert_eq!(parse(&canonical()), Ok(rules()));
    let bare = with(&owner.to_string(), &owner.label());
    assert_eq!(parse(&bare), Err(RulesError::NotCanonical), "an owner without @");
    freeze("rules_not_canonical.json", &json!(frozen));
}

#[test]
fn what_is_no_set_of_rules_is_refused() {
    let cases = [
        ("an unknown key", with(r#""name""#, r#""nam":1,"name""#)),
        ("an unknown key inside", with(r#""value_max":65536"#, r#""value_max":65536,"value_min":1"#)),
        ("an unknown key in a zone", with(r#""ttl":300"#, r#""ttl":300,"zone":1"#)),
        ("a key twice", with(r#""links_min":2"#, r#""links_min":2,"links_min":2"#)),
        ("a key twice in a zone", with(r#""ttl":300"#, r#""ttl":300,"ttl":300"#)),
        ("a key missing", with(r#""links_min":2,"#, "")),
        ("a fraction", with(r#""links_min":2"#, r#""links_min":2.5"#)),
        ("an integer written as a float", with(r#""links_min":2"#, r#""links_min":2.0"#)),
        ("an exponent", with(r#""drift_ms":60000"#, r#""drift_ms":6e4"#)),
        ("a negative number", with(r#""links_min":2"#, r#""links_min":-2"#)),
        ("a leading zero", with(r#""links_min":2"#, r#""links_min":02"#)),
        ("a number as text", with(r#""links_min":2"#, r#""links_min":"2""#)),
        ("null", with(r#""contact":"""#, r#""contact":null"#)),
        ("half a surrogate pair", with(r#""contact":"""#, r#""contact":"\ud800""#)),
        ("another authority", with(r#""authority":["#, r#""authority":"slot","x":["#)),
        ("more behind it", canonical() + "{}"),
        ("cut short", canonical()[..40].to_owned()),
        ("no object", "[]".to_owned()),
        ("nothing", String::new()),
    ];
    let frozen: Vec<Value> = cases
        .iter()
        .map(|(why, text)| {
            assert!(matches!(parse(text), Err(RulesError::Json(_))), "{why}: {:?}", parse(text));
            json!({"why": why, "rules": text})
        })
        .collect();
    freeze("rules_refused.json", &json!(frozen));
    assert!(matches!(Rules::parse(b"{\"name\":\"\xFF\"}"), Err(RulesError::Json(_))), "UTF-8 only");
}

type Change = fn(&mut Rules);

#[test]
fn every_field_has_a_range_and_one_beyond_it_is_refused() {
    let beyond: [(&str, Change); 18] = [
        ("version", |r| r.version = 2),
        ("nonce", |r| r.nonce.truncate(63)),
        ("nonce", |r| r.nonce = "AB".repeat(32)),
        ("limits.value_max", |r| r.limits.value_max = 0),
        ("limits.value_max", |r| r.limits.value_max = 65_537),
        ("links_min", |r| r.links_min = 0),
        ("links_min", |r| r.links_min = 16),
        ("drift_ms", |r| r.drift_ms = 86_400_001),
        ("work.algorithm", |r| r.work.algorithm = "equihash".into()),
        ("bytes_per_score", |r| r.bytes_per_score = 0),
        ("auth_required", |r| r.auth_required = true),
        ("lists", |r| r.reserved = vec![String::new(); 1025]),
        ("lists", |r| r.revoked_cas = vec![String::new(); 1025]),
        ("zones", |r| r.zones[0].suffix = "lf".into()),
        ("zones", |r| r.zones[0].trust = "everybody".into()),
        ("zones", |r| r.zones[0].authority = Authority::Owners(vec![])),
        ("zones", |r| r.zones[0].at = vec!["a".into(); 15]),
        ("zones", |r| r.zones[0].at = vec!["a".repeat(1025)]),
    ];
    for (field, change) in beyond {
        let mut rules = rules();
        change(&mut rules);
        let refused = rules.check().expect_err(field);
        assert!(matches!(&refused, RulesError::Field { field: f, .. } if *f == field), "{refused}");
        assert_eq!(Rules::parse(&rules.to_canonical()), Err(refused), "reading checks it too");
        assert!(found(&Owner::from_seed(&[1; 32]), &rules, Millis(1)).is_err(), "{field}");
    }
    let within: [Change; 7] = [
        |r| r.limits.value_max = 1,
        |r| r.limits.value_max = 65_536,
        |r| (r.links_min, r.bytes_per_score) = (15, 1),
        |r| r.drift_ms = 86_400_000,
        |r| r.reserved = vec![String::new(); 1024],
        |r| r.zones[0].at = vec!["a".into(); 14],
        |r| r.zones[0].authority = Authority::Key,
    ];
    for change in within {
        let mut rules = rules();
        change(&mut rules);
        assert_eq!(Rules::parse(&rules.to_canonical()), Ok(rules));
    }
}

#[test]
fn an_amendment_changes_nothing_that_is_fixed() {
    let fixed: [(&str, Change); 7] = [
        ("nonce", |r| r.nonce = "00".repeat(32)),
        ("limits", |r| r.limits = Limits { value_max: 9 }),
        ("links_min", |r| r.links_min = 3),
        ("drift_ms", |r| r.drift_ms = 1),
        ("work", |r| r.work = WorkRule { algorithm: "other".into() }),
        ("bytes_per_score", |r| r.bytes_per_score = 65),
        ("auth_required", |r| r.auth_required = true),
    ];
    for (field, change) in fixed {
        let mut next = rules();
        change(&mut next);
        assert_eq!(rules().check_amendment(&next), Err(RulesError::Fixed(field)));
    }
    let free: [Change; 9] = [
        |r| r.name = "other".into(),
        |r| r.contact = "x".into(),
        |r| r.comment = "x".into(),
        |r| r.seed_peers = vec!["x:1".into()],
        |r| r.suffix = "x.".into(),
        |r| r.zones = vec![],
        |r| r.reserved = vec![],
        |r| r.cas = vec!["x".into()],
        |r| r.revoked_cas = vec!["x".into()],
    ];
    for change in free {
        let mut next = rules();
        change(&mut next);
        assert_ne!(next, rules());
        assert_eq!(rules().check_amendment(&next), Ok(()));
    }
    let mut unsound = rules();
    unsound.zones[0].suffix = "no dot".into();
    assert!(matches!(rules().check_amendment(&unsound), Err(RulesError::Field { .. })));
}

#[test]
fn a_network_of_any_link_minimum_and_value_limit_admits_its_own_rules() {
    for (links_min, value_max) in [(1, 1), (2, 100), (15, 65_536)] {
        let rules = Rules { links_min, limits: Limits { value_max }, ..rules() };
        let (network, genesis) = found(&Owner::from_seed(&[1; 32]), &rules, Millis(1)).expect("sound rules");
        assert_eq!(genesis.len(), usize::from(links_min));
        for (index, record) in genesis.iter().enumerate() {
            assert_eq!(record.check_rules(&rules), Ok(()));
            assert_eq!(record.verify(&network), Ok(record.id(&network)));
            let before = index.checked_sub(1).map(|before| genesis[before].id(&network));
            assert_eq!(record.header.links, before.into_iter().collect::<Vec<_>>());
        }
    }
}

#[test]
fn rules_that_do_not_fit_a_record_are_refused() {
    let owner = Owner::from_seed(&[1; 32]);
    let with = |len| Rules { comment: "x".repeat(len), ..rules() };
    assert!(matches!(found(&owner, &with(65_536), Millis(1)), Err(RulesError::TooLong(_))));
    // The second record, which has a link, fits to the byte; one byte more does not.
    let (_, genesis) = found(&owner, &with(60_000), Millis(1)).expect("they fit");
    let most = 60_000 + (lfdns::record::RECORD_MAX - genesis[1].len());
    assert_eq!(found(&owner, &with(most), Millis(1)).expect("they fit").1.len(), 2);
    assert!(matches!(found(&owner, &with(most + 1), Millis(1)), Err(RulesError::TooLong(_))));
}

#[test]
fn a_genesis_record_has_a_value_and_nothing_to_be_found_under() {
    let owner = Owner::from_seed(&[1; 32]);
    let (_, genesis) = found(&owner, &rules(), Millis(1)).expect("sound rules");
    let changed = |change: fn(&mut Record)| {
        let mut record = genesis[1].clone();
        change(&mut record);
        record.check_rules(&rules())
    };
    assert_eq!(changed(|r| r.header.pulse_key = Some([1; 32])), Err(Invalid::GenesisForm));
    assert_eq!(changed(|r| r.header.value_len = 0), Err(Invalid::GenesisForm));
    assert_eq!(changed(|r| r.value = None), Err(Invalid::ValueMissing));
}
