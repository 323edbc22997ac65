//! Comments cite the documents by section: `docs/X.md "Title"`. A citation whose heading is gone misleads, so every
//! one of them must be there. Documents that are not written yet are only named. And what docs/FORMAT.md says of hash tags
//! and limits must be what the code says.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(dir: &Path, out: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for entry in entries {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|ext| ext == "rs" || ext == "py" || ext == "toml") {
            out.push(path);
        }
    }
}

/// A text without line breaks, comment signs and escapes, so that a citation may run over two lines.
fn prose(source: &str) -> String {
    let bare = |line: &str| line.trim().trim_start_matches(['/', '!', '#']).trim().replace("\\\"", "\"");
    source.lines().map(bare).collect::<Vec<_>>().join(" ")
}

/// (document, title) of every `docs/X.md "Title"`.
fn citations(prose: &str) -> Vec<(String, String)> {
    let mut found = vec![];
    for (at, _) in prose.match_indices("docs/") {
        let rest = &prose[at..];
        let Some((document, behind)) = rest.split_once(".md \"") else { continue };
        if document.contains(|c: char| !(c.is_ascii_alphanumeric() || c == '/' || c == '-')) {
            continue;
        }
        if let Some((title, _)) = behind.split_once('"') {
            found.push((format!("{document}.md"), title.to_owned()));
        }
    }
    found
}

fn headings(document: &str) -> BTreeSet<String> {
    let is_heading = |line: &&str| line.starts_with('#');
    document.lines().filter(is_heading).map(|line| line.trim_matches(['#', ' ']).to_owned()).collect()
}

#[test]
fn every_section_that_a_comment_cites_exists() {
    let mut files = vec![];
    for dir in ["src", "tests", "benches", "examples"] {
        sources(&root().join(dir), &mut files);
    }
    let (mut checked, mut wrong) = (0, vec![]);
    for file in files.iter().filter(|file| !file.ends_with("tests/citations.rs")) {
        let source = std::fs::read_to_string(file).expect("sources are UTF-8");
        for (document, title) in citations(&prose(&source)) {
            let Ok(text) = std::fs::read_to_string(root().join(&document)) else {
                println!("not checked: {document} is not written yet ({})", file.display());
                continue;
            };
            checked += 1;
            if !headings(&text).contains(&title) {
                wrong.push(format!("{}: {document} \"{title}\"", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "no such sections:\n{}", wrong.join("\n"));
    assert!(checked > 10, "only {checked} citations found: has their form changed?");
}

/// Every `lfdns … v1` of a text.
fn tags(text: &str) -> BTreeSet<String> {
    let starts = text.match_indices("lfdns ");
    starts
        .filter_map(|(at, _)| {
            let (tag, _) = text[at..].split_once(" v1")?;
            let short = tag.len() < 40 && tag.chars().all(|c| c.is_ascii_lowercase() || c == ' ');
            short.then(|| format!("{tag} v1"))
        })
        .collect()
}

#[test]
fn the_format_lists_every_hash_tag_and_no_other() {
    let mut files = vec![];
    sources(&root().join("src"), &mut files);
    let used: BTreeSet<String> =
        files.iter().flat_map(|file| tags(&std::fs::read_to_string(file).expect("UTF-8"))).collect();
    let format = std::fs::read_to_string(root().join("docs/FORMAT.md")).expect("docs/FORMAT.md");
    assert_eq!(tags(&format), used);
    let rows = format.lines().filter(|line| line.starts_with("| `lfdns ")).count();
    assert_eq!(rows, used.len(), "each has a row in the table");
}

#[test]
fn the_format_states_the_limits_of_the_code() {
    use lfdns::dns::rrset::TTL_MAX;
    use lfdns::record::{LINKS_MAX, NAME_MAX, RECORD_MAX, SELECTORS_MAX, TIME_MAX};
    let format = std::fs::read_to_string(root().join("docs/FORMAT.md")).expect("docs/FORMAT.md");
    let stated = [
        ("RECORD_MAX", RECORD_MAX, "65,536", 65_536),
        ("SELECTORS_MAX", SELECTORS_MAX, "15", 15),
        ("LINKS_MAX", LINKS_MAX, "15", 15),
        ("NAME_MAX", NAME_MAX, "1,024", 1_024),
        ("TIME_MAX", TIME_MAX.0 as usize, "2⁴⁸ − 1", (1 << 48) - 1),
        ("TTL_MAX", TTL_MAX as usize, "2³¹ − 1", (1 << 31) - 1),
    ];
    for (name, is, text, stated) in stated {
        assert_eq!(is, stated, "{name}: change docs/FORMAT.md too");
        assert!(format.contains(&format!("| `{name}` | {text} |")), "{name}: {text} is not in the table");
    }
}

#[test]
fn the_architecture_states_the_bounds_of_the_code() {
    use lfdns::api::{INVITATION_MAX, INVITED_GENESIS_MAX, INVITED_PEERS_MAX};
    use lfdns::dns::resolver::CHAIN_MAX;
    use lfdns::dns::{RAW_OCTETS_MAX, RAW_VALUES_MAX};
    use lfdns::store::{BOOK_MAX, PRESENCE_MAX, QUERY_ROWS_MAX};
    let document =
        std::fs::read_to_string(root().join("docs/ARCHITECTURE.md")).expect("docs/ARCHITECTURE.md");
    let stated: [(&str, &[usize], &str); 5] = [
        ("owners listed at a path · names in the book", &[PRESENCE_MAX, BOOK_MAX], "cut off"),
        ("rows one query looks at", &[QUERY_ROWS_MAX], "a broader one is refused in words"),
        ("aliases followed", &[CHAIN_MAX], "the chain so far, with an EDE"),
        (
            "raw values of one answer · their octets",
            &[RAW_VALUES_MAX, RAW_OCTETS_MAX],
            "cut off, with an EDE that says where to go on",
        ),
        (
            "an invitation: text · genesis records · peers",
            &[INVITATION_MAX, INVITED_GENESIS_MAX, INVITED_PEERS_MAX],
            "refused · refused · the first 16",
        ),
    ];
    for (what, bounds, beyond) in stated {
        let bounds: Vec<String> = bounds.iter().map(|bound| grouped(*bound)).collect();
        let row = format!("| {what} | {} | {beyond} |", bounds.join(" · "));
        assert!(document.contains(&row), "not in the table: {row}");
    }
}

/// A number as the documents write it: MiB where it is some, else with commas.
fn grouped(number: usize) -> String {
    if number >= 2 << 20 && number.is_multiple_of(1 << 20) {
        return format!("{} MiB", number >> 20);
    }
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|g| std::str::from_utf8(g).unwrap()).collect();
    groups.join(",")
}

#[test]
fn a_citation_is_found_over_two_lines_and_inside_a_string() {
    let source = "    /// as docs/X.md\n    /// \"Two words\".\n let s = \"(docs/Y.md \\\"Y\\\")\"; // docs/none.rs \"no\"\n";
    let both = [("docs/X.md".into(), "Two words".into()), ("docs/Y.md".into(), "Y".into())];
    assert_eq!(citations(&prose(source)), both);
}
