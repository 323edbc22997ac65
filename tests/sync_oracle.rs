//! Our comparison and the crate `negentropy`, written by others, find the same differences.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use lfdns::record::{Millis, NetworkId, RecordId, hash};
use lfdns::store::Point;
use lfdns::sync::reconcile::{Scope, Side};
use negentropy::{Id, Negentropy, NegentropyStorageVector};
use proptest::prelude::*;

/// What the side that asks has alone, and what it lacks.
type Differences = (BTreeSet<[u8; 32]>, BTreeSet<[u8; 32]>);

fn point((time, number): (u64, u64)) -> Point {
    let bytes = [time.to_be_bytes(), number.to_be_bytes()].concat();
    (Millis(1_000_000 + time), RecordId(hash("lfdns oracle", &NetworkId([0; 32]), &[&bytes])))
}

fn ours(here: &[Point], there: &[Point]) -> Differences {
    let scope = Scope { salt: [9; 16], until: (Millis(1 << 40), RecordId([0; 32])) };
    let (mut asks, mut answers) = (Side::new(scope), Side::new(scope));
    let mut turn = asks.open(here).unwrap();
    while let Some(reply) = answers.answer(there, &turn).unwrap() {
        let Some(next) = asks.answer(here, &reply).unwrap() else { break };
        turn = next;
    }
    let ids = |found: Vec<RecordId>| found.into_iter().map(|id| id.0).collect();
    // Each side knows all that the other lacks.
    (ids(asks.finish().have), ids(answers.finish().have))
}

fn theirs(here: &[Point], there: &[Point]) -> Differences {
    let storage = |points: &[Point]| {
        let mut storage = NegentropyStorageVector::new();
        for (time, id) in points {
            storage.insert(time.0, Id::from_byte_array(id.0)).unwrap();
        }
        storage.seal().unwrap();
        storage
    };
    let mut asks = Negentropy::owned(storage(here), 0).unwrap();
    let mut answers = Negentropy::owned(storage(there), 0).unwrap();
    let (mut have, mut need) = (vec![], vec![]);
    let mut turn = asks.initiate().unwrap();
    loop {
        let reply = answers.reconcile(&turn).unwrap();
        match asks.reconcile_with_ids(&reply, &mut have, &mut need).unwrap() {
            Some(next) => turn = next,
            None => break,
        }
    }
    let ids = |ids: Vec<Id>| ids.into_iter().map(Id::to_bytes).collect();
    (ids(have), ids(need))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn both_find_the_same_differences(
        shared in prop::collection::btree_set((0_u64..500, 0_u64..50), 0..1_200),
        here in prop::collection::btree_set((0_u64..500, 50_u64..80), 0..200),
        there in prop::collection::btree_set((400_u64..500, 80_u64..110), 0..400),
    ) {
        let set = |more: &BTreeSet<(u64, u64)>| -> Vec<Point> {
            let all: BTreeSet<Point> = shared.iter().chain(more).copied().map(point).collect();
            all.into_iter().collect()
        };
        let (here, there) = (set(&here), set(&there));
        prop_assert_eq!(ours(&here, &there), theirs(&here, &there));
    }
}
