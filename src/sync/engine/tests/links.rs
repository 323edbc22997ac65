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

#[test]
fn a_peer_beyond_the_limit_finds_no_room() {
    let mut bed = Bed::new();
    for number in 1..=LINKS_MAX as u8 {
        bed.up(if number >= 50 { number + 1 } else { number });
    }
    let (link, actions) = bed.connect(200, false, hello(1));
    assert_eq!(actions, [Action::Close(link, "no room")]);
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
        bed.engine.table().add(address(number), Origin::Operator, bed.now).expect("room");
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
        bed.engine.table().add(address(number), Origin::Operator, bed.now).expect("room");
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
