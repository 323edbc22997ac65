//! `network`, `check`, `export`, `import`, `backup`, `status`, `bench`, help: with and without a node.
#![allow(clippy::unwrap_used)]

#[path = "common/node.rs"]
mod node;

use node::Home;

#[test]
fn a_network_is_founded_shown_and_amended_with_its_difference() {
    let home = Home::new();
    home.run(["network", "new", "mine", "--contact", "me@example.org", "--suffix", "mesh"]).well();
    home.run(["network", "new"]).fails(1, &["already"]);
    let shown = home.json(["network", "show"]);
    assert_eq!(shown["rules"]["name"], "mine");
    assert_eq!(shown["rules"]["suffix"], "mesh.");
    assert_eq!(shown["network"].as_str().unwrap().len(), 64);
    let file = home.file("amend.json", r#"{"contact": "you@example.org"}"#).display().to_string();
    let dry = home.run(["network", "amend", &file, "--dry-run"]);
    assert_eq!(dry.code, 2);
    assert!(
        dry.out.contains("- contact: \"me@example.org\"") && dry.out.contains("+ contact"),
        "{}",
        dry.out
    );
    home.run(["network", "amend", &file]).well();
    assert_eq!(home.json(["network", "show"])["rules"]["contact"], "you@example.org");
    let fixed = home.file("fixed.json", r#"{"links_min": 3}"#).display().to_string();
    home.run(["network", "amend", &fixed]).fails(1, &["links_min", "fixed for ever"]);
    let unknown = home.file("unknown.json", r#"{"contakt": "x"}"#).display().to_string();
    home.run(["network", "amend", &unknown]).fails(1, &["contakt"]);
}

#[test]
fn an_amendment_reaches_a_running_node() {
    let home = Home::new();
    let _node = home.node();
    let owner = home.json(["owner", "status"])["owner"].as_str().unwrap().to_owned();
    let mut rules = home.json(["network", "show"])["rules"].clone();
    let mut zone = rules["zones"][0].clone();
    zone["suffix"] = "more.lf.".into();
    zone["at"] = serde_json::json!(["more"]);
    zone["authority"] = serde_json::json!([owner]);
    rules["zones"].as_array_mut().unwrap().push(zone);
    let file = home.file("rules.json", rules.to_string()).display().to_string();
    home.run(["network", "amend", &file]).well();
    assert_eq!(home.json(["name", "show", "more.lf", "SOA"])["zone"], "more.lf.");
}

#[test]
fn an_export_founds_the_same_network_in_an_empty_home() {
    let home = Home::new();
    let node = home.node();
    home.run(["set", "a", "b"]).well();
    let file = home.path().join("all.lfdns").display().to_string();
    let records = home.json(["export", &file])["records"].as_u64().unwrap();
    home.run(["export", &file]).fails(1, &["exists"]);
    let other = Home::new();
    let imported = other.json(["import", &file]);
    assert_eq!(imported["records"], records);
    assert_eq!(home.json(["network", "show"])["network"], other.json(["network", "show"])["network"]);
    let copy = other.node();
    assert_eq!(other.run(["get", "a"]).well().out, "b\n");
    // Through a running node: known already, then new.
    assert_eq!(other.json(["import", &file])["known"], records);
    home.run(["set", "c", "d"]).well();
    node.stop();
    home.run(["export", &file, "--force"]).well();
    assert_eq!(other.json(["import", &file])["accepted"], 1);
    assert_eq!(other.run(["get", "c"]).well().out, "d\n");
    drop(copy);
}

#[test]
fn an_export_of_another_network_and_a_damaged_one_are_refused() {
    let (one, two) = (Home::new(), Home::new());
    one.run(["network", "new"]).well();
    two.run(["network", "new"]).well();
    let file = one.path().join("all.lfdns");
    let name = file.display().to_string();
    one.run(["export", &name]).well();
    two.run(["import", &name]).fails(1, &["another network"]);
    let mut bytes = std::fs::read(&file).unwrap();
    bytes.truncate(bytes.len() - 1);
    let cut = one.file("cut.lfdns", bytes).display().to_string();
    let empty = Home::new();
    empty.run(["import", &cut]).fails(1, &["ends early"]);
    empty.run(["network", "show"]).fails(1, &["no store"]);
}

#[test]
fn a_backup_is_the_same_store_in_another_home() {
    let home = Home::new();
    let _node = home.node();
    home.run(["set", "a", "b"]).well();
    let other = Home::new();
    std::fs::create_dir(other.path()).unwrap();
    let file = other.path().join("store.db").display().to_string();
    home.run(["backup", &file]).well();
    home.run(["backup", &file]).fails(1, &["--force"]);
    other.run(["check"]).well();
    let _copy = other.node();
    assert_eq!(other.run(["get", "a"]).well().out, "b\n");
}

#[test]
fn a_check_counts_the_records_beside_a_running_node() {
    let home = Home::new();
    let node = home.node();
    home.run(["set", "a", "b"]).well();
    let report = home.json(["check", "--signatures"]);
    assert_eq!(report["whole"], true);
    assert_eq!(report["records"], 3, "two genesis records and one datum");
    // A node that runs elsewhere says nothing of this home.
    let other = Home::new();
    other.run(["network", "new", "other"]).well();
    other.run(["--url", &node.url(), "check"]).well();
    std::fs::write(other.path().join("node.toml"), format!("[client]\nurl = [\"{}\"]\n", node.url()))
        .unwrap();
    other.run(["check"]).well();
    Home::new().run(["check"]).fails(1, &["no store", "lfdns node"]);
}

#[test]
fn a_benchmark_asks_the_node_on_this_home() {
    let home = Home::new();
    let _node = home.node();
    let questions = home.file("questions", "x.lf A\nlf SOA\n").display().to_string();
    // Far below what the node answers, so that none is lost on a busy machine.
    let gently = ["--duration", "1", "--rate", "2000", "--outstanding", "16"];
    let report = home.json(["bench", "dns", &questions].into_iter().chain(gently));
    assert!(report["answered"].as_u64().unwrap() > 0, "{report}");
    let wrong = home.file("wrong", "x.lf NOTATYPE\n").display().to_string();
    home.run(["bench", "dns", &wrong]).fails(1, &["line 1", "NOTATYPE"]);
    Home::new().run(["bench", "dns", &questions]).fails(3, &["no node"]);
}

#[test]
fn help_names_the_exit_codes_and_every_command_explains_itself() {
    let home = Home::new();
    let help = home.run(["--help"]).well().out;
    for code in ["0  done", "1  failed", "2  wrong usage", "3  no node"] {
        assert!(help.contains(code), "{help}");
    }
    let commands = [
        "node", "set", "get", "name", "zone", "owner", "network", "status", "check", "export", "import",
        "backup", "bench",
    ];
    for command in commands {
        assert!(home.run([command, "--help"]).well().out.len() > 200, "{command}");
    }
    assert!(home.run(["completions", "bash"]).well().out.contains("lfdns"));
    assert!(home.run(["man"]).well().out.contains(".TH lfdns"));
}
