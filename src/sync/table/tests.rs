//! What the table promises.

use std::net::Ipv4Addr;

use super::shun::{SHUN_MAX_MS, SHUN_MIN_MS, SHUNS_MAX};
use super::*;

const OWN: NodeKey = NodeKey([0; 32]);
const START: Millis = Millis(1_000_000_000);

fn key(number: u32) -> NodeKey {
    let mut bytes = [7; 32];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    NodeKey(bytes)
}

fn at(ip: [u8; 4]) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::from(ip), 9908))
}

fn peer(text: &str) -> PeerAddress {
    text.parse().unwrap()
}

fn table() -> Table {
    Table::new(OWN, 1)
}

fn all(table: &mut Table, now: Millis) -> Vec<PeerAddress> {
    table.due(now, &|_| false, usize::MAX)
}

/// A peer this node dialled and reached.
fn befriend(table: &mut Table, ip: [u8; 4], number: u32, now: Millis) -> PeerAddress {
    table.heard(at(ip), key(number), key(9999), now);
    let address = PeerAddress::of(at(ip), Some(key(number)));
    table.reached(&address, at(ip), key(number), now);
    address
}

#[test]
fn a_thousand_addresses_of_one_prefix_take_a_twentieth_of_the_table() {
    let mut table = table();
    for number in 0..1000u32 {
        let [_, _, a, b] = number.to_be_bytes();
        table.heard(at([198, 51, a, b]), key(number), key(10_000 + number / 50), START);
    }
    assert_eq!(table.known().len(), PREFIX_MAX);
    assert_eq!(PREFIX_MAX, 51, "of 1024");
    table.heard(at([203, 0, 113, 1]), key(5000), key(10_000), START);
    assert_eq!(table.known().len(), PREFIX_MAX + 1);
}

#[test]
fn a_thousand_addresses_of_one_ipv6_prefix_are_bounded_likewise() {
    let mut table = table();
    for number in 0..1000u16 {
        let ip = std::net::Ipv6Addr::new(0x2001, 0xdb8, number, 0, 0, 0, 0, 1);
        table.heard(SocketAddr::from((ip, 1)), key(number.into()), key(10_000 + u32::from(number)), START);
    }
    assert_eq!(table.known().len(), PREFIX_MAX);
}

#[test]
fn the_table_is_bounded_and_so_is_what_one_teller_or_key_has_in_it() {
    let mut table = table();
    for number in 0..1000u32 {
        let [_, _, a, b] = number.to_be_bytes();
        table.heard(at([20 + a, b, 0, 1]), key(number), key(10_000), START);
    }
    assert_eq!(table.known().len(), TELLER_MAX);
    for number in 0..10u8 {
        table.heard(at([77, number, 0, 1]), key(20_000), key(10_001), START);
    }
    assert_eq!(table.known().len(), TELLER_MAX + KEY_MAX);
    for number in 0..5000u32 {
        let [_, _, a, b] = number.to_be_bytes();
        table.heard(at([80 + a, b, 0, 1]), key(30_000 + number), key(50_000 + number), START);
    }
    assert_eq!(table.known().len(), TABLE_MAX);
}

#[test]
fn an_address_that_never_worked_gives_way_to_a_new_one() {
    let mut table = table();
    for number in 0..=KEY_MAX as u8 {
        table.heard(at([77, number, 0, 1]), key(1), key(2), START);
        if number == 0 {
            table.failed(&PeerAddress::of(at([77, 0, 0, 1]), Some(key(1))), START);
        }
    }
    let known = table.known();
    assert_eq!(known.len(), KEY_MAX);
    assert!(known.iter().all(|peer| peer.failures == 0));
}

#[test]
fn an_address_is_passed_on_only_after_it_was_reached() {
    let mut table = table();
    let address = PeerAddress::of(at([203, 0, 113, 1]), Some(key(1)));
    table.heard(at([203, 0, 113, 1]), key(1), key(2), START);
    assert!(table.share(key(3), 10, START).is_empty());
    table.called(key(4), at([203, 0, 113, 4]), START);
    assert!(table.share(key(3), 10, START).is_empty(), "one that called was not reached");
    table.reached(&address, at([203, 0, 113, 1]), key(1), START);
    assert_eq!(table.share(key(3), 10, START), [(at([203, 0, 113, 1]), key(1))]);
    assert!(table.share(key(1), 10, START).is_empty(), "not to itself");
    table.lost(key(1), START.plus(HELD_MIN_MS));
    assert_eq!(table.share(key(3), 10, START.plus(HELD_MIN_MS)).len(), 1);
    assert!(table.share(key(3), 10, START.plus(HELD_MIN_MS + SHARE_FRESH_MS)).is_empty(), "not for ever");
}

#[test]
fn what_is_near_is_not_passed_on_to_who_is_far_nor_believed_from_there() {
    let mut table = table();
    befriend(&mut table, [127, 0, 0, 1], 1, START);
    befriend(&mut table, [203, 0, 113, 2], 2, START);
    assert_eq!(table.share(key(1), 10, START).len(), 1);
    assert!(table.share(key(2), 10, START).is_empty(), "loopback means another machine there");
    let known = table.known().len();
    table.heard(at([10, 0, 0, 1]), key(3), key(2), START);
    table.heard(at([224, 0, 0, 1]), key(3), key(1), START);
    table.heard("198.51.100.1:0".parse().unwrap(), key(3), key(1), START);
    assert_eq!(table.known().len(), known);
}

#[test]
fn the_address_of_a_peer_that_called_is_tried_while_it_is_connected() {
    let mut table = table();
    table.called(key(4), at([203, 0, 113, 4]), START);
    assert!(all(&mut table, START).is_empty());
    assert_eq!((table.next_due(), table.next_probe()), (None, Some(START)));
    let probes = table.probes(START, 5);
    assert_eq!(probes.len(), 1);
    assert!(table.probes(START, 5).is_empty());
    table.reached(&probes[0], at([203, 0, 113, 4]), key(4), START);
    assert_eq!(table.share(key(3), 10, START).len(), 1);
    let again = table.next_probe().unwrap();
    assert_eq!(again, START.plus(SHARE_FRESH_MS / 2));
    assert_eq!(table.probes(again, 5).len(), 1);
}

/// Dials at once whenever it may, in vain; the pauses.
fn pauses(seed: u64, wanted: bool, count: usize) -> Vec<u64> {
    let mut table = Table::new(OWN, seed);
    let address = peer(&format!("203.0.113.1:9908#{}", key(1)));
    if wanted {
        table.add(address.clone(), START).unwrap();
    } else {
        // Reached just now, so that it is not forgotten meanwhile.
        befriend(&mut table, [203, 0, 113, 1], 1, START);
        table.lost(key(1), START.plus(HELD_MIN_MS));
    }
    let mut now = table.next_due().unwrap();
    let mut pauses = Vec::new();
    for _ in 0..count {
        assert_eq!(all(&mut table, now).len(), 1);
        assert!(all(&mut table, now).is_empty(), "it is being dialled");
        table.failed(&address, now);
        let next = table.next_due().unwrap();
        assert!(all(&mut table, Millis(next.0 - 1)).is_empty());
        pauses.push(next.0 - now.0);
        now = next;
    }
    pauses
}

#[test]
fn pauses_double_up_to_a_bound_jittered_and_the_same_for_the_same_seed() {
    let some = pauses(3, false, 14);
    assert!(some[..10].windows(2).all(|pair| pair[0] < pair[1]), "{some:?}");
    assert!(some[0] >= BACKOFF_MIN_MS * 3 / 4 && some[0] <= BACKOFF_MIN_MS * 5 / 4);
    assert!(some.iter().all(|pause| *pause <= BACKOFF_MAX_MS * 5 / 4), "{some:?}");
    assert!(*some.last().unwrap() >= BACKOFF_MAX_MS * 3 / 4);
    assert_eq!(some, pauses(3, false, 14));
    assert_ne!(some, pauses(4, false, 14));
    assert!(pauses(3, true, 14).iter().all(|pause| *pause <= BACKOFF_WANTED_MAX_MS * 5 / 4));
}

#[test]
fn a_peer_that_hangs_up_at_once_is_not_dialled_every_second() {
    let mut table = table();
    let address = peer(&format!("203.0.113.1:9908#{}", key(1)));
    table.add(address.clone(), START).unwrap();
    let mut now = START;
    for _ in 0..5 {
        assert_eq!(all(&mut table, now).len(), 1);
        table.reached(&address, at([203, 0, 113, 1]), key(1), now);
        table.lost(key(1), now.plus(1));
        now = table.next_due().unwrap();
    }
    assert!(table.next_due().unwrap().0 - now.0 < 1000);
    assert!(now.0 - START.0 > 15_000, "{}", now.0 - START.0);
    table.reached(&address, at([203, 0, 113, 1]), key(1), now);
    let later = now.plus(HELD_MIN_MS);
    table.lost(key(1), later);
    assert!(table.next_due().unwrap() <= later.plus(LOST_PAUSE_MS * 5 / 4));
}

#[test]
fn wanted_peers_come_first_then_anchors_then_heard_ones() {
    let mut table = table();
    for number in 0..20u8 {
        table.heard(at([20, number, 0, 1]), key(number.into()), key(99), START);
    }
    table.anchor(peer(&format!("198.51.100.1:1#{}", key(101))), START).unwrap();
    table.set_rules(&[peer("seed.example:9908")], START);
    table.add(peer("192.0.2.1:1"), START).unwrap();
    let three = table.due(START, &|_| false, 3);
    let hosts: Vec<&str> = three.iter().map(|peer| peer.host.as_str()).collect();
    assert_eq!(hosts, ["192.0.2.1", "seed.example", "198.51.100.1"]);
    assert!(table.next_due().unwrap() > START, "no spinning while there is no room");
    table.failed(&three[0], START);
    assert_eq!(table.next_due(), Some(START), "a place became free");
}

#[test]
fn who_is_connected_is_not_dialled() {
    let mut table = table();
    table.called(key(1), at([203, 0, 113, 1]), START);
    table.heard(at([203, 0, 113, 2]), key(2), key(1), START);
    assert!(table.due(START, &|who| *who == key(2), 5).is_empty());
    table.lost(key(1), START.plus(HELD_MIN_MS));
    assert_eq!(all(&mut table, START.plus(2 * HELD_MIN_MS)).len(), 2);
}

#[test]
fn this_node_itself_is_never_dialled() {
    let mut table = table();
    let own = peer(&format!("192.0.2.1:1#{OWN}"));
    assert!(matches!(table.add(own.clone(), START), Err(PeersError::Itself(_))));
    table.set_rules(&[own, peer("192.0.2.2:1")], START);
    table.heard(at([203, 0, 113, 1]), OWN, key(1), START);
    table.called(OWN, at([203, 0, 113, 1]), START);
    let due = all(&mut table, START);
    assert_eq!(due, [peer("192.0.2.2:1")]);
    // The rules name this node by an address without its key: the dial finds it out.
    table.reached(&due[0], at([192, 0, 2, 2]), OWN, START);
    assert!(all(&mut table, START.plus(10 * DIAL_MAX_MS)).is_empty());
    assert_eq!(table.next_due(), None);
    assert!(table.share(key(1), 10, START).is_empty());
}

#[test]
fn the_first_key_seen_at_an_address_is_pinned_and_kept() {
    let mut table = table();
    table.add(peer("seed.example:9908"), START).unwrap();
    assert_eq!(table.pinned(&peer("seed.example:9908")), None);
    let due = all(&mut table, START);
    table.reached(&due[0], at([203, 0, 113, 1]), key(1), START);
    assert_eq!(table.pinned(&peer("seed.example:9908")), Some(key(1)));
    let saved = table.save();
    let mut other = Table::new(OWN, 2);
    other.restore(saved, START);
    assert_eq!(other.pinned(&peer("seed.example:9908")), Some(key(1)));
    assert_eq!(all(&mut other, START), [peer(&format!("seed.example:9908#{}", key(1)))]);
    other.failed(&peer(&format!("seed.example:9908#{}", key(1))), START);
    assert_eq!(other.known()[0].failures, 1, "a dial is found again by its pinned key");
}

#[test]
fn peers_of_the_rules_go_when_the_rules_change() {
    let mut table = table();
    table.set_rules(&[peer("192.0.2.1:1"), peer("192.0.2.2:1")], START);
    table.configure(&[peer("192.0.2.1:1")], START).unwrap();
    table.set_rules(&[], START);
    assert_eq!(all(&mut table, START), [peer("192.0.2.1:1")]);
    assert!(matches!(table.remove("192.0.2.1:1"), Err(PeersError::Fixed(_, "the configuration"))));
}

#[test]
fn a_peer_is_removed_by_address_or_key() {
    let mut table = table();
    table.add(peer("192.0.2.1:1"), START).unwrap();
    table.reached(&peer("192.0.2.1:1"), at([192, 0, 2, 1]), key(1), START);
    table.add(peer(&format!("h.example:1#{}", key(2))), START).unwrap();
    assert!(matches!(table.remove("192.0.2.9:1"), Err(PeersError::Unknown(_))));
    assert!(matches!(table.remove("nonsense"), Err(PeersError::Unknown(_))));
    assert_eq!(table.remove("192.0.2.1:1"), Ok(Some(key(1))));
    assert_eq!(table.remove(&key(2).to_string()), Ok(Some(key(2))));
    assert_eq!(table.save(), Saved::default(), "the pin went too");
}

#[test]
fn anchors_survive_a_restart_the_oldest_and_of_many_prefixes() {
    let mut table = table();
    for number in 0..20u8 {
        let ip = if number < 6 { [20, 0, 0, number + 1] } else { [number + 20, 0, 0, 1] };
        befriend(&mut table, ip, number.into(), START.plus(number.into()));
    }
    let saved = table.save();
    assert_eq!(saved.anchors.len(), ANCHORS);
    assert_eq!(saved.anchors[0].address.host, "20.0.0.1");
    assert_eq!(saved.anchors[1].address.host, "26.0.0.1");
    let later = START.plus(1_000_000);
    let mut other = Table::new(OWN, 2);
    other.restore(saved.clone(), later);
    assert_eq!(other.save(), saved, "those that had no turn yet stay");
    assert!(other.share(key(500), 10, later).is_empty(), "not reached by this run");
    let due = all(&mut other, later);
    assert_eq!(due.len(), ANCHORS);
    other.failed(&due[0], later);
    assert_eq!(other.save().anchors.len(), ANCHORS - 1);
}

#[test]
fn who_is_shunned_is_not_dialled_until_it_is_over_and_longer_each_time() {
    let mut table = table();
    let address = befriend(&mut table, [203, 0, 113, 1], 1, START);
    let ip = at([203, 0, 113, 1]).ip();
    let mut now = START;
    let mut last = 0;
    for _ in 0..10 {
        table.lost(key(1), now);
        table.blame(Some(key(1)), ip, Offence::Lied, now);
        assert!(table.shunned(Some(key(1)), ip, now));
        assert!(!table.shunned(None, ip, now), "one liar does not spoil its address");
        assert!(table.share(key(2), 10, now).is_empty());
        let until = table.known()[0].shunned.unwrap();
        assert!(all(&mut table, Millis(until.0 - 1)).is_empty());
        assert!(until.0 - now.0 >= last);
        last = until.0 - now.0;
        now = until;
        assert!(!table.shunned(Some(key(1)), ip, now));
    }
    assert_eq!(last, SHUN_MAX_MS);
    assert_eq!(all(&mut table, now), [address]);
}

#[test]
fn strangers_cost_their_address_only_after_several_and_never_known_peers() {
    let mut table = table();
    befriend(&mut table, [203, 0, 113, 1], 1, START);
    let ip = at([203, 0, 113, 1]).ip();
    for number in 0..shun::IP_STRIKES {
        table.blame(Some(key(100 + number)), ip, Offence::Stranger, START);
        assert!(!table.shunned(None, ip, START));
    }
    table.blame(None, ip, Offence::Stranger, START);
    assert!(table.shunned(None, ip, START));
    assert!(!table.shunned(Some(key(1)), ip, START), "reached before");
    assert!(table.shunned(Some(key(77)), ip, START));
    assert!(!table.shunned(None, ip, START.plus(SHUN_MIN_MS)));
    for _ in 0..20 {
        table.blame(None, "127.0.0.1".parse().unwrap(), Offence::Flooded, START);
    }
    assert!(!table.shunned(None, "127.0.0.1".parse().unwrap(), START), "all of this machine share it");
}

#[test]
fn what_is_remembered_of_the_shunned_is_bounded() {
    let mut table = table();
    for number in 0..5000u32 {
        table.blame(Some(key(number)), at([203, 0, 113, 1]).ip(), Offence::Lied, START.plus(number.into()));
    }
    assert_eq!(table.shuns.len(), SHUNS_MAX);
    assert!(table.shunned(Some(key(4999)), at([203, 0, 113, 1]).ip(), START.plus(5000)));
}

#[test]
fn a_heard_address_that_never_works_is_forgotten() {
    let mut table = table();
    table.heard(at([203, 0, 113, 1]), key(1), key(2), START);
    let address = PeerAddress::of(at([203, 0, 113, 1]), Some(key(1)));
    for _ in 0..TRIES_MAX {
        table.failed(&address, START);
    }
    assert!(table.known().is_empty());
    table.failed(&address, START);
}

#[test]
fn a_wanted_peer_that_is_full_is_not_called_every_few_seconds() {
    let mut table = table();
    let address = PeerAddress { key: Some(key(1)), ..peer("203.0.113.1:9908") };
    table.set_rules(std::slice::from_ref(&address), START);
    let mut now = START;
    for _ in 0..10 {
        table.reached(&address, at([203, 0, 113, 1]), key(1), now);
        table.lost(key(1), now.plus(2_000));
        now = table.next_due().unwrap();
    }
    assert!(now.0 - START.0 > 2 * BRIEF_WANTED_MAX_MS, "{}", now.0 - START.0);
    table.failed(&address, now);
    assert!(
        table.next_due().unwrap().0 - now.0 <= BACKOFF_WANTED_MAX_MS * 5 / 4,
        "unreachable is another thing"
    );
}

#[test]
fn a_peer_that_left_its_wanted_address_is_sought_at_the_other_ones_too() {
    let mut table = table();
    let wanted = PeerAddress::of(at([203, 0, 113, 1]), Some(key(1)));
    table.configure(std::slice::from_ref(&wanted), START).unwrap();
    table.heard(at([203, 0, 113, 2]), key(1), key(2), START);
    let mut now = START;
    let mut dialled = Vec::new();
    // Each attempt takes so long that by its end both are due again.
    for _ in 0..4 {
        let due = all(&mut table, now);
        assert_eq!(due.len(), 1, "one attempt at a time for a key");
        now = now.plus(REST_MS + BACKOFF_WANTED_MAX_MS);
        table.failed(&due[0], now);
        dialled.extend(due);
        now = now.plus(2 * BACKOFF_WANTED_MAX_MS);
    }
    assert_eq!(dialled[0], wanted, "what the operator says comes first");
    assert_eq!(dialled[1].host, "203.0.113.2");
    assert_eq!(dialled.iter().filter(|address| **address == wanted).count(), 2, "{dialled:?}");
}
