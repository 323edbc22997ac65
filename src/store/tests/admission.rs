//! The admission law: the verdict on a record depends on its bytes and its ancestors', never on the order
//! of arrival. So equal sets of records, in whatever order, make equal stores.

use super::*;

#[test]
fn children_before_parents_and_one_by_one_backwards_make_the_same_store() {
    let bed = Bed::new();
    let store = bed.create();
    let mut chain = Vec::new();
    let mut links = bed.founding_links();
    for n in 0..30 {
        bed.pass(1);
        let record = bed.record_on(&links, u8::from(n % 2 == 1), "a/b", if n % 4 == 3 { "" } else { "v" });
        links = vec![bed.link(&record), links[0]];
        chain.push(record);
    }
    for record in chain.iter().rev() {
        store.ingest(vec![record.clone()], Source::Import);
    }
    let (_home, straight) = bed.elsewhere();
    put(&straight, &chain);
    assert_eq!(model::contents(&bed, &store), model::contents(&bed, &straight));
    assert_eq!(store.stats().unwrap().records, 32);
}

#[test]
fn an_invalid_ancestor_keeps_its_descendants_out_wherever_they_come_from() {
    let bed = Bed::new();
    let store = bed.create();
    let mut bad = bed.record(1, "a", "1");
    bad.signature[0] ^= 1;
    let child = bed.record_on(&[bed.link(&bad), bed.link(&bed.genesis[0])], 1, "b", "1");
    for order in [[&bad, &child], [&child, &bad]] {
        let verdicts = store.ingest(order.into_iter().cloned().collect(), Source::Import);
        assert!(verdicts.iter().all(|v| v.stored().is_none()), "{verdicts:?}");
    }
    assert_eq!(store.stats().unwrap().records, 2);
}

#[test]
fn equal_times_are_decided_by_the_greater_id_in_either_order() {
    let bed = Bed::new();
    let (one, two) = (bed.record(1, "a", "one"), bed.record(1, "a", "two"));
    let winner = if one.id(&bed.network) > two.id(&bed.network) { "one" } else { "two" };
    for order in [[&one, &two], [&two, &one]] {
        let (_home, store) = bed.elsewhere();
        for record in order {
            put(&store, std::slice::from_ref(record));
        }
        assert_eq!(bed.value(&store, 1, "a").as_deref(), Some(winner));
    }
}
