//! Connections: one a pair, so many and not more, and whom nobody wants.

use super::*;

/// Which of two connections between nodes of keys 1 and 2 each side closes; `first_dialled` by the node itself?
fn closed_by(own: u8, first_dialled: bool) -> bool {
    let mut bed = Bed::of(key(own), true);
    let peer = 3 - own;
    let (first, none) = bed.connect(peer, first_dialled, hello(7));
    assert_eq!(none, []);
    let (second, actions) = bed.connect(peer, !first_dialled, hello(7));
    let closed = closed(&actions);
    assert_eq!(closed.len(), 1);
    assert_eq!(bed.engine.progress(bed.now).connected, 1);
    // True: the one that this node dialled.
    (closed == [first]) == first_dialled && (closed == [first] || closed == [second])
}

#[test]
fn where_both_dial_at_once_both_close_the_one_that_the_greater_key_dialled() {
    for first_dialled in [true, false] {
        assert!(!closed_by(1, first_dialled), "the smaller key keeps its own");
        assert!(closed_by(2, first_dialled), "the greater key gives up its own");
    }
}

#[test]
fn of_two_connections_one_side_dialled_the_later_is_closed() {
    let mut bed = Bed::new();
    bed.up(1);
    let (later, actions) = bed.connect(1, false, hello(1));
    assert_eq!(closed(&actions), [later]);
}

#[test]
fn a_restarted_peers_old_connection_is_closed() {
    let mut bed = Bed::new();
    let old = bed.up(1);
    let (_, actions) = bed.connect(1, false, hello(99));
    assert_eq!(closed(&actions), [old]);
    assert_eq!(bed.engine.progress(bed.now).connected, 1);
}

#[test]
fn the_end_of_a_duplicate_leaves_the_other_connection_alone() {
    let mut bed = Bed::new();
    let kept = bed.up(1);
    let (loser, _) = bed.connect(1, false, hello(1));
    bed.handle(Input::Down(loser, None));
    assert!(pushes(&bed.commit(5)).contains(&kept));
}

#[test]
fn a_node_that_reaches_itself_hangs_up() {
    let mut bed = Bed::new();
    let (link, actions) = bed.connect(50, true, hello(1));
    assert_eq!(closed(&actions), [link]);
}

/// A node with as many callers as it takes.
fn full() -> Bed {
    let mut bed = Bed::new();
    for number in 1..=CALLERS_MAX as u8 {
        bed.up(100 + number);
    }
    bed
}

#[test]
fn a_caller_beyond_the_limit_is_told_of_others_before_it_is_sent_away() {
    let mut bed = full();
    bed.engine.table().add(address(1), bed.now).expect("room");
    let (friend, none) = bed.connect(1, true, hello(1));
    assert_eq!(none, [], "whom the node calls itself finds room");
    let guest = bed.up(2);
    let told = |actions: &[Action]| {
        actions.iter().any(
            |a| matches!(a, Action::Say(to, Message::Peers(peers)) if *to == guest && peers[0].1 == key(1)),
        )
    };
    assert!(told(&bed.wait(0)));
    assert_eq!(closed(&bed.wait(GUEST_MS)), [guest]);
    assert!(bed.engine.links.contains_key(&friend));
}

#[test]
fn a_guest_stays_if_others_leave() {
    let mut bed = full();
    let guest = bed.up(2);
    bed.handle(Input::Down(1, None));
    assert!(closed(&bed.wait(2 * GUEST_MS)).is_empty());
    assert!(bed.engine.links.contains_key(&guest));
}

#[test]
fn a_caller_beyond_all_limits_finds_no_room() {
    let mut bed = full();
    for number in 1..=GUESTS_MAX as u8 {
        bed.up(number);
    }
    let (link, actions) = bed.connect(200, false, hello(1));
    assert_eq!(actions, [Action::Close(link, "no room")]);
}

#[test]
fn whom_the_node_calls_itself_finds_room_however_many_guests_there_are() {
    let mut bed = full();
    for number in 1..=GUESTS_MAX as u8 {
        bed.up(number);
    }
    for number in 0..LINKS_WANTED as u8 {
        bed.engine.table().add(address(200 + number), bed.now).expect("room");
        let (_, actions) = bed.connect(200 + number, true, hello(1));
        assert!(closed(&actions).is_empty());
    }
    assert_eq!(bed.engine.links.len(), LINKS_MAX + GUESTS_MAX);
}

#[test]
fn a_peer_that_did_wrong_is_not_let_in_again() {
    let mut bed = Bed::new();
    let link = bed.up(1);
    bed.handle(Input::Down(link, Some(Offence::Lied)));
    let (again, actions) = bed.connect(1, false, hello(1));
    assert_eq!(actions, [Action::Close(again, "not now")]);
}

#[test]
fn a_peer_that_only_went_away_is_let_in_again() {
    let mut bed = Bed::new();
    let link = bed.up(1);
    bed.handle(Input::Down(link, None));
    bed.up(1);
}

#[test]
fn a_message_out_of_place_ends_the_connection() {
    for message in [Message::Done, Message::Hello(hello(1)), Message::Want(vec![]), Message::Turn(vec![])] {
        let mut bed = Bed::new();
        let link = bed.up(1);
        let actions = bed.handle(Input::Said(link, message));
        assert_eq!(closed(&actions), [link]);
        assert!(bed.engine.turns_away(Some(key(1)), remote(1).ip(), bed.now));
    }
}

#[test]
fn some_peers_are_dialled_however_many_call() {
    let mut bed = Bed::new();
    for number in 1..=20 {
        // They cannot be called back, so there is nothing to probe.
        bed.connect(number, false, Hello { port: 0, ..hello(1) });
    }
    bed.calm();
    for number in 101..=120 {
        bed.engine.table().add(address(number), bed.now).expect("room");
    }
    let mut dialled = 0;
    for _ in 0..20 {
        let dials: Vec<Action> =
            bed.wait(1_000).into_iter().filter(|action| matches!(action, Action::Dial(_))).collect();
        for action in dials {
            let Action::Dial(to) = action else { continue };
            let number = to.socket().map_or(0, |at| match at.ip() {
                IpAddr::V4(ip) => ip.octets()[0] - 20,
                IpAddr::V6(_) => 0,
            });
            dialled += 1;
            bed.connect(number, true, hello(u64::from(number)));
        }
    }
    assert_eq!(dialled, DIALLED_WANTED);
}

#[test]
fn a_dial_that_failed_makes_room_for_another() {
    let mut bed = Bed::new();
    for number in 101..=120 {
        bed.engine.table().add(address(number), bed.now).expect("room");
    }
    let dials = |actions: Vec<Action>| -> Vec<PeerAddress> {
        let dialled = actions.into_iter().filter_map(|action| match action {
            Action::Dial(to) => Some(to),
            _ => None,
        });
        dialled.collect()
    };
    let first = dials(bed.wait(10));
    assert_eq!(first.len(), 4, "so many at a time");
    assert_eq!(dials(bed.wait(20_000)), [], "and no more before one of them ends");
    bed.handle(Input::NotReached(first[0].clone()));
    assert_eq!(dials(bed.wait(10)).len(), 1);
}

#[test]
fn a_node_that_has_all_it_seeks_still_meets_another_now_and_then() {
    let mut bed = Bed::new();
    for number in 1..=LINKS_WANTED as u8 {
        bed.connect(number, true, hello(1));
    }
    bed.calm();
    bed.engine.table().heard(remote(90), key(90), key(1), bed.now);
    let dialled = bed.wait(2 * EXPLORE_EVERY_MS);
    let dials = dialled.iter().filter(|action| matches!(action, Action::Dial(_))).count();
    assert_eq!(dials, 1);
    let (newest, actions) = bed.connect(90, true, hello(1));
    let closed = closed(&actions);
    assert!(closed.len() == 1 && closed[0] != newest, "{actions:?}");
}

#[test]
fn a_peer_the_operator_wants_gives_way_to_nobody() {
    let mut bed = Bed::new();
    for number in 1..=LINKS_WANTED as u8 {
        bed.engine.table().add(address(number), bed.now).expect("room");
        bed.connect(number, true, hello(1));
    }
    let (_, actions) = bed.connect(90, true, hello(1));
    assert!(closed(&actions).is_empty());
}

#[test]
fn who_came_together_hears_of_the_others_soon() {
    let mut bed = Bed::new();
    let dialled = |bed: &mut Bed, number: u8| {
        bed.engine.table().add(address(number), bed.now).expect("room");
        bed.connect(number, true, hello(u64::from(number))).0
    };
    let first = dialled(&mut bed, 1);
    let told = |actions: &[Action], of: u8| {
        actions.iter().any(|action| match action {
            Action::Say(to, Message::Peers(peers)) => {
                *to == first && peers.iter().any(|peer| peer.1 == key(of))
            }
            _ => false,
        })
    };
    bed.wait(2 * ROOT_SOON_MS);
    dialled(&mut bed, 2);
    assert!(told(&bed.wait(2 * ROOT_SOON_MS), 2));
    // The next one not before it listens again.
    dialled(&mut bed, 3);
    assert!(!told(&bed.wait(5_000 - 2 * ROOT_SOON_MS), 3));
    assert!(told(&bed.wait(2_000), 3));
}

#[test]
fn a_node_that_wants_more_than_it_may_have_does_not_connect_to_all_of_them() {
    let mut bed = Bed::new();
    for number in 101..=200 {
        bed.engine.table().add(address(number), bed.now).expect("room");
    }
    for _ in 0..200 {
        for action in bed.wait(EXPLORE_EVERY_MS) {
            let Action::Dial(to) = action else { continue };
            let number = to.key.map_or(0, |key| key.0[0]);
            bed.connect(number, true, hello(u64::from(number)));
        }
    }
    assert_eq!(bed.engine.links.len(), LINKS_MAX + 1);
}
