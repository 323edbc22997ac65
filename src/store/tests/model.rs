//! Random histories: whatever the batches and their order, the derived tables equal a recount, and equal
//! those of the same records ingested in another order.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// Everything a store holds that does not hang on the order of arrival, in words.
pub(super) fn contents(bed: &Bed, store: &Store) -> BTreeSet<String> {
    let report = store.check(CheckOptions::default()).unwrap();
    assert!(report.is_sound(), "{:#?}", report.findings);
    let snapshot = store.snapshot().unwrap();
    let mut out = BTreeSet::new();
    for row in 1..=snapshot.last_row().unwrap().0 {
        let (id, _, record) = snapshot.load(row).unwrap();
        out.insert(format!("record {id}"));
        let paths = record.paths(&bed.network);
        let Some(slot) = paths.last() else { continue };
        for head in snapshot.heads(slot, &record.header.owner, Masked::MIN, Masked::MAX).unwrap() {
            out.insert(format!("head {slot:?} {:?} {} {} {}", head.ordinal, head.rest, head.id, head.live));
        }
        for path in paths.iter().chain([&bed.path("")]) {
            for here in snapshot.presence(path).unwrap() {
                out.insert(format!("presence {path:?} {} {} {}", here.owner, here.at, here.below));
            }
        }
    }
    let tips = snapshot.tips(usize::MAX, Millis(u64::MAX)).unwrap();
    out.extend(tips.iter().map(|tip| format!("tip {}", tip.id)));
    out
}

/// One step of a history: who writes which key, what, and which earlier records it links to.
#[derive(Clone, Debug)]
struct Step {
    by: u8,
    key: usize,
    deletes: bool,
    links: (usize, usize),
    ms: u64,
}

const KEYS: [&str; 8] = ["a", "a#1", "a/b", "a/b#5", "a#1/b", "a/b/c", "d", "a/e/f"];

fn step() -> impl Strategy<Value = Step> {
    let parts = (0_u8..3, 0..KEYS.len(), any::<bool>(), (0_usize..100, 0_usize..100), 0_u64..3);
    parts.prop_map(|(by, key, deletes, links, ms)| Step { by, key, deletes, links, ms })
}

fn write(bed: &Bed, steps: &[Step]) -> Vec<Record> {
    let (mut records, mut links) = (Vec::new(), bed.founding_links());
    for step in steps {
        bed.pass(step.ms);
        let mut chosen = vec![links[step.links.0 % links.len()], links[step.links.1 % links.len()]];
        if chosen[0] == chosen[1] {
            chosen[1] = links[(step.links.1 + 1) % links.len()];
        }
        let value = if step.deletes { "" } else { "v" };
        let record = bed.record_on(&chosen, step.by, KEYS[step.key], value);
        let link = bed.link(&record);
        // Who writes the same with the same links in the same millisecond writes the same record.
        if links.iter().any(|known| known.id == link.id) {
            continue;
        }
        links.push(link);
        records.push(record);
    }
    records
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_order_and_any_batches_make_the_same_store(
        steps in proptest::collection::vec(step(), 1..40),
        order in any::<prop::sample::Index>().prop_flat_map(|_| proptest::collection::vec(any::<u64>(), 40)),
        sizes in proptest::collection::vec(1_usize..9, 40),
        twice in proptest::collection::vec(any::<bool>(), 40),
    ) {
        let bed = Bed::new();
        let records = write(&bed, &steps);
        // Links may run ahead of the pace of the clock by a few milliseconds, never by the drift.
        let straight = bed.create();
        put(&straight, &records);

        let (_home, shuffled) = bed.elsewhere();
        let mut mixed: Vec<_> = records.iter().zip(&order).zip(&twice).collect();
        mixed.sort_by_key(|((_, key), _)| **key);
        let mut mixed: Vec<Record> = mixed
            .into_iter()
            .flat_map(|((record, _), twice)| std::iter::repeat_n(record.clone(), 1 + usize::from(*twice)))
            .collect();
        for size in sizes {
            let batch: Vec<_> = mixed.drain(..size.min(mixed.len())).collect();
            shuffled.ingest(batch, Source::Api);
        }
        shuffled.ingest(mixed, Source::Api);
        prop_assert_eq!(shuffled.stats().unwrap().orphans, 0);
        prop_assert_eq!(contents(&bed, &straight), contents(&bed, &shuffled));
        prop_assert_eq!(straight.stats().unwrap().records, records.len() as u64 + 2);
    }
}
