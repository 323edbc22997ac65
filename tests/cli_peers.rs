//! `lfdns peer …` and the peers in `lfdns status`, between real nodes.
#![allow(clippy::unwrap_used)]

#[path = "common/node.rs"]
mod node;

use std::time::Instant;

use node::{Home, Node, READY};
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
    let begun = Instant::now();
    loop {
        let peers = home.json(["peer", "list"]).as_array().unwrap().clone();
        if wanted(&peers) {
            return peers;
        }
        assert!(begun.elapsed() < READY, "{peers:?}");
    }
}

fn up(peers: &[Value]) -> bool {
    peers.iter().any(|peer| !peer["Connection"].is_null())
}

#[test]
#[ignore = "the node does not hand its peers to the API yet"]
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
#[ignore = "the node does not hand its peers to the API yet"]
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
#[ignore = "the node does not hand its peers to the API yet"]
fn peers_of_the_command_line_and_this_node_itself_cannot_be_removed_or_added() {
    let home = Home::new();
    let node = home.node_with(&["--peer", "127.0.0.1:9"]);
    home.run(["peer", "remove", "127.0.0.1:9"]).fails(1, &["the configuration"]);
    let key = home.json(["status"])["Key"].as_str().unwrap().to_owned();
    home.run(["peer", "add", &format!("127.0.0.1:9#{key}")]).fails(1, &["this node itself"]);
    assert_eq!(node.stop().code(), Some(0));
}
