//! Snapshots, queries, listings, links for new records.

use super::*;
use crate::record::Millis;

fn presence(bed: &Bed, store: &Store, by: u8, path: &str) -> Option<(u32, u32)> {
    let found = store.snapshot().unwrap().presence_of(&bed.path(path), &owner(by).key()).unwrap();
    found.map(|p| (p.at, p.below))
}

#[test]
fn presence_counts_live_keys_at_and_strictly_below_each_prefix() {
    let bed = Bed::new();
    let store = bed.create();
    let keys = ["a", "a/b", "a/b#1", "a#1/b", "a/b/c"];
    put(&store, &keys.map(|key| bed.record(1, key, "v")));
    put(&store, &[bed.record(2, "a/x", "v")]);
    assert_eq!(presence(&bed, &store, 1, ""), Some((0, 5)));
    assert_eq!(presence(&bed, &store, 1, "a"), Some((1, 4)));
    assert_eq!(presence(&bed, &store, 1, "a/b"), Some((3, 1)));
    assert_eq!(presence(&bed, &store, 1, "a/b/c"), Some((1, 0)));
    assert_eq!(presence(&bed, &store, 1, "a/x"), None);
    assert_eq!(store.snapshot().unwrap().presence(&bed.path("a")).unwrap().len(), 2);
    bed.pass(10);
    put(&store, &[bed.record(1, "a/b/c", "")]);
    assert_eq!(presence(&bed, &store, 1, "a/b/c"), None, "a deletion does not count, its row is gone");
    assert_eq!(presence(&bed, &store, 1, "a/b"), Some((3, 0)));
    assert_eq!(store.stats().unwrap().live, 5);
}

#[test]
fn a_record_is_sent_as_the_bytes_it_encodes_to() {
    let bed = Bed::new();
    let store = bed.create();
    put(&store, &["a", "a/b#7", "c"].map(|key| bed.record(1, key, "v")));
    put(&store, &[bed.record(2, "a/b/c", &"long ".repeat(900)), bed.record(3, "d", "v")]);
    bed.pass(10);
    let links = store.links_for(3, bed.now()).unwrap();
    let mut pruned = bed.record_on(&links[0], 1, "e", "not here");
    pruned.value = None;
    put(&store, &[bed.record_on(&links[1], 1, "a", ""), pruned, bed.record_on(&links[2], 2, "f", "v")]);
    let snapshot = store.snapshot().unwrap();
    let last = snapshot.last_row().unwrap();
    for row in (1..=last.0).map(Row) {
        let record = snapshot.record(row).unwrap();
        let whole = record.value.is_some();
        let expected =
            Encoded { id: record.id(&bed.network), time: record.header.time, bytes: record.encode(), whole };
        // Once with and once without the ids of what it links to at hand.
        assert_eq!(store.snapshot().unwrap().encoded(row).unwrap(), expected, "{row:?}");
        assert_eq!(snapshot.encoded(row).unwrap(), expected, "{row:?}");
    }
    assert!(snapshot.encoded(Row(last.0 + 1)).is_err());
}

#[test]
fn heads_are_read_in_the_order_of_their_key_and_found_by_all_of_it() {
    let bed = Bed::new();
    let store = bed.create();
    put(&store, &["a#1/b#1", "a#2/b#1", "a#3/b#2"].map(|key| bed.record(1, key, "v")));
    let snapshot = store.snapshot().unwrap();
    let (slot, by, image) = (bed.path("a/b"), owner(1).key(), bed.name("b").mask(1));
    let rest = |n| crate::record::rest_of(&[bed.name("a").mask(n)]);
    let beside = |n| snapshot.heads_beside(&slot, &by, rest(n), (Masked::MIN, Masked::MAX), 9).unwrap().len();
    assert_eq!([1, 2, 3, 4].map(beside), [1, 1, 1, 0]);
    assert_eq!(snapshot.head(&slot, &by, image, rest(2)).unwrap().unwrap().rest, rest(2));
    assert_eq!(snapshot.head(&slot, &by, image, rest(3)).unwrap(), None);
    let explain = "EXPLAIN QUERY PLAN SELECT h.row, r.id FROM head h CROSS JOIN record r ON r.row = h.row
         WHERE h.path = x'00' AND h.owner = 1 AND h.ordinal BETWEEN x'00' AND x'01' AND h.rest = 1
         ORDER BY h.ordinal, h.rest LIMIT 5";
    let mut plan = snapshot.conn().prepare(explain).unwrap();
    let steps: Vec<String> = plan.query_map([], |row| row.get(3)).unwrap().map(Result::unwrap).collect();
    assert!(steps[0].contains("PRIMARY KEY (path=? AND owner=? AND ordinal>? AND ordinal<?)"), "{steps:?}");
    assert_eq!(steps.len(), 2, "nothing is sorted: {steps:?}");
}

#[test]
fn heads_are_one_owners_newest_revisions_in_the_order_of_ordinals() {
    let bed = Bed::new();
    let store = bed.create();
    put(&store, &["a#5", "a#1", "a#900", "a/b"].map(|key| bed.record(1, key, "old")));
    put(&store, &[bed.record(2, "a#2", "stranger")]);
    bed.pass(10);
    put(&store, &[bed.record(1, "a#5", "new"), bed.record(1, "a#1", "")]);
    let snapshot = store.snapshot().unwrap();
    let (name, slot) = (bed.name("a"), bed.path("a"));
    let heads = snapshot.heads(&slot, &owner(1).key(), Masked::MIN, Masked::MAX).unwrap();
    let seen: Vec<_> = heads.iter().map(|h| (name.unmask(h.ordinal).unwrap(), h.live)).collect();
    assert_eq!(seen, [(1, false), (5, true), (900, true)]);
    assert_eq!(heads[1].time, bed.now());
    let some = snapshot.heads(&slot, &owner(1).key(), name.mask(2), name.mask(900)).unwrap();
    assert_eq!(some.len(), 2);
    assert!(snapshot.heads(&slot, &owner(3).key(), Masked::MIN, Masked::MAX).unwrap().is_empty());
    assert_eq!(snapshot.newest_in_slot(&slot, &owner(1).key()).unwrap(), Some(bed.now()));
    assert_eq!(store.newest_in_slot(&slot, &owner(3).key()).unwrap(), None);
}

#[test]
fn keys_that_differ_in_an_earlier_ordinal_are_different_keys() {
    let bed = Bed::new();
    let store = bed.create();
    put(&store, &[bed.record(1, "a#1/b", "one"), bed.record(1, "a#2/b", "two")]);
    assert_eq!(bed.value(&store, 1, "a#1/b").as_deref(), Some("one"));
    assert_eq!(bed.value(&store, 1, "a#2/b").as_deref(), Some("two"));
}

#[test]
fn a_snapshot_sees_nothing_of_later_commits_and_does_not_hinder_them() {
    let bed = Bed::new();
    let store = bed.create();
    let before = store.snapshot().unwrap();
    put(&store, &[bed.record(1, "a", "1")]);
    assert!(before.presence(&bed.path("a")).unwrap().is_empty());
    assert_eq!(store.snapshot().unwrap().presence(&bed.path("a")).unwrap().len(), 1);
}

#[test]
fn snapshots_are_bounded_in_number_and_come_back() {
    let mut bed = Bed::new();
    bed.config.readers = 2;
    let store = bed.create();
    let first = store.snapshot().unwrap();
    let _second = store.snapshot().unwrap();
    let (store2, freed) = (
        store.clone(),
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| store.snapshot().is_ok());
            drop(first);
            waiting.join().unwrap()
        }),
    );
    assert!(freed);
    assert!(store2.snapshot().is_ok());
}

fn range(bed: &Bed, name: &str, lo: u64, hi: u64) -> Range {
    let name = bed.name(name);
    Range { key: name.public(), lo: name.mask(lo), hi: name.mask(hi) }
}

/// The keys a query finds, each with its owners, in words.
fn ask(bed: &Bed, store: &Store, query: &Query) -> Vec<String> {
    let snapshot = store.snapshot().unwrap();
    let mut found = Vec::new();
    for group in snapshot.query(query).unwrap() {
        for value in &group.values {
            let record = snapshot.record(value.row).unwrap();
            assert_eq!(record.id(&bed.network), value.id);
            let name =
                ["a", "b", "c"].into_iter().find_map(|n| record.open(&bed.network, n.as_bytes(), 1000).ok());
            found.push(String::from_utf8(name.unwrap()).unwrap());
        }
    }
    found.sort();
    found
}

#[test]
fn a_closed_query_wants_exactly_its_selectors_and_an_open_one_at_least_them() {
    let bed = Bed::new();
    let store = bed.create();
    let keys = ["a#1", "a#2", "a#2/b#7", "a#3/b#8", "b#7/a#2", "a#2/c/b#7"];
    put(&store, &keys.map(|key| bed.record(1, key, key)));
    let closed = |ranges: &[Range]| ask(&bed, &store, &Query { ranges: ranges.to_vec(), ..Query::default() });
    let open = |ranges: &[Range]| {
        ask(&bed, &store, &Query { ranges: ranges.to_vec(), open: true, ..Query::default() })
    };
    let (a, b) = (range(&bed, "a", 2, 3), range(&bed, "b", 7, 7));
    assert_eq!(closed(&[a]), ["a#2"]);
    assert_eq!(closed(&[a, b]), ["a#2/b#7"]);
    assert_eq!(closed(&[b, a]), ["b#7/a#2"]);
    assert_eq!(open(&[a]), ["a#2", "a#2/b#7", "a#2/c/b#7", "a#3/b#8", "b#7/a#2"]);
    assert_eq!(open(&[a, b]), ["a#2/b#7", "a#2/c/b#7"], "in this order");
    assert_eq!(open(&[b]), ["a#2/b#7", "a#2/c/b#7", "b#7/a#2"], "wherever it stands");
    assert!(closed(&[range(&bed, "nothing", 0, 9)]).is_empty());
}

#[test]
fn a_query_finds_the_newest_revision_within_its_time_range() {
    let bed = Bed::new();
    let store = bed.create();
    let first = bed.now();
    put(&store, &[bed.record(1, "a", "one"), bed.record(2, "a", "other")]);
    bed.pass(100);
    put(&store, &[bed.record(1, "a", "two")]);
    bed.pass(100);
    put(&store, &[bed.record(1, "a", "")]);
    let ranges = vec![range(&bed, "a", 0, 0)];
    for open in [false, true] {
        let within = |since: Option<u64>, until: Option<u64>| {
            let at = |ms: u64| first.plus(ms);
            let (since, until) = (since.map(at), until.map(at));
            ask(&bed, &store, &Query { ranges: ranges.clone(), since, until, open, ..Query::default() })
        };
        assert_eq!(within(None, None), ["other"], "the first owner deleted it");
        assert_eq!(within(None, Some(150)), ["other", "two"], "as it was then");
        assert_eq!(within(None, Some(50)), ["one", "other"]);
        assert_eq!(within(Some(50), None), [""; 0], "the key's newest is a deletion");
        assert_eq!(within(Some(50), Some(150)), ["two"], "the first revision need not be in the range");
    }
    let owned = Query { ranges, owner: Some(owner(2).key()), ..Query::default() };
    assert_eq!(ask(&bed, &store, &owned), ["other"]);
}

#[test]
fn a_query_groups_owners_by_key_and_keeps_to_its_limit() {
    let bed = Bed::new();
    let store = bed.create();
    let records: Vec<_> =
        (0..6).flat_map(|n| [1, 2].map(|by| bed.record(by, &format!("a#{n}"), "v"))).collect();
    put(&store, &records);
    let query = Query { ranges: vec![range(&bed, "a", 0, 9)], limit: Some(4), ..Query::default() };
    let groups = store.query(&query).unwrap();
    assert_eq!(groups.len(), 4);
    let first: Vec<_> = groups.iter().map(|g| bed.name("a").unmask(g.ordinals[0]).unwrap()).collect();
    assert_eq!(first, [0, 1, 2, 3], "in the order of ordinals");
    assert!(groups.iter().all(|g| g.values.len() == 2 && g.slot == bed.path("a")));
    assert!(matches!(store.query(&Query::default()), Err(StoreError::NoRange)));
}

#[test]
fn a_listing_gives_everything_live_one_owner_has_under_a_name() {
    let bed = Bed::new();
    let store = bed.create();
    let names: Vec<String> = (0..300).map(|n| format!("zone/host{n}")).collect();
    let records: Vec<_> = names.iter().map(|key| bed.record(1, key, "old")).collect();
    put(&store, &records);
    put(&store, &[bed.record(2, "zone/stranger", "x"), bed.record(1, "other/zone", "x")]);
    bed.pass(10);
    put(&store, &[bed.record(1, "zone/host7", "new"), bed.record(1, "zone/host8", "")]);
    let snapshot = store.snapshot().unwrap();
    let zone = bed.name("zone").public();
    let listed: Vec<_> = snapshot.records_under(zone, &owner(1).key()).unwrap().map(Result::unwrap).collect();
    assert_eq!(listed.len(), 299);
    assert!(listed.iter().all(|l| l.record.header.owner == owner(1).key()));
    let of_owner = snapshot.records_of(&owner(1).key()).unwrap().count();
    assert_eq!(of_owner, 300);
    assert_eq!(snapshot.records_under(zone, &owner(9).key()).unwrap().count(), 0);
}

#[test]
fn links_are_distinct_tips_and_the_number_of_tips_shrinks_back() {
    let bed = Bed::new();
    let store = bed.create();
    let mint = |count: usize, label: &str| {
        bed.pass(10);
        let hands = store.links_for(count, bed.now()).unwrap();
        assert!(hands.iter().all(|hand| hand.len() >= 2));
        let records: Vec<_> = hands
            .iter()
            .enumerate()
            .map(|(n, links)| bed.record_on(links, 1, &format!("{label}#{n}"), "v"))
            .collect();
        put(&store, &records);
        store.stats().unwrap().tips
    };
    assert_eq!(mint(40, "a"), 40);
    assert_eq!(mint(10, "b"), 10, "forty tips, four a record");
    let tips = mint(1, "c");
    assert!(tips <= 6, "{tips}");
    assert!(mint(1, "d") <= 2);
}

#[test]
fn links_are_never_ahead_of_now_unless_there_is_nothing_else() {
    let bed = Bed::new();
    let store = bed.create();
    put(&store, &[bed.record_at(bed.now().plus(30_000), &bed.founding_links(), 1, "a", "ahead")]);
    let links = store.links_for(1, bed.now()).unwrap();
    assert!(links[0].iter().all(|link| link.time <= bed.now()), "{links:?}");
    let links = store.links_for(1, Millis(START - 10_000)).unwrap();
    assert_eq!(links[0].len(), 2, "the network was founded this very millisecond");
}

#[test]
fn the_book_keeps_names_once() {
    let bed = Bed::new();
    let store = bed.create();
    store.learn_names(&[b"example", b"org", b"example"]);
    store.learn_names(&[b"org", &[b'x'; 5000]]);
    store.flush();
    assert_eq!(store.snapshot().unwrap().names().unwrap(), [b"example".to_vec(), b"org".to_vec()]);
}
