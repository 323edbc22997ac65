//! `set` and `get` against a real node: every form of a key, masks, owners, times, output, exit codes.
#![allow(clippy::unwrap_used)]

#[path = "common/node.rs"]
mod node;

use node::Home;

#[test]
fn a_value_is_read_back_under_the_selectors_it_was_set_with() {
    let home = Home::new();
    let _node = home.node();
    let set = home.run(["set", "bad", "horse#2", "The Thoroughbred of Sin"]).well();
    assert!(set.out.starts_with('='), "the record's id: {}", set.out);
    assert_eq!(home.run(["get", "bad", "horse#2"]).well().out, "The Thoroughbred of Sin\n");
    home.run(["get", "bad", "horse"]).fails(1, &["no value at bad horse"]);
    home.run(["get", "horse#2", "bad"]).fails(1, &["no value"]);
}

#[test]
fn ranges_prefixes_and_open_queries_find_what_they_say() {
    let home = Home::new();
    let _node = home.node();
    for number in ["1", "2", "3", "12"] {
        home.run(["set", "bad", &format!("horse#{number}"), &format!("line {number}")]).well();
    }
    home.run(["set", "bad", "the root"]).well();
    let get = |args: &[&str]| home.run([&["get"], args].concat()).well().out;
    assert_eq!(get(&["bad", "horse#2#10"]), "line 2\nline 3\n");
    assert_eq!(get(&["bad", "horse#"]), "line 1\nline 2\nline 3\nline 12\n");
    assert_eq!(get(&["bad", "horse#", "--limit", "1"]), "line 1\n");
    assert_eq!(get(&["--prefix", "bad"]), "the root\nline 1\nline 2\nline 3\nline 12\n");
    assert_eq!(get(&["--open", "horse#2", "--mask", "bad"]), "line 2\n");
    assert_eq!(get(&["--prefix", "horse"]), "", "horse is nobody's first selector");
    assert_eq!(get(&["bad", "horse#4#9"]), "", "an empty range is no failure");
}

#[test]
fn a_key_is_deleted_by_an_empty_value_or_by_delete() {
    let home = Home::new();
    let _node = home.node();
    for delete in [&["set", "a", "b", ""][..], &["set", "a", "b", "--delete"]] {
        home.run(["set", "a", "b", "value"]).well();
        home.run(["get", "a", "b"]).well();
        home.run(delete).well();
        home.run(["get", "a", "b"]).fails(1, &["no value at a b"]);
    }
}

#[test]
fn a_file_goes_in_and_comes_out_byte_for_byte() {
    let home = Home::new();
    let _node = home.node();
    let bytes: Vec<u8> = (0..=255).cycle().take(3_000).collect();
    let file = home.file("horse.bin", &bytes);
    home.run(["set".as_ref(), "horse".as_ref(), "--file".as_ref(), file.as_os_str()]).well();
    let raw = home.command().args(["get", "horse", "--raw"]).output().unwrap();
    assert_eq!(raw.stdout, bytes);
    let shown = home.run(["get", "horse"]).well().out;
    assert!(shown.contains("3000 bytes"), "{shown}");
}

#[test]
fn a_masked_value_opens_with_its_key_only_and_says_so() {
    let home = Home::new();
    let _node = home.node();
    home.run(["set", "vault", "gold", "--mask", "right key"]).well();
    assert_eq!(home.run(["get", "vault", "--mask", "right key"]).well().out, "gold\n");
    home.run(["get", "vault", "--mask", "wrong"]).fails(1, &["masking key", "--mask"]);
    home.run(["get", "vault"]).fails(1, &["masked with another key", "--mask"]);
}

#[test]
fn owners_have_values_of_their_own_under_one_key() {
    let home = Home::new();
    let _node = home.node();
    home.run(["owner", "new", "rival"]).well();
    home.run(["set", "shared", "first"]).well();
    home.run(["set", "shared", "second", "--owner", "rival"]).well();
    let best = home.run(["get", "shared"]).well();
    assert_eq!(best.out, "first\n");
    assert!(best.err.contains("--owner"), "{}", best.err);
    assert_eq!(home.run(["get", "shared", "--owner", "rival"]).well().out, "second\n");
    let key = home.json(["owner", "status", "rival"])["owner"].as_str().unwrap().to_owned();
    assert_eq!(home.run(["get", "shared", "--owner", &key]).well().out, "second\n");
    home.run(["set", "x", "y", "--owner", "nobody"]).fails(1, &["nobody", "default, rival"]);
}

#[test]
fn an_earlier_value_is_found_by_its_time() {
    let home = Home::new();
    let _node = home.node();
    let first = home.json(["set", "clock", "one"])["time_ms"].as_u64().unwrap();
    // Times of a key only ever grow, and LF's queries count in seconds: until the next one, ask again.
    let mut second = first;
    while second / 1000 == first / 1000 {
        second = home.json(["set", "clock", "two"])["time_ms"].as_u64().unwrap();
    }
    let until = (second / 1000 - 1).to_string();
    let then = home.run(["get", "clock", "--until", &until]).well().out;
    assert_eq!(home.run(["get", "clock"]).well().out, "two\n");
    assert!(then == "one\n" || then == "two\n", "some revision of that second: {then}");
    home.run(["get", "clock", "--until", "2020-01-01"]).fails(1, &["no value"]);
    home.run(["get", "clock", "--since", "1h"]).well();
    home.run(["get", "clock", "--since", "whenever"]).fails(2, &["'whenever' is not a time"]);
}

#[test]
fn json_is_one_document_and_errors_are_json_too() {
    let home = Home::new();
    let _node = home.node();
    home.run(["set", "a", "b#7", "value"]).well();
    let found = home.json(["get", "a", "b#7"]);
    assert_eq!(found[0]["value"], "value");
    assert_eq!(found[0]["ordinals"], serde_json::json!([0, 7]));
    for (args, code) in
        [(&["--json", "get", "nothing"][..], 1), (&["--json", "get"], 2), (&["--json", "get", "a#x"], 2)]
    {
        let run = home.run(args);
        assert_eq!(run.code, code, "{args:?}");
        let error: serde_json::Value =
            serde_json::from_str(&run.err).unwrap_or_else(|e| panic!("{e}: {}", run.err));
        assert!(error["error"].is_string(), "{error}");
        assert_eq!(run.out, "");
    }
}

#[test]
fn usage_errors_end_with_two_and_say_what_was_meant() {
    let home = Home::new();
    home.run(["set", "alone"]).fails(2, &["a value is missing"]);
    home.run(["set", "a#1#2", "value"]).fails(2, &["one ordinal"]);
    home.run(["get", "a#9#2"]).fails(2, &["ends before it begins"]);
    home.run(["conquer"]).fails(2, &["conquer"]);
}

#[test]
fn without_a_node_commands_end_with_three_and_say_how_to_start_one() {
    let home = Home::new();
    home.run(["get", "a"]).fails(3, &["no node", "lfdns node", "--url"]);
    let nowhere = "http://127.0.0.1:1";
    home.run(["--url", nowhere, "get", "a"]).fails(3, &[nowhere, "lfdns node"]);
}

#[test]
fn a_node_that_was_killed_is_named_as_not_reachable() {
    let home = Home::new();
    let node = home.node();
    let url = node.url();
    node.kill();
    home.run(["status"]).fails(3, &[&url]);
}

#[test]
fn several_nodes_are_tried_in_turn() {
    let home = Home::new();
    let node = home.node();
    let both = format!("http://127.0.0.1:1,{}", node.url());
    home.run(["--url", &both, "set", "a", "b"]).well();
    let twice = ["--url", "http://127.0.0.1:1", "--url", &node.url(), "get", "a"].map(str::to_owned);
    assert_eq!(home.run(twice).well().out, "b\n");
    let config = format!("[client]\nurl = [\"http://127.0.0.1:1\", \"{}\"]\n", node.url());
    let other = Home::new();
    std::fs::create_dir(other.path()).unwrap();
    std::fs::write(other.path().join("node.toml"), config).unwrap();
    assert_eq!(other.run(["get", "a"]).well().out, "b\n");
}

#[test]
fn a_node_elsewhere_in_the_configuration_leaves_the_home_s_own_its_token() {
    let home = Home::new();
    let node = home.node();
    std::fs::write(home.path().join("node.toml"), "[client]\nurl = [\"http://192.0.2.1:9980\"]\n").unwrap();
    home.run(["set", "a", "b"]).well();
    // What it left behind when it was killed is no reason not to ask the configured one.
    let (url, other) = (node.url(), Home::new());
    let running = std::fs::read(home.path().join("node.json")).unwrap();
    node.kill();
    home.run(["get", "a"]).fails(3, &[&url, "192.0.2.1"]);
    std::fs::create_dir(other.path()).unwrap();
    std::fs::write(other.path().join("node.json"), running).unwrap();
    let node = home.node();
    std::fs::write(other.path().join("node.toml"), format!("[client]\nurl = [\"{}\"]\n", node.url()))
        .unwrap();
    assert_eq!(other.run(["get", "a"]).well().out, "b\n");
}

#[test]
fn a_token_is_given_for_the_nodes_that_are_named() {
    let (home, other) = (Home::new(), Home::new());
    let node = home.node();
    other.run(["owner", "new", "default"]).well();
    let url = node.url();
    other.run(["--url", &url, "set", "a", "b"]).fails(1, &[&url, "--token FILE", "api.token"]);
    let token = home.path().join("api.token").display().to_string();
    other.run(["--url", &url, "--token", &token, "set", "a", "b"]).well();
    let output = other
        .command()
        .envs([("LFDNS_URL", &url), ("LFDNS_TOKEN_FILE", &token)])
        .args(["set", "a", "c"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(home.run(["get", "a"]).well().out, "c\n");
    let wrong = other.file("wrong.token", "0".repeat(64)).display().to_string();
    other.run(["--url", &url, "--token", &wrong, "get", "a"]).fails(1, &[&url, "--token FILE"]);
    // The home's own node has its own.
    home.run(["--token", &wrong, "set", "a", "d"]).well();
    let none = other.file("none.token", "").display().to_string();
    other.run(["--url", &url, "--token", &none, "get", "a"]).fails(1, &["holds no token"]);
}

#[test]
fn a_value_too_large_for_the_network_is_refused_with_both_numbers() {
    let home = Home::new();
    home.run(["network", "new", "small", "--value-max", "1000"]).well();
    let _node = home.node();
    let large = home.file("large", vec![0; 2_000]);
    let args =
        ["set".as_ref(), "a".as_ref(), "--no-compression".as_ref(), "--file".as_ref(), large.as_os_str()];
    home.run(args).fails(1, &["2017 bytes", "limit is 1000 bytes", "network show"]);
}
