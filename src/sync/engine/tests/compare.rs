//! Roots, comparisons, streams, and when a node may say that it is in agreement.

use super::*;
use crate::sync::reconcile::Found;

const OTHER: [u8; 16] = [1; 16];

#[test]
fn roots_are_compared_now_and_then() {
    let (mut bed, links) = Bed::with_peers(1);
    let mut asked = 0;
    for _ in 0..100 {
        for link in roots(&bed.wait(1_000)) {
            asked += 1;
            assert_eq!(link, links[0]);
            let root = Root {
                until: Millis(bed.store.clock.0 - SETTLE_MS),
                count: 0,
                fingerprint: Tally::default().fingerprint(),
                synchronised: true,
            };
            bed.handle(Input::Said(link, Message::RootIs(root)));
        }
    }
    assert!((15..=27).contains(&asked), "{asked} in a hundred seconds");
}

#[test]
fn equal_roots_are_agreement() {
    let (mut bed, links) = Bed::with_peers(1);
    bed.commit(1);
    assert_eq!(bed.agree(links[0], true), []);
    assert_eq!(bed.engine.progress(bed.now).lag_ms, Some(0));
}

#[test]
fn unequal_roots_lead_to_a_comparison() {
    let (mut bed, links) = Bed::with_peers(1);
    let until = bed.asked(links[0]);
    let root = Root { until, count: 5, fingerprint: OTHER, synchronised: true };
    let actions = bed.handle(Input::Said(links[0], Message::RootIs(root)));
    assert_eq!(actions, [Action::Compare(links[0], until)]);
}

#[test]
fn a_peer_whose_clock_is_behind_decides_how_far_is_compared() {
    let (mut bed, links) = Bed::with_peers(1);
    let until = Millis(bed.asked(links[0]).0 - 500);
    let root = Root { until, count: 5, fingerprint: OTHER, synchronised: true };
    let actions = bed.handle(Input::Said(links[0], Message::RootIs(root)));
    assert_eq!(actions, [Action::Compare(links[0], until)]);
}

#[test]
fn a_root_from_the_future_is_answered_up_to_our_own_clock() {
    let (mut bed, links) = Bed::with_peers(1);
    let until = bed.store.clock.plus(3_600_000);
    let root = Root { until, count: 0, fingerprint: OTHER, synchronised: true };
    let actions = bed.handle(Input::Said(links[0], Message::Root(root)));
    let [Action::Say(_, Message::RootIs(ours))] = &actions[..] else { panic!("{actions:?}") };
    assert_eq!(ours.until, bed.store.clock);
}

#[test]
fn an_answer_nobody_asked_for_is_ignored() {
    let (mut bed, links) = Bed::with_peers(1);
    let root = Root { until: Millis(1), count: 5, fingerprint: OTHER, synchronised: true };
    assert_eq!(bed.handle(Input::Said(links[0], Message::RootIs(root))), []);
}

#[test]
fn few_comparisons_are_led_at_a_time() {
    let (mut bed, _) = Bed::with_peers(8);
    // All of them are asked for their roots, and none of the comparisons ends.
    bed.handle(Input::Unheard);
    let mut led: Vec<LinkId> = vec![];
    let mut differ = |bed: &mut Bed, ms: u64| {
        for action in bed.wait(ms) {
            let Action::Say(link, Message::Root(root)) = action else { continue };
            let root = Root { count: 5, fingerprint: OTHER, ..root };
            if let [Action::Compare(with, _)] = bed.handle(Input::Said(link, Message::RootIs(root)))[..] {
                led.push(with);
            }
        }
        led.clone()
    };
    let first = differ(&mut bed, COMPARISON_MS / 2);
    assert_eq!(first.len(), COMPARISONS_MAX, "{first:?}");
    bed.handle(Input::Compared(first[0], true, None));
    assert_eq!(differ(&mut bed, COMPARISON_MS / 4).len(), COMPARISONS_MAX + 1);
}

#[test]
fn comparisons_that_last_keep_no_others_from_being_led() {
    let (mut bed, links) = Bed::with_peers(8);
    for link in &links[..COMPARISONS_MAX] {
        bed.root_is(*link, 5, OTHER, true);
    }
    bed.wait(COMPARISON_MS);
    let actions = bed.root_is(links[7], 5, OTHER, true);
    assert!(matches!(actions[..], [Action::Compare(..)]), "{actions:?}");
    let found = Found { need: ids(1..3), ..Found::default() };
    bed.handle(Input::Compared(links[0], true, Some(found)));
    assert_eq!(fetches(&bed.wait(0)), [(links[0], ids(1..3))]);
}

#[test]
fn audits_are_bounded_and_take_no_place_of_comparisons() {
    let (mut bed, links) = Bed::with_peers(8);
    let mut audits = vec![];
    for _ in 0..40 * AUDIT_EVERY {
        for action in bed.wait(ROOT_EVERY_MS / 10) {
            let Action::Say(link, Message::Root(root)) = action else { continue };
            let actions = bed.handle(Input::Said(link, Message::RootIs(root)));
            audits.extend(actions.iter().filter_map(|action| match action {
                Action::Audit(link, ..) => Some((bed.now, *link)),
                _ => None,
            }));
        }
        // None of them ever ends.
        let lately = audits.iter().filter(|(at, _)| at.plus(COMPARISON_MS) > bed.now).count();
        assert!(lately <= AUDITS_MAX, "{audits:?}");
        if lately == AUDITS_MAX {
            let free = links.iter().find(|link| audits.iter().all(|(_, other)| other != *link));
            let actions = free.map(|link| bed.root_is(*link, 5, OTHER, true));
            let compared = |action: &Action| matches!(action, Action::Compare(..));
            assert!(actions.is_some_and(|actions| actions.iter().any(compared)));
            return;
        }
    }
    panic!("no two audits at a time: {audits:?}");
}

#[test]
fn what_a_comparison_found_is_fetched_and_announced() {
    let (mut bed, links) = Bed::with_peers(1);
    bed.root_is(links[0], 5, OTHER, true);
    let found = Found { need: ids(1..3), have: ids(3..5) };
    bed.handle(Input::Compared(links[0], true, Some(found)));
    let actions = bed.wait(2 * ANNOUNCE_GATHER_MS);
    assert_eq!(fetches(&actions), [(links[0], ids(1..3))]);
    assert_eq!(announced(&actions), BTreeMap::from([(links[0], ids(3..5))]));
}

#[test]
fn after_a_comparison_that_found_something_roots_are_compared_soon() {
    let (mut bed, links) = Bed::with_peers(1);
    bed.root_is(links[0], 5, OTHER, true);
    let found = Found { need: ids(1..3), ..Found::default() };
    bed.handle(Input::Compared(links[0], true, Some(found)));
    assert_eq!(roots(&bed.wait(5 * ROOT_SOON_MS)), [links[0]]);
}

#[test]
fn a_peer_that_does_not_answer_is_asked_again_later() {
    let (mut bed, links) = Bed::with_peers(1);
    bed.asked(links[0]);
    assert!(roots(&bed.wait(ROOT_WAIT_MS - 1_000)).is_empty());
    assert_eq!(roots(&bed.wait(1_500)), [links[0]]);
}

#[test]
fn a_node_far_behind_streams_instead() {
    let (mut bed, links) = Bed::with_peers(2);
    let actions = bed.root_is(links[0], FAR_BEHIND + 2, OTHER, true);
    assert_eq!(actions, [Action::CatchUp(links[0], FIRST)]);
    assert_eq!(bed.root_is(links[1], FAR_BEHIND + 2, OTHER, true), [], "from one peer at a time");
    assert_eq!(bed.engine.progress(bed.now).catching_up, Some((1, FAR_BEHIND + 2)));
}

#[test]
fn a_node_that_has_much_streams_from_its_newest_record() {
    let (mut bed, links) = Bed::with_peers(1);
    for number in 0..100 {
        bed.store.points.insert((Millis(1_000 + number), id(number)));
    }
    let actions = bed.root_is(links[0], 102 + FAR_BEHIND, OTHER, true);
    assert_eq!(actions, [Action::CatchUp(links[0], (Millis(1_099), id(99)))]);
}

#[test]
fn whoever_is_far_ahead_leaves_it_to_the_other_to_compare() {
    let (mut bed, links) = Bed::with_peers(1);
    bed.store.points.extend((0..=FAR_BEHIND).map(|number| (Millis(1_000 + number), id(number))));
    assert_eq!(bed.root_is(links[0], 0, OTHER, true), []);
    let actions = bed.root_is(links[0], 5, OTHER, true);
    assert!(matches!(actions[..], [Action::Compare(..)]), "{actions:?}");
}

#[test]
fn with_who_gives_a_stream_nothing_is_compared_beside_it() {
    let (mut bed, links) = Bed::with_peers(1);
    bed.root_is(links[0], FAR_BEHIND + 2, OTHER, true);
    assert_eq!(bed.root_is(links[0], FAR_BEHIND / 2, OTHER, true), []);
}

#[test]
fn after_a_stream_roots_are_compared_at_once() {
    let (mut bed, links) = Bed::with_peers(1);
    bed.root_is(links[0], 2 * FAR_BEHIND, OTHER, true);
    let verdicts = ids(1..2 * FAR_BEHIND).into_iter().map(Verdict::Accepted).collect();
    bed.handle(Input::Judged(links[0], Via::Stream, verdicts));
    bed.handle(Input::Caught(links[0], 2 * FAR_BEHIND));
    assert_eq!(roots(&bed.wait(0)), [links[0]]);
    assert_eq!(bed.engine.progress(bed.now).catching_up, None);
}

#[test]
fn after_a_stream_that_brought_little_a_comparison_follows() {
    let (mut bed, links) = Bed::with_peers(1);
    bed.root_is(links[0], 2 * FAR_BEHIND, OTHER, true);
    bed.handle(Input::Caught(links[0], 10));
    let actions = bed.root_is(links[0], 2 * FAR_BEHIND, OTHER, true);
    assert!(matches!(actions[..], [Action::Compare(..)]), "{actions:?}");
}

#[test]
fn a_stream_ends_with_its_connection() {
    let (mut bed, links) = Bed::with_peers(2);
    bed.root_is(links[0], 2 * FAR_BEHIND, OTHER, true);
    bed.handle(Input::Down(links[0], None));
    let actions = bed.root_is(links[1], 2 * FAR_BEHIND, OTHER, true);
    assert_eq!(actions, [Action::CatchUp(links[1], FIRST)]);
}

#[test]
fn a_node_is_synchronised_when_it_agrees_with_one_that_is() {
    let mut bed = Bed::of(OWN, false);
    let link = bed.up(1);
    assert_eq!(bed.agree(link, true), [Action::Synchronised]);
    assert!(bed.engine.synchronised());
    assert_eq!(bed.agree(link, true), [], "once is enough");
}

#[test]
fn agreement_with_one_that_never_was_is_none() {
    let mut bed = Bed::of(OWN, false);
    let (link, _) = bed.connect(1, false, Hello { synchronised: false, ..hello(1) });
    assert_eq!(bed.agree(link, false), []);
    assert!(!bed.engine.synchronised());
}

#[test]
fn where_nobody_ever_was_in_agreement_it_is_taken_after_a_while() {
    let mut bed = Bed::of(OWN, false);
    let (link, _) = bed.connect(1, false, Hello { synchronised: false, ..hello(1) });
    let mut waited = 0;
    while bed.agree(link, false).is_empty() {
        waited = bed.now.0 - START.0;
        assert!(waited < 2 * UNSURE_MS);
    }
    assert!(waited + 2 * ROOT_EVERY_MS >= UNSURE_MS && bed.now.0 - START.0 >= UNSURE_MS);
}

#[test]
fn a_store_that_cannot_say_compares_nothing_and_does_not_spin() {
    let (mut bed, _) = Bed::with_peers(3);
    bed.store.sick = true;
    assert!(roots(&bed.wait(60_000)).is_empty());
}

#[test]
fn about_the_distant_past_everybody_agrees_and_it_counts_for_nothing() {
    let mut bed = Bed::of(OWN, false);
    let link = bed.up(1);
    bed.asked(link);
    let until = Millis(START.0 - 2 * AGREE_WITHIN_MS);
    let tally = bed.store.tally(until).expect("a sound store");
    let root = Root { until, count: tally.count, fingerprint: tally.fingerprint(), synchronised: true };
    assert_eq!(bed.handle(Input::Said(link, Message::RootIs(root))), []);
    assert!(!bed.engine.synchronised());
}

/// A node never in agreement, and two peers, of which the second has said that it has more.
fn contradicted() -> (Bed, Vec<LinkId>) {
    let mut bed = Bed::of(OWN, false);
    let links: Vec<LinkId> = (1..=2).map(|number| bed.up(number)).collect();
    let actions = bed.root_is(links[1], 5, OTHER, true);
    assert!(matches!(actions[..], [Action::Compare(..)]), "{actions:?}");
    (bed, links)
}

#[test]
fn who_says_back_what_it_is_told_does_not_make_a_node_ready_while_another_has_more() {
    let (mut bed, links) = contradicted();
    assert_eq!(bed.agree(links[0], true), []);
    let found = Found { need: ids(1..4), ..Found::default() };
    bed.handle(Input::Compared(links[1], true, Some(found)));
    for number in 1..4 {
        bed.commit(number);
        bed.judged(links[1], Via::Fetch, Verdict::Accepted(id(number)));
    }
    bed.handle(Input::Fetched(links[1], ids(1..4)));
    bed.wait(SETTLE_MS);
    assert!(!bed.agree(links[0], true).contains(&Action::Synchronised), "it may still have more");
    assert!(bed.agree(links[1], true).contains(&Action::Synchronised));
}

#[test]
fn who_says_that_it_has_more_and_does_not_is_heard_out_once() {
    let (mut bed, links) = contradicted();
    let found = Found { have: ids(1..2), ..Found::default() };
    bed.handle(Input::Compared(links[1], true, Some(found)));
    bed.root_is(links[1], 5, OTHER, true);
    assert!(bed.agree(links[0], true).contains(&Action::Synchronised));
}

#[test]
fn a_comparison_that_failed_has_heard_nobody_out() {
    for nothing in [None, Some(Found::default())] {
        let (mut bed, links) = contradicted();
        bed.handle(Input::Compared(links[1], true, nothing));
        bed.root_is(links[1], 5, OTHER, true);
        assert!(!bed.agree(links[0], true).contains(&Action::Synchronised));
    }
}

#[test]
fn who_says_that_it_has_more_and_nothing_else_is_not_waited_for_long() {
    let (mut bed, links) = contradicted();
    while bed.agree(links[0], true).is_empty() {
        assert!(bed.now.0 < START.0 + CLAIM_MS + 3 * ROOT_EVERY_MS);
    }
    assert!(bed.engine.synchronised() && bed.now.0 >= START.0 + CLAIM_MS);
}

#[test]
fn nor_are_any_number_of_them() {
    let (mut bed, links) = contradicted();
    let mut number = 3;
    let mut synchronised = false;
    while !synchronised {
        // Each time it is another.
        let (link, _) = bed.connect(number, false, hello(1));
        number = 3 + number % 30;
        bed.root_is(link, 5, OTHER, true);
        synchronised = bed.agree(links[0], true).contains(&Action::Synchronised);
        bed.handle(Input::Compared(links[0], true, None));
        bed.handle(Input::Down(link, None));
        assert!(bed.now.0 < START.0 + CLAIMS_PATIENCE_MS + 60_000);
    }
    assert!(bed.now.0 >= START.0 + CLAIMS_PATIENCE_MS);
}

#[test]
fn who_was_there_before_is_asked_what_it_has() {
    let mut bed = Bed::of(OWN, false);
    let links: Vec<LinkId> = (1..=2).map(|number| bed.up(number)).collect();
    assert_eq!(bed.agree(links[1], true), []);
    bed.wait(ROOT_WAIT_MS);
    bed.handle(Input::Fetched(links[1], vec![]));
    let mut agreed = vec![];
    for _ in 0..3 {
        agreed.extend(bed.agree(links[1], true));
    }
    assert!(agreed.contains(&Action::Synchronised), "it says nothing");
}

#[test]
fn after_more_than_may_be_wanted_at_a_time_the_next_comparison_follows_at_once() {
    let (mut bed, links) = Bed::with_peers(1);
    let many = 2 * WANTS_PER_LINK_MAX as u64;
    bed.root_is(links[0], FAR_BEHIND, OTHER, true);
    bed.handle(Input::Compared(links[0], true, Some(Found { need: ids(1..many), ..Found::default() })));
    assert_eq!(bed.engine.progress(bed.now).missing, WANTS_PER_LINK_MAX as u64);
    let mut queue = bed.wait(0);
    let mut fetched = 0;
    while let Some(action) = queue.pop() {
        let Action::Fetch(link, asked) = action else { continue };
        fetched += asked.len();
        queue.extend(bed.handle(Input::Fetched(link, asked)));
    }
    assert_eq!(fetched, WANTS_PER_LINK_MAX);
    let done = bed.now;
    let actions = bed.root_is(links[0], FAR_BEHIND, OTHER, true);
    assert!(matches!(actions[..], [Action::Compare(..)]), "{actions:?}");
    assert!(bed.now.0 <= done.0 + 1, "without a pause");
}
