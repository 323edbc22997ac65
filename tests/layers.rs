//! The floors: reads every source file and fails on an import that climbs, on a name (`tokio`, `rusqlite`,
//! `quinn`, a socket, the clock …) where it does not belong, on a top-level module that stands on no floor, on
//! a file that is too long and on one that does not say what it is. `#[cfg(test)]` code may name what it likes.
//! The tables below are the rule; the last tests show that breaking it is noticed.
#![allow(clippy::unwrap_used)]

#[path = "common/source.rs"]
#[allow(unreachable_pub)]
mod source;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use source::Source;

/// From the ground up: a module imports what stands strictly below it. `sync` and `dns` share a floor, so they
/// do not know each other.
const FLOORS: [&[&str]; 8] =
    [&["record"], &["store"], &["sync", "dns"], &["api"], &["config"], &["node"], &["cli"], &["main"]];

/// Imported by all; imports none.
const BESIDE_ALL: &str = "metrics";

/// The map: it declares the modules and does nothing else.
const MAP: &str = "lib.rs";

/// More lines than anybody holds in the hand; tests, benches and examples count too.
const LINES_MAX: usize = 700;

/// What is matched in the source.
enum Mark {
    /// A path that begins with this crate.
    Crate(&'static str),
    /// A path that begins like this.
    Prefix(&'static [&'static str]),
    /// An identifier, wherever it stands.
    Word(&'static str),
    /// `Something::now`, the something being a type.
    Now,
    /// A macro that writes to a standard stream.
    Print,
}

/// Where alone a mark may stand: files of `src`, or folders with a slash behind.
struct Reserved {
    mark: Mark,
    homes: &'static [&'static str],
    why: &'static str,
}

const DNS_EDGE: &[&str] = &["dns/server.rs", "dns/udp.rs", "dns/tcp.rs", "dns/handler.rs", "dns/encode.rs"];
const SOCKETS: &[&str] = &[
    "dns/server.rs",
    "dns/udp.rs",
    "dns/tcp.rs",
    "dns/load.rs",
    "api/server.rs",
    "sync/net.rs",
    "sync/net/",
];
const SOCKETS_WHY: &str = "sockets are opened at the edges";

const RESERVED: &[Reserved] = &[
    Reserved { mark: Mark::Crate("rusqlite"), homes: &["store/"], why: "the store is the only SQL" },
    Reserved {
        mark: Mark::Crate("quinn"),
        homes: &["sync/net.rs", "sync/net/"],
        why: "decisions of sync are pure",
    },
    Reserved {
        mark: Mark::Crate("rustls"),
        homes: &["sync/net.rs", "sync/net/"],
        why: "keys are presented where QUIC is",
    },
    Reserved { mark: Mark::Crate("hickory_server"), homes: DNS_EDGE, why: "answers are decided without it" },
    Reserved { mark: Mark::Crate("hickory_proto"), homes: &["dns/"], why: "wire forms belong to dns" },
    Reserved {
        mark: Mark::Crate("tokio"),
        homes: &[
            "dns/server.rs",
            "dns/udp.rs",
            "dns/tcp.rs",
            "dns/handler.rs",
            "sync/net.rs",
            "sync/net/",
            "api/",
            "node.rs",
            "node/",
            "cli/",
        ],
        why: "what decides is neither async nor bound to a runtime",
    },
    Reserved { mark: Mark::Crate("axum"), homes: &["api/"], why: "HTTP is the API's" },
    Reserved { mark: Mark::Crate("hyper"), homes: &["api/"], why: "HTTP is the API's" },
    Reserved {
        mark: Mark::Crate("ureq"),
        homes: &["api/remote.rs"],
        why: "one client speaks to a node by URL",
    },
    Reserved {
        mark: Mark::Crate("serde"),
        homes: &[
            "api/",
            "record/rules.rs",
            "dns/zone.rs",
            "config.rs",
            "store/config.rs",
            "sync/config.rs",
            "sync/address.rs",
            "sync/table/saved.rs",
            "dns/config.rs",
            "node/config.rs",
        ],
        why: "records have one canonical form, hand-written; only JSON, rules and configuration are derived",
    },
    Reserved {
        mark: Mark::Crate("nix"),
        homes: &["store/config.rs", "dns/udp.rs", "dns/load.rs", "node.rs", "node/", "cli/"],
        why: "the operating system is asked at the edges",
    },
    Reserved { mark: Mark::Crate("socket2"), homes: SOCKETS, why: SOCKETS_WHY },
    Reserved { mark: Mark::Word("UdpSocket"), homes: SOCKETS, why: SOCKETS_WHY },
    Reserved { mark: Mark::Word("TcpListener"), homes: SOCKETS, why: SOCKETS_WHY },
    Reserved { mark: Mark::Word("TcpStream"), homes: SOCKETS, why: SOCKETS_WHY },
    Reserved { mark: Mark::Word("UnixListener"), homes: &[], why: SOCKETS_WHY },
    Reserved { mark: Mark::Word("UnixStream"), homes: &[], why: SOCKETS_WHY },
    Reserved { mark: Mark::Crate("clap"), homes: &["cli/"], why: "arguments are people's business" },
    Reserved { mark: Mark::Crate("anyhow"), homes: &["cli/", "main.rs"], why: "below, errors are typed" },
    Reserved {
        mark: Mark::Prefix(&["std", "fs"]),
        homes: &["store/", "api/token.rs", "config.rs", "node.rs", "node/", "cli/"],
        why: "the disk belongs to the store; the rest is handed bytes",
    },
    Reserved {
        mark: Mark::Crate("getrandom"),
        homes: &["api/token.rs", "sync/net.rs", "sync/net/", "node.rs", "node/", "cli/"],
        why: "randomness is an argument",
    },
    Reserved {
        mark: Mark::Now,
        homes: &[
            "api/lf.rs",
            "api/server.rs",
            "store/writer.rs",
            "dns/load.rs",
            "sync/net.rs",
            "sync/net/",
            "node.rs",
            "node/",
            "cli/",
        ],
        why: "time is an argument",
    },
    Reserved {
        mark: Mark::Print,
        homes: &["cli/", "main.rs"],
        why: "a library is silent; it logs by tracing",
    },
];

/// A file of `src`, read.
struct File {
    /// Below `src`, with slashes.
    name: String,
    source: Source,
}

impl File {
    fn of(name: &str, text: &str) -> File {
        File { name: name.to_owned(), source: Source::read(text) }
    }

    /// `dns/master/parser.rs` is `dns::master::parser`.
    fn module(&self) -> Vec<String> {
        let path = self.name.trim_end_matches(".rs").trim_end_matches("/mod");
        if self.name == MAP { vec![] } else { path.split('/').map(str::to_owned).collect() }
    }

    fn faults(&self) -> Vec<String> {
        let mut faults = self.climbs();
        for rule in RESERVED {
            if !rule.homes.iter().any(|home| belongs(&self.name, home)) {
                let say = |(line, what)| format!("src/{}:{line}: {what}: {}", self.name, rule.why);
                faults.extend(rule.mark.found(&self.source).into_iter().map(say));
            }
        }
        faults
    }

    /// Imports of what does not stand below.
    fn climbs(&self) -> Vec<String> {
        let module = self.module();
        let mut faults = vec![];
        for path in self.source.paths() {
            let Some(target) = absolute(&module, &path) else { continue };
            let says =
                |why: &str| format!("src/{}:{}: {}: {why}", self.name, path.line, path.segments.join("::"));
            match target.first().map(String::as_str) {
                None | Some("*" | "self") => faults.push(says("takes the whole crate; say which module")),
                Some(top) => faults.extend(climb(module.first().map_or("lib", |m| m), top).map(|w| says(&w))),
            }
        }
        faults
    }
}

/// Where a path leads from the crate's root, if it leads into this crate.
fn absolute(module: &[String], path: &source::Path) -> Option<Vec<String>> {
    let segments = match path.segments.first().map(String::as_str) {
        Some("self") => &path.segments[1..],
        _ => &path.segments[..],
    };
    let ups = segments.iter().take_while(|s| *s == "super").count();
    match segments.first().map(String::as_str) {
        // `pub(crate)` is a word, not a path.
        Some("crate" | "lfdns") if segments.len() > 1 || path.used => Some(segments[1..].to_vec()),
        Some("super") => {
            let outer = ups.saturating_sub(path.inline);
            let kept = module.len().saturating_sub(outer);
            let inside = outer == 0 || kept > 0;
            (!inside).then(|| segments[ups..].to_vec())
        }
        _ => None,
    }
}

/// Why a module may not import another; nothing if it may.
fn climb(from: &str, to: &str) -> Option<String> {
    let (Some(here), there) = (floor(from), floor(to)) else {
        return Some(format!("module '{from}' stands on no floor: put it into FLOORS"));
    };
    if from == to || to == BESIDE_ALL {
        return None;
    }
    match there {
        None => Some(format!("'{to}' stands on no floor: put it into FLOORS, or say a module's own path")),
        Some(_) if from == BESIDE_ALL => Some(format!("{BESIDE_ALL} imports nobody")),
        Some(there) if there < here => None,
        Some(there) if there == here => Some(format!("{from} and {to} do not know each other")),
        Some(_) => Some(format!("{from} stands below {to}")),
    }
}

fn floor(module: &str) -> Option<usize> {
    if module == BESIDE_ALL || module == "lib" {
        return Some(0);
    }
    FLOORS.iter().position(|floor| floor.contains(&module))
}

fn belongs(name: &str, home: &str) -> bool {
    if home.ends_with('/') { name.starts_with(home) } else { name == home }
}

impl Mark {
    /// Lines, and what stands there.
    fn found(&self, source: &Source) -> Vec<(usize, String)> {
        match self {
            Mark::Crate(name) => begins(source, &[name]),
            Mark::Prefix(path) => begins(source, path),
            Mark::Word(word) => {
                let hits = source.tokens.iter().filter(|token| token.text == *word);
                hits.map(|token| (token.line, (*word).to_owned())).collect()
            }
            Mark::Now => triples(source, |type_, sign, now| {
                type_.starts_with(char::is_uppercase) && sign == "::" && now == "now"
            }),
            Mark::Print => triples(source, |word, sign, _| {
                matches!(word, "print" | "println" | "eprint" | "eprintln" | "dbg") && sign == "!"
            }),
        }
    }
}

fn begins(source: &Source, prefix: &[&str]) -> Vec<(usize, String)> {
    let paths = source.paths().into_iter().filter(|path| {
        let enough = path.segments.len() > 1 || path.used;
        enough && path.segments.iter().map(String::as_str).take(prefix.len()).eq(prefix.iter().copied())
    });
    paths.map(|path| (path.line, path.segments.join("::"))).collect()
}

fn triples(source: &Source, is: impl Fn(&str, &str, &str) -> bool) -> Vec<(usize, String)> {
    let hits = source.tokens.windows(3).filter(|three| is(&three[0].text, &three[1].text, &three[2].text));
    hits.map(|three| (three[0].line, format!("{}{}{}", three[0].text, three[1].text, three[2].text)))
        .collect()
}

/// The files below a folder of the crate, by their path from there.
fn rust_files(folder: &str) -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let (mut files, mut folders) = (BTreeMap::new(), vec![root.clone()]);
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for path in entries.map(|entry| entry.expect("a readable folder").path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                files.insert(relative(&path, &root), std::fs::read_to_string(&path).expect("UTF-8"));
            }
        }
    }
    files
}

fn relative(path: &Path, root: &PathBuf) -> String {
    path.strip_prefix(root).expect("it was found there").to_string_lossy().into_owned()
}

/// The files of `src` that are built outside tests.
fn sources(files: &BTreeMap<String, String>) -> Vec<File> {
    let read: Vec<File> = files.iter().map(|(name, text)| File::of(name, text)).collect();
    let mut for_tests = vec![];
    for file in &read {
        for module in &file.source.test_modules {
            let path = format!("{}/{module}", file.module().join("/"));
            for_tests.extend([format!("{path}.rs"), format!("{path}/")]);
        }
    }
    read.into_iter().filter(|file| !for_tests.iter().any(|path| belongs(&file.name, path))).collect()
}

/// What is wrong with a file as such.
fn shape(name: &str, text: &str) -> Vec<String> {
    let mut faults = vec![];
    let lines = text.lines().count();
    if lines > LINES_MAX {
        faults.push(format!("{name}: {lines} lines, more than {LINES_MAX}"));
    }
    if !text.starts_with("//! ") {
        faults.push(format!("{name}: does not begin with a `//!` that says what it is"));
    }
    faults
}

fn none(faults: &[String]) {
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn imports_go_down_only_and_names_stand_where_they_belong() {
    let files = sources(&rust_files("src"));
    assert!(files.len() > 40, "only {} files were found", files.len());
    none(&files.iter().flat_map(File::faults).collect::<Vec<_>>());
}

#[test]
fn every_top_level_module_stands_on_a_floor() {
    let files = rust_files("src");
    let tops = files.keys().map(|name| name.split('/').next().unwrap().trim_end_matches(".rs"));
    let faults = tops.filter(|top| floor(top).is_none()).map(|top| format!("src/{top}: on no floor"));
    none(&faults.collect::<Vec<_>>());
}

#[test]
fn every_file_says_what_it_is_and_fits_in_the_hand() {
    let mut faults = vec![];
    for folder in ["src", "tests", "benches", "examples"] {
        for (name, text) in rust_files(folder) {
            faults.extend(shape(&format!("{folder}/{name}"), &text));
        }
    }
    none(&faults);
}

/// One fault with these words, and no other.
#[track_caller]
fn refused(name: &str, text: &str, words: &str) {
    let faults = File::of(name, text).faults();
    assert!(faults.len() == 1 && faults[0].contains(words), "{words}: {faults:?}");
}

#[track_caller]
fn allowed(name: &str, text: &str) {
    none(&File::of(name, text).faults());
}

#[test]
fn an_import_that_climbs_is_refused_however_it_is_written() {
    let words = "record stands below store";
    refused("record/ids.rs", "use crate::store::Store;", words);
    refused("record/ids.rs", "fn f() {\n let x = crate::store::open();\n}", "src/record/ids.rs:2:");
    refused("record/ids.rs", "use crate::{metrics::Metrics, store::{Query as Q}};", "crate::store::Query");
    refused("record/mod.rs", "use super::store::Store;", words);
    refused("record/ids.rs", "use super::super::store::Store;", words);
    refused("record/ids.rs", "use self::super::super::store::Store;", words);
    refused("record/ids.rs", "mod inner { use super::super::super::store::Store; }", words);
    refused("record/ids.rs", "type S = lfdns::store::Store;", words);
    refused("record/ids.rs", "pub(in crate::store) fn f() {}", words);
    refused("dns/zone.rs", "use crate::sync::Peer;", "dns and sync do not know each other");
    refused("config.rs", "use crate::node::Node;", "config stands below node");
    refused("metrics.rs", "use crate::record::Millis;", "metrics imports nobody");
}

#[test]
fn taking_the_whole_crate_is_refused() {
    for text in ["use crate::*;", "use crate as all;", "use crate::{self as all};", "use super::super::*;"] {
        refused("record/ids.rs", text, "takes the whole crate");
    }
}

#[test]
fn a_module_on_no_floor_is_refused() {
    refused("cli/get.rs", "use crate::gossip::Gossip;", "'gossip' stands on no floor");
    refused("gossip/mod.rs", "use crate::record::Millis;", "'gossip' stands on no floor");
    assert_eq!(floor("gossip"), None);
}

#[test]
fn imports_that_go_down_or_stay_at_home_are_allowed() {
    allowed("main.rs", "fn main() { lfdns::cli::main() }");
    allowed("cli/get.rs", "use crate::{record::Millis, store::{Store, Query}, cli::out};");
    allowed("dns/master/parser.rs", "use super::super::name::DnsName; use crate::store::Store;");
    allowed("dns/mod.rs", "mod inner { use super::name::DnsName; } pub(crate) use crate::metrics::Metrics;");
    allowed("record/ids.rs", "pub(crate) fn f() {} pub(super) fn g() {} use super::hash::hash;");
}

#[test]
fn a_name_out_of_place_is_refused() {
    refused("dns/decide.rs", "async fn f() { tokio::task::yield_now().await }", "tokio");
    refused("api/reads.rs", "use rusqlite::Connection;", "the only SQL");
    refused("api/reads.rs", "use ::rusqlite as sql;", "the only SQL");
    refused("sync/session.rs", "use quinn::Connection;", "pure");
    refused("dns/decide.rs", "use hickory_server::{server::Request, };", "answers are decided");
}

#[test]
fn a_clock_a_socket_a_file_and_a_print_out_of_place_are_refused() {
    refused("dns/cache.rs", "let now = std::time::Instant::now();", "time is an argument");
    refused("record/mint.rs", "let f = SystemTime::now;", "time is an argument");
    refused("dns/decide.rs", "use std::net::{IpAddr, UdpSocket};", "sockets");
    refused("record/rules.rs", "use std::{fs, io};", "the disk");
    refused("store/door.rs", "println!(\"{x}\");", "silent");
    allowed("dns/cache.rs", "fn f(now: fn() -> Millis) { let then = clock::now(); }");
}

#[test]
fn what_is_said_in_comments_strings_and_tests_does_not_count() {
    allowed(
        "record/ids.rs",
        "// use crate::store::Store;\n/* crate::store::x /* tokio::y */ crate::dns::z */",
    );
    allowed(
        "record/ids.rs",
        r##"const A: &str = r#"crate::store::x "quoted" "#; const B: &[u8] = b"\"tokio::x";"##,
    );
    allowed(
        "record/ids.rs",
        r#"const C: [char; 3] = ['"', '\'', 'a']; fn f<'a>(x: &'a str) {} const D: &str = "tokio::y";"#,
    );
    allowed(
        "record/ids.rs",
        "#[cfg(test)]\nmod tests { use crate::store::Store; fn f() { { tokio::x() } } }",
    );
    allowed("record/ids.rs", "#[cfg(all(test, unix))] #[path = \"x.rs\"] use crate::store::Store; fn f() {}");
    refused("record/ids.rs", "#[cfg(test)] mod tests { } use crate::store::Store;", "record stands");
    refused("record/ids.rs", "#[cfg(not(test))] use crate::store::Store;", "record stands");
    refused(
        "record/ids.rs",
        "const Q: char = '\"'; use crate::store::Store; const R: char = '\"';",
        "record stands",
    );
}

#[test]
fn files_of_test_modules_are_left_out() {
    let text = |text: &str| text.to_owned();
    let files = BTreeMap::from([
        (text("record/mod.rs"), text("#[cfg(test)]\nmod tests;\nmod ids;")),
        (text("record/tests.rs"), text("use crate::store::Store;")),
        (text("record/tests/more.rs"), text("use crate::store::Store;")),
        (text("record/ids.rs"), text("")),
    ]);
    let left: Vec<String> = sources(&files).into_iter().map(|file| file.name).collect();
    assert_eq!(left, ["record/ids.rs", "record/mod.rs"]);
}

#[test]
fn a_file_too_long_or_without_a_word_about_itself_is_refused() {
    assert_eq!(shape("a.rs", &format!("//! Says so.\n{}", "\n".repeat(LINES_MAX - 1))), [""; 0]);
    assert_eq!(shape("a.rs", &format!("//! Says so.\n{}", "\n".repeat(LINES_MAX))).len(), 1);
    assert_eq!(shape("a.rs", "use std::io;").len(), 1);
}
