//! The stream by which a node catches up: who gives it, and when another may.

use super::*;

const OTHER: [u8; 16] = [1; 16];

/// A node that streams from its first peer, which says that it has so many records.
fn streaming(count: u64) -> (Bed, Vec<LinkId>) {
    let (mut bed, links) = Bed::with_peers(2);
    let actions = bed.root_is(links[0], count, OTHER, true);
    assert_eq!(actions, [Action::CatchUp(links[0], FIRST)]);
    (bed, links)
}

fn judged(bed: &mut Bed, link: LinkId, verdict: fn(RecordId) -> Verdict, count: u64) -> Vec<Action> {
    let verdicts = (0..count).map(|n| verdict(id(1_000_000 + n))).collect();
    bed.handle(Input::Judged(link, Via::Stream, verdicts))
}

fn stopped(actions: &[Action]) -> bool {
    actions.iter().any(|action| matches!(action, Action::StopCatchUp(_)))
}

/// Every second the peer brings so many; the millisecond after which it is given up.
fn given_up(verdict: fn(RecordId) -> Verdict, a_second: u64) -> Option<u64> {
    let (mut bed, links) = streaming(u64::MAX);
    let begun = bed.now;
    for _ in 0..120 {
        bed.wait(1_000);
        if stopped(&judged(&mut bed, links[0], verdict, a_second)) {
            return Some(bed.now.0 - begun.0);
        }
    }
    None
}

#[test]
fn who_repeats_what_is_known_does_not_stay_the_giver() {
    let known = given_up(Verdict::Known, 1_000).expect("given up");
    assert!(known <= STREAM_JUDGED_MS + 2_000, "after {known} ms");
}

#[test]
fn orphans_are_nothing_new() {
    let orphan = |id| Verdict::Orphan { id, missing: vec![RecordId([3; 32])] };
    assert!(given_up(orphan, 1_000).is_some());
}

#[test]
fn who_brings_something_new_stays_the_giver() {
    assert_eq!(given_up(Verdict::Accepted, STREAM_NEW_MIN / 10), None);
}

#[test]
fn a_disk_that_takes_its_time_is_not_the_givers_fault() {
    let (mut bed, links) = streaming(u64::MAX);
    for _ in 0..10 {
        bed.wait(3 * STREAM_JUDGED_MS);
        assert!(!stopped(&judged(&mut bed, links[0], Verdict::Accepted, 500)));
    }
}

#[test]
fn when_a_giver_is_given_up_another_is_streamed_from_and_nobody_is_blamed() {
    let (mut bed, links) = streaming(2 * FAR_BEHIND);
    judged(&mut bed, links[0], Verdict::Known, 10);
    bed.wait(STREAM_JUDGED_MS);
    let actions = judged(&mut bed, links[0], Verdict::Known, 10);
    assert_eq!(actions, [Action::StopCatchUp(links[0])]);
    assert!(!bed.engine.turns_away(Some(key(1)), remote(1).ip(), bed.now));
    assert_eq!(bed.root_is(links[1], 2 * FAR_BEHIND, OTHER, true), [Action::CatchUp(links[1], FIRST)]);
    // The net may say all the same that the first has ended: the second goes on.
    bed.handle(Input::Caught(links[0], 20));
    judged(&mut bed, links[0], Verdict::Known, 10);
    assert!(bed.engine.progress(bed.now).catching_up.is_some());
}

#[test]
fn who_was_given_up_is_compared_with_and_not_streamed_from() {
    let (mut bed, links) = streaming(2 * FAR_BEHIND);
    judged(&mut bed, links[0], Verdict::Known, 10);
    bed.wait(STREAM_JUDGED_MS);
    judged(&mut bed, links[0], Verdict::Known, 10);
    let actions = bed.root_is(links[0], 2 * FAR_BEHIND, OTHER, true);
    assert!(matches!(actions[..], [Action::Compare(..)]), "{actions:?}");
}

#[test]
fn a_stream_of_known_records_brought_little_however_many_they_were() {
    let (mut bed, links) = streaming(2 * FAR_BEHIND);
    judged(&mut bed, links[0], Verdict::Known, FAR_BEHIND);
    bed.handle(Input::Caught(links[0], FAR_BEHIND));
    let actions = bed.root_is(links[0], 2 * FAR_BEHIND, OTHER, true);
    assert!(matches!(actions[..], [Action::Compare(..)]), "{actions:?}");
}

#[test]
fn no_more_is_taken_than_the_peer_said_it_has_and_a_little() {
    let (mut bed, links) = streaming(2 * FAR_BEHIND);
    assert!(!stopped(&judged(&mut bed, links[0], Verdict::Accepted, 2 * FAR_BEHIND + STREAM_SLACK)));
    assert!(stopped(&judged(&mut bed, links[0], Verdict::Accepted, 1)));
    assert_eq!(bed.engine.progress(bed.now).catching_up, None);
}

#[test]
fn a_stream_that_would_take_long_gives_way_once_to_another() {
    let (mut bed, links) = streaming(u64::MAX);
    let bring = |bed: &mut Bed, link, a_second| {
        for _ in 0..STREAM_TRIED_MS / 1_000 {
            bed.wait(1_000);
            assert!(!stopped(&judged(bed, link, Verdict::Accepted, a_second)));
        }
    };
    assert_eq!(bed.root_is(links[1], u64::MAX, OTHER, true), [], "it has not shown its pace");
    bring(&mut bed, links[0], 50);
    let actions = bed.root_is(links[1], u64::MAX, OTHER, true);
    assert_eq!(actions, [Action::StopCatchUp(links[0]), Action::CatchUp(links[1], FIRST)]);
    bring(&mut bed, links[1], 1_000);
    assert_eq!(bed.root_is(links[0], u64::MAX, OTHER, true), [], "it was slower");
}

#[test]
fn a_stream_that_is_soon_done_is_not_disturbed() {
    let (mut bed, links) = streaming(100_000);
    for _ in 0..2 * STREAM_TRIED_MS / 1_000 {
        bed.wait(1_000);
        judged(&mut bed, links[0], Verdict::Accepted, 300);
    }
    assert_eq!(bed.root_is(links[1], 100_000, OTHER, true), []);
}
