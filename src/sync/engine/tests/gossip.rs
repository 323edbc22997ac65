//! News, what is announced, and what is missing.

use super::*;
use crate::sync::reconcile::Found;
use crate::sync::wants::ASKED_MS;

#[test]
fn a_fresh_record_is_pushed_to_some_and_announced_to_the_rest() {
    let (mut bed, links) = Bed::with_peers(8);
    let mut actions = bed.commit(1);
    actions.extend(bed.wait(2 * ANNOUNCE_GATHER_MS));
    let pushed = pushes(&actions);
    assert_eq!(pushed.len(), PUSHES);
    let told: Vec<LinkId> = announced(&actions).into_keys().collect();
    let rest: Vec<LinkId> = links.into_iter().filter(|link| !pushed.contains(link)).collect();
    assert_eq!(told, rest);
}

#[test]
fn a_record_never_goes_back_to_who_sent_or_announced_it() {
    let (mut bed, links) = Bed::with_peers(8);
    bed.came(links[0], 1);
    bed.announce(links[1], vec![id(1)]);
    let mut actions = bed.commit(1);
    actions.extend(bed.wait(2 * ANNOUNCE_GATHER_MS));
    let told: BTreeSet<LinkId> =
        pushes(&actions).into_iter().chain(announced(&actions).into_keys()).collect();
    assert_eq!(told.into_iter().collect::<Vec<_>>(), links[2..]);
}

#[test]
fn who_announced_it_before_it_came_is_not_told_either() {
    let (mut bed, links) = Bed::with_peers(8);
    bed.announce(links[1], vec![id(1)]);
    bed.came(links[0], 1);
    let mut actions = bed.commit(1);
    actions.extend(bed.wait(2 * ANNOUNCE_GATHER_MS));
    assert!(!announced(&actions).contains_key(&links[1]) && !pushes(&actions).contains(&links[1]));
}

#[test]
fn ids_are_gathered_before_they_are_announced() {
    let (mut bed, links) = Bed::with_peers(8);
    let mut actions: Vec<Action> = (1..=20).flat_map(|number| bed.commit(number)).collect();
    actions.extend(bed.wait(2 * ANNOUNCE_GATHER_MS));
    let said = actions.iter().filter(|action| matches!(action, Action::Say(_, Message::Announce(_)))).count();
    assert_eq!(said, links.len());
}

#[test]
fn an_announced_record_is_fetched_after_a_moment() {
    let (mut bed, links) = Bed::with_peers(1);
    bed.announce(links[0], vec![id(1)]);
    assert_eq!(fetches(&bed.wait(ANNOUNCE_WAIT_MS - 1)), []);
    assert_eq!(fetches(&bed.wait(1)), [(links[0], vec![id(1)])]);
}

#[test]
fn an_announced_record_that_comes_meanwhile_is_not_fetched() {
    let (mut bed, links) = Bed::with_peers(2);
    bed.announce(links[0], vec![id(1)]);
    bed.came(links[1], 1);
    assert_eq!(fetches(&bed.wait(2 * ANNOUNCE_WAIT_MS)), []);
    bed.commit(1);
    assert_eq!(bed.engine.progress(bed.now).missing, 0);
}

#[test]
fn what_is_here_is_not_fetched_when_it_is_announced() {
    let (mut bed, links) = Bed::with_peers(1);
    bed.commit(1);
    bed.announce(links[0], vec![id(1)]);
    assert_eq!(fetches(&bed.wait(2 * ANNOUNCE_WAIT_MS)), []);
}

/// Which of two peers that announced record 1 is asked for it, and which one is not.
fn asked_first(bed: &mut Bed, links: &[LinkId]) -> (LinkId, LinkId) {
    let asked = fetches(&bed.wait(2 * ANNOUNCE_WAIT_MS));
    let [(first, ids)] = &asked[..] else { panic!("{asked:?}") };
    assert_eq!(*ids, [id(1)]);
    (*first, links[usize::from(*first == links[0])])
}

#[test]
fn a_record_that_one_peer_does_not_give_is_asked_of_the_next() {
    let (mut bed, links) = Bed::with_peers(2);
    bed.announce(links[0], vec![id(1)]);
    bed.announce(links[1], vec![id(1)]);
    let (first, second) = asked_first(&mut bed, &links);
    bed.handle(Input::Fetched(first, vec![id(1)]));
    assert_eq!(fetches(&bed.wait(1)), [(second, vec![id(1)])]);
}

#[test]
fn a_peer_that_leaves_does_not_take_a_wanted_record_with_it() {
    let (mut bed, links) = Bed::with_peers(2);
    bed.announce(links[0], vec![id(1)]);
    bed.announce(links[1], vec![id(1)]);
    let (first, second) = asked_first(&mut bed, &links);
    bed.handle(Input::Down(first, None));
    assert_eq!(fetches(&bed.wait(1)), [(second, vec![id(1)])]);
}

#[test]
fn an_orphans_links_are_fetched_from_its_sender() {
    let (mut bed, links) = Bed::with_peers(3);
    bed.came(links[1], 5);
    bed.judged(links[1], Via::Gossip, orphan(5, ids(1..3)));
    assert_eq!(fetches(&bed.wait(1)), [(links[1], ids(1..3))]);
}

#[test]
fn after_too_many_missing_links_a_comparison_takes_over() {
    let (mut bed, links) = Bed::with_peers(1);
    let missing = MISSING_MAX as u64 + 1;
    bed.judged(links[0], Via::Gossip, orphan(500, ids(0..missing)));
    let actions = bed.wait(2 * ROOT_SOON_MS);
    assert_eq!((fetches(&actions), roots(&actions)), (vec![], vec![links[0]]));
}

#[test]
fn after_two_rounds_of_missing_links_a_comparison_takes_over() {
    let (mut bed, links) = Bed::with_peers(1);
    bed.came(links[0], 100);
    bed.judged(links[0], Via::Gossip, orphan(100, ids(99..100)));
    for number in (98..100).rev() {
        assert_eq!(fetches(&bed.wait(1)), [(links[0], vec![id(number)])]);
        bed.came(links[0], number);
        bed.handle(Input::Fetched(links[0], vec![id(number)]));
        bed.judged(links[0], Via::Fetch, orphan(number, ids(number - 1..number)));
    }
    let actions = bed.wait(2 * ROOT_SOON_MS);
    assert_eq!((fetches(&actions), roots(&actions)), (vec![], vec![links[0]]));
}

#[test]
fn an_invalid_record_ends_the_connection_and_shuns_the_sender() {
    let (mut bed, links) = Bed::with_peers(2);
    let invalid = Verdict::Refused(Refusal::ForeignGenesis);
    assert_eq!(closed(&bed.judged(links[0], Via::Gossip, invalid)), [links[0]]);
    assert!(bed.engine.turns_away(Some(key(1)), remote(1).ip(), bed.now));
    assert!(!bed.engine.turns_away(Some(key(2)), remote(2).ip(), bed.now));
}

#[test]
fn for_not_yet_and_for_our_own_disk_nobody_is_blamed() {
    let deferred = Verdict::Deferred { id: id(2), until: START.plus(3_600_000) };
    for verdict in [deferred, orphan(2, ids(0..2)), full_disk()] {
        let (mut bed, links) = Bed::with_peers(1);
        bed.came(links[0], 2);
        let mut actions = bed.judged(links[0], Via::Gossip, verdict);
        actions.extend(bed.wait(1_000));
        assert!(closed(&actions).is_empty());
        assert!(!bed.engine.turns_away(Some(key(1)), remote(1).ip(), bed.now));
    }
}

#[test]
fn what_was_dropped_is_made_good_by_a_comparison_soon() {
    let (mut bed, links) = Bed::with_peers(3);
    bed.handle(Input::Dropped(links[1]));
    assert_eq!(roots(&bed.wait(2 * ROOT_SOON_MS)), [links[1]]);
}

#[test]
fn commits_that_went_unheard_make_everybody_suspect() {
    let (mut bed, links) = Bed::with_peers(3);
    bed.handle(Input::Unheard);
    let asked: BTreeSet<LinkId> = roots(&bed.wait(2 * ROOT_SOON_MS)).into_iter().collect();
    assert_eq!(asked.into_iter().collect::<Vec<_>>(), links);
}

/// A node that streams from its first peer.
fn catching_up() -> (Bed, Vec<LinkId>) {
    let (mut bed, links) = Bed::with_peers(3);
    let actions = bed.root_is(links[0], FAR_BEHIND + 2, [1; 16], true);
    assert_eq!(actions, [Action::CatchUp(links[0], FIRST)]);
    (bed, links)
}

#[test]
fn a_node_that_catches_up_ignores_announcements() {
    let (mut bed, links) = catching_up();
    bed.announce(links[1], ids(1..10));
    assert_eq!(fetches(&bed.wait(1_000)), []);
    assert_eq!(bed.engine.progress(bed.now).missing, 0);
}

#[test]
fn a_node_that_catches_up_does_not_chase_missing_links() {
    let (mut bed, links) = catching_up();
    bed.judged(links[1], Via::Gossip, orphan(500, ids(0..2)));
    assert_eq!(fetches(&bed.wait(1_000)), []);
}

#[test]
fn a_node_that_catches_up_is_silent_about_old_records_and_passes_on_new_ones() {
    let (mut bed, _) = catching_up();
    let old = Millis(bed.store.clock.0 - 2 * FRESH_MS);
    let mut actions = bed.commit_at(1, old);
    actions.extend(bed.wait(100));
    assert_eq!((pushes(&actions).len(), announced(&actions).len()), (0, 0));
    assert_eq!(pushes(&bed.commit(2)).len(), 3);
}

#[test]
fn an_orphan_that_had_to_make_room_is_found_again_by_a_comparison() {
    let (mut bed, links) = Bed::with_peers(1);
    bed.came(links[0], 5);
    bed.judged(links[0], Via::Gossip, orphan(5, ids(1..2)));
    let found = || Input::Compared(links[0], true, Some(Found { need: ids(5..6), ..Found::default() }));
    bed.handle(found());
    assert!(!fetches(&bed.wait(100)).iter().any(|(_, asked)| asked.contains(&id(5))), "it waits in the pool");
    bed.wait(CAME_MS);
    bed.handle(found());
    assert!(fetches(&bed.wait(100)).contains(&(links[0], ids(5..6))));
}

#[test]
fn an_old_record_is_announced_and_not_pushed() {
    let (mut bed, links) = Bed::with_peers(4);
    let old = Millis(bed.store.clock.0 - 2 * FRESH_MS);
    let mut actions = bed.commit_at(1, old);
    actions.extend(bed.wait(2 * ANNOUNCE_GATHER_MS));
    assert!(pushes(&actions).is_empty());
    assert_eq!(announced(&actions).into_keys().collect::<Vec<_>>(), links);
}

#[test]
fn a_record_that_came_from_another_is_pushed_to_fewer() {
    let (mut bed, links) = Bed::with_peers(8);
    bed.came(links[0], 1);
    assert_eq!(pushes(&bed.commit(1)).len(), RELAYS);
}

#[test]
fn the_value_of_a_record_that_came_without_it_is_asked_of_others() {
    let (mut bed, links) = Bed::with_peers(3);
    bed.store.bare.insert(id(1));
    bed.handle(Input::Came(links[0], vec![(id(1), false)]));
    bed.commit(1);
    assert_eq!(fetches(&bed.wait(VALUE_WAIT_MS - 1)), []);
    let asked = fetches(&bed.wait(2));
    assert!(matches!(&asked[..], [(link, ids)] if *link != links[0] && *ids == [id(1)]), "{asked:?}");
    let (link, _) = asked[0];
    bed.store.bare.clear();
    bed.handle(Input::Came(link, vec![(id(1), true)]));
    bed.judged(link, Via::Fetch, Verdict::Known(id(1)));
    bed.handle(Input::Fetched(link, vec![id(1)]));
    assert_eq!(fetches(&bed.wait(60_000)), []);
}

#[test]
fn where_only_one_more_lacks_it_all_get_a_new_record_whole() {
    let (mut bed, links) = Bed::with_peers(PUSHES as u8 + 1);
    let actions = bed.commit(1);
    assert_eq!(pushes(&actions).len(), links.len());
}

#[test]
fn a_forged_copy_does_not_hide_a_record_from_who_announced_it_meanwhile() {
    let (mut bed, links) = Bed::with_peers(3);
    bed.came(links[0], 1);
    bed.announce(links[1], vec![id(1)]);
    bed.announce(links[2], vec![id(1)]);
    assert_eq!(fetches(&bed.wait(2 * ANNOUNCE_WAIT_MS)), [], "it may be the true one");
    bed.handle(Input::Spurned(links[0], vec![id(1)]));
    let begun = bed.now;
    let (first, second) = asked_first(&mut bed, &links[1..]);
    assert_eq!(bed.engine.wants.due(second), Some(begun.plus(ASKED_MS)), "it was asked at once");
    bed.handle(Input::Fetched(first, vec![id(1)]));
    assert_eq!(fetches(&bed.wait(0)), [(second, vec![id(1)])]);
}

#[test]
fn of_two_copies_the_true_one_is_awaited() {
    let (mut bed, links) = Bed::with_peers(3);
    bed.came(links[0], 1);
    bed.came(links[1], 1);
    bed.announce(links[2], vec![id(1)]);
    bed.handle(Input::Spurned(links[0], vec![id(1)]));
    assert_eq!(fetches(&bed.wait(2 * ANNOUNCE_WAIT_MS)), []);
}

#[test]
fn what_was_forged_once_is_found_by_a_comparison_at_once() {
    let (mut bed, links) = Bed::with_peers(2);
    bed.came(links[0], 1);
    bed.handle(Input::Spurned(links[0], vec![id(1)]));
    let found = Found { need: ids(1..2), ..Found::default() };
    bed.handle(Input::Compared(links[1], true, Some(found)));
    assert_eq!(fetches(&bed.wait(0)), [(links[1], vec![id(1)])]);
}

#[test]
fn who_is_found_to_have_it_by_a_comparison_is_asked_when_a_forged_copy_is_refused() {
    let (mut bed, links) = Bed::with_peers(2);
    bed.came(links[0], 1);
    let found = Found { need: ids(1..2), ..Found::default() };
    bed.handle(Input::Compared(links[1], true, Some(found)));
    assert_eq!(fetches(&bed.wait(10)), []);
    bed.handle(Input::Spurned(links[0], vec![id(1)]));
    assert_eq!(fetches(&bed.wait(0)), [(links[1], vec![id(1)])]);
}

#[test]
fn a_slow_peer_does_not_keep_a_second_from_being_asked_nor_have_a_third_asked() {
    let (mut bed, links) = Bed::with_peers(3);
    for link in &links {
        bed.announce(*link, vec![id(1)]);
    }
    let first = fetches(&bed.wait(ANNOUNCE_WAIT_MS));
    assert_eq!(first.len(), 1);
    assert_eq!(fetches(&bed.wait(ASKED_MS - 1)), []);
    let second = fetches(&bed.wait(1));
    assert!(second.len() == 1 && second[0].0 != first[0].0, "{second:?}");
    assert_eq!(fetches(&bed.wait(4 * ASKED_MS)), []);
}

#[test]
fn of_several_who_have_it_not_always_the_same_is_asked_first() {
    let mut first = BTreeSet::new();
    let (mut bed, links) = Bed::with_peers(3);
    for number in 1..30 {
        for link in &links {
            bed.announce(*link, vec![id(number)]);
        }
        let asked = fetches(&bed.wait(ANNOUNCE_WAIT_MS));
        first.insert(asked[0].0);
        bed.came(asked[0].0, number);
        bed.handle(Input::Fetched(asked[0].0, asked[0].1.clone()));
        bed.commit(number);
    }
    assert_eq!(first.into_iter().collect::<Vec<_>>(), links);
}

#[test]
fn who_sent_a_record_by_a_connection_that_gave_way_to_another_is_not_told_of_it() {
    let (mut bed, links) = Bed::with_peers(2);
    bed.came(links[0], 1);
    // Restarted, say: its old connection goes.
    let (again, _) = bed.connect(1, false, hello(99));
    let mut told = bed.commit(1);
    told.extend(bed.wait(ANNOUNCE_GATHER_MS));
    assert!(!told.is_empty());
    for action in told {
        match action {
            Action::Push(to, _) => assert_eq!(to[..], links[1..]),
            Action::Say(to, Message::Announce(_)) => assert_eq!(to, links[1]),
            _ => {}
        }
    }
    assert_ne!(again, links[0]);
}
