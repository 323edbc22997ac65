//! `lfdns owner …`: keys on disk, without a node.
#![allow(clippy::unwrap_used)]

#[path = "common/node.rs"]
mod node;

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use node::Home;

fn key(home: &Home, name: &str) -> String {
    home.json(["owner", "status", name])["owner"].as_str().unwrap().to_owned()
}

#[test]
fn owners_are_made_listed_renamed_and_deleted() {
    let home = Home::new();
    home.run(["owner", "new", "a"]).well();
    home.run(["owner", "new", "b"]).well();
    let list = home.json(["owner", "list"]);
    assert_eq!(list[0]["name"], "a");
    assert_eq!((&list[0]["default"], &list[1]["default"]), (&true.into(), &false.into()));
    home.run(["owner", "default", "b"]).well();
    assert!(home.run(["owner", "default"]).well().out.contains('b'));
    let before = key(&home, "b");
    home.run(["owner", "rename", "b", "c"]).well();
    assert_eq!(key(&home, "c"), before);
    home.run(["owner", "delete", "c"]).well();
    home.run(["owner", "status", "c"]).fails(1, &["no owner 'c'", "there are: a"]);
    home.run(["owner", "new", "a"]).fails(1, &["exists already"]);
    home.run(["owner", "new", "../a"]).fails(1, &["cannot name an owner"]);
}

#[test]
fn an_exported_key_is_private_and_imports_as_the_same_owner_in_both_forms() {
    let home = Home::new();
    home.run(["owner", "new", "me"]).well();
    for (name, extra) in [("pkcs8", &[][..]), ("lf", &["--lf"][..])] {
        let file = home.path().join(format!("{name}.pem")).display().to_string();
        home.run([&["owner", "export", "me", &file], extra].concat()).well();
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        home.run(["owner", "import", name, &file]).well();
        assert_eq!(key(&home, name), key(&home, "me"));
        home.run(["owner", "export", "me", &file]).fails(1, &["exists"]);
    }
}

#[test]
fn a_file_that_is_no_key_is_refused_by_its_name() {
    let home = Home::new();
    let file = home.file("note.txt", "not a key").display().to_string();
    home.run(["owner", "import", "x", &file]).fails(1, &["note.txt", "PKCS#8"]);
    home.run(["owner", "import", "x", "/nowhere"]).fails(1, &["/nowhere"]);
}

#[test]
fn a_passphrase_makes_the_same_owner_everywhere_and_a_short_one_is_refused() {
    let new = |phrase: &str| {
        let home = Home::new();
        let mut child = home
            .command()
            .args(["--json", "owner", "new", "me", "--passphrase"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(phrase.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, first) = new("correct horse battery staple\n");
    assert_eq!(code, Some(0));
    assert_eq!(new("correct horse battery staple\n").1, first);
    assert_ne!(new("correct horse battery stapler\n").1, first);
    assert_eq!(new("short\n").0, Some(1));
}
