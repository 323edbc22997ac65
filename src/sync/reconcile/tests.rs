//! What a comparison promises: the differences, at a bounded cost, whatever the peer says.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::record::Millis;

fn point(time: u64, id: u64) -> Point {
    (Millis(time), RecordId(hash("test", &NetworkId([0; 32]), &[&id.to_be_bytes(), &time.to_be_bytes()])))
}

fn scope() -> Scope {
    Scope { salt: [3; 16], until: (Millis(1 << 40), RecordId([0; 32])) }
}

struct Ran {
    turns: usize,
    bytes: usize,
    asked: Found,
    answered: Found,
}

fn run(ours: &[Point], theirs: &[Point]) -> Ran {
    let (mut a, mut b) = (Side::new(scope()), Side::new(scope()));
    let mut turn = a.open(ours).unwrap();
    let (mut turns, mut bytes) = (1, turn.len());
    while let Some(reply) = b.answer(theirs, &turn).unwrap() {
        (turns, bytes) = (turns + 1, bytes + reply.len());
        let Some(next) = a.answer(ours, &reply).unwrap() else { break };
        (turns, bytes) = (turns + 1, bytes + next.len());
        turn = next;
    }
    Ran { turns, bytes, asked: a.finish(), answered: b.finish() }
}

fn ids(points: impl Iterator<Item = Point>) -> BTreeSet<RecordId> {
    points.map(|(_, id)| id).collect()
}

fn check(ours: &BTreeSet<Point>, theirs: &BTreeSet<Point>) -> Ran {
    let (a, b): (Vec<Point>, Vec<Point>) = (ours.iter().copied().collect(), theirs.iter().copied().collect());
    let ran = run(&a, &b);
    let (only_a, only_b) = (ids(ours.difference(theirs).copied()), ids(theirs.difference(ours).copied()));
    // Each side knows what it can give; what it can get, either it knows or the other does.
    let have: BTreeSet<RecordId> = ran.asked.have.iter().chain(&ran.answered.need).copied().collect();
    let need: BTreeSet<RecordId> = ran.asked.need.iter().chain(&ran.answered.have).copied().collect();
    assert!((have, need) == (only_a, only_b));
    let told = |found: &Found| found.have.iter().copied().collect::<BTreeSet<_>>();
    assert!(told(&ran.asked) == ids(ours.difference(theirs).copied()));
    assert!(told(&ran.answered) == ids(theirs.difference(ours).copied()));
    ran
}

proptest! {
    #[test]
    fn exactly_the_differences_are_found(
        shared in prop::collection::btree_set((0_u64..200, 0_u64..40), 0..600),
        a in prop::collection::btree_set((0_u64..200, 40_u64..60), 0..80),
        b in prop::collection::btree_set((0_u64..200, 60_u64..80), 0..300),
    ) {
        let make = |more: BTreeSet<(u64, u64)>| -> BTreeSet<Point> {
            shared.iter().copied().chain(more).map(|(time, id)| point(time, id)).collect()
        };
        check(&make(a), &make(b));
    }

    #[test]
    fn no_bytes_of_a_peer_make_a_side_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let points: Vec<Point> = (0..500).map(|n| point(n, n)).collect();
        let mut side = Side::new(scope());
        side.open(points.as_slice()).unwrap();
        let _ = side.answer(points.as_slice(), &bytes);
    }
}

#[test]
fn equal_sets_cost_one_round_trip_and_few_bytes() {
    let set: BTreeSet<Point> = (0..10_000).map(|n| point(n * 7, n)).collect();
    let ran = check(&set, &set);
    assert_eq!(ran.turns, 2);
    assert!(ran.bytes <= 400, "{} bytes", ran.bytes);
}

#[test]
fn a_hundred_times_the_records_cost_little_more_at_equal_difference() {
    let cost = |count: u64| {
        let all: BTreeSet<Point> = (0..count).map(|n| point(n * 7, n)).collect();
        let mut some = all.clone();
        for n in (0..10).map(|n| n * (count / 10)) {
            some.remove(&point(n * 7, n));
        }
        check(&some, &all).bytes
    };
    let (small, large) = (cost(1_000), cost(100_000));
    assert!(large < 4 * small, "{small} bytes at 1,000 records, {large} at 100,000");
}

#[test]
fn what_is_too_much_for_one_turn_goes_on_in_the_next() {
    let all: BTreeSet<Point> = (0..60_000).map(|n| point(n, n)).collect();
    let none = BTreeSet::from([point(3, 3)]);
    let ran = check(&none, &all);
    assert!(ran.turns > 4, "{} turns", ran.turns);
}

#[test]
fn an_audit_finds_what_plain_sums_would_hide() {
    let all: Vec<Point> = (0..20_000).map(|n| point(n, n)).collect();
    let mut swapped = all.clone();
    // As if both sums were equal: an audit does not look at them.
    swapped[70] = point(70, 99_999);
    let found = |pick: u64| {
        let (mut a, mut b) = (Side::new(scope()), Side::new(scope()));
        let mut turn = a.audit(all.as_slice(), pick).unwrap();
        while let Some(reply) = b.answer(swapped.as_slice(), &turn).unwrap() {
            let Some(next) = a.answer(all.as_slice(), &reply).unwrap() else { break };
            turn = next;
        }
        let (a, b) = (a.finish(), b.finish());
        a.have == [all[70].1] && b.have == [swapped[70].1]
    };
    assert_eq!((0..PARTS as u64).filter(|pick| found(*pick)).count(), 1, "one range of sixteen has it");
}

#[test]
fn an_answer_to_a_list_that_was_not_sent_is_refused() {
    let points: Vec<Point> = (0..10).map(|n| point(n, n)).collect();
    let mut side = Side::new(scope());
    let mut turn = Turn::new();
    turn.say(&point(5, 0), &Say::Found { lacking: vec![], extras: vec![] });
    let answered = side.answer(points.as_slice(), &turn.bytes);
    assert!(matches!(answered, Err(ReconcileError::Wire(WireError::Field("answer")))));
}

/// A turn of ranges that all say the same.
fn saying(ranges: u64, say: impl Fn() -> Say) -> Vec<u8> {
    let mut turn = Turn::new();
    for n in 1..=ranges {
        turn.say(&(Millis(n), RecordId([0; 32])), &say());
    }
    turn.bytes
}

#[test]
fn keyed_sums_are_for_the_one_range_of_an_audit() {
    let points: Vec<Point> = (0..20_000).map(|n| point(n, n)).collect();
    let refused = |side: &mut Side, turn: &[u8]| {
        matches!(
            side.answer(points.as_slice(), turn),
            Err(ReconcileError::Wire(WireError::Field("keyed range")))
        )
    };
    let keyed = |ranges| saying(ranges, || Say::Keyed([9; 16]));
    let mut side = Side::new(scope());
    assert!(refused(&mut side, &keyed(2)), "two ranges");
    let mut side = Side::new(scope());
    side.answer(points.as_slice(), &saying(2, || Say::Fingerprint([9; 16]))).unwrap();
    assert!(refused(&mut side, &keyed(1)), "not in the first turn");
    let mut side = Side::new(scope());
    side.open(points.as_slice()).unwrap();
    assert!(refused(&mut side, &keyed(1)), "nobody audits");
}

#[test]
fn an_audit_without_end_is_ended() {
    let points: Vec<Point> = (0..4_000).map(|n| point(n, n)).collect();
    let mut turn = Turn::new();
    turn.say(&scope().until, &Say::Keyed([9; 16]));
    let mut side = Side::new(scope());
    let answered = (0..100).map(|_| side.answer(points.as_slice(), &turn.bytes)).take_while(Result::is_ok);
    assert!(answered.count() <= KEYED_SESSION_MAX / 4_000);
}

#[test]
fn a_session_asks_of_so_many_ranges_and_no_more() {
    let points: Vec<Point> = (0..100).map(|n| point(n, n)).collect();
    let turn = saying(60_000, || Say::List(vec![]));
    let mut side = Side::new(scope());
    let answered = (0..100).map(|_| side.answer(points.as_slice(), &turn)).take_while(Result::is_ok);
    assert_eq!(answered.count(), RANGES_MAX / 60_000);
    // Before that it has stopped to look.
    assert!(side.is_enough(0));
}

#[test]
fn a_comparison_that_found_all_it_may_comes_to_its_end() {
    let points: Vec<Point> = (0..100).map(|n| point(n, n)).collect();
    let mut side = Side::new(scope());
    side.found.need = vec![RecordId([1; 32]); FOUND_MAX];
    let turn = saying(3, || Say::Fingerprint([9; 16]));
    assert_eq!(side.answer(points.as_slice(), &turn).unwrap(), Some(vec![]));
}

/// Late as soon as it was asked so often.
struct Slow<'a>(&'a [Point], std::cell::Cell<usize>);

impl Set for Slow<'_> {
    fn tally(&self, low: &Point, high: &Point) -> Result<Tally, StoreError> {
        self.1.set(self.1.get() + 1);
        self.0.tally(low, high)
    }

    fn divide(&self, low: &Point, high: &Point, parts: usize) -> Result<Vec<Part>, StoreError> {
        self.0.divide(low, high, parts)
    }

    fn list(&self, low: &Point, high: &Point, limit: usize) -> Result<Vec<Point>, StoreError> {
        self.0.list(low, high, limit)
    }

    fn late(&self) -> bool {
        self.1.get() >= 3
    }
}

#[test]
fn a_side_that_is_slow_makes_short_turns_and_finds_everything() {
    let all: Vec<Point> = (0..20_000).map(|n| point(n, n)).collect();
    let some: Vec<Point> = all.iter().enumerate().filter(|(n, _)| n % 97 != 0).map(|(_, p)| *p).collect();
    let (mut a, mut b) = (Side::new(scope()), Side::new(scope()));
    let slow = |points| Slow(points, std::cell::Cell::default());
    let mut turn = a.open(some.as_slice()).unwrap();
    while let Some(reply) = b.answer(&slow(all.as_slice()), &turn).unwrap() {
        let Some(next) = a.answer(&slow(some.as_slice()), &reply).unwrap() else { break };
        turn = next;
    }
    let have: BTreeSet<RecordId> = b.finish().have.into_iter().collect();
    assert!(have == ids(all.iter().step_by(97).copied()));
}

#[test]
fn an_audit_of_what_cannot_be_cut_ends() {
    struct Whole<'a>(&'a [Point]);
    impl Set for Whole<'_> {
        fn tally(&self, low: &Point, high: &Point) -> Result<Tally, StoreError> {
            self.0.tally(low, high)
        }

        fn divide(&self, low: &Point, high: &Point, _: usize) -> Result<Vec<Part>, StoreError> {
            Ok(vec![(*high, self.0.tally(low, high)?)])
        }

        fn list(&self, low: &Point, high: &Point, limit: usize) -> Result<Vec<Point>, StoreError> {
            self.0.list(low, high, limit)
        }
    }
    let points: Vec<Point> = (0..5_000).map(|n| point(n, n)).collect();
    let mut side = Side::new(scope());
    assert!(!side.audit(&Whole(&points), 7).unwrap().is_empty());
}
