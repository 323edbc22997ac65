//! `lfdns peer …` and the peers in `lfdns status`, between real nodes.
#![allow(clippy::unwrap_used)]

#[path = "common/node.rs"]
mod node;

use node::{Home, Node, until};
use serde_json::Value;

/// Two nodes of one network; the second has joined from the first.
fn two() -> (Home, Node, Home, Node) {
    let (one, two) = (Home::new(), Home::new());
    let first = one.node();
    two.run(["network", "join", &first.url()]).well();
    let second = two.node();
    (one, first, two, second)
}

/// The peers of a node, once they are so.
fn awaits(home: &Home, wanted: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    until(|| home.json(["peer", "list"]).as_array().unwrap().clone(), |peers| wanted(peers))
}

fn awaits_value(home: &Home, key: &str, value: &str) {
    until(|| home.run(["get", key]).out, |out| out.trim() == value);
}

fn up(peers: &[Value]) -> bool {
    peers.iter().any(|peer| !peer["Connection"].is_null())
}

#[test]
fn a_node_that_joined_connects_to_where_it_joined_from() {
    let (one, first, two, second) = two();
    let peers = awaits(&two, up);
    assert_eq!(peers[0]["Origin"], "operator");
    let key = one.json(["status"])["Key"].as_str().unwrap().to_owned();
    assert_eq!(peers[0]["Key"], key.as_str());
    assert_eq!(peers[0]["Address"], format!("{}#{key}", first.quic));
    awaits(&one, up);
    let shown = two.run(["peer", "list"]).well().out;
    assert!(shown.contains(&key[..8]) && shown.contains("up"), "{shown}");
    assert_eq!(two.json(["status"])["PeerCount"], 1);
    assert!(two.run(["status"]).well().out.contains("1 connected"));
    assert_eq!((first.stop().code(), second.stop().code()), (Some(0), Some(0)));
}

#[test]
fn a_peer_that_is_removed_is_disconnected_and_one_that_is_added_outlives_a_restart() {
    let (one, _first, two, second) = two();
    let peers = awaits(&two, up);
    let address = peers[0]["Address"].as_str().unwrap().to_owned();
    two.run(["peer", "remove", &address]).well();
    two.run(["peer", "remove", &address]).fails(1, &["no peer", "peer list"]);
    awaits(&one, |peers| !up(peers));
    // Without its key: the first one seen is pinned.
    let place = address.split('#').next().unwrap();
    two.run(["peer", "add", place]).well();
    let pinned = awaits(&two, up);
    assert_eq!(pinned[0]["Address"], address.as_str());
    assert_eq!(second.stop().code(), Some(0));
    let again = two.node();
    let peers = awaits(&two, up);
    assert_eq!(peers[0]["Address"], address.as_str());
    assert_eq!(again.stop().code(), Some(0));
}

#[test]
fn peers_of_the_command_line_and_this_node_itself_cannot_be_removed_or_added() {
    let home = Home::new();
    let node = home.node_with(&["--peer", "127.0.0.1:9"]);
    home.run(["peer", "remove", "127.0.0.1:9"]).fails(1, &["the configuration"]);
    let key = home.json(["status"])["Key"].as_str().unwrap().to_owned();
    home.run(["peer", "add", &format!("127.0.0.1:9#{key}")]).fails(1, &["this node itself"]);
    assert_eq!(node.stop().code(), Some(0));
}

#[test]
fn a_home_that_joined_by_an_invitation_gets_everything_from_its_peer() {
    let (one, two) = (Home::new(), Home::new());
    let _first = one.node();
    for number in 0..20 {
        one.run(["set", &format!("key{number}"), "value"]).well();
    }
    let file = two.file("friend.json", one.json(["network", "show"]).to_string()).display().to_string();
    two.run(["network", "join", &file]).well();
    let _second = two.node();
    awaits_value(&two, "key19", "value");
    until(|| two.path().join("joining").exists(), |joining| !joining);
    let status = until(|| two.json(["status"]), |status| status["Synchronised"] == true);
    assert_eq!(status["DBRecordCount"], one.json(["status"])["DBRecordCount"]);
}

#[test]
fn what_is_written_on_either_node_the_other_answers() {
    let (one, _first, two, _second) = two();
    awaits(&two, up);
    one.run(["set", "there", "one"]).well();
    awaits_value(&two, "there", "one");
    two.run(["set", "back", "two"]).well();
    awaits_value(&one, "back", "two");
    let peers = until(|| two.json(["peer", "list"]), |peers| peers[0]["Connection"]["RecordsIn"] == 1);
    assert_eq!(peers[0]["Connection"]["Refused"], 0, "{peers}");
}

#[test]
fn an_amendment_reaches_the_other_nodes_and_brings_them_its_seeds() {
    let (one, first, two, _second) = two();
    awaits(&two, up);
    let amendment = one.file("amend.json", r#"{"contact": "me@example.org", "seed_peers": ["127.0.0.1:9"]}"#);
    one.run(["network", "amend", &amendment.display().to_string()]).well();
    until(
        || two.json(["network", "show"])["rules"]["contact"].clone(),
        |contact| contact == "me@example.org",
    );
    awaits(&two, |peers| peers.iter().any(|peer| peer["Origin"] == "rules"));
    two.run(["peer", "remove", "127.0.0.1:9"]).fails(1, &["the network's rules"]);
    // Only its founder may.
    let amendment = two.file("amend.json", r#"{"contact": "you@example.org"}"#);
    two.run(["network", "amend", &amendment.display().to_string()]).fails(1, &["only the founder"]);
    assert_eq!(first.stop().code(), Some(0));
}

#[test]
fn nodes_that_call_the_same_one_hear_of_each_other() {
    let (_one, first, two, second) = two();
    let three = Home::new();
    three.run(["network", "join", &first.url()]).well();
    let third = three.node();
    let all = |peers: &[Value]| peers.iter().filter(|peer| !peer["Connection"].is_null()).count() == 2;
    let heard = awaits(&two, all).into_iter().find(|peer| peer["Origin"] == "heard").unwrap();
    assert!(heard["Address"].as_str().unwrap().starts_with(&third.quic.to_string()), "{heard}");
    awaits(&three, all);
    // The one that they had in common goes, and they still agree.
    first.kill();
    three.run(["set", "left", "two"]).well();
    awaits_value(&two, "left", "two");
    assert_eq!((second.stop().code(), third.stop().code()), (Some(0), Some(0)));
}
