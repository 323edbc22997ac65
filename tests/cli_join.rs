//! `lfdns network join`, `lfdns peer …`: an empty home becomes a node of a network that is there.
#![allow(clippy::unwrap_used)]

#[path = "common/node.rs"]
mod node;

use std::io::Write;
use std::process::Stdio;

use node::{Home, until};
use serde_json::Value;

/// A home with a network and a value, and no node on it.
fn founded() -> Home {
    let home = Home::new();
    home.run(["network", "new", "friends"]).well();
    let node = home.node();
    home.run(["set", "greeting", "hello"]).well();
    assert_eq!(node.stop().code(), Some(0));
    home
}

/// What a node on this home answers.
fn greeting(home: &Home) -> String {
    let _node = home.node();
    home.run(["get", "greeting"]).well().out.trim().to_owned()
}

fn network_of(home: &Home) -> Value {
    home.json(["network", "show"])["network"].clone()
}

fn peers_json(home: &Home) -> Value {
    serde_json::from_slice(&std::fs::read(home.path().join("peers.json")).unwrap()).unwrap()
}

#[test]
fn a_home_joins_from_a_node_by_its_url() {
    let (one, two) = (founded(), Home::new());
    let node = one.node();
    let joined = two.json(["network", "join", &node.url()]);
    assert!(two.path().join("joining").exists(), "it has not synchronised yet");
    assert_eq!(
        (&joined["name"], &joined["records"], &joined["refused"]),
        (&"friends".into(), &3.into(), &0.into())
    );
    assert_eq!(network_of(&two), network_of(&one));
    assert_eq!(greeting(&two), "hello");
    assert!(two.run(["owner", "status"]).well().out.contains("default"));
    let peers = peers_json(&two);
    assert!(peers["peers"][0].as_str().unwrap().starts_with(&node.quic.to_string()), "{peers}");
    two.run(["network", "join", &node.url()]).fails(1, &["holds a network already"]);

    // From another machine it takes the node's token; a wrong one is refused from this one, too.
    let three = Home::new();
    let wrong = three.file("wrong.token", "0".repeat(64)).display().to_string();
    three
        .run(["network", "join", &node.url(), "--token", &wrong])
        .fails(1, &["bearer token", "--token FILE"]);
    let none = three.file("none.token", "").display().to_string();
    three.run(["network", "join", &node.url(), "--token", &none]).fails(1, &["holds no token"]);
    let right = one.path().join("api.token").display().to_string();
    three.run(["network", "join", &node.url(), "--token", &right]).well();
}

#[test]
fn a_home_joins_from_an_export() {
    let (one, two) = (founded(), Home::new());
    let file = two.file("all.export", "").display().to_string();
    one.run(["export", &file, "--force"]).well();
    let joined = two.run(["network", "join", &file]).well();
    assert!(joined.out.contains("joined 'friends': 3 records, 0 peers"), "{}", joined.out);
    assert!(joined.err.contains("nobody is known"), "{}", joined.err);
    assert!(two.path().join("joining").exists(), "once it has peers, it is to agree with one first");
    assert_eq!(greeting(&two), "hello");

    let three = Home::new();
    let output = {
        let mut child = three
            .command()
            .args(["network", "join", "-", "--peer", "192.0.2.1:9908"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(&std::fs::read(&file).unwrap()).unwrap();
        child.wait_with_output().unwrap()
    };
    assert!(output.status.success());
    assert_eq!(peers_json(&three)["peers"][0], "192.0.2.1:9908");
    assert!(three.path().join("joining").exists());
}

#[test]
fn a_home_joins_by_an_invitation_as_it_was_printed() {
    let (one, two, three) = (founded(), Home::new(), Home::new());
    let node = one.node();
    let shown = one.run(["network", "show"]).well().out;
    let line = shown.lines().find(|line| line.starts_with('{')).unwrap();
    let file = two.file("friend.json", line).display().to_string();
    let joined = two.json(["network", "join", &file]);
    assert_eq!(joined["records"], 2, "the founding; the rest comes from the peers");
    assert!(joined["peers"][0].as_str().unwrap().starts_with(&node.quic.to_string()));
    assert_eq!(network_of(&two), network_of(&one));
    assert!(two.path().join("joining").exists());
    assert!(two.run(["owner", "status"]).well().out.contains("default"));
    // What --json prints will do as well.
    let file = three.file("friend.json", one.json(["network", "show"]).to_string()).display().to_string();
    three.run(["network", "join", &file]).well();
    assert_eq!(network_of(&three), network_of(&one));
}

#[test]
fn an_invitation_names_the_peers_of_the_rules_and_the_configuration() {
    let home = founded();
    let amendment = home.file("amend.json", r#"{"seed_peers": ["seed.example:9908"]}"#);
    home.run(["network", "amend", &amendment.display().to_string()]).well();
    std::fs::write(home.path().join("node.toml"), "[sync]\npeers = [\"mine.example:9908\"]\n").unwrap();
    let shown = home.json(["network", "show"]);
    assert_eq!(shown["invitation"]["Peers"], serde_json::json!(["mine.example:9908", "seed.example:9908"]));
    assert_eq!(shown["invitation"]["Genesis"].as_array().unwrap().len(), 2);
    let wrong = home.file("wrong.json", r#"{"seed_peers": ["nowhere"]}"#);
    home.run(["network", "amend", &wrong.display().to_string()]).fails(1, &["seed_peers", "'nowhere'"]);
}

#[test]
fn what_cannot_be_joined_leaves_the_home_empty_and_says_why() {
    let (one, two) = (founded(), Home::new());
    let empty = |home: &Home| {
        for file in ["peers.json", "joining", "store.db"] {
            assert!(!home.path().join(file).exists(), "{file}");
        }
    };
    let join = |file: &std::path::Path| two.run(["network", "join", &file.display().to_string()]);
    join(&two.file("a.json", "{}")).fails(1, &["neither an invitation", "nor an export"]);
    join(&two.file("b.json", "\u{7}garbage")).fails(1, &["neither an invitation"]);
    two.run(["network", "join", "nowhere.json"]).fails(1, &["nowhere.json"]);
    two.run(["network", "join", "http://127.0.0.1:1"]).fails(3, &["no node reachable"]);
    two.run(["network", "join", "https://127.0.0.1:1"]).fails(1, &["TLS"]);

    let mut invitation = one.json(["network", "show"])["invitation"].clone();
    let genesis = invitation["Genesis"][1].as_str().unwrap().to_owned();
    invitation["Genesis"][1] = genesis[..genesis.len() - 8].into();
    join(&two.file("c.json", invitation.to_string())).fails(1, &["damaged", "record 2"]);
    // Another network's founding behind this one's.
    let other = founded().json(["network", "show"])["invitation"]["Genesis"][1].clone();
    invitation["Genesis"][1] = other;
    join(&two.file("d.json", invitation.to_string())).fails(1, &["d.json"]);
    empty(&two);

    let file = two.file("all.export", "");
    one.run(["export", &file.display().to_string(), "--force"]).well();
    let whole = std::fs::read(&file).unwrap();
    join(&two.file("cut.export", &whole[..whole.len() - 40])).fails(1, &["ends early"]);
    empty(&two);
    let mut bent = whole.clone();
    let at = bent.len() - 60;
    bent[at] ^= 1;
    join(&two.file("bent.export", &bent)).fails(1, &["bent.export"]);
    empty(&two);
    let mut foreign = whole;
    foreign[9] ^= 1;
    join(&two.file("foreign.export", &foreign)).fails(1, &["another network"]);
    empty(&two);
    join(&file).well();
}

#[test]
fn a_join_that_was_cut_off_before_its_store_existed_is_repeated() {
    let (one, two) = (founded(), Home::new());
    let node = one.node();
    two.run(["network", "join", &node.url()]).well();
    for file in ["store.db", "store.db-wal", "store.db-shm"] {
        let _ = std::fs::remove_file(two.path().join(file));
    }
    std::fs::remove_dir_all(two.path().join("owners")).unwrap();
    let words = &["cut off", "network join", "joining", "peers.json"];
    two.node_fails(&[] as &[&str]).fails(1, words);
    two.run(["network", "new"]).fails(1, words);
    let export = two.file("all.export", "").display().to_string();
    one.run(["export", &export, "--force"]).well();
    two.run(["import", &export]).fails(1, words);
    assert!(!two.path().join("store.db").exists() && !two.path().join("owners").exists());
    two.run(["network", "join", &node.url()]).well();
    assert_eq!(greeting(&two), "hello");
}

#[test]
fn peers_need_a_node() {
    let home = founded();
    home.run(["peer", "list"]).fails(3, &["lfdns node"]);
    home.run(["peer", "add", "nowhere"]).fails(2, &["HOST:PORT#KEY"]);
}

#[test]
fn rules_are_amended_under_a_running_node_and_its_own_zones_follow() {
    let home = Home::new();
    // In the home, so the first start writes it into the rules and later ones have it as a file of their own.
    std::fs::create_dir_all(home.path().join("zones")).unwrap();
    std::fs::write(
        home.path().join("zones/extra.toml"),
        "suffix = \"extra.\"\nat = []\nauthority = \"key\"\n",
    )
    .unwrap();
    let node = home.node();
    let local = || home.json(["name", "show", "x.extra.", "A"])["local_zone"].clone();
    assert_eq!(local(), false);
    let rules = home.json(["network", "show"])["rules"].clone();
    let zones = rules["zones"].as_array().unwrap();
    assert_eq!(zones.len(), 2, "{zones:?}");
    let kept: Vec<&Value> = zones.iter().filter(|zone| zone["suffix"] != "extra.").collect();
    let file = home.file("rules.json", serde_json::json!({"zones": kept}).to_string());
    home.run(["network", "amend", &file.display().to_string(), "--dry-run"]).fails(2, &[]);
    home.run(["network", "amend", &file.display().to_string()]).well();
    assert_eq!(home.json(["network", "show"])["rules"]["zones"].as_array().unwrap().len(), 1);
    // The zone is the network's no longer, so it is this node's own again.
    until(local, |local| *local == true);
    assert_eq!(node.stop().code(), Some(0));
}
