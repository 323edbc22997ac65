//! `/query`: LF's shapes, and what LF gets wrong.

use super::*;
use crate::api::json::{Query, QueryRange, QueryResults};
use crate::record::Name;

const CONTROLLER: &str = "com.zerotier.controller.lfdb:8056c2e21c/network";

fn values(results: &QueryResults) -> Vec<Vec<&str>> {
    results.iter().map(|list| list.iter().map(|r| r.text().unwrap_or("?")).collect()).collect()
}

fn span(name: &str) -> QueryRange {
    QueryRange::span(name.as_bytes(), 0, u64::MAX)
}

#[test]
fn the_controllers_networks_and_members_are_found_as_it_asks_for_them() {
    let bed = Bed::new();
    let lf = bed.local();
    let (name, mine) = (CONTROLLER.as_bytes(), owner(1));
    for network in [0, 0x8056_C2E2_1C00_0001, u64::MAX] {
        let entry = |selectors: &[(&[u8], u64)], value: &str| Entry {
            masking_key: Some(b"secret".to_vec()),
            ..Entry::new(selectors, value.as_bytes())
        };
        lf.make(&mine, entry(&[(name, network)], &format!("{{\"id\":\"{network:x}\"}}"))).unwrap();
        lf.make(&mine, entry(&[(name, network), (b"member", 0xFF_FFFF_FFFF)], "{}")).unwrap();
    }
    lf.make(&owner(2), Entry::new(&[(name, 1)], b"a stranger's")).unwrap();
    let ask = |ranges: &str| {
        bed.query(&format!(
            r#"{{"Ranges":[{ranges}],"TimeRange":[{},9223372036854775807],"MaskingKey":"secret","Owners":["{}"]}}"#,
            START / 1000,
            mine.key()
        ))
        .json()
    };
    let all = format!(r#"{{"Name":"{CONTROLLER}","Range":[0,18446744073709551615]}}"#);
    let networks = ask(&all);
    let lists = networks.as_array().unwrap();
    assert_eq!(lists.len(), 3, "{networks}");
    assert_eq!(lists[2][0]["Value"], "{\"id\":\"ffffffffffffffff\"}");
    assert_eq!(lists[2][0]["Ordinals"][0], u64::MAX);
    assert_eq!(lists[2][0]["Record"]["Timestamp"], START / 1000);
    let members = ask(&format!(r#"{all},{{"Name":"member","Range":[0,18446744073709551615]}}"#));
    assert_eq!(members.as_array().unwrap().len(), 3, "{members}");
    assert_eq!(members[0][0]["Ordinals"][1], 0xFF_FFFF_FFFF_u64);
}

#[test]
fn the_newest_of_an_owner_is_its_value_and_a_deletion_ends_it() {
    let bed = Bed::new();
    let lf = bed.local();
    for value in ["first", "second", ""] {
        if !value.is_empty() {
            lf.set(&owner(1), &[(b"a", 0)], value.as_bytes()).unwrap();
            assert_eq!(lf.get(&[(b"a", 0)], None).unwrap(), Some(value.into()));
        }
    }
    lf.set(&owner(1), &[(b"a", 0)], b"").unwrap();
    assert_eq!(lf.get(&[(b"a", 0)], None).unwrap(), None);
    assert_eq!(bed.query(r#"{"Ranges":[{"Name":"a"}]}"#).body, b"[]");
}

#[test]
fn a_time_range_keeps_a_key_whose_first_revision_lies_outside() {
    let bed = Bed::new();
    let lf = bed.local();
    lf.set(&owner(1), &[(b"a", 0)], b"old").unwrap();
    bed.pass(60_000);
    lf.set(&owner(1), &[(b"a", 0)], b"new").unwrap();
    let at = |range: &[u64]| {
        let query = Query { ranges: vec![span("a")], time_range: range.to_vec(), ..Query::default() };
        lf.query(&query).unwrap()
    };
    let start = START / 1000;
    assert_eq!(values(&at(&[start + 60])), [["new"]]);
    assert_eq!(values(&at(&[0, start + 59])), [["old"]]);
    assert!(at(&[start + 61]).is_empty());
    assert_eq!(values(&at(&[0, u64::MAX])), [["new"]]);
}

#[test]
fn limit_limits_each_list_and_owners_come_in_the_order_asked() {
    let bed = Bed::new();
    let lf = bed.local();
    for n in 1..=3 {
        lf.set(&owner(n), &[(b"a", 0)], n.to_string().as_bytes()).unwrap();
        bed.pass(5);
    }
    let ask = |query: Query| lf.query(&Query { ranges: vec![span("a")], ..query }).unwrap();
    assert_eq!(values(&ask(Query::default())), [["1", "2", "3"]]);
    let limited = Query { limit: Some(2), ..Query::default() };
    assert_eq!(values(&ask(limited)), [["1", "2"]]);
    assert_eq!(values(&ask(Query { limit: Some(-1), ..Query::default() })), [["1", "2", "3"]]);
    let newest = Query { sort_order: "timestamp".into(), ..Query::default() };
    assert_eq!(values(&ask(newest)), [["3", "2", "1"]]);
    let owners = [3, 1, 3].map(|n| OwnerText(owner(n).key())).to_vec();
    assert_eq!(values(&ask(Query { owners, ..Query::default() })), [["3", "1"]]);
}

#[test]
fn what_is_not_built_is_refused_in_words() {
    let bed = Bed::new();
    let refused = |more: &str| bed.query(&format!(r#"{{"Ranges":[{{"Name":"a"}}],{more}}}"#)).message();
    assert!(refused(&format!(r#""Oracles":["{}"]"#, owner(1).key())).contains("trust"));
    assert!(refused(r#""SortOrder":"weight""#).contains("does not compute"));
    assert!(refused(r#""SortOrder":"trust""#).contains("does not compute"));
    assert!(refused(r#""SortOrder":"best""#).contains("not known"));
    assert!(refused(r#""Trust":"local""#).contains("unknown field"));
}

#[test]
fn an_open_query_finds_names_at_any_position_and_shows_the_ordinals_it_can() {
    let bed = Bed::new();
    let lf = bed.local();
    lf.set(&owner(1), &[(b"a", 1), (b"b", 2), (b"c", 3)], b"abc").unwrap();
    lf.set(&owner(1), &[(b"a", 4)], b"a").unwrap();
    let ask = |names: &[&str], open| {
        let ranges = names.iter().map(|n| span(n)).collect();
        lf.query(&Query { ranges, open: Some(open), masking_key: "a".into(), ..Query::default() }).unwrap()
    };
    assert_eq!(values(&ask(&["a"], false)), [["a"]]);
    assert_eq!(values(&ask(&["a"], true)), [["a"], ["abc"]]);
    let found = ask(&["c"], true);
    assert_eq!(values(&found), [["abc"]]);
    assert_eq!(found[0][0].ordinals, [None, None, Some(3)]);
    assert!(ask(&["c", "a"], true).is_empty());
}

#[test]
fn a_wrong_masking_key_is_said_and_shows_no_value() {
    let bed = Bed::new();
    let lf = bed.local();
    let secret = Entry { masking_key: Some(b"k".to_vec()), ..Entry::new(&[(b"a", 0)], b"v") };
    lf.make(&owner(1), secret).unwrap();
    let shown = bed.query(r#"{"Ranges":[{"Name":"a"}]}"#).json();
    assert_eq!(shown[0][0]["UnmaskingFailed"], true);
    assert!(shown[0][0].get("Value").is_none());
    let opened = bed.query(r#"{"Ranges":[{"Name":"a"}],"MaskingKey":[107]}"#).json();
    assert_eq!(opened[0][0]["Value"], "v");
    let error = lf.get(&[(b"a", 0)], None).unwrap_err();
    assert!(error.to_string().contains("does not open"), "{error}");
}

#[test]
fn a_key_range_finds_records_without_telling_the_name() {
    let bed = Bed::new();
    let lf = bed.local();
    lf.set(&owner(1), &[(b"a", 5)], b"v").unwrap();
    let name = Name::derive(&bed.network, b"a");
    let key = |n| json::Blob([&name.public().0[..], &name.mask(n).0].concat());
    let ask = |keys: Vec<json::Blob>| {
        let ranges = vec![QueryRange { key_range: keys, ..QueryRange::default() }];
        bed.remote().query(&Query { ranges, ..Query::default() })
    };
    let found = ask(vec![key(0), key(u64::MAX)]).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0][0].value.as_ref(), found[0][0].unmasking_failed), (None, None));
    assert_eq!(found[0][0].ordinals, [None]);
    assert!(ask(vec![key(4)]).unwrap().is_empty());
    assert!(ask(vec![key(9), key(1)]).is_err());
    assert!(ask(vec![json::Blob(vec![1; 32])]).is_err());
}

#[test]
fn ranges_that_make_no_sense_are_refused_with_their_place() {
    let bed = Bed::new();
    let refused = |ranges: &str| bed.query(&format!(r#"{{"Ranges":[{ranges}]}}"#)).message();
    assert!(refused("").contains("at least one selector"));
    assert!(refused(r#"{"Name":"a"},{"Name":"b","Range":[2,1]}"#).contains("range 1"));
    assert!(refused(r#"{"Name":"a","Range":[1,2,3]}"#).contains("one or two"));
    assert!(refused(&[r#"{"Name":"a"}"#; 16].join(",")).contains("at most 15"));
    assert!(refused(&format!(r#"{{"Name":"{}"}}"#, "x".repeat(1025))).contains("1024"));
    let backwards = bed.query(r#"{"Ranges":[{"Name":"a"}],"TimeRange":[2,1]}"#);
    assert!(backwards.message().contains("before it begins"));
}

#[test]
fn binary_names_and_values_come_back_as_they_were() {
    let bed = Bed::new();
    let value: Vec<u8> = (0..=255).cycle().take(3_000).collect();
    let name = [0, 8, 255, 10];
    bed.remote().set(&owner(1), &[(&name, u64::MAX)], &value).unwrap();
    assert_eq!(bed.remote().get(&[(&name, u64::MAX)], Some(&owner(1).key())).unwrap(), Some(value));
}
