//! Values that are missing: asked for until they come, by whomever they did not come, and waited for once.

use super::*;

/// A node to which so many records came without their value, and its peers.
fn lacking(count: u64, peers: u8, synchronised: bool) -> (Bed, Vec<LinkId>) {
    let mut bed = Bed::of(OWN, synchronised);
    for id in ids(1..1 + count) {
        bed.store.points.insert((START, id));
        bed.store.bare.insert(id);
    }
    let links = (1..=peers).map(|number| bed.up(number)).collect();
    (bed, links)
}

/// A peer answers what it was asked for, with these values or without.
fn answer(bed: &mut Bed, link: LinkId, asked: &[RecordId], has: &dyn Fn(&RecordId) -> bool) -> Vec<Action> {
    let mut actions = bed.handle(Input::Came(link, asked.iter().map(|id| (*id, has(id))).collect()));
    let filled: Vec<RecordId> = asked.iter().filter(|id| has(id)).copied().collect();
    bed.store.bare.retain(|id| !filled.contains(id));
    if !filled.is_empty() {
        actions.extend(bed.handle(Input::Filled(filled.iter().map(|id| (START, *id)).collect())));
    }
    let known = asked.iter().copied().map(Verdict::Known).collect();
    actions.extend(bed.handle(Input::Judged(link, Via::Fetch, known)));
    actions.extend(bed.handle(Input::Fetched(link, asked.to_vec())));
    actions
}

/// Lets peers answer for so long, that their roots are equal, and what they are asked for; those of the list have every
/// value. Returns how many values were asked for.
fn run(bed: &mut Bed, ms: u64, having: &[LinkId]) -> usize {
    let (end, mut asked, mut queue) = (bed.now.plus(ms), 0, vec![]);
    while bed.now < end {
        queue.extend(bed.wait(50));
        while let Some(action) = queue.pop() {
            queue.extend(match action {
                Action::Fetch(link, ids) => {
                    asked += ids.len();
                    let has = having.contains(&link);
                    answer(bed, link, &ids, &|_| has)
                }
                Action::Say(link, Message::Root(root)) => {
                    bed.handle(Input::Said(link, Message::RootIs(Root { synchronised: true, ..root })))
                }
                Action::Audit(link, ..) => bed.handle(Input::Compared(link, true, None)),
                _ => vec![],
            });
        }
    }
    asked
}

#[test]
fn missing_values_are_asked_of_one_peer_after_the_other_until_they_come() {
    for giver in 0..3 {
        let (mut bed, links) = lacking(3_000, 3, true);
        run(&mut bed, 20_000, &[links[giver]]);
        assert!(bed.store.bare.is_empty(), "{} are missing", bed.store.bare.len());
        assert_eq!(bed.engine.progress(bed.now).missing, 0);
    }
}

#[test]
fn missing_values_are_counted() {
    let (mut bed, _) = lacking(7, 1, true);
    bed.wait(10);
    assert_eq!(bed.engine.progress(bed.now).missing, 7);
    bed.announce(1, ids(100..103));
    assert_eq!(bed.engine.progress(bed.now).missing, 10);
}

#[test]
fn a_value_that_nobody_has_is_asked_for_more_and_more_rarely() {
    let (mut bed, _) = lacking(1, 1, true);
    let first = run(&mut bed, 300_000, &[]);
    let later = run(&mut bed, 2 * VALUES_PAUSE_MAX_MS, &[]);
    assert!((4..=8).contains(&first) && (2..=9).contains(&later), "{first}, then {later}");
}

#[test]
fn many_values_that_nobody_has_cost_a_peer_a_bounded_part_of_a_walk() {
    let (mut bed, _) = lacking(2 * VALUES_IN_VAIN_MAX as u64, 1, true);
    let asked = run(&mut bed, VALUES_PAUSE_MS, &[]);
    assert_eq!(asked, VALUES_IN_VAIN_MAX);
}

#[test]
fn a_value_that_came_is_announced() {
    let (mut bed, links) = lacking(1, 3, true);
    bed.handle(Input::Came(links[0], vec![(id(1), true)]));
    bed.store.bare.clear();
    let mut actions = bed.handle(Input::Filled(vec![(START, id(1))]));
    actions.extend(bed.wait(2 * ANNOUNCE_GATHER_MS));
    assert!(pushes(&actions).is_empty());
    assert_eq!(announced(&actions).into_keys().collect::<Vec<_>>(), links[1..]);
}

#[test]
fn who_announces_a_record_whose_value_is_missing_is_asked_for_it() {
    let (mut bed, links) = lacking(1, 2, true);
    // Both have been asked, and had it not.
    run(&mut bed, 1_000, &[]);
    bed.announce(links[1], vec![id(1)]);
    assert_eq!(fetches(&bed.wait(ANNOUNCE_WAIT_MS)), [(links[1], vec![id(1)])]);
}

#[test]
fn a_node_whose_values_are_missing_is_synchronised_when_they_have_come() {
    let (mut bed, links) = lacking(3_000, 2, false);
    while !bed.engine.synchronised() {
        run(&mut bed, 100, &links[1..]);
        assert!(bed.now.0 < START.0 + 60_000);
    }
    assert_eq!(bed.store.bare.len(), 0);
}

#[test]
fn or_when_everybody_was_asked_for_them() {
    let count = VALUES_IN_VAIN_MAX + 1_000;
    let (mut bed, _) = lacking(count as u64, 2, false);
    let mut asked = 0;
    while !bed.engine.synchronised() {
        asked += run(&mut bed, 100, &[]);
        assert!(bed.now.0 < START.0 + 60_000);
    }
    assert!(asked >= 2 * count, "{asked} asked of both");
}

#[test]
fn or_when_a_peer_takes_too_long_to_say_that_it_has_none() {
    let (mut bed, links) = lacking(1, 1, false);
    while !bed.engine.synchronised() {
        bed.agree(links[0], true);
        // An audit it may be.
        bed.handle(Input::Compared(links[0], true, None));
        assert!(bed.now.0 < START.0 + VALUES_PATIENCE_MS + 2 * ROOT_EVERY_MS);
    }
    assert!(bed.now.0 >= START.0 + VALUES_PATIENCE_MS);
}
