//! `lfdns zone …` and `lfdns name …` against a real node.
#![allow(clippy::unwrap_used)]

#[path = "common/node.rs"]
mod node;

use node::Home;

const ZONE: &str = "$TTL 60\n@ SOA ns hm 1 2 3 4 60\n@ NS ns\nns A 192.0.2.53\nwww A 192.0.2.1\nwww A 192.0.2.2\nmail MX 10 www\na TXT a\nb TXT b\nc TXT c\n";

fn with_zone() -> (Home, node::Node, String) {
    let home = Home::new();
    home.file("zones/x.toml", "suffix = \"x.lf.\"\nauthority = [\"default\"]\n");
    let node = home.node();
    let file = home.file("x.zone", ZONE).display().to_string();
    (home, node, file)
}

#[test]
fn publishing_writes_the_difference_and_nothing_the_second_time() {
    let (home, _node, file) = with_zone();
    home.run(["zone", "diff", &file, "--zone", "x.lf"]).fails(2, &[]);
    home.run(["zone", "publish", &file, "--zone", "x.lf", "--dry-run"]).fails(2, &[]);
    let first = home.json(["zone", "publish", &file, "--zone", "x.lf"]);
    assert_eq!((&first["added"], &first["unchanged"]), (&8.into(), &0.into()));
    let second = home.json(["zone", "publish", &file, "--zone", "x.lf"]);
    assert_eq!(
        (&second["added"], &second["replaced"], &second["unchanged"]),
        (&0.into(), &0.into(), &8.into())
    );
    home.run(["zone", "diff", &file, "--zone", "x.lf"]).well();
    let changed = home.file("y.zone", ZONE.replace("192.0.2.2", "192.0.2.3")).display().to_string();
    let diff = home.run(["zone", "diff", &changed, "--zone", "x.lf"]);
    assert_eq!(diff.code, 2);
    assert!(diff.out.contains("- www.x.lf. 60 IN A 192.0.2.2"), "{}", diff.out);
    assert!(diff.out.contains("+ www.x.lf. 60 IN A 192.0.2.3"), "{}", diff.out);
}

#[test]
fn many_deletions_need_force_and_import_deletes_nothing() {
    let (home, _node, file) = with_zone();
    home.run(["zone", "publish", &file, "--zone", "x.lf"]).well();
    let less =
        home.file("less.zone", "$TTL 60\n@ SOA ns hm 1 2 3 4 60\nnew A 192.0.2.7\n").display().to_string();
    let import = home.json(["zone", "import", &less, "--zone", "x.lf"]);
    assert_eq!((&import["added"], &import["deleted"]), (&1.into(), &0.into()));
    home.run(["zone", "publish", &less, "--zone", "x.lf"]).fails(1, &["20 %", "--force"]);
    let forced = home.json(["zone", "publish", &less, "--zone", "x.lf", "--force"]);
    assert_eq!(forced["deleted"], 7);
    let names = home.run(["name", "list", "x.lf"]).well().out;
    assert!(names.contains("new.x.lf.") && !names.contains("www.x.lf."), "{names}");
}

#[test]
fn an_export_publishes_as_no_change() {
    let (home, _node, file) = with_zone();
    home.run(["zone", "publish", &file, "--zone", "x.lf"]).well();
    let out = home.path().join("export.zone").display().to_string();
    home.run(["zone", "export", "x.lf", "--output", &out]).well();
    home.run(["zone", "diff", &out, "--zone", "x.lf"]).well();
    let printed = home.run(["zone", "export", "--zone", "x.lf"]).well().out;
    assert_eq!(printed, std::fs::read_to_string(out).unwrap());
}

#[test]
fn a_zone_at_the_top_of_the_network_is_published_and_listed_too() {
    let (home, _node, _) = with_zone();
    let top = home.file("top.zone", "$TTL 60\none A 192.0.2.1\nsub.two A 192.0.2.2\n").display().to_string();
    assert_eq!(home.json(["zone", "publish", &top, "--zone", "lf"])["added"], 2);
    assert_eq!(home.json(["zone", "publish", &top, "--zone", "lf"])["unchanged"], 2);
}

#[test]
fn a_fault_in_a_master_file_is_named_with_file_line_and_column() {
    let (home, _node, _) = with_zone();
    let bad = home.file("bad.zone", "$TTL 60\nwww A 192.0.2.1\nmail MX ten www\n").display().to_string();
    home.run(["zone", "publish", &bad, "--zone", "x.lf"]).fails(1, &["bad.zone:3:9", "ten"]);
    let unknown = ["zone", "publish", &bad, "--zone", "nowhere.lf"];
    home.run(unknown).fails(1, &["no zone nowhere.lf.", "x.lf."]);
    home.run(["zone", "diff", "/nowhere.zone", "--zone", "x.lf"]).fails(1, &["/nowhere.zone"]);
}

#[test]
fn an_included_file_is_read_from_beside_its_parent() {
    let (home, _node, _) = with_zone();
    home.file("parts/hosts.zone", "inner A 192.0.2.1\n");
    let outer = home.file("outer.zone", "$TTL 60\n$INCLUDE parts/hosts.zone\n").display().to_string();
    assert_eq!(home.json(["zone", "publish", &outer, "--zone", "x.lf"])["added"], 1);
}

#[test]
fn a_name_is_explained_with_the_record_that_is_served() {
    let (home, _node, file) = with_zone();
    home.run(["zone", "publish", &file, "--zone", "x.lf"]).well();
    let shown = home.json(["name", "show", "www.x.lf", "A"]);
    assert_eq!(shown["zone"], "x.lf.");
    assert_eq!(shown["rcode"], "NOERROR");
    assert_eq!(shown["answer"].as_array().unwrap().len(), 2);
    assert_eq!(shown["records"][0]["fate"], "served");
    assert_eq!(home.json(["name", "show", "absent.x.lf", "A"])["rcode"], "NXDOMAIN");
    home.run(["name", "show", "www.x.lf", "NOTATYPE"]).fails(1, &["NOTATYPE"]);
    let text = home.run(["name", "show", "www.x.lf", "A"]).well().out;
    assert!(text.starts_with("question  www.x.lf. A\nzone  x.lf.\n"), "{text}");
}

#[test]
fn publishing_where_nobody_would_be_served_is_refused() {
    let (home, _node, file) = with_zone();
    home.run(["owner", "new", "bob"]).well();
    let publish = ["zone", "publish", file.as_str(), "--zone", "x.lf", "--owner", "bob"];
    home.run(publish).fails(1, &["may not speak", "--owner"]);
}

#[test]
fn zones_beside_the_node_that_name_strangers_keep_it_from_nothing() {
    let home = Home::new();
    let node = home.node();
    assert!(node.stop().success());
    home.file("zones/other.toml", "suffix = \"other.lf\"\nauthority = [\"nobody\"]\n");
    let node = home.node();
    node.awaits("'nobody'");
    assert!(node.stop().success());
}
